"""How many objects there are, step by step, on many trajectories at once.

Promises one vector operation a step for all trajectories of a chunk, so that memory does not grow with the horizon.

- "gaussian": a normal step with the mean and variance of Poisson arrivals and binomial departures, in float32. The
  dates agree with the exact law wherever arrivals are many; with less than about ten arrivals between now and the date,
  use the exact law.
- "exact": Poisson arrivals and binomial departures, whole objects. With ``spread_per_day``, arrivals are normal with
  that spread, rounded.
- "expected": means only, in float64, so that closed forms agree to the day.

What it does not know: pools.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.planning.scenario.seasons import factors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.planning.scenario.growth import Growth

__all__ = ["Population", "Schedule", "schedule_of"]


@dataclass(frozen=True, eq=False)
class Schedule:
    """What a growth expects of each step.

    Parameters
    ----------
    arrivals : ndarray of float64, shape (steps,)
        Mean arrivals that do not depend on how many there are.
    season : ndarray of float64, shape (steps,)
        Factor on the errors and on compounding.
    added : ndarray of int64, shape (steps,)
        What steps add or take away.
    held : ndarray of int64, shape (steps,)
        What dated bursts hold at the end of the step.
    step_days : int
        Days of a step.
    ignored : int
        Steps and dated bursts that lie before the start; they are in today's counts already.
    """

    arrivals: NDArray[np.float64]
    season: NDArray[np.float64]
    added: NDArray[np.int64]
    held: NDArray[np.int64]
    step_days: int
    ignored: int


def schedule_of(growth: Growth, start: dt.date, *, steps: int, step_days: int = 1) -> Schedule:
    """Work out what a growth expects of each step.

    Parameters
    ----------
    growth : Growth
        How one kind grows.
    start : datetime.date
        Day 0; the first step ends ``step_days`` later.
    steps : int
        How many.
    step_days : int, default 1
        Days of each.

    Returns
    -------
    Schedule
        Of ``steps`` steps.

    Raises
    ------
    None
        Every growth has a schedule.

    Examples
    --------
    >>> from dsmodel.planning.scenario.growth import Growth
    >>> schedule_of(Growth(per_day=2), dt.date(2026, 1, 1), steps=2, step_days=7).arrivals.tolist()
    [14.0, 14.0]
    """
    days = steps * step_days
    first = (start - dt.date(1970, 1, 1)).days + 1
    season = factors(growth.weekly, growth.yearly, np.arange(first, first + days))
    added, ignored = np.zeros(days, np.int64), 0
    for step in growth.steps:
        first = (step.day - start).days - 1
        ignored += first < 0
        # an even share for each day, the rest on the first days
        shares = np.full(step.days, step.count // step.days)
        shares[: step.count - int(shares.sum())] += 1
        inside = np.arange(first, first + step.days)
        kept = (inside >= 0) & (inside < days)
        added[inside[kept]] += shares[kept]
    held = np.zeros(days, np.int64)
    for burst in growth.bursts:
        if isinstance(burst.at, dt.date):
            first = (burst.at - start).days - 1
            ignored += first < 0
            held[max(first, 0) : max(first + burst.days, 0)] += burst.size
    by_step = (steps, step_days)
    return Schedule(
        (growth.per_day * season).reshape(by_step).sum(1),
        season.reshape(by_step).mean(1),
        added.reshape(by_step).sum(1),
        held.reshape(by_step).max(1),
        step_days,
        ignored,
    )


class Population:
    """One kind's numbers on many trajectories; `advance` takes the next step.

    Parameters
    ----------
    growth : Growth
        How it grows.
    schedule : Schedule
        Of the same growth.
    initial : int
        How many there are today.
    n : int
        Trajectories.
    rng : numpy.random.Generator
        Decides.
    law : str
        "gaussian", "exact" or "expected".

    Examples
    --------
    >>> from dsmodel.planning.scenario.growth import Growth
    >>> growth = Growth(per_day=2)
    >>> schedule = schedule_of(growth, dt.date(2026, 1, 1), steps=3)
    >>> population = Population(growth, schedule, 10, n=2, rng=np.random.default_rng(0), law="expected")
    >>> for step in range(3):
    ...     population.advance(step)
    >>> population.moved.tolist()
    [6.0, 6.0]
    """

    def __init__(
        self, growth: Growth, schedule: Schedule, initial: int, *, n: int, rng: np.random.Generator, law: str
    ) -> None:
        self.growth, self.schedule, self.initial, self.n = growth, schedule, initial, n
        self._rng, self._law = rng, law
        days = schedule.step_days
        self._compound = np.expm1(np.log1p(growth.compound_ratio) * days)
        self._leaving = 1.0 - (1.0 - growth.leaving_ratio) ** days
        self._spread = None if growth.spread_per_day is None else growth.spread_per_day * days**0.5
        self._dtype: type[Any] = {"gaussian": np.float32, "exact": np.int64}.get(law, np.float64)
        self._state: NDArray[Any] = np.zeros(n, self._dtype)
        # a normal step may go down where arrivals cannot; what is seen does not
        falls = growth.leaving_ratio or growth.spread_per_day is not None or (schedule.added < 0).any()
        self._only_grows = law == "gaussian" and not falls
        self._errors = self._drawn_errors()
        self._draw = np.empty(n, np.float32)
        self._present = np.empty(n, self._dtype)
        self._variance = np.empty(n, np.float32)
        self._extra = np.zeros(n, self._dtype) if self._has_bursts else None
        self._bursts = [] if self._extra is None else self._drawn_bursts()
        self.arrived: NDArray[np.int64] = np.zeros(0, np.int64)
        self.left: NDArray[np.int64] = np.zeros(0, np.int64)

    @property
    def moved(self) -> NDArray[Any]:
        """How many more there are than at the start, bursts included, shape (n,)."""
        state = np.maximum(self._state, 0) if self._only_grows else self._state
        return state if self._extra is None else state + self._extra

    def advance(self, step: int) -> None:
        """Take one step.

        Parameters
        ----------
        step : int
            Its number, from 0.

        Raises
        ------
        None
            Numbers stay at 0 or above.
        """
        if self._law == "exact":
            self._advance_exact(step)
        elif self._law == "gaussian" and self._is_steady:
            self._advance_steadily(step)
        else:
            self._advance_dynamically(step)
        if self._extra is not None:
            self._advance_bursts(step)

    @property
    def _is_steady(self) -> bool:
        """Whether a step depends neither on the numbers before it nor on the trajectory."""
        return not self._compound and not self._leaving and self._errors is None

    def _advance_steadily(self, step: int) -> None:
        """Add the same mean and a normal of the same spread everywhere."""
        arrivals = self.schedule.arrivals[step]
        spread = float(arrivals) ** 0.5 if self._spread is None else self._spread
        mean = arrivals + self.schedule.added[step]
        if spread:
            self._rng.standard_normal(dtype=np.float32, out=self._draw)
            self._draw *= np.float32(spread)
            self._state += self._draw
        if mean:
            self._state += np.float32(mean)
        np.maximum(self._state, -self.initial, out=self._state)

    def _advance_dynamically(self, step: int) -> None:
        """Add what depends on how many there are: mean a + (c - l) p, variance a + (c + l (1 - l)) p."""
        schedule, kind, present = self.schedule, self._dtype, self._present
        np.add(self._state, kind(self.initial), out=present)
        arrivals: Any = kind(schedule.arrivals[step])
        compound: Any = kind(self._compound * schedule.season[step])
        if self._errors is not None:
            season = schedule.season[step]
            per_day, ratio = self._errors
            arrivals = np.maximum(arrivals + per_day * kind(schedule.step_days * season), kind(0))
            compound = compound + ratio * kind(season)
        leaving = kind(self._leaving)
        if self._law == "gaussian":
            self._rng.standard_normal(dtype=np.float32, out=self._draw)
            variance = self._variance
            if self._spread is None:
                np.multiply(present, compound + leaving * (1 - leaving), out=variance)
                variance += arrivals
            else:
                np.multiply(present, leaving * (1 - leaving), out=variance)
                variance += kind(self._spread**2)
            if self._errors is not None:
                np.maximum(variance, 0, out=variance)  # a rate drawn below 0
            np.sqrt(variance, out=variance)
            self._draw *= variance
            self._state += self._draw
        present *= compound - leaving
        present += arrivals + kind(schedule.added[step])
        self._state += present
        np.maximum(self._state, -self.initial, out=self._state)

    def _advance_exact(self, step: int) -> None:
        """Draw whole arrivals and departures."""
        schedule, present = self.schedule, self._state + self.initial
        mean: Any = schedule.arrivals[step]
        ratio: Any = self._compound * schedule.season[step]
        if self._errors is not None:
            mean = mean + self._errors[0] * (schedule.step_days * schedule.season[step])
            ratio = ratio + self._errors[1] * schedule.season[step]
        if self._compound or self._errors is not None:
            mean = mean + ratio * present
        if self._spread is None:
            change = self._rng.poisson(np.maximum(mean, 0), size=self.n)
        else:
            change = np.rint(mean + self._spread * self._rng.standard_normal(self.n)).astype(np.int64)
        change = change + schedule.added[step]
        self.arrived = np.maximum(change, 0)
        self.left = np.minimum(np.maximum(-change, 0), present)
        if self._leaving:
            self.left += self._rng.binomial(present - self.left, self._leaving)
        self._state += self.arrived
        self._state -= self.left

    @property
    def _has_bursts(self) -> bool:
        return bool(self.growth.bursts)

    def _drawn_errors(self) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Draw what is not known about the rates, once for each trajectory."""
        growth = self.growth
        if self._law == "expected" or not (growth.per_day_error or growth.compound_error):
            return None
        normals = self._rng.standard_normal((2, self.n))
        days = self.schedule.step_days
        kind = np.float32 if self._law == "gaussian" else np.float64
        return (normals[0] * growth.per_day_error).astype(kind), (normals[1] * growth.compound_error * days).astype(
            kind
        )

    def _drawn_bursts(self) -> list[tuple[int, NDArray[np.intp], NDArray[np.intp], int]]:
        """Draw when random bursts start: for each kind, trajectories by step and offsets."""
        steps, days = len(self.schedule.arrivals), self.schedule.step_days
        drawn = []
        for burst in self.growth.bursts:
            if burst.every_days is None:
                continue
            total = int(self._rng.poisson(self.n * steps * days / burst.every_days))
            starts = np.sort(self._rng.integers(0, steps * self.n, size=total))
            offsets = np.searchsorted(starts, np.arange(steps + 1) * self.n)
            drawn.append((burst.size, starts % self.n, offsets, max(1, round(burst.days / days))))
        return drawn

    def _advance_bursts(self, step: int) -> None:
        """Let bursts begin and end."""
        assert self._extra is not None  # noqa: S101 - only called with bursts; tells the type checker
        before = self._extra.copy() if self._law == "exact" else None
        held = self.schedule.held
        self._extra += held[step] - (held[step - 1] if step else 0)
        for size, who, offsets, lasts in self._bursts:
            np.add.at(self._extra, who[offsets[step] : offsets[step + 1]], size)
            if step >= lasts:
                gone = step - lasts
                np.subtract.at(self._extra, who[offsets[gone] : offsets[gone + 1]], size)
        if before is not None:
            change = self._extra - before
            self.arrived = self.arrived + np.maximum(change, 0)
            self.left = self.left + np.maximum(-change, 0)
