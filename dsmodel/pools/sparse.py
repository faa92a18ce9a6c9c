"""Sparse occupancy of up to 2**64 slots, for IPv6 ranges no bitmap can hold.

Everything below a *mark* is in use except the *holes*; everything from the mark on is free except the *islands*. Both
are sorted ``uint64`` arrays, so a pool filled from the bottom costs nothing per slot in use, whatever its size.

Same methods and same answers as `dsmodel.pools.bitmap.Bitmap`; it does not know bands, cursors or what a slot means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from dsmodel.errors import InvalidInput
from dsmodel.pools import probing

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SparseSet"]

_LARGEST_RUN = 1 << 27
"""Slots of one run away from the bottom that may be marked by range: 1 GiB of offsets."""


class SparseSet:
    """Which of ``size`` slots are in use.

    Parameters
    ----------
    size : int
        Number of slots, counted from 0, at most 2**64.

    Examples
    --------
    >>> slots = SparseSet(2**64)
    >>> slots.take_lowest(3, 0, 2**64)
    array([0, 1, 2], dtype=uint64)
    >>> slots.find(0, 2**64), slots.used
    (3, 3)
    """

    __slots__ = ("_holes", "_islands", "_mark", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._mark = 0
        self._holes = np.empty(0, dtype=np.uint64)
        self._islands = np.empty(0, dtype=np.uint64)

    @property
    def used(self) -> int:
        """Number of slots in use."""
        return self._mark - len(self._holes) + len(self._islands)

    # one slot at a time -----------------------------------------------------------------------------------------

    def find(self, start: int, stop: int) -> int:
        """Return the first free slot in ``[start, stop)``, or -1."""
        if start < self._mark:
            at = int(np.searchsorted(self._holes, np.uint64(start)))
            slot = int(self._holes[at]) if at < len(self._holes) else self._mark
        else:
            slot = start
        if slot >= self._mark and len(self._islands) and slot < 1 << 64:
            slot = self._select_one(self._rank_one(slot))
        return slot if slot < stop else -1

    def has_one(self, slot: int) -> bool:
        """Tell whether a slot is in use."""
        return _contains(self._holes if slot < self._mark else self._islands, slot) != (slot < self._mark)

    def take_first(self, start: int, stop: int) -> int:
        """Take the first free slot in ``[start, stop)`` and return it, or -1."""
        slot = self.find(start, stop)
        if slot >= 0:
            self.take_one(slot)
        return slot

    def take_stretch(self, start: int, stop: int, *, length: int) -> NDArray[np.uint64]:
        """Take the first ``length`` free slots in ``[start, stop)``, or as many as there are, ascending."""
        return self.take_lowest(length, start, stop)

    def take_one(self, slot: int) -> bool:
        """Take a slot; False when it was in use."""
        if self.has_one(slot):
            return False
        self._take_free(np.array([slot], dtype=np.uint64))
        return True

    def put_one(self, slot: int) -> bool:
        """Free a slot; False when it was free."""
        return bool(self.put(np.array([slot], dtype=np.uint64))[0])

    # named slots in bulk ----------------------------------------------------------------------------------------

    def has(self, slots: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Tell which slots are in use."""
        below = slots < self._mark
        used = below.copy()
        if len(self._holes):
            used &= ~_isin(slots, self._holes)
        if len(self._islands):
            used |= _isin(slots, self._islands)
        return used

    def take(self, slots: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Take slots in order, first row wins; tell which were granted."""
        granted = ~self.has(slots)
        granted &= probing.first_rows(slots)
        self._take_free(np.sort(slots[granted]))
        return granted

    def mark(self, slots: NDArray[np.uint64]) -> None:
        """Mark slots as in use, whether they were or not."""
        self.take(slots)

    def put(self, slots: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Free slots; tell which were in use, of equal rows the first."""
        was = self.has(slots)
        gone = np.sort(slots)
        if not was.all() or (gone[1:] == gone[:-1]).any():
            was &= probing.first_rows(slots)
            gone = np.sort(slots[was])
        cut = int(np.searchsorted(gone, np.uint64(self._mark))) if self._mark < 1 << 64 else len(gone)
        if cut < len(gone):
            self._islands = _without(self._islands, gone[cut:])
        if cut:
            self._holes = np.sort(np.concatenate([self._holes, gone[:cut]])) if len(self._holes) else gone[:cut]
            self._retract()
        return was

    def mark_range(self, start: int, stop: int) -> None:
        """Mark every slot in ``[start, stop)`` as in use."""
        if start <= self._mark:
            inside = (self._holes >= start) & (self._holes < stop)
            self._holes = self._holes[~inside]
            self._mark = max(self._mark, stop)
            self._islands = self._islands[self._islands >= self._mark]
            self._advance()
        elif stop - start > _LARGEST_RUN:
            raise InvalidInput(f"a run of {stop - start} slots above the used part is too long; occupy it in pieces")
        else:
            self.mark(np.arange(stop - start, dtype=np.uint64) + np.uint64(start))

    def put_range(self, start: int, stop: int) -> None:
        """Free every slot in ``[start, stop)``."""
        used = self._islands[(self._islands >= start) & (self._islands < stop)]
        top = min(stop, self._mark)
        if start < top and top == self._mark:
            self._islands = self._islands[self._islands >= stop]
            self._mark = start
            self._holes = self._holes[self._holes < start]
            self._retract()
        elif start < top:
            if top - start > _LARGEST_RUN:
                raise InvalidInput(f"a run of {top - start} slots inside the used part is too long; free it in pieces")
            self.put(np.arange(top - start, dtype=np.uint64) + np.uint64(start))
        elif len(used):
            self.put(used)

    def _take_free(self, slots: NDArray[np.uint64]) -> None:
        """Take slots that are free, distinct and ascending."""
        cut = int(np.searchsorted(slots, np.uint64(self._mark))) if self._mark < 1 << 64 else len(slots)
        if cut:
            self._holes = self._holes[cut:] if cut == len(self._holes) else _without(self._holes, slots[:cut])
        if cut < len(slots):
            above = slots[cut:]
            # never the array itself: it is the caller's to change
            self._islands = np.sort(np.concatenate([self._islands, above])) if len(self._islands) else above.copy()
            self._advance()

    def _advance(self) -> None:
        """Move the mark past islands that touch it."""
        islands = self._islands
        if not len(islands) or int(islands[0]) != self._mark:
            return
        step = islands - np.uint64(self._mark)
        gap = np.flatnonzero(step != np.arange(len(islands), dtype=np.uint64))
        count = int(gap[0]) if len(gap) else len(islands)
        self._mark += count
        self._islands = islands[count:].copy()

    def _retract(self) -> None:
        """Move the mark below holes that touch it."""
        holes = self._holes
        if not len(holes) or int(holes[-1]) != self._mark - 1:
            return
        depth = np.uint64(self._mark - 1) - holes[::-1]
        gap = np.flatnonzero(depth != np.arange(len(holes), dtype=np.uint64))
        count = int(gap[0]) if len(gap) else len(holes)
        self._mark -= count
        self._holes = holes[: len(holes) - count].copy()

    # slots of the set's choice ----------------------------------------------------------------------------------

    def count_free(self, start: int, stop: int) -> int:
        """Return the number of free slots in ``[start, stop)``."""
        return max(0, self._rank_one(stop) - self._rank_one(start)) if start < stop else 0

    def lowest(self, n: int, start: int, stop: int) -> NDArray[np.uint64]:
        """Return the lowest ``n`` free slots in ``[start, stop)``, ascending, and take none."""
        n = max(0, min(n, self.count_free(start, stop)))
        first = self._rank_one(start)
        if first + n <= len(self._holes):
            return self._holes[first : first + n].copy()
        return self._select(np.arange(n, dtype=np.uint64) + np.uint64(first))

    def take_lowest(self, n: int, start: int, stop: int) -> NDArray[np.uint64]:
        """Take the lowest ``n`` free slots in ``[start, stop)``, or as many as there are, ascending."""
        taken = self.lowest(n, start, stop)
        if not len(taken):
            return taken
        if self._rank_one(start) == 0:  # from the bottom: the mark jumps, nothing is merged
            last = int(taken[-1])
            if last < self._mark:
                self._holes = self._holes[len(taken) :]
            else:
                self._holes = self._holes[:0]
                self._mark = last + 1
                self._islands = self._islands[self._islands > np.uint64(last)]
                self._advance()
        else:
            self._take_free(taken)
        return taken

    def take_sampled(self, n: int, start: int, stop: int, *, rng: np.random.Generator) -> NDArray[np.uint64]:
        """Take ``n`` free slots in ``[start, stop)``, every set equally likely, ascending."""
        first, free = self._rank_one(start), self.count_free(start, stop)
        chosen = self._select(probing.distinct(min(n, free), free, rng) + np.uint64(first))
        self._take_free(chosen)
        return chosen

    def take_scanned(
        self, starts: NDArray[np.unsignedinteger], start: int, stop: int, *, in_order: bool
    ) -> NDArray[np.uint64]:
        """Take for each start the next free slot at or after it, wrapping inside ``[start, stop)``.

        ``in_order`` gives row by row what one call after the other would; otherwise the same slots, ascending.
        There must be at least as many free slots as starts.
        """
        first, free = self._rank_one(start), self.count_free(start, stop)
        keys = starts.astype(np.uint64)
        if not in_order:
            keys.sort()
        ranks = self._rank(keys) - np.uint64(first)
        law = probing.sequence if in_order else probing.occupied
        chosen = self._select(law(ranks, free) + np.uint64(first))
        self._take_free(np.sort(chosen) if in_order else chosen)
        return chosen

    def _rank(self, slots: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return how many free slots lie below each slot."""
        if not self._mark and not len(self._islands):
            return slots
        ranks = slots - np.uint64(self._mark) - _below(self._islands, slots) + np.uint64(len(self._holes))
        return np.where(slots < np.uint64(self._mark), _below(self._holes, slots), ranks)

    def _rank_one(self, slot: int) -> int:
        """Return how many free slots lie below a slot."""
        if slot < self._mark:
            return int(np.searchsorted(self._holes, np.uint64(slot)))
        above = len(self._islands) if slot >= 1 << 64 else int(np.searchsorted(self._islands, np.uint64(slot)))
        return len(self._holes) + slot - self._mark - above

    def _select(self, ranks: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the free slots of the given ranks."""
        holes = len(self._holes)
        high = ranks - np.uint64(holes)
        slots = high + np.uint64(self._mark)
        if len(self._islands):
            gap = self._islands - np.uint64(self._mark) - np.arange(len(self._islands), dtype=np.uint64)
            slots += np.searchsorted(gap, high, side="right").astype(np.uint64)
        if holes:
            low = ranks < np.uint64(holes)
            slots[low] = self._holes[ranks[low].astype(np.intp)]
        return slots

    def _select_one(self, rank: int) -> int:
        """Return the free slot of a rank, or one at or beyond ``size`` when there is none."""
        high = rank - len(self._holes)
        gap = self._islands - np.uint64(self._mark) - np.arange(len(self._islands), dtype=np.uint64)
        above = len(gap) if high >= 1 << 64 else int(np.searchsorted(gap, np.uint64(high), side="right"))
        return self._mark + high + above

    # state ------------------------------------------------------------------------------------------------------

    def used_slots(self) -> NDArray[np.uint64]:
        """Return the slots in use, ascending."""
        low = np.arange(self._mark, dtype=np.uint64)
        if len(self._holes):
            low = np.delete(low, self._holes.astype(np.intp))
        return np.concatenate([low, self._islands])

    def copy(self) -> Self:
        """Return an independent set that shares the arrays, which are never written in place."""
        twin = object.__new__(type(self))
        twin.size, twin._mark, twin._holes, twin._islands = self.size, self._mark, self._holes, self._islands
        return twin

    def to_bytes(self) -> bytes:
        """Return the runs of used slots as (start, length) pairs, little-endian."""
        islands = self._islands
        heads = np.concatenate([np.zeros(1, dtype=np.uint64), self._holes + np.uint64(1)])
        tails = np.concatenate([self._holes, np.array([self._mark], dtype=np.uint64)])
        full = tails > heads
        opens = np.ones(len(islands), dtype=bool)
        opens[1:] = islands[1:] != islands[:-1] + np.uint64(1)
        at = np.flatnonzero(opens)
        lengths = np.diff(np.append(at, len(islands))).astype(np.uint64)
        starts = np.concatenate([heads[full], islands[at]])
        counts = np.concatenate([(tails - heads)[full], lengths])
        return np.stack([starts, counts], axis=1).astype("<u8").tobytes()

    def load_bytes(self, data: bytes) -> None:
        """Take the state `to_bytes` gave."""
        if len(data) % 16:
            raise InvalidInput(f"a snapshot of {len(data)} bytes is not a list of runs")
        runs = np.frombuffer(data, dtype="<u8").reshape(-1, 2).astype(np.uint64)
        mark = int(runs[0, 1]) if len(runs) and not runs[0, 0] else 0
        starts, counts = runs[bool(mark) :, 0], runs[bool(mark) :, 1].astype(np.intp)
        inner = np.arange(int(counts.sum()), dtype=np.uint64)
        inner -= np.repeat(np.cumsum(counts) - counts, counts).astype(np.uint64)
        self._mark = mark
        self._holes = np.empty(0, dtype=np.uint64)
        self._islands = np.repeat(starts, counts) + inner


def _contains(values: NDArray[np.uint64], value: int) -> bool:
    """Tell whether a sorted array holds a value."""
    at = int(np.searchsorted(values, np.uint64(value)))
    return at < len(values) and int(values[at]) == value


def _isin(rows: NDArray[np.uint64], values: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which rows are in a sorted array."""
    at = np.searchsorted(values, rows)
    inside: NDArray[np.bool_] = values[np.minimum(at, len(values) - 1)] == rows
    return inside


def _below(values: NDArray[np.uint64], rows: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return how many of the sorted values lie below each row."""
    if not len(values):
        return np.zeros(len(rows), dtype=np.uint64)
    return np.searchsorted(values, rows).astype(np.uint64)


def _without(values: NDArray[np.uint64], gone: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a sorted array without the sorted values ``gone``, all of which it holds."""
    keep = np.ones(len(values), dtype=bool)
    keep[np.searchsorted(values, gone)] = False
    return values[keep]
