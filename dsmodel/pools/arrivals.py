"""Requests in order of arrival, each with its place among those that ask the same row.

Promises the count a loop over the requests would keep, from sorting small pieces that stay in the cache. It does not
know what a row is or whether it can serve: `dsmodel.pools.grids` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Arrivals", "row_numbers"]

_FEW = 4
_PIECE = 1 << 17  # requests that are sorted together


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Requests of rows, counted.

    Parameters
    ----------
    rows : ndarray of integers, shape (requests,)
        The row each request asks, in order of arrival.
    ranks : ndarray of uint32, shape (requests,)
        How many requests of the same row came before; undefined when a row is negative.
    asked : ndarray of int64, shape (rows asked,)
        The rows that are asked, ascending; none when a row is negative.
    counts : ndarray of int64, shape (rows asked,)
        Requests of each of them.
    lowest : int
        The lowest row asked.

    Examples
    --------
    >>> arrivals = Arrivals.of([2, 0, 2, 2])
    >>> arrivals.ranks, arrivals.asked, arrivals.counts
    (array([0, 0, 1, 2], dtype=uint32), array([0, 2]), array([1, 3]))
    """

    rows: NDArray[np.integer]
    ranks: NDArray[np.uint32]
    asked: NDArray[np.int64]
    counts: NDArray[np.int64]
    lowest: int

    @classmethod
    def of(cls, rows: NDArray[np.integer] | Sequence[int]) -> Self:
        """Count requests.

        Parameters
        ----------
        rows : array of integers, shape (requests,)
            The row each request asks; any order, repeats welcome.

        Returns
        -------
        Arrivals
            Who asks several grids for the same requests makes it once.

        Raises
        ------
        InvalidInput
            ``rows`` is not a 1-D array of integers, or a row is 2**31 or more.
        """
        given = row_numbers(rows, "rows")
        none = np.zeros(0, dtype=np.int64)
        if not len(given):
            return cls(given, none.astype(np.uint32), none, none, 0)
        lowest, highest = int(given.min()), int(given.max())
        if highest >= 1 << 31:
            raise InvalidInput(f"row {highest}: rows are below 2**31")
        if lowest < 0:
            return cls(given, none.astype(np.uint32), none, none, lowest)
        if len(given) * _FEW < highest:  # few requests: nothing may cost as much as there are rows
            asked, inverse = np.unique(given, return_inverse=True)
            ranks, counts = _ranks(inverse, len(asked) - 1)
            return cls(given, ranks, asked.astype(np.int64), counts, lowest)
        if bool((given[1:] >= given[:-1]).all()):
            every = np.bincount(given)
            ranks = np.arange(len(given), dtype=np.uint32)
            ranks -= np.repeat((np.cumsum(every) - every).astype(np.uint32), every)
        else:
            ranks, every = _ranks(given, highest)
        asked = np.flatnonzero(every)
        return cls(given, ranks, asked, every[asked], lowest)


def _ranks(rows: NDArray[np.integer], highest: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return each request's place among those of its row, and the requests of each row, piece by piece."""
    ranks = np.empty(len(rows), dtype=np.uint32)
    seen = np.zeros(highest + 1, dtype=np.uint32)
    step = np.arange(min(_PIECE, len(rows)), dtype=np.uint32)
    for start in range(0, len(rows), _PIECE):
        piece = rows[start : start + _PIECE]
        order = _stable_order(piece, highest)
        row = piece[order]
        heads = np.flatnonzero(row[1:] != row[:-1])
        heads += 1
        heads = np.concatenate([np.zeros(1, dtype=np.intp), heads])
        sizes = np.diff(heads, append=len(row))
        asked = row[heads]
        place = np.repeat(seen[asked] - heads.astype(np.uint32), sizes)
        place += step[: len(row)]
        seen[asked] += sizes.astype(np.uint32)
        ranks[start : start + len(row)][order] = place
    return ranks, seen.astype(np.int64)


def _stable_order(rows: NDArray[np.integer], highest: int) -> NDArray[np.intp]:
    """Sort rows by 16 bits at a time: numpy counts such keys instead of comparing them, several times as fast."""
    order = np.argsort(rows.astype(np.uint16), kind="stable")
    if highest >> 16:
        order = order[np.argsort((rows >> 16).astype(np.uint16)[order], kind="stable")]
    return order


def row_numbers(values: NDArray[np.integer] | Sequence[int], name: str) -> NDArray[np.integer]:
    """Return a caller's integers as a 1-D array.

    Parameters
    ----------
    values : array of integers, shape (n,)
        Any integer dtype, or a sequence of ints.
    name : str
        What they are, for the message.

    Returns
    -------
    ndarray of integers, shape (n,)
        The same numbers.

    Raises
    ------
    InvalidInput
        They are not a 1-D array of integers.

    Examples
    --------
    >>> row_numbers([3, 1], "rows")
    array([3, 1])
    """
    array = np.asarray(values)
    if array.size == 0:
        return np.empty(0, dtype=np.intp)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidInput(f"{name} of dtype {array.dtype} and shape {array.shape}: expected a 1-D array of integers")
    return array
