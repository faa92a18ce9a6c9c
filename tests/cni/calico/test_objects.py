from __future__ import annotations

from typing import Any

import pytest

from dsmodel.addresses.cidr import Cidr
from dsmodel.cni.calico.objects import IPAMConfig, check_config, read_config, read_pool, read_reservation
from dsmodel.errors import InvalidField


def manifest(**spec: Any) -> dict[str, Any]:
    return {"kind": "IPPool", "metadata": {"name": "p"}, "spec": {"cidr": "10.0.0.0/16", **spec}}


@pytest.mark.parametrize(("cidr", "size"), [("10.0.0.0/16", 26), ("fd00::/64", 122)])
def test_defaults(cidr: str, size: int) -> None:
    pool = read_pool(manifest(cidr=cidr))
    assert (pool.block_size, pool.allowed_uses, pool.assignment_mode, pool.enabled) == (
        size,
        ("Workload", "Tunnel"),
        "Automatic",
        True,
    )


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"cidr": "10.0.0.1/16"}, "spec.cidr"),
        ({"cidr": "what"}, "spec.cidr"),
        ({"cidr": "169.254.0.0/24"}, "spec.cidr"),
        ({"cidr": "fe80::/64"}, "spec.cidr"),
        ({"blockSize": 19}, "spec.blockSize"),
        ({"blockSize": 33}, "spec.blockSize"),
        ({"cidr": "fd00::/64", "blockSize": 115}, "spec.blockSize"),
        ({"cidr": "10.0.0.0/28"}, "spec.blockSize"),
        ({"nodeSelector": "zone ="}, "spec.nodeSelector"),
        ({"nodeSelector": "global()"}, "spec.nodeSelector"),
        ({"namespaceSelector": "has(team)"}, "spec.namespaceSelector"),
        ({"allowedUses": ["Pods"]}, r"spec.allowedUses\[0\]"),
        ({"allowedUses": ["LoadBalancer", "Workload"]}, "spec.allowedUses"),
        ({"allowedUses": ["LoadBalancer"], "nodeSelector": "has(x)"}, "spec.nodeSelector"),
        ({"allowedUses": ["LoadBalancer"], "vxlanMode": "Always"}, "spec.allowedUses"),
        ({"allowedUses": ["LoadBalancer"], "disableBGPExport": True}, "spec.allowedUses"),
        ({"assignmentMode": "Never"}, "spec.assignmentMode"),
        ({"ipipMode": "Sometimes"}, "spec.ipipMode"),
        ({"ipipMode": "Always", "vxlanMode": "Always"}, "spec.vxlanMode"),
        ({"cidr": "fd00::/64", "ipipMode": "Always"}, "spec.ipipMode"),
    ],
)
def test_refusals_name_their_field(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidField, match=f"^{path}: "):
        read_pool(manifest(**spec))


def test_a_pool_that_is_going_or_loses_an_overlap_gives_nothing_new() -> None:
    going = manifest()
    going["metadata"]["deletionTimestamp"] = "2026-08-01T00:00:00Z"
    assert not read_pool(going).enabled
    loser = manifest() | {"status": {"conditions": [{"type": "Allocatable", "status": "False"}]}}
    assert not read_pool(loser).enabled


@pytest.mark.parametrize("spec", [{"maxBlocksPerHost": 1_000_001}, {"ipCooldownSeconds": 1201}])
def test_numbers_out_of_range(spec: dict[str, Any]) -> None:
    with pytest.raises(InvalidField, match=r"use 0"):
        read_config({"spec": spec})


def test_settings_that_only_a_direct_write_leaves_behind() -> None:
    assert check_config(IPAMConfig()) == []
    assert [f[1] for f in check_config(IPAMConfig(False, False, 3))] == [
        "calico-no-blocks-at-all",
        "calico-max-blocks-without-strict-affinity",
    ]
    assert read_config({}).auto_allocate_blocks


def test_reservations_leave_out_what_they_cannot_read() -> None:
    found = read_reservation({"spec": {"reservedCIDRs": ["fd00::1", "10.0.0.7/30", "x/4", ""]}})
    assert found == [Cidr("fd00::1/128"), Cidr("10.0.0.4/30")]
