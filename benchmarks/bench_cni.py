"""Placing pods with network plugins: whole batches against the same rules one pod at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from measure import Row, race

from dsmodel.addresses.arrays import from_offsets
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.calico import Calico, IPPool
from dsmodel.cni.calico.placing import place_singly
from dsmodel.cni.cilium import Cilium, ClusterPool
from dsmodel.cni.contract import Placement
from dsmodel.cni.kubenet import Kubenet
from dsmodel.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dsmodel.cni.range_plugin import RangePlugin

SECOND_NS = 1_000_000_000
ALONE = 500  # pods the slow way does of each batch
POOLS = (IPPool("v4", Cidr("10.0.0.0/13"), 26), IPPool("v6", Cidr("fd00:10::/48"), 122))
TIGHT = (IPPool("v4", Cidr("10.0.0.0/15"), 26), POOLS[1])


def rows(*, quick: bool = False) -> list[Row]:
    nodes, pods = (500, 15_000) if quick else (5_000, 150_000)
    arrivals = np.random.default_rng(7).integers(0, nodes, pods)
    return [
        calico(arrivals, nodes, quick=quick),
        calico_borrowing(arrivals, nodes, quick=quick),
        ranges("host-local ranges, both families", arrivals, lambda: kubenet(nodes), quick=quick),
        ranges("Cilium, random starts, both families", arrivals, lambda: cilium(nodes), quick=quick),
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


def ranges(name: str, arrivals: NDArray[np.int64], prepare: Callable[[], RangePlugin], *, quick: bool) -> Row:
    result = race(
        lambda plugin: columns(plugin.place(arrivals)),
        {"one pod at a time": lambda plugin: one_by_one(plugin, arrivals)},
        items=len(arrivals),
        prepare=prepare,
        rounds=3 if quick else 5,
        equal=lambda ours, theirs: all(np.array_equal(a[: len(b)], b) for a, b in zip(ours, theirs, strict=True)),
        peer_items={"one pod at a time": ALONE},
    )
    goals = {"one pod at a time": 50.0}
    return Row(name, f"{len(arrivals):,} p", result.own_ns, result.peers, goals)


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


def one_by_one(plugin: RangePlugin, arrivals: NDArray[np.int64]) -> tuple[Any, ...]:
    """Place the first few pods, each in a call of its own: what a model without batches would have to do."""
    placed = [columns(plugin.place(arrivals[i : i + 1])) for i in range(ALONE)]
    return tuple(np.concatenate(parts) for parts in zip(*placed, strict=True))


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
