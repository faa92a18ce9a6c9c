"""What a cluster's network plugin does when nodes and pods come and go: the verbs of `assignment` with a plugin.

Promises that kubelets' limits are counted before the plugin is asked, in order of arrival: a pod the kubelet does not
admit takes nothing, and one the plugin refuses takes no place of the kubelet's. A plugin is asked for a whole batch at
once; what a refused pod leaves behind in it (a cursor, an address) stays.

What it does not know: how a plugin chooses (`dsmodel.cni`), and clusters without one: their pods' addresses are
`dsmodel.cluster.pod_blocks`. No time passes by itself: what rests after a release rests until the plugin is told a
later time.

Sources: ``pkg/kubelet/lifecycle/predicate.go`` of v1.36.2 (admission before the sandbox is made), and those of the
plugins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import empty
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.outcome import grant_by_node
from dsmodel.cni.contract import JoiningNodes
from dsmodel.errors import Reason
from dsmodel.pools.arrivals import Arrivals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster
    from dsmodel.cluster.table import Table
    from dsmodel.cni.contract import NetworkPlugin

__all__ = ["join_nodes", "place_pods", "pod_families", "release_pods", "written_pod_cidrs"]

_ENDS = {IPFamily.IPV4: "ipv4", IPFamily.IPV6: "ipv6"}
_NUMBERS = {IPFamily.IPV4: 4, IPFamily.IPV6: 6}
_MOST = np.iinfo(np.int64).max
_ZONE = "topology.kubernetes.io/zone"


def join_nodes(
    plugin: NetworkPlugin, nodes: Table, blocks: Mapping[str, Any], *, label_sets: Sequence[Mapping[str, str]]
) -> NDArray[np.bool_]:
    """Let nodes join a plugin.

    Parameters
    ----------
    plugin : NetworkPlugin
        Changed in place.
    nodes : Table
        The new rows.
    blocks : mapping of str to column
        Their podCIDRs, as columns of `NODES`; none where the plugin does not use them.
    label_sets : sequence of mapping
        What the codes of the column ``labels`` stand for.

    Returns
    -------
    ndarray of bool, shape (nodes,)
        Which can run pods.

    Raises
    ------
    InvalidField
        A Windows node where Calico has no strict affinity.
    """
    pod_cidrs = {
        family: (blocks[f"pod_cidr_{end}"], np.where(blocks[f"has_pod_cidr_{end}"], blocks[f"pod_cidr_{end}_mask"], 0))
        for family, end in _ENDS.items()
        if f"pod_cidr_{end}" in blocks
    }
    labels = [
        {**(label_sets[code] if code >= 0 else {}), **({_ZONE: zone} if zone else {})}
        for code, zone in zip(nodes["labels"].tolist(), nodes["zone"].tolist(), strict=True)
    ]
    return plugin.join(JoiningNodes(nodes["name"].tolist(), pod_cidrs, labels))


def written_pod_cidrs(plugin: NetworkPlugin, ok: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the podCIDRs that a plugin's controller writes to nodes which have just joined.

    Parameters
    ----------
    plugin : NetworkPlugin
        Whose role is WRITTEN.
    ok : ndarray of bool, shape (nodes,)
        What `join_nodes` answered.

    Returns
    -------
    dict of str to column
        Columns of `NODES`.

    Raises
    ------
    None
        A node without a range has none.
    """
    written: dict[str, Any] = {}
    for family, (bases, lengths) in plugin.node_ranges.items():
        own = slice(len(bases) - len(ok), None)
        end = _ENDS[family]
        written |= {f"pod_cidr_{end}": bases[own], f"pod_cidr_{end}_mask": lengths[own]}
        written[f"has_pod_cidr_{end}"] = lengths[own] > 0
    primary = _NUMBERS[plugin.ip_families[0]]
    return {**written, "primary_ip_family": np.where(ok, primary, 0).astype(np.uint8)}


def place_pods(
    plugin: NetworkPlugin, nodes: NDArray[np.int32], *, room: NDArray[np.int64], host: NDArray[np.bool_] | None
) -> tuple[NDArray[np.uint8], dict[IPFamily, NDArray[Any]]]:
    """Place pods with a plugin, as far as kubelets admit them.

    Parameters
    ----------
    plugin : NetworkPlugin
        Changed in place.
    nodes : ndarray of int32, shape (n,)
        Row of each pod's node, in order of arrival.
    room : ndarray of int64, shape (nodes,)
        Pods each kubelet still admits.
    host : ndarray of bool, shape (n,), or None
        Pods of the host network, which the plugin never sees; None for none.

    Returns
    -------
    ndarray of uint8, shape (n,)
        `Reason` codes: POD_LIMIT of the kubelet's, or the plugin's own.
    dict of IPFamily to address column, shape (n,)
        Of the plugin's families; a row means nothing where the reason is not OK, or the pod is of the host network.

    Raises
    ------
    None
        The caller knows the nodes.
    """
    hungry = np.ones(len(nodes), np.bool_) if host is None else ~host
    columns = {family: np.zeros(len(nodes), empty(0, family).dtype) for family in plugin.ip_families}
    reason = np.zeros(len(nodes), np.uint8)
    sure = Arrivals.of(nodes).ranks < room[nodes] if len(nodes) else np.zeros(0, np.bool_)
    asked = np.flatnonzero(sure & hungry)
    _ask(plugin, nodes, asked, (reason, columns))
    served = asked[reason[asked] == Reason.OK]
    free = np.full(len(room), _MOST)
    short = np.unique(nodes[asked[reason[asked] != Reason.OK]])
    free[short] = np.bincount(nodes[served], minlength=len(room))[short]
    decided = grant_by_node(nodes, needs=None if host is None else hungry, room=room, free=free)
    # the kubelet admits more than was sure where the plugin refused some; the plugin refuses these too
    late = np.flatnonzero(~sure & (decided == Reason.POOL_FULL))
    _ask(plugin, nodes, late, (reason, columns))
    limited = decided == Reason.POD_LIMIT
    reason[limited] = Reason.POD_LIMIT
    return reason, columns


def _ask(
    plugin: NetworkPlugin,
    nodes: NDArray[np.int32],
    rows: NDArray[np.intp],
    into: tuple[NDArray[np.uint8], Mapping[IPFamily, NDArray[Any]]],
) -> None:
    """Ask for some pods of a batch and write the answers where they belong."""
    if not len(rows):
        return
    placed = plugin.place(nodes[rows])
    reason, columns = into
    reason[rows] = placed.reason
    for family, column in placed.addresses.items():
        columns[family][rows] = column


def release_pods(plugin: NetworkPlugin, pods: Table) -> None:
    """Give the addresses of pods back to a plugin.

    Parameters
    ----------
    plugin : NetworkPlugin
        Changed in place.
    pods : Table
        Those that go; what they do not hold is skipped.

    Raises
    ------
    None
        An address the plugin does not know is no error.
    """
    for family in plugin.ip_families:
        end = _ENDS[family]
        held = np.flatnonzero(pods[f"has_pod_{end}"] & pods["holds_address"] & (pods["node"] >= 0))
        if len(held):
            plugin.release(pods["node"][held], {family: pods[f"pod_{end}"][held]})


def pod_families(cluster: Cluster, nodes: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Return the family of each new pod's ``podIP`` where a plugin gives the addresses.

    Parameters
    ----------
    cluster : Cluster
        With a plugin.
    nodes : ndarray of int32, shape (n,)
        Row of each pod's node.

    Returns
    -------
    ndarray of uint8, shape (n,)
        That of the node's first podCIDR, else of the first cluster CIDR, where the plugin serves it; else the
        plugin's first.

    Raises
    ------
    None
        Every pod has an answer.
    """
    plugin = cluster.network_plugin
    families = plugin.ip_families if plugin is not None else ()
    own = [_NUMBERS[family] for family in families]
    first = [_NUMBERS[cidr.family] for cidr in cluster.config.cluster_cidrs if cidr.family in families]
    primary = cluster.nodes["primary_ip_family"][nodes]
    return np.where(np.isin(primary, own), primary, (first or own)[0]).astype(np.uint8)
