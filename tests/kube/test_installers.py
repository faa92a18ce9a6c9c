"""kubeadm's own validation, and the families k3s insists on."""

from __future__ import annotations

import pytest

from dsmodel.kube.installers import KubeadmNetworking, judge_k3s, judge_kubeadm, kubeadm_flags
from dsmodel.kube.versions import KubeVersion

NEW = KubeVersion("1.36")


def found(version: str = "1.36", **fields: object) -> list[str]:
    networking = KubeadmNetworking(**fields)  # type: ignore[arg-type]
    findings = judge_kubeadm(networking, KubeVersion(version))
    assert all(finding.flag and finding.fix and finding.source for finding in findings)
    return [f"{finding.severity} {finding.flag} {finding.message}" for finding in findings]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"service_subnet": "10.96.0.0/29"}, "subnet with 8 address(es) is too small, the minimum is 10"),
        ({"service_subnet": "10.96.0.0/28"}, ""),
        ({"service_subnet": "10.0.0.0/11"}, "the mask must be >= 12"),
        ({"service_subnet": "fd00::/107"}, "the mask must be >= 108"),
        ({"service_subnet": "10.96.0.0/16, fd00::/112"}, "couldn't parse subnet"),
        ({"pod_subnet": "10.244.0.0/29"}, "subnet with 8 address(es) is too small, the minimum is 14"),
        ({"pod_subnet": "10.244.0.0/16,10.245.0.0/16"}, "two CIDRs from each family"),
        ({"pod_subnet": "10.0.0.0/8,fd00::/48,10.9.0.0/16"}, "two CIDRs from each family"),
        (
            {"pod_subnet": "10.244.0.0/25"},
            "pod subnet with mask 25 is smaller than the size of node subnet with mask 24",
        ),
        ({"pod_subnet": "10.0.0.0/7"}, "pod subnet mask (7) and node-mask (24) difference is greater than 16"),
        ({"pod_subnet": "fd00::/47"}, "difference is greater than 16"),
        ({"pod_subnet": "fd00::/47", "controller_args": {"node-cidr-mask-size-ipv6": "63"}}, ""),
        ({"pod_subnet": "fd00::/47", "controller_args": {"allocate-node-cidrs": "false"}}, ""),
        ({"pod_subnet": "10.0.0.0/9", "controller_args": {"node-cidr-mask-size-ipv4": "x"}}, "as an integer"),
        ({"pod_subnet": "fec0:1::/56"}, "contains IPv6 site-local addresses"),
        ({"feature_gates": {"IPv6DualStack": True}}, "IPv6DualStack is not a valid feature name"),
        ({}, ""),
    ],
)
def test_networking(fields: dict[str, object], words: str) -> None:
    listed = found(**fields)
    assert (words in listed[0]) if words else (listed == []), listed


def test_the_gate_decided_about_two_ranges() -> None:
    dual = {"pod_subnet": "10.244.0.0/16,fd00::/56"}
    assert "expected one (IPv4 or IPv6) CIDR" in found("1.20", **dual)[0]
    assert found("1.20", **dual, feature_gates={"IPv6DualStack": True}) == []
    assert found("1.21", **dual) == []
    single = {"pod_subnet": "10.244.0.0/16", "controller_args": {"node-cidr-mask-size": "12"}}
    assert "mask 16 is smaller" in found("1.20", **single)[0]
    assert found("1.36", **single) == []


def test_the_gate_is_handed_on_while_it_exists() -> None:
    networking = KubeadmNetworking(feature_gates={"IPv6DualStack": True})
    flags = kubeadm_flags(networking, KubeVersion("1.20"))
    assert {component for component, given in flags.items() if "feature-gates" in given} == {
        "kube-apiserver",
        "kube-controller-manager",
        "kubelet",
        "kube-proxy",
    }
    assert "kubelet" not in kubeadm_flags(networking, NEW)


@pytest.mark.parametrize(
    ("clusters", "services", "nodes", "flags"),
    [
        ("10.42.0.0/16", "10.43.0.0/16", "", []),
        ("10.42.0.0/16,fd00::/56", "10.43.0.0/16,fd01::/112", "10.0.0.1,fd02::1", []),
        ("10.42.0.0/16", "fd01::/112", "", ["service-cidr"]),
        ("10.42.0.0/16", "10.43.0.0/16,fd01::/112", "", ["service-cidr"]),
        ("fd00::/56,10.42.0.0/16", "10.43.0.0/16,fd01::/112", "", ["service-cidr"]),
        ("fd00::/56", "fd01::/112", "10.0.0.1", ["node-ip"]),
        ("foo", "bar", "baz", []),
    ],
)
def test_k3s_families(clusters: str, services: str, nodes: str, flags: list[str]) -> None:
    assert [finding.flag for finding in judge_k3s(clusters, services, nodes)] == flags
