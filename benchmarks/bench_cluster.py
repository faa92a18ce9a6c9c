"""A whole cluster through the verbs of `Cluster` beside plain Python models; time and memory."""

from __future__ import annotations

import ipaddress
import resource
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
from measure import Row, race

from dsmodel import Cidr, Cluster, ClusterConfig
from dsmodel.addresses.arrays import from_offsets
from dsmodel.cluster.checks import has_repeats
from dsmodel.cluster.schema import NODES
from dsmodel.cluster.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = 10_000
PEER_SHARE = 10  # the used-set model is linear and slow: it takes the pods of every tenth node


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of assignment, of the whole model, and of memory."""
    yield _assign_beside_peers(5_000, 150_000)
    yield _whole_model(5_000, 150_000, most_ms=25)
    yield _copies(5_000, 150_000)
    if not quick:
        yield _assign_alone(100_000, 10_000_000)
        yield _whole_model(100_000, 10_000_000, most_ms=1_000)
        yield _copies(100_000, 10_000_000)
        yield _memory(100_000, 10_000_000)


def empty_cluster(nodes: int) -> Cluster:
    """Return a dual-stack cluster with nodes that take 250 pods each, and none on them."""
    config = ClusterConfig.of(service_cidrs=["172.16.0.0/12", "fd00:96::/108"], max_pods=250)
    index = np.arange(nodes, dtype=np.uint64)
    names = np.strings.add(np.array("node-", np.dtypes.StringDType()), index.astype(np.dtypes.StringDType()))
    columns = {
        "name": names,
        "pod_cidr_ipv4": from_offsets(Cidr("10.0.0.0/7"), index, unit_bits=8),
        "pod_cidr_ipv4_mask": np.full(nodes, 24, np.uint8),
        "pod_cidr_ipv6": from_offsets(Cidr("fd00:10::/40"), index, unit_bits=64),
        "pod_cidr_ipv6_mask": np.full(nodes, 64, np.uint8),
        "primary_ip_family": np.full(nodes, 4, np.uint8),
    }
    return Cluster.from_tables(config, nodes=Table(NODES, columns))


def arrivals(nodes: int, pods: int) -> np.ndarray:
    """Return the node of each pod in a random order of arrival, as many on each."""
    return np.random.default_rng(1).permutation(np.repeat(np.arange(nodes, dtype=np.int32), pods // nodes))


def _assign_beside_peers(nodes: int, pods: int) -> Row:
    order = arrivals(nodes, pods)
    ours = empty_cluster(nodes)
    few = order[order % PEER_SHARE == 0]

    def own(cluster: Cluster) -> dict[str, Any]:
        cluster.add_pods(order)
        return {"ipv4": cluster.pods["pod_ipv4"], "ipv6": cluster.pods["pod_ipv6"]}

    def same(mine: dict[str, Any], theirs: list[Any]) -> bool:
        chosen = np.flatnonzero(order % PEER_SHARE == 0) if len(theirs) == len(few) else np.arange(pods)
        pairs = [(int(pod[0]), int(pod[1])) for pod in map(_pair, theirs)]
        ipv4, ipv6 = mine["ipv4"][chosen].tolist(), mine["ipv6"][chosen].tolist()
        return pairs == [(a, hi << 64 | lo) for a, (hi, lo) in zip(ipv4, ipv6, strict=True)]

    result = race(
        own,
        {
            "ipaddress objects": lambda _: object_model(order.tolist()),
            "used-set model": lambda _: used_set_model(few.tolist()),
        },
        items=pods,
        prepare={"own": ours.copy, "ipaddress objects": int, "used-set model": int},
        equal=same,
        peer_items={"used-set model": len(few)},
    )
    goals = {"ipaddress objects": 100.0, "used-set model": 300.0}
    return Row("assign pods, any order", f"{nodes:,}/{pods:,}", result.own_ns, result.peers, goals)


def _assign_alone(nodes: int, pods: int) -> Row:
    order, ours = arrivals(nodes, pods), empty_cluster(nodes)
    result = race(lambda cluster: cluster.add_pods(order).granted, {}, items=pods, prepare=ours.copy)
    quantities = {"CPU s": result.own_ns * pods / 1e9}
    return Row(
        "assign pods, any order", f"{nodes:,}/{pods:,}", result.own_ns, quantities=quantities, limits={"CPU s": 0.5}
    )


def _whole_model(nodes: int, pods: int, *, most_ms: float) -> Row:
    order, ours = arrivals(nodes, pods), empty_cluster(nodes)

    def own(cluster: Cluster) -> tuple[bool, int]:
        cluster.add_pods(order)
        cluster.add_services(SERVICES, ip_family_policy="RequireDualStack", rng=np.random.default_rng(1))
        sound = not any(has_repeats(cluster.pods[name]) for name in ("pod_ipv4", "pod_ipv6"))
        sound &= not any(has_repeats(cluster.services[name]) for name in ("cluster_ipv4", "cluster_ipv6"))
        used = sum(int((blocks.used() * 1000 // 250).max()) for blocks in cluster.pod_blocks.values())
        return sound, used

    result = race(own, {}, items=pods, prepare=ours.copy)
    size = f"{nodes:,}/{pods:,}"
    quantities = {"CPU ms": result.own_ns * pods / 1e6}
    return Row("whole model, no text", size, result.own_ns, quantities=quantities, limits={"CPU ms": most_ms})


def _copies(nodes: int, pods: int) -> Row:
    cluster = empty_cluster(nodes)
    cluster.add_pods(arrivals(nodes, pods))
    result = race(lambda one: len(one.copy().pods), {}, items=1, prepare=lambda: cluster)
    quantities = {"CPU ms": result.own_ns / 1e6}
    return Row("copy a cluster", f"{nodes:,}/{pods:,}", result.own_ns, quantities=quantities, limits={"CPU ms": 10})


def _memory(nodes: int, pods: int) -> Row:
    order, cluster = arrivals(nodes, pods), empty_cluster(nodes)
    tracemalloc.start()
    cluster.add_pods(order)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    columns = [cluster.pods[name] for name in ("node", "pod_ipv4", "pod_ipv6")]
    quantities = {
        "B a pod, stored": cluster.nbytes / pods,
        "B a pod, expanded": sum(column.nbytes for column in columns) / pods,
        "B a pod, peak of assigning": peak / pods,
        "object model B / stored B": _object_bytes() / (cluster.nbytes / pods),
        "process peak, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    limits = {"B a pod, stored": 8, "B a pod, expanded": 24, "B a pod, peak of assigning": 40}
    return Row("memory of addresses", f"{nodes:,}/{pods:,}", 0.0, quantities=quantities, limits=limits)


def _object_bytes() -> float:
    order = arrivals(500, 15_000).tolist()
    tracemalloc.start()
    kept = object_model(order)
    size = tracemalloc.get_traced_memory()[0] / len(kept)
    tracemalloc.stop()
    return size


# the peers ----------------------------------------------------------------------------------------------------------


class Pod:
    """A pod of the object model."""

    __slots__ = ("ipv4", "ipv6", "node")

    def __init__(self, node: int, ipv4: Any, ipv6: Any) -> None:
        self.node, self.ipv4, self.ipv6 = node, ipv4, ipv6


def object_model(nodes: list[int]) -> list[Pod]:
    """Walk `hosts()` of each node's two networks, one iterator a node."""
    sources: dict[int, Any] = {}
    pods = []
    for node in nodes:
        if node not in sources:
            ipv4 = ipaddress.ip_network((0x0A000000 + (node << 8), 24)).hosts()
            ipv6 = ipaddress.ip_network(((0xFD000010 << 96) + (node << 64), 64)).hosts()
            next(ipv4), next(ipv6)  # the gateway
            sources[node] = (ipv4, ipv6)
        ipv4, ipv6 = sources[node]
        pods.append(Pod(node, next(ipv4), next(ipv6)))
    return pods


def used_set_model(nodes: list[int]) -> list[dict[str, Any]]:
    """Keep a set of used addresses a node, and addresses as text."""
    used: dict[int, set[str]] = {}
    pods = []
    for node in nodes:
        taken = used.setdefault(node, set())
        networks = (
            ipaddress.ip_network((0x0A000000 + (node << 8), 24)),
            ipaddress.ip_network(((0xFD000010 << 96) + (node << 64), 64)),
        )
        pod: dict[str, Any] = {"node": node}
        for name, network in zip(("ipv4", "ipv6"), networks, strict=True):
            for ordinal in range(2, 255):
                address = str(network[ordinal])
                if address not in taken:
                    taken.add(address)
                    pod[name] = address
                    break
        pods.append(pod)
    return pods


def _pair(pod: Any) -> tuple[int, int]:
    """Return both addresses of a peer's pod as numbers."""
    if isinstance(pod, Pod):
        return int(pod.ipv4), int(pod.ipv6)
    return int(ipaddress.ip_address(pod["ipv4"])), int(ipaddress.ip_address(pod["ipv6"]))
