"""The ordered way from one address family to two, and back.

Promises: `plan_migration` lists every step in an order the components accept on the version at hand; what restarts,
what is made anew, what is in use meanwhile, how to see that it worked and where undoing ends; and beside each step the
cluster as it then is, which `check` finds no worse than before.

What it does not know: network plugins with pools of their own, hosts, what a provider offers.

Sources: those of `dsmodel.planning.migration.dual_stack`, `single_stack` and `rebuilding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.space import overlaps
from dsmodel.errors import InvalidConfig, InvalidInput, PoolFull
from dsmodel.kube.config import DEFAULT_NODE_MASKS
from dsmodel.kube.versions import GATES, KubeVersion
from dsmodel.planning.layout.installing import refusals
from dsmodel.planning.migration.dual_stack import Wanted, to_dual_stack
from dsmodel.planning.migration.rebuilding import on_managed, on_new_cluster
from dsmodel.planning.migration.single_stack import to_single_stack
from dsmodel.planning.migration.states import dual_candidates, under
from dsmodel.planning.migration.steps import PEAKS, STEPS, Migration, Step
from dsmodel.wording import agreeing, counted

if TYPE_CHECKING:
    from dsmodel.cluster.state import Cluster
    from dsmodel.kube.config import ClusterConfig

__all__ = ["PEAKS", "STEPS", "Migration", "Step", "plan_migration"]

_INSTALLERS = ("flags", "k3s", "kubeadm", "managed", "rke2")
_ENDS = ("dual-stack", "single-stack")
_KEYS = ("pods", "services", "nodes", "node_cidr_mask_size")
_DUAL_STACK_GATES = ("IPv6DualStack", "EndpointSlice")


def plan_migration(
    cluster: Cluster,
    *,
    to: str = "dual-stack",
    ranges: Mapping[str, Any] | None = None,
    installer: str = "kubeadm",
    kube_version: str | KubeVersion | None = None,
    surge_nodes: int = 0,
) -> Migration:
    """List the steps from single-stack to dual-stack, or back to the primary family.

    Parameters
    ----------
    cluster : Cluster
        Where it begins; stays as it is.
    to : {"dual-stack", "single-stack"}, default "dual-stack"
        Where it ends. Back to single-stack means the first family: no other can become the primary one.
    ranges : mapping, optional
        Of the second family, for dual-stack: ``pods`` and ``services`` (CIDRs), ``nodes`` (the range of the nodes'
        own addresses, if known), ``node_cidr_mask_size`` (24 and 64 by default). `plan_layout` finds some.
    installer : {"kubeadm", "flags", "managed", "k3s", "rke2"}, default "kubeadm"
        Whose settings change.
    kube_version : str or KubeVersion, optional
        Version of the components; by default the cluster's. Feature gates that it does not know are left out.
    surge_nodes : int, default 0
        Nodes that join before others leave.

    Returns
    -------
    Migration
        ``steps`` as a frame, ``states`` as clusters.

    Raises
    ------
    InvalidInput
        A cluster that is there already, ranges that are missing, of the wrong family, overlapping or unknown by name.
    InvalidConfig
        The components or the installer would not start with the ranges; their words.
    PoolFull
        A range is too small for what the cluster has; the message says what would do.
    UnsupportedVersion
        A version outside the window.

    Examples
    --------
    >>> from dsmodel import examples
    >>> ranges = {"pods": "fd00:10:244::/56", "services": "fd00:10:96::/112"}
    >>> migration = plan_migration(examples.single_stack_ipv4(), ranges=ranges)
    >>> migration.steps[["component", "nodes", "ipv6_node_blocks", "point_of_no_return"]].tail(2)
      component  nodes  ipv6_node_blocks  point_of_no_return
    7     nodes     12                12                True
    8  Services      0                12               False
    """
    if to not in _ENDS:
        raise InvalidInput(f"to={to!r}: expected one of {', '.join(_ENDS)}")
    if installer not in _INSTALLERS:
        raise InvalidInput(f"installer={installer!r}: expected one of {', '.join(_INSTALLERS)}")
    if isinstance(surge_nodes, bool) or not isinstance(surge_nodes, int) or surge_nodes < 0:
        raise InvalidInput(f"surge_nodes={surge_nodes!r}; give how many nodes join before others leave, 0 or more")
    config = cluster.config
    if not config.cluster_cidrs or not config.service_cidrs:
        raise InvalidInput("the cluster's cluster_cidrs and service_cidrs must both be known; name them in its config")
    _refuse_guesses(config)
    if kube_version is not None:
        config = _as_of(config, KubeVersion(kube_version))
        cluster = under(cluster, config)
    maker = "k3s" if installer == "rke2" else installer
    if to == "dual-stack":
        wanted = _dual(cluster, _second_ranges(config, ranges), maker, surge_nodes)
        ways = {"k3s": on_new_cluster, "managed": on_managed}
        moves = ways.get(maker, to_dual_stack)(cluster, wanted)
    else:
        wanted = _single(config, ranges, maker)
        moves = on_new_cluster(cluster, wanted) if maker == "k3s" else to_single_stack(cluster, wanted)
    return Migration(to, installer, cluster, tuple(moves))


def _as_of(config: ClusterConfig, version: KubeVersion) -> ClusterConfig:
    """Take a configuration to another version, without the gates it would not start with."""
    kept = {}
    for name, on in config.feature_gates.items():
        row = version.gate_row(name) if name in GATES else None
        if row is not None and not (row.locked and on != row.default):
            kept[name] = on
    return replace(config, kube_version=version, feature_gates=kept)


def _refuse_guesses(config: ClusterConfig) -> None:
    """Refuse to plan with ranges that are only the smallest around what is in use."""
    for name in ("cluster_cidrs", "service_cidrs"):
        known = config.evidence.get(name, "")
        if known.startswith("guess"):
            listed = ",".join(map(str, getattr(config, name)))
            raise InvalidInput(f"{name} {listed} is a {known}; a plan needs what the components are told: name it")


def _second_ranges(config: ClusterConfig, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Read the ranges of the second family."""
    if config.is_dual_stack:
        raise InvalidInput("the cluster is dual-stack already; to single-stack is the way back, without second ranges")
    if given is not None and not isinstance(given, Mapping):
        raise InvalidInput(f"ranges={given!r}; give a mapping with pods and services")
    ranges = dict(given or {})
    unknown = sorted(str(key) for key in ranges if key not in _KEYS)
    if unknown:
        raise InvalidInput(f"ranges has {unknown[0]!r}; it may have {', '.join(_KEYS)}")
    primary = config.service_cidrs[0].family
    second = next(family for family in IPFamily if family is not primary)
    for key, known in (("pods", config.cluster_cidrs), ("services", config.service_cidrs)):
        if len(known) == len(IPFamily):
            if ranges.get(key) not in {None, known[1], str(known[1])}:
                raise InvalidInput(f"ranges[{key!r}] is {ranges[key]}, and the cluster has {known[1]} already")
            ranges[key] = known[1]
        if not ranges.get(key):
            raise InvalidInput(f"ranges lacks {key!r}: a CIDR of {second}; plan_layout finds one inside your blocks")
    read = {key: _second_range(key, ranges[key], second) for key in _KEYS[:3] if ranges.get(key) is not None}
    return {**ranges, **read}


def _second_range(key: str, given: str | Cidr, second: IPFamily) -> Cidr:
    """Read one range of the second family."""
    cidr = given if isinstance(given, Cidr) else Cidr(given)
    if cidr.family is not second:
        raise InvalidInput(
            f"ranges[{key!r}] is {cidr}; the primary family stays what it is, and the second one has to be {second}"
        )
    return cidr


def _dual(cluster: Cluster, ranges: Mapping[str, Any], installer: str, surge_nodes: int) -> Wanted:
    """Put the configuration at the end together, and refuse what would not start or not hold the cluster."""
    config = cluster.config
    pods, services, nodes = ranges["pods"], ranges["services"], ranges.get("nodes")
    named = {"pods": pods, "services": services, **({"nodes": nodes} if nodes else {})}
    clash = overlaps(list(named.values()))
    if clash:
        one, other = (list(named)[row] for row in clash[0])
        raise InvalidInput(f"ranges[{one!r}] {named[one]} and ranges[{other!r}] {named[other]} overlap; move one")
    mask = ranges.get("node_cidr_mask_size") or config.node_cidr_mask_sizes.get(
        pods.family, DEFAULT_NODE_MASKS[pods.family]
    )
    version = config.kube_version
    gates = {name: True for name in _DUAL_STACK_GATES if not version.gate(name, config.feature_gates)}
    final = replace(
        config,
        cluster_cidrs=(config.cluster_cidrs[0], pods),
        service_cidrs=(config.service_cidrs[0], services),
        node_cidr_mask_sizes={**config.node_cidr_mask_sizes, pods.family: mask},
        feature_gates={**config.feature_gates, **gates},
        evidence={**config.evidence, "cluster_cidrs": "migration", "service_cidrs": "migration"},
    )
    refused = refusals(final, "flags" if installer == "managed" else installer)
    if refused:
        raise InvalidConfig(f"with {pods} and {services}: {refused[0]}")
    _check_room(cluster, final, surge_nodes)
    return Wanted(final, installer, nodes, surge_nodes)


def _check_room(cluster: Cluster, final: ClusterConfig, surge_nodes: int) -> None:
    """Refuse ranges that are too small for the nodes and Services there are."""
    wanted = len(cluster.nodes) + surge_nodes
    for cidr in final.cluster_cidrs:
        mask = final.node_cidr_mask_sizes[cidr.family]
        blocks = 1 << (mask - cidr.prefix_length)
        if blocks < wanted:
            surge = f" and {surge_nodes} of a surge" if surge_nodes else ""
            n = len(cluster.nodes)
            raise PoolFull(
                f"{cidr} holds {counted(blocks, 'node block')} of /{mask}, and {counted(n, 'node')}{surge} "
                f"{agreeing(n + surge_nodes, 'needs', 'need')} one; "
                f"give a /{mask - (wanted - 1).bit_length()}, or a longer node mask"
            )
    end = under(cluster, final)
    asked = len(dual_candidates(end)[~end.services["headless"][dual_candidates(end)]])
    second = final.service_cidrs[1]
    free = end.service_ranges.free(second.family)
    if free < asked:
        raise PoolFull(
            f"{second} has {counted(free, 'cluster IP')}, and {counted(asked, 'Service')} will ask for one; give a "
            f"/{second.family.bits - (asked + 2).bit_length()}"
        )


def _single(config: ClusterConfig, ranges: Mapping[str, Any] | None, installer: str) -> Wanted:
    """Put the configuration at the end together: the first of each list."""
    if len(config.cluster_cidrs) < len(IPFamily) and len(config.service_cidrs) < len(IPFamily):
        raise InvalidInput("the cluster is single-stack already; to='dual-stack' plans a second family")
    if ranges:
        raise InvalidInput(f"ranges={ranges!r}: the way back needs none, the first family's ranges stay")
    if installer == "managed":
        raise InvalidInput("no provider is known to take a family from a managed cluster; plan a new one instead")
    primary = config.service_cidrs[0].family
    pods = tuple(cidr for cidr in config.cluster_cidrs if cidr.family is primary)
    if not pods:
        raise InvalidInput(f"Services are {primary} first, and no cluster CIDR is; plan a new cluster")
    final = replace(
        config,
        cluster_cidrs=pods,
        service_cidrs=config.service_cidrs[:1],
        node_cidr_mask_sizes={primary: config.node_cidr_mask_sizes[primary]},
        extra_service_cidrs=tuple(cidr for cidr in config.extra_service_cidrs if cidr.family is primary),
        evidence={**config.evidence, "cluster_cidrs": "migration", "service_cidrs": "migration"},
    )
    refused = refusals(final, installer)
    if refused:
        raise InvalidConfig(f"with {pods[0]} and {final.service_cidrs[0]}: {refused[0]}")
    return Wanted(final, installer)
