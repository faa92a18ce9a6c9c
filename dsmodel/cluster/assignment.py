"""The batch verbs of a `Cluster`: what nodes and pods take when they come and give back when they go.

Each function is the body of the verb of the same name; the promises stand there. Rows are decided first, by counting,
then served by the pools in bulk, so that nothing has to be undone.

What it does not know: tables that came from outside (`dsmodel.cluster.occupancy`), Services
(`dsmodel.cluster.service_assignment`), what a network plugin does (`dsmodel.cluster.placements`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import empty
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.text import parse_cidrs
from dsmodel.cluster.block_column import BlockColumn, frozen, narrowest
from dsmodel.cluster.occupancy import ENDS, mark_blocks, occupy_pods
from dsmodel.cluster.outcome import Outcome, grant_by_node, rows_asked
from dsmodel.cluster.placements import join_nodes, place_pods, pod_families, release_pods, written_pod_cidrs
from dsmodel.cluster.schema import NODES, PODS
from dsmodel.cluster.table import Table
from dsmodel.cni.contract import PodCidrRole
from dsmodel.errors import InvalidInput, Reason
from dsmodel.pools.arrivals import Arrivals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from dsmodel.cluster.state import Cluster

__all__ = ["add_nodes", "add_pods", "remove_nodes", "remove_pods"]

_TEXT = np.dtypes.StringDType()
_MOST = np.iinfo(np.int64).max
_RUNNING, _SUCCEEDED, _FAILED = 2, 3, 4  # codes of schema.PHASES


# nodes -------------------------------------------------------------------------------------------------------------


def add_nodes(
    cluster: Cluster,
    nodes: int | Sequence[str],
    *,
    pod_cidrs: Sequence[Sequence[str]] | None,
    columns: Mapping[str, Any],
    label_sets: Sequence[Mapping[str, str]],
) -> Outcome:
    """Let nodes join, in order.

    Parameters
    ----------
    cluster : Cluster
        Changed in place.
    nodes : int or sequence of str
        Names, or how many.
    pod_cidrs : sequence of sequences of str, optional
        What each node brings.
    columns : mapping of str to array-like
        Further columns; one value for all or one a node.
    label_sets : sequence of mapping
        What the codes of the column ``labels`` stand for.

    Returns
    -------
    Outcome
        See `Cluster.add_nodes`.

    Raises
    ------
    InvalidInput
        If a length differs from the number of nodes.
    InvalidCidr
        If one of ``pod_cidrs`` is no CIDR.
    """
    names = _node_names(cluster, nodes)
    if pod_cidrs is not None and len(pod_cidrs) != len(names):
        raise InvalidInput(f"pod_cidrs: {len(pod_cidrs)} entries for {len(names)} nodes; give one a node, maybe empty")
    columns = {name: _spread(values, name, len(names)) for name, values in columns.items() if values is not None}
    preset = _preset_blocks(pod_cidrs) if pod_cidrs is not None else None
    reason = np.zeros(len(names), np.uint8)
    if not isinstance(nodes, int):
        taken = pd.Series(names.astype(object))
        reason[taken.isin(cluster.nodes["name"].astype(object)) | taken.duplicated()] = Reason.ALREADY_EXISTS
    kept = reason == Reason.OK
    rows = np.flatnonzero(kept)
    fresh = Table(NODES, {"name": names, **columns}).take(rows)
    brought = None if preset is None else preset.take(rows)
    if cluster.network_plugin is None:
        given, ready = _with_blocks(cluster, len(rows), brought)
    else:
        given, ready = _with_plugin(cluster, fresh, brought, label_sets=label_sets)
    reason[rows[~ready]] = Reason.CIDR_NOT_AVAILABLE
    first_row = len(cluster.nodes)
    cluster.nodes = cluster.nodes.append(fresh.replace(given | {"ready": reason[rows] == Reason.OK}))
    cluster.pod_counts = np.concatenate((cluster.pod_counts, np.zeros(len(rows), np.int64)))
    return Outcome.of(reason, first_row=first_row, kept=kept)


def _with_blocks(cluster: Cluster, n: int, preset: Table | None) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """Give nodes their blocks, and host-local what is in them; tell which have any, as far as there are any."""
    blocks = _take_blocks(cluster, n, preset)
    missing = np.ones(n, np.bool_)
    for family, end in ENDS.items():
        missing &= ~blocks[f"has_pod_cidr_{end}"]
        cluster.pod_blocks[family].add(blocks[f"pod_cidr_{end}"], blocks[f"pod_cidr_{end}_mask"])
    return _block_columns(blocks), ~missing if cluster.node_ipam is not None else np.ones(n, np.bool_)


def _with_plugin(
    cluster: Cluster, fresh: Table, preset: Table | None, *, label_sets: Sequence[Mapping[str, str]]
) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """Give nodes their blocks, if node IPAM runs, and let them join the plugin; tell which can run pods."""
    plugin = cluster.network_plugin
    assert plugin is not None  # noqa: S101 - the caller asked; tells the type checker
    n, role = len(fresh), plugin.pod_cidr_role
    if role is PodCidrRole.WRITTEN and preset is not None:
        raise InvalidInput(f"pod_cidrs: {plugin.provenance.plugin} writes the podCIDRs of nodes by itself")
    if role is PodCidrRole.USED:
        given = _block_columns(_take_blocks(cluster, n, preset))
        ready = join_nodes(plugin, fresh, given, label_sets=label_sets)
    else:
        ready = join_nodes(plugin, fresh, {}, label_sets=label_sets)  # may refuse, so before any block is taken
        written = role is PodCidrRole.WRITTEN
        given = written_pod_cidrs(plugin, ready) if written else _block_columns(_take_blocks(cluster, n, preset))
    for family in ENDS:
        cluster.pod_blocks[family].add(np.zeros(n, empty(0, family).dtype), np.zeros(n, np.uint8))
    return given, ready


def _block_columns(blocks: Table) -> dict[str, Any]:
    """Return the columns of nodes that speak of their blocks."""
    return {name: blocks[name] for name in blocks.names if "pod_cidr" in name or name == "primary_ip_family"}


def remove_nodes(cluster: Cluster, nodes: ArrayLike | Sequence[str]) -> Outcome:
    """Delete nodes and the pods on them.

    Parameters
    ----------
    cluster : Cluster
        Changed in place.
    nodes : array of int, mask of bool, or sequence of str
        Rows, or names.

    Returns
    -------
    Outcome
        See `Cluster.remove_nodes`.

    Raises
    ------
    InvalidInput
        If a mask has another length than the table.
    """
    asked = np.asarray(nodes)
    if asked.dtype.kind in "UTO" and asked.size:
        names = pd.Index(cluster.nodes["name"].astype(object))
        asked = names.get_indexer(pd.Index(asked.astype(object))) if names.is_unique else _first_place(names, asked)
    rows, reason = rows_asked(asked, len(cluster.nodes), "nodes")
    keep = np.ones(len(cluster.nodes), np.bool_)
    keep[rows] = False
    plugin = cluster.network_plugin
    _release_blocks(cluster, rows)
    for blocks in cluster.pod_blocks.values():
        blocks.remove(rows)
    if plugin is not None:
        release_pods(plugin, cluster.pods.take(np.flatnonzero(np.isin(cluster.pods["node"], rows))))
        plugin.remove_nodes(rows)
    moved = np.where(keep, np.cumsum(keep, dtype=np.int32) - 1, -1).astype(np.int32)
    staying = (cluster.pods["node"] < 0) | keep[cluster.pods["node"]] if len(keep) else np.ones(0, np.bool_)
    cluster.pods = _moved_pods(cluster, cluster.pods.where(staying), moved)
    cluster.nodes = cluster.nodes.where(keep)
    cluster.pod_counts = cluster.pod_counts[keep]
    return Outcome.of(reason, kept=np.zeros(len(reason), np.bool_))


def _first_place(names: pd.Index[Any], asked: NDArray[Any]) -> NDArray[np.intp]:
    """Find the first row of each name where names repeat."""
    first = names.drop_duplicates()
    places = np.flatnonzero(~names.duplicated())
    found = first.get_indexer(pd.Index(asked.astype(object)))
    return np.where(found < 0, -1, places[found])


def _node_names(cluster: Cluster, nodes: int | Sequence[str]) -> NDArray[Any]:
    """Return the names given, or count on."""
    if not isinstance(nodes, int):
        return np.array(nodes, dtype=_TEXT).reshape(-1)
    if nodes < 0:
        raise InvalidInput(f"nodes={nodes}: a number of nodes is 0 or more")
    known = set(cluster.nodes["name"].tolist())
    while True:  # a table from outside may have such names already
        numbers = np.arange(cluster.node_serial, cluster.node_serial + nodes)
        names = np.strings.add(np.array("node-", _TEXT), numbers.astype(_TEXT))
        cluster.node_serial += nodes
        if known.isdisjoint(names.tolist()):
            return names


def _preset_blocks(pod_cidrs: Sequence[Sequence[str]]) -> Table:
    """Read what nodes bring: at most one CIDR of each family, the first is primary."""
    counts = np.array([len(cidrs) for cidrs in pod_cidrs], np.int64)
    owner = np.repeat(np.arange(len(counts)), counts)
    texts = np.array([text for cidrs in pod_cidrs for text in cidrs], dtype=object)
    is_ipv6 = np.array([":" in text for text in texts], np.bool_)
    columns: dict[str, Any] = {}
    for family, end, members in ((IPFamily.IPV4, "ipv4", ~is_ipv6), (IPFamily.IPV6, "ipv6", is_ipv6)):
        rows = owner[members]
        if len(np.unique(rows)) < len(rows):
            raise InvalidInput(f"pod_cidrs: a node has two {family} entries; at most one of each family is allowed")
        column, lengths = empty(len(counts), family), np.zeros(len(counts), np.uint8)
        column[:] = np.zeros((), column.dtype)
        column[rows], lengths[rows], _ = parse_cidrs(texts[members], family=family)
        columns |= {f"pod_cidr_{end}": column, f"pod_cidr_{end}_mask": lengths}
    primary = np.zeros(len(counts), np.uint8)
    starts = np.cumsum(counts) - counts
    some = counts > 0
    primary[some] = np.where(is_ipv6[starts[some]], 6, 4)
    return Table(NODES, columns | {"primary_ip_family": primary}, length=len(counts))


def _take_blocks(cluster: Cluster, n: int, preset: Table | None) -> Table:
    """Give every node its blocks: its own where it brings some, else from node IPAM, in order."""
    if preset is None:
        return _blocks_from_ipam(cluster, n)
    brings = preset["primary_ip_family"] > 0
    edges = np.flatnonzero(np.diff(brings)) + 1
    result = Table(NODES)
    for start, stop in zip((0, *edges.tolist()), (*edges.tolist(), n), strict=True):
        if start == stop:
            continue
        if not brings[start]:
            result = result.append(_blocks_from_ipam(cluster, stop - start))
            continue
        part = preset.take(np.arange(start, stop))
        for blocks in cluster.node_ipam.sets if cluster.node_ipam else ():
            end = ENDS[blocks.cluster_cidr.family]
            present = part[f"has_pod_cidr_{end}"]
            mark_blocks(blocks, part[f"pod_cidr_{end}"][present], part[f"pod_cidr_{end}_mask"][present])
        result = result.append(part)
    return result


def _blocks_from_ipam(cluster: Cluster, n: int) -> Table:
    """Let node IPAM hand out blocks, leaks included."""
    if cluster.node_ipam is None:
        return Table(NODES, length=n)
    granted = cluster.node_ipam.add_many(n)
    columns: dict[str, Any] = {}
    for blocks, indices in zip(cluster.node_ipam.sets, granted.indices, strict=True):
        end = ENDS[blocks.cluster_cidr.family]
        column = blocks.blocks(indices)
        column[~granted.ok] = np.zeros((), column.dtype)
        columns[f"pod_cidr_{end}"] = column
        columns[f"pod_cidr_{end}_mask"] = np.where(granted.ok, blocks.block_prefix_length, 0).astype(np.uint8)
    first = 4 if cluster.config.cluster_cidrs[0].family is IPFamily.IPV4 else 6
    return Table(NODES, columns | {"primary_ip_family": np.where(granted.ok, first, 0).astype(np.uint8)})


def _release_blocks(cluster: Cluster, rows: NDArray[np.intp]) -> None:
    """Free the blocks of nodes in node IPAM; as there, no reference is counted."""
    for blocks in cluster.node_ipam.sets if cluster.node_ipam else ():
        end = ENDS[blocks.cluster_cidr.family]
        held = rows[cluster.nodes[f"has_pod_cidr_{end}"][rows]]
        bases, lengths = cluster.nodes[f"pod_cidr_{end}"], cluster.nodes[f"pod_cidr_{end}_mask"]
        mark_blocks(blocks, bases[held], lengths[held], used=False)


def _moved_pods(cluster: Cluster, pods: Table, moved: NDArray[np.int32]) -> Table:
    """Let pods and their unwritten addresses point at the nodes' new rows."""
    node = pods["node"]
    renumbered = np.append(moved, np.int32(-1))  # row -1 stays -1
    columns: dict[str, Any] = {"node": frozen(renumbered[node])}
    for family, end in ENDS.items():
        stored = pods.stored(f"pod_{end}")
        if isinstance(stored, BlockColumn):
            rows = columns["node"] if stored.rows is node else frozen(renumbered[stored.rows])
            columns[f"pod_{end}"] = BlockColumn(rows, stored.ordinals, cluster.pod_blocks[family].bases)
    return pods.replace(columns)


# pods --------------------------------------------------------------------------------------------------------------


def add_pods(
    cluster: Cluster, nodes: ArrayLike, *, host_network: ArrayLike | None, columns: Mapping[str, Any]
) -> Outcome:
    """Start pods on nodes, in order of arrival.

    Parameters
    ----------
    cluster : Cluster
        Changed in place.
    nodes : array of int, shape (n,)
        Row of each pod's node.
    host_network : array of bool, optional
        One a pod.
    columns : mapping of str to array-like
        Further columns; one value for all or one a pod.

    Returns
    -------
    Outcome
        See `Cluster.add_pods`.

    Raises
    ------
    InvalidInput
        If the nodes are no integers, or a length differs.
    """
    asked = np.asarray(nodes)
    if asked.ndim != 1 or (asked.size and asked.dtype.kind not in "iu"):
        raise InvalidInput(f"nodes: expected rows of the nodes table, got {asked.dtype} of shape {asked.shape}")
    n = len(asked)
    columns = {name: _spread(values, name, n) for name, values in columns.items() if values is not None}
    host = None if host_network is None else np.asarray(host_network, dtype=np.bool_)
    if host is not None:
        _spread(host, "host_network", n)
    place = asked.astype(np.int32)
    fresh, first_row = Table(PODS, columns, length=n), len(cluster.pods)
    if cluster.network_plugin is not None:
        return _add_placed(cluster, fresh, place, host=host)
    arrivals = Arrivals.of(place)
    if _all_fit(cluster, arrivals, host):
        taken = _pod_columns(cluster, frozen(place), host=host, arrivals=arrivals)
        cluster.pods = cluster.pods.append(fresh.replace(taken))
        cluster.pod_counts = cluster.pod_counts.copy()
        cluster.pod_counts[arrivals.asked] += arrivals.counts
        return Outcome(_repeat(np.True_, n), _repeat(np.uint8(Reason.OK), n), first_row)
    reason = np.full(n, Reason.NOT_FOUND, np.uint8)
    known = np.flatnonzero((place >= 0) & (place < len(cluster.nodes)))
    reason[known] = _decide_pods(cluster, place[known], None if host is None else host[known])
    ok = reason == Reason.OK
    chosen, chosen_host = place[ok], None if host is None else host[ok]
    taken = _pod_columns(cluster, frozen(chosen), host=chosen_host, arrivals=Arrivals.of(chosen))
    cluster.pods = cluster.pods.append(fresh.where(ok).replace(taken))
    cluster.pod_counts = cluster.pod_counts + np.bincount(chosen, minlength=len(cluster.nodes))
    _advance_cursors(cluster, place[reason == Reason.POOL_FULL])
    return Outcome.of(reason, first_row=first_row)


def _add_placed(cluster: Cluster, fresh: Table, place: NDArray[np.int32], *, host: NDArray[np.bool_] | None) -> Outcome:
    """Start pods whose addresses the cluster's network plugin gives."""
    assert cluster.network_plugin is not None  # noqa: S101 - the caller asked; tells the type checker
    reason, first_row = np.full(len(place), Reason.NOT_FOUND, np.uint8), len(cluster.pods)
    known = np.flatnonzero((place >= 0) & (place < len(cluster.nodes)))
    decided, placed = place_pods(
        cluster.network_plugin, place[known], room=_room(cluster), host=None if host is None else host[known]
    )
    reason[known] = decided
    good = decided == Reason.OK
    rows = known[good]
    nodes, own = place[rows], np.ones(len(rows), np.bool_) if host is None else ~host[rows]
    columns: dict[str, Any] = {
        "node": nodes,
        "phase": _repeat(np.uint8(_RUNNING), len(nodes)),
        "holds_address": own,
        "host_network": ~own,
        "primary_ip_family": np.where(
            own, pod_families(cluster, nodes), cluster.nodes["primary_ip_family"][nodes]
        ).astype(np.uint8),
    }
    for family, end in ENDS.items():
        column, present = cluster.nodes[f"internal_{end}"][nodes], cluster.nodes[f"has_internal_{end}"][nodes]
        present[own] = family in placed
        if family in placed:
            column[own] = placed[family][good][own]
        columns |= {f"pod_{end}": column, f"has_pod_{end}": present}
    cluster.pods = cluster.pods.append(fresh.take(rows).replace(columns))
    cluster.pod_counts = cluster.pod_counts + np.bincount(nodes, minlength=len(cluster.nodes))
    return Outcome.of(reason, first_row=first_row)


def _room(cluster: Cluster) -> NDArray[np.int64]:
    """Return how many pods each kubelet still admits."""
    limits = cluster.nodes["allocatable_pods"].astype(np.int64)
    limits[limits == 0] = cluster.config.max_pods
    return np.asarray(np.maximum(limits - cluster.pod_counts, 0))


def _room_and_free(cluster: Cluster) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what each kubelet still admits, and for how many pods every family of the node still has an address."""
    free = np.full(len(cluster.nodes), -1, np.int64)
    for blocks in cluster.pod_blocks.values():
        has = blocks.prefix_lengths > 0
        left = np.minimum(blocks.free(), np.uint64(_MOST)).astype(np.int64)
        free = np.where(has, np.where(free < 0, left, np.minimum(free, left)), free)
    return _room(cluster), free


def _all_fit(cluster: Cluster, arrivals: Arrivals, host: NDArray[np.bool_] | None) -> bool:
    """Tell whether every node can take all that come to it, which spares deciding row by row."""
    asked = arrivals.asked
    if arrivals.lowest < 0 or (len(asked) and int(asked[-1]) >= len(cluster.nodes)):
        return False
    room, free = _room_and_free(cluster)
    hungry = arrivals.counts
    if host is not None:
        hungry = np.bincount(arrivals.rows[~host], minlength=len(cluster.nodes))[asked]
    return bool(((arrivals.counts <= room[asked]) & (hungry <= np.maximum(free[asked], 0))).all())


def _decide_pods(cluster: Cluster, nodes: NDArray[np.int32], host: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """Decide row by row what kubelets admit and families can serve."""
    room, free = _room_and_free(cluster)
    return grant_by_node(nodes, needs=None if host is None else ~host, room=room, free=free)


def _pod_columns(
    cluster: Cluster, nodes: NDArray[np.int32], *, host: NDArray[np.bool_] | None, arrivals: Arrivals
) -> dict[str, Any]:
    """Take an address of every family for pods that are known to get one."""
    columns: dict[str, Any] = {
        "node": nodes,
        "phase": _repeat(np.uint8(_RUNNING), len(nodes)),
        "holds_address": _repeat(np.True_, len(nodes)) if host is None else ~host,
        "primary_ip_family": _gathered(cluster.nodes["primary_ip_family"], nodes),
    }
    if host is None or not host.any():
        return columns | _block_addresses(cluster, nodes, arrivals)
    columns["host_network"] = host
    own = _block_addresses(cluster, nodes[~host], Arrivals.of(nodes[~host]))
    for end in ENDS.values():
        column = cluster.nodes[f"internal_{end}"][nodes]
        present = cluster.nodes[f"has_internal_{end}"][nodes]
        if f"pod_{end}" in own:
            column[~host] = own[f"pod_{end}"].addresses()
        present[~host] = own[f"has_pod_{end}"]
        columns |= {f"pod_{end}": column, f"has_pod_{end}": present}
    return columns


def _block_addresses(cluster: Cluster, nodes: NDArray[np.int32], arrivals: Arrivals) -> dict[str, Any]:
    """Take the next address on each node in every family, kept as (node, ordinal)."""
    columns: dict[str, Any] = {}
    previous: tuple[NDArray[Any], NDArray[Any]] | None = None
    for family, end in ENDS.items():
        blocks = cluster.pod_blocks[family]
        has = _gathered(blocks.prefix_lengths > 0, nodes)
        columns[f"has_pod_{end}"] = has
        if not (has[:1] if _is_constant(has) else has).any():
            continue
        granted, _ = blocks.allocate(arrivals)
        if previous is None or not np.array_equal(previous[0], granted):
            previous = (granted, frozen(narrowest(granted)))  # families that move together share one array
        rows = nodes if _is_constant(has) or has.all() else frozen(np.where(has, nodes, np.int32(-1)))
        columns[f"pod_{end}"] = BlockColumn(rows, previous[1], blocks.bases)
    return columns


def _advance_cursors(cluster: Cluster, nodes: NDArray[np.int32]) -> None:
    """Move the cursors that host-local leaves advanced when a later family had no address and the rest went back."""
    counts = np.bincount(nodes, minlength=len(cluster.nodes))
    primary = cluster.nodes["primary_ip_family"]
    for number, family, other in ((4, IPFamily.IPV4, IPFamily.IPV6), (6, IPFamily.IPV6, IPFamily.IPV4)):
        first, second = cluster.pod_blocks[family], cluster.pod_blocks[other]
        left = np.minimum(first.free(), np.uint64(_MOST)).astype(np.int64)
        stuck = np.flatnonzero(
            (counts > 0) & (primary == number) & (left > 0) & (second.prefix_lengths > 0) & (second.free() == 0)
        )
        # with nothing kept, attempt after attempt goes round the free addresses
        steps = np.zeros(len(counts), np.int64)
        steps[stuck] = (counts[stuck] - 1) % left[stuck] + 1
        tried = np.repeat(np.arange(len(counts)), steps)
        ordinals, _ = first.allocate(Arrivals.of(tried))
        first.release(tried, ordinals.astype(np.uint64))


def remove_pods(cluster: Cluster, pods: ArrayLike) -> Outcome:
    """Delete pods and give their addresses back.

    Parameters
    ----------
    cluster : Cluster
        Changed in place.
    pods : array of int, or mask of bool
        Rows.

    Returns
    -------
    Outcome
        See `Cluster.remove_pods`.

    Raises
    ------
    InvalidInput
        If a mask has another length than the table.
    """
    rows, reason = rows_asked(np.asarray(pods), len(cluster.pods), "pods")
    gone = cluster.pods.take(rows)
    if cluster.network_plugin is not None:
        release_pods(cluster.network_plugin, gone)
    for family, end in ENDS.items():
        held = gone[f"has_pod_{end}"] & gone["holds_address"] & (gone["node"] >= 0)
        if held.any():
            blocks, nodes = cluster.pod_blocks[family], gone["node"][held]
            ordinals, inside = blocks.ordinals(nodes, gone[f"pod_{end}"][held])
            blocks.release(nodes[inside], ordinals[inside])
    bound = (gone["node"] >= 0) & ~np.isin(gone["phase"], (_SUCCEEDED, _FAILED))
    cluster.pod_counts = cluster.pod_counts - np.bincount(gone["node"][bound], minlength=len(cluster.nodes))
    keep = np.ones(len(cluster.pods), np.bool_)
    keep[rows] = False
    cluster.pods = cluster.pods.where(keep)
    if cluster.shared_addresses:
        occupy_pods(cluster)
    return Outcome.of(reason, kept=np.zeros(len(reason), np.bool_))


# rows --------------------------------------------------------------------------------------------------------------


def _spread(values: Any, name: str, n: int) -> NDArray[Any]:
    """Give every row its value: the same for all in the memory of one, or its own."""
    array = np.array(values, dtype=_TEXT) if isinstance(values, str) else np.asarray(values)
    if array.dtype.kind in "UO":
        array = array.astype(_TEXT)
    if array.ndim == 0:
        return _repeat(array, n)
    if array.shape != (n,):
        raise InvalidInput(f"{name}: {array.shape} values for {n} rows; give one for all or one a row")
    return array


def _gathered(values: NDArray[Any], rows: NDArray[np.integer]) -> NDArray[Any]:
    """Look up a value of each row's node; where all nodes have the same, in the memory of one."""
    if len(values) and len(rows) and (values == values[0]).all():
        return _repeat(values[:1].reshape(()), len(rows))
    gathered: NDArray[Any] = values[rows]
    return gathered


def _repeat(value: Any, n: int) -> NDArray[Any]:
    """Repeat one value in the memory of one."""
    return np.broadcast_to(value, (n,))


def _is_constant(array: NDArray[Any]) -> bool:
    """Tell whether an array repeats one value in the memory of one."""
    return array.strides == (0,)
