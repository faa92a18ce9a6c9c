"""What every pool promises: the verbs, the record of a batch, and `Operation`.

A pool hands out *offsets*: whole numbers from 0 to ``size - 1``. It knows neither addresses as text nor Kubernetes.
A verb takes one offset (``int``) or many (a 1-D array of integers). With one it answers or raises; with many it never
raises for a row: each row carries a `Reason`.

It does not know time, names or owners; `Operation` makes changes to several pools all or nothing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias, overload

import numpy as np

from dsmodel.errors import InvalidInput, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import NDArray

__all__ = [
    "Allocation",
    "Offsets",
    "Operation",
    "Order",
    "Pool",
    "Storage",
    "Strategy",
    "offset_rows",
    "scattered",
]

Offsets: TypeAlias = "NDArray[np.integer] | Sequence[int]"
Strategy: TypeAlias = Literal["scan", "sample", "lowest", "next"]
Order: TypeAlias = Literal["sequence", "set"]
Storage: TypeAlias = Literal["auto", "dense", "sparse"]


@dataclass(frozen=True, eq=False)
class Allocation:
    """What became of each row of a batch.

    Parameters
    ----------
    ok : ndarray of bool, shape (rows,)
        Whether the row was granted.
    reason : ndarray of uint8, shape (rows,)
        A `Reason` code; 0 exactly where ``ok``.

    Examples
    --------
    >>> import numpy as np
    >>> Allocation.of(np.array([0, 2], dtype=np.uint8)).ok
    array([ True, False])
    """

    ok: NDArray[np.bool_]
    reason: NDArray[np.uint8]

    @classmethod
    def of(cls, reason: NDArray[np.uint8]) -> Self:
        """Make the record from its reason codes.

        Parameters
        ----------
        reason : ndarray of uint8, shape (rows,)
            `Reason` codes.

        Returns
        -------
        Allocation
            With ``ok`` where the code is 0.

        Raises
        ------
        None
            Every input of the declared types has an answer.
        """
        return cls(reason == Reason.OK, reason)

    @property
    def granted(self) -> int:
        """Number of rows that were granted."""
        return int(np.count_nonzero(self.ok))


class Pool(Protocol):
    """The verbs of every pool, with Kubernetes' meaning.

    Offsets are Python ints one at a time and ``uint64`` arrays in bulk. ``usable`` counts the offsets that may be
    handed out, ``size`` all of them; ``used + free == usable`` always holds.
    """

    @property
    def size(self) -> int:
        """All offsets, usable or not."""
        ...

    @property
    def usable(self) -> int:
        """Offsets that may be handed out."""
        ...

    @property
    def used(self) -> int:
        """Offsets in use."""
        ...

    @property
    def free(self) -> int:
        """Usable offsets not in use."""
        ...

    @overload
    def allocate(self, offsets: int, *, dry_run: bool = False) -> None: ...
    @overload
    def allocate(self, offsets: Offsets, *, dry_run: bool = False) -> Allocation: ...
    def allocate(self, offsets: int | Offsets, *, dry_run: bool = False) -> Allocation | None:
        """Take the named offsets: one raises when it cannot, of many the first row wins."""
        ...

    @overload
    def allocate_next(self, n: None = None, *, rng: np.random.Generator | None = None) -> int: ...
    @overload
    def allocate_next(self, n: int, *, rng: np.random.Generator | None = None) -> NDArray[np.uint64]: ...
    def allocate_next(
        self, n: int | None = None, *, rng: np.random.Generator | None = None
    ) -> int | NDArray[np.uint64]:
        """Take one offset of the pool's choice, or up to ``n`` in order of grant."""
        ...

    @overload
    def release(self, offsets: int) -> bool: ...
    @overload
    def release(self, offsets: Offsets) -> NDArray[np.bool_]: ...
    def release(self, offsets: int | Offsets) -> bool | NDArray[np.bool_]:
        """Give offsets back and tell which were in use; a free offset is no error."""
        ...

    @overload
    def occupy(self, offsets: int) -> None: ...
    @overload
    def occupy(self, offsets: Offsets) -> Allocation: ...
    def occupy(self, offsets: int | Offsets) -> Allocation | None:
        """Mark offsets as in use, whether they were or not; never moves a cursor."""
        ...

    @overload
    def has(self, offsets: int) -> bool: ...
    @overload
    def has(self, offsets: Offsets) -> NDArray[np.bool_]: ...
    def has(self, offsets: int | Offsets) -> bool | NDArray[np.bool_]:
        """Tell whether offsets are in use; outside the pool nothing is."""
        ...

    def used_offsets(self) -> NDArray[np.uint64]:
        """Return the offsets in use, ascending."""
        ...

    def free_offsets(self, limit: int | None = None) -> NDArray[np.uint64]:
        """Return the lowest ``limit`` free offsets, ascending."""
        ...

    def snapshot(self) -> bytes:
        """Return the whole state as bytes: same state, same bytes."""
        ...

    def restore(self, snapshot: bytes) -> None:
        """Take the state a snapshot of an equal pool holds."""
        ...

    def copy(self) -> Self:
        """Return an independent pool of the same state, cheaply: storage is shared until one of the two changes."""
        ...

    def adopt(self, other: Self) -> None:
        """Take the state of a copy of this pool; `Operation` reverts with it."""
        ...


class Operation:
    """Changes to several pools, all or nothing.

    Remembers each pool by a copy on write when entered. Leaving the block commits; an exception, or `revert`, puts
    every pool back, cursors included. What a generator of random numbers has drawn stays drawn.

    Parameters
    ----------
    *pools : Pool
        The pools the operation may change.

    Examples
    --------
    >>> from dsmodel import AddressRange, Cidr
    >>> first = AddressRange(Cidr("10.0.0.0/30"), strategy="lowest")
    >>> second = AddressRange(Cidr("fd00::/126"), strategy="lowest")
    >>> with Operation(first, second) as operation:
    ...     taken = first.allocate_next(3)
    ...     operation.revert()
    >>> first.used
    0
    """

    def __init__(self, *pools: Pool) -> None:
        self._pools = pools
        self._before: tuple[Pool, ...] = ()

    def __enter__(self) -> Self:
        """Remember the state of every pool.

        Returns
        -------
        Operation
            Itself.

        Raises
        ------
        None
            Every input of the declared types has an answer.
        """
        self._before = tuple(pool.copy() for pool in self._pools)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit, or revert when an exception leaves the block."""
        if kind is not None:
            self.revert()
        self._before = ()

    def revert(self) -> None:
        """Put every pool back to where it was; the block may go on and change them again.

        Raises
        ------
        None
            Outside a ``with`` block there is nothing to put back.
        """
        for pool, before in zip(self._pools, self._before, strict=False):
            pool.adopt(before)


def offset_rows(offsets: Offsets, *, first: int, usable: int) -> tuple[NDArray[np.uint64], NDArray[np.bool_] | None]:
    """Turn offsets as a caller gives them into slots counted from the first usable offset.

    Parameters
    ----------
    offsets : array of integers, shape (rows,)
        Any integer dtype, or a sequence of ints.
    first : int
        The first usable offset.
    usable : int
        How many usable offsets there are.

    Returns
    -------
    tuple of (uint64[rows], bool[rows] or None)
        Slots, and where they are inside ``[0, usable)``; ``None`` when all are. A slot outside is undefined.

    Raises
    ------
    InvalidInput
        ``offsets`` is not a 1-D array of integers.

    Examples
    --------
    >>> offset_rows([1, 5], first=1, usable=3)
    (array([0, 4], dtype=uint64), array([ True, False]))
    """
    rows = np.asarray(offsets)
    if rows.dtype.kind in "fO" and isinstance(offsets, (list, tuple)) and all(isinstance(row, int) for row in offsets):
        with suppress(OverflowError):  # numpy reads ints on both sides of 2**63 as floats
            rows = np.array(offsets, dtype=np.uint64)
    if rows.size == 0 and rows.dtype != object:
        return np.empty(0, dtype=np.uint64), None
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise InvalidInput(
            f"offsets of dtype {rows.dtype} and shape {rows.shape}: expected a 1-D array of integers below 2**64; "
            f"convert with numpy.asarray(offsets, dtype='uint64')"
        )
    low = int(rows.min())
    slots: NDArray[np.uint64] = rows.astype(np.uint64, copy=False)
    if first:
        slots = slots - np.uint64(first)
    if low >= first and usable and int(rows.max()) - first < usable:
        return slots, None
    if usable == 0:
        return slots, np.zeros(len(slots), dtype=bool)
    inside = slots <= np.uint64(usable - 1)
    if first or low < 0:
        inside &= rows >= first
    return slots, inside


def scattered(codes: NDArray[np.uint8], inside: NDArray[np.bool_] | None, outside: Reason) -> NDArray[np.uint8]:
    """Put the codes of the rows inside a pool at their places among all rows.

    Parameters
    ----------
    codes : ndarray of uint8
        One for each row inside, in order.
    inside : ndarray of bool, shape (rows,), or None
        Which rows are inside; None where all are.
    outside : Reason
        The code of the others.

    Returns
    -------
    ndarray of uint8, shape (rows,)
        `Reason` codes of all rows.

    Raises
    ------
    None
        Every input of the declared types has an answer.
    """
    if inside is None:
        return codes
    reason = np.full(len(inside), outside, dtype=np.uint8)
    reason[inside] = codes
    return reason
