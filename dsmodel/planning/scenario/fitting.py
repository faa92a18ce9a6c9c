"""Demand fitted to history: a rate, what is not known about it, and what is left over.

Promises the model that a forecast then runs: a random walk with drift, so that increments over true time give the rate
by least squares, their scatter the spread of a day, and both the error of the rate. "exponential" takes increments in
proportion to what is there. ``robust`` leaves out increments more than eight robust deviations away, which a migration
or a reset leaves behind, and names them.

What it does not know: seasons unless asked, and why demand was what it was. A series that scatters around a line
instead of walking gets bands that are too wide, never too narrow. A series that shrinks becomes churn without arrivals.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dsmodel.cluster.checks import findings_table
from dsmodel.errors import InvalidInput
from dsmodel.planning.scenario.calendars import day_of
from dsmodel.planning.scenario.demands import KINDS, Demand, Scenario
from dsmodel.planning.scenario.growth import Growth
from dsmodel.planning.scenario.histories import Series, series_of
from dsmodel.planning.scenario.parts import axes_of
from dsmodel.planning.scenario.seasons import SEASONS, factors, seasonal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dsmodel.cluster.checks import Finding
    from dsmodel.planning.scenario.calendars import Day

__all__ = ["SHAPES", "Fit", "fit", "fit_series"]

SHAPES = ("linear", "exponential", "best")
LEAST_POINTS = 8  # days with a value; fewer tell no spread
_STORED = "stored pods"  # as kube-apiserver counts them
_OUTLIER = 8.0  # robust standard deviations; a Poisson tail stays inside


@dataclass(frozen=True, eq=False)
class Fit:
    """Demand fitted to history, and how well.

    Parameters
    ----------
    scenario : Scenario
        What `forecast` takes.
    rates : pandas.DataFrame
        One row a series: ``metric``, ``ip_family``, ``node_pool``, ``zone``, ``kind``, ``points``, ``first``, ``last``,
        ``shape``, ``per_day``, ``per_day_error``, ``compound_ratio``, ``compound_error``, ``leaving_ratio``,
        ``spread_per_day``, ``is_used``.
    findings : pandas.DataFrame
        ``severity``, ``rule``, ``object``, ``message``: what was mended, left out, or should be known.
    """

    scenario: Scenario
    rates: pd.DataFrame
    findings: pd.DataFrame


def fit(
    history: pd.DataFrame,
    *,
    start: Day | None = None,
    shape: str = "linear",
    robust: bool = False,
    by: str | Sequence[str] = (),
    season: str = "",
) -> Fit:
    """Fit demand to history.

    Parameters
    ----------
    history : pandas.DataFrame
        ``time``, ``metric`` (or ``pool``), ``value``; optionally ``ip_family``, ``node_pool``, ``zone``.
    start : date or str, optional
        The day the scenario starts; the last day of the history if left out.
    shape : str, default "linear"
        "linear", "exponential", or "best": the one that leaves less over.
    robust : bool, default False
        Leave out increments that stand far out.
    by : str or sequence of str, optional
        "node_pool", "zone" or both: let each of these grow by itself, and what lies in none of them apart. Left out,
        the total counts where there is one, as parts that grow together give bands that are too narrow.
    season : str, default ""
        "weekly" or "yearly": look for weights of days or months, as `dsmodel.planning.scenario.seasons` does.

    Returns
    -------
    Fit
        Of the series that tell of a kind of demand. Of several metrics that tell of the same (both families' node
        blocks) those with the parts asked for go first, then objects, then pools, then what kube-apiserver stores, and
        of equals the one that grows most; `Fit.findings` says so.

    Raises
    ------
    InvalidInput
        If the frame cannot be read, or no series of it has eight days and tells of demand.

    Examples
    --------
    >>> days = pd.date_range("2026-01-01", periods=10)
    >>> fitted = fit(pd.DataFrame({"time": days, "metric": "pods", "value": range(100, 130, 3)}))
    >>> fitted.scenario.words()[:35], fitted.findings["rule"].tolist()
    ('From 2026-01-10: pods 3 a day, spre', [])
    """
    if shape not in SHAPES:
        raise InvalidInput(f"shape={shape!r}: is one of {', '.join(SHAPES)}")
    axes = axes_of(by)
    series, trouble = series_of(history, axes)
    known = []
    for each in series:
        if not each.kind:
            trouble.append(
                ("info", "history-other-metric", each.title, f"tells of no demand; kinds are {', '.join(KINDS)}")
            )
        elif len(each.days) < LEAST_POINTS:
            message = f"{len(each.days)} days with a value; {LEAST_POINTS} are needed for a rate and its spread"
            trouble.append(("warning", "history-too-short", each.title, message))
        else:
            known.append(each)
    if not known:
        reasons = "; ".join(f"{title}: {message}" for _, _, title, message in trouble[:3])
        raise InvalidInput(f"history: no series to fit ({reasons})")
    growths = []
    for each in known:
        growth, found = fit_series(each, shape=shape, robust=robust, season=season)
        growths.append(growth)
        trouble += found
    chosen = _chosen(known, growths, axes)
    trouble += _passed_over(known, chosen)
    last = max(int(each.days[-1]) for each in known)
    begin = day_of(start, "start") if start is not None else dt.date(1970, 1, 1) + dt.timedelta(days=last)
    demands = tuple(
        Demand(known[place].kind, growths[place], known[place].node_pool, known[place].zone) for place in chosen
    )
    return Fit(
        Scenario(begin, demands),
        _rates(known, growths, chosen),
        findings_table(trouble).to_frame()[["severity", "rule", "object", "message"]],
    )


def fit_series(
    series: Series, *, shape: str = "linear", robust: bool = False, season: str = ""
) -> tuple[Growth, list[Finding]]:
    """Fit one series.

    Parameters
    ----------
    series : Series
        Of two days or more.
    shape : str, default "linear"
        As of `fit`.
    robust : bool, default False
        As of `fit`.
    season : str, default ""
        As of `fit`.

    Returns
    -------
    growth : Growth
        Rate, its error, spread, season.
    findings : list of (severity, rule, object, message)
        Increments left out; a series that shrinks; what season there is not.

    Raises
    ------
    InvalidInput
        If the season is another word. Two days give a rate, without a spread.
    """
    series, weights, trouble = seasonal(series, season)
    weekly, yearly = (weights if season == each else () for each in SEASONS[1:])
    span, change = np.diff(series.days).astype(np.float64), np.diff(series.counts)
    level = series.counts[:-1]
    sums = np.r_[0.0, np.cumsum(factors(weekly, yearly, np.arange(series.days[0] + 1, series.days[-1] + 1)))]
    force = np.diff(sums[series.days - series.days[0]]) / span  # of arrivals between two values, 1 without a season
    if robust:
        kept = _kept(span, change - _middle(change, span) * span * (force - 1))
        for place in np.flatnonzero(~kept).tolist():
            day = np.datetime64(int(series.days[place + 1]), "D")
            trouble.append(
                ("info", "history-step", series.title, f"{change[place]:+,.0f} on {day} is left out of the rate")
            )
        span, change, level, force = span[kept], change[kept], level[kept], force[kept]
    fits = {
        "linear": _least_squares(span, change, force),
        "exponential": _least_squares(span, change, force * level),
    }
    name = min(fits, key=lambda each: fits[each][2]) if shape == "best" else shape
    rate, error, spread = fits[name]
    if rate < 0:
        mean = max(float(series.counts.mean()), 1.0)
        leaving = min(1.0, -rate / mean if name == "linear" else -rate)
        unit = "a day" if name == "linear" else "of itself a day"
        message = f"falls by {-rate:.3g} {unit}; taken as {leaving:.3g} leaving each day and no arrivals"
        trouble.append(("warning", "history-shrinks", series.title, message))
        lasting = error if name == "linear" else error * mean
        return Growth(leaving_ratio=leaving, spread_per_day=spread, per_day_error=lasting), trouble
    growth = (
        Growth(per_day=rate, per_day_error=error, spread_per_day=spread)
        if name == "linear"
        else Growth(compound_ratio=min(rate, 1.0), compound_error=error, spread_per_day=spread)
    )
    return growth.with_season(weekly=weekly, yearly=yearly), trouble


def _least_squares(
    span: NDArray[np.float64], change: NDArray[np.float64], force: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Give rate, its standard error, and the standard deviation of a day; variance grows with time."""
    weight = float((force * force * span).sum())
    if not weight:
        return 0.0, 0.0, 0.0
    rate = float((force * change).sum()) / weight
    left = (change - rate * force * span) ** 2 / span
    spread = float(np.sqrt(left.sum() / max(len(left) - 1, 1)))
    return rate, spread / weight**0.5, spread


def _middle(change: NDArray[np.float64], span: NDArray[np.float64]) -> float:
    """Give the usual change of a day."""
    return float(np.median(change / span))


def _kept(span: NDArray[np.float64], change: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which increments do not stand far out."""
    daily = (change - _middle(change, span) * span) / np.sqrt(span)
    deviation = 1.4826 * float(np.median(np.abs(daily - np.median(daily))))
    # where most increments are equal, a robust deviation of 0 would leave everything else out
    return np.abs(daily) <= _OUTLIER * deviation if deviation else np.ones(len(daily), np.bool_)


def _chosen(series: list[Series], growths: list[Growth], axes: tuple[str, ...]) -> list[int]:
    """Choose one metric for each kind: with the parts asked for, objects before pools, then what grows most."""
    metrics: dict[str, dict[tuple[str, str], list[int]]] = {}
    for place, each in enumerate(series):
        metrics.setdefault(each.kind, {}).setdefault((each.metric, each.ip_family), []).append(place)
    best = [
        min(
            named.values(),
            key=lambda places: _rank([series[one] for one in places], [growths[one] for one in places], axes),
        )
        for named in metrics.values()
    ]
    order = {kind: number for number, kind in enumerate(KINDS)}
    return sorted((place for places in best for place in places), key=lambda one: (order[series[one].kind], one))


def _rank(series: list[Series], growths: list[Growth], axes: tuple[str, ...]) -> tuple[bool, int, float]:
    """Say what goes first; of a metric all its parts."""
    has_parts = any(all(getattr(each, axis) for axis in axes) for each in series)
    metric = series[0].metric.lower().replace("_", " ")
    place = 0 if metric == series[0].kind.replace("_", " ") else 2 if metric == _STORED else 1
    grows = (
        growth.per_day + growth.compound_ratio * float(each.counts[-1])
        for each, growth in zip(series, growths, strict=True)
    )
    return not has_parts, place, -sum(grows)


def _passed_over(series: list[Series], chosen: list[int]) -> Iterator[Finding]:
    """Name the series that another metric speaks for, and one that counts more than it should."""
    speakers = {series[place].kind: series[place] for place in chosen}
    for place in chosen:
        if series[place].metric.lower().replace("_", " ") == _STORED:
            message = "pods that have finished or are on the host network count among them; they take no addresses"
            yield "info", "history-stored-pods", series[place].title, message
    for place, each in enumerate(series):
        if place not in chosen:
            other = speakers[each.kind]
            title = ", ".join(filter(None, (other.metric, other.ip_family)))
            yield "info", "history-passed-over", each.title, f"{title} tells of the same {each.kind}"


def _rates(series: list[Series], growths: list[Growth], chosen: list[int]) -> pd.DataFrame:
    """Give what was fitted as a frame."""
    return pd.DataFrame(
        [
            {
                "metric": each.metric,
                "ip_family": each.ip_family,
                "node_pool": each.node_pool,
                "zone": each.zone,
                "kind": each.kind,
                "points": len(each.days),
                "first": pd.Timestamp(int(each.days[0]), unit="D"),
                "last": pd.Timestamp(int(each.days[-1]), unit="D"),
                "shape": "exponential" if growth.compound_ratio else "linear",
                "per_day": growth.per_day,
                "per_day_error": growth.per_day_error,
                "compound_ratio": growth.compound_ratio,
                "compound_error": growth.compound_error,
                "leaving_ratio": growth.leaving_ratio,
                "spread_per_day": growth.spread_per_day,
                "is_used": place in chosen,
            }
            for place, (each, growth) in enumerate(zip(series, growths, strict=True))
        ]
    )
