"""What the nodes of a GKE cluster say: who is one, which ranges they have, and whether these follow GKE's rules.

Promises the model with every node's range as it is, however many maxima of pods and pod ranges there are, and a finding
for each node whose range is not the one that its maximum of pods, its interface or the families of the cluster demand.

What it does not know: secondary ranges, which no object of the API names, and addresses of further networks.

Sources: kubernetes/cloud-provider-gcp ``pkg/controller/nodeipam/ipam/cloud_cidr_allocator.go``,
``providers/gce/gce_instances.go`` (the IPv6 address of the interface is an InternalIP, external or not); labels as GKE
sets them, kubernetes/autoscaler and GKE's documentation of node labels.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.gke.plugin import FEWEST, GKE, INTERFACE, MOST, POD_BLOCK, pod_prefix
from dsmodel.cni.node_ranges import pod_cidr_columns
from dsmodel.errors import InvalidInput
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dsmodel.cni.contract import Finding

__all__ = ["MAX_PODS", "NODE_POOL", "is_gke", "read_gke"]

NODE_POOL: Final = "cloud.google.com/gke-nodepool"
"""The label that every node of GKE has."""

MAX_PODS: Final = "cloud.google.com/gke-max-pods-per-node"
"""The label with the maximum of pods that a node's alias range was cut for."""

_SUBNET = 64  # prefix length of a subnet's IPv6 range, which is fixed
_DEFAULT_MAX_PODS = 110


def is_gke(node: Mapping[str, Any]) -> bool:
    """Tell whether a Node is one of GKE.

    Parameters
    ----------
    node : mapping
        The object as kubectl prints it.

    Returns
    -------
    bool
        By its label; a machine of Compute Engine that somebody else's installer set up has none.

    Raises
    ------
    None
        Every Node has an answer.

    Examples
    --------
    >>> is_gke({"metadata": {"labels": {NODE_POOL: "default-pool"}}}), is_gke({"spec": {"providerID": "gce://p/z/i"}})
    (True, False)
    """
    return NODE_POOL in ((node.get("metadata") or {}).get("labels") or {})


def read_gke(
    nodes: Iterable[Mapping[str, Any]],
    *,
    pod_ranges: Sequence[Cidr] = (),
    dataplane: Literal["v1", "v2"] = "v1",
) -> tuple[GKE | None, list[str], list[Finding]]:
    """Build the model of a live cluster from its nodes.

    Parameters
    ----------
    nodes : iterable of mapping
        Node objects as kubectl prints them: labels, ``spec.podCIDRs``, ``status.addresses``, ``status.allocatable``.
    pod_ranges : sequence of Cidr
        IPv4 secondary ranges for pods, where they are known. Nodes outside them, or all, get the smallest range that
        covers them.
    dataplane : {"v1", "v2"}
        Whose rules apply inside a node.

    Returns
    -------
    tuple of GKE or None, list of str, list of (severity, rule, object, message)
        The model, None where no node has a podCIDR; the nodes' names in its order; findings.

    Raises
    ------
    None
        What cannot be read is a finding.

    Notes
    -----
    Source: ``updateCIDRAllocation`` of ``pkg/controller/nodeipam/ipam/cloud_cidr_allocator.go``.

    Examples
    --------
    >>> labels = {NODE_POOL: "default-pool", MAX_PODS: "110"}
    >>> node = {"metadata": {"name": "a", "labels": labels}, "spec": {"podCIDRs": ["10.4.1.0/26"]}}
    >>> gke, names, findings = read_gke([node], pod_ranges=[Cidr("10.4.0.0/14")])
    >>> gke.max_nodes, [finding[:3] for finding in findings]
    (1024, [('error', 'gke-block-not-of-max-pods', 'Node/a')])
    """
    names: list[str] = []
    blocks: list[dict[IPFamily, Cidr]] = []
    maxima: list[int] = []
    findings: list[Finding] = []
    addresses: list[Cidr | None] = []
    for node in nodes:
        about = f"Node/{(node.get('metadata') or {}).get('name', '')}"
        names.append(about.removeprefix("Node/"))
        blocks.append(_blocks(node, about, findings))
        maxima.append(_max_pods(node))
        addresses.append(_interface(node))
    families = {family for each in blocks for family in each}
    if not families:
        return None, names, sorted(findings)
    usual = _usual(maxima)
    subnet = _subnet(addresses, blocks) if IPFamily.IPV6 in families else None
    for name, each, most, address in zip(names, blocks, maxima, addresses, strict=True):
        problems = [*_judge(each, most, address), *_lacking(each, families)]
        if subnet is not None and IPFamily.IPV6 in each and each[IPFamily.IPV6] not in subnet:
            text = f"{each[IPFamily.IPV6]} lies in another subnet than {subnet}; only that of most nodes is counted"
            problems.append(("info", "gke-node-in-another-subnet", text))
        findings += [(severity, rule, f"Node/{name}", text) for severity, rule, text in problems]
    held = [each[IPFamily.IPV4] for each in blocks if IPFamily.IPV4 in each]
    ranges = _pod_ranges(pod_ranges, held, int(pod_prefix(usual)), findings)
    gke = GKE(ranges, ipv6_subnet=subnet, max_pods=usual, dataplane=dataplane)
    columns = pod_cidr_columns([[str(cidr) for cidr in each.values()] for each in blocks])
    gke.add_ranges({family: columns[family] for family in gke.ranges})
    gke.max_pods = max(most for most in (usual, *maxima) if most <= MOST)
    return gke, names, sorted(findings)


def _blocks(node: Mapping[str, Any], about: str, findings: list[Finding]) -> dict[IPFamily, Cidr]:
    """Read a node's podCIDRs, the first of each family."""
    spec = node.get("spec") or {}
    found: dict[IPFamily, Cidr] = {}
    for text in spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else ()):
        try:
            cidr = Cidr(str(text), host_bits="mask")
        except InvalidInput as error:
            findings.append(("error", "gke-invalid-pod-cidr", about, str(error)))
            continue
        found.setdefault(cidr.family, cidr)
    return found


def _max_pods(node: Mapping[str, Any]) -> int:
    """Return how many pods a node admits; 0 where it does not say."""
    admitted = ((node.get("status") or {}).get("allocatable") or {}).get("pods")
    label = ((node.get("metadata") or {}).get("labels") or {}).get(MAX_PODS)
    texts = [str(text) for text in (admitted, label) if text is not None]
    return next((int(text) for text in texts if text.isascii() and text.isdigit() and 0 < len(text) < 10), 0)


def _interface(node: Mapping[str, Any]) -> Cidr | None:
    """Return the IPv6 /96 of a node's interface."""
    for entry in (node.get("status") or {}).get("addresses") or ():
        text = str(entry.get("address", ""))
        if entry.get("type") == "InternalIP" and ":" in text:
            try:
                return Cidr(f"{text}/{INTERFACE}", host_bits="mask")
            except InvalidInput:
                return None  # the reader of nodes says so
    return None


def _usual(maxima: Sequence[int]) -> int:
    """Return the maximum of pods that most nodes have, of those that GKE has; the larger one of two."""
    counts = Counter(most for most in maxima if FEWEST <= most <= MOST)
    return min(counts, key=lambda most: (-counts[most], -most)) if counts else _DEFAULT_MAX_PODS


def _subnet(addresses: Sequence[Cidr | None], blocks: Sequence[Mapping[IPFamily, Cidr]]) -> Cidr:
    """Return the IPv6 range of the subnet that most nodes are in."""
    parts = [each[IPFamily.IPV6] for each in blocks if IPFamily.IPV6 in each]
    parts = parts or [address for address in addresses if address is not None]
    counts = Counter(part.supernet(min(part.prefix_length, _SUBNET)) for part in parts)
    return min(counts, key=lambda cidr: (-counts[cidr], cidr))


def _judge(
    blocks: Mapping[IPFamily, Cidr], most: int, interface: Cidr | None
) -> Iterable[tuple[Literal["error", "warning", "info"], str, str]]:
    """Compare a node's blocks with the rules."""
    block = blocks.get(IPFamily.IPV4)
    if most and not FEWEST <= most <= MOST:
        yield "warning", "gke-invalid-max-pods", f"admits {most} pods; GKE has {FEWEST} to {MOST} a node"
    elif most and block is not None:
        wanted = int(pod_prefix(most))
        text = f"has {block}, and {most} pods take a /{wanted}"
        if block.prefix_length > wanted and block.size < most:
            fewer = f"at most {block.size} of them get an address; lower the kubelet's maximum, or recreate the node"
            yield "error", "gke-block-not-of-max-pods", f"{text}: {fewer}"
        elif block.prefix_length > wanted:
            rest = "less than twice as many addresses, so one that a pod gives back cannot rest; recreate the node"
            yield "warning", "gke-block-not-of-max-pods", f"{text}: {rest}"
        elif block.prefix_length < wanted:
            spare = f"{1 << (wanted - block.prefix_length)} nodes of this maximum fit in what it holds"
            yield "info", "gke-block-not-of-max-pods", f"{text}: {spare}"
    block = blocks.get(IPFamily.IPV6)
    if block is not None and block.prefix_length != POD_BLOCK:
        yield "warning", "gke-ipv6-block-not-of-interface", f"has {block}, and GKE gives pods a /{POD_BLOCK}"
    elif block is not None and interface is not None and block.first != interface.first:
        first = Cidr.from_parts(IPFamily.IPV6, interface.first, POD_BLOCK)
        text = f"has {block}, and the first /{POD_BLOCK} of its interface's {interface} is {first}"
        yield "warning", "gke-ipv6-block-not-of-interface", text


def _lacking(blocks: Mapping[IPFamily, Cidr], families: set[IPFamily]) -> Iterable[tuple[Literal["error"], str, str]]:
    """Find families that others have; a node without any is found by who looks at plugins."""
    if blocks and len(blocks) < len(families):
        lacking = next(iter(families - set(blocks)))
        text = f"has no {lacking} podCIDR as other nodes have; it is older than the family: recreate the node"
        yield "error", "gke-node-lacks-family", text


def _pod_ranges(given: Sequence[Cidr], held: Sequence[Cidr], prefix: int, findings: list[Finding]) -> list[Cidr]:
    """Return the pod ranges, and the smallest one around nodes that lie in none."""
    ranges = [cidr for cidr in given if cidr.family is IPFamily.IPV4 and cidr.prefix_length <= prefix]
    outside = [cidr for cidr in held if not any(cidr in each for each in ranges)]
    if not outside:
        return ranges
    first, last = min(cidr.first for cidr in outside), max(cidr.last for cidr in outside)
    length = min(prefix, IPFamily.IPV4.bits - (first ^ last).bit_length())
    cover = Cidr.from_parts(IPFamily.IPV4, first, length, host_bits="mask")
    if any(cover.overlaps(each) for each in ranges):
        known = ", ".join(map(str, ranges))
        text = f"alias ranges of {counted(len(outside), 'node')} lie outside {known}, and count nowhere"
        findings.append(("warning", "gke-nodes-outside-pod-ranges", "Cluster", text))
        return ranges
    why = "no object names secondary ranges" if not ranges else "they have an additional pod range"
    text = (
        f"alias ranges of {counted(len(outside), 'node')} are taken to be of {cover}, the smallest range around them; "
        "it may be larger"
    )
    way = "read what gcloud container clusters describe says under ipAllocationPolicy, and give it as cluster_cidrs"
    findings.append(("info", "gke-pod-ranges-not-known", "Cluster", f"{text}: {why}; {way}"))
    return [*ranges, cover]
