"""Golden cases about node blocks, through a cluster; and the index of all golden cases of pods' addresses.

1 host-local in a /29 and a /126, 2 node IPAM's cursor and mixed masks, 3 a family with one block, 4 Calico borrows,
5 Calico's limit, 6 Calico's queue, 7 Calico on Windows, 8 host subnets of OVN-Kubernetes, 9 Cilium's demand, 10 GKE's
blocks, 11 pods of AWS instances, 12 Azure's batches, 13 Whereabouts in a /30 and a /126.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dsmodel import Cluster, ClusterConfig
from dsmodel.errors import CIDRNotAvailable
from dsmodel.kube.node_ipam import NodeIPAM

TESTS = Path(__file__).parent.parent


def test_golden_2_a_freed_block_comes_back_after_a_lap() -> None:
    cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.0.0.0/22"]))
    cluster.add_nodes(["0", "1", "2"])
    cluster.remove_nodes(["0"])
    assert cluster.add_nodes(["3", "4", "5"]).ok.tolist() == [True, True, False]
    frame = cluster.nodes.to_frame().set_index("name")["pod_cidr_ipv4"]
    assert (frame["3"], frame["4"]) == ("10.0.3.0/24", "10.0.0.0/24")  # 3 and not 0, then 0, then full


def test_golden_2_two_small_blocks_share_a_unit_and_one_frees_it() -> None:
    cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.0.0.0/22"]))
    cluster.add_nodes(["a", "b"], pod_cidrs=[["10.0.0.0/27"], ["10.0.0.32/27"]])
    assert cluster.node_ipam is not None
    assert cluster.node_ipam.sets[0].used == 1
    cluster.remove_nodes(["a"])
    assert cluster.node_ipam.sets[0].used == 0
    cluster.add_nodes(["c"])
    assert cluster.nodes.to_frame()["pod_cidr_ipv4"].tolist() == ["10.0.0.32/27", "10.0.0.0/24"]


def test_golden_3_the_scarce_family_drains_the_other() -> None:
    cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/16", "fd00::/64"]))
    assert cluster.add_nodes(2).ok.tolist() == [True, False]
    ipam = cluster.node_ipam
    assert isinstance(ipam, NodeIPAM)
    assert ipam.sets[0].free == 254
    ipam.add_many(254)  # the attempts that follow lose a block of the healthy family each
    assert (ipam.sets[0].free, ipam.leaked) == (0, (255, 0))
    with pytest.raises(CIDRNotAvailable, match="idx:0"):  # and the innocent one is named
        ipam.add("x")


def test_every_golden_case_is_a_test_with_its_number() -> None:
    named = {
        int(number)
        for path in TESTS.rglob("test_*.py")
        for number in re.findall(r"^def test_golden_(\d+)_", path.read_text(), re.MULTILINE)
    }
    assert named == set(range(1, 14))
