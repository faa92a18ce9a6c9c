"""Write the chains of one node as text that its kernel takes: ipset, iptables-restore, ip6tables-restore, nft.

Promises that the kernel which loads the text decides as `dsmodel.graph.masquerade.evaluation` does. Sets of several
blocks become ipsets, as most components do it; chains of nftables become base chains whose priorities keep the order.
Where a component's own text differs in comments or names of sets, the rules and their order are still its own.

What it does not know: chains outside netfilter (BPF, OVN). They are named, not written.

Sources: iptables-restore(8), iptables-extensions(8), ipset(8), nft(8).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily, format_address
from dsmodel.addresses.space import aggregate
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.errors import InvalidInput
from dsmodel.graph.rules import Action, Backend, Special

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.rules import AddressSet, Chain, Match, Rule

__all__ = ["NodeRules", "NodeView", "port_probabilities", "render"]

_BASE = "POSTROUTING"
_WORDS = {IPFamily.IPV4: "ip", IPFamily.IPV6: "ip6"}


@dataclass(frozen=True)
class NodeView:
    """What the special sets hold on one node.

    Parameters
    ----------
    address : mapping of IPFamily to str
        Its own address of each family that it has one of.
    sets : mapping of (Special, IPFamily) to tuple of Cidr
        Elements of each special set; local addresses are the kernel's business.
    """

    address: Mapping[IPFamily, str]
    sets: Mapping[tuple[Special, IPFamily], tuple[Cidr, ...]]

    @classmethod
    def of(cls, cluster: Cluster, node: int) -> NodeView:
        """Take what a cluster's tables say about a node.

        Parameters
        ----------
        cluster : Cluster
            Nodes and pods.
        node : int
            Row of the node.

        Returns
        -------
        NodeView
            Of both families.

        Raises
        ------
        InvalidInput
            There is no such node.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> NodeView.of(examples.kubeadm_dual_stack(), 1).sets[Special.OWN_POD_CIDR, IPFamily.IPV4]
        (Cidr('10.244.1.0/24'),)
        """
        nodes, pods = cluster.nodes, cluster.pods
        if not 0 <= node < len(nodes):
            raise InvalidInput(f"node {node}: there are {len(nodes)} nodes; rows start at 0")
        sets: dict[tuple[Special, IPFamily], tuple[Cidr, ...]] = {}
        address: dict[IPFamily, str] = {}
        for family, end in ENDS.items():
            bases, masks = to_integers(nodes[f"pod_cidr_{end}"]), nodes[f"pod_cidr_{end}_mask"].tolist()
            ranges = {
                row: Cidr.from_parts(family, bases[row], masks[row])
                for row, has in enumerate(nodes[f"has_pod_cidr_{end}"].tolist())
                if has
            }
            numbers, known = to_integers(nodes[f"internal_{end}"]), nodes[f"has_internal_{end}"].tolist()
            if known[node]:
                address[family] = format_address(family, numbers[node])
            mine = (pods["node"] == node) & ~pods["host_network"] & pods[f"has_pod_{end}"]
            sets[Special.POD_CIDRS, family] = tuple(ranges.values())
            sets[Special.OWN_POD_CIDR, family] = tuple(cidr for row, cidr in ranges.items() if row == node)
            sets[Special.NODE_ADDRESSES, family] = _hosts(
                family, (number for number, has in zip(numbers, known, strict=True) if has)
            )
            sets[Special.OWN_PODS, family] = _hosts(family, to_integers(pods[f"pod_{end}"][mine]))
        return cls(address, sets)

    def elements(self, addresses: AddressSet, family: IPFamily) -> list[Cidr]:
        """Return what a set holds on the node.

        Parameters
        ----------
        addresses : AddressSet
            The set; its local addresses are left out.
        family : IPFamily
            Of the elements.

        Returns
        -------
        list of Cidr
            Aggregated, so that no two overlap.

        Raises
        ------
        None
            A special set that the node does not have is empty.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> from dsmodel.graph.rules import OWN_POD_CIDR
        >>> NodeView.of(examples.kubeadm_dual_stack(), 0).elements(OWN_POD_CIDR, IPFamily.IPV6)
        [Cidr('fd00:10:244::/64')]
        """
        fixed = [cidr for cidr in addresses.cidrs if cidr.family is family]
        return aggregate([*fixed, *(cidr for each in addresses.special for cidr in self.sets.get((each, family), ()))])


def _hosts(family: IPFamily, numbers: Iterable[int]) -> tuple[Cidr, ...]:
    """Return single addresses as blocks."""
    return tuple(Cidr.from_parts(family, number, family.bits) for number in numbers)


@dataclass(frozen=True)
class NodeRules:
    """Rules of one node as text.

    Parameters
    ----------
    ipsets : str
        For ``ipset restore``; empty where no rule needs one. To be loaded first.
    iptables : mapping of IPFamily to str
        For ``iptables-restore`` and ``ip6tables-restore``.
    nftables : str
        For ``nft -f``; empty where no component uses it.
    elsewhere : tuple of str
        Components whose chains do not run in netfilter.
    """

    ipsets: str
    iptables: Mapping[IPFamily, str]
    nftables: str
    elsewhere: tuple[str, ...]


def render(chains: Sequence[Chain], view: NodeView) -> NodeRules:
    """Write chains for one node.

    Parameters
    ----------
    chains : sequence of Chain
        Of both families, each in the order in which packets meet them.
    view : NodeView
        What the node fills in.

    Returns
    -------
    NodeRules
        Text to load.

    Raises
    ------
    InvalidInput
        A rule that netfilter cannot express where it stands, or an SNAT on a node without an address of the family.

    Examples
    --------
    >>> from dsmodel.cluster import examples
    >>> from dsmodel.graph.masquerade import Kubenet
    >>> cluster = examples.kubeadm_dual_stack()
    >>> text = render(Kubenet().chains(IPFamily.IPV4, cluster), NodeView.of(cluster, 0))
    >>> print(text.iptables[IPFamily.IPV4])
    *nat
    :POSTROUTING ACCEPT [0:0]
    -A POSTROUTING -m addrtype ! --dst-type LOCAL ! -d 10.0.0.0/8 -j MASQUERADE
    COMMIT
    """
    writer = _Writer(view)
    iptables = {}
    for family in IPFamily:
        mine = [each for each in chains if each.family is family and each.backend is Backend.IPTABLES]
        iptables[family] = writer.iptables(mine) if mine else ""
    nft = [writer.nft(chain, place) for chain, place in _placed(chains)]
    elsewhere = dict.fromkeys(chain.component for chain in chains if not chain.backend.is_netfilter)
    return NodeRules("".join(writer.sets.values()), iptables, "".join(nft), tuple(elsewhere))


def port_probabilities(intervals: Sequence[tuple[int, int]]) -> list[float]:
    """Return with which probability a rule takes each interval of ports, given that those before did not.

    Parameters
    ----------
    intervals : sequence of (int, int)
        With both ends.

    Returns
    -------
    list of float
        Size over what is left; 1 for the last.

    Raises
    ------
    None
        Every list has an answer.

    Examples
    --------
    >>> port_probabilities([(1024, 29999), (32768, 65535)])
    [0.469292562840114, 1.0]
    """
    sizes = [last - first + 1 for first, last in intervals]
    return [size / sum(sizes[place:]) for place, size in enumerate(sizes)]


def _placed(chains: Sequence[Chain]) -> Iterator[tuple[Chain, int]]:
    """Yield the nftables chains with a priority, relative to source NAT, that keeps their order around iptables."""
    for family in IPFamily:
        mine = [each for each in chains if each.family is family and each.backend.is_netfilter]
        pivot = next((place for place, each in enumerate(mine) if each.backend is Backend.IPTABLES), 0)
        for place, chain in enumerate(mine):
            if chain.backend is Backend.NFTABLES:
                yield chain, place - pivot


@dataclass(frozen=True)
class _Writer:
    """Text for one node; sets are written as rules name them."""

    view: NodeView
    sets: dict[tuple[IPFamily, tuple[Cidr, ...]], str] = field(default_factory=dict)
    names: dict[tuple[IPFamily, tuple[Cidr, ...]], str] = field(default_factory=dict)

    def iptables(self, chains: Sequence[Chain]) -> str:
        """Write the nat table of one family."""
        heads, jumps, bodies = [], [], []
        for chain in chains:
            entry = self._matches(chain.entry, chain.family, "d")
            if chain.name == _BASE:
                jumps += self._lines(chain, entry)
                continue
            heads.append(f":{chain.name} - [0:0]")
            note = [f'-m comment --comment "{chain.comment}"'] if chain.comment else []
            if entry is not None:
                jumps.append(" ".join([f"-A {_BASE}", *note, *entry, f"-j {chain.name}"]))
            bodies += self._lines(chain, [])
        return "\n".join(["*nat", f":{_BASE} ACCEPT [0:0]", *heads, *jumps, *bodies, "COMMIT", ""])

    def _lines(self, chain: Chain, entry: list[str] | None) -> list[str]:
        """Write the rules of an iptables chain; one that can fit nothing is left out."""
        lines = []
        for rule in chain.rules:
            fits = self._rule_matches(rule, chain)
            if fits is None or entry is None:
                continue
            lines += [" ".join([f"-A {chain.name}", *entry, *fits, *end]) for end in self._ends(rule, chain)]
        return lines

    def _rule_matches(self, rule: Rule, chain: Chain) -> list[str] | None:
        """Write everything a rule asks; None where nothing can fit."""
        if rule.host is not None:
            raise InvalidInput(f"rule {rule.name!r} of {chain.name}: netfilter cannot tell where a packet started")
        found: list[str] = []
        if rule.marked is not None:
            mask = "" if chain.whole_mark else f"/{chain.mark:#x}"
            found.append(f"-m mark {'' if rule.marked else '! '}--mark {chain.mark:#x}{mask}")
        for matches, side in ((rule.source, "s"), (rule.destination, "d")):
            texts = self._matches(matches, chain.family, side)
            if texts is None:
                return None
            found += texts
        if rule.device:
            found.append(f"{'! ' if rule.device.negated else ''}-o {rule.device.name}")
        return found

    def _matches(self, matches: Iterable[Match], family: IPFamily, side: str) -> list[str] | None:
        """Write matches of one side; None where one of them can never hold."""
        found, is_named = [], False
        for match in matches:
            bang = "! " if match.negated else ""
            if Special.LOCAL in match.addresses.special:
                _alone(match.addresses)
                found.append(f"-m addrtype {bang}--{'src' if side == 's' else 'dst'}-type LOCAL")
                continue
            elements = self.view.elements(match.addresses, family)
            if not elements and match.negated:
                continue
            if not elements:
                return None
            if len(elements) == 1 and not is_named:
                is_named = True  # iptables takes one -s and one -d a rule
                found.append(f"{bang}-{side} {elements[0]}")
            else:
                name = self._set(family, tuple(elements))
                found.append(f"-m set {bang}--match-set {name} {'src' if side == 's' else 'dst'}")
        return found

    def _set(self, family: IPFamily, elements: tuple[Cidr, ...]) -> str:
        """Return the name of a set of these elements, writing it the first time."""
        key = family, elements
        if key not in self.sets:
            name = f"masq{4 if family is IPFamily.IPV4 else 6}-{len(self.sets)}"
            kind = "inet" if family is IPFamily.IPV4 else "inet6"
            size = max(1024, len(elements))
            lines = [f"create {name} hash:net family {kind} maxelem {size}"]
            self.names[key] = name
            self.sets[key] = "\n".join([*lines, *(f"add {name} {each}" for each in elements), ""])
        return self.names[key]

    def _ends(self, rule: Rule, chain: Chain) -> Iterator[list[str]]:
        """Write what follows the matches: one line, or one for each protocol and interval of ports before it."""
        random = ["--random-fully"] if rule.random_fully else []
        if rule.action is Action.CLEAR_MARK:
            yield [f"-j MARK --xor-mark {chain.mark:#x}"]
            return
        if not rule.action.translates:
            yield [f"-j {rule.action}"]
            return
        target = ["-j MASQUERADE"]
        if rule.action is Action.SNAT:
            target = [f"-j SNAT --to-source {self._address(rule, chain)}"]
        for protocol in chain.port_protocols if rule.ports else ():
            for (first, last), chance in zip(rule.ports, port_probabilities(rule.ports), strict=True):
                dice = [f"-m statistic --mode random --probability {chance!r}"] if chance < 1 else []
                span = f"{first}-{last}" if first != last else f"{first}"
                if rule.action is Action.SNAT:
                    yield [f"-p {protocol}", *dice, f"{target[0]}:{span}", *random]
                else:
                    yield [f"-p {protocol}", *dice, *target, f"--to-ports {span}", *random]
        yield [*target, *random]

    def _address(self, rule: Rule, chain: Chain) -> str:
        """Return the address an SNAT gives."""
        address = rule.to or self.view.address.get(chain.family)
        if not address:
            raise InvalidInput(f"rule {rule.name!r} of {chain.name}: the node has no {chain.family} address to give")
        return address

    def nft(self, chain: Chain, place: int) -> str:
        """Write an nftables chain as a table of its own."""
        word = _WORDS[chain.family]
        entry = self._nft_matches(chain.entry, chain.family, "daddr")
        lines = []
        for rule in chain.rules:
            fits = self._nft_rule(rule, chain)
            if fits is not None and entry is not None:
                lines.append("    " + " ".join([*entry, *fits, self._nft_end(rule, chain)]) + "\n")
        table = chain.component.replace(" ", "-")
        head = f"    type nat hook postrouting priority {100 + place}; policy accept;\n"
        return f"table {word} {table} {{\n  chain {chain.name} {{\n{head}{''.join(lines)}  }}\n}}\n"

    def _nft_rule(self, rule: Rule, chain: Chain) -> list[str] | None:
        """Write everything a rule asks; None where nothing can fit."""
        if rule.host is not None or rule.ports:
            raise InvalidInput(
                f"rule {rule.name!r} of {chain.name}: no nftables text for where it starts, or for ports"
            )
        found: list[str] = []
        if rule.marked is not None:
            asked = "meta mark" if chain.whole_mark else f"meta mark & {chain.mark:#x}"
            found.append(f"{asked} {'==' if rule.marked else '!='} {chain.mark:#x}")
        for matches, side in ((rule.source, "saddr"), (rule.destination, "daddr")):
            texts = self._nft_matches(matches, chain.family, side)
            if texts is None:
                return None
            found += texts
        if rule.device:
            name = rule.device.name.replace("+", "*")
            found.append(f'oifname {"!= " if rule.device.negated else ""}"{name}"')
        return found

    def _nft_matches(self, matches: Iterable[Match], family: IPFamily, side: str) -> list[str] | None:
        """Write matches of one side; None where one of them can never hold."""
        found = []
        for match in matches:
            bang = "!= " if match.negated else ""
            if Special.LOCAL in match.addresses.special:
                _alone(match.addresses)
                found.append(f"fib {side} type {bang}local")
                continue
            elements = self.view.elements(match.addresses, family)
            if not elements and not match.negated:
                return None
            if elements:
                listed = ", ".join(map(str, elements))
                found.append(f"{_WORDS[family]} {side} {bang}{{ {listed} }}")
        return found

    def _nft_end(self, rule: Rule, chain: Chain) -> str:
        """Write an action."""
        random = " fully-random" if rule.random_fully else ""
        if rule.action is Action.CLEAR_MARK:
            return f"meta mark set meta mark ^ {chain.mark:#x}"
        if rule.action is Action.SNAT:
            return f"snat to {self._address(rule, chain)}{random}"
        return "masquerade" + random if rule.action is Action.MASQUERADE else str(rule.action).lower()


def _alone(addresses: AddressSet) -> None:
    """Refuse a set that mixes local addresses with others."""
    if addresses.cidrs or len(addresses.special) > 1:
        raise InvalidInput(f"set {addresses.name!r}: the kernel's local addresses make a set of their own")
