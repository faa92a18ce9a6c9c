"""Services in batch against the same Services created one by one at the API server."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel import Cluster, ClusterConfig, IPFamily
from dsmodel.cluster.api_server import control_plane_of
from dsmodel.cluster.outcome import grant_in_order
from dsmodel.errors import InvalidInput, Reason, Rejected

if TYPE_CHECKING:
    from dsmodel.kube.control_plane import ControlPlane

BASE = {
    "type": st.sampled_from(["ClusterIP", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]),
    "ip_family_policy": st.sampled_from(["", "SingleStack", "PreferDualStack", "RequireDualStack"]),
    "ip_families": st.sampled_from(["", "", "IPv4", "IPv6", "IPv4,IPv6", "IPv6,IPv4"]),
    "headless": st.sampled_from([False, False, True]),
    "selector": st.booleans(),
    "ports": st.integers(0, 3),
    "external_traffic_policy": st.sampled_from(["", "", "Local", "Cluster"]),
    "allocate_load_balancer_node_ports": st.sampled_from([True, True, False]),
    "namespace": st.sampled_from(["", "default", "shop"]),
    "name": st.sampled_from(["", "", "", "a", "b", "kubernetes", "1st", "B_", "x-"]),
}
ROW = st.fixed_dictionaries(BASE)
ADDRESSES = {
    "cluster_ipv4": ["10.96.0.1", "10.96.0.2", "10.96.0.3", "10.96.0.0", "10.96.0.255", "10.97.0.1"],
    "cluster_ipv6": ["fd00:96::1", "fd00:96::2", "fd00:96::3", "fd00:96::", "fd00:97::1"],
}
NAMING_ROW = st.fixed_dictionaries(
    BASE
    | {name: st.sampled_from([None, None, *texts]) for name, texts in ADDRESSES.items()}
    | {"node_port": st.sampled_from([0, 0, 30000, 30001, 29999])}
    | {"health_check_node_port": st.sampled_from([0, 0, 30001, 30002])}
)
VERSIONS = ["1.20 off", "1.20 on", "1.21", "1.23", "1.26", "1.31", "1.36"]
RANGES = [
    ["10.96.0.0/28"],
    ["10.96.0.0/27"],
    ["fd00:96::/124"],
    ["10.96.0.0/28", "fd00:96::/125"],
    ["10.96.0.0/29", "fd00:96::/122"],
    ["fd00:96::/125", "10.96.0.0/27"],
]


def pair(version: str, ranges: list[str], last_port: int) -> tuple[Cluster, ControlPlane]:
    """A cluster, and an API server with the same flags; 1.20 without its gate has one range."""
    number, _, gate = version.partition(" ")
    config = ClusterConfig.of(
        kube_version=number,
        service_cidrs=ranges[:1] if gate == "off" else ranges,
        feature_gates={"IPv6DualStack": True} if gate == "on" else {},
        service_node_port_range=(30000, last_port),
    )
    return Cluster(config), control_plane_of(config)


def manifest(row: dict[str, Any], name: str, primary: str) -> dict[str, Any]:
    """Write a row as a manifest, apart from how the batch does it."""
    asked = row["ip_families"].split(",") if row["ip_families"] else []
    ports: list[dict[str, Any]] = [{"port": 80 + n, "name": f"port-{n}"} for n in range(row["ports"])]
    if row.get("node_port") and ports:
        ports[0]["nodePort"] = row["node_port"]
    texts = {"IPv4": row.get("cluster_ipv4"), "IPv6": row.get("cluster_ipv6")}
    order = sorted(texts, key=lambda family: family != (asked or [primary])[0])
    named = [texts[family] for family in order if texts[family]]
    spec = {
        "type": row["type"],
        "ipFamilyPolicy": row["ip_family_policy"] or None,
        "ipFamilies": asked or None,
        "clusterIPs": named or None,
        "clusterIP": "None" if row["headless"] else (named or [None])[0],
        "selector": {"app": "x"} if row["selector"] else None,
        "externalTrafficPolicy": row["external_traffic_policy"] or None,
        "allocateLoadBalancerNodePorts": None if row["allocate_load_balancer_node_ports"] else False,
        "healthCheckNodePort": row.get("health_check_node_port") or None,
        "externalName": "db.example" if row["type"] == "ExternalName" else None,
        "ports": ports,
    }
    spec = {field: value for field, value in spec.items() if value is not None}
    return {"kind": "Service", "metadata": {"name": name, "namespace": row["namespace"] or "default"}, "spec": spec}


def created(server: ControlPlane, row: dict[str, Any], name: str, primary: str) -> tuple[dict[str, Any], str]:
    """The spec stored, or the words of the refusal."""
    try:
        return server.create(manifest(row, name, primary))["spec"], ""
    except Rejected as refusal:
        return {}, refusal.message


def expected(spec: dict[str, Any]) -> dict[str, Any]:
    """What a row of the table shows of a stored spec."""
    texts = [text for text in spec.get("clusterIPs", [spec.get("clusterIP", "")]) if text not in {"", "None"}]
    versions = [ipaddress.ip_address(text).version for text in texts]
    return {
        "type": spec["type"],
        "ip_family_policy": spec.get("ipFamilyPolicy", ""),
        "ip_families": ",".join(spec.get("ipFamilies", ())),
        "headless": spec.get("clusterIP") == "None",
        "external_traffic_policy": spec.get("externalTrafficPolicy", ""),
        "primary_ip_family": f"IPv{versions[0]}" if versions else "",
        "has_cluster_ipv4": 4 in versions,
        "has_cluster_ipv6": 6 in versions,
        "node_ports": len({port["nodePort"] for port in spec.get("ports", ()) if port.get("nodePort")}),
        "checked": bool(spec.get("healthCheckNodePort")),
    }


def shown(cluster: Cluster, row: int) -> dict[str, Any]:
    """The same from the table."""
    table = cluster.services
    words = ("type", "ip_family_policy", "ip_families", "external_traffic_policy", "primary_ip_family")
    plain = ("headless", "has_cluster_ipv4", "has_cluster_ipv6", "node_ports")
    return {
        **{name: table.schema.column(name).words[int(table[name][row])] for name in words},
        **{name: table[name][row].item() for name in plain},
        "checked": bool(table["health_check_node_port"][row]),
    }


def words_of(reason: int) -> tuple[str, ...]:
    """What the server may say for a reason; where a row is wrong in two ways it may name the other one."""
    taken = ("already allocated", "already exists")
    return {
        Reason.POOL_FULL: ("range is full",),
        Reason.ALREADY_EXISTS: (*taken, "range is full"),
        Reason.ALREADY_ALLOCATED: taken,
        Reason.NOT_IN_RANGE: ("not in the valid range", "does not match the current range", *taken),
        Reason.FAMILY_NOT_CONFIGURED: ("not configured",),
        Reason.REJECTED: ("",),
    }[Reason(reason)]


def assert_same_batch(cluster: Cluster, server: ControlPlane, rows: list[dict[str, Any]], batch: int) -> None:
    """Do one batch on both, and compare every row."""
    primary = str(cluster.config.service_cidrs[0].family)
    outcome = cluster.add_services(pd.DataFrame(rows, columns=list(rows[0]) if rows else ["type"]))
    for number, row in enumerate(rows):
        spec, refusal = created(server, row, row["name"] or f"u-{batch}-{number}", primary)
        assert outcome.ok[number] == (not refusal), (refusal, outcome.to_frame().iloc[number])
        if refusal:
            told = ("metadata.name", *words_of(outcome.reason[number]))  # a bad name may be told before the rest
            assert any(words in refusal for words in told), refusal
            continue
        place = int(outcome.rows[number])
        assert shown(cluster, place) == expected(spec)
        for name, texts in ADDRESSES.items():
            if row.get(name) and cluster.services[f"has_{name}"][place]:
                assert cluster.services.to_frame()[name][place] == row[name]
                assert row[name] in texts
        if row.get("node_port") and cluster.services["node_ports"][place]:
            mine = cluster.node_ports["service"] == place
            assert row["node_port"] in cluster.node_ports["node_port"][mine]
        if row.get("health_check_node_port") and cluster.services["health_check_node_port"][place]:
            assert cluster.services["health_check_node_port"][place] == row["health_check_node_port"]


def assert_pools(cluster: Cluster, server: ControlPlane) -> None:
    """Pools hold what the tables show, each thing once, and as many of each band as the server."""
    frame = cluster.services.to_frame()
    theirs = [ipaddress.ip_address(text) for stored in services_of(server) for text in stored]
    for family, end in ((IPFamily.IPV4, "ipv4"), (IPFamily.IPV6, "ipv6")):
        mine = [ipaddress.ip_address(text) for text in frame[f"cluster_{end}"].dropna()]
        assert len(set(mine)) == len(mine)
        pools = cluster.service_ranges.ranges.get(family, [])
        assert sum(pool.used for pool in pools) == len(mine)
        for pool in pools:
            network = ipaddress.ip_network(str(pool.cidr))
            assert all(address in network for address in mine)
            band = int(network.network_address) + pool.band_offset
            others = [address for address in theirs if address.version == network.version]
            assert sum(int(a) <= band for a in mine) == sum(int(a) <= band for a in others)
    ports = cluster.node_ports["node_port"].tolist()
    assert len(set(ports)) == len(ports) == cluster.port_range.used
    owners = cluster.node_ports["service"]
    health = cluster.services["health_check_node_port"] > 0
    held = np.bincount(owners, minlength=len(frame))
    assert held.tolist() == (cluster.services["node_ports"] + health).tolist()


def services_of(server: ControlPlane) -> list[list[str]]:
    """Cluster IPs of every Service of a server."""
    found = []
    for namespace, name in server._services:
        spec = server.get("Service", name, namespace=namespace)["spec"]
        texts = spec.get("clusterIPs", [spec.get("clusterIP", "")])
        found.append([text for text in texts if text not in {"", "None"}])
    return found


@settings(deadline=None, max_examples=30)
@given(
    batches=st.lists(st.lists(ROW, max_size=25), max_size=3),
    version=st.sampled_from(VERSIONS),
    ranges=st.sampled_from(RANGES),
    last_port=st.sampled_from([30005, 30030]),
)
def test_a_batch_equals_one_service_after_the_other(batches, version, ranges, last_port):
    cluster, server = pair(version, ranges, last_port)
    for number, rows in enumerate(batches):
        assert_same_batch(cluster, server, rows, number)
        assert_pools(cluster, server)


@settings(deadline=None, max_examples=30)
@given(
    rows=st.lists(NAMING_ROW, max_size=25),
    version=st.sampled_from(["1.26", "1.31", "1.36"]),
    ranges=st.sampled_from([["10.96.0.0/24"], ["10.96.0.0/24", "fd00:96::/120"], ["fd00:96::/120", "10.96.0.0/24"]]),
)
def test_addresses_and_ports_that_rows_name_are_theirs_in_order(rows, version, ranges):
    # all named ones lie in the static bands, where the server's own choice does not go
    cluster, server = pair(version, ranges, 32767)
    if version == "1.26":  # no static band of node ports yet
        rows = [row | {"node_port": 0, "health_check_node_port": 0} for row in rows]
    assert_same_batch(cluster, server, rows, 0)
    assert_pools(cluster, server)


def test_one_reason_a_row_and_nothing_half_applied():
    cluster = Cluster(ClusterConfig.of(service_cidrs=["10.96.0.0/24", "fd00:96::/124"], service_node_port_range=(1, 9)))
    frame = pd.DataFrame(
        {
            "name": ["a", "a", "b", "c", "d", "kubernetes", "e", "f"],
            "cluster_ip": ["10.96.0.9", "", "10.96.0.9", "10.9.0.1", "None", None, "", "fd00:96::5"],
            "ip_families": ["", "", "", "", "", "", "", "IPv6"],
            "type": ["ClusterIP"] * 6 + ["NodePort"] * 2,
            "node_port": [0, 0, 0, 0, 0, 0, 10, 3],
        }
    )
    outcome = cluster.add_services(frame)
    late, far = Reason.ALREADY_ALLOCATED, Reason.NOT_IN_RANGE
    exists = Reason.ALREADY_EXISTS
    assert outcome.reason.tolist() == [0, exists, late, far, 0, exists, far, 0]
    shown_frame = cluster.services.to_frame().set_index("name")
    assert shown_frame.loc["a", "cluster_ipv4"] == "10.96.0.9"
    assert shown_frame.loc["d", "headless"]
    assert shown_frame.loc["f", "cluster_ipv6"] == "fd00:96::5"
    assert cluster.node_ports["node_port"].tolist() == [3]
    assert cluster.service_ranges.free(IPFamily.IPV6) == 14
    assert cluster.service_ranges.free(IPFamily.IPV4) == 254 - 2


def test_a_refused_row_leaves_its_name_to_the_next():
    cluster = Cluster(ClusterConfig.of(service_cidrs=["10.96.0.0/28", "fd00:96::/127"]))
    both = ["RequireDualStack"] * 3 + [""] * 2
    outcome = cluster.add_services(pd.DataFrame({"name": ["x", "a", "a", "a", "a"], "ip_family_policy": both}))
    assert outcome.reason.tolist() == [0, Reason.POOL_FULL, Reason.POOL_FULL, 0, Reason.ALREADY_EXISTS]


def slow_grants(needs, free, claims):
    """One row after the other."""
    left, held, answers = list(free), set(), []
    for need, wanted in zip(needs, claims, strict=True):
        if any(n > room for n, room in zip(need, left, strict=True)) or held & set(wanted) - {-1}:
            answers.append(False)
        else:
            left = [room - n for n, room in zip(need, left, strict=True)]
            held |= set(wanted)
            answers.append(True)
    return answers


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(-1, 3), st.integers(-1, 3), st.integers(4, 6)),
        max_size=20,
    ),
    free=st.tuples(st.integers(0, 12), st.integers(0, 20)),
)
def test_claims_and_needs_are_settled_as_one_by_one(rows, free):
    needs = np.array([row[:2] for row in rows], np.int64).reshape(-1, 2)
    claims = np.array([(a, -1 if a == b else b, c) for _, _, a, b, c in rows], np.int64).reshape(-1, 3)
    got = grant_in_order(needs, np.array(free), claims) == 0
    assert got.tolist() == slow_grants(needs.tolist(), free, claims.tolist())


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"colour": ["red"]}, "no column 'colour'"),
        ({"type": ["Headless"]}, "got 'Headless'; the words are"),
        ({"selector": ["yes"]}, "column selector .*expected True or False"),
        ({"ports": ["80"]}, "column ports .*expected whole numbers"),
        ({"ports": [1.5]}, "column ports: 1.5 to 1.5"),
        ({"ports": [2000]}, "0 to 1000"),
        ({"node_port": [70000]}, "column node_port: 70000"),
        ({"cluster_ip": ["10.96.0.300"]}, "10.96.0.300"),
    ],
)
def test_bad_columns_are_named(frame, words):
    cluster = Cluster(ClusterConfig.of(service_cidrs=["10.96.0.0/24"]))
    with pytest.raises(InvalidInput, match=words):
        cluster.add_services(pd.DataFrame(frame))
    assert len(cluster.services) == 1


def test_without_a_service_range_only_external_names_exist():
    cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"]))
    outcome = cluster.add_services(pd.DataFrame({"type": ["ClusterIP", "ExternalName"]}))
    assert outcome.reason.tolist() == [Reason.FAMILY_NOT_CONFIGURED, 0]
