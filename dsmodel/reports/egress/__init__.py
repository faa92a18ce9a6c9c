"""How traffic leaves, as reports: who works, who fails with what, which ports fill, whose address to allow.

Promises one frame a question over the resolved paths of `dsmodel.graph`, pods that share an answer in one row. Knows
paths and ports; never networkx at import, never a plot.
"""

from dsmodel.reports.egress.answers import egress, egress_changes
from dsmodel.reports.egress.drawing import egress_topology
from dsmodel.reports.egress.entries import conntrack
from dsmodel.reports.egress.outages import egress_failures
from dsmodel.reports.egress.ports import snat
from dsmodel.reports.egress.sources import allow_list

__all__ = ["allow_list", "conntrack", "egress", "egress_changes", "egress_failures", "egress_topology", "snat"]
