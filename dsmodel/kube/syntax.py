"""How API fields read addresses and CIDRs: what a version accepts, and its words for what it does not.

Promises: the same verdict and words as the server's validation of ``clusterIPs``, ``externalIPs``, ``podCIDRs`` and
``loadBalancerSourceRanges``. An IPv4-mapped address counts as IPv4 wherever it is accepted.

Not known here: which field is read, and what an old value of the object excuses.

Sources: k8s.io/apimachinery ``pkg/util/validation/ip.go`` and ``validation.go``; KEP-4858; recordings of 1.20 to 1.36.
A v1.20 or v1.21 server built with Go before 1.17 also took leading zeros; the recorded ones were built later.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from dsmodel.addresses.cidr import Cidr, IPFamily, parse_address
from dsmodel.errors import InvalidAddress, InvalidCidr

__all__ = ["AddressSyntax", "cidr_complaints", "cidr_family", "ip_complaints", "read_ip"]

# "go": the Go library's parser, "sloppy": leading zeros tolerated, "strict": KEP-4858
AddressSyntax = Literal["go", "sloppy", "strict"]

_BAD_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_BAD_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_MAPPED = 0xFFFF


@lru_cache(maxsize=4096)
def read_ip(text: str, *, syntax: AddressSyntax = "sloppy") -> tuple[IPFamily, int] | None:
    """Read an address as the allocators do.

    Parameters
    ----------
    text : str
        Address text.
    syntax : {"go", "sloppy", "strict"}
        ``"go"`` refuses leading zeros; the others take them (a strict field has refused them before).

    Returns
    -------
    tuple of (IPFamily, int) or None
        Family and value, an IPv4-mapped address as IPv4; None when the text is no address.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> read_ip("::ffff:10.0.0.1")
    (<IPFamily.IPV4: 'IPv4'>, 167772161)
    >>> read_ip("010.0.0.1", syntax="go") is None
    True
    """
    try:
        family, value = parse_address(text, syntax="strict" if syntax == "go" else "sloppy")
    except InvalidAddress:
        return None
    if family is IPFamily.IPV6 and value >> 32 == _MAPPED:
        return IPFamily.IPV4, value & 0xFFFFFFFF
    return family, value


@lru_cache(maxsize=4096)
def ip_complaints(text: str, *, syntax: AddressSyntax) -> tuple[str, ...]:
    """Check the text of an address in a field.

    Parameters
    ----------
    text : str
        Address text.
    syntax : {"go", "sloppy", "strict"}
        What the field tolerates.

    Returns
    -------
    tuple of str
        The complaints, at most one.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> ip_complaints("10.0.0.01", syntax="strict"), ip_complaints("10.0.0.01", syntax="sloppy")
    (('must not have leading 0s',), ())
    """
    if read_ip(text, syntax=syntax) is None:
        return (_BAD_IP,)
    if syntax != "strict":
        return ()
    try:
        family, value = parse_address(text)
    except InvalidAddress:
        return ("must not have leading 0s",)
    mapped = family is IPFamily.IPV6 and value >> 32 == _MAPPED
    return ("must not be an IPv4-mapped IPv6 address",) if mapped else ()


@lru_cache(maxsize=1024)
def cidr_complaints(text: str, *, syntax: AddressSyntax) -> tuple[str, ...]:
    """Check the text of a CIDR in a field.

    Parameters
    ----------
    text : str
        CIDR text.
    syntax : {"go", "sloppy", "strict"}
        What the field tolerates.

    Returns
    -------
    tuple of str
        The complaints.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> cidr_complaints("192.0.2.1/24", syntax="strict"), cidr_complaints("192.0.2.1/24", syntax="sloppy")
    (('must not have bits set beyond the prefix length',), ())
    """
    if _cidr(text, syntax) is None:
        return (_BAD_CIDR,)
    if syntax != "strict":
        return ()
    block = _cidr(text, "go")
    if block is None:
        return ("must not have leading 0s in IP or prefix length",)
    if block.family is IPFamily.IPV6 and block.first >> 32 == _MAPPED and block.prefix_length >= 96:
        return ("must not have an IPv4-mapped IPv6 address",)
    try:
        Cidr(text)
    except InvalidCidr:
        return ("must not have bits set beyond the prefix length",)
    return ()


def cidr_family(text: str, *, syntax: AddressSyntax) -> IPFamily | None:
    """Tell the family of a CIDR.

    Parameters
    ----------
    text : str
        CIDR text.
    syntax : {"go", "sloppy", "strict"}
        What the field tolerates.

    Returns
    -------
    IPFamily or None
        None when the text is no CIDR; a block of IPv4-mapped addresses is IPv4, as Go prints it.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> cidr_family("fd00::/64", syntax="sloppy"), cidr_family("x", syntax="sloppy")
    (<IPFamily.IPV6: 'IPv6'>, None)
    """
    block = _cidr(text, syntax)
    if block is None:
        return None
    mapped = block.family is IPFamily.IPV6 and block.first >> 32 == _MAPPED and block.prefix_length >= 96
    return IPFamily.IPV4 if mapped else block.family


@lru_cache(maxsize=1024)
def _cidr(text: str, syntax: AddressSyntax) -> Cidr | None:
    """Read a CIDR, masking host bits."""
    try:
        return Cidr(text, host_bits="mask", syntax="strict" if syntax == "go" else "sloppy")
    except InvalidCidr:
        return None
