"""Columns of text: every row as the scalar reader and writer treat it, whatever the column looks like."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses import reading, spelling
from dsmodel.addresses.arrays import IPV6_DTYPE, from_integers, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily, format_address, parse_address
from dsmodel.addresses.text import families_of, format_addresses, parse_addresses, parse_cidrs, parse_mixed
from dsmodel.errors import InvalidAddress, InvalidCidr, InvalidInput

V4, V6 = IPFamily
MALFORMED = [
    "", " ", ".", "...", ":", "::", ":::", "::::", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4 ",
    " 1.2.3.4", "1.2.3.4\n", "256.1.1.1", "1.1.1.256", "999.1.1.1", "1000.1.1.1", "01.2.3.4", "1.2.3.00", "0001.2.3.4",
    "1.2.3.4a", "a.b.c.d", "1,2,3,4", "0x1.2.3.4", "1.2.3.-4", "+1.2.3.4", "1.2.3.4/24", "1.2.3.4:80", "1.2.3.٤",
    "é.1.2.3",
    "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "1:::2", ":1", "1:", ":1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:",
    "::1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8::", "1:2:3:4::5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "12345::",
    "00001::",
    "g::", "1_0::1", "fe80::1%eth0", "fe80::1%", "[::1]", "::1 ", " ::1", "::1/64", "::ffff:1.2.3.4", "::ffff:102:304",
    "::FFFF:1.2.3.004", "::1.2.3.4", "64:ff9b::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6::1.2.3.4", "1.2.3.4::",
    "::1.2.3.4:5", "::1.2.3", "::1.2.3.256", "::é", "٣::", "\x00", "1.2.3.4\x00", "::\x001", "@::", "`::", "/::", "G::",
    "1" * 300, ":" * 300, "." * 300, "0" * 300 + ".0.0.1", "::" + "0" * 300 + "1",
]  # fmt: skip


def scalar(text: object, syntax: str) -> tuple[IPFamily, int] | None:
    try:
        return parse_address(text, syntax=syntax)
    except InvalidAddress:
        return None


def check_reading(texts: list[str | None]) -> None:
    for syntax in ("strict", "sloppy"):
        wanted = [scalar(text, syntax) for text in texts]
        mixed = parse_mixed(texts, syntax=syntax, on_invalid="mask")
        for family, found, is_read in ((V4, mixed.ipv4, mixed.is_ipv4), (V6, mixed.ipv6, mixed.is_ipv6)):
            column, valid = parse_addresses(texts, family=family, syntax=syntax, on_invalid="mask")
            values = [answer[1] if answer and answer[0] is family else 0 for answer in wanted]
            assert valid.tolist() == [bool(answer and answer[0] is family) for answer in wanted]
            assert to_integers(column) == values
            assert is_read.tolist() == valid.tolist()
            assert to_integers(found) == values


def spread_groups(pattern: int, rng: np.random.Generator) -> int:
    """Return an address whose groups are zero where the pattern has a bit, else short or long."""
    value = 0
    for group in range(8):
        digits = int(rng.integers(1, 5))
        value = value << 16 | (0 if pattern >> group & 1 else int(rng.integers(16 ** (digits - 1), 16**digits)))
    return value


def addresses() -> st.SearchStrategy[str]:
    groups = st.lists(st.sampled_from([0, 0, 0, 1, 0xAB, 0xCDE, 0xFFFF]), min_size=8, max_size=8)
    v6 = groups.map(lambda g: sum(x << 16 * i for i, x in enumerate(g)))
    return st.one_of(
        st.integers(0, 2**32 - 1).map(lambda value: format_address(V4, value)),
        v6.map(lambda value: format_address(V6, value)),
        groups.map(lambda g: ":".join(f"{x:04X}" for x in g)),
        groups.flatmap(lambda g: st.integers(0, 8).map(lambda cut: ":".join(f"{x:x}" for x in g[cut:]) + "::")),
    )


@given(st.lists(addresses() | st.sampled_from(MALFORMED) | st.text("0123456789abF.:%é", max_size=12) | st.none()))
def test_every_row_is_read_as_one_by_one(texts) -> None:
    check_reading(texts)


@pytest.mark.parametrize("company", [[], ["10.0.0.1"], ["fd00::1"], ["fd00::1", "10.0.0.1", "1:2:3:4:5:6:7:8"]])
def test_malformed_rows_never_disturb_their_neighbours(company) -> None:
    for text in MALFORMED:
        check_reading([*company, text, *company])
    check_reading(company + MALFORMED + company)


def test_rows_at_the_borders_of_chunks() -> None:
    n = reading._CHUNK + 3
    texts = [f"10.{i >> 8 & 255}.{i & 255}.7" for i in range(n)]
    assert to_integers(parse_addresses(texts, family=V4)) == [scalar(text, "strict")[1] for text in texts]
    texts[reading._CHUNK - 1] = texts[reading._CHUNK] = "x"
    valid = parse_addresses(texts, family=V4, on_invalid="mask")[1]
    assert np.flatnonzero(~valid).tolist() == [reading._CHUNK - 1, reading._CHUNK]


def test_long_strict_columns_with_strange_rows() -> None:
    texts = [f"fd00:10:244:{i // 50:x}::{i % 50:x}" for i in range(2000)]
    texts[1000:1000] = MALFORMED
    check_reading(texts)


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        lambda texts: (text for text in texts),
        lambda texts: np.array(texts, object),
        lambda texts: np.array(texts, np.dtypes.StringDType(na_object=None)),
        lambda texts: pd.Series(texts, dtype="str"),
        lambda texts: pd.Series(texts, dtype=object),
        lambda texts: pd.Series(texts, index=[5, 6, 5]),
        pd.Index,
        pa.array,
        lambda texts: pa.array(texts, pa.large_string()),
        lambda texts: pa.array(texts, pa.string_view()),
        lambda texts: pa.array(texts).dictionary_encode(),
        lambda texts: pa.chunked_array([texts[:1], texts[1:]]),
        lambda texts: pa.array(["x", *texts, "y"], pa.large_string())[1:-1],
    ],
)
def test_any_container_of_text(make) -> None:
    column, valid = parse_addresses(make(["10.0.0.1", None, "10.0.0.2"]), family=V4, on_invalid="mask")
    assert (column.tolist(), valid.tolist()) == ([0x0A000001, 0, 0x0A000002], [True, False, True])
    with pytest.raises(InvalidAddress, match="row 1: "):
        parse_addresses(make(["10.0.0.1", None, "10.0.0.2"]), family=V4)


@pytest.mark.parametrize(
    "empty", [[], np.array([], object), pd.Series([], dtype="str"), pa.chunked_array([], pa.string())]
)
def test_empty_columns(empty) -> None:
    assert parse_addresses(empty, family=V6).dtype == IPV6_DTYPE
    assert parse_mixed(empty).ipv4.size == families_of(empty).size == 0
    assert [part.size for part in parse_cidrs(empty, family=V4)] == [0, 0, 0]


def test_rows_that_are_no_text_are_invalid() -> None:
    texts = ["10.0.0.1", 5, float("nan"), "\ud800", b"10.0.0.1", None]
    assert parse_addresses(texts, family=V4, on_invalid="mask")[1].tolist() == [True, *[False] * 5]
    with pytest.raises(InvalidAddress, match="row 1: 5 is not text"):
        parse_addresses(texts, family=V4)
    assert parse_addresses([b"10.0.0.1", "10.0.0.1"], family=V4, on_invalid="mask")[1].tolist() == [False, True]
    assert not parse_addresses(pd.Series([1, 2]), family=V4, on_invalid="mask")[1].any()


def test_text_under_a_null_is_not_read() -> None:
    whole = pa.array(["10.0.0.1", "10.0.0.2"], pa.large_string())
    hidden = pa.LargeStringArray.from_buffers(2, whole.buffers()[1], whole.buffers()[2], pa.py_buffer(b"\x01"))
    assert parse_addresses(hidden, family=V4, on_invalid="mask")[1].tolist() == [True, False]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: parse_addresses(["10.0.0.1", "010.0.0.1"], family=V4), "row 1: '010.0.0.1' .* leading zero"),
        (lambda: parse_addresses(["10.0.0.1", "fd00::1"], family=V4), "row 1: 'fd00::1' is an IPv6 address where IPv4"),
        (lambda: parse_addresses(["::ffff:1.2.3.4"], family=V6, syntax="sloppy"), "is an IPv4 address where IPv6"),
        (lambda: parse_mixed(["10.0.0.1", "node"]), "row 1: 'node'"),
        (lambda: parse_addresses("10.0.0.1", family=V4), "one text, not a column"),
        (lambda: parse_addresses([], family=V4, syntax="lax"), "syntax='lax'"),
    ],
)
def test_refusals_name_row_and_value(call, words) -> None:
    with pytest.raises(InvalidAddress, match=words):
        call()


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(InvalidInput, match="on_invalid='ignore'"):
        parse_addresses([], family=V4, on_invalid="ignore")


def test_families_by_first_separator() -> None:
    texts = ["10.0.0.1", "fd00::", "::1.2.3.4", "1.2:3", "", "node", None, "fd00::/8"]
    assert families_of(texts).tolist() == [4, 6, 6, 4, 0, 0, 0, 6]


LENGTHS = [
    "",
    "/",
    "/0",
    "/8",
    "/24",
    "/32",
    "/33",
    "/64",
    "/128",
    "/129",
    "/024",
    "/00",
    "/+8",
    "/ 8",
    "/8 ",
    "/8/8",
    "/x",
]


@given(
    st.lists(st.builds(str.__add__, addresses() | st.sampled_from(MALFORMED), st.sampled_from(LENGTHS)) | st.none()),
    st.sampled_from(["strict", "sloppy"]),
    st.sampled_from(["reject", "mask"]),
)
def test_every_cidr_is_read_as_one_by_one(texts, syntax, host_bits) -> None:
    def one(text: str | None) -> Cidr | None:
        try:
            return Cidr(text, host_bits=host_bits, syntax=syntax)
        except InvalidInput:
            return None

    wanted = [one(text) for text in texts]
    for family in IPFamily:
        base, lengths, valid = parse_cidrs(texts, family=family, host_bits=host_bits, syntax=syntax, on_invalid="mask")
        mine = [cidr if cidr and cidr.family is family else None for cidr in wanted]
        assert valid.tolist() == [cidr is not None for cidr in mine]
        assert to_integers(base) == [cidr.first if cidr else 0 for cidr in mine]
        assert lengths.tolist() == [cidr.prefix_length if cidr else 0 for cidr in mine]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["10.0.0.0/8", "10.0.0.1/8"], "row 1: '10.0.0.1/8' has bits set"),
        (["fd00::/8"], "row 0: 'fd00::/8' is an IPv6 CIDR where IPv4"),
        (["10.0.0.0/8", None], "row 1: None is not text"),
    ],
)
def test_cidr_refusals_name_row_and_value(texts, words) -> None:
    with pytest.raises(InvalidCidr, match=words):
        parse_cidrs(texts, family=V4)


def check_writing(values: list[int], family: IPFamily) -> None:
    texts = format_addresses(from_integers(values, family=family))
    texts.validate(full=True)
    assert texts.to_pylist() == [format_address(family, value) for value in values]


@pytest.mark.parametrize("order", ["by pattern", "mixed"])
def test_all_patterns_of_zero_groups(order) -> None:
    rng = np.random.default_rng(4)
    values = [spread_groups(pattern, rng) for pattern in range(256) for _ in range(8)]
    if order == "mixed":
        rng.shuffle(values)
        check_writing(values, V6)
    else:
        for start in range(0, len(values), 8):
            check_writing(values[start : start + 8], V6)
            check_writing(values[start : start + 1], V6)


@given(
    st.lists(
        st.sampled_from([0, 1, 0xFFFF << 32, (1 << 48) - 1, 1 << 48, 0xFFFE << 32, 2**128 - 1])
        | st.integers(0, 2**128 - 1)
    )
)
def test_special_and_random_ipv6_values(values) -> None:
    check_writing(values, V6)


@given(st.lists(st.integers(0, 2**32 - 1)))
def test_random_ipv4_values(values) -> None:
    check_writing(values, V4)


def test_mapped_addresses_are_dotted_among_others() -> None:
    column = from_integers([1, 0xFFFF01020304, 0xFD << 120, 0xFFFF00000000], family=V6)
    assert format_addresses(column).to_pylist() == ["::1", "::ffff:1.2.3.4", "fd00::", "::ffff:0.0.0.0"]


def test_cluster_like_columns_longer_than_a_chunk() -> None:
    n = spelling._CHUNK + 50
    check_writing([0xFD00_0010_0244 << 80 | (i // 110) << 64 | i % 110 for i in range(n)], V6)
    check_writing([(10 << 24) + i for i in range(n)], V4)


@pytest.mark.parametrize("family", IPFamily)
def test_missing_rows_become_null(family) -> None:
    texts = format_addresses(from_integers([7, 8, 9], family=family), valid=np.array([True, False, True]))
    assert texts.to_pylist() == [format_address(family, 7), None, format_address(family, 9)]
    assert texts.null_count == 1
    assert format_addresses(from_integers([], family=family)).to_pylist() == []


@given(st.lists(st.integers(0, 2**128 - 1)))
def test_there_and_back(values) -> None:
    column = from_integers(values, family=V6)
    assert to_integers(parse_addresses(format_addresses(column), family=V6)) == values


def test_pandas_takes_the_text() -> None:
    series = pd.Series(format_addresses(np.array([1, 2], np.uint32)), dtype="str")
    assert series.tolist() == ["0.0.0.1", "0.0.0.2"]


def test_writing_refuses_what_is_no_column() -> None:
    with pytest.raises(InvalidAddress, match="int64 is no address column"):
        format_addresses(np.array([1]))
