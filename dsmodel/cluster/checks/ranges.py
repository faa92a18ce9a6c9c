"""Rules about ranges that share addresses: of pods, Services, nodes, load balancers, peers, and what is kept back.

Ranges that a reader guessed from the addresses in use are not judged: nodes' blocks stand for a guessed cluster CIDR.

Sources: ``pkg/controller/nodeipam/ipam/range_allocator.go`` (filterOutServiceRange) of v1.36.2;
kubernetes/kubernetes#103898. Kubernetes itself compares none of the other pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import addresses_in, equal, mask_prefix
from dsmodel.addresses.cidr import Cidr
from dsmodel.addresses.space import PrefixTable, aggregate, overlaps
from dsmodel.cluster.checks.rules import ENDS, NamedRange, Rule, address_text, cidr_text, each, service_name
from dsmodel.cni.contract import PodCidrRole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.cluster.checks.rules import Breach, Subject

__all__ = ["RANGE_RULES"]

_FILTER = "pkg/controller/nodeipam/ipam/range_allocator.go, filterOutServiceRange"
_UNCHECKED = "no component of Kubernetes compares these ranges"


def _pod_ranges(subject: Subject) -> list[NamedRange]:
    """List where pods' addresses come from: cluster CIDRs, and what nodes and the network plugin have outside them."""
    cluster = subject.cluster
    known = list(cluster.config.cluster_cidrs) if subject.knows("cluster_cidrs") else []
    ranges = [NamedRange("cluster CIDR", str(cidr), cidr) for cidr in known]
    for family, end in ENDS.items():
        bases, lengths = cluster.nodes[f"pod_cidr_{end}"], cluster.nodes[f"pod_cidr_{end}_mask"]
        wide = [cidr for cidr in known if cidr.family is family]
        rows = np.flatnonzero(cluster.nodes[f"has_pod_cidr_{end}"])
        rows = rows[~addresses_in(bases[rows], wide)] if wide else rows
        blocks = aggregate(Cidr(cidr_text(bases, lengths, row)) for row in rows.tolist())
        ranges += [NamedRange("node blocks", str(cidr), cidr) for cidr in blocks]
    if (plugin := cluster.network_plugin) is not None:
        kind = f"{plugin.provenance.plugin} range"
        outside = [cidr for cidr in plugin.cidrs if not any(cidr in other for other in known)]
        ranges += [NamedRange(kind, str(cidr), cidr) for cidr in outside]
    return ranges


def _service_ranges(subject: Subject) -> list[NamedRange]:
    """List where cluster IPs come from."""
    config = subject.cluster.config
    flags = config.service_cidrs if subject.knows("service_cidrs") else ()
    ranges = [NamedRange("service range", str(cidr), cidr) for cidr in flags]
    extra = (cidr for cidr in config.extra_service_cidrs if cidr not in flags)
    return ranges + [NamedRange("ServiceCIDR", str(cidr), cidr) for cidr in extra]


def _reserved_blocks(subject: Subject) -> list[tuple[Cidr, Cidr, int, int]]:
    """List pairs of service range and cluster CIDR that share addresses, with the node blocks lost and there are."""
    config, pairs = subject.cluster.config, []
    for blocks in getattr(subject.cluster.node_ipam, "sets", ()):
        for cidr in config.service_cidrs if subject.knows("service_cidrs") and subject.knows("cluster_cidrs") else ():
            if cidr.overlaps(blocks.cluster_cidr):
                common = min(cidr.size, blocks.cluster_cidr.size)
                unit = 1 << (cidr.family.bits - blocks.block_prefix_length)
                pairs.append((cidr, blocks.cluster_cidr, -(-common // unit), blocks.max_blocks))
    return pairs


def _range_takes_blocks(subject: Subject) -> list[Breach]:
    """Find service ranges that cost node blocks."""
    return [
        (f"ServiceRange/{service}", f"lies in the cluster CIDR {pods} and takes {lost:,} of its {total:,} node blocks")
        for service, pods, lost, total in _reserved_blocks(subject)
        if lost < total
    ]


def _range_takes_all(subject: Subject) -> list[Breach]:
    """Find service ranges that leave no node block."""
    return [
        (
            f"ServiceRange/{service}",
            f"covers all {total:,} node blocks of the cluster CIDR {pods}: the first node gets CIDRNotAvailable",
        )
        for service, pods, lost, total in _reserved_blocks(subject)
        if lost >= total
    ]


def _service_cidr_inside(subject: Subject) -> list[Breach]:
    """Find ServiceCIDR objects over pods' ranges, and service ranges over nodes' blocks outside the cluster CIDR."""
    services, pods = _service_ranges(subject), _pod_ranges(subject)
    pairs = overlaps([each_range.cidr for each_range in services], [each_range.cidr for each_range in pods])
    return [
        (
            f"{'ServiceCIDR' if a.kind == 'ServiceCIDR' else 'ServiceRange'}/{a.cidr}",
            f"shares addresses with {b.kind} {b.cidr}",
        )
        for a, b in ((services[one], pods[other]) for one, other in pairs)
        if a.kind == "ServiceCIDR" or b.kind == "node blocks"
    ]


def _matches(column: NDArray[Any], ranges: Sequence[NamedRange]) -> NDArray[np.int64]:
    """Return which range holds each address, -1 for none."""
    return PrefixTable([each_range.cidr for each_range in ranges]).lookup(column)


def _node_addresses_in(subject: Subject, ranges: Sequence[NamedRange], *, but_own_block: bool = False) -> list[Breach]:
    """Find InternalIPs inside ranges."""
    nodes, found = subject.cluster.nodes, []
    for end in ENDS.values():
        column = nodes[f"internal_{end}"]
        asked = nodes[f"has_internal_{end}"]
        if but_own_block:
            block, length = nodes[f"pod_cidr_{end}"], nodes[f"pod_cidr_{end}_mask"]
            asked = asked & ~(nodes[f"has_pod_cidr_{end}"] & equal(mask_prefix(column, length), block))
        rows = np.flatnonzero(asked)
        places = np.full(len(nodes), -1, np.int64)
        places[rows] = _matches(column[rows], ranges)
        found += each(
            np.flatnonzero(places >= 0),
            lambda row, column=column, places=places: (  # type: ignore[misc]
                f"Node/{nodes['name'][row]}",
                (
                    f"InternalIP {address_text(column, row)} lies in the {ranges[places[row]].kind} "
                    f"{ranges[places[row]].cidr}"
                ),
            ),
        )
    return found


def _node_in_pods(subject: Subject) -> list[Breach]:
    """Find nodes whose own address pods may get; where a cloud's podCIDRs are of interfaces, it keeps the address."""
    plugin = subject.cluster.network_plugin
    of_interfaces = plugin is not None and plugin.pod_cidr_role is PodCidrRole.WRITTEN
    return _node_addresses_in(subject, _pod_ranges(subject), but_own_block=of_interfaces)


def _node_in_services(subject: Subject) -> list[Breach]:
    """Find nodes whose own address a Service may get."""
    return _node_addresses_in(subject, _service_ranges(subject))


def _external_inside(subject: Subject) -> list[Breach]:
    """Find load balancers' addresses inside ranges of the cluster."""
    services, found = subject.cluster.services, []
    ranges = [*_pod_ranges(subject), *_service_ranges(subject)]
    for end in ENDS.values():
        column = services[f"external_{end}"]
        rows = np.flatnonzero(services[f"has_external_{end}"])
        places = np.full(len(services), -1, np.int64)
        places[rows] = _matches(column[rows], ranges)
        found += each(
            np.flatnonzero(places >= 0),
            lambda row, column=column, places=places: (  # type: ignore[misc]
                service_name(services, row),
                (
                    f"load balancer address {address_text(column, row)} lies in the {ranges[places[row]].kind} "
                    f"{ranges[places[row]].cidr}"
                ),
            ),
        )
    return found


def _outsiders(subject: Subject, outside: Sequence[NamedRange]) -> list[Breach]:
    """Find ranges of others that share addresses with ranges and nodes of the cluster."""
    own = [*_pod_ranges(subject), *_service_ranges(subject)]
    pairs = overlaps([each_range.cidr for each_range in outside], [each_range.cidr for each_range in own])
    found = [
        (str(outside[one]), f"{outside[one].cidr} shares addresses with the {own[other].kind} {own[other].cidr}")
        for one, other in pairs
    ]
    nodes = subject.cluster.nodes
    for end in ENDS.values():
        column = nodes[f"internal_{end}"]
        rows = np.flatnonzero(nodes[f"has_internal_{end}"])
        places = _matches(column[rows], outside)
        for place in np.unique(places[places >= 0]).tolist():
            members = rows[places == place]
            first = f"{address_text(column, int(members[0]))} of Node/{nodes['name'][members[0]]}"
            more = f" and {len(members) - 1:,} more node addresses" if len(members) > 1 else ""
            found.append((str(outside[place]), f"{outside[place].cidr} holds the node address {first}{more}"))
    return found


def _peers(subject: Subject) -> list[Breach]:
    """Find peers that share addresses with the cluster."""
    return _outsiders(subject, subject.peers)


def _reserved(subject: Subject) -> list[Breach]:
    """Find ranges kept for something else that the cluster uses."""
    return _outsiders(subject, subject.reserved)


def _peers_among_themselves(subject: Subject) -> list[Breach]:
    """Find peers that share addresses with each other or with what is kept back."""
    peers, reserved = subject.peers, subject.reserved
    cidrs = [each_range.cidr for each_range in peers]
    pairs = [(peers[later], peers[first]) for first, later in overlaps(cidrs)]
    pairs += [
        (peers[one], reserved[other]) for one, other in overlaps(cidrs, [each_range.cidr for each_range in reserved])
    ]
    return [(str(one), f"{one.cidr} shares addresses with {other} {other.cidr}") for one, other in pairs]


RANGE_RULES = (
    Rule(
        "service-range-fills-cluster-cidr",
        "error",
        "a service range covers every node block",
        "take ranges apart from each other",
        f"{_FILTER}; kubernetes/kubernetes#103898",
        _range_takes_all,
    ),
    Rule(
        "service-range-in-cluster-cidr",
        "warning",
        "a service range lies in the cluster CIDR",
        "node IPAM leaves these blocks out, other plugins may not: take ranges apart from each other",
        f"{_FILTER}; cilium/cilium#13766",
        _range_takes_blocks,
    ),
    Rule(
        "service-cidr-over-pods",
        "error",
        "a ServiceCIDR object or service range lies over addresses that pods get",
        "node IPAM leaves out only what its own flag names: move the ServiceCIDR elsewhere",
        _FILTER,
        _service_cidr_inside,
    ),
    Rule(
        "node-address-in-pod-range",
        "error",
        "a node's address lies in a range of pods",
        "give nodes and pods ranges apart from each other",
        _UNCHECKED,
        _node_in_pods,
    ),
    Rule(
        "node-address-in-service-range",
        "error",
        "a node's address lies in a service range",
        "give nodes and Services ranges apart from each other",
        _UNCHECKED,
        _node_in_services,
    ),
    Rule(
        "external-address-in-range",
        "warning",
        "a load balancer's address lies in a range of pods or Services",
        "give the load balancer's pool a range of its own",
        _UNCHECKED,
        _external_inside,
    ),
    Rule(
        "peer-overlap",
        "error",
        "a peer's range shares addresses with the cluster",
        "these addresses cannot be reached from the cluster, or are reached in it: renumber one side or translate",
        _UNCHECKED,
        _peers,
    ),
    Rule(
        "reserved-overlap",
        "error",
        "the cluster uses addresses that are kept for something else",
        "renumber the cluster's range, or give up the reservation",
        _UNCHECKED,
        _reserved,
    ),
    Rule(
        "peers-overlap",
        "warning",
        "two peers, or a peer and a reserved range, share addresses",
        "only one of them can be reached at these addresses: renumber or translate",
        _UNCHECKED,
        _peers_among_themselves,
    ),
)
