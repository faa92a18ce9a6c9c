"""The network plugins of clouds in a cluster that was read: GKE's, AWS VPC CNI, Azure CNI, and Cilium on a cloud.

Promises that a managed cluster is not taken for host-local on podCIDRs: it is recognised by its agents, its objects and
the labels of its nodes. Where the API holds the ranges of nodes (GKE, an overlay of Azure) the model is filled; where
it holds what nodes have (NodeNetworkConfigs, CiliumNodes) that is counted; where it holds nothing, a finding says so,
and which function takes what the node itself or the cloud says.

What it does not know: subnets, and who else is in them.

Sources: kubernetes/cloud-provider-gcp, aws/amazon-vpc-cni-k8s ``config/master/aws-k8s-cni.yaml`` and
``pkg/ipamd/ipamd.go``, Azure/azure-container-networking ``crd/nodenetworkconfig/api/v1alpha`` and its troubleshooting
notes (labels ``podnetwork-type``), cilium/cilium ``pkg/ipam/types/types.go``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dsmodel.addresses.arrays import addresses_in
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.cluster.live_nodes import node_objects, occupy_pods, pod_families
from dsmodel.cni import aws, azure
from dsmodel.cni.aws import WarmTargets
from dsmodel.cni.azure import AzureOverlay
from dsmodel.cni.cilium.agent import PROVENANCE as CILIUM
from dsmodel.cni.contract import Certainty, Provenance
from dsmodel.cni.elsewhere import Elsewhere
from dsmodel.cni.gke import is_gke, read_gke
from dsmodel.cni.node_ranges import pod_cidr_columns
from dsmodel.errors import InvalidField, InvalidInput
from dsmodel.kube.command_lines import TRUE_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster
    from dsmodel.cni.contract import Finding, NetworkPlugin

__all__ = ["is_served_by_cloud", "read_aws", "read_azure", "read_cilium_cloud", "read_gke_nodes", "read_kube_ovn"]

_Found = tuple["NetworkPlugin | None", "list[Finding]"]

_AKS = "kubernetes.azure.com/cluster"
_AZURE_NETWORK = "kubernetes.azure.com/podnetwork-type"
_AZURE_OVERLAY = "kubernetes.azure.com/azure-cni-overlay"
_EKS = "eks.amazonaws.com/"
_KUBE_OVN = Provenance("kube-ovn", Certainty.FROM_SOURCE, "not modelled", ("pkg/ipam/subnet.go",))


# GKE ---------------------------------------------------------------------------------------------------------------


def read_gke_nodes(cluster: Cluster) -> _Found:
    """Read GKE's ranges from its nodes.

    Parameters
    ----------
    cluster : Cluster
        With ``objects``.

    Returns
    -------
    GKE or None
        None where no node is one of GKE's, or none has a podCIDR.
    list of (severity, rule, object, message)
        What is unsound.

    Raises
    ------
    None
        What cannot be read is a finding.
    """
    nodes = node_objects(cluster)
    if not any(is_gke(node) for node in nodes):
        return None, []
    known = not cluster.config.evidence.get("cluster_cidrs", "").startswith("guess")
    ranges = [cidr for cidr in cluster.config.cluster_cidrs if known and cidr.family is IPFamily.IPV4]
    dataplane, findings = _dataplane(cluster)
    gke, _, found = read_gke(nodes, pod_ranges=ranges, dataplane=dataplane)
    if gke is not None:
        occupy_pods(cluster, gke)
    return gke, findings + found


def _dataplane(cluster: Cluster) -> tuple[Literal["v1", "v2"], list[Finding]]:
    """Tell Dataplane V2, whose agent anetd is Cilium's, from the first one, which has kube-proxy."""
    if cluster.objects.agent("cilium-agent") is not None or cluster.objects.of("CiliumNode", "cilium.io"):
        return "v2", []
    if cluster.objects.agent("kube-proxy") is not None:
        return "v1", []
    text = "neither Pods of anetd nor of kube-proxy are in the dump: addresses in a node are counted as of dataplane v1"
    return "v1", [("info", "gke-dataplane-not-known", "Cluster", f"{text}, 253 of a /24; v2 has one more")]


# AWS ---------------------------------------------------------------------------------------------------------------


def read_aws(cluster: Cluster) -> _Found:
    """Recognise AWS VPC CNI, whose addresses are in EC2 and on its nodes.

    Parameters
    ----------
    cluster : Cluster
        With ``objects``.

    Returns
    -------
    Elsewhere or None
        None where it does not run.
    list of (severity, rule, object, message)
        What is missing, and which settings ipamd would refuse.

    Raises
    ------
    None
        What cannot be read is a finding.
    """
    agent = cluster.objects.agent("aws-node")
    marked = bool(cluster.objects.of("CNINode")) or any(
        key.startswith(_EKS) for node in node_objects(cluster) for key in node["metadata"]["labels"]
    )
    if agent is None and not (marked and not _has_pod_cidrs(cluster)):
        return None, []
    env = dict(agent.env) if agent is not None else {}
    words, findings = _aws_settings(env) if agent is not None else ("its settings are not in the dump", [])
    text = (
        f"pods get addresses of VPC subnets from aws-node, not of podCIDRs ({words}); which ones nodes hold warm, and "
        "what is free in a subnet, no object says: read http://localhost:61679/v1/enis of a node with "
        "dsmodel.cni.aws.read_interfaces, /var/run/aws-node/ipam.json with read_checkpoint, and model subnets by "
        "dsmodel.cni.AwsVpcCni"
    )
    findings.append(("info", "aws-state-not-in-dump", "Cluster", text))
    return _elsewhere(cluster, aws.PROVENANCE), findings


def _aws_settings(env: Mapping[str, str]) -> tuple[str, list[Finding]]:
    """Say what aws-node is set to, and what its ipamd refuses of it."""
    about = "DaemonSet/kube-system/aws-node"
    findings: list[Finding] = []
    switches = {name: _is_true(env.get(name, "")) for name in ("ENABLE_PREFIX_DELEGATION", "ENABLE_IPv6")}
    ipv4 = _is_true(env.get("ENABLE_IPv4", "true"))
    numbers: dict[str, Any] = {}
    names = {
        "warm_eni": "WARM_ENI_TARGET",
        "warm_prefix": "WARM_PREFIX_TARGET",
        "warm_ip": "WARM_IP_TARGET",
        "minimum_ip": "MINIMUM_IP_TARGET",
    }
    for field, name in names.items():
        text = env.get(name, "").strip()
        if text.isascii() and text.lstrip("-").isdigit() and len(text) < 10:
            numbers[field] = int(text)
        elif text:
            findings.append(("error", "aws-invalid-setting", about, f"{name}={text!r} is no whole number"))
    if ipv4 and switches["ENABLE_IPv6"]:
        text = "ENABLE_IPv4 and ENABLE_IPv6 are both on: pods have one family, so ipamd does not start"
        findings.append(("error", "aws-invalid-setting", about, text))
    if switches["ENABLE_IPv6"] and not switches["ENABLE_PREFIX_DELEGATION"]:
        text = "ENABLE_IPv6 without ENABLE_PREFIX_DELEGATION: IPv6 addresses come from a /80 prefix only"
        findings.append(("error", "aws-invalid-setting", about, text))
    try:
        replace(WarmTargets(), **numbers, prefixes=switches["ENABLE_PREFIX_DELEGATION"])
    except InvalidField as error:
        findings.append(("error", "aws-invalid-setting", about, str(error)))
    told = [f"{name}={env[name]}" for name in sorted({*names.values(), *switches, "ENABLE_IPv4"}) if name in env]
    if _is_true(env.get("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "")):
        told.append("subnets of ENIConfigs")
    return ", ".join(told) or "all settings are the defaults", findings


def _is_true(text: str) -> bool:
    """Read a switch as Go's strconv.ParseBool does."""
    return text in TRUE_WORDS


# Azure -------------------------------------------------------------------------------------------------------------


def read_azure(cluster: Cluster) -> _Found:
    """Read blocks of an overlay, and what nodes hold of a subnet; recognise a node subnet, of which nothing is told.

    Parameters
    ----------
    cluster : Cluster
        With ``objects``.

    Returns
    -------
    AzureOverlay, AzureSubnet, Elsewhere or None
        None where Azure CNI does not run; kubenet on AKS is host-local on podCIDRs.
    list of (severity, rule, object, message)
        What is unsound and what is missing.

    Raises
    ------
    None
        What cannot be read is a finding.
    """
    configs = cluster.objects.of("NodeNetworkConfig", "acn.azure.com")
    nodes = node_objects(cluster)
    labels = [node["metadata"]["labels"] for node in nodes]
    kinds = {text for each in labels if (text := _azure_kind(each))}
    if not configs and not kinds and not (any(_AKS in each for each in labels) and not _has_pod_cidrs(cluster)):
        return None, []
    findings: list[Finding] = []
    blocks: dict[str, list[str]] = {}
    for each in configs:
        usage, _, found = azure.read_node(each)
        findings += found
        blocks[_name(each)] = [line.range for line in usage if line.pool == "overlay"]
    if "overlay" in kinds and not any(blocks.values()):
        blocks = {node["metadata"]["name"]: node["spec"].get("podCIDRs") or [] for node in nodes}
        text = "NodeNetworkConfigs are not in the dump: blocks of the overlay are taken from nodes' podCIDRs"
        findings.append(("info", "azure-blocks-from-pod-cidrs", "Cluster", text))
    columns = pod_cidr_columns([blocks.get(node["metadata"]["name"], []) for node in nodes])
    families = [family for family in IPFamily if columns[family][1].any()]
    if families:
        overlay = AzureOverlay(families)
        overlay.add_ranges({family: columns[family] for family in families})
        occupy_pods(cluster, overlay)
        return overlay, findings
    subnet, found = azure.read_subnet(configs, names=cluster.nodes["name"].tolist())
    if subnet is not None:
        occupy_pods(cluster, subnet)
        text = "a subnet is counted as the nodes of this dump hold it; what others hold in it no object says"
        return subnet, [*findings, *found, ("info", "azure-subnet-of-others", "Cluster", text)]
    text = (
        "pods get addresses of a subnet of the virtual network from Azure CNI, not of podCIDRs, and the dump has "
        "neither the subnet nor what nodes hold of it; read NodeNetworkConfigs (kubectl get nodenetworkconfigs -A -o "
        "json) with the dump or by dsmodel.cni.azure.read_node, and model a node subnet by dsmodel.cni.AzureSubnet"
    )
    findings.append(("info", "azure-state-not-in-dump", "Cluster", text))
    return _elsewhere(cluster, azure.PROVENANCE), findings


def _azure_kind(labels: Mapping[str, str]) -> str:
    """Return how pods on a node get addresses: overlay, vnet or vnetblock; empty where the labels do not say."""
    if labels.get(_AZURE_OVERLAY) == "true":
        return "overlay"
    return labels.get(_AZURE_NETWORK, "")


# Cilium on a cloud -------------------------------------------------------------------------------------------------


def read_cilium_cloud(cluster: Cluster, *, mode: str) -> _Found:
    """Read what nodes hold where Cilium fetches addresses from a cloud.

    Parameters
    ----------
    cluster : Cluster
        With CiliumNodes that have no podCIDRs.
    mode : str
        ``ipam`` of its configuration.

    Returns
    -------
    Elsewhere
        With the addresses of ``spec.ipam.pool``.
    list of (severity, rule, object, message)
        What is missing.

    Raises
    ------
    None
        Every CiliumNode has an answer.
    """
    found = {_name(each): each for each in cluster.objects.of("CiliumNode", "cilium.io")}
    texts = []
    for name in cluster.nodes["name"].tolist():
        ipam = (found.get(name, {}).get("spec") or {}).get("ipam") or {}
        pool = ipam.get("pool")
        texts.append((sorted(map(str, pool)) if isinstance(pool, dict) else [], 0))
    held = _held(cluster, texts)
    what = "only what nodes hold" if held else "nothing of them"
    text = (
        f"no CiliumNode has spec.ipam.podCIDRs: ipam is {mode}, whose addresses come from the cloud; the dump "
        f"has {what}, and what is free in its subnets only the cloud says"
    )
    return _elsewhere(cluster, CILIUM, held), [("info", "cilium-state-not-in-dump", "Cluster", text)]


# others ------------------------------------------------------------------------------------------------------------


def read_kube_ovn(cluster: Cluster) -> _Found:
    """Recognise Kube-OVN, which is not modelled.

    Parameters
    ----------
    cluster : Cluster
        With ``objects``.

    Returns
    -------
    Elsewhere or None
        None where it does not run.
    list of (severity, rule, object, message)
        That it is not modelled.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    if cluster.objects.agent("kube-ovn-cni") is None:
        return None, []
    text = "pods get addresses of Kube-OVN's Subnets, not of podCIDRs, and how it hands them out is not modelled"
    return _elsewhere(cluster, _KUBE_OVN), [("info", "kube-ovn-not-modelled", "Cluster", text)]


def is_served_by_cloud(cluster: Cluster) -> bool:
    """Tell whether an agent of a cloud gives pods their addresses, whatever else is installed.

    Parameters
    ----------
    cluster : Cluster
        With ``objects``.

    Returns
    -------
    bool
        By AWS's agent and Azure's objects.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    objects = cluster.objects
    return objects.agent("aws-node") is not None or bool(objects.of("NodeNetworkConfig", "acn.azure.com"))


def _elsewhere(
    cluster: Cluster, provenance: Provenance, held: Mapping[IPFamily, NDArray[np.int64]] | None = None
) -> Elsewhere:
    """Make the stand-in of a plugin whose pools are elsewhere."""
    families = list(held) if held else pod_families(cluster)
    return Elsewhere(provenance, families, nodes=len(cluster.nodes), held=held)


def _held(cluster: Cluster, texts: Iterable[tuple[list[str], int]]) -> dict[IPFamily, NDArray[np.int64]]:
    """Count the addresses of each node, those that pods show, and those on their way back."""
    pods_of = {end: _pods_by_node(cluster, end) for end in ENDS.values()}
    found: dict[IPFamily, NDArray[np.int64]] = {}
    for row, (listed, leaving) in enumerate(texts):
        for family, end in ENDS.items():
            mine = [text for text in listed if (":" in text) is (family is IPFamily.IPV6)]
            cidrs = [cidr for text in mine if (cidr := _cidr(text)) is not None]
            if not cidrs:
                continue
            used = int(np.count_nonzero(addresses_in(pods_of[end][row], cidrs)))
            counts = found.setdefault(family, np.zeros((len(cluster.nodes), 3), np.int64))
            counts[row] = sum(cidr.size for cidr in cidrs), used, leaving
    return found


def _pods_by_node(cluster: Cluster, end: str) -> list[NDArray[Any]]:
    """Return the addresses that pods of each node hold, sorted once for all nodes."""
    pods = cluster.pods
    rows = np.flatnonzero(pods[f"has_pod_{end}"] & pods["holds_address"] & (pods["node"] >= 0))
    rows = rows[np.argsort(pods["node"][rows], kind="stable")]
    bounds = np.searchsorted(pods["node"][rows], np.arange(1, len(cluster.nodes)))
    return np.split(pods[f"pod_{end}"][rows], bounds)


def _cidr(text: str) -> Cidr | None:
    """Read an address or a range; None for neither."""
    try:
        return Cidr.of(text, host_bits="mask")
    except InvalidInput:
        return None


def _has_pod_cidrs(cluster: Cluster) -> bool:
    """Tell whether a node has a podCIDR."""
    return bool(cluster.nodes["has_pod_cidr_ipv4"].any() or cluster.nodes["has_pod_cidr_ipv6"].any())


def _name(item: Mapping[str, Any]) -> str:
    """Return an object's name."""
    return str((item.get("metadata") or {}).get("name", ""))
