"""Node objects: podCIDR and podCIDRs, what may change, host and pod addresses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.cidr import IPFamily
from dsmodel.errors import Rejected
from dsmodel.kube import ControlPlane
from dsmodel.kube.nodes import host_ips, node_spec, sort_pod_ips

V4, W4, V6, W6 = "10.244.1.0/24", "10.244.2.0/24", "fd00:1::/64", "fd00:2::/64"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({}, []),
        ({"podCIDR": V4}, [V4]),
        ({"podCIDRs": [V4, V6]}, [V4, V6]),
        ({"podCIDR": V4, "podCIDRs": [V4, V6]}, [V4, V6]),
        ({"podCIDR": W4, "podCIDRs": [V4, V6]}, [W4]),
    ],
)
def test_the_single_field_wins_over_the_list(sent: dict[str, Any], kept: list[str]) -> None:
    spec = node_spec(sent)
    assert spec.get("podCIDRs", []) == kept
    assert spec.get("podCIDR") == (kept[0] if kept else None)


def test_with_the_gate_off_one_block_is_kept() -> None:
    assert node_spec({"podCIDRs": [V4, V6]}, dual_stack=False)["podCIDRs"] == [V4]


def server(version: str = "1.36") -> ControlPlane:
    gates = {"IPv6DualStack": True} if version == "1.20" else {}
    return ControlPlane(kube_version=version, service_cidrs=["10.96.0.0/16"], feature_gates=gates)


def node(*pod_cidrs: str, name: str = "n") -> dict[str, Any]:
    return {"kind": "Node", "metadata": {"name": name}, "spec": {"podCIDRs": list(pod_cidrs)}}


@pytest.mark.parametrize("version", ["1.20", "1.26", "1.36"])
@pytest.mark.parametrize("cidrs", [(V4, W4), (V6, W6), (V4, V6, W4), (V4, V4), ("x",), ("10.244.1.0",), (V4, "")])
def test_blocks_are_one_of_each_family(version: str, cidrs: tuple[str, ...]) -> None:
    plane = server(version)
    with pytest.raises(Rejected, match=r"spec\.podCIDRs") as refusal:
        plane.create(node(*cidrs))
    assert refusal.value.code == 422
    with pytest.raises(Rejected, match="not found"):
        plane.get("Node", "n")


@pytest.mark.parametrize("version", ["1.20", "1.22", "1.36"])
@pytest.mark.parametrize("new", [[W4], [V4, V6], [], [V6, V4]])
def test_blocks_never_change_once_set(version: str, new: list[str]) -> None:
    plane = server(version)
    stored = plane.create(node(V4))
    patch = {"spec": {"podCIDR": new[0] if new else None, "podCIDRs": new or None}}
    with pytest.raises(Rejected, match=r"podCIDR") as refusal:
        plane.patch("Node", "n", patch, patch_type="merge")
    assert refusal.value.causes[0].field == "spec.podCIDRs"
    assert plane.get("Node", "n") == stored


def test_a_node_without_blocks_may_get_two() -> None:
    plane = server()
    plane.create(node())
    patch = {"spec": {"podCIDR": V6, "podCIDRs": [V6, V4]}}
    assert plane.patch("Node", "n", patch, patch_type="strategic")["spec"]["podCIDRs"] == [V6, V4]


def test_nothing_compares_blocks_of_two_nodes() -> None:
    plane = server()
    plane.create(node(V4, name="a"))
    assert plane.create(node(V4, name="b"))["spec"]["podCIDRs"] == [V4]


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        ([("InternalIP", "10.0.0.1"), ("InternalIP", "fd00::1")], ("10.0.0.1", "fd00::1")),
        ([("InternalIP", "fd00::1"), ("InternalIP", "10.0.0.1"), ("InternalIP", "fd00::2")], ("fd00::1", "10.0.0.1")),
        ([("ExternalIP", "fd00::1"), ("InternalIP", "10.0.0.1")], ("10.0.0.1", "fd00::1")),
        ([("InternalIP", "10.0.0.1"), ("InternalIP", "10.0.0.2")], ("10.0.0.1",)),
        ([("Hostname", "a")], ()),
        ([], ()),
    ],
)
def test_host_ips_are_the_first_of_each_family(addresses: list[tuple[str, str]], found: tuple[str, ...]) -> None:
    assert host_ips([{"type": kind, "address": text} for kind, text in addresses]) == found


@given(st.lists(st.sampled_from(["10.1.0.2", "10.1.0.3", "fd00::2", "FD00::3"]), max_size=4), st.sampled_from(IPFamily))
def test_pod_ips_are_one_of_each_family_the_primary_first(texts: list[str], primary: IPFamily) -> None:
    found = sort_pod_ips(texts, primary=primary)
    families = ["IPv6" if ":" in text else "IPv4" for text in found]
    assert len(set(families)) == len(families) == len({":" in text for text in texts})
    assert families == sorted(families, key=lambda family: family != str(primary))
    assert sort_pod_ips(found, primary=primary) == found
