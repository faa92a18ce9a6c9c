"""Addresses kept as (row of a table of bases, ordinal), expanded when somebody asks.

A pod's address is its node's block base plus an ordinal that the plugin handed out, so ten million dual-stack pods
need their node's row and one small number each instead of twenty bytes of addresses. A `BlockColumn` stands in a
`Table` where an address column would, and `Table.column` returns the addresses.

What it does not know: who handed out the ordinals. It trusts that base + ordinal stays inside the block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["BlockColumn", "frozen", "narrowest"]


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Mark an array unchangeable and return it.

    Parameters
    ----------
    array : ndarray
        One that nobody else writes to.

    Returns
    -------
    ndarray
        The same array, read-only.

    Raises
    ------
    None
        Every array can be read-only.
    """
    array.flags.writeable = False
    return array


def narrowest(values: NDArray[Any]) -> NDArray[Any]:
    """Return unsigned integers in the narrowest dtype that holds them.

    Parameters
    ----------
    values : ndarray of unsigned integers, shape (n,)
        Any width.

    Returns
    -------
    ndarray of uint8, uint16, uint32 or uint64, shape (n,)
        The same numbers.

    Raises
    ------
    None
        Every array of the declared dtypes has an answer.

    Examples
    --------
    >>> narrowest(np.array([2, 300], dtype=np.uint64)).dtype
    dtype('uint16')
    """
    top = int(values.max()) if len(values) else 0
    return values.astype(np.min_scalar_type(top), copy=False)


class BlockColumn:
    """An address column that has not been written out.

    Parameters
    ----------
    rows : ndarray of int32, shape (n,)
        Row of each address's block in ``bases``; -1 where there is no address.
    ordinals : ndarray of unsigned integers, shape (n,)
        Offset inside the block.
    bases : address column, shape (m,)
        Base address of each block.
    """

    __slots__ = ("bases", "ordinals", "rows")

    def __init__(self, rows: NDArray[np.int32], ordinals: NDArray[Any], bases: NDArray[Any]) -> None:
        self.rows = rows
        self.ordinals = ordinals
        self.bases = bases

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the family."""
        return self.bases.dtype

    def addresses(self) -> NDArray[Any]:
        """Write the addresses out.

        Returns
        -------
        address column, shape (n,)
            ``bases[rows] + ordinals``; zero where the row is -1.

        Raises
        ------
        None
            Every column has an answer.

        Examples
        --------
        >>> bases = np.array([0x0A000000, 0x0A000100], dtype=np.uint32)
        >>> column = BlockColumn(np.array([1, 0], np.int32), np.array([2, 3], np.uint8), bases)
        >>> [hex(address) for address in column.addresses()]
        ['0xa000102', '0xa000003']
        """
        absent = None
        rows = self.rows
        if len(rows) and int(rows.min()) < 0:
            absent = rows < 0
            rows = np.where(absent, np.int32(0), rows)
        if not len(self.bases):
            return frozen(np.zeros(len(rows), self.bases.dtype))
        values = self.bases[rows]
        if self.bases.dtype.names:
            values["lo"] += self.ordinals.astype(np.uint64, copy=False)
        else:
            values += self.ordinals.astype(np.uint32, copy=False)
        if absent is not None:
            values[absent] = np.zeros((), values.dtype)
        return frozen(values)

    def mapped(self, pick: Callable[[NDArray[Any]], NDArray[Any]]) -> BlockColumn:
        """Return the column with the same rows picked from its rows and its ordinals, the bases shared.

        Parameters
        ----------
        pick : callable
            Takes an array of the column's length and returns the chosen rows of it.

        Returns
        -------
        BlockColumn
            Still not written out.

        Raises
        ------
        None
            Beyond what ``pick`` raises.
        """
        return BlockColumn(pick(self.rows), pick(self.ordinals), self.bases)

    def joined(
        self, other: BlockColumn, join: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
    ) -> BlockColumn | None:
        """Return both columns one after the other without writing them out, if their bases agree.

        Parameters
        ----------
        other : BlockColumn
            Of the same family.
        join : callable
            Concatenates two arrays; may remember what it has done, so that shared arrays stay shared.

        Returns
        -------
        BlockColumn or None
            None where one table of bases is not the beginning of the other.

        Raises
        ------
        None
            Every pair has an answer.
        """
        short, long = sorted((self.bases, other.bases), key=len)
        if short is not long and not np.array_equal(short, long[: len(short)]):
            return None
        return BlockColumn(join(self.rows, other.rows), join(self.ordinals, other.ordinals), long)

    def parts(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return the arrays that take memory, so that shared ones are counted once.

        Returns
        -------
        tuple of ndarray
            Rows, ordinals, bases.

        Raises
        ------
        None
            Every column has them.
        """
        return self.rows, self.ordinals, self.bases
