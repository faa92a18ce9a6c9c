"""The traffic graph for networkx, and what graph algorithms say about it.

`to_networkx` builds a MultiDiGraph of resolved paths; `validate` holds it to the contract of `dsmodel.graph.edges`.
`single_points_of_failure` names what every path of a family passes, and says, by resolving again without it, whether
something takes its place; `maximum_connections` is a flow through the limits of nodes, addresses and translators, with
the cut that binds.

What it does not know: bandwidth, and connections between pods.

Sources: networkx 3.6 (``immediate_dominators`` leaves the start out since 3.6; flows take no multigraphs, and an edge
without capacity is infinite); ``net/netfilter/nf_nat_core.c``; ip_local_port_range of Linux.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import networkx as nx
import numpy as np
import pandas as pd

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.errors import InconsistentState, InvalidInput
from dsmodel.graph.edges import Kind, Role, problems_of
from dsmodel.graph.failures import failed, losses
from dsmodel.graph.paths.resolution import Paths, resolve
from dsmodel.graph.snat import constant
from dsmodel.graph.ways import Detail, Ways, ways_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.network import Network

__all__ = ["EPHEMERAL_PORTS", "MaximumConnections", "maximum_connections", "single_points_of_failure", "to_networkx"]
__all__ += ["validate"]

EPHEMERAL_PORTS: Final = constant("linux", "ephemeral ports")
"""Connections that one pod can open to one destination: ip_local_port_range 32768 to 60999."""

_START: Final = ("start",)
_MANY_EDGES: Final = 50_000
_SINGLE: Final = (Kind.NODE, Kind.GATEWAY, Kind.SNAT_IP, Kind.CLOUD_NAT, Kind.NAT64)


def to_networkx(
    cluster: Cluster | Paths,
    *,
    detail: Detail = "workloads",
    network: Network | None = None,
    destinations: Any = "internet",
) -> nx.MultiDiGraph[Any]:
    """Build the graph of resolved paths.

    Parameters
    ----------
    cluster : Cluster or Paths
        A cluster to resolve, or paths that were resolved.
    detail : {"nodes", "workloads", "pods"}
        What the pods' end is made of; see `dsmodel.graph.ways`.
    network : Network, optional
        What decides beside the cluster; what its objects show if left out. Paths have theirs.
    destinations : str, Destination, mapping or sequence of these, default "internet"
        Where to. Paths have theirs.

    Returns
    -------
    networkx.MultiDiGraph
        Attributes as `dsmodel.graph.edges` declares them.

    Raises
    ------
    InvalidInput
        Another word for the detail, or a destination that is none.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import Network
    >>> network = Network(masquerades=()).replacing(border=(), routed=["10.244.0.0/16"], default_route=True)
    >>> graph = to_networkx(kubeadm_dual_stack(), network=network, destinations="10.9.0.1")
    >>> sorted(str(kind) for kind in set(nx.get_node_attributes(graph, "kind").values()))
    ['dst', 'pool', 'workload', 'world']
    """
    paths = cluster if isinstance(cluster, Paths) else resolve(cluster, destinations, network=network)
    ways = ways_of(paths, detail=detail)
    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph()
    if len(ways.edges) < _MANY_EDGES:
        return _filled(graph, ways)
    # the collector would walk millions of young dictionaries again and again, none of which is garbage
    collects = gc.isenabled()
    gc.disable()
    try:
        return _filled(graph, ways)
    finally:
        if collects:
            gc.enable()


def _filled(graph: nx.MultiDiGraph[Any], ways: Ways) -> nx.MultiDiGraph[Any]:
    graph.add_nodes_from(ways.nodes)
    graph.add_edges_from(cast("Any", ways.edges))
    return graph


def validate(graph: nx.MultiDiGraph[Any]) -> None:
    """Hold a graph to the contract.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        As `to_networkx` builds it.

    Raises
    ------
    InconsistentState
        Something breaks it; the message names the first ten things that do.

    Examples
    --------
    >>> validate(nx.MultiDiGraph())
    """
    found = problems_of(graph.nodes(data=True), graph.edges(keys=True, data=True))
    if found:
        raise InconsistentState(f"{len(found)} breaches of the graph's contract: {'; '.join(found[:10])}")


# single points of failure ------------------------------------------------------------------------------------------


def single_points_of_failure(paths: Paths) -> pd.DataFrame:
    """Name what every working path of a family to a destination passes.

    Parameters
    ----------
    paths : Paths
        Of the pods that are asked about, for instance of one namespace.

    Returns
    -------
    pandas.DataFrame
        Sorted by destination, family and order on the way: ``destination``, ``ip_family``, ``element`` (as
        `Network.failing` takes it), ``kind``, ``pods`` (that work today), ``lost`` (of these, without it), ``leaked``,
        ``is_single`` (all are lost), ``why``. What a standby takes over from is there, and not single; a node's own
        address stands and falls with its node and is not there.

    Raises
    ------
    None
        A family that does not work has no rows.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.masquerade import Kubenet
    >>> from dsmodel.graph.network import BorderNAT, Network
    >>> nat = BorderNAT(name="a", family="IPv4", addresses=("198.51.100.9",))
    >>> network = Network(masquerades=()).replacing(border=[nat], routed=["10.244.0.0/16"], default_route=True)
    >>> single_points_of_failure(resolve(kubeadm_dual_stack(), network=network))[["ip_family", "element", "is_single"]]
      ip_family element  is_single
    0      IPv4   NAT/a       True
    """
    rows = []
    graph = to_networkx(paths, detail="nodes")
    without: dict[str, Paths] = {}
    own = {data[end] for _, data in graph.nodes(data=True) if data["kind"] == Kind.NODE for end in ENDS.values()}
    for place, one in enumerate(paths.destinations):
        for order, family in enumerate(paths.halves):
            flow = _working(graph, family, one.name)
            for step, key in enumerate(_dominators(flow, family)):
                if key[0] not in _SINGLE or key[1] in own:
                    continue
                title = _title_of(graph, key)
                if title not in without:
                    without[title] = failed(paths, title)
                found = losses(paths, without[title], place=place, family=family)
                told = (one.name, str(family), title, str(key[0]))
                rows.append((place, order, step, *told, *found[:3], found[0] == found[1] > 0, found[3]))
    names = ["destination", "ip_family", "element", "kind", "pods", "lost", "leaked", "is_single", "why"]
    return pd.DataFrame([row[3:] for row in sorted(rows, key=lambda row: row[:3])], columns=names)


def _working(graph: nx.MultiDiGraph[Any], family: IPFamily, destination: str) -> nx.DiGraph[Any]:
    """Return the steps that traffic takes to one destination, in one family, from a start to the world."""
    flow: nx.DiGraph[Any] = nx.DiGraph()
    for source, target, data in graph.edges(data=True):
        if data["family"] == family and data["state"] == "active" and destination in data["destinations"]:
            if data["role"] == Role.ATTACH or target[0] == Kind.DROP:
                continue
            flow.add_edge(source, target)
    for key in [key for key in flow if key[0] == Kind.NODE]:
        flow.add_edge(_START, key)
    return flow


def _dominators(flow: nx.DiGraph[Any], family: IPFamily) -> list[Any]:
    """Return what every way to the world passes, in the order of passing."""
    world = (Kind.WORLD.value, 4 if family is IPFamily.IPV4 else 6)
    if _START not in flow or world not in flow or not nx.has_path(flow, _START, world):
        return []
    above = nx.immediate_dominators(flow, _START)
    found, key = [], world
    while key in above and above[key] != key and above[key] != _START:
        key = above[key]
        found.append(key)
    return found[::-1]


def _title_of(graph: nx.MultiDiGraph[Any], key: Any) -> str:
    """Name a node of the graph as `Network.failing` takes it."""
    if key[0] == Kind.NODE:
        return f"Node/{key[1]}"
    if key[0] == Kind.GATEWAY:
        return str(key[2])
    if key[0] == Kind.SNAT_IP:
        return str(key[1])
    return str(graph.nodes[key]["label"])


# maximum flow ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MaximumConnections:
    """Connections that fit at once, and what binds.

    Parameters
    ----------
    family : IPFamily
        Of the connections.
    destination : str
        Where to; one address, port and protocol.
    connections : int
        At once; 0 where nothing works.
    bottleneck : tuple of (str, int)
        The limits of the smallest cut, by name, sorted.
    """

    family: IPFamily
    destination: str
    connections: int
    bottleneck: tuple[tuple[str, int], ...]


def maximum_connections(
    paths: Paths,
    *,
    family: IPFamily | str,
    destination: int = 0,
    conntrack: int | Mapping[str, int] | None = None,
    ephemeral_ports: int = EPHEMERAL_PORTS,
) -> MaximumConnections:
    """Work out how many connections pods can hold to one destination at once.

    Parameters
    ----------
    paths : Paths
        Of the pods that connect.
    family : IPFamily or str
        Which.
    destination : int, default 0
        Its place; taken for one address, port and protocol.
    conntrack : int or mapping of str to int, optional
        ``nf_conntrack_max`` of every node, or by name; without it nodes do not limit. A gateway counts apart from the
        pods of its node.
    ephemeral_ports : int, default 28232
        Connections that one pod opens to one destination.

    Returns
    -------
    MaximumConnections
        With the bottleneck named.

    Raises
    ------
    InvalidInput
        A limit below 1, a family or destination that is none.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import BorderNAT, Network
    >>> nat = BorderNAT(name="a", family="IPv4", addresses=("198.51.100.9",), ports=55_000)
    >>> network = Network(masquerades=()).replacing(border=[nat], routed=["10.244.0.0/16"], default_route=True)
    >>> maximum_connections(resolve(kubeadm_dual_stack(), network=network), family="IPv4").bottleneck
    (('NAT/a', 55000),)
    """
    chosen = IPFamily(family) if family in set(IPFamily) else None
    if chosen is None or not 0 <= destination < len(paths.destinations):
        words = f"IPv4 or IPv6, and a place from 0 to {len(paths.destinations) - 1}"
        raise InvalidInput(f"family={family!r}, destination={destination}: give {words}")
    if ephemeral_ports < 1:
        raise InvalidInput(f"ephemeral_ports={ephemeral_ports}: a pod needs at least one")
    one = paths.destinations[destination]
    graph = to_networkx(paths, detail="nodes")
    pods = dict(_pods_by_node(paths, chosen, destination))
    working = _working(graph, chosen, one.name)
    flow = _limited(working, graph, pods, conntrack=conntrack, ephemeral_ports=ephemeral_ports)
    world = ((Kind.WORLD.value, 4 if chosen is IPFamily.IPV4 else 6), "in")
    if world not in flow or (_START, "out") not in flow:
        return MaximumConnections(chosen, one.name, 0, ())
    value, (near, far) = nx.minimum_cut(flow, (_START, "out"), world)
    cut = {
        (str(data["title"]), int(data["capacity"]))
        for source, target, data in flow.edges(data=True)
        if source in near and target in far
    }
    return MaximumConnections(chosen, one.name, int(value), tuple(sorted(cut)))


def _pods_by_node(paths: Paths, family: IPFamily, destination: int) -> Iterator[tuple[Any, int]]:
    """Yield the cluster nodes of the graph, and the pods on each whose traffic arrives."""
    half = paths.halves[family]
    works = np.array([each.verdict.works for each in half.decisions] or [False], np.bool_)
    fine = works[half.codes(np.arange(len(paths.pods)), destination)]
    names = [str(name) for name in paths.cluster.nodes["name"].tolist()]
    rows, counts = np.unique(half.groups.node[fine], return_counts=True)
    for row, pods in zip(rows.tolist(), counts.tolist(), strict=True):
        yield (Kind.NODE.value, names[row] if row >= 0 else ""), pods


def _limited(
    working: nx.DiGraph[Any],
    graph: nx.MultiDiGraph[Any],
    pods: Mapping[Any, int],
    *,
    conntrack: int | Mapping[str, int] | None,
    ephemeral_ports: int,
) -> nx.DiGraph[Any]:
    """Split every node of the working graph in two, with its limit between them."""
    flow: nx.DiGraph[Any] = nx.DiGraph()
    most = sum(pods.values()) * ephemeral_ports + 1  # as good as no limit: pods cannot send more
    for key in working:
        if key == _START:
            continue
        limit = most
        if key[0] in {Kind.NODE, Kind.GATEWAY} and conntrack is not None:
            name = graph.nodes[key].get("node", key[1])
            limit = conntrack if isinstance(conntrack, int) else conntrack.get(name, most)
        elif key[0] == Kind.SNAT_IP:
            limit = graph.nodes[key]["ports"] or most
        elif key[0] in {Kind.CLOUD_NAT, Kind.NAT64}:
            held = [data["capacity"] for *_, data in graph.in_edges(key, data=True)]
            limit = held[0] if held and held[0] is not None else most
        if limit < 1:
            raise InvalidInput(f"{_title_of(graph, key)}: a limit of {limit} connections; it is 1 or more")
        flow.add_edge((key, "in"), (key, "out"), capacity=min(limit, most), title=_title_of(graph, key))
    for source, target in working.edges:
        if source == _START:
            title = f"{pods.get(target, 0)} pods on {target[1]} x {ephemeral_ports} ports"
            cap = pods.get(target, 0) * ephemeral_ports
            flow.add_edge((_START, "out"), (target, "in"), capacity=cap, title=title)
        else:
            flow.add_edge((source, "out"), (target, "in"), capacity=most, title="no limit")
    return flow
