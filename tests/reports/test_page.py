"""The HTML page: self-contained, escaped, the same bytes, nothing cut out."""

import html
import re
from html.parser import HTMLParser

import pytest
import report_frames as frames

from dsmodel.reports import page

VOID = {"meta", "img"}


class Tree(HTMLParser):
    """What a browser would see: tags in order, balanced, with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], "a tag is not closed"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def all_frames():
    return {
        "configuration": frames.configuration(),
        "limits": frames.limits(),
        "utilization": frames.utilization(),
        "usage": frames.usage(),
        "findings": frames.findings(),
    }


def rendered(tables=None, **options):
    given = {"title": "Report", "summary": "node blocks, IPv6 binds.", "version": "1.2.3"} | options
    return page.render(all_frames() if tables is None else tables, **given)


def test_the_page_is_well_formed_and_has_a_section_a_frame() -> None:
    tree = Tree(rendered())
    assert [a["id"] for a in tree.named("details")] == ["limits", "findings", "utilization", "usage", "configuration"]
    assert ["open" in a for a in tree.named("details")] == [True, True, False, False, False]
    assert len(tree.named("h1")) == 1


def test_the_page_needs_no_network_and_no_script() -> None:
    text = rendered(picture="limits.png", alt="A bar chart.")
    assert not re.search(r"https?://|<script|<link|@import|url\(|javascript:|\son\w+=", text)
    assert [a["src"] for a in Tree(text).named("img")] == ["limits.png"]


def test_every_text_is_escaped() -> None:
    bad = "<script>alert('\"&')</script>"
    usage = frames.usage().replace("shop", bad)
    findings = frames.findings().assign(message=bad, object=bad)
    limits = frames.limits().assign(range=bad, why=bad, pool=bad)
    text = rendered(
        {"usage": usage, "findings": findings, "limits": limits},
        title=bad, summary=bad, version=bad, picture='x" onerror="y', alt=bad,
    )  # fmt: skip
    assert "<script" not in text
    tree = Tree(text)
    assert tree.named("img") == [{"src": 'x" onerror="y', "alt": bad}]
    assert "".join(tree.text).count(bad) > 10


def test_the_binding_row_is_marked() -> None:
    tree = Tree(rendered())
    assert sum("binds" in (a.get("class") or "").split() for a in tree.named("tr")) == 2, "the row and its cause"
    assert "0 nodes, binds" in tree.text


def test_every_cause_range_and_number_is_there() -> None:
    text = html.unescape("".join(Tree(rendered()).text))
    for row in frames.limits().to_dict("records"):
        assert row["why"] in text
        assert row["range"] in text
        assert f"{row['used']:,}" in text
    for row in (*frames.configuration().to_dict("records"), *frames.findings().to_dict("records")):
        assert all(value in text for value in row.values())


def test_what_cannot_run_out_has_no_meter() -> None:
    tree = Tree(rendered({"limits": frames.limits()}))
    assert "cannot run out" in tree.text
    meters = [a["style"] for a in tree.named("span") if "style" in a]
    assert len(meters) == frames.limits()["usable"].notna().sum()
    assert meters[1] == "width:100.0%"


def test_a_pool_with_nothing_to_hand_out_is_not_called_endless() -> None:
    row = (*frames.ROWS[2][:3], 0, 0, *frames.ROWS[2][5:])
    tree = Tree(rendered({"limits": frames.limits([row]).assign(used_ratio=float("nan"))}))
    assert "cannot run out" not in tree.text
    assert [a for a in tree.named("span") if "style" in a] == []


def test_a_family_has_its_colour() -> None:
    text = rendered({"limits": frames.limits()})
    assert ".family-IPv4 { background: #0072B2; }" in text
    assert ".family-IPv6 { background: #E69F00; }" in text


def test_the_same_frames_give_the_same_bytes() -> None:
    assert rendered() == rendered()


def test_dark_mode_is_declared() -> None:
    text = rendered()
    assert "prefers-color-scheme: dark" in text
    assert 'name="color-scheme" content="light dark"' in text


def test_empty_frames_say_none() -> None:
    tree = Tree(rendered({"findings": frames.findings().head(0), "usage": frames.usage().head(0)}))
    assert tree.text.count("none") == 2


def test_by_node_shows_the_node() -> None:
    assert "worker-41" in Tree(rendered({"utilization": frames.utilization_by_node()})).text


def test_an_embedded_picture_is_a_data_link() -> None:
    link = page.embedded(b"\x89PNG")
    assert Tree(rendered({}, picture=link, alt="x")).named("img")[0]["src"] == link


def test_a_frame_without_its_columns_is_refused() -> None:
    with pytest.raises(KeyError, match="the limits frame has no column"):
        rendered({"limits": frames.usage()})
