"""Every cell of a map is what the slow reading of the same tables says it is."""

import ipaddress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsmodel as ds
from dsmodel.cni import AwsVpcCni, Calico, Cilium
from dsmodel.cni.aws import Interfaces, WarmTargets
from dsmodel.cni.calico import IPPool
from dsmodel.cni.cilium import ClusterPool
from dsmodel.reports.maps import KINDS, address_map

CONFIG = ds.ClusterConfig.of(
    cluster_cidrs=["10.244.0.0/20", "fd00:10:244::/60"],
    service_cidrs=["10.244.8.0/25", "fd00:10:96::/121"],
    node_cidr_mask_sizes={"IPv4": 25, "IPv6": 64},
)


def made(nodes: int, pods: int) -> ds.Cluster:
    cluster = ds.Cluster(CONFIG)
    cluster.add_nodes(nodes)
    cluster.add_pods(np.arange(pods) % max(nodes, 1)) if nodes else None
    cluster.add_services(5, ip_family_policy="PreferDualStack")
    return cluster


def slow_cells(cluster: ds.Cluster, within: str, cells: int) -> list[tuple[str, int]]:
    """Kind and addresses in use of each cell, one address and one range at a time."""
    whole = ipaddress.ip_network(within)
    answer = []
    end = "ipv4" if whole.version == 4 else "ipv6"
    held = [ipaddress.ip_network(str(text)) for text in cluster.nodes.to_frame()[f"pod_cidr_{end}"].dropna()]
    pods, services = cluster.pods.to_frame()[f"pod_{end}"], cluster.services.to_frame()[f"cluster_{end}"]
    taken = [ipaddress.ip_address(str(text)) for text in [*pods.dropna(), *services.dropna()]]
    own = [ipaddress.ip_network(str(cidr)) for cidr in cluster.config.cluster_cidrs]
    service = [ipaddress.ip_network(str(cidr)) for cidr in cluster.config.service_cidrs]

    def touches(networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network], block: object) -> bool:
        return any(network.version == whole.version and network.overlaps(block) for network in networks)

    for block in whole.subnets(prefixlen_diff=cells.bit_length() - 1):
        kind = "free" if touches(own, block) else "outside"
        kind = "node block" if touches(held, block) else kind
        if touches(service, block):
            kind = "reserved" if kind != "outside" else "dynamic band"
        answer.append((kind, sum(address in block for address in taken)))
    return answer


@pytest.mark.parametrize("within", ["10.244.0.0/20", "10.244.4.0/22", "10.244.0.0/16", "10.244.0.64/26"])
@settings(max_examples=6, deadline=None)
@given(nodes=st.integers(0, 16), pods=st.integers(0, 60))
def test_cells_agree_with_the_slow_reading(within: str, nodes: int, pods: int) -> None:
    cluster = made(nodes, pods)
    frame = address_map(cluster, within, cells=16)
    assert list(zip(frame["kind"], frame["used"], strict=True)) == slow_cells(cluster, within, 16)


def test_ipv6_wider_than_64_bits() -> None:
    frame = address_map(made(16, 40), "fd00:10:244::/60", cells=4096)
    assert set(frame["kind"]) == {"node block"}
    assert frame["used"].sum() == 40
    assert frame["owner"].nunique() == 16
    assert frame["block"].iloc[256] == "fd00:10:244:1::/72"


def test_leaked_blocks_are_told_from_free_ones() -> None:
    cluster = made(16, 0)
    cluster.add_nodes(2)  # IPv6 has no block left: the IPv4 ones are lost
    kinds = address_map(cluster, "10.244.0.0/20", cells=64)["kind"].value_counts()
    assert kinds["leaked"] == 2 * 2  # two /25 blocks of two /26 cells


def test_bands_of_a_service_range() -> None:
    frame = address_map(made(1, 0), "fd00:10:96::/121", cells=64)
    assert list(dict.fromkeys(frame["kind"])) == ["static band", "dynamic band"]


def test_a_name_lies_above_everything() -> None:
    frame = address_map(made(2, 0), "10.244.0.0/20", cells=16, named={"office": "10.244.1.0/24"})
    assert frame.loc[1, ["kind", "owner"]].tolist() == ["named", "office"]
    assert frame["kind"].cat.categories.tolist() == list(KINDS)


def test_a_block_around_the_range_fills_it() -> None:
    frame = address_map(made(2, 4), "10.244.0.0/27", cells=16)
    assert set(frame["kind"]) == {"node block"}
    assert set(frame["owner"]) == {"node-0"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"cells": 0}, "one cell or more"),
        ({"within": "10.0.0.0/33"}, "10.0.0.0/33"),
        ({"named": {"x": "nonsense"}}, "nonsense"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ds.errors.InvalidInput, match=words):
        address_map(made(1, 0), **arguments)


def test_without_any_range_one_must_be_named() -> None:
    with pytest.raises(ds.errors.InvalidInput, match=r"10\.0\.0\.0/8"):
        address_map(ds.Cluster(ds.ClusterConfig.of()))


# with a network plugin ----------------------------------------------------------------------------------------------

POOL = "10.244.4.0/22"


def with_calico(nodes: int, pods: list[int], gone: int) -> ds.Cluster:
    """Blocks of 16 in a quarter of the cluster CIDR, the second eighth of which is reserved; some pods go again."""
    pools = [IPPool("v4", ds.Cidr(POOL), 28)]
    calico = Calico(pools, reservations=[ds.Cidr("10.244.4.128/25")], ip_families=[ds.IPFamily.IPV4])
    cluster = ds.Cluster(CONFIG, network_plugin=calico)
    cluster.add_nodes(nodes)
    cluster.add_pods([node % nodes for node in pods])
    cluster.remove_pods(np.arange(min(gone, len(cluster.pods))))
    return cluster


def slow_calico_cells(cluster: ds.Cluster, within: str, cells: int) -> list[tuple[str, str, int]]:
    """Kind, owner and addresses in use of each cell: Calico's own list of blocks, one range at a time."""
    assert isinstance(cluster.network_plugin, Calico)
    listed = cluster.network_plugin.blocks(ds.IPFamily.IPV4)
    blocks = [
        (ipaddress.ip_network(str(cidr)), owner) for cidr, owner in zip(listed["cidr"], listed["node"], strict=True)
    ]
    frame = cluster.nodes.to_frame()
    own = [ipaddress.ip_network(str(text)) for text in frame["pod_cidr_ipv4"].dropna()]
    taken = [ipaddress.ip_address(str(text)) for text in cluster.pods.to_frame()["pod_ipv4"].dropna()]
    pool, whole = ipaddress.ip_network(POOL), ipaddress.ip_network(within)
    answer = []
    for block in whole.subnets(prefixlen_diff=cells.bit_length() - 1):
        kind, owner = "outside", ""
        if block.overlaps(ipaddress.ip_network("10.244.0.0/20")):
            kind, owner = "free", "10.244.0.0/20"
        names = [name for name, cidr in zip(frame["name"], own, strict=True) if cidr.overlaps(block)]
        kind, owner = ("node block", names[0]) if names else (kind, owner)
        if block.overlaps(pool):
            kind, owner = "free", POOL
        if block.overlaps(ipaddress.ip_network("10.244.4.128/25")):
            kind, owner = "reserved", "calico: v4"
        held = [name for cidr, name in blocks if cidr.overlaps(block)]
        if held:
            kind, owner = "node block", held[0] or ""
        if block.overlaps(ipaddress.ip_network("10.244.8.0/25")):
            kind, owner = "reserved", "10.244.8.0/25"
        answer.append((kind, owner, sum(address in block for address in taken)))
    return answer


@pytest.mark.parametrize("within", ["10.244.4.0/22", "10.244.0.0/20", "10.244.4.0/24", "10.244.4.32/29"])
@settings(max_examples=10, deadline=None)
@given(nodes=st.integers(1, 6), pods=st.lists(st.integers(0, 5), max_size=120), gone=st.integers(0, 60))
def test_calico_cells_agree_with_its_list_of_blocks(within: str, nodes: int, pods: list[int], gone: int) -> None:
    cluster = with_calico(nodes, pods, gone)
    cells = 4 if within.endswith("/29") else 64
    frame = address_map(cluster, within, cells=cells)
    found = list(zip(frame["kind"], frame["owner"], frame["used"], strict=True))
    expected = slow_calico_cells(cluster, within, cells)
    services = cluster.services.to_frame()["cluster_ipv4"].dropna().astype(str)
    assert not any(ipaddress.ip_address(text) in ipaddress.ip_network(POOL) for text in services)
    used = {
        str(n): sum(ipaddress.ip_address(t) in n for t in services) for n in map(ipaddress.ip_network, frame["block"])
    }
    assert found == [(k, o, u + used[text]) for (k, o, u), text in zip(expected, frame["block"], strict=True)]


def test_a_block_whose_node_is_gone_stays_without_owner() -> None:
    cluster = with_calico(3, [0, 1, 2], 0)
    node = int(cluster.pods["node"][0])
    owner = cluster.nodes["name"][node]
    assert owner in set(address_map(cluster, POOL, cells=64)["owner"])
    cluster.remove_nodes([node])
    frame = address_map(cluster, POOL, cells=64)
    assert owner not in set(frame["owner"])
    assert (frame["kind"] == "node block").sum() == 2
    assert frame.loc[frame["kind"] == "node block", "why"].str.startswith("what a node has from calico").all()


def test_cidrs_of_cilium_nodes_that_are_gone_are_leaked() -> None:
    operator = ClusterPool(["10.244.0.0/24"], {ds.IPFamily.IPV4: 26})
    cilium = Cilium([ds.IPFamily.IPV4], operator=operator)
    cilium.operator.occupy(ds.IPFamily.IPV4, [ds.Cidr("10.244.0.64/26")])  # type: ignore[union-attr]
    cluster = ds.Cluster(CONFIG, network_plugin=cilium)
    cluster.add_nodes(2)
    frame = address_map(cluster, "10.244.0.0/24", cells=4)
    assert frame["kind"].tolist() == ["node block", "leaked", "node block", "free"]
    assert frame["owner"].tolist() == ["node-0", "cilium: node CIDRs", "node-1", "10.244.0.0/24"]


def test_prefixes_and_interfaces_of_aws_are_their_nodes() -> None:
    aws = AwsVpcCni(ds.Cidr("10.244.1.0/24"), interfaces=Interfaces(3, 10), targets=WarmTargets(prefixes=True))
    cluster = ds.Cluster(CONFIG, network_plugin=aws)
    cluster.add_nodes(2)
    cluster.add_pods([0] * 20)
    frame = address_map(cluster, "10.244.1.0/24", cells=256)
    assert isinstance(cluster.network_plugin, AwsVpcCni)
    held = frame["kind"] == "node block"
    assert held.sum() == cluster.network_plugin.pool.used == 2 + 4 * 16
    assert frame.loc[held, "owner"].value_counts().to_dict() == {"node-0": 1 + 3 * 16, "node-1": 1 + 16}
    assert frame.loc[~held, "kind"].unique().tolist() == ["free"]
