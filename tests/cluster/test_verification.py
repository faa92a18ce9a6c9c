"""The model agrees with real dumps, and says where a cluster was made by other means."""

import numpy as np
import pandas as pd
import pytest

import dsmodel as ds
from dsmodel import Cluster, ClusterConfig, examples
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.network_plugins import PLUGIN_NAMES
from dsmodel.cluster.schema import NODES, PODS, SERVICES
from dsmodel.cluster.table import Table
from dsmodel.io.samples import SAMPLES, sample_path

# what a dump cannot tell the model: a deleted node's gap, and an address that was asked for
EXPLAINED = {
    "node blocks, IPv4: those a fresh controller hands out first",
    "node blocks, IPv6: those a fresh controller hands out first",
    "service addresses, IPv4: above the static band",
}


def rows(cluster):
    frame = ds.verify(cluster)
    return {row.what: row for row in frame.itertuples()}


@pytest.mark.parametrize(
    "example", [examples.kubeadm_dual_stack, examples.single_stack_ipv4, examples.ipv6_first, examples.nearly_full]
)
def test_a_made_cluster_agrees_in_everything(example):
    frame = ds.verify(example())
    assert (frame["match_ratio"] == 1).all()
    assert (frame["first_difference"] == "").all()
    assert (frame["matching"] == frame["checked"]).all()


@pytest.mark.parametrize("name", SAMPLES)
def test_real_dumps_agree(name):
    frame = ds.verify(ds.read_cluster(sample_path(name)))
    differs = frame[frame["match_ratio"] < 1]
    assert set(differs["what"]) <= EXPLAINED
    assert (differs["match_ratio"] > 0.9).all()
    assert (differs["first_difference"] != "").all()
    assert (frame["why"] != "").all()


def test_the_first_difference_names_the_object():
    found = rows(ds.read_cluster(sample_path("nearly-full")))
    row = found["service addresses, IPv4: above the static band"]
    assert row.first_difference == "Service/kube-system/kube-dns: 10.96.0.10"
    assert row.checked - row.matching == 1


def test_another_plugin_shows():
    config = ClusterConfig.of(cluster_cidrs=["10.244.0.0/16", "fd00:10:244::/56"])
    nodes = pd.DataFrame(
        {
            "name": ["a", "b"],
            "pod_cidr_ipv4": ["10.244.9.0/26", "10.244.1.0/24"],
            "pod_cidr_ipv6": ["fd00:10:244:9::/64", "fd00:10:244:a::/64"],
            "primary_ip_family": "IPv4",
        }
    )
    pods = pd.DataFrame(
        {
            "namespace": "default",
            "name": ["gateway", "far", "steps", "turned"],
            "node": [0, 0, 1, 1],
            "phase": "Running",
            "pod_ipv4": ["10.244.9.1", "10.7.0.1", "10.244.1.5", "10.244.1.6"],
            "pod_ipv6": ["fd00:10:244:9::7", "fd00:10:244:9::8", "fd00:10:244:a::9", "fd00:10:244:a::6"],
            "primary_ip_family": ["IPv4", "IPv4", "IPv4", "IPv6"],
        }
    )
    cluster = Cluster.from_tables(config, nodes=Table.from_frame(NODES, nodes), pods=Table.from_frame(PODS, pods))
    found = rows(cluster)
    assert found["node blocks, IPv4: one block of the cluster CIDR each"].first_difference == "Node/a: 10.244.9.0/26"
    assert found["node blocks, IPv4: those a fresh controller hands out first"].matching == 1
    assert found["node blocks, IPv6: those a fresh controller hands out first"].matching == 0
    row = found["pod addresses, IPv4: of the node's block, not its network, gateway or broadcast"]
    assert (row.matching, row.first_difference) == (2, "Pod/default/gateway: 10.244.9.1")
    row = found["pod addresses: both families at the same place of their block"]
    assert (row.checked, row.matching) == (3, 1)
    assert row.first_difference == "Pod/default/gateway: 10.244.9.1 and fd00:10:244:9::7"
    row = found["pod addresses: podIP of the node's primary family"]
    assert (row.checked, row.first_difference) == (4, "Pod/default/turned: podIP is IPv6")


def test_services_made_by_other_rules_show():
    config = ClusterConfig.of(service_cidrs=["10.96.0.0/24", "fd00:10:96::/112"])
    frame = pd.DataFrame(
        {
            "namespace": "default",
            "name": ["outside", "one", "order"],
            "type": "ClusterIP",
            "ip_family_policy": ["SingleStack", "RequireDualStack", "RequireDualStack"],
            "ip_families": ["IPv4", "IPv4,IPv6", "IPv6,IPv4"],
            "cluster_ipv4": ["10.97.0.1", "10.96.0.30", "10.96.0.31"],
            "cluster_ipv6": [None, None, "fd00:10:96::200"],
            "primary_ip_family": ["IPv4", "IPv4", "IPv4"],
        }
    )
    ports = np.array([30001, 31000, 40000])
    found = rows(Cluster.from_tables(config, services=Table.from_frame(SERVICES, frame), node_ports=ports))
    assert found["service addresses, IPv4: usable addresses of a range"].first_difference.endswith("10.97.0.1")
    assert found["service addresses: as many as the ipFamilyPolicy asks for"].matching == 2
    assert found["service addresses: clusterIP of the first of ipFamilies"].matching == 2
    assert (found["node ports: of the range"].matching, found["node ports: above the static band"].matching) == (2, 1)


def test_an_empty_cluster_has_nothing_to_check():
    frame = ds.verify(Cluster(ClusterConfig.of()))
    assert frame.empty
    assert frame.columns.tolist() == ["what", "checked", "matching", "match_ratio", "first_difference", "why"]


@pytest.mark.parametrize("name", PLUGIN_NAMES)
def test_a_made_cluster_agrees_with_its_plugin(name):
    ranges = ["10.0.0.0/16", "fd00::/64" if name == "gke" else "fd00::/56"]
    cluster = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=ranges), network_plugin=name)
    cluster.add_nodes(3)
    cluster.add_pods([0, 1, 2, 2])
    frame = ds.verify(cluster)
    assert (frame["match_ratio"] == 1).all()
    assert frame["what"].str.startswith("pod addresses").any()


def test_a_pod_that_no_block_knows_is_the_first_difference():
    cluster = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/16"]), network_plugin="calico")
    cluster.add_nodes(1)
    cluster.add_pods([0, 0], names=["a", "b"])
    cluster.network_plugin.release([0], {IPFamily.IPV4: cluster.pods["pod_ipv4"][1:]})
    row = ds.verify(cluster).set_index("what").loc["pod addresses, IPv4: allocated in a block"]
    assert (row["checked"], row["matching"]) == (2, 1)
    assert row["first_difference"].startswith("Pod/default/b: 10.0.")
