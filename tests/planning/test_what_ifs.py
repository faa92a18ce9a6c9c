"""What-ifs: the same cluster under other settings, filled by the real allocators, with what was not served said."""

import numpy as np
import pandas as pd
import pytest

import dsmodel as ds
from dsmodel.io.samples import sample_path


@pytest.fixture(scope="module")
def cluster() -> ds.Cluster:
    return ds.read_cluster(sample_path("dual-stack-shop"))


def rows(cluster: ds.Cluster, pool: str) -> pd.DataFrame:
    frame = ds.reports.utilization(cluster)
    return frame[frame["pool"] == pool].set_index("ip_family")


def not_served(cluster: ds.Cluster) -> list[str]:
    frame = cluster.findings.to_frame()
    return frame.loc[frame["rule"] == "what-if-not-served", "message"].tolist()


def test_nothing_asked_is_a_copy(cluster: ds.Cluster) -> None:
    twin = ds.what_if(cluster)
    assert twin is not cluster
    assert ds.reports.utilization(twin).equals(ds.reports.utilization(cluster))
    assert not_served(twin) == []


@pytest.mark.parametrize("question", [{"node_mask": {"IPv4": 26}}, {"surge_ratio": 0.5}, {"lost_zones": ["zone-a"]}])
def test_the_cluster_itself_stays(cluster: ds.Cluster, question: dict[str, object]) -> None:
    before = ds.reports.utilization(cluster)
    ds.what_if(cluster, **question)
    assert ds.reports.utilization(cluster).equals(before)


def test_another_mask_gives_the_same_nodes_other_blocks(cluster: ds.Cluster) -> None:
    twin = ds.what_if(cluster, node_mask={"IPv4": 26})
    assert rows(twin, "node blocks").loc["IPv4", "usable"] == 4 * rows(cluster, "node blocks").loc["IPv4", "usable"]
    assert rows(twin, "node blocks").loc["IPv6", "usable"] == rows(cluster, "node blocks").loc["IPv6", "usable"]
    assert twin.nodes["name"].tolist() == cluster.nodes["name"].tolist()
    assert set(twin.nodes["pod_cidr_ipv4_mask"].tolist()) == {26}
    assert twin.config.evidence["node_cidr_mask_sizes"] == "what if"


def test_services_keep_their_addresses(cluster: ds.Cluster) -> None:
    twin = ds.what_if(cluster, node_mask={"IPv4": 25})
    pd.testing.assert_frame_equal(twin.services.to_frame(), cluster.services.to_frame())
    assert rows(twin, "service addresses")["used"].equals(rows(cluster, "service addresses")["used"])


def test_pods_that_find_no_address_are_counted(cluster: ds.Cluster) -> None:
    twin = ds.what_if(cluster, node_mask={"IPv4": 28})
    running = int(np.isin(cluster.pods["phase"], (1, 2)).sum())
    (words,) = not_served(twin)
    assert words.endswith("pods are not served: POOL_FULL")
    assert len(twin.pods) < running


def test_labels_and_objects_come_along(cluster: ds.Cluster) -> None:
    twin = ds.what_if(cluster, node_mask={"IPv4": 25})
    assert twin.pod_labels is cluster.pod_labels
    name = cluster.pods["name"][300]
    there, here = (int(np.flatnonzero(each.pods["name"] == name)[0]) for each in (twin, cluster))
    assert twin.pods["labels"][there] == cluster.pods["labels"][here]


def test_a_lost_zone_moves_its_pods(cluster: ds.Cluster) -> None:
    twin = ds.what_if(cluster, lost_zones=["zone-a"])
    assert "zone-a" not in set(twin.nodes["zone"].tolist())
    lost = np.flatnonzero(cluster.nodes["zone"] == "zone-a")
    moved = np.isin(cluster.pods["node"], lost) & np.isin(cluster.pods["phase"], (1, 2)) & ~cluster.pods["host_network"]
    stayed = ~np.isin(cluster.pods["node"], lost)
    assert len(twin.pods) == int(stayed.sum()) + int(moved.sum())
    assert not_served(twin) == []
    assert (twin.pod_counts <= 110).all()


def test_pods_go_where_there_is_most_room() -> None:
    cluster = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/16"], max_pods=10))
    cluster.add_nodes(4, zone=["a", "b", "b", "b"])
    cluster.add_pods([0] * 5 + [1] * 8 + [2] * 6 + [3] * 7)
    twin = ds.what_if(cluster, lost_zones="a")
    # room 2, 4, 3: the second node twice (4, 3), the third (3), then 2 each: the first, the second
    assert twin.pod_counts.tolist() == [9, 9, 8]


def test_a_zone_too_many_is_said() -> None:
    cluster = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/16"], max_pods=4))
    cluster.add_nodes(2, zone=["a", "b"])
    cluster.add_pods([0] * 3 + [1] * 3)
    assert not_served(ds.what_if(cluster, lost_zones=["a"])) == [
        "2 of 3 pods of the lost zones are not served: POD_LIMIT"
    ]
    assert not_served(ds.what_if(cluster, lost_zones=["a", "b"])) == ["6 pods have no node left"]


def test_a_surge_beyond_the_blocks_leaks_and_is_said() -> None:
    cluster = ds.examples.nearly_full()
    free = int(rows(cluster, "node blocks").loc["IPv6", "free"])
    twin = ds.what_if(cluster, surge_ratio=1.0)
    refused = len(cluster.nodes) - free
    assert not_served(twin) == [
        f"{refused} of {len(cluster.nodes)} nodes of the surge are not served: CIDR_NOT_AVAILABLE"
    ]
    assert twin.leaked[ds.IPFamily.IPV4] == cluster.leaked[ds.IPFamily.IPV4] + refused


def test_one_more_service_range(cluster: ds.Cluster) -> None:
    twin = ds.what_if(cluster, service_cidr="10.112.0.0/20")
    before, after = rows(cluster, "service addresses"), rows(twin, "service addresses")
    assert after.loc["IPv4", "usable"].sum() == before.loc["IPv4", "usable"] + 4094
    assert after.loc["IPv4", "used"].sum() == before.loc["IPv4", "used"]
    assert twin.add_services(10).granted == 10


def test_a_policy_for_all(cluster: ds.Cluster) -> None:
    frame = ds.reports.difference(cluster, ds.what_if(cluster, ip_family_policy="PreferDualStack"))
    grown = frame[(frame["pool"] == "service addresses") & (frame["delta"] > 0)]
    assert grown["ip_family"].tolist() == ["IPv6"]


def test_another_plugin_places_the_same_pods(cluster: ds.Cluster) -> None:
    twin = ds.what_if(cluster, network_plugin="calico")
    assert twin.network_plugin.provenance.plugin == "calico"
    assert rows(twin, "plugin blocks").loc["IPv4", "used"] == len(twin.nodes)
    bound = (cluster.pods["node"] >= 0) & ~np.isin(cluster.pods["phase"], (3, 4)) & ~cluster.pods["host_network"]
    assert rows(twin, "pod addresses").loc["IPv4", "allocated"] == int(bound.sum())
    again = ds.what_if(twin, max_pods=50)
    assert again.network_plugin.provenance.plugin == "calico"
    assert rows(again, "pod addresses").loc["IPv4", "allocated"] == rows(twin, "pod addresses").loc["IPv4", "allocated"]


def test_changes_add_up(cluster: ds.Cluster) -> None:
    twin = ds.what_if(cluster, node_mask={"IPv4": 25}, lost_zones=["zone-b"], surge_ratio=0.1, kube_version="1.33")
    assert str(twin.config.kube_version) == "1.33"
    left = int((cluster.nodes["zone"] != "zone-b").sum())
    assert len(twin.nodes) == left + -(-left // 10)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"lost_zones": ["mars"]}, "no node is in 'mars'; the zones are zone-a"),
        ({"surge_ratio": -1}, "surge_ratio=-1"),
        ({"service_cidr": "10.0.0.0/99"}, "10.0.0.0/99"),
        ({"service_cidr": "10.112.0.0/20", "kube_version": "1.28"}, "takes no ServiceCIDR objects"),
        ({"cluster_cidrs": ["10.0.0.0/16"], "node_mask": {"IPv6": 64}}, "no IPv6 cluster CIDR"),
        ({"node_mask": {"IPv4": 8}}, "mask size of cluster CIDR must be less than or equal"),
        ({"network_plugin": "token-ring"}, "token-ring"),
    ],
)
def test_questions_that_mean_nothing_are_named(cluster: ds.Cluster, question: dict[str, object], words: str) -> None:
    with pytest.raises(ds.errors.InvalidInput) as refusal:
        ds.what_if(cluster, **question)
    assert words in str(refusal.value)
