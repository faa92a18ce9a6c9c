"""What runs out first, per pool and address family, and why.

`limits` is the frame, `summary` the sentence. The arithmetic is `dsmodel.planning.limits`; here it becomes columns.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.addresses.cidr import IPFamily
from dsmodel.errors import InvalidInput
from dsmodel.planning.limits import Limit, binding, limits_of
from dsmodel.reports import presentation

if TYPE_CHECKING:
    from dsmodel.cluster.state import Cluster

__all__ = ["limits", "summary"]

_COUNTS = (
    "usable", "used", "free", "node_cost", "pod_cost", "service_cost", "more_nodes", "more_pods", "more_services",
)  # fmt: skip
_SNAT = ("pool", "ip_family", "protocol", "destination", "owner", "used", "starts_failing_at", "used_ratio", "why")
_COLUMNS = ("pool", "ip_family", "range", *_COUNTS[:3], "used_ratio", *_COUNTS[3:], "growth_ratio", "enforced", "binds")


def limits(cluster: Cluster, *, cloud: str | None = None, snat: pd.DataFrame | None = None) -> pd.DataFrame:
    """Tell what stops growth, each pool and each limit a row.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.
    cloud : {"azure-kubenet", "gcp-static-routes"}, optional
        Whose route table keeps a route for each node and family, which is a row more.
    snat : pandas.DataFrame, optional
        What `dsmodel.reports.snat` gives for this cluster: each translator's ports to its fullest destination are a row
        more. What masquerades on nodes grows with the pods of a node, not with nodes.

    Returns
    -------
    pandas.DataFrame
        Rows in the order pools are drawn on: node blocks, pod addresses, pods per node, cloud routes, service
        addresses, node ports, SNAT ports, published thresholds; families in the order of the configuration. Columns:

        - ``pool``, ``ip_family`` ("" where both families share it), ``range``: what it is;
        - ``usable``, ``used``, ``free`` (Int64): missing where it cannot run out; ``used_ratio`` (0-1);
        - ``node_cost``, ``pod_cost``, ``service_cost`` (Int64): what one more of each takes;
        - ``more_nodes``, ``more_pods``, ``more_services`` (Int64): how many more fit by this row alone, missing where
          it does not limit them;
        - ``growth_ratio``: times today's size that fit, nodes, pods and Services growing together; missing where the
          range is a guess;
        - ``enforced``: False for published thresholds; ``binds``: True on the row that stops growth first;
        - ``why``: flag, arithmetic and source in one sentence.

    Raises
    ------
    InvalidInput
        A cloud that is not known, or a frame that is none of `dsmodel.reports.snat`.

    Examples
    --------
    >>> from dsmodel import examples
    >>> frame = limits(examples.nearly_full())
    >>> frame.loc[frame["binds"], ["pool", "ip_family", "free"]].to_numpy().tolist()
    [['node blocks', 'IPv6', 0]]
    """
    rows = limits_of(cluster, cloud=cloud)
    if snat is not None:
        last = next(place for place, row in enumerate(rows) if not row.enforced)  # published ones stand at the end
        rows[last:last] = _translators(cluster, snat)
    frame = pd.DataFrame([asdict(row) for row in rows])
    frame["ip_family"] = [str(row.family) if row.family else "" for row in rows]
    for name in _COUNTS:
        frame[name] = frame[name].astype("Int64")
    frame["used_ratio"] = [row.used / row.usable if row.usable else float("nan") for row in rows]
    place = binding(rows)
    frame["binds"] = [row == place for row in range(len(rows))]
    return frame[[*_COLUMNS, "why"]]


def _translators(cluster: Cluster, snat: pd.DataFrame) -> list[Limit]:
    """Give each translator's fullest destination as a limit; what nothing limits is none."""
    if missing := [name for name in _SNAT if name not in snat]:
        raise InvalidInput(f"snat: has no column {', '.join(missing)}; give what reports.snat returns")
    known = snat[snat["starts_failing_at"].notna() & (snat["owner"] != "pod") & (snat["used"] > 0)]
    fullest = known.sort_values("used_ratio", ascending=False, kind="stable").drop_duplicates(list(_SNAT[:3]))
    pods = int(np.count_nonzero(cluster.pods["holds_address"]))
    return [_translator(row, pods) for row in fullest.to_dict("records")]


def _translator(row: dict[Any, Any], pods: int) -> Limit:
    """Turn a row of ports into a limit: pods of today's kind take what pods take today."""
    used, usable = int(row["used"]), int(row["starts_failing_at"])
    free = max(usable - used, 0)
    place = f"{row['pool']} to {row['destination']}" if row["destination"] else str(row["pool"])
    family = IPFamily(row["ip_family"])
    if row["owner"] == "node":
        return Limit("SNAT ports", family, place, usable, used, free, math.inf, row["why"])
    return Limit(
        "SNAT ports", family, place, usable, used, free, usable / used, row["why"],
        pod_cost=math.ceil(used / pods) if pods else 0, more_pods=free * pods // used,
    )  # fmt: skip


def summary(cluster: Cluster) -> str:
    """Say in a sentence or two what runs out first and why.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.

    Returns
    -------
    str
        Names the pool, its family, what still fits and the arithmetic.

    Raises
    ------
    None
        Every cluster has an answer.

    Examples
    --------
    >>> from dsmodel import Cluster, ClusterConfig
    >>> print(summary(Cluster(ClusterConfig.of(cluster_cidrs=["10.42.0.0/16", "fd01::/64"]))))
    Node blocks, IPv6, run out first: 1 more node fits. --cluster-cidr fd01::/64 with --node-cidr-mask-size-ipv6 64 is
    2^(64-64) = 1 node block; 0 taken (given).
    """
    frame = limits(cluster)
    bound = frame[frame["binds"]]
    if bound.empty:
        return "What runs out first is not known: no range of this cluster is named and in use."
    row = {str(name): value for name, value in bound.iloc[0].items()}
    name = presentation.headline(row)
    room = presentation.more(row)
    fits = "fits" if room.startswith("1 ") else "fit"
    return f"{name[:1].upper()}{name[1:]}, run out first: {room} {fits}. {row['why']}"
