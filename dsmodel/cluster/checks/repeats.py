"""Find addresses that occur more than once.

Promises exact answers for both families, a cheap no for large columns without repeats, and rows in order of address.
What it does not know: who holds an address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import argsort, equal
from dsmodel.cluster.address_keys import AddressKeys

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["has_repeats", "repeated"]

_TICKS = 8  # bytes a row that ticking addresses off may take


def repeated(column: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find addresses that occur more than once.

    Parameters
    ----------
    column : address column, shape (n,)
        Any addresses.

    Returns
    -------
    tuple of ndarray of intp
        Rows whose address an earlier row has, and that row; in order of address.

    Raises
    ------
    None
        Every column has an answer.

    Examples
    --------
    >>> repeated(np.array([7, 9, 7], np.uint32))
    (array([2]), array([0]))
    """
    if not has_repeats(column):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    order = argsort(column)
    ordered = column[order]
    again = np.flatnonzero(equal(ordered[1:], ordered[:-1])) + 1
    return order[again], order[again - 1]


def has_repeats(column: NDArray[Any]) -> bool:
    """Tell whether any address occurs more than once.

    Parameters
    ----------
    column : address column, shape (n,)
        Any addresses.

    Returns
    -------
    bool
        Cheaper than `repeated`: addresses near each other are ticked off, others sorted, and no row is named.

    Raises
    ------
    None
        Every column has an answer.

    Examples
    --------
    >>> has_repeats(np.array([7, 9, 7], np.uint32)), has_repeats(np.array([7, 9], np.uint32))
    (True, False)
    """
    if len(column) < 2:
        return False
    keys = column if column.dtype.names is None else AddressKeys(column).keys
    lowest = keys.min()
    span = int(keys.max()) - int(lowest) + 1
    if span <= _TICKS * len(keys):
        seen = np.zeros(span, np.bool_)
        place = keys - lowest if lowest else keys
        seen[place.view(np.int64) if place.dtype == np.uint64 else place] = True  # signed indices need no conversion
        return int(np.count_nonzero(seen)) < len(keys)
    ordered = np.sort(keys)
    return bool((ordered[1:] == ordered[:-1]).any())
