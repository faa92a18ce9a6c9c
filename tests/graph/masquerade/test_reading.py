"""What a dump says about masquerading is read; what it does not say is unknown, and named."""

from typing import Any

import pytest
from masquerade_oracle import INTERNET, POD, cluster, flows

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.state import Cluster
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
    UnreadMasquerade,
    read_masquerades,
    translate,
)
from dsmodel.graph.masquerade.kube_ovn import NatPolicyRule
from dsmodel.graph.masquerade.masquerade_agent import RESERVED_CIDRS
from dsmodel.kube.masquerade_agent import MasqueradeAgentConfig

V4, V6 = IPFamily.IPV4, IPFamily.IPV6


def config_map(name: str, namespace: str = "kube-system", /, **data: str) -> dict[str, Any]:
    texts = {key.replace("__", "."): text for key, text in data.items()}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": texts}


def daemon_set(container: str, *args: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    spec = {"name": container, "image": f"{container}:v1", "command": [f"/{container}"], "args": list(args)}
    spec["env"] = [{"name": name, "value": value} for name, value in (env or {}).items()]
    metadata = {"name": container, "namespace": "kube-system"}
    template = {"spec": {"containers": [spec]}}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": {"template": template}}


def crd(kind: str, api: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}


def pool(name: str, **spec: Any) -> dict[str, Any]:
    return crd("IPPool", "crd.projectcalico.org/v1", name, spec)


def holding(*objects: dict[str, Any]) -> Cluster:
    found = cluster()
    found.objects = found.objects.adding(objects)
    return found


PROXY = config_map("kube-proxy", config__conf="clusterCIDR: 10.244.0.0/16,fd00:10:244::/56\nmode: iptables\n")
OWN_PROXY = KubeProxy(cluster_cidrs=("10.244.0.0/16", "fd00:10:244::/56"))
OVN = daemon_set("ovnkube-node")
EGRESS_RULES = [{"match": {"dstIPs": "172.16.0.0/12,192.168.0.0/16"}, "action": "forward"}]

READ: list[tuple[str, list[dict[str, Any]], list[Any]]] = [
    ("kube-proxy from its file", [PROXY, OVN], [OWN_PROXY, OvnKubernetes()]),
    (
        "every setting of the file",
        [
            config_map(
                "kube-proxy",
                config__conf=(
                    "mode: nftables\ndetectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: veth}\n"
                    "nftables: {masqueradeAll: true, masqueradeBit: 15}\niptables: {masqueradeAll: false}\n"
                ),
            ),
            OVN,
        ],
        [
            KubeProxy(
                mode="nftables",
                detect_local_mode="InterfaceNamePrefix",
                interface="veth",
                masquerade_all=True,
                masquerade_bit=15,
            ),
            OvnKubernetes(),
        ],
    ),
    (
        "kube-proxy from its flags",
        [daemon_set("kube-proxy", "--cluster-cidr=10.244.0.0/16", "--masquerade-all", "--proxy-mode", "ipvs"), OVN],
        [KubeProxy(mode="ipvs", cluster_cidrs=("10.244.0.0/16",), masquerade_all=True), OvnKubernetes()],
    ),
    (
        "ip-masq-agent with file and flags; no plugin in the dump",
        [
            PROXY,
            daemon_set("ip-masq-agent", "--enable-ipv6", "--to-ports=1024-29999,32768-65535", "--masq-chain=IP-MASQ"),
            config_map("ip-masq-agent", config="nonMasqueradeCIDRs: [10.0.0.0/8, 'fd00::/8']\nmasqLinkLocal: true\n"),
        ],
        [
            OWN_PROXY,
            MasqueradeAgent(
                MasqueradeAgentConfig(("10.0.0.0/8", "fd00::/8"), masq_link_local=True),
                enable_ipv6=True,
                to_ports=((1024, 29999), (32768, 65535)),
                masq_chain="IP-MASQ",
            ),
        ],
    ),
    (
        "ip-masq-agent of the add-on, without a file",
        [PROXY, daemon_set("ip-masq-agent", "--masq-chain=IP-MASQ", "--nomasq-all-reserved-ranges")],
        [OWN_PROXY, MasqueradeAgent(MasqueradeAgentConfig(RESERVED_CIDRS), masq_chain="IP-MASQ")],
    ),
    (
        "the merged files of AKS",
        [
            PROXY,
            daemon_set("azure-ip-masq-agent", "--enable-ipv6=true"),
            {
                **config_map("azure-ip-masq-agent-config-reconciled"),
                "data": {"ip-masq-agent-reconciled": "nonMasqueradeCIDRs: [10.1.0.0/16]\nmasqLinkLocal: true\n"},
            },
        ],
        [
            OWN_PROXY,
            MasqueradeAgent(MasqueradeAgentConfig(("10.1.0.0/16",), masq_link_local=True), enable_ipv6=True),
        ],
    ),
    (
        "Calico comes before what is appended, and variables override felix's object",
        [
            PROXY,
            daemon_set("calico-node", env={"FELIX_NATPORTRANGE": "40000:50000"}),
            daemon_set("ip-masq-agent"),
            pool("v4", cidr="10.244.0.0/16", natOutgoing=True),
            pool("v6", cidr="fd00:10:244::/56", disabled=True, allowedUses=["LoadBalancer"]),
            crd(
                "FelixConfiguration",
                "crd.projectcalico.org/v1",
                "default",
                {"natPortRange": "1:2", "natOutgoingExclusions": "IPPoolsAndHostIPs", "bpfEnabled": True},
            ),
        ],
        [
            OWN_PROXY,
            Calico(
                pools=(
                    CalicoPool("10.244.0.0/16", nat_outgoing=True),
                    CalicoPool("fd00:10:244::/56", disabled=True, allowed_uses=("LoadBalancer",)),
                ),
                exclusions="IPPoolsAndHostIPs",
                nat_port_range="40000:50000",
                bpf=True,
            ),
            MasqueradeAgent(),
        ],
    ),
    (
        "Cilium with its own agent, last of all",
        [
            {
                **config_map("cilium-config"),
                "data": {
                    "enable-bpf-masquerade": "true",
                    "enable-ipv6-masquerade": "false",
                    "routing-mode": "native",
                    "ipv4-native-routing-cidr": "10.0.0.0/8",
                    "enable-ip-masq-agent": "true",
                },
            },
            config_map("ip-masq-agent", config="nonMasqueradeCIDRs: [172.16.0.1/12]"),
            crd("CiliumNode", "cilium.io/v2", "worker-1", {"ipam": {"podCIDRs": ["10.9.0.0/24"]}}),
            PROXY,
        ],
        [
            OWN_PROXY,
            Cilium(
                native_routing_cidrs=("10.0.0.0/8",),
                tunnel=False,
                bpf=True,
                masquerade=(V4,),
                agent=MasqueradeAgentConfig(("172.16.0.0/12",), 16_384),
                pod_cidrs=("10.9.0.0/24",),
            ),
        ],
    ),
    (
        "Cilium of old: tunnel disabled",
        [PROXY, {**config_map("cilium-config"), "data": {"tunnel": "disabled"}}],
        [OWN_PROXY, Cilium(tunnel=False)],
    ),
    (
        "Antrea",
        [PROXY, config_map("antrea-config", **{"antrea-agent__conf": "trafficEncapMode: noEncap\nnoSNAT: true\n"})],
        [OWN_PROXY, Antrea(traffic_encap_mode="noEncap", no_snat=True)],
    ),
    (
        "Antrea with a name that has a hash, Cilium in a namespace of its own",
        [
            PROXY,
            config_map("antrea-config-h5c9", **{"antrea-agent__conf": "trafficEncapMode: networkPolicyOnly\n"}),
            config_map("cilium-config", "cilium"),
        ],
        [OWN_PROXY, Antrea(traffic_encap_mode="networkPolicyOnly"), Cilium()],
    ),
    (
        "Kube-OVN, Subnets of other VPCs left out",
        [
            PROXY,
            crd(
                "Subnet",
                "kubeovn.io/v1",
                "ovn-default",
                {
                    "cidrBlock": "10.16.0.0/16,fd00:10:16::/112",
                    "natOutgoing": True,
                    "vpc": "ovn-cluster",
                    "natOutgoingPolicyRules": EGRESS_RULES,
                },
            ),
            crd("Subnet", "kubeovn.io/v1", "other", {"cidrBlock": "10.17.0.0/16", "vpc": "tenant"}),
        ],
        [
            OWN_PROXY,
            KubeOvn(
                (
                    KubeOvnSubnet(
                        "ovn-default",
                        ("10.16.0.0/16", "fd00:10:16::/112"),
                        nat_outgoing=True,
                        rules=(NatPolicyRule("forward", destinations=("172.16.0.0/12", "192.168.0.0/16")),),
                    ),
                )
            ),
        ],
    ),
    (
        "AWS VPC CNI, IPv4 cluster",
        [
            PROXY,
            daemon_set(
                "aws-node",
                env={
                    "AWS_VPC_K8S_CNI_EXTERNALSNAT": "true",
                    "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "172.16.0.0/12, 192.168.0.0/16",
                    "ENABLE_V6_EGRESS": "true",
                    "AWS_VPC_K8S_CNI_RANDOMIZESNAT": "none",
                },
            ),
        ],
        [
            OWN_PROXY,
            AwsVpcCni(
                external_snat=True,
                exclude_cidrs=("172.16.0.0/12", "192.168.0.0/16"),
                other_family_egress=True,
                randomize="none",
            ),
        ],
    ),
    (
        "AWS VPC CNI, IPv6 cluster",
        [PROXY, daemon_set("aws-node", env={"ENABLE_IPv6": "true"})],
        [OWN_PROXY, AwsVpcCni(ip_family=V6)],
    ),
    (
        "flannel",
        [
            PROXY,
            daemon_set("kube-flannel", "--ip-masq", "--kube-subnet-mgr"),
            {
                **config_map("kube-flannel-cfg", "kube-flannel"),
                "data": {"net-conf.json": '{"Network": "10.244.0.0/16", "EnableNFTables": true}'},
            },
        ],
        [OWN_PROXY, Flannel(networks=("10.244.0.0/16",), ip_masq=True, backend="nftables")],
    ),
    (
        "kube-router",
        [PROXY, daemon_set("kube-router", "--enable-pod-egress=false")],
        [OWN_PROXY, KubeRouter(enable_pod_egress=False)],
    ),
]


@pytest.mark.parametrize(("reason", "objects", "masquerades"), READ, ids=[row[0] for row in READ])
def test_what_is_there_is_read(reason: str, objects: list[dict[str, Any]], masquerades: list[Any]) -> None:
    found, findings = read_masquerades(holding(*objects))
    assert list(found) == masquerades, reason
    assert all(len(each) == 4 for each in findings)


UNREAD: list[tuple[str, list[dict[str, Any]], str, str]] = [
    ("Calico without pools", [daemon_set("calico-node")], "Calico", "IPPools are not in the dump"),
    ("Cilium without its ConfigMap", [daemon_set("cilium-agent")], "Cilium", "cilium-config is not in the dump"),
    (
        "Cilium in a cloud",
        [{**config_map("cilium-config"), "data": {"ipam": "eni"}}],
        "Cilium",
        "finds the native-routing CIDR in the cloud",
    ),
    (
        "Cilium with a routing mode that is none",
        [{**config_map("cilium-config"), "data": {"routing-mode": "ipsec"}}],
        "Cilium",
        "routing-mode 'ipsec' is refused",
    ),
    (
        "Cilium with a switch that is none",
        [{**config_map("cilium-config"), "data": {"enable-bpf-masquerade": "maybe"}}],
        "Cilium",
        "'maybe' is no boolean",
    ),
    ("Antrea without its file", [daemon_set("antrea-agent")], "Antrea", "antrea-config is not in the dump"),
    ("Kube-OVN without Subnets", [daemon_set("cni-server")], "Kube-OVN", "Subnets are not in the dump"),
    (
        "flannel without its DaemonSet",
        [config_map("kube-flannel-cfg", **{"net-conf__json": "{}"})],
        "flannel",
        "whether it has --ip-masq is not known",
    ),
    (
        "flannel with a network that is none",
        [daemon_set("kube-flannel"), config_map("kube-flannel-cfg", **{"net-conf__json": '{"Network": "x"}'})],
        "flannel",
        "'x'",
    ),
    (
        "a shell starts kube-router",
        [
            {
                **daemon_set("kube-router"),
                "spec": {
                    "template": {
                        "spec": {"containers": [{"name": "kube-router", "command": ["sh", "-c", "exec kube-router"]}]}
                    }
                },
            }
        ],
        "kube-router",
        "started by a shell",
    ),
    (
        "a flag from a variable",
        [daemon_set("kube-router", "--enable-pod-egress=$(EGRESS)")],
        "kube-router",
        "takes its value from a variable",
    ),
    (
        "a flag that is no boolean",
        [daemon_set("kube-router", "--enable-pod-egress=perhaps")],
        "kube-router",
        "perhaps",
    ),
    (
        "ip-masq-agent's flags",
        [config_map("ip-masq-agent", config="{}")],
        "ip-masq-agent",
        "--enable-ipv6 are not known",
    ),
    ("ip-masq-agent's file", [daemon_set("ip-masq-agent")], "ip-masq-agent", "ip-masq-agent is not in the dump"),
    (
        "ip-masq-agent's file of a wrong type",
        [daemon_set("ip-masq-agent"), config_map("ip-masq-agent", config="nonMasqueradeCIDRs: 10.0.0.0/8")],
        "ip-masq-agent",
        "is no list of text",
    ),
    (
        "ip-masq-agent's file that is no YAML",
        [daemon_set("ip-masq-agent"), config_map("ip-masq-agent", config="a: b: c")],
        "ip-masq-agent",
        "is no YAML",
    ),
    ("AKS without fragments", [daemon_set("azure-ip-masq-agent")], "ip-masq-agent", "azure-ip-masq-agent-config"),
    (
        "kube-proxy's file",
        [daemon_set("kube-proxy", "--config=/var/lib/kube-proxy/config.conf"), OVN],
        "kube-proxy",
        "ConfigMap kube-system/kube-proxy is not in the dump",
    ),
    (
        "kube-proxy's bit",
        [config_map("kube-proxy", config__conf="iptables: {masqueradeBit: 99}"), OVN],
        "kube-proxy",
        "masqueradeBit 99 is refused",
    ),
    ("kube-proxy and nothing else", [PROXY], "network plugin", "shows no network plugin"),
]


@pytest.mark.parametrize(("reason", "objects", "component", "words"), UNREAD, ids=[row[0] for row in UNREAD])
def test_what_is_not_there_is_unknown(reason: str, objects: list[dict[str, Any]], component: str, words: str) -> None:
    known = holding(*objects)
    found, findings = read_masquerades(known)
    unread = [each for each in found if isinstance(each, UnreadMasquerade)]
    assert [each.component for each in unread] == [component], reason
    assert words in unread[0].why
    assert ("warning", "masquerade-unknown", component, unread[0].why) in findings
    answer = translate(found, flows(V4, [(POD[V4], INTERNET[V4])]), known)
    assert answer.has_source.tolist() == [False], "no flow is said to leave as it is, or not"


def test_a_dump_without_anything_says_so() -> None:
    found, findings = read_masquerades(holding())
    assert found == ()
    assert [each[1] for each in findings] == ["kube-proxy-not-in-dump", "masquerade-unknown"]


ASSUMED = [
    (
        "felix's defaults",
        [PROXY, pool("v4", cidr="10.244.0.0/16", natOutgoing=True)],
        "masquerade-default-assumed",
    ),
    ("the agent's defaults", [PROXY, daemon_set("ip-masq-agent")], "masquerade-default-assumed"),
    ("flannel's networks", [PROXY, daemon_set("kube-flannel", "--ip-masq")], "masquerade-default-assumed"),
    ("no plugin beside the agent", [PROXY, daemon_set("ip-masq-agent")], "masquerade-plugin-assumed"),
    (
        "the order of appended chains",
        [PROXY, daemon_set("ip-masq-agent"), daemon_set("kube-router")],
        "masquerade-order-assumed",
    ),
    (
        "another VPC",
        [PROXY, crd("Subnet", "kubeovn.io/v1", "a", {"cidrBlock": "10.16.0.0/16", "vpc": "tenant"})],
        "masquerade-default-assumed",
    ),
    (
        "a field that is none",
        [PROXY, pool("v4", cidr="10.244.0.0/16", **{"nat-outgoing": True})],
        "calico-unknown-field",
    ),
]


@pytest.mark.parametrize(("reason", "objects", "rule"), ASSUMED, ids=[row[0] for row in ASSUMED])
def test_what_is_assumed_is_said(reason: str, objects: list[dict[str, Any]], rule: str) -> None:
    assert rule in [each[1] for each in read_masquerades(holding(*objects))[1]], reason


def test_findings_of_the_components_are_among_them() -> None:
    _, findings = read_masquerades(holding(config_map("kube-proxy", config__conf="clusterCIDR: 10.244.0.0/16"), OVN))
    assert ("kube-proxy-cannot-tell-pods", True) in [(each[1], "IPv6" in each[3]) for each in findings]
