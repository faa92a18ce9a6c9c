"""Egress gateways of Calico Enterprise: rows with a reason each."""

import numpy as np
import pytest
from graph.gateways.fleet import PODS_GIVEN, WEB4, WEB6, fleet, named, outcome, rules

from dsmodel.addresses.cidr import IPFamily
from dsmodel.graph.network import Network
from dsmodel.graph.paths import resolve

NOT_MEANT = (None, [], "")
LEAK = ("leak_fallthrough", [], "")
DROP = ("dropped_no_gateway", [], "")
BOTH = ("via_gateway", ["edge-a", "edge-b"], "")
ON = named("FelixConfiguration", "default", {"egressIPSupport": "EnabledPerNamespace"}, api="projectcalico.org/v3")
FAR = {"selector": "app == 'gw'", "namespaceSelector": "projectcalico.org/name == 'egress'"}


def pool(nat):
    return named("IPPool", "gw", {"cidr": "10.244.0.0/22", "natOutgoing": nat}, api="projectcalico.org/v3")


def policy(*given):
    return named("EgressGatewayPolicy", "p", {"rules": list(given)}, api="projectcalico.org/v3")


def rule(cidr=None, gateway=FAR, **more):
    return ({"destination": {"cidr": cidr}} if cidr else {}) | ({"gateway": gateway} if gateway else {}) | more


def notes(**given):
    return {"shop": {f"egress.projectcalico.org/{key}": value for key, value in given.items()}}


DIRECT, BY_POLICY = notes(**FAR), notes(egressGatewayPolicy="p")


@pytest.mark.parametrize(
    ("objects", "annotations", "pod", "destination", "expected", "why"),
    [
        ([ON, pool(False)], DIRECT, "shop/cart", WEB4, BOTH, "both gateway pods, by hash"),
        ([ON, pool(False)], DIRECT, "shop/cart", WEB6, LEAK, "IPv6 goes past the gateway"),
        ([ON, pool(False)], DIRECT, "bank/ledger", WEB4, NOT_MEANT, "a namespace without annotation"),
        ([ON], notes(selector="app == 'gw'"), "shop/cart", WEB4, DROP, "gateways are looked for in the own namespace"),
        ([ON], notes(selector="app == 'none'"), "shop/cart", WEB4, DROP, "no gateway: the route is unreachable"),
        ([ON], notes(selector="app = 'gw'"), "shop/cart", WEB4, DROP, "no selector: no gateway"),
        ([ON], BY_POLICY, "shop/cart", WEB4, DROP, "the policy is not there: everything is dropped"),
        ([ON, policy(rule())], BY_POLICY, "shop/cart", WEB4, BOTH, "no destination means all"),
        ([ON, policy(rule(), rule("198.51.100.0/24", None))], BY_POLICY, "shop/cart", WEB4, NOT_MEANT, "locally"),
        (
            [ON, policy(rule("198.51.100.0/24"), rule("198.51.0.0/16", None))],
            BY_POLICY,
            "shop/cart",
            WEB4,
            BOTH,
            "longest prefix",
        ),
        ([ON, policy(rule("203.0.113.0/24"))], BY_POLICY, "shop/cart", WEB4, NOT_MEANT, "no rule for it"),
        (
            [ON, pool(False), policy(rule(gatewayPreference="PreferNodeLocal"))],
            BY_POLICY,
            "shop/on-edge",
            WEB4,
            ("via_gateway", ["edge-a"], "10.244.1.7"),
            "the gateway on the pod's own node, seen as the gateway pod",
        ),
        (
            [ON, pool(True), policy(rule(gatewayPreference="PreferNodeLocal"))],
            BY_POLICY,
            "shop/on-edge",
            WEB4,
            ("via_gateway", ["edge-a"], "192.0.2.11"),
            "its pool is natted: seen as the node",
        ),
        (
            [ON, policy(rule(gatewayPreference="PreferNodeLocal"))],
            BY_POLICY,
            "shop/on-edge",
            WEB4,
            ("via_gateway", ["edge-a"], ""),
            "its pool is not in the dump: the source is not known",
        ),
        (
            [named("FelixConfiguration", "default", {"egressIPSupport": "Disabled"}, api="projectcalico.org/v3")],
            DIRECT,
            "shop/cart",
            WEB4,
            NOT_MEANT,
            "switched off",
        ),
    ],
)
def test_one_flow(objects, annotations, pod, destination, expected, why):
    assert outcome(fleet(*objects, annotations=annotations), pod, destination) == expected, why


PER_POD = named(
    "FelixConfiguration", "default", {"egressIPSupport": "EnabledPerNamespaceOrPerPod"}, api="projectcalico.org/v3"
)
HERE_A, HERE_B = ("via_gateway", ["edge-a"], "10.244.1.7"), ("via_gateway", ["edge-b"], "10.244.2.7")
A = {"selector": "name == 'gw-0'", "namespaceSelector": "all()"}
B = {"selector": "name == 'gw-1'", "namespaceSelector": "all()"}
NAMED_PODS = PODS_GIVEN | {
    "egress/gw-0": ("edge-a", "10.244.1.7", "fd00:10:244:1::7", {"name": "gw-0"}),
    "egress/gw-1": ("edge-b", "10.244.2.7", "fd00:10:244:2::7", {"name": "gw-1"}),
}


def pod(name, **given):
    namespace, _, name = name.partition("/")
    annotations = {f"egress.projectcalico.org/{key}": value for key, value in given.items()} | {"other": "x"}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"namespace": namespace, "name": name, "annotations": annotations},
    }


def by_name(name, gateway):
    return named("EgressGatewayPolicy", name, {"rules": [rule(None, gateway)]}, api="projectcalico.org/v3")


@pytest.mark.parametrize(
    ("objects", "annotations", "expected", "why"),
    [
        ([pod("shop/cart", **B)], {}, {"cart": HERE_B, "front": NOT_MEANT}, "a pod alone"),
        ([pod("shop/cart", **B)], notes(**A), {"cart": HERE_B, "front": HERE_A}, "the pod's selector before"),
        (
            [by_name("p", A), pod("shop/cart", **B)],
            notes(egressGatewayPolicy="p"),
            {"cart": HERE_A, "front": HERE_A},
            "a policy of the namespace before a selector of the pod",
        ),
        (
            [by_name("p", A), by_name("q", B), pod("shop/cart", egressGatewayPolicy="q")],
            notes(egressGatewayPolicy="p"),
            {"cart": HERE_B, "front": HERE_A},
            "the pod's policy before that of its namespace",
        ),
        (
            [by_name("p", A), pod("shop/cart", egressGatewayPolicy="gone")],
            notes(egressGatewayPolicy="p"),
            {"cart": HERE_A, "front": HERE_A},
            "a policy that is not there falls back to one that is",
        ),
        (
            [pod("shop/cart", egressGatewayPolicy="gone", **B)],
            notes(**A),
            {"cart": DROP, "front": HERE_A},
            "a policy is named and none is there: dropped, whatever selectors say",
        ),
        (
            [pod("shop/cart", selector=B["selector"])],
            {},
            {"cart": DROP, "front": NOT_MEANT},
            "without namespaceSelector gateways are looked for in the pod's own namespace",
        ),
        (
            [pod("shop/cart", **B), pod("shop/front", **B), pod("bank/ledger", **A)],
            {},
            {"cart": HERE_B, "front": HERE_B, "ledger": HERE_A},
            "several pods, several namespaces",
        ),
        ([pod("shop/cart")], notes(**A), {"cart": HERE_A, "front": HERE_A}, "other annotations mean nothing"),
    ],
)
def test_pods_ask_for_gateways_of_their_own(objects, annotations, expected, why):
    cluster = fleet(PER_POD, pool(False), *objects, annotations=annotations, pods=NAMED_PODS)
    spaces = {"cart": "shop", "front": "shop", "ledger": "bank"}
    assert {name: outcome(cluster, f"{spaces[name]}/{name}", WEB4) for name in expected} == expected, why


def test_pods_are_not_heard_where_support_is_per_namespace():
    cluster = fleet(ON, pool(False), pod("shop/cart", **B), annotations=notes(**A), pods=NAMED_PODS)
    assert outcome(cluster, "shop/cart", WEB4) == HERE_A
    assert ("egress-policy-rejected", "Pod/shop/cart") in rules(cluster)


def test_pods_of_one_shape_with_different_annotations_are_told_apart_in_paths():
    pods = NAMED_PODS | {"shop/cart-2": ("worker", "10.244.5.9", "fd00:10:244:5::9", {"app": "cart"})}
    cluster = fleet(PER_POD, pool(False), pod("shop/cart-2", **B), annotations=notes(**A), pods=pods)
    assert outcome(cluster, "shop/cart", WEB4) == HERE_A
    assert outcome(cluster, "shop/cart-2", WEB4) == HERE_B
    network = Network.of(cluster, masquerades=(), border=[], routed=["10.244.0.0/16"], default_route=True, nat64=())
    half = resolve(cluster, WEB4, network=network).halves[IPFamily.IPV4]
    names = cluster.pods["name"].tolist()
    codes = half.codes(np.array([names.index("cart"), names.index("cart-2")]), 0)
    assert [half.decisions[code].policy for code in codes] == ["Namespace/shop", "Pod/shop/cart-2"]


@pytest.mark.parametrize(
    ("objects", "rule_name", "title", "why"),
    [
        ([pod("shop/cart", egressGatewayPolicy="gone")], "egress-policy-missing", "Pod/shop/cart", "no such policy"),
        ([pod("shop/cart", selector="app = 'x'")], "egress-invalid-selector", "Pod/shop/cart", "no selector"),
        ([pod("shop/cart", selectr="x")], "egress-unknown-field", "Pod/shop/cart", "a slip of the pen"),
        ([pod("shop/cart", namespaceSelector="all()")], "egress-unknown", "Pod/shop/cart", "no selector beside it"),
        (
            [by_name("p", A), pod("shop/cart", egressGatewayPolicy="p", **B)],
            "egress-gateway-ignored",
            "Pod/shop/cart",
            "a policy hides a selector",
        ),
    ],
)
def test_annotations_of_pods_are_judged(objects, rule_name, title, why):
    assert (rule_name, title) in rules(fleet(PER_POD, *objects)), why


@pytest.mark.parametrize(
    ("selector", "spaces", "expected", "why"),
    [
        ("app == 'gw'", "projectcalico.org/name == 'egress'", "via_gateway", "the name of a namespace is known"),
        ("app == 'gw'", "all()", "via_gateway", "nothing is asked of it"),
        ("app == 'gw'", "team == 'net'", "unknown", "a label that may be there"),
        ("app == 'gw'", "!has(team)", "unknown", "or may not"),
        ("app == 'none'", "team == 'net'", "dropped_no_gateway", "no pod fits in any namespace"),
    ],
)
def test_labels_of_namespaces_that_are_not_known_leave_gateways_open(selector, spaces, expected, why):
    asks = pod("shop/cart", selector=selector, namespaceSelector=spaces)
    assert outcome(fleet(PER_POD, asks, namespaces={}), "shop/cart", WEB4)[0] == expected, why


def test_labels_of_pods_that_are_not_known_leave_gateways_open():
    cluster = fleet(PER_POD, pod("shop/cart", **FAR))
    codes = cluster.pods["labels"].copy()
    codes[[name.startswith("gw") for name in cluster.pods["name"].tolist()]] = -1
    cluster.pods = cluster.pods.replace({"labels": codes})
    assert outcome(cluster, "shop/cart", WEB4) == ("unknown", ["edge-a", "edge-b"], "")
    every = fleet(PER_POD, pod("shop/cart", namespaceSelector=FAR["namespaceSelector"]))
    every.pods = every.pods.replace({"labels": codes})
    assert outcome(every, "shop/cart", WEB4)[0] == "via_gateway", "all() asks for no label"


def test_rule_of_a_policy_without_namespace_selector_looks_everywhere():
    cluster = fleet(ON, policy(rule(None, {"selector": "app == 'gw'"})), annotations=BY_POLICY)
    assert outcome(cluster, "shop/cart", WEB4) == BOTH
    cluster = fleet(ON, policy(rule(None, {"namespaceSelector": "team == 'net'"})), annotations=BY_POLICY)
    assert outcome(cluster, "shop/cart", WEB4) == BOTH, "every pod of the namespaces"


@pytest.mark.parametrize("annotations", [None, 7, {"egress.projectcalico.org/selector": 7}, {7: "x"}])
def test_no_annotation_breaks_the_reader(annotations):
    given = {"kind": "Pod", "metadata": {"namespace": "shop", "name": "cart", "annotations": annotations}}
    assert outcome(fleet(PER_POD, given), "shop/cart", WEB4) == NOT_MEANT


@pytest.mark.parametrize(
    ("failed", "expected", "why"),
    [
        (["edge-a"], ("via_gateway", ["edge-b"], "10.244.2.7"), "the other gateway"),
        (["Pod/egress/gw-1"], ("via_gateway", ["edge-a"], "10.244.1.7"), "a gateway pod"),
        (["edge-a", "edge-b"], DROP, "none is left: dropped, not leaked"),
        (["10.244.1.7"], ("via_gateway", ["edge-b"], "10.244.2.7"), "an address"),
    ],
)
def test_fail_over(failed, expected, why):
    cluster = fleet(ON, pool(False), annotations=DIRECT)
    assert outcome(cluster, "shop/cart", WEB4, failed=failed) == expected, why


@pytest.mark.parametrize(
    ("objects", "annotations", "found", "why"),
    [
        ([ON], BY_POLICY, "egress-policy-missing", "no such policy"),
        ([ON], DIRECT, "egress-falls-through", "IPv6 goes past"),
        ([ON], notes(selector="app == 'none'"), "egress-no-gateway", "no gateway pod"),
        ([ON], notes(selector="app = 'gw'"), "egress-invalid-selector", "no selector"),
        ([], DIRECT, "egress-unknown", "whether it is switched on is assumed"),
    ],
)
def test_findings(objects, annotations, found, why):
    assert (found, "Namespace/shop") in rules(fleet(*objects, annotations=annotations)), why


def test_duplicate_destinations_and_ipv6_rules_are_found():
    found = rules(fleet(ON, policy(rule(), rule(), rule("2001:db8::/32")), annotations=BY_POLICY))
    assert ("egress-duplicate-destination", "EgressGatewayPolicy/p") in found
    assert ("egress-one-family", "EgressGatewayPolicy/p") in found


@pytest.mark.parametrize("spec", [None, 7, {"rules": 3}, {"rules": [1]}, {"rules": [{"gateway": []}]}])
def test_no_object_breaks_the_reader(spec):
    cluster = fleet(ON, named("EgressGatewayPolicy", "p", spec, api="projectcalico.org/v3"), annotations=BY_POLICY)
    assert outcome(cluster, "shop/cart", WEB4)[0] is None
