import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidConfig, UnsupportedVersion
from dsmodel.kube.config import ClusterConfig, parse_port_range
from dsmodel.kube.versions import KubeVersion

PORTS = st.integers(0, 65535)


@given(PORTS, PORTS)
def test_port_ranges_read_three_ways(one: int, other: int) -> None:
    first, last = sorted((one, other))
    assert parse_port_range(f"{first}-{last}") == (first, last)
    assert parse_port_range(f" {first}+{last - first} ") == (first, last)
    assert parse_port_range(str(first)) == (first, first)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("32767-30000", "end port cannot be less than start port: 32767-30000"),
        ("30000+-5", "unable to parse port range: 30000\\+-5"),
        ("65535-65536", "the port range cannot be greater than 65535: 65535-65536"),
        ("65535+1", "the port range cannot be greater than 65535: 65535\\+1"),
        ("foo", 'strconv.Atoi: parsing "foo": invalid syntax'),
        ("30000-", 'strconv.Atoi: parsing "": invalid syntax'),
        ("-5", 'strconv.Atoi: parsing "": invalid syntax'),
        ("1-2-3", 'strconv.Atoi: parsing "2-3": invalid syntax'),
    ],
)
def test_port_ranges_that_are_none(text: str, words: str) -> None:
    with pytest.raises(InvalidConfig, match=words):
        parse_port_range(text)


def test_defaults_are_the_components() -> None:
    config = ClusterConfig.of()
    assert config.kube_version == KubeVersion("1.36")
    assert config.service_node_port_range == (30000, 32767)
    assert config.max_pods == 110
    assert config.ip_families == ()
    assert not config.is_dual_stack
    assert set(config.evidence.values()) == {"default"}


def test_text_is_read_as_the_flags_read_it() -> None:
    config = ClusterConfig.of(
        kube_version="v1.30.4",
        cluster_cidrs="fd00:10:244::/48,10.244.5.7/16",
        service_cidrs=["10.96.0.0/16", Cidr("fd00:10:96::/112")],
        node_cidr_mask_sizes={"IPv4": 26},
        service_node_port_range="30000+99",
        evidence={"service_cidrs": "flag of a Pod"},
    )
    assert [str(cidr) for cidr in config.cluster_cidrs] == ["fd00:10:244::/48", "10.244.0.0/16"]
    assert config.ip_families == (IPFamily.IPV4, IPFamily.IPV6)
    assert config.is_dual_stack
    assert config.node_cidr_mask_sizes == {IPFamily.IPV6: 64, IPFamily.IPV4: 26}
    assert config.service_node_port_range == (30000, 30099)
    assert config.evidence["service_cidrs"] == "flag of a Pod"
    assert config.evidence["cluster_cidrs"] == config.evidence["node_cidr_mask_sizes"] == "given"
    assert config.evidence["max_pods"] == "default"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"cluster_cidrs": ["foo"]}, r"cluster_cidrs\[0\]: 'foo' is not a CIDR"),
        ({"service_cidrs": ["10.96.0.0/16", "10.97.0.0/16"]}, "two ranges of one family"),
        ({"cluster_cidrs": "10.0.0.0/8", "node_cidr_mask_sizes": {"IPv4": 33}}, "prefix length of IPv4 is 1 to 32"),
        ({"node_cidr_mask_sizes": {"ipv4": 24}}, "has the key 'ipv4'; use 'IPv4' or 'IPv6'"),
        ({"service_node_port_range": (5, 4)}, "5-4 is not first <= last"),
        ({"service_node_port_range": "x"}, "strconv.Atoi"),
        ({"max_pods": -1}, "max_pods is -1"),
        ({"cluster_cidrs": None}, "cluster_cidrs is None of type NoneType; give a list of CIDRs"),
        ({"service_cidrs": 7}, "service_cidrs is 7 of type int"),
        ({"extra_service_cidrs": b"10.0.0.0/8"}, "of type bytes"),
        ({"cluster_cidrs": {"a": 1}}, "of type dict"),
        ({"cluster_cidrs": [None]}, r"cluster_cidrs\[0\]"),
        ({"node_cidr_mask_sizes": 24}, "node_cidr_mask_sizes is 24 of type int; give a mapping"),
        ({"node_cidr_mask_sizes": {"IPv4": None}}, r"node_cidr_mask_sizes\[IPv4\] is None"),
        ({"node_cidr_mask_sizes": {"IPv4": 24.5}}, "give a whole number"),
        ({"service_node_port_range": None}, "give '30000-32767', or first and last port"),
        ({"service_node_port_range": [30000]}, "first and last port"),
        ({"service_node_port_range": ["a", 1]}, "give a whole number"),
        ({"service_node_port_range": {"a": 1}}, "first and last port"),
        ({"max_pods": None}, "max_pods is None of type NoneType; give a whole number"),
        ({"max_pods": 110.0}, "max_pods is 110.0 of type float"),
        ({"max_pods": True}, "max_pods is True of type bool"),
        ({"feature_gates": "IPv6DualStack=true"}, "of type str; give a mapping"),
        ({"feature_gates": {"IPv6DualStack": "true"}}, "give True or False"),
        ({"evidence": ["max_pods"]}, "evidence is .* of type list"),
    ],
)
def test_values_that_mean_nothing(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidConfig, match=words):
        ClusterConfig.of(**arguments)  # type: ignore[arg-type]


def test_numbers_of_numpy_and_in_digits_are_whole_numbers() -> None:
    config = ClusterConfig.of(cluster_cidrs=["10.0.0.0/8"], max_pods=np.int64(250), node_cidr_mask_sizes={"IPv4": "25"})
    assert (config.max_pods, config.node_cidr_mask_sizes[IPFamily.IPV4]) == (250, 25)
    assert type(config.max_pods) is int


def test_a_version_outside_the_window() -> None:
    with pytest.raises(UnsupportedVersion, match="outside the modelled window"):
        ClusterConfig.of(kube_version="1.19")


def test_it_is_a_value() -> None:
    config = ClusterConfig.of(cluster_cidrs="10.244.0.0/16", feature_gates={"IPv6DualStack": True}, kube_version="1.20")
    assert config == pickle.loads(pickle.dumps(config)) == copy.deepcopy(config)  # noqa: S301 - own bytes
    assert len({config, copy.copy(config)}) == 1
    assert config.gate("IPv6DualStack")
    with pytest.raises(AttributeError, match="cannot assign"):
        config.max_pods = 3  # type: ignore[misc]


def test_evidence_does_not_tell_two_configurations_apart() -> None:
    assert ClusterConfig.of(evidence={"max_pods": "seen"}) == ClusterConfig.of()


def test_mask_sizes_stay_where_the_cluster_cidrs_are_unknown() -> None:
    config = ClusterConfig.of(node_cidr_mask_sizes={"IPv4": 26})
    assert config.node_cidr_mask_sizes == {IPFamily.IPV4: 26}
    assert config.evidence["node_cidr_mask_sizes"] == "given"
