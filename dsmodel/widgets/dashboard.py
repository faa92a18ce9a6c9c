"""All explorers of one cluster, a tab each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from dsmodel.cluster.examples import kubeadm_dual_stack
from dsmodel.errors import InvalidInput
from dsmodel.widgets.address_map import AddressMapExplorer
from dsmodel.widgets.capacity import CapacityExplorer
from dsmodel.widgets.egress import EgressExplorer
from dsmodel.widgets.exhaustion import ExhaustionExplorer
from dsmodel.widgets.plan import PlanExplorer
from dsmodel.widgets.policy import PolicyExplorer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dsmodel.cluster.state import Cluster
    from dsmodel.widgets.panel import Explorer

__all__ = ["QUESTIONS", "Dashboard", "explore"]

QUESTIONS: Mapping[str, Callable[[Cluster], Explorer]] = {
    "capacity": CapacityExplorer,
    "policy": PolicyExplorer,
    "exhaustion": ExhaustionExplorer,
    "address map": AddressMapExplorer,
    "egress": EgressExplorer,
    "plan": PlanExplorer,
}
"""Explorer of each question, in the order of the tabs."""


class Dashboard:
    """All explorers of one cluster.

    Parameters
    ----------
    cluster : Cluster
        Every explorer works on a copy of it.

    Attributes
    ----------
    explorers : dict of str to Explorer
        Those of the tabs that were opened, by question.
    view : ipywidgets.Tab
        What a notebook shows.

    Raises
    ------
    None
        Every cluster has explorers.

    Examples
    --------
    >>> import dsmodel as ds
    >>> dashboard = Dashboard(ds.examples.nearly_full())
    >>> dashboard, list(dashboard.explorers)
    (Dashboard(capacity, policy, exhaustion, address map, egress, plan), ['capacity'])
    >>> dashboard.view.selected_index = 1
    >>> list(dashboard.explorers)
    ['capacity', 'policy']
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.explorers: dict[str, Explorer] = {}
        self.view = ipywidgets.Tab(
            children=[ipywidgets.VBox() for _ in QUESTIONS], titles=list(QUESTIONS), selected_index=0
        )
        self.view.observe(self._open, names="selected_index")
        self._open(None)

    def __repr__(self) -> str:
        """Name the tabs."""
        return f"Dashboard({', '.join(QUESTIONS)})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Show the view in a notebook."""
        return self.view._repr_mimebundle_(**options) | {"text/plain": repr(self)}

    def _open(self, _change: object) -> None:
        """Make the explorer of the tab that is looked at; nobody waits for the others."""
        place = self.view.selected_index or 0
        question = list(QUESTIONS)[place]
        if question not in self.explorers:
            self.explorers[question] = QUESTIONS[question](self.cluster.copy())
            self.view.children[place].children = (self.explorers[question].view,)


def explore(cluster: Cluster | None = None, *, question: str | None = None) -> Dashboard | Explorer:
    """Play with a cluster.

    Parameters
    ----------
    cluster : Cluster, optional
        It is not changed; kubeadm's usual ranges, half a day old, if left out.
    question : str, optional
        One of `QUESTIONS`; all of them, a tab each, if left out.

    Returns
    -------
    Dashboard or Explorer
        Shown by a notebook as the value of a cell.

    Raises
    ------
    InvalidInput
        There is no such question.

    Examples
    --------
    >>> import dsmodel as ds
    >>> explore(ds.examples.nearly_full(), question="policy")
    PolicyExplorer(kube_version, service_cidrs, type, ip_family_policy, ip_families, cluster_ips, has_selector)
    """
    subject = cluster if cluster is not None else kubeadm_dual_stack()
    if question is None:
        return Dashboard(subject)
    if question not in QUESTIONS:
        raise InvalidInput(f"question={question!r}: there are {', '.join(QUESTIONS)}")
    return QUESTIONS[question](subject.copy())
