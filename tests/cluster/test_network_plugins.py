"""A cluster with every network plugin: batches against pods one at a time, kubelets' limits, coming and going."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel import Cluster, ClusterConfig
from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cluster.network_plugins import PLUGIN_NAMES, plugin_of
from dsmodel.cni import (
    GKE,
    AntreaIPPool,
    AwsVpcCni,
    AzureOverlay,
    Calico,
    Cilium,
    FlannelLeases,
    HostLocal,
    Kubenet,
    MultiPool,
    OVNKubernetes,
    Whereabouts,
    WhereaboutsSlices,
)
from dsmodel.cni.aws import Interfaces
from dsmodel.cni.calico import IPAMConfig, IPPool
from dsmodel.cni.cilium import ClusterPool
from dsmodel.cni.contract import PodCidrRole
from dsmodel.cni.flannel import read_net_conf
from dsmodel.cni.whereabouts import read_ranges
from dsmodel.errors import InvalidConfig, InvalidField, InvalidInput, Reason

if TYPE_CHECKING:
    from dsmodel.cni import NetworkPlugin

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
DUAL = ["10.244.0.0/16", "fd00:10:244::/56"]
TIGHT = ["10.244.0.0/26", "fd00:10:244::/120"]  # node blocks of 5 and 14 pods

# each with ranges so tight that plugins refuse before and after kubelets do
TIGHT_PLUGINS: dict[str, NetworkPlugin] = {
    "aws": AwsVpcCni(Cidr("10.244.0.0/26"), interfaces=Interfaces(2, 5)),
    "antrea ippool": AntreaIPPool("p", [(0x0AF40001, 0x0AF4000C)]),
    "azure windows": AzureOverlay([V4, V6], windows=True),
    "calico": Calico([IPPool("a", Cidr("10.244.0.0/27"), 29), IPPool("b", Cidr("fd00:10:244::/123"), 124)]),
    "calico strict": Calico(
        [IPPool("a", Cidr("10.244.0.0/27"), 29), IPPool("b", Cidr("fd00:10:244::/120"), 124)],
        config=IPAMConfig(strict_affinity=True, max_blocks_per_host=1),
    ),
    "cilium": Cilium([V4, V6], operator=ClusterPool(TIGHT, {V4: 28, V6: 124})),
    "cilium multi-pool": MultiPool(ClusterPool(TIGHT, {V4: 29, V6: 126}), pre_allocate=2),
    "flannel leases": FlannelLeases(read_net_conf({"Network": "10.244.0.0/26", "SubnetLen": 28})),
    "gke": GKE([Cidr("10.244.0.0/26")], ipv6_subnet=Cidr("fd00:10:244::/80"), max_pods=8),
    "kubenet": Kubenet([V6, V4]),
    "ovn-kubernetes": OVNKubernetes("10.244.0.0/26/28"),
    "whereabouts": Whereabouts(read_ranges({"ipRanges": [{"range": "10.244.0.0/27"}, {"range": "fd00:10:244::/124"}]})),
    "whereabouts slices": WhereaboutsSlices(Cidr("10.244.0.0/26"), 28),
}
# what a batch fetches at once, single pods fetch in other pieces: which address they get differs, not whether
FETCHING = {"aws", "cilium multi-pool"}


def cluster_with(plugin: NetworkPlugin | str, cidrs: list[str] = DUAL, **config: object) -> Cluster:
    return Cluster(ClusterConfig.of(cluster_cidrs=cidrs, **config), network_plugin=plugin)  # type: ignore[arg-type]


def tight(name: str, max_pods: int) -> Cluster:
    plugin = TIGHT_PLUGINS[name]
    cidrs = [*TIGHT[:1], "fd00:10:244::/64"] if name == "gke" else TIGHT
    masks = {"IPv4": 28, "IPv6": 80 if name == "gke" else 124}
    cluster = cluster_with(plugin, cidrs, node_cidr_mask_sizes=masks, max_pods=max_pods)
    cluster.add_nodes(3)
    return cluster


def pods_of(cluster: Cluster) -> list[tuple[object, ...]]:
    frame = cluster.pods.to_frame()
    return list(frame[["node", "host_network", "pod_ipv4", "pod_ipv6"]].itertuples(index=False, name=None))


@pytest.mark.parametrize("name", PLUGIN_NAMES)
def test_every_plugin_by_its_name(name: str) -> None:
    cluster = cluster_with(name, DUAL if name != "gke" else ["10.244.0.0/16", "fd00:10:244::/64"], max_pods=64)
    assert cluster.add_nodes(4).granted == 4
    assert cluster.nodes["ready"].all()
    outcome = cluster.add_pods(np.tile(np.arange(4), 10))
    assert outcome.granted == 40
    families = [V4] if name == "aws-vpc-cni" else [V4, V6]
    for family in IPFamily:
        end = str(family).lower()
        has = cluster.pods[f"has_pod_{end}"]
        assert has.all() == has.any() == (family in families)
        column = cluster.pods[f"pod_{end}"]
        if family in families:
            assert len(set(to_integers(column))) == 40
            home = next(cidr for cidr in cluster.config.cluster_cidrs if cidr.family is family)
            assert all(home.first <= number <= home.last for number in to_integers(column))
    assert (cluster.pods["primary_ip_family"] == 4).all()
    assert cluster.remove_pods(np.arange(10)).granted == 10
    assert cluster.remove_nodes([1]).granted == 1
    assert cluster.pod_counts.sum() == len(cluster.pods)
    plugin = cluster.network_plugin
    if plugin is None:
        assert name == "host-local"
    else:
        lines = [line for line in plugin.usage() if line.unit == "addresses"]
        assert {line.used for line in lines} == {len(cluster.pods)}


@settings(max_examples=15)
@given(data=st.data())
@pytest.mark.parametrize("name", sorted(TIGHT_PLUGINS))
def test_a_batch_is_what_one_pod_after_the_other_would_be(name: str, data: st.DataObject) -> None:
    max_pods = data.draw(st.integers(2, 24))
    arrivals = np.array(data.draw(st.lists(st.integers(-1, 3), max_size=60)), np.int64)
    host = np.array(data.draw(st.lists(st.booleans(), min_size=len(arrivals), max_size=len(arrivals))), np.bool_)
    batch, single = tight(name, max_pods), tight(name, max_pods)
    outcome = batch.add_pods(arrivals, host_network=host)
    reasons = [
        int(single.add_pods([node], host_network=[alone]).reason[0])
        for node, alone in zip(arrivals.tolist(), host.tolist(), strict=True)
    ]
    assert outcome.reason.tolist() == reasons
    if name not in FETCHING:
        assert pods_of(batch) == pods_of(single)
    plugins = batch.network_plugin, single.network_plugin
    assert plugins[0] is not None
    assert plugins[1] is not None
    for one, other in zip(plugins[0].usage(), plugins[1].usage(), strict=True):
        assert (one.unit != "addresses") | (one.used == other.used)


@pytest.mark.parametrize("name", sorted(TIGHT_PLUGINS))
def test_all_that_left_can_come_again(name: str) -> None:
    cluster = tight(name, max_pods=40)
    first = cluster.add_pods([0, 1, 2] * 30)
    assert {Reason(code) for code in first.reason.tolist()} - {Reason.OK}
    before = cluster.copy()
    cluster.remove_nodes([1])
    assert len(before.pods) == first.granted
    cluster.remove_pods(np.arange(len(cluster.pods)))
    plugin = cluster.network_plugin
    assert plugin is not None
    left = plugin.leaked if isinstance(plugin, Whereabouts) else 0
    assert sum(line.used for line in plugin.usage() if line.unit == "addresses") == left
    assert cluster.add_nodes(1).granted == 1
    if name != "aws":  # its addresses rest for 30 seconds, and no time passes
        assert cluster.add_pods([0, 1, 2]).granted == 3


def test_calico_ignores_pod_cidrs_and_node_ipam_runs_dry_beside_it() -> None:
    cluster = cluster_with("calico", ["10.244.0.0/24"])
    assert cluster.add_nodes(4).granted == 4
    assert cluster.nodes["has_pod_cidr_ipv4"].tolist() == [True, False, False, False]
    assert cluster.add_pods([3, 2, 1, 0]).granted == 4


def test_a_borrowing_pod_lies_on_another_nodes_block() -> None:
    """Golden case 4 of pod address facts, through a cluster."""
    cluster = cluster_with("calico", ["10.0.0.0/25"], node_cidr_mask_sizes={"IPv4": 26})
    cluster.add_nodes(["a", "b"])
    cluster.add_pods([0, 1])
    assert cluster.add_pods([0] * 64).granted == 64
    strict = Calico([IPPool("p", Cidr("10.0.0.0/25"), 26)], config=IPAMConfig(strict_affinity=True))
    cluster = cluster_with(strict, ["10.0.0.0/25"], node_cidr_mask_sizes={"IPv4": 26})
    cluster.add_nodes(["a", "b"])
    cluster.add_pods([0, 1])
    assert cluster.add_pods([0] * 64).granted == 63


def test_gke_writes_the_pod_cidrs() -> None:
    cluster = cluster_with("gke", ["10.4.0.0/22", "fd00::/64"])
    assert cluster.node_ipam is None
    assert repr(cluster.add_nodes(5)) == "Outcome(4 OK, 1 CIDR_NOT_AVAILABLE)"
    frame = cluster.nodes.to_frame()
    assert frame["pod_cidr_ipv4"].tolist()[:2] == ["10.4.0.0/24", "10.4.1.0/24"]
    assert frame["pod_cidr_ipv6"].tolist()[1] == "fd00::1:0:0/112"
    assert not cluster.nodes["has_pod_cidr_ipv6"][4]
    with pytest.raises(InvalidInput, match="writes the podCIDRs"):
        cluster.add_nodes(1, pod_cidrs=[["10.4.0.0/24"]])


def test_labels_and_zones_reach_node_selectors() -> None:
    pools = [
        IPPool("a", Cidr("10.244.0.0/24"), 26, node_selector="topology.kubernetes.io/zone == 'a'"),
        IPPool("b", Cidr("10.244.1.0/24"), 26, node_selector="disk == 'ssd'"),
    ]
    cluster = cluster_with(Calico(pools), ["10.244.0.0/16"])
    cluster.add_nodes(2, zone=["a", ""], labels=[None, {"disk": "ssd"}])
    cluster.add_nodes(1)
    outcome = cluster.add_pods([0, 1, 2])
    assert [Reason(code) for code in outcome.reason.tolist()] == [Reason.OK, Reason.OK, Reason.FAMILY_NOT_CONFIGURED]
    assert [number >> 8 for number in to_integers(cluster.pods["pod_ipv4"])] == [0x0AF400, 0x0AF401]


def test_what_a_plugin_cannot_take_changes_nothing() -> None:
    cluster = cluster_with("calico", ["10.244.0.0/16"])
    with pytest.raises(InvalidField, match="strictAffinity"):
        cluster.add_nodes(1, labels={"kubernetes.io/os": "windows"})
    assert len(cluster.nodes) == 0
    assert cluster.add_nodes(1).granted == 1
    assert cluster.nodes.to_frame()["pod_cidr_ipv4"].tolist() == ["10.244.0.0/24"]


def test_copies_do_not_touch_each_other() -> None:
    mine = Calico([IPPool("p", Cidr("10.244.0.0/24"), 26)])
    cluster = cluster_with(mine, ["10.244.0.0/16"])
    cluster.add_nodes(2)
    twin = cluster.copy()
    twin.add_pods([0, 1])
    assert mine.nodes == 0
    used = [sum(line.used for line in each.network_plugin.usage()) for each in (cluster, twin)]  # type: ignore[union-attr]
    assert used == [0, 4]  # two addresses, two blocks


BAD: list[tuple[object, list[str], dict[str, object], str, str]] = [
    ("weave", DUAL, {}, "network_plugin 'weave': use one of antrea", "no such name"),
    ("calico", [], {}, "no cluster CIDR to derive", "nothing to derive from"),
    ("calico", ["10.0.0.0/27"], {"IPv4": 28}, "smaller than one block", "a pool below a block"),
    ("cilium", ["fd00::/32"], {"IPv6": 48, "IPv4": 24}, "", "fits: 16 bits"),
    ("ovn-kubernetes", ["fd00::/48"], {"IPv6": 60}, "IPv6 host subnets are /64", "host length"),
    ("aws-vpc-cni", ["fd00::/48"], {}, "needs an IPv4 cluster CIDR", "pods of AWS are IPv4"),
    ("gke", ["10.0.0.0/16", "fd00::/112"], {"IPv6": 120}, "every node takes an IPv6 /96", "subnet too small"),
    ("kubenet", ["10.0.0.0/24"], {"IPv4": 31}, "serves no pod from a node block of /31", "host-local refuses it"),
    (Kubenet([V4, V6]), ["10.0.0.0/16"], {}, "gives pods IPv6 addresses", "a family without cluster CIDR"),
    (Calico([IPPool("p", Cidr("192.168.0.0/16"), 26)]), ["10.0.0.0/16"], {}, "outside --cluster-cidr", "Tigera's rule"),
    (OVNKubernetes("10.128.0.0/14/23"), ["10.128.0.0/16"], {}, "outside --cluster-cidr", "wider than the cluster"),
]


@pytest.mark.parametrize(("plugin", "cidrs", "masks", "words", "why"), BAD, ids=[row[-1] for row in BAD])
def test_what_does_not_fit_is_named(
    plugin: NetworkPlugin, cidrs: list[str], masks: dict[str, int], words: str, why: str
) -> None:
    del why
    config = ClusterConfig.of(cluster_cidrs=cidrs, node_cidr_mask_sizes=masks)
    if not words:
        assert Cluster(config, network_plugin=plugin).network_plugin is not None
        return
    with pytest.raises(InvalidConfig, match=words):
        Cluster(config, network_plugin=plugin)


def test_what_is_no_plugin_is_named() -> None:
    config = ClusterConfig.of(cluster_cidrs=DUAL)
    network = {
        "cniVersion": "1.0.0",
        "name": "n",
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.0.0.0/24"}]]},
    }
    with pytest.raises(InvalidInput, match="network_plugin of type HostLocal"):
        plugin_of(config, HostLocal(network))  # type: ignore[arg-type]
    busy = Kubenet([V4])
    busy.add_ranges({V4: (np.zeros(2, np.uint32), np.zeros(2, np.uint8))})
    with pytest.raises(InvalidInput, match="has 2 nodes already"):
        plugin_of(config, busy)


def test_a_plugin_that_serves_beside_leaves_the_first_network_alone() -> None:
    ranges = read_ranges({"range": "192.168.0.0/24"})
    cluster = cluster_with(Whereabouts(ranges), DUAL)
    assert cluster.network_plugin is not None
    assert cluster.network_plugin.pod_cidr_role is PodCidrRole.BESIDE
    cluster.add_nodes(1)
    assert cluster.nodes["has_pod_cidr_ipv6"].all()
    cluster.add_pods([0])
    assert cluster.pods.to_frame()["pod_ipv4"].tolist() == ["192.168.0.1"]
