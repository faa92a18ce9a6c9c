"""VpcEgressGateway of Kube-OVN: rows with a reason each."""

import pytest
from graph.gateways.fleet import WEB4, WEB6, fleet, named, outcome, rules

NOT_MEANT = (None, [], "")
LEAK = ("leak_fallthrough", [], "")
SHOP = {"selectors": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}}]}
BOTH = "203.0.113.{0},2001:db8:e::{0}"
IN = "10.244.9.{0},fd00:10:244:9::{0}"


def gateway(name="a", *, pods=("edge-a", "edge-b"), inside=IN, outside=BOTH, status=True, **spec):
    shown = {
        "workload": {"nodes": list(pods)},
        "internalIPs": [inside.format(place + 1) for place in range(len(pods))],
        "externalIPs": [outside.format(place + 1) for place in range(len(pods))],
    }
    rest = {"status": shown} if status else {}
    spec = (SHOP if "policies" not in spec else {}) | {"externalSubnet": "out", "bfd": {"enabled": False}} | spec
    return named("VpcEgressGateway", name, spec, api="kubeovn.io/v1", namespace="net", **rest)


SUBNET = named("Subnet", "bank", {"cidrBlock": "10.244.5.5/32,fd00:10:244:5::5/128"}, api="kubeovn.io/v1")


@pytest.mark.parametrize(
    ("objects", "pod", "destination", "expected", "why"),
    [
        ([gateway(pods=["edge-a"])], "shop/cart", WEB4, ("via_gateway", ["edge-a"], "203.0.113.1"), "the gateway pod"),
        ([gateway(pods=["edge-a"])], "shop/cart", WEB6, ("via_gateway", ["edge-a"], "2001:db8:e::1"), "IPv6 alike"),
        ([gateway()], "shop/cart", WEB4, ("via_gateway", ["edge-a", "edge-b"], ""), "replicas share flows"),
        ([gateway()], "bank/ledger", WEB4, NOT_MEANT, "another namespace"),
        ([gateway()], "shop/cart", "10.244.5.5", NOT_MEANT, "inside the network"),
        (
            [gateway(outside="203.0.113.{0}")],
            "shop/cart",
            WEB6,
            ("no_route", [], ""),
            "internal IPv6, no external one: Ready, and IPv6 is lost",
        ),
        (
            [gateway(pods=["edge-a"], outside="203.0.113.{0}")],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-a"], "203.0.113.1"),
            "and IPv4 works",
        ),
        ([gateway(inside="10.244.9.{0}")], "shop/cart", WEB6, LEAK, "no next hop of the family, no BFD: falls through"),
        (
            [gateway(inside="10.244.9.{0}", bfd={"enabled": True})],
            "shop/cart",
            WEB6,
            ("dropped_no_gateway", [], ""),
            "with BFD there is a drop policy",
        ),
        ([gateway(pods=[])], "shop/cart", WEB4, LEAK, "no gateway pod is up yet"),
        ([gateway(status=False)], "shop/cart", WEB4, ("unknown", [], ""), "no status: its pods are not known"),
        (
            [gateway(trafficPolicy="Local")],
            "shop/on-edge",
            WEB4,
            ("via_gateway", ["edge-a"], "203.0.113.1"),
            "the gateway on the pod's own node",
        ),
        (
            [gateway(trafficPolicy="Local")],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-a", "edge-b"], ""),
            "no gateway on this node: all of them",
        ),
        (
            [gateway(pods=["edge-a"], trafficPolicy="Local"), gateway("b", pods=["edge-b"])],
            "shop/on-edge",
            WEB4,
            ("via_gateway", ["edge-a"], "203.0.113.1"),
            "priority 29150 before 29100",
        ),
        (
            [gateway(pods=["edge-a"]), gateway("b", pods=["edge-b"])],
            "shop/cart",
            WEB4,
            ("nondeterministic", ["edge-a", "edge-b"], ""),
            "equal priority: nothing settles it",
        ),
        (
            [gateway(pods=[], bfd={"enabled": True}), gateway("b", pods=["edge-b"])],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-b"], "203.0.113.1"),
            "a drop policy has the lowest priority",
        ),
        (
            [gateway(pods=["edge-a"], policies=[{"snat": True, "ipBlocks": ["10.244.5.5"]}])],
            "bank/ledger",
            WEB4,
            ("via_gateway", ["edge-a"], "203.0.113.1"),
            "selected by address",
        ),
        (
            [gateway(pods=["edge-a"], policies=[{"snat": True, "ipBlocks": ["10.244.5.5"]}])],
            "bank/ledger",
            WEB6,
            NOT_MEANT,
            "a block of IPv4 says nothing of IPv6",
        ),
        (
            [gateway(pods=["edge-a"], policies=[{"snat": False, "subnets": ["bank"]}]), SUBNET],
            "bank/ledger",
            WEB6,
            ("via_gateway", ["edge-a"], ""),
            "no translation: the pod's own address goes on",
        ),
        (
            [
                gateway(pods=["edge-a", "edge-b"], outside="203.0.113.{0}")
                | {
                    "status": {
                        "workload": {"nodes": ["edge-a", "edge-b"]},
                        "internalIPs": [IN.format(1), IN.format(2)],
                        "externalIPs": ["203.0.113.1", BOTH.format(2)],
                    }
                }
            ],
            "shop/cart",
            WEB6,
            ("nondeterministic", ["edge-b"], ""),
            "one replica has an IPv6 exit, the other swallows its share",
        ),
    ],
)
def test_one_flow(objects, pod, destination, expected, why):
    assert outcome(fleet(*objects), pod, destination) == expected, why


@pytest.mark.parametrize(
    ("bfd", "failed", "expected", "why"),
    [
        (False, ["edge-a"], ("via_gateway", ["edge-b"], "203.0.113.2"), "the other replica"),
        (False, ["edge-a", "edge-b"], LEAK, "no replica, no BFD"),
        (True, ["edge-a", "edge-b"], ("dropped_no_gateway", [], ""), "no replica, BFD"),
        (True, ["VpcEgressGateway/net/a"], ("dropped_no_gateway", [], ""), "the gateway as a whole"),
    ],
)
def test_fail_over(bfd, failed, expected, why):
    cluster = fleet(gateway(bfd={"enabled": bfd}))
    assert outcome(cluster, "shop/cart", WEB4, failed=failed) == expected, why


@pytest.mark.parametrize(
    ("objects", "rule", "why"),
    [
        ([gateway(outside="203.0.113.{0}")], "egress-black-hole", "IPv6 in, none out"),
        ([gateway(policies=[])], "egress-selects-nothing", "neither selectors nor policies"),
        ([gateway(policies=[{"subnets": ["gone"]}])], "egress-subnet-missing", "no such Subnet"),
        ([gateway(), gateway("b", pods=["worker"])], "egress-conflict", "equal priority"),
        ([gateway(outside="<unknown>")], "egress-black-hole", "no external address"),
        ([gateway(policies=[{"snat": True}])], "egress-selects-nothing", "a policy without blocks"),
        ([gateway(selectors=[1])], "egress-invalid-field", "a selector that is none selects nothing"),
        ([gateway(replica=3)], "egress-unknown-field", "a slip of the pen"),
    ],
)
def test_findings(objects, rule, why):
    assert (rule, "VpcEgressGateway/net/a") in rules(fleet(*objects)), why


@pytest.mark.parametrize("spec", [None, 7, {"selectors": 3}, {"policies": [1]}, {"bfd": [], "trafficPolicy": {}}])
def test_no_object_breaks_the_reader(spec):
    cluster = fleet(named("VpcEgressGateway", "a", spec, api="kubeovn.io/v1", namespace="net"))
    assert outcome(cluster, "shop/cart", WEB4)[0] is None
    assert rules(cluster)
