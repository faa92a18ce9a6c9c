"""Free aligned blocks are those a loop over addresses counts, and the formula is what random use leaves."""

import ipaddress
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel import Cluster, ClusterConfig, errors, examples, reports
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cluster.schema import SERVICES
from dsmodel.cluster.spaces import Space
from dsmodel.cluster.table import Table
from dsmodel.cni import AntreaIPPool, AwsVpcCni, Calico, FlannelLeases, WhereaboutsSlices
from dsmodel.cni.aws import Interfaces, WarmTargets, prefix_chance
from dsmodel.cni.calico import IPAMConfig, IPPool
from dsmodel.cni.flannel import read_net_conf
from dsmodel.reports.blocks import _levels


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


# pools of network plugins -------------------------------------------------------------------------------------------

CONFIG = ClusterConfig.of(
    cluster_cidrs=["10.244.0.0/22", "fd00:10:244::/60"], node_cidr_mask_sizes={"IPv4": 26, "IPv6": 64}
)


ONE_FAMILY = ClusterConfig.of(cluster_cidrs=["10.244.0.0/20"])
ON_RANGES = ["antrea", "azure", "cilium", "flannel", "gke", "kube-router", "kubenet", "ovn-kubernetes"]


def slow_largest(network, closed, length):
    """Name the first of the largest blocks, down to a length, that touches nothing."""
    for n in range(network.prefixlen, length + 1):
        for block in network.subnets(new_prefix=n):
            if not any(block.overlaps(part) for part in closed):
                return str(block)
    return ""


@given(
    st.sampled_from(["10.0.0.0/25", "fd00::/121"]),
    st.lists(st.integers(0, 127), max_size=30),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 127)), max_size=4),
    st.integers(0, 7),
)
@settings(max_examples=150, deadline=None)
def test_closed_parts_of_any_width_count_as_their_addresses_do(cidr, offsets, parts, longer):
    network, whole = ipaddress.ip_network(cidr), Cidr(cidr)
    bits = network.max_prefixlen
    closed = []
    for shorter, offset in parts:
        part = Cidr.from_parts(whole.family, whole.first + offset, bits - shorter, host_bits="mask")
        if not any(part.overlaps(other) for other in closed):
            closed.append(part)
    column = np.array([whole.first & 0xFFFFFFFF], np.uint32)
    if whole.family is IPFamily.IPV6:
        column = Table(SERVICES, {}).take(np.zeros(0, np.intp))["cluster_ipv6"]
        column = np.zeros(1, column.dtype)
        column["hi"], column["lo"] = whole.first >> 64, whole.first & (1 << 64) - 1
    taken = np.repeat(column, len(offsets))
    if whole.family is IPFamily.IPV6:
        taken["lo"] += np.array(offsets, np.uint64)
    else:
        taken = taken + np.array(offsets, np.uint32)
    space = Space("pod addresses", "", column, whole.prefix_length, bits, taken, taken[:0], 128, 0, 0, tuple(closed))
    counts, largest = _levels(space, taken)
    busy = [ipaddress.ip_network(f"{network[offset]}/{bits}") for offset in offsets]
    busy += [ipaddress.ip_network(str(part)) for part in closed]
    length = whole.prefix_length + longer
    blocks = network.subnets(new_prefix=length)
    assert counts[length] == sum(any(block.overlaps(part) for part in busy) for block in blocks)
    assert largest == slow_largest(network, busy, bits)


def slow_space(cidr, length, taken):
    """Count the blocks of a range that nothing lies in, one by one, and name the first of the largest."""
    busy = [ipaddress.ip_network(text) for text in taken]
    network = ipaddress.ip_network(cidr)
    free = sum(not any(block.overlaps(part) for part in busy) for block in network.subnets(new_prefix=length))
    return free, slow_largest(network, busy, length)


def churned(plugin, pods=300, nodes=8):
    """Place pods and take every third back."""
    cluster = Cluster(CONFIG, network_plugin=plugin)
    cluster.add_nodes(nodes)
    cluster.add_pods(np.random.default_rng(3).integers(0, nodes, pods))
    cluster.remove_pods(np.arange(0, len(cluster.pods), 3))
    return cluster


def test_calico_blocks_and_addresses_are_what_its_blocks_say():
    cluster = churned("calico")
    frame = reports.fragmentation(cluster, lengths=[24, 26, 28])
    blocks = frame[(frame["pool"] == "plugin blocks") & (frame["ip_family"] == "IPv4")].set_index("prefix_length")
    held = cluster.network_plugin.blocks(IPFamily.IPV4)["cidr"]
    for length in (24, 26):
        assert blocks.loc[length, "free_blocks"] == slow_space("10.244.0.0/22", length, held)[0]
        assert blocks.loc[length, "largest_free_block"] == slow_space("10.244.0.0/22", 26, held)[1]
    assert blocks.loc[26, "free"] == 16 - len(held)
    assert blocks.loc[26, "why"].startswith("calico: default-ipv4-ippool: 8 of 16 plugin blocks in use")
    addresses = frame[(frame["pool"] == "pod addresses") & (frame["ip_family"] == "IPv4")].set_index("prefix_length")
    taken = cluster.pods.to_frame()["pod_ipv4"].astype(str).tolist()
    assert addresses.loc[28, "free_blocks"] == slow_space("10.244.0.0/22", 28, taken)[0]
    assert addresses.loc[28, "free"] == 1024 - len(taken)


def test_calico_reservations_and_disabled_pools_are_never_free():
    pools = [IPPool("a", Cidr("10.244.0.0/24"), 26), IPPool("b", Cidr("10.244.1.0/24"), 26, disabled=True)]
    cluster = Cluster(
        CONFIG, network_plugin=Calico(pools, reservations=[Cidr("10.244.0.0/25"), Cidr("10.244.0.224/28")])
    )
    frame = reports.fragmentation(cluster, lengths=[26, 28])
    blocks = frame[frame["pool"] == "plugin blocks"]
    assert blocks["free_blocks"].tolist() == [2, 0]
    assert blocks["free"].tolist() == [2, 0]
    assert blocks["largest_free_block"].tolist() == ["10.244.0.128/25", ""]
    addresses = frame[(frame["pool"] == "pod addresses") & (frame["prefix_length"] == 28)]
    assert addresses["free_blocks"].tolist() == [7, 0]
    assert addresses["free"].tolist() == [112, 0]


def test_a_subnet_of_aws_agrees_with_the_chance_of_a_prefix():
    """Many warm addresses in single mode: what is left for prefixes, and what the formula of ipamd's docs expects."""
    plugin = AwsVpcCni(Cidr("10.244.0.0/22"), interfaces=Interfaces(3, 10), rng=np.random.default_rng(2))
    cluster = Cluster(CONFIG, network_plugin=plugin)
    cluster.add_nodes(20)
    cluster.add_pods(np.arange(300) % 20)
    row = reports.fragmentation(cluster, lengths=[28]).query("pool == 'subnet addresses'").iloc[0]
    used = cluster.network_plugin.pool.used
    offsets = cluster.network_plugin.pool.used_offsets().tolist()
    texts = [str(ipaddress.ip_address("10.244.0.0") + offset) for offset in (*offsets, 0, 1, 2, 3, 1023)]
    assert row["free_blocks"] == slow_space("10.244.0.0/22", 28, texts)[0]
    assert row["largest_free_block"] == slow_space("10.244.0.0/22", 32, texts)[1]
    assert row["free"] == 1019 - used
    load = used / 1019
    assert row["all_blocks"] == 62
    assert row["expected_free_blocks"] == pytest.approx(62 * (1 - load) ** 16)
    any_of_64 = float(prefix_chance(load, subnet=plugin.subnet))
    assert 1 - (1 - row["expected_any_ratio"]) ** (64 / 62) == pytest.approx(any_of_64)


def test_prefixes_of_aws_fill_whole_28s():
    plugin = AwsVpcCni(Cidr("10.244.0.0/24"), interfaces=Interfaces(3, 10), targets=WarmTargets(prefixes=True))
    cluster = Cluster(CONFIG, network_plugin=plugin)
    cluster.add_nodes(3)
    cluster.add_pods([0] * 17)
    row = reports.fragmentation(cluster, lengths=[28]).iloc[-1]
    bases, lengths, nodes = cluster.network_plugin.holdings()
    held = [f"{ipaddress.ip_address(base)}/{n}" for base, n in zip(bases.tolist(), lengths.tolist(), strict=True)]
    assert lengths.tolist().count(28) == 5
    assert nodes[lengths == 28].tolist().count(0) == 3
    assert row["free_blocks"] == slow_space("10.244.0.0/24", 28, [*held, "10.244.0.0/30", "10.244.0.255"])[0]


@pytest.mark.parametrize("name", ["cilium", "ovn-kubernetes", "gke"])
def test_ranges_that_a_plugin_cuts_for_nodes(name):
    cluster = Cluster(
        CONFIG if name != "gke" else ClusterConfig.of(cluster_cidrs=["10.244.0.0/20"]), network_plugin=name
    )
    cluster.add_nodes(9)
    cluster.remove_nodes([1, 4])
    frame = reports.fragmentation(cluster)
    own = frame[frame["why"].str.startswith(cluster.network_plugin.provenance.plugin)]
    cuts = own[own["pool"] == "node blocks"]
    assert set(cuts["ip_family"]) == ({"IPv4", "IPv6"} if name != "gke" else {"IPv4"})
    for row in cuts.itertuples():
        length = int(row.range.split("/")[-1].split()[0])
        if row.prefix_length != length:
            continue
        family = IPFamily(row.ip_family)
        bases, lengths = cluster.network_plugin.node_ranges[family]
        text = [str(Cidr.from_parts(family, n, length)) for n in integers(bases)]
        assert (row.free_blocks, row.largest_free_block) == slow_space(row.range.split()[0], length, text)
        assert row.free == row.free_blocks
        assert set(lengths.tolist()) == {length}
    line = next(line for line in cluster.network_plugin.usage() if line.unit == "node ranges")
    assert cuts[cuts["prefix_length"] == cuts["prefix_length"].max()]["free"].notna().all()
    assert line.free == int(cuts[cuts["ip_family"] == "IPv4"]["free"].iloc[0])


def integers(column):
    """Return addresses as numbers."""
    return [row if isinstance(row, int) else row[0] << 64 | row[1] for row in column.tolist()]


@pytest.mark.parametrize("name", ON_RANGES)
def test_free_addresses_of_nodes_ranges_are_those_of_utilization(name):
    cluster = Cluster(ONE_FAMILY if name in {"gke", "azure"} else CONFIG, network_plugin=name)
    cluster.add_nodes(5)
    cluster.add_pods(np.arange(60) % 5)
    cluster.remove_pods([3, 4])
    frame = reports.fragmentation(cluster, lengths=[28, 120])
    mine = frame[frame["pool"] == "pod addresses"].set_index("ip_family")
    theirs = reports.utilization(cluster).query("pool == 'pod addresses'").set_index("ip_family")
    assert set(mine.index) == set(theirs.index)
    for family in mine.index:
        free = theirs.loc[family, "free"]
        assert (mine.loc[family, "free"] is pd.NA and free is pd.NA) or mine.loc[family, "free"] == free
    taken = cluster.pods.to_frame()["pod_ipv4"].astype(str).tolist()
    bases, lengths = cluster.network_plugin.node_ranges[IPFamily.IPV4]
    pairs = zip(bases.tolist(), lengths.tolist(), strict=True)
    networks = [ipaddress.ip_network(pair) for pair in pairs]
    ends = {"azure": (), "ovn-kubernetes": (0, 1, 2, -1)}.get(name, (0, 1, -1))
    touched = [*taken, *(str(network[end]) for network in networks for end in ends)]
    if name != "cilium":  # whose agents take two addresses more of each node, at random
        assert mine.loc["IPv4", "free_blocks"] == sum(slow_space(network, 28, touched)[0] for network in networks)


def test_free_is_one_rule_in_both_reports_whatever_a_pool_keeps():
    """Reservations, a pool disabled with addresses in use, a pool that is not for pods."""
    pools = [
        IPPool("a", Cidr("10.244.0.0/24"), 28),
        IPPool("b", Cidr("10.244.1.0/26"), 28),
        IPPool("c", Cidr("fd00:10:244::/120"), 124),
        IPPool("d", Cidr("10.244.2.0/24"), 28, allowed_uses=("Tunnel",)),
    ]
    kept = [Cidr("10.244.0.0/27"), Cidr("10.244.0.72/29"), Cidr("fd00:10:244::40/122")]
    calico = Calico(pools, reservations=kept)
    cluster = Cluster(CONFIG, network_plugin=calico)
    cluster.add_nodes(4)
    cluster.add_pods(np.arange(70) % 4)
    for state in (False, True):
        if state:  # what is given out stays when an administrator closes a pool
            for table in cluster.network_plugin.tables.values():
                table.pools = [replace(pool, disabled=pool.name in "bc") for pool in table.pools]
        mine = reports.fragmentation(cluster, lengths=[28, 124])
        theirs = reports.utilization(cluster)
        for kind in ("plugin blocks", "pod addresses"):
            pairs = [frame[frame["pool"] == kind].set_index("range")["free"].to_dict() for frame in (mine, theirs)]
            assert pairs[0] == pairs[1]
            assert len(pairs[0]) == 4
        left = theirs[theirs["pool"] == "plugin blocks"].set_index("range")
        assert (left["usable"] + left["reserved"] == [16, 4, 16, 16]).all()


def test_spans_slices_and_leases():
    pool = AntreaIPPool("p", [(0x0AF40005, 0x0AF4000E), (0x0AF40080, 0x0AF400BF)])
    cluster = Cluster(CONFIG, network_plugin=pool)
    cluster.add_nodes(1)
    cluster.add_pods([0] * 12)
    frame = reports.fragmentation(cluster, lengths=[28])
    row = frame[frame["why"].str.startswith("antrea: p")]
    assert row[["range", "free", "free_blocks", "all_blocks"]].to_numpy().tolist() == [
        ["10.244.0.0/28", 0, 0, 0],
        ["10.244.0.128/26", 62, 3, 4],
    ]
    whereabouts = reports.fragmentation(Cluster(CONFIG, network_plugin="whereabouts"), lengths=[28])
    row = whereabouts[(whereabouts["pool"] == "pod addresses") & (whereabouts["ip_family"] == "IPv4")].iloc[0]
    assert (row["free"], row["free_blocks"], row["all_blocks"]) == (1022, 62, 62)
    slices = Cluster(CONFIG, network_plugin=WhereaboutsSlices(Cidr("10.244.0.0/24"), 28))
    slices.add_nodes(3)
    frame = reports.fragmentation(slices, lengths=[26, 28])
    row = frame[frame["why"].str.startswith("whereabouts: slices")].iloc[0]
    assert (row["free"], row["free_blocks"], row["largest_free_block"]) == (13, 3, "10.244.0.128/25")
    networks = read_net_conf({"Network": "10.244.0.0/22", "SubnetLen": 26, "EnableIPv6": False})
    leases = Cluster(CONFIG, network_plugin=FlannelLeases(networks, rng=np.random.default_rng(1)))
    leases.add_nodes(4)
    line = next(line for line in leases.network_plugin.usage() if line.unit == "node ranges")
    row = reports.fragmentation(leases, lengths=[26]).query("pool == 'node blocks'").iloc[-1]
    assert (row["free"], row["all_blocks"]) == (line.free, line.usable)


def test_strict_affinity_fails_with_ample_free_addresses():
    """Four nodes hold the four blocks of a /24 with a pod each: 252 addresses are free, and no block for a fifth."""
    pools = [IPPool("v4", Cidr("10.244.0.0/24"), 26)]
    cluster = Cluster(CONFIG, network_plugin=Calico(pools, config=IPAMConfig(strict_affinity=True)))
    cluster.add_nodes(5)
    assert cluster.add_pods([0, 1, 2, 3, 4]).granted == 4
    frame = reports.fragmentation(cluster, lengths=[26]).set_index("pool")
    assert frame.loc["plugin blocks", "free"] == 0
    assert frame.loc["pod addresses", "free"] == 252
