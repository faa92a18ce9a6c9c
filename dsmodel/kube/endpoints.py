"""Endpoints of a Service, by family: EndpointSlices, the legacy Endpoints object, and the answers of cluster DNS.

Objects go in and come out as the API's JSON, as `ControlPlane` stores them. A Service has one set of slices for each of
its families, and a pod is in the set of each family it has an address of; the legacy object knows the primary family
only, which is why a client of it never sees the other one.

Promises: types, members, readiness, ports and number of slices are those of a controller that sees all pods at once.

Not known here: how slices are refilled when pods come and go (they are filled, never rebalanced, so there may be more),
topology hints, names of slices (the API server draws them), mirrored Endpoints of Services without selector.

Sources: ``pkg/controller/endpoint/endpoints_controller.go``, ``pkg/controller/endpointslice`` of v1.20,
``staging/src/k8s.io/endpointslice`` (``getAddressTypesForService``); the CoreDNS plugin *kubernetes*. Rules are read
from these sources, not recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.cidr import IPFamily, format_address
from dsmodel.errors import InvalidInput
from dsmodel.kube.syntax import read_ip
from dsmodel.kube.versions import KubeVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MAX_ENDPOINTS_PER_SLICE",
    "address_types",
    "dns_answers",
    "endpoint_slices",
    "legacy_endpoints",
    "slice_counts",
]

MAX_ENDPOINTS_PER_SLICE = 100
"""Default of ``--max-endpoints-per-slice``, which may be 1 to 1000."""

_LEGACY_LIMIT = 1000


def address_types(service: Mapping[str, Any]) -> tuple[IPFamily, ...]:
    """Name the families that a Service has EndpointSlices for.

    Parameters
    ----------
    service : mapping
        The stored Service.

    Returns
    -------
    tuple of IPFamily
        ``ipFamilies``; where those are not stored, the family of the cluster IP, and both for a headless Service. None
        for ExternalName.

    Raises
    ------
    None
        Every Service has an answer.

    Examples
    --------
    >>> [str(family) for family in address_types({"spec": {"clusterIP": "None", "ipFamilies": ["IPv6"]}})]
    ['IPv6']
    >>> [str(family) for family in address_types({"spec": {"clusterIP": "None"}})]  # stored with the gate off
    ['IPv4', 'IPv6']
    """
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return ()
    if spec.get("ipFamilies"):
        return tuple(IPFamily(family) for family in spec["ipFamilies"])
    address = read_ip(spec.get("clusterIP") or "")
    return (IPFamily.IPV4, IPFamily.IPV6) if address is None else (address[0],)


def endpoint_slices(
    service: Mapping[str, Any],
    pods: Iterable[Mapping[str, Any]],
    *,
    kube_version: str | KubeVersion,
    max_endpoints_per_slice: int = MAX_ENDPOINTS_PER_SLICE,
) -> list[dict[str, Any]]:
    """Build the EndpointSlices of a Service.

    Parameters
    ----------
    service : mapping
        The stored Service.
    pods : iterable of mapping
        Pods of the cluster; those of other namespaces or labels are passed over.
    kube_version : str or KubeVersion
        Version of the controller.
    max_endpoints_per_slice : int, default 100
        The controller's flag, 1 to 1000.

    Returns
    -------
    list of dict
        By family in the order of ``ipFamilies``; a family without endpoints has one empty slice. Nothing for a Service
        without selector and for ExternalName: their endpoints are the user's.

    Raises
    ------
    InvalidInput
        If ``max_endpoints_per_slice`` is not 1 to 1000.

    Examples
    --------
    >>> service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ipFamilies": ["IPv4", "IPv6"]}}
    >>> pod = {"metadata": {"name": "p", "labels": {"app": "web"}}, "status": {"podIPs": [{"ip": "10.1.0.7"}]}}
    >>> for found in endpoint_slices(service, [pod], kube_version="1.36"):
    ...     print(found["addressType"], [endpoint["addresses"] for endpoint in found["endpoints"]])
    IPv4 [['10.1.0.7']]
    IPv6 []
    """
    if not 1 <= max_endpoints_per_slice <= _LEGACY_LIMIT:
        raise InvalidInput(f"max_endpoints_per_slice={max_endpoints_per_slice}: the flag takes 1 to {_LEGACY_LIMIT}")
    version = KubeVersion(kube_version)
    if not (service.get("spec") or {}).get("selector"):
        return []
    shows_terminating = version.rule("endpoint_slices_show_terminating")
    members = [m for m in _members(service, pods) if shows_terminating or m.publish or not m.terminating]
    slices = []
    for family in address_types(service):
        groups = _by_ports(service, members, family)
        if not groups:
            slices.append(_slice(service, family, ports=[], endpoints=[]))
        for ports, held in groups:
            endpoints = [_endpoint(member, family, conditions=shows_terminating) for member in held]
            slices += [
                _slice(service, family, ports=ports, endpoints=endpoints[first : first + max_endpoints_per_slice])
                for first in range(0, len(endpoints), max_endpoints_per_slice)
            ]
    return slices


def legacy_endpoints(
    service: Mapping[str, Any], pods: Iterable[Mapping[str, Any]], *, kube_version: str | KubeVersion
) -> dict[str, Any] | None:
    """Build the legacy Endpoints object of a Service, which knows one family.

    Parameters
    ----------
    service : mapping
        The stored Service.
    pods : iterable of mapping
        Pods of the cluster; those of other namespaces or labels are passed over.
    kube_version : str or KubeVersion
        Version of the controller: cut at 1,000 addresses since 1.22, only marked by 1.21.

    Returns
    -------
    dict or None
        The object; addresses are of the first of ``ipFamilies``, pods without one are left out. None where the
        controller does not write one: no selector.

    Raises
    ------
    None
        Every Service has an answer.

    Examples
    --------
    >>> service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ipFamilies": ["IPv6", "IPv4"]}}
    >>> pod = {"metadata": {"name": "p", "labels": {"app": "web"}}, "status": {"podIPs": [{"ip": "10.1.0.7"}]}}
    >>> legacy_endpoints(service, [pod], kube_version="1.36")["subsets"]  # the pod has no IPv6 address
    []
    """
    version = KubeVersion(kube_version)
    spec = service.get("spec") or {}
    if not spec.get("selector"):
        return None
    publish = bool(spec.get("publishNotReadyAddresses"))
    members = [member for member in _members(service, pods) if publish or not member.terminating]
    families = address_types(service)
    each_its_own = not spec.get("ipFamilies") and len(families) > 1  # nothing stored, headless: the pod's own primary
    over_capacity = version.rule("legacy_endpoints_over_capacity")
    room = _LEGACY_LIMIT if over_capacity == "truncated" else len(members)
    subsets = []
    total = 0
    for family in families if each_its_own else families[:1]:
        for ports, group in _by_ports(service, members, family, primary_only=each_its_own):
            held = sorted(group, key=lambda member: not (member.ready or publish))
            total += len(held)
            if room:
                subsets.append(_subset(held[:room], family, ports=ports, publish=publish))
            room = max(0, room - len(held))
    metadata: dict[str, Any] = {"name": _name(service), "namespace": _namespace(service)}
    if over_capacity and total > _LEGACY_LIMIT:
        metadata["annotations"] = {"endpoints.kubernetes.io/over-capacity": over_capacity}
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}


def dns_answers(
    service: Mapping[str, Any], pods: Iterable[Mapping[str, Any]] = (), *, kube_version: str | KubeVersion
) -> dict[str, list[str]]:
    """Say what cluster DNS answers for the name of a Service.

    Parameters
    ----------
    service : mapping
        The stored Service.
    pods : iterable of mapping
        Pods of the cluster; only a headless Service needs them.
    kube_version : str or KubeVersion
        Version of the controllers.

    Returns
    -------
    dict of str to list of str
        ``A`` and ``AAAA``, each possibly empty, or ``CNAME`` for ExternalName. The order within a type means nothing.

    Raises
    ------
    None
        Every Service has an answer.

    Examples
    --------
    >>> dns_answers({"spec": {"clusterIPs": ["10.96.0.7", "fd00::7"]}}, kube_version="1.36")
    {'A': ['10.96.0.7'], 'AAAA': ['fd00::7']}
    """
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return {"CNAME": [spec.get("externalName") or ""]}
    if spec.get("clusterIP") == "None" or spec.get("clusterIPs") == ["None"]:
        slices = endpoint_slices(service, pods, kube_version=kube_version)
        endpoints = [endpoint for found in slices for endpoint in found["endpoints"]]
        texts = [endpoint["addresses"][0] for endpoint in endpoints if endpoint["conditions"]["ready"]]
    else:
        texts = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    answers: dict[str, list[str]] = {"A": [], "AAAA": []}
    for text in texts:
        address = read_ip(text)
        if address is not None:
            answers["A" if address[0] == IPFamily.IPV4 else "AAAA"].append(format_address(*address))
    return answers


def slice_counts(endpoints: ArrayLike, *, max_endpoints_per_slice: int = MAX_ENDPOINTS_PER_SLICE) -> NDArray[np.int64]:
    """Count the slices that one family of each Service takes when they are filled from empty.

    Parameters
    ----------
    endpoints : array-like of int, shape (n,)
        Endpoints with an address of the family.
    max_endpoints_per_slice : int, default 100
        The controller's flag.

    Returns
    -------
    ndarray of int64, shape (n,)
        At least one each: a family without endpoints keeps an empty slice.

    Raises
    ------
    InvalidInput
        If ``max_endpoints_per_slice`` is not 1 to 1000.

    Examples
    --------
    >>> slice_counts([0, 1, 100, 101]).tolist()
    [1, 1, 1, 2]
    """
    if not 1 <= max_endpoints_per_slice <= _LEGACY_LIMIT:
        raise InvalidInput(f"max_endpoints_per_slice={max_endpoints_per_slice}: the flag takes 1 to {_LEGACY_LIMIT}")
    return np.maximum(1, -(-np.asarray(endpoints, np.int64) // max_endpoints_per_slice))


@dataclass(frozen=True, slots=True)
class _Member:
    """A pod that a Service selects."""

    pod: Mapping[str, Any]
    ips: tuple[tuple[IPFamily, int], ...]
    ready: bool
    terminating: bool
    publish: bool

    def address(self, family: IPFamily) -> str:
        """Give the first address of a family; empty where there is none."""
        return next((format_address(*ip) for ip in self.ips if ip[0] == family), "")

    @property
    def target(self) -> dict[str, str]:
        """Say which pod this is."""
        return {"kind": "Pod", "name": _name(self.pod), "namespace": _namespace(self.pod)}

    @property
    def node(self) -> str:
        """Name the pod's node."""
        return (self.pod.get("spec") or {}).get("nodeName") or ""


def _members(service: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> Iterator[_Member]:
    """Find the pods that are selected, have an address and have not finished."""
    spec = service["spec"]
    wanted = spec["selector"].items()
    for pod in pods:
        metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
        if _namespace(pod) != _namespace(service) or not wanted <= (metadata.get("labels") or {}).items():
            continue
        texts = [entry.get("ip") for entry in status.get("podIPs") or ()] or [status.get("podIP")]
        ips = tuple(ip for ip in (read_ip(text) for text in texts if text) if ip is not None)
        if not ips or status.get("phase") in {"Succeeded", "Failed"}:
            continue
        conditions = {item.get("type"): item.get("status") for item in status.get("conditions") or ()}
        yield _Member(
            pod,
            ips,
            ready=conditions.get("Ready") == "True",
            terminating=bool(metadata.get("deletionTimestamp")),
            publish=bool(spec.get("publishNotReadyAddresses")),
        )


def _by_ports(
    service: Mapping[str, Any], members: Iterable[_Member], family: IPFamily, *, primary_only: bool = False
) -> list[tuple[list[dict[str, Any]], list[_Member]]]:
    """Group the pods of a family by the ports they resolve the Service's ports to."""
    groups: dict[str, tuple[list[dict[str, Any]], list[_Member]]] = {}
    for member in members:
        if not member.address(family) or (primary_only and member.ips[0][0] != family):
            continue
        ports = _ports(service, member.pod)
        groups.setdefault(repr(ports), (ports, []))[1].append(member)
    return list(groups.values())


def _ports(service: Mapping[str, Any], pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Resolve a Service's ports for a pod; a named port that the pod does not have is left out."""
    ports = []
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort") or port["port"]
        protocol = port.get("protocol") or "TCP"
        number = target if isinstance(target, int) else _container_port(pod, target, protocol)
        if number is not None:
            extra = {"appProtocol": port["appProtocol"]} if port.get("appProtocol") else {}
            ports.append({"name": port.get("name") or "", "port": number, "protocol": protocol, **extra})
    return ports


def _container_port(pod: Mapping[str, Any], name: str, protocol: str) -> int | None:
    """Find the number of a named container port."""
    for container in (pod.get("spec") or {}).get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name") == name and (port.get("protocol") or "TCP") == protocol:
                return int(port["containerPort"])
    return None


def _slice(
    service: Mapping[str, Any], family: IPFamily, *, ports: list[dict[str, Any]], endpoints: list[dict[str, Any]]
) -> dict[str, Any]:
    labels = {
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": _name(service),
    }
    metadata = {"generateName": f"{_name(service)}-", "namespace": _namespace(service), "labels": labels}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": str(family),
        "endpoints": endpoints,
        "ports": ports,
    }


def _endpoint(member: _Member, family: IPFamily, *, conditions: bool) -> dict[str, Any]:
    state = {"ready": member.publish or (member.ready and not member.terminating)}
    if conditions:
        state |= {"serving": member.ready, "terminating": member.terminating}
    node = {"nodeName": member.node} if member.node else {}
    return {"addresses": [member.address(family)], "conditions": state, **node, "targetRef": member.target}


def _subset(members: list[_Member], family: IPFamily, *, ports: list[dict[str, Any]], publish: bool) -> dict[str, Any]:
    parts: dict[str, list[dict[str, Any]]] = {"addresses": [], "notReadyAddresses": []}
    for member in members:
        node = {"nodeName": member.node} if member.node else {}
        entry = {"ip": member.address(family), **node, "targetRef": member.target}
        parts["addresses" if member.ready or publish else "notReadyAddresses"].append(entry)
    return {**{name: held for name, held in parts.items() if held}, "ports": ports}


def _name(thing: Mapping[str, Any]) -> str:
    return (thing.get("metadata") or {}).get("name") or ""


def _namespace(thing: Mapping[str, Any]) -> str:
    return (thing.get("metadata") or {}).get("namespace") or "default"
