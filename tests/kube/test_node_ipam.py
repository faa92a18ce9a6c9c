from __future__ import annotations

import ipaddress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.cidr import IPFamily
from dsmodel.errors import CIDRNotAvailable, InvalidConfig, Reason
from dsmodel.kube import KubeVersion, NodeIPAM
from dsmodel.kube.cluster_cidrs import MaskFlags, effective_masks


def tries(ipam: NodeIPAM, name: str) -> tuple[str, ...]:
    try:
        return ipam.add(name)
    except CIDRNotAvailable:
        return ()


class SlowIPAM:
    """The obvious oracle: lists of networks, one pass after another."""

    def __init__(self, cluster_cidrs: list[str], masks: list[int]) -> None:
        self.blocks = [
            list(ipaddress.ip_network(c).subnets(new_prefix=m)) for c, m in zip(cluster_cidrs, masks, strict=True)
        ]
        self.used: list[set[int]] = [set() for _ in self.blocks]
        self.cursors = [0] * len(self.blocks)
        self.nodes: dict[str, list[int]] = {}

    def add(self, name: str) -> tuple[str, ...]:
        taken = []
        for family, blocks in enumerate(self.blocks):
            order = [(self.cursors[family] + step) % len(blocks) for step in range(len(blocks))]
            index = next((index for index in order if index not in self.used[family]), None)
            if index is None:
                return ()
            self.used[family].add(index)
            self.cursors[family] = (index + 1) % len(blocks)
            taken.append(index)
        self.nodes[name] = taken
        return tuple(str(self.blocks[family][index]) for family, index in enumerate(taken))

    def remove(self, name: str) -> None:
        for family, index in enumerate(self.nodes.pop(name, [])):
            self.used[family].discard(index)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=60), st.sampled_from(["1.20", "1.36"]))
def test_any_sequence_equals_the_slow_way(steps: list[tuple[bool, int]], version: str) -> None:
    cidrs, masks = ["10.244.0.0/28", "fd00::/61"], [31, 64]
    gates = {"IPv6DualStack": True} if version == "1.20" else {}
    ipam = NodeIPAM(
        kube_version=version,
        cluster_cidrs=cidrs,
        node_cidr_mask_sizes={"IPv4": 31, "IPv6": 64},
        feature_gates=gates,
    )
    slow = SlowIPAM(cidrs, masks)
    for number, (adds, which) in enumerate(steps):
        if adds:
            assert tries(ipam, f"n{number}") == slow.add(f"n{number}")
        else:
            ipam.remove(f"n{which}")
            slow.remove(f"n{which}")
        assert [blocks.used for blocks in ipam.sets] == [len(used) for used in slow.used]


@given(st.integers(0, 40), st.integers(0, 40), st.booleans())
def test_many_at_once_equal_one_after_another(before: int, n: int, named: bool) -> None:  # noqa: FBT001 - drawn
    arguments = {"cluster_cidrs": ["10.0.0.0/27", "fd00::/60"], "node_cidr_mask_sizes": {"IPv4": 32, "IPv6": 64}}
    batch, single = NodeIPAM(**arguments), NodeIPAM(**arguments)  # type: ignore[arg-type]
    for number in range(before):
        assert tries(batch, f"b{number}") == tries(single, f"b{number}")
    names = [f"n{number}" for number in range(n)]
    got = batch.add_many(names if named else n)
    expected = [tries(single, name) for name in names]
    assert got.ok.tolist() == [bool(held) for held in expected]
    assert got.reason.tolist() == [Reason.OK if held else Reason.CIDR_NOT_AVAILABLE for held in expected]
    rows = np.flatnonzero(got.ok)
    assert [
        tuple(str(blocks.block(int(indices[row]))) for blocks, indices in zip(batch.sets, got.indices, strict=True))
        for row in rows
    ] == [held for held in expected if held]
    assert batch.leaked == single.leaked
    assert [blocks.used_offsets().tolist() for blocks in batch.sets] == [
        blocks.used_offsets().tolist() for blocks in single.sets
    ]
    if named:
        assert [batch.pod_cidrs(name) for name in names] == expected
        assert batch.waiting == single.waiting
        for name in names:
            batch.remove(name)
            single.remove(name)
        assert batch.sets[0].used == single.sets[0].used


def test_a_freed_block_comes_back_after_a_lap() -> None:
    ipam = NodeIPAM(cluster_cidrs=["10.0.0.0/22"])
    assert [ipam.add(name)[0] for name in "abc"] == ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]
    ipam.remove("a")
    assert ipam.add("d") == ("10.0.3.0/24",)
    assert ipam.add("e") == ("10.0.0.0/24",)
    with pytest.raises(CIDRNotAvailable, match="idx:0: CIDR allocation failed; there are no remaining CIDRs"):
        ipam.add("f")
    assert ipam.waiting == ("f",)
    ipam.remove("c")
    assert ipam.sync("f") == ("10.0.2.0/24",)


def test_deleting_one_of_two_nodes_in_a_block_frees_it_for_a_third() -> None:
    ipam = NodeIPAM(cluster_cidrs=["10.0.0.0/22"], nodes={"a": ["10.0.0.0/27"], "b": ["10.0.0.32/27"]})
    assert ipam.sets[0].used == 1
    ipam.remove("a")
    assert ipam.sets[0].used == 0
    assert ipam.add("c") == ("10.0.0.0/24",)


def test_the_scarce_family_drains_the_other() -> None:
    ipam = NodeIPAM(cluster_cidrs=["10.244.0.0/16", "fd00::/64"])
    ipam.add("a")
    for attempt in range(255):
        with pytest.raises(CIDRNotAvailable, match="idx:1"):
            ipam.sync("b")
        assert ipam.leaked == (attempt + 1, 0)
    with pytest.raises(CIDRNotAvailable, match="idx:0"):  # now the innocent family is named
        ipam.sync("b")
    assert (ipam.leaked, ipam.sets[0].free) == ((255, 0), 0)
    restarted = NodeIPAM(cluster_cidrs=["10.244.0.0/16", "fd00::/64"], nodes={"a": ipam.pod_cidrs("a")})
    assert restarted.sets[0].free == 255


def test_service_ranges_of_the_flags_cost_whole_blocks() -> None:
    ipam = NodeIPAM(cluster_cidrs=["10.244.0.0/16"], service_cidrs=["10.244.3.16/28", "nonsense"])
    assert ipam.sets[0].used_offsets().tolist() == [3]
    swallowed = NodeIPAM(cluster_cidrs=["10.111.0.0/16"], service_cidrs=["10.96.0.0/12"])
    with pytest.raises(CIDRNotAvailable, match="idx:0"):
        swallowed.add("a")


def test_an_update_marks_again_only_since_the_queue() -> None:
    for version, used in (("1.20", 0), ("1.29", 0), ("1.30", 1), ("1.36", 1)):
        ipam = NodeIPAM(kube_version=version, cluster_cidrs=["10.0.0.0/16"])
        ipam.add("a", pod_cidrs=["10.0.5.0/24"])
        ipam.add("twin", pod_cidrs=["10.0.5.0/24"])
        ipam.remove("twin")
        assert ipam.sync("a") == ("10.0.5.0/24",)
        assert ipam.sets[0].used == used


def test_a_cidr_outside_is_ignored_while_running_and_fatal_at_start() -> None:
    ipam = NodeIPAM(cluster_cidrs=["10.0.0.0/16"])
    assert ipam.add("odd", pod_cidrs=["192.168.0.0/24"]) == ("192.168.0.0/24",)
    ipam.remove("odd")
    ipam.remove("never seen")
    assert ipam.sets[0].used == 0
    words = r"failed to mark cidr\[192.168.0.0/24\] at idx \[0\] as occupied for node: odd: cidr 192.168.0.0/24 is out "
    with pytest.raises(InvalidConfig, match=words):
        NodeIPAM(cluster_cidrs=["10.0.0.0/16"], nodes={"odd": ["192.168.0.0/24"]})


@pytest.mark.parametrize(
    ("cluster_cidrs", "nodes", "words"),
    [
        (["10.0.0.0/16"], {"a": ["10.0.0.0/24", "fd00::/64"]}, "at index:1 that does not exist in cluster cidrs"),
        (["fd00::/48", "10.0.0.0/16"], {"a": ["10.0.0.0/24", "fd00::/64"]}, "out the range of cluster cidr fd00::/48"),
        (["10.0.0.0/16"], {"a": ["nonsense"]}, "failed to parse node a, CIDR nonsense"),
    ],
)
def test_going_back_or_swapping_families_stops_the_controller(
    cluster_cidrs: list[str], nodes: dict[str, list[str]], words: str
) -> None:
    with pytest.raises(InvalidConfig, match=words):
        NodeIPAM(cluster_cidrs=cluster_cidrs, nodes=nodes)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, r"invalid CIDR\[0\]"),
        ({"cluster_cidrs": ["10.0.0.0/8", "10.0.0.0/9"]}, "not configured as dual stack"),
        ({"cluster_cidrs": ["10.0.0.0/8", "fd00::/48", "11.0.0.0/8"]}, "is:3 more than max allowed of 2"),
        ({"cluster_cidrs": ["10.0.0.0/25"]}, "must be less than or equal to --node-cidr-mask-size"),
        ({"cluster_cidrs": ["fd00::/47"]}, "the node CIDR size is too big"),
        ({"cluster_cidrs": ["fd00::/48"], "node_cidr_mask_sizes": {"IPv4": 24}}, "single-stack IPv6 cluster"),
        ({"cluster_cidrs": ["fd00::/48"], "node_cidr_mask_sizes": {"v6": 64}}, "has the key 'v6'"),
        ({"cluster_cidrs": ["10.0.0.0/8"], "service_cidrs": ["10.0.0.0/16", "10.1.0.0/16"]}, "not dualstack"),
        ({"cluster_cidrs": ["10.0.0.0/8", "fd00::/48"], "kube_version": "1.20"}, "feature is not enabled"),
    ],
)
def test_starts_that_are_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidConfig, match=words):
        NodeIPAM(**arguments)  # type: ignore[arg-type]


def test_an_ipv4_set_has_no_limit_of_sixteen_bits() -> None:
    assert NodeIPAM(cluster_cidrs=["10.0.0.0/8"], node_cidr_mask_sizes={"IPv4": 28}).sets[0].max_blocks == 1 << 20
    assert NodeIPAM(cluster_cidrs=["fd00:10:244::/48"]).sets[0].max_blocks == 1 << 16


def test_a_mask_longer_than_an_address_fails_every_node() -> None:
    ipam = NodeIPAM(cluster_cidrs=["10.244.0.0/16"], node_cidr_mask_sizes={"IPv4": 33})
    with pytest.raises(CIDRNotAvailable, match="mask is longer than an address"):
        ipam.add("a")
    assert [event.message for event in ipam.events] == ["Node a status is now: CIDRAssignmentFailed"]
    assert not ipam.add_many(3).ok.any()
    assert (ipam.sets[0].used, ipam.leaked) == (0, (0,))


def test_copies_share_nothing_that_changes() -> None:
    ipam = NodeIPAM(cluster_cidrs=["10.0.0.0/23", "fd00::/64"])
    ipam.add_many(["a"])
    twin = ipam.copy()
    assert tries(twin, "b") == ()
    twin.remove("a")
    assert (ipam.leaked, twin.leaked) == ((0, 0), (1, 0))
    assert ipam.pod_cidrs("a") == ("10.0.0.0/24", "fd00::/64")
    assert (ipam.sets[0].used, ipam.events) == (1, [])


@pytest.mark.parametrize("version", ["1.20", "1.22", "1.23", "1.36"])
def test_mask_flags_of_one_family_by_version(version: str) -> None:
    kube_version = KubeVersion(version)
    flags = MaskFlags(ipv6=60)
    if kube_version.rule("node_ipam_family_mask_flags_on_single_stack"):
        assert effective_masks([IPFamily.IPV6], flags, kube_version) == {IPFamily.IPV6: 60}
    else:
        with pytest.raises(InvalidConfig, match="are not allowed with non dual-stack clusters"):
            effective_masks([IPFamily.IPV6], flags, kube_version)
    assert effective_masks([IPFamily.IPV6], MaskFlags(size=60), kube_version) == {IPFamily.IPV6: 60}
    assert effective_masks([IPFamily.IPV6, IPFamily.IPV4], flags, kube_version) == {
        IPFamily.IPV6: 60,
        IPFamily.IPV4: 24,
    }
