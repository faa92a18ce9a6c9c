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
