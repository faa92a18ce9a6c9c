"""The cluster as data: columns declared once, tables of arrays, and the state that ties them to the pools.

What this layer promises
------------------------
- `schema` says for every column its dtype, the Kubernetes field it stands for, its unit and what missing means.
- `table` keeps such columns: equal length, unchangeable, shared between copies, and one crossing to pandas.
- `block_column` keeps addresses as (row of a table of bases, ordinal) until somebody asks for them.
- `address_array` is an address column inside pandas: sorted, grouped and looked up as numbers, shown as text.
- `state` is the `Cluster`: configuration, tables and pools, with batch verbs that leave nothing half done.
- `checks` names what is unsound about tables that came from outside.
- `examples` are four small clusters and one generator.

What it may know: errors, addresses, pools, kube and cni below it; numpy and pandas. It reads no files, draws nothing
and answers no question that a report should answer.
"""
