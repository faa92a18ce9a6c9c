"""Rows of text as bytes, and the reading of columns that mix families and forms.

Promises: what a column reader of `dsmodel.addresses.reading` leaves out is read one by one, so that every row has the
answer of `parse_address` or `Cidr`. Only odd rows cost a Python step each.

Does not know: where the text comes from (`dsmodel.addresses.text`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.cidr import Cidr
from dsmodel.addresses.columns import empty, family_of, from_integers
from dsmodel.addresses.literals import IPFamily, is_sloppy, parse_address
from dsmodel.addresses.reading import read_ipv4, read_ipv6, rows_with, separator_counts
from dsmodel.errors import InvalidAddress, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from dsmodel.addresses.literals import Syntax

    Column = npt.NDArray[Any]
    Marks = npt.NDArray[np.bool_]

__all__ = ["MixedAddresses", "Rows", "first_separators", "read_cidr_rows", "read_mixed", "split_cidrs"]


@dataclass(frozen=True)
class MixedAddresses:
    """Addresses of both families, each family in a column of full length.

    Attributes
    ----------
    ipv4, ipv6 : numpy.ndarray
        Address columns; zero in the rows of the other family and in rows that are no address.
    is_ipv4, is_ipv6 : numpy.ndarray of bool
        Which rows count in which column; never both, and neither where the row is no address.
    """

    ipv4: Column
    is_ipv4: Marks
    ipv6: Column
    is_ipv6: Marks


@dataclass(frozen=True)
class Rows:
    """The bytes of a column of text, where its rows lie, and the rows as they were given.

    Attributes
    ----------
    data : numpy.ndarray of uint8
        The bytes of all rows, one after another.
    offsets : numpy.ndarray of int64
        Where each row begins, and the end of the last.
    present : numpy.ndarray of bool
        False where the row is missing or no text.
    given : sequence
        The rows as the caller gave them, for messages.
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    present: Marks
    given: Any

    def text(self, row: int) -> str:
        """Return the text of one row.

        Parameters
        ----------
        row : int
            Row number.

        Returns
        -------
        str
            The text.

        Raises
        ------
        None
            Arrow text is always valid UTF-8.
        """
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes().decode()

    def value(self, row: int) -> object:
        """Return one row as it was given.

        Parameters
        ----------
        row : int
            Row number.

        Returns
        -------
        object
            Text, or whatever stands in its place.

        Raises
        ------
        None
            Every row has a value.
        """
        if self.present[row]:
            return self.text(row)
        value = self.given.iloc[row] if hasattr(self.given, "iloc") else self.given[row]
        return value.as_py() if hasattr(value, "as_py") else value


def read_mixed(rows: Rows, syntax: Syntax, *, families: Iterable[IPFamily]) -> MixedAddresses:
    """Read the rows of some families; columns of the others may be left unread.

    Parameters
    ----------
    rows : Rows
        Addresses.
    syntax : {"strict", "sloppy"}
        As in `parse_address`.
    families : iterable of IPFamily
        The families wanted.

    Returns
    -------
    MixedAddresses
        What was read.

    Raises
    ------
    InvalidAddress
        The syntax is unknown.
    """
    n, sloppy = rows.present.size, is_sloppy(syntax)
    wanted = set(families)
    ipv4, is_ipv4 = empty(n, IPFamily.IPV4), np.zeros(n, np.bool_)
    ipv6, is_ipv6 = empty(n, IPFamily.IPV6), np.zeros(n, np.bool_)
    if IPFamily.IPV6 in wanted:
        ipv6, is_ipv6 = read_ipv6(rows.data, rows.offsets)
    if IPFamily.IPV4 in wanted or (sloppy and not is_ipv6.all()):
        ipv4, is_ipv4 = read_ipv4(rows.data, rows.offsets, sloppy=sloppy)
    if sloppy and IPFamily.IPV6 not in wanted and not is_ipv4.all():
        ipv6, is_ipv6 = read_ipv6(rows.data, rows.offsets)
    mixed = MixedAddresses(ipv4, is_ipv4, ipv6, is_ipv6)
    _read_doubtful(rows, mixed, syntax=syntax)
    is_ipv4 &= rows.present
    is_ipv6 &= rows.present
    if sloppy:
        mapped = is_ipv6 & (ipv6["hi"] == 0) & (ipv6["lo"] >> np.uint64(32) == 0xFFFF)
        ipv4[mapped] = (ipv6["lo"][mapped] & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        is_ipv4 |= mapped
        is_ipv6 &= ~mapped
        ipv6[mapped] = 0
    return mixed


def _read_doubtful(rows: Rows, mixed: MixedAddresses, *, syntax: Syntax) -> None:
    """Read one by one the rows in forms that the column readers leave out: dotted tails, and long runs of zeros."""
    unread = rows.present & ~mixed.is_ipv4 & ~mixed.is_ipv6
    if not unread.any():
        return
    dotted = rows_with(rows.data, rows.offsets, ".")
    coloned = rows_with(rows.data, rows.offsets, ":")
    for row in np.flatnonzero(unread & (dotted | coloned if syntax == "sloppy" else dotted & coloned)).tolist():
        try:
            family, value = parse_address(rows.text(row), syntax=syntax)
        except InvalidAddress:
            continue
        is_ipv4 = family is IPFamily.IPV4
        column, is_read = (mixed.ipv4, mixed.is_ipv4) if is_ipv4 else (mixed.ipv6, mixed.is_ipv6)
        column[row : row + 1] = from_integers([value], family=family)
        is_read[row] = True


def read_cidr_rows(
    rows: Rows,
    pending: npt.NDArray[np.intp],
    *,
    options: dict[str, Any],
    out: tuple[Column, npt.NDArray[np.uint8], Marks],
) -> None:
    """Read one by one the CIDRs in forms that the column readers leave out.

    Parameters
    ----------
    rows : Rows
        CIDRs.
    pending : numpy.ndarray of intp
        Numbers of the rows to read.
    options : dict
        Keyword arguments of `Cidr`.
    out : tuple of numpy.ndarray
        Base column, prefix lengths and mask, filled in place where a row is a CIDR of the family.

    Raises
    ------
    None
        A row that is no CIDR is left as it is.
    """
    base, prefix_length, valid = out
    for row in pending.tolist():
        try:
            cidr = Cidr(rows.text(row), **options)
        except InvalidInput:
            continue
        if cidr.family is family_of(base):
            base[row : row + 1] = from_integers([cidr.first], family=cidr.family)
            prefix_length[row], valid[row] = cidr.prefix_length, True


def first_separators(rows: Rows) -> npt.NDArray[np.uint8]:
    """Say which separator comes first in each row.

    Parameters
    ----------
    rows : Rows
        Addresses or CIDRs.

    Returns
    -------
    numpy.ndarray of uint8
        4 for a dot, 6 for a colon, 0 for neither.

    Raises
    ------
    None
        Every row has an answer.
    """
    dot, colon = ord("."), ord(":")
    starts, stops = rows.offsets[:-1], rows.offsets[1:]
    found = np.flatnonzero((rows.data == dot) | (rows.data == colon))
    place = np.append(found, np.iinfo(np.int64).max)[np.searchsorted(found, starts)]
    has_one = rows.present & (place < stops)
    families = np.zeros(starts.size, np.uint8)
    families[has_one] = np.where(rows.data[place[has_one]] == colon, 6, 4)
    return families


def split_cidrs(rows: Rows) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split rows at the slash.

    Parameters
    ----------
    rows : Rows
        CIDRs.

    Returns
    -------
    heads : numpy.ndarray of uint8
        The bytes before the slashes, one after another.
    offsets : numpy.ndarray of int64
        Where each row begins there, and the end of the last.
    lengths : numpy.ndarray of int64
        Prefix lengths; -1 where there is not one slash followed by one to three plain digits.

    Raises
    ------
    None
        Every row has an answer.
    """
    text = rows.data[rows.offsets[0] : rows.offsets[-1]]
    bounds = rows.offsets - rows.offsets[0]
    slashes = np.flatnonzero(text == ord("/"))
    counts = separator_counts(slashes, bounds)
    stops = bounds[1:].copy()
    stops[counts == 1] = slashes[np.repeat(counts == 1, counts)]
    edges = np.zeros(text.size + 1, np.int8)
    np.add.at(edges, stops, np.int8(1))
    np.subtract.at(edges, bounds[1:], np.int8(1))
    heads = text[np.cumsum(edges[:-1], dtype=np.int8) == 0]
    digits = np.where(rows.present & (counts == 1), bounds[1:] - stops - 1, 0)
    padded = np.concatenate([np.zeros(3, np.uint8), text]).astype(np.int64) - ord("0")
    lengths, good = np.zeros(stops.size, np.int64), (digits > 0) & (digits <= 3)
    for place in range(3):
        digit = padded[bounds[1:] + 2 - place]
        inside = digits > place
        good &= ~inside | ((digit >= 0) & (digit <= 9) & ((digit > 0) | (digits == 1) | (digits != place + 1)))
        lengths += np.where(inside, digit * 10**place, 0)
    return heads, np.append(0, np.cumsum(stops - bounds[:-1])), np.where(good, lengths, -1)
