import numpy as np
import pytest
from contracts.pool_contract import PoolContract, machine

from dsmodel.addresses.cidr import Cidr
from dsmodel.errors import InvalidInput, NotInRange, PoolFull
from dsmodel.pools.blocks import CidrSet


class TestCidrSetContract(PoolContract):
    def make(self):
        return CidrSet(Cidr("10.244.0.0/18"), 24)


TestCidrSetMachine = machine(lambda: CidrSet(Cidr("fd00::/57"), 64))


def test_a_released_block_waits_for_the_cursor_to_come_round():
    blocks = CidrSet(Cidr("10.0.0.0/22"), 24)
    assert [blocks.allocate_next() for _ in range(2)] == [0, 1]
    blocks.release(0)
    assert blocks.cursor == 2
    assert [blocks.allocate_next() for _ in range(3)] == [2, 3, 0]
    with pytest.raises(PoolFull, match="all 4 usable"):
        blocks.allocate_next()


@pytest.mark.parametrize(
    ("cidr", "indices"),
    [
        ("10.244.3.0/24", [3]),
        ("10.244.3.77/32", [3]),
        ("10.244.2.0/23", [2, 3]),
        ("10.244.0.0/22", [0, 1, 2, 3]),
        ("10.0.0.0/8", [0, 1, 2, 3]),
        ("10.244.0.0/16", [0, 1, 2, 3]),
    ],
)
def test_a_cidr_rounds_outward_and_moves_no_cursor(cidr, indices):
    blocks = CidrSet(Cidr("10.244.0.0/22"), 24)
    for _ in range(2):
        blocks.occupy_cidr(Cidr(cidr))
        assert blocks.used_offsets().tolist() == indices
    blocks.release_cidr([Cidr(cidr)])
    assert (blocks.used, blocks.cursor) == (0, 0)


@pytest.mark.parametrize("cidr", ["10.245.0.0/24", "fd00::/64"])
def test_a_cidr_elsewhere_changes_nothing(cidr):
    blocks = CidrSet(Cidr("10.244.0.0/22"), 24)
    for verb in (blocks.occupy_cidr, blocks.release_cidr):
        with pytest.raises(NotInRange, match=r"out of the range of cluster CIDR 10\.244\.0\.0/22"):
            verb([Cidr("10.244.0.0/24"), Cidr(cidr)])
    assert blocks.used == 0


def test_every_block_has_its_cidr_and_base_address():
    blocks = CidrSet(Cidr("fd00:10::/60"), 66)
    taken = blocks.allocate_next(blocks.max_blocks)
    column = blocks.blocks(taken)
    for index in (0, 1, 5, 63):
        cidr = blocks.block(index)
        assert cidr.prefix_length == 66
        assert (int(column["hi"][index]) << 64) + int(column["lo"][index]) == cidr.first
    indices, inside = blocks.indices(column)
    assert inside.all()
    np.testing.assert_array_equal(indices, taken)


def test_a_block_that_is_not_there_is_refused():
    blocks = CidrSet(Cidr("10.0.0.0/22"), 24)
    with pytest.raises(NotInRange, match="block 4"):
        blocks.block(4)
    with pytest.raises(InvalidInput, match="block 4"):
        blocks.blocks([4])


@pytest.mark.parametrize("length", [15, 33])
def test_blocks_are_no_larger_than_the_cluster_nor_smaller_than_an_address(length):
    with pytest.raises(InvalidInput, match=f"block prefix length {length}"):
        CidrSet(Cidr("10.0.0.0/16"), length)


@pytest.mark.parametrize("storage", ["dense", "sparse"])
def test_ranges_of_blocks_are_set_and_cleared_like_single_ones(storage):
    rng = np.random.default_rng(3)
    for _ in range(60):
        blocks, model = CidrSet(Cidr("10.0.0.0/16"), 24), set()
        if storage == "sparse":
            from dsmodel.pools.sparse import SparseSet

            blocks._storage = SparseSet(256)
        for _ in range(8):
            length = int(rng.integers(16, 28))
            cidr = Cidr.from_parts(blocks.cluster_cidr.family, 0x0A000000, 16).subnet(
                int(rng.integers(1 << (length - 16))), length
            )
            first, last = cidr.first >> 8 & 255, cidr.last >> 8 & 255
            covered = set(range(first, last + 1))
            if rng.random() < 0.6:
                blocks.occupy_cidr(cidr)
                model |= covered
            else:
                blocks.release_cidr(cidr)
                model -= covered
            assert blocks.used_offsets().tolist() == sorted(model)
            assert blocks.used == len(model)
