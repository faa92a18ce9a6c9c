"""Declare every column of every table: name, dtype, Kubernetes field path, unit, null rule, meaning.

The declarations are data. `Table` refuses what they do not allow, frames are built from them, and the documentation
prints them. A column of addresses has the dtype of its family (``uint32`` or fields ``hi``, ``lo``); whether a row
has a value stands in the boolean column its null rule names, never in the address itself. Words of a small vocabulary
(phases, policies, types) are ``uint8`` codes; code 0 means the object does not say.

What it does not know: which rows a cluster may have. That is the business of `dsmodel.cluster.state`.

Sources: kubernetes/api core/v1 types (Node, Pod, Service), v1.20 to v1.36.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import IPV6_DTYPE
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ALLOWED_SOURCES",
    "FAMILIES",
    "FINDINGS",
    "IP_FAMILIES",
    "IP_FAMILY_POLICIES",
    "NODES",
    "NODE_PORTS",
    "NODE_PORT_USES",
    "PHASES",
    "PODS",
    "PROTOCOLS",
    "SERVICES",
    "SERVICE_TYPES",
    "SEVERITIES",
    "SOURCE_FIELDS",
    "TRAFFIC_POLICIES",
    "Column",
    "TableSchema",
]

IPV4_DTYPE = np.dtype(np.uint32)
TEXT = np.dtypes.StringDType()

# code -> Kubernetes' word; 0 is always "the object does not say"
FAMILIES: Mapping[int, str] = {0: "", 4: "IPv4", 6: "IPv6"}
IP_FAMILIES: Mapping[int, str] = {0: "", 4: "IPv4", 6: "IPv6", 46: "IPv4,IPv6", 64: "IPv6,IPv4"}
IP_FAMILY_POLICIES: Mapping[int, str] = {0: "", 1: "SingleStack", 2: "PreferDualStack", 3: "RequireDualStack"}
PHASES: Mapping[int, str] = {0: "", 1: "Pending", 2: "Running", 3: "Succeeded", 4: "Failed", 5: "Unknown"}
SERVICE_TYPES: Mapping[int, str] = {0: "", 1: "ClusterIP", 2: "NodePort", 3: "LoadBalancer", 4: "ExternalName"}
TRAFFIC_POLICIES: Mapping[int, str] = {0: "", 1: "Cluster", 2: "Local"}
PROTOCOLS: Mapping[int, str] = {0: "", 1: "TCP", 2: "UDP", 3: "SCTP"}
NODE_PORT_USES: Mapping[int, str] = {0: "", 1: "node port", 2: "health check"}
SOURCE_FIELDS: Mapping[int, str] = {
    0: "",
    1: "spec.loadBalancerSourceRanges",
    2: "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]",
}
SEVERITIES: Mapping[int, str] = {0: "", 1: "info", 2: "warning", 3: "error", 4: "fatal"}


@dataclass(frozen=True)
class Column:
    """One column's promise.

    Parameters
    ----------
    name : str
        Snake-cased Kubernetes word.
    dtype : numpy.dtype
        What the array holds; an address column's dtype is its family.
    field : str
        Kubernetes field path the values come from; empty for what this model derives.
    meaning : str
        One line.
    unit : str, default ""
        Empty for addresses, words and plain counts.
    null : str, default ""
        What missing looks like: the name of the boolean column that says so, or the value in words.
    words : mapping of int to str
        Code to word; empty for columns that are no codes.
    prefix_length : str, default ""
        For the base address of a CIDR, the column with its prefix length.
    default : object
        The value of rows that do not give one.
    """

    name: str
    dtype: np.dtype[Any]
    field: str
    meaning: str
    unit: str = ""
    null: str = ""
    words: Mapping[int, str] = dataclasses.field(default_factory=dict)
    prefix_length: str = ""
    default: object = None

    @property
    def is_address(self) -> bool:
        """Whether the values are addresses of one family."""
        return self.dtype == IPV6_DTYPE or (self.dtype == IPV4_DTYPE and self.null.startswith("has_"))

    @property
    def is_text(self) -> bool:
        """Whether the values are text."""
        return isinstance(self.dtype, np.dtypes.StringDType)


@dataclass(frozen=True)
class TableSchema:
    """The columns of one table, in the order a frame shows them.

    Parameters
    ----------
    name : str
        Plural of the object.
    columns : tuple of Column
        Every column a table of this kind has.
    """

    name: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return the declaration of one column.

        Parameters
        ----------
        name : str
            A declared name.

        Returns
        -------
        Column
            Its promise.

        Raises
        ------
        InvalidInput
            If this table has no such column; the message lists those it has.

        Examples
        --------
        >>> NODES.column("pod_cidr_ipv4").field
        'spec.podCIDRs[*]'
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise InvalidInput(f"table {self.name} has no column {name!r}; it has {', '.join(self.names)}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process by name, so that a declared schema stays the same one there."""
        declared = globals().get(self.name.upper())
        return (_declared, (self.name,)) if declared is self else (TableSchema, (self.name, self.columns))


def _declared(name: str) -> TableSchema:
    """Return the schema of a name."""
    schema: TableSchema = globals()[name.upper()]
    return schema


def _text(name: str, path: str, meaning: str) -> Column:
    return Column(name, TEXT, path, meaning, null="empty text", default="")


def _flag(name: str, path: str, meaning: str, *, default: bool = False) -> Column:
    return Column(name, np.dtype(np.bool_), path, meaning, null="never", default=default)


def _code(name: str, path: str, meaning: str, *, words: Mapping[int, str]) -> Column:
    return Column(name, np.dtype(np.uint8), path, meaning, null="code 0", words=words, default=0)


def _address(name: str, path: str, meaning: str) -> tuple[Column, Column]:
    """Two columns: the address, its dtype told by the end of its name, and whether the row has one."""
    dtype, zero = (IPV4_DTYPE, 0) if name.endswith("ipv4") else (IPV6_DTYPE, (0, 0))
    return (
        Column(name, dtype, path, meaning, null=f"has_{name}", default=zero),
        _flag(f"has_{name}", path, f"whether {name} is set"),
    )


def _block(name: str, path: str, meaning: str) -> tuple[Column, Column, Column]:
    """Three columns: base address of a CIDR, its prefix length, whether the row has one."""
    base, present = _address(name, path, meaning)
    mask = Column(
        f"{name}_mask", np.dtype(np.uint8), path, f"prefix length of {name}", unit="bits", null="0", default=0
    )
    base = Column(base.name, base.dtype, path, meaning, null=base.null, prefix_length=mask.name, default=base.default)
    return base, mask, present


def _row(name: str, path: str, meaning: str) -> Column:
    """One column: a row of another table."""
    return Column(name, np.dtype(np.int32), path, meaning, unit="row", null="-1", default=-1)


NODES = TableSchema(
    "nodes",
    (
        _text("name", "metadata.name", "name of the node"),
        *_block("pod_cidr_ipv4", "spec.podCIDRs[*]", "the node's IPv4 block for pods"),
        *_block("pod_cidr_ipv6", "spec.podCIDRs[*]", "the node's IPv6 block for pods"),
        _code("primary_ip_family", "spec.podCIDRs[0]", "family of the first podCIDR", words=FAMILIES),
        Column(
            "allocatable_pods",
            np.dtype(np.uint32),
            "status.allocatable.pods",
            "pods the kubelet admits; where 0, the configured max_pods holds",
            unit="pods",
            null="0",
            default=0,
        ),
        _text("zone", "metadata.labels[topology.kubernetes.io/zone]", "failure zone"),
        _text("node_pool", "metadata.labels[*nodepool*]", "pool of like machines, as the provider names it"),
        *_address("internal_ipv4", "status.addresses[type=InternalIP]", "first IPv4 InternalIP"),
        *_address("internal_ipv6", "status.addresses[type=InternalIP]", "first IPv6 InternalIP"),
        _flag("ready", "status.conditions[type=Ready].status", "the kubelet reports ready", default=True),
        _flag("unschedulable", "spec.unschedulable", "cordoned"),
        _row("labels", "metadata.labels", "place of the labels in the cluster's node_labels; -1 where not known"),
    ),
)

PODS = TableSchema(
    "pods",
    (
        _text("namespace", "metadata.namespace", "namespace"),
        _text("name", "metadata.name", "name of the pod; empty for pods made from counts"),
        _row("node", "spec.nodeName", "row of the node in the nodes table"),
        _flag("host_network", "spec.hostNetwork", "shares the node's addresses"),
        _code("phase", "status.phase", "lifecycle phase", words=PHASES),
        _flag("holds_address", "", "its addresses count against the node's block: neither host network nor finished"),
        *_address("pod_ipv4", "status.podIPs[*].ip", "the pod's IPv4 address"),
        *_address("pod_ipv6", "status.podIPs[*].ip", "the pod's IPv6 address"),
        _code("primary_ip_family", "status.podIP", "family of the first pod address", words=FAMILIES),
        _row("labels", "metadata.labels", "place of the labels in the cluster's pod_labels; -1 where not known"),
    ),
)

SERVICES = TableSchema(
    "services",
    (
        _text("namespace", "metadata.namespace", "namespace"),
        _text("name", "metadata.name", "name of the service; empty for services made from counts"),
        _code("type", "spec.type", "service type", words=SERVICE_TYPES),
        _code("ip_family_policy", "spec.ipFamilyPolicy", "family policy", words=IP_FAMILY_POLICIES),
        _code("ip_families", "spec.ipFamilies", "families in order, the primary first", words=IP_FAMILIES),
        _flag("headless", "spec.clusterIP", 'clusterIP is "None"'),
        *_address("cluster_ipv4", "spec.clusterIPs[*]", "the service's IPv4 cluster IP"),
        *_address("cluster_ipv6", "spec.clusterIPs[*]", "the service's IPv6 cluster IP"),
        _code("primary_ip_family", "spec.clusterIPs[0]", "family of the first cluster IP", words=FAMILIES),
        Column(
            "node_ports",
            np.dtype(np.uint16),
            "spec.ports[*].nodePort",
            "different node ports held, the health-check port not among them",
            unit="ports",
            null="never",
            default=0,
        ),
        Column(
            "health_check_node_port",
            np.dtype(np.uint16),
            "spec.healthCheckNodePort",
            "port for the health checks of a load balancer",
            unit="port number",
            null="0",
            default=0,
        ),
        _code(
            "external_traffic_policy",
            "spec.externalTrafficPolicy",
            "policy for outside traffic",
            words=TRAFFIC_POLICIES,
        ),
        _text("load_balancer_class", "spec.loadBalancerClass", "who serves the load balancer"),
        *_address("external_ipv4", "status.loadBalancer.ingress[*].ip", "first IPv4 address of the load balancer"),
        *_address("external_ipv6", "status.loadBalancer.ingress[*].ip", "first IPv6 address of the load balancer"),
    ),
)

NODE_PORTS = TableSchema(
    "node_ports",
    (
        _row("service", "metadata.name", "row of the owner in the services table"),
        Column(
            "node_port",
            np.dtype(np.uint16),
            "spec.ports[*].nodePort",
            "a port number held on every node, one row for each service and number",
            unit="port number",
            null="never",
            default=0,
        ),
        _code("use", "spec.ports[*].nodePort, spec.healthCheckNodePort", "what holds the port", words=NODE_PORT_USES),
    ),
)

ALLOWED_SOURCES = TableSchema(
    "allowed_sources",
    (
        _row("service", "metadata.name", "row of the Service in the services table; one row for each range"),
        *_block("source_ipv4", "spec.loadBalancerSourceRanges[*]", "IPv4 clients its load balancer lets in"),
        *_block("source_ipv6", "spec.loadBalancerSourceRanges[*]", "IPv6 clients its load balancer lets in"),
        _code("field", "", "where the range stands; the annotation counts where spec has none", words=SOURCE_FIELDS),
    ),
)

FINDINGS = TableSchema(
    "findings",
    (
        _code("severity", "", "how bad it is", words=SEVERITIES),
        _text("rule", "", "short name of the rule that is broken"),
        _text("object", "", "kind and name of the object: Node/worker-1, Pod/default/web-0"),
        _text("message", "", "what is wrong, the value, and the way out"),
        _text("file", "", "file the object came from; empty when it came from no file"),
    ),
)
