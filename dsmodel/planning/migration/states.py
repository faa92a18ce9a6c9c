"""What each step of a migration makes of a cluster: what-ifs by the rules of the components.

Promises a cluster of its own after each change, the given one untouched. Nodes that are made anew get their blocks from
node IPAM, one after the other as a rolling replacement does; Pods get addresses as host-local hands them out; Services
are answered by the API server's own tables.

What it does not know: where a scheduler would put the Pods meanwhile (they return to their node), and plugins with
pools of their own.

Sources: ``pkg/controller/nodeipam/ipam/range_allocator.go``, ``ValidateNodeUpdate`` of
``pkg/apis/core/validation/validation.go``, ``pkg/registry/core/service/storage`` of v1.36.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.columns import from_integers
from dsmodel.cluster.checks.audit import check
from dsmodel.cluster.checks.rules import cidr_text
from dsmodel.cluster.schema import IP_FAMILIES, SERVICE_TYPES
from dsmodel.cluster.state import Cluster
from dsmodel.kube.node_ipam import NodeIPAM
from dsmodel.planning.migration.steps import Peaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.cluster.table import Table
    from dsmodel.kube.config import ClusterConfig

__all__ = [
    "add_second_addresses",
    "change_policies",
    "dual_candidates",
    "families_of_two",
    "in_use",
    "recreate_nodes",
    "recreate_services",
    "serious_findings",
    "show_families",
    "under",
    "without_blocks",
]

_ENDS = {IPFamily.IPV4: "ipv4", IPFamily.IPV6: "ipv6"}
_CODES = {IPFamily.IPV4: 4, IPFamily.IPV6: 6}
_FINISHED = (3, 4)  # codes of schema.PHASES: Succeeded, Failed
_SINGLE, _PREFER = 1, 2  # codes of schema.IP_FAMILY_POLICIES
_TWO_FAMILIES = 10  # codes of schema.IP_FAMILIES from here on have two; the first is the higher digit
_EXTERNAL_NAME = 4  # code of schema.SERVICE_TYPES
_CARRIED = ("counts", "objects", "pod_labels", "node_labels", "namespaces", "namespace_annotations", "allowed_sources")
_SERIOUS = {"fatal", "error"}


def under(cluster: Cluster, config: ClusterConfig, **tables: Table) -> Cluster:
    """Show a cluster as components with another configuration would find it.

    Parameters
    ----------
    cluster : Cluster
        Stays as it is.
    config : ClusterConfig
        What the components are told now.
    **tables : Table
        ``nodes``, ``pods`` or ``services`` to put in place of its own.

    Returns
    -------
    Cluster
        With pools that hold what the tables show.

    Raises
    ------
    None
        What does not fit is a finding.
    """
    own = {name: getattr(cluster, name) for name in ("nodes", "pods", "services", "node_ports")}
    twin = Cluster.from_tables(config, **{**own, **tables})
    for name in _CARRIED:
        setattr(twin, name, getattr(cluster, name))
    return twin


def in_use(cluster: Cluster) -> Peaks:
    """Count what is in use of each pool.

    Parameters
    ----------
    cluster : Cluster
        Any.

    Returns
    -------
    Peaks
        Of this moment.

    Raises
    ------
    None
        Every cluster has an answer.

    Examples
    --------
    >>> from dsmodel import examples
    >>> in_use(examples.single_stack_ipv4()).ipv4_node_blocks
    12
    """
    counts = {}
    for end in _ENDS.values():
        counts[f"{end}_node_blocks"] = np.count_nonzero(cluster.nodes[f"has_pod_cidr_{end}"])
        counts[f"{end}_pod_addresses"] = np.count_nonzero(
            cluster.pods[f"has_pod_{end}"] & cluster.pods["holds_address"]
        )
        counts[f"{end}_service_addresses"] = np.count_nonzero(cluster.services[f"has_cluster_{end}"])
    return Peaks(**{name: int(count) for name, count in counts.items()})


def serious_findings(cluster: Cluster) -> set[tuple[str, str]]:
    """List what `check` finds worse than a warning.

    Parameters
    ----------
    cluster : Cluster
        Any.

    Returns
    -------
    set of tuple of str
        Rule and object.

    Raises
    ------
    None
        Every cluster has an answer.

    Examples
    --------
    >>> from dsmodel import examples
    >>> serious_findings(examples.kubeadm_dual_stack())
    set()
    """
    found = check(cluster)
    rows = found.loc[found["severity"].isin(_SERIOUS), ["rule", "object"]]
    return set(rows.itertuples(index=False, name=None))


def show_families(cluster: Cluster, config: ClusterConfig) -> Cluster:
    """Show Services as an API server does that has just been told of families: old ones read as SingleStack.

    Parameters
    ----------
    cluster : Cluster
        With Services that say nothing about families.
    config : ClusterConfig
        With the feature gate on.

    Returns
    -------
    Cluster
        Its Services with cluster IPs have a policy and families; headless ones are read when someone asks for them.

    Raises
    ------
    None
        Every cluster has an answer.

    Notes
    -----
    Source: ``defaultOnReadService`` of ``pkg/registry/core/service/storage/storage.go``.
    """
    services = cluster.services
    policy, families = services["ip_family_policy"].copy(), services["ip_families"].copy()
    silent = (policy == 0) & (services["primary_ip_family"] > 0) & ~services["headless"]
    policy[silent], families[silent] = _SINGLE, services["primary_ip_family"][silent]
    return under(cluster, config, services=services.replace({"ip_family_policy": policy, "ip_families": families}))


def add_second_addresses(cluster: Cluster, nodes: Cidr | None) -> Cluster:
    """Give every node whose InternalIP is known one of a second family.

    Parameters
    ----------
    cluster : Cluster
        Stays as it is.
    nodes : Cidr or None
        The nodes' range; without one the addresses are not known here.

    Returns
    -------
    Cluster
        With the addresses from the range's second on, where it has room.

    Raises
    ------
    None
        A range that is too small leaves the last nodes without.
    """
    if nodes is None:
        return cluster
    end = _ENDS[nodes.family]
    known = cluster.nodes["has_internal_ipv4"] | cluster.nodes["has_internal_ipv6"]
    missing = np.flatnonzero(known & ~cluster.nodes[f"has_internal_{end}"])[: max(nodes.size - 3, 0)]
    column, present = cluster.nodes[f"internal_{end}"].copy(), cluster.nodes[f"has_internal_{end}"].copy()
    if len(missing):
        column[missing] = from_integers([nodes.first + 2 + place for place in range(len(missing))], family=nodes.family)
        present[missing] = True
    table = cluster.nodes.replace({f"internal_{end}": column, f"has_internal_{end}": present})
    return under(cluster, cluster.config, nodes=table)


def without_blocks(cluster: Cluster, config: ClusterConfig) -> Cluster:
    """Show nodes, Pods and Services of a cluster to another one, whose node IPAM has yet to give blocks.

    Parameters
    ----------
    cluster : Cluster
        Stays as it is.
    config : ClusterConfig
        Of the other one.

    Returns
    -------
    Cluster
        Nodes without podCIDRs, Pods without addresses.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    nothing = np.zeros(len(cluster.nodes), np.bool_)
    nodes = cluster.nodes.replace({f"has_pod_cidr_{end}": nothing for end in _ENDS.values()})
    nobody = np.zeros(len(cluster.pods), np.bool_)
    pods = cluster.pods.replace({f"has_pod_{end}": nobody for end in _ENDS.values()})
    return under(cluster, config, nodes=nodes, pods=pods)


def recreate_nodes(
    cluster: Cluster, config: ClusterConfig, *, surge_nodes: int = 0, keep: IPFamily | None = None
) -> tuple[Cluster, Peaks, int]:
    """Delete every node and let it register again, one after the other.

    Parameters
    ----------
    cluster : Cluster
        Stays as it is.
    config : ClusterConfig
        What kube-controller-manager has been told.
    surge_nodes : int, default 0
        Nodes that join first and leave at the end.
    keep : IPFamily, optional
        Node IPAM is off, and each node is given its block of this family back by hand.

    Returns
    -------
    tuple of Cluster, Peaks and int
        The cluster, the most that was in use meanwhile, and Pods that found no address.

    Raises
    ------
    CIDRNotAvailable
        Node IPAM has no block for a node.
    """
    names = [str(name) for name in cluster.nodes["name"].tolist()]
    held = _pod_cidrs(cluster, config)
    given = _by_hand(held, keep) if keep else _rolled(names, held, config, surge_nodes)
    fresh = Cluster(config)
    nodes = cluster.nodes
    fresh.add_nodes(names, pod_cidrs=given, allocatable_pods=nodes["allocatable_pods"])
    own = [name for name in nodes.names if "pod_cidr" not in name and name != "primary_ip_family"]
    fresh.nodes = fresh.nodes.replace({name: nodes[name] for name in own})
    pods = cluster.pods
    bound = np.flatnonzero((pods["node"] >= 0) & ~np.isin(pods["phase"], _FINISHED))
    outcome = fresh.add_pods(
        pods["node"][bound],
        names=pods["name"][bound].tolist(),
        namespace=pods["namespace"][bound].tolist(),
        host_network=pods["host_network"][bound],
    )
    placed = fresh.pods.replace({"labels": pods["labels"][bound[outcome.ok]]})
    waiting = pods.take(np.flatnonzero((pods["node"] < 0) & ~np.isin(pods["phase"], _FINISHED)))
    twin = under(cluster, config, nodes=fresh.nodes, pods=placed.append(waiting))
    return twin, _rolling_peaks(cluster, twin, surge_nodes), int(len(bound) - outcome.granted)


def _pod_cidrs(cluster: Cluster, config: ClusterConfig) -> dict[str, list[str]]:
    """Write each node's podCIDRs, in the order of the cluster CIDRs."""
    nodes = cluster.nodes
    ends = [_ENDS[cidr.family] for cidr in config.cluster_cidrs]
    return {
        str(name): [
            cidr_text(nodes[f"pod_cidr_{end}"], nodes[f"pod_cidr_{end}_mask"], row)
            for end in ends
            if nodes[f"has_pod_cidr_{end}"][row]
        ]
        for row, name in enumerate(nodes["name"].tolist())
    }


def _by_hand(held: dict[str, list[str]], keep: IPFamily) -> list[list[str]]:
    """Return each node's block of one family."""
    return [[cidr for cidr in cidrs if Cidr(cidr, host_bits="mask").family is keep] for cidrs in held.values()]


def _rolled(
    names: Sequence[str], held: dict[str, list[str]], config: ClusterConfig, surge_nodes: int
) -> list[tuple[str, ...]]:
    """Take node IPAM through the replacement of every node."""
    ipam = NodeIPAM(
        kube_version=config.kube_version,
        cluster_cidrs=config.cluster_cidrs,
        node_cidr_mask_sizes={str(family): size for family, size in config.node_cidr_mask_sizes.items()},
        service_cidrs=config.service_cidrs,
        feature_gates=config.feature_gates,
        nodes={name: cidrs for name, cidrs in held.items() if cidrs},
    )
    for number in range(surge_nodes):
        ipam.add(f"surge/{number}")  # a slash is in no node's name
    found = []
    for name in names:
        if held[name]:
            ipam.remove(name)
        found.append(ipam.add(name))
    return found


def _rolling_peaks(before: Cluster, after: Cluster, surge_nodes: int) -> Peaks:
    """Count the most in use while nodes are replaced: surge nodes, and one node's Pods twice."""
    old, new = in_use(before), in_use(after)
    fullest = int(before.pod_counts.max(initial=0)) * max(surge_nodes, 1)
    counts = {}
    for end in _ENDS.values():
        blocks = max(getattr(old, f"{end}_node_blocks"), getattr(new, f"{end}_node_blocks"))
        counts[f"{end}_node_blocks"] = blocks + (surge_nodes if getattr(new, f"{end}_node_blocks") else 0)
        pods = max(getattr(old, f"{end}_pod_addresses"), getattr(new, f"{end}_pod_addresses"))
        counts[f"{end}_pod_addresses"] = pods + (fullest if getattr(new, f"{end}_pod_addresses") else 0)
        counts[f"{end}_service_addresses"] = getattr(new, f"{end}_service_addresses")
    return Peaks(**counts)


def dual_candidates(cluster: Cluster) -> NDArray[np.intp]:
    """Find Services that can have a second family and have none.

    Parameters
    ----------
    cluster : Cluster
        Any.

    Returns
    -------
    ndarray of intp
        Rows of Services with cluster IPs and headless ones, not ExternalName and not ``default/kubernetes``, which the
        API server keeps at one family.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    services = cluster.services
    own = (services["namespace"] == "default") & (services["name"] == "kubernetes")
    single = services["ip_families"] < _TWO_FAMILIES
    return np.flatnonzero(~own & single & (services["type"] != _EXTERNAL_NAME))


def families_of_two(cluster: Cluster) -> NDArray[np.intp]:
    """Find Services of two families.

    Parameters
    ----------
    cluster : Cluster
        Any.

    Returns
    -------
    ndarray of intp
        Rows.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    return np.flatnonzero(cluster.services["ip_families"] >= _TWO_FAMILIES)


def change_policies(
    cluster: Cluster, policy: str, services: NDArray[np.intp], *, rng: np.random.Generator
) -> tuple[Cluster, int]:
    """Set the family policy of Services.

    Parameters
    ----------
    cluster : Cluster
        Stays as it is.
    policy : str
        A word of ``ipFamilyPolicy``.
    services : ndarray of intp
        Rows.
    rng : numpy.random.Generator
        Decides addresses.

    Returns
    -------
    tuple of Cluster and int
        The cluster, and Services that were refused.

    Raises
    ------
    InvalidConfig
        If no service range is known.
    """
    twin = cluster.copy()
    if not len(services):
        return twin, 0
    # one that asks for both families already is left alone until its policy really changes
    asking = services[twin.services["ip_family_policy"][services] == _PREFER]
    if policy == "PreferDualStack" and len(asking):
        twin.set_family_policy("SingleStack", asking, rng=rng)
    outcome = twin.set_family_policy(policy, services, rng=rng)
    return twin, int(len(services) - outcome.granted)


def recreate_services(cluster: Cluster, keep: IPFamily, *, rng: np.random.Generator) -> tuple[Cluster, int, int]:
    """Delete Services whose first family is to go, and create them with the other one.

    Parameters
    ----------
    cluster : Cluster
        Stays as it is.
    keep : IPFamily
        The family that stays.
    rng : numpy.random.Generator
        Decides addresses.

    Returns
    -------
    tuple of Cluster and int and int
        The cluster, Services made anew, and those of them that were refused.

    Raises
    ------
    InvalidConfig
        If no service range is known.
    """
    twin = cluster.copy()
    services = twin.services
    families = services["ip_families"]
    first = np.where(families >= _TWO_FAMILIES, families // _TWO_FAMILIES, families)
    rows = np.flatnonzero((first > 0) & (first != _CODES[keep]) & (services["type"] != _EXTERNAL_NAME))
    if not len(rows):
        return twin, 0, 0
    kinds = [SERVICE_TYPES[code] for code in services["type"][rows].tolist()]
    frame = pd.DataFrame(
        {
            "namespace": services["namespace"][rows].tolist(),
            "name": services["name"][rows].tolist(),
            "type": kinds,
            "headless": services["headless"][rows],
            "ip_family_policy": "SingleStack",
            "ip_families": IP_FAMILIES[_CODES[keep]],
            "ports": np.maximum(services["node_ports"][rows].astype(np.int64), 1),
        }
    )
    twin.remove_services(rows)
    outcome = twin.add_services(frame, rng=rng)
    return twin, len(rows), int(len(rows) - outcome.granted)
