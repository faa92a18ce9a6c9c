"""What is unsound about tables from outside is named, once, and nothing is refused."""

import numpy as np
import pandas as pd
import pytest

from dsmodel import Cluster, ClusterConfig
from dsmodel.cluster.checks import findings_table
from dsmodel.cluster.schema import NODES, PODS, SERVICES
from dsmodel.cluster.table import Table

CONFIG = ClusterConfig.of(
    cluster_cidrs=["10.244.0.0/16", "fd00:10:244::/56"], service_cidrs=["10.96.0.0/24", "fd00:10:96::/112"]
)


def nodes(*rows):
    """Nodes of (name, IPv4 block, IPv6 block, primary family)."""
    frame = pd.DataFrame(rows, columns=["name", "pod_cidr_ipv4", "pod_cidr_ipv6", "primary_ip_family"])
    return Table.from_frame(NODES, frame)


def pods(*rows):
    """Running pods of (name, node, IPv4, IPv6)."""
    frame = pd.DataFrame(rows, columns=["name", "node", "pod_ipv4", "pod_ipv6"])
    return Table.from_frame(PODS, frame.assign(phase="Running", namespace="default"))


def services(*rows):
    """Services of (name, IPv4, IPv6)."""
    frame = pd.DataFrame(rows, columns=["name", "cluster_ipv4", "cluster_ipv6"])
    return Table.from_frame(SERVICES, frame.assign(namespace="default"))


def found(cluster):
    frame = cluster.findings.to_frame()
    return list(zip(frame["severity"], frame["rule"], frame["object"], strict=True))


SOUND = nodes(("a", "10.244.0.0/24", "fd00:10:244::/64", "IPv4"), ("b", "10.244.1.0/24", "fd00:10:244:1::/64", "IPv4"))


def test_a_sound_cluster_has_no_findings():
    cluster = Cluster.from_tables(
        CONFIG,
        nodes=SOUND,
        pods=pods(("x", 0, "10.244.0.2", "fd00:10:244::2"), ("y", 1, "10.244.1.9", None)),
        services=services(("kubernetes", "10.96.0.1", None), ("s", "10.96.0.9", "fd00:10:96::9")),
        node_ports=np.array([30001, 30002]),
    )
    assert found(cluster) == []
    used = {(pool.kind, str(pool.family)): pool.used for pool in cluster.pools()}
    assert used == {
        ("node blocks", "IPv4"): 2,
        ("node blocks", "IPv6"): 2,
        ("pod addresses", "IPv4"): 2,
        ("pod addresses", "IPv6"): 1,
        ("service addresses", "IPv4"): 2,
        ("service addresses", "IPv6"): 1,
        ("node ports", "None"): 2,
    }


def test_a_block_goes_on_behind_its_highest_address():
    cluster = Cluster.from_tables(CONFIG, nodes=SOUND, pods=pods(("x", 1, "10.244.1.9", "fd00:10:244:1::7")))
    cluster.add_pods([1, 0])
    frame = cluster.pods.to_frame()
    assert frame["pod_ipv4"].tolist()[1:] == ["10.244.1.10", "10.244.0.2"]
    assert frame["pod_ipv6"].tolist()[1:] == ["fd00:10:244:1::8", "fd00:10:244::2"]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (("c", "10.244.1.0/24", "fd00:10:244:2::/64", "IPv4"), "node-pod-cidr-duplicate"),
        (("c", "10.244.1.128/25", "fd00:10:244:2::/64", "IPv4"), "node-pod-cidr-duplicate"),
        (("c", "10.9.0.0/24", "fd00:10:244:2::/64", "IPv4"), "node-pod-cidr-out-of-range"),
        (("c", "10.244.2.0/24", "fd00:10:244:2::/64", "IPv6"), "node-pod-cidr-order"),
        (("c", None, None, ""), "node-without-pod-cidr"),
    ],
)
def test_unsound_nodes(row, rule):
    table = SOUND.append(nodes(row))
    cluster = Cluster.from_tables(CONFIG, nodes=table)
    assert [(name, thing) for _, name, thing in found(cluster)] == [(rule, "Node/c")]
    assert len(cluster.nodes) == 3


def test_unsound_pods():
    table = pods(
        ("x", 0, "10.244.0.2", None),
        ("y", 0, "10.244.0.2", None),
        ("z", 0, "10.244.1.2", "fd00:10:244::2"),
        ("lost", -1, "10.244.0.9", None),
    )
    cluster = Cluster.from_tables(CONFIG, nodes=SOUND, pods=table)
    assert found(cluster) == [
        ("error", "pod-address-duplicate", "Pod/default/y"),
        ("warning", "pod-outside-node-block", "Pod/default/z"),
        ("warning", "pod-outside-node-block", "Pod/default/lost"),
    ]
    assert cluster.findings["message"][1].startswith("has 10.244.1.2, outside 10.244.0.0/24 of Node/a")
    cluster.remove_pods([0])  # the other holder keeps the address
    assert cluster.pod_blocks["IPv4"].used().tolist() == [1, 0]


def test_pods_that_hold_no_address_of_their_own_do_not_count():
    frame = pd.DataFrame(
        {
            "name": ["host", "done", "failed", "pending", "runs"],
            "node": 0,
            "host_network": [True, False, False, False, False],
            "phase": ["Running", "Succeeded", "Failed", "Pending", "Running"],
            "pod_ipv4": ["192.0.2.1", "10.244.0.3", "10.244.0.4", None, "10.244.0.5"],
        }
    )
    cluster = Cluster.from_tables(CONFIG, nodes=SOUND, pods=Table.from_frame(PODS, frame))
    assert found(cluster) == []
    assert cluster.pods["holds_address"].tolist() == [False, False, False, False, True]
    assert cluster.pod_counts.tolist() == [3, 0]


def test_addresses_that_host_local_never_hands_out_are_counted():
    table = pods(("gateway", 0, "10.244.0.1", "fd00:10:244::aaaa:bbbb:cccc:dddd"), ("x", 0, "10.244.0.2", None))
    cluster = Cluster.from_tables(CONFIG, nodes=SOUND, pods=table)
    assert cluster.pod_blocks["IPv4"].used().tolist() == [2, 0]
    assert cluster.pod_blocks["IPv6"].used().tolist() == [1, 0]
    assert cluster.pod_blocks["IPv4"].free().tolist() == [252, 253]
    cluster.remove_pods([0])
    assert cluster.pod_blocks["IPv4"].used().tolist() == [1, 0]
    assert cluster.pod_blocks["IPv6"].used().tolist() == [0, 0]


def test_unsound_services():
    table = services(("a", "10.96.0.9", None), ("b", "10.96.0.9", None), ("c", "10.97.0.1", "fd00:10:96::1"))
    ports = np.array([30000, 30000, 40000])
    cluster = Cluster.from_tables(CONFIG, services=table, node_ports=ports)
    assert found(cluster) == [
        ("error", "cluster-ip-duplicate", "Service/default/b"),
        ("error", "cluster-ip-out-of-range", "Service/default/c"),
        ("warning", "node-port-out-of-range", "Service/unknown"),
    ]
    cluster.remove_services([1])
    assert [pool.used for pool in cluster.pools() if pool.kind == "service addresses"] == [1, 1]


def test_a_configuration_no_controller_starts_with_is_a_finding():
    cluster = Cluster.from_tables(ClusterConfig.of(cluster_cidrs=["fd00::/40"]), nodes=nodes())
    assert found(cluster) == [("fatal", "node-ipam-does-not-start", "Cluster")]
    assert [pool.kind for pool in cluster.pools()] == ["pod addresses", "node ports"]


def test_findings_of_the_reader_come_first():
    given = findings_table([("info", "reader-rule", "Pod/a/b", "seen")])
    cluster = Cluster.from_tables(CONFIG, nodes=nodes(("c", None, None, "")), findings=given)
    assert [rule for _, rule, _ in found(cluster)] == ["reader-rule", "node-without-pod-cidr"]


def test_very_many_of_one_kind_are_counted():
    cluster = Cluster.from_tables(CONFIG, nodes=nodes(*((f"n{i}", None, None, "") for i in range(150))))
    assert len(cluster.findings) == 101
    assert cluster.findings["message"][100] == "50 more objects break this rule"


def test_service_ranges_inside_the_cluster_cidr_are_reserved_blocks():
    config = ClusterConfig.of(cluster_cidrs=["10.0.0.0/16"], service_cidrs=["10.0.0.0/23"])
    pool = next(Cluster(config).pools())
    assert (pool.reserved, pool.used, pool.free) == (2, 2, 254)
