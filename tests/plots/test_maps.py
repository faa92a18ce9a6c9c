"""A map draws every cell where the curve puts it, and says what it is."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection

import dsmodel as ds
from dsmodel import plots
from dsmodel.plots.maps import hilbert_curve


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def a_map(within: str | None = None, cells: int = 1024) -> pd.DataFrame:
    return ds.reports.address_map(ds.examples.nearly_full(), within, cells=cells)


def slow_hilbert(order: int, step: int) -> tuple[int, int]:
    """One step of the curve by turning quarters, as the textbook has it."""
    x = y = 0
    side = 1
    while side < 1 << order:
        right, up = 1 & (step // 2), 1 & (step ^ (step // 2))
        if not up:
            if right:
                x, y = side - 1 - x, side - 1 - y
            x, y = y, x
        x, y = x + side * right, y + side * up
        step //= 4
        side *= 2
    return x, y


@pytest.mark.parametrize("order", range(6))
def test_the_curve_is_hilberts(order: int) -> None:
    x, y = hilbert_curve(4**order)
    assert [*zip(x.tolist(), y.tolist(), strict=True)] == [slow_hilbert(order, step) for step in range(4**order)]
    assert len({*zip(x.tolist(), y.tolist(), strict=True)}) == 4**order
    assert (abs(np.diff(x)) + abs(np.diff(y)) == 1).all()


@pytest.mark.parametrize("n", [0, 2, 3, 8, 32, 1000])
def test_other_numbers_of_cells_are_refused(n: int) -> None:
    with pytest.raises(ds.errors.InvalidInput, match="Hilbert"):
        hilbert_curve(n)


def test_fuller_cells_are_darker_and_kinds_differ() -> None:
    frame = a_map()
    image = plots.address_map(frame).images[0].get_array()
    x, y = hilbert_curve(len(frame))
    brightness = np.asarray(image[y, x, :3]).sum(axis=1)
    nodes = frame[frame["kind"] == "node block"]
    fullest, emptiest = nodes["used"].idxmax(), nodes["used"].idxmin()
    assert brightness[fullest] < brightness[emptiest]
    colours = {
        kind: tuple(image[y[rows[0]], x[rows[0]]]) for kind, rows in frame.groupby("kind", observed=True).groups.items()
    }
    assert len(set(colours.values())) == len(colours)


def test_wide_cells_show_their_few_addresses() -> None:
    frame = a_map("fd00:10:244::/60")
    assert frame["used_ratio"].max() < 1e-9
    image = plots.address_map(frame).images[0].get_array()
    x, y = hilbert_curve(len(frame))
    busy, idle = frame["used"].idxmax(), frame["used"].idxmin()
    assert not np.allclose(image[y[busy], x[busy]], image[y[idle], x[idle]])


def test_the_key_counts_every_kind() -> None:
    frame = a_map()
    labels = [text.get_text() for text in plots.address_map(frame).get_legend().get_texts()]
    counts = frame["kind"].value_counts()
    assert labels == [f"{kind}\n{counts[kind]:,} cells" for kind in frame["kind"].cat.categories if counts[kind]]


def test_title_and_ends_name_the_range() -> None:
    ax = plots.address_map(a_map("10.244.0.0/20"))
    assert ax.get_title(loc="left").startswith("10.244.0.0/20: ")
    assert [text.get_text() for text in ax.texts] == ["10.244.0.0 (first)", "10.244.15.255 (last)"]


def test_borders_part_owners_and_kinds_where_they_can_be_seen() -> None:
    lines = [c for c in plots.address_map(a_map()).collections if isinstance(c, LineCollection)]
    assert len(lines) == 2
    assert all(len(line.get_segments()) for line in lines)


@pytest.mark.parametrize("within", ["10.244.0.0/20", "fd00:10:244::/60", "10.96.0.0/22"])
def test_nothing_is_cut_and_nothing_overlaps(within: str) -> None:
    ax = plots.address_map(a_map(within))
    figure = ax.figure
    figure.canvas.draw()
    inside = figure.bbox
    boxes = [text.get_window_extent() for text in (*ax.texts, *ax.get_legend().get_texts(), ax.title)]
    boxes.append(ax._left_title.get_window_extent())
    for box in boxes:
        assert box.x0 >= inside.x0 - 1
        assert box.x1 <= inside.x1 + 1
        assert box.y1 <= inside.y1 + 1
        assert box.y0 >= inside.y0 - 1
    first, last = (text.get_window_extent() for text in ax.texts)
    assert not first.overlaps(last)


def test_the_same_frame_gives_the_same_bytes() -> None:
    frame, files = a_map(), [io.BytesIO(), io.BytesIO()]
    for file in files:
        plots.address_map(frame).figure.savefig(file, format="png", metadata={"Software": None})
    assert files[0].getvalue() == files[1].getvalue()


def test_words_say_what_the_picture_shows() -> None:
    text = plots.address_map_text(a_map("10.244.0.0/20"))
    assert text.startswith("Map of 10.244.0.0/20 in 1,024 cells of /30: ")
    assert "node block" in text
    assert "addresses in use." in text
