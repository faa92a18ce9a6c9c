"""Validation of a Service: every rule of the API server, in its order and its words.

Promises: the causes, their order and their words as recorded of 1.20, 1.21, 1.23, 1.26 and 1.36.

Not known here: allocation, and families beyond their spelling (`dsmodel.kube.families`).

Sources: ``ValidateService`` and what it calls in ``pkg/apis/core/validation/validation.go`` of v1.20.2 and v1.36.2,
``ValidateConditionalService`` of ``conditional_validation.go``; recordings.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import IPFamily
from dsmodel.kube.fields import (
    FieldError,
    GoList,
    GoStruct,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from dsmodel.kube.names import (
    dns_1035_label,
    dns_1123_label,
    dns_1123_subdomain,
    label_errors,
    port_name,
    port_number,
    qualified_name,
)
from dsmodel.kube.services.spec import NONE, ServicePort, ServiceSpec
from dsmodel.kube.syntax import cidr_complaints, ip_complaints, read_ip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsmodel.kube.behaviour import Behaviour

__all__ = [
    "SOURCE_RANGES_ANNOTATION",
    "ip_family_of",
    "ip_field_errors",
    "metadata_errors",
    "metadata_map_errors",
    "service_errors",
    "traffic_combination_errors",
]

SOURCE_RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"

_LB_ONLY = "may only be used when `type` is 'LoadBalancer'"
_NOT_EXTERNAL_NAME = "may not be set for ExternalName services"
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_AFFINITIES = ("ClientIP", "None")
_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_TRAFFIC = ("Cluster", "Local")
_KUBELET_PORT = 10250


def service_errors(
    spec: ServiceSpec,
    metadata: Mapping[str, Any],
    *,
    behaviour: Behaviour,
    stored: tuple[ServiceSpec, Mapping[str, Any]] | None = None,
    ips_checked: bool = False,
) -> list[FieldError]:
    """Validate a whole Service.

    Parameters
    ----------
    spec : ServiceSpec
        Defaulted; since 1.23 with its allocations.
    metadata : mapping
        ``metadata``; its annotations may carry source ranges.
    behaviour : Behaviour
        Of the server.
    stored : tuple of (ServiceSpec, mapping), optional
        Spec and metadata as stored, on an update: stored values excuse equal ones.
    ips_checked : bool
        `ip_field_errors` had nothing to say before allocation, so that it has nothing to say now.

    Returns
    -------
    list of FieldError
        In the server's order.

    Raises
    ------
    None
        Every spec has an answer.
    """
    old = stored[0] if stored is not None else None
    found = metadata_errors(metadata, behaviour=behaviour) if old is None else metadata_map_errors(metadata)
    if not spec.ports and not spec.is_headless and spec.type != "ExternalName":
        found.append(required("spec.ports"))
    if spec.type != "ClusterIP":
        found += _type_errors(spec, behaviour)
    found += _port_errors(spec, behaviour)
    if spec.selector:
        found += label_errors(spec.selector, "spec.selector")
    found += _affinity_errors(spec)
    if not ips_checked:
        found += ip_field_errors(spec, behaviour=behaviour, old=old)
    if spec.external_ips:
        found += _external_ip_errors(spec, behaviour, old)
    if spec.type not in _TYPES:
        found.append(not_supported("spec.type", spec.type, _TYPES))
    found += _repeated_port_errors(spec)
    if spec.source_ranges or metadata.get("annotations"):
        found += _source_range_errors(spec, metadata, behaviour, stored)
    found += _load_balancer_errors(spec, behaviour)
    found += _traffic_errors(spec, behaviour)
    return found + _mixed_protocol_errors(spec, behaviour, old)


def metadata_errors(metadata: Mapping[str, Any], *, behaviour: Behaviour) -> list[FieldError]:
    """Validate a Service's name, labels and annotations.

    Parameters
    ----------
    metadata : mapping
        ``metadata``.
    behaviour : Behaviour
        Of the server.

    Returns
    -------
    list of FieldError
        In the server's order.

    Raises
    ------
    None
        Every metadata has an answer.
    """
    name = metadata.get("name") or ""
    if not name:
        return [required("metadata.name", "name or generateName is required")]
    if behaviour.relaxed_service_names:
        complaints = dns_1123_label(name, dots_named=behaviour.dots_in_labels_named)
    else:
        complaints = dns_1035_label(name)
    return [invalid("metadata.name", name, words) for words in complaints] + metadata_map_errors(metadata)


def metadata_map_errors(metadata: Mapping[str, Any]) -> list[FieldError]:
    """Validate labels and annotations, which an update validates once more.

    Parameters
    ----------
    metadata : mapping
        ``metadata``.

    Returns
    -------
    list of FieldError
        In the server's order.

    Raises
    ------
    None
        Every metadata has an answer.
    """
    found = label_errors(metadata["labels"], "metadata.labels") if metadata.get("labels") else []
    for key in metadata.get("annotations") or ():
        found += [invalid("metadata.annotations", key, words) for words in qualified_name(key.lower())]
    return found


def ip_family_of(text: str) -> str:
    """Tell the family of an address as the server's helpers do: what is not IPv6 counts as IPv4.

    Parameters
    ----------
    text : str
        Address text.

    Returns
    -------
    str
        ``"IPv4"`` or ``"IPv6"``.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> ip_family_of("fd00::1"), ip_family_of("::ffff:10.0.0.1")
    ('IPv6', 'IPv4')
    """
    read = read_ip(text)
    return "IPv6" if read is not None and read[0] is IPFamily.IPV6 else "IPv4"


def ip_field_errors(spec: ServiceSpec, *, behaviour: Behaviour, old: ServiceSpec | None = None) -> list[FieldError]:
    """Validate ``clusterIP``, ``clusterIPs``, ``ipFamilies`` and ``ipFamilyPolicy`` together.

    Parameters
    ----------
    spec : ServiceSpec
        The spec.
    behaviour : Behaviour
        Of the server.
    old : ServiceSpec, optional
        As stored; its addresses are not judged again.

    Returns
    -------
    list of FieldError
        In the server's order.

    Raises
    ------
    None
        Every spec has an answer.

    Notes
    -----
    Source: ``ValidateServiceClusterIPsRelatedFields``.
    """
    if spec.type == "ExternalName":
        return []
    ips = spec.cluster_ips or []
    found: list[FieldError] = []
    if spec.cluster_ip:
        if not ips:
            found.append(required("spec.clusterIPs"))
        elif ips[0] != spec.cluster_ip:
            found.append(invalid("spec.clusterIPs", GoList(ips), _words(behaviour, "first")))
    elif ips:
        found.append(invalid("spec.clusterIPs", GoList(ips), _words(behaviour, "empty")))
    if spec.ip_families:
        found += _family_errors(spec.ip_families)
    if spec.ip_family_policy is not None and spec.ip_family_policy not in _POLICIES:
        found.append(not_supported("spec.ipFamilyPolicy", spec.ip_family_policy, _POLICIES))
    if ips and not (len(ips) == 1 and ips[0] == NONE):
        found += _address_errors(spec, ips, behaviour, old)
    return found


_LINKED_WORDS = {
    ("rest", "first"): "element [0] must match clusterIP",
    ("rest", "empty"): "must be empty when clusterIP is empty",
    ("store", "first"): "first value must match `clusterIP`",
    ("store", "empty"): "must be empty when `clusterIP` is not specified",
}


def _words(behaviour: Behaviour, which: str) -> str:
    """Word a contradiction between clusterIP and clusterIPs."""
    return _LINKED_WORDS[behaviour.families.generation, which]


def _family_errors(families: list[str]) -> list[FieldError]:
    """Check the spelling of families, and that none repeats."""
    found: list[FieldError] = []
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            found.append(not_supported(f"spec.ipFamilies[{index}]", family, _FAMILIES))
        if family in families[:index]:
            found.append(duplicate(f"spec.ipFamilies[{index}]", family))
    return found


def _address_errors(
    spec: ServiceSpec, ips: list[str], behaviour: Behaviour, old: ServiceSpec | None
) -> list[FieldError]:
    """Check the addresses named, then whether they fit each other and the families."""
    found: list[FieldError] = []
    stop = False
    excused = (old.cluster_ips or []) if old is not None else []
    for index, text in enumerate(ips):
        if index == 0 and text == NONE:
            stop = True
            found.append(invalid("spec.clusterIPs", GoList(ips), "'None' must be the first and only value"))
            continue
        strict = behaviour.address_syntax == "strict" and text in excused
        complaints = ip_complaints(text, syntax="sloppy" if strict else behaviour.address_syntax)
        stop = stop or bool(complaints)
        found += [invalid(f"spec.clusterIPs[{index}]", text, words) for words in complaints]
    if len(ips) > 2:
        found.append(invalid("spec.clusterIPs", GoList(ips), "may only hold up to 2 values"))
    if stop:
        return found
    families = [ip_family_of(text) for text in ips]
    if len(ips) > 1 and len(set(families)) < 2:
        words = "may specify no more than one IP for each IP family"
        found.append(invalid("spec.clusterIPs", GoList(ips), words))
    for index, wanted in enumerate((spec.ip_families or ())[: len(ips)]):
        if wanted in _FAMILIES and wanted != families[index]:
            words = f"expected an {wanted} value as indicated by `ipFamilies[{index}]`"
            found.append(invalid(f"spec.clusterIPs[{index}]", ips[index], words))
    return found


def _type_errors(spec: ServiceSpec, behaviour: Behaviour) -> list[FieldError]:
    """Check what depends on the type."""
    found: list[FieldError] = []
    if spec.type == "LoadBalancer" and behaviour.families.generation == "rest":
        words = f"may not expose port {_KUBELET_PORT} externally since it is used by kubelet"
        found += [
            invalid(f"spec.ports[{i}]", p.port, words) for i, p in enumerate(spec.ports) if p.port == _KUBELET_PORT
        ]
    if spec.needs_node_ports and spec.is_headless:
        words = f"may not be set to 'None' for {spec.type} services"
        found.append(invalid("spec.clusterIPs[0]", NONE, words))
    if spec.type == "ExternalName":
        found += _external_name_errors(spec)
    return found


def _external_name_errors(spec: ServiceSpec) -> list[FieldError]:
    """Check an ExternalName Service."""
    found: list[FieldError] = []
    if spec.cluster_ips:
        found.append(forbidden("spec.clusterIPs", _NOT_EXTERNAL_NAME))
    if spec.ip_families:
        found.append(forbidden("spec.ipFamilies", _NOT_EXTERNAL_NAME))
    if spec.ip_family_policy is not None:
        found.append(forbidden("spec.ipFamilyPolicy", _NOT_EXTERNAL_NAME))
    cname = spec.external_name.removesuffix(".")
    if not cname:
        found.append(required("spec.externalName"))
    return found + [invalid("spec.externalName", cname, words) for words in dns_1123_subdomain(cname) if cname]


def _port_errors(spec: ServiceSpec, behaviour: Behaviour) -> list[FieldError]:
    """Check every entry of ``ports``."""
    found: list[FieldError] = []
    names: set[str] = set()
    for index, port in enumerate(spec.ports):
        path = f"spec.ports[{index}]"
        if port.name:
            complaints = dns_1123_label(port.name, dots_named=behaviour.dots_in_labels_named)
            found += [invalid(f"{path}.name", port.name, words) for words in complaints]
            if port.name in names:
                found.append(duplicate(f"{path}.name", port.name))
            names.add(port.name)
        elif len(spec.ports) > 1:
            found.append(required(f"{path}.name"))
        found += _one_port_errors(port, path, behaviour)
    return found


def _one_port_errors(port: ServicePort, path: str, behaviour: Behaviour) -> list[FieldError]:
    """Check the numbers and protocols of one port."""
    found = [invalid(f"{path}.port", port.port, words) for words in port_number(port.port)]
    if not port.protocol:
        found.append(required(f"{path}.protocol"))
    elif port.protocol not in _PROTOCOLS:
        found.append(not_supported(f"{path}.protocol", port.protocol, _PROTOCOLS))
    target = port.target_port
    if isinstance(target, int):
        complaints = port_number(target)
    else:
        complaints = port_name(target, digits_named=behaviour.port_name_digits_named)
    found += [invalid(f"{path}.targetPort", target, words) for words in complaints]
    if port.app_protocol is not None:
        complaints = qualified_name(port.app_protocol, word=behaviour.label_key_words)
        found += [invalid(f"{path}.appProtocol", port.app_protocol, words) for words in complaints]
    return found


def _affinity_errors(spec: ServiceSpec) -> list[FieldError]:
    """Check session affinity and its timeout."""
    if spec.session_affinity not in _AFFINITIES:
        return [not_supported("spec.sessionAffinity", spec.session_affinity, _AFFINITIES)]
    if spec.session_affinity == "None":
        return []
    seconds = ((spec.affinity_config or {}).get("clientIP") or {}).get("timeoutSeconds")
    path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
    if seconds is None:
        return [required(path)]
    in_range = 0 < seconds <= 86400
    return [] if in_range else [invalid(path, seconds, "must be greater than 0 and less than 86400")]


def _external_ip_errors(spec: ServiceSpec, behaviour: Behaviour, old: ServiceSpec | None) -> list[FieldError]:
    """Check ``externalIPs``: addresses, and none of the special ones."""
    found: list[FieldError] = []
    excused = (old.external_ips or []) if old is not None else []
    for index, text in enumerate(spec.external_ips or ()):
        path = f"spec.externalIPs[{index}]"
        lenient = behaviour.address_syntax == "strict" and text in excused
        complaints = ip_complaints(text, syntax="sloppy" if lenient else behaviour.address_syntax)
        found += [invalid(path, text, words) for words in complaints]
        if not complaints:
            found += [invalid(path, text, words) for words in _special(text, behaviour)]
    return found


def _special(text: str, behaviour: Behaviour) -> list[str]:
    """Say which special range an address lies in."""
    read = read_ip(text)
    if read is None:
        return []
    family, value = read
    address = ip_address(value.to_bytes(family.bits // 8, "big"))
    both = behaviour.families.generation == "store"
    found: list[str] = []
    if address.is_unspecified:
        found.append(f"may not be unspecified ({address})" if both else "may not be unspecified (0.0.0.0)")
    if address.is_loopback:
        found.append(f"may not be in the loopback range (127.0.0.0/8{', ::1/128' if both else ''})")
    if address.is_link_local:
        found.append(f"may not be in the link-local range (169.254.0.0/16{', fe80::/10' if both else ''})")
    link_local_multicast = value >> 8 == 0xE00000 if family is IPFamily.IPV4 else value >> 112 == 0xFF02
    if link_local_multicast:
        found.append(f"may not be in the link-local multicast range (224.0.0.0/24{', ff02::/10' if both else ''})")
    return found


def _repeated_port_errors(spec: ServiceSpec) -> list[FieldError]:
    """Check node ports against the type, and that no (protocol, number) repeats."""
    found: list[FieldError] = []
    if spec.type == "ClusterIP":
        words = "may not be used when `type` is 'ClusterIP'"
        found += [forbidden(f"spec.ports[{i}].nodePort", words) for i, p in enumerate(spec.ports) if p.node_port]
    if len(spec.ports) > 1:
        found += _repeats(spec.ports)
    return found


def _repeats(ports: list[ServicePort]) -> list[FieldError]:
    """Find repeated node ports and repeated ports."""
    found: list[FieldError] = []
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        if port.node_port:
            if (port.protocol, port.node_port) in seen:
                found.append(duplicate(f"spec.ports[{index}].nodePort", port.node_port))
            seen.add((port.protocol, port.node_port))
    seen = set()
    for index, port in enumerate(ports):
        if (port.protocol, port.port) in seen:
            bare = ServicePort(protocol=port.protocol, port=port.port)
            found.append(duplicate(f"spec.ports[{index}]", GoStruct(_go_port(bare), _json_port(bare))))
        seen.add((port.protocol, port.port))
    return found


def _source_range_errors(
    spec: ServiceSpec,
    metadata: Mapping[str, Any],
    behaviour: Behaviour,
    stored: tuple[ServiceSpec, Mapping[str, Any]] | None,
) -> list[FieldError]:
    """Check source ranges from the field or the annotation."""
    annotation = (metadata.get("annotations") or {}).get(SOURCE_RANGES_ANNOTATION)
    if spec.source_ranges:
        path, texts, shown = "spec.LoadBalancerSourceRanges", spec.source_ranges, f"[{' '.join(spec.source_ranges)}]"
    elif annotation is not None:
        path = f"metadata.annotations[{SOURCE_RANGES_ANNOTATION}]"
        shown = annotation
        texts = annotation.strip().split(",") if annotation.strip() else []
    else:
        return []
    found = [] if spec.type == "LoadBalancer" else [forbidden(path, _LB_ONLY)]
    if behaviour.source_range_words == "list":
        bad = any(cidr_complaints(text.strip(), syntax=behaviour.address_syntax) for text in texts)
        words = "must be a list of IP ranges. For example, 10.240.0.0/24,10.250.0.0/24 "
        return [*found, invalid(path, shown, words)] if bad else found
    if not spec.source_ranges and stored is not None:
        before = (stored[1].get("annotations") or {}).get(SOURCE_RANGES_ANNOTATION)
        if before == annotation:
            return found
    excused = (stored[0].source_ranges or []) if stored is not None else []
    for index, text in enumerate(texts):
        lenient = behaviour.address_syntax == "strict" and text in excused
        complaints = cidr_complaints(text.strip(), syntax="sloppy" if lenient else behaviour.address_syntax)
        where = f"{path}[{index}]" if spec.source_ranges else path
        found += [invalid(where, text, words) for words in complaints]
    return found


def _load_balancer_errors(spec: ServiceSpec, behaviour: Behaviour) -> list[FieldError]:
    """Check the fields that only load balancers have."""
    is_balancer = spec.type == "LoadBalancer"
    found: list[FieldError] = []
    if not is_balancer and spec.allocate_node_ports is not None:
        found.append(forbidden("spec.allocateLoadBalancerNodePorts", _LB_ONLY))
    if behaviour.node_port_control and is_balancer and spec.allocate_node_ports is None:
        found.append(required("allocateLoadBalancerNodePorts"))
    if spec.load_balancer_class is not None:
        if is_balancer:
            complaints = qualified_name(spec.load_balancer_class, word=behaviour.label_key_words)
            found += [invalid("spec.loadBalancerClass", spec.load_balancer_class, words) for words in complaints]
        else:
            found.append(forbidden("spec.loadBalancerClass", _LB_ONLY))
    return found


def _traffic_errors(spec: ServiceSpec, behaviour: Behaviour) -> list[FieldError]:
    """Check the traffic policies, the health check port and the distribution."""
    found: list[FieldError] = []
    if behaviour.families.generation == "rest":
        if spec.external_traffic_policy not in {"", *_TRAFFIC}:
            words = "ExternalTrafficPolicy must be empty, Cluster or Local"
            found.append(invalid("spec.externalTrafficPolicy", spec.external_traffic_policy, words))
        if spec.health_check_node_port < 0:
            words = "HealthCheckNodePort must be not less than 0"
            found.append(invalid("spec.healthCheckNodePort", spec.health_check_node_port, words))
    else:
        found += _external_policy_errors(spec, behaviour)
    policy = spec.internal_traffic_policy
    if policy is not None and policy not in _TRAFFIC:
        found.append(not_supported("spec.internalTrafficPolicy", policy, _TRAFFIC))
    elif policy is None and behaviour.internal_traffic_policy and _wants_internal_policy(spec, behaviour):
        found.append(required("spec.internalTrafficPolicy"))
    distribution = spec.traffic_distribution
    if distribution is not None and distribution not in behaviour.traffic_distributions:
        found.append(not_supported("spec.trafficDistribution", distribution, behaviour.traffic_distributions))
    return found


def _wants_internal_policy(spec: ServiceSpec, behaviour: Behaviour) -> bool:
    """Say whether the type must have an internal traffic policy."""
    return behaviour.internal_policy_everywhere or spec.type in {"ClusterIP", "NodePort", "LoadBalancer"}


def _external_policy_errors(spec: ServiceSpec, behaviour: Behaviour) -> list[FieldError]:
    """Check ``externalTrafficPolicy`` and ``healthCheckNodePort`` as the server does since 1.23."""
    found: list[FieldError] = []
    by_ips = behaviour.external_ips_accessible
    accessible = spec.needs_node_ports or (by_ips and spec.type == "ClusterIP" and bool(spec.external_ips))
    policy = spec.external_traffic_policy
    if not accessible and policy:
        words = "for externally-accessible services" if by_ips else "when `type` is 'NodePort' or 'LoadBalancer'"
        found.append(invalid("spec.externalTrafficPolicy", policy, f"may only be set {words}"))
    elif accessible and not policy:
        found.append(required("spec.externalTrafficPolicy"))
    elif accessible and policy not in _TRAFFIC:
        found.append(not_supported("spec.externalTrafficPolicy", policy, _TRAFFIC))
    number = spec.health_check_node_port
    if not spec.needs_health_check_port and number:
        words = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        found.append(invalid("spec.healthCheckNodePort", number, words))
    elif spec.needs_health_check_port and not number:
        found.append(required("spec.healthCheckNodePort"))
    elif spec.needs_health_check_port:
        found += [invalid("spec.healthCheckNodePort", number, words) for words in port_number(number)]
    return found


def traffic_combination_errors(spec: ServiceSpec) -> list[FieldError]:
    """Check traffic fields against the type, a step of its own until 1.22.

    Parameters
    ----------
    spec : ServiceSpec
        With its allocations.

    Returns
    -------
    list of FieldError
        In the server's order.

    Raises
    ------
    None
        Every spec has an answer.

    Notes
    -----
    Source: ``ValidateServiceExternalTrafficFieldsCombination``.
    """
    found: list[FieldError] = []
    if not spec.needs_node_ports and spec.external_traffic_policy:
        words = "ExternalTrafficPolicy can only be set on NodePort and LoadBalancer service"
        found.append(invalid("spec.externalTrafficPolicy", spec.external_traffic_policy, words))
    if not spec.needs_health_check_port and spec.health_check_node_port:
        words = "HealthCheckNodePort can only be set on LoadBalancer service with ExternalTrafficPolicy=Local"
        found.append(invalid("spec.healthCheckNodePort", spec.health_check_node_port, words))
    return found


def _mixed_protocol_errors(spec: ServiceSpec, behaviour: Behaviour, old: ServiceSpec | None) -> list[FieldError]:
    """Check that a load balancer has one protocol, where the gate asks for it."""
    if behaviour.mixed_protocols or spec.type != "LoadBalancer" or _protocols(spec) < 2:
        return []
    if old is not None and old.type == "LoadBalancer" and _protocols(old) > 1:
        return []
    go = ", ".join(f"{_go_port(port)}" for port in spec.ports)
    value = GoStruct(f"[]core.ServicePort{{{go}}}", f"[{','.join(map(_json_port, spec.ports))}]")
    return [invalid("spec.ports", value, "may not contain more than 1 protocol when type is 'LoadBalancer'")]


def _protocols(spec: ServiceSpec) -> int:
    """Count the protocols of the ports."""
    return len({port.protocol for port in spec.ports})


def _go_port(port: ServicePort) -> str:
    """Print a port in Go syntax."""
    target = port.target_port
    number, text = (target, "") if isinstance(target, int) else (0, target)
    kind = 0 if isinstance(target, int) else 1
    app = "(*string)(nil)" if port.app_protocol is None else "(*string)(0xc000000000)"
    return (
        f'core.ServicePort{{Name:"{port.name}", Protocol:"{port.protocol}", AppProtocol:{app}, Port:{port.port}, '
        f'TargetPort:intstr.IntOrString{{Type:{kind}, IntVal:{number}, StrVal:"{text}"}}, NodePort:{port.node_port}}}'
    )


def _json_port(port: ServicePort) -> str:
    """Print a port in JSON."""
    app = "null" if port.app_protocol is None else f'"{port.app_protocol}"'
    target = port.target_port if isinstance(port.target_port, int) else f'"{port.target_port}"'
    return (
        f'{{"Name":"{port.name}","Protocol":"{port.protocol}","AppProtocol":{app},"Port":{port.port},'
        f'"TargetPort":{target},"NodePort":{port.node_port}}}'
    )
