"""Wrong types, bad addresses and contradictions cost one object or one field, and are named."""

import io
from pathlib import Path
from typing import Any

import pytest
from dump_texts import listed, messages, node, pod, rules, service, small_cluster, write

from dsmodel.cluster.schema import PHASES
from dsmodel.io.kubectl import read_cluster, read_dump
from dsmodel.kube.config import ClusterConfig

WRONG_FIELDS: list[tuple[str, Any]] = [
    ("metadata", None),
    ("metadata", {}),
    ("metadata", {"name": 7}),
    ("metadata", {"name": "x", "namespace": ["y"]}),
    ("spec", "text"),
    ("spec", {"nodeName": 5}),
    ("spec", {"hostNetwork": "yes"}),
    ("status", []),
    ("status", {"phase": {"a": 1}}),
    ("status", {"podIPs": "10.0.0.1"}),
    ("status", {"podIPs": [{"ip": 7}]}),
    ("status", {"podIPs": [None]}),
    ("status", {"podIP": 7}),
]


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(("field", "value"), WRONG_FIELDS)
def test_one_wrong_type_costs_one_object(field: str, value: Any, *, streaming: bool) -> None:
    wrong = pod("wrong", "10.244.0.66", node="a") | {field: value}
    cluster = read_cluster(io.StringIO(listed(*small_cluster()[:6], wrong, *small_cluster()[6:])), streaming=streaming)
    assert (len(cluster.nodes), len(cluster.pods), len(cluster.services)) == (2, 5, 2)
    assert cluster.counts["Pod"] == {"read": 5, "ignored": 0, "refused": 1}
    ((name, message),) = messages(cluster, "object-refused")
    assert name.startswith("Pod/")
    assert "left out" in message


@pytest.mark.parametrize("item", [7, None, "text", [], {}, {"kind": 7}, {"kind": None, "metadata": {"name": "x"}}])
def test_items_that_are_no_objects_are_refused(item: Any) -> None:
    cluster = read_cluster(io.StringIO(listed(item, *small_cluster())))
    assert len(cluster.pods) == 5
    assert rules(cluster) == {"object-refused": 1}


BAD_ADDRESSES = [
    "10.0.0.256",
    "10.0.0",
    "fd00::g",
    "x",
    "10.0.0.1/24",
    "fe80::1%eth0",
    "1" * 5000,
    "\u0661\u0660.0.0.1",
]


@pytest.mark.parametrize("text", BAD_ADDRESSES)
def test_bad_addresses_are_findings(text: str) -> None:
    cluster = read_cluster(
        io.StringIO(
            listed(
                node("a", "10.244.0.0/24"),
                node("b", text),
                pod("p", text, node="a"),
                pod("q", "10.244.0.2", text, node="a"),
                service("s", text),
            )
        )
    )
    named = [name for name, _ in messages(cluster, "address-invalid")]
    wanted = {"Pod/default/p", "Pod/default/q", "Service/default/s"}
    assert set(named) >= wanted
    assert cluster.pods["has_pod_ipv4"].tolist() == [False, True]
    assert (len(cluster.nodes), len(cluster.pods), len(cluster.services)) == (2, 2, 1)


def test_addresses_the_api_would_not_allow_side_by_side() -> None:
    two = pod("two", "10.244.0.2", "10.244.0.3", node="a")
    three = pod("three", "10.244.0.4", "fd00::4", "10.244.0.5", node="a")
    torn = pod("torn", "10.244.0.6", node="a")
    torn["status"]["podIP"] = "10.244.0.7"
    dump = read_dump(io.StringIO(listed(node("a", "10.244.0.0/24"), two, three, torn)))
    assert dump.pods.to_frame()["pod_ipv4"].tolist() == ["10.244.0.2", "10.244.0.4", "10.244.0.7"]
    named = sorted(zip(dump.findings["rule"], dump.findings["object"], strict=True))
    assert named == [
        ("address-invalid", "Pod/default/two"),
        ("field-invalid", "Pod/default/three"),
        ("field-invalid", "Pod/default/torn"),
    ]


def test_two_nodes_with_one_block_and_a_pod_outside_its_own(tmp_path: Path) -> None:
    nodes = write(tmp_path, listed(node("a", "10.244.0.0/24"), node("b", "10.244.0.0/24")), "nodes.json")
    pods = write(tmp_path, listed(pod("stray", "10.9.9.9", node="a"), pod("ok", "10.244.0.3", node="a")), "pods.json")
    cluster = read_cluster([nodes, pods], config=ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"]))
    assert [name for name, _ in messages(cluster, "node-pod-cidr-duplicate")] == ["Node/b"]
    assert [name for name, _ in messages(cluster, "pod-outside-node-block")] == ["Pod/default/stray"]
    files = dict(zip(cluster.findings["rule"], cluster.findings["file"], strict=True))
    assert files["node-pod-cidr-duplicate"] == str(nodes)
    assert files["pod-outside-node-block"] == str(pods)


def test_an_object_in_two_files_counts_once(tmp_path: Path) -> None:
    first = write(tmp_path, listed(*small_cluster()), "1.json")
    changed = [
        pod("p0", "10.244.0.99", node="a"),
        node("a"),
        service("web", "10.96.0.10"),
        pod("p0", namespace="other"),
    ]
    second = write(tmp_path, listed(*changed), "2.json")
    cluster = read_cluster([first, second])
    assert (len(cluster.nodes), len(cluster.pods), len(cluster.services)) == (2, 6, 2)
    assert cluster.pods.to_frame().set_index(["namespace", "name"]).loc[("default", "p0"), "pod_ipv4"] == "10.244.0.5"
    duplicates = messages(cluster, "object-duplicate")
    assert [name for name, _ in duplicates] == ["Node/a", "Pod/default/p0", "Service/default/web"]
    assert all(str(first) in message for _, message in duplicates)
    assert cluster.counts["Pod"] == {"read": 6, "ignored": 0, "refused": 1}


def test_pods_of_unknown_nodes() -> None:
    cluster = read_cluster(io.StringIO(listed(*small_cluster(), pod("x", node="gone"), pod("y", node="gone"))))
    ((name, message),) = messages(cluster, "node-missing")
    assert name == "Pod/default/x"
    assert "'gone'" in message
    assert "2 pods" in message
    assert cluster.pods["node"].tolist()[-2:] == [-1, -1]


def test_wrong_fields_of_nodes_and_services_cost_the_field_only() -> None:
    odd = node("odd", allocatable={"pods": "many"}, conditions=7, addresses=[{"address": 7}], nodeInfo=[])
    odd["metadata"]["labels"] = {"topology.kubernetes.io/zone": 3}
    odd["spec"] = {"podCIDRs": "10.244.9.0/24", "unschedulable": "no"}
    wrong = service("wrong", type="Magic", ports={}, ipFamilies=["IPv5"], healthCheckNodePort=70000)
    cluster = read_cluster(io.StringIO(listed(*small_cluster(), odd, wrong)))
    assert (len(cluster.nodes), len(cluster.services)) == (3, 3)
    named = messages(cluster, "field-invalid")
    assert {name for name, _ in named} == {"Node/odd", "Service/default/wrong"}
    text = " ".join(message for _, message in named)
    for path in ("allocatable", "conditions", "addresses", "nodeInfo", "labels", "podCIDRs", "unschedulable"):
        assert path in text
    for path in ("spec.type", "spec.ports", "spec.ipFamilies", "spec.healthCheckNodePort"):
        assert path in text


def test_phases_have_codes() -> None:
    pods = [pod(f"p{i}", phase=phase) for i, phase in enumerate(["Pending", "Running", "Dancing", None])]
    dump = read_dump(io.StringIO(listed(*pods)))
    assert [PHASES[code] for code in dump.pods["phase"].tolist()] == ["Pending", "Running", "Unknown", ""]
    assert dump.findings["rule"].tolist() == ["field-invalid"]


def test_a_large_document_is_handed_on_in_parts() -> None:
    from dsmodel.io.dump_batches import CHUNK, read_documents

    count = 2 * CHUNK + 5
    text = listed(*(pod(f"p{i}") for i in range(count))).encode()
    batches = [[item.metadata.name for item in batch.objects] for batch in read_documents(text, "x")]
    assert max(map(len, batches)) == CHUNK
    assert [name for names in batches for name in names] == [f"p{i}" for i in range(count)]
