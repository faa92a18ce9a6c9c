"""What kubelet makes of its address flags.

Promises the rules of ``--node-ip`` per version, in its words, and the flags that are gone. Does not know the host: that
an address of ``--node-ip`` is on none of its interfaces is found only when kubelet runs.

Sources: ``cmd/kubelet/app/server.go`` of v1.20.2, ``k8s.io/component-helpers/node/util/ips.go`` of v1.36.2,
``pkg/kubelet/kubelet_node_status.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily, parse_address
from dsmodel.errors import InvalidAddress
from dsmodel.kube.cluster_cidrs import read_cidr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsmodel.kube.command_lines import CommandLine

__all__ = ["KUBELET_FLAGS", "judge_kubelet"]

KUBELET_FLAGS = {
    "cloud-provider": "text",
    "cluster-dns": "text",
    "cni-bin-dir": "text",
    "cni-conf-dir": "text",
    "feature-gates": "map",
    "max-pods": "int",
    "network-plugin": "text",
    "node-ip": "text",
    "non-masquerade-cidr": "text",
    "pod-cidr": "text",
}

_IPS = "k8s.io/component-helpers/node/util/ips.go"
_NODE_STATUS = "pkg/kubelet/kubelet_node_status.go"
# addresses a node may not have, by family: why, block
_UNFIT = (
    ("loopback", Cidr("127.0.0.0/8")),
    ("loopback", Cidr("::1/128")),
    ("multicast", Cidr("224.0.0.0/4")),
    ("multicast", Cidr("ff00::/8")),
    ("link-local unicast", Cidr("169.254.0.0/16")),
    ("link-local unicast", Cidr("fe80::/10")),
)


def judge_kubelet(line: CommandLine) -> None:
    """Add the findings for kubelet.

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
    >>> line = parse_command_line("kubelet", ["--node-ip=10.0.0.1,10.0.0.2"], KubeVersion("1.36"))
    >>> judge_kubelet(line)
    >>> line.findings[0].severity
    'fatal'
    """
    gates = line.feature_gates()
    for name in line.kube_version.rule("kubelet_removed_flags"):
        if name in line.values:
            words = f"unknown flag: --{name}"
            fix = "drop it; the container runtime reads the CNI configuration"
            line.find("fatal", "flag-removed", words, flag=name, fix=fix, source="dockershim removal, 1.24")
    pods = line.number("max-pods", 110)
    if pods < 0:
        words = f"invalid configuration: maxPods (--max-pods) {pods} must not be a negative number"
        line.find("fatal", "max-pods", words, flag="max-pods", fix="take 0 or more", source="kubelet config validation")
    _judge_pod_cidr(line)
    _judge_node_ip(line, gates)


def _judge_pod_cidr(line: CommandLine) -> None:
    """Warn of pod CIDRs that do not parse."""
    for text in line.parts("pod-cidr"):
        if read_cidr(text.strip()) is None:
            words = f"{text} is no CIDR"
            fix = "write a CIDR; a Node's spec.podCIDRs override this flag"
            line.find("error", "pod-cidr", words, flag="pod-cidr", fix=fix, source="pkg/kubelet/kubelet_network.go")


def _judge_node_ip(line: CommandLine, gates: Mapping[str, bool]) -> None:
    """Read --node-ip in the order kubelet does."""
    text = line.text("node-ip")
    found: list[tuple[IPFamily, int, str]] = []
    for part in (part.strip() for part in text.split(",") if text):
        try:
            family, value = parse_address(part, syntax="sloppy")
        except InvalidAddress:
            words = f"Could not parse node IP {part!r}; it is ignored"
            line.find("warning", "node-ip-syntax", words, flag="node-ip", fix="write addresses", source=_IPS)
            continue
        found.append((family, value, part))
    refusal = _dual_refusal(line, found, gates, text=text)
    if refusal:
        fix = "give one address, or one of each family, none of them unspecified"
        line.find("fatal", "node-ip", refusal, flag="node-ip", fix=fix, source=_IPS)
        return
    for family, value, part in found:
        why = next((why for why, block in _UNFIT if block.family is family and value in block), None)
        if why:
            words = f"failed to validate nodeIP: nodeIP can't be {why} address ({part})"
            fix = "name an address of one of the node's interfaces"
            line.find("error", "node-ip-unfit", words, flag="node-ip", fix=fix, source=_NODE_STATUS)


def _dual_refusal(
    line: CommandLine, found: list[tuple[IPFamily, int, str]], gates: Mapping[str, bool], *, text: str
) -> str | None:
    """Return why kubelet would not start with these node addresses."""
    version = line.kube_version
    if len(found) < len(IPFamily):
        return None
    families = {family for family, _, _ in found}
    if len(families) == len(found) == len(IPFamily) and not version.gate("IPv6DualStack", gates):
        return f'dual-stack --node-ip "{text}" not supported in a single-stack cluster'
    if len(found) > len(IPFamily) or len(families) < len(IPFamily):
        return f'bad --node-ip "{text}"; must contain either a single IP or a dual-stack pair of IPs'
    cloud = line.text("cloud-provider")
    allowed = {"", "external"} if version.gate("CloudDualStackNodeIPs", gates) else {""}
    if cloud not in allowed:
        return "dual-stack --node-ip not supported when using a cloud provider"
    if any(value == 0 for _, value, _ in found):
        return f"dual-stack --node-ip \"{text}\" cannot include '0.0.0.0' or '::'"
    return None
