"""Which block indexes of a pool have no block yet, and the walk that finds one.

Promises the first index without a block from a start on, with wrap, skipping blocks that reservations cover whole. A
pool of up to 2**22 blocks is a byte each, searched by the C library; a wider one, which no cluster fills, keeps a set.

Source: projectcalico/calico ``libcalico-go/lib/ipam/ipam_block_reader_writer.go``,
findUsableBlock and randomBlockGenerator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dsmodel.addresses.space import aggregate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.cni.calico.objects import IPPool

__all__ = ["DENSE_BLOCKS", "Vacancies"]

DENSE_BLOCKS = 1 << 22


class Vacancies:
    """The block indexes of one pool that may be claimed.

    Parameters
    ----------
    pool : IPPool
        The pool.
    reservations : sequence of Cidr
        Of the pool's family; a block they cover whole is never claimed.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import Cidr
    >>> from dsmodel.cni.calico.objects import IPPool
    >>> vacancies = Vacancies(IPPool("a", Cidr("10.0.0.0/24"), 26), [Cidr("10.0.0.64/26")])
    >>> vacancies.claim(3)
    >>> vacancies.first(3), vacancies.first(1)
    (0, 2)
    """

    def __init__(self, pool: IPPool, reservations: Sequence[Cidr] = ()) -> None:
        self.blocks = pool.blocks
        bits = pool.cidr.family.bits - pool.block_size
        self._covered = []
        for each in aggregate(list(reservations)):
            if each.overlaps(pool.cidr):
                high = (min(each.last, pool.cidr.last) - pool.cidr.first + 1) >> bits
                low = -(-(max(each.first, pool.cidr.first) - pool.cidr.first) // (1 << bits))
                if low < high:
                    self._covered.append((low, high))
        self._claimed: set[int] = set()
        self._flags: bytearray | None = None
        if self.blocks <= DENSE_BLOCKS:
            self._flags = bytearray(self.blocks)
            for low, high in self._covered:
                self._flags[low:high] = b"\1" * (high - low)

    def claim(self, index: int) -> None:
        """Note that there is a block now.

        Parameters
        ----------
        index : int
            Which.

        Raises
        ------
        None
            Claiming twice is no error.
        """
        if self._flags is None:
            self._claimed.add(index)
        else:
            self._flags[index] = 1

    def give_up(self, index: int) -> None:
        """Note that the block is gone.

        Parameters
        ----------
        index : int
            Which.

        Raises
        ------
        None
            A block that was not there is no error.
        """
        if self._flags is None:
            self._claimed.discard(index)
        else:
            self._flags[index] = self._is_covered(index)

    def first(self, start: int) -> int:
        """Find the next index without a block.

        Parameters
        ----------
        start : int
            Where to look first.

        Returns
        -------
        int
            The index; -1 when every block is there.

        Raises
        ------
        None
            Every start inside the pool has an answer.
        """
        if self._flags is not None:
            found = self._flags.find(0, start)
            return found if found >= 0 else self._flags.find(0, 0, start)
        return self._walk(start)

    @property
    def free(self) -> int:
        """Blocks that may still be claimed: neither there nor covered by reservations."""
        if self._flags is not None:
            return self._flags.count(0)
        covered = sum(high - low for low, high in self._covered)
        return self.blocks - covered - sum(not self._is_covered(index) for index in self._claimed)

    def copy(self) -> Self:
        """Return independent vacancies of the same state.

        Returns
        -------
        Vacancies
            Nothing is shared that changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.blocks, twin._covered = self.blocks, self._covered
        twin._flags = None if self._flags is None else self._flags.copy()
        twin._claimed = self._claimed.copy()
        return twin

    def _walk(self, start: int) -> int:
        """Find the next index without a block in a wide pool, reserved stretches at one step."""
        index, wrapped = start, False
        while True:
            following = next((high for low, high in self._covered if low <= index < high), 0)
            if not following:
                if index not in self._claimed:
                    return index
                following = index + 1
            if following >= self.blocks and not wrapped:
                following, wrapped = 0, True
            if wrapped and following >= start:
                return -1
            index = following

    def _is_covered(self, index: int) -> bool:
        """Tell whether reservations cover a block whole."""
        return any(low <= index < high for low, high in self._covered)
