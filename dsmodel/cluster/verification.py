"""Is the model right about this cluster: what its allocators would have done, against what the tables show.

Promises one row a statement of the model that a dump can confirm or deny, with the share of objects that agree and the
first that does not. Where the order of allocation can be known the allocators are run again: node blocks by count and
across the families, host-local's addresses across the families as long as no lap is possible. A low share means that
the model does not fit this cluster (another network plugin, another allocator, objects made by hand), not that the
cluster is unsound: that is `dsmodel.cluster.checks`.

What it does not know: cursors, which no dump holds, and what was deleted before the dump.

Sources: ``pkg/controller/nodeipam/ipam/range_allocator.go`` and ``cidrset/cidr_set.go``,
``pkg/registry/core/service/ipallocator`` and ``portallocator``, ``pkg/kubelet/kubelet_pods.go`` (sortPodIPs) of
v1.36.2; ``plugins/ipam/host-local`` of containernetworking/plugins; GKE's ranges as in `dsmodel.cni.gke`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import equal, mask_prefix
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.checks.rules import ENDS, Subject, address_text, cidr_text, pod_name, service_name
from dsmodel.cni.calico import Calico
from dsmodel.cni.gke import GKE, pod_prefix
from dsmodel.cni.gke.plugin import FEWEST, INTERFACE, MOST, POD_BLOCK
from dsmodel.errors import Reason
from dsmodel.pools.blocks import CidrSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster

__all__ = ["verify"]

_COLUMNS = ("what", "checked", "matching", "match_ratio", "first_difference", "why")
_CODES = {IPFamily.IPV4: 4, IPFamily.IPV6: 6}
_SINGLE, _REQUIRE = 1, 3  # codes of schema.IP_FAMILY_POLICIES
_EXTERNAL_NAME = 4  # code of schema.SERVICE_TYPES
_KEPT = 2  # first addresses of a block that host-local never hands out: network and gateway


@dataclass(frozen=True)
class _Statement:
    """What the model says, the rows it speaks of, which agree, and how a row that does not is written."""

    what: str
    rows: NDArray[np.intp]
    agrees: NDArray[np.bool_]
    written: Callable[[int], str]
    why: str


def verify(cluster: Cluster) -> pd.DataFrame:
    """Compare what the model would have done with what a cluster shows.

    Parameters
    ----------
    cluster : Cluster
        Read from a dump, or made: then everything agrees.

    Returns
    -------
    pandas.DataFrame
        ``what`` the model says, how many objects were ``checked``, how many are ``matching`` (int64),
        ``match_ratio`` (0-1), ``first_difference`` in order of the table ("" where all agree), ``why`` the model says
        so and what else explains a difference. Statements without an object to check are left out. In the order node
        blocks, pod addresses, service addresses, node ports.

    Raises
    ------
    None
        Every cluster has an answer.

    Examples
    --------
    >>> from dsmodel import examples
    >>> frame = verify(examples.kubeadm_dual_stack())
    >>> frame["what"][0], int(frame["checked"][0]), set(frame["match_ratio"].tolist())
    ('node blocks, IPv4: one block of the cluster CIDR each', 6, {1.0})
    """
    pods = (
        (_pod_places, _pods_in_step) if cluster.network_plugin is None else (_gke_ranges, _plugin_places, _plugin_holds)
    )
    parts = (_node_blocks, _nodes_in_step, *pods, _pod_order, _cluster_ips, _policies, _node_ports)
    rows: list[tuple[Any, ...]] = []
    for statement in (statement for part in parts for statement in part(cluster)):
        checked = len(statement.rows)
        if not checked:
            continue
        matching = int(np.count_nonzero(statement.agrees))
        wrong = np.flatnonzero(~statement.agrees)
        first = statement.written(int(statement.rows[wrong[0]])) if len(wrong) else ""
        rows.append((statement.what, checked, matching, matching / checked, first, statement.why))
    kinds = {"what": "str", "checked": "int64", "matching": "int64", "match_ratio": "float64"}
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype({**kinds, "first_difference": "str", "why": "str"})


def _sets(cluster: Cluster) -> Iterator[tuple[CidrSet, NDArray[np.intp], NDArray[np.uint64], NDArray[np.bool_]]]:
    """Yield each set of node blocks, the nodes with a block of its family, their block and whether they are one."""
    for blocks in cluster.node_ipam.sets if cluster.node_ipam else ():
        end = ENDS[blocks.cluster_cidr.family]
        rows = np.flatnonzero(cluster.nodes[f"has_pod_cidr_{end}"])
        indices, inside = blocks.indices(cluster.nodes[f"pod_cidr_{end}"][rows])
        lengths = cluster.nodes[f"pod_cidr_{end}_mask"][rows]
        yield blocks, rows, indices, inside & (lengths == blocks.block_prefix_length)


def _node_blocks(cluster: Cluster) -> Iterator[_Statement]:
    """Compare podCIDRs with the blocks there are, and with those a set hands out first."""
    nodes = cluster.nodes
    for blocks, rows, indices, whole in _sets(cluster):
        family = blocks.cluster_cidr.family
        end = ENDS[family]

        def written(row: int, end: str = end) -> str:
            return (
                f"Node/{nodes['name'][row]}: {cidr_text(nodes[f'pod_cidr_{end}'], nodes[f'pod_cidr_{end}_mask'], row)}"
            )

        yield _Statement(
            f"node blocks, {family}: one block of the cluster CIDR each",
            rows,
            whole,
            written,
            f"node IPAM cuts {blocks.cluster_cidr} into /{blocks.block_prefix_length} blocks; others come from another "
            "allocator, an older mask or a Node made with podCIDRs",
        )
        fresh = CidrSet(blocks.cluster_cidr, blocks.block_prefix_length)
        for cidr in cluster.config.service_cidrs:
            if cidr.overlaps(fresh.cluster_cidr):
                fresh.occupy_cidr(cidr)
        expected = np.asarray(fresh.allocate_next(len(rows)), np.uint64)
        yield _Statement(
            f"node blocks, {family}: those a fresh controller hands out first",
            rows,
            whole & np.isin(indices, expected),
            written,
            f"blocks go out in order from the lowest, so {len(rows):,} nodes hold the first {len(rows):,}; deleted "
            "nodes and blocks lost to a full family leave gaps until a restart or a lap",
        )


def _nodes_in_step(cluster: Cluster) -> Iterator[_Statement]:
    """Compare the order of nodes by their first block with the order by their second."""
    sets = list(_sets(cluster))
    if len(sets) < 2:
        return
    nodes = cluster.nodes
    (_, rows, first, whole), (_, other_rows, second, other_whole) = sets
    both, mine, theirs = np.intersect1d(rows, other_rows, assume_unique=True, return_indices=True)
    usable = whole[mine] & other_whole[theirs]
    both, one, two = both[usable], first[mine[usable]], second[theirs[usable]]
    ranks = [np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (one, two)]
    yield _Statement(
        "node blocks: both families in the same order",
        both,
        ranks[0] == ranks[1],
        lambda row: f"Node/{nodes['name'][row]}: the order of its blocks differs between the families",
        "one attempt takes a block of each family, so both cursors go on together; deleted nodes let one family fill "
        "gaps where the other has none",
    )


def _pod_places(cluster: Cluster) -> Iterator[_Statement]:
    """Compare pods' addresses with what host-local can hand out in their node's block."""
    pods = cluster.pods
    for family, rows, ordinals, inside in _ordinals(cluster):
        column = pods[f"pod_{ENDS[family]}"]
        blocks = cluster.pod_blocks[family]
        nodes = pods["node"][rows]
        good = inside & (ordinals >= _KEPT)
        if family is IPFamily.IPV4:
            good &= ordinals < (np.uint64(1) << (np.uint64(32) - blocks.prefix_lengths[nodes].astype(np.uint64))) - 1
        yield _Statement(
            f"pod addresses, {family}: of the node's block, not its network, gateway or broadcast",
            rows,
            good,
            lambda row, column=column: f"{pod_name(pods, row)}: {address_text(column, row)}",  # type: ignore[misc]
            "host-local gives addresses of the node's podCIDR without the first two and, in IPv4, the last; plugins "
            "with pools of their own do otherwise",
        )


def _ordinals(
    cluster: Cluster,
) -> Iterator[tuple[IPFamily, NDArray[np.intp], NDArray[np.uint64], NDArray[np.bool_]]]:
    """Yield the pods with an address of each family on a known node, and where it lies in the node's block."""
    pods = cluster.pods
    for family, end in ENDS.items():
        blocked = np.append(cluster.pod_blocks[family].prefix_lengths > 0, [False])
        rows = np.flatnonzero(pods[f"has_pod_{end}"] & pods["holds_address"] & blocked[pods["node"]])
        yield family, rows, *cluster.pod_blocks[family].ordinals(pods["node"][rows], pods[f"pod_{end}"][rows])


def _pods_in_step(cluster: Cluster) -> Iterator[_Statement]:
    """Compare the places of a pod's two addresses, which host-local's cursors reach together before the first lap."""
    pods = cluster.pods
    (_, rows, first, inside), (_, other_rows, second, other_inside) = _ordinals(cluster)
    both, mine, theirs = np.intersect1d(rows, other_rows, assume_unique=True, return_indices=True)
    lengths = cluster.pod_blocks[IPFamily.IPV4].prefix_lengths[pods["node"][both]].astype(np.uint64)
    end = (np.uint64(1) << (np.uint64(32) - lengths)) - np.uint64(1)
    early = inside[mine] & other_inside[theirs] & (second[theirs] < end)
    yield _Statement(
        "pod addresses: both families at the same place of their block",
        both[early],
        first[mine[early]] == second[theirs[early]],
        lambda row: (
            f"{pod_name(pods, row)}: {address_text(pods['pod_ipv4'], row)} and {address_text(pods['pod_ipv6'], row)}"
        ),
        "host-local moves a cursor in each family for each pod, so places agree until the IPv4 block is lapped; a "
        "plugin that chooses otherwise, or a node that became dual-stack with pods on it, differs",
    )


def _gke_ranges(cluster: Cluster) -> Iterator[_Statement]:
    """Compare the ranges of GKE's nodes with those that their maximum of pods and their interface demand."""
    plugin, nodes = cluster.network_plugin, cluster.nodes
    if not isinstance(plugin, GKE):
        return
    for family, (bases, lengths) in plugin.node_ranges.items():
        if family is IPFamily.IPV4:
            admitted = nodes["allocatable_pods"]
            rows = np.flatnonzero((lengths > 0) & (admitted >= FEWEST) & (admitted <= MOST))
            what, agrees = "of the length of its maximum of pods", lengths[rows] == pod_prefix(admitted[rows])
        else:
            rows = np.flatnonzero((lengths > 0) & nodes["has_internal_ipv6"])
            own = mask_prefix(nodes["internal_ipv6"][rows], INTERFACE)
            what, agrees = "the first /112 of its interface", equal(own, bases[rows]) & (lengths[rows] == POD_BLOCK)
        yield _Statement(
            f"node ranges, {family}: {what}",
            rows,
            agrees,
            lambda row, bases=bases, lengths=lengths: (  # type: ignore[misc]
                f"Node/{nodes['name'][row]}: {cidr_text(bases, lengths, row)}"
            ),
            "the cloud gives a node pool's machines one length, and the controller takes the podCIDR of IPv6 from the "
            "interface; a kubelet's maximum that was changed afterwards differs",
        )


def _plugin_places(cluster: Cluster) -> Iterator[_Statement]:
    """Compare pods' addresses with the ranges of the network plugin."""
    plugin, pods = cluster.network_plugin, cluster.pods
    assert plugin is not None  # noqa: S101 - the caller asked; tells the type checker
    inside = Subject(cluster).inside
    for family in plugin.ip_families:
        if family not in plugin.node_ranges and not any(cidr.family is family for cidr in plugin.cidrs):
            continue  # its ranges are not known
        column, has = pods[f"pod_{ENDS[family]}"], pods[f"has_pod_{ENDS[family]}"]
        rows = np.flatnonzero(has & pods["holds_address"] & (pods["node"] >= 0))
        where = "of the node's range" if family in plugin.node_ranges else "of its pools"
        yield _Statement(
            f"pod addresses, {family}: {where}, {plugin.provenance.plugin}",
            rows,
            inside[family][rows],
            lambda row, column=column: f"{pod_name(pods, row)}: {address_text(column, row)}",  # type: ignore[misc]
            "the plugin gives no others; pods keep what they had when a range changes, and another plugin may have "
            "served before",
        )


def _plugin_holds(cluster: Cluster) -> Iterator[_Statement]:
    """Compare pods' addresses with what Calico's blocks say is allocated."""
    plugin, pods = cluster.network_plugin, cluster.pods
    if not isinstance(plugin, Calico):
        return
    for family in plugin.ip_families:
        column, has = pods[f"pod_{ENDS[family]}"], pods[f"has_pod_{ENDS[family]}"]
        rows = np.flatnonzero(has & pods["holds_address"] & (pods["node"] >= 0))
        yield _Statement(
            f"pod addresses, {family}: allocated in a block",
            rows,
            plugin.holds(family, column[rows]),
            lambda row, column=column: f"{pod_name(pods, row)}: {address_text(column, row)}",  # type: ignore[misc]
            "a pod's address is in an IPAMBlock as long as the pod runs; one that is not may be given out again "
            "(ipAddrsNoIpam leaves no record)",
        )


def _pod_order(cluster: Cluster) -> Iterator[_Statement]:
    """Compare the family of podIP with the node's primary one."""
    pods = cluster.pods
    rows = np.flatnonzero(pods["holds_address"] & pods["has_pod_ipv4"] & pods["has_pod_ipv6"] & (pods["node"] >= 0))
    if not cluster.config.kube_version.rule("kubelet_orders_pod_ips"):
        return
    primary = cluster.nodes["primary_ip_family"][pods["node"][rows]]
    known = (primary > 0) & (pods["primary_ip_family"][rows] > 0)
    rows, primary = rows[known], primary[known]
    yield _Statement(
        "pod addresses: podIP of the node's primary family",
        rows,
        pods["primary_ip_family"][rows] == primary,
        lambda row: f"{pod_name(pods, row)}: podIP is IPv{pods['primary_ip_family'][row]}",
        "the kubelet puts the family of its first node IP first, taken here to be that of the node's first podCIDR",
    )


def _cluster_ips(cluster: Cluster) -> Iterator[_Statement]:
    """Compare cluster IPs with their ranges and with the dynamic band."""
    services = cluster.services
    for family, ranges in cluster.service_ranges.ranges.items():
        column = services[f"cluster_{ENDS[family]}"]
        rows = np.flatnonzero(services[f"has_cluster_{ENDS[family]}"])
        own = (services["namespace"][rows] == "default") & (services["name"][rows] == "kubernetes")
        inside, dynamic = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
        for pool in ranges:
            offsets, there = pool.offsets(column[rows])
            places = np.flatnonzero(there)
            places = places[pool.allocate(offsets[places], dry_run=True).reason != Reason.NOT_IN_RANGE]
            inside[places] = True
            above = offsets[places] > pool.band_offset  # offset 0 is the network, never handed out
            is_full = np.count_nonzero(above) >= pool.usable - pool.band_offset
            dynamic[places] |= above | is_full

        def written(row: int, column: NDArray[Any] = column) -> str:
            return f"{service_name(services, row)}: {address_text(column, row)}"

        yield _Statement(
            f"service addresses, {family}: usable addresses of a range",
            rows,
            inside,
            written,
            "the API server gives and accepts nothing else; a range that was changed since leaves older ones outside",
        )
        if any(pool.band_offset for pool in ranges):
            yield _Statement(
                f"service addresses, {family}: above the static band",
                rows[inside & ~own],
                dynamic[inside & ~own],
                written,
                "addresses of the allocator's choice come from above the band until that is full; those below were "
                "asked for, as usually that of DNS, or are older than the band",
            )


def _policies(cluster: Cluster) -> Iterator[_Statement]:
    """Compare the cluster IPs of Services with their policy and the order of their families."""
    services = cluster.services
    count = services["has_cluster_ipv4"].astype(np.int64) + services["has_cluster_ipv6"]
    policy, families = services["ip_family_policy"], services["ip_families"]
    rows = np.flatnonzero((policy > 0) & (count > 0) & (services["type"] != _EXTERNAL_NAME))
    available = len(cluster.service_ranges.families)
    wanted = np.where(policy == _SINGLE, 1, np.where(policy == _REQUIRE, 2, min(available, 2)))
    yield _Statement(
        "service addresses: as many as the ipFamilyPolicy asks for",
        rows,
        count[rows] == wanted[rows],
        lambda row: f"{service_name(services, row)}: {count[row]} cluster IPs, {wanted[row]} expected",
        "SingleStack has one, RequireDualStack two, PreferDualStack one of each range's family; a PreferDualStack "
        "Service from before the second range keeps one until it is updated",
    )
    rows = rows[families[rows] > 0]
    first = np.where(families >= 10, families // 10, families)
    yield _Statement(
        "service addresses: clusterIP of the first of ipFamilies",
        rows,
        services["primary_ip_family"][rows] == first[rows],
        lambda row: f"{service_name(services, row)}: clusterIP is IPv{services['primary_ip_family'][row]}",
        "the API server allocates in the order of ipFamilies",
    )


def _node_ports(cluster: Cluster) -> Iterator[_Statement]:
    """Compare node ports with their range and with the dynamic band."""
    table, ports = cluster.node_ports, cluster.port_range
    offsets, inside = ports.offsets(table["node_port"])
    rows = np.arange(len(table))

    def written(row: int) -> str:
        return f"{service_name(cluster.services, int(table['service'][row]))}: {table['node_port'][row]}"

    why = "the API server gives and accepts no other; a range that was changed since leaves older ones outside"
    yield _Statement("node ports: of the range", rows, inside, written, why)
    above = inside & (offsets >= ports.band_offset)
    if ports.band_offset:
        yield _Statement(
            "node ports: above the static band",
            rows[inside],
            above[inside] | (np.count_nonzero(above) >= ports.usable - ports.band_offset),
            written,
            "ports of the allocator's choice come from above the band until that is full; those below were asked for, "
            "or are older than the band",
        )
