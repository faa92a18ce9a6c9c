"""The metrics that tell how full a pool is: one row a name, with component, versions, meaning and source.

Promises the names and labels that the components export, also where they are odd (``cirdset``). Each row says what its
value is: what is used, free or usable, a ratio of them, or a counter of what was handed out or given back. Labels of
``summed`` split a pool into parts (nodes) that are added up; any other label (instance, pod) tells who was asked, and
the largest answer counts.

What it does not know: metrics that recording rules or relabelling have renamed.

Sources: kubernetes pkg/registry/core/service/{ipallocator,portallocator}/metrics.go, pkg/controller/nodeipam/ipam/
{cidrset,multicidrset}/metrics.go, staging/src/k8s.io/apiserver/pkg/storage/etcd3/metrics/metrics.go, v1.20 to v1.36;
projectcalico/calico kube-controllers/pkg/controllers/node/ipam.go and its metric reference; cilium/cilium
pkg/ipam/metrics/metrics.go, pkg/ipam/node_manager.go, pkg/metrics/metrics.go, operator/pkg/lbipam/metrics.go;
ovn-kubernetes go-controller/pkg/metrics/cluster_manager.go.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    versions : str
        Of the component, in words.
    pool : str
        Kind of pool or object, as `Cluster.pools` names it.
    role : {"used", "free", "usable", "ratio", "opened", "released"}
        What the value is; "ratio" is used to usable, "opened" and "released" are counters.
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
    versions: str
    pool: str
    role: str
    label: str = ""
    family: str = ""
    summed: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Labels that tell pools apart; ``cluster`` is what servers with several clusters add."""
        return ("cluster", *filter(None, (self.label, "family" if self.family == "label" else "")))


_SERVICE = "kube_apiserver_clusterip_allocator_"
_PORT = "kube_apiserver_nodeport_allocator_"
_NODE = "node_ipam_controller_"
_OVN = "ovnkube_clustermanager_"


def _node_ipam(kind: str, versions: str, component: str, *most: str) -> tuple[Metric, ...]:
    """Name the metrics of node IPAM; the gauge of the maximum is spelt in more than one way."""
    names = (
        (f"{kind}_usage_cidrs", "ratio"),
        *((name, "usable") for name in most),
        (f"{kind}_cidrs_allocations_total", "opened"),
        (f"{kind}_cidrs_releases_total", "released"),
    )
    return tuple(
        Metric(_NODE + name, component, versions, "node blocks", role, "clusterCIDR", "cidr") for name, role in names
    )


def _objects(name: str, versions: str) -> tuple[Metric, ...]:
    """Name what the API server says of stored objects; finished pods and those on the host network count."""
    where = (("group", ""),) if name == "apiserver_resource_objects" else ()
    return tuple(
        Metric(name, "kube-apiserver", versions, kind, "used", where=(*where, ("resource", kind)))
        for kind in ("nodes", "pods", "services")
    )


METRICS: tuple[Metric, ...] = (
    Metric(f"{_SERVICE}allocated_ips", "kube-apiserver", "1.24 on", "service addresses", "used", "cidr", "cidr"),
    Metric(f"{_SERVICE}available_ips", "kube-apiserver", "1.24 on", "service addresses", "free", "cidr", "cidr"),
    Metric(f"{_PORT}allocated_ports", "kube-apiserver", "1.27 on", "node ports", "used"),
    Metric(f"{_PORT}available_ports", "kube-apiserver", "1.27 on", "node ports", "free"),
    *_objects("apiserver_storage_objects", "1.21 on, deprecated in 1.34"),
    *_objects("apiserver_resource_objects", "1.34 on"),
    # allocations count the blocks of nodes found at the start too, so their difference is what is in use
    *_node_ipam("cidrset", "1.20 on; the maximum later", "kube-controller-manager", "cirdset_max_cidrs"),
    *_node_ipam(
        "multicidrset",
        "MultiCIDRRangeAllocator, 1.26 to 1.28, and its successor out of tree",
        "multi-CIDR range allocator",
        "multicirdset_max_cidrs",
        "multicidrset_max_cidrs",
    ),
    Metric(
        "ipam_allocations_in_use", "calico-kube-controllers", "3.23 on", "pod addresses", "used", "ippool", "name",
        ("node",),
    ),
    Metric("ipam_ippool_size", "calico-kube-controllers", "3.23 on", "pod addresses", "usable", "ippool", "size"),
    # not what is free: the most addresses that the node's interfaces can hold, those in use included
    Metric(
        "cilium_operator_ipam_available_ips", "cilium-operator", "1.14 on, ENI, Azure, Alibaba Cloud",
        "subnet addresses", "usable", "", "IPv4", ("target_node",),
    ),
    Metric(
        "cilium_operator_ipam_used_ips", "cilium-operator", "1.14 on, ENI, Azure, Alibaba Cloud", "subnet addresses",
        "used", "", "IPv4", ("target_node",),
    ),
    # until 1.14; "available" is what nodes hold ready, so both together are what was taken out of the subnets
    Metric(
        "cilium_operator_ipam_ips", "cilium-operator", "1.8 to 1.14", "subnet addresses", "used", "", "IPv4",
        where=(("type", "used"),),
    ),
    Metric("cilium_ip_addresses", "cilium-agent", "1.0 on", "pod addresses", "used", "", "label", ("instance",)),
    Metric("cilium_ipam_capacity", "cilium-agent", "1.15 on", "pod addresses", "usable", "", "label",
           ("instance", "cidr")),
    # both families of a pool are counted together
    *(
        Metric(
            f"cilium_operator_lbipam_ips_{word}{end}", "cilium-operator LB-IPAM", versions, "load balancer addresses",
            role, "pool",
        )
        for end, versions in (("_total", "1.15 to 1.16"), ("", "1.17 on"))
        for word, role in (("used", "used"), ("available", "free"))
    ),
    *(
        Metric(
            f"{_OVN}{word}_v{family[-1]}_host_subnets", "ovnkube-cluster-manager", "with a cluster manager",
            "node blocks", role, "network_name", family,
        )
        for family in ("IPv4", "IPv6")
        for word, role in (("allocated", "used"), ("num", "usable"))
    ),
)  # fmt: skip

BY_NAME: dict[str, tuple[Metric, ...]] = {
    name: tuple(row for row in METRICS if row.name == name) for name in dict.fromkeys(row.name for row in METRICS)
}
