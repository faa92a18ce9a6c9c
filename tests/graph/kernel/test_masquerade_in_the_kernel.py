"""A real kernel rewrites sources as the model says, with the rules the model writes, in both families."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kernel_lab import FIXED, GATEWAY, MARK, MARKED_PORT, PORT, Lab, Unavailable, missing
from masquerade_oracle import CLUSTER_CIDR, INTERNET, NEIGHBOUR, NODE, POD, REMOTE, cluster, deciding, flows, seen

from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.text import parse_addresses
from dsmodel.cluster.schema import PODS
from dsmodel.cluster.state import Cluster
from dsmodel.cluster.table import Table
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
    ReferencePlugin,
    translate,
)
from dsmodel.graph.masquerade.kube_ovn import NatPolicyRule
from dsmodel.graph.masquerade.masquerade_agent import masquerade_agent_config
from dsmodel.graph.masquerade.rendering import NodeView, render
from dsmodel.graph.network import Network
from dsmodel.graph.paths import resolve
from dsmodel.graph.paths.decisions import Seen
from dsmodel.graph.paths.services import Services
from dsmodel.kube.masquerade_agent import MasqueradeAgentConfig

pytestmark = pytest.mark.kernel

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
CLUSTER = cluster()
BOTH = tuple(CLUSTER_CIDR.values())
OUTSIDE = {
    V4: [INTERNET[V4], REMOTE[V4], "172.16.0.9", "192.168.7.7", "100.64.0.9", "169.254.7.7"],
    V6: [INTERNET[V6], REMOTE[V6], "fd99::9", "2001:db8::9"],
}
DESTINATIONS = {family: [*OUTSIDE[family], *NODE[family], NEIGHBOUR[family]] for family in IPFamily}
# A source that the model does not know: of the interface towards a pod of the node, or the node itself.
TOWARDS_PODS = {family: (GATEWAY[family], NODE[family][0]) for family in IPFamily}
POOLS = (
    CalicoPool(BOTH[0], nat_outgoing=True),
    CalicoPool(BOTH[1], nat_outgoing=True),
    CalicoPool("172.16.0.0/12", disabled=True),
    CalicoPool("fd99::/16", disabled=True),
)
SUBNET = KubeOvnSubnet(
    "pods", BOTH, nat_outgoing=True, rules=(NatPolicyRule("forward", destinations=("172.16.0.0/12", "fd99::/16")),)
)
PROXY, NFT_PROXY = KubeProxy(cluster_cidrs=BOTH), KubeProxy(mode="nftables", cluster_cidrs=BOTH)
EMPTY = MasqueradeAgentConfig(())
LISTED = MasqueradeAgentConfig((*BOTH, "10.0.0.0/24", "fd00:a::/64"))

RULE_SETS: dict[str, list[Any]] = {
    "nothing": [],
    "kube-proxy": [PROXY],
    "kube-proxy, nftables": [NFT_PROXY],
    "kubenet": [PROXY, Kubenet()],
    "kubenet, IPv6": [Kubenet("fd00::/16")],
    "ip-masq-agent": [PROXY, MasqueradeAgent()],
    "ip-masq-agent, IPv6 on": [PROXY, MasqueradeAgent(enable_ipv6=True)],
    "ip-masq-agent, empty list": [MasqueradeAgent(EMPTY, enable_ipv6=True)],
    "ip-masq-agent, ports": [MasqueradeAgent(LISTED, enable_ipv6=True, to_ports=((20000, 29999), (40000, 49999)))],
    "ip-masq-agent, reserved": [MasqueradeAgent(masquerade_agent_config(None, nomasq_all_reserved_ranges=True))],
    "CNI ipMasq": [PROXY, ReferencePlugin()],
    "CNI ipMasq, nftables": [ReferencePlugin("nftables")],
    "CNI ipMasq before an agent": [ReferencePlugin(), MasqueradeAgent(EMPTY, enable_ipv6=True)],
    "CNI ipMasq in nftables before an agent": [ReferencePlugin("nftables"), MasqueradeAgent(EMPTY, enable_ipv6=True)],
    "flannel": [PROXY, Flannel(ip_masq=True)],
    "flannel, nftables": [PROXY, Flannel(ip_masq=True, backend="nftables")],
    "flannel, one family": [Flannel(ip_masq=True, ipv6_masq=False)],
    "kube-router": [PROXY, KubeRouter()],
    "Calico": [PROXY, Calico(pools=POOLS)],
    "Calico, hosts spared, ports": [Calico(pools=POOLS, exclusions="IPPoolsAndHostIPs", nat_port_range="32768:65535")],
    "Calico, interface": [Calico(pools=POOLS[:2], interface_filter="eth+")],
    "Cilium, iptables": [PROXY, Cilium(tunnel=False, native_routing_cidrs=("10.0.0.0/8", "fd00::/16"))],
    "Antrea": [PROXY, Antrea()],
    "Kube-OVN": [KubeOvn((SUBNET,))],
    "AWS VPC CNI": [PROXY, AwsVpcCni(vpc_cidrs=("10.0.0.0/8",), exclude_cidrs=("172.16.0.0/12",))],
    "Calico's fixed address": [Calico(pools=POOLS, nat_outgoing_address=FIXED)],
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    absent = missing()
    if absent:
        pytest.skip(f"kernel test not run: {absent}")
    try:
        built = Lab(OUTSIDE).__enter__()
    except Unavailable as error:
        pytest.skip(f"kernel test not run: {error}")
    try:
        yield built
    finally:
        built.__exit__(None, None, None)


def questions(family: IPFamily) -> list[tuple[str, str, str, int]]:
    """Every source, destination, protocol and port that a rule set is asked about."""
    return [
        (source, destination, protocol, port)
        for source in (POD[family], NODE[family][0])
        for destination in DESTINATIONS[family]
        for protocol, port in (("udp", PORT), ("udp", MARKED_PORT), ("tcp", PORT))
    ]


@pytest.mark.parametrize("name", RULE_SETS)
def test_the_kernel_agrees(name: str, lab: Lab) -> None:
    view, masquerades = NodeView.of(CLUSTER, 0), RULE_SETS[name]
    rules = render(
        [chain for family in IPFamily for each in masquerades for chain in each.chains(family, CLUSTER)], view
    )
    assert rules.elsewhere == ()
    lab.load(rules)
    for family in IPFamily:
        asked = questions(family)
        column = flows(family, [(source, destination) for source, destination, _, _ in asked])
        marked = np.array([port == MARKED_PORT for *_, port in asked])
        answer = translate(masquerades, column, CLUSTER, marked=marked)
        expected = seen(answer, family)
        got = dict(zip(asked, kernel_says(lab, asked), strict=True))
        wrong = [
            f"{each}: kernel {got[each]}, model {address} by {rule!r}"
            for each, address, rule in zip(asked, expected, deciding(answer), strict=True)
            if (got[each] != address if address != "?" else got[each] not in TOWARDS_PODS[family])
        ]
        assert wrong == []


ENDPOINTS = {"itself": POD, "a neighbour": NEIGHBOUR, "a pod elsewhere": REMOTE}
EXTERNAL_IP = {V4: "198.51.100.80", V6: "2001:db8:80::80"}


def service_cluster(endpoint: str, external: str) -> Cluster:
    """The cluster with its pods, and a Service of one endpoint that has a node port and external IPs."""
    places = {"name": ["cart", "nbr", "far"], "namespace": ["shop"] * 3, "node": np.array([0, 0, 1], np.int32)}
    for end, family in (("ipv4", V4), ("ipv6", V6)):
        places[f"pod_{end}"] = parse_addresses([each[family] for each in ENDPOINTS.values()], family=family)
    held = Cluster.from_tables(CLUSTER.config, nodes=CLUSTER.nodes, pods=Table(PODS, places))
    row = {"namespace": "shop", "name": "db", "type": "NodePort", "ip_family_policy": "PreferDualStack"}
    held.add_services(pd.DataFrame([row | {"external_traffic_policy": external}]))
    port = {"port": PORT, "protocol": "TCP", "nodePort": int(held.node_ports["node_port"][0])}
    spec = {"ports": [port], "externalIPs": list(EXTERNAL_IP.values())}
    metadata = {"name": "db", "namespace": "shop"}
    objects = [{"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}]
    for family in IPFamily:
        node = "worker-2" if endpoint == "a pod elsewhere" else "worker-1"
        one = {"addresses": [ENDPOINTS[endpoint][family]], "nodeName": node, "conditions": {"ready": True}}
        labels = {"kubernetes.io/service-name": "db"}
        about = {"name": f"db-{family}".lower(), "namespace": "shop", "labels": labels}
        item = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": about}
        objects.append({**item, "addressType": str(family), "endpoints": [one]})
    held.objects = held.objects.adding(objects)
    return held


@pytest.mark.parametrize("external", ["Cluster", "Local"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_kernel_agrees_about_services(endpoint: str, external: str, lab: Lab) -> None:
    """A pod's own node sends it on: by cluster IP, node port and external IP, to itself, beside it and elsewhere."""
    held = service_cluster(endpoint, external)
    number, view = int(held.node_ports["node_port"][0]), NodeView.of(held, 0)
    rules = render([chain for family in IPFamily for chain in PROXY.chains(family, held)], view)
    known = {"default_route": True, "routed": list(BOTH), "border": (), "nat64": ()}
    network = Network().replacing(masquerades=[PROXY], **known)
    for family in IPFamily:
        own = next(text for text in Services(held).addresses(0) if (":" in text) == (family is V6))
        literal = "{}" if family is V4 else "[{}]"
        for address, port in ((own, PORT), (NODE[family][0], number), (EXTERNAL_IP[family], PORT)):
            paths = resolve(held, f"{literal.format(address)}:{port}", network=network)
            made = paths.decision(0, 0, family)
            assert made.verdict.works, made.reason
            lab.load(rules)
            lab.serve_service(family, address, ENDPOINTS[endpoint][family], port=port, marked=made.translated)
            expected = [*paths.sources([0], 0, family)] if made.seen is not Seen.UNKNOWN else TOWARDS_PODS[family]
            asked = [(POD[family], address, protocol, port) for protocol in ("udp", "tcp")]
            got = kernel_says(lab, asked)
            assert set(got) <= set(expected), (address, port, got, made.reason)


def kernel_says(lab: Lab, asked: list[tuple[str, str, str, int]]) -> list[str]:
    """Send every packet and return who the other end saw; host processes mark their own."""
    answers: dict[int, str] = {}
    for name in ("pod", "node"):
        rows = [row for row, (source, *_) in enumerate(asked) if (source in POD.values()) == (name == "pod")]
        sent = [
            {
                "source": asked[row][0],
                "destination": asked[row][1],
                "protocol": asked[row][2],
                "port": str(asked[row][3]),
                "mark": str(MARK if name == "node" and asked[row][3] == MARKED_PORT else 0),
            }
            for row in rows
        ]
        answers |= dict(zip(rows, lab.ask(name, sent), strict=True))
    return [answers[row] for row in range(len(asked))]


def test_a_machine_that_cannot_run_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernel_lab.os.geteuid", lambda: 1000)
    assert missing() == "needs root to make network namespaces"
    monkeypatch.setattr("kernel_lab.os.geteuid", lambda: 0)
    monkeypatch.setattr("kernel_lab.shutil.which", lambda tool: None if tool == "nft" else tool)
    assert missing() == "not installed: nft"


def test_enough_is_compared() -> None:
    combinations = {
        (name, source, destination)
        for name in RULE_SETS
        for family in IPFamily
        for source, destination, *_ in questions(family)
    }
    assert len(combinations) > 600
