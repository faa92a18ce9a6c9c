from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cni.flannel import Flannel, FlannelLeases, check_pod_cidrs, read_flannel, read_net_conf
from dsmodel.cni.node_ranges import pod_cidr_columns
from dsmodel.errors import InvalidField

V4, V6 = IPFamily.IPV4, IPFamily.IPV6


@pytest.mark.parametrize(
    ("fields", "family", "length", "nodes"),
    [
        ({"Network": "10.0.0.0/8"}, V4, 24, 65_535),
        ({"Network": "10.0.0.0/22"}, V4, 24, 3),
        ({"Network": "10.0.0.0/23"}, V4, 25, 3),
        ({"Network": "10.0.0.0/16", "SubnetLen": 26}, V4, 26, 1023),
        ({"Network": "10.0.0.0/16", "SubnetMin": "10.0.10.0", "SubnetMax": "10.0.19.0"}, V4, 24, 10),
        ({"EnableIPv4": False, "EnableIPv6": True, "IPv6Network": "fd00::/48"}, V6, 64, 65_535),
        ({"EnableIPv4": False, "EnableIPv6": True, "IPv6Network": "fd00::/63"}, V6, 65, 3),
    ],
)
def test_defaults_of_net_conf(fields: dict[str, Any], family: IPFamily, length: int, nodes: int) -> None:
    network = read_net_conf(fields)[family]
    assert (network.subnet_length, network.max_nodes) == (length, nodes)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "Network"),
        ({"Network": "fd00::/48"}, "Network"),
        ({"Network": "10.0.0.0/29"}, "Network"),
        ({"Network": "10.0.0.0/16", "SubnetLen": 17}, "SubnetLen"),
        ({"Network": "10.0.0.0/16", "SubnetLen": 31}, "SubnetLen"),
        ({"Network": "10.0.0.0/16", "SubnetMin": "10.9.0.0"}, "SubnetMin"),
        ({"Network": "10.0.0.0/16", "SubnetMax": "10.0.0.1"}, "SubnetMax"),
        ({"EnableIPv4": False}, "EnableIPv4"),
        ({"Network": "10.0.0.0/16", "EnableIPv6": True, "IPv6Network": "x"}, "IPv6Network"),
        (
            {"Network": "10.0.0.0/16", "EnableIPv6": True, "IPv6Network": "fd00::/48", "Backend": {"Type": "udp"}},
            "Backend.Type",
        ),
    ],
)
def test_net_conf_names_the_field_that_is_wrong(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidField, match=f"^{path}: "):
        read_net_conf(fields)


def test_pods_start_behind_flannel_and_bridge() -> None:
    flannel = Flannel([V4, V6])
    flannel.add_ranges(pod_cidr_columns([["fd00::/64", "10.244.1.0/24"]]))
    placed = flannel.place([0] * 254)
    assert placed.placed == 253
    assert to_integers(placed.addresses[V4][:1]) == [0x0AF40102]


def test_leases_skip_the_first_subnet_and_are_drawn_among_a_hundred() -> None:
    leases = FlannelLeases(read_net_conf({"Network": "10.0.0.0/16"}), rng=np.random.default_rng(3))
    assert leases.add_nodes([f"n{i}" for i in range(120)]).all()
    subnets = [number >> 8 & 255 for number in to_integers(leases.ranges[V4].bases)]
    assert len(set(subnets)) == 120
    assert 0 not in subnets
    assert all(subnet <= 100 + row for row, subnet in enumerate(subnets))
    assert [(use.usable, use.used) for use in leases.usage()[:1]] == [(255, 120)]


def test_a_node_that_comes_back_has_its_subnet_again() -> None:
    leases = FlannelLeases(read_net_conf({"Network": "10.0.0.0/16"}))
    leases.add_nodes(["a", "b"])
    before = to_integers(leases.ranges[V4].bases)
    twin = leases.copy()
    twin.remove_nodes([0])
    twin.add_nodes(["a"])
    assert to_integers(twin.ranges[V4].bases) == before[::-1]
    assert leases.names == ["a", "b"]


def test_a_lease_needs_both_families() -> None:
    fields = {"Network": "10.0.0.0/16", "EnableIPv6": True, "IPv6Network": "fd00::/62"}
    leases = FlannelLeases(read_net_conf(fields))
    assert leases.add_nodes(["a", "b", "c", "d"]).tolist() == [True, True, True, False]
    assert [use.used for use in leases.usage()[:2]] == [3, 3]


def test_nodes_flannel_would_not_run_on() -> None:
    networks = read_net_conf({"Network": "10.244.0.0/16", "EnableIPv6": True, "IPv6Network": "fd00::/48"})

    def node(name: str, **spec: Any) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": spec}

    rows = [
        node("a", podCIDRs=["10.244.1.0/24", "fd00:0:0:1::/64"]),
        node("b", podCIDR="10.244.2.0/24"),
        node("c", podCIDRs=["what", "10.9.0.0/24", "fd01::/64"]),
        node("d"),
    ]
    assert [(finding[2], finding[1].removeprefix("flannel-")) for finding in check_pod_cidrs(rows, networks)] == [
        ("Node/b", "no-pod-cidr"),
        ("Node/c", "invalid-pod-cidr"),
        ("Node/c", "pod-cidr-outside"),
        ("Node/c", "pod-cidr-outside"),
        ("Node/d", "no-pod-cidr"),
        ("Node/d", "no-pod-cidr"),
    ]


def test_live_nodes() -> None:
    networks = read_net_conf({"Network": "10.244.0.0/16"})
    started = {"flannel.alpha.coreos.com/public-ip": "192.0.2.1"}
    rows = [
        {"metadata": {"name": "a", "annotations": started}, "spec": {"podCIDR": "10.244.1.0/24"}},
        {"metadata": {"name": "b"}, "spec": {"podCIDRs": ["10.9.0.0/24", "fd00::/64", "what"]}},
    ]
    flannel, names, findings = read_flannel(rows, networks)
    assert names == ["a", "b"]
    assert [finding[1] for finding in findings] == [
        "flannel-invalid-pod-cidr",
        "flannel-pod-cidr-outside",
        "flannel-not-started",
    ]
    assert flannel.place([0, 1]).ok.tolist() == [True, False]
