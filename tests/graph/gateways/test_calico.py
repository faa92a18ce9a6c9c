"""Egress gateways of Calico Enterprise: rows with a reason each."""

import pytest
from graph.gateways.fleet import WEB4, WEB6, fleet, named, outcome, rules

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
