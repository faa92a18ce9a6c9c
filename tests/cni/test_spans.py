from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.arrays import from_integers, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.spans import LowestFree, without
from dsmodel.errors import InvalidInput

V4, V6 = IPFamily.IPV4, IPFamily.IPV6


@given(
    st.lists(
        st.tuples(st.integers(0, 28), st.integers(0, 3)).map(
            lambda t: Cidr.from_parts(V4, t[0] >> t[1] << t[1], 32 - t[1])
        )
    ),
    st.integers(0, 31),
    st.integers(0, 31),
)
def test_what_is_left_equals_a_set(excluded: list[Cidr], first: int, length: int) -> None:
    spans = without(first, first + length, excluded)
    left = [n for n in range(first, first + length + 1) if not any(n in cidr for cidr in excluded)]
    assert [n for low, high in spans for n in range(low, high + 1)] == left


@given(st.lists(st.tuples(st.sampled_from(["take", "run", "free"]), st.integers(1, 6)), max_size=20))
def test_any_sequence_equals_a_set(steps: list[tuple[str, int]]) -> None:
    base = 0xFD00 << 112
    spans = [(base + 20, base + 27), (base + 5, base + 9)]
    pool = LowestFree(V6, spans)
    free = [n for low, high in spans for n in range(low, high + 1)]
    used: list[int] = []
    for verb, n in steps:
        if verb == "free":
            gone = used[:n]
            used = used[n:]
            assert pool.release(from_integers(gone, family=V6)).all()
            free = [m for low, high in spans for m in range(low, high + 1) if m in free or m in gone]
            continue
        expected = free[:n]
        if verb == "run":
            runs = ([m + i for i in range(n)] for m in free)
            expected = next((run for run in runs if inside(run, spans) and set(run) <= set(free)), [])
        got = to_integers(pool.allocate_next(n) if verb == "take" else pool.allocate_run(n))
        assert got == expected
        used += got
        free = [m for m in free if m not in got]
    assert (pool.used, pool.usable) == (len(used), 13)


def inside(run: list[int], spans: list[tuple[int, int]]) -> bool:
    return any(low <= run[0] and run[-1] <= high for low, high in spans)


def test_addresses_outside_are_told_apart() -> None:
    pool = LowestFree(V4, [(5, 9)])
    column = np.array([4, 5, 9, 10], np.uint32)
    assert pool.occupy(column).tolist() == [False, True, True, False]
    assert pool.copy().release(column).tolist() == [False, True, True, False]
    assert pool.used == 2


def test_a_span_does_not_end_before_it_starts() -> None:
    with pytest.raises(InvalidInput, match="ends before"):
        LowestFree(V4, [(3, 2)])
