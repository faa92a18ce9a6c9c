"""The parts of Kubernetes objects that addressing needs, as typed partial structs.

One struct, `DumpObject`, stands for every kind: the fields of Pods, which are most of any dump, are decoded at once;
the fields of the rarer kinds stay raw bytes (`msgspec.Raw`, a view of the file) until a reader of that kind decodes
them, so that a wrong type is named with its field and costs one object. `PodObject` has a Pod's typed fields alone and
refuses every other kind: runs of plain Pods are decoded with it, which is quicker. Everything else is skipped without
building a Python object. The content of a Secret is never decoded: ``data`` is raw, and only the readers of known
ConfigMaps open it.

What it does not know: which objects belong together. A raw field is only valid while its batch is being read.

Sources: kubernetes/api core/v1, discovery/v1, networking/v1 and events/v1 types, v1.20 to v1.36.
"""

from __future__ import annotations

import functools
from typing import Any, Final, Literal, TypedDict, TypeVar

import msgspec
from msgspec import Raw, Struct, field

__all__ = [
    "ABSENT",
    "CONFIG_DATA",
    "Condition",
    "Container",
    "DumpDocument",
    "DumpObject",
    "Identity",
    "Ingress",
    "Metadata",
    "NodeAddress",
    "ObjectReference",
    "ObjectSpec",
    "ObjectStatus",
    "PodIP",
    "PodMetadata",
    "PodObject",
    "PodSpec",
    "PodStatus",
    "RawDocument",
    "ServicePort",
    "Variable",
    "decode_field",
]

# a raw field the object does not have: this very object, which reads as null does
ABSENT: Final = Raw(b"null")

Value = TypeVar("Value")


class PodMetadata(Struct, gc=False):
    """``metadata`` of a Pod."""

    name: str = ""
    namespace: str = ""
    labels: Raw = ABSENT
    annotations: Raw = ABSENT


class Metadata(PodMetadata, gc=False):
    """``metadata`` of any object."""

    deletion_timestamp: Raw = field(default=ABSENT, name="deletionTimestamp")


class PodIP(Struct, gc=False):
    """One entry of a Pod's ``status.podIPs``."""

    ip: str = ""


class PodSpec(Struct, gc=False):
    """``spec`` of a Pod."""

    node_name: str | None = field(default=None, name="nodeName")
    host_network: bool | None = field(default=None, name="hostNetwork")


class ObjectSpec(PodSpec, gc=False):
    """``spec``: a Pod's fields typed, those of Nodes, Services, ServiceCIDRs and IPAddresses raw."""

    containers: Raw = ABSENT
    pod_cidr: Raw = field(default=ABSENT, name="podCIDR")
    pod_cidrs: Raw = field(default=ABSENT, name="podCIDRs")
    unschedulable: Raw = ABSENT
    type: Raw = ABSENT
    cluster_ip: Raw = field(default=ABSENT, name="clusterIP")
    cluster_ips: Raw = field(default=ABSENT, name="clusterIPs")
    ip_family: Raw = field(default=ABSENT, name="ipFamily")
    ip_families: Raw = field(default=ABSENT, name="ipFamilies")
    ip_family_policy: Raw = field(default=ABSENT, name="ipFamilyPolicy")
    ports: Raw = ABSENT
    health_check_node_port: Raw = field(default=ABSENT, name="healthCheckNodePort")
    external_traffic_policy: Raw = field(default=ABSENT, name="externalTrafficPolicy")
    load_balancer_class: Raw = field(default=ABSENT, name="loadBalancerClass")
    load_balancer_source_ranges: Raw = field(default=ABSENT, name="loadBalancerSourceRanges")
    selector: Raw = ABSENT
    internal_traffic_policy: Raw = field(default=ABSENT, name="internalTrafficPolicy")
    external_ips: Raw = field(default=ABSENT, name="externalIPs")
    cidrs: Raw = ABSENT
    parent_ref: Raw = field(default=ABSENT, name="parentRef")


class PodStatus(Struct, gc=False):
    """``status`` of a Pod."""

    phase: str | None = None
    pod_ip: str | None = field(default="", name="podIP")
    pod_ips: list[PodIP] | None = field(default=None, name="podIPs")


class ObjectStatus(PodStatus, gc=False):
    """``status``: a Pod's fields typed, those of Nodes and Services raw."""

    addresses: Raw = ABSENT
    allocatable: Raw = ABSENT
    conditions: Raw = ABSENT
    node_info: Raw = field(default=ABSENT, name="nodeInfo")
    load_balancer: Raw = field(default=ABSENT, name="loadBalancer")


class KnownPodStatus(PodStatus, gc=False):
    """``status`` of a Pod in a phase that the API has; one text for each phase."""

    phase: Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"] | None = None


class PodObject(Struct, gc=False):
    """A Pod that says so, and no other object."""

    kind: Literal["Pod"]
    api_version: Literal["v1"] = field(name="apiVersion")
    metadata: PodMetadata = field(default_factory=PodMetadata)
    spec: PodSpec = field(default_factory=PodSpec)
    status: KnownPodStatus = field(default_factory=KnownPodStatus)


class DumpObject(Struct, gc=False):
    """An object of any kind, as far as addressing needs it."""

    kind: str = ""
    api_version: str = field(default="", name="apiVersion")
    metadata: Metadata = field(default_factory=Metadata)
    spec: ObjectSpec = field(default_factory=ObjectSpec)
    status: ObjectStatus = field(default_factory=ObjectStatus)
    data: Raw = ABSENT
    items: Raw = ABSENT
    reason: Raw = ABSENT
    message: Raw = ABSENT
    note: Raw = ABSENT
    involved_object: Raw = field(default=ABSENT, name="involvedObject")
    regarding: Raw = ABSENT
    address_type: Raw = field(default=ABSENT, name="addressType")
    endpoints: Raw = ABSENT
    ports: Raw = ABSENT
    subsets: Raw = ABSENT


class DumpDocument(Struct, gc=False):
    """A ``List`` with its objects decoded; `items` is None where the document is one object."""

    kind: str = ""
    api_version: str = field(default="", name="apiVersion")
    items: list[DumpObject] | None = None


class RawDocument(Struct, gc=False):
    """A ``List`` whose objects are still raw, for decoding them one at a time."""

    kind: Raw = ABSENT
    api_version: Raw = field(default=ABSENT, name="apiVersion")
    items: Raw = ABSENT


class Identity(Struct, gc=False):
    """What names an object that could not be decoded; every part may be of any type."""

    kind: Raw = ABSENT
    api_version: Raw = field(default=ABSENT, name="apiVersion")
    metadata: Raw = ABSENT


class NodeAddress(Struct, gc=False):
    """One entry of a Node's ``status.addresses``."""

    type: str = ""
    address: str = ""


class Condition(Struct, gc=False):
    """One entry of ``status.conditions``."""

    type: str = ""
    status: str = ""


class ServicePort(TypedDict, total=False):
    """One entry of a Service's ``spec.ports``."""

    name: str | None
    port: int | None
    protocol: str | None
    nodePort: int | None


class Ingress(TypedDict, total=False):
    """One entry of a Service's ``status.loadBalancer.ingress``."""

    ip: str | None
    ipMode: str | None


class Variable(Struct, gc=False):
    """One entry of a container's ``env``; where the value comes from a Secret or a field, there is none."""

    name: str = ""
    value: str | None = None


class Container(Struct, gc=False):
    """One container of a Pod of the control plane, or of an agent of the network."""

    name: str = ""
    image: str = ""
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[Variable] | None = None


class ObjectReference(Struct, gc=False):
    """What an Event or an IPAddress is about."""

    kind: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""


# ConfigMap.data of the known configuration maps
CONFIG_DATA = dict[str, str]


def decode_field(raw: Raw, kind: Any, path: str, *, default: Value) -> Any | Value:
    """Decode one raw field.

    Parameters
    ----------
    raw : msgspec.Raw
        The field's bytes, or `ABSENT`.
    kind : type
        What it should be.
    path : str
        Kubernetes field path, for the message.
    default : object
        What an absent field, or a null, stands for.

    Returns
    -------
    object
        The value.

    Raises
    ------
    msgspec.ValidationError
        If the field has another type; the message names the path.

    Examples
    --------
    >>> decode_field(Raw(b'["10.244.0.0/24"]'), list[str], "spec.podCIDRs", default=[])
    ['10.244.0.0/24']
    >>> decode_field(Raw(b'7'), list[str], "spec.podCIDRs", default=[])
    Traceback (most recent call last):
    msgspec.ValidationError: spec.podCIDRs: Expected `array | null`, got `int`
    """
    if raw is ABSENT:
        return default
    try:
        value = _decoder(kind).decode(raw)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"{path}: {error}") from None
    return default if value is None else value


@functools.cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """Build the decoder of a type once."""
    return msgspec.json.Decoder(kind | None)
