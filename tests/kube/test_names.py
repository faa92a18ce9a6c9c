"""Names, labels, ports, addresses: what passes, what does not, and in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.cidr import IPFamily
from dsmodel.kube import names
from dsmodel.kube.fields import (
    FieldError,
    GoList,
    duplicate,
    forbidden,
    internal,
    invalid,
    not_supported,
    rejected,
    required,
)
from dsmodel.kube.manifests import typed_spec
from dsmodel.kube.syntax import cidr_complaints, cidr_family, ip_complaints, read_ip

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKS = [
    (names.dns_1123_label, ["a", "1a", "a-b", "x" * 63], ["", "A", "-a", "a-", "a.b", "a_b", "x" * 64]),
    (names.dns_1035_label, ["a", "a1", "a-b"], ["", "1a", "A", "a.b"]),
    (names.dns_1123_subdomain, ["a", "a.b", "1.2"], ["", "a..b", "A.b", ".", "x" * 254]),
    (names.qualified_name, ["a", "a/b", "example.com/x_y.z", "A"], ["", "/", "a/", "/a", "a/b/c", "a b", "x" * 64]),
    (names.label_value, ["", "a", "A.b_c-d"], ["-a", "a b", "x" * 64]),
    (names.port_name, ["http", "h2c", "a-1"], ["", "8080", "a--b", "-a", "A", "x" * 16]),
]


@pytest.mark.parametrize(("check", "good", "bad"), CHECKS, ids=lambda value: getattr(value, "__name__", ""))
def test_names(check: Callable[[str], tuple[str, ...]], good: list[str], bad: list[str]) -> None:
    assert [text for text in good if check(text)] == []
    assert [text for text in bad if not check(text)] == []


@given(st.text(max_size=70))
def test_every_text_has_words_or_passes(text: str) -> None:
    for check, _, _ in CHECKS:
        assert all(words for words in check(text))
    for syntax in ("go", "sloppy", "strict"):
        passes = not ip_complaints(text, syntax=syntax)
        assert not passes or read_ip(text) is not None
        assert cidr_complaints(text, syntax=syntax) or cidr_family(text, syntax=syntax) is not None


@pytest.mark.parametrize(
    ("text", "go", "sloppy", "strict"),
    [
        ("10.0.0.1", True, True, True),
        ("010.0.0.1", False, True, False),
        ("::ffff:10.0.0.1", True, True, False),
        ("fd00::1", True, True, True),
        ("FD00::1", True, True, True),
        ("fd00::1%eth0", False, False, False),
        ("10.0.0.1 ", False, False, False),
        ("10.0.0", False, False, False),
        ("", False, False, False),
    ],
)
def test_addresses_by_syntax(text: str, *, go: bool, sloppy: bool, strict: bool) -> None:
    found = [not ip_complaints(text, syntax=syntax) for syntax in ("go", "sloppy", "strict")]
    assert found == [go, sloppy, strict]


def test_mapped_addresses_are_ipv4() -> None:
    assert read_ip("::ffff:10.0.0.1") == read_ip("10.0.0.1") == (IPFamily.IPV4, 0x0A000001)
    assert cidr_family("::ffff:10.0.0.0/104", syntax="sloppy") == IPFamily.IPV4


@pytest.mark.parametrize(
    ("error", "go", "json"),
    [
        (required("spec.ports"), "Required value", "Required value"),
        (required("spec.a", "why"), "Required value: why", "Required value: why"),
        (forbidden("spec.a", "why"), "Forbidden: why", "Forbidden: why"),
        (duplicate("spec.a", "x"), 'Duplicate value: "x"', 'Duplicate value: "x"'),
        (invalid("spec.a", 5, "why"), "Invalid value: 5: why", "Invalid value: 5: why"),
        (
            invalid("spec.a", GoList(["a", "b"]), "w"),
            'Invalid value: []string{"a", "b"}: w',
            'Invalid value: ["a","b"]: w',
        ),
        (invalid("spec.a", 'q"uote', "w"), 'Invalid value: "q\\"uote": w', 'Invalid value: "q\\"uote": w'),
        (internal("spec.a", "broke"), "Internal error: broke", "Internal error: broke"),
        (
            not_supported("spec.a", "x", ["A", "B"]),
            'Unsupported value: "x": supported values: "A", "B"',
            'Unsupported value: "x": supported values: "A", "B"',
        ),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_errors_print_as_the_server_prints_them(error: FieldError, go: str, json: str) -> None:
    assert (error.body("go"), error.body("json")) == (go, json)


def test_several_errors_are_listed_and_equal_ones_once() -> None:
    errors = [required("spec.ports"), required("spec.ports"), forbidden("spec.a", "why")]
    refusal = rejected("Service", "a", errors, style="go")
    assert refusal.message == 'Service "a" is invalid: [spec.ports: Required value, spec.a: Forbidden: why]'
    assert [cause.field for cause in refusal.causes] == ["spec.ports", "spec.ports", "spec.a"]


def test_small_specs_lose_nulls_and_empty_parents() -> None:
    assert typed_spec("Node", {"spec": {"podCIDR": None, "podCIDRs": ["a", None], "x": 1}}) == {
        "podCIDRs": ["a", ""],
        "x": 1,
    }
    parent = {"parentRef": {"group": "", "resource": "services", "name": "a"}}
    assert typed_spec("IPAddress", {"spec": parent}) == {"parentRef": {"resource": "services", "name": "a"}}
    assert typed_spec("ServiceCIDR", {}) == {}
