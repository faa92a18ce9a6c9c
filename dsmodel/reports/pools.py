"""Who has how much: every pool, or every node, by family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from dsmodel.addresses.cidr import IPFamily
from dsmodel.errors import InvalidInput
from dsmodel.planning.limits import CANNOT_RUN_OUT, admitted_pods

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster, ClusterPool

__all__ = ["utilization"]


def utilization(cluster: Cluster, *, by: Literal["pool", "node"] = "pool") -> pd.DataFrame:
    """Tell how full every pool is.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.
    by : {"pool", "node"}, default "pool"
        One row a pool, service ranges apart from each other; or one row a node and family, and one for its pod limit.

    Returns
    -------
    pandas.DataFrame
        ``pool``, ``ip_family``, ``range``, ``usable``, ``used``, ``free`` (Int64, missing where the pool cannot run
        out), ``used_ratio`` (0-1), ``why``; by node also ``node``, ``node_pool``, ``zone`` in front. Sorted as the
        nodes are in the table, then by pool.

    Raises
    ------
    InvalidInput
        If ``by`` is another word.

    Examples
    --------
    >>> from dsmodel import Cluster, ClusterConfig
    >>> cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"], service_cidrs=["10.96.0.0/24"]))
    >>> utilization(cluster)[["pool", "range", "usable", "used"]]
                    pool          range  usable  used
    0        node blocks  10.244.0.0/16     256     0
    1      pod addresses  10.244.0.0/16       0     0
    2  service addresses   10.96.0.0/24     254     1
    3         node ports    30000-32767    2768     0
    """
    if by == "pool":
        return _by_pool(cluster)
    if by == "node":
        return _by_node(cluster)
    raise InvalidInput(f'by={by!r}: allowed are "pool" and "node"')


def _by_pool(cluster: Cluster) -> pd.DataFrame:
    rows = list(cluster.pools())
    usable = np.array([min(row.usable - row.reserved, CANNOT_RUN_OUT) for row in rows], np.int64)
    used = np.array([row.used - row.reserved for row in rows], np.int64)
    free = np.array([min(row.free, CANNOT_RUN_OUT) for row in rows], np.int64)
    frame = pd.DataFrame(
        {
            "pool": [row.kind for row in rows],
            "ip_family": [str(row.family) if row.family else "" for row in rows],
            "range": [row.range for row in rows],
        }
    )
    frame = _with_amounts(frame, usable, used, free)
    frame["why"] = [_why(row) for row in rows]
    return frame


def _why(row: ClusterPool) -> str:
    """Say what a pool's numbers mean."""
    if row.kind == "node blocks":
        parts = [f"/{row.block_prefix_length} blocks"]
        parts += [f"{row.reserved:,} more lie under a service range"] * bool(row.reserved)
        parts += [f"{row.leaked:,} belong to no node until kube-controller-manager restarts"] * bool(row.leaked)
        return ", ".join(parts)
    if row.kind == "pod addresses":
        return "addresses host-local can hand out in the blocks that nodes have"
    band = f", the {row.band_offset:,} lowest (static band) handed out last" if row.band_offset else ""
    return ("ports for both families and all protocols" if row.kind == "node ports" else "cluster IPs") + band


def _by_node(cluster: Cluster) -> pd.DataFrame:
    nodes = cluster.nodes
    words = nodes.to_frame()
    places = np.arange(len(nodes))
    parts = []
    for order, family in enumerate(IPFamily):
        blocks = cluster.pod_blocks[family]
        has = np.flatnonzero(blocks.prefix_lengths)
        part = pd.DataFrame(
            {
                "place": places[has],
                "order": order,
                "pool": "pod addresses",
                "ip_family": str(family),
                "range": words[f"pod_cidr_{str(family).lower()}"].iloc[has].to_numpy(),
            }
        )
        usable, free = (np.minimum(c[has], CANNOT_RUN_OUT).astype(np.int64) for c in (blocks.usable(), blocks.free()))
        part = _with_amounts(part, usable, blocks.used()[has], free)
        part["why"] = "addresses of the node's block that host-local can hand out"
        parts.append(part)
    admitted = admitted_pods(cluster)
    part = pd.DataFrame({"place": places, "order": len(parts), "pool": "pods per node", "ip_family": "", "range": ""})
    running = cluster.pod_counts[: len(nodes)]
    part = _with_amounts(part, admitted, running, np.maximum(admitted - running, 0))
    part["why"] = "pods the kubelet admits, those on the host network included"
    frame = pd.concat([*parts, part], ignore_index=True).sort_values(["place", "order"], ignore_index=True)
    for place, (column, source) in enumerate((("node", "name"), ("node_pool", "node_pool"), ("zone", "zone"))):
        frame.insert(place, column, words[source].iloc[frame["place"]].to_numpy())
    return frame.drop(columns=["place", "order"])


def _with_amounts(
    frame: pd.DataFrame, usable: NDArray[np.int64], used: NDArray[np.integer], free: NDArray[np.int64]
) -> pd.DataFrame:
    """Add the counts; those of a pool that cannot run out are missing."""
    endless = usable >= CANNOT_RUN_OUT
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(usable > 0, used / usable, np.nan)
    counts = (("usable", usable, endless), ("used", used, np.zeros_like(endless)), ("free", free, endless))
    for name, values, missing in counts:
        frame[name] = pd.arrays.IntegerArray(values.astype(np.int64), missing)
    return frame.assign(used_ratio=np.where(endless, np.nan, ratio))
