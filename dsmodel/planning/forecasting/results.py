"""What a forecast says: when each pool is full, how surely, which one binds first, and what that rests on.

Promises quantiles that are days some trajectory really had, and none where too few trajectories run out within the
horizon; the same forecast gives the same text and HTML.

What it does not know: how trajectories came to be.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.cards import Card, Section
from dsmodel.cluster.checks import findings_table
from dsmodel.planning.forecasting.passages import served_nodes
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.cluster.checks import Finding
    from dsmodel.planning.forecasting.capacities import Capacity
    from dsmodel.planning.scenario.demands import Scenario

__all__ = ["NEVER", "QUANTILES", "Exhaustion", "Forecast"]

QUANTILES = (0.05, 0.5, 0.95)
NEVER = np.iinfo(np.int32).max  # not within the horizon

_DIFFERENCE = (
    "pool", "ip_family", "node_pool", "zone", "counts_p50", "replay_p50", "earlier_days", "stranded", "leaked", "why",
)  # fmt: skip


@dataclass(frozen=True)
class Exhaustion:
    """When one pool is full.

    Parameters
    ----------
    pool, ip_family, node_pool, zone : str
        Which; empty where it belongs to no family or part.
    usable, used : int or None
        Today; ``usable`` None where it cannot run out.
    days : tuple of 3 int or None
        Days from the start by which 5, 50 and 95 % of the trajectories find it full; None beyond the horizon.
    dates : tuple of 3 date or None
        The same as dates.
    runs_out_ratio : float
        Share of trajectories in which it is full within the horizon; NaN where that is not known.
    binds_first_ratio : float
        Share of trajectories in which it is the first; days that several share are divided. NaN for what nothing
        enforces.
    why : str
        What the dates, or their absence, rest on.
    """

    pool: str
    ip_family: str
    node_pool: str
    zone: str
    usable: int | None
    used: int
    days: tuple[int | None, ...]
    dates: tuple[dt.date | None, ...]
    runs_out_ratio: float
    binds_first_ratio: float
    why: str


@dataclass(frozen=True, repr=False, eq=False)
class Forecast:
    """The answer of `forecast`.

    Parameters
    ----------
    demand : Scenario
        What was asked.
    horizon_days : int
        How far.
    mode : str
        "counts" or "replay".
    capacities : tuple of Capacity
        The pools.
    first_days : ndarray of int32, shape (pools, trajectories)
        Day each is full for the first time; `NEVER` if not within the horizon.
    fan_days : ndarray of int64, shape (points,)
        Days at which numbers were kept.
    fan_moved : ndarray, shape (points, demands, some trajectories)
        How many more there are of each demand.
    more_nodes : float
        Nodes that blocks still allow.
    trouble : sequence of findings
        What is odd about the question.
    replayed : mapping, optional
        Of a replay: ``counts`` (first days of the same trajectories by counting), ``stranded`` (free when first
        refused) and ``leaked`` (node blocks lost at the end), each of shape (pools, trajectories).
    """

    demand: Scenario
    horizon_days: int
    mode: str
    capacities: tuple[Capacity, ...]
    first_days: NDArray[np.int32]
    fan_days: NDArray[np.int64]
    fan_moved: NDArray[Any]
    more_nodes: float
    trouble: Sequence[Finding] = ()
    replayed: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def trajectories(self) -> int:
        """How many were run."""
        return int(self.first_days.shape[1])

    @property
    def binds_first_ratio(self) -> NDArray[np.float64]:
        """Share of trajectories in which each enforced pool that demand touches is the first, shape (pools,)."""
        binding = [each.enforced and each.is_touched for each in self.capacities]
        days = np.where(np.array(binding, np.bool_)[:, None], self.first_days, NEVER)
        earliest = days.min(axis=0, initial=NEVER)
        first = (days == earliest) & (earliest < NEVER)
        shares: NDArray[np.float64] = (first / np.maximum(first.sum(axis=0), 1)).mean(axis=1)
        return shares

    @property
    def exhaustion(self) -> tuple[Exhaustion, ...]:
        """When each pool is full, in the order of the pools."""
        binding = self.binds_first_ratio
        ordered = np.sort(self.first_days, axis=1)
        return tuple(
            self._exhaustion(capacity, row, float(share))
            for capacity, row, share in zip(self.capacities, ordered, binding, strict=True)
        )

    @property
    def findings(self) -> pd.DataFrame:
        """What is odd about the question: severity, rule, object, message."""
        return findings_table(list(self.trouble)).to_frame()[["severity", "rule", "object", "message"]]

    @property
    def assumptions(self) -> str:
        """The line that belongs beside every date."""
        demand = self.demand if self.mode == "counts" else replace(self.demand, law="exact")
        pace = "" if self.demand.step_days == 1 else f" in steps of {self.demand.step_days} days"
        how = (
            "each pool counted for itself, any free address serves"
            if self.mode == "counts"
            else "the real allocators under churn, pods on random nodes with room"
        )
        return (
            f"{demand.words()} {counted(self.trajectories, 'trajectory')} of "
            f"{counted(self.horizon_days, 'day')}{pace}; {how}; "
            "Services in today's mix of families and types; a pool is full when nothing is left for one more."
        )

    @property
    def difference(self) -> pd.DataFrame:
        """How a replay differs from counting the same trajectories.

        One row a pool that ran out either way: ``pool``, ``ip_family``, ``node_pool``, ``zone``, ``counts_p50`` and
        ``replay_p50`` (dates), ``earlier_days`` (median over trajectories in which both ran out), ``stranded`` (median
        of what was still free when one was first refused), ``leaked`` (mean node blocks lost at the end), ``why``.
        Empty for a forecast by counts.
        """
        rows = [row for place in range(len(self.capacities)) if self.replayed and (row := self._difference(place))]
        return pd.DataFrame(rows, columns=pd.Index(_DIFFERENCE))

    def in_use(self, place: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give what demand comes to in one pool over time.

        Parameters
        ----------
        place : int
            Number of the pool.

        Returns
        -------
        used, usable : ndarray of float64, shape (points, some trajectories)
            What is asked for, served or not, and what there is; infinite where a pool cannot run out.

        Raises
        ------
        None
            Every pool has numbers.
        """
        capacity = self.capacities[place]
        kinds = [each.kind for each in self.demand.demands]
        points, _, n = self.fan_moved.shape
        used, usable = np.full((points, n), float(capacity.used)), np.zeros((points, n))
        usable += np.inf if capacity.usable is None else capacity.usable
        for point, moved in enumerate(self.fan_moved):
            served = served_nodes(moved, kinds, self.more_nodes)
            for stream in range(len(kinds)):
                used[point] += capacity.takes[stream] * moved[stream]
                if capacity.gives[stream]:
                    usable[point] += capacity.gives[stream] * served[stream]
        return used, usable

    def card(self) -> Card:
        """Return what the forecast shows of itself.

        Returns
        -------
        Card
            Dates, findings, and how a replay differs.

        Raises
        ------
        None
            Every forecast has one.
        """
        rows = [
            (
                each.pool,
                each.ip_family,
                ", ".join(filter(None, (each.node_pool, each.zone))),
                "cannot run out" if each.usable is None else f"{each.used:,} of {each.usable:,}",
                *(str(date) if date else "-" for date in each.dates),
                "-" if np.isnan(each.binds_first_ratio) else f"{each.binds_first_ratio:.1%}".replace("%", " %"),
            )
            for each in self.exhaustion
        ]
        header = ("pool", "family", "part", "in use", "p5", "p50", "p95", "binds first")
        compared = [
            tuple("-" if pd.isna(cell) else f"{cell:,g}" if isinstance(cell, float) else str(cell) for cell in row[:-1])
            for row in self.difference.itertuples(index=False, name=None)
        ]
        found = [tuple(map(str, row)) for row in self.findings.itertuples(index=False, name=None)]
        return Card(
            f"Forecast of {counted(self.horizon_days, 'day')} from {self.demand.start}: {self._headline()}",
            (
                Section("When pools are full", rows, header),
                Section("Replay against counts", compared, tuple(map(str, self.difference.columns[:-1]))),
                Section("Findings", found, ("severity", "rule", "object", "message")),
            ),
            self.assumptions,
        )

    def __repr__(self) -> str:
        """Return the card as plain text."""
        return self.card().text()

    def _repr_html_(self) -> str:
        """Show the card in a notebook."""
        return self.card().html()

    def _headline(self) -> str:
        """Say what binds, and when."""
        shares = self.binds_first_ratio
        if not len(shares) or not shares.max():
            return "nothing runs out"
        place = int(np.argmax(shares))
        each = self.exhaustion[place]
        when = f"about {each.dates[1]}" if each.dates[1] else "not in most trajectories"
        return f"{self.capacities[place].title} binds first in {shares[place]:.0%} of trajectories, {when}".replace(
            "% of", " % of"
        )

    def _exhaustion(self, capacity: Capacity, ordered: NDArray[np.int32], share: float) -> Exhaustion:
        """Read one pool's days."""
        places = [max(0, int(np.ceil(q * len(ordered))) - 1) for q in QUANTILES]
        days = tuple(None if ordered[place] == NEVER else int(ordered[place]) for place in places)
        known = capacity.is_bounded or capacity.usable is None
        ratio = float(np.count_nonzero(ordered < NEVER) / len(ordered)) if known else float("nan")
        return Exhaustion(
            capacity.pool,
            str(capacity.family or ""),
            capacity.node_pool,
            capacity.zone,
            capacity.usable,
            capacity.used,
            days,
            tuple(None if day is None else self.demand.start + dt.timedelta(days=day) for day in days),
            ratio,
            share if capacity.enforced else float("nan"),
            f"{self._reason(capacity, ratio)} {capacity.why}",
        )

    def _reason(self, capacity: Capacity, ratio: float) -> str:
        """Say what a date, or its absence, rests on."""
        within = f"within {counted(self.horizon_days, 'day')}"
        share = "less than 0.1" if ratio < 0.001 else f"{min(100 * ratio, 99.9):.3g}"
        reasons = (
            (capacity.usable is None, "Cannot run out."),
            (capacity.is_guess, "Not known: the range is only guessed from what is in use."),
            (capacity.is_full, "Full today."),
            (not ratio and not capacity.is_touched, "No demand takes from it."),
            (not ratio, f"Not full in any trajectory {within}."),
            (ratio == 1, f"Full in every trajectory {within}."),
        )
        return next((words for holds, words in reasons if holds), f"Full in {share} % of trajectories {within}.")

    def _difference(self, place: int) -> tuple[object, ...] | None:
        """Compare one pool's days."""
        capacity, ours, counted = self.capacities[place], self.first_days[place], self.replayed["counts"][place]
        if (ours == NEVER).all() and (counted == NEVER).all():
            return None
        both = (ours < NEVER) & (counted < NEVER)
        earlier = float(np.median(counted[both] - ours[both])) if both.any() else float("nan")
        stranded, leaked = self.replayed["stranded"][place], self.replayed["leaked"][place]
        left = float(np.nanmedian(stranded)) if not np.isnan(stranded).all() else float("nan")
        lost = float(np.nanmean(leaked)) if not np.isnan(leaked).all() else float("nan")
        dates = [self._median_date(days) for days in (counted, ours)]
        key = (capacity.pool, str(capacity.family or ""), capacity.node_pool, capacity.zone)
        return (*key, *dates, earlier, left, lost, _cause(earlier, left, lost))

    def _median_date(self, days: NDArray[np.int32]) -> pd.Timestamp | None:
        """Give the day by which half of the trajectories find a pool full."""
        day = np.sort(days)[max(0, int(np.ceil(0.5 * len(days))) - 1)]
        return None if day == NEVER else pd.Timestamp(self.demand.start) + pd.Timedelta(days=int(day))


def _cause(earlier: float, stranded: float, leaked: float) -> str:
    """Say why a replay is earlier than counts."""
    parts = []
    if leaked > 0:
        parts.append(f"node IPAM lost {leaked:,.1f} blocks of this family to nodes that the other had none left for")
    if stranded > 0:
        parts.append(f"{stranded:,.0f} were still free, where none was put, when one was first refused")
    if not parts:
        parts.append("no leak and nothing stranded" + (": the same day" if earlier == 0 else ""))
    return "; ".join(parts)
