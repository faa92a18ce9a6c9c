"""What installers check and hand on before any component starts: kubeadm's networking rules, those of k3s and RKE2.

Promises kubeadm's validation of ``networking`` with its field paths and words, the flags kubeadm and k3s derive for
the components, and the pairing of families that k3s and RKE2 insist on. Does not know their other settings.

Sources: ``cmd/kubeadm/app/apis/kubeadm/validation/validation.go`` and ``cmd/kubeadm/app/phases/controlplane/
manifests.go`` of v1.20.2 and v1.36.2; ``pkg/agent/run.go`` and ``pkg/daemons/control/server.go`` of k3s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily, parse_address
from dsmodel.errors import InvalidAddress
from dsmodel.kube.apiserver_flags import range_size
from dsmodel.kube.cluster_cidrs import read_cidr
from dsmodel.kube.command_lines import Finding
from dsmodel.kube.config import DEFAULT_NODE_MASKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dsmodel.kube.versions import KubeVersion

__all__ = ["KubeadmNetworking", "judge_k3s", "judge_kubeadm", "kubeadm_flags"]

_VALIDATION = "cmd/kubeadm/app/apis/kubeadm/validation/validation.go"
_K3S = "pkg/agent/run.go of k3s"
_LEAST = {"serviceSubnet": 10, "podSubnet": 14}  # addresses: constants.MinimumAddressesIn...Subnet
_MOST_SERVICE_BITS = 20  # constants.MaximumBitsForServiceSubnet
_MOST_MASK_BITS = 16  # constants.PodSubnetNodeMaskMaxDiff, for both families
_SITE_LOCAL = Cidr("fec0::/10")
_PAIR = "expected one (IPv4 or IPv6) CIDR or two CIDRs from each family for dual-stack networking"


@dataclass(frozen=True)
class KubeadmNetworking:
    """What kubeadm's ``ClusterConfiguration`` says about addresses.

    Parameters
    ----------
    service_subnet, pod_subnet : str
        ``networking.serviceSubnet`` and ``networking.podSubnet``.
    feature_gates : mapping of str to bool
        kubeadm's own.
    controller_args : mapping of str to str
        ``controllerManager.extraArgs``.

    Raises
    ------
    None
        A record.
    """

    service_subnet: str = "10.96.0.0/12"
    pod_subnet: str = ""
    feature_gates: Mapping[str, bool] = field(default_factory=dict, hash=False)
    controller_args: Mapping[str, str] = field(default_factory=dict, hash=False)


def judge_kubeadm(networking: KubeadmNetworking, kube_version: KubeVersion) -> list[Finding]:
    """Judge the networking part of a configuration as kubeadm does.

    Parameters
    ----------
    networking : KubeadmNetworking
        What it says.
    kube_version : KubeVersion
        Version of kubeadm.

    Returns
    -------
    list of Finding
        Fatal where ``kubeadm init`` refuses; ``flag`` is the field's path.

    Raises
    ------
    None
        Everything is a finding.

    Notes
    -----
    Source: ``ValidateNetworking`` and ``ValidatePodSubnetNodeMask`` of ``validation.go``. Whether the two lists
    overlap, or name the same families in the same order, kubeadm does not check.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> found = judge_kubeadm(KubeadmNetworking(pod_subnet="fd00::/48,10.0.0.0/7"), KubeVersion("1.36"))
    >>> found[0].message
    'Invalid value: "10.0.0.0/7": pod subnet mask (7) and node-mask (24) difference is greater than 16'
    """
    lists = (("serviceSubnet", networking.service_subnet), ("podSubnet", networking.pod_subnet))
    findings = list(_judge_gate(networking, kube_version))
    for name, text in lists:
        if not text:
            continue
        cidrs = [read_cidr(part, kube_version) for part in text.split(",")]
        known = [cidr for cidr in cidrs if cidr is not None]
        if len(known) < len(cidrs):
            fix = "write CIDRs with one comma and no spaces between them"
            findings.append(_refusal(name, text, "couldn't parse subnet", fix))
            continue
        findings += _judge_list(name, text, known, is_dual_allowed=_is_dual(networking, kube_version))
        if name == "serviceSubnet":
            findings += _judge_service_size(known)
        elif networking.controller_args.get("allocate-node-cidrs") != "false":
            findings += _judge_node_masks(known, networking, kube_version)
    return findings


def kubeadm_flags(networking: KubeadmNetworking, kube_version: KubeVersion) -> dict[str, dict[str, tuple[str, str]]]:
    """List the flags that kubeadm writes for the components.

    Parameters
    ----------
    networking : KubeadmNetworking
        What it was told.
    kube_version : KubeVersion
        Its version.

    Returns
    -------
    dict of str to dict
        Component to flag name to (value, field the value comes from); what the user gives for a flag replaces it.

    Raises
    ------
    None
        Values are not judged here.

    Notes
    -----
    Source: ``getAPIServerCommand`` and ``getControllerManagerCommand`` of ``manifests.go``: without a podSubnet node
    IPAM stays off.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> sorted(kubeadm_flags(KubeadmNetworking(), KubeVersion("1.36")))
    ['kube-apiserver']
    """
    service, pod = networking.service_subnet, networking.pod_subnet
    flags: dict[str, dict[str, tuple[str, str]]] = {
        "kube-apiserver": {"service-cluster-ip-range": (service, "networking.serviceSubnet")}
    }
    if pod:
        flags["kube-controller-manager"] = {
            "allocate-node-cidrs": ("true", "networking.podSubnet"),
            "cluster-cidr": (pod, "networking.podSubnet"),
            "service-cluster-ip-range": (service, "networking.serviceSubnet"),
        }
        flags["kube-proxy"] = {"cluster-cidr": (pod, "networking.podSubnet")}
    gate = networking.feature_gates.get("IPv6DualStack")
    if gate is not None and kube_version.rule("kubeadm_dual_stack_gate") is not None:
        for component in ("kube-apiserver", "kube-controller-manager", "kubelet", "kube-proxy"):
            value = (f"IPv6DualStack={str(gate).lower()}", "featureGates.IPv6DualStack")
            flags.setdefault(component, {})["feature-gates"] = value
    return flags


def judge_k3s(cluster_cidrs: str, service_cidrs: str, node_ips: str) -> list[Finding]:
    """Judge the families of a k3s or RKE2 configuration as its agent does.

    Parameters
    ----------
    cluster_cidrs, service_cidrs : str
        ``cluster-cidr`` and ``service-cidr``, comma separated.
    node_ips : str
        ``node-ip``; empty where the agent finds it out by itself.

    Returns
    -------
    list of Finding
        Fatal where it refuses.

    Raises
    ------
    None
        What does not parse is left to the components.

    Notes
    -----
    Source: ``run`` of ``pkg/agent/run.go`` of k3s.

    Examples
    --------
    >>> [finding.flag for finding in judge_k3s("10.42.0.0/16,fd00:42::/56", "10.43.0.0/16", "")]
    ['service-cidr']
    """
    clusters, services = _families(cluster_cidrs), _families(service_cidrs)
    nodes = _families(node_ips)
    share = "must share the same IP version (IPv4, IPv6 or dual-stack)"
    if clusters and services and clusters[0] is not services[0]:
        words = f"cluster-cidr: [{cluster_cidrs}] and service-cidr: [{service_cidrs}], {share}"
        return [_k3s_finding("service-cidr", words, "name the families in the same order in both")]
    if clusters and services and len(clusters) != len(services):
        words = f"cluster-cidr: [{cluster_cidrs}] and service-cidr: [{service_cidrs}], {share}"
        fix = f"give service-cidr {' and '.join(clusters)} too, or cluster-cidr only {' and '.join(services)}"
        if len(services) > len(clusters):
            fix = f"give cluster-cidr {' and '.join(services)} too, or service-cidr only {' and '.join(clusters)}"
        return [_k3s_finding("service-cidr", words, fix)]
    if nodes and clusters and not set(clusters) <= set(nodes):
        words = f"cluster-cidr: [{cluster_cidrs}] and node-ip: [{node_ips}], {share}"
        return [_k3s_finding("node-ip", words, f"name an address of {' and of '.join(clusters)} on every node")]
    return []


def _k3s_finding(flag: str, words: str, fix: str) -> Finding:
    """Find families that do not pair."""
    return Finding("k3s", flag, "family-pairing", "fatal", words, fix, _K3S)


def _families(text: str) -> list[IPFamily]:
    """List the families of addresses or CIDRs, in order."""
    found: list[IPFamily] = []
    for part in filter(None, text.split(",")):
        try:
            found.append(parse_address(part.strip().partition("/")[0], syntax="sloppy")[0])
        except InvalidAddress:
            continue
    return list(dict.fromkeys(found))


def _is_dual(networking: KubeadmNetworking, kube_version: KubeVersion) -> bool:
    """Tell whether kubeadm takes two ranges."""
    default = kube_version.rule("kubeadm_dual_stack_gate")
    return True if default is None else networking.feature_gates.get("IPv6DualStack", default)


def _judge_gate(networking: KubeadmNetworking, kube_version: KubeVersion) -> Iterator[Finding]:
    """Refuse kubeadm's own gate where it no longer exists."""
    if "IPv6DualStack" in networking.feature_gates and kube_version.rule("kubeadm_dual_stack_gate") is None:
        words = "featureGates: IPv6DualStack is not a valid feature name."
        fix = "drop it: dual-stack is always on since 1.23"
        yield Finding("kubeadm", "featureGates.IPv6DualStack", "feature-gate", "fatal", words, fix, _VALIDATION)


def _judge_list(name: str, text: str, cidrs: Sequence[Cidr], *, is_dual_allowed: bool) -> Iterator[Finding]:
    """Judge number, families and sizes of one list."""
    fix = "give one CIDR, or one of each family"
    if len(cidrs) > 1 and not is_dual_allowed:
        words = "expected one (IPv4 or IPv6) CIDR"
        yield _refusal(name, text, words, "set featureGates.IPv6DualStack: true, or give one CIDR")
    elif len(cidrs) > len(IPFamily) or len({cidr.family for cidr in cidrs}) < len(cidrs):
        yield _refusal(name, text, _PAIR, fix)
    for cidr in cidrs:
        size = range_size(cidr)
        if size < _LEAST[name]:
            words = f"subnet with {size} address(es) is too small, the minimum is {_LEAST[name]}"
            yield _refusal(name, str(cidr), words, "take a shorter prefix" if size else "take a longer prefix")
        if cidr.family is IPFamily.IPV6 and cidr.overlaps(_SITE_LOCAL):
            words = (
                f"the subnet {cidr} contains IPv6 site-local addresses that belong to fec0::/10 which has been "
                "deprecated by rfc3879"
            )
            where = f"networking.{name}"
            yield Finding(
                "kubeadm", where, "site-local", "warning", words, "take unique local addresses, fd00::/8", _VALIDATION
            )


def _judge_service_size(cidrs: Sequence[Cidr]) -> Iterator[Finding]:
    """Refuse service ranges that are too large; kubeadm still does, where kube-apiserver no longer does."""
    for cidr in cidrs:
        bits = cidr.family.bits
        if cidr.host_bits_count > _MOST_SERVICE_BITS:
            shortest = bits - _MOST_SERVICE_BITS
            words = f"specified service subnet is too large; for {bits}-bit addresses, the mask must be >= {shortest}"
            yield _refusal("serviceSubnet", str(cidr), words, f"take a /{shortest} or longer, as {_inside(cidr)}")


def _inside(cidr: Cidr) -> str:
    """Name the first block of a range that is of legal size."""
    return str(cidr.subnet(0, cidr.family.bits - _MOST_SERVICE_BITS))


def _judge_node_masks(
    cidrs: Sequence[Cidr], networking: KubeadmNetworking, kube_version: KubeVersion
) -> Iterator[Finding]:
    """Refuse pod subnets that do not go with the node masks."""
    for cidr in cidrs:
        by_family = _is_dual(networking, kube_version)
        flag = f"node-cidr-mask-size-{cidr.family.lower()}" if by_family else "node-cidr-mask-size"
        text = networking.controller_args.get(flag, "")
        if text and not text.lstrip("+-").isdecimal():
            words = (
                f"could not parse the value of the kube-controller-manager flag {flag} as an integer: "
                f'strconv.Atoi: parsing "{text}": invalid syntax'
            )
            yield _refusal("podSubnet", str(cidr), words, f"write {flag} as a number")
            continue
        mask = int(text) if text else DEFAULT_NODE_MASKS[cidr.family]
        length = cidr.prefix_length
        if length > mask:
            words = (
                f"the size of pod subnet with mask {length} is smaller than the size of node subnet with mask {mask}"
            )
            fix = f"take a pod subnet of /{mask} or shorter, or set controllerManager.extraArgs {flag} above {length}"
            yield _refusal("podSubnet", str(cidr), words, fix)
        elif mask - length > _MOST_MASK_BITS:
            words = f"pod subnet mask ({length}) and node-mask ({mask}) difference is greater than {_MOST_MASK_BITS}"
            fix = (
                f"take a pod subnet of /{mask - _MOST_MASK_BITS} or longer, or set controllerManager.extraArgs {flag} "
                f"to {length + _MOST_MASK_BITS} or less"
            )
            yield _refusal("podSubnet", str(cidr), words, fix)


def _refusal(name: str, value: str, words: str, fix: str) -> Finding:
    """Find a field that kubeadm refuses."""
    return Finding(
        "kubeadm",
        f"networking.{name}",
        f"kubeadm-{'service' if name == 'serviceSubnet' else 'pod'}-subnet",
        "fatal",
        f'Invalid value: "{value}": {words}',
        fix,
        _VALIDATION,
    )
