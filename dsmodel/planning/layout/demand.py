"""What clusters are to hold: nodes, Pods a node, Services, and how they grow until the plan must still fit.

Promises frozen values with every number checked, read from keywords, mappings or the rows of a frame. Growth compounds
once a year and is rounded up. Does not know where ranges lie, nor demand that varies: that is
`dsmodel.planning.scenario`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cni.capacity import RULES
from dsmodel.errors import InvalidInput
from dsmodel.kube.config import DEFAULT_MAX_PODS

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ClusterDemand", "demands_of"]

# more of anything than this is no count of objects but a slip; Kubernetes is tested up to 5,000 nodes
MOST = 10_000_000
_ROUNDING = 1e-9  # growth such as 1.1 ** 2 is a float; what it adds above a whole number is no node


@dataclass(frozen=True)
class ClusterDemand:
    """What one cluster is to hold.

    Parameters
    ----------
    nodes : int
        Today, or at the time the growth is counted from.
    services : int
        That take a cluster IP in each family; the DNS Service comes on top, and ``default/kubernetes`` in the primary
        family.
    pods_per_node : int, optional
        Pods with addresses of their own on each node, and the kubelet's ``maxPods``; 110 if neither this nor ``pods``
        is given.
    pods : int, optional
        Pods of the whole cluster, spread evenly; gives ``pods_per_node``.
    name : str, default "cluster"
        Names the cluster in a fleet.
    growth_ratio : float, default 0.0
        Growth of nodes and Services in a year: 0.3 is 30 %.
    years : float, default 0.0
        How long the plan must fit.
    surge_nodes : int, default 0
        Nodes that an upgrade or a burst adds on top.
    ip_families : sequence of str, default ("IPv4", "IPv6")
        In order; the first is the primary one.
    plugin : str, default "host-local"
        A name of `dsmodel.cni.capacity.RULES`: what it hands out of a node's block.
    node_cidr_mask_sizes : mapping of str to int, optional
        Masks that are settled already, by family.
    node_range : bool, default True
        Whether the nodes' own addresses need a range too.
    reserved_node_addresses : int, default 3
        Addresses of an IPv4 node range that no node gets: network, gateway, broadcast; 5 in AWS and Azure subnets.

    Raises
    ------
    InvalidInput
        A count that is not positive, both ``pods`` and ``pods_per_node``, or a family or plugin that does not exist.

    Examples
    --------
    >>> demand = ClusterDemand(nodes=100, services=500, pods=6000, growth_ratio=0.5, years=2)
    >>> demand.pods_on_node, demand.nodes_wanted, demand.services_wanted
    (60, 225, 1125)
    """

    nodes: int
    services: int
    pods_per_node: int | None = None
    pods: int | None = None
    name: str = "cluster"
    growth_ratio: float = 0.0
    years: float = 0.0
    surge_nodes: int = 0
    ip_families: tuple[IPFamily, ...] = (IPFamily.IPV4, IPFamily.IPV6)
    plugin: str = "host-local"
    node_cidr_mask_sizes: Mapping[IPFamily, int] = field(default_factory=dict, hash=False)
    node_range: bool = True
    reserved_node_addresses: int = 3

    def __post_init__(self) -> None:
        """Refuse what is no demand."""
        self._check("nodes", self.nodes, least=1)
        self._check("services", self.services, least=1)
        self._check("surge_nodes", self.surge_nodes, least=0)
        self._check("reserved_node_addresses", self.reserved_node_addresses, least=0)
        if self.pods is not None and self.pods_per_node is not None:
            raise self._error("pods and pods_per_node are both given; give one of them")
        if self.pods is not None:
            self._check("pods", self.pods, least=1)
            object.__setattr__(self, "pods_per_node", -(-self.pods // self.nodes))
            object.__setattr__(self, "pods", None)
        elif self.pods_per_node is None:
            object.__setattr__(self, "pods_per_node", DEFAULT_MAX_PODS)
        self._check("pods_per_node", self.pods_per_node, least=1)
        for name in ("growth_ratio", "years"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
                raise self._error(f"{name} is {value!r}; give a number from 0 to 100")
        object.__setattr__(self, "ip_families", _families(self.ip_families, self.name))
        if self.plugin not in RULES:
            raise self._error(f"plugin is {self.plugin!r}; the ones with one range a node are {', '.join(RULES)}")
        masks = {_family(key, self.name): value for key, value in dict(self.node_cidr_mask_sizes).items()}
        for family, mask in masks.items():
            if isinstance(mask, bool) or not isinstance(mask, int) or not 0 < mask <= family.bits:
                raise self._error(f"node_cidr_mask_sizes[{family}] is {mask!r}; give 1 to {family.bits}")
        object.__setattr__(self, "node_cidr_mask_sizes", masks)
        if self.nodes_wanted > MOST or self.services_wanted > MOST:
            raise self._error(f"grows to {max(self.nodes_wanted, self.services_wanted):,} objects; check the growth")

    @property
    def pods_on_node(self) -> int:
        """Pods of each node."""
        return self.pods_per_node or DEFAULT_MAX_PODS

    @property
    def nodes_wanted(self) -> int:
        """Nodes at the end, those of a surge included."""
        return self._grown(self.nodes) + self.surge_nodes

    @property
    def services_wanted(self) -> int:
        """Services at the end, without those that every cluster has."""
        return self._grown(self.services)

    def own_services(self, family: IPFamily) -> int:
        """Count the cluster IPs that a cluster takes besides those of its Services.

        Parameters
        ----------
        family : IPFamily
            One of ``ip_families``.

        Returns
        -------
        int
            1 for DNS, and in the primary family 1 for ``default/kubernetes``, which never has two families.

        Raises
        ------
        None
            Every family has an answer.

        Examples
        --------
        >>> demand = ClusterDemand(nodes=1, services=1)
        >>> [demand.own_services(family) for family in demand.ip_families]
        [2, 1]
        """
        return 2 if family is self.ip_families[0] else 1

    def _grown(self, count: int) -> int:
        """Let a count grow."""
        factor = (1.0 + self.growth_ratio) ** self.years
        return count if factor == 1.0 else math.ceil(count * factor - _ROUNDING * count)

    def _check(self, name: str, value: object, *, least: int) -> None:
        """Refuse what is no count."""
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
            kind = "positive" if least else "not negative"
            raise self._error(f"{name} is {value!r}; give a whole number that is {kind} and at most {MOST:,}")

    def _error(self, words: str) -> InvalidInput:
        """Name the cluster in a complaint."""
        return InvalidInput(f"demand of {self.name!r}: {words}")

    @classmethod
    def of(cls, row: Self | Mapping[str, Any]) -> Self:
        """Read a demand from a mapping.

        Parameters
        ----------
        row : ClusterDemand or mapping of str to object
            Keys are the names of the parameters; missing, empty and NaN values take the default. Families may be one
            text with a comma or plus sign.

        Returns
        -------
        ClusterDemand
            The value.

        Raises
        ------
        InvalidInput
            A key that is no parameter, one that is missing, or a number out of place.

        Examples
        --------
        >>> ClusterDemand.of({"name": "edge", "nodes": 8.0, "services": 40, "ip_families": "IPv6"}).ip_families
        (<IPFamily.IPV6: 'IPv6'>,)
        """
        if isinstance(row, cls):
            return row
        if not isinstance(row, Mapping):
            raise InvalidInput(f"{row!r} is no demand; give a ClusterDemand or a mapping with nodes and services")
        known = {entry.name for entry in fields(cls)}
        unknown = sorted(str(key) for key in row if key not in known)
        if unknown:
            raise InvalidInput(f"a demand has no {unknown[0]!r}; it has {', '.join(sorted(known))}")
        given = {key: _plain(value) for key, value in row.items()}
        given = {key: value for key, value in given.items() if value is not None and value != ""}
        missing = [name for name in ("nodes", "services") if name not in given]
        if missing:
            raise InvalidInput(f"demand of {given.get('name', 'cluster')!r}: {missing[0]} is missing")
        return cls(**given)


def demands_of(
    demand: ClusterDemand | Mapping[str, Any] | Iterable[ClusterDemand | Mapping[str, Any]] | pd.DataFrame,
) -> tuple[ClusterDemand, ...]:
    """Read the demand of one cluster or of a fleet.

    Parameters
    ----------
    demand : ClusterDemand, mapping, DataFrame, or iterable of these
        One cluster, or several with a name each; a frame has one row a cluster.

    Returns
    -------
    tuple of ClusterDemand
        In order.

    Raises
    ------
    InvalidInput
        No cluster at all, two of one name, or what `ClusterDemand.of` refuses.

    Examples
    --------
    >>> fleet = [{"name": "a", "nodes": 3, "services": 9}, {"name": "b", "nodes": 5, "services": 9}]
    >>> [each.name for each in demands_of(fleet)]
    ['a', 'b']
    """
    if isinstance(demand, ClusterDemand | Mapping):
        return (ClusterDemand.of(demand),)
    rows: Any = demand.to_dict("records") if isinstance(demand, pd.DataFrame) else demand
    try:
        found = tuple(ClusterDemand.of(row) for row in rows)
    except TypeError as error:
        raise InvalidInput(f"{demand!r} is no demand: {error}") from None
    if not found:
        raise InvalidInput("the demand names no cluster; give at least one")
    names = [each.name for each in found]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise InvalidInput(f"two demands are named {twice[0]!r}; give each cluster a name of its own")
    return found


def _plain(value: Any) -> Any:
    """Turn a cell of a frame into a plain value; whole floats count as integers."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return None if math.isnan(value) else int(value) if value.is_integer() else value
    return value


def _families(given: object, name: str) -> tuple[IPFamily, ...]:
    """Read families in order."""
    listed = given.replace("+", ",").split(",") if isinstance(given, str) else list(given)  # type: ignore[call-overload]
    found = tuple(_family(each, name) for each in listed)
    if not found or len(set(found)) < len(found):
        raise InvalidInput(f"demand of {name!r}: ip_families {listed!r}; give one family, or both in order")
    return found


def _family(given: object, name: str) -> IPFamily:
    """Read one family."""
    try:
        return IPFamily(str(given).strip())
    except ValueError:
        raise InvalidInput(f"demand of {name!r}: {given!r} is no family; use 'IPv4' or 'IPv6'") from None
