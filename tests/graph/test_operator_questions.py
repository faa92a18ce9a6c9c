"""Ten questions that operators ask of egress, each on a small cluster whose answer is worked out by hand."""

import pytest
from egress_clusters import cluster_of

from dsmodel.graph.allow_lists import allowed_sources
from dsmodel.graph.audits import (
    asymmetric_returns,
    bypassed_policies,
    different_gateways,
    more_replicas,
    unused_family,
)
from dsmodel.graph.failures import blast_radius
from dsmodel.graph.gateways import EgressGateway, Selection
from dsmodel.graph.masquerade import Calico, CalicoPool, Cilium, KubeProxy, MasqueradeAgent
from dsmodel.graph.network import BorderNAT, Network
from dsmodel.graph.paths import difference, resolve
from dsmodel.graph.topology import maximum_connections, single_points_of_failure

NODES = ("a", "b", "c", "gw-1", "gw-2")
PODS = (
    ("shop", "cart", "a"),
    ("shop", "web", "b"),
    ("shop", "api", "c"),
    ("data", "db", "a"),
)
V4 = BorderNAT(name="v4", family="IPv4", addresses=("198.51.100.9",), ports=55_000)
GLOBAL = {"cluster_cidrs": ("10.244.0.0/16", "2600:ff::/56"), "ipv6": "2600:1f00:0:1::{}"}
AGENT = MasqueradeAgent()
PARTNER = {"db.partner": ["10.9.0.10", "2600:9::10"]}


def network(**changes):
    known = {"border": [V4], "routed": ["2600:ff::/56"], "default_route": True, "nat64": (), "masquerades": [AGENT]}
    return Network().replacing(**known | changes)


def asked(destinations, *, namespace="", shape=GLOBAL, **changes):
    cluster = cluster_of(NODES, PODS, **shape)
    rows = [place for place, pod in enumerate(PODS) if pod[0].startswith(namespace)]
    return resolve(cluster, destinations, network=network(**changes), pods=rows)


def gateway(name="g", **fields):
    return EgressGateway(name=name, selects=Selection.of("shop"), **fields)


def test_1_which_single_loss_kills_ipv6_of_a_namespace_and_not_ipv4():
    # IPv6 of shop leaves by gw-1 alone; IPv4 by either gateway node, which stand in for each other
    six = gateway("six", nodes=("gw-1",), families=("IPv6",))
    four = gateway("four", nodes=("gw-1", "gw-2"), families=("IPv4",))
    paths = asked(PARTNER, namespace="shop", gateways=[six, four])
    frame = single_points_of_failure(paths)
    single = {(row.ip_family, row.element) for row in frame.itertuples() if row.is_single}
    assert single == {("IPv6", "Node/gw-1")}
    standby = frame[(frame["ip_family"] == "IPv4") & (frame["element"] == "Node/gw-1")].iloc[0]
    assert (standby["pods"], standby["lost"], standby["is_single"]) == (3, 0, False)


@pytest.mark.parametrize(
    ("fields", "ipv4", "ipv6"),
    [
        ({"nodes": ("gw-1",)}, "dropped", "dropped"),
        ({"nodes": ("gw-1",), "on_missing": "fall through"}, "black-holed", "leaked"),
        ({"nodes": ("gw-1", "gw-2")}, "moved", "moved"),
        ({"nodes": ("gw-1",), "on_missing": "black hole"}, "no route", "no route"),
    ],
)
def test_2_the_blast_radius_of_a_gateway_follows_its_rules(fields, ipv4, ipv6):
    # after a leak IPv4 leaves with a pod address that 10/8 keeps and nobody routes; IPv6 pods are routed
    frame = blast_radius(asked(PARTNER, gateways=[gateway(**fields)]), "Node/gw-1")
    found = {row.ip_family: (row.outcome, row.pods, row.namespaces) for row in frame.itertuples()}
    assert found == {"IPv4": (ipv4, 3, "shop"), "IPv6": (ipv6, 3, "shop")}


def test_2_pods_on_the_lost_node_are_told_apart():
    frame = blast_radius(asked(PARTNER, gateways=[gateway(nodes=("a",))]), "Node/a")
    lost = frame[frame["change"] == "lost"].groupby(["ip_family", "outcome"])["pods"].sum()
    # cart goes down with node a and db, which no policy selects, works in IPv6 only; web and api lose their gateway
    assert lost.to_dict() == {
        ("IPv4", "dropped"): 2,
        ("IPv4", "down with its node"): 1,
        ("IPv6", "dropped"): 2,
        ("IPv6", "down with its node"): 2,
    }


def test_3_how_many_connections_fit_and_what_binds():
    through = asked(PARTNER, namespace="shop", gateways=[gateway(nodes=("gw-1",))])
    ipv4 = maximum_connections(through, family="IPv4")
    # three pods could open 3 x 28,232, one gateway address has 64,512 ports
    assert (ipv4.connections, ipv4.bottleneck) == (64_512, (("10.0.0.4", 64_512),))
    direct = maximum_connections(asked(PARTNER, namespace="shop"), family="IPv6")
    assert direct.connections == 3 * 28_232
    limited = maximum_connections(through, family="IPv4", conntrack={"gw-1": 50_000})
    assert (limited.connections, limited.bottleneck) == (50_000, (("Node/gw-1", 50_000),))
    internet = maximum_connections(asked("internet"), family="IPv4")
    assert (internet.connections, internet.bottleneck) == (55_000, (("NAT/v4", 55_000),))
    dead = maximum_connections(asked(PARTNER), family="IPv4")
    assert (dead.connections, dead.bottleneck) == (0, ())


@pytest.mark.parametrize(
    ("is_bpf", "connections", "bottleneck"),
    [
        (True, 32_768, (("44.0.0.1", 32_768),)),
        (False, 56_464, (("2 pods on a x 28232 ports", 56_464),)),  # netfilter has 64,512, and two pods 28,232 each
    ],
)
def test_3_cilium_has_half_of_the_ports_where_it_translates_in_bpf(is_bpf, connections, bottleneck):
    paths = asked("8.8.8.8", masquerades=[Cilium(bpf=is_bpf)], border=())
    cluster = cluster_of(NODES, PODS, ipv4="44.0.0.{}", ipv6=GLOBAL["ipv6"], cluster_cidrs=GLOBAL["cluster_cidrs"])
    one = resolve(cluster, "8.8.8.8", network=paths.network, pods=[0, 3])  # both on node a
    found = maximum_connections(one, family="IPv4")
    assert (found.connections, found.bottleneck) == (connections, bottleneck)


def test_4_how_many_more_replicas_fit():
    # 3 replicas with 1,000 connections each; the alarm is at 95 % of 64,512: 61,286 hold 61 replicas
    capacity = maximum_connections(
        asked(PARTNER, namespace="shop", gateways=[gateway(nodes=("gw-1",))]), family="IPv4"
    ).connections
    assert more_replicas(capacity, replicas=3, connections=3_000) == 58


def test_5_whose_address_the_partner_must_allow():
    shop = gateway(nodes=("gw-1", "gw-2"))
    frame = allowed_sources(asked(PARTNER, gateways=[shop], routed=["10.244.0.0/16", "2600:ff::/56"]))
    rows = [(row.ip_family, row.source, row.owner, row.pods, row.when) for row in frame.itertuples()]
    assert rows == [
        ("IPv4", "10.0.0.4", "gateway", 3, "now"),
        ("IPv4", "10.0.0.5", "gateway", 3, "Node/gw-1"),
        ("IPv4", "10.244.0.0/16", "pod", 1, "now"),
        ("IPv6", "2600:ff::/56", "pod", 1, "now"),
        ("IPv6", "2600:1f00:0:1::4", "gateway", 3, "now"),
        ("IPv6", "2600:1f00:0:1::5", "gateway", 3, "Node/gw-1"),
    ]


def test_5_masqueraded_pods_may_move_to_any_node():
    frame = allowed_sources(asked("44.1.1.1", shape={**GLOBAL, "ipv4": "44.0.0.{}"}, border=()))
    rows = [(row.source, row.pods) for row in frame.itertuples()]
    assert rows == [("44.0.0.1", 2), ("44.0.0.2", 1), ("44.0.0.3", 1), ("44.0.0.4", 0), ("44.0.0.5", 0)]


def test_6_which_pods_leave_by_different_gateways():
    # as an OVN-Kubernetes EgressIP of both families: each address is on a node of its own
    four, six = (
        gateway("four", nodes=("gw-1",), families=("IPv4",)),
        gateway("six", nodes=("gw-2",), families=("IPv6",)),
    )
    frame = different_gateways(asked(PARTNER, gateways=[four, six], routed=["10.244.0.0/16", "2600:ff::/56"]))
    rows = frame[["pods", "example", "gateway_ipv4", "gateway_ipv6"]].values.tolist()
    assert rows == [[3, "shop/cart", "Node/gw-1", "Node/gw-2"]]


def test_7_which_pods_have_a_family_that_works_and_is_never_used():
    # ULA pods, masqueraded to global node addresses: IPv6 works, and rule 5 of RFC 6724 still picks IPv4
    agent = MasqueradeAgent(enable_ipv6=True)
    server = {"api.example": ["8.8.8.8", "2001:4860::8888"]}
    paths = asked(server, shape={"ipv6": GLOBAL["ipv6"]}, masquerades=[agent], border={"IPv4": [V4], "IPv6": ()})
    frame = unused_family(paths)
    assert frame[["ip_family", "pods"]].values.tolist() == [["IPv6", 4]]
    assert "ULA" in frame["why"][0]
    assert len(unused_family(asked(server, border={"IPv4": [V4], "IPv6": ()}))) == 1  # global pods: IPv4 rests


def test_8_which_pods_bypass_their_policy_in_one_family():
    # one address, of IPv4: IPv6 finds no egress address and falls through to the pod's own
    paths = asked(PARTNER, gateways=[gateway(nodes=("gw-1",), addresses=("10.0.0.50",), on_missing="fall through")])
    frame = bypassed_policies(paths)
    rows = frame[["ip_family", "policy", "pods", "verdict", "source"]].values.tolist()
    assert rows == [["IPv6", "EgressGateway/g", 3, "leak_fallthrough", "2600:ff::2"]]
    # a policy that knows one family only never sees the other
    unseen = bypassed_policies(asked(PARTNER, gateways=[gateway(nodes=("gw-1",), families=("IPv4",))]))
    assert unseen[["ip_family", "policy", "pods", "verdict"]].values.tolist() == [
        ["IPv6", "EgressGateway/g", 3, "ok_direct"]
    ]
    # one that drops is no bypass
    assert len(bypassed_policies(asked(PARTNER, gateways=[gateway(nodes=("gw-1",), addresses=("10.0.0.50",))]))) == 0


def test_9_which_flows_do_not_return_the_way_they_went():
    # IPv4: 10/8 is kept and nobody routes pods; the gateway lends out an address of another node in IPv6
    lent = gateway(nodes=("gw-1",), addresses=("2600:1f00:0:1::5",), families=("IPv6",))
    frame = asymmetric_returns(asked(PARTNER, gateways=[lent]))
    rows = frame[["ip_family", "pods", "source", "returns_to"]].values.tolist()
    assert rows == [["IPv4", 4, "10.244.0.2", ""], ["IPv6", 3, "2600:1f00:0:1::5", "Node/gw-2"]]


POOLS = (
    CalicoPool(cidr="10.244.0.0/16", nat_outgoing=True),
    CalicoPool(cidr="fd00:10:244::/56", nat_outgoing=False),
)


def what_if(before, after, **shape):
    cluster = cluster_of(NODES, PODS, **{"ipv6": GLOBAL["ipv6"], **shape})
    targets = ["2001:4860::8888", "shop/web", "fd99::1"]
    networks = [
        network(masquerades=each, border={"IPv4": [V4], "IPv6": ()}, routed=["fd00:10:244::/56"])
        for each in (before, after)
    ]
    frame = difference(*(resolve(cluster, targets, network=each) for each in networks))
    assert set(frame["ip_family"]) <= {"IPv6"}, "IPv4 stays as it is"
    told = ["destination", "verdict_before", "verdict_after", "regression"]
    return {key[0]: (pods, *key[1:]) for key, pods in frame.groupby(told)["pods"].sum().items()}


def test_10_ipv6_in_the_agent_hides_pods_from_each_other():
    proxy = KubeProxy(cluster_cidrs=("10.244.0.0/16",))
    assert what_if([proxy, MasqueradeAgent()], [proxy, MasqueradeAgent(enable_ipv6=True)]) == {
        "2001:4860::8888": (4, "blackhole_return", "ok_snat", False),
        "shop/web": (4, "ok_direct", "ok_snat", True),  # no IPv6 CIDR is listed: pods see nodes
        "fd99::1": (4, "ok_direct", "ok_snat", False),
    }


def test_10_nat_outgoing_of_calico_leaves_pods_alone():
    after = (POOLS[0], CalicoPool(cidr="fd00:10:244::/56", nat_outgoing=True))
    assert what_if([Calico(pools=POOLS)], [Calico(pools=after)]) == {
        "2001:4860::8888": (4, "blackhole_return", "ok_snat", False),
        "fd99::1": (4, "ok_direct", "ok_snat", False),
    }
