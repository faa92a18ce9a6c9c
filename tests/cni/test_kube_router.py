from __future__ import annotations

from typing import Any

import pytest

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cni.host_local import HostLocal
from dsmodel.cni.kube_router import KubeRouter, add_pod_cidrs, pod_cidrs_of
from dsmodel.cni.node_ranges import pod_cidr_columns
from dsmodel.errors import InvalidCidr


def node(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"annotations": annotations or {}}, "spec": spec}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (node(podCIDRs=["10.0.1.0/24", "fd00::/64"], podCIDR="10.0.1.0/24"), ("10.0.1.0/24", "fd00::/64")),
        (node(podCIDR="10.0.1.0/24"), ("10.0.1.0/24",)),
        (
            node({"kube-router.io/pod-cidrs": "10.9.0.0/24,fd00::/64"}, podCIDR="10.0.1.0/24"),
            ("10.9.0.0/24", "fd00::/64"),
        ),
        (node({"kube-router.io/pod-cidr": "10.8.0.0/24", "kube-router.io/pod-cidrs": "fd00::/64"}), ("10.8.0.0/24",)),
        (node(), ()),
    ],
)
def test_where_pod_cidrs_come_from(given: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert pod_cidrs_of(given) == expected


def test_text_that_is_no_cidr() -> None:
    with pytest.raises(InvalidCidr, match="what"):
        pod_cidrs_of(node({"kube-router.io/pod-cidr": "what"}))


def test_a_renumbered_node_still_hands_out_its_old_range() -> None:
    empty = {"cniVersion": "0.3.0", "name": "mynet", "type": "bridge", "ipam": {"type": "host-local"}}
    first = add_pod_cidrs(empty, ["10.0.1.0/24"])
    second = add_pod_cidrs(first, ["10.0.2.0/24"])
    assert "ranges" not in empty["ipam"]
    assert add_pod_cidrs(second, ["10.0.2.0/24"]) == second
    assert [each["address"] for each in HostLocal(second).add("pod")["ips"]] == ["10.0.1.2/24", "10.0.2.2/24"]


def test_lists_of_plugins_and_the_old_single_subnet() -> None:
    conflist = {"plugins": [{"type": "bridge", "ipam": {"subnet": "10.0.1.0/24"}}, {"type": "portmap"}]}
    grown = add_pod_cidrs(conflist, ["10.0.1.0/24", "fd00::/64"])
    assert grown["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "fd00::/64"}]]
    assert grown["plugins"][1] == {"type": "portmap"}


def test_placing_is_host_local() -> None:
    router = KubeRouter(list(IPFamily))
    router.add_ranges(pod_cidr_columns([["10.0.1.0/24", "fd00::/64"]]))
    assert router.place([0] * 254).placed == 253
