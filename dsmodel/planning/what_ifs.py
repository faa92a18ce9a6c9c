"""What if: a cluster of the same nodes, pods and Services under other settings, or after something happened to it.

Promises an independent cluster that the allocators really filled, so that every report answers for it as for any
other, and a finding for everything that could not be served: nodes without a block, pods without an address, Services
that were refused. Changes are made in the order of the parameters.

What it does not know: whether a running cluster may be changed like that (`dsmodel.planning.migration` and
`check_config` do), and in which order pods would come back.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.cidr import Cidr
from dsmodel.cluster.checks import findings_table
from dsmodel.cluster.network_plugins import HOST_LOCAL
from dsmodel.cluster.occupancy import occupy_services
from dsmodel.cluster.service_ranges import ServiceRanges, node_port_pool
from dsmodel.cluster.state import Cluster
from dsmodel.errors import InvalidInput, Reason
from dsmodel.kube.config import ClusterConfig
from dsmodel.planning.migration.states import under
from dsmodel.wording import agreeing, counted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.cluster.outcome import Outcome
    from dsmodel.cni.contract import NetworkPlugin
    from dsmodel.kube.versions import KubeVersion

__all__ = ["what_if"]

_FINISHED = (3, 4)  # codes of schema.PHASES: Succeeded, Failed
_KUBERNETES = "kubernetes"


def what_if(  # noqa: PLR0913 - one keyword a question, all optional
    cluster: Cluster,
    *,
    kube_version: str | KubeVersion | None = None,
    cluster_cidrs: Sequence[str | Cidr] | None = None,
    node_mask: Mapping[str, int] | None = None,
    max_pods: int | None = None,
    network_plugin: NetworkPlugin | str | None = None,
    service_cidr: str | Cidr | None = None,
    lost_zones: Collection[str] = (),
    surge_ratio: float = 0.0,
    ip_family_policy: str | None = None,
) -> Cluster:
    """Return the cluster as it would be.

    Parameters
    ----------
    cluster : Cluster
        As it is; it is not changed.
    kube_version : str or KubeVersion, optional
        Version of every component.
    cluster_cidrs : sequence of str or Cidr, optional
        Instead of its own.
    node_mask : mapping of str to int, optional
        Prefix length of a node's block by family, as ``{"IPv4": 25}``.
    max_pods : int, optional
        Pods that each kubelet admits.
    network_plugin : NetworkPlugin or str, optional
        As of `Cluster`.
    service_cidr : str or Cidr, optional
        One more range for Services, as a ServiceCIDR object adds it.
    lost_zones : collection of str, default ()
        Zones whose nodes are gone; their pods start again where there is room.
    surge_ratio : float, default 0
        Nodes that join beside the others during an upgrade, as a share of them (0-1, rounded up).
    ip_family_policy : str, optional
        Of every Service.

    Returns
    -------
    Cluster
        Its ``findings`` begin with what could not be served. With another version, range, mask, number of pods or
        plugin, nodes and pods come again in the order of the tables.

    Raises
    ------
    InvalidInput
        A zone that no node is in, a negative share, or a further range that this version does not take.
    InvalidConfig
        The components would not start; their own words.

    Examples
    --------
    >>> import dsmodel as ds
    >>> cluster = ds.examples.kubeadm_dual_stack()
    >>> ds.reports.limits(ds.what_if(cluster, node_mask={"IPv4": 25})).loc[0, ["usable", "used", "more_nodes"]].tolist()
    [512, 6, 506]
    >>> len(ds.what_if(cluster, surge_ratio=0.33).nodes)
    8
    """
    if not 0 <= surge_ratio < math.inf:
        raise InvalidInput(f"surge_ratio={surge_ratio}: nodes that join beside the others are 0 of them or more")
    settings = _settings(cluster.config, kube_version, cluster_cidrs, node_mask=node_mask, max_pods=max_pods)
    trouble: list[tuple[str, str, str, str]] = []
    if settings != cluster.config or network_plugin is not None:
        twin = _again(cluster, settings, network_plugin, trouble)
    else:
        twin = cluster.copy()
    if service_cidr is not None:
        _add_service_cidr(twin, service_cidr)
    if lost_zones:
        _lose(twin, lost_zones, trouble)
    if surge_ratio:
        _tell(trouble, twin.add_nodes(math.ceil(len(twin.nodes) * surge_ratio)), "nodes of the surge")
    if ip_family_policy is not None:
        _tell(trouble, twin.set_family_policy(ip_family_policy), f"Services asked to be {ip_family_policy}")
    twin.findings = findings_table(trouble).append(twin.findings)
    return twin


def _settings(
    config: ClusterConfig,
    kube_version: str | KubeVersion | None,
    cluster_cidrs: Sequence[str | Cidr] | None,
    *,
    node_mask: Mapping[str, int] | None,
    max_pods: int | None,
) -> ClusterConfig:
    """Write what changes into a configuration; evidence says which."""
    ranges = config.cluster_cidrs if cluster_cidrs is None else cluster_cidrs
    masks = {str(family): mask for family, mask in config.node_cidr_mask_sizes.items()} | dict(node_mask or {})
    absent = set(masks) - {str(cidr.family) for cidr in ClusterConfig.of(cluster_cidrs=ranges).cluster_cidrs}
    strange = sorted(absent & set(node_mask or {}))
    if strange:
        raise InvalidInput(f"node_mask: the cluster has no {strange[0]} cluster CIDR; name one with cluster_cidrs=")
    asked = {
        "kube_version": kube_version,
        "cluster_cidrs": cluster_cidrs,
        "node_cidr_mask_sizes": node_mask,
        "max_pods": max_pods,
    }
    changed = ClusterConfig.of(
        kube_version=kube_version or config.kube_version,
        cluster_cidrs=ranges,
        node_cidr_mask_sizes={name: mask for name, mask in masks.items() if name not in absent},
        max_pods=config.max_pods if max_pods is None else max_pods,
    )
    evidence = dict(config.evidence) | {name: "what if" for name, value in asked.items() if value is not None}
    return replace(
        config,
        kube_version=changed.kube_version,
        cluster_cidrs=changed.cluster_cidrs,
        node_cidr_mask_sizes=changed.node_cidr_mask_sizes,
        max_pods=changed.max_pods,
        evidence=evidence,
    )


def _add_service_cidr(cluster: Cluster, service_cidr: str | Cidr) -> None:
    """Add a range as a ServiceCIDR object does; what Services hold stays theirs."""
    config = cluster.config
    extra = service_cidr if isinstance(service_cidr, Cidr) else Cidr(service_cidr)
    if not config.gate("MultiCIDRServiceAllocator"):
        raise InvalidInput(
            f"service_cidr={extra}: Kubernetes {config.kube_version} takes no ServiceCIDR objects, its range is "
            "--service-cluster-ip-range alone; MultiCIDRServiceAllocator is on by default from 1.33"
        )
    if extra.family not in {cidr.family for cidr in config.service_cidrs}:
        raise InvalidInput(f"service_cidr={extra}: kube-apiserver has no {extra.family} range, so it allocates none")
    cluster.config = replace(config, extra_service_cidrs=(*config.extra_service_cidrs, extra))
    cluster.service_ranges, cluster.port_range = ServiceRanges(cluster.config), node_port_pool(cluster.config)
    occupy_services(cluster)


def _again(cluster: Cluster, config: ClusterConfig, plugin: NetworkPlugin | str | None, trouble: list[Any]) -> Cluster:
    """Let the same nodes and pods come again under other settings; Services keep what they have."""
    chosen = plugin if plugin is not None else _emptied(cluster)
    fresh = Cluster(config, network_plugin=HOST_LOCAL if chosen is None else chosen)
    nodes = cluster.nodes
    names = [str(name) for name in nodes["name"].tolist()]
    admitted = None if config.max_pods != cluster.config.max_pods else nodes["allocatable_pods"]
    joined = fresh.add_nodes(names, allocatable_pods=admitted, zone=nodes["zone"], node_pool=nodes["node_pool"])
    _tell(trouble, joined, "nodes")
    kept = [name for name in nodes.names if name.startswith(("internal", "has_internal", "labels", "unschedulable"))]
    fresh.nodes = fresh.nodes.replace({name: nodes[name] for name in kept})
    rows = _running(cluster)
    _tell(trouble, _start(fresh, cluster, rows, cluster.pods["node"][rows]), "pods")
    twin = under(cluster, config, nodes=fresh.nodes, pods=fresh.pods)
    if chosen is None:
        return twin
    fresh.services, fresh.node_ports = twin.services, twin.node_ports
    fresh.service_ranges, fresh.port_range = twin.service_ranges, twin.port_range
    for name in ("objects", "pod_labels", "node_labels", "namespaces", "namespace_annotations", "allowed_sources"):
        setattr(fresh, name, getattr(cluster, name))
    return fresh


def _emptied(cluster: Cluster) -> NetworkPlugin | None:
    """Return the cluster's plugin with its settings and what it has leaked, but without pods and nodes."""
    if cluster.network_plugin is None:
        return None
    plugin, pods = cluster.network_plugin.copy(), cluster.pods
    for family in plugin.ip_families:
        end = str(family).lower()
        held = np.flatnonzero(pods[f"has_pod_{end}"] & pods["holds_address"] & (pods["node"] >= 0))
        plugin.release(pods["node"][held], {family: pods[f"pod_{end}"][held]})
    plugin.remove_nodes(np.arange(plugin.nodes))
    return plugin


def _running(cluster: Cluster) -> NDArray[np.intp]:
    """Return the rows of pods that are bound to a node and not finished."""
    pods = cluster.pods
    return np.flatnonzero((pods["node"] >= 0) & ~np.isin(pods["phase"], _FINISHED))


def _start(target: Cluster, source: Cluster, rows: NDArray[np.intp], nodes: NDArray[np.integer]) -> Outcome:
    """Start pods of one cluster in another."""
    pods, first = source.pods, len(target.pods)
    outcome = target.add_pods(
        nodes,
        names=pods["name"][rows].tolist(),
        namespace=pods["namespace"][rows].tolist(),
        host_network=pods["host_network"][rows],
    )
    labels = target.pods["labels"].copy()
    labels[first:] = pods["labels"][rows[outcome.ok]]
    target.pods = target.pods.replace({"labels": labels})
    return outcome


def _lose(cluster: Cluster, zones: Collection[str], trouble: list[Any]) -> None:
    """Take the nodes of zones away, and start their pods where there is room."""
    known = {str(zone) for zone in cluster.nodes["zone"].tolist()}
    wanted = {zones} if isinstance(zones, str) else set(zones)
    if wanted - known:
        listed = ", ".join(sorted(known - {""})) or "none"
        raise InvalidInput(f"lost_zones: no node is in {min(wanted - known)!r}; the zones are {listed}")
    gone = np.isin(cluster.nodes["zone"].astype(object), list(wanted))
    before = cluster.copy()
    rows = _running(cluster)
    # pods of the host network are those of their node, and end with it
    moving = rows[gone[cluster.pods["node"][rows]] & ~cluster.pods["host_network"][rows]]
    cluster.remove_nodes(gone)
    if not len(cluster.nodes):
        words = f"{counted(len(moving), 'pod')} {agreeing(len(moving), 'has', 'have')} no node left"
        trouble.append(("error", "what-if-not-served", "Cluster", words))
        return
    _tell(trouble, _start(cluster, before, moving, _roomiest(cluster, len(moving))), "pods of the lost zones")


def _roomiest(cluster: Cluster, n: int) -> NDArray[np.int32]:
    """Choose nodes for pods: always the one whose kubelet admits the most more, the first of equals."""
    admitted = cluster.nodes["allocatable_pods"].astype(np.int64)
    admitted[admitted == 0] = cluster.config.max_pods
    room = np.maximum(admitted - cluster.pod_counts, 0)
    room[cluster.nodes["unschedulable"]] = 0
    places = np.repeat(np.arange(len(room)), room)
    # a node's k-th last place comes before every (k+1)-th last one: the roomiest first
    depth = np.arange(len(places)) - np.repeat(np.cumsum(room) - room, room)
    chosen = places[np.lexsort((places, depth - room[places]))]
    short = np.zeros(max(n - len(chosen), 0), chosen.dtype)
    return np.concatenate([chosen[:n], short]).astype(np.int32)


def _tell(trouble: list[Any], outcome: Outcome, what: str) -> None:
    """Note what was not served, by reason."""
    codes, counts = np.unique(outcome.reason[~outcome.ok], return_counts=True)
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        words = f"{count:,} of {len(outcome):,} {what} are not served: {Reason(code).name}"
        trouble.append(("error", "what-if-not-served", "Cluster", words))
