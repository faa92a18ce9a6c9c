"""Load balancers by family: the address each Service gets from outside, and who may use it.

The API server connects neither ingress addresses, nor source ranges, nor external IPs with a Service's families; what
they mean is decided by the provider and by kube-proxy. `LoadBalancerPools` serves addresses as MetalLB does, `ingress`
says what a provider that supports certain families leaves of a Service, `source_ranges` and `external_ips` what
kube-proxy of each family makes of the fields.

Promises: MetalLB's rules for which pool may serve which Service, as its threads state them: all addresses of a Service
come from one pool, and a Service with two cluster IPs gets two or none, whatever its policy says.

Not known here: sharing of addresses, pools by namespace or selector, order of MetalLB's search among pools of the same
priority (the order given counts here), advertisement.

Sources: MetalLB ``internal/allocator/allocator.go`` (v0.12 to v0.14), metallb#1156, #1339, #1776, #2482, #2724;
``pkg/proxy/serviceport.go`` and ``pkg/api/v1/service/util.go``. Rules are read from these, not recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import Cidr, IPFamily, format_address
from dsmodel.errors import AlreadyAllocated, InvalidInput, NotInRange, PoolFull
from dsmodel.kube.endpoints import address_types
from dsmodel.kube.syntax import read_ip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["LoadBalancerPool", "LoadBalancerPools", "external_ips", "ingress", "source_ranges"]

_BOTH = (IPFamily.IPV4, IPFamily.IPV6)
_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"
_BUGGY_ENDS = (0, 255)  # last byte of IPv4 addresses that old devices refuse


@dataclass(frozen=True, slots=True)
class LoadBalancerPool:
    """One pool of addresses for load balancers.

    Parameters
    ----------
    name : str
        Name of the pool.
    addresses : tuple of str
        CIDRs (host bits are cleared) or ``first-last``.
    auto_assign : bool, default True
        Whether Services that name no pool may use it.
    avoid_buggy_ips : bool, default False
        Leave out IPv4 addresses that end in 0 or 255.
    priority : int, default 0
        Pools with a smaller one are asked first; 0 comes last.

    Raises
    ------
    InvalidInput
        If an entry is neither a CIDR nor a range of one family.

    Examples
    --------
    >>> pool = LoadBalancerPool("lan", ("192.168.1.240-192.168.1.250", "fd00:1::/120"))
    >>> [str(family) for family in pool.families]
    ['IPv4', 'IPv6']
    """

    name: str
    addresses: tuple[str, ...]
    auto_assign: bool = True
    avoid_buggy_ips: bool = False
    priority: int = 0

    def __post_init__(self) -> None:
        """Refuse entries that cannot be read."""
        for text in self.addresses:
            _read_range(text)

    @property
    def families(self) -> tuple[IPFamily, ...]:
        """Families the pool has addresses of, IPv4 first.

        Returns
        -------
        tuple of IPFamily
            Zero, one or two.
        """
        found = {_read_range(text)[0] for text in self.addresses}
        return tuple(family for family in _BOTH if family in found)


class LoadBalancerPools:
    """The pools of a cluster, and which addresses are in use.

    Parameters
    ----------
    pools : iterable of LoadBalancerPool
        In the order in which they are asked.

    Raises
    ------
    InvalidInput
        If two pools have one name.

    Examples
    --------
    >>> pools = LoadBalancerPools([LoadBalancerPool("v4", ("192.0.2.0/28",))])
    >>> service = {"spec": {"type": "LoadBalancer", "clusterIPs": ["10.96.0.9"]}}
    >>> pools.allocate(service, owner="default/web")
    ('192.0.2.0',)
    >>> both = {"spec": {"type": "LoadBalancer", "clusterIPs": ["10.96.0.8", "fd00::8"]}}
    >>> pools.allocate(both, owner="default/api")
    Traceback (most recent call last):
    dsmodel.errors.PoolFull: default/api: no pool has IPv4 and IPv6 addresses free, and both must come from one pool
    """

    def __init__(self, pools: Iterable[LoadBalancerPool]) -> None:
        self.pools = tuple(pools)
        names = [pool.name for pool in self.pools]
        if len(set(names)) < len(names):
            raise InvalidInput(f"two pools are named {max(names, key=names.count)!r}; give each its own name")
        self._owners: dict[tuple[IPFamily, int], str] = {}
        self._next: dict[tuple[str, int], int] = {}

    def allocate(self, service: Mapping[str, Any], *, owner: str, pool: str = "") -> tuple[str, ...]:
        """Give a Service of type LoadBalancer its addresses, all or none.

        Parameters
        ----------
        service : mapping
            The stored Service. Its cluster IPs decide the families, not its policy; a requested
            ``loadBalancerIP`` is respected.
        owner : str
            Who holds the addresses, for `release`.
        pool : str, default ""
            The pool that an annotation names; empty asks all pools that assign by themselves.

        Returns
        -------
        tuple of str
            One address for each cluster IP, in the order of the pool's entries; those it holds already, if they still
            fit. Nothing has changed after an error.

        Raises
        ------
        PoolFull
            If no pool has a free address of each family.
        NotInRange
            If the address asked for is in no pool.
        AlreadyAllocated
            If the address asked for is held by someone else.
        InvalidInput
            If ``pool`` is not the name of a pool, the Service is not of type LoadBalancer or has no cluster IP, or the
            address asked for is none or of another family.
        """
        families = self._wanted(service, owner)
        held = [address for address, holder in self._owners.items() if holder == owner]
        if sorted(family for family, _ in held) == sorted(families):
            return tuple(format_address(*address) for address in held)
        asked = (service.get("spec") or {}).get("loadBalancerIP") or ""
        if asked:
            return self._reserve(asked, families, owner)
        for candidate in self._candidates(pool):
            found = self._free(candidate, families)
            if len(found) == len(families):
                self.release(owner)
                self._owners.update(dict.fromkeys(found, owner))
                return tuple(format_address(*address) for address in found)
        words = " and ".join(str(family) for family in families)
        tail = f"no pool has {words} addresses free"
        raise PoolFull(f"{owner}: {tail}{', and both must come from one pool' if len(families) > 1 else ''}")

    def release(self, owner: str) -> None:
        """Give back what a Service holds.

        Parameters
        ----------
        owner : str
            As given to `allocate`; one that holds nothing is no error.

        Raises
        ------
        None
            Every owner is accepted.
        """
        for address in [address for address, holder in self._owners.items() if holder == owner]:
            del self._owners[address]
        self._next.clear()

    def used(self, pool: str) -> int:
        """Count the addresses of a pool in use.

        Parameters
        ----------
        pool : str
            Its name.

        Returns
        -------
        int
            Addresses of all families.

        Raises
        ------
        InvalidInput
            If no pool has this name.
        """
        return sum(self._holds(self._named(pool), address) for address in self._owners)

    @staticmethod
    def _wanted(service: Mapping[str, Any], owner: str) -> tuple[IPFamily, ...]:
        """Read the families from the cluster IPs."""
        spec = service.get("spec") or {}
        if spec.get("type") != "LoadBalancer":
            raise InvalidInput(
                f"{owner}: type {spec.get('type') or 'ClusterIP'}; only LoadBalancer Services get an address"
            )
        texts = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
        addresses = [read_ip(text) for text in texts]
        families = tuple(address[0] for address in addresses if address is not None)
        if not families:
            raise InvalidInput(f"{owner}: no cluster IP yet; a load balancer needs one to know the family")
        return families

    def _candidates(self, pool: str) -> list[LoadBalancerPool]:
        """Order the pools that may serve a request."""
        if pool:
            return [self._named(pool)]
        automatic = [candidate for candidate in self.pools if candidate.auto_assign]
        return sorted(automatic, key=lambda candidate: (candidate.priority == 0, candidate.priority))

    def _named(self, name: str) -> LoadBalancerPool:
        for candidate in self.pools:
            if candidate.name == name:
                return candidate
        raise InvalidInput(f"no pool is named {name!r}; there are {', '.join(p.name for p in self.pools) or 'none'}")

    def _free(self, pool: LoadBalancerPool, families: Sequence[IPFamily]) -> list[tuple[IPFamily, int]]:
        """Find the first free address of each family, in the order of the pool's entries."""
        wanted = set(families)
        found = []
        for entry, text in enumerate(pool.addresses):
            family, first, last = _read_range(text)
            if family not in wanted:
                continue
            address = self._next.get((pool.name, entry), first)
            while address <= last and not self._may_give(pool, (family, address)):
                address += 1
            self._next[pool.name, entry] = address
            if address <= last:
                found.append((family, address))
                wanted.discard(family)
        return found

    def _may_give(self, pool: LoadBalancerPool, address: tuple[IPFamily, int]) -> bool:
        buggy = pool.avoid_buggy_ips and address[0] == IPFamily.IPV4 and address[1] & 255 in _BUGGY_ENDS
        return address not in self._owners and not buggy

    def _reserve(self, text: str, families: Sequence[IPFamily], owner: str) -> tuple[str, ...]:
        """Reserve the one address that ``loadBalancerIP`` names."""
        address = read_ip(text)
        if address is None:
            raise InvalidInput(f"{owner}: loadBalancerIP {text!r} is not an address")
        if (address[0],) != tuple(families):
            words = " and ".join(str(family) for family in families)
            raise InvalidInput(f"{owner}: loadBalancerIP {text} is {address[0]}, the Service is {words}")
        if not any(self._holds(pool, address) for pool in self.pools):
            raise NotInRange(f"{owner}: loadBalancerIP {text} is in no pool")
        if self._owners.get(address, owner) != owner:
            raise AlreadyAllocated(f"{owner}: loadBalancerIP {text} is held by {self._owners[address]}")
        self._owners[address] = owner
        return (format_address(*address),)

    @staticmethod
    def _holds(pool: LoadBalancerPool, address: tuple[IPFamily, int]) -> bool:
        ranges = (_read_range(text) for text in pool.addresses)
        return any(family == address[0] and first <= address[1] <= last for family, first, last in ranges)


def ingress(service: Mapping[str, Any], *, supported: Sequence[IPFamily], dual_stack: bool) -> tuple[IPFamily, ...]:
    """Say which families of a Service a provider's load balancer serves.

    Parameters
    ----------
    service : mapping
        The stored Service.
    supported : sequence of IPFamily
        Families the provider can serve at all.
    dual_stack : bool
        Whether one load balancer may serve both at once. A provider without takes the primary family only.

    Returns
    -------
    tuple of IPFamily
        In the Service's order; empty where the provider can serve none. Nothing tells the user: the API server accepts
        the Service all the same.

    Raises
    ------
    None
        Every Service has an answer.

    Examples
    --------
    >>> both = {"spec": {"type": "LoadBalancer", "ipFamilies": ["IPv6", "IPv4"]}}
    >>> [str(family) for family in ingress(both, supported=[IPFamily.IPV4], dual_stack=False)]
    []
    """
    if (service.get("spec") or {}).get("type") != "LoadBalancer":
        return ()
    families = address_types(service)
    asked = families if dual_stack else families[:1]
    return tuple(family for family in asked if family in supported)


def source_ranges(service: Mapping[str, Any]) -> dict[IPFamily, tuple[str, ...] | None]:
    """Say who may use the load balancer, by family, as kube-proxy applies it.

    Parameters
    ----------
    service : mapping
        The stored Service; the old annotation counts where the field is empty.

    Returns
    -------
    dict of IPFamily to tuple of str or None
        For each family of the Service the ranges let in; None where everyone is. That is also so for a family
        *without* an entry while the other one has some, and where an entry is the whole family.

    Raises
    ------
    None
        Entries that are no CIDR are passed over; the API server refuses them before.

    Examples
    --------
    >>> spec = {"type": "LoadBalancer", "ipFamilies": ["IPv4", "IPv6"], "loadBalancerSourceRanges": ["10.0.0.0/8"]}
    >>> source_ranges({"spec": spec})[IPFamily.IPV6] is None  # IPv6 is open to all
    True
    """
    spec = service.get("spec") or {}
    entries = spec.get("loadBalancerSourceRanges") or []
    if not entries:
        annotations = (service.get("metadata") or {}).get("annotations") or {}
        entries = [text for text in (annotations.get(_ANNOTATION) or "").split(",") if text.strip()]
    blocks = [block for block in (_block(text.strip()) for text in entries) if block is not None]
    answers: dict[IPFamily, tuple[str, ...] | None] = {}
    for family in address_types(service):
        held = [block for block in blocks if block.family == family]
        restricted = held and all(block.prefix_length for block in held)
        answers[family] = tuple(str(block) for block in held) if restricted else None
    return answers


def external_ips(service: Mapping[str, Any]) -> dict[IPFamily, tuple[str, ...]]:
    """Say which external IPs work, by family.

    Parameters
    ----------
    service : mapping
        The stored Service.

    Returns
    -------
    dict of IPFamily to tuple of str
        For each family of the Service; addresses of a family that it lacks are ignored without an error.

    Raises
    ------
    None
        Entries that are no address are passed over; the API server refuses them before.

    Examples
    --------
    >>> spec = {"clusterIP": "10.96.0.9", "externalIPs": ["192.0.2.7", "2001:db8::7"]}
    >>> {str(family): ips for family, ips in external_ips({"spec": spec}).items()}
    {'IPv4': ('192.0.2.7',)}
    """
    spec = service.get("spec") or {}
    addresses = [address for address in map(read_ip, spec.get("externalIPs") or ()) if address is not None]
    headless = spec.get("clusterIP") == "None" or spec.get("clusterIPs") == ["None"]
    return {
        family: tuple(format_address(*address) for address in addresses if address[0] == family)
        for family in (() if headless else address_types(service))
    }


def _block(text: str) -> Cidr | None:
    try:
        return Cidr(text, host_bits="mask", syntax="sloppy")
    except InvalidInput:
        return None


def _read_range(text: str) -> tuple[IPFamily, int, int]:
    """Read a CIDR or ``first-last``."""
    if "/" in text:
        block = Cidr(text, host_bits="mask")
        return block.family, block.first, block.last
    parts = [read_ip(part.strip()) for part in text.split("-")]
    first, last = parts[0], parts[-1]
    if len(parts) != 2 or first is None or last is None or first[0] != last[0] or first[1] > last[1]:
        raise InvalidInput(f"{text!r} is neither a CIDR nor two addresses of one family, the lower one first")
    return first[0], first[1], last[1]
