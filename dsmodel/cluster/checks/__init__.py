"""What is unsound about a cluster, one function a rule; `RULES` lists them, `check` judges them all.

Promises the same rules for tables from a dump and for clusters that were made: those marked so are judged when tables
become a cluster, some again once its network plugin was read, the rest when `check` asks. Rules are grouped by what
they look at.
"""

from dsmodel.cluster.checks.audit import RULES, check, findings_at_reading, findings_with_plugin
from dsmodel.cluster.checks.repeats import has_repeats, repeated
from dsmodel.cluster.checks.rules import Finding, Rule, findings_table

__all__ = [
    "RULES",
    "Finding",
    "Rule",
    "check",
    "findings_at_reading",
    "findings_table",
    "findings_with_plugin",
    "has_repeats",
    "repeated",
]
