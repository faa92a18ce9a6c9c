"""What stops growth where a network plugin gives pods their addresses: its own pools, as rows of `limits_of`.

Promises one row a family for each kind of pool: ranges of which a node gets one ("node blocks"), blocks of which it may
get several ("plugin blocks"), addresses of a subnet ("subnet addresses"), pods' addresses, unless nodes fetch these as
they need them; and how many pods a node can have whatever its kubelet admits. Ranges a plugin does not use are no row:
node IPAM may run dry beside Calico.

What it does not know: selectors. Pools of one family are counted together, as if they served all nodes.

Sources: those of the plugins; projectcalico/calico#7382 and #4861 for the arithmetic of blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.cni.aws import AwsVpcCni
from dsmodel.cni.azure import MOST_PODS, AzureOverlay
from dsmodel.cni.calico import Calico
from dsmodel.cni.contract import PodCidrRole
from dsmodel.cni.gke import GKE
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.state import Cluster
    from dsmodel.cni.contract import NetworkPlugin, PoolUsage

__all__ = ["PluginRow", "node_blocks_count", "plugin_rows", "pods_a_node"]

_KINDS = {
    "node ranges": "node blocks",
    "blocks": "plugin blocks",
    "subnet addresses": "subnet addresses",
    "addresses": "pod addresses",
}


@dataclass(frozen=True)
class PluginRow:
    """One kind of pool of a plugin, of one family.

    Parameters
    ----------
    pool : str
        As `Limit.pool`.
    family : IPFamily
        Of its addresses.
    range : str
        All its ranges.
    usable, used, free : int
        Exact, also beyond 64 bits; what rests after a release is neither used nor free.
    per_node : int
        What one more node adds to it; 0 for none.
    waits : int
        Nodes that found none; they count as demand.
    stops : str
        What it stops: "nodes", "pods", or "" for nothing.
    why : str
        One sentence with the arithmetic and the plugin.
    """

    pool: str
    family: IPFamily
    range: str
    usable: int
    used: int
    free: int
    per_node: int
    waits: int
    stops: str
    why: str


def node_blocks_count(plugin: NetworkPlugin | None) -> bool:
    """Tell whether blocks of kube-controller-manager's node IPAM stop nodes.

    Parameters
    ----------
    plugin : NetworkPlugin or None
        None for host-local.

    Returns
    -------
    bool
        False where the plugin ignores podCIDRs.

    Raises
    ------
    None
        Every plugin has an answer.
    """
    return plugin is None or plugin.pod_cidr_role is not PodCidrRole.IGNORED


def pods_a_node(plugin: NetworkPlugin | None) -> tuple[int | None, str]:
    """Return how many pods' addresses the plugin can bring to one node, whatever its kubelet admits.

    Parameters
    ----------
    plugin : NetworkPlugin or None
        None for host-local.

    Returns
    -------
    tuple of int or None, str
        None where nothing but its pools limits a node; and the arithmetic.

    Raises
    ------
    None
        Every plugin has an answer.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import Cidr
    >>> from dsmodel.cni.calico import IPPool
    >>> pods_a_node(Calico([IPPool("p", Cidr("10.0.0.0/16"), 29)]))
    (160, 'calico lets a node own 20 blocks of a family, at most 160 addresses')
    """
    if isinstance(plugin, Calico):
        limit = plugin.config.block_limit
        widths = [max((pool.block_width for pool in plugin.tables[f].pools), default=0) for f in plugin.ip_families]
        most = limit * min(widths, default=0)
        return most, f"calico lets a node own {counted(limit, 'block')} of a family, at most {counted(most, 'address')}"
    if isinstance(plugin, AwsVpcCni):
        most = next(line.per_node for line in plugin.usage() if line.unit == "addresses")
        attached = plugin.interfaces
        return most + 2, (
            f"an instance has {counted(attached.count, 'interface')} of "
            f"{counted(attached.addresses, 'address')}, for {counted(most, 'pod')} "
            "and two of the host network"
        )
    if isinstance(plugin, GKE):
        return plugin.max_pods, f"gke sizes a node's alias range for {plugin.max_pods} pods and lets it run no more"
    if isinstance(plugin, AzureOverlay):
        return MOST_PODS, f"azure lets a node run {MOST_PODS} pods at most"
    return None, ""


def plugin_rows(cluster: Cluster) -> list[PluginRow]:
    """List the pools of a cluster's network plugin, one row a kind and family.

    Parameters
    ----------
    cluster : Cluster
        With a plugin; without one there are none.

    Returns
    -------
    list of PluginRow
        Ranges of nodes first, then blocks, subnets, pods' addresses.

    Raises
    ------
    None
        Every cluster has an answer.

    Examples
    --------
    >>> from dsmodel import Cluster, ClusterConfig
    >>> cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.0.0.0/16"]), network_plugin="calico")
    >>> [(row.pool, row.usable, row.stops) for row in plugin_rows(cluster)]
    [('plugin blocks', 1024, ''), ('pod addresses', 65536, 'pods')]
    """
    plugin = cluster.network_plugin
    if plugin is None:
        return []
    usage = plugin.usage()
    if _fetches(usage):  # what nodes hold ready says nothing about how many more they can have
        usage = [line for line in usage if line.unit != "addresses"]
    groups = [
        [line for line in usage if line.unit == unit and line.ip_family is family]
        for unit in _KINDS
        for family in plugin.ip_families
    ]
    return [_row(cluster, plugin, lines) for lines in groups if lines]


def _fetches(usage: Sequence[PoolUsage]) -> bool:
    """Tell whether nodes fetch addresses as their pods need them, from a subnet or in blocks of their own."""
    units = {line.unit for line in usage}
    loose = all(not line.cidrs for line in usage if line.unit == "addresses")
    return "subnet addresses" in units or ("blocks" in units and loose)


def _row(cluster: Cluster, plugin: NetworkPlugin, lines: Sequence[PoolUsage]) -> PluginRow:
    """Add up the pools of one kind and family."""
    unit, family, name = lines[0].unit, lines[0].ip_family, plugin.provenance.plugin
    usable, used = sum(line.usable for line in lines), sum(line.used for line in lines)
    free = sum(max(0, line.free) for line in lines)
    text = " + ".join(line.range for line in lines)
    waits, per_node, stops = 0, 0, "pods"
    if unit == "node ranges":
        waits, stops = _waiting(plugin, family), "nodes"
        wait = f", and {waits:,} without wait" if waits else ""
        why = f"{name} cuts {text}, {_amount(usable)} of them for one node each: {used:,} taken{wait}"
    elif unit == "blocks":
        strict = isinstance(plugin, Calico) and plugin.config.strict_affinity
        stops = "nodes" if strict or not isinstance(plugin, Calico) else ""
        beyond = "needs one" if stops else "has no block of its own and borrows"
        why = f"{name} cuts {text}, {_amount(usable)} of them: {used:,} exist; when all do, the next node {beyond}"
    elif unit == "subnet addresses":
        why = f"{name} fetches addresses of {text}: {_amount(usable)} without those the cloud keeps, {used:,} on nodes"
    else:
        per_node = _fresh(cluster, plugin, lines)
        brings = f", and one more node brings {_amount(per_node)}" if per_node else ""
        cooling = sum(line.cooling for line in lines)
        rests = f", {cooling:,} at rest" if cooling else ""
        why = f"{name} has {_amount(usable)} addresses for pods in {text}, {used:,} taken{rests}{brings}"
    why = f"{why} ({plugin.provenance.version}, {plugin.provenance.files[0]})."
    return PluginRow(_KINDS[unit], family, text, usable, used, free, per_node, waits, stops, why)


def _fresh(cluster: Cluster, plugin: NetworkPlugin, lines: Sequence[PoolUsage]) -> int:
    """Return how many addresses one more node brings."""
    if isinstance(plugin, RangePlugin) and plugin.pod_cidr_role is PodCidrRole.USED:
        family = lines[0].ip_family
        mask = cluster.config.node_cidr_mask_sizes.get(family, 0)
        return plugin.addresses_per_range(family, mask) or sum(line.per_node for line in lines)
    return sum(line.per_node for line in lines)


def _waiting(plugin: NetworkPlugin, family: IPFamily) -> int:
    """Count nodes that the plugin owes a range."""
    ranges = plugin.node_ranges.get(family)
    return 0 if ranges is None else int((ranges[1] == 0).sum())


def _amount(count: int) -> str:
    """Write a count; powers of two where it is too large to read."""
    return f"{count:,}" if count < 1 << 48 else f"2^{math.log2(count):.0f}"
