"""One range a node, of one family: what every plugin that works from node podCIDRs has underneath.

Promises three ways to choose inside a node's range, all with the effect of one request after the other: ``next`` (from
a cursor, with wrap, as host-local and OVN-Kubernetes do), ``scan`` (upward from a random start, with wrap, as Cilium's
bitmap does) and ``lowest``. What a range reserves is the plugin's `RangeRule`. Nodes may have ranges of different
length, or none.

It does not know other families. The random starts stand in for the plugin's own generator: each node has its own
stream, so a batch and single requests draw the same numbers.

Sources: containernetworking/plugins ``plugins/ipam/host-local/backend/allocator/{range,allocator}.go``; cilium/cilium
``pkg/ipam/service/allocator/bitmap.go``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np

from dsmodel.addresses import arrays
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.pools.arrivals import Arrivals
from dsmodel.pools.grids import RangeGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["HOST_LOCAL", "NodeRanges", "Pick", "RangeRule", "draws", "pod_cidr_columns"]

Pick: TypeAlias = Literal["next", "scan", "lowest"]

_REACH = 1 << 32  # ordinals a grid tracks; starts are drawn among them
_GAMMA = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class RangeRule:
    """What of a node's range is handed out.

    Parameters
    ----------
    first, last : int
        Ordinals kept back at the start and at the end.
    ordinals : tuple of int
        Further ordinals kept back.
    cap : int
        Widest range the plugin looks at; of a wider one only the first so many addresses count.
    longest : int
        Longest prefix that hands out anything.
    whole : int
        Ranges of up to so many addresses keep nothing back.

    Examples
    --------
    >>> RangeRule(first=2, last=1).usable(8)
    253
    """

    first: int = 0
    last: int = 0
    ordinals: tuple[int, ...] = ()
    cap: int = 1 << 64
    longest: int = 128
    whole: int = 0

    def grid(self, host_bits: int, prefix_length: int) -> RangeGrid:
        """Make the empty grid for ranges of one length.

        Parameters
        ----------
        host_bits, prefix_length : int
            Of each range.

        Returns
        -------
        RangeGrid
            Without rows.

        Raises
        ------
        None
            Every length has a grid.
        """
        size = min(1 << host_bits, 1 << 64)
        if prefix_length > self.longest:
            return RangeGrid(0, size, reserve_first=size)
        if size <= self.whole:
            return RangeGrid(0, size)
        width = min(size, self.cap)
        return RangeGrid(0, width, reserve_first=self.first, reserve_last=self.last, reserved=self.ordinals)

    def usable(self, host_bits: int, *, prefix_length: int = 0) -> int:
        """Return how many addresses a range hands out.

        Parameters
        ----------
        host_bits : int
            Of the range.
        prefix_length : int
            Of the range; matters where the plugin refuses long ones.

        Returns
        -------
        int
            0 or more.

        Raises
        ------
        None
            Every length has an answer.
        """
        return max(0, self.grid(host_bits, prefix_length).usable)

    def withheld(self, host_bits: int, *, prefix_length: int = 0) -> tuple[int, list[int]]:
        """Return which addresses of a range are kept back.

        Parameters
        ----------
        host_bits, prefix_length : int
            Of the range, one that hands out something.

        Returns
        -------
        tuple of int, list of int
            How many of the host bits count, and the ordinals among these that are kept back.

        Raises
        ------
        None
            Every length has an answer.

        Examples
        --------
        >>> RangeRule(first=2, last=1).withheld(8), RangeRule(1, 1, cap=1 << 16).withheld(64)
        ((8, [0, 1, 255]), (16, [0, 65535]))
        """
        width = self.grid(host_bits, prefix_length).width
        if 1 << host_bits <= self.whole:
            return host_bits, []
        kept = {*range(self.first), *(width - 1 - place for place in range(self.last)), *self.ordinals}
        return (width - 1).bit_length(), sorted(kept)


HOST_LOCAL = {IPFamily.IPV4: RangeRule(2, 1, longest=30), IPFamily.IPV6: RangeRule(2, 0, longest=126)}
"""Network and gateway, and for IPv4 broadcast, are kept back. Source: host-local ``range.go``."""


class NodeRanges:
    """The range of every node, and what is in use of it.

    Parameters
    ----------
    family : IPFamily
        Of all ranges.
    rule : RangeRule
        What is handed out.
    pick : {"next", "scan", "lowest"}
        How an address is chosen.

    Examples
    --------
    >>> ranges = NodeRanges(IPFamily.IPV4, HOST_LOCAL[IPFamily.IPV4])
    >>> ranges.add(np.array([0x0AF40000], np.uint32), np.array([24], np.uint8))
    >>> ranges.take(np.array([0, 0]))
    (array([2, 3], dtype=uint32), array([ True,  True]))
    """

    def __init__(self, family: IPFamily, rule: RangeRule, *, pick: Pick = "next") -> None:
        self.family, self.rule, self.pick = family, rule, pick
        self.bases = arrays.empty(0, family)
        self.prefix_lengths = np.zeros(0, np.uint8)
        self._rows = np.zeros(0, np.int64)
        self._drawn = np.zeros(0, np.uint64)
        self._grids: dict[int, RangeGrid] = {}

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self._rows)

    def add(self, bases: NDArray[Any], prefix_lengths: NDArray[np.integer]) -> None:
        """Append nodes.

        Parameters
        ----------
        bases : address column, shape (n,)
            First address of each range.
        prefix_lengths : ndarray of integers, shape (n,)
            0 for a node without a range.

        Raises
        ------
        None
            Every range has a place.
        """
        rows = np.full(len(bases), -1, np.int64)
        for length in np.unique(prefix_lengths[prefix_lengths > 0]).tolist():
            members = np.flatnonzero(prefix_lengths == length)
            if length not in self._grids:
                self._grids[length] = self.rule.grid(self.family.bits - length, length)
            grid = self._grids[length]
            rows[members] = np.arange(grid.rows, grid.rows + len(members))
            grid.add_rows(len(members))
        self.bases = np.concatenate((self.bases, bases))
        self.prefix_lengths = np.concatenate((self.prefix_lengths, prefix_lengths.astype(np.uint8)))
        self._rows = np.concatenate((self._rows, rows))
        self._drawn = np.concatenate((self._drawn, np.zeros(len(bases), np.uint64)))

    def remove(self, nodes: NDArray[np.integer]) -> None:
        """Take nodes out; those after move up.

        Parameters
        ----------
        nodes : ndarray of integers
            Which.

        Raises
        ------
        None
            A node without a range is no error.
        """
        for members, grid, rows in self._parts(nodes):
            del members
            grid.clear_rows(rows)
        keep = np.ones(len(self), np.bool_)
        keep[nodes] = False
        self.bases, self.prefix_lengths = self.bases[keep], self.prefix_lengths[keep]
        self._rows, self._drawn = self._rows[keep], self._drawn[keep]

    def take(self, nodes: NDArray[np.integer]) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
        """Take an address of each node, in order of arrival.

        Parameters
        ----------
        nodes : ndarray of integers, shape (requests,)
            Any order, repeats welcome.

        Returns
        -------
        tuple of (uint32[requests], bool[requests])
            Ordinals, and whether there was one.

        Raises
        ------
        None
            A node without a range has nothing.
        """
        ordinals, ok = np.zeros(len(nodes), np.uint32), np.zeros(len(nodes), np.bool_)
        for members, grid, rows in self._parts(nodes):
            if self.pick == "lowest":
                grid.set_cursor(rows, np.zeros(len(rows), np.int64))
            if self.pick != "scan":
                ordinals[members], ok[members] = grid.allocate_next(rows)
            else:
                ordinals[members], ok[members] = self._scan(grid, rows, nodes[members])
        return ordinals, ok

    def keep(self, nodes: NDArray[np.integer], ordinals: NDArray[np.integer]) -> None:
        """Mark addresses as in use; no cursor moves.

        Parameters
        ----------
        nodes, ordinals : ndarray of integers, shape (n,)
            Which.

        Raises
        ------
        None
            What the plugin would never hand out is skipped.
        """
        for members, grid, rows in self._parts(nodes):
            grid.occupy(rows, ordinals[members])

    def continue_behind_highest(self) -> None:
        """Put every cursor behind the highest address in use, as a dump does not say where it stands.

        Raises
        ------
        None
            A range with nothing in use starts at its beginning.
        """
        for grid in self._grids.values():
            rows, ordinals = grid.used_slots()
            last = np.flatnonzero(np.append(rows[1:] != rows[:-1], len(rows) > 0))
            grid.set_cursor(rows[last], ordinals[last].astype(np.int64) + 1)

    def give_back(self, nodes: NDArray[np.integer], ordinals: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Give addresses back; no cursor moves.

        Parameters
        ----------
        nodes, ordinals : ndarray of integers, shape (n,)
            Which.

        Returns
        -------
        ndarray of bool, shape (n,)
            Whether each was in use.

        Raises
        ------
        None
            A free one is no error.
        """
        was = np.zeros(len(nodes), np.bool_)
        for members, grid, rows in self._parts(nodes):
            was[members] = grid.release(rows, ordinals[members])
        return was

    def spin(self, nodes: NDArray[np.integer], times: NDArray[np.integer]) -> None:
        """Move cursors, or streams, as requests do that take an address here, fail elsewhere, and give it back.

        Parameters
        ----------
        nodes : ndarray of integers, shape (n,)
            Different nodes.
        times : ndarray of integers, shape (n,)
            How many such requests each has, 1 or more.

        Raises
        ------
        None
            A node with nothing free stays as it is.
        """
        if self.pick == "scan":
            self._drawn[nodes] += times.astype(np.uint64)
            return
        free = np.minimum(self.free()[nodes], np.uint64(1 << 62)).astype(np.int64)
        some = free > 0
        steps = (times[some] - 1) % free[some] + 1
        again = np.repeat(nodes[some], steps)
        ordinals, _ = self.take(again)
        self.give_back(again, ordinals)

    def free(self) -> NDArray[np.uint64]:
        """Return how many addresses each node may still hand out.

        Returns
        -------
        ndarray of uint64, shape (nodes,)
            0 for a node without a range.

        Raises
        ------
        None
            Always an answer.
        """
        return self._per_node(lambda grid: grid.free_per_row().astype(np.uint64))

    def used(self) -> NDArray[np.uint64]:
        """Return how many addresses each node has handed out.

        Returns
        -------
        ndarray of uint64, shape (nodes,)
            Without what is kept back.

        Raises
        ------
        None
            Always an answer.
        """
        return self._per_node(lambda grid: grid.used_per_row().astype(np.uint64))

    def usable(self) -> int:
        """Return how many addresses all nodes together may hand out.

        Returns
        -------
        int
            Exact, also beyond 64 bits.

        Raises
        ------
        None
            Always an answer.
        """
        counts = ((int(np.count_nonzero(self.prefix_lengths == length)), grid) for length, grid in self._grids.items())
        return sum(count * max(0, grid.usable) for count, grid in counts)

    def used_addresses(self, prefix_length: int) -> NDArray[Any]:
        """Return what is in use of the ranges of one length.

        Parameters
        ----------
        prefix_length : int
            Of the ranges.

        Returns
        -------
        address column, shape (used,)
            In no order.

        Raises
        ------
        KeyError
            No range ever had the length.

        Examples
        --------
        >>> ranges = NodeRanges(IPFamily.IPV4, HOST_LOCAL[IPFamily.IPV4])
        >>> ranges.add(np.array([0x0AF40000], np.uint32), np.array([24], np.uint8))
        >>> _ = ranges.take(np.array([0, 0]))
        >>> ranges.used_addresses(24) & 0xFF
        array([2, 3], dtype=uint32)
        """
        grid = self._grids[prefix_length]
        node = np.full(grid.rows, -1, np.intp)
        members = np.flatnonzero(self.prefix_lengths == prefix_length)
        node[self._rows[members]] = members
        rows, ordinals = grid.used_slots()
        return self.addresses(node[rows], ordinals)

    def size(self) -> int:
        """Return how many addresses the ranges of all nodes have.

        Returns
        -------
        int
            Exact, also beyond 64 bits.

        Raises
        ------
        None
            Always an answer.
        """
        lengths, counts = np.unique(self.prefix_lengths[self.prefix_lengths > 0], return_counts=True)
        pairs = zip(lengths.tolist(), counts.tolist(), strict=True)
        return sum(count << (self.family.bits - length) for length, count in pairs)

    def addresses(self, nodes: NDArray[np.integer], ordinals: NDArray[np.integer]) -> NDArray[Any]:
        """Return the addresses of ordinals.

        Parameters
        ----------
        nodes, ordinals : ndarray of integers, shape (n,)
            Which.

        Returns
        -------
        address column, shape (n,)
            Base plus ordinal; bases are aligned, so joining is adding.

        Raises
        ------
        None
            The caller knows the nodes.
        """
        column: NDArray[Any] = self.bases[nodes]
        if self.family is IPFamily.IPV4:
            return np.asarray(column | ordinals.astype(np.uint32))
        column["lo"] |= ordinals.astype(np.uint64)
        return column

    def ordinals(self, nodes: NDArray[np.integer], column: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return where addresses lie in their nodes' ranges.

        Parameters
        ----------
        nodes : ndarray of integers, shape (n,)
            The node of each address.
        column : address column, shape (n,)
            Of the family.

        Returns
        -------
        tuple of (int64[n], bool[n])
            Ordinals, and whether the address lies in the range and near enough to be handed out.

        Raises
        ------
        InvalidAddress
            The column is of the other family.
        """
        bases, lengths = self.bases[nodes], self.prefix_lengths[nodes]
        inside = (lengths > 0) & arrays.equal(arrays.mask_prefix(column, lengths), arrays.mask_prefix(bases, lengths))
        ordinals = np.zeros(len(column), np.int64)
        distance = arrays.subtract(column[inside], bases[inside])
        if self.family is IPFamily.IPV6:
            far = (distance["hi"] > 0) | (distance["lo"] >= np.uint64(1 << 32))
            distance = np.where(far, np.uint64(1 << 32), distance["lo"])
        ordinals[inside] = distance
        return ordinals, inside & (ordinals < 1 << 32)

    def copy(self) -> Self:
        """Return independent ranges of the same state.

        Returns
        -------
        NodeRanges
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._grids = {length: grid.copy() for length, grid in self._grids.items()}
        twin._drawn = self._drawn.copy()
        return twin

    def _scan(
        self, grid: RangeGrid, rows: NDArray[np.integer], nodes: NDArray[np.integer]
    ) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
        """Take upward from a random start; the k-th requests of all nodes go together, as nodes do not interact."""
        ordinals, ok = np.zeros(len(rows), np.uint32), np.zeros(len(rows), np.bool_)
        ranks = Arrivals.of(nodes).ranks
        order = np.argsort(ranks, kind="stable")
        low = self.rule.first if grid.width > self.rule.whole else 0
        width = min(max(1, grid.usable + len(self.rule.ordinals)), _REACH)
        for members in np.split(order, np.cumsum(np.bincount(ranks))[:-1]) if len(order) else ():
            start = low + (draws(nodes[members], self._drawn[nodes[members]]) % np.uint64(width)).astype(np.int64)
            self._drawn[nodes[members]] += np.uint64(1)
            ordinals[members], ok[members] = start, grid.allocate(rows[members], start).ok
            rest = members[~ok[members]]  # where the start is taken or kept back, one has to look
            grid.set_cursor(rows[rest], start[~ok[members]])
            ordinals[rest], ok[rest] = grid.allocate_next(rows[rest])
        return ordinals, ok

    def _parts(
        self, nodes: NDArray[np.integer]
    ) -> Iterator[tuple[NDArray[np.intp] | slice, RangeGrid, NDArray[np.int64]]]:
        """Split requests by the grid they go to; those of nodes without a range go nowhere."""
        rows, lengths = self._rows[nodes], self.prefix_lengths[nodes]
        for length, grid in self._grids.items():
            if len(self._grids) == 1 and bool((lengths == length).all()):
                yield slice(None), grid, rows
                return
            members = np.flatnonzero(lengths == length)
            if len(members):
                yield members, grid, rows[members]

    def _per_node(self, count: Callable[[RangeGrid], NDArray[np.uint64]]) -> NDArray[np.uint64]:
        """Spread a count per row over the nodes."""
        counts = np.zeros(len(self), np.uint64)
        for length, grid in self._grids.items():
            members = self.prefix_lengths == length
            counts[members] = count(grid)[self._rows[members]]
        return counts


def draws(nodes: NDArray[np.integer], drawn: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return random numbers, each node from its own stream.

    Parameters
    ----------
    nodes : ndarray of integers, shape (n,)
        Whose stream.
    drawn : ndarray of uint64, shape (n,)
        How many numbers of the stream came before.

    Returns
    -------
    ndarray of uint64, shape (n,)
        Equally spread (SplitMix64); the same every time.

    Raises
    ------
    None
        Every pair has an answer.

    Examples
    --------
    >>> len(set(draws(np.array([0, 0, 1]), np.array([0, 1, 0], np.uint64)).tolist()))
    3
    """
    state = _mix((nodes.astype(np.uint64) + np.uint64(1)) * _GAMMA)
    return _mix(state + (drawn + np.uint64(1)) * _GAMMA)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64 bits (SplitMix64's finalizer)."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)))


def pod_cidr_columns(
    pod_cidrs: Sequence[Sequence[str]],
) -> dict[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]]:
    """Turn the podCIDRs of nodes into columns.

    Parameters
    ----------
    pod_cidrs : sequence of sequence of str
        ``spec.podCIDRs`` of each node; of several of one family the first counts.

    Returns
    -------
    dict of IPFamily to (address column, uint8 array)
        First address and prefix length, 0 where a node has none; both families.

    Raises
    ------
    InvalidCidr
        A text is no CIDR.

    Examples
    --------
    >>> pod_cidr_columns([["10.244.1.0/24"], []])[IPFamily.IPV4]
    (array([183763200,         0], dtype=uint32), array([24,  0], dtype=uint8))
    """
    firsts = {family: [0] * len(pod_cidrs) for family in IPFamily}
    lengths = {family: np.zeros(len(pod_cidrs), np.uint8) for family in IPFamily}
    for node, texts in enumerate(pod_cidrs):
        for text in texts:
            cidr = Cidr(text, host_bits="mask")
            if not lengths[cidr.family][node]:
                firsts[cidr.family][node], lengths[cidr.family][node] = cidr.first, cidr.prefix_length
    return {family: (arrays.from_integers(firsts[family], family=family), lengths[family]) for family in IPFamily}
