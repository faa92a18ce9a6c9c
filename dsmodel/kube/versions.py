"""What a Kubernetes minor version means for addressing: feature gates, behaviours and limits, as rows.

A version is data here: every other module asks ``KubeVersion("1.36").gate(name)`` or ``.rule(name)`` and never
compares versions itself. A row says since which minor version a value holds and where that was read.

Not known here: patch releases (a behaviour that was backported counts from the minor it first appeared in), gates
that do not touch addressing, and anything a distribution patches.

Sources: ``pkg/features/kube_features.go`` of v1.20.2 and v1.36.2, the release notes between them, the KEPs named in
the rows, and recordings of the components of v1.20, 1.21, 1.23, 1.26 and 1.36.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsmodel.errors import InvalidConfig, UnsupportedVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GATES", "NEWEST", "OLDEST", "RULES", "Gate", "GateRow", "KubeVersion", "Rule"]

# the modelled window, as minor versions of Kubernetes 1
OLDEST = 20
NEWEST = 36

_VERSION = re.compile(r"v?1\.(\d+)(?:\.\d+)?(?:[-+].*)?")


@dataclass(frozen=True)
class GateRow:
    """One stage of a feature gate, in force from a minor version on."""

    since: int
    stage: str
    default: bool
    locked: bool = False


@dataclass(frozen=True)
class Gate:
    """A feature gate: its stages in order, when the switch itself disappeared, and what then holds."""

    rows: tuple[GateRow, ...]
    source: str
    removed: int | None = None
    after_removal: bool = True


@dataclass(frozen=True)
class Rule:
    """A behaviour or limit that changed with a minor version: (since, value) in ascending order."""

    meaning: str
    rows: tuple[tuple[int, Any], ...]
    source: str


def _gate(*rows: tuple[int, str, bool] | tuple[int, str, bool, bool], source: str, removed: int | None = None) -> Gate:
    """Build a gate that stays on once it is removed."""
    return Gate(tuple(GateRow(*row) for row in rows), source, removed)


GATES: dict[str, Gate] = {
    "PreferSameTrafficDistribution": _gate(
        (33, "alpha", False), (34, "beta", True), (35, "GA", True, True), source="KEP-3015; recordings of 1.36"
    ),
    "ProxyTerminatingEndpoints": _gate(
        (22, "alpha", False), (26, "beta", True), (28, "GA", True, True), source="KEP-1669", removed=30
    ),
    "ServiceInternalTrafficPolicy": _gate(
        (21, "alpha", False), (22, "beta", True), (26, "GA", True, True), source="KEP-2086; recordings", removed=28
    ),
    "ServiceLoadBalancerClass": _gate(
        (21, "alpha", False), (22, "beta", True), (24, "GA", True, True), source="KEP-1959; recordings", removed=26
    ),
    "ServiceTrafficDistribution": _gate(
        (30, "alpha", False), (31, "beta", True), (33, "GA", True, True), source="KEP-4444; recordings of 1.36"
    ),
    "AllowServiceExternalIPs": _gate((36, "GA", True), source="KEP-5707"),
    "CloudDualStackNodeIPs": _gate(
        (27, "alpha", False),
        (29, "beta", True),
        (30, "GA", True, True),
        source="KEP-3705",
        removed=35,
    ),
    "DisableAllocatorDualWrite": _gate(
        (31, "alpha", False),
        (33, "beta", False),
        (34, "GA", True),
        (35, "GA", True, True),
        source="KEP-1880, pkg/features/kube_features.go",
    ),
    "EndpointSlice": _gate(
        (16, "alpha", False), (17, "beta", True), (21, "GA", True, True), source="KEP-752", removed=25
    ),
    "EndpointSliceProxying": _gate(
        (18, "alpha", False), (19, "beta", True), (22, "GA", True, True), source="KEP-752", removed=25
    ),
    "IPv6DualStack": _gate(
        (15, "alpha", False),
        (21, "beta", True),
        (23, "GA", True, True),
        source="KEP-563; a leftover reference in kube-controller-manager went in 1.27 (#116255)",
        removed=25,
    ),
    "LoadBalancerIPMode": _gate((29, "alpha", False), (30, "beta", True), (32, "GA", True, True), source="KEP-1860"),
    "MixedProtocolLBService": _gate(
        (20, "alpha", False), (24, "beta", True), (26, "GA", True, True), source="KEP-1435", removed=28
    ),
    "MultiCIDRRangeAllocator": Gate(
        (GateRow(25, "alpha", default=False),),
        "KEP-2593, withdrawn",
        removed=29,
        after_removal=False,
    ),
    "MultiCIDRServiceAllocator": _gate(
        (27, "alpha", False),
        (31, "beta", False),
        (33, "GA", True),
        (34, "GA", True, True),
        source="KEP-1880; off through its beta, unlike the KEP text; pkg/features/kube_features.go",
    ),
    "NFTablesProxyMode": _gate(
        (29, "alpha", False),
        (31, "beta", True),
        (33, "GA", True, True),
        source="KEP-3866, pkg/features/kube_features.go",
    ),
    "PodHostIPs": _gate(
        (28, "alpha", False), (29, "beta", True), (30, "GA", True, True), source="KEP-2681", removed=32
    ),
    "RelaxedServiceNameValidation": _gate((34, "alpha", False), (36, "beta", True), source="KEP-5311"),
    "ServiceCIDRStatusFieldWiping": _gate((36, "GA", True), source="pkg/features/kube_features.go of v1.36.2"),
    "ServiceIPStaticSubrange": _gate(
        (24, "alpha", False), (25, "beta", True), (26, "GA", True, True), source="KEP-3070", removed=28
    ),
    "ServiceLBNodePortControl": _gate(
        (20, "alpha", False), (22, "beta", True), (24, "GA", True, True), source="KEP-1864", removed=26
    ),
    "ServiceNodePortStaticSubrange": _gate(
        (27, "alpha", False), (28, "beta", True), (29, "GA", True, True), source="KEP-3668", removed=31
    ),
    "StrictIPCIDRValidation": _gate((33, "alpha", False), (36, "beta", True), source="KEP-4858"),
}

# Minor versions between two recorded ones follow release notes where a row says so.
RULES: dict[str, Rule] = {
    "dots_in_labels_named": Rule(
        "a subdomain where a label is asked for is told 'must not contain dots'",
        ((20, False), (27, True)),
        "IsDNS1123Label of pkg/util/validation/validation.go; recordings of 1.26 and 1.36, 1.27 by inference",
    ),
    "externally_accessible_by_external_ips": Rule(
        "a ClusterIP Service with externalIPs counts as externally accessible",
        ((20, False), (29, True)),
        "#119150; ExternallyAccessible of pkg/api/service/util.go; recordings of 1.26 and 1.36",
    ),
    "label_key_words": Rule(
        "what a qualified name is called in a complaint about its slashes",
        ((20, "a qualified name"), (34, "a valid label key")),
        "IsQualifiedName of pkg/util/validation/validation.go; recordings of 1.26 and 1.36, 1.34 by inference",
    ),
    "namespaces_carry_their_name": Rule(
        "every Namespace has the label kubernetes.io/metadata.name with its name",
        ((20, False), (21, True)),
        "KEP-2161, on by default since 1.21; SetDefaults_Namespace of pkg/apis/core/v1/defaults.go",
    ),
    "port_name_digits_named": Rule(
        "a port name without a letter is told it needs a letter or number",
        ((20, True), (24, False)),
        "IsValidPortName of pkg/util/validation/validation.go; recordings of 1.23 and 1.26",
    ),
    "service_generation": Rule(
        "how Services are stored: a hand-written layer that validates first, or the generic store that allocates first",
        ((20, "rest"), (23, "store")),
        "pkg/registry/core/service/storage/rest.go until 1.22, storage.go and alloc.go since; recordings",
    ),
    "service_policy_inferred": Rule(
        "two families or two addresses without a policy mean RequireDualStack: inferred by versioned defaults, by "
        "storage, or not at all",
        ((20, "defaults"), (21, "storage"), (23, "")),
        "SetDefaults_Service of v1.20.2; #99555; #96684; recordings of 1.20, 1.21 and 1.23",
    ),
    "service_prefer_headless_needs_dual_stack": Rule(
        "a headless PreferDualStack Service without selector gets its second family on dual-stack clusters only",
        ((20, True), (21, False)),
        "#99555; recordings of 1.20 and 1.21",
    ),
    "endpoint_slices_show_terminating": Rule(
        "EndpointSlices keep pods that are being deleted, with the conditions serving and terminating",
        ((20, False), (22, True)),
        "gate EndpointSliceTerminatingCondition, on by default since v1.22; KEP-1672",
    ),
    "legacy_endpoints_over_capacity": Rule(
        "what happens to a legacy Endpoints object of more than 1,000 addresses: nothing, an annotation, cut as well",
        ((20, ""), (21, "warning"), (22, "truncated")),
        "pkg/controller/endpoint/endpoints_controller.go; #99975, #103520",
    ),
    "service_full_range_names_service": Rule(
        "a refusal for want of a cluster IP names the Service",
        ((20, False), (35, True)),
        "recordings of v1.20 and v1.36; still nameless in v1.31 (#127588), the release between is inferred",
    ),
    "service_prefer_left_alone": Rule(
        "an update that does not touch a PreferDualStack Service's families and addresses leaves them as they are",
        ((20, False), (22, True)),
        "#102898, #103220; isMatchingPreferDualStackClusterIPFields",
    ),
    "service_update_carries_values": Rule(
        "an update that names no addresses or node ports keeps the old ones: node ports by port name, since 1.23 "
        "unless the number is used by another port",
        ((20, ""), (22, "by name"), (23, "by unused name")),
        "#103532; patchAllocatedValues; recordings of 1.20 and 1.23",
    ),
    "service_update_carries_switched_off_ports": Rule(
        "node ports are carried over although the update switches their allocation off",
        ((20, True), (31, False)),
        "patchAllocatedValues; recordings of 1.26 and 1.36",
    ),
    "service_switched_off_node_ports": Rule(
        "with allocateLoadBalancerNodePorts false, node ports asked for are not reserved at all, or they are",
        ((20, "ignored"), (23, "reserved")),
        "initNodePorts of pkg/registry/core/service/storage; recordings of 1.23",
    ),
    "service_unconditional_update": Rule(
        "a replacement may leave resourceVersion out",
        ((20, False), (23, True)),
        "recordings of 1.21 and 1.23",
    ),
    "service_internal_policy_on_external_name": Rule(
        "internalTrafficPolicy is defaulted for ExternalName too",
        ((20, True), (24, False)),
        "#104846; recordings of 1.23 and 1.26",
    ),
    "service_source_range_words": Rule(
        "bad loadBalancerSourceRanges are reported as one list, or entry by entry",
        ((20, "list"), (33, "entry")),
        "validateService; KEP-4858; recordings of 1.26 and 1.36",
    ),
    "address_syntax": Rule(
        "how address fields read text while StrictIPCIDRValidation is off: Go's parser, or with leading zeros",
        ((20, "go"), (22, "sloppy")),
        "ParseIPSloppy of k8s.io/utils/net since 1.22; recordings of 1.20, 1.21, 1.23 and 1.26",
    ),
    "field_error_values": Rule(
        "how a field error prints a bad value",
        ((20, "go"), (34, "json")),
        "pkg/util/validation/field/errors.go; recordings of 1.26 and 1.36; Go syntax still in v1.32.1",
    ),
    "node_pod_cidr_complaints_name_the_value": Rule(
        "a bad entry of podCIDRs is reported with its own value and words, repeats only as a pair",
        ((20, False), (33, True)),
        "ValidateNode of pkg/apis/core/validation/validation.go; KEP-4858; recordings of 1.20 and 1.36",
    ),
    "node_update_closing_words": Rule(
        "what a refused change of a Node is also told",
        (
            (
                20,
                (
                    "node updates may only change labels, taints, or capacity (or configSource, if the "
                    "DynamicKubeletConfig feature gate is enabled)"
                ),
            ),
            (24, ""),
        ),
        "ValidateNodeUpdate of v1.20.2; recordings of 1.20 and 1.36; DynamicKubeletConfig went in 1.24",
    ),
    "advertise_address_family_checked": Rule(
        "kube-apiserver refuses to start when its advertise address is not of the first service range's family",
        ((20, False), (24, True)),
        "#106721, in 1.24 as #111671 has it; recordings of 1.20 and 1.36",
    ),
    "bitmap_service_range_host_bits": Rule(
        "most host bits of a service range while it is kept in a bitmap",
        ((20, 20),),
        "validateClusterIPFlags of cmd/kube-apiserver/app/options/validation.go",
    ),
    "bitmap_ipv6_service_addresses": Rule(
        "how many addresses of an IPv6 service range the bitmap can reach, the first one included",
        ((20, 65536),),
        "NewAllocatorCIDRRange of pkg/registry/core/service/ipallocator/allocator.go; recordings of /108",
    ),
    "flag_address_syntax": Rule(
        "how flags read addresses: strict refuses leading zeros in IPv4 octets, sloppy takes them as decimal",
        ((20, "strict"), (23, "sloppy")),
        "recordings of 1.20 (built with Go 1.19; its own Go 1.15 took them) and 1.36; k8s.io/utils/net ParseCIDRSloppy",
    ),
    "kubeadm_api_version": Rule(
        "newest form of kubeadm's configuration",
        ((20, "v1beta2"), (22, "v1beta3"), (31, "v1beta4")),
        "cmd/kubeadm/app/apis/kubeadm; release notes of 1.22 and 1.31",
    ),
    "kubeadm_dual_stack_gate": Rule(
        "default of kubeadm's own IPv6DualStack gate; None where it is gone and two ranges are always taken",
        ((20, False), (21, True), (24, None)),
        "#99294, #106648; cmd/kubeadm/app/features/features.go",
    ),
    "kubernetes_node_port_words": Rule(
        "what kube-apiserver calls the node port range when --kubernetes-service-node-port is outside",
        ((20, "port"), (24, "node port")),
        "recordings of 1.20 and 1.36; the release between them is not known",
    ),
    "secondary_service_range_minimum": Rule(
        "the second service range must have as many addresses as the first",
        ((20, True), (29, False)),
        "recordings of 1.20 and 1.36; the release between them is not known",
    ),
    "ipv6_service_prefix_length": Rule(
        "shortest IPv6 service prefix that IPAddress objects can be allocated from",
        ((20, 64),),
        "NewIPAllocator of pkg/registry/core/service/ipallocator/ipallocator.go; recordings of /63 and /56",
    ),
    "kube_proxy_primary_node_port_addresses": Rule(
        "--nodeport-addresses takes the word primary",
        ((20, False), (29, True)),
        "pkg/proxy/apis/config/validation/validation.go of v1.36.2; came with nftables mode, KEP-3866",
    ),
    "kubelet_removed_flags": Rule(
        "address flags that kubelet had in 1.20 and no longer has",
        ((20, ()), (24, ("network-plugin", "cni-bin-dir", "cni-conf-dir", "non-masquerade-cidr"))),
        "removal of dockershim, KEP-2221",
    ),
    "kube_proxy_modes": Rule(
        "values of --proxy-mode that exist",
        (
            (20, ("", "userspace", "iptables", "ipvs")),
            (26, ("", "iptables", "ipvs")),
            (29, ("", "iptables", "ipvs", "nftables")),
        ),
        "pkg/proxy/apis/config/validation/validation.go; KEP-3866",
    ),
    "kube_proxy_deprecated_modes": Rule(
        "values of --proxy-mode that still work and are to go",
        ((20, ()), (35, ("ipvs",))),
        "KEP-5495; cmd/kube-proxy/app/server_linux.go, kubernetes/kubernetes#134539",
    ),
    "kube_proxy_local_modes": Rule(
        "values of --detect-local-mode that exist",
        (
            (20, ("", "ClusterCIDR", "NodeCIDR")),
            (24, ("", "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")),
        ),
        "pkg/proxy/apis/config/types.go of v1.20.2 and v1.36.2; #95400, KEP-2450",
    ),
    "kube_proxy_cluster_cidr_by_local_mode": Rule(
        "kube-proxy judges its cluster CIDRs only where --detect-local-mode reads them",
        ((20, False), (32, True)),
        "pkg/proxy/apis/config/validation/validation.go of v1.20.2 and v1.36.2; the release between is not known",
    ),
    "kube_proxy_dual_stack_by_host": Rule(
        "kube-proxy serves both families whenever the host can, whatever the cluster uses",
        ((20, False), (23, True)),
        "cmd/kube-proxy/app/server.go; KEP-563",
    ),
    "conntrack_max_scaled": Rule(
        "most that kube-proxy sets nf_conntrack_max to by the number of cores; None for no cap",
        ((20, None), (36, 1_048_576)),
        "getConntrackMax of cmd/kube-proxy/app/server_others.go of v1.20.2 and pkg/proxy/conntrack/sysctls.go of "
        "v1.36; the release between is not known",
    ),
    "max_nodes": Rule("published scale limit of nodes in a cluster", ((20, 5000),), "SIG Scalability thresholds"),
    "max_pods": Rule("published scale limit of pods in a cluster", ((20, 150_000),), "SIG Scalability thresholds"),
    "max_pods_per_node": Rule("kubelet's default maxPods", ((20, 110),), "pkg/kubelet/apis/config/v1beta1/defaults.go"),
    "max_services": Rule("published scale limit of Services", ((20, 10_000),), "SIG Scalability thresholds"),
    "max_services_per_namespace": Rule(
        "published scale limit of Services in a namespace", ((20, 5000),), "SIG Scalability thresholds"
    ),
    "max_endpoints_per_service": Rule(
        "published scale limit of endpoints of a Service", ((20, 250),), "SIG Scalability thresholds"
    ),
    "minimum_service_range_size": Rule(
        "fewest addresses of the first service range",
        ((20, 8),),
        "ServiceIPRange of pkg/controlplane/services.go; recordings of 1.20 and 1.36",
    ),
    "kubelet_orders_pod_ips": Rule(
        "podIPs hold one address a family, that of the node's primary address first; before, the plugin's order",
        ((20, False), (21, True)),
        "#97979; sortPodIPs of pkg/kubelet/kubelet_pods.go",
    ),
    "kubenet": Rule(
        "kubelet carries the kubenet plugin",
        ((20, True), (24, False)),
        "removal of dockershim, KEP-2221",
    ),
    "node_ipam_keeps_cidr_of_terminating_nodes": Rule(
        "a node that only carries a deletion timestamp keeps its CIDRs",
        ((20, False), (32, True)),
        "#128305",
    ),
    "node_ipam_cloud_allocators": Rule(
        "kube-controller-manager still carries the IPAMFromCloud, IPAMFromCluster and CloudAllocator types",
        ((20, True), (31, False)),
        "KEP-2395; pkg/controller/nodeipam/nolegacyprovider.go",
    ),
    "node_ipam_family_mask_flags_on_single_stack": Rule(
        "--node-cidr-mask-size-ipv4/-ipv6 may be used on a single-stack cluster (the one that fits its family)",
        ((20, False), (23, True)),
        "#104691, release notes of 1.23; recordings of 1.20 and 1.36",
    ),
    "node_ipam_occupies_on_update": Rule(
        "an update of a node marks its CIDRs again, also after another node's deletion freed them",
        ((20, False), (30, True)),
        "#123238; NewCIDRRangeAllocator of pkg/controller/nodeipam/ipam/range_allocator.go",
    ),
    "node_ipam_words": Rule(
        "how kube-controller-manager words a cluster CIDR that does not parse, and too many of them",
        (
            (
                20,
                {
                    "cidr": 'failed to parse cidr value:"{text}" with error:invalid CIDR address: {text}',
                    "count": "len of clusters is:{count} > more than max allowed of 2",
                },
            ),
            (
                25,
                {
                    "cidr": "invalid CIDR[{place}]: <nil> (invalid CIDR address: {text})",
                    "count": "length of clusterCIDRs is:{count} more than max allowed of 2",
                },
            ),
        ),
        "recordings of 1.20 and 1.36; the release between them is not known",
    ),
    "node_ipam_retries_by_itself": Rule(
        "a node that got no CIDR is tried again without anything touching it, leaking at every try",
        ((20, False), (30, True)),
        "#123238: the range allocator moved to a rate-limited queue",
    ),
    "node_ipam_ipv6_block_bits": Rule(
        "most bits between an IPv6 cluster CIDR and a node's block",
        ((20, 16),),
        "NewCIDRSet of pkg/controller/nodeipam/ipam/cidrset/cidr_set.go; IPv4 has no such limit",
    ),
    "service_range_static_band": Rule(
        "dynamic cluster IPs avoid the lower band while the upper has room",
        ((20, False), (25, True)),
        "KEP-3070, on by default since 1.25; recordings of 1.20 and 1.36",
    ),
}


@dataclass(frozen=True, order=True, init=False, repr=False)
class KubeVersion:
    """A minor version of Kubernetes, and the door to everything that depends on one.

    Parameters
    ----------
    text : str or KubeVersion
        ``"1.36"``, ``"v1.36.2"`` or ``"v1.36.2+k3s1"``; patch and build are dropped.

    Raises
    ------
    UnsupportedVersion
        Not a version, or outside the modelled window 1.20 to 1.36.

    Examples
    --------
    >>> KubeVersion("v1.36.2")
    KubeVersion('1.36')
    >>> KubeVersion("1.9") < KubeVersion("1.36")
    Traceback (most recent call last):
    dsmodel.errors.UnsupportedVersion: Kubernetes version '1.9' is outside the modelled window; use 1.20 to 1.36
    """

    minor: int

    def __init__(self, text: str | KubeVersion) -> None:
        match = _VERSION.fullmatch(str(text).strip())
        if match is None:
            raise UnsupportedVersion(
                f"{text!r} is no Kubernetes version; write it like '1.{NEWEST}' or 'v1.{NEWEST}.2'"
            )
        minor = int(match[1])
        if not OLDEST <= minor <= NEWEST:
            raise UnsupportedVersion(
                f"Kubernetes version {str(text)!r} is outside the modelled window; use 1.{OLDEST} to 1.{NEWEST}"
            )
        object.__setattr__(self, "minor", minor)

    @classmethod
    def nearest(cls, text: str) -> KubeVersion | None:
        """Return the modelled version nearest to the one a component calls itself.

        Parameters
        ----------
        text : str
            ``"v1.31.4-gke.100"``, also outside the window.

        Returns
        -------
        KubeVersion or None
            None where the text is no version of Kubernetes 1.

        Raises
        ------
        None
            Every text has an answer.

        Examples
        --------
        >>> KubeVersion.nearest("v1.99.0"), KubeVersion.nearest("v1.31.4-gke.100"), KubeVersion.nearest("tip")
        (KubeVersion('1.36'), KubeVersion('1.31'), None)
        """
        match = _VERSION.fullmatch(text.strip())
        if match is None:
            return None
        digits = match[1].lstrip("0")[:4] or "0"
        return cls(f"1.{min(max(int(digits), OLDEST), NEWEST)}")

    def gate(self, name: str, feature_gates: Mapping[str, bool] | None = None) -> bool:
        """Tell whether a feature is on, as a component started with these gates would have it.

        Parameters
        ----------
        name : str
            Feature gate, in Kubernetes' spelling.
        feature_gates : mapping of str to bool, optional
            What ``--feature-gates`` says, ``AllAlpha`` and ``AllBeta`` included; other gates are not looked at.

        Returns
        -------
        bool
            The override, else the version's default; what holds for good once the gate is removed; False before it
            exists.

        Raises
        ------
        InvalidConfig
            A gate this model has no row for; an override of a gate this version does not know or has locked. The
            words are the component's.

        Examples
        --------
        >>> KubeVersion("1.20").gate("IPv6DualStack"), KubeVersion("1.21").gate("IPv6DualStack")
        (False, True)
        >>> KubeVersion("1.20").gate("IPv6DualStack", {"IPv6DualStack": True})
        True
        >>> KubeVersion("1.23").gate("IPv6DualStack", {"IPv6DualStack": False})
        Traceback (most recent call last):
        dsmodel.errors.InvalidConfig: cannot set feature gate IPv6DualStack to false, feature is locked to true
        """
        row = self.gate_row(name)
        override = None if feature_gates is None else feature_gates.get(name)
        if override is None:
            return _by_stage(row, feature_gates or {}) if row else self._beyond(name)
        if row is None:
            raise InvalidConfig(f"unrecognized feature gate: {name} (Kubernetes {self} does not know it; drop it)")
        if row.locked and override != row.default:
            raise InvalidConfig(
                f"cannot set feature gate {name} to {_go(override)}, feature is locked to {_go(row.default)}"
            )
        return bool(override)

    def gate_row(self, name: str) -> GateRow | None:
        """Return the stage a gate is at.

        Parameters
        ----------
        name : str
            Feature gate, in Kubernetes' spelling.

        Returns
        -------
        GateRow or None
            None when this version does not know the gate: not yet, or no longer.

        Raises
        ------
        InvalidConfig
            A gate this model has no row for.

        Examples
        --------
        >>> KubeVersion("1.33").gate_row("MultiCIDRServiceAllocator")
        GateRow(since=33, stage='GA', default=True, locked=False)
        >>> KubeVersion("1.36").gate_row("IPv6DualStack") is None
        True
        """
        gate = GATES.get(name)
        if gate is None:
            raise InvalidConfig(
                f"no feature gate {name!r} is modelled; the modelled ones are {', '.join(sorted(GATES))}"
            )
        if gate.removed is not None and self.minor >= gate.removed:
            return None
        return next((row for row in reversed(gate.rows) if row.since <= self.minor), None)

    def until(self, newer: KubeVersion) -> tuple[KubeVersion, ...]:
        """List the versions an upgrade goes through.

        Parameters
        ----------
        newer : KubeVersion
            Where it ends.

        Returns
        -------
        tuple of KubeVersion
            Every minor version after this one, up to and with `newer`; empty for the same version.

        Raises
        ------
        InvalidConfig
            `newer` is older: control planes are not downgraded.

        Examples
        --------
        >>> [str(version) for version in KubeVersion("1.34").until(KubeVersion("1.36"))]
        ['1.35', '1.36']
        """
        if newer.minor < self.minor:
            raise InvalidConfig(f"{newer} is older than {self}, and a control plane is never downgraded; name a newer")
        return tuple(KubeVersion(f"1.{minor}") for minor in range(self.minor + 1, newer.minor + 1))

    def gates(self) -> dict[str, GateRow]:
        """Return every modelled gate this version knows, by name.

        Returns
        -------
        dict of str to GateRow
            Sorted by name.

        Raises
        ------
        None
            Every version in the window has an answer.

        Examples
        --------
        >>> sorted(KubeVersion("1.20").gates())[-1]
        'ServiceLBNodePortControl'
        """
        rows = {name: self.gate_row(name) for name in sorted(GATES)}
        return {name: row for name, row in rows.items() if row is not None}

    def rule(self, name: str) -> Any:
        """Return the value a behaviour or limit has in this version.

        Parameters
        ----------
        name : str
            A key of `RULES`.

        Returns
        -------
        object
            The value of the newest row that is not younger than this version.

        Raises
        ------
        InvalidConfig
            No such rule.

        Examples
        --------
        >>> KubeVersion("1.20").rule("node_ipam_retries_by_itself"), KubeVersion("1.36").rule("max_nodes")
        (False, 5000)
        """
        rule = RULES.get(name)
        if rule is None:
            raise InvalidConfig(f"no rule {name!r} is modelled; the modelled ones are {', '.join(sorted(RULES))}")
        return next(value for since, value in reversed(rule.rows) if since <= self.minor)

    def _beyond(self, name: str) -> bool:
        """Return what holds where the switch does not exist."""
        gate = GATES[name]
        return gate.after_removal and gate.removed is not None and self.minor >= gate.removed

    def __str__(self) -> str:
        """Write the version as major.minor."""
        return f"1.{self.minor}"

    def __repr__(self) -> str:
        """Write the call that makes this value."""
        return f"KubeVersion('{self}')"


def _by_stage(row: GateRow, feature_gates: Mapping[str, bool]) -> bool:
    """Return the default of a gate, or what was said of all gates of its stage."""
    group = {"alpha": "AllAlpha", "beta": "AllBeta"}.get(row.stage, "")
    return feature_gates.get(group, row.default)


def _go(value: object) -> str:
    """Write a bool as Go prints it."""
    return "true" if value else "false"
