import numpy as np
import pytest
from contracts.pool_contract import PoolContract, machine

from dsmodel.errors import InvalidInput, NotInRange, PoolFull
from dsmodel.pools.offsets import OffsetPool

BANDED = {"usable": 90, "first": 1, "band_offset": 16}


class TestScan(PoolContract):
    def make(self):
        return OffsetPool(**BANDED, strategy="scan")

    def twin(self):
        return OffsetPool(**BANDED, strategy="scan", storage="sparse")


class TestScanSparse(PoolContract):
    def make(self):
        return OffsetPool(**BANDED, strategy="scan", storage="sparse")


class TestSample(PoolContract):
    ordered = False

    def make(self):
        return OffsetPool(**BANDED, strategy="sample")

    def twin(self):
        return OffsetPool(**BANDED, strategy="sample", storage="sparse")


class TestSampleSparse(PoolContract):
    ordered = False

    def make(self):
        return OffsetPool(**BANDED, strategy="sample", storage="sparse")


class TestLowest(PoolContract):
    def make(self):
        return OffsetPool(**BANDED, strategy="lowest")

    def twin(self):
        return OffsetPool(**BANDED, strategy="lowest", storage="sparse")


class TestLowestSparse(PoolContract):
    def make(self):
        return OffsetPool(**BANDED, strategy="lowest", storage="sparse")


class TestNext(PoolContract):
    def make(self):
        return OffsetPool(**BANDED, strategy="next")

    def twin(self):
        return OffsetPool(**BANDED, strategy="next", storage="sparse")


class TestNextSparse(PoolContract):
    def make(self):
        return OffsetPool(**BANDED, strategy="next", storage="sparse")


TestScanMachine = machine(lambda: OffsetPool(200, band_offset=16, strategy="scan"))
TestScanSparseMachine = machine(lambda: OffsetPool(200, band_offset=16, strategy="scan", storage="sparse"))
TestSampleMachine = machine(lambda: OffsetPool(130, strategy="sample"))
TestLowestMachine = machine(lambda: OffsetPool(300, first=1, strategy="lowest"))
TestLowestSparseMachine = machine(lambda: OffsetPool(300, first=1, strategy="lowest", storage="sparse"))
TestNextMachine = machine(lambda: OffsetPool(150, band_offset=7, strategy="next"))
TestNextSparseMachine = machine(lambda: OffsetPool(150, band_offset=7, strategy="next", storage="sparse"))


def first_free(used, start, stop, at):
    """Look for a free slot the slow way: from ``at`` on, with wrap inside ``[start, stop)``."""
    for step in range(stop - start):
        slot = start + (at - start + step) % (stop - start)
        if slot not in used:
            return slot
    return None


def oracle(pool_kwargs, used, *, n, rng, cursor):
    """Choose n slots one after the other, as slowly and plainly as can be."""
    usable, band = pool_kwargs["usable"], pool_kwargs["band_offset"]
    used, out = set(used), []
    while len(out) < n and len(used) < usable:
        full = all(slot in used for slot in range(band, usable))
        start, stop = (0, band) if full else (band, usable)
        if pool_kwargs["strategy"] == "scan":
            at = start + int(rng.integers(0, stop - start - 1, dtype=np.uint64, endpoint=True))
        else:
            inside = pool_kwargs["strategy"] == "next" and start <= cursor < stop
            at = cursor if inside else start
        slot = first_free(used, start, stop, at)
        used.add(slot)
        out.append(slot)
        cursor = (slot + 1) % usable
    return out


@pytest.mark.parametrize("storage", ["dense", "sparse"])
@pytest.mark.parametrize("strategy", ["scan", "next", "lowest"])
def test_a_batch_follows_the_slow_oracle(strategy, storage):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        usable = int(rng.integers(1, 220))
        band = int(rng.choice([0, 5, 16])) % usable
        kwargs = {"usable": usable, "band_offset": band, "strategy": strategy}
        used = np.flatnonzero(rng.random(usable) < rng.choice([0, 0.4, 0.95]))
        cursor = int(rng.integers(usable))
        n = int(rng.integers(0, usable + 4))
        expected = oracle(kwargs, used.tolist(), n=n, rng=np.random.default_rng(seed), cursor=cursor)
        for order in ("sequence", "set"):
            pool = OffsetPool(**kwargs, storage=storage)
            pool.occupy(used)
            pool.cursor = cursor
            taken = pool.allocate_next(n, rng=np.random.default_rng(seed), order=order).tolist()
            assert (taken if order == "sequence" else sorted(taken)) == (
                expected if order == "sequence" else sorted(expected)
            )


@pytest.mark.parametrize("share", [0.1, 0.62, 0.97, 1.0])
def test_large_batches_by_every_way_agree_with_single_calls(share):
    """Sizes at which the counting, the sorting, the accepting and the searching way are each taken."""
    usable = (1 << 18) + 877
    used = np.random.default_rng(1).permutation(usable)[: usable // 4]
    pools = {}
    for storage in ("dense", "sparse"):
        for order in ("sequence", "set"):
            pool = OffsetPool(usable, band_offset=256, strategy="scan", storage=storage)
            pool.occupy(used)
            taken = pool.allocate_next(int(pool.free * share), rng=np.random.default_rng(2), order=order)
            pools[storage, order] = taken if order == "sequence" else np.sort(taken)
    flags = bytearray(usable)
    np.frombuffer(flags, dtype=bool)[used] = True
    expected = []
    upper = usable - 256 - int(np.count_nonzero(used >= 256))
    rng, n = np.random.default_rng(2), len(taken)
    for start in rng.integers(0, usable - 257, size=min(n, upper), dtype=np.uint64, endpoint=True).tolist():
        slot = flags.find(0, start + 256)
        slot = slot if slot >= 0 else flags.find(0, 256)
        flags[slot] = 1
        expected.append(slot)
    for start in rng.integers(0, 255, size=max(0, n - upper), dtype=np.uint64, endpoint=True).tolist():
        slot = flags.find(0, start, 256)
        slot = slot if slot >= 0 else flags.find(0, 0, 256)
        flags[slot] = 1
        expected.append(slot)
    expected = np.array(expected, dtype=np.uint64)
    for (_, order), result in pools.items():
        np.testing.assert_array_equal(result, expected if order == "sequence" else np.sort(expected))


def test_single_choices_taken_ahead_are_not_seen():
    pool = OffsetPool(5000, strategy="next")
    pool.occupy(range(0, 5000, 7))
    given = []
    for step in range(400):
        given.append(pool.allocate_next())
        assert pool.used == len(set(range(0, 5000, 7)) | set(given))
        if step % 90 == 40:
            assert pool.cursor == given[-1] + 1
            assert not pool.has(5000 - 1)
    following = [pool.copy().allocate_next(), pool.allocate_next(1)[0]]
    assert following[0] == following[1] == next(i for i in range(given[-1] + 1, 5000) if i % 7)


@pytest.mark.parametrize("first", [0, 7])
@pytest.mark.parametrize("order", ["sequence", "set"])
@pytest.mark.parametrize("storage", ["dense", "sparse"])
@pytest.mark.parametrize("strategy", ["scan", "sample", "lowest", "next"])
def test_what_is_granted_is_the_callers_to_change(strategy, storage, order, first):
    pool = OffsetPool(5000, first=first, band_offset=16, strategy=strategy, storage=storage)
    taken = pool.allocate_next(40, rng=np.random.default_rng(1), order=order)
    used, before = np.sort(taken), pool.snapshot()
    pool.used_offsets()[:] = pool.free_offsets(9)[:1]
    taken[:] = 4999
    assert pool.snapshot() == before
    np.testing.assert_array_equal(pool.used_offsets(), used)


@pytest.mark.parametrize("free", [0.002, 0.03, 0.2])
@pytest.mark.parametrize("strategy", ["lowest", "next"])
def test_single_calls_find_every_offset_of_a_nearly_full_pool(strategy, free):
    usable = 50_003
    wanted = np.flatnonzero(np.random.default_rng(6).random(usable) < free)
    pool = OffsetPool(usable, strategy=strategy)
    pool.occupy(np.setdiff1d(np.arange(usable), wanted))
    assert [pool.allocate_next() for _ in wanted] == wanted.tolist()
    with pytest.raises(PoolFull, match="all 50003 usable offsets are in use"):
        pool.allocate_next()


@pytest.mark.parametrize("storage", ["dense", "sparse"])
@pytest.mark.parametrize("strategy", ["lowest", "next"])
def test_single_calls_of_all_verbs_agree_while_choices_are_taken_ahead(strategy, storage):
    kwargs = {"usable": 700, "band_offset": 20, "strategy": strategy}
    pool = OffsetPool(**kwargs, storage=storage)
    rng, used, cursor = np.random.default_rng(8), set(), 0
    for step in range(4000):
        verb = int(rng.integers(120))
        slot = int(rng.integers(700)) if step % 2 else min(cursor + int(rng.integers(30)), 699)
        if verb < 4 or len(used) == 700:
            assert pool.release(slot) == (slot in used)
            used.discard(slot)
        elif verb == 4 and slot not in used:
            pool.allocate(slot)
            used.add(slot)
        elif verb == 5:
            pool.occupy(slot)
            used.add(slot)
        elif verb < 9:
            assert pool.has(slot) == (slot in used)
        else:
            [expected] = oracle(kwargs, used, n=1, rng=None, cursor=cursor)
            assert pool.allocate_next() == expected
            used.add(expected)
            cursor = (expected + 1) % 700
        assert pool.used == len(used)
    assert pool.used_offsets().tolist() == sorted(used)


def test_scan_prefers_what_follows_a_used_run_and_sample_does_not():
    counts = {}
    for strategy in ("scan", "sample"):
        counts[strategy] = np.zeros(16, dtype=int)
        rng = np.random.default_rng(0)
        pool = OffsetPool(16, strategy=strategy, rng=rng)
        pool.occupy(range(8))
        for _ in range(2000):
            offset = pool.allocate_next()
            counts[strategy][offset] += 1
            pool.release(offset)
    assert counts["scan"][8] / 2000 == pytest.approx(9 / 16, abs=0.05)
    assert counts["sample"][8] / 2000 == pytest.approx(1 / 8, abs=0.04)


@pytest.mark.parametrize("storage", ["dense", "sparse"])
def test_sample_draws_every_free_offset_alike(storage):
    hits, draws, n = np.zeros(700), 300, 200
    rng = np.random.default_rng(4)
    for _ in range(draws):
        pool = OffsetPool(700, strategy="sample", storage=storage)
        pool.occupy(range(100, 200))
        hits[pool.allocate_next(n, rng=rng, order="set").astype(int)] += 1
    free = np.delete(hits, range(100, 200))
    assert not hits[100:200].any()
    expected = draws * n / 600
    statistic = ((free - expected) ** 2 / (expected * (1 - n / 600))).sum()
    assert abs(statistic - 599) < 5 * (2 * 599) ** 0.5


def test_wide_pools_hold_every_offset_up_to_the_last():
    last = 2**64 - 1
    pool = OffsetPool(2**64, strategy="next")
    pool.cursor = last
    assert [pool.allocate_next() for _ in range(2)] == [last, 0]
    assert pool.allocate_next(2).tolist() == [1, 2]
    assert pool.free == 2**64 - 4
    assert pool.has(last)
    assert pool.used_offsets().tolist() == [0, 1, 2, last]
    scan = OffsetPool(2**64, strategy="scan", rng=np.random.default_rng(1))
    assert len(np.unique(scan.allocate_next(1000))) == 1000
    lowest = OffsetPool(2**64, strategy="lowest")
    lowest.occupy([0, 2, last])
    assert lowest.allocate_next(3).tolist() == [1, 3, 4]
    assert lowest.free_offsets(2).tolist() == [5, 6]


def test_scan_at_the_top_of_a_wide_pool_wraps():
    class Top:
        """A generator whose every draw is the top offset."""

        def integers(self, _, high=None, size=None, **__):
            return high if size is None else np.full(size, high, dtype=np.uint64)

    for order in ("sequence", "set"):
        pool = OffsetPool(2**64, strategy="scan")
        pool.occupy(1)
        taken = pool.allocate_next(3, rng=Top(), order=order).tolist()
        assert sorted(taken) == [0, 2, 2**64 - 1]
        if order == "sequence":
            assert taken == [2**64 - 1, 0, 2]


def test_many_starts_at_one_slot_still_follow_the_law():
    class Same:
        def integers(self, _low, _high, size, *, dtype, **_):
            return np.full(size, 5, dtype=dtype)

    pool = OffsetPool(1 << 19, strategy="scan")
    taken = pool.allocate_next(1 << 18, rng=Same(), order="set")
    np.testing.assert_array_equal(np.sort(taken), np.arange(5, 5 + (1 << 18)))


def test_random_strategies_need_random_numbers():
    for strategy in ("scan", "sample"):
        for n in (None, 3):
            with pytest.raises(InvalidInput, match="needs random numbers: pass rng="):
                OffsetPool(4, strategy=strategy).allocate_next(n)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"usable": -1}, "-1 usable offsets"),
        ({"usable": 2**64 + 1}, "cap it with limit="),
        ({"usable": 2**64, "first": 1}, "first usable offset 1"),
        ({"usable": 4, "band_offset": -1}, "band offset -1"),
        ({"usable": 4, "strategy": "random"}, "strategy 'random'"),
        ({"usable": 4, "storage": "disk"}, "storage 'disk'"),
    ],
)
def test_numbers_out_of_range_are_refused(kwargs, message):
    with pytest.raises(InvalidInput, match=message):
        OffsetPool(**kwargs)


def test_a_pool_without_usable_offsets_is_full():
    pool = OffsetPool(0, strategy="lowest")
    assert (pool.free, len(pool.allocate_next(3)), pool.has([0]).tolist()) == (0, 0, [False])
    with pytest.raises(NotInRange, match="no usable offset"):
        pool.allocate(0)


def test_unknown_order_is_refused():
    with pytest.raises(InvalidInput, match="order 'any'"):
        OffsetPool(4, strategy="lowest").allocate_next(2, order="any")


def test_too_many_free_offsets_are_not_listed():
    with pytest.raises(InvalidInput, match="give limit="):
        OffsetPool(2**64).free_offsets()


def test_a_cursor_outside_is_refused():
    with pytest.raises(NotInRange, match="cursor 9"):
        OffsetPool(4).cursor = 9
