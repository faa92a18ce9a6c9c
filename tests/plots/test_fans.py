"""Pictures of forecasts: what was drawn, in which colours, and where the words are."""

import io
import itertools

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import dsmodel as ds
from dsmodel import plots, reports
from dsmodel.errors import InvalidInput


@pytest.fixture(autouse=True)
def _no_figures_left():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def answers():
    dual, first = ds.examples.kubeadm_dual_stack(), ds.examples.ipv6_first()
    bursts = ds.Growth.linear(2, per="week", bursts=(ds.Burst(40, 20, every_days=200),))
    mixed = ds.Scenario.of(
        "2026-01-01", nodes=bursts, pods=ds.Growth.exponential(0.2, per="month"), load_balancers_per_week=20
    )
    step = ds.Growth.linear(2, per="week").plus(ds.Step("2026-06-01", 15))
    options = {"trajectories": 500}
    return {
        "mixed": ds.forecast(dual, mixed, horizon="3y", **options),
        "IPv6 first": ds.forecast(first, ds.Scenario.of("2026-01-01", nodes=step), horizon="2y", **options),
        "a month": ds.forecast(dual, ds.Scenario.of("2026-01-01", pods_per_day=30), horizon="1mo", **options),
        "never": ds.forecast(dual, ds.Scenario.of("2026-01-01", services_per_week=1), horizon="90d", **options),
        "full today": ds.forecast(
            ds.examples.nearly_full(), ds.Scenario.of("2026-01-01", nodes_per_week=1), horizon="1y", **options
        ),
    }


DRAWN = [
    ("mixed", None), ("mixed", "pods per node"), ("mixed", "pod addresses"), ("mixed", "node ports"),
    ("IPv6 first", None), ("a month", None), ("never", "service addresses"), ("full today", None),
]  # fmt: skip


def texts_of(ax):
    legend = ax.get_legend()
    keys = legend.get_texts() if legend else []
    labels = (*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label, ax._left_title, *keys)
    return [text for text in labels if text.get_text() and text.get_visible()]


@pytest.mark.parametrize(("name", "pool"), [*DRAWN, *((name, "shares") for name in ("mixed", "never", "full today"))])
def test_words_neither_overlap_nor_leave_the_picture(answers, name, pool):
    answer = answers[name]
    if pool == "shares":
        ax = plots.binding_shares(reports.exhaustion(answer))
    else:
        ax = plots.fan(reports.fans(answer), pool=pool)
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.draw(renderer)
    page = ax.figure.bbox
    low, high = ax.get_xlim()
    boxes = []
    for text in texts_of(ax):
        box = text.get_window_extent(renderer)
        tick = text in ax.get_xticklabels()
        if tick and not low <= text.get_position()[0] <= high:
            continue  # a tick outside the axes is not drawn
        assert page.x0 <= box.x0 <= box.x1 <= page.x1, text
        assert page.y0 <= box.y0 <= box.y1 <= page.y1, text
        boxes.append((text.get_text(), box))
    for (one, a), (two, b) in itertools.combinations(boxes, 2):
        assert not a.overlaps(b), (one, two)


def test_both_families_have_their_colours_and_line_styles(answers):
    ax = plots.fan(reports.fans(answers["IPv6 first"]))
    keys = {text.get_text()[:4]: line for text, line in zip(
        ax.get_legend().get_texts(), ax.get_legend().get_lines(), strict=True)}  # fmt: skip
    colours = {family: to_hex(line.get_color()).upper() for family, line in keys.items()}
    assert colours == {"IPv4": plots.IPV4_COLOUR, "IPv6": plots.IPV6_COLOUR}
    assert keys["IPv4"].get_linestyle() != keys["IPv6"].get_linestyle()


def test_dates_are_marked_where_the_frame_has_them(answers):
    frame = reports.fans(answers["mixed"])
    ax = plots.fan(frame, pool="node blocks")
    marked = {pd.Timestamp(line.get_xdata()[0]) for line in ax.lines if len(line.get_xdata()) == 1}
    own = frame[frame["pool"] == "node blocks"].iloc[0]
    assert marked == {own["exhaustion_p5"], own["exhaustion_p50"], own["exhaustion_p95"]}
    assert all(f"{date:%Y-%m-%d}" in ax.get_legend().get_texts()[0].get_text() for date in marked)


def test_capacity_is_a_line_and_named(answers):
    ax = plots.fan(reports.fans(answers["mixed"]))
    assert ax.get_yticklabels()[-1].get_text() == "full"
    assert [line.get_ydata()[0] for line in ax.lines if list(line.get_xdata()) == [0, 1]] == [1.0]


def test_a_pool_that_is_never_full_says_so_and_marks_nothing(answers):
    frame = reports.fans(answers["never"])
    ax = plots.fan(frame, pool="service addresses")
    assert not [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert "not full in 95 % of trajectories or more" in ax.get_legend().get_texts()[0].get_text()
    assert "not full" in plots.fan_text(frame, pool="service addresses")


def test_shares_are_sorted_and_add_up(answers):
    ax = plots.binding_shares(reports.exhaustion(answers["mixed"]))
    lengths = [float(bar.get_width()) for bar in ax.containers[0]]
    assert sum(lengths) == pytest.approx(1)
    nothing = plots.binding_shares(reports.exhaustion(answers["never"]))
    assert [bar.get_label() for bar in nothing.containers[0]] == ["nothing within the horizon"]
    assert [float(bar.get_width()) for bar in nothing.containers[0]] == [1.0]


def test_shares_in_words_name_every_bar(answers):
    for answer in answers.values():
        frame = reports.exhaustion(answer)
        words = plots.binding_shares_text(frame)
        assert all(bar.get_label() in words for bar in plots.binding_shares(frame).containers[0])


def test_every_picture_can_be_said_in_words():
    bars = {"limits", "utilization"}  # these two share `alt_text`
    returns = {name: getattr(getattr(plots, name), "__annotations__", {}).get("return", "") for name in plots.__all__}
    drawn = {name for name, what in returns.items() if "Axes" in str(what)}
    assert {"fan", "address_map", "topology"} <= drawn
    assert {f"{name}_text" for name in drawn - bars} <= set(plots.__all__)


def test_an_axes_is_drawn_on_and_returned(answers):
    ax = Figure(figsize=(8, 5)).add_subplot()
    assert plots.fan(reports.fans(answers["mixed"]), ax=ax) is ax
    ax = Figure(figsize=(8, 5)).add_subplot()
    assert plots.binding_shares(reports.exhaustion(answers["mixed"]), ax=ax) is ax


def test_the_same_frame_gives_the_same_bytes(answers):
    frame = reports.fans(answers["mixed"])
    pictures = []
    for _ in range(2):
        file = io.BytesIO()
        plots.fan(frame).figure.savefig(file, format="png", metadata={"Software": None})
        pictures.append(file.getvalue())
    assert pictures[0] == pictures[1]


def test_what_cannot_be_drawn_is_named(answers):
    frame = reports.fans(answers["never"])
    with pytest.raises(InvalidInput, match=r"pool='clouds'.*service addresses"):
        plots.fan(frame, pool="clouds")
    with pytest.raises(InvalidInput, match="nothing to draw"):
        plots.fan(frame.iloc[:0])


def test_a_fan_is_saved_without_a_display(answers, tmp_path):
    frame, path = reports.fans(answers["mixed"]), tmp_path / "fan.png"
    plots.save_fan(frame, path, pool="node ports")
    assert path.read_bytes()[1:4] == b"PNG"
    assert plt.get_fignums() == []
    with pytest.raises(InvalidInput):
        plots.save_fan(frame, tmp_path / "none.png", pool="clouds")
    assert not (tmp_path / "none.png").exists()
