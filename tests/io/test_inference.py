"""Every field's evidence: what is believed, what contradicts, what is only a guess, what the caller overrides."""

import io
from typing import Any

import pytest
from dump_texts import component, config_map, listed, messages, node, pod, rules, service, small_cluster

from dsmodel.addresses.cidr import IPFamily
from dsmodel.io.kubectl import Dump, read_cluster, read_dump
from dsmodel.kube.config import ClusterConfig
from dsmodel.kube.versions import KubeVersion

RANGE = "10.96.0.0/20,fd00:10:96::/112"


def read(*items: Any, config: ClusterConfig | None = None) -> Dump:
    return read_dump(io.StringIO(listed(*items)), config=config)


def service_cidr(name: str, *cidrs: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": name},
        "spec": {"cidrs": list(cidrs)},
    }


def kubeadm(**parts: str) -> dict[str, Any]:
    networking = "".join(f"  {key}: {value}\n" for key, value in parts.items() if key.endswith("Subnet"))
    rest = "".join(f"{key}: {value}\n" for key, value in parts.items() if not key.endswith("Subnet"))
    return config_map("kubeadm-config", ClusterConfiguration=f"{rest}networking:\n{networking}")


def shown(config: ClusterConfig, field: str) -> list[str]:
    return [str(cidr) for cidr in getattr(config, field)]


# version ------------------------------------------------------------------------------------------------------------


def test_the_version_of_the_control_plane_comes_from_its_image() -> None:
    image = "registry.k8s.io/kube-apiserver:v1.33.4@sha256:00"
    dump = read(node("a", nodeInfo={"kubeletVersion": "v1.31.0"}), component("kube-apiserver", image=image))
    assert str(dump.config.kube_version) == "1.33"
    assert dump.config.evidence["kube_version"] == f"image {image} of pod kube-system/kube-apiserver-a"
    assert rules(dump) == {"node-missing": 0} or "config-contradiction" not in rules(dump)


def test_the_version_falls_back_to_the_newest_kubelet() -> None:
    versions = ["v1.29.3-gke.12", "v1.30.1", "v1.30.0+k3s1", "unknown", ""]
    nodes = [node(f"n{i}", nodeInfo={"kubeletVersion": text}) for i, text in enumerate(versions)]
    dump = read(*nodes)
    assert str(dump.config.kube_version) == "1.30"
    assert dump.config.evidence["kube_version"] == "kubeletVersion of 2 of 5 nodes, the newest"


def test_no_version_at_all_is_called_a_default() -> None:
    dump = read(pod("p"))
    assert dump.config.evidence["kube_version"].startswith("default, the newest modelled")


@pytest.mark.parametrize(("text", "nearest"), [("v1.99.0", "1.36"), ("v1.12.1", "1.20")])
def test_versions_outside_the_window_are_read_as_the_nearest(text: str, nearest: str) -> None:
    dump = read(node("a", nodeInfo={"kubeletVersion": text}))
    assert str(dump.config.kube_version) == nearest
    assert rules(dump) == {"version-unsupported": 1}


def test_a_kubelet_newer_than_the_control_plane_is_a_contradiction() -> None:
    dump = read(node("a", nodeInfo={"kubeletVersion": "v1.35.0"}), kubeadm(kubernetesVersion="v1.34.0"))
    assert str(dump.config.kube_version) == "1.34"
    ((_, message),) = messages(dump, "config-contradiction")
    assert "a kubelet is never newer" in message


# ranges -------------------------------------------------------------------------------------------------------------


def test_service_ranges_prefer_the_object_then_flags_then_kubeadm() -> None:
    flags = component("kube-apiserver", f"--service-cluster-ip-range={RANGE}", "--secure-port=6443")
    installer = kubeadm(serviceSubnet="10.90.0.0/16")
    objects = [service_cidr("kubernetes", "10.99.0.0/16"), service_cidr("more", "10.100.0.0/24")]
    dump = read(*objects, flags, installer)
    assert shown(dump.config, "service_cidrs") == ["10.99.0.0/16"]
    assert shown(dump.config, "extra_service_cidrs") == ["10.100.0.0/24"]
    assert dump.config.evidence["service_cidrs"] == "object ServiceCIDR/kubernetes"
    assert dump.config.evidence["extra_service_cidrs"] == "objects ServiceCIDR/more"
    assert rules(dump)["config-contradiction"] == 2
    assert shown(read(flags, installer).config, "service_cidrs") == RANGE.split(",")
    last = read(installer).config
    assert shown(last, "service_cidrs") == ["10.90.0.0/16"]
    assert last.evidence["service_cidrs"] == "ConfigMap kube-system/kubeadm-config, networking.serviceSubnet"


def test_two_api_servers_that_differ_are_a_contradiction() -> None:
    one = component("kube-apiserver", "--service-cluster-ip-range=10.96.0.0/16")
    other = component("kube-apiserver", "--service-cluster-ip-range=10.97.0.0/16")
    other["metadata"]["name"] = "kube-apiserver-b"
    ((_, message),) = messages(read(one, other), "config-contradiction")
    assert "10.97.0.0/16" in message
    assert "10.96.0.0/16" in message


def test_flags_in_every_spelling() -> None:
    words = ["/usr/bin/kube-controller-manager", "--cluster-cidr", "10.1.0.0/16", "--node-cidr-mask-size=25"]
    forms = [
        {"name": "x", "command": [*words, "--allocate-node-cidrs"]},
        {"name": "x", "command": ["/bin/sh", "-c", " ".join(["exec", *words, "--allocate-node-cidrs=true"])]},
        {"name": "kube-controller-manager", "args": [*words[1:], "--allocate-node-cidrs=true"]},
        {"name": "x", "command": words[:1], "args": [*words[1:], "--allocate-node-cidrs=true"]},
    ]
    for container in forms:
        static = pod("kube-controller-manager-a", namespace="kube-system", containers=[{"name": "other"}, container])
        config = read(static, node("a", "10.1.0.0/25")).config
        assert shown(config, "cluster_cidrs") == ["10.1.0.0/16"]
        assert config.node_cidr_mask_sizes == {IPFamily.IPV4: 25}


def test_control_planes_of_other_clusters_do_not_count() -> None:
    hosted = component("kube-apiserver", "--service-cluster-ip-range=10.1.0.0/16")
    hosted["metadata"]["namespace"] = "tenant-7"
    assert read(hosted).config.service_cidrs == ()


def test_cluster_cidrs_are_guessed_from_node_blocks() -> None:
    nodes = [node(f"n{i}", f"10.20.{i}.0/24", f"fd00:20:0:{i:x}::/64") for i in range(4, 9)]
    config = read(*nodes).config
    assert shown(config, "cluster_cidrs") == ["10.20.0.0/20", "fd00:20::/60"]
    assert config.node_cidr_mask_sizes == {IPFamily.IPV4: 24, IPFamily.IPV6: 64}
    evidence = config.evidence["cluster_cidrs"]
    assert evidence.startswith("guess: 10.20.0.0/20 is the smallest block that covers the podCIDRs of 5 nodes; ")
    assert evidence.endswith("the real one may be larger")
    assert "podCIDRs of 5 of 5 nodes are /24" in config.evidence["node_cidr_mask_sizes"]


def test_the_guess_keeps_the_order_of_families() -> None:
    assert shown(read(node("a", "fd00:20::/64", "10.20.0.0/24")).config, "cluster_cidrs") == [
        "fd00:20::/64",
        "10.20.0.0/24",
    ]


def test_blocks_far_apart_are_no_cluster_cidr() -> None:
    dump = read(
        node("a", "10.0.0.0/24"), node("b", "192.168.0.0/24"), node("c", "fd00::/64"), node("d", "2001:db8::/64")
    )
    assert dump.config.cluster_cidrs == ()
    assert rules(dump) == {"cluster-cidr-unknown": 2}
    assert len(read_cluster(io.StringIO(listed(node("a", "10.0.0.0/24"), node("b", "192.168.0.0/24")))).nodes) == 2


def test_nothing_to_guess_from_is_called_unknown() -> None:
    config = read(node("a"), pod("p", "10.0.0.7", node="a")).config
    assert config.cluster_cidrs == ()
    assert config.evidence["cluster_cidrs"] == "unknown: none of 1 node has a usable podCIDR"
    assert config.evidence["service_cidrs"] == "unknown: none of 0 services has a cluster IP"


def test_service_ranges_are_guessed_from_cluster_ips() -> None:
    services = [
        service("kubernetes", "172.20.0.1"),
        service("a", "172.20.31.7"),
        service("b", "172.20.0.10", "fd00::a"),
    ]
    config = read(*services).config
    assert shown(config, "service_cidrs") == ["172.20.0.0/19", "fd00::8/125"]
    evidence = config.evidence["service_cidrs"]
    assert "covers 3 cluster IPs and has 172.20.0.1 of default/kubernetes as its first address" in evidence
    assert "guess" in evidence


def test_mask_sizes_beside_nodes_that_differ() -> None:
    manager = component("kube-controller-manager", "--allocate-node-cidrs=true", "--cluster-cidr=10.0.0.0/16")
    dump = read(manager, *(node(f"n{i}", f"10.0.{i}.0/26") for i in range(3)))
    assert dump.config.node_cidr_mask_sizes == {IPFamily.IPV4: 24}
    ((_, message),) = messages(dump, "config-contradiction")
    assert "podCIDRs of 3 of 3 nodes are /26" in message
    dump = read(component("kube-controller-manager", "--cluster-cidr=10.0.0.0/16"), node("a", "10.0.0.0/26"))
    assert dump.config.node_cidr_mask_sizes == {IPFamily.IPV4: 26}


def test_the_rest_of_the_flags() -> None:
    api = component(
        "kube-apiserver",
        "--secure-port=6443",
        "--service-node-port-range=20000-20100",
        "--feature-gates=B=false,A=true",
    )
    kubelet = config_map("kubelet-config-1.23", kubelet="maxPods: 64\n")
    config = read(api, kubelet, node("a", allocatable={"pods": "110"})).config
    assert config.service_node_port_range == (20000, 20100)
    assert config.feature_gates == {"A": True, "B": False}
    assert config.max_pods == 64
    assert config.evidence["max_pods"] == "ConfigMap kube-system/kubelet-config-1.23, maxPods"
    config = read(node("a", allocatable={"pods": "32"}), node("b", allocatable={"pods": "32"}), node("c")).config
    assert (config.max_pods, config.evidence["max_pods"]) == (
        32,
        "inferred: status.allocatable.pods of 2 of 3 nodes",
    )


@pytest.mark.parametrize("extra", ["{a: x}", "[{name: node-cidr-mask-size, value: '26'}]"])
def test_kubeadm_arguments_of_both_forms(extra: str) -> None:
    extra = extra.replace("{a: x}", "{node-cidr-mask-size: '26'}")
    text = f"networking: {{podSubnet: 10.0.0.0/16}}\ncontrollerManager: {{extraArgs: {extra}}}\n"
    config = read(config_map("kubeadm-config", ClusterConfiguration=text)).config
    assert config.node_cidr_mask_sizes == {IPFamily.IPV4: 26}
    assert config.evidence["node_cidr_mask_sizes"].endswith("controllerManager.extraArgs")


def test_plugins_with_pools_of_their_own_are_mentioned() -> None:
    cilium = config_map("cilium-config", ipam="cluster-pool")
    ((_, message),) = messages(read(node("a"), cilium), "pod-ipam")
    assert "Cilium, ipam cluster-pool" in message
    assert rules(read(node("a"), config_map("cilium-config", ipam="kubernetes"))) == {}
    calico = config_map("calico-config", cni_network_config='{"ipam": {"type": "calico-ipam"}}')
    ((_, message),) = messages(read(node("a"), calico), "pod-ipam")
    assert "calico-ipam" in message


@pytest.mark.parametrize(
    "item",
    [
        component("kube-apiserver", "--service-cluster-ip-range=10.96.0.0/33"),
        component("kube-apiserver", "--service-cluster-ip-range=10.96.0.0/16,10.97.0.0/16"),
        component("kube-apiserver", "--secure-port=1", "--service-node-port-range=9-1"),
        component(
            "kube-controller-manager",
            "--cluster-cidr=10.0.0.0/16",
            "--allocate-node-cidrs=true",
            "--node-cidr-mask-size-ipv4=99",
        ),
        kubeadm(podSubnet="nonsense"),
        config_map("kubeadm-config", ClusterConfiguration="a: [b"),
        config_map("kube-proxy", **{"config.conf": "clusterCIDR: 10.0.0.0/99\n"}),
        service_cidr("kubernetes", "10.0.0.0/8", "10.1.0.0/16"),
    ],
)
def test_configuration_that_means_nothing_is_a_finding(item: dict[str, Any]) -> None:
    dump = read(*small_cluster()[:2], item)
    assert rules(dump)["config-invalid"] == 1
    assert dump.findings["object"].tolist()[0].startswith(item["kind"])


def test_the_caller_overrides_field_by_field() -> None:
    given = ClusterConfig.of(kube_version="1.30", cluster_cidrs=["10.240.0.0/12", "fd00:10::/40"])
    config = read(*small_cluster(), config=given).config
    assert shown(config, "cluster_cidrs") == ["10.240.0.0/12", "fd00:10::/40"]
    assert str(config.kube_version) == "1.30"
    assert shown(config, "service_cidrs") == RANGE.split(",")
    assert config.evidence["cluster_cidrs"] == "given by the caller"
    assert config.evidence["service_cidrs"].startswith("flag --service-cluster-ip-range of pod")


def test_every_field_has_evidence() -> None:
    config = read(*small_cluster()).config
    assert set(config.evidence) == {
        "cluster_cidrs",
        "extra_service_cidrs",
        "feature_gates",
        "kube_version",
        "max_pods",
        "node_cidr_mask_sizes",
        "service_cidrs",
        "service_node_port_range",
    }
    assert all(config.evidence.values())


def test_given_mask_sizes_join_the_inferred_ones() -> None:
    given = ClusterConfig(
        KubeVersion("1.34"), node_cidr_mask_sizes={IPFamily.IPV4: 26}, evidence={"max_pods": "default"}
    )
    config = read(*small_cluster(), config=ClusterConfig.of(max_pods=50)).config
    assert (config.max_pods, config.node_cidr_mask_sizes) == (50, {IPFamily.IPV4: 24, IPFamily.IPV6: 64})
    config = read(*small_cluster(), node("c", allocatable={"pods": "30"}), config=given).config
    assert (config.max_pods, config.node_cidr_mask_sizes) == (30, {IPFamily.IPV4: 26, IPFamily.IPV6: 64})


def test_cluster_ips_far_apart_are_no_service_range() -> None:
    dump = read(service("kubernetes", "10.96.0.1"), service("a", "192.168.0.9"), service("b", "fd00::1", "1.2.3.4"))
    assert shown(dump.config, "service_cidrs") == ["fd00::/125"]
    assert rules(dump) == {"service-cidr-unknown": 1}


def test_known_config_maps_keep_their_text_and_others_stay_closed() -> None:
    agent = config_map("ip-masq-agent", config="nonMasqueradeCIDRs: [10.0.0.0/8]\n")
    proxy = config_map("kube-proxy", **{"config.conf": "clusterCIDR: 10.244.0.0/16\n"})
    other = config_map("settings", password="hidden")  # noqa: S106 - made up
    secret = agent | {"kind": "Secret"}
    dump = read_dump(io.StringIO(listed(agent, proxy, other, secret, agent)))
    assert dump.config_maps == {
        ("kube-system", "ip-masq-agent"): {"config": "nonMasqueradeCIDRs: [10.0.0.0/8]\n"},
        ("kube-system", "kube-proxy"): {"config.conf": "clusterCIDR: 10.244.0.0/16\n"},
    }
    count = dump.counts["ConfigMap"]
    assert (count.read, count.ignored, count.refused) == (2, 1, 1)
    assert dump.counts["Secret"].read == 0
    assert [str(cidr) for cidr in dump.config.cluster_cidrs] == ["10.244.0.0/16"]
    assert dump.config.evidence["cluster_cidrs"] == "ConfigMap kube-system/kube-proxy, clusterCIDR"


def test_kube_proxy_may_contradict_the_flags() -> None:
    proxy = config_map("kube-proxy", **{"config.conf": "clusterCIDR: 10.99.0.0/16\n"})
    kubeadm = config_map("kubeadm-config", ClusterConfiguration="networking:\n  podSubnet: 10.244.0.0/16\n")
    dump = read_dump(io.StringIO(listed(node("a"), proxy, kubeadm)))
    assert [str(cidr) for cidr in dump.config.cluster_cidrs] == ["10.244.0.0/16"]
    assert "config-contradiction" in dump.findings["rule"].tolist()
