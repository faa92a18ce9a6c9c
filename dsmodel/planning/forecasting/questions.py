"""What is asked of a forecast, worked out once for all trajectories, and what is odd about it.

What it does not know: how trajectories run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.planning.forecasting.capacities import capacities_of, initial_counts, more_nodes_of, nodes_in
from dsmodel.planning.forecasting.passages import FirstPassage
from dsmodel.planning.forecasting.populations import Population, schedule_of
from dsmodel.planning.forecasting.results import NEVER
from dsmodel.planning.limits import limits_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dsmodel.cluster.checks import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.planning.forecasting.capacities import Capacity
    from dsmodel.planning.forecasting.populations import Schedule
    from dsmodel.planning.scenario.demands import Demand, Scenario

__all__ = ["Question", "question_of", "trouble_of"]

_HOMES = {  # what serves each kind; connections have no pool of their own
    "nodes": "node blocks",
    "pods": "pod addresses",
    "services": "service addresses",
    "load_balancers": "service addresses",
    "node_ports": "node ports",
}
_FAN_POINTS = 120  # days at which numbers are kept for the picture


@dataclass(frozen=True, eq=False)
class Question:
    """A cluster, demand, and what follows from the two.

    Parameters
    ----------
    cluster : Cluster
        As it is today.
    demand : Scenario
        What grows.
    steps : int
        Looks at the pools.
    capacities : tuple of Capacity
        The pools.
    schedules : tuple of Schedule
        What each demand expects of each step.
    initial : tuple of int
        Objects of each demand today.
    more_nodes : float
        Nodes that blocks still allow.
    """

    cluster: Cluster
    demand: Scenario
    steps: int
    capacities: tuple[Capacity, ...]
    schedules: tuple[Schedule, ...]
    initial: tuple[int, ...]
    more_nodes: float

    @property
    def kinds(self) -> list[str]:
        """Kind of each demand."""
        return [each.kind for each in self.demand.demands]

    @property
    def fan_steps(self) -> NDArray[np.int64]:
        """Steps at which numbers are kept, 0 being today."""
        points = min(self.steps, _FAN_POINTS)
        return np.rint(np.linspace(0, self.steps, points + 1)).astype(np.int64)

    def populations(self, n: int, rng: np.random.Generator, *, law: str) -> list[Population]:
        """Start the objects of each demand on some trajectories.

        Parameters
        ----------
        n : int
            Trajectories.
        rng : numpy.random.Generator
            Decides.
        law : str
            As of `Scenario`.

        Returns
        -------
        list of Population
            One a demand.

        Raises
        ------
        None
            Every demand can start.
        """
        parts = zip(self.demand.demands, self.schedules, self.initial, strict=True)
        return [Population(each.growth, plan, count, n=n, rng=rng, law=law) for each, plan, count in parts]

    def passage(self, n: int) -> FirstPassage:
        """Start to watch the pools on some trajectories.

        Parameters
        ----------
        n : int
            Trajectories.

        Returns
        -------
        FirstPassage
            Nothing observed yet.

        Raises
        ------
        None
            Every pool can be watched.
        """
        return FirstPassage(self.capacities, self.kinds, self.more_nodes, n=n)

    def days(self, first: NDArray[np.int32]) -> NDArray[np.int32]:
        """Turn first steps into days.

        Parameters
        ----------
        first : ndarray of int32
            Steps; more than there are is never.

        Returns
        -------
        ndarray of int32
            Days, or `NEVER`.

        Raises
        ------
        None
            Every step is a day.
        """
        never = first > self.steps
        return np.where(never, NEVER, np.where(never, 0, first) * self.demand.step_days).astype(np.int32)


def question_of(cluster: Cluster, demand: Scenario, days: int) -> Question:
    """Work out what all trajectories share.

    Parameters
    ----------
    cluster : Cluster
        As it is today.
    demand : Scenario
        What grows.
    days : int
        The horizon.

    Returns
    -------
    Question
        Of whole steps; the last one may end after the horizon.

    Raises
    ------
    None
        Every demand can be asked of every cluster.
    """
    steps = -(-days // demand.step_days)
    schedules = tuple(
        schedule_of(each.growth, demand.start, steps=steps, step_days=demand.step_days) for each in demand.demands
    )
    capacities = tuple(capacities_of(cluster, demand))
    more_nodes = more_nodes_of(limits_of(cluster))
    return Question(cluster, demand, steps, capacities, schedules, tuple(initial_counts(cluster, demand)), more_nodes)


def trouble_of(question: Question) -> Iterator[Finding]:
    """Name what is odd about a question.

    Parameters
    ----------
    question : Question
        What is asked.

    Yields
    ------
    tuple of severity, rule, object, message
        Demand that no pool serves, that no pool can ever fit, or that lies in the past; parts without nodes; pools
        that are full today.

    Raises
    ------
    None
        An odd question is answered all the same.
    """
    for place, each in enumerate(question.demand.demands):
        name = f"{each.kind} in {each.where}" if each.where else each.kind
        home = _HOMES.get(each.kind)
        if not any(
            capacity.takes[place] and capacity.pool == (home or capacity.pool) for capacity in question.capacities
        ):
            message = (
                f"no {home or 'pool'} of this cluster is known to serve it, so no date follows from that; name what "
                "limits it with Scenario(ceilings=...)"
            )
            yield "warning", "demand-without-pool", name, message
        if each.where and not len(nodes_in(question.cluster, each.node_pool, each.zone)):
            yield "warning", "demand-without-nodes", name, "no node of this cluster is there; its pods find no room"
        if ignored := question.schedules[place].ignored:
            yield (
                "info", "demand-before-start", name,
                f"{ignored} steps or bursts lie before {question.demand.start}; they count as part of today",
            )  # fmt: skip
        yield from _too_large(question, place, each, name)
    for capacity in question.capacities:
        if capacity.is_bounded and capacity.enforced and capacity.takes.any() and capacity.is_full:
            yield (
                "error", "pool-full-today", capacity.title,
                f"{capacity.used:,} asked of {capacity.usable:,}; it is full before demand grows",
            )  # fmt: skip


def _too_large(question: Question, place: int, each: Demand, name: str) -> Iterator[Finding]:
    """Name steps and bursts that would not fit a pool even if it were empty."""
    sizes = [*(step.count for step in each.growth.steps), *(burst.size for burst in each.growth.bursts)]
    largest = max(sizes, default=0)
    for capacity in question.capacities:
        taken = largest * capacity.takes[place]
        grows = capacity.gives.any()
        if capacity.is_bounded and capacity.enforced and not grows and taken > (capacity.usable or 0):
            message = (
                f"{largest:,} at once take {taken:,.0f} of {capacity.title}, which holds {capacity.usable:,} in all; "
                "plan a larger range first"
            )
            yield "error", "demand-never-fits", name, message
