import numpy as np
import pytest

from dsmodel.errors import InvalidInput, Reason
from dsmodel.pools import grids
from dsmodel.pools.arrivals import Arrivals
from dsmodel.pools.grids import RangeGrid


class Model:
    """One set and one cursor a row, served one request at a time."""

    def __init__(self, rows, places, low, high):
        self.places, self.low, self.high = places, low, high
        self.used = [set() for _ in range(rows)]
        self.cursor = [places[0] if places else low] * rows

    def grant(self, row, place):
        self.used[row].add(place)
        self.cursor[row] = place + 1 if place + 1 < self.high else self.low

    def next(self, row):
        free = [place for place in self.places if place not in self.used[row]]
        ahead = [place for place in free if place >= self.cursor[row]]
        return (ahead or free or [None])[0]


@pytest.fixture(params=["words", "runs"])
def storage(request, monkeypatch):
    """Rows as words or, from a width of one on, as runs."""
    if request.param == "runs":
        monkeypatch.setattr(grids, "_WIDEST_BITS", 0)
    return request.param


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize("seed", range(40))
def test_any_sequence_of_verbs_follows_the_model(seed):
    rng = np.random.default_rng(seed)
    rows, width = int(rng.integers(1, 6)), int(rng.choice([1, 2, 8, 64, 65, 200]))
    first, last = rng.integers(0, 2, size=2).tolist()
    reserved = [(), (1,), (0, 5)][seed % 3]
    grid = RangeGrid(rows, width, reserve_first=first, reserve_last=last, reserved=reserved)
    high = max(min(first, width), width - last)
    places = [place for place in range(min(first, width), high) if place not in reserved]
    model = Model(rows, places, min(first, width), high)
    for drive in VERBS:
        asked = rng.integers(-1, rows + 1, size=int(rng.integers(0, 2 * width)))
        named = rng.integers(-1, width + 1, size=len(asked))
        drive(grid, model, asked, named)
        assert grid.used_per_row().tolist() == [len(used) for used in model.used]
        assert grid.free_per_row().tolist() == [len(places) - len(used) for used in model.used]
        assert grid.cursor.tolist() == model.cursor
    row, ordinal = grid.used_slots()
    expected = [(r, place) for r, used in enumerate(model.used) for place in sorted(used)]
    assert list(zip(row.tolist(), ordinal.tolist(), strict=True)) == expected
    assert grid.has(row, ordinal).all()


def drive_next(grid, model, asked, _):
    ordinals, ok = grid.allocate_next(asked)
    for row, ordinal, granted in zip(asked.tolist(), ordinals.tolist(), ok.tolist(), strict=True):
        place = model.next(row) if 0 <= row < grid.rows else None
        assert (granted, ordinal) == (place is not None, place or 0)
        if granted:
            model.grant(row, place)


def drive_release(grid, model, asked, named):
    for row, place, was in zip(asked.tolist(), named.tolist(), grid.release(asked, named).tolist(), strict=True):
        assert was == (0 <= row < grid.rows and place in model.used[row])
        if was:
            model.used[row].remove(place)


def drive_occupy(grid, model, asked, named):
    for row, place, ok in zip(asked.tolist(), named.tolist(), grid.occupy(asked, named).ok.tolist(), strict=True):
        assert ok == (0 <= row < grid.rows and place in model.places)
        if ok:
            model.used[row].add(place)


def drive_allocate(grid, model, asked, named):
    reasons = grid.allocate(asked, named).reason.tolist()
    for row, place, reason in zip(asked.tolist(), named.tolist(), reasons, strict=True):
        if not (0 <= row < grid.rows and place in model.places):
            assert reason == Reason.NOT_IN_RANGE
        elif place in model.used[row]:
            assert reason == Reason.ALREADY_ALLOCATED
        else:
            assert reason == Reason.OK
            model.grant(row, place)


def drive_in_row_order(grid, model, asked, named):
    drive_next(grid, model, np.sort(asked), named)


VERBS = (drive_next, drive_release, drive_next, drive_occupy, drive_allocate, drive_in_row_order, drive_next)


@pytest.mark.usefixtures("storage")
def test_snapshot_copy_and_adopt():
    grid = RangeGrid(3, 64, reserve_first=1, reserved=[1])
    grid.allocate_next([0, 2, 2, 1])
    grid.release([2], [2])
    before = grid.snapshot()
    other = grid.copy()
    other.allocate_next([0] * 70)
    other.add_rows(2)
    assert other.rows == 5
    assert other.allocate_next([4])[0].tolist() == [2]
    assert grid.snapshot() == before
    fresh = RangeGrid(3, 64, reserve_first=1, reserved=[1])
    fresh.restore(before)
    assert fresh.snapshot() == before
    assert fresh.allocate_next([2])[0].tolist() == [4]
    saved = grid.copy()
    grid.clear_rows([2, 2])
    assert grid.used_per_row().tolist() == [1, 1, 0]
    assert grid.cursor.tolist() == [3, 3, 2]
    grid.adopt(saved)
    assert grid.snapshot() == before
    with pytest.raises(InvalidInput, match="does not fit a grid"):
        RangeGrid(2, 64).restore(before)


def test_two_families_count_their_arrivals_once():
    rows = np.random.default_rng(1).integers(0, 50, size=4000)
    arrivals = Arrivals.of(rows)
    narrow, wide = RangeGrid(50, 256), RangeGrid(50, 2**64)
    np.testing.assert_array_equal(narrow.allocate_next(arrivals)[0], wide.allocate_next(arrivals)[0])
    assert narrow.used_per_row().tolist() == np.bincount(rows).tolist()


def test_a_wide_row_costs_bytes_a_row_not_an_address():
    grid = RangeGrid(1000, 2**64, reserve_first=1)
    grid.allocate_next(np.repeat(np.arange(1000), 100))
    assert grid.nbytes <= 20 * 1000
    assert int(grid.free_per_row()[0]) == 2**64 - 1 - 100
    assert grid.usable == 2**64 - 1


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"rows": -1, "width": 4}, "-1 rows"),
        ({"rows": 1, "width": 0}, "width 0"),
        ({"rows": 1, "width": 4, "reserve_first": -1}, "0 or more"),
    ],
)
def test_shapes_out_of_range_are_refused(kwargs, message):
    with pytest.raises(InvalidInput, match=message):
        RangeGrid(**kwargs)


def test_rows_that_are_not_there_are_named():
    grid = RangeGrid(2, 8)
    for verb in (grid.clear_rows, grid.used_slots):
        with pytest.raises(InvalidInput, match="the grid has rows 0 to 1"):
            verb([2])
    with pytest.raises(InvalidInput, match="1 rows and 2 ordinals"):
        grid.release([0], [1, 2])
    with pytest.raises(InvalidInput, match="1 rows and 2 ordinals"):
        grid.set_cursor([0], [1, 2])
    with pytest.raises(InvalidInput, match="1-D array of integers"):
        grid.allocate_next([0.5])
    with pytest.raises(InvalidInput, match="-1 more rows"):
        grid.add_rows(-1)
