from __future__ import annotations

from typing import Any

import pytest

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cni.antrea import Antrea, AntreaIPPool, read_pool
from dsmodel.cni.node_ranges import pod_cidr_columns
from dsmodel.errors import InvalidField

V4, V6 = IPFamily.IPV4, IPFamily.IPV6


def pool(*ranges: dict[str, Any], gateway: str = "", length: int = 24) -> AntreaIPPool:
    info = {"gateway": gateway, "prefixLength": length} if gateway else {}
    return read_pool({"metadata": {"name": "p"}, "spec": {"ipRanges": list(ranges), "subnetInfo": info}})


def hosts(model: AntreaIPPool, n: int) -> list[int]:
    placed = model.place([0] * n)
    return [number & 255 for number in to_integers(placed.addresses[V4][placed.ok])]


@pytest.mark.parametrize(
    ("entry", "gateway", "length", "expected"),
    [
        ({"cidr": "10.2.0.0/29"}, "10.2.0.1", 29, [2, 3, 4, 5, 6]),
        ({"cidr": "10.2.0.0/29"}, "10.2.0.1", 24, [2, 3, 4, 5, 6, 7]),
        ({"cidr": "10.2.0.8/29"}, "10.2.0.1", 24, [9, 10, 11, 12, 13, 14, 15]),
        ({"start": "10.2.0.0", "end": "10.2.0.3"}, "10.2.0.2", 24, [0, 1, 3]),
    ],
)
def test_what_ranges_hand_out(entry: dict[str, str], gateway: str, length: int, expected: list[int]) -> None:
    assert hosts(pool(entry, gateway=gateway, length=length), 20) == expected


def test_ranges_are_used_in_order_and_the_lowest_first() -> None:
    model = pool({"start": "10.2.0.20", "end": "10.2.0.21"}, {"start": "10.2.0.10", "end": "10.2.0.12"})
    placed = model.place([0] * 4)
    assert [n & 255 for n in to_integers(placed.addresses[V4])] == [20, 21, 10, 11]
    model.release([0], {V4: placed.addresses[V4][1:2]})
    assert hosts(model, 9) == [21, 12]


def test_a_stateful_set_gets_a_run_and_keeps_it() -> None:
    model = pool({"start": "10.2.0.1", "end": "10.2.0.9"})
    placed = model.place([0] * 3)
    model.release([0], {V4: placed.addresses[V4][1:2]})
    run = model.place_stateful_set("a/db", 3)
    assert [n & 255 for n in run.tolist()] == [4, 5, 6]
    model.release([0] * 3, {V4: run})
    assert model.place_stateful_set("a/db", 3).tolist() == run.tolist()
    assert hosts(model.copy(), 9) == [2, 7, 8, 9]
    assert model.place_stateful_set("a/web", 4).tolist() == []


def test_wide_ranges_are_cut() -> None:
    assert pool({"cidr": "10.0.0.0/8"}).usage()[0].usable == (1 << 16) - 1


def test_status_is_read_and_judged() -> None:
    status = {"ipAddresses": [{"ipAddress": "10.2.0.1"}, {"ipAddress": "10.2.0.2"}]}
    model = read_pool({"spec": {"ipRanges": [{"start": "10.2.0.1", "end": "10.2.0.4"}]}, "status": status})
    assert hosts(model, 1) == [3]
    assert [f[1] for f in model.occupy(["what", "10.9.0.1", "fd00::1", "10.2.0.4"])] == [
        "antrea-invalid-address",
        "antrea-address-outside",
        "antrea-address-outside",
    ]


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({"cidr": "what"}, "cidr"),
        ({"cidr": "fd00::/64"}, "cidr"),
        ({"start": "fd00::1", "end": "fd00::2"}, "start"),
        ({"start": "10.0.0.1"}, "end"),
        ({"cidr": "10.0.0.0/24", "gateway": "x"}, "gateway"),
        ({"start": "10.0.0.2", "end": "10.0.0.1"}, ""),
    ],
)
def test_ranges_name_the_field_that_is_wrong(entry: dict[str, str], path: str) -> None:
    with pytest.raises(InvalidField, match=rf"^spec.ipRanges\[0\]\.?{path}: "):
        pool(entry)


def test_the_default_is_host_local_and_both_or_nothing() -> None:
    antrea = Antrea([V4, V6])
    antrea.add_ranges(pod_cidr_columns([["10.10.0.0/24", "fd00::/126"]]))
    placed = antrea.place([0] * 3)
    assert placed.placed == 2
    assert to_integers(placed.addresses[V4])[:2] == [0x0A0A0002, 0x0A0A0003]
