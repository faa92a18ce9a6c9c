"""kube-router: node podCIDRs, from annotations first, added to a host-local configuration that only grows.

Promises where a node's podCIDRs come from, and that ranges once in the configuration stay there: a node that was
renumbered keeps handing out addresses of its old range. Pods are served by host-local, one address a range set.

It does not know the load balancer addresses of Services, which have an allocator of their own.

Sources: cloudnativelabs/kube-router ``pkg/utils/cni.go``, ``pkg/controllers/routing/utils.go``, ``docs/ipv6.md``.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.contract import Certainty, Provenance
from dsmodel.cni.node_ranges import HOST_LOCAL
from dsmodel.cni.range_plugin import RangePlugin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PROVENANCE", "KubeRouter", "add_pod_cidrs", "pod_cidrs_of"]

PROVENANCE = Provenance(
    "kube-router",
    Certainty.FROM_SOURCE,
    "cloudnativelabs/kube-router 7c2c277 (August 2026)",
    ("pkg/utils/cni.go", "pkg/controllers/routing/utils.go"),
)

_ONE = "kube-router.io/pod-cidr"
_MANY = "kube-router.io/pod-cidrs"


class KubeRouter(RangePlugin):
    """kube-router's nodes.

    Parameters
    ----------
    families : sequence of IPFamily
        Those enabled.

    Raises
    ------
    InvalidInput
        No family.

    Examples
    --------
    >>> from dsmodel.cni.node_ranges import pod_cidr_columns
    >>> router = KubeRouter([IPFamily.IPV4])
    >>> router.add_ranges(pod_cidr_columns([pod_cidrs_of({"spec": {"podCIDR": "10.244.1.0/24"}})]))
    array([0])
    >>> router.place([0] * 300).placed
    253
    """

    def __init__(self, families: Sequence[IPFamily]) -> None:
        super().__init__(PROVENANCE, {family: HOST_LOCAL[family] for family in families})


def pod_cidrs_of(node: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the podCIDRs kube-router uses on a node.

    Parameters
    ----------
    node : mapping
        The Node object as kubectl prints it.

    Returns
    -------
    tuple of str
        Of the deprecated annotation with one CIDR, else of the annotation with a list, else of the spec.

    Raises
    ------
    InvalidCidr
        A text that is no CIDR: kube-router would not start there.

    Notes
    -----
    Source: ``GetPodCIDRsFromNodeSpecDualStack`` of ``pkg/utils/pod_cidr.go``.

    Examples
    --------
    >>> pod_cidrs_of({"metadata": {"annotations": {"kube-router.io/pod-cidrs": "10.9.0.0/24, fd00::/64"}},
    ...     "spec": {"podCIDRs": ["10.244.1.0/24"]}})
    ('10.9.0.0/24', 'fd00::/64')
    """
    annotations = (node.get("metadata") or {}).get("annotations") or {}
    spec = node.get("spec") or {}
    if annotations.get(_ONE):
        texts = [annotations[_ONE]]
    elif annotations.get(_MANY):
        texts = str(annotations[_MANY]).split(",")
    else:
        texts = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    return tuple(str(Cidr(str(text).strip(), host_bits="mask")) for text in texts)


def add_pod_cidrs(network_config: Mapping[str, Any], pod_cidrs: Sequence[str]) -> dict[str, Any]:
    """Return the CNI configuration kube-router leaves behind at start.

    Parameters
    ----------
    network_config : mapping
        What is there: a network or a list of plugins with a ``bridge`` among them.
    pod_cidrs : sequence of str
        From `pod_cidrs_of`.

    Returns
    -------
    dict
        A new configuration with a range set for each CIDR that was not there. None is ever taken out.

    Raises
    ------
    InvalidCidr
        A text that is no CIDR.

    Notes
    -----
    Source: ``InsertPodCidrIntoIPAMRanges`` of ``pkg/utils/cni.go``.

    Examples
    --------
    >>> config = {"type": "bridge", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.1.0/24"}]]}}
    >>> add_pod_cidrs(config, ["10.244.7.0/24", "10.244.1.0/24"])["ipam"]["ranges"]
    [[{'subnet': '10.244.1.0/24'}], [{'subnet': '10.244.7.0/24'}]]
    """
    grown: dict[str, Any] = copy.deepcopy(dict(network_config))
    bridges = [plugin for plugin in grown.get("plugins", [grown]) if plugin.get("type") == "bridge"]
    for bridge in bridges:
        ipam = bridge.setdefault("ipam", {"type": "host-local"})
        ranges = ipam.setdefault("ranges", [])
        known = {
            Cidr(str(each["subnet"]), host_bits="mask") for ranges_ in ranges for each in ranges_ if "subnet" in each
        }
        if ipam.get("subnet"):
            known.add(Cidr(str(ipam["subnet"]), host_bits="mask"))
        for text in pod_cidrs:
            cidr = Cidr(text, host_bits="mask")
            if cidr not in known:
                ranges.append([{"subnet": str(cidr)}])
                known.add(cidr)
    return grown
