"""Mappings of translators: the RFCs' own examples, and properties that hold for every address."""

import ipaddress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.arrays import from_integers, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.text import format_addresses, parse_addresses
from dsmodel.errors import InvalidAddress, InvalidInput
from dsmodel.graph.translators import (
    LOCAL_USE_PREFIX,
    NAT64_PREFIX_LENGTHS,
    WELL_KNOWN_PREFIX,
    dns64,
    embed,
    extract,
    map_prefix,
)


def ipv4(*texts):
    return parse_addresses(list(texts), family=IPFamily.IPV4)


def ipv6(*texts):
    return parse_addresses(list(texts), family=IPFamily.IPV6)


def texts(column):
    return format_addresses(column).to_pylist()


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [  # RFC 6052 section 2.4
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::c000:221"),
        ("64:ff9b::/96", "64:ff9b::c000:221"),
    ],
)
def test_the_examples_of_rfc_6052(prefix, expected) -> None:
    found, _ = embed(ipv4("192.0.2.33"), prefix)
    assert texts(found) == texts(ipv6(expected))
    back, inside = extract(found, prefix)
    assert texts(back) == ["192.0.2.33"]
    assert inside.all()


@pytest.mark.parametrize(
    ("server", "prefix", "allowed", "why"),
    [
        ("8.8.8.8", WELL_KNOWN_PREFIX, True, "global"),
        ("10.0.0.1", WELL_KNOWN_PREFIX, False, "private"),
        ("100.64.0.1", WELL_KNOWN_PREFIX, False, "shared"),
        ("192.0.2.33", WELL_KNOWN_PREFIX, False, "documentation"),
        ("10.0.0.1", "64:ff9b:1::/96", True, "local use may carry private addresses (RFC 8215)"),
        ("10.0.0.1", "2001:db8:122::/48", True, "a prefix of one's own may"),
    ],
)
def test_the_well_known_prefix_carries_global_addresses_only(server, prefix, allowed, why) -> None:
    assert embed(ipv4(server), prefix)[1].tolist() == [allowed], why


def test_local_use_prefix_is_what_the_registry_says() -> None:
    assert Cidr("64:ff9b:1::/96") in LOCAL_USE_PREFIX


@given(
    st.lists(st.integers(0, 2**32 - 1), max_size=20),
    st.sampled_from(NAT64_PREFIX_LENGTHS),
    st.integers(0, 2**128 - 1),
)
def test_embedding_is_undone_and_leaves_the_octet_zero(values, length, base) -> None:
    base &= ~(0xFF << 56)
    prefix = Cidr.from_parts(IPFamily.IPV6, base >> (128 - length) << (128 - length), length)
    column = from_integers(values, family=IPFamily.IPV4)
    found, _ = embed(column, prefix)
    assert all(value >> 56 & 0xFF == 0 for value in to_integers(found))
    back, inside = extract(found, prefix)
    assert inside.all()
    assert (back == column).all()


def test_extracting_looks_past_the_octet_and_the_suffix() -> None:
    found, inside = extract(ipv6("2001:db8:122:c000:ff02:21ab:cdef:1", "2001:db8:123::"), "2001:db8:122::/48")
    assert texts(found[:1]) == ["192.0.2.33"]
    assert inside.tolist() == [True, False]


@pytest.mark.parametrize(
    ("name", "a", "aaaa", "answer", "synthetic"),
    [
        ("IPv4 only", "8.8.8.8", None, "64:ff9b::808:808", True),
        ("dual-stack", "8.8.8.8", "2600:1f00::1", "2600:1f00::1", False),
        ("IPv6 only", None, "2600:1f00::1", "2600:1f00::1", False),
        ("a AAAA that counts as none", "8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", True),
        ("a AAAA that does not work still counts", "8.8.8.8", "fd00::1", "fd00::1", False),
        ("private IPv4", "10.0.0.1", None, None, False),
        ("no record", None, None, None, False),
    ],
)
def test_dns64_makes_up_only_what_is_missing(name, a, aaaa, answer, synthetic) -> None:
    found, has, made = dns64(
        ipv4(a or "0.0.0.0"),  # noqa: S104 - an address, not a binding
        np.array([a is not None]),
        ipv6(aaaa or "::"),
        np.array([aaaa is not None]),
    )
    assert (has[0], made[0]) == (answer is not None, synthetic), name
    if answer:
        assert texts(found) == [answer], name


def test_dns64_with_a_prefix_of_ones_own_serves_private_names() -> None:
    found, has, made = dns64(
        ipv4("10.0.0.1"), np.array([True]), ipv6("::"), np.array([False]), prefix="2001:db8:64::/96"
    )
    assert texts(found) == ["2001:db8:64::a00:1"]
    assert has.all()
    assert made.all()


def test_the_example_of_rfc_6296() -> None:
    pods = ipv6("fd01:203:405:1::1234")
    out, mapped = map_prefix(pods, source="fd01:203:405::/48", target="2001:db8:1::/48")
    assert texts(out) == ["2001:db8:1:d550::1234"]
    assert mapped.all()
    assert texts(map_prefix(out, source="2001:db8:1::/48", target="fd01:203:405::/48")[0]) == texts(pods)


@pytest.mark.parametrize(
    ("address", "mapped", "why"),
    [
        ("fd01:203:405:1::1", True, "inside"),
        ("fd01:203:406:1::1", False, "another site"),
        ("fd01:203:405:ffff::1", False, "the subnet of all ones has no counterpart"),
    ],
)
def test_what_nptv6_maps(address, mapped, why) -> None:
    found, ok = map_prefix(ipv6(address), source="fd01:203:405::/48", target="2001:db8:1::/48")
    assert ok.tolist() == [mapped], why
    assert mapped or texts(found) == [address]


def test_an_interface_id_of_all_ones_has_no_counterpart() -> None:
    found, ok = map_prefix(
        ipv6("fd01:203:405:1:ffff:ffff:ffff:ffff"), source="fd01:203:405:1::/64", target="2001:db8:1:2::/64"
    )
    assert not ok.any()
    assert texts(found) == ["fd01:203:405:1:ffff:ffff:ffff:ffff"]


def checksum(text: str) -> int:
    return sum(int.from_bytes(ipaddress.ip_address(text).packed[i : i + 2]) for i in range(0, 16, 2)) % 0xFFFF


@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.sampled_from([(32, 48), (40, 40), (48, 48), (48, 56), (56, 56), (60, 64), (64, 64)]),
)
def test_nptv6_is_undone_and_keeps_checksum_and_bits(tails, inside, outside, lengths) -> None:
    source, target = (
        Cidr.from_parts(IPFamily.IPV6, (each >> (64 - length) << (64 - length)) << 64, length)
        for each, length in zip((inside, outside), lengths, strict=True)
    )
    length = max(lengths)
    column = from_integers(
        (source.first | ((tail << 64 | tail) & ((1 << (128 - length)) - 1)) for tail in tails), family=IPFamily.IPV6
    )
    found, mapped = map_prefix(column, source=source, target=target)
    back, again = map_prefix(found[mapped], source=target, target=source)
    assert again.all()
    assert to_integers(back) == to_integers(column[mapped])
    for before, after in zip(texts(column[mapped]), texts(found[mapped]), strict=True):
        assert checksum(before) == checksum(after)
        assert after in target
    same = to_integers(found[~mapped]) == to_integers(column[~mapped])
    assert same


def test_whole_columns_of_translators() -> None:
    column = np.arange(200_000, dtype=np.uint32) + np.uint32(0x08000000)
    found, allowed = embed(column)
    assert allowed.all()
    assert (extract(found)[0] == column).all()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: embed(ipv4("8.8.8.8"), "64:ff9b::/72"),
            InvalidInput,
            "IPv6 prefixes of 32, 40, 48, 56, 64 and 96",
        ),
        (lambda: embed(ipv4("8.8.8.8"), "10.0.0.0/32"), InvalidInput, "allows IPv6 prefixes"),
        (lambda: embed(ipv4("8.8.8.8"), "2001:db8:0:0:ff00::/96"), InvalidInput, "wants bits 64 to 71 zero"),
        (lambda: embed(ipv6("::1")), InvalidAddress, "the column is IPv6; this side of a translator is IPv4"),
        (lambda: extract(ipv4("8.8.8.8")), InvalidAddress, "the column is IPv4; this side of a translator is IPv6"),
        (
            lambda: map_prefix(ipv6("fd00::1"), source="fd00::/80", target="2001:db8::/48"),
            InvalidInput,
            "NPTv6 prefix fd00::/80: use IPv6 prefixes of at most 64 bits",
        ),
        (
            lambda: dns64(ipv4("8.8.8.8"), np.array([True]), ipv6("::", "::"), np.array([True])),
            InvalidInput,
            r"columns of \[1, 2\] rows",
        ),
    ],
)
def test_what_translators_refuse(call, error, words) -> None:
    with pytest.raises(error, match=words):
        call()
