"""What runs out first, per pool and address family, and why.

`limits` is the frame, `summary` the sentence. The arithmetic is `dsmodel.planning.limits`; here it becomes columns.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import pandas as pd

from dsmodel.planning.limits import binding, limits_of
from dsmodel.reports import presentation

if TYPE_CHECKING:
    from dsmodel.cluster.state import Cluster

__all__ = ["limits", "summary"]

_COUNTS = (
    "usable", "used", "free", "node_cost", "pod_cost", "service_cost", "more_nodes", "more_pods", "more_services",
)  # fmt: skip
_COLUMNS = ("pool", "ip_family", "range", *_COUNTS[:3], "used_ratio", *_COUNTS[3:], "growth_ratio", "enforced", "binds")


def limits(cluster: Cluster, *, cloud: str | None = None) -> pd.DataFrame:
    """Tell what stops growth, each pool and each limit a row.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.
    cloud : {"azure-kubenet", "gcp-static-routes"}, optional
        Whose route table keeps a route for each node and family, which is a row more.

    Returns
    -------
    pandas.DataFrame
        Rows in the order pools are drawn on: node blocks, pod addresses, pods per node, cloud routes, service
        addresses, node ports, published thresholds; families in the order of the configuration. Columns:

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
        A cloud that is not known.

    Examples
    --------
    >>> from dsmodel import examples
    >>> frame = limits(examples.nearly_full())
    >>> frame.loc[frame["binds"], ["pool", "ip_family", "free"]].to_numpy().tolist()
    [['node blocks', 'IPv6', 0]]
    """
    rows = limits_of(cluster, cloud=cloud)
    frame = pd.DataFrame([asdict(row) for row in rows])
    frame["ip_family"] = [str(row.family) if row.family else "" for row in rows]
    for name in _COUNTS:
        frame[name] = frame[name].astype("Int64")
    frame["used_ratio"] = [row.used / row.usable if row.usable else float("nan") for row in rows]
    place = binding(rows)
    frame["binds"] = [row == place for row in range(len(rows))]
    return frame[[*_COLUMNS, "why"]]


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
