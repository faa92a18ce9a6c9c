"""The verbs of a pool over numbered offsets: strategies, bands, cursor, one at a time and in bulk.

Promises the contract of `dsmodel.pools.contract` whichever storage is below it. A pool is a run of usable offsets; its
first ``band_offset`` form the static band (KEP-3070, KEP-3668), which choices of the pool touch only when the rest, the
dynamic band, is full.

It does not know addresses or ports (`dsmodel.pools.ranges`), blocks (`dsmodel.pools.blocks`), or where a band offset
comes from (`dsmodel.kube`).

Sources: kubernetes v1.36 ``pkg/registry/core/service/allocator/bitmap.go`` (``randomScanStrategyWithOffset``),
``pkg/controller/nodeipam/ipam/cidrset/cidr_set.go``.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Self, TypeAlias, overload

import numpy as np

from dsmodel.errors import AlreadyAllocated, InvalidInput, NotInRange, PoolFull, Reason
from dsmodel.pools.bitmap import Bitmap
from dsmodel.pools.contract import Allocation, Offsets, Order, Storage, Strategy, offset_rows, scattered
from dsmodel.pools.overview import CHOICES, Shown
from dsmodel.pools.sparse import SparseSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["OffsetPool"]

_Chooser: TypeAlias = "Callable[[int, int, int], NDArray[np.uint64]]"

_STRATEGIES = tuple(CHOICES)
_ONE = (int, np.integer)
_STREAK, _LONGEST_LEASE = 16, 4096
"""After 16 single choices in a row, the next ones are taken together and handed out one by one, some 4,096 at once."""

_DENSE_LIMIT = 1 << 26
"""Most slots kept as a bitmap: 8 MiB packed, 64 MiB while single calls use it."""


class OffsetPool(Shown):
    """A pool over the usable offsets ``first`` to ``first + usable - 1``.

    Strategies of `allocate_next`, each inside the dynamic band and, when that is full, inside the static band:

    ``"scan"``
        uniform random start, then the next free offset, wrapping inside the band: what Kubernetes does. Offsets after
        a long used run are likelier than others.
    ``"sample"``
        every free offset equally likely: a statistical stand-in with shorter runs of used offsets.
    ``"lowest"``
        the lowest free offset.
    ``"next"``
        the first free offset from the cursor on, with wrap; the cursor then stands behind the offset granted.

    Parameters
    ----------
    usable : int
        Number of usable offsets, at most 2**64.
    first : int
        The first of them.
    band_offset : int
        How many of the first usable offsets form the static band.
    strategy : {"scan", "sample", "lowest", "next"}
        How the pool chooses.
    rng : numpy.random.Generator, optional
        Source of the random strategies, unless a call names its own.
    storage : {"auto", "dense", "sparse"}
        A bitmap or sorted offsets; ``"auto"`` takes the bitmap up to 2**26 usable offsets. Answers do not differ,
        except which offsets ``"sample"`` draws for one generator state.

    Raises
    ------
    InvalidInput
        A number out of its range, or an unknown strategy or storage.

    Examples
    --------
    >>> pool = OffsetPool(10, strategy="lowest", band_offset=2)
    >>> pool.allocate_next(), pool.allocate_next(3)
    (2, array([3, 4, 5], dtype=uint64))
    """

    # slots, since single calls read an attribute out of them faster than out of a copy's __dict__
    __slots__ = (
        "_ahead",
        "_band",
        "_cursor",
        "_first",
        "_lease",
        "_rng",
        "_storage",
        "_strategy",
        "_streak",
        "_usable",
    )

    def __init__(
        self,
        usable: int,
        *,
        first: int = 0,
        band_offset: int = 0,
        strategy: Strategy = "scan",
        rng: np.random.Generator | None = None,
        storage: Storage = "auto",
    ) -> None:
        if not 0 <= usable <= 1 << 64:
            raise InvalidInput(f"{usable} usable offsets: a pool holds 0 to 2**64; cap it with limit=")
        if first < 0 or first + usable > 1 << 64:
            raise InvalidInput(f"first usable offset {first}: offsets are 0 to 2**64 - 1")
        if band_offset < 0:
            raise InvalidInput(f"band offset {band_offset}: a static band has 0 or more offsets")
        if strategy not in _STRATEGIES:
            raise InvalidInput(f"strategy {strategy!r}: expected one of {', '.join(_STRATEGIES)}")
        if storage not in ("auto", "dense", "sparse"):
            raise InvalidInput(f"storage {storage!r}: expected auto, dense or sparse")
        self._usable = usable
        self._first = first
        self._band = band_offset if band_offset < usable else 0
        self._strategy: Strategy = strategy
        self._rng = rng
        self._cursor = 0
        dense = storage == "dense" or (storage == "auto" and usable <= _DENSE_LIMIT)
        self._storage: Bitmap | SparseSet = Bitmap(usable) if dense else SparseSet(usable)
        # single choices in a row are taken together: _lease holds them, descending, _ahead those not yet granted
        self._lease: NDArray[np.uint64] | None = None
        self._ahead: list[int] = []
        self._streak = 0

    # counts -----------------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """All offsets, usable or not."""
        return self._first + self._usable

    @property
    def usable(self) -> int:
        """Offsets that may be handed out."""
        return self._usable

    @property
    def used(self) -> int:
        """Offsets in use."""
        return self._storage.used - len(self._ahead)

    @property
    def free(self) -> int:
        """Usable offsets not in use."""
        return self._usable - self._storage.used + len(self._ahead)

    @property
    def strategy(self) -> Strategy:
        """How the pool chooses."""
        return self._strategy

    @property
    def band_offset(self) -> int:
        """Number of usable offsets in the static band; 0 when the band would leave nothing else."""
        return self._band

    @property
    def cursor(self) -> int:
        """The offset at which strategy ``"next"`` looks first."""
        self._settle()
        return self._first + self._cursor

    @cursor.setter
    def cursor(self, offset: int) -> None:
        """Move the cursor to a usable offset."""
        if not 0 <= offset - self._first < max(self._usable, 1):
            raise NotInRange(f"cursor {offset}: {self._span()}")
        self._settle()
        self._cursor = offset - self._first

    # verbs ------------------------------------------------------------------------------------------------------

    @overload
    def allocate(self, offsets: int, *, dry_run: bool = False) -> None: ...
    @overload
    def allocate(self, offsets: Offsets, *, dry_run: bool = False) -> Allocation: ...
    def allocate(self, offsets: int | Offsets, *, dry_run: bool = False) -> Allocation | None:
        """Take the named offsets.

        Parameters
        ----------
        offsets : int or array of integers, shape (rows,)
            What to take; of equal rows the first wins.
        dry_run : bool
            Only tell what would happen.

        Returns
        -------
        None or Allocation
            Nothing for one offset; for many, each row's reason: OK, ALREADY_ALLOCATED or NOT_IN_RANGE.

        Raises
        ------
        AlreadyAllocated
            One offset, and it is in use.
        NotInRange
            One offset, and it is not usable.
        InvalidInput
            ``offsets`` is not a 1-D array of integers.

        Examples
        --------
        >>> pool = OffsetPool(4)
        >>> pool.allocate(1)
        >>> pool.allocate([0, 1, 9]).reason
        array([0, 2, 3], dtype=uint8)
        """
        if isinstance(offsets, _ONE):
            slot = int(offsets) - self._first
            if not 0 <= slot < self._usable:
                raise NotInRange(f"offset {offsets}: {self._span()}")
            if self._ahead:
                self._make_way(slot)
            if self._storage.has_one(slot) if dry_run else not self._storage.take_one(slot):
                raise AlreadyAllocated(f"offset {offsets}: in use; release it first or ask for another")
            return None
        slots, inside = offset_rows(offsets, first=self._first, usable=self._usable)
        rows = slots if inside is None else slots[inside]
        slots_now = self._slots.copy() if dry_run else self._slots
        granted = slots_now.take(rows)
        codes = np.where(granted, np.uint8(Reason.OK), np.uint8(Reason.ALREADY_ALLOCATED))
        return Allocation.of(scattered(codes, inside, Reason.NOT_IN_RANGE))

    @overload
    def allocate_next(
        self, n: None = None, *, rng: np.random.Generator | None = None, order: Order = "sequence"
    ) -> int: ...
    @overload
    def allocate_next(
        self, n: int, *, rng: np.random.Generator | None = None, order: Order = "sequence"
    ) -> NDArray[np.uint64]: ...
    def allocate_next(
        self, n: int | None = None, *, rng: np.random.Generator | None = None, order: Order = "sequence"
    ) -> int | NDArray[np.uint64]:
        """Take offsets of the pool's choice.

        ``n`` at once grants what ``n`` calls one after the other with the same random numbers grant. With
        ``order="sequence"`` row by row; with ``order="set"`` the same offsets in an order of no meaning, several
        times faster for ``"scan"``. Strategy ``"sample"`` draws differently one at a time and in bulk: the
        distribution is the same, the offsets are not.

        Parameters
        ----------
        n : int, optional
            How many; one when not given.
        rng : numpy.random.Generator, optional
            Source of random numbers for this call.
        order : {"sequence", "set"}
            Whether the order of the rows is the order of grant.

        Returns
        -------
        int or ndarray of uint64
            One offset; or up to ``n`` of them, fewer when the pool fills.

        Raises
        ------
        PoolFull
            One is asked for and none is free.
        InvalidInput
            ``n`` is negative, or a random strategy has no generator.

        Examples
        --------
        >>> import numpy as np
        >>> pool = OffsetPool(4, strategy="scan", rng=np.random.default_rng(7))
        >>> len(pool.allocate_next(9)), pool.free
        (4, 0)
        """
        if n is None:
            if self._ahead:
                return self._ahead.pop()
            slot = self._take_one(rng)
            if slot < 0:
                raise PoolFull(f"no free offset: all {self._usable} usable offsets are in use; release some first")
            return self._first + slot
        return self._next_many(n, rng, order)

    @overload
    def release(self, offsets: int) -> bool: ...
    @overload
    def release(self, offsets: Offsets) -> NDArray[np.bool_]: ...
    def release(self, offsets: int | Offsets) -> bool | NDArray[np.bool_]:
        """Give offsets back; a free one, or one outside the pool, is no error and changes nothing.

        Parameters
        ----------
        offsets : int or array of integers, shape (rows,)
            What to give back.

        Returns
        -------
        bool or ndarray of bool
            Whether each was in use; of equal rows only the first.

        Raises
        ------
        InvalidInput
            ``offsets`` is not a 1-D array of integers.

        Examples
        --------
        >>> pool = OffsetPool(4)
        >>> pool.occupy(2)
        >>> pool.release([2, 3])
        array([ True, False])
        """
        if isinstance(offsets, _ONE):
            slot = int(offsets) - self._first
            if not 0 <= slot < self._usable:
                return False
            if self._ahead:
                self._make_way(slot, freed=True)
            self._streak = 0
            return self._storage.put_one(slot)
        slots, inside = offset_rows(offsets, first=self._first, usable=self._usable)
        if inside is None:
            return self._slots.put(slots)
        was = np.zeros(len(slots), dtype=bool)
        was[inside] = self._slots.put(slots[inside])
        return was

    @overload
    def occupy(self, offsets: int) -> None: ...
    @overload
    def occupy(self, offsets: Offsets) -> Allocation: ...
    def occupy(self, offsets: int | Offsets) -> Allocation | None:
        """Mark offsets as in use, whether they were or not; no cursor moves.

        Parameters
        ----------
        offsets : int or array of integers, shape (rows,)
            What to mark.

        Returns
        -------
        None or Allocation
            Nothing for one offset; for many, each row's reason: OK or NOT_IN_RANGE.

        Raises
        ------
        NotInRange
            One offset, and it is not usable.
        InvalidInput
            ``offsets`` is not a 1-D array of integers.

        Examples
        --------
        >>> pool = OffsetPool(4)
        >>> pool.occupy([1, 1, 8]).ok, pool.used
        (array([ True,  True, False]), 1)
        """
        if isinstance(offsets, _ONE):
            slot = int(offsets) - self._first
            if not 0 <= slot < self._usable:
                raise NotInRange(f"offset {offsets}: {self._span()}")
            if self._ahead:
                self._make_way(slot)
            self._storage.take_one(slot)
            return None
        slots, inside = offset_rows(offsets, first=self._first, usable=self._usable)
        self._slots.mark(slots if inside is None else slots[inside])
        codes = np.zeros(len(slots) if inside is None else int(np.count_nonzero(inside)), dtype=np.uint8)
        return Allocation.of(scattered(codes, inside, Reason.NOT_IN_RANGE))

    @overload
    def has(self, offsets: int) -> bool: ...
    @overload
    def has(self, offsets: Offsets) -> NDArray[np.bool_]: ...
    def has(self, offsets: int | Offsets) -> bool | NDArray[np.bool_]:
        """Tell whether offsets are in use; outside the pool nothing is.

        Parameters
        ----------
        offsets : int or array of integers, shape (rows,)
            What to look at.

        Returns
        -------
        bool or ndarray of bool
            Whether each is in use.

        Raises
        ------
        InvalidInput
            ``offsets`` is not a 1-D array of integers.

        Examples
        --------
        >>> pool = OffsetPool(4, strategy="lowest")
        >>> taken = pool.allocate_next(2)
        >>> pool.has([1, 2, 99])
        array([ True, False, False])
        """
        if isinstance(offsets, _ONE):
            slot = int(offsets) - self._first
            if not 0 <= slot < self._usable:
                return False
            ahead = self._ahead
            return self._storage.has_one(slot) and not (ahead and ahead[-1] <= offsets <= ahead[0] and offsets in ahead)
        slots, inside = offset_rows(offsets, first=self._first, usable=self._usable)
        if inside is None:
            return self._slots.has(slots)
        used = np.zeros(len(slots), dtype=bool)
        used[inside] = self._slots.has(slots[inside])
        return used

    # listing and state ------------------------------------------------------------------------------------------

    def used_offsets(self) -> NDArray[np.uint64]:
        """Return the offsets in use.

        Returns
        -------
        ndarray of uint64
            Ascending.

        Raises
        ------
        None
            A pool always has an answer; it costs 8 bytes per offset in use.
        """
        return self._shifted(self._slots.used_slots())

    def free_offsets(self, limit: int | None = None) -> NDArray[np.uint64]:
        """Return the lowest free offsets.

        Parameters
        ----------
        limit : int, optional
            At most how many; all when not given.

        Returns
        -------
        ndarray of uint64
            Ascending.

        Raises
        ------
        InvalidInput
            More than 2**32 would be returned.
        """
        n = self.free if limit is None else min(limit, self.free)
        if n > 1 << 32:
            raise InvalidInput(f"{n} free offsets are too many to list; give limit=")
        return self._shifted(self._slots.lowest(n, 0, self._usable))

    def snapshot(self) -> bytes:
        """Return the whole state as bytes.

        Returns
        -------
        bytes
            The same for the same state. The generator of random numbers is no part of it.

        Raises
        ------
        None
            A pool always has an answer.
        """
        self._settle()
        return f"{self._header()} {self._cursor}\n".encode() + self._storage.to_bytes()

    def restore(self, snapshot: bytes) -> None:
        """Take the state a snapshot holds.

        Parameters
        ----------
        snapshot : bytes
            From a pool of the same size and storage.

        Raises
        ------
        InvalidInput
            It is no snapshot, or of another pool; nothing has changed.

        Examples
        --------
        >>> pool = OffsetPool(4, strategy="lowest")
        >>> before = pool.snapshot()
        >>> pool.allocate_next()
        0
        >>> pool.restore(before)
        >>> pool.used
        0
        """
        head, _, data = snapshot.partition(b"\n")
        header, _, cursor = head.decode("ascii", "replace").rpartition(" ")
        if header != self._header() or not cursor.isdigit():
            raise InvalidInput(f"snapshot {header[:60]!r} does not fit a pool {self._header()!r}")
        self._slots.load_bytes(data)
        self._cursor = int(cursor)

    def copy(self) -> Self:
        """Return an independent pool of the same state.

        Returns
        -------
        OffsetPool
            Storage is shared until one of the two changes; so is the generator of random numbers, always.

        Raises
        ------
        None
            A pool always has an answer.
        """
        self._settle()
        twin = copy.copy(self)
        twin._storage = self._storage.copy()  # noqa: SLF001 - a pool of the same class
        return twin

    def adopt(self, other: Self) -> None:
        """Take the state of a copy of this pool.

        Parameters
        ----------
        other : OffsetPool
            Made by `copy`; independent of this pool afterwards.

        Raises
        ------
        InvalidInput
            It is no copy of this pool.
        """
        if other._header() != self._header():
            raise InvalidInput(f"pool {other._header()!r} is no copy of {self._header()!r}")
        self._settle()
        self._storage = other._slots.copy()
        self._cursor = other._cursor

    # choices ----------------------------------------------------------------------------------------------------

    @property
    def _slots(self) -> Bitmap | SparseSet:
        """The storage, with nothing taken ahead."""
        self._settle()
        return self._storage

    def _settle(self) -> None:
        """Give back what was taken ahead and is not yet granted, and put the cursor where it belongs."""
        self._streak = 0
        if self._lease is None:
            return
        last = int(self._lease[len(self._ahead)]) - self._first
        if self._ahead:
            self._storage.put(np.array(self._ahead, dtype=np.uint64) - np.uint64(self._first))
        if self._strategy == "next":
            self._cursor = last + 1 if last + 1 < self._usable else 0
        self._lease, self._ahead = None, []

    def _make_way(self, slot: int, *, freed: bool = False) -> None:
        """Settle if what was taken ahead may hold a slot, or would have begun with it had it been free."""
        offset = slot + self._first
        if offset <= self._ahead[0] and ((freed and self._strategy == "lowest") or offset >= self._ahead[-1]):
            self._settle()

    def _take_one(self, rng: np.random.Generator | None) -> int:
        """Take one slot by the strategy; -1 when there is none."""
        if self._strategy in ("scan", "sample"):
            return self._take_random(rng or self._generator())
        streak = self._streak + 1
        if self._lease is not None:
            self._settle()
        if streak >= _STREAK and self._take_ahead(streak):
            return self._ahead.pop() - self._first
        self._streak = streak
        storage, band, usable = self._storage, self._band, self._usable
        if self._strategy == "lowest":
            slot = storage.take_first(band, usable)
            return storage.take_first(0, band) if slot < 0 and band else slot
        for start, stop in self._bands():
            slot = storage.take_first(start, stop) if start < stop else -1
            if slot >= 0:
                self._cursor = slot + 1 if slot + 1 < usable else 0
                return slot
        return -1

    def _take_ahead(self, streak: int) -> bool:
        """Take the next choices together, the more the longer single choices have followed each other."""
        start = self._band if self._strategy == "lowest" else max(self._cursor, self._band)
        taken = self._storage.take_stretch(start, self._usable, length=min(16 * streak, _LONGEST_LEASE))
        if not len(taken):
            return False
        self._lease = taken[::-1] + np.uint64(self._first)
        self._ahead = self._lease.tolist()
        self._streak = 16 * streak
        return True

    def _take_random(self, rng: np.random.Generator) -> int:
        """Take a free slot chosen at random by the strategy; -1 when there is none."""
        slots, band = self._storage, self._band
        if slots.used == self._usable:
            return -1
        # the dynamic band can only be full once as many slots are in use as it has
        dynamic = not band or slots.used < self._usable - band or slots.find(band, self._usable) >= 0
        start, stop = (band, self._usable) if dynamic else (0, band)
        if self._strategy == "sample":
            return int(slots.take_sampled(1, start, stop, rng=rng)[0])
        width = stop - start
        at = start + int(
            rng.integers(width) if width < 1 << 63 else rng.integers(0, width - 1, dtype=np.uint64, endpoint=True)
        )
        slot = slots.take_first(at, stop)
        return slot if slot >= 0 else slots.take_first(start, at)

    def _next_many(self, n: int, rng: np.random.Generator | None, order: Order) -> NDArray[np.uint64]:
        """Take up to ``n`` offsets."""
        if n < 0:
            raise InvalidInput(f"n={n}: a number of offsets is 0 or more")
        if order not in ("sequence", "set"):
            raise InvalidInput(f"order {order!r}: expected sequence or set")
        self._settle()
        take = self._chooser(rng, in_order=order == "sequence")
        parts: list[NDArray[np.uint64]] = []
        for start, stop in self._bands():
            if start < stop and n > 0:
                part = take(n, start, stop)
                n -= len(part)
                parts.append(part)
        taken = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype=np.uint64), *parts])
        if self._strategy == "next" and len(taken):
            last = int(taken[-1])
            self._cursor = last + 1 if last + 1 < self._usable else 0
        return self._shifted(taken)

    def _bands(self) -> list[tuple[int, int]]:
        """Return the runs of slots to choose from, in order."""
        band, usable = self._band, self._usable
        if self._strategy != "next":
            return [(band, usable), (0, band)]
        high = max(self._cursor, band)
        # a grant in the dynamic band takes the cursor out of the static one, which is then searched from its start
        low = self._cursor if self._cursor < band and self._storage.find(band, usable) < 0 else 0
        return [(high, usable), (band, high), (low, band), (0, low)]

    def _chooser(self, rng: np.random.Generator | None, *, in_order: bool) -> _Chooser:
        """Return what takes up to n slots in ``[start, stop)`` by the strategy."""
        slots = self._slots
        if self._strategy in ("lowest", "next"):
            return slots.take_lowest
        source = rng or self._generator()

        def sampled(n: int, start: int, stop: int) -> NDArray[np.uint64]:
            taken = slots.take_sampled(n, start, stop, rng=source)
            return source.permutation(taken) if in_order else taken

        def scanned(n: int, start: int, stop: int) -> NDArray[np.uint64]:
            n = min(n, slots.count_free(start, stop))
            # narrow numbers, where they do, are drawn from the same stream twice as fast
            kind: type[np.unsignedinteger] = np.uint32 if stop < 1 << 32 else np.uint64
            starts: NDArray[np.unsignedinteger] = source.integers(0, stop - start - 1, n, dtype=kind, endpoint=True)
            if start:
                starts += kind(start)
            return slots.take_scanned(starts, start, stop, in_order=in_order)

        return sampled if self._strategy == "sample" else scanned

    def _generator(self) -> np.random.Generator:
        """Return the pool's own generator."""
        if self._rng is None:
            raise InvalidInput(
                f"strategy {self._strategy!r} needs random numbers: pass rng=numpy.random.default_rng(seed) "
                f"to the pool or to the call"
            )
        return self._rng

    def _shifted(self, slots: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the offsets of slots, in their place."""
        if self._first:
            slots += np.uint64(self._first)
        return slots

    def _header(self) -> str:
        """Return what a snapshot must fit."""
        kind = "dense" if isinstance(self._storage, Bitmap) else "sparse"
        return f"dsmodel-pool-1 {kind} {self._usable} {self._first}"

    def _span(self) -> str:
        """Say which offsets are usable."""
        if not self._usable:
            return "the pool has no usable offset"
        return f"usable offsets are {self._first} to {self._first + self._usable - 1}"
