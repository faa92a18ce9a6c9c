"""What binds first: cases with their arithmetic by hand."""

import math

import numpy as np
import pytest

import dsmodel as ds
from dsmodel.planning.limits import binding, limits_of, waiting_nodes


def cluster_of(nodes=0, pods_per_node=0, services=0, **config):
    rng = np.random.default_rng(0)
    cluster = ds.Cluster(ds.ClusterConfig.of(**config))
    cluster.add_nodes(nodes)
    if pods_per_node:
        cluster.add_pods(np.repeat(np.arange(nodes), pods_per_node))
    if services:
        cluster.add_services(services, rng=rng)
    return cluster


def rows(cluster):
    return {(limit.pool, str(limit.family or "")): limit for limit in limits_of(cluster)}


def bound(cluster):
    limits = limits_of(cluster)
    place = binding(limits)
    return None if place is None else (limits[place].pool, str(limits[place].family or ""))


DUAL = {"cluster_cidrs": "10.244.0.0/16,fd00:10:244::/56", "service_cidrs": "10.96.0.0/16,fd00:10:96::/112"}


@pytest.mark.parametrize(
    ("config", "size", "expected", "why"),
    [
        ({"cluster_cidrs": "10.0.0.0/24"}, {}, ("node blocks", "IPv4"), "a /24 cluster of /24 nodes is one node"),
        ({"cluster_cidrs": "10.42.0.0/16,fd01::/64"}, {}, ("node blocks", "IPv6"), "one IPv6 block against 256"),
        (DUAL, {}, ("node blocks", "IPv4"), "256 blocks each: the first of equals"),
        (DUAL, {"nodes": 10}, ("node blocks", "IPv4"), "pods and services are not in use"),
        (
            {**DUAL, "service_cidrs": "10.96.0.0/27,fd00:10:96::/112"},
            {"nodes": 2, "services": 20},
            ("service addresses", "IPv4"),
            "30 / 21 Services is 1.4 times, 256 / 2 nodes 128 times",
        ),
        (
            {**DUAL, "max_pods": 30},
            {"nodes": 128, "pods_per_node": 30},
            ("node blocks", "IPv4"),
            "full kubelets do not stop a cluster that can add as many nodes again",
        ),
        (
            {**DUAL, "max_pods": 30},
            {"nodes": 256, "pods_per_node": 30},
            ("node blocks", "IPv4"),
            "blocks and kubelets are both full: the first of equals",
        ),
        ({}, {}, None, "no range at all"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_what_binds(config, size, expected, why):
    assert bound(cluster_of(**size, **config)) == expected, why


def test_a_service_range_inside_the_cluster_cidr_costs_blocks():
    limit = rows(cluster_of(cluster_cidrs="10.244.0.0/16", service_cidrs="10.244.0.0/20"))["node blocks", "IPv4"]
    assert (limit.usable, limit.used, limit.more_nodes) == (240, 0, 240)
    assert "less 16 that a service range covers" in limit.why


def test_waiting_nodes_are_demand():
    cluster = cluster_of(nodes=5, cluster_cidrs="10.244.0.0/22,fd00::/62")
    assert waiting_nodes(cluster) == 1
    limit = rows(cluster)["node blocks", "IPv4"]
    assert limit.growth_ratio == 4 / 5
    assert "and 1 node without podCIDR waits" in limit.why


def test_leaked_blocks_are_not_free():
    cluster = cluster_of(cluster_cidrs="10.244.0.0/16,fd00::/63")
    cluster.add_nodes(5)
    ipv4 = rows(cluster)["node blocks", "IPv4"]
    lost = cluster.leaked[ds.IPFamily.IPV4]
    assert lost == 3
    assert (ipv4.used, ipv4.more_nodes) == (2 + lost, 256 - 2 - lost)
    assert "3 of them lost until kube-controller-manager restarts" in ipv4.why


@pytest.mark.parametrize(
    ("cidrs", "usable"),
    [
        ((), 254),
        (("10.97.0.0/25",), 254 + 126),
        (("10.96.0.0/23",), 510),
        (("10.96.0.0/26",), 254),
    ],
    ids=["flags only", "another range", "a range around it", "a range inside it"],
)
def test_service_ranges_of_a_family_serve_together(cidrs, usable):
    config = {"service_cidrs": "10.96.0.0/24", "extra_service_cidrs": cidrs}
    assert rows(cluster_of(**config))["service addresses", "IPv4"].usable == usable


def test_a_range_of_a_slash_64_cannot_run_out():
    limit = rows(cluster_of(service_cidrs="10.96.0.0/16,fd00::/64"))["service addresses", "IPv6"]
    assert (limit.usable, limit.free, limit.more_services) == (None, None, None)
    assert limit.growth_ratio == math.inf


def test_published_thresholds_never_bind():
    limits = limits_of(ds.examples.nearly_full())
    assert {limit.pool for limit in limits if not limit.enforced} == {
        "published: nodes",
        "published: pods",
        "published: services",
    }
    assert limits[binding(limits)].enforced


def test_each_row_alone_says_how_many_more_fit_and_that_many_do():
    cluster = cluster_of(nodes=2, services=5, cluster_cidrs="10.244.0.0/21", service_cidrs="10.96.0.0/28")
    found = rows(cluster)
    more = found["node blocks", "IPv4"].more_nodes
    assert cluster.copy().add_nodes(more + 3).granted == more == 6
    more = found["service addresses", "IPv4"].more_services
    assert cluster.copy().add_services(more + 3, rng=np.random.default_rng(1)).granted == more == 8
    more = found["pods per node", ""].more_pods
    assert cluster.copy().add_pods(np.repeat([0, 1], 200)).granted == more == 220


def test_every_row_has_a_cause():
    for limit in limits_of(ds.examples.nearly_full()):
        assert limit.why.endswith(".")
        assert any(character.isdigit() for character in limit.why)


def test_a_guessed_range_says_at_least_and_does_not_bind():
    config = ds.ClusterConfig.of(
        cluster_cidrs="10.244.0.0/23",
        service_cidrs="10.96.0.0/16",
        evidence={"cluster_cidrs": "guess: 10.244.0.0/23 is the smallest block that covers 2 podCIDRs"},
    )
    cluster = ds.Cluster(config)
    cluster.add_nodes(2)
    limit = rows(cluster)["node blocks", "IPv4"]
    assert (limit.usable, limit.used, limit.more_nodes) == (2, 2, None)
    assert limit.why.startswith("At least: ")
    assert math.isnan(limit.growth_ratio)
    assert bound(cluster) == ("service addresses", "IPv4")


def test_routes_of_a_cloud_stop_dual_stack_nodes_at_half() -> None:
    config = ds.ClusterConfig.of(
        cluster_cidrs=["10.0.0.0/12", "fd00::/48"], node_cidr_mask_sizes={"IPv4": 24, "IPv6": 64}
    )
    cluster = ds.Cluster(config)
    cluster.add_nodes(150)
    frame = ds.reports.limits(cluster, cloud="azure-kubenet").set_index("pool")
    row = frame.loc["cloud routes"]
    assert row[["usable", "used", "more_nodes", "binds"]].tolist() == [400, 300, 50, True]
    assert "200 nodes at most" in row["why"]
    assert "cloud routes" not in set(ds.reports.limits(cluster)["pool"])


def test_an_unknown_cloud_is_named() -> None:
    with pytest.raises(ds.errors.InvalidInput, match="azure-kubenet, gcp-static-routes"):
        ds.reports.limits(ds.examples.nearly_full(), cloud="nimbus")
