"""Whose ports a rule takes: every component's own rule, by its title."""

import pytest
from egress_clusters import cluster_of

from dsmodel.addresses.cidr import IPFamily
from dsmodel.graph.gateways import EgressGateway
from dsmodel.graph.masquerade import Calico, CalicoPool, Cilium, MasqueradeAgent
from dsmodel.graph.network import Network
from dsmodel.graph.paths import resolve
from dsmodel.graph.snat import node_budget
from dsmodel.graph.topology import maximum_connections, to_networkx
from dsmodel.reports import snat

V4 = IPFamily.IPV4
CLUSTER = cluster_of(("a", "b"), (("shop", "cart", "a"), ("shop", "cart-2", "b")), ipv4="44.0.0.{}")
POOLS = (CalicoPool("10.244.0.0/16", nat_outgoing=True),)

# what masquerades, ports of a node's address, why
ROWS = [
    (Cilium(bpf=True), 32_768, "BPF leaves what is below the node ports alone"),
    (Cilium(), 64_512, "iptables mode is netfilter, whoever writes the rules"),
    (Cilium(tunnel=False), 64_512, "and so it is where routing is native"),
    (MasqueradeAgent(), 64_512, "netfilter"),
    (MasqueradeAgent(to_ports=((1024, 29_999), (32_768, 65_535))), 61_744, "two intervals of --to-ports"),
    (Calico(pools=POOLS), 64_512, "netfilter"),
    (Calico(pools=POOLS, nat_port_range="40000:49999"), 10_000, "natPortRange"),
]


def network(masquerade):
    return Network(masquerades=(masquerade,)).replacing(border=[], routed=[], default_route=True, nat64=())


@pytest.mark.parametrize(("masquerade", "ports", "why"), ROWS)
def test_graph_and_report_count_the_ports_of_the_rule_that_decided(masquerade, ports, why):
    paths = resolve(CLUSTER, "8.8.8.8", network=network(masquerade))
    graph = to_networkx(paths, detail="nodes")
    held = {data["ports"] for _, data in graph.nodes(data=True) if data["kind"] == "snat_ip"}
    assert held == {ports}, why
    capacities = {data["capacity"] for *_, data in graph.edges(data=True) if data["role"] == "snat"}
    assert capacities == {ports}, why
    frame = snat(CLUSTER, {"8.8.8.8": 10}, network=network(masquerade))
    assert set(frame.loc[(frame["owner"] == "node") & (frame["destination"] != ""), "usable"]) == {ports}, why


@pytest.mark.parametrize(
    ("rule", "ports"),
    [
        ("CiliumEgressGatewayPolicy/a", 32_768),
        ("EgressIP/a", 64_512),
        ("Egress/a", 64_512),
        ("EgressGateway/cilium", 64_512),
        ("cilium-of-mine: everything", 64_512),
        ("Cilium: no such rule", 64_512),
        ("", 64_512),
    ],
)
def test_policies_and_rules_of_nobody(rule, ports):
    assert node_budget(rule, [Cilium(bpf=True)], family=V4, cluster=CLUSTER).ports == ports
    assert node_budget(rule, None, family=V4, cluster=CLUSTER).ports == ports


def test_gateway_with_a_name_like_cilium_is_a_linux_box():
    gateway = EgressGateway(name="cilium", nodes=("a",), addresses=("44.0.1.9",))
    known = network(MasqueradeAgent()).replacing(gateways=(gateway,))
    graph = to_networkx(resolve(CLUSTER, "8.8.8.8", network=known), detail="pods")
    assert graph.nodes["snat_ip", "44.0.1.9", 4]["ports"] == 64_512


def test_bottleneck_is_the_interval_of_the_rule():
    agent = MasqueradeAgent(to_ports=((40_000, 40_099),))
    found = maximum_connections(resolve(CLUSTER, "8.8.8.8", network=network(agent)), family="IPv4")
    assert (found.connections, [ports for _, ports in found.bottleneck]) == (200, [100, 100])
