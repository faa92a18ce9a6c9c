from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dsmodel.addresses.arrays import family_of, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni import (
    GKE,
    PROVENANCES,
    Antrea,
    AntreaIPPool,
    AwsVpcCni,
    AzureOverlay,
    Calico,
    Cilium,
    Flannel,
    FlannelLeases,
    Kubenet,
    KubeRouter,
    MultiPool,
    OVNKubernetes,
    Whereabouts,
    WhereaboutsSlices,
)
from dsmodel.cni.aws import Interfaces
from dsmodel.cni.calico import IPPool
from dsmodel.cni.cilium import ClusterPool
from dsmodel.cni.contract import NetworkPlugin, Placement, node_rows
from dsmodel.cni.flannel import read_net_conf
from dsmodel.cni.node_ranges import pod_cidr_columns
from dsmodel.cni.whereabouts import read_ranges
from dsmodel.errors import InvalidInput, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from dsmodel.cni.range_plugin import RangePlugin

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
FAMILIES = [V4, V6]


def ranged(plugin: RangePlugin) -> RangePlugin:
    plugin.add_ranges(pod_cidr_columns([[f"10.0.{n}.0/24", f"fd00:0:0:{n}::/64"] for n in range(3)]))
    return plugin


def calico() -> NetworkPlugin:
    plugin = Calico([IPPool("four", Cidr("10.0.0.0/16"), 26), IPPool("six", Cidr("fd00::/48"), 122)])
    plugin.add_nodes(["a", "b", "c"])
    return plugin


def cilium() -> NetworkPlugin:
    plugin = Cilium(FAMILIES, operator=ClusterPool(["10.0.0.0/16", "fd00::/104"], {V6: 120}))
    plugin.add_nodes(3)
    return plugin


def multi_pool() -> NetworkPlugin:
    plugin = MultiPool(ClusterPool(["10.0.0.0/16", "fd00::/112"], {V4: 27, V6: 124}))
    plugin.add_nodes(3)
    return plugin


def ovn() -> NetworkPlugin:
    plugin = OVNKubernetes("10.128.0.0/14/23,fd01::/48")
    plugin.add_nodes(3)
    return plugin


def aws() -> NetworkPlugin:
    plugin = AwsVpcCni(Cidr("10.0.0.0/20"), interfaces=Interfaces(8, 30))
    plugin.add_nodes(3)
    return plugin


def gke() -> NetworkPlugin:
    plugin = GKE([Cidr("10.4.0.0/16")], ipv6_subnet=Cidr("fd00::/64"), dataplane="v2")
    plugin.add_nodes(3)
    return plugin


def leases() -> NetworkPlugin:
    networks = read_net_conf({"Network": "10.0.0.0/16", "EnableIPv6": True, "IPv6Network": "fd00::/48"})
    plugin = FlannelLeases(networks)
    plugin.add_nodes(["a", "b", "c"])
    return plugin


def slices() -> NetworkPlugin:
    plugin = WhereaboutsSlices(Cidr("10.0.0.0/16"), 24)
    plugin.add_nodes(3)
    return plugin


PLUGINS: dict[str, Callable[[], NetworkPlugin]] = {
    "calico": calico,
    "cilium": cilium,
    "cilium multi-pool": multi_pool,
    "ovn": ovn,
    "aws": aws,
    "azure overlay": lambda: ranged(AzureOverlay(FAMILIES)),
    "gke": gke,
    "whereabouts": lambda: Whereabouts(read_ranges({"ipRanges": [{"range": "10.0.0.0/16"}, {"range": "fd00::/64"}]})),
    "whereabouts slices": slices,
    "antrea": lambda: ranged(Antrea(FAMILIES)),
    "antrea ippool": lambda: AntreaIPPool("p", [(0x0A000001, 0x0A0000FE)]),
    "flannel": lambda: ranged(Flannel(FAMILIES)),
    "flannel leases": leases,
    "kube-router": lambda: ranged(KubeRouter(FAMILIES)),
    "kubenet": lambda: ranged(Kubenet(FAMILIES)),
}


def used(plugin: NetworkPlugin) -> int:
    """Addresses of pods; lines that count node blocks hold what nodes have."""
    blocks = {"node CIDRs", "host subnets", "alias ranges", "leases", "subnet"}
    return sum(line.used for line in plugin.usage() if line.pool not in blocks)


@pytest.mark.parametrize("name", PLUGINS)
def test_every_plugin_keeps_the_contract(name: str) -> None:
    plugin = PLUGINS[name]()
    arrivals = np.array([2, 0, 1, 0, 0, 2] * 10)
    placed = plugin.place(arrivals)
    assert placed.ok.all()
    assert (placed.reason == Reason.OK).all()
    assert tuple(placed.addresses) == plugin.ip_families
    for family, column in placed.addresses.items():
        assert family_of(column) is family
        assert len(set(to_integers(column))) == len(arrivals)
    assert used(plugin) == len(arrivals) * len(plugin.ip_families)
    twin = plugin.copy()
    twin.release(arrivals, placed.addresses)
    twin.release(arrivals, placed.addresses)
    assert (used(twin), used(plugin)) == (0, len(arrivals) * len(plugin.ip_families))
    assert all(line.free >= 0 for line in plugin.usage())
    assert plugin.place([]).placed == 0


@pytest.mark.parametrize("name", PLUGINS)
def test_the_same_batch_gives_the_same_answer(name: str) -> None:
    arrivals = [0, 1, 2, 2, 0]
    first, second = (PLUGINS[name]().place(arrivals) for _ in range(2))
    for family in first.addresses:
        assert to_integers(first.addresses[family]) == to_integers(second.addresses[family])


@pytest.mark.parametrize("name", set(PLUGINS) - {"whereabouts", "antrea ippool"})
def test_unknown_nodes_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="nodes 0 to 2"):
        PLUGINS[name]().place([3])
    with pytest.raises(InvalidInput, match="row numbers"):
        PLUGINS[name]().place([0.5])


def test_every_plugin_says_where_its_rules_come_from() -> None:
    named = {row.plugin for row in PROVENANCES}
    assert len(named) == len(PROVENANCES) == 12
    for name, make in PLUGINS.items():
        row = make().provenance
        assert row.plugin.split(",")[0] in named, name
        assert row.version
        assert row.files


def test_nothing_placed_yet() -> None:
    record = Placement.nothing(2, FAMILIES, Reason.POOL_FULL)
    assert (record.placed, record.ok.tolist(), list(record.addresses)) == (0, [False, False], FAMILIES)
    assert node_rows([], known=0).tolist() == []
