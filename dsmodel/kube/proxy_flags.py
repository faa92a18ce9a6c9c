"""What kube-proxy makes of its address flags.

Promises the rules of the configuration validation per version, in its words, and what only shows at run time as
warnings. Does not know the host: whether it can do both families is not judged.

Sources: ``pkg/proxy/apis/config/validation/validation.go``, ``cmd/kube-proxy/app/server_others.go`` of v1.20.2,
``cmd/kube-proxy/app/server.go`` and ``server_linux.go`` of v1.36.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import parse_address
from dsmodel.errors import InvalidAddress
from dsmodel.kube.cluster_cidrs import read_cidr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsmodel.kube.command_lines import CommandLine

__all__ = ["PROXY_FLAGS", "judge_proxy"]

PROXY_FLAGS = {
    "bind-address": "ip",
    "cluster-cidr": "text",
    "detect-local-mode": "text",
    "feature-gates": "map",
    "masquerade-all": "bool",
    "nodeport-addresses": "text",
    "pod-bridge-interface": "text",
    "pod-interface-name-prefix": "text",
    "proxy-mode": "text",
}

_NFTABLES, _NFTABLES_GATE = "nftables", "NFTablesProxyMode"
_VALIDATION = "pkg/proxy/apis/config/validation/validation.go"
_PAIR = "must be a either a single CIDR or dual-stack pair of CIDRs (e.g. [10.100.0.0/16, fde4:8dba:82e1::/48]"


def judge_proxy(line: CommandLine) -> None:
    """Add the findings for kube-proxy.

    Parameters
    ----------
    line : CommandLine
        Its flags.

    Raises
    ------
    None
        Everything is a finding.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> from dsmodel.kube.command_lines import parse_command_line
    >>> line = parse_command_line("kube-proxy", ["--proxy-mode=userspace"], KubeVersion("1.36"))
    >>> judge_proxy(line)
    >>> line.findings[0].rule
    'proxy-mode'
    """
    gates = line.feature_gates()
    line.is_on("masquerade-all")
    version = line.kube_version
    mode = line.text("proxy-mode")
    modes = version.rule("kube_proxy_modes")
    if not version.gate(_NFTABLES_GATE, gates):
        modes = tuple(each for each in modes if each != _NFTABLES)
    if mode not in modes:
        listed = ", ".join(sorted(each for each in modes if each))
        words = (
            f'Invalid value: "{mode}": must be {listed} or blank (blank means the best-available proxy [currently '
            "iptables])"
        )
        is_gated = mode == _NFTABLES and version.gate_row(_NFTABLES_GATE) is not None
        fix = f"set {_NFTABLES_GATE}=true, or take another mode" if is_gated else "take one of these modes"
        _refuse(line, "proxy-mode", words, flag="proxy-mode", fix=fix)
    elif mode in version.rule("kube_proxy_deprecated_modes"):
        words = (
            f"The {mode} proxier is now deprecated and may be removed in a future release. Please use 'nftables' "
            "instead."
        )
        line.find("note", "proxy-mode", words, flag="proxy-mode", fix=f"plan for {_NFTABLES}", source="server_linux.go")
    bind = line.text("bind-address")
    if bind and not _is_address(bind):
        _refuse(line, "bind-address", "not a valid textual representation of an IP address", flag="bind-address")
    local = line.text("detect-local-mode")
    local_modes = version.rule("kube_proxy_local_modes")
    if local not in local_modes:
        words = f'Unsupported value: "{local}": supported values: {", ".join(each for each in local_modes if each)}'
        _refuse(line, "detect-local-mode", words, flag="detect-local-mode", fix="take one of the supported modes")
    _judge_interfaces(line, local)
    _judge_cluster_cidr(line, gates, local=local)
    _judge_node_ports(line, mode)


def _refuse(line: CommandLine, rule: str, words: str, *, flag: str, fix: str = "write a valid value") -> None:
    """Find a value the configuration validation refuses."""
    line.find("fatal", rule, words, flag=flag, fix=fix, source=_VALIDATION)


def _judge_interfaces(line: CommandLine, local: str) -> None:
    """Refuse a local mode whose interface is not named."""
    needed = {"BridgeInterface": "pod-bridge-interface", "InterfaceNamePrefix": "pod-interface-name-prefix"}
    flag = needed.get(local)
    if flag and not line.text(flag):
        _refuse(line, "detect-local-mode", "must not be empty", flag=flag, fix=f"name it, as {local} needs it")


def _judge_cluster_cidr(line: CommandLine, gates: Mapping[str, bool], *, local: str) -> None:
    """Judge the cluster CIDRs: always up to where detect-local-mode decides, then only where it reads them."""
    texts = line.parts("cluster-cidr")
    version = line.kube_version
    if local not in {"", "ClusterCIDR"} and version.rule("kube_proxy_cluster_cidr_by_local_mode"):
        if texts:
            words = f"--cluster-cidr is not read with --detect-local-mode={local}"
            line.find("note", "cluster-cidr", words, flag="cluster-cidr", fix="drop it", source=_VALIDATION)
        return
    if not texts:
        words = "no cluster CIDR: traffic that should be masqueraded is told by nothing but --masquerade-all"
        fix = "name the cluster CIDRs, or take --detect-local-mode=NodeCIDR"
        line.find("note", "cluster-cidr", words, flag="cluster-cidr", fix=fix, source="getLocalDetectors")
        return
    is_dual = version.gate("IPv6DualStack", gates)
    if not is_dual and len(texts) > 1:
        words = "only one CIDR allowed (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)"
        _refuse(line, "cluster-cidr", words, flag="cluster-cidr", fix="give one, or set IPv6DualStack=true")
        return
    cidrs = [read_cidr(text, version) for text in texts]
    if len(texts) > 2:
        _refuse(line, "cluster-cidr", "only one CIDR allowed or a valid DualStack CIDR", flag="cluster-cidr")
    elif None in cidrs:
        words = "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)"
        _refuse(line, "cluster-cidr", words, flag="cluster-cidr")
    elif len({cidr.family for cidr in cidrs if cidr}) < len(texts):
        _refuse(line, "cluster-cidr", _PAIR, flag="cluster-cidr", fix="give one of each family")


def _judge_node_ports(line: CommandLine, mode: str) -> None:
    """Judge the addresses node ports are opened on."""
    flag = "nodeport-addresses"
    texts = line.parts(flag)
    version = line.kube_version
    if texts == ["primary"] and version.rule("kube_proxy_primary_node_port_addresses"):
        return
    if "primary" in texts and version.rule("kube_proxy_primary_node_port_addresses"):
        _refuse(line, flag, "can't use 'primary' with other IPs", flag=flag, fix="give 'primary' alone, or CIDRs")
        return
    cidrs = [read_cidr(text, version) for text in texts]
    for place, (text, cidr) in enumerate(zip(texts, cidrs, strict=True)):
        if cidr is None:
            words = f'nodePortAddresses[{place}]: Invalid value: "{text}": must be a valid CIDR'
            _refuse(line, flag, words, flag=flag, fix="write CIDRs such as 10.0.0.0/8 or ::/0")
    families = {cidr.family for cidr in cidrs if cidr}
    if len(families) == 1 and not line.is_refused() and mode != _NFTABLES:
        family = next(iter(families))
        words = f"cluster is dual-stack but --nodeport-addresses names only {family}: the other family opens on all"
        fix = "name a CIDR of each family"
        line.find("note", flag, words, flag=flag, fix=fix, source="pkg/proxy/util/nodeport_addresses.go")


def _is_address(text: str) -> bool:
    """Tell whether text is one address."""
    try:
        parse_address(text, syntax="sloppy")
    except InvalidAddress:
        return False
    return True
