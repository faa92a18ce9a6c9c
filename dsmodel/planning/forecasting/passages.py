"""On which step each pool is full for the first time, on many trajectories at once.

Promises a pool is full when what demand takes reaches what there is: nothing is left for one more. Each pool is asked
for itself; what demand finds no room for stays demand. Nodes add pod capacity only as far as node blocks allow.

What it does not know: fragmentation. Any free address serves any pod.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.planning.forecasting.capacities import Capacity

__all__ = ["FirstPassage", "served_nodes"]

_NEARLY = 1 - 1e-9  # sums of rates such as 3 / 7 reach a whole number to this
_NOTHING = 1e-9  # where nothing is usable, nothing asked for is not full
_LOOK = 16  # steps between two looks whether a pool is full everywhere


def served_nodes(moved: Sequence[NDArray[Any]], kinds: Sequence[str], more_nodes: float) -> list[NDArray[Any]]:
    """Cut the growth of nodes to what node blocks allow.

    Parameters
    ----------
    moved : sequence of ndarray, shape (n,) each
        How many more there are of each demand.
    kinds : sequence of str
        Kind of each demand.
    more_nodes : float
        How many more node blocks allow; infinite where nothing limits them.

    Returns
    -------
    list of ndarray
        For each demand; other kinds than nodes as they are. Demands of several parts are cut in proportion.

    Raises
    ------
    None
        Every input of these shapes has an answer.

    Examples
    --------
    >>> [each.tolist() for each in served_nodes([np.array([3.0]), np.array([9.0])], ["nodes", "pods"], 2)]
    [[2.0], [9.0]]
    """
    places = [place for place, kind in enumerate(kinds) if kind == "nodes"]
    if not places or more_nodes == np.inf:
        return list(moved)
    served = list(moved)
    if len(places) == 1:
        served[places[0]] = np.minimum(moved[places[0]], more_nodes)
        return served
    total = sum((np.maximum(moved[place], 0) for place in places), start=np.zeros(len(moved[0])))
    factor = np.minimum(1.0, more_nodes / np.maximum(total, 1e-12))
    for place in places:
        served[place] = np.where(moved[place] > 0, moved[place] * factor, moved[place])
    return served


@dataclass(eq=False)
class _Watched:
    """A pool that is not full yet everywhere: where it stands, its room, what demand takes and gives, and where not."""

    place: int
    room: float
    takes: list[tuple[int, float]]
    gives: list[tuple[int, float]]
    alive: NDArray[np.bool_]


class FirstPassage:
    """Watches pools; `observe` takes what each step brought.

    Parameters
    ----------
    capacities : sequence of Capacity
        The pools.
    kinds : sequence of str
        Kind of each demand.
    more_nodes : float
        How many more nodes get a block.
    n : int
        Trajectories.

    Examples
    --------
    >>> from dsmodel.planning.forecasting.capacities import Capacity
    >>> pool = Capacity("node blocks", None, 16, 12, np.array([1.0]), np.array([0.0]))
    >>> passage = FirstPassage([pool], ["nodes"], np.inf, n=2)
    >>> for moved in ([1, 2], [2, 4], [3, 5]):
    ...     passage.observe([np.array(moved)])
    >>> passage.first.tolist()  # the other is not full yet
    [[2147483647, 2]]
    """

    def __init__(self, capacities: Sequence[Capacity], kinds: Sequence[str], more_nodes: float, *, n: int) -> None:
        self._kinds, self._more_nodes = kinds, more_nodes
        self._several = sum(kind == "nodes" for kind in kinds) > 1
        self.first: NDArray[np.int32] = np.full((len(capacities), n), np.iinfo(np.int32).max, np.int32)
        self._observed = 0
        self._watched: list[_Watched] = []
        self._flag = np.empty(n, np.bool_)
        for place, capacity in enumerate(capacities):
            if capacity.usable is None or not capacity.is_bounded:
                continue
            if capacity.is_full:
                self.first[place] = 0
                continue
            room = max((capacity.usable - capacity.used) * _NEARLY, _NOTHING)
            takes, gives = (
                [(stream, float(amounts[stream])) for stream in np.flatnonzero(amounts).tolist()]
                for amounts in (capacity.takes, capacity.gives)
            )
            self._watched.append(_Watched(place, room, takes, gives, np.ones(n, np.bool_)))

    def observe(self, moved: Sequence[NDArray[Any]]) -> None:
        """Look at the pools after a step.

        Parameters
        ----------
        moved : sequence of ndarray, shape (n,) each
            How many more there are of each demand.

        Raises
        ------
        None
            Every step can be looked at.
        """
        self._observed += 1
        most = [float(column.max()) for column in moved]
        least = self._least_served(moved)
        served: list[NDArray[Any]] | None = None
        for watched in self._watched:
            # two numbers a demand tell that a pool is full nowhere, as it is on nearly all days
            bound = sum(cost * most[stream] for stream, cost in watched.takes)
            if bound - sum(more * least[stream] for stream, more in watched.gives) < watched.room:
                continue
            if len(watched.takes) == 1 and not watched.gives:
                stream, cost = watched.takes[0]
                np.less(moved[stream], watched.room / cost, out=self._flag)
            else:
                served = served if served is not None else served_nodes(moved, self._kinds, self._more_nodes)
                taken = _weighted(moved, watched.takes) - _weighted(served, watched.gives)
                np.less(taken, watched.room, out=self._flag)
            self.first[watched.place][watched.alive & ~self._flag] = self._observed
            watched.alive &= self._flag
        if self._observed % _LOOK == 0:
            self._watched = [watched for watched in self._watched if watched.alive.any()]

    def _least_served(self, moved: Sequence[NDArray[Any]]) -> list[float]:
        """Give for each demand a number that no trajectory falls below, of nodes those that blocks allow."""
        given = {stream for watched in self._watched for stream, _ in watched.gives}
        least = [float(column.min()) if stream in given else 0.0 for stream, column in enumerate(moved)]
        # nodes of several parts are cut in proportion, which leaves at least none
        most = 0.0 if self._several and self._more_nodes < np.inf else self._more_nodes
        return [min(low, most) if kind == "nodes" else low for low, kind in zip(least, self._kinds, strict=True)]


def _weighted(moved: Sequence[NDArray[Any]], terms: list[tuple[int, float]]) -> Any:
    """Add up what several demands come to."""
    total: Any = 0.0
    for stream, weight in terms:
        column = moved[stream]
        kind = column.dtype.type if column.dtype.kind == "f" else float
        part = column if weight == 1 else column * kind(weight)
        total = part if isinstance(total, float) else total + part
    return total
