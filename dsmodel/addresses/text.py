"""Whole columns to and from text.

Promises: reading a column gives exactly what `dsmodel.addresses.cidr.parse_address` gives row by row, and writing what
`format_address` gives; only the time differs. Rows that are no address are named by number and value, or marked.

Does not know: names, ports, zones, which spelling a Kubernetes field tolerates.

Text is held in Arrow arrays, which pandas takes without copying; `pyarrow` is loaded when first used. Sources: those of
`dsmodel.addresses.cidr`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from dsmodel.addresses.arrays import equal, family_of, mask_prefix
from dsmodel.addresses.cidr import Cidr, IPFamily, Syntax, parse_address
from dsmodel.addresses.reading import read_ipv4, read_ipv6, rows_with
from dsmodel.addresses.rows import (
    MixedAddresses,
    Rows,
    first_separators,
    read_cidr_rows,
    read_mixed,
    split_cidrs,
)
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
    rows = _rows_of(texts)
    mixed = read_mixed(rows, syntax, families=(IPFamily(family),))
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
    rows = _rows_of(texts)
    mixed = read_mixed(rows, syntax, families=tuple(IPFamily))
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
    return first_separators(_rows_of(texts))


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
    rows = _rows_of(texts)
    family = IPFamily(family)
    heads, bounds, lengths = split_cidrs(rows)
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
    read_cidr_rows(rows, np.flatnonzero(odd), options=options, out=(base, prefix_length, valid))
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


def _rows_of(texts: Iterable[object]) -> Rows:
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
    return Rows(flat, bounds, present, given)


def _as_arrow(texts: Any) -> Any:
    """Return Arrow text of 64-bit offsets; rows that are no text become null."""
    import pyarrow as pa

    if isinstance(texts, str | bytes):
        raise InvalidAddress(f"{texts!r} is one text, not a column; put it into a list")
    wanted = pa.large_string()
    if isinstance(texts, np.ndarray) and texts.dtype.kind == "T":
        texts = texts.astype(object)
    try:
        array = texts if isinstance(texts, pa.Array | pa.ChunkedArray) else pa.array(texts, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        array = pa.array([_text_or_none(text) for text in texts], wanted)
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if not (pa.types.is_null(kind) or pa.types.is_string(kind) or kind in {wanted, pa.string_view()}):
        array = pa.array([_text_or_none(text) for text in texts], wanted)
    array = array if array.type == wanted else array.cast(wanted)  # before joining: 32-bit offsets end at 2 GiB
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _text_or_none(text: object) -> str | None:
    """Return text that has bytes, or None."""
    try:
        return text if isinstance(text, str) and text.encode() is not None else None
    except UnicodeEncodeError:  # a lone surrogate
        return None


def _check_rows(rows: Rows, valid: Marks, *, syntax: Syntax, family: IPFamily | None) -> None:
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


def _cidr_error(rows: Rows, row: int, *, options: dict[str, Any], family: IPFamily) -> InvalidCidr:
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
