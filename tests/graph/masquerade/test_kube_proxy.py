"""kube-proxy masquerades what it marked and nothing else; kubenet masquerades one family."""

import numpy as np
import pytest
from masquerade_oracle import FAMILIES, INTERNET, NODE, POD, REMOTE, cluster, deciding, flows, seen

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster import examples
from dsmodel.graph.masquerade import Kubenet, KubeProxy, MasqueradeAgent, translate
from dsmodel.graph.masquerade.rendering import NodeView, render

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
CLUSTER = cluster()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", ["iptables", "nftables", "ipvs"])
def test_marked_flows_alone_are_masqueraded(mode: str, family: IPFamily) -> None:
    proxy = KubeProxy(mode=mode, masquerade_all=True)
    column = flows(family, [(POD[family], INTERNET[family]), (POD[family], REMOTE[family])])
    assert not translate([proxy], column, CLUSTER).translated.any(), "masqueradeAll is no way to the Internet"
    answer = translate([proxy], column, CLUSTER, marked=np.array([False, True]))
    assert seen(answer, family) == [POD[family], NODE[family][0]]
    assert deciding(answer) == ["", "kube-proxy: marked for masquerading"]


def test_a_flow_that_kube_proxy_leaves_alone_is_decided_by_the_next() -> None:
    column = flows(V4, [(POD[V4], INTERNET[V4]), (POD[V4], REMOTE[V4])])
    answer = translate([KubeProxy(), MasqueradeAgent()], column, CLUSTER, marked=np.array([False, True]))
    assert deciding(answer) == ["ip-masq-agent: to anywhere else", "kube-proxy: marked for masquerading"]


def test_the_text_of_kube_postrouting() -> None:
    view = NodeView.of(CLUSTER, 0)
    text = render(KubeProxy(masquerade_bit=15).chains(V4, CLUSTER), view)
    assert [line for line in text.iptables[V4].splitlines() if line.startswith("-A KUBE")] == [
        "-A KUBE-POSTROUTING -m mark ! --mark 0x8000/0x8000 -j RETURN",
        "-A KUBE-POSTROUTING -m mark --mark 0x8000/0x8000 -j MARK --xor-mark 0x8000",
        "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
    ]
    nft = render(KubeProxy(mode="nftables").chains(V6, CLUSTER), view).nftables
    assert "table ip6 kube-proxy" in nft
    assert "masquerade fully-random" in nft


FINDINGS = [
    ("a family without CIDR", KubeProxy(cluster_cidrs=("10.244.0.0/16",)), ["kube-proxy-cannot-tell-pods"]),
    (
        "a second CIDR of a family",
        KubeProxy(cluster_cidrs=("10.244.0.0/16", "10.245.0.0/16", "fd00::/48")),
        ["kube-proxy-second-cidr"],
    ),
    ("text that is no CIDR", KubeProxy(cluster_cidrs=("10.244.0.0/16", "fd00::/48", "x")), ["kube-proxy-cluster-cidr"]),
    ("a mode nobody has", KubeProxy(mode="ebpf", detect_local_mode="NodeCIDR"), ["kube-proxy-mode"]),
    (
        "a local mode nobody has",
        KubeProxy(detect_local_mode="PodCIDR", cluster_cidrs=("10.244.0.0/16", "fd00::/48")),
        ["kube-proxy-local-mode"],
    ),
    ("all is well", KubeProxy(cluster_cidrs=("10.244.0.0/16", "fd00::/48")), []),
]


@pytest.mark.parametrize(("reason", "proxy", "rules"), FINDINGS, ids=[row[0] for row in FINDINGS])
def test_findings(reason: str, proxy: KubeProxy, rules: list[str]) -> None:
    assert [each[1] for each in proxy.findings(CLUSTER)] == rules, reason


KUBENET = [
    ("the Internet", Kubenet(), V4, INTERNET[V4], True),
    ("a pod in 10/8", Kubenet(), V4, REMOTE[V4], False),
    ("a node in 10/8", Kubenet(), V4, NODE[V4][1], False),
    ("the node itself", Kubenet("10.244.0.0/16"), V4, NODE[V4][0], False),
    ("a node outside the CIDR", Kubenet("10.244.0.0/16"), V4, NODE[V4][1], True),
    ("IPv6 by default", Kubenet(), V6, INTERNET[V6], False),
    ("IPv6 with an IPv6 CIDR", Kubenet("fd00::/8"), V6, INTERNET[V6], True),
    ("IPv4 with an IPv6 CIDR", Kubenet("fd00::/8"), V4, INTERNET[V4], False),
    ("all addresses means no rule", Kubenet("0.0.0.0/0"), V4, INTERNET[V4], False),
    ("all IPv6 addresses means no rule", Kubenet("::/0"), V6, INTERNET[V6], False),
]


@pytest.mark.parametrize(
    ("reason", "kubenet", "family", "destination", "translated"), KUBENET, ids=[row[0] for row in KUBENET]
)
def test_kubenet(reason: str, kubenet: Kubenet, family: IPFamily, destination: str, *, translated: bool) -> None:
    answer = translate([kubenet], flows(family, [(POD[family], destination)]), CLUSTER)
    assert answer.translated.tolist() == [translated], reason


def test_kubenet_with_a_value_that_is_no_cidr_is_unknown() -> None:
    answer = translate([Kubenet("10.0.0.0")], flows(V4, [(POD[V4], INTERNET[V4])]), CLUSTER)
    assert answer.has_source.tolist() == [False]
    assert [each[1] for each in Kubenet("10.0.0.0").findings(CLUSTER)] == ["kubenet-cidr"]
    assert [each[1] for each in Kubenet().findings(CLUSTER)] == ["kubenet-one-family"]
    assert Kubenet().findings(examples.single_stack_ipv4()) == []
