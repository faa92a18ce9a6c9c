"""Utilization of every plugin's pools: allocated, seen on pods, reserved and cooling are kept apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dsmodel import Cluster, ClusterConfig, reports
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cluster.network_plugins import PLUGIN_NAMES
from dsmodel.cni import AwsVpcCni, Calico
from dsmodel.cni.aws import Interfaces
from dsmodel.cni.calico import IPAMConfig, IPPool

COUNTS = ["usable", "used", "free", "allocated", "seen_on_pods", "reserved", "cooling"]


def cluster_of(name: str) -> Cluster:
    cidrs = ["10.0.0.0/18", "fd00:10::/64" if name == "gke" else "fd00:10::/56"]
    cluster = Cluster(ClusterConfig.of(cluster_cidrs=cidrs, service_cidrs=["10.96.0.0/24"]), network_plugin=name)
    cluster.add_nodes(4)
    cluster.add_pods(np.arange(60) % 4, host_network=np.arange(60) % 10 == 0)
    cluster.add_services(3)
    return cluster


@pytest.mark.parametrize("name", PLUGIN_NAMES)
def test_every_pool_of_every_plugin_adds_up(name: str) -> None:
    cluster = cluster_of(name)
    frame = reports.utilization(cluster)
    assert frame.columns.tolist()[:3] == ["pool", "ip_family", "range"]
    assert all(frame[column].dtype == "Int64" for column in COUNTS)
    pods = frame[frame["pool"] == "pod addresses"]
    assert (pods["allocated"] == 54).all()  # six are on the host network
    assert (pods["seen_on_pods"] == 54).all()
    assert (pods["used"] == 54).all()
    assert (pods["cooling"] == 0).all()
    blocks = frame[frame["pool"] == "node blocks"]
    assert (blocks["seen_on_pods"] == blocks["allocated"]).all()
    others = ~frame["pool"].isin(["pod addresses", "node blocks"])
    assert frame.loc[others, "seen_on_pods"].isna().all()
    bounded = frame.dropna(subset=["usable"])
    assert (bounded["usable"] == bounded["used"] + bounded["free"] + bounded["cooling"]).all()
    services = frame[frame["pool"] == "service addresses"].iloc[0]
    assert services[["allocated", "reserved"]].tolist() == [4, 2]


@pytest.mark.parametrize("name", sorted({*PLUGIN_NAMES} - {"aws-vpc-cni", "calico", "whereabouts"}))
def test_ranges_of_nodes_add_up_to_their_pool(name: str) -> None:
    cluster = cluster_of(name)
    pools = reports.utilization(cluster).query("pool == 'pod addresses'").set_index("ip_family")
    nodes = reports.utilization(cluster, by="node").query("pool == 'pod addresses'")
    for family in ("IPv4", "IPv6"):
        mine = nodes[nodes["ip_family"] == family]
        assert len(mine) == 4
        assert mine["used"].sum() == pools.loc[family, "used"]
        if pd.notna(pools.loc[family, "usable"]):
            assert mine["usable"].sum() == pools.loc[family, "usable"]


def test_what_shares_pools_has_no_row_a_node() -> None:
    frame = reports.utilization(cluster_of("calico"), by="node")
    assert set(frame["pool"]) == {"pods per node"}


def test_addresses_at_rest_are_neither_used_nor_free() -> None:
    plugin = Calico([IPPool("p", Cidr("10.0.0.0/26"), 26)], config=IPAMConfig(ip_cooldown_seconds=60))
    aws = AwsVpcCni(Cidr("10.0.0.0/26"), interfaces=Interfaces(2, 6))
    for each in (plugin, aws):
        cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.0.0.0/26"], node_cidr_mask_sizes={"IPv4": 28}),
                          network_plugin=each)  # fmt: skip
        cluster.add_nodes(1)
        cluster.add_pods([0] * 5)
        before = reports.utilization(cluster).set_index("pool").loc["pod addresses"]
        cluster.remove_pods([0, 1])
        after = reports.utilization(cluster).set_index("pool").loc["pod addresses"]
        assert (after["allocated"], after["seen_on_pods"], after["cooling"]) == (3, 3, 2)
        assert after["free"] == before["free"]


def test_more_allocated_than_seen_is_held_by_something_else() -> None:
    cluster = cluster_of("calico")
    plugin = cluster.network_plugin
    assert isinstance(plugin, Calico)
    plugin.place([0, 1, 2, 3], use="Tunnel")
    frame = reports.utilization(cluster).set_index(["pool", "ip_family"]).loc["pod addresses"]
    assert (frame["allocated"] - frame["seen_on_pods"]).tolist() == [4, 4]


def test_blocks_that_node_ipam_lost_are_allocated_and_on_no_node() -> None:
    cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.0.0.0/22", "fd00::/64"]))
    cluster.add_nodes(3)
    frame = reports.utilization(cluster).set_index(["pool", "ip_family"]).loc["node blocks"]
    assert frame["allocated"].tolist() == [3, 1]
    assert frame["seen_on_pods"].tolist() == [1, 1]


def test_a_range_of_another_plugin_says_whose_it_is() -> None:
    frame = reports.utilization(cluster_of("ovn-kubernetes"))
    assert frame.loc[frame["pool"] == "node blocks", "why"].str.startswith("ovn-kubernetes: host subnets").all()
    assert str(IPFamily.IPV6) in frame["ip_family"].tolist()
