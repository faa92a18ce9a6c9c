"""Small clusters with addresses of their nodes, for questions about egress."""

import ipaddress

import numpy as np

import dsmodel as ds
from dsmodel.addresses.text import parse_addresses

CLUSTER_CIDRS = ("10.244.0.0/16", "fd00:10:244::/56")
SERVICE_CIDRS = ("10.96.0.0/16", "fd00:10:96::/112")


def cluster_of(
    nodes=("a", "b"),
    pods=(("shop", "cart", "a"), ("shop", "web", "b")),
    *,
    ipv4="10.0.0.{}",
    ipv6="fd00:10::{}",
    cluster_cidrs=CLUSTER_CIDRS,
    zones="zone-a",
    labels=None,
    node_labels=None,
):
    """Nodes with an InternalIP of each family that has a pattern; pods as (namespace, name, node[, "host"])."""
    cluster = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=list(cluster_cidrs), service_cidrs=list(SERVICE_CIDRS)))
    cluster.add_nodes(list(nodes), zone=zones, labels=node_labels)
    columns = {}
    for end, pattern in (("ipv4", ipv4), ("ipv6", ipv6)):
        patterns = [pattern] * len(nodes) if isinstance(pattern, str) or pattern is None else list(pattern)
        texts = [str(ipaddress.ip_address(each.format(row + 1))) if each else None for row, each in enumerate(patterns)]
        zero = "0.0.0.0" if end == "ipv4" else "::"  # noqa: S104 - stands for no address
        columns[f"internal_{end}"] = parse_addresses([text or zero for text in texts], family=f"IP{end[2:]}")
        columns[f"has_internal_{end}"] = np.array([text is not None for text in texts], np.bool_)
    cluster.nodes = cluster.nodes.replace(columns)
    rows = [list(nodes).index(pod[2]) for pod in pods]
    if pods:
        cluster.add_pods(
            np.array(rows, np.int32),
            names=[pod[1] for pod in pods],
            namespace=[pod[0] for pod in pods],
            host_network=np.array([len(pod) > 3 for pod in pods]),
            labels=labels if labels is not None else [{"app": pod[1]} for pod in pods],
        )
    return cluster


def with_endpoints(cluster, service, endpoints, *, policy=None):
    """Add the EndpointSlices of a Service: endpoints as (address, node)."""
    namespace, _, name = service.partition("/")
    slices = []
    for kind, sign in (("IPv4", "."), ("IPv6", ":")):
        held = [
            {"addresses": [text], "nodeName": node, "conditions": {"ready": True}}
            for text, node in endpoints
            if sign in text
        ]
        metadata = {
            "name": f"{name}-{kind.lower()}",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name},
        }
        slices.append(
            {
                "kind": "EndpointSlice",
                "apiVersion": "discovery.k8s.io/v1",
                "metadata": metadata,
                "addressType": kind,
                "endpoints": held,
            }
        )
    if policy:
        metadata = {"name": name, "namespace": namespace}
        slices.append(
            {"kind": "Service", "apiVersion": "v1", "metadata": metadata, "spec": {"internalTrafficPolicy": policy}}
        )
    cluster.objects = cluster.objects.adding(slices)
    return cluster
