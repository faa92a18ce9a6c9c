"""What the nodes' rules do to whole columns of flows, beside a walk of every rule for every flow."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import numpy as np
from measure import Row, race

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster import examples
from dsmodel.graph.flows import Flows
from dsmodel.graph.masquerade import Calico, CalicoPool, Cilium, Flannel, KubeProxy, MasqueradeAgent, translate

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
