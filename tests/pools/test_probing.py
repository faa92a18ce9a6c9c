import numpy as np
import pytest

from dsmodel.pools import probing


def park(ranks, free):
    """Probe one after the other."""
    used, out = set(), []
    for rank in ranks:
        at = rank % free
        while at in used:
            at = (at + 1) % free
        used.add(at)
        out.append(at)
    return out


@pytest.mark.parametrize("seed", range(30))
def test_set_and_sequence_follow_the_loop(seed):
    rng = np.random.default_rng(seed)
    free = int(rng.integers(1, 300))
    ranks = rng.integers(0, free + 1, size=int(rng.integers(0, free + 1))).astype(np.uint64)
    expected = park(ranks.tolist(), free)
    assert probing.sequence(ranks, free).tolist() == expected
    assert probing.occupied(np.sort(ranks), free).tolist() == sorted(expected)


@pytest.mark.parametrize("load", [0.3, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("spread", [1.0, 0.2])
def test_accepting_and_searching_find_the_same_match(load, spread):
    size = 6_000
    starts = np.random.default_rng(1).integers(0, int(size * spread), size=int(size * load))
    expected = probing._parked_by_search(starts, size)
    np.testing.assert_array_equal(probing._parked_by_acceptance(starts, size), expected)


@pytest.mark.parametrize("seed", range(20))
def test_queues_serve_like_probing(seed):
    rng = np.random.default_rng(seed)
    slots = 64 * int(rng.integers(1, 5))
    free = rng.random(slots) < 0.6
    starts = rng.poisson(rng.choice([0.1, 0.6, 1.2]), size=slots).astype(np.uint8)
    waiting = int(rng.integers(0, 40))
    queue, expected = waiting, []
    for is_free, new in zip(free.tolist(), starts.tolist(), strict=True):
        queue += new
        expected.append(is_free and queue > 0)
        queue -= expected[-1]
    taken, left = probing.served(free, starts, waiting)
    assert (taken.tolist(), left) == (expected, queue)


def test_starts_close_to_the_top_wrap_to_the_bottom():
    top = 2**64 - 1
    ranks = np.array([0, top, top, top], dtype=np.uint64)
    assert probing.occupied(ranks, 2**64).tolist() == [0, 1, 2, top]
    assert probing.sequence(ranks, 2**64).tolist() == [0, top, 1, 2]


@pytest.mark.parametrize("wide", [1, 2**40])
def test_first_rows_are_the_first_of_their_value(wide):
    slots = np.random.default_rng(2).integers(0, 50, size=200).astype(np.uint64) * np.uint64(wide)
    seen, expected = set(), []
    for slot in slots.tolist():
        expected.append(slot not in seen)
        seen.add(slot)
    assert probing.first_rows(slots).tolist() == expected
    far = np.append(slots, np.uint64(2**64 - 1))
    assert probing.first_rows(far).tolist() == [*expected, True]


@pytest.mark.parametrize(("n", "among"), [(0, 5), (5, 5), (3, 2**64), (400, 1000)])
def test_distinct_numbers_are_distinct_and_below(n, among):
    numbers = probing.distinct(n, among, np.random.default_rng(1)).tolist()
    assert len(set(numbers)) == n
    assert numbers == sorted(numbers)
    assert all(number < among for number in numbers)


@pytest.mark.parametrize("crowd", [1, 3, 200])
@pytest.mark.parametrize("load", [0.05, 0.6, 1.0])
def test_crowded_starts_over_many_pages_follow_the_loop(crowd, load):
    size = 9_000
    starts = (np.random.default_rng(3).integers(0, crowd, size=int(size * load)) + 6_500).astype(np.uint64)
    at, used, expected = dict.fromkeys(range(crowd), 0), set(), []
    for start in starts.tolist():  # a start's slots up to the last one found stay in use
        slot = at[start - 6_500] + start
        while slot % size in used:
            slot += 1
        at[start - 6_500] = slot - start
        used.add(slot % size)
        expected.append(slot % size)
    assert probing.sequence(starts, size).tolist() == expected


def test_starts_piled_up_on_one_slot_cost_no_more_than_two_pages_each(monkeypatch):
    looked_at = []

    class Counted(bytearray):
        def find(self, value, start=0, stop=None):
            at = super().find(value, start, len(self) if stop is None else stop)
            looked_at.append((at if at >= 0 else min(stop or len(self), len(self))) - start + 1)
            return at

    monkeypatch.setattr(probing, "bytearray", Counted, raising=False)
    size, n = 120_000, 80_000
    taken = probing.sequence(np.full(n, 70_000, dtype=np.uint64), size)
    np.testing.assert_array_equal(taken, (np.arange(n) + 70_000) % size)
    assert sum(looked_at) < n * (2 * 4096 + size // 4096)  # over the whole run it would be n / 2 each
