import numpy as np
import pytest

from dsmodel.errors import InvalidInput
from dsmodel.pools.arrivals import _PIECE, Arrivals


@pytest.mark.parametrize("highest", [0, 3, 5000, 200_000, 2**22])
@pytest.mark.parametrize("n", [1, 50, 30_000])
def test_ranks_are_what_a_loop_counts(n, highest):
    rows = np.random.default_rng(n + highest).integers(0, highest + 1, size=n)
    for asked in (rows, np.sort(rows), rows.astype(np.uint32)):
        seen, expected = {}, []
        for row in asked.tolist():
            expected.append(seen.get(row, 0))
            seen[row] = expected[-1] + 1
        arrivals = Arrivals.of(asked)
        assert arrivals.ranks.tolist() == expected
        named, counts = np.unique(rows, return_counts=True)
        assert (arrivals.asked.tolist(), arrivals.counts.tolist()) == (named.tolist(), counts.tolist())


@pytest.mark.parametrize("highest", [4_999, 2**16 - 1, 2**16, 100_000])
def test_ranks_go_on_from_piece_to_piece(highest):
    """Requests beyond one piece, rows of one and of two halves of 16 bits."""
    rows = np.random.default_rng(highest).integers(0, highest + 1, size=2 * _PIECE + 7, dtype=np.int32)
    rows[:: len(rows) // 9] = highest
    order = np.argsort(rows, kind="stable")
    firsts = np.searchsorted(rows[order], rows[order], side="left")
    expected = np.empty(len(rows), np.int64)
    expected[order] = np.arange(len(rows)) - firsts
    assert np.array_equal(Arrivals.of(rows).ranks, expected)


def test_no_requests_have_no_rows():
    assert len(Arrivals.of([]).counts) == 0


def test_rows_beyond_31_bits_are_refused():
    with pytest.raises(InvalidInput, match="row 2147483648"):
        Arrivals.of([2**31])
