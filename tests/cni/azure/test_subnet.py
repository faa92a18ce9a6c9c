"""Azure CNI in a subnet: nodes whole or not at all, batches that grow and shrink, any free address of the node."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel import Cluster, ClusterConfig, reports
from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.azure import AzureSubnet, Scaler
from dsmodel.errors import InvalidField, InvalidInput, Reason

V4, V6 = IPFamily.IPV4, IPFamily.IPV6


def subnet_used(azure: AzureSubnet) -> list[int]:
    return [len(azure.taken(family)[0]) for family in azure.ip_families]


@pytest.mark.parametrize(
    ("subnet", "max_pods", "nodes"),
    [
        ("10.240.0.0/24", 30, 8),  # 251 // 31
        ("10.240.0.0/21", 30, 65),  # 2,043 // 31: 50 nodes and a surge of 15 by the planning page
        ("10.240.0.0/16", 250, 261),
        ("10.240.0.0/28", 11, 0),  # 11 left, 12 needed
    ],
)
def test_a_node_subnet_holds_nodes_and_surge_times_one_more_than_their_pods(
    subnet: str, max_pods: int, nodes: int
) -> None:
    azure = AzureSubnet([Cidr(subnet)], max_pods=max_pods)
    assert azure.add_nodes(nodes + 3).tolist() == [True] * nodes + [False] * 3
    assert subnet_used(azure) == [nodes * (1 + max_pods)]
    line = azure.usage()[0]
    assert (line.unit, line.usable, line.used) == ("node ranges", nodes, nodes)


def test_a_node_subnet_serves_its_maximum_of_pods_and_no_more() -> None:
    azure = AzureSubnet([Cidr("10.240.0.0/26")], max_pods=30)
    azure.add_nodes(2)
    placed = azure.place([0] * 31 + [1])
    assert placed.ok.tolist() == [True] * 30 + [False] * 2
    assert placed.reason[-2:].tolist() == [Reason.POD_LIMIT, Reason.CIDR_NOT_AVAILABLE]
    given_out = to_integers(placed.addresses[V4][:30])
    assert len(set(given_out)) == 30
    first = Cidr("10.240.0.0/26").first
    assert {number - first for number in given_out} <= set(range(4, 63))
    assert given_out != sorted(given_out)  # any of the node's, not the lowest
    # what was given back is there at once
    azure.release([0], {V4: placed.addresses[V4][:1]})
    assert to_integers(azure.place([0]).addresses[V4]) == given_out[:1]


@pytest.mark.parametrize(("pods", "held"), [(0, 16), (8, 16), (9, 32), (25, 48), (249, 250), (300, 250)])
def test_batches_follow_the_rule_of_the_pool_monitor(pods: int, held: int) -> None:
    """Golden 12: batch 16, used 25, fraction 0.5 make 48, one of them the network container's own."""
    azure = AzureSubnet([Cidr("10.241.0.0/20")], scaler=Scaler())
    azure.add_nodes(1)
    placed = azure.place([0] * pods)
    assert placed.placed == min(pods, 249)
    assert subnet_used(azure) == [held]
    assert set(placed.reason[~placed.ok].tolist()) <= {Reason.POD_LIMIT}


def test_a_batch_goes_back_when_pods_leave() -> None:
    azure = AzureSubnet([Cidr("10.241.0.0/24")], scaler=Scaler())
    azure.add_nodes(1)
    placed = azure.place([0] * 25)
    azure.release([0] * 20, {V4: placed.addresses[V4][:20]})
    assert subnet_used(azure) == [16]
    left = set(to_integers(placed.addresses[V4][20:]))
    assert left < set(to_integers(azure.taken(V4)[0]))


def test_what_batches_strand_goes_one_by_one() -> None:
    """Azure/AKS#4035: a /24 has 251 addresses, 15 batches of 16 and 11; the 16th node takes single ones of these."""
    azure = AzureSubnet([Cidr("10.241.0.0/24")], scaler=Scaler())
    assert azure.add_nodes(15).all()
    assert (subnet_used(azure), azure.usage()[0].free) == ([240], 11)
    assert azure.add_nodes(1).tolist() == [True]
    assert azure.place([15] * 12).placed == 10
    assert azure.usage()[0].free == 0
    full = azure.place([0] * 16)
    assert (full.placed, full.reason[-1]) == (15, Reason.POOL_FULL)


def test_both_families_or_none() -> None:
    azure = AzureSubnet([Cidr("10.241.0.0/24"), Cidr("fd00::/123")], scaler=Scaler())
    azure.add_nodes(1)
    placed = azure.place([0] * 40)
    assert placed.placed == 26  # 27 of a /123 without Azure's five, one the node's own
    assert not placed.addresses[V4][~placed.ok].any()
    assert azure.place([0]).placed == 0
    assert subnet_used(azure) == [48, 27]


@pytest.mark.parametrize("make", [lambda: AzureSubnet([]), lambda: AzureSubnet([Cidr("10.0.0.0/24")] * 2)])
def test_subnets_are_one_or_one_of_each_family(make: object) -> None:
    with pytest.raises(InvalidInput, match="one of each family"):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("max_pods", [0, 251])
def test_maxima_aks_does_not_have(max_pods: int) -> None:
    with pytest.raises(InvalidField, match="maxPods"):
        AzureSubnet([Cidr("10.0.0.0/16")], max_pods=max_pods)


def slow_growth(scaler: Scaler, free: int, has: list[int], pods: list[int]) -> list[int]:
    """Node after node: a whole batch while the subnet has it for all before, then single addresses."""
    grown, left, is_short = list(has), free, False
    wants = [max(int(scaler.target(need)) - held, 0) for need, held in zip(pods, has, strict=True)]
    late = []
    for node, want in enumerate(wants):
        is_short = is_short or want > left
        if is_short:
            late.append(node)
        else:
            grown[node] += want
            left -= want
    for node in late:
        more = min(max(min(pods[node] + 2, scaler.max_ips) - has[node], 0), left)
        grown[node] += more
        left -= more
    return grown


@settings(max_examples=60, deadline=None)
@given(
    nodes=st.integers(1, 6),
    batches=st.lists(st.lists(st.integers(0, 5), max_size=60), max_size=4),
    length=st.integers(24, 28),
    batch=st.sampled_from([1, 4, 16]),
)
def test_any_sequence_equals_the_slow_way(nodes: int, batches: list[list[int]], length: int, batch: int) -> None:
    cidr, scaler = Cidr(f"10.0.0.0/{length}"), Scaler(batch_size=batch, max_ips=60)
    azure = AzureSubnet([cidr], scaler=scaler)
    size = cidr.size - 5
    azure.add_nodes(nodes)
    has = slow_growth(scaler, size, [0] * nodes, [0] * nodes)
    used = [0] * nodes
    holders: dict[int, int] = {}
    for listed in batches:
        rows = [node % nodes for node in listed]
        want = [used[node] + rows.count(node) for node in range(nodes)]
        has = slow_growth(scaler, size - sum(has), has, want)
        placed = azure.place(rows)
        for node, ok, number in zip(rows, placed.ok.tolist(), to_integers(placed.addresses[V4]), strict=True):
            assert ok == (used[node] < has[node] - 1)
            if ok:
                used[node] += 1
                assert number not in holders
                assert number - cidr.first in range(4, cidr.size - 1)
                holders[number] = node
        has = [max(used[n] + 1, min(has[n], int(scaler.target(used[n])))) if has[n] else 0 for n in range(nodes)]
        gone = list(holders)[:: 1 + len(holders) % 3]
        column = np.array(gone, np.uint32)
        azure.release([holders[number] for number in gone], {V4: column})
        for number in gone:
            used[holders.pop(number)] -= 1
        has = [max(used[n] + 1, min(has[n], int(scaler.target(used[n])))) if has[n] else 0 for n in range(nodes)]
        assert subnet_used(azure) == [sum(has)]
        assert azure.usage()[1].used == sum(used)


def test_in_a_cluster() -> None:
    config = ClusterConfig.of(service_cidrs=["10.96.0.0/16"])
    cluster = Cluster(config, network_plugin=AzureSubnet([Cidr("10.240.0.0/24")]))
    assert cluster.add_nodes(9).granted == 8
    assert cluster.add_pods([0] * 30 + [8]).granted == 30
    limits = reports.limits(cluster).set_index("pool")
    assert limits.loc["node blocks", ["usable", "used"]].tolist() == [8, 8]
    assert limits.loc["pod addresses", ["usable", "used"]].tolist() == [240, 30]
    frame = reports.utilization(cluster).set_index("pool")
    assert frame.loc["node blocks", "range"] == "10.240.0.0/24 in 31 addresses a node"
    assert reports.fragmentation(cluster, lengths=[28]).set_index("pool").loc["subnet addresses", "free"] == 3
    assert cluster.remove_nodes([0]).granted == 1
    assert cluster.add_nodes(1).granted == 1
