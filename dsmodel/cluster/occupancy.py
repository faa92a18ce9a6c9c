"""Put what the tables show into the pools, and list the pools.

Promises that after `occupy_all` every pool holds what the tables show, each thing once, and that what fits no pool is
a finding. A cursor that a dump does not hold stands where the component puts it on a restart (node IPAM: at the
start) or behind the highest address in use (host-local).

What it does not know: how tables came to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import from_integers, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cluster import checks
from dsmodel.cluster.schema import SERVICES
from dsmodel.cluster.table import Table
from dsmodel.kube.behaviour import behaviour_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dsmodel.cluster.checks import Finding
    from dsmodel.cluster.state import Cluster, ClusterPool
    from dsmodel.cni.contract import NetworkPlugin
    from dsmodel.pools.blocks import CidrSet

__all__ = ["create_kubernetes_service", "mark_blocks", "occupy_all", "occupy_pods", "occupy_services", "pools"]

ENDS = {IPFamily.IPV4: "ipv4", IPFamily.IPV6: "ipv6"}
_NUMBERS = {IPFamily.IPV4: 4, IPFamily.IPV6: 6}
_SUCCEEDED, _FAILED = 3, 4  # codes of schema.PHASES
# what each unit of a plugin's pool is called among the pools of a cluster
_KINDS = {
    "node ranges": "node blocks",
    "blocks": "plugin blocks",
    "subnet addresses": "subnet addresses",
    "addresses": "pod addresses",
}
_UNITS = tuple(_KINDS)


def create_kubernetes_service(cluster: Cluster) -> None:
    """Create ``default/kubernetes`` as kube-apiserver does: SingleStack, the first address of the first range.

    Parameters
    ----------
    cluster : Cluster
        Without Services.

    Raises
    ------
    None
        Without a service range, or with an empty one, there is no such Service.
    """
    if not cluster.config.service_cidrs:
        return
    first = cluster.config.service_cidrs[0]
    pool = cluster.service_ranges.ranges[first.family][0]
    if not pool.usable:
        return
    column = from_integers([first.first + 1], family=first.family)
    stores_families = behaviour_of(cluster.config.kube_version, cluster.config.feature_gates).dual_stack
    number, end = _NUMBERS[first.family], ENDS[first.family]
    cluster.services = Table(
        SERVICES,
        {
            "namespace": ["default"],
            "name": ["kubernetes"],
            "type": ["ClusterIP"],
            "ip_family_policy": ["SingleStack" if stores_families else ""],
            "ip_families": np.array([number if stores_families else 0], np.uint8),
            f"cluster_{end}": column,
            "primary_ip_family": np.array([number], np.uint8),
        },
    )
    cluster.service_ranges.occupy(column, family=first.family)


def occupy_all(cluster: Cluster) -> list[Finding]:
    """Put everything the tables show into empty pools.

    Parameters
    ----------
    cluster : Cluster
        With tables, and pools of its configuration.

    Returns
    -------
    list of (severity, rule, object, message)
        What is unsound.

    Raises
    ------
    None
        What fits no pool is a finding.
    """
    nodes = cluster.nodes
    for family, end in ENDS.items():
        present = nodes[f"has_pod_cidr_{end}"]
        bases = nodes[f"pod_cidr_{end}"]
        lengths = np.where(present, nodes[f"pod_cidr_{end}_mask"], np.uint8(0))
        cluster.pod_blocks[family].add(bases, lengths)
        for blocks in cluster.node_ipam.sets if cluster.node_ipam else ():
            if blocks.cluster_cidr.family is family:
                mark_blocks(blocks, bases[lengths > 0], lengths[lengths > 0])
    pods = cluster.pods
    finished = np.isin(pods["phase"], (_SUCCEEDED, _FAILED))
    holds = ~pods["host_network"] & ~finished & (pods["has_pod_ipv4"] | pods["has_pod_ipv6"])
    cluster.pods = pods.replace({"holds_address": holds})
    bound = ~finished & (pods["node"] >= 0)
    cluster.pod_counts = np.bincount(pods["node"][bound], minlength=len(nodes))
    inside = occupy_pods(cluster)
    for blocks_of_family in cluster.pod_blocks.values():
        blocks_of_family.continue_behind_highest()
    occupy_services(cluster)
    findings = checks.findings_at_reading(cluster, inside)
    duplicates = {"pod-address-duplicate", "cluster-ip-duplicate", "node-port-duplicate"}
    cluster.shared_addresses = any(rule in duplicates for _, rule, _, _ in findings)
    return findings


def mark_blocks(
    blocks: CidrSet, bases: NDArray[Any], prefix_lengths: NDArray[np.uint8], *, used: bool = True
) -> NDArray[np.bool_]:
    """Occupy or release the blocks that nodes' CIDRs touch, as kube-controller-manager's cidrset does.

    Parameters
    ----------
    blocks : CidrSet
        Of one cluster CIDR.
    bases : address column, shape (n,)
        Of the same family.
    prefix_lengths : ndarray of uint8, shape (n,)
        Longer ones touch the block they lie in, shorter ones several.
    used : bool, default True
        False to release.

    Returns
    -------
    ndarray of bool, shape (n,)
        Whether the CIDR overlaps the cluster CIDR.

    Raises
    ------
    None
        A CIDR outside changes nothing.
    """
    indices, inside = blocks.indices(bases)
    small = inside & (prefix_lengths >= blocks.block_prefix_length)
    (blocks.occupy if used else blocks.release)(indices[small])
    found = small.copy()
    family = blocks.cluster_cidr.family
    for row in np.flatnonzero(~small).tolist():
        cidr = Cidr.from_parts(family, to_integers(bases[row : row + 1])[0], int(prefix_lengths[row]), host_bits="mask")
        if cidr.overlaps(blocks.cluster_cidr):
            (blocks.occupy_cidr if used else blocks.release_cidr)(cidr)
            found[row] = True
    return found


def occupy_pods(cluster: Cluster) -> dict[IPFamily, NDArray[np.bool_]]:
    """Mark the addresses that pods hold on their nodes; no cursor moves.

    Parameters
    ----------
    cluster : Cluster
        With blocks for its nodes.

    Returns
    -------
    dict of IPFamily to ndarray of bool
        Whether each pod's address lies in its node's block.

    Raises
    ------
    None
        An address outside changes nothing.
    """
    pods, result = cluster.pods, {}
    for family, end in ENDS.items():
        result[family] = np.zeros(len(pods), np.bool_)
        rows = np.flatnonzero(pods[f"has_pod_{end}"] & pods["holds_address"] & (pods["node"] >= 0))
        if not len(rows):
            continue
        nodes, column = pods["node"][rows], pods[f"pod_{end}"][rows]
        ordinals, inside = cluster.pod_blocks[family].ordinals(nodes, column)
        result[family][rows] = inside
        cluster.pod_blocks[family].occupy(nodes[inside], ordinals[inside])
    return result


def occupy_services(cluster: Cluster) -> None:
    """Mark the cluster IPs and node ports that Services hold.

    Parameters
    ----------
    cluster : Cluster
        With its service ranges.

    Raises
    ------
    None
        What lies outside changes nothing.
    """
    for family, end in ENDS.items():
        column = cluster.services[f"cluster_{end}"][cluster.services[f"has_cluster_{end}"]]
        cluster.service_ranges.occupy(column, family=family)
    offsets, inside = cluster.port_range.offsets(cluster.node_ports["node_port"])
    cluster.port_range.occupy(offsets[inside])


def pools(cluster: Cluster) -> Iterator[ClusterPool]:
    """Yield every pool of a cluster.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.

    Yields
    ------
    ClusterPool
        Node blocks, pod addresses, service addresses, node ports.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    yield from _node_blocks(cluster)
    yield from _pod_addresses(cluster) if cluster.network_plugin is None else _plugin_pools(cluster.network_plugin)
    yield from _service_addresses(cluster)
    ports = cluster.port_range
    yield _pool(
        kind="node ports",
        family=None,
        range=f"{ports.first_port}-{ports.last_port}",
        size=ports.size,
        usable=ports.usable,
        used=ports.used,
        free=ports.free,
        band_offset=ports.band_offset,
    )


def _node_blocks(cluster: Cluster) -> Iterator[ClusterPool]:
    sets = cluster.node_ipam.sets if cluster.node_ipam else ()
    leaked = cluster.node_ipam.leaked if cluster.node_ipam else ()
    for blocks, lost, reserved in zip(sets, leaked, cluster.reserved_blocks, strict=True):
        yield _pool(
            kind="node blocks",
            family=blocks.cluster_cidr.family,
            range=str(blocks.cluster_cidr),
            size=blocks.max_blocks,
            usable=blocks.usable,
            used=blocks.used,
            free=blocks.free,
            block_prefix_length=blocks.block_prefix_length,
            reserved=reserved,
            leaked=lost,
        )


def _pod_addresses(cluster: Cluster) -> Iterator[ClusterPool]:
    named = {cidr.family: cidr for cidr in cluster.config.cluster_cidrs}
    for family in dict.fromkeys((*named, *IPFamily)):
        blocks = cluster.pod_blocks[family]
        if family not in named and not blocks.prefix_lengths.any():
            continue
        lengths, counts = np.unique(blocks.prefix_lengths[blocks.prefix_lengths > 0], return_counts=True)
        sizes = [
            count << (family.bits - length) for length, count in zip(lengths.tolist(), counts.tolist(), strict=True)
        ]
        usable = blocks.total_usable()
        used = int(blocks.used().sum())
        yield _pool(
            kind="pod addresses",
            family=family,
            range=str(named.get(family, f"{family} blocks of the nodes")),
            size=sum(sizes),
            usable=usable,
            used=used,
            free=usable - int(blocks.used(tracked_only=True).sum()),
            block_prefix_length=cluster.config.node_cidr_mask_sizes.get(family, 0),
            withheld=sum(sizes) - usable,
        )


def _plugin_pools(plugin: NetworkPlugin) -> Iterator[ClusterPool]:
    """Yield the pools of a network plugin; node ranges first, as nodes come before pods."""
    lines = sorted(plugin.usage(), key=lambda line: _UNITS.index(line.unit))
    for line in lines:
        yield _pool(
            kind=_KINDS[line.unit],
            family=line.ip_family,
            range=line.range,
            size=line.usable + line.reserved,
            usable=line.usable,
            used=line.used,
            free=max(0, line.free),
            name=f"{plugin.provenance.plugin}: {line.pool}",
            withheld=line.reserved,
            cooling=line.cooling,
            cidrs=line.cidrs,
        )


def _service_addresses(cluster: Cluster) -> Iterator[ClusterPool]:
    for family, ranges in cluster.service_ranges.ranges.items():
        for pool in ranges:
            yield _pool(
                kind="service addresses",
                family=family,
                range=str(pool.cidr),
                size=pool.size,
                usable=pool.usable,
                used=pool.used,
                free=pool.free,
                band_offset=pool.band_offset,
                withheld=pool.size - pool.usable,
            )


def _pool(**fields: Any) -> ClusterPool:
    from dsmodel.cluster.state import ClusterPool

    return ClusterPool(**fields)
