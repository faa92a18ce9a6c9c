"""Requests in order of arrival, each with its place among those that ask the same row.

Promises the count a loop over the requests would keep, from sorting small pieces that stay in the cache. It does not
know what a row is or whether it can serve: `dsmodel.pools.grids` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Arrivals", "row_numbers"]


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Requests of rows, counted.

    Parameters
    ----------
    rows : ndarray of integers, shape (requests,)
        The row each request asks, in order of arrival.
    ranks : ndarray of uint32, shape (requests,)
        How many requests of the same row came before; undefined when a row is negative.
    counts : ndarray of int64, shape (highest row + 1,)
        Requests of each row; undefined when a row is negative.
    lowest : int
        The lowest row asked.

    Examples
    --------
    >>> arrivals = Arrivals.of([2, 0, 2, 2])
    >>> arrivals.ranks, arrivals.counts
    (array([0, 0, 1, 2], dtype=uint32), array([1, 0, 3]))
    """

    rows: NDArray[np.integer]
    ranks: NDArray[np.uint32]
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
        asked = row_numbers(rows, "rows")
        if not len(asked):
            return cls(asked, np.empty(0, dtype=np.uint32), np.zeros(0, dtype=np.int64), 0)
        lowest, highest = int(asked.min()), int(asked.max())
        if highest >= 1 << 31:
            raise InvalidInput(f"row {highest}: rows are below 2**31")
        if lowest < 0:
            return cls(asked, np.empty(0, dtype=np.uint32), np.zeros(0, dtype=np.int64), lowest)
        if bool((asked[1:] >= asked[:-1]).all()):
            counts = np.bincount(asked)
            ranks = np.arange(len(asked), dtype=np.uint32)
            ranks -= np.repeat((np.cumsum(counts) - counts).astype(np.uint32), counts)
        else:
            ranks, counts = _ranks(asked, highest)
        return cls(asked, ranks, counts, lowest)


def _ranks(rows: NDArray[np.integer], highest: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return each request's place among those of its row, and the requests of each row.

    Piece by piece: a piece is as long as row and place in the piece fit one 32-bit key, which sorts twice as fast.
    """
    bits = min(max(32 - highest.bit_length(), 12), 18)
    kind = np.uint32 if bits + highest.bit_length() <= 32 else np.uint64
    ranks = np.empty(len(rows), dtype=np.uint32)
    seen = np.zeros(highest + 1, dtype=np.uint32)
    step = np.arange(1 << bits, dtype=kind)
    for start in range(0, len(rows), 1 << bits):
        keys: NDArray[Any] = rows[start : start + (1 << bits)].astype(kind)
        keys <<= kind(bits)
        keys |= step[: len(keys)]
        keys.sort()
        row = (keys >> kind(bits)).astype(np.intp)
        keys &= kind((1 << bits) - 1)
        heads = np.flatnonzero(row[1:] != row[:-1])
        heads += 1
        heads = np.concatenate([np.zeros(1, dtype=np.intp), heads])
        sizes = np.diff(heads, append=len(row))
        asked = row[heads]
        place = step[: len(row)].astype(np.uint32)
        place += np.repeat(seen[asked] - heads.astype(np.uint32), sizes)
        seen[asked] += sizes.astype(np.uint32)
        ranks[start : start + len(row)][keys] = place
    return ranks, seen.astype(np.int64)


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
