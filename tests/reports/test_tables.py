"""Text tables: they fit, numbers line up, nothing is lost."""

import re

import pandas as pd
import pytest
import report_frames as frames

from dsmodel.reports import tables

WIDTHS = [80, 100, 120]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("write", "frame"),
    [
        (tables.limits, frames.limits()),
        (tables.limits, frames.many_limits()),
        (tables.utilization, frames.utilization()),
        (tables.utilization, frames.utilization_by_node()),
        (tables.usage, frames.usage()),
        (tables.findings, frames.findings()),
        (tables.configuration, frames.configuration()),
    ],
    ids=["limits", "many limits", "utilization", "by node", "usage", "findings", "configuration"],
)
def test_every_line_fits(write, frame, width) -> None:
    text = write(frame, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert not [line for line in text.splitlines() if line != line.rstrip()]


@pytest.mark.parametrize("width", WIDTHS)
def test_limits_tell_every_number_range_and_cause(width) -> None:
    frame = frames.limits()
    text = " ".join(tables.limits(frame, width=width).split())
    for row in frame.to_dict("records"):
        assert row["range"] in text
        assert row["why"] in text
        assert f"{row['used']:,}" in text
    assert "binds, 0 nodes" in text
    assert "961 - - cannot run out" in text


def test_numbers_are_right_aligned() -> None:
    lines = tables.utilization(frames.utilization(), width=100).splitlines()
    ends = {re.search(r"(?<=  )[\d,]+(?=  +([\d,]+|-)  )", line).end() for line in lines[1:]}
    assert len(ends) == 1


def test_only_the_binding_line_is_emphasised() -> None:
    text = tables.limits(frames.limits(), emphasise=lambda line: f"<{line}>")
    (line,) = [line for line in text.splitlines() if line.startswith("<")]
    assert line.startswith("<>")
    assert line.endswith("binds, 0 nodes>")


def test_a_long_table_says_how_many_rows_are_left_out() -> None:
    text = tables.utilization(frames.utilization_by_node(), width=100)
    assert text.splitlines()[-1] == "and 24 more; --format json or csv holds all of them"
    rows = pd.concat([frames.findings()] * 40, ignore_index=True)
    assert tables.findings(rows).endswith("and 20 more; --format json or csv holds all of them")


def test_titles_wrap_before_numbers_do() -> None:
    above, title, *rows = tables.usage(frames.usage(), width=80).splitlines()
    assert above.split() == ["cluster", "cluster", "node"]
    assert title.split()[-3:] == ["IPv4", "IPv6", "ports"]
    assert len(rows) == 2


def test_columns_that_cannot_fit_follow_below() -> None:
    wide = pd.DataFrame([[f"namespace-{'x' * 20}", *range(10_000_000, 10_000_012)]])
    wide.columns = ["namespace", *(f"number_{i}" for i in range(12))]
    text = tables.usage(wide, width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("namespace-") > 1
    assert all(f"{number:,}" in text for number in range(10_000_000, 10_000_012))


def test_several_rooms_wrap_inside_their_column() -> None:
    row = ("pods per node", "IPv4", "x" * 30, 2200, 1230, 0, 1, 0, 12_000_000, 970_000_000, 1, 1.8, True, "Because.")
    text = tables.limits(frames.limits([row]), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "12,000,000 nodes," in text
