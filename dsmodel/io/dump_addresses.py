"""Pairs of address texts, as ``podIPs`` and ``clusterIPs`` hold them, turned into one column a family.

The API allows at most one address of each family and the first is the primary one; a dump may say anything. What is
no address, or a second one of the same family, is reported by row and left out of the columns.

What it does not know: whose addresses they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import empty
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.text import MixedAddresses, parse_addresses, parse_mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["AddressPairs", "read_pairs"]


@dataclass(frozen=True)
class AddressPairs:
    """One row an object: its address of each family, and what could not be used.

    Parameters
    ----------
    ipv4, ipv6 : address columns, shape (n,)
        Zero where the row has none.
    has_ipv4, has_ipv6 : ndarray of bool, shape (n,)
        Whether it has one.
    primary : ndarray of uint8, shape (n,)
        4, 6, or 0: family of the first usable address.
    invalid_first, invalid_second : ndarray of bool, shape (n,)
        The text is no address.
    same_family : ndarray of bool, shape (n,)
        The second is of the first one's family.
    """

    ipv4: NDArray[Any]
    has_ipv4: NDArray[np.bool_]
    ipv6: NDArray[Any]
    has_ipv6: NDArray[np.bool_]
    primary: NDArray[np.uint8]
    invalid_first: NDArray[np.bool_]
    invalid_second: NDArray[np.bool_]
    same_family: NDArray[np.bool_]


def read_pairs(firsts: Sequence[str], seconds: Sequence[str]) -> AddressPairs:
    """Parse the first and the second address of many objects.

    Parameters
    ----------
    firsts, seconds : sequence of str, length n
        Empty where there is none. Read as Kubernetes' lenient reader does: leading zeros are decimal.

    Returns
    -------
    AddressPairs
        Of length n.

    Raises
    ------
    None
        What is no address is a row of the masks.

    Examples
    --------
    >>> pairs = read_pairs(["10.0.0.1", "fd00::1", "x"], ["fd00::2", "fd00::3", ""])
    >>> pairs.primary.tolist(), pairs.has_ipv6.tolist(), pairs.invalid_first.tolist(), pairs.same_family.tolist()
    ([4, 6, 0], [True, True, False], [False, False, True], [False, True, False])
    """
    first, second = _read_column(firsts), _read_column(seconds)
    either = (first.is_ipv4 | second.is_ipv4, first.is_ipv6 | second.is_ipv6)
    known_first, known_second = first.is_ipv4 | first.is_ipv6, second.is_ipv4 | second.is_ipv6
    leading = np.where(known_first, first.is_ipv6, second.is_ipv6)
    primary = np.where(known_first | known_second, np.where(leading, 6, 4), 0).astype(np.uint8)
    return AddressPairs(
        ipv4=np.where(first.is_ipv4, first.ipv4, second.ipv4),
        has_ipv4=either[0],
        ipv6=np.where(first.is_ipv6, first.ipv6, second.ipv6),
        has_ipv6=either[1],
        primary=primary,
        invalid_first=_among_present(firsts, ~known_first),
        invalid_second=_among_present(seconds, ~known_second),
        same_family=(first.is_ipv4 & second.is_ipv4) | (first.is_ipv6 & second.is_ipv6),
    )


def _read_column(texts: Sequence[str]) -> MixedAddresses:
    """Parse one column; most hold one family, which is quicker to read than both."""
    n = len(texts)
    sample = next(filter(None, texts), "")
    family = IPFamily.IPV6 if ":" in sample else IPFamily.IPV4
    none, other = np.zeros(n, dtype=bool), IPFamily.IPV4 if family is IPFamily.IPV6 else IPFamily.IPV6
    if not sample:
        return MixedAddresses(empty(n, IPFamily.IPV4), none, empty(n, IPFamily.IPV6), none)
    column, valid = parse_addresses(texts, family=family, syntax="sloppy", on_invalid="mask")
    if _among_present(texts, ~valid).any():
        return parse_mixed(texts, syntax="sloppy", on_invalid="mask")
    found = {family: (column, valid), other: (empty(n, other), none)}
    return MixedAddresses(*found[IPFamily.IPV4], *found[IPFamily.IPV6])


def _among_present(texts: Sequence[str], rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep those of some rows whose text is not empty."""
    return rows & np.fromiter(map(bool, texts), dtype=bool, count=len(texts)) if rows.any() else rows
