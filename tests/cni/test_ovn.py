from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.ovn import HostSubnets, OVNKubernetes, pod_rules, read_ovn
from dsmodel.errors import InvalidField, Reason

V4, V6 = IPFamily.IPV4, IPFamily.IPV6


def order(cidr: str, length: int) -> list[str]:
    subnets = HostSubnets(Cidr(cidr), length)
    return [str(subnets.subnet(number)) for number in range(subnets.max_subnets)]


def test_golden_8_the_order_of_host_subnets() -> None:
    found = order("10.128.0.0/14", 23)
    start = ["10.128.0.0/23", "10.129.0.0/23", "10.130.0.0/23", "10.131.0.0/23", "10.128.2.0/23", "10.129.2.0/23"]
    assert found[:6] == start
    assert found[-1] == "10.131.254.0/23"
    assert len(set(found)) == 512


def test_golden_8_the_513th_fails_and_resets_the_cursor() -> None:
    ovn = OVNKubernetes("10.128.0.0/14/23")
    assert ovn.max_nodes == 512
    ovn.add_nodes(511)
    assert ovn.add_nodes(2).tolist() == [True, False]
    assert ovn.entries[V4][0].pool.cursor == 0
    assert ovn.place([512]).reason.tolist() == [Reason.CIDR_NOT_AVAILABLE]
    ovn.remove_nodes([500, 3])
    assert ovn.add_nodes(1).all()
    assert ovn.host_subnets()[-1] == ("10.131.0.0/23",)


def test_golden_8_ipv6_skips_subnet_zero() -> None:
    ovn = OVNKubernetes("fd01::/48")
    assert ovn.max_nodes == 65_535
    ovn.add_nodes(2)
    assert ovn.host_subnets() == [("fd01:0:0:1::/64",), ("fd01:0:0:2::/64",)]


def test_other_orders() -> None:
    shared = order("10.1.0.0/16", 26)
    assert shared[:2] == ["10.1.0.0/26", "10.1.1.0/26"]
    assert shared[255:258] == ["10.1.255.0/26", "10.1.0.64/26", "10.1.1.64/26"]
    assert order("10.200.0.0/16", 21) == [str(each) for each in Cidr("10.200.0.0/16").subnets(21)]
    assert len(order("fd00::/60", 64)) == 16
    assert HostSubnets(Cidr("fd00::/32"), 64).max_subnets == (1 << 24) - (1 << 8)


@given(st.integers(8, 24), st.integers(1, 12))
def test_every_subnet_once_and_back(length: int, bits: int) -> None:
    subnets = HostSubnets(Cidr.from_parts(V4, 0, length), min(32, length + bits))
    numbers = np.arange(subnets.max_subnets, dtype=np.uint64)
    places = subnets.places(numbers)
    assert sorted(places.tolist()) == numbers.tolist()
    assert subnets.numbers(places).tolist() == numbers.tolist()


@pytest.mark.parametrize(
    ("host_bits", "hybrid", "usable"), [(8, False, 252), (9, False, 508), (8, True, 251), (9, True, 507)]
)
def test_ipv4_pods_of_a_subnet(host_bits: int, hybrid: bool, usable: int) -> None:  # noqa: FBT001 - a parameter
    assert pod_rules([V4], hybrid_overlay=hybrid)[V4].usable(host_bits) == usable


def test_pods_follow_the_cursor_and_ipv6_uses_its_last_address() -> None:
    ovn = OVNKubernetes("10.0.0.0/28/29,fd00::/48")
    ovn.add_nodes(1)
    placed = ovn.place([0] * 5)
    assert to_integers(placed.addresses[V4][placed.ok]) == [0x0A000003, 0x0A000004, 0x0A000005, 0x0A000006]
    ovn.release([0], {family: column[:1] for family, column in placed.addresses.items()})
    assert to_integers(ovn.place([0]).addresses[V4]) == [0x0A000003]
    assert pod_rules([V6])[V6].usable(3) == 5
    assert pod_rules([V6], hybrid_overlay=True)[V6].usable(64) == 65_532


def test_a_second_family_that_is_full_moves_the_first_ones_cursor() -> None:
    ovn = OVNKubernetes("10.0.0.0/22,fd00::/63")
    assert ovn.add_nodes(3).tolist() == [True, True, False]
    assert [use.used for use in ovn.usage()[:2]] == [2, 2]
    assert ovn.entries[V4][0].pool.cursor == 3
    twin = ovn.copy()
    twin.remove_nodes([0])
    assert twin.add_nodes(1).all()
    assert twin.host_subnets()[-1] == ("10.0.3.0/24", "fd00::/64")
    assert ovn.nodes == 3


def test_several_entries_are_used_one_after_the_other() -> None:
    ovn = OVNKubernetes("10.0.0.0/23,10.9.0.0/23/25")
    ovn.add_nodes(6)
    texts = list(itertools.chain.from_iterable(ovn.host_subnets()))
    assert texts == ["10.0.0.0/24", "10.0.1.0/24", "10.9.0.0/25", "10.9.1.0/25", "10.9.0.128/25", "10.9.1.128/25"]


@pytest.mark.parametrize(
    "text", ["", "what", "10.0.0.1/16", "10.0.0.0/16/x", "10.0.0.0/16/24/1", "10.0.0.0/24/24", "fd00::/48/80"]
)
def test_cluster_subnets_that_are_none(text: str) -> None:
    with pytest.raises(InvalidField, match="cluster-subnets"):
        OVNKubernetes(text)


def test_live_nodes_and_what_is_wrong_with_them() -> None:
    def node(name: str, default: Any) -> dict[str, Any]:
        text = default if isinstance(default, str) else json.dumps({"default": default})
        return {"metadata": {"name": name, "annotations": {"k8s.ovn.org/node-subnets": text}}}

    rows = [
        node("a", ["10.128.0.0/23", "fd01:0:0:1::/64"]),
        node("b", ["10.9.0.0/24", "fd01:0:0:2::/64"]),
        node("c", json.dumps({"default": "10.129.0.0/23"})),
        node("d", "{"),
        {"metadata": {"name": "e"}},
    ]
    ovn, names, findings = read_ovn(rows, cluster_subnets="10.128.0.0/14/23,fd01::/48")
    assert names == ["a", "b", "c", "d", "e"]
    assert [(rule, name) for _, rule, name, _ in findings] == [
        ("ovn-invalid-annotation", "Node/d"),
        ("ovn-node-lacks-family", "Node/c"),
        ("ovn-node-lacks-family", "Node/d"),
        ("ovn-node-lacks-family", "Node/e"),
        ("ovn-subnet-outside-cluster-subnets", "Node/b"),
    ]
    ovn.add_nodes(1)
    assert ovn.host_subnets()[-1] == ("10.130.0.0/23", "fd01:0:0:3::/64")
