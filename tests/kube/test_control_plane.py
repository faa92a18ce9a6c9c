"""One server: what it keeps, what it refuses, and that a refusal leaves no trace."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel.errors import InvalidConfig, Rejected, UnsupportedVersion
from dsmodel.kube import ControlPlane

if TYPE_CHECKING:
    from collections.abc import Callable

BOTH = ["10.96.0.0/28", "fd00:10:96::/124"]
VERSIONS = ["1.20", "1.21", "1.22", "1.23", "1.24", "1.26", "1.29", "1.31", "1.33", "1.34", "1.36"]


def server(version: str = "1.36", ranges: list[str] | None = None, **more: Any) -> ControlPlane:
    gates = {"IPv6DualStack": True} if version == "1.20" else {}
    return ControlPlane(kube_version=version, service_cidrs=ranges or BOTH, feature_gates=gates, **more)


def service(name: str = "web", /, **spec: Any) -> dict[str, Any]:
    body = {"selector": {"app": "x"}, "ports": [{"port": 80, "protocol": "TCP"}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body}


def answer(verb: Callable[[Any], dict[str, Any]], body: Any) -> tuple[int, Any]:
    """Ask a server for its code, and what it stores or says."""
    try:
        return 200, verb(body)
    except Rejected as refusal:
        return refusal.code, refusal.message


def state(plane: ControlPlane, names: list[str]) -> list[Any]:
    """Look at everything a refusal could have moved: objects, and what the next Services would get."""
    probe = plane.copy()
    held: list[Any] = []
    for name in ["kubernetes", *names]:
        try:
            held.append(plane.get("Service", name))
        except Rejected as refusal:
            held.append(refusal.message)
    for number in range(30):
        try:
            spec = probe.create(service(f"probe-{number}", type="NodePort", ipFamilyPolicy="PreferDualStack"))["spec"]
            held.append((spec["clusterIPs"], spec["ports"][0]["nodePort"]))
        except Rejected as refusal:
            held.append(refusal.message)
    return held


WEB = service("web", type="NodePort", ipFamilyPolicy="PreferDualStack")
REFUSED = [
    service("web"),
    service("b", ipFamilies=["IPv4", "IPv4"]),
    service("b", ipFamilyPolicy="Both"),
    service("b", clusterIP="10.97.0.1"),
    service("b", clusterIPs=["10.96.0.9", "fd00:10:97::9"], ipFamilyPolicy="RequireDualStack"),
    service("b", type="NodePort", ports=[{"port": 1, "nodePort": 30100}, {"port": 2, "nodePort": 99}]),
    service("b", type="NodePort", clusterIP="None"),
    service("b", type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=5),
    service("b", ipFamilyPolicy="PreferDualStack", ports=[]),
    service("b", ipFamilyPolicy="PreferDualStack", sessionAffinity="Sometimes"),
    service("B_", ipFamilyPolicy="PreferDualStack"),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("asked", REFUSED, ids=range(len(REFUSED)))
def test_a_refused_create_changes_nothing(version: str, asked: dict[str, Any]) -> None:
    plane = server(version)
    plane.create(WEB)
    before, given_to_it = state(plane, ["web", "b"]), copy.deepcopy(asked)
    with pytest.raises(Rejected, match=r".+"):
        plane.create(asked)
    assert state(plane, ["web", "b"]) == before
    assert asked == given_to_it


PATCHES = [
    {"spec": {"ipFamilies": ["IPv6", "IPv4"]}},
    {"spec": {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00:10:96::9"]}},
    {"spec": {"ports": [{"port": 80, "nodePort": 99}]}},
    {"spec": {"ports": []}},
    {"spec": {"type": "LoadBalancer", "ports": [{"name": "a", "port": 1}, {"name": "a", "port": 2}]}},
    {"spec": {"type": "Balanced"}},
    {"spec": {"sessionAffinity": 5}},
    {"metadata": {"labels": {"not ok": "x"}}},
    {"metadata": {"resourceVersion": "12345"}},
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("patch", PATCHES, ids=range(len(PATCHES)))
def test_a_refused_patch_changes_nothing(version: str, patch: dict[str, Any]) -> None:
    plane = server(version)
    plane.create(WEB)
    before = state(plane, ["web"])
    with pytest.raises(Rejected, match=r".+"):
        plane.patch("Service", "web", patch, patch_type="merge")
    assert state(plane, ["web"]) == before


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["create", "delete", "up", "down", "type"])), max_size=40))
@pytest.mark.parametrize("version", ["1.20", "1.22", "1.36"])
def test_whatever_happens_addresses_and_ports_belong_to_one_service(version: str, steps: list[tuple[int, str]]) -> None:
    plane = server(version, service_node_port_range="30000-30003")
    for number, verb in steps:
        name = f"s{number}"
        try:
            if verb == "create":
                plane.create(
                    service(name, type="NodePort" if number % 2 else "ClusterIP", ipFamilyPolicy="PreferDualStack")
                )
            elif verb == "delete":
                plane.delete("Service", name)
            elif verb == "type":
                plane.patch("Service", name, {"spec": {"type": "LoadBalancer"}}, patch_type="strategic")
            else:
                policy = "RequireDualStack" if verb == "up" else "SingleStack"
                plane.patch("Service", name, {"spec": {"ipFamilyPolicy": policy}}, patch_type="merge")
        except Rejected:
            continue
    held = [plane.get("Service", "kubernetes")]
    for number in range(6):
        try:
            held.append(plane.get("Service", f"s{number}"))
        except Rejected:
            continue
    ips = [ip for found in held for ip in found["spec"]["clusterIPs"]]
    ports = [port["nodePort"] for found in held for port in found["spec"]["ports"] if "nodePort" in port]
    assert len(set(ips)) == len(ips)
    assert len(set(ports)) == len(ports)
    for found in held[1:]:
        plane.delete("Service", found["metadata"]["name"])
    fresh = server(version, service_node_port_range="30000-30003")
    assert state(plane, []) == state(fresh, [])


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = {
    "Service": [
        "type",
        "clusterIP",
        "clusterIPs",
        "ipFamilies",
        "ipFamilyPolicy",
        "ports",
        "selector",
        "externalIPs",
        "loadBalancerIP",
        "loadBalancerSourceRanges",
        "loadBalancerClass",
        "externalName",
        "externalTrafficPolicy",
        "sessionAffinity",
        "sessionAffinityConfig",
        "healthCheckNodePort",
        "publishNotReadyAddresses",
        "internalTrafficPolicy",
        "allocateLoadBalancerNodePorts",
        "trafficDistribution",
        "topologyKeys",
    ],
    "Node": ["podCIDR", "podCIDRs", "taints", "unschedulable"],
    "ServiceCIDR": ["cidrs"],
    "IPAddress": ["parentRef"],
}


@settings(max_examples=40, deadline=None)
@given(value=JUNK)
@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, fields in FIELDS.items() for field in fields])
def test_any_value_in_any_field_is_stored_or_refused(kind: str, field: str, value: Any) -> None:
    plane = server()
    name = "10.96.0.5" if kind == "IPAddress" else "a"
    spec = {"ports": [{"port": 80}]} if kind == "Service" else {}
    body = {"kind": kind, "metadata": {"name": name}, "spec": {**spec, field: value}}
    code, stored = answer(plane.create, body)
    assert code in {200, 400, 422, 500}
    assert code != 200 or plane.get(kind, name) == stored


@settings(max_examples=60, deadline=None)
@given(body=JUNK, metadata=JUNK)
@pytest.mark.parametrize("verb", ["create", "replace", "strategic", "merge", "json"])
def test_any_document_is_stored_or_refused(verb: str, body: Any, metadata: Any) -> None:
    plane = server()
    plane.create(service("a"))
    for document in (body, {"kind": "Service", "metadata": metadata, "spec": body}, {"kind": body}):
        if verb in {"create", "replace"}:
            code, _ = answer(getattr(plane, verb), document)
        else:
            code, _ = answer(functools.partial(plane.patch, "Service", "a", patch_type=verb), document)
        assert code in {200, 400, 404, 409, 422, 500}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clusterIP", 5),
        ("ports", {"port": 80}),
        ("ipFamilies", "IPv4"),
        ("selector", ["app"]),
        ("type", None.__class__),
    ],
)
def test_wrong_types_are_bad_requests(field: str, value: Any) -> None:
    with pytest.raises(Rejected, match="json: cannot unmarshal") as refusal:
        server().create(service("a", **{field: value}))
    assert (refusal.value.code, refusal.value.reason) == (400, "BadRequest")


def test_a_copy_lives_its_own_life() -> None:
    plane = server()
    plane.create(WEB)
    before = state(plane, ["web"])
    twin = plane.copy()
    twin.delete("Service", "web")
    twin.create({"kind": "ServiceCIDR", "metadata": {"name": "more"}, "spec": {"cidrs": ["10.97.0.0/28"]}})
    for number in range(20):
        twin.create(service(f"t{number}", type="NodePort"))
    assert state(plane, ["web"]) == before


def test_what_comes_back_is_not_what_is_kept() -> None:
    plane = server()
    stored = plane.create(WEB)
    stored["spec"]["clusterIPs"].append("x")
    stored["metadata"]["labels"] = {"a": "b"}
    assert plane.get("Service", "web")["spec"]["clusterIPs"] == stored["spec"]["clusterIPs"][:-1]
    node = plane.create({"kind": "Node", "metadata": {"name": "n"}, "spec": {"podCIDR": "10.244.0.0/24"}})
    node["spec"]["podCIDRs"].clear()
    assert plane.get("Node", "n")["spec"]["podCIDRs"] == ["10.244.0.0/24"]


def test_stale_writes_conflict() -> None:
    plane = server()
    first = plane.create(WEB)
    plane.patch("Service", "web", {"metadata": {"labels": {"a": "b"}}}, patch_type="merge")
    with pytest.raises(Rejected, match="please apply your changes to the latest version") as refusal:
        plane.replace(first)
    assert (refusal.value.code, refusal.value.reason) == (409, "Conflict")


@pytest.mark.parametrize("verb", ["get", "delete"])
def test_what_is_not_there_is_not_found(verb: str) -> None:
    with pytest.raises(Rejected, match='services "nothing" not found') as refusal:
        getattr(server(), verb)("Service", "nothing")
    assert (refusal.value.code, refusal.value.reason) == (404, "NotFound")


def test_choices_are_the_lowest_free_or_those_of_the_generator() -> None:
    def choices(seed: int | None) -> list[str]:
        rng = None if seed is None else np.random.default_rng(seed)
        plane = server(ranges=["10.96.0.0/16"], rng=rng)
        return [plane.create(service(f"s{number}"))["spec"]["clusterIP"] for number in range(5)]

    assert choices(None) == [f"10.96.1.{number}" for number in range(1, 6)]
    assert choices(7) == choices(7)
    assert choices(7) != choices(8)


@pytest.mark.parametrize("version", ["1.20", "1.36"])
def test_namespaces_keep_names_apart(version: str) -> None:
    plane = server(version)
    other = service("web")
    other["metadata"]["namespace"] = "other"
    plane.create(service("web"))
    assert plane.create(other)["metadata"]["namespace"] == "other"
    plane.delete("Service", "web", namespace="other")
    assert plane.get("Service", "web")["metadata"]["namespace"] == "default"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"service_cidrs": ["10.96.0.0/16", "10.97.0.0/16"]}, "different IP family"),
        ({"service_cidrs": ["nonsense"]}, "not a valid cidr"),
        ({"service_cidrs": ["10.96.0.0/30"]}, "at least 8"),
        ({"service_node_port_range": "30000-"}, r".+"),
        ({"feature_gates": {"IPv6DualStack": False}}, "unrecognized feature gate"),
        ({"kube_version": "1.23", "feature_gates": {"IPv6DualStack": False}}, "locked to true"),
        ({"kube_version": "1.20", "service_cidrs": BOTH}, "IPv6DualStack"),
    ],
)
def test_flags_the_server_would_not_start_with(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidConfig, match=words):
        ControlPlane(**{"kube_version": "1.31", "service_cidrs": ["10.96.0.0/16"], **flags})


def test_versions_beyond_the_model_are_named() -> None:
    with pytest.raises(UnsupportedVersion, match=r"1\.20 to 1\.36"):
        ControlPlane(kube_version="1.19")


def test_an_update_to_a_family_without_a_range_panics_and_changes_nothing():
    server = ControlPlane(kube_version="1.23", service_cidrs=["10.96.0.0/24"])
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
    before = server.create(manifest)
    spec = {"ipFamilyPolicy": "PreferDualStack", "clusterIP": "None", "ports": [], "selector": None}
    with pytest.raises(Rejected, match="nil pointer dereference") as refusal:
        server.patch("Service", "a", {"spec": spec}, patch_type="merge")
    assert (refusal.value.code, refusal.value.reason) == (0, "ServerPanic")
    assert server.get("Service", "a") == before
