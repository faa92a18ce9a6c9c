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
    tables = ("nodes", "pods", "services", "node_ports")
    return one.config == other.config and all(getattr(one, t).equals(getattr(other, t)) for t in tables)
