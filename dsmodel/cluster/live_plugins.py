"""The network plugin of a cluster that was read: recognised by its objects, and filled from them.

Promises the plugin whose addresses the pods show, its nodes in the order of the cluster's, with what its own objects
say is allocated, at rest and reserved; where they do not say, with the addresses of the pods. What is unsound about
these objects is a finding: allocations whose pod is gone, nodes that are gone and keep ranges, and whatever the
plugin's own reader finds.

What it does not know: plugins whose state lies outside the API. Of AWS and of Azure's node subnets a dump holds no
addresses (a node's introspection endpoint does: `dsmodel.cni.aws.read_interfaces`); of Calico without its blocks only
what pods show. A pool of Whereabouts or Antrea serves beside the first network unless pods show its addresses. Blocks
of nodes that are gone count as nobody's, as they will once kube-controllers has noticed.

Sources: those of the plugins' readers; the list of kinds and annotations to import in projectcalico/calico
``design/ipam/ipam-datastore.md``, cilium/cilium ``pkg/ipam/types/types.go``, ovn-org/ovn-kubernetes
``go-controller/pkg/util/subnet_annotations.go``, flannel-io/flannel ``pkg/subnet/kube/annotations.go``.
"""

from __future__ import annotations

import copy
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cluster.live_clouds import (
    is_served_by_cloud,
    read_aws,
    read_azure,
    read_cilium_cloud,
    read_gke_nodes,
    read_kube_ovn,
)
from dsmodel.cluster.live_nodes import has_addresses_in, node_objects, occupy_pods, on_pod_cidrs
from dsmodel.cluster.object_shapes import well_shaped
from dsmodel.cluster.objects import NetworkObjects
from dsmodel.cni.antrea import Antrea
from dsmodel.cni.antrea import read_pool as read_antrea_pool
from dsmodel.cni.calico import read_calico
from dsmodel.cni.cilium import ClusterPool, read_cilium, read_multi_pool
from dsmodel.cni.flannel import PUBLIC_IP, read_flannel, read_net_conf
from dsmodel.cni.gke import is_gke
from dsmodel.cni.kube_router import KubeRouter, pod_cidrs_of
from dsmodel.cni.ovn import NODE_SUBNETS, read_ovn
from dsmodel.cni.whereabouts import read_whereabouts
from dsmodel.errors import DsmodelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dsmodel.cluster.state import Cluster
    from dsmodel.cni.contract import Finding, NetworkPlugin

__all__ = ["plugin_from_objects"]

_CALICO = ("crd.projectcalico.org", "projectcalico.org")
_CALICO_KINDS = (
    "IPPool",
    "IPAMBlock",
    "BlockAffinity",
    "IPAMHandle",
    "IPAMConfig",
    "IPAMConfiguration",
    "IPReservation",
)
_ENDS = {IPFamily.IPV4: "ipv4", IPFamily.IPV6: "ipv6"}
_NAMED = 100  # allocations named for one rule before the rest is only counted

_Found = tuple["NetworkPlugin | None", "list[Finding]"]


def plugin_from_objects(cluster: Cluster) -> tuple[NetworkPlugin | None, list[Finding]]:
    """Recognise a read cluster's network plugin and fill it from the objects of the dump.

    Parameters
    ----------
    cluster : Cluster
        With tables and ``objects``.

    Returns
    -------
    NetworkPlugin or None
        None where no plugin with pools of its own shows: host-local on podCIDRs, or one whose state is not in the API.
    list of (severity, rule, object, message)
        What is unsound about the plugin's objects.

    Raises
    ------
    None
        Objects that cannot be read are findings.

    Examples
    --------
    >>> from dsmodel import examples
    >>> plugin_from_objects(examples.kubeadm_dual_stack())
    (None, [])
    """
    sound, findings = well_shaped(each for objects in cluster.objects.groups.values() for each in objects)
    if findings:
        cluster = copy.copy(cluster)
        cluster.objects = NetworkObjects().adding(sound)
    chosen: NetworkPlugin | None = None
    for read in (*_FIRST, *_BESIDE):
        if chosen is not None and read in _FIRST:
            continue  # one network comes first; what another one has left behind says nothing
        try:
            plugin, found = read(cluster)
        except DsmodelError as error:
            name = read.__name__.lstrip("_").removeprefix("read_").replace("_", "-")
            findings.append(("error", "plugin-objects-unreadable", f"Plugin/{name}", str(error)))
            continue
        findings += found
        chosen = plugin if chosen is None else chosen
    return chosen, sorted(findings)


# Calico ------------------------------------------------------------------------------------------------------------


def _read_calico(cluster: Cluster) -> _Found:
    """Read Calico IPAM, unless its CNI configuration leaves addresses to host-local."""
    objects = cluster.objects
    pools = objects.of("IPPool", *_CALICO)
    network = (objects.config_map("kube-system", "calico-config") or {}).get("cni_network_config", "")
    if not pools or '"host-local"' in network.replace(" ", ""):
        return None, []
    state = [each for kind in _CALICO_KINDS for each in objects.of(kind, *_CALICO)]
    blocks = objects.of("IPAMBlock", *_CALICO)
    sizes = [cidr for family in IPFamily for cidr, _ in _block_sizes(pools, family)]
    if is_served_by_cloud(cluster) and not blocks and not has_addresses_in(cluster, sizes):
        return None, []  # Calico's policies beside the plugin of the cloud
    findings: list[Finding] = []
    if not blocks:
        state += _blocks_of_pods(cluster, pools)
        text = "the dump holds IPPools and no IPAMBlocks: blocks and their owners are taken from the pods' addresses"
        findings.append(("info", "calico-blocks-not-in-dump", "Cluster", text))
    calico, found = read_calico([*node_objects(cluster), *state])
    findings += found
    if calico.nodes > len(cluster.nodes):
        calico.remove_nodes(np.arange(len(cluster.nodes), calico.nodes))
    held = [entry for block in blocks for entry in _held_in_block(block)]
    return calico, findings + _leaks(cluster, "calico-address-leaked", held)


def _blocks_of_pods(cluster: Cluster, pools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Make the blocks that pods' addresses show; each belongs to the node with most of its pods."""
    pods, names = cluster.pods, cluster.nodes["name"].tolist()
    holders: dict[Cidr, dict[int, str]] = defaultdict(dict)
    for family, end in _ENDS.items():
        sizes = _block_sizes(pools, family)
        rows = np.flatnonzero(pods[f"has_pod_{end}"] & pods["holds_address"] & (pods["node"] >= 0))
        nodes = pods["node"][rows].tolist()
        for address, node in zip(to_integers(pods[f"pod_{end}"][rows]), nodes, strict=True):
            for cidr, length in sizes:
                if cidr.first <= address <= cidr.last:
                    block = Cidr.from_parts(family, address, length, host_bits="mask")
                    holders[block][address - block.first] = names[node]
                    break
    return [_block(cidr, held) for cidr, held in sorted(holders.items())]


def _block_sizes(pools: Sequence[Mapping[str, Any]], family: IPFamily) -> list[tuple[Cidr, int]]:
    """Return the range and block length of each pool of a family that can be read."""
    sizes = []
    for each in pools:
        spec = each.get("spec") or {}
        try:
            cidr = Cidr(str(spec.get("cidr", "")))
        except DsmodelError:
            continue  # the reader of the pools says so
        if cidr.family is family:
            sizes.append((cidr, int(spec.get("blockSize") or {4: 26, 6: 122}[4 if family is IPFamily.IPV4 else 6])))
    return sizes


def _block(cidr: Cidr, held: Mapping[int, str]) -> dict[str, Any]:
    """Write a block as Calico would show it."""
    ordinals = sorted(held)
    places = {ordinal: place for place, ordinal in enumerate(ordinals)}
    owner = min(Counter(held.values()).items(), key=lambda pair: (-pair[1], pair[0]))[0]
    spec = {
        "cidr": str(cidr),
        "affinity": f"host:{owner}",
        "allocations": [places.get(ordinal) for ordinal in range(cidr.size)],
        "unallocated": [ordinal for ordinal in range(cidr.size) if ordinal not in places],
        "attributes": [{"handle_id": f"pod-{o}", "secondary": {"node": held[o]}} for o in ordinals],
    }
    return {"kind": "IPAMBlock", "metadata": {"name": str(cidr)}, "spec": spec}


def _held_in_block(block: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield what a block says pods hold: address, pod, object."""
    spec = block.get("spec") or {}
    attributes = spec.get("attributes") or []
    try:
        first = Cidr(str(spec.get("cidr", "")))
    except DsmodelError:
        return  # the reader of the blocks says so
    for ordinal, which in enumerate(spec.get("allocations") or ()):
        if not isinstance(which, int) or which >= len(attributes) or ordinal >= first.size:
            continue
        about = (attributes[which] or {}).get("secondary") or {}
        if about.get("pod") and not attributes[which].get("releasedAt"):
            yield first.address(ordinal), f"{about.get('namespace', '')}/{about['pod']}", f"IPAMBlock/{first}"


# Cilium ------------------------------------------------------------------------------------------------------------


def _read_cilium(cluster: Cluster) -> _Found:
    """Read the CIDRs of CiliumNodes, and the operator's from its ConfigMap."""
    objects = cluster.objects
    nodes, names = objects.of("CiliumNode", "cilium.io"), cluster.nodes["name"].tolist()
    if not nodes:
        return None, []
    settings = objects.config_map("kube-system", "cilium-config") or objects.config_map("cilium", "cilium-config") or {}
    shown = [(each.get("spec") or {}).get("ipam") or {} for each in nodes]
    if settings.get("ipam") == "delegated-plugin" or _is_dataplane_of_gke(cluster, nodes):
        return None, []  # Cilium carries traffic, and another plugin gives addresses
    plugin: NetworkPlugin
    if settings.get("ipam") == "multi-pool" or any((each.get("pools") or {}).get("allocated") for each in shown):
        plugin, findings = read_multi_pool([*objects.of("CiliumPodIPPool", "cilium.io"), *nodes], names=names)
    elif not any(each.get("podCIDRs") for each in shown):
        return read_cilium_cloud(cluster, mode=settings.get("ipam", "another mode"))
    else:
        operator = _cilium_operator(settings)
        plugin, _, findings = read_cilium(nodes, operator=operator, nodes=names)
    occupy_pods(cluster, plugin)
    return plugin, findings


def _is_dataplane_of_gke(cluster: Cluster, nodes: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether CiliumNodes repeat the podCIDRs of GKE's nodes, as those of Dataplane V2 do."""
    there = {node["metadata"]["name"]: node for node in node_objects(cluster) if is_gke(node)}
    if not there:
        return False
    pairs = [(each, there.get((each.get("metadata") or {}).get("name", ""))) for each in nodes]
    return all(
        node is None
        or set(((each.get("spec") or {}).get("ipam") or {}).get("podCIDRs") or ())
        <= set(node["spec"].get("podCIDRs") or ())
        for each, node in pairs
    ) and not any((((each.get("spec") or {}).get("ipam") or {}).get("pools") or {}).get("allocated") for each in nodes)


def _cilium_operator(settings: Mapping[str, str]) -> ClusterPool | None:
    """Read the operator's CIDRs from cilium-config; None in kubernetes mode, and where they are not known."""
    if settings.get("ipam", "cluster-pool") != "cluster-pool":
        return None
    cidrs: list[str] = []
    masks: dict[IPFamily, int] = {}
    for family, end in _ENDS.items():
        cidrs += settings.get(f"cluster-pool-{end}-cidr", "").replace(",", " ").split()
        mask = settings.get(f"cluster-pool-{end}-mask-size", "")
        if mask.isdecimal():
            masks[family] = int(mask)
    return ClusterPool(cidrs, masks) if cidrs else None


# plugins on nodes' ranges ------------------------------------------------------------------------------------------


def _read_ovn(cluster: Cluster) -> _Found:
    """Read host subnets from nodes' annotations."""
    nodes = node_objects(cluster)
    if not any(NODE_SUBNETS in each["metadata"]["annotations"] for each in nodes):
        return None, []
    entries = []
    for cidr in cluster.config.cluster_cidrs:
        length = cluster.config.node_cidr_mask_sizes.get(cidr.family, 0) if cidr.family is IPFamily.IPV4 else 64
        entries.append(f"{cidr}/{length}")
    if not entries:
        text = "nodes have host subnets of OVN-Kubernetes; give cluster_cidrs to know what they are cut from"
        return None, [("info", "ovn-cluster-subnets-not-known", "Cluster", text)]
    ovn, _, findings = read_ovn(nodes, cluster_subnets=",".join(entries))
    occupy_pods(cluster, ovn)
    return ovn, findings


def _read_flannel(cluster: Cluster) -> _Found:
    """Read flannel's networks from its ConfigMap, and nodes' podCIDRs."""
    objects = cluster.objects
    settings = objects.config_map("kube-flannel", "kube-flannel-cfg") or objects.config_map(
        "kube-system", "kube-flannel-cfg"
    )
    if settings is not None:
        try:
            document = json.loads(settings.get("net-conf.json", "{}"))
        except ValueError as error:
            return None, [("error", "flannel-invalid-net-conf", "ConfigMap/kube-flannel-cfg", str(error))]
    elif (
        any(PUBLIC_IP in each["metadata"]["annotations"] for each in node_objects(cluster))
        and cluster.config.cluster_cidrs
    ):
        document = _net_conf(cluster)  # built into k3s, without a ConfigMap
    else:
        return None, []
    flannel, _, findings = read_flannel(node_objects(cluster), read_net_conf(document))
    occupy_pods(cluster, flannel)
    return flannel, findings


def _net_conf(cluster: Cluster) -> dict[str, Any]:
    """Write the network configuration that an installer derives from the cluster CIDRs."""
    cidrs = {cidr.family: str(cidr) for cidr in cluster.config.cluster_cidrs}
    document: dict[str, Any] = {"EnableIPv4": IPFamily.IPV4 in cidrs, "EnableIPv6": IPFamily.IPV6 in cidrs}
    names = {IPFamily.IPV4: "Network", IPFamily.IPV6: "IPv6Network"}
    return document | {names[family]: text for family, text in cidrs.items()}


def _read_kube_router(cluster: Cluster) -> _Found:
    """Read kube-router's podCIDRs, annotations first."""
    if cluster.objects.agent("kube-router") is None:
        return None, []
    texts = [pod_cidrs_of(node) for node in node_objects(cluster)]
    return on_pod_cidrs(cluster, texts, KubeRouter), []


def _read_antrea(cluster: Cluster) -> _Found:
    """Read Antrea's default."""
    if cluster.objects.agent("antrea-agent") is None:
        return None, []
    texts = [(node.get("spec") or {}).get("podCIDRs") or () for node in node_objects(cluster)]
    return on_pod_cidrs(cluster, texts, Antrea), []


def _read_antrea_pools(cluster: Cluster) -> _Found:
    """Read Antrea's IPPools; the plugin of the cluster only if there is no other and pods show its addresses."""
    findings: list[Finding] = []
    held: list[tuple[str, str, str]] = []
    shown: NetworkPlugin | None = None
    for each in cluster.objects.of("IPPool", "crd.antrea.io"):
        pool = read_antrea_pool(each)
        status = (each.get("status") or {}).get("ipAddresses") or ()
        findings += pool.occupy([str(entry.get("ipAddress")) for entry in status])
        for entry in status:
            owner = (entry.get("owner") or {}).get("pod") or {}
            if owner.get("name"):
                who = f"{owner.get('namespace', '')}/{owner['name']}"
                held.append((str(entry.get("ipAddress")), who, f"IPPool/{pool.name}"))
        if shown is None and has_addresses_in(cluster, pool.cidrs):
            shown = pool
    return shown, findings + _leaks(cluster, "antrea-address-leaked", held)


# plugins with one range for all ------------------------------------------------------------------------------------


def _read_whereabouts(cluster: Cluster) -> _Found:
    """Read Whereabouts' ranges; the plugin of the cluster only if pods show its addresses."""
    pools = cluster.objects.of("IPPool", "whereabouts.cni.cncf.io")
    models, findings = read_whereabouts(pools)
    held = []
    for each in pools:
        spec, name = each.get("spec") or {}, f"IPPool/{(each.get('metadata') or {}).get('name', '')}"
        for offset, holder in (spec.get("allocations") or {}).items():
            held.append((f"offset {offset} of {spec.get('range')}", str((holder or {}).get("podref", "")), name))
    findings += _leaks(cluster, "whereabouts-address-leaked", held)
    return next(
        (model for _, model in sorted(models.items()) if has_addresses_in(cluster, model.cidrs)), None
    ), findings


# what is shared ----------------------------------------------------------------------------------------------------


def _leaks(cluster: Cluster, rule: str, held: Sequence[tuple[str, str, str]]) -> list[Finding]:
    """Report allocations whose pod is not in the dump; never judged by addresses, of which a pod may show one only."""
    pods = cluster.pods
    if not len(pods):
        return []
    there = {f"{space}/{name}" for space, name in zip(pods["namespace"].tolist(), pods["name"].tolist(), strict=True)}
    lost = sorted((thing, address, pod) for address, pod, thing in held if pod and pod not in there)
    found: list[Finding] = [
        ("warning", rule, thing, f"{address} is allocated to Pod/{pod}, which is gone") for thing, address, pod in lost
    ][:_NAMED]
    if len(lost) > _NAMED:
        found.append(("warning", rule, "Cluster", f"{len(lost) - _NAMED:,} more objects break this rule"))
    return found


_Reader = Callable[[Any], Any]
_FIRST: tuple[_Reader, ...] = (
    _read_calico,
    _read_cilium,
    _read_ovn,
    read_gke_nodes,
    read_azure,
    read_aws,
    _read_flannel,
    _read_kube_router,
    _read_antrea,
    read_kube_ovn,
)
_BESIDE: tuple[_Reader, ...] = (_read_antrea_pools, _read_whereabouts)
