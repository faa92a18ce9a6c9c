"""Endpoints by family: slices, the legacy object, DNS answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.errors import InvalidInput
from dsmodel.kube import ControlPlane
from dsmodel.kube.endpoints import address_types, dns_answers, endpoint_slices, legacy_endpoints, slice_counts

V4, V6 = "10.1.0.%d", "fd00:1::%x"


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": {"selector": {"app": "web"}, **spec}}


def pod(name: str, *ips: str, ready: bool = True, labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    status = {"phase": "Running", "podIPs": [{"ip": ip} for ip in ips]}
    status["conditions"] = [{"type": "Ready", "status": str(ready)}]
    metadata = {"name": name, "namespace": "default", "labels": {"app": "web"} if labels is None else labels}
    return {"metadata": metadata | more.get("metadata", {}), "spec": more.get("spec", {}), "status": status}


def addresses(slices: list[dict[str, Any]]) -> dict[str, list[str]]:
    held: dict[str, list[str]] = {}
    for found in slices:
        held.setdefault(found["addressType"], []).extend(e["addresses"][0] for e in found["endpoints"])
    return held


@pytest.mark.parametrize(
    ("spec", "families"),
    [
        ({"clusterIP": "10.96.0.1", "ipFamilies": ["IPv4", "IPv6"]}, ("IPv4", "IPv6")),
        ({"clusterIP": "fd00::1", "ipFamilies": ["IPv6", "IPv4"]}, ("IPv6", "IPv4")),
        ({"clusterIP": "fd00::1"}, ("IPv6",)),
        ({"clusterIP": "None"}, ("IPv4", "IPv6")),
        ({"clusterIP": "None", "ipFamilies": ["IPv6"]}, ("IPv6",)),
        ({"type": "ExternalName", "ipFamilies": ["IPv4"]}, ()),
    ],
)
def test_slices_follow_the_families_of_the_service(spec: dict[str, Any], families: tuple[str, ...]) -> None:
    assert tuple(map(str, address_types(service(**spec)))) == families


def test_a_pod_stands_in_the_slices_of_each_family_it_has() -> None:
    pods = [pod("both", V4 % 1, V6 % 1), pod("four", V4 % 2), pod("six", V6 % 3), pod("none")]
    slices = endpoint_slices(service(ipFamilies=["IPv6", "IPv4"]), pods, kube_version="1.36")
    assert addresses(slices) == {"IPv6": ["fd00:1::1", "fd00:1::3"], "IPv4": ["10.1.0.1", "10.1.0.2"]}


def test_a_family_without_pods_keeps_one_empty_slice() -> None:
    slices = endpoint_slices(service(ipFamilies=["IPv4", "IPv6"]), [pod("four", V4 % 2)], kube_version="1.36")
    assert [(found["addressType"], len(found["endpoints"])) for found in slices] == [("IPv4", 1), ("IPv6", 0)]


def test_other_labels_other_namespaces_and_finished_pods_are_passed_over() -> None:
    pods = [
        pod("a", V4 % 1, labels={"app": "db"}),
        pod("b", V4 % 2, metadata={"namespace": "other"}),
        pod("c", V4 % 3) | {"status": {"phase": "Succeeded", "podIPs": [{"ip": V4 % 3}]}},
        pod("d", V4 % 4, labels={"app": "web", "more": "labels"}),
    ]
    assert addresses(endpoint_slices(service(ipFamilies=["IPv4"]), pods, kube_version="1.36")) == {"IPv4": [V4 % 4]}


@pytest.mark.parametrize("spec", [{"selector": {}}, {"selector": None}, {"type": "ExternalName"}])
def test_without_selector_the_endpoints_are_the_users(spec: dict[str, Any]) -> None:
    asked = service(ipFamilies=["IPv4"], **spec)
    assert endpoint_slices(asked, [pod("a", V4 % 1)], kube_version="1.36") == []
    assert spec.get("type") or legacy_endpoints(asked, [pod("a", V4 % 1)], kube_version="1.36") is None


def test_named_ports_resolve_per_pod_and_split_the_slices() -> None:
    def held(number: int) -> dict[str, Any]:
        return {"containers": [{"ports": [{"name": "http", "containerPort": number}]}]}

    asked = service(ipFamilies=["IPv4"], ports=[{"port": 80, "targetPort": "http"}])
    pods = [pod("a", V4 % 1, spec=held(8080)), pod("b", V4 % 2, spec=held(9090)), pod("c", V4 % 3)]
    slices = endpoint_slices(asked, pods, kube_version="1.36")
    assert [[port["port"] for port in found["ports"]] for found in slices] == [[8080], [9090], []]


@pytest.mark.parametrize(
    ("version", "publish", "conditions"),
    [
        ("1.20", False, None),
        ("1.20", True, {"ready": True}),
        ("1.36", False, {"ready": False, "serving": True, "terminating": True}),
        ("1.36", True, {"ready": True, "serving": True, "terminating": True}),
    ],
)
def test_pods_being_deleted(version: str, *, publish: bool, conditions: dict[str, bool] | None) -> None:
    leaving = pod("a", V4 % 1, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    asked = service(ipFamilies=["IPv4"], publishNotReadyAddresses=publish)
    endpoints = endpoint_slices(asked, [leaving], kube_version=version)[0]["endpoints"]
    assert [endpoint["conditions"] for endpoint in endpoints] == ([conditions] if conditions else [])


@pytest.mark.parametrize("limit", [0, 1001, -5])
def test_the_slice_flag_has_bounds(limit: int) -> None:
    with pytest.raises(InvalidInput, match="1 to 1000"):
        endpoint_slices(service(), [], kube_version="1.36", max_endpoints_per_slice=limit)
    with pytest.raises(InvalidInput, match="1 to 1000"):
        slice_counts([1], max_endpoints_per_slice=limit)


@given(st.lists(st.sampled_from(["4", "6", "46", "64", ""]), max_size=40), st.integers(1, 7))
def test_slices_hold_every_address_once_and_their_number_is_counted(kinds: list[str], limit: int) -> None:
    ips = {"4": V4, "6": V6}
    pods = [pod(f"p{n}", *(ips[kind] % (n + 1) for kind in word)) for n, word in enumerate(kinds)]
    asked = service(ipFamilies=["IPv4", "IPv6"])
    slices = endpoint_slices(asked, pods, kube_version="1.36", max_endpoints_per_slice=limit)
    expected = [sum(kind in word for word in kinds) for kind in "46"]
    held = addresses(slices)
    assert [len(held["IPv4"]), len(held["IPv6"])] == expected
    assert len(set(held["IPv4"] + held["IPv6"])) == sum(expected)
    assert len(slices) == slice_counts(expected, max_endpoints_per_slice=limit).sum()
    assert all(len(found["endpoints"]) <= limit for found in slices)


@pytest.mark.parametrize(
    ("version", "kept", "annotation"), [("1.20", 1001, None), ("1.21", 1001, "warning"), ("1.22", 1000, "truncated")]
)
def test_the_legacy_object_holds_a_thousand_ready_ones_first(version: str, kept: int, annotation: str | None) -> None:
    pods = [pod(f"p{n}", f"10.1.{n // 250}.{n % 250}", ready=n > 0) for n in range(1001)]
    found = legacy_endpoints(service(ipFamilies=["IPv4"]), pods, kube_version=version)
    assert found is not None
    subset = found["subsets"][0]
    assert len(subset["addresses"]) == 1000
    assert len(subset["addresses"]) + len(subset.get("notReadyAddresses", ())) == kept
    held = found["metadata"].get("annotations", {})
    assert held.get("endpoints.kubernetes.io/over-capacity") == annotation


def test_the_legacy_object_knows_one_family() -> None:
    pods = [pod("both", V4 % 1, V6 % 1), pod("four", V4 % 2)]
    found = legacy_endpoints(service(ipFamilies=["IPv6", "IPv4"]), pods, kube_version="1.36")
    assert found is not None
    assert [entry["ip"] for entry in found["subsets"][0]["addresses"]] == ["fd00:1::1"]


def test_the_legacy_object_of_an_old_headless_service_takes_each_pods_primary() -> None:
    pods = [pod("a", V4 % 1, V6 % 1), pod("b", V6 % 2)]
    found = legacy_endpoints(service(clusterIP="None"), pods, kube_version="1.20")
    assert found is not None
    assert [entry["ip"] for subset in found["subsets"] for entry in subset["addresses"]] == [V4 % 1, V6 % 2]


def test_dns_answers_of_stored_services() -> None:
    server = ControlPlane(kube_version="1.36", service_cidrs=["10.96.0.0/16", "fd00:10:96::/112"])
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], "ipFamilyPolicy": "PreferDualStack"}
    web = server.create({"kind": "Service", "metadata": {"name": "web"}, "spec": spec})
    answers = dns_answers(web, kube_version="1.36")
    assert [*answers["A"], *answers["AAAA"]] == web["spec"]["clusterIPs"]
    headless = server.create({"kind": "Service", "metadata": {"name": "h"}, "spec": {**spec, "clusterIP": "None"}})
    pods = [pod("a", V4 % 1, V6 % 1), pod("b", V4 % 2, ready=False), pod("c", V6 % 3)]
    assert dns_answers(headless, pods, kube_version="1.36") == {"A": [V4 % 1], "AAAA": ["fd00:1::1", "fd00:1::3"]}
    headless["spec"]["publishNotReadyAddresses"] = True
    assert dns_answers(headless, pods, kube_version="1.36")["A"] == [V4 % 1, V4 % 2]


def test_dns_of_an_external_name_is_an_alias() -> None:
    asked = {"spec": {"type": "ExternalName", "externalName": "db.example"}}
    assert dns_answers(asked, kube_version="1.36") == {"CNAME": ["db.example"]}
