from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from calico_oracle import SlowCalico
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily, format_address
from dsmodel.cni.calico import Calico, IPAMConfig, IPPool
from dsmodel.errors import InvalidField, InvalidInput, Reason

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
WIDE = IPPool("v6", Cidr("fd00:10::/48"), 122)


def pool(name: str, cidr: str, block_size: int, **fields: Any) -> IPPool:
    return IPPool(name, Cidr(cidr), block_size, **fields)


def calico(*pools: IPPool, nodes: str = "ab", **options: Any) -> Calico:
    plugin = Calico(pools, **options)
    plugin.add_nodes(list(nodes))
    return plugin


def texts(column: np.ndarray, ok: np.ndarray, family: IPFamily = V4) -> list[str | None]:
    numbers = to_integers(column)
    return [format_address(family, n) if fine else None for n, fine in zip(numbers, ok.tolist(), strict=True)]


def got(plugin: Calico, nodes: list[int], **options: Any) -> list[str | None]:
    placed = plugin.place(nodes, **options)
    return texts(placed.addresses[V4], placed.ok)


@st.composite
def situations(draw: st.DrawFn) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """A small cluster, tight enough to claim, borrow, reclaim and fail, and what happens in it."""
    length = draw(st.sampled_from([27, 28, 29]))
    pools = [pool("b", f"10.0.1.0/{length}", draw(st.sampled_from([29, 30, 31])), node_selector="zone == 'x'")]
    pools.append(pool("a", "10.0.0.0/28", 30, node_selector=draw(st.sampled_from(["all()", "!has(zone)"]))))
    if draw(st.booleans()):
        pools.append(pool("six", "fd00::/123", draw(st.sampled_from([125, 126, 127]))))
    strict = draw(st.booleans())
    config = IPAMConfig(strict, True, draw(st.sampled_from([0, 1, 2])), draw(st.sampled_from([0, 0, 30])))
    reservations = draw(st.sampled_from([[], [Cidr("10.0.0.0/31"), Cidr("10.0.0.8/30"), Cidr("fd00::6/128")]]))
    nodes = draw(st.integers(1, 5))
    labels = [draw(st.sampled_from([{}, {"zone": "x"}])) for _ in range(nodes)]
    windows = [strict and draw(st.integers(0, 3)) == 0 for _ in range(nodes)]
    place = st.tuples(st.just("place"), st.lists(st.integers(0, nodes - 1), max_size=25), st.integers(0, 50))
    release = st.tuples(st.just("release"), st.lists(st.integers(0, 40), max_size=10), st.integers(0, 50))
    steps = draw(st.lists(st.one_of(place, release), min_size=1, max_size=6))
    options = {"pools": pools, "config": config, "reservations": reservations, "labels": labels, "windows": windows}
    return options, steps


@given(situations())
def test_any_batch_equals_the_slow_way(situation: tuple[dict[str, Any], list[tuple[Any, ...]]]) -> None:
    options, steps = situation
    labels, windows = options.pop("labels"), options.pop("windows")
    plugin = Calico(**options)
    names = [f"node-{i}" for i in range(len(labels))]
    plugin.add_nodes(names, labels=labels, windows=windows)
    slow = SlowCalico(**options, names=names, labels=labels, windows=windows, start=plugin.start)
    pods: list[dict[IPFamily, int]] = []
    now = 0.0
    for verb, rows, later in steps:
        now += later
        if verb == "place":
            placed = plugin.place(rows, now=now)
            expected = [slow.add(node, now) for node in rows]
            assert placed.reason.tolist() == [int(e) if isinstance(e, Reason) else 0 for e in expected]
            for family in plugin.ip_families:
                numbers = to_integers(placed.addresses[family])
                assert [n for n, ok in zip(numbers, placed.ok, strict=True) if ok] == [
                    e[family] for e in expected if not isinstance(e, Reason)
                ]
            pods += [e for e in expected if not isinstance(e, Reason)]
        else:
            gone = [pods.pop(i) for i in rows if i < len(pods)]
            columns = {
                family: np.array([pod[family] for pod in gone], np.uint32)
                if family is V4
                else np.array([(pod[family] >> 64, pod[family] & (1 << 64) - 1) for pod in gone], "u8,u8").view(
                    [("hi", "u8"), ("lo", "u8")]
                )
                for family in plugin.ip_families
            }
            plugin.release([0] * len(gone), columns, now=now)
            for pod in gone:
                slow.remove(pod, now)
        assert {f: plugin.blocks(f)["used"] for f in plugin.tables} == {f: slow.used(f) for f in plugin.tables}
        assert {f: plugin.blocks(f)["node"] for f in plugin.tables} == {f: slow.owners(f) for f in plugin.tables}


def test_golden_4_borrowing_starts_when_no_block_is_left() -> None:
    loose = calico(pool("p", "10.0.0.0/25", 26))
    assert loose.place([0, 1]).placed == 2
    assert loose.place([0] * 64).placed == 64
    assert loose.blocks(V4)["borrowed"] in ([0, 1], [1, 0])
    strict = calico(pool("p", "10.0.0.0/25", 26), config=IPAMConfig(strict_affinity=True))
    strict.place([0, 1])
    assert strict.place([0] * 64).placed == 63


@pytest.mark.parametrize("strict", [True, False])
def test_golden_5_at_the_limit_nothing_is_borrowed(strict: bool) -> None:  # noqa: FBT001 - a parameter of the case
    plugin = calico(pool("p", "10.0.0.0/28", 30), config=IPAMConfig(strict, True, 2))
    placed = plugin.place([0] * 9)
    assert placed.placed == 8
    assert placed.reason[-1] == Reason.CIDR_NOT_AVAILABLE
    assert plugin.usage()[0].free == 8


def test_golden_6_a_block_is_a_queue() -> None:
    plugin = calico(pool("p", "10.0.0.0/30", 30))
    seen = []
    for _ in range(5):
        placed = plugin.place([0])
        seen += texts(placed.addresses[V4], placed.ok)
        plugin.release([0], placed.addresses)
    assert seen == ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.0"]


@pytest.mark.parametrize(("block_size", "usable"), [(26, 60), (29, 4), (30, 0), (31, 0), (32, 0)])
def test_golden_7_what_windows_leaves(block_size: int, usable: int) -> None:
    plugin = Calico([pool("p", "10.0.0.0/24", block_size)], config=IPAMConfig(True, True, 1))
    plugin.add_nodes(["w"], windows=[True])
    placed = plugin.place([0] * 64)
    assert placed.placed == usable
    assert placed.reason[-1] == (Reason.CIDR_NOT_AVAILABLE if usable else Reason.FAMILY_NOT_CONFIGURED)


def test_windows_keeps_three_first_and_the_last() -> None:
    plugin = Calico([pool("p", "10.0.0.0/28", 28)], config=IPAMConfig(True))
    plugin.add_nodes(["w"], windows=[True])
    addresses = got(plugin, [0] * 12)
    assert addresses[0] == "10.0.0.3"
    assert addresses[-1] == "10.0.0.14"


def test_windows_needs_strict_affinity() -> None:
    with pytest.raises(InvalidField, match="strictAffinity"):
        calico(pool("p", "10.0.0.0/24", 26)).add_nodes(["w"], windows=[True])


def test_both_families_or_none_and_the_queue_moves_on() -> None:
    plugin = calico(pool("four", "10.0.0.0/26", 26), pool("six", "fd00::/128", 128), nodes="a")
    assert plugin.place([0, 0, 0]).ok.tolist() == [True, False, False]
    assert [use.used for use in plugin.usage()[:2]] == [1, 1]
    freed = plugin.place([0]).reason
    assert freed.tolist() == [Reason.POOL_FULL]
    plugin.release([0], {V6: np.array([(0xFD00 << 48, 0)], [("hi", "u8"), ("lo", "u8")])})
    # three failed pods each took the head of the IPv4 queue to its tail
    assert got(plugin, [0]) == ["10.0.0.4"]


def test_a_second_family_without_pools_is_an_error() -> None:
    plugin = Calico([pool("four", "10.0.0.0/26", 26)], ip_families=[V4, V6])
    plugin.add_nodes(["a"])
    assert plugin.place([0]).reason.tolist() == [Reason.FAMILY_NOT_CONFIGURED]
    assert plugin.usage()[0].used == 0


def test_pools_are_used_up_by_name() -> None:
    plugin = calico(pool("b", "10.0.2.0/31", 31), pool("a", "10.0.1.0/31", 31), nodes="a")
    assert got(plugin, [0] * 4) == ["10.0.1.0", "10.0.1.1", "10.0.2.0", "10.0.2.1"]


def test_named_pools_ignore_selectors_and_manual_mode() -> None:
    plugin = calico(pool("m", "10.0.0.0/31", 31, assignment_mode="Manual", node_selector="has(never)"), nodes="a")
    assert plugin.place([0]).reason.tolist() == [Reason.FAMILY_NOT_CONFIGURED]
    assert got(plugin, [0], pools=["m"]) == ["10.0.0.0"]


def test_disabled_pools_and_other_uses_give_nothing() -> None:
    off = pool("off", "10.0.0.0/26", 26, disabled=True)
    lb = pool("lb", "10.0.1.0/26", 26, allowed_uses=("LoadBalancer",))
    plugin = calico(off, lb, nodes="a")
    assert plugin.place([0]).reason.tolist() == [Reason.FAMILY_NOT_CONFIGURED]


def test_own_blocks_are_used_in_the_order_of_their_names() -> None:
    plugin = calico(pool("p", "10.0.0.0/24", 26), nodes="a")
    placed = plugin.place([0] * 256)
    assert placed.placed == 256
    back = {V4: np.array([0x0A000000 + n for n in (7, 70, 130, 200)], np.uint32)}
    plugin.release([0] * 4, back)
    # as text 10-0-0-0 < 10-0-0-128 < 10-0-0-192 < 10-0-0-64
    assert got(plugin, [0] * 4) == ["10.0.0.7", "10.0.0.130", "10.0.0.200", "10.0.0.70"]


def test_reclaiming_waits_a_minute() -> None:
    plugin = calico(pool("p", "10.0.0.0/30", 30), config=IPAMConfig(True))
    plugin.release([0], plugin.place([0], now=0).addresses, now=10)
    assert plugin.place([1], now=59).placed == 0
    assert plugin.place([1], now=60).placed == 1
    assert plugin.blocks(V4)["node"] == ["b"]


def test_cooling_addresses_rest_and_keep_their_block() -> None:
    plugin = calico(pool("p", "10.0.0.0/31", 31), config=IPAMConfig(ip_cooldown_seconds=30), nodes="a")
    plugin.release([0, 0], plugin.place([0, 0], now=0).addresses, now=1)
    assert plugin.usage()[0].cooling == 2
    assert plugin.place([0], now=30).placed == 0
    assert plugin.collect(30, grace_seconds=0) == 0
    assert plugin.place([0, 0], now=31).placed == 2


def test_a_removed_node_leaves_a_block_that_can_only_be_borrowed_from() -> None:
    loose = calico(pool("p", "10.0.0.0/30", 30))
    kept = loose.place([0])
    loose.remove_nodes([0])
    assert loose.blocks(V4)["node"] == [None]
    assert loose.place([0]).placed == 1
    loose.release([0], kept.addresses)
    assert loose.blocks(V4)["used"] == [1]
    strict = calico(pool("p", "10.0.0.0/30", 30), config=IPAMConfig(True))
    strict.place([0])
    strict.remove_nodes([0])
    assert strict.place([0]).reason.tolist() == [Reason.POOL_FULL]


def test_collecting_leaves_every_node_its_last_block() -> None:
    plugin = calico(pool("p", "10.0.0.0/26", 28))
    plugin.release([0] * 40, plugin.place([0] * 40, now=0).addresses, now=1)
    plugin.place([1], now=2)
    assert plugin.collect(800) == 0
    assert plugin.collect(901) == 2
    assert sorted(plugin.blocks(V4)["node"]) == ["a", "b"]


def test_a_block_of_one_address_starts_anywhere() -> None:
    plugin = calico(pool("p", "10.0.0.0/24", 32), nodes="a", config=IPAMConfig(True, True, 300))
    assert len(set(got(plugin, [0] * 256))) == 256


def test_one_block_may_be_shared_out_at_100_percent() -> None:
    plugin = calico(pool("p", "10.0.0.0/20", 26), WIDE, nodes="abcdefgh")
    placed = plugin.place(np.tile(np.arange(8), 600))
    # 64 blocks for eight nodes, twenty each at most; what a node lacks it borrows until nothing is left
    assert placed.placed == 4096
    assert len(set(to_integers(placed.addresses[V4][placed.ok]))) == 4096
    assert plugin.usage()[0].free == 0


def test_a_copy_is_independent() -> None:
    plugin = calico(pool("p", "10.0.0.0/24", 26), WIDE)
    twin = plugin.copy()
    twin.place([0, 1, 1])
    assert [use.used for use in plugin.usage()[:2]] == [0, 0]
    assert texts(plugin.place([0]).addresses[V4], np.array([True])) == [
        format_address(V4, plugin.blocks(V4)["cidr"][0].first)
    ]


def test_no_pool_at_all_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one pool"):
        Calico([])
    with pytest.raises(InvalidInput, match="nodes 2 to 2"):
        calico(WIDE).place([2])


def test_usable_is_without_reservations_in_blocks_that_exist_and_in_others() -> None:
    plugin = Calico([pool("p", "10.0.0.0/24", 26)], reservations=[Cidr("10.0.0.0/28"), Cidr("10.0.0.128/26")])
    plugin.add_nodes(["a"])
    line = plugin.usage()[0]
    assert (line.usable, line.reserved, line.free) == (176, 80, 176)
    placed = plugin.place([0] * 250)
    assert placed.placed == 176
    line = plugin.usage()[0]
    assert (line.usable, line.used, line.reserved, line.free) == (176, 176, 80, 0)


def test_a_disabled_pool_has_nothing_to_give() -> None:
    off = pool("p", "10.0.0.0/24", 26, disabled=True)
    plugin = Calico([off, pool("q", "10.1.0.0/24", 26)])
    plugin.add_nodes(["a"])
    plugin.place([0])
    assert [(line.pool, line.usable, line.used, line.reserved) for line in plugin.usage()[:2]] == [
        ("p", 0, 0, 256),
        ("q", 256, 1, 0),
    ]
