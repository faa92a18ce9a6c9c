import numpy as np
import pytest

from dsmodel.errors import InvalidInput, PoolFull
from dsmodel.pools.contract import Allocation, Operation, offset_rows
from dsmodel.pools.grids import RangeGrid
from dsmodel.pools.offsets import OffsetPool


@pytest.fixture
def pools():
    return OffsetPool(10, strategy="next"), OffsetPool(2**64, strategy="lowest")


def change(pools):
    for pool in pools:
        pool.allocate_next(3)


def drain(pools):
    change(pools)
    while True:
        pools[0].allocate_next()


def test_leaving_the_block_commits(pools):
    with Operation(*pools):
        change(pools)
    assert [pool.used for pool in pools] == [3, 3]


def test_an_exception_reverts_every_pool_and_goes_on(pools):
    before = [pool.snapshot() for pool in pools]
    with pytest.raises(PoolFull, match="no free offset"), Operation(*pools):
        drain(pools)
    assert [pool.snapshot() for pool in pools] == before
    assert pools[0].cursor == 0


def test_revert_may_be_followed_by_another_try(pools):
    with Operation(*pools) as operation:
        change(pools)
        operation.revert()
        pools[0].allocate(7)
    assert [pool.used for pool in pools] == [1, 0]
    with Operation(*pools) as operation:
        change(pools)
        operation.revert()
        change(pools)
        operation.revert()
    assert [pool.used for pool in pools] == [1, 0]


def test_grids_take_part():
    grid = RangeGrid(2, 8)
    with Operation(grid) as operation:
        grid.allocate_next([0, 1, 1])
        operation.revert()
    assert (grid.used, grid.cursor.tolist()) == (0, [0, 0])


def test_an_allocation_counts_what_it_granted():
    record = Allocation.of(np.array([0, 1, 0], dtype=np.uint8))
    assert (record.granted, record.ok.tolist()) == (2, [True, False, True])


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.uint64, list])
def test_offsets_of_every_integer_type_read_alike(kind):
    rows = [0, 1, 9, 100]
    slots, inside = offset_rows(rows if kind is list else np.array(rows, dtype=kind), first=1, usable=9)
    assert inside.tolist() == [False, True, True, False]
    assert slots[inside].tolist() == [0, 8]


def test_offsets_that_all_fit_need_no_mask():
    assert offset_rows([3, 4], first=3, usable=2)[1] is None


def test_lists_across_the_sign_bit_are_read_exactly():
    slots, inside = offset_rows([0, 2**64 - 1], first=0, usable=2**64)
    assert slots.tolist() == [0, 2**64 - 1]
    assert inside is None


def test_numbers_beyond_64_bits_are_refused():
    with pytest.raises(InvalidInput, match=r"below 2\*\*64"):
        offset_rows([2**64], first=0, usable=4)
