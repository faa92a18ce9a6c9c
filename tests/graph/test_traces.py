"""Traces: hops by hand, the order of families, and one content in three forms."""

import html
import re

import pytest
from egress_clusters import cluster_of, with_endpoints
from graph.gateways.fleet import WEB4, fleet
from graph.gateways.test_cilium import EDGE, cegp

import dsmodel as ds
from dsmodel.errors import InvalidInput
from dsmodel.graph.gateways import EgressGateway, read_gateways
from dsmodel.graph.masquerade import MasqueradeAgent
from dsmodel.graph.network import NAT64, BorderNAT, Network, TransparentProxy
from dsmodel.graph.traces import COLUMNS, trace

NAT = BorderNAT(name="a", family="IPv4", addresses=("198.51.100.9",))
GLOBAL = {"cluster_cidrs": ("10.244.0.0/16", "2600:ff::/56"), "ipv6": "2600:1f00:0:1::{}"}


def network(**changes):
    known = {"border": [NAT], "routed": (), "default_route": True, "nat64": ()}
    return Network().replacing(**{"masquerades": [MasqueradeAgent()], **known, **changes})


def hops(found, family):
    frame = found.frame
    mine = frame[frame["ip_family"] == family]
    return [" ".join(filter(None, row)) for row in mine[["role", "at", "source"]].itertuples(index=False, name=None)]


CASES = [
    ("internet", "IPv4", {}, ["start Pod/shop/cart 10.244.0.2", "attach Node/a 10.244.0.2", "masq Node/a 10.0.0.1",
                              "border NAT/a 198.51.100.9", "exit internet 198.51.100.9"]),
    ("internet", "IPv6", {}, ["start Pod/shop/cart fd00:10:244::2", "attach Node/a fd00:10:244::2",
                              "deny internet fd00:10:244::2"]),
    ("2001:db8::10", "IPv4", {}, ["start Pod/shop/cart 10.244.0.2", "deny Pod/shop/cart 10.244.0.2"]),
    ("10.9.0.1", "IPv4", {"gateways": [EgressGateway(name="g", nodes=("b",))]},
     ["start Pod/shop/cart 10.244.0.2", "attach Node/a 10.244.0.2", "select EgressGateway/g 10.244.0.2",
      "steer Node/b 10.0.0.2", "exit 10.9.0.1 10.0.0.2"]),
    ("10.9.0.1", "IPv4", {"gateways": [EgressGateway(name="g")]},
     ["start Pod/shop/cart 10.244.0.2", "attach Node/a 10.244.0.2", "select EgressGateway/g 10.244.0.2",
      "deny 10.9.0.1 10.244.0.2"]),
    ("shop/web", "IPv6", {}, ["start Pod/shop/cart fd00:10:244::2", "attach Node/a fd00:10:244::2",
                              "exit Pod/shop/web fd00:10:244::2"]),
    ({"v4.example": "192.0.2.7"}, "IPv6",
     {"nat64": NAT64(addresses=("198.51.100.64",)), "masquerades": [MasqueradeAgent(enable_ipv6=True)]},
     ["start Pod/shop/cart fd00:10:244::2", "attach Node/a fd00:10:244::2", "masq Node/a fd00:10::1",
      "translate NAT64/64:ff9b::/96 198.51.100.64", "exit v4.example 198.51.100.64"]),
    ("internet", "IPv4", {"proxies": [TransparentProxy(name="mesh")]},
     ["start Pod/shop/cart 10.244.0.2", "capture Proxy/mesh 10.244.0.2", "attach Node/a 10.244.0.2",
      "masq Node/a 10.0.0.1",
      "border NAT/a 198.51.100.9", "exit internet 198.51.100.9"]),
]  # fmt: skip


@pytest.mark.parametrize(("destination", "family", "changes", "expected"), CASES)
def test_hops_by_hand(destination, family, changes, expected):
    assert hops(trace(cluster_of(), "shop/cart", destination, network=network(**changes)), family) == expected


def test_behind_an_interface_nobody_knows_the_source():
    cluster = fleet(cegp(gateway=EDGE | {"interface": "eth1"}))
    found = trace(cluster, "shop/cart", WEB4, network=network(gateways=read_gateways(cluster)[0], border=[]))
    assert hops(found, "IPv4")[-2:] == ["steer Node/edge-a", f"open {WEB4}"]  # no source: that of the pod has ended


def test_a_service_shows_the_endpoint():
    cluster = cluster_of()
    cluster.add_services(1, ip_family_policy="PreferDualStack")
    with_endpoints(cluster, "default/kubernetes", [("10.0.0.2", "b"), ("10.0.0.1", "a")])
    found = trace(cluster, "shop/cart", "default/kubernetes", network=network())
    assert "steer Service/default/kubernetes 10.244.0.2" in hops(found, "IPv4")
    assert "endpoint 10.0.0.1, one of 2" in repr(found), "what is on the pod's own node comes first"


ORDERS = [
    ({}, {}, "IPv4", "A pod whose IPv6 addresses are all ULA", "ULA against global addresses: rule 5 picks IPv4"),
    (GLOBAL, {"routed": ["2600:ff::/56"]}, "IPv6", "rule 6",
     "global addresses: IPv6 first, and it works"),
    (GLOBAL, {}, "IPv6",
     ("IPv6 is dead: a client with Happy Eyeballs (RFC 8305) goes on with IPv4 after 250 ms, one that blocks after "
     "127 s."),
     "IPv6 first, and its answers do not come back"),
    (GLOBAL, {"border": ()}, "IPv6", "nothing connects",
     "IPv4 has no translator either"),
    (GLOBAL, {"routed": {}}, "IPv6", "Whether IPv6 works is not known",
     "nobody said what is routed"),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "changes", "first", "words", "why"), ORDERS)
def test_the_family_that_is_tried_first(shape, changes, first, words, why):
    found = trace(
        cluster_of(**shape), "shop/cart", {"db": ["2600:9::1", "8.8.8.8"]}, network=network(**changes), port=5432
    )
    assert (str(found.families[0]), words in found.order) == (first, True), f"{why}: {found.order}"


def test_one_content_in_three_forms():
    found = trace(cluster_of(), "shop/cart", {"<b>&": ["192.0.2.1", "2001:db8::1"]}, network=network(), port=443)
    text, fragment = repr(found), found._repr_html_()
    cells = [html.unescape(each) for each in re.findall(r">([^<]+)<", fragment)]
    words = re.findall(r"\S+", " ".join(cells))
    assert sorted(re.sub(r":(?=\s*\n|$)", "", text).replace(":\n", "\n").split()) == sorted(w for w in words)
    assert "<b>" not in fragment
    assert not re.search(r"https?:|<script|\bid=|#[0-9a-fA-F]{3,6}\b|color", fragment)
    frame = found.frame
    assert tuple(frame.columns) == COLUMNS
    assert all(str(cell) in text for cell in frame[["at", "source", "destination"]].to_numpy().ravel())


@pytest.mark.parametrize(
    ("pod", "destination", "port", "message"),
    [
        ("shop/none", "internet", None, "'shop/none' is not in the cluster"),
        ("cart", "internet", None, "'cart' is not in the cluster"),
        ("shop/cart", ["10.0.0.1", "10.0.0.2"], None, "one destination, got 2"),
        ("shop/cart", "nowhere", None, "destination 'nowhere'"),
        ("shop/cart", "internet", 0, "port=0"),
        ("shop/cart", "internet", 65536, "port=65536"),
    ],
)
def test_what_cannot_be_traced_is_refused(pod, destination, port, message):
    with pytest.raises(InvalidInput, match=message):
        trace(cluster_of(), pod, destination, network=network(), port=port)


def test_the_door():
    assert ds.trace is trace
