"""The curve of free aligned blocks: what the frame says, legible, the same every time, and in words."""

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

import dsmodel as ds
from dsmodel import plots, reports
from dsmodel.errors import InvalidInput


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    cluster = ds.examples.nearly_full()
    return reports.fragmentation(cluster, lengths=[*range(24, 33), 64, 80, 124])


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_it_draws_the_shares_of_the_frame(frame):
    ax = plots.fragmentation(frame, pool="pod addresses", ip_family="IPv4")
    own = frame[(frame["pool"] == "pod addresses") & (frame["ip_family"] == "IPv4") & (frame["all_blocks"] > 0)]
    sums = own.groupby("prefix_length")[["free_blocks", "all_blocks", "expected_free_blocks"]].sum()
    now, spread = ax.lines
    assert list(now.get_ydata()) == pytest.approx((sums["free_blocks"] / sums["all_blocks"]).tolist())
    assert list(spread.get_ydata()) == pytest.approx((sums["expected_free_blocks"] / sums["all_blocks"]).tolist())
    assert [label.get_text().splitlines()[0] for label in ax.get_xticklabels()] == [
        f"/{length}" for length in sums.index
    ]
    assert to_hex(now.get_color()).upper() == plots.IPV4_COLOUR
    assert now.get_linestyle() != spread.get_linestyle()


def test_the_pool_with_most_lengths_is_drawn_unless_one_is_named(frame):
    title = plots.fragmentation(frame).get_title(loc="left")
    most = frame["pool"].value_counts().idxmax()
    assert title.lower().startswith(most)
    assert plots.fragmentation(frame, pool="node blocks").get_title(loc="left").startswith("Node blocks, IPv4")


@pytest.mark.parametrize("lengths", [[28], [26, 28], range(17, 33), [80, 96]])
def test_labels_neither_overlap_nor_leave_the_picture(lengths):
    cluster = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/10", "fd00::/48"]))
    cluster.add_nodes(4000)
    cluster.add_pods(np.arange(40_000) % 4000)
    ax = plots.fragmentation(reports.fragmentation(cluster, lengths=lengths), pool="pod addresses")
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.draw(renderer)
    page = ax.figure.bbox
    shown = [text for text in ax.findobj(Text) if text.get_text() and text.get_visible()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown]
    for text, box in boxes:
        assert page.x0 <= box.x0 <= box.x1 <= page.x1, text
        assert page.y0 <= box.y0 <= box.y1 <= page.y1, text
    for (one, a), (two, b) in itertools.combinations(boxes, 2):
        assert not a.overlaps(b), (one, two)


def test_words_say_every_length_that_is_drawn(frame):
    words = plots.fragmentation_text(frame, pool="service addresses")
    own = frame[(frame["pool"] == "service addresses") & (frame["ip_family"] == "IPv4") & (frame["all_blocks"] > 0)]
    assert len(own) > 2
    for row in own.itertuples():
        assert f"/{row.prefix_length} {row.free_blocks} of {row.all_blocks} (" in words


def test_an_axes_is_drawn_on_and_returned_and_the_same_frame_gives_the_same_bytes(frame):
    ax = Figure(figsize=(8, 5)).add_subplot()
    assert plots.fragmentation(frame, ax=ax) is ax
    assert plots.png(plots.fragmentation(frame)) == plots.png(plots.fragmentation(frame))
    file = io.BytesIO(plots.png(plots.fragmentation(frame)))
    assert file.read(4)[1:] == b"PNG"


@pytest.mark.parametrize(
    ("chosen", "words"),
    [({"pool": "clouds"}, "pool='clouds'.*node blocks"), ({"pool": "node blocks", "ip_family": "IPv5"}, "IPv5")],
)
def test_what_cannot_be_drawn_is_named(frame, chosen, words):
    with pytest.raises(InvalidInput, match=words):
        plots.fragmentation(frame, **chosen)
    with pytest.raises(InvalidInput, match="nothing to draw"):
        plots.fragmentation(frame.iloc[:0])
