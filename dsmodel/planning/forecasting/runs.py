"""Ask when a cluster runs out: demand, many futures, first days.

Promises the cluster is left as it is; the same arguments give the same forecast; memory does not grow with the
horizon, and with trajectories only by four bytes a pool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dsmodel.errors import InvalidInput
from dsmodel.planning.forecasting.questions import question_of, trouble_of
from dsmodel.planning.forecasting.replays import replay
from dsmodel.planning.forecasting.results import Forecast
from dsmodel.planning.scenario.calendars import horizon_days
from dsmodel.planning.scenario.demands import Scenario
from dsmodel.progress import finished

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster
    from dsmodel.planning.forecasting.questions import Question
    from dsmodel.planning.scenario.calendars import Span

__all__ = ["MODES", "SEED", "forecast", "forecasting"]

SEED = 20260101  # of a forecast without a generator
MODES = {"counts": 10_000, "replay": 20}  # trajectories by default
_CHUNK = 16_384  # trajectories at a time: a few vectors of them stay in the cache
_FAN_TRAJECTORIES = 4_096  # whose numbers are kept for the picture
_MOST_TRAJECTORIES = 10_000_000


def forecast(
    cluster: Cluster,
    demand: Scenario,
    *,
    horizon: Span,
    trajectories: int | None = None,
    rng: np.random.Generator | None = None,
    mode: str = "counts",
) -> Forecast:
    """Tell when each pool of a cluster is full, with uncertainty, and which one binds first.

    Parameters
    ----------
    cluster : Cluster
        As it is on the day the scenario starts; not changed.
    demand : Scenario
        What grows, from which day, and by which law.
    horizon : int, str, date or timedelta
        Days; text such as "90d", "18mo", "3y"; or the last day. Rounded up to whole steps of the scenario.
    trajectories : int, optional
        How many futures; 10,000 by counts and 20 by replay if left out.
    rng : numpy.random.Generator, optional
        Decides; without one, a generator seeded with `SEED`.
    mode : str, default "counts"
        "counts": each pool for itself, nothing is fragmented. "replay": the allocators of a copy of the cluster,
        node by node and pod by pod under churn, by the exact law; `Forecast.difference` compares the same trajectories
        by counts. A node without podCIDRs is replaced once every family has a block; pods of a removed node start
        elsewhere.

    Returns
    -------
    Forecast
        `reports.exhaustion` is its frame.

    Raises
    ------
    InvalidInput
        If the horizon or the number of trajectories is none, the mode is unknown, or nothing is demanded.

    Examples
    --------
    >>> from dsmodel import examples
    >>> demand = Scenario.of("2026-01-01", nodes_per_week=3, law="expected")
    >>> answer = forecast(examples.kubeadm_dual_stack(), demand, horizon="3y", trajectories=1)
    >>> [(each.pool, each.ip_family, str(each.dates[1])) for each in answer.exhaustion[:2]]
    [('node blocks', 'IPv4', '2027-08-08'), ('node blocks', 'IPv6', '2027-08-08')]
    """
    steps = forecasting(cluster, demand, horizon=horizon, trajectories=trajectories, rng=rng, mode=mode)
    return finished("forecasting", steps)


def forecasting(
    cluster: Cluster,
    demand: Scenario,
    *,
    horizon: Span,
    trajectories: int | None = None,
    rng: np.random.Generator | None = None,
    mode: str = "counts",
) -> Generator[float, None, Forecast]:
    """Forecast step by step, for whoever shows how far it is or may stop it in between.

    Parameters
    ----------
    cluster, demand, horizon, trajectories, rng, mode
        As `forecast` takes them.

    Yields
    ------
    float
        Share of the steps of all trajectories that were taken.

    Returns
    -------
    Forecast
        As `forecast`.

    Raises
    ------
    InvalidInput
        As `forecast`.

    Examples
    --------
    >>> from dsmodel import examples
    >>> demand = Scenario.of("2026-01-01", nodes_per_week=3, law="expected")
    >>> list(forecasting(examples.kubeadm_dual_stack(), demand, horizon="28d", trajectories=1))[-1]
    1.0
    """
    if mode not in MODES:
        raise InvalidInput(f"mode={mode!r}: is one of {', '.join(MODES)}")
    if not isinstance(demand, Scenario) or not demand.demands:
        raise InvalidInput(
            "demand: needs a Scenario with some demand, for instance Scenario.of(start, nodes_per_week=3)"
        )
    n = MODES[mode] if trajectories is None else trajectories
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= _MOST_TRAJECTORIES:
        raise InvalidInput(f"trajectories={n!r}: needs a whole number from 1 to {_MOST_TRAJECTORIES:,}")
    days = horizon_days(horizon, demand.start)
    generator = rng if rng is not None else np.random.default_rng(SEED)
    question = question_of(cluster, demand, days)
    replayed: dict[str, NDArray[Any]] = {}
    if mode == "replay":
        first, moved, replayed = yield from replay(question, n, rng=generator)
    else:
        first, moved = yield from _count(question, n, rng=generator)
    fan_days = question.fan_steps * demand.step_days
    trouble = tuple(trouble_of(question))
    days = question.steps * demand.step_days
    return Forecast(
        demand, days, mode, question.capacities, first, fan_days, moved, question.more_nodes, trouble, replayed
    )


def _count(
    question: Question, n: int, *, rng: np.random.Generator
) -> Generator[float, None, tuple[NDArray[np.int32], NDArray[Any]]]:
    """Run all trajectories by counts: first days, and the numbers kept for the picture."""
    firsts, kept = [], []
    points = {step: place for place, step in enumerate(question.fan_steps.tolist())}
    for begin in range(0, n, _CHUNK):
        size = min(_CHUNK, n - begin)
        populations, passage = question.populations(size, rng, law=question.demand.law), question.passage(size)
        shown = min(size, _FAN_TRAJECTORIES) if begin == 0 else 0
        moved = np.zeros(
            (len(points), len(populations), shown), np.float64 if question.demand.law == "expected" else np.float32
        )
        for step in range(question.steps):
            for population in populations:
                population.advance(step)
            numbers = [population.moved for population in populations]
            passage.observe(numbers)
            if shown and step + 1 in points:
                moved[points[step + 1]] = [column[:shown] for column in numbers]
            yield (begin + size * (step + 1) / question.steps) / n
        firsts.append(question.days(passage.first))
        kept.append(moved)
    return np.concatenate(firsts, axis=1), kept[0]
