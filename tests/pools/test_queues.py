import numpy as np
import pytest

from dsmodel.errors import AlreadyAllocated, InvalidInput, NotInRange, PoolFull, Reason
from dsmodel.pools.queues import BlockAffinity, BlockQueues


class Lists:
    """The same rules over plain lists, one request after the other."""

    def __init__(self, blocks, size, cooldown):
        self.cooldown = cooldown
        self.waiting = [list(range(size)) for _ in range(blocks)]
        self.used = [set() for _ in range(blocks)]
        self.cooling = [{} for _ in range(blocks)]

    def settle(self, now):
        for waiting, cooling in zip(self.waiting, self.cooling, strict=True):
            for _, ordinal in sorted((at, o) for o, at in cooling.items() if now - at >= self.cooldown):
                waiting.append(ordinal)
                del cooling[ordinal]

    def allocate_next(self, queues, rows, _, now):
        self.settle(now)
        ordinals, ok = queues.allocate_next(rows, now=now)
        for block, ordinal, granted in zip(rows.tolist(), ordinals.tolist(), ok.tolist(), strict=True):
            assert granted == bool(self.waiting[block])
            if granted:
                assert ordinal == self.waiting[block].pop(0)
                self.used[block].add(ordinal)

    def release(self, queues, rows, names, now):
        gone, was = [], queues.release(rows, names, now=now).tolist()
        for block, ordinal, freed in zip(rows.tolist(), names.tolist(), was, strict=True):
            assert freed == (ordinal in self.used[block])
            if freed:
                self.used[block].remove(ordinal)
                gone.append((block, ordinal))
        for block, ordinal in sorted(gone):
            if self.cooldown:
                self.cooling[block][ordinal] = now
            else:
                self.waiting[block].append(ordinal)

    def allocate(self, queues, rows, names, _):
        ok = queues.allocate(rows, names).ok.tolist()
        for block, ordinal, granted in zip(rows.tolist(), names.tolist(), ok, strict=True):
            assert granted == (ordinal in self.waiting[block])
            if granted:
                self.waiting[block].remove(ordinal)
                self.used[block].add(ordinal)


@pytest.mark.parametrize("cooldown", [0, 3])
@pytest.mark.parametrize("seed", range(12))
def test_any_sequence_of_verbs_follows_lists(seed, cooldown):
    rng = np.random.default_rng(seed)
    blocks, size = 4, 8
    queues, lists = BlockQueues(blocks, size, cooldown=cooldown), Lists(blocks, size, cooldown)
    for now in range(25):
        rows = rng.integers(0, blocks, size=int(rng.integers(0, 12)))
        names = rng.integers(-1, size + 1, size=len(rows))
        (lists.allocate_next, lists.release, lists.allocate)[now % 3](queues, rows, names, now)
        assert [queues.queue(block).tolist() for block in range(blocks)] == lists.waiting
        assert queues.used_per_block().tolist() == [len(block) for block in lists.used]
        assert queues.free_per_block().tolist() == [len(block) for block in lists.waiting]
        assert queues.empty_blocks().tolist() == [len(block) == size for block in lists.waiting]


def test_named_ordinals_carry_reasons():
    queues = BlockQueues(1, 4)
    assert queues.allocate([0, 0, 0, 1], [2, 2, 4, 0]).reason.tolist() == [
        Reason.OK,
        Reason.ALREADY_ALLOCATED,
        Reason.NOT_IN_RANGE,
        Reason.NOT_IN_RANGE,
    ]
    assert queues.has([0, 0, 5], [2, 3, 0]).tolist() == [True, False, False]


def test_a_copy_of_queues_is_independent():
    queues = BlockQueues(1, 4)
    other = queues.copy()
    other.allocate_next([0])
    assert queues.free_per_block().tolist() == [4]


def test_queues_refuse_what_is_not_there():
    with pytest.raises(InvalidInput, match="1 to 65536 ordinals"):
        BlockQueues(1, 0)
    with pytest.raises(InvalidInput, match="cooldown -1"):
        BlockQueues(1, 1, cooldown=-1)
    queues = BlockQueues(2, 4)
    with pytest.raises(InvalidInput, match="there are 0 to 1"):
        queues.allocate_next([2])
    with pytest.raises(NotInRange, match="block 2"):
        queues.queue(2)
    with pytest.raises(InvalidInput, match="one ordinal a block"):
        queues.release([0], [1, 2])
    assert len(queues.allocate_next([])[0]) == 0


def test_claims_walk_from_the_start_with_wrap_up_to_the_limit():
    affinity = BlockAffinity(5, limit=3)
    affinity.assign(9, [4])
    assert [affinity.claim(1, start=3) for _ in range(3)] == [3, 0, 1]
    with pytest.raises(PoolFull, match="owner 1 has 3 blocks, the limit"):
        affinity.claim(1)
    assert affinity.owner.tolist() == [1, 1, -1, 1, 9]
    affinity.disown([0])
    assert affinity.blocks_of(1).tolist() == [1, 3]
    with pytest.raises(AlreadyAllocated, match="block 4: owned by 9"):
        affinity.assign(1, [2, 4])
    with pytest.raises(InvalidInput, match="blocks 5 to 5"):
        affinity.disown([5])
    with pytest.raises(InvalidInput, match="owner -1"):
        affinity.claim(-1)


def test_only_old_empty_blocks_of_others_are_reclaimed():
    affinity = BlockAffinity(2)
    affinity.claim(1, now=0)
    affinity.claim(1, now=50)
    empty = np.array([True, True])
    with pytest.raises(PoolFull, match="all 2 have owners"):
        affinity.claim(2, now=59, empty=empty)
    assert affinity.claim(2, now=60, empty=empty, start=1) == 0
    with pytest.raises(PoolFull, match="no block for owner 3"):
        affinity.claim(3, now=500, empty=~empty)


def test_lenders_are_others_with_room_in_walking_order():
    affinity = BlockAffinity(4)
    affinity.assign(1, [2])
    assert affinity.lenders(1, np.array([1, 0, 1, 1]), start=3).tolist() == [3, 0]
    assert not len(BlockAffinity(4, borrow=False).lenders(1, np.ones(4, dtype=int)))
    other = affinity.copy()
    other.disown([2])
    assert affinity.blocks_of(1).tolist() == [2]


def test_an_affinity_needs_a_limit():
    with pytest.raises(InvalidInput, match="limit 0"):
        BlockAffinity(1, limit=0)
