"""Pictures of plans and migrations: bars as long as the numbers, words that stay apart and inside."""

import itertools

import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import dsmodel as ds
from dsmodel import plots

RANGES = {"pods": "fd00:10:244::/56", "services": "fd00:10:96::/112"}
DEMAND = {"nodes": 200, "services": 2000, "growth_ratio": 0.3, "years": 5}


@pytest.fixture(autouse=True)
def _no_figures_left():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def alternatives():
    return ds.plan_layout(DEMAND, ["10.64.0.0/12", "fd00:1::/48"], kube_version="1.36").alternatives


@pytest.fixture(scope="module")
def steps():
    return ds.plan_migration(ds.examples.single_stack_ipv4(), ranges=RANGES, surge_nodes=1).steps


def words(ax):
    return [text.get_text() for text in ax.texts]


def lengths(bars):
    return [round(float(bar.get_width()), 3) for bar in bars]


def test_bars_are_as_long_as_the_addresses_and_their_needed_part(alternatives):
    ax = plots.layouts(alternatives)
    needed, taken = ax.containers
    assert lengths(taken) == alternatives["ipv4_addresses"].astype(float).tolist()
    spare = (alternatives["ipv4_addresses"] * (1 - alternatives["ipv4_waste_ratio"])).round(3).tolist()
    assert lengths(needed) == spare
    assert {bar.get_hatch() for bar in taken} == {"////"}
    assert {to_hex(bar.get_facecolor()).upper() for bar in needed} == {plots.IPV4_COLOUR}
    assert words(ax)[:3] == ["Plan 0", "/15 + /19 + /22", "1.10 times the demand"]


def test_without_ipv4_the_headroom_is_drawn():
    frame = ds.plan_layout({**DEMAND, "ip_families": "IPv6"}, "fd00:1::/50").alternatives
    ax = plots.layouts(frame)
    assert lengths(ax.containers[0]) == frame["headroom_ratio"].round(3).tolist()
    assert ax.get_xlabel() == "times the demand"
    assert {to_hex(bar.get_facecolor()).upper() for bar in ax.containers[0]} == {plots.IPV6_COLOUR}


@pytest.mark.parametrize("pool", ["pod addresses", "node blocks", "service addresses"])
def test_each_step_has_a_bar_of_each_family(steps, pool):
    ax = plots.migration(steps, pool=pool)
    drawn = [bars for bars in ax.containers if to_hex(bars[0].get_facecolor()) != "#ebebeb"]
    for bars, family in zip(drawn, ("ipv4", "ipv6"), strict=True):
        assert lengths(bars) == steps[f"{family}_{pool.replace(' ', '_')}"].astype(float).tolist()
    places = [bar.get_y() for bar in drawn[0]]
    assert places == sorted(places)


def test_the_first_step_without_way_back_is_marked_once(steps):
    ax = plots.migration(steps)
    assert words(ax).count("from here on undoing is no way back") == 1
    [line] = ax.lines
    marked = next(text for text in ax.texts if text.get_text().startswith("8  Make every node"))
    assert line.get_ydata()[0] < marked.get_position()[1]
    assert to_hex(marked.get_color()) == "#a11d00"


def test_a_way_that_can_be_undone_has_no_line(steps):
    ax = plots.migration(steps.assign(point_of_no_return=False))
    assert len(ax.lines) == 0


def drawn(name, alternatives, steps):
    long = steps.assign(title="A title that is longer than one line of the picture can ever hold beside its numbers")
    return {
        "plans": lambda: plots.layouts(alternatives),
        "one plan": lambda: plots.layouts(alternatives.head(1)),
        "steps": lambda: plots.migration(steps),
        "node blocks": lambda: plots.migration(steps, pool="node blocks"),
        "long titles": lambda: plots.migration(long),
        "large counts": lambda: plots.migration(steps.assign(ipv4_pod_addresses=10_000_000)),
    }[name]()


@pytest.mark.parametrize("name", ["plans", "one plan", "steps", "node blocks", "long titles", "large counts"])
def test_words_neither_overlap_nor_leave_the_picture(name, alternatives, steps):
    ax = drawn(name, alternatives, steps)
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.draw(renderer)
    ticks = [
        label for label, place in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True) if place <= ax.get_xlim()[1]
    ]
    texts = [text for text in (*ax.texts, *ticks, ax.xaxis.label, ax._left_title) if text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    page = ax.figure.bbox
    for text, box in boxes:
        assert page.x0 <= box.x0 <= box.x1 <= page.x1, text
        assert page.y0 <= box.y0 <= box.y1 <= page.y1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        inside = min(a.x1, b.x1) - max(a.x0, b.x0) > 0 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5
        assert not inside, (one, other)
    for bars in ax.containers:
        for bar in bars:
            area = bar.get_window_extent(renderer)
            covered = [
                t for t, box in boxes if area.x0 < box.x1 and box.x0 < area.x1 and area.y0 < box.y0 < area.y1 - 0.5
            ]
            assert covered == []


def test_an_axes_is_drawn_on_and_returned(alternatives, steps):
    ax = Figure(figsize=(8, 6)).add_subplot()
    assert plots.layouts(alternatives, ax=ax) is ax
    other = Figure(figsize=(8, 8)).add_subplot()
    assert plots.migration(steps, ax=other) is other


def test_the_same_frame_gives_the_same_bytes(steps):
    one, two = (plots.png(plots.migration(steps)) for _ in range(2))
    assert one == two
    assert one.startswith(b"\x89PNG")


def test_alternative_text_says_what_is_drawn(alternatives, steps):
    assert plots.layouts_text(alternatives).startswith(
        "Bar chart of 6 plans. Plan 0 takes 140,288 IPv4 addresses, 35 %"
    )
    assert plots.migration_text(steps, pool="node blocks") == (
        "Bar chart of 9 steps. At most 13 IPv4 node blocks in step 8 and 13 IPv6 in step 8. From step 8 on undoing is "
        "no way back."
    )


def test_what_is_no_such_frame_or_pool_is_named(alternatives, steps):
    with pytest.raises(KeyError, match="headroom_ratio"):
        plots.layouts(steps.assign(plan=1))
    with pytest.raises(KeyError, match="step"):
        plots.migration(alternatives)
    with pytest.raises(ds.errors.InvalidInput, match="pool='pods'"):
        plots.migration(steps, pool="pods")
