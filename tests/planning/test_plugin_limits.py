"""What runs out first where a network plugin gives the addresses, and that each row's count is right when tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dsmodel import Cluster, ClusterConfig, reports
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni import GKE, AwsVpcCni, AzureOverlay, Calico, Cilium, MultiPool, OVNKubernetes, Whereabouts
from dsmodel.cni.aws import Interfaces
from dsmodel.cni.calico import IPAMConfig, IPPool
from dsmodel.cni.cilium import ClusterPool
from dsmodel.cni.whereabouts import read_ranges
from dsmodel.planning.limits import binding, limits_of
from dsmodel.planning.plugin_limits import plugin_rows, pods_a_node

if TYPE_CHECKING:
    from dsmodel.cni import NetworkPlugin
    from dsmodel.planning.limits import Limit

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
STRICT = IPAMConfig(strict_affinity=True)


def cluster_of(plugin: NetworkPlugin | str, cidrs: str, *, nodes: int, pods: int, max_pods: int = 110) -> Cluster:
    masks = {"IPv4": min(30, 4 + int(cidrs.split(",", maxsplit=1)[0].split("/")[1])), "IPv6": 64}
    config = ClusterConfig.of(cluster_cidrs=cidrs.split(","), max_pods=max_pods, node_cidr_mask_sizes=masks)
    cluster = Cluster(config, network_plugin=plugin)
    cluster.add_nodes(nodes)
    cluster.add_pods(np.arange(pods) % nodes)
    return cluster


def rows(cluster: Cluster) -> dict[tuple[str, str], Limit]:
    return {(limit.pool, str(limit.family or "")): limit for limit in limits_of(cluster)}


CASES = [
    (
        Calico([IPPool("p", Cidr("10.0.0.0/24"), 26)], config=STRICT),
        "10.0.0.0/24",
        {"nodes": 3, "pods": 6},
        ("plugin blocks", "IPv4"),
        "four blocks for three nodes: the fourth node is the last that runs pods",
    ),
    (
        Calico([IPPool("p", Cidr("10.0.0.0/24"), 26)]),
        "10.0.0.0/24",
        {"nodes": 3, "pods": 128},
        ("pod addresses", "IPv4"),
        "without strict affinity nodes borrow, and addresses run out",
    ),
    (
        OVNKubernetes("10.0.0.0/20/23"),
        "10.0.0.0/20",
        {"nodes": 6, "pods": 60},
        ("node blocks", "IPv4"),
        "eight host subnets",
    ),
    (
        GKE([Cidr("10.0.0.0/22")]),
        "10.0.0.0/22",
        {"nodes": 3, "pods": 300},
        ("node blocks", "IPv4"),
        "four nodes of a /24, whatever their pods: the deploy.live story in small",
    ),
    (
        Cilium([V4, V6], operator=ClusterPool(["10.0.0.0/16", "fd00::/62"], {V6: 64})),
        "10.0.0.0/16,fd00::/62",
        {"nodes": 3, "pods": 3},
        ("node blocks", "IPv6"),
        "four IPv6 CIDRs against 256 of IPv4",
    ),
    (
        AwsVpcCni(Cidr("10.0.0.0/24"), interfaces=Interfaces(3, 10)),
        "10.0.0.0/24",
        {"nodes": 4, "pods": 40},
        ("subnet addresses", "IPv4"),
        "251 addresses, and interfaces hold warm ones too",
    ),
    (
        Whereabouts(read_ranges({"range": "10.0.0.0/26"})),
        "10.0.0.0/16",
        {"nodes": 2, "pods": 50},
        ("pod addresses", "IPv4"),
        "one range for all nodes",
    ),
    (
        MultiPool(ClusterPool(["10.0.0.0/24"], {V4: 28})),
        "10.0.0.0/24",
        {"nodes": 3, "pods": 30},
        ("plugin blocks", "IPv4"),
        "sixteen CIDRs, and every node holds some ready",
    ),
]


@pytest.mark.parametrize(("plugin", "cidrs", "sizes", "bound", "why"), CASES, ids=[row[-1] for row in CASES])
def test_what_runs_out_first(
    plugin: NetworkPlugin, cidrs: str, sizes: dict[str, int], bound: tuple[str, str], why: str
) -> None:
    del why
    cluster = cluster_of(plugin, cidrs, **sizes)
    limits = limits_of(cluster)
    place = binding(limits)
    assert place is not None
    assert (limits[place].pool, str(limits[place].family or "")) == bound
    assert all(limit.why.endswith(".") for limit in limits)
    assert bool(reports.limits(cluster)["binds"].any())


def test_nodes_that_still_fit_do() -> None:
    for plugin in (
        OVNKubernetes("10.0.0.0/20/23"),
        GKE([Cidr("10.0.0.0/22")]),
        Cilium([V4], operator=ClusterPool(["10.0.0.0/22"])),
        AzureOverlay([V4]),
    ):
        cluster = cluster_of(plugin, "10.0.0.0/20", nodes=2, pods=2)
        more = rows(cluster)["node blocks", "IPv4"].more_nodes
        assert more is not None
        assert cluster.copy().add_nodes(more + 2).granted == more, plugin.provenance.plugin


def test_pods_that_still_fit_do() -> None:
    plugin = Calico([IPPool("p", Cidr("10.0.0.0/24"), 26)])
    cluster = cluster_of(plugin, "10.0.0.0/24", nodes=2, pods=20, max_pods=250)
    more = rows(cluster)["pod addresses", "IPv4"].more_pods
    assert more == 236
    assert cluster.copy().add_pods([0, 1] * 200).granted == more


def test_node_ipam_beside_calico_stops_nothing() -> None:
    """projectcalico/calico#7722, kubernetes/kubernetes#85866: it runs dry and nobody needs it."""
    cluster = cluster_of("calico", "10.0.0.0/20,fd00::/60", nodes=20, pods=20)
    assert ("node blocks", "IPv4") not in rows(cluster)
    frame = reports.utilization(cluster)
    dry = frame[(frame["pool"] == "node blocks") & (frame["ip_family"] == "IPv4")].iloc[0]
    assert (dry["free"], "which calico ignores" in dry["why"]) == (0, True)


def test_the_line_a_user_with_13_percent_in_use_needed() -> None:
    """projectcalico/calico#7382: a /20 in /26 blocks, 64 nodes, 462 pods, and the 65th node has no block."""
    strict = Calico([IPPool("p", Cidr("10.0.0.0/20"), 26)], config=STRICT)
    cluster = cluster_of(strict, "10.0.0.0/20", nodes=64, pods=462)
    limit = rows(cluster)["plugin blocks", "IPv4"]
    assert (limit.usable, limit.used, limit.more_nodes) == (64, 64, 0)
    used = rows(cluster)["pod addresses", "IPv4"]
    assert used.usable is not None
    assert round(used.used / used.usable, 2) == 0.11  # 13 % with the 64 tunnel addresses
    assert limit.growth_ratio == 1
    cluster.add_nodes(1)
    assert cluster.add_pods([64]).granted == 0


@pytest.mark.parametrize(
    ("plugin", "most"),
    [
        (None, None),
        (Calico([IPPool("p", Cidr("10.0.0.0/16"), 26)]), 1280),
        (Calico([IPPool("p", Cidr("10.0.0.0/16"), 29)]), 160),
        (AwsVpcCni(Cidr("10.0.0.0/16"), interfaces=Interfaces(3, 10)), 29),
        (GKE([Cidr("10.0.0.0/16")], max_pods=32), 32),
        (AzureOverlay([V4]), 250),
    ],
    ids=["host-local", "Calico /26", "Calico /29", "AWS m5.large", "GKE for 32", "Azure overlay"],
)
def test_pods_of_one_node_whatever_the_kubelet_admits(plugin: NetworkPlugin | None, most: int | None) -> None:
    assert pods_a_node(plugin)[0] == most


def test_small_blocks_stop_a_node_below_its_kubelet() -> None:
    """The /29 row of the capacity table: 250 pods need 32 blocks, and 20 is the limit."""
    plugin = Calico([IPPool("p", Cidr("10.0.0.0/16"), 29)])
    cluster = cluster_of(plugin, "10.0.0.0/16", nodes=1, pods=250, max_pods=250)
    assert len(cluster.pods) == 160
    limit = rows(cluster)["pods per node", ""]
    assert (limit.usable, limit.free) == (160, 0)
    assert "20 blocks" in limit.why


def test_what_nodes_fetch_as_they_need_it_is_no_limit() -> None:
    aws = cluster_of(AwsVpcCni(Cidr("10.0.0.0/20"), interfaces=Interfaces(3, 10)), "10.0.0.0/20", nodes=2, pods=20)
    assert [row.pool for row in plugin_rows(aws)] == ["subnet addresses"]
    assert rows(aws)["pods per node", ""].usable == 2 * 29
    assert aws.copy().add_pods([0, 1] * 30).granted == 2 * 27 - 20
    pool = cluster_of(MultiPool(ClusterPool(["10.0.0.0/24"], {V4: 28})), "10.0.0.0/24", nodes=2, pods=2)
    assert [row.pool for row in plugin_rows(pool)] == ["plugin blocks"]


def test_without_a_plugin_there_are_no_rows() -> None:
    assert plugin_rows(cluster_of("host-local", "10.0.0.0/16", nodes=1, pods=1)) == []
