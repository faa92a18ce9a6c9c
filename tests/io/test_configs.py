"""Configuration files of every form amount to the flags a component would be started with."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.cidr import IPFamily
from dsmodel.errors import DsmodelError, InvalidConfig, UnsupportedVersion
from dsmodel.io.configs import is_config, read_config, read_written
from dsmodel.io.samples import SAMPLES, sample_path

if TYPE_CHECKING:
    from pathlib import Path

    from dsmodel.kube.config import ClusterConfig

KUBEADM_3 = """\
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
localAPIEndpoint:
  advertiseAddress: 192.168.6.11
nodeRegistration:
  kubeletExtraArgs:
    node-ip: 192.168.6.11,2001:db8::11
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
kubernetesVersion: v1.29.4
networking:
  podSubnet: 10.244.0.0/16,fd00:10:244::/56
  serviceSubnet: 10.96.0.0/16,fd00:10:96::/112
controllerManager:
  extraArgs:
    node-cidr-mask-size-ipv4: "25"
apiServer:
  extraArgs:
    service-node-port-range: 30000-30999
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 60
clusterDNS: [10.96.0.10]
featureGates: {}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
clusterCIDR: ""
iptables:
  masqueradeAll: yes
"""
ARGUMENTS_4 = """\
controllerManager:
  extraArgs:
  - name: node-cidr-mask-size-ipv4
    value: "25"
apiServer:
  extraArgs:
  - name: service-node-port-range
    value: 30000-30999
"""
ARGUMENTS_3 = KUBEADM_3[KUBEADM_3.index("controllerManager:") : KUBEADM_3.index("---\napiVersion: kubelet")]
KUBEADM_4 = (
    KUBEADM_3.replace("v1beta3", "v1beta4")
    .replace(ARGUMENTS_3, ARGUMENTS_4)
    .replace(
        "    node-ip: 192.168.6.11,2001:db8::11\n", "    - name: node-ip\n      value: 192.168.6.11,2001:db8::11\n"
    )
)
STATIC_POD = """\
apiVersion: v1
kind: Pod
metadata: {name: kube-apiserver, namespace: kube-system}
spec:
  containers:
  - name: kube-apiserver
    image: registry.k8s.io/kube-apiserver:v1.31.2
    command:
    - kube-apiserver
    - --advertise-address=10.0.0.1
    - --service-cluster-ip-range=10.96.0.0/16
    - --etcd-servers=https://127.0.0.1:2379
"""
UNIT = """\
[Service]
Environment="KUBELET_EXTRA_ARGS=--max-pods=64 --node-ip=10.0.0.7"
ExecStart=/usr/bin/kubelet $KUBELET_EXTRA_ARGS \\
  --pod-cidr 10.244.1.0/24
"""


def read(text: str, name: str = "kubeadm.yaml", **options: str) -> ClusterConfig:
    file = io.StringIO(text)
    file.name = name
    return read_config(file, **options)


def flags(text: str, name: str = "config.yaml") -> dict[str, tuple[str, ...]]:
    file = io.StringIO(text)
    file.name = name
    return dict(read_written(file).flags)


# ---------------------------------------------------------------- kubeadm


@pytest.mark.parametrize("text", [KUBEADM_3, KUBEADM_3.replace("v1beta3", "v1beta2"), KUBEADM_4])
def test_kubeadm_in_every_form_is_one_configuration(text: str) -> None:
    config = read(text)
    assert str(config.kube_version) == "1.29"
    assert [str(cidr) for cidr in config.cluster_cidrs] == ["10.244.0.0/16", "fd00:10:244::/56"]
    assert [str(cidr) for cidr in config.service_cidrs] == ["10.96.0.0/16", "fd00:10:96::/112"]
    assert dict(config.node_cidr_mask_sizes) == {IPFamily.IPV4: 25, IPFamily.IPV6: 64}
    assert (config.service_node_port_range, config.max_pods) == ((30000, 30999), 60)


def test_evidence_names_file_document_line_and_key() -> None:
    assert {name: why for name, why in read(KUBEADM_3).evidence.items() if why != "default"} == {
        "kube_version": "kubeadm.yaml, document 2, line 11, kubernetesVersion",
        "cluster_cidrs": "kubeadm.yaml, document 2, line 13, networking.podSubnet",
        "service_cidrs": "kubeadm.yaml, document 2, line 14, networking.serviceSubnet",
        "node_cidr_mask_sizes": (
            "kubeadm.yaml, document 2, line 17, controllerManager.extraArgs.node-cidr-mask-size-ipv4"
        ),
        "service_node_port_range": "kubeadm.yaml, document 2, line 20, apiServer.extraArgs.service-node-port-range",
        "max_pods": "kubeadm.yaml, document 3, line 24, maxPods",
    }


def test_kubeadm_hands_its_ranges_to_every_component() -> None:
    found = flags(KUBEADM_3)
    assert "--cluster-cidr=10.244.0.0/16,fd00:10:244::/56" in found["kube-controller-manager"]
    assert "--allocate-node-cidrs=true" in found["kube-controller-manager"]
    assert "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112" in found["kube-apiserver"]
    assert "--advertise-address=192.168.6.11" in found["kube-apiserver"]
    expected = {"--proxy-mode=ipvs", "--masquerade-all=true", "--cluster-cidr=10.244.0.0/16,fd00:10:244::/56"}
    assert set(found["kube-proxy"]) == expected
    assert "--node-ip=192.168.6.11,2001:db8::11" in found["kubelet"]


def test_kubeadm_without_networking_has_its_defaults() -> None:
    config = read("{apiVersion: kubeadm.k8s.io/v1beta4, kind: ClusterConfiguration, kubernetesVersion: stable-1}")
    assert [str(cidr) for cidr in config.service_cidrs] == ["10.96.0.0/12"]
    assert config.cluster_cidrs == ()
    assert config.evidence["service_cidrs"] == "default of kubeadm for networking.serviceSubnet"
    assert "name no version" in config.evidence["kube_version"]


def test_extra_arguments_replace_what_kubeadm_derives() -> None:
    text = KUBEADM_3.replace('node-cidr-mask-size-ipv4: "25"', "cluster-cidr: 10.8.0.0/16,fd00:8::/56")
    config = read(text)
    assert [str(cidr) for cidr in config.cluster_cidrs] == ["10.8.0.0/16", "fd00:8::/56"]
    assert config.evidence["cluster_cidrs"].endswith("controllerManager.extraArgs.cluster-cidr")


def test_the_version_asked_for_wins() -> None:
    assert str(read(KUBEADM_3, kube_version="1.34").kube_version) == "1.34"


def test_what_kubeadm_refuses_is_an_error_with_its_words() -> None:
    text = KUBEADM_3.replace("10.96.0.0/16,fd00:10:96::/112", "10.96.0.0/16,fd00:10:96::/64")
    with pytest.raises(InvalidConfig, match=r"kubeadm would refuse networking.serviceSubnet.*mask must be >= 108"):
        read(text)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("kubeadm.k8s.io/v1beta3", "kubeadm.k8s.io/v1beta1", r"line 1, apiVersion: 'v1beta1' is not read here"),
        ("v1.29.4", "1.30", r"line 11, kubernetesVersion: is a number, 1.3, and text is needed; quote it: \"1.30\""),
        ("v1.29.4", "v1.99.0", r"line 11, kubernetesVersion: .*outside the modelled window"),
        ('"25"', "25", r"line 17.*is a number and text is needed; quote it: \"25\""),
        ("maxPods: 60", "maxPods: many", r"document 3, line 24, maxPods: 'many' is no whole number"),
        ("clusterDNS: [10.96.0.10]", "clusterDNS: 10.96.0.10", r"line 25, clusterDNS: is text, and a list is needed"),
        ("networking:", "networking: none\nx:", r"line 12, networking: is text, and a mapping is needed"),
        ("  podSubnet", "\tpodSubnet", r"document 2, line 13: is no YAML.*indent with spaces"),
        ("kind: ClusterConfiguration", "kind: ClusterConfiguration\nkind: X", r"line 11, kind: is given twice"),
        ("mode: ipvs", "mode: [ipvs]", r"line \d+, mode: is a list and text is needed"),
    ],
)
def test_odd_files_are_named_with_document_and_line(old: str, new: str, words: str) -> None:
    with pytest.raises(InvalidConfig, match=r"^kubeadm\.yaml, .*" + words):
        read(KUBEADM_3.replace(old, new, 1))


def test_forms_of_arguments_belong_to_api_versions() -> None:
    with pytest.raises(InvalidConfig, match="extraArgs: is a mapping, and v1beta4 takes a list of name and value"):
        read(KUBEADM_3.replace("v1beta3", "v1beta4").replace("kubeletExtraArgs:\n    node-ip", "ignored:\n    a"))
    with pytest.raises(InvalidConfig, match=r"kubeletExtraArgs: is a list, and v1beta3 takes a mapping"):
        read(KUBEADM_4.replace("v1beta4", "v1beta3"))


def test_two_clusters_in_one_file_contradict() -> None:
    document = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n"
    with pytest.raises(InvalidConfig, match=r"document 2, line 4: is a second ClusterConfiguration"):
        read(f"{document}---\n{document}")


@given(st.integers(0, len(KUBEADM_4)))
def test_a_file_cut_short_is_read_or_named(length: int) -> None:
    try:
        config = read(KUBEADM_4[:length])
    except InvalidConfig as error:
        assert str(error).startswith(("kubeadm.yaml", "kubeadm would refuse", "kube-"))  # noqa: PT017 - either answer
    else:
        assert config.kube_version is not None


# ---------------------------------------------------------------- k3s and RKE2


def test_k3s_has_defaults_of_its_own() -> None:
    config = read("write-kubeconfig-mode: '0644'", "config.yaml")
    assert [str(cidr) for cidr in (*config.cluster_cidrs, *config.service_cidrs)] == ["10.42.0.0/16", "10.43.0.0/16"]
    assert config.evidence["cluster_cidrs"] == "default of k3s and RKE2 for cluster-cidr"


def test_k3s_on_one_ipv6_address_takes_ipv6_ranges() -> None:
    assert read("node-ip: fd00::11", "config.yaml").ip_families == (IPFamily.IPV6,)


K3S_TEXT = """\
cluster-cidr: 10.42.0.0/16,fd00:42::/56
service-cidr: 10.43.0.0/16,fd00:43::/112
kube-controller-manager-arg:
- node-cidr-mask-size-ipv6=72
"""
K3S_LISTS = """\
cluster-cidr: [10.42.0.0/16, 'fd00:42::/56']
service-cidr: [10.43.0.0/16, 'fd00:43::/112']

kube-controller-manager-arg+: --node-cidr-mask-size-ipv6=72
"""


@pytest.mark.parametrize("text", [K3S_TEXT, K3S_LISTS])
def test_k3s_lists_and_arguments(text: str) -> None:
    config = read(text, "config.yaml")
    assert config.is_dual_stack
    assert config.node_cidr_mask_sizes[IPFamily.IPV6] == 72
    assert config.evidence["node_cidr_mask_sizes"].startswith("config.yaml, line 4, kube-controller-manager-arg")


def test_k3s_drop_ins_win_key_by_key_and_add_to_lists(tmp_path: Path) -> None:
    """pkg/configfilearg/parser.go: config.yaml, then config.yaml.d in the order of names; a plus sign adds."""
    folder = tmp_path / "rke2"
    (folder / "config.yaml.d").mkdir(parents=True)
    (folder / "config.yaml").write_text(
        "cni: cilium\ncluster-cidr: 10.42.0.0/16\nservice-cidr: 10.43.0.0/16\nkubelet-arg: [max-pods=100]\n"
    )
    drops = {
        "20-dual.yaml": "cluster-cidr: 10.50.0.0/16,fd00:50::/56\nservice-cidr: 10.51.0.0/16,fd00:51::/112\n",
        "10-dual.yaml": "cluster-cidr: 10.60.0.0/16\n",
        "30-args.yml": "kubelet-arg+: [node-ip=10.0.0.1]\nkube-controller-manager-arg+: node-cidr-mask-size-ipv6=72\n",
        "40-other.yaml": "tls-san: [a.example]\nsome-key-of-tomorrow: 1\n",
        "notes.txt": "not read",
    }
    for name, text in drops.items():
        (folder / "config.yaml.d" / name).write_text(text)
    for place in (folder, folder / "config.yaml"):
        config = read_config(place)
        assert [str(cidr) for cidr in config.cluster_cidrs] == ["10.50.0.0/16", "fd00:50::/56"]
        assert (config.max_pods, config.node_cidr_mask_sizes[IPFamily.IPV6]) == (100, 72)
        assert config.evidence["cluster_cidrs"].endswith("config.yaml.d/20-dual.yaml, line 1, cluster-cidr")
    (folder / "config.yaml.d" / "50-replace.yaml").write_text("kubelet-arg: [node-ip=10.0.0.1]\n")
    assert read_config(folder).max_pods == 110
    (folder / "config.yaml.d" / "60-broken.yaml").write_text("kubelet-arg: [a\n")
    with pytest.raises(InvalidConfig, match=r"config\.yaml\.d/60-broken\.yaml"):
        read_config(folder)


def test_k3s_refuses_families_that_do_not_pair() -> None:
    with pytest.raises(InvalidConfig, match=r"must share the same IP version.*give service-cidr IPv4 and IPv6 too"):
        read("cluster-cidr: 10.42.0.0/16,fd00:42::/56", "config.yaml")


# ---------------------------------------------------------------- flags


def test_static_pods_tell_flags_version_and_line() -> None:
    config = read(STATIC_POD, "kube-apiserver.yaml")
    assert config.evidence["service_cidrs"] == (
        "kube-apiserver.yaml, line 11, spec.containers[0].command[2] --service-cluster-ip-range"
    )
    assert str(config.kube_version) == "1.31"
    assert "registry.k8s.io/kube-apiserver:v1.31.2" in config.evidence["kube_version"]


def test_a_folder_of_manifests_is_one_configuration(tmp_path: Path) -> None:
    manager = STATIC_POD.replace("kube-apiserver", "kube-controller-manager").replace(
        "--advertise-address=10.0.0.1", "--allocate-node-cidrs=true\n    - --cluster-cidr=10.244.0.0/16"
    )
    (tmp_path / "kube-apiserver.yaml").write_text(STATIC_POD)
    (tmp_path / "kube-controller-manager.yaml").write_text(manager)
    (tmp_path / "notes.txt").write_text("not looked at")
    config = read_config(tmp_path)
    assert [str(cidr) for cidr in config.cluster_cidrs] == ["10.244.0.0/16"]
    assert config.evidence["cluster_cidrs"].startswith(f"{tmp_path.name}/kube-controller-manager.yaml, line 11")
    assert read_config([tmp_path / "kube-apiserver.yaml", tmp_path / "kube-controller-manager.yaml"]) == config


def test_units_and_variables() -> None:
    assert flags(UNIT, "kubelet.service") == {
        "kubelet": ("--max-pods=64", "--node-ip=10.0.0.7", "--pod-cidr=10.244.1.0/24")
    }
    assert flags("KUBE_PROXY_ARGS='--proxy-mode=ipvs'\n", "x.env") == {"kube-proxy": ("--proxy-mode=ipvs",)}


def test_plain_flags_tell_their_component_by_line_file_or_name() -> None:
    assert flags("kube-proxy:\n--proxy-mode=ipvs\n# end", "x.flags") == {"kube-proxy": ("--proxy-mode=ipvs",)}
    assert flags("--feature-gates=A=true", "kubelet.flags") == {"kubelet": ("--feature-gates=A=true",)}
    assert flags("--max-pods=7", "x.flags") == {"kubelet": ("--max-pods=7",)}
    with pytest.raises(InvalidConfig, match=r"x.flags: whose flags are cluster-cidr\?"):
        flags("--cluster-cidr=10.0.0.0/8", "x.flags")
    with pytest.raises(InvalidConfig, match=r"x\.flags, line 2: no closing quotation"):
        flags("kubelet\n--node-ip='10.0.0.1", "x.flags")


def test_json_is_read_with_its_lines() -> None:
    document = {"kube-apiserver": ["--service-cluster-ip-range=10.96.0.0/16"], "kubelet": ["--max-pods=250"]}
    config = read(json.dumps(document, indent="\t"), "flags.json")
    assert config.max_pods == 250
    assert config.evidence["max_pods"] == "flags.json, line 6, kubelet[0]"


def test_a_config_map_holds_a_document() -> None:
    inner = "".join(f"    {line}\n" for line in KUBEADM_3.split("---\n")[1].splitlines())
    text = f"apiVersion: v1\nkind: ConfigMap\ndata:\n  ClusterConfiguration: |\n{inner}"
    assert read(text, "kubeadm-config.yaml").is_dual_stack


def test_a_flag_given_twice_is_told() -> None:
    written = read_written(io.StringIO("kubelet --max-pods=1\n--max-pods=2"))
    assert [finding.rule for finding in written.findings] == ["flag-repeated"]
    assert written.flags == {"kubelet": ("--max-pods=2",)}


# ---------------------------------------------------------------- anything


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "configures none of"),
        ("just words", "is no mapping"),
        ("[1, 2]", "is no mapping"),
        ("a: 1", "has no key that is known here"),
        ("kind: Deployment", "is of kind 'Deployment'"),
        ("kind: Pod", "configures none of"),
        ("kubelet: 7", "is a number, and a list is needed"),
        ("a: &a [*a]\ncluster-cidr: x", "with its aliases, or uses itself"),
        ("a: &a {<<: *a}\ncluster-cidr: x", "merges itself|is no YAML"),
        ("cluster-cidr: !!python/object:os.system x", "cannot be read as"),
        ("cluster-cidr: foo", "kube-controller-manager would not start"),
        ("? [a]\n: b", "has a key that is no text"),
        ("a: " + "[" * 80, "nested more than 64 deep"),
        ("a: \x00", "is no YAML"),
    ],
)
def test_what_is_no_configuration_is_named(text: str, words: str) -> None:
    with pytest.raises(InvalidConfig, match=words):
        read(text, "x.yaml")


def test_aliases_that_multiply_are_stopped() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    with pytest.raises(InvalidConfig, match="more than 20,000 values"):
        read("\n".join(lines), "bomb.yaml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="cannot be read"):
        read_config(tmp_path / "missing.yaml")
    big = tmp_path / "big.yaml"
    big.write_bytes(b"#" * (1 << 21))
    with pytest.raises(InvalidConfig, match="no configuration has more"):
        read_config(big)
    big.write_bytes(b"\xff\x00\x81")
    with pytest.raises(InvalidConfig, match="is no text"):
        read_config(big)
    with pytest.raises(UnsupportedVersion, match="outside the modelled window"):
        read(KUBEADM_3, kube_version="1.12")


WORDS = """kind: |Pod|apiVersion: kubeadm.k8s.io/v1beta4|  |- |cluster-cidr: |10.0.0.0/8|fd00::/48|{|}|[|]|&a |*a|: |
---|kubelet|--max-pods=7|'|"|\t|<<: |networking:|spec:|command:|ClusterConfiguration|extraArgs:|1.30|null|!!int x|% x|
kubelet-arg:"""
PIECES = st.sampled_from([*WORDS.split("|"), "\n"])


@given(st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=30) | st.binary(max_size=30))
def test_no_file_is_a_traceback(content: str | bytes) -> None:
    file = io.StringIO(content) if isinstance(content, str) else io.BytesIO(content)
    try:
        read_config(file)
    except DsmodelError as error:
        assert str(error)  # noqa: PT017 - either answer is right


def test_dumps_and_configurations_are_told_apart(tmp_path: Path) -> None:
    for name, text in {
        "a.yaml": KUBEADM_3,
        "b.yaml": STATIC_POD,
        "c.service": UNIT,
        "d.yaml": "cluster-cidr: x",
    }.items():
        (tmp_path / name).write_text(text)
        assert is_config(tmp_path / name)
    assert is_config(tmp_path)
    assert not any(is_config(sample_path(name)) for name in SAMPLES)
    assert not is_config("-")
    assert not is_config(tmp_path / "missing")
    (tmp_path / "dump.yaml").write_text("apiVersion: v1\nkind: List\nitems: []")
    assert not is_config(tmp_path / "dump.yaml")
