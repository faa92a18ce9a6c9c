"""The checks of "Validate IPv4/IPv6 dual-stack" on tables."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dsmodel as ds
from dsmodel import examples, reports
from dsmodel.io.samples import sample_path
from dsmodel.reports.validation import COLUMNS

SERVICES = "PreferDualStack Services have two cluster IPs, in the order of their families"


def results(cluster: ds.Cluster) -> dict[str, str]:
    frame = reports.dual_stack_validation(cluster)
    assert list(frame.columns) == list(COLUMNS)
    assert set(frame["result"]) <= {"ok", "fails", "not tested"}
    assert ((frame["result"] == "fails") == (frame["count"] > 0)).all()
    assert ((frame["result"] == "not tested") == (frame["tested"] == 0)).all()
    assert (frame["why"] != "").all()
    return dict(zip(frame["check"], frame["result"], strict=True))


@pytest.mark.parametrize("make", [examples.kubeadm_dual_stack, examples.ipv6_first])
def test_a_sound_cluster_fails_nothing(make) -> None:
    assert "fails" not in results(make()).values()


def test_a_single_family_fails_what_needs_two() -> None:
    found = results(examples.single_stack_ipv4())
    assert found["dual-stack is switched on"] == "fails"
    assert found["cluster CIDRs name both families"] == "fails"
    assert found["every node has one podCIDR of each family"] == "fails"
    assert found["every Pod has one address of each family"] == "fails"


def test_an_empty_cluster_has_little_to_test() -> None:
    found = results(ds.Cluster(ds.ClusterConfig.of()))
    assert found["every node has one podCIDR of each family"] == "not tested"
    assert found[SERVICES] == "not tested"


def test_offenders_are_named_and_counted() -> None:
    cluster = ds.read_cluster(sample_path("nearly-full"))
    frame = reports.dual_stack_validation(cluster).set_index("check")
    row = frame.loc["every node has one podCIDR of each family"]
    assert (row["result"], row["tested"], row["count"]) == ("fails", 20, 4)
    assert row["offenders"] == "Node/highmem-004, Node/highmem-008, Node/highmem-012, and 1 more"


def test_a_service_without_its_second_address() -> None:
    cluster = examples.kubeadm_dual_stack()
    services = cluster.services
    row = int(np.flatnonzero((services["ip_family_policy"] == 2) & ~services["headless"])[0])
    has = services["has_cluster_ipv6"].copy()
    has[row] = False
    cluster.services = services.replace({"has_cluster_ipv6": has})
    assert results(cluster)[SERVICES] == "fails"


def test_orders_that_differ() -> None:
    config = ds.ClusterConfig.of(cluster_cidrs="fd00:1::/56,10.244.0.0/16", service_cidrs="10.96.0.0/16,fd00:2::/112")
    assert results(ds.Cluster(config))["cluster CIDRs and service ranges have one order"] == "fails"


def test_a_gate_switches_dual_stack_on() -> None:
    config = ds.ClusterConfig.of(kube_version="1.20", feature_gates={"IPv6DualStack": True})
    assert results(ds.Cluster(config))["dual-stack is switched on"] == "ok"


def test_pods_of_one_node_begin_with_one_family() -> None:
    cluster = examples.kubeadm_dual_stack()
    pods = cluster.pods
    both = np.flatnonzero(pods["has_pod_ipv4"] & pods["has_pod_ipv6"] & ~pods["host_network"])
    primary = pods["primary_ip_family"].copy()
    primary[both[0]] = 6
    cluster.pods = pods.replace({"primary_ip_family": primary})
    assert results(cluster)["podIP is of one family on all Pods of a node"] == "fails"


# every check of a dump can pass and fail: one thing is broken at a time ----------------------------------------------


def sound_dump() -> dict[str, dict]:
    """A cluster of one node where every check passes."""

    def thing(kind: str, name: str, version: str = "v1", **more) -> dict:
        return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "default"}, **more}

    def pod(name: str, four: str, six: str, *, on_host: bool = False) -> dict:
        status = {"phase": "Running", "podIP": four, "podIPs": [{"ip": four}, {"ip": six}]}
        return thing("Pod", name, spec={"nodeName": "a", "hostNetwork": on_host}, status=status)

    def service(name: str, policy: str, families: list[str], ips: list[str], **more) -> dict:
        spec = {"ipFamilyPolicy": policy, "ipFamilies": families, "clusterIP": ips[0], "clusterIPs": ips}
        return thing("Service", name, spec={"type": "ClusterIP", "ports": [{"port": 80}], **spec, **more})

    def endpoint_slice(name: str, of: str, family: str, address: str) -> dict:
        found = thing(
            "EndpointSlice", name, "discovery.k8s.io/v1", addressType=family, endpoints=[{"addresses": [address]}]
        )
        found["metadata"]["labels"] = {"kubernetes.io/service-name": of}
        return found

    both = ["IPv4", "IPv6"]
    balanced = service("lb", "PreferDualStack", both, ["10.96.0.12", "fd00:96::12"])
    balanced["spec"]["type"] = "LoadBalancer"
    balanced["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}, {"ip": "2001:db8::1"}]}}
    addresses = [{"type": "InternalIP", "address": text} for text in ("192.0.2.1", "2001:db8:1::1")]
    flags = ["--cluster-cidr=10.244.0.0/16,fd00:244::/56", "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112"]
    manager = thing("Pod", "kube-controller-manager-a")
    manager["metadata"]["namespace"] = "kube-system"
    words = ["kube-controller-manager", "--allocate-node-cidrs=true", *flags]
    manager["spec"] = {
        "nodeName": "a",
        "hostNetwork": True,
        "containers": [
            {"name": "kube-controller-manager", "image": "kube-controller-manager:v1.33.1", "command": words}
        ],
    }
    manager["status"] = {"phase": "Running", "podIPs": [{"ip": "192.0.2.1"}, {"ip": "2001:db8:1::1"}]}
    node = thing("Node", "a", spec={"podCIDRs": ["10.244.0.0/24", "fd00:244::/64"]}, status={"addresses": addresses})
    return {
        "manager": manager,
        "node": node,
        "pod": pod("p", "10.244.0.5", "fd00:244::5"),
        "other": pod("q", "10.244.0.6", "fd00:244::6"),
        "third": pod("r", "10.244.0.7", "fd00:244::7"),
        "host": pod("h", "192.0.2.1", "2001:db8:1::1", on_host=True),
        "single": service("single", "SingleStack", ["IPv6"], ["fd00:96::10"]),
        "prefer": service("prefer", "PreferDualStack", both, ["10.96.0.10", "fd00:96::11"]),
        "require": service("require", "RequireDualStack", both[::-1], ["fd00:96::13", "10.96.0.13"]),
        "headless": service("headless", "RequireDualStack", both, ["None"]),
        "lb": balanced,
        "slice4": endpoint_slice("prefer-4", "prefer", "IPv4", "10.244.0.5"),
        "slice6": endpoint_slice("prefer-6", "prefer", "IPv6", "fd00:244::5"),
    }


def put(dump: dict[str, dict], which: str, path: str, value: object) -> None:
    *keys, last = path.split(".")
    found = dump[which]
    for key in keys:
        found = found[int(key)] if isinstance(found, list) else found[key]
    found[last] = value


WAYS = {
    "dual-stack is switched on": ("manager", "spec.containers.0.image", "kube-controller-manager:v1.20.2"),
    "cluster CIDRs name both families": (
        "manager",
        "spec.containers.0.command",
        [
            "kube-controller-manager",
            "--cluster-cidr=10.244.0.0/16",
            "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112",
        ],
    ),
    "service ranges name both families": (
        "manager",
        "spec.containers.0.command",
        [
            "kube-controller-manager",
            "--cluster-cidr=10.244.0.0/16,fd00:244::/56",
            "--service-cluster-ip-range=10.96.0.0/16",
        ],
    ),
    "cluster CIDRs and service ranges have one order": (
        "manager",
        "spec.containers.0.command",
        [
            "kube-controller-manager",
            "--cluster-cidr=10.244.0.0/16,fd00:244::/56",
            "--service-cluster-ip-range=fd00:96::/112,10.96.0.0/16",
        ],
    ),
    "every node has one podCIDR of each family": ("node", "spec.podCIDRs", ["10.244.0.0/24"]),
    "every node has an InternalIP of each family": (
        "node",
        "status.addresses",
        [{"type": "InternalIP", "address": "192.0.2.1"}],
    ),
    "every Pod has one address of each family": ("pod", "status.podIPs", [{"ip": "10.244.0.5"}]),
    "podIP is of one family on all Pods of a node": (
        "pod",
        "status",
        {"phase": "Running", "podIP": "fd00:244::5", "podIPs": [{"ip": "fd00:244::5"}, {"ip": "10.244.0.5"}]},
    ),
    "hostNetwork Pods have their node's addresses": ("host", "status.podIPs", [{"ip": "192.0.2.1"}]),
    "SingleStack Services have one cluster IP, of their family": (
        "single",
        "spec.clusterIPs",
        ["fd00:96::10", "10.96.0.9"],
    ),
    SERVICES: ("prefer", "spec.clusterIPs", ["10.96.0.10"]),
    "RequireDualStack Services have two cluster IPs, in the order of their families": (
        "require",
        "spec.ipFamilies",
        ["IPv4", "IPv6"],
    ),
    "headless dual-stack Services list both families": ("headless", "spec.ipFamilies", ["IPv4"]),
    "cluster IPs lie in the service ranges": ("prefer", "spec.clusterIPs", ["10.96.0.10", "fd00:97::11"]),
    "load balancers have an external address of each family": (
        "lb",
        "status.loadBalancer.ingress",
        [{"ip": "203.0.113.1"}],
    ),
    "Services have EndpointSlices of each of their families, with addresses of it": (
        "slice6",
        "endpoints",
        [{"addresses": ["10.244.0.5"]}],
    ),
}


def judged(tmp_path, dump: dict[str, dict]) -> dict[str, str]:
    path = tmp_path / "dump.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(dump.values())}))
    return results(ds.read_cluster(path))


def test_all_that_a_dump_can_show_passes(tmp_path) -> None:
    found = judged(tmp_path, sound_dump())
    assert {check for check, result in found.items() if result == "ok"} == set(WAYS)
    assert {check for check, result in found.items() if result == "fails"} == set()


@pytest.mark.parametrize("check", list(WAYS))
def test_every_check_of_a_dump_can_fail(tmp_path, check: str) -> None:
    dump = sound_dump()
    put(dump, *WAYS[check])
    assert judged(tmp_path, dump)[check] == "fails"


def test_a_family_without_an_endpoint_slice_fails(tmp_path) -> None:
    dump = sound_dump()
    del dump["slice6"]
    check = "Services have EndpointSlices of each of their families, with addresses of it"
    assert judged(tmp_path, dump)[check] == "fails"
    del dump["slice4"]
    assert judged(tmp_path, dump)[check] == "not tested"
