"""Upgrades and downgrades between families: what may be added, released, swapped, and what it costs."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from dsmodel.errors import Rejected
from dsmodel.kube import ControlPlane

P, O = "10.96.0.9", "fd00:10:96::9"  # noqa: E741 - the primary family's address and the other one's
BOTH, ONE = ["IPv4", "IPv6"], ["IPv4"]
POLICIES = ["SingleStack", "PreferDualStack", "RequireDualStack"]
SINCE_CARRYING = ["1.23", "1.24", "1.26", "1.29", "1.31", "1.33", "1.34", "1.36"]


def server(version: str) -> ControlPlane:
    gates = {"IPv6DualStack": True} if version == "1.20" else {}
    ranges = ["10.96.0.0/28", "fd00:10:96::/124"]
    return ControlPlane(kube_version=version, service_cidrs=ranges, feature_gates=gates)


def stored(plane: ControlPlane, *, dual: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {"ports": [{"port": 80}], "selector": {"app": "x"}, "clusterIP": P}
    if dual:
        spec |= {"ipFamilyPolicy": "RequireDualStack", "clusterIPs": [P, O]}
    return plane.create({"kind": "Service", "metadata": {"name": "a"}, "spec": spec})


def put(plane: ControlPlane, found: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Write a Service back with fields changed; None takes one away."""
    spec = {key: value for key, value in {**found["spec"], **changes}.items() if value is not None}
    return plane.replace(found | {"spec": spec})["spec"]


def free(plane: ControlPlane, address: str) -> bool:
    """Say whether another Service could have an address."""
    family = "IPv6" if ":" in address else "IPv4"
    spec = {"ports": [{"port": 1}], "clusterIP": address, "ipFamilies": [family], "ipFamilyPolicy": "SingleStack"}
    try:
        plane.copy().create({"kind": "Service", "metadata": {"name": "probe"}, "spec": spec})
    except Rejected:
        return False
    return True


LISTS = list(itertools.product([None, ONE, BOTH], [None, [P], [P, O]]))


@pytest.mark.parametrize("version", SINCE_CARRYING)
@pytest.mark.parametrize("policy", POLICIES[1:])
@pytest.mark.parametrize(("families", "ips"), LISTS)
def test_a_second_family_may_be_added_in_every_spelling(version: str, policy: str, families: Any, ips: Any) -> None:
    plane = server(version)
    found = stored(plane, dual=False)
    spec = put(plane, found, ipFamilyPolicy=policy, ipFamilies=families, clusterIPs=ips)
    assert spec["ipFamilies"] == BOTH
    assert spec["clusterIPs"][0] == P
    assert spec["clusterIPs"][1] == O or ips != [P, O]
    assert not free(plane, spec["clusterIPs"][1])


@pytest.mark.parametrize("version", SINCE_CARRYING)
@pytest.mark.parametrize(("families", "ips"), LISTS)
def test_single_stack_releases_the_second_in_every_spelling(version: str, families: Any, ips: Any) -> None:
    plane = server(version)
    found = stored(plane, dual=True)
    spec = put(plane, found, ipFamilyPolicy="SingleStack", ipFamilies=families, clusterIPs=ips)
    assert (spec["ipFamilies"], spec["clusterIPs"]) == (ONE, [P])
    assert free(plane, O)
    assert not free(plane, P)


@pytest.mark.parametrize("version", SINCE_CARRYING)
@pytest.mark.parametrize("policy", [None, *POLICIES[1:]])
@pytest.mark.parametrize(("families", "ips"), LISTS)
def test_without_single_stack_nothing_is_released(version: str, policy: str | None, families: Any, ips: Any) -> None:
    plane = server(version)
    found = stored(plane, dual=True)
    changes = {"ipFamilyPolicy": policy, "ipFamilies": families, "clusterIPs": ips}
    if families == ONE or ips == [P]:
        with pytest.raises(Rejected, match="must be 'SingleStack' to release the secondary"):
            put(plane, found, **changes)
        assert plane.get("Service", "a") == found
    else:
        assert put(plane, found, **changes)["clusterIPs"] == [P, O]
    assert not free(plane, O)


IMMUTABLE = [
    ({"ipFamilies": ["IPv6", "IPv4"]}, ("spec.ipFamilies", "spec.clusterIPs")),  # since 1.23 they no longer fit
    ({"clusterIPs": [O, P], "clusterIP": O}, "spec.clusterIPs"),
    ({"clusterIPs": ["10.96.0.10", O], "clusterIP": "10.96.0.10"}, "spec.clusterIPs"),
    ({"clusterIPs": [P, "fd00:10:96::a"]}, "spec.clusterIPs"),
    ({"clusterIP": "None", "clusterIPs": ["None"]}, ("spec.clusterIPs", "spec.ipFamilyPolicy")),
]


@pytest.mark.parametrize("version", ["1.20", "1.21", "1.22", *SINCE_CARRYING])
@pytest.mark.parametrize(("changes", "field"), IMMUTABLE)
def test_what_never_changes(version: str, changes: dict[str, Any], field: str | tuple[str, ...]) -> None:
    plane = server(version)
    found = stored(plane, dual=True)
    with pytest.raises(Rejected, match=r".+") as refusal:
        put(plane, found, **changes)
    assert any(cause.field.startswith(field) for cause in refusal.value.causes), refusal.value.message
    assert plane.get("Service", "a") == found
    assert (free(plane, P), free(plane, O), free(plane, "fd00:10:96::a")) == (False, False, True)


@pytest.mark.parametrize("version", ["1.20", "1.21", "1.22", *SINCE_CARRYING])
def test_an_upgrade_to_a_taken_address_takes_nothing(version: str) -> None:
    plane = server(version)
    found = stored(plane, dual=False)
    other = {"ports": [{"port": 1}], "clusterIP": O, "ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"}
    plane.create({"kind": "Service", "metadata": {"name": "b"}, "spec": other})
    with pytest.raises(Rejected, match="already allocated"):
        put(plane, found, ipFamilyPolicy="RequireDualStack", ipFamilies=BOTH, clusterIPs=[P, O])
    assert plane.get("Service", "a") == found
    plane.delete("Service", "b")
    assert free(plane, O)


@pytest.mark.parametrize("version", ["1.20", "1.21", "1.22", *SINCE_CARRYING])
def test_leaving_for_external_name_gives_everything_back(version: str) -> None:
    plane = server(version)
    found = stored(plane, dual=True)
    spec = put(
        plane,
        found,
        type="ExternalName",
        externalName="db.example",
        clusterIP=None,
        clusterIPs=None,
        ipFamilies=None,
        ipFamilyPolicy=None,
    )
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & spec.keys()
    assert free(plane, P)
    assert free(plane, O)


@pytest.mark.parametrize(("version", "refused"), [("1.20", True), ("1.21", True), ("1.23", False), ("1.36", False)])
def test_a_write_without_addresses_keeps_them_since_1_23(version: str, *, refused: bool) -> None:
    plane = server(version)
    found = stored(plane, dual=False)
    if refused:
        with pytest.raises(Rejected, match=r"spec\.clusterIP"):
            put(plane, found, clusterIP=None, clusterIPs=None)
    else:
        assert put(plane, found, clusterIP=None, clusterIPs=None)["clusterIPs"] == [P]
