"""Reports about egress, each on a small cluster whose answer is worked out by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest
from egress_clusters import cluster_of, with_endpoints
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel import reports
from dsmodel.errors import InvalidInput
from dsmodel.graph.failures import blast_radius
from dsmodel.graph.gateways import EgressGateway, Selection
from dsmodel.graph.masquerade import Calico, CalicoPool, Cilium, KubeProxy, MasqueradeAgent
from dsmodel.graph.network import NAT64, BorderNAT, Network
from dsmodel.graph.paths import resolve
from dsmodel.graph.snat import aws_nat_gateway, gcp_cloud_nat, linux
from dsmodel.reports.egress import answers, drawing, entries, outages, ports, sources

NODES = ("a", "b", "c", "gw-1", "gw-2")
PODS = (("shop", "cart", "a"), ("shop", "web", "b"), ("shop", "api", "c"), ("data", "db", "a"))
V4 = BorderNAT(name="v4", family="IPv4", addresses=("198.51.100.9",), ports=55_000)
GLOBAL = {"cluster_cidrs": ("10.244.0.0/16", "2600:ff::/56"), "ipv6": "2600:1f00:0:1::{}"}
PARTNER = {"db.partner": ["10.9.0.10", "2600:9::10"]}
AGENT = MasqueradeAgent()


def network(**changes):
    known = {"border": [V4], "routed": ["2600:ff::/56"], "default_route": True, "nat64": (), "masquerades": [AGENT]}
    return Network().replacing(**known | changes)


def gateway(name="g", **fields):
    return EgressGateway(name=name, selects=Selection.of("shop"), **fields)


@pytest.fixture
def cluster():
    return cluster_of(NODES, PODS, **GLOBAL)


def rows(frame, *names):
    return frame[list(names)].to_numpy(object).tolist()


class TestEgress:
    def test_pods_that_share_an_answer_are_one_row(self, cluster):
        known = network(gateways=[gateway(nodes=("gw-1",), families=("IPv4",))])
        frame = reports.egress(cluster, ["internet", PARTNER], network=known)
        assert tuple(frame) == answers.COLUMNS
        assert rows(frame, "destination", "ip_family", "pods", "example", "verdict", "source", "gateway", "nat") == [
            ["internet", "IPv4", 1, "data/db", "ok_snat", "198.51.100.9", "", "NAT/v4"],
            ["internet", "IPv4", 3, "shop/cart", "via_gateway", "198.51.100.9", "Node/gw-1", "NAT/v4"],
            ["internet", "IPv6", 4, "shop/cart", "ok_direct", "the pod's address", "", ""],
            ["db.partner", "IPv4", 3, "shop/cart", "via_gateway", "10.0.0.4", "Node/gw-1", ""],
            ["db.partner", "IPv4", 1, "data/db", "blackhole_return", "10.244.0.3", "", ""],
            ["db.partner", "IPv6", 4, "shop/cart", "ok_direct", "the pod's address", "", ""],
        ]
        assert frame["sources"].tolist() == [1, 1, 4, 1, 1, 4]
        assert (frame["why"] != "").all()
        assert frame["namespaces"].tolist() == ["data", "shop", "data, shop", "shop", "data", "data, shop"]

    def test_sources_count_the_nodes_that_pods_are_on(self):
        cluster = cluster_of(NODES, PODS, **{**GLOBAL, "ipv4": "44.0.0.{}"})
        frame = reports.egress(cluster, "44.1.1.1", network=network(border=()))
        assert rows(frame, "ip_family", "source", "sources") == [
            ["IPv4", "the node's address", 3],  # a has two of the four pods
            ["IPv6", "", 0],
        ]

    def test_pods_of_the_host_network_share_an_address(self):
        pods = (("sys", "p", "a", "host"), ("sys", "q", "a", "host"), ("sys", "r", "b", "host"))
        frame = reports.egress(cluster_of(NODES, pods, **GLOBAL), "2600:9::10", network=network())
        assert rows(frame[frame["ip_family"] == "IPv6"], "pods", "source", "sources") == [[3, "the node's address", 2]]

    def test_what_is_not_known_has_no_number_of_sources(self, cluster):
        frame = reports.egress(cluster, network=Network())
        assert set(frame["verdict"]) == {"unknown"}
        assert frame["sources"].isna().all()
        assert frame["why"].str.startswith("unknown because ").all()

    def test_destinations_with_one_answer_are_counted_together_if_asked(self, cluster):
        asked = ["44.1.1.1", "44.1.1.2", "10.9.0.10"]
        one_each = reports.egress(cluster, asked, network=network())
        together = reports.egress(cluster, asked, network=network(), by="answer")
        ipv4 = together[together["ip_family"] == "IPv4"]
        assert rows(ipv4, "destination", "destinations", "pods") == [["44.1.1.1", 2, 4], ["10.9.0.10", 1, 4]]
        assert len(one_each) == together["destinations"].sum()
        with pytest.raises(InvalidInput, match='"destination" and "answer"'):
            reports.egress(cluster, asked, by="class")

    def test_more_rows_than_a_frame_holds_are_refused(self, cluster, monkeypatch):
        monkeypatch.setattr(answers, "MOST_ROWS", 1)
        with pytest.raises(InvalidInput, match='by="answer"'):
            reports.egress(cluster, ["44.1.1.1", "44.1.1.2"], network=network())

    def test_no_pods_have_no_rows(self):
        frame = reports.egress(cluster_of(NODES, ()), network=network())
        assert tuple(frame) == answers.COLUMNS
        assert len(frame) == 0

    @settings(max_examples=25, deadline=None)
    @given(st.data())
    def test_rows_are_those_of_every_pod_counted(self, data):
        one = st.tuples(st.sampled_from("abc"), st.sampled_from(NODES[:3]), st.sampled_from([(), (), ("host",)]))
        placed = data.draw(st.lists(one, max_size=9))
        pods = [(space, f"p{row}", node, *host) for row, (space, node, host) in enumerate(placed)]
        masquerades = data.draw(st.sampled_from([[AGENT], [MasqueradeAgent(enable_ipv6=True)], [Cilium()]]))
        cluster = cluster_of(NODES, [*pods, ("x", "far", "b"), ("x", "near", "a")], **GLOBAL)
        cluster = with_endpoints(cluster, "x/svc", [])
        gateways = [EgressGateway(name="g", selects=Selection.of("a"), nodes=("gw-1",), families=("IPv4",))]
        asked = ["internet", "x/far", "x/near", "10.0.0.1", PARTNER]
        paths = resolve(cluster, asked, network=network(masquerades=masquerades, gateways=gateways))
        told = ["destination", "ip_family", "verdict", "works", "gateway", "rule"]
        every = paths.frame().rename(columns={"reason": "why"})
        slow = every.groupby([*told, "why"])
        fast = reports.egress(paths)
        assert fast.groupby([*told, "why"])["pods"].sum().to_dict() == slow.size().to_dict()
        seen = every[every["source"] != ""].groupby([*told, "why"])["source"].nunique()
        known = fast[fast["sources"].fillna(0) > 0].groupby([*told, "why"])["sources"].sum()
        assert known.to_dict() == seen.to_dict()
        for row in fast.itertuples():
            mine = (every["namespace"] + "/" + every["pod"]) == row.example
            [answer] = every[mine & (every["destination"] == row.destination) & (every["ip_family"] == row.ip_family)][
                "verdict"
            ].tolist()
            assert answer == row.verdict


POOLS = (
    CalicoPool(cidr="10.244.0.0/16", nat_outgoing=True),
    CalicoPool(cidr="fd00:10:244::/56", nat_outgoing=False),
)
PROXY = KubeProxy(cluster_cidrs=("10.244.0.0/16",))
WHAT_IFS = {
    # the agent knows no IPv6 CIDR, so that it hides pods from each other too
    "ip-masq-agent masquerades IPv6": (
        [PROXY, AGENT],
        [PROXY, MasqueradeAgent(enable_ipv6=True)],
        {
            ("2001:4860::8888", "repaired", 4, False),
            ("shop/web", "source", 4, True),
            ("fd99::1", "source", 4, False),
        },
    ),
    # pools never masquerade towards pools
    "natOutgoing on the IPv6 pool of Calico": (
        [Calico(pools=POOLS)],
        [Calico(pools=(POOLS[0], CalicoPool(cidr="fd00:10:244::/56", nat_outgoing=True)))],
        {("2001:4860::8888", "repaired", 4, False), ("fd99::1", "source", 4, False)},
    ),
    # what the CIDR holds is left alone from then on: the partner sees pods, which nobody routes to it
    "a native-routing CIDR for IPv6": (
        [Cilium(tunnel=False, native_routing_cidrs=("10.244.0.0/16", "fd00:10:244::/56"))],
        [Cilium(tunnel=False, native_routing_cidrs=("10.244.0.0/16", "fd00::/8"))],
        {("fd99::1", "source", 4, False)},
    ),
}


class TestChanges:
    @pytest.mark.parametrize("name", WHAT_IFS)
    def test_masquerading_that_changes(self, name):
        before, after, expected = WHAT_IFS[name]
        cluster = cluster_of(NODES, PODS, ipv6=GLOBAL["ipv6"])
        known = network(masquerades=before, border={"IPv4": [V4], "IPv6": ()}, routed=["fd00:10:244::/56"])
        frame = reports.egress_changes(
            cluster,
            ["2001:4860::8888", "shop/web", "fd99::1"],
            network=known,
            after=lambda now: now.replacing(masquerades=after),
        )
        assert set(frame["ip_family"]) == {"IPv6"}, "IPv4 stays as it is"
        told = ["destination", "change", "regression"]
        found = {(*key[:2], int(pods), key[2]) for key, pods in frame.groupby(told)["pods"].sum().items()}
        assert found == expected

    @pytest.mark.parametrize(
        ("fields", "change", "regression"),
        [
            ({"nodes": ("gw-1",)}, "lost", True),
            ({"nodes": ("gw-1", "gw-2")}, "moved", False),
            ({"nodes": ("gw-1",), "on_missing": "fall through"}, "leaked", True),
        ],
    )
    def test_a_gateway_that_is_lost(self, cluster, fields, change, regression):
        known = network(gateways=[gateway(**fields)])
        frame = reports.egress_changes(cluster, "2600:9::10", network=known, after=lambda now: now.failing("Node/gw-1"))
        assert rows(frame, "ip_family", "pods", "namespaces", "change", "regression") == [
            ["IPv6", 3, "shop", change, regression]
        ]

    def test_another_network_may_be_given_as_it_is(self, cluster):
        frame = reports.egress_changes(cluster, network=network(), after=network(border=()))
        assert rows(frame, "ip_family", "pods", "change") == [["IPv4", 4, "lost"]]


class TestFailures:
    def test_what_dies_with_what(self, cluster):
        six = gateway("six", nodes=("gw-1",), families=("IPv6",))
        four = gateway("four", nodes=("gw-1", "gw-2"), families=("IPv4",))
        paths = resolve(cluster, ["internet"], network=network(gateways=[six, four]), pods=[0, 1, 2])
        frame = reports.egress_failures(paths)
        assert tuple(frame) == outages.COLUMNS
        names = ["element", "kind", "ip_family", "pods", "lost", "down_with_it", "leaked", "moved", "is_single"]
        assert rows(frame, *names) == [
            ["NAT/v4", "NAT", "IPv4", 3, 3, 0, 0, 0, True],
            ["Node/gw-1", "node", "IPv6", 3, 3, 0, 0, 0, True],
            ["Zone/zone-a", "zone", "IPv4", 3, 3, 3, 0, 0, True],
            ["Zone/zone-a", "zone", "IPv6", 3, 3, 3, 0, 0, True],
            ["Node/gw-1", "node", "IPv4", 3, 0, 0, 0, 3, False],
        ]
        assert "EgressGateway/six" in frame["why"][1]

    def test_what_falls_through_leaks(self, cluster):
        known = network(gateways=[gateway(nodes=("gw-1",), on_missing="fall through")])
        frame = reports.egress_failures(
            cluster, "2600:9::10", network=known, failures=["Node/gw-1", "Node/a", "Node/a"]
        )
        assert rows(frame, "element", "pods", "lost", "down_with_it", "leaked") == [
            ["Node/a", 4, 2, 2, 0],
            ["Node/gw-1", 4, 0, 0, 3],
        ]

    def test_the_node_that_holds_a_destination_alone_is_there(self, cluster):
        known = network(routed=["10.244.0.0/16", "2600:ff::/56"])
        paths = resolve(cluster, "shop/web", network=known)
        assert outages.elements_of(paths) == ("Node/b", "Zone/zone-a")
        frame = reports.egress_failures(paths)
        assert rows(frame[frame["element"] == "Node/b"], "ip_family", "lost", "down_with_it", "is_single") == [
            ["IPv4", 4, 1, True],
            ["IPv6", 4, 1, True],
        ]

    def test_what_nothing_depends_on_has_no_rows(self, cluster):
        frame = reports.egress_failures(cluster, network=network(), failures=["Node/gw-2", "2001:db8::77"])
        assert tuple(frame) == outages.COLUMNS
        assert len(frame) == 0

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("Node/gw2", "nothing is called 'Node/gw2'; did you mean Node/gw-2"),
            ("NAT/none", "nothing is called 'NAT/none'"),
            ("Zone/a", "nothing is called 'Zone/a'"),
            ("Pod/shop/none", "nothing is called 'Pod/shop/none'"),
            ("", "nothing is called ''"),
        ],
    )
    def test_what_is_not_there_cannot_fail(self, cluster, name, words):
        for ask in (reports.egress_failures, reports.allow_list):
            with pytest.raises(InvalidInput, match=words):
                ask(cluster, network=network(), failures=[name])
        with pytest.raises(InvalidInput, match=words):
            blast_radius(resolve(cluster, "internet", network=network()), name)

    def test_what_is_there_may_be_called_in_every_way(self, cluster):
        known = network(gateways=[gateway(nodes=("gw-1",))])
        names = ["gw-1", "Node/gw-1", "EgressGateway/g", "NAT/v4", "Pod/shop/cart", "10.0.0.4", "Zone/zone-a"]
        assert len(reports.egress_failures(cluster, PARTNER, network=known, failures=names))


class TestAllowList:
    def test_failover_and_fallthrough_are_there(self, cluster):
        shop = gateway(nodes=("gw-1", "gw-2"))
        known = network(gateways=[shop], routed=["10.244.0.0/16", "2600:ff::/56"])
        frame = reports.allow_list(cluster, PARTNER, network=known)
        assert tuple(frame) == sources.COLUMNS
        assert rows(frame, "ip_family", "cidr", "owner", "pods", "when") == [
            ["IPv4", "10.0.0.4/32", "gateway", 3, "now"],
            ["IPv4", "10.0.0.5/32", "gateway", 0, "Node/gw-1"],
            ["IPv4", "10.244.0.0/16", "pod", 1, "now"],
            ["IPv6", "2600:ff::/56", "pod", 1, "now"],
            ["IPv6", "2600:1f00:0:1::4/128", "gateway", 3, "now"],
            ["IPv6", "2600:1f00:0:1::5/128", "gateway", 0, "Node/gw-1"],
        ]
        assert frame["why"][1] == "a gateway translates to it while Node/gw-1 is down"

    @pytest.mark.parametrize(
        ("on_missing", "leaks"),
        [("drop", []), ("fall through", [["2600:ff::/56", "pod", "Node/a and Node/gw-1 and Node/gw-2"]])],
    )
    def test_every_standby_is_there_whatever_has_to_be_down_for_it(self, cluster, on_missing, leaks):
        shop = gateway(nodes=("gw-1", "gw-2", "a"), on_missing=on_missing)
        pods = [row for row, space in enumerate(cluster.pods["namespace"].tolist()) if space == "shop"]
        known = network(gateways=[shop], routed=["2600:ff::/56"])
        paths = resolve(cluster, "2600:9::10", network=known, pods=pods)
        frame = reports.allow_list(paths)
        found = rows(frame, "cidr", "owner", "when")
        assert sorted(found) == sorted(
            [
                ["2600:1f00:0:1::4/128", "gateway", "now"],
                ["2600:1f00:0:1::5/128", "gateway", "Node/gw-1"],
                ["2600:1f00:0:1::1/128", "gateway", "Node/gw-1 and Node/gw-2"],
                *leaks,
            ]
        )
        why = dict(zip(frame["when"], frame["why"], strict=True))
        assert why["Node/gw-1 and Node/gw-2"].endswith("while Node/gw-1 and Node/gw-2 are down")

    def test_many_that_are_down_at_once_are_counted(self):
        nodes = [f"n{place}" for place in range(12)]
        cluster = cluster_of(nodes, (("shop", "cart", "n0"),), **GLOBAL)
        shop = gateway(nodes=nodes[2:10], spread="all", on_missing="fall through")
        frame = reports.allow_list(cluster, "2600:9::10", network=network(gateways=[shop]))
        assert frame["when"].tolist().count("now") == 8
        assert "Node/n2 and 7 others" in set(frame["when"])

    def test_neighbours_are_joined_only_where_they_fill_a_block(self):
        cluster = cluster_of(NODES, PODS, **{**GLOBAL, "ipv4": "44.0.0.{}"})
        known = network(border=())
        plain = reports.allow_list(cluster, "44.1.1.1", network=known)
        assert plain["cidr"].tolist() == [f"44.0.0.{host}/32" for host in range(1, 6)]
        joined = reports.allow_list(cluster, "44.1.1.1", network=known, merged=True)
        assert rows(joined, "cidr", "owner", "pods") == [
            ["44.0.0.1/32", "node", 2],
            ["44.0.0.2/31", "node", 2],
            ["44.0.0.4/31", "node", 0],
        ]
        assert joined["why"][2].endswith("none runs there now, and pods move")

    def test_pods_of_every_path_to_an_address_are_counted(self, cluster):
        known = network(gateways=[gateway(nodes=("gw-1",))])  # three pods by the gateway, one beside it, one NAT
        frame = reports.allow_list(cluster, "8.8.8.8", network=known)
        assert rows(frame, "cidr", "owner", "pods", "when") == [["198.51.100.9/32", "NAT", 4, "now"]]

    def test_behind_nat64_the_firewall_sees_ipv4(self, cluster):
        known = network(nat64=[NAT64(addresses=("203.0.113.64",), ports=55_000)])
        frame = reports.allow_list(cluster, "64:ff9b::808:808", network=known)
        assert rows(frame, "ip_family", "cidr", "owner") == [["IPv4", "203.0.113.64/32", "NAT"]]

    def test_what_never_arrives_needs_nothing(self, cluster):
        frame = reports.allow_list(cluster, "10.9.0.10", network=network())
        assert tuple(frame) == sources.COLUMNS
        assert len(frame) == 0


class TestConntrack:
    def test_both_families_share_a_nodes_table(self, cluster):
        known = network(routed=["2600:ff::/56", "10.244.0.0/16"])
        held = {"8.8.8.8": 40_000, "2600:9::1": 30_000}  # node a has two pods
        frame = reports.conntrack(cluster, held, entries=131_072, network=known)
        assert tuple(frame) == entries.COLUMNS
        assert rows(frame, "node", "used_ipv4", "used_ipv6", "alarm") == [
            ["a", 80_000, 60_000, True],
            ["b", 40_000, 30_000, False],
            ["c", 40_000, 30_000, False],
        ]
        assert frame["refused_ratio"][0] == pytest.approx(1 - 131_072 / 140_000)
        assert "both families" in frame["why"][0]

    def test_a_gateway_has_an_entry_too(self, cluster):
        known = network(gateways=[gateway(nodes=("gw-1",))])
        frame = reports.conntrack(cluster, {"2600:9::1": 100}, network=known)
        assert rows(frame, "node", "used_ipv6") == [["gw-1", 300], ["a", 200], ["b", 100], ["c", 100]]
        assert frame[["usable", "used_ratio"]].isna().all(axis=None), "nobody said how many there are"
        on_a = network(gateways=[gateway(nodes=("a",))])
        frame = reports.conntrack(cluster, {"2600:9::1": 100}, network=on_a)
        assert rows(frame, "node", "used_ipv6") == [["a", 400], ["b", 100], ["c", 100]], "the pod on it has one entry"

    def test_flows_that_spread_are_shared_out(self, cluster):
        known = network(gateways=[gateway(nodes=("gw-1", "gw-2"), spread="all")])
        frame = reports.conntrack(cluster, {"2600:9::1": 101}, network=known)
        assert rows(frame, "node", "used_ipv6")[:3] == [["a", 202], ["gw-1", 152], ["gw-2", 152]]

    def test_rated_connections_linger(self, cluster):
        rated = pd.DataFrame({"destination": ["8.8.8.8"], "per_second": [10], "life_seconds": [5]})
        frame = reports.conntrack(cluster, rated, entries={"a": 2_000}, network=network())
        assert rows(frame, "node", "used_ipv4") == [["a", 2_500], ["b", 1_250], ["c", 1_250]]
        assert frame["usable"].isna().tolist() == [False, True, True]

    def test_what_does_not_work_holds_nothing(self, cluster):
        frame = reports.conntrack(cluster, {"2600:9::1": 100}, network=network(routed=()))
        assert tuple(frame) == entries.COLUMNS
        assert len(frame) == 0

    @pytest.mark.parametrize(("size", "words"), [(0, "1 entry or more"), (-1, "1 entry"), ({"z": 5}, "no node 'z'")])
    def test_sizes_that_are_none(self, cluster, size, words):
        with pytest.raises(InvalidInput, match=words):
            reports.conntrack(cluster, {"8.8.8.8": 1}, entries=size, network=network())


class TestSnat:
    def test_connections_count_at_every_translator_of_their_path(self, cluster):
        known = network(gateways=[gateway(nodes=("gw-1",))])
        frame = reports.snat(cluster, {"8.8.8.8": 900}, network=known)
        assert tuple(frame) == ports.COLUMNS
        # three pods of shop through the gateway, db on its own node, all four at the border
        assert rows(frame, "pool", "owner", "ip_family", "used", "usable", "starts_failing_at") == [
            ["NAT/v4", "NAT", "IPv4", 3_600, 55_000, 55_000],
            ["10.0.0.4", "gateway", "IPv4", 2_700, 64_512, 62_740],
            ["sockets of the busiest pod", "pod", "IPv4", 900, 28_232, 28_232],
            ["10.0.0.1", "node", "IPv4", 900, 64_512, 62_740],
        ]
        assert frame["why"].str.startswith(("3,600 of 55,000 TCP", "2,700 of", "900 of")).all()
        assert not frame["alarm"].any()

    def test_cilium_has_half_the_ports_and_a_total_where_it_translates_itself(self):
        cluster = cluster_of(NODES, PODS, **{**GLOBAL, "ipv4": "44.0.0.{}"})
        kernel = reports.snat(cluster, {"8.8.8.8": 14_000}, network=network(masquerades=[Cilium()], border=()))
        assert set(kernel.loc[kernel["owner"] == "node", "usable"]) == {64_512}  # iptables, unless told otherwise
        own = network(masquerades=[Cilium(bpf=True)], border=())
        frame = reports.snat(cluster, {"8.8.8.8": 14_000}, network=own)
        top = frame.iloc[0]
        # both pods of node a: 28,000 of 32,768, as the facts have it: 0.65 % fail
        assert (top["pool"], top["used"], top["usable"], bool(top["alarm"])) == ("44.0.0.1", 28_000, 32_768, True)
        assert round(top["failure_ratio"], 4) == 0.0065
        totals = frame[frame["destination"] == ""]
        assert set(totals["usable"]) == {262_144}

    def test_families_never_share_a_pool_and_rates_linger(self, cluster):
        known = network(gateways=[gateway(nodes=("gw-1",))])
        asked = pd.DataFrame(
            {
                "destination": [PARTNER],
                "port": [5432],
                "per_second": [5.0],
                "life_seconds": [1.0],
                "namespace": ["shop"],
            }
        )
        frame = reports.snat(cluster, asked, network=known)
        # clients with global addresses try IPv6 first; 3 pods x 5 a second x (1 + 120 s of conntrack), sockets 60 s
        assert rows(frame, "pool", "ip_family", "port", "used") == [
            ["2600:1f00:0:1::4", "IPv6", 5432, 1_815],
            ["sockets of the busiest pod", "IPv6", 5432, 305],
        ]

    def test_where_the_first_family_is_dead_the_other_carries(self, cluster):
        four = gateway(nodes=("gw-1",), families=("IPv4",))
        frame = reports.snat(cluster, pd.DataFrame({"destination": [PARTNER], "connections": [10]}),
                             network=network(gateways=[four], routed=()))  # fmt: skip
        assert set(frame["ip_family"]) == {"IPv4"}  # data/db has neither
        assert frame.loc[frame["pool"] == "10.0.0.4", "used"].tolist() == [30]

    def test_budgets_of_the_caller_come_first(self, cluster):
        known = network(border=[BorderNAT(name="nat", family="IPv4", addresses=("198.51.100.9",))])
        unknown = reports.snat(cluster, {"8.8.8.8": 20_000}, network=known)
        nobody = unknown[unknown["pool"] == "NAT/nat"].iloc[0]
        assert nobody[["usable", "starts_failing_at"]].isna().all()
        assert np.isnan(nobody["used_ratio"])
        assert nobody["why"].startswith("unknown because nobody said how many ports NAT/nat has")
        assert unknown["pool"].tolist()[-1] == "NAT/nat"
        given = {"NAT/nat": aws_nat_gateway(addresses=2), "node": linux(to_ports=[(1024, 2023)])}
        frame = reports.snat(cluster, {"8.8.8.8": 20_000}, network=known, budgets=given)
        found = {row.pool: (row.used, row.usable, row.alarm) for row in frame.itertuples()}
        assert found["NAT/nat"] == (80_000, 110_000, False)
        assert found["10.0.0.1"] == (40_000, 1_000, True)

    def test_ports_of_a_vm_are_shared_by_its_pods(self, cluster):
        known = network(border=[BorderNAT(name="nat", family="IPv4", addresses=("198.51.100.9",))])
        budget = gcp_cloud_nat(has_alias_range=True)
        frame = reports.snat(cluster, {"8.8.8.8": 300}, network=known, budgets={"NAT/nat": budget})
        top = frame.iloc[0]
        assert (top["pool"], top["used"], top["usable"]) == ("NAT/nat", 600, 1_024)  # two pods on node a

    @pytest.mark.parametrize(
        ("asked", "refused", "why"),
        [
            ([("8.8.8.8", 600)], 0.25, "2,400 a second, and two addresses take 1,800 to one destination"),
            ([("8.8.8.8", 450)], 0.0, "1,800 fit"),
            ([("8.8.8.8", 300), ("8.8.8.8", 300)], 0.25, "two rows of one destination are one rate"),
            ([("8.8.8.8", 450), ("8.8.4.4", 450)], 0.0, "each destination has its own"),
        ],
    )
    def test_what_a_translator_takes_a_second(self, cluster, asked, refused, why):
        known = network(border=[BorderNAT(name="nat", family="IPv4", addresses=("198.51.100.9", "198.51.100.10"))])
        given = pd.DataFrame(asked, columns=["destination", "per_second"]).assign(life_seconds=0.001)
        frame = reports.snat(cluster, given, network=known, budgets={"NAT/nat": aws_nat_gateway(addresses=2)})
        found = frame[(frame["pool"] == "NAT/nat") & (frame["destination"] == "8.8.8.8")].iloc[0]
        assert found["failure_ratio"] == pytest.approx(refused), why
        assert found["alarm"] == (refused > 0)
        assert ("new connections a second" in found["why"]) == (refused > 0)

    def test_percents_have_no_exponents(self, cluster):
        frame = reports.snat(cluster, {"8.8.8.8": 1e9}, network=network())
        assert frame["alarm"].all()
        assert not frame["why"].str.contains("e+", regex=False).any()

    def test_nat64_takes_ports_of_ipv4(self, cluster):
        known = network(nat64=[NAT64(addresses=("203.0.113.64",), ports=55_000)])
        frame = reports.snat(cluster, {"64:ff9b::808:808": 100}, network=known)
        assert rows(frame[frame["owner"] == "NAT64"], "pool", "ip_family", "used") == [
            ["NAT64/64:ff9b::/96", "IPv4", 400]
        ]

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            (pd.DataFrame({"destination": ["8.8.8.8"]}), "one of connections and per_second"),
            (pd.DataFrame({"destination": ["8.8.8.8"], "connections": [1], "proto": ["TCP"]}), "no column proto"),
            (pd.DataFrame({"destination": ["8.8.8.8"], "connections": [-1]}), "use 0 or more"),
            (pd.DataFrame({"destination": ["8.8.8.8"], "connections": [1], "protocol": ["tcp"]}), "protocol 'tcp'"),
            ({"nowhere": 1}, "is no address"),
            ({"8.8.8.8": "many"}, "'many', which is no number"),
            ({"8.8.8.8": float("nan")}, "connections nan; use 0 or more"),
            ({"8.8.8.8": float("inf")}, "connections inf; use 0 or more"),
            ({"8.8.8.8": None}, "row 0 has connections"),
            (pd.DataFrame({"destination": ["8.8.8.8"], "connections": [1], "port": [70_000]}), "port 70000"),
            (pd.DataFrame({"destination": ["8.8.8.8"], "connections": [1], "port": [0]}), "port 0"),
            (pd.DataFrame({"destination": ["8.8.8.8"], "connections": [1], "port": [443.5]}), "port 443.5"),
            (pd.DataFrame({"destination": ["8.8.8.8"], "connections": [1], "namespace": ["shp"]}), "namespace 'shp'"),
            (pd.DataFrame({"destination": ["8.8.8.8"], "per_second": [1], "life_seconds": [-1]}), "life_seconds -1"),
        ],
    )
    def test_what_is_wrong_is_named(self, cluster, given, words):
        with pytest.raises(InvalidInput, match=words):
            reports.snat(cluster, given, network=network())

    def test_nothing_asked_has_no_rows(self, cluster):
        assert tuple(reports.snat(cluster, {}, network=network())) == ports.COLUMNS
        assert len(reports.snat(cluster, {"10.9.0.10": 5}, network=network())) == 0


class TestTopology:
    @pytest.mark.parametrize("detail", ["nodes", "workloads", "pods"])
    def test_steps_lead_from_pods_to_the_world_in_columns(self, cluster, detail):
        known = network(gateways=[gateway(nodes=("gw-1",), families=("IPv4",))])
        frame = reports.egress_topology(cluster, ["internet", PARTNER], network=known, detail=detail)
        assert tuple(frame) == drawing.COLUMNS
        assert (frame["source_x"] < frame["target_x"]).all()
        assert all(len(bends) == last - first - 1 for bends, first, last in
                   zip(frame["bends"], frame["source_x"], frame["target_x"], strict=True))  # fmt: skip
        assert set(frame.loc[frame["target_kind"] == "drop", "state"]) == {"blocked"}

    def test_no_two_marks_or_bends_of_a_column_share_a_row(self, cluster):
        known = network(gateways=[gateway(nodes=("gw-1",), families=("IPv4",))])
        frame = reports.egress_topology(cluster, ["internet", PARTNER, "shop/web"], network=known)
        marks = {}
        for row in frame.itertuples():
            marks[row.source_x, row.source_y] = {*marks.get((row.source_x, row.source_y), ()), row.source}
            marks[row.target_x, row.target_y] = {*marks.get((row.target_x, row.target_y), ()), row.target}
        assert all(len(labels) == 1 for labels in marks.values())
        bends = {bend for bends in frame["bends"] for bend in bends}
        for (x, y), (other, z) in itertools.combinations([*marks, *bends], 2):
            assert x != other or abs(y - z) >= 0.99

    def test_more_than_a_picture_holds_is_counted(self):
        pods = [(f"team-{row:02d}", "app", "a") for row in range(60)]
        frame = reports.egress_topology(cluster_of(NODES, pods, **GLOBAL), network=network())
        assert len({*frame["source"], *frame["target"]}) <= drawing.MOST_MARKS
        [more] = {name for name in frame["source"] if name.endswith("more")}
        left = int(more.split()[1])
        shown = len(set(frame.loc[frame["source_kind"] == "workload", "source"])) - 1
        assert left + shown == 60
        assert frame.loc[frame["source_kind"] == "workload"].groupby("ip_family")["pods"].sum().to_dict() == {
            "IPv4": 60,
            "IPv6": 60,
        }
        with pytest.raises(InvalidInput, match="most=3"):
            reports.egress_topology(cluster_of(), most=3)

    def test_the_same_paths_give_the_same_frame(self, cluster):
        one, two = (reports.egress_topology(cluster, ["internet", PARTNER], network=network()) for _ in range(2))
        pd.testing.assert_frame_equal(one, two)
