"""Where nothing fits: which one constraint to relax, and by how much.

Promises, for each constraint that would do alone, the nearest value with which a plan exists: more space in one block,
fewer nodes, Services, Pods a node or years, no range for the nodes, a range that need not be avoided, a newer version.
Every value is found by asking the same search again.

Does not know what a constraint costs: the order is that of the arithmetic, not of money.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.space import largest_free_block
from dsmodel.errors import PoolFull
from dsmodel.kube.versions import NEWEST, KubeVersion
from dsmodel.planning.layout.packing import Space, pack
from dsmodel.planning.layout.search import place
from dsmodel.planning.layout.sizes import NoLegalSize, range_size, uses_of
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dsmodel.planning.layout.demand import ClusterDemand
    from dsmodel.planning.layout.sizes import RangeSize, Terms

__all__ = ["LayoutDoesNotFit", "shortfall"]

_COLUMNS = ("constraint", "ip_family", "now", "enough", "why")
_MONTHS = 12
_MOST_AVOIDED = 64  # ranges to avoid that are tried one by one


class LayoutDoesNotFit(PoolFull):
    """No plan fits the blocks; nothing is planned by halves.

    Parameters
    ----------
    message : str
        What is short, and the ways out.
    relax : pandas.DataFrame
        One row a constraint that would do alone: ``constraint``, ``ip_family``, ``now``, ``enough``, ``why``.
    """

    def __init__(self, message: str, relax: pd.DataFrame) -> None:
        self.relax = relax
        super().__init__(message)


def shortfall(demands: Sequence[ClusterDemand], space: Space, terms: Terms) -> LayoutDoesNotFit:
    """Say why nothing fits, and what would.

    Parameters
    ----------
    demands : sequence of ClusterDemand
        Of each cluster.
    space : Space
        Where they do not fit.
    terms : Terms
        What a plan has to be legal for.

    Returns
    -------
    LayoutDoesNotFit
        To be raised.

    Raises
    ------
    None
        There is always an answer.

    Examples
    --------
    >>> from dsmodel.planning.layout.demand import ClusterDemand
    >>> from dsmodel.planning.layout.sizes import Terms
    >>> demand = ClusterDemand(nodes=1000, services=500, ip_families=["IPv4"])
    >>> error = shortfall([demand], Space((Cidr("10.0.0.0/16"),)), Terms(KubeVersion("1.36"), "kubeadm"))
    >>> error.relax[["constraint", "now", "enough"]].values.tolist()[:3]
    [['blocks', '10.0.0.0/16 free at most', '/15 more'], ['nodes', '1,000', '256'], ['pods_per_node', '110', '29']]
    """
    causes = list(_causes(demands, space, terms))
    rows = [*_more_space(demands, space, terms), *_less_demand(demands, space, terms)]
    rows += [*_other_terms(demands, space, terms)]
    relax = pd.DataFrame(rows, columns=list(_COLUMNS), dtype="str")
    ways = [row[-1] for row in rows]
    out = f"{'; or '.join(ways)}." if ways else "no single constraint would do: lower the demand and add space."
    return LayoutDoesNotFit(f"{' '.join(causes)} Relax one: {out}", relax)


def _causes(demands: Sequence[ClusterDemand], space: Space, terms: Terms) -> Iterator[str]:
    """Say what is short, family by family, or which limit is met."""
    terms = replace(terms, usual=False)
    sizes: list[tuple[str, RangeSize]] = []
    limits = []
    for demand in demands:
        for use, family in uses_of(demand):
            try:
                sizes.append((demand.name, range_size(demand, use, family, terms=terms)))
            except NoLegalSize as error:
                limits.append(f"{error}.")
    if limits:
        yield limits[0]
        return
    free = space.free()
    for family in IPFamily:
        own = [(name, size) for name, size in sizes if size.family is family]
        if pack(family, [size.host_bits for _, size in own], free[family]) is not None:
            continue
        total = sum(1 << size.host_bits for _, size in own)
        name, widest = max(own, key=lambda each: each[1].host_bits)
        largest = largest_free_block(free[family], ())
        left = sum(block.size for block in free[family])
        needs = (
            f"{_amount(total)} in {counted(len(own), 'aligned range')}, the largest a /{family.bits - widest.host_bits}"
        )
        has = f"{_amount(left)} are free, in one block at most {largest}" if largest else "nothing is free"
        yield f"{family}: the plan needs {needs} ({widest.use} of {name}), and {has}."


def _fits(demands: Sequence[ClusterDemand], space: Space, terms: Terms) -> bool:
    """Tell whether there is a plan."""
    try:
        return place(demands, space.free(), terms=replace(terms, usual=False)) is not None
    except NoLegalSize:
        return False


def _more_space(demands: Sequence[ClusterDemand], space: Space, terms: Terms) -> Iterator[tuple[str, ...]]:
    """Find the smallest further block of one family that would do."""
    free = space.free()
    terms = replace(terms, usual=False)
    try:
        sizes = [range_size(demand, use, family, terms=terms) for demand in demands for use, family in uses_of(demand)]
    except NoLegalSize:
        return
    short = []
    for family in IPFamily:
        bits = [size.host_bits for size in sizes if size.family is family]
        if pack(family, bits, free[family]) is None:
            wanted = sum(1 << each for each in bits)
            top = min((wanted - 1).bit_length(), family.bits)
            # the block's place does not matter to packing: any aligned one stands for all
            extra = next(
                size
                for size in range(top + 1)
                if pack(family, bits, [*free[family], Cidr.from_parts(family, 0, family.bits - size)]) is not None
            )
            largest = largest_free_block(free[family], ())
            short.append((family, family.bits - extra, f"{largest} free at most" if largest else "nothing free"))
    for family, length, now in short:
        both = " (and more of the other family)" if len(short) > 1 else ""
        yield "blocks", str(family), now, f"/{length} more", f"give another {family} block of /{length}{both}"


def _less_demand(demands: Sequence[ClusterDemand], space: Space, terms: Terms) -> Iterator[tuple[str, ...]]:
    """Find how far each number of the demand would have to come down."""
    alone = len(demands) == 1
    every = "" if alone else " in every cluster"

    def lowered(name: str, most: int) -> list[ClusterDemand]:
        return [_at_most(demand, name, most) for demand in demands]

    for name, noun in (("nodes", "node"), ("pods_per_node", "Pod"), ("services", "Service")):
        now = max(_number(demand, name) for demand in demands)
        most = _largest(now - 1, lambda value, name=name: _fits(lowered(name, value), space, terms))  # type: ignore[misc]
        if most:
            limit = counted(most, noun) + (" a node" if noun == "Pod" else "")
            yield name, "", f"{now:,}", f"{most:,}", f"plan for at most {limit}{every} instead of {now:,}"
    years = max(demand.years for demand in demands)
    if years and any(demand.growth_ratio for demand in demands):
        months = _largest(
            max(int(years * _MONTHS - 1e-9), 0),
            lambda value: _fits([_for_years(demand, value / _MONTHS) for demand in demands], space, terms),
        )
        if months:
            yield "years", "", f"{years:g}", f"{months / _MONTHS:.2f}", f"plan for {counted(months, 'month')} of growth"
    if any(demand.node_range for demand in demands):
        without = [replace(demand, node_range=False) for demand in demands]
        if _fits(without, space, terms):
            yield "node_range", "", "planned here", "elsewhere", "take the nodes' own addresses from elsewhere"


def _other_terms(demands: Sequence[ClusterDemand], space: Space, terms: Terms) -> Iterator[tuple[str, ...]]:
    """Find a range that need not be avoided, or a version with other limits."""
    for cidr in space.avoid[:_MOST_AVOIDED]:
        rest = tuple(each for each in space.avoid if each != cidr)
        if any(cidr.overlaps(block) for block in space.blocks) and _fits(demands, Space(space.blocks, rest), terms):
            yield "avoid", str(cidr.family), str(cidr), "free", f"clear {cidr}, which is avoided now"
    for version in terms.kube_version.until(KubeVersion(f"1.{NEWEST}")):
        if _fits(demands, space, replace(terms, kube_version=version)):
            words = f"take Kubernetes {version}, whose limits are wider"
            yield "kube_version", "", str(terms.kube_version), str(version), words
            break


def _number(demand: ClusterDemand, name: str) -> int:
    """Return a number of a demand as it is at the end."""
    wanted = {"nodes": demand.nodes_wanted, "services": demand.services_wanted}
    return wanted.get(name, demand.pods_on_node)


def _at_most(demand: ClusterDemand, name: str, most: int) -> ClusterDemand:
    """Cut one number of a demand as it is at the end."""
    changes: dict[str, Any] = {"nodes": demand.nodes_wanted, "services": demand.services_wanted}
    changes |= {"pods_per_node": demand.pods_on_node, "growth_ratio": 0.0, "surge_nodes": 0}
    changes[name] = min(changes[name], most)
    return replace(demand, **changes)


def _for_years(demand: ClusterDemand, years: float) -> ClusterDemand:
    """Shorten the time a plan must fit."""
    return replace(demand, years=min(years, demand.years))


def _largest(top: int, fits: Callable[[int], bool]) -> int:
    """Find the largest number up to a bound that fits; 0 where none does."""
    low, high = 0, top
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _amount(count: int) -> str:
    """Write an amount of addresses, large ones as the power they are next to."""
    return counted(count, "address") if count < 1 << 32 else f"about 2^{count.bit_length() - 1} addresses"
