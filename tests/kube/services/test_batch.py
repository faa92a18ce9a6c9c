"""A batch is decided as each of its rows alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel.cluster.outcome import grant_by_need
from dsmodel.errors import InvalidInput, Reason, Rejected
from dsmodel.kube import ControlPlane
from dsmodel.kube.services.batch import COLUMNS, decide_batch

if TYPE_CHECKING:
    from collections.abc import Callable

POLICIES = ["", "SingleStack", "PreferDualStack", "RequireDualStack"]
FAMILIES = ["", "IPv4", "IPv6", "IPv4,IPv6", "IPv6,IPv4"]
ROW = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]),
        "ip_family_policy": st.sampled_from(POLICIES),
        "ip_families": st.sampled_from(FAMILIES),
        "headless": st.booleans(),
        "selector": st.booleans(),
        "ports": st.integers(0, 3),
        "external_traffic_policy": st.sampled_from(["", "", "Local", "Cluster"]),
        "allocate_load_balancer_node_ports": st.booleans(),
    }
)
RANGES = [
    ["10.96.0.0/28"],
    ["fd00:10:96::/124"],
    ["10.96.0.0/28", "fd00:10:96::/124"],
    ["fd00:10:96::/124", "10.96.0.0/29"],
]


def answer(
    verb: Callable[[dict[str, Any]], dict[str, Any]], body: dict[str, Any]
) -> tuple[dict[str, Any], Rejected | None]:
    """Ask a server; the spec it stores, or its refusal."""
    try:
        return verb(body)["spec"], None
    except Rejected as refusal:
        return {}, refusal


def manifest(row: dict[str, Any], name: str) -> dict[str, Any]:
    """Write a row as a manifest, apart from how the batch does it."""
    spec: dict[str, Any] = {"type": row["type"]}
    if row["ip_family_policy"]:
        spec["ipFamilyPolicy"] = row["ip_family_policy"]
    if row["ip_families"]:
        spec["ipFamilies"] = row["ip_families"].split(",")
    if row["headless"]:
        spec["clusterIP"] = "None"
    if row["selector"]:
        spec["selector"] = {"app": "x"}
    if row["external_traffic_policy"]:
        spec["externalTrafficPolicy"] = row["external_traffic_policy"]
    if not row["allocate_load_balancer_node_ports"]:
        spec["allocateLoadBalancerNodePorts"] = False
    if row["type"] == "ExternalName":
        spec["externalName"] = "db.example"
    spec["ports"] = [{"port": 80 + n, "name": f"port-{n}"} for n in range(row["ports"])]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(ROW, max_size=40),
    version=st.sampled_from(["1.20", "1.21", "1.22", "1.23", "1.26", "1.31", "1.36"]),
    ranges=st.sampled_from(RANGES),
    ports=st.sampled_from(["30000-30011", "30000-32767"]),
)
def test_a_batch_equals_its_rows_one_by_one(
    rows: list[dict[str, Any]], version: str, ranges: list[str], ports: str
) -> None:
    gates = {"IPv6DualStack": True} if version == "1.20" else {}

    def server(numbers: str) -> ControlPlane:
        return ControlPlane(
            kube_version=version, service_cidrs=ranges, feature_gates=gates, service_node_port_range=numbers
        )

    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    batch = decide_batch(frame, server=server("30000-32767"))
    alone = server(ports)
    free = np.array([*room(ranges, version), {"30000-30011": 12, "30000-32767": 2768}[ports]])
    granted = batch.ok & grant_by_need(batch.needs, free)
    answers = batch.columns()
    for number, row in enumerate(rows):
        spec, refusal = answer(alone.create, manifest(row, f"s{number}"))
        assert granted[number] == (refusal is None)
        if refusal is not None and batch.ok[number]:
            assert "range is full" in refusal.message
        elif refusal is not None:
            assert refusal.code == answers["code"][number]
        else:
            assert answers["ip_family_policy"][number] == spec.get("ipFamilyPolicy", "")
            assert answers["ip_families"][number] == ",".join(spec.get("ipFamilies", ()))


def room(ranges: list[str], version: str) -> tuple[int, int]:
    """Count the addresses beside default/kubernetes, by filling a server."""
    counts = []
    gates = {"IPv6DualStack": True} if version == "1.20" else {}
    server = ControlPlane(kube_version=version, service_cidrs=ranges, feature_gates=gates)
    for family in ("IPv4", "IPv6"):
        row, number = COLUMNS | {"ip_families": family}, 0
        while answer(server.create, manifest(row, f"{family.lower()}-{number}"))[1] is None:
            number += 1
        counts.append(number)
    return counts[0], counts[1]


@settings(max_examples=60, deadline=None)
@given(
    policy=st.sampled_from(POLICIES),
    families=st.sampled_from(FAMILIES),
    rows=st.lists(ROW, min_size=1, max_size=10),
    version=st.sampled_from(["1.20", "1.22", "1.23", "1.36"]),
    ranges=st.sampled_from(RANGES),
)
def test_a_batch_of_changes_equals_one_replace_each(
    policy: str, families: str, rows: list[dict[str, Any]], version: str, ranges: list[str]
) -> None:
    server = ControlPlane(
        kube_version=version, service_cidrs=ranges, feature_gates={"IPv6DualStack": True} if version == "1.20" else {}
    )
    change = {"ip_family_policy": policy, "ip_families": families}
    batch = decide_batch(change, server=server, stored=pd.DataFrame(rows))
    answers = batch.columns()
    for number, row in enumerate(rows):
        alone = server.copy()
        before, refusal = answer(alone.create, manifest(row, "row"))
        after: dict[str, Any] = {}
        if refusal is None:
            spec = {k: v for k, v in before.items() if k not in {"ipFamilyPolicy", "ipFamilies"}}
            spec |= {"ipFamilyPolicy": policy} if policy else {}
            spec |= {"ipFamilies": families.split(",")} if families else {}
            after, refusal = answer(alone.replace, alone.get("Service", "row") | {"spec": spec})
        assert answers["code"][number] == (200 if refusal is None else refusal.code)
        if refusal is None:
            assert answers["ip_families"][number] == ",".join(after.get("ipFamilies", ()))
            held = [len(spec.get("clusterIPs", ())) - (spec.get("clusterIP") == "None") for spec in (before, after)]
            assert batch.needs[number][:2].sum() == held[1] - held[0]
        else:
            lacking = "not configured" in refusal.message
            assert batch.reason[number] == (Reason.FAMILY_NOT_CONFIGURED if lacking else Reason.REJECTED)
            assert not batch.needs[number].any()


def test_a_million_rows_ask_once_a_shape() -> None:
    server = ControlPlane(service_cidrs=["10.96.0.0/16", "fd00:10:96::/112"])
    policies = np.array(POLICIES, object)[np.arange(1_000_000) % 4]
    batch = decide_batch({"ip_family_policy": policies}, server=server)
    assert len(batch) == 1_000_000
    assert len(batch.shapes) == 4
    assert batch.needs.sum(axis=0).tolist() == [1_000_000, 500_000, 0]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"families": ["IPv4"]}, "no column 'families'"),
        ({"type": ["ClusterIP", "NodePort"], "ports": [1, 2, 3]}, "columns of 2 and 3 rows"),
        ({"type": [5]}, "this column holds text"),
        ({"headless": ["no"]}, "this column holds true or false"),
        ({"ports": [-1]}, "0 to 1000"),
        ({"ip_families": [["IPv4"]] * 2}, "this column holds|a column holds"),
    ],
)
def test_bad_columns_are_named(rows: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        decide_batch(rows, server=ControlPlane(service_cidrs=["10.96.0.0/16"]))


def test_missing_values_are_defaults_and_no_rows_are_fine() -> None:
    server = ControlPlane(service_cidrs=["10.96.0.0/16"])
    batch = decide_batch({"type": [None, "NodePort"], "ip_family_policy": [float("nan"), ""]}, server=server)
    assert batch.needs.tolist() == [[1, 0, 0], [1, 0, 1]]
    assert len(decide_batch({"type": []}, server=server).columns()["message"]) == 0
    assert decide_batch({}, server=server).ok.tolist() == [True]


def test_the_server_is_left_as_it_was() -> None:
    server = ControlPlane(service_cidrs=["10.96.0.0/29"])
    decide_batch({"type": ["NodePort"] * 50, "ports": 3}, server=server)
    with pytest.raises(Rejected, match='services "row" not found'):
        server.get("Service", "row")
    assert server.create(manifest(dict(COLUMNS), "a"))["spec"]["clusterIP"] == "10.96.0.2"
