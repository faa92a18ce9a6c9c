from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.cidr import Cidr
from dsmodel.cni.calico import IPPool
from dsmodel.cni.calico import vacancies as module
from dsmodel.cni.calico.vacancies import Vacancies

POOL = IPPool("p", Cidr("10.0.0.0/24"), 28)


NEARLY_ALL = st.sets(st.integers(0, 15), max_size=2).map(lambda left: set(range(16)) - left)


@given(
    st.one_of(st.sets(st.integers(0, 15)), NEARLY_ALL),
    st.integers(0, 15),
    st.sampled_from([[], ["10.0.0.32/27", "10.0.0.100/32"]]),
)
def test_dense_and_wide_pools_walk_alike(claimed: set[int], start: int, reserved: list[str]) -> None:
    cidrs = [Cidr(text) for text in reserved]
    dense = Vacancies(POOL, cidrs)
    limit, module.DENSE_BLOCKS = module.DENSE_BLOCKS, 1
    wide = Vacancies(POOL, cidrs)
    module.DENSE_BLOCKS = limit
    covered = {2, 3} if reserved else set()
    for index in claimed:
        dense.claim(index)
        wide.claim(index)
    walk = [(start + step) % 16 for step in range(16)]
    expected = next((index for index in walk if index not in claimed | covered), -1)
    assert dense.first(start) == wide.first(start) == expected
    for index in claimed:
        dense.give_up(index)
        wide.give_up(index)
    assert dense.first(2) == wide.first(2) == (4 if reserved else 2)


@pytest.mark.parametrize("start", [0, 1, 7])
def test_a_pool_reserved_whole_has_nothing(start: int) -> None:
    wide = IPPool("p", Cidr("fd00::/64"), 122)
    assert Vacancies(wide, [Cidr("fd00::/64")]).first(start) == -1
    assert Vacancies(wide, [Cidr("fd00::/65")]).first(start) == 1 << 57
    assert Vacancies(POOL, [Cidr("10.0.0.0/23")]).first(start) == -1


def test_a_copy_is_independent() -> None:
    one = Vacancies(POOL)
    two = one.copy()
    two.claim(0)
    assert (one.first(0), two.first(0)) == (0, 1)
