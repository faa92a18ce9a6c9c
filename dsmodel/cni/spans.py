"""Addresses of a few spans, the lowest free one first: what plugins with cluster-wide ranges have underneath.

Promises the lowest free address of the first span that has one. Spans may be as wide as 2**64 addresses.

It does not know nodes or pods.

Sources: k8snetworkplumbingwg/whereabouts ``pkg/allocate/allocate.go``; antrea-io/antrea
``pkg/ipam/ipallocator/allocator.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses import arrays
from dsmodel.errors import InvalidInput
from dsmodel.pools.offsets import OffsetPool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr, IPFamily

__all__ = ["LowestFree", "without"]

_WIDEST = 1 << 64


class LowestFree:
    """Spans of addresses.

    Parameters
    ----------
    family : IPFamily
        Of all addresses.
    spans : sequence of (int, int)
        First and last address of each, in the order they are used.

    Raises
    ------
    InvalidInput
        A span that ends before it starts.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import IPFamily
    >>> pool = LowestFree(IPFamily.IPV4, [(5, 6), (1, 2)])
    >>> pool.allocate_next(3)
    array([5, 6, 1], dtype=uint32)
    """

    def __init__(self, family: IPFamily, spans: Sequence[tuple[int, int]]) -> None:
        for first, last in spans:
            if last < first:
                raise InvalidInput(f"span from {first} to {last}: it ends before it starts")
        self.family = family
        self.spans = tuple(spans)
        self._pools = [OffsetPool(min(last - first + 1, _WIDEST), strategy="lowest") for first, last in spans]

    @property
    def usable(self) -> int:
        """Addresses that may be handed out."""
        return sum(pool.usable for pool in self._pools)

    @property
    def used(self) -> int:
        """Addresses in use."""
        return sum(pool.used for pool in self._pools)

    def allocate_next(self, n: int) -> NDArray[Any]:
        """Take addresses.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        address column, shape (granted,)
            In order of grant; shorter than ``n`` when there are no more.

        Raises
        ------
        None
            Every number has an answer.
        """
        parts = [arrays.empty(0, self.family)]
        left = n
        for (first, _), pool in zip(self.spans, self._pools, strict=True):
            if left and pool.free:
                offsets = pool.allocate_next(left)
                parts.append(self._column(first, offsets))
                left -= len(offsets)
        return np.concatenate(parts)

    def allocate_run(self, n: int) -> NDArray[Any]:
        """Take addresses next to each other, the lowest run of one span that is long enough.

        Parameters
        ----------
        n : int
            How many, 1 or more.

        Returns
        -------
        address column, shape (n,) or (0,)
            Empty when there is no such run.

        Raises
        ------
        None
            Every number has an answer.
        """
        for (first, _), pool in zip(self.spans, self._pools, strict=True):
            free = pool.free_offsets(min(pool.free, pool.used * n + n))
            if len(free) < n:
                continue
            starts = np.flatnonzero(free[n - 1 :] - free[: len(free) - n + 1] == n - 1)
            if len(starts):
                offsets = free[starts[0] : starts[0] + n]
                pool.allocate(offsets)
                return self._column(first, offsets)
        return arrays.empty(0, self.family)

    def occupy(self, column: NDArray[Any]) -> NDArray[np.bool_]:
        """Mark addresses as in use.

        Parameters
        ----------
        column : address column, shape (n,)
            Of the family.

        Returns
        -------
        ndarray of bool, shape (n,)
            Whether each lies in a span.

        Raises
        ------
        InvalidAddress
            The column is of the other family.
        """
        inside = np.zeros(len(column), np.bool_)
        for members, pool, offsets in self._parts(column):
            pool.occupy(offsets)
            inside[members] = True
        return inside

    def release(self, column: NDArray[Any]) -> NDArray[np.bool_]:
        """Give addresses back.

        Parameters
        ----------
        column : address column, shape (n,)
            Of the family.

        Returns
        -------
        ndarray of bool, shape (n,)
            Whether each was in use.

        Raises
        ------
        InvalidAddress
            The column is of the other family.
        """
        was = np.zeros(len(column), np.bool_)
        for members, pool, offsets in self._parts(column):
            was[members] = pool.release(offsets)
        return was

    def used_addresses(self) -> NDArray[Any]:
        """Return what is in use.

        Returns
        -------
        address column, shape (used,)
            Span after span, rising in each.

        Raises
        ------
        None
            Always an answer.

        Examples
        --------
        >>> from dsmodel.addresses.cidr import IPFamily
        >>> pool = LowestFree(IPFamily.IPV4, [(5, 6), (9, 12)])
        >>> _ = pool.allocate_next(3)
        >>> pool.used_addresses()
        array([5, 6, 9], dtype=uint32)
        """
        parts = [
            self._column(first, pool.used_offsets()) for (first, _), pool in zip(self.spans, self._pools, strict=True)
        ]
        return np.concatenate([arrays.empty(0, self.family), *parts])

    def copy(self) -> Self:
        """Return independent spans of the same state.

        Returns
        -------
        LowestFree
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.family, twin.spans = self.family, self.spans
        twin._pools = [pool.copy() for pool in self._pools]
        return twin

    def _column(self, first: int, offsets: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the addresses of offsets."""
        base = arrays.from_integers([first], family=self.family)
        return arrays.add(np.repeat(base, len(offsets)), offsets)

    def _parts(self, column: NDArray[Any]) -> Iterable[tuple[NDArray[np.intp], OffsetPool, NDArray[np.uint64]]]:
        """Split addresses by the span they lie in."""
        for (first, last), pool in zip(self.spans, self._pools, strict=True):
            ends = arrays.from_integers([first, last], family=self.family)
            members = np.flatnonzero(~(arrays.less(column, ends[:1]) | arrays.less(ends[1:], column)))
            distance = arrays.subtract(column[members], ends[:1])
            if self.family.bits == 128:
                members, distance = members[distance["hi"] == 0], distance[distance["hi"] == 0]["lo"]
            if len(members):
                yield members, pool, distance.astype(np.uint64)


def without(first: int, last: int, excluded: Iterable[Cidr]) -> list[tuple[int, int]]:
    """Return the spans that are left of one.

    Parameters
    ----------
    first, last : int
        The span, both ends included.
    excluded : iterable of Cidr
        What is cut out; any order, overlaps welcome.

    Returns
    -------
    list of (int, int)
        Ascending.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import Cidr
    >>> without(1, 14, [Cidr("0.0.0.4/30"), Cidr("0.0.0.14/31")])
    [(1, 3), (8, 13)]
    """
    spans, start = [], first
    for cidr in sorted(excluded):
        if cidr.first > start:
            spans.append((start, min(cidr.first - 1, last)))
        start = max(start, cidr.last + 1)
        if start > last:
            break
    return [*spans, (start, last)] if start <= last else [span for span in spans if span[0] <= span[1]]
