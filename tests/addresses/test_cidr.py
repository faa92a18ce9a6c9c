"""The CIDR value, against the standard library."""

import copy
import ipaddress
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidAddress, InvalidCidr


@st.composite
def cidrs(draw) -> Cidr:
    family = draw(st.sampled_from(IPFamily))
    length = draw(st.integers(0, family.bits))
    return Cidr.from_parts(family, draw(st.integers(0, 2**family.bits - 1)), length, host_bits="mask")


def network(cidr: Cidr) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    kind = ipaddress.IPv4Network if cidr.family is IPFamily.IPV4 else ipaddress.IPv6Network
    return kind((cidr.first, cidr.prefix_length))


@given(cidrs())
def test_facts_agree_with_the_standard_library(cidr) -> None:
    oracle = network(cidr)
    assert cidr.size == oracle.num_addresses
    assert cidr.last == int(oracle.broadcast_address)
    assert cidr.host_bits_count == oracle.max_prefixlen - oracle.prefixlen
    assert Cidr(str(oracle)) == cidr
    assert Cidr(str(cidr)) == cidr
    assert eval(repr(cidr)) == cidr  # noqa: S307 - the repr promises to be an expression
    assert hash(Cidr(str(cidr))) == hash(cidr)


@given(cidrs(), cidrs())
def test_containment_and_overlap_agree_with_the_standard_library(a, b) -> None:
    same = a.family is b.family
    assert a.overlaps(b) == (same and network(a).overlaps(network(b)))
    assert (b in a) == (same and network(b).subnet_of(network(a)))
    assert a.overlaps(a)
    assert (a.first in a, a.last in a, a.last + 1 in a, a.first - 1 in a) == (True, True, False, False)


@given(cidrs(), st.integers(0, 12), st.integers(0, 4095))
def test_subnet_and_supernet_undo_each_other(cidr, more, index) -> None:
    length = min(cidr.prefix_length + more, cidr.family.bits)
    inner = cidr.subnet(index % cidr.subnet_count(length), length)
    assert inner in cidr
    assert inner.supernet(cidr.prefix_length) == cidr


@given(cidrs(), st.integers(0, 2**128))
def test_offsets(cidr, offset) -> None:
    offset %= cidr.size
    assert cidr.offset(cidr.address(offset)) == offset
    assert cidr.offset(cidr.first + offset) == offset
    assert cidr.address(offset - cidr.size) == cidr.address(offset)


def test_subnets_are_those_of_the_standard_library() -> None:
    cidr = Cidr("fd00:10:244::/48")
    found = [str(inner) for inner in cidr.subnets(54)]
    assert found == [str(inner) for inner in ipaddress.ip_network(str(cidr)).subnets(new_prefix=54)]


def test_order_is_family_address_length() -> None:
    texts = ["::/0", "10.0.0.0/16", "10.0.0.0/8", "fd00::/8", "9.0.0.0/8"]
    assert [str(c) for c in sorted(map(Cidr, texts))] == ["9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/16", "::/0", "fd00::/8"]


def test_a_value_is_frozen_and_travels() -> None:
    cidr = Cidr("10.0.0.0/8")
    with pytest.raises(AttributeError, match="first"):
        cidr.first = 0
    assert pickle.loads(pickle.dumps(cidr)) == cidr  # noqa: S301 - our own bytes
    assert copy.deepcopy(cidr) == cidr


def test_text_of_another_family_is_outside() -> None:
    cidr = Cidr("10.0.0.0/8")
    assert ("fd00::1" in cidr, "10.1.0.0/16" in cidr, "10.1.2.3" in cidr, None in cidr) == (False, True, True, False)
    with pytest.raises(InvalidAddress, match="'node'"):
        assert "node" in cidr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.0", "prefix length is missing"),
        ("10.0.0.0/", "plain digits"),
        ("10.0.0.0/33", "0 to 32"),
        ("::/129", "0 to 128"),
        ("10.0.0.0/08", "plain digits"),
        ("10.0.0.0/+8", "plain digits"),
        ("10.0.0.0/ 8", "plain digits"),
        ("10.0.0.0/8/8", "prefix length"),
        ("10.0.0.0/0000000000008", "plain digits"),
        ("/8", "empty"),
        ("010.0.0.0/8", "leading zero"),
        ("fe80::%eth0/64", "zones"),
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("fd00::1/64", "fd00::/64"),
        (8, "not text"),
    ],
)
def test_refusals_name_the_rule(text, words) -> None:
    with pytest.raises(InvalidCidr, match=words):
        Cidr(text)


def test_options() -> None:
    assert Cidr("10.0.0.1/8", host_bits="mask") == Cidr("10.0.0.0/8")
    assert Cidr("010.0.0.0/08", syntax="sloppy") == Cidr("10.0.0.0/8")
    assert Cidr("::ffff:10.0.0.0/104", syntax="sloppy").family is IPFamily.IPV6
    with pytest.raises(InvalidCidr, match="host_bits='clear'"):
        Cidr("10.0.0.1/8", host_bits="clear")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda c: c.subnet(256, 24), "no /24 block 256"),
        (lambda c: c.subnet(0, 33), "/16 to /32"),
        (lambda c: c.subnet_count(8), "/16 to /32"),
        (lambda c: c.supernet(17), "/0 to /16"),
        (lambda _: Cidr.from_parts(IPFamily.IPV4, 1, 8), "0.0.0.1/8"),
        (lambda _: Cidr.from_parts(IPFamily.IPV4, 0, 40), "/40"),
        (lambda _: Cidr.from_parts(IPFamily.IPV4, 2**32, 8), "4294967296"),
    ],
)
def test_arithmetic_refuses_what_does_not_exist(call, words) -> None:
    with pytest.raises(InvalidCidr, match=words):
        call(Cidr("10.244.0.0/16"))


def test_offsets_outside_are_refused() -> None:
    cidr = Cidr("10.244.0.0/16")
    with pytest.raises(InvalidAddress, match="offset 65536"):
        cidr.address(65536)
    with pytest.raises(InvalidAddress, match=r"10\.244\.255\.255"):
        cidr.offset("10.245.0.0")
