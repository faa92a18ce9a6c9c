"""Allow-lists of one family: what follows for the other one differs with the kind of list."""

from __future__ import annotations

import json
from typing import Any

import pytest

import dsmodel as ds
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.checks import RULES
from dsmodel.cluster.objects import NetworkObjects
from dsmodel.kube.load_balancers import source_ranges

V4 = {"ipBlock": {"cidr": "203.0.113.0/24"}}
V6 = {"ipBlock": {"cidr": "2001:db8::/32"}}
DUAL = ["10.244.0.0/16", "fd00:10:244::/56"]


def found(kind: str, version: str, spec: dict[str, Any], cidrs: list[str] = DUAL) -> list[str]:
    cluster = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=cidrs))
    thing = {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": "shop"}, "spec": spec}
    cluster.objects = NetworkObjects().adding([thing])
    frame = ds.check(cluster)
    assert set(frame["object"]) <= {f"{kind}/shop/x"}
    return frame["message"].tolist()


POLICIES: list[tuple[dict[str, Any], list[str], str]] = [
    ({"egress": [{"to": [V4]}]}, ["IPv4"], "one block"),
    ({"ingress": [{"from": [V6, V6]}]}, ["IPv6"], "ingress too"),
    ({"ingress": [{"from": [V4]}], "egress": [{"to": [V6]}]}, ["IPv4", "IPv6"], "each direction for itself"),
    ({"egress": [{"to": [V4, V6]}]}, [], "both families"),
    ({"egress": [{"to": [V4]}, {"to": [V6]}]}, [], "both families in two rules"),
    ({"egress": [{"to": [V4]}, {"ports": [{"port": 53}]}]}, [], "a rule without peers lets everybody through"),
    ({"egress": [{"to": [{"podSelector": {}}]}]}, [], "selectors speak for both"),
    ({"egress": [{"to": [V4, {"namespaceSelector": {}}]}]}, ["IPv4"], "outside, the block alone counts"),
    ({"egress": []}, [], "nobody is let through anyway"),
    ({"egress": [{"to": [{"ipBlock": {"cidr": "nonsense"}}]}]}, [], "the API server refuses it before"),
    ({"egress": [None, {"to": None}]}, [], "half-written"),
]


@pytest.mark.parametrize(("spec", "families", "why"), POLICIES, ids=[row[-1] for row in POLICIES])
def test_network_policies(spec: dict[str, Any], families: list[str], why: str) -> None:
    del why
    messages = found("NetworkPolicy", "networking.k8s.io/v1", spec)
    other = {"IPv4": "IPv6", "IPv6": "IPv4"}
    pairs = {each: next(m for m in messages if f"names {each} only" in m) for each in families}
    assert len(messages) == len(pairs) == len(families)
    assert all(f"refused over {other[family]}" in message for family, message in pairs.items())


def test_a_cluster_of_one_family_has_no_such_policies() -> None:
    spec = {"egress": [{"to": [V4]}]}
    assert found("NetworkPolicy", "networking.k8s.io/v1", spec, DUAL[:1]) == []
    assert found("EgressIP", "k8s.ovn.org/v1", {"egressIPs": ["192.0.2.1"]}, DUAL[:1]) == []


@pytest.mark.parametrize(
    ("kind", "version", "spec", "family"),
    [
        ("EgressIP", "k8s.ovn.org/v1", {"egressIPs": ["192.0.2.1"]}, "IPv4"),
        ("EgressIP", "k8s.ovn.org/v1", {"egressIPs": ["192.0.2.1", "2001:db8::1"]}, ""),
        ("CiliumEgressGatewayPolicy", "cilium.io/v2", {"destinationCIDRs": ["2000::/3"]}, "IPv6"),
        ("CiliumEgressGatewayPolicy", "cilium.io/v2", {"destinationCIDRs": ["0.0.0.0/0", "::/0"]}, ""),
        ("CiliumEgressGatewayPolicy", "cilium.io/v2", {}, ""),
    ],
)
def test_egress_policies(kind: str, version: str, spec: dict[str, Any], family: str) -> None:
    messages = found(kind, version, spec)
    assert [message.split(" ")[1] for message in messages] == ([family] if family else [])


def test_the_rule_says_what_kube_proxy_does() -> None:
    """An empty list of a family is no restriction: the rule and the model of kube-proxy agree."""
    spec = {"type": "LoadBalancer", "ipFamilies": ["IPv4", "IPv6"], "loadBalancerSourceRanges": ["10.0.0.0/8"]}
    assert source_ranges({"spec": spec})[IPFamily.IPV6] is None
    (rule,) = (rule for rule in RULES if rule.name == "load-balancer-sources-one-family")
    assert "usesFWChain" in rule.source


def test_a_dump_with_a_load_balancer_open_in_one_family(tmp_path: Any) -> None:
    spec = {
        "type": "LoadBalancer",
        "clusterIP": "10.96.0.30",
        "clusterIPs": ["10.96.0.30", "fd00:10:96::30"],
        "ipFamilies": ["IPv4", "IPv6"],
        "ipFamilyPolicy": "RequireDualStack",
        "ports": [{"port": 80, "nodePort": 30100}],
        "loadBalancerSourceRanges": ["10.0.0.0/8"],
    }
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}
    path = tmp_path / "dump.json"
    path.write_text(json.dumps(service))
    frame = ds.check(ds.read_cluster(path)).set_index("rule")
    row = frame.loc["load-balancer-sources-one-family"]
    assert row["object"] == "Service/shop/web"
    assert row["message"].endswith("its IPv6 load balancer address is open to all")


METALLB, CILIUM = ("IPAddressPool", "metallb.io/v1beta1"), ("CiliumLoadBalancerIPPool", "cilium.io/v2")


@pytest.mark.parametrize(
    ("pools", "named"),
    [
        ([(*METALLB, {"addresses": ["192.168.1.240-192.168.1.250"]})], 1),
        # metallb#1156: two pools of one family each are no pool of both
        ([(*METALLB, {"addresses": ["192.168.1.0/24"]}), (*METALLB, {"addresses": ["fc00:f853::/124"]})], 2),
        (
            [
                (*METALLB, {"addresses": ["192.168.1.0/24", "fc00::-fc00::ff"]}),
                (*METALLB, {"addresses": ["10.0.0.0/24"]}),
            ],
            0,
        ),
        ([(*METALLB, {"addresses": ["half written"]}), (*METALLB, {})], 0),
        # Cilium serves each family from whichever pool has it
        ([(*CILIUM, {"blocks": [{"cidr": "192.0.2.0/24"}]})], 1),
        (
            [
                (*CILIUM, {"blocks": [{"start": "192.0.2.1", "stop": "192.0.2.9"}]}),
                (*CILIUM, {"cidrs": [{"cidr": "fd00::/64"}]}),
            ],
            0,
        ),
        (
            [
                (*CILIUM, {"blocks": [{"cidr": "192.0.2.0/24"}]}),
                (*CILIUM, {"blocks": [{"cidr": "fd00::/64"}], "disabled": True}),
            ],
            1,
        ),
    ],
)
def test_pools_of_load_balancers(pools: list[tuple[str, str, dict]], named: int) -> None:
    cluster = ds.examples.kubeadm_dual_stack()
    cluster.objects = NetworkObjects().adding(
        {"apiVersion": version, "kind": kind, "metadata": {"name": f"p{place}"}, "spec": spec}
        for place, (kind, version, spec) in enumerate(pools)
    )
    assert (ds.check(cluster)["rule"] == "load-balancer-pool-one-family").sum() == named


def test_a_cluster_with_services_of_one_family_may_have_such_pools() -> None:
    cluster = ds.examples.single_stack_ipv4()
    pool = {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": {"name": "p"}}
    cluster.objects = NetworkObjects().adding([pool | {"spec": {"addresses": ["192.168.1.0/24"]}}])
    assert "load-balancer-pool-one-family" not in set(ds.check(cluster)["rule"])
