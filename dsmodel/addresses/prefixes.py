"""Longest-prefix match of whole columns.

Promises: for every address the row number of the longest prefix that holds it, for both families, for nested prefixes
and any length up to /32 and /128. Of two equal prefixes the first one wins. Building sorts the prefixes once; a lookup
has no loop over rows.

Method: nested prefixes are flattened to disjoint intervals, painted from the shortest prefix to the longest. Many rows
are looked up in a table over equal cells of the covered range; only rows in a cell that an interval border cuts are
searched for. IPv6 is matched on its upper 64 bits first, and only rows whose upper half does not decide go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import (
    IPV6_DTYPE,
    add,
    empty,
    equal,
    family_of,
    from_integers,
    mask_prefix,
    search_sorted,
    unique,
)
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.order import distinct
from dsmodel.errors import InvalidCidr

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    Column = npt.NDArray[Any]
    Labels = npt.NDArray[np.int64]

__all__ = ["PrefixTable"]

_NONE = -1  # no prefix holds the address
_CUT = -2  # an interval border cuts the cell
_DEEPER = -3  # and below: the lower half of the address decides
_CHUNK = 1 << 15  # rows; the temporaries of a chunk stay in a core's second-level cache
_CELLS = 1 << 18  # at most, when cells may be cut: 1 MiB
_FEW_CELLS, _CELLS_PER_BORDER = 1 << 12, 64  # a small table for few borders stays in cache
_EXACT_CELLS = 1 << 20  # up to here a table without cut cells is preferred


class PrefixTable:
    """Prefixes of both families, ready to be matched against columns.

    Parameters
    ----------
    prefixes : iterable of Cidr
        Prefixes in any order; nested and repeated ones allowed. May be empty.

    Raises
    ------
    None
        Every list of blocks makes a table.

    Examples
    --------
    >>> table = PrefixTable([Cidr("10.0.0.0/8"), Cidr("10.96.0.0/12"), Cidr("fd00::/8")])
    >>> table.lookup(np.array([0x0A600001, 0x0A000001, 0x08080808], np.uint32))
    array([ 1,  0, -1])
    """

    def __init__(self, prefixes: Iterable[Cidr]) -> None:
        blocks = list(prefixes)
        self._intervals: dict[IPFamily, _Intervals | _WideIntervals] = {}
        for family in IPFamily:
            rows = [row for row, block in enumerate(blocks) if block.family is family]
            base = from_integers((blocks[row].first for row in rows), family=family)
            lengths = np.array([blocks[row].prefix_length for row in rows], np.int64)
            self._intervals[family] = _flatten(base, lengths, np.array(rows, np.int64))

    @classmethod
    def from_columns(cls, base: Column, prefix_length: npt.NDArray[Any]) -> PrefixTable:
        """Build a table of one family from columns, without a Python object a prefix.

        Parameters
        ----------
        base : numpy.ndarray
            Address column of the first addresses.
        prefix_length : numpy.ndarray of integers
            Number of leading bits, one a row.

        Returns
        -------
        PrefixTable
            Its answers are row numbers of the columns.

        Raises
        ------
        InvalidCidr
            A base has bits set right of its prefix; the message names the row.

        Examples
        --------
        >>> nodes = PrefixTable.from_columns(np.array([0x0AF40000], np.uint32), np.array([24]))
        >>> nodes.lookup(np.array([0x0AF40005], np.uint32))
        array([0])
        """
        wrong = ~equal(mask_prefix(base, prefix_length), base)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InvalidCidr(f"row {row}: bits are set right of /{prefix_length[row]}; clear them with mask_prefix")
        table = cls(())
        lengths = np.asarray(prefix_length, np.int64)
        table._intervals[family_of(base)] = _flatten(base, lengths, np.arange(base.size))
        return table

    def lookup(self, column: Column) -> Labels:
        """Return the longest matching prefix of every address.

        Parameters
        ----------
        column : numpy.ndarray
            Address column.

        Returns
        -------
        numpy.ndarray of int64
            Row number of the prefix in the order given, -1 where none holds the address.

        Raises
        ------
        InvalidAddress
            The array is no address column.
        """
        return self._intervals[family_of(column)].lookup(column)


@dataclass(frozen=True)
class _Intervals:
    """Answers over plain numbers: `labels[i]` holds from `starts[i]` up to the next start. The first start is 0."""

    starts: npt.NDArray[Any]
    labels: Labels

    def lookup(self, keys: npt.NDArray[Any]) -> Labels:
        """Return the label of every key."""
        if self.starts.size == 1:
            return np.full(keys.size, self.labels[0], np.int64)
        found = np.empty(keys.size, np.int64)
        for start in range(0, keys.size, _CHUNK):
            chunk = keys[start : start + _CHUNK]
            found[start : start + _CHUNK] = self._look(chunk) if keys.size >= _CHUNK else self._search(chunk)
        return found

    def _look(self, keys: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Answer a chunk from the cells."""
        cells, origin, cell_bits = self._cells
        kind = self.starts.dtype.type
        place = keys - kind(origin)  # below the origin it wraps to beyond the end
        place >>= kind(cell_bits)
        np.minimum(place, kind(cells.size - 1), out=place)
        found: npt.NDArray[Any] = cells.take(place.astype(np.intp))
        cut = np.flatnonzero(found == _CUT) if self._has_cuts else ()
        if len(cut):
            found[cut] = self._search(keys[cut])
        return found

    def _search(self, keys: npt.NDArray[Any]) -> Labels:
        """Answer a chunk by searching; in rising order, which is far cheaper, where key and row fit in one word."""
        low = int(keys.min(initial=np.iinfo(keys.dtype).max))
        row_bits = int(keys.size).bit_length()
        if keys.size < 64 or (int(keys.max(initial=0)) - low).bit_length() + row_bits > 64:
            return self.labels[np.searchsorted(self.starts, keys, side="right") - 1]
        packed = (keys - keys.dtype.type(low)).astype(np.uint64)
        packed <<= np.uint64(row_bits)
        packed |= np.arange(keys.size, dtype=np.uint64)
        packed.sort()
        rows = packed & np.uint64((1 << row_bits) - 1)
        packed >>= np.uint64(row_bits)
        ordered = packed.astype(keys.dtype) + keys.dtype.type(low)
        found = np.empty(keys.size, np.int64)
        found[rows] = self.labels[np.searchsorted(self.starts, ordered, side="right") - 1]
        return found

    @cached_property
    def _cells(self) -> tuple[npt.NDArray[Any], int, int]:
        """Return the answer of each cell and of all else, the start of the first cell, and a cell's width in bits."""
        first, last, outside = self._window()
        common = int(np.bitwise_or.reduce(self.starts[1:]))
        cell_bits = (common & -common).bit_length() - 1  # no border cuts such a cell
        if (last >> cell_bits) - (first >> cell_bits) >= _EXACT_CELLS:
            wanted = min(_CELLS, max(_FEW_CELLS, _CELLS_PER_BORDER * self.starts.size))
            cell_bits = ((last - first) // wanted).bit_length()
        origin = first >> cell_bits << cell_bits
        count = (last >> cell_bits) - (first >> cell_bits) + 1
        lows = np.arange(count, dtype=np.uint64) << np.uint64(cell_bits)
        lows += np.uint64(origin)
        highs = lows | np.uint64((1 << cell_bits) - 1)
        at_low, at_high = (
            np.searchsorted(self.starts, ends.astype(self.starts.dtype), side="right") - 1 for ends in (lows, highs)
        )
        cells = np.where(at_low == at_high, self.labels[at_low], _CUT)
        narrow = np.int32 if int(self.labels.max()) >> 31 == 0 else np.int64
        return np.append(cells, outside).astype(narrow), origin, cell_bits

    def _window(self) -> tuple[int, int, int]:
        """Return a range outside which one label holds everywhere, and that label."""
        below, beyond = int(self.labels[0]), int(self.labels[-1])
        first, last = int(self.starts[1]), int(self.starts[-1]) - 1
        top = (1 << self.starts.dtype.itemsize * 8) - 1
        if below == beyond:
            return first, last, below
        return (first, top, below) if top - first < last else (0, last, beyond)

    @cached_property
    def _has_cuts(self) -> bool:
        """Say whether any cell needs a search."""
        return bool((self._cells[0] == _CUT).any())


@dataclass(frozen=True)
class _WideIntervals:
    """Answers over IPv6 rows: by the upper half, and by both halves where a border lies inside the lower one.

    `upper` labels upper halves. Where the lower half decides, its label is `_DEEPER` less the rank of the upper half
    among such halves; `lows` then ranks the lower half among all borders, and `lower` labels both ranks as one number.
    """

    upper: _Intervals
    lows: _Intervals
    lower: _Intervals

    @classmethod
    def of(cls, starts: Column, labels: Labels) -> _WideIntervals:
        """Split flat intervals of 128-bit starts into the two levels."""
        cut = distinct(np.sort(starts["hi"][starts["lo"] != 0]))
        after = cut[cut != np.iinfo(np.uint64).max] + np.uint64(1)
        tops = distinct(np.sort(np.concatenate([starts["hi"], cut, after])))
        upper_labels = labels[search_sorted(starts, _upper_halves(tops), side="right") - 1]
        upper_labels[np.searchsorted(tops, cut)] = _DEEPER - np.arange(cut.size)
        inner = unique(np.concatenate([starts[np.isin(starts["hi"], cut)], _upper_halves(cut)]))
        lows = distinct(np.sort(np.append(inner["lo"], np.uint64(0))))
        keys = (np.searchsorted(cut, inner["hi"]) * lows.size + np.searchsorted(lows, inner["lo"])).astype(np.uint64)
        lower_labels = labels[search_sorted(starts, inner, side="right") - 1]
        if not cut.size:
            keys, lower_labels = np.zeros(1, np.uint64), np.zeros(1, np.int64)
        upper, lower = _merged(tops, upper_labels), _merged(keys, lower_labels)
        return cls(upper, _Intervals(lows, np.arange(lows.size)), lower)

    def lookup(self, column: Column) -> Labels:
        """Return the label of every row."""
        found = self.upper.lookup(np.ascontiguousarray(column["hi"]))
        deeper = np.flatnonzero(found <= _DEEPER)
        if deeper.size:
            keys = (_DEEPER - found[deeper]) * self.lows.starts.size
            keys += self.lows.lookup(column["lo"][deeper])
            found[deeper] = self.lower.lookup(keys.astype(np.uint64))
        return found


def _flatten(base: Column, lengths: Labels, rows: Labels) -> _Intervals | _WideIntervals:
    """Turn nested prefixes into disjoint intervals."""
    family = family_of(base)
    tails = from_integers([(1 << (family.bits - length)) - 1 for length in range(family.bits + 1)], family=family)[
        lengths
    ]
    if family is IPFamily.IPV4:
        lasts = base | tails
    else:
        lasts = np.empty_like(base)
        for half in ("hi", "lo"):
            lasts[half] = base[half] | tails[half]
    top = from_integers([(1 << family.bits) - 1], family=family)
    has_next = ~equal(lasts, top)
    nexts = add(lasts[has_next], 1)
    starts = unique(np.concatenate([empty(1, family), base, nexts]))
    begin = search_sorted(starts, base)
    end = np.full(base.size, starts.size)
    end[has_next] = search_sorted(starts, nexts)
    labels = np.full(starts.size, _NONE, np.int64)
    for length in np.unique(lengths):  # at most 129 rounds
        same = np.flatnonzero(lengths == length)[::-1]  # backwards, so that the first of equal prefixes is painted last
        widths = end[same] - begin[same]
        inside = np.arange(widths.sum()) - np.repeat(np.cumsum(widths) - widths, widths)
        labels[np.repeat(begin[same], widths) + inside] = np.repeat(rows[same], widths)
    return _merged(starts, labels) if family is IPFamily.IPV4 else _WideIntervals.of(starts, labels)


def _merged(starts: npt.NDArray[Any], labels: Labels) -> _Intervals:
    """Join neighbouring intervals of one label."""
    fresh = np.append(True, labels[1:] != labels[:-1])
    return _Intervals(starts[fresh], labels[fresh])


def _upper_halves(values: npt.NDArray[np.uint64]) -> Column:
    """Return IPv6 rows with the given upper halves and zero below."""
    column: Column = np.zeros(values.size, IPV6_DTYPE)
    column["hi"] = values
    return column
