"""The registries are whole, and a lookup finds the most specific row."""

import re

import numpy as np
import pytest

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.registries import (
    POLICY_TABLE,
    POLICY_TABLES,
    SPECIAL_PURPOSE,
    UPDATED,
    is_globally_routable,
    special_purpose,
)
from dsmodel.addresses.text import parse_mixed


def block_of(text: str) -> str:
    mixed = parse_mixed([text])
    row = special_purpose(mixed.ipv4 if mixed.is_ipv4[0] else mixed.ipv6)[0]
    return str(SPECIAL_PURPOSE[row].cidr) if row >= 0 else ""


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("0.0.0.0", "0.0.0.0/32"),  # noqa: S104 - an address, not a binding
        ("0.0.0.1", "0.0.0.0/8"),
        ("10.96.0.10", "10.0.0.0/8"),
        ("100.64.0.1", "100.64.0.0/10"),
        ("100.128.0.1", ""),
        ("172.32.0.1", ""),
        ("192.0.0.9", "192.0.0.9/32"),
        ("192.0.0.11", "192.0.0.0/24"),
        ("255.255.255.255", "255.255.255.255/32"),
        ("8.8.8.8", ""),
        ("::", "::/128"),
        ("::ffff:10.0.0.1", "::ffff:0.0.0.0/96"),
        ("2001::1", "2001::/32"),
        ("2001:1::2", "2001:1::2/128"),
        ("2001:1::4", "2001::/23"),
        ("2001:db8::1", "2001:db8::/32"),
        ("2600:1f00::1", ""),
        ("3fff:fff::1", "3fff::/20"),
        ("fd00:10:244::1", "fc00::/7"),
        ("fe80::1", "fe80::/10"),
        ("64:ff9b::1", "64:ff9b::/96"),
    ],
)
def test_the_most_specific_block_answers(text, block) -> None:
    assert block_of(text) == block


def test_rows_are_whole_dated_and_distinct() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", UPDATED)
    assert len({row.cidr for row in SPECIAL_PURPOSE}) == len(SPECIAL_PURPOSE)
    assert [sum(row.cidr.family is family for row in SPECIAL_PURPOSE) for family in IPFamily] == [26, 25]
    for row in SPECIAL_PURPOSE:
        assert row.name
        assert row.rfc.startswith("RFC ")
        assert re.fullmatch(r"\d{4}-\d\d", row.allocated)
        assert row.allocated <= UPDATED


def test_a_globally_reachable_block_can_be_forwarded_and_addressed() -> None:
    for row in SPECIAL_PURPOSE:
        if row.is_global:
            assert row.source
            assert row.destination
            assert row.forwardable


def test_terminated_and_embedded_blocks_have_no_answer() -> None:
    unknown = {str(row.cidr) for row in SPECIAL_PURPOSE if row.is_global is None}
    assert unknown == {"192.88.99.0/24", "2001:10::/28", "2001::/32", "2002::/16"}


def test_policy_table_is_that_of_rfc_6724() -> None:
    assert [(str(row.cidr), row.precedence, row.label) for row in POLICY_TABLE] == [
        ("::1/128", 50, 0),
        ("::/0", 40, 1),
        ("::ffff:0.0.0.0/96", 35, 4),
        ("2002::/16", 30, 2),
        ("2001::/32", 5, 5),
        ("fc00::/7", 3, 13),
        ("::/96", 1, 3),
        ("fec0::/10", 1, 11),
        ("3ffe::/16", 1, 12),
    ]


def test_whole_columns() -> None:
    column = np.array([0x0A000001, 0x08080808] * 50_000, np.uint32)
    found = special_purpose(column)
    assert SPECIAL_PURPOSE[found[0]].cidr == Cidr("10.0.0.0/8")
    assert (found[1::2] == -1).all()
    assert (found[::2] == found[0]).all()


def policy_of(table: str, text: str) -> tuple[int | None, int]:
    mixed = parse_mixed([text])
    row = POLICY_TABLES[table].lookup(mixed.ipv4 if mixed.is_ipv4[0] else mixed.ipv6)[0]
    found = POLICY_TABLES[table].rows[row]
    return found.precedence, found.label


ADDRESSES = ("::1", "2600:1f00::1", "10.0.1.5", "2002::1", "2001::1", "fd00::1", "::5", "fec0::1", "3ffe::1")


@pytest.mark.parametrize(
    ("table", "expected", "why"),
    [
        (
            "rfc6724",
            [(50, 0), (40, 1), (35, 4), (30, 2), (5, 5), (3, 13), (1, 3), (1, 11), (1, 12)],
            "section 2.1",
        ),
        (
            "go",
            [(50, 0), (40, 1), (35, 4), (30, 2), (5, 5), (3, 13), (1, 3), (1, 11), (1, 12)],
            "the RFC's table",
        ),
        (
            "draft-rfc6724-update",
            [(50, 0), (40, 1), (20, 4), (5, 2), (5, 5), (30, 13), (1, 3), (1, 11), (1, 12)],
            "IPv4 down, ULA up, 6to4 down",
        ),
        (
            "glibc",
            [(50, 0), (40, 1), (10, 4), (30, 2), (40, 7), (40, 6), (20, 3), (40, 5), (40, 1)],
            "ULA has no row of its own among the precedences, and 6bone no row at all",
        ),
        (
            "musl",
            [(50, 0), (40, 1), (35, 4), (30, 2), (5, 5), (3, 13), (40, 1), (40, 1), (40, 1)],
            "the rows of returned address space are compiled out",
        ),
        (
            "linux",
            [(None, 0), (None, 1), (None, 4), (None, 2), (None, 6), (None, 5), (None, 3), (None, 11), (None, 12)],
            "labels only: the kernel orders no destinations",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_policies_of_the_field(table, expected, why) -> None:
    assert [policy_of(table, text) for text in ADDRESSES] == expected, why


def test_policy_tables_are_whole_dated_and_sourced() -> None:
    for name, table in POLICY_TABLES.items():
        assert table.name == name
        assert re.fullmatch(r"\d{4}-\d\d", table.as_of)
        assert table.source
        assert sum(row.cidr.prefix_length == 0 for row in table.rows) == 1
        assert len({row.cidr for row in table.rows}) == len(table.rows)


@pytest.mark.parametrize(
    ("text", "expected", "why"),
    [
        ("8.8.8.8", True, "ordinary"),
        ("192.0.0.9", True, "an anycast address inside a block that is not reachable"),
        ("10.0.0.1", False, "RFC 1918"),
        ("100.64.0.1", False, "shared address space"),
        ("198.51.100.1", False, "documentation"),
        ("224.0.0.251", False, "multicast"),
        ("192.88.99.1", False, "terminated"),
        ("2600:1f00::1", True, "ordinary"),
        ("64:ff9b::808:808", True, "the well-known prefix"),
        ("64:ff9b:1::1", False, "local-use translation"),
        ("2001:db8::1", False, "documentation"),
        ("3fff::1", False, "documentation, since 2024"),
        ("fd00::1", False, "ULA"),
        ("fe80::1", False, "link-local"),
        ("fec0::1", False, "site-local: in no registry, and outside 2000::/3"),
        ("ff0e::1", False, "multicast"),
        ("4000::1", False, "delegated to nobody"),
        ("2002:808:808::1", False, "6to4 depends on the embedded address"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_internet_routes(text, expected, why) -> None:
    mixed = parse_mixed([text])
    assert is_globally_routable(mixed.ipv4 if mixed.is_ipv4[0] else mixed.ipv6)[0] == expected, why
