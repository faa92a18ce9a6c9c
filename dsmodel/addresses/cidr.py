"""One CIDR: a frozen value with exact arithmetic, the scalar truth that the column verbs agree with.

Promises: reading accepts exactly what the Go libraries of Kubernetes accept; writing is canonical text. Reading and
writing of single addresses comes from `dsmodel.addresses.literals` and is offered here too.

Does not know: zones, names, which spelling a Kubernetes field tolerates.

Sources: RFC 4291 section 2.3, RFC 4632; Go ``net/netip`` ``ParsePrefix`` (*strict*); ``k8s.io/utils/net``
``ParseCIDRSloppy`` (*sloppy*).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dsmodel.addresses.literals import (
    IPFamily,
    Syntax,
    fault,
    format_address,
    is_sloppy,
    parse_address,
    read_ipv4,
    read_ipv6,
)
from dsmodel.cards import Card, Section, print_pretty
from dsmodel.errors import InvalidAddress, InvalidCidr

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Cidr", "HostBits", "IPFamily", "Syntax", "format_address", "parse_address"]

HostBits = Literal["reject", "mask"]

_DIGITS = "0123456789"


@dataclass(frozen=True, slots=True, order=True, init=False, repr=False)
class Cidr:
    """A block of addresses with a common prefix.

    A frozen value: hashable, and ordered by family (IPv4 first), first address, prefix length.

    Parameters
    ----------
    text : str
        Address, slash, prefix length.
    host_bits : {"reject", "mask"}
        What to do when bits right of the prefix are set: refuse, or clear them as Go's ``net.ParseCIDR`` does.
    syntax : {"strict", "sloppy"}
        *strict* reads what Go's ``netip.ParsePrefix`` reads, *sloppy* what Kubernetes' ``ParseCIDRSloppy`` reads
        (leading zeros, also in the prefix length). An IPv4-mapped block is IPv6 in both.

    Attributes
    ----------
    family : IPFamily
        Family of the block.
    first : int
        The network address as a number.
    prefix_length : int
        Number of leading bits that all addresses share.

    Raises
    ------
    InvalidCidr
        The text is no CIDR, or has host bits set and they are to be rejected.

    Examples
    --------
    >>> pods = Cidr("10.244.0.0/16")
    >>> pods, pods.size, "10.244.3.9" in pods, pods.subnet(3, 24)
    (Cidr('10.244.0.0/16'), 65536, True, Cidr('10.244.3.0/24'))
    """

    family: IPFamily
    first: int
    prefix_length: int

    def __init__(self, text: str, *, host_bits: HostBits = "reject", syntax: Syntax = "strict") -> None:
        family, address, prefix_length = _read_cidr(text, sloppy=is_sloppy(syntax))
        masked = address & _netmask(family, prefix_length)
        if masked != address and not _is_mask(host_bits):
            raise InvalidCidr(
                f"{text!r} has bits set right of its prefix; write '{format_address(family, masked)}/{prefix_length}' "
                "or pass host_bits='mask'"
            )
        _fill(self, family=family, first=masked, prefix_length=prefix_length)

    @classmethod
    def of(cls, text: str, *, host_bits: HostBits = "reject") -> Cidr:
        """Read a CIDR, or an address as the block of it alone.

        Parameters
        ----------
        text : str
            Such as "10.0.0.0/8" or "fd00::1".
        host_bits : {"reject", "mask"}, default "reject"
            As of `Cidr`.

        Returns
        -------
        Cidr
            Of length 32 or 128 for an address.

        Raises
        ------
        InvalidCidr
            The text is neither.

        Examples
        --------
        >>> Cidr.of("10.96.0.10"), Cidr.of("fd00::/64")
        (Cidr('10.96.0.10/32'), Cidr('fd00::/64'))
        """
        return cls(text if "/" in text else f"{text}/{128 if ':' in text else 32}", host_bits=host_bits)

    @classmethod
    def from_parts(cls, family: IPFamily, address: int, prefix_length: int, *, host_bits: HostBits = "reject") -> Cidr:
        """Build a block from numbers.

        Parameters
        ----------
        family : IPFamily
            Family of the block.
        address : int
            Its first address.
        prefix_length : int
            Number of leading bits.
        host_bits : {"reject", "mask"}
            What to do when bits right of the prefix are set.

        Returns
        -------
        Cidr
            The block.

        Raises
        ------
        InvalidCidr
            The prefix length or the address does not fit the family, or host bits are set and to be rejected.

        Examples
        --------
        >>> Cidr.from_parts(IPFamily.IPV4, 0x0A000000, 8)
        Cidr('10.0.0.0/8')
        """
        family = IPFamily(family)
        if not 0 <= prefix_length <= family.bits:
            raise InvalidCidr(f"/{prefix_length} is no {family} prefix length; use 0 to {family.bits}")
        if not 0 <= address < 1 << family.bits:
            raise InvalidCidr(f"{address} is not an {family} address; use 0 to 2**{family.bits} - 1")
        masked = address & _netmask(family, prefix_length)
        if masked != address and not _is_mask(host_bits):
            raise InvalidCidr(
                f"{format_address(family, address)}/{prefix_length} has bits set right of its prefix; "
                "clear them or pass host_bits='mask'"
            )
        block = object.__new__(cls)
        _fill(block, family=family, first=masked, prefix_length=prefix_length)
        return block

    def __str__(self) -> str:
        """Return canonical text."""
        return f"{format_address(self.family, self.first)}/{self.prefix_length}"

    def __repr__(self) -> str:
        """Return the expression that makes this value."""
        return f"Cidr('{self}')"

    def _card(self) -> Card:
        """Show size, ends and what the registries say of it."""
        from dsmodel.addresses.columns import from_integers
        from dsmodel.addresses.registries import SPECIAL_PURPOSE, special_purpose

        place = int(special_purpose(from_integers([self.first], family=self.family))[0])
        block = SPECIAL_PURPOSE[place] if place >= 0 else None
        kind = f"{block.name} ({block.rfc})" if block and self in block.cidr else "not special-purpose as a whole"
        size = f"{self.size:,}" if self.host_bits_count < 48 else f"2^{self.host_bits_count}"
        ends = (format_address(self.family, end) for end in (self.first, self.last))
        rows = zip(("first", "last", "addresses", "IANA"), (*ends, size, kind), strict=True)
        return Card(f"{self.family} {self}", (Section("Range", list(rows)),))

    def _repr_html_(self) -> str:
        """Show the card in a notebook."""
        return self._card().html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001, ARG002 - IPython's signature
        """Show the card in IPython."""
        print_pretty(self._card(), printer, short=repr(self))

    def __contains__(self, other: object) -> bool:
        """Say whether an address (number or text) or a whole block lies inside; another family never does.

        Text that is neither an address nor a CIDR raises InvalidAddress or InvalidCidr.
        """
        if isinstance(other, Cidr):
            return self.family is other.family and self.first <= other.first and other.last <= self.last
        if isinstance(other, str):
            if "/" in other:
                return Cidr(other) in self
            family, value = parse_address(other)
            return family is self.family and self.first <= value <= self.last
        return isinstance(other, int) and self.first <= other <= self.last

    @property
    def host_bits_count(self) -> int:
        """Return the number of bits right of the prefix.

        Returns
        -------
        int
            0 for a single address.

        Raises
        ------
        None
            Every block has an answer.
        """
        return self.family.bits - self.prefix_length

    @property
    def size(self) -> int:
        """Return the number of addresses in the block.

        Returns
        -------
        int
            Two to the power of `host_bits_count`.

        Raises
        ------
        None
            Every block has an answer.
        """
        return 1 << self.host_bits_count

    @property
    def last(self) -> int:
        """Return the highest address of the block as a number.

        Returns
        -------
        int
            The broadcast address of an IPv4 block.

        Raises
        ------
        None
            Every block has an answer.
        """
        return self.first + self.size - 1

    def overlaps(self, other: Cidr) -> bool:
        """Say whether two blocks share an address.

        Parameters
        ----------
        other : Cidr
            A block of any family.

        Returns
        -------
        bool
            Always False for blocks of different families.

        Raises
        ------
        None
            Every pair of blocks has an answer.

        Examples
        --------
        >>> Cidr("10.0.0.0/8").overlaps(Cidr("10.96.0.0/12"))
        True
        """
        return self.family is other.family and self.first <= other.last and other.first <= self.last

    def subnet_count(self, prefix_length: int) -> int:
        """Return how many blocks of a length this block holds.

        Parameters
        ----------
        prefix_length : int
            Length of the smaller blocks.

        Returns
        -------
        int
            Two to the power of the difference of the lengths.

        Raises
        ------
        InvalidCidr
            The length is shorter than this block's or longer than the family allows.

        Examples
        --------
        >>> Cidr("fd00:10:244::/48").subnet_count(64)
        65536
        """
        if not self.prefix_length <= prefix_length <= self.family.bits:
            raise InvalidCidr(
                f"/{prefix_length} is no block inside {self}; use /{self.prefix_length} to /{self.family.bits}"
            )
        return 1 << (prefix_length - self.prefix_length)

    def subnet(self, index: int, prefix_length: int) -> Cidr:
        """Return one of the equal blocks inside this one.

        Parameters
        ----------
        index : int
            Number of the block, from 0.
        prefix_length : int
            Length of the smaller blocks.

        Returns
        -------
        Cidr
            The block.

        Raises
        ------
        InvalidCidr
            The length does not fit, or there is no block of that index.

        Examples
        --------
        >>> Cidr("10.244.0.0/16").subnet(255, 24)
        Cidr('10.244.255.0/24')
        """
        count = self.subnet_count(prefix_length)
        if not 0 <= index < count:
            raise InvalidCidr(f"{self} has no /{prefix_length} block {index}; use 0 to {count - 1}")
        return Cidr.from_parts(self.family, self.first + (index << (self.family.bits - prefix_length)), prefix_length)

    def subnets(self, prefix_length: int) -> Iterator[Cidr]:
        """Iterate over the equal blocks inside this one, in order.

        Parameters
        ----------
        prefix_length : int
            Length of the smaller blocks.

        Returns
        -------
        iterator of Cidr
            From the lowest to the highest.

        Raises
        ------
        InvalidCidr
            The length does not fit.

        Examples
        --------
        >>> list(Cidr("10.0.0.0/30").subnets(31))
        [Cidr('10.0.0.0/31'), Cidr('10.0.0.2/31')]
        """
        return (self.subnet(index, prefix_length) for index in range(self.subnet_count(prefix_length)))

    def supernet(self, prefix_length: int) -> Cidr:
        """Return the block of a shorter length that holds this one.

        Parameters
        ----------
        prefix_length : int
            Length of the larger block, at most this block's.

        Returns
        -------
        Cidr
            The larger block.

        Raises
        ------
        InvalidCidr
            The length is negative or longer than this block's.

        Examples
        --------
        >>> Cidr("10.244.3.0/24").supernet(16)
        Cidr('10.244.0.0/16')
        """
        if not 0 <= prefix_length <= self.prefix_length:
            raise InvalidCidr(f"/{prefix_length} does not hold {self}; use /0 to /{self.prefix_length}")
        return Cidr.from_parts(self.family, self.first, prefix_length, host_bits="mask")

    def address(self, offset: int) -> str:
        """Return the text of the address at an offset.

        Parameters
        ----------
        offset : int
            Distance from the first address; negative counts from the end, as in a sequence.

        Returns
        -------
        str
            Canonical text.

        Raises
        ------
        InvalidAddress
            The block has no address at that offset.

        Examples
        --------
        >>> Cidr("10.96.0.0/12").address(10), Cidr("fd00::/64").address(-1)
        ('10.96.0.10', 'fd00::ffff:ffff:ffff:ffff')
        """
        if not -self.size <= offset < self.size:
            raise InvalidAddress(f"{self} has no address at offset {offset}; use 0 to {self.size - 1}")
        return format_address(self.family, self.first + offset % self.size)

    def offset(self, address: str | int) -> int:
        """Return the distance of an address from the first one.

        Parameters
        ----------
        address : str or int
            An address inside the block.

        Returns
        -------
        int
            0 for the first address.

        Raises
        ------
        InvalidAddress
            The text is no address, or the address lies outside the block.

        Examples
        --------
        >>> Cidr("10.96.0.0/12").offset("10.96.0.10")
        10
        """
        if address not in self:
            raise InvalidAddress(f"{address!r} is outside {self}; its addresses end at {self.address(-1)}")
        return (address if isinstance(address, int) else parse_address(address)[1]) - self.first


def _is_mask(host_bits: str) -> bool:
    """Read the option, refusing any other word."""
    if host_bits not in {"reject", "mask"}:
        raise InvalidCidr(f"host_bits={host_bits!r} is unknown; use 'reject' or 'mask'")
    return host_bits == "mask"


def _fill(block: Cidr, *, family: IPFamily, first: int, prefix_length: int) -> None:
    """Set the fields of a frozen value once."""
    object.__setattr__(block, "family", family)
    object.__setattr__(block, "first", first)
    object.__setattr__(block, "prefix_length", prefix_length)


def _netmask(family: IPFamily, prefix_length: int) -> int:
    """Return the number whose leading bits are set."""
    return (1 << family.bits) - (1 << (family.bits - prefix_length))


def _read_cidr(text: str, *, sloppy: bool) -> tuple[IPFamily, int, int]:
    """Split and read address and prefix length."""
    if not isinstance(text, str):
        raise InvalidCidr(f"{text!r} is not text; a CIDR is a string such as '10.0.0.0/8' or 'fd00::/64'")
    address, slash, length = text.rpartition("/")
    family, value = IPFamily.IPV4, read_ipv4(address, sloppy=sloppy)
    if value is None:
        family, value = IPFamily.IPV6, read_ipv6(address, sloppy=sloppy)
    if not slash or value is None:
        why = fault(address) if slash else "the prefix length is missing; append one, such as '/24'"
        raise InvalidCidr(f"{text!r} is not a CIDR: {why}")
    digits = (length.lstrip("0") or "0") if sloppy and length else length
    is_number = bool(digits) and not digits.strip(_DIGITS) and (digits == "0" or digits[0] != "0")
    if not is_number or len(digits) > 3 or int(digits) > family.bits:
        raise InvalidCidr(f"{text!r} is not a CIDR: the prefix length must be 0 to {family.bits}, in plain digits")
    return family, value, int(digits)
