"""Egress of Antrea: rows with a reason each."""

import pytest
from graph.gateways.fleet import WEB4, WEB6, fleet, named, outcome, rules, unlabelled

E4, E6, F4 = "192.0.2.100", "2001:db8::100", "192.0.2.101"
NOT_MEANT = (None, [], "")
LEAK = ("leak_fallthrough", [], "")
HOLE = ("dropped_no_gateway", [], "")


def egress(name="a", address=E4, *, pool="", node="", status=True, to=None, **more):
    to = {"namespaceSelector": {"matchLabels": {"team": "shop"}}} if to is None else to
    spec = {"appliedTo": to} | ({"egressIP": address} if address else {}) | ({"externalIPPool": pool} if pool else {})
    rest = {"status": {"egressNode": node, "egressIP": address}} if status else {}
    return named("Egress", name, spec | more, api="crd.antrea.io/v1beta1", **rest)


POOL = named("ExternalIPPool", "p", {"nodeSelector": {"matchLabels": {"egress": "yes"}}}, api="crd.antrea.io/v1beta1")
OPEN = ("unknown", ["edge-a"], "")
AGENT = """
egress:
  # comment
  exceptCIDRs:
    - 198.51.100.0/24
    - "2001:db8:9::/48"
  snatFullyRandomPorts: true
"""


def agents(text):
    return named("ConfigMap", "antrea-config", {}, api="v1", namespace="kube-system", data={"antrea-agent.conf": text})


@pytest.mark.parametrize(
    ("objects", "pod", "destination", "expected", "why"),
    [
        ([egress(node="edge-a")], "shop/cart", WEB4, ("via_gateway", ["edge-a"], E4), "its node has it"),
        ([egress(node="edge-a", to={"group": "x"})], "shop/cart", WEB4, OPEN, "a group: whom it means is open"),
        ([egress(node="edge-a")], "shop/cart", WEB6, LEAK, "the other family keeps the node's masquerading"),
        ([egress(address=E6, node="edge-a")], "shop/cart", WEB6, ("via_gateway", ["edge-a"], E6), "IPv6 alike"),
        ([egress(address=E6, node="edge-a")], "shop/cart", WEB4, LEAK, "and IPv4 leaks"),
        ([egress(node="edge-a")], "bank/ledger", WEB4, NOT_MEANT, "another namespace"),
        ([egress(node="edge-a")], "shop/cart", "192.0.2.15", NOT_MEANT, "addresses of nodes are skipped"),
        ([egress(node="edge-a")], "shop/cart", "10.244.5.5", NOT_MEANT, "pods too"),
        ([egress()], "shop/cart", WEB4, HOLE, "a status without a node: on no node, a black hole"),
        ([egress(status=False)], "shop/cart", WEB4, ("unknown", [], ""), "no status: not known, not guessed"),
        (
            [egress(address="192.0.2.15", status=False)],
            "shop/cart",
            WEB4,
            ("via_gateway", ["worker"], "192.0.2.15"),
            "an address of a node",
        ),
        ([egress(address="", pool="p"), POOL], "shop/cart", WEB4, LEAK, "not yet allocated: nothing is installed"),
        (
            [egress(pool="p"), POOL],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-a", "edge-b"], E4),
            "of a pool: one of its nodes, the hash is not known",
        ),
        ([egress(pool="gone")], "shop/cart", WEB4, HOLE, "a pool that is not there has no node"),
        (
            [egress(node="edge-a"), egress("b", E6, node="edge-b")],
            "shop/cart",
            WEB4,
            ("nondeterministic", ["edge-a"], ""),
            "antrea#4532: one IPv4 and one IPv6 Egress do not add up",
        ),
        (
            [egress(node="edge-a"), egress("b", E6, node="edge-b")],
            "shop/cart",
            WEB6,
            ("nondeterministic", ["edge-b"], ""),
            "whichever bound first",
        ),
        ([egress(egressIPs=[E4, E6])], "shop/cart", WEB4, NOT_MEANT, "plural fields are refused"),
        ([egress(to={})], "shop/cart", WEB4, NOT_MEANT, "applied to nothing"),
        ([egress(node="edge-a"), agents(AGENT)], "shop/cart", WEB4, NOT_MEANT, "exceptCIDRs, one a line"),
        ([egress(node="edge-a"), agents(AGENT)], "shop/cart", WEB6, NOT_MEANT, "of both families"),
        (
            [egress(node="edge-a"), agents(AGENT)],
            "shop/cart",
            "203.0.113.1",
            ("via_gateway", ["edge-a"], E4),
            "other destinations still go through",
        ),
        (
            [egress(node="edge-a"), agents("egress:\n  exceptCIDRs: [198.51.100.0/24]\n")],
            "shop/cart",
            WEB4,
            NOT_MEANT,
            "exceptCIDRs on one line",
        ),
        (
            [egress(node="edge-a"), agents("egress:\n#  exceptCIDRs: [198.51.100.0/24]\n")],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-a"], E4),
            "a comment is none",
        ),
    ],
)
def test_one_flow(objects, pod, destination, expected, why):
    assert outcome(fleet(*objects), pod, destination) == expected, why


@pytest.mark.parametrize(
    ("objects", "failed", "expected", "why"),
    [
        ([egress(node="edge-a")], ["edge-a"], HOLE, "no pool, no fail-over"),
        ([egress(node="edge-a", pool="p"), POOL], ["edge-a"], ("via_gateway", ["edge-b"], E4), "the pool's other node"),
        ([egress(node="edge-a", pool="p"), POOL], ["edge-a", "edge-b"], HOLE, "no node of the pool is left"),
        ([egress(node="edge-a", pool="p"), POOL], ["edge-b"], ("via_gateway", ["edge-a"], E4), "another node"),
        ([egress(node="edge-a")], [E4], ("dropped_no_egress_ip", [], ""), "the address itself is down"),
    ],
)
def test_fail_over(objects, failed, expected, why):
    assert outcome(fleet(*objects), "shop/cart", WEB4, failed=failed) == expected, why


def test_a_node_of_the_pool_that_is_not_known_leaves_fail_over_open():
    cluster = unlabelled(fleet(egress(pool="p", node="edge-a"), POOL), "worker")
    assert outcome(cluster, "shop/cart", WEB4) == ("via_gateway", ["edge-a"], E4)
    assert outcome(cluster, "shop/cart", WEB4, failed=["edge-a"]) == ("unknown", ["edge-b"], "")


@pytest.mark.parametrize(
    ("objects", "rule", "why"),
    [
        ([egress(egressIPs=[E4])], "egress-policy-rejected", "plural"),
        ([egress(address="")], "egress-policy-rejected", "neither address nor pool"),
        ([egress(to={})], "egress-selects-nothing", "no appliedTo"),
        ([egress()], "egress-no-gateway", "on no node"),
        ([egress(pool="gone")], "egress-pool-missing", "no such pool"),
        ([egress(node="edge-a")], "egress-falls-through", "one family"),
        ([egress(node="edge-a"), egress("b", F4, node="edge-b")], "egress-conflict", "two on a pod"),
        ([egress(address="nonsense")], "egress-invalid-address", "no address"),
        ([egress(to={"group": "shops"})], "egress-unknown", "whom a group means is not in the dump"),
        ([egress(to={"podSelectr": {}})], "egress-unknown-field", "a slip of the pen"),
    ],
)
def test_findings(objects, rule, why):
    assert (rule, "Egress/a") in rules(fleet(*objects)), why


@pytest.mark.parametrize("spec", [None, 7, {"appliedTo": 3}, {"egressIP": 4}, {"egressIPs": "x", "externalIPPool": []}])
def test_no_object_breaks_the_reader(spec):
    cluster = fleet(named("Egress", "a", spec, api="crd.antrea.io/v1beta1"))
    assert outcome(cluster, "shop/cart", WEB4) in [NOT_MEANT, LEAK]
    assert rules(cluster)
