"""What translators at the border do to addresses: NAT64 embeds, DNS64 makes records up, NPTv6 maps prefixes.

Promises: exact mappings over whole columns, both ways, with a mask for what a translator must not or cannot map.

- The well-known prefix 64:ff9b::/96 must not carry IPv4 addresses that are not global; a private server needs a prefix
  of one's own, or one inside 64:ff9b:1::/48.
- DNS64 answers with a made-up AAAA only for a name that has none: one stray AAAA takes a name off NAT64.
- NPTv6 keeps the checksum, no ports and no state; it is the same mapping in both directions with the prefixes swapped.

What it does not know: ports and state of NAT64 (`dsmodel.graph.snat`), DNSSEC, 464XLAT, which translators a cluster has
(`dsmodel.graph.network`).

Sources: RFC 6052 sections 2.2 to 2.4 and 3.1, RFC 8215, RFC 6147 section 5.1, RFC 6296 sections 3.1 to 3.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsmodel.addresses.arrays import IPV6_DTYPE, addresses_in, family_of
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.registries import is_globally_routable
from dsmodel.errors import InvalidAddress, InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[Any]
    Marks = NDArray[np.bool_]
    Words = NDArray[np.uint64]

__all__ = [
    "LOCAL_USE_PREFIX",
    "NAT64_PREFIX_LENGTHS",
    "WELL_KNOWN_PREFIX",
    "dns64",
    "embed",
    "extract",
    "map_prefix",
]

WELL_KNOWN_PREFIX: Final = Cidr("64:ff9b::/96")  # RFC 6052 section 2.1
LOCAL_USE_PREFIX: Final = Cidr("64:ff9b:1::/48")  # RFC 8215
NAT64_PREFIX_LENGTHS: Final = (32, 40, 48, 56, 64, 96)  # RFC 6052 section 2.2

_MAPPED = Cidr("::ffff:0:0/96")  # RFC 6147 section 5.1.4: such AAAA records count as absent
_ONES = 0xFFFF  # minus zero in one's complement arithmetic
_SITE_BITS = 48  # RFC 6296 sections 3.4 and 3.5: up to here the subnet word is adjusted, beyond it the interface id
_MOST_BITS = 64  # longest prefix that NPTv6 maps


def embed(column: Column, prefix: Cidr | str = WELL_KNOWN_PREFIX) -> tuple[Column, Marks]:
    """Return the IPv6 addresses that stand for IPv4 ones behind a NAT64 prefix.

    Parameters
    ----------
    column : address column
        IPv4.
    prefix : Cidr or str
        NAT64 prefix of 32, 40, 48, 56, 64 or 96 bits.

    Returns
    -------
    column : address column
        IPv6, of the same length; bits 64 to 71 are zero.
    allowed : ndarray of bool
        False where the well-known prefix must not carry the address.

    Raises
    ------
    InvalidInput
        A prefix of another length or family, or with bits 64 to 71 set.
    InvalidAddress
        The column is no IPv4 column.

    Notes
    -----
    Source: RFC 6052 sections 2.2 and 3.1.

    Examples
    --------
    >>> from dsmodel.addresses.text import format_addresses
    >>> server = np.array([0xC0000221], np.uint32)
    >>> for prefix in ("2001:db8:122::/48", "64:ff9b::/96"):
    ...     print(format_addresses(embed(server, prefix)[0])[0], embed(server, prefix)[1])
    2001:db8:122:c000:2:2100:: [ True]
    64:ff9b::c000:221 [False]
    """
    _expect(column, IPFamily.IPV4)
    block, before = _translator_prefix(prefix)
    values = column.astype(np.uint64)
    found = np.empty(len(column), IPV6_DTYPE)
    found["hi"] = np.uint64(block.first >> 64)
    found["lo"] = np.uint64(block.first & (2**64 - 1))
    if block.prefix_length == 96:
        found["lo"] |= values
    else:
        after = 32 - before
        found["hi"] |= values >> np.uint64(after)
        found["lo"] |= (values & np.uint64((1 << after) - 1)) << np.uint64(56 - after)
    if block == WELL_KNOWN_PREFIX:
        return found, is_globally_routable(column)
    return found, np.ones(len(column), np.bool_)


def extract(column: Column, prefix: Cidr | str = WELL_KNOWN_PREFIX) -> tuple[Column, Marks]:
    """Return the IPv4 addresses that IPv6 ones stand for behind a NAT64 prefix.

    Parameters
    ----------
    column : address column
        IPv6.
    prefix : Cidr or str
        NAT64 prefix of 32, 40, 48, 56, 64 or 96 bits.

    Returns
    -------
    column : address column
        IPv4, of the same length; bits 64 to 71 and those behind the address are not looked at.
    inside : ndarray of bool
        Whether the address lies in the prefix; elsewhere the row means nothing.

    Raises
    ------
    InvalidInput
        A prefix of another length or family, or with bits 64 to 71 set.
    InvalidAddress
        The column is no IPv6 column.

    Notes
    -----
    Source: RFC 6052 section 2.3.

    Examples
    --------
    >>> extract(embed(np.array([0x08080808], np.uint32))[0])
    (array([134744072], dtype=uint32), array([ True]))
    """
    _expect(column, IPFamily.IPV6)
    block, before = _translator_prefix(prefix)
    if block.prefix_length == 96:
        values = column["lo"] & np.uint64(0xFFFFFFFF)
    else:
        after = 32 - before
        high = column["hi"] & np.uint64((1 << before) - 1)
        low = column["lo"] >> np.uint64(56 - after) & np.uint64((1 << after) - 1)
        values = high << np.uint64(after) | low
    return values.astype(np.uint32), addresses_in(column, block)


def dns64(
    ipv4: Column, has_ipv4: Marks, ipv6: Column, has_ipv6: Marks, *, prefix: Cidr | str = WELL_KNOWN_PREFIX
) -> tuple[Column, Marks, Marks]:
    """Answer AAAA queries as a DNS64 resolver does.

    Parameters
    ----------
    ipv4, ipv6 : address columns, shape (n,)
        A and AAAA record of each name.
    has_ipv4, has_ipv6 : ndarray of bool, shape (n,)
        Whether the name has it.
    prefix : Cidr or str
        NAT64 prefix.

    Returns
    -------
    column : address column
        AAAA record of the answer.
    has_answer : ndarray of bool
        Whether there is one; elsewhere the row means nothing.
    is_synthetic : ndarray of bool
        Whether it is made up: only for names without any AAAA, or with IPv4-mapped ones alone, and never for an address
        that the prefix must not carry.

    Raises
    ------
    InvalidInput
        A prefix that `embed` refuses, or columns that differ in length.
    InvalidAddress
        A column of the wrong family.

    Notes
    -----
    Source: RFC 6147 sections 5.1.1, 5.1.4 and 5.1.7.

    Examples
    --------
    >>> a, aaaa = np.array([0x08080808, 0x08080808], np.uint32), np.zeros(2, IPV6_DTYPE)
    >>> dns64(a, np.array([True, True]), aaaa, np.array([False, True]))[2]
    array([ True, False])
    """
    lengths = {len(column) for column in (ipv4, has_ipv4, ipv6, has_ipv6)}
    if len(lengths) > 1:
        raise InvalidInput(f"dns64: columns of {sorted(lengths)} rows; give one value a name in each")
    _expect(ipv6, IPFamily.IPV6)
    made, allowed = embed(ipv4, prefix)
    is_real = has_ipv6 & ~addresses_in(ipv6, _MAPPED)
    is_synthetic = ~is_real & has_ipv4 & allowed
    answer = ipv6.copy()
    answer[is_synthetic] = made[is_synthetic]
    return answer, is_real | is_synthetic, is_synthetic


def map_prefix(column: Column, *, source: Cidr | str, target: Cidr | str) -> tuple[Column, Marks]:
    """Map addresses from one prefix to another and keep their checksum, as NPTv6 does.

    Outbound from the internal prefix to the external one, inbound with the two swapped.

    Parameters
    ----------
    column : address column
        IPv6.
    source, target : Cidr or str
        Prefixes of at most 64 bits; the shorter is taken as long as the longer, with zeros behind it.

    Returns
    -------
    column : address column
        Of the same length; the prefix is the target's. Of prefixes up to /48 the subnet, bits 48 to 63, is adjusted, of
        longer ones the first 16 bits of the interface id that are not all ones.
    mapped : ndarray of bool
        False outside the source prefix, and for the one subnet (or interface id) of all ones that has no counterpart;
        such rows are as they were.

    Raises
    ------
    InvalidInput
        A prefix of IPv4 or longer than 64 bits.
    InvalidAddress
        The column is no IPv6 column.

    Notes
    -----
    Source: RFC 6296 sections 3.1 to 3.5; the example is its own.

    Examples
    --------
    >>> from dsmodel.addresses.text import format_addresses, parse_addresses
    >>> pods = parse_addresses(["fd01:203:405:1::1234"], family=IPFamily.IPV6)
    >>> format_addresses(map_prefix(pods, source="fd01:203:405::/48", target="2001:db8:1::/48")[0])[0].as_py()
    '2001:db8:1:d550::1234'
    """
    _expect(column, IPFamily.IPV6)
    inside, outside = _mapped_prefix(source), _mapped_prefix(target)
    length = max(inside.prefix_length, outside.prefix_length)
    mapped = addresses_in(column, Cidr.from_parts(inside.family, inside.first, length))
    adjustment = (_checksum(inside) + (_ONES ^ _checksum(outside))) % _ONES
    found = column.copy()
    bits = np.uint64(2**64 - (1 << (64 - length)))
    found["hi"] = found["hi"] & ~bits | np.uint64(outside.first >> 64)
    if length <= _SITE_BITS:
        subnet = column["hi"] & np.uint64(_ONES)
        mapped &= subnet != _ONES
        found["hi"] = found["hi"] & ~np.uint64(_ONES) | _adjusted(subnet, adjustment)
    else:
        mapped &= _adjust_interface_id(found, adjustment)
    found[~mapped] = column[~mapped]
    return found, mapped


def _adjust_interface_id(found: Column, adjustment: int) -> Marks:
    """Adjust the first 16 bits of each interface id that are not all ones, and say where there are any."""
    open_ = np.ones(len(found), np.bool_)
    for shift in (48, 32, 16, 0):
        word = found["lo"] >> np.uint64(shift) & np.uint64(_ONES)
        mine = open_ & (word != _ONES)
        moved = found["lo"] & ~np.uint64(_ONES << shift) | _adjusted(word, adjustment) << np.uint64(shift)
        found["lo"] = np.where(mine, moved, found["lo"])
        open_ &= ~mine
    return ~open_


def _adjusted(words: Words, adjustment: int) -> Words:
    """Add in one's complement; what is all ones becomes zero."""
    return np.asarray((words + np.uint64(adjustment)) % np.uint64(_ONES))


def _checksum(prefix: Cidr) -> int:
    """Return the one's complement sum of a prefix."""
    return sum(prefix.first >> shift & _ONES for shift in range(0, 128, 16)) % _ONES


def _translator_prefix(prefix: Cidr | str) -> tuple[Cidr, int]:
    """Read a NAT64 prefix, and return how many bits of an IPv4 address stand left of the reserved octet."""
    block = prefix if isinstance(prefix, Cidr) else Cidr(prefix)
    if block.family is not IPFamily.IPV6 or block.prefix_length not in NAT64_PREFIX_LENGTHS:
        lengths = ", ".join(map(str, NAT64_PREFIX_LENGTHS[:-1]))
        raise InvalidInput(f"NAT64 prefix {block}: RFC 6052 allows IPv6 prefixes of {lengths} and 96 bits")
    if block.first >> 56 & 0xFF:
        raise InvalidInput(f"NAT64 prefix {block}: RFC 6052 wants bits 64 to 71 zero; choose another prefix")
    return block, max(0, 64 - block.prefix_length)


def _mapped_prefix(prefix: Cidr | str) -> Cidr:
    """Read a prefix that NPTv6 can map."""
    block = prefix if isinstance(prefix, Cidr) else Cidr(prefix)
    if block.family is not IPFamily.IPV6 or block.prefix_length > _MOST_BITS:
        raise InvalidInput(f"NPTv6 prefix {block}: use IPv6 prefixes of at most {_MOST_BITS} bits")
    return block


def _expect(column: Column, family: IPFamily) -> None:
    """Refuse a column of the other family."""
    if family_of(column) is not family:
        raise InvalidAddress(f"the column is {family_of(column)}; this side of a translator is {family}")
