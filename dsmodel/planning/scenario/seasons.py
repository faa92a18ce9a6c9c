"""Seasons of growth: what each day's factor is, and which weights a history shows.

Promises weights only where days of the week, or months, differ by more than chance would make them (an F test at 1 %),
so that noise is no season. A week in which numbers also fall, as where what works by day sleeps at the weekend, is a
swing and no growth: the peaks of weeks are taken instead, from which it cancels.

What it does not know: hours, holidays, and seasons of what leaves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.cluster.checks import Finding
    from dsmodel.planning.scenario.histories import Series

__all__ = ["SEASONS", "factors", "seasonal"]

SEASONS: Final = ("", "weekly", "yearly")
_NAMES: Final = {
    "weekly": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "yearly": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
               "November", "December"),
}  # fmt: skip
_LEAST: Final = {"weekly": 4, "yearly": 2}  # weeks, years
_CHANCE: Final = {"weekly": 2.80, "yearly": 2.25}  # F beyond which 1 % of series without a season are
_WEEK: Final = 7


def factors(weekly: tuple[float, ...], yearly: tuple[float, ...], days: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give each day's factor on growth.

    Parameters
    ----------
    weekly, yearly : tuple of float
        As of `Growth`; empty for none.
    days : ndarray of int64
        Days since 1970-01-01.

    Returns
    -------
    ndarray of float64, shape of ``days``
        1 on average over whole weeks and years.

    Raises
    ------
    None
        Weights were checked when the growth was made.

    Examples
    --------
    >>> factors((1, 1, 1, 1, 1, 0, 0), (), np.arange(3, 8)).round(2).tolist()  # 1970-01-04 was a Sunday
    [0.0, 1.4, 1.4, 1.4, 1.4]
    """
    season = np.ones(len(days))
    if weekly:
        weights = np.array(weekly, np.float64)
        season *= (weights / weights.mean())[_place("weekly", days)]
    if yearly:
        weights = np.array(yearly, np.float64)
        season *= (weights / weights.mean())[_place("yearly", days)]
    return season


def seasonal(series: Series, season: str) -> tuple[Series, tuple[float, ...], list[Finding]]:
    """Find the season of a series.

    Parameters
    ----------
    series : Series
        Of two days or more.
    season : str
        "weekly" or "yearly"; "" for none.

    Returns
    -------
    series : Series
        The same, or the peaks of its weeks where the week swings.
    weights : tuple of float
        As of `Growth`, 1 on average; empty where no season shows.
    findings : list of (severity, rule, object, message)
        Why there is none, or what was taken instead.

    Raises
    ------
    InvalidInput
        If the season is another word.
    """
    if season not in SEASONS:
        raise InvalidInput(f"season={season!r}: is one of {', '.join(map(repr, SEASONS))}")
    if not season:
        return series, (), []
    change, span = np.diff(series.counts), np.diff(series.days)
    short = span <= (1 if season == "weekly" else 31)
    places, rates = _place(season, series.days[1:][short]), (change / span)[short]
    weight = span[short].astype(np.float64)
    names = _NAMES[season]
    seen = _periods(season, series.days[1:][short], places, len(names))
    if (seen < _LEAST[season]).any():
        few = names[int(np.argmin(seen))]
        message = f"no {season} season: {few} was seen {seen.min():,} times, {_LEAST[season]} are needed"
        return series, (), [("info", "history-no-season", series.title, message)]
    total = np.bincount(places, weight, len(names))
    means = np.bincount(places, rates * weight, len(names)) / total
    if not _differ(places, rates, weight, means=means, most=_CHANCE[season]):
        message = f"no {season} season: they differ by no more than chance makes them"
        return series, (), [("info", "history-no-season", series.title, message)]
    falling = [name for name, mean in zip(names, means.tolist(), strict=True) if mean < 0]
    if falling and season == "weekly":
        message = f"falls on {', '.join(falling)} and swings within the week; the peaks of weeks are fitted"
        return _peaks(series), (), [("info", "history-swings", series.title, message)]
    found: list[Finding] = []
    if falling:
        message = f"falls in {', '.join(falling)}; nothing arrives then, and what left is spread over the year"
        found.append(("info", "history-swings", series.title, message))
    weights = np.maximum(means, 0.0)
    return series, tuple((weights / weights.mean()).round(6).tolist()), found


def _place(season: str, days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tell the day of the week, Monday first, or the month."""
    if season == "weekly":
        return (days + 3) % _WEEK  # 1970-01-01 was a Thursday
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12


def _periods(season: str, days: NDArray[np.int64], places: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Count in how many weeks, or years, each place was seen."""
    period = (
        days // _WEEK if season == "weekly" else days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
    )
    pairs = np.unique(np.stack([places, period]), axis=1)
    return np.bincount(pairs[0], minlength=n)


def _differ(
    places: NDArray[np.int64], rates: NDArray[np.float64], weight: NDArray[np.float64], *, means: NDArray[np.float64],
    most: float,
) -> bool:  # fmt: skip
    """Tell whether means differ by more than chance: the F of a one-way analysis of variance."""
    mean = float((rates * weight).sum() / weight.sum())
    between = float((weight * (means[places] - mean) ** 2).sum()) / (len(means) - 1)
    within = float((weight * (rates - means[places]) ** 2).sum()) / max(len(rates) - len(means), 1)
    return between > most * within and bool(np.ptp(means) > 1e-9)


def _peaks(series: Series) -> Series:
    """Keep the largest of every seven days, counted back from the last, at the last of them."""
    last = int(series.days[-1])
    weeks = (last - series.days) // _WEEK
    order = np.argsort(-weeks, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(weeks[order]) != 0])
    counts = np.maximum.reduceat(series.counts[order], starts)
    return replace(series, days=last - _WEEK * weeks[order][starts], counts=counts)
