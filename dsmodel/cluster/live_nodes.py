"""What readers of live plugins share: Node objects in the order of the table, and pods' addresses marked on them.

Promises Node objects as kubectl prints them, with what the nodes table knows: addresses, and how many pods a node
admits.

What it does not know: plugins.

Source: kubernetes/api core/v1 NodeStatus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import addresses_in
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.text import format_addresses
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.cni.azure import AzureSubnet
from dsmodel.cni.cilium import MultiPool
from dsmodel.cni.node_ranges import pod_cidr_columns
from dsmodel.cni.range_plugin import RangePlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.cluster.state import Cluster
    from dsmodel.cni.contract import NetworkPlugin

__all__ = ["has_addresses_in", "node_objects", "occupy_pods", "on_pod_cidrs", "pod_families"]


def node_objects(cluster: Cluster) -> list[dict[str, Any]]:
    """Return a Node object for each row of the nodes table, in its order.

    Parameters
    ----------
    cluster : Cluster
        With ``objects``.

    Returns
    -------
    list of dict
        Labels, annotations of plugins, podCIDRs; ``status`` from the table. What is not known is left out.

    Raises
    ------
    None
        Every cluster has an answer.

    Examples
    --------
    >>> from dsmodel import examples
    >>> node_objects(examples.kubeadm_dual_stack())[0]["metadata"]["name"]
    'node-0'
    """
    known = {each["metadata"]["name"]: each for each in cluster.objects.of("Node", "")}
    table = cluster.nodes
    found = []
    texts = {family: format_addresses(table[f"internal_{end}"]).tolist() for family, end in ENDS.items()}
    for row, name in enumerate(table["name"].tolist()):
        blank: dict[str, Any] = {
            "kind": "Node",
            "metadata": {"name": name, "labels": {}, "annotations": {}},
            "spec": {},
        }
        status: dict[str, Any] = {}
        internal = [texts[family][row] for family, end in ENDS.items() if table[f"has_internal_{end}"][row]]
        if internal:
            status["addresses"] = [{"type": "InternalIP", "address": text} for text in internal]
        if table["allocatable_pods"][row]:
            status["allocatable"] = {"pods": str(table["allocatable_pods"][row])}
        found.append(known.get(name, blank) | {"status": status})
    return found


def occupy_pods(cluster: Cluster, plugin: NetworkPlugin) -> None:
    """Mark the addresses of the cluster's pods, each family for itself: a pod may show one only.

    Parameters
    ----------
    cluster : Cluster
        Whose pods.
    plugin : NetworkPlugin
        One with ranges or addresses of nodes, with the nodes of the table; for others nothing happens.

    Raises
    ------
    None
        What lies outside changes nothing.
    """
    if not isinstance(plugin, RangePlugin | MultiPool | AzureSubnet):
        return
    pods = cluster.pods
    for family in plugin.ip_families:
        end = ENDS[family]
        rows = np.flatnonzero(pods[f"has_pod_{end}"] & pods["holds_address"] & (pods["node"] >= 0))
        plugin.occupy(pods["node"][rows], {family: pods[f"pod_{end}"][rows]})


def on_pod_cidrs(
    cluster: Cluster, texts: Sequence[Sequence[str]], make: Callable[[Sequence[IPFamily]], RangePlugin]
) -> RangePlugin | None:
    """Make a plugin on the podCIDRs of nodes.

    Parameters
    ----------
    cluster : Cluster
        Whose pods are marked.
    texts : sequence of sequence of str
        Ranges of each node, in the order of the table.
    make : callable
        Takes the families, makes the plugin.

    Returns
    -------
    RangePlugin or None
        None where no node has a range.

    Raises
    ------
    InvalidCidr
        A text is no CIDR.
    """
    columns = pod_cidr_columns(texts)
    families = [family for family in IPFamily if columns[family][1].any()]
    if not families:
        return None
    plugin = make(families)
    plugin.add_ranges({family: columns[family] for family in families})
    occupy_pods(cluster, plugin)
    return plugin


def has_addresses_in(cluster: Cluster, cidrs: Sequence[Cidr]) -> bool:
    """Tell whether a pod has an address of some ranges.

    Parameters
    ----------
    cluster : Cluster
        Whose pods.
    cidrs : sequence of Cidr
        Of either family.

    Returns
    -------
    bool
        Of pods that hold addresses of their own.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    for family, end in ENDS.items():
        held = cluster.pods[f"has_pod_{end}"] & cluster.pods["holds_address"]
        mine = [cidr for cidr in cidrs if cidr.family is family]
        if mine and addresses_in(cluster.pods[f"pod_{end}"][held], mine).any():
            return True
    return False


def pod_families(cluster: Cluster) -> list[IPFamily]:
    """Return the families that pods show addresses of.

    Parameters
    ----------
    cluster : Cluster
        Whose pods.

    Returns
    -------
    list of IPFamily
        Those of the configuration where no pod shows any; IPv4 where that names none.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    pods = cluster.pods
    shown = [family for family, end in ENDS.items() if (pods[f"has_pod_{end}"] & pods["holds_address"]).any()]
    return shown or list(cluster.config.ip_families) or [IPFamily.IPV4]
