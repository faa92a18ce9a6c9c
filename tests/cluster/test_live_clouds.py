"""Managed clusters are known by their marks: dumps with objects of GKE, EKS and AKS, and what these leave unsaid."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import dsmodel as ds
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni import GKE, AzureOverlay, AzureSubnet, Calico, Cilium
from dsmodel.cni.elsewhere import Elsewhere
from dsmodel.reports import start_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dsmodel import Cluster

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
SUBNET = "2600:1900:4000:af4e"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Cluster]:
    def read(*objects: dict[str, Any], **keys: Any) -> Cluster:
        path = tmp_path / "dump.json"
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        return ds.read_cluster(path, **keys)

    return read


def node(
    name: str, labels: dict[str, str], *, cidrs: list[str], internal: list[str], pods: int = 110
) -> dict[str, Any]:
    addresses = [{"type": "InternalIP", "address": text} for text in internal]
    spec: dict[str, Any] = {"podCIDR": cidrs[0], "podCIDRs": cidrs} if cidrs else {}
    status = {
        "addresses": [*addresses, {"type": "Hostname", "address": name}],
        "allocatable": {"pods": str(pods)},
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kubeletVersion": "v1.30.5"},
    }
    metadata = {"name": name, "labels": {"kubernetes.io/os": "linux", **labels}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": status}


def pod(
    name: str, on: str, *ips: str, namespace: str = "shop", container: dict[str, Any] | None = None
) -> dict[str, Any]:
    spec = {"nodeName": on, "hostNetwork": container is not None, "containers": [container or {"name": "c"}]}
    status = {"phase": "Running", "podIP": ips[0], "podIPs": [{"ip": text} for text in ips]}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def thing(kind: str, version: str, name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "kube-system"}, **more}


def rules(cluster: Cluster) -> dict[str, str]:
    return {rule: about for _, rule, about, _ in cluster.plugin_findings}


# GKE ---------------------------------------------------------------------------------------------------------------


def gke_node(
    number: int, block: str, *, pods: int = 110, dual: bool = True, name: str = "", **labels: str
) -> dict[str, Any]:
    marks = {
        "cloud.google.com/gke-nodepool": "default-pool",
        "cloud.google.com/gke-max-pods-per-node": str(pods),
        "cloud.google.com/gke-netd-ready": "true",
        "cloud.google.com/gke-os-distribution": "cos",
        "cloud.google.com/machine-family": "e2",
        "node.kubernetes.io/instance-type": "e2-standard-4",
        "topology.kubernetes.io/zone": f"europe-west1-{'bcd'[number % 3]}",
    } | labels
    cidrs = [text for text in (block, f"{SUBNET}:0:{number}::/112" if dual else "") if text]
    internal = [f"10.132.0.{number + 2}", *([f"{SUBNET}:0:{number}::"] if dual else [])]
    return node(name or f"gke-shop-default-pool-{number}", marks, cidrs=cidrs, internal=internal, pods=pods)


def proxy(on: str) -> dict[str, Any]:
    line = (
        "exec kube-proxy --master=https://10.132.0.1 --cluster-cidr=10.4.0.0/14 --oom-score-adj=-998 1>>/var/log/p 2>&1"
    )
    container = {
        "name": "kube-proxy",
        "image": "gke.gcr.io/kube-proxy-amd64:v1.30.5",
        "command": ["/bin/sh", "-c", line],
    }
    return pod(f"kube-proxy-{on}", on, "10.132.0.2", namespace="kube-system", container=container)


def anetd(on: str) -> dict[str, Any]:
    container = {"name": "cilium-agent", "image": "gke.gcr.io/cilium/cilium:v1.15"}
    return pod("anetd-x7k2p", on, "10.132.0.2", namespace="kube-system", container=container)


def test_gke_is_known_by_its_labels_and_goes_on_as_the_cloud_does(read: Callable[..., Cluster]) -> None:
    names = [f"gke-shop-default-pool-{number}" for number in range(3)]
    cluster = read(
        *(gke_node(number, f"10.4.{number}.0/24") for number in range(3)),
        proxy(names[0]),
        pod("web-0", names[1], "10.4.1.7", f"{SUBNET}:0:1:0:7"),
        pod("web-1", names[1], "10.4.1.8", f"{SUBNET}:0:1:0:8"),
    )
    plugin = cluster.network_plugin
    assert isinstance(plugin, GKE)
    assert (plugin.provenance.plugin, plugin.max_nodes, rules(cluster)) == ("gke, dataplane v1", 1024, {})
    assert cluster.config.cluster_cidrs == plugin.cidrs == (Cidr("10.4.0.0/14"), Cidr(f"{SUBNET}::/64"))
    frame = ds.reports.utilization(cluster).set_index(["pool", "ip_family"])
    assert frame.loc[("node blocks", "IPv4"), ["used", "usable", "seen_on_pods"]].tolist() == [3, 1024, 3]
    assert frame.loc[("node blocks", "IPv6"), ["used", "usable", "seen_on_pods"]].tolist() == [3, 2**32, 3]
    assert frame.loc[("pod addresses", "IPv4"), ["used", "usable", "seen_on_pods"]].tolist() == [2, 759, 2]
    assert not set(ds.check(cluster)["rule"]) & {"pod-outside-node-block", "node-ipam-does-not-start"}
    verified = ds.verify(cluster)
    assert verified["match_ratio"].eq(1).all()
    limits = ds.reports.limits(cluster).set_index(["pool", "ip_family"])
    assert limits.loc[("node blocks", "IPv4"), "free"] == 1021
    # what-ifs: the next node, and pods in both families
    assert cluster.add_nodes(["next"]).granted == 1
    assert cluster.add_pods([3, 3]).granted == 2
    last = cluster.pods.to_frame().iloc[-1]
    assert (last["pod_ipv4"], last["pod_ipv6"]) == ("10.4.3.3", f"{SUBNET}:0:3:0:3")
    assert cluster.node_ipam is None
    # no kube-controller-manager of a cloud refuses a /64 cut into /112
    assert not start_up.audit(cluster)["severity"].isin(["fatal", "error"]).any()


@pytest.mark.parametrize("with_objects", [False, True])
def test_dataplane_v2_is_cilium_on_podcidrs(read: Callable[..., Cluster], *, with_objects: bool) -> None:
    """CiliumNodes of Dataplane V2 repeat podCIDRs; an operator of its own would not."""
    one = gke_node(0, "10.4.0.0/24", dual=False)
    mirror = thing("CiliumNode", "cilium.io/v2", one["metadata"]["name"], spec={"ipam": {"podCIDRs": ["10.4.0.0/24"]}})
    cluster = read(one, mirror if with_objects else anetd(one["metadata"]["name"]))
    assert isinstance(cluster.network_plugin, GKE)
    assert cluster.network_plugin.provenance.plugin == "gke, dataplane v2"
    assert cluster.network_plugin.usage()[-1].usable == 254
    own = thing("CiliumNode", "cilium.io/v2", one["metadata"]["name"], spec={"ipam": {"podCIDRs": ["10.0.7.0/24"]}})
    assert isinstance(read(one, own).network_plugin, Cilium)


def test_pod_ranges_that_nobody_names_are_guessed_and_said_to_be(read: Callable[..., Cluster]) -> None:
    things = [gke_node(number, f"10.4.{number}.0/24", dual=False) for number in range(3)]
    cluster = read(*things, anetd("gke-shop-default-pool-0"))
    assert rules(cluster) == {"gke-pod-ranges-not-known": "Cluster"}
    assert cluster.network_plugin.cidrs == (Cidr("10.4.0.0/22"),)
    config = ds.ClusterConfig.of(kube_version="1.30", cluster_cidrs=["10.4.0.0/14"])
    told = read(*things, anetd("gke-shop-default-pool-0"), config=config)
    assert (told.network_plugin.max_nodes, rules(told)) == (1024, {})
    more = read(*things, gke_node(9, "10.200.1.0/24", dual=False), anetd("gke-shop-default-pool-0"), config=config)
    assert more.network_plugin.cidrs == (Cidr("10.4.0.0/14"), Cidr("10.200.1.0/24"))
    assert rules(more) == {"gke-pod-ranges-not-known": "Cluster"}


@pytest.mark.parametrize(
    ("block", "pods", "severity", "words"),
    [
        ("10.4.0.0/24", 110, None, ""),
        ("10.4.0.0/26", 32, None, ""),
        ("10.4.0.0/26", 225, "error", "225 pods take a /23: at most 64 of them"),  # karpenter-provider-gcp#120
        ("10.4.0.0/25", 110, "warning", "cannot rest"),
        ("10.4.0.0/24", 32, "info", "4 nodes of this maximum fit"),
    ],
)
def test_blocks_are_those_of_the_maximum_of_pods(
    read: Callable[..., Cluster], block: str, pods: int, severity: str | None, words: str
) -> None:
    cluster = read(gke_node(0, block, pods=pods, dual=False), proxy("gke-shop-default-pool-0"))
    found = [each for each in cluster.plugin_findings if each[1] == "gke-block-not-of-max-pods"]
    assert [each[0] for each in found] == ([severity] if severity else [])
    assert all(words in each[3] for each in found)
    shown = ds.check(cluster)
    assert ("gke-block-not-of-max-pods" in set(shown["rule"])) == (severity in {"error", "warning"})


def test_node_pools_of_several_maxima_share_a_range(read: Callable[..., Cluster]) -> None:
    """Two /26 take one /24 and a /23 two; a node that leaves frees a block only if nobody else is in it."""
    cluster = read(
        gke_node(0, "10.4.0.0/24", dual=False),
        gke_node(1, "10.4.1.0/24", dual=False),
        gke_node(2, "10.4.2.0/26", pods=32, dual=False),
        gke_node(3, "10.4.2.64/26", pods=32, dual=False),
        gke_node(4, "10.4.4.0/23", pods=250, dual=False),
        proxy("gke-shop-default-pool-0"),
    )
    plugin = cluster.network_plugin
    assert isinstance(plugin, GKE)
    assert (plugin.usage()[0].used, rules(cluster)) == (5, {})
    names = [f"gke-shop-default-pool-{number}" for number in range(5)]
    assert cluster.remove_nodes([names[2]]).granted == 1
    assert cluster.network_plugin.usage()[0].used == 5
    assert cluster.remove_nodes([names[3], names[4]]).granted == 2
    assert cluster.network_plugin.usage()[0].used == 2
    frame = ds.reports.limits(cluster)
    assert frame.set_index("pool").loc["pods per node", "usable"] == 220


def test_gke_nodes_that_break_the_rules_of_ipv6(read: Callable[..., Cluster]) -> None:
    strange = gke_node(1, "10.4.1.0/24")
    strange["spec"]["podCIDRs"][1] = f"{SUBNET}:0:9::/112"
    wide = gke_node(2, "10.4.2.0/24")
    wide["spec"]["podCIDRs"][1] = f"{SUBNET}:0:2::/96"
    old = gke_node(3, "10.4.3.0/24", dual=False)
    cluster = read(gke_node(0, "10.4.0.0/24"), strange, wide, old, proxy("gke-shop-default-pool-0"))
    told = [(rule, about) for _, rule, about, _ in cluster.plugin_findings]
    assert told == [
        ("gke-node-lacks-family", "Node/gke-shop-default-pool-3"),
        ("gke-ipv6-block-not-of-interface", "Node/gke-shop-default-pool-1"),
        ("gke-ipv6-block-not-of-interface", "Node/gke-shop-default-pool-2"),
    ]
    verified = ds.verify(cluster).set_index("what")
    row = verified.loc["node ranges, IPv6: the first /112 of its interface"]
    assert (row["checked"], row["matching"]) == (3, 1)
    assert row["first_difference"] == f"Node/gke-shop-default-pool-1: {SUBNET}:0:9::/112"
    row = verified.loc["node ranges, IPv4: of the length of its maximum of pods"]
    assert (row["checked"], row["matching"]) == (4, 4)


def test_gke_nodes_without_any_range_run_no_pods(read: Callable[..., Cluster]) -> None:
    cluster = read(
        gke_node(0, "10.4.0.0/24", dual=False), gke_node(1, "", dual=False), proxy("gke-shop-default-pool-0")
    )
    found = ds.check(cluster).set_index("rule")
    assert found.loc["node-without-plugin-range", "object"] == "Node/gke-shop-default-pool-1"


def test_ipv6_only_gke(read: Callable[..., Cluster]) -> None:
    cluster = read(gke_node(0, ""), gke_node(1, ""), anetd("gke-shop-default-pool-0"))
    plugin = cluster.network_plugin
    assert isinstance(plugin, GKE)
    assert (plugin.ip_families, plugin.max_nodes, rules(cluster)) == ((V6,), 2**32, {})
    assert cluster.config.cluster_cidrs == (Cidr(f"{SUBNET}::/64"),)


def test_interface_ranges_are_pools_like_the_others(read: Callable[..., Cluster]) -> None:
    cluster = read(*(gke_node(number, f"10.4.{number}.0/24") for number in range(3)), proxy("gke-shop-default-pool-0"))
    frame = ds.reports.fragmentation(cluster)
    row = frame[(frame["pool"] == "node blocks") & (frame["ip_family"] == "IPv6") & (frame["prefix_length"] == 96)]
    assert row["range"].tolist() == [f"{SUBNET}::/64 in /96 blocks"]
    assert row["free_blocks"].tolist() == [2**32 - 3]


# AWS ---------------------------------------------------------------------------------------------------------------


def eks_node(number: int) -> dict[str, Any]:
    labels = {"eks.amazonaws.com/nodegroup": "main", "node.kubernetes.io/instance-type": "t3.small"}
    return node(f"ip-10-0-{number}-170.ec2.internal", labels, cidrs=[], internal=[f"10.0.{number}.170"], pods=11)


def aws_node(**env: str) -> dict[str, Any]:
    variables = [{"name": name, "value": text} for name, text in env.items()]
    container = {"name": "aws-node", "image": "amazon-k8s-cni:v1.19.6", "env": variables}
    template = {
        "metadata": {"labels": {"k8s-app": "aws-node"}},
        "spec": {"hostNetwork": True, "containers": [container]},
    }
    return thing("DaemonSet", "apps/v1", "aws-node", spec={"template": template})


def test_eks_is_not_taken_for_host_local(read: Callable[..., Cluster]) -> None:
    cluster = read(eks_node(10), aws_node(WARM_ENI_TARGET="1"), pod("web", "ip-10-0-10-170.ec2.internal", "10.0.10.20"))
    assert isinstance(cluster.network_plugin, Elsewhere)
    assert set(rules(cluster)) == {"aws-state-not-in-dump"}
    told = cluster.findings.to_frame().set_index("rule").loc["aws-state-not-in-dump", "message"]
    assert "WARM_ENI_TARGET=1" in told
    assert "dsmodel.cni.aws.read_interfaces" in told
    assert ds.check(cluster).empty  # no pod outside its podCIDR: there is none
    assert not ds.reports.utilization(cluster)["pool"].isin(["pod addresses", "node blocks"]).any()
    with pytest.raises(ds.errors.InvalidInput, match=r"what_if\(cluster, network_plugin=...\)"):
        cluster.copy().add_pods([0])
    subnet = ds.cni.AwsVpcCni(Cidr("10.0.10.0/24"), interfaces=ds.cni.aws.Interfaces(3, 4))
    modelled = ds.what_if(cluster, network_plugin=subnet)
    assert "subnet addresses" in set(ds.reports.utilization(modelled)["pool"])


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"}, ""),
        ({"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "0"}, "one target is above 0"),
        ({"WARM_IP_TARGET": "-2"}, "use 0 or more"),
        ({"WARM_IP_TARGET": "five"}, "no whole number"),
        ({"ENABLE_IPv4": "true", "ENABLE_IPv6": "true", "ENABLE_PREFIX_DELEGATION": "true"}, "does not start"),
        ({"ENABLE_IPv4": "false", "ENABLE_IPv6": "true"}, "without ENABLE_PREFIX_DELEGATION"),
    ],
)
def test_settings_that_ipamd_refuses(read: Callable[..., Cluster], env: dict[str, str], words: str) -> None:
    cluster = read(eks_node(10), aws_node(**env))
    found = [text for severity, rule, _, text in cluster.plugin_findings if rule == "aws-invalid-setting"]
    assert len(found) == bool(words)
    assert all(words in text for text in found)


def test_marks_of_eks_without_its_agent(read: Callable[..., Cluster]) -> None:
    """Without the DaemonSet in the dump, labels and CNINodes tell, unless nodes have podCIDRs of something else."""
    assert set(rules(read(eks_node(10)))) == {"aws-state-not-in-dump"}
    bare = node("a", {}, cidrs=[], internal=["10.0.1.1"])
    cninode = thing(
        "CNINode", "vpcresources.k8s.aws/v1alpha1", "a", spec={"features": [{"name": "SecurityGroupsForPods"}]}
    )
    assert set(rules(read(bare, cninode))) == {"aws-state-not-in-dump"}
    other = eks_node(10)
    other["spec"]["podCIDRs"] = ["192.168.0.0/24"]
    assert read(other).network_plugin is None


def test_calico_for_policies_beside_aws(read: Callable[..., Cluster]) -> None:
    pool = thing("IPPool", "crd.projectcalico.org/v1", "default-ipv4-ippool", spec={"cidr": "172.16.0.0/16"})
    served = read(eks_node(10), aws_node(), pool, pod("web", "ip-10-0-10-170.ec2.internal", "10.0.10.20"))
    assert isinstance(served.network_plugin, Elsewhere)
    own = read(eks_node(10), aws_node(), pool, pod("web", "ip-10-0-10-170.ec2.internal", "172.16.0.20"))
    assert isinstance(own.network_plugin, Calico)


# Azure -------------------------------------------------------------------------------------------------------------


def aks_node(number: int, *cidrs: str, **labels: str) -> dict[str, Any]:
    marks = {"kubernetes.azure.com/cluster": "MC_rg_aks", "kubernetes.azure.com/agentpool": "nodepool1"}
    marks |= {f"kubernetes.azure.com/{key.replace('_', '-')}": text for key, text in labels.items()}
    return node(f"aks-nodepool1-{number}", marks, cidrs=list(cidrs), internal=[f"10.224.0.{number + 4}"], pods=250)


def network_config(name: str, *addresses: str, returned: int = 0) -> dict[str, Any]:
    entries = [{"name": f"id-{place}", "ip": text} for place, text in enumerate(addresses)]
    container = {"id": "n", "primaryIP": "10.241.0.4", "subnetAddressSpace": "10.241.0.0/16", "type": "vnet"}
    status = {"networkContainers": [container | {"ipAssignments": entries}], "scaler": {"batchSize": 16}}
    spec = {"requestedIPCount": len(addresses), "ipsNotInUse": [f"id-{place}" for place in range(returned)]}
    return thing("NodeNetworkConfig", "acn.azure.com/v1alpha", name, spec=spec, status=status)


def test_aks_overlay_by_its_label(read: Callable[..., Cluster]) -> None:
    nodes = [aks_node(n, f"10.244.{n}.0/24", podnetwork_type="overlay") for n in range(2)]
    cluster = read(*nodes, pod("web", "aks-nodepool1-1", "10.244.1.255"))
    assert isinstance(cluster.network_plugin, AzureOverlay)
    assert set(rules(cluster)) == {"azure-blocks-from-pod-cidrs"}
    frame = ds.reports.utilization(cluster).set_index("pool").loc["pod addresses"]
    assert (frame["usable"], frame["used"], frame["seen_on_pods"]) == (512, 1, 1)
    assert ds.check(cluster).empty


def test_aks_counts_the_batches_that_nodes_hold(read: Callable[..., Cluster]) -> None:
    """Of 16 addresses two are on pods and one is on its way back to the subnet; one more is the container's own."""
    batch = [f"10.241.0.{last}" for last in range(5, 21)]
    cluster = read(
        aks_node(0, podnetwork_type="vnet"),
        aks_node(1, podnetwork_type="vnet"),
        network_config("aks-nodepool1-0", *batch, returned=1),
        pod("a", "aks-nodepool1-0", "10.241.0.7"),
        pod("b", "aks-nodepool1-0", "10.241.0.9"),
    )
    assert isinstance(cluster.network_plugin, AzureSubnet)
    assert set(rules(cluster)) == {"azure-subnet-of-others"}
    frame = ds.reports.utilization(cluster).set_index("pool")
    assert frame.loc["pod addresses", ["usable", "used", "seen_on_pods"]].tolist() == [15, 2, 2]
    assert frame.loc["subnet addresses", ["range", "usable", "used"]].tolist() == ["10.241.0.0/16", 65531, 16]
    assert ds.check(cluster).empty
    assert ds.verify(cluster)["match_ratio"].eq(1).all()
    mine = ds.reports.fragmentation(cluster, lengths=[28])
    assert mine[mine["pool"] == "subnet addresses"]["free"].tolist() == [65515]
    # a node that had nothing fetches a batch for its first pod, and 20 pods on the other take a second one
    assert cluster.add_pods([1, *[0] * 20]).granted == 21
    assert ds.reports.utilization(cluster).set_index("pool").loc["subnet addresses", "used"] == 48


def test_addresses_of_another_subnet_count_nowhere(read: Callable[..., Cluster]) -> None:
    cluster = read(aks_node(0), network_config("aks-nodepool1-0", "10.241.0.5", "10.9.0.5", "10.241.0.5"))
    assert rules(cluster)["azure-address-outside-subnet"] == "Cluster"
    told = next(text for _, rule, _, text in cluster.plugin_findings if rule == "azure-address-outside-subnet")
    assert told.startswith("2 addresses")


def test_aks_node_subnet_and_kubenet(read: Callable[..., Cluster]) -> None:
    subnet = read(aks_node(0), pod("web", "aks-nodepool1-0", "10.224.0.21"))
    assert isinstance(subnet.network_plugin, Elsewhere)
    text = subnet.plugin_findings[0][3]
    assert "dsmodel.cni.azure.read_node" in text
    assert ds.check(subnet).empty
    kubenet = read(aks_node(0, "10.244.0.0/24"), pod("web", "aks-nodepool1-0", "10.244.0.21"))
    assert (kubenet.network_plugin, list(kubenet.plugin_findings)) == (None, [])


# Cilium on a cloud, Kube-OVN ---------------------------------------------------------------------------------------


def test_cilium_on_eni_counts_what_nodes_hold(read: Callable[..., Cluster]) -> None:
    settings = thing("ConfigMap", "v1", "cilium-config", data={"ipam": "eni"})
    pool = {"10.0.10.20": {"owner": "shop/web"}, "10.0.10.21": {}, "10.0.10.22": {}}
    shown = thing("CiliumNode", "cilium.io/v2", "ip-10-0-10-170.ec2.internal", spec={"ipam": {"pool": pool}})
    cluster = read(eks_node(10), settings, shown, pod("web", "ip-10-0-10-170.ec2.internal", "10.0.10.20"))
    assert isinstance(cluster.network_plugin, Elsewhere)
    frame = ds.reports.utilization(cluster).set_index("pool").loc["pod addresses"]
    assert (frame["usable"], frame["used"]) == (3, 1)


def test_cilium_that_delegates_leaves_addresses_to_azure(read: Callable[..., Cluster]) -> None:
    settings = thing("ConfigMap", "v1", "cilium-config", data={"ipam": "delegated-plugin"})
    shown = thing("CiliumNode", "cilium.io/v2", "aks-nodepool1-0", spec={"ipam": {}})
    cluster = read(aks_node(0, "10.244.0.0/24", podnetwork_type="overlay"), settings, shown)
    assert isinstance(cluster.network_plugin, AzureOverlay)


def test_kube_ovn_is_named_and_not_modelled(read: Callable[..., Cluster]) -> None:
    container = {"name": "cni-server", "image": "kubeovn/kube-ovn:v1.12"}
    agent = pod("kube-ovn-cni-abcde", "a", "10.0.1.1", namespace="kube-system", container=container)
    cluster = read(node("a", {}, cidrs=["10.16.0.0/24"], internal=["10.0.1.1"]), agent, pod("web", "a", "10.17.0.9"))
    assert set(rules(cluster)) == {"kube-ovn-not-modelled"}
    assert ds.check(cluster).empty
