"""Rules that rewrite sources, as small as the kernel's own: ordered chains of matches with an action.

A component compiles its settings to `Chain` values of one family. The same chains are decided over columns
(`dsmodel.graph.masquerade.evaluation`) and written for the kernel (`dsmodel.graph.masquerade.rendering`), so what is
tested there holds here.

- A set of addresses is fixed blocks, or a set that each node has its own of (`Special`).
- ``RETURN`` ends its chain and is no veto: the next component's chain still runs. ``ACCEPT`` in iptables ends
  everything; in nftables it ends its own base chain only.
- Ports a rule chooses never change the address it gives.

What it does not know: protocols and ports of flows; interfaces, but for the addresses that are reached through them.

Sources: iptables-extensions(8) (addrtype, mark, set, statistic, MASQUERADE, SNAT); nft(8);
``net/netfilter/nf_nat_core.c`` of Linux 6.x, where a base chain that binds nothing lets the next one decide.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "LINK_LOCAL",
    "LOCAL",
    "LOOPBACK",
    "MULTICAST",
    "NODE_ADDRESSES",
    "OWN_PODS",
    "OWN_POD_CIDR",
    "POD_CIDRS",
    "Action",
    "AddressSet",
    "Backend",
    "Chain",
    "Device",
    "Match",
    "Rule",
    "Special",
    "blocks",
    "inside",
    "outside",
]

LINK_LOCAL = {IPFamily.IPV4: Cidr("169.254.0.0/16"), IPFamily.IPV6: Cidr("fe80::/10")}
LOOPBACK = {IPFamily.IPV4: Cidr("127.0.0.0/8"), IPFamily.IPV6: Cidr("::1/128")}
MULTICAST = {IPFamily.IPV4: Cidr("224.0.0.0/4"), IPFamily.IPV6: Cidr("ff00::/8")}


class Action(enum.StrEnum):
    """What a rule does with a packet that fits.

    >>> Action("MASQUERADE").is_final
    True
    """

    RETURN = "RETURN"
    ACCEPT = "ACCEPT"
    MASQUERADE = "MASQUERADE"
    SNAT = "SNAT"
    CLEAR_MARK = "CLEAR_MARK"
    UNKNOWN = "UNKNOWN"

    @property
    def is_final(self) -> bool:
        """Whether no rule after it is looked at in its chain; only taking the mark off goes on."""
        return self is not Action.CLEAR_MARK

    @property
    def translates(self) -> bool:
        """Whether it rewrites the source."""
        return self in {Action.MASQUERADE, Action.SNAT}


class Special(enum.StrEnum):
    """A set of addresses that nodes tell, and most of them differently.

    >>> Special.OWN_PODS.value
    'own pods'
    """

    LOCAL = "local addresses"  # of the node itself; with loopback, what the kernel calls LOCAL
    NODE_ADDRESSES = "node addresses"  # of every node
    OWN_POD_CIDR = "own pod CIDR"
    POD_CIDRS = "pod CIDRs"  # of every node
    OWN_PODS = "own pods"  # addresses of pods on the node that have a network namespace; sources only


@dataclass(frozen=True)
class AddressSet:
    """Addresses of both families, of which a rule sees those of its own.

    Parameters
    ----------
    name : str
        As reports give it.
    cidrs : tuple of Cidr
        Fixed blocks.
    special : tuple of Special
        What the nodes add to them.
    """

    name: str
    cidrs: tuple[Cidr, ...] = ()
    special: tuple[Special, ...] = ()

    def of_family(self, family: IPFamily) -> tuple[Cidr, ...]:
        """Return the fixed blocks of one family.

        Parameters
        ----------
        family : IPFamily
            Which.

        Returns
        -------
        tuple of Cidr
            In the order given; loopback is among the local addresses.

        Raises
        ------
        None
            A family without blocks has none.

        Examples
        --------
        >>> LOCAL.of_family(IPFamily.IPV6)
        (Cidr('::1/128'),)
        """
        loopback = (LOOPBACK[family],) if Special.LOCAL in self.special else ()
        return (*(cidr for cidr in self.cidrs if cidr.family is family), *loopback)


LOCAL = AddressSet("addresses of the node itself", special=(Special.LOCAL,))
NODE_ADDRESSES = AddressSet("addresses of nodes", special=(Special.NODE_ADDRESSES,))
OWN_POD_CIDR = AddressSet("the node's pod CIDR", special=(Special.OWN_POD_CIDR,))
POD_CIDRS = AddressSet("pod CIDRs of all nodes", special=(Special.POD_CIDRS,))
OWN_PODS = AddressSet("pods of the node", special=(Special.OWN_PODS,))


@dataclass(frozen=True)
class Match:
    """Whether an address is inside a set, or outside it.

    Parameters
    ----------
    addresses : AddressSet
        The set.
    negated : bool, default False
        True for outside.
    """

    addresses: AddressSet
    negated: bool = False


@dataclass(frozen=True)
class Device:
    """An interface as rules name it, and what is reached through it.

    Parameters
    ----------
    name : str
        Name of the interface; ``+`` at its end stands for any rest.
    destinations : AddressSet
        Addresses that the node's routes send out of it.
    negated : bool, default False
        True for any other interface.
    """

    name: str
    destinations: AddressSet
    negated: bool = False


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: every match must fit.

    Parameters
    ----------
    name : str
        What it is for, in words; empty for one that explains nothing, such as "not marked".
    action : Action
        What it does then.
    source, destination : tuple of Match
        On the packet as it is after destination NAT.
    marked : bool, optional
        Whether kube-proxy's masquerade mark must be set, or must not; None for either.
    host : bool, optional
        Whether the packet must start in the node's own namespace, or must not; None for either.
    device : Device, optional
        Interface it leaves by.
    to : str, default ""
        Address of a SNAT; empty for the node's own.
    ports : tuple of (int, int)
        Ports the new source may take, as intervals with both ends; empty for any.
    random_fully : bool, default False
        Whether the port is chosen at random.
    """

    name: str
    action: Action
    source: tuple[Match, ...] = ()
    destination: tuple[Match, ...] = ()
    marked: bool | None = None
    host: bool | None = None
    device: Device | None = None
    to: str = ""
    ports: tuple[tuple[int, int], ...] = ()
    random_fully: bool = False

    def __post_init__(self) -> None:
        """Refuse what no kernel has."""
        if any(Special.OWN_PODS in match.addresses.special for match in self.destination):
            raise InvalidInput(f"rule {self.name!r}: the set of own pods is a set of sources; use a pod CIDR")
        if self.to and self.action is not Action.SNAT:
            raise InvalidInput(f"rule {self.name!r}: only SNAT takes an address, and this is {self.action}")


class Backend(enum.StrEnum):
    """Who runs a chain.

    >>> Backend.BPF.is_netfilter
    False
    """

    IPTABLES = "iptables"
    NFTABLES = "nftables"
    BPF = "BPF"
    OVN = "OVN"

    @property
    def is_netfilter(self) -> bool:
        """Whether the chain can be written as text for the node's kernel."""
        return self in {Backend.IPTABLES, Backend.NFTABLES}


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The rules of one component in one family, where its source NAT happens.

    Parameters
    ----------
    component : str
        Who writes it.
    name : str
        Of the chain; ``POSTROUTING`` for rules that stand in the base chain itself.
    family : IPFamily
        Of every packet it sees.
    rules : tuple of Rule
        In order.
    entry : tuple of Match
        On the destination, for packets to enter the chain at all.
    backend : Backend, default iptables
        Who runs it.
    mark : int, default 0x4000
        Bits of kube-proxy's mark.
    whole_mark : bool, default False
        Whether a rule compares the whole mark and not these bits alone.
    port_protocols : tuple of str
        Protocols whose ports a rule chooses.
    comment : str, default ""
        Of the rule that jumps here.
    """

    component: str
    name: str
    family: IPFamily
    rules: tuple[Rule, ...]
    entry: tuple[Match, ...] = ()
    backend: Backend = Backend.IPTABLES
    mark: int = 0x4000
    whole_mark: bool = False
    port_protocols: tuple[str, ...] = field(default=("tcp", "udp", "sctp"))
    comment: str = ""

    @property
    def titles(self) -> tuple[str, ...]:
        """Component and name of each rule, empty for those without a name."""
        return tuple(f"{self.component}: {rule.name}" if rule.name else "" for rule in self.rules)


def blocks(name: str, cidrs: Iterable[Cidr | str]) -> AddressSet:
    """Make a set of fixed blocks.

    Parameters
    ----------
    name : str
        As reports give it.
    cidrs : iterable of Cidr or str
        Of any family, in their order.

    Returns
    -------
    AddressSet
        Without anything of the nodes.

    Raises
    ------
    InvalidCidr
        A text is no CIDR.

    Examples
    --------
    >>> blocks("cluster CIDR", ["10.244.0.0/16"]).of_family(IPFamily.IPV4)
    (Cidr('10.244.0.0/16'),)
    """
    return AddressSet(name, tuple(cidr if isinstance(cidr, Cidr) else Cidr(cidr) for cidr in cidrs))


def inside(*sets: AddressSet) -> tuple[Match, ...]:
    """Ask for an address that is in every one of some sets.

    Parameters
    ----------
    *sets : AddressSet
        The sets.

    Returns
    -------
    tuple of Match
        One a set.

    Raises
    ------
    None
        Every set can be asked for.

    Examples
    --------
    >>> inside(LOCAL)[0].negated
    False
    """
    return tuple(Match(each) for each in sets)


def outside(*sets: AddressSet) -> tuple[Match, ...]:
    """Ask for an address that is in none of some sets.

    Parameters
    ----------
    *sets : AddressSet
        The sets.

    Returns
    -------
    tuple of Match
        One a set.

    Raises
    ------
    None
        Every set can be asked for.

    Examples
    --------
    >>> outside(LOCAL, NODE_ADDRESSES)[1].negated
    True
    """
    return tuple(Match(each, negated=True) for each in sets)
