"""Members of destinations: the addresses that packets carry, each in its place, sorted into classes.

A destination has members of each family: one for an address, the endpoints of a Service that its proxy may choose, an
address of every stretch between the borders that rules draw through a block. Members of one class cannot be told apart
by any rule.

- A Service's members are its endpoints: rules and policies see the address after destination NAT.
- A node port on another node is that node's address up to there; only its own pods meet the endpoints at once.
- Where the network has DNS64, a name without AAAA has the addresses that its resolver makes up.

What it does not know: which endpoint or address of several a client picks.

Sources: `dsmodel.addresses.registries`; kubernetes/api discovery/v1 EndpointSlice; RFC 6147.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsmodel.addresses.arrays import from_integers, isin, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.literals import format_address, parse_address
from dsmodel.addresses.prefixes import PrefixTable
from dsmodel.addresses.registries import SPECIAL_PURPOSE, special_purpose
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.graph.masquerade import Cilium, KubeProxy
from dsmodel.graph.masquerade.services import Target, service_proxy
from dsmodel.graph.paths.blocks import codes_of, families_of
from dsmodel.graph.paths.destinations import family_of_text
from dsmodel.graph.translators import WELL_KNOWN_PREFIX, embed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.network import Network
    from dsmodel.graph.paths.destinations import Destination

__all__ = ["Asked", "Members", "Place", "State", "members_of"]

_ON_LINK: Final = tuple(
    Cidr(text) for text in ("127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "::1/128", "fe80::/10", "ff00::/8")
)


class Place(enum.IntEnum):
    """Where a member is, as far as rules and routes can tell.

    >>> Place.POD.in_cluster, Place.INTERNET.in_cluster
    (True, False)
    """

    INTERNET = 0
    PRIVATE = 1
    NODE = 2
    POD = 3
    POD_RANGE = 4  # a pod range holds it and no pod has it
    SERVICE_RANGE = 5  # a service range holds it and no Service has it
    ON_LINK = 6
    NAT64 = 7  # inside the prefix of a translator

    @property
    def in_cluster(self) -> bool:
        """Whether the cluster itself delivers to it."""
        return self in {Place.NODE, Place.POD, Place.POD_RANGE, Place.SERVICE_RANGE}


class State(enum.IntEnum):
    """Whether a destination can be asked about in a family.

    >>> State(0).name
    'MEMBERS'
    """

    MEMBERS = 0
    NO_ADDRESS = 1
    NO_ENDPOINT = 2
    ENDPOINTS_UNKNOWN = 3
    NO_PORT = 4
    NOT_SERVED = 5  # a node port in a family that the Service has no cluster IP of


@dataclass(frozen=True)
class Asked:
    """What of a Service a flow asks for, as far as the proxy's decision depends on it.

    Parameters
    ----------
    target : Target
        Which of its addresses.
    internal_local, external_local : bool, default False
        Whether ``internalTrafficPolicy``, ``externalTrafficPolicy`` is Local.
    source_ranges : tuple of Cidr
        Of the family, what the address of a load balancer lets in; empty for all.
    node_address : str, default ""
        For a node port on another node: the address that was asked, whose proxy decides; empty where the pod's own
        node does.
    has_local, has_remote : bool, default False
        Whether that node has an endpoint, and whether another has.
    leaves : bool, default False
        Whether an endpoint is outside the cluster.
    """

    target: Target
    internal_local: bool = False
    external_local: bool = False
    source_ranges: tuple[Cidr, ...] = ()
    node_address: str = ""
    has_local: bool = False
    has_remote: bool = False
    leaves: bool = False


@dataclass(frozen=True, eq=False)
class Members:
    """Members of all destinations in one family, one a row, sorted by destination.

    Parameters
    ----------
    destination : ndarray of int32, shape (n,)
        Place of the destination.
    address : address column, shape (n,)
        What a packet carries after destination NAT.
    place : ndarray of uint8, shape (n,)
        A `Place`.
    node : ndarray of int32, shape (n,)
        Row of the node that has it or whose pod CIDR holds it; -1 for none.
    kind : ndarray of int64, shape (n,)
        Class: members of one class are alike to every rule.
    state : ndarray of uint8, shape (number of destinations + places inside,)
        A `State`.
    pod : ndarray of int32, shape (n,)
        Row of the pod that has it; -1 for none.
    host : ndarray of int32, shape (n,)
        Row of the node that it is on; -1 where it is on none.
    service : ndarray of int16, shape (n,)
        What of a Service was asked for, a place in `asked`; 0 for no Service.
    stays : ndarray of bool, shape (n,)
        Whether it is an endpoint for traffic alone that has to stay on its node.
    asked : tuple of Asked
        Each once; the first stands for no Service.
    inside : ndarray of int32, shape (number of destinations,)
        For a node port on another node: place of the members that pods of that very node reach, behind those of all
        destinations; -1 for other destinations.
    """

    destination: NDArray[np.int32]
    address: NDArray[Any]
    place: NDArray[np.uint8]
    node: NDArray[np.int32]
    kind: NDArray[np.int64]
    state: NDArray[np.uint8]
    pod: NDArray[np.int32]
    host: NDArray[np.int32]
    service: NDArray[np.int16]
    stays: NDArray[np.bool_]
    asked: tuple[Asked | None, ...]
    inside: NDArray[np.int32]

    def __len__(self) -> int:
        """Count the members."""
        return len(self.destination)


def members_of(
    destinations: Sequence[Destination], family: IPFamily, *, cluster: Cluster, network: Network, named: Sequence[Cidr]
) -> Members:
    """List the members of destinations in one family.

    Parameters
    ----------
    destinations : sequence of Destination
        As `read_destinations` gives them.
    family : IPFamily
        Which.
    cluster : Cluster
        Whose pods, nodes and ranges.
    network : Network
        With its translators and proxies.
    named : sequence of Cidr
        Blocks that rules name, of any family.

    Returns
    -------
    Members
        Sorted by destination.

    Raises
    ------
    None
        A destination without members has a state that says why.
    """
    found = _Gathered(family, families_of(named, family), cluster=cluster, network=network)
    for place, one in enumerate(destinations):
        found.add(place, one)
    found.add_inside(destinations)
    destination = np.array(found.destination, np.int32)
    address = from_integers(found.address, family=family)
    located = _Locations(cluster, network, family, address)
    names = {str(name): row for row, name in enumerate(cluster.nodes["name"].tolist())} if any(found.node) else {}
    given = np.array([names.get(name, -1) for name in found.node], np.int32)
    node, host = (np.where(known < 0, given, known).astype(np.int32) for known in (located.node, located.host))
    service, stays = np.array(found.service, np.int16), np.array(found.stays, np.bool_)
    state = np.array(found.state, np.uint8)
    lost = np.append(_down_rows(cluster, network), False)[host]
    cell = PrefixTable(found.borders).lookup(address)
    kind = codes_of([located.place, cell, located.in_pod_cidr, node >= 0, lost, service, stays])[0]
    # a Service has no endpoint any more on a node that is down; a node that was asked for stays what was asked for
    kept = ~(np.array(found.is_endpoint, np.bool_) & lost)
    left = np.bincount(destination[kept], minlength=len(state)) > 0
    state[(state == State.MEMBERS) & ~left] = State.NO_ENDPOINT
    for place in np.flatnonzero(np.array(found.inside) >= 0).tolist():
        if state[found.inside[place]] != State.MEMBERS:
            state[place] = state[found.inside[place]]
    columns = (destination, address, located.place, node, kind, located.pod, host, service, stays)
    destination, address, place, node, kind, pod, host, service, stays = (column[kept] for column in columns)
    return Members(
        destination,
        address,
        place,
        node,
        codes_of([kind])[0],
        state,
        pod,
        host,
        service,
        stays,
        tuple(found.asked),
        np.array(found.inside, np.int32),
    )


class _Gathered:
    """Members while they are collected."""

    def __init__(self, family: IPFamily, borders: Sequence[Cidr], *, cluster: Cluster, network: Network) -> None:
        self.family, self.borders, self.cluster, self.network = family, borders, cluster, network
        proxy = service_proxy(network.masquerades)
        self.is_bound = isinstance(proxy, KubeProxy) and proxy.mode == "ipvs"
        self.at_socket = isinstance(proxy, Cilium)  # it finds the endpoint before a packet leaves for any node
        self.destination: list[int] = []
        self.address: list[int] = []
        self.node: list[str] = []
        self.service: list[int] = []
        self.stays: list[bool] = []
        self.is_endpoint: list[bool] = []
        self.state: list[State] = []
        self.inside: list[int] = []
        self.asked: dict[Asked | None, int] = {None: 0}

    def add(self, place: int, one: Destination) -> None:
        """Add the members of one destination as pods on other nodes reach it."""
        self.inside.append(-1)
        self.state.append(self._add_one(place, one))

    def add_inside(self, destinations: Sequence[Destination]) -> None:
        """Add, behind all others, what pods reach on the very node whose port is asked for."""
        for place, one in enumerate(destinations):
            if self._is_elsewhere(one) and self.state[place] is State.MEMBERS:
                self.inside[place] = len(self.state)
                self.state.append(self._endpoints(len(self.state), one))

    @cached_property
    def node_of(self) -> dict[int, str]:
        """Names of nodes by their address of the family."""
        nodes, end = self.cluster.nodes, ENDS[self.family]
        rows = np.flatnonzero(nodes[f"has_internal_{end}"])
        return dict(zip(to_integers(nodes[f"internal_{end}"][rows]), nodes["name"][rows].tolist(), strict=True))

    def _is_elsewhere(self, one: Destination) -> bool:
        return one.target == Target.NODE_PORT and not self.at_socket

    def _add_one(self, place: int, one: Destination) -> State:
        texts = one.of_family(self.family)
        if one.service and (one.offers_port or not texts):
            state = self._served(one)
            if state is State.MEMBERS and self._is_elsewhere(one):
                self._put(place, parse_address(texts[0])[1], asked=self._asked_elsewhere(one, texts[0]))
                return state
            return self._endpoints(place, one) if state is State.MEMBERS else state
        if one.service and (one.target == Target.CLUSTER_IP or self.is_bound):
            return State.NO_PORT
        if not texts and one.is_name and self.family is IPFamily.IPV6:
            texts = _made_up(one, self.network)
        for text in texts:
            is_block = "/" in text
            for start in _starts(Cidr(text, host_bits="mask"), self.borders) if is_block else (parse_address(text)[1],):
                self._put(place, start)
        return State.MEMBERS if texts else State.NO_ADDRESS

    def _served(self, one: Destination) -> State:
        """Say whether a Service has endpoints in this family, and an address to ask for them."""
        if one.target and not one.of_family(self.family):
            return State.NO_ADDRESS
        if one.target == Target.NODE_PORT and self.family not in one.service_families:
            return State.NOT_SERVED
        if one.endpoints is None:
            return State.ENDPOINTS_UNKNOWN
        if any(family_of_text(text) is self.family for text, _ in one.endpoints):
            return State.MEMBERS
        return State.NO_ENDPOINT if one.target else State.NO_ADDRESS

    def _endpoints(self, place: int, one: Destination) -> State:
        """Add the endpoints of a Service; a headless one has addresses only through them."""
        asked = self._asked(one) if one.target else None
        for stays, held in ((False, one.endpoints or ()), (True, one.local_endpoints if one.target else ())):
            for text, node in held:
                if family_of_text(text) is self.family:
                    self._put(place, parse_address(text)[1], asked=asked, node=node, stays=stays, is_endpoint=True)
        return State.MEMBERS

    def _asked(self, one: Destination) -> Asked:
        ranges = tuple(block for text in one.source_ranges if (block := Cidr(text)).family is self.family)
        return Asked(Target(one.target), one.internal_local, one.external_local, ranges)

    def _asked_elsewhere(self, one: Destination, address: str) -> Asked:
        """Say what the proxy of the node that was asked knows."""
        mine = [each for each in (one.endpoints or ()) if family_of_text(each[0]) is self.family]
        further = one.local_endpoints if one.external_local else ()
        names = {node for text, node in (*mine, *further) if family_of_text(text) is self.family}
        number = parse_address(address)[1]
        node = self.node_of.get(number, "")
        return replace(
            self._asked(one),
            node_address=format_address(self.family, number),
            has_local=bool(node) and node in names,
            has_remote=any(other != node for _, other in mine),
            leaves=any(not node for _, node in mine),
        )

    def _put(
        self,
        place: int,
        address: int,
        *,
        asked: Asked | None = None,
        node: str = "",
        stays: bool = False,
        is_endpoint: bool = False,
    ) -> None:
        self.destination.append(place)
        self.address.append(address)
        self.node.append(node)
        self.service.append(self.asked.setdefault(asked, len(self.asked)))
        self.stays.append(stays)
        self.is_endpoint.append(is_endpoint)


def _starts(block: Cidr, borders: Sequence[Cidr]) -> list[int]:
    """Return an address of every stretch that borders cut a block into."""
    starts = {block.first + (1 if block.size > 2 else 0)}
    for border in borders:
        if border in block and border != block:
            starts |= {border.first, border.last + 1} if border.last < block.last else {border.first}
    return sorted(starts)


def _made_up(one: Destination, network: Network) -> tuple[str, ...]:
    """Addresses that DNS64 answers with for a name that has none of IPv6."""
    translators = [each for each in network.nat64 or () if each.dns64]
    servers = [parse_address(text)[1] for text in one.of_family(IPFamily.IPV4) if "/" not in text]
    if not translators or not servers:
        return ()
    column = from_integers(servers, family=IPFamily.IPV4)
    made, allowed = embed(column, translators[0].prefix)
    allowed |= _is_documentation(column)
    return tuple(format_address(IPFamily.IPV6, number) for number in to_integers(made[allowed]))


def _is_documentation(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Say which addresses stand for servers on the Internet in examples."""
    named = np.array([*("Documentation" in block.name for block in SPECIAL_PURPOSE), False])
    return np.asarray(named[special_purpose(column)])


def _down_rows(cluster: Cluster, network: Network) -> NDArray[np.bool_]:
    """Tell which nodes are down, by row."""
    down = np.zeros(len(cluster.nodes), np.bool_)
    if network.failed:
        lost = network.down_nodes(cluster)
        down[:] = [name in lost for name in cluster.nodes["name"].tolist()]
    return down


class _Locations:
    """Where addresses are, each asked of the pods, nodes and ranges of a cluster."""

    def __init__(self, cluster: Cluster, network: Network, family: IPFamily, address: NDArray[Any]) -> None:
        end, n = ENDS[family], len(address)
        rows = special_purpose(address)
        ordinary = np.array([*(block.is_global is not False for block in SPECIAL_PURPOSE), True])
        place = np.where(ordinary[rows] | _is_documentation(address), Place.INTERNET, Place.PRIVATE).astype(np.uint8)
        place[PrefixTable(_ON_LINK).lookup(address) >= 0] = Place.ON_LINK
        place[PrefixTable(Cidr(each.prefix) for each in network.nat64 or ()).lookup(address) >= 0] = Place.NAT64
        if family is IPFamily.IPV6:
            place[PrefixTable([WELL_KNOWN_PREFIX]).lookup(address) >= 0] = Place.NAT64
        place[PrefixTable(cluster.config.cluster_cidrs).lookup(address) >= 0] = Place.POD_RANGE
        nodes, pods = cluster.nodes, cluster.pods
        held = np.flatnonzero(nodes[f"has_pod_cidr_{end}"])
        blocks = PrefixTable.from_columns(nodes[f"pod_cidr_{end}"][held], nodes[f"pod_cidr_{end}_mask"][held])
        owner = np.append(held, -1)[blocks.lookup(address)].astype(np.int32)
        place[owner >= 0] = Place.POD_RANGE
        place[PrefixTable(cluster.config.service_cidrs).lookup(address) >= 0] = Place.SERVICE_RANGE
        self.in_pod_cidr = owner >= 0
        pod = _holders(address, pods[f"pod_{end}"], pods[f"has_pod_{end}"] & ~pods["host_network"])
        node = _holders(address, nodes[f"internal_{end}"], nodes[f"has_internal_{end}"])
        place[pod >= 0] = Place.POD
        place[node >= 0] = Place.NODE
        of_pod = np.append(pods["node"], np.int32(-1))[pod] if n else np.zeros(0, np.int32)
        self.pod, self.place = pod, place
        self.host = np.where(node >= 0, node, of_pod).astype(np.int32)
        """Row of the node that an address is on, whoever's block it is from."""
        self.node = np.where(node >= 0, node, np.where(owner >= 0, owner, of_pod)).astype(np.int32)


def _holders(address: NDArray[Any], column: NDArray[Any], has: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the row of a table that has each address, -1 for none."""
    rows = np.flatnonzero(has)
    mine = rows[isin(column[rows], address)] if len(rows) and len(address) else rows[:0]
    if not len(mine):
        return np.full(len(address), -1, np.int32)
    by_address = dict(zip(to_integers(column[mine])[::-1], mine.tolist()[::-1], strict=True))
    return np.array([by_address.get(number, -1) for number in to_integers(address)], np.int32)
