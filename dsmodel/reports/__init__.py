"""The questions: each takes a cluster and answers with one frame, its cause in a ``why`` column.

Promises declared columns, rows sorted by declared keys, counts as integers, shares as ratios from 0 to 1. Knows the
cluster and the planning arithmetic; never a file, a plot or a widget.
"""

from dsmodel.reports.admission import admission
from dsmodel.reports.blocks import fragmentation
from dsmodel.reports.changes import difference
from dsmodel.reports.egress import allow_list, conntrack, egress, egress_changes, egress_failures, egress_topology, snat
from dsmodel.reports.evidence import configuration, findings
from dsmodel.reports.exhaustion import exhaustion, fans
from dsmodel.reports.headroom import limits, summary
from dsmodel.reports.maps import address_map
from dsmodel.reports.owners import usage
from dsmodel.reports.pools import utilization
from dsmodel.reports.provenance import provenance
from dsmodel.reports.start_up import audit
from dsmodel.reports.upgrades import version_changes
from dsmodel.reports.validation import dual_stack_validation

__all__ = [
    "address_map",
    "admission",
    "allow_list",
    "audit",
    "configuration",
    "conntrack",
    "difference",
    "dual_stack_validation",
    "egress",
    "egress_changes",
    "egress_failures",
    "egress_topology",
    "exhaustion",
    "fans",
    "findings",
    "fragmentation",
    "limits",
    "provenance",
    "snat",
    "summary",
    "usage",
    "utilization",
    "version_changes",
]
