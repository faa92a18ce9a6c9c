"""The smallest legal size of each range that a cluster needs, for any number of objects in it.

Promises, for Pods, Services and nodes of one family, the smallest power of two that holds what is wanted and that no
component and no installer refuses on the version at hand. Whether a size is legal is asked of the judges of
`dsmodel.planning.layout.installing`; how much of it is usable, of the plugin's and the allocator's own rules.

IPv6 sizes come in two kinds. *Usual* ones are those that tools and people expect: a /64 for each node's Pods and for
the nodes, a /112 for Services, larger where the demand needs it. *Smallest* ones are used where those do not fit.

Does not know where a range lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.capacity import usable_addresses
from dsmodel.errors import InvalidInput
from dsmodel.kube.behaviour import behaviour_of
from dsmodel.kube.service_cidrs import service_range_pool
from dsmodel.planning.layout.installing import configuration, refusals
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dsmodel.kube.config import ClusterConfig
    from dsmodel.kube.versions import KubeVersion
    from dsmodel.planning.layout.demand import ClusterDemand

    Use = Literal["pods", "services", "nodes"]

__all__ = ["USES", "NoLegalSize", "RangeSize", "Terms", "range_size", "uses_of"]

USES: tuple[Use, ...] = ("pods", "services", "nodes")
_USUAL_BITS = {"pods": 64, "services": 16, "nodes": 64}  # IPv6, host bits
_ROUTER_ANYCAST = 1  # address of an IPv6 node range that no node gets, RFC 4291 section 2.6.1
_WIDEST = 64  # host bits beyond which no range of a cluster is planned
# ranges that no rule objects to, for whatever is not under judgement
_SPARE = {
    ("pods", IPFamily.IPV4): ("10.0.0.0", 16),
    ("pods", IPFamily.IPV6): ("fd00::", 56),
    ("services", IPFamily.IPV4): ("172.16.0.0", 20),
    ("services", IPFamily.IPV6): ("fc00::", 112),
}


class NoLegalSize(InvalidInput):
    """No range of one cluster can hold that many: a limit of the version, the installer or a mask that is settled."""


@dataclass(frozen=True)
class Terms:
    """What a plan has to be legal for.

    Parameters
    ----------
    kube_version : KubeVersion
        Of every cluster.
    installer : str
        One of `dsmodel.planning.layout.installing.INSTALLERS`.
    usual : bool, default True
        Take the usual IPv6 sizes; False for the smallest.

    Raises
    ------
    None
        A record.
    """

    kube_version: KubeVersion
    installer: str
    usual: bool = True


@dataclass(frozen=True)
class RangeSize:
    """How large one range is to be, and what it then holds.

    Parameters
    ----------
    use : {"pods", "services", "nodes"}
        What for.
    family : IPFamily
        Of the range.
    host_bits : int
        Size as a power of two.
    mask : int
        Prefix length of a node's block; 0 for other ranges.
    wanted : int
        Nodes or Services of the demand, without those that every cluster has.
    usable : int
        How many of them the range holds.

    Raises
    ------
    None
        A record.
    """

    use: Use
    family: IPFamily
    host_bits: int
    mask: int
    wanted: int
    usable: int

    @property
    def headroom(self) -> Fraction:
        """Times the demand that fits."""
        return Fraction(self.usable, self.wanted)


def uses_of(demand: ClusterDemand) -> Iterator[tuple[Use, IPFamily]]:
    """List the ranges that a cluster needs.

    Parameters
    ----------
    demand : ClusterDemand
        Of one cluster.

    Yields
    ------
    tuple of str and IPFamily
        Pods, Services and nodes, each in order of the families.

    Raises
    ------
    None
        Every demand has some.
    """
    for use in USES:
        if use != "nodes" or demand.node_range:
            yield from ((use, family) for family in demand.ip_families)


@lru_cache(maxsize=1 << 16)
def range_size(
    demand: ClusterDemand, use: Use, family: IPFamily, *, times: Fraction = Fraction(1), terms: Terms
) -> RangeSize:
    """Find the smallest legal range for a number of times the demand.

    Parameters
    ----------
    demand : ClusterDemand
        Of one cluster.
    use : {"pods", "services", "nodes"}
        What for.
    family : IPFamily
        Of the range.
    times : Fraction, default 1
        How many times the demand must fit.
    terms : Terms
        What it has to be legal for.

    Returns
    -------
    RangeSize
        The smallest.

    Raises
    ------
    NoLegalSize
        There is none; the message names the limit.

    Examples
    --------
    >>> from dsmodel import IPFamily, KubeVersion
    >>> from dsmodel.planning.layout.demand import ClusterDemand
    >>> terms, demand = Terms(KubeVersion("1.36"), "kubeadm"), ClusterDemand(nodes=200, services=2000)
    >>> size = range_size(demand, "pods", IPFamily.IPV4, terms=terms)
    >>> size.host_bits, size.mask, size.usable
    (15, 25, 256)
    """
    wanted = demand.services_wanted if use == "services" else demand.nodes_wanted
    needed = -(-wanted * times.numerator // times.denominator)
    if use == "pods":
        bits, mask, usable = _pods(demand, family, needed, terms)
    elif use == "services":
        bits, mask, usable = _services(demand, family, needed, terms)
    else:
        kept = demand.reserved_node_addresses if family is IPFamily.IPV4 else _ROUTER_ANYCAST
        bits = max(_bits_for(needed + kept), _usual("nodes", family, terms))
        if bits >= family.bits:
            raise NoLegalSize(f"{demand.name}: {family} has no range for {counted(needed, 'node')}; take fewer nodes")
        mask, usable = 0, (1 << bits) - kept
    return RangeSize(use, family, bits, mask, wanted, usable)


def _usual(use: Use, family: IPFamily, terms: Terms) -> int:
    """Return the usual size of an IPv6 range in host bits; 0 where the smallest will do."""
    return _USUAL_BITS[use] if terms.usual and family is IPFamily.IPV6 else 0


def _pods(demand: ClusterDemand, family: IPFamily, needed: int, terms: Terms) -> tuple[int, int, int]:
    """Size the cluster CIDR and a node's block."""
    fixed = demand.node_cidr_mask_sizes.get(family)
    holds = _block_capacities(demand.plugin, family)
    if fixed is not None:
        block = family.bits - fixed
        if holds[block] < demand.pods_on_node:
            raise NoLegalSize(
                f"{demand.name}: a node mask of /{fixed} holds {counted(holds[block], f'{family} Pod')} a node, and "
                f"{demand.pods_on_node:,} are wanted; take a shorter mask or {counted(holds[block], 'Pod')} a node"
            )
    else:
        least = next((bits for bits, pods in enumerate(holds) if pods >= demand.pods_on_node), family.bits)
        block = max(least, _usual("pods", family, terms))
    count = _bits_for(needed)
    for bits in range(block + count, family.bits):
        for own in dict.fromkeys((block, block if fixed else bits - count)):
            mask = family.bits - own
            if mask and _is_legal(terms, demand.ip_families, ("pods", family, family.bits - bits, mask)):
                return bits, mask, 1 << (bits - own)
    if block + count >= family.bits:
        raise NoLegalSize(
            f"{demand.name}: {family} has no range for {counted(needed, 'node')} of "
            f"{counted(demand.pods_on_node, 'Pod')}: "
            f"2^{block + count} addresses; take fewer nodes or Pods a node"
        )
    shapes = ((less, ("pods", family, family.bits - block - less, family.bits - block)) for less in range(count)[::-1])
    most = next((1 << less for less, each in shapes if _is_legal(terms, demand.ip_families, each)), 0)
    raise NoLegalSize(
        f"{demand.name}: {counted(needed, 'node')}, and one cluster CIDR is cut into at most "
        f"{counted(most, f'{family} block')} on "
        f"Kubernetes {terms.kube_version} with {terms.installer}; take fewer nodes, or several clusters"
    )


def _services(demand: ClusterDemand, family: IPFamily, needed: int, terms: Terms) -> tuple[int, int, int]:
    """Size the service range."""
    own = demand.own_services(family)
    first = max(_bits_for(needed + own), _usual("services", family, terms))
    for bits in range(first, min(_WIDEST, family.bits - 1) + 1):
        usable = _cluster_ips(terms.kube_version, demand.ip_families, family, bits) - own
        if usable >= needed and _is_legal(terms, demand.ip_families, ("services", family, family.bits - bits, 0)):
            return bits, 0, usable
    raise NoLegalSize(
        f"{demand.name}: no {family} service range holds {counted(needed, 'Service')} on Kubernetes "
        f"{terms.kube_version} with "
        f"{terms.installer}; take fewer, or several clusters"
    )


@lru_cache(maxsize=64)
def _block_capacities(plugin: str, family: IPFamily) -> tuple[int, ...]:
    """Count the Pods of a block by its host bits."""
    lengths = np.arange(family.bits, 0, -1)
    return tuple(usable_addresses(lengths, plugin=plugin, family=family).tolist())


@lru_cache(maxsize=4096)
def _cluster_ips(kube_version: KubeVersion, families: tuple[IPFamily, ...], family: IPFamily, bits: int) -> int:
    """Count the cluster IPs of a service range."""
    config = _spare_configuration(kube_version, families, None)
    cidr = Cidr.from_parts(family, 0, family.bits - bits)
    pool = service_range_pool(cidr, behaviour=behaviour_of(kube_version, config.feature_gates))
    return pool.usable if pool else 0


@lru_cache(maxsize=1 << 14)
def _is_legal(terms: Terms, families: tuple[IPFamily, ...], shape: tuple[str, IPFamily, int, int]) -> bool:
    """Ask the judges about one range among others that nobody objects to."""
    try:
        return not refusals(_spare_configuration(terms.kube_version, families, shape), terms.installer)
    except InvalidInput:
        return False


def _spare_configuration(
    kube_version: KubeVersion, families: tuple[IPFamily, ...], shape: tuple[str, IPFamily, int, int] | None
) -> ClusterConfig:
    """Make a configuration in which only one range is in question."""
    ranges: dict[str, list[Cidr]] = {"pods": [], "services": []}
    masks = {}
    for use, listed in ranges.items():
        for family in families:
            text, length = _SPARE[use, family]
            mask = 24 if family is IPFamily.IPV4 else 64
            if shape and shape[:2] == (use, family):
                length, mask = shape[2], shape[3] or mask
            listed.append(Cidr(f"{text}/{length}", host_bits="mask"))
            if use == "pods":
                masks[family] = mask
    return configuration(kube_version, **ranges, masks=masks, max_pods=1)


def _bits_for(count: int) -> int:
    """Return the smallest power of two that is not below a count."""
    return max(count - 1, 0).bit_length()
