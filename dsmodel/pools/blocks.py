"""Equal blocks of a cluster CIDR as a pool, handed out in order from a cursor.

Promises Kubernetes' ``cidrset``: the next free block from the cursor on with wrap; a block given back is handed out
again only after the cursor has come round; occupying and releasing a CIDR rounds outward to whole blocks and moves no
cursor. It does not know nodes, nor that Kubernetes refuses more than 16 bits of IPv6 blocks: `dsmodel.kube` does.

Source: kubernetes v1.36 ``pkg/controller/nodeipam/ipam/cidrset/cidr_set.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.addresses import arrays
from dsmodel.addresses.cidr import Cidr
from dsmodel.errors import InvalidInput, NotInRange
from dsmodel.pools.contract import offset_rows
from dsmodel.pools.offsets import OffsetPool

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from dsmodel.pools.contract import Offsets

__all__ = ["CidrSet"]


class CidrSet(OffsetPool):
    """The blocks of one length in a cluster CIDR; offsets are block indices.

    Parameters
    ----------
    cluster_cidr : Cidr
        What is cut into blocks.
    block_prefix_length : int
        Prefix length of a block.

    Raises
    ------
    InvalidInput
        A block would be larger than the cluster CIDR, longer than an address, or there would be more than 2**64.

    Examples
    --------
    >>> from dsmodel import Cidr
    >>> blocks = CidrSet(Cidr("10.244.0.0/16"), 24)
    >>> blocks.max_blocks, str(blocks.block(blocks.allocate_next()))
    (256, '10.244.0.0/24')
    """

    __slots__ = ("block_prefix_length", "cluster_cidr")

    def __init__(self, cluster_cidr: Cidr, block_prefix_length: int) -> None:
        if not cluster_cidr.prefix_length <= block_prefix_length <= cluster_cidr.family.bits:
            raise InvalidInput(
                f"block prefix length {block_prefix_length}: blocks of {cluster_cidr} have a length of "
                f"{cluster_cidr.prefix_length} to {cluster_cidr.family.bits}"
            )
        self.cluster_cidr = cluster_cidr
        self.block_prefix_length = block_prefix_length
        super().__init__(1 << (block_prefix_length - cluster_cidr.prefix_length), strategy="next")

    def _subject(self) -> tuple[str, str]:
        """Name the blocks."""
        return f"{self.cluster_cidr} in /{self.block_prefix_length}", "block"

    @property
    def max_blocks(self) -> int:
        """Number of blocks in the cluster CIDR."""
        return self.usable

    def block(self, index: int) -> Cidr:
        """Return the CIDR of a block.

        Parameters
        ----------
        index : int
            Block index.

        Returns
        -------
        Cidr
            Of the block's prefix length.

        Raises
        ------
        NotInRange
            There is no such block.

        Examples
        --------
        >>> from dsmodel import Cidr
        >>> str(CidrSet(Cidr("fd00::/48"), 64).block(3))
        'fd00:0:0:3::/64'
        """
        if not 0 <= index < self.usable:
            raise NotInRange(f"block {index}: {self.cluster_cidr} has blocks 0 to {self.usable - 1}")
        return self.cluster_cidr.subnet(int(index), self.block_prefix_length)

    def blocks(self, indices: Offsets) -> NDArray[np.uint32] | NDArray[np.void]:
        """Return the base addresses of blocks.

        Parameters
        ----------
        indices : array of integers, shape (rows,)
            Block indices.

        Returns
        -------
        address column, shape (rows,)
            The first address of each block.

        Raises
        ------
        InvalidInput
            There is no such block.

        Examples
        --------
        >>> from dsmodel import Cidr
        >>> CidrSet(Cidr("0.0.0.0/16"), 24).blocks([0, 2])
        array([  0, 512], dtype=uint32)
        """
        rows, inside = offset_rows(indices, first=0, usable=self.usable)
        if inside is not None and not inside.all():
            raise InvalidInput(f"block {int(rows[~inside][0])}: {self.cluster_cidr} has {self.usable} blocks")
        unit_bits = self.cluster_cidr.family.bits - self.block_prefix_length
        return arrays.from_offsets(self.cluster_cidr, rows, unit_bits=unit_bits)

    def indices(self, column: NDArray[np.uint32] | NDArray[np.void]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Return the block each address lies in.

        Parameters
        ----------
        column : address column, shape (rows,)
            Addresses of the cluster CIDR's family.

        Returns
        -------
        tuple of (uint64[rows], bool[rows])
            Block indices, and whether each address lies in the cluster CIDR; elsewhere the index means nothing.

        Raises
        ------
        InvalidAddress
            The column is of the other family.
        """
        unit_bits = self.cluster_cidr.family.bits - self.block_prefix_length
        return arrays.to_offsets(column, self.cluster_cidr, unit_bits=unit_bits)

    def occupy_cidr(self, cidrs: Cidr | Iterable[Cidr]) -> None:
        """Mark every block that a CIDR touches as in use.

        Parameters
        ----------
        cidrs : Cidr or iterable of Cidr
            Larger or smaller than a block; one that contains the cluster CIDR covers all blocks.

        Raises
        ------
        NotInRange
            A CIDR has no address in the cluster CIDR; nothing has changed.

        Examples
        --------
        >>> from dsmodel import Cidr
        >>> blocks = CidrSet(Cidr("10.244.0.0/16"), 24)
        >>> blocks.occupy_cidr(Cidr("10.244.0.7/32"))
        >>> blocks.allocate_next()
        1
        """
        for start, stop in self._spans(cidrs):
            self._slots.mark_range(start, stop)

    def release_cidr(self, cidrs: Cidr | Iterable[Cidr]) -> None:
        """Free every block that a CIDR touches.

        Parameters
        ----------
        cidrs : Cidr or iterable of Cidr
            Larger or smaller than a block; one that contains the cluster CIDR covers all blocks.

        Raises
        ------
        NotInRange
            A CIDR has no address in the cluster CIDR; nothing has changed.
        """
        for start, stop in self._spans(cidrs):
            self._slots.put_range(start, stop)

    def _spans(self, cidrs: Cidr | Iterable[Cidr]) -> list[tuple[int, int]]:
        """Return the range of block indices each CIDR touches."""
        cluster, shift = self.cluster_cidr, self.cluster_cidr.family.bits - self.block_prefix_length
        spans = []
        for cidr in [cidrs] if isinstance(cidrs, Cidr) else cidrs:
            if cidr.family is not cluster.family or not cluster.overlaps(cidr):
                raise NotInRange(f"CIDR {cidr}: out of the range of cluster CIDR {cluster}")
            first = max(cidr.first, cluster.first) - cluster.first
            last = min(cidr.last, cluster.last) - cluster.first
            spans.append((first >> shift, (last >> shift) + 1))
        return spans
