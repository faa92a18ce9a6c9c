"""A total and its parts in one history: which of them speak, so that nothing is counted twice.

The rule, for every metric and family by itself: without being asked, the total speaks, and parts only where there is no
total. Asked for parts by node pool or zone, these speak, summed from finer ones where need be, and beside them the rest
of the total that lies in none of them, as nodes without labels do. Parts that add up to more than their total at the
same time contradict it: a finding, and the rest is then nothing.

A part has nothing before its first and after its last value; between them a missing value leaves the sum unknown.

What it does not know: parts that overlap other than by node pool and zone.
"""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsmodel.cluster.checks import Finding

__all__ = ["AXES", "axes_of", "partitioned"]

AXES: Final = ("node_pool", "zone")
_METRIC: Final = ["metric", "ip_family"]
_LEVELS: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("node_pool",),
    ("zone",),
    AXES,
)  # what speaks first where nothing is asked


def axes_of(by: str | Sequence[str]) -> tuple[str, ...]:
    """Read what parts are asked for.

    Parameters
    ----------
    by : str or sequence of str
        "node_pool", "zone", both in a sequence, or nothing.

    Returns
    -------
    tuple of str
        In the order of `AXES`.

    Raises
    ------
    InvalidInput
        If another word is among them.

    Examples
    --------
    >>> axes_of("zone"), axes_of(("zone", "node_pool")), axes_of("")
    (('zone',), ('node_pool', 'zone'), ())
    """
    words = (by,) if isinstance(by, str) and by else tuple(by)
    strange = [word for word in words if word not in AXES]
    if strange:
        raise InvalidInput(f"by={by!r}: parts are by {' or '.join(AXES)}, or both in a tuple")
    return tuple(axis for axis in AXES if axis in words)


def partitioned(table: pd.DataFrame, by: tuple[str, ...] = ()) -> tuple[pd.DataFrame, list[Finding]]:
    """Keep of every metric a total or its parts.

    Parameters
    ----------
    table : pandas.DataFrame
        ``time``, ``metric``, ``ip_family``, ``node_pool``, ``zone`` (text, empty for all), ``value`` (float64, objects
        or addresses); one row a time and name.
    by : tuple of str, default ()
        Of `axes_of`.

    Returns
    -------
    rows : pandas.DataFrame
        Of the same columns.
    findings : list of (severity, rule, object, message)
        What was passed over, what contradicts, what was asked for and is not there.

    Raises
    ------
    None
        A metric without the parts asked for keeps what it has.

    Examples
    --------
    >>> rows = [("pods", "", 10.0), ("pods", "a", 6.0), ("pods", "b", 3.0)]
    >>> table = pd.DataFrame(rows, columns=["metric", "zone", "value"]).assign(
    ...     time=pd.Timestamp("2026-01-01", tz="UTC"), ip_family="", node_pool="")
    >>> partitioned(table)[0][["zone", "value"]].values.tolist()
    [['', 10.0]]
    >>> partitioned(table, ("zone",))[0][["zone", "value"]].values.tolist()
    [['a', 6.0], ['b', 3.0], ['', 1.0]]
    """
    if not by and not (table[list(AXES)] != "").to_numpy().any():
        return table, []
    pairs = list(starmap(lambda key, rows: _chosen(key, rows, by), table.groupby(_METRIC, sort=True)))
    return pd.concat([rows for rows, _ in pairs], ignore_index=True), [each for _, found in pairs for each in found]


def _chosen(key: tuple[str, ...], rows: pd.DataFrame, by: tuple[str, ...]) -> tuple[pd.DataFrame, list[Finding]]:
    """Choose what speaks for one metric."""
    title = ", ".join(filter(None, map(str, key)))
    is_named = {axis: (rows[axis] != "").to_numpy() for axis in AXES}
    levels = {
        level: rows[np.logical_and.reduce([is_named[axis] == (axis in level) for axis in AXES])] for level in _LEVELS
    }
    given = [level for level in _LEVELS if len(levels[level])]
    found = [each for level in given[1:] for each in _contradictions(title, levels[()], levels[level], level)]
    if by and by not in given and AXES in given:
        levels[by], given = _summed(levels[AXES], by), [*given, by]
    if by in given:
        speaking = by
    else:
        speaking = given[0]
        if by:
            found.append(("info", "history-no-parts", title, f"has no parts {_words(by)}; {_words(speaking)} counts"))
    chosen = levels[speaking]
    if speaking and len(levels[()]):
        rest = _rest(levels[()], chosen)
        if rest["value"].gt(0).any():
            found.append(("info", "history-rest-of-total", title, f"what lies in no part {_words(speaking)} is apart"))
            chosen = pd.concat([chosen, rest], ignore_index=True)
    used = {(), speaking} | ({AXES} if by and speaking == by else set())  # cells went into coarser parts
    silent = [_words(level) for level in given if level not in used]
    if silent:
        message = f"{_words(speaking)} counts; {' and '.join(silent)} beside it is chosen with by="
        found.append(("info", "history-passed-over", title, message))
    return chosen, found


def _words(level: tuple[str, ...]) -> str:
    """Name a level."""
    return f"by {' and '.join(level).replace('_', ' ')}" if level else "the total"


def _contradictions(title: str, total: pd.DataFrame, parts: pd.DataFrame, level: tuple[str, ...]) -> list[Finding]:
    """Name parts that are more than their total at the same time."""
    whole = total.set_index("time")["value"]
    sums = parts.groupby("time", sort=True)["value"].sum()
    both = sums.index.intersection(whole.index).sort_values()
    over = both[(sums[both] > whole[both] + 1e-6).to_numpy()]
    if not len(over):
        return []
    first = over[0]
    message = (
        f"{len(over):,} times the parts {_words(level)} add up to more than the total: {sums[first]:,.0f} and "
        f"{whole[first]:,.0f} on {first:%Y-%m-%d %H:%M}; one of them is wrong"
    )
    return [("warning", "history-parts-contradict", title, message)]


def _summed(cells: pd.DataFrame, by: tuple[str, ...]) -> pd.DataFrame:
    """Add up cells to coarser parts."""
    grouped = cells.groupby([*by], sort=True)
    return pd.concat(
        [
            _sums(rows).assign(**{axis: rows[axis].iloc[0] if axis in by else "" for axis in AXES})
            for _, rows in grouped
        ],
        ignore_index=True,
    )


def _sums(parts: pd.DataFrame) -> pd.DataFrame:
    """Add up parts time by time, with the names of the first."""
    wide = parts.pivot_table(index="time", columns=[*AXES], values="value", aggfunc="last", sort=True)
    seen = wide.notna().to_numpy()
    lives = np.logical_or.accumulate(seen) & np.logical_or.accumulate(seen[::-1])[::-1]
    sums = np.where((lives & ~seen).any(axis=1), np.nan, wide.fillna(0.0).to_numpy().sum(axis=1))
    first = parts.iloc[[0] * len(wide)].reset_index(drop=True)
    return first.assign(time=wide.index, value=sums).dropna(subset=["value"])


def _rest(total: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    """Give what of a total lies in no part, at the times of which both are known."""
    sums = _sums(parts).set_index("time")["value"]
    known = total[total["time"].isin(sums.index)]
    left = known["value"].to_numpy() - sums[known["time"]].to_numpy()
    return known.assign(value=np.maximum(left, 0.0))
