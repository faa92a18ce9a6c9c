"""Where traffic is to go: names, addresses, blocks and Services, read into members with a place each.

A destination has members of each family: one for an address, the ready endpoints of a Service, an address of every
stretch between the borders that rules draw through a block. Members of one class cannot be told apart by any rule.

- "internet" stands for an ordinary server on the Internet; so does any address that is globally reachable, or of a
  block set aside for documentation, which examples are written with.
- A Service's members are its endpoints: rules and policies see the address after destination NAT.
- Where the network has DNS64, a name without AAAA has the addresses that its resolver makes up.

What it does not know: which endpoint or address of several a client picks, and names, except as they are given.

Sources: `dsmodel.addresses.registries`; kubernetes/api discovery/v1 EndpointSlice; RFC 6147.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsmodel.addresses.arrays import from_integers, isin, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.literals import format_address, parse_address
from dsmodel.addresses.prefixes import PrefixTable
from dsmodel.addresses.registries import SPECIAL_PURPOSE, special_purpose
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.cluster.schema import TRAFFIC_POLICIES
from dsmodel.errors import InvalidAddress, InvalidInput
from dsmodel.graph.paths.blocks import codes_of, families_of
from dsmodel.graph.translators import WELL_KNOWN_PREFIX, embed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster
    from dsmodel.cluster.table import Table
    from dsmodel.graph.network import Network

__all__ = [
    "INTERNET",
    "SERVICE_WORDS",
    "Destination",
    "Members",
    "Place",
    "State",
    "members_of",
    "read_destinations",
]

INTERNET: Final = {IPFamily.IPV4: "198.41.0.4", IPFamily.IPV6: "2001:503:ba3e::2:30"}
"""What stands for any server on the Internet: a root name server's address of each family."""

_ON_LINK: Final = tuple(
    Cidr(text) for text in ("127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "::1/128", "fe80::/10", "ff00::/8")
)
_READY: Final = {None, True}
SERVICE_WORDS: Final = ("", "ClusterIP", "ClusterIP iTP Local", "LoadBalancer", "LoadBalancer eTP Local")
"""What of a Service is asked for, with the traffic policy that is Local."""


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


@dataclass(frozen=True, kw_only=True)
class Destination:
    """One destination, by name, with its addresses of each family.

    Parameters
    ----------
    name : str
        As answers give it.
    addresses : tuple of str
        Addresses of both families, or CIDRs.
    port : int, optional
        Transport port; None for any.
    service : str, default ""
        "namespace/name" where it is a Service.
    endpoints : tuple of (str, str), optional
        Endpoint addresses of a Service, with the name of the node of each (empty for outside); None where not known.
    target : str, default ""
        What of the Service is asked for: "ClusterIP" or "LoadBalancer"; empty for no Service, and for a headless one,
        whose endpoints clients reach without kube-proxy.
    internal_local, external_local : bool, default False
        Whether ``internalTrafficPolicy``, ``externalTrafficPolicy`` is Local.
    is_name : bool, default False
        Whether clients reach it by name, so that DNS64 has its say.

    Examples
    --------
    >>> Destination(name="db.example", addresses=("192.0.2.7",), port=5432, is_name=True).of_family("IPv6")
    ()
    """

    name: str
    addresses: tuple[str, ...] = ()
    port: int | None = None
    service: str = ""
    endpoints: tuple[tuple[str, str], ...] | None = None
    target: str = ""
    internal_local: bool = False
    external_local: bool = False
    is_name: bool = False

    def of_family(self, family: IPFamily | str) -> tuple[str, ...]:
        """Return the addresses and CIDRs of one family.

        Parameters
        ----------
        family : IPFamily or str
            Which.

        Returns
        -------
        tuple of str
            In their order.

        Raises
        ------
        InvalidInput
            A text that is no address and no CIDR.
        """
        return tuple(text for text in self.addresses if _family_of(text) == family)


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
    state : ndarray of uint8, shape (number of destinations,)
        A `State`.
    pod : ndarray of int32, shape (n,)
        Row of the pod that has it; -1 for none.
    host : ndarray of int32, shape (n,)
        Row of the node that it is on; -1 where it is on none.
    service : ndarray of int8, shape (n,)
        What of a Service was asked for, a number of `SERVICE_WORDS`; 0 for no Service.
    """

    destination: NDArray[np.int32]
    address: NDArray[Any]
    place: NDArray[np.uint8]
    node: NDArray[np.int32]
    kind: NDArray[np.int64]
    state: NDArray[np.uint8]
    pod: NDArray[np.int32]
    host: NDArray[np.int32]
    service: NDArray[np.int8]

    def __len__(self) -> int:
        """Count the members."""
        return len(self.destination)


def read_destinations(given: Any, cluster: Cluster) -> tuple[Destination, ...]:
    """Read what is asked about.

    Parameters
    ----------
    given : str, Destination, mapping or sequence of these
        "internet"; an address; a CIDR; "namespace/name" of a Service or a pod; a mapping of names to their addresses.
    cluster : Cluster
        Whose Services and pods.

    Returns
    -------
    tuple of Destination
        In the order given.

    Raises
    ------
    InvalidInput
        What is none of these; the message names it.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> given = ["internet", "2001:db8::10", {"db.example": ["192.0.2.7", "2001:db8::7"]}, "default/kubernetes"]
    >>> [each.name for each in read_destinations(given, kubeadm_dual_stack())]
    ['internet', '2001:db8::10', 'db.example', 'default/kubernetes']
    """
    if isinstance(given, str | Destination | Mapping):
        given = [given]
    if not isinstance(given, Sequence):
        raise InvalidInput(f"destinations={given!r}: give text, a Destination, a mapping, or a sequence of these")
    names = _Names(cluster)
    found: list[Destination] = []
    for each in given:
        if isinstance(each, Mapping):
            for name, addresses in each.items():
                texts = (addresses,) if isinstance(addresses, str) else tuple(addresses)
                found.append(Destination(name=str(name), addresses=tuple(map(str, texts)), is_name=True))
        else:
            found.append(names.complete(each if isinstance(each, Destination) else names.read(str(each))))
    for one in found:
        for text in one.addresses:
            _family_of(text)
    return tuple(found)


class _Names:
    """Services and pods of a cluster by name and address, looked up when first asked for."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._services: dict[str, int] | None = None  # rows by name
        self._addresses: dict[str, int] = {}  # rows by address
        self._slices: dict[str, list[dict[str, Any]]] | None = None

    def read(self, text: str) -> Destination:
        """Read one text."""
        if text == "internet":
            return Destination(name=text, addresses=tuple(INTERNET.values()))
        try:
            _family_of(text)
        except InvalidInput:
            return self._named(text)
        return Destination(name=text, addresses=(text,))

    def _named(self, text: str) -> Destination:
        """Find a Service or a pod."""
        if text in self._by_name:
            return Destination(name=text, service=text)
        namespace, _, name = text.partition("/")
        pods = self._cluster.pods
        rows = np.flatnonzero((pods["namespace"] == namespace) & (pods["name"] == name))
        if not name or not len(rows):
            raise InvalidInput(
                f"destination {text!r} is no address, no CIDR, and no Service or pod of the cluster; "
                "give a name with its addresses as a mapping: {'db.example': ['192.0.2.7']}"
            )
        row = int(rows[0])
        return Destination(name=text, addresses=_held(pods, row, "pod"))

    def complete(self, one: Destination) -> Destination:
        """Add what the cluster knows of a Service, found by name or by an address of its own."""
        row = self._by_name.get(one.service, -1)
        if one.service and row < 0:
            raise InvalidInput(f"destination {one.name!r}: the cluster has no Service {one.service!r}")
        if not one.service and len(one.addresses) == 1:
            row = self._addresses.get(one.addresses[0], -1)
        if row < 0:
            return one
        services = self._cluster.services
        name = f"{services['namespace'][row]}/{services['name'][row]}"
        addresses = one.addresses or self._own(row)
        target = "" if services["headless"][row] else "ClusterIP"
        if one.addresses and target and one.addresses[0] not in self._own(row):
            target = "LoadBalancer"
        endpoints = one.endpoints if one.endpoints is not None else self._endpoints(name)
        external = TRAFFIC_POLICIES[int(services["external_traffic_policy"][row])] == "Local"
        return replace(
            one,
            service=name,
            addresses=addresses,
            endpoints=endpoints,
            target=target,
            internal_local=one.internal_local or self._is_internal_local(name),
            external_local=one.external_local or external,
            is_name=False,
        )

    @property
    def _by_name(self) -> dict[str, int]:
        """Rows of Services by name; fills those by address too."""
        if self._services is None:
            table = self._cluster.services
            names = zip(table["namespace"].tolist(), table["name"].tolist(), strict=True)
            self._services = {f"{namespace}/{name}": row for row, (namespace, name) in enumerate(names) if name}
            for family, end in ENDS.items():
                for column in (f"cluster_{end}", f"external_{end}"):
                    rows = np.flatnonzero(table[f"has_{column}"])
                    numbers = to_integers(table[column][rows])
                    for row, number in zip(rows.tolist(), numbers, strict=True):
                        self._addresses.setdefault(format_address(family, number), row)
        return self._services

    def _own(self, row: int) -> tuple[str, ...]:
        """Cluster IPs of a Service."""
        return _held(self._cluster.services, row, "cluster")

    def _endpoints(self, name: str) -> tuple[tuple[str, str], ...] | None:
        """Ready endpoints of a Service with the node of each; None where no EndpointSlice is known."""
        if self._slices is None:
            self._slices = {}
            for each in self._cluster.objects.of("EndpointSlice", "discovery.k8s.io"):
                metadata = each.get("metadata") or {}
                owner = (metadata.get("labels") or {}).get("kubernetes.io/service-name")
                self._slices.setdefault(f"{metadata.get('namespace') or 'default'}/{owner}", []).append(each)
        return tuple(dict.fromkeys(_ready(self._slices[name]))) if name in self._slices else None

    def _is_internal_local(self, name: str) -> bool:
        """Whether internal traffic of a Service stays on the node."""
        return any(
            f"{_metadata(each, 'namespace') or 'default'}/{_metadata(each, 'name')}" == name
            and (each.get("spec") or {}).get("internalTrafficPolicy") == "Local"
            for each in self._cluster.objects.of("Service", "")
        )


def _held(table: Table, row: int, column: str) -> tuple[str, ...]:
    """Return the addresses that a row has, by family."""
    return tuple(
        format_address(family, to_integers(table[f"{column}_{end}"][row : row + 1])[0])
        for family, end in ENDS.items()
        if table[f"has_{column}_{end}"][row]
    )


def _metadata(item: Mapping[str, Any], key: str) -> str:
    return str((item.get("metadata") or {}).get(key) or "")


def _ready(slices: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield address and node of the endpoints that traffic goes to."""
    for each in slices:
        for endpoint in each.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") in _READY:
                for address in (endpoint.get("addresses") or ())[:1]:
                    yield str(address), str(endpoint.get("nodeName") or "")


def _family_of(text: str) -> IPFamily:
    """Return the family of an address or CIDR."""
    try:
        return Cidr(text, host_bits="mask").family if "/" in text else parse_address(text)[0]
    except InvalidInput as error:
        raise InvalidAddress(f"destination {text!r} is no address and no CIDR: {error}") from None


# members -----------------------------------------------------------------------------------------------------------


@dataclass
class _Gathered:
    """Members while they are collected."""

    destination: list[int] = field(default_factory=list)
    address: list[int] = field(default_factory=list)
    node: list[str] = field(default_factory=list)


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
        With its translators.
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
    borders = families_of(named, family)
    state = np.zeros(len(destinations), np.uint8)
    found = _Gathered()
    for place, one in enumerate(destinations):
        state[place] = _gather(found, place, one, family=family, borders=borders, network=network)
    destination = np.array(found.destination, np.int32)
    address = from_integers(found.address, family=family)
    located = _Locations(cluster, network, family, address)
    names = {str(name): row for row, name in enumerate(cluster.nodes["name"].tolist())} if any(found.node) else {}
    given = np.array([names.get(name, -1) for name in found.node], np.int32)
    node, host = (np.where(known < 0, given, known).astype(np.int32) for known in (located.node, located.host))
    lost = np.append(_down_rows(cluster, network), False)[host]
    cell = PrefixTable(borders).lookup(address)
    words = np.array([SERVICE_WORDS.index(_service_words(one)) for one in destinations], np.int8)
    service = words[destination]
    kind = codes_of([located.place, cell, located.in_pod_cidr, node >= 0, lost, service])[0]
    # a Service has no endpoint any more on a node that is down
    kept = ~(np.array([bool(one.service) for one in destinations], np.bool_)[destination] & lost)
    left = np.bincount(destination[kept], minlength=len(destinations)) > 0
    state[(state == State.MEMBERS) & ~left] = State.NO_ENDPOINT
    columns = (destination, address, located.place, node, kind, located.pod, host, service)
    destination, address, place, node, kind, pod, host, service = (column[kept] for column in columns)
    return Members(destination, address, place, node, codes_of([kind])[0], state, pod, host, service)


def _service_words(one: Destination) -> str:
    """Say what of a Service is asked for."""
    if one.target == "ClusterIP":
        return "ClusterIP iTP Local" if one.internal_local else "ClusterIP"
    if one.target:
        return "LoadBalancer eTP Local" if one.external_local else "LoadBalancer"
    return ""


def _gather(
    found: _Gathered, place: int, one: Destination, *, family: IPFamily, borders: Sequence[Cidr], network: Network
) -> State:
    """Add the members of one destination."""
    texts = one.of_family(family)
    if one.service:
        return _gather_endpoints(found, place, one, family)
    if not texts and one.is_name and family is IPFamily.IPV6:
        texts = _made_up(one, network)
    for text in texts:
        for start in _starts(Cidr(text, host_bits="mask"), borders) if "/" in text else (parse_address(text)[1],):
            _add(found, place, start)
    return State.MEMBERS if texts else State.NO_ADDRESS


def _gather_endpoints(found: _Gathered, place: int, one: Destination, family: IPFamily) -> State:
    """Add the endpoints of a Service; a headless one has addresses only through them."""
    if one.target and not one.of_family(family):
        return State.NO_ADDRESS
    if one.endpoints is None:
        return State.ENDPOINTS_UNKNOWN
    held = [(text, node) for text, node in one.endpoints if _family_of(text) is family]
    for text, node in held:
        _add(found, place, parse_address(text)[1], node)
    if held:
        return State.MEMBERS
    return State.NO_ENDPOINT if one.target else State.NO_ADDRESS


def _starts(block: Cidr, borders: Sequence[Cidr]) -> list[int]:
    """Return an address of every stretch that borders cut a block into."""
    starts = {block.first + (1 if block.size > 2 else 0)}
    for border in borders:
        if border in block and border != block:
            starts |= {border.first, border.last + 1} if border.last < block.last else {border.first}
    return sorted(starts)


def _add(found: _Gathered, place: int, address: int, node: str = "") -> None:
    found.destination.append(place)
    found.address.append(address)
    found.node.append(node)


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
