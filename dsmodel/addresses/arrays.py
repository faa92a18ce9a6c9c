"""Address columns: many addresses as numbers, with exact 128-bit arithmetic and no loop over rows.

A column is a one-dimensional array: ``uint32`` holds IPv4, the structured `IPV6_DTYPE` (``hi`` and ``lo``, both
``uint64``) holds IPv6. The dtype is the family. Columns are never changed in place.

Does not know: text (`dsmodel.addresses.text`), missing rows (a mask beside the column), pools.

Order, search and membership of IPv6 go through one ``uint64`` key a row, because one 64-bit sort is some thirty times
cheaper than sorting structured rows: see `_Packing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily, format_address
from dsmodel.errors import InvalidAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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

IPV4_DTYPE = np.dtype(np.uint32)
IPV6_DTYPE = np.dtype([("hi", np.uint64), ("lo", np.uint64)])

_WORD = 64
_LOW = (1 << _WORD) - 1
_FEW_INTERVALS = 8  # up to here one comparison an interval beats a binary search


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
        column["hi"] = np.array([value >> _WORD for value in values], np.uint64)
        column["lo"] = np.array([value & _LOW for value in values], np.uint64)
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
    return [hi << _WORD | lo for hi, lo in pairs]


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
    if unit_bits < _WORD:
        np.bitwise_or(steps << np.uint64(unit_bits), np.uint64(cidr.first & _LOW), out=column["lo"])
        np.bitwise_or(_shift_right(steps, _WORD - unit_bits), np.uint64(cidr.first >> _WORD), out=column["hi"])
    else:
        column["lo"] = np.uint64(cidr.first & _LOW)
        np.bitwise_or(steps << np.uint64(unit_bits - _WORD), np.uint64(cidr.first >> _WORD), out=column["hi"])
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
    lo = column["lo"] - np.uint64(cidr.first & _LOW)
    hi = column["hi"] - np.uint64(cidr.first >> _WORD)
    inside = hi <= np.uint64((cidr.size - 1) >> _WORD)
    if cidr.prefix_length > _WORD:
        inside &= lo <= np.uint64(cidr.size - 1)
    if unit_bits < _WORD:
        inside &= _shift_right(hi, unit_bits) == 0
        offsets = _shift_right(lo, unit_bits) | (hi << np.uint64(_WORD - unit_bits) if unit_bits else np.uint64(0))
    else:
        offsets = _shift_right(hi, unit_bits - _WORD)
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
    if _common_family(a, b) is IPFamily.IPV4:
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
    if _common_family(a, b) is IPFamily.IPV4:
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
    if key_bits + index_bits > _WORD:
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
        return _distinct(np.sort(column))
    packing = _Packing.of(column)
    keys = packing.encode(column)
    keys.sort()
    return packing.decode(_distinct(keys))


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
    _common_family(column, values)
    if not values.size or not column.size:
        return np.zeros(column.size, np.bool_)
    wanted = unique(values)
    place = search_sorted(wanted, column, side="left")
    np.minimum(place, wanted.size - 1, out=place)
    return equal(wanted[place], column)


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
    if _common_family(ordered, values) is IPFamily.IPV4:
        return np.asarray(np.searchsorted(ordered, values, side=side))
    packing = _Packing.of(ordered, values)
    return np.asarray(np.searchsorted(packing.encode(ordered), packing.encode(values), side=side))


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
    masked["hi"] = column["hi"] & _leading(np.minimum(lengths, _WORD))
    masked["lo"] = column["lo"] & _leading(np.maximum(lengths - _WORD, 0))
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
            if sum(widths) > _WORD:
                values = _distinct(np.sort(np.concatenate([column[("hi", "lo")[half]] for column in filled])))
                ranks[half], widths[half] = values, int(values.size - 1).bit_length()
        return cls(widths[1], sum(widths), (lows[0], lows[1]), (ranks[0], ranks[1]))

    def encode(self, column: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
        """Write rows as keys."""
        hi, lo = (self._squeeze(column[field], half) for half, field in enumerate(("hi", "lo")))
        if self.lo_bits < _WORD:
            hi <<= np.uint64(self.lo_bits)
            hi |= lo
            return hi
        return lo

    def decode(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[Any]:
        """Read rows from keys."""
        column = np.empty(keys.size, IPV6_DTYPE)
        column["hi"] = self._stretch(_shift_right(keys, self.lo_bits), 0)
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


def _shift_right(values: npt.NDArray[np.uint64], bits: int) -> npt.NDArray[np.uint64]:
    """Shift right by up to 64 bits."""
    return np.asarray(values >> np.uint64(bits) if bits < _WORD else np.zeros_like(values))


def _leading(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return words whose leading bits are set; lengths 0 to 64."""
    return np.asarray(~np.where(lengths >= _WORD, np.uint64(0), np.uint64(_LOW) >> lengths.astype(np.uint64)))


def _distinct(ordered: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Drop repeats from a sorted array of plain numbers."""
    if ordered.size < 2:
        return ordered
    fresh = np.empty(ordered.size, np.bool_)
    fresh[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=fresh[1:])
    return ordered if fresh.all() else ordered[fresh]


def _common_family(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> IPFamily:
    """Return the family of both columns."""
    family, other = family_of(a), family_of(b)
    if family is not other:
        raise InvalidAddress(f"an {family} column meets an {other} column; split the rows by family first")
    return family


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
        return np.array(whole >> _WORD, np.uint64), np.array(whole & _LOW, np.uint64)
    if n.dtype.kind == "i":
        return np.where(n < 0, np.uint64(_LOW), np.uint64(0)), n.astype(np.int64).view(np.uint64)
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
