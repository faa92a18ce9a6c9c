"""Whether an answer finds its way back to a source that leaves a cluster.

Promises: a judgement for whole columns of sources, as they are seen after the last translator. A documentation prefix,
multicast, or space that nobody owns is never answered, whatever anybody claims to route.

What it does not know: firewalls, whether a global prefix is announced, routes that differ by destination (asymmetric
paths are `dsmodel.graph.paths`').

Sources: IANA special-purpose registries, as `dsmodel.addresses.registries` has them.
"""

from __future__ import annotations

import enum
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import addresses_in
from dsmodel.addresses.registries import SPECIAL_PURPOSE, is_globally_routable, special_purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr

__all__ = ["ReturnPath", "return_paths"]


class ReturnPath(enum.IntEnum):
    """What becomes of an answer to a source.

    >>> ReturnPath(2).name, ReturnPath(2).works
    ('PRIVATE', False)
    """

    GLOBAL = 0
    ROUTED = 1
    PRIVATE = 2
    EMBEDDED = 3
    ON_LINK = 4
    NEVER = 5

    @property
    def works(self) -> bool:
        """Whether it arrives."""
        return self in {ReturnPath.GLOBAL, ReturnPath.ROUTED}

    @property
    def words(self) -> str:
        """One clause for a report."""
        return _WORDS[self]


_WORDS = {
    ReturnPath.GLOBAL: "the Internet routes the source",
    ReturnPath.ROUTED: "the other side routes the source back",
    ReturnPath.PRIVATE: "private: nobody outside routes it back; translate it, or give the other side a route",
    ReturnPath.EMBEDDED: "a transition prefix: it depends on relays for the IPv4 address inside",
    ReturnPath.ON_LINK: "no router forwards it",
    ReturnPath.NEVER: "never routed (documentation, multicast, reserved or unassigned): plan another prefix",
}


def return_paths(column: NDArray[Any], *, returns: Sequence[Cidr | str] = ()) -> NDArray[np.uint8]:
    """Judge the way back to every source.

    Parameters
    ----------
    column : address column
        Sources as the other side sees them.
    returns : sequence of Cidr or str
        Prefixes that the other side routes back to the cluster: peered networks, not the Internet.

    Returns
    -------
    ndarray of uint8
        Values of `ReturnPath`.

    Raises
    ------
    InvalidAddress
        The array is no address column.
    InvalidCidr
        A text in `returns` that is no block.

    Examples
    --------
    >>> sources = np.array([0x08080808, 0x0A000001, 0xC6336401], np.uint32)
    >>> [ReturnPath(code).name for code in return_paths(sources, returns=["0.0.0.0/0"])]
    ['ROUTED', 'ROUTED', 'NEVER']
    >>> [ReturnPath(code).works for code in return_paths(sources)]
    [True, False, False]
    """
    found = _by_block()[special_purpose(column)]
    ordinary = special_purpose(column) < 0
    found[ordinary & is_globally_routable(column)] = ReturnPath.GLOBAL
    may = np.isin(found, [ReturnPath.GLOBAL, ReturnPath.PRIVATE, ReturnPath.EMBEDDED])
    if returns:
        found[may & addresses_in(column, returns)] = ReturnPath.ROUTED
    return found


@cache
def _by_block() -> NDArray[np.uint8]:
    """Return the judgement of each special-purpose block, and of space outside them that is not routable."""
    found = np.full(len(SPECIAL_PURPOSE) + 1, ReturnPath.NEVER, np.uint8)
    for row, block in enumerate(SPECIAL_PURPOSE):
        if "Discard" in block.name:
            continue
        if block.is_global:
            found[row] = ReturnPath.GLOBAL
        elif block.forwardable:
            found[row] = ReturnPath.PRIVATE if block.is_global is False else ReturnPath.EMBEDDED
        elif (block.source and block.destination) or "Loopback" in block.name:
            found[row] = ReturnPath.ON_LINK
    return found
