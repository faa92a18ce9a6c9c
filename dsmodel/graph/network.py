"""What decides about traffic and stands in no object of the cluster: routes, border NATs, NAT64, proxies, failures.

A `Network` is a frozen value. `Network.of` reads the masquerading and egress policies that the cluster's objects show;
all the rest is the caller's to say. What nobody said is unknown, and an answer that would need it is "unknown because"
it is missing, never "works". A what-if is the same network with something replaced (`Network.replacing`) or down
(`Network.failing`).

One thing is taken for granted: an answer to a node's own address, or to the address of an egress gateway, finds back
to it from wherever that address is routed at all, since nodes would not be a cluster otherwise.

What it does not know: egress policies and masquerading agents that a dump leaves out; firewalls outside the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.literals import format_address, parse_address
from dsmodel.errors import InvalidInput
from dsmodel.graph.gateways.contract import GatewayPolicy, Selection
from dsmodel.graph.gateways.reading import read_gateways
from dsmodel.graph.masquerade.reading import read_masquerades
from dsmodel.graph.translators import NAT64_PREFIX_LENGTHS, WELL_KNOWN_PREFIX

if TYPE_CHECKING:
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["NAT64", "BorderNAT", "Network", "TransparentProxy"]


@dataclass(frozen=True, kw_only=True)
class BorderNAT:
    """A translator between the nodes and the Internet, for one family.

    Parameters
    ----------
    name : str
        As its owner calls it.
    family : IPFamily or str
        Of the traffic that it translates.
    addresses : tuple of str
        Sources seen behind it; for NPTv6 the prefix. Empty where not known.
    kind : {"NAPT", "NPTv6"}
        Whether connections share addresses by port, or each address has its own.
    sources : tuple of str
        CIDRs of the sources that it translates; all if left out.
    zone : str, default ""
        Where it stands; it is down with its zone. Empty for more than one.
    serves : tuple of str
        Zones of the nodes that leave by it; all if left out.
    ports : int, optional
        Connections at once per address and destination (address, port, protocol); None where not known.

    Raises
    ------
    InvalidInput
        An address or CIDR that is none, or of the other family.

    Examples
    --------
    >>> BorderNAT(name="nat-a", family="IPv4", addresses=("203.0.113.9",), ports=55_000).title
    'NAT/nat-a'
    """

    name: str
    family: IPFamily
    addresses: tuple[str, ...] = ()
    kind: Literal["NAPT", "NPTv6"] = "NAPT"
    sources: tuple[str, ...] = ()
    zone: str = ""
    serves: tuple[str, ...] = ()
    ports: int | None = None

    def __post_init__(self) -> None:
        """Read what is text, and refuse what is none of it."""
        family = _family(self.family)
        object.__setattr__(self, "family", family)
        if self.kind not in {"NAPT", "NPTv6"}:
            raise InvalidInput(f"kind={self.kind!r}: allowed are NAPT and NPTv6")
        for name in ("addresses", "sources", "serves"):
            object.__setattr__(self, name, _texts(getattr(self, name), name))
        addresses = tuple(_canonical(each) for each in self.addresses)
        object.__setattr__(self, "addresses", addresses)
        for text in (*addresses, *self.sources):
            found = Cidr(text).family if "/" in text else parse_address(text)[0]
            if found is not family:
                raise InvalidInput(f"BorderNAT {self.name}: {text} is no {family}; a NAT is of one family, give two")

    @property
    def title(self) -> str:
        """Kind and name, as `Network.failing` takes it."""
        return f"NAT/{self.name}"


@dataclass(frozen=True, kw_only=True)
class NAT64:
    """A stateful translator from IPv6 clients to IPv4 servers.

    Parameters
    ----------
    prefix : str, default "64:ff9b::/96"
        IPv6 destinations that it takes.
    addresses : tuple of str
        IPv4 sources seen behind it; empty where not known.
    dns64 : bool, default True
        Whether the cluster's resolver makes up AAAA records for names that have none.
    ports : int, optional
        Connections at once per address and destination; None where not known.

    Raises
    ------
    InvalidInput
        A prefix that is no IPv6 block, an address that is no IPv4 one.

    Examples
    --------
    >>> NAT64(addresses=("203.0.113.64",)).title
    'NAT64/64:ff9b::/96'
    """

    prefix: str = str(WELL_KNOWN_PREFIX)
    addresses: tuple[str, ...] = ()
    dns64: bool = True
    ports: int | None = None

    def __post_init__(self) -> None:
        """Read what is text, and refuse what is none of it."""
        if (block := Cidr(self.prefix)).family is not IPFamily.IPV6:
            raise InvalidInput(f"NAT64 prefix {self.prefix} is IPv4; clients are IPv6: give for instance 64:ff9b::/96")
        if block.prefix_length not in NAT64_PREFIX_LENGTHS:
            raise InvalidInput(f"NAT64 prefix {self.prefix}: RFC 6052 allows the lengths {NAT64_PREFIX_LENGTHS}")
        object.__setattr__(self, "prefix", str(block))
        object.__setattr__(self, "addresses", tuple(_canonical(each) for each in _texts(self.addresses, "addresses")))
        for text in self.addresses:
            if parse_address(text)[0] is not IPFamily.IPV4:
                raise InvalidInput(f"NAT64 address {text} is IPv6; servers are IPv4: give the IPv4 address they see")

    @property
    def title(self) -> str:
        """Kind and name, as `Network.failing` takes it."""
        return f"NAT64/{self.prefix}"


@dataclass(frozen=True, kw_only=True)
class TransparentProxy:
    """A proxy in the pod's own namespace, such as a mesh's sidecar: it opens a connection of its own, from the pod.

    Parameters
    ----------
    name : str
        As its owner calls it.
    selects : Selection
        Pods that have it; all if left out.
    families : tuple of str
        Families whose connections it captures.
    ports : tuple of int
        Destination ports that it captures; all if left out.
    other_family : {"bypass", "reject"}
        What becomes of the family that it does not capture.

    Raises
    ------
    InvalidInput
        A word that is none of those.

    Examples
    --------
    >>> TransparentProxy(name="mesh", families=("IPv4",)).other_family
    'bypass'
    """

    name: str
    selects: Selection = field(default_factory=Selection)
    families: tuple[str, ...] = ("IPv4", "IPv6")
    ports: tuple[int, ...] = ()
    other_family: Literal["bypass", "reject"] = "bypass"

    def __post_init__(self) -> None:
        """Refuse what is none of the words."""
        if self.other_family not in {"bypass", "reject"}:
            raise InvalidInput(f"other_family={self.other_family!r}: allowed are bypass and reject")
        object.__setattr__(self, "families", tuple(_family(each) for each in self.families))

    @property
    def title(self) -> str:
        """Kind and name."""
        return f"Proxy/{self.name}"


@dataclass(frozen=True, kw_only=True, repr=False)
class Network:
    """What decides about traffic, beside the tables of a cluster.

    Parameters
    ----------
    masquerades : tuple, optional
        Of `dsmodel.graph.masquerade`, in the order in which they see a packet; None where not known.
    gateways : tuple of GatewayPolicy
        Egress policies.
    border : mapping of IPFamily to tuple of BorderNAT
        All there are, empty for none; a family left out is not known.
    routed : mapping of IPFamily to tuple of Cidr
        Blocks of pods that routers outside send back to the cluster; a family left out is not known.
    default_route : mapping of IPFamily to bool
        Whether nodes have a route to everywhere; a family left out is not known.
    nat64 : tuple of NAT64, optional
        All there are; None where not known.
    proxies : tuple of TransparentProxy
        All there are.
    policy_table : str, default "rfc6724"
        Address selection of the pods' resolver, a name of `dsmodel.graph.selection.POLICIES`.
    failed : frozenset of str
        What is down: "Node/worker-1" or its name, "Zone/zone-a", "NAT/nat-a", "NAT64/64:ff9b::/96", an egress address,
        a gateway's title.
    findings : tuple of Finding
        What was wrong with the objects it was read from.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> network = Network.of(kubeadm_dual_stack(), masquerades=(), default_route=True, nat64=())
    >>> [line for line in network.unknown if "IPv6" in line]
    ['border NATs of IPv6 (border)', 'blocks that are routed back to pods of IPv6 (routed)']
    """

    masquerades: tuple[Any, ...] | None = None
    gateways: tuple[GatewayPolicy, ...] = ()
    border: Mapping[IPFamily, tuple[BorderNAT, ...]] = field(default_factory=dict)
    routed: Mapping[IPFamily, tuple[Cidr, ...]] = field(default_factory=dict)
    default_route: Mapping[IPFamily, bool] = field(default_factory=dict)
    nat64: tuple[NAT64, ...] | None = None
    proxies: tuple[TransparentProxy, ...] = ()
    policy_table: str = "rfc6724"
    failed: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, cluster: Cluster, **overrides: Any) -> Self:
        """Read what the objects of a cluster show, and take the rest as given.

        Parameters
        ----------
        cluster : Cluster
            With the objects of its network, as a dump has them.
        **overrides : object
            Fields by name, in place of what was read; see `replacing` for the forms they may have.

        Returns
        -------
        Network
            Masquerading is not known where no object tells of any.

        Raises
        ------
        InvalidInput
            A field that there is not, or a value of another kind; the message names both.

        Examples
        --------
        >>> from dsmodel.cluster.examples import kubeadm_dual_stack
        >>> Network.of(kubeadm_dual_stack(), default_route=["IPv4"]).default_route[IPFamily.IPV6]
        False
        """
        gateways, findings = read_gateways(cluster)
        read: dict[str, Any] = {"gateways": tuple(gateways)}
        masquerades, more = read_masquerades(cluster)
        read["masquerades"] = tuple(masquerades) if masquerades else None
        read["findings"] = (*findings, *more)
        return cls(**read).replacing(**overrides)

    def replacing(self, **changes: Any) -> Self:
        """Return the same network with some fields exchanged.

        Parameters
        ----------
        **changes : object
            Fields by name. ``border`` may be a sequence of `BorderNAT` and ``routed`` a sequence of CIDRs, all there
            are in both families, or a mapping by family; ``default_route`` True, False, the families that have one, or
            a mapping by family; ``nat64`` one or several; ``failed`` any collection of names.

        Returns
        -------
        Network
            This one stays as it is.

        Raises
        ------
        InvalidInput
            A field that there is not, or a value of another kind; the message names both.

        Examples
        --------
        >>> network = Network().replacing(routed=["10.244.0.0/16"], border=())
        >>> {str(family): list(map(str, blocks)) for family, blocks in network.routed.items()}
        {'IPv4': ['10.244.0.0/16'], 'IPv6': []}
        """
        names = [each.name for each in fields(self)]
        if wrong := sorted(set(changes) - set(names)):
            raise InvalidInput(f"a network has no {', '.join(wrong)}; it has {', '.join(names)}")
        return replace(self, **{name: _READERS.get(name, _as_given)(value) for name, value in changes.items()})

    def failing(self, *names: str) -> Self:
        """Return the same network with more of it down.

        Parameters
        ----------
        *names : str
            As `failed` has them.

        Returns
        -------
        Network
            This one stays as it is.

        Raises
        ------
        None
            What is called by no such name fails nothing.

        Examples
        --------
        >>> sorted(Network().failing("Node/a").failing("NAT/b").failed)
        ['NAT/b', 'Node/a']
        """
        return self.replacing(failed=self.failed | set(names))

    def down_nodes(self, cluster: Cluster) -> frozenset[str]:
        """Return the names of the nodes that are down, alone or with their zone.

        Parameters
        ----------
        cluster : Cluster
            Whose nodes.

        Returns
        -------
        frozenset of str
            Names.

        Raises
        ------
        None
            Every cluster has an answer.
        """
        lost = {each.removeprefix("Node/") for each in self.failed}
        zones = {each.removeprefix("Zone/") for each in self.failed if each.startswith("Zone/")}
        rows = zip(cluster.nodes["name"].tolist(), cluster.nodes["zone"].tolist(), strict=True)
        return frozenset(name for name, zone in rows if name in lost or zone in zones)

    def is_down(self, nat: BorderNAT | NAT64) -> bool:
        """Tell whether a translator is down, alone or with its zone.

        Parameters
        ----------
        nat : BorderNAT or NAT64
            One of this network's.

        Returns
        -------
        bool
            By its title, and by the zone it stands in.

        Raises
        ------
        None
            Every translator has an answer.

        Examples
        --------
        >>> nat = BorderNAT(name="a", family="IPv4", zone="zone-a")
        >>> Network(failed=frozenset({"Zone/zone-a"})).is_down(nat)
        True
        """
        zone = nat.zone if isinstance(nat, BorderNAT) else ""
        return nat.title in self.failed or bool(zone and f"Zone/{zone}" in self.failed)

    @property
    def unknown(self) -> tuple[str, ...]:
        """What nobody said, in words, with the field that would say it."""
        missing = [] if self.masquerades is not None else ["masquerading on the nodes (masquerades)"]
        for family in IPFamily:
            for name, words in _PER_FAMILY.items():
                if family not in getattr(self, name):
                    missing.append(f"{words} of {family} ({name})")
        return (*missing, *(() if self.nat64 is not None else ("NAT64 translators (nat64)",)))

    def __repr__(self) -> str:
        """Return what is known, and what is not, in one line."""
        masquerades = "unknown" if self.masquerades is None else f"{len(self.masquerades)}"
        parts = [f"masquerades {masquerades}", f"gateway policies {len(self.gateways)}"]
        parts += [f"down {', '.join(sorted(self.failed))}"] if self.failed else []
        return f"Network({'; '.join(parts)}; {len(self.unknown)} unknown)"


_PER_FAMILY: Final[Mapping[str, str]] = {
    "border": "border NATs",
    "routed": "blocks that are routed back to pods",
    "default_route": "default route",
}


def _family(value: Any) -> IPFamily:
    """Read a family."""
    try:
        return IPFamily(value)
    except ValueError:
        raise InvalidInput(f"family {value!r}: allowed are IPv4 and IPv6") from None


def _canonical(text: str) -> str:
    """Write an address or CIDR in canonical text."""
    return str(Cidr(text)) if "/" in text else format_address(*parse_address(text))


def _texts(value: Any, name: str) -> tuple[str, ...]:
    """Read one text or several."""
    if isinstance(value, str):
        return (value,)
    given = tuple(value)
    if wrong := [each for each in given if not isinstance(each, str)]:
        raise InvalidInput(f"{name}: {wrong[0]!r} is no text")
    return given


def _by_family(value: Any, *, name: str, read: Any, family_of: Any) -> Mapping[IPFamily, tuple[Any, ...]]:
    """Read a mapping by family, or a sequence that holds all there are of both."""
    if isinstance(value, Mapping):
        return {_family(key): tuple(read(each) for each in _listed(held)) for key, held in value.items()}
    if not isinstance(value, Iterable):
        raise InvalidInput(f"{name}={value!r}: give a sequence, or a mapping by family")
    given = [read(each) for each in _listed(value)]
    return {family: tuple(each for each in given if family_of(each) is family) for family in IPFamily}


def _listed(value: Any) -> tuple[Any, ...]:
    """Return one value or several as a tuple."""
    return (value,) if isinstance(value, str | BorderNAT | NAT64 | Cidr | TransparentProxy) else tuple(value)


def _border(value: Any) -> Mapping[IPFamily, tuple[Any, ...]]:
    def read(each: Any) -> BorderNAT:
        if not isinstance(each, BorderNAT):
            raise InvalidInput(f"border: {each!r} is no BorderNAT")
        return each

    return _by_family(value, name="border", read=read, family_of=lambda each: each.family)


def _routed(value: Any) -> Mapping[IPFamily, tuple[Any, ...]]:
    def read(each: Any) -> Cidr:
        return each if isinstance(each, Cidr) else Cidr(each)

    return _by_family(value, name="routed", read=read, family_of=lambda each: each.family)


def _default_route(value: Any) -> Mapping[IPFamily, bool]:
    if isinstance(value, bool):
        return dict.fromkeys(IPFamily, value)
    if isinstance(value, Mapping):
        return {_family(key): bool(held) for key, held in value.items()}
    have = {_family(each) for each in _listed(value)}
    return {family: family in have for family in IPFamily}


def _translators(value: Any) -> tuple[NAT64, ...] | None:
    if value is None:
        return None
    found = _listed(value)
    if wrong := [each for each in found if not isinstance(each, NAT64)]:
        raise InvalidInput(f"nat64: {wrong[0]!r} is no NAT64")
    return cast("tuple[NAT64, ...]", found)


def _as_given(value: Any) -> Any:
    return value


def _all_of(value: Any) -> tuple[Any, ...] | None:
    return None if value is None else _listed(value)


def _failed(value: Any) -> frozenset[str]:
    return frozenset(_texts(value, "failed"))


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "border": _border,
    "default_route": _default_route,
    "failed": _failed,
    "findings": _all_of,
    "gateways": _all_of,
    "masquerades": _all_of,
    "nat64": _translators,
    "proxies": _all_of,
    "routed": _routed,
}
