"""What counts of a history: numbers, and one of what was counted twice; one rule, whether it is read, kept or fitted.

Promises that the same time and name with the same number counts once; with another number the one given last counts,
as a correction is given after what it corrects; a row without a number never replaces one that has it. Findings say so.

What it does not know: several times of one day, of which a forecast takes the largest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsmodel.cluster.checks import Finding

__all__ = ["counts_of", "times_of", "without_repeats"]


def counts_of(column: pd.Series[Any], what: str) -> pd.Series[float]:
    """Read counts; a cell that is empty, or endless, stays empty.

    Parameters
    ----------
    column : pandas.Series
        Numbers, or text of numbers.
    what : str
        Its name, for the message.

    Returns
    -------
    pandas.Series of float64
        Of the same index.

    Raises
    ------
    InvalidInput
        If a cell is text and no number, or is negative; the message names the first and its row.

    Examples
    --------
    >>> counts_of(pd.Series(["3", None, "4.5"]), "value").tolist()
    [3.0, nan, 4.5]
    """
    values = pd.to_numeric(column, errors="coerce").astype("Float64").astype(np.float64)
    values = values.replace([np.inf, -np.inf], np.nan)
    odd = np.flatnonzero((values.isna() & column.notna()).to_numpy())
    words = [place for place in odd.tolist() if isinstance(column.iloc[place], str)]
    below = np.flatnonzero((values < 0).to_numpy())
    for places, rule in ((words, "is no number"), (below, "is negative; a history counts what is in use")):
        if len(places):
            cell = column.iloc[places[0]]
            shown = repr(cell) if isinstance(cell, str) else repr(float(cell))
            raise InvalidInput(f"{what}, row {places[0] + 1}: {shown} {rule}")
    return values


def times_of(column: pd.Series[Any], what: str) -> pd.Series[pd.Timestamp]:
    """Read times.

    Parameters
    ----------
    column : pandas.Series
        Dates, datetimes or text; UTC unless a zone is given.
    what : str
        Where it is from, for the message.

    Returns
    -------
    pandas.Series of datetime64
        In UTC.

    Raises
    ------
    InvalidInput
        If one is no time, or they are bare numbers, of which nobody can tell the unit; the message names the first.

    Examples
    --------
    >>> times_of(pd.Series(["2026-01-01T01:00+01:00"]), "mine").astype(str).tolist()
    ['2026-01-01 00:00:00+00:00']
    """
    if len(column) and pd.api.types.is_numeric_dtype(column):
        raise InvalidInput(
            f"{what}, row 1: time={column.iloc[0]} is a bare number, whose unit nobody can tell; give dates, as "
            "pandas.to_datetime(column, unit='s') makes them of seconds since 1970"
        )
    times = pd.to_datetime(column, utc=True, errors="coerce", format="mixed")
    if times.isna().any():
        place = int(np.argmax(times.isna().to_numpy()))
        raise InvalidInput(f"{what}, row {place + 1}: time={column.iloc[place]!r} is no time")
    return times


def without_repeats(
    table: pd.DataFrame, names: Sequence[str], numbers: Sequence[str], *, apart: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[Finding]]:
    """Keep one row of what stands more than once at a time.

    Parameters
    ----------
    table : pandas.DataFrame
        With ``time``, in the order given.
    names : sequence of str
        Columns that name what was counted, and that findings are told by.
    numbers : sequence of str
        Columns of numbers, the deciding one first.
    apart : sequence of str, optional
        More columns that tell rows apart.

    Returns
    -------
    rows : pandas.DataFrame
        One a time and name, in the order given.
    findings : list of (severity, rule, object, message)
        "history-duplicate": info where the numbers are the same, warning where they differ.

    Raises
    ------
    None
        What stands once stays.

    Examples
    --------
    >>> table = pd.DataFrame({"time": pd.to_datetime(["2026-01-01"] * 2), "pool": "pods", "used": [9.0, 4.0]})
    >>> rows, found = without_repeats(table, ["pool"], ["used"])
    >>> rows["used"].tolist(), found[0][3]
    ([4.0], '1 times given again with other numbers; those given last count; first 2026-01-01 00:00')
    """
    keys = ["time", *names, *apart]
    if not table.duplicated(keys).any():
        return table, []
    known = table[numbers[0]].notna().to_numpy()
    ranked = table.iloc[np.argsort(known, kind="stable")]  # rows without a number first: they lose
    again = ranked.duplicated(keys, keep="last")
    same = again & ranked.duplicated([*keys, *numbers], keep="last")
    found: list[Finding] = []
    for severity, rows, words in (
        ("info", ranked[same], "with the same numbers; they count once"),
        ("warning", ranked[again & ~same & ranked[numbers[0]].notna()], "with other numbers; those given last count"),
    ):
        for title, group in rows.groupby(list(names), sort=True):
            parts = title if isinstance(title, tuple) else (title,)
            message = f"{len(group):,} times given again {words}; first {group['time'].min():%Y-%m-%d %H:%M}"
            found.append((severity, "history-duplicate", ", ".join(filter(None, map(str, parts))), message))
    return ranked[~again].sort_index(), found
