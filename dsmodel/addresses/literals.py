"""One address as text: the family, the strict and the sloppy reading, the one canonical writing.

Promises: reading accepts exactly what the Go libraries of Kubernetes accept; writing is RFC 5952 text, with IPv4-mapped
addresses as ``::ffff:1.2.3.4`` (section 5 of the RFC, and what Go prints) on every Python version.

Does not know: zones (``fe80::1%eth0`` is refused), names, which spelling a Kubernetes field tolerates.

Sources: RFC 4291 section 2.2, RFC 5952; Go ``net/netip`` (*strict*); ``k8s.io/utils/net`` ``ParseIPSloppy``, which
keeps the ``net`` parser of Go 1.16 (*sloppy*).
"""

from __future__ import annotations

import enum
from typing import Literal

from dsmodel.errors import InvalidAddress

__all__ = ["IPFamily", "Syntax", "fault", "format_address", "is_sloppy", "parse_address", "read_ipv4", "read_ipv6"]

Syntax = Literal["strict", "sloppy"]

_DIGITS = "0123456789"
_HEX = "0123456789abcdefABCDEF"
_MAPPED = 0xFFFF  # the upper 96 bits of ::ffff:0:0/96, RFC 4291 section 2.5.5.2
_GROUPS = 8  # groups of 16 bits in an IPv6 address


class IPFamily(enum.StrEnum):
    """The two address families, in Kubernetes' spelling.

    Examples
    --------
    >>> IPFamily("IPv6").bits
    128
    """

    IPV4 = "IPv4"
    IPV6 = "IPv6"

    @property
    def bits(self) -> int:
        """Return the width of an address.

        Returns
        -------
        int
            32 or 128.

        Raises
        ------
        None
            Both families have a width.
        """
        return 32 if self is IPFamily.IPV4 else 128


def parse_address(text: str, *, syntax: Syntax = "strict") -> tuple[IPFamily, int]:
    """Read one address.

    Parameters
    ----------
    text : str
        Address without zone, prefix length or white space.
    syntax : {"strict", "sloppy"}
        *strict* reads what Go's ``netip.ParseAddr`` reads, without zones: no leading zeros in IPv4 octets, at most four
        digits in an IPv6 group; an IPv4-mapped address stays IPv6, and refusing it is the caller's policy. *sloppy*
        reads what Kubernetes' ``ParseIPSloppy`` reads: any number of leading zeros, taken as decimal, and an
        IPv4-mapped address is IPv4.

    Returns
    -------
    tuple of (IPFamily, int)
        Family and value of the address.

    Raises
    ------
    InvalidAddress
        The text is no address in this syntax.

    Examples
    --------
    >>> parse_address("10.0.0.1")
    (<IPFamily.IPV4: 'IPv4'>, 167772161)
    >>> parse_address("::ffff:10.0.0.1", syntax="sloppy")
    (<IPFamily.IPV4: 'IPv4'>, 167772161)
    """
    if not isinstance(text, str):
        raise InvalidAddress(f"{text!r} is not text; an address is a string such as '10.0.0.1' or 'fd00::1'")
    sloppy = is_sloppy(syntax)
    value = read_ipv4(text, sloppy=sloppy)
    if value is not None:
        return IPFamily.IPV4, value
    value = read_ipv6(text, sloppy=sloppy)
    if value is None:
        raise InvalidAddress(f"{text!r} is not an IP address: {fault(text)}")
    if sloppy and value >> 32 == _MAPPED:
        return IPFamily.IPV4, value & 0xFFFFFFFF
    return IPFamily.IPV6, value


def format_address(family: IPFamily, value: int) -> str:
    """Write one address as canonical text.

    Parameters
    ----------
    family : IPFamily
        Family of the address.
    value : int
        The address as a number.

    Returns
    -------
    str
        Dotted text, or RFC 5952 text; an IPv4-mapped IPv6 address ends in dotted text.

    Raises
    ------
    InvalidAddress
        The number does not fit in the family.

    Examples
    --------
    >>> format_address(IPFamily.IPV6, 0xFD00 << 112 | 1)
    'fd00::1'
    >>> format_address(IPFamily.IPV6, 0xFFFF01020304)
    '::ffff:1.2.3.4'
    """
    if not 0 <= value < 1 << family.bits:
        raise InvalidAddress(f"{value} is not an {family} address; it must be at least 0 and below 2**{family.bits}")
    if family is IPFamily.IPV4:
        return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
    if value >> 32 == _MAPPED:
        return "::ffff:" + format_address(IPFamily.IPV4, value & 0xFFFFFFFF)
    groups = [value >> shift & 0xFFFF for shift in range(112, -1, -16)]
    start, length = _longest_zero_run(groups)
    words = [f"{group:x}" for group in groups]
    if length < 2:  # RFC 5952 section 4.2.2: one group of zeros is not shortened
        return ":".join(words)
    return ":".join(words[:start]) + "::" + ":".join(words[start + length :])


def is_sloppy(syntax: str) -> bool:
    """Read the option, refusing any other word.

    Parameters
    ----------
    syntax : str
        The caller's choice.

    Returns
    -------
    bool
        True for "sloppy", False for "strict".

    Raises
    ------
    InvalidAddress
        Any other word.
    """
    if syntax not in {"strict", "sloppy"}:
        raise InvalidAddress(f"syntax={syntax!r} is unknown; use 'strict' or 'sloppy'")
    return syntax == "sloppy"


def read_ipv4(text: str, *, sloppy: bool) -> int | None:
    """Read dotted text.

    Parameters
    ----------
    text : str
        Four numbers joined by dots.
    sloppy : bool
        Accept leading zeros, taken as decimal.

    Returns
    -------
    int or None
        The address; None where the text is none.

    Raises
    ------
    None
        Every text has an answer.
    """
    octets = text.split(".")
    if len(octets) != 4:
        return None
    value = 0
    for octet in octets:
        if not octet or octet.strip(_DIGITS):
            return None
        digits = octet.lstrip("0") if sloppy else octet
        if len(digits) > 3 or (digits[:1] == "0" and len(digits) > 1):
            return None
        number = int(digits or "0")
        if number > 255:
            return None
        value = value << 8 | number
    return value


def read_ipv6(text: str, *, sloppy: bool) -> int | None:
    """Read colon-separated text.

    Parameters
    ----------
    text : str
        Up to eight groups, with or without a dotted tail.
    sloppy : bool
        Accept any number of leading zeros.

    Returns
    -------
    int or None
        The address; None where the text is none.

    Raises
    ------
    None
        Every text has an answer.
    """
    head, gap, tail = text.partition("::")
    before = _read_groups(head, sloppy=sloppy, is_end=not gap)
    after = _read_groups(tail, sloppy=sloppy, is_end=True)
    if before is None or after is None:
        return None
    missing = _GROUPS - len(before) - len(after)
    if missing < 1 if gap else missing:  # "::" stands for at least one group
        return None
    value = 0
    for group in [*before, *[0] * missing, *after]:
        value = value << 16 | group
    return value


def _read_groups(part: str, *, sloppy: bool, is_end: bool) -> list[int] | None:
    """Read the groups on one side of the gap; only the end of the text may be dotted."""
    if not part:
        return []
    words = part.split(":")
    tail: list[int] = []
    if is_end and "." in words[-1]:
        value = read_ipv4(words.pop(), sloppy=sloppy)
        if value is None:
            return None
        tail = [value >> 16, value & 0xFFFF]
    groups: list[int] = []
    for word in words:
        if not word or word.strip(_HEX):
            return None
        digits = word.lstrip("0") if sloppy else word
        if len(digits) > 4:
            return None
        groups.append(int(digits or "0", 16))
    return groups + tail


def _longest_zero_run(groups: list[int]) -> tuple[int, int]:
    """Return start and length of the first longest run of zero groups."""
    start, length, run = 0, 0, 0
    for position, group in enumerate(groups):
        run = 0 if group else run + 1
        if run > length:
            start, length = position - run + 1, run
    return start, length


def fault(text: str) -> str:
    """Say in words which rule a text breaks, and the way out.

    Parameters
    ----------
    text : str
        A text that is no address.

    Returns
    -------
    str
        The end of an error message.

    Raises
    ------
    None
        Every text has an answer.
    """
    octets = text.split(".")
    padded = len(octets) == 4 and any(len(octet) > 1 and octet[0] == "0" for octet in octets)
    faults = (
        (not text, "it is empty; leave the row out or mark it missing"),
        (text != text.strip(), "white space around it; strip it first"),
        (not text.isascii(), "only ASCII characters may appear"),
        ("%" in text, "zones are not accepted; drop the part from '%'"),
        ("/" in text, "it carries a prefix length; read it as a CIDR"),
        (":" in text, "IPv6 text is eight groups of 1 to 4 hex digits, '::' once for groups of zeros"),
        (padded, "an octet has a leading zero, which is ambiguous; drop it or pass syntax='sloppy'"),
    )
    return next((words for applies, words in faults if applies), "IPv4 text is four numbers 0 to 255 joined by dots")
