"""Annotations of Pods that ask for egress gateways: kept as objects, whatever way the dump is read."""

import json

import pytest

import dsmodel as ds
from dsmodel.io.kubectl import read_dump

KEY = "egress.projectcalico.org/selector"


def pod(name, annotations, namespace="shop", **more):
    metadata = {"name": name, "namespace": namespace, "annotations": annotations} | more
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}, "status": {"phase": "Running"}}


def node(name):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}, "status": {}}


def dump_of(tmp_path, *items):
    path = tmp_path / "dump.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)}))
    return path


def kept(dump):
    return {each["metadata"]["name"]: each["metadata"]["annotations"] for each in dump.objects.of("Pod", "")}


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("mixed", [True, False])
def test_only_what_names_gateways_is_kept(tmp_path, streaming, mixed):
    pods = [
        pod("a", {KEY: "x == 'y'", "prometheus.io/scrape": "true"}),
        pod("b", {"prometheus.io/scrape": "true"}),
        pod("c", None),
        pod("d", {"a": f"{KEY} in a value"}),
        pod("e", {KEY: "z"}, labels={"app": "e"}),
    ]
    found = read_dump(dump_of(tmp_path, *([node("n")] if mixed else []), *pods), streaming=streaming, progress=False)
    assert kept(found) == {"a": {KEY: "x == 'y'"}, "e": {KEY: "z"}}
    assert found.pods["name"].tolist() == ["a", "b", "c", "d", "e"]


def test_of_two_pods_with_one_name_the_first_holds(tmp_path):
    found = read_dump(dump_of(tmp_path, pod("a", {KEY: "1"}), pod("a", {KEY: "2"})), progress=False)
    assert kept(found) == {"a": {KEY: "1"}}


def test_annotations_of_a_wrong_type_are_found(tmp_path):
    found = read_dump(dump_of(tmp_path, pod("a", {KEY: 7}), pod("b", [KEY])), progress=False)
    assert kept(found) == {}
    wrong = [str(each) for each in found.findings["object"].tolist()]
    assert wrong.count("Pod/shop/a") == wrong.count("Pod/shop/b") == 1


def test_an_agents_pod_stays_an_agent(tmp_path):
    agent = pod("calico-node-x", {KEY: "x"}, namespace="kube-system")
    agent["spec"] = {"containers": [{"name": "calico-node", "image": "calico/node:v3.30.0"}]}
    cluster = ds.read_cluster(dump_of(tmp_path, agent, pod("a", {KEY: "y"})), progress=False)
    assert [each.name for each in cluster.objects.agents] == ["calico-node"]
    assert "a" in {each["metadata"]["name"] for each in cluster.objects.of("Pod", "")}
