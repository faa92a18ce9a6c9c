"""What the nodes' rules do to whole columns of flows; paths and graphs of a large cluster."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import numpy as np
from measure import Row, race

from dsmodel.addresses.arrays import from_integers, to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster import examples
from dsmodel.graph.flows import Flows
from dsmodel.graph.gateways import EgressGateway, Selection
from dsmodel.graph.masquerade import Calico, CalicoPool, Cilium, Flannel, KubeProxy, MasqueradeAgent, translate
from dsmodel.graph.network import BorderNAT, Network
from dsmodel.graph.paths import Paths, resolve
from dsmodel.graph.topology import to_networkx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dsmodel.cluster.state import Cluster

FEW = 20_000  # flows of the peer, which is linear
CLUSTER_CIDRS = ("10.0.0.0/8", "fd00:10::/48")


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of masquerading."""
    cluster = examples.synthetic(nodes=5_000, pods=150_000, services=10)
    n = 200_000 if quick else 1_000_000
    pools = tuple(CalicoPool(cidr, nat_outgoing=True) for cidr in CLUSTER_CIDRS)
    plugins = {
        "ip-masq-agent": [KubeProxy(), MasqueradeAgent()],
        "flannel": [KubeProxy(), Flannel(ip_masq=True)],
        "Calico": [KubeProxy(), Calico(pools=pools)],
        "Cilium": [Cilium(bpf=True)],
    }
    for family in IPFamily:
        flows = half_outside(cluster, n, family)
        for name, masquerades in plugins.items():
            own = race(lambda m=masquerades, f=flows: translate(m, f, cluster), {}, items=n, rounds=3).own_ns
            seconds = own * 1e-9 * n
            size = f"{n:,} flows, 5,000 nodes"
            yield Row(f"masquerade, {name}, {family}", size, own, quantities={"s": seconds}, limits={"s": 0.2})
    yield _against_a_walk(cluster)
    yield from _paths_and_graphs()


def half_outside(cluster: Cluster, n: int, family: IPFamily) -> Flows:
    """Return flows of random pods, half of them to other pods and half to anywhere."""
    rng = np.random.default_rng(1)
    column = cluster.pods["pod_ipv4" if family is IPFamily.IPV4 else "pod_ipv6"]
    pods = rng.integers(len(column), size=n).astype(np.int32)
    destination = column[rng.integers(len(column), size=n)]
    out = np.flatnonzero(rng.random(n) < 0.5)
    if family is IPFamily.IPV4:
        destination[out] = rng.integers(1 << 32, size=len(out), dtype=np.uint64).astype(np.uint32)
    else:
        for half in ("hi", "lo"):
            destination[half][out] = rng.integers(1 << 62, size=len(out), dtype=np.uint64)
    return Flows(column[pods], destination, cluster.pods["node"][pods], pods, np.zeros(n, np.bool_))


def _against_a_walk(cluster: Cluster) -> Row:
    """Race ip-masq-agent's chain against its rules walked for each flow."""
    flows = half_outside(cluster, 1_000_000, IPFamily.IPV4)
    texts = [rule.destination for rule in MasqueradeAgent().chains(IPFamily.IPV4, cluster)[0].rules[:-1]]
    kept = [ipaddress.IPv4Network(str(match[0].addresses.cidrs[0])) for match in texts]
    destinations = to_integers(flows.destination[:FEW])

    def walk() -> list[bool]:
        addresses = map(ipaddress.IPv4Address, destinations)
        return [not any(address in network for network in kept) for address in addresses]

    def same(ours: Any, theirs: list[bool]) -> bool:
        local = np.array([address >> 24 == 127 for address in destinations])
        return bool((ours.translated[:FEW] == (np.array(theirs) & ~local)).all())

    result = race(
        lambda: translate([MasqueradeAgent()], flows, cluster),
        {"ipaddress": walk},
        items=len(flows),
        rounds=3,
        equal=same,
        peer_items={"ipaddress": FEW},
    )
    goals = {"ipaddress": 10.0}
    return Row("masquerade, ip-masq-agent, beside a walk", "1,000,000 flows", result.own_ns, result.peers, goals)


def fleet(nodes: int, pods: int) -> tuple[Cluster, Network]:
    """Return a dual-stack cluster with labels, its nodes labelled each differently, and 20 egress gateways."""
    rng = np.random.default_rng(2)
    cluster = examples.synthetic(nodes=nodes, pods=0, services=0)
    cluster.add_pods(
        rng.integers(nodes, size=pods).astype(np.int32),
        names=[f"pod-{row}" for row in range(pods)],
        namespace=[f"team-{row % 40}" for row in range(pods)],
        labels=[{"app": f"app-{row % 200}", "tier": f"tier-{row % 3}"} for row in range(pods)],
    )
    labels = [{"kubernetes.io/hostname": f"node-{row}"} for row in range(nodes)]
    cluster.node_labels, codes = cluster.node_labels.adding_each(labels)
    everyone = np.ones(nodes, np.bool_)
    columns = {"labels": codes, "has_internal_ipv4": everyone, "has_internal_ipv6": everyone}
    for family, first in ((IPFamily.IPV4, 0xAC100000), (IPFamily.IPV6, 0x26001F00 << 96)):
        columns[f"internal_{family.lower()}"] = from_integers(range(first, first + nodes), family=family)
    cluster.nodes = cluster.nodes.replace(columns)
    gateways = [
        EgressGateway(
            name=f"team-{row}",
            selects=Selection.of(f"team-{row}", pods={"tier": "tier-1"}),
            destinations=(f"20.{row}.0.0/16", f"2a00:{row:x}::/32"),
            nodes=(f"node-{row:04d}",),
        )
        for row in range(20)
    ]
    network = Network().replacing(
        masquerades=[KubeProxy(cluster_cidrs=("10.0.0.0/8",)), MasqueradeAgent()],
        gateways=gateways,
        border=[BorderNAT(name="a", family="IPv4", addresses=("198.51.100.9",))],
        routed=(),
        default_route=True,
        nat64=(),
    )
    return cluster, network


def _paths_and_graphs() -> Iterator[Row]:
    """Resolve 300 million paths, then build the graph at each detail; the full graph is the peer of the others."""
    cluster, network = fleet(5_000, 150_000)
    servers = [
        {f"server-{row}": [f"20.{row % 40}.1.{row % 250}", f"2a00:{row % 40:x}::{row:x}"]} for row in range(1_000)
    ]

    def everything() -> int:
        paths = resolve(cluster, servers, network=network)
        return sum(int(np.bincount(piece.ravel()).size) for family in IPFamily for _, piece in paths.verdicts(family))

    paths = 2 * len(servers) * len(cluster.pods)
    own = race(everything, {}, items=paths, rounds=3).own_ns
    size = "150,000 pods, 1,000 destinations, 2 families"
    yield Row("paths, every verdict", size, own, quantities={"s": own * 1e-9 * paths}, limits={"s": 3.0})
    one = race(lambda: resolve(cluster, network=network), {}, items=1, rounds=3).own_ns
    yield Row("paths to one destination", "150,000 pods", one, quantities={"s": one * 1e-9}, limits={"s": 1.0})
    yield from _graphs(resolve(cluster, network=network))


def _graphs(paths: Paths) -> Iterator[Row]:
    """Build the graph of resolved paths at each detail."""
    size = "5,000 nodes, 150,000 pods"
    full = race(lambda: to_networkx(paths, detail="pods"), {}, items=1, rounds=2).own_ns
    yield Row("graph, pods", size, full, quantities={"s": full * 1e-9}, limits={"s": 8.0})
    for detail, most, goal in (("nodes", 1.0, 4.0), ("workloads", 0.1, 200.0)):
        own = race(lambda d=detail: to_networkx(paths, detail=d), {}, items=1, rounds=3).own_ns
        yield Row(
            *(f"graph, {detail}", size, own, {"all pods": full}, {"all pods": goal}),
            quantities={"s": own * 1e-9},
            limits={"s": most},
        )
