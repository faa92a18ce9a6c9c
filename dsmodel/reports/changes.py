"""What a change costs: the pools of two states of one cluster beside each other.

Promises one row for each pool of either state, in the order of `utilization`. Does not know how the second state came
to be: who was refused is in the `Outcome` of the verb that made it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.frames import TEXT_DTYPE
from dsmodel.cluster.state import Cluster
from dsmodel.reports.pools import utilization
from dsmodel.wording import agreeing, counted

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["difference"]

_KEYS = ["pool", "ip_family", "range"]
_EXTERNAL_NAME = 4  # code of schema.SERVICE_TYPES
_SHOWN = 3


def difference(before: Cluster, after: Cluster | Callable[[Cluster], object]) -> pd.DataFrame:
    """Compare what two states of a cluster have in use.

    Parameters
    ----------
    before : Cluster
        Any cluster; it is not changed.
    after : Cluster or callable
        A copy of it that something was done to; or what to do to a copy, for a what-if in one line.

    Returns
    -------
    DataFrame
        ``pool``, ``ip_family``, ``range``; ``usable`` (after), ``used_before``, ``used_after``, ``delta``,
        ``free_after`` (counts; missing where a pool cannot run out or is not in that state); ``without``: for service
        addresses, Services with a cluster IP and none of this family; ``why``: who they are, and why.

    Raises
    ------
    None
        Two clusters of different configurations are compared pool by pool.

    Examples
    --------
    >>> from dsmodel import Cluster, ClusterConfig
    >>> cluster = Cluster(ClusterConfig.of(service_cidrs=["10.96.0.0/24", "fd00:10:96::/124"]))
    >>> what_if = cluster.copy()
    >>> what_if.set_family_policy("PreferDualStack").granted
    1
    >>> difference(cluster, what_if)[["ip_family", "used_before", "used_after", "delta"]]
      ip_family  used_before  used_after  delta
    0      IPv4            1           1      0
    1      IPv6            0           1      1
    2                      0           0      0
    >>> difference(cluster, lambda what_if: what_if.add_services(2))["delta"].tolist()
    [2, 0, 0]
    """
    if not isinstance(after, Cluster):
        change, after = after, before.copy()
        change(after)
    old, new = (utilization(cluster).set_index(_KEYS) for cluster in (before, after))
    index = new.index.union(old.index, sort=False) if len(old.index.difference(new.index)) else new.index
    old, new = old.reindex(index), new.reindex(index)
    used = [frame["used"].astype("Int64") for frame in (old, new)]
    frame = pd.DataFrame(
        {
            "usable": new["usable"].astype("Int64"),
            "used_before": used[0],
            "used_after": used[1],
            "delta": used[1].fillna(0) - used[0].fillna(0),
            "free_after": new["free"].astype("Int64"),
        }
    ).reset_index()
    told = [
        _service_addresses(after, str(family)) if pool == "service addresses" else (None, "")
        for pool, family in zip(frame["pool"], frame["ip_family"], strict=True)
    ]
    frame["without"] = pd.array([count for count, _ in told], dtype="Int64")
    frame["why"] = pd.Series([why for _, why in told], dtype=TEXT_DTYPE)
    return frame


def _service_addresses(cluster: Cluster, family: str) -> tuple[int, str]:
    """Count and name the Services that have a cluster IP, but none of a family, and say why."""
    lacking = _without(cluster, family)
    other = IPFamily.IPV6 if family == "IPv4" else IPFamily.IPV4
    ranges = cluster.service_ranges
    if not lacking:
        alone = "" if other in ranges.families else f"; no service range of {other}, so no policy brings one"
        return 0, f"every Service with a cluster IP has one of {family}{alone}"
    named = [name for name in lacking if name]
    names = ", ".join(named[:_SHOWN]) + (f" and {len(lacking) - _SHOWN:,} more" if len(lacking) > _SHOWN else "")
    reason = "their policy does not ask for one" if ranges.free(IPFamily(family)) else "the range has none left"
    shown = f" ({names})" if named else ""
    n = len(lacking)
    return n, f"{counted(n, 'Service')} {agreeing(n, 'has', 'have')} none of {family}: {reason}{shown}"


def _without(cluster: Cluster, family: str) -> list[str]:
    """Name the Services that have a cluster IP, but none of a family; those made from counts have no name."""
    table = cluster.services
    addressed = ~table["headless"] & (table["type"] != _EXTERNAL_NAME)
    addressed &= table["has_cluster_ipv4"] | table["has_cluster_ipv6"]
    rows = np.flatnonzero(addressed & ~table[f"has_cluster_{family.lower()}"])
    spaces, names = table["namespace"][rows].tolist(), table["name"][rows].tolist()
    return [f"{space}/{name}" if name else "" for space, name in zip(spaces, names, strict=True)]
