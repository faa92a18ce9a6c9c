from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.aws import (
    AwsVpcCni,
    Interfaces,
    WarmTargets,
    max_pods,
    prefix_chance,
    read_checkpoint,
    read_interfaces,
)
from dsmodel.errors import InvalidField, InvalidInput, Reason

V4 = IPFamily.IPV4
T3_SMALL, P3DN = Interfaces(3, 4), Interfaces(15, 50)


def test_golden_11_max_pods() -> None:
    assert max_pods([3, 3], [10, 4]).tolist() == [29, 11]
    assert max_pods(3, 10, prefixes=True) == 434
    assert max_pods(3, 10, prefixes=True, vcpus=2) == 110


@pytest.mark.parametrize(
    ("interfaces", "addresses", "pods"), [(2, 2, 4), (3, 4, 11), (3, 10, 29), (8, 30, 234), (15, 50, 737)]
)
def test_max_pods_of_known_instance_types(interfaces: int, addresses: int, pods: int) -> None:
    assert max_pods(interfaces, addresses) == pods


def test_custom_networking_costs_an_interface_and_large_instances_run_250() -> None:
    assert max_pods(3, 10, custom_networking=True) == 20
    assert max_pods(15, 50, vcpus=96) == 250
    assert max_pods(2, 2, vcpus=2) == 4


@pytest.mark.parametrize(
    ("interfaces", "targets", "pods", "attached", "addresses"),
    [
        (T3_SMALL, {}, 0, 1, 3),
        (T3_SMALL, {}, 5, 3, 9),
        (T3_SMALL, {}, 9, 3, 9),
        (T3_SMALL, {"warm_ip": 1, "minimum_ip": 1}, 0, 1, 1),
        (T3_SMALL, {"warm_ip": 1, "minimum_ip": 1}, 5, 2, 6),
        (T3_SMALL, {"warm_ip": 1, "minimum_ip": 1}, 9, 3, 9),
        (T3_SMALL, {"warm_ip": 2, "minimum_ip": 5}, 0, 2, 5),
        (T3_SMALL, {"warm_ip": 2, "minimum_ip": 5}, 5, 3, 7),
        (T3_SMALL, {"warm_ip": 2, "minimum_ip": 5}, 9, 3, 9),
        (P3DN, {}, 0, 1, 49),
        (P3DN, {}, 3, 2, 98),
        (P3DN, {}, 95, 3, 147),
        (P3DN, {"warm_ip": 5, "minimum_ip": 10}, 0, 1, 10),
        (P3DN, {"warm_ip": 5, "minimum_ip": 10}, 7, 1, 12),
        (P3DN, {"warm_ip": 5, "minimum_ip": 10}, 15, 1, 20),
        (P3DN, {"warm_ip": 5, "minimum_ip": 10}, 45, 2, 50),
    ],
)
def test_the_documented_table_of_addresses(
    interfaces: Interfaces, targets: dict[str, int], pods: int, attached: int, addresses: int
) -> None:
    wanted = WarmTargets(**targets).units(pods, interfaces=interfaces)
    assert wanted == addresses
    aws = AwsVpcCni(Cidr("10.0.0.0/20"), interfaces=interfaces, targets=WarmTargets(**targets))
    aws.add_nodes(1)
    assert aws.place([0] * pods).placed == pods
    # what the plugin had attached for nothing it keeps; the table starts each row afresh, and agrees
    subnet, node = aws.usage()
    assert (node.usable, subnet.used - node.usable) == (addresses, attached)


@pytest.mark.parametrize(
    ("interfaces", "targets", "pods", "prefixes"),
    [
        (T3_SMALL, {}, 0, 1),
        (T3_SMALL, {}, 5, 2),
        (T3_SMALL, {}, 16, 2),
        (T3_SMALL, {}, 17, 3),
        (T3_SMALL, {}, 58, 5),
        (T3_SMALL, {"warm_ip": 1, "minimum_ip": 1}, 0, 1),
        (T3_SMALL, {"warm_ip": 1, "minimum_ip": 1}, 5, 1),
        (T3_SMALL, {"warm_ip": 1, "minimum_ip": 1}, 17, 2),
        (T3_SMALL, {"warm_ip": 1, "minimum_ip": 1}, 58, 4),
        # the page says 1 attached and 2 per interface in this row; 20 addresses are 2 prefixes
        (T3_SMALL, {"warm_ip": 7, "minimum_ip": 20}, 0, 2),
        (T3_SMALL, {"warm_ip": 7, "minimum_ip": 20}, 5, 2),
        (T3_SMALL, {"warm_ip": 7, "minimum_ip": 20}, 17, 2),
        (T3_SMALL, {"warm_ip": 7, "minimum_ip": 20}, 58, 5),
        (P3DN, {}, 0, 1),
        (P3DN, {}, 3, 2),
        (P3DN, {}, 95, 7),
        (P3DN, {"warm_ip": 5, "minimum_ip": 10}, 0, 1),
        (P3DN, {"warm_ip": 5, "minimum_ip": 10}, 7, 1),
        (P3DN, {"warm_ip": 5, "minimum_ip": 10}, 15, 2),
        (P3DN, {"warm_ip": 5, "minimum_ip": 10}, 45, 4),
    ],
)
def test_the_documented_table_of_prefixes(
    interfaces: Interfaces, targets: dict[str, int], pods: int, prefixes: int
) -> None:
    assert WarmTargets(**targets, prefixes=True).units(pods, interfaces=interfaces) == prefixes


@given(st.integers(0, 60), st.integers(0, 9), st.integers(0, 30), st.integers(0, 100))
def test_short_and_over_agree_with_the_target(assigned: int, warm: int, least: int, spare: int) -> None:
    targets = WarmTargets(warm_ip=warm, minimum_ip=least)
    short, over = targets.short_and_over(assigned, assigned + spare)
    goal = targets.units(assigned, interfaces=Interfaces(50, 50))
    assert assigned + spare + short - over == goal


def test_short_and_over_of_prefixes() -> None:
    targets = WarmTargets(warm_ip=5, minimum_ip=10, prefixes=True)
    short, over = targets.short_and_over([0, 15, 3], [0, 1, 4], free_prefixes=[0, 0, 2])
    assert short.tolist() == [1, 1, 0]
    assert over.tolist() == [0, 0, 2]
    assert [part.tolist() for part in WarmTargets().short_and_over([5], [9])] == [[0], [0]]


def test_pods_beyond_the_interfaces_and_beyond_the_subnet() -> None:
    aws = AwsVpcCni(Cidr("10.0.0.0/27"), interfaces=T3_SMALL)
    aws.add_nodes(3)
    placed = aws.place([0] * 10 + [1] * 8 + [2] * 9)
    # 27 addresses less an interface's own: three, then three, then one
    assert placed.placed == 9 + 8 + 3
    assert placed.reason[9] == Reason.POD_LIMIT
    assert placed.reason[-1] == Reason.POOL_FULL
    numbers = to_integers(placed.addresses[V4][placed.ok])
    assert len(set(numbers)) == placed.placed
    assert all(4 <= number - 0x0A000000 < 31 for number in numbers)


def test_released_addresses_rest_for_thirty_seconds_though_they_look_warm() -> None:
    aws = AwsVpcCni(Cidr("10.0.0.0/24"), interfaces=Interfaces(1, 3))
    aws.add_nodes(1)
    placed = aws.place([0, 0], now=0)
    aws.release([0, 0], placed.addresses, now=10)
    assert (aws.usage()[1].free, aws.usage()[1].cooling) == (0, 2)
    assert aws.place([0], now=39.9).placed == 0
    assert aws.place([0], now=40).placed == 1


def test_prefixes_are_aligned_whole_and_stopped_by_fragments() -> None:
    aws = AwsVpcCni(Cidr("10.0.0.0/24"), interfaces=Interfaces(2, 10), targets=WarmTargets(prefixes=True))
    aws.add_nodes(1)
    placed = aws.place([0] * 40)
    assert placed.placed == 40
    used = {number // 16 for number in to_integers(placed.addresses[V4])}
    assert len(used) == 3
    scattered = AwsVpcCni(Cidr("10.0.0.0/24"), interfaces=Interfaces(2, 10), targets=WarmTargets(prefixes=True))
    scattered.pool.allocate(np.arange(7, 256, 16, dtype=np.uint64))
    scattered.add_nodes(1)
    assert scattered.place([0]).reason.tolist() == [Reason.POOL_FULL]
    assert scattered.pool.free > 200


def test_chance_of_a_prefix() -> None:
    assert prefix_chance([0.0, 0.3, 1.0], subnet=Cidr("10.0.0.0/24")).round(2).tolist() == [1.0, 0.05, 0.0]


def test_a_copy_is_independent() -> None:
    aws = AwsVpcCni(Cidr("10.0.0.0/24"), interfaces=T3_SMALL)
    aws.add_nodes(1)
    twin = aws.copy()
    twin.place([0])
    assert (aws.usage()[1].used, twin.usage()[1].used) == (0, 1)


def test_what_ipamd_refuses() -> None:
    with pytest.raises(InvalidField, match="WARM_IP_TARGET"):
        WarmTargets(warm_ip=-1)
    with pytest.raises(InvalidField, match="one target is above 0"):
        WarmTargets(warm_prefix=0, prefixes=True)
    with pytest.raises(InvalidInput, match="IPv6 nodes"):
        AwsVpcCni(Cidr("fd00::/64"), interfaces=T3_SMALL)


def test_introspection() -> None:
    def entry(**addresses: Any) -> dict[str, Any]:
        return {"IPAddresses": addresses}

    held = {"Address": "a", "IPAMKey": {"containerID": "c"}}
    rested = {"Address": "b", "IPAMKey": {"containerID": ""}, "UnassignedTime": "2026-08-01T00:00:00Z"}
    fresh = {"Address": "d", "IPAMKey": {}, "UnassignedTime": "0001-01-01T00:00:00Z"}
    cidrs = {"10.0.0.16/28": entry(a=held, b=rested, d=fresh)}
    document = {"0": {"ENIs": {"eni-1": {"AvailableIPv4Cidrs": cidrs, "IPv6Cidrs": {"fd00::/80": entry(a=held)}}}}}
    lines = read_interfaces(document)
    assert [(line.ip_family, line.used, line.cooling, line.free) for line in lines] == [
        (V4, 1, 1, 14),
        (IPFamily.IPV6, 1, 0, (1 << 48) - 1),
    ]


def test_checkpoints() -> None:
    def entry(pod: str, **addresses: str) -> dict[str, Any]:
        return {"containerID": f"c-{pod}", "metadata": {"k8sPodNamespace": "n", "k8sPodName": pod}, **addresses}

    rows = [entry("b", ipv4="10.0.0.20"), entry("a", ipv4="10.0.0.3"), entry("c", ipv6="fd00::1", ipv4="")]
    found = read_checkpoint({"allocations": rows})
    assert found["address"] == ["10.0.0.3", "10.0.0.20", "fd00::1"]
    assert found["pod"] == ["a", "b", "c"]
    assert read_checkpoint({})["address"] == []
    with pytest.raises(InvalidInput, match="what"):
        read_checkpoint({"allocations": [entry("a", ipv4="what")]})
