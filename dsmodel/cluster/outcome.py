"""What became of each row of a batch verb, and the decisions that need counting by node or by pool.

Promises the answer that one row at a time would give, without a loop over rows: a row is refused when what is left
after the granted rows before it is not enough, and refused rows take nothing.

What it does not know: pools. It counts; the caller allocates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput, Reason
from dsmodel.pools.arrivals import Arrivals

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

__all__ = ["Outcome", "grant_by_need", "grant_by_node", "grant_in_order", "rows_asked"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of each row of a batch.

    Parameters
    ----------
    ok : ndarray of bool, shape (n,)
        Whether the row was done.
    reason : ndarray of uint8, shape (n,)
        A `Reason` code; 0 exactly where ``ok``.
    first_row : int, default 0
        Row of the table where the first row that was kept has gone; the others follow in order.
    kept : ndarray of bool, shape (n,), optional
        Which rows are in the table afterwards; those that were done, if left out.

    Examples
    --------
    >>> Outcome(np.array([True, False, True]), np.array([0, 1, 0], np.uint8), first_row=7).rows.tolist()
    [7, -1, 8]
    """

    ok: NDArray[np.bool_]
    reason: NDArray[np.uint8]
    first_row: int = 0
    kept: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, reason: NDArray[np.uint8], *, first_row: int = 0, kept: NDArray[np.bool_] | None = None) -> Outcome:
        """Make the record from its reasons.

        Parameters
        ----------
        reason : ndarray of uint8, shape (n,)
            `Reason` codes.
        first_row : int, default 0
            Where the first row that was kept has gone.
        kept : ndarray of bool, shape (n,), optional
            Which rows are in the table afterwards.

        Returns
        -------
        Outcome
            With ``ok`` where the reason is OK.

        Raises
        ------
        None
            Every input of the declared types has an answer.
        """
        return cls(reason == Reason.OK, reason, first_row, kept)

    def __len__(self) -> int:
        """Return the number of rows asked for."""
        return len(self.ok)

    def __repr__(self) -> str:
        """Return the count of each reason."""
        counts = np.bincount(self.reason, minlength=1) if len(self) else np.zeros(0, np.intp)
        words = ", ".join(f"{count:,} {Reason(code).name}" for code, count in enumerate(counts) if count)
        return f"Outcome({words or 'no rows'})"

    @property
    def granted(self) -> int:
        """Number of rows that were done."""
        return int(np.count_nonzero(self.ok))

    @property
    def rows(self) -> NDArray[np.int64]:
        """Row of the table each row has gone to; -1 for one that is not there."""
        kept = self.ok if self.kept is None else self.kept
        place = np.cumsum(kept, dtype=np.int64) + (self.first_row - 1)
        place[~kept] = -1
        return place

    def to_frame(self) -> pd.DataFrame:
        """Return the record as a frame.

        Returns
        -------
        pandas.DataFrame
            ``ok``, ``reason`` as a word, ``row``.

        Raises
        ------
        None
            Every record has a frame.
        """
        reasons = pd.Categorical.from_codes(self.reason, categories=pd.Index([reason.name for reason in Reason]))
        return pd.DataFrame({"ok": self.ok, "reason": reasons, "row": self.rows})


def rows_asked(asked: NDArray[Any], n: int, table: str) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Turn rows or a mask into different rows that exist, and a reason for each one asked for.

    Parameters
    ----------
    asked : ndarray of int or bool
        Rows, or a mask of the whole table.
    n : int
        Rows of the table.
    table : str
        Its name, for messages.

    Returns
    -------
    rows : ndarray of intp
        Those that exist, ascending, each once.
    reason : ndarray of uint8
        For each one asked for: OK, or NOT_FOUND for rows that are not there and for the second mention of one.

    Raises
    ------
    InvalidInput
        If a mask has another length than the table, or the values are neither rows nor a mask.

    Examples
    --------
    >>> [values.tolist() for values in rows_asked(np.array([2, 0, 2, 9]), 3, "pods")]
    [[0, 2], [0, 0, 8, 8]]
    """
    if asked.dtype == np.bool_:
        if asked.shape != (n,):
            raise InvalidInput(f"{table}: a mask needs {n} booleans, got shape {asked.shape}")
        rows = np.flatnonzero(asked)
        return rows, np.zeros(len(rows), np.uint8)
    if asked.ndim != 1 or (asked.size and asked.dtype.kind not in "iu"):
        raise InvalidInput(f"{table}: expected rows or a mask, got {asked.dtype} of shape {asked.shape}")
    rows = asked.astype(np.intp)
    reason = np.full(len(rows), Reason.NOT_FOUND, np.uint8)
    inside = np.flatnonzero((rows >= 0) & (rows < n))
    different, first = np.unique(rows[inside], return_index=True)
    reason[inside[first]] = Reason.OK
    return different, reason


def grant_by_node(
    nodes: NDArray[np.integer], *, needs: NDArray[np.bool_] | None, room: NDArray[np.int64], free: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Decide which pods of a batch their nodes can take, in order of arrival.

    Parameters
    ----------
    nodes : ndarray of integers, shape (n,)
        Row of each pod's node.
    needs : ndarray of bool, shape (n,), or None
        Whether the pod needs addresses; None where all do. The others are on the host network.
    room : ndarray of int64, shape (nodes,)
        Pods the kubelet still admits.
    free : ndarray of int64, shape (nodes,)
        Pods for which every family still has an address; -1 for a node without podCIDR.

    Returns
    -------
    ndarray of uint8, shape (n,)
        OK, POD_LIMIT, POOL_FULL or CIDR_NOT_AVAILABLE.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> room, free = np.array([3, 9]), np.array([5, 1])
    >>> grant_by_node(np.array([0, 0, 1, 1, 0, 0]), needs=None, room=room, free=free).tolist()
    [0, 0, 0, 1, 0, 10]
    """
    reason = np.zeros(len(nodes), np.uint8)
    counts = np.bincount(nodes, minlength=len(room))
    hungry = counts if needs is None else np.bincount(nodes[needs], minlength=len(room))
    tight = (counts > room) | (hungry > free)
    if not (tight & (counts > 0)).any():
        return reason
    rows = np.flatnonzero(tight[nodes])
    place, wants = nodes[rows], np.ones(len(rows), np.bool_) if needs is None else needs[rows]
    fed = np.ones(len(rows), np.bool_)
    fed[wants] = Arrivals.of(place[wants]).ranks < free[place[wants]]
    ahead = np.empty(len(rows), np.int64)  # granted rows before this one, were there no limit of pods
    ahead[fed] = Arrivals.of(place[fed]).ranks
    if not fed.all():
        ahead[~fed] = _granted_before(place, fed)[~fed]
    answer = np.where(free[place] < 0, Reason.CIDR_NOT_AVAILABLE, Reason.POOL_FULL).astype(np.uint8)
    answer[fed] = Reason.OK
    answer[ahead >= room[place]] = Reason.POD_LIMIT
    reason[rows] = answer
    return reason


def _granted_before(groups: NDArray[np.integer], fed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count, for each row, the fed rows of its group before it."""
    order = np.argsort(groups, kind="stable")
    before: NDArray[np.int64] = np.cumsum(fed[order], dtype=np.int64) - fed[order]
    ordered = groups[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    before -= np.repeat(before[starts], np.diff(starts, append=len(ordered)))
    counts = np.empty(len(groups), np.int64)
    counts[order] = before
    return counts


def grant_by_need(needs: NDArray[np.int64], free: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Decide which rows of a batch common pools can serve, in order, each row all or nothing.

    Parameters
    ----------
    needs : ndarray of int64, shape (n, pools)
        How much each row takes from each pool.
    free : ndarray of int64, shape (pools,)
        What each pool has.

    Returns
    -------
    ndarray of bool, shape (n,)
        Whether the row is served.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> grant_by_need(np.array([[1, 1], [1, 0], [1, 1], [0, 1]]), np.array([2, 9])).tolist()
    [True, True, False, True]
    """
    granted: NDArray[np.bool_] = grant_in_order(needs, free) == 0
    return granted


def grant_in_order(
    needs: NDArray[np.int64], free: NDArray[np.int64], claims: NDArray[np.int64] | None = None
) -> NDArray[np.int8]:
    """Decide which rows of a batch are served, in order, where rows also name things that only one may have.

    Parameters
    ----------
    needs : ndarray of int64, shape (n, pools)
        How much each row takes from each pool.
    free : ndarray of int64, shape (pools,)
        What each pool has.
    claims : ndarray of int64, shape (n, k), optional
        Numbers, from 0 on, of the things each row wants for itself, in any column; -1 for none. A row never names one
        thing twice.

    Returns
    -------
    ndarray of int8, shape (n,)
        0 where the row is served, -1 where a pool has too little, else 1 + the column of a claim that a served row
        before has.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> needs = np.array([[2], [1], [1], [3], [1]])
    >>> grant_in_order(needs, np.array([5]), np.array([[7], [7], [-1], [3], [3]])).tolist()
    [0, 1, 0, -1, 0]
    """
    short = np.zeros(len(needs), np.bool_)
    while True:
        # each round settles one amount of one pool, so there are as many rounds as there are different amounts
        beaten = np.zeros(len(needs), np.int8) if claims is None else _beaten(claims, ~short)
        granted = ~short & (beaten == 0)
        taken = np.cumsum(np.where(granted[:, None], needs, 0), axis=0)
        over = granted & (taken > free).any(axis=1)
        if not over.any():
            return np.where(short, np.int8(-1), beaten)
        row = int(over.argmax())
        left = free - (taken[row] - needs[row])
        lacking = needs[row] > left
        later = np.arange(len(needs)) >= row
        short |= later & (needs[:, lacking] > left[lacking]).any(axis=1)


def _beaten(claims: NDArray[np.int64], alive: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Find the rows that want what an earlier row has; an earlier row that goes without leaves its things to others."""
    answer = np.zeros(len(claims), np.int8)
    numbers = int(claims.max(initial=-1)) + 1
    wanted = claims[alive]
    counts = np.append(np.bincount(wanted[wanted >= 0], minlength=numbers), 0)  # the last one is for no claim
    left = np.flatnonzero(alive & (counts[claims] > 1).any(axis=1))
    while len(left):
        mine = claims[left]
        first = np.full(numbers + 1, len(left))
        places = np.repeat(np.arange(len(left)), mine.shape[1])
        first[mine.ravel()[::-1]] = places[::-1]  # of equal numbers the last written stays, which is the first row
        wins = ((first[mine] == np.arange(len(left))[:, None]) | (mine < 0)).all(axis=1)
        held = np.zeros(numbers + 1, np.bool_)
        held[mine[wins]] = True
        held[-1] = False
        lost = held[mine] & ~wins[:, None]
        loses = lost.any(axis=1)
        answer[left[loses]] = lost[loses].argmax(axis=1) + 1
        left = left[~wins & ~loses]
    return answer
