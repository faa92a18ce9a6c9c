"""Forecasts: one pool against loops over days and objects, all pools of a cluster, and replays."""

from __future__ import annotations

import datetime as dt
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
from measure import Row, race

import dsmodel as ds
from dsmodel.planning.forecasting.results import NEVER
from dsmodel.planning.scenario import Growth, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

DAYS, TRAJECTORIES = 1_095, 10_000
START = dt.date(2026, 1, 1)
GROWTH = Growth.linear(5, per="week", leaving_ratio=0.0005)  # of nodes: joins, and a machine now and then retired
ONE = Growth(per_day=2.0, compound_ratio=0.0005, leaving_ratio=0.0002)  # fills 2,048 blocks in about two years


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of one pool by each law, of all pools, and of a replay."""
    loops = 50 if quick else 200
    yield _one_pool("gaussian", 0.5, loops)
    yield _one_pool("exact", 3.0, loops)
    yield _all_pools("gaussian", 1.0)
    yield _all_pools("exact", 4.0)
    yield _memory()
    yield _replay()


def _first_days(law: str, n: int, start: int) -> NDArray[np.int64]:
    """Give the first day each trajectory of one pool is full."""
    cluster = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/13"], node_cidr_mask_sizes={"IPv4": 24}))
    demand = Scenario.of(START, nodes=ONE, law=law)
    answer = ds.forecast(cluster, demand, horizon=DAYS, trajectories=n, rng=np.random.default_rng(start))
    return answer.first_days[0].astype(np.int64)


def _looped(n: int, start: int) -> NDArray[np.int64]:
    """Give the same by a loop over trajectories and days, as one writes it first, with the normal step."""
    random = np.random.default_rng(start)
    growth, first = ONE, []
    for _ in range(n):
        normals = random.standard_normal(DAYS).tolist()
        present, full = 0.0, NEVER
        for day, normal in enumerate(normals, 1):
            arrivals = growth.per_day + growth.compound_ratio * present
            variance = arrivals + growth.leaving_ratio * (1 - growth.leaving_ratio) * present
            present = max(0.0, present + arrivals - growth.leaving_ratio * present + variance**0.5 * normal)
            if present >= 2_048 and full == NEVER:
                full = day
        first.append(full)
    return np.array(first, np.int64)


def _alike(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> bool:
    """Tell whether medians are within what so few loops can tell."""
    spread = float(np.std(ours[ours < NEVER]))
    return abs(float(np.median(ours)) - float(np.median(theirs))) <= 5 * 1.26 * spread / len(theirs) ** 0.5 + 2


def _one_pool(law: str, most_seconds: float, loops: int) -> Row:
    """Race one pool against a loop."""
    items = TRAJECTORIES * DAYS
    result = race(
        lambda: _first_days(law, TRAJECTORIES, 1),
        {"loop": lambda: _looped(loops, 2)},
        items=items,
        peer_items={"loop": loops * DAYS},
        equal=_alike,
    )
    goals = {"loop": 20.0} if law == "gaussian" else {}
    return Row(
        f"one pool, {law}", f"{TRAJECTORIES:,} x {DAYS:,}", result.own_ns, result.peers, goals,
        quantities={"CPU s": result.own_ns * items / 1e9}, limits={"CPU s": most_seconds},
    )  # fmt: skip


def _demand(law: str) -> Scenario:
    """Let everything grow: nodes with churn, pods compounding, Services, load balancers."""
    return Scenario.of(
        START,
        nodes=GROWTH,
        pods=Growth.exponential(0.05, per="month"),
        services_per_week=4,
        load_balancers_per_week=1,
        law=law,
    )


def _all_pools(law: str, most_seconds: float) -> Row:
    """Time all pools of a cluster, and compare with the cost of the random numbers alone."""
    cluster = ds.examples.kubeadm_dual_stack()
    items = TRAJECTORIES * DAYS
    numbers = np.empty(TRAJECTORIES, np.float32)

    def draw() -> None:
        random = np.random.default_rng(1)
        for _ in range(4 * DAYS):
            random.standard_normal(dtype=np.float32, out=numbers)

    result = race(
        lambda: ds.forecast(cluster, _demand(law), horizon=DAYS, trajectories=TRAJECTORIES) and None,
        {"its random numbers": draw},
        items=items,
    )
    seconds = result.own_ns * items / 1e9
    return Row(
        f"11 pools and 4 kinds, {law}", f"{TRAJECTORIES:,} x {DAYS:,}", result.own_ns, result.peers,
        quantities={"CPU s": seconds}, limits={"CPU s": most_seconds},
    )  # fmt: skip


def _memory() -> Row:
    """Measure the most memory of ten times the trajectories."""
    cluster, n = ds.examples.kubeadm_dual_stack(), 10 * TRAJECTORIES
    ds.forecast(cluster, _demand("gaussian"), horizon=9, trajectories=10)
    tracemalloc.start()
    ds.forecast(cluster, _demand("gaussian"), horizon=120, trajectories=n)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    result = race(lambda: ds.forecast(cluster, _demand("gaussian"), horizon=120, trajectories=n) and None, {},
                  items=n * 120, rounds=2)  # fmt: skip
    return Row("11 pools, memory", f"{n:,} x 120", result.own_ns, quantities={"peak MB": peak / 1e6},
               limits={"peak MB": 60.0})  # fmt: skip


def _replay() -> Row:
    """Time a year through the allocators."""
    cluster = ds.examples.kubeadm_dual_stack()
    demand = Scenario.of(
        START,
        nodes=Growth.linear(2, per="week", leaving_ratio=0.005),
        pods=Growth(per_day=8, leaving_ratio=0.02),
        services=Growth(per_day=0.5, leaving_ratio=0.005),
    )
    steps = 2 * 365
    result = race(
        lambda: ds.forecast(cluster, demand, horizon=365, mode="replay", trajectories=2) and None,
        {},
        items=steps,
        rounds=2,
    )
    milliseconds = result.own_ns / 1e6
    return Row("a day of replay", "2 x 365", result.own_ns, quantities={"ms": milliseconds}, limits={"ms": 25.0})
