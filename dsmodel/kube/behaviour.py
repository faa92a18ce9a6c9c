"""One API server's behaviour: its version's rules and gates, read once.

Promises: everything that the rules of Services, Nodes and ServiceCIDRs ask a version for, as plain values with a name.

Not known here: what the values mean for an object; see the modules that use them.

Sources: the rows of `dsmodel.kube.versions`, each with its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from dsmodel.kube.families import FamilyRules
from dsmodel.kube.versions import GATES, KubeVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsmodel.kube.syntax import AddressSyntax

__all__ = ["Behaviour", "behaviour_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Behaviour:
    """What one version with its gates does.

    Parameters
    ----------
    version : KubeVersion
        The version.
    error_values : str
        How field errors print values, ``"go"`` or ``"json"``.
    address_syntax : {"go", "sloppy", "strict"}
        How address fields read text.
    families : FamilyRules
        Which family table, and its switches.
    dual_stack, node_port_control, load_balancer_class, internal_traffic_policy, mixed_protocols : bool
        Gates IPv6DualStack, ServiceLBNodePortControl, ServiceLoadBalancerClass, ServiceInternalTrafficPolicy and
        MixedProtocolLBService.
    traffic_distributions : tuple of str
        Values of ``trafficDistribution``; empty while the field is dropped.
    relaxed_service_names : bool
        Service names are RFC 1123 labels, not RFC 1035.
    policy_inferred_early, internal_policy_everywhere, external_ips_accessible : bool
        Switches of the versioned defaults.
    carries_values : str
        What an update keeps that it does not name: nothing, or node ports by (unused) name.
    carries_switched_off_ports, unconditional_update : bool
        Switches of updates.
    switched_off_node_ports : str
        Whether node ports asked for are reserved when allocation is switched off.
    address_objects, single_writes : bool
        Cluster IPs are IPAddress objects; and no bitmap is written beside them.
    address_band, port_band : bool
        Dynamic cluster IPs and node ports avoid the static band.
    dots_in_labels_named, port_name_digits_named, full_range_names_service : bool
        Wordings.
    label_key_words, source_range_words : str
        Wordings.
    """

    version: KubeVersion
    error_values: str
    address_syntax: AddressSyntax
    families: FamilyRules
    dual_stack: bool
    node_port_control: bool
    load_balancer_class: bool
    internal_traffic_policy: bool
    mixed_protocols: bool
    traffic_distributions: tuple[str, ...]
    relaxed_service_names: bool
    policy_inferred_early: bool
    internal_policy_everywhere: bool
    external_ips_accessible: bool
    carries_values: str
    carries_switched_off_ports: bool
    unconditional_update: bool
    switched_off_node_ports: str
    address_objects: bool
    single_writes: bool
    address_band: bool
    port_band: bool
    dots_in_labels_named: bool
    port_name_digits_named: bool
    full_range_names_service: bool
    label_key_words: str
    source_range_words: str


def behaviour_of(version: KubeVersion, feature_gates: Mapping[str, bool] | None = None) -> Behaviour:
    """Return what a version with these gates does.

    Parameters
    ----------
    version : KubeVersion
        The version.
    feature_gates : mapping of str to bool, optional
        ``--feature-gates`` of kube-apiserver; gates without a row are not looked at.

    Returns
    -------
    Behaviour
        The same object for the same question.

    Raises
    ------
    InvalidConfig
        A gate the version does not know, or has locked.

    Examples
    --------
    >>> behaviour_of(KubeVersion("1.20")).dual_stack, behaviour_of(KubeVersion("1.36")).address_syntax
    (False, 'strict')
    """
    return _behaviour(version, tuple(sorted((feature_gates or {}).items())))


@lru_cache(maxsize=64)
def _behaviour(version: KubeVersion, gates: tuple[tuple[str, bool], ...]) -> Behaviour:
    """Read the rules of a version once."""
    overrides = {name: value for name, value in gates if name in GATES}
    on = {name: version.gate(name, overrides) for name in GATES if name in overrides or name in _GATES_READ}
    rule = version.rule
    inferred = rule("service_policy_inferred")
    return Behaviour(
        version=version,
        error_values=rule("field_error_values"),
        address_syntax="strict" if on["StrictIPCIDRValidation"] else rule("address_syntax"),
        families=FamilyRules(
            generation=rule("service_generation"),
            infers_policy=inferred == "storage",
            prefer_headless_needs_dual_stack=rule("service_prefer_headless_needs_dual_stack"),
            prefer_left_alone=rule("service_prefer_left_alone"),
        ),
        dual_stack=on["IPv6DualStack"],
        node_port_control=on["ServiceLBNodePortControl"],
        load_balancer_class=on["ServiceLoadBalancerClass"],
        internal_traffic_policy=on["ServiceInternalTrafficPolicy"],
        mixed_protocols=on["MixedProtocolLBService"],
        traffic_distributions=_distributions(on),
        relaxed_service_names=on["RelaxedServiceNameValidation"],
        policy_inferred_early=inferred == "defaults",
        internal_policy_everywhere=rule("service_internal_policy_on_external_name"),
        external_ips_accessible=rule("externally_accessible_by_external_ips"),
        carries_values=rule("service_update_carries_values"),
        carries_switched_off_ports=rule("service_update_carries_switched_off_ports"),
        unconditional_update=rule("service_unconditional_update"),
        switched_off_node_ports=rule("service_switched_off_node_ports"),
        address_objects=on["MultiCIDRServiceAllocator"],
        single_writes=on["DisableAllocatorDualWrite"],
        address_band=on["ServiceIPStaticSubrange"],
        port_band=on["ServiceNodePortStaticSubrange"],
        dots_in_labels_named=rule("dots_in_labels_named"),
        port_name_digits_named=rule("port_name_digits_named"),
        full_range_names_service=rule("service_full_range_names_service"),
        label_key_words=rule("label_key_words"),
        source_range_words=rule("service_source_range_words"),
    )


_GATES_READ = frozenset(
    {
        "DisableAllocatorDualWrite",
        "IPv6DualStack",
        "MixedProtocolLBService",
        "MultiCIDRServiceAllocator",
        "PreferSameTrafficDistribution",
        "RelaxedServiceNameValidation",
        "ServiceIPStaticSubrange",
        "ServiceInternalTrafficPolicy",
        "ServiceLBNodePortControl",
        "ServiceLoadBalancerClass",
        "ServiceNodePortStaticSubrange",
        "ServiceTrafficDistribution",
        "StrictIPCIDRValidation",
    }
)


def _distributions(on: Mapping[str, bool]) -> tuple[str, ...]:
    """Return the values of ``trafficDistribution``."""
    if not on["ServiceTrafficDistribution"]:
        return ()
    same = ("PreferSameZone", "PreferSameNode") if on["PreferSameTrafficDistribution"] else ()
    return ("PreferClose", *same)
