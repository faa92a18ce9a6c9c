"""Blocks and ranges of plugins belong to whom the plugin says."""

from __future__ import annotations

import numpy as np
import pytest

from dsmodel import Cluster, ClusterConfig
from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cluster.spaces import KEPT, NOBODY, held_blocks, plugin_spaces
from dsmodel.cni import AwsVpcCni, Cilium, FlannelLeases, MultiPool, OVNKubernetes
from dsmodel.cni.aws import Interfaces
from dsmodel.cni.calico import read_calico
from dsmodel.cni.cilium import ClusterPool
from dsmodel.cni.flannel import read_net_conf

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
CONFIG = ClusterConfig.of(
    cluster_cidrs=["10.244.0.0/20", "fd00:10:244::/60"], node_cidr_mask_sizes={"IPv4": 26, "IPv6": 64}
)


@pytest.mark.parametrize("name", ["antrea", "calico", "cilium", "flannel", "kube-router", "kubenet", "ovn-kubernetes"])
def test_every_pod_lies_in_a_block_of_its_node(name: str) -> None:
    """Few pods a node, so that Calico need not borrow."""
    cluster = Cluster(CONFIG, network_plugin=name)
    cluster.add_nodes(6)
    cluster.add_pods(np.random.default_rng(5).integers(0, 6, 100))
    cluster.remove_nodes([2])
    assert cluster.network_plugin is not None
    for family in cluster.network_plugin.ip_families:
        held = held_blocks(cluster.network_plugin, family)
        pairs = zip(to_integers(held.bases), held.prefix_lengths.tolist(), strict=True)
        blocks = [Cidr.from_parts(family, first, length) for first, length in pairs]
        column = cluster.pods["pod_ipv4" if family is V4 else "pod_ipv6"]
        for address, node in zip(to_integers(column), cluster.pods["node"].tolist(), strict=True):
            homes = [place for place, block in enumerate(blocks) if block.first <= address <= block.last]
            assert [int(held.nodes[place]) for place in homes] == [node]


def test_cidrs_of_nodes_that_are_gone_are_of_nobody() -> None:
    """The operator knows a CiliumNode whose Node is gone."""
    operator = ClusterPool(["10.0.0.0/24"], {V4: 26})
    operator.occupy(V4, [Cidr("10.0.0.64/26")])
    cilium = Cilium([V4], operator=operator)
    cilium.add_nodes(2)
    space = next(iter(plugin_spaces(cilium)))
    assert space.holders is not None
    assert dict(zip(to_integers(space.taken), space.holders.tolist(), strict=True)) == {
        0x0A000000: 0,
        0x0A000040: NOBODY,
        0x0A000080: 1,
    }
    assert (space.used, space.free) == (3, 1)


def test_a_nodes_several_cidrs_are_its_own() -> None:
    pool = MultiPool(ClusterPool(["10.0.0.0/24"], {V4: 27}), nodes=2)
    pool.place([0] * 31 + [1])
    held = held_blocks(pool, V4)
    texts = pool.node_cidrs(V4)
    own = [f"{Cidr.from_parts(V4, first, 27)}" for first in to_integers(held.bases)]
    assert [texts[node].count(text) for text, node in zip(own, held.nodes.tolist(), strict=True)] == [1] * len(own)
    assert [space.kind for space in plugin_spaces(pool)] == ["plugin blocks", "pod addresses"]


def test_what_plugins_skip_is_kept() -> None:
    ovn = OVNKubernetes("10.128.0.0/24/26,fd01::/48")
    ovn.add_nodes(2)
    spaces = {space.family: space for space in plugin_spaces(ovn) if space.kind == "node blocks"}
    holders = spaces[V6].holders
    assert holders is not None
    assert holders.tolist() == [KEPT, 0, 1]
    assert (spaces[V6].usable, spaces[V6].used) == (65535, 2)
    networks = read_net_conf({"Network": "10.0.0.0/24", "SubnetLen": 26})
    flannel = FlannelLeases(networks, rng=np.random.default_rng(0))
    flannel.add_nodes(["192.0.2.1"])
    space = next(iter(plugin_spaces(flannel)))
    assert space.holders is not None
    assert sorted(space.holders.tolist()) == [KEPT, 0]
    assert (space.usable, space.used, space.free) == (3, 1, 2)


def test_interfaces_and_warm_addresses_of_aws_are_their_nodes() -> None:
    aws = AwsVpcCni(Cidr("10.0.0.0/24"), interfaces=Interfaces(3, 4), rng=np.random.default_rng(0))
    aws.add_nodes(2)
    held = held_blocks(aws, V4)
    assert set(held.prefix_lengths.tolist()) == {32}
    assert np.bincount(held.nodes).tolist() == [4, 4]  # an interface's own address and three more
    assert sorted(to_integers(held.bases)) == sorted(0x0A000000 + offset for offset in aws.pool.used_offsets().tolist())
    assert len(held_blocks(aws, V6).bases) == 0


def test_free_of_calico_is_that_of_its_own_count_when_a_reservation_covers_a_block_that_exists() -> None:
    """Of four blocks one is there and covered, one is only covered; two may still be claimed."""
    version = "crd.projectcalico.org/v1"
    block = {"cidr": "10.0.0.0/28", "affinity": "host:a", "allocations": [0, *[None] * 15], "attributes": [{}]}
    calico, _ = read_calico(
        [
            {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "a"}},
            {"kind": "IPPool", "apiVersion": version, "metadata": {"name": "p"}}
            | {"spec": {"cidr": "10.0.0.0/26", "blockSize": 28}},
            {"kind": "IPReservation", "apiVersion": version, "metadata": {"name": "r"}}
            | {"spec": {"reservedCIDRs": ["10.0.0.0/27"]}},
            {"kind": "IPAMBlock", "apiVersion": version, "metadata": {"name": "b"}}
            | {"spec": block | {"unallocated": list(range(1, 16))}},
        ]
    )
    spaces = {space.kind: space for space in plugin_spaces(calico)}
    lines = {line.unit: line for line in calico.usage()}
    assert (lines["blocks"].usable, lines["blocks"].used, lines["blocks"].reserved) == (3, 1, 1)
    assert spaces["plugin blocks"].free == lines["blocks"].free == 2
    assert spaces["pod addresses"].free == lines["addresses"].free
