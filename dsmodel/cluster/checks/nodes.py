"""Rules about nodes: their blocks, what kube-controller-manager makes of them at its next start, their addresses.

What it does not know: allocators other than kube-controller-manager's RangeAllocator, and plugins that keep more or
fewer addresses of a block than host-local.

Sources: ``pkg/controller/nodeipam/ipam/range_allocator.go`` and ``cidrset/cidr_set.go`` of v1.36.2,
``pkg/util/node/node.go``, ``pkg/apis/core/validation/validation.go``; kubernetes/kubernetes#70957;
``plugins/ipam/host-local/backend/allocator/range.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import argsort, equal, from_integers, mask_prefix, search_sorted
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.checks.repeats import repeated
from dsmodel.cluster.checks.rules import ENDS, Rule, address_text, cidr_text, each, shared
from dsmodel.cluster.network_plugins import runs_node_ipam
from dsmodel.cni.contract import PodCidrRole
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.errors import InvalidConfig
from dsmodel.kube.node_ipam import NodeIPAM
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from dsmodel.cluster.checks.rules import Breach, Subject
    from dsmodel.kube.config import ClusterConfig

__all__ = ["NODE_RULES", "admitted_pods"]

_ALLOCATOR = "pkg/controller/nodeipam/ipam/range_allocator.go"
_CODES = {4: IPFamily.IPV4, 6: IPFamily.IPV6}
_FITS, _OUTSIDE, _ORDER, _EXTRA = range(4)  # what kube-controller-manager makes of a node at its start


def admitted_pods(subject: Subject) -> NDArray[np.int64]:
    """Return how many pods each node's kubelet admits.

    Parameters
    ----------
    subject : Subject
        What is judged.

    Returns
    -------
    ndarray of int64, shape (nodes,)
        ``status.allocatable.pods``, or the configured maxPods where a node does not say.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    pods = subject.cluster.nodes["allocatable_pods"].astype(np.int64)
    return np.where(pods > 0, pods, subject.cluster.config.max_pods)


def _does_not_start(subject: Subject) -> list[Breach]:
    """Start node IPAM without nodes."""
    config = subject.cluster.config
    if not config.cluster_cidrs or not runs_node_ipam(subject.cluster.network_plugin):
        return []
    try:
        _start(config)
    except InvalidConfig as error:
        return [("Cluster", str(error))]
    return []


def _start(config: ClusterConfig, nodes: dict[str, list[str]] | None = None) -> NodeIPAM:
    """Start node IPAM as kube-controller-manager does."""
    return NodeIPAM(
        kube_version=config.kube_version,
        cluster_cidrs=config.cluster_cidrs,
        node_cidr_mask_sizes={str(family): mask for family, mask in config.node_cidr_mask_sizes.items()},
        service_cidrs=config.service_cidrs,
        feature_gates=config.feature_gates,
        nodes=nodes,
    )


def _blocks(subject: Subject) -> Iterator[tuple[IPFamily, NDArray[np.intp], NDArray[Any], NDArray[np.uint8]]]:
    """Yield the nodes with a block of each family: their rows, bases and prefix lengths."""
    nodes = subject.cluster.nodes
    for family, end in ENDS.items():
        rows = np.flatnonzero(nodes[f"has_pod_cidr_{end}"])
        if len(rows):
            yield family, rows, nodes[f"pod_cidr_{end}"][rows], nodes[f"pod_cidr_{end}_mask"][rows]


def _overlapping_blocks(subject: Subject) -> list[Breach]:
    """Compare blocks of one length with each other, and longer ones with those they may lie in."""
    names, found = subject.cluster.nodes["name"], []
    for _, rows, bases, lengths in _blocks(subject):
        for length in np.unique(lengths).tolist():
            own, longer = np.flatnonzero(lengths == length), np.flatnonzero(lengths > length)
            later, earlier = repeated(bases[own])
            pairs = [(own[later], own[earlier])]
            if len(longer):
                order = own[argsort(bases[own])]
                above = mask_prefix(bases[longer], length)
                place = np.minimum(search_sorted(bases[order], above), len(order) - 1)
                holds = equal(bases[order[place]], above)
                pairs.append((longer[holds], order[place[holds]]))
            one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
            found += each(
                np.arange(len(one)),
                _overlap((np.maximum(one, other), np.minimum(one, other)), names[rows], bases=bases, lengths=lengths),
            )
    return found


def _overlap(
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]],
    names: NDArray[Any],
    *,
    bases: NDArray[Any],
    lengths: NDArray[np.uint8],
) -> Callable[[int], Breach]:
    """Name two nodes whose blocks share addresses."""

    def breach(place: int) -> Breach:
        later, earlier = int(pairs[0][place]), int(pairs[1][place])
        mine, theirs = cidr_text(bases, lengths, later), cidr_text(bases, lengths, earlier)
        return f"Node/{names[later]}", f"podCIDR {mine} overlaps {theirs} of Node/{names[earlier]}"

    return breach


def _start_up(subject: Subject) -> NDArray[np.uint8]:
    """Tell what kube-controller-manager makes of each node at its start, which marks podCIDRs by place in the list."""
    cluster = subject.cluster
    nodes, cidrs = cluster.nodes, cluster.config.cluster_cidrs
    verdict = np.full(len(nodes), _FITS, np.uint8)
    if cluster.node_ipam is None:
        return verdict
    families = [cidr.family for cidr in cidrs]
    for place, codes in enumerate(_family_codes(subject)):
        for code, family in _CODES.items():
            rows = np.flatnonzero((codes == code) & (verdict == _FITS))
            if place >= len(cidrs):
                verdict[rows] = _EXTRA
            elif families[place] is not family:
                verdict[rows] = _ORDER if family in families else _OUTSIDE
            else:
                end = ENDS[family]
                bases, lengths = nodes[f"pod_cidr_{end}"][rows], nodes[f"pod_cidr_{end}_mask"][rows]
                cut = np.minimum(lengths, np.uint8(cidrs[place].prefix_length))
                whole = np.repeat(from_integers([cidrs[place].first], family=family), len(rows))
                verdict[rows[~equal(mask_prefix(bases, cut), mask_prefix(whole, cut))]] = _OUTSIDE
    return verdict


def _family_codes(subject: Subject) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the family of each node's first and second podCIDR; where it does not say, in the controller's order."""
    nodes = subject.cluster.nodes
    has_v4, has_v6 = nodes["has_pod_cidr_ipv4"], nodes["has_pod_cidr_ipv6"]
    usual = subject.cluster.config.cluster_cidrs[0].family is IPFamily.IPV6
    both = has_v4 & has_v6
    v6_first = np.where(both, np.where(nodes["primary_ip_family"] == 0, usual, nodes["primary_ip_family"] == 6), has_v6)
    first = np.where(has_v4 | has_v6, np.where(v6_first, 6, 4), 0).astype(np.uint8)
    return first, np.where(both, np.where(v6_first, 4, 6), 0).astype(np.uint8)


def _refused_at_start(kind: int) -> Callable[[Subject], list[Breach]]:
    """Find nodes that stop kube-controller-manager at its start for one of the reasons, in its own words."""

    def find(subject: Subject) -> list[Breach]:
        nodes, config = subject.cluster.nodes, subject.cluster.config
        codes = None

        def breach(row: int) -> Breach:
            nonlocal codes
            codes = codes if codes is not None else _family_codes(subject)
            ends = [ENDS[_CODES[int(column[row])]] for column in codes if column[row]]
            texts = [cidr_text(nodes[f"pod_cidr_{end}"], nodes[f"pod_cidr_{end}_mask"], row) for end in ends]
            name = str(nodes["name"][row])
            try:
                _start(config, {name: texts})
            except InvalidConfig as error:
                return f"Node/{name}", f"kube-controller-manager does not start: {error}"
            return f"Node/{name}", f"podCIDRs {','.join(texts)} do not fit the cluster CIDRs"

        return each(np.flatnonzero(_start_up(subject) == kind), breach)

    return find


def _needs_blocks(subject: Subject) -> bool:
    """Tell whether nodes need podCIDRs to run pods: not with a plugin that has ranges of its own."""
    plugin = subject.cluster.network_plugin if subject.places is None else None
    return plugin is None or plugin.pod_cidr_role in {PodCidrRole.USED, PodCidrRole.BESIDE}


def _without_block(subject: Subject) -> list[Breach]:
    """Find nodes that node IPAM owes a block."""
    nodes = subject.cluster.nodes
    if not subject.cluster.config.cluster_cidrs or not _needs_blocks(subject):
        return []
    none = ~(nodes["has_pod_cidr_ipv4"] | nodes["has_pod_cidr_ipv6"])
    return each(np.flatnonzero(none), lambda row: (f"Node/{nodes['name'][row]}", "has no podCIDR"))


def _one_family(subject: Subject) -> list[Breach]:
    """Find nodes that joined before the cluster had both families."""
    nodes, cidrs = subject.cluster.nodes, subject.cluster.config.cluster_cidrs
    if len(cidrs) < 2 or not _needs_blocks(subject):
        return []
    one = nodes["has_pod_cidr_ipv4"] ^ nodes["has_pod_cidr_ipv6"]
    one &= _start_up(subject) == _FITS  # others have a finding of their own
    has_v4 = nodes["has_pod_cidr_ipv4"]
    return each(
        np.flatnonzero(one),
        lambda row: (
            f"Node/{nodes['name'][row]}",
            (
                f"has only an {'IPv4' if has_v4[row] else 'IPv6'} podCIDR in a cluster of {cidrs[0]} and {cidrs[1]}, "
                "and podCIDRs cannot change once set"
            ),
        ),
    )


def _shared_units(subject: Subject) -> list[Breach]:
    """Find blocks shorter than the controller's unit that lie in one unit: it counts no references."""
    found: list[Breach] = []
    names = subject.cluster.nodes["name"]
    sets = {each_set.cluster_cidr.family: each_set for each_set in getattr(subject.cluster.node_ipam, "sets", ())}
    for family, rows, bases, lengths in _blocks(subject):
        if family not in sets:
            continue
        blocks = sets[family]
        indices, inside = blocks.indices(bases)
        small = np.flatnonzero(inside & (lengths > blocks.block_prefix_length))
        units, first, counts = np.unique(indices[small], return_index=True, return_counts=True)
        several = np.flatnonzero(counts > 1)
        places = {int(units[place]): (int(small[first[place]]), int(counts[place])) for place in several}
        found += each(
            units[several],
            lambda unit, places=places, blocks=blocks, rows=rows, bases=bases, lengths=lengths: (  # type: ignore[misc]
                f"Node/{names[rows[places[unit][0]]]}",
                (
                    f"podCIDR {cidr_text(bases, lengths, places[unit][0])} lies with {places[unit][1] - 1} more in one "
                    f"/{blocks.block_prefix_length} unit of node IPAM, {blocks.block(unit)}: deleting one of these "
                    "nodes frees the whole unit, and the next node gets a podCIDR that overlaps the others"
                ),
            ),
        )
    return found


def _other_masks(subject: Subject) -> list[Breach]:
    """Find blocks of another length than the controller hands out today."""
    found: list[Breach] = []
    masks = subject.cluster.config.node_cidr_mask_sizes
    names = subject.cluster.nodes["name"]
    for family, rows, _, lengths in _blocks(subject):
        if family not in masks or subject.cluster.node_ipam is None or not subject.knows("cluster_cidrs"):
            continue
        for length in np.unique(lengths[lengths != masks[family]]).tolist():
            own = rows[lengths == length]
            others = f" and {counted(len(own) - 1, 'more node')} have" if len(own) > 1 else " has"
            text = f"{names[own[0]]}{others} an {family} block of /{length}, the node mask is /{masks[family]}"
            found.append((f"Node/{names[own[0]]}", text))
    return found


def _lost_blocks(subject: Subject) -> list[Breach]:
    """Find blocks that are marked for no node."""
    return [
        (f"Cluster/{family}", f"{lost:,} {family} node blocks are marked and belong to no node")
        for family, lost in subject.cluster.leaked.items()
        if lost
    ]


def _above_block(subject: Subject) -> list[Breach]:
    """Compare the pods a kubelet admits with the addresses of the node's block, once for all nodes alike."""
    nodes, admitted = subject.cluster.nodes, admitted_pods(subject)
    found: list[Breach] = []
    for family, rows, lengths, usable in _usable(subject):
        over = np.flatnonzero(usable < admitted[rows].astype(np.uint64))
        groups: dict[tuple[str, int, int, int], list[int]] = {}
        for place in over.tolist():
            row = int(rows[place])
            key = (str(nodes["node_pool"][row]), int(admitted[row]), int(usable[place]), int(lengths[place]))
            groups.setdefault(key, []).append(row)
        for (pool, most, room, length), members in sorted(groups.items()):
            first = nodes["name"][members[0]]
            who = f"Node/{first}" if len(members) == 1 else f"{len(members):,} nodes, Node/{first} the first of them"
            text = f"{most} pods against {counted(room, 'usable address')} of a /{length} ({family}; {who})"
            found.append((f"NodePool/{pool}" if pool else f"Node/{first}", text))
    return found


def _usable(
    subject: Subject,
) -> Iterator[tuple[IPFamily, NDArray[np.intp], NDArray[np.uint8], NDArray[np.uint64]]]:
    """Yield the nodes with a range of each family, its length and how many pods it serves."""
    plugin = subject.cluster.network_plugin
    if plugin is None:
        for family, rows, _, lengths in _blocks(subject):
            yield family, rows, lengths, subject.cluster.pod_blocks[family].usable()[rows]
    elif isinstance(plugin, RangePlugin):
        for family, (_, each_length) in plugin.node_ranges.items():
            rows = np.flatnonzero(each_length)
            serves = np.zeros(129, np.uint64)
            for length in np.unique(each_length[rows]).tolist():
                serves[length] = min(plugin.addresses_per_range(family, length), (1 << 64) - 1)
            yield family, rows, each_length[rows], serves[each_length[rows]]


def _too_many_pods(subject: Subject) -> list[Breach]:
    """Find nodes with more pods than their kubelet admits."""
    names, admitted = subject.cluster.nodes["name"], admitted_pods(subject)
    counts = subject.cluster.pod_counts
    return each(
        np.flatnonzero(counts > admitted),
        lambda row: (f"Node/{names[row]}", f"has {counted(int(counts[row]), 'pod')} and admits {admitted[row]:,}"),
    )


def _same_address(subject: Subject) -> list[Breach]:
    """Find InternalIPs of two nodes."""
    nodes, found = subject.cluster.nodes, []
    for end in ENDS.values():
        column = nodes[f"internal_{end}"]
        rows = np.flatnonzero(nodes[f"has_internal_{end}"])
        later, earlier = repeated(column[rows])
        found += shared(
            (rows[later], rows[earlier]),
            named=lambda row: f"Node/{nodes['name'][row]}",
            value=lambda row, column=column: f"InternalIP {address_text(column, row)}",  # type: ignore[misc]
        )
    return found


def _address_of_one_family(subject: Subject) -> list[Breach]:
    """Find nodes without an address of a family that the cluster has."""
    nodes = subject.cluster.nodes
    if not subject.cluster.config.is_dual_stack:
        return []
    one = nodes["has_internal_ipv4"] ^ nodes["has_internal_ipv6"]
    has_v4 = nodes["has_internal_ipv4"]
    return each(
        np.flatnonzero(one),
        lambda row: (
            f"Node/{nodes['name'][row]}",
            f"has an InternalIP of {'IPv4' if has_v4[row] else 'IPv6'} only, so pods on the host network have one too",
        ),
    )


NODE_RULES = (
    Rule(
        "node-ipam-does-not-start",
        "fatal",
        "the cluster CIDRs and masks stop kube-controller-manager",
        "mend --cluster-cidr and the node masks",
        "cmd/kube-controller-manager/app/core.go",
        _does_not_start,
        by_plugin=True,
    ),
    Rule(
        "node-pod-cidr-duplicate",
        "error",
        "two nodes have podCIDRs that overlap",
        "delete one of the nodes and let it register again",
        f"{_ALLOCATOR}, ReleaseCIDR counts no references; kubernetes/kubernetes#70957",
        _overlapping_blocks,
        at_reading=True,
    ),
    Rule(
        "node-pod-cidr-out-of-range",
        "fatal",
        "a podCIDR lies outside the cluster CIDR of the same place",
        "keep the cluster CIDR the node was given its block from, or delete the node and let it register again",
        f"{_ALLOCATOR}, occupyCIDRs",
        _refused_at_start(_OUTSIDE),
        at_reading=True,
        by_plugin=True,
    ),
    Rule(
        "node-pod-cidr-order",
        "fatal",
        "podCIDRs are not in the order of the cluster CIDRs",
        "put --cluster-cidr back in the order the nodes were given theirs, or register the nodes again",
        f"{_ALLOCATOR}, occupyCIDRs",
        _refused_at_start(_ORDER),
        at_reading=True,
        by_plugin=True,
    ),
    Rule(
        "node-pod-cidr-extra",
        "fatal",
        "a node has more podCIDRs than there are cluster CIDRs, as after going from dual- to single-stack",
        "keep both cluster CIDRs, or delete the dual-stack nodes before one is taken away",
        f"{_ALLOCATOR}, occupyCIDRs",
        _refused_at_start(_EXTRA),
        at_reading=True,
        by_plugin=True,
    ),
    Rule(
        "node-without-pod-cidr",
        "warning",
        "a node has no block",
        "look for an event CIDRNotAvailable and free blocks in every family",
        f"{_ALLOCATOR}, AllocateOrOccupyCIDR",
        _without_block,
        at_reading=True,
        by_plugin=True,
    ),
    Rule(
        "node-one-family",
        "warning",
        "a node of a dual-stack cluster has a block of one family",
        "delete the node and let it register again",
        "pkg/apis/core/validation/validation.go, ValidateNodeUpdate",
        _one_family,
    ),
    Rule(
        "node-blocks-share-unit",
        "warning",
        "several nodes' blocks lie in one unit of node IPAM, as after a change of the node mask",
        "go back to the old node mask, or replace these nodes all together before any other joins",
        "pkg/controller/nodeipam/ipam/cidrset/cidr_set.go, Release; kubernetes/kubernetes#70957",
        _shared_units,
    ),
    Rule(
        "node-mask-differs",
        "info",
        "blocks have another length than the node mask of today",
        "changing the mask of a live cluster is not supported; replace the nodes that keep the old length",
        "kubernetes/kubernetes#70957",
        _other_masks,
    ),
    Rule(
        "node-blocks-lost",
        "warning",
        "node IPAM holds blocks for nodes that never got them",
        "free blocks in the exhausted family, then restart kube-controller-manager, which counts anew",
        f"{_ALLOCATOR}, AllocateOrOccupyCIDR",
        _lost_blocks,
    ),
    Rule(
        "max-pods-above-block",
        "warning",
        "a kubelet admits more pods than its node's block has addresses",
        "the smaller number is the limit: take a shorter node mask for new nodes, or lower maxPods",
        "plugins/ipam/host-local/backend/allocator/range.go; kubernetes/kubernetes#21656",
        _above_block,
    ),
    Rule(
        "node-over-max-pods",
        "warning",
        "a node has more pods than its kubelet admits",
        "move pods away, or raise maxPods up to what the block holds",
        "pkg/kubelet/apis/config/v1beta1/defaults.go",
        _too_many_pods,
    ),
    Rule(
        "node-address-duplicate",
        "error",
        "two nodes have the same InternalIP",
        "give each node its own address",
        "pkg/apis/core/validation/validation.go, which checks one Node at a time",
        _same_address,
    ),
    Rule(
        "node-address-one-family",
        "warning",
        "a node of a dual-stack cluster has an InternalIP of one family",
        "name both addresses in the kubelet's --node-ip, or have the cloud provider give both",
        "pkg/util/node/node.go, GetNodeHostIPs; pkg/kubelet/nodestatus/setters.go, NodeAddress",
        _address_of_one_family,
    ),
)
