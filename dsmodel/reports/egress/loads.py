"""Connections led along their resolved paths: how many there are at every pool of ports, and at every node.

Promises: connections follow their path, through every translator on it, in the family that clients try first if it
works. Flows that spread over several addresses are shared out evenly.

What it does not know: how full anything is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.literals import format_address
from dsmodel.addresses.text import format_addresses
from dsmodel.errors import InvalidInput
from dsmodel.graph.network import BorderNAT
from dsmodel.graph.paths import Paths, resolve
from dsmodel.graph.paths.blocks import codes_of
from dsmodel.graph.paths.decisions import Seen
from dsmodel.graph.paths.destinations import read_destinations
from dsmodel.graph.selection import AddressSets, order_destinations
from dsmodel.graph.snat import (
    PortBudget,
    SnatPool,
    node_budget,
    nptv6,
    untranslated,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.network import NAT64, Network
    from dsmodel.graph.paths.decisions import Decision
    from dsmodel.graph.paths.destinations import Destination
    from dsmodel.graph.paths.table import Half
    from dsmodel.reports.egress.connections import Held

    Numbers = NDArray[np.int64]

__all__ = ["OWN_SOCKETS", "Loads", "resolved"]

OWN_SOCKETS: Final = "sockets of the busiest pod"
"""Name of the pool that pods have for themselves, one a family."""


def resolved(cluster: Cluster, asked: list[Held], network: Network | None) -> Paths:
    """Resolve every row's destination, with its port.

    Parameters
    ----------
    cluster : Cluster
        Whose pods.
    asked : list of Held
        Rows with a destination each.
    network : Network, optional
        What decides beside the cluster.

    Returns
    -------
    Paths
        A destination a row.

    Raises
    ------
    InvalidInput
        A destination that is none, or several.
    """
    found: list[Destination] = []
    for row in asked:
        read = read_destinations(row.destination, cluster)
        if len(read) != 1:
            raise InvalidInput(f"connections: {row.destination!r} is {len(read)} destinations; give a row for each")
        found.append(read[0] if row.port is None else replace(read[0], port=row.port))
    return resolve(cluster, found, network=network)


class Loads:
    """Connections at every pool of ports and at every node, while they are gathered.

    Parameters
    ----------
    paths : Paths
        Which way they go, a destination a row of what is asked.
    budgets : dict of str to PortBudget
        What translators hold, where the caller says so.
    lingers_s : float, default 0
        Seconds for which a rated connection keeps its entry at a node after its end.
    """

    def __init__(self, paths: Paths, budgets: dict[str, PortBudget], *, lingers_s: float = 0.0) -> None:
        self.paths, self.budgets = paths, budgets
        self.pools: dict[tuple[str, IPFamily], int] = {}
        self.made: list[tuple[SnatPool, str, bool]] = []  # pool, owner, whether its limit is not known
        self.at_nodes: dict[tuple[IPFamily, str], Numbers] = {}  # pool of each node's address
        self.new: dict[tuple[int, int, int], float] = {}  # a second, by pool, protocol and row of what was asked
        self.parts: list[tuple[Numbers, ...]] = []  # pool, protocol, destination, count, instance
        self.lingers_s = lingers_s
        self.entries = {family: np.zeros(len(paths.cluster.nodes) + 1) for family in IPFamily}  # the last: no node
        table = paths.cluster.pods
        self.space = np.asarray(table["namespace"][paths.pods], object)

    def add(self, place: int, row: Held) -> None:
        """Lead the connections of one row through their translators.

        Parameters
        ----------
        place : int
            Of its destination in the paths.
        row : Held
            What every pod holds.

        Raises
        ------
        None
            What does not work holds nothing.
        """
        mine = np.ones(len(self.space), np.bool_) if not row.namespace else self.space == row.namespace
        carried = self._families(place)
        for number, (family, half) in enumerate(self.paths.halves.items()):
            pods = np.flatnonzero(mine & (carried == number))
            codes = half.codes(pods, place)
            for code in np.unique(codes).tolist():
                made = half.decisions[code]
                own = pods[codes == code]
                parts = [each for each in made.parts or (made,) if each.verdict.works]
                for part in parts:
                    self._through(part, own, (family, half), (place, row, 1 / len(parts)))

    def _families(self, place: int) -> Numbers:
        """Return for each pod which half carries its connections; -1 for neither."""
        halves = list(self.paths.halves.values())
        everyone = np.arange(len(self.paths.pods))
        works = [
            np.array([_works(each) for each in half.decisions] or [False])[half.codes(everyone, place)]
            for half in halves
        ]
        kinds, first = codes_of([half.groups.of_pod for half in halves]) if len(everyone) else (everyone, everyone)
        servers = [text for half in halves for text in self._servers(half, place)]
        prefers = np.zeros(len(first), np.int64)
        if len(servers) > 1 and len(first):
            sets = AddressSets.of([self._own(int(at)) for at in first.tolist()])
            order = order_destinations(sets, AddressSets.of([servers]), policy=self.paths.network.policy_table)
            prefers = order.is_ipv6[:, 0].astype(np.int64)
        wanted = prefers[kinds]
        held = np.stack(works)
        other = 1 - wanted
        found = np.where(held[wanted, everyone], wanted, np.where(held[other, everyone], other, -1))
        return np.asarray(found, np.int64)

    def _servers(self, half: Half, place: int) -> list[str]:
        """Return one address of a destination in one family."""
        texts = [text for text in self.paths.destinations[place].of_family(half.family) if "/" not in text]
        if texts:
            return texts[:1]
        first, last = np.searchsorted(half.members.destination, [place, place + 1]).tolist()
        column = half.members.address[first : min(last, first + 1)]
        return [format_address(half.family, number) for number in to_integers(column)]

    def _own(self, place: int) -> list[str]:
        """Return the addresses of a pod, IPv6 first."""
        halves = list(self.paths.halves.values())[::-1]
        return [
            format_address(half.family, to_integers(half.groups.source[[place]])[0])
            for half in halves
            if half.groups.has_source[place]
        ]

    def _through(
        self,
        made: Decision,
        pods: Numbers,
        where: tuple[IPFamily, Half],
        what: tuple[int, Held, float],
    ) -> None:
        """Count connections of some pods at every translator of one path."""
        family, half = where
        host, node = half.groups.host[pods], half.groups.node[pods].astype(np.int64)
        sockets = np.where(host, len(self.space) + node, pods)  # of one network namespace
        self._load(self._pool(OWN_SOCKETS, family, "pod", untranslated()), what, np.ones(len(pods)), sockets)
        self._enter(made, node, family, what)
        rule = made.policy if made.exits else made.masquerade
        if made.exits:
            addresses = [leave.address for leave in made.exits if leave.address]
            for address in addresses:
                pool = self._pool(address, family, "gateway", self._budget(rule, family))
                self._load(pool, what, np.array([len(pods) / len(addresses)]), None)
        elif made.translated and made.seen is Seen.NODE and made.sources:
            for address in made.sources:
                pool = self._pool(address, family, "node", self.budgets.get("node", self._budget(rule, family)))
                self._load(pool, what, np.array([len(pods) / len(made.sources)]), None)
        elif made.translated:
            self._nodes(half.groups.node[pods], family, rule, what)
        if made.nat:
            kind, budget = self._border(made.nat)
            pool = self._pool(made.nat, IPFamily.IPV4 if kind == "NAT64" else family, kind, budget)
            if made.exits:
                leaves = np.array([leave.node for leave in made.exits], np.int64)
                self._load(pool, what, np.full(len(leaves), len(pods) / len(leaves)), leaves)
            else:
                self._load(pool, what, np.ones(len(pods)), node)

    def _enter(self, made: Decision, node: Numbers, family: IPFamily, what: tuple[int, Held, float]) -> None:
        """Count entries of connections at the pods' own nodes, and at those of their gateways."""
        _, row, share = what
        each = row.connections * share * (1 if row.life_s is None else row.life_s + self.lingers_s)
        np.add.at(self.entries[family], node, each)
        for leave in made.exits:
            elsewhere = int(np.count_nonzero(node != leave.node))
            if leave.node >= 0:
                self.entries[family][leave.node] += each * elsewhere / len(made.exits)

    def _nodes(self, node: NDArray[np.int32], family: IPFamily, rule: str, what: tuple[int, Held, float]) -> None:
        """Count connections at the addresses of nodes."""
        nodes, end = self.paths.cluster.nodes, str(family).lower()
        key = (family, rule)
        if key not in self.at_nodes:
            has = np.flatnonzero(nodes[f"has_internal_{end}"])
            texts = format_addresses(nodes[f"internal_{end}"][has]).to_pylist()
            budget = self.budgets.get("node", self._budget(rule, family))
            places = np.full(len(nodes) + 1, -1, np.int64)  # the last is for a node that is not known
            places[has] = [self._pool(str(text), family, "node", budget) for text in texts]
            self.at_nodes[key] = places
        pools, counts = np.unique(self.at_nodes[key][node], return_counts=True)
        self._load(pools[pools >= 0], what, counts[pools >= 0].astype(np.float64), None)

    def _budget(self, rule: str, family: IPFamily) -> PortBudget:
        """Return the ports of who translates by a rule."""
        masquerades, cluster = self.paths.network.masquerades, self.paths.cluster
        return node_budget(rule, masquerades, family=family, cluster=cluster)

    def _border(self, title: str) -> tuple[str, PortBudget | None]:
        """Return what is known of a translator at the border."""
        network = self.paths.network
        nats: list[BorderNAT | NAT64] = [nat for held in network.border.values() for nat in held]
        for nat in (*nats, *(network.nat64 or ())):
            if nat.title != title:
                continue
            kind = "NAT" if isinstance(nat, BorderNAT) else "NAT64"
            if isinstance(nat, BorderNAT) and nat.kind == "NPTv6":
                return kind, nptv6()
            if nat.ports is None:
                return kind, None
            return kind, PortBudget(translator=title, ports=nat.ports, addresses=max(1, len(nat.addresses)))
        return "NAT", None

    def _pool(self, name: str, family: IPFamily, owner: str, budget: PortBudget | None) -> int:
        """Return the place of a pool."""
        key = (name, family)
        if key not in self.pools:
            chosen = self.budgets.get(name, budget)
            self.pools[key] = len(self.made)
            known = chosen if chosen is not None else PortBudget(translator=name, ports=None)
            self.made.append((SnatPool(name, family, known), owner, chosen is None))
        place = self.pools[key]
        if owner == "gateway":  # a node's own address may be a gateway's too: one pool
            self.made[place] = (self.made[place][0], owner, self.made[place][2])
        return place

    def _load(
        self, pool: int | Numbers, what: tuple[int, Held, float], pods: NDArray[np.float64], instance: Numbers | None
    ) -> None:
        """Add connections of some pods to a pool, or to alike pools; with budgets of instances, at each."""
        place, row, share = what
        pools = np.atleast_1d(np.asarray(pool, np.int64))
        if not len(pools) or not len(pods):
            return
        budget = self.made[int(pools[0])][0].budget
        each = row.connections * share
        if row.life_s is not None:
            if budget.most_new_per_s is not None and isinstance(pool, int):
                key = (pool, row.protocol, place)
                self.new[key] = self.new.get(key, 0.0) + float(pods.sum()) * each
            each *= row.life_s + budget.hold_s
        if not isinstance(pool, int):
            instance = np.zeros(len(pods), np.int64)
        elif instance is None or not budget.per_instance:
            pods, instance = np.array([pods.sum()]), np.zeros(1, np.int64)
        count = np.ceil(np.round(pods * each, 6)).astype(np.int64)
        size = len(count)
        columns = (np.full(size, row.protocol), np.full(size, place), count, instance.clip(0))
        self.parts.append((np.broadcast_to(pools, size), *columns))


def _works(made: Decision) -> bool:
    """Say whether any of a decision's paths works."""
    return any(each.verdict.works for each in made.parts or (made,))
