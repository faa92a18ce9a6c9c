"""A whole configuration judged: each component with the flags it amounts to, and what only shows between them.

Promises the findings of `dsmodel.kube.flags` for the four components, plus what no component sees: ranges and families
that differ between components, feature gates that are not on everywhere, block sizes against Pods a node, nodes that a
new configuration would not accept. Does not know what a network plugin makes of the blocks: Pods a block are counted
as host-local does.

Sources: see `dsmodel.kube.flags`; ``plugins/ipam/host-local`` of containernetworking/plugins; the prerequisites of
"IPv4/IPv6 dual-stack" in Kubernetes' documentation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import IPFamily, parse_address
from dsmodel.errors import InvalidAddress, InvalidConfig
from dsmodel.kube.cluster_cidrs import read_cidr
from dsmodel.kube.command_lines import Finding
from dsmodel.kube.config import ClusterConfig
from dsmodel.kube.flags import config_from_flags, findings_frame, flags_by_component, judge_flags
from dsmodel.kube.node_ipam import NodeIPAM
from dsmodel.kube.versions import NEWEST, KubeVersion
from dsmodel.wording import agreeing, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from dsmodel.kube.command_lines import CommandLine

__all__ = ["check_config", "flags_from_config"]

# addresses of a block that host-local never gives a Pod: network and gateway, for IPv4 the broadcast too
_RESERVED = {IPFamily.IPV4: 3, IPFamily.IPV6: 2}
_SERVER, _MANAGER, _KUBELET, _PROXY = "kube-apiserver", "kube-controller-manager", "kubelet", "kube-proxy"
_RANGES = "service-cluster-ip-range"
_ALLOCATOR = "pkg/controller/nodeipam/ipam/range_allocator.go"
_PREREQUISITES = "prerequisites of IPv4/IPv6 dual-stack, kubernetes.io"
_NAMED = 3  # flags without a rule that are named one by one


def check_config(
    config: ClusterConfig | Mapping[str, Iterable[str]],
    *,
    kube_version: str | KubeVersion | None = None,
    nodes: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Judge a configuration before anyone starts it.

    Parameters
    ----------
    config : ClusterConfig or mapping of str to iterable of str
        The configuration, or component to its flags, where they are at hand: then the findings are about the flags as
        they are given. Ranges that were guessed are not judged.
    kube_version : str or KubeVersion, optional
        Judge as of this version; by default the configuration's, for flags the newest modelled.
    nodes : mapping of str to sequence of str, optional
        Nodes that exist, with their podCIDRs: whether kube-controller-manager would start with them.

    Returns
    -------
    pandas.DataFrame
        Findings with the columns of `check_flags`; ``component`` is ``cluster`` for what concerns more than one.

    Raises
    ------
    InvalidConfig
        Flags of a component that is not judged here.
    InvalidInput
        Neither a configuration nor lists of flags by component. All else is a finding.
    UnsupportedVersion
        A version outside the window.

    Examples
    --------
    >>> from dsmodel import ClusterConfig
    >>> config = ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"], node_cidr_mask_sizes={"IPv4": 26})
    >>> check_config(config)["rule"].tolist()
    ['max-pods-above-block']
    >>> check_config({"kube-apiserver": ["--service-cluster-ip-range=10.96.0.0/8"]}, kube_version="1.29")["fix"][0]
    'take at least a /12 (IPv4) or a /108 (IPv6)'
    """
    if isinstance(config, ClusterConfig):
        version = KubeVersion(kube_version or config.kube_version)
        known: ClusterConfig | None = _without_guesses(replace(config, kube_version=version))
        flags: Mapping[str, Iterable[str]] = flags_from_config(known) if known else {}
        lines = {component: judge_flags(component, given, version) for component, given in flags.items()}
    else:
        version = KubeVersion(kube_version or f"1.{NEWEST}")
        flags = flags_by_component(config)
        lines = {component: judge_flags(component, given, version) for component, given in flags.items()}
        refused = any(line.is_refused() for line in lines.values())
        known = None if refused else config_from_flags(flags, kube_version=version)
    findings = [finding for line in lines.values() for finding in _gathered(line)]
    findings += _across(lines)
    if known is not None:
        findings += _between(known, {finding.rule for finding in findings})
        findings += _judge_nodes(known, nodes or {})
    return findings_frame(findings, kube_version=version)


def _without_guesses(config: ClusterConfig) -> ClusterConfig:
    """Leave out ranges that a reader guessed from the addresses in use."""
    is_guess = {name: why.startswith("guess") for name, why in config.evidence.items()}
    if is_guess.get("cluster_cidrs"):
        config = replace(config, cluster_cidrs=(), node_cidr_mask_sizes={})
    return replace(config, service_cidrs=()) if is_guess.get("service_cidrs") else config


def _gathered(line: CommandLine) -> Iterator[Finding]:
    """Return a component's findings, the flags without a rule in one where they are many."""
    unknown = [finding for finding in line.findings if finding.rule == "flag-not-modelled"]
    if len(unknown) <= _NAMED:
        yield from line.findings
        return
    yield from (finding for finding in line.findings if finding.rule != "flag-not-modelled")
    names = sorted(finding.flag for finding in unknown)
    words = f"{len(names)} flags have no rule here and were not looked at: {', '.join(names)}"
    yield replace(unknown[0], flag="", message=words, fix="judge them by hand")


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


def _across(lines: Mapping[str, CommandLine]) -> Iterator[Finding]:
    """Find flags of one component that do not go with those of another."""
    server, manager, proxy = (lines.get(name) for name in (_SERVER, _MANAGER, _PROXY))
    if server and manager and manager.text(_RANGES) and server.text(_RANGES) != manager.text(_RANGES):
        words = (
            f"kube-controller-manager has {manager.text(_RANGES)}, kube-apiserver {server.text(_RANGES) or 'none'}: "
            "node IPAM keeps the wrong addresses free of podCIDRs"
        )
        yield Finding(
            _MANAGER, f"--{_RANGES}", "ranges-differ", "warning", words, f"give both --{_RANGES} alike", _ALLOCATOR
        )
    if manager and proxy and proxy.text("cluster-cidr") and manager.is_on("allocate-node-cidrs"):
        missing = set(manager.parts("cluster-cidr")) - set(proxy.parts("cluster-cidr"))
        if missing and proxy.text("detect-local-mode") in {"", "ClusterCIDR"}:
            words = f"kube-proxy does not know {', '.join(sorted(missing))}: it takes those Pods for outside traffic"
            fix = f"give kube-proxy --cluster-cidr={manager.text('cluster-cidr')}"
            yield Finding(_PROXY, "--cluster-cidr", "ranges-differ", "warning", words, fix, "getLocalDetectors")
    yield from _judge_gates(lines)
    kubelet = lines.get(_KUBELET)
    if kubelet:
        yield from _judge_kubelet(kubelet, lines)


def _judge_gates(lines: Mapping[str, CommandLine]) -> Iterator[Finding]:
    """Find components on which dual-stack stays off while others are told two families."""
    wants = any(
        len(line.parts(name)) > 1 for line in lines.values() for name in (_RANGES, "cluster-cidr") if line.text(name)
    )
    for component, line in lines.items() if wants else ():
        gates = {name: on for name, on in line.feature_gates().items() if name == "IPv6DualStack"}
        if not line.kube_version.gate("IPv6DualStack", gates) and not line.is_refused():
            words = f"IPv6DualStack is off on {component}, while the cluster is given two families"
            fix = f"set --feature-gates=IPv6DualStack=true on {_SERVER}, {_MANAGER}, {_KUBELET} and {_PROXY}"
            yield Finding(component, "--feature-gates", "dual-stack-gate", "error", words, fix, _PREREQUISITES)


def _judge_kubelet(line: CommandLine, lines: Mapping[str, CommandLine]) -> Iterator[Finding]:
    """Find what a node is told that does not go with the cluster."""
    manager, server = lines.get(_MANAGER), lines.get(_SERVER)
    families = _families(manager.parts("cluster-cidr")) if manager else []
    own = _families(line.parts("node-ip"))
    missing = [family for family in families if own and family not in own]
    if missing:
        words = (
            f"the cluster has {' and '.join(families)}, --node-ip names only {' and '.join(own)}: hostNetwork Pods and "
            f"the node have no {missing[0]} address"
        )
        fix = f"name an {missing[0]} address of the node too, behind a comma"
        yield Finding(_KUBELET, "--node-ip", "node-ip-families", "warning", words, fix, _PREREQUISITES)
    ranges = [cidr for cidr in map(read_cidr, server.parts(_RANGES) if server else []) if cidr]
    for text in line.parts("cluster-dns"):
        if ranges and _families([text]) and not any(text.strip() in cidr for cidr in ranges):
            listed = ", ".join(map(str, ranges))
            words = f"Pods are told to ask {text.strip()} for names, which is outside the service ranges {listed}"
            fix = "name an address of a service range, unless a DNS server on the nodes is meant"
            source = "pkg/kubelet/apis/config/types.go, clusterDNS"
            yield Finding(_KUBELET, "--cluster-dns", "cluster-dns", "note", words, fix, source)
    if line.text("network-plugin") == "kubenet" and line.kube_version.rule("kubenet"):
        words = "kubenet can do dual-stack, and is gone with dockershim in 1.24"
        fix = "plan a CNI plugin with both families before 1.24"
        yield Finding(_KUBELET, "--network-plugin", "kubenet", "note", words, fix, _PREREQUISITES)


def _families(texts: Iterable[str]) -> list[IPFamily]:
    """List the families of addresses or CIDRs, leaving out what is neither."""
    found = []
    for text in texts:
        try:
            found.append(parse_address(text.strip().partition("/")[0], syntax="sloppy")[0])
        except InvalidAddress:
            continue
    return found


def _between(config: ClusterConfig, told: set[str]) -> Iterator[Finding]:
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
                f"kubelet takes up to {counted(config.max_pods, 'Pod')}, a /{mask} block of {block} has "
                f"addresses for {pods}",
                f"take a shorter node mask, or --max-pods={pods}",
                "plugins/ipam/host-local/backend/allocator/range.go",
            )
        if mask == block.prefix_length and "family-capacity" not in told:
            words = f"{block} is one block of /{mask}: one node, and the next one gets the event CIDRNotAvailable"
            fix = f"take a cluster CIDR of /{max(mask - 8, 8)} for 256 nodes, or a longer node mask"
            yield Finding("cluster", "--cluster-cidr", "one-node-block", "warning", words, fix, _ALLOCATOR)
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
    yield from _judge_pairing(config, told)


def _judge_pairing(config: ClusterConfig, told: set[str]) -> Iterator[Finding]:
    """Find families of Services that Pods do not have."""
    pods = [block.family for block in config.cluster_cidrs]
    lacking = [cidr.family for cidr in config.service_cidrs if pods and cidr.family not in pods]
    if lacking and "family-pairing" not in told:
        words = f"Services have {' and '.join(cidr.family for cidr in config.service_cidrs)}, Pods only {pods[0]}"
        fix = "give --cluster-cidr the same families"
        yield Finding("cluster", "--cluster-cidr", "family-pairing", "warning", words, fix, "KEP-563")


def _judge_nodes(config: ClusterConfig, nodes: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Start node IPAM with the nodes that exist."""
    held = {name: tuple(cidrs) for name, cidrs in nodes.items() if cidrs}
    if not config.cluster_cidrs or not nodes:
        return
    sizes = {str(family): size for family, size in config.node_cidr_mask_sizes.items()}
    services = config.service_cidrs
    ipam = None
    try:
        ipam = NodeIPAM(
            kube_version=config.kube_version,
            cluster_cidrs=config.cluster_cidrs,
            node_cidr_mask_sizes=sizes,
            service_cidrs=services,
            feature_gates=config.feature_gates,
            nodes=held,
        )
    except InvalidConfig as error:
        unfit = [name for name, cidrs in held.items() if not _fits(config, cidrs)]
        words = f"{error}; {len(unfit) or 1} of {len(nodes)} nodes do not fit, and the controller does not start"
        fix = "keep the cluster CIDRs, in the order the nodes were given theirs, or create the nodes anew"
        yield Finding(_MANAGER, "--cluster-cidr", "nodes-do-not-fit", "fatal", words, fix, _ALLOCATOR)
    if ipam is not None:
        free = min(blocks.free for blocks in ipam.sets)
        waiting = len(nodes) - len(held)
        if waiting > free:
            words = (
                f"{counted(waiting, 'node')} {agreeing(waiting, 'has', 'have')} no podCIDR yet and "
                f"{counted(free, 'block')} {agreeing(free, 'is', 'are')} left: CIDRNotAvailable for the others"
            )
            fix = "take a shorter cluster CIDR prefix or a longer node mask in a new cluster"
            yield Finding(_MANAGER, "--cluster-cidr", "nodes-do-not-fit", "error", words, fix, _ALLOCATOR)


def _fits(config: ClusterConfig, cidrs: Sequence[str]) -> bool:
    """Tell whether a node's podCIDRs lie in the cluster CIDRs of the same place."""
    if len(cidrs) > len(config.cluster_cidrs):
        return False
    pairs = zip(map(read_cidr, cidrs), config.cluster_cidrs, strict=False)
    return all(cidr is not None and cidr.overlaps(block) for cidr, block in pairs)
