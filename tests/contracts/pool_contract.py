"""What every pool must do, whatever its storage: one state machine and one set of plain tests.

A test class inherits `PoolContract` and says how to make its pool; `machine` makes the state machine's test case.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dsmodel.errors import AlreadyAllocated, InvalidInput, NotInRange, PoolFull, Reason

SEED = 11


def choose(pool, n=None):
    """Ask for offsets with random numbers that repeat."""
    return pool.allocate_next(n, rng=np.random.default_rng(SEED))


class PoolContract:
    """Inherit, and return a small empty pool from ``make``; ``twin`` is the same pool in another storage, if any."""

    ordered = True  # n at once are row by row what n calls give

    def make(self):
        raise NotImplementedError

    def twin(self):
        return None

    @pytest.fixture
    def pool(self):
        return self.make()

    @pytest.fixture
    def offsets(self):
        """All usable offsets."""
        return self.make().free_offsets()

    def test_an_empty_pool_counts_nothing_in_use(self, pool, offsets):
        assert (pool.used, pool.free, len(pool.used_offsets())) == (0, pool.usable, 0)
        assert len(offsets) == pool.usable <= pool.size

    def test_one_offset_is_granted_once(self, pool, offsets):
        pool.allocate(int(offsets[0]))
        assert pool.has(int(offsets[0]))
        with pytest.raises(AlreadyAllocated, match=f"offset {offsets[0]}: in use"):
            pool.allocate(int(offsets[0]))
        assert pool.used == 1

    def test_dry_run_changes_nothing(self, pool, offsets):
        before = pool.snapshot()
        pool.allocate(int(offsets[0]), dry_run=True)
        assert pool.allocate(offsets, dry_run=True).ok.all()
        assert pool.snapshot() == before

    def test_dry_run_of_one_in_use_raises(self, pool, offsets):
        pool.occupy(int(offsets[0]))
        with pytest.raises(AlreadyAllocated, match="in use"):
            pool.allocate(int(offsets[0]), dry_run=True)

    @pytest.mark.parametrize("outside", [-1, 2**64, 2**70])
    def test_one_outside_raises_and_has_no_state(self, pool, outside):
        for verb in (pool.allocate, pool.occupy):
            with pytest.raises(NotInRange, match=f"offset {outside}"):
                verb(outside)
        assert pool.has(outside) is False
        assert pool.release(outside) is False

    def test_of_equal_rows_the_first_wins(self, pool, offsets):
        first = int(offsets[0])
        result = pool.allocate([first, -1, first])
        assert result.reason.tolist() == [Reason.OK, Reason.NOT_IN_RANGE, Reason.ALREADY_ALLOCATED]
        assert result.ok.tolist() == [True, False, False]
        assert result.granted == pool.used == 1

    def test_occupy_is_idempotent(self, pool, offsets):
        for _ in range(2):
            assert pool.occupy(np.concatenate([offsets[:2], offsets[:2]])).ok.all()
            assert pool.used == 2

    def test_release_tells_what_was_in_use_once(self, pool, offsets):
        pool.occupy(offsets[:1])
        assert pool.release([int(offsets[0]), int(offsets[1]), -5, int(offsets[0])]).tolist() == [True] + 3 * [False]
        assert pool.used == 0

    def test_release_undoes_allocate(self, pool, offsets):
        pool.occupy(offsets[::3])
        used = pool.used_offsets()
        taken = choose(pool, 4)
        assert pool.release(taken).all()
        np.testing.assert_array_equal(pool.used_offsets(), used)

    def test_a_batch_longer_than_the_pool_is_cut_and_one_more_raises(self, pool, offsets):
        taken = choose(pool, pool.usable + 5)
        np.testing.assert_array_equal(np.sort(taken), offsets)
        assert pool.free == 0
        assert len(choose(pool, 3)) == 0
        with pytest.raises(PoolFull, match="no free offset"):
            choose(pool)

    def test_one_freed_offset_of_a_full_pool_is_the_next(self, pool, offsets):
        pool.occupy(offsets)
        for offset in offsets[[0, len(offsets) // 2, -1]].tolist():
            pool.release(offset)
            assert choose(pool) == offset

    def test_n_at_once_equals_n_calls(self, pool, offsets):
        if not self.ordered:
            pytest.skip("this pool promises the distribution, not the order")
        pool.occupy(offsets[1::3])
        for n in (3, 2, len(offsets)):
            single = pool.copy()
            rng = np.random.default_rng(SEED)
            expected = [single.allocate_next(rng=rng) for _ in range(min(n, single.free))]
            as_set = pool.copy()
            assert choose(pool, n).tolist() == expected
            assert pool.snapshot() == single.snapshot()
            taken = as_set.allocate_next(n, rng=np.random.default_rng(SEED), order="set")
            assert sorted(taken.tolist()) == sorted(expected)
            np.testing.assert_array_equal(as_set.used_offsets(), single.used_offsets())

    def test_a_batch_of_named_offsets_equals_its_rows(self, pool, offsets):
        rows = np.random.default_rng(3).choice(offsets, 40)
        rows = np.concatenate([rows, offsets[-1:] + np.uint64(1)])
        single = pool.copy()
        expected = []
        for offset in rows.tolist():
            try:
                single.allocate(offset)
                expected.append(True)
            except (AlreadyAllocated, NotInRange):
                expected.append(False)
        assert pool.allocate(rows).ok.tolist() == expected
        assert pool.snapshot() == single.snapshot()

    def test_snapshot_and_restore_come_round(self, pool, offsets):
        pool.occupy(offsets[::2])
        choose(pool, 2)
        before = pool.snapshot()
        following = choose(pool, 3).tolist()
        other = self.make()
        other.restore(before)
        assert other.snapshot() == before
        assert choose(other, 3).tolist() == following

    def test_restore_refuses_what_is_no_snapshot(self, pool):
        before = pool.snapshot()
        with pytest.raises(InvalidInput, match="does not fit"):
            pool.restore(b"something else")
        assert pool.snapshot() == before

    def test_a_copy_is_independent(self, pool, offsets):
        pool.occupy(offsets[:3])
        before = pool.snapshot()
        other = pool.copy()
        choose(other)
        other.release(int(offsets[0]))
        assert pool.snapshot() == before
        changed = other.snapshot()
        choose(pool, 5)
        assert other.snapshot() == changed

    def test_adopt_takes_a_copy_back(self, pool, offsets):
        pool.occupy(offsets[:3])
        before, saved = pool.snapshot(), pool.copy()
        choose(pool, 4)
        pool.adopt(saved)
        assert pool.snapshot() == before
        choose(pool)
        assert saved.snapshot() == before

    @pytest.mark.parametrize("rows", [[1.5], [[1, 2]], ["1"], [2**64]])
    def test_rows_must_be_integers(self, pool, rows):
        with pytest.raises(InvalidInput, match="1-D array of integers"):
            pool.has(rows)

    def test_no_rows_are_no_work(self, pool):
        assert len(pool.allocate([]).ok) == len(pool.release([])) == len(pool.has([])) == len(choose(pool, 0)) == 0

    def test_a_negative_number_is_refused(self, pool):
        with pytest.raises(InvalidInput, match="n=-1"):
            choose(pool, -1)

    def test_the_other_storage_agrees(self, pool, offsets):
        other = self.twin()
        if other is None:
            pytest.skip("one storage")
        rng = np.random.default_rng(5)
        for step in range(60):
            rows = rng.choice(offsets, size=int(rng.integers(1, 6)))
            verb = ("allocate", "release", "occupy", "has", "allocate_next", "one")[step % 6]
            if verb == "one":
                assert pool.free == other.free
                if pool.free and self.ordered:
                    assert choose(pool) == choose(other)
            elif verb == "allocate_next":
                if self.ordered:
                    assert choose(pool, len(rows)).tolist() == choose(other, len(rows)).tolist()
            else:
                ours, theirs = getattr(pool, verb)(rows), getattr(other, verb)(rows)
                assert getattr(ours, "ok", ours).tolist() == getattr(theirs, "ok", theirs).tolist()
            np.testing.assert_array_equal(pool.used_offsets(), other.used_offsets())


class PoolMachine(RuleBasedStateMachine):
    """Any sequence of verbs, beside a plain set."""

    make = None

    def __init__(self):
        super().__init__()
        self.pool = type(self).make()
        self.offsets = self.pool.free_offsets().tolist()
        self.model = set()
        self.copies = []

    def named(self, picks):
        return [self.offsets[pick % len(self.offsets)] for pick in picks]

    @rule(pick=st.integers(0, 10**6))
    def allocate(self, pick):
        offset = self.named([pick])[0]
        if offset in self.model:
            with pytest.raises(AlreadyAllocated, match="in use"):
                self.pool.allocate(offset)
        else:
            self.pool.allocate(offset)
        self.model.add(offset)

    @rule(picks=st.lists(st.integers(0, 10**6), max_size=12))
    def allocate_many(self, picks):
        rows = self.named(picks)
        ok = []
        for offset in rows:
            ok.append(offset not in self.model)
            self.model.add(offset)
        assert self.pool.allocate(rows).ok.tolist() == ok

    @rule(picks=st.lists(st.integers(0, 10**6), max_size=12))
    def occupy(self, picks):
        rows = self.named(picks)
        assert self.pool.occupy(rows).ok.all()
        self.model.update(rows)

    @rule(picks=st.lists(st.integers(0, 10**6), max_size=12))
    def release_many(self, picks):
        for offset, was in zip(self.named(picks), self.pool.release(self.named(picks)).tolist(), strict=True):
            assert was == (offset in self.model)
            self.model.discard(offset)

    @rule(pick=st.integers(0, 10**6))
    def release(self, pick):
        offset = self.named([pick])[0]
        assert self.pool.release(offset) == (offset in self.model)
        self.model.discard(offset)

    @rule(n=st.integers(0, 30), seed=st.integers(0, 99))
    def allocate_next_many(self, n, seed):
        taken = self.pool.allocate_next(n, rng=np.random.default_rng(seed)).tolist()
        assert len(taken) == len(set(taken)) == min(n, len(self.offsets) - len(self.model))
        assert not self.model.intersection(taken)
        self.model.update(taken)

    @precondition(lambda self: len(self.model) < len(self.offsets))
    @rule(times=st.integers(1, 40), seed=st.integers(0, 99))
    def allocate_next(self, times, seed):
        rng = np.random.default_rng(seed)
        for _ in range(min(times, len(self.offsets) - len(self.model))):
            offset = self.pool.allocate_next(rng=rng)
            assert offset in self.offsets
            assert offset not in self.model
            self.model.add(offset)

    @rule()
    def copy(self):
        self.copies = [*self.copies[-2:], (self.pool.copy(), set(self.model))]

    @precondition(lambda self: self.copies)
    @rule()
    def revert(self):
        saved, self.model = self.copies[-1][0], set(self.copies[-1][1])
        self.pool.adopt(saved)

    @rule()
    def come_round(self):
        before = self.pool.snapshot()
        self.pool.restore(before)
        assert self.pool.snapshot() == before

    @invariant()
    def counts_equal_slots(self):
        assert self.pool.used == len(self.model)
        assert self.pool.used + self.pool.free == self.pool.usable
        for saved, model in self.copies:
            assert saved.used == len(model)

    def teardown(self):
        assert self.pool.used_offsets().tolist() == sorted(self.model)
        assert self.pool.has(self.offsets).tolist() == [offset in self.model for offset in self.offsets]
        for saved, model in self.copies:
            assert saved.used_offsets().tolist() == sorted(model)


def machine(make):
    """Return a test case that drives a pool through any sequence of verbs."""
    made = type("Machine", (PoolMachine,), {"make": staticmethod(make)})
    made.TestCase.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
    return made.TestCase
