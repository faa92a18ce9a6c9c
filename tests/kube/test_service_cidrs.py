"""Cluster IPs: bands, ends of ranges, limits of sizes, several ServiceCIDRs."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import AlreadyAllocated, InvalidConfig, NotInRange, PoolFull, Rejected
from dsmodel.kube import ControlPlane, KubeVersion
from dsmodel.kube.behaviour import behaviour_of
from dsmodel.kube.service_cidrs import (
    ServiceAddresses,
    address_band_offset,
    flag_ranges,
    service_cidr_change_errors,
    service_cidr_errors,
)

IP4, IP6 = IPFamily.IPV4, IPFamily.IPV6
V136, V120 = behaviour_of(KubeVersion("1.36")), behaviour_of(KubeVersion("1.20"))


@pytest.mark.parametrize(
    ("size", "offset"),
    [(8, 0), (16, 0), (17, 16), (256, 16), (272, 17), (512, 32), (4096, 256), (1 << 16, 256), (1 << 64, 256)],
)
def test_the_static_band(size: int, offset: int) -> None:
    assert address_band_offset(size) == offset


@settings(max_examples=40, deadline=None)
@given(
    prefix=st.integers(22, 29),
    place=st.integers(0, 3),
    family=st.sampled_from([IP4, IP6]),
    behaviour=st.sampled_from([V120, V136]),
)
def test_every_address_but_the_ends_is_served_once(prefix: int, place: int, family: IPFamily, behaviour: Any) -> None:
    size = 1 << (32 - prefix)
    start = Cidr("10.96.0.0/16" if family == IP4 else "fd00:10:96::/112").first + place * size
    cidr = Cidr.from_parts(family, start, prefix if family == IP4 else prefix + 96)
    addresses = ServiceAddresses([cidr], behaviour)
    usable = size - 1 - (family == IP4)
    taken = [addresses.allocate_next(family, owner=f"default/{number}") for number in range(usable)]
    with pytest.raises(PoolFull, match="range is full"):
        addresses.allocate_next(family, owner="default/last")
    assert len(set(taken)) == usable
    assert {cidr.first, cidr.last} & set(taken) == ({cidr.last} if family == IP6 else set())
    addresses.release(family, taken[0])
    assert addresses.allocate_next(family, owner="default/again") == taken[0]


def test_static_addresses() -> None:
    addresses = ServiceAddresses([Cidr("10.96.0.0/28")], V136)
    first = Cidr("10.96.0.0/28").first
    addresses.allocate(IP4, (IP4, first + 3), owner="a")
    with pytest.raises(AlreadyAllocated, match="provided IP is already allocated"):
        addresses.allocate(IP4, (IP4, first + 3), owner="b")
    for offset in (0, 15, 16):
        with pytest.raises(NotInRange, match=r".+"):
            addresses.allocate(IP4, (IP4, first + offset), owner="b")
    addresses.release(IP4, first + 3)
    addresses.allocate(IP4, (IP4, first + 3), owner="b")


@pytest.mark.parametrize(
    ("ranges", "version", "words"),
    [
        (["10.96.0.0/11"], "1.20", "too large"),
        (["10.96.0.0/30"], "1.36", "at least 8"),
        (["fd00::/107"], "1.26", "too large"),
        (["10.96.0.0/16", "fd00::/112", "10.97.0.0/16"], "1.36", "more than two"),
        (["10.96.0.0/16", "10.97.0.0/16"], "1.36", "different IP family"),
        (["10.96.0.0/16", "fd00::/112"], "1.20", "IPv6DualStack is off"),
    ],
)
def test_ranges_the_server_does_not_start_with(ranges: list[str], version: str, words: str) -> None:
    with pytest.raises(InvalidConfig, match=words):
        flag_ranges(ranges, behaviour_of(KubeVersion(version)))


def test_ranges_it_does_start_with() -> None:
    assert flag_ranges([], V136) == (Cidr("10.0.0.0/24"),)
    assert flag_ranges(["10.96.3.4/16", "fd00::/64"], V136) == (Cidr("10.96.0.0/16"), Cidr("fd00::/64"))


@pytest.mark.parametrize(
    ("cidrs", "paths"),
    [
        (None, ["spec.cidrs"]),
        ([], ["spec.cidrs"]),
        (["10.97.0.0/24"], []),
        (["10.97.0.0/24", "fd00::/64"], []),
        (["10.97.0.5/24"], ["spec.cidrs[0]"]),
        (["x", "fd00::/64"], ["spec.cidrs[0]"]),
    ],
)
def test_service_cidr_objects(cidrs: list[str] | None, paths: list[str]) -> None:
    assert [error.path for error in service_cidr_errors(cidrs)] == paths


def test_a_service_cidr_may_gain_a_second_family_and_nothing_else() -> None:
    old = ["10.97.0.0/28"]
    assert service_cidr_change_errors(["10.97.0.0/28", "fd00::/124"], old) == []
    for new in (["10.98.0.0/28"], ["fd00::/124", "10.97.0.0/28"], []):
        assert service_cidr_change_errors(new, old)


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


def fill(server: ControlPlane, prefix: str, **spec: Any) -> int:
    for number in itertools.count():
        try:
            server.create(service(f"{prefix}-{number}", **spec))
        except Rejected as refusal:
            if "range is full" not in refusal.message:
                raise
            return number
    raise AssertionError("no range is endless")


def test_a_new_service_cidr_is_room_and_in_use_it_stays() -> None:
    server = ControlPlane(service_cidrs=["10.96.0.0/28"])
    assert fill(server, "a") == 13
    server.create({"kind": "ServiceCIDR", "metadata": {"name": "more"}, "spec": {"cidrs": ["10.97.0.0/28"]}})
    assert fill(server, "b") == 14
    server.delete("ServiceCIDR", "more")
    assert server.get("ServiceCIDR", "more")["status"]["conditions"][0]["reason"] == "Terminating"
    server.delete("Service", "b-0")
    assert fill(server, "c") == 0  # nothing new from a range that is going
    for number in range(1, 14):
        server.delete("Service", f"b-{number}")
    with pytest.raises(Rejected, match="not found"):
        server.get("ServiceCIDR", "more")


def test_one_family_full_leaves_the_other_to_those_who_want_it_alone() -> None:
    server = ControlPlane(service_cidrs=["10.96.0.0/28", "fd00:10:96::/122"])
    assert fill(server, "d", ipFamilyPolicy="PreferDualStack") == 13
    assert fill(server, "f", ipFamilyPolicy="SingleStack", ipFamilies=["IPv6"]) == 63 - 13
    assert fill(server, "e", ipFamilyPolicy="RequireDualStack") == 0


def test_before_address_objects_there_are_no_service_cidrs() -> None:
    server = ControlPlane(kube_version="1.26", service_cidrs=["10.96.0.0/28"])
    with pytest.raises(Rejected, match="could not find the requested resource"):
        server.create({"kind": "ServiceCIDR", "metadata": {"name": "more"}, "spec": {"cidrs": ["10.97.0.0/28"]}})
