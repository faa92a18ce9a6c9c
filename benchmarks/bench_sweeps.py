"""A sweep's cost beside the plan's own: the same scenarios in a plain loop that collects rows."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from measure import Row, race

import dsmodel as ds
from dsmodel.planning.sweeps import GrowthPlan, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_OVERHEAD = 0.85  # the plain loop takes at least this share of what a sweep takes


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield one row: forecasts of a grid."""
    grid: dict[str, list[Any]] = {"mask_ipv4": [24, 25, 26], "nodes_per_week": list(range(1, 5 if quick else 17))}
    plan = GrowthPlan(ds.examples.kubeadm_dual_stack(), "2026-01-01", trajectories=200)

    def loop() -> pd.DataFrame:
        parts = []
        for values in itertools.product(*grid.values()):
            scenario = dict(zip(grid, values, strict=True))
            answer = plan(scenario, np.random.default_rng(1))
            parts.append(answer.assign(**scenario))
        return pd.concat(parts, ignore_index=True)

    scenarios = len(grid["mask_ipv4"]) * len(grid["nodes_per_week"])
    found = race(
        lambda: sweep(plan, grid),
        {"plain loop": loop},
        items=scenarios,
        rounds=3,
        equal=lambda ours, theirs: len(ours) == len(theirs),
    )
    yield Row(
        "forecast a grid", f"{scenarios} scenarios", found.own_ns, found.peers, goals={"plain loop": MOST_OVERHEAD}
    )
