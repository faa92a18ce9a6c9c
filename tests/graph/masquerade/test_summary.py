"""The source that each destination sees, per implementation at its defaults: one cell a test.

Cells marked derived follow from the rules of the component and have not been seen on a cluster: they may differ by
version.
"""

from typing import Any

import pytest
from masquerade_oracle import CLUSTER_CIDR, INTERNET, NODE, POD, REMOTE, cluster, flows, seen

from dsmodel.addresses.cidr import IPFamily
from dsmodel.graph.masquerade import (
    Antrea,
    AwsVpcCni,
    Calico,
    CalicoPool,
    Cilium,
    Flannel,
    Kubenet,
    KubeOvn,
    KubeOvnSubnet,
    KubeProxy,
    KubeRouter,
    MasqueradeAgent,
    OvnKubernetes,
    ReferencePlugin,
    translate,
)

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
CLUSTER = cluster()
DEFAULT_POOLS = (CalicoPool(CLUSTER_CIDR[V4], nat_outgoing=True), CalicoPool(CLUSTER_CIDR[V6]))
SUBNETS = (KubeOvnSubnet("ovn-default", tuple(CLUSTER_CIDR.values()), nat_outgoing=True),)
VPC = ("10.0.0.0/8",)  # nodes and pods lie in it

DESTINATIONS = {
    "pod of another node": REMOTE,
    "another node": {family: NODE[family][1] for family in IPFamily},
    "endpoint of a ClusterIP": REMOTE,  # kube-proxy has chosen it, and a local pod asked: no mark
    "Internet": INTERNET,
}

# implementation, then for IPv4 and IPv6 who is seen by each destination, in their order
DEFAULTS: list[tuple[str, Any, str, str]] = [
    ("kubenet of 1.20", Kubenet(), "pod pod pod node", "pod pod pod pod"),
    ("ip-masq-agent", MasqueradeAgent(), "pod pod pod node", "pod pod pod pod"),
    ("ip-masq-agent with IPv6 on", MasqueradeAgent(enable_ipv6=True), "pod pod pod node", "node node node node"),
    ("CNI ipMasq", ReferencePlugin(), "node node node node", "node node node node"),
    ("flannel --ip-masq", Flannel(ip_masq=True), "pod node pod node", "pod node pod node"),
    (
        "flannel --ip-masq, nftables",
        Flannel(ip_masq=True, backend="nftables"),
        "pod node pod node",
        "pod node pod node",
    ),
    ("flannel", Flannel(), "pod pod pod pod", "pod pod pod pod"),
    ("kube-router", KubeRouter(), "pod pod pod node", "pod pod pod node"),
    ("Calico's default pools", Calico(pools=DEFAULT_POOLS), "pod node pod node", "pod pod pod pod"),
    ("Cilium BPF, tunnel (derived)", Cilium(bpf=True), "pod node pod node", "pod node pod node"),
    (
        "Cilium BPF, native routing (derived)",
        Cilium(bpf=True, tunnel=False, native_routing_cidrs=tuple(CLUSTER_CIDR.values())),
        "pod pod pod node",
        "pod pod pod node",
    ),
    ("OVN-Kubernetes (derived)", OvnKubernetes(), "pod node pod node", "pod node pod node"),
    ("Antrea (derived)", Antrea(), "pod node pod node", "pod node pod node"),
    ("Kube-OVN natOutgoing (derived)", KubeOvn(SUBNETS), "pod node pod node", "pod node pod node"),
    ("AWS VPC CNI, IPv4 cluster", AwsVpcCni(vpc_cidrs=VPC), "pod pod pod node", "pod pod pod pod"),
    ("AWS VPC CNI, IPv6 cluster", AwsVpcCni(ip_family=V6), "pod pod pod pod", "pod pod pod pod"),
]
CELLS = [
    (name, masquerade, family, destination, who)
    for name, masquerade, *rows in DEFAULTS
    for family, row in zip(IPFamily, rows, strict=True)
    for destination, who in zip(DESTINATIONS, row.split(), strict=True)
]


@pytest.mark.parametrize(
    ("name", "masquerade", "family", "destination", "who"), CELLS, ids=[f"{c[0]}: {c[2]} to {c[3]}" for c in CELLS]
)
def test_every_cell(name: str, masquerade: Any, family: IPFamily, destination: str, who: str) -> None:
    column = flows(family, [(POD[family], DESTINATIONS[destination][family])])
    answer = translate([KubeProxy(cluster_cidrs=tuple(CLUSTER_CIDR.values())), masquerade], column, CLUSTER)
    assert seen(answer, family) == [{"pod": POD, "node": {f: NODE[f][0] for f in IPFamily}}[who][family]], name
    assert answer.translated.tolist() == [who == "node"]


OWN_NODE = [
    ("OVN-Kubernetes keeps the pod towards its own node", OvnKubernetes(), "pod"),
    ("Cilium keeps it too", Cilium(bpf=True), "pod"),
    ("ip-masq-agent: the node itself is LOCAL", MasqueradeAgent(enable_ipv6=True), "pod"),
    ("kubenet: the same", Kubenet("192.0.2.0/24"), "pod"),
]


@pytest.mark.parametrize(("reason", "masquerade", "who"), OWN_NODE, ids=[row[0] for row in OWN_NODE])
@pytest.mark.parametrize("family", [*IPFamily])
def test_the_pods_own_node(reason: str, masquerade: Any, who: str, family: IPFamily) -> None:
    answer = translate([masquerade], flows(family, [(POD[family], NODE[family][0])]), CLUSTER)
    assert seen(answer, family) == [{"pod": POD}[who][family]], reason


def test_egress_addresses_of_aws() -> None:
    eks6 = AwsVpcCni(ip_family=V6)
    column = flows(V4, [("169.254.172.9", INTERNET[V4]), ("169.254.172.9", "224.0.0.1")])
    assert seen(translate([eks6], column, CLUSTER), V4) == [NODE[V4][0], "169.254.172.9"]
    eks4 = AwsVpcCni(vpc_cidrs=VPC, other_family_egress=True)
    column = flows(V6, [("fd00::ac:5", INTERNET[V6]), ("fd00::ac:5", REMOTE[V6]), ("fd00::ac:5", "ff02::1")])
    assert seen(translate([eks4], column, CLUSTER), V6) == [NODE[V6][0], NODE[V6][0], "fd00::ac:5"]
    off = AwsVpcCni(ip_family=V6, other_family_egress=False)
    assert off.chains(V4, CLUSTER) == ()
