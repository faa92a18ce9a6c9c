"""Placing pods with network plugins: whole batches against the same rules one pod at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from measure import Row, race

from dsmodel import Cluster, ClusterConfig
from dsmodel.addresses.arrays import from_offsets
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.calico import Calico, IPPool
from dsmodel.cni.calico.placing import place_singly
from dsmodel.cni.cilium import Cilium, ClusterPool
from dsmodel.cni.contract import Placement
from dsmodel.cni.kubenet import Kubenet
from dsmodel.errors import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.cni.range_plugin import RangePlugin

SECOND_NS = 1_000_000_000
POOLS = (IPPool("v4", Cidr("10.0.0.0/13"), 26), IPPool("v6", Cidr("fd00:10::/48"), 122))
TIGHT = (IPPool("v4", Cidr("10.0.0.0/15"), 26), POOLS[1])


def rows(*, quick: bool = False) -> list[Row]:
    nodes, pods = (500, 15_000) if quick else (5_000, 150_000)
    arrivals = np.random.default_rng(7).integers(0, nodes, pods)
    return [
        calico(arrivals, nodes, quick=quick),
        calico_borrowing(arrivals, nodes, quick=quick),
        calico_in_a_cluster(arrivals, nodes, quick=quick),
        host_local(arrivals, nodes, quick=quick),
        random_starts(arrivals, nodes, quick=quick),
    ]


def calico(arrivals: NDArray[np.int64], nodes: int, *, quick: bool) -> Row:
    result = race(
        lambda plugin: columns(plugin.place(arrivals)),
        {"one pod at a time": lambda plugin: columns(singly(plugin, arrivals))},
        items=len(arrivals),
        prepare=lambda: fresh(POOLS, nodes),
        rounds=3 if quick else 5,
    )
    limits = {} if quick else {"own ns": SECOND_NS / len(arrivals)}
    size = f"{nodes:,} n, {len(arrivals):,} p"
    goals = {"one pod at a time": 3.0}
    return Row("Calico, both families, blocks claimed", size, result.own_ns, result.peers, goals, limits=limits)


def calico_borrowing(arrivals: NDArray[np.int64], nodes: int, *, quick: bool) -> Row:
    pools = TIGHT if not quick else (IPPool("v4", Cidr("10.0.0.0/18"), 26), POOLS[1])
    result = race(
        lambda plugin: plugin.place(arrivals),
        {},
        items=len(arrivals),
        prepare=lambda: fresh(pools, nodes),
        rounds=3 if quick else 5,
    )
    limits = {} if quick else {"own ns": 5 * SECOND_NS / len(arrivals)}
    return Row("Calico, pool used up, borrowing", f"{nodes:,} n, {len(arrivals):,} p", result.own_ns, limits=limits)


def calico_in_a_cluster(arrivals: NDArray[np.int64], nodes: int, *, quick: bool) -> Row:
    result = race(
        lambda cluster: cluster.add_pods(arrivals),
        {},
        items=len(arrivals),
        prepare=lambda: with_nodes("calico", nodes),
        rounds=3 if quick else 5,
    )
    limits = {} if quick else {"own ns": SECOND_NS / len(arrivals)}
    size = f"{nodes:,} n, {len(arrivals):,} p"
    return Row("Cluster.add_pods with Calico, both families", size, result.own_ns, limits=limits)


def host_local(arrivals: NDArray[np.int64], nodes: int, *, quick: bool) -> Row:
    requests = arrivals.tolist()
    result = race(
        lambda plugin: hosts(plugin.place(arrivals)),
        {"Python sets": lambda _: next_free(requests, nodes)},
        items=len(arrivals),
        prepare=lambda: kubenet(nodes),
        rounds=3 if quick else 5,
    )
    size = f"{nodes:,} n, {len(arrivals):,} p"
    return Row("host-local ranges, both families", size, result.own_ns, result.peers, {"Python sets": 4.0})


def random_starts(arrivals: NDArray[np.int64], nodes: int, *, quick: bool) -> Row:
    result = race(
        lambda plugin: plugin.place(arrivals),
        {},
        items=len(arrivals),
        prepare=lambda: cilium(nodes),
        rounds=3 if quick else 5,
    )
    limits = {} if quick else {"own ns": SECOND_NS / len(arrivals)}
    size = f"{nodes:,} n, {len(arrivals):,} p"
    return Row("Cilium, random starts, both families", size, result.own_ns, limits=limits)


def next_free(requests: list[int], nodes: int) -> tuple[Any, ...]:
    """Hand out addresses from a cursor and a set for each node and family, as a model without arrays would."""
    used: list[tuple[set[int], set[int]]] = [(set(), set()) for _ in range(nodes)]
    cursors = [[2, 2] for _ in range(nodes)]
    granted: tuple[list[int], list[int]] = ([], [])
    for node in requests:
        for family in (0, 1):
            ordinal = cursors[node][family]
            while ordinal in used[node][family]:
                ordinal += 1
            used[node][family].add(ordinal)
            cursors[node][family] = ordinal + 1
            granted[family].append(ordinal)
    return tuple(granted)


def hosts(placed: Placement) -> tuple[Any, ...]:
    return placed.addresses[IPFamily.IPV4] & np.uint32(255), placed.addresses[IPFamily.IPV6]["lo"]


def kubenet(nodes: int) -> RangePlugin:
    plugin = Kubenet(list(IPFamily))
    index = np.arange(nodes, dtype=np.uint64)
    plugin.add_ranges(
        {
            IPFamily.IPV4: (from_offsets(Cidr("10.0.0.0/8"), index, unit_bits=8), np.full(nodes, 24, np.uint8)),
            IPFamily.IPV6: (from_offsets(Cidr("fd00::/48"), index, unit_bits=64), np.full(nodes, 64, np.uint8)),
        }
    )
    return plugin


def cilium(nodes: int) -> RangePlugin:
    plugin = Cilium(list(IPFamily), operator=ClusterPool(["10.0.0.0/8", "fd00::/104"], {IPFamily.IPV6: 120}))
    plugin.add_nodes(nodes)
    return plugin


def with_nodes(plugin: str, nodes: int) -> Cluster:
    config = ClusterConfig.of(cluster_cidrs=["10.0.0.0/11", "fd00:10::/48"])
    cluster = Cluster(config, network_plugin=plugin)
    cluster.add_nodes(nodes)
    return cluster


def fresh(pools: tuple[IPPool, ...], nodes: int) -> Calico:
    plugin = Calico(pools)
    plugin.add_nodes([f"node-{number}" for number in range(nodes)])
    return plugin


def singly(plugin: Calico, arrivals: NDArray[np.int64]) -> Placement:
    """Place one pod after the other, all through the same tables."""
    result = Placement.nothing(len(arrivals), plugin.ip_families, Reason.OK)
    place_singly(plugin.steps(), arrivals.astype(np.intp), result, first=0, now=0.0)
    return result


def columns(placed: Placement) -> tuple[Any, ...]:
    return tuple(placed.addresses.values())
