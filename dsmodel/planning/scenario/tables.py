"""Growth read from a table, as a CSV file or a spreadsheet gives it: one row a part of what grows.

Promises that every row is read whole or named with its number; rows of the same kind and place add up, and what can
stand only once (a ratio, a season) is named where it stands twice.

What it does not know: files.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from dsmodel.errors import InvalidInput
from dsmodel.planning.scenario.calendars import DAYS_PER
from dsmodel.planning.scenario.growth import Burst, Growth, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["COLUMNS", "added", "rows_of"]

_PLACE = ("kind", "node_pool", "zone")
_RATES = ("compound_ratio", "leaving_ratio", "spread_per_day", "per_day_error", "compound_error")
_SEASONS = ("weekly", "yearly")
COLUMNS = (
    *_PLACE, *(f"per_{unit}" for unit in DAYS_PER), *_RATES, *_SEASONS, "time", "count", "days", "burst", "every_days",
)  # fmt: skip
_BETWEEN = re.compile(r"[\s,;/]+")


def rows_of(frame: pd.DataFrame) -> Iterator[tuple[int, tuple[str, str, str], dict[str, Any]]]:
    """Read the rows of a table of demand.

    Parameters
    ----------
    frame : pandas.DataFrame
        With `COLUMNS`, as `Scenario.from_frame` says.

    Yields
    ------
    number : int
        Of the row, from 1.
    place : tuple of str
        Kind, node pool, zone.
    said : dict
        What its other cells say; empty cells say nothing.

    Raises
    ------
    InvalidInput
        If there is no row, or a column is unknown.

    Examples
    --------
    >>> list(rows_of(pd.DataFrame({"kind": ["pods"], "zone": ["a"], "per_week": [7.0]})))
    [(1, ('pods', '', 'a'), {'per_week': 7.0})]
    """
    unknown = [str(name) for name in frame.columns if name not in COLUMNS]
    if unknown or "kind" not in frame or frame.empty:
        found = f"unknown columns {', '.join(unknown)}" if unknown else "no column kind, or no row"
        raise InvalidInput(f"frame of demand: {found}; columns are {', '.join(COLUMNS)}")
    for number, row in enumerate(frame.to_dict("records"), 1):
        said = {str(name): value for name, value in row.items() if not _is_empty(value)}
        kind, node_pool, zone = (str(said.pop(name, "")) for name in _PLACE)
        yield number, (kind, node_pool, zone), said


def added(growth: Growth, said: dict[str, Any]) -> Growth:
    """Add one row to what the rows before it said.

    Parameters
    ----------
    growth : Growth
        So far.
    said : dict
        Of `rows_of`.

    Returns
    -------
    Growth
        With the row's rates, season, step or burst.

    Raises
    ------
    InvalidInput
        If a cell is out of place; ValueError where it is no number.

    Examples
    --------
    >>> added(Growth(), {"per_week": 7, "weekly": "1 1 1 1 1 0 0"}).words()
    '1 a day, weekly season'
    """
    said = dict(said)
    if "burst" in said:
        growth = growth.plus(_burst(said))
    elif "time" in said or "count" in said or "days" in said or "every_days" in said:
        growth = growth.plus(_step(said))
    linear = sum(
        Growth.linear(float(said.pop(f"per_{unit}")), per=unit).per_day for unit in DAYS_PER if f"per_{unit}" in said
    )
    seasons = {name: _weights(said.pop(name)) for name in _SEASONS if name in said}
    more: dict[str, Any] = {name: float(value) for name, value in said.items()} | seasons
    twice = [name for name in more if getattr(growth, name)]
    if twice:
        raise InvalidInput(f"{twice[0]} stands twice for the same kind and place")
    return replace(growth, per_day=growth.per_day + linear, **more)


def _is_empty(value: Any) -> bool:
    """Tell a cell that says nothing."""
    return not isinstance(value, list | tuple) and bool(pd.isna(value) or value == "")


def _step(said: dict[str, Any]) -> Step:
    """Read a step."""
    if "time" not in said or "count" not in said or "every_days" in said:
        raise InvalidInput("a step needs both time and count; a burst needs burst, days, and time or every_days")
    return Step(said.pop("time"), _whole(said.pop("count")), _whole(said.pop("days", 1)))


def _burst(said: dict[str, Any]) -> Burst:
    """Read a burst."""
    if "days" not in said or "count" in said or ("time" in said) == ("every_days" in said):
        raise InvalidInput("a burst needs burst, days, and one of time and every_days")
    every = float(said.pop("every_days")) if "every_days" in said else None
    return Burst(_whole(said.pop("burst")), _whole(said.pop("days")), every_days=every, at=said.pop("time", None))


def _weights(value: Any) -> tuple[float, ...]:
    """Read the weights of a season: numbers in a row, or text of them."""
    words = value if isinstance(value, list | tuple) else _BETWEEN.split(str(value).strip())
    return tuple(float(word) for word in words)


def _whole(value: Any) -> int:
    """Read a whole number."""
    if float(value) != int(value):
        raise InvalidInput(f"{value!r}: needs a whole number")
    return int(value)
