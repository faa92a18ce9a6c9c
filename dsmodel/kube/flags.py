"""Component flags: will it start, and what should give pause; and the configuration that a set of flags amounts to.

Promises, for kube-apiserver and kube-controller-manager, the refusals recorded from the real ones, per version; for
kubelet and kube-proxy the rules of their source. One finding a row, the component's own words, and the way out.

Does not know config files (``--config`` of kubelet and kube-proxy), hosts, or flags that do not touch addressing.

Sources: see `dsmodel.kube.apiserver_flags`, `controller_flags`, `kubelet_flags` and `proxy_flags`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from dsmodel.errors import InvalidConfig, InvalidInput
from dsmodel.kube.apiserver_flags import APISERVER_FLAGS, DEFAULT_SERVICE_RANGE, judge_apiserver
from dsmodel.kube.cluster_cidrs import MaskFlags, effective_masks, judge_cidrs, judge_services
from dsmodel.kube.command_lines import CommandLine, Finding, parse_command_line, words_of
from dsmodel.kube.config import DEFAULT_MAX_PODS, ClusterConfig, parse_port_range
from dsmodel.kube.controller_flags import CONTROLLER_FLAGS, judge_controller_manager
from dsmodel.kube.kubelet_flags import KUBELET_FLAGS, judge_kubelet
from dsmodel.kube.proxy_flags import PROXY_FLAGS, judge_proxy
from dsmodel.kube.versions import NEWEST, KubeVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.findings import Findings

__all__ = ["COMPONENTS", "check_flags", "config_from_flags", "findings_frame", "flags_by_component", "judge_flags"]

COMPONENTS: dict[str, tuple[dict[str, str], Callable[[CommandLine], None]]] = {
    "kube-apiserver": (APISERVER_FLAGS, judge_apiserver),
    "kube-controller-manager": (CONTROLLER_FLAGS, judge_controller_manager),
    "kubelet": (KUBELET_FLAGS, judge_kubelet),
    "kube-proxy": (PROXY_FLAGS, judge_proxy),
}
_COLUMNS = [each.name for each in fields(Finding)]


def check_flags(component: str, flags: Iterable[str], *, kube_version: str | KubeVersion = f"1.{NEWEST}") -> Findings:
    """Judge the flags of one component.

    Parameters
    ----------
    component : str
        ``kube-apiserver``, ``kube-controller-manager``, ``kubelet`` or ``kube-proxy``.
    flags : iterable of str
        ``--name=value``; ``--name value`` as two items works too.
    kube_version : str or KubeVersion
        Version of the component.

    Returns
    -------
    pandas.DataFrame
        One row a finding, in the order found, with text columns ``component``, ``flag``, ``rule``, ``severity``
        (``fatal``: it would not start; ``error``; ``warning``; ``note``), ``message`` (the component's own words where
        it has any), ``fix`` and ``source``. No rows: nothing to say.

    Raises
    ------
    InvalidConfig
        A component that is not judged here.
    UnsupportedVersion
        A version outside the window.

    Examples
    --------
    >>> found = check_flags("kube-apiserver", ["--service-cluster-ip-range=10.96.0.0/8"], kube_version="1.20")
    >>> found[["severity", "message"]].values.tolist()[0]
    ['fatal', 'specified --service-cluster-ip-range is too large; for 32-bit addresses, the mask must be >= 12']
    """
    version = KubeVersion(kube_version)
    return findings_frame(judge_flags(component, flags, version).findings, kube_version=version)


def judge_flags(component: str, flags: Iterable[str], version: KubeVersion) -> CommandLine:
    """Read and judge the flags of one component.

    Parameters
    ----------
    component : str
        As in `check_flags`.
    flags : iterable of str
        As in `check_flags`.
    version : KubeVersion
        Version of the component.

    Returns
    -------
    CommandLine
        The values the flags end up with, and the findings.

    Raises
    ------
    InvalidConfig
        A component that is not judged here.

    Examples
    --------
    >>> judge_flags("kubelet", ["--max-pods=250"], KubeVersion("1.36")).values
    {'max-pods': '250'}
    """
    if component not in COMPONENTS:
        raise InvalidConfig(f"{component!r} is not judged here; use one of {', '.join(COMPONENTS)}")
    known, judge = COMPONENTS[component]
    line = parse_command_line(component, flags, version, known=known)
    judge(line)
    return line


def findings_frame(findings: Iterable[Finding], *, kube_version: KubeVersion) -> Findings:
    """Put findings into a frame.

    Parameters
    ----------
    findings : iterable of Finding
        In the order to keep.
    kube_version : KubeVersion
        Version that was judged.

    Returns
    -------
    Findings
        One row each, with the columns of `check_flags`, all text.

    Raises
    ------
    None
        No findings are a frame without rows.

    Examples
    --------
    >>> findings_frame([], kube_version=KubeVersion("1.36")).columns.tolist()
    ['component', 'flag', 'rule', 'severity', 'message', 'fix', 'source']
    """
    from dsmodel.findings import Findings

    rows = [asdict(finding) for finding in findings]
    return Findings(rows, columns=_COLUMNS, dtype="str", kube_version=str(kube_version))


def config_from_flags(
    flags: Mapping[str, Iterable[str]],
    *,
    kube_version: str | KubeVersion = f"1.{NEWEST}",
    origins: Mapping[tuple[str, str], str] | None = None,
) -> ClusterConfig:
    """Read the configuration that a cluster's components were given.

    Parameters
    ----------
    flags : mapping of str to iterable of str
        Component to its flags; components left out count as not known.
    kube_version : str or KubeVersion
        Version of the control plane.
    origins : mapping of (str, str) to str, optional
        Component and flag, without dashes, to where it is written; named in ``evidence`` instead of the flag.

    Returns
    -------
    ClusterConfig
        Service ranges and node ports from kube-apiserver, cluster CIDRs and node masks from kube-controller-manager
        (failing that, from kube-proxy), Pods a node from kubelet; ``evidence`` names the flag of each.

    Raises
    ------
    InvalidConfig
        A component that is not judged here, or one that would not start; its own words.
    UnsupportedVersion
        A version outside the window.

    Examples
    --------
    >>> config = config_from_flags({
    ...     "kube-apiserver": ["--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112"],
    ...     "kube-controller-manager": ["--allocate-node-cidrs=true", "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48"],
    ... })
    >>> config.is_dual_stack, config.evidence["cluster_cidrs"]
    (True, 'flag --cluster-cidr of kube-controller-manager')
    """
    version, origins = KubeVersion(kube_version), origins or {}
    lines = {c: judge_flags(c, given, version) for c, given in flags_by_component(flags).items()}
    for line in lines.values():
        fatal = next((finding for finding in line.findings if finding.severity == "fatal"), None)
        if fatal:
            raise InvalidConfig(f"{fatal.component} would not start: {fatal.message}; {fatal.fix}")
    gates = {name: on for line in reversed(lines.values()) for name, on in line.feature_gates().items()}
    cluster_places = [("kube-controller-manager", "cluster-cidr"), ("kube-proxy", "cluster-cidr")]
    service_flag = "service-cluster-ip-range"
    service_places = [("kube-apiserver", service_flag), ("kube-controller-manager", service_flag)]
    cluster_cidrs, cluster_why = _first_given(lines, cluster_places, origins)
    service_cidrs, service_why = _first_given(lines, service_places, origins)
    if not service_cidrs and "kube-apiserver" in lines:
        service_cidrs, service_why = [DEFAULT_SERVICE_RANGE], "default of kube-apiserver"
    blocks = judge_cidrs(cluster_cidrs, version, gates) if cluster_cidrs else ()
    services = judge_services(service_cidrs, version, gates)
    masks, mask_why = _masks(lines, [block.family for block in blocks], version, origins)
    ports, port_why = _first_given(lines, [("kube-apiserver", "service-node-port-range")], origins)
    pods, pods_why = _first_given(lines, [("kubelet", "max-pods")], origins)
    return ClusterConfig.of(
        kube_version=version,
        cluster_cidrs=blocks,
        service_cidrs=services,
        node_cidr_mask_sizes=masks,
        service_node_port_range=parse_port_range(",".join(ports)),
        max_pods=lines["kubelet"].number("max-pods") if pods else DEFAULT_MAX_PODS,
        feature_gates=gates,
        evidence={
            "cluster_cidrs": cluster_why,
            "service_cidrs": service_why,
            "node_cidr_mask_sizes": mask_why,
            "service_node_port_range": port_why,
            "max_pods": pods_why,
        },
    )


def flags_by_component(flags: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Read flags of several components.

    Parameters
    ----------
    flags : mapping of str to iterable of str
        Component to its flags.

    Returns
    -------
    dict of str to list of str
        The same, to be gone through more than once.

    Raises
    ------
    InvalidInput
        Not a mapping, or not lists of words.

    Examples
    --------
    >>> flags_by_component({"kubelet": iter(["--max-pods=250"])})
    {'kubelet': ['--max-pods=250']}
    """
    if not isinstance(flags, Mapping):
        raise InvalidInput(
            f"flags of type {type(flags).__name__}: give a mapping such as {{'kubelet': ['--max-pods=250']}}, or a "
            "ClusterConfig"
        )
    return {component: words_of(component, given) for component, given in flags.items()}


def _first_given(
    lines: Mapping[str, CommandLine], places: list[tuple[str, str]], origins: Mapping[tuple[str, str], str]
) -> tuple[list[str], str]:
    """Return the entries of the first flag that is given, and how that is known."""
    for component, flag in places:
        if component in lines and lines[component].text(flag):
            return lines[component].parts(flag), origins.get((component, flag), f"flag --{flag} of {component}")
    return [], "default"


def _masks(
    lines: Mapping[str, CommandLine],
    families: list[IPFamily],
    version: KubeVersion,
    origins: Mapping[tuple[str, str], str],
) -> tuple[dict[str, int], str]:
    """Return the node masks kube-controller-manager would use, and how that is known."""
    component = "kube-controller-manager"
    line = lines.get(component)
    if line is None or not families:
        return {}, "default"
    names = ("node-cidr-mask-size", "node-cidr-mask-size-ipv4", "node-cidr-mask-size-ipv6")
    given = [name for name in names if line.text(name)]
    sizes = effective_masks(families, MaskFlags(*(line.number(name) for name in names)), version)
    why = f"flag {' and '.join(f'--{name}' for name in given)} of {component}" if given else "default"
    if given and all((component, name) in origins for name in given):
        why = "; ".join(dict.fromkeys(origins[component, name] for name in given))
    return {str(family): size for family, size in sizes.items()}, why
