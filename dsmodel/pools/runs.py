"""Occupancy of many wide rows as runs of used ordinals, for nodes with an IPv6 /64 each.

A slot is the key ``row << 32 | ordinal``. What is in use is the sorted array of keys at which "free" turns into
"in use" and back, so a row filled from one end costs 16 bytes whatever it holds, and setting or clearing slots is one
symmetric difference.

It does not know cursors or what arrived when: `dsmodel.pools.grids` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RunRows"]

_SHIFT = np.uint64(32)
_ORDINAL = np.uint64(0xFFFF_FFFF)
_ONE = np.uint64(1)


class RunRows:
    """Which slots of ``rows`` rows are in use, each row with ordinals ``low`` to ``high - 1``.

    Parameters
    ----------
    rows : int
        Number of rows, below 2**31.
    low, high : int
        The ordinals of a row that may be used; ``high`` at most 2**32.
    reserved : ndarray of uint32
        Ordinals of every row, ascending and inside, that are in use for ever.

    Examples
    --------
    >>> import numpy as np
    >>> rows = RunRows(2, low=1, high=2**32, reserved=np.array([1], dtype=np.uint32))
    >>> rows.has(np.array([0, 0]), np.array([1, 2]))
    array([ True, False])
    """

    __slots__ = ("_edges", "high", "low", "rows")

    def __init__(self, rows: int, *, low: int, high: int, reserved: NDArray[np.uint32]) -> None:
        self.rows = rows
        self.low = low
        self.high = high
        self._edges = np.empty(0, dtype=np.uint64)  # never written in place: copies share it
        if len(reserved):
            base = np.arange(rows, dtype=np.uint64)[:, None] << _SHIFT
            self._flip((base + reserved.astype(np.uint64)[None, :]).ravel())

    @property
    def nbytes(self) -> int:
        """Bytes of state."""
        return self._edges.nbytes

    def add_rows(self, n: int, reserved: NDArray[np.uint32]) -> None:
        """Append ``n`` rows with nothing in use but what is reserved."""
        base = np.arange(self.rows, self.rows + n, dtype=np.uint64)[:, None] << _SHIFT
        self.rows += n
        self._flip((base + reserved.astype(np.uint64)[None, :]).ravel())

    def has(self, rows: NDArray[np.intp], ordinals: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Tell which slots are in use."""
        keys = _keys(rows, ordinals)
        return (np.searchsorted(self._edges, keys, side="right") & 1).astype(bool)

    def flip(self, rows: NDArray[np.intp], ordinals: NDArray[np.integer]) -> None:
        """Turn distinct slots over: free ones into used ones and back."""
        self._flip(np.sort(_keys(rows, ordinals)))

    def used(self) -> NDArray[np.int64]:
        """Return the number of used slots of each row, what is reserved included."""
        bounds = np.arange(self.rows + 1, dtype=np.uint64) << _SHIFT
        below = self._used_below(bounds).view(np.int64)
        return below[1:] - below[:-1]

    def free_of(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the number of free slots of some rows."""
        used = self._used_below(_keys(rows, self.high)) - self._used_below(_keys(rows, self.low))
        return (np.uint64(self.high - self.low) - used).astype(np.int64)

    def slots(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """Return position in ``rows`` and ordinal of every used slot of ascending distinct rows, reserved included."""
        starts, ends = self._edges[0::2], self._edges[1::2]
        lengths = (ends - starts).astype(np.intp)
        inner = np.arange(int(lengths.sum()), dtype=np.uint64)
        inner -= np.repeat(np.cumsum(lengths) - lengths, lengths).astype(np.uint64)
        keys = np.repeat(starts, lengths) + inner
        row = (keys >> _SHIFT).astype(np.intp)
        at = np.minimum(np.searchsorted(rows, row), max(len(rows) - 1, 0))
        inside = rows[at] == row if len(rows) else np.zeros(len(row), dtype=bool)
        return at[inside], (keys[inside] & _ORDINAL).astype(np.uint32)

    def take_next(
        self, rows: NDArray[np.intp], counts: NDArray[np.int64], cursors: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.uint32]]:
        """Take the next ``counts`` free slots of ascending distinct rows from their cursors on, with wrap.

        Returns how many each row granted; which rows granted straight on from the cursor; and for the others their
        ordinals in order of grant, row after row.
        """
        ends = np.minimum(cursors + counts, self.high)
        begin, end = _keys(rows, cursors), _keys(rows, ends)
        straight = (self._used_below(begin) == self._used_below(end)) & (cursors + counts <= self.high)
        bent = np.flatnonzero(~straight)
        if not len(bent):
            self._turn(begin, end)
            return counts, straight, np.empty(0, dtype=np.uint32)
        granted = counts.copy()
        granted[bent], keys = self._bent_keys(rows[bent], counts[bent], cursors=cursors[bent])
        self._turn(begin[straight], end[straight])
        self._flip(np.sort(keys))
        return granted, straight, (keys & _ORDINAL).astype(np.uint32)

    def _bent_keys(
        self, rows: NDArray[np.intp], counts: NDArray[np.int64], *, cursors: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Return how many each row grants and the keys, in order of grant, row after row."""
        low, at, high = (self._free_below(_keys(rows, place)) for place in (self.low, cursors, self.high))
        granted = np.minimum(counts, (high - low).view(np.int64))
        ahead = (high - at).view(np.int64)  # free slots before the wrap
        ends = np.cumsum(granted)
        step = np.arange(int(ends[-1]), dtype=np.int64) - np.repeat(ends - granted, granted)
        wrapped = step >= np.repeat(ahead, granted)
        first = np.where(wrapped, np.repeat(low.view(np.int64) - ahead, granted), np.repeat(at.view(np.int64), granted))
        return granted, self._select((first + step).view(np.uint64))

    def copy(self) -> Self:
        """Return independent rows."""
        twin = object.__new__(type(self))
        twin.rows, twin.low, twin.high, twin._edges = self.rows, self.low, self.high, self._edges
        return twin

    def to_bytes(self) -> bytes:
        """Return the edges, little-endian."""
        return self._edges.astype("<u8").tobytes()

    def load_bytes(self, data: bytes) -> None:
        """Take the state `to_bytes` gave."""
        self._edges = np.frombuffer(data, dtype="<u8").astype(np.uint64)

    def _flip(self, keys: NDArray[np.uint64]) -> None:
        """Turn ascending distinct slots over."""
        if not len(keys):
            return
        opens = np.ones(len(keys), dtype=bool)
        np.not_equal(keys[1:], keys[:-1] + _ONE, out=opens[1:])
        closes = np.append(opens[1:], True)
        self._turn(keys[opens], keys[closes] + _ONE)

    def _turn(self, starts: NDArray[np.uint64], ends: NDArray[np.uint64]) -> None:
        """Turn disjoint runs over, each from a start up to its end; runs may touch."""
        edges = np.concatenate([self._edges, starts, ends])
        edges.sort()
        twice = edges[1:] == edges[:-1]
        keep = np.ones(len(edges), dtype=bool)
        keep[1:] &= ~twice
        keep[:-1] &= ~twice
        self._edges = edges[keep]

    def _used_below(self, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return how many used slots lie below each key."""
        starts, ends = self._edges[0::2], self._edges[1::2]
        total = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(ends - starts)])
        at = np.searchsorted(starts, keys)
        last = np.concatenate([np.zeros(1, dtype=np.uint64), ends])[at]
        below: NDArray[np.uint64] = total[at] - (np.maximum(last, keys) - keys)
        return below

    def _free_below(self, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return how many free keys lie below each key."""
        return keys - self._used_below(keys)

    def _select(self, ranks: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the free keys of the given ranks."""
        starts, ends = self._edges[0::2], self._edges[1::2]
        total = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(ends - starts)])
        keys: NDArray[np.uint64] = ranks + total[np.searchsorted(starts - total[:-1], ranks, side="right")]
        return keys


def _keys(rows: NDArray[np.intp], ordinals: NDArray[np.integer] | int) -> NDArray[np.uint64]:
    """Return the keys of slots."""
    keys: NDArray[np.uint64] = (rows.astype(np.uint64) << _SHIFT) + np.asarray(ordinals).astype(np.uint64)
    return keys
