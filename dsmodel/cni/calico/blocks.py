"""Blocks of one family: who owns them, what is free in which order, and what rests.

Promises Calico's order inside a block: a new block hands out ascending; a released address goes to the tail, at once
or, with a cooldown, when it has rested long enough; reserved addresses are never handed out by themselves. State is
one row a block, kept in arrays: base address, owner, a ring of free ordinals, the holder of every ordinal.

It does not know which block a node should take from or claim: `dsmodel.cni.calico.claims` and `.plugin` do. Among
addresses of one block whose rest ended between two calls, the lower goes to the tail first.

Source: projectcalico/calico ``libcalico-go/lib/ipam/ipam_block.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from dsmodel.addresses import arrays
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.space import aggregate
from dsmodel.cni.calico.vacancies import Vacancies
from dsmodel.pools.arrivals import Arrivals
from dsmodel.pools.probing import first_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.cni.calico.objects import IPPool

__all__ = ["COOLING", "FREE", "NOBODY", "RESERVED", "UNKNOWN", "BlockTable"]

FREE, RESERVED, COOLING, UNKNOWN = -1, -2, -3, -4
"""Holders that are no node: nobody; never handed out; released and resting; allocated to whom is not known."""

NOBODY = -1
"""The owner of a block that has none."""

WINDOWS_FIRST, WINDOWS_LAST = 3, 1
"""What a Windows node keeps of each IPv4 block. Source: ``libcalico-go/lib/ipam/ipam_types.go``."""


class _Views(NamedTuple):
    """The arrays of a table, one number at a time."""

    head: memoryview[int]
    size: memoryview[int]
    free: memoryview[int]
    used: memoryview[int]
    queue: memoryview[int]
    holder: memoryview[int]


class BlockTable:
    """All blocks of one family.

    Parameters
    ----------
    family : IPFamily
        Of the blocks.
    pools : sequence of IPPool
        What they are cut from, of that family.
    reservations : sequence of Cidr
        Ranges that are not handed out by themselves.
    cooldown : float
        Seconds a released address rests.
    """

    def __init__(
        self, family: IPFamily, pools: Sequence[IPPool], *, reservations: Sequence[Cidr] = (), cooldown: float = 0
    ) -> None:
        self.family = family
        self.pools = tuple(pools)
        self.reservations = tuple(each for each in reservations if each.family is family)
        self.cooldown = cooldown
        self.width = max((pool.block_width for pool in self.pools), default=1)
        self.rows = 0
        self.bases = arrays.empty(0, family)
        self.size = np.zeros(0, np.int32)
        self.pool = np.zeros(0, np.int32)
        self.owner = np.zeros(0, np.int32)
        self.claimed_at = np.zeros(0, np.float64)
        self.empty_since = np.zeros(0, np.float64)
        self.head = np.zeros(0, np.int32)
        self.free = np.zeros(0, np.int32)
        self.used = np.zeros(0, np.int32)
        self.cooling = np.zeros(0, np.int32)
        self.queue = np.zeros((0, self.width), np.uint16)
        self.holder = np.zeros((0, self.width), np.int32)
        self.index: list[int] = []
        self.at: dict[tuple[int, int], int] = {}
        self._resting: list[tuple[NDArray[np.intp], NDArray[np.int64], float]] = []
        self._spare: list[int] = []
        self._lookup: tuple[NDArray[Any], NDArray[np.intp]] | None = None
        self._views: _Views | None = None
        self.vacancies = [Vacancies(each, self.reservations) for each in self.pools]

    def add(
        self,
        pool: NDArray[np.integer],
        index: Sequence[int],
        *,
        owner: NDArray[np.integer],
        windows: NDArray[np.bool_],
        now: float,
    ) -> NDArray[np.intp]:
        """Create blocks that are not there yet.

        Parameters
        ----------
        pool : ndarray of integers, shape (n,)
            Number of each block's pool.
        index : sequence of int
            Which block of its pool.
        owner : ndarray of integers, shape (n,)
            Node that claims it, or `NOBODY`.
        windows : ndarray of bool, shape (n,)
            Whether that node keeps the addresses a Windows node keeps.
        now : float
            Seconds; when it is claimed.

        Returns
        -------
        ndarray of intp, shape (n,)
            Rows of the new blocks.

        Raises
        ------
        None
            The caller asks for different blocks only.
        """
        n = len(index)
        self._reserve_rows(self.rows + n - len(self._spare))
        reused = [self._spare.pop() for _ in range(min(n, len(self._spare)))]
        fresh = range(self.rows, self.rows + n - len(reused))
        rows = np.array([*reused, *fresh], np.intp)
        self.rows += len(fresh)
        self.index.extend([0] * len(fresh))
        widths = np.array([each.block_width for each in self.pools], np.int32)
        self.bases[rows] = self._bases_of(pool, index)
        self.size[rows], self.pool[rows], self.owner[rows] = widths[pool], pool, owner
        self.claimed_at[rows] = self.empty_since[rows] = now
        self.head[rows] = self.used[rows] = self.cooling[rows] = 0
        self.free[rows] = self.size[rows]
        self.queue[rows] = np.arange(self.width, dtype=np.uint16)
        self.holder[rows] = FREE
        for row, key in zip(rows.tolist(), zip(pool.tolist(), index, strict=True), strict=True):
            self.at[key] = row
            self.index[row] = key[1]
            self.vacancies[key[0]].claim(key[1])
        if self.reservations or (windows.any() and self.family is IPFamily.IPV4):
            for row, keeps in zip(rows.tolist(), windows.tolist(), strict=True):
                self.set_queue(row, self._open_ordinals(int(self.pool[row]), self.index[row], windows=keeps))
        self._lookup = None
        return rows

    def open_count(self, pool: int, index: int, *, windows: bool) -> int:
        """Return how many addresses a new block would hand out.

        Parameters
        ----------
        pool, index : int
            Which block.
        windows : bool
            Whether a Windows node claims it.

        Returns
        -------
        int
            Its size less what reservations and Windows keep.

        Raises
        ------
        None
            Every block has an answer.
        """
        if self.reservations:
            return len(self._open_ordinals(pool, index, windows=windows))
        kept = WINDOWS_FIRST + WINDOWS_LAST if windows and self.family is IPFamily.IPV4 else 0
        return self.pools[pool].block_width - kept

    def reserved_ahead(self, pool: int, rows: NDArray[np.intp]) -> int:
        """Return how many addresses reservations take outside the blocks there are.

        Parameters
        ----------
        pool : int
            Of which pool.
        rows : ndarray of intp
            Its blocks.

        Returns
        -------
        int
            0 without reservations.

        Raises
        ------
        None
            Always an answer.
        """
        cidr, count = self.pools[pool].cidr, 0
        held = aggregate([each for each in self.reservations if each.overlaps(cidr)])
        blocks = [self.block(row) for row in rows.tolist()] if held else []
        for each in held:
            count += _common(each, cidr) - sum(_common(each, block) for block in blocks)
        return count

    def set_queue(self, row: int, ordinals: NDArray[np.integer]) -> None:
        """Say what is free in a block, and in which order; ordinals held by nobody and not named are reserved.

        Parameters
        ----------
        row : int
            The block.
        ordinals : ndarray of integers
            Free ones, the next first.

        Raises
        ------
        None
            The caller knows the block.
        """
        left_out = self.holder[row, : self.size[row]] == FREE
        left_out[ordinals] = False
        self.holder[row, : self.size[row]][left_out] = RESERVED
        self.head[row], self.free[row] = 0, len(ordinals)
        self.queue[row, : len(ordinals)] = ordinals

    def load(
        self, row: int, holders: NDArray[np.integer], queue: NDArray[np.integer], *, rested: Mapping[int, float]
    ) -> None:
        """Take over the state a block has in a live cluster.

        Parameters
        ----------
        row : int
            The block.
        holders : ndarray of integers, shape (size,)
            Node of each ordinal, or `FREE`, `RESERVED`, `UNKNOWN`.
        queue : ndarray of integers
            Free ordinals, the next first.
        rested : mapping of int to float
            Ordinals that rest, and since when.

        Raises
        ------
        None
            The caller has checked the block.
        """
        held = holders.astype(np.int32)
        resting = np.array(sorted(rested), np.int64)
        held[resting] = COOLING
        self.holder[row, : len(held)] = held
        self.used[row] = np.count_nonzero((held >= 0) | (held == UNKNOWN))
        self.cooling[row] = len(rested)
        self.set_queue(row, queue)
        for ordinal in resting:
            self._resting.append((np.array([row]), np.array([ordinal]), rested[int(ordinal)]))

    def take(self, rows: NDArray[np.integer], nodes: NDArray[np.integer]) -> NDArray[Any]:
        """Take the next address of blocks for nodes, in order of arrival.

        Parameters
        ----------
        rows : ndarray of integers, shape (n,)
            Block of each request; no more than are free there.
        nodes : ndarray of integers, shape (n,)
            Node of each request.

        Returns
        -------
        address column, shape (n,)
            What each got.

        Raises
        ------
        None
            The caller asks for no more than are free.
        """
        ranks = Arrivals.of(rows).ranks
        ordinals = self.queue[rows, (self.head[rows] + ranks) % self.size[rows]]
        counts = np.bincount(rows, minlength=len(self.head)).astype(np.int32)
        np.mod(self.head + counts, np.maximum(self.size, 1), out=self.head)
        self.free -= counts
        self.used += counts
        self.holder[rows, ordinals] = nodes
        return self.addresses(rows, ordinals)

    def take_one(self, row: int, node: int) -> int:
        """Take the next address of one block.

        Parameters
        ----------
        row : int
            A block with something free.
        node : int
            Whom it is for.

        Returns
        -------
        int
            Its ordinal.

        Raises
        ------
        None
            The caller asks where something is free.
        """
        views = self._scalars()
        head, size = views.head[row], views.size[row]
        ordinal: int = views.queue[row * self.width + head]
        views.head[row] = head + 1 if head + 1 < size else 0
        views.free[row] -= 1
        views.used[row] += 1
        views.holder[row * self.width + ordinal] = node
        return ordinal

    def free_of(self, row: int) -> int:
        """Return how many addresses of one block are free.

        Parameters
        ----------
        row : int
            Which.

        Returns
        -------
        int
            The same as ``free[row]``, quicker for one.

        Raises
        ------
        None
            The caller knows the block.
        """
        return int(self._scalars().free[row])

    def addresses(self, rows: NDArray[np.integer], ordinals: NDArray[np.integer]) -> NDArray[Any]:
        """Return the addresses of ordinals.

        Parameters
        ----------
        rows, ordinals : ndarray of integers, shape (n,)
            Block and ordinal.

        Returns
        -------
        address column, shape (n,)
            Bases are aligned, so joining is adding.

        Raises
        ------
        None
            The caller knows the blocks.
        """
        column: NDArray[Any] = self.bases[rows]
        if self.family is IPFamily.IPV4:
            return np.asarray(column | ordinals.astype(np.uint32))
        column["lo"] |= ordinals.astype(np.uint64)
        return column

    def locate(self, column: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Find the block and the ordinal of addresses.

        Parameters
        ----------
        column : address column, shape (n,)
            Of the family.

        Returns
        -------
        tuple of ndarray of intp, ndarray of int64, shape (n,)
            Row of the block, -1 where there is none, and ordinal.

        Raises
        ------
        InvalidAddress
            The column is of the other family.
        """
        if self._lookup is None:
            alive = np.array(sorted(self.at.values()), np.intp)
            order = alive[arrays.argsort(self.bases[alive])]
            self._lookup = self.bases[order], order
        bases, order = self._lookup
        place = arrays.search_sorted(bases, column, side="right") - 1
        rows = np.where(place >= 0, order[np.maximum(place, 0)] if len(order) else -1, -1)
        ordinals = np.zeros(len(column), np.int64)
        known = np.flatnonzero(rows >= 0)
        distance = arrays.subtract(column[known], self.bases[rows[known]])
        near = distance if self.family is IPFamily.IPV4 else np.where(distance["hi"] > 0, self.width, distance["lo"])
        ordinals[known] = np.minimum(near, self.width).astype(np.int64)
        rows[known[ordinals[known] >= self.size[rows[known]]]] = -1
        return rows, ordinals

    def release(self, rows: NDArray[np.integer], ordinals: NDArray[np.int64], *, now: float) -> NDArray[np.bool_]:
        """Give addresses back, one after the other.

        Parameters
        ----------
        rows : ndarray of integers, shape (n,)
            Block of each, or -1 for an address without one.
        ordinals : ndarray of int64, shape (n,)
            Which address of the block.
        now : float
            Seconds; when.

        Returns
        -------
        ndarray of bool, shape (n,)
            Whether each was allocated; of equal rows only the first.

        Raises
        ------
        None
            Addresses that are free are no error.
        """
        was = rows >= 0
        holders = self.holder[rows[was], ordinals[was]]
        was[was] = (holders >= 0) | (holders == UNKNOWN)
        keys = rows[was].astype(np.uint64) * np.uint64(self.width) + ordinals[was].astype(np.uint64)
        was[was] = first_rows(keys)
        where, which = rows[was].astype(np.intp), ordinals[was]
        counts = np.bincount(where, minlength=len(self.head)).astype(np.int32)
        self.used -= counts
        if self.cooldown > 0:
            self.holder[where, which] = COOLING
            self.cooling += counts
            self._resting.append((where, which, now))
        else:
            self._append(where, which)
        self._tidy(np.unique(where), now)
        return was

    def release_one(self, row: int, ordinal: int, *, now: float) -> None:
        """Give one allocated address of a block back.

        Parameters
        ----------
        row, ordinal : int
            Which.
        now : float
            Seconds; when.

        Raises
        ------
        None
            The caller has just taken it.
        """
        if self.cooldown > 0:
            self.release(np.array([row]), np.array([ordinal]), now=now)
            return
        views = self._scalars()
        tail = (views.head[row] + views.free[row]) % views.size[row]
        views.queue[row * self.width + tail] = ordinal
        views.holder[row * self.width + ordinal] = FREE
        views.free[row] += 1
        views.used[row] -= 1
        if views.used[row] == 0:
            self._tidy(np.array([row]), now)

    def rest(self, now: float) -> None:
        """Put addresses that have rested long enough at the tail of their blocks.

        Parameters
        ----------
        now : float
            Seconds.

        Raises
        ------
        None
            Nothing rests where there is no cooldown.
        """
        ready = [entry for entry in self._resting if entry[2] + self.cooldown <= now]
        if not ready:
            return
        self._resting = [entry for entry in self._resting if entry[2] + self.cooldown > now]
        rows = np.concatenate([entry[0] for entry in ready])
        ordinals = np.concatenate([entry[1] for entry in ready])
        order = np.lexsort((ordinals, rows))
        self._append(rows[order], ordinals[order])
        self.cooling -= np.bincount(rows, minlength=len(self.head)).astype(np.int32)
        self._tidy(np.unique(rows), now)

    def disown(self, rows: NDArray[np.integer]) -> None:
        """Take blocks from their owners; empty ones go.

        Parameters
        ----------
        rows : ndarray of integers
            Which.

        Raises
        ------
        None
            A block without an owner is no error.
        """
        self.owner[rows] = NOBODY
        self._tidy(np.asarray(rows, np.intp), 0.0)

    def own_rows(self, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return blocks by owner and, within one, by the text of their names.

        Parameters
        ----------
        chosen : ndarray of bool, shape (rows,)
            Which blocks; all have an owner.

        Returns
        -------
        ndarray of intp
            Rows.

        Raises
        ------
        None
            Always an answer.
        """
        owned = np.flatnonzero(chosen)
        owned = owned[np.argsort(self.owner[owned], kind="stable")]
        owners = self.owner[owned]
        several = np.zeros(len(owned), np.bool_)
        several[1:] |= owners[1:] == owners[:-1]
        several[:-1] |= owners[1:] == owners[:-1]
        places = np.flatnonzero(several)
        owned[places] = sorted(owned[places].tolist(), key=lambda row: (int(self.owner[row]), self.name_of(row)))
        return owned

    def block(self, row: int) -> Cidr:
        """Return the CIDR of a block.

        Parameters
        ----------
        row : int
            Which.

        Returns
        -------
        Cidr
            Of the pool's block size.

        Raises
        ------
        None
            The caller knows the block.
        """
        pool = self.pools[int(self.pool[row])]
        return pool.cidr.subnet(self.index[row], pool.block_size)

    def name_of(self, row: int) -> str:
        """Return the name of a block's object, which is what the datastore sorts by.

        Parameters
        ----------
        row : int
            Which.

        Returns
        -------
        str
            The CIDR with ``.``, ``:`` and ``/`` written as ``-``.

        Raises
        ------
        None
            The caller knows the block.
        """
        return str(self.block(row)).replace(".", "-").replace(":", "-").replace("/", "-")

    def copy(self) -> Self:
        """Return an independent table of the same state.

        Returns
        -------
        BlockTable
            Nothing is shared that changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        for name, value in vars(self).items():
            setattr(twin, name, value.copy() if isinstance(value, np.ndarray | list | dict) else value)
        twin._views = None
        twin.vacancies = [each.copy() for each in self.vacancies]
        return twin

    def _scalars(self) -> _Views:
        """Return the arrays as one number at a time is read and written, several times quicker than through numpy."""
        if self._views is None:
            columns = (self.head, self.size, self.free, self.used, self.queue, self.holder)
            self._views = _Views(*(each.reshape(-1).data for each in columns))
        return self._views

    def _append(self, rows: NDArray[np.integer], ordinals: NDArray[np.integer]) -> None:
        """Put ordinals at the tails of their blocks, in order of arrival."""
        arrivals = Arrivals.of(rows)
        places = (self.head[rows] + self.free[rows] + arrivals.ranks) % self.size[rows]
        self.queue[rows, places] = ordinals
        self.holder[rows, ordinals] = FREE
        self.free += np.bincount(rows, minlength=len(self.head)).astype(np.int32)

    def _tidy(self, rows: NDArray[np.intp], now: float) -> None:
        """Note blocks that have become empty, and delete those of nobody."""
        empty = rows[(self.used[rows] == 0) & (self.cooling[rows] == 0)]
        self.empty_since[empty] = now
        gone = empty[self.owner[empty] == NOBODY].tolist()
        for row in gone:
            del self.at[int(self.pool[row]), self.index[row]]
            self.vacancies[int(self.pool[row])].give_up(self.index[row])
        if gone:
            self.free[gone] = 0
            self._spare.extend(gone)
            self._lookup = None

    def _reserve_rows(self, rows: int) -> None:
        """Make room for this many rows."""
        room = len(self.head)
        if rows <= room:
            return
        more = max(rows, 2 * room) - room
        for name in ("bases", "size", "pool", "owner", "claimed_at", "empty_since", "head", "free", "used", "cooling"):
            old = getattr(self, name)
            blank = NOBODY if name == "owner" else 0
            setattr(self, name, np.concatenate((old, np.full(more, blank, old.dtype))))
        self._views = None
        self.queue = np.concatenate((self.queue, np.zeros((more, self.width), np.uint16)))
        self.holder = np.concatenate((self.holder, np.full((more, self.width), FREE, np.int32)))

    def _bases_of(self, pool: NDArray[np.integer], index: Sequence[int]) -> NDArray[Any]:
        """Return first addresses of blocks."""
        firsts = [each.cidr.first for each in self.pools]
        bits = [self.family.bits - each.block_size for each in self.pools]
        numbers = (firsts[p] + (i << bits[p]) for p, i in zip(pool.tolist(), index, strict=True))
        return arrays.from_integers(numbers, family=self.family)

    def _open_ordinals(self, pool: int, index: int, *, windows: bool) -> NDArray[np.int64]:
        """Return the ordinals of a new block that may be handed out."""
        cut = self.pools[pool]
        block = cut.cidr.subnet(index, cut.block_size)
        open_ = np.ones(cut.block_width, np.bool_)
        for reserved in self.reservations:
            if reserved.overlaps(block):
                low, high = max(reserved.first, block.first), min(reserved.last, block.last)
                open_[low - block.first : high - block.first + 1] = False
        if windows and self.family is IPFamily.IPV4:
            open_[:WINDOWS_FIRST] = open_[-WINDOWS_LAST:] = False
        return np.flatnonzero(open_)


def _common(one: Cidr, other: Cidr) -> int:
    """Return how many addresses two ranges share: they are apart, or one lies in the other."""
    return min(one.size, other.size) if one.overlaps(other) else 0
