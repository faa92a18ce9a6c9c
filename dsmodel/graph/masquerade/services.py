"""What kube-proxy does with traffic to Services: which endpoints it may go to, and whether its source is masqueraded.

Promises the decision of kube-proxy's chains for every kind of target and source, per family, over columns: each
distinct shape is decided once; and that of Cilium in its place, which translates where a client on the node connects,
for the ports of every node alike. What is not said by the sources below is ``unknown``.

What it does not know: which endpoint a flow gets, readiness and terminating endpoints (`dsmodel.graph.paths`), topology
hints and affinity.

Sources: ``pkg/proxy/iptables/proxier.go``, ``pkg/proxy/nftables/proxier.go``, ``pkg/proxy/ipvs/proxier.go`` of the
v1.36 line; ``bpf/bpf_sock.c`` of cilium/cilium.
"""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses.cidr import IPFamily
from dsmodel.errors import InvalidInput
from dsmodel.graph.masquerade.cilium import Cilium
from dsmodel.graph.masquerade.kube_proxy import KubeProxy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["ENDPOINTS", "SOURCES", "TARGETS", "Endpoints", "ServiceFlows", "ServiceTraffic", "Source", "Target"]
__all__ += ["service_proxy", "service_traffic"]


class Target(enum.StrEnum):
    """What of a Service a flow asks for.

    >>> Target("NodePort").is_external
    True
    """

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"
    EXTERNAL_IP = "externalIP"

    @property
    def is_external(self) -> bool:
        """Whether externalTrafficPolicy holds for it."""
        return self is not Target.CLUSTER_IP


class Source(enum.StrEnum):
    """Where a flow to a Service comes from, seen from the node whose kube-proxy handles it.

    >>> Source("localhost").is_node
    True
    """

    POD = "pod"
    NODE = "node"
    LOCALHOST = "localhost"
    EXTERNAL = "external"

    @property
    def is_node(self) -> bool:
        """Whether its address is one of the node."""
        return self in {Source.NODE, Source.LOCALHOST}


class Endpoints(enum.StrEnum):
    """Endpoints a flow may go to.

    >>> Endpoints("none").value
    'none'
    """

    ALL = "all"
    LOCAL = "local"
    NONE = "none"
    UNKNOWN = "unknown"


TARGETS: tuple[Target, ...] = tuple(Target)
"""Target of each code."""

SOURCES: tuple[Source, ...] = tuple(Source)
"""Source of each code."""

ENDPOINTS: tuple[Endpoints, ...] = tuple(Endpoints)
"""Endpoints of each code."""


@dataclass(frozen=True, eq=False)
class ServiceFlows:
    """Flows to Services, one a row.

    Parameters
    ----------
    target : ndarray of uint8, shape (n,)
        Place in `TARGETS`.
    source : ndarray of uint8, shape (n,)
        Place in `SOURCES`.
    external_local : ndarray of bool, shape (n,)
        externalTrafficPolicy is Local.
    internal_local : ndarray of bool, shape (n,)
        internalTrafficPolicy is Local.
    local_endpoints : ndarray of bool, shape (n,)
        Whether the Service has an endpoint on the node.
    hairpin : ndarray of bool, shape (n,)
        Whether the chosen endpoint is the pod that sent the flow.

    Raises
    ------
    InvalidInput
        If the columns differ in length, or a code has no word.
    """

    target: NDArray[np.uint8]
    source: NDArray[np.uint8]
    external_local: NDArray[np.bool_]
    internal_local: NDArray[np.bool_]
    local_endpoints: NDArray[np.bool_]
    hairpin: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Refuse columns that do not belong together."""
        lengths = {len(column) for column in vars(self).values()}
        if len(lengths) > 1:
            raise InvalidInput(f"service flows: columns of {sorted(lengths)} rows; give one value a flow in each")
        for column, words, name in ((self.target, TARGETS, "target"), (self.source, SOURCES, "source")):
            if len(column) and int(column.max()) >= len(words):
                raise InvalidInput(f"service flows: {name} {column.max()} has no word; codes go to {len(words) - 1}")

    @classmethod
    def of(cls, target: str, source: str, *, policy: str = "", local_endpoints: bool = True) -> ServiceFlows:
        """Make one flow from words.

        Parameters
        ----------
        target, source : str
            A `Target` and a `Source`.
        policy : {"", "eTP Local", "iTP Local"}
            The traffic policy that is Local.
        local_endpoints : bool, default True
            Whether the node has an endpoint.

        Returns
        -------
        ServiceFlows
            Of one row.

        Raises
        ------
        InvalidInput
            A word that is none of these.

        Examples
        --------
        >>> len(ServiceFlows.of("NodePort", "external", policy="eTP Local"))
        1
        """
        policies = ("", "eTP Local", "iTP Local")
        if target not in TARGETS or source not in SOURCES or policy not in policies:
            raise InvalidInput(
                f"no such flow: {source!r} to {target!r} with {policy!r}; sources are {', '.join(SOURCES)}, targets "
                f"{', '.join(TARGETS)}, policies {policies}"
            )
        codes = (
            np.array([TARGETS.index(Target(target))], np.uint8),
            np.array([SOURCES.index(Source(source))], np.uint8),
        )
        flags = (policy == "eTP Local", policy == "iTP Local", local_endpoints, False)
        return cls(*codes, *(np.array([flag]) for flag in flags))

    def __len__(self) -> int:
        """Count the flows."""
        return len(self.target)


@dataclass(frozen=True, eq=False)
class ServiceTraffic:
    """What kube-proxy does with each flow.

    Parameters
    ----------
    endpoints : ndarray of uint8, shape (n,)
        Place in `ENDPOINTS`; "none" is dropped or refused.
    marked : ndarray of bool, shape (n,)
        Whether the source is masqueraded.
    rule : ndarray of int16, shape (n,)
        Place in `rules`.
    rules : tuple of str
        What decided, in words.
    """

    endpoints: NDArray[np.uint8]
    marked: NDArray[np.bool_]
    rule: NDArray[np.int16]
    rules: tuple[str, ...]


def service_proxy(masquerades: Iterable[object] | None) -> KubeProxy | Cilium | None:
    """Name what serves Services on the nodes.

    Parameters
    ----------
    masquerades : iterable of object, optional
        What masquerades on the nodes; None where not known.

    Returns
    -------
    KubeProxy, Cilium or None
        Cilium where it replaces kube-proxy; None where neither is there, and another serves or nobody said.

    Raises
    ------
    None
        Every collection has an answer.

    Examples
    --------
    >>> service_proxy([Cilium(), KubeProxy(mode="nftables")]).mode
    'nftables'
    >>> service_proxy([Cilium(kube_proxy_replacement=True)]).component
    'Cilium'
    """
    found = tuple(masquerades or ())
    for each in found:
        if isinstance(each, Cilium) and each.kube_proxy_replacement:
            return each
    return next((each for each in found if isinstance(each, KubeProxy)), None)


def service_traffic(proxy: KubeProxy | Cilium, flows: ServiceFlows, *, family: IPFamily) -> ServiceTraffic:
    """Say which endpoints flows to Services may take, and which of them are marked for masquerading.

    Parameters
    ----------
    proxy : KubeProxy or Cilium
        Its settings; Cilium in place of kube-proxy, asked by pods and processes of the node.
    flows : ServiceFlows
        Where each comes from and what it asks for.
    family : IPFamily
        Of all of them.

    Returns
    -------
    ServiceTraffic
        One answer a flow.

    Raises
    ------
    None
        What the sources do not say is ``unknown``.

    Examples
    --------
    >>> from dsmodel.graph.masquerade.kube_proxy import KubeProxy
    >>> proxy = KubeProxy(cluster_cidrs=("10.244.0.0/16",))
    >>> flow = ServiceFlows.of("ClusterIP", "external")
    >>> [bool(service_traffic(proxy, flow, family=family).marked[0]) for family in IPFamily]
    [True, False]
    """
    answers = [
        _decided(proxy, family, _Shape(target, source, *flags))
        for target in TARGETS
        for source in SOURCES
        for flags in itertools.product((False, True), repeat=4)
    ]
    rules = tuple(dict.fromkeys(rule for _, _, rule in answers))
    code = flows.target.astype(np.int64)
    for column, width in (
        (flows.source, len(SOURCES)),
        (flows.external_local, 2),
        (flows.internal_local, 2),
        (flows.local_endpoints, 2),
        (flows.hairpin, 2),
    ):
        code *= width
        code += column
    endpoints = np.array([ENDPOINTS.index(each) for each, _, _ in answers], np.uint8)
    marked = np.array([mark for _, mark, _ in answers], np.bool_)
    rule = np.array([rules.index(name) for _, _, name in answers], np.int16)
    return ServiceTraffic(endpoints[code], marked[code], rule[code], rules)


_Answer = tuple[Endpoints, bool, str]


@dataclass(frozen=True)
class _Shape:
    """What a decision depends on, one field a column of `ServiceFlows`."""

    target: Target
    source: Source
    external_local: bool
    internal_local: bool
    local_endpoints: bool
    hairpin: bool


def _decided(proxy: KubeProxy | Cilium, family: IPFamily, shape: _Shape) -> _Answer:
    """Decide one shape; a flow to its own pod is marked whatever else holds."""
    if isinstance(proxy, Cilium):
        return _at_the_socket(shape)
    if shape.target is Target.CLUSTER_IP:
        endpoints, marked, rule = _to_cluster_ip(proxy, family, shape.source)
        if shape.internal_local:
            endpoints = Endpoints.LOCAL
    elif shape.source is Source.LOCALHOST and (closed := _closed_on_loopback(proxy, family, shape.target)):
        endpoints, marked, rule = Endpoints.NONE, False, closed
    else:
        endpoints, marked, rule = _from_outside(proxy, family, shape)
    if endpoints is Endpoints.LOCAL and not shape.local_endpoints:
        endpoints = Endpoints.NONE
    if shape.hairpin and endpoints in {Endpoints.ALL, Endpoints.LOCAL}:
        return endpoints, True, "hairpin: the endpoint is the pod that asks"
    return endpoints, marked, rule


def _at_the_socket(shape: _Shape) -> _Answer:
    """Decide a flow that Cilium translates where the client connects, so that nothing has to be masqueraded."""
    if shape.source is Source.EXTERNAL:
        return Endpoints.UNKNOWN, False, "unknown: what Cilium does for clients outside is not modelled"
    if shape.target is Target.EXTERNAL_IP:
        words = "unknown: Cilium leaves external IPs alone at the socket, so that no Service takes over an address"
        return Endpoints.UNKNOWN, False, words
    if shape.target is not Target.CLUSTER_IP and shape.internal_local:
        words = "unknown: internalTrafficPolicy Local for what is asked for from outside, with Cilium"
        return Endpoints.UNKNOWN, False, words
    if not shape.internal_local:
        return Endpoints.ALL, False, "translated at the client's socket"
    if not shape.local_endpoints:
        return Endpoints.NONE, False, "internalTrafficPolicy Local"
    return Endpoints.LOCAL, False, "translated at the client's socket, internalTrafficPolicy Local"


def _to_cluster_ip(proxy: KubeProxy, family: IPFamily, source: Source) -> _Answer:
    """Decide a flow to a cluster IP."""
    if proxy.masquerade_all:
        return Endpoints.ALL, True, "masqueradeAll"
    if not proxy.detector(family).works:
        words = "only a source that is a virtual address" if proxy.mode == "ipvs" else "nothing"
        return Endpoints.ALL, False, f"no CIDR of {family} tells local pods: {words} is marked"
    if source is Source.POD:
        return Endpoints.ALL, False, "from a local pod to a cluster IP"
    return Endpoints.ALL, True, "to a cluster IP from what is no local pod"


def _closed_on_loopback(proxy: KubeProxy, family: IPFamily, target: Target) -> str:
    """Say why a node port is not there on loopback; empty where it is."""
    if target is not Target.NODE_PORT:
        return ""
    if proxy.mode == "nftables":
        return "nftables opens no node ports on loopback"
    return "IPv6 has no route_localnet: no node ports on ::1" if family is IPFamily.IPV6 else ""


def _from_outside(proxy: KubeProxy, family: IPFamily, shape: _Shape) -> _Answer:
    """Decide a flow to a node port, load balancer or external IP."""
    if not shape.external_local:
        return Endpoints.ALL, True, "externalTrafficPolicy Cluster"
    if proxy.mode == "ipvs" and shape.source is not Source.EXTERNAL:
        return Endpoints.UNKNOWN, False, "unknown: externalTrafficPolicy Local from inside, in mode ipvs"
    if shape.source.is_node:
        return Endpoints.ALL, True, "externalTrafficPolicy Local, short-circuited for the node itself"
    if shape.source is Source.POD and proxy.detector(family).works:
        return Endpoints.ALL, False, "externalTrafficPolicy Local, short-circuited for local pods"
    return Endpoints.LOCAL, False, "externalTrafficPolicy Local"
