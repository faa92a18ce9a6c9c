"""What kube-apiserver makes of its address flags: the refusals of each version, in order and in its words.

Promises whether it starts with ``--service-cluster-ip-range``, ``--service-node-port-range``,
``--kubernetes-service-node-port``, ``--advertise-address`` and ``--feature-gates`` as given. Does not know the host: an
advertise address it would have to pick itself is not judged.

Sources: ``cmd/kube-apiserver/app/options`` and ``pkg/controlplane/services.go`` of v1.20.2 and v1.36.2; recordings of
both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily, parse_address
from dsmodel.errors import InvalidAddress, InvalidConfig
from dsmodel.kube.cluster_cidrs import read_cidr
from dsmodel.kube.config import parse_port_range

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsmodel.kube.command_lines import CommandLine

__all__ = ["APISERVER_FLAGS", "DEFAULT_SERVICE_RANGE", "judge_apiserver", "range_size"]

APISERVER_FLAGS = {
    "advertise-address": "ip",
    "bind-address": "ip",
    "endpoint-reconciler-type": "text",
    "feature-gates": "map",
    "kubernetes-service-node-port": "int",
    "service-cluster-ip-range": "text",
    "service-node-port-range": "ports",
}

# kube-apiserver: the range of Services when no flag names one
DEFAULT_SERVICE_RANGE = "10.0.0.0/24"

_RANGES = "service-cluster-ip-range"
_OPTIONS = "cmd/kube-apiserver/app/options/validation.go"
_SERVICES = "pkg/controlplane/services.go"
_LAST_PORT = 65535
_WELL_KNOWN_PORTS = 1024  # ports a host's own daemons listen on
_FIRST_EPHEMERAL_PORT = 32768  # net.ipv4.ip_local_port_range of Linux


def judge_apiserver(line: CommandLine) -> None:
    """Add the findings for kube-apiserver.

    Parameters
    ----------
    line : CommandLine
        Its flags.

    Raises
    ------
    None
        Everything is a finding. As in the component, the first stage that refuses hides the later ones.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> from dsmodel.kube.command_lines import parse_command_line
    >>> line = parse_command_line("kube-apiserver", ["--service-cluster-ip-range=10.96.0.0/30"], KubeVersion("1.36"))
    >>> judge_apiserver(line)
    >>> line.findings[0].severity
    'fatal'
    """
    gates = line.feature_gates()
    ports = _node_ports(line)
    kubernetes_port = line.number("kubernetes-service-node-port")
    advertised = _advertised(line)
    if line.is_refused():
        return
    ranges = _complete_ranges(line)
    if line.is_refused():
        return
    _validate(line, ranges, gates)
    _validate_ports(line, ports, kubernetes_port)
    if line.is_refused():
        return
    _run(line, ranges, gates=gates, advertised=advertised)
    _advise(line, ranges, ports)


def range_size(cidr: Cidr) -> int:
    """Count the addresses of a range as Kubernetes' RangeSize does.

    Parameters
    ----------
    cidr : Cidr
        The range.

    Returns
    -------
    int
        0 for an IPv4 range of 31 host bits or more and an IPv6 range of 127 or more, at most 2**63 - 1.

    Raises
    ------
    None
        Every range has a size.

    Notes
    -----
    Source: ``RangeSize`` of ``k8s.io/utils/net/net.go``.

    Examples
    --------
    >>> range_size(Cidr("10.96.0.0/30")), range_size(Cidr("128.0.0.0/1"))
    (4, 0)
    """
    if cidr.host_bits_count >= cidr.family.bits - 1:
        return 0
    return min(cidr.size, (1 << 63) - 1)


def _node_ports(line: CommandLine) -> tuple[int, int]:
    """Read the node port range, as pflag calls its parser."""
    text = line.text("service-node-port-range")
    try:
        return parse_port_range(text)
    except InvalidConfig as error:
        words = f'invalid argument "{text}" for "--service-node-port-range" flag: {error}'
        line.find(
            "fatal",
            "node-port-range",
            words,
            flag="service-node-port-range",
            fix="write a-b, a+n or a, within 0-65535",
            source="k8s.io/apimachinery/pkg/util/net/port_range.go",
        )
        return parse_port_range("")


def _advertised(line: CommandLine) -> tuple[IPFamily, str] | None:
    """Read the advertise address; None where the server picks one itself."""
    text = line.text("advertise-address")
    if not text:
        return None
    try:
        family, value = parse_address(text, syntax="sloppy")
    except InvalidAddress:
        words = f'invalid argument "{text}" for "--advertise-address" flag: failed to parse IP: "{text}"'
        line.find("fatal", "flag-syntax", words, flag="advertise-address", fix="write one address", source="pflag")
        return None
    return (family, text) if value else None


def _complete_ranges(line: CommandLine) -> list[Cidr]:
    """Read the service ranges as Complete does: the first two entries, the first of at least eight addresses."""
    texts = line.parts(_RANGES) or [DEFAULT_SERVICE_RANGE]
    first = read_cidr(texts[0], line.kube_version)
    if first is None:
        return _refuse(line, "service-range-syntax", f"{_RANGES}[0] is not a valid cidr")
    smallest = line.kube_version.rule("minimum_service_range_size")
    if range_size(first) < smallest:
        words = (
            "error determining service IP ranges for primary service cidr: the service cluster IP range must be at "
            f"least {smallest} IP addresses"
        )
        return _refuse(line, "service-range-minimum", words, source=_SERVICES)
    if len(texts) == 1:
        return [first]
    second = read_cidr(texts[1], line.kube_version)
    if second is None:
        return _refuse(line, "service-range-syntax", f"{_RANGES}[1] is not an ip net")
    return [first, second]


def _refuse(line: CommandLine, rule: str, words: str, *, source: str = _OPTIONS) -> list[Cidr]:
    """Find a service range that stops the server."""
    fixes = {
        "service-range-syntax": "write CIDRs with one comma and no spaces between them",
        "service-range-minimum": "take at least a /29 (IPv4) or a /125 (IPv6)",
        "service-range-maximum": "take at least a /12 (IPv4) or a /108 (IPv6)",
        "service-range-count": "give one range, or one of each family",
        "service-range-families": "give one range, or one of each family",
        "service-range-dual-stack-gate": "set IPv6DualStack=true on every component, or drop the second range",
    }
    line.find("fatal", rule, words, flag=_RANGES, fix=fixes[rule], source=source)
    return []


def _validate(line: CommandLine, ranges: list[Cidr], gates: Mapping[str, bool]) -> None:
    """Find what Validate refuses of the ranges, all of it."""
    version = line.kube_version
    if len(line.parts(_RANGES)) > len(IPFamily):
        _refuse(line, "service-range-count", f"--{_RANGES} must not contain more than two entries")
    keeps_bitmap = not (
        version.gate("MultiCIDRServiceAllocator", gates) and version.gate("DisableAllocatorDualWrite", gates)
    )
    if keeps_bitmap:
        _validate_maximum(line, ranges[0], f"--{_RANGES}")
    if len(ranges) == 1:
        return
    if not (version.gate("IPv6DualStack", gates) and version.gate("EndpointSlice", gates)):
        words = (
            f"secondary service cluster-ip range(--{_RANGES}[1]) can only be used if IPv6DualStack and EndpointSlice "
            "feature is enabled"
        )
        _refuse(line, "service-range-dual-stack-gate", words)
    if ranges[0].family is ranges[1].family:
        words = f"--{_RANGES}[0] and --{_RANGES}[1] must be of different IP family"
        _refuse(line, "service-range-families", words)
    if keeps_bitmap:
        _validate_maximum(line, ranges[1], f"--{_RANGES}[1]")


def _validate_maximum(line: CommandLine, cidr: Cidr, name: str) -> None:
    """Refuse a range too large for a bitmap."""
    limit = line.kube_version.rule("bitmap_service_range_host_bits")
    bits = cidr.family.bits
    if cidr.host_bits_count > limit:
        words = f"specified {name} is too large; for {bits}-bit addresses, the mask must be >= {bits - limit}"
        _refuse(line, "service-range-maximum", words)


def _validate_ports(line: CommandLine, ports: tuple[int, int], kubernetes_port: int) -> None:
    """Refuse a node port of default/kubernetes outside the range."""
    flag = "kubernetes-service-node-port"
    first, last = ports
    if not 0 <= kubernetes_port <= _LAST_PORT:
        words = (
            f"--{flag} {kubernetes_port} must be between 0 and 65535, inclusive. If 0, the Kubernetes master service "
            "will be of type ClusterIP"
        )
        line.find("fatal", "kubernetes-node-port", words, flag=flag, fix="take 0 or a node port", source=_OPTIONS)
    if kubernetes_port > 0 and not first <= kubernetes_port <= last:
        kind = line.kube_version.rule("kubernetes_node_port_words")
        words = f"kubernetes service {kind} range {first}-{last} doesn't contain {kubernetes_port}"
        line.find("fatal", "kubernetes-node-port", words, flag=flag, fix=f"take 0 or {first}-{last}", source=_OPTIONS)


def _run(
    line: CommandLine, ranges: list[Cidr], *, gates: Mapping[str, bool], advertised: tuple[IPFamily, str] | None
) -> None:
    """Find what stops the server after its flags were accepted."""
    version = line.kube_version
    smallest = version.rule("minimum_service_range_size")
    if version.rule("secondary_service_range_minimum") and any(range_size(each) < smallest for each in ranges[1:]):
        words = f"the service cluster IP range must be at least {smallest} IP addresses"
        _refuse(line, "service-range-minimum", words, source=_SERVICES)
    reconciles = line.text("endpoint-reconciler-type") != "none"
    if advertised and reconciles and version.rule("advertise_address_family_checked"):
        family, text = advertised
        if family is not ranges[0].family:
            words = f'service IP family "{ranges[0]}" must match public address family "{text}"'
            fix = f"advertise an {ranges[0].family} address, or put the {family} range first"
            line.find("fatal", "advertise-address-family", words, flag="advertise-address", fix=fix, source=_SERVICES)
    longest = version.rule("ipv6_service_prefix_length")
    for place, cidr in enumerate(ranges):
        is_wide = cidr.family is IPFamily.IPV6 and cidr.prefix_length < longest
        if is_wide and version.gate("MultiCIDRServiceAllocator", gates):
            _find_wide_range(line, cidr, place=place)


def _find_wide_range(line: CommandLine, cidr: Cidr, *, place: int) -> None:
    """Find an IPv6 range that no address can be allocated from."""
    source = "pkg/registry/core/service/ipallocator/ipallocator.go"
    address = cidr.address(1)
    if place == 0:
        words = (
            f'unable to sync kubernetes service: Service "kubernetes" is invalid: spec.clusterIPs: Invalid value: '
            f'["{address}"]: failed to allocate IP {address}: the provided network does not match the current range'
        )
        line.find("fatal", "service-range-wide", words, flag=_RANGES, fix="take a /64 or longer", source=source)
        return
    words = f"no address of {cidr} can be allocated: every Service that wants one is refused with 'range is full'"
    line.find("error", "service-range-wide", words, flag=_RANGES, fix="take a /64 or longer", source=source)


def _advise(line: CommandLine, ranges: list[Cidr], ports: tuple[int, int]) -> None:
    """Note what the server accepts and users regret."""
    first, last = ports
    flag = "service-node-port-range"
    if first < _WELL_KNOWN_PORTS:
        words = f"node ports {first}-{last} take in ports below {_WELL_KNOWN_PORTS} that daemons of the node listen on"
        line.find("warning", "node-port-overlap", words, flag=flag, fix="start at 1024 or above", source="IANA")
    if last >= _FIRST_EPHEMERAL_PORT:
        words = f"node ports {first}-{last} reach into the ephemeral ports of Linux, 32768-60999"
        fix = "end at 32767, or move net.ipv4.ip_local_port_range"
        line.find("warning", "node-port-overlap", words, flag=flag, fix=fix, source="Linux ip-sysctl")
    for place, text in enumerate(line.parts(_RANGES)[: len(ranges)]):
        if "/" in text and str(ranges[place]) != text:
            words = f"{text} is read as {ranges[place]}"
            line.find(
                "note", "service-range-masked", words, flag=_RANGES, fix=f"write {ranges[place]}", source=_OPTIONS
            )
