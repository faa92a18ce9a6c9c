"""Free aligned blocks are those a loop over addresses counts, and the formula is what random use leaves."""

import ipaddress

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel import Cluster, ClusterConfig, errors, examples, reports
from dsmodel.cluster.schema import SERVICES
from dsmodel.cluster.table import Table


def services_at(cidr, offsets):
    network = ipaddress.ip_network(cidr)
    column = f"cluster_ipv{network.version}"
    frame = pd.DataFrame({"namespace": "default", "name": [f"s{i}" for i in offsets]})
    frame[column] = [str(network[i]) for i in offsets]
    return Cluster.from_tables(ClusterConfig.of(service_cidrs=[cidr]), services=Table.from_frame(SERVICES, frame))


def slow_free_blocks(cidr, used, length):
    """Count blocks by looking at every address."""
    network = ipaddress.ip_network(cidr)
    taken = {network[offset] for offset in used} | {network[0]}
    if network.version == 4:
        taken.add(network[-1])
    return [block for block in network.subnets(new_prefix=length) if not any(address in taken for address in block)]


@given(
    st.sampled_from(["10.96.0.0/24", "10.96.0.0/26", "fd00::/120", "10.96.128.0/25"]),
    st.lists(st.integers(1, 62), unique=True, max_size=40),
    st.integers(26, 32),
)
@settings(max_examples=60)
def test_free_blocks_are_those_of_a_loop(cidr, used, length):
    bits = ipaddress.ip_network(cidr).max_prefixlen
    length += bits - 32
    frame = reports.fragmentation(services_at(cidr, used), lengths=[length])
    row = frame[frame["pool"] == "service addresses"].iloc[0]
    expected = slow_free_blocks(cidr, used, length)
    assert row["free_blocks"] == len(expected)
    assert row["all_blocks"] == len(slow_free_blocks(cidr, [], length))
    lengths = range(ipaddress.ip_network(cidr).prefixlen, bits + 1)
    largest = next((found for n in lengths if (found := slow_free_blocks(cidr, used, n))), None)
    assert row["largest_free_block"] == (str(largest[0]) if largest else "")


def test_prefix_mode_fails_with_ample_free_addresses():
    """A range at 31 % load, one address in every /28: 177 addresses are free and not one /28."""
    used = sorted({16 * block + 3 for block in range(16)} | set(range(33, 97)) - {48, 64, 80})
    frame = reports.fragmentation(services_at("10.0.16.0/24", used), lengths=[28])
    row = frame.iloc[0]
    assert row["free"] > 170
    assert (row["free_blocks"], row["all_blocks"]) == (0, 14)
    assert "addresses in use" in row["why"]


def test_the_golden_number_of_a_random_subnet():
    """At 30 % load a /28 is free with probability 0.33 %, so a /24 of 16 has one about 5 % of the time."""
    assert round(0.7**16, 4) == 0.0033
    used = np.random.default_rng(1).choice(np.arange(1, 65535), size=round(65534 * 0.3), replace=False).tolist()
    row = reports.fragmentation(services_at("10.0.0.0/16", used), lengths=[28]).iloc[0]
    assert row["expected_free_blocks"] == pytest.approx(4094 * 0.7**16, rel=1e-3)
    assert row["expected_any_ratio"] == pytest.approx(1, abs=1e-4)
    assert abs(row["free_blocks"] - row["expected_free_blocks"]) < 5 * row["expected_free_blocks"] ** 0.5
    small = reports.fragmentation(services_at("10.0.0.0/24", list(range(1, 77))), lengths=[28]).iloc[0]
    assert small["expected_any_ratio"] == pytest.approx(0.05, abs=0.01)


def test_random_use_leaves_what_the_formula_expects():
    rng = np.random.default_rng(7)
    counts = []
    for _ in range(60):
        used = rng.choice(np.arange(1, 1023), size=102, replace=False).tolist()
        row = reports.fragmentation(services_at("10.0.0.0/22", used), lengths=[28]).iloc[0]
        counts.append(int(row["free_blocks"]))
    assert np.mean(counts) == pytest.approx(row["expected_free_blocks"], abs=4 * np.std(counts) / 60**0.5)


def test_a_full_family_has_no_block_and_an_empty_pool_all():
    frame = reports.fragmentation(examples.nearly_full())
    full = frame[(frame["pool"] == "node blocks") & (frame["ip_family"] == "IPv6")].iloc[0]
    assert (full["free"], full["free_blocks"], full["largest_free_block"]) == (0, 0, "")
    assert full["expected_any_ratio"] == 0
    empty = reports.fragmentation(Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/16", "fd00::/48"])))
    blocks = empty[empty["pool"] == "node blocks"]
    assert (blocks["free_blocks"] == blocks["all_blocks"]).all()
    assert blocks["largest_free_block"].unique().tolist() == ["10.244.0.0/16", "fd00::/48"]
    assert (blocks["expected_free_blocks"] == blocks["all_blocks"]).all()


def test_a_service_range_in_the_cluster_cidr_is_never_free():
    config = ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"], service_cidrs=["10.244.1.0/28"])
    row = reports.fragmentation(Cluster(config), lengths=[24]).iloc[0]
    assert (row["free_blocks"], row["all_blocks"], row["largest_free_block"]) == (255, 255, "10.244.128.0/17")


def test_nodes_of_one_length_are_counted_together():
    cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"]))
    cluster.add_nodes(3)
    cluster.add_pods([0] * 30)
    row = reports.fragmentation(cluster, lengths=[28]).query("pool == 'pod addresses'").iloc[0]
    assert (row["range"], row["free"]) == ("3 x /24", 3 * 253 - 30)
    # pods fill .2 to .31 of one node; first and last /28 of every node hold addresses that are never given
    assert (row["free_blocks"], row["all_blocks"]) == (3 * 14 - 1, 3 * 14)
    assert row["largest_free_block"] == "10.244.0.64/26"


def test_nothing_to_show_is_an_empty_frame_with_its_columns():
    frame = reports.fragmentation(Cluster(ClusterConfig.of()))
    assert frame.empty
    assert str(frame["free"].dtype) == "Int64"
    assert frame.columns[-1] == "why"


def test_a_length_that_is_none_is_refused():
    with pytest.raises(errors.InvalidInput, match="/129 is no prefix length"):
        reports.fragmentation(Cluster(ClusterConfig.of()), lengths=[129])


def test_a_range_wider_than_its_allocator_says_so():
    cluster = Cluster(ClusterConfig.of(kube_version="1.20", service_cidrs=["fd00::/108"]))
    row = reports.fragmentation(cluster).iloc[0]
    assert row["range"] == "fd00::/108, of which the first /112 is handed out"
    assert (row["prefix_length"], row["free_blocks"], row["all_blocks"]) == (120, 255, 255)
