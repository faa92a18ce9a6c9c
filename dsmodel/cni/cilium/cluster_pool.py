"""Cilium's cluster-pool mode: an operator cuts one CIDR a family for every node.

Promises the operator's order: a cursor per cluster CIDR, the first CIDR of a family that is not full, IPv4 before IPv6,
and both or nothing: the family that had worked is given back, its cursor stays where it moved to. Service ranges are
not left out, unlike in Kubernetes' own node IPAM.

It does not know CiliumNode objects whose CIDRs lie outside its own: they are skipped.

Sources: cilium/cilium ``operator/pkg/ipam/clusterpool.go``, ``pkg/ipam/allocator/podcidr/podcidr.go``,
``pkg/ipam/cidrset/cidr_set.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses import arrays
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.contract import PoolUsage
from dsmodel.errors import InvalidField
from dsmodel.pools.blocks import CidrSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.cni.contract import Unit

__all__ = ["OPERATOR_MASKS", "ClusterPool"]

OPERATOR_MASKS = {IPFamily.IPV4: 24, IPFamily.IPV6: 112}
"""The operator's own defaults; the Helm chart sets 24 and 120. Source: ``operator/pkg/ipam/clusterpool.go``."""

_MOST_IPV6_BITS = 16


class ClusterPool:
    """The operator's CIDRs.

    Parameters
    ----------
    cluster_cidrs : sequence of Cidr or str
        In the operator's order.
    mask_sizes : mapping of IPFamily to int, optional
        Prefix length of a node's CIDR; the operator's own defaults for what is not given.

    Raises
    ------
    InvalidField
        A mask shorter than a CIDR, or more than 16 bits between an IPv6 CIDR and its mask: the operator would not
        start.
    InvalidCidr
        A text is no CIDR.

    Examples
    --------
    >>> pool = ClusterPool(["10.0.0.0/8", "fd00::/104"], {IPFamily.IPV6: 120})
    >>> columns, ok = pool.allocate(2)
    >>> pool.texts(columns)
    [('10.0.0.0/24', 'fd00::/120'), ('10.0.1.0/24', 'fd00::100/120')]
    """

    def __init__(self, cluster_cidrs: Sequence[Cidr | str], mask_sizes: Mapping[IPFamily, int] | None = None) -> None:
        self.mask_sizes = {**OPERATOR_MASKS, **(mask_sizes or {})}
        cidrs = [each if isinstance(each, Cidr) else Cidr(each) for each in cluster_cidrs]
        self.sets: dict[IPFamily, list[CidrSet]] = {}
        for cidr in cidrs:
            mask = self.mask_sizes[cidr.family]
            field = f"cluster-pool-ipv{4 if cidr.family is IPFamily.IPV4 else 6}-mask-size"
            if not cidr.prefix_length <= mask <= cidr.family.bits:
                raise InvalidField(field, mask, f"node CIDRs of {cidr} have a length of {cidr.prefix_length} or more")
            if cidr.family is IPFamily.IPV6 and mask - cidr.prefix_length > _MOST_IPV6_BITS:
                longest = mask - _MOST_IPV6_BITS
                raise InvalidField(field, mask, f"at most 16 bits behind {cidr}; use a CIDR of /{longest} or longer")
            self.sets.setdefault(cidr.family, []).append(CidrSet(cidr, mask))

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """The cluster CIDRs, IPv4 first."""
        return tuple(each.cluster_cidr for sets in self._in_order() for each in sets)

    @property
    def max_nodes(self) -> int:
        """Number of nodes that can have a CIDR of every family."""
        return min((sum(each.max_blocks for each in sets) for sets in self.sets.values()), default=0)

    def allocate(self, n: int) -> tuple[dict[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]], NDArray[np.bool_]]:
        """Give nodes a CIDR of every family, or none.

        Parameters
        ----------
        n : int
            Number of nodes, in order of arrival.

        Returns
        -------
        tuple of dict, ndarray of bool, shape (n,)
            First address and prefix length by family, 0 where there is none; and which nodes have their CIDRs.

        Raises
        ------
        None
            Nodes without a CIDR are marked.

        Notes
        -----
        Source: ``pkg/ipam/allocator/podcidr/podcidr.go``.
        """
        granted = min((sum(each.free for each in sets) for sets in self.sets.values()), default=0)
        served = min(n, granted)
        columns = {}
        for family, sets in self.sets.items():
            bases = np.zeros(n, arrays.address_dtype(family))
            bases[:served] = _take(sets, served, family)
            lengths = np.where(np.arange(n) < served, self.mask_sizes[family], 0).astype(np.uint8)
            columns[family] = bases, lengths
        for sets in list(self._in_order())[:1]:
            _spin(sets, n - served)
        return columns, np.arange(n) < served

    def occupy(self, family: IPFamily, cidrs: Sequence[Cidr]) -> list[Cidr]:
        """Mark what nodes already have, before anything new is given out.

        Parameters
        ----------
        family : IPFamily
            Of all of them.
        cidrs : sequence of Cidr
            Of any length; rounded outward to whole node CIDRs.

        Returns
        -------
        list of Cidr
            Those outside every cluster CIDR.

        Raises
        ------
        None
            Every CIDR has an answer.
        """
        outside = []
        for cidr in cidrs:
            home = next((each for each in self.sets.get(family, ()) if each.cluster_cidr.overlaps(cidr)), None)
            if home is None:
                outside.append(cidr)
            else:
                home.occupy_cidr(cidr)
        return outside

    def release(self, family: IPFamily, cidrs: Sequence[Cidr]) -> None:
        """Take back what nodes had; the cursor stays, so they come round again last.

        Parameters
        ----------
        family : IPFamily
            Of all of them.
        cidrs : sequence of Cidr
            One outside every cluster CIDR is skipped.

        Raises
        ------
        None
            Every CIDR has an answer.
        """
        for cidr in cidrs:
            for each in self.sets.get(family, ()):
                if each.cluster_cidr.overlaps(cidr):
                    each.release_cidr(cidr)

    def usage(self, *, unit: Unit = "node ranges") -> list[PoolUsage]:
        """Tell how many node CIDRs are left.

        Parameters
        ----------
        unit : str
            "blocks" where a node may have several.

        Returns
        -------
        list of PoolUsage
            One a cluster CIDR; counts are node CIDRs.

        Raises
        ------
        None
            Always an answer.
        """
        return [
            PoolUsage(
                "node CIDRs",
                family,
                f"{each.cluster_cidr} in /{each.block_prefix_length}",
                each.max_blocks,
                each.used,
                unit=unit,
                cidrs=(each.cluster_cidr,),
            )
            for family in IPFamily
            for each in self.sets.get(family, ())
        ]

    def texts(self, columns: Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]]) -> list[tuple[str, ...]]:
        """Write what `allocate` gave as CiliumNodes show it.

        Parameters
        ----------
        columns : mapping of IPFamily to (address column, uint8 array)
            From `allocate`.

        Returns
        -------
        list of tuple of str
            ``spec.ipam.podCIDRs`` of each node.

        Raises
        ------
        None
            A node without CIDRs has an empty tuple.
        """
        rows: list[list[str]] = []
        for family in IPFamily:
            if family not in columns:
                continue
            bases, lengths = columns[family]
            rows = rows or [[] for _ in range(len(lengths))]
            for row, first, length in zip(rows, arrays.to_integers(bases), lengths.tolist(), strict=True):
                if length:
                    row.append(str(Cidr.from_parts(family, first, length)))
        return [tuple(row) for row in rows]

    def copy(self) -> Self:
        """Return an independent pool of the same state.

        Returns
        -------
        ClusterPool
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.mask_sizes = self.mask_sizes
        twin.sets = {family: [each.copy() for each in sets] for family, sets in self.sets.items()}
        return twin

    def _in_order(self) -> list[list[CidrSet]]:
        """Return the sets of each family, IPv4 first."""
        return [self.sets[family] for family in IPFamily if family in self.sets]


def _take(sets: Sequence[CidrSet], n: int, family: IPFamily) -> NDArray[Any]:
    """Take node CIDRs, the first set that is not full first."""
    parts = [arrays.empty(0, family)]
    for each in sets:
        granted = each.allocate_next(n - sum(len(part) for part in parts))
        parts.append(each.blocks(granted))
    return np.concatenate(parts)


def _spin(sets: Sequence[CidrSet], times: int) -> None:
    """Move the cursor as requests do that take here, fail in the other family, and give back."""
    first = next((each for each in sets if each.free), None)
    if first is not None and times:
        first.release(first.allocate_next((times - 1) % first.free + 1))
