"""How full each pool of translated ports is, per protocol and destination, and from when on connections fail.

Promises: connections follow their resolved path, through every translator on it, and are counted at each: the pod's own
sockets, the address of its node or gateway, the translator at the border. Flows that spread over several addresses are
shared out evenly; how unevenly hashing spreads them is part of a budget.

What it does not know: connections that nobody told of, and where applications hold fewer than they are told to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

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
    ALL_DESTINATIONS,
    PROTOCOLS,
    Connections,
    PortBudget,
    Pressure,
    SnatPool,
    node_budget,
    nptv6,
    snat_pressure,
    untranslated,
)
from dsmodel.reports.egress.connections import Held, read_connections
from dsmodel.reports.egress.rates import too_fast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.network import NAT64, Network
    from dsmodel.graph.paths.decisions import Decision
    from dsmodel.graph.paths.destinations import Destination
    from dsmodel.graph.paths.table import Half

    Numbers = NDArray[np.int64]

__all__ = ["COLUMNS", "MOST_ROWS", "OWN_SOCKETS", "snat"]

COLUMNS: Final = (
    "pool",
    "owner",
    "ip_family",
    "protocol",
    "destination",
    "port",
    "used",
    "usable",
    "used_ratio",
    "failure_ratio",
    "starts_failing_at",
    "addresses_needed",
    "alarm",
    "why",
)
"""Columns of `snat`, in order."""

OWN_SOCKETS: Final = "sockets of the busiest pod"
"""Name of the pool that pods have for themselves, one a family."""

MOST_ROWS: Final = 1_000_000
"""Pools and destinations that a frame may have."""

_FAILURE: Final = 0.001


def snat(
    cluster: Cluster,
    connections: pd.DataFrame | Mapping[str, float],
    *,
    network: Network | None = None,
    budgets: Mapping[str, PortBudget] | None = None,
    failure: float = _FAILURE,
) -> pd.DataFrame:
    """Tell how full the ports of every translator are, and when connections start to fail.

    Parameters
    ----------
    cluster : Cluster
        Whose pods.
    connections : pandas.DataFrame or mapping of str to float
        What every pod holds open at once, by destination. As a frame, a row a destination: ``destination`` (as
        `dsmodel.reports.egress` takes them, taken for one address and port), then ``connections``, or ``per_second``
        (new ones) with ``life_seconds`` (1 if left out; ports linger after that, as each translator has it); and where
        there is need ``port``, ``protocol`` ("TCP" if left out), ``namespace`` (all if empty).
    network : Network, optional
        What decides beside the cluster; what its objects show if left out.
    budgets : mapping of str to PortBudget, optional
        What translators hold, by pool: an address, "NAT/name", "NAT64/prefix", or "node" for what masquerades on nodes.
    failure : float, default 0.001
        Share of new connections that may fail before failures "start".

    Returns
    -------
    pandas.DataFrame
        A row for a pool, protocol and destination in use, and one for a pool's total (empty destination); columns are
        `COLUMNS`. Fullest first, then by pool, family, protocol and destination. ``owner`` is "pod", "node", "gateway",
        "NAT" or "NAT64"; ``usable``, ``starts_failing_at`` and ``addresses_needed`` (Int64) are missing where nothing
        limits or nobody said. ``failure_ratio`` and ``alarm`` count full ports, and new connections beyond what a
        translator takes a second. A destination of both families is asked for in the one that clients try first, if
        it works.

    Raises
    ------
    InvalidInput
        A column that is missing or unknown, a number that is none, another protocol, a namespace that the cluster does
        not have, a destination that is none.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import BorderNAT, Network
    >>> nat = BorderNAT(name="a", family="IPv4", addresses=("198.51.100.9",), ports=55_000)
    >>> network = Network(masquerades=()).replacing(border=[nat], routed=["10.244.0.0/16"], default_route=True)
    >>> frame = snat(kubeadm_dual_stack(), {"8.8.8.8": 400}, network=network)
    >>> frame[["pool", "used", "usable", "used_ratio", "alarm"]].round(2)
                             pool   used  usable  used_ratio  alarm
    0                       NAT/a  48000   55000        0.87  False
    1  sockets of the busiest pod    400   28232        0.01  False
    """
    asked = read_connections(connections, cluster)
    paths = _resolved(cluster, asked, network)
    loads = _Loads(paths, dict(budgets or {}))
    for place, row in enumerate(asked):
        loads.add(place, row)
    return loads.frame(asked, failure)


def _resolved(cluster: Cluster, asked: list[Held], network: Network | None) -> Paths:
    """Resolve every row's destination, with its port."""
    found: list[Destination] = []
    for row in asked:
        read = read_destinations(row.destination, cluster)
        if len(read) != 1:
            raise InvalidInput(f"connections: {row.destination!r} is {len(read)} destinations; give a row for each")
        found.append(read[0] if row.port is None else replace(read[0], port=row.port))
    return resolve(cluster, found, network=network)


class _Loads:
    """Connections at every pool, while they are gathered."""

    def __init__(self, paths: Paths, budgets: dict[str, PortBudget]) -> None:
        self.paths, self.budgets = paths, budgets
        self.pools: dict[tuple[str, IPFamily], int] = {}
        self.made: list[tuple[SnatPool, str, bool]] = []  # pool, owner, whether its limit is not known
        self.at_nodes: dict[tuple[IPFamily, str], Numbers] = {}  # pool of each node's address
        self.new: dict[tuple[int, int, int], float] = {}  # a second, by pool, protocol and row of what was asked
        self.parts: list[tuple[Numbers, ...]] = []  # pool, protocol, destination, count, instance
        table = paths.cluster.pods
        self.space = np.asarray(table["namespace"][paths.pods], object)

    def add(self, place: int, row: Held) -> None:
        """Lead the connections of one row through their translators."""
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

    def frame(self, asked: list[Held], failure: float) -> pd.DataFrame:
        """Judge every pool."""
        columns = [np.concatenate(each) for each in zip(*self.parts, strict=True)] or [np.zeros(0, np.int64)] * 5
        keys: dict[tuple[str, int | None], int] = {}
        targets = [(one.name, row.port) for one, row in zip(self.paths.destinations, asked, strict=True)]
        number = np.array([keys.setdefault(key, len(keys)) for key in targets] or [0], np.int64)
        load = Connections(columns[0], columns[1], number[columns[2]], columns[3], columns[4])
        found = snat_pressure(load, [pool for pool, *_ in self.made], failure=failure)
        if len(found) > MOST_ROWS:
            raise InvalidInput(f"{len(found):,} pools and destinations: ask for fewer destinations at a time")
        new: dict[tuple[int, int, int], float] = {}
        for (pool, protocol, place), rate in self.new.items():
            key = (pool, protocol, int(number[place]))
            new[key] = new.get(key, 0.0) + rate
        refused, words = too_fast(found, [pool.budget for pool, *_ in self.made], new)
        return _frame(found, self.made, list(keys), (refused, words))


def _frame(
    found: Pressure,
    made: list[tuple[SnatPool, str, bool]],
    targets: list[tuple[str, int | None]],
    rates: tuple[NDArray[np.float64], list[str]],
) -> pd.DataFrame:
    """Write what was judged."""
    refused, words = rates
    is_total = found.destination == ALL_DESTINATIONS
    named = [*targets, ("", None)]  # the last is for a pool's total
    at = np.where(is_total, len(targets), found.destination)
    pools = found.pool.tolist()
    frame = pd.DataFrame(
        {
            "pool": [made[pool][0].name for pool in pools],
            "owner": [made[pool][1] for pool in pools],
            "ip_family": [str(made[pool][0].family) for pool in pools],
            "protocol": np.array([*PROTOCOLS, ""], object)[np.where(is_total, -1, found.protocol)],
            "destination": np.array([name for name, _ in named], object)[at],
            "port": pd.array([port for _, port in named], "Int64")[at],
            "used": found.used,
            "usable": _counts(found.usable, found.is_limited),
            "used_ratio": np.where(found.is_limited, found.used_ratio, np.nan),
            "failure_ratio": np.maximum(found.failure_ratio, refused),
            "starts_failing_at": _counts(found.starts_failing_at, found.is_limited),
            "addresses_needed": _counts(found.addresses_needed, found.addresses_needed > 0),
            "alarm": found.is_alarm | (refused > 0),
            "why": [f"{_why(found, at, made[pool])} {words[at]}".rstrip() for at, pool in enumerate(pools)],
        }
    )
    texts = ["pool", "owner", "ip_family", "destination", "why"]
    frame = frame.astype(dict.fromkeys(texts, object))
    keys = ["used_ratio", "pool", "ip_family", "protocol", "destination", "port"]
    return frame.sort_values(keys, ascending=[False] + [True] * 5, kind="stable", ignore_index=True)


def _counts(values: Numbers, known: NDArray[np.bool_]) -> pd.api.extensions.ExtensionArray:
    """Write counts, missing where they mean nothing."""
    return pd.arrays.IntegerArray(values.astype(np.int64), ~known)


def _why(found: Pressure, row: int, made: tuple[SnatPool, str, bool]) -> str:
    """Say how full a pool is, or why nobody knows."""
    pool, owner, is_unknown = made
    if not is_unknown:
        return found.why(row)
    field = "NAT64.ports" if owner == "NAT64" else "BorderNAT.ports"
    return f"unknown because nobody said how many ports {pool.name} has ({field}, or budgets)"


def _works(made: Decision) -> bool:
    """Say whether any of a decision's paths works."""
    return any(each.verdict.works for each in made.parts or (made,))
