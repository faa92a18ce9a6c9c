"""Decide whole columns of flows by chains of rules.

Promises the answer of walking every chain for every flow, without doing so: each flow is reduced to its *case* (which
sets hold its source and destination, whose node's they are, where it starts, whether it is marked), each distinct case
is walked once, and the answer is broadcast. A flow from a node that is not known has an answer where that makes no
difference, and is unknown where it does.

What a pod sends to its own node is delivered there and never comes to where sources are rewritten. Masquerading gives
the address of the interface a packet leaves by: towards other nodes and the outside it is taken to be the node's first
InternalIP, towards a pod of the same node or the node itself it is a bridge's, or another's, and is not known here.

What it does not know: conntrack. A flow is the first packet of a connection, and no reply.

Sources: `dsmodel.graph.rules`.
"""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsmodel.addresses.arrays import from_integers
from dsmodel.addresses.cidr import parse_address
from dsmodel.addresses.prefixes import PrefixTable
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.errors import InvalidInput
from dsmodel.graph.flows import Translation
from dsmodel.graph.rules import LOCAL, OWN_POD_CIDR, Action, Backend, Special

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.state import Cluster
    from dsmodel.cluster.table import Table
    from dsmodel.graph.flows import Flows
    from dsmodel.graph.masquerade.contract import Masquerade
    from dsmodel.graph.rules import AddressSet, Chain, Match, Rule

    Marks = NDArray[np.bool_]
    Codes = NDArray[np.int64]
    _Owned = tuple[PrefixTable, NDArray[np.int32]]

__all__ = ["decide", "translate"]

DELIVERED = "kernel: delivered on the pod's own node, where no source is rewritten"
NODE_UNKNOWN = "unknown: which node the flow leaves from would decide"

# whose an address is, seen from the node of the flow
_NOBODY, _OWN, _OTHER, _UNSURE = range(4)
_POD_SETS: Final = {Special.OWN_POD_CIDR, Special.POD_CIDRS}
_NODE_SETS: Final = {Special.LOCAL, Special.NODE_ADDRESSES}
_DENSE = 1 << 21  # keys up to here are counted in a table, above they are sorted

_KEPT, _NODE, _NEARBY, _FIXED, _UNKNOWN = range(5)  # what a case comes to


def translate(
    masquerades: Sequence[Masquerade], flows: Flows, cluster: Cluster, *, marked: Marks | None = None
) -> Translation:
    """Say what the masquerading of the nodes does to each flow.

    Parameters
    ----------
    masquerades : sequence of Masquerade
        What the nodes run, in the order in which packets meet it.
    flows : Flows
        After destination NAT, and after egress policies.
    cluster : Cluster
        Nodes with their pod CIDRs and addresses; ranges that a component takes from the cluster.
    marked : ndarray of bool, shape (n,), optional
        Whether kube-proxy marked the flow for masquerading; none where left out. See
        `dsmodel.graph.masquerade.services.service_traffic`.

    Returns
    -------
    Translation
        One answer a flow.

    Raises
    ------
    InvalidInput
        If `marked` has another length, or a flow names a node that is not there.

    Examples
    --------
    >>> import numpy as np
    >>> from dsmodel.addresses.text import parse_addresses
    >>> from dsmodel.cluster import examples
    >>> from dsmodel.graph.flows import Flows
    >>> from dsmodel.graph.masquerade import MasqueradeAgent
    >>> cluster = examples.kubeadm_dual_stack()
    >>> pods = parse_addresses(["fd00:10:244::2"] * 2, family="IPv6")
    >>> servers = parse_addresses(["2600:1f00::1", "fd00:10:244:1::2"], family="IPv6")
    >>> flows = Flows(pods, servers, node=np.zeros(2, np.int32), pod=np.zeros(2, np.int32), host=np.zeros(2, np.bool_))
    >>> translate([MasqueradeAgent()], flows, cluster).translated
    array([False, False])
    >>> translate([MasqueradeAgent(enable_ipv6=True)], flows, cluster).translated
    array([ True,  True])
    """
    chains = [chain for each in masquerades for chain in each.chains(flows.family, cluster)]
    return decide(chains, flows, cluster.nodes, marked=marked)


def decide(chains: Sequence[Chain], flows: Flows, nodes: Table, *, marked: Marks | None = None) -> Translation:
    """Walk chains for each flow.

    Parameters
    ----------
    chains : sequence of Chain
        Of the flows' family, in the order in which packets meet them.
    flows : Flows
        After destination NAT.
    nodes : Table
        Of the schema `NODES`.
    marked : ndarray of bool, shape (n,), optional
        Whether kube-proxy marked the flow.

    Returns
    -------
    Translation
        One answer a flow.

    Raises
    ------
    InvalidInput
        If a chain is of another family, `marked` has another length, or a flow names a node that is not there.

    Examples
    --------
    >>> from dsmodel.cluster import examples
    >>> from dsmodel.addresses.arrays import empty
    >>> from dsmodel.graph.flows import Flows
    >>> nothing = np.zeros(0, np.int32)
    >>> flows = Flows(empty(0, "IPv4"), empty(0, "IPv4"), nothing, nothing, np.zeros(0, np.bool_))
    >>> len(decide([], flows, examples.kubeadm_dual_stack().nodes).translated)
    0
    """
    for chain in chains:
        if chain.family is not flows.family:
            raise InvalidInput(f"chain {chain.name} is of {chain.family}, the flows are of {flows.family}")
    if marked is not None and len(marked) != len(flows):
        raise InvalidInput(f"marked has {len(marked)} rows for {len(flows)} flows; give one value a flow")
    if len(flows) and int(flows.node.max()) >= len(nodes):
        raise InvalidInput(f"flows: node {flows.node.max()} of {len(nodes)} nodes; -1 stands for not known")
    program = _Program.of(chains, flows.family)
    cases, of_flow = _cases(program, flows, nodes, marked=marked)
    verdict = program.walk_unsure(cases)
    return _broadcast(program, verdict, flows, nodes, of_flow=of_flow)


# cases -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Side:
    """Membership of one side of a flow, by class of address."""

    table: PrefixTable
    class_of: Codes  # by label of the table, the last for no prefix at all
    holds: dict[AddressSet, Marks]  # by class
    pods: bool  # whether pod CIDRs of nodes matter
    nodes: bool  # whether addresses of nodes matter

    @classmethod
    def of(cls, sets: Iterable[AddressSet], family: IPFamily) -> _Side:
        """Prepare the sets that rules ask of one side."""
        asked = list(dict.fromkeys(sets))
        prefixes = list(dict.fromkeys(cidr for each in asked for cidr in each.of_family(family)))
        members = np.zeros((len(asked), len(prefixes) + 1), np.bool_)
        order = np.array(sorted(range(len(prefixes)), key=lambda place: prefixes[place]), np.int64)
        firsts = [prefixes[place].first for place in order]
        lengths = np.array([prefixes[place].prefix_length for place in order], np.int64)
        for row, each in enumerate(asked):
            for cidr in each.of_family(family):  # prefixes inside it follow each other
                span = slice(bisect.bisect_left(firsts, cidr.first), bisect.bisect_right(firsts, cidr.last))
                members[row, order[span][lengths[span] >= cidr.prefix_length]] = True
        kinds, class_of = np.unique(members, axis=1, return_inverse=True)
        special = {kind for each in asked for kind in each.special}
        holds = {each: kinds[row] for row, each in enumerate(asked)}
        classes = class_of.reshape(-1).astype(np.int64)
        return cls(PrefixTable(prefixes), classes, holds, bool(special & _POD_SETS), bool(special & _NODE_SETS))

    def classes(self, column: NDArray[Any]) -> Codes | None:
        """Return the class of each address, None where all are of one."""
        if self.class_of.max() == 0:
            return None
        return self.class_of[self.table.lookup(column)]


@dataclass(frozen=True, eq=False)
class _Cases:
    """Distinct cases, a column a question."""

    source: Codes
    destination: Codes
    source_pod: Codes
    source_node: Codes
    destination_pod: Codes
    destination_node: Codes
    host: Codes
    marked: Codes

    def __len__(self) -> int:
        """Count the cases."""
        return len(self.host)


_RELATIONS = ("source_pod", "source_node", "destination_pod", "destination_node")


def _cases(program: _Program, flows: Flows, nodes: Table, *, marked: Marks | None) -> tuple[_Cases, Codes]:
    """Reduce flows to their distinct cases, and the case of each."""
    tail = ENDS[flows.family]
    blocks = _owned(nodes[f"pod_cidr_{tail}"], nodes[f"has_pod_cidr_{tail}"], nodes[f"pod_cidr_{tail}_mask"])
    addresses = _owned(nodes[f"internal_{tail}"], nodes[f"has_internal_{tail}"], None)
    columns: dict[str, tuple[NDArray[Any] | None, int]] = {}
    for end, side, each in (
        ("source", program.source, flows.source),
        ("destination", program.destination, flows.destination),
    ):
        columns[end] = side.classes(each), int(side.class_of.max()) + 1
        columns[f"{end}_pod"] = _relation(each, blocks, flows.node) if side.pods else None, 4
        columns[f"{end}_node"] = _relation(each, addresses, flows.node) if side.nodes else None, 4
    columns["host"] = flows.host, 2
    columns["marked"] = marked, 2
    keys, size = np.zeros(len(flows), np.int64), 1
    for column, width in columns.values():
        if column is not None:
            keys *= width
            keys += column
            size *= width
    distinct, of_flow = _factorised(keys, size)
    values: dict[str, Codes] = {}
    for name, (column, width) in reversed(columns.items()):
        if column is None:
            values[name] = np.zeros(len(distinct), np.int64)
        else:
            distinct, values[name] = np.divmod(distinct, width)
    return _Cases(**values), of_flow


def _factorised(keys: Codes, size: int) -> tuple[Codes, Codes]:
    """Return the distinct keys, rising, and the place of each key among them."""
    if size > max(_DENSE, len(keys)):
        distinct, place = np.unique(keys, return_inverse=True)
        return distinct, place.reshape(-1)
    seen = np.zeros(size, np.bool_)
    seen[keys] = True
    distinct = np.flatnonzero(seen)
    rank = np.zeros(size, np.int64)
    rank[distinct] = np.arange(len(distinct))
    return distinct, rank[keys]


def _owned(column: NDArray[Any], has: Marks, masks: NDArray[Any] | None) -> _Owned:
    """Return a table of what nodes have, and the node of each entry."""
    rows = np.flatnonzero(has)
    lengths = np.full(len(rows), column.dtype.itemsize * 8) if masks is None else masks[rows]
    return PrefixTable.from_columns(column[rows], lengths), np.append(rows, -1).astype(np.int32)


def _relation(column: NDArray[Any], owned: _Owned, node: NDArray[np.int32]) -> NDArray[np.int8] | None:
    """Say whose each address is, as codes; None where no node owns any."""
    table, owners = owned
    if len(owners) == 1:
        return None
    owner = owners[table.lookup(column)]
    relation: NDArray[np.int8] = (owner != node).view(np.int8)
    relation += _OWN  # False is own, True another's
    relation *= owner >= 0
    if len(node) and node.min() < 0:
        relation[(node < 0) & (owner >= 0)] = _UNSURE
    return relation


# rules over cases --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Verdict:
    """What each case comes to."""

    outcome: NDArray[np.int8]
    rule: NDArray[np.int16]
    target: NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class _Program:
    """Chains with the sets they ask of either side."""

    chains: tuple[Chain, ...]
    source: _Side
    destination: _Side
    rules: tuple[str, ...]
    targets: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, chains: Sequence[Chain], family: IPFamily) -> _Program:
        """Collect what the rules ask."""
        rules = [rule for chain in chains for rule in chain.rules]
        entries = [match for chain in chains for match in chain.entry]
        source = [match.addresses for rule in rules for match in rule.source]
        destination = [match.addresses for rule in rules for match in rule.destination]
        destination += [LOCAL, OWN_POD_CIDR, *(match.addresses for match in entries)]
        destination += [rule.device.destinations for rule in rules if rule.device]
        names = dict.fromkeys(title for chain in chains for title in chain.titles if title)
        targets = dict.fromkeys(rule.to for rule in rules if rule.to)
        return cls(
            tuple(chains),
            _Side.of(source, family),
            _Side.of(destination, family),
            (*names, DELIVERED, NODE_UNKNOWN),
            list(targets),
        )

    def walk_unsure(self, cases: _Cases) -> _Verdict:
        """Walk every case; where the node is not known, as every node that could matter."""
        unsure = [name for name in _RELATIONS if (getattr(cases, name) == _UNSURE).any()]
        verdicts = []
        for answers in itertools.product((_OWN, _OTHER), repeat=len(unsure)):
            certain = {
                name: np.where(getattr(cases, name) == _UNSURE, answer, getattr(cases, name))
                for name, answer in zip(unsure, answers, strict=True)
            }
            verdicts.append(self.walk(replace(cases, **certain)))
        first = verdicts[0]
        for other in verdicts[1:]:
            differs = (other.outcome != first.outcome) | (other.target != first.target)
            first.outcome[differs] = _UNKNOWN
            first.rule[differs] = len(self.rules) - 1
        return first

    def walk(self, cases: _Cases) -> _Verdict:
        """Walk the chains for cases in which everything is known."""
        n = len(cases)
        place = {name: number for number, name in enumerate(self.rules)}
        verdict = _Verdict(np.zeros(n, np.int8), np.full(n, -1, np.int16), np.full(n, -1, np.int16))
        local = self._inside(LOCAL, cases, is_source=False)
        delivered, nearby = local & (cases.host == 0), local | self._inside(OWN_POD_CIDR, cases, is_source=False)
        verdict.rule[delivered] = place[DELIVERED]
        undecided, accepted, marked = ~delivered, np.zeros(n, np.bool_), cases.marked.astype(np.bool_)
        for chain in self.chains:
            there = undecided.copy()
            if chain.backend is Backend.IPTABLES:
                there &= ~accepted
            for match in chain.entry:
                there &= self._fits(match, cases, is_source=False)
            for rule, title in zip(chain.rules, chain.titles, strict=True):
                fits = there & self._fits_rule(rule, cases, marked)
                if not rule.action.is_final:
                    marked = marked & ~fits
                    continue
                there &= ~fits
                if title:
                    verdict.rule[fits] = place[title]
                if rule.action is Action.ACCEPT and chain.backend is Backend.IPTABLES:
                    accepted |= fits
                elif rule.action.translates or rule.action is Action.UNKNOWN:
                    undecided &= ~fits
                    verdict.outcome[fits] = _outcome(rule)
                    if rule.action is Action.MASQUERADE:
                        verdict.outcome[fits & nearby] = _NEARBY
                    verdict.target[fits] = self.targets.index(rule.to) if rule.to else -1
        return verdict

    def _fits_rule(self, rule: Rule, cases: _Cases, marked: Marks) -> Marks:
        """Say which cases a rule fits."""
        fits = np.ones(len(cases), np.bool_)
        if rule.marked is not None:
            fits &= marked == rule.marked
        if rule.host is not None:
            fits &= (cases.host == 1) == rule.host
        for match in rule.source:
            fits &= self._fits(match, cases, is_source=True)
        for match in rule.destination:
            fits &= self._fits(match, cases, is_source=False)
        if rule.device is not None:
            through = self._inside(rule.device.destinations, cases, is_source=False)
            fits &= through != rule.device.negated
        return fits

    def _fits(self, match: Match, cases: _Cases, *, is_source: bool) -> Marks:
        """Say for which cases a match holds."""
        found = self._inside(match.addresses, cases, is_source=is_source)
        return ~found if match.negated else found

    def _inside(self, addresses: AddressSet, cases: _Cases, *, is_source: bool) -> Marks:
        """Say for which cases an address of one side is in a set."""
        if is_source:
            side, classes, pods, nodes = self.source, cases.source, cases.source_pod, cases.source_node
        else:
            side, classes = self.destination, cases.destination
            pods, nodes = cases.destination_pod, cases.destination_node
        found: Marks = side.holds[addresses][classes]
        for special in addresses.special:
            if special is Special.OWN_PODS:
                found = found | (cases.host == 0)
            elif special is Special.OWN_POD_CIDR:
                found = found | (pods == _OWN)
            elif special is Special.POD_CIDRS:
                found = found | (pods != _NOBODY)
            elif special is Special.LOCAL:
                found = found | (nodes == _OWN)
            else:
                found = found | (nodes != _NOBODY)
        return found


def _outcome(rule: Rule) -> int:
    """Return what a rule that decides comes to."""
    if rule.action is Action.UNKNOWN:
        return _UNKNOWN
    return _FIXED if rule.to else _NODE


def _broadcast(program: _Program, verdict: _Verdict, flows: Flows, nodes: Table, *, of_flow: Codes) -> Translation:
    """Give each flow the answer of its case."""
    end = ENDS[flows.family]
    outcome = verdict.outcome[of_flow]
    source, has_source = flows.source.copy(), (outcome != _UNKNOWN) & (outcome != _NEARBY)
    masqueraded = np.flatnonzero(outcome == _NODE)
    if len(masqueraded):
        node = flows.node[masqueraded]
        has = np.append(nodes[f"has_internal_{end}"], False)[node]
        has_source[masqueraded] = has
        source[masqueraded[has]] = nodes[f"internal_{end}"][node[has]]
    if program.targets:
        fixed = np.flatnonzero(outcome == _FIXED)
        addresses = from_integers((parse_address(text)[1] for text in program.targets), family=flows.family)
        source[fixed] = addresses[verdict.target[of_flow][fixed]]
    translated = (outcome != _KEPT) & (outcome != _UNKNOWN)
    return Translation(translated, source, has_source, verdict.rule[of_flow], program.rules)
