"""How broken up the free space is: free addresses against free aligned blocks, per pool, family and prefix length.

A pool with ample free addresses may have no aligned block left: what hands out prefixes (node blocks, prefix
delegation, ranges for load balancers) then fails. Beside the count stands what random churn would leave at today's
load. A network plugin's own pools are among them: blocks of Calico and Cilium, host subnets, a VPC's subnet.

What it does not know: use outside the cluster; pools of a plugin beside those of its nodes (`dsmodel.cluster.spaces`).

Source of the formula: a block of ``s`` addresses is free with probability ``(1 - load)**s`` when every address is as
likely to be in use as any other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import (
    add,
    addresses_in,
    empty,
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
from dsmodel.addresses.space import aggregate
from dsmodel.cluster.spaces import Space, plugin_spaces
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
_BLOCKS = ("node blocks", "plugin blocks")
_STEPS = {IPFamily.IPV4: 4, IPFamily.IPV6: 16}  # between the lengths shown where none are asked for


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
        One row a pool, range and prefix length; node blocks, a network plugin's own pools in the words of
        `utilization`, pod addresses (all nodes' blocks of one length together), service addresses. Columns:

        - ``pool``, ``ip_family``, ``range``, ``prefix_length``: what it is;
        - ``free`` (Int64): blocks or addresses that can still be handed out, missing where they cannot run out;
        - ``largest_free_block``: the lowest of the largest aligned blocks without anything in use, "" if there is none;
        - ``free_blocks``, ``all_blocks`` (Int64): blocks of this length with nothing in use, and those that were free
          in an empty pool; missing from 2**48 on;
        - ``expected_free_blocks``, ``expected_any_ratio`` (0-1): how many would be free, and how likely at least one,
          were today's load spread at random, as after long churn;
        - ``why``: plugin and pool, and the arithmetic, each address taken to be in use independently of the others.

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

    Calico borrows when blocks run out, and with strict affinity stops, however many addresses are free:

    >>> from dsmodel import Cluster, ClusterConfig
    >>> cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/24"]), network_plugin="calico")
    >>> _ = cluster.add_nodes(4), cluster.add_pods([0, 1, 2, 3])
    >>> fragmentation(cluster, lengths=[26, 28])[["pool", "prefix_length", "free", "free_blocks"]]
                pool  prefix_length  free  free_blocks
    0  plugin blocks             26     0            0
    1  pod addresses             26   252            0
    2  pod addresses             28   252           12
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


def _spaces(cluster: Cluster) -> Iterator[Space]:
    """Yield every pool that consists of addresses."""
    yield from _node_blocks(cluster)
    if cluster.network_plugin is not None:
        yield from plugin_spaces(cluster.network_plugin)
    else:
        for family in dict.fromkeys((*cluster.config.ip_families, *IPFamily)):
            yield from _pod_addresses(cluster, family)
    for ranges in cluster.service_ranges.ranges.values():
        for pool in ranges:
            if pool.usable:
                yield _service_range(pool)


def _node_blocks(cluster: Cluster) -> Iterator[Space]:
    """Yield the cluster CIDRs in node blocks."""
    sets = cluster.node_ipam.sets if cluster.node_ipam else ()
    for blocks, reserved in zip(sets, cluster.reserved_blocks, strict=True):
        cidr, length = blocks.cluster_cidr, blocks.block_prefix_length
        yield Space(
            "node blocks",
            f"{cidr} in /{length} blocks",
            from_integers([cidr.first], family=cidr.family),
            cidr.prefix_length,
            length,
            blocks.blocks(blocks.used_offsets()),
            empty(0, cidr.family),
            blocks.usable - reserved,
            blocks.used - reserved,
            blocks.free,
            closed=_closed(cluster.config.service_cidrs, cidr, length),
        )


def _closed(cidrs: Iterable[Cidr], within: Cidr, length: int) -> tuple[Cidr, ...]:
    """Return what blocks of a length, in a range, other CIDRs touch."""
    touching = [each if each in within else within for each in cidrs if each.overlaps(within)]
    return tuple(aggregate([each.supernet(min(each.prefix_length, length)) for each in touching]))


def _pod_addresses(cluster: Cluster, family: IPFamily) -> Iterator[Space]:
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
        yield Space(
            "pod addresses",
            f"{len(bases):,} x /{length}",
            bases,
            length,
            family.bits,
            taken,
            np.concatenate(ends),
            each * len(bases),
            len(taken),
            sum(free[nodes].tolist()),
        )


def _service_range(pool: AddressRange) -> Space:
    """Return one service range, or as much of it as can be handed out."""
    family, first = pool.cidr.family, pool.cidr.first
    length = max(pool.cidr.prefix_length, family.bits - pool.usable.bit_length())
    part = f", of which the first /{length} is handed out" if length > pool.cidr.prefix_length else ""
    last = [first + (1 << (family.bits - length)) - 1] if family is IPFamily.IPV4 else []
    return Space(
        "service addresses",
        f"{pool.cidr}{part}",
        from_integers([first], family=family),
        length,
        family.bits,
        pool.addresses(pool.used_offsets()),
        from_integers([first, *last], family=family),
        pool.usable,
        pool.used,
        pool.free,
    )


def _rows(space: Space, asked: list[int] | None) -> Iterator[tuple[Any, ...]]:
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
            space.kind, str(space.family), space.text, length, _bounded(space.free), largest, _bounded(free),
            _bounded(most), most * chance, any_free, _why(space, length, free=free, load=load),
        )  # fmt: skip


def _usual_lengths(space: Space) -> list[int]:
    """Choose the lengths that are shown where none are asked for."""
    step = _STEPS[space.family]
    found = [length for length in range(0, space.family.bits, step) if space.prefix_length < length < space.unit_length]
    if space.kind in _BLOCKS:
        return [*found, space.unit_length]
    return found or [(space.prefix_length + space.unit_length) // 2]


def _why(space: Space, length: int, *, free: int, load: float) -> str:
    """Say where the numbers come from."""
    unit = space.kind if space.kind in _BLOCKS else "addresses"
    name = f"{space.name}: " if space.name else ""
    size = space.unit_length - length
    return (
        f"{name}{space.used:,} of {_count(space.usable)} {unit} in use ({load:.1%}) leave {_count(free)} /{length} "
        f"without any; spread at random, each would be free with probability (1 - {load:.3g})^{_count(1 << size)}."
    )


def _count(number: int) -> str:
    """Write a count, very large ones as a power."""
    return f"{number:,}" if number < CANNOT_RUN_OUT else f"about 2^{round(math.log2(number))}"


def _bounded(number: int) -> int | None:
    """Return a count, or None where it is too large to be reached."""
    return None if number >= CANNOT_RUN_OUT else number


def _levels(space: Space, column: NDArray[Any]) -> tuple[dict[int, int], str]:
    """Count the blocks of each length that a column or a closed part touches, and name the largest that none does."""
    counts: dict[int, int] = {}
    touched = unique(column) if len(column) else column
    if space.closed:
        touched = touched[~addresses_in(touched, list(space.closed))]
    holes = None
    for length in range(space.unit_length, space.prefix_length - 1, -1):
        touched = mask_prefix(touched, length)
        # a closed part is many blocks that are longer than it, and from its own length on part of one
        joining = [part.first for part in space.closed if part.prefix_length == length]
        if joining:
            touched = sort(np.concatenate((touched, from_integers(joining, family=space.family))))
        fresh = np.ones(len(touched), np.bool_)
        fresh[1:] = ~equal(touched[1:], touched[:-1])
        touched = touched[fresh]
        wide = [part for part in space.closed if part.prefix_length < length]
        counts[length] = len(touched) + sum(1 << (length - part.prefix_length) for part in wide)
        if counts[length] < len(space.bases) << (length - space.prefix_length):
            holes = length, touched, wide
    return counts, str(_lowest_hole(space, *holes)) if holes is not None else ""


def _lowest_hole(space: Space, length: int, touched: NDArray[Any], wide: list[Cidr]) -> Cidr:
    """Return the lowest block of a length that is neither among those touched nor in a wide part."""
    whole = 1 << (length - space.prefix_length)
    firsts = from_integers([part.first for part in wide], family=space.family)
    widths = [1 << (length - part.prefix_length) for part in wide]
    counts = np.bincount(search_sorted(space.bases, touched, side="right") - 1, minlength=len(space.bases)).tolist()
    homes = (search_sorted(space.bases, firsts, side="right") - 1).tolist()
    for home, width in zip(homes, widths, strict=True):
        counts[home] += width
    place = next(place for place, count in enumerate(counts) if count < whole)
    base = to_integers(space.bases[place : place + 1])[0]
    cidr = Cidr.from_parts(space.family, base, space.prefix_length)
    inside = touched[addresses_in(touched, cidr)]
    indices, _ = to_offsets(inside, cidr, unit_bits=space.family.bits - length)
    if any(home == place for home in homes):
        return cidr.subnet(_first_gap(indices.tolist(), cidr, length, wide), length)
    gaps = np.flatnonzero(indices != np.arange(len(indices), dtype=np.uint64))
    return cidr.subnet(int(gaps[0]) if len(gaps) else len(indices), length)


def _first_gap(indices: list[int], cidr: Cidr, length: int, wide: list[Cidr]) -> int:
    """Return the lowest number that neither a block nor a wide part has."""
    bits = cidr.family.bits - length
    spans = [(index, index + 1) for index in indices]
    for part in wide:
        if part in cidr:
            start = (part.first - cidr.first) >> bits
            spans.append((start, start + (part.size >> bits)))
    reached = 0
    for start, stop in sorted(spans):
        if start > reached:
            break
        reached = stop
    return reached
