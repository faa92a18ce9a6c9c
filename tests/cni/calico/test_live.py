from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import IPFamily, format_address
from dsmodel.cni.calico import read_calico
from dsmodel.errors import InvalidInput

V4 = IPFamily.IPV4
POOL = {"kind": "IPPool", "metadata": {"name": "v4"}, "spec": {"cidr": "10.0.0.0/28", "blockSize": 30}}
CONFIG = {"kind": "IPAMConfig", "metadata": {"name": "default"}, "spec": {"ipCooldownSeconds": 60}}


def attribute(handle: str, node: str = "a", **fields: Any) -> dict[str, Any]:
    return {"handle_id": handle, "secondary": {"node": node}, **fields}


def block(cidr: str, allocations: list[int | None], unallocated: list[int], *attributes: Any, **spec: Any) -> Any:
    fields = {"cidr": cidr, "affinity": "host:a", "allocations": allocations, "unallocated": unallocated}
    return {"kind": "IPAMBlock", "spec": {**fields, "attributes": list(attributes), **spec}}


def rules(findings: list[tuple[str, str, str, str]]) -> list[str]:
    return [finding[1] for finding in findings]


def test_the_next_addresses_are_those_of_the_queue() -> None:
    live = block("10.0.0.4/30", [None, 0, None, None], [3, 0, 2], attribute("h"))
    calico, findings = read_calico([{"kind": "List", "items": [POOL, live]}])
    placed = calico.place([0, 0, 0])
    assert [format_address(V4, n) for n in to_integers(placed.addresses[V4])] == ["10.0.0.7", "10.0.0.4", "10.0.0.6"]
    assert findings == []


def test_resting_addresses_come_back_when_their_time_is_over() -> None:
    live = block("10.0.0.0/30", [0, 1, 1, 1], [], attribute("h", releasedAt="2026-08-01T00:00:00Z"), attribute("k"))
    pool = {**POOL, "spec": {"cidr": "10.0.0.0/30", "blockSize": 30}}
    calico, _ = read_calico([pool, CONFIG, live])
    assert (calico.usage()[0].used, calico.usage()[0].cooling) == (3, 1)
    assert calico.place([0]).placed == 0
    moment = 1785542400.0
    assert calico.place([0], now=moment + 59).placed == 0
    assert calico.place([0], now=moment + 60).placed == 1


def test_pending_affinities_and_deleted_objects_are_absent() -> None:
    live = block("10.0.0.0/30", [None, 0, None, None], [0, 2, 3], attribute("h"))
    pending = {"kind": "BlockAffinity", "spec": {"state": "pending", "node": "a", "cidr": "10.0.0.0/30"}}
    gone = block("10.0.0.4/30", [None] * 4, [0, 1, 2, 3], deleted=True)
    calico, _ = read_calico([POOL, live, pending, gone])
    assert calico.blocks(V4)["node"] == [None]
    confirmed = {"kind": "BlockAffinity", "spec": {"state": "", "node": "a", "cidr": "10.0.0.0/30", "deleted": "false"}}
    calico, _ = read_calico([POOL, live, confirmed])
    assert calico.blocks(V4)["node"] == ["a"]


def test_addresses_of_other_nodes_are_borrowed_and_of_nobody_known_are_used() -> None:
    live = block("10.0.0.0/30", [0, 1, 2, None], [3], attribute("h"), attribute("i", "b"), {"handle_id": "j"})
    calico, _ = read_calico([POOL, live, {"kind": "Node", "metadata": {"name": "b"}}])
    assert calico.names == ["b", "a"]
    assert calico.blocks(V4)["borrowed"] == [1]
    assert calico.blocks(V4)["used"] == [3]


def test_reservations_and_windows_are_kept_out_of_the_queue() -> None:
    reservation = {"kind": "IPReservation", "spec": {"reservedCIDRs": ["10.0.0.2/31", "no"]}}
    windows = attribute("windows-reserved-ipam-handle")
    live = block("10.0.0.0/30", [0, None, None, None], [1, 2, 3], windows)
    calico, _ = read_calico([POOL, live, reservation])
    assert calico.usage()[0].reserved == 3
    assert format_address(V4, to_integers(calico.place([0]).addresses[V4])[0]) == "10.0.0.1"


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (block("10.0.0.0/30", [None, 0, None, None], [0, 1, 2, 3], attribute("h")), "calico-block-inconsistent"),
        (block("10.0.0.0/30", [None, 3, None, None], [0, 2, 3], attribute("h")), "calico-block-inconsistent"),
        (block("10.0.0.0/30", [None] * 4, [0, 1, 2, 3], attribute("h")), "calico-block-inconsistent"),
        (block("10.0.0.0/30", [None] * 4, [0, 1, 2]), "calico-block-inconsistent"),
        (block("10.0.0.0/30", [None] * 4, [0, 0, 1, 2, 3]), "calico-block-inconsistent"),
        (block("10.0.0.0/30", [None] * 3, [0, 1, 2, 3]), "calico-block-inconsistent"),
        (block("10.9.0.0/30", [None] * 4, [0, 1, 2, 3]), "calico-block-outside-pools"),
        (block("10.0.0.0/29", [None] * 8, list(range(8))), "calico-block-of-other-size"),
        (block("10.0.0.0/30", ["x"] * 4, [0]), "calico-invalid-object"),
        (block("what", [None] * 4, [0]), "calico-invalid-object"),
        ({"kind": "IPPool", "metadata": {"name": "p"}, "spec": {"cidr": "10.0.0.1/28"}}, "calico-invalid-object"),
        ({"kind": "IPAMConfig", "spec": {"maxBlocksPerHost": -1}}, "calico-invalid-object"),
    ],
)
def test_what_is_wrong_is_a_finding(broken: Any, rule: str) -> None:
    calico, findings = read_calico([POOL, broken])
    assert rules(findings) == [rule]
    assert calico.usage()[0].used == 0


def test_overlapping_pools_and_blocks_are_findings() -> None:
    other = {"kind": "IPPool", "metadata": {"name": "w"}, "spec": {"cidr": "10.0.0.8/29", "blockSize": 31}}
    live = block("10.0.0.8/30", [None] * 4, [0, 1, 2, 3])
    small = block("10.0.0.10/31", [None] * 2, [0, 1])
    _, findings = read_calico([POOL, other, live, small])
    assert {"calico-ippool-overlap", "calico-ipamblock-overlap"} <= set(rules(findings))


def test_handles_that_no_block_knows_are_findings() -> None:
    live = block("10.0.0.0/30", [0, None, None, None], [1, 2, 3], attribute("h"))
    agrees = {"kind": "IPAMHandle", "spec": {"handleID": "h", "block": {"10.0.0.0/30": 1}}}
    leaked = {"kind": "IPAMHandle", "spec": {"handleID": "k", "block": {"10.0.0.0/30": 1}}}
    _, findings = read_calico([POOL, live, agrees, leaked])
    assert [finding[2] for finding in findings] == ["IPAMHandle/k"]


def test_states_calico_would_not_write_are_reported_and_modelled() -> None:
    config = {"kind": "IPAMConfig", "spec": {"strictAffinity": False, "autoAllocateBlocks": False}}
    calico, findings = read_calico([POOL, config, block("10.0.0.0/30", [None] * 4, [0, 1, 2, 3])])
    assert rules(findings) == ["calico-no-blocks-at-all"]
    assert calico.place(np.zeros(5, int)).placed == 4


def test_windows_nodes_without_strict_affinity_and_missing_nodes() -> None:
    node = {"kind": "Node", "metadata": {"name": "w", "labels": {"kubernetes.io/os": "windows"}}}
    _, findings = read_calico([POOL, node, block("10.0.0.0/30", [None] * 4, [0, 1, 2, 3])])
    assert rules(findings) == ["calico-windows-without-strict-affinity", "calico-blocks-of-missing-node"]


def test_no_pool_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one pool"):
        read_calico([])
