"""Decisions by counting are those of a loop over the rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel.cluster.checks import has_repeats, repeated
from dsmodel.cluster.outcome import Outcome, grant_by_need, grant_by_node
from dsmodel.errors import Reason


@settings(deadline=None)
@given(
    pods=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40),
    room=st.lists(st.integers(0, 12), min_size=4, max_size=4),
    free=st.lists(st.integers(-1, 12), min_size=4, max_size=4),
)
def test_pods_are_granted_as_one_after_the_other(pods, room, free):
    left_room, left_free, expected = list(room), list(free), []
    for node, needs in pods:
        if left_room[node] == 0:
            expected.append(Reason.POD_LIMIT)
        elif needs and left_free[node] <= 0:
            expected.append(Reason.CIDR_NOT_AVAILABLE if free[node] < 0 else Reason.POOL_FULL)
        else:
            left_room[node] -= 1
            left_free[node] -= needs
            expected.append(Reason.OK)
    reason = grant_by_node(
        np.array([node for node, _ in pods], np.int32),
        needs=np.array([needs for _, needs in pods], bool),
        room=np.array(room),
        free=np.array(free),
    )
    assert reason.tolist() == expected


@settings(deadline=None)
@given(
    needs=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 4)), max_size=30),
    free=st.tuples(st.integers(0, 15), st.integers(0, 15), st.integers(0, 30)),
)
def test_rows_take_all_they_need_or_nothing_as_one_after_the_other(needs, free):
    left, expected = np.array(free), []
    for row in needs:
        served = bool((np.array(row) <= left).all())
        left -= np.array(row) * served
        expected.append(served)
    granted = grant_by_need(np.array(needs, np.int64).reshape(-1, 3), np.array(free, np.int64))
    assert granted.tolist() == expected


def test_an_outcome_says_where_rows_went():
    outcome = Outcome.of(np.array([0, Reason.POOL_FULL, 0], np.uint8), first_row=5)
    assert (outcome.granted, len(outcome), outcome.rows.tolist()) == (2, 3, [5, -1, 6])
    assert repr(outcome) == "Outcome(2 OK, 1 POOL_FULL)"
    assert repr(Outcome.of(np.zeros(0, np.uint8))) == "Outcome(no rows)"
    frame = outcome.to_frame()
    assert frame["reason"].tolist() == ["OK", "POOL_FULL", "OK"]
    assert frame["row"].tolist() == [5, -1, 6]


@settings(deadline=None)
@given(values=st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 20), max_size=20))
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_repeats_are_found_whether_near_or_far(family, values):
    if family == "ipv4":
        column = np.array(values, np.uint32)
    else:
        column = np.array([(v >> 5, v << 59 & (1 << 64) - 1) for v in values], [("hi", np.uint64), ("lo", np.uint64)])
    assert has_repeats(column) == (len(set(values)) < len(values))
    later, earlier = repeated(column)
    assert sorted(values[row] for row in later) == sorted(values[row] for row in earlier)
    assert len(later) == len(values) - len(set(values))
    assert all(values.index(values[row]) < row for row in later)
