import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.cidr import Cidr
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
        node_cidr_mask_sizes={"IPv4": mask},
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
