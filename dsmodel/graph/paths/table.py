"""The table behind paths: groups of pods against classes of destinations, in one family.

Promises a decision for every group and destination, once for pods on another node than any member of the destination
and once for pods on the node of one; each is judged for one real pod and one real member that are like that. Where a
destination has members of several classes, their decisions are joined.

What it does not know: how likely a client picks which member.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import family_of
from dsmodel.graph.flows import Flows, Verdict
from dsmodel.graph.paths.blocks import blocks_named, codes_of
from dsmodel.graph.paths.decisions import Cause, Decision, Seen
from dsmodel.graph.paths.destinations import Destination, Members, State
from dsmodel.graph.paths.judging import Cells, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr, IPFamily
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.network import Network
    from dsmodel.graph.paths.groups import Groups

__all__ = ["Half", "half_of", "named_blocks"]


@dataclass(frozen=True, eq=False)
class Half:
    """Answers of one family.

    Parameters
    ----------
    family : IPFamily
        Which.
    groups : Groups
        Pods by what decides.
    members : Members
        Members of the destinations.
    column_of : ndarray of int64, shape (number of destinations,)
        Column of each destination in the tables.
    away, same : ndarray of int32, shape (groups, columns)
        Decision for pods on another node than any member, and on the node of one.
    decisions : tuple of Decision
        What the tables point at.
    """

    family: IPFamily
    groups: Groups
    members: Members
    column_of: NDArray[np.int64]
    away: NDArray[np.int32]
    same: NDArray[np.int32]
    decisions: tuple[Decision, ...]

    def nodes_of(self, destination: int) -> NDArray[np.int32]:
        """Return the nodes that members of a destination are on.

        Parameters
        ----------
        destination : int
            Its place.

        Returns
        -------
        ndarray of int32
            Rows, each once.

        Raises
        ------
        None
            There may be none.
        """
        first, last = np.searchsorted(self.members.destination, [destination, destination + 1])
        found: NDArray[np.int32] = np.unique(self.members.node[first:last])
        return found[found >= 0]

    def codes(self, pods: NDArray[np.integer], destination: int) -> NDArray[np.int32]:
        """Return the decision of some pods about one destination.

        Parameters
        ----------
        pods : ndarray of integers, shape (n,)
            Places among the pods that were asked for.
        destination : int
            Its place.

        Returns
        -------
        ndarray of int32, shape (n,)
            Places in `decisions`.

        Raises
        ------
        IndexError
            There is no such pod or destination.
        """
        column = self.column_of[destination]
        group = self.groups.of_pod[pods]
        found: NDArray[np.int32] = self.away[group, column]
        if self.is_sensitive[column]:
            near = np.isin(self.groups.node[pods], self.nodes_of(destination))
            found[near] = self.same[group[near], column]
        return found

    @cached_property
    def is_sensitive(self) -> NDArray[np.bool_]:
        """Whether it matters in a column if pod and member share a node."""
        return np.asarray((self.away != self.same).any(axis=0))

    @cached_property
    def _by_node(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Places of pods in the order of their nodes, and those nodes."""
        order = np.argsort(self.groups.node, kind="stable")
        return order, self.groups.node[order]

    def near(self, destination: int) -> NDArray[np.int64]:
        """Return the pods that share a node with a member of a destination.

        Parameters
        ----------
        destination : int
            Its place.

        Returns
        -------
        ndarray of int64
            Places among the pods that were asked for.

        Raises
        ------
        None
            There may be none.
        """
        order, nodes = self._by_node
        held = self.nodes_of(destination)
        begin, end = (np.searchsorted(nodes, held, side=side) for side in ("left", "right"))
        parts = [order[first:last] for first, last in zip(begin.tolist(), end.tolist(), strict=True)]
        return np.concatenate([*parts, order[:0]])


def named_blocks(family: IPFamily, *, cluster: Cluster, network: Network, claims: Sequence[Any]) -> tuple[Cidr, ...]:
    """Return the blocks that any rule of one family names.

    Parameters
    ----------
    family : IPFamily
        Which.
    cluster : Cluster
        Whose ranges are among them.
    network : Network
        Whose rules.
    claims : sequence of Claim
        What its egress policies claim.

    Returns
    -------
    tuple of Cidr
        Sorted, each once.

    Raises
    ------
    None
        There may be none.
    """
    chains = [each.chains(family, cluster) for each in network.masquerades or ()]
    routes = [(claim.selection, [block for block, _ in claim.routes]) for claim in claims if claim.family is family]
    border = network.border.get(family, ())
    found = blocks_named(
        network.masquerades or (),
        chains,
        routes,
        network.routed.get(family, ()),
        [each.sources for each in border],
        [each.prefix for each in network.nat64 or ()],
        [each.selects for each in network.proxies],
        cluster.config.cluster_cidrs,
        cluster.config.service_cidrs,
    )
    return tuple(block for block in found if block.family is family)


def half_of(
    destinations: Sequence[Destination], groups: Groups, members: Members, *, cluster: Cluster, network: Network
) -> Half:
    """Decide one family.

    Parameters
    ----------
    destinations : sequence of Destination
        Where to.
    groups : Groups
        Pods by what decides.
    members : Members
        Members of the destinations.
    cluster : Cluster
        Whose pods.
    network : Network
        What decides beside it.

    Returns
    -------
    Half
        With a decision for every group and destination.

    Raises
    ------
    None
        What is not known gives a verdict that says so.
    """
    return _Table(cluster, network, destinations, groups=groups, members=members).half()


class _Table:
    """The table of groups and destinations of one family while it is worked out."""

    def __init__(
        self,
        cluster: Cluster,
        network: Network,
        destinations: Sequence[Destination],
        *,
        groups: Groups,
        members: Members,
    ) -> None:
        self.cluster, self.network, self.destinations = cluster, network, destinations
        self.groups, self.members, self.family = groups, members, family_of(members.address)
        self.decisions: dict[Decision, int] = {}

    def half(self) -> Half:
        """Decide groups against classes, then join what destinations have of them."""
        kinds = int(self.members.kind.max()) + 1 if len(self.members) else 0
        ports = sorted({each.port or -1 for each in self.destinations})
        by_port = {port: self._decided(kinds, port) for port in ports}
        column_of, columns = self._columns()
        shape = (len(self.groups), len(columns))
        away, same = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        for number, (port, state, held) in enumerate(columns):
            tables = by_port[port]
            if state is not State.MEMBERS:
                away[:, number] = same[:, number] = self._place_of(_stateless(state, self.family))
            elif len(held) == 1:
                away[:, number], same[:, number] = (table[:, held[0]] for table in tables)
            else:
                self._join(tables, held, (away[:, number], same[:, number]))
        self._fill(away, same)
        return Half(self.family, self.groups, self.members, column_of, away, same, tuple(self.decisions))

    def _columns(self) -> tuple[NDArray[np.int64], list[tuple[int, State, tuple[int, ...]]]]:
        """Return the column of each destination, and what each column is made of."""
        columns: dict[tuple[int, State, tuple[int, ...]], int] = {}
        count = len(self.destinations)
        starts = np.searchsorted(self.members.destination, np.arange(count + 1)).tolist()
        kinds = self.members.kind.tolist()
        found = np.zeros(count, np.int64)
        for place, one in enumerate(self.destinations):
            held = tuple(dict.fromkeys(kinds[starts[place] : starts[place + 1]]))
            key = (one.port or -1, State(int(self.members.state[place])), held)
            found[place] = columns.setdefault(key, len(columns))
        return found, list(columns)

    def _place_of(self, made: Decision) -> int:
        return self.decisions.setdefault(made, len(self.decisions))

    def _decided(self, kinds: int, port: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return tables of decisions by group and class, apart and on one node; -1 where no pair is like that."""
        away, same = (np.full((len(self.groups), kinds), -1, np.int32) for _ in range(2))
        if not kinds or not len(self.groups):
            return away, same
        pairs = [(*self._apart(kinds), away, False), (*self._together(), same, True)]
        for pod, member, table, is_same in pairs:
            if not len(pod):
                continue
            cells = self._cells(pod, member, port=port, is_same=is_same)
            codes, decisions = judge(cells, self.cluster, self.network)
            places = np.array([self._place_of(each) for each in decisions], np.int32)
            table[self.groups.of_pod[pod], self.members.kind[member]] = places[codes]
        return away, same

    def _apart(self, kinds: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find a pod and a member on another node for each group and class."""
        node = self.members.node
        first = np.full(kinds, -1, np.int64)
        first[self.members.kind[::-1]] = np.arange(len(node) - 1, -1, -1)
        other = first.copy()
        elsewhere = np.flatnonzero(node != node[first[self.members.kind]])
        other[self.members.kind[elsewhere[::-1]]] = elsewhere[::-1]
        group, kind = (each.reshape(-1) for each in np.mgrid[: len(self.groups), :kinds])
        pod, member = self.groups.first[group], first[kind]

        def together() -> NDArray[np.bool_]:
            return np.asarray((node[member] >= 0) & (self.groups.node[pod] == node[member]))

        met = together()
        member = np.where(met, other[kind], member)
        met = together()
        pod = np.where(met, self.groups.other[group], pod)
        fine = ~together()
        return pod[fine], member[fine]

    def _together(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find a pod on the node of a member for each group and class that have one."""
        node = self.members.node
        held = np.flatnonzero(node >= 0)
        if not len(held):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        # one member a class and node, one pod a group and node, then all pairs on a node
        member = held[codes_of([self.members.kind[held], node[held]])[1]]
        pods = np.flatnonzero(np.isin(self.groups.node, node[member]))
        if not len(pods):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        pods = pods[codes_of([self.groups.of_pod[pods], self.groups.node[pods]])[1]]
        pods = pods[np.argsort(self.groups.node[pods], kind="stable")]
        member = member[np.argsort(node[member], kind="stable")]
        begin = np.searchsorted(self.groups.node[pods], node[member])
        count = np.searchsorted(self.groups.node[pods], node[member], side="right") - begin
        second = np.repeat(member, count)
        offsets = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        first = pods[np.repeat(begin, count) + offsets]
        chosen = codes_of([self.groups.of_pod[first], self.members.kind[second]])[1]
        return first[chosen], second[chosen]

    def _cells(self, pod: NDArray[np.int64], member: NDArray[np.int64], *, port: int, is_same: bool) -> Cells:
        """Write pairs of pods and members as flows."""
        groups, members = self.groups, self.members
        rows = groups.rows[pod]
        flows = Flows(groups.source[pod], members.address[member], groups.node[pod], rows, groups.host[pod])
        return Cells(
            flows,
            groups.has_source[pod],
            members.place[member],
            members.host[member],
            np.full(len(pod), is_same),
            members.service[member],
            groups.proxy[pod],
            groups.may_have[pod],
            port if port >= 0 else None,
        )

    def _join(
        self,
        tables: tuple[NDArray[np.int32], NDArray[np.int32]],
        held: tuple[int, ...],
        out: tuple[NDArray[np.int32], NDArray[np.int32]],
    ) -> None:
        """Join the decisions about the members of one destination, by distinct combination of them."""
        apart, together = (table[:, list(held)] for table in tables)
        listed = list(self.decisions)
        for target, combined in ((out[0], apart), (out[1], np.hstack([together, apart]))):
            kinds, place = np.unique(combined, axis=0, return_inverse=True)
            joined = [
                self._place_of(_joined([listed[code] for code in row if code >= 0])) if max(row) >= 0 else -1
                for row in kinds.tolist()
            ]
            target[:] = np.array(joined, np.int32)[place.reshape(-1)]
            listed = list(self.decisions)

    def _fill(self, away: NDArray[np.int32], same: NDArray[np.int32]) -> None:
        """Fill what no pair of pod and member is like, so that lookups need no test."""
        np.copyto(same, away, where=same < 0)
        np.copyto(away, same, where=away < 0)


def _stateless(state: State, family: IPFamily) -> Decision:
    """Decide about a destination that has no members in a family."""
    if state is State.NO_ADDRESS:
        reason = f"the destination has no {family} address"
        return Decision(Verdict.NO_FAMILY, Cause.DESTINATION_WITHOUT_ADDRESS, reason)
    if state is State.NO_ENDPOINT:
        return Decision(Verdict.NO_ROUTE, Cause.NO_ENDPOINT, f"the Service has no ready endpoint of {family}")
    reason = "unknown because the Service's EndpointSlices are not in the model (cluster.objects)"
    return Decision(Verdict.UNKNOWN, Cause.ENDPOINTS_UNKNOWN, reason)


def _joined(found: list[Decision]) -> Decision:
    """Join decisions about members that a client picks one of."""
    parts = tuple(dict.fromkeys(found))
    used = tuple(each for each in parts if each.cause is not Cause.NO_LOCAL_ENDPOINT) or parts
    alike = tuple(dict.fromkeys(replace(each, is_local=False, parts=()) for each in used))
    if len(alike) == 1:
        return used[0]
    verdicts = tuple(dict.fromkeys(each.verdict for each in used))
    sources = tuple(dict.fromkeys(text for each in used for text in each.sources))
    rules = tuple(dict.fromkeys(each.rule for each in used))
    seen = tuple(dict.fromkeys(each.seen for each in used))
    words = "; ".join(dict.fromkeys(each.reason for each in used))
    return replace(
        used[0],
        verdict=verdicts[0] if len(verdicts) == 1 else Verdict.NONDETERMINISTIC,
        cause=used[0].cause if len(verdicts) == 1 else Cause.MIXED,
        reason=words if len(verdicts) == 1 else f"depends on the address: {words}",
        rule=", ".join(filter(None, rules)),
        seen=seen[0] if len(seen) == 1 else Seen.SEVERAL,
        sources=sources,
        exits=tuple(dict.fromkeys(each for one in used for each in one.exits)),
        is_local=False,
        parts=used,
    )
