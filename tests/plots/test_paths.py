"""The picture of one trace: two lanes, a mark for each hop, words that stay apart and inside."""

import itertools

import pandas as pd
import pytest
from egress_clusters import cluster_of
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import dsmodel as ds
from dsmodel import plots
from dsmodel.graph.gateways import EgressGateway, Selection
from dsmodel.graph.masquerade import MasqueradeAgent
from dsmodel.graph.network import BorderNAT, Network, TransparentProxy

NODES = ("a", "gw-1")
PODS = (("shop", "cart", "a"), ("data", "db", "a"))
SHAPE = {"cluster_cidrs": ("10.244.0.0/16", "2600:ff::/56"), "ipv6": "2600:1f00:0:1::{}"}
V4 = BorderNAT(name="v4", family="IPv4", addresses=("198.51.100.9",))
PARTNER = {"db.partner": ["10.9.0.10", "2600:9::10"]}


def traced(pod="shop/cart", destination=PARTNER, **changes):
    known = {"border": [V4], "routed": ["2600:ff::/56"], "default_route": True, "nat64": ()}
    shop = EgressGateway(name="shop", selects=Selection.of("shop"), nodes=("gw-1",))
    known |= {"masquerades": [MasqueradeAgent()], "gateways": [shop]}
    cluster = cluster_of(NODES, PODS, **SHAPE)
    return ds.trace(cluster, pod, destination, network=Network().replacing(**known | changes)).frame


def long_words():
    proxy = TransparentProxy(name="a-mesh-with-a-name-that-nobody-can-remember-or-spell")
    frame = traced(destination="internet", proxies=[proxy])
    reason = "because of a rule whose words are many and go on " * 9
    names = frame["at"].str.replace(
        "Pod/shop/cart", "Pod/a-namespace-of-63-letters/a-pod-with-a-long-name-7c9d8b5f4-xk2lp"
    )
    address = "2600:1f00:abcd:1234:5678:9abc:def0:1234"
    return frame.assign(reason=reason, at=names, source=frame["source"].replace("2600:ff::2", address))


DRAWN = {
    "both work": traced,
    "to the Internet": lambda: traced(destination="internet"),
    "one is dead": lambda: traced("data/db"),
    "one is not known": lambda: traced("data/db", default_route={"IPv4": True}),
    "one family only": lambda: traced(destination="2600:9::10"),
    "long words": long_words,
    "no hops": lambda: traced().iloc[:0],
}


@pytest.fixture(autouse=True)
def _no_figures_left():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def marks(ax, colour):
    return [line for line in ax.lines if line.get_marker() != "None" and to_hex(line.get_color()).upper() == colour]


def words(ax):
    return [text.get_text() for text in ax.texts]


def test_each_family_is_a_lane_with_a_mark_for_each_hop():
    frame = traced()
    ax = plots.path(frame)
    for family, colour in (("IPv4", plots.IPV4_COLOUR), ("IPv6", plots.IPV6_COLOUR)):
        assert len(marks(ax, colour)) == (frame["ip_family"] == family).sum()
    assert ax.get_title(loc="left") == "Pod/shop/cart: IPv6 works, IPv4 works"
    lefts = {text.get_text()[:4]: text.get_position()[0] for text in ax.texts if text.get_text()[4:5] == ":"}
    assert lefts["IPv6"] < lefts["IPv4"]  # what is tried first stands on the left


def test_an_address_is_written_where_it_changes():
    told = words(plots.path(traced()))
    assert told.count("from 2600:ff::2") == 1
    assert told.count("from 2600:1f00:0:1::2") == 1
    assert told.count("to 2600:9::10") == 1


def test_hops_run_from_top_to_bottom():
    ax = plots.path(traced())
    depths = [line.get_ydata()[0] for line in marks(ax, plots.IPV6_COLOUR)]
    assert depths == sorted(depths)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_a_lane_that_does_not_get_through_ends_dashed_in_a_cross():
    ax = plots.path(traced("data/db"))
    assert ax.get_title(loc="left") == "Pod/data/db: IPv6 works, IPv4 does not"
    assert [line.get_marker() for line in ax.lines].count("X") == 1
    assert len([line for line in ax.lines if line.get_linestyle() not in {"-", "None"}]) == 1
    assert "does not reach db.partner" in words(ax)
    assert "ip-masq-agent: not to 10.0.0.0/8" in words(ax)  # which rule left the source alone


def test_what_is_not_known_ends_in_a_ring():
    ax = plots.path(traced("data/db", default_route={"IPv4": True}))
    assert "IPv6 is not certain" in ax.get_title(loc="left")
    assert len([line for line in marks(ax, plots.IPV6_COLOUR) if line.get_markerfacecolor() == "white"]) == 1


@pytest.mark.parametrize("name", DRAWN)
def test_words_neither_overlap_nor_leave_the_picture(name):
    ax = plots.path(DRAWN[name]())
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.draw(renderer)
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in (*ax.texts, ax._left_title) if t.get_text()]
    page = ax.figure.bbox
    for text, box in boxes:
        assert page.x0 <= box.x0 <= box.x1 <= page.x1, text
        assert page.y0 <= box.y0 <= box.y1 <= page.y1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        inside = min(a.x1, b.x1) - max(a.x0, b.x0) > 0 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5
        assert not inside, (one, other)
    for line in ax.lines:
        area = line.get_window_extent(renderer)
        assert not [
            t for t, b in boxes if area.x0 < b.x1 and b.x0 < area.x1 and area.y0 + 1 < b.y1 and b.y0 < area.y1 - 1
        ]


def test_an_axes_is_drawn_on_and_returned():
    ax = Figure(figsize=(9, 5)).add_subplot()
    assert plots.path(traced(), ax=ax) is ax


def test_the_same_frame_gives_the_same_bytes():
    one, two = (plots.png(plots.path(traced())) for _ in range(2))
    assert one == two
    assert one.startswith(b"\x89PNG")


def test_alternative_text_says_how_each_family_goes():
    text = plots.path_text(traced("data/db"))
    assert text.startswith("IPv6, ok_direct: Pod/data/db, Node/a, ")
    assert "db.partner, seen as 2600:ff::" in text
    assert "IPv4, blackhole_return: Pod/data/db, Node/a, Node/a, db.partner; routers outside" in text


def test_a_frame_of_something_else_is_refused_by_column():
    with pytest.raises(KeyError, match="ip_family"):
        plots.path(pd.DataFrame({"hop": []}))
