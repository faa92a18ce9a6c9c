"""History as a tidy frame, made sound: one number a day for each series, and a finding for what was mended.

Promises that rows may come in any order. What was given twice for one time is told by `dsmodel.cluster.observations`,
a total beside its parts by `dsmodel.planning.scenario.parts`. Of several times of a day the largest value is kept, as a
pool is full at its peak. A value that is no number, a time given twice, a gap, times that a wrong clock wrote, and a
part that is gone are findings; nothing is interpolated.

What it does not know: what wrote the history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dsmodel.cluster.observations import counts_of, times_of, without_repeats
from dsmodel.errors import InvalidInput
from dsmodel.planning.scenario.parts import partitioned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dsmodel.cluster.checks import Finding

__all__ = ["Series", "series_of"]

_KEYS = ["metric", "ip_family", "node_pool", "zone"]
_EPOCH, _DAY = pd.Timestamp(0, tz="UTC"), pd.Timedelta(days=1)
_GAP = 3.0  # times the usual interval
_PAUSE, _CLOCK = 30.0, 4.0  # a gap over 4 times all that was recorded without pauses of 30 intervals is a wrong clock
_KIND_OF = {
    "nodes": "nodes", "node blocks": "nodes",
    "pods": "pods", "pod addresses": "pods", "pods per node": "pods", "stored pods": "pods",
    "services": "services", "service addresses": "services",
    "load balancers": "load_balancers",
    "node ports": "node_ports",
    "connections": "connections",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Series:
    """One number over time.

    Parameters
    ----------
    metric, ip_family, node_pool, zone : str
        What it counts.
    kind : str
        Kind of demand it tells of; empty if of none.
    days : ndarray of int64, shape (points,)
        Days since 1970-01-01, ascending.
    counts : ndarray of float64, shape (points,)
        The largest of each day.
    """

    metric: str
    ip_family: str
    node_pool: str
    zone: str
    kind: str
    days: NDArray[np.int64]
    counts: NDArray[np.float64]

    @property
    def title(self) -> str:
        """Its name in words."""
        return ", ".join(filter(None, (self.metric, self.ip_family, self.node_pool, self.zone)))

    def before(self, day: int) -> Series:
        """Return the part up to a day.

        Parameters
        ----------
        day : int
            Days since 1970-01-01, itself included.

        Returns
        -------
        Series
            Of the same name.

        Raises
        ------
        None
            It may be empty.
        """
        kept = self.days <= day
        names = (self.metric, self.ip_family, self.node_pool, self.zone)
        return Series(*names, self.kind, self.days[kept], self.counts[kept])


def series_of(history: pd.DataFrame, by: tuple[str, ...] = ()) -> tuple[list[Series], list[Finding]]:
    """Split a history into its series and make them sound.

    Parameters
    ----------
    history : pandas.DataFrame
        ``time`` (date, datetime or text; UTC unless a zone is given), ``metric`` or ``pool`` ("nodes", "pods",
        "services", "load balancers", "node ports", "connections", or a pool of `reports.utilization`), ``value``;
        optionally ``ip_family``, ``node_pool``, ``zone``.
    by : tuple of str, default ()
        What parts are asked for, as `dsmodel.planning.scenario.parts.axes_of` gives them.

    Returns
    -------
    series : list of Series
        Sorted by metric, family, node pool, zone.
    findings : list of (severity, rule, object, message)
        What was mended.

    Raises
    ------
    InvalidInput
        If a column is missing, a time cannot be read, or a value is text or negative; the message names the first.

    Examples
    --------
    >>> history = pd.DataFrame({"time": ["2026-01-02", "2026-01-01"], "metric": "pods", "value": [12, 10]})
    >>> series_of(history)[0][0].counts.tolist()
    [10.0, 12.0]
    """
    frame, trouble = without_repeats(_tidy(history), _KEYS, ["value"])
    frame, found = partitioned(frame, by)
    trouble += found
    series: list[Series] = []
    for key, rows in frame.groupby(_KEYS, sort=True, observed=True):
        names = (*map(str, key),) if isinstance(key, tuple) else (str(key),)
        title = ", ".join(filter(None, names))
        known = rows.dropna(subset=["value"])
        if len(known) < len(rows):
            message = f"{len(rows) - len(known):,} rows without a number are left out"
            trouble.append(("warning", "history-missing-value", title, message))
        by_day = known.groupby((known["time"] - _EPOCH) // _DAY, sort=True)["value"].max()
        days, values = by_day.index.to_numpy(np.int64), by_day.to_numpy(np.float64)
        days, values, clocks = _without_clock_jumps(title, days, values)
        trouble += [*clocks, *_gaps(title, days)]
        kind = _KIND_OF.get(names[0].lower().replace("_", " "), "")
        series.append(Series(names[0], names[1], names[2], names[3], kind, days, values))
    return _without_gone(series, trouble), trouble


def _tidy(history: pd.DataFrame) -> pd.DataFrame:
    """Check the columns and give them one form."""
    named = "metric" if "metric" in history else "pool"
    missing = [name for name in ("time", named, "value") if name not in history]
    if missing or history.empty:
        found = f"has no column {missing[0]}" if missing else "has no row"
        raise InvalidInput(f"history {found}; it needs time, metric (or pool) and value")
    times = times_of(history["time"], "history")
    values = counts_of(history["value"], "history, value")
    keys = {
        name: history[source].astype("str").where(history[source].notna(), "") if source in history else ""
        for name, source in zip(_KEYS, (named, *_KEYS[1:]), strict=True)
    }
    return pd.DataFrame({"time": times, "value": values, **keys}).reset_index(drop=True)


def _without_clock_jumps(
    title: str, days: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[Finding]]:
    """Drop the smaller side of a gap that dwarfs all the rest, again and again."""
    trouble: list[Finding] = []
    while len(days) > 2:
        gaps = np.diff(days)
        widest = int(np.argmax(gaps))
        usual = gaps[gaps <= _PAUSE * max(float(np.median(gaps)), 1.0)]
        if gaps[widest] <= max(_CLOCK * int(usual.sum()), 60):
            break
        kept = slice(widest + 1, None) if widest + 1 < len(days) - widest - 1 else slice(0, widest + 1)
        dropped = np.delete(days, np.r_[kept])
        days, values = days[kept], values[kept]
        message = (
            f"{len(dropped):,} days around {np.datetime64(int(dropped[0]), 'D')} lie {int(gaps[widest]):,} days from "
            "the others, as a wrong clock writes them; they are left out"
        )
        trouble.append(("error", "history-clock-jump", title, message))
    return days, values, trouble


def _gaps(title: str, days: NDArray[np.int64]) -> Iterator[Finding]:
    """Name pauses; rates are worked out over the true time between two values."""
    gaps = np.diff(days)
    if not len(gaps):
        return
    wide = np.flatnonzero(gaps > _GAP * max(float(np.median(gaps)), 1.0))
    if len(wide):
        longest = int(wide[np.argmax(gaps[wide])])
        since = np.datetime64(int(days[longest]), "D")
        message = f"{len(wide):,} gaps; the longest is {int(gaps[longest]):,} days from {since}"
        yield "info", "history-gap", title, message


def _without_gone(series: list[Series], trouble: list[Finding]) -> list[Series]:
    """Leave out parts that ended while others went on: what is gone does not grow."""
    last: dict[tuple[str, str], int] = {}
    for each in series:
        if len(each.days):
            key = (each.metric, each.ip_family)
            last[key] = max(last.get(key, 0), int(each.days[-1]))
    kept = []
    for each in series:
        usual = max(float(np.median(np.diff(each.days))), 1.0) if len(each.days) > 1 else 1.0
        if len(each.days) and (each.node_pool or each.zone):
            days = last[each.metric, each.ip_family] - int(each.days[-1])
            if days > _GAP * usual:
                since = np.datetime64(int(each.days[-1]), "D")
                message = f"ended on {since}, {days:,} days before the others of its kind; left out"
                trouble.append(("info", "history-part-gone", each.title, message))
                continue
        kept.append(each)
    return kept
