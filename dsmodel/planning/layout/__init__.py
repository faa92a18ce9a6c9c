"""The smallest plan of ranges inside the blocks one owns, and what to do where none fits.

Promises: `plan_layout` returns a plan that no legal plan undercuts, in either family, for one cluster and for a fleet;
that overlaps nothing; and that the installer and the components start with on the given version. Plans are exact
because aligned ranges are powers of two: see `dsmodel.planning.layout.search` and `dsmodel.planning.layout.packing`.

What it does not know: plugins with pools of their own (a Calico IPPool may lie wherever the cluster CIDR does), routes,
and clusters that exist: that is `dsmodel.planning.migration`.

Sources: those of `dsmodel.kube.config_checks`, `dsmodel.kube.installers` and `dsmodel.cni.capacity`, whose rules decide
every size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import Cidr
from dsmodel.addresses.space import overlaps
from dsmodel.errors import InvalidInput
from dsmodel.kube.versions import NEWEST, KubeVersion
from dsmodel.planning.layout.demand import ClusterDemand, demands_of
from dsmodel.planning.layout.installing import installer_of
from dsmodel.planning.layout.packing import UNUSABLE, Space
from dsmodel.planning.layout.plan import ALTERNATIVES, RANGES, Layout
from dsmodel.planning.layout.search import headroom_steps, largest_times, place, smallest
from dsmodel.planning.layout.shortfalls import LayoutDoesNotFit, shortfall
from dsmodel.planning.layout.sizes import Terms
from dsmodel.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from dsmodel.planning.layout.search import Placement

__all__ = ["ALTERNATIVES", "RANGES", "ClusterDemand", "Layout", "LayoutDoesNotFit", "plan_layout"]

# plans whose headroom differs by less from one that is listed are left out
_ALIKE = 1.02
# multiples of the demand that are looked at, at most; one cluster has fewer
_MOST_TRIED = 48


def plan_layout(
    demand: ClusterDemand | Mapping[str, Any] | Iterable[ClusterDemand | Mapping[str, Any]] | pd.DataFrame,
    blocks: str | Cidr | Iterable[str | Cidr] | Mapping[str, Any],
    *,
    avoid: str | Cidr | Iterable[str | Cidr] | Mapping[str, Any] = (),
    kube_version: str | KubeVersion = f"1.{NEWEST}",
    installer: str = "kubeadm",
    alternatives: int = 8,
) -> Layout:
    """Find the smallest ranges for clusters inside the blocks one owns.

    Parameters
    ----------
    demand : ClusterDemand, mapping, DataFrame, or iterable of these
        What each cluster is to hold; see `ClusterDemand` for the keys.
    blocks : str, Cidr, iterable of these, or mapping to these
        CIDRs of either family to plan in; keys of a mapping are names for the reader.
    avoid : str, Cidr, iterable of these, or mapping to these, optional
        Ranges in use elsewhere: peers, VPCs, other clusters.
    kube_version : str or KubeVersion, optional
        What the plan must be legal on; the newest modelled by default.
    installer : {"kubeadm", "k3s", "rke2", "flags"}, default "kubeadm"
        Whose own rules count too; kubeadm's are the strictest.
    alternatives : int, default 8
        How many plans to return at most, spread from the smallest to the one with the most headroom.

    Returns
    -------
    Layout
        The smallest plan, its ``ranges`` and ``alternatives`` as frames, and what to paste.

    Raises
    ------
    InvalidInput
        A demand that is not positive or beyond a limit of one cluster, blocks that overlap, a family without a block,
        an unknown installer.
    InvalidCidr
        A block that is none.
    UnsupportedVersion
        A version outside the window.
    LayoutDoesNotFit
        No plan fits; the message and the frame ``relax`` say what to relax and by how much.

    Notes
    -----
    Each plan takes the fewest addresses, in each family, of all legal plans with its headroom. IPv6 ranges have their
    usual sizes (a /64 a node, a /112 for Services) where the smallest plan fits with them, else the smallest.

    Examples
    --------
    >>> layout = plan_layout({"nodes": 200, "services": 2000, "growth_ratio": 0.3, "years": 5},
    ...                      ["10.64.0.0/14", "fd00:1::/48"], avoid=["10.64.0.0/16"], kube_version="1.36")
    >>> layout.ranges[["use", "range", "node_cidr_mask_size", "wanted", "usable"]].head(3)
            use         range  node_cidr_mask_size  wanted  usable
    0      pods  10.66.0.0/15                   25     743    1024
    1      pods  fd00:1::/54                    64     743    1024
    2  services  10.65.0.0/19                 <NA>    7426    8188
    >>> plan_layout({"nodes": 1000, "services": 500, "ip_families": "IPv4"}, "10.0.0.0/16")
    Traceback (most recent call last):
    dsmodel.planning.layout.shortfalls.LayoutDoesNotFit: IPv4: the plan needs ...
    """
    demands = demands_of(demand)
    version = KubeVersion(kube_version)
    terms = Terms(version, installer_of(installer))
    if isinstance(alternatives, bool) or not isinstance(alternatives, int) or alternatives < 1:
        raise InvalidInput(f"alternatives={alternatives!r}; give how many plans to return, 1 or more")
    space = Space(_blocks_of(blocks, demands), _cidrs(avoid, "avoid"))
    free = space.free()
    first = smallest(demands, free, terms=terms)
    if first is None:
        raise shortfall(demands, space, terms)
    terms = first.terms
    steps = headroom_steps(demands, terms)
    steps = steps[: largest_times(demands, free, terms=terms, steps=steps)]
    found, tried = [first], _spread(steps, _MOST_TRIED)
    with progress("planning", total=len(tried)) as advance:
        for times in tried:
            placement = place(demands, free, terms=terms, times=times)
            if placement and _headroom(placement) >= _headroom(found[-1]) * _ALIKE:
                found.append(placement)
            advance(1)
    return Layout(demands, space, tuple(_spread(found, alternatives))).choose(0)


def _headroom(placement: Placement) -> float:
    """Return how many times the demand fits."""
    return float(placement.binding.size.headroom)


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    """Keep a number of items, first and last among them, evenly in between."""
    if len(items) <= most:
        return list(items)
    if most == 1:
        return [items[0]]
    return [items[place * (len(items) - 1) // (most - 1)] for place in range(most)]


def _blocks_of(given: Any, demands: Sequence[ClusterDemand]) -> tuple[Cidr, ...]:
    """Read the blocks one owns."""
    blocks = _cidrs(given, "blocks")
    pairs = overlaps(blocks)
    if pairs:
        one, other = (blocks[row] for row in pairs[0])
        raise InvalidInput(f"blocks {one} and {other} overlap; name each address once")
    for cidr in blocks:
        for bad in UNUSABLE:
            if cidr in bad:
                raise InvalidInput(f"block {cidr} lies in {bad}, whose addresses no cluster can use; name another")
    families = {block.family for block in blocks}
    for demand in demands:
        for family in demand.ip_families:
            if family not in families:
                raise InvalidInput(
                    f"demand of {demand.name!r} has {family}, and no block is {family}; give one, or leave the family "
                    "out of ip_families"
                )
    return blocks


def _cidrs(given: Any, what: str) -> tuple[Cidr, ...]:
    """Read CIDRs from one, several, or a mapping to them."""
    if isinstance(given, str | Cidr):
        given = [given]
    if isinstance(given, Mapping):
        given = [cidr for value in given.values() for cidr in ([value] if isinstance(value, str | Cidr) else value)]
    try:
        listed = list(given)
    except TypeError:
        raise InvalidInput(f"{what}: {given!r} is no list of CIDRs") from None
    return tuple(cidr if isinstance(cidr, Cidr) else Cidr(cidr) for cidr in listed)
