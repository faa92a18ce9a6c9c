"""Pairs of address texts, as ``podIPs`` and ``clusterIPs`` hold them, turned into one column a family.

The API allows at most one address of each family and the first is the primary one; a dump may say anything. What is
no address, or a second one of the same family, is reported by row and left out of the columns.

What it does not know: whose addresses they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.text import parse_mixed

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
    n = len(firsts)
    any_second = any(seconds)
    parsed = parse_mixed([*firsts, *seconds] if any_second else list(firsts), syntax="sloppy", on_invalid="mask")
    is_ipv4, is_ipv6 = parsed.is_ipv4, parsed.is_ipv6
    if not any_second:
        none = np.zeros(n, dtype=bool)
        primary = np.where(is_ipv4, 4, np.where(is_ipv6, 6, 0)).astype(np.uint8)
        wrong = ~(is_ipv4 | is_ipv6) & _present(firsts)
        return AddressPairs(parsed.ipv4, is_ipv4, parsed.ipv6, is_ipv6, primary, wrong, none, none)
    has_ipv4, has_ipv6 = is_ipv4[:n] | is_ipv4[n:], is_ipv6[:n] | is_ipv6[n:]
    known = is_ipv4 | is_ipv6
    primary = np.where(is_ipv4[:n], 4, np.where(is_ipv6[:n], 6, np.where(is_ipv4[n:], 4, np.where(is_ipv6[n:], 6, 0))))
    return AddressPairs(
        np.where(is_ipv4[:n], parsed.ipv4[:n], parsed.ipv4[n:]),
        has_ipv4,
        np.where(is_ipv6[:n], parsed.ipv6[:n], parsed.ipv6[n:]),
        has_ipv6,
        primary.astype(np.uint8),
        ~known[:n] & _present(firsts),
        ~known[n:] & _present(seconds),
        (is_ipv4[:n] & is_ipv4[n:]) | (is_ipv6[:n] & is_ipv6[n:]),
    )


def _present(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Tell empty text from other text."""
    return np.fromiter(map(bool, texts), dtype=bool, count=len(texts))
