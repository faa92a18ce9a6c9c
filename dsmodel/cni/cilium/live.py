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
from dsmodel.cni.cilium.multi_pool import MultiPool, read_pool
from dsmodel.cni.node_ranges import pod_cidr_columns
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from dsmodel.cni.cilium.cluster_pool import ClusterPool
    from dsmodel.cni.contract import Finding

__all__ = ["read_cilium", "read_multi_pool", "watermark_needed"]


def read_cilium(
    objects: Iterable[Mapping[str, Any]],
    *,
    operator: ClusterPool | None = None,
    ingress: bool = False,
    nodes: Sequence[str] | None = None,
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
    nodes : sequence of str, optional
        Names of the Node objects, in the order the model shall have: a CiliumNode of no Node is a finding then, and
        its CIDRs stay taken. The CiliumNodes in their order if not given.

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
    held = [cidr for row in cidrs for cidr in row]
    if nodes is not None:
        found = dict(zip(names, cidrs, strict=True))
        dead = sorted(set(found) - set(nodes))
        findings.extend(_dead_node(name, found[name]) for name in dead if found[name])
        names, cidrs = list(nodes), [found.get(name, []) for name in nodes]
        texts = [[str(cidr) for cidr in row] for row in cidrs]
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
            outside = operator.occupy(family, [cidr for cidr in held if cidr.family is family])
            text = "lies in no cluster-pool CIDR of the operator: left from another configuration"
            findings.extend(("warning", "cilium-cidr-outside-pool", f"CIDR/{cidr}", text) for cidr in outside)
    cilium.add_ranges(pod_cidr_columns(texts))
    return cilium, names, sorted(findings)


def read_multi_pool(
    objects: Iterable[Mapping[str, Any]], *, names: Sequence[str], pool: str = "default"
) -> tuple[MultiPool, list[Finding]]:
    """Build the model of one pool of a live cluster in multi-pool mode.

    Parameters
    ----------
    objects : iterable of mapping
        CiliumPodIPPools and CiliumNodes as kubectl prints them; lists are looked into, other kinds skipped.
    names : sequence of str
        The nodes, in the order of the model; one without a CiliumNode has nothing.
    pool : str, default "default"
        Name of the CiliumPodIPPool.

    Returns
    -------
    tuple of MultiPool, list of (severity, rule, object, message)
        The model with the CIDRs nodes have, nothing of them in use; and findings.

    Raises
    ------
    InvalidInput
        There is no such pool.
    InvalidField
        It breaks a rule; names the path.

    Examples
    --------
    >>> node = {"kind": "CiliumNode", "metadata": {"name": "a"},
    ...     "spec": {"ipam": {"pools": {"allocated": [{"pool": "default", "cidrs": ["10.0.0.32/27"]}]}}}}
    >>> pool = {"kind": "CiliumPodIPPool", "metadata": {"name": "default"},
    ...     "spec": {"ipv4": {"cidrs": ["10.0.0.0/24"], "maskSize": 27}}}
    >>> read_multi_pool([pool, node], names=["b", "a"])[0].node_cidrs(IPFamily.IPV4)
    [[], ['10.0.0.32/27']]
    """
    rows = _flat(objects)
    pools = dict(read_pool(each) for each in rows if each.get("kind") == "CiliumPodIPPool")
    if pool not in pools:
        raise InvalidInput(f"CiliumPodIPPool {pool!r} is not among {sorted(pools)}")
    findings: list[Finding] = []
    model, places = MultiPool(pools[pool], nodes=len(names)), {name: place for place, name in enumerate(names)}
    for each in rows:
        name = str((each.get("metadata") or {}).get("name", ""))
        if each.get("kind") != "CiliumNode":
            continue
        findings.extend(_complaints(each, name))
        cidrs = _allocated(each, name, pool, findings)
        if name not in places:
            if cidrs:
                findings.append(_dead_node(name, cidrs))
            for cidr in cidrs:
                model.operator.occupy(cidr.family, [cidr])
            continue
        text = f"is none of pool {pool}: left from another configuration"
        strangers = model.adopt(places[name], cidrs)
        findings.extend(("warning", "cilium-cidr-outside-pool", f"CIDR/{cidr}", text) for cidr in strangers)
    return model, sorted(findings)


def _allocated(node: Mapping[str, Any], name: str, pool: str, findings: list[Finding]) -> list[Cidr]:
    """Return the CIDRs a node has of a pool, as far as they can be read."""
    pools = ((node.get("spec") or {}).get("ipam") or {}).get("pools") or {}
    entries = [each.get("cidrs") or () for each in pools.get("allocated") or () if each.get("pool") == pool]
    return [Cidr(text, host_bits="mask") for text in _readable([t for row in entries for t in row], name, findings)]


def _dead_node(name: str, cidrs: Sequence[Cidr]) -> Finding:
    """Report a CiliumNode that keeps CIDRs for a node that is gone (cilium/cilium#17837)."""
    text = f"is no Node and keeps {', '.join(map(str, cidrs))}: nobody gets these CIDRs until it is deleted"
    return "warning", "cilium-node-without-node", f"CiliumNode/{name}", text


def _flat(objects: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return objects, those inside lists too."""
    rows: list[Mapping[str, Any]] = []
    for each in objects:
        rows.extend(_flat(each["items"]) if isinstance(each.get("items"), list) else [each])
    return rows


def _pod_cidrs(node: Mapping[str, Any], name: str, findings: list[Finding]) -> list[str]:
    """Return the CIDRs of a node that can be read."""
    return _readable(((node.get("spec") or {}).get("ipam") or {}).get("podCIDRs") or (), name, findings)


def _readable(texts: Iterable[object], name: str, findings: list[Finding]) -> list[str]:
    """Return the texts that are CIDRs; the others are findings."""
    good = []
    for text in texts:
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
