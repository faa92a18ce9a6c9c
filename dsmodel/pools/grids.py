"""Many equal ranges at once: one row per node, each with its own cursor, as the host-local plugin keeps them.

Promises that a batch in arrival order gives every request what one request after the other would get: the first free
ordinal from the row's cursor on, with wrap; the cursor then stands behind it. Rows up to 65,536 wide are bits of one
2-D word array (256 addresses: 32 bytes a node); wider rows, an IPv6 /64 each, are kept as runs.

It does not know nodes, addresses or containers; an *ordinal* is the place of an address in its row's range.

Source: containernetworking/plugins ``plugins/ipam/host-local/backend/allocator/allocator.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from dsmodel.errors import InvalidInput, Reason
from dsmodel.pools import probing
from dsmodel.pools.arrivals import Arrivals, row_numbers
from dsmodel.pools.contract import Allocation
from dsmodel.pools.runs import RunRows
from dsmodel.pools.words import WordRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["RangeGrid"]

_WIDEST_BITS = 1 << 16
_REACH = 1 << 32
"""Ordinals of a row that can be used. A cursor at one address a second takes 136 years to get there."""


class RangeGrid:
    """Equal ranges side by side, each with a cursor.

    Parameters
    ----------
    rows : int
        Number of ranges, below 2**31.
    width : int
        Addresses of each, up to 2**64; of wider rows only the first 2**32 are handed out.
    reserve_first, reserve_last : int
        How many ordinals at each end are never handed out.
    reserved : sequence of int
        Further ordinals that are never handed out, for instance the gateway.

    Raises
    ------
    InvalidInput
        A number out of its range.

    Examples
    --------
    >>> grid = RangeGrid(2, 256, reserve_first=1, reserve_last=1, reserved=[1])
    >>> ordinals, ok = grid.allocate_next([1, 0, 1])
    >>> ordinals
    array([2, 2, 3], dtype=uint32)
    >>> grid.used_per_row()
    array([1, 2])
    """

    def __init__(
        self, rows: int, width: int, *, reserve_first: int = 0, reserve_last: int = 0, reserved: Sequence[int] = ()
    ) -> None:
        if not 0 <= rows < 1 << 31:
            raise InvalidInput(f"{rows} rows: a grid has 0 to 2**31 - 1")
        if not 1 <= width <= 1 << 64:
            raise InvalidInput(f"width {width}: a row has 1 to 2**64 ordinals")
        if reserve_first < 0 or reserve_last < 0:
            raise InvalidInput("reserve_first and reserve_last are 0 or more")
        self._width = width
        self._low = min(reserve_first, width, _REACH)
        self._high = max(self._low, min(width - reserve_last, _REACH))
        self._top = max(self._low, width - reserve_last)
        self._reserved = np.unique(
            np.array([place for place in reserved if self._low <= place < self._high], dtype=np.uint32)
        )
        storage = WordRows if width <= _WIDEST_BITS else RunRows
        self._slots: WordRows | RunRows = storage(rows, low=self._low, high=self._high, reserved=self._reserved)
        self._cursor = np.full(rows, self._first_cursor(), dtype=np.uint32)
        self._shared = False

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self._slots.rows

    @property
    def width(self) -> int:
        """Ordinals of a row, usable or not."""
        return self._width

    @property
    def usable(self) -> int:
        """Ordinals of a row that may be handed out."""
        return self._top - self._low - len(self._reserved)

    @property
    def used(self) -> int:
        """Ordinals in use, over all rows."""
        return int(self.used_per_row().sum())

    @property
    def cursor(self) -> NDArray[np.uint32]:
        """Where each row looks first; a copy."""
        return self._cursor.copy()

    @property
    def nbytes(self) -> int:
        """Bytes of state: occupancy and cursors."""
        return self._slots.nbytes + self._cursor.nbytes

    def used_per_row(self) -> NDArray[np.int64]:
        """Return how many ordinals of each row are in use.

        Returns
        -------
        ndarray of int64, shape (rows,)
            Without what is reserved.

        Raises
        ------
        None
            A grid always has an answer.
        """
        return self._slots.used() - len(self._reserved)

    def free_per_row(self) -> NDArray[np.uint64]:
        """Return how many ordinals of each row may still be handed out.

        Returns
        -------
        ndarray of uint64, shape (rows,)
            Counting all of a wide row; 2**64 - 1 stands for 2**64 as well.

        Raises
        ------
        None
            A grid always has an answer.
        """
        return np.uint64(min(self.usable, (1 << 64) - 1)) - self.used_per_row().astype(np.uint64)

    def allocate_next(
        self, rows: Arrivals | NDArray[np.integer] | Sequence[int]
    ) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
        """Take the next free ordinal of a row, for many requests in order of arrival.

        Parameters
        ----------
        rows : array of integers, shape (requests,), or Arrivals
            The row each request asks; any order, repeats welcome. Who asks several grids for the same requests, one
            per family, counts them once: ``Arrivals.of(rows)``.

        Returns
        -------
        tuple of (uint32[requests], bool[requests])
            Ordinals, and whether each request was granted: not when its row is full or there is no such row. The
            ordinal of a request not granted is 0.

        Raises
        ------
        InvalidInput
            ``rows`` is not a 1-D array of integers.

        Examples
        --------
        >>> RangeGrid(1, 2).allocate_next([0, 0, 0])
        (array([0, 1, 0], dtype=uint32), array([ True,  True, False]))
        """
        arrivals = rows if isinstance(rows, Arrivals) else Arrivals.of(rows)
        n = len(arrivals.rows)
        if arrivals.lowest < 0 or (len(arrivals.asked) and int(arrivals.asked[-1]) >= self.rows):
            inside = (arrivals.rows >= 0) & (arrivals.rows < self.rows)
            ordinals, ok = np.zeros(n, dtype=np.uint32), np.zeros(n, dtype=bool)
            ordinals[inside], ok[inside] = self.allocate_next(arrivals.rows[inside])
            return ordinals, ok
        asked, counts = arrivals.asked, arrivals.counts
        if not len(asked):
            return np.empty(0, dtype=np.uint32), np.empty(0, dtype=bool)
        self._own()
        cursors = self._cursor[asked].astype(np.int64)
        granted, straight, flat = self._slots.take_next(asked, counts, cursors)
        ordinals = self._cursor[arrivals.rows]
        ordinals += arrivals.ranks
        ok = np.ones(n, dtype=bool)
        last = cursors + granted - 1
        if not straight.all():
            bent = ~straight
            ends = np.cumsum(granted[bent])
            last[bent] = np.append(flat, np.uint32(0))[ends - 1]
            _scatter(arrivals, (asked[bent], granted[bent], ends), flat, ordinals=ordinals, ok=ok)
        some = granted > 0
        self._cursor[asked[some]] = self._behind(last[some])
        return ordinals, ok

    def allocate(
        self, rows: NDArray[np.integer] | Sequence[int], ordinals: NDArray[np.integer] | Sequence[int]
    ) -> Allocation:
        """Take named ordinals, first request first; each row's cursor then stands behind its last grant.

        Parameters
        ----------
        rows, ordinals : array of integers, shape (requests,)
            What to take.

        Returns
        -------
        Allocation
            OK, ALREADY_ALLOCATED, or NOT_IN_RANGE for what is reserved or outside.

        Raises
        ------
        InvalidInput
            Not two 1-D arrays of integers of one length.

        Examples
        --------
        >>> grid = RangeGrid(1, 8)
        >>> grid.allocate([0, 0], [5, 5]).reason
        array([0, 2], dtype=uint8)
        >>> grid.cursor
        array([6], dtype=uint32)
        """
        row, ordinal, inside = self._slots_asked(rows, ordinals)
        reason = np.full(len(row), Reason.NOT_IN_RANGE, dtype=np.uint8)
        granted = inside & self._first_of(row, ordinal, inside)
        granted[granted] = ~self._slots.has(row[granted], ordinal[granted])
        reason[inside] = Reason.ALREADY_ALLOCATED
        reason[granted] = Reason.OK
        self._own()
        self._slots.flip(row[granted], ordinal[granted])
        self._cursor[row[granted]] = self._behind(ordinal[granted])
        return Allocation.of(reason)

    def occupy(
        self, rows: NDArray[np.integer] | Sequence[int], ordinals: NDArray[np.integer] | Sequence[int]
    ) -> Allocation:
        """Mark ordinals as in use, whether they were or not; no cursor moves.

        Parameters
        ----------
        rows, ordinals : array of integers, shape (requests,)
            What to mark.

        Returns
        -------
        Allocation
            OK, or NOT_IN_RANGE for what is reserved or outside.

        Raises
        ------
        InvalidInput
            Not two 1-D arrays of integers of one length.

        Examples
        --------
        >>> RangeGrid(1, 8).occupy([0, 3], [5, 5]).ok
        array([ True, False])
        """
        row, ordinal, inside = self._slots_asked(rows, ordinals)
        fresh = inside & self._first_of(row, ordinal, inside)
        fresh[fresh] = ~self._slots.has(row[fresh], ordinal[fresh])
        self._own()
        self._slots.flip(row[fresh], ordinal[fresh])
        return Allocation.of(np.where(inside, np.uint8(Reason.OK), np.uint8(Reason.NOT_IN_RANGE)))

    def release(
        self, rows: NDArray[np.integer] | Sequence[int], ordinals: NDArray[np.integer] | Sequence[int]
    ) -> NDArray[np.bool_]:
        """Give ordinals back; one that is free, reserved or outside is no error. No cursor moves.

        Parameters
        ----------
        rows, ordinals : array of integers, shape (requests,)
            What to give back.

        Returns
        -------
        ndarray of bool, shape (requests,)
            Whether each was in use; of equal requests only the first.

        Raises
        ------
        InvalidInput
            Not two 1-D arrays of integers of one length.

        Examples
        --------
        >>> grid = RangeGrid(1, 8)
        >>> taken = grid.allocate_next([0])
        >>> grid.release([0, 0], [0, 1])
        array([ True, False])
        """
        row, ordinal, inside = self._slots_asked(rows, ordinals)
        was = inside & self._first_of(row, ordinal, inside)
        was[was] = self._slots.has(row[was], ordinal[was])
        self._own()
        self._slots.flip(row[was], ordinal[was])
        return was

    def has(
        self, rows: NDArray[np.integer] | Sequence[int], ordinals: NDArray[np.integer] | Sequence[int]
    ) -> NDArray[np.bool_]:
        """Tell which ordinals are in use; what is reserved or outside is not.

        Parameters
        ----------
        rows, ordinals : array of integers, shape (requests,)
            What to look at.

        Returns
        -------
        ndarray of bool, shape (requests,)
            Whether each is in use.

        Raises
        ------
        InvalidInput
            Not two 1-D arrays of integers of one length.

        Examples
        --------
        >>> RangeGrid(1, 8).has([0], [3])
        array([False])
        """
        row, ordinal, inside = self._slots_asked(rows, ordinals)
        inside[inside] = self._slots.has(row[inside], ordinal[inside])
        return inside

    def used_slots(
        self, rows: NDArray[np.integer] | Sequence[int] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """Return row and ordinal of everything in use.

        Parameters
        ----------
        rows : array of integers, optional
            Only these rows; all when not given.

        Returns
        -------
        tuple of (int64[used], uint32[used])
            Rows and ordinals, ascending.

        Raises
        ------
        InvalidInput
            A row outside the grid.

        Examples
        --------
        >>> grid = RangeGrid(2, 8)
        >>> taken = grid.allocate_next([1, 1])
        >>> grid.used_slots()
        (array([1, 1]), array([0, 1], dtype=uint32))
        """
        asked = np.arange(self.rows) if rows is None else np.unique(self._known(rows))
        at, ordinals = self._slots.slots(asked.astype(np.intp))
        keep = ~np.isin(ordinals, self._reserved) if len(self._reserved) else np.ones(len(at), dtype=bool)
        return asked[at[keep]].astype(np.int64), ordinals[keep]

    def clear_rows(self, rows: NDArray[np.integer] | Sequence[int]) -> None:
        """Give back everything in some rows and put their cursors to the start, as for a new node.

        Parameters
        ----------
        rows : array of integers, shape (n,)
            Which rows.

        Raises
        ------
        InvalidInput
            A row outside the grid.
        """
        asked = self._known(rows)
        used_rows, ordinals = self.used_slots(asked)
        self.release(used_rows, ordinals)
        self._cursor[asked] = self._first_cursor()

    def add_rows(self, n: int) -> None:
        """Append rows with nothing in use.

        Parameters
        ----------
        n : int
            How many.

        Raises
        ------
        InvalidInput
            Negative, or more than 2**31 - 1 rows in all.
        """
        if n < 0 or self.rows + n >= 1 << 31:
            raise InvalidInput(f"{n} more rows: a grid has 0 to 2**31 - 1, and this one has {self.rows}")
        self._own()
        self._slots.add_rows(n, self._reserved)
        self._cursor = np.concatenate([self._cursor, np.full(n, self._first_cursor(), dtype=np.uint32)])

    def set_cursor(
        self, rows: NDArray[np.integer] | Sequence[int], ordinals: NDArray[np.integer] | Sequence[int]
    ) -> None:
        """Say where rows look first.

        Parameters
        ----------
        rows, ordinals : array of integers, shape (n,)
            Row and ordinal; one outside what may be handed out stands for the start of the row.

        Raises
        ------
        InvalidInput
            A row outside the grid, or not two arrays of one length.

        Examples
        --------
        >>> grid = RangeGrid(1, 8)
        >>> grid.set_cursor([0], [6])
        >>> grid.allocate_next([0, 0, 0])[0]
        array([6, 7, 0], dtype=uint32)
        """
        row, ordinal = self._known(rows), row_numbers(ordinals, "ordinals")
        if len(row) != len(ordinal):
            raise InvalidInput(f"{len(row)} rows and {len(ordinal)} ordinals: expected one ordinal a row")
        self._own()
        inside = (ordinal >= self._low) & (ordinal < self._high)
        self._cursor[row] = np.where(inside, ordinal, self._first_cursor()).astype(np.uint32)

    def snapshot(self) -> bytes:
        """Return the whole state as bytes.

        Returns
        -------
        bytes
            The same for the same state.

        Raises
        ------
        None
            A grid always has an answer.
        """
        return self._header() + self._cursor.astype("<u4").tobytes() + self._slots.to_bytes()

    def restore(self, snapshot: bytes) -> None:
        """Take the state a snapshot holds.

        Parameters
        ----------
        snapshot : bytes
            From a grid of the same shape.

        Raises
        ------
        InvalidInput
            It is no snapshot, or of another grid; nothing has changed.
        """
        header = self._header()
        if not snapshot.startswith(header):
            raise InvalidInput(f"snapshot {snapshot[:60]!r} does not fit a grid {header!r}")
        cut = len(header) + 4 * self.rows
        self._own()
        self._slots.load_bytes(snapshot[cut:])
        self._cursor = np.frombuffer(snapshot[len(header) : cut], dtype="<u4").astype(np.uint32)

    def copy(self) -> Self:
        """Return an independent grid of the same state.

        Returns
        -------
        RangeGrid
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            A grid always has an answer.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._shared = self._shared = True
        return twin

    def adopt(self, other: Self) -> None:
        """Take the state of a copy of this grid.

        Parameters
        ----------
        other : RangeGrid
            Made by `copy`; independent of this grid afterwards.

        Raises
        ------
        None
            Every input of the declared types has an answer.
        """
        self.__dict__.update(other.copy().__dict__)

    def _own(self) -> None:
        """Make the storage ours alone to write."""
        if self._shared:
            self._slots, self._cursor, self._shared = self._slots.copy(), self._cursor.copy(), False

    def _first_cursor(self) -> int:
        """Return the first ordinal that may be handed out."""
        first = self._low
        for place in self._reserved.tolist():
            if place != first:
                break
            first += 1
        return first if first < self._high else self._low

    def _behind(self, ordinals: NDArray[np.integer]) -> NDArray[np.uint32]:
        """Return where a cursor stands after these grants."""
        after = ordinals.astype(np.int64) + 1
        return np.where(after < self._high, after, self._low).astype(np.uint32)

    def _known(self, rows: NDArray[np.integer] | Sequence[int]) -> NDArray[np.integer]:
        """Return rows, all of which the grid has."""
        row = row_numbers(rows, "rows")
        if len(row) and (int(row.min()) < 0 or int(row.max()) >= self.rows):
            raise InvalidInput(f"rows {int(row.min())} to {int(row.max())}: the grid has rows 0 to {self.rows - 1}")
        return row

    def _slots_asked(
        self, rows: NDArray[np.integer] | Sequence[int], ordinals: NDArray[np.integer] | Sequence[int]
    ) -> tuple[NDArray[np.intp], NDArray[np.integer], NDArray[np.bool_]]:
        """Return rows, ordinals, and where they may be handed out."""
        row, ordinal = row_numbers(rows, "rows"), row_numbers(ordinals, "ordinals")
        if len(row) != len(ordinal):
            raise InvalidInput(f"{len(row)} rows and {len(ordinal)} ordinals: expected one ordinal a row")
        inside = (row >= 0) & (row < self.rows) & (ordinal >= self._low) & (ordinal < self._high)
        if len(self._reserved):
            inside &= ~np.isin(ordinal, self._reserved)
        return row.astype(np.intp, copy=False), ordinal, inside

    def _first_of(
        self, row: NDArray[np.intp], ordinal: NDArray[np.integer], inside: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Tell which requests inside are the first for their slot."""
        first = np.zeros(len(row), dtype=bool)
        keys = row[inside].astype(np.uint64) * np.uint64(self._high) + ordinal[inside].astype(np.uint64)
        first[inside] = probing.first_rows(keys)
        return first

    def _header(self) -> bytes:
        """Return what a snapshot must fit."""
        reserved = ",".join(map(str, self._reserved.tolist()))
        return f"dsmodel-grid-1 {self.rows} {self._width} {self._low} {self._high} {reserved}\n".encode()

    def __repr__(self) -> str:
        """Return the shape and what is used."""
        return f"<RangeGrid {self.rows} x {self._width}, {self.used} used>"


def _scatter(
    arrivals: Arrivals,
    bent: tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]],
    flat: NDArray[np.uint32],
    *,
    ordinals: NDArray[np.uint32],
    ok: NDArray[np.bool_],
) -> None:
    """Give the requests of the bent rows (rows, grants, end of each in ``flat``) what their rows granted."""
    rows, granted, ends = bent
    if len(rows) == len(arrivals.asked) and len(rows) * 4 < int(rows[-1]):
        asking = np.arange(len(arrivals.rows))
        row = np.searchsorted(rows, arrivals.rows)
    else:
        place = np.full(int(arrivals.asked[-1]) + 1, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        asking = np.flatnonzero(place[arrivals.rows] >= 0)
        row = place[arrivals.rows[asking]]
    rank = arrivals.ranks[asking].astype(np.int64)
    hit = rank < granted[row]
    ordinals[asking] = 0
    ordinals[asking[hit]] = flat[(ends - granted)[row[hit]] + rank[hit]]
    ok[asking] = hit
