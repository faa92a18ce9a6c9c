"""Place aligned ranges into free space: exact, because sizes are powers of two.

Promises that ranges whose sizes are powers of two are placed whenever any placement exists, and that no other placement
leaves a larger free block. Largest first, each into the smallest free block that holds it: every free block that a
larger range leaves is a whole number of the smaller ones, so an early choice never costs a later range its place, and
a large free block is cut only where no smaller one is left.

Does not know what a range is for.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.space import gaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["UNUSABLE", "Space", "pack"]

UNUSABLE = tuple(
    map(
        Cidr,
        ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8"),
    )
)
"""Addresses that no range of a cluster is made of: they never leave a host or a link, or are multicast."""


@dataclass(frozen=True)
class Space:
    """Blocks that one owns, and ranges in them that are taken.

    Parameters
    ----------
    blocks : tuple of Cidr
        Disjoint.
    avoid : tuple of Cidr
        Any.

    Raises
    ------
    None
        A record.
    """

    blocks: tuple[Cidr, ...]
    avoid: tuple[Cidr, ...] = ()

    def free(self) -> dict[IPFamily, list[Cidr]]:
        """List the free aligned blocks of each family.

        Returns
        -------
        dict of IPFamily to list of Cidr
            Families without a block have an empty list.

        Raises
        ------
        None
            Every space has an answer.
        """
        left = gaps(self.blocks, (*self.avoid, *UNUSABLE))
        return {family: [block for block in left if block.family is family] for family in IPFamily}


def pack(family: IPFamily, host_bits: Sequence[int], free: Iterable[Cidr]) -> tuple[Cidr, ...] | None:
    """Place ranges side by side.

    Parameters
    ----------
    family : IPFamily
        Of all ranges.
    host_bits : sequence of int
        Size of each range, as a power of two.
    free : iterable of Cidr
        Disjoint blocks of the family, each as large as alignment allows, as `dsmodel.addresses.space.gaps` gives them.

    Returns
    -------
    tuple of Cidr or None
        A range for each size, in order; None where they do not fit.

    Raises
    ------
    None
        Every list has an answer.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import IPFamily
    >>> pack(IPFamily.IPV4, [4, 6], [Cidr("10.0.0.0/25"), Cidr("10.0.0.128/28")])
    (Cidr('10.0.0.128/28'), Cidr('10.0.0.0/26'))
    """
    heaps: list[list[int]] = [[] for _ in range(family.bits + 1)]
    for block in free:
        heapq.heappush(heaps[block.host_bits_count], block.first)
    places: list[Cidr | None] = [None] * len(host_bits)
    for row in sorted(range(len(host_bits)), key=lambda row: (-host_bits[row], row)):
        bits = host_bits[row]
        level = next((level for level in range(bits, family.bits + 1) if heaps[level]), None)
        if level is None:
            return None
        first = heapq.heappop(heaps[level])
        while level > bits:
            level -= 1
            heapq.heappush(heaps[level], first + (1 << level))
        places[row] = Cidr.from_parts(family, first, family.bits - bits)
    return tuple(place for place in places if place is not None)
