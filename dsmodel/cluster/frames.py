"""Carry a table to a pandas frame and back.

What a frame looks like: Kubernetes' words instead of codes, addresses as canonical text or as `AddressArray`, missing
values as pandas' own, no ``has_`` columns, and as text a CIDR in one column. `Table.to_frame` and `Table.from_frame`
are the doors; this module holds what they do.

What it does not know: names of nodes behind row numbers. A `Cluster` knows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import family_of
from dsmodel.addresses.text import format_addresses, parse_addresses, parse_cidrs
from dsmodel.cluster.address_array import AddressArray
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.cluster.schema import Column, TableSchema
    from dsmodel.cluster.table import Table

__all__ = ["columns_of", "frame_of", "text_series"]

TEXT_DTYPE = pd.StringDtype("pyarrow", na_value=np.nan)  # pandas' "str"


def frame_of(table: Table, *, addresses: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Write a table as a frame.

    Parameters
    ----------
    table : Table
        Any table.
    addresses : {"text", "values"}
        How addresses are written.
    columns : sequence of str, optional
        Only these, in this order.

    Returns
    -------
    pandas.DataFrame
        As `Table.to_frame` promises.

    Raises
    ------
    InvalidInput
        If ``addresses`` is another word, or a column is not declared.
    """
    if addresses not in {"text", "values"}:
        raise InvalidInput(f'addresses={addresses!r}: allowed are "text" and "values"')
    as_text = addresses == "text"
    hidden = {column.null for column in table.schema.columns if column.null.startswith("has_")}
    if as_text:
        hidden |= {column.prefix_length for column in table.schema.columns}
    shown = (
        [column.name for column in table.schema.columns if column.name not in hidden] if columns is None else columns
    )
    series = {name: _series(table, table.schema.column(name), as_text=as_text) for name in shown}
    return pd.DataFrame(series, index=pd.RangeIndex(len(table)), copy=False)


def columns_of(schema: TableSchema, frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Read a frame's columns as a schema declares them.

    Parameters
    ----------
    schema : TableSchema
        What the columns are.
    frame : pandas.DataFrame
        Such as `frame_of` returns; columns may be absent.

    Returns
    -------
    dict of str to ndarray
        What `Table` takes.

    Raises
    ------
    InvalidInput
        If a column is not declared, or a value breaks its rule.
    """
    columns: dict[str, NDArray[Any]] = {}
    for name in frame.columns:
        declared = schema.column(name)
        values = frame[name]
        if declared.is_address:
            columns |= _address_columns(schema, declared, values)
        elif declared.words:
            columns[name] = _codes(declared, values)
        elif declared.is_text:
            columns[name] = np.asarray(values.to_numpy(dtype=object, na_value=""), dtype=declared.dtype)
        elif values.isna().any():
            raise InvalidInput(
                f"table {schema.name}, column {name} ({declared.dtype}, missing: {declared.null}): "
                f"row {int(np.flatnonzero(values.isna())[0])} is missing"
            )
        else:
            columns[name] = values.to_numpy()
    return columns


def _codes(declared: Column, values: pd.Series[Any]) -> NDArray[Any]:
    """Read words as codes; a word that is none is left to `Table`, which names it."""
    code_of = {word: code for code, word in declared.words.items()}
    places, words = pd.factorize(values)
    found = [code_of.get(str(word)) for word in words]
    if None in found:
        return np.asarray([str(word) for word, code in zip(words, found, strict=True) if code is None])
    return np.array([*found, 0], np.uint8)[places]


def text_series(values: Any) -> pd.Series[str]:
    """Return text as pandas' own Arrow-backed ``str`` dtype.

    Parameters
    ----------
    values : pyarrow array or ndarray of text
        Nulls of Arrow become missing values.

    Returns
    -------
    pandas.Series of str
        Arrow's memory is shared, not copied.

    Raises
    ------
    None
        All text has an answer.
    """
    if isinstance(values, np.ndarray):
        return pd.Series(values.astype(object), dtype=TEXT_DTYPE)
    return pd.Series(TEXT_DTYPE.__from_arrow__(values))  # type: ignore[attr-defined]


def _series(table: Table, column: Column, *, as_text: bool) -> Any:
    values = table[column.name]
    if column.is_text:
        return text_series(values)
    if column.words:
        codes, words = list(column.words)[1:], list(column.words.values())[1:]
        position = np.full(256, -1, np.int8)
        position[codes] = np.arange(len(codes))
        return pd.Categorical.from_codes(position[values], categories=pd.Index(words, dtype=object))
    if not column.is_address:
        return values
    present = table[column.null]
    if not as_text:
        return AddressArray(values, present)
    text = text_series(format_addresses(values, valid=present))
    if not column.prefix_length:
        return text
    return text + "/" + text_series(table[column.prefix_length].astype(np.dtypes.StringDType()))


def _address_columns(schema: TableSchema, declared: Column, values: pd.Series[Any]) -> dict[str, NDArray[Any]]:
    """Read an address column with its mask, and from CIDR text also its prefix length."""
    family = family_of(np.zeros(0, declared.dtype))
    if isinstance(values.array, AddressArray):
        array = values.array
        if array.family is not family:
            raise InvalidInput(f"table {schema.name}, column {declared.name}: got {array.family} addresses")
        return {declared.name: array.column, declared.null: ~array.isna()}
    present = values.notna().to_numpy(dtype=np.bool_)
    texts = values.to_numpy(dtype=object)[present]
    full = np.zeros(len(values), declared.dtype)
    if not declared.prefix_length:
        full[present] = parse_addresses(texts, family=family)
        return {declared.name: full, declared.null: present}
    lengths = np.zeros(len(values), np.uint8)
    base, prefix_lengths, _ = parse_cidrs(texts, family=family)
    full[present], lengths[present] = base, prefix_lengths
    return {declared.name: full, declared.null: present, declared.prefix_length: lengths}
