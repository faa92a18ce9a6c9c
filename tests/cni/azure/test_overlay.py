from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cni.azure import EXHAUSTED, AzureOverlay, Scaler, read_node, static_blocks
from dsmodel.cni.node_ranges import pod_cidr_columns
from dsmodel.errors import InvalidField

V4, V6 = IPFamily.IPV4, IPFamily.IPV6


def test_golden_12_the_target_of_the_newer_rule() -> None:
    assert Scaler().target(25) == 48


@given(st.integers(0, 250))
def test_the_newer_rule_leaves_half_a_batch_free(used: int) -> None:
    target = int(Scaler().target(used))
    assert target == 250 or 8 <= target - used < 24


@given(st.integers(0, 250), st.integers(0, 15))
def test_the_older_rule_equals_one_step_after_the_other(used: int, batches: int) -> None:
    has = max(used, min(250, 16 * batches))
    expected = has
    while expected - used < 8 and expected < 250:
        expected = min(expected + 16, 250)
    while expected - used > 24:
        expected -= 16 if expected % 16 == 0 else expected % 16
    assert Scaler().settle(used, has) == expected


def test_an_exhausted_subnet_gives_one_by_one() -> None:
    assert EXHAUSTED.settle([5, 5, 5], [5, 6, 16]).tolist() == [6, 6, 7]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"batch_size": 0}, "batchSize"),
        ({"max_ips": 0}, "maxIPCount"),
        ({"request_ratio": 1.5}, "requestThresholdPercent"),
    ],
)
def test_scalers_that_do_not_settle(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidField, match=path):
        Scaler(**fields)


def test_static_blocks() -> None:
    assert static_blocks([16, 17]).tolist() == [1, 2]


@pytest.mark.parametrize(("windows", "pods", "lowest"), [(False, 256, 0), (True, 253, 2)])
def test_overlay_blocks(windows: bool, pods: int, lowest: int) -> None:  # noqa: FBT001 - a parameter of the case
    overlay = AzureOverlay([V4], windows=windows)
    overlay.add_ranges(pod_cidr_columns([["10.244.1.0/24"]]))
    placed = overlay.place([0] * 260)
    offsets = sorted(n & 255 for n in to_integers(placed.addresses[V4][placed.ok]))
    assert (placed.placed, offsets[0], offsets[-1]) == (pods, lowest, lowest + pods - 1)


def test_both_families_or_none() -> None:
    overlay = AzureOverlay([V4, V6])
    overlay.add_ranges(pod_cidr_columns([["10.244.1.0/24", "fd00::/127"]]))
    assert overlay.place([0] * 3).placed == 2
    assert [use.used for use in overlay.usage()] == [2, 2]


def test_node_network_configs() -> None:
    dynamic = {
        "metadata": {"name": "a"},
        "spec": {"requestedIPCount": 2, "ipsNotInUse": ["u2"]},
        "status": {
            "scaler": {
                "batchSize": 16,
                "requestThresholdPercent": 50,
                "releaseThresholdPercent": 150,
                "maxIPCount": 250,
            },
            "networkContainers": [
                {
                    "subnetAddressSpace": "10.9.0.0/16",
                    "ipAssignments": [{"name": "u1", "ip": "10.9.0.5"}, {"name": "u2", "ip": "10.9.0.6"}],
                }
            ],
        },
    }
    usage, scaler, findings = read_node(dynamic)
    assert [(line.usable, line.cooling, line.free) for line in usage] == [(2, 1, 1)]
    assert (scaler, findings) == (Scaler(), [])
    overlay = {"status": {"networkContainers": [{"type": "overlay", "primaryIP": "10.244.1.0/24"}]}}
    usage, scaler, findings = read_node(overlay)
    assert [(line.range, line.usable) for line in usage] == [("10.244.1.0/24", 256)]
    assert (scaler, findings) == (None, [])
    block = {"type": "vnetblock", "subnetAddressSpace": "10.9.0.0/16", "ipAssignments": [{"ip": "10.9.0.16/28"}]}
    assert read_node({"status": {"networkContainers": [block]}})[0][0].usable == 16


def test_what_is_wrong_with_a_node() -> None:
    broken = {
        "status": {
            "scaler": {"requestThresholdPercent": 200},
            "networkContainers": [{"subnetAddressSpace": "what", "ipAssignments": [{"ip": "x"}]}],
        }
    }
    _, scaler, findings = read_node(broken)
    assert scaler is None
    assert [finding[1] for finding in findings] == ["azure-invalid-object", "azure-invalid-scaler"]
    assert read_node({}) == ([], None, [])
