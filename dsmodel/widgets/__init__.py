"""Explorers: controls, one question, its answer as frame and as picture, live in a notebook.

Promises: every explorer has ``.controls`` (set a ``value`` to move one), ``.frame`` (the last answer), ``.cluster`` and
``.view``; one bound to a cluster works on a copy. Knows reports and plots; decides nothing itself.
"""

from dsmodel.widgets.address_map import AddressMapExplorer
from dsmodel.widgets.capacity import CapacityExplorer
from dsmodel.widgets.dashboard import Dashboard, explore
from dsmodel.widgets.egress import EgressExplorer
from dsmodel.widgets.exhaustion import ExhaustionExplorer
from dsmodel.widgets.plan import PlanExplorer
from dsmodel.widgets.policy import PolicyExplorer

__all__ = [
    "AddressMapExplorer",
    "CapacityExplorer",
    "Dashboard",
    "EgressExplorer",
    "ExhaustionExplorer",
    "PlanExplorer",
    "PolicyExplorer",
    "explore",
]
