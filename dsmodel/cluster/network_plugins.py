"""The network plugin of a cluster: by name, with settings that follow from the configuration, or as it is given.

Promises that a plugin which cannot serve the configuration is refused before anything is built: ranges outside the
cluster CIDRs, a family without a cluster CIDR, node blocks that hold no pod. Settings by name are those of a fresh
installation over the cluster CIDRs; where the plugin cuts nodes' ranges by itself, they have the configured masks.

What it does not know: settings that follow from nothing in the configuration. By name, nodes of AWS are ``m5.large``
in one subnet; other sizes take an `AwsVpcCni`. A plugin may serve fewer families than the cluster has, as Calico does
by default: the audit says so.

Sources: of the defaults, ``manifests/calico.yaml`` and ``libcalico-go/lib/clientv3/ippool.go`` of projectcalico/calico,
``operator/pkg/ipam/clusterpool.go`` of cilium/cilium, and the modules of the plugins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cni.antrea import Antrea
from dsmodel.cni.aws import AwsVpcCni, Interfaces
from dsmodel.cni.azure import AzureOverlay
from dsmodel.cni.calico import Calico, IPPool
from dsmodel.cni.cilium import Cilium, ClusterPool
from dsmodel.cni.contract import ANY_NODES, NetworkPlugin, PodCidrRole
from dsmodel.cni.flannel import Flannel
from dsmodel.cni.gke import GKE
from dsmodel.cni.kube_router import KubeRouter
from dsmodel.cni.kubenet import Kubenet
from dsmodel.cni.ovn import OVNKubernetes
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.cni.whereabouts import Whereabouts, read_ranges
from dsmodel.errors import InvalidConfig, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.kube.config import ClusterConfig

__all__ = ["HOST_LOCAL", "PLUGIN_NAMES", "plugin_of", "runs_node_ipam"]

HOST_LOCAL = "host-local"

_CALICO_BLOCKS = {IPFamily.IPV4: 26, IPFamily.IPV6: 122}
_M5_LARGE = Interfaces(3, 10)


def _calico(config: ClusterConfig) -> NetworkPlugin:
    """Make the pools of a fresh installation: one a cluster CIDR, named as the node agent names them."""
    pools = [
        IPPool(f"default-{str(cidr.family).lower()}-ippool", cidr, _CALICO_BLOCKS[cidr.family])
        for cidr in config.cluster_cidrs
    ]
    for pool in pools:
        if pool.block_size < pool.cidr.prefix_length:
            raise InvalidConfig(f"{pool.cidr} is smaller than one block, a /{pool.block_size}")
    return Calico(pools)


def _cilium(config: ClusterConfig) -> NetworkPlugin:
    """Cut nodes' CIDRs by the operator, cluster-pool mode, with the configured masks."""
    return Cilium(_families(config), operator=ClusterPool(config.cluster_cidrs, config.node_cidr_mask_sizes))


def _ovn(config: ClusterConfig) -> NetworkPlugin:
    """Cut host subnets of the configured masks."""
    entries = [f"{cidr}/{config.node_cidr_mask_sizes[cidr.family]}" for cidr in config.cluster_cidrs]
    return OVNKubernetes(",".join(entries))


def _aws(config: ClusterConfig) -> NetworkPlugin:
    """Take the IPv4 cluster CIDR for the subnet."""
    return AwsVpcCni(_only(config, IPFamily.IPV4), interfaces=_M5_LARGE)


def _gke(config: ClusterConfig) -> NetworkPlugin:
    """Take the cluster CIDRs for the pod range and the subnet's IPv6 range."""
    ipv6 = [cidr for cidr in config.cluster_cidrs if cidr.family is IPFamily.IPV6]
    return GKE(
        [_only(config, IPFamily.IPV4)], ipv6_subnet=ipv6[0] if ipv6 else None, max_pods=config.max_pods, dataplane="v2"
    )


def _whereabouts(config: ClusterConfig) -> NetworkPlugin:
    """Take the cluster CIDRs for the ranges."""
    return Whereabouts(read_ranges({"ipRanges": [{"range": str(cidr)} for cidr in config.cluster_cidrs]}))


_MADE: Mapping[str, Callable[[ClusterConfig], NetworkPlugin]] = {
    "antrea": lambda config: Antrea(_families(config)),
    "aws-vpc-cni": _aws,
    "azure": lambda config: AzureOverlay(_families(config)),
    "calico": _calico,
    "cilium": _cilium,
    "flannel": lambda config: Flannel(_families(config)),
    "gke": _gke,
    "kube-router": lambda config: KubeRouter(_families(config)),
    "kubenet": lambda config: Kubenet(_families(config)),
    "ovn-kubernetes": _ovn,
    "whereabouts": _whereabouts,
}

PLUGIN_NAMES = tuple(sorted((HOST_LOCAL, *_MADE)))
"""What `Cluster` takes for ``network_plugin`` beside plugins."""


def plugin_of(config: ClusterConfig, given: NetworkPlugin | str | None) -> NetworkPlugin | None:
    """Return a cluster's network plugin, without nodes.

    Parameters
    ----------
    config : ClusterConfig
        What it has to serve.
    given : NetworkPlugin, str or None
        One without nodes, which stays as it is: the cluster gets a copy; or a name of `PLUGIN_NAMES`.

    Returns
    -------
    NetworkPlugin or None
        None for host-local on the nodes' podCIDRs, which a cluster keeps by itself.

    Raises
    ------
    InvalidConfig
        The name is not known, nothing follows from the configuration, or the plugin's ranges do not fit it.
    InvalidInput
        Neither a plugin nor a name, or a plugin that has nodes.

    Examples
    --------
    >>> from dsmodel.kube.config import ClusterConfig
    >>> plugin = plugin_of(ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"]), "calico")
    >>> [(line.pool, line.range, line.unit) for line in plugin.usage()]
    [('default-ipv4-ippool', '10.244.0.0/16 in /26 blocks', 'addresses'),
     ('default-ipv4-ippool', '10.244.0.0/16 in /26 blocks', 'blocks')]
    >>> plugin_of(ClusterConfig.of(cluster_cidrs=["10.244.0.0/27"]), "calico")
    Traceback (most recent call last):
    dsmodel.errors.InvalidConfig: network_plugin 'calico': 10.244.0.0/27 is smaller than one block, a /26
    """
    if given is None or given == HOST_LOCAL:
        return None
    plugin: Any = _made(config, given) if isinstance(given, str) else given
    if not isinstance(plugin, NetworkPlugin):
        names = ", ".join(PLUGIN_NAMES)
        raise InvalidInput(
            f"network_plugin of type {type(given).__name__}: give a plugin of dsmodel.cni or one of {names}"
        )
    if 0 < plugin.nodes < ANY_NODES:
        raise InvalidInput(
            f"network_plugin has {plugin.nodes} nodes already: give one without, nodes join by add_nodes"
        )
    _check_fit(config, plugin)
    return plugin.copy()


def runs_node_ipam(plugin: NetworkPlugin | None) -> bool:
    """Tell whether kube-controller-manager cuts podCIDRs in a cluster with a plugin.

    Parameters
    ----------
    plugin : NetworkPlugin or None
        None for host-local.

    Returns
    -------
    bool
        False where the plugin takes its place.

    Raises
    ------
    None
        Every plugin has an answer.

    Examples
    --------
    >>> runs_node_ipam(None), runs_node_ipam(OVNKubernetes())
    (True, False)
    """
    return plugin is None or plugin.pod_cidr_role not in {PodCidrRole.REPLACED, PodCidrRole.WRITTEN}


def _made(config: ClusterConfig, name: str) -> NetworkPlugin:
    """Make a plugin by its name."""
    if name not in _MADE:
        raise InvalidConfig(f"network_plugin {name!r}: use one of {', '.join(PLUGIN_NAMES)}")
    if not config.cluster_cidrs:
        raise InvalidConfig(
            f"network_plugin {name!r}: no cluster CIDR to derive its ranges from; give one, or a plugin of dsmodel.cni"
        )
    try:
        return _MADE[name](config)
    except InvalidInput as error:
        raise InvalidConfig(f"network_plugin {name!r}: {error}") from None


def _check_fit(config: ClusterConfig, plugin: NetworkPlugin) -> None:
    """Refuse a plugin that cannot serve the configuration."""
    name = plugin.provenance.plugin
    if not config.cluster_cidrs or plugin.pod_cidr_role is PodCidrRole.BESIDE:
        return
    clusters = ", ".join(map(str, config.cluster_cidrs))
    families = {cidr.family for cidr in config.cluster_cidrs}
    lacking = [family for family in plugin.ip_families if family not in families]
    if lacking:
        raise InvalidConfig(
            f"network_plugin {name!r} gives pods {lacking[0]} addresses and --cluster-cidr {clusters} has none: "
            "add a cluster CIDR of the family, or ask the plugin for fewer"
        )
    for cidr in plugin.cidrs:
        if not any(cidr in cluster for cluster in config.cluster_cidrs):
            raise InvalidConfig(
                f"network_plugin {name!r} hands out {cidr}, outside --cluster-cidr {clusters}: kube-proxy would take "
                "its pods for strangers; widen cluster_cidrs, leave them out, or move the plugin's range"
            )
    if isinstance(plugin, RangePlugin) and plugin.pod_cidr_role is PodCidrRole.USED:
        for family in plugin.ip_families:
            mask = config.node_cidr_mask_sizes[family]
            if not plugin.addresses_per_range(family, mask):
                raise InvalidConfig(f"network_plugin {name!r} serves no pod from a node block of /{mask} ({family})")


def _families(config: ClusterConfig) -> list[IPFamily]:
    """Return the families of the cluster CIDRs, in their order."""
    return [cidr.family for cidr in config.cluster_cidrs]


def _only(config: ClusterConfig, family: IPFamily) -> Cidr:
    """Return the cluster CIDR of a family."""
    for cidr in config.cluster_cidrs:
        if cidr.family is family:
            return cidr
    raise InvalidConfig(f"it needs an {family} cluster CIDR")
