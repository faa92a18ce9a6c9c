from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.arrays import from_integers, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.contract import Certainty, Provenance
from dsmodel.cni.node_ranges import HOST_LOCAL, RangeRule, draws, pod_cidr_columns
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.errors import InvalidInput, Reason

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
SOURCE = Provenance("test", Certainty.FROM_DOCS, "1", ())
CILIUM = {V4: RangeRule(1, 1, whole=2), V6: RangeRule(1, 1, cap=16, whole=2)}


class SlowPlugin:
    """One range a node and family, one request after the other."""

    def __init__(self, pod_cidrs: list[list[str]], rules: dict[IPFamily, RangeRule], order: list[IPFamily], pick: str):
        self.cidrs = [{Cidr(text).family: Cidr(text) for text in texts} for texts in pod_cidrs]
        self.rules, self.order, self.pick = rules, order, pick
        self.used: set[tuple[IPFamily, int]] = set()
        self.cursor: dict[tuple[int, IPFamily], int] = {}
        self.drawn: dict[tuple[int, IPFamily], int] = {}

    def pool(self, cidr: Cidr) -> list[int]:
        rule = self.rules[cidr.family]
        if cidr.prefix_length > rule.longest:
            return []
        if cidr.size <= rule.whole:
            return list(range(cidr.size))
        width = min(cidr.size, rule.cap)
        return [o for o in range(rule.first, width - rule.last) if o not in rule.ordinals]

    def take(self, node: int, family: IPFamily) -> int | None:
        cidr, key = self.cidrs[node][family], (node, family)
        pool = self.pool(cidr)
        free = [o for o in pool if (family, cidr.first + o) not in self.used]
        if not free:
            return None
        if self.pick != "scan":
            start = self.cursor.get(key, 0) if self.pick == "next" else 0
        else:
            count = self.drawn.get(key, 0)
            start = pool[0] + int(draws(np.array([node]), np.array([count], np.uint64))[0]) % len(pool)
            self.drawn[key] = count + 1
        ordinal = next((o for o in free if o >= start), free[0])
        self.cursor[key] = ordinal + 1
        self.used.add((family, cidr.first + ordinal))
        return cidr.first + ordinal

    def add(self, node: int) -> dict[IPFamily, int] | None:
        if set(self.cidrs[node]) != set(self.order):
            return None
        got: dict[IPFamily, int] = {}
        for family in self.order:
            address = self.take(node, family)
            if address is None:
                self.used -= set(got.items())
                return None
            got[family] = address
        return got


@given(
    st.sampled_from([HOST_LOCAL, CILIUM]),
    st.permutations([V4, V6]),
    st.sampled_from(["next", "scan", "lowest"]),
    st.lists(
        st.tuples(
            st.sampled_from(["10.0.0.0/29", "10.0.0.8/30", "10.0.0.32/27", "10.0.0.16/31", ""]),
            st.sampled_from(["fd00::/126", "fd00::8/125", "fd00::20/123", "fd00::40/127"]),
        ),
        min_size=1,
        max_size=3,
        unique_by=(lambda pair: pair[0], lambda pair: pair[1]),
    ),
    st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 60), max_size=30)), max_size=5),
)
def test_any_batch_equals_the_slow_way(
    rules: dict[IPFamily, RangeRule],
    order: list[IPFamily],
    pick: Any,
    ranges: list[tuple[str, str]],
    steps: list[tuple[bool, list[int]]],
) -> None:
    pod_cidrs = [[text for text in pair if text] for pair in ranges]
    plugin = RangePlugin(SOURCE, rules, order=order, pick=pick)
    plugin.add_ranges(pod_cidr_columns(pod_cidrs))
    slow = SlowPlugin(pod_cidrs, rules, order, pick)
    pods: list[tuple[int, dict[IPFamily, int]]] = []
    for adds, numbers in steps:
        if adds:
            nodes = [number % len(pod_cidrs) for number in numbers]
            placed = plugin.place(nodes)
            expected = [slow.add(node) for node in nodes]
            assert placed.ok.tolist() == [each is not None for each in expected]
            for family in (V4, V6):
                got = [n for n, ok in zip(to_integers(placed.addresses[family]), placed.ok, strict=True) if ok]
                assert got == [each[family] for each in expected if each]
            pods += [(node, each) for node, each in zip(nodes, expected, strict=True) if each]
        else:
            gone = [pods.pop(i) for i in numbers if i < len(pods)]
            nodes = [node for node, _ in gone]
            plugin.release(nodes, columns([pod for _, pod in gone]))
            for _, pod in gone:
                slow.used -= set(pod.items())
        for use in plugin.usage():
            assert use.used == sum(family is use.ip_family for family, _ in slow.used)


def columns(pods: list[dict[IPFamily, int]]) -> dict[IPFamily, np.ndarray]:
    return {family: from_integers([pod[family] for pod in pods], family=family) for family in IPFamily}


def test_nodes_without_a_range_say_so() -> None:
    plugin = RangePlugin(SOURCE, HOST_LOCAL)
    plugin.add_ranges(pod_cidr_columns([["10.0.0.0/24"], ["10.0.1.0/24", "fd00::/64"]]))
    assert plugin.place([0, 1]).reason.tolist() == [Reason.CIDR_NOT_AVAILABLE, Reason.OK]


def test_what_a_dump_shows_is_occupied() -> None:
    plugin = RangePlugin(SOURCE, {V4: HOST_LOCAL[V4]})
    plugin.add_ranges(pod_cidr_columns([["10.0.0.0/24"]]))
    pods = np.array([0x0A000002, 0x0A000102], np.uint32)
    assert plugin.occupy([0, 0], {V4: pods}).tolist() == [True, False]
    assert to_integers(plugin.place([0]).addresses[V4]) == [0x0A000003]


def test_nodes_leave_and_copies_part() -> None:
    plugin = RangePlugin(SOURCE, HOST_LOCAL)
    plugin.add_ranges(pod_cidr_columns([[f"10.0.{n}.0/24", f"fd00:0:0:{n}::/64"] for n in range(3)]))
    plugin.place([0, 1, 2, 2])
    twin = plugin.copy()
    twin.remove_nodes([1])
    assert (twin.nodes, plugin.nodes) == (2, 3)
    assert [use.used for use in twin.usage()] == [3, 3]
    assert [use.used for use in plugin.usage()] == [4, 4]
    assert to_integers(twin.place([1]).addresses[V4]) == [0x0A000204]


def test_families_are_named_once() -> None:
    with pytest.raises(InvalidInput, match="name each once"):
        RangePlugin(SOURCE, HOST_LOCAL, order=[V4])
    with pytest.raises(InvalidInput, match="one row a node"):
        RangePlugin(SOURCE, HOST_LOCAL).add_ranges({V4: (np.zeros(2, np.uint32), np.zeros(1, np.uint8))})
