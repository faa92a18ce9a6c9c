"""Cluster IPs and node ports of a whole cluster: one pool for each service range, one for the ports.

Promises what kube-apiserver's allocators promise, for batches: dynamic cluster IPs come from the upper band first, a
batch takes exactly the set of addresses that one at a time would (which row gets which of them is dealt at random), the
ServiceCIDR objects of a family are tried in random order, and node ports are one pool for both families and all
protocols.

What it does not know: which families a Service gets (`dsmodel.kube.services.batch`), names.

Sources: ``pkg/registry/core/service/ipallocator/{bitmap,ipallocator,cidrallocator}.go`` and
``pkg/registry/core/service/portallocator/allocator.go`` of v1.36.2; KEP-3070, KEP-3668, KEP-1880.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses.arrays import empty
from dsmodel.errors import Reason
from dsmodel.kube.behaviour import behaviour_of
from dsmodel.kube.ports import port_band_offset
from dsmodel.kube.service_cidrs import service_range_pool
from dsmodel.pools.ranges import AddressRange, PortRange

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr, IPFamily
    from dsmodel.kube.behaviour import Behaviour
    from dsmodel.kube.config import ClusterConfig

__all__ = ["ServiceRanges", "node_port_pool"]


def node_port_pool(config: ClusterConfig) -> PortRange:
    """Return the empty pool of node ports of a configuration.

    Parameters
    ----------
    config : ClusterConfig
        Names the range and the version.

    Returns
    -------
    PortRange
        With the version's static band.

    Raises
    ------
    None
        Every configuration has one.

    Examples
    --------
    >>> from dsmodel import ClusterConfig
    >>> pool = node_port_pool(ClusterConfig.of(kube_version="1.36"))
    >>> pool.usable, pool.band_offset
    (2768, 86)
    """
    first, last = config.service_node_port_range
    banded = behaviour_of(config.kube_version, config.feature_gates).port_band
    return PortRange(first, last, band_offset=port_band_offset(last - first + 1) if banded else 0)


class ServiceRanges:
    """The cluster IP pools of a cluster, by family.

    Parameters
    ----------
    config : ClusterConfig
        ``service_cidrs`` first, then the ``extra_service_cidrs`` of a family that the former name; a family that only
        ServiceCIDR objects name has no allocator.

    Examples
    --------
    >>> from dsmodel import ClusterConfig, IPFamily
    >>> ranges = ServiceRanges(ClusterConfig.of(service_cidrs=["10.96.0.0/24"]))
    >>> ranges.usable(IPFamily.IPV4), ranges.usable(IPFamily.IPV6)
    (254, 0)
    """

    def __init__(self, config: ClusterConfig) -> None:
        behaviour = behaviour_of(config.kube_version, config.feature_gates)
        self.ranges: dict[IPFamily, list[AddressRange]] = {
            cidr.family: [_pool(cidr, behaviour)] for cidr in config.service_cidrs
        }
        if behaviour.address_objects:
            for cidr in dict.fromkeys(config.extra_service_cidrs):
                known = self.ranges.get(cidr.family, [])
                if known and all(cidr != pool.cidr for pool in known):
                    known.append(_pool(cidr, behaviour))

    @property
    def families(self) -> tuple[IPFamily, ...]:
        """Families with an allocator, that of the first service range first."""
        return tuple(self.ranges)

    def usable(self, family: IPFamily) -> int:
        """Return how many cluster IPs of a family there are.

        Parameters
        ----------
        family : IPFamily
            Any family.

        Returns
        -------
        int
            0 for a family that is not configured.

        Raises
        ------
        None
            Every family has an answer.
        """
        return sum(pool.usable for pool in self.ranges.get(family, []))

    def free(self, family: IPFamily) -> int:
        """Return how many cluster IPs of a family are free.

        Parameters
        ----------
        family : IPFamily
            Any family.

        Returns
        -------
        int
            0 for a family that is not configured.

        Raises
        ------
        None
            Every family has an answer.
        """
        return sum(pool.free for pool in self.ranges.get(family, []))

    def allocate_next(self, n: int, *, family: IPFamily, rng: np.random.Generator) -> NDArray[Any]:
        """Take cluster IPs of the allocators' choice.

        Parameters
        ----------
        n : int
            How many; no more than are free.
        family : IPFamily
            A configured family.
        rng : numpy.random.Generator
            Decides where each search starts and, with several ranges, which is tried first.

        Returns
        -------
        address column, shape (n,)
            Different addresses.

        Raises
        ------
        None
            Where fewer are free, fewer are returned.
        """
        pools = self.ranges.get(family, [])
        if len(pools) == 1:
            return _taken(pools[0], n, rng)
        first = rng.integers(len(pools), size=n) if pools else np.zeros(n, np.int64)
        column, missing = empty(n, family), np.ones(n, np.bool_)
        while missing.any() and any(pool.free for pool in pools):
            for place, pool in enumerate(pools):
                rows = np.flatnonzero(missing & (first == place))[: pool.free]
                column[rows] = _taken(pool, len(rows), rng)
                missing[rows] = False
            open_pools = np.array([place for place, pool in enumerate(pools) if pool.free], np.int64)
            if len(open_pools):
                first = open_pools[rng.integers(len(open_pools), size=n)]
        return column[~missing]

    def judge(self, column: NDArray[Any], *, family: IPFamily) -> NDArray[np.uint8]:
        """Tell what would become of requests for addresses, each by itself.

        Parameters
        ----------
        column : address column, shape (n,)
            Different addresses of the family.
        family : IPFamily
            Any family.

        Returns
        -------
        ndarray of uint8, shape (n,)
            OK, ALREADY_ALLOCATED or NOT_IN_RANGE.

        Raises
        ------
        None
            Every address has an answer.
        """
        reason = np.full(len(column), Reason.NOT_IN_RANGE, np.uint8)
        for pool in self.ranges.get(family, []):
            offsets, inside = pool.offsets(column)
            rows = np.flatnonzero(inside)
            found = pool.allocate(offsets[rows], dry_run=True).reason
            rows, found = rows[found != Reason.NOT_IN_RANGE], found[found != Reason.NOT_IN_RANGE]
            known = reason[rows] != Reason.NOT_IN_RANGE
            reason[rows] = np.where(known, np.maximum(reason[rows], found), found)  # OK is the least
        return reason

    def occupy(self, column: NDArray[Any], *, family: IPFamily) -> NDArray[np.bool_]:
        """Mark addresses as used in every range that contains them.

        Parameters
        ----------
        column : address column, shape (n,)
            Of the family.
        family : IPFamily
            Any family.

        Returns
        -------
        ndarray of bool, shape (n,)
            Whether some range has the address among its usable ones.

        Raises
        ------
        None
            Every address has an answer.
        """
        found = np.zeros(len(column), np.bool_)
        for pool in self.ranges.get(family, []):
            offsets, inside = pool.offsets(column)
            rows = np.flatnonzero(inside)
            found[rows] |= pool.occupy(offsets[rows]).ok
        return found

    def release(self, column: NDArray[Any], *, family: IPFamily) -> None:
        """Give addresses back to every range that contains them.

        Parameters
        ----------
        column : address column, shape (n,)
            Of the family.
        family : IPFamily
            Any family.

        Raises
        ------
        None
            A free address, or one of no range, is no error.
        """
        for pool in self.ranges.get(family, []):
            offsets, inside = pool.offsets(column)
            pool.release(offsets[inside])

    def copy(self) -> Self:
        """Return ranges whose changes do not show in these.

        Returns
        -------
        ServiceRanges
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.ranges = {family: [pool.copy() for pool in pools] for family, pools in self.ranges.items()}
        return twin


def _taken(pool: AddressRange, n: int, rng: np.random.Generator) -> NDArray[Any]:
    """Take the set of addresses that n requests would, and deal it out at random."""
    offsets = pool.allocate_next(n, rng=rng, order="set")
    return pool.addresses(rng.permutation(offsets) if n > 1 else offsets)


def _pool(cidr: Cidr, behaviour: Behaviour) -> AddressRange:
    """Make the pool of one range; one that the version has no allocator for has nothing to hand out."""
    return service_range_pool(cidr, behaviour=behaviour) or AddressRange(cidr, limit=0)
