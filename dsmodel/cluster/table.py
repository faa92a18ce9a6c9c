"""Keep named columns of equal length that never change, and cross to pandas and back.

A `Table` promises: every column its schema declares is there, has the declared dtype and the table's length, and does
not change. Verbs return new tables that share what they can, so a copy costs nothing. A column whose rows are all the
same takes the memory of one row. `Table.to_frame` writes addresses as text or as `AddressArray`, codes as Kubernetes'
words, and missing values as pandas' missing values; `Table.from_frame` is its inverse.

What it does not know: what the columns mean to each other. That is the business of `dsmodel.cluster.state`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from dsmodel.cluster.block_column import BlockColumn, frozen
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from dsmodel.cluster.schema import Column, TableSchema

__all__ = ["Table"]


class Table:
    """Columns of equal length, declared by a schema, that never change.

    Parameters
    ----------
    schema : TableSchema
        What the columns are; see `dsmodel.cluster.schema`.
    columns : mapping of str to array-like or BlockColumn
        By name. A column left out holds its default in every row; ``has_x`` left out beside a given ``x`` means that
        every row has one (a CIDR: every row whose prefix length is not 0). Writable arrays are copied, read-only ones
        shared.
    length : int, optional
        Number of rows; needed only where no column is given.

    Raises
    ------
    InvalidInput
        If a column is not declared, has another dtype or length than the rest, or a code without a word.

    Examples
    --------
    >>> from dsmodel.cluster.schema import NODES
    >>> nodes = Table(NODES, {"name": ["a", "b"], "allocatable_pods": [110, 32]})
    >>> len(nodes), nodes["allocatable_pods"].tolist(), nodes["zone"].tolist()
    (2, [110, 32], ['', ''])
    """

    __slots__ = ("_columns", "_length", "schema")

    def __init__(
        self,
        schema: TableSchema,
        columns: Mapping[str, ArrayLike | BlockColumn] | None = None,
        *,
        length: int | None = None,
    ) -> None:
        given = {name: _checked(schema, name, values) for name, values in (columns or {}).items()}
        sizes = {len(values) for values in given.values()} | ({length} if length is not None else set())
        if len(sizes) > 1:
            lengths = ", ".join(f"{name} {len(values)}" for name, values in given.items())
            raise InvalidInput(f"table {schema.name}: columns differ in length: {lengths}; all must be equal")
        self.schema = schema
        self._length = sizes.pop() if sizes else 0
        self._columns = {c.name: given.get(c.name, _absent(c, given, self._length)) for c in schema.columns}

    @classmethod
    def _of(cls, schema: TableSchema, columns: dict[str, NDArray[Any] | BlockColumn], length: int) -> Self:
        """Build from columns known to be right."""
        table = cls.__new__(cls)
        table.schema = schema
        table._columns = columns  # noqa: SLF001 - an instance of this class
        table._length = length  # noqa: SLF001 - an instance of this class
        return table

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._length

    def __repr__(self) -> str:
        """Return name, number of rows and columns."""
        return f"Table({self.schema.name}, {self._length:,} rows: {', '.join(self.schema.names)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return self.schema.names

    @property
    def nbytes(self) -> int:
        """Bytes the columns take, shared arrays counted once and constant columns as one row."""
        arrays: dict[int, NDArray[Any]] = {}
        for column in self._columns.values():
            for part in column.parts() if isinstance(column, BlockColumn) else (column,):
                arrays[id(part)] = part
        return sum(a.itemsize if a.strides == (0,) else a.nbytes for a in arrays.values())

    def column(self, name: str) -> NDArray[Any]:
        """Return one column.

        Parameters
        ----------
        name : str
            A declared name.

        Returns
        -------
        ndarray, shape (n,)
            Read-only. An address column kept as a `BlockColumn` is written out on each call.

        Raises
        ------
        InvalidInput
            If there is no such column; the message lists those there are.
        """
        column = self.stored(name)
        return column.addresses() if isinstance(column, BlockColumn) else column

    __getitem__ = column

    def stored(self, name: str) -> NDArray[Any] | BlockColumn:
        """Return one column as it is kept.

        Parameters
        ----------
        name : str
            A declared name.

        Returns
        -------
        ndarray or BlockColumn
            Not written out.

        Raises
        ------
        InvalidInput
            If there is no such column; the message lists those there are.
        """
        if name not in self._columns:
            self.schema.column(name)
        return self._columns[name]

    def take(self, indices: ArrayLike) -> Self:
        """Return chosen rows in the order asked for.

        Parameters
        ----------
        indices : array-like of int
            Rows; negative ones count from the end.

        Returns
        -------
        Table
            With ``len(indices)`` rows.

        Raises
        ------
        IndexError
            If an index is out of range.
        """
        chosen = np.asarray(indices, dtype=np.intp) if np.size(indices) else np.zeros(0, np.intp)
        return self._picked(chosen, len(chosen))

    def _picked(self, chosen: NDArray[Any], n: int) -> Self:
        """Pick n rows by numbers or by a mask."""

        def pick(array: NDArray[Any]) -> NDArray[Any]:
            return _constant(array, n) if array.strides == (0,) and len(array) else frozen(array[chosen])

        remembered = _remembering(pick)
        columns = {name: _mapped(column, remembered) for name, column in self._columns.items()}
        return self._of(self.schema, columns, n)

    def where(self, mask: ArrayLike) -> Self:
        """Return the rows where a mask is true.

        Parameters
        ----------
        mask : array-like of bool, shape (n,)
            One value a row.

        Returns
        -------
        Table
            In the same order.

        Raises
        ------
        InvalidInput
            If the mask is not boolean or not of this length.
        """
        chosen = np.asarray(mask)
        if chosen.dtype != np.bool_ or chosen.shape != (self._length,):
            raise InvalidInput(
                f"table {self.schema.name}: a mask needs {self._length} booleans, got {chosen.dtype} {chosen.shape}"
            )
        n = int(np.count_nonzero(chosen))
        return self if n == self._length else self._picked(chosen, n)

    def append(self, other: Table) -> Self:
        """Return this table with the rows of another below.

        Parameters
        ----------
        other : Table
            Of the same schema.

        Returns
        -------
        Table
            With ``len(self) + len(other)`` rows.

        Raises
        ------
        InvalidInput
            If the other table has another schema.
        """
        if other.schema is not self.schema:
            raise InvalidInput(f"cannot append {other.schema.name} to {self.schema.name}: the schemas differ")
        if not len(other) or not self._length:
            return self if self._length else self._of(self.schema, dict(other._columns), len(other))
        join = _remembering(_concatenated)
        columns = {name: _joined(column, other.stored(name), join) for name, column in self._columns.items()}
        return self._of(self.schema, columns, self._length + len(other))

    def replace(self, columns: Mapping[str, ArrayLike | BlockColumn]) -> Self:
        """Return the table with some columns exchanged.

        Parameters
        ----------
        columns : mapping of str to array-like or BlockColumn
            By name; the rest is shared.

        Returns
        -------
        Table
            Of the same length.

        Raises
        ------
        InvalidInput
            If a column is not declared, or has another dtype or length.
        """
        fresh = Table(self.schema, columns, length=self._length)
        changed = {name: fresh.stored(name) for name in columns}
        return self._of(self.schema, self._columns | changed, self._length)

    def equals(self, other: Table) -> bool:
        """Tell whether two tables say the same, the values of missing addresses aside.

        Parameters
        ----------
        other : Table
            Any table.

        Returns
        -------
        bool
            True for the same schema, length and values.

        Raises
        ------
        None
            Every pair has an answer.
        """
        if other.schema is not self.schema or len(other) != self._length:
            return False
        return all(_same_column(self, other, declared) for declared in self.schema.columns)

    def to_frame(
        self, *, addresses: Literal["text", "values"] = "text", columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Return a pandas frame with Kubernetes' words.

        Parameters
        ----------
        addresses : {"text", "values"}
            As canonical text (a CIDR with its prefix length), or as `AddressArray` beside the prefix length.
        columns : sequence of str, optional
            Only these, in this order; all by default.

        Returns
        -------
        pandas.DataFrame
            One column for each declared one, in order; the ``has_`` columns have become missing values, codes are
            categories of words, and as text a CIDR's prefix length is part of it.

        Raises
        ------
        InvalidInput
            If ``addresses`` is another word, or a column is not declared.

        Examples
        --------
        >>> from dsmodel.cluster.schema import NODE_PORTS
        >>> Table(NODE_PORTS, {"node_port": [30080], "use": ["node port"]}).to_frame()
           service  node_port        use
        0       -1      30080  node port
        """
        from dsmodel.cluster.frames import frame_of

        return frame_of(self, addresses=addresses, columns=columns)

    @classmethod
    def from_frame(cls, schema: TableSchema, frame: pd.DataFrame) -> Self:
        """Build a table from a frame such as `to_frame` returns.

        Parameters
        ----------
        schema : TableSchema
            What the columns are.
        frame : pandas.DataFrame
            Columns may be absent; the index is not looked at.

        Returns
        -------
        Table
            With ``len(frame)`` rows.

        Raises
        ------
        InvalidInput
            If a column is not declared, or a value breaks its rule; names the column, its dtype and the rule.
        """
        from dsmodel.cluster.frames import columns_of

        return cls(schema, columns_of(schema, frame), length=len(frame))


def _constant(array: NDArray[Any], n: int) -> NDArray[Any]:
    """Repeat the first value n times in the memory of one."""
    return np.broadcast_to(array[:1].reshape(()), (n,))


def _mapped(
    column: NDArray[Any] | BlockColumn, pick: Callable[[NDArray[Any]], NDArray[Any]]
) -> NDArray[Any] | BlockColumn:
    return column.mapped(pick) if isinstance(column, BlockColumn) else pick(column)


def _remembering(function: Callable[..., NDArray[Any]]) -> Callable[..., NDArray[Any]]:
    """Do the same arrays once, so that columns which share one keep sharing it."""
    # the arrays are kept beside the result, so that no id is used twice
    done: dict[tuple[int, ...], tuple[tuple[NDArray[Any], ...], NDArray[Any]]] = {}

    def once(*arrays: NDArray[Any]) -> NDArray[Any]:
        key = tuple(id(array) for array in arrays)
        if key not in done:
            done[key] = (arrays, function(*arrays))
        return done[key][1]

    return once


def _concatenated(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    if first.strides == (0,) == second.strides and first[0] == second[0]:
        return _constant(first, len(first) + len(second))
    return frozen(np.concatenate((first, second)))


def _joined(
    first: NDArray[Any] | BlockColumn, second: NDArray[Any] | BlockColumn, join: Callable[..., NDArray[Any]]
) -> NDArray[Any] | BlockColumn:
    if isinstance(first, BlockColumn) and isinstance(second, BlockColumn):
        both = first.joined(second, join)
        if both is not None:
            return both
    return join(
        first.addresses() if isinstance(first, BlockColumn) else first,
        second.addresses() if isinstance(second, BlockColumn) else second,
    )


def _same_column(one: Table, other: Table, declared: Column) -> bool:
    first, second = one[declared.name], other[declared.name]
    if declared.null.startswith("has_"):
        present = one[declared.null]
        return bool(np.array_equal(first[present], second[present]))
    return bool(np.array_equal(first, second))


def _absent(column: Column, given: Mapping[str, NDArray[Any] | BlockColumn], length: int) -> NDArray[Any]:
    """Fill a column that was not given: its default, or for ``has_x`` what ``x`` says."""
    subject = column.name.removeprefix("has_")
    if subject != column.name and subject in given:
        lengths = given.get(f"{subject}_mask")
        return np.broadcast_to(np.True_, (length,)) if lengths is None else frozen(np.asarray(lengths) > 0)
    return np.broadcast_to(np.array(column.default, dtype=column.dtype), (length,))


def _checked(schema: TableSchema, name: str, values: ArrayLike | BlockColumn) -> NDArray[Any] | BlockColumn:
    """Bring values to the declared dtype, or say what is wrong with them."""
    declared = schema.column(name)
    if isinstance(values, BlockColumn):
        if values.dtype != declared.dtype:
            raise _wrong(schema, declared, f"got addresses of dtype {values.dtype}")
        return values
    array = np.asarray(values)
    if declared.is_text and array.dtype != declared.dtype:
        array = np.asarray(values, dtype=declared.dtype)
    if array.ndim != 1:
        raise _wrong(schema, declared, f"got shape {array.shape}; a column has one dimension")
    if array.dtype != declared.dtype:
        array = _converted(schema, declared, array)
    if declared.words:
        _check_codes(schema, declared, array)
    if array.flags.writeable:
        array = array.copy() if array is values or array.base is not None else array
        array.flags.writeable = False
    return array


def _converted(schema: TableSchema, declared: Column, array: NDArray[Any]) -> NDArray[Any]:
    """Convert words to codes and integers to the declared width."""
    if declared.words and array.dtype.kind in "UTO":
        codes = {word: code for code, word in declared.words.items()}
        unknown = sorted({str(word) for word in array} - set(codes))
        if unknown:
            raise _wrong(schema, declared, f"got {unknown[0]!r}; the words are {', '.join(map(repr, codes))}")
        return np.fromiter((codes[str(word)] for word in array), np.uint8, len(array))
    if not len(array):
        return array.astype(declared.dtype) if declared.dtype.names is None else np.zeros(0, declared.dtype)
    if array.dtype.kind not in "iu" or declared.dtype.kind not in "iu" or declared.is_address:
        raise _wrong(schema, declared, f"got dtype {array.dtype}")
    limits = np.iinfo(declared.dtype)
    if int(array.min()) < limits.min or int(array.max()) > limits.max:
        raise _wrong(schema, declared, f"got {array.min()} to {array.max()}, allowed {limits.min} to {limits.max}")
    return array.astype(declared.dtype)


def _check_codes(schema: TableSchema, declared: Column, codes: NDArray[np.uint8]) -> None:
    known = np.zeros(256, np.bool_)
    known[list(declared.words)] = True
    if codes.strides == (0,):
        codes = codes[:1]
    if len(codes) and not known[codes].all():
        raise _wrong(schema, declared, f"got code {int(codes[~known[codes]][0])}; codes are {dict(declared.words)}")


def _wrong(schema: TableSchema, declared: Column, what: str) -> InvalidInput:
    return InvalidInput(
        f"table {schema.name}, column {declared.name} ({declared.dtype}, missing: {declared.null or 'never'}): {what}"
    )
