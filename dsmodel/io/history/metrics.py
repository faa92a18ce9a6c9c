"""The metrics that tell how full a pool is: one row a name, with component, versions, meaning and source.

Promises the names and labels that the components export, also where they are odd (``cirdset``). Each row says what its
value is: what is used or usable, a ratio of them, what is free beside another metric that says what is used, or a
counter of what was handed out beside one of what was given back. Two metrics beside each other are put together server
by server, before anything is chosen. Labels of ``summed`` split a pool into parts (nodes) that are added up; any other
label (instance, pod) tells who was asked, and the largest answer counts.

Each kube-apiserver tells of service addresses and node ports what was so after its own last operation: of several
servers all but the one that served last are behind, and one that served nothing since its start has no value for
addresses, and for ports says that 0 of 0 are used, which is read as no value. The largest answer is what was in use
unless addresses were given back through another server since; a finding says where servers differ. Before v1.25 the
repair loop also wrote the value, at times too low.

What it does not know: metrics that recording rules or relabelling have renamed; sums that cni-metrics-helper exports
under the names of the nodes' own (leave its job out by matchers).

Sources stand in each row: a file of the component's repository, or the pull request (#) or release notes that brought
it. ``since`` and ``until`` are empty where no source was found that says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BY_NAME", "METRICS", "Metric"]


@dataclass(frozen=True)
class Metric:
    """One name of a metric and what its value means.

    Parameters
    ----------
    name : str
        As exported.
    component : str
        Who exports it.
    source : str
        Where name, meaning and versions are from.
    since, until : str, default ""
        First and last minor version of the component that exports it; empty where it is not known, or has no end.
    pool : str
        Kind of pool or object, as `Cluster.pools` names it.
    role : {"used", "free", "usable", "ratio", "opened", "released"}
        What the value is; "ratio" is used to usable, "opened" and "released" are counters.
    beside : str, default ""
        The metric of what is used where this one says what is free, of what was given back where it says what was
        handed out.
    lags : bool, default False
        Whether each server tells what was so after its own last operation.
    label : str, default ""
        Label with the range or the pool's name.
    family : str, default ""
        "IPv4" or "IPv6"; "cidr", "name" or "size" where range, name or size tell it; "label" for the label ``family``.
    summed : tuple of str, default ()
        Labels that split the pool into parts.
    where : tuple of (str, str), default ()
        Labels a sample must have; an empty value also stands for a label that is absent.
    """

    name: str
    component: str
    pool: str
    role: str
    source: str
    since: str = ""
    until: str = ""
    beside: str = ""
    lags: bool = False
    label: str = ""
    family: str = ""
    summed: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()

    @property
    def versions(self) -> str:
        """The versions in words."""
        first = f"{self.since} on" if self.since else "first version not known"
        return first if not self.until else f"{self.since or '?'} to {self.until}"

    @property
    def keys(self) -> tuple[str, ...]:
        """Labels that tell pools apart; ``cluster`` is what servers with several clusters add."""
        return ("cluster", *filter(None, (self.label, "family" if self.family == "label" else "")))


_CLUSTER_IP, _NODE_PORT = "kube_apiserver_clusterip_allocator_", "kube_apiserver_nodeport_allocator_"
_NODE_IPAM, _LB_IPAM, _OVN = "node_ipam_controller_", "cilium_operator_lbipam_ips_", "ovnkube_clustermanager_"


def _allocator(prefix: str, pool: str, things: str, label: str, *, since: str, source: str) -> Iterator[Metric]:
    """Name the two gauges of an allocator of the API server."""
    used = f"{prefix}allocated_{things}"
    for name, role, beside in ((used, "used", ""), (f"{prefix}available_{things}", "free", used)):
        yield Metric(
            name, "kube-apiserver", pool, role, source, since, "", beside, lags=True, label=label, family=label
        )


def _objects(name: str, source: str, since: str) -> Iterator[Metric]:
    """Name what the API server says of stored objects.

    Pods among them have finished or are on the host network, so that they are no pods on the pod network.
    """
    where = (("group", ""),) if name == "apiserver_resource_objects" else ()
    for kind, pool in (("nodes", "nodes"), ("pods", "stored pods"), ("services", "services")):
        yield Metric(name, "kube-apiserver", pool, "used", source, since, where=(*where, ("resource", kind)))


def _node_ipam(kind: str, component: str, source: str, *, since: str, until: str, most: str) -> Iterator[Metric]:
    """Name the metrics of node IPAM; those of the maximum are spelt in more than one way and came in v1.27.

    Allocations count the blocks of nodes found at the start too, so their difference is what is in use.
    """
    back = f"{_NODE_IPAM}{kind}_cidrs_releases_total"
    for name, role, first, beside in (
        (f"{kind}_usage_cidrs", "ratio", since, ""),
        *((name, "usable", "1.27", "") for name in most.split()),
        (f"{kind}_cidrs_allocations_total", "opened", since, back),
        (f"{kind}_cidrs_releases_total", "released", since, ""),
    ):
        yield Metric(
            _NODE_IPAM + name, component, "node blocks", role, source, first, until, beside, label="clusterCIDR",
            family="cidr",
        )  # fmt: skip


def _load_balancer_ipam(end: str, since: str, until: str, source: str) -> Iterator[Metric]:
    """Name the gauges of Cilium's LB-IPAM, which count both families of a pool together."""
    used, pool = f"{_LB_IPAM}used{end}", "load balancer addresses"
    yield Metric(used, "cilium-operator LB-IPAM", pool, "used", source, since, until, label="pool")
    free = f"{_LB_IPAM}available{end}"
    yield Metric(free, "cilium-operator LB-IPAM", pool, "free", source, since, until, used, label="pool")


def _by_node(component: str, pool: str, source: str, *, since: str, **names: str) -> Iterator[Metric]:
    """Name gauges of which each node has its own."""
    for role in ("used", "usable"):
        yield Metric(names[role], component, pool, role, source, since, family=names["family"], summed=(names["node"],))


_CALICO = "projectcalico/calico #5706, kube-controllers/pkg/controllers/node/ipam.go"
_OPERATOR = "cilium/cilium #24776, upgrade notes of 1.14, pkg/ipam/node_manager.go"

METRICS: tuple[Metric, ...] = (
    *_allocator(
        _CLUSTER_IP, "service addresses", "ips", "cidr", since="1.23",
        source="kubernetes CHANGELOG-1.23 (#104119, repaired in 1.25 by #110027), ipallocator/metrics.go",
    ),
    *_allocator(
        _NODE_PORT, "node ports", "ports", "", since="1.27",
        source="kubernetes CHANGELOG-1.27 (#114418), portallocator/metrics.go",
    ),
    *_objects("apiserver_storage_objects", "kubernetes etcd3/metrics/metrics.go; deprecated in 1.34 (#134028)", "1.21"),
    *_objects("apiserver_resource_objects", "kubernetes etcd3/metrics/metrics.go", "1.34"),
    *_node_ipam(
        "cidrset", "kube-controller-manager",
        "kubernetes #90288, CHANGELOG-1.27 (#112260), nodeipam/ipam/cidrset/metrics.go",
        since="1.20", until="", most="cirdset_max_cidrs",
    ),
    *_node_ipam(
        "multicidrset", "multi-CIDR range allocator",
        "kubernetes #109090, #112260, nodeipam/ipam/multicidrset/metrics.go; the successor out of tree serves none yet",
        since="1.25", until="1.28", most="multicirdset_max_cidrs multicidrset_max_cidrs",
    ),
    Metric(
        "ipam_allocations_in_use", "calico-kube-controllers", "pod addresses", "used", _CALICO, "3.23",
        label="ippool", family="name", summed=("node",),
    ),
    # addresses of the range, those that an IPReservation keeps among them
    Metric(
        "ipam_ippool_size", "calico-kube-controllers", "pod addresses", "usable", _CALICO, "3.23", label="ippool",
        family="size",
    ),
    # "available" is not what is free: it is what the node's interfaces can hold, those in use included
    *_by_node(
        "cilium-operator", "subnet addresses", _OPERATOR, since="1.14", used="cilium_operator_ipam_used_ips",
        usable="cilium_operator_ipam_available_ips", family="IPv4", node="target_node",
    ),
    # here "available" is what nodes hold and do not use; the same number as used_ips where both are exported
    Metric(
        "cilium_operator_ipam_ips", "cilium-operator", "subnet addresses", "used",
        "cilium/cilium pkg/ipam/metrics/metrics.go; deprecated in 1.14, removed by #45134 in 2026", family="IPv4",
        where=(("type", "used"),),
    ),
    Metric(
        "cilium_ip_addresses", "cilium-agent", "pod addresses", "used", "cilium/cilium pkg/metrics/metrics.go",
        family="label", summed=("instance",),
    ),
    # of what the node has, not of the pool behind it; cidr is a label since #44541
    Metric(
        "cilium_ipam_capacity", "cilium-agent", "pod addresses", "usable", "cilium/cilium #27710, #44541", "1.15",
        family="label", summed=("instance", "cidr"),
    ),
    *_load_balancer_ipam("_total", "1.15", "1.16", "cilium/cilium #26173"),
    *_load_balancer_ipam("", "1.17", "", "cilium/cilium #37016"),
    # pods of either family; total_ip_addresses is what interfaces hold ready, ip_max what they can hold
    *_by_node(
        "aws-node", "pod addresses", "aws/amazon-vpc-cni-k8s pkg/ipamd/ipamd.go, pkg/ipamd/datastore", since="",
        used="awscni_assigned_ip_addresses", usable="awscni_ip_max", family="", node="instance",
    ),
    *(
        Metric(
            f"{_OVN}{word}_v{family[-1]}_host_subnets", "ovnkube-cluster-manager", "node blocks", role,
            "ovn-kubernetes go-controller/pkg/metrics/cluster_manager.go", label="network_name", family=family,
        )
        for family in ("IPv4", "IPv6")
        for word, role in (("allocated", "used"), ("num", "usable"))
    ),
)  # fmt: skip

BY_NAME: dict[str, tuple[Metric, ...]] = {
    name: tuple(row for row in METRICS if row.name == name) for name in dict.fromkeys(row.name for row in METRICS)
}
