from __future__ import annotations

from typing import Any

import pytest

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.whereabouts import Whereabouts, WhereaboutsSlices, read_ranges, read_whereabouts
from dsmodel.errors import InvalidField, InvalidInput, Reason

V4, V6 = IPFamily.IPV4, IPFamily.IPV6


def plugin(*texts: str, **fields: Any) -> Whereabouts:
    return Whereabouts(read_ranges({"ipRanges": [{"range": text, **fields} for text in texts]}))


def hosts(model: Whereabouts, n: int, family: IPFamily = V4) -> list[int]:
    placed = model.place([0] * n)
    base = next(each.cidr.first for each in model.ranges if each.cidr.family is family)
    return [number - base for number in to_integers(placed.addresses[family][placed.ok])]


def test_golden_13_neither_the_first_nor_the_last_address() -> None:
    assert hosts(plugin("10.0.0.0/30"), 3) == [1, 2]
    assert hosts(plugin("fd00::/126"), 3, V6) == [1, 2]


def test_the_lowest_free_address_comes_next() -> None:
    model = plugin("10.0.0.0/28")
    placed = model.place([0] * 5)
    model.release([0, 0], {V4: placed.addresses[V4][[3, 1]]})
    assert hosts(model, 3) == [2, 4, 6]


def test_start_end_and_exclusions() -> None:
    fields = {
        "range_start": "10.0.0.4",
        "range_end": "10.0.0.12",
        "exclude": ["10.0.0.6/31", "10.0.0.9", "10.0.0.12/30"],
    }
    assert hosts(plugin("10.0.0.0/28", **fields), 20) == [4, 5, 8, 10, 11]
    outside = {"range_start": "10.9.0.4", "range_end": "10.0.0.0"}
    assert hosts(plugin("10.0.0.0/29", **outside), 20) == [1, 2, 3, 4, 5, 6]
    assert hosts(plugin("10.0.0.3-10.0.0.5/29"), 20) == [3, 4, 5]
    assert hosts(plugin("10.0.0.0/29", exclude=["10.0.0.0/29"]), 1) == []


def test_a_full_second_range_leaves_the_first_ones_address_behind() -> None:
    model = plugin("10.0.0.0/29", "fd00::/126")
    assert model.place([0] * 4).reason.tolist() == [0, 0, Reason.POOL_FULL, Reason.POOL_FULL]
    assert model.leaked == 2
    assert [use.used for use in model.usage()] == [4, 2]
    assert model.place([0] * 9).placed == 0
    assert model.leaked == 4


def test_a_pod_that_comes_again_keeps_its_address() -> None:
    model = plugin("10.0.0.0/29", "fd00::/126")
    assert model.place_pod("a/db-0") == ("10.0.0.1", "fd00::1")
    model.place_pod("a/db-1")
    assert model.place_pod("a/db-2") == ("10.0.0.3",)
    assert model.place_pod("a/db-2") == ("10.0.0.3",)
    assert model.release_pod("a/db-2") == 1
    assert model.release_pod("a/db-2") == 0
    assert model.release_pod("a/db-0") == 2
    assert model.place_pod("a/db-3") == ("10.0.0.1", "fd00::1")


def test_wide_ranges_reach_as_far_as_signed_offsets() -> None:
    model = plugin("fd00::/48")
    assert model.usage()[0].usable == (1 << 63) - 1
    assert hosts(model, 2, V6) == [1, 2]


def test_copies_part() -> None:
    model = plugin("10.0.0.0/29")
    twin = model.copy()
    twin.place_pod("a/b")
    assert model.place_pod("c/d") == ("10.0.0.1",)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"range": "10.0.0.0/31"}, "range"),
        ({"range": "what"}, "range"),
        ({"ipRanges": [{"range": "10.0.0.0/24", "exclude": ["x"]}]}, r"ipRanges\[0\].range"),
        ({"range": "10.0.0.0/24", "range_start": "x"}, "range_start"),
    ],
)
def test_configurations_name_the_field_that_is_wrong(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidField, match=f"^{path}: "):
        read_ranges(fields)


def test_two_ranges_are_of_different_families() -> None:
    with pytest.raises(InvalidInput, match="different families"):
        plugin("10.0.0.0/24", "10.0.1.0/24")
    with pytest.raises(InvalidInput, match="different families"):
        Whereabouts([])


def test_slices_are_taken_in_order_and_given_back() -> None:
    model = WhereaboutsSlices(Cidr("10.0.0.0/26"), 28)
    assert model.add_nodes(4).all()
    placed = model.place([1, 1, 2])
    assert [n - 0x0A000000 for n in to_integers(placed.addresses[V4])] == [17, 18, 33]
    model.release([1], {V4: placed.addresses[V4][:1]})
    assert [n - 0x0A000000 for n in to_integers(model.place([1]).addresses[V4])] == [17]
    twin = model.copy()
    twin.remove_nodes([1])
    assert twin.add_nodes(2).tolist() == [True, False]
    assert [n - 0x0A000000 for n in to_integers(twin.place([3]).addresses[V4])] == [17]
    assert model.nodes == 4


def test_slices_are_ipv4_only() -> None:
    with pytest.raises(InvalidField, match="IPv4 only"):
        WhereaboutsSlices(Cidr("fd00::/64"), 80)
    with pytest.raises(InvalidField, match="node_slice_size"):
        WhereaboutsSlices(Cidr("10.0.0.0/24"), 31)


def test_live_ranges_and_what_is_wrong_with_them() -> None:
    def pool(text: str, allocations: dict[str, Any]) -> dict[str, Any]:
        return {"kind": "IPPool", "metadata": {"name": text}, "spec": {"range": text, "allocations": allocations}}

    held = {"id": "c", "podref": "a/b", "ifname": "net1"}
    rows = [
        pool("10.0.0.0/29", {"1": held, "3": held, "0": {"podref": "x/y"}, "9": held, "z": held}),
        pool("what", {}),
        {"kind": "Pod"},
    ]
    models, findings = read_whereabouts([{"kind": "List", "items": rows}])
    assert [finding[1] for finding in findings] == [
        "whereabouts-invalid-offset",
        "whereabouts-invalid-offset",
        "whereabouts-invalid-range",
        "whereabouts-address-outside",
        "whereabouts-two-addresses",
    ]
    assert models["10.0.0.0/29"].usage()[0].used == 2
    assert hosts(models["10.0.0.0/29"], 2) == [2, 4]
