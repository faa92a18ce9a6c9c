"""Write addresses as one ``uint64`` a row that sorts, groups and compares as they do.

Promises that keys are in the order of the addresses and equal exactly where they are, and that a key leads back to its
address. In any cluster the used bits of ``hi`` and ``lo`` fit one word; where they do not, ranks take their place.

What it does not know: missing rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AddressKeys", "stable_order"]


class AddressKeys:
    """One uint64 a row, in the order of the addresses: used bits of hi above used bits of lo, or ranks.

    Parameters
    ----------
    column : address column, shape (n,)
        The rows; ``keys`` holds theirs.

    Examples
    --------
    >>> from dsmodel.addresses.arrays import IPV6_DTYPE
    >>> AddressKeys(np.array([(7, 5), (7, 9), (8, 5)], IPV6_DTYPE)).keys
    array([0, 4, 8], dtype=uint64)
    """

    def __init__(self, column: NDArray[Any]) -> None:
        self.dtype = column.dtype
        self.ranked: NDArray[Any] | None = None
        if column.dtype.names is None:
            self.keys = column.astype(np.uint64)
            return
        hi, lo = column["hi"], column["lo"]
        self.low_hi, self.high_hi, self.low_lo, self.high_lo = (
            (int(hi.min()), int(hi.max()), int(lo.min()), int(lo.max())) if len(column) else (0, 0, 0, 0)
        )
        self.lo_bits = (self.high_lo - self.low_lo).bit_length()
        if (self.high_hi - self.low_hi).bit_length() + self.lo_bits <= 64:
            self.keys = self._packed(hi, lo)
            return
        order = np.lexsort((lo, hi))
        ordered = column[order]
        fresh = np.ones(len(column), np.bool_)
        fresh[1:] = (ordered["hi"][1:] != ordered["hi"][:-1]) | (ordered["lo"][1:] != ordered["lo"][:-1])
        self.keys = np.empty(len(column), np.uint64)
        self.keys[order] = np.cumsum(fresh) - 1
        self.ranked = ordered[fresh]

    def _packed(self, hi: NDArray[np.uint64], lo: NDArray[np.uint64]) -> NDArray[np.uint64]:
        keys = hi - np.uint64(self.low_hi)
        if self.lo_bits == 64:  # then every hi is the same, and numpy does not shift by the whole width
            return lo - np.uint64(self.low_lo)
        keys <<= np.uint64(self.lo_bits)
        keys |= lo - np.uint64(self.low_lo)
        return keys

    def addresses(self, keys: NDArray[np.uint64]) -> NDArray[Any]:
        """Return the addresses of keys.

        Parameters
        ----------
        keys : ndarray of uint64, shape (m,)
            Some of the rows' keys.

        Returns
        -------
        address column, shape (m,)
            Of the rows' family.

        Raises
        ------
        None
            Every key of a row has an address.
        """
        if self.dtype.names is None:
            return keys.astype(self.dtype)
        if self.ranked is not None:
            return self.ranked[keys]
        column = np.empty(len(keys), self.dtype)
        if self.lo_bits == 64:
            column["hi"] = self.low_hi
            column["lo"] = keys + np.uint64(self.low_lo)
            return column
        column["hi"] = (keys >> np.uint64(self.lo_bits)) + np.uint64(self.low_hi)
        column["lo"] = (keys & np.uint64((1 << self.lo_bits) - 1)) + np.uint64(self.low_lo)
        return column

    def of(self, column: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the keys of those among other addresses that some row may equal.

        Parameters
        ----------
        column : address column, shape (m,)
            Of the rows' family.

        Returns
        -------
        ndarray of uint64
            Fewer than m where an address cannot be among the rows.

        Raises
        ------
        None
            Every column has an answer.
        """
        if self.dtype.names is None:
            return column.astype(np.uint64)
        hi, lo = column["hi"], column["lo"]
        if self.ranked is None:
            inside = (hi >= self.low_hi) & (hi <= self.high_hi) & (lo >= self.low_lo) & (lo <= self.high_lo)
            return self._packed(hi[inside], lo[inside])
        joint = AddressKeys(np.concatenate((self.ranked, column))).keys
        position = np.searchsorted(joint[: len(self.ranked)], joint[len(self.ranked) :])
        position = np.minimum(position, len(self.ranked) - 1)
        found: NDArray[np.uint64] = position[joint[position] == joint[len(self.ranked) :]].astype(np.uint64)
        return found


def stable_order(keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return the rows in order of their keys, equal ones in their own order.

    Key and row number go into one word where there is room, which sorts several times faster than an argsort.

    Parameters
    ----------
    keys : ndarray of uint64, shape (n,)
        Any keys.

    Returns
    -------
    ndarray of intp, shape (n,)
        Row numbers.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> stable_order(np.array([9, 3, 9], np.uint64))
    array([1, 0, 2])
    """
    n = len(keys)
    bits = max(n - 1, 0).bit_length()
    low = keys.min() if n else np.uint64(0)
    if n and (int(keys.max()) - int(low)).bit_length() + bits <= 64:
        packed = ((keys - low) << np.uint64(bits)) | np.arange(n, dtype=np.uint64)
        packed.sort()
        return (packed & np.uint64((1 << bits) - 1)).astype(np.intp)
    return np.argsort(keys, kind="stable")
