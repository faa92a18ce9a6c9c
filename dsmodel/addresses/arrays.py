"""Address columns: offsets, exact 128-bit arithmetic, membership in blocks.

This is the one module to import for work on columns: it offers the verbs of `dsmodel.addresses.columns` (dtypes and
plain numbers) and `dsmodel.addresses.order` (compare, sort, search) too.

Promises: results are exact for all 128 bits, with no loop over rows; columns are never changed in place.

Does not know: text (`dsmodel.addresses.text`), missing rows (a mask beside the column), pools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.cidr import Cidr
from dsmodel.addresses.columns import (
    IPV4_DTYPE,
    IPV6_DTYPE,
    LOW,
    WORD,
    address_dtype,
    empty,
    family_of,
    from_integers,
    shift_right,
    to_integers,
)
from dsmodel.addresses.literals import IPFamily, format_address
from dsmodel.addresses.order import argsort, equal, isin, less, search_sorted, sort, unique
from dsmodel.errors import InvalidAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = [
    "IPV4_DTYPE",
    "IPV6_DTYPE",
    "add",
    "address_dtype",
    "addresses_in",
    "argsort",
    "empty",
    "equal",
    "family_of",
    "from_integers",
    "from_offsets",
    "isin",
    "less",
    "mask_prefix",
    "search_sorted",
    "sort",
    "subtract",
    "to_integers",
    "to_offsets",
    "unique",
]

_FEW_INTERVALS = 8  # up to here one comparison an interval beats a binary search


def from_offsets(cidr: Cidr, offsets: npt.ArrayLike, *, unit_bits: int = 0) -> npt.NDArray[Any]:
    """Return the addresses at offsets inside a block.

    Parameters
    ----------
    cidr : Cidr
        The block.
    offsets : array_like of uint64
        Distance from the first address, in units.
    unit_bits : int
        A unit is ``2**unit_bits`` addresses: 0 for addresses, 8 for the /24 blocks of an IPv4 range.

    Returns
    -------
    numpy.ndarray
        Address column of the block's family.

    Raises
    ------
    InvalidAddress
        An offset lies outside the block; the message names the row.

    Examples
    --------
    >>> to_integers(from_offsets(Cidr("10.0.0.0/8"), [0, 3], unit_bits=8)) == [10 << 24, (10 << 24) + 768]
    True
    """
    steps = _as_words(offsets)
    limit = cidr.size >> unit_bits
    if steps.size and int(steps.max()) >= limit:
        row = int(np.argmax(steps >= np.uint64(limit)))
        raise InvalidAddress(f"row {row}: {cidr} has no offset {steps[row]}; use 0 to {limit - 1}")
    if cidr.family is IPFamily.IPV4:
        return np.uint32(cidr.first) | (steps << np.uint64(unit_bits)).astype(np.uint32)
    column: npt.NDArray[Any] = np.empty(steps.size, IPV6_DTYPE)  # host bits of the base are zero, so joining is adding
    if unit_bits < WORD:
        np.bitwise_or(steps << np.uint64(unit_bits), np.uint64(cidr.first & LOW), out=column["lo"])
        np.bitwise_or(shift_right(steps, WORD - unit_bits), np.uint64(cidr.first >> WORD), out=column["hi"])
    else:
        column["lo"] = np.uint64(cidr.first & LOW)
        np.bitwise_or(steps << np.uint64(unit_bits - WORD), np.uint64(cidr.first >> WORD), out=column["hi"])
    return column


def to_offsets(
    column: npt.NDArray[Any], cidr: Cidr, *, unit_bits: int = 0
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Return how far addresses lie inside a block.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.
    cidr : Cidr
        The block.
    unit_bits : int
        A unit is ``2**unit_bits`` addresses; offsets are rounded down to units.

    Returns
    -------
    offsets : numpy.ndarray of uint64
        Distance from the first address in units; 0 where not inside.
    inside : numpy.ndarray of bool
        True where the address lies in the block and its offset fits in 64 bits. A column of the other family is
        nowhere inside.

    Raises
    ------
    InvalidAddress
        The array is no address column.

    Examples
    --------
    >>> to_offsets(np.array([167772161, 5], np.uint32), Cidr("10.0.0.0/8"))
    (array([1, 0], dtype=uint64), array([ True, False]))
    """
    if family_of(column) is not cidr.family:
        return np.zeros(column.size, np.uint64), np.zeros(column.size, np.bool_)
    if cidr.family is IPFamily.IPV4:
        distance = column - np.uint32(cidr.first)
        inside = distance <= np.uint32(cidr.size - 1)
        offsets = distance.astype(np.uint64) >> np.uint64(unit_bits)
        return np.where(inside, offsets, np.uint64(0)), inside
    # the base has no host bits, so inside the block the subtraction never borrows
    lo = column["lo"] - np.uint64(cidr.first & LOW)
    hi = column["hi"] - np.uint64(cidr.first >> WORD)
    inside = hi <= np.uint64((cidr.size - 1) >> WORD)
    if cidr.prefix_length > WORD:
        inside &= lo <= np.uint64(cidr.size - 1)
    if unit_bits < WORD:
        inside &= shift_right(hi, unit_bits) == 0
        offsets = shift_right(lo, unit_bits) | (hi << np.uint64(WORD - unit_bits) if unit_bits else np.uint64(0))
    else:
        offsets = shift_right(hi, unit_bits - WORD)
    return np.where(inside, offsets, np.uint64(0)), inside


def add(column: npt.NDArray[Any], n: int | npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Move every address by a distance.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.
    n : int or numpy.ndarray of integers
        Distance, negative allowed; one for all rows or one a row.

    Returns
    -------
    numpy.ndarray
        Column of the same dtype.

    Raises
    ------
    InvalidAddress
        A result leaves the family's space; the message names the row.

    Examples
    --------
    >>> to_integers(add(from_integers([2**64 - 1], family=IPFamily.IPV6), 1)) == [2**64]
    True
    """
    family = family_of(column)
    if family is IPFamily.IPV4 and not isinstance(n, np.ndarray):
        near = column.astype(np.int64) + min(max(n, -(1 << 33)), 1 << 33)
        _check_rows(np.asarray(near >> 32 != 0), column, n)
        return near.astype(np.uint32)
    wide = _widen(column)
    step_hi, step_lo = _step_words(n)
    moved: npt.NDArray[Any] = np.empty(column.size, IPV6_DTYPE)
    moved["lo"] = wide["lo"] + step_lo
    moved["hi"] = wide["hi"] + step_hi + (moved["lo"] < wide["lo"])
    wrong = np.where(np.asarray(n) < 0, less(wide, moved), less(moved, wide))
    if isinstance(n, int) and abs(n) >> 128:
        wrong = np.ones(column.size, np.bool_)
    if family is IPFamily.IPV4:
        wrong = wrong | (moved["hi"] != 0) | (moved["lo"] >> np.uint64(32) != 0)
    _check_rows(wrong, column, n)
    return np.asarray(moved["lo"].astype(np.uint32) if family is IPFamily.IPV4 else moved)


def subtract(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the distance from each address of one column to the address of another, at or above it.

    Parameters
    ----------
    a, b : numpy.ndarray
        Address columns of one family; `b` may hold one row for all.

    Returns
    -------
    numpy.ndarray
        ``a - b`` as unsigned numbers, in the dtype of the columns; `to_integers` reads them.

    Raises
    ------
    InvalidAddress
        The families differ, or an address of `a` lies below that of `b`; the message names the row.

    Examples
    --------
    >>> subtract(np.array([9, 7], np.uint32), np.array([4], np.uint32))
    array([5, 3], dtype=uint32)
    """
    below = less(a, b)
    if below.any():
        row = int(np.argmax(below))
        raise InvalidAddress(f"row {row}: the address lies below the one it is measured from; swap the columns there")
    if family_of(a) is IPFamily.IPV4:
        return np.asarray(a - b)
    distance = np.empty(below.size, IPV6_DTYPE)
    distance["lo"] = a["lo"] - b["lo"]
    distance["hi"] = a["hi"] - b["hi"] - (a["lo"] < b["lo"])
    return distance


def mask_prefix(column: npt.NDArray[Any], prefix_length: int | npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Clear the bits right of a prefix.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.
    prefix_length : int or numpy.ndarray of integers
        Number of leading bits to keep; one for all rows or one a row.

    Returns
    -------
    numpy.ndarray
        Network addresses, in the dtype of the column.

    Raises
    ------
    InvalidAddress
        A prefix length is negative or longer than the family allows.

    Examples
    --------
    >>> mask_prefix(np.array([0x0A000105], np.uint32), 24) == 0x0A000100
    array([ True])
    """
    bits = family_of(column).bits
    lengths = np.asarray(prefix_length, np.int64)
    if lengths.size and not 0 <= int(lengths.min()) <= int(lengths.max()) <= bits:
        wrong = int(lengths.min()) if lengths.min() < 0 else int(lengths.max())
        raise InvalidAddress(f"/{wrong} is no prefix length of {bits}-bit addresses; use 0 to {bits}")
    if bits == 32:
        return np.asarray(column & (np.uint64(0xFFFFFFFF) << (32 - lengths).astype(np.uint64)).astype(np.uint32))
    masked = np.empty(column.size, IPV6_DTYPE)
    masked["hi"] = column["hi"] & _leading(np.minimum(lengths, WORD))
    masked["lo"] = column["lo"] & _leading(np.maximum(lengths - WORD, 0))
    return masked


def addresses_in(column: npt.NDArray[Any], cidrs: Cidr | str | Sequence[Cidr | str]) -> npt.NDArray[np.bool_]:
    """Say which addresses lie inside any of some blocks.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.
    cidrs : Cidr, str or sequence of them
        Blocks in any order; they may overlap. Blocks of the other family hold none of the addresses.

    Returns
    -------
    numpy.ndarray of bool
        True where some block holds the address.

    Raises
    ------
    InvalidCidr
        A text is no CIDR.
    InvalidAddress
        The array is no address column.

    Examples
    --------
    >>> addresses_in(np.array([0x0A000001, 0x08080808], np.uint32), ["10.0.0.0/8", "fd00::/8"])
    array([ True, False])
    """
    family = family_of(column)
    given = [cidrs] if isinstance(cidrs, Cidr | str) else cidrs
    blocks = sorted(c for c in map(_as_cidr, given) if c.family is family)
    spans: list[tuple[int, int]] = []
    for block in blocks:
        if spans and block.first <= spans[-1][1] + 1:
            spans[-1] = spans[-1][0], max(spans[-1][1], block.last)
        else:
            spans.append((block.first, block.last))
    firsts = from_integers((first for first, _ in spans), family=family)
    lasts = from_integers((last for _, last in spans), family=family)
    inside = np.zeros(column.size, np.bool_)
    if len(spans) <= _FEW_INTERVALS:
        for row in range(len(spans)):
            inside |= ~(less(column, firsts[row : row + 1]) | less(lasts[row : row + 1], column))
        return inside
    place = search_sorted(firsts, column, side="right") - 1
    return (place >= 0) & ~less(lasts[place], column)


def _as_cidr(cidr: Cidr | str) -> Cidr:
    """Read a CIDR given as text."""
    return cidr if isinstance(cidr, Cidr) else Cidr(cidr)


def _as_words(offsets: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """Return offsets as a flat uint64 array, refusing negative ones."""
    values = np.atleast_1d(np.asarray(offsets))
    if values.dtype.kind == "i" and values.size and int(values.min()) < 0:
        row = int(np.argmax(values < 0))
        raise InvalidAddress(f"row {row}: offset {values[row]} is negative; offsets count from the first address")
    return values.astype(np.uint64, copy=False)


def _leading(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return words whose leading bits are set; lengths 0 to 64."""
    return np.asarray(~np.where(lengths >= WORD, np.uint64(0), np.uint64(LOW) >> lengths.astype(np.uint64)))


def _widen(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return 128-bit rows of either family."""
    if family_of(column) is IPFamily.IPV6:
        return column
    wide = np.zeros(column.size, IPV6_DTYPE)
    wide["lo"] = column
    return wide


def _step_words(n: int | npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return high and low words of distances modulo 2**128."""
    if not isinstance(n, np.ndarray):
        whole = n % (1 << 128)
        return np.array(whole >> WORD, np.uint64), np.array(whole & LOW, np.uint64)
    if n.dtype.kind == "i":
        return np.where(n < 0, np.uint64(LOW), np.uint64(0)), n.astype(np.int64).view(np.uint64)
    return np.zeros(n.shape, np.uint64), n.astype(np.uint64)


def _check_rows(wrong: npt.NDArray[np.bool_], column: npt.NDArray[Any], n: int | npt.NDArray[Any]) -> None:
    """Refuse a move that leaves the address space."""
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    family = family_of(column)
    address = format_address(family, to_integers(column[row : row + 1])[0])
    step = n[row] if isinstance(n, np.ndarray) and n.ndim else n
    raise InvalidAddress(f"row {row}: {address} moved by {step} leaves the {family} space; use a smaller distance")
