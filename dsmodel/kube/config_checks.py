"""A whole configuration judged: each component with the flags it amounts to, and what only shows between them.

Promises the findings of `dsmodel.kube.flags` for the four components, plus block sizes against Pods a node, ServiceCIDR
objects inside the pod range, and published scale limits. Does not know what a network plugin makes of the blocks: Pods
a block are counted as host-local does.

Sources: see `dsmodel.kube.flags`; ``plugins/ipam/host-local`` of containernetworking/plugins; SIG Scalability
thresholds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import IPFamily
from dsmodel.kube.command_lines import Finding
from dsmodel.kube.flags import findings_frame, judge_flags

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from dsmodel.kube.config import ClusterConfig

__all__ = ["check_config", "flags_from_config"]

# addresses of a block that host-local never gives a Pod: network and gateway, for IPv4 the broadcast too
_RESERVED = {IPFamily.IPV4: 3, IPFamily.IPV6: 2}


def check_config(config: ClusterConfig) -> pd.DataFrame:
    """Judge a configuration before anyone starts it.

    Parameters
    ----------
    config : ClusterConfig
        The configuration.

    Returns
    -------
    pandas.DataFrame
        Findings with the columns of `check_flags`; ``component`` is ``cluster`` for what concerns more than one.

    Raises
    ------
    None
        Everything is a finding.

    Examples
    --------
    >>> from dsmodel import ClusterConfig
    >>> config = ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"], node_cidr_mask_sizes={"IPv4": 26})
    >>> check_config(config)["rule"].tolist()
    ['max-pods-above-block']
    """
    findings = [
        finding
        for component, flags in flags_from_config(config).items()
        for finding in judge_flags(component, flags, config.kube_version).findings
    ]
    return findings_frame([*findings, *_between(config)])


def flags_from_config(config: ClusterConfig) -> dict[str, list[str]]:
    """Write a configuration as the flags of the components.

    Parameters
    ----------
    config : ClusterConfig
        The configuration.

    Returns
    -------
    dict of str to list of str
        Component to its flags; components it says nothing about are left out.

    Raises
    ------
    None
        Every configuration has flags; `config_from_flags` reads them back.

    Examples
    --------
    >>> from dsmodel import ClusterConfig
    >>> flags_from_config(ClusterConfig.of(service_cidrs=["10.96.0.0/16"]))["kube-apiserver"]
    ['--service-cluster-ip-range=10.96.0.0/16', '--service-node-port-range=30000-32767']
    """
    gates = ",".join(f"{name}={str(on).lower()}" for name, on in sorted(config.feature_gates.items()))
    gate_flags = [f"--feature-gates={gates}"] if gates else []
    services = ",".join(map(str, config.service_cidrs))
    blocks = ",".join(map(str, config.cluster_cidrs))
    service_flags = [f"--service-cluster-ip-range={services}"] if services else []
    first, last = config.service_node_port_range
    flags = {"kubelet": [f"--max-pods={config.max_pods}", *gate_flags]}
    if services:
        flags["kube-apiserver"] = [*service_flags, f"--service-node-port-range={first}-{last}", *gate_flags]
    if blocks:
        cluster_flags = [f"--cluster-cidr={blocks}"]
        flags["kube-controller-manager"] = [
            "--allocate-node-cidrs=true",
            *cluster_flags,
            *_mask_flags(config),
            *service_flags,
            *gate_flags,
        ]
        flags["kube-proxy"] = [*cluster_flags, *gate_flags]
    return dict(sorted(flags.items()))


def _mask_flags(config: ClusterConfig) -> list[str]:
    """Write the node masks with the flags the number of families calls for."""
    sizes = config.node_cidr_mask_sizes
    if len(config.cluster_cidrs) > 1:
        return [f"--node-cidr-mask-size-{family.lower()}={size}" for family, size in sorted(sizes.items())]
    return [f"--node-cidr-mask-size={size}" for size in sizes.values()]


def _between(config: ClusterConfig) -> Iterator[Finding]:
    """Find what no component sees on its own."""
    for block in config.cluster_cidrs:
        mask = config.node_cidr_mask_sizes.get(block.family, block.family.bits)
        pods = max(0, (1 << (block.family.bits - mask)) - _RESERVED[block.family])
        if pods < config.max_pods:
            yield Finding(
                "cluster",
                "--max-pods",
                "max-pods-above-block",
                "warning",
                f"kubelet takes up to {config.max_pods} Pods, a /{mask} block of {block} has addresses for {pods}",
                f"take a shorter node mask, or --max-pods={pods}",
                "plugins/ipam/host-local/backend/allocator/range.go",
            )
        for cidr in config.extra_service_cidrs:
            if cidr.overlaps(block):
                yield Finding(
                    "cluster",
                    "--cluster-cidr",
                    "service-cidr-inside",
                    "error",
                    f"ServiceCIDR {cidr} lies inside {block}: node IPAM leaves out only the ranges of its flags",
                    "move the ServiceCIDR out of the cluster CIDR",
                    "pkg/controller/nodeipam/ipam/range_allocator.go",
                )
