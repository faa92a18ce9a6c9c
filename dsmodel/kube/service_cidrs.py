"""Cluster IPs: the ranges they come from, the static band, and the objects that hold them.

Promises: usable addresses, bands and words of both allocators, the bitmap of one range a family and, where
MultiCIDRServiceAllocator is on, IPAddress objects over any number of ServiceCIDRs.

Not known here: time (a deleted ServiceCIDR goes as soon as it may, not ten seconds later), the repair loops, several
API servers.

Sources: ``pkg/registry/core/service/ipallocator`` (bitmap.go, ipallocator.go, cidrallocator.go),
``pkg/apis/networking/validation/validation.go``, ``pkg/controller/servicecidrs``; KEP-1880, KEP-3070; recordings of
1.20 and 1.36.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily, format_address
from dsmodel.errors import AlreadyAllocated, InvalidCidr, InvalidConfig, NotInRange, PoolFull
from dsmodel.kube.fields import FieldError, GoList, GoStruct, invalid, required
from dsmodel.kube.syntax import cidr_complaints
from dsmodel.pools.ranges import AddressRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from dsmodel.kube.behaviour import Behaviour

__all__ = [
    "ServiceAddresses",
    "ServiceRange",
    "address_band_offset",
    "flag_ranges",
    "service_cidr_change_errors",
    "service_cidr_errors",
    "service_range_pool",
]

_MISMATCH = "the provided network does not match the current range"


def address_band_offset(size: int) -> int:
    """Return how many of the first usable addresses dynamic allocation leaves alone while it can.

    Parameters
    ----------
    size : int
        Addresses of the range, network and broadcast address included.

    Returns
    -------
    int
        ``min(max(16, size // 16), 256)``, 0 up to 16 addresses.

    Raises
    ------
    None
        Every size has an answer.

    Notes
    -----
    Source: ``calculateRangeOffset`` of ``ipallocator/bitmap.go``; recordings of 1.36.

    Examples
    --------
    >>> [address_band_offset(1 << bits) for bits in (4, 5, 9, 16)]
    [0, 16, 32, 256]
    """
    return 0 if size <= 16 else min(max(16, size // 16), 256)


def service_range_pool(
    cidr: Cidr, *, behaviour: Behaviour, rng: np.random.Generator | None = None
) -> AddressRange | None:
    """Make the pool of one service range.

    Parameters
    ----------
    cidr : Cidr
        The range.
    behaviour : Behaviour
        Of the server.
    rng : numpy.random.Generator, optional
        Where searches start; None starts them at the first address of the band.

    Returns
    -------
    AddressRange or None
        Without the network address, and for IPv4 the broadcast address. None where the allocator cannot work with
        the range: an IPv6 prefix shorter than /64.

    Raises
    ------
    None
        Every range has an answer.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> from dsmodel.kube.behaviour import behaviour_of
    >>> service_range_pool(Cidr("fd00::/108"), behaviour=behaviour_of(KubeVersion("1.20"))).usable
    65535
    """
    limit = None
    if cidr.family is IPFamily.IPV6:
        if not behaviour.address_objects:
            limit = behaviour.version.rule("bitmap_ipv6_service_addresses")
        elif cidr.prefix_length < behaviour.version.rule("ipv6_service_prefix_length"):
            return None
    return AddressRange(
        cidr,
        reserve_first=1,
        reserve_last=1 if cidr.family is IPFamily.IPV4 else 0,
        limit=limit,
        band_offset=address_band_offset(cidr.size) if behaviour.address_band else 0,
        strategy="scan" if rng is not None else "lowest",
        rng=rng,
    )


def flag_ranges(texts: Sequence[str | Cidr], behaviour: Behaviour) -> tuple[Cidr, ...]:
    """Read ``--service-cluster-ip-range`` as the API server does at its start.

    Parameters
    ----------
    texts : sequence of str or Cidr
        The ranges; host bits are cleared.
    behaviour : Behaviour
        Of the server.

    Returns
    -------
    tuple of Cidr
        One range, or one of each family.

    Raises
    ------
    InvalidConfig
        The server would not start, or would never become ready.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> from dsmodel.kube.behaviour import behaviour_of
    >>> flag_ranges(["10.96.0.7/28"], behaviour_of(KubeVersion("1.36")))
    (Cidr('10.96.0.0/28'),)
    """
    ranges = tuple(_range(text) for text in texts)
    if not ranges:
        return (Cidr("10.0.0.0/24"),)
    rule = behaviour.version.rule
    if len(ranges) > 2:
        raise InvalidConfig("--service-cluster-ip-range must not contain more than two entries")
    if len(ranges) == 2 and ranges[0].family is ranges[1].family:
        raise InvalidConfig(
            "--service-cluster-ip-range[0] and --service-cluster-ip-range[1] must be of different IP family"
        )
    if len(ranges) == 2 and not behaviour.dual_stack:
        raise InvalidConfig("--service-cluster-ip-range[0] can only hold one entry while IPv6DualStack is off")
    if ranges[0].size < rule("minimum_service_range_size"):
        raise InvalidConfig("the service cluster IP range must be at least 8 IP addresses")
    bitmap = not (behaviour.address_objects and behaviour.single_writes)
    for cidr in ranges:
        if bitmap and cidr.host_bits_count > rule("bitmap_service_range_host_bits"):
            bits = cidr.family.bits - rule("bitmap_service_range_host_bits")
            raise InvalidConfig(f"specified --service-cluster-ip-range {cidr} is too large; the mask must be >= {bits}")
    if service_range_pool(ranges[0], behaviour=behaviour) is None:
        raise InvalidConfig(f"no address can be allocated from {ranges[0]}; the server would never become ready")
    return ranges


def _range(text: str | Cidr) -> Cidr:
    """Read one range, clearing host bits."""
    if isinstance(text, Cidr):
        return text
    try:
        return Cidr(text, host_bits="mask", syntax="sloppy")
    except InvalidCidr:
        raise InvalidConfig(f"--service-cluster-ip-range: {text!r} is not a valid cidr") from None


@dataclass(slots=True, eq=False)
class ServiceRange:
    """One range and the ServiceCIDR objects that name it.

    Parameters
    ----------
    cidr : Cidr
        The range.
    pool : AddressRange or None
        Its addresses; None where nothing can be allocated.
    names : set of str
        ServiceCIDR objects that name it and are not being deleted.
    """

    cidr: Cidr
    pool: AddressRange | None
    names: set[str] = field(default_factory=set)

    def holds(self, value: int) -> bool:
        """Say whether an address is one the range may hand out.

        Parameters
        ----------
        value : int
            The address.

        Returns
        -------
        bool
            False for the network address, for an IPv4 broadcast and outside.

        Raises
        ------
        None
            Every number has an answer.
        """
        if self.pool is None or not self.cidr.first < value <= self.cidr.last:
            return False
        return self.cidr.family is IPFamily.IPV6 or value < self.cidr.last


class ServiceAddresses:
    """The cluster IPs of one API server.

    Parameters
    ----------
    ranges : iterable of Cidr
        Of the flag, primary first.
    behaviour : Behaviour
        Of the server.
    rng : numpy.random.Generator, optional
        Where searches start; None starts them at the first address of the band.

    Raises
    ------
    None
        `flag_ranges` has judged the ranges.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> from dsmodel.kube.behaviour import behaviour_of
    >>> addresses = ServiceAddresses([Cidr("10.96.0.0/16")], behaviour_of(KubeVersion("1.36")))
    >>> addresses.allocate_next(IPFamily.IPV4, owner="default/a") - Cidr("10.96.0.0/16").first
    257
    """

    def __init__(self, ranges: Iterable[Cidr], behaviour: Behaviour, *, rng: np.random.Generator | None = None) -> None:
        self._behaviour = behaviour
        self._rng = rng
        self._ranges: dict[IPFamily, list[ServiceRange]] = {}
        for cidr in ranges:
            pool = service_range_pool(cidr, behaviour=behaviour, rng=rng)
            self._ranges[cidr.family] = [ServiceRange(cidr, pool, {"kubernetes"})]
        self.families: tuple[str, ...] = tuple(family.value for family in self._ranges)
        self.owners: dict[tuple[IPFamily, int], str] = {}

    def copy(self) -> ServiceAddresses:
        """Return independent addresses in the same state.

        Returns
        -------
        ServiceAddresses
            The pools are copied on write.

        Raises
        ------
        None
            Every state can be copied.
        """
        twin = object.__new__(ServiceAddresses)
        twin._behaviour = self._behaviour
        twin._rng = self._rng
        twin._ranges = {
            family: [ServiceRange(r.cidr, r.pool.copy() if r.pool is not None else None, set(r.names)) for r in ranges]
            for family, ranges in self._ranges.items()
        }
        twin.families = self.families
        twin.owners = dict(self.owners)
        return twin

    def ranges(self, family: IPFamily) -> list[ServiceRange]:
        """Return the ranges of a family.

        Parameters
        ----------
        family : IPFamily
            The family.

        Returns
        -------
        list of ServiceRange
            Empty for a family the flag does not name.

        Raises
        ------
        None
            Every family has an answer.
        """
        return self._ranges.get(family, [])

    def allocate(self, family: IPFamily, address: tuple[IPFamily, int], *, owner: str) -> None:
        """Reserve one address.

        Parameters
        ----------
        family : IPFamily
            Family whose allocator is asked.
        address : tuple of (IPFamily, int)
            The address.
        owner : str
            Namespace and name of the Service.

        Raises
        ------
        AlreadyAllocated
            It is in use; in the server's words.
        NotInRange
            No range may hand it out; in the server's words.
        """
        value = address[1]
        ranges = self._ranges[family]
        holding = [r for r in ranges if r.names and r.holds(value)] if address[0] is family else []
        if not holding:
            raise NotInRange(self._not_in_range(address, ranges[0].cidr))
        if self._behaviour.address_objects and address in self.owners:
            raise AlreadyAllocated("provided IP is already allocated")
        pool = holding[0].pool
        if pool is None:
            raise NotInRange(self._not_in_range(address, holding[0].cidr))
        try:
            pool.allocate(value - holding[0].cidr.first)
        except AlreadyAllocated:
            raise AlreadyAllocated("provided IP is already allocated") from None
        except NotInRange:
            raise NotInRange(self._not_in_range(address, holding[0].cidr)) from None
        self._hold(address, owner, beside=holding[0])

    def allocate_next(self, family: IPFamily, *, owner: str) -> int:
        """Take any free address of a family.

        Parameters
        ----------
        family : IPFamily
            The family.
        owner : str
            Namespace and name of the Service.

        Returns
        -------
        int
            The address.

        Raises
        ------
        PoolFull
            No range has one left; in the server's words.
        """
        ready = [r for r in self._ranges[family] if r.names and r.pool is not None]
        if self._rng is not None and len(ready) > 1:
            ready = [ready[i] for i in self._rng.permutation(len(ready))]
        for candidate in ready:
            if candidate.pool is not None and candidate.pool.free:
                value = candidate.cidr.first + candidate.pool.allocate_next()
                self._hold((family, value), owner, beside=candidate)
                return value
        raise PoolFull("range is full")

    def release(self, family: IPFamily, value: int) -> None:
        """Give an address back; a free or foreign one is no error.

        Parameters
        ----------
        family : IPFamily
            Its family.
        value : int
            The address.

        Raises
        ------
        None
            Every address has an answer; one outside every range keeps its IPAddress object.
        """
        found = False
        for entry in self._ranges.get(family, ()):
            if entry.pool is not None and entry.holds(value):
                entry.pool.release(value - entry.cidr.first)
                found = True
        if found and self._behaviour.address_objects:
            self.owners.pop((family, value), None)

    def block(self, family: IPFamily, value: int, *, owner: str) -> None:
        """Hold an address by an IPAddress object that a user made.

        Parameters
        ----------
        family : IPFamily
            Its family.
        value : int
            The address, in a range or not.
        owner : str
            What the object refers to.

        Raises
        ------
        None
            Every address has an answer.
        """
        self._hold((family, value), owner, beside=None)

    def unblock(self, family: IPFamily, value: int) -> None:
        """Let an address go with its IPAddress object, wherever it lies.

        Parameters
        ----------
        family : IPFamily
            Its family.
        value : int
            The address.

        Raises
        ------
        None
            Every address has an answer.
        """
        self.release(family, value)
        self.owners.pop((family, value), None)

    def add_range(self, name: str, cidr: Cidr) -> None:
        """Name a range by a ServiceCIDR object.

        Parameters
        ----------
        name : str
            Name of the object.
        cidr : Cidr
            The range; one of a family that the flag does not name changes nothing.

        Raises
        ------
        None
            Every range has an answer.
        """
        ranges = self._ranges.get(cidr.family)
        if ranges is None:
            return
        for entry in ranges:
            if entry.cidr == cidr:
                entry.names.add(name)
                return
        entry = ServiceRange(cidr, service_range_pool(cidr, behaviour=self._behaviour, rng=self._rng), {name})
        for family, value in self.owners:
            if family is cidr.family and entry.pool is not None and entry.holds(value):
                entry.pool.occupy(value - cidr.first)
        ranges.append(entry)

    def retire_range(self, name: str, cidr: Cidr) -> None:
        """Stop allocating from a range for one ServiceCIDR object.

        Parameters
        ----------
        name : str
            Name of the object.
        cidr : Cidr
            The range; it is allocated from as long as another object names it.

        Raises
        ------
        None
            Every range has an answer.
        """
        for entry in self._ranges.get(cidr.family, ()):
            if entry.cidr == cidr:
                entry.names.discard(name)

    def forget_range(self, cidr: Cidr) -> None:
        """Drop a range that no object names any more.

        Parameters
        ----------
        cidr : Cidr
            The range.

        Raises
        ------
        None
            A range that is still named, or unknown, stays as it is.
        """
        ranges = self._ranges.get(cidr.family)
        if ranges is not None:
            ranges[:] = [entry for entry in ranges if entry.names or entry.cidr != cidr]

    def _hold(self, address: tuple[IPFamily, int], owner: str, *, beside: ServiceRange | None) -> None:
        """Record an owner, and mark the address in the other ranges that contain it."""
        if self._behaviour.address_objects:
            self.owners[address] = owner
        ranges = self._ranges.get(address[0], ())
        if beside is None or len(ranges) > 1:
            for entry in ranges:
                if entry is not beside and entry.pool is not None and entry.holds(address[1]):
                    entry.pool.occupy(address[1] - entry.cidr.first)

    def _not_in_range(self, address: tuple[IPFamily, int], cidr: Cidr) -> str:
        """Word an address that no range may hand out."""
        if self._behaviour.address_objects:
            return _MISMATCH
        if self._behaviour.families.generation == "rest":
            return f"provided IP is not in the valid range. The range of valid IPs is {cidr}"
        text = format_address(*address)
        return f"the provided IP ({text}) is not in the valid range. The range of valid IPs is {cidr}"


def service_cidr_errors(cidrs: Sequence[str] | None) -> list[FieldError]:
    """Validate ``spec.cidrs`` of a ServiceCIDR.

    Parameters
    ----------
    cidrs : sequence of str or None
        The ranges.

    Returns
    -------
    list of FieldError
        In the server's order.

    Raises
    ------
    None
        Every list has an answer.

    Examples
    --------
    >>> [error.path for error in service_cidr_errors(["10.97.0.5/24"])]
    ['spec.cidrs[0]']
    """
    texts = list(cidrs or ())
    if not texts:
        return [required("spec.cidrs", "at least one CIDR required")]
    if len(texts) > 2:
        shown = ",".join(f'"{text}"' for text in texts)
        go = ", ".join(f'"{text}"' for text in texts)
        value = GoStruct(f"networking.ServiceCIDRSpec{{CIDRs:[]string{{{go}}}}}", f'{{"CIDRs":[{shown}]}}')
        return [invalid("spec.cidrs", value, "may only hold up to 2 values")]
    found = [
        invalid(f"spec.cidrs[{index}]", text, words) for index, text in enumerate(texts) for words in _canonical(text)
    ]
    if not found and len(texts) == 2 and Cidr(texts[0]).family is Cidr(texts[1]).family:
        words = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        found.append(invalid("spec.cidrs", GoList(texts), words))
    return found


def _canonical(text: str) -> tuple[str, ...]:
    """Check one range: strict syntax, and canonical text."""
    complaints = cidr_complaints(text, syntax="strict")
    if complaints:
        return complaints
    canonical = str(Cidr(text))
    return () if canonical == text else (f'must be in canonical form ("{canonical}")',)


def service_cidr_change_errors(cidrs: Sequence[str] | None, old: Sequence[str]) -> list[FieldError]:
    """Validate a change of ``spec.cidrs``: a second range may be added to one.

    Parameters
    ----------
    cidrs : sequence of str or None
        New ranges.
    old : sequence of str
        Stored ranges.

    Returns
    -------
    list of FieldError
        In the server's order.

    Raises
    ------
    None
        Every pair has an answer.

    Examples
    --------
    >>> service_cidr_change_errors(["10.97.0.0/28", "fd00::/124"], ["10.97.0.0/28"])
    []
    """
    texts = list(cidrs or ())
    frozen = "field is immutable"
    if len(texts) == len(old):
        pairs = enumerate(zip(texts, old, strict=True))
        return [invalid(f"spec.cidrs[{index}]", new, frozen) for index, (new, before) in pairs if new != before]
    if len(old) == 1 and len(texts) == 2:
        found = [invalid("spec.cidrs[0]", texts[0], frozen)] if texts[0] != old[0] else []
        return found + service_cidr_errors(texts)
    return [invalid("spec.cidrs", GoList(texts), frozen)]
