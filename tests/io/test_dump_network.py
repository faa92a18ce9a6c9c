"""Labels, namespaces, network objects, agents and source ranges of dumps, whole and in pieces."""

import gzip
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from dump_texts import (
    config_map,
    container,
    daemon_set,
    listed,
    manifest,
    messages,
    network_objects,
    node,
    pod,
    rules,
    same,
    service,
    small_cluster,
)

import dsmodel as ds
from dsmodel.addresses.text import format_addresses
from dsmodel.cni.calico import read_calico
from dsmodel.cni.ovn import NODE_SUBNETS
from dsmodel.io import dump_pieces
from dsmodel.io.kubectl import read_cluster
from dsmodel.io.samples import SAMPLES, sample_path
from dsmodel.kube.label_selectors import read_selector

SECRET = "c3VwZXItc2VjcmV0LXZhbHVl"  # noqa: S105 - made up
POOL = manifest("crd.projectcalico.org/v1", "IPPool", "v4", spec={"cidr": "10.0.0.0/24", "blockSize": 28})


def read(*objects: Any, streaming: bool = False, **options: Any) -> Any:
    return read_cluster(io.BytesIO(listed(*objects, **options).encode()), streaming=streaming)


def labelled(item: dict[str, Any], **labels: Any) -> dict[str, Any]:
    return item | {"metadata": item["metadata"] | {"labels": labels}}


@pytest.mark.parametrize("name", SAMPLES)
def test_labels_of_a_sample_equal_a_plain_count(name: str) -> None:
    with gzip.open(sample_path(name)) as stream:
        items = json.load(stream)["items"]
    cluster = read_cluster(sample_path(name))
    for kind, table, labels in (
        ("Pod", cluster.pods, cluster.pod_labels),
        ("Node", cluster.nodes, cluster.node_labels),
    ):
        expected = [item["metadata"].get("labels", {}) for item in items if item["kind"] == kind]
        assert [dict(labels.sets[code]) for code in table["labels"].tolist()] == expected
        assert len(labels) == len({json.dumps(each, sort_keys=True) for each in expected})


def test_network_objects_are_the_same_however_they_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    items = [*small_cluster(), *network_objects()]
    whole = read(*items)
    assert len(whole.objects) == 11
    for size in (200, 700, 5000):
        monkeypatch.setattr(dump_pieces, "PIECE", size)
        assert same(whole, read(*items, streaming=True))
        assert same(whole, read(*items, streaming=True, indent=4))
    files = tmp_path / "dump"
    files.mkdir()
    for place, item in enumerate(items):
        (files / f"{place:02d}.json").write_text(json.dumps(item))
    assert same(whole, read_cluster(files))


def test_what_a_dump_holds_is_there() -> None:
    cluster = read(*small_cluster(), *network_objects())
    assert cluster.objects.kinds == (
        ("CiliumEndpoint", "cilium.io"),
        ("ConfigMap", ""),
        ("DaemonSet", "apps"),
        ("EgressIP", "k8s.ovn.org"),
        ("IPPool", "crd.projectcalico.org"),
        ("Node", ""),
        ("Pod", ""),
    )
    assert cluster.namespaces == {"shop": {"kubernetes.io/metadata.name": "shop", "team": "a"}}
    assert cluster.namespace_annotations == {"shop": {"x": "y"}}
    assert [(agent.name, agent.args, agent.env) for agent in cluster.objects.agents] == [
        ("aws-node", (), {"A": "1"}),
        ("kube-proxy", ("--masquerade-all",), {}),
    ]
    web = cluster.pod_labels.select_rows(read_selector({"matchLabels": {"app": "web"}}), cluster.pods["labels"])
    assert cluster.pods["name"][web].tolist() == ["web-0"]
    assert cluster.node_labels.select(read_selector({})).tolist() == [True, True]
    assert cluster.counts["IPPool"] == {"read": 1, "ignored": 0, "refused": 0}
    assert cluster.counts["Namespace"]["read"] == 1
    assert cluster.objects.config_map("kube-system", "cilium-config") == {"ipam": "kubernetes"}


def test_an_old_api_server_gives_namespaces_no_label_with_their_name() -> None:
    old = node("a", nodeInfo={"kubeletVersion": "v1.20.15"})
    assert read(old, manifest("v1", "Namespace", "shop")).namespaces == {"shop": {}}


def test_plugins_read_what_a_dump_has_kept() -> None:
    ovn = node("a", "10.0.0.0/24")
    ovn["metadata"] |= {"annotations": {NODE_SUBNETS: "{}", "example.org/notes": "x"}, "labels": {"zone": "a"}}
    objects = read(ovn, POOL).objects
    (kept,) = objects.of("Node")
    assert kept["metadata"] == {"name": "a", "labels": {"zone": "a"}, "annotations": {NODE_SUBNETS: "{}"}}
    assert kept["spec"] == {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"]}
    calico, findings = read_calico([*objects.of("IPPool", "crd.projectcalico.org"), *objects.of("Node")])
    assert (calico.names, findings) == (["a"], [])


def test_a_typed_list_gives_its_objects_kind_and_group() -> None:
    pool = {key: POOL[key] for key in ("metadata", "spec")}
    text = json.dumps({"kind": "IPPoolList", "apiVersion": "crd.projectcalico.org/v1", "items": [pool]})
    outer = json.dumps({"kind": "List", "apiVersion": "v1", "items": [json.loads(text)]})
    for document in (text, outer):
        cluster = read_cluster(io.BytesIO(document.encode()))
        assert cluster.objects.of("IPPool", "crd.projectcalico.org") == (POOL,)


def test_bookkeeping_is_left_out() -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    metadata = {"managedFields": [{}], "ownerReferences": [], "annotations": applied, "uid": "u"}
    endpoint = manifest(
        "cilium.io/v2", "CiliumEndpoint", "a", "shop", metadata=metadata, status={"networking": {}, "policy": {"x": 1}}
    )
    policy = manifest("cilium.io/v2", "CiliumEgressGatewayPolicy", "a", metadata=metadata, spec={})
    objects = read(endpoint, policy, manifest("v1", "Namespace", "a", metadata={"annotations": applied})).objects
    assert objects.of("CiliumEndpoint")[0] == {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumEndpoint",
        "metadata": {"name": "a", "namespace": "shop", "uid": "u"},
        "status": {"networking": {}},
    }
    assert objects.of("CiliumEgressGatewayPolicy")[0]["metadata"] == {"name": "a", "uid": "u"}


# a kept object of a wrong shape, words of the finding
WRONG = [
    ({"metadata": {"name": ""}}, "it has no name"),
    ({"metadata": {"name": 7}}, "it has no name"),
    ({"metadata": None}, "it has no name"),
    ({"metadata": "x"}, "it has no name"),
    ({"metadata": {"name": "v4", "labels": []}}, "metadata.labels: Expected `object`, got `list`"),
    ({"metadata": {"name": "v4", "namespace": 7}}, "metadata.namespace: Expected `str`, got `int`"),
    ({"spec": "x"}, "spec: Expected `object`, got `str`"),
    ({"status": 7}, "status: Expected `object`, got `int`"),
]


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(("change", "words"), WRONG)
def test_objects_of_a_wrong_shape_are_refused(change: dict[str, Any], words: str, *, streaming: bool) -> None:
    cluster = read(node("a"), POOL | change, node("b"), streaming=streaming)
    assert len(cluster.objects.of("IPPool")) == 0
    assert cluster.counts["IPPool"] == {"read": 0, "ignored": 0, "refused": 1}
    ((_, message),) = messages(cluster, "object-refused")
    assert words in message
    assert cluster.counts["Node"]["read"] == 2


def test_wrong_parts_that_tables_would_need_cost_a_kept_object_nothing() -> None:
    odd = POOL | {"spec": {"nodeName": 7, "cidr": "10.0.0.0/24"}, "status": {"phase": [], "podIPs": "x"}}
    cluster = read(node("a"), odd, POOL | {"metadata": {"name": "other"}}, pod("p", node="a"))
    assert [each["metadata"]["name"] for each in cluster.objects.of("IPPool")] == ["other", "v4"]
    of_reader = rules(cluster) - Counter(rule for _, rule, _, _ in cluster.plugin_findings)
    assert of_reader == rules(read(node("a"), pod("p", node="a")))


def test_the_first_of_two_objects_with_one_name_is_kept() -> None:
    later = POOL | {"spec": {"cidr": "10.9.0.0/24"}}
    cluster = read(POOL, later, manifest("crd.antrea.io/v1beta1", "IPPool", "v4", spec={}))
    assert [each["spec"] for each in cluster.objects.of("IPPool", "crd.projectcalico.org")] == [POOL["spec"]]
    assert len(cluster.objects.of("IPPool")) == 2
    assert cluster.counts["IPPool"] == {"read": 2, "ignored": 0, "refused": 1}
    assert [name for name, _ in messages(cluster, "object-duplicate")] == ["IPPool/v4"]


def test_the_same_kind_of_another_group_is_counted_with_its_group() -> None:
    foreign = manifest("ec2.aws.crossplane.io/v1beta1", "Subnet", "a")
    cluster = read(foreign, manifest("kubeovn.io/v1", "Subnet", "a"), manifest("apps/v1", "Deployment", "a"))
    assert {kind: (count["read"], count["ignored"]) for kind, count in cluster.counts.items()} == {
        "Deployment": (0, 1),
        "Subnet": (1, 0),
        "Subnet.ec2.aws.crossplane.io": (0, 1),
    }
    ((_, message),) = messages(cluster, "objects-ignored")
    assert message.endswith("Deployment 1, Subnet.ec2.aws.crossplane.io 1")


def test_agents_come_from_the_first_running_pod_unless_their_daemon_set_is_there() -> None:
    def proxy(name: str, *args: str, **spec: Any) -> dict[str, Any]:
        return pod(name, namespace="kube-system", containers=[container("kube-proxy", *args)], **spec)

    pods = [proxy("kube-proxy-a", "--a", phase="Pending"), proxy("kube-proxy-b", "--b"), proxy("kube-proxy-c", "--c")]
    other = [pod(f"web-{i}", namespace="shop") for i in range(30)]
    for streaming in (True, False):
        cluster = read(*pods, *other, streaming=streaming)
        assert cluster.objects.agent("kube-proxy").args == ("--b",)
        assert len(cluster.objects.of("Pod")) == 1
        cluster = read(*pods, *other, daemon_set("kube-proxy", container("kube-proxy", "--set")), streaming=streaming)
        assert cluster.objects.agent("kube-proxy").args == ("--set",)
        assert cluster.objects.of("Pod") == ()
    cluster = read(daemon_set("node-exporter", container("node-exporter")), daemon_set("cilium"))
    assert (cluster.objects.agents, cluster.counts["DaemonSet"]) == ((), {"read": 0, "ignored": 2, "refused": 0})


def test_values_from_secrets_are_not_there() -> None:
    reference = {"name": "B", "valueFrom": {"secretKeyRef": {"name": SECRET, "key": "k"}}}
    agent = container("aws-node", env=[{"name": "A", "value": "1"}, reference])
    sidecar = container("other", env=[{"name": "C", "value": SECRET}])
    running = pod("aws-node-x", namespace="kube-system", containers=[sidecar, agent])
    secret = manifest("v1", "Secret", "aws-node", "kube-system", data={"k": SECRET})
    for item in (running, daemon_set("aws-node", sidecar, agent)):
        objects = read(item, secret).objects
        assert SECRET not in str(objects.groups)
        assert objects.agent("aws-node").env == {"A": "1"}


@pytest.mark.parametrize(
    ("item", "rule", "kind"),
    [
        (daemon_set("aws-node", container("aws-node", env=[{"name": "A", "value": 7}])), "object-refused", "DaemonSet"),
        (daemon_set("", container("aws-node")), "object-refused", "DaemonSet"),
        (daemon_set("aws-node") | {"spec": {"template": []}}, "object-refused", "DaemonSet"),
        (pod("aws-node-x", namespace="kube-system", containers=[{"name": 7}]), "field-invalid", "Pod"),
    ],
)
def test_agents_of_a_wrong_shape_are_findings(item: dict[str, Any], rule: str, kind: str) -> None:
    cluster = read(node("a"), item)
    assert cluster.objects.agents == ()
    assert rules(cluster)[rule] == 1
    assert sum(cluster.counts[kind].values()) == 1


@pytest.mark.parametrize("labels", [7, ["a"], {"a": 7}, {"a": None}])
@pytest.mark.parametrize("streaming", [True, False])
def test_labels_of_a_wrong_type_are_not_known(labels: Any, *, streaming: bool) -> None:
    def with_labels(item: dict[str, Any]) -> dict[str, Any]:
        return item | {"metadata": item["metadata"] | {"labels": labels}}

    items = [pod("a"), with_labels(pod("b")), with_labels(pod("c")), labelled(pod("d"), app="x"), node("a")]
    cluster = read(*items, with_labels(node("b")), streaming=streaming)
    assert [cluster.pod_labels.sets[code] if code >= 0 else None for code in cluster.pods["labels"].tolist()] == [
        {},
        None,
        None,
        {"app": "x"},
    ]
    assert cluster.nodes["labels"].tolist() == [0, -1]
    found = dict(messages(cluster, "field-invalid"))
    assert set(found) == {"Pod/default/b", "Node/b"}
    assert "(2 pods, this is the first); their labels are not known" in found["Pod/default/b"]


def test_labels_written_in_two_ways_are_one_set() -> None:
    one, two = labelled(pod("a"), x="1", y="2"), labelled(pod("b"), y="2", x="1")
    cluster = read(one, two, pod("c", namespace="é\0"), labelled(pod("d"), x="\0"))
    assert cluster.pods["labels"].tolist() == [0, 0, 1, 2]
    assert cluster.pod_labels.sets == ({"x": "1", "y": "2"}, {}, {"x": "\0"})


def test_a_pod_that_is_there_twice_has_the_labels_of_the_first() -> None:
    cluster = read(labelled(pod("a"), n="1"), labelled(pod("a"), n="2"), labelled(pod("b"), n="3"))
    assert [cluster.pod_labels.sets[code] for code in cluster.pods["labels"]] == [{"n": "1"}, {"n": "3"}]


def test_load_balancer_source_ranges() -> None:
    annotation = {"service.beta.kubernetes.io/load-balancer-source-ranges": " 10.0.0.0/8, fd00::/8 ,"}

    def balancer(name: str, *ranges: str, **metadata: Any) -> dict[str, Any]:
        found = service(name, type="LoadBalancer", **({"loadBalancerSourceRanges": list(ranges)} if ranges else {}))
        return found | {"metadata": found["metadata"] | metadata}

    cluster = read(
        balancer("none"),
        balancer("spec", "192.0.2.1/24", "2001:db8::/32", "office", annotations=annotation),
        balancer("old", annotations=annotation),
        balancer("odd", annotations={"service.beta.kubernetes.io/load-balancer-source-ranges": 7}),
    )
    table = cluster.allowed_sources
    texts = [
        f"{v4 if has else v6}/{m4 or m6}"
        for v4, m4, has, v6, m6 in zip(
            format_addresses(table["source_ipv4"]).to_pylist(),
            table["source_ipv4_mask"].tolist(),
            table["has_source_ipv4"].tolist(),
            format_addresses(table["source_ipv6"]).to_pylist(),
            table["source_ipv6_mask"].tolist(),
            strict=True,
        )
    ]
    assert list(zip(table["service"].tolist(), texts, table["field"].tolist(), strict=True)) == [
        (1, "192.0.2.0/24", 1),
        (1, "2001:db8::/32", 1),
        (2, "10.0.0.0/8", 2),
        (2, "fd00::/8", 2),
    ]
    assert messages(cluster, "address-invalid") == [
        ("Service/default/spec", "spec.loadBalancerSourceRanges[2]: 'office' is no CIDR; the range is left out")
    ]
    assert [name for name, _ in messages(cluster, "field-invalid")] == ["Service/default/odd"]


def test_config_maps_are_found_by_namespace_and_name() -> None:
    objects = read(
        config_map("antrea-config", **{"antrea-agent.conf": "noSNAT: true"}),
        config_map("kube-flannel-cfg", "kube-flannel", **{"net-conf.json": "{}"}),
        config_map("coredns"),
    ).objects
    assert objects.config_map("kube-system", "antrea-config") == {"antrea-agent.conf": "noSNAT: true"}
    assert objects.config_map("kube-flannel", "kube-flannel-cfg") == {"net-conf.json": "{}"}
    assert objects.config_map("kube-system", "coredns") is None


def test_endpoints_and_selectors_of_services_are_kept() -> None:
    labels = {"kubernetes.io/service-name": "front"}
    slices = [
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"s0-{kind}", "namespace": "default", "labels": labels},
            "addressType": kind,
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}, "nodeName": "a"}],
        }
        for kind, address in (("IPv4", "10.244.0.5"), ("IPv6", "fd00:10:244::5"))
    ]
    front = service("front", "10.96.0.9", "fd00:10:96::9", selector={"app": "front"}, internalTrafficPolicy="Local")
    bare = service("bare", "10.96.0.10")
    cluster = read(*small_cluster(), front, bare, *slices)
    kept = {each["metadata"]["name"]: each["spec"] for each in cluster.objects.of("Service")}
    assert kept["front"] == {"selector": {"app": "front"}, "internalTrafficPolicy": "Local"}
    assert "bare" not in kept
    assert [each["addressType"] for each in cluster.objects.of("EndpointSlice")] == ["IPv4", "IPv6"]
    frame = ds.trace(cluster, "default/p0", "default/front").frame
    steered = frame[frame["role"] == "steer"].set_index("ip_family")["destination"]
    assert steered.to_dict() == {"IPv4": "10.244.0.5", "IPv6": "fd00:10:244::5"}


def slice_of(name: str, *endpoints: dict[str, Any], version: str = "v1", **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"discovery.k8s.io/{version}",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": "front"}},
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        **fields,
    }


def legacy_endpoints(*addresses: str) -> dict[str, Any]:
    subset = {
        "addresses": [{"ip": text, "nodeName": "a", "hostname": "x"} for text in addresses],
        "notReadyAddresses": [{"ip": "10.244.0.6"}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }
    metadata = {"name": "front", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": [subset]}


def test_of_endpoint_slices_what_decides_about_traffic_is_kept() -> None:
    endpoint = {
        "addresses": ["10.244.0.5"],
        "conditions": {"ready": False, "serving": True, "terminating": True},
        "hostname": "x",
        "nodeName": "a",
        "targetRef": {"kind": "Pod", "name": "p0", "namespace": "default", "uid": "1"},
        "zone": "z",
    }
    ports = [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "http"}]
    (kept,) = read(*small_cluster(), slice_of("s", endpoint, ports=ports)).objects.of("EndpointSlice")
    assert kept["endpoints"] == [
        {
            "addresses": ["10.244.0.5"],
            "conditions": {"ready": False, "serving": True, "terminating": True},
            "nodeName": "a",
        }
    ]
    assert kept["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]


def test_slices_of_the_beta_version_name_their_node_in_their_topology() -> None:
    topology = {"kubernetes.io/hostname": "b", "topology.kubernetes.io/zone": "z"}
    old = slice_of("s", {"addresses": ["10.244.1.5"], "topology": topology}, version="v1beta1")
    (kept,) = read(*small_cluster(), old).objects.of("EndpointSlice")
    assert kept["endpoints"] == [{"addresses": ["10.244.1.5"], "conditions": {}, "nodeName": "b"}]


def test_the_older_endpoints_count_only_where_there_are_no_slices() -> None:
    alone = read(*small_cluster(), legacy_endpoints("10.244.0.5"))
    (kept,) = alone.objects.of("Endpoints")
    assert kept["subsets"][0]["addresses"] == [{"ip": "10.244.0.5", "nodeName": "a"}]
    assert kept["subsets"][0]["notReadyAddresses"] == [{"ip": "10.244.0.6"}]
    assert alone.counts["Endpoints"] == {"read": 1, "ignored": 0, "refused": 0}
    both = read(*small_cluster(), legacy_endpoints("10.244.0.5"), slice_of("s", {"addresses": ["10.244.0.5"]}))
    assert [kind for kind, _ in both.objects.kinds if kind.startswith("Endpoint")] == ["EndpointSlice"]
    assert both.counts["Endpoints"] == {"read": 0, "ignored": 1, "refused": 0}


def test_endpoints_that_come_twice_are_named_and_counted_once() -> None:
    cluster = read(*small_cluster(), slice_of("s", {"addresses": ["10.244.0.5"]}), slice_of("s"))
    assert len(cluster.objects.of("EndpointSlice")) == 1
    assert [name for name, _ in messages(cluster, "object-duplicate")] == ["EndpointSlice/default/s"]


def test_of_services_ports_and_external_addresses_are_kept() -> None:
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080, "targetPort": "web"}]
    front = service("front", "10.96.0.9", type="LoadBalancer", ports=ports, externalIPs=["198.51.100.7"])
    front["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.5", "ipMode": "Proxy"}, {"hostname": "lb"}]}}
    cluster = read(*small_cluster(), front)
    (kept,) = (each for each in cluster.objects.of("Service") if each["metadata"]["name"] == "front")
    assert kept["spec"]["ports"] == [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080}]
    assert kept["spec"]["externalIPs"] == ["198.51.100.7"]
    assert kept["status"] == {"loadBalancer": {"ingress": [{"ip": "203.0.113.5", "ipMode": "Proxy"}]}}
    assert cluster.node_ports["node_port"].tolist() == [30080]


def test_an_endpoint_slice_of_a_wrong_shape_is_named() -> None:
    wrong = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "odd", "namespace": "default"},
        "endpoints": "none",
    }
    cluster = read(*small_cluster(), wrong)
    found = cluster.findings.to_frame()
    assert found.loc[found["object"] == "EndpointSlice/default/odd", "message"].str.contains("endpoints").any()
