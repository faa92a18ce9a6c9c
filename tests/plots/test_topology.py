"""The picture of the egress graph: what was drawn, in which colour, and whether its words stay apart and inside."""

import itertools

import pandas as pd
import pytest
from egress_clusters import cluster_of
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch

from dsmodel import plots, reports
from dsmodel.graph.gateways import EgressGateway, Selection
from dsmodel.graph.masquerade import MasqueradeAgent
from dsmodel.graph.network import BorderNAT, Network
from dsmodel.plots.topology import fitted

NODES = ("a", "b", "c", "gw-1", "gw-2")
PODS = (("shop", "cart", "a"), ("shop", "web", "b"), ("shop", "api", "c"), ("data", "db", "a"))
SHAPE = {"cluster_cidrs": ("10.244.0.0/16", "2600:ff::/56"), "ipv6": "2600:1f00:0:1::{}"}
V4 = BorderNAT(name="v4", family="IPv4", addresses=("198.51.100.9",))
PARTNER = {"db.partner": ["10.9.0.10", "2600:9::10"]}


def network(*gateways, **changes):
    known = {"border": [V4], "routed": ["2600:ff::/56"], "default_route": True, "nat64": ()}
    return Network().replacing(**known, masquerades=[MasqueradeAgent()], gateways=gateways, **changes)


def gateway(name="shop", **fields):
    return EgressGateway(name=name, selects=Selection.of("shop"), **fields)


def gateways_apart():
    six, four = (
        gateway("six", nodes=("gw-1",), families=("IPv6",)),
        gateway("four", nodes=NODES[3:], families=("IPv4",)),
    )
    return reports.egress_topology(cluster_of(NODES, PODS, **SHAPE), [PARTNER, "internet"], network=network(six, four))


def many_workloads():
    pods = [(f"team-{row:02d}-with-a-long-name", f"application-{row}", NODES[row % 3]) for row in range(90)]
    return reports.egress_topology(cluster_of(NODES, pods, **SHAPE), [PARTNER, "internet"], network=network())


def long_names():
    nodes = [f"ip-10-0-{row}-17.eu-central-1.compute.internal" for row in range(5)]
    ipv6 = "2600:1f00:abcd:1234:5678:9abc:def0:{}"
    pods = [(space, name, nodes[row]) for row, (space, name, _) in enumerate(PODS)]
    cluster = cluster_of(nodes, pods, **{**SHAPE, "ipv6": ipv6})
    far = {"a-database.of.a-partner.with.a.long.name.example": PARTNER["db.partner"]}
    known = network(gateway("a-policy_with.a/very-long-name", nodes=tuple(nodes[3:])))
    return reports.egress_topology(cluster, far, network=known, detail="nodes")


def unknown():
    return reports.egress_topology(cluster_of(NODES, PODS, **SHAPE), network=Network())


def of_pods():
    return reports.egress_topology(cluster_of(NODES, PODS, **SHAPE), network=network(), detail="pods")


def nothing():
    return reports.egress_topology(cluster_of(NODES, ()), network=network())


DRAWN = {each.__name__: each for each in (gateways_apart, many_workloads, long_names, unknown, of_pods, nothing)}


@pytest.fixture(autouse=True)
def _no_figures_left():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def steps(ax):
    return [patch for patch in ax.patches if isinstance(patch, PathPatch)]


def test_every_step_is_a_line_in_the_colour_of_its_family():
    frame = gateways_apart()
    drawn = steps(plots.topology(frame))
    wanted = {"IPv4": plots.IPV4_COLOUR, "IPv6": plots.IPV6_COLOUR}
    assert [to_hex(line.get_edgecolor()).upper() for line in drawn] == [wanted[family] for family in frame["ip_family"]]
    rings = [line for line in plots.topology(frame).lines if line.get_markersize() == 3.6]
    assert len(rings) == (frame["ip_family"] == "IPv6").sum()  # colour is not the only key


def test_a_line_begins_and_ends_at_its_marks():
    frame = gateways_apart()
    for line, row in zip(steps(plots.topology(frame)), frame.itertuples(), strict=True):
        shift = {"IPv4": -0.05, "IPv6": 0.05}[row.ip_family]
        assert tuple(line.get_path().vertices[0]) == pytest.approx((row.source_x, row.source_y + shift))
        assert tuple(line.get_path().vertices[-1]) == pytest.approx((row.target_x, row.target_y + shift))


def test_what_is_blocked_is_dashed_ends_in_a_cross_and_stands_in_the_title():
    frame = gateways_apart()
    ax = plots.topology(frame)
    dashed = [line.get_linestyle() not in {"-", "solid"} for line in steps(ax)]
    assert dashed == (frame["state"] == "blocked").tolist()
    assert sum(line.get_marker() == "X" for line in ax.lines) == 1
    assert ax.get_title(loc="left") == "How pods leave: IPv4 blocked for 1 pod"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["IPv4", "IPv6", "blocked"]


def test_what_is_not_known_is_no_blockade():
    ax = plots.topology(unknown())
    assert ax.get_title(loc="left") == "How pods leave"
    assert [line.get_marker() for line in ax.lines].count("X") == 0, "a ring, not a cross"
    assert "unknown" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_rest_of_many_marks_is_counted():
    texts = [text.get_text() for text in plots.topology(many_workloads()).texts]
    assert len([text for text in texts if text.startswith("and ")]) == 1
    assert len(texts) <= 48  # 40 marks and the names of columns


@pytest.mark.parametrize("name", DRAWN)
def test_words_neither_overlap_nor_leave_the_picture(name):
    ax = plots.topology(DRAWN[name]())
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.draw(renderer)
    legend = ax.get_legend().get_texts() if ax.get_legend() else []
    texts = [text for text in (*ax.texts, *legend, ax._left_title) if text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    page = ax.figure.bbox
    for text, box in boxes:
        assert page.x0 <= box.x0 <= box.x1 <= page.x1, text
        assert page.y0 <= box.y0 <= box.y1 <= page.y1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        inside = min(a.x1, b.x1) - max(a.x0, b.x0) > 0 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5
        assert not inside, (one, other)
    marks = [line.get_window_extent(renderer) for line in ax.lines if line.get_markersize() > 5]
    for text, box in boxes:
        covered = [m for m in marks if m.x0 < box.x1 and box.x0 < m.x1 and m.y0 + 1 < box.y1 and box.y0 < m.y1 - 1]
        assert covered == [], text


def test_labels_are_whole_where_there_is_room_and_cut_in_the_middle_where_not():
    assert fitted("shop/cart", width=0.9, lines=3) == "shop/cart"
    cut = fitted("a-database.of.a-partner.with.a.long.name.example", width=0.7, lines=2)
    assert cut.count("…") == 1
    assert cut.startswith("a-")
    assert cut.endswith("example")
    assert len(cut.splitlines()) == 2


def test_an_axes_is_drawn_on_and_returned():
    ax = Figure(figsize=(9, 6)).add_subplot()
    assert plots.topology(gateways_apart(), ax=ax) is ax


def test_the_same_frame_gives_the_same_bytes():
    one, two = (plots.png(plots.topology(gateways_apart())) for _ in range(2))
    assert one == two
    assert one.startswith(b"\x89PNG")


def test_alternative_text_says_where_each_family_ends():
    words = plots.topology_text(gateways_apart())
    assert words.startswith("Graph of ")
    assert "IPv4 arrives at db.partner (3 pods), internet (4 pods)." in words
    assert "IPv4 ends at blackhole_return (1 pod)." in words


def test_a_frame_of_something_else_is_refused_by_column():
    with pytest.raises(KeyError, match="source_kind"):
        plots.topology(pd.DataFrame({"source": []}))
