"""What the registries say about addresses, as dated data.

Promises: the rows of the IANA special-purpose registries as published on `UPDATED`; the default policy tables of
address selection (RFC 6724, its update draft, glibc, musl, Go, the labels of Linux), each with date and source; lookups
for whole columns that return the most specific row.

Does not know: multicast (``224.0.0.0/4`` and ``ff00::/8`` have registries of their own), allocations to regional
registries, an image's own ``/etc/gai.conf``; what is done with a policy (`dsmodel.graph.selection`).

Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries, https://www.iana.org/assignments/iana-ipv4-special-registry
and https://www.iana.org/assignments/iana-ipv6-special-registry, RFC 6890 updated by RFC 8190; RFC 6724 section 2.1; the
sources named in `POLICY_TABLES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsmodel.addresses.cidr import Cidr
from dsmodel.addresses.columns import empty, family_of
from dsmodel.addresses.literals import IPFamily
from dsmodel.addresses.prefixes import PrefixTable

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "KNOWN_LOCAL",
    "POLICY_TABLE",
    "POLICY_TABLES",
    "SPECIAL_PURPOSE",
    "UPDATED",
    "PolicyRow",
    "PolicyTable",
    "SpecialBlock",
    "is_globally_routable",
    "special_purpose",
]

UPDATED: Final = "2025-10-09"  # both registries, as their pages state


@dataclass(frozen=True)
class SpecialBlock:
    """One row of a special-purpose registry.

    Attributes
    ----------
    cidr : Cidr
        The block.
    name : str
        IANA's name of it.
    rfc : str
        The documents that define it.
    allocated : str
        Year and month.
    source, destination : bool or None
        Whether such an address may be one in a packet. None throughout a row: terminated, the registry says nothing.
    forwardable : bool or None
        Whether routers may forward between interfaces.
    is_global : bool or None
        Globally reachable. None: terminated, or "N/A" where it depends on the embedded address (Teredo, 6to4).
    """

    cidr: Cidr
    name: str
    rfc: str
    allocated: str
    source: bool | None
    destination: bool | None
    forwardable: bool | None
    is_global: bool | None


@dataclass(frozen=True)
class PolicyRow:
    """One row of a default address selection policy table.

    Attributes
    ----------
    cidr : Cidr
        IPv6 prefix; IPv4 addresses are looked up as IPv4-mapped.
    precedence : int or None
        Higher destinations are tried first. None in the kernel's table, which orders no destinations.
    label : int
        Sources and destinations of one label prefer each other.
    """

    cidr: Cidr
    precedence: int | None
    label: int


@dataclass(frozen=True)
class PolicyTable:
    """A default policy table, as one document or implementation has it.

    Attributes
    ----------
    name : str
        What `POLICY_TABLES` calls it.
    rows : tuple of PolicyRow
        The longest prefix decides; one row is ``::/0``.
    as_of : str
        Month in which the source was published, or read where it keeps changing.
    source : str
        Where the rows stand.

    Examples
    --------
    >>> POLICY_TABLES["musl"].as_of
    '2026-08'
    """

    name: str
    rows: tuple[PolicyRow, ...]
    as_of: str
    source: str

    def lookup(self, column: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the row that holds for every address.

        Parameters
        ----------
        column : numpy.ndarray
            Address column; IPv4 is looked up as IPv4-mapped.

        Returns
        -------
        numpy.ndarray of int64
            Row number in `rows`.

        Raises
        ------
        InvalidAddress
            The array is no address column.

        Examples
        --------
        >>> import numpy as np
        >>> table = POLICY_TABLES["rfc6724"]
        >>> [str(table.rows[row].cidr) for row in table.lookup(np.array([0x0A000001], np.uint32))]
        ['::ffff:0.0.0.0/96']
        """
        return _prefixes(self.rows).lookup(_as_ipv6(column))


def _block(cidr: str, flags: str, allocated: str, *, name: str, rfc: str) -> SpecialBlock:
    """Read a row; flags are source, destination, forwardable, global: T, F, or - for not applicable."""
    values = [{"T": True, "F": False, "-": None}[flag] for flag in flags]
    return SpecialBlock(Cidr(cidr), name, rfc, allocated, *values)


SPECIAL_PURPOSE: Final = (
    _block("0.0.0.0/8", "TFFF", "1981-09", name="This network", rfc="RFC 791 section 3.2"),
    _block("0.0.0.0/32", "TFFF", "1981-09", name="This host on this network", rfc="RFC 1122 section 3.2.1.3"),
    _block("10.0.0.0/8", "TTTF", "1996-02", name="Private-Use", rfc="RFC 1918"),
    _block("100.64.0.0/10", "TTTF", "2012-04", name="Shared Address Space", rfc="RFC 6598"),
    _block("127.0.0.0/8", "FFFF", "1981-09", name="Loopback", rfc="RFC 1122 section 3.2.1.3"),
    _block("169.254.0.0/16", "TTFF", "2005-05", name="Link Local", rfc="RFC 3927"),
    _block("172.16.0.0/12", "TTTF", "1996-02", name="Private-Use", rfc="RFC 1918"),
    _block("192.0.0.0/24", "FFFF", "2010-01", name="IETF Protocol Assignments", rfc="RFC 6890 section 2.1"),
    _block("192.0.0.0/29", "TTTF", "2011-06", name="IPv4 Service Continuity Prefix", rfc="RFC 7335"),
    _block("192.0.0.8/32", "TFFF", "2015-03", name="IPv4 dummy address", rfc="RFC 7600"),
    _block("192.0.0.9/32", "TTTT", "2015-10", name="Port Control Protocol Anycast", rfc="RFC 7723"),
    _block("192.0.0.10/32", "TTTT", "2017-02", name="Traversal Using Relays around NAT Anycast", rfc="RFC 8155"),
    _block("192.0.0.170/32", "FFFF", "2013-02", name="NAT64/DNS64 Discovery", rfc="RFC 8880, RFC 7050 section 2.2"),
    _block("192.0.0.171/32", "FFFF", "2013-02", name="NAT64/DNS64 Discovery", rfc="RFC 8880, RFC 7050 section 2.2"),
    _block("192.0.2.0/24", "FFFF", "2010-01", name="Documentation (TEST-NET-1)", rfc="RFC 5737"),
    _block("192.31.196.0/24", "TTTT", "2014-12", name="AS112-v4", rfc="RFC 7535"),
    _block("192.52.193.0/24", "TTTT", "2014-12", name="AMT", rfc="RFC 7450"),
    _block("192.88.99.0/24", "----", "2001-06", name="Deprecated (6to4 Relay Anycast)", rfc="RFC 7526"),
    _block("192.88.99.2/32", "TTTF", "2012-10", name="6a44-relay anycast address", rfc="RFC 6751"),
    _block("192.168.0.0/16", "TTTF", "1996-02", name="Private-Use", rfc="RFC 1918"),
    _block("192.175.48.0/24", "TTTT", "1996-01", name="Direct Delegation AS112 Service", rfc="RFC 7534"),
    _block("198.18.0.0/15", "TTTF", "1999-03", name="Benchmarking", rfc="RFC 2544"),
    _block("198.51.100.0/24", "FFFF", "2010-01", name="Documentation (TEST-NET-2)", rfc="RFC 5737"),
    _block("203.0.113.0/24", "FFFF", "2010-01", name="Documentation (TEST-NET-3)", rfc="RFC 5737"),
    _block("240.0.0.0/4", "FFFF", "1989-08", name="Reserved", rfc="RFC 1112 section 4"),
    _block("255.255.255.255/32", "FTFF", "1984-10", name="Limited Broadcast", rfc="RFC 8190, RFC 919 section 7"),
    _block("::/128", "TFFF", "2006-02", name="Unspecified Address", rfc="RFC 4291"),
    _block("::1/128", "FFFF", "2006-02", name="Loopback Address", rfc="RFC 4291"),
    _block("::ffff:0:0/96", "FFFF", "2006-02", name="IPv4-mapped Address", rfc="RFC 4291"),
    _block("64:ff9b::/96", "TTTT", "2010-10", name="IPv4-IPv6 Translat.", rfc="RFC 6052"),
    _block("64:ff9b:1::/48", "TTTF", "2017-06", name="IPv4-IPv6 Translat.", rfc="RFC 8215"),
    _block("100::/64", "TTTF", "2012-06", name="Discard-Only Address Block", rfc="RFC 6666"),
    _block("100:0:0:1::/64", "TFFF", "2025-04", name="Dummy IPv6 Prefix", rfc="RFC 9780"),
    _block("2001::/23", "FFFF", "2000-09", name="IETF Protocol Assignments", rfc="RFC 2928"),
    _block("2001::/32", "TTT-", "2006-01", name="TEREDO", rfc="RFC 4380, RFC 8190"),
    _block("2001:1::1/128", "TTTT", "2015-10", name="Port Control Protocol Anycast", rfc="RFC 7723"),
    _block("2001:1::2/128", "TTTT", "2017-02", name="Traversal Using Relays around NAT Anycast", rfc="RFC 8155"),
    _block("2001:1::3/128", "TTTT", "2024-04", name="DNS-SD Service Registration Protocol Anycast", rfc="RFC 9665"),
    _block("2001:2::/48", "TTTF", "2008-04", name="Benchmarking", rfc="RFC 5180"),
    _block("2001:3::/32", "TTTT", "2014-12", name="AMT", rfc="RFC 7450"),
    _block("2001:4:112::/48", "TTTT", "2014-12", name="AS112-v6", rfc="RFC 7535"),
    _block("2001:10::/28", "----", "2007-03", name="Deprecated (previously ORCHID)", rfc="RFC 4843"),
    _block("2001:20::/28", "TTTT", "2014-07", name="ORCHIDv2", rfc="RFC 7343"),
    _block(
        "2001:30::/28", "TTTT", "2022-12", name="Drone Remote ID Protocol Entity Tags (DETs) Prefix", rfc="RFC 9374"
    ),
    _block("2001:db8::/32", "FFFF", "2004-07", name="Documentation", rfc="RFC 3849"),
    _block("2002::/16", "TTT-", "2001-02", name="6to4", rfc="RFC 3056"),
    _block("2620:4f:8000::/48", "TTTT", "2011-05", name="Direct Delegation AS112 Service", rfc="RFC 7534"),
    _block("3fff::/20", "FFFF", "2024-07", name="Documentation", rfc="RFC 9637"),
    _block("5f00::/16", "TTTF", "2024-04", name="Segment Routing (SRv6) SIDs", rfc="RFC 9602"),
    _block("fc00::/7", "TTTF", "2005-10", name="Unique-Local", rfc="RFC 4193, RFC 8190"),
    _block("fe80::/10", "TTFF", "2006-02", name="Link-Local Unicast", rfc="RFC 4291"),
)

# RFC 6724 section 2.1
POLICY_TABLE: Final = (
    PolicyRow(Cidr("::1/128"), 50, 0),
    PolicyRow(Cidr("::/0"), 40, 1),
    PolicyRow(Cidr("::ffff:0:0/96"), 35, 4),
    PolicyRow(Cidr("2002::/16"), 30, 2),
    PolicyRow(Cidr("2001::/32"), 5, 5),
    PolicyRow(Cidr("fc00::/7"), 3, 13),
    PolicyRow(Cidr("::/96"), 1, 3),
    PolicyRow(Cidr("fec0::/10"), 1, 11),
    PolicyRow(Cidr("3ffe::/16"), 1, 12),
)

# draft-ietf-6man-rfc6724-update section 5.3: precedence and label of the ULA prefixes that a node knows to be local
KNOWN_LOCAL: Final = (45, 14)


def _rows(precedences_and_labels: dict[str, tuple[int | None, int]]) -> tuple[PolicyRow, ...]:
    """Read rows."""
    return tuple(PolicyRow(Cidr(cidr), *values) for cidr, values in precedences_and_labels.items())


POLICY_TABLES: Final = {
    table.name: table
    for table in (
        PolicyTable("rfc6724", POLICY_TABLE, "2012-09", "RFC 6724 section 2.1"),
        PolicyTable(
            "draft-rfc6724-update",
            _rows(
                {
                    "::1/128": (50, 0),
                    "::/0": (40, 1),
                    "::ffff:0:0/96": (20, 4),
                    "2002::/16": (5, 2),
                    "2001::/32": (5, 5),
                    "fc00::/7": (30, 13),
                    "::/96": (1, 3),
                    "fec0::/10": (1, 11),
                    "3ffe::/16": (1, 12),
                }
            ),
            "2026-08",
            "draft-ietf-6man-rfc6724-update, versions 13 and 15 section 5.1; 25 was in the RFC Editor queue in 2025-09",
        ),
        PolicyTable(  # RFC 3484 precedences; ULA, site-local and Teredo have labels but no precedence of their own
            "glibc",
            _rows(
                {
                    "::1/128": (50, 0),
                    "::/0": (40, 1),
                    "2002::/16": (30, 2),
                    "::/96": (20, 3),
                    "::ffff:0:0/96": (10, 4),
                    "fec0::/10": (40, 5),
                    "fc00::/7": (40, 6),
                    "2001::/32": (40, 7),
                }
            ),
            "2026-08",
            "default_labels and default_precedence of nss/getaddrinfo.c; gai.conf(5)",
        ),
        PolicyTable(  # the rows that RFC 6724 keeps for returned address space are compiled out
            "musl",
            _rows(
                {
                    "::1/128": (50, 0),
                    "::/0": (40, 1),
                    "::ffff:0:0/96": (35, 4),
                    "2002::/16": (30, 2),
                    "2001::/32": (5, 5),
                    "fc00::/7": (3, 13),
                }
            ),
            "2026-08",
            "defpolicy of src/network/lookup_name.c",
        ),
        PolicyTable("go", POLICY_TABLE, "2026-08", "rfc6724policyTable of src/net/addrselect.go"),
        PolicyTable(
            "linux",
            _rows(
                {
                    "::1/128": (None, 0),
                    "::/0": (None, 1),
                    "2002::/16": (None, 2),
                    "::/96": (None, 3),
                    "::ffff:0:0/96": (None, 4),
                    "fc00::/7": (None, 5),
                    "2001::/32": (None, 6),
                    "2001:10::/28": (None, 7),
                    "fec0::/10": (None, 11),
                    "3ffe::/16": (None, 12),
                }
            ),
            "2026-08",
            "ip6addrlbl_init_table of net/ipv6/addrlabel.c; ip-addrlabel(8) changes it",
        ),
    )
}


def special_purpose(column: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the special-purpose block of every address.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.

    Returns
    -------
    numpy.ndarray of int64
        Row number in `SPECIAL_PURPOSE` of the most specific block, -1 for an ordinary address.

    Raises
    ------
    InvalidAddress
        The array is no address column.

    Examples
    --------
    >>> import numpy as np
    >>> rows = special_purpose(np.array([0x0A000001, 0x08080808, 0xC0000009], np.uint32))
    >>> [SPECIAL_PURPOSE[row].name if row >= 0 else "ordinary" for row in rows]
    ['Private-Use', 'ordinary', 'Port Control Protocol Anycast']
    """
    return _special_table().lookup(column)


def is_globally_routable(column: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Say which addresses the Internet routes as unicast.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.

    Returns
    -------
    numpy.ndarray of bool
        False for every block that is not globally reachable or whose registry does not say (6to4, Teredo), for
        multicast, and for IPv6 outside ``2000::/3``, of which IANA delegates nothing else; `64:ff9b::/96` is reachable.

    Raises
    ------
    InvalidAddress
        The array is no address column.

    Examples
    --------
    >>> is_globally_routable(np.array([0x08080808, 0x0A000001, 0xC0000201, 0xE0000001], np.uint32))
    array([ True, False, False, False])
    """
    rows = special_purpose(column)
    found: npt.NDArray[np.bool_] = np.array([*(block.is_global is True for block in SPECIAL_PURPOSE), False])[rows]
    if family_of(column) is IPFamily.IPV4:
        ordinary = column >> np.uint32(28) != 0xE  # 224.0.0.0/4
    else:
        ordinary = column["hi"] >> np.uint64(61) == 1  # 2000::/3
    return np.asarray(found | ((rows < 0) & ordinary))


@cache
def _special_table() -> PrefixTable:
    """Return the blocks ready for lookup."""
    return PrefixTable(block.cidr for block in SPECIAL_PURPOSE)


@cache
def _prefixes(rows: tuple[PolicyRow, ...]) -> PrefixTable:
    """Return the rows of a policy table ready for lookup."""
    return PrefixTable(row.cidr for row in rows)


def _as_ipv6(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return IPv4 addresses as IPv4-mapped ones, IPv6 addresses as they are."""
    if family_of(column) is IPFamily.IPV6:
        return column
    mapped = empty(column.size, IPFamily.IPV6)
    mapped["lo"] = column | np.uint64(0xFFFF << 32)
    return mapped
