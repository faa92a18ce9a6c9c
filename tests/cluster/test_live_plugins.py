"""Read clusters know their network plugin: recognised by its objects, filled with what they say, leaks told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dsmodel as ds
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.overview import card_of
from dsmodel.cni import (
    Antrea,
    AntreaIPPool,
    AzureOverlay,
    Calico,
    Cilium,
    Flannel,
    KubeRouter,
    MultiPool,
    OVNKubernetes,
    Whereabouts,
)
from dsmodel.cni.elsewhere import Elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dsmodel import Cluster

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
CALICO = "crd.projectcalico.org/v1"


def node(name: str, *cidrs: str, **annotations: str) -> dict[str, Any]:
    metadata = {"name": name, "annotations": {key.replace("__", "/"): text for key, text in annotations.items()}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"podCIDRs": list(cidrs)}, "status": {}}


def pod(name: str, on: str, *addresses: str) -> dict[str, Any]:
    status = {"phase": "Running", "podIP": addresses[0], "podIPs": [{"ip": text} for text in addresses]}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": on}, "status": status}


def thing(kind: str, version: str, name: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec, **more}


def config_map(namespace: str, name: str, **data: str) -> dict[str, Any]:
    data = {key.replace("_", "-"): text for key, text in data.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Cluster]:
    def read(*objects: dict[str, Any]) -> Cluster:
        path = tmp_path / "dump.json"
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        return ds.read_cluster(path)

    return read


def rules(cluster: Cluster) -> set[str]:
    return {rule for _, rule, _, _ in cluster.plugin_findings}


def calico_pool(cidr: str = "10.244.0.0/24", size: int = 29) -> dict[str, Any]:
    return thing("IPPool", CALICO, "v4", {"cidr": cidr, "blockSize": size})


def calico_block(cidr: str, owner: str, pods: dict[int, tuple[str, str]], queue: list[int]) -> dict[str, Any]:
    places = {ordinal: place for place, ordinal in enumerate(pods)}
    attributes = [
        {"handle_id": f"h-{name}", "secondary": {"pod": name, "namespace": "default", "node": on}}
        for name, on in pods.values()
    ]
    spec = {
        "cidr": cidr,
        "affinity": f"host:{owner}",
        "allocations": [places.get(ordinal) for ordinal in range(8)],
        "unallocated": queue,
        "attributes": attributes,
    }
    return thing("IPAMBlock", CALICO, cidr, spec)


def test_calico_goes_on_with_the_exact_next_address(read: Callable[..., Cluster]) -> None:
    cluster = read(
        node("b"),
        node("a"),
        pod("p", "a", "10.244.0.8"),
        calico_pool(),
        calico_block("10.244.0.8/29", "a", {0: ("p", "a")}, [6, 2, 3, 4, 5, 7, 1]),
    )
    assert isinstance(cluster.network_plugin, Calico)
    assert cluster.network_plugin.names == cluster.nodes["name"].tolist()
    assert cluster.plugin_findings == []
    place = cluster.nodes["name"].tolist().index("a")
    twin = cluster.copy()
    assert twin.add_pods([place, place]).granted == 2
    assert twin.pods.to_frame()["pod_ipv4"].tolist() == ["10.244.0.8", "10.244.0.14", "10.244.0.10"]
    frame = ds.reports.utilization(cluster).set_index("pool").loc["pod addresses"]
    assert (frame["allocated"], frame["seen_on_pods"], frame["usable"]) == (1, 1, 256)
    assert not (ds.check(cluster)["rule"] == "pod-outside-node-block").any()
    assert twin.remove_nodes(["a"]).granted == 1
    assert cluster.network_plugin.nodes == 2


def test_findings_card_and_check_judge_pods_by_the_plugin(read: Callable[..., Cluster]) -> None:
    """Nodes have podCIDRs that Calico ignores: no pod is outside; one that lies in no pool is told everywhere."""
    things = [
        node("a", "10.244.0.0/24"),
        pod("p", "a", "10.244.7.8"),
        calico_pool("10.244.7.0/24"),
        calico_block("10.244.7.8/29", "a", {0: ("p", "a"), 1: ("old", "a")}, [2, 3, 4, 5, 6, 7]),
    ]
    wanted = {"pod-outside-node-block", "pod-outside-plugin-ranges", "calico-address-leaked"}

    def told(cluster: Cluster) -> list[set[str]]:
        card = {row[1] for row in card_of(cluster).sections[1].rows}
        frames = (ds.reports.findings(cluster), ds.check(cluster))
        return [found & wanted for found in (card, *(set(frame["rule"]) for frame in frames))]

    assert told(read(*things)) == [{"calico-address-leaked"}] * 3
    stray = read(*things, pod("stray", "a", "10.9.9.9"))
    assert told(stray) == [{"calico-address-leaked", "pod-outside-plugin-ranges"}] * 3
    assert told(stray.copy()) == told(stray)
    found = ds.check(stray).set_index("rule")
    assert found.loc["calico-address-leaked", "source"].endswith("; the objects of calico")
    assert told(read(things[0], pod("stray", "a", "10.9.9.9"))) == [{"pod-outside-node-block"}] * 3


def test_calico_leaks_and_nodes_that_are_gone(read: Callable[..., Cluster]) -> None:
    cluster = read(
        node("a"),
        pod("p", "a", "10.244.0.8"),
        calico_pool(),
        calico_block("10.244.0.8/29", "a", {0: ("p", "a"), 1: ("old", "a")}, [2, 3, 4, 5, 6, 7]),
        calico_block("10.244.0.16/29", "gone", {0: ("older", "gone")}, [1, 2, 3, 4, 5, 6, 7]),
    )
    assert rules(cluster) == {"calico-address-leaked", "calico-blocks-of-missing-node"}
    found = ds.check(cluster)
    leaks = found[found["rule"] == "calico-address-leaked"]
    assert leaks["object"].tolist() == ["IPAMBlock/10.244.0.16/29", "IPAMBlock/10.244.0.8/29"]
    assert "Pod/default/older, which is gone" in leaks["message"].iloc[0]
    frame = ds.reports.utilization(cluster).set_index("pool").loc["pod addresses"]
    assert (frame["allocated"], frame["seen_on_pods"]) == (3, 1)
    outcome = cluster.add_nodes(["new"])
    assert cluster.add_pods(outcome.rows).granted == 1


def test_a_pod_that_shows_one_family_is_no_leak(read: Callable[..., Cluster]) -> None:
    """projectcalico/calico#5044: never derived from podIPs of one family alone."""
    six = thing("IPPool", CALICO, "v6", {"cidr": "fd00::/64", "blockSize": 125})
    cluster = read(
        node("a"),
        pod("p", "a", "10.244.0.8"),
        calico_pool(),
        six,
        calico_block("10.244.0.8/29", "a", {0: ("p", "a")}, [1, 2, 3, 4, 5, 6, 7]),
        calico_block("fd00::8/125", "a", {0: ("p", "a")}, [1, 2, 3, 4, 5, 6, 7]),
    )
    assert rules(cluster) == set()


def test_calico_without_its_blocks_takes_those_that_pods_show(read: Callable[..., Cluster]) -> None:
    cluster = read(
        node("a"),
        node("b"),
        pod("p", "a", "10.244.0.9"),
        pod("q", "a", "10.244.0.10"),
        pod("r", "b", "10.244.0.17"),
        calico_pool(),
    )
    assert isinstance(cluster.network_plugin, Calico)
    assert rules(cluster) == {"calico-blocks-not-in-dump"}
    blocks = cluster.network_plugin.blocks(V4)
    assert (blocks["node"], blocks["used"]) == (["a", "b"], [2, 1])


def test_calico_with_host_local_keeps_to_pod_cidrs(read: Callable[..., Cluster]) -> None:
    settings = config_map("kube-system", "calico-config")
    settings["data"] = {"cni_network_config": '{"ipam": {"type": "host-local", "subnet": "usePodCidr"}}'}
    cluster = read(node("a", "10.244.0.0/24"), pod("p", "a", "10.244.0.9"), calico_pool(), settings)
    assert cluster.network_plugin is None


def cilium_node(name: str, **ipam: Any) -> dict[str, Any]:
    return thing("CiliumNode", "cilium.io/v2", name, {"ipam": ipam})


def test_cilium_cluster_pool(read: Callable[..., Cluster]) -> None:
    settings = config_map(
        "kube-system",
        "cilium-config",
        ipam="cluster-pool",
        cluster_pool_ipv4_cidr="10.0.0.0/22",
        cluster_pool_ipv4_mask_size="24",
    )
    cluster = read(
        node("a", "10.244.0.0/24"),
        node("b", "10.244.1.0/24"),
        pod("p", "b", "10.0.2.77"),
        settings,
        cilium_node("b", podCIDRs=["10.0.2.0/24"]),
        cilium_node("a", podCIDRs=["10.0.1.0/24"]),
        cilium_node("dead", podCIDRs=["10.0.0.0/24"]),
    )
    plugin = cluster.network_plugin
    assert isinstance(plugin, Cilium)
    assert [line.used for line in plugin.usage()] == [3, 1]
    assert rules(cluster) == {"cilium-node-without-node"}
    assert "keeps 10.0.0.0/24" in ds.check(cluster).set_index("rule").loc["cilium-node-without-node", "message"]
    assert cluster.add_nodes(2).ok.tolist() == [True, False]
    assert cluster.add_pods([0, 1, 2]).granted == 3
    last = cluster.pods.to_frame()["pod_ipv4"].tolist()[-3:]
    assert [text.rsplit(".", 1)[0] for text in last] == ["10.0.1", "10.0.2", "10.0.3"]


def test_cilium_multi_pool(read: Callable[..., Cluster]) -> None:
    spec = {"ipv4": {"cidrs": ["10.0.0.0/24"], "maskSize": 28}}
    allocated = {"allocated": [{"pool": "default", "cidrs": ["10.0.0.16/28", "10.9.0.0/28"]}]}
    cluster = read(
        node("a"),
        pod("p", "a", "10.0.0.18"),
        thing("CiliumPodIPPool", "cilium.io/v2alpha1", "default", spec),
        cilium_node("a", pools=allocated),
    )
    assert isinstance(cluster.network_plugin, MultiPool)
    assert rules(cluster) == {"cilium-cidr-outside-pool"}
    assert [line.used for line in cluster.network_plugin.usage()] == [1, 1]
    assert cluster.add_pods([0] * 14).granted == 14


def test_cilium_of_a_cloud_keeps_its_state_elsewhere(read: Callable[..., Cluster]) -> None:
    cluster = read(node("a"), config_map("kube-system", "cilium-config", ipam="eni"), cilium_node("a"))
    assert isinstance(cluster.network_plugin, Elsewhere)
    assert rules(cluster) == {"cilium-state-not-in-dump"}


def test_ovn_host_subnets(read: Callable[..., Cluster]) -> None:
    kubeadm = config_map("kube-system", "kubeadm-config")
    kubeadm["data"] = {
        "ClusterConfiguration": "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n"
        "kubernetesVersion: v1.30.0\nnetworking: {podSubnet: 10.128.0.0/14, serviceSubnet: 172.30.0.0/16}\n"
        "controllerManager: {extraArgs: {node-cidr-mask-size: '23'}}\n"
    }
    cluster = read(
        kubeadm,
        node("a", k8s_ovn_org__x="", **{"k8s.ovn.org__node-subnets": '{"default": ["10.129.0.0/23"]}'}),
        node("b", **{"k8s.ovn.org__node-subnets": '{"default": ["10.9.0.0/23"]}'}),
        pod("p", "a", "10.129.0.7"),
    )
    assert isinstance(cluster.network_plugin, OVNKubernetes)
    assert rules(cluster) == {"ovn-subnet-outside-cluster-subnets"}
    assert cluster.add_pods([0]).granted == 1
    assert cluster.pods.to_frame()["pod_ipv4"].tolist()[-1] == "10.129.0.8"


NET_CONF = '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}'
PUBLIC = {"flannel.alpha.coreos.com__public-ip": "192.0.2.1"}


def test_flannel(read: Callable[..., Cluster]) -> None:
    settings = config_map("kube-flannel", "kube-flannel-cfg")
    settings["data"] = {"net-conf.json": NET_CONF}
    cluster = read(
        node("a", "10.244.0.0/24", **PUBLIC), node("b", "10.9.0.0/24"), pod("p", "a", "10.244.0.9"), settings
    )
    assert isinstance(cluster.network_plugin, Flannel)
    assert rules(cluster) == {"flannel-not-started", "flannel-pod-cidr-outside"}
    assert cluster.add_pods([0]).granted == 1
    assert cluster.pods.to_frame()["pod_ipv4"].tolist()[-1] == "10.244.0.10"
    settings["data"] = {"net-conf.json": "{"}
    broken = read(node("a", "10.244.0.0/24", **PUBLIC), settings)
    assert (broken.network_plugin, rules(broken)) == (None, {"flannel-invalid-net-conf"})


def test_flannel_in_k3s_has_no_config_map(read: Callable[..., Cluster]) -> None:
    cluster = read(node("a", "10.42.0.0/24", **PUBLIC), node("b", "10.42.1.0/24", **PUBLIC), pod("p", "a", "10.42.0.9"))
    assert isinstance(cluster.network_plugin, Flannel)
    assert rules(cluster) == set()


def agent(name: str) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"name": name, "image": f"{name}:v1"}]}}}
    metadata = {"name": name, "namespace": "kube-system"}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}


def test_kube_router_and_antrea_by_their_agents(read: Callable[..., Cluster]) -> None:
    moved = node("a", "10.244.0.0/24", **{"kube-router.io__pod-cidr": "10.9.0.0/24"})
    cluster = read(moved, pod("p", "a", "10.9.0.5"), agent("kube-router"))
    assert isinstance(cluster.network_plugin, KubeRouter)
    assert cluster.add_pods([0]).granted == 1
    assert cluster.pods.to_frame()["pod_ipv4"].tolist()[-1] == "10.9.0.6"
    cluster = read(node("a", "10.244.0.0/24"), pod("p", "a", "10.244.0.5"), agent("antrea-agent"))
    assert isinstance(cluster.network_plugin, Antrea)


def test_azure_overlay_blocks(read: Callable[..., Cluster]) -> None:
    container = {"id": "n", "type": "overlay", "primaryIP": "10.244.3.0/24", "subnetAddressSpace": "10.244.0.0/16"}
    config = thing("NodeNetworkConfig", "acn.azure.com/v1alpha", "a", {}, status={"networkContainers": [container]})
    cluster = read(node("a"), pod("p", "a", "10.244.3.0"), config)
    assert isinstance(cluster.network_plugin, AzureOverlay)
    assert [(line.usable, line.used) for line in cluster.network_plugin.usage()] == [(256, 1)]


def whereabouts_pool() -> dict[str, Any]:
    held = {"1": {"id": "c", "podref": "default/p", "ifname": "net1"}, "2": {"id": "d", "podref": "default/gone"}}
    return thing("IPPool", "whereabouts.cni.cncf.io/v1alpha1", "r", {"range": "192.168.0.0/24", "allocations": held})


def test_whereabouts_serves_beside_the_first_network(read: Callable[..., Cluster]) -> None:
    objects = [node("a"), pod("p", "a", "10.244.0.8"), calico_pool(), whereabouts_pool()]
    cluster = read(*objects)
    assert isinstance(cluster.network_plugin, Calico)
    assert rules(cluster) >= {"whereabouts-address-leaked"}
    cluster = read(node("a"), pod("p", "a", "192.168.0.1"), whereabouts_pool())
    assert isinstance(cluster.network_plugin, Whereabouts)
    assert cluster.add_pods([0]).granted == 1
    assert cluster.pods.to_frame()["pod_ipv4"].tolist()[-1] == "192.168.0.3"


def test_antreas_pools_tell_their_leaks(read: Callable[..., Cluster]) -> None:
    used = [{"ipAddress": "10.5.0.1", "owner": {"pod": {"name": "gone", "namespace": "default"}}}]
    spec = {"ipRanges": [{"start": "10.5.0.1", "end": "10.5.0.9"}]}
    pool = thing("IPPool", "crd.antrea.io/v1beta1", "pool", spec, status={"ipAddresses": used})
    cluster = read(node("a"), pod("p", "a", "10.5.0.2"), pool)
    assert isinstance(cluster.network_plugin, AntreaIPPool)
    assert rules(cluster) == {"antrea-address-leaked"}


@pytest.mark.parametrize(
    "spoiled",
    [
        thing("IPPool", CALICO, "v4", {"cidr": "nonsense"}),
        thing("IPAMBlock", CALICO, "b", {"cidr": "10.0.0.0/29", "allocations": ["x"]}),
        thing("CiliumNode", "cilium.io/v2", "a", {"ipam": {"podCIDRs": ["x"]}}),
        thing("CiliumPodIPPool", "cilium.io/v2alpha1", "default", {}),
        thing("NodeNetworkConfig", "acn.azure.com/v1alpha", "a", {}, status={"networkContainers": [{"type": "vnet"}]}),
        thing("IPPool", "whereabouts.cni.cncf.io/v1alpha1", "r", {"range": "x"}),
        thing("IPPool", "crd.antrea.io/v1beta1", "p", {"ipRanges": [{"cidr": "fd00::/64"}]}),
    ],
    ids=lambda each: f"{each['kind']} {each['apiVersion']}",
)
def test_what_cannot_be_read_is_a_finding_and_no_traceback(
    read: Callable[..., Cluster], spoiled: dict[str, Any]
) -> None:
    extra = [calico_pool()] if spoiled["kind"] == "IPAMBlock" else []
    extra += [cilium_node("a", pools={"allocated": [{"pool": "default", "cidrs": ["y"]}]})] * (
        spoiled["kind"] == "CiliumPodIPPool"
    )
    cluster = read(node("a"), *extra, spoiled)
    assert cluster.plugin_findings
    assert len(ds.check(cluster))
    assert np.isfinite(len(ds.reports.utilization(cluster)))


def test_a_plugin_that_was_given_is_not_read_again() -> None:
    from dsmodel.cluster.objects import NetworkObjects

    cluster = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/16"]), network_plugin="cilium")
    cluster.objects = NetworkObjects().adding([calico_pool()])
    assert isinstance(cluster.network_plugin, Cilium)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("blockSize", "29", "spec.blockSize is str, expected int"),
        ("cidr", ["10.244.0.0/24"], "spec.cidr is list, expected str"),
        ("allowedUses", [7], "spec.allowedUses[0] is int, expected str"),
        ("disabled", "no", "spec.disabled is str, expected bool"),
    ],
)
def test_a_field_of_a_wrong_type_costs_one_object(
    read: Callable[..., Cluster], path: str, value: object, words: str
) -> None:
    broken = calico_pool("10.99.0.0/24")
    broken["metadata"]["name"] = "broken"
    broken["spec"][path] = value
    cluster = read(node("a"), pod("p", "a", "10.244.0.8"), calico_pool(), broken)
    assert isinstance(cluster.network_plugin, Calico)
    assert [pool.name for pool in cluster.network_plugin.tables[V4].pools] == ["v4"]
    (found,) = [each for each in cluster.plugin_findings if each[1] == "object-invalid"]
    assert (found[0], found[2]) == ("error", "IPPool/broken")
    assert found[3].startswith(words)
    assert "object-invalid" in set(ds.check(cluster)["rule"])


def test_agents_of_half_written_daemon_sets_are_none(read: Callable[..., Cluster]) -> None:
    for spec in (
        "x",
        {"template": "x"},
        {"template": {"spec": {"containers": ["x", None, {"name": "aws-node", "env": 5}]}}},
    ):
        cluster = read(node("a"), thing("DaemonSet", "apps/v1", "aws-node", spec))  # type: ignore[arg-type]
        assert cluster.network_plugin is None or cluster.network_plugin.nodes == 1


def test_pods_of_a_calico_without_any_block_are_outside(read: Callable[..., Cluster]) -> None:
    """The only block is broken, so its pod is allocated nowhere; nothing fails."""
    block = calico_block("10.244.0.8/29", "a", {0: ("p", "a")}, [6, 0, 3, 4, 5, 7, 1])
    cluster = read(node("a"), pod("p", "a", "10.244.0.8"), calico_pool(), block)
    assert isinstance(cluster.network_plugin, Calico)
    row = ds.verify(cluster).set_index("what").loc["pod addresses, IPv4: allocated in a block"]
    assert (row["checked"], row["matching"]) == (1, 0)
