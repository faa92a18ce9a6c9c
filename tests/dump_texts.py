"""Small objects as ``kubectl get -o json`` prints them, for tests that read dumps."""

import json
from collections import Counter
from pathlib import Path
from typing import Any


def node(name: str, *pod_cidrs: str, **status: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"podCIDR": pod_cidrs[0], "podCIDRs": list(pod_cidrs)} if pod_cidrs else {}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec, "status": status}


def pod(name: str, *ips: str, node: str = "", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    phase = spec.pop("phase", "Running")
    status: dict[str, Any] = {"phase": phase}
    if ips:
        status |= {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
    metadata = {"name": name, "namespace": namespace}
    placed = {"nodeName": node} if node else {}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": placed | spec, "status": status}


def service(name: str, *cluster_ips: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    ips = {"clusterIP": cluster_ips[0], "clusterIPs": list(cluster_ips)} if cluster_ips else {}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"type": "ClusterIP", **ips, **spec}}


def config_map(name: str, namespace: str = "kube-system", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "data": data,
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
    }


def component(name: str, *flags: str, image: str = "registry.k8s.io/pause:3.9", node: str = "") -> dict[str, Any]:
    """A static pod of the control plane."""
    containers = [{"name": name, "image": image, "command": [name, *flags]}]
    return pod(f"{name}-a", node=node, namespace="kube-system", hostNetwork=True, containers=containers)


def listed(*objects: Any, indent: int | None = None, kind: str = "List") -> str:
    """A list in the order of keys that kubectl writes."""
    separators = (",", ":") if indent is None else None
    document = {"apiVersion": "v1", "items": list(objects), "kind": kind, "metadata": {"resourceVersion": ""}}
    return json.dumps(document, indent=indent, separators=separators)


def small_cluster() -> list[dict[str, Any]]:
    """Two nodes, three pods, two services, control plane flags."""
    cidrs = "10.244.0.0/16,fd00:10:244::/56"
    return [
        node("a", "10.244.0.0/24", "fd00:10:244::/64", nodeInfo={"kubeletVersion": "v1.34.1"}),
        node("b", "10.244.1.0/24", "fd00:10:244:1::/64", nodeInfo={"kubeletVersion": "v1.34.1"}),
        component("kube-apiserver", "--service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112", "--secure-port=6443"),
        component("kube-controller-manager", "--allocate-node-cidrs=true", f"--cluster-cidr={cidrs}"),
        pod("p0", "10.244.0.5", "fd00:10:244::5", node="a"),
        pod("p1", "10.244.1.5", "fd00:10:244:1::5", node="b"),
        pod("done", "10.244.1.6", "fd00:10:244:1::6", node="b", phase="Succeeded"),
        service("kubernetes", "10.96.0.1"),
        service("web", "10.96.0.9", "fd00:10:96::9", ipFamilyPolicy="PreferDualStack", ipFamilies=["IPv4", "IPv6"]),
    ]


def manifest(api_version: str, kind: str, name: str, namespace: str = "", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def container(name: str, *args: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": f"example.org/{name}:v1", "args": list(args), **fields}


def daemon_set(name: str, *containers: dict[str, Any], namespace: str = "kube-system") -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": list(containers)}}}
    return manifest("apps/v1", "DaemonSet", name, namespace, spec=spec)


def network_objects() -> list[dict[str, Any]]:
    """Labels, namespaces, objects of plugins, agents, and a load balancer that lets some sources in."""
    labels = {"labels": {"app": "web", "tier": "front"}, "annotations": {"k8s.ovn.org/node-subnets": "{}"}}
    one, two, other = (node(name) for name in "cde")
    ranges = {"type": "LoadBalancer", "loadBalancerSourceRanges": ["192.0.2.0/24", "2001:db8::/32"]}
    return [
        {**one, "metadata": {**one["metadata"], **labels}},
        {**two, "metadata": {**two["metadata"], **labels}},
        other,
        manifest("v1", "Namespace", "shop", metadata={"labels": {"team": "a"}, "annotations": {"x": "y"}}),
        manifest("crd.projectcalico.org/v1", "IPPool", "v6", spec={"cidr": "fd00:10:244::/64", "natOutgoing": True}),
        manifest("cilium.io/v2", "CiliumEndpoint", "web-0", "shop", status={"networking": {"addressing": []}}),
        manifest("k8s.ovn.org/v1", "EgressIP", "out", spec={"egressIPs": ["192.0.2.9"], "namespaceSelector": {}}),
        daemon_set("aws-node", container("aws-node", env=[{"name": "A", "value": "1"}, {"name": "B"}])),
        pod("kube-proxy-x", namespace="kube-system", containers=[container("kube-proxy", "--masquerade-all")]),
        pod("web-0", "10.244.0.9", namespace="shop") | {"metadata": {"name": "web-0", "namespace": "shop", **labels}},
        service("lb", **ranges),
        config_map("cilium-config", ipam="kubernetes"),
    ]


def of_kind(items: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [item for item in items if item["kind"] == kind]


def write(folder: Path, text: str | bytes, name: str = "dump.json") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rules(cluster: Any) -> Counter[str]:
    return Counter(rule for rule in cluster.findings["rule"].tolist() if rule != "objects-ignored")


def messages(cluster: Any, rule: str) -> list[tuple[str, str]]:
    found = cluster.findings
    return [
        (name, message)
        for name, message, r in zip(found["object"], found["message"], found["rule"], strict=True)
        if r == rule
    ]


def same(one: Any, other: Any) -> bool:
    tables = ("nodes", "pods", "services", "node_ports", "allowed_sources")
    values = ("config", "node_labels", "pod_labels", "namespaces", "namespace_annotations", "objects")
    return all(getattr(one, v) == getattr(other, v) for v in values) and all(
        getattr(one, t).equals(getattr(other, t)) for t in tables
    )
