"""What lies where in a range: equal cells, each with its kind, its owner and how much of it is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import equal, from_integers, from_offsets, mask_prefix, to_offsets
from dsmodel.addresses.cidr import Cidr
from dsmodel.addresses.order import argsort
from dsmodel.addresses.text import format_addresses
from dsmodel.cluster.spaces import KEPT, NOBODY, cut_spaces, held_blocks
from dsmodel.cni.calico import Calico
from dsmodel.cni.contract import PodCidrRole
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from dsmodel.cluster.spaces import Space
    from dsmodel.cluster.state import Cluster
    from dsmodel.cni.contract import NetworkPlugin

__all__ = ["KINDS", "address_map"]

KINDS = ("outside", "free", "reserved", "leaked", "node block", "dynamic band", "static band", "named")
"""What a cell can be: no range of the cluster; a block or an address to give, by node IPAM or the network plugin; one
that is never given; one marked for no node; a block, or an address of a subnet, that a node has; a service range above
and below its band offset; a range of `named`. A plugin's own ranges lie above node IPAM's, Services above both."""

_MOST_CELLS = 1 << 18
_Spans: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.int64]]"  # first and last cell of each


def address_map(
    cluster: Cluster,
    within: str | Cidr | None = None,
    *,
    cells: int = 4096,
    named: Mapping[str, str | Cidr] | None = None,
) -> pd.DataFrame:
    """Tell what lies where in a range, cell by cell.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.
    within : str or Cidr, optional
        The range to look at, of a cluster or around it; the first cluster CIDR, or else service range, if left out.
    cells : int, default 4096
        About how many; the range is cut into the next power of 4 at or below, 2^18 at most, so that a Hilbert curve
        through them fills a square.
    named : mapping of str to CIDR, optional
        Ranges of others, by name: peers, subnets, what is kept free.

    Returns
    -------
    pandas.DataFrame
        ``block`` (CIDR of the cell), ``ip_family``, ``kind`` (a word of `KINDS`), ``owner`` (node, range or name; of
        several the one with the lowest address), ``used`` (addresses in use, int64), ``used_ratio`` (0-1 of the cell's
        addresses), ``why``; by address. ``attrs["range"]`` is the range as text.

    Raises
    ------
    InvalidInput
        Less than one cell, or no range is given and the cluster has none.
    InvalidCidr
        ``within`` or a named range is no CIDR.

    Examples
    --------
    >>> from dsmodel import Cluster, ClusterConfig
    >>> cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/22"]))
    >>> _ = cluster.add_nodes(2), cluster.add_pods([0, 0, 1])
    >>> address_map(cluster, cells=4)[["block", "kind", "owner", "used"]]
               block        kind   owner  used
    0  10.244.0.0/24  node block  node-0     2
    1  10.244.1.0/24  node block  node-1     1
    2  10.244.2.0/24        free  10.244.0.0/22     0
    3  10.244.3.0/24        free  10.244.0.0/22     0
    """
    shown = _range_of(cluster, within)
    if cells < 1:
        raise InvalidInput(f"cells={cells}: a map has one cell or more")
    order = min((min(cells, _MOST_CELLS).bit_length() - 1) // 2, shown.host_bits_count // 2)
    cell_bits, n = shown.host_bits_count - 2 * order, 1 << 2 * order
    kind, owner = np.zeros(n, np.int8), np.full(n, -1, np.int64)
    owners: list[str] = [""]
    for word, names, spans in _layers(cluster, shown, dict(named or {}), cell_bits):
        _paint(kind, owner, (KINDS.index(word), len(owners)), spans)
        owners += names
    used = _used(cluster, shown, cell_bits, n)
    blocks = from_offsets(shown, np.arange(n, dtype=np.uint64), unit_bits=cell_bits)
    mask = shown.prefix_length + 2 * order
    frame = pd.DataFrame(
        {
            "block": pd.Series(format_addresses(blocks).to_pylist(), dtype="str") + f"/{mask}",
            "ip_family": str(shown.family),
            "kind": pd.Categorical.from_codes(kind, categories=pd.Index(KINDS)),
            "owner": np.array(owners, dtype=object)[np.maximum(owner, 0)],
            "used": used,
            "used_ratio": used / float(1 << cell_bits),
        }
    )
    frame["why"] = frame["kind"].map(_why(cluster, shown)).astype("str")
    frame.attrs["range"] = str(shown)
    return frame


def _range_of(cluster: Cluster, within: str | Cidr | None) -> Cidr:
    """Read the range, or take the one a planner looks at first."""
    if within is not None:
        return within if isinstance(within, Cidr) else Cidr(within)
    known = (*cluster.config.cluster_cidrs, *cluster.config.service_cidrs)
    if not known:
        raise InvalidInput("within: the cluster has no range; name one, for instance '10.0.0.0/8'")
    return known[0]


def _why(cluster: Cluster, shown: Cidr) -> dict[str, str]:
    """Say where each kind comes from."""
    masks = {
        str(cidr): cluster.config.node_cidr_mask_sizes.get(cidr.family, 0) for cidr in cluster.config.cluster_cidrs
    }
    ranges = ", ".join(f"{cidr} in /{mask}" for cidr, mask in masks.items() if Cidr(cidr).family is shown.family)
    words = {
        "outside": "no range of this cluster",
        "free": f"--cluster-cidr {ranges}: a block for a node to come",
        "reserved": "a service range covers it, so node IPAM never gives it",
        "leaked": "marked for no node until kube-controller-manager restarts",
        "node block": "podCIDR of a node",
    }
    plugin = cluster.network_plugin
    if plugin is not None and plugin.pod_cidr_role is not PodCidrRole.USED:
        name = plugin.provenance.plugin
        own = ", ".join(str(cidr) for cidr in plugin.cidrs if cidr.family is shown.family)
        words |= {
            "free": f"{name} {own}: on no node yet" if own else words["free"],
            "reserved": f"{name} never hands it out, or a service range covers it",
            "leaked": f"marked for no node: its node is gone from the cluster, not from {name} or node IPAM",
            "node block": f"what a node has from {name}; outside its ranges, podCIDR of a node",
        }
    return {
        **words,
        "dynamic band": "cluster IPs handed out first (KEP-3070)",
        "static band": "cluster IPs handed out last (KEP-3070)",
        "named": "a range that was named",
    }


def _layers(
    cluster: Cluster, shown: Cidr, named: Mapping[str, str | Cidr], cell_bits: int
) -> Iterator[tuple[str, list[str], _Spans]]:
    """Yield what to paint, the first at the bottom: kind, one name a span, first and last cell of each."""
    ranges = [cidr for cidr in cluster.config.cluster_cidrs if cidr.overlaps(shown)]
    yield "free", list(map(str, ranges)), _spans([(cidr.first, cidr.last) for cidr in ranges], shown, cell_bits)
    for blocks in cluster.node_ipam.sets if cluster.node_ipam else ():
        if blocks.cluster_cidr in ranges:
            lost = _lost(cluster, blocks, shown)
            yield "leaked", [""] * len(lost), _spans(lost, shown, cell_bits)
    yield _node_blocks(cluster, shown, cell_bits)
    plugin = cluster.network_plugin
    own = [cidr for cidr in plugin.cidrs if cidr.overlaps(shown)] if plugin is not None else []
    if plugin is not None:
        yield "free", list(map(str, own)), _spans([(cidr.first, cidr.last) for cidr in own], shown, cell_bits)
        yield from _plugin_blocks(plugin, cluster.nodes["name"], shown, cell_bits)
    for pool in cluster.service_ranges.ranges.get(shown.family, ()):
        whole, border = (pool.cidr.first, pool.cidr.last), pool.cidr.first + pool.band_offset
        if not pool.cidr.overlaps(shown):
            continue
        kept = any(pool.cidr in cidr for cidr in ranges) and not any(pool.cidr.overlaps(cidr) for cidr in own)
        word = "reserved" if kept else "dynamic band"  # no plugin leaves service ranges out
        yield word, [str(pool.cidr)], _spans([whole], shown, cell_bits)
        if word != "reserved" and pool.band_offset and border >= shown.first:
            yield "static band", [str(pool.cidr)], _spans([(pool.cidr.first, border)], shown, cell_bits)
    others = {name: cidr if isinstance(cidr, Cidr) else Cidr(cidr) for name, cidr in named.items()}
    others = {name: cidr for name, cidr in others.items() if cidr.overlaps(shown)}
    yield "named", list(others), _spans([(cidr.first, cidr.last) for cidr in others.values()], shown, cell_bits)


def _spans(ends: list[tuple[int, int]], shown: Cidr, cell_bits: int) -> _Spans:
    """Turn first and last addresses into first and last cells, cut at the range's own ends."""
    cells = [
        ((max(first, shown.first) - shown.first) >> cell_bits, (min(last, shown.last) - shown.first) >> cell_bits)
        for first, last in ends
    ]
    columns = np.array(cells, dtype=np.int64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def _node_blocks(cluster: Cluster, shown: Cidr, cell_bits: int) -> tuple[str, list[str], _Spans]:
    """Find the cells of the nodes' podCIDRs."""
    nodes, end = cluster.nodes, str(shown.family).lower()
    present = np.flatnonzero(nodes[f"has_pod_cidr_{end}"])
    blocks = nodes[f"pod_cidr_{end}"][present], nodes[f"pod_cidr_{end}_mask"][present]
    rows, spans = _cells(*blocks, shown, cell_bits)
    return "node block", nodes["name"][present[rows]].astype(object).tolist(), spans


def _plugin_blocks(
    plugin: NetworkPlugin, names: NDArray[Any], shown: Cidr, cell_bits: int
) -> Iterator[tuple[str, list[str], _Spans]]:
    """Yield what a network plugin never gives, what of it is marked for no node, and what nodes have."""
    for space in cut_spaces(plugin):
        if space.family is not shown.family:
            continue
        closed = [(part.first, part.last) for part in space.closed if part.overlaps(shown)]
        yield "reserved", [space.name] * len(closed), _spans(closed, shown, cell_bits)
        yield "reserved", *_held_by(space, KEPT, shown, cell_bits)
        if not isinstance(plugin, Calico):  # whose blocks may do without a node
            yield "leaked", *_held_by(space, NOBODY, shown, cell_bits)
    held = held_blocks(plugin, shown.family)
    rows, spans = _cells(held.bases, held.prefix_lengths, shown, cell_bits)
    yield "node block", np.append(names.astype(object), "")[held.nodes[rows]].tolist(), spans


def _held_by(space: Space, holder: int, shown: Cidr, cell_bits: int) -> tuple[list[str], _Spans]:
    """Find the cells of a pool's blocks that no node has."""
    assert space.holders is not None  # noqa: S101 - a pool that is cut has them; tells the type checker
    bases = space.taken[space.holders == holder]
    rows, spans = _cells(bases, np.full(len(bases), space.unit_length, np.uint8), shown, cell_bits)
    return [space.name] * len(rows), spans


def _cells(
    bases: NDArray[Any], masks: NDArray[np.uint8], shown: Cidr, cell_bits: int
) -> tuple[NDArray[np.intp], _Spans]:
    """Find blocks that share addresses with the range, by address, and their cells; one around it fills it."""
    first, inside = to_offsets(bases, shown, unit_bits=cell_bits)
    wider = masks < shown.prefix_length
    base = np.repeat(from_integers([shown.first], family=shown.family), len(bases))
    rows = np.flatnonzero(np.where(wider, equal(mask_prefix(base, masks), bases), inside))
    rows = rows[argsort(bases[rows])]
    wide = np.minimum(shown.family.bits - masks[rows].astype(np.int64), shown.host_bits_count) - cell_bits
    start = np.where(wider[rows], 0, first[rows].astype(np.int64))
    return rows, (start, start + (np.int64(1) << np.maximum(wide, 0)) - 1)


def _lost(cluster: Cluster, blocks: Any, shown: Cidr) -> list[tuple[int, int]]:
    """Find blocks that are marked and that no node has; the reserved ones are painted over."""
    end = str(shown.family).lower()
    known, inside = blocks.indices(cluster.nodes[f"pod_cidr_{end}"][cluster.nodes[f"has_pod_cidr_{end}"]])
    marked = np.setdiff1d(blocks.used_offsets(), known[inside])
    size, start = 1 << (shown.family.bits - blocks.block_prefix_length), blocks.cluster_cidr.first
    ends = ((start + index * size, start + (index + 1) * size - 1) for index in marked.tolist())
    return [(first, last) for first, last in ends if first <= shown.last and last >= shown.first]


def _paint(kind: NDArray[np.int8], owner: NDArray[np.int64], codes: tuple[int, int], spans: _Spans) -> None:
    """Give the cells of each span their kind and their owner."""
    word, first_name = codes
    starts, stops = spans
    if not len(starts):
        return
    lengths = stops - starts + 1
    rows = np.repeat(np.arange(len(starts)), lengths)
    cells = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(int(lengths.sum()))
    # backwards, so that of several owners of a cell the first stands
    kind[cells] = word
    owner[cells[::-1]] = first_name + rows[::-1]


def _used(cluster: Cluster, shown: Cidr, cell_bits: int, n: int) -> NDArray[np.int64]:
    """Count addresses in use in each cell: those of pods that hold theirs, and cluster IPs."""
    end = str(shown.family).lower()
    count = np.zeros(n, np.int64)
    held = cluster.pods[f"has_pod_{end}"] & cluster.pods["holds_address"]
    served = cluster.services[f"has_cluster_{end}"]
    for column, present in ((cluster.pods[f"pod_{end}"], held), (cluster.services[f"cluster_{end}"], served)):
        cells, inside = to_offsets(column, shown, unit_bits=cell_bits)
        chosen = inside & present
        if chosen.any():
            count += np.bincount(cells[chosen].astype(np.int64), minlength=n)
    return count
