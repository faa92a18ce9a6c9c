"""Layer 2: pools that hand out offsets, whatever the offsets stand for.

`contract` says what every pool promises and makes changes to several pools all or nothing. `ranges` are pools of
addresses and ports, `blocks` of equal blocks of a cluster CIDR, `grids` of many equal ranges at once. Below them
`offsets` holds the verbs and strategies, `bitmap` and `sparse` the two ways to store what is in use, `probing` the law
of random starts. Blocks that owners queue for are Calico's alone: `dsmodel.cni.calico.blocks`.

This layer knows neither Kubernetes nor text; it reads `dsmodel.addresses` and `dsmodel.errors` only.
"""
