"""The API server of a cluster, holding what its Services hold.

Promises: the server has the flags of the configuration; every Service of the tables exists in it with its addresses,
families, policy and node ports, and what pools hold for no known Service is held there too, so that a request meets
the names, addresses and ports it would meet.

Not known here: what tables do not keep of a Service: selector, port numbers and names. A loaded Service shows each node
port it holds as a port numbered 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import isin
from dsmodel.addresses.text import format_addresses
from dsmodel.cluster.schema import IP_FAMILIES, IP_FAMILY_POLICIES, SERVICE_TYPES, TRAFFIC_POLICIES
from dsmodel.errors import InvalidConfig
from dsmodel.kube.behaviour import behaviour_of
from dsmodel.kube.config import ClusterConfig
from dsmodel.kube.control_plane import ControlPlane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dsmodel.cluster.state import Cluster

__all__ = ["control_plane_of"]

_ENDS = ("ipv4", "ipv6")
_NODE_PORT_USE = 1  # code of schema.NODE_PORT_USES


def control_plane_of(cluster: Cluster | ClusterConfig, *, rng: np.random.Generator | None = None) -> ControlPlane:
    """Start an API server that holds what a cluster holds.

    Parameters
    ----------
    cluster : Cluster or ClusterConfig
        A configuration is an empty cluster.
    rng : numpy.random.Generator, optional
        Where the server's random choices start; None takes the lowest free address or port of the dynamic band.

    Returns
    -------
    ControlPlane
        Independent of the cluster.

    Raises
    ------
    InvalidConfig
        If the API server would not start with the service ranges, or none is known.

    Examples
    --------
    >>> from dsmodel import Cluster
    >>> cluster = Cluster(ClusterConfig.of(service_cidrs=["10.96.0.0/24"]))
    >>> cluster.add_services(1, node_ports=1).granted
    1
    >>> control_plane_of(cluster).get("Service", "kubernetes")["spec"]["clusterIPs"]
    ['10.96.0.1']
    """
    config = cluster if isinstance(cluster, ClusterConfig) else cluster.config
    if not config.service_cidrs:
        raise InvalidConfig("no service range is known, so no address can be handed out; name one in service_cidrs")
    first, last = config.service_node_port_range
    server = ControlPlane(
        kube_version=config.kube_version,
        service_cidrs=config.service_cidrs,
        feature_gates=config.feature_gates,
        service_node_port_range=f"{first}-{last}",
        rng=rng,
    )
    if behaviour_of(config.kube_version, config.feature_gates).address_objects:
        more = [cidr for cidr in dict.fromkeys(config.extra_service_cidrs) if cidr not in config.service_cidrs]
        server.load(
            {"kind": "ServiceCIDR", "metadata": {"name": f"extra-{number}"}, "spec": {"cidrs": [str(cidr)]}}
            for number, cidr in enumerate(more, 1)
        )
    if not isinstance(cluster, ClusterConfig):
        server.load(_services(cluster))
        server.load(_held(cluster))
    return server


def _services(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """Write the Services of the tables as objects."""
    table = cluster.services
    addresses = [_texts(cluster, end) for end in _ENDS]
    ports: dict[int, list[int]] = {}
    mine = cluster.node_ports.where(cluster.node_ports["use"] == _NODE_PORT_USE)
    for owner, port in zip(mine["service"].tolist(), mine["node_port"].tolist(), strict=True):
        ports.setdefault(owner, []).append(port)
    names = ("namespace", "name", "type", "ip_family_policy", "ip_families", "headless", "primary_ip_family")
    more = ("health_check_node_port", "external_traffic_policy", "load_balancer_class")
    columns = [table[name].tolist() for name in (*names, *more)]
    for row, values in enumerate(zip(*columns, *addresses, strict=True)):
        namespace, name, kind, policy, families, headless, primary, health, traffic, balancer, *found = values
        texts = [text for text in (found if primary != 6 else found[::-1]) if text]
        spec: dict[str, Any] = {
            "type": SERVICE_TYPES[kind] or "ClusterIP",
            "clusterIPs": ["None"] if headless else texts,
            "ipFamilyPolicy": IP_FAMILY_POLICIES[policy] or None,
            "ipFamilies": IP_FAMILIES[families].split(",") if families else None,
            "ports": [{"port": 0, "nodePort": port} for port in ports.get(row, ())],
            "healthCheckNodePort": health,
            "externalTrafficPolicy": TRAFFIC_POLICIES[traffic] or None,
            "loadBalancerClass": balancer or None,
        }
        spec["clusterIP"] = spec["clusterIPs"][0] if spec["clusterIPs"] else None
        if spec["type"] == "LoadBalancer":
            spec["allocateLoadBalancerNodePorts"] = bool(spec["ports"])
        # a Service made from counts has no name; no request can have this one
        metadata = {"namespace": namespace or "default", "name": name or f"#{row}"}
        yield {"kind": "Service", "metadata": metadata, "spec": spec}


def _texts(cluster: Cluster, end: str) -> list[str | None]:
    """Write the cluster IPs of one family."""
    table = cluster.services
    texts: list[str | None] = format_addresses(table[f"cluster_{end}"], valid=table[f"has_cluster_{end}"]).to_pylist()
    return texts


def _held(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """Write what pools hold for no Service of the tables as Services that no request can name."""
    texts: list[str] = []
    for family, pools in cluster.service_ranges.ranges.items():
        end = family.lower()
        known = cluster.services[f"cluster_{end}"][cluster.services[f"has_cluster_{end}"]]
        for pool in pools:
            column = pool.addresses(pool.used_offsets())
            texts += format_addresses(column[~isin(column, known)]).to_pylist()
    loose = cluster.node_ports["node_port"][cluster.node_ports["service"] < 0]
    ports = [{"port": 0, "nodePort": port} for port in np.unique(loose).tolist()]
    if texts or ports:
        spec = {"type": "NodePort", "clusterIPs": texts, "ports": ports}
        yield {"kind": "Service", "metadata": {"name": "#held"}, "spec": spec}
