"""Address columns against Python's own unbounded integers."""

import bisect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses import arrays
from dsmodel.addresses.arrays import from_integers, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidAddress, InvalidCidr

FAMILIES = st.sampled_from(IPFamily)


@st.composite
def numbers(draw, family: IPFamily, *, max_size: int = 40) -> list[int]:
    """Draw addresses that lie close together, in two clouds, at the borders of words, or anywhere."""
    top = 2**family.bits - 1
    centre = draw(st.sampled_from([0, 1 << family.bits // 2, 0xFD << family.bits - 8, top]))
    near = st.integers(-300, 300).map(lambda step: min(max(centre + step, 0), top))
    spread = st.sampled_from([family.bits // 2, family.bits * 3 // 4, family.bits]).flatmap(
        lambda bits: st.integers(0, 2**bits - 1)
    )
    return draw(st.lists(draw(st.sampled_from([near, spread, st.one_of(near, spread)])), max_size=max_size))


@st.composite
def two_lists(draw) -> tuple[IPFamily, list[int], list[int]]:
    family = draw(FAMILIES)
    return family, draw(numbers(family)), draw(numbers(family))


@given(two_lists())
def test_order_is_that_of_integers(lists) -> None:
    family, a, b = lists
    column, others = from_integers(a, family=family), from_integers(b, family=family)
    assert to_integers(column) == a
    assert to_integers(arrays.sort(column)) == sorted(a)
    assert to_integers(arrays.unique(column)) == sorted(set(a))
    assert arrays.argsort(column).tolist() == sorted(range(len(a)), key=a.__getitem__)
    assert arrays.isin(column, others).tolist() == [value in set(b) for value in a]
    ordered = arrays.sort(column)
    for side, oracle in (("left", bisect.bisect_left), ("right", bisect.bisect_right)):
        assert arrays.search_sorted(ordered, others, side=side).tolist() == [oracle(sorted(a), value) for value in b]
    n = min(len(a), len(b))
    assert arrays.less(column[:n], others[:n]).tolist() == [x < y for x, y in zip(a, b, strict=False)]
    assert arrays.equal(column[:n], others[:n]).tolist() == [x == y for x, y in zip(a, b, strict=False)]


@given(two_lists(), st.integers(-(2**129), 2**129) | st.integers(-3, 3) | st.sampled_from([2**64, -(2**64), 2**63]))
def test_addition_is_exact_or_refused(lists, step) -> None:
    family, a, _ = lists
    column = from_integers(a, family=family)
    wanted = [value + step for value in a]
    if all(0 <= value < 2**family.bits for value in wanted):
        assert to_integers(arrays.add(column, step)) == wanted
    else:
        row = next(row for row, value in enumerate(wanted) if not 0 <= value < 2**family.bits)
        with pytest.raises(InvalidAddress, match=f"row {row}: .* moved by"):
            arrays.add(column, step)


@given(FAMILIES.flatmap(lambda f: st.tuples(st.just(f), numbers(f))), st.data())
def test_addition_of_a_step_a_row(given_, data) -> None:
    family, a = given_
    steps = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=len(a), max_size=len(a)))
    column = from_integers(a, family=family)
    wanted = [value + step for value, step in zip(a, steps, strict=True)]
    if all(0 <= value < 2**family.bits for value in wanted):
        assert to_integers(arrays.add(column, np.array(steps, np.int64))) == wanted
    else:
        with pytest.raises(InvalidAddress, match="leaves the"):
            arrays.add(column, np.array(steps, np.int64))


@given(two_lists())
def test_subtraction_gives_distances(lists) -> None:
    family, a, b = lists
    pairs = list(zip(a, b, strict=False))
    highs, lows = ([pick(pair) for pair in pairs] for pick in (max, min))
    high, low = from_integers(highs, family=family), from_integers(lows, family=family)
    assert to_integers(arrays.subtract(high, low)) == [x - y for x, y in zip(highs, lows, strict=True)]
    if highs != lows:
        with pytest.raises(InvalidAddress, match="below the one it is measured from"):
            arrays.subtract(low, high)


@given(
    FAMILIES.flatmap(
        lambda f: st.tuples(numbers(f), st.lists(st.integers(0, f.bits), min_size=41, max_size=41), st.just(f))
    )
)
def test_masking(given_) -> None:
    a, lengths, family = given_
    column = from_integers(a, family=family)
    wanted = [v >> family.bits - p << family.bits - p for v, p in zip(a, lengths, strict=False)]
    assert to_integers(arrays.mask_prefix(column, np.array(lengths[: len(a)], np.uint8))) == wanted
    shift = family.bits - lengths[0]
    assert to_integers(arrays.mask_prefix(column, lengths[0])) == [v >> shift << shift for v in a]


@st.composite
def units(draw) -> tuple[Cidr, int, list[int]]:
    family = draw(FAMILIES)
    length = draw(st.integers(0, family.bits))
    cidr = Cidr.from_parts(family, draw(st.integers(0, 2**family.bits - 1)), length, host_bits="mask")
    unit_bits = draw(st.integers(0, cidr.host_bits_count))
    limit = min(cidr.size >> unit_bits, 2**64)
    return cidr, unit_bits, draw(st.lists(st.integers(0, limit - 1), max_size=20))


@given(units())
def test_offsets_there_and_back(given_) -> None:
    cidr, unit_bits, offsets = given_
    column = arrays.from_offsets(cidr, np.array(offsets, np.uint64), unit_bits=unit_bits)
    assert to_integers(column) == [cidr.first + (offset << unit_bits) for offset in offsets]
    back, inside = arrays.to_offsets(column, cidr, unit_bits=unit_bits)
    assert back.tolist() == offsets
    assert inside.all()


@given(units(), st.data())
def test_offsets_of_any_address(given_, data) -> None:
    cidr, unit_bits, _ = given_
    values = [*data.draw(numbers(cidr.family)), cidr.first, cidr.last]
    offsets, inside = arrays.to_offsets(from_integers(values, family=cidr.family), cidr, unit_bits=unit_bits)
    for value, offset, is_inside in zip(values, offsets.tolist(), inside.tolist(), strict=True):
        wanted = value - cidr.first >> unit_bits
        assert is_inside == (value in cidr and wanted < 2**64)
        assert offset == (wanted if is_inside else 0)


def test_offsets_of_the_other_family_are_nowhere() -> None:
    offsets, inside = arrays.to_offsets(arrays.empty(2, IPFamily.IPV6), Cidr("0.0.0.0/0"))
    assert (offsets.tolist(), inside.tolist()) == ([0, 0], [False, False])


@given(two_lists(), st.data())
def test_membership_in_blocks(lists, data) -> None:
    family, a, b = lists
    lengths = data.draw(st.lists(st.integers(0, family.bits), min_size=len(b), max_size=len(b)))
    blocks = [Cidr.from_parts(family, v, p, host_bits="mask") for v, p in zip(b, lengths, strict=True)]
    found = arrays.addresses_in(from_integers(a, family=family), [*blocks, Cidr("1::/64")])
    assert found.tolist() == [
        any(v in block for block in [*blocks, Cidr("1::/64")] if block.family is family) for v in a
    ]


def test_membership_in_many_blocks_searches() -> None:
    blocks = list(Cidr("10.0.0.0/16").subnets(24))[::2]
    column = arrays.from_offsets(Cidr("10.0.0.0/15"), np.arange(0, 1 << 17, 77))
    assert arrays.addresses_in(column, blocks).tolist() == [any(v in c for c in blocks) for v in to_integers(column)]


def test_membership_reads_text() -> None:
    column = from_integers([0x0A000001, 0x0B000001], family=IPFamily.IPV4)
    assert arrays.addresses_in(column, "10.0.0.0/8").tolist() == [True, False]
    assert arrays.addresses_in(column, []).tolist() == [False, False]
    with pytest.raises(InvalidCidr, match="'10'"):
        arrays.addresses_in(column, ["10"])


def test_the_dtype_is_the_family() -> None:
    for family in IPFamily:
        column = arrays.empty(3, family)
        assert arrays.family_of(column) is family
        assert column.dtype == arrays.address_dtype(family)
        assert to_integers(column) == [0, 0, 0]
    assert arrays.IPV6_DTYPE.itemsize == 16


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: arrays.family_of(np.zeros(1)), "float64 is no address column"),
        (lambda: arrays.family_of([1]), "list is no address column"),
        (lambda: from_integers([1, 2**32], family=IPFamily.IPV4), "row 1: 4294967296"),
        (lambda: arrays.from_offsets(Cidr("10.0.0.0/30"), [0, 4]), "row 1: .* no offset 4"),
        (lambda: arrays.from_offsets(Cidr("10.0.0.0/30"), [-1]), "row 0: offset -1 is negative"),
        (lambda: arrays.mask_prefix(np.zeros(1, np.uint32), 33), "/33"),
        (lambda: arrays.mask_prefix(np.zeros(1, np.uint32), -1), "/-1"),
        (lambda: arrays.less(np.zeros(1, np.uint32), np.zeros(1, arrays.IPV6_DTYPE)), "IPv4 column meets an IPv6"),
    ],
)
def test_refusals_name_the_row(call, words) -> None:
    with pytest.raises(InvalidAddress, match=words):
        call()
