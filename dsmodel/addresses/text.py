"""Whole columns to and from text.

Promises: reading a column gives exactly what `dsmodel.addresses.cidr.parse_address` gives row by row, and writing what
`format_address` gives; only the time differs. Rows that are no address are named by number and value, or marked.

Does not know: names, ports, zones, which spelling a Kubernetes field tolerates.

Text is held in Arrow arrays, which pandas takes without copying; `pyarrow` is loaded when first used. Sources: those of
`dsmodel.addresses.cidr`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from dsmodel.addresses.arrays import empty, equal, family_of, from_integers, mask_prefix
from dsmodel.addresses.cidr import Cidr, IPFamily, Syntax, parse_address
from dsmodel.addresses.reading import read_ipv4, read_ipv6, rows_with, separator_counts
from dsmodel.addresses.spelling import LONGEST, is_mapped, spelled_chunks
from dsmodel.errors import InvalidAddress, InvalidCidr, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import pyarrow as pa

    from dsmodel.addresses.cidr import HostBits

    Column = npt.NDArray[Any]
    Marks = npt.NDArray[np.bool_]

__all__ = [
    "MixedAddresses",
    "OnInvalid",
    "families_of",
    "format_addresses",
    "parse_addresses",
    "parse_cidrs",
    "parse_mixed",
]

OnInvalid = Literal["raise", "mask"]


@dataclass(frozen=True)
class MixedAddresses:
    """Addresses of both families, each family in a column of full length.

    Attributes
    ----------
    ipv4, ipv6 : numpy.ndarray
        Address columns; zero in the rows of the other family and in rows that are no address.
    is_ipv4, is_ipv6 : numpy.ndarray of bool
        Which rows count in which column; never both, and neither where the row is no address.
    """

    ipv4: Column
    is_ipv4: Marks
    ipv6: Column
    is_ipv6: Marks


@overload
def parse_addresses(
    texts: Iterable[object], *, family: IPFamily, syntax: Syntax = ..., on_invalid: Literal["raise"] = ...
) -> Column: ...
@overload
def parse_addresses(
    texts: Iterable[object], *, family: IPFamily, syntax: Syntax = ..., on_invalid: Literal["mask"]
) -> tuple[Column, Marks]: ...
def parse_addresses(
    texts: Iterable[object], *, family: IPFamily, syntax: Syntax = "strict", on_invalid: OnInvalid = "raise"
) -> Column | tuple[Column, Marks]:
    """Read a column of addresses of one family.

    Parameters
    ----------
    texts : sequence of str, numpy.ndarray, pandas.Series or pyarrow array
        One address a row; None, NaN or null is a missing row.
    family : IPFamily
        The family every row must have.
    syntax : {"strict", "sloppy"}
        As in `dsmodel.addresses.cidr.parse_address`.
    on_invalid : {"raise", "mask"}
        Whether a row that is missing or no address of the family is an error or a False in the mask.

    Returns
    -------
    column : numpy.ndarray
        Address column.
    valid : numpy.ndarray of bool
        Only with ``on_invalid="mask"``: which rows were read; the others hold zero.

    Raises
    ------
    InvalidAddress
        With ``on_invalid="raise"``: the first row that is no address of the family, by number and value.

    Examples
    --------
    >>> parse_addresses(["10.0.0.1", "10.0.0.2"], family=IPFamily.IPV4)
    array([167772161, 167772162], dtype=uint32)
    >>> parse_addresses(["10.0.0.01", None], family=IPFamily.IPV4, on_invalid="mask")[1]
    array([False, False])
    """
    _check_option(on_invalid)
    rows = _Rows.of(texts)
    mixed = _read(rows, syntax, families=(IPFamily(family),))
    is_ipv4 = family == IPFamily.IPV4
    column, valid = (mixed.ipv4, mixed.is_ipv4) if is_ipv4 else (mixed.ipv6, mixed.is_ipv6)
    if on_invalid == "mask":
        return column, valid
    _check_rows(rows, valid, syntax=syntax, family=IPFamily(family))
    return column


def parse_mixed(
    texts: Iterable[object], *, syntax: Syntax = "strict", on_invalid: OnInvalid = "raise"
) -> MixedAddresses:
    """Read a column of addresses of both families.

    Parameters
    ----------
    texts : sequence of str, numpy.ndarray, pandas.Series or pyarrow array
        One address a row; None, NaN or null is a missing row.
    syntax : {"strict", "sloppy"}
        As in `dsmodel.addresses.cidr.parse_address`.
    on_invalid : {"raise", "mask"}
        Whether a row that is missing or no address is an error or in neither mask.

    Returns
    -------
    MixedAddresses
        A column and a mask for each family.

    Raises
    ------
    InvalidAddress
        With ``on_invalid="raise"``: the first row that is no address, by number and value.

    Examples
    --------
    >>> mixed = parse_mixed(["10.0.0.1", "fd00::1"])
    >>> mixed.is_ipv4, mixed.ipv6["lo"]
    (array([ True, False]), array([0, 1], dtype=uint64))
    """
    _check_option(on_invalid)
    rows = _Rows.of(texts)
    mixed = _read(rows, syntax, families=tuple(IPFamily))
    if on_invalid == "raise":
        _check_rows(rows, mixed.is_ipv4 | mixed.is_ipv6, syntax=syntax, family=None)
    return mixed


def families_of(texts: Iterable[object]) -> npt.NDArray[np.uint8]:
    """Guess the family of each row by its first separator, without reading it.

    Parameters
    ----------
    texts : sequence of str, numpy.ndarray, pandas.Series or pyarrow array
        Addresses or CIDRs.

    Returns
    -------
    numpy.ndarray of uint8
        4 where a dot comes first, 6 where a colon does, 0 where neither occurs or the row is missing.

    Raises
    ------
    None
        Every row has an answer.

    Examples
    --------
    >>> families_of(["10.0.0.1", "fd00::/64", "node-1", None, "::1.2.3.4"])
    array([4, 6, 0, 0, 6], dtype=uint8)
    """
    return _first_separators(_Rows.of(texts))


def parse_cidrs(
    texts: Iterable[object],
    *,
    family: IPFamily,
    host_bits: HostBits = "reject",
    syntax: Syntax = "strict",
    on_invalid: OnInvalid = "raise",
) -> tuple[Column, npt.NDArray[np.uint8], Marks]:
    """Read a column of CIDRs of one family.

    Parameters
    ----------
    texts : sequence of str, numpy.ndarray, pandas.Series or pyarrow array
        One CIDR a row; None, NaN or null is a missing row.
    family : IPFamily
        The family every row must have.
    host_bits : {"reject", "mask"}
        Whether bits right of the prefix make the row invalid or are cleared.
    syntax : {"strict", "sloppy"}
        As in `dsmodel.addresses.cidr.Cidr`.
    on_invalid : {"raise", "mask"}
        Whether a row that is missing or no CIDR of the family is an error or a False in the mask.

    Returns
    -------
    base : numpy.ndarray
        Address column of the first addresses.
    prefix_length : numpy.ndarray of uint8
        Number of leading bits.
    valid : numpy.ndarray of bool
        Which rows were read; the others hold zero.

    Raises
    ------
    InvalidCidr
        With ``on_invalid="raise"``: the first row that is no CIDR of the family, by number and value.

    Examples
    --------
    >>> parse_cidrs(["10.244.1.0/24", "x"], family=IPFamily.IPV4, on_invalid="mask")
    (array([183763200,         0], dtype=uint32), array([24,  0], dtype=uint8), array([ True, False]))
    """
    _check_option(on_invalid)
    rows = _Rows.of(texts)
    family = IPFamily(family)
    heads, bounds, lengths = _split_cidrs(rows)
    valid = (lengths >= 0) & (lengths <= family.bits)
    if family is IPFamily.IPV4:
        column, is_read = read_ipv4(heads, bounds, sloppy=syntax == "sloppy")
    else:
        column, is_read = read_ipv6(heads, bounds)
    valid &= is_read
    prefix_length = np.where(valid, lengths, 0).astype(np.uint8)
    base = mask_prefix(column, prefix_length)
    if host_bits == "reject":
        valid &= equal(base, column)
    base[~valid] = 0
    prefix_length[~valid] = 0
    options = {"host_bits": host_bits, "syntax": syntax}
    odd = rows_with(rows.data, rows.offsets, "/") & rows.present & ~valid
    if syntax == "strict":  # here only dotted tails are left over
        odd &= rows_with(rows.data, rows.offsets, ".") & rows_with(rows.data, rows.offsets, ":")
    _read_cidrs_one_by_one(rows, np.flatnonzero(odd), options=options, out=(base, prefix_length, valid))
    if on_invalid == "raise" and not valid.all():
        raise _cidr_error(rows, int(np.argmin(valid)), options=options, family=family)
    return base, prefix_length, valid


def format_addresses(column: Column, *, valid: Marks | None = None) -> pa.LargeStringArray:
    """Write a column as canonical text.

    Parameters
    ----------
    column : numpy.ndarray
        Address column.
    valid : numpy.ndarray of bool, optional
        Which rows hold an address; the others become null.

    Returns
    -------
    pyarrow.LargeStringArray
        Dotted or RFC 5952 text; ``pandas.Series(..., dtype="str")`` takes it without copying.

    Raises
    ------
    InvalidAddress
        The array is no address column.

    Examples
    --------
    >>> format_addresses(np.array([167772161], np.uint32)).to_pylist()
    ['10.0.0.1']
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = _joined(column)
    mapped = is_mapped(column) if family_of(column) is IPFamily.IPV6 else None
    if mapped is not None:
        tails = _joined((column["lo"][mapped] & np.uint64(0xFFFFFFFF)).astype(np.uint32))
        head, glue = (pa.scalar(text, pa.large_string()) for text in ("::ffff:", ""))
        dotted = pc.binary_join_element_wise(head, tails, glue)
        texts = pc.replace_with_mask(texts, pa.array(mapped), dotted)
    if valid is None or valid.all():
        return texts
    missing = pa.py_buffer(np.packbits(valid, bitorder="little"))
    _, offsets, data = texts.buffers()
    return pa.LargeStringArray.from_buffers(len(texts), offsets, data, missing)


def _joined(column: Column) -> pa.LargeStringArray:
    """Write a column, IPv4-mapped rows in plain groups: spell each chunk with padding, and filter the padding out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    data = np.empty(column.size * LONGEST[family_of(column)], np.uint8)  # pages beyond the text are never touched
    offsets = np.zeros(column.size + 1, np.int64)
    row = end = 0
    for chunk in spelled_chunks(column):
        size = chunk.padded.size
        padded = pa.Array.from_buffers(pa.uint8(), size, [None, pa.py_buffer(chunk.padded)])
        kept = pa.Array.from_buffers(pa.bool_(), size, [None, pa.py_buffer(chunk.kept)])
        text = np.frombuffer(pc.array_filter(padded, kept).buffers()[1], np.uint8)
        bounds = offsets[row + 1 : row + 1 + chunk.lengths.size]
        np.cumsum(chunk.lengths, out=bounds)
        bounds += end
        data[end : int(bounds[-1])] = text[: int(bounds[-1]) - end]
        row, end = row + bounds.size, int(bounds[-1])
    return pa.LargeStringArray.from_buffers(column.size, pa.py_buffer(offsets), pa.py_buffer(data[:end]))


@dataclass(frozen=True)
class _Rows:
    """The bytes of a column of text, where its rows lie, and the rows as they were given."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    present: Marks
    given: Any

    @classmethod
    def of(cls, texts: Iterable[object]) -> _Rows:
        """Take the text of a column without copying where it is Arrow text already."""
        given = texts if hasattr(texts, "__getitem__") else list(texts)
        array = _as_arrow(given)
        _, offsets, data = array.buffers()
        size = len(array)
        bounds = np.zeros(1, np.int64)
        if offsets is not None and size:
            bounds = np.frombuffer(offsets, np.int64, size + 1, array.offset * 8)
        present = np.ones(size, np.bool_)
        if array.null_count:
            present = np.asarray(array.is_valid())
        flat = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
        return cls(flat, bounds, present, given)

    def text(self, row: int) -> str:
        """Return the text of one row."""
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes().decode()

    def value(self, row: int) -> object:
        """Return one row as it was given."""
        if self.present[row]:
            return self.text(row)
        value = self.given.iloc[row] if hasattr(self.given, "iloc") else self.given[row]
        return value.as_py() if hasattr(value, "as_py") else value


def _as_arrow(texts: Any) -> Any:  # noqa: ANN401 - whatever Arrow can take
    """Return Arrow text of 64-bit offsets; rows that are no text become null."""
    import pyarrow as pa

    if isinstance(texts, str | bytes):
        raise InvalidAddress(f"{texts!r} is one text, not a column; put it into a list")
    wanted = pa.large_string()
    if isinstance(texts, np.ndarray) and texts.dtype.kind == "T":
        texts = texts.astype(object)
    if isinstance(texts, pa.Array | pa.ChunkedArray):
        array = texts
    else:
        try:
            array = pa.array(texts, from_pandas=True) if hasattr(texts, "dtype") else pa.array(texts, wanted)
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
            array = pa.array([_text_or_none(text) for text in texts], wanted)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if not (pa.types.is_null(kind) or pa.types.is_string(kind) or kind in {wanted, pa.string_view()}):
        array = pa.array([_text_or_none(text) for text in array.to_pylist()], wanted)
    return array if array.type == wanted else array.cast(wanted)


def _text_or_none(text: object) -> str | None:
    """Return text that has bytes, or None."""
    try:
        return text if isinstance(text, str) and text.encode() is not None else None
    except UnicodeEncodeError:  # a lone surrogate
        return None


def _read(rows: _Rows, syntax: Syntax, *, families: Iterable[IPFamily]) -> MixedAddresses:
    """Read the rows; columns of families that are not wanted may be left unread."""
    if syntax not in {"strict", "sloppy"}:
        raise InvalidAddress(f"syntax={syntax!r} is unknown; use 'strict' or 'sloppy'")
    n, sloppy = rows.present.size, syntax == "sloppy"
    wanted = set(families)
    ipv4, is_ipv4 = empty(n, IPFamily.IPV4), np.zeros(n, np.bool_)
    ipv6, is_ipv6 = empty(n, IPFamily.IPV6), np.zeros(n, np.bool_)
    if IPFamily.IPV6 in wanted:
        ipv6, is_ipv6 = read_ipv6(rows.data, rows.offsets)
    if IPFamily.IPV4 in wanted or (sloppy and not is_ipv6.all()):
        ipv4, is_ipv4 = read_ipv4(rows.data, rows.offsets, sloppy=sloppy)
    if sloppy and IPFamily.IPV6 not in wanted and not is_ipv4.all():
        ipv6, is_ipv6 = read_ipv6(rows.data, rows.offsets)
    mixed = MixedAddresses(ipv4, is_ipv4, ipv6, is_ipv6)
    _read_doubtful(rows, mixed, syntax=syntax)
    is_ipv4 &= rows.present
    is_ipv6 &= rows.present
    if sloppy:
        mapped = is_ipv6 & (ipv6["hi"] == 0) & (ipv6["lo"] >> np.uint64(32) == 0xFFFF)
        ipv4[mapped] = (ipv6["lo"][mapped] & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        is_ipv4 |= mapped
        is_ipv6 &= ~mapped
        ipv6[mapped] = 0
    return mixed


def _read_doubtful(rows: _Rows, mixed: MixedAddresses, *, syntax: Syntax) -> None:
    """Read one by one the rows in forms that the column readers leave out: dotted tails, and long runs of zeros."""
    unread = rows.present & ~mixed.is_ipv4 & ~mixed.is_ipv6
    if not unread.any():
        return
    dotted = rows_with(rows.data, rows.offsets, ".")
    coloned = rows_with(rows.data, rows.offsets, ":")
    for row in np.flatnonzero(unread & (dotted | coloned if syntax == "sloppy" else dotted & coloned)).tolist():
        try:
            family, value = parse_address(rows.text(row), syntax=syntax)
        except InvalidAddress:
            continue
        is_ipv4 = family is IPFamily.IPV4
        column, is_read = (mixed.ipv4, mixed.is_ipv4) if is_ipv4 else (mixed.ipv6, mixed.is_ipv6)
        column[row : row + 1] = from_integers([value], family=family)
        is_read[row] = True


def _check_rows(rows: _Rows, valid: Marks, *, syntax: Syntax, family: IPFamily | None) -> None:
    """Refuse a column by its first row that was not read."""
    if valid.all():
        return
    row = int(np.argmin(valid))
    value = rows.value(row)
    try:
        found, _ = parse_address(value, syntax=syntax)  # type: ignore[arg-type] # refuses what is no text
    except InvalidAddress as error:
        raise InvalidAddress(f"row {row}: {error}") from None
    raise InvalidAddress(
        f"row {row}: {value!r} is an {found} address where {family} is expected; read both with parse_mixed"
    )


def _first_separators(rows: _Rows) -> npt.NDArray[np.uint8]:
    """Return 4 or 6 by the first dot or colon of each row."""
    dot, colon = ord("."), ord(":")
    starts, stops = rows.offsets[:-1], rows.offsets[1:]
    found = np.flatnonzero((rows.data == dot) | (rows.data == colon))
    place = np.append(found, np.iinfo(np.int64).max)[np.searchsorted(found, starts)]
    has_one = rows.present & (place < stops)
    families = np.zeros(starts.size, np.uint8)
    families[has_one] = np.where(rows.data[place[has_one]] == colon, 6, 4)
    return families


def _split_cidrs(rows: _Rows) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split at the slash: bytes and bounds of the addresses, and prefix lengths, -1 where not plain digits."""
    text = rows.data[rows.offsets[0] : rows.offsets[-1]]
    bounds = rows.offsets - rows.offsets[0]
    slashes = np.flatnonzero(text == ord("/"))
    counts = separator_counts(slashes, bounds)
    stops = bounds[1:].copy()
    stops[counts == 1] = slashes[np.repeat(counts == 1, counts)]
    edges = np.zeros(text.size + 1, np.int8)
    np.add.at(edges, stops, np.int8(1))
    np.subtract.at(edges, bounds[1:], np.int8(1))
    heads = text[np.cumsum(edges[:-1], dtype=np.int8) == 0]
    digits = np.where(rows.present & (counts == 1), bounds[1:] - stops - 1, 0)
    padded = np.concatenate([np.zeros(3, np.uint8), text]).astype(np.int64) - ord("0")
    lengths, good = np.zeros(stops.size, np.int64), (digits > 0) & (digits <= 3)
    for place in range(3):
        digit = padded[bounds[1:] + 2 - place]
        inside = digits > place
        good &= ~inside | ((digit >= 0) & (digit <= 9) & ((digit > 0) | (digits == 1) | (digits != place + 1)))
        lengths += np.where(inside, digit * 10**place, 0)
    return heads, np.append(0, np.cumsum(stops - bounds[:-1])), np.where(good, lengths, -1)


def _read_cidrs_one_by_one(
    rows: _Rows,
    pending: npt.NDArray[np.intp],
    *,
    options: dict[str, Any],
    out: tuple[Column, npt.NDArray[np.uint8], Marks],
) -> None:
    """Read the CIDRs in forms that the column readers leave out."""
    base, prefix_length, valid = out
    for row in pending.tolist():
        try:
            cidr = Cidr(rows.text(row), **options)
        except InvalidInput:
            continue
        if cidr.family is family_of(base):
            base[row : row + 1] = from_integers([cidr.first], family=cidr.family)
            prefix_length[row], valid[row] = cidr.prefix_length, True


def _cidr_error(rows: _Rows, row: int, *, options: dict[str, Any], family: IPFamily) -> InvalidCidr:
    """Say what is wrong with one row."""
    value = rows.value(row)
    try:
        found = Cidr(value, **options).family  # type: ignore[arg-type] # refuses what is no text
    except InvalidInput as error:
        return InvalidCidr(f"row {row}: {error}")
    return InvalidCidr(f"row {row}: {value!r} is an {found} CIDR where {family} is expected; split the rows by family")


def _check_option(on_invalid: str) -> None:
    """Refuse an unknown policy."""
    if on_invalid not in {"raise", "mask"}:
        raise InvalidInput(f"on_invalid={on_invalid!r} is unknown; use 'raise' or 'mask'")
