"""How one kind of object grows: arrivals, compounding, churn, seasons, steps and bursts, as one frozen value.

Promises that every number is checked when the value is made, and that a value without bursts and errors says the same
as its closed form: ``per_day`` alone is a straight line, ``compound_ratio`` alone an exponential.

What it does not know: how many objects there are today, and what they take.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from dsmodel.errors import InvalidInput
from dsmodel.planning.scenario.calendars import day_of, days_per
from dsmodel.wording import counted

if TYPE_CHECKING:
    import datetime as dt

    from dsmodel.planning.scenario.calendars import Day

__all__ = ["Burst", "Growth", "Step"]

MOST_PER_DAY = 1e9  # beyond it no random numbers of a day are meaningful


@dataclass(frozen=True)
class Step:
    """Objects that come, or go, once: a migration, a merger, a team that leaves.

    Parameters
    ----------
    at : date or str
        First day.
    count : int
        How many come; negative where they go.
    days : int, default 1
        Over how many days, evenly.

    Raises
    ------
    InvalidInput
        If the date cannot be read or a number is out of place.

    Examples
    --------
    >>> Step("2026-06-01", 500, days=5).count
    500
    """

    at: Day
    count: int
    days: int = 1

    def __post_init__(self) -> None:
        """Check every value."""
        object.__setattr__(self, "at", day_of(self.at, "step"))
        _check_number("count", self.count, least=-math.inf)
        _check_days("days", self.days)

    @property
    def day(self) -> dt.date:
        """First day, as a date."""
        return day_of(self.at, "step")


@dataclass(frozen=True)
class Burst:
    """Objects that come together and go together some days later.

    Parameters
    ----------
    size : int
        How many.
    days : int
        How long they stay.
    every_days : float, optional
        Mean time between two bursts, which then come at random (a Poisson process).
    at : date or str, optional
        The one day it comes; give this or ``every_days``.

    Raises
    ------
    InvalidInput
        If a number is out of place, or both or none of ``every_days`` and ``at`` are given.

    Examples
    --------
    >>> Burst(300, 3, every_days=90).size, str(Burst(800, 4, at="2026-11-27").at)
    (300, '2026-11-27')
    """

    size: int
    days: int
    every_days: float | None = None
    at: Day | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        _check_number("size", self.size)
        _check_days("days", self.days)
        if (self.every_days is None) == (self.at is None):
            raise InvalidInput(f"burst of {self.size}: give either every_days= or at=")
        if self.every_days is not None and not 1 <= self.every_days < math.inf:
            raise InvalidInput(f"every_days={self.every_days}: is 1 day or more")
        if self.at is not None:
            object.__setattr__(self, "at", day_of(self.at, "burst"))


@dataclass(frozen=True)
class Growth:
    """How one kind of object grows.

    The number present tomorrow is today's, and ``per_day`` arrivals, and ``compound_ratio`` of today's, both times the
    season, and steps, less ``leaving_ratio`` of today's. Bursts come on top.

    Parameters
    ----------
    per_day : float, default 0
        Arrivals a day.
    compound_ratio : float, default 0
        Arrivals a day for each object present; makes growth exponential.
    leaving_ratio : float, default 0
        Share of those present that goes each day, 0 to 1: churn.
    spread_per_day : float, optional
        Standard deviation of a day's arrivals; that of Poisson arrivals if left out.
    per_day_error, compound_error : float, default 0
        Standard errors of the two rates, drawn once for a whole trajectory: what is not known about them.
    weekly : tuple of 7 floats, optional
        Weights of the days, Monday first; only their proportion counts, the mean rate stays.
    yearly : tuple of 12 floats, optional
        Weights of the months, January first; likewise.
    steps : tuple of Step, optional
        What comes or goes once.
    bursts : tuple of Burst, optional
        What comes together and goes together.

    Raises
    ------
    InvalidInput
        If a rate is negative, not finite or beyond reason; the message says what to use instead.

    Examples
    --------
    >>> Growth(per_day=3).plus(Step("2026-06-01", 500)).steps[0].count
    500
    >>> Growth(per_day=-3)
    Traceback (most recent call last):
    dsmodel.errors.InvalidInput: per_day=-3: growth is 0 or more; what goes is leaving_ratio or a negative Step
    """

    per_day: float = 0.0
    compound_ratio: float = 0.0
    leaving_ratio: float = 0.0
    spread_per_day: float | None = None
    per_day_error: float = 0.0
    compound_error: float = 0.0
    weekly: tuple[float, ...] = ()
    yearly: tuple[float, ...] = ()
    steps: tuple[Step, ...] = ()
    bursts: tuple[Burst, ...] = ()

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("weekly", "yearly", "steps", "bursts"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("per_day", "compound_ratio"):
            _check_growth(name, getattr(self, name))
        for name in ("per_day_error", "compound_error"):
            _check_number(name, getattr(self, name))
        if self.spread_per_day is not None:
            _check_number("spread_per_day", self.spread_per_day)
        _check_number("leaving_ratio", self.leaving_ratio, most=1.0)
        if self.compound_ratio > 1:
            raise InvalidInput(
                f"compound_ratio={self.compound_ratio}: more than doubles each day; it is a ratio a day, 0.01 is 1 %"
            )
        _check_weights("weekly", self.weekly, 7)
        _check_weights("yearly", self.yearly, 12)

    @classmethod
    def linear(cls, count: float, *, per: str = "day", **more: Any) -> Self:
        """Grow by a number in each unit of time.

        Parameters
        ----------
        count : float
            Arrivals in each unit.
        per : str, default "day"
            "day", "week", "month" or "year".
        **more : object
            Other fields, as of the class.

        Returns
        -------
        Growth
            A straight line, on average.

        Raises
        ------
        InvalidInput
            As the class.

        Examples
        --------
        >>> Growth.linear(21, per="week", leaving_ratio=0.01)
        Growth(per_day=3.0, leaving_ratio=0.01)
        """
        _check_growth("count", count)
        return cls(per_day=count / days_per(per), **more)

    @classmethod
    def exponential(cls, ratio: float, *, per: str = "year", **more: Any) -> Self:
        """Grow by a share of what is there in each unit of time.

        Parameters
        ----------
        ratio : float
            0.08 is 8 % in each unit.
        per : str, default "year"
            "day", "week", "month" or "year".
        **more : object
            Other fields, as of the class.

        Returns
        -------
        Growth
            An exponential, on average.

        Raises
        ------
        InvalidInput
            As the class.

        Examples
        --------
        >>> round(1000 * (1 + Growth.exponential(0.08, per="month").compound_ratio) ** 365.25)
        2518
        """
        _check_growth("ratio", ratio)
        return cls(compound_ratio=math.expm1(math.log1p(ratio) / days_per(per)), **more)

    def plus(self, *events: Step | Burst) -> Self:
        """Return this growth with more steps and bursts.

        Parameters
        ----------
        *events : Step or Burst
            What comes on top.

        Returns
        -------
        Growth
            A new value.

        Raises
        ------
        InvalidInput
            If one is neither.

        Examples
        --------
        >>> Growth(per_day=1).plus(Burst(50, 2, every_days=30)).bursts[0].size
        50
        """
        strange = [event for event in events if not isinstance(event, Step | Burst)]
        if strange:
            raise InvalidInput(f"{strange[0]!r}: is neither a Step nor a Burst")
        steps = tuple(event for event in events if isinstance(event, Step))
        bursts = tuple(event for event in events if isinstance(event, Burst))
        return replace(self, steps=self.steps + steps, bursts=self.bursts + bursts)

    def with_season(self, *, weekly: tuple[float, ...] = (), yearly: tuple[float, ...] = ()) -> Self:
        """Return this growth with seasons.

        Parameters
        ----------
        weekly : tuple of 7 floats, optional
            Weights of the days, Monday first.
        yearly : tuple of 12 floats, optional
            Weights of the months, January first.

        Returns
        -------
        Growth
            A new value.

        Raises
        ------
        InvalidInput
            If a weight is negative, or all are 0.

        Examples
        --------
        >>> Growth(per_day=5).with_season(weekly=(1, 1, 1, 1, 1, 0, 0)).weekly[-1]
        0
        """
        return replace(self, weekly=weekly or self.weekly, yearly=yearly or self.yearly)

    @property
    def is_still(self) -> bool:
        """Whether nothing ever changes."""
        rates = (self.per_day, self.compound_ratio, self.leaving_ratio, self.per_day_error, self.compound_error)
        return not any(rates) and not self.steps and not self.bursts and not self.spread_per_day

    def words(self) -> str:
        """Say in words how it grows.

        Returns
        -------
        str
            For instance ``3 a day, 1 % of them leaving each day``.

        Raises
        ------
        None
            Every growth has words.

        Examples
        --------
        >>> Growth.exponential(0.08, per="month", leaving_ratio=0.01).words()
        '+152 % a year compounding, 1 % leave each day'
        """
        parts = [_rate_words(self.per_day)] if self.per_day or self.is_still else []
        if self.compound_ratio:
            yearly = math.expm1(math.log1p(self.compound_ratio) * days_per("year"))
            parts.append(f"+{100 * yearly:.3g} % a year compounding")
        if self.leaving_ratio:
            parts.append(f"{100 * self.leaving_ratio:.3g} % leave each day")
        if self.spread_per_day is not None:
            parts.append(f"spread {self.spread_per_day:.3g} a day")
        if self.per_day_error or self.compound_error:
            parts.append("the rate itself uncertain")
        parts += [f"{name} season" for name in ("weekly", "yearly") if getattr(self, name)]
        parts += [
            f"{step.count:+,} on {step.at}" + (f" over {step.days} days" if step.days > 1 else "")
            for step in self.steps
        ]
        parts += [
            f"bursts of {burst.size:,} for {counted(burst.days, 'day')} "
            + (f"on {burst.at}" if burst.at else f"every {burst.every_days:.4g} days")
            for burst in self.bursts
        ]
        return ", ".join(parts)

    def __repr__(self) -> str:
        """Return the fields that are set."""
        blank = type(self).__dataclass_fields__
        said = [f"{name}={getattr(self, name)!r}" for name in blank if getattr(self, name) != blank[name].default]
        return f"Growth({', '.join(said)})"


def _rate_words(per_day: float) -> str:
    """Write a rate in the unit in which it reads best."""
    for unit in ("day", "week", "month", "year"):
        if per_day * days_per(unit) >= 1 or unit == "year":
            return f"{per_day * days_per(unit):,.4g} a {unit}"
    return ""


def _check_number(name: str, value: float, *, least: float = 0.0, most: float = MOST_PER_DAY) -> None:
    """Refuse what is no number of the range."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        span = "of at most" if math.isinf(least) else "from 0 to"
        raise InvalidInput(f"{name}={value!r}: needs a number {span} {most:,.0f}")


def _check_growth(name: str, value: float) -> None:
    """Refuse a rate that is no growth, and say what shrinks."""
    if isinstance(value, int | float) and value < 0:
        raise InvalidInput(f"{name}={value}: growth is 0 or more; what goes is leaving_ratio or a negative Step")
    _check_number(name, value)


def _check_days(name: str, value: int) -> None:
    """Refuse what is no whole number of days."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInput(f"{name}={value!r}: needs a whole number of days, 1 or more")


def _check_weights(name: str, weights: tuple[float, ...], n: int) -> None:
    """Refuse weights that are not one for each day or month."""
    if not weights:
        return
    sound = all(isinstance(weight, int | float) and 0 <= weight < math.inf for weight in weights)
    if len(weights) != n or not sound or not sum(weights):
        raise InvalidInput(f"{name}={weights!r}: needs {n} weights, 0 or more, not all of them 0")
