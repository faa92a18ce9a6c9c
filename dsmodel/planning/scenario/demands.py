"""Demand of a cluster over time: growth of each kind of object, for all of it, a node pool or a zone.

Promises one frozen `Scenario`, whether it is written as numbers, as a frame or fitted to history
(`dsmodel.planning.scenario.fitting`), checked when it is made. Demand is what is asked for, served or not.

What it does not know: the cluster. Pools that a cluster does not show (addresses of load balancers, SNAT ports, a
quota) come as `Ceiling`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cards import Card, Section
from dsmodel.errors import InvalidInput
from dsmodel.planning.scenario.calendars import day_of
from dsmodel.planning.scenario.growth import Growth
from dsmodel.planning.scenario.tables import added, rows_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    import pandas as pd

    from dsmodel.planning.scenario.calendars import Day

__all__ = ["KINDS", "LAWS", "Ceiling", "Demand", "Scenario"]

KINDS = ("nodes", "pods", "services", "load_balancers", "node_ports", "connections")
LAWS = {
    "gaussian": "normal approximation of Poisson arrivals and binomial departures",
    "exact": "Poisson arrivals, binomial departures",
    "expected": "expected values, nothing random but bursts",
}


@dataclass(frozen=True)
class Demand:
    """Growth of one kind of object, in the whole cluster or in a part of it.

    Parameters
    ----------
    kind : str
        "nodes", "pods" (on the pod network), "services", "load_balancers" (Services of that type, beside `services`),
        "node_ports" or "connections".
    growth : Growth
        How it grows.
    node_pool, zone : str, default ""
        The part of the cluster; empty is all of it.

    Raises
    ------
    InvalidInput
        If the kind is none of these, or Services are asked of a part of a cluster.

    Examples
    --------
    >>> Demand("pods", Growth(per_day=30), zone="zone-a").where
    'zone zone-a'
    """

    kind: str
    growth: Growth
    node_pool: str = ""
    zone: str = ""

    def __post_init__(self) -> None:
        """Check every value."""
        if self.kind not in KINDS:
            raise InvalidInput(f"demand for {self.kind!r}: is one of {', '.join(KINDS)}")
        if not isinstance(self.growth, Growth):
            raise InvalidInput(f"{self.kind}={self.growth!r}: needs a Growth, or {self.kind}_per_week= with a number")
        if self.kind not in KINDS[:2] and self.where:
            raise InvalidInput(f"{self.kind} in {self.where}: only nodes and pods are in a node pool or zone")

    @property
    def where(self) -> str:
        """The part of the cluster in words; empty for all of it."""
        named = (("node pool", self.node_pool), ("zone", self.zone))
        return ", ".join(f"{word} {name}" for word, name in named if name)


@dataclass(frozen=True)
class Ceiling:
    """A pool that a cluster does not show and demand runs into.

    Parameters
    ----------
    pool : str
        Its name.
    usable : int
        What it holds.
    takes : mapping of str to float
        Kind of object to what one takes.
    used : int, default 0
        In use today.
    gives : mapping of str to float, optional
        Kind of object to what one adds to ``usable``.
    ip_family : IPFamily or str, optional
        Of addresses.

    Raises
    ------
    InvalidInput
        If a kind is unknown, or a number is negative.

    Examples
    --------
    >>> Ceiling("SNAT ports", 64_512, {"connections": 1}, gives={"nodes": 64_512}).usable
    64512
    """

    pool: str
    usable: int
    takes: Mapping[str, float]
    used: int = 0
    gives: Mapping[str, float] = field(default_factory=dict)
    ip_family: IPFamily | str | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        if self.ip_family is not None:
            object.__setattr__(self, "ip_family", IPFamily(self.ip_family))
        numbers = {"usable": self.usable, "used": self.used, **self.takes, **self.gives}
        strange = [kind for kind in (*self.takes, *self.gives) if kind not in KINDS]
        if strange or not self.takes:
            raise InvalidInput(f"{self.pool}: takes={dict(self.takes)}: kinds are {', '.join(KINDS)}, one at least")
        for name, number in numbers.items():
            if not 0 <= number < math.inf:
                raise InvalidInput(f"{self.pool}: {name}={number}: is 0 or more")


@dataclass(frozen=True, repr=False)
class Scenario:
    """Demand from a day on: from numbers by `of`, from a frame by `from_frame`, from history by `fit`.

    Parameters
    ----------
    start : date
        The day that the cluster is as it is; growth begins the day after.
    demands : tuple of Demand
        What grows.
    law : str, default "gaussian"
        "gaussian", "exact" (Poisson arrivals, binomial departures: whole objects) or "expected" (nothing random but
        bursts).
    step_days : int, default 1
        Days between two looks at the pools; a date is known to this.
    ceilings : tuple of Ceiling, optional
        Pools that the cluster does not show.

    Raises
    ------
    InvalidInput
        If a value is out of place.

    Examples
    --------
    >>> demand = Scenario.of("2026-01-01", nodes_per_week=3, pods=Growth.exponential(0.08, per="month"))
    >>> print(demand)
    Scenario from 2026-01-01, gaussian law, a step a day
    Demand:
        kind   where  growth
        nodes  all    3 a week
        pods   all    +152 % a year compounding
    """

    start: dt.date
    demands: tuple[Demand, ...]
    law: str = "gaussian"
    step_days: int = 1
    ceilings: tuple[Ceiling, ...] = ()

    def __post_init__(self) -> None:
        """Check every value."""
        object.__setattr__(self, "start", day_of(self.start, "start"))
        object.__setattr__(self, "demands", tuple(self.demands))
        object.__setattr__(self, "ceilings", tuple(self.ceilings))
        if self.law not in LAWS:
            raise InvalidInput(f"law={self.law!r}: is one of {', '.join(LAWS)}")
        if not isinstance(self.step_days, int) or isinstance(self.step_days, bool) or self.step_days < 1:
            raise InvalidInput(f"step_days={self.step_days!r}: needs a whole number of days, 1 or more")
        for given, wanted in ((self.demands, Demand), (self.ceilings, Ceiling)):
            for each in given:
                if not isinstance(each, wanted):
                    raise InvalidInput(f"{each!r}: needs a {wanted.__name__}")

    @classmethod
    def of(
        cls,
        start: Day,
        *demands: Demand,
        law: str = "gaussian",
        step_days: int = 1,
        ceilings: tuple[Ceiling, ...] = (),
        **kinds: Growth | float,
    ) -> Self:
        """Write demand as numbers.

        Parameters
        ----------
        start : date or str
            The day that the cluster is as it is.
        *demands : Demand
            Growth of a node pool or zone.
        law, step_days, ceilings : str, int, tuple of Ceiling
            As of the class.
        **kinds : Growth or float
            For the whole cluster: ``pods=Growth(...)``, or a number in a unit of time, ``pods_per_week=200`` (day,
            week, month, year).

        Returns
        -------
        Scenario
            Of these.

        Raises
        ------
        InvalidInput
            If a kind or unit is unknown or a number is out of place.

        Examples
        --------
        >>> Scenario.of("2026-01-01", nodes_per_week=7).demands[0].growth
        Growth(per_day=1.0)
        """
        named = tuple(_named(word, value) for word, value in kinds.items())
        return cls(day_of(start, "start"), (*demands, *named), law=law, step_days=step_days, ceilings=ceilings)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, start: Day, law: str = "gaussian") -> Self:
        """Read demand from a frame, as a CSV file or a spreadsheet gives it.

        Parameters
        ----------
        frame : pandas.DataFrame
            One row a part of demand: ``kind``; optionally ``node_pool``, ``zone``; rates ``per_day``, ``per_week``,
            ``per_month``, ``per_year``, ``compound_ratio``, ``leaving_ratio``, ``spread_per_day``, ``per_day_error``,
            ``compound_error``; ``weekly`` or ``yearly``, text of 7 or 12 weights; a step: ``time``, ``count`` and
            optionally ``days``; or a burst: ``burst`` (its size), ``days``, and ``time`` or ``every_days``. Rows of the
            same kind and place add up; empty cells say nothing.
        start : date or str
            The day that the cluster is as it is.
        law : str, default "gaussian"
            As of the class.

        Returns
        -------
        Scenario
            One `Demand` for each kind and place, in the order of the frame.

        Raises
        ------
        InvalidInput
            If a column or kind is unknown, a cell is no number or date, or the frame is empty; the message names the
            row.

        Examples
        --------
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"kind": ["pods", "pods"], "per_week": [200, None], "time": [None, "2026-06-01"],
        ...                       "count": [None, 500]})
        >>> Scenario.from_frame(frame, start="2026-01-01").demands[0].growth.words()
        '28.57 a day, +500 on 2026-06-01'
        """
        growths: dict[tuple[str, str, str], Growth] = {}
        for number, key, said in rows_of(frame):
            try:
                Demand(key[0], Growth(), *key[1:])
                growths[key] = added(growths.get(key, Growth()), said)
            except (InvalidInput, TypeError, ValueError) as error:
                raise InvalidInput(f"frame of demand, row {number}: {error}") from error
        demands = (Demand(kind, growth, pool, zone) for (kind, pool, zone), growth in growths.items())
        return cls(day_of(start, "start"), tuple(demands), law=law)

    def plus(self, *demands: Demand) -> Self:
        """Return this scenario with more demand.

        Parameters
        ----------
        *demands : Demand
            What comes on top.

        Returns
        -------
        Scenario
            A new value.

        Raises
        ------
        InvalidInput
            If one is no `Demand`.

        Examples
        --------
        >>> from dsmodel.planning.scenario import Step
        >>> merger = Demand("pods", Growth(steps=(Step("2026-06-01", 500),)))
        >>> len(Scenario.of("2026-01-01", pods_per_week=200).plus(merger).demands)
        2
        """
        return replace(self, demands=(*self.demands, *demands))

    def words(self) -> str:
        """Say in one line what is assumed.

        Returns
        -------
        str
            Start, growth of each kind, law.

        Raises
        ------
        None
            Every scenario has words.

        Examples
        --------
        >>> Scenario.of("2026-01-01", nodes_per_week=3).words()
        'From 2026-01-01: nodes 3 a week; normal approximation of Poisson arrivals and binomial departures.'
        """
        parts = [
            f"{each.kind.replace('_', ' ')}{f' in {each.where}' if each.where else ''} {each.growth.words()}"
            for each in self.demands
        ]
        return f"From {self.start}: {'; '.join(parts) or 'no demand'}; {LAWS[self.law]}."

    def card(self) -> Card:
        """Return what the scenario shows of itself.

        Returns
        -------
        Card
            Demand and ceilings.

        Raises
        ------
        None
            Every scenario has one.
        """
        step = "a step a day" if self.step_days == 1 else f"a step every {self.step_days} days"
        demands = [(each.kind, each.where or "all", each.growth.words()) for each in self.demands]
        ceilings = [
            (each.pool, str(each.ip_family or ""), f"{each.usable:,}", f"{each.used:,}") for each in self.ceilings
        ]
        return Card(
            f"Scenario from {self.start}, {self.law} law, {step}",
            (
                Section("Demand", demands, ("kind", "where", "growth")),
                Section("Ceilings", ceilings, ("pool", "family", "usable", "used")),
            ),
        )

    def __repr__(self) -> str:
        """Return the card as plain text."""
        return self.card().text()

    def _repr_html_(self) -> str:
        """Show the card in a notebook."""
        return self.card().html()


def _named(word: str, value: Growth | float) -> Demand:
    """Read one keyword of `Scenario.of`."""
    kind, _, unit = word.partition("_per_")
    if not unit:
        if kind in KINDS and not isinstance(value, Growth):
            raise InvalidInput(f"{word}={value!r}: needs a Growth, or {kind}_per_week= with a number")
        return Demand(kind, value)  # type: ignore[arg-type]
    if isinstance(value, Growth):
        raise InvalidInput(f"{word}=Growth(...): a Growth has its own unit of time; write {kind}=")
    if kind not in KINDS:
        raise InvalidInput(f"{word}: demand is for one of {', '.join(KINDS)}")
    return Demand(kind, Growth.linear(value, per=unit))
