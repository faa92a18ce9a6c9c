import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.cidr import Cidr
from dsmodel.errors import InvalidConfig
from dsmodel.kube import ClusterConfig, check_config, config_from_flags, flags_from_config

SERVICES = st.sampled_from(
    [[], ["10.96.0.0/16"], ["fd01::/112"], ["10.96.0.0/16", "fd01::/112"], ["fd01::/112", "10.96.0.0/12"]]
)
BLOCKS = st.sampled_from(
    [[], ["10.244.0.0/16"], ["fd00::/56"], ["10.0.0.0/9", "fd00::/48"], ["fd00::/60", "10.244.0.0/20"]]
)


@given(SERVICES, BLOCKS, st.integers(25, 28), st.integers(0, 500), st.integers(21, 36))
def test_flags_are_read_back(services: list[str], blocks: list[str], mask: int, pods: int, minor: int) -> None:
    config = ClusterConfig.of(
        kube_version=f"1.{minor}",
        service_cidrs=services,
        cluster_cidrs=blocks,
        node_cidr_mask_sizes={"IPv4": mask} if blocks else {},  # no flag says a mask without a cluster CIDR
        service_node_port_range=(31000, 31999) if services else (30000, 32767),
        max_pods=pods,
    )
    assert config_from_flags(flags_from_config(config), kube_version=config.kube_version) == config


def test_a_sound_configuration_has_no_findings() -> None:
    config = ClusterConfig.of(
        cluster_cidrs=["10.244.0.0/16", "fd00:10:244::/56"], service_cidrs=["10.96.0.0/16", "fd00:10:96::/112"]
    )
    assert len(check_config(config)) == 0


@pytest.mark.parametrize(
    ("arguments", "rules"),
    [
        ({"cluster_cidrs": "10.244.0.0/16", "node_cidr_mask_sizes": {"IPv4": 25}}, []),
        ({"cluster_cidrs": "10.244.0.0/16", "node_cidr_mask_sizes": {"IPv4": 26}}, ["max-pods-above-block"]),
        ({"cluster_cidrs": "fd00::/47"}, ["node-mask"]),
        ({"cluster_cidrs": "10.244.0.0/16,fd00::/64"}, ["family-capacity"]),
        ({"cluster_cidrs": "10.0.0.0/8", "extra_service_cidrs": [Cidr("10.9.0.0/24")]}, ["service-cidr-inside"]),
        ({"service_cidrs": "10.96.0.0/30"}, ["service-range-minimum"]),
    ],
)
def test_what_is_found(arguments: dict[str, object], rules: list[str]) -> None:
    assert check_config(ClusterConfig.of(**arguments))["rule"].tolist() == rules  # type: ignore[arg-type]


def test_a_gate_one_component_refuses_is_found_for_each() -> None:
    config = ClusterConfig.of(kube_version="1.24", service_cidrs="10.96.0.0/16", feature_gates={"IPv6DualStack": False})
    found = check_config(config)
    assert found["component"].tolist() == ["kube-apiserver", "kubelet"]
    assert set(found["severity"]) == {"fatal"}


SERVER, MANAGER, KUBELET, PROXY = "kube-apiserver", "kube-controller-manager", "kubelet", "kube-proxy"
DUAL = "10.244.0.0/16,fd00:1::/56"


@pytest.mark.parametrize(
    ("flags", "version", "rules"),
    [
        ({SERVER: ["--service-cluster-ip-range=10.96.0.0/8"]}, "1.29", ["service-range-maximum"]),
        (
            {
                SERVER: ["--service-cluster-ip-range=10.96.0.0/16"],
                MANAGER: ["--allocate-node-cidrs", f"--cluster-cidr={DUAL}", "--service-cluster-ip-range=10.97.0.0/16"],
            },
            "1.36",
            ["ranges-differ"],
        ),
        (
            {MANAGER: ["--allocate-node-cidrs", f"--cluster-cidr={DUAL}"], PROXY: ["--cluster-cidr=10.244.0.0/16"]},
            "1.36",
            ["ranges-differ"],
        ),
        (
            {
                MANAGER: [
                    "--allocate-node-cidrs",
                    f"--cluster-cidr={DUAL}",
                    "--feature-gates=IPv6DualStack=true",
                ],
                KUBELET: [],
            },
            "1.20",
            ["dual-stack-gate"],
        ),
        (
            {MANAGER: ["--allocate-node-cidrs", f"--cluster-cidr={DUAL}"], KUBELET: ["--node-ip=10.0.0.1"]},
            "1.36",
            ["node-ip-families"],
        ),
        (
            {SERVER: ["--service-cluster-ip-range=10.96.0.0/16"], KUBELET: ["--cluster-dns=10.97.0.10"]},
            "1.36",
            ["cluster-dns"],
        ),
        (
            {SERVER: ["--service-cluster-ip-range=10.96.0.0/16"], KUBELET: ["--cluster-dns=10.96.0.10,nonsense"]},
            "1.36",
            [],
        ),
        ({KUBELET: ["--network-plugin=kubenet"]}, "1.23", ["kubenet"]),
        ({KUBELET: ["--network-plugin=kubenet"]}, "1.24", ["flag-removed"]),
        (
            {
                SERVER: ["--service-cluster-ip-range=10.96.0.0/16,fd00:2::/112"],
                MANAGER: ["--allocate-node-cidrs", "--cluster-cidr=10.244.0.0/16"],
            },
            "1.36",
            ["family-pairing"],
        ),
        ({KUBELET: [f"--x{n}=1" for n in range(9)]}, "1.36", ["flag-not-modelled"]),
        ({MANAGER: ["--allocate-node-cidrs", "--cluster-cidr=10.244.0.0/24"]}, "1.36", ["one-node-block"]),
    ],
)
def test_what_is_found_in_flags(flags: dict[str, list[str]], version: str, rules: list[str]) -> None:
    frame = check_config(flags, kube_version=version)
    assert frame["rule"].tolist() == rules
    assert (frame["fix"] != "").all()
    assert ((frame["flag"] != "") | (frame["rule"] == "flag-not-modelled")).all()


def test_a_configuration_is_judged_as_of_another_version() -> None:
    config = ClusterConfig.of(kube_version="1.34", service_cidrs="10.0.0.0/8")
    assert check_config(config).empty
    assert check_config(config, kube_version="1.29")["severity"].tolist() == ["fatal"]


def test_guesses_are_not_judged() -> None:
    config = ClusterConfig.of(
        cluster_cidrs="10.244.0.0/24", service_cidrs="10.96.0.0/30",
        evidence={"cluster_cidrs": "guess: …", "service_cidrs": "guess: …"},
    )  # fmt: skip
    assert check_config(config).empty


def test_nodes_that_wait_for_a_block() -> None:
    config = ClusterConfig.of(cluster_cidrs="10.244.0.0/23", node_cidr_mask_sizes={"IPv4": 24})
    nodes = {"a": ("10.244.0.0/24",), "b": (), "c": ()}
    assert check_config(config, nodes=nodes)["message"].tolist() == [
        "2 nodes have no podCIDR yet and 1 block is left: CIDRNotAvailable for the others"
    ]
    assert check_config(config, nodes={"a": ("10.244.0.0/24",)}).empty


def test_a_component_nobody_judges_is_an_error() -> None:
    with pytest.raises(InvalidConfig, match="'kube-scheduler' is not judged here"):
        check_config({"kube-scheduler": []})
