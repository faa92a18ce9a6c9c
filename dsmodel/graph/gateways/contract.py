"""What every product's egress policies come down to: whom they select, and what they do to each destination.

A product reads its objects into policies, and turns policies, for one state of the nodes, into `Claim`: a `Selection`
of pods, and routes, each a block of destinations with a `Way` for them. `dsmodel.graph.gateways.steering` knows no more
than that.

What it does not know: any product.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.kube.label_selectors import LabelSelector, read_selector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.flows import Exit, Verdict
    from dsmodel.graph.gateways.annotations import Notes
    from dsmodel.graph.gateways.situation import Situation

__all__ = ["EVERYWHERE", "Claim", "GatewayPolicy", "Product", "Route", "Selection", "Subject", "Way"]

EVERYWHERE: dict[IPFamily, Cidr] = {IPFamily.IPV4: Cidr("0.0.0.0/0"), IPFamily.IPV6: Cidr("::/0")}
_ALL = LabelSelector(())


@dataclass(frozen=True)
class Subject:
    """Pods of some namespaces.

    Parameters
    ----------
    namespaces : LabelSelector
        Of the namespace's labels.
    pods : LabelSelector
        Of the pod's labels.
    names : frozenset of str, optional
        Only namespaces with these names; None for no such limit.
    other_names : frozenset of str, optional
        No namespaces with these names.
    notes : tuple of Notes, optional
        Only pods whose own egress annotations are one of these, ``()`` for none; None for no such limit.
    labelled : bool, default False
        Whether a namespace without any label is passed over.
    certain : bool, default True
        False where what names the pods is not known: whether it means one of these is open.
    """

    namespaces: LabelSelector = _ALL
    pods: LabelSelector = _ALL
    names: frozenset[str] | None = None
    other_names: frozenset[str] = frozenset()
    notes: tuple[Notes, ...] | None = None
    labelled: bool = False
    certain: bool = True


@dataclass(frozen=True)
class Selection:
    """The pods that a policy selects: any subject, on any of the nodes, with an address in any of the sources.

    Parameters
    ----------
    subjects : tuple of Subject
        One must fit; none selects nothing.
    nodes : tuple of LabelSelector
        One must fit the pod's node; none asks nothing of it.
    sources : tuple of Cidr
        One must hold the pod's address of the family; none asks nothing of it.
    """

    subjects: tuple[Subject, ...] = (Subject(),)
    nodes: tuple[LabelSelector, ...] = ()
    sources: tuple[Cidr, ...] = ()

    @classmethod
    def of(cls, *namespaces: str, pods: Mapping[str, str] | None = None) -> Selection:
        """Select pods of named namespaces.

        Parameters
        ----------
        *namespaces : str
            Names; none for all namespaces.
        pods : mapping of str to str, optional
            Labels that the pods must have.

        Returns
        -------
        Selection
            Of one subject.

        Raises
        ------
        InvalidField
            A label that the API server refuses.

        Examples
        --------
        >>> Selection.of("shop", pods={"app": "cart"}).subjects[0].names
        frozenset({'shop'})
        """
        chosen = read_selector({"matchLabels": dict(pods or {})}, path="pods")
        return cls((Subject(pods=chosen, names=frozenset(namespaces) if namespaces else None),))


@dataclass(frozen=True)
class Way:
    """What becomes of flows that take a route.

    Parameters
    ----------
    verdict : Verdict
        Their verdict. `LEAK_FALLTHROUGH` leaves them to policies that come later and then to masquerading.
    reason : str
        The rule that decides, in words, with its product.
    exits : tuple of Exit
        Who can serve them; empty for none.
    by_pod : tuple of Way
        Where a hash of the pod's endpoint chooses: the way of each remainder. This way itself holds for pods whose
        endpoint the dump does not have.
    by_node : mapping of int to Way
        Ways of pods on certain nodes, by row; this way itself holds for the others.
    """

    verdict: Verdict
    reason: str
    exits: tuple[Exit, ...] = ()
    by_pod: tuple[Way, ...] = ()
    by_node: Mapping[int, Way] = field(default_factory=dict)


Route: TypeAlias = "tuple[Cidr, Way | None]"
"""Destinations, and what becomes of flows to them; None for a hole: the policies leave these flows alone."""


@dataclass(frozen=True)
class Claim:
    """What a policy does in one family, for one state of the nodes.

    Parameters
    ----------
    policy : GatewayPolicy
        Whose.
    family : IPFamily
        Of the destinations.
    routes : tuple of Route
        Longest prefix wins. Flows to other destinations are not the policy's.
    selection : Selection
        The pods.
    priority : int, default 0
        Among policies of the product; a higher one comes first, equal ones meet.
    """

    policy: GatewayPolicy
    family: IPFamily
    routes: tuple[Route, ...]
    selection: Selection
    priority: int = 0


@dataclass(frozen=True, kw_only=True)
class GatewayPolicy:
    """One egress policy of any product, as it was read.

    Parameters
    ----------
    kind : str
        Kind of the object.
    namespace : str
        Empty for objects of the cluster.
    name : str
        Name of the object.
    version : str
        Of the product; empty where not known.
    """

    kind: str
    namespace: str = ""
    name: str
    version: str = ""

    @property
    def title(self) -> str:
        """Kind and name, as findings give it."""
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)


@dataclass(frozen=True)
class Product:
    """How one product reads and decides.

    Parameters
    ----------
    name : str
        As reports give it.
    policy : type
        Class of its policies.
    read : callable
        From a cluster and the product's version (empty where not known) to policies and findings.
    claim : callable
        From all its policies and the state of the nodes to claims of both families.
    meeting : {"longest prefix", "one policy"}
        What happens to a pod that several policies of one priority select: their routes make one table, or exactly
        one of them is in force.
    spares : {"pods", "pods and nodes"}
        Destinations in the cluster that its policies never touch.
    network : str
        The network whose agent serves them; empty for none.
    source : str
        Where its rules were read.
    """

    name: str
    policy: type[GatewayPolicy]
    read: Callable[[Cluster, str], tuple[Sequence[GatewayPolicy], Sequence[Finding]]]
    claim: Callable[[Sequence[GatewayPolicy], Situation], Iterable[Claim]]
    meeting: Literal["longest prefix", "one policy"] = "longest prefix"
    spares: Literal["pods", "pods and nodes"] = "pods and nodes"
    network: str = ""
    source: str = ""
