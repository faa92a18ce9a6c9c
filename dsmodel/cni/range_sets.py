"""Range sets of the reference IPAM configuration: reading them, judging them, and walking them in the plugin's order.

Promises the defaults (start and gateway are the first address, the end is the last, for IPv4 the one before), the
refusals and their order, and the round robin of host-local. Does not know reservations: the caller asks for the next
candidate until one is free.

Sources: ``plugins/ipam/host-local/backend/allocator/range.go``, ``range_set.go`` and ``allocator.go`` of
containernetworking/plugins v1.1.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import IPFamily, format_address, parse_address
from dsmodel.cni.network_config import Address, read_ip
from dsmodel.errors import CNIError, InvalidAddress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Range", "candidates", "decode_range", "range_for", "read_range_set", "refuse_overlaps", "set_text"]

_SMALLEST_HOST_BITS = 2  # a /31 or /32, /127 or /128 is too small to allocate from


@dataclass(frozen=True)
class Range:
    """Addresses from start to end of one subnet, its gateway left out.

    Parameters
    ----------
    family : IPFamily
        Family of the subnet.
    prefix_length : int
        Of the subnet.
    start, end : int
        First and last address, both included.
    gateway : Address
        Never handed out; may lie outside.

    Raises
    ------
    None
        `read_range_set` judges.
    """

    family: IPFamily
    prefix_length: int
    start: int
    end: int
    gateway: Address

    def holds(self, family: IPFamily, address: int) -> bool:
        """Tell whether an address lies between start and end.

        Parameters
        ----------
        family : IPFamily
            Family of the address.
        address : int
            Its value.

        Returns
        -------
        bool
            False for another family.

        Raises
        ------
        None
            Every address has an answer.

        Examples
        --------
        >>> Range(IPFamily.IPV4, 24, 2, 9, (IPFamily.IPV4, 1)).holds(IPFamily.IPV4, 9)
        True
        """
        return family is self.family and self.start <= address <= self.end

    def overlaps(self, other: Range) -> bool:
        """Tell whether two ranges share an address.

        Parameters
        ----------
        other : Range
            The other range.

        Returns
        -------
        bool
            False for another family.

        Raises
        ------
        None
            Every pair has an answer.

        Examples
        --------
        >>> one = Range(IPFamily.IPV4, 24, 2, 9, (IPFamily.IPV4, 1))
        >>> one.overlaps(Range(IPFamily.IPV4, 24, 9, 12, (IPFamily.IPV4, 1)))
        True
        """
        return self.family is other.family and self.start <= other.end and other.start <= self.end

    def __str__(self) -> str:
        """Write start and end as the plugin's errors do."""
        return f"{format_address(self.family, self.start)}-{format_address(self.family, self.end)}"


def decode_range(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Read the texts of one range.

    Parameters
    ----------
    entry : mapping
        One range as the configuration has it: ``subnet``, ``rangeStart``, ``rangeEnd``, ``gateway``.

    Returns
    -------
    dict
        ``subnet`` as (address with host bits, prefix length, mask bits), the others as addresses; what is not there
        is left out.

    Raises
    ------
    CNIError
        Text that is no CIDR or no address.

    Examples
    --------
    >>> decode_range({"subnet": "10.1.0.0/24"})["subnet"][1:]
    (24, 32)
    """
    decoded: dict[str, Any] = {}
    if entry.get("subnet"):
        decoded["subnet"] = _read_subnet(str(entry["subnet"]))
    for key in ("rangeStart", "rangeEnd", "gateway"):
        if entry.get(key):
            try:
                decoded[key] = read_ip(str(entry[key]).replace("/", " "))  # no prefix length here
            except CNIError:
                raise CNIError(f"invalid IP address: {entry[key]}") from None
    return decoded


def _read_subnet(text: str) -> tuple[Address, int, int]:
    """Read a CIDR with its host bits kept; mask bits are 128 for an IPv4-mapped one."""
    address, _, length = text.rpartition("/")
    try:
        family, _ = parse_address(address)
    except InvalidAddress:
        family = None
    if family is None or not (length.isascii() and length.isdigit() and int(length) <= family.bits):
        raise CNIError(f"invalid CIDR address: {text}")
    return read_ip(address), int(length), family.bits


def read_range_set(index: int, raw: Sequence[Mapping[str, Any]]) -> list[Range]:
    """Fill in and judge the ranges of one set.

    Parameters
    ----------
    index : int
        Place of the set, for the error.
    raw : sequence of mapping
        What `decode_range` made of each range.

    Returns
    -------
    list of Range
        At least one, all of one family, none overlapping another.

    Raises
    ------
    CNIError
        A rule is broken; the plugin's words.

    Examples
    --------
    >>> str(read_range_set(0, [decode_range({"subnet": "fd00::/126"})])[0])
    'fd00::1-fd00::3'
    """
    try:
        ranges: list[Range] = []
        for each in raw:
            ranges.append(_range(each))
            _refuse_mixed(ranges)
        _refuse_shared(ranges)
    except CNIError as error:
        raise CNIError(f"invalid range set {index}: {error.msg}") from None
    return ranges


def _refuse_mixed(ranges: Sequence[Range]) -> None:
    """Refuse a range of another family than the first."""
    if ranges[-1].family is not ranges[0].family:
        raise CNIError("mixed address families")


def _refuse_shared(ranges: Sequence[Range]) -> None:
    """Refuse an empty set and ranges that share addresses."""
    if not ranges:
        raise CNIError("empty range set")
    for place, one in enumerate(ranges):
        for other in ranges[place + 1 :]:
            if one.overlaps(other):
                raise CNIError(f"subnets {one} and {other} overlap")


def _range(raw: Mapping[str, Any]) -> Range:
    """Fill in start, end and gateway of one range, refusing what lies outside its subnet."""
    if "subnet" not in raw:
        raise CNIError("IP <nil> not v4 nor v6")
    (family, first), length, mask_bits = raw["subnet"]
    subnet = f"{format_address(family, first)}/{length}"
    if length > mask_bits - _SMALLEST_HOST_BITS:
        raise CNIError(f"Network {subnet} too small to allocate from")
    if mask_bits != family.bits:
        raise CNIError("IPNet IP and Mask version mismatch")
    hosts = (1 << (family.bits - length)) - 1
    if first & hosts:
        network = format_address(family, first & ~hosts)
        raise CNIError(
            f"Network has host bits set. For a subnet mask of length {length} the network address is {network}"
        )
    whole = Range(family, length, first, first + hosts, (family, first + 1))
    start, end = raw.get("rangeStart"), raw.get("rangeEnd")
    # the end may be of another family here; the plugin compares the numbers, and refuses it one step later
    if start and not (whole.holds(*start) and (not end or start[1] <= end[1])):
        raise CNIError(f"RangeStart {format_address(*start)} not in network {subnet}")
    low = start[1] if start else first + 1
    if end and not (whole.holds(*end) and low <= end[1]):
        raise CNIError(f"RangeEnd {format_address(*end)} not in network {subnet}")
    default_end = first + hosts - (1 if family is IPFamily.IPV4 else 0)
    return Range(family, length, low, end[1] if end else default_end, raw.get("gateway", (family, first + 1)))


def refuse_overlaps(sets: Sequence[Sequence[Range]]) -> None:
    """Refuse two sets that share an address.

    Parameters
    ----------
    sets : sequence of range sets
        In configuration order.

    Raises
    ------
    CNIError
        The first two that overlap, by index.

    Examples
    --------
    >>> one = read_range_set(0, [decode_range({"subnet": "10.1.0.0/24"})])
    >>> refuse_overlaps([one, one])
    Traceback (most recent call last):
    dsmodel.errors.CNIError: range set 0 overlaps with 1
    """
    for index, ranges in enumerate(sets):
        for later, others in enumerate(sets[index + 1 :], start=index + 1):
            if any(one.overlaps(other) for one in ranges for other in others):
                raise CNIError(f"range set {index} overlaps with {later}")


def range_for(ranges: Sequence[Range], key: Address) -> Range | None:
    """Find the range of a set that holds an address.

    Parameters
    ----------
    ranges : sequence of Range
        One set.
    key : Address
        Family and value.

    Returns
    -------
    Range or None
        None when no range holds it.

    Raises
    ------
    None
        Every address has an answer.

    Examples
    --------
    >>> ranges = read_range_set(0, [decode_range({"subnet": "10.1.0.0/24"})])
    >>> range_for(ranges, (IPFamily.IPV4, 0x0A010000)) is None  # the network address
    True
    """
    return next((each for each in ranges if each.holds(*key)), None)


def candidates(ranges: Sequence[Range], last: Address | None) -> Iterator[tuple[Range, Address]]:
    """Walk a set once around, from after the last reserved address, which comes last itself.

    Parameters
    ----------
    ranges : sequence of Range
        One set.
    last : Address or None
        The address reserved last; outside all ranges it counts as none, and the walk begins at the first range.

    Yields
    ------
    tuple of (Range, Address)
        Every address of the set but the gateway of its own range.

    Raises
    ------
    None
        Every set has a walk.

    Notes
    -----
    Source: ``GetIter`` and ``Next`` of ``backend/allocator/allocator.go``.

    Examples
    --------
    >>> ranges = read_range_set(0, [decode_range({"subnet": "10.1.0.0/29"})])
    >>> [address & 7 for _, (_, address) in candidates(ranges, (IPFamily.IPV4, 0x0A010004))]
    [5, 6, 2, 3, 4]
    """
    home = next((place for place, each in enumerate(ranges) if last and each.holds(*last)), None)
    if home is None or last is None:
        spans = [(each, each.start, each.end) for each in ranges]
    else:
        spans = [(ranges[home], last[1] + 1, ranges[home].end)]
        spans += [(each, each.start, each.end) for each in (*ranges[home + 1 :], *ranges[:home])]
        spans += [(ranges[home], ranges[home].start, last[1])]
    for each, start, end in spans:
        address = start
        while address <= end:
            if (each.family, address) != each.gateway:
                yield each, (each.family, address)
            address += 1


def set_text(ranges: Sequence[Range]) -> str:
    """Write a range set as the plugin's errors do.

    Parameters
    ----------
    ranges : sequence of Range
        One set.

    Returns
    -------
    str
        Start and end of each, with commas.

    Raises
    ------
    None
        Every set has a text.

    Examples
    --------
    >>> set_text(read_range_set(0, [decode_range({"subnet": "10.1.0.0/30"})]))
    '10.1.0.1-10.1.0.2'
    """
    return ",".join(map(str, ranges))
