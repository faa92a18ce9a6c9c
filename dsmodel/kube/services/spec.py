"""A Service's spec while the server works on it: read from JSON, defaulted, written back.

Promises: reading refuses what Go's decoder refuses (wrong types), keeps what it keeps and forgets unknown fields;
writing gives the fields in the API's order and leaves out zero values as it does.

Not known here: whether the values make sense.

Sources: ``k8s.io/api/core/v1/types.go``; ``pkg/apis/core/v1/defaults.go`` (SetDefaults_Service) of v1.20.2 and
v1.36.2; recordings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dsmodel.kube.fields import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dsmodel.kube.behaviour import Behaviour

__all__ = ["NONE", "ServicePort", "ServiceSpec", "default_spec", "read_spec", "write_spec"]

NONE = "None"
"""The cluster IP of a headless Service."""

_DEFAULT_AFFINITY_SECONDS = 10800
_INT32 = range(-(1 << 31), 1 << 31)


@dataclass(slots=True)
class ServicePort:
    """One entry of ``spec.ports``; zero values mean unset, as in Go."""

    name: str = ""
    protocol: str = ""
    app_protocol: str | None = None
    port: int = 0
    target_port: int | str = 0
    node_port: int = 0


@dataclass(slots=True)
class ServiceSpec:
    """``spec`` of a Service; zero values mean unset, and a list may be None or empty, which messages tell apart."""

    ports: list[ServicePort] = field(default_factory=list)
    selector: dict[str, str] | None = None
    cluster_ip: str = ""
    cluster_ips: list[str] | None = None
    type: str = ""
    external_ips: list[str] | None = None
    session_affinity: str = ""
    load_balancer_ip: str = ""
    source_ranges: list[str] | None = None
    external_name: str = ""
    external_traffic_policy: str = ""
    health_check_node_port: int = 0
    publish_not_ready_addresses: bool = False
    affinity_config: dict[str, Any] | None = None
    ip_families: list[str] | None = None
    ip_family_policy: str | None = None
    allocate_node_ports: bool | None = None
    load_balancer_class: str | None = None
    internal_traffic_policy: str | None = None
    traffic_distribution: str | None = None

    @property
    def is_headless(self) -> bool:
        """Say whether ``clusterIPs`` is exactly None."""
        return self.cluster_ips is not None and len(self.cluster_ips) == 1 and self.cluster_ips[0] == NONE

    @property
    def needs_node_ports(self) -> bool:
        """Say whether the type has node ports."""
        return self.type in {"NodePort", "LoadBalancer"}

    @property
    def needs_health_check_port(self) -> bool:
        """Say whether the Service needs a health check node port."""
        return self.type == "LoadBalancer" and self.external_traffic_policy == "Local"


def read_spec(spec: Mapping[str, Any] | None) -> ServiceSpec:
    """Read a spec from JSON.

    Parameters
    ----------
    spec : mapping or None
        ``spec`` as sent; it is not changed and nothing of it is kept.

    Returns
    -------
    ServiceSpec
        As decoded, before defaults.

    Raises
    ------
    Rejected
        400 for a value of the wrong type.

    Examples
    --------
    >>> read_spec({"type": "NodePort", "ports": [{"port": 80}]}).ports[0].port
    80
    """
    read = ServiceSpec()
    if spec is None:
        return read
    if not isinstance(spec, dict):
        raise _mistyped(spec, "Service", "spec", "v1.ServiceSpec")
    for key, value in spec.items():
        entry = _FIELDS.get(key)
        if entry is not None and value is not None:
            name, reader, go_type = entry
            setattr(read, name, reader(value, key, go_type))
    return read


def write_spec(spec: ServiceSpec) -> dict[str, Any]:
    """Write a spec as the API returns it.

    Parameters
    ----------
    spec : ServiceSpec
        The spec.

    Returns
    -------
    dict
        New, in the API's field order, without zero values.

    Raises
    ------
    None
        Every spec has an answer.

    Examples
    --------
    >>> write_spec(ServiceSpec(type="ClusterIP", cluster_ip="None", cluster_ips=["None"]))
    {'clusterIP': 'None', 'clusterIPs': ['None'], 'type': 'ClusterIP'}
    """
    written: dict[str, Any] = {}
    for key, name, pointer in _WRITTEN:
        value = getattr(spec, name)
        if value is None or (not pointer and not value):
            continue
        if key == "ports":
            value = [_write_port(port) for port in value]
        elif isinstance(value, (list, dict)):
            value = _copied(value)
        written[key] = value
    return written


def _copied(value: Any) -> Any:
    """Copy lists and maps."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return list(value) if isinstance(value, list) else value


def default_spec(spec: ServiceSpec, behaviour: Behaviour) -> None:
    """Apply the versioned defaults, in place.

    Parameters
    ----------
    spec : ServiceSpec
        As read; changed.
    behaviour : Behaviour
        Of the server.

    Raises
    ------
    None
        Every spec has an answer.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> from dsmodel.kube.behaviour import behaviour_of
    >>> spec = read_spec({"ports": [{"port": 80}]})
    >>> default_spec(spec, behaviour_of(KubeVersion("1.36")))
    >>> spec.type, spec.ports[0].protocol, spec.ports[0].target_port
    ('ClusterIP', 'TCP', 80)
    """
    spec.session_affinity = spec.session_affinity or "None"
    if spec.session_affinity == "None":
        spec.affinity_config = None
    elif spec.session_affinity == "ClientIP":
        _default_affinity(spec)
    spec.type = spec.type or "ClusterIP"
    for port in spec.ports:
        port.protocol = port.protocol or "TCP"
        if port.target_port in {0, ""}:
            port.target_port = port.port
    accessible = spec.needs_node_ports or (
        behaviour.external_ips_accessible and spec.type == "ClusterIP" and bool(spec.external_ips)
    )
    if accessible and not spec.external_traffic_policy:
        spec.external_traffic_policy = "Cluster"
    internal = behaviour.internal_policy_everywhere or spec.type in {"ClusterIP", "NodePort", "LoadBalancer"}
    if behaviour.internal_traffic_policy and internal and spec.internal_traffic_policy is None:
        spec.internal_traffic_policy = "Cluster"
    if behaviour.node_port_control and spec.type == "LoadBalancer" and spec.allocate_node_ports is None:
        spec.allocate_node_ports = True
    if behaviour.policy_inferred_early and behaviour.dual_stack and spec.type != "ExternalName":
        _infer_policy(spec)


def _infer_policy(spec: ServiceSpec) -> None:
    """Take two families or addresses as RequireDualStack, and complete its families (1.20)."""
    if spec.ip_family_policy is None and (len(spec.cluster_ips or ()) == 2 or len(spec.ip_families or ()) == 2):
        spec.ip_family_policy = "RequireDualStack"
    families = spec.ip_families or []
    if spec.ip_family_policy == "RequireDualStack" and len(families) == 1:
        spec.ip_families = [families[0], "IPv6" if families[0] == "IPv4" else "IPv4"]


def _default_affinity(spec: ServiceSpec) -> None:
    """Fill in the timeout of ClientIP affinity."""
    client = (spec.affinity_config or {}).get("clientIP") or {}
    if client.get("timeoutSeconds") is None:
        spec.affinity_config = {"clientIP": {"timeoutSeconds": _DEFAULT_AFFINITY_SECONDS}}


def _write_port(port: ServicePort) -> dict[str, Any]:
    """Write one entry of ``ports``."""
    written: dict[str, Any] = {}
    if port.name:
        written["name"] = port.name
    if port.protocol:
        written["protocol"] = port.protocol
    if port.app_protocol is not None:
        written["appProtocol"] = port.app_protocol
    written["port"] = port.port
    written["targetPort"] = port.target_port
    if port.node_port:
        written["nodePort"] = port.node_port
    return written


def _mistyped(value: object, owner: str, key: str, go_type: str) -> Exception:
    """Word a value of the wrong type as Go's JSON decoder does."""
    names = {bool: "bool", str: "string", int: "number", float: "number", list: "array", dict: "object"}
    found = names.get(type(value), type(value).__name__)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        found = f"number {value}" if go_type.startswith("int") else "number"
    path = f"{owner}.{key}"
    words = f"json: cannot unmarshal {found} into Go struct field {path} of type {go_type}"
    return bad_request(f'Service in version "v1" cannot be handled as a Service: {words}')


def _text(value: object, key: str, go_type: str) -> str:
    """Read a string."""
    if not isinstance(value, str):
        raise _mistyped(value, "ServiceSpec", f"spec.{key}", go_type)
    return value


def _flag(value: object, key: str, go_type: str) -> bool:
    """Read a bool."""
    if not isinstance(value, bool):
        raise _mistyped(value, "ServiceSpec", f"spec.{key}", go_type)
    return value


def _number(value: object, key: str, go_type: str) -> int:
    """Read an int32."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in _INT32:
        raise _mistyped(value, "ServiceSpec", f"spec.{key}", go_type)
    return value


def _texts(value: object, key: str, go_type: str) -> list[str]:
    """Read a list of strings; null entries are empty strings."""
    if not isinstance(value, list):
        raise _mistyped(value, "ServiceSpec", f"spec.{key}", f"[]{go_type}")
    return ["" if item is None else _text(item, key, go_type) for item in value]


def _labels(value: object, key: str, go_type: str) -> dict[str, str]:
    """Read a map of strings."""
    if not isinstance(value, dict):
        raise _mistyped(value, "ServiceSpec", f"spec.{key}", "map[string]string")
    return {_text(k, key, go_type): "" if v is None else _text(v, key, go_type) for k, v in value.items()}


def _affinity(value: object, key: str, go_type: str) -> dict[str, Any]:
    """Read ``sessionAffinityConfig``."""
    if not isinstance(value, dict):
        raise _mistyped(value, "ServiceSpec", f"spec.{key}", go_type)
    client = value.get("clientIP")
    if client is None:
        return {}
    if not isinstance(client, dict):
        raise _mistyped(client, "SessionAffinityConfig", f"spec.{key}.clientIP", "v1.ClientIPConfig")
    seconds = client.get("timeoutSeconds")
    return {
        "clientIP": {}
        if seconds is None
        else {"timeoutSeconds": _number(seconds, f"{key}.clientIP.timeoutSeconds", "int32")}
    }


def _ports(value: object, key: str, go_type: str) -> list[ServicePort]:
    """Read ``ports``."""
    if not isinstance(value, list):
        raise _mistyped(value, "ServiceSpec", f"spec.{key}", go_type)
    return [_port(entry) for entry in value]


def _port(entry: object) -> ServicePort:
    """Read one entry of ``ports``."""
    read = ServicePort()
    if entry is None:
        return read
    if not isinstance(entry, dict):
        raise _mistyped(entry, "ServiceSpec", "spec.ports", "v1.ServicePort")
    for key, value in entry.items():
        entry_of = _PORT_FIELDS.get(key)
        if entry_of is not None and value is not None:
            name, reader = entry_of
            setattr(read, name, reader(value, key))
    return read


def _target(value: object, key: str) -> int | str:
    """Read a port number or name."""
    return value if isinstance(value, str) else _port_number(value, key)


def _port_number(value: object, key: str) -> int:
    """Read an int32 of a port."""
    if type(value) is int and value in _INT32:
        return value
    raise _mistyped(value, "ServicePort", f"spec.ports.{key}", "int32")


def _port_text(value: object, key: str) -> str:
    """Read a string of a port."""
    if not isinstance(value, str):
        raise _mistyped(value, "ServicePort", f"spec.ports.{key}", "string")
    return value


# JSON field of a port -> attribute, reader
_PORT_FIELDS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "name": ("name", _port_text),
    "protocol": ("protocol", _port_text),
    "appProtocol": ("app_protocol", _port_text),
    "port": ("port", _port_number),
    "targetPort": ("target_port", _target),
    "nodePort": ("node_port", _port_number),
}
# JSON field -> attribute, reader, Go type
_FIELDS: dict[str, tuple[str, Callable[[Any, str, str], Any], str]] = {
    "ports": ("ports", _ports, "[]v1.ServicePort"),
    "selector": ("selector", _labels, "string"),
    "clusterIP": ("cluster_ip", _text, "string"),
    "clusterIPs": ("cluster_ips", _texts, "string"),
    "type": ("type", _text, "v1.ServiceType"),
    "externalIPs": ("external_ips", _texts, "string"),
    "sessionAffinity": ("session_affinity", _text, "v1.ServiceAffinity"),
    "loadBalancerIP": ("load_balancer_ip", _text, "string"),
    "loadBalancerSourceRanges": ("source_ranges", _texts, "string"),
    "externalName": ("external_name", _text, "string"),
    "externalTrafficPolicy": ("external_traffic_policy", _text, "v1.ServiceExternalTrafficPolicy"),
    "healthCheckNodePort": ("health_check_node_port", _number, "int32"),
    "publishNotReadyAddresses": ("publish_not_ready_addresses", _flag, "bool"),
    "sessionAffinityConfig": ("affinity_config", _affinity, "v1.SessionAffinityConfig"),
    "ipFamilies": ("ip_families", _texts, "v1.IPFamily"),
    "ipFamilyPolicy": ("ip_family_policy", _text, "v1.IPFamilyPolicy"),
    "allocateLoadBalancerNodePorts": ("allocate_node_ports", _flag, "bool"),
    "loadBalancerClass": ("load_balancer_class", _text, "string"),
    "internalTrafficPolicy": ("internal_traffic_policy", _text, "v1.ServiceInternalTrafficPolicy"),
    "trafficDistribution": ("traffic_distribution", _text, "string"),
}
# JSON field, attribute, whether it is a pointer, in the API's order; others are left out when zero, pointers when nil
_WRITTEN = (
    ("ports", "ports", False),
    ("selector", "selector", False),
    ("clusterIP", "cluster_ip", False),
    ("clusterIPs", "cluster_ips", False),
    ("type", "type", False),
    ("externalIPs", "external_ips", False),
    ("sessionAffinity", "session_affinity", False),
    ("loadBalancerIP", "load_balancer_ip", False),
    ("loadBalancerSourceRanges", "source_ranges", False),
    ("externalName", "external_name", False),
    ("externalTrafficPolicy", "external_traffic_policy", False),
    ("healthCheckNodePort", "health_check_node_port", False),
    ("publishNotReadyAddresses", "publish_not_ready_addresses", False),
    ("sessionAffinityConfig", "affinity_config", True),
    ("ipFamilies", "ip_families", False),
    ("ipFamilyPolicy", "ip_family_policy", True),
    ("allocateLoadBalancerNodePorts", "allocate_node_ports", True),
    ("loadBalancerClass", "load_balancer_class", True),
    ("internalTrafficPolicy", "internal_traffic_policy", True),
    ("trafficDistribution", "traffic_distribution", True),
)
