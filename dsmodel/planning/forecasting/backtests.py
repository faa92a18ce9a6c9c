"""How far forecasts of this kind can be trusted: fit on early history, ask about the late one, count.

Promises the share of held-back points between the 5th and the 95th percentile, with their number, whatever it is. The
points of one series follow each other, so that one that leaves the band stays outside: one series is weak
evidence, and a share of 1.0 says bands are too wide.

What it does not know: pools; it judges demand, not capacity.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput
from dsmodel.planning.forecasting.populations import Population, schedule_of
from dsmodel.planning.forecasting.results import QUANTILES
from dsmodel.planning.scenario.fitting import LEAST_POINTS, SHAPES, fit_series
from dsmodel.planning.scenario.histories import series_of
from dsmodel.planning.scenario.parts import axes_of
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.planning.scenario.growth import Growth
    from dsmodel.planning.scenario.histories import Series

__all__ = ["back_test"]

_SEED = 20260101  # of a back-test without a generator
_TRAJECTORIES = 4_000
_EXPECTED = QUANTILES[-1] - QUANTILES[0]


def back_test(
    history: pd.DataFrame,
    *,
    held_back_ratio: float = 0.3,
    by: str | Sequence[str] = (),
    rng: np.random.Generator | None = None,
    **fitting: Any,
) -> pd.DataFrame:
    """Tell how well the late part of a history lies in the bands that its early part gives.

    Parameters
    ----------
    history : pandas.DataFrame
        As of `fit`.
    held_back_ratio : float, default 0.3
        Share of each series' time that is held back, between 0 and 1.
    by : str or sequence of str, optional
        As of `fit`.
    rng : numpy.random.Generator, optional
        Decides; without one, always the same.
    **fitting : object
        ``shape``, ``robust`` and ``season``, as of `fit`.

    Returns
    -------
    pandas.DataFrame
        One row a series: ``metric``, ``ip_family``, ``node_pool``, ``zone``; ``fitted_points``, ``points`` (held back),
        ``inside``, ``coverage_ratio`` (missing without points), ``expected_ratio`` (0.9), ``median_error`` (mean of
        value less median, in objects), ``split`` (last day of the early part), ``why``. Sorted by these names.

    Raises
    ------
    InvalidInput
        If the frame cannot be read, the share is not between 0 and 1, or shape or season is unknown.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> days = pd.date_range("2026-01-01", periods=200)
    >>> pods = 100 + np.cumsum(rng.poisson(3, size=200))
    >>> back_test(pd.DataFrame({"time": days, "metric": "pods", "value": pods}))[["points", "inside"]].values.tolist()
    [[60, 60]]
    """
    if not 0 < held_back_ratio < 1:
        raise InvalidInput(f"held_back_ratio={held_back_ratio}: is between 0 and 1, both excluded")
    shape = fitting.setdefault("shape", "linear")
    if shape not in SHAPES:
        raise InvalidInput(f"shape={shape!r}: is one of {', '.join(SHAPES)}")
    generator = rng if rng is not None else np.random.default_rng(_SEED)
    series, _ = series_of(history, axes_of(by))
    rows = [_judged(each, held_back_ratio, rng=generator, **fitting) for each in series]
    return pd.DataFrame(rows)


def _judged(series: Series, held_back_ratio: float, *, rng: np.random.Generator, **fitting: Any) -> dict[str, object]:
    """Judge one series."""
    first, last = (int(series.days[0]), int(series.days[-1])) if len(series.days) else (0, 0)
    split = last - round((last - first) * held_back_ratio)
    early = series.before(split)
    held = series.days > split
    names = ("metric", "ip_family", "node_pool", "zone")
    row: dict[str, object] = {name: getattr(series, name) for name in names}
    row |= {"fitted_points": len(early.days), "points": 0, "inside": 0, "coverage_ratio": float("nan")}
    row |= {"expected_ratio": _EXPECTED, "median_error": float("nan"), "split": pd.Timestamp(split, unit="D")}
    if len(early.days) < LEAST_POINTS or not held.any():
        why = (
            f"too short: {counted(len(early.days), 'point')} to fit ({LEAST_POINTS} needed), {int(held.sum())} "
            "held back"
        )
        return row | {"why": why}
    growth, _ = fit_series(early, **fitting)
    bands = _bands(growth, early, series.days[held], rng=rng)
    values = series.counts[held]
    inside = int(np.count_nonzero((bands[0] <= values) & (values <= bands[2])))
    row |= {"points": len(values), "inside": inside, "coverage_ratio": inside / len(values)}
    return row | {"median_error": float((values - bands[1]).mean()), "why": _words(inside, values, bands, growth)}


def _bands(growth: Growth, early: Series, days: NDArray[np.int64], *, rng: np.random.Generator) -> NDArray[np.float64]:
    """Give the percentiles of a forecast from the early part, at the days held back, shape (3, days)."""
    origin, steps = int(early.days[-1]), int(days[-1] - early.days[-1])
    start = dt.date(1970, 1, 1) + dt.timedelta(days=origin)
    now = round(float(early.counts[-1]))
    plan = schedule_of(growth, start, steps=steps)
    population = Population(growth, plan, now, n=_TRAJECTORIES, rng=rng, law="gaussian")
    wanted, bands = set((days - origin).tolist()), []
    for step in range(steps):
        population.advance(step)
        if step + 1 in wanted:
            bands.append(np.quantile(population.moved, QUANTILES) + now)
    return np.stack(bands, axis=1)


def _words(inside: int, values: NDArray[np.float64], bands: NDArray[np.float64], growth: Growth) -> str:
    """Say what the share means."""
    above, below = int(np.count_nonzero(values > bands[2])), int(np.count_nonzero(values < bands[0]))
    side = f"; {above:,} above, {below:,} below" if above or below else ""
    return (
        f"{inside:,} of {len(values):,} held-back points lie between p5 and p95{side}. Fitted: {growth.words()}. "
        "Points of one series depend on each other."
    )
