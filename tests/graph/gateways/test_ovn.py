"""EgressIP, EgressService, EgressFirewall and external routes of OVN-Kubernetes: rows with a reason each."""

import json

import pytest
from graph.gateways.fleet import WEB4, WEB6, fleet, named, outcome, reason, rules, unlabelled

from dsmodel.addresses.cidr import IPFamily
from dsmodel.graph.flows import Verdict
from dsmodel.graph.gateways import gateway_table, read_gateways
from dsmodel.graph.gateways.ovn_egress_ip import assignments
from dsmodel.graph.gateways.situation import Situation
from dsmodel.graph.masquerade import MasqueradeAgent
from dsmodel.graph.network import BorderNAT, Network
from dsmodel.graph.paths import resolve

E4, E6, F4 = "192.0.2.100", "2001:db8::100", "192.0.2.101"
NOT_MEANT = (None, [], "")
LEAK = ("leak_fallthrough", [], "")


def eip(name="a", addresses=(E4, E6), *, team="shop", pods=None, items=None):
    spec = {"egressIPs": list(addresses), "namespaceSelector": {"matchLabels": {"team": team}}}
    spec |= {"podSelector": {"matchLabels": pods}} if pods else {}
    status = {} if items is None else {"status": {"items": [{"node": n, "egressIP": a} for n, a in items]}}
    return named("EgressIP", name, spec, api="k8s.ovn.org/v1", **status)


ONE_NODE = {"edge-a": ("192.0.2.11", "2001:db8::11", {"k8s.ovn.org/egress-assignable": ""})} | {
    "worker": ("192.0.2.15", "2001:db8::15", {}),
    "edge-b": ("192.0.2.12", "2001:db8::12", {}),
}


@pytest.mark.parametrize(
    ("objects", "pod", "destination", "expected", "why"),
    [
        ([eip()], "shop/cart", WEB4, ("via_gateway", ["edge-a", "edge-b"], E4), "both nodes are tied for the first IP"),
        ([eip()], "shop/cart", WEB6, ("via_gateway", ["edge-b"], E6), "one IP of an object a node: the other node"),
        (
            [eip(items=[("edge-b", E4), ("edge-a", E6)])],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-b"], E4),
            "the status is what is",
        ),
        (
            [eip(items=[("edge-b", E4), ("edge-a", E6)])],
            "shop/cart",
            WEB6,
            ("via_gateway", ["edge-a"], E6),
            "the two families leave by different nodes",
        ),
        ([eip(items=[("edge-a", E4)])], "shop/cart", WEB6, LEAK, "unassigned family: a leak, not a drop"),
        ([eip(addresses=[E4])], "shop/cart", WEB6, LEAK, "no IPv6 address at all: a leak"),
        ([eip()], "bank/ledger", WEB4, NOT_MEANT, "another namespace"),
        ([eip(pods={"app": "cart"})], "shop/front", WEB4, NOT_MEANT, "podSelector and namespaceSelector both"),
        ([eip()], "shop/cart", "192.0.2.15", NOT_MEANT, "pod to node never uses an EgressIP"),
        ([eip()], "shop/cart", "10.244.5.5", NOT_MEANT, "nor pod to pod"),
        ([eip()], None, WEB4, NOT_MEANT, "host processes are not meant"),
        ([eip(addresses=["192.0.2.15", E6])], "shop/cart", WEB6, LEAK, "an address of a node: nothing is assigned"),
        ([eip(addresses=["192.0.2.300"])], "shop/cart", WEB4, LEAK, "no address: nothing is assigned"),
        (
            [eip(items=[("edge-a", E4), ("edge-b", F4)], addresses=[E4, F4])],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-a", "edge-b"], ""),
            "two addresses of a family: ECMP by flow",
        ),
        (
            [eip(items=[("edge-a", E4)]), eip("b", items=[("edge-b", F4)], addresses=[F4], pods={"app": "cart"})],
            "shop/cart",
            WEB4,
            ("nondeterministic", ["edge-a", "edge-b"], ""),
            "two EgressIPs on a pod: undefined, one serves",
        ),
        (
            [eip(items=[("edge-a", E4)]), eip("b", items=[("edge-b", F4)], addresses=[F4], pods={"app": "cart"})],
            "shop/front",
            WEB4,
            ("via_gateway", ["edge-a"], E4),
            "the second does not select this pod",
        ),
        (
            [eip(addresses=[E4]), eip("b", addresses=[F4])],
            "shop/cart",
            WEB6,
            LEAK,
            "both leave IPv6 alone: no matter which is in force",
        ),
    ],
)
def test_egress_ip(objects, pod, destination, expected, why):
    assert outcome(fleet(*objects), pod, destination) == expected, why


def test_a_namespace_without_labels_is_passed_over():
    everyone = named("EgressIP", "a", {"egressIPs": [E4], "namespaceSelector": {}}, api="k8s.ovn.org/v1")
    cluster = fleet(everyone)
    assert outcome(cluster, "shop/cart", WEB4)[0] == "via_gateway"
    cluster.namespaces = {"shop": {}}
    assert outcome(cluster, "shop/cart", WEB4)[0] is None


def test_dual_stack_on_one_assignable_node_leaves_the_second_family_out():
    cluster = fleet(eip(), nodes=ONE_NODE)
    assert outcome(cluster, "shop/cart", WEB4) == ("via_gateway", ["edge-a"], E4)
    assert outcome(cluster, "shop/cart", WEB6) == LEAK
    assert ("egress-falls-through", "EgressIP/a") in rules(cluster)


def test_an_ipv4_address_is_not_hosted_by_a_node_without_ipv4():
    nodes = {"v6-only": ("", "2001:db8::14", {"k8s.ovn.org/egress-assignable": ""})} | ONE_NODE
    nodes["edge-a"] = (*nodes["edge-a"][:2], {})
    cluster = fleet(eip(), nodes=nodes)
    assert outcome(cluster, "shop/cart", WEB4) == LEAK
    assert outcome(cluster, "shop/cart", WEB6) == ("via_gateway", ["v6-only"], E6)


def test_a_node_that_is_not_ready_hosts_nothing():
    cluster = fleet(eip(addresses=[E4]), not_ready=["edge-a"])
    assert outcome(cluster, "shop/cart", WEB4) == ("via_gateway", ["edge-b"], E4)


def test_fail_over_moves_what_can_move():
    cluster = fleet(eip(items=[("edge-a", E4), ("edge-b", E6)]))
    assert outcome(cluster, "shop/cart", WEB4, failed=["edge-a"]) == LEAK, "edge-b has an IP of the object already"
    single = fleet(eip(addresses=[E4], items=[("edge-a", E4)]))
    assert outcome(single, "shop/cart", WEB4, failed=["edge-a"]) == ("via_gateway", ["edge-b"], E4)
    assert outcome(single, "shop/cart", WEB4, failed=["edge-a", "edge-b"]) == LEAK
    assert outcome(single, "shop/cart", WEB4, failed=[E4]) == ("dropped_no_egress_ip", [], "")


def node(name, *cidrs, **capacity):
    notes = {"k8s.ovn.org/host-cidrs": json.dumps(cidrs)} if cidrs else {}
    config = json.dumps([{"interface": "eth0", "capacity": capacity}])
    notes |= {"cloud.network.openshift.io/egress-ipconfig": config} if capacity else {}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "annotations": notes}}


A_HOST, B_HOST = ("192.0.2.11/24", "2001:db8::11/64"), ("192.0.2.12/24", "2001:db8::12/64")


@pytest.mark.parametrize(
    ("nodes", "addresses", "destination", "expected", "why"),
    [
        ([node("edge-a", *A_HOST)], [E4], WEB4, ("via_gateway", ["edge-a"], E4), "edge-b does not show its networks"),
        (
            [node("edge-a", *A_HOST), node("edge-b", "172.16.0.1/16")],
            [E4],
            WEB4,
            ("via_gateway", ["edge-a"], E4),
            "net",
        ),
        ([node("edge-a", *A_HOST)], ["172.16.0.9"], WEB4, LEAK, "no node has its network"),
        ([node("edge-a", *A_HOST, "172.16.0.1/16")], ["172.16.0.1"], WEB4, LEAK, "an address of a second interface"),
        (
            [node("edge-a", *A_HOST, "172.16.0.1/16")],
            ["172.16.0.9"],
            WEB4,
            ("via_gateway", ["edge-a"], "172.16.0.9"),
            "a network of a second interface",
        ),
        ([node("edge-a", ipv4=0), node("edge-b", ipv4=0)], [E4], WEB4, LEAK, "no capacity for IPv4"),
        (
            [node("edge-a", ipv4=0), node("edge-b", ipv4=0)],
            [E6],
            WEB6,
            ("via_gateway", ["edge-a", "edge-b"], E6),
            "capacity is counted per family",
        ),
        ([node("edge-a", ip=0)], [E6], WEB6, ("via_gateway", ["edge-b"], E6), "or for both families together"),
    ],
)
def test_what_nodes_can_host(nodes, addresses, destination, expected, why):
    assert outcome(fleet(eip(addresses=addresses), *nodes), "shop/cart", destination) == expected, why


def test_capacity_is_used_up_by_other_objects():
    cluster = fleet(eip("a", [E4]), eip("b", [F4], team="bank"), node("edge-a", ip=1), node("edge-b", ip=0))
    assert outcome(cluster, "shop/cart", WEB4) == ("via_gateway", ["edge-a"], E4)
    assert outcome(cluster, "bank/ledger", WEB4) == LEAK


def test_an_annotation_that_is_no_json_is_found():
    broken = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "edge-a"}}
    broken["metadata"]["annotations"] = {
        "k8s.ovn.org/host-cidrs": "[",
        "cloud.network.openshift.io/egress-ipconfig": "7",
    }
    assert ("egress-invalid-field", "Node/edge-a") in rules(fleet(eip(), broken))


def test_objects_share_nodes_fewest_first():
    objects = [eip("a", [E4], items=[("edge-a", E4)]), eip("b", [F4])]
    cluster = fleet(*objects)
    policies, _ = read_gateways(cluster)
    placed = assignments(policies, Situation.of(cluster))
    assert [place.rows for place in placed[1]] == [(1,)], "edge-a has one already"


def test_labels_of_nodes_that_are_not_known_leave_the_host_open():
    cluster = fleet(eip(), nodes={name: (*row[:2], None) for name, row in ONE_NODE.items()})
    assert outcome(cluster, "shop/cart", WEB4)[0] == "unknown"


def test_a_node_that_may_be_assignable_leaves_the_host_open():
    assert outcome(unlabelled(fleet(eip(addresses=[E4])), "worker"), "shop/cart", WEB4)[0] == "unknown"
    shown = unlabelled(fleet(eip(addresses=[E4], items=[("edge-a", E4)])), "worker")
    assert outcome(shown, "shop/cart", WEB4) == ("via_gateway", ["edge-a"], E4), "the status is what is"


def test_table_names_stand_by_and_leak():
    cluster = fleet(eip(addresses=[E4], items=[("edge-a", E4)]))
    four, six = gateway_table(read_gateways(cluster)[0], cluster)
    assert (four.gateway_nodes, four.egress_addresses, four.standby) == (("edge-a",), (E4,), ("edge-b",))
    assert (str(four.on_missing), str(six.verdict)) == ("leak_fallthrough", "leak_fallthrough")


# EgressService -----------------------------------------------------------------------------------------------------


def service(ingress=("203.0.113.5", "2001:db8:5::5"), selector=None):
    return named(
        "Service",
        "web",
        {"selector": {"app": "cart"} if selector is None else selector, "type": "LoadBalancer"},
        api="v1",
        namespace="shop",
        status={"loadBalancer": {"ingress": [{"ip": each} for each in ingress]}},
    )


def egress_service(host="edge-b", **spec):
    status = {"status": {"host": host}} if host else {}
    return named(
        "EgressService",
        "web",
        {"sourceIPBy": "LoadBalancerIP"} | spec,
        api="k8s.ovn.org/v1",
        namespace="shop",
        **status,
    )


NARROW = {"nodeSelector": {"matchLabels": {"egress": "yes"}}}


@pytest.mark.parametrize(
    ("objects", "pod", "destination", "expected", "why"),
    [
        (
            [service(), egress_service()],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-b"], "203.0.113.5"),
            "the host, as the load balancer's address",
        ),
        (
            [service(), egress_service()],
            "shop/cart",
            WEB6,
            ("via_gateway", ["edge-b"], "2001:db8:5::5"),
            "each family with its own ingress address",
        ),
        ([service(["203.0.113.5"]), egress_service()], "shop/cart", WEB6, LEAK, "no IPv6 ingress: not rewritten"),
        ([service(), egress_service()], "shop/front", WEB4, NOT_MEANT, "not behind the Service"),
        (
            [service(selector={}), egress_service()],
            "shop/cart",
            WEB4,
            NOT_MEANT,
            "a Service without selector has no pods",
        ),
        (
            [service(), egress_service(), eip(items=[("edge-a", E4)])],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-b"], "203.0.113.5"),
            "priority 101 before 100: EgressService beats EgressIP",
        ),
        (
            [service(), egress_service(), eip(items=[("edge-a", E4)])],
            "shop/front",
            WEB4,
            ("via_gateway", ["edge-a"], E4),
            "the EgressIP serves the rest of the namespace",
        ),
        (
            [service(["203.0.113.5"]), egress_service(), eip(items=[("edge-a", E6)])],
            "shop/cart",
            WEB6,
            ("via_gateway", ["edge-a"], E6),
            "what the EgressService leaves alone goes on to the EgressIP",
        ),
        (
            [service(), egress_service("", **NARROW)],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-a", "edge-b"], "203.0.113.5"),
            "no host yet: either may be elected, with the same source",
        ),
        (
            [service(), egress_service("", nodeSelector={"matchLabels": {"no": "node"}})],
            "shop/cart",
            WEB4,
            LEAK,
            "no node fits: falls through while unassigned",
        ),
        (
            [service(), egress_service("ALL", sourceIPBy="Network", network="vrf")],
            "shop/cart",
            WEB4,
            ("via_gateway", [""], ""),
            "by Network each pod leaves by its own node, and the address there is not known",
        ),
        (
            [egress_service()],
            "shop/cart",
            "203.0.113.99",
            ("unknown", [], ""),
            "without the Service its pods are not known",
        ),
    ],
)
def test_egress_service(objects, pod, destination, expected, why):
    assert outcome(fleet(*objects), pod, destination) == expected, why


def test_host_that_is_down_is_elected_anew():
    cluster = fleet(service(), egress_service(**NARROW))
    assert outcome(cluster, "shop/cart", WEB4, failed=["edge-b"]) == ("via_gateway", ["edge-a"], "203.0.113.5")
    assert outcome(cluster, "shop/cart", WEB4, failed=["edge-a", "edge-b"]) == LEAK


def test_a_host_that_may_be_elected_is_open():
    cluster = unlabelled(fleet(service(), egress_service(**NARROW)), "worker")
    assert outcome(cluster, "shop/cart", WEB4) == ("via_gateway", ["edge-b"], "203.0.113.5"), "it is elected already"
    assert outcome(cluster, "shop/cart", WEB4, failed=["edge-b"]) == ("unknown", ["edge-a"], "")


# EgressFirewall ----------------------------------------------------------------------------------------------------


def firewall(*given, name="default"):
    egress = [
        {"type": word, "to": to if isinstance(to, dict) else {"cidrSelector": to}}
        | ({"ports": [{"protocol": "TCP", "port": 443}]} if ports else {})
        for word, to, *ports in given
    ]
    return named("EgressFirewall", name, {"egress": egress}, api="k8s.ovn.org/v1", namespace="shop")


DENIED = ("policy_denied", [], "")
UNKNOWN = ("unknown", [], "")
NAME = {"dnsName": "a.example"}


@pytest.mark.parametrize(
    ("given", "destination", "expected", "why"),
    [
        ([("Deny", "0.0.0.0/0")], WEB4, DENIED, "denied"),
        ([("Deny", "0.0.0.0/0")], WEB6, NOT_MEANT, "a rule of IPv4 does not block IPv6"),
        ([("Deny", "0.0.0.0/0"), ("Deny", "::/0")], WEB6, DENIED, "closed in both families"),
        ([("Deny", "0.0.0.0/0")], "10.244.5.5", NOT_MEANT, "pods of the cluster are not meant"),
        ([("Deny", "0.0.0.0/0")], "192.0.2.15", DENIED, "nodes are"),
        ([("Allow", "198.51.100.0/24"), ("Deny", "0.0.0.0/0")], WEB4, NOT_MEANT, "the first rule that holds it"),
        ([("Deny", "0.0.0.0/0"), ("Allow", "198.51.100.0/24")], WEB4, DENIED, "order, not the longest prefix"),
        ([("Allow", "0.0.0.0/0"), ("Deny", "198.51.100.0/24")], WEB4, NOT_MEANT, "order again"),
        ([("Allow", "203.0.113.0/24")], WEB4, NOT_MEANT, "what no rule holds is allowed"),
        ([("Deny", "0.0.0.0/0", 443)], WEB4, UNKNOWN, "some ports only"),
        ([("Allow", "0.0.0.0/0", 443)], WEB4, NOT_MEANT, "allowed on some ports, and allowed on the others"),
        ([("Allow", "0.0.0.0/0", 443), ("Deny", "0.0.0.0/0")], WEB4, UNKNOWN, "allowed on some ports, else denied"),
        ([("Deny", "0.0.0.0/0", 443), ("Deny", "0.0.0.0/0")], WEB4, DENIED, "denied whatever the port"),
        ([("Allow", "198.0.0.0/8", 443), ("Deny", "198.51.100.0/24")], WEB4, UNKNOWN, "a wider one before with ports"),
        (
            [("Deny", {"nodeSelector": {"matchLabels": {"role": "worker"}}})],
            "192.0.2.15",
            DENIED,
            "a node selector means addresses of nodes",
        ),
        ([("Allow", NAME), ("Deny", "0.0.0.0/0")], WEB4, UNKNOWN, "names are not resolved: it may be allowed"),
        ([("Allow", NAME), ("Deny", "0.0.0.0/0")], WEB6, NOT_MEANT, "and nothing denies IPv6"),
        ([("Deny", NAME)], WEB6, UNKNOWN, "it may be an address of the name, of any family"),
        ([("Deny", NAME)], "10.244.5.5", NOT_MEANT, "a pod is not meant, whatever its name"),
        ([("Allow", NAME)], WEB4, NOT_MEANT, "allowed by name, and allowed without"),
        ([("Deny", "0.0.0.0/0"), ("Allow", NAME)], WEB4, DENIED, "a rule before decides"),
        ([("Allow", "198.51.100.0/24"), ("Deny", NAME)], WEB4, NOT_MEANT, "and so it does where it allows"),
        ([("Deny", NAME), ("Deny", "0.0.0.0/0")], WEB4, DENIED, "denied whatever the name is"),
        ([("Deny", {"dnsName": "*.example"}, 443)], WEB4, UNKNOWN, "a wildcard, on some ports"),
        ([("Forbid", "0.0.0.0/0")], WEB4, NOT_MEANT, "no type: passed over"),
    ],
)
def test_egress_firewall(given, destination, expected, why):
    assert outcome(fleet(firewall(*given)), "shop/cart", destination) == expected, why


def test_what_a_verdict_depends_on_is_said_once_and_in_paths():
    given = firewall(
        ("Allow", NAME), ("Allow", {"dnsName": "b.example"}), ("Deny", WEB4 + "/32"), ("Deny", "0.0.0.0/0")
    )
    cluster = fleet(given)
    words = "depends on what a.example resolves to, which is not known and what b.example resolves to"
    assert words in reason(cluster, "shop/cart", WEB4)
    found = [message for _, rule, _, message in read_gateways(cluster)[1] if rule == "egress-unknown"]
    assert len(found) == 1
    assert words in found[0]
    network = Network.of(cluster, masquerades=(), border=[], routed=["0.0.0.0/0"], default_route=True, nat64=())
    half = resolve(cluster, WEB4, network=network).halves[IPFamily.IPV4]
    made = [each for each in half.decisions if each.policy == "EgressFirewall/shop/default"]
    assert [(str(each.verdict), words in each.reason) for each in made] == [("unknown", True)]


def test_labels_of_nodes_that_are_not_known_leave_a_rule_open():
    given = firewall(("Deny", {"nodeSelector": {"matchLabels": {"role": "worker"}}}))
    cluster = unlabelled(fleet(given), "edge-a")
    assert outcome(cluster, "shop/cart", "192.0.2.11") == UNKNOWN, "edge-a may be a worker"
    assert outcome(cluster, "shop/cart", "192.0.2.15") == DENIED
    assert outcome(cluster, "shop/cart", "192.0.2.12") == NOT_MEANT


def test_what_falls_through_says_so_once():
    cluster = fleet(eip(addresses=[E4]))
    border = [BorderNAT(name="v6", family="IPv6", addresses=("2600::1",))]
    known = {"border": border, "routed": ["::/0"], "default_route": True, "nat64": ()}
    for masquerades in ((), (MasqueradeAgent(enable_ipv6=True),)):
        network = Network.of(cluster, masquerades=masquerades, **known)
        half = resolve(cluster, "2600::10", network=network).halves[IPFamily.IPV6]
        leaks = [each.reason for each in half.decisions if each.verdict is Verdict.LEAK_FALLTHROUGH]
        assert [each.count("it has no IPv6 address") for each in leaks] == [1]
    found = [message for _, _, title, message in read_gateways(cluster)[1] if title == "EgressIP/a"]
    assert len(found) == 1


def test_firewall_stands_before_gateways():
    cluster = fleet(firewall(("Deny", "198.51.100.0/24")), eip(items=[("edge-a", E4)]))
    assert outcome(cluster, "shop/cart", WEB4) == DENIED
    assert outcome(cluster, "shop/cart", "203.0.113.1") == ("via_gateway", ["edge-a"], E4)
    assert "denies" in reason(cluster, "shop/cart", WEB4)


# AdminPolicyBasedExternalRoute -------------------------------------------------------------------------------------


def external_route(hops=("192.0.2.200",), *, pods=False, name="a"):
    dynamic = {
        "podSelector": {"matchLabels": {"app": "gw"}},
        "namespaceSelector": {"matchLabels": {"team": "net"}},
    }
    spec = {
        "from": {"namespaceSelector": {"matchLabels": {"team": "shop"}}},
        "nextHops": {"static": [{"ip": each} for each in hops]} | ({"dynamic": [dynamic]} if pods else {}),
    }
    return named("AdminPolicyBasedExternalRoute", name, spec, api="k8s.ovn.org/v1")


@pytest.mark.parametrize(
    ("objects", "destination", "failed", "expected", "why"),
    [
        ([external_route()], WEB4, [], ("via_gateway", [""], ""), "a next hop outside; the source depends on a flag"),
        ([external_route()], WEB6, [], LEAK, "no next hop of the family: the default route"),
        ([external_route()], WEB4, ["192.0.2.200"], LEAK, "the next hop is down"),
        ([external_route((), pods=True)], WEB6, [], ("via_gateway", ["edge-a", "edge-b"], ""), "pods as next hops"),
        ([external_route((), pods=True)], WEB4, ["edge-a"], ("via_gateway", ["edge-b"], ""), "of nodes that are up"),
        (
            [external_route((), pods=True)],
            WEB4,
            ["Pod/egress/gw-1"],
            ("via_gateway", ["edge-a"], ""),
            "pods that are up",
        ),
        (
            [external_route(), eip(items=[("edge-a", E4)])],
            WEB4,
            [],
            ("via_gateway", [""], ""),
            "an EgressIP stops working beside external gateways",
        ),
        (
            [external_route(), external_route(("192.0.2.201",), name="b")],
            WEB4,
            [],
            ("nondeterministic", ["", ""], ""),
            "two on a namespace",
        ),
    ],
)
def test_external_route(objects, destination, failed, expected, why):
    assert outcome(fleet(*objects), "shop/cart", destination, failed=failed) == expected, why


@pytest.mark.parametrize(
    ("objects", "rule", "title", "why"),
    [
        ([firewall(("Deny", "0.0.0.0/0"))], "egress-firewall-one-family", "EgressFirewall/shop/default", "IPv6 open"),
        ([firewall(("Deny", "::/0"))], "egress-firewall-one-family", "EgressFirewall/shop/default", "IPv4 open"),
        ([firewall(("Deny", "x"), name="other")], "egress-policy-rejected", "EgressFirewall/shop/other", "its name"),
        ([firewall(("Deny", "x"))], "egress-invalid-cidr", "EgressFirewall/shop/default", "no CIDR"),
        ([firewall(("Deny", {"dnsName": "a.example"}))], "egress-unknown", "EgressFirewall/shop/default", "a name"),
        ([eip(addresses=[E4])], "egress-falls-through", "EgressIP/a", "one family"),
        ([eip(addresses=["192.0.2.15"])], "egress-policy-rejected", "EgressIP/a", "an address of a node"),
        ([eip(team="nobody")], "egress-selects-nothing", "EgressIP/a", "no namespace"),
        ([eip("a", [E4]), eip("b", [F4])], "egress-conflict", "EgressIP/a", "a pod in two EgressIPs"),
        ([egress_service()], "egress-unknown", "EgressService/shop/web", "the Service is not there"),
        ([external_route(())], "egress-selects-nothing", "AdminPolicyBasedExternalRoute/a", "no next hops"),
        ([external_route(["x"])], "egress-invalid-address", "AdminPolicyBasedExternalRoute/a", "no address"),
        ([service([]), egress_service()], "egress-falls-through", "EgressService/shop/web", "no ingress address"),
        ([service(), egress_service(sourceIPBy="x")], "egress-invalid-field", "EgressService/shop/web", "a word"),
    ],
)
def test_findings(objects, rule, title, why):
    assert (rule, title) in rules(fleet(*objects)), why


@pytest.mark.parametrize("kind", ["EgressIP", "EgressService", "EgressFirewall", "AdminPolicyBasedExternalRoute"])
@pytest.mark.parametrize("spec", [None, 7, [], {"egressIPs": 3}, {"egress": [1]}, {"nodeSelector": []}])
def test_no_object_breaks_the_reader(kind, spec):
    cluster = fleet(named(kind, "default", spec, api="k8s.ovn.org/v1", namespace="shop"))
    assert outcome(cluster, "shop/cart", WEB4)[0] in {None, "leak_fallthrough", "unknown"}
    assert isinstance(rules(cluster), set)
