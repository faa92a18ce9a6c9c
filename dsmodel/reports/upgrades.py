"""What an upgrade of Kubernetes changes for one cluster, told from the dated rows of `dsmodel.kube.versions`.

Promises a row for each finding that appears or goes away on the way, each feature gate whose effect flips, and each
dated behaviour that changes, as long as it touches the configuration or an object that is there. Changes of wording
are left out.

What it does not know: changes that do not concern addressing, patch releases, and objects that the tables do not hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.state import Cluster
from dsmodel.kube.config_checks import check_config
from dsmodel.kube.versions import GATES, RULES, KubeVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dsmodel.kube.config import ClusterConfig

__all__ = ["version_changes"]

COLUMNS: Final = ("since", "what", "touches", "meaning", "severity", "source", "why")
_RANK: Final = {"fatal": 0, "error": 1, "warning": 2, "note": 3}
_SERIOUS: Final = {"fatal", "error"}


class _Effect(NamedTuple):
    """What a change touches (a trait of the cluster), how much it matters, and what follows from it."""

    trait: str
    severity: str
    why: str


GATE_EFFECTS: Final = {
    "CloudDualStackNodeIPs": _Effect("dual", "note", "kubelet takes two --node-ip with an external cloud provider"),
    "DisableAllocatorDualWrite": _Effect(
        "ranges", "note", "the old allocation bitmaps are no longer written: after this a downgrade loses track"
    ),
    "EndpointSlice": _Effect("services", "note", "EndpointSlices cannot be switched off any more"),
    "EndpointSliceProxying": _Effect("services", "note", "kube-proxy reads EndpointSlices only"),
    "IPv6DualStack": _Effect(
        "ranges", "note", "dual-stack is on without a gate; two ranges are taken wherever they are given"
    ),
    "LoadBalancerIPMode": _Effect("load balancers", "note", "status of load balancers gets ipMode"),
    "MixedProtocolLBService": _Effect("load balancers", "note", "one load balancer may mix TCP and UDP"),
    "MultiCIDRServiceAllocator": _Effect(
        "ranges", "warning", "the flag's ranges become ServiceCIDR kubernetes; IPv6 ranges wider than /64 stop serving"
    ),
    "PodHostIPs": _Effect("pods", "note", "status.hostIPs lists both addresses of a Pod's node"),
    "RelaxedServiceNameValidation": _Effect("services", "note", "Service names may begin with a digit"),
    "ServiceCIDRStatusFieldWiping": _Effect("extra ranges", "note", "a ServiceCIDR is created without its status"),
    "ServiceIPStaticSubrange": _Effect(
        "ranges", "note", "cluster IPs handed out avoid the lower band, which is kept for those that are asked for"
    ),
    "ServiceInternalTrafficPolicy": _Effect("services", "note", "internalTrafficPolicy is stored and obeyed"),
    "ServiceLBNodePortControl": _Effect("load balancers", "note", "load balancers can do without node ports"),
    "ServiceLoadBalancerClass": _Effect("load balancers", "note", "loadBalancerClass decides who serves"),
    "ServiceNodePortStaticSubrange": _Effect(
        "node ports", "note", "node ports handed out avoid the lower band, which is kept for those that are asked for"
    ),
    "StrictIPCIDRValidation": _Effect(
        "services", "warning", "manifests with leading zeros or IPv4-mapped IPv6 addresses are refused when changed"
    ),
}

RULE_EFFECTS: Final = {
    "address_syntax": _Effect("services", "note", "addresses with leading zeros are read as decimal, not refused"),
    "advertise_address_family_checked": _Effect(
        "dual", "warning", "kube-apiserver does not start unless its advertise address is of the first range's family"
    ),
    "endpoint_slices_show_terminating": _Effect("services", "note", "slices also list Pods that are being deleted"),
    "flag_address_syntax": _Effect("ranges", "note", "flags take leading zeros in IPv4 octets as decimal"),
    "kube_proxy_dual_stack_by_host": _Effect("single", "note", "kube-proxy writes rules of both families anyway"),
    "kubelet_orders_pod_ips": _Effect("dual", "note", "podIPs follow the node's primary family, not the plugin"),
    "legacy_endpoints_over_capacity": _Effect(
        "many pods", "warning", "Endpoints objects are cut at 1,000 addresses: read EndpointSlices instead"
    ),
    "namespaces_carry_their_name": _Effect(
        "namespaces", "note", "selectors of policies can name a Namespace by its label kubernetes.io/metadata.name"
    ),
    "node_ipam_cloud_allocators": _Effect("blocks", "note", "only RangeAllocator is left in kube-controller-manager"),
    "node_ipam_family_mask_flags_on_single_stack": _Effect(
        "single", "note", "--node-cidr-mask-size-ipv4 and -ipv6 may be used on a single-stack cluster too"
    ),
    "node_ipam_keeps_cidr_of_terminating_nodes": _Effect(
        "blocks", "note", "blocks come free when a node is gone, not when it is marked for deletion"
    ),
    "node_ipam_occupies_on_update": _Effect("blocks", "note", "an update of a node marks its blocks again"),
    "node_ipam_retries_by_itself": _Effect(
        "dual blocks", "warning", "when one family is full, every retry loses a block of the other family"
    ),
    "secondary_service_range_minimum": _Effect("dual", "note", "the second service range may be tiny"),
    "service_internal_policy_on_external_name": _Effect(
        "external names", "note", "ExternalName Services get no internalTrafficPolicy"
    ),
    "service_policy_inferred": _Effect(
        "dual", "warning", "manifests that name two families or addresses must say ipFamilyPolicy from 1.23 on"
    ),
    "service_prefer_headless_needs_dual_stack": _Effect(
        "headless", "note", "headless PreferDualStack Services without selector get both families everywhere"
    ),
    "service_prefer_left_alone": _Effect(
        "prefer", "note", "PreferDualStack Services no longer change families when something else is edited"
    ),
    "service_switched_off_node_ports": _Effect("load balancers", "note", "node ports that are asked for are reserved"),
    "service_unconditional_update": _Effect("services", "note", "a replacement may leave resourceVersion out"),
    "service_update_carries_switched_off_ports": _Effect(
        "load balancers", "note", "an update that switches node ports off really frees them"
    ),
    "service_update_carries_values": _Effect(
        "services", "note", "updates that leave out clusterIP and nodePort keep the old values"
    ),
}

# rules that change only words, or that a gate or a finding about a flag tells better
UNTOLD: Final = frozenset(
    {
        "conntrack_max_scaled",
        "dots_in_labels_named",
        "externally_accessible_by_external_ips",
        "field_error_values",
        "kube_proxy_cluster_cidr_by_local_mode",
        "kube_proxy_deprecated_modes",
        "kube_proxy_local_modes",
        "kube_proxy_modes",
        "kube_proxy_primary_node_port_addresses",
        "kubeadm_api_version",
        "kubeadm_dual_stack_gate",
        "kubelet_removed_flags",
        "kubenet",
        "kubernetes_node_port_words",
        "label_key_words",
        "node_ipam_words",
        "node_pod_cidr_complaints_name_the_value",
        "node_update_closing_words",
        "port_name_digits_named",
        "service_full_range_names_service",
        "service_generation",
        "service_range_static_band",
        "service_source_range_words",
    }
)


def version_changes(
    subject: Cluster | ClusterConfig,
    kube_version: str | KubeVersion = "1.36",
    *,
    flags: Mapping[str, Iterable[str]] | None = None,
) -> pd.DataFrame:
    """Tell what changes for a cluster between its version and another one.

    Parameters
    ----------
    subject : Cluster or ClusterConfig
        Where the upgrade begins; of a cluster the objects count too.
    kube_version : str or KubeVersion
        Where it ends.
    flags : mapping of str to iterable of str, optional
        Component to its flags as given, where they are at hand; by default those the configuration amounts to.

    Returns
    -------
    pandas.DataFrame
        Text columns ``since`` (first version of the change), ``what`` (flag, gate or rule), ``touches`` (what of this
        cluster), ``meaning``, ``severity`` (``fatal``: a component would not start; ``error``, ``warning``, ``note``),
        ``source``, ``why`` (what follows, or the way out); by version, the worst first.

    Raises
    ------
    InvalidConfig
        A version older than the cluster's.
    UnsupportedVersion
        A version outside the window.

    Examples
    --------
    >>> from dsmodel import ClusterConfig
    >>> config = ClusterConfig.of(kube_version="1.24", service_cidrs=["10.96.0.0/16"],
    ...                           feature_gates={"IPv6DualStack": True})
    >>> version_changes(config, "1.25")[["since", "what", "severity"]].values.tolist()[0]
    ['1.25', 'flag --feature-gates of kube-apiserver', 'error']
    """
    config = subject.config if isinstance(subject, Cluster) else subject
    steps = config.kube_version.until(KubeVersion(kube_version))
    traits = _traits(config, subject if isinstance(subject, Cluster) else None)
    rows: list[dict[str, str]] = []
    before = config.kube_version
    found = _findings(config, flags, before)
    for version in steps:
        after = _findings(config, flags, version)
        changes = [*_starts(found, after), *_gates(config, traits, before, version), *_rules(traits, before, version)]
        rows += sorted(
            ({"since": str(version), **change} for change in changes),
            key=lambda row: (_RANK[row["severity"]], row["what"]),
        )
        before, found = version, after
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype="str")


def _findings(
    config: ClusterConfig, flags: Mapping[str, Iterable[str]] | None, version: KubeVersion
) -> dict[tuple[str, ...], dict[str, str]]:
    """Judge the configuration as of one version; the key leaves out the words, which change by themselves."""
    frame = check_config(flags if flags is not None else config, kube_version=version)
    rows = frame.to_dict("records")
    return {(str(row["component"]), str(row["flag"]), str(row["rule"])): _text(row) for row in rows}


def _text(row: Mapping[Any, Any]) -> dict[str, str]:
    """Give a row of a frame text keys and values."""
    return {str(key): str(value) for key, value in row.items()}


def _starts(
    before: dict[tuple[str, ...], dict[str, str]], after: dict[tuple[str, ...], dict[str, str]]
) -> Iterator[dict[str, str]]:
    """List what is newly found, and what is no longer refused."""
    for key, row in after.items():
        old = before.get(key)
        if old is not None and _RANK[old["severity"]] <= _RANK[row["severity"]]:
            continue
        yield _change(_flag_of(row), _flag_of(row), row["message"], row["severity"], row["source"], row["fix"])
    for key, row in before.items():
        if key not in after and row["severity"] in _SERIOUS:
            meaning = f"no longer found: {row['message']}"
            yield _change(_flag_of(row), _flag_of(row), meaning, "note", row["source"], "nothing to do any more")


def _flag_of(row: Mapping[str, str]) -> str:
    """Name a flag and its component."""
    return f"flag {row['flag']} of {row['component']}" if row["flag"] else f"{row['rule']} of {row['component']}"


def _change(*cells: str) -> dict[str, str]:
    """Put the cells behind ``since`` under their names."""
    return dict(zip(COLUMNS[1:], cells, strict=True))


def _gates(
    config: ClusterConfig, traits: Mapping[str, str], before: KubeVersion, after: KubeVersion
) -> Iterator[dict[str, str]]:
    """List the gates whose effect flips."""
    for name, effect in GATE_EFFECTS.items():
        old, new = (_effective(config, name, version) for version in (before, after))
        touched = traits.get(effect.trait, "")
        if old == new or not touched:
            continue
        row = after.gate_row(name)
        stage = f"{row.stage}, {'on' if new else 'off'} by default" if row else "the switch is gone"
        meaning = f"{'on' if old else 'off'} before; {stage}"
        yield _change(f"gate {name}", touched, meaning, effect.severity, GATES[name].source, effect.why)


def _effective(config: ClusterConfig, name: str, version: KubeVersion) -> bool:
    """Tell whether a feature is on; an override that the version refuses counts for nothing."""
    row = version.gate_row(name)
    given = config.feature_gates.get(name)
    takes = row is not None and given is not None and not (row.locked and given != row.default)
    return version.gate(name, {name: given} if takes and given is not None else None)


def _rules(traits: Mapping[str, str], before: KubeVersion, after: KubeVersion) -> Iterator[dict[str, str]]:
    """List the behaviours that change."""
    for name, effect in RULE_EFFECTS.items():
        old, new = before.rule(name), after.rule(name)
        touched = traits.get(effect.trait, "")
        if old == new or not touched:
            continue
        meaning = f"{RULES[name].meaning}: {_shown(old)} before, {_shown(new)} since"
        yield _change(f"rule {name}", touched, meaning, effect.severity, RULES[name].source, effect.why)


def _shown(value: object) -> str:
    """Write the value of a rule."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "none"


def _traits(config: ClusterConfig, cluster: Cluster | None) -> dict[str, str]:
    """Name what the cluster has, trait by trait; traits it lacks are missing or empty."""
    services, blocks = (", ".join(map(str, cidrs)) for cidrs in (config.service_cidrs, config.cluster_cidrs))
    first, last = config.service_node_port_range
    is_dual = config.is_dual_stack
    traits = {
        "ranges": f"service ranges {services}" if services else "",
        "blocks": f"cluster CIDRs {blocks}" if blocks else "",
        "dual": f"two families: {services or blocks}" if is_dual else "",
        "dual blocks": f"cluster CIDRs {blocks}" if len(config.cluster_cidrs) == len(IPFamily) else "",
        "single": f"one family: {services or blocks}" if (services or blocks) and not is_dual else "",
        "node ports": f"node ports {first}-{last}" if services else "",
        "extra ranges": ", ".join(f"ServiceCIDR {cidr}" for cidr in config.extra_service_cidrs),
    }
    return traits | (_object_traits(cluster) if cluster is not None else {})


def _object_traits(cluster: Cluster) -> dict[str, str]:
    """Count the objects that changes may touch."""
    services = cluster.services
    prefer = services["ip_family_policy"] == 2
    counts = {
        "services": (len(services), "Services"),
        "namespaces": (len(cluster.namespaces), "Namespaces"),
        "pods": (len(cluster.pods), "Pods"),
        "many pods": (len(cluster.pods) * (len(cluster.pods) > 1000), "Pods"),
        "load balancers": (np.count_nonzero(services["type"] == 3), "LoadBalancer Services"),
        "external names": (np.count_nonzero(services["type"] == 4), "ExternalName Services"),
        "prefer": (np.count_nonzero(prefer), "PreferDualStack Services"),
        "headless": (np.count_nonzero(prefer & services["headless"]), "headless PreferDualStack Services"),
    }
    return {trait: f"{count:,} {words}" for trait, (count, words) in counts.items() if count}
