"""Values of YAML and JSON that know where they stand."""

from __future__ import annotations

import pytest

from dsmodel.errors import InvalidConfig
from dsmodel.io.config_documents import decode_text, read_documents


def value(text: str) -> object:
    return read_documents(f"a: {text}", "x.yaml")[0].mapping()["a"].value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", True),
        ("off", False),
        ("y", True),
        ("8e1", 80),
        ("0x10", 16),
        ("017", 15),
        ("0b11", 3),
        ("1_000", 1000),
        ("-7", -7),
        ("1.30", 1.3),
        (".inf", float("inf")),
        ("1:30", "1:30"),
        ("2026-11-23", "2026-11-23"),
        ("fd00::/56", "fd00::/56"),
        ('"7"', "7"),
        ("~", None),
        ("", None),
    ],
)
def test_plain_scalars_are_read_as_kubernetes_reads_them(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("text", ["!!int x", "!!bool 7", "!!binary aGk=", "!thing 1", "!!float x", "9" * 5000])
def test_scalars_of_no_kind_are_named(text: str) -> None:
    with pytest.raises(InvalidConfig, match=r"x\.yaml, line 1, a: .*cannot be read as"):
        value(text)


def test_merges_give_way_to_what_is_written() -> None:
    root = read_documents("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\nboth: {<<: [*b, {z: 4}]}", "x.yaml")[0]
    assert {key: entry.value for key, entry in root.get("use").mapping().items()} == {"x": 1, "y": 3}
    assert set(root.get("both").mapping()) == {"x", "y", "z"}
    with pytest.raises(InvalidConfig, match="merges with << what is no mapping"):
        read_documents("use: {<<: 7}", "x.yaml")


def test_empty_documents_are_left_out() -> None:
    assert [root.document for root in read_documents("---\n---\na: 1\n---\n# end\n", "x.yaml")] == [2]


def test_types_are_asked_for() -> None:
    root = read_documents("a: 1\nb: [x]\nc: {d: on}\ne:", "x.yaml")[0]
    with pytest.raises(InvalidConfig, match=r"line 1, a: is a number, and a list is needed"):
        root.get("a").entries()
    with pytest.raises(InvalidConfig, match=r"line 2, b: is a list, and a mapping is needed"):
        root.get("b", "x")
    with pytest.raises(InvalidConfig, match=r"line 1, a: is a number, and true or false is needed"):
        root.get("a").is_on()
    with pytest.raises(InvalidConfig, match=r"line 4, e: is null, and one value is needed"):
        root.mapping()["e"].argument()
    assert root.get("c", "d").is_on()
    assert root.get("c", "nothing", "below") is None


def test_bytes_of_every_encoding() -> None:
    assert decode_text("a: 1".encode("utf-16"), "x") == decode_text(b"\xef\xbb\xbfa: 1", "x") == "a: 1"
