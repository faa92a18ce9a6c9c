"""Gateways written down by hand, and products beside each other."""

import pytest
from graph.gateways.fleet import WEB4, WEB6, fleet, named, outcome, rules

import dsmodel as ds
from dsmodel.graph.gateways import EgressGateway, Selection, gateway_table

SHOP = Selection.of("shop")
E4, E6 = "203.0.113.10", "2001:db8:e::10"
NOT_MEANT = (None, [], "")


def gateway(name="out", **fields):
    return EgressGateway(**({"name": name, "selects": SHOP, "nodes": ("edge-a", "edge-b")} | fields))


@pytest.mark.parametrize(
    ("fields", "pod", "destination", "failed", "expected", "why"),
    [
        ({}, "shop/cart", WEB4, [], ("via_gateway", ["edge-a"], "192.0.2.11"), "the first node, as itself"),
        ({"addresses": (E4, E6)}, "shop/cart", WEB6, [], ("via_gateway", ["edge-a"], E6), "addresses of its own"),
        ({"addresses": (E4,)}, "shop/cart", WEB4, ["edge-a"], ("via_gateway", ["edge-b"], E4), "they follow"),
        ({"addresses": (E4,)}, "shop/cart", WEB6, [], ("dropped_no_egress_ip", [], ""), "no address of the family"),
        (
            {"addresses": (E4,), "on_missing": "fall through"},
            "shop/cart",
            WEB6,
            [],
            ("leak_fallthrough", [], ""),
            "leak",
        ),
        ({"addresses": (E4,), "on_missing": "black hole"}, "shop/cart", WEB6, [], ("no_route", [], ""), "swallowed"),
        ({"families": ("IPv4",)}, "shop/cart", WEB6, [], NOT_MEANT, "the other family never meets it"),
        ({}, "shop/cart", WEB4, ["edge-a", "edge-b"], ("dropped_no_gateway", [], ""), "no node is left"),
        ({}, "shop/cart", WEB4, ["EgressGateway/out"], ("dropped_no_gateway", [], ""), "the gateway itself"),
        ({"nodes": ("edge-v4",)}, "shop/cart", WEB6, [], ("dropped_no_egress_ip", [], ""), "a node without IPv6"),
        ({"spread": "all"}, "shop/cart", WEB4, [], ("via_gateway", ["edge-a", "edge-b"], ""), "all of them"),
        (
            {"spread": "all", "addresses": (E4,)},
            "shop/cart",
            WEB4,
            [],
            ("via_gateway", ["edge-a", "edge-b"], E4),
            "several nodes, one source",
        ),
        ({"nodes": ("appliance",), "addresses": (E4,)}, "shop/cart", WEB4, [], ("via_gateway", [""], E4), "no node"),
        ({"destinations": ("203.0.113.0/24",)}, "shop/cart", WEB4, [], NOT_MEANT, "other destinations"),
        ({"exceptions": ("198.51.100.0/24",)}, "shop/cart", WEB4, [], NOT_MEANT, "an exception"),
        ({}, "bank/ledger", WEB4, [], NOT_MEANT, "another namespace"),
        ({"selects": Selection.of(pods={"app": "cart"})}, "shop/front", WEB4, [], NOT_MEANT, "other labels"),
    ],
)
def test_one_flow(fields, pod, destination, failed, expected, why):
    assert outcome(fleet(), pod, destination, failed=failed, extra=[gateway(**fields)]) == expected, why


def test_higher_priority_comes_first_and_what_falls_through_goes_on():
    first = gateway("first", priority=1, addresses=(E4,), on_missing="fall through")
    second = gateway("second", nodes=("edge-b",))
    cluster = fleet()
    assert outcome(cluster, "shop/cart", WEB4, extra=[second, first]) == ("via_gateway", ["edge-a"], E4)
    assert outcome(cluster, "shop/cart", WEB6, extra=[second, first]) == ("via_gateway", ["edge-b"], "2001:db8::12")


@pytest.mark.parametrize(
    "fields",
    [
        {"on_missing": "pray"},
        {"spread": "some"},
        {"addresses": ("x",)},
        {"destinations": ("1.2.3.4/8",)},
        {"families": ("v4",)},
    ],
)
def test_what_is_none_is_refused_by_name(fields):
    with pytest.raises(ds.errors.DsmodelError):
        gateway(**fields)


def test_table_has_a_row_a_family():
    rows = gateway_table([gateway(addresses=(E4,))], fleet())
    assert [(str(row.family), row.gateway_nodes, row.standby, str(row.verdict)) for row in rows] == [
        ("IPv4", ("edge-a",), ("edge-b",), "via_gateway"),
        ("IPv6", (), (), "dropped_no_egress_ip"),
    ]


def test_policies_of_two_networks_are_found():
    selector = {"matchLabels": {"team": "shop"}}
    eip = named("EgressIP", "a", {"egressIPs": [E4], "namespaceSelector": selector}, api="k8s.ovn.org/v1")
    spec = {"selectors": [{"namespaceSelector": selector}], "destinationCIDRs": ["0.0.0.0/0"], "egressGateway": {}}
    cegp = named("CiliumEgressGatewayPolicy", "a", spec, api="cilium.io/v2")
    assert ("egress-networks-mixed", "Cluster") in rules(fleet(eip, cegp))
    assert ("egress-networks-mixed", "Cluster") not in rules(fleet(eip))
