"""Where pools of a network plugin lie: what of them is taken, by which node, and what is never handed out.

Promises the plugin's own state, in equal units: ranges and blocks that nodes have, addresses that pods have. A block
that is marked and that no node has is there too; so are blocks a plugin skips and reservations.

What it does not know: pools of Kubernetes and of host-local, whose state is in the cluster, and Flannel's etcd leases
of other clusters. Of AWS and Azure it has the subnet, not what others keep in it.

Sources: those of the plugins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import (
    add,
    addresses_in,
    argsort,
    empty,
    equal,
    from_integers,
    mask_prefix,
    search_sorted,
    sort,
    unique,
)
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.space import aggregate, blocks_between, gaps
from dsmodel.cni.antrea import AntreaIPPool
from dsmodel.cni.aws import AwsVpcCni
from dsmodel.cni.aws.plugin import RESERVED_FIRST, RESERVED_LAST
from dsmodel.cni.azure import AzureSubnet
from dsmodel.cni.calico import Calico
from dsmodel.cni.calico.blocks import COOLING, RESERVED, UNKNOWN
from dsmodel.cni.cilium import Cilium, MultiPool
from dsmodel.cni.flannel import FlannelLeases
from dsmodel.cni.gke import GKE
from dsmodel.cni.ovn import OVNKubernetes
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.cni.whereabouts import Whereabouts, WhereaboutsSlices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dsmodel.cni.calico.blocks import BlockTable
    from dsmodel.cni.contract import NetworkPlugin, PoolUsage
    from dsmodel.cni.node_ranges import NodeRanges
    from dsmodel.cni.spans import LowestFree
    from dsmodel.pools.blocks import CidrSet

__all__ = ["KEPT", "NOBODY", "HeldBlocks", "Space", "cut_spaces", "held_blocks", "plugin_spaces"]

NOBODY, KEPT = -1, -2
"""Holders that are no node: marked, and no node has it; skipped by the plugin."""


@dataclass(frozen=True, eq=False)
class Space:
    """Ranges of one length and what is in use of them, in units: blocks of one length, or addresses.

    Parameters
    ----------
    kind : str
        "node blocks", "plugin blocks", "subnet addresses", "pod addresses" or "service addresses".
    text : str
        The ranges in words.
    bases : address column
        First address of each range, rising.
    prefix_length, unit_length : int
        Of each range, and of a unit: the family's length for addresses.
    taken : address column
        First address of each unit in use, in any order.
    kept : address column
        First address of each unit that is never handed out.
    usable, used, free : int
        Units; exact, also beyond 64 bits. What rests after a release is neither used nor free.
    closed : tuple of Cidr
        Parts that are never handed out, apart from each other; units in them do not matter.
    name : str
        Plugin and pool, empty for Kubernetes and host-local.
    holders : ndarray of int64, or None
        Node of each unit of ``taken``, `NOBODY`, or `KEPT`; None where units are addresses.
    """

    kind: str
    text: str
    bases: NDArray[Any]
    prefix_length: int
    unit_length: int
    taken: NDArray[Any]
    kept: NDArray[Any]
    usable: int
    used: int
    free: int
    closed: tuple[Cidr, ...] = ()
    name: str = ""
    holders: NDArray[np.int64] | None = None

    @property
    def family(self) -> IPFamily:
        """Family of the ranges."""
        return IPFamily.IPV4 if self.bases.dtype.names is None else IPFamily.IPV6


@dataclass(frozen=True, eq=False)
class HeldBlocks:
    """Ranges that nodes have from their plugin, in no order.

    Parameters
    ----------
    bases : address column, shape (n,)
        First addresses.
    prefix_lengths : ndarray of uint8, shape (n,)
        Of the family's full length for a single address.
    nodes : ndarray of int64, shape (n,)
        Whose each is; `NOBODY` for one whose node is gone or that never had one.
    """

    bases: NDArray[Any]
    prefix_lengths: NDArray[np.uint8]
    nodes: NDArray[np.int64]


def held_blocks(plugin: NetworkPlugin, family: IPFamily) -> HeldBlocks:
    """Return the ranges, blocks and interface addresses that nodes have.

    Parameters
    ----------
    plugin : NetworkPlugin
        Any plugin.
    family : IPFamily
        Of the ranges.

    Returns
    -------
    HeldBlocks
        Empty where nodes have nothing of their own.

    Raises
    ------
    None
        Every plugin has an answer.

    Examples
    --------
    >>> from dsmodel.cni.calico import IPPool
    >>> calico = Calico([IPPool("v4", Cidr("10.0.0.0/24"), 26)])
    >>> _ = calico.add_nodes(["a"]), calico.place([0] * 65)
    >>> held_blocks(calico, IPFamily.IPV4).prefix_lengths
    array([26, 26], dtype=uint8)
    """
    if isinstance(plugin, Calico) and family in plugin.tables:
        table = plugin.tables[family]
        rows = _alive(table)
        lengths = np.array([pool.block_size for pool in table.pools], np.uint8)
        return HeldBlocks(table.bases[rows], lengths[table.pool[rows]], table.owner[rows].astype(np.int64))
    if isinstance(plugin, MultiPool) and family in plugin.ranges:
        ranges = plugin.ranges[family]
        return HeldBlocks(ranges.bases, ranges.prefix_lengths, plugin.owners[family])
    if isinstance(plugin, AwsVpcCni) and family is IPFamily.IPV4:
        return HeldBlocks(*plugin.holdings())
    if isinstance(plugin, AzureSubnet):
        return HeldBlocks(*plugin.holdings(family))
    if family not in plugin.node_ranges:
        return HeldBlocks(empty(0, family), np.zeros(0, np.uint8), np.zeros(0, np.int64))
    bases, lengths = plugin.node_ranges[family]
    has = np.flatnonzero(lengths)
    return HeldBlocks(bases[has], lengths[has].astype(np.uint8), has.astype(np.int64))


def plugin_spaces(plugin: NetworkPlugin) -> Iterator[Space]:
    """Yield every pool of a plugin.

    Parameters
    ----------
    plugin : NetworkPlugin
        Any plugin.

    Yields
    ------
    Space
        Ranges and blocks that nodes get, then a subnet they fetch addresses from, then pods' addresses; those of
        nodes' ranges of one length together.

    Raises
    ------
    None
        Every plugin has an answer.

    Examples
    --------
    >>> from dsmodel.cni.calico import IPPool
    >>> calico = Calico([IPPool("v4", Cidr("10.0.0.0/24"), 26)])
    >>> _ = calico.add_nodes(["a"]), calico.place([0] * 65)
    >>> [(space.kind, space.text, space.used, space.free) for space in plugin_spaces(calico)]
    [('plugin blocks', '10.0.0.0/24 in /26 blocks', 2, 2), ('pod addresses', '10.0.0.0/24 in /26 blocks', 65, 191)]
    """
    name = plugin.provenance.plugin
    yield from cut_spaces(plugin)
    if isinstance(plugin, Calico):
        yield from (_calico_addresses(*pool) for pool in _pools(plugin, "addresses"))
    if isinstance(plugin, AwsVpcCni):
        yield _subnet(name, plugin.subnet, plugin.pool.addresses(plugin.pool.used_offsets()), plugin.pool.usable)
    if isinstance(plugin, AzureSubnet):
        yield from (_subnet(name, cidr, *plugin.taken(cidr.family)) for cidr in plugin.cidrs)
    if isinstance(plugin, RangePlugin | MultiPool):
        for ranges in plugin.ranges.values():
            yield from _range_addresses(f"{name}: node ranges", ranges)
    if isinstance(plugin, AntreaIPPool):
        yield from _shared(f"{name}: {plugin.name}", plugin.cidrs, plugin.pool)
    if isinstance(plugin, Whereabouts):
        for each in plugin.ranges:
            yield from _shared(f"{name}: range", [each.cidr], plugin.pools[each.cidr.family])


def cut_spaces(plugin: NetworkPlugin) -> Iterator[Space]:
    """Yield the pools of a plugin that are cut into ranges or blocks for nodes.

    Parameters
    ----------
    plugin : NetworkPlugin
        Any plugin.

    Yields
    ------
    Space
        With ``holders``.

    Raises
    ------
    None
        Every plugin has an answer.

    Examples
    --------
    >>> ovn = OVNKubernetes("10.128.0.0/24/26")
    >>> _ = ovn.add_nodes(2)
    >>> [(space.text, space.holders) for space in cut_spaces(ovn)]
    [('10.128.0.0/24 in /26 blocks', array([0, 1]))]
    """
    if isinstance(plugin, Calico):
        yield from (_calico_blocks(*pool) for pool in _pools(plugin, "blocks"))
    for pool, cidr, length, marked in _cuts(plugin):
        kind = "plugin blocks" if isinstance(plugin, MultiPool) else "node blocks"
        yield _cut(plugin, (kind, f"{plugin.provenance.plugin}: {pool}"), (cidr, length), marked)


# blocks ------------------------------------------------------------------------------------------------------------


def _cuts(plugin: NetworkPlugin) -> Iterator[tuple[str, Cidr, int, NDArray[Any]]]:
    """Yield ranges that are cut for nodes: pool, range, length of a block, first addresses of marked blocks."""
    if isinstance(plugin, OVNKubernetes):
        for entry in (entry for entries in plugin.entries.values() for entry in entries):
            reach = entry.cidr.subnet(0, entry.host_length - entry.bits)  # of a wider entry the first 2^24 subnets
            yield "host subnets", reach, entry.host_length, entry.bases(entry.pool.used_offsets())
        return
    sets: list[tuple[str, CidrSet]] = []
    if isinstance(plugin, Cilium | MultiPool) and plugin.operator is not None:
        sets = [("node CIDRs", each) for family in IPFamily for each in plugin.operator.sets.get(family, ())]
    elif isinstance(plugin, GKE):
        sets = [(plugin.word(each.cluster_cidr.family), each) for each in plugin.cuts()]
    elif isinstance(plugin, FlannelLeases):
        sets = [("leases", each) for each in plugin.sets.values()]
    elif isinstance(plugin, WhereaboutsSlices):
        sets = [("slices", plugin.slices)]
    for pool, each in sets:
        yield pool, each.cluster_cidr, each.block_prefix_length, each.blocks(each.used_offsets())


def _cut(plugin: NetworkPlugin, names: tuple[str, str], shape: tuple[Cidr, int], marked: NDArray[Any]) -> Space:
    """Tell of a range that is cut for nodes which of its blocks are whose."""
    cidr, length = shape
    holders = _holders(marked, length, held_blocks(plugin, cidr.family))
    if isinstance(plugin, OVNKubernetes | FlannelLeases):  # they mark at their start what they skip
        line = next(line for line in plugin.usage() if line.cidrs and line.cidrs[0].first == cidr.first)
        holders[holders == NOBODY] = KEPT if line.reserved else NOBODY
    kept = marked[holders == KEPT]
    usable = (1 << (length - cidr.prefix_length)) - len(kept)
    used = len(marked) - len(kept)
    return Space(
        names[0],
        f"{cidr} in /{length} blocks",
        from_integers([cidr.first], family=cidr.family),
        cidr.prefix_length,
        length,
        marked,
        kept,
        usable,
        used,
        usable - used,
        name=names[1],
        holders=holders,
    )


def _holders(marked: NDArray[Any], length: int, held: HeldBlocks) -> NDArray[np.int64]:
    """Find the node of each marked block: its range is the block, lies in it, or holds it."""
    nodes = np.full(len(marked), NOBODY, np.int64)
    if not len(held.bases):
        return nodes
    order = argsort(held.bases)
    bases, lengths = held.bases[order], held.prefix_lengths[order]
    place = search_sorted(bases, marked)
    after = np.minimum(place, len(bases) - 1)
    before = np.maximum(place - 1, 0)
    inner = equal(mask_prefix(bases[after], length), marked)
    outer = equal(mask_prefix(marked, lengths[before]), bases[before])
    nodes[outer] = held.nodes[order][before[outer]]
    nodes[inner] = held.nodes[order][after[inner]]
    return nodes


def _pools(plugin: Calico, unit: str) -> Iterator[tuple[PoolUsage, BlockTable, int]]:
    """Yield the IPPools, each with its count of addresses or blocks, its table and its number there."""
    lines = (line for line in plugin.usage() if line.unit == unit)  # in the same order
    places = ((table, number) for table in plugin.tables.values() for number in range(len(table.pools)))
    yield from ((line, *place) for line, place in zip(lines, places, strict=True))


def _alive(table: BlockTable) -> NDArray[np.intp]:
    """Return the rows of blocks that exist."""
    return np.sort(np.fromiter(table.at.values(), np.intp, len(table.at)))


def _is_closed(table: BlockTable, number: int) -> bool:
    """Tell whether a pool serves no pods."""
    pool = table.pools[number]
    return not pool.enabled or "Workload" not in pool.allowed_uses


def _reservations(table: BlockTable, number: int) -> list[Cidr]:
    """Return what is never handed out of a pool: reservations; all of it where it serves no pods."""
    cidr = table.pools[number].cidr
    if _is_closed(table, number):
        return [cidr]
    found = [each for each in aggregate(list(table.reservations)) if each.overlaps(cidr)]
    return [each if each in cidr else cidr for each in found]


def _calico_blocks(line: PoolUsage, table: BlockTable, number: int) -> Space:
    """Tell of one IPPool which blocks are whose."""
    pool = table.pools[number]
    cidr, length = pool.cidr, pool.block_size
    rows = _alive(table)
    rows = rows[table.pool[rows] == number]
    closed = [each for each in _reservations(table, number) if each.prefix_length <= length]
    return Space(
        "plugin blocks",
        line.range,
        from_integers([cidr.first], family=cidr.family),
        cidr.prefix_length,
        length,
        table.bases[rows],
        empty(0, table.family),
        line.usable,
        line.used,
        line.free,
        closed=tuple(closed),
        name=f"calico: {pool.name}",
        holders=table.owner[rows].astype(np.int64),
    )


# addresses ---------------------------------------------------------------------------------------------------------


def _calico_addresses(line: PoolUsage, table: BlockTable, number: int) -> Space:
    """Tell of one IPPool which addresses are in use or rest."""
    pool = table.pools[number]
    rows = _alive(table)
    rows = rows[table.pool[rows] == number]
    holder = table.holder[rows]
    where, ordinals = np.nonzero((holder >= 0) | (holder == COOLING) | (holder == UNKNOWN))
    kept_where, kept_ordinals = np.nonzero(holder == RESERVED)
    return Space(
        "pod addresses",
        line.range,
        from_integers([pool.cidr.first], family=table.family),
        pool.cidr.prefix_length,
        table.family.bits,
        table.addresses(rows[where], ordinals),
        table.addresses(rows[kept_where], kept_ordinals),
        line.usable,
        line.used,
        max(0, line.free),
        closed=tuple(_reservations(table, number)),
        name=f"calico: {pool.name}",
    )


def _subnet(name: str, subnet: Cidr, taken: NDArray[Any], usable: int) -> Space:
    """Tell of a cloud's subnet which addresses nodes hold, warm ones and those of interfaces included."""
    kept = [subnet.first + offset for offset in range(RESERVED_FIRST)]
    kept += [subnet.last - offset for offset in range(RESERVED_LAST)]
    return Space(
        "subnet addresses",
        str(subnet),
        from_integers([subnet.first], family=subnet.family),
        subnet.prefix_length,
        subnet.family.bits,
        taken,
        from_integers(kept, family=subnet.family),
        usable,
        len(taken),
        usable - len(taken),
        name=f"{name}: subnet",
    )


def _range_addresses(name: str, ranges: NodeRanges) -> Iterator[Space]:
    """Tell of nodes' ranges, those of one length together, which addresses are in use."""
    family, free = ranges.family, ranges.free()
    for length in np.unique(ranges.prefix_lengths[ranges.prefix_lengths > 0]).tolist():
        bits, ordinals = ranges.rule.withheld(family.bits - length, prefix_length=length)
        each = ranges.rule.usable(family.bits - length, prefix_length=length)
        if not each:
            continue
        nodes = ranges.prefix_lengths == length
        bases = sort(ranges.bases[nodes])
        taken = ranges.used_addresses(length)
        part = f", of which the first /{family.bits - bits} is handed out" if bits < family.bits - length else ""
        yield Space(
            "pod addresses",
            f"{len(bases):,} x /{length}{part}",
            bases,
            family.bits - bits,
            family.bits,
            taken,
            np.concatenate([empty(0, family), *(add(bases, ordinal) for ordinal in ordinals)]),
            each * len(bases),
            len(taken),
            sum(free[nodes].tolist()),
            name=name,
        )


def _shared(name: str, cidrs: Sequence[Cidr], pool: LowestFree) -> Iterator[Space]:
    """Tell of spans that all nodes share which addresses are in use."""
    spans = [block for first, last in pool.spans for block in blocks_between(pool.family, first, last)]
    used = pool.used_addresses()
    for cidr in aggregate(list(cidrs)):
        closed = gaps(cidr, spans)
        taken = unique(used[addresses_in(used, cidr)])
        usable = cidr.size - sum(each.size for each in closed)
        yield Space(
            "pod addresses",
            str(cidr),
            from_integers([cidr.first], family=cidr.family),
            cidr.prefix_length,
            cidr.family.bits,
            taken,
            empty(0, cidr.family),
            usable,
            len(taken),
            usable - len(taken),
            closed=tuple(closed),
            name=name,
        )
