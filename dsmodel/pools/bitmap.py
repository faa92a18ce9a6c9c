"""Dense occupancy of up to some ten million slots.

Promises exact counts and the same answers whether asked one slot at a time or in bulk. Storage is one of two forms,
exchanged when the kind of work changes: packed ``uint64`` words (bit 0 of word 0 is slot 0) for bulk choices, a
``bytearray`` with one byte a slot for single calls and named slots. Copies share storage until one of them changes.

It does not know offsets that may not be used, bands, cursors or random starts' meaning: `dsmodel.pools.offsets` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from dsmodel.errors import InvalidInput
from dsmodel.pools import compiled, probing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Bitmap"]

_CHUNK = 4096
"""Words handled at a time: 32 kB packed, 256 kB unpacked, so that a chunk stays in the second-level cache."""

_AT_ONCE = 1 << 20
"""Slots of a stretch that is looked at in one piece: the positions found in it are the answer and need no copy."""

_NEAR = 4096
"""Slots looked at beyond the share of the pool that should hold what is asked for."""

_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_WORTH_COMPILING = 1 << 16
"""Starts in order from which on the compiled way is taken, where numba is installed."""

_EIGHT_USED = np.uint64(0x0101_0101_0101_0101)
_CROWD = 16
"""From one start in 16 slots on, counting the starts at each slot is cheaper than sorting them."""

_PIECE = 1 << 14
"""Starts counted at a time, so that their places stay in the first-level caches."""

_HUGE_PAGE = 1 << 18
"""Numbers in a huge page of 2 MiB."""

_FEW = 4096
"""Below this many named slots a packed bitmap is changed in place instead of unpacked."""


class Bitmap:
    """Which of ``size`` slots are in use.

    Parameters
    ----------
    size : int
        Number of slots, counted from 0.

    Examples
    --------
    >>> bitmap = Bitmap(100)
    >>> bitmap.take_lowest(3, 0, 100)
    array([0, 1, 2], dtype=uint64)
    >>> bitmap.find(0, 100), bitmap.used
    (3, 3)
    """

    __slots__ = ("_flat", "_hint", "_hint_from", "_shared", "_view", "_words", "size", "used")

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0
        self._words: NDArray[np.uint64] | None = _blank(size)
        self._flat: bytearray | None = None
        self._view: NDArray[np.bool_] = np.empty(0, dtype=bool)
        self._hint_from = 0
        self._hint = 0  # every slot in [_hint_from, _hint) is in use
        self._shared = False

    # one slot at a time -----------------------------------------------------------------------------------------

    def find(self, start: int, stop: int) -> int:
        """Return the first free slot in ``[start, stop)``, or -1."""
        flat = self._flat
        if flat is None:
            flat = self._unpack()
        hint = self._hint
        if self._hint_from <= start <= hint:
            slot = flat.find(0, hint, stop)
            if slot >= 0:
                self._hint = slot
            return slot
        slot = flat.find(0, start, stop)
        if slot >= 0:
            self._hint_from = start
            self._hint = slot
        return slot

    def take_first(self, start: int, stop: int) -> int:
        """Take the first free slot in ``[start, stop)`` and return it, or -1."""
        flat = self._flat
        if flat is None or self._shared:
            flat = self._own_flat()
        near = self._hint_from <= start <= self._hint
        slot = flat.find(0, self._hint if near else start, stop)
        if slot >= 0:
            flat[slot] = 1
            self.used += 1
            self._hint = slot + 1
            if not near:
                self._hint_from = start
        return slot

    def take_stretch(self, start: int, stop: int, *, length: int) -> NDArray[np.uint64]:
        """Take all free slots, some ``length`` of them, in a stretch from the first free one in ``[start, stop)``."""
        slot = self.find(start, stop)
        if slot < 0:
            return np.empty(0, dtype=np.uint64)
        self._own_flat()
        slots = length * self.size // (self.size - self.used)
        few = slots > _CROWD * length
        end = min(slot + min(4 * slots if few else slots, _AT_ONCE), stop)
        taken = self._few_free(slot, end) if few else self._free_slots(slot, end)
        self._view[taken] = True
        self.used += len(taken)
        if self._hint == slot:
            self._hint = end
        return taken.view(np.uint64)

    def _free_slots(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the free slots in ``[start, stop)`` of the unpacked form."""
        found = np.flatnonzero(~self._view[start:stop])
        found += start
        return found

    def _few_free(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the same where few are free: of eight slots in use at once nothing more is asked."""
        first, last = (start + 7) & ~7, stop & ~7
        if first >= last:
            return self._free_slots(start, stop)
        middle = self._view[first:last]
        words = np.flatnonzero(middle.view(np.uint64) != _EIGHT_USED)
        found = np.flatnonzero(~middle.reshape(-1, 8)[words])
        inside = (words[found >> 3] << 3) + (found & 7) + first
        return np.concatenate([self._free_slots(start, first), inside, self._free_slots(last, stop)])

    def has_one(self, slot: int) -> bool:
        """Tell whether a slot is in use."""
        if self._flat is not None:
            return self._flat[slot] != 0
        if self._words is None:
            return False
        return bool((int(self._words[slot >> 6]) >> (slot & 63)) & 1)

    def take_one(self, slot: int) -> bool:
        """Take a slot; False when it was in use."""
        flat = self._flat
        if flat is None or self._shared:
            flat = self._own_flat()
        if flat[slot]:
            return False
        flat[slot] = 1
        self.used += 1
        return True

    def put_one(self, slot: int) -> bool:
        """Free a slot; False when it was free."""
        flat = self._flat
        if flat is None or self._shared:
            flat = self._own_flat()
        if not flat[slot]:
            return False
        flat[slot] = 0
        self.used -= 1
        if slot < self._hint:  # noqa: PLR1730 - a third cheaper than min() in a call this short
            self._hint = slot
        return True

    # named slots in bulk ----------------------------------------------------------------------------------------

    def has(self, slots: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Tell which slots are in use."""
        if self._words is None:
            return self._view[slots.astype(np.intp, copy=False)]
        words = self._words[(slots >> np.uint64(6)).astype(np.intp)]
        return ((words >> (slots & np.uint64(63))) & np.uint64(1)).astype(bool)

    def take(self, slots: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Take slots in order, first row wins; tell which were granted."""
        granted = ~self.has(slots)
        granted &= probing.first_rows(slots)
        self._set(slots[granted])
        return granted

    def mark(self, slots: NDArray[np.uint64]) -> None:
        """Mark slots as in use, whether they were or not."""
        if len(slots) < _FEW:
            self.take(slots)
            return
        self._own_flat()
        index = slots.astype(np.intp, copy=False)
        self._view[index] = True
        self.used = int(np.count_nonzero(self._view))

    def put(self, slots: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Free slots; tell which were in use, of equal rows the first."""
        was = self.has(slots)
        was &= probing.first_rows(slots)
        gone = slots[was]
        if not len(gone):
            return was
        if self._words is not None and len(slots) < _FEW:
            self._own_words()
            index = (gone >> np.uint64(6)).astype(np.intp)
            np.bitwise_and.at(self._words, index, ~(np.uint64(1) << (gone & np.uint64(63))))
        else:
            self._own_flat()
            self._view[gone.astype(np.intp)] = False
        self.used -= len(gone)
        self._hint = min(self._hint, int(gone.min()))
        return was

    def _set(self, slots: NDArray[np.uint64]) -> None:
        """Set slots that are free and distinct."""
        if not len(slots):
            return
        if self._words is not None and len(slots) < _FEW:
            self._own_words()
            index = (slots >> np.uint64(6)).astype(np.intp)
            np.bitwise_or.at(self._words, index, np.uint64(1) << (slots & np.uint64(63)))
        else:
            self._own_flat()
            self._view[slots.astype(np.intp)] = True
        self.used += len(slots)

    def mark_range(self, start: int, stop: int) -> None:
        """Mark every slot in ``[start, stop)`` as in use."""
        self.used += self.count_free(start, stop)
        _fill(self._own_words(), start, stop)

    def put_range(self, start: int, stop: int) -> None:
        """Free every slot in ``[start, stop)``."""
        self.used -= stop - start - self.count_free(start, stop)
        gone = np.zeros_like(self._own_words())
        _fill(gone, start, stop)
        words = self._own_words()
        words &= ~gone
        self._hint = min(self._hint, start)

    def _set_words(self, slots: NDArray[np.uint64]) -> None:
        """Set slots that are free, distinct and ascending, in the packed form."""
        words = self._own_words()
        bounds = np.searchsorted(slots, np.arange(0, self.size + (_CHUNK << 6), _CHUNK << 6).astype(np.uint64))
        for chunk, (first, last) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
            if first == last:
                continue
            part = words[chunk * _CHUNK : (chunk + 1) * _CHUNK]
            taken = np.zeros(len(part) << 6, dtype=bool)
            taken[(slots[first:last] - np.uint64(chunk * _CHUNK << 6)).view(np.int64)] = True
            part |= np.packbits(taken, bitorder="little").view(np.uint64)
        self.used += len(slots)

    # slots of the bitmap's choice -------------------------------------------------------------------------------

    def count_free(self, start: int, stop: int) -> int:
        """Return the number of free slots in ``[start, stop)``."""
        if start >= stop:
            return 0
        if (start, stop) == (0, self.size):
            return self.size - self.used
        if self._words is None:
            return stop - start - int(np.count_nonzero(self._view[start:stop]))
        return sum(int(np.bitwise_count(free).sum()) for _, free in self._free_words(start, stop))

    def take_lowest(self, n: int, start: int, stop: int) -> NDArray[np.uint64]:
        """Take the lowest ``n`` free slots in ``[start, stop)``, or as many as there are, ascending."""
        taken = self.lowest(n, start, stop)
        if len(taken):
            words = self._own_words()
            _fill(words, start, int(taken[-1]) + 1)
            self.used += len(taken)
            if self._hint_from <= start <= self._hint:
                self._hint = max(self._hint, int(taken[-1]) + 1)
        return taken

    def lowest(self, n: int, start: int, stop: int) -> NDArray[np.uint64]:
        """Return the lowest ``n`` free slots in ``[start, stop)``, ascending, and take none."""
        self._pack()
        if self._hint_from <= start <= self._hint:
            start = min(self._hint, stop)
        n = max(0, min(n, stop - start, self.size - self.used))
        if n == 0:
            return np.empty(0, dtype=np.uint64)
        reach = n * self.size // (self.size - self.used) * 9 // 8 + _NEAR
        near = self._lowest_near(n, start, min(start + reach, stop)) if reach <= _AT_ONCE else None
        if near is not None:
            return near
        out = _room(n)
        done = 0
        for word, free in self._free_words(start, stop, chunk=_CHUNK >> 2):
            if done == n:
                break
            found = np.flatnonzero(_bits(free))[: n - done]
            _append(found, word << 6, out=out[done : done + len(found)])
            done += len(found)
        return out[:done]

    def _lowest_near(self, n: int, start: int, stop: int) -> NDArray[np.uint64] | None:
        """Return the lowest ``n`` free slots in a stretch, found at once, or None when it has fewer."""
        for word, free in self._free_words(start, stop, chunk=self.size):
            counts = np.cumsum(np.bitwise_count(free), dtype=np.int64)
            if counts[-1] >= n:
                found = np.flatnonzero(_bits(free[: int(np.searchsorted(counts, n)) + 1]))[:n]
                if word:
                    found += word << 6
                return found.view(np.uint64)
        return None

    def take_sampled(self, n: int, start: int, stop: int, *, rng: np.random.Generator) -> NDArray[np.uint64]:
        """Take ``n`` free slots in ``[start, stop)``, every set equally likely, ascending."""
        free = self.count_free(start, stop)
        n = min(n, free)
        if n == free:
            return self.take_lowest(n, start, stop)
        if n * 64 < free and free * 4 > stop - start:
            return self._take_by_rejection(n, start, stop, rng=rng)
        digits = 7 + (free // max(n, 1)).bit_length()
        spread = 5 * (n * (1 - n / free)) ** 0.5 + 1
        chance = min(1 << digits, int((n + spread) / free * (1 << digits)) + 1)
        room = _room(min(free, int(free * chance / (1 << digits) + 4 * spread) + 64))
        before = self._own_words().copy()
        count = -1
        while not n <= count <= len(room):  # to begin anew, once in millions of times, favours no slot
            self._words = before.copy() if count >= 0 else self._words
            count = self._draw(chance, digits, (start, stop), rng=rng, out=room)
        self.used += n
        surplus = probing.distinct(count - n, count, rng).view(np.int64)
        if len(surplus):
            gone = room[surplus]
            index = (gone >> np.uint64(6)).view(np.int64)
            np.bitwise_and.at(self._own_words(), index, ~(np.uint64(1) << (gone & np.uint64(63))))
            keep = np.ones(count - n, dtype=bool)
            cut = int(np.searchsorted(surplus, n))
            keep[surplus[cut:] - n] = False
            room[surplus[:cut]] = room[n:count][keep]
        return room[:n]

    def _draw(
        self, chance: int, digits: int, bounds: tuple[int, int], *, rng: np.random.Generator, out: NDArray[np.uint64]
    ) -> int:
        """Take each free slot with probability ``chance / 2**digits``, independently; return how many.

        Random words combined by "and" and "or" along the binary digits of the probability have each bit set with it.
        """
        words, done = self._own_words(), 0
        for word, free in self._free_words(*bounds):
            picked = free
            if chance < 1 << digits:
                picked = np.zeros_like(free)
                for digit in range((chance & -chance).bit_length() - 1, digits):
                    noise = rng.integers(0, _ALL, size=len(free), dtype=np.uint64, endpoint=True)
                    mix = np.bitwise_or if (chance >> digit) & 1 else np.bitwise_and
                    mix(picked, noise, out=picked)
                picked &= free
            words[word : word + len(free)] |= picked
            found = np.flatnonzero(_bits(picked))
            if done + len(found) <= len(out):
                _append(found, word << 6, out=out[done : done + len(found)])
            done += len(found)
        return done

    def _take_by_rejection(self, n: int, start: int, stop: int, *, rng: np.random.Generator) -> NDArray[np.uint64]:
        """Draw slots until ``n`` different free ones are found; for few slots of a pool with room."""
        chosen = np.empty(0, dtype=np.uint64)
        while len(chosen) < n:
            more = rng.integers(start, stop - 1, size=2 * (n - len(chosen)), dtype=np.uint64, endpoint=True)
            drawn = np.concatenate([chosen, more[~self.has(more)]])
            chosen = drawn[probing.first_rows(drawn)][:n]
        chosen.sort()
        self._set(chosen)
        return chosen

    def take_scanned(
        self, starts: NDArray[np.unsignedinteger], start: int, stop: int, *, in_order: bool
    ) -> NDArray[np.uint64]:
        """Take for each start the next free slot at or after it, wrapping inside ``[start, stop)``.

        ``in_order`` gives row by row what one call after the other would; otherwise the same slots in any order.
        There must be at least as many free slots as starts.
        """
        if not in_order:
            if len(starts) == self.count_free(start, stop):
                return self.take_lowest(len(starts), start, stop)
            counts = _tally(starts, start, stop) if len(starts) * _CROWD > stop - start > _HUGE_PAGE else None
            if counts is None:
                return self._take_sorted(np.sort(starts.astype(np.uint32, copy=False)), start, stop)
            return self._take_tallied(counts, len(starts), start=start, stop=stop)
        probe = compiled.prober() if len(starts) >= _WORTH_COMPILING else None
        if probe is None:
            return self._take_ranked(starts, start, stop)
        out, band = _room(len(starts)), np.array([start, stop], dtype=np.uint64)
        done = probe(self._own_words(), starts, band, out)
        self.used += done
        if done < len(starts):
            out[done:] = self._take_ranked(starts[done:], start, stop)
        return out

    def _take_ranked(self, starts: NDArray[np.unsignedinteger], start: int, stop: int) -> NDArray[np.uint64]:
        """Take what starts one after the other take, by their ranks among the free slots."""
        free = self.lowest(stop - start, start, stop)
        ranks = self._ranks(starts.astype(np.uint64), start, stop)
        chosen = free[probing.sequence(ranks, len(free)).view(np.int64)]
        self._set(chosen)
        return chosen

    def _take_sorted(self, starts: NDArray[np.uint32], start: int, stop: int) -> NDArray[np.uint64]:
        """Take what linear probing takes for few ascending starts: chunk by chunk, what does not fit moves on."""
        out = _room(len(starts))
        waiting, at, done = 0, 0, 0
        for word, free in self._free_words(start, stop):
            last = min((word + len(free)) << 6, stop) - 1
            end = int(np.searchsorted(starts, np.uint32(last), side="right"))
            if end > at or waiting:
                chosen = _probed(free, starts[at:end] - np.uint32(word << 6), waiting)
                taken = np.zeros(len(free) << 6, dtype=bool)
                taken[chosen] = True
                self._keep(word, taken)
                _append(chosen, word << 6, out=out[done : done + len(chosen)])
                done += len(chosen)
                waiting += end - at - len(chosen)
                at = end
        self.used += done
        if waiting:
            out[done:] = self.take_lowest(waiting, start, stop)
        return out

    def _take_tallied(self, counts: NDArray[np.uint8], n: int, *, start: int, stop: int) -> NDArray[np.uint64]:
        """Take what linear probing takes for the given number of starts at each slot."""
        out, done, waiting = _room(n), 0, 0
        base = start & ~63
        for word, free in self._free_words(start, stop):
            bits = _bits(free)
            here = counts[(word << 6) - base : (word << 6) - base + len(bits)]
            taken, waiting = probing.served(bits, here, waiting)
            self._keep(word, taken)
            found = np.flatnonzero(taken)
            _append(found, word << 6, out=out[done : done + len(found)])
            done += len(found)
        self.used += done
        if waiting:
            out[done:] = self.take_lowest(waiting, start, stop)
        return out

    def _keep(self, word: int, taken: NDArray[np.bool_]) -> None:
        """Set the bits of a chunk that begins at a word."""
        self._own_words()[word : word + (len(taken) >> 6)] |= np.packbits(taken, bitorder="little").view(np.uint64)

    def _ranks(self, slots: NDArray[np.uint64], start: int, stop: int) -> NDArray[np.uint64]:
        """Return how many free slots of ``[start, stop)`` lie below each of its slots."""
        free = ~self._words_now()[start >> 6 : (stop + 63) >> 6]
        free[0] &= _ALL << np.uint64(start & 63)
        return _ranks_within(free, slots - np.uint64(start & ~63)).view(np.uint64)

    # state ------------------------------------------------------------------------------------------------------

    def used_slots(self) -> NDArray[np.uint64]:
        """Return the slots in use, ascending."""
        if self._words is None:
            return np.flatnonzero(self._view).astype(np.uint64)
        bits = np.unpackbits(self._words.view(np.uint8), count=self.size, bitorder="little")
        return np.flatnonzero(bits).astype(np.uint64)

    def copy(self) -> Self:
        """Return an independent bitmap that shares storage until one of the two changes."""
        twin = object.__new__(type(self))
        twin.size, twin.used, twin._hint_from, twin._hint = self.size, self.used, self._hint_from, self._hint
        twin._words, twin._flat, twin._view = self._words, self._flat, self._view
        twin._shared = self._shared = True
        return twin

    def to_bytes(self) -> bytes:
        """Return the packed words, little-endian; the bits beyond ``size`` are clear."""
        self._pack()
        words = self._words_now().astype("<u8")
        _clear_tail(words, self.size)
        return words.tobytes()

    def load_bytes(self, data: bytes) -> None:
        """Take the state `to_bytes` gave."""
        words = np.frombuffer(data, dtype="<u8").astype(np.uint64)
        if len(words) != (self.size + 63) >> 6:
            raise InvalidInput(f"a snapshot of {len(data)} bytes does not describe {self.size} slots")
        self.used = int(np.bitwise_count(words).sum())
        _set_tail(words, self.size)
        self._words, self._flat, self._view = words, None, np.empty(0, dtype=bool)
        self._hint_from, self._hint, self._shared = 0, 0, False

    # storage ----------------------------------------------------------------------------------------------------

    def _words_now(self) -> NDArray[np.uint64]:
        """Return the packed form, making it the current one."""
        if self._words is None:
            self._pack()
        words = self._words
        if words is None:  # pragma: no cover - _pack sets it
            raise AssertionError
        return words

    def _pack(self) -> None:
        """Make the packed words the current form."""
        if self._words is not None:
            return
        words = np.zeros((self.size + 63) >> 6, dtype=np.uint64)
        packed = np.packbits(self._view, bitorder="little")
        words.view(np.uint8)[: len(packed)] = packed
        _set_tail(words, self.size)
        self._words, self._flat, self._view = words, None, np.empty(0, dtype=bool)
        self._shared = False

    def _unpack(self) -> bytearray:
        """Make one byte a slot the current form and return it."""
        flat = bytearray(self.size)
        if self._words is not None and self.used:
            bits = np.unpackbits(self._words.view(np.uint8), count=self.size, bitorder="little")
            np.frombuffer(flat, dtype=np.uint8)[:] = bits
        self._flat, self._words = flat, None
        self._view = np.frombuffer(flat, dtype=bool)
        self._shared = False
        return flat

    def _own_flat(self) -> bytearray:
        """Return one byte a slot, ours alone to write."""
        if self._flat is None:
            return self._unpack()
        if self._shared:
            self._flat = bytearray(self._flat)
            self._view = np.frombuffer(self._flat, dtype=bool)
            self._shared = False
        return self._flat

    def _own_words(self) -> NDArray[np.uint64]:
        """Return the packed words, ours alone to write."""
        words = self._words_now()
        if self._shared:
            words = words.copy()
            self._words, self._shared = words, False
        return words

    def _free_words(self, start: int, stop: int, *, chunk: int = _CHUNK) -> Iterator[tuple[int, NDArray[np.uint64]]]:
        """Yield (index of the first word, free bits of the words) in chunks, only inside ``[start, stop)``."""
        if start >= stop:
            return
        words = self._words_now()
        last = (stop + 63) >> 6
        for at in range(start >> 6, last, chunk):
            free = ~words[at : min(at + chunk, last)]
            if at == start >> 6:
                free[0] &= _ALL << np.uint64(start & 63)
            if at + len(free) == last and stop & 63:
                free[-1] &= ~(_ALL << np.uint64(stop & 63))
            yield at, free


def _room(n: int) -> NDArray[np.uint64]:
    """Return ``n`` numbers not set yet; from 2 MiB on they begin on a huge page, which saves most page faults."""
    if n < _HUGE_PAGE:
        return np.empty(n, dtype=np.uint64)
    room = np.empty(n + _HUGE_PAGE, dtype=np.uint64)
    skip = (-int(room.__array_interface__["data"][0]) >> 3) % _HUGE_PAGE
    return room[skip : skip + n]


def _append(found: NDArray[np.int64], base: int, *, out: NDArray[np.uint64]) -> None:
    """Write numbers counted from a base; as signed ones, since numpy would take a detour to convert."""
    np.add(found, base, out=out.view(np.int64))


def _bits(words: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return one boolean a bit: `flatnonzero` is seven times faster on them than on bytes."""
    return np.unpackbits(words.view(np.uint8), bitorder="little").view(bool)


def _tally(starts: NDArray[np.unsignedinteger], start: int, stop: int) -> NDArray[np.uint8] | None:
    """Return the number of starts at each slot from the word of ``start`` on, or None when one has more than 255."""
    base = start & ~63
    counts = np.zeros(((stop + 63) & ~63) - base, dtype=np.uint8)
    place = np.empty(_PIECE, dtype=np.intp)
    for at in range(0, len(starts), _PIECE):
        part = place[: min(_PIECE, len(starts) - at)]
        np.subtract(starts[at : at + _PIECE], starts.dtype.type(base), out=part, casting="unsafe")
        np.add.at(counts, part, np.uint8(1))
    return counts if int(counts.sum(dtype=np.int64)) == len(starts) else None


def _probed(free: NDArray[np.uint64], starts: NDArray[np.uint32], waiting: int) -> NDArray[np.int64]:
    """Return the free bits that ascending starts take, after ``waiting`` ones that come from below."""
    bits = _bits(free)
    found = np.flatnonzero(bits)
    below = np.zeros(len(bits) + 1, dtype=np.int32)
    np.cumsum(bits.view(np.uint8), out=below[1:])
    step = np.arange(waiting, waiting + len(starts), dtype=np.int32)
    rank = below[starts]
    rank -= step
    if waiting:
        np.maximum(rank, 0, out=rank)
    np.maximum.accumulate(rank, out=rank)
    rank += step
    fits = int(np.searchsorted(rank, len(found)))
    chosen = found[rank[:fits]]
    return np.concatenate([found[:waiting], chosen]) if waiting else chosen


def _ranks_within(free: NDArray[np.uint64], slots: NDArray[np.uint32] | NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return how many bits of ``free`` are set below each slot."""
    counts = np.bitwise_count(free)
    before = np.cumsum(counts, dtype=np.int64)
    before -= counts
    word = slots >> slots.dtype.type(6)
    below = free[word]
    below &= (np.uint64(1) << (slots & slots.dtype.type(63)).astype(np.uint64)) - np.uint64(1)
    ranks: NDArray[np.int64] = before[word] + np.bitwise_count(below)
    return ranks


def _blank(size: int) -> NDArray[np.uint64]:
    """Return words with all of ``size`` slots free and the rest of the last word in use."""
    words = np.zeros((size + 63) >> 6, dtype=np.uint64)
    _set_tail(words, size)
    return words


def _set_tail(words: NDArray[np.uint64], size: int) -> None:
    """Set the bits beyond ``size``, so that nothing there is ever free."""
    if size & 63:
        words[-1] |= _ALL << np.uint64(size & 63)


def _clear_tail(words: NDArray[np.uint64], size: int) -> None:
    """Clear the bits beyond ``size``."""
    if size & 63:
        words[-1] &= ~(_ALL << np.uint64(size & 63))


def _fill(words: NDArray[np.uint64], start: int, stop: int) -> None:
    """Set all bits in ``[start, stop)``."""
    if start >= stop:
        return
    first, last = start >> 6, (stop - 1) >> 6
    head = _ALL << np.uint64(start & 63)
    tail = _ALL >> np.uint64(63 - ((stop - 1) & 63))
    if first == last:
        words[first] |= head & tail
        return
    words[first] |= head
    words[first + 1 : last] = _ALL
    words[last] |= tail
