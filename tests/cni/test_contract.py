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
    AzureSubnet,
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
from dsmodel.cni.aws import Interfaces, WarmTargets
from dsmodel.cni.azure import Scaler
from dsmodel.cni.calico import IPPool
from dsmodel.cni.cilium import ClusterPool
from dsmodel.cni.contract import JoiningNodes, NetworkPlugin, Placement, PodCidrRole, node_rows
from dsmodel.cni.flannel import read_net_conf
from dsmodel.cni.node_ranges import pod_cidr_columns
from dsmodel.cni.whereabouts import read_ranges
from dsmodel.errors import InvalidInput, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
FAMILIES = [V4, V6]


def joined(plugin: NetworkPlugin, n: int = 3, *, first: int = 0) -> NetworkPlugin:
    """Let nodes join as a cluster does, each with podCIDRs a plugin may use or not."""
    assert plugin.join(joining(n, first=first)).all()
    return plugin


def joining(n: int, *, first: int = 0) -> JoiningNodes:
    numbers = range(first, first + n)
    columns = pod_cidr_columns([[f"10.0.{number}.0/24", f"fd00:0:0:{number}::/64"] for number in numbers])
    return JoiningNodes([f"node-{number}" for number in numbers], columns)


def leases() -> NetworkPlugin:
    networks = read_net_conf({"Network": "10.0.0.0/16", "EnableIPv6": True, "IPv6Network": "fd00::/48"})
    return FlannelLeases(networks)


PLUGINS: dict[str, Callable[[], NetworkPlugin]] = {
    "calico": lambda: Calico([IPPool("four", Cidr("10.0.0.0/16"), 26), IPPool("six", Cidr("fd00::/48"), 122)]),
    "cilium": lambda: Cilium(FAMILIES, operator=ClusterPool(["10.0.0.0/16", "fd00::/104"], {V6: 120})),
    "cilium kubernetes mode": lambda: Cilium(FAMILIES),
    "cilium multi-pool": lambda: MultiPool(ClusterPool(["10.0.0.0/16", "fd00::/112"], {V4: 27, V6: 124})),
    "ovn": lambda: OVNKubernetes("10.128.0.0/14/23,fd01::/48"),
    "aws": lambda: AwsVpcCni(Cidr("10.0.0.0/20"), interfaces=Interfaces(8, 30)),
    "aws prefixes": lambda: AwsVpcCni(
        Cidr("10.0.0.0/20"), interfaces=Interfaces(8, 30), targets=WarmTargets(prefixes=True)
    ),
    "azure overlay": lambda: AzureOverlay(FAMILIES),
    "azure node subnet": lambda: AzureSubnet([Cidr("10.0.0.0/16"), Cidr("fd00::/64")], max_pods=110),
    "azure pod subnet": lambda: AzureSubnet([Cidr("10.0.0.0/16")], scaler=Scaler()),
    "gke": lambda: GKE([Cidr("10.4.0.0/16")], ipv6_subnet=Cidr("fd00::/64"), dataplane="v2"),
    "whereabouts": lambda: Whereabouts(read_ranges({"ipRanges": [{"range": "10.0.0.0/16"}, {"range": "fd00::/64"}]})),
    "whereabouts slices": lambda: WhereaboutsSlices(Cidr("10.0.0.0/16"), 24),
    "antrea": lambda: Antrea(FAMILIES),
    "antrea ippool": lambda: AntreaIPPool("p", [(0x0A000001, 0x0A0000FE)]),
    "flannel": lambda: Flannel(FAMILIES),
    "flannel leases": leases,
    "kube-router": lambda: KubeRouter(FAMILIES),
    "kubenet": lambda: Kubenet(FAMILIES),
}
NODES_PLAY_NO_PART = {"whereabouts", "antrea ippool"}


def used(plugin: NetworkPlugin, unit: str = "addresses") -> int:
    return sum(line.used for line in plugin.usage() if line.unit == unit)


@pytest.mark.parametrize("name", PLUGINS)
def test_every_plugin_keeps_the_contract(name: str) -> None:
    plugin = joined(PLUGINS[name]())
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
    first, second = (joined(PLUGINS[name]()).place(arrivals) for _ in range(2))
    for family in first.addresses:
        assert to_integers(first.addresses[family]) == to_integers(second.addresses[family])


@pytest.mark.parametrize("name", sorted(set(PLUGINS) - NODES_PLAY_NO_PART))
def test_unknown_nodes_are_refused(name: str) -> None:
    plugin = joined(PLUGINS[name]())
    with pytest.raises(InvalidInput, match="nodes 0 to 2"):
        plugin.place([3])
    with pytest.raises(InvalidInput, match="row numbers"):
        plugin.place([0.5])
    with pytest.raises(InvalidInput, match="nodes 0 to 2"):
        plugin.remove_nodes([3])


@pytest.mark.parametrize("name", PLUGINS)
def test_nodes_join_and_leave(name: str) -> None:
    plugin, arrivals = joined(PLUGINS[name]()), np.array([0, 1, 1, 2, 2, 2])
    before, empty = plugin.nodes, [line.used for line in plugin.usage() if line.unit == "node ranges"]
    placed = plugin.place(arrivals)
    stays = arrivals != 1
    twin = plugin.copy()
    twin.release(arrivals[~stays], {family: column[~stays] for family, column in placed.addresses.items()})
    twin.remove_nodes([1])
    assert plugin.nodes == before
    assert twin.nodes == (before if name in NODES_PLAY_NO_PART else 2)
    assert (used(twin), used(plugin)) == (4 * len(plugin.ip_families), 6 * len(plugin.ip_families))
    assert [line.used for line in twin.usage() if line.unit == "node ranges"] == [count - 1 for count in empty]
    # the node behind the one that left has moved up and keeps what it has
    twin.release([1], {family: column[arrivals == 2][:1] for family, column in placed.addresses.items()})
    assert used(twin) == 3 * len(plugin.ip_families)
    joined(twin, 1, first=3)
    assert twin.place([2]).ok.all()


@pytest.mark.parametrize("name", PLUGINS)
def test_what_left_can_be_taken_again(name: str) -> None:
    plugin = PLUGINS[name]()
    for _ in range(4):
        joined(plugin)
        placed = plugin.place([0, 1, 2] * 20)
        plugin.release([0, 1, 2] * 20, placed.addresses)
        plugin.remove_nodes([2, 0, 1])
    joined(plugin)
    lines = {line.pool: line.used for line in plugin.usage() if line.unit == "node ranges"}
    assert set(lines.values()) <= {3}
    assert used(plugin) == 0


@pytest.mark.parametrize("name", PLUGINS)
def test_ranges_of_nodes_and_ranges_of_its_own(name: str) -> None:
    plugin = joined(PLUGINS[name]())
    placed = plugin.place([0, 1, 2])
    if plugin.pod_cidr_role is PodCidrRole.USED:
        assert plugin.cidrs == ()
        assert set(plugin.node_ranges) == set(plugin.ip_families)
    else:
        assert {cidr.family for cidr in plugin.cidrs} >= set(plugin.ip_families)
    for family, column in placed.addresses.items():
        for row, number in enumerate(to_integers(column)):
            homes = [cidr for cidr in plugin.cidrs if cidr.family is family]
            if family in plugin.node_ranges:
                bases, lengths = plugin.node_ranges[family]
                homes.append(Cidr.from_parts(family, to_integers(bases)[row], int(lengths[row])))
            assert all(cidr.first <= number <= cidr.last for cidr in homes[-1:]), homes


@pytest.mark.parametrize("name", sorted(set(PLUGINS) - {"antrea ippool"}))
def test_a_refused_node_stays_refused_within_a_batch(name: str) -> None:
    plugin = joined(PLUGINS[name]())
    arrivals = np.repeat([0, 1, 0, 2, 1], 400)
    ok = plugin.place(arrivals).ok
    for node in range(3):
        mine = ok[arrivals == node]
        assert (np.diff(mine.astype(np.int8)) <= 0).all()


@pytest.mark.parametrize("name", PLUGINS)
def test_every_line_says_what_it_counts(name: str) -> None:
    plugin = joined(PLUGINS[name]())
    for line in plugin.usage():
        assert line.unit in {"addresses", "node ranges", "blocks", "subnet addresses"}
        assert line.cidrs or line.pool == "node ranges"
        assert line.usable >= line.used
        if line.unit == "addresses" and plugin.node_ranges:
            assert line.per_node > 0


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
