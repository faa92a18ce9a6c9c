"""A live cluster's CiliumNode objects, read into a model, and the watermark arithmetic of the cloud modes.

Promises node CIDRs of cluster-pool and kubernetes mode by name, what the operator complains about, and nodes that have
one family's CIDRs and wait for the other's.

It does not know which addresses are in use: CiliumNode does not say in these modes; occupy the pods' addresses.

Sources: cilium/cilium ``pkg/ipam/types/types.go``, ``pkg/ipam/node.go``,
``Documentation/network/concepts/ipam/eni.rst``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.cilium.agent import Cilium
from dsmodel.cni.node_ranges import pod_cidr_columns
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from dsmodel.cni.cilium.cluster_pool import ClusterPool
    from dsmodel.cni.contract import Finding

__all__ = ["read_cilium", "watermark_needed"]


def read_cilium(
    objects: Iterable[Mapping[str, Any]], *, operator: ClusterPool | None = None, ingress: bool = False
) -> tuple[Cilium, list[str], list[Finding]]:
    """Build the model of a live cluster from its CiliumNodes.

    Parameters
    ----------
    objects : iterable of mapping
        As ``kubectl get ciliumnodes -o json`` prints them; lists are looked into, other kinds skipped.
    operator : ClusterPool, optional
        With the CIDRs of the operator's configuration; what nodes have is occupied in it.
    ingress : bool
        The ingress controller takes an address too.

    Returns
    -------
    tuple of Cilium, list of str, list of (severity, rule, object, message)
        The model, the nodes' names in its order, and findings.

    Raises
    ------
    InvalidInput
        No CiliumNode has a CIDR.

    Examples
    --------
    >>> node = {"kind": "CiliumNode", "metadata": {"name": "a"}, "spec": {"ipam": {"podCIDRs": ["10.0.3.0/24"]}}}
    >>> cilium, names, findings = read_cilium([{"kind": "List", "items": [node]}])
    >>> names, cilium.usage()[0].usable, findings
    (['a'], 252, [])
    """
    names: list[str] = []
    texts: list[list[str]] = []
    findings: list[Finding] = []
    for each in _flat(objects):
        if each.get("kind") == "CiliumNode":
            names.append(str((each.get("metadata") or {}).get("name", "")))
            texts.append(_pod_cidrs(each, names[-1], findings))
            findings.extend(_complaints(each, names[-1]))
    cidrs = [[Cidr(text, host_bits="mask") for text in row] for row in texts]
    families = [family for family in IPFamily if any(cidr.family is family for row in cidrs for cidr in row)]
    if not families:
        raise InvalidInput(
            "no CiliumNode has spec.ipam.podCIDRs: nothing to model; is this multi-pool or a cloud mode?"
        )
    for name, row in zip(names, cidrs, strict=True):
        missing = [str(family) for family in families if all(cidr.family is not family for cidr in row)]
        if missing:
            text = f"has no CIDR of {' and '.join(missing)}; pods that need both families wait"
            findings.append(("error", "cilium-node-lacks-family", f"CiliumNode/{name}", text))
    cilium = Cilium(families, operator=operator, ingress=ingress)
    if operator is not None:
        for family in families:
            outside = operator.occupy(family, [cidr for row in cidrs for cidr in row if cidr.family is family])
            text = "lies in no cluster-pool CIDR of the operator: left from another configuration"
            findings.extend(("warning", "cilium-cidr-outside-pool", f"CIDR/{cidr}", text) for cidr in outside)
    cilium.add_ranges(pod_cidr_columns(texts))
    return cilium, names, sorted(findings)


def _flat(objects: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return objects, those inside lists too."""
    rows: list[Mapping[str, Any]] = []
    for each in objects:
        rows.extend(_flat(each["items"]) if isinstance(each.get("items"), list) else [each])
    return rows


def _pod_cidrs(node: Mapping[str, Any], name: str, findings: list[Finding]) -> list[str]:
    """Return the CIDRs of a node that can be read."""
    good = []
    for text in ((node.get("spec") or {}).get("ipam") or {}).get("podCIDRs") or ():
        try:
            Cidr(str(text), host_bits="mask")
        except InvalidInput as error:
            findings.append(("error", "cilium-invalid-cidr", f"CiliumNode/{name}", str(error)))
        else:
            good.append(str(text))
    return good


def _complaints(node: Mapping[str, Any], name: str) -> list[Finding]:
    """Return what the operator says about a node, and multi-pool demands it has not met."""
    ipam = (node.get("status") or {}).get("ipam") or {}
    found: list[Finding] = []
    if error := (ipam.get("operator-status") or {}).get("error"):
        found.append(("error", "cilium-operator-error", f"CiliumNode/{name}", str(error)))
    pools = ((node.get("spec") or {}).get("ipam") or {}).get("pools") or {}
    allocated = {str(each.get("pool")): each.get("cidrs") or [] for each in pools.get("allocated") or ()}
    for each in pools.get("requested") or ():
        cidrs = [str(text) for text in allocated.get(str(each.get("pool")), [])]
        for key, is_ipv6 in (("ipv4-addrs", False), ("ipv6-addrs", True)):
            wanted = (each.get("needed") or {}).get(key) or 0
            if wanted and not any((":" in text) is is_ipv6 for text in cidrs):
                text = f"asks pool {each.get('pool')} for {wanted} {key} and has no such CIDR; its pods wait"
                found.append(("error", "cilium-demand-not-met", f"CiliumNode/{name}", text))
    return found


def watermark_needed(
    available: ArrayLike,
    used: ArrayLike,
    *,
    pre_allocate: int = 8,
    min_allocate: int = 0,
    max_allocate: int = 0,
    max_above_watermark: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many addresses nodes lack and have too many of, in ENI and Azure mode.

    Parameters
    ----------
    available : array of integers
        Addresses each node has, used ones included.
    used : array of integers
        Of these, in use.
    pre_allocate, min_allocate, max_allocate, max_above_watermark : int
        ``spec.ipam`` of the CiliumNode; ``max_allocate`` 0 is no limit.

    Returns
    -------
    tuple of ndarray of int64
        Needed, and excess; never negative.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Notes
    -----
    Source: ``calculateNeededIPs`` and ``calculateExcessIPs`` of ``pkg/ipam/node.go``.

    Examples
    --------
    >>> watermark_needed([8, 8, 30], [0, 5, 5])
    (array([0, 5, 0]), array([ 0,  0, 17]))
    """
    has, busy = np.asarray(available, np.int64), np.asarray(used, np.int64)
    needed = np.maximum(pre_allocate - (has - busy), min_allocate - has)
    if max_allocate:
        needed = np.minimum(needed, max_allocate - has)
    excess = has - busy - pre_allocate - max_above_watermark
    if min_allocate:
        excess = np.minimum(excess, has - min_allocate - max_above_watermark)
    return np.maximum(needed, 0), np.maximum(excess, 0)
