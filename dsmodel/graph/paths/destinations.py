"""Where traffic is to go: names, addresses, blocks and Services, and what of a Service is asked for.

- "internet" stands for an ordinary server on the Internet; so does any address that is globally reachable, or of a
  block set aside for documentation, which examples are written with.
- A port decides where nodes, and addresses that a Service claims, have several things behind them; `read_spelling`
  says how it is written. TCP where no protocol is said.
- An address that no Service claims on that port is the address itself.

What it does not know: names outside the cluster, except as they are given.

Sources: those of `dsmodel.graph.paths.services`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.literals import format_address, parse_address
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.errors import InvalidAddress, InvalidInput
from dsmodel.graph.masquerade.services import Target
from dsmodel.graph.paths.services import Backends, OfferedPort, Services, held
from dsmodel.graph.paths.spelling import PROTOCOLS, Spelled, read_spelling

if TYPE_CHECKING:
    from dsmodel.cluster.state import Cluster

__all__ = ["INTERNET", "Destination", "family_of_text", "read_destinations"]

INTERNET: Final = {IPFamily.IPV4: "198.41.0.4", IPFamily.IPV6: "2001:503:ba3e::2:30"}
"""What stands for any server on the Internet: a root name server's address of each family."""


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
    protocol : {"", "TCP", "UDP", "SCTP"}
        Of the port; empty where it is not said.
    service : str, default ""
        "namespace/name" where it is a Service.
    endpoints : tuple of (str, str), optional
        Endpoint addresses of a Service, with the name of the node of each (empty for outside); None where not known.
    local_endpoints : tuple of (str, str)
        Further ones that only traffic takes which has to stay on their node: they terminate, and no other there is
        ready.
    target : str, default ""
        What of the Service is asked for, a word of `dsmodel.graph.masquerade.services.Target`; empty for no Service,
        and for a headless one, whose endpoints clients reach without kube-proxy.
    service_families : tuple of IPFamily
        Families that the Service has a cluster IP of.
    offers_port : bool, default True
        Whether the Service has the port, as far as its ports are known.
    source_ranges : tuple of str
        Sources that the address of a load balancer lets in; empty for all.
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
    protocol: str = ""
    service: str = ""
    endpoints: tuple[tuple[str, str], ...] | None = None
    local_endpoints: tuple[tuple[str, str], ...] = ()
    target: str = ""
    service_families: tuple[IPFamily, ...] = ()
    offers_port: bool = True
    source_ranges: tuple[str, ...] = ()
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
        return tuple(text for text in self.addresses if family_of_text(text) == family)


def read_destinations(given: Any, cluster: Cluster, *, port: int | None = None) -> tuple[Destination, ...]:
    """Read what is asked about.

    Parameters
    ----------
    given : str, Destination, mapping or sequence of these
        "internet"; an address; a CIDR; "namespace/name" of a Service or a pod, "node/name" of a node; with a port
        behind a colon, if need be; a mapping of names to their addresses.
    cluster : Cluster
        Whose Services, pods and nodes.
    port : int, optional
        Of all that name none.

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
    >>> read_destinations("[2001:db8::1]:53/UDP", kubeadm_dual_stack())[0].port
    53
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
                read = Destination(name=str(name), addresses=tuple(map(str, texts)), is_name=True)
                found.append(_with_port(_spelled_name(read), port))
            continue
        one = each if isinstance(each, Destination) else names.read(str(each), port)
        found.append(names.complete(_with_port(one, port)))
    for one in found:
        for text in one.addresses:
            family_of_text(text)
    return tuple(found)


def _with_port(one: Destination, port: int | None) -> Destination:
    """Give a port to a destination that names none."""
    if port is not None and one.port not in {None, port}:
        raise InvalidInput(f"destination {one.name!r} names its port, and port={port} is another; give one of them")
    return one if port is None else replace(one, port=port)


def _spelled_name(one: Destination) -> Destination:
    """Read the port that a name of a mapping may end with; any text may be a name."""
    try:
        spelled = read_spelling(one.name)
    except InvalidInput:
        return one
    return one if spelled.port is None else replace(one, port=spelled.port, protocol=spelled.protocol)


class _Names:
    """Services, pods and nodes of a cluster by name and address."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._services = Services(cluster)

    def read(self, text: str, port: int | None) -> Destination:
        """Read one text; what it does not say of a port may be said beside it."""
        spelled = read_spelling(text)
        if spelled.port_name:
            if port is not None:
                raise InvalidInput(
                    f"destination {text!r} names its port, and port={port} is given too; give one of them"
                )
            return self._by_port_name(text, spelled)
        said = Destination(name=text, port=spelled.port, protocol=spelled.protocol)
        if spelled.host == "internet":
            return replace(said, addresses=tuple(INTERNET.values()))
        if not spelled.kind:
            try:
                family_of_text(spelled.host)
            except InvalidInput:
                pass
            else:
                if spelled.port is not None and "/" in spelled.host:
                    raise InvalidInput(f"destination {text!r}: a block has no port; give an address of it")
                return replace(said, addresses=(spelled.host,))
        service, addresses = self._named(text, spelled)
        return replace(said, service=service, addresses=addresses)

    def _named(self, text: str, spelled: Spelled) -> tuple[str, tuple[str, ...]]:
        """Find a Service, or the addresses of a pod or node."""
        if spelled.kind in {"", "Service"} and spelled.host in self._services.by_name:
            return spelled.host, ()
        if spelled.kind in {"", "Pod"} and (found := self._pod(spelled.host)) is not None:
            return "", found
        # "node/a" of a namespace that is called node is a pod or Service before it is the node a
        name = spelled.host if spelled.kind == "Node" else ""
        rows = np.flatnonzero((self._cluster.nodes["name"] == name) & bool(name))
        if len(rows):
            return "", held(self._cluster.nodes, int(rows[0]), "internal")
        what = spelled.kind or "Service or pod"
        raise InvalidInput(
            f"destination {text!r} is no address, no CIDR, and no {what} of the cluster; "
            "give a name with its addresses as a mapping: {'db.example': ['192.0.2.7']}"
        )

    def _pod(self, text: str) -> tuple[str, ...] | None:
        """Return the addresses of a pod; None where there is none of the name."""
        namespace, _, name = text.partition("/")
        pods = self._cluster.pods
        rows = np.flatnonzero((pods["namespace"] == namespace) & (pods["name"] == name) & bool(name))
        return held(pods, int(rows[0]), "pod") if len(rows) else None

    def _by_port_name(self, text: str, spelled: Spelled) -> Destination:
        """Find the number that a Service gives a name."""
        row = self._services.by_name.get(spelled.host, -1)
        ports = self._services.ports(row) if row >= 0 else ()
        named = [each for each in ports if each.name == spelled.port_name]
        if not named:
            known = ", ".join(each.name for each in ports if each.name) or "none"
            raise InvalidInput(
                f"destination {text!r}: {spelled.port_name!r} is no number, and no port that a Service "
                f"{spelled.host!r} of the cluster is known to name (names known: {known})"
            )
        if spelled.protocol not in {"", named[0].protocol}:
            raise InvalidInput(f"destination {text!r}: the Service's port {spelled.port_name!r} is {named[0].protocol}")
        return Destination(name=text, service=spelled.host, port=named[0].port, protocol=named[0].protocol)

    def complete(self, one: Destination) -> Destination:
        """Add what the cluster knows of a Service, found by name, or by an address and port of its own."""
        if one.protocol not in {"", *PROTOCOLS}:
            raise InvalidInput(f"destination {one.name!r}: protocol {one.protocol!r} is none of {', '.join(PROTOCOLS)}")
        row, target = self._found(one)
        if row < 0:
            return one
        services = self._services
        if services.is_headless(row):
            target = None
        ports = services.ports(row)
        asked = [each for each in ports if _is_asked(each, one, is_node_port=target is Target.NODE_PORT)]
        offers = bool(asked) or one.port is None or not ports or target is None
        backends = services.backends(row, asked[0].name if asked and one.port is not None else None)
        backends = backends if one.endpoints is None else Backends(one.endpoints, one.local_endpoints)
        return replace(
            one,
            service=services.title(row),
            addresses=one.addresses or services.addresses(row),
            endpoints=None if backends is None else backends.anywhere,
            local_endpoints=() if backends is None else backends.on_node,
            target="" if target is None else str(target),
            service_families=tuple(map(family_of_text, services.addresses(row))),
            offers_port=offers,
            source_ranges=services.source_ranges(row) if target is Target.LOAD_BALANCER else (),
            internal_local=one.internal_local or services.is_internal_local(row),
            external_local=one.external_local or services.is_external_local(row),
            is_name=False,
        )

    def _found(self, one: Destination) -> tuple[int, Target | None]:
        """Return the row of a Service, and what of it is asked for; -1 for none."""
        if one.service and one.target != Target.NODE_PORT:
            row = self._services.by_name.get(one.service, -1)
            if row < 0:
                raise InvalidInput(f"destination {one.name!r}: the cluster has no Service {one.service!r}")
            own = self._services.by_address.get(one.addresses[0]) if one.addresses else None
            return row, own[1] if own is not None and own[0] == row else Target.CLUSTER_IP
        if one.is_name or not one.addresses or any("/" in text for text in one.addresses):
            return -1, None
        if len(one.addresses) == 1 and self._services.by_address:
            family, number = parse_address(one.addresses[0])
            found = self._services.by_address.get(format_address(family, number))
            if found is not None:
                return found
        return self._node_port(one), Target.NODE_PORT

    def _node_port(self, one: Destination) -> int:
        """Return the Service that has the port on the node whose addresses these are; -1 for none."""
        candidates = self._services.by_node_port.get(one.port or 0, ())
        rows = [row for row, protocol in candidates if protocol in {"", one.protocol or "TCP"}]
        if not rows:
            return -1
        return rows[0] if all(parse_address(text) in self._node_addresses for text in one.addresses) else -1

    @cached_property
    def _node_addresses(self) -> frozenset[tuple[IPFamily, int]]:
        nodes = self._cluster.nodes
        return frozenset(
            (family, number)
            for family, end in ENDS.items()
            for number in to_integers(nodes[f"internal_{end}"][nodes[f"has_internal_{end}"]])
        )


def _is_asked(port: OfferedPort, one: Destination, *, is_node_port: bool) -> bool:
    """Tell whether a port of a Service is the one that is asked for."""
    number = port.node_port if is_node_port else port.port
    return one.port in {None, number} and port.protocol == (one.protocol or ("TCP" if one.port else port.protocol))


def family_of_text(text: str) -> IPFamily:
    """Return the family of an address or CIDR.

    Parameters
    ----------
    text : str
        Of a destination.

    Returns
    -------
    IPFamily
        Of what it says.

    Raises
    ------
    InvalidAddress
        It is neither.

    Examples
    --------
    >>> str(family_of_text("2001:db8::/32"))
    'IPv6'
    """
    try:
        return Cidr(text, host_bits="mask").family if "/" in text else parse_address(text)[0]
    except InvalidInput as error:
        raise InvalidAddress(f"destination {text!r} is no address and no CIDR: {error}") from None
