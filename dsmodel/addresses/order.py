"""Order of address columns: compare, sort, search, membership.

Promises: the order is that of the addresses as numbers; results are exact for all 128 bits, with no loop over rows.

IPv6 rows go through one ``uint64`` key a row, because one 64-bit sort is some thirty times cheaper than sorting
structured rows: see `_Packing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dsmodel.addresses.columns import IPV6_DTYPE, WORD, common_family, family_of, shift_right
from dsmodel.addresses.literals import IPFamily

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["argsort", "distinct", "equal", "isin", "less", "search_sorted", "sort", "unique"]


def equal(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Compare two columns row by row.

    Parameters
    ----------
    a, b : numpy.ndarray
        Address columns of one family; either may hold one row for all.

    Returns
    -------
    numpy.ndarray of bool
        True where the addresses are equal.

    Raises
    ------
    InvalidAddress
        The families differ.
    """
    if common_family(a, b) is IPFamily.IPV4:
        return np.asarray(a == b)
    return np.asarray((a["lo"] == b["lo"]) & (a["hi"] == b["hi"]))


def less(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Say row by row where one column is below another.

    Parameters
    ----------
    a, b : numpy.ndarray
        Address columns of one family; either may hold one row for all.

    Returns
    -------
    numpy.ndarray of bool
        True where the address of `a` is the lower one.

    Raises
    ------
    InvalidAddress
        The families differ.
    """
    if common_family(a, b) is IPFamily.IPV4:
        return np.asarray(a < b)
    return np.asarray((a["hi"] < b["hi"]) | ((a["hi"] == b["hi"]) & (a["lo"] < b["lo"])))


def sort(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the addresses in rising order.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.

    Returns
    -------
    numpy.ndarray
        A sorted copy.

    Raises
    ------
    InvalidAddress
        The array is no address column.
    """
    if family_of(column) is IPFamily.IPV4:
        return np.sort(column)
    packing = _Packing.of(column)
    keys = packing.encode(column)
    keys.sort()
    return packing.decode(keys)


def argsort(column: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return the row numbers that put the addresses in rising order.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.

    Returns
    -------
    numpy.ndarray of intp
        Row numbers; equal addresses keep their order.

    Raises
    ------
    InvalidAddress
        The array is no address column.

    Examples
    --------
    >>> argsort(np.array([5, 1, 5], np.uint32))
    array([1, 0, 2])
    """
    if family_of(column) is IPFamily.IPV4:
        keys, key_bits = column.astype(np.uint64), 32
    else:
        packing = _Packing.of(column)
        keys, key_bits = packing.encode(column), packing.bits
    index_bits = max(int(column.size - 1).bit_length(), 1)
    if key_bits + index_bits > WORD:
        return np.argsort(keys, kind="stable")
    keys <<= np.uint64(index_bits)  # (key, row) in one word: a plain sort is far cheaper than an argsort
    keys |= np.arange(column.size, dtype=np.uint64)
    keys.sort()
    keys &= np.uint64((1 << index_bits) - 1)
    return keys.astype(np.intp)


def unique(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the distinct addresses in rising order.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.

    Returns
    -------
    numpy.ndarray
        Sorted column without repeats.

    Raises
    ------
    InvalidAddress
        The array is no address column.

    Examples
    --------
    >>> unique(np.array([5, 1, 5], np.uint32))
    array([1, 5], dtype=uint32)
    """
    if family_of(column) is IPFamily.IPV4:
        return distinct(np.sort(column))
    packing = _Packing.of(column)
    keys = packing.encode(column)
    keys.sort()
    return packing.decode(distinct(keys))


def isin(column: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Say which addresses occur in another column.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.
    values : numpy.ndarray
        Address column of the same family, in any order.

    Returns
    -------
    numpy.ndarray of bool
        True where the address occurs in `values`.

    Raises
    ------
    InvalidAddress
        The families differ.

    Examples
    --------
    >>> isin(np.array([5, 1], np.uint32), np.array([1, 9], np.uint32))
    array([False,  True])
    """
    common_family(column, values)
    if not values.size or not column.size:
        return np.zeros(column.size, np.bool_)
    keys, wanted = column, values
    if family_of(column) is IPFamily.IPV6:
        packing = _Packing.of(column, values)
        keys, wanted = packing.encode(column), packing.encode(values)
    wanted = distinct(np.sort(wanted))
    place = np.searchsorted(wanted, keys)
    np.minimum(place, wanted.size - 1, out=place)
    return np.asarray(wanted.take(place) == keys)


def search_sorted(
    ordered: npt.NDArray[Any], values: npt.NDArray[Any], *, side: Literal["left", "right"] = "left"
) -> npt.NDArray[np.intp]:
    """Return where addresses would be put into a sorted column to keep it sorted.

    Parameters
    ----------
    ordered : numpy.ndarray
        Sorted address column.
    values : numpy.ndarray
        Address column of the same family.
    side : {"left", "right"}
        Before or after equal addresses, as in `numpy.searchsorted`.

    Returns
    -------
    numpy.ndarray of intp
        One position a row of `values`.

    Raises
    ------
    InvalidAddress
        The families differ.

    Examples
    --------
    >>> search_sorted(np.array([1, 5], np.uint32), np.array([5, 6], np.uint32))
    array([1, 2])
    """
    if common_family(ordered, values) is IPFamily.IPV4:
        return np.asarray(np.searchsorted(ordered, values, side=side))
    packing = _Packing.of(ordered, values)
    return np.asarray(np.searchsorted(packing.encode(ordered), packing.encode(values), side=side))


@dataclass(frozen=True)
class _Packing:
    """An order-preserving, reversible way to write IPv6 rows as one uint64 key.

    Each half is written as its distance from the lowest, which fits in any cluster; where it does not, the widest half
    is replaced by its rank among the distinct values, so that every column has a packing.
    """

    lo_bits: int
    bits: int
    lows: tuple[int, int]
    ranks: tuple[npt.NDArray[np.uint64] | None, npt.NDArray[np.uint64] | None]

    @classmethod
    def of(cls, *columns: npt.NDArray[Any]) -> _Packing:
        """Choose a packing that serves all the columns."""
        lows, widths = [0, 0], [0, 0]
        ranks: list[npt.NDArray[np.uint64] | None] = [None, None]
        filled = [column for column in columns if column.size]
        for half, field in enumerate(("hi", "lo")):
            if filled:
                lows[half] = min(int(column[field].min()) for column in filled)
                widths[half] = (max(int(column[field].max()) for column in filled) - lows[half]).bit_length()
        for half in sorted((0, 1), key=widths.__getitem__, reverse=True):
            if sum(widths) > WORD:
                values = distinct(np.sort(np.concatenate([column[("hi", "lo")[half]] for column in filled])))
                ranks[half], widths[half] = values, int(values.size - 1).bit_length()
        return cls(widths[1], sum(widths), (lows[0], lows[1]), (ranks[0], ranks[1]))

    def encode(self, column: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
        """Write rows as keys."""
        hi, lo = (self._squeeze(column[field], half) for half, field in enumerate(("hi", "lo")))
        if self.lo_bits < WORD:
            hi <<= np.uint64(self.lo_bits)
            hi |= lo
            return hi
        return lo

    def decode(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[Any]:
        """Read rows from keys."""
        column = np.empty(keys.size, IPV6_DTYPE)
        column["hi"] = self._stretch(shift_right(keys, self.lo_bits), 0)
        column["lo"] = self._stretch(keys & np.uint64((1 << self.lo_bits) - 1), 1)
        return column

    def _squeeze(self, values: npt.NDArray[np.uint64], half: int) -> npt.NDArray[np.uint64]:
        ranks = self.ranks[half]
        if ranks is not None:
            return np.searchsorted(ranks, values).astype(np.uint64)
        return np.asarray(values - np.uint64(self.lows[half]))

    def _stretch(self, values: npt.NDArray[np.uint64], half: int) -> npt.NDArray[np.uint64]:
        ranks = self.ranks[half]
        return np.asarray(ranks[values] if ranks is not None else values + np.uint64(self.lows[half]))


def distinct(ordered: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Drop repeats from a sorted array of plain numbers.

    Parameters
    ----------
    ordered : numpy.ndarray
        Rising numbers.

    Returns
    -------
    numpy.ndarray
        Strictly rising numbers; the array itself when it has no repeats.

    Raises
    ------
    None
        Every sorted array has an answer.
    """
    if ordered.size < 2:
        return ordered
    fresh = np.empty(ordered.size, np.bool_)
    fresh[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=fresh[1:])
    return ordered if fresh.all() else ordered[fresh]
