"""Algebra of CIDR lists: what overlaps, what is left, what fits.

Promises: exact answers for both families and any mixture of nested, repeated and touching blocks; results in rising
order, IPv4 first. Blocks of different families never meet.

Does not know: pools and who uses a block; longest-prefix match over columns is `dsmodel.addresses.prefixes`, whose
`PrefixTable` is offered here too.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.prefixes import PrefixTable
from dsmodel.errors import InvalidCidr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Spans = list[tuple[int, int]]  # first and last number, rising, not touching

__all__ = [
    "PrefixTable",
    "aggregate",
    "blocks_between",
    "free_block_count",
    "free_blocks",
    "gaps",
    "largest_free_block",
    "overlaps",
]


def overlaps(cidrs: Sequence[Cidr], others: Sequence[Cidr] | None = None) -> list[tuple[int, int]]:
    """Return which blocks share addresses.

    Parameters
    ----------
    cidrs : sequence of Cidr
        Blocks in any order.
    others : sequence of Cidr, optional
        A second list. Without it the blocks of the first are compared with each other.

    Returns
    -------
    list of tuple of (int, int)
        Row numbers of each overlapping pair, rising: both in `cidrs`, the lower first, or one in `cidrs` and one in
        `others`. Time grows with the number of blocks and of pairs, not with their product.

    Raises
    ------
    None
        Every list has an answer.

    Examples
    --------
    >>> overlaps([Cidr("10.0.0.0/8"), Cidr("fd00::/8"), Cidr("10.96.0.0/12")])
    [(0, 2)]
    >>> overlaps([Cidr("10.0.0.0/8")], [Cidr("192.168.0.0/16"), Cidr("10.0.0.0/8")])
    [(0, 1)]
    """
    rows = [(block, 0, row) for row, block in enumerate(cidrs)]
    rows += [(block, 1, row) for row, block in enumerate(others or ())]
    rows.sort(key=lambda entry: (entry[0].family, entry[0].first, entry[0].prefix_length))
    around: list[tuple[Cidr, int, int]] = []  # blocks that hold the current address, outermost first
    pairs: list[tuple[int, int]] = []
    for block, side, row in rows:
        while around and block not in around[-1][0]:
            around.pop()
        for _, other_side, other_row in around:
            if others is None:
                pairs.append((min(row, other_row), max(row, other_row)))
            elif side != other_side:
                pairs.append((row, other_row) if side == 0 else (other_row, row))
        around.append((block, side, row))
    return sorted(pairs)


def aggregate(cidrs: Iterable[Cidr]) -> list[Cidr]:
    """Return the shortest list of blocks that holds the same addresses.

    Parameters
    ----------
    cidrs : iterable of Cidr
        Blocks in any order, nested and repeated ones allowed.

    Returns
    -------
    list of Cidr
        Disjoint blocks, rising.

    Raises
    ------
    None
        Every list has an answer.

    Examples
    --------
    >>> aggregate([Cidr("10.0.1.0/24"), Cidr("10.0.0.0/24"), Cidr("10.0.0.7/32")])
    [Cidr('10.0.0.0/23')]
    """
    blocks = list(cidrs)
    return [
        block
        for family in IPFamily
        for first, last in _spans(blocks, family)
        for block in blocks_between(family, first, last)
    ]


def gaps(within: Cidr | Iterable[Cidr], used: Iterable[Cidr]) -> list[Cidr]:
    """Return what is left of some blocks when others are taken out.

    Parameters
    ----------
    within : Cidr or iterable of Cidr
        The space.
    used : iterable of Cidr
        What is taken; parts outside the space do not matter.

    Returns
    -------
    list of Cidr
        The shortest list of blocks that holds exactly the free addresses, rising.

    Raises
    ------
    None
        Every pair of lists has an answer.

    Examples
    --------
    >>> gaps(Cidr("10.0.0.0/24"), [Cidr("10.0.0.0/26")])
    [Cidr('10.0.0.64/26'), Cidr('10.0.0.128/25')]
    """
    return [block for family, first, last in _free_spans(within, used) for block in blocks_between(family, first, last)]


def largest_free_block(within: Cidr | Iterable[Cidr], used: Iterable[Cidr]) -> Cidr | None:
    """Return the largest block that still fits.

    Parameters
    ----------
    within : Cidr or iterable of Cidr
        The space, of one family.
    used : iterable of Cidr
        What is taken.

    Returns
    -------
    Cidr or None
        The lowest of the largest free aligned blocks; None when nothing is free.

    Raises
    ------
    InvalidCidr
        The space mixes families, whose sizes do not compare.

    Examples
    --------
    >>> largest_free_block(Cidr("10.0.0.0/24"), [Cidr("10.0.0.0/26")])
    Cidr('10.0.0.128/25')
    """
    space = _one_family(within)
    return min(gaps(space, used), key=lambda block: (block.prefix_length, block.first), default=None)


def free_block_count(within: Cidr | Iterable[Cidr], used: Iterable[Cidr], prefix_length: int) -> int:
    """Return how many aligned blocks of a length still fit.

    Parameters
    ----------
    within : Cidr or iterable of Cidr
        The space, of one family.
    used : iterable of Cidr
        What is taken.
    prefix_length : int
        Length of the blocks to fit.

    Returns
    -------
    int
        Number of blocks that are wholly free.

    Raises
    ------
    InvalidCidr
        The length does not exist in the family, or the space mixes families.

    Examples
    --------
    >>> free_block_count(Cidr("10.244.0.0/16"), [Cidr("10.244.0.0/24"), Cidr("10.244.9.0/30")], 24)
    254
    """
    return sum(len(indices) for _, indices in _free_indices(within, used, prefix_length))


def free_blocks(
    within: Cidr | Iterable[Cidr], used: Iterable[Cidr], prefix_length: int, *, limit: int | None = None
) -> list[Cidr]:
    """Return the aligned blocks of a length that still fit, lowest first.

    Parameters
    ----------
    within : Cidr or iterable of Cidr
        The space, of one family.
    used : iterable of Cidr
        What is taken.
    prefix_length : int
        Length of the blocks to fit.
    limit : int, optional
        Stop after so many; an IPv6 space can hold more blocks than any list.

    Returns
    -------
    list of Cidr
        Wholly free blocks, rising.

    Raises
    ------
    InvalidCidr
        The length does not exist in the family, or the space mixes families.

    Examples
    --------
    >>> free_blocks(Cidr("fd00::/48"), [Cidr("fd00::/64")], 64, limit=2)
    [Cidr('fd00:0:0:1::/64'), Cidr('fd00:0:0:2::/64')]
    """
    found = (
        Cidr.from_parts(family, index << (family.bits - prefix_length), prefix_length)
        for family, indices in _free_indices(within, used, prefix_length)
        for index in indices
    )
    return list(islice(found, limit))


def _listed(within: Cidr | Iterable[Cidr]) -> list[Cidr]:
    """Return the blocks of the space as a list."""
    return [within] if isinstance(within, Cidr) else list(within)


def _one_family(within: Cidr | Iterable[Cidr]) -> list[Cidr]:
    """Return the blocks of the space, which must be of one family."""
    space = _listed(within)
    if len({block.family for block in space}) > 1:
        raise InvalidCidr(f"the space {', '.join(map(str, space))} mixes families; ask for each family by itself")
    return space


def _spans(blocks: list[Cidr], family: IPFamily) -> Spans:
    """Merge the blocks of a family into spans that neither overlap nor touch."""
    merged: Spans = []
    for block in sorted(block for block in blocks if block.family is family):
        if merged and block.first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], block.last)
        else:
            merged.append((block.first, block.last))
    return merged


def _free_spans(within: Cidr | Iterable[Cidr], used: Iterable[Cidr]) -> Iterator[tuple[IPFamily, int, int]]:
    """Yield what the used spans leave of the space."""
    space, taken = _listed(within), list(used)
    for family in IPFamily:
        holes = _spans(taken, family)
        place = 0
        for first, last in _spans(space, family):
            start = first
            while place < len(holes) and holes[place][1] < first:
                place += 1
            ahead = place
            while ahead < len(holes) and holes[ahead][0] <= last:
                if holes[ahead][0] > start:
                    yield family, start, holes[ahead][0] - 1
                start = holes[ahead][1] + 1
                ahead += 1
            if start <= last:
                yield family, start, last


def blocks_between(family: IPFamily, first: int, last: int) -> Iterator[Cidr]:
    """Yield the fewest blocks that make up a span.

    Parameters
    ----------
    family : IPFamily
        Of the addresses.
    first, last : int
        The span, both ends included.

    Yields
    ------
    Cidr
        Rising; none where the span is empty.

    Raises
    ------
    None
        Every span has an answer.

    Examples
    --------
    >>> list(blocks_between(IPFamily.IPV4, 0x0A000001, 0x0A000004))
    [Cidr('10.0.0.1/32'), Cidr('10.0.0.2/31'), Cidr('10.0.0.4/32')]
    """
    while first <= last:
        aligned = (first & -first).bit_length() - 1 if first else family.bits
        host_bits = min(aligned, (last - first + 1).bit_length() - 1)
        yield Cidr.from_parts(family, first, family.bits - host_bits)
        first += 1 << host_bits


def _free_indices(
    within: Cidr | Iterable[Cidr], used: Iterable[Cidr], prefix_length: int
) -> Iterator[tuple[IPFamily, range]]:
    """Yield ranges of the numbers of free aligned blocks."""
    space = _one_family(within)
    for block in space[:1]:
        if not 0 <= prefix_length <= block.family.bits:
            raise InvalidCidr(f"/{prefix_length} is no {block.family} prefix length; use 0 to {block.family.bits}")
    for family, first, last in _free_spans(space, used):
        host_bits = family.bits - prefix_length
        yield family, range(-(-first >> host_bits), last + 1 >> host_bits)
