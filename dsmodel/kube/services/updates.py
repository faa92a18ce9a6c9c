"""What an update of a Service carries over, clears and may not change.

Promises: the server's order of steps before and after allocation, per version.

Not known here: families (`dsmodel.kube.families`) and allocation.

Sources: ``pkg/registry/core/service/strategy.go`` (patchAllocatedValues, NormalizeClusterIPs, dropTypeDependentFields,
trimFieldsForDualStackDowngrade) and, since 1.23, ``storage/storage.go``; ``validateUpgradeDowngradeClusterIPs`` and
``validateUpgradeDowngradeIPFamilies`` of ``pkg/apis/core/validation/validation.go``; recordings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.kube.fields import FieldError, GoList, forbidden, invalid

if TYPE_CHECKING:
    from dsmodel.kube.behaviour import Behaviour
    from dsmodel.kube.services.spec import ServiceSpec

__all__ = ["carry_values", "change_errors", "clear_for_type", "drop_disabled", "normalize_ips", "trim_downgrade"]


def normalize_ips(spec: ServiceSpec, old: ServiceSpec | None = None) -> None:
    """Bring ``clusterIPs`` in line with ``clusterIP``, in place.

    Parameters
    ----------
    spec : ServiceSpec
        Changed.
    old : ServiceSpec, optional
        As stored, on an update.

    Raises
    ------
    None
        What cannot be brought in line is left for validation.

    Examples
    --------
    >>> from dsmodel.kube.services.spec import ServiceSpec
    >>> spec = ServiceSpec(cluster_ip="10.96.0.9")
    >>> normalize_ips(spec)
    >>> spec.cluster_ips
    ['10.96.0.9']
    """
    if old is None:
        if spec.cluster_ip and not spec.cluster_ips:
            spec.cluster_ips = [spec.cluster_ip]
        return
    if old.cluster_ips and not spec.cluster_ips and old.cluster_ip == spec.cluster_ip:
        spec.cluster_ips = list(old.cluster_ips)
    if old.cluster_ip != spec.cluster_ip and (spec.cluster_ips or []) == (old.cluster_ips or []):
        cleared = bool(old.cluster_ip) and not spec.cluster_ip
        spec.cluster_ips = None if cleared else [spec.cluster_ip]


def carry_values(spec: ServiceSpec, old: ServiceSpec, behaviour: Behaviour) -> None:
    """Keep allocated values that the update does not name, in place.

    Parameters
    ----------
    spec : ServiceSpec
        Changed.
    old : ServiceSpec
        As stored.
    behaviour : Behaviour
        Of the server.

    Raises
    ------
    None
        Every pair has an answer.
    """
    if not behaviour.carries_values:
        return
    if old.type != "ExternalName" and spec.type != "ExternalName":
        spec.cluster_ip = spec.cluster_ip or old.cluster_ip
        if not spec.cluster_ips and old.cluster_ips:
            spec.cluster_ips = list(old.cluster_ips)
    if old.needs_node_ports and _takes_node_ports(spec, behaviour):
        _carry_node_ports(spec, old, behaviour)
    if old.needs_health_check_port and spec.needs_health_check_port and not spec.health_check_node_port:
        spec.health_check_node_port = old.health_check_node_port


def _takes_node_ports(spec: ServiceSpec, behaviour: Behaviour) -> bool:
    """Say whether old node ports may be carried over into the new spec."""
    switched_off = spec.type == "LoadBalancer" and spec.allocate_node_ports is False
    return spec.needs_node_ports and (behaviour.carries_switched_off_ports or not switched_off)


def _carry_node_ports(spec: ServiceSpec, old: ServiceSpec, behaviour: Behaviour) -> None:
    """Carry node ports over by port name."""
    by_name = {port.name: port.node_port for port in old.ports}
    used: set[int] = set()
    if behaviour.carries_values == "by unused name":
        numbers = {port.node_port for port in old.ports if port.node_port}
        used = {port.node_port for port in spec.ports if port.node_port in numbers}
    for port in spec.ports:
        carried = by_name.get(port.name, 0)
        if not port.node_port and carried not in used:
            port.node_port = carried


def drop_disabled(spec: ServiceSpec, old: ServiceSpec | None, behaviour: Behaviour) -> None:
    """Forget fields whose gate is off, unless the stored object uses them, in place.

    Parameters
    ----------
    spec : ServiceSpec
        Changed.
    old : ServiceSpec or None
        As stored.
    behaviour : Behaviour
        Of the server.

    Raises
    ------
    None
        Every spec has an answer.
    """
    in_use = old is not None and (
        old.ip_family_policy is not None or bool(old.ip_families) or len(old.cluster_ips or ()) > 1
    )
    if not behaviour.dual_stack and not in_use:
        spec.ip_families = None
        spec.ip_family_policy = None
        if spec.cluster_ips and len(spec.cluster_ips) > 1:
            spec.cluster_ips = spec.cluster_ips[:1]
    if not behaviour.node_port_control and (old is None or old.allocate_node_ports is None):
        spec.allocate_node_ports = None
    if not behaviour.load_balancer_class and (old is None or old.load_balancer_class is None):
        spec.load_balancer_class = None
    if not behaviour.internal_traffic_policy and (old is None or old.internal_traffic_policy is None):
        spec.internal_traffic_policy = None
    if not behaviour.traffic_distributions and (old is None or old.traffic_distribution is None):
        spec.traffic_distribution = None


def clear_for_type(spec: ServiceSpec, old: ServiceSpec, behaviour: Behaviour) -> None:
    """Clear what the new type does not have and the client did not touch, in place.

    Parameters
    ----------
    spec : ServiceSpec
        Changed.
    old : ServiceSpec
        As stored.
    behaviour : Behaviour
        Of the server.

    Raises
    ------
    None
        Every pair has an answer.
    """
    if old.type != "ExternalName" and spec.type == "ExternalName":
        _clear_ip_fields(spec, old)
    if old.needs_node_ports and not spec.needs_node_ports:
        before = {port.node_port for port in old.ports}
        if all(not port.node_port or port.node_port in before for port in spec.ports):
            for port in spec.ports:
                port.node_port = 0
    same_check_port = spec.health_check_node_port == old.health_check_node_port
    if old.needs_health_check_port and not spec.needs_health_check_port and same_check_port:
        spec.health_check_node_port = 0
    if old.type == "LoadBalancer" and spec.type != "LoadBalancer":
        if spec.allocate_node_ports == old.allocate_node_ports:
            spec.allocate_node_ports = None
        if spec.load_balancer_class == old.load_balancer_class:
            spec.load_balancer_class = None
    if behaviour.families.generation == "store":
        _clear_external_policy(spec, old, behaviour)


def _clear_ip_fields(spec: ServiceSpec, old: ServiceSpec) -> None:
    """Clear untouched addresses, families and policy of what becomes an ExternalName Service."""
    if spec.cluster_ip == old.cluster_ip and (spec.cluster_ips or []) == (old.cluster_ips or []):
        spec.cluster_ip = ""
        spec.cluster_ips = None
    if spec.ip_families == old.ip_families:
        spec.ip_families = None
    if spec.ip_family_policy == old.ip_family_policy:
        spec.ip_family_policy = None


def _clear_external_policy(spec: ServiceSpec, old: ServiceSpec, behaviour: Behaviour) -> None:
    """Clear an untouched ``externalTrafficPolicy`` that no longer applies."""
    needed, needs = (
        s.needs_node_ports or (behaviour.external_ips_accessible and s.type == "ClusterIP" and bool(s.external_ips))
        for s in (old, spec)
    )
    if needed and not needs and spec.external_traffic_policy == old.external_traffic_policy:
        spec.external_traffic_policy = ""


def trim_downgrade(spec: ServiceSpec, old: ServiceSpec, behaviour: Behaviour) -> None:
    """Drop the second address and family of a downgrade, in place (until 1.22).

    Parameters
    ----------
    spec : ServiceSpec
        Changed.
    old : ServiceSpec
        As stored.
    behaviour : Behaviour
        Of the server.

    Raises
    ------
    None
        Every pair has an answer.
    """
    was_dual = old.ip_family_policy in {"PreferDualStack", "RequireDualStack"}
    if behaviour.dual_stack and was_dual and spec.ip_family_policy == "SingleStack":
        if spec.cluster_ips and len(spec.cluster_ips) > 1:
            spec.cluster_ips = spec.cluster_ips[:1]
        if spec.ip_families and len(spec.ip_families) > 1:
            spec.ip_families = spec.ip_families[:1]


def change_errors(spec: ServiceSpec, old: ServiceSpec, behaviour: Behaviour) -> list[FieldError]:
    """Check what an update may not change.

    Parameters
    ----------
    spec, old : ServiceSpec
        New and stored.
    behaviour : Behaviour
        Of the server.

    Returns
    -------
    list of FieldError
        In the server's order.

    Raises
    ------
    None
        Every pair has an answer.
    """
    found: list[FieldError] = []
    if spec.type != "ExternalName" and old.type != "ExternalName":
        found += _ip_changes(spec, old, behaviour)
        found += _family_changes(spec, old, behaviour)
    both_balance = old.type == spec.type == "LoadBalancer"
    if behaviour.load_balancer_class and both_balance and old.load_balancer_class != spec.load_balancer_class:
        found.append(invalid("spec.loadBalancerClass", spec.load_balancer_class, "may not change once set"))
    both_check = old.needs_health_check_port and spec.needs_health_check_port
    changes = old.health_check_node_port != spec.health_check_node_port
    if behaviour.families.generation == "store" and both_check and changes:
        found.append(forbidden("spec.healthCheckNodePort", "field is immutable"))
    return found


def _ip_changes(spec: ServiceSpec, old: ServiceSpec, behaviour: Behaviour) -> list[FieldError]:
    """Check changes of the addresses."""
    if old.is_headless and spec.is_headless:
        return []
    before, after = old.cluster_ips or [], spec.cluster_ips or []
    shown = GoList(spec.cluster_ips)
    once = "may not change once set"
    if len(before) == len(after):
        return [
            invalid(f"spec.clusterIPs[{i}]", shown, once)
            for i, (a, b) in enumerate(zip(before, after, strict=True))
            if a != b
        ]
    found: list[FieldError] = []
    if not after:
        found.append(invalid("spec.clusterIPs[0]", shown, "primary clusterIP can not be unset"))
    if before and after and before[0] != after[0]:
        found.append(invalid("spec.clusterIPs[0]", shown, once))
    if len(before) > len(after) == 1 and spec.ip_family_policy != "SingleStack":
        found.append(_release_error(spec, behaviour, "clusterIP", shown))
    return found


def _family_changes(spec: ServiceSpec, old: ServiceSpec, behaviour: Behaviour) -> list[FieldError]:
    """Check changes of the families."""
    if old.is_headless or spec.is_headless:
        return []
    before, after = old.ip_families or [], spec.ip_families or []
    shown, ips = GoList(spec.ip_families, "core.IPFamily"), GoList(spec.cluster_ips)
    path, once = "spec.ipFamilies[0]", "may not change once set"
    if len(before) == len(after):
        return [invalid(path, shown, once) for a, b in zip(before, after, strict=True) if a != b]
    found: list[FieldError] = []
    if len(before) > len(after) and not spec.cluster_ips:
        found.append(invalid(path, shown, "primary ipFamily can not be unset"))
    if before and after and before[0] != after[0]:
        found.append(invalid(path, ips, once))
    if len(before) > len(after) == 1 and spec.ip_family_policy != "SingleStack":
        found.append(_release_error(spec, behaviour, "ipFamily", ips))
    return found


def _release_error(spec: ServiceSpec, behaviour: Behaviour, what: str, shown: GoList) -> FieldError:
    """Word a second address or family dropped without SingleStack."""
    words = f"must be set to 'SingleStack' when releasing the secondary {what}"
    if behaviour.families.generation == "rest":
        return invalid("spec.clusterIPs[0]", shown, f"`ipFamilyPolicy` {words}")
    return invalid("spec.ipFamilyPolicy", spec.ip_family_policy, words)
