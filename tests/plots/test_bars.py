"""Pictures are tested by what was drawn: lengths, colours, words and where the words are."""

import io
import itertools
import subprocess
import sys

import pytest
import report_frames as frames
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from dsmodel import plots

DRAWN = {
    "limits": (plots.limits, frames.limits()),
    "many limits": (plots.limits, frames.many_limits()),
    "utilization": (plots.utilization, frames.utilization()),
    "one limit": (plots.limits, frames.limits(frames.ROWS[:1])),
    "no limits": (plots.limits, frames.limits([])),
    "by node": (plots.utilization, frames.utilization_by_node()),
    "a few nodes": (plots.utilization, frames.utilization_by_node(3)),
    "long names": (plots.utilization, frames.utilization_by_node(3).assign(node="$x^-" + 11 * "internal-name.")),
}


@pytest.fixture(autouse=True)
def _no_figures_left():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def words(ax):
    return [text.get_text() for text in ax.texts]


def bars(ax):
    return [(to_hex(bar.get_facecolor()), round(float(bar.get_width()), 4)) for bar in ax.containers[0]]


def test_a_bar_is_as_long_as_the_used_ratio() -> None:
    frame = frames.limits()
    ax = plots.limits(frame)
    assert [length for _, length in bars(ax)] == frame["used_ratio"].dropna().round(4).tolist()


def test_bars_run_from_top_to_bottom_in_the_order_of_the_frame() -> None:
    ax = plots.limits(frames.limits())
    tops = [bar.get_y() for bar in ax.containers[0]]
    assert tops == sorted(tops)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


@pytest.mark.parametrize("draw", [plots.limits, plots.utilization])
def test_a_family_has_one_colour_everywhere(draw) -> None:
    colours = [colour.upper() for colour, _ in bars(draw(frames.limits()))]
    families = frames.limits().dropna(subset=["usable"])["ip_family"]
    expected = {"IPv4": plots.IPV4_COLOUR, "IPv6": plots.IPV6_COLOUR, "": plots.NEUTRAL_COLOUR}
    assert colours == [expected[family] for family in families]
    assert len(set(expected.values())) == 3


def test_the_binding_row_is_marked_and_named() -> None:
    ax = plots.limits(frames.limits())
    assert ax.get_title(loc="left") == "What runs out first: node blocks, IPv6, 0 more nodes"
    assert [text for text in words(ax) if "binds" in text] == ["binds: 16 of 16 in use, 0 more nodes"]
    assert [bar.get_linewidth() > 1 for bar in ax.containers[0]].index(True) == 1


def test_without_a_binding_row_the_title_says_so() -> None:
    ax = plots.limits(frames.limits([row for row in frames.ROWS if row[0] == "pod addresses" and row[1] == "IPv6"]))
    assert ax.get_title(loc="left") == "Nothing here can run out"


def test_what_cannot_run_out_is_said_in_words_and_has_no_bar() -> None:
    ax = plots.limits(frames.limits(frames.ROWS[3:4]))
    assert words(ax) == ["pod addresses, IPv6", "16 x /64", "961 in use, cannot run out"]
    assert bars(ax) == []


def test_a_pool_with_nothing_to_hand_out_has_an_empty_bar() -> None:
    frame = frames.limits([(*frames.ROWS[2][:3], 0, 0, *frames.ROWS[2][5:])]).assign(used_ratio=float("nan"))
    ax = plots.limits(frame)
    assert [length for _, length in bars(ax)] == [0.0]
    assert ax.get_xlim() == (0.0, 1.0)
    assert "0 of 0 in use (0 %)" in plots.alt_text(frame)


def test_more_in_use_than_usable_leaves_the_scale_whole() -> None:
    frame = frames.limits([(*frames.ROWS[0][:4], 40, *frames.ROWS[0][5:])])
    ax = plots.limits(frame)
    assert ax.get_xlim()[1] == pytest.approx(1.25)
    assert "40 of 32 in use, 12 more nodes" in words(ax)


def test_more_rows_than_a_picture_holds_are_counted() -> None:
    ax = plots.utilization(frames.utilization_by_node(60))
    assert words(ax)[-1] == "80 more rows, none above 22 %"
    assert len(ax.containers[0]) == plots.MOST_ROWS


def test_an_axes_is_drawn_on_and_returned() -> None:
    ax = Figure(figsize=(8, 5)).add_subplot()
    assert plots.limits(frames.limits(), ax=ax) is ax
    assert plots.utilization(frames.utilization(), ax=ax) is ax


@pytest.mark.parametrize("name", DRAWN)
def test_words_neither_overlap_nor_leave_the_picture(name) -> None:
    draw, frame = DRAWN[name]
    ax = draw(frame)
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.draw(renderer)
    texts = [text for text in (*ax.texts, *ax.get_xticklabels(), ax.xaxis.label, ax._left_title) if text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    page = ax.figure.bbox
    for text, box in boxes:
        assert page.x0 <= box.x0 <= box.x1 <= page.x1, text
        assert page.y0 <= box.y0 <= box.y1 <= page.y1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        inside = min(a.x1, b.x1) - max(a.x0, b.x0) > 0 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.2
        assert not inside, (one, other)
    for bar in ax.containers[0]:
        area = bar.get_window_extent(renderer)
        assert not [t for t, box in boxes if area.x0 < box.x1 and box.x0 < area.x1 and area.y0 < box.y0 < area.y1], area


def test_height_grows_with_the_rows_and_width_stays() -> None:
    few, many = plots.limits(frames.limits()).figure, plots.limits(frames.many_limits()).figure
    assert few.get_figwidth() == many.get_figwidth() == 7
    assert many.get_figheight() > 2 * few.get_figheight()


def test_a_saved_picture_is_the_same_bytes_twice() -> None:
    one, two = io.BytesIO(), io.BytesIO()
    plots.save(frames.limits(), one)
    plots.save(frames.limits(), two)
    assert one.getvalue() == two.getvalue()
    assert one.getvalue().startswith(b"\x89PNG")
    assert not [word for word in (b"tEXt", b"tIME", b"Software") if word in one.getvalue()]


def test_saving_needs_no_display() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import io, report_frames as f; from dsmodel import plots;"
        "plots.save(f.utilization(), io.BytesIO(), draw=plots.utilization);"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    folder = frames.__file__.rpartition("report_frames")[0]
    subprocess.run([sys.executable, "-W", "error", "-c", code, folder], check=True)


def test_alt_text_says_what_the_picture_shows() -> None:
    text = plots.alt_text(frames.limits())
    assert text.startswith("Bar chart of 9 rows. node blocks, IPv6 binds, 16 of 16 in use. Fullest: node blocks, IPv6")
    assert text.endswith("Cannot run out: pod addresses, IPv6.")


def test_a_frame_of_something_else_is_refused_by_column() -> None:
    with pytest.raises(KeyError, match="binds"):
        plots.limits(frames.usage())
