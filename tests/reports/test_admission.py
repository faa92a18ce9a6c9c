"""Admission rows are what `ControlPlane` says one by one, and existing Services, addresses and ports are in the way."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsmodel as ds
from dsmodel.errors import InvalidConfig, InvalidInput, Rejected
from dsmodel.io.samples import sample_path
from dsmodel.reports import admission, difference
from dsmodel.reports.admission import COLUMNS

RANGES = {
    "IPv4": ["10.96.0.0/24"],
    "IPv6": ["fd00:10:96::/120"],
    "IPv4,IPv6": ["10.96.0.0/24", "fd00:10:96::/120"],
    "IPv6,IPv4": ["fd00:10:96::/120", "10.96.0.0/24"],
}


def service(name: Any = "web", /, **spec: Any) -> dict[str, Any]:
    ports = [] if spec.get("type") == "ExternalName" else [{"port": 80}]
    spec = {"selector": {"app": "web"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def config(families: str = "IPv4,IPv6", *, version: str = "1.36", **more: Any) -> ds.ClusterConfig:
    return ds.ClusterConfig.of(kube_version=version, service_cidrs=RANGES[families], **more)


def only(frame: Any) -> dict[str, Any]:
    (row,) = frame.to_dict("records")
    return row


NAMES = st.sampled_from(["a", "b", "c", "_", ""])
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "Wrong"]),
        "ipFamilyPolicy": st.sampled_from(["SingleStack", "PreferDualStack", "RequireDualStack", "Wrong"]),
        "ipFamilies": st.sampled_from([["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"], ["IPv5"]]),
        "clusterIP": st.sampled_from(["None", "", "10.96.0.9", "fd00:10:96::9", "1.1.1.1", "x"]),
        "ports": st.sampled_from([[], [{"port": 80, "nodePort": 30100}], [{"port": 80}], [{"port": 0}]]),
        "selector": st.none(),
        "externalName": st.just("db.example.com"),
    },
)
VERSIONS = st.sampled_from(["1.20", "1.21", "1.23", "1.36"])
JUNK = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.floats(allow_nan=False)
JUNK |= st.lists(JUNK, max_size=2) | st.dictionaries(st.text(max_size=3), JUNK, max_size=2)


# one by one --------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(NAMES, SPECS), max_size=6), st.sampled_from(list(RANGES)), VERSIONS)
@settings(deadline=None, max_examples=200)
def test_rows_are_what_the_control_plane_says_one_by_one(
    asked: list[tuple[str, dict[str, Any]]], families: str, version: str
) -> None:
    gates = {"IPv6DualStack": True} if version == "1.20" else {}
    cluster = config(families, version=version, feature_gates=gates)
    server = ds.ControlPlane(kube_version=version, service_cidrs=RANGES[families], feature_gates=gates)
    manifests = [service(name, **spec) for name, spec in asked]
    frame = admission(cluster, manifests)
    assert len(frame) == len(manifests)
    taken: set[str] = set()
    for row, manifest in zip(frame.to_dict("records"), manifests, strict=True):
        name = manifest["metadata"]["name"]
        answer = said(server, manifest, exists=name in taken)
        if isinstance(answer, Rejected):
            assert (row["verdict"], row["message"], row["code"]) == ("refused", answer.message, answer.code)
            continue
        taken.add(name)
        assert row["verdict"] in {"accepted", "changed"}
        spec = answer["spec"]
        assert row["cluster_ips"] == ",".join(spec.get("clusterIPs", ()))
        assert row["ip_families"] == ",".join(spec.get("ipFamilies", ()))
        assert row["ip_family_policy"] == spec.get("ipFamilyPolicy", "")


def said(server: ds.ControlPlane, manifest: dict[str, Any], *, exists: bool) -> Any:
    """Create, or merge as kubectl apply does: node ports stay with the numbers of their ports."""
    name, spec = manifest["metadata"]["name"], manifest["spec"]
    try:
        if not exists:
            return server.create(manifest)
        held = server.get("Service", name)["spec"]
        if (spec.get("type") or held["type"]) in {"NodePort", "LoadBalancer"}:
            ports = {port["port"]: port.get("nodePort") for port in held.get("ports", ())}
            spec = {**spec, "ports": [{"nodePort": ports.get(port["port"]), **port} for port in spec["ports"]]}
        return server.patch("Service", name, {"spec": spec}, patch_type="merge")
    except Rejected as refusal:
        return refusal


@given(st.dictionaries(st.sampled_from(["apiVersion", "kind", "metadata", "spec", "status"]), JUNK))
def test_wrong_types_at_the_top_are_rows(manifest: dict[str, Any]) -> None:
    assert set(admission(config(), [manifest | {"kind": "Service"}])["verdict"]) <= {"refused", "changed", "accepted"}


FIELDS = (
    "ports", "selector", "clusterIP", "clusterIPs", "type", "externalIPs", "sessionAffinity", "loadBalancerIP",
    "loadBalancerSourceRanges", "externalName", "externalTrafficPolicy", "healthCheckNodePort", "ipFamilies",
    "publishNotReadyAddresses", "sessionAffinityConfig", "ipFamilyPolicy", "allocateLoadBalancerNodePorts",
    "loadBalancerClass", "internalTrafficPolicy", "trafficDistribution", "unknown",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(FIELDS), JUNK, min_size=1, max_size=4), st.booleans())
@settings(deadline=None)
def test_wrong_types_in_every_field_are_rows(spec: dict[str, Any], again: bool) -> None:  # noqa: FBT001 - drawn
    first = [service("web", type="NodePort")] if again else []
    frame = admission(config(), [*first, service("web", **spec)])
    assert len(frame) == 1 + again


@given(st.dictionaries(st.sampled_from(["name", "namespace", "labels", "annotations", "generateName"]), JUNK))
def test_wrong_types_in_metadata_are_rows(metadata: dict[str, Any]) -> None:
    web = service()
    assert len(admission(config(), [web, {**web, "metadata": {"name": "web", **metadata}}])) == 2


@pytest.mark.parametrize("manifest", [None, [], "web", 8, {}])
def test_what_is_no_object_is_a_row(manifest: Any) -> None:
    assert only(admission(config(), [manifest]))["verdict"] == "refused"


# verdicts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("families", "spec", "verdict", "part"),
    [
        ("IPv4,IPv6", {}, "accepted", "ipFamilyPolicy: unset -> SingleStack"),
        ("IPv4,IPv6", {"ipFamilyPolicy": "PreferDualStack"}, "accepted", "ipFamilies: unset -> IPv4,IPv6"),
        ("IPv4", {"ipFamilyPolicy": "PreferDualStack"}, "changed", "PreferDualStack: IPv4 alone"),
        ("IPv4,IPv6", {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]}, "accepted", "IPv6 -> IPv6,IPv4"),
        ("IPv4,IPv6", {"ipFamiliesPolicy": "PreferDualStack"}, "changed", "ipFamiliesPolicy: PreferDualStack -> drop"),
        ("IPv4", {"clusterIP": "None"}, "accepted", "ipFamilyPolicy: unset -> SingleStack; ipFamilies: unset -> IPv4"),
        ("IPv4", {"type": "NodePort"}, "accepted", "nodePorts: unset -> 30086"),
    ],
)
def test_filling_in_is_no_change_and_dropping_is(families: str, spec: dict[str, Any], verdict: str, part: str) -> None:
    row = only(admission(config(families), [service(**spec)]))
    assert row["verdict"] == verdict
    assert part in row["changed"]


def test_the_gate_of_1_20_drops_the_fields() -> None:
    off = config("IPv4", version="1.20", feature_gates={"IPv6DualStack": False})
    row = only(admission(off, [service(ipFamilyPolicy="PreferDualStack", ipFamilies=["IPv4"])]))
    assert (row["verdict"], row["ip_family_policy"], row["ip_families"]) == ("changed", "", "")
    assert row["changed"].endswith("ipFamilyPolicy: PreferDualStack -> dropped; ipFamilies: IPv4 -> dropped")
    assert "gate IPv6DualStack off" in row["why"]


def test_refusals_are_explained_by_what_the_cluster_has() -> None:
    frame = admission(
        config("IPv4"),
        [
            service("a", ipFamilyPolicy="RequireDualStack"),
            service("b", clusterIP="10.96.0.7"),
            service("c", clusterIP="10.96.0.7"),
            service("d", clusterIP="192.0.2.1"),
            service("e", ipFamilies=["IPv6"]),
        ],
    )
    assert frame["verdict"].tolist() == ["refused", "accepted", "refused", "refused", "refused"]
    assert frame["why"][0].endswith("there is 10.96.0.0/24; PreferDualStack would be taken")
    assert frame["why"][2] == "held by Service default/b"
    assert all("10.96.0.0/24" in why for why in frame["why"][[3, 4]])


def test_what_the_manifests_take_is_taken() -> None:
    names = [f"s{n}" for n in range(8)]
    tight = ds.ClusterConfig.of(service_cidrs=["10.96.0.0/29"])
    frame = admission(tight, [service(name) for name in names])
    assert frame["verdict"].tolist() == ["accepted"] * 5 + ["refused"] * 3
    assert "range is full" in frame["message"].iloc[-1]
    assert "no address is left for it in 10.96.0.0/29" in frame["why"].iloc[-1]


def test_the_frame_has_its_columns_even_without_rows() -> None:
    for frame in (admission(config(), []), admission(config(), [service()])):
        assert {name: str(kind) for name, kind in frame.dtypes.items()} == COLUMNS
    assert admission(config(), [{"kind": "ConfigMap"}]).empty


def test_text_is_no_manifest_and_a_cluster_needs_a_range() -> None:
    with pytest.raises(InvalidInput, match="read_manifests first"):
        admission(config(), "chart.yaml")
    with pytest.raises(InvalidConfig, match="no service range is known"):
        admission(ds.ClusterConfig.of(), [service()])


def test_the_same_question_has_the_same_answer() -> None:
    cluster = ds.read_cluster(sample_path("nearly-full"))
    manifests = [service(f"s{n}", ipFamilyPolicy="PreferDualStack") for n in range(30)]
    first, second = admission(cluster, manifests), admission(cluster, manifests)
    assert first.equals(second)
    assert first["verdict"].value_counts().to_dict() == {"accepted": 23, "refused": 7}


# what exists -------------------------------------------------------------------------------------------------------


def test_held_addresses_and_ports_without_owner_are_in_the_way() -> None:
    cluster = ds.Cluster(config("IPv4"))
    cluster.service_ranges.ranges[ds.IPFamily.IPV4][0].occupy(77)
    frame = admission(cluster, [service(clusterIP="10.96.0.77")])
    assert "already allocated" in only(frame)["message"]


def test_an_existing_service_is_merged() -> None:
    cluster = ds.Cluster(config())
    table = {"name": ["web", "api"], "type": ["NodePort", "ClusterIP"], "ip_family_policy": ["", "PreferDualStack"]}
    import pandas as pd

    assert cluster.add_services(pd.DataFrame(table), node_ports=2).granted == 2
    two = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    frame = admission(
        cluster,
        [
            service("web", type="NodePort", ports=two),
            service("web", type="NodePort", ports=two, ipFamilyPolicy="PreferDualStack"),
            service("api", ipFamilyPolicy="SingleStack"),
            service("api", ipFamilies=["IPv6", "IPv4"]),
            service("api", clusterIP="10.96.0.250"),
        ],
    )
    before = cluster.services.to_frame(addresses="text")
    assert frame["verdict"].tolist() == ["accepted", "changed", "changed", "refused", "refused"]
    assert frame["cluster_ips"][0] == before["cluster_ipv4"][1]
    ports = sorted(cluster.node_ports["node_port"].tolist())
    assert sorted(map(int, frame["node_ports"][0].split(","))) == ports
    assert frame["node_ports"][1] == frame["node_ports"][0]
    assert frame["changed"][2].startswith(
        "ipFamilyPolicy: PreferDualStack -> SingleStack; ipFamilies: IPv4,IPv6 -> IPv4"
    )
    assert frame["why"][3].startswith("clusterIPs and ipFamilies have one order")
    assert frame["why"][4].endswith("delete it and create it again")


def test_the_namespace_of_the_call_finds_existing_services() -> None:
    cluster = ds.read_cluster(sample_path("dual-stack-shop"))
    frame = cluster.services.to_frame()
    row = frame[(frame["namespace"] != "default") & ~frame["headless"] & (frame["type"] == "ClusterIP")].iloc[0]
    manifest = service(row["name"])
    assert "exists" in only(admission(cluster, [manifest], namespace=row["namespace"]))["why"]
    assert "exists" not in only(admission(cluster, [manifest], namespace="elsewhere"))["why"]


@pytest.mark.parametrize("sample", ["single-stack-legacy", "dual-stack-shop", "nearly-full"])
def test_what_a_server_stores_is_accepted_where_it_came_from_and_on_an_empty_one(sample: str) -> None:
    cluster, manifests = ds.read_cluster(sample_path(sample)), ds.read_manifests(sample_path(sample))
    for place in (cluster, cluster.config):
        frame = admission(place, manifests)
        assert set(frame["verdict"]) == {"accepted"}
        assert not frame["changed"].str.contains("clusterIPs|nodePorts|ipFamil").any()


def test_the_cluster_is_not_changed() -> None:
    cluster = ds.read_cluster(sample_path("nearly-full"))
    before = cluster.copy()
    admission(cluster, [service(f"s{n}") for n in range(9)])
    assert cluster.services.equals(before.services)
    assert (difference(before, cluster)["delta"] == 0).all()
