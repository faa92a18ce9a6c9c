"""Who has how much: every pool, or every node, by family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import from_integers, mask_prefix
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.text import format_addresses
from dsmodel.cni.contract import PodCidrRole
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.errors import InvalidInput
from dsmodel.planning.limits import CANNOT_RUN_OUT, admitted_pods

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster, ClusterPool
    from dsmodel.cni.contract import NetworkPlugin

__all__ = ["utilization"]

# what the counts of a plugin's pool are
_WORDS = {
    "node blocks": "counted in ranges of which a node gets one",
    "plugin blocks": "counted in blocks of which a node may get several",
    "subnet addresses": "those that nodes hold ready count as used",
    "pod addresses": "addresses of pods",
}


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
        out), ``used_ratio`` (0-1), then four counts kept apart (Int64, missing where they mean nothing):
        ``allocated`` as its allocator has it, ``seen_on_pods`` (addresses of the pool that pods of the table hold;
        for node blocks, nodes that show one), ``reserved`` (never handed out, and not among the usable ones),
        ``cooling`` (given back and resting; neither used nor free); then ``why``. Where more is allocated than seen,
        something else holds it: tunnels, pods of another network, or a leak. By node also ``node``, ``node_pool``,
        ``zone`` in front. Sorted as the nodes are in the table, then by pool.

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
    frame["allocated"] = pd.array(used, "Int64")
    frame["seen_on_pods"] = pd.array([_seen(cluster, row) for row in rows], "Int64")
    withheld = [min(row.reserved + row.withheld, CANNOT_RUN_OUT) for row in rows]
    endless = np.array([count >= CANNOT_RUN_OUT for count in withheld], np.bool_)
    frame["reserved"] = pd.arrays.IntegerArray(np.array(withheld, np.int64), endless)
    frame["cooling"] = pd.array([row.cooling for row in rows], "Int64")
    frame["why"] = [_why(row, cluster.network_plugin) for row in rows]
    return frame


def _seen(cluster: Cluster, row: ClusterPool) -> int | None:
    """Count what the tables show of a pool."""
    if row.family is None or row.kind not in {"node blocks", "pod addresses"}:
        return None
    end = str(row.family).lower()
    if row.kind == "node blocks":
        return _nodes_seen(cluster, row)
    held = cluster.pods[f"has_pod_{end}"] & cluster.pods["holds_address"]
    column = cluster.pods[f"pod_{end}"][held]
    if row.cidrs:
        return int(np.count_nonzero(_within(column, row.cidrs)))
    nodes = cluster.pods["node"][held]
    known = nodes >= 0
    plugin = cluster.network_plugin
    if isinstance(plugin, RangePlugin):
        return int(np.count_nonzero(plugin.ranges[row.family].ordinals(nodes[known], column[known])[1]))
    return int(np.count_nonzero(cluster.pod_blocks[row.family].ordinals(nodes[known], column[known])[1]))


def _nodes_seen(cluster: Cluster, row: ClusterPool) -> int | None:
    """Count the nodes that show a block of a range; None where they show none of the plugin's."""
    plugin, family = cluster.network_plugin, row.family
    assert family is not None  # noqa: S101 - blocks have a family; tells the type checker
    if row.name and plugin is not None and family not in plugin.node_ranges:
        return None
    if row.name and plugin is not None:
        bases, lengths = plugin.node_ranges[family]
        present, cidrs = lengths > 0, row.cidrs
    else:
        end = str(family).lower()
        present, bases = cluster.nodes[f"has_pod_cidr_{end}"], cluster.nodes[f"pod_cidr_{end}"]
        cidrs = (Cidr(row.range),)
    return int(np.count_nonzero(_within(bases[present], cidrs)))


def _within(column: NDArray[Any], cidrs: tuple[Cidr, ...]) -> NDArray[np.bool_]:
    """Tell which addresses lie in some ranges."""
    inside = np.zeros(len(column), np.bool_)
    for cidr in cidrs:
        base = from_integers([cidr.first], family=cidr.family)
        inside |= mask_prefix(column, cidr.prefix_length) == base
    return inside


def _why(row: ClusterPool, plugin: NetworkPlugin | None) -> str:
    """Say what a pool's numbers mean."""
    if row.name:
        return f"{row.name}, {_WORDS[row.kind]}"
    if row.kind == "node blocks":
        parts = [f"/{row.block_prefix_length} blocks"]
        if plugin is not None and plugin.pod_cidr_role is PodCidrRole.IGNORED:
            parts.append(f"which {plugin.provenance.plugin} ignores")
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
    parts = [_ranges_by_node(cluster, family).assign(order=order) for order, family in enumerate(IPFamily)]
    admitted = admitted_pods(cluster)
    part = pd.DataFrame({"place": places, "order": len(parts), "pool": "pods per node", "ip_family": "", "range": ""})
    running = cluster.pod_counts[: len(nodes)]
    part = _with_amounts(part, admitted, running, np.maximum(admitted - running, 0))
    part["why"] = "pods the kubelet admits, those on the host network included"
    frame = pd.concat([*parts, part], ignore_index=True).sort_values(["place", "order"], ignore_index=True)
    for place, (column, source) in enumerate((("node", "name"), ("node_pool", "node_pool"), ("zone", "zone"))):
        frame.insert(place, column, words[source].iloc[frame["place"]].to_numpy())
    return frame.drop(columns=["place", "order"])


def _ranges_by_node(cluster: Cluster, family: IPFamily) -> pd.DataFrame:
    """Count the addresses of each node's own range; what nodes share is no row."""
    plugin, blocks = cluster.network_plugin, cluster.pod_blocks[family]
    bases, lengths, usable, used, free = (
        blocks.bases,
        blocks.prefix_lengths,
        blocks.usable(),
        blocks.used(),
        blocks.free(),
    )
    if isinstance(plugin, RangePlugin) and family in plugin.ranges:
        ranges = plugin.ranges[family]
        bases, lengths, used, free = ranges.bases, ranges.prefix_lengths, plugin.used_by_pods(family), ranges.free()
        usable = free + used.astype(np.uint64)
    has = np.flatnonzero(lengths)
    texts = zip(format_addresses(bases[has]).tolist(), lengths[has].tolist(), strict=True)
    part = pd.DataFrame({"place": has, "pool": "pod addresses", "ip_family": str(family)})
    part["range"] = [f"{address}/{length}" for address, length in texts]
    counts = (np.minimum(count[has], CANNOT_RUN_OUT).astype(np.int64) for count in (usable, used, free))
    part = _with_amounts(part, *counts)
    name = plugin.provenance.plugin if plugin else "host-local"
    part["why"] = f"addresses of the node's block that {name} can hand out"
    return part


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
