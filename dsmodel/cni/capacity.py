"""How many pods nodes hold and how many nodes a range holds, for plugins with one range a node: arithmetic.

Promises the numbers of a fresh cluster, for arrays of nodes. Calico and the AWS and Azure modes that fetch single
addresses have arithmetic of their own: `dsmodel.cni.calico.capacity`, `dsmodel.cni.aws`, `dsmodel.cni.azure`.

Sources: those of `dsmodel.cni.node_ranges` and of the plugin whose rules are asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cni.azure import AzureOverlay
from dsmodel.cni.cilium.agent import agent_rules
from dsmodel.cni.node_ranges import HOST_LOCAL, RangeRule
from dsmodel.cni.ovn import pod_rules
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from dsmodel.addresses.cidr import Cidr

__all__ = ["AGENTS_OWN", "RULES", "nodes_per_range", "pods_per_node", "usable_addresses"]

_BOTH = tuple(IPFamily)
_CAN_COUNT = (1 << 63) - 1

RULES: dict[str, dict[IPFamily, RangeRule]] = {
    "antrea": HOST_LOCAL,
    "azure-cni overlay": {family: ranges.rule for family, ranges in AzureOverlay(_BOTH).ranges.items()},
    "azure-cni overlay, windows": {f: each.rule for f, each in AzureOverlay(_BOTH, windows=True).ranges.items()},
    "cilium": agent_rules(_BOTH),
    "flannel": HOST_LOCAL,
    "host-local": HOST_LOCAL,
    "kube-router": HOST_LOCAL,
    "kubenet": HOST_LOCAL,
    "ovn-kubernetes": pod_rules(_BOTH),
    "ovn-kubernetes, hybrid overlay": pod_rules(_BOTH, hybrid_overlay=True),
}
"""What each plugin hands out of a node's range, by family."""

AGENTS_OWN: dict[str, int] = {"cilium": 2}
"""Addresses of each range that the node's agent takes for itself: Cilium's router and health endpoint."""


def usable_addresses(prefix_lengths: ArrayLike, *, plugin: str, family: IPFamily) -> NDArray[np.int64]:
    """Return how many pods' addresses nodes' ranges of one family hold.

    Parameters
    ----------
    prefix_lengths : array of integers
        Of each node's range; 0 for none.
    plugin : str
        A name of `RULES`.
    family : IPFamily
        Of the ranges.

    Returns
    -------
    ndarray of int64
        ``2**63 - 1`` where there are as many or more.

    Raises
    ------
    InvalidInput
        A plugin without rules here.

    Examples
    --------
    >>> usable_addresses([24, 26, 0], plugin="host-local", family=IPFamily.IPV4)
    array([253,  61,   0])
    """
    if plugin not in RULES:
        raise InvalidInput(f"plugin {plugin!r}: expected one of {', '.join(RULES)}")
    lengths = np.asarray(prefix_lengths, np.int64)
    rule, own = RULES[plugin][family], AGENTS_OWN.get(plugin, 0)
    by_length = np.zeros(family.bits + 1, np.int64)
    for length in np.unique(lengths[lengths > 0]).tolist():
        usable = rule.usable(family.bits - length, prefix_length=length) - own
        by_length[length] = min(max(usable, 0), _CAN_COUNT)
    return np.asarray(by_length[lengths])


def pods_per_node(
    prefix_lengths: Mapping[IPFamily, ArrayLike], *, plugin: str, max_pods: ArrayLike = 110
) -> NDArray[np.int64]:
    """Return how many pods with addresses of their own nodes run.

    Parameters
    ----------
    prefix_lengths : mapping of IPFamily to array of integers
        Of each node's range, for each family of the cluster.
    plugin : str
        A name of `RULES`.
    max_pods : array of integers
        The kubelet's limit.

    Returns
    -------
    ndarray of int64
        The least of the limit and what each family holds.

    Raises
    ------
    InvalidInput
        A plugin without rules here.

    Examples
    --------
    >>> pods_per_node({IPFamily.IPV4: [24, 26], IPFamily.IPV6: [64, 64]}, plugin="cilium")
    array([110,  60])
    """
    limits = [np.asarray(max_pods, np.int64)]
    limits += [usable_addresses(each, plugin=plugin, family=family) for family, each in prefix_lengths.items()]
    return np.asarray(np.min(np.broadcast_arrays(*limits), axis=0))


def nodes_per_range(cluster_cidr: Cidr, mask_sizes: ArrayLike) -> NDArray[np.int64]:
    """Return how many nodes' ranges a cluster CIDR is cut into.

    Parameters
    ----------
    cluster_cidr : Cidr
        What is cut.
    mask_sizes : array of integers
        Prefix lengths of a node's range.

    Returns
    -------
    ndarray of int64
        0 where a range would be larger than the CIDR; ``2**63 - 1`` where there are as many or more.

    Raises
    ------
    None
        Every length has an answer.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import Cidr
    >>> nodes_per_range(Cidr("10.244.0.0/16"), [24, 25, 8])
    array([256, 512,   0])
    """
    bits = np.asarray(mask_sizes, np.int64) - cluster_cidr.prefix_length
    counts = np.left_shift(1, np.clip(bits, 0, 62))
    return np.where(bits < 0, 0, np.where(bits > 62, _CAN_COUNT, counts))
