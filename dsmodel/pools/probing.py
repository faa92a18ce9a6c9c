"""Linear probing: what "random start, then the next free one" gives for a whole batch.

Kubernetes chooses a free service address, and a free node port, by a random start and a scan upwards with wrap. That is
a hash table with linear probing, so *which* slots a batch takes does not depend on the order of the requests and
follows from one sort and one running maximum (`occupied`). *Who* got which slot depends on the order (`sequence`).

Both work on ranks: slot numbers among the free slots only, 0 to ``free - 1``, where every rank is free. A start on a
used slot has the rank of the next free one; past the last one the rank is ``free`` and means the first.

It does not know bitmaps, bands or generators of random numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["distinct", "first_rows", "occupied", "sequence", "served"]

_SMALL = 4096
_FEW = 64
_PATIENCE = 12
_PAGE_BITS = 12
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFF_FFFF)


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


def served(free: NDArray[np.bool_], starts: NDArray[np.uint8], waiting: int) -> tuple[NDArray[np.bool_], int]:
    """Return which slots of a stretch linear probing takes, from the number of starts at each slot.

    The requests at a slot are a queue; a free slot serves one of them, the others move on. The slots are laid out 64
    to a column, so that one vector operation moves all columns one slot on: once to learn what each column adds to the
    queue, once more, with the queue that enters each, to serve.

    Parameters
    ----------
    free : ndarray of bool, shape (slots,)
        Which slots are free; a multiple of 64.
    starts : ndarray of uint8, shape (slots,)
        Number of starts at each.
    waiting : int
        Requests that come from below.

    Returns
    -------
    tuple of (bool[slots], int)
        Which slots are taken, and how many requests move on past the last.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> import numpy as np
    >>> free = np.ones(64, dtype=bool)
    >>> starts = np.zeros(64, dtype=np.uint8)
    >>> starts[[3, 62]] = 2, 5
    >>> taken, waiting = served(free, starts, 1)
    >>> np.flatnonzero(taken), waiting
    (array([ 0,  3,  4, 62, 63]), 3)
    """
    columns = len(free) >> 6
    change = _turned(np.subtract(starts, free.view(np.uint8), dtype=np.int16).reshape(columns, 64))
    total, none = change[0].copy(), np.zeros(columns, dtype=np.int16)
    low = np.minimum(total, none)
    for row in change[1:]:
        np.add(total, row, out=total)
        np.minimum(low, total, out=low)
    # a column sends on what enters less what it serves, and never less than what starts in it after its low
    reach = np.cumsum(total, dtype=np.int64)
    least = total - low.astype(np.int64) - reach
    queue = np.maximum.accumulate(np.concatenate([[waiting], least])) + np.append(0, reach)
    entering = np.minimum(queue[:-1], 64).astype(np.int16)  # a column serves 64 at most
    idle = np.empty((64, columns), dtype=bool)
    for row, unserved in zip(change, idle, strict=True):
        np.add(entering, row, out=entering)
        np.less(entering, none, out=unserved)
        np.maximum(entering, none, out=entering)
    return free & ~_turned(idle).reshape(-1), int(queue[-1])


def _turned(matrix: NDArray[Any]) -> NDArray[Any]:
    """Return the transpose, copied in squares of 64 where they fit: three times faster than row by row."""
    rows, columns = matrix.shape
    if rows & 63 or columns & 63:
        return np.ascontiguousarray(matrix.T)
    out = np.empty((columns, rows), dtype=matrix.dtype)
    if rows == 64:
        out.reshape(columns >> 6, 64, 64)[...] = matrix.reshape(64, columns >> 6, 64).transpose(1, 2, 0)
    else:
        out.reshape(64, rows >> 6, 64)[...] = matrix.reshape(rows >> 6, 64, 64).transpose(2, 0, 1)
    return out


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
    n = len(ranks)
    if n == 0:
        return ranks
    if free > 4 * n:
        # only slots that end up in use matter: number those, and the last one is followed by the first
        taken = occupied(np.sort(ranks), free)
        start = np.searchsorted(taken, ranks)
        return taken[_parked(np.where(start < n, start, 0), n)]
    start = ranks.view(np.int64)
    return _parked(np.where(start < free, start, 0), free).view(np.uint64)


def _parked(starts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return the slot of a ring of ``size`` free slots that each arrival takes."""
    n = len(starts)
    if n < _SMALL or n * 10 > size * 9:
        return _parked_by_search(starts, size)
    return _parked_by_acceptance(starts, size)


def _parked_by_search(starts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Park one after the other: the fastest way for few arrivals, and where runs get as long as the ring.

    The ring is searched a page at a time and pages known to be full are skipped, so that a search looks at no more
    than two pages and one byte a page, some ten thousand bytes in a ring of ten million slots, however starts crowd.
    """
    bits = max(_PAGE_BITS, size.bit_length() >> 1)
    ring, full, rest = bytearray(size), bytearray((size >> bits) + 1), (1 << bits) - 1
    out = []
    for start in starts.tolist():
        slot = ring.find(0, start, (start | rest) + 1)
        if slot < 0:
            slot = _next_page(ring, full, start >> bits, bits)
        ring[slot] = 1
        out.append(slot)
    return np.array(out, dtype=np.int64)


def _next_page(ring: bytearray, full: bytearray, page: int, bits: int) -> int:
    """Return the first free slot after a page, with wrap, and mark the pages found full on the way."""
    while True:
        page = full.find(0, page + 1)
        if page < 0:
            page = full.find(0)
        slot = ring.find(0, page << bits, (page + 1) << bits)
        if slot >= 0:
            return slot
        full[page] = 1


def _parked_by_acceptance(starts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Park all at once: a slot keeps its earliest claimant, and who is sent away claims the next slot.

    Every arrival ranks slots from its start on, every slot ranks arrivals by time: one stable match exists, and both
    this and parking one after the other find it.
    """
    n = len(starts)
    owner = np.full(size, n, dtype=np.int32)
    arrivals = np.arange(n, dtype=np.int32)
    owner[starts[::-1]] = arrivals[::-1]  # of equal claims the last written stays: the earliest
    lost = np.flatnonzero(owner[starts] != arrivals)
    claims = (lost.astype(np.uint64) << _HALF) | _after(starts[lost], size)
    work = 0
    while len(claims) > _FEW:
        work += len(claims)
        if work > _PATIENCE * n:  # starts crowd together: runs are long, and a search skips them
            return _parked_by_search(starts, size)
        who, slot = (claims >> _HALF).astype(np.int32), (claims & _LOW).astype(np.int64)
        before = owner[slot]
        better = np.flatnonzero(who < before)[::-1]
        owner[slot[better]] = who[better]
        won = owner[slot] == who
        displaced = won & (before < n)
        lost = ~won
        again = np.concatenate([who[lost], before[displaced]]).astype(np.uint64)
        claims = (again << _HALF) | _after(np.concatenate([slot[lost], slot[displaced]]), size)
        claims.sort()
    _settle(owner, claims, n)
    out = np.empty(n, dtype=np.int64)
    held = np.flatnonzero(owner < n)
    out[owner[held]] = held
    return out


def _settle(owner: NDArray[np.int32], claims: NDArray[np.uint64], n: int) -> None:
    """Let the last few claims find their slots, each with the chain of arrivals it sends away."""
    slots = memoryview(owner.data)
    size = len(owner)
    for claim in claims.tolist():
        who, slot = claim >> 32, claim & 0xFFFF_FFFF
        while who < n:
            holder = slots[slot]
            if who < holder:
                slots[slot] = who
                who = holder
            slot = slot + 1 if slot + 1 < size else 0


def _after(slots: NDArray[np.int64], size: int) -> NDArray[np.uint64]:
    """Return the next slots of the ring."""
    following = slots + 1
    following[following == size] = 0
    return following.view(np.uint64)


def distinct(n: int, among: int, rng: np.random.Generator) -> NDArray[np.uint64]:
    """Return distinct numbers, every set equally likely.

    Parameters
    ----------
    n : int
        How many; at most ``among``.
    among : int
        The numbers are 0 to ``among - 1``; at most 2**64.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    ndarray of uint64, shape (n,)
        Ascending.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> import numpy as np
    >>> distinct(3, 3, np.random.default_rng(0))
    array([0, 1, 2], dtype=uint64)
    """
    if n * 4 > among:
        return np.sort(rng.permutation(among)[:n]).astype(np.uint64)
    chosen = np.empty(0, dtype=np.uint64)
    while len(chosen) < n:  # draws in order, repeats skipped: every set is as likely as any other
        more = rng.integers(0, among - 1, size=n - len(chosen), dtype=np.uint64, endpoint=True)
        drawn = np.concatenate([chosen, more])
        chosen = drawn[first_rows(drawn)]
    return np.sort(chosen)


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
    ordered = np.sort(slots)
    if bool((ordered[1:] > ordered[:-1]).all()):
        return first
    low = ordered[0]
    if (int(ordered[-1]) - int(low)).bit_length() + n.bit_length() <= 64:
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
