"""Dates and spans of time as people write them.

Promises whole days; a clock is never read. Does not know time zones: a day is a day of UTC.
"""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput

__all__ = ["DAYS_PER", "Day", "Span", "day_of", "days_per", "horizon_days"]

DAYS_PER = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}  # mean lengths
MOST_DAYS = 36_525  # a hundred years: beyond it a forecast says nothing

_UNITS = {"d": "day", "w": "week", "mo": "month", "m": "month", "y": "year"}
_SPAN = re.compile(r"(\d+)\s*(d|w|mo|m|y)(?:ays?|eeks?|nths?|onths?|ears?)?")

Day = str | dt.date | np.datetime64
Span = int | str | dt.date | dt.timedelta


def day_of(value: Day, what: str) -> dt.date:
    """Read a date.

    Parameters
    ----------
    value : str, date, datetime or numpy.datetime64
        Text is ISO 8601; a time of day is dropped, after a change to UTC where a zone is given.
    what : str
        What it is, for the message.

    Returns
    -------
    datetime.date
        The day.

    Raises
    ------
    InvalidInput
        If it is no date.

    Examples
    --------
    >>> day_of("2026-01-01", "start").isoformat(), day_of("2026-01-01T23:30-02:00", "start").isoformat()
    ('2026-01-01', '2026-01-02')
    """
    stamp = _stamp(value)
    if stamp is None:
        raise InvalidInput(f"{what}={value!r}: needs a date such as 2026-01-31")
    return (stamp.tz_convert("UTC") if stamp.tzinfo else stamp).date()


def days_per(unit: str) -> float:
    """Tell how many days a unit of time has.

    Parameters
    ----------
    unit : str
        "day", "week", "month" or "year".

    Returns
    -------
    float
        Days; months and years at their mean length.

    Raises
    ------
    InvalidInput
        If it is another word.

    Examples
    --------
    >>> days_per("week"), round(days_per("month"), 2)
    (7.0, 30.44)
    """
    if unit not in DAYS_PER:
        raise InvalidInput(f"per={unit!r}: is one of {', '.join(DAYS_PER)}")
    return DAYS_PER[unit]


def horizon_days(horizon: Span, start: dt.date) -> int:
    """Turn a horizon into days from the start.

    Parameters
    ----------
    horizon : int, str, date or timedelta
        Days; text such as "90d", "26w", "18mo", "3y"; or the last day. Months and years are those of the calendar.
    start : datetime.date
        Where time begins.

    Returns
    -------
    int
        1 to 36,525 days.

    Raises
    ------
    InvalidInput
        If it cannot be read, is not after the start, or is more than a hundred years away.

    Examples
    --------
    >>> import datetime
    >>> [horizon_days(each, datetime.date(2026, 1, 1)) for each in (90, "26w", "3y", "2026-02-01")]
    [90, 182, 1096, 31]
    """
    days = _days(horizon, start)
    if days < 1:
        raise InvalidInput(f"horizon={horizon!r}: is {days} days after {start}; a forecast needs 1 day or more")
    if days > MOST_DAYS:
        raise InvalidInput(f"horizon={horizon!r}: is {days:,} days; at most {MOST_DAYS:,} say anything")
    return days


def _stamp(value: object) -> pd.Timestamp | None:
    """Read a time; None where it is none. A bare number is none, though pandas takes it as nanoseconds of 1970."""
    if not isinstance(value, str | dt.date | np.datetime64):
        return None
    try:
        stamp = pd.Timestamp(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if pd.isna(stamp) else stamp


def _days(horizon: Span, start: dt.date) -> int:
    """Count the days of a horizon, sound or not."""
    if isinstance(horizon, dt.timedelta):
        return horizon.days
    if isinstance(horizon, int | np.integer) and not isinstance(horizon, bool):
        return int(horizon)
    if isinstance(horizon, str) and (match := _SPAN.fullmatch(horizon.strip().lower())):
        count, unit = int(match[1]), _UNITS[match[2]]
        if unit in {"day", "week"} or count > MOST_DAYS:
            return count * int(DAYS_PER[unit])
        offset = pd.DateOffset(months=count * (12 if unit == "year" else 1))
        return int((pd.Timestamp(start) + offset - pd.Timestamp(start)).days) if count < 10_000 else MOST_DAYS + 1
    if isinstance(horizon, str | dt.date | np.datetime64):
        return (day_of(horizon, "horizon") - start).days
    raise InvalidInput(f"horizon={horizon!r}: needs days, a date, or text such as 90d, 26w, 18mo or 3y")
