"""One address as text, against the standard library and against the rules of Go's parsers."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.literals import IPFamily, format_address, parse_address
from dsmodel.errors import InvalidAddress

MAPPED = 0xFFFF << 32

V4, V6 = IPFamily
SAME = "the same"

# text, strict value or None, sloppy (family, value) or None
FORMS = [
    ("10.0.0.1", (V4, 0x0A000001), SAME),
    ("010.0.0.1", None, (V4, 0x0A000001)),
    ("10.0.0.000000001", None, (V4, 0x0A000001)),
    ("0.0.0.0", (V4, 0), SAME),  # noqa: S104 - an address, not a binding
    ("00.0.0.0", None, (V4, 0)),
    ("256.0.0.1", None, None),
    ("1.2.3", None, None),
    ("1.2.3.4.5", None, None),
    ("1.2.3.", None, None),
    ("1..3.4", None, None),
    ("1.2.3.4 ", None, None),
    (" 1.2.3.4", None, None),
    ("1.2.3.4\n", None, None),
    ("+1.2.3.4", None, None),
    ("1.2.3.4/24", None, None),
    ("1.2.3.٤", None, None),
    ("0x1.2.3.4", None, None),
    ("", None, None),
    ("localhost", None, None),
    ("::", (V6, 0), SAME),
    ("::1", (V6, 1), SAME),
    ("1::", (V6, 1 << 112), SAME),
    ("FD00::00Ab", (V6, 0xFD00 << 112 | 0xAB), SAME),
    ("1:2:3:4:5:6:7::", (V6, 0x00010002000300040005000600070000), SAME),
    ("::2:3:4:5:6:7:8", (V6, 0x00000002000300040005000600070008), SAME),
    ("1:2:3:4::5:6:7:8", None, None),
    ("1:2:3:4:5:6:7:8::", None, None),
    ("::1:2:3:4:5:6:7:8", None, None),
    ("1:2:3:4:5:6:7", None, None),
    ("1:2:3:4:5:6:7:8:9", None, None),
    ("1::2::3", None, None),
    (":::", None, None),
    (":", None, None),
    (":1", None, None),
    ("1:", None, None),
    (":1:2:3:4:5:6:7:8", None, None),
    ("1:2:3:4:5:6:7:8:", None, None),
    ("12345::", None, None),
    ("00001::", None, (V6, 1 << 112)),
    ("g::", None, None),
    ("1_0::", None, None),
    ("fe80::1%eth0", None, None),
    ("[::1]", None, None),
    ("::ffff:1.2.3.4", (V6, MAPPED | 0x01020304), (V4, 0x01020304)),
    ("::ffff:102:304", (V6, MAPPED | 0x01020304), (V4, 0x01020304)),
    ("::ffff:1.2.3.04", None, (V4, 0x01020304)),
    ("::1.2.3.4", (V6, 0x01020304), SAME),
    ("1:2:3:4:5:6:1.2.3.4", (V6, 0x00010002000300040005000601020304), SAME),
    ("1:2:3:4:5:6::1.2.3.4", None, None),
    ("1:2:3:4:5:6:7:1.2.3.4", None, None),
    ("1.2.3.4::", None, None),
    ("::1.2.3.4:5", None, None),
    ("::1.2.3", None, None),
]  # fmt: skip


def read(text: str, syntax: str) -> tuple[IPFamily, int] | None:
    try:
        return parse_address(text, syntax=syntax)
    except InvalidAddress:
        return None


@pytest.mark.parametrize(("text", "strict", "sloppy"), FORMS)
def test_forms(text, strict, sloppy) -> None:
    assert read(text, "strict") == strict
    assert read(text, "sloppy") == (strict if sloppy is SAME else sloppy)


@pytest.mark.parametrize("text", [form[0] for form in FORMS if "%" not in form[0]])
def test_strict_accepts_what_the_standard_library_accepts(text) -> None:
    try:
        expected = int(ipaddress.ip_address(text))
    except ValueError:
        expected = None
    found = read(text, "strict")
    assert (found and found[1]) == expected


@given(st.text("0123456789abcfF.:", max_size=24))
def test_strict_agrees_with_the_standard_library_on_any_text(text) -> None:
    try:
        address = ipaddress.ip_address(text)
        expected = (IPFamily(f"IPv{address.version}"), int(address))
    except ValueError:
        expected = None
    assert read(text, "strict") == expected


@given(st.integers(0, 2**32 - 1))
def test_ipv4_there_and_back(value) -> None:
    text = format_address(IPFamily.IPV4, value)
    assert text == str(ipaddress.IPv4Address(value))
    assert parse_address(text) == (IPFamily.IPV4, value)


@given(st.lists(st.sampled_from([0, 0, 1, 0xF0, 0xABC, 0xFFFF]), min_size=8, max_size=8))
def test_ipv6_there_and_back(groups) -> None:
    value = sum(group << 16 * place for place, group in enumerate(groups))
    text = format_address(IPFamily.IPV6, value)
    assert parse_address(text) == (IPFamily.IPV6, value)
    if value >> 32 != 0xFFFF:
        assert text == str(ipaddress.IPv6Address(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MAPPED | 0x01020304, "::ffff:1.2.3.4"),
        (MAPPED, "::ffff:0.0.0.0"),
        (MAPPED | 0xFFFFFFFF, "::ffff:255.255.255.255"),
        (0x01020304, "::102:304"),
        (0xFFFE_0102_0304, "::fffe:102:304"),
        (1 << 48 | MAPPED, "::1:ffff:0:0"),
        (0x00010000000000010000000000000001, "1:0:0:1::1"),
        (0x00010000000000000001000000000000, "1::1:0:0:0"),
        (0x00010000000200000003000000040000, "1:0:2:0:3:0:4:0"),
    ],
)
def test_text_is_what_go_prints_on_every_python(value, text) -> None:
    assert format_address(IPFamily.IPV6, value) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" 1.2.3.4", "white space"),
        ("fe80::1%eth0", "zones"),
        ("10.0.0.0/8", "prefix length"),
        ("1:2", "eight groups"),
        ("010.0.0.1", "sloppy"),
        ("1.2.3.٤", "ASCII"),
        ("node-1", "four numbers"),
    ],
)
def test_refusal_names_value_rule_and_way_out(text, words) -> None:
    with pytest.raises(InvalidAddress, match=words) as error:
        parse_address(text)
    assert repr(text) in str(error.value)


def test_refuses_what_is_no_text() -> None:
    with pytest.raises(InvalidAddress, match="None is not text"):
        parse_address(None)
    with pytest.raises(InvalidAddress, match="syntax='lax'"):
        parse_address("::", syntax="lax")


@pytest.mark.parametrize(("family", "value"), [(IPFamily.IPV4, 2**32), (IPFamily.IPV6, 2**128), (IPFamily.IPV6, -1)])
def test_format_refuses_numbers_outside_the_family(family, value) -> None:
    with pytest.raises(InvalidAddress, match=str(value)):
        format_address(family, value)
