"""The table behind paths: groups of pods against classes of destinations, in one family.

Promises a decision for every group and destination, once for pods on another node than any member of the destination,
once for pods on the node of one, and once for pods that are a member themselves; each is judged for one real pod and
one real member that are like that. Where a destination has members of several classes, their decisions are joined. A
node port's member is its node, and pods on that node meet the endpoints at once.

What it does not know: how likely a client picks which member.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dsmodel.addresses.arrays import family_of
from dsmodel.graph.flows import Flows, Verdict
from dsmodel.graph.paths.blocks import blocks_named, codes_of
from dsmodel.graph.paths.cells import Cells
from dsmodel.graph.paths.decisions import Cause, Decision, Seen
from dsmodel.graph.paths.judging import judge
from dsmodel.graph.paths.members import Members, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr, IPFamily
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.network import Network
    from dsmodel.graph.paths.destinations import Destination
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
    away : ndarray of int32, shape (groups, columns)
        Decision for pods on another node than any member.
    same : tuple of ndarray of int32, shape (groups, columns)
        For pods on the node of a member; and for pods on a node whose members only traffic takes which has to stay.
    own : tuple of ndarray of int32, shape (groups, columns)
        For pods that are a member: alone on their node, or one of several there; and both again for such members.
    decisions : tuple of Decision
        What the tables point at.
    """

    family: IPFamily
    groups: Groups
    members: Members
    column_of: NDArray[np.int64]
    away: NDArray[np.int32]
    same: tuple[NDArray[np.int32], ...]
    own: tuple[NDArray[np.int32], ...]
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
            node = self.groups.node[pods]
            for nodes, table in zip(self._nodes_of(destination), self.same, strict=True):
                near = np.isin(node, nodes)
                found[near] = table[group[near], column]
            for places, table in self._selves(destination):
                own = np.isin(pods, places)
                found[own] = table[group[own], column]
        return found

    def exceptions(self, destination: int) -> list[tuple[NDArray[np.int64], NDArray[np.int32]]]:
        """Return the pods that `away` does not hold for.

        Parameters
        ----------
        destination : int
            Its place.

        Returns
        -------
        list of (ndarray of int64, ndarray of int32)
            Places among the pods that were asked for, rising, and the table that holds for them; no pod is in two.

        Raises
        ------
        None
            There may be none.
        """
        if not self.is_sensitive[self.column_of[destination]]:
            return []
        selves = self._selves(destination)
        found = []
        for nodes, table in zip(self._nodes_of(destination), self.same, strict=True):
            near = np.sort(self._on(nodes))
            for places, _ in selves:
                near = np.setdiff1d(near, places, assume_unique=True)
            found.append((near, table))
        return [(places, table) for places, table in [*found, *selves] if len(places)]

    def _nodes_of(self, destination: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the nodes of a destination: those of any member, and those whose members only stay."""
        nodes = self.nodes_of(destination)
        inside = int(self.members.inside[destination])
        place = destination if inside < 0 else inside
        mine = slice(*np.searchsorted(self.members.destination, [place, place + 1]))
        stays, hosts = self.members.stays[mine], self.members.node[mine]
        late = np.intersect1d(np.setdiff1d(hosts[stays], hosts[~stays]), nodes)
        return np.setdiff1d(nodes, late), late

    def _selves(self, destination: int) -> list[tuple[NDArray[np.int64], NDArray[np.int32]]]:
        """Return the pods that are a member of a destination, alone on their node or not, if that matters."""
        column, inside = self.column_of[destination], int(self.members.inside[destination])
        if not self._meets_itself[column]:
            return []
        place = destination if inside < 0 else inside
        mine = slice(*np.searchsorted(self.members.destination, [place, place + 1]))
        pods, hosts, places = self.members.pod[mine], self.members.node[mine], self._places
        on, counts = np.unique(hosts, return_counts=True)
        several = np.isin(hosts, on[counts > 1])
        fits = (pods >= 0) & (pods < len(places))
        if inside >= 0:
            fits &= np.isin(hosts, self.nodes_of(destination))
        found = []
        kind = self.members.stays[mine] * 2 + several
        for number, table in enumerate(self.own):
            held = places[pods[fits & (kind == number)]]
            found.append((np.unique(held[held >= 0]), table))
        return found

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """Place among the pods that were asked for, by row; -1 for others."""
        rows = self.groups.rows
        found = np.full(int(rows.max(initial=-1)) + 1, -1, np.int64)
        found[rows] = np.arange(len(rows))
        return found

    @cached_property
    def _meets_itself(self) -> NDArray[np.bool_]:
        return np.asarray(
            np.any([table != self.same[number // 2] for number, table in enumerate(self.own)], axis=(0, 1))
        )

    @cached_property
    def is_sensitive(self) -> NDArray[np.bool_]:
        """Whether it matters in a column if pod and member share a node."""
        return np.asarray(np.any([self.away != table for table in self.same], axis=(0, 1))) | self._meets_itself

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
        return self._on(self.nodes_of(destination))

    def _on(self, held: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the pods on some nodes."""
        order, nodes = self._by_node
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


_INSIDE: Final = {Verdict.OK_DIRECT, Verdict.OK_SNAT}


class _Column(NamedTuple):
    """What the answers about some destinations are made of."""

    port: int
    state: State
    held: tuple[int, ...]
    inside: tuple[tuple[int, ...], ...]  # of a node port, for its own node's pods: classes on that node, and on others
    is_spread: bool  # over nodes: who shares a node with one member does not with another
    is_crowded: bool  # a node has several of them


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
        away, *near = (np.full(shape, -1, np.int32) for _ in range(7))
        stays = np.zeros(kinds, np.bool_)
        stays[self.members.kind] = self.members.stays
        for number, each in enumerate(columns):
            out = tuple(table[:, number] for table in (away, *near))
            if each.state is not State.MEMBERS:
                for table in out:
                    table[:] = self._place_of(_stateless(each.state, self.family))
                continue
            apart, together, self_ = by_port[each.port]
            out[0][:] = self._join(apart[:, list(each.held)])
            held, far = each.held, each.held
            if each.inside:
                held, far = each.inside
            others = apart[:, [kind for kind in far if not stays[kind]]]
            for late in (False, True):
                mine = [kind for kind in held if stays[kind] == late]
                rest = [others] if late or each.is_spread else []
                more = [together[:, mine], *rest] if each.is_crowded else rest
                out[1 + late][:] = self._join(together[:, mine], *rest)
                out[3 + 2 * late][:] = self._join_own(self_[:, mine], *rest)
                out[4 + 2 * late][:] = self._join_own(self_[:, mine], *more)
        self._fill(away, *near)
        same, own = tuple(near[:2]), tuple(near[2:])
        return Half(self.family, self.groups, self.members, column_of, away, same, own, tuple(self.decisions))

    def _columns(self) -> tuple[NDArray[np.int64], list[_Column]]:
        """Return the column of each destination, and what each column is made of."""
        columns: dict[_Column, int] = {}
        members = self.members
        starts = np.searchsorted(members.destination, np.arange(len(members.state) + 1)).tolist()
        kinds, nodes = members.kind.tolist(), members.node
        found = np.zeros(len(self.destinations), np.int64)
        for place, one in enumerate(self.destinations):
            first, last = starts[place : place + 2]
            held = tuple(dict.fromkeys(kinds[first:last]))
            inside: tuple[tuple[int, ...], ...] = ()
            on = nodes[first:last]
            ready = on[~members.stays[first:last]]
            is_spread = len(ready) > 0 and bool((ready != ready[0]).any() or ready[0] < 0)
            is_crowded = len(on) > 1 and len(np.unique(on)) < len(on)
            hidden = int(members.inside[place])
            if hidden >= 0 and last > first:
                begin, end = starts[hidden : hidden + 2]
                is_here = nodes[begin:end] == on[0]
                inner = members.kind[begin:end]
                inside = tuple(tuple(dict.fromkeys(inner[mine].tolist())) for mine in (is_here, ~is_here))
                is_spread, is_crowded = bool((~is_here).any()), int(is_here.sum()) > 1
            state = State(int(members.state[place]))
            key = _Column(one.port or -1, state, held, inside, is_spread=is_spread, is_crowded=is_crowded)
            found[place] = columns.setdefault(key, len(columns))
        return found, list(columns)

    def _place_of(self, made: Decision) -> int:
        return self.decisions.setdefault(made, len(self.decisions))

    def _decided(self, kinds: int, port: int) -> tuple[NDArray[np.int32], ...]:
        """Return tables of decisions by group and class: apart, on one node, and of pods that are the member.

        -1 stands where no pair is like that.
        """
        away, same, own = (np.full((len(self.groups), kinds), -1, np.int32) for _ in range(3))
        if not kinds or not len(self.groups):
            return away, same, own
        pairs = [(*self._apart(kinds), away), (*self._together(), same), (*self._selves(), own)]
        for pod, member, table in pairs:
            if not len(pod):
                continue
            cells = self._cells(pod, member, port=port, is_same=table is not away, is_own=table is own)
            codes, decisions = judge(cells, self.cluster, self.network)
            places = np.array([self._place_of(each) for each in decisions], np.int32)
            table[self.groups.of_pod[pod], self.members.kind[member]] = places[codes]
        return away, same, own

    def _selves(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find a pod of each group that is a member of each class of endpoints itself."""
        members, rows = self.members, self.groups.rows
        held = np.flatnonzero((members.service > 0) & (members.pod >= 0))
        places = np.full(max(int(rows.max(initial=-1)), int(members.pod.max(initial=-1))) + 1, -1, np.int64)
        places[rows] = np.arange(len(rows))
        pod = places[members.pod[held]]
        pod, held = pod[pod >= 0], held[pod >= 0]
        if not len(pod):
            return pod, held
        chosen = codes_of([self.groups.of_pod[pod], members.kind[held]])[1]
        return pod[chosen], held[chosen]

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

    def _cells(
        self, pod: NDArray[np.int64], member: NDArray[np.int64], *, port: int, is_same: bool, is_own: bool
    ) -> Cells:
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
            np.full(len(pod), is_own),
            members.service[member],
            members.stays[member],
            groups.proxy[pod],
            groups.may_have[pod],
            members.asked,
            port if port >= 0 else None,
        )

    def _join(self, *tables: NDArray[np.int32]) -> NDArray[np.int32]:
        """Join the decisions about the members of one destination, by distinct combination of them."""
        combined = np.hstack(tables)
        if not combined.shape[1]:
            return np.full(len(combined), -1, np.int32)
        if combined.shape[1] == 1:
            return combined[:, 0].copy()
        kinds, place = np.unique(combined, axis=0, return_inverse=True)
        listed = list(self.decisions)
        joined = [
            self._place_of(_joined([listed[code] for code in dict.fromkeys(row) if code >= 0])) if max(row) >= 0 else -1
            for row in kinds.tolist()
        ]
        return np.array(joined, np.int32)[place.reshape(-1)]

    def _join_own(self, own: NDArray[np.int32], *others: NDArray[np.int32]) -> NDArray[np.int32]:
        """Join the decisions of pods that are a member; -1 for groups that have none."""
        found = self._join(own, *others)
        found[(own < 0).all(axis=1)] = -1
        return found

    def _fill(self, away: NDArray[np.int32], *near: NDArray[np.int32]) -> None:
        """Fill what no pair of pod and member is like, so that lookups need no test."""
        for table in near[:2]:
            np.copyto(table, away, where=table < 0)
        np.copyto(away, near[0], where=away < 0)
        for number, table in enumerate(near[2:]):
            np.copyto(table, near[number // 2], where=table < 0)


def _stateless(state: State, family: IPFamily) -> Decision:
    """Decide about a destination that has no members in a family."""
    if state is State.NO_ADDRESS:
        reason = f"the destination has no {family} address"
        return Decision(Verdict.NO_FAMILY, Cause.DESTINATION_WITHOUT_ADDRESS, reason)
    if state is State.NO_ENDPOINT:
        return Decision(Verdict.NO_ROUTE, Cause.NO_ENDPOINT, f"the Service has no ready endpoint of {family}")
    if state is State.NO_PORT:
        return Decision(
            Verdict.NO_ROUTE, Cause.NO_PORT, "the Service does not have the port, and nobody else the address"
        )
    if state is State.NOT_SERVED:
        reason = f"the Service has no {family} cluster IP: no proxy opens its node port in {family}"
        return Decision(Verdict.NO_ROUTE, Cause.NO_PORT, reason)
    reason = "unknown because the Service's EndpointSlices are not in the model (cluster.objects)"
    return Decision(Verdict.UNKNOWN, Cause.ENDPOINTS_UNKNOWN, reason)


def _joined(found: list[Decision]) -> Decision:
    """Join decisions about members that a client picks one of."""
    parts = tuple(dict.fromkeys(found))
    used = tuple(each for each in parts if each.cause is not Cause.NO_LOCAL_ENDPOINT) or parts
    alike = tuple(dict.fromkeys(replace(each, is_local=False, parts=()) for each in used))
    if len(alike) == 1:
        return used[0] if len({each.is_local for each in used}) == 1 else alike[0]
    verdicts = tuple(dict.fromkeys(each.verdict for each in used))
    sources = tuple(dict.fromkeys(text for each in used for text in each.sources))
    rules = tuple(dict.fromkeys(each.rule for each in used))
    seen = tuple(dict.fromkeys(each.seen for each in used))
    words = "; ".join(dict.fromkeys(each.reason for each in used))
    verdict = verdicts[0] if len(verdicts) == 1 else Verdict.NONDETERMINISTIC
    if set(verdicts) == _INSIDE and all(each.place in {"pod", "node"} for each in used):
        verdict = Verdict.OK_SNAT  # the cluster delivers it either way: a pod among the endpoints of its own Service
    return replace(
        used[0],
        verdict=verdict,
        cause=used[0].cause if verdict is not Verdict.NONDETERMINISTIC else Cause.MIXED,
        reason=words if len(verdicts) == 1 else f"depends on the address: {words}",
        rule=", ".join(filter(None, rules)),
        seen=seen[0] if len(seen) == 1 else Seen.SEVERAL,
        sources=sources,
        exits=tuple(dict.fromkeys(each for one in used for each in one.exits)),
        is_local=False,
        parts=used,
    )
