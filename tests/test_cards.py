"""A card says the same twice: as text, and as HTML that is safe to show."""

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from dsmodel.cards import MOST_ROWS, Card, Link, Section

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)


def read(fragment: str) -> list[str]:
    """The words a reader of the HTML sees."""
    return [html.unescape(part) for part in re.findall(r">([^<>]+)<", fragment)]


@given(WORDS, WORDS, st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_text_and_html_hold_the_same_words_in_the_same_order(title: str, heading: str, rows: list[tuple[str]]) -> None:
    card = Card(title, (Section(heading, rows),), "A summary.")
    in_text = [word.removesuffix(":") if word == f"{heading}:" else word for word in card.text().split()]
    in_html = " ".join(read(card.html())).split()
    assert in_text == in_html


@given(WORDS)
def test_nothing_from_outside_becomes_markup(word: str) -> None:
    hostile = f"<script>{word}</script>"
    shown = Card(hostile, (Section(hostile, [(hostile,)], header=[hostile]),), hostile).html()
    assert "<script" not in shown


def test_only_secure_links_are_links() -> None:
    rows = [(Link("a", "https://kubernetes.io/x?a=1&b"),), (Link("b", "javascript:alert(1)"),)]
    shown = Card("t", (Section("s", rows),)).html()
    assert shown.count("<a ") == 1
    assert 'href="https://kubernetes.io/x?a=1&amp;b"' in shown
    assert "javascript" not in shown


def test_long_sections_are_counted_not_cut_in_silence() -> None:
    card = Card("t", (Section("s", [(str(row),) for row in range(MOST_ROWS + 5)]),))
    assert card.text().splitlines()[-1].strip() == "and 5 more"
    assert "and 5 more" in card.html()


def test_a_section_without_rows_is_left_out() -> None:
    assert Card("t", (Section("empty", []),)).text() == "t"


def test_no_ids_no_scripts_no_outside() -> None:
    shown = Card("t", (Section("s", [("a", "b")], is_open=False),)).html()
    assert not re.search(r"\bid=|<script|src=|url\(|color:", shown)
    assert "<details>" in shown
