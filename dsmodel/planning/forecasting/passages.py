"""On which step each pool is full for the first time, on many trajectories at once.

Promises a pool is full when what demand takes reaches what there is: nothing is left for one more. Each pool is asked
for itself; what demand finds no room for stays demand. Nodes add pod capacity only as far as node blocks allow.

What it does not know: fragmentation. Any free address serves any pod.
"""

from __future__ import annotations

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
    >>> passage.first.tolist()
    [[4, 2]]
    """

    def __init__(self, capacities: Sequence[Capacity], kinds: Sequence[str], more_nodes: float, *, n: int) -> None:
        self._kinds, self._more_nodes = kinds, more_nodes
        self.first: NDArray[np.int32] = np.zeros((len(capacities), n), np.int32)
        self._observed = 0
        self._watched: list[tuple[int, float, list[tuple[int, float]], list[tuple[int, float]]]] = []
        self._alive: dict[int, NDArray[np.bool_]] = {}
        self._flag = np.empty(n, np.bool_)
        for place, capacity in enumerate(capacities):
            room = capacity.usable - capacity.used if capacity.usable is not None else np.inf
            if capacity.is_bounded and not capacity.is_full:
                takes = [(stream, float(capacity.takes[stream])) for stream in np.flatnonzero(capacity.takes).tolist()]
                gives = [(stream, float(capacity.gives[stream])) for stream in np.flatnonzero(capacity.gives).tolist()]
                self._watched.append((place, max(room * _NEARLY, _NOTHING), takes, gives))
                self._alive[place] = np.ones(n, np.bool_)
        self.first[[place for place, *_ in self._watched]] = 1  # not full today
        self.first[[place for place, capacity in enumerate(capacities) if not capacity.is_bounded]] = np.iinfo(
            np.int32
        ).max

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
        if any(gives for *_, gives in self._watched):
            served = served_nodes(moved, self._kinds, self._more_nodes)
        for place, room, takes, gives in self._watched:
            alive = self._alive[place]
            if len(takes) == 1 and not gives:
                stream, cost = takes[0]
                np.less(moved[stream], room / cost, out=self._flag)
            else:
                taken = _weighted(moved, takes)
                if gives:
                    taken = taken - _weighted(served, gives)
                np.less(taken, room, out=self._flag)
            alive &= self._flag
            self.first[place] += alive
        if self._observed % _LOOK == 0:
            self._watched = [watched for watched in self._watched if self._alive[watched[0]].any()]


def _weighted(moved: Sequence[NDArray[Any]], terms: list[tuple[int, float]]) -> Any:
    """Add up what several demands come to."""
    total: Any = 0.0
    for stream, weight in terms:
        column = moved[stream]
        kind = column.dtype.type if column.dtype.kind == "f" else float
        part = column if weight == 1 else column * kind(weight)
        total = part if isinstance(total, float) else total + part
    return total
