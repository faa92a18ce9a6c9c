"""Load balancers by family: pools, provider support, source ranges, external IPs."""

from __future__ import annotations

from typing import Any

import pytest

from dsmodel.addresses.cidr import IPFamily
from dsmodel.errors import AlreadyAllocated, InvalidInput, NotInRange, PoolFull
from dsmodel.kube.load_balancers import LoadBalancerPool, LoadBalancerPools, external_ips, ingress, source_ranges

IP4, IP6 = IPFamily.IPV4, IPFamily.IPV6
V4, V6 = "192.0.2.16/30", "2001:db8::10/126"


def service(*cluster_ips: str, **spec: Any) -> dict[str, Any]:
    return {"spec": {"type": "LoadBalancer", "clusterIPs": list(cluster_ips), **spec}}


BOTH = ("10.96.0.9", "fd00::9")


@pytest.mark.parametrize("policy", ["PreferDualStack", "RequireDualStack"])
def test_two_cluster_ips_get_two_addresses_or_none(policy: str) -> None:
    pools = LoadBalancerPools([LoadBalancerPool("v4", (V4,)), LoadBalancerPool("v6", (V6,))])
    with pytest.raises(PoolFull, match="both must come from one pool"):
        pools.allocate(service(*BOTH, ipFamilyPolicy=policy), owner="default/web")
    assert pools.used("v4") == pools.used("v6") == 0


def test_one_pool_of_both_families_serves_them() -> None:
    pools = LoadBalancerPools([LoadBalancerPool("v4", (V4,)), LoadBalancerPool("both", (V4.replace("16", "32"), V6))])
    assert pools.allocate(service(*BOTH), owner="a") == ("192.0.2.32", "2001:db8::10")
    assert pools.allocate(service(BOTH[1]), owner="b") == ("2001:db8::11",)
    assert pools.allocate(service(BOTH[0]), owner="c") == ("192.0.2.16",)


def test_a_family_that_runs_out_takes_nothing_of_the_other() -> None:
    pools = LoadBalancerPools([LoadBalancerPool("both", ("192.0.2.1-192.0.2.1", V6))])
    pools.allocate(service(*BOTH), owner="a")
    with pytest.raises(PoolFull, match="IPv4 and IPv6"):
        pools.allocate(service(*BOTH), owner="b")
    assert pools.used("both") == 2
    pools.release("a")
    assert pools.allocate(service(*BOTH), owner="b") == ("192.0.2.1", "2001:db8::10")


def test_a_service_keeps_what_it_holds_until_its_families_change() -> None:
    pools = LoadBalancerPools([LoadBalancerPool("both", (V4, V6))])
    assert pools.allocate(service(BOTH[0]), owner="a") == pools.allocate(service(BOTH[0]), owner="a")
    assert len(pools.allocate(service(*BOTH), owner="a")) == 2
    assert pools.used("both") == 2


def test_buggy_addresses_priorities_and_named_pools() -> None:
    pools = LoadBalancerPools(
        [
            LoadBalancerPool("last", ("198.51.100.0/30",)),
            LoadBalancerPool("first", ("192.0.2.0/30",), avoid_buggy_ips=True, priority=1),
            LoadBalancerPool("by-hand", ("203.0.113.0/30",), auto_assign=False),
        ]
    )
    assert pools.allocate(service("10.96.0.1"), owner="a") == ("192.0.2.1",)
    assert pools.allocate(service("10.96.0.2"), owner="b", pool="by-hand") == ("203.0.113.0",)
    with pytest.raises(InvalidInput, match="no pool is named 'x'; there are last, first, by-hand"):
        pools.allocate(service("10.96.0.3"), owner="c", pool="x")


@pytest.mark.parametrize(
    ("asked", "ip", "error", "words"),
    [
        (("10.96.0.1",), "2001:db8::10", InvalidInput, "is IPv6, the Service is IPv4"),
        (BOTH, "192.0.2.17", InvalidInput, "the Service is IPv4 and IPv6"),
        (("10.96.0.1",), "192.0.2.99", NotInRange, "is in no pool"),
        (("10.96.0.1",), "192.0.2.16", AlreadyAllocated, "held by first"),
        (("10.96.0.1",), "web", InvalidInput, "not an address"),
    ],
)
def test_an_address_asked_for(asked: tuple[str, ...], ip: str, error: type[Exception], words: str) -> None:
    pools = LoadBalancerPools([LoadBalancerPool("both", (V4, V6))])
    pools.allocate(service("10.96.0.7", loadBalancerIP="192.0.2.16"), owner="first")
    with pytest.raises(error, match=words):
        pools.allocate(service(*asked, loadBalancerIP=ip), owner="second")
    assert pools.used("both") == 1


def test_only_load_balancers_with_cluster_ips_are_served() -> None:
    pools = LoadBalancerPools([])
    with pytest.raises(InvalidInput, match="type ClusterIP"):
        pools.allocate({"spec": {}}, owner="a")
    with pytest.raises(InvalidInput, match="no cluster IP yet"):
        pools.allocate({"spec": {"type": "LoadBalancer"}}, owner="a")


@pytest.mark.parametrize(
    "text", ["", "192.0.2.0", "192.0.2.9-192.0.2.1", "192.0.2.1-2001:db8::1", "192.0.2.0/33", "a-b"]
)
def test_pools_refuse_what_is_no_range(text: str) -> None:
    with pytest.raises(InvalidInput, match=r".+"):
        LoadBalancerPool("p", (text,))


def test_pool_names_are_unique() -> None:
    with pytest.raises(InvalidInput, match="two pools are named 'p'"):
        LoadBalancerPools([LoadBalancerPool("p", (V4,)), LoadBalancerPool("p", (V6,))])


@pytest.mark.parametrize(
    ("families", "supported", "dual_stack", "served"),
    [
        (["IPv4", "IPv6"], [IP4, IP6], True, (IP4, IP6)),
        (["IPv6", "IPv4"], [IP4, IP6], False, (IP6,)),
        (["IPv6", "IPv4"], [IP4], True, (IP4,)),
        (["IPv6", "IPv4"], [IP4], False, ()),
    ],
)
def test_what_a_provider_serves(
    families: list[str], supported: list[IPFamily], *, dual_stack: bool, served: Any
) -> None:
    assert ingress(service(ipFamilies=families), supported=supported, dual_stack=dual_stack) == served


def test_other_types_have_no_ingress() -> None:
    assert ingress({"spec": {"ipFamilies": ["IPv4"]}}, supported=[IP4], dual_stack=True) == ()


@pytest.mark.parametrize(
    ("entries", "restricted"),
    [
        ([], {IP4: None, IP6: None}),
        (["10.0.0.0/8"], {IP4: ("10.0.0.0/8",), IP6: None}),
        (["10.0.0.0/8", " fd00::/8 "], {IP4: ("10.0.0.0/8",), IP6: ("fd00::/8",)}),
        (["10.0.0.0/8", "0.0.0.0/0", "fd00::/8"], {IP4: None, IP6: ("fd00::/8",)}),
    ],
)
def test_a_family_without_source_ranges_is_open(entries: list[str], restricted: Any) -> None:
    asked = service(ipFamilies=["IPv4", "IPv6"], loadBalancerSourceRanges=entries)
    assert source_ranges(asked) == restricted
    annotated = service(ipFamilies=["IPv4", "IPv6"])
    key = "service.beta.kubernetes.io/load-balancer-source-ranges"
    annotated["metadata"] = {"annotations": {key: ",".join(entries)}}
    assert source_ranges(annotated) == restricted


def test_external_ips_of_a_family_the_service_lacks_do_nothing() -> None:
    asked = {"spec": {"clusterIP": "fd00::9", "externalIPs": ["192.0.2.7", "2001:db8::7"]}}
    assert external_ips(asked) == {IP6: ("2001:db8::7",)}
    assert external_ips({"spec": {"clusterIP": "None", "externalIPs": ["192.0.2.7"]}}) == {}
