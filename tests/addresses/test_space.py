"""The algebra of CIDR lists against sets of addresses."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.space import aggregate, free_block_count, free_blocks, gaps, largest_free_block, overlaps
from dsmodel.errors import InvalidCidr

SPACES = st.sampled_from([Cidr("10.0.0.64/26"), Cidr("0.0.0.0/26"), Cidr("255.255.255.192/26"), Cidr("fd00::ff40/122")])


@st.composite
def inside(draw, space: Cidr) -> list[Cidr]:
    """Draw blocks in and around a space of 64 addresses."""
    bits = space.family.bits
    lengths = st.integers(bits - 7, bits)
    wide = space.supernet(bits - 8)
    block = lengths.flatmap(lambda p: st.integers(0, wide.subnet_count(p) - 1).map(lambda i: wide.subnet(i, p)))
    return draw(st.lists(block, max_size=8))


@st.composite
def scenes(draw) -> tuple[Cidr, list[Cidr]]:
    space = draw(SPACES)
    strangers = st.lists(st.sampled_from([Cidr("192.168.0.0/28"), Cidr("2001:db8::/124")]), max_size=1)
    return space, draw(inside(space)) + draw(strangers)


def members(cidrs: list[Cidr]) -> set[tuple[IPFamily, int]]:
    return {(c.family, value) for c in cidrs for value in range(c.first, c.last + 1)}


@given(scenes())
def test_gaps_are_exactly_what_is_left(scene) -> None:
    space, used = scene
    left = gaps(space, used)
    assert members(left) == members([space]) - members(used)
    assert sum(block.size for block in left) == len(members(left))
    assert left == sorted(left)
    assert aggregate(left) == left


@given(scenes())
def test_aggregate_is_the_shortest_list(scene) -> None:
    blocks = scene[1]
    found = aggregate(blocks)
    for family, version in ((IPFamily.IPV4, 4), (IPFamily.IPV6, 6)):
        networks = [ipaddress.ip_network(str(block)) for block in blocks if block.family is family]
        wanted = [str(network) for network in ipaddress.collapse_addresses(networks)] if networks else []
        assert [str(block) for block in found if block.family is family] == wanted, version


@given(scenes(), st.integers(0, 6))
def test_free_blocks_are_the_wholly_free_ones(scene, more) -> None:
    space, used = scene
    length = space.prefix_length + more
    free = members([space]) - members(used)
    wanted = [block for block in space.subnets(length) if members([block]) <= free]
    assert free_blocks(space, used, length) == wanted
    assert free_blocks(space, used, length, limit=2) == wanted[:2]
    assert free_block_count(space, used, length) == len(wanted)


@given(scenes())
def test_largest_free_block_is_the_lowest_of_the_largest(scene) -> None:
    space, used = scene
    found = largest_free_block(space, used)
    lengths = range(space.prefix_length, space.family.bits + 1)
    wanted = next((blocks[0] for p in lengths if (blocks := free_blocks(space, used, p))), None)
    assert found == wanted


@given(scenes(), st.data())
def test_overlaps_are_all_pairs(scene, data) -> None:
    blocks = scene[1]
    others = data.draw(inside(scene[0]))
    n = range(len(blocks))
    assert overlaps(blocks) == [(i, j) for i in n for j in n if i < j and blocks[i].overlaps(blocks[j])]
    wanted = [(i, j) for i in n for j in range(len(others)) if blocks[i].overlaps(others[j])]
    assert overlaps(blocks, others) == wanted


def test_space_of_several_blocks() -> None:
    space = [Cidr("10.0.2.0/24"), Cidr("10.0.0.0/24")]
    assert gaps(space, [Cidr("10.0.2.0/25")]) == [Cidr("10.0.0.0/24"), Cidr("10.0.2.128/25")]
    assert free_block_count(space, [Cidr("10.0.0.0/16")], 24) == 0
    assert gaps([Cidr("10.0.0.0/24"), Cidr("fd00::/64")], []) == [Cidr("10.0.0.0/24"), Cidr("fd00::/64")]


def test_an_ipv6_space_is_counted_not_listed() -> None:
    assert free_block_count(Cidr("fd00::/8"), [Cidr("fd00::1/128")], 64) == 2**56 - 1
    assert free_blocks(Cidr("fd00::/8"), [], 64, limit=1) == [Cidr("fd00::/64")]
    assert largest_free_block(Cidr("fd00::/8"), [Cidr("fd00::1/128")]) == Cidr("fd80::/9")


def test_empty_space() -> None:
    assert gaps([], []) == aggregate([]) == overlaps([]) == free_blocks([], [], 24) == []
    assert largest_free_block([], []) is None
    assert free_block_count([], [], 24) == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: free_block_count(Cidr("10.0.0.0/8"), [], 33), "/33"),
        (lambda: free_blocks([Cidr("10.0.0.0/8"), Cidr("fd00::/8")], [], 24), "mixes families"),
        (lambda: largest_free_block([Cidr("10.0.0.0/8"), Cidr("fd00::/8")], []), "mixes families"),
    ],
)
def test_refusals(call, words) -> None:
    with pytest.raises(InvalidCidr, match=words):
        call()
