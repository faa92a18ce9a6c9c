"""Find the smallest plan, the plans with more headroom, and what to give up where nothing fits.

Promises that the first plan takes the fewest addresses that any legal plan takes, in each family, for one cluster and
for a fleet alike: every range has its smallest legal size, and ranges of such sizes are packed exactly. Each further
plan is the smallest one that holds a larger multiple of the demand, up to the largest that fits.

Does not know Kubernetes: sizes come from `dsmodel.planning.layout.sizes`, places from
`dsmodel.planning.layout.packing`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.planning.layout.packing import pack
from dsmodel.planning.layout.sizes import NoLegalSize, range_size, uses_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dsmodel.planning.layout.demand import ClusterDemand
    from dsmodel.planning.layout.sizes import RangeSize, Terms

__all__ = ["Placed", "Placement", "headroom_steps", "largest_times", "place", "smallest"]

# times the demand beyond which more headroom is no question any more
_ENOUGH = 1024


@dataclass(frozen=True)
class Placed:
    """One range of a plan.

    Parameters
    ----------
    cluster : str
        Name of the cluster.
    size : RangeSize
        What it is for and what it holds.
    cidr : Cidr
        Where it lies.

    Raises
    ------
    None
        A record.
    """

    cluster: str
    size: RangeSize
    cidr: Cidr


@dataclass(frozen=True)
class Placement:
    """A plan: every range of every cluster.

    Parameters
    ----------
    ranges : tuple of Placed
        By cluster, use and family.
    terms : Terms
        What it is legal for, and which IPv6 sizes it takes.

    Raises
    ------
    None
        A record.
    """

    ranges: tuple[Placed, ...]
    terms: Terms

    @property
    def binding(self) -> Placed:
        """The range that stops growth first."""
        return min(self.ranges, key=lambda placed: placed.size.headroom)

    def taken(self, family: IPFamily) -> int:
        """Count the addresses of a family that the plan takes.

        Parameters
        ----------
        family : IPFamily
            Any.

        Returns
        -------
        int
            0 for a family that no cluster has.

        Raises
        ------
        None
            Every family has an answer.
        """
        return sum(placed.cidr.size for placed in self.ranges if placed.cidr.family is family)


def place(
    demands: Sequence[ClusterDemand],
    free: Mapping[IPFamily, Sequence[Cidr]],
    *,
    terms: Terms,
    times: Fraction = Fraction(1),
) -> Placement | None:
    """Find the smallest plan that holds a number of times the demand.

    Parameters
    ----------
    demands : sequence of ClusterDemand
        Of each cluster.
    free : mapping of IPFamily to sequence of Cidr
        Free aligned blocks of each family.
    terms : Terms
        What it has to be legal for, and which IPv6 sizes it takes.
    times : Fraction, default 1
        How many times the demand.

    Returns
    -------
    Placement or None
        None where nothing fits.

    Raises
    ------
    NoLegalSize
        One cluster cannot be that large, however much space there is.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> from dsmodel.planning.layout.demand import ClusterDemand
    >>> from dsmodel.planning.layout.sizes import Terms
    >>> demand = ClusterDemand(nodes=3, services=10, ip_families=["IPv4"])
    >>> space = {IPFamily.IPV4: [Cidr("10.0.0.0/22")]}
    >>> plan = place([demand], space, terms=Terms(KubeVersion("1.36"), "flags"))
    >>> [str(placed.cidr) for placed in plan.ranges]
    ['10.0.0.0/23', '10.0.2.0/28', '10.0.2.16/29']
    """
    sized = [
        (demand.name, range_size(demand, use, family, times=times, terms=terms))
        for demand in demands
        for use, family in uses_of(demand)
    ]
    cidrs: dict[int, Cidr] = {}
    for family in IPFamily:
        rows = [row for row, (_, size) in enumerate(sized) if size.family is family]
        packed = pack(family, [sized[row][1].host_bits for row in rows], free.get(family, ()))
        if packed is None:
            return None
        cidrs |= dict(zip(rows, packed, strict=True))
    ranges = (Placed(name, size, cidrs[row]) for row, (name, size) in enumerate(sized))
    return Placement(tuple(ranges), terms)


def smallest(
    demands: Sequence[ClusterDemand], free: Mapping[IPFamily, Sequence[Cidr]], *, terms: Terms
) -> Placement | None:
    """Find the smallest plan at the usual IPv6 sizes, or else at the smallest ones.

    Parameters
    ----------
    demands : sequence of ClusterDemand
        Of each cluster.
    free : mapping of IPFamily to sequence of Cidr
        Free aligned blocks of each family.
    terms : Terms
        What it has to be legal for.

    Returns
    -------
    Placement or None
        None where nothing fits, or one cluster cannot be that large.

    Raises
    ------
    None
        Every demand has an answer.
    """
    for usual in (True, False):
        try:
            found = place(demands, free, terms=replace(terms, usual=usual))
        except NoLegalSize:
            continue
        if found:
            return found
    return None


def headroom_steps(demands: Sequence[ClusterDemand], terms: Terms) -> list[Fraction]:
    """List the multiples of the demand at which some range has to grow.

    Parameters
    ----------
    demands : sequence of ClusterDemand
        Of each cluster.
    terms : Terms
        What it has to be legal for.

    Returns
    -------
    list of Fraction
        Rising, from what the smallest plan holds.

    Raises
    ------
    NoLegalSize
        The demand itself is beyond a limit.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> from dsmodel.planning.layout.demand import ClusterDemand
    >>> from dsmodel.planning.layout.sizes import Terms
    >>> demand = ClusterDemand(nodes=3, services=10, ip_families=["IPv4"], node_range=False)
    >>> [float(step) for step in headroom_steps([demand], Terms(KubeVersion("1.36"), "flags"))][:3]
    [1.2, 1.3333333333333333, 2.6666666666666665]
    """
    steps, firsts = set(), []
    for demand in demands:
        for use, family in uses_of(demand):
            size = range_size(demand, use, family, terms=terms)
            firsts.append(size.headroom)
            while size.headroom <= _ENOUGH:
                steps.add(size.headroom)
                try:
                    size = range_size(demand, use, family, times=Fraction(size.usable + 1, size.wanted), terms=terms)
                except NoLegalSize:
                    break
    least = min(firsts)
    return sorted(step for step in {*steps, least} if step >= least)


def largest_times(
    demands: Sequence[ClusterDemand],
    free: Mapping[IPFamily, Sequence[Cidr]],
    *,
    terms: Terms,
    steps: Sequence[Fraction],
) -> int:
    """Find how many of the steps fit; a larger multiple never fits where a smaller one does not.

    Parameters
    ----------
    demands : sequence of ClusterDemand
        Of each cluster.
    free : mapping of IPFamily to sequence of Cidr
        Free aligned blocks of each family.
    terms : Terms
        What it has to be legal for.
    steps : sequence of Fraction
        From `headroom_steps`.

    Returns
    -------
    int
        Number of steps, from the first, that fit.

    Raises
    ------
    None
        A limit of one cluster ends the steps too.
    """
    low, high = 0, len(steps)
    while low < high:
        middle = (low + high) // 2
        try:
            fits = place(demands, free, times=steps[middle], terms=terms) is not None
        except NoLegalSize:
            fits = False
        low, high = (middle + 1, high) if fits else (low, middle)
    return low
