"""Linear probing one request after the other, compiled by numba where it is installed.

Promises the same slots in the same order as `dsmodel.pools.probing.sequence`, some 20 times faster. numba is never
needed: without it `prober` has nothing to offer, and the first call with it takes about a second to import and compile.

It does not know bands, strategies or generators of random numbers.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["probe", "prober"]

_Words: TypeAlias = "NDArray[np.uint64]"
_Prober: TypeAlias = "Callable[[_Words, NDArray[np.unsignedinteger], _Words, _Words], int]"

_PATIENCE = 256
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_ONE = np.uint64(1)
_SIX = np.uint64(6)
_MASK = np.uint64(63)

_DE_BRUIJN = np.uint64(0x03F7_9D71_B4CB_0A89)
"""Its 64 shifts differ in their top 6 bits, so multiplying a single bit with it tells which bit it is."""
_TOP = np.uint64(58)
_PLACE = np.empty(64, dtype=np.uint64)
_PLACE[[((int(_DE_BRUIJN) << bit) & int(_ALL)) >> 58 for bit in range(64)]] = np.arange(64)


def probe(
    words: NDArray[np.uint64], starts: NDArray[np.unsignedinteger], band: NDArray[np.uint64], out: NDArray[np.uint64]
) -> int:
    """Take for each start the next free slot at or after it, wrapping inside a band.

    Gives up where starts crowd together so much that it would look at 256 words a start.

    Parameters
    ----------
    words : ndarray of uint64
        Packed occupancy, slot 0 in bit 0 of word 0; changed in place.
    starts : ndarray of uint32 or uint64, shape (n,)
        Slots of the band, in order of arrival; at least n slots of it are free.
    band : ndarray of uint64, shape (2,)
        Its first slot, and one past its last.
    out : ndarray of uint64, shape (n,)
        Receives row by row the slot taken.

    Returns
    -------
    int
        Number of rows done; the others have taken nothing.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> import numpy as np
    >>> words, out = np.array([0b0110], dtype=np.uint64), np.empty(3, dtype=np.uint64)
    >>> with np.errstate(over="ignore"):
    ...     done = probe(words, np.array([1, 3, 3], dtype=np.uint64), np.array([0, 5], dtype=np.uint64), out)
    >>> done, out
    (3, array([3, 4, 0], dtype=uint64))
    """
    low, high = band[0], band[1]
    patience = _PATIENCE * len(starts)
    for row in range(len(starts)):
        if patience < 0:
            return row
        start = np.uint64(starts[row])
        word = start >> _SIX
        free = ~words[word] & (_ALL << (start & _MASK))
        while True:
            bit = free & (~free + _ONE)
            slot = (word << _SIX) + _PLACE[(bit * _DE_BRUIJN) >> _TOP]
            if free != 0 and slot < high:
                break
            patience -= 1
            word = word + _ONE
            if free != 0 or (word << _SIX) >= high:
                word = low >> _SIX
                free = ~words[word] & (_ALL << (low & _MASK))
            else:
                free = ~words[word]
        words[word] |= bit
        out[row] = slot
    return len(starts)


@functools.cache
def prober() -> _Prober | None:
    """Return `probe` compiled, or None without numba.

    Returns
    -------
    callable or None
        The same one every time.

    Raises
    ------
    None
        A numba that cannot be imported is none.
    """
    try:
        numba = importlib.import_module("numba")
    except ImportError:
        return None
    compiled: _Prober = numba.njit(nogil=True)(probe)
    return compiled
