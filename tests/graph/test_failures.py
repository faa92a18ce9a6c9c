"""What breaks: zones, translators, nodes and addresses, each by resolving without it."""

import pytest
from egress_clusters import cluster_of

from dsmodel.addresses.cidr import IPFamily
from dsmodel.graph.failures import OUTCOMES, blast_radius, failed, losses
from dsmodel.graph.flows import Verdict
from dsmodel.graph.gateways import EgressGateway, Selection
from dsmodel.graph.masquerade import MasqueradeAgent
from dsmodel.graph.network import BorderNAT, Network
from dsmodel.graph.paths import resolve

NATS = [
    BorderNAT(name="x", family="IPv4", addresses=("198.51.100.1",), zone="x", serves=("x",)),
    BorderNAT(name="y", family="IPv4", addresses=("198.51.100.2",), zone="y", serves=("y",)),
]
SPARE = BorderNAT(name="spare", family="IPv4", addresses=("198.51.100.3",))


def paths_of(destinations="internet", **changes):
    pods = [("shop", "cart", "a"), ("shop", "web", "b"), ("data", "db", "c")]
    cluster = cluster_of(("a", "b", "c"), pods, zones=["x", "x", "y"])
    known = {"masquerades": [MasqueradeAgent()], "border": NATS, "routed": (), "default_route": True, "nat64": ()}
    return resolve(cluster, destinations, network=Network().replacing(**known | changes))


CASES = [
    # what fails, network, (outcome, pods) of IPv4
    ("NAT/x", {}, {("no route", 2)}),
    ("NAT/x", {"border": [*NATS, SPARE]}, {("another source", 2)}),
    ("Zone/x", {}, {("down with its node", 2)}),
    ("Zone/y", {"border": [NATS[0], NATS[1]]}, {("down with its node", 1)}),
    ("Node/c", {}, {("down with its node", 1)}),
    ("c", {"gateways": [EgressGateway(name="g", selects=Selection.of("shop"), nodes=("c", "a"))]},
     {("moved", 2), ("down with its node", 1)}),
    ("198.51.100.1", {}, set()),
    ("10.0.0.77", {"gateways": [EgressGateway(
        name="g", selects=Selection.of("shop"), nodes=("c",), addresses=("10.0.0.77",))]},
     {("dropped", 2)}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "expected"), CASES)
def test_what_a_failure_does(name, changes, expected):
    frame = blast_radius(paths_of(**changes), name)
    mine = frame[frame["ip_family"] == "IPv4"]
    mine = mine[mine["change"] != "verdict"]
    assert set(zip(mine["outcome"], mine["pods"], strict=True)) == expected


def test_losses_count_what_worked():
    before = paths_of()
    found = losses(before, failed(before, "NAT/x"), place=0, family=IPFamily.IPV4)
    assert found == (3, 2, 0, "every border NAT that serves the node in IPv4 is down")
    assert losses(before, before, place=0, family=IPFamily.IPV6)[:3] == (0, 0, 0)


def test_every_verdict_that_fails_has_an_outcome():
    assert {each for each in Verdict if not each.works} <= set(OUTCOMES)
