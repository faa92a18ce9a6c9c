"""Addresses in sets: those of each pod class, or the A and AAAA records of each server.

Promises: sets keep the order in which they were given; text is read once for all of them.

What it does not know: interfaces, prefix lengths, flags of addresses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.literals import format_address
from dsmodel.addresses.text import parse_mixed
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Marks = NDArray[np.bool_]
    Rows = NDArray[np.int64]

__all__ = ["AddressSets"]


@dataclass(frozen=True, eq=False)
class AddressSets:
    """Sets of addresses of both families.

    Parameters
    ----------
    ipv4, ipv6 : address columns, shape (n,)
        All addresses, set after set; a row counts in one of them.
    is_ipv6 : ndarray of bool, shape (n,)
        In which.
    start : ndarray of int64, shape (sets + 1,)
        Where each set begins, and where the last ends.

    Raises
    ------
    None
        `AddressSets.of` and `AddressSets.from_columns` refuse what is wrong.

    Examples
    --------
    >>> sets = AddressSets.of([["fd00::5", "10.0.1.5"], ["10.0.1.6"]])
    >>> len(sets), sets.text(0)
    (2, 'fd00::5')
    """

    ipv4: NDArray[Any]
    ipv6: NDArray[Any]
    is_ipv6: Marks
    start: Rows

    @classmethod
    def of(cls, sets: Iterable[Iterable[str]]) -> AddressSets:
        """Read sets of text.

        Parameters
        ----------
        sets : iterable of iterable of str
            Addresses of both families, in the order in which they are configured or answered; a set may be empty.

        Returns
        -------
        AddressSets
            In the order given.

        Raises
        ------
        InvalidAddress
            A text that is no address.
        """
        lists = [list(each) for each in sets]
        mixed = parse_mixed([text for each in lists for text in each])
        start = np.cumsum([0, *(len(each) for each in lists)])
        return cls(mixed.ipv4, mixed.ipv6, mixed.is_ipv6, start)

    @classmethod
    def from_columns(cls, ipv4: NDArray[Any], has_ipv4: Marks, ipv6: NDArray[Any], has_ipv6: Marks) -> AddressSets:
        """Take sets of at most one address a family from columns, such as those of a pods table.

        Parameters
        ----------
        ipv4, ipv6 : address columns, shape (sets,)
            One address a set.
        has_ipv4, has_ipv6 : ndarray of bool, shape (sets,)
            Whether the set has it.

        Returns
        -------
        AddressSets
            A set a row, IPv6 before IPv4.

        Raises
        ------
        InvalidInput
            The columns differ in length.

        Examples
        --------
        >>> pods = AddressSets.of([["10.0.1.5"]])
        >>> len(AddressSets.from_columns(pods.ipv4, ~pods.is_ipv6, pods.ipv6, pods.is_ipv6))
        1
        """
        lengths = {len(column) for column in (ipv4, has_ipv4, ipv6, has_ipv6)}
        if len(lengths) > 1:
            raise InvalidInput(f"address sets: columns of {sorted(lengths)} rows; give one value a set in each")
        n = len(ipv4)
        held = np.column_stack([has_ipv6, has_ipv4]).ravel()
        rows = np.repeat(np.arange(n), 2)[held]
        start = np.append(0, np.cumsum(held.reshape(n, 2).sum(axis=1)))
        return cls(ipv4[rows], ipv6[rows], np.tile([True, False], n)[held], start)

    def __len__(self) -> int:
        """Count the sets."""
        return len(self.start) - 1

    def text(self, row: int) -> str:
        """Return one address in canonical text.

        Parameters
        ----------
        row : int
            Of `is_ipv6`.

        Returns
        -------
        str
            The address.

        Raises
        ------
        IndexError
            No such row.
        """
        column, family = (self.ipv6, IPFamily.IPV6) if self.is_ipv6[row] else (self.ipv4, IPFamily.IPV4)
        return format_address(family, to_integers(column[row : row + 1])[0])

    def padded(self, *, family: IPFamily | None = None) -> Rows:
        """Return the rows of each set side by side.

        Parameters
        ----------
        family : IPFamily, optional
            Of one family only.

        Returns
        -------
        ndarray of int64, shape (sets, most of a set)
            Rows in order, -1 behind the last; at least one column.

        Raises
        ------
        None
            Sets without addresses give rows of -1.

        Examples
        --------
        >>> AddressSets.of([["fd00::5", "10.0.1.5"], ["10.0.1.6"]]).padded()
        array([[ 0,  1], [ 2, -1]])
        """
        owner = np.repeat(np.arange(len(self)), np.diff(self.start))
        kept = np.arange(len(owner))
        if family is not None:
            kept = np.flatnonzero(self.is_ipv6 == (family is IPFamily.IPV6))
        counts = np.bincount(owner[kept], minlength=len(self))
        place = np.arange(len(kept)) - np.repeat(np.cumsum(counts) - counts, counts)
        table = np.full((len(self), max(1, int(counts.max(initial=0)))), -1, np.int64)
        table[owner[kept], place] = kept
        return table
