"""Groups of pods: no rule of any product may tell two pods of one group apart."""

import numpy as np
import pytest
from egress_clusters import cluster_of
from graph.gateways.fleet import fleet, named

from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.text import parse_addresses
from dsmodel.graph.flows import UNDECIDED, VERDICTS, Flows
from dsmodel.graph.gateways import EgressGateway, Selection, read_gateways, steer
from dsmodel.graph.masquerade import AwsVpcCni, MasqueradeAgent
from dsmodel.graph.network import Network, TransparentProxy
from dsmodel.graph.paths import resolve

NODES = {
    "edge-a": ("192.0.2.11", "2001:db8::11", {"egress": "yes", "k8s.ovn.org/egress-assignable": ""}),
    "edge-b": ("192.0.2.12", "2001:db8::12", {"egress": "yes", "k8s.ovn.org/egress-assignable": ""}),
    "worker": ("192.0.2.15", "", {"role": "worker"}),
}
PODS = {
    f"{('shop', 'bank', 'lab')[row % 3]}/pod-{row}": (
        ("edge-a", "edge-b", "worker")[row % 3 if row % 2 else row // 3 % 3],
        f"10.244.{row % 4}.{row + 2}",
        "" if row % 7 == 3 else f"fd00:10:244:{row % 4}::{row + 2:x}",
        {"app": ("cart", "front", "old")[row % 5 % 3]},
    )
    for row in range(36)
}
SPACES = {"shop": {"team": "shop"}, "bank": {"team": "bank"}, "lab": {}}
SHOP = {"namespaceSelector": {"matchLabels": {"team": "shop"}}}
CART = {"podSelector": {"matchLabels": {"app": "cart"}}}
EDGE = {"nodeSelector": {"matchLabels": {"egress": "yes"}}}
ENDPOINTS = [
    named("CiliumEndpoint", f"pod-{row}", {}, api="cilium.io/v2", namespace=key.split("/")[0], uid=f"uid-{row}")
    for row, key in enumerate(PODS)
    if row % 5
]


def cegp(name, selectors, **spec):
    given = {"selectors": selectors, "destinationCIDRs": ["0.0.0.0/0", "::/0"], "egressGateway": EDGE} | spec
    return named("CiliumEgressGatewayPolicy", name, given, api="cilium.io/v2")


def eip(name, addresses, **spec):
    given = {"egressIPs": addresses, "namespaceSelector": {"matchLabels": {"team": "shop"}}} | spec
    return named("EgressIP", name, given, api="k8s.ovn.org/v1")


CASES = {
    "one gateway": [cegp("a", [SHOP])],
    "two policies with holes": [
        cegp("a", [SHOP], destinationCIDRs=["198.51.100.0/24"], excludedCIDRs=["198.51.100.128/25"]),
        cegp("b", [CART], destinationCIDRs=["0.0.0.0/0", "2001:db8:9::/48"]),
    ],
    "several gateways by hash": [cegp("a", [SHOP, CART], egressGateways=[EDGE, EDGE]), *ENDPOINTS],
    "node selectors": [cegp("a", [SHOP | {"nodeSelector": {"matchLabels": {"role": "worker"}}}])],
    "EgressIP of both families": [
        eip("a", ["203.0.113.5", "2001:db8:5::5"]),
        eip("b", ["203.0.113.6"], podSelector={}),
    ],
    "Antrea": [
        named(
            "Egress",
            "a",
            {"appliedTo": {"podSelector": {"matchLabels": {"app": "cart"}}}, "egressIP": "203.0.113.7"},
            api="crd.antrea.io/v1beta1",
        )
    ],
}
SERVERS = ("198.51.100.10", "198.51.100.200", "2001:db8:9::10", "2600::1")


@pytest.mark.parametrize("objects", CASES.values(), ids=CASES)
@pytest.mark.parametrize("failed", [(), ("edge-a",)])
def test_every_pod_gets_what_its_policies_say_of_it_alone(objects, failed):
    cluster = fleet(*objects, nodes=NODES, pods=PODS, namespaces=SPACES, host=("lab/pod-2",))
    policies, _ = read_gateways(cluster)
    network = Network().replacing(
        gateways=policies, masquerades=[], border=(), routed=(), default_route=True, nat64=(), failed=failed
    )
    paths = resolve(cluster, list(SERVERS), network=network)
    for place, text in enumerate(SERVERS):
        family = IPFamily.IPV6 if ":" in text else IPFamily.IPV4
        end = family.lower()
        column = cluster.pods[f"pod_{end}"]
        everyone = np.arange(len(cluster.pods), dtype=np.int32)
        flows = Flows(
            column,
            parse_addresses([text] * len(column), family=str(family)),
            cluster.pods["node"],
            everyone,
            np.asarray(cluster.pods["host_network"]),
        )
        steering = steer(policies, flows, cluster, failed=failed)
        for pod in everyone.tolist():
            made = paths.decision(pod, place, family)
            if made.verdict == "no_family" or "its own node" in made.reason or "own node is down" in made.reason:
                continue
            choice = steering.choices[steering.choice[pod]] if steering.choice[pod] >= 0 else ()
            if steering.verdict[pod] == UNDECIDED:
                assert made.policy == ""
                continue
            assert made.policy == steering.policies[steering.policy[pod]]
            verdict = str(VERDICTS[steering.verdict[pod]])
            if verdict not in {"via_gateway", "leak_fallthrough"}:
                assert made.verdict == verdict
            assert made.exits == choice


def test_alike_pods_are_one_group_whatever_their_node():
    pods = [("shop", f"p{row}", "abcd"[row % 4]) for row in range(40)]
    cluster = cluster_of(tuple("abcd"), pods, labels=[{"app": f"a{row}"} for row in range(40)])
    cluster.node_labels, codes = cluster.node_labels.adding_each([{"host": name} for name in "abcd"])
    cluster.nodes = cluster.nodes.replace({"labels": codes})
    network = Network().replacing(masquerades=[MasqueradeAgent()], border=(), routed=(), default_route=True)
    assert len(resolve(cluster, network=network).halves[IPFamily.IPV4].groups) == 1
    selects = Selection.of("shop", pods={"app": "a7"})
    chosen = network.replacing(gateways=[EgressGateway(name="g", selects=selects, nodes=("a",))])
    assert len(resolve(cluster, network=chosen).halves[IPFamily.IPV4].groups) == 2
    mesh = network.replacing(proxies=[TransparentProxy(name="m", selects=Selection.of("shop", pods={"app": "a3"}))])
    assert len(resolve(cluster, network=mesh).halves[IPFamily.IPV4].groups) == 2
    assert len(resolve(cluster, network=network.failing("b")).halves[IPFamily.IPV4].groups) == 2


def test_addresses_for_egress_alone_count_as_addresses():
    cluster = cluster_of(cluster_cidrs=("10.244.0.0/16",), ipv6="2600:1f00::{}")
    known = {"border": (), "routed": (), "default_route": True, "nat64": ()}
    off = Network().replacing(masquerades=[AwsVpcCni()], **known)
    on = Network().replacing(masquerades=[AwsVpcCni(other_family_egress=True)], **known)
    assert resolve(cluster, network=off).decision(0, 0, "IPv6").verdict == "no_family"
    paths = resolve(cluster, network=on)
    assert paths.decision(0, 0, "IPv6").verdict == "ok_snat"
    assert paths.sources([0, 1], 0, "IPv6").tolist() == ["2600:1f00::1", "2600:1f00::2"]
