from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.cilium import Cilium, ClusterPool, MultiPool, read_cilium
from dsmodel.cni.cilium.agent import agent_rules
from dsmodel.cni.cilium.live import watermark_needed
from dsmodel.cni.cilium.multi_pool import demand, read_pool, supply
from dsmodel.errors import InvalidField, InvalidInput, Reason

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
HELM = {V4: 24, V6: 120}


def test_golden_9_demand() -> None:
    assert demand([0, 1, 16, 17], pre_allocate=16).tolist() == [16, 32, 32, 48]
    assert demand([0, 5], pre_allocate=0).tolist() == [0, 5]


@pytest.mark.parametrize(
    ("family", "host_bits", "usable"),
    [(V4, 8, 254), (V4, 1, 2), (V4, 0, 1), (V6, 8, 254), (V6, 16, 65534), (V6, 64, 65534)],
)
def test_what_the_agent_hands_out(family: IPFamily, host_bits: int, usable: int) -> None:
    assert agent_rules([family])[family].usable(host_bits) == usable


def test_older_and_newer_releases() -> None:
    assert agent_rules([V4], small_ranges_usable=False)[V4].usable(1) == 0
    assert agent_rules([V4], ends_usable=True)[V4].usable(8) == 256


@pytest.mark.parametrize(("ingress", "pods"), [(False, 252), (True, 251)])
def test_router_health_and_ingress_are_kept(ingress: bool, pods: int) -> None:  # noqa: FBT001 - a parameter of the case
    cilium = Cilium([V4], operator=ClusterPool(["10.0.0.0/16"]), ingress=ingress)
    cilium.add_nodes(2)
    placed = cilium.place([0] * 300)
    assert placed.placed == pods
    offsets = {n & 255 for n in to_integers(placed.addresses[V4][placed.ok])}
    assert len(offsets) == pods
    assert offsets <= set(range(1, 255))
    assert [(use.usable, use.used) for use in cilium.usage()] == [(256, 2), (2 * pods, pods)]


def test_a_wide_ipv6_cidr_has_65534() -> None:
    cilium = Cilium([V6], operator=ClusterPool(["fd00::/56"], {V6: 64}))
    cilium.add_nodes(1)
    assert cilium.usage()[1].usable == 65_532
    placed = cilium.place(np.zeros(300, int))
    assert len(set(to_integers(placed.addresses[V6]))) == 300


def test_the_operator_refuses_more_than_16_bits() -> None:
    with pytest.raises(InvalidField, match="at most 16 bits"):
        ClusterPool(["fd00::/64"])
    with pytest.raises(InvalidField, match="length of 16 or more"):
        ClusterPool(["10.0.0.0/16"], {V4: 12})


@given(st.integers(0, 12), st.integers(0, 12), st.sampled_from(["10.0.0.0/29", "10.0.0.0/30"]))
def test_node_cidrs_equal_the_slow_way(first: int, second: int, cidr: str) -> None:
    pool = ClusterPool([cidr, "10.1.0.0/31", "fd00::/125"], {V4: 32, V6: 127})
    slow = SlowOperator([Cidr(cidr).size, 2], [4])
    for n in (first, second):
        columns, ok = pool.allocate(n)
        expected = [slow.allocate() for _ in range(n)]
        assert ok.tolist() == [each is not None for each in expected]
        numbers = [each for each, fine in zip(to_integers(columns[V4][0]), ok, strict=True) if fine]
        bases = [0x0A000000, 0x0A010000]
        assert numbers == [bases[each[0][0]] + each[0][1] for each in expected if each]
        if expected and expected[0]:
            released = Cidr.from_parts(V4, numbers[0], 32)
            pool.release(V4, [released])
            pool.release(V6, [Cidr.from_parts(V6, to_integers(columns[V6][0])[0], 127)])
            slow.release(expected[0])
    assert pool.sets[V4][0].cursor == slow.cursors[0][0] % Cidr(cidr).size


class SlowOperator:
    """Cursor bitmaps, one request after the other."""

    def __init__(self, *families: list[int]) -> None:
        self.used = [[[False] * size for size in sizes] for sizes in families]
        self.cursors = [[0] * len(sizes) for sizes in families]

    def take(self, family: int) -> tuple[int, int] | None:
        for number, used in enumerate(self.used[family]):
            for step in range(len(used)):
                index = (self.cursors[family][number] + step) % len(used)
                if not used[index]:
                    used[index] = True
                    self.cursors[family][number] = index + 1
                    return number, index
        return None

    def allocate(self) -> list[tuple[int, int]] | None:
        got: list[tuple[int, int]] = []
        for family in range(len(self.used)):
            taken = self.take(family)
            if taken is None:
                self.release(got)
                return None
            got.append(taken)
        return got

    def release(self, got: list[tuple[int, int]]) -> None:
        for family, (number, index) in enumerate(got):
            self.used[family][number][index] = False


def test_a_freed_cidr_comes_round_last() -> None:
    cilium = Cilium([V4, V6], operator=ClusterPool(["10.0.0.0/22", "fd00::/104"], HELM))
    assert cilium.add_nodes(3).all()
    cilium.remove_nodes([0])
    cilium.add_nodes(2)
    assert cilium.operator is not None
    firsts = to_integers(cilium.ranges[V4].bases)
    assert [first >> 8 & 255 for first in firsts] == [1, 2, 3, 0]
    assert [use.used for use in cilium.usage()] == [4, 4, 0, 0]


def test_kubernetes_mode_has_no_operator() -> None:
    with pytest.raises(InvalidInput, match="podCIDRs"):
        Cilium([V4]).add_nodes(1)


def test_a_copy_is_independent() -> None:
    cilium = Cilium([V4], operator=ClusterPool(["10.0.0.0/16"]))
    twin = cilium.copy()
    twin.add_nodes(1)
    twin.place([0])
    assert cilium.nodes == 0
    assert cilium.usage()[0].used == 0


@pytest.mark.parametrize(("wanted", "bits", "cidrs"), [(8, 5, 1), (31, 5, 2), (60, 5, 2), (3, 0, 3), (100_000, 64, 1)])
def test_supply_counts_what_the_operator_counts(wanted: int, bits: int, cidrs: int) -> None:
    assert supply([wanted], host_bits=bits).tolist() == [cidrs]


def test_multi_pool_gives_what_is_asked_and_each_family_on_its_own() -> None:
    pool = MultiPool(ClusterPool(["10.0.0.0/26", "fd00::/123"], {V4: 27, V6: 125}))
    pool.add_nodes(1)
    assert [len(pool.node_cidrs(f)[0]) for f in (V4, V6)] == [1, 2]
    # 32 pods: IPv4 can have both its /27s, IPv6 only four /125s of six addresses each
    placed = pool.place([0] * 32)
    assert placed.placed == 24
    assert placed.reason[-1] == Reason.POOL_FULL
    assert [len(pool.node_cidrs(f)[0]) for f in (V4, V6)] == [2, 4]
    assert len(set(to_integers(placed.addresses[V6][placed.ok]))) == 24
    pool.release([0] * 24, {family: column[placed.ok] for family, column in placed.addresses.items()})
    assert [use.used for use in pool.usage()] == [2, 4, 0, 0]
    assert pool.shrink() == 3
    assert [len(pool.node_cidrs(f)[0]) for f in (V4, V6)] == [1, 2]


def test_multi_pool_fills_cidrs_in_order_and_copies_part() -> None:
    pool = MultiPool(ClusterPool(["10.0.0.0/24"], {V4: 28}), pre_allocate=0)
    pool.add_nodes(2)
    twin = pool.copy()
    placed = pool.place([0, 1] * 20)
    assert placed.placed == 40
    assert pool.node_cidrs(V4) == [["10.0.0.0/28", "10.0.0.16/28"], ["10.0.0.32/28", "10.0.0.48/28"]]
    first = [n - 0x0A000000 >> 4 for n in to_integers(placed.addresses[V4][::2])]
    assert first == [0] * 14 + [1] * 6
    assert twin.node_cidrs(V4) == [[], []]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({}, "spec"),
        ({"ipv4": {"cidrs": ["what"], "maskSize": 27}}, r"spec.ipv4.cidrs\[0\]"),
        ({"ipv6": {"cidrs": ["10.0.0.0/8"], "maskSize": 27}}, r"spec.ipv6.cidrs\[0\]"),
        ({"ipv4": {"cidrs": ["10.0.0.0/16"]}}, "spec.ipv4.maskSize"),
        ({"ipv4": {"cidrs": ["10.0.0.0/16"], "maskSize": 8}}, "spec.ipv4.maskSize"),
    ],
)
def test_pools_name_the_field_that_is_wrong(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidField, match=f"^{path}: "):
        read_pool({"spec": spec})


def test_live_nodes_and_what_is_wrong_with_them() -> None:
    def node(name: str, *cidrs: str, error: str = "", **ipam: Any) -> dict[str, Any]:
        spec = {"ipam": {"podCIDRs": list(cidrs), **ipam}}
        status = {"ipam": {"operator-status": {"error": error}}}
        return {"kind": "CiliumNode", "metadata": {"name": name}, "spec": spec, "status": status}

    pools = {"requested": [{"pool": "p", "needed": {"ipv4-addrs": 8, "ipv6-addrs": 8}}]}
    pools["allocated"] = [{"pool": "p", "cidrs": ["10.9.0.0/27"]}]
    operator = ClusterPool(["10.0.0.0/16", "fd00::/104"], HELM)
    rows = [
        node("a", "10.0.0.0/24", "fd00::/120"),
        node("b", "10.0.1.0/24", error="no CIDR left", pools=pools),
        node("c", "10.7.0.0/24", "fd00::100/120", "what"),
        {"kind": "Pod"},
    ]
    cilium, names, findings = read_cilium(rows, operator=operator)
    assert names == ["a", "b", "c"]
    assert [finding[1] for finding in findings] == [
        "cilium-demand-not-met",
        "cilium-invalid-cidr",
        "cilium-node-lacks-family",
        "cilium-operator-error",
        "cilium-cidr-outside-pool",
    ]
    assert cilium.place([0, 1]).reason.tolist() == [Reason.OK, Reason.CIDR_NOT_AVAILABLE]
    cilium.add_nodes(1)
    assert operator.sets[V4][0].has(2)
    with pytest.raises(InvalidInput, match="multi-pool"):
        read_cilium([node("a")])


def test_watermarks() -> None:
    needed, excess = watermark_needed([4, 0, 30], [4, 0, 2], min_allocate=10, max_allocate=14, max_above_watermark=2)
    assert needed.tolist() == [8, 10, 0]
    assert excess.tolist() == [0, 0, 18]


def test_the_agents_own_addresses_give_way_to_those_of_pods() -> None:
    cilium = Cilium([V4])
    cilium.add_ranges({V4: (np.array([0x0A000000, 0x0A000100], np.uint32), np.array([29, 29], np.uint8))})
    assert cilium.usage()[0].usable == 2 * (6 - 2)
    column = np.arange(0x0A000001, 0x0A000005, dtype=np.uint32)
    assert cilium.occupy([0] * 4, {V4: column}).all()
    line = cilium.usage()[0]
    assert (line.used, line.usable, line.free) == (4, 8, 4)
    assert cilium.occupy([0], {V4: np.array([0x0A000005], np.uint32)}).all()
    assert cilium.usage()[0].usable == 9  # only one is left for the agent itself
    assert cilium.place([0, 1]).ok.tolist() == [False, True]
    cilium.remove_nodes([0])
    assert (cilium.usage()[0].used, cilium.usage()[0].usable) == (1, 4)
