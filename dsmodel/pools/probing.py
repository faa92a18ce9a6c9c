"""Linear probing: what "random start, then the next free one" gives for a whole batch.

Kubernetes chooses a free service address, and a free node port, by a random start and a scan upwards with wrap. That is
a hash table with linear probing, so *which* slots a batch takes does not depend on the order of the requests and
follows from one sort and one running maximum (`occupied`). *Who* got which slot depends on the order (`sequence`).

Both work on ranks: slot numbers among the free slots only, 0 to ``free - 1``, where every rank is free. A start on a
used slot has the rank of the next free one; past the last one the rank is ``free`` and means the first.

It does not know bitmaps, bands or generators of random numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["first_rows", "occupied", "sequence"]


def occupied(ranks: NDArray[np.uint64], free: int) -> NDArray[np.uint64]:
    """Return the set of ranks that linear probing takes.

    Parameters
    ----------
    ranks : ndarray of uint64, shape (n,)
        Starts, ascending, each at most ``free``; n at most ``free``.
    free : int
        Number of free slots, at most 2**64.

    Returns
    -------
    ndarray of uint64, shape (n,)
        The ranks taken, ascending.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> import numpy as np
    >>> occupied(np.array([1, 1, 3, 3], dtype=np.uint64), 4)
    array([0, 1, 2, 3], dtype=uint64)
    """
    n = len(ranks)
    if n == 0:
        return ranks
    if n == free:
        return np.arange(n, dtype=np.uint64)
    step = np.arange(n, dtype=np.uint64)
    # row i lands on max over j <= i of (rank[j] - j) + i; rank[0] >= 0, so a negative difference never wins
    lead = np.maximum.accumulate(np.maximum(ranks, step) - step)
    taken = lead + step
    inside = taken >= lead  # else it passed 2**64
    if free < 1 << 64:
        inside &= taken < np.uint64(free)
    kept = taken if inside.all() else taken[inside]
    return kept if len(kept) == n else _merge_lowest(kept, n - len(kept))


def _lowest_missing(kept: NDArray[np.uint64], n: int) -> NDArray[np.uint64]:
    """Return the lowest ``n`` ranks that are not in ``kept`` (ascending)."""
    gap = kept - np.arange(len(kept), dtype=np.uint64)  # ranks free below each kept one
    missing = np.arange(n, dtype=np.uint64)
    return missing + np.searchsorted(gap, missing, side="right").astype(np.uint64)


def _merge_lowest(kept: NDArray[np.uint64], n: int) -> NDArray[np.uint64]:
    """Return ``kept`` and the lowest ``n`` ranks that are not in it, ascending."""
    return np.sort(np.concatenate([_lowest_missing(kept, n), kept]))


def sequence(ranks: NDArray[np.uint64], free: int) -> NDArray[np.uint64]:
    """Return which rank each request gets when they come one after the other.

    Parameters
    ----------
    ranks : ndarray of uint64, shape (n,)
        Starts in order of arrival, each at most ``free``; n at most ``free``.
    free : int
        Number of free slots, at most 2**64.

    Returns
    -------
    ndarray of uint64, shape (n,)
        Row by row the rank taken.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> import numpy as np
    >>> sequence(np.array([3, 1, 3, 1], dtype=np.uint64), 4)
    array([3, 1, 0, 2], dtype=uint64)
    """
    out = np.empty(len(ranks), dtype=np.uint64)
    follow: dict[int, int] = {}
    for row, start in enumerate(ranks.tolist()):
        rank = start if start < free else 0
        path = []
        while rank in follow:
            path.append(rank)
            rank = follow[rank]
        after = rank + 1 if rank + 1 < free else 0
        follow[rank] = after
        for passed in path:
            follow[passed] = after
        out[row] = rank
    return out


def first_rows(slots: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which rows are the first of their value.

    Parameters
    ----------
    slots : ndarray of uint64, shape (rows,)
        Any values.

    Returns
    -------
    ndarray of bool, shape (rows,)
        True at the first row of each value.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> import numpy as np
    >>> first_rows(np.array([7, 5, 7], dtype=np.uint64))
    array([ True,  True, False])
    """
    n = len(slots)
    first = np.ones(n, dtype=bool)
    if n < 2:
        return first
    if bool((slots[1:] > slots[:-1]).all()):
        return first
    low = slots.min()
    if (int(slots.max()) - int(low)).bit_length() + n.bit_length() <= 64:
        width = np.uint64(n.bit_length())
        keys = ((slots - low) << width) | np.arange(n, dtype=np.uint64)
        keys.sort()
        again = (keys[1:] >> width) == (keys[:-1] >> width)
        first[(keys[1:][again] & ((np.uint64(1) << width) - np.uint64(1))).astype(np.intp)] = False
        return first
    order = np.argsort(slots, kind="stable")
    ordered = slots[order]
    first[order[1:][ordered[1:] == ordered[:-1]]] = False
    return first
