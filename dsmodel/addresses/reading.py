"""Text bytes to numbers: the parsers behind `dsmodel.addresses.text`, on the bytes of a whole column at once.

Promises: every row that is marked read has exactly the value that `dsmodel.addresses.cidr.parse_address` gives it. A
row that is not marked may still be an address in a form this module leaves to the scalar reader: IPv6 with a dotted
tail, more than four digits in a group or more than three in an octet.

Method: the separators cut a chunk of text into tokens; for every byte the four digits that end there are combined once,
with plain operations on neighbouring bytes, so that reading a token is one gather at its last byte.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.columns import IPV4_DTYPE, IPV6_DTYPE

if TYPE_CHECKING:
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Numbers = npt.NDArray[np.int64]
    Marks = npt.NDArray[np.bool_]

__all__ = ["GROUP_COUNT", "SLOTS", "read_ipv4", "read_ipv6", "rows_with", "separator_counts"]

_CHUNK = 1 << 14  # rows: large enough to hide the cost of calls, small enough for the caches
_DOT, _COLON, _ZERO = ord("."), ord(":"), ord("0")
_TOO_LARGE = 256  # in the octet table: no octet
GROUP_COUNT = 8
# where group k of the text lies among the eight uint16 of a row of IPV6_DTYPE
SLOTS = np.array([3, 2, 1, 0, 7, 6, 5, 4] if sys.byteorder == "little" else range(8))
_GROUP_MASKS = np.array([0, 0xF, 0xFF, 0xFFF, 0xFFFF], np.uint16)  # by number of digits


def read_ipv4(data: Bytes, offsets: Numbers, *, sloppy: bool) -> tuple[npt.NDArray[np.uint32], Marks]:
    """Read dotted text of up to three digits an octet.

    Parameters
    ----------
    data : numpy.ndarray of uint8
        The bytes of all rows, one after another.
    offsets : numpy.ndarray of int64
        Where each row begins, and the end of the last.
    sloppy : bool
        Accept leading zeros.

    Returns
    -------
    values : numpy.ndarray of uint32
        Addresses; 0 where not read.
    is_read : numpy.ndarray of bool
        True where the row was read.

    Raises
    ------
    None
        Rows that cannot be read are marked.
    """
    values = np.zeros(offsets.size - 1, IPV4_DTYPE)
    is_read = np.zeros(values.size, np.bool_)
    for start in range(0, values.size, _CHUNK):
        rows = slice(start, start + _CHUNK)
        bounds = offsets[start : start + _CHUNK + 1]
        text = data[bounds[0] : bounds[-1]]
        _read_ipv4_chunk(text, bounds - bounds[0], table=_octets(sloppy), out=(values[rows], is_read[rows]))
    return values, is_read


def read_ipv6(data: Bytes, offsets: Numbers) -> tuple[npt.NDArray[Any], Marks]:
    """Read colon-separated text of up to four digits a group, without dotted tails.

    Parameters
    ----------
    data : numpy.ndarray of uint8
        The bytes of all rows, one after another.
    offsets : numpy.ndarray of int64
        Where each row begins, and the end of the last.

    Returns
    -------
    values : numpy.ndarray of IPV6_DTYPE
        Addresses; 0 where not read.
    is_read : numpy.ndarray of bool
        True where the row was read.

    Raises
    ------
    None
        Rows that cannot be read are marked.
    """
    values: npt.NDArray[Any] = np.zeros(offsets.size - 1, IPV6_DTYPE)
    is_read = np.zeros(values.size, np.bool_)
    groups = values.view(np.uint16).reshape(-1, GROUP_COUNT)
    for start in range(0, values.size, _CHUNK):
        rows = slice(start, start + _CHUNK)
        bounds = offsets[start : start + _CHUNK + 1]
        text = data[bounds[0] : bounds[-1]]
        _read_ipv6_chunk(text, bounds - bounds[0], out=(groups[rows], is_read[rows]))
    return values, is_read


def rows_with(data: Bytes, offsets: Numbers, byte: str) -> Marks:
    """Mark the rows that contain a character.

    Parameters
    ----------
    data : numpy.ndarray of uint8
        The bytes of all rows, one after another.
    offsets : numpy.ndarray of int64
        Where each row begins, and the end of the last.
    byte : str
        One ASCII character.

    Returns
    -------
    numpy.ndarray of bool
        True where the row contains it.

    Raises
    ------
    None
        Every row has an answer.
    """
    found = np.flatnonzero(data[offsets[0] : offsets[-1]] == ord(byte)) + offsets[0]
    return separator_counts(found, offsets) > 0


def separator_counts(found: npt.NDArray[np.intp], offsets: Numbers) -> npt.NDArray[np.intp]:
    """Count the found positions in each row.

    Parameters
    ----------
    found : numpy.ndarray of intp
        Rising positions in the bytes.
    offsets : numpy.ndarray of int64
        Where each row begins, and the end of the last.

    Returns
    -------
    numpy.ndarray of intp
        One count a row.

    Raises
    ------
    None
        Every row has an answer.
    """
    return np.diff(np.searchsorted(found, offsets))


def _read_ipv4_chunk(
    text: Bytes, bounds: Numbers, *, table: npt.NDArray[np.uint16], out: tuple[npt.NDArray[np.uint32], Marks]
) -> None:
    """Read one chunk of rows into `out`."""
    dots = np.flatnonzero(text == _DOT)
    strange = ((text - np.uint8(_ZERO)) > 9) & (text != _DOT)
    rows: slice | npt.NDArray[np.intp] = slice(None)
    if not _are_even(dots, bounds, 3) or strange.any():
        counts = separator_counts(dots, bounds)
        good = counts == 3
        good[_rows_at(strange, bounds)] = False
        dots = dots[np.repeat(good, counts)]
        rows = np.flatnonzero(good)
    ends, lengths = _tokens(dots.reshape(-1, 3), starts=bounds[:-1][rows], stops=bounds[1:][rows])
    codes = _digits_before(text).take(ends)
    codes &= np.uint16(0xFFF)
    codes |= np.minimum(lengths, 4).astype(np.uint16) << np.uint16(12)
    octets = table.take(codes)
    values, is_read = out
    good = octets.max(axis=0, initial=0) < _TOO_LARGE
    wide = octets.astype(np.uint32)
    joined = wide[0] << np.uint32(24) | wide[1] << np.uint32(16) | wide[2] << np.uint32(8) | wide[3]
    is_read[rows] = good
    values[rows] = joined if good.all() else np.where(good, joined, np.uint32(0))


def _read_ipv6_chunk(text: Bytes, bounds: Numbers, *, out: tuple[npt.NDArray[np.uint16], Marks]) -> None:
    """Read one chunk of rows into `out`: the rows of each common shape together, the rest by themselves."""
    colons = np.flatnonzero(text == _COLON)
    letters = (text | np.uint8(0x20)) - np.uint8(ord("a"))
    strange = ((text - np.uint8(_ZERO)) > 10) & (letters > 5)  # ":" follows "9"
    codes = _digits_before(text)
    count = colons.size // (bounds.size - 1)
    if 2 <= count <= GROUP_COUNT and not strange.any() and _are_even(colons, bounds, count):
        tokens = _tokens(colons.reshape(-1, count), starts=bounds[:-1], stops=bounds[1:])
        if _fill_even(codes, *tokens, rows=slice(None), out=out):
            return
    counts = separator_counts(colons, bounds)
    rest = np.ones(counts.size, np.bool_)
    rest[_rows_at(strange, bounds)] = False
    shapes = _shape_keys(colons, bounds, counts=counts)
    for shape in np.flatnonzero(np.bincount(shapes) >= counts.size // 8 + 64):
        chosen = rest & (shapes == shape)
        rows = np.flatnonzero(chosen)
        if shape >> 4 < 2 or not rows.size:
            continue
        table = colons[np.repeat(chosen, counts)].reshape(rows.size, -1)
        tokens = _tokens(table, starts=bounds[:-1][rows], stops=bounds[1:][rows])
        if _fill_even(codes, *tokens, rows=rows, out=out):
            rest[rows] = False
    rows = np.flatnonzero(rest)
    if rows.size:
        groups, is_read = out
        part = groups[rows], is_read[rows]
        lengths = bounds[1:][rows] - bounds[:-1][rows]
        fresh = np.append(0, np.cumsum(lengths))
        places = np.arange(fresh[-1]) + np.repeat(bounds[:-1][rows] - fresh[:-1], lengths)
        _read_uneven(text[places], fresh, out=part)
        groups[rows], is_read[rows] = part


def _shape_keys(colons: npt.NDArray[np.intp], bounds: Numbers, *, counts: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return number of colons (at most 15) and place of the first double one (15: none) of each row, as one number."""
    keys = np.minimum(counts, 15) << 4 | 15
    double = np.flatnonzero(np.diff(colons) == 1)[::-1]
    row = np.searchsorted(bounds, colons[double], side="right") - 1
    first = np.append(0, np.cumsum(counts))[row]
    same = colons[double + 1] < bounds[1:][row]  # not the first of the next row
    keys[row[same]] = (keys[row[same]] & ~15) | np.minimum(double[same] - first[same], 14)  # the last write wins
    return keys


def _fill_even(
    codes: npt.NDArray[np.uint16],
    ends: npt.NDArray[np.intp],
    lengths: npt.NDArray[np.intp],
    *,
    rows: slice | npt.NDArray[np.intp],
    out: tuple[npt.NDArray[np.uint16], Marks],
) -> bool:
    """Read rows if they all have the same number of groups and the same gap; say whether they had."""
    is_empty = lengths == 0
    if lengths.max() > 4 or (is_empty != is_empty[:, :1]).any():
        return False
    gaps = np.flatnonzero(is_empty[:, 0])
    count = len(ends) - 1
    first, last = (int(gaps[0]), int(gaps[-1])) if gaps.size else (count, count)
    if not _is_shape(np.array([count]), np.array([gaps.size]), first=np.array([first]), last=np.array([last]))[0]:
        return False
    groups, is_read = out
    is_read[rows] = True
    for token in range(count + 1):
        if token not in gaps:
            slot = token if token <= first else token + 7 - count
            groups[rows, SLOTS[slot]] = codes.take(ends[token]) & _GROUP_MASKS.take(lengths[token])
    return True


def _read_uneven(text: Bytes, bounds: Numbers, *, out: tuple[npt.NDArray[np.uint16], Marks]) -> None:
    """Read rows of hex digits and colons, of any mixture of shapes."""
    colons = np.flatnonzero(text == _COLON)
    groups, is_read = out
    n = bounds.size - 1
    counts = separator_counts(colons, bounds)
    base = np.cumsum(counts + 1) - (counts + 1)  # first token of each row
    row = np.repeat(np.arange(n), counts + 1)
    place = np.arange(row.size) - base[row]
    ends = np.empty(row.size, np.intp)
    is_last = place == counts[row]
    ends[~is_last] = colons
    ends[is_last] = bounds[1:]
    starts = np.empty(row.size, np.intp)
    starts[1:] = ends[:-1] + 1
    starts[base] = bounds[:-1]
    lengths = ends - starts
    empty = np.flatnonzero(lengths == 0)
    first, last = counts.copy(), counts.copy()
    first[row[empty[::-1]]] = place[empty[::-1]]  # the last write wins
    last[row[empty]] = place[empty]
    good = _is_shape(counts, np.bincount(row[empty], minlength=n), first=first, last=last)
    good[row[lengths > 4]] = False
    is_read[:] = good
    chosen = np.flatnonzero(good[row])
    row, place, ends, lengths = row[chosen], place[chosen], ends[chosen], lengths[chosen]
    slot = np.where(place <= first[row], place, place + 7 - counts[row])
    groups.reshape(-1)[row * GROUP_COUNT + SLOTS[slot]] = _digits_before(text).take(ends) & _GROUP_MASKS.take(lengths)


def _is_shape(
    counts: npt.NDArray[np.intp],
    gaps: npt.NDArray[np.intp],
    *,
    first: npt.NDArray[np.intp],
    last: npt.NDArray[np.intp],
) -> Marks:
    """Say which numbers of colons and places of empty groups are IPv6 text."""
    whole = (gaps == 0) & (counts == 7)
    inside = (gaps == 1) & (first > 0) & (first < counts) & (counts <= 7)
    at_edge = ((first == 0) & (last == 1)) | ((first == counts - 1) & (last == counts))
    edge = (gaps == 2) & at_edge & (counts >= 2) & (counts <= 8)
    return np.asarray(whole | inside | edge | ((gaps == 3) & (counts == 2)))


def _are_even(found: npt.NDArray[np.intp], bounds: Numbers, count: int) -> bool:
    """Say whether every row holds exactly `count` of the found positions."""
    n = bounds.size - 1
    if found.size != n * count:
        return False
    table = found.reshape(n, count)
    return bool((table[:, 0] >= bounds[:-1]).all() and (table[:, -1] < bounds[1:]).all())


def _tokens(
    separators: npt.NDArray[np.intp], *, starts: Numbers, stops: Numbers
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return end and length of every token, one line for each token of a row."""
    n, count = separators.shape
    ends = np.empty((count + 1, n), np.intp)
    ends[:-1] = separators.T
    ends[-1] = stops
    lengths = np.empty_like(ends)
    np.subtract(ends[0], starts, out=lengths[0])
    np.subtract(ends[1:], ends[:-1], out=lengths[1:])
    lengths[1:] -= 1
    return ends, lengths


def _digits_before(text: Bytes) -> npt.NDArray[np.uint16]:
    """Combine, for every end position, the four hex digits before it; garbage where they are no digits."""
    digits = np.zeros(text.size + 4, np.uint8)
    np.bitwise_and(text, 15, out=digits[4:])
    digits[4:] += (text >> 6) * np.uint8(9)  # letters carry bit 6
    pairs = digits[1:] & np.uint8(15)
    pairs |= digits[:-1] << np.uint8(4)
    codes = pairs[:-2].astype(np.uint16)
    codes <<= np.uint16(8)
    codes |= pairs[2:]
    return codes


def _rows_at(marks: Marks, bounds: Numbers) -> npt.NDArray[np.intp]:
    """Return the rows that hold the marked bytes."""
    return np.searchsorted(bounds, np.flatnonzero(marks), side="right") - 1


@cache
def _octets(sloppy: bool) -> npt.NDArray[np.uint16]:  # noqa: FBT001 - a cache key
    """Return the value of an octet by number of digits (times 4096) and its last three decimal digits."""
    table = np.full(5 * 4096, _TOO_LARGE, np.uint16)
    code = np.arange(4096)
    digits = code & 15, code >> 4 & 15, code >> 8
    for length in (1, 2, 3):
        value = sum(digits[place] * 10**place for place in range(length))
        good = (value < _TOO_LARGE) & np.logical_and.reduce([digits[place] < 10 for place in range(length)])
        if not sloppy and length > 1:
            good &= digits[length - 1] > 0
        table[length * 4096 : length * 4096 + 4096][good] = value[good]
    return table
