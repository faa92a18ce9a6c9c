"""Every cell of a map is what the slow reading of the same tables says it is."""

import ipaddress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsmodel as ds
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
