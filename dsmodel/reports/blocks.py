"""How broken up the free space is: free addresses against free aligned blocks, per pool, family and prefix length.

A pool with ample free addresses may have no aligned block left: what hands out prefixes (node blocks, prefix
delegation, ranges for load balancers) then fails. Beside the count stands what random churn would leave at today's
load.

What it does not know: pools of network plugins other than host-local; use outside the cluster.

Source of the formula: a block of ``s`` addresses is free with probability ``(1 - load)**s`` when every address is as
likely to be in use as any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import (
    add,
    equal,
    from_integers,
    mask_prefix,
    search_sorted,
    sort,
    to_integers,
    to_offsets,
    unique,
)
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidInput
from dsmodel.planning.limits import CANNOT_RUN_OUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster
    from dsmodel.pools.ranges import AddressRange

__all__ = ["fragmentation"]

_COLUMNS = (
    "pool", "ip_family", "range", "prefix_length", "free", "largest_free_block", "free_blocks", "all_blocks",
    "expected_free_blocks", "expected_any_ratio", "why",
)  # fmt: skip
_STEPS = {IPFamily.IPV4: 4, IPFamily.IPV6: 16}  # between the lengths shown where none are asked for


@dataclass(frozen=True)
class _Space:
    """Ranges of one length and what is in use of them, in units: node blocks, or addresses."""

    pool: str
    text: str
    bases: NDArray[Any]  # rising
    prefix_length: int
    unit_length: int
    kept: NDArray[Any]  # never handed out
    taken: NDArray[Any]
    usable: int
    used: int
    free: int

    @property
    def family(self) -> IPFamily:
        """Family of the ranges."""
        return IPFamily.IPV4 if self.bases.dtype.names is None else IPFamily.IPV6


def fragmentation(cluster: Cluster, *, lengths: Iterable[int] | None = None) -> pd.DataFrame:
    """Tell how many aligned blocks are still free in each pool.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.
    lengths : iterable of int, optional
        Prefix lengths of the blocks, for instance 28 for prefix delegation; those that a pool cannot have are left out
        for it. Without them every fourth length in IPv4 and every sixteenth in IPv6, and that of node blocks.

    Returns
    -------
    pandas.DataFrame
        One row a pool, range and prefix length; node blocks, pod addresses (all nodes' blocks of one length together),
        service addresses. Columns:

        - ``pool``, ``ip_family``, ``range``, ``prefix_length``: what it is;
        - ``free`` (Int64): node blocks or addresses that can still be handed out, missing where they cannot run out;
        - ``largest_free_block``: the lowest of the largest aligned blocks without anything in use, "" if there is none;
        - ``free_blocks``, ``all_blocks`` (Int64): blocks of this length with nothing in use, and those that were free
          in an empty pool; missing from 2**48 on;
        - ``expected_free_blocks``, ``expected_any_ratio`` (0-1): how many would be free, and how likely at least one,
          were today's load spread at random, as after long churn;
        - ``why``: the arithmetic, each address taken to be in use independently of the others.

    Raises
    ------
    InvalidInput
        If a length is no prefix length.

    Examples
    --------
    >>> from dsmodel import examples
    >>> frame = fragmentation(examples.kubeadm_dual_stack(), lengths=[28])
    >>> frame[["pool", "ip_family", "free", "free_blocks", "all_blocks"]].head(2)
                    pool ip_family   free  free_blocks  all_blocks
    0      pod addresses      IPv4   1398           78          84
    1  service addresses      IPv4  65509         4092        4094
    """
    asked = None if lengths is None else sorted({int(length) for length in lengths})
    for length in asked or ():
        if not 0 <= length <= IPFamily.IPV6.bits:
            raise InvalidInput(f"lengths: /{length} is no prefix length; IPv4 has 0 to 32, IPv6 0 to 128")
    rows = [row for space in _spaces(cluster) for row in _rows(space, asked)]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    texts = ("pool", "ip_family", "range", "largest_free_block", "why")
    counts = ("free", "free_blocks", "all_blocks")
    kinds = {"prefix_length": "int64", "expected_free_blocks": "float64", "expected_any_ratio": "float64"}
    return frame.astype({**dict.fromkeys(texts, "str"), **dict.fromkeys(counts, "Int64"), **kinds})


def _spaces(cluster: Cluster) -> Iterator[_Space]:
    """Yield every pool that consists of addresses."""
    yield from _node_blocks(cluster)
    for family in dict.fromkeys((*cluster.config.ip_families, *IPFamily)):
        yield from _pod_addresses(cluster, family)
    for ranges in cluster.service_ranges.ranges.values():
        for pool in ranges:
            if pool.usable:
                yield _service_range(pool)


def _node_blocks(cluster: Cluster) -> Iterator[_Space]:
    """Yield the cluster CIDRs in node blocks."""
    sets = cluster.node_ipam.sets if cluster.node_ipam else ()
    for blocks, reserved in zip(sets, cluster.reserved_blocks, strict=True):
        cidr = blocks.cluster_cidr
        kept = [
            index for each in cluster.config.service_cidrs for index in _covered(each, cidr, blocks.block_prefix_length)
        ]
        yield _Space(
            "node blocks",
            f"{cidr} in /{blocks.block_prefix_length} blocks",
            from_integers([cidr.first], family=cidr.family),
            cidr.prefix_length,
            blocks.block_prefix_length,
            blocks.blocks(np.array(kept, np.uint64)),
            blocks.blocks(blocks.used_offsets()),
            blocks.usable - reserved,
            blocks.used - reserved,
            blocks.free,
        )


def _covered(cidr: Cidr, cluster_cidr: Cidr, length: int) -> range:
    """Return the numbers of the blocks of a cluster CIDR that another CIDR touches."""
    if not cidr.overlaps(cluster_cidr):
        return range(0)
    shift = cidr.family.bits - length
    first = max(cidr.first, cluster_cidr.first) - cluster_cidr.first
    last = min(cidr.last, cluster_cidr.last) - cluster_cidr.first
    return range(first >> shift, (last >> shift) + 1)


def _pod_addresses(cluster: Cluster, family: IPFamily) -> Iterator[_Space]:
    """Yield the nodes' blocks, those of one length together."""
    blocks, pods = cluster.pod_blocks[family], cluster.pods
    end = family.lower()
    usable, free = blocks.usable(), blocks.free()
    on_node = np.flatnonzero(pods[f"has_pod_{end}"] & pods["holds_address"] & (pods["node"] >= 0))
    column = pods[f"pod_{end}"][on_node]
    _, inside = blocks.ordinals(pods["node"][on_node], column)
    for length in np.unique(blocks.prefix_lengths[usable > 0]).tolist():
        nodes = blocks.prefix_lengths == length
        bases = sort(blocks.bases[nodes])
        mine = inside & nodes[pods["node"][on_node]]
        ends = [bases, add(bases, 1)]
        if family is IPFamily.IPV4:
            ends.append(add(bases, (1 << (32 - length)) - 1))
        taken = unique(column[mine])
        each = (1 << (family.bits - length)) - len(ends)
        yield _Space(
            "pod addresses",
            f"{len(bases):,} x /{length}",
            bases,
            length,
            family.bits,
            np.concatenate(ends),
            taken,
            each * len(bases),
            len(taken),
            sum(free[nodes].tolist()),
        )


def _service_range(pool: AddressRange) -> _Space:
    """Return one service range, or as much of it as can be handed out."""
    family, first = pool.cidr.family, pool.cidr.first
    length = max(pool.cidr.prefix_length, family.bits - pool.usable.bit_length())
    part = f", of which the first /{length} is handed out" if length > pool.cidr.prefix_length else ""
    last = [first + (1 << (family.bits - length)) - 1] if family is IPFamily.IPV4 else []
    return _Space(
        "service addresses",
        f"{pool.cidr}{part}",
        from_integers([first], family=family),
        length,
        family.bits,
        from_integers([first, *last], family=family),
        pool.addresses(pool.used_offsets()),
        pool.usable,
        pool.used,
        pool.free,
    )


def _rows(space: _Space, asked: list[int] | None) -> Iterator[tuple[Any, ...]]:
    """Write the rows of one space."""
    wanted = _usual_lengths(space) if asked is None else asked
    lengths = [length for length in wanted if space.prefix_length <= length <= space.unit_length]
    if not lengths:
        return
    touched, largest = _levels(space, np.concatenate((space.taken, space.kept)))
    kept, _ = _levels(space, space.kept)
    load = min(1.0, space.used / space.usable) if space.usable else 1.0
    for length in lengths:
        total = len(space.bases) << (length - space.prefix_length)
        free, most = total - touched[length], total - kept[length]
        units = 1 << (space.unit_length - length)
        chance = 0.0 if load >= 1 else math.exp(units * math.log1p(-load))
        any_free = 1.0 if chance == 1 and most else -math.expm1(most * math.log1p(-chance)) if chance < 1 else 0.0
        yield (
            space.pool, str(space.family), space.text, length, _bounded(space.free), largest, _bounded(free),
            _bounded(most), most * chance, any_free, _why(space, length, free=free, load=load),
        )  # fmt: skip


def _usual_lengths(space: _Space) -> list[int]:
    """Choose the lengths that are shown where none are asked for."""
    step = _STEPS[space.family]
    found = [length for length in range(0, space.family.bits, step) if space.prefix_length < length < space.unit_length]
    if space.pool == "node blocks":
        return [*found, space.unit_length]
    return found or [(space.prefix_length + space.unit_length) // 2]


def _why(space: _Space, length: int, *, free: int, load: float) -> str:
    """Say where the numbers come from."""
    unit = "node blocks" if space.pool == "node blocks" else "addresses"
    size = space.unit_length - length
    return (
        f"{space.used:,} of {_count(space.usable)} {unit} in use ({load:.1%}) leave {_count(free)} /{length} "
        f"without any; spread at random, each would be free with probability (1 - {load:.3g})^{_count(1 << size)}."
    )


def _count(number: int) -> str:
    """Write a count, very large ones as a power."""
    return f"{number:,}" if number < CANNOT_RUN_OUT else f"about 2^{round(math.log2(number))}"


def _bounded(number: int) -> int | None:
    """Return a count, or None where it is too large to be reached."""
    return None if number >= CANNOT_RUN_OUT else number


def _levels(space: _Space, column: NDArray[Any]) -> tuple[dict[int, int], str]:
    """Count the blocks of each length that a column touches, and name the largest that it does not."""
    counts: dict[int, int] = {}
    largest = ""
    touched = unique(column) if len(column) else column
    holes = None
    for length in range(space.unit_length, space.prefix_length - 1, -1):
        masked = mask_prefix(touched, length)
        fresh = np.ones(len(masked), np.bool_)
        fresh[1:] = ~equal(masked[1:], masked[:-1])
        touched = masked[fresh]
        counts[length] = len(touched)
        if counts[length] < len(space.bases) << (length - space.prefix_length):
            holes = length, touched
    if holes is not None:
        largest = str(_lowest_hole(space, *holes))
    return counts, largest


def _lowest_hole(space: _Space, length: int, touched: NDArray[Any]) -> Cidr:
    """Return the lowest block of a length that is not among those touched."""
    whole = 1 << (length - space.prefix_length)
    owners = search_sorted(space.bases, touched, side="right") - 1
    counts = np.bincount(owners, minlength=len(space.bases))
    place = int(np.flatnonzero(counts < min(whole, 1 << 62))[0])
    base = to_integers(space.bases[place : place + 1])[0]
    cidr = Cidr.from_parts(space.family, base, space.prefix_length)
    indices, _ = to_offsets(touched[owners == place], cidr, unit_bits=space.family.bits - length)
    gaps = np.flatnonzero(indices != np.arange(len(indices), dtype=np.uint64))
    return cidr.subnet(int(gaps[0]) if len(gaps) else len(indices), length)
