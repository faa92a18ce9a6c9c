"""Occupancy of many narrow rows as bits of one 2-D word array.

Promises the methods and answers of `dsmodel.pools.runs.RunRows` for rows of at most some ten thousand ordinals: bit
``o & 63`` of word ``o >> 6`` is ordinal ``o``; what a row may not use is in use for ever.

It does not know cursors or what arrived when: `dsmodel.pools.grids` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WordRows"]

_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_ONE = np.uint64(1)
_CHUNK_BITS = 1 << 21
"""Bits unpacked at a time, one byte each."""


class WordRows:
    """Which slots of ``rows`` rows are in use, each row with ordinals ``low`` to ``high - 1``.

    Parameters
    ----------
    rows : int
        Number of rows.
    low, high : int
        The ordinals of a row that may be used.
    reserved : ndarray of uint32
        Ordinals of every row, ascending and inside, that are in use for ever.

    Examples
    --------
    >>> import numpy as np
    >>> rows = WordRows(2, low=1, high=255, reserved=np.array([1], dtype=np.uint32))
    >>> rows.take_next(np.array([0, 1]), np.array([1, 2]), np.array([1, 254]))
    (array([1, 2]), array([False, False]), array([  2, 254,   2], dtype=uint32))
    """

    __slots__ = ("_blank", "_words", "high", "low")

    def __init__(self, rows: int, *, low: int, high: int, reserved: NDArray[np.uint32]) -> None:
        self.low = low
        self.high = high
        bits = np.ones(((max(high, 1) + 63) >> 6) * 64, dtype=bool)
        bits[low:high] = False
        bits[reserved] = True
        self._blank = np.packbits(bits, bitorder="little").view(np.uint64)
        self._words = np.tile(self._blank, (rows, 1))

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self._words)

    @property
    def nbytes(self) -> int:
        """Bytes of state."""
        return self._words.nbytes

    def add_rows(self, n: int, reserved: NDArray[np.uint32]) -> None:
        """Append ``n`` rows with nothing in use but what is reserved."""
        del reserved  # part of the blank row
        self._words = np.concatenate([self._words, np.tile(self._blank, (n, 1))])

    def has(self, rows: NDArray[np.intp], ordinals: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Tell which slots are in use."""
        ordinal = ordinals.astype(np.uint64)
        words = self._words.ravel()[rows * self._words.shape[1] + (ordinal >> np.uint64(6)).astype(np.intp)]
        used: NDArray[np.bool_] = ((words >> (ordinal & np.uint64(63))) & _ONE).astype(bool)
        return used

    def flip(self, rows: NDArray[np.intp], ordinals: NDArray[np.integer]) -> None:
        """Turn distinct slots over: free ones into used ones and back."""
        ordinal = ordinals.astype(np.uint64)
        at = rows * self._words.shape[1] + (ordinal >> np.uint64(6)).astype(np.intp)
        np.bitwise_xor.at(self._words.reshape(-1), at, _ONE << (ordinal & np.uint64(63)))

    def used(self) -> NDArray[np.int64]:
        """Return the number of used slots of each row, what is reserved included."""
        outside = self._words.shape[1] * 64 - (self.high - self.low)
        used: NDArray[np.int64] = np.bitwise_count(self._words).sum(axis=1, dtype=np.int64) - outside
        return used

    def slots(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """Return position in ``rows`` and ordinal of every used slot of ascending distinct rows, reserved included."""
        at, ordinals = [], []
        for start, words in self._chunks(rows):
            row, ordinal = np.divmod(_positions(words), 64 * words.shape[1])
            inside = (ordinal >= self.low) & (ordinal < self.high)
            at.append(row[inside] + start)
            ordinals.append(ordinal[inside].astype(np.uint32))
        return np.concatenate([np.empty(0, dtype=np.int64), *at]), np.concatenate(
            [np.empty(0, dtype=np.uint32), *ordinals]
        )

    def take_next(
        self, rows: NDArray[np.intp], counts: NDArray[np.int64], cursors: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.uint32]]:
        """Take the next ``counts`` free slots of ascending distinct rows from their cursors on, with wrap.

        Returns how many each row granted; which rows granted straight on from the cursor; and for the others their
        ordinals in order of grant, row after row.
        """
        words = self._words[rows]
        run = _between(cursors, np.minimum(cursors + counts, self.high), words.shape[1])
        straight = (cursors + counts <= self.high) & ~(words & run).any(axis=1)
        if straight.all():
            words |= run
            self._words[rows] = words
            return counts, straight, np.empty(0, dtype=np.uint32)
        self._words[rows[straight]] |= run[straight]
        bent = np.flatnonzero(~straight)
        rest = counts[bent]
        pieces = _pieces(len(bent), words.shape[1])
        taken = [self._take_scattered(rows[bent[at]], rest[at], cursors=cursors[bent[at]]) for at in pieces]
        granted = counts.copy()
        granted[bent] = rest
        return granted, straight, np.concatenate(taken)

    def _take_scattered(
        self, rows: NDArray[np.intp], granted: NDArray[np.int64], *, cursors: NDArray[np.int64]
    ) -> NDArray[np.uint32]:
        """Take from rows whose next slots are not all free: number the free slots, then pick by number.

        ``granted`` comes as the counts asked for and is cut to what each row has.
        """
        words = self._words[rows]
        width = words.shape[1]
        free = np.bitwise_count(~words).sum(axis=1, dtype=np.int64)
        np.minimum(granted, free, out=granted)
        before = np.bitwise_count(~words & _between(np.zeros_like(cursors), cursors, width)).sum(axis=1, dtype=np.int64)
        ends = np.cumsum(granted)
        step = np.arange(ends[-1], dtype=np.int64) - np.repeat(ends - granted - before, granted)
        each = np.repeat(free, granted)
        step -= np.where(step >= each, each, 0)
        step += np.repeat(np.cumsum(free) - free, granted)
        position = _positions(~words)[step]
        np.bitwise_or.at(words.reshape(-1), position >> 6, _ONE << (position & 63).astype(np.uint64))
        self._words[rows] = words
        position -= np.repeat(np.arange(len(rows)) * (64 * width), granted)
        ordinals: NDArray[np.uint32] = position.astype(np.uint32)
        return ordinals

    def copy(self) -> Self:
        """Return independent rows."""
        twin = object.__new__(type(self))
        twin.low, twin.high, twin._blank, twin._words = self.low, self.high, self._blank, self._words.copy()
        return twin

    def to_bytes(self) -> bytes:
        """Return the words, little-endian."""
        return self._words.astype("<u8").tobytes()

    def load_bytes(self, data: bytes) -> None:
        """Take the state `to_bytes` gave."""
        if len(data) != self._words.nbytes:
            raise InvalidInput(f"a snapshot of {len(data)} bytes does not describe {self._words.nbytes} bytes of rows")
        self._words = np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(self._words.shape)

    def _chunks(self, rows: NDArray[np.intp]) -> list[tuple[int, NDArray[np.uint64]]]:
        """Return (position of the first row, words) of the rows in pieces that unpack to little memory."""
        return [(piece.start, self._words[rows[piece]]) for piece in _pieces(len(rows), self._words.shape[1])]


def _pieces(rows: int, width: int) -> list[slice]:
    """Return slices of the rows that unpack to little memory each."""
    step = max(1, _CHUNK_BITS // (64 * width))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def _positions(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the positions of the set bits over all words, ascending."""
    return np.flatnonzero(np.unpackbits(words.reshape(-1).view(np.uint8), bitorder="little").view(bool))


def _between(start: NDArray[np.int64], stop: NDArray[np.int64], width: int) -> NDArray[np.uint64]:
    """Return words of the rows with the bits in ``[start, stop)`` set."""
    base = np.arange(width, dtype=np.int64) * 64
    return _from(start[:, None] - base) & ~_from(stop[:, None] - base)


def _from(bit: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return words with all bits from ``bit`` on set; below 0 all, from 64 none."""
    place = np.clip(bit, 0, 64).astype(np.uint64)
    return np.where(place < 64, _ALL << (place & np.uint64(63)), np.uint64(0))
