"""The pod addresses of every node, one family at a time, as the host-local plugin hands them out.

A `PodBlocks` holds one `RangeGrid` for each prefix length among the nodes' blocks, and for each node the grid and the
row its block lives in; a row of a removed node is used again. A block's usable addresses are those of host-local:
IPv4 without network, gateway and broadcast, IPv6 without the first two; blocks longer than /30 or /126 have none.

What it does not know: pods, limits of kubelets, and how other plugins choose. A dump does not hold host-local's
cursor; an occupied block goes on behind its highest used address.

Sources: containernetworking/plugins ``plugins/ipam/host-local/backend/allocator/{range,allocator}.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses.arrays import mask_prefix, subtract
from dsmodel.addresses.cidr import IPFamily
from dsmodel.pools.grids import RangeGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.pools.arrivals import Arrivals

__all__ = ["PodBlocks"]

_GATEWAY_AND_NETWORK = 2  # ordinals 0 and 1
_REACH = 1 << 32  # ordinals from here on are counted, not tracked
_LONGEST = {IPFamily.IPV4: 30, IPFamily.IPV6: 126}  # host-local refuses longer ranges


class PodBlocks:
    """Every node's block of one family, with what is in use.

    Parameters
    ----------
    family : IPFamily
        Of all blocks.
    bases : address column, shape (0,)
        The empty column of the family.

    Examples
    --------
    >>> from dsmodel.pools.arrivals import Arrivals
    >>> blocks = PodBlocks(IPFamily.IPV4, np.zeros(0, np.uint32))
    >>> blocks.add(np.array([0x0AF40000], np.uint32), np.array([24], np.uint8))
    >>> blocks.allocate(Arrivals.of([0, 0]))[0].tolist(), blocks.free().tolist()
    ([2, 3], [251])
    """

    def __init__(self, family: IPFamily, bases: NDArray[Any]) -> None:
        self.family = family
        self.bases = bases
        self.prefix_lengths = np.zeros(0, np.uint8)
        self._grids: dict[int, RangeGrid] = {}
        self._rows = np.zeros(0, np.int32)
        self._spare: dict[int, list[int]] = {}
        self._untracked = np.zeros(0, np.int64)

    def __len__(self) -> int:
        """Return the number of nodes, with and without a block."""
        return len(self._rows)

    def add(self, bases: NDArray[Any], prefix_lengths: NDArray[np.uint8]) -> None:
        """Append nodes.

        Parameters
        ----------
        bases : address column, shape (n,)
            Base address of each block.
        prefix_lengths : ndarray of uint8, shape (n,)
            0 for a node without a block.

        Raises
        ------
        None
            Every block has a place.
        """
        rows = np.full(len(bases), -1, np.int32)
        for length in np.unique(prefix_lengths[prefix_lengths > 0]).tolist():
            members = np.flatnonzero(prefix_lengths == length)
            grid = self._grids.setdefault(length, self._grid(length))
            spare = np.array(self._spare.pop(length, []), np.int32)
            if len(spare) > len(members):
                self._spare[length] = spare[len(members) :].tolist()
            fresh = len(members) - min(len(spare), len(members))
            old = grid.rows
            grid.add_rows(fresh)
            rows[members] = np.concatenate((spare[: len(members)], np.arange(old, old + fresh, dtype=np.int32)))
        self.bases = np.concatenate((self.bases, bases))
        self.prefix_lengths = np.concatenate((self.prefix_lengths, prefix_lengths))
        self._rows = np.concatenate((self._rows, rows))
        self._untracked = np.concatenate((self._untracked, np.zeros(len(bases), np.int64)))

    def remove(self, nodes: NDArray[np.integer]) -> None:
        """Take nodes out, with everything in use on them.

        Parameters
        ----------
        nodes : ndarray of integers
            Different rows of nodes; those after move up.

        Raises
        ------
        None
            A node without a block is no error.
        """
        for length, grid in self._grids.items():
            rows = self._rows[nodes[self.prefix_lengths[nodes] == length]]
            grid.clear_rows(rows)
            if len(rows):
                self._spare[length] = [*self._spare.get(length, []), *rows.tolist()]
        keep = np.ones(len(self), np.bool_)
        keep[nodes] = False
        self.bases, self.prefix_lengths = self.bases[keep], self.prefix_lengths[keep]
        self._rows, self._untracked = self._rows[keep], self._untracked[keep]

    def allocate(self, arrivals: Arrivals) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
        """Take the next address on each node, in order of arrival.

        Parameters
        ----------
        arrivals : Arrivals
            Rows of the nodes the requests ask.

        Returns
        -------
        tuple of ndarray of uint32, ndarray of bool, shape (requests,)
            Ordinals inside the block, and whether there was one.

        Raises
        ------
        None
            A node without a block, or with a full one, grants nothing.
        """
        if self._is_natural():
            return next(iter(self._grids.values())).allocate_next(arrivals)
        nodes = arrivals.rows
        ordinals, ok = np.zeros(len(nodes), np.uint32), np.zeros(len(nodes), np.bool_)
        for members, grid in self._by_grid(nodes):
            ordinals[members], ok[members] = grid.allocate_next(self._rows[nodes[members]])
        return ordinals, ok

    def occupy(self, nodes: NDArray[np.integer], ordinals: NDArray[np.uint64]) -> None:
        """Mark ordinals as in use; no cursor moves.

        Parameters
        ----------
        nodes : ndarray of integers, shape (n,)
            Row of the node.
        ordinals : ndarray of uint64, shape (n,)
            Inside the block; those host-local would never hand out are counted all the same.

        Raises
        ------
        None
            Every ordinal inside its block has a place.
        """
        for members, grid in self._by_grid(nodes):
            where, which = nodes[members], ordinals[members]
            ok = grid.occupy(self._rows[where], np.minimum(which, np.uint64(_REACH)).astype(np.int64)).ok
            outside = np.unique(np.stack((where[~ok].astype(np.uint64), which[~ok])), axis=1)
            np.add.at(self._untracked, outside[0].astype(np.intp), 1)

    def continue_behind_highest(self) -> None:
        """Put every cursor behind the highest ordinal in use, as a dump does not say where it stands.

        Raises
        ------
        None
            A block with nothing in use starts at its beginning.
        """
        for grid in self._grids.values():
            rows, ordinals = grid.used_slots()
            last = np.flatnonzero(np.append(rows[1:] != rows[:-1], len(rows) > 0))
            grid.set_cursor(rows[last], ordinals[last].astype(np.int64) + 1)

    def release(self, nodes: NDArray[np.integer], ordinals: NDArray[np.uint64]) -> None:
        """Give ordinals back; no cursor moves.

        Parameters
        ----------
        nodes : ndarray of integers, shape (n,)
            Row of the node.
        ordinals : ndarray of uint64, shape (n,)
            Different ones in use.

        Raises
        ------
        None
            A free ordinal is no error.
        """
        for members, grid in self._by_grid(nodes):
            where = nodes[members]
            near = np.minimum(ordinals[members], np.uint64(_REACH)).astype(np.int64)
            was = grid.release(self._rows[where], near)
            outside = ~was & ((near < _GATEWAY_AND_NETWORK) | (near >= self._end(grid)))
            np.subtract.at(self._untracked, where[outside], 1)
        np.maximum(self._untracked, 0, out=self._untracked)

    def usable(self) -> NDArray[np.uint64]:
        """Return how many addresses each node's block may hand out.

        Returns
        -------
        ndarray of uint64, shape (nodes,)
            0 for a node without a block.

        Raises
        ------
        None
            Always an answer.
        """
        counts = np.zeros(len(self), np.uint64)
        for length, grid in self._grids.items():
            counts[self.prefix_lengths == length] = min(grid.usable, (1 << 64) - 1)
        return counts

    def total_usable(self) -> int:
        """Return how many addresses all blocks may hand out; exact beyond 64 bits.

        Returns
        -------
        int
            Their sum.

        Raises
        ------
        None
            Always an answer.
        """
        nodes = {length: int(np.count_nonzero(self.prefix_lengths == length)) for length in self._grids}
        return sum(grid.usable * nodes[length] for length, grid in self._grids.items())

    def used(self, *, tracked_only: bool = False) -> NDArray[np.int64]:
        """Return how many addresses each node's block has in use.

        Parameters
        ----------
        tracked_only : bool, default False
            Leave out those that host-local would never hand out.

        Returns
        -------
        ndarray of int64, shape (nodes,)
            0 for a node without a block.

        Raises
        ------
        None
            Always an answer.
        """
        counts = np.zeros(len(self), np.int64) if tracked_only else self._untracked.copy()
        for length, grid in self._grids.items():
            members = self.prefix_lengths == length
            counts[members] += grid.used_per_row()[self._rows[members]]
        return counts

    def free(self) -> NDArray[np.uint64]:
        """Return how many addresses each node's block may still hand out.

        Returns
        -------
        ndarray of uint64, shape (nodes,)
            0 for a node without a block.

        Raises
        ------
        None
            Always an answer.
        """
        counts = np.zeros(len(self), np.uint64)
        for length, grid in self._grids.items():
            members = self.prefix_lengths == length
            counts[members] = grid.free_per_row()[self._rows[members]]
        return counts

    def ordinals(
        self, nodes: NDArray[np.integer], column: NDArray[Any]
    ) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Return where addresses lie in their nodes' blocks.

        Parameters
        ----------
        nodes : ndarray of integers, shape (n,)
            Row of the node of each address.
        column : address column, shape (n,)
            Of the family.

        Returns
        -------
        tuple of ndarray of uint64, ndarray of bool, shape (n,)
            Ordinals, capped at 2**64 - 1, and whether the address is inside; elsewhere the ordinal is 0.

        Raises
        ------
        None
            Every address has an answer.
        """
        bases, lengths = self.bases[nodes], self.prefix_lengths[nodes]
        inside = (lengths > 0) & (mask_prefix(column, lengths) == mask_prefix(bases, lengths))
        if self.family is IPFamily.IPV4:
            return np.where(inside, column - bases, np.uint32(0)).astype(np.uint64), inside
        distance = subtract(column[inside], bases[inside])
        ordinals = np.zeros(len(column), np.uint64)
        ordinals[inside] = np.where(distance["hi"] > 0, np.uint64((1 << 64) - 1), distance["lo"])
        return ordinals, inside

    def copy(self) -> Self:
        """Return blocks whose changes do not show in these.

        Returns
        -------
        PodBlocks
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._grids = {length: grid.copy() for length, grid in self._grids.items()}
        twin._spare = {length: list(rows) for length, rows in self._spare.items()}
        twin._untracked = self._untracked.copy()
        return twin

    @property
    def nbytes(self) -> int:
        """Bytes of state: occupancy, cursors, bases."""
        arrays = (self.bases, self.prefix_lengths, self._rows, self._untracked)
        return sum(grid.nbytes for grid in self._grids.values()) + sum(array.nbytes for array in arrays)

    def _grid(self, prefix_length: int) -> RangeGrid:
        """Make the empty grid of one prefix length, with host-local's reserved ends."""
        width = min(1 << (self.family.bits - prefix_length), 1 << 64)
        if prefix_length > _LONGEST[self.family]:
            return RangeGrid(0, width, reserve_first=width)
        last = 1 if self.family is IPFamily.IPV4 else 0
        return RangeGrid(0, width, reserve_first=_GATEWAY_AND_NETWORK, reserve_last=last)

    def _end(self, grid: RangeGrid) -> int:
        """Return the ordinal behind the last one a grid tracks."""
        return min(grid.width - (1 if self.family is IPFamily.IPV4 else 0), _REACH)

    def _is_natural(self) -> bool:
        """Tell whether every node's block lives in one grid, in the row of the node's own number."""
        if len(self._grids) != 1 or next(iter(self._grids.values())).rows != len(self._rows):
            return False
        return bool((self._rows == np.arange(len(self._rows))).all())

    def _by_grid(self, nodes: NDArray[np.integer]) -> list[tuple[NDArray[np.intp], RangeGrid]]:
        """Split requests by the grid they go to; those of nodes without a block go nowhere."""
        lengths = self.prefix_lengths[nodes]
        parts = ((np.flatnonzero(lengths == length), grid) for length, grid in self._grids.items())
        return [(members, grid) for members, grid in parts if len(members)]
