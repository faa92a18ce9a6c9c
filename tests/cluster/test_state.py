"""The batch verbs of a cluster against a slow model of plain objects, row by row."""

import ipaddress
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel import Cluster, ClusterConfig, IPFamily
from dsmodel.cluster.schema import NODES, PODS
from dsmodel.cluster.table import Table
from dsmodel.errors import InvalidConfig, InvalidInput, Reason

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
OTHER = {V4: V6, V6: V4}


class SlowRange:
    """host-local on one block: from the address after the last reserved one on, with wrap."""

    def __init__(self, cidr):
        net = ipaddress.ip_network(cidr)
        last = net.num_addresses - (2 if net.version == 4 else 1)
        self.usable = [net[i] for i in range(2, last + 1)]
        self.used = set()
        self.position = 0

    def take(self):
        for step in range(len(self.usable)):
            place = (self.position + step) % len(self.usable)
            if self.usable[place] not in self.used:
                self.used.add(self.usable[place])
                self.position = place + 1
                return self.usable[place]
        return None


class SlowSet:
    """cidrset: the next block from the cursor on, with wrap."""

    def __init__(self, cluster, mask):
        self.blocks = [str(net) for net in ipaddress.ip_network(cluster).subnets(new_prefix=mask)]
        self.used = set()
        self.cursor = 0

    def take(self):
        for step in range(len(self.blocks)):
            place = (self.cursor + step) % len(self.blocks)
            if place not in self.used:
                self.used.add(place)
                self.cursor = place + 1
                return self.blocks[place]
        return None


@dataclass(eq=False)
class SlowNode:
    cidrs: list
    limit: int
    ranges: list = field(default_factory=list)

    def __post_init__(self):
        self.ranges = [SlowRange(cidr) for cidr in self.cidrs]


class SlowCluster:
    """One object at a time, as the components do it."""

    def __init__(self, sets, limit):
        self.sets, self.limit = sets, limit
        self.nodes, self.pods = [], []

    def add_node(self):
        taken = []
        for blocks in self.sets:
            cidr = blocks.take()
            if cidr is None:  # what earlier sets gave is lost
                self.nodes.append(SlowNode([], self.limit))
                return Reason.CIDR_NOT_AVAILABLE
            taken.append(cidr)
        self.nodes.append(SlowNode(taken, self.limit))
        return Reason.OK

    def remove_node(self, node):
        for blocks, cidr in zip(self.sets, node.cidrs, strict=False):
            blocks.used.discard(blocks.blocks.index(cidr))
        self.pods = [pod for pod in self.pods if pod[0] is not node]
        self.nodes.remove(node)

    def add_pod(self, place, *, host):
        if not 0 <= place < len(self.nodes):
            return Reason.NOT_FOUND
        node = self.nodes[place]
        if sum(pod[0] is node for pod in self.pods) >= node.limit:
            return Reason.POD_LIMIT
        addresses = []
        if not host:
            if not node.ranges:
                return Reason.CIDR_NOT_AVAILABLE
            for one in node.ranges:
                address = one.take()
                if address is None:
                    for earlier, given_back in zip(node.ranges, addresses, strict=False):
                        earlier.used.discard(given_back)
                    return Reason.POOL_FULL
                addresses.append(address)
        self.pods.append((node, addresses))
        return Reason.OK

    def remove_pod(self, pod):
        for one, address in zip(pod[0].ranges, pod[1], strict=False):
            one.used.discard(address)
        self.pods = [other for other in self.pods if other is not pod]  # pods of the host network are equal


CONFIGS = {
    "ipv4 first": (("10.0.0.0/26", 29), ("fd00::/122", 125)),
    "ipv6 first": (("fd00::/122", 126), ("10.0.0.0/26", 28)),
    "ipv6 blocks run out": (("10.0.0.0/25", 29), ("fd00::/123", 125)),
    "ipv4 alone": (("10.0.0.0/27", 29),),
    "ipv6 alone, blocks wide": (("fd00::/62", 64),),
}


def pair(name, limit):
    """The cluster and its slow model."""
    ranges = CONFIGS[name]
    family = {cidr: V6 if ":" in cidr else V4 for cidr, _ in ranges}
    config = ClusterConfig.of(
        cluster_cidrs=[cidr for cidr, _ in ranges],
        node_cidr_mask_sizes={family[cidr]: mask for cidr, mask in ranges},
        max_pods=limit,
    )
    wide = any(ipaddress.ip_network(cidr).num_addresses > 4096 for cidr, _ in ranges)
    return Cluster(config), None if wide else SlowCluster([SlowSet(cidr, mask) for cidr, mask in ranges], limit)


def text(value):
    return None if pd.isna(value) else value


def assert_same(cluster, slow):
    nodes, pods = cluster.nodes.to_frame(), cluster.pods.to_frame()
    for row, node in enumerate(slow.nodes):
        shown = {text(nodes[name][row]) for name in ("pod_cidr_ipv4", "pod_cidr_ipv6")} - {None}
        assert shown == set(node.cidrs)
    assert pods["node"].tolist() == [slow.nodes.index(pod[0]) for pod in slow.pods]
    for row, (_, addresses) in enumerate(slow.pods):
        shown = {text(pods[name][row]) for name in ("pod_ipv4", "pod_ipv6")} - {None}
        assert shown == {str(address) for address in addresses}
    for blocks, expected in zip(cluster.node_ipam.sets, slow.sets, strict=True):
        assert set(blocks.used_offsets().tolist()) == expected.used


def assert_counts(cluster):
    """Pools hold exactly what the tables show."""
    for family, end in ((V4, "ipv4"), (V6, "ipv6")):
        pods = cluster.pods
        held = pods["holds_address"] & pods[f"has_pod_{end}"]
        expected = np.bincount(pods["node"][held], minlength=len(cluster.nodes))
        assert cluster.pod_blocks[family].used().tolist() == expected.tolist()
        services = int(cluster.services[f"has_cluster_{end}"].sum())
        assert sum(pool.used for pool in cluster.service_ranges.ranges.get(family, [])) == services
    assert cluster.port_range.used == len(cluster.node_ports)
    bound = cluster.pods["node"][cluster.pods["node"] >= 0]
    assert cluster.pod_counts.tolist() == np.bincount(bound, minlength=len(cluster.nodes)).tolist()
    ports = Counter(cluster.node_ports["service"].tolist())
    health = cluster.services["health_check_node_port"] > 0
    rows = range(len(cluster.services))
    assert [ports[row] for row in rows] == (cluster.services["node_ports"] + health).tolist()


def state(cluster):
    """Everything a cluster holds, as values."""
    tables = [getattr(cluster, name).to_frame() for name in ("nodes", "pods", "services", "node_ports")]
    pools = [repr(pool) for pool in cluster.pools()]
    cursors = [grid.snapshot() for blocks in cluster.pod_blocks.values() for grid in blocks._grids.values()]
    return tables, pools, cursors


def assert_state(cluster, before):
    tables, *rest = state(cluster)
    for table, old in zip(tables, before[0], strict=True):
        pd.testing.assert_frame_equal(table, old)
    assert tuple(rest) == before[1:]


OPERATION = st.one_of(
    st.tuples(st.just("add_nodes"), st.integers(0, 5)),
    st.tuples(st.just("add_pods"), st.lists(st.tuples(st.integers(-1, 5), st.integers(0, 9)), max_size=25)),
    st.tuples(st.just("remove_pods"), st.lists(st.integers(-1, 20), max_size=8)),
    st.tuples(st.just("remove_nodes"), st.lists(st.integers(-1, 5), max_size=3)),
)


def perform(cluster, slow, verb, value):
    """Do one batch on both and compare the reasons."""
    if verb == "add_nodes":
        outcome = cluster.add_nodes(value)
        expected = [slow.add_node() for _ in range(value)]
    elif verb == "add_pods":
        host = np.array([die == 0 for _, die in value], bool)
        outcome = cluster.add_pods([node for node, _ in value], host_network=host)
        expected = [slow.add_pod(node, host=die == 0) for node, die in value]
    else:
        things = slow.pods if verb == "remove_pods" else slow.nodes
        outcome = getattr(cluster, verb)(np.array(value, np.int64))
        first = [row for place, row in enumerate(value) if 0 <= row < len(things) and row not in value[:place]]
        expected = [
            Reason.OK if row in first and row not in value[:place] else Reason.NOT_FOUND
            for place, row in enumerate(value)
        ]
        remove = slow.remove_pod if verb == "remove_pods" else slow.remove_node
        for thing in [things[row] for row in first]:
            remove(thing)
    assert outcome.reason.tolist() == expected
    assert outcome.ok.tolist() == [reason == Reason.OK for reason in expected]


@pytest.mark.parametrize("name", ["ipv4 first", "ipv6 first", "ipv6 blocks run out", "ipv4 alone"])
@settings(deadline=None, max_examples=25)
@given(operations=st.lists(OPERATION, max_size=8), limit=st.integers(1, 9), copy_at=st.integers(0, 7))
def test_batches_do_what_one_object_at_a_time_does(name, operations, limit, copy_at):
    cluster, slow = pair(name, limit)
    cluster.add_nodes(2)
    slow.add_node(), slow.add_node()
    kept = before = None
    for place, (verb, value) in enumerate(operations):
        if place == copy_at:
            kept, cluster = cluster, cluster.copy()  # go on with the copy; the original must not move
            before = state(kept)
        perform(cluster, slow, verb, value)
        assert_same(cluster, slow)
        assert_counts(cluster)
    if kept is not None:
        assert_state(kept, before)


def test_a_copy_does_not_see_what_happens_to_the_original():
    cluster, _ = pair("ipv6 alone, blocks wide", 50)
    cluster.add_nodes(3)
    cluster.add_pods([0, 1, 1, 2])
    copy = cluster.copy()
    before = state(copy)
    cluster.add_pods([0] * 20)
    cluster.remove_pods([0, 1])
    cluster.remove_nodes([1])
    cluster.add_nodes(1)
    assert_state(copy, before)
    assert_counts(cluster)


def test_removing_pods_undoes_adding_them_except_for_the_cursor():
    cluster, _ = pair("ipv4 first", 5)
    cluster.add_nodes(3)
    cluster.add_pods([0, 1])
    used = [blocks.used().tolist() for blocks in cluster.pod_blocks.values()]
    pods = cluster.pods
    outcome = cluster.add_pods([2, 0, 0, 1, 2])
    cluster.remove_pods(outcome.rows[outcome.ok])
    assert cluster.pods.equals(pods)
    assert [blocks.used().tolist() for blocks in cluster.pod_blocks.values()] == used
    cluster.add_pods([0])
    assert cluster.pods.to_frame()["pod_ipv4"].tolist()[-1] == "10.0.0.5"


def test_host_network_pods_share_the_addresses_of_their_node():
    nodes = Table(
        NODES,
        {
            "name": ["a"],
            "pod_cidr_ipv4": np.array([0x0A000000], np.uint32),
            "pod_cidr_ipv4_mask": [24],
            "internal_ipv4": np.array([0xC0000201], np.uint32),
            "primary_ip_family": ["IPv4"],
        },
    )
    cluster = Cluster.from_tables(ClusterConfig.of(cluster_cidrs=["10.0.0.0/16"]), nodes=nodes)
    cluster.add_pods([0, 0], host_network=[True, False])
    frame = cluster.pods.to_frame()
    assert frame["pod_ipv4"].tolist() == ["192.0.2.1", "10.0.0.2"]
    assert frame["holds_address"].tolist() == [False, True]
    assert_counts(cluster)


def test_a_node_brings_its_own_blocks_or_asks_for_some():
    cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.0.0.0/22", "fd00::/62"]))
    outcome = cluster.add_nodes(
        ["a", "b", "c", "d"], pod_cidrs=[["10.0.0.0/24", "fd00::/64"], [], ["192.168.0.0/24"], []]
    )
    frame = cluster.nodes.to_frame()
    assert outcome.ok.all()
    assert frame["pod_cidr_ipv4"].tolist() == ["10.0.0.0/24", "10.0.1.0/24", "192.168.0.0/24", "10.0.2.0/24"]
    assert [text(value) for value in frame["pod_cidr_ipv6"]] == [
        "fd00::/64",
        "fd00:0:0:1::/64",
        None,
        "fd00:0:0:2::/64",
    ]
    cluster.add_pods([2, 2, 1])
    assert cluster.pods.to_frame()["pod_ipv4"].tolist() == ["192.168.0.2", "192.168.0.3", "10.0.1.2"]
    assert [text(value) for value in cluster.pods.to_frame()["pod_ipv6"]] == [None, None, "fd00:0:0:1::2"]
    cluster.remove_nodes(["c", "a", "nobody"])
    assert cluster.nodes["name"].tolist() == ["b", "d"]
    assert cluster.pods["node"].tolist() == [0]
    assert cluster.pods.to_frame()["pod_ipv6"].tolist() == ["fd00:0:0:1::2"]
    assert [pool.used for pool in cluster.pools() if pool.kind == "node blocks"] == [2, 2]
    assert_counts(cluster)


def test_nodes_of_different_masks_live_side_by_side():
    cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.0.0.0/16"], max_pods=300))
    cluster.add_nodes(["a", "b", "c"], pod_cidrs=[["10.0.0.0/29"], ["10.0.2.0/23"], ["10.0.4.0/31"]])
    outcome = cluster.add_pods([0] * 6 + [1] * 2 + [2])
    assert outcome.reason.tolist() == [0] * 5 + [Reason.POOL_FULL] + [0, 0] + [Reason.POOL_FULL]
    assert cluster.pod_blocks[V4].usable().tolist() == [5, 509, 0]
    assert [pool.used for pool in cluster.pools() if pool.kind == "node blocks"] == [4]
    cluster.remove_nodes([1])
    assert [pool.used for pool in cluster.pools() if pool.kind == "node blocks"] == [2]
    cluster.add_nodes(["d"], pod_cidrs=[["10.0.8.0/29"]])
    cluster.add_pods([2])
    assert cluster.pods.to_frame()["pod_ipv4"].tolist()[-1] == "10.0.8.2"
    assert_counts(cluster)


def test_verbs_name_what_they_refuse():
    cluster, _ = pair("ipv4 first", 5)
    with pytest.raises(InvalidInput, match="number of nodes is 0 or more"):
        cluster.add_nodes(-1)
    with pytest.raises(InvalidInput, match="one for all or one a row"):
        cluster.add_nodes(["a", "b"], zone=["x"])
    with pytest.raises(InvalidInput, match="entries for 1 nodes"):
        cluster.add_nodes(["a"], pod_cidrs=[])
    with pytest.raises(InvalidInput, match="two IPv4 entries"):
        cluster.add_nodes(["a"], pod_cidrs=[["10.0.0.0/24", "10.0.1.0/24"]])
    with pytest.raises(InvalidInput, match="expected rows of the nodes table"):
        cluster.add_pods(["a"])
    with pytest.raises(InvalidInput, match="a mask needs 0 booleans"):
        cluster.remove_pods([True])
    with pytest.raises(InvalidInput, match="the words are"):
        cluster.add_services(1, type="Headless")
    with pytest.raises(InvalidConfig, match="too big"):
        Cluster(ClusterConfig.of(cluster_cidrs=["fd00::/40"]))
    with pytest.raises(InvalidInput, match="got a table of nodes"):
        Cluster.from_tables(ClusterConfig.of(), pods=Table(NODES))
    with pytest.raises(InvalidInput, match="pods: node has rows 3 to 3, and there are 0 nodes"):
        Cluster.from_tables(ClusterConfig.of(), pods=Table(PODS, {"node": [3]}))
    assert len(cluster.nodes) == len(cluster.pods) == 0


def test_counted_nodes_get_names_that_are_not_taken():
    cluster, _ = pair("ipv4 first", 5)
    cluster.add_nodes(["node-1", "x"])
    cluster.add_nodes(2)
    cluster.remove_nodes([2])
    cluster.add_nodes(1)
    assert cluster.nodes["name"].tolist() == ["node-1", "x", "node-3", "node-4"]


# services -----------------------------------------------------------------------------------------------------------


def test_removing_services_gives_everything_back():
    cluster = Cluster(ClusterConfig.of(service_cidrs=["10.96.0.0/24", "fd00:96::/112"]))
    before = [(pool.used, pool.free) for pool in cluster.pools()]
    cluster.add_services(7, type="LoadBalancer", ip_family_policy="RequireDualStack", node_ports=2)
    cluster.add_services(2, type="NodePort")
    assert cluster.port_range.used == 16
    outcome = cluster.remove_services([3, 4, 4, 99])
    assert outcome.reason.tolist() == [0, 0, Reason.NOT_FOUND, Reason.NOT_FOUND]
    assert_counts(cluster)
    cluster.remove_services(cluster.services["name"] != "kubernetes")
    assert [(pool.used, pool.free) for pool in cluster.pools()] == before
    assert len(cluster.node_ports) == 0


def test_dynamic_addresses_leave_the_static_band_for_last():
    cluster = Cluster(ClusterConfig.of(service_cidrs=["10.96.0.0/27"]))
    cluster.add_services(14, rng=np.random.default_rng(1))
    last = sorted(int(ipaddress.ip_address(a)) & 31 for a in cluster.services.to_frame()["cluster_ipv4"])
    assert last == [1, *range(17, 31)]
    assert cluster.add_services(16, rng=np.random.default_rng(1)).granted == 15
    assert cluster.service_ranges.free(V4) == 0


def test_service_cidr_objects_add_room():
    config = ClusterConfig.of(service_cidrs=["10.96.0.0/28"], extra_service_cidrs=["10.97.0.0/28", "fd00::/112"])
    cluster = Cluster(config)
    assert cluster.add_services(40, rng=np.random.default_rng(0)).granted == 27
    assert [pool.used for pool in cluster.pools() if pool.kind == "service addresses"] == [14, 14]
    assert cluster.add_services(1, ip_families=["IPv6"]).reason.tolist() == [Reason.FAMILY_NOT_CONFIGURED]
    cluster.remove_services(np.arange(1, 28))
    assert [pool.used for pool in cluster.pools() if pool.kind == "service addresses"] == [1, 0]


def test_the_same_calls_give_the_same_cluster():
    def make():
        cluster = Cluster(ClusterConfig.of(service_cidrs=["10.96.0.0/20"]))
        cluster.add_services(30, type="NodePort")
        return cluster.services.to_frame(), cluster.node_ports.to_frame()

    for one, other in zip(make(), make(), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_gate_that_is_off_stores_no_families():
    cluster = Cluster(ClusterConfig.of(kube_version="1.20", service_cidrs=["10.96.0.0/24"]))
    assert cluster.add_services(3, ip_family_policy="PreferDualStack").granted == 3
    frame = cluster.services.to_frame()
    assert frame["ip_families"].isna().all()
    assert frame["cluster_ipv4"].notna().all()
    assert cluster.services["primary_ip_family"].tolist() == [4] * 4


def test_memory_of_pods_made_from_counts():
    cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.0.0.0/8", "fd00::/48"]))
    cluster.add_nodes(1000)
    cluster.add_pods(np.repeat(np.arange(1000), 30))
    assert cluster.pods.nbytes <= 8 * len(cluster.pods) + 1000 * 20 + 1000
    assert len(cluster.pods["pod_ipv6"]) == len(Table(PODS).append(cluster.pods)["pod_ipv6"]) == 30_000
