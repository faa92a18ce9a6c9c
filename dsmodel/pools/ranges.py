"""Pools of addresses and of ports.

Promises that an offset and its address, or its port, are one to one: offset 0 is the network address, or the first
port. Ranges wider than 2**64 addresses need ``limit``; wide ranges are kept as sorted offsets, others as bitmaps, with
the same answers.

It does not know which addresses Kubernetes keeps back or how large a band is: `dsmodel.kube` passes both in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses import arrays
from dsmodel.errors import InvalidInput
from dsmodel.pools.contract import Storage, Strategy, offset_rows
from dsmodel.pools.offsets import OffsetPool

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.pools.contract import Offsets

__all__ = ["AddressRange", "PortRange"]


class AddressRange(OffsetPool):
    """The addresses of one CIDR as a pool.

    Parameters
    ----------
    cidr : Cidr
        The addresses; offset 0 is its first.
    reserve_first : int
        How many of the first addresses are never handed out.
    reserve_last : int
        How many of the last addresses are never handed out.
    limit : int, optional
        Only the first ``limit`` addresses can be reached.
    band_offset : int
        How many of the first usable addresses form the static band.
    strategy : {"scan", "sample", "lowest", "next"}
        How the pool chooses; see `OffsetPool`.
    rng : numpy.random.Generator, optional
        Source of the random strategies, unless a call names its own.
    storage : {"auto", "dense", "sparse"}
        See `OffsetPool`.

    Raises
    ------
    InvalidInput
        More than 2**64 addresses and no ``limit``, or a number out of its range.

    Examples
    --------
    >>> from dsmodel import Cidr
    >>> pool = AddressRange(Cidr("10.96.0.0/28"), reserve_first=1, reserve_last=1, strategy="lowest")
    >>> pool.size, pool.usable
    (16, 14)
    >>> pool.cidr.address(pool.allocate_next())
    '10.96.0.1'
    """

    __slots__ = ("cidr",)

    def __init__(  # noqa: PLR0913 - each parameter is a word of the field; all but one have a default
        self,
        cidr: Cidr,
        *,
        reserve_first: int = 0,
        reserve_last: int = 0,
        limit: int | None = None,
        band_offset: int = 0,
        strategy: Strategy = "scan",
        rng: np.random.Generator | None = None,
        storage: Storage = "auto",
    ) -> None:
        if reserve_first < 0 or reserve_last < 0 or (limit is not None and limit < 0):
            raise InvalidInput(f"range {cidr}: reserve_first, reserve_last and limit are 0 or more")
        end = cidr.size - reserve_last
        if limit is not None:
            end = min(end, limit)
        if end > 1 << 64:
            raise InvalidInput(f"range {cidr}: {end} addresses are more than a pool of 2**64 holds; cap it with limit=")
        usable = max(0, end - reserve_first)
        self.cidr = cidr
        super().__init__(
            usable,
            first=reserve_first if usable else 0,
            band_offset=band_offset,
            strategy=strategy,
            rng=rng,
            storage=storage,
        )

    @property
    def size(self) -> int:
        """All addresses of the CIDR, usable or not."""
        return self.cidr.size

    def _subject(self) -> tuple[str, str]:
        """Name the range."""
        return str(self.cidr), "address"

    def addresses(self, offsets: Offsets) -> NDArray[np.uint32] | NDArray[np.void]:
        """Return the addresses of offsets.

        Parameters
        ----------
        offsets : array of integers, shape (rows,)
            Offsets of the range, usable or not.

        Returns
        -------
        address column, shape (rows,)
            Of the range's family.

        Raises
        ------
        InvalidInput
            An offset lies outside the CIDR.

        Examples
        --------
        >>> from dsmodel import Cidr
        >>> AddressRange(Cidr("0.0.1.0/24")).addresses([0, 5])
        array([256, 261], dtype=uint32)
        """
        rows, inside = offset_rows(offsets, first=0, usable=min(self.cidr.size, 1 << 64))
        if inside is not None and not inside.all():
            raise InvalidInput(f"offset {int(rows[~inside][0])}: {self.cidr} has offsets 0 to {self.cidr.size - 1}")
        return arrays.from_offsets(self.cidr, rows)

    def offsets(self, column: NDArray[np.uint32] | NDArray[np.void]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Return the offsets of addresses.

        Parameters
        ----------
        column : address column, shape (rows,)
            Addresses of the range's family.

        Returns
        -------
        tuple of (uint64[rows], bool[rows])
            Offsets, and whether each address lies in the CIDR within 2**64 of its start; offsets elsewhere mean
            nothing.

        Raises
        ------
        InvalidAddress
            The column is of the other family.
        """
        return arrays.to_offsets(column, self.cidr)


class PortRange(OffsetPool):
    """Port numbers as a pool: one for all protocols and both families, as Kubernetes has it.

    Parameters
    ----------
    first : int
        The first port, offset 0.
    last : int
        The last port, included.
    band_offset : int
        How many of the first ports form the static band.
    strategy : {"scan", "sample", "lowest", "next"}
        How the pool chooses; see `OffsetPool`.
    rng : numpy.random.Generator, optional
        Source of the random strategies, unless a call names its own.

    Raises
    ------
    InvalidInput
        Not a range of ports within 0 to 65535.

    Examples
    --------
    >>> ports = PortRange(30000, 32767, strategy="lowest", band_offset=86)
    >>> ports.ports(ports.allocate_next(2))
    array([30086, 30087], dtype=uint16)
    """

    __slots__ = ("first_port", "last_port")

    def __init__(
        self,
        first: int,
        last: int,
        *,
        band_offset: int = 0,
        strategy: Strategy = "scan",
        rng: np.random.Generator | None = None,
    ) -> None:
        if not 0 <= first <= last <= 65535:
            raise InvalidInput(f"ports {first} to {last}: expected 0 <= first <= last <= 65535")
        self.first_port = first
        self.last_port = last
        super().__init__(last - first + 1, band_offset=band_offset, strategy=strategy, rng=rng)

    def _subject(self) -> tuple[str, str]:
        """Name the range."""
        return f"{self.first_port}-{self.last_port}", "port"

    def ports(self, offsets: Offsets) -> NDArray[np.uint16]:
        """Return the ports of offsets.

        Parameters
        ----------
        offsets : array of integers, shape (rows,)
            Offsets of the range.

        Returns
        -------
        ndarray of uint16, shape (rows,)
            Port numbers.

        Raises
        ------
        InvalidInput
            An offset lies outside the range.
        """
        rows, inside = offset_rows(offsets, first=0, usable=self.usable)
        if inside is not None and not inside.all():
            raise InvalidInput(f"offset {int(rows[~inside][0])}: ports have offsets 0 to {self.usable - 1}")
        return (rows + np.uint64(self.first_port)).astype(np.uint16)

    def offsets(self, ports: Offsets) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Return the offsets of ports.

        Parameters
        ----------
        ports : array of integers, shape (rows,)
            Port numbers.

        Returns
        -------
        tuple of (uint64[rows], bool[rows])
            Offsets, and whether each port lies in the range; offsets elsewhere mean nothing.

        Raises
        ------
        InvalidInput
            ``ports`` is not a 1-D array of integers.
        """
        rows, inside = offset_rows(ports, first=self.first_port, usable=self.usable)
        return rows, np.ones(len(rows), dtype=bool) if inside is None else inside
