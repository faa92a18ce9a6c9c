from __future__ import annotations

import pytest

from dsmodel.cni.calico.selectors import parse_selector
from dsmodel.errors import InvalidInput

LABELS = {"zone": "eu-a", "kubernetes.io/os": "linux", "gpu": ""}


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("all()", True),
        ("global()", False),
        ("has(gpu)", True),
        ("!has(spot)", True),
        ("! has( gpu )", False),
        ("zone == 'eu-a'", True),
        ('zone == "eu-b"', False),
        ("zone != 'eu-a'", False),
        ("spot != 'x'", True),
        ("spot == ''", False),
        ("zone in {'eu-b', 'eu-a'}", True),
        ("zone in { }", False),
        ("zone not in {'eu-b'}", True),
        ("spot not in {'eu-b'}", True),
        ("zone contains '-'", True),
        ("zone starts with 'eu'", True),
        ("zone ends with 'b'", False),
        ("kubernetes.io/os == 'linux' && (has(spot) || has(gpu))", True),
        ("has(spot) || has(gpu) && !has(zone)", False),
        ("!(has(spot) || has(gpu))", False),
    ],
)
def test_what_selectors_choose(text: str, chosen: bool) -> None:  # noqa: FBT001 - a parameter of the case
    assert parse_selector(text)(LABELS) is chosen


@pytest.mark.parametrize(
    "text",
    [
        "",
        "zone",
        "zone ==",
        "zone == eu",
        "has()",
        "all(x)",
        "has(a) has(b)",
        "(has(a)",
        "zone in 'a'",
        "zone in {'a' 'b'}",
        "%",
        "&& all()",
        "'a'",
    ],
)
def test_what_is_no_selector(text: str) -> None:
    with pytest.raises(InvalidInput, match="selector"):
        parse_selector(text)
