"""Blocks whose addresses come back in the order they were released, and who owns which block.

`BlockQueues` promises Calico's order inside a block: addresses are taken from the head of the block's queue, released
ones go to its tail, after a cooldown where one is set. `BlockAffinity` promises its order among blocks: the first block
without an owner from a start on, with wrap; empty blocks of others only when old enough; a limit per owner.

Neither knows nodes, pools or clocks: owners are numbers, and the time of a call is an argument.

Source: projectcalico/calico ``libcalico-go/lib/ipam/{ipam,ipam_block,ipam_block_reader_writer}.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from dsmodel.errors import AlreadyAllocated, InvalidInput, NotInRange, PoolFull, Reason
from dsmodel.pools import probing
from dsmodel.pools.arrivals import Arrivals, row_numbers
from dsmodel.pools.contract import Allocation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["BlockAffinity", "BlockQueues"]

_FREE, _USED, _COOLING = 0, 1, 2
_NOBODY = -1


class BlockQueues:
    """Equal blocks, each with a queue of its free ordinals.

    Parameters
    ----------
    blocks : int
        Number of blocks.
    size : int
        Ordinals of a block, at most 65536.
    cooldown : float
        How long a released ordinal waits before it joins the queue, in the unit of ``now``.

    Raises
    ------
    InvalidInput
        A number out of its range.

    Examples
    --------
    >>> queues = BlockQueues(1, 4)
    >>> queues.allocate_next([0, 0])[0]
    array([0, 1], dtype=uint32)
    >>> queues.release([0], [0])
    array([ True])
    >>> queues.allocate_next([0, 0, 0])[0]
    array([2, 3, 0], dtype=uint32)
    """

    def __init__(self, blocks: int, size: int, *, cooldown: float = 0) -> None:
        if blocks < 0 or not 1 <= size <= 1 << 16:
            raise InvalidInput(f"{blocks} blocks of {size}: expected 0 or more blocks of 1 to 65536 ordinals")
        if cooldown < 0:
            raise InvalidInput(f"cooldown {cooldown}: expected 0 or more")
        self.size = size
        self.cooldown = cooldown
        self._ring = np.tile(np.arange(size, dtype=np.uint16), (blocks, 1))
        self._head = np.zeros(blocks, dtype=np.int64)
        self._length = np.full(blocks, size, dtype=np.int64)
        self._state = np.zeros((blocks, size), dtype=np.uint8)
        self._released = np.zeros((blocks, size if cooldown else 0), dtype=np.float64)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self._head)

    def used_per_block(self) -> NDArray[np.int64]:
        """Return how many ordinals of each block are in use; cooling ones are not.

        Returns
        -------
        ndarray of int64, shape (blocks,)
            0 for a block nobody takes from.

        Raises
        ------
        None
            Always an answer.
        """
        used: NDArray[np.int64] = np.count_nonzero(self._state == _USED, axis=1).astype(np.int64)
        return used

    def free_per_block(self) -> NDArray[np.int64]:
        """Return how many ordinals stand in each block's queue; cooling ones do not.

        Returns
        -------
        ndarray of int64, shape (blocks,)
            What each block can still hand out at once.

        Raises
        ------
        None
            Always an answer.
        """
        return self._length.copy()

    def empty_blocks(self) -> NDArray[np.bool_]:
        """Tell which blocks have nothing in use and nothing cooling.

        Returns
        -------
        ndarray of bool, shape (blocks,)
            True for a block that could change its owner.

        Raises
        ------
        None
            Always an answer.
        """
        empty: NDArray[np.bool_] = self._length == self.size
        return empty

    def queue(self, block: int) -> NDArray[np.uint32]:
        """Return the free ordinals of a block in the order they will be taken.

        Parameters
        ----------
        block : int
            Which block.

        Returns
        -------
        ndarray of uint32
            Head first.

        Raises
        ------
        NotInRange
            There is no such block.

        Examples
        --------
        >>> BlockQueues(1, 3).queue(0)
        array([0, 1, 2], dtype=uint32)
        """
        if not 0 <= block < self.blocks:
            raise NotInRange(f"block {block}: there are blocks 0 to {self.blocks - 1}")
        places = (self._head[block] + np.arange(self._length[block])) % self.size
        ordinals: NDArray[np.uint32] = self._ring[block, places].astype(np.uint32)
        return ordinals

    def allocate_next(
        self, blocks: NDArray[np.integer] | Sequence[int], *, now: float = 0
    ) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
        """Take the head of a block's queue, for many requests in order of arrival.

        Parameters
        ----------
        blocks : array of integers, shape (requests,)
            The block each request asks.
        now : float
            The time; what has cooled down by then joins the queues first.

        Returns
        -------
        tuple of (uint32[requests], bool[requests])
            Ordinals, and whether each request was granted; the ordinal of one that was not is 0.

        Raises
        ------
        InvalidInput
            ``blocks`` is not a 1-D array of integers of this pool's blocks.
        """
        asked = self._known(blocks)
        self.settle(now=now)
        if not len(asked):
            return np.empty(0, dtype=np.uint32), np.empty(0, dtype=bool)
        arrivals = Arrivals.of(asked)
        ok = arrivals.ranks < self._length[asked]
        row, place = asked[ok], (self._head[asked[ok]] + arrivals.ranks[ok]) % self.size
        ordinals = np.zeros(len(asked), dtype=np.uint32)
        ordinals[ok] = self._ring[row, place]
        self._state[row, ordinals[ok]] = _USED
        granted = np.minimum(arrivals.counts, self._length[arrivals.asked])
        self._head[arrivals.asked] = (self._head[arrivals.asked] + granted) % self.size
        self._length[arrivals.asked] -= granted
        return ordinals, ok

    def allocate(
        self, blocks: NDArray[np.integer] | Sequence[int], ordinals: NDArray[np.integer] | Sequence[int]
    ) -> Allocation:
        """Take named ordinals out of the middle of their queues; of equal requests the first wins.

        Parameters
        ----------
        blocks, ordinals : array of integers, shape (requests,)
            What to take.

        Returns
        -------
        Allocation
            OK, ALREADY_ALLOCATED (cooling ones too), or NOT_IN_RANGE.

        Raises
        ------
        InvalidInput
            Not two 1-D arrays of integers of one length.

        Examples
        --------
        >>> queues = BlockQueues(1, 4)
        >>> queues.allocate([0], [2]).ok
        array([ True])
        >>> queues.queue(0)
        array([0, 1, 3], dtype=uint32)
        """
        block, ordinal, inside = self._slots(blocks, ordinals)
        reason = np.where(inside, np.uint8(Reason.ALREADY_ALLOCATED), np.uint8(Reason.NOT_IN_RANGE))
        fresh = self._firsts(block, ordinal, inside)
        fresh[fresh] = self._state[block[fresh], ordinal[fresh]] == _FREE
        reason[fresh] = Reason.OK
        self._state[block[fresh], ordinal[fresh]] = _USED
        touched = np.unique(block[fresh])
        places = (self._head[touched, None] + np.arange(self.size)) % self.size
        lined = np.take_along_axis(self._ring[touched], places, axis=1)
        keep = np.arange(self.size) < self._length[touched, None]
        keep &= np.take_along_axis(self._state[touched], lined.astype(np.intp), axis=1) == _FREE
        order = np.argsort(~keep, axis=1, kind="stable")
        self._ring[touched] = np.take_along_axis(lined, order, axis=1)
        self._head[touched] = 0
        self._length[touched] = keep.sum(axis=1)
        return Allocation.of(reason)

    def release(
        self,
        blocks: NDArray[np.integer] | Sequence[int],
        ordinals: NDArray[np.integer] | Sequence[int],
        *,
        now: float = 0,
    ) -> NDArray[np.bool_]:
        """Give ordinals back to the tails of their queues, in ascending order, or let them cool down first.

        Parameters
        ----------
        blocks, ordinals : array of integers, shape (requests,)
            What to give back; what is not in use is no error.
        now : float
            The time.

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
        >>> queues = BlockQueues(1, 2, cooldown=30)
        >>> taken = queues.allocate_next([0, 0])
        >>> _ = queues.release([0], [1], now=100)
        >>> queues.allocate_next([0], now=129)[1], queues.allocate_next([0], now=130)[1]
        (array([False]), array([ True]))
        """
        block, ordinal, inside = self._slots(blocks, ordinals)
        was = self._firsts(block, ordinal, inside)
        was[was] = self._state[block[was], ordinal[was]] == _USED
        if self.cooldown:
            self._state[block[was], ordinal[was]] = _COOLING
            self._released[block[was], ordinal[was]] = now
        else:
            order = np.lexsort((ordinal[was], block[was]))
            self._append(block[was][order], ordinal[was][order])
        return was

    def settle(self, *, now: float) -> None:
        """Let what has cooled down by now join the queues, earliest release first, then ascending.

        Parameters
        ----------
        now : float
            The time.

        Raises
        ------
        None
            Every input of the declared types has an answer.
        """
        if not self.cooldown:
            return
        block, ordinal = np.nonzero((self._state == _COOLING) & (now - self._released >= self.cooldown))
        order = np.lexsort((ordinal, self._released[block, ordinal], block))
        self._append(block[order], ordinal[order])

    def has(
        self, blocks: NDArray[np.integer] | Sequence[int], ordinals: NDArray[np.integer] | Sequence[int]
    ) -> NDArray[np.bool_]:
        """Tell which ordinals are in use; cooling ones are not.

        Parameters
        ----------
        blocks, ordinals : array of integers, shape (requests,)
            What to look at.

        Returns
        -------
        ndarray of bool, shape (requests,)
            Whether each is in use.

        Raises
        ------
        InvalidInput
            Not two 1-D arrays of integers of one length.
        """
        block, ordinal, inside = self._slots(blocks, ordinals)
        inside[inside] = self._state[block[inside], ordinal[inside]] == _USED
        return inside

    def copy(self) -> Self:
        """Return independent queues of the same state.

        Returns
        -------
        BlockQueues
            Nothing is shared that changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(
            {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in self.__dict__.items()}
        )
        return twin

    def _append(self, block: NDArray[np.integer], ordinal: NDArray[np.integer]) -> None:
        """Put ordinals, grouped by block, at the tails."""
        if not len(block):
            return
        arrivals = Arrivals.of(block)
        place = (self._head[block] + self._length[block] + arrivals.ranks) % self.size
        self._ring[block, place] = ordinal
        self._state[block, ordinal] = _FREE
        self._length[arrivals.asked] += arrivals.counts

    def _known(self, blocks: NDArray[np.integer] | Sequence[int]) -> NDArray[np.integer]:
        """Return blocks, all of which exist."""
        block = row_numbers(blocks, "blocks")
        if len(block) and (int(block.min()) < 0 or int(block.max()) >= self.blocks):
            raise InvalidInput(f"blocks {int(block.min())} to {int(block.max())}: there are 0 to {self.blocks - 1}")
        return block

    def _slots(
        self, blocks: NDArray[np.integer] | Sequence[int], ordinals: NDArray[np.integer] | Sequence[int]
    ) -> tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.bool_]]:
        """Return blocks, ordinals, and where they exist."""
        block, ordinal = row_numbers(blocks, "blocks"), row_numbers(ordinals, "ordinals")
        if len(block) != len(ordinal):
            raise InvalidInput(f"{len(block)} blocks and {len(ordinal)} ordinals: expected one ordinal a block")
        return block, ordinal, (block >= 0) & (block < self.blocks) & (ordinal >= 0) & (ordinal < self.size)

    def _firsts(
        self, block: NDArray[np.integer], ordinal: NDArray[np.integer], inside: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Tell which requests inside are the first for their slot."""
        first = inside.copy()
        keys = block[inside].astype(np.uint64) * np.uint64(self.size) + ordinal[inside].astype(np.uint64)
        first[inside] = probing.first_rows(keys)
        return first


class BlockAffinity:
    """Who owns which block.

    Parameters
    ----------
    blocks : int
        Number of blocks.
    limit : int
        Most blocks of one owner.
    borrow : bool
        Whether an owner may take from blocks of others when no block can be had.

    Raises
    ------
    InvalidInput
        A number out of its range.

    Examples
    --------
    >>> affinity = BlockAffinity(4, limit=2)
    >>> affinity.claim(7, start=3), affinity.claim(7, start=3)
    (3, 0)
    >>> affinity.blocks_of(7)
    array([0, 3])
    """

    def __init__(self, blocks: int, *, limit: int = 20, borrow: bool = True) -> None:
        if blocks < 0 or limit < 1:
            raise InvalidInput(f"{blocks} blocks, limit {limit}: expected 0 or more blocks and a limit of 1 or more")
        self.limit = limit
        self.borrow = borrow
        self._owner = np.full(blocks, _NOBODY, dtype=np.int64)
        self._claimed = np.zeros(blocks, dtype=np.float64)

    @property
    def owner(self) -> NDArray[np.int64]:
        """The owner of each block, -1 for none; a copy."""
        return self._owner.copy()

    def blocks_of(self, owner: int) -> NDArray[np.int64]:
        """Return the blocks of an owner, ascending.

        Parameters
        ----------
        owner : int
            Who claims blocks.

        Returns
        -------
        ndarray of int64
            Empty for an owner without blocks.

        Raises
        ------
        None
            An owner not seen before has none.
        """
        return np.flatnonzero(self._owner == owner)

    def claim(
        self,
        owner: int,
        *,
        start: int = 0,
        now: float = 0,
        empty: NDArray[np.bool_] | None = None,
        reclaim_age: float = 60,
    ) -> int:
        """Take a block for an owner: the first without one from ``start`` on, else an old empty one of another.

        Parameters
        ----------
        owner : int
            Who claims, 0 or more.
        start : int
            Where the walk begins; it wraps.
        now : float
            The time, remembered with the claim.
        empty : ndarray of bool, shape (blocks,), optional
            Which blocks may be taken from their owners because nothing is in them; none when not given.
        reclaim_age : float
            How old a claim must be for that.

        Returns
        -------
        int
            The block, which is the owner's now.

        Raises
        ------
        PoolFull
            The owner is at its limit, or no block can be had; nothing has changed.
        InvalidInput
            ``owner`` is negative.

        Examples
        --------
        >>> import numpy as np
        >>> affinity = BlockAffinity(1)
        >>> affinity.claim(1, now=0)
        0
        >>> affinity.claim(2, now=61, empty=np.array([True]))
        0
        """
        if owner < 0:
            raise InvalidInput(f"owner {owner}: owners are 0 or more")
        if len(self.blocks_of(owner)) >= self.limit:
            raise PoolFull(f"owner {owner} has {self.limit} blocks, the limit; raise the limit or release one")
        walk = self._walk(start)
        fit = walk[self._owner[walk] == _NOBODY]
        if not len(fit) and empty is not None:
            old = empty & (self._owner != owner) & (now - self._claimed >= reclaim_age)
            fit = walk[old[walk]]
        if not len(fit):
            raise PoolFull(f"no block for owner {owner}: all {len(self._owner)} have owners")
        block = int(fit[0])
        self._owner[block], self._claimed[block] = owner, now
        return block

    def assign(self, owner: int, blocks: NDArray[np.integer] | Sequence[int], *, now: float = 0) -> None:
        """Give named blocks to an owner, whatever the limit, as when a cluster's state is read.

        Parameters
        ----------
        owner : int
            Whose they are.
        blocks : array of integers, shape (n,)
            Blocks nobody else owns.
        now : float
            The time of the claim.

        Raises
        ------
        AlreadyAllocated
            Another owner has one of them; nothing has changed.
        InvalidInput
            There is no such block.
        """
        asked = self._known(blocks)
        taken = asked[(self._owner[asked] != _NOBODY) & (self._owner[asked] != owner)]
        if len(taken):
            raise AlreadyAllocated(f"block {int(taken[0])}: owned by {int(self._owner[taken[0]])}; disown it first")
        self._owner[asked], self._claimed[asked] = owner, now

    def disown(self, blocks: NDArray[np.integer] | Sequence[int]) -> None:
        """Leave blocks without an owner.

        Parameters
        ----------
        blocks : array of integers, shape (n,)
            Which blocks.

        Raises
        ------
        InvalidInput
            There is no such block.
        """
        self._owner[self._known(blocks)] = _NOBODY

    def lenders(self, owner: int, free: NDArray[np.integer], *, start: int = 0) -> NDArray[np.int64]:
        """Return the blocks an owner may borrow from, in the order it tries them.

        Parameters
        ----------
        owner : int
            Who borrows.
        free : ndarray of integers, shape (blocks,)
            How many ordinals each block has free.
        start : int
            Where the walk begins; it wraps.

        Returns
        -------
        ndarray of int64
            Blocks of others, or of nobody, with something free; none when borrowing is off.

        Raises
        ------
        None
            Every input of the declared types has an answer.

        Examples
        --------
        >>> affinity = BlockAffinity(3)
        >>> affinity.assign(1, [0])
        >>> affinity.lenders(1, [5, 0, 2], start=1)
        array([2])
        """
        if not self.borrow:
            return np.empty(0, dtype=np.int64)
        walk = self._walk(start)
        lending: NDArray[np.int64] = walk[(self._owner[walk] != owner) & (np.asarray(free)[walk] > 0)]
        return lending

    def copy(self) -> Self:
        """Return an independent record of the same state.

        Returns
        -------
        BlockAffinity
            Nothing is shared that changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._owner, twin._claimed = self._owner.copy(), self._claimed.copy()
        return twin

    def _walk(self, start: int) -> NDArray[np.int64]:
        """Return all blocks from ``start`` on, with wrap."""
        n = len(self._owner)
        walk: NDArray[np.int64] = (start + np.arange(n)) % max(n, 1)
        return walk

    def _known(self, blocks: NDArray[np.integer] | Sequence[int]) -> NDArray[np.integer]:
        """Return blocks, all of which exist."""
        block = row_numbers(blocks, "blocks")
        if len(block) and (int(block.min()) < 0 or int(block.max()) >= len(self._owner)):
            raise InvalidInput(f"blocks {int(block.min())} to {int(block.max())}: there are {len(self._owner)}")
        return block
