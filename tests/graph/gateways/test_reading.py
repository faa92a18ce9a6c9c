"""Reading never fails, and operators' questions about gateways have the answer worked out by hand."""

import re

import pytest
from graph.gateways.fleet import V4, V6, WEB4, WEB6, fleet, flows_of, named, outcome, row_of
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel.graph.gateways import gateway_table, read_gateways, steer

KINDS = {
    "CiliumEgressGatewayPolicy": "cilium.io/v2",
    "EgressIP": "k8s.ovn.org/v1",
    "EgressService": "k8s.ovn.org/v1",
    "EgressFirewall": "k8s.ovn.org/v1",
    "AdminPolicyBasedExternalRoute": "k8s.ovn.org/v1",
    "Egress": "crd.antrea.io/v1beta1",
    "ExternalIPPool": "crd.antrea.io/v1beta1",
    "VpcEgressGateway": "kubeovn.io/v1",
    "Subnet": "kubeovn.io/v1",
    "EgressGatewayPolicy": "projectcalico.org/v3",
    "IPPool": "projectcalico.org/v3",
    "FelixConfiguration": "projectcalico.org/v3",
    "Node": "v1",
}
FIELDS = """
selectors podSelector namespaceSelector nodeSelector matchLabels matchExpressions key operator values
destinationCIDRs excludedCIDRs egressGateway egressGateways interface egressIP egressIPs egress to type
cidrSelector ports dnsName from nextHops static dynamic ip appliedTo externalIPPool policies ipBlocks
subnets snat bfd enabled trafficPolicy rules destination cidr gateway selector maxNextHops cidrBlock
sourceIPBy items node workload nodes internalIPs externalIPs host egressNode
"""
WORDS = re.findall(r"\w+", FIELDS)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.sampled_from(["", "x", "10.0.0.0/8", "::/0", "192.0.2.9", "Deny", "In"])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=20,
)
NOTES = {
    "shop": {"egress.projectcalico.org/egressGatewayPolicy": "default"},
    "bank": {"egress.projectcalico.org/selector": "(("},
}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), JSON, JSON), min_size=1, max_size=4))
def test_no_object_of_any_kind_breaks_the_reader(given_objects):
    objects = [
        named(kind, "default", spec, api=KINDS[kind], namespace="shop", status=status)
        for kind, spec, status in given_objects
    ]
    cluster = fleet(*objects, annotations=NOTES)
    policies, findings = read_gateways(cluster)
    assert all(severity in {"error", "warning", "info"} and text for severity, _, _, text in findings)
    for family, destination in ((V4, WEB4), (V6, WEB6)):
        flows = flows_of(cluster, [("shop/cart", destination), ("bank/ledger", destination)], family)
        assert len(steer(policies, flows, cluster, failed=["edge-a"]).verdict) == 2
    assert len(gateway_table(policies, cluster)) <= 2 * len(policies)


TEAM = {"matchLabels": {"team": "shop"}}


def eip(name, addresses, items):
    status = {"items": [{"node": host, "egressIP": address} for host, address in items]}
    spec = {"egressIPs": addresses, "namespaceSelector": TEAM}
    return named("EgressIP", name, spec, api="k8s.ovn.org/v1", status=status)


BOTH = eip("a", ["192.0.2.100", "2001:db8::100"], [("edge-a", "192.0.2.100"), ("edge-b", "2001:db8::100")])
CILIUM = named(
    "CiliumEgressGatewayPolicy",
    "a",
    {
        "selectors": [{"namespaceSelector": TEAM}],
        "destinationCIDRs": ["0.0.0.0/0", "::/0"],
        "egressGateway": {"nodeSelector": {"matchLabels": {"egress": "yes"}}},
    },
    api="cilium.io/v2",
)


@pytest.mark.parametrize(
    ("policy", "before", "after", "why"),
    [
        (BOTH, ("via_gateway", "via_gateway"), ("leak_fallthrough", "via_gateway"), "IPv4 leaks, IPv6 is elsewhere"),
        (CILIUM, ("via_gateway", "via_gateway"), ("dropped_no_gateway", "dropped_no_gateway"), "both drop"),
    ],
)
def test_what_breaks_when_a_node_is_lost(policy, before, after, why):
    cluster = fleet(policy)
    assert tuple(outcome(cluster, "shop/cart", to)[0] for to in (WEB4, WEB6)) == before, why
    assert tuple(outcome(cluster, "shop/cart", to, failed=["edge-a"])[0] for to in (WEB4, WEB6)) == after, why


def test_which_pods_leave_by_another_gateway_in_each_family():
    cluster = fleet(BOTH)
    policies, _ = read_gateways(cluster)
    four, six = (
        steer(policies, flows_of(cluster, [("shop/cart", to), ("bank/ledger", to)], family), cluster)
        for family, to in ((V4, WEB4), (V6, WEB6))
    )
    differ = (four.gateway != six.gateway) & (four.gateway >= 0) & (six.gateway >= 0)
    assert differ.tolist() == [True, False]
    assert [row_of(each, 0, cluster)[1] for each in (four, six)] == [["edge-a"], ["edge-b"]]


def test_which_policies_are_bypassed_in_one_family():
    cluster = fleet(eip("only-4", ["192.0.2.100"], [("edge-a", "192.0.2.100")]), CILIUM)
    rows = gateway_table(read_gateways(cluster)[0], cluster)
    leaking = {(row.policy, str(row.family)) for row in rows if row.verdict == "leak_fallthrough"}
    assert leaking == {("EgressIP/only-4", "IPv6")}


def test_versions_can_be_given():
    policies, found = read_gateways(fleet(CILIUM), versions={"Cilium": "1.19.1"})
    assert policies[0].version == "1.19.1"
    assert not any(rule == "egress-version-assumed" for _, rule, _, _ in found)
