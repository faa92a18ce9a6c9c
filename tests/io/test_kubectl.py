"""Totals of the packaged dumps against plain Python; what objects say; Secrets."""

import gzip
import io
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from dump_texts import component, listed, messages, node, of_kind, pod, rules, service, small_cluster, write

from dsmodel.cluster.schema import IP_FAMILY_POLICIES, SERVICE_TYPES
from dsmodel.io.kubectl import read_cluster, read_dump
from dsmodel.io.samples import SAMPLES, sample_path

SECRET = "c3VwZXItc2VjcmV0LXZhbHVl"  # noqa: S105 - made up


def objects(name: str) -> list[dict[str, Any]]:
    with gzip.open(sample_path(name)) as stream:
        items: list[dict[str, Any]] = json.load(stream)["items"]
    return items


@pytest.mark.parametrize("name", SAMPLES)
def test_every_object_of_a_sample_is_accounted_for(name: str) -> None:
    cluster = read_cluster(sample_path(name))
    expected = Counter(item["kind"] for item in objects(name))
    assert {kind: sum(count.values()) for kind, count in cluster.counts.items()} == expected
    assert all(count["refused"] == 0 for count in cluster.counts.values())


@pytest.mark.parametrize("name", SAMPLES)
def test_pods_of_a_sample_equal_a_plain_count(name: str) -> None:
    pods = of_kind(objects(name), "Pod")
    frame = read_cluster(sample_path(name)).pods.to_frame()
    assert frame["name"].tolist() == [p["metadata"]["name"] for p in pods]
    assert frame["namespace"].tolist() == [p["metadata"]["namespace"] for p in pods]
    assert Counter(frame["phase"].astype(str)) == Counter(p["status"]["phase"] for p in pods)
    assert frame["host_network"].tolist() == [p["spec"].get("hostNetwork", False) for p in pods]
    for column, sign in (("pod_ipv4", False), ("pod_ipv6", True)):
        expected = []
        for p in pods:
            ips = [entry["ip"] for entry in p["status"].get("podIPs", []) if (":" in entry["ip"]) is sign]
            expected.append(ips[0] if ips else None)
        assert frame[column].astype(object).where(frame[column].notna(), None).tolist() == expected
    finished = {"Succeeded", "Failed"}
    holds = [
        bool(p["status"].get("podIPs")) and not p["spec"].get("hostNetwork") and p["status"]["phase"] not in finished
        for p in pods
    ]
    assert frame["holds_address"].tolist() == holds


@pytest.mark.parametrize("name", SAMPLES)
def test_nodes_of_a_sample_equal_a_plain_count(name: str) -> None:
    nodes = of_kind(objects(name), "Node")
    cluster = read_cluster(sample_path(name))
    frame = cluster.nodes.to_frame()
    assert frame["name"].tolist() == [n["metadata"]["name"] for n in nodes]
    blocks = [cidr for n in nodes for cidr in n["spec"].get("podCIDRs", [])]
    shown = [cidr for column in ("pod_cidr_ipv4", "pod_cidr_ipv6") for cidr in frame[column].dropna()]
    assert sorted(shown) == sorted(blocks)
    assert frame["allocatable_pods"].tolist() == [int(n["status"]["allocatable"]["pods"]) for n in nodes]
    zones = [n["metadata"]["labels"].get("topology.kubernetes.io/zone") for n in nodes]
    assert frame["zone"].tolist() == zones
    assert frame["node_pool"].tolist() == [n["metadata"]["labels"]["nodepool"] for n in nodes]
    used = {(pool.kind, pool.family): pool.used for pool in cluster.pools() if pool.kind == "node blocks"}
    assert sum(used.values()) == len(blocks)


@pytest.mark.parametrize("name", SAMPLES)
def test_services_of_a_sample_equal_a_plain_count(name: str) -> None:
    services = of_kind(objects(name), "Service")
    cluster = read_cluster(sample_path(name))
    frame = cluster.services.to_frame()
    assert Counter(frame["type"].astype(str)) == Counter(s["spec"]["type"] for s in services)
    policies = Counter(s["spec"].get("ipFamilyPolicy") for s in services)
    shown = Counter(frame["ip_family_policy"].astype(object).where(frame["ip_family_policy"].notna(), None))
    assert shown == policies
    assert frame["headless"].sum() == sum(s["spec"].get("clusterIP") == "None" for s in services)
    ips = [ip for s in services for ip in s["spec"].get("clusterIPs") or [s["spec"].get("clusterIP", "")]]
    ips = [ip for ip in ips if ip not in {"None", ""}]
    got = [ip for column in ("cluster_ipv4", "cluster_ipv6") for ip in frame[column].dropna()]
    assert sorted(got) == sorted(ips)
    used = sum(pool.used for pool in cluster.pools() if pool.kind == "service addresses")
    assert used == len(set(ips))
    ports = {p["nodePort"] for s in services for p in s["spec"].get("ports", []) if p.get("nodePort")}
    ports |= {s["spec"]["healthCheckNodePort"] for s in services if s["spec"].get("healthCheckNodePort")}
    assert set(cluster.node_ports["node_port"].tolist()) == ports
    (pool,) = [pool for pool in cluster.pools() if pool.kind == "node ports"]
    assert pool.used == len(ports)


def test_the_legacy_sample_tells_its_configuration() -> None:
    config = read_cluster(sample_path("single-stack-legacy")).config
    assert str(config.kube_version) == "1.20"
    assert config.feature_gates == {"IPv6DualStack": False}
    assert [str(c) for c in config.cluster_cidrs] == ["10.244.0.0/19"]
    assert config.evidence["service_cidrs"].startswith("flag --service-cluster-ip-range of pod kube-system/")


def test_the_full_sample_names_the_nodes_without_a_block() -> None:
    cluster = read_cluster(sample_path("nearly-full"))
    named = {name for name, _ in messages(cluster, "cidr-not-available")}
    missing = {f"Node/{n['metadata']['name']}" for n in of_kind(objects("nearly-full"), "Node") if not n["spec"]}
    assert named == missing
    assert len(named) == 4
    assert len(cluster.findings) == len(cluster.findings["file"])


def test_old_objects_have_one_address_and_no_list() -> None:
    old = pod("old", "10.244.0.7", node="a")
    del old["status"]["podIPs"]
    bare = node("a", "10.244.0.0/24")
    del bare["spec"]["podCIDRs"]
    plain = service("plain", "10.96.0.3")
    del plain["spec"]["clusterIPs"]
    frame = read_dump(io.StringIO(listed(old, bare, plain)))
    assert frame.pods.to_frame()["pod_ipv4"].tolist() == ["10.244.0.7"]
    assert frame.nodes.to_frame()["pod_cidr_ipv4"].tolist() == ["10.244.0.0/24"]
    assert frame.services.to_frame()["cluster_ipv4"].tolist() == ["10.96.0.3"]


def test_addresses_of_finished_and_host_network_pods_are_not_held() -> None:
    cluster = read_cluster(
        io.StringIO(
            listed(
                node("a", "10.244.0.0/24"),
                pod("host", "192.0.2.1", node="a", hostNetwork=True),
                pod("done", "10.244.0.9", node="a", phase="Failed"),
                pod("again", "10.244.0.9", node="a"),
            )
        )
    )
    assert cluster.pods["holds_address"].tolist() == [False, False, True]
    assert cluster.pods["has_pod_ipv4"].all()
    assert rules(cluster) == {}


def test_services_of_every_type_and_their_ports() -> None:
    services = [
        service("a", "10.96.0.2"),
        service("b", "None"),
        service("c", type="ExternalName", externalName="example.org"),
        service(
            "d", "10.96.0.4", type="NodePort", ports=[{"port": 1, "nodePort": 30001}, {"port": 1, "nodePort": 30001}]
        ),
        service(
            "e",
            "fd00::5",
            "10.96.0.5",
            type="LoadBalancer",
            ipFamilies=["IPv6", "IPv4"],
            ipFamilyPolicy="RequireDualStack",
            externalTrafficPolicy="Local",
            healthCheckNodePort=30007,
            loadBalancerClass="example.org/lb",
            ports=[{"port": 1, "nodePort": 30002, "protocol": "UDP"}],
        ),
    ]
    services[4]["status"] = {
        "loadBalancer": {"ingress": [{"hostname": "x"}, {"ip": "2001:db8::1"}, {"ip": "192.0.2.5"}]}
    }
    dump = read_dump(io.StringIO(listed(*services)))
    table = dump.services
    assert [SERVICE_TYPES[c] for c in table["type"].tolist()] == [
        "ClusterIP",
        "ClusterIP",
        "ExternalName",
        "NodePort",
        "LoadBalancer",
    ]
    assert table["headless"].tolist() == [False, True, False, False, False]
    assert table["node_ports"].tolist() == [0, 0, 0, 1, 1]
    assert table["primary_ip_family"].tolist() == [4, 0, 0, 4, 6]
    assert table["ip_families"].tolist()[-1] == 64
    assert IP_FAMILY_POLICIES[table["ip_family_policy"].tolist()[-1]] == "RequireDualStack"
    last = table.to_frame().iloc[-1]
    assert (last["external_ipv4"], last["external_ipv6"]) == ("192.0.2.5", "2001:db8::1")
    assert last["load_balancer_class"] == "example.org/lb"
    ports = dump.node_ports
    assert ports["node_port"].tolist() == [30001, 30002, 30007]
    assert ports["service"].tolist() == [3, 4, 4]
    assert ports["use"].tolist() == [1, 1, 2]


def test_kinds_of_other_groups_are_ignored_and_counted() -> None:
    knative = service("web") | {"apiVersion": "serving.knative.dev/v1", "spec": {"type": {"no": "text"}}}
    odd = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": {"nodeName": {"a": 1}}}
    named = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "y", "labels": 7}, "status": []}
    cluster = read_cluster(io.StringIO(listed(knative, odd, named, *small_cluster())))
    assert cluster.counts["Service.serving.knative.dev"] == {"read": 0, "ignored": 1, "refused": 0}
    assert cluster.counts["Thing"]["ignored"] == 2
    assert len(cluster.pods) == 5
    ((_, message),) = messages(cluster, "objects-ignored")
    assert "Thing 2" in message


def test_a_leaked_ip_address_blocks_the_service_range() -> None:
    def held(name: str, owner: str) -> dict[str, Any]:
        parent = {"resource": "services", "namespace": "default", "name": owner}
        meta = {"name": name}
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": meta,
            "spec": {"parentRef": parent},
        }

    items = [*small_cluster(), held("10.96.0.9", "web"), held("10.96.0.77", "gone"), held("fd00:10:96::9", "web")]
    cluster = read_cluster(io.StringIO(listed(*items)))
    ((name, message),) = messages(cluster, "ip-address-leaked")
    assert name == "IPAddress/10.96.0.77"
    assert "services default/gone" in message
    used = {str(pool.family): pool.used for pool in cluster.pools() if pool.kind == "service addresses"}
    assert used == {"IPv4": 3, "IPv6": 1}


def secrets_in(text: str, folder: Path) -> list[Path]:
    import yaml

    document = json.loads(text)
    return [
        write(folder, text, "secret.json"),
        write(folder, json.dumps(document, indent=4), "indented.json"),
        write(folder, gzip.compress(text.encode()), "secret.json.gz"),
        write(folder, yaml.safe_dump(document), "secret.yaml"),
        write(folder, "\n".join(json.dumps(item) for item in document["items"]), "lines.json"),
    ]


def reachable(root: object) -> set[str]:
    """Every text that can be reached from an object through the garbage collector."""
    import gc
    import types

    seen: set[int] = set()
    waiting, found = [root], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, type | types.ModuleType | types.FunctionType):
            continue
        seen.add(id(value))
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, bytes | bytearray | memoryview):
            found.add(bytes(value).decode("latin-1"))
        waiting += gc.get_referents(value)
    return found


def test_secrets_are_never_loaded(tmp_path: Path) -> None:
    secret = {
        "apiVersion": "v1",
        "data": {"token": SECRET},
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "default"},
        "stringData": {"plain": SECRET},
        "type": "Opaque",
    }
    wrong = secret | {"metadata": {"name": 7}, "data": SECRET}
    other = {
        "apiVersion": "v1",
        "data": {"x": SECRET},
        "kind": "ConfigMap",
        "metadata": {"name": "app", "namespace": "d"},
    }
    text = listed(*small_cluster(), secret, wrong, other)
    for path in secrets_in(text, tmp_path):
        for streaming in (True, False):
            cluster = read_cluster(path, streaming=streaming)
            assert cluster.counts["Secret"] == {"read": 0, "ignored": 2, "refused": 0}, path
            assert len(cluster.pods) == 5
            assert not [value for value in reachable(cluster) if SECRET in value], path
            for table in (cluster.nodes, cluster.pods, cluster.services, cluster.findings):
                assert SECRET not in table.to_frame().to_csv()


def test_control_plane_pods_are_counted_like_others() -> None:
    cluster = read_cluster(io.StringIO(listed(*small_cluster(), component("kube-scheduler", "--x"))))
    assert len(cluster.pods) == 6


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("patience", "wanted", "shown"), [(0.0, True, True), (0.0, False, False), (60.0, True, False)])
def test_progress_is_shown_for_long_reads_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch, patience: float, *, wanted: bool, shown: bool
) -> None:
    monkeypatch.setattr("dsmodel.progress.PATIENCE_SECONDS", patience)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    read_dump(sample_path(), progress=wanted)
    assert ("reading" in terminal.getvalue()) is shown


def test_files_and_pipes_get_no_bar(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    read_dump(sample_path())
    assert capfd.readouterr() == ("", "")
