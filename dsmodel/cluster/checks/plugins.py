"""Rules about a network plugin other than host-local: whether it serves the cluster it is in.

What it does not know: the plugin's own objects. What their reader finds is carried into the audit as it is.

Sources: those of the plugins; cilium/cilium#13766 (Service ranges are not left out), projectcalico/calico
``cni-plugin/pkg/ipamplugin/ipam_plugin.go`` (``assign_ipv6`` is false by default).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses.space import overlaps
from dsmodel.cluster.checks.rules import ENDS, Rule, address_text, each, pod_name
from dsmodel.cni.contract import PodCidrRole

if TYPE_CHECKING:
    from dsmodel.cluster.checks.rules import Breach, Subject

__all__ = ["PLUGIN_RULES"]


def _outside_ranges(subject: Subject) -> list[Breach]:
    """Find pods' addresses that the plugin cannot have given."""
    plugin, pods = subject.cluster.network_plugin, subject.cluster.pods
    if plugin is None or plugin.pod_cidr_role is PodCidrRole.BESIDE:
        return []
    found: list[Breach] = []
    for family in plugin.ip_families:
        if family not in plugin.node_ranges and not any(cidr.family is family for cidr in plugin.cidrs):
            continue  # where its ranges are not known, nothing is outside
        end = ENDS[family]
        column, held = pods[f"pod_{end}"], pods[f"has_pod_{end}"] & pods["holds_address"] & (pods["node"] >= 0)
        where = "its node's range" if family in plugin.node_ranges else "every pool"
        found += each(
            np.flatnonzero(held & ~subject.inside[family]),
            lambda row, column=column, where=where: (  # type: ignore[misc]
                pod_name(pods, row),
                f"has {address_text(column, row)}, outside {where} of {plugin.provenance.plugin}",
            ),
        )
    return found


def _lacks_family(subject: Subject) -> list[Breach]:
    """Find a plugin that gives pods one family in a dual-stack cluster."""
    plugin, cidrs = subject.cluster.network_plugin, subject.cluster.config.cluster_cidrs
    if plugin is None or plugin.pod_cidr_role is PodCidrRole.BESIDE:
        return []
    lacking = [cidr for cidr in cidrs if cidr.family not in plugin.ip_families]
    name = plugin.provenance.plugin
    return [
        (f"Plugin/{name}", f"gives pods no {cidr.family} address, and the cluster CIDR {cidr} is never used")
        for cidr in lacking
    ]


def _over_services(subject: Subject) -> list[Breach]:
    """Find ranges of a plugin's own that share addresses with Services: no plugin leaves them out."""
    plugin, config = subject.cluster.network_plugin, subject.cluster.config
    if plugin is None or not subject.knows("service_cidrs"):
        return []
    services = [
        *config.service_cidrs,
        *(cidr for cidr in config.extra_service_cidrs if cidr not in config.service_cidrs),
    ]
    name, own = plugin.provenance.plugin, plugin.cidrs
    return [
        (f"Plugin/{name}", f"{own[one]} shares addresses with the service range {services[other]}")
        for one, other in overlaps(own, services)
    ]


def _nodes_without_range(subject: Subject) -> list[Breach]:
    """Find nodes the plugin has no range of some family for."""
    plugin, nodes = subject.cluster.network_plugin, subject.cluster.nodes
    if plugin is None or plugin.pod_cidr_role is PodCidrRole.USED:
        return []  # with podCIDRs, rules about nodes say so
    found: list[Breach] = []
    for family, (_, lengths) in plugin.node_ranges.items():
        found += each(
            np.flatnonzero(lengths == 0),
            lambda row, family=family: (  # type: ignore[misc]
                f"Node/{nodes['name'][row]}",
                f"has no {family} range of {plugin.provenance.plugin}: it runs no pods",
            ),
        )
    return found


PLUGIN_RULES = (
    Rule(
        "pod-outside-plugin-ranges",
        "warning",
        "a pod's address lies in no range of the network plugin",
        "it is from an older range or another plugin, and counts nowhere: recreate the pod",
        "the plugin's own ranges, see reports.provenance()",
        _outside_ranges,
        by_plugin=True,
    ),
    Rule(
        "plugin-lacks-family",
        "warning",
        "the network plugin serves one family of a dual-stack cluster",
        "let the plugin give the other family too (Calico: assign_ipv6 and an IPv6 pool), or drop the cluster CIDR",
        "projectcalico/calico cni-plugin/pkg/ipamplugin/ipam_plugin.go; aws/amazon-vpc-cni-k8s README",
        _lacks_family,
    ),
    Rule(
        "plugin-range-over-services",
        "error",
        "a range of the network plugin's own shares addresses with Services",
        "no plugin leaves service ranges out, and a pod may get a Service's address: take them apart",
        "cilium/cilium#13766",
        _over_services,
    ),
    Rule(
        "node-without-plugin-range",
        "error",
        "the network plugin has no range for a node",
        "give it a wider range, or remove nodes",
        "the plugin's allocator of nodes' ranges, see reports.provenance()",
        _nodes_without_range,
    ),
)
