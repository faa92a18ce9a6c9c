"""Which blocks of addresses rules name, so that addresses between the same borders can be decided together.

Promises every CIDR and address found anywhere inside policies, claims and chains, each once. Two addresses that lie in
the same of them cannot be told apart by any rule that tests blocks.

What it does not know: sets that nodes tell each their own of; those are features of the groups and classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.literals import parse_address
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["blocks_named", "codes_of"]

_LONGEST = 49  # characters of a CIDR


def blocks_named(*values: Any) -> tuple[Cidr, ...]:
    """Find the blocks that values name.

    Parameters
    ----------
    *values : object
        Frozen values, collections, text, in any depth; what is no block is passed over.

    Returns
    -------
    tuple of Cidr
        Sorted, each once; a text's host bits are cleared, an address is a block of one.

    Raises
    ------
    None
        Every value has an answer.

    Examples
    --------
    >>> blocks_named({"except": ["10.0.0.0/8", "web"]}, Cidr("fd00::/8"), "192.0.2.1")
    (Cidr('10.0.0.0/8'), Cidr('192.0.2.1/32'), Cidr('fd00::/8'))
    """
    return tuple(sorted(set(_blocks(values, set()))))


def _blocks(value: Any, seen: set[int]) -> Iterator[Cidr]:
    """Yield the blocks inside a value."""
    if isinstance(value, Cidr):
        yield value
    elif isinstance(value, str):
        yield from _block(value)
    elif isinstance(value, Mapping | list | tuple | AbstractSet) or (
        is_dataclass(value) and not isinstance(value, type)
    ):
        if id(value) in seen:
            return
        seen.add(id(value))
        inside: Any = value
        if isinstance(value, Mapping):
            inside = value.values()
        elif is_dataclass(value):
            inside = [getattr(value, each.name) for each in fields(value)]
        for each in inside:
            yield from _blocks(each, seen)


def _block(text: str) -> Iterator[Cidr]:
    """Yield the block that a text is, if it is one."""
    if len(text) > _LONGEST or not ("." in text or ":" in text):
        return
    try:
        if "/" in text:
            yield Cidr(text, host_bits="mask", syntax="sloppy")
        else:
            family, address = parse_address(text)
            yield Cidr.from_parts(family, address, family.bits)
    except InvalidInput:
        return


def codes_of(columns: Sequence[NDArray[Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give each distinct row of some columns a number.

    Parameters
    ----------
    columns : sequence of ndarray of integers, shape (n,)
        At least one; small numbers from -1 up.

    Returns
    -------
    ndarray of int64, shape (n,)
        Number of each row, in the order of the columns.
    ndarray of int64
        The first row of each number.

    Raises
    ------
    None
        No rows have no numbers.

    Examples
    --------
    >>> codes_of([np.array([1, 0, 1]), np.array([-1, -1, -1])])
    (array([1, 0, 1]), array([1, 0]))
    """
    key = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        shifted = column.astype(np.int64) + 1
        size = int(shifted.max(initial=0)) + 1
        if int(key.max(initial=0)) * size >= 1 << 62:
            key = _ranked(key)
        key = key * size + shifted
    dense = int(key.max(initial=0)) + 1
    if dense <= 4 * len(key) + 1024:  # few enough to count instead of sorting
        first = np.full(dense, -1, np.int64)
        first[key[::-1]] = np.arange(len(key) - 1, -1, -1)
        held = np.flatnonzero(first >= 0)
        number = np.cumsum(first >= 0) - 1
        return number[key], first[held]
    values, first, codes = np.unique(key, return_index=True, return_inverse=True)
    del values
    return codes.astype(np.int64), first.astype(np.int64)


def _ranked(key: NDArray[np.int64]) -> NDArray[np.int64]:
    """Replace numbers by their rank."""
    return np.unique(key, return_inverse=True)[1].astype(np.int64)


def families_of(blocks: Sequence[Cidr], family: IPFamily) -> tuple[Cidr, ...]:
    """Return the blocks of one family.

    Parameters
    ----------
    blocks : sequence of Cidr
        Of both.
    family : IPFamily
        Which.

    Returns
    -------
    tuple of Cidr
        In their order.

    Raises
    ------
    None
        There may be none.

    Examples
    --------
    >>> families_of([Cidr("10.0.0.0/8"), Cidr("fd00::/8")], IPFamily.IPV6)
    (Cidr('fd00::/8'),)
    """
    return tuple(block for block in blocks if block.family is family)
