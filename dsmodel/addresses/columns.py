"""Address columns: their dtypes, and plain numbers to and from them.

Promises: a column is a one-dimensional array; ``uint32`` holds IPv4, the structured `IPV6_DTYPE` (``hi`` and ``lo``,
both ``uint64``) holds IPv6. The dtype is the family. Columns are never changed in place.

Does not know: text, order, arithmetic, missing rows (a mask beside the column).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.literals import IPFamily
from dsmodel.errors import InvalidAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

__all__ = [
    "IPV4_DTYPE",
    "IPV6_DTYPE",
    "LOW",
    "WORD",
    "address_dtype",
    "common_family",
    "empty",
    "family_of",
    "from_integers",
    "shift_right",
    "to_integers",
]

IPV4_DTYPE = np.dtype(np.uint32)
IPV6_DTYPE = np.dtype([("hi", np.uint64), ("lo", np.uint64)])
WORD = 64  # bits of half an IPv6 address
LOW = (1 << WORD) - 1


def address_dtype(family: IPFamily) -> np.dtype[Any]:
    """Return the dtype that stands for a family.

    Parameters
    ----------
    family : IPFamily
        Family of the column.

    Returns
    -------
    numpy.dtype
        ``uint32`` or `IPV6_DTYPE`.

    Raises
    ------
    None
        Both families have a dtype.
    """
    return IPV4_DTYPE if IPFamily(family) is IPFamily.IPV4 else IPV6_DTYPE


def family_of(column: npt.NDArray[Any]) -> IPFamily:
    """Return the family of a column.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.

    Returns
    -------
    IPFamily
        What the dtype says.

    Raises
    ------
    InvalidAddress
        The array is no address column.

    Examples
    --------
    >>> family_of(np.zeros(3, np.uint32))
    <IPFamily.IPV4: 'IPv4'>
    """
    dtype = getattr(column, "dtype", None)
    if dtype == IPV4_DTYPE:
        return IPFamily.IPV4
    if dtype == IPV6_DTYPE:
        return IPFamily.IPV6
    raise InvalidAddress(
        f"{dtype or type(column).__name__} is no address column; use uint32 for IPv4 or IPV6_DTYPE for IPv6"
    )


def empty(n: int, family: IPFamily) -> npt.NDArray[Any]:
    """Return a new column of all-zero addresses.

    Parameters
    ----------
    n : int
        Number of rows.
    family : IPFamily
        Family of the column.

    Returns
    -------
    numpy.ndarray
        ``uint32`` or `IPV6_DTYPE`, every row ``0.0.0.0`` or ``::``.

    Raises
    ------
    None
        Every non-negative count has a column.
    """
    return np.zeros(n, address_dtype(family))


def from_integers(integers: Iterable[int], *, family: IPFamily) -> npt.NDArray[Any]:
    """Build a column from Python integers.

    Parameters
    ----------
    integers : iterable of int
        Addresses as numbers.
    family : IPFamily
        Family of all of them.

    Returns
    -------
    numpy.ndarray
        Address column.

    Raises
    ------
    InvalidAddress
        A number does not fit in the family; the message names the row.

    Examples
    --------
    >>> to_integers(from_integers([1, 2**127], family=IPFamily.IPV6))
    [1, 170141183460469231731687303715884105728]
    """
    values = list(integers)
    bits = IPFamily(family).bits
    for row, value in enumerate(values):
        if not 0 <= value < 1 << bits:
            raise InvalidAddress(
                f"row {row}: {value} is no {family} address; it must be at least 0 and below 2**{bits}"
            )
    column = empty(len(values), family)
    if bits == 32:
        column[:] = values
    else:
        column["hi"] = np.array([value >> WORD for value in values], np.uint64)
        column["lo"] = np.array([value & LOW for value in values], np.uint64)
    return column


def to_integers(column: npt.NDArray[Any]) -> list[int]:
    """Return the addresses as Python integers.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.

    Returns
    -------
    list of int
        One number a row.

    Raises
    ------
    InvalidAddress
        The array is no address column.
    """
    if family_of(column) is IPFamily.IPV4:
        return [int(value) for value in column.tolist()]
    pairs = zip(column["hi"].tolist(), column["lo"].tolist(), strict=True)
    return [hi << WORD | lo for hi, lo in pairs]


def common_family(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> IPFamily:
    """Return the family that two columns share.

    Parameters
    ----------
    a, b : numpy.ndarray
        Address columns.

    Returns
    -------
    IPFamily
        The family of both.

    Raises
    ------
    InvalidAddress
        The families differ, or an array is no address column.
    """
    family, other = family_of(a), family_of(b)
    if family is not other:
        raise InvalidAddress(f"an {family} column meets an {other} column; split the rows by family first")
    return family


def shift_right(values: npt.NDArray[np.uint64], bits: int) -> npt.NDArray[np.uint64]:
    """Shift words right, by their whole width too.

    Parameters
    ----------
    values : numpy.ndarray of uint64
        Words.
    bits : int
        0 to 64.

    Returns
    -------
    numpy.ndarray of uint64
        Shifted words; all zero for 64.

    Raises
    ------
    None
        Every distance named above has an answer.
    """
    return np.asarray(values >> np.uint64(bits) if bits < WORD else np.zeros_like(values))
