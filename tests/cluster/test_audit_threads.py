"""Questions that people asked in public threads, with their input, and the answer the audit gives them."""

import numpy as np
import pandas as pd
import pytest

import dsmodel as ds
from dsmodel import Cluster, ClusterConfig, reports
from dsmodel.addresses.cidr import Cidr
from dsmodel.cluster.schema import NODES, PODS
from dsmodel.cluster.table import Table
from dsmodel.cni import AwsVpcCni
from dsmodel.cni.aws import Interfaces, WarmTargets, prefix_chance
from dsmodel.cni.host_local import HostLocal, read_state, write_state


def nodes(**columns):
    return Table.from_frame(NODES, pd.DataFrame(columns))


def only(frame, rule):
    found = frame[frame["rule"] == rule]
    assert len(found) == 1
    return found.iloc[0]


def test_can_i_go_from_27_to_24():
    """kubernetes/kubernetes#70957: after the mask went from /27 to /24, two nodes had overlapping podCIDRs."""
    old = ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"], node_cidr_mask_sizes={"IPv4": 27})
    cluster = Cluster(old)
    cluster.add_nodes(["a", "b", "c"])
    assert ds.check(cluster)["rule"].tolist() == ["max-pods-above-block"]

    changed = ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"], node_cidr_mask_sizes={"IPv4": 24})
    live = Cluster.from_tables(changed, nodes=cluster.nodes)
    warned = only(ds.check(live), "node-blocks-share-unit")
    assert warned["object"] == "Node/a"
    assert "podCIDR 10.244.0.0/27 lies with 2 more in one /24 unit of node IPAM, 10.244.0.0/24" in warned["message"]
    assert "deleting one of these nodes frees the whole unit" in warned["message"]
    assert "go back to the old node mask" in warned["fix"]

    # and that is what happens: one node goes, the next one gets a block over the other two
    live.remove_nodes(["a"])
    live.add_nodes(["d"])
    wrong = ds.check(live)
    wrong = wrong[wrong["rule"] == "node-pod-cidr-duplicate"]
    assert wrong["message"].tolist() == [
        "podCIDR 10.244.0.0/24 overlaps 10.244.0.32/27 of Node/b",
        "podCIDR 10.244.0.0/24 overlaps 10.244.0.64/27 of Node/c",
    ]


def test_is_max_pods_within_the_addresses_of_every_pool():
    """cloudpilot-ai/karpenter-provider-gcp#120: maxPods 225 on a pool whose block was sized for 30 pods."""
    table = nodes(
        name=["s1", "s2", "l1"],
        node_pool=["small", "small", "large"],
        pod_cidr_ipv4=["10.4.0.0/26", "10.4.0.64/26", "10.4.2.0/23"],
        allocatable_pods=[225, 225, 225],
    )
    config = ClusterConfig.of(cluster_cidrs=["10.4.0.0/14"], node_cidr_mask_sizes={"IPv4": 26})
    found = only(ds.check(Cluster.from_tables(config, nodes=table)), "max-pods-above-block")
    assert found["object"] == "NodePool/small"
    assert found["message"].startswith("225 pods against 61 usable addresses of a /26")
    assert "the smaller number is the limit" in found["fix"]


def test_what_is_my_theoretical_against_my_real_use():
    """Azure/AKS#4467: the autoscaler stops at 128 nodes of a /17 overlay, while few of its addresses are in use."""
    config = ClusterConfig.of(cluster_cidrs=["10.244.0.0/17"], max_pods=250)
    cluster = Cluster(config, network_plugin="azure")
    assert cluster.add_nodes(129).granted == 128
    cluster.add_pods(np.arange(1280) % 128)
    limits = reports.limits(cluster).set_index("pool")
    assert limits.loc["node blocks", ["usable", "used", "more_nodes"]].tolist() == [128, 128, 0]
    assert limits.loc["node blocks", "binds"]
    theory, real = limits.loc["pods per node", "usable"], limits.loc["pods per node", "used"]
    assert (theory, real) == (129 * 250, 1280)
    addresses = reports.utilization(cluster).set_index("pool").loc["pod addresses"]
    assert (addresses["usable"], addresses["allocated"], addresses["seen_on_pods"]) == (128 * 256, 1280, 1280)
    assert round(addresses["used_ratio"], 3) == 0.039


def test_which_of_the_two_numbers_is_the_limit():
    """kubernetes/kubernetes#21656, flannel-io/flannel#1309: capacity says 110 pods, the block has room for fewer."""
    config = ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"], node_cidr_mask_sizes={"IPv4": 26}, max_pods=110)
    cluster = Cluster(config)
    cluster.add_nodes(1)
    assert cluster.add_pods(np.zeros(110, np.int32)).granted == 61
    found = only(ds.check(cluster), "max-pods-above-block")
    assert found["message"] == "110 pods against 61 usable addresses of a /26 (IPv4; Node/node-0)"


def test_will_this_new_config_accept_my_existing_nodes():
    """k0sproject/k0s#5116: families in the other order, and the controller does not start any more."""
    before = ClusterConfig.of(
        cluster_cidrs=["10.244.0.0/16", "fd00::/108"], node_cidr_mask_sizes={"IPv4": 24, "IPv6": 117}
    )
    cluster = Cluster(before)
    cluster.add_nodes(["worker"])
    assert ds.check(cluster, strict=True).empty

    after = ClusterConfig.of(
        cluster_cidrs=["fd00::/108", "10.244.0.0/16"], node_cidr_mask_sizes={"IPv4": 24, "IPv6": 117}
    )
    swapped = Cluster.from_tables(after, nodes=cluster.nodes)
    found = only(ds.check(swapped), "node-pod-cidr-order")
    assert (found["severity"], found["object"]) == ("fatal", "Node/worker")
    assert "cidr 10.244.0.0/24 is out the range of cluster cidr fd00::/108" in found["message"]
    assert found["fix"].startswith("put --cluster-cidr back in the order")
    with pytest.raises(ds.errors.CheckFailed, match="out the range of cluster cidr fd00::/108"):
        ds.check(swapped, strict=True)


def test_going_back_to_one_family_stops_the_controller():
    """The same of a dual-stack cluster that loses a family; the other way round nothing is wrong but old nodes."""
    both = ClusterConfig.of(cluster_cidrs=["10.244.0.0/16", "fd00::/56"])
    one = ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"])
    cluster = Cluster(both)
    cluster.add_nodes(["worker"])
    found = only(ds.check(Cluster.from_tables(one, nodes=cluster.nodes)), "node-pod-cidr-extra")
    assert "at index:1 that does not exist in cluster cidrs configuration" in found["message"]

    single = Cluster(one)
    single.add_nodes(["old"])
    frame = ds.check(Cluster.from_tables(both, nodes=single.nodes), strict=True)
    assert frame[["rule", "object"]].to_numpy().tolist() == [["node-one-family", "Node/old"]]


def test_prefix_mode_fails_with_ample_free_addresses():
    """aws/amazon-vpc-cni-k8s#1634, #2045: how many free aligned /28s are there, rather than free addresses?"""
    config = ClusterConfig.of(cluster_cidrs=["10.0.16.0/20"], node_cidr_mask_sizes={"IPv4": 20}, max_pods=4000)
    cluster = Cluster(config)
    cluster.add_nodes(1)
    cluster.add_pods(np.zeros(4000, np.int32))
    gone = np.ones(4000, np.bool_)
    gone[::16] = False
    cluster.remove_pods(gone)
    row = reports.fragmentation(cluster, lengths=[28]).query("pool == 'pod addresses'").iloc[0]
    assert row["free"] == 4093 - 250
    assert row["free_blocks"] < 6
    assert row["expected_free_blocks"] > 80


def test_a_node_of_prefix_mode_finds_none_in_a_subnet_of_single_addresses():
    """The same on AWS itself: one address in each /28 of a subnet, as others leave behind, and no prefix for a node."""
    subnet = AwsVpcCni(
        Cidr("10.0.16.0/24"),
        interfaces=Interfaces(3, 10),
        targets=WarmTargets(prefixes=True),
        rng=np.random.default_rng(1),
    )
    subnet.pool.occupy(np.arange(8, 256, 16, dtype=np.uint64))
    cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.0.16.0/24"]), network_plugin=subnet)
    cluster.add_nodes(1)
    assert cluster.add_pods([0]).granted == 0
    row = reports.fragmentation(cluster, lengths=[28]).query("pool == 'subnet addresses'").iloc[0]
    assert (row["free"], row["free_blocks"], row["all_blocks"]) == (251 - 16 - 1, 0, 14)
    assert row["largest_free_block"].endswith("/29")
    assert row["expected_any_ratio"] == pytest.approx(float(prefix_chance(17 / 251, subnet=subnet.subnet)), abs=0.02)
    assert row["why"].startswith("aws-vpc-cni: subnet: 17 of 251 addresses in use (6.8%) leave 0 /28 without any")


def test_14_pods_and_the_range_is_full(tmp_path):
    """k3s-io/k3s#4682, #5885: host-local's files outlive their containers until no address is left."""
    plugin = HostLocal({"cniVersion": "1.0.0", "name": "cbr0", "ipam": {"ranges": [[{"subnet": "10.42.0.0/24"}]]}})
    for number in range(253):
        plugin.add(f"container-{number}")
    with pytest.raises(ds.errors.CNIError, match="no IP addresses available in range set"):
        plugin.add("one-more")
    write_state(plugin.state, tmp_path)

    state = read_state(tmp_path)
    alive = list(state["reserved"])[:14]
    pods = pd.DataFrame(
        {"namespace": "default", "name": [f"p{n}" for n in range(14)], "node": 0, "phase": "Running", "pod_ipv4": alive}
    )
    cluster = Cluster.from_tables(
        ClusterConfig.of(cluster_cidrs=["10.42.0.0/16"]),
        nodes=nodes(name=["server"], pod_cidr_ipv4=["10.42.0.0/24"]),
        pods=Table.from_frame(PODS, pods),
    )
    assert ds.check(cluster).empty  # the API knows nothing of it
    found = only(ds.check(cluster, host_local={"server": state}), "host-local-leak")
    assert found["object"] == "Node/server"
    assert found["message"].startswith(
        "host-local holds 253 addresses for 14 pods: 239 belong to containers that are gone"
    )
    assert "clear the directory at boot" in found["fix"]


def test_a_family_that_pods_do_not_show_is_no_leak():
    """projectcalico/calico#5044: an IPv6 address freed as leaked, because podIPs listed IPv4 only."""
    plugin = HostLocal(
        {
            "cniVersion": "1.0.0",
            "name": "cbr0",
            "ipam": {"ranges": [[{"subnet": "10.42.0.0/24"}], [{"subnet": "fd42::/64"}]]},
        }
    )
    plugin.add("web")
    pods = pd.DataFrame(
        {"namespace": ["default"], "name": ["web"], "node": [0], "phase": ["Running"], "pod_ipv4": ["10.42.0.2"]}
    )
    cluster = Cluster.from_tables(
        ClusterConfig.of(cluster_cidrs=["10.42.0.0/16", "fd42::/56"]),
        nodes=nodes(name=["server"], pod_cidr_ipv4=["10.42.0.0/24"], pod_cidr_ipv6=["fd42::/64"]),
        pods=Table.from_frame(PODS, pods),
    )
    assert ds.check(cluster, host_local={"server": plugin.state})["rule"].tolist() == ["pod-one-family"]


def test_the_service_range_covers_the_whole_cluster_cidr():
    """kubernetes/kubernetes#103898: the very first node fails with no remaining CIDRs."""
    cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.111.0.0/16"], service_cidrs=["10.96.0.0/12"]))
    assert cluster.add_nodes(1).granted == 0
    found = only(ds.check(cluster), "service-range-fills-cluster-cidr")
    assert found["message"].startswith("covers all 256 node blocks of the cluster CIDR 10.111.0.0/16")
