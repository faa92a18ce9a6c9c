"""Longest-prefix match against looking at every prefix."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses import prefixes
from dsmodel.addresses.arrays import IPV6_DTYPE, empty, from_integers, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.prefixes import PrefixTable
from dsmodel.errors import InvalidAddress, InvalidCidr


def oracle(blocks: list[Cidr], family: IPFamily, value: int) -> int:
    best = -1
    for row, block in enumerate(blocks):
        if block.family is family and value in block and (best < 0 or block.prefix_length > blocks[best].prefix_length):
            best = row
    return best


@st.composite
def questions(draw) -> tuple[list[Cidr], IPFamily, list[int]]:
    """Draw prefixes and addresses that meet: around one centre, at both ends of the space, or anywhere."""
    family = draw(st.sampled_from(IPFamily))
    bits = family.bits
    centre = draw(st.integers(0, 2**bits - 1))
    flips = st.one_of(
        st.integers(0, 63),
        st.integers(0, 15).map(lambda flip: flip << bits // 2),
        st.integers(0, 2 ** (bits // 2) - 1),
    )
    value = st.one_of(
        flips.map(lambda flip: centre ^ flip), st.sampled_from([0, 1, 2**bits - 1]), st.integers(0, 2**bits - 1)
    )
    lengths = st.one_of(st.integers(0, bits), st.integers(bits - 6, bits), st.sampled_from([0, bits // 2, bits]))
    block = st.builds(lambda v, p: Cidr.from_parts(family, v, p, host_bits="mask"), value, lengths)
    blocks = draw(st.lists(block, max_size=12))
    blocks += draw(st.lists(st.sampled_from([*blocks, Cidr("10.0.0.0/8"), Cidr("fd00::/8")]), max_size=3))
    edges = [edge for b in blocks if b.family is family for edge in (b.first, b.last, (b.last + 1) % 2**bits)]
    return blocks, family, edges + draw(st.lists(value, max_size=20))


@given(questions(), st.sampled_from([1, 3, 1 << 15]))
def test_every_address_finds_its_longest_prefix(question, chunk) -> None:
    blocks, family, values = question
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefixes, "_CHUNK", chunk)  # both the table of cells and the plain search
        found = PrefixTable(blocks).lookup(from_integers(values, family=family))
    assert found.tolist() == [oracle(blocks, family, value) for value in values]


def test_of_equal_prefixes_the_first_wins() -> None:
    table = PrefixTable([Cidr("10.0.0.0/8"), Cidr("10.0.0.0/8"), Cidr("10.1.0.0/16"), Cidr("10.1.0.0/16")])
    assert table.lookup(np.array([0x0A000001, 0x0A010001], np.uint32)).tolist() == [0, 2]


@pytest.mark.parametrize("family", IPFamily)
def test_an_empty_table_holds_nothing(family) -> None:
    found = PrefixTable([]).lookup(empty(3, family))
    assert found.tolist() == [-1, -1, -1]
    assert found.dtype == np.int64
    assert PrefixTable([Cidr("10.0.0.0/8"), Cidr("fd00::/8")]).lookup(empty(0, family)).tolist() == []


def test_columns_make_the_same_table() -> None:
    rng = np.random.default_rng(1)
    blocks = [Cidr("10.244.0.0/16").subnet(int(i), 24) for i in rng.permutation(256)]
    base = from_integers((block.first for block in blocks), family=IPFamily.IPV4)
    column = (np.uint32(0x0AF40000) + rng.integers(0, 1 << 16, 1000).astype(np.uint32)).astype(np.uint32)
    found = PrefixTable.from_columns(base, np.full(256, 24)).lookup(column)
    assert found.tolist() == PrefixTable(blocks).lookup(column).tolist()
    assert (base[found] == column & np.uint32(0xFFFFFF00)).all()


def test_columns_with_host_bits_are_refused() -> None:
    with pytest.raises(InvalidCidr, match="row 1: bits are set right of /24"):
        PrefixTable.from_columns(np.array([0x0A000000, 0x0A000001], np.uint32), np.array([8, 24]))


def test_many_rows_of_nested_prefixes() -> None:
    rng = np.random.default_rng(2)
    blocks = [
        Cidr.from_parts(IPFamily.IPV4, 10 << 24 | int(v), int(p), host_bits="mask")
        for v, p in zip(rng.integers(0, 1 << 24, 300), rng.integers(8, 33, 300), strict=True)
    ]
    column = (10 << 24 | rng.integers(0, 1 << 24, 40_000)).astype(np.uint32)
    found = PrefixTable(blocks).lookup(column)
    sample = slice(None, None, 97)
    wanted = [oracle(blocks, IPFamily.IPV4, value) for value in to_integers(column[sample])]
    assert found[sample].tolist() == wanted


def test_many_ipv6_rows_below_a_64() -> None:
    rng = np.random.default_rng(3)
    node = Cidr("fd00:10:244:7::/64")
    blocks = [Cidr("fd00:10:244::/48"), *(node.subnet(int(index), 112) for index in rng.integers(0, 99, 50))]
    column = np.zeros(40_000, IPV6_DTYPE)
    column["hi"] = np.uint64(0xFD00_0010_0244_0000) + rng.integers(0, 9, column.size).astype(np.uint64)
    column["lo"] = rng.integers(0, 100 << 16, column.size)
    found = PrefixTable(blocks).lookup(column)
    sample = slice(None, None, 97)
    assert found[sample].tolist() == [oracle(blocks, IPFamily.IPV6, value) for value in to_integers(column[sample])]


def test_lookup_refuses_what_is_no_column() -> None:
    with pytest.raises(InvalidAddress, match="no address column"):
        PrefixTable([]).lookup(np.array([1.5]))
