"""Resolved paths as nodes and edges: what `dsmodel.graph.topology` hands to graph algorithms.

Promises one edge for every distinct step of the resolved paths, with the pods that take it and the destinations it is
taken for; steps that rules would allow and that no packet takes are not there. Attributes are those that
`dsmodel.graph.edges` declares.

- ``pods``: every pod is a node of the graph.
- ``workloads``: pods of a namespace that have the same name label (`NAME_LABELS`) are one; so are the nodes of one
  node pool.
- ``nodes``: pods are counted at their node.

What it does not know: graph algorithms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.literals import format_address
from dsmodel.addresses.text import format_addresses
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.errors import InvalidInput
from dsmodel.graph.edges import RANKS, Kind, Role
from dsmodel.graph.flows import Verdict
from dsmodel.graph.paths.blocks import codes_of
from dsmodel.graph.paths.decisions import Cause, Decision, Seen
from dsmodel.graph.paths.members import State
from dsmodel.graph.snat import node_budget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dsmodel.graph.network import NAT64, BorderNAT
    from dsmodel.graph.paths.resolution import Paths
    from dsmodel.graph.paths.table import Half

    Key = tuple[Any, ...]

__all__ = ["DETAILS", "NAME_LABELS", "Detail", "Ways", "ways_of"]

Detail = Literal["nodes", "workloads", "pods"]
DETAILS: Final = ("nodes", "workloads", "pods")
NAME_LABELS: Final = ("app.kubernetes.io/name", "app", "k8s-app", "name")
"""Labels that name a workload, the first that is there."""

_NUMBER: Final = {IPFamily.IPV4: 4, IPFamily.IPV6: 6}


@dataclass(frozen=True, eq=False)
class Ways:
    """Nodes and edges of a graph.

    Parameters
    ----------
    nodes : list of (tuple, dict)
        Key and attributes.
    edges : list of (tuple, tuple, tuple, dict)
        Both ends, key and attributes.
    """

    nodes: list[tuple[Key, dict[str, Any]]]
    edges: list[tuple[Key, Key, Key, dict[str, Any]]]


def ways_of(paths: Paths, *, detail: Detail = "workloads") -> Ways:
    """Write resolved paths as nodes and edges.

    Parameters
    ----------
    paths : Paths
        Of any pods and destinations.
    detail : {"nodes", "workloads", "pods"}
        What the pods' end of the graph is made of.

    Returns
    -------
    Ways
        Nodes in the order of kinds and names, edges in the order of families and steps.

    Raises
    ------
    InvalidInput
        Another word for the detail.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import Network
    >>> from dsmodel.graph.paths import resolve
    >>> ways = ways_of(resolve(kubeadm_dual_stack(), "2001:db8::1", network=Network()), detail="nodes")
    >>> sorted({str(edge[3]["role"]) for edge in ways.edges})
    ['deny']
    """
    if detail not in DETAILS:
        raise InvalidInput(f"detail={detail!r}: allowed are {', '.join(DETAILS)}")
    return _Builder(paths, detail).ways()


@dataclass
class _Step:
    """An edge while its pods and destinations are gathered."""

    attributes: dict[str, Any]
    places: set[int] = field(default_factory=set)
    per_place: dict[int, int] = field(default_factory=dict)  # pods by destination


@dataclass(frozen=True, eq=False)
class _Cells:
    """Pods of one family, counted by workload, seat and group.

    Parameters
    ----------
    of_pod : ndarray of int64, shape (pods,)
        Cell of each pod.
    unit, seat, group, size : ndarray of int64, shape (n,)
        Workload (0 where pods are no workloads), what stands for the node, group, and number of pods of each cell.
    """

    of_pod: NDArray[np.int64]
    unit: NDArray[np.int64]
    seat: NDArray[np.int64]
    group: NDArray[np.int64]
    size: NDArray[np.int64]


class _Builder:
    """Nodes and edges while they are collected."""

    def __init__(self, paths: Paths, detail: Detail) -> None:
        self.paths, self.cluster, self.detail = paths, paths.cluster, detail
        self.nodes: dict[Key, dict[str, Any]] = {}
        self.steps: dict[tuple[Key, Key, Key], _Step] = {}
        self.ports: dict[tuple[IPFamily, str], int | None] = {}  # of one address, by family and rule
        self.unit, self.units = self._units()
        self.seat, self.seats = self._seats()
        # seat of each pod, and its workload with it where there are any: the same in both families
        at = self.seat[self.cluster.pods["node"][paths.pods]]
        units = self.unit if detail == "workloads" else np.zeros(len(at), np.int64)
        self.pair, first = codes_of([units, at])
        self.pairs = units[first], at[first]

    @cached_property
    def names(self) -> list[str]:
        """Names of the cluster's nodes."""
        return [str(name) for name in self.cluster.nodes["name"].tolist()]

    def ways(self) -> Ways:
        """Collect both families."""
        for half in self.paths.halves.values():
            self._family(half)
        everything = [each.name for each in self.paths.destinations]
        shared: dict[frozenset[int], tuple[str, ...]] = {}
        edges = []
        for (source, target, key), step in self.steps.items():
            held = frozenset(step.places)
            if held not in shared:
                shared[held] = tuple(sorted(everything[place] for place in held))
            step.attributes["destinations"] = shared[held]
            if step.per_place:  # pods that take a step for several destinations are the same pods
                step.attributes["pods"] = max(step.per_place.values())
            edges.append((source, target, key, step.attributes))
        return Ways(list(self.nodes.items()), edges)

    # pods and nodes ----------------------------------------------------------------------------------------------

    def _units(self) -> tuple[NDArray[np.int64], list[Key]]:
        """Return the graph's node of each pod, and the keys."""
        table, rows = self.cluster.pods, self.paths.pods
        if self.detail == "nodes":
            return np.zeros(len(rows), np.int64), []
        space, spaces = self.paths.namespace, self.paths.namespaces
        if self.detail == "pods":
            names = table["name"][rows].astype(object).tolist()
            keys = [
                (Kind.POD.value, spaces[at], name or f"#{row}")
                for at, name, row in zip(space.tolist(), names, rows.tolist(), strict=True)
            ]
            return np.arange(len(rows)), keys
        titles = [_title(labels) for labels in self.cluster.pod_labels.sets]
        title, title_names = pd.factorize(np.array([*titles, ""], object), sort=True)
        of_pod = title[table["labels"][rows]]
        unit, first = codes_of([space, of_pod])
        held = zip(space[first].tolist(), of_pod[first].tolist(), strict=True)
        return unit, [(Kind.WORKLOAD.value, spaces[at], str(title_names[name])) for at, name in held]

    def _seats(self) -> tuple[NDArray[np.int64], list[Key]]:
        """Return what stands for each cluster node, the last for one that is not known, and the keys."""
        if self.detail != "workloads":
            keys: list[Key] = [(Kind.NODE.value, name) for name in self.names]
            return np.append(np.arange(len(keys)), len(keys)), [*keys, (Kind.NODE.value, "")]
        pool, names = pd.factorize(np.append(self.cluster.nodes["node_pool"].astype(object), ""), sort=True)
        return pool.astype(np.int64), [(Kind.NODE_POOL.value, str(name)) for name in names]

    def _cells(self, half: Half) -> _Cells:
        """Count the pods of one family that are alike."""
        group = half.groups.of_pod
        of_pod, first = codes_of([self.pair, group])
        unit, seat = (each[self.pair[first]] for each in self.pairs)
        return _Cells(of_pod, unit, seat, group[first], np.bincount(of_pod, minlength=len(first)))

    def _add_units(self, half: Half, seats: NDArray[np.int64]) -> None:
        """Add nodes for pods, workloads, cluster nodes and node pools that are used."""
        if not self.nodes:
            self._add_pods(half.groups.node)
        for seat in np.unique(seats).tolist():
            key = self.seats[seat]
            if key in self.nodes:
                continue
            if key[0] == Kind.NODE_POOL:
                here = self.seat[:-1] == seat
                size = int(np.count_nonzero(here))
                self.nodes[key] = {"kind": key[0], "label": key[1] or "nodes", "nodes": size}
            else:
                self.nodes[key] = self._node_attributes(seat, key[1])

    def _node_attributes(self, row: int, name: str) -> dict[str, Any]:
        nodes, known = self.cluster.nodes, row < len(self.names)
        down = known and name in self._down
        return {
            "kind": Kind.NODE.value,
            "label": name or "not known",
            "ipv4": self._address(row, IPFamily.IPV4),
            "ipv6": self._address(row, IPFamily.IPV6),
            "ready": bool(known and nodes["ready"][row] and not down),
            "zone": str(nodes["zone"][row]) if known else "",
        }

    @property
    def _down(self) -> frozenset[str]:
        network = self.paths.network
        return network.down_nodes(self.cluster) if network.failed else frozenset()

    def _add_pods(self, node: NDArray[np.int32]) -> None:
        """Add pods, or the workloads they are counted in."""
        if self.detail == "nodes":
            return
        if self.detail == "workloads":
            for key, pods in zip(self.units, np.bincount(self.unit, minlength=len(self.units)).tolist(), strict=True):
                label = f"{key[1]}/{key[2]}" if key[2] else key[1]
                self.nodes[key] = {"kind": key[0], "label": label, "pods": pods, "node": "", "namespace": key[1]}
            return
        texts = {}
        for family, half in self.paths.halves.items():
            found = np.full(len(half.groups.source), "", object)
            has = half.groups.has_source
            found[has] = format_addresses(half.groups.source[has]).to_pylist()
            texts[family] = found.tolist()
        names = [*self.names, ""]
        host = half.groups.host.tolist()
        rows = zip(self.units, node.tolist(), host, texts[IPFamily.IPV4], texts[IPFamily.IPV6], strict=True)
        for key, row, is_host, ipv4, ipv6 in rows:
            self.nodes[key] = {
                "kind": "pod",
                "label": key[2],
                "pods": 1,
                "node": names[row],
                "namespace": key[1],
                "ipv4": ipv4,
                "ipv6": ipv6,
                "host_network": is_host,
            }

    def _address(self, row: int, family: IPFamily) -> str:
        """Return the InternalIP of a cluster node."""
        nodes, end = self.cluster.nodes, ENDS[family]
        if row >= len(self.names) or not nodes[f"has_internal_{end}"][row]:
            return ""
        return format_address(family, to_integers(nodes[f"internal_{end}"][row : row + 1])[0])

    # steps -------------------------------------------------------------------------------------------------------

    def _family(self, half: Half) -> None:
        """Add the steps of one family."""
        cells = self._cells(half)
        self._add_units(half, cells.seat)
        starts = np.array([each.cause is not Cause.NO_SOURCE for each in half.decisions], np.bool_)
        attached: set[int] = set()
        for place in range(len(self.paths.destinations)):
            if State(int(half.members.state[place])) is not State.MEMBERS:
                continue
            seats, codes, pods = self._tally(half, cells, place)
            for seat, code, count in zip(seats.tolist(), codes.tolist(), pods.tolist(), strict=True):
                made = half.decisions[code]
                for part in made.parts or (made,):
                    for role, source, target, extra in self._chain(half.family, part, seat, place=place):
                        self._step(half.family, role, (source, target), places={place}, pods=count, **extra)
            if starts[codes].any():
                attached.add(place)
        if attached and self.detail != "nodes":
            self._attach(half, cells, attached)

    def _tally(
        self, half: Half, cells: _Cells, place: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
        """Count pods by seat and decision about one destination; only those near it are looked at one by one."""
        column = half.column_of[place]
        seats, codes, counts = [cells.seat], [half.away[cells.group, column]], [cells.size]
        for pods, table in half.exceptions(place):
            near = np.bincount(cells.of_pod[pods], minlength=len(cells.size))
            held = np.flatnonzero(near)
            seats.append(cells.seat[held])
            codes.append(table[cells.group[held], column])
            counts = [counts[0] - near, *counts[1:], near[held]]
        size = np.concatenate(counts)
        met = size > 0
        seat, code, size = np.concatenate(seats)[met], np.concatenate(codes)[met], size[met]
        pair, first = codes_of([seat, code])
        pods_of = np.bincount(pair, weights=size, minlength=len(first)).astype(np.int64)
        return seat[first], code[first], pods_of

    def _attach(self, half: Half, cells: _Cells, places: set[int]) -> None:
        """Lead pods to their nodes, through their proxies."""
        family, groups = half.family, half.groups
        if self.detail == "pods":
            held = np.flatnonzero(groups.has_source)
            columns = self.unit[held], self.seat[groups.node[held]], groups.proxy[held]
            counts = np.ones(len(held), np.int64)
        else:
            held = np.flatnonzero(groups.has_source[groups.first[cells.group]])
            columns = cells.unit[held], cells.seat[held], groups.proxy[groups.first[cells.group[held]]]
            pair, first = codes_of(columns)
            counts = np.bincount(pair, weights=cells.size[held], minlength=len(first)).astype(np.int64)
            columns = columns[0][first], columns[1][first], columns[2][first]
        rows = zip(*(each.tolist() for each in (*columns, counts)), strict=True)
        key = (str(family), Role.ATTACH.value)
        proxies = {at: each for at, each in enumerate(self.paths.network.proxies) if family in each.families}
        for unit, at, proxy, count in rows:
            source = self.units[unit]
            if proxy in proxies:
                through: Key = (Kind.PROXY.value, proxies[proxy].name)
                if through not in self.nodes:
                    self.nodes[through] = {"kind": Kind.PROXY.value, "label": through[1]}
                self._step(family, Role.CAPTURE, (source, through), places=places, pods=count)
                source = through
            attributes = {**_ATTACH, "family": key[0], "pods": count}
            step = self.steps.setdefault((source, self.seats[at], key), _Step(attributes, places))
            if step.attributes is not attributes:
                step.attributes["pods"] += count

    def _chain(
        self, family: IPFamily, made: Decision, where: int, *, place: int
    ) -> Iterator[tuple[Role, Key, Key, dict[str, Any]]]:
        """Yield the steps of one decision, from the cluster node to the world."""
        at = seat = self.seats[where]
        if made.policy:
            policy: Key = (Kind.POLICY.value, made.policy)
            self._node(policy, label=made.policy)
            state = "active" if made.verdict.works else "blocked"
            yield Role.SELECT, at, policy, {"reason": made.reason, "state": state}
            at = policy
        if not made.verdict.works:
            state = "unknown" if made.verdict in {Verdict.UNKNOWN, Verdict.NONDETERMINISTIC} else "blocked"
            drop: Key = (Kind.DROP.value, str(made.verdict), _NUMBER[family])
            self._node(drop, label=str(made.verdict), family=str(family), verdict=str(made.verdict))
            yield Role.DENY, at, drop, {"reason": made.reason, "state": state}
            return
        for exits in self._exits(family, made, where, seat):
            last = at
            for role, key, extra in exits:
                yield role, last, key, extra
                last = key
            yield from self._arrive(family, made, last, place)

    def _exits(
        self, family: IPFamily, made: Decision, where: int, seat: Key
    ) -> Iterator[list[tuple[Role, Key, dict[str, Any]]]]:
        """Yield the ways out that a decision leaves open: one, or one for each exit of a gateway."""
        if made.exits and made.verdict is not Verdict.LEAK_FALLTHROUGH:
            for leave in made.exits:
                gateway: Key = (Kind.GATEWAY.value, made.policy, leave.name)
                addresses = {str(each): "" for each in ENDS.values()} | {ENDS[family]: leave.address}
                node = self.names[leave.node] if leave.node >= 0 else ""
                self._node(gateway, label=leave.name, node=node, **addresses)
                steps: list[tuple[Role, Key, dict[str, Any]]] = [(Role.STEER, gateway, {"reason": made.reason})]
                if leave.address:
                    steps.append(self._snat(family, leave.address, made.policy))
                yield steps
        elif made.translated:
            masquerade: Key = (Kind.MASQUERADE.value, seat[1], _NUMBER[family])
            self._node(masquerade, label=made.masquerade.partition(":")[0] or "masquerade", family=str(family))
            if seat[0] == Kind.NODE_POOL:
                address = f"nodes of {seat[1]}" if seat[1] else "nodes"
            else:
                address = made.sources[0] if made.sources and made.seen is Seen.NODE else self._address(where, family)
            steps = [(Role.MASQ, masquerade, {"reason": made.masquerade})]
            yield [*steps, self._snat(family, address, made.masquerade)] if address else steps
        else:
            yield []

    def _snat(self, family: IPFamily, address: str, rule: str) -> tuple[Role, Key, dict[str, Any]]:
        """Return the step to an address that sources are rewritten to."""
        key: Key = (Kind.SNAT_IP.value, address, _NUMBER[family])
        if (family, rule) not in self.ports:
            masquerades = self.paths.network.masquerades
            self.ports[family, rule] = node_budget(rule, masquerades, family=family, cluster=self.cluster).ports
        ports = self.ports[family, rule]
        self._node(key, label=address, family=str(family), ports=ports)
        return Role.SNAT, key, {"rewrite": address, "reason": rule, "capacity": ports}

    def _arrive(
        self, family: IPFamily, made: Decision, at: Key, place: int
    ) -> Iterator[tuple[Role, Key, Key, dict[str, Any]]]:
        """Yield the steps from the cluster's border to the world."""
        if made.nat:
            is_nat64 = made.nat.startswith("NAT64/")
            nat: Key = (Kind.NAT64.value if is_nat64 else Kind.CLOUD_NAT.value, made.nat.partition("/")[2])
            limit = self._limit(made.nat)
            self._node(nat, label=made.nat, **({} if is_nat64 else {"family": str(family)}))
            rewrite = ", ".join(made.sources)
            role = Role.TRANSLATE if is_nat64 else Role.BORDER
            yield role, at, nat, {"rewrite": rewrite, "reason": made.nat, "capacity": limit}
            at = nat
        one = self.paths.destinations[place]
        target: Key = (Kind.DESTINATION.value, one.name, one.port or 0, _NUMBER[family])
        world: Key = (Kind.WORLD.value, _NUMBER[family])
        self._node(target, label=one.name, family=str(family))
        self._node(world, label=f"{family} world", family=str(family))
        yield Role.EXIT, at, target, {"reason": made.reason}
        yield Role.BELONGS, target, world, {}

    def _limit(self, title: str) -> int | None:
        """Return the connections at once that a translator carries per destination."""
        network = self.paths.network
        nats: list[BorderNAT | NAT64] = [nat for held in network.border.values() for nat in held]
        for each in (*nats, *(network.nat64 or ())):
            if each.title == title and each.ports is not None:
                return each.ports * max(1, len(each.addresses))
        return None

    def _node(self, key: Key, **attributes: Any) -> None:
        if key not in self.nodes:
            self.nodes[key] = {"kind": key[0], **attributes}

    def _step(
        self, family: IPFamily, role: Role, ends: tuple[Key, Key], *, places: set[int], pods: int, **given: Any
    ) -> None:
        """Add an edge, or its pods and destinations to one that is there."""
        key = (str(family), role.value)
        step = self.steps.get((*ends, key))
        if step is None:
            attributes = {**_EMPTY, "family": key[0], "role": role.value, "rank": RANKS[role], **given}
            step = self.steps[*ends, key] = _Step(attributes)
        for place in places:
            step.per_place[place] = step.per_place.get(place, 0) + pods
        step.places |= places


_EMPTY: Final = {"pods": 0, "destinations": (), "rewrite": "", "reason": "", "state": "active", "capacity": None}
_ATTACH: Final = {**_EMPTY, "role": Role.ATTACH.value, "rank": RANKS[Role.ATTACH]}


def _title(labels: Any) -> str:
    """Name the workload that a label set belongs to."""
    return next((str(labels[key]) for key in NAME_LABELS if key in labels), "")
