"""Each network plugin's own rules, beyond what the summary shows."""

from typing import Any

import numpy as np
import pytest
from masquerade_oracle import (
    CLUSTER_CIDR,
    INTERNET,
    NEIGHBOUR,
    NODE,
    POD,
    REMOTE,
    cluster,
    deciding,
    flows,
    seen,
)

from dsmodel import errors
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.text import parse_addresses
from dsmodel.graph.masquerade import (
    Antrea,
    AwsVpcCni,
    Calico,
    CalicoPool,
    Cilium,
    Flannel,
    KubeOvn,
    KubeOvnSubnet,
    KubeProxy,
    KubeRouter,
    MasqueradeAgent,
    OvnKubernetes,
    ReferencePlugin,
    SidecarProxy,
    Unmasqueraded,
    translate,
)
from dsmodel.graph.masquerade.cilium import cilium_agent_config
from dsmodel.graph.masquerade.kube_ovn import NatPolicyRule
from dsmodel.graph.masquerade.proxies import CAPTURES
from dsmodel.graph.masquerade.rendering import NodeView, render
from dsmodel.kube.masquerade_agent import MasqueradeAgentConfig

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
CLUSTER = cluster()
BOTH = tuple(CLUSTER_CIDR.values())
MULTICAST = {V4: "224.0.0.1", V6: "ff02::1"}
ON_PREMISES = {V4: "172.16.0.9", V6: "fd99::9"}


def pools(*extra: CalicoPool, nat: bool = True) -> tuple[CalicoPool, ...]:
    return (CalicoPool(BOTH[0], nat_outgoing=nat), CalicoPool(BOTH[1], nat_outgoing=nat), *extra)


DISABLED = (CalicoPool("172.16.0.0/12", disabled=True), CalicoPool("fd99::/16", disabled=True))
BALANCERS = (
    CalicoPool("172.16.0.0/12", nat_outgoing=True, allowed_uses=("LoadBalancer",)),
    CalicoPool("fd99::/16", nat_outgoing=True, allowed_uses=("LoadBalancer",)),
)
POLICY_RULES = (
    NatPolicyRule("forward", destinations=("172.16.0.0/12", "fd99::/16")),
    NatPolicyRule("nat", sources=(POD[V4] + "/32", POD[V6] + "/128")),
)
NATIVE = Cilium(bpf=True, tunnel=False, native_routing_cidrs=("10.0.0.0/8", "fd00::/16"))
AGENT = MasqueradeAgentConfig(("172.16.0.0/12", "fd99::/16"))
POLICED = KubeOvn((KubeOvnSubnet("a", BOTH, nat_outgoing=True, rules=POLICY_RULES),))

# reason, masquerade, source, destination, whether the node is seen; both families alike unless there is another table
ROWS: list[tuple[str, Any, dict[IPFamily, str], dict[IPFamily, str], bool]] = [
    ("ipMasq spares the container's own subnet", ReferencePlugin(), POD, NEIGHBOUR, False),
    ("ipMasq spares multicast", ReferencePlugin(), POD, MULTICAST, False),
    ("ipMasq is not about the host", ReferencePlugin(), {f: NODE[f][0] for f in IPFamily}, INTERNET, False),
    ("ipMasq with a wider subnet spares other nodes' pods", ReferencePlugin(subnets=BOTH), POD, REMOTE, False),
    ("flannel spares multicast", Flannel(ip_masq=True), POD, MULTICAST, False),
    ("flannel spares the own node's pods", Flannel(ip_masq=True), POD, NEIGHBOUR, False),
    ("flannel: from outside to an own pod", Flannel(ip_masq=True), INTERNET, POD, False),
    ("flannel: the host to a pod of another node", Flannel(ip_masq=True), INTERNET, REMOTE, True),
    ("flannel in nftables never gets there", Flannel(ip_masq=True, backend="nftables"), INTERNET, REMOTE, False),
    ("kube-router spares nodes", KubeRouter(), POD, {f: NODE[f][1] for f in IPFamily}, False),
    ("kube-router switched off", KubeRouter(enable_pod_egress=False), POD, INTERNET, False),
    ("Calico spares disabled pools", Calico(pools=pools(*DISABLED)), POD, ON_PREMISES, False),
    ("Calico: load balancer pools are not spared", Calico(pools=pools(*BALANCERS)), POD, ON_PREMISES, True),
    ("Calico: load balancer pools are sources", Calico(pools=pools(*BALANCERS)), ON_PREMISES, INTERNET, True),
    ("Calico: a source in no pool", Calico(pools=pools()), ON_PREMISES, INTERNET, False),
    ("Calico: pools without natOutgoing spare all the same", Calico(pools=pools(nat=False)), POD, INTERNET, False),
    (
        "Calico can spare nodes",
        Calico(pools=pools(), exclusions="IPPoolsAndHostIPs"),
        POD,
        {f: NODE[f][1] for f in IPFamily},
        False,
    ),
    ("Calico's own node, which is delivered", Calico(pools=pools()), POD, {f: NODE[f][0] for f in IPFamily}, False),
    ("Calico's own node, BPF", Calico(pools=pools(), bpf=True), POD, {f: NODE[f][0] for f in IPFamily}, False),
    ("Calico with a filter of interfaces", Calico(pools=pools(), interface_filter="eth+"), POD, INTERNET, True),
    ("Cilium spares the native-routing CIDR", NATIVE, POD, REMOTE, False),
    ("Cilium in native routing spares nodes", NATIVE, POD, {f: NODE[f][1] for f in IPFamily}, False),
    (
        "unless remote nodes are masqueraded, and outside the CIDR",
        Cilium(bpf=True, tunnel=False, native_routing_cidrs=BOTH, remote_nodes=True),
        POD,
        {f: NODE[f][1] for f in IPFamily},
        True,
    ),
    ("Cilium's agent spares its CIDRs", Cilium(bpf=True, agent=AGENT), POD, ON_PREMISES, False),
    ("Cilium's agent: everything else", Cilium(bpf=True, agent=AGENT), POD, INTERNET, True),
    ("Cilium leaves the host alone", Cilium(bpf=True), {f: NODE[f][0] for f in IPFamily}, INTERNET, False),
    ("Cilium with iptables", Cilium(), POD, INTERNET, True),
    ("Cilium with iptables accepts nodes", Cilium(), POD, {f: NODE[f][1] for f in IPFamily}, False),
    ("Cilium with iptables, through the tunnel", Cilium(), POD, REMOTE, False),
    ("Cilium without masquerading", Cilium(masquerade=()), POD, INTERNET, False),
    ("Antrea: own pods", Antrea(), POD, NEIGHBOUR, False),
    ("Antrea without SNAT", Antrea(traffic_encap_mode="noEncap", no_snat=True), POD, INTERNET, False),
    ("noSNAT does nothing in encap", Antrea(no_snat=True), POD, INTERNET, True),
    ("Kube-OVN policy: forward", POLICED, POD, ON_PREMISES, False),
    ("Kube-OVN policy: nat", POLICED, POD, INTERNET, True),
    ("Kube-OVN policy: no rule fits, natOutgoing does", POLICED, NEIGHBOUR, INTERNET, True),
    ("Kube-OVN without natOutgoing", KubeOvn((KubeOvnSubnet("a", BOTH),)), POD, INTERNET, False),
    ("OVN-Kubernetes leaves the host alone", OvnKubernetes(), {f: NODE[f][0] for f in IPFamily}, INTERNET, False),
]


@pytest.mark.parametrize("family", [*IPFamily])
@pytest.mark.parametrize(
    ("reason", "masquerade", "source", "destination", "translated"), ROWS, ids=[row[0] for row in ROWS]
)
def test_rules(
    reason: str, masquerade: Any, source: Any, destination: Any, family: IPFamily, *, translated: bool
) -> None:
    column = flows(family, [(source[family], destination[family])])
    answer = translate([masquerade], column, CLUSTER)
    assert answer.translated.tolist() == [translated], (reason, deciding(answer))
    assert seen(answer, family) == [NODE[family][0] if translated else source[family]]


def test_calico_gives_a_fixed_ipv4_address_and_breaks_ipv6_with_it() -> None:
    calico = Calico(pools=pools(), nat_outgoing_address="192.0.2.7")
    answers = {f: translate([calico], flows(f, [(POD[f], INTERNET[f])]), CLUSTER) for f in IPFamily}
    assert [seen(answers[f], f) for f in IPFamily] == [["192.0.2.7"], [POD[V6]]]
    assert "no IPv6 rule is written" in deciding(answers[V6])[0]
    assert [each[1] for each in calico.findings(CLUSTER)] == ["calico-nat-address-breaks-ipv6"]
    only4 = Calico(pools=pools()[:1], nat_outgoing_address="192.0.2.7")
    assert only4.findings(CLUSTER) == []


def test_calico_ports_are_chosen_for_tcp_and_udp_before_the_rest() -> None:
    calico = Calico(pools=pools()[:1], nat_port_range="32768:65535")
    text = render(calico.chains(V4, CLUSTER), NodeView.of(CLUSTER, 0)).iptables[V4]
    fits = "-A cali-nat-outgoing -s 10.244.0.0/16 ! -d 10.244.0.0/16"
    assert [line for line in text.splitlines() if line.startswith("-A cali")] == [
        f"{fits} -p tcp -j MASQUERADE --to-ports 32768-65535",
        f"{fits} -p udp -j MASQUERADE --to-ports 32768-65535",
        f"{fits} -j MASQUERADE",
    ]


def test_marked_flows_in_flannel_and_kube_ovn() -> None:
    for family in IPFamily:
        column, marked = flows(family, [(POD[family], INTERNET[family])] * 2), np.array([True, False])
        flannel = translate([Flannel(ip_masq=True)], column, CLUSTER, marked=marked)
        assert flannel.translated.tolist() == [False, True], "flannel leaves what kube-proxy marked to kube-proxy"
        both = translate([KubeProxy(), Flannel(ip_masq=True)], column, CLUSTER, marked=marked)
        assert both.translated.all()
        ovn = translate([KubeOvn((KubeOvnSubnet("a", BOTH),))], column, CLUSTER, marked=marked)
        assert ovn.translated.tolist() == [True, False]


def test_ipmasq_and_the_agent_behind_it() -> None:
    """An ACCEPT of the plugin is final in iptables, a base chain of nftables binds nothing."""
    agent = MasqueradeAgent(MasqueradeAgentConfig(()))
    column = flows(V4, [(POD[V4], NEIGHBOUR[V4])])
    plugins = [ReferencePlugin(), ReferencePlugin("nftables")]
    assert [translate([each, agent], column, CLUSTER).translated.tolist() for each in plugins] == [[False], [True]]


def test_one_family_of_k3s() -> None:
    k3s = Flannel(ip_masq=True, ipv6_masq=False)
    assert [bool(k3s.chains(family, CLUSTER)) for family in IPFamily] == [True, False]
    assert [(each[1], "--flannel-ipv6-masq" in each[3]) for each in k3s.findings(CLUSTER)] == [
        ("flannel-without-masquerade", True)
    ]


def test_flannels_mark_is_a_bit_in_iptables_and_the_whole_mark_in_nftables() -> None:
    view = NodeView.of(CLUSTER, 0)
    assert "--mark 0x4000/0x4000 -j RETURN" in render(Flannel(ip_masq=True).chains(V4, CLUSTER), view).iptables[V4]
    nft = render(Flannel(ip_masq=True, backend="nftables").chains(V4, CLUSTER), view).nftables
    assert "meta mark == 0x4000 return" in nft


def test_aws() -> None:
    eks = AwsVpcCni(vpc_cidrs=("10.0.0.0/16",), exclude_cidrs=("172.16.0.0/12", "fd00::/8", "x"))
    column = flows(V4, [(POD[V4], NODE[V4][1]), (POD[V4], ON_PREMISES[V4]), (POD[V4], INTERNET[V4])])
    assert translate([eks], column, CLUSTER).translated.tolist() == [False, False, True]
    assert [each[1] for each in eks.findings(CLUSTER)] == ["aws-excluded-cidr"] * 2
    everything = AwsVpcCni(vpc_cidrs=("10.0.0.0/16",), exclude_cidrs=("0.0.0.0/0",))
    assert not translate([everything], column, CLUSTER).translated.any()
    assert [each[1] for each in everything.findings(CLUSTER)] == ["aws-excludes-everything"]
    external = AwsVpcCni(vpc_cidrs=("10.0.0.0/16",), external_snat=True)
    assert not translate([external], column, CLUSTER).translated.any()
    unknown = AwsVpcCni()
    assert not translate([unknown], column, CLUSTER).has_source.any()
    assert [each[1] for each in unknown.findings(CLUSTER)] == ["masquerade-unknown"]


def test_a_cloud_without_nat_for_ipv6() -> None:
    cloud = Unmasqueraded("GKE", (V6,))
    answer = translate([cloud], flows(V6, [(POD[V6], INTERNET[V6])]), CLUSTER)
    assert (answer.translated.tolist(), deciding(answer)) == ([False], ["GKE: IPv6 leaves as it is"])
    assert cloud.chains(V4, CLUSTER) == ()


def test_what_the_files_of_the_two_agents_mean() -> None:
    assert len(cilium_agent_config(None).non_masquerade_cidrs) == 11
    assert cilium_agent_config({"masqLinkLocal": False}).non_masquerade_cidrs == ()
    assert cilium_agent_config({"nonMasqueradeCIDRs": ["10.0.0.1/8"]}).non_masquerade_cidrs == ("10.0.0.0/8",)
    with pytest.raises(errors.InvalidConfig, match="nonMasqueradeCIDRs"):
        cilium_agent_config({"nonMasqueradeCIDRs": ["x"]})
    with pytest.raises(errors.InvalidConfig, match="is no list"):
        cilium_agent_config({"nonMasqueradeCIDRs": "10.0.0.0/8"})


BAD: list[tuple[str, Any, str]] = [
    ("exclusions that are none", Calico(pools=pools(), exclusions="HostIPs"), "calico-settings"),
    ("ports the wrong way round", Calico(pools=pools(), nat_port_range="9:1"), "calico-settings"),
    ("ports that are none", Calico(pools=pools(), nat_port_range="many"), "calico-settings"),
    ("an IPv6 natOutgoingAddress", Calico(pools=pools()[:1], nat_outgoing_address="fd00::1"), "calico-settings"),
    ("Cilium's agent without BPF", Cilium(agent=AGENT), "cilium-settings"),
    ("a native-routing CIDR that is none", Cilium(native_routing_cidrs=("x",)), "cilium-settings"),
    ("a Subnet that is no CIDR", KubeOvn((KubeOvnSubnet("a", ("x",)),)), "kube-ovn-subnet"),
    (
        "a policy action that is none",
        KubeOvn((KubeOvnSubnet("a", BOTH, nat_outgoing=True, rules=(NatPolicyRule("drop"),)),)),
        "kube-ovn-subnet",
    ),
]


@pytest.mark.parametrize(("reason", "masquerade", "rule"), BAD, ids=[row[0] for row in BAD])
def test_settings_that_mean_nothing_are_found_and_decide_nothing(reason: str, masquerade: Any, rule: str) -> None:
    assert masquerade.findings(CLUSTER)[0][:2] == ("error", rule), reason
    answer = translate([masquerade], flows(V4, [(POD[V4], INTERNET[V4])]), CLUSTER)
    assert not answer.has_source.any()


FINDINGS: list[tuple[str, Any, list[str]]] = [
    ("ipMasq between nodes", ReferencePlugin(), ["cni-ipmasq-between-nodes"]),
    ("a backend nobody has", ReferencePlugin("ebtables"), ["cni-ipmasq-backend"]),
    ("flannel without --ip-masq", Flannel(), ["flannel-without-masquerade"] * 2),
    ("flannel's backend", Flannel(ip_masq=True, backend="ipfw"), ["flannel-backend"]),
    ("kube-router without egress", KubeRouter(enable_pod_egress=False), ["kube-router-without-egress"]),
    ("Calico's IPv6 default", Calico(pools=(pools()[0], CalicoPool(BOTH[1]))), ["calico-pool-without-nat"]),
    ("a pool that is no CIDR", Calico(pools=(CalicoPool("x"),)), ["calico-pool-cidr"]),
    ("Calico's filter", Calico(pools=pools(), interface_filter="eth+"), ["calico-interface-assumed"]),
    ("Cilium, native, one family", Cilium(tunnel=False, native_routing_cidrs=BOTH[:1]), ["cilium-native-without-cidr"]),
    ("Cilium, one family off", Cilium(masquerade=(V4,)), ["cilium-without-masquerade"]),
    ("Antrea's mode", Antrea(traffic_encap_mode="vxlan"), ["antrea-mode"]),
    ("Antrea's noSNAT", Antrea(no_snat=True), ["antrea-no-snat"]),
    ("Kube-OVN without natOutgoing", KubeOvn((KubeOvnSubnet("a", BOTH),)), ["kube-ovn-without-nat"]),
    ("AWS randomising", AwsVpcCni(vpc_cidrs=("10.0.0.0/8",), randomize="dice"), ["aws-randomize"]),
    ("OVN-Kubernetes", OvnKubernetes(), []),
    ("a cloud", Unmasqueraded("GKE", (V6,)), []),
    ("a sidecar of one family", SidecarProxy(), ["proxy-one-family"]),
    ("a sidecar's policy", SidecarProxy(families=(V4, V6), outbound_policy="DENY"), ["proxy-policy"]),
    ("a sidecar's range", SidecarProxy(families=(V4, V6), excluded=("x",)), ["proxy-range"]),
]


@pytest.mark.parametrize(("reason", "masquerade", "rules"), FINDINGS, ids=[row[0] for row in FINDINGS])
def test_findings(reason: str, masquerade: Any, rules: list[str]) -> None:
    assert [each[1] for each in masquerade.findings(CLUSTER)] == rules, reason


def test_without_native_routing_cidr_one_family_masquerades_between_pods() -> None:
    cilium = Cilium(bpf=True, tunnel=False, native_routing_cidrs=BOTH[:1])
    answers = [translate([cilium], flows(f, [(POD[f], REMOTE[f])]), CLUSTER).translated[0] for f in IPFamily]
    assert [bool(each) for each in answers] == [False, True]


CAPTURED: list[tuple[str, SidecarProxy, IPFamily, str, bool, bool, str]] = [
    ("TCP of the captured family", SidecarProxy(), V4, INTERNET[V4], True, True, "captured"),
    ("UDP passes", SidecarProxy(), V4, INTERNET[V4], False, True, "passes"),
    ("the other family passes", SidecarProxy(), V6, INTERNET[V6], True, True, "passes"),
    ("or is rejected", SidecarProxy(rejects_other_family=True), V6, INTERNET[V6], True, True, "rejected"),
    ("dual-stack captures both", SidecarProxy(families=(V4, V6)), V6, INTERNET[V6], True, True, "captured"),
    ("loopback passes", SidecarProxy(families=(V4, V6)), V6, "::1", True, True, "passes"),
    ("an excluded range", SidecarProxy(excluded=("8.0.0.0/8",)), V4, INTERNET[V4], True, True, "passes"),
    ("outside the included ranges", SidecarProxy(included=("10.0.0.0/8",)), V4, INTERNET[V4], True, True, "passes"),
    ("ALLOW_ANY lets unregistered through", SidecarProxy(), V4, INTERNET[V4], True, False, "captured"),
    (
        "REGISTRY_ONLY does not",
        SidecarProxy(outbound_policy="REGISTRY_ONLY"),
        V4,
        INTERNET[V4],
        True,
        False,
        "rejected",
    ),
]


@pytest.mark.parametrize(
    ("reason", "proxy", "family", "destination", "tcp", "registered", "what"),
    CAPTURED,
    ids=[row[0] for row in CAPTURED],
)
def test_what_a_sidecar_captures(
    reason: str, proxy: SidecarProxy, family: IPFamily, destination: str, what: str, *, tcp: bool, registered: bool
) -> None:
    column = parse_addresses([destination], family=family)
    code = proxy.capture(column, tcp=np.array([tcp]), registered=np.array([registered]))
    assert CAPTURES[code[0]].value == what, reason
    assert proxy.chains(family, CLUSTER) == (), "the proxy's own connection starts at the pod's address"
