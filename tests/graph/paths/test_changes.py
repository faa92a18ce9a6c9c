"""Two answers compared: what changed for whom, and what is for the worse."""

import numpy as np
import pytest
from egress_clusters import cluster_of

from dsmodel.errors import InvalidInput
from dsmodel.graph.flows import Exit, Verdict
from dsmodel.graph.gateways import EgressGateway, Selection
from dsmodel.graph.masquerade import MasqueradeAgent
from dsmodel.graph.network import Network
from dsmodel.graph.paths import Decision, difference, resolve
from dsmodel.graph.paths.changes import COLUMNS, is_regression, kind_of_change
from dsmodel.graph.paths.decisions import Cause, Seen


def made(verdict, **fields):
    return Decision(Verdict(verdict), Cause.DELIVERED, "", **fields)


@pytest.mark.parametrize(
    ("before", "after", "kind", "worse"),
    [
        (made("ok_snat"), made("ok_snat"), "", False),
        (made("via_gateway"), made("leak_fallthrough"), "leaked", True),
        (made("via_gateway"), made("dropped_no_gateway"), "lost", True),
        (made("leak_fallthrough"), made("via_gateway"), "verdict", False),
        (made("no_route"), made("ok_direct"), "repaired", False),
        (made("no_route"), made("blackhole_return"), "verdict", False),
        (made("ok_snat"), made("unknown"), "unknown", False),
        (made("unknown"), made("ok_snat"), "unknown", False),
        (made("ok_snat", seen=Seen.NODE), made("ok_snat", seen=Seen.NAT, sources=("192.0.2.1",)), "source", False),
        (
            made("via_gateway", exits=(Exit(0, "", "Node/a"),)),
            made("via_gateway", exits=(Exit(1, "", "Node/b"),)),
            "moved",
            False,
        ),
        (
            made("ok_direct", seen=Seen.POD, place="pod"),
            made("ok_snat", seen=Seen.NODE, place="pod"),
            "source",
            True,
        ),
        (
            made("ok_direct", seen=Seen.POD, place="internet"),
            made("ok_snat", seen=Seen.NODE, place="internet"),
            "source",
            False,
        ),
    ],
)
def test_kinds_of_change(before, after, kind, worse):
    assert (kind_of_change(before, after), is_regression(before, after)) == (kind, worse)


KNOWN = {"border": (), "default_route": True, "nat64": (), "routed": ["10.244.0.0/16"]}
BEFORE = Network().replacing(masquerades=[MasqueradeAgent()], **KNOWN)


def cluster():
    pods = [("shop", "cart", "a"), ("shop", "web", "b"), ("data", "db", "b")]
    return cluster_of(("a", "b"), pods)


def test_no_change_has_no_rows():
    paths = resolve(cluster(), ["10.9.0.1", "shop/web"], network=BEFORE)
    frame = difference(paths, resolve(cluster(), ["10.9.0.1", "shop/web"], network=BEFORE))
    assert len(frame) == 0
    assert tuple(frame.columns) == COLUMNS


def test_destinations_that_change_alike_are_one_row():
    targets = ["10.9.0.1", "10.9.0.2", "10.8.0.1", "10.0.0.2"]
    after = BEFORE.replacing(gateways=[EgressGateway(name="g", selects=Selection.of("shop"), nodes=("b",))])
    frame = difference(*(resolve(cluster(), targets, network=each) for each in (BEFORE, after)))
    rows = frame[["destination", "destinations", "pods", "namespaces", "change", "gateway_after"]].values.tolist()
    assert rows == [["10.9.0.1", 3, 2, "shop", "moved", "Node/b"]]


def test_every_pod_is_in_the_row_that_its_decisions_say():
    targets = ["10.9.0.1", "10.0.0.2", "shop/web", "fd99::1"]
    after = BEFORE.failing("Node/b")
    one, other = (resolve(cluster(), targets, network=each) for each in (BEFORE, after))
    frame = difference(one, other)
    expected = {}
    for family in ("IPv4", "IPv6"):
        for place, target in enumerate(targets):
            for pod in range(3):
                kind = kind_of_change(one.decision(pod, place, family), other.decision(pod, place, family))
                if kind:
                    expected[family, target, kind] = expected.get((family, target, kind), 0) + 1
    found = {}
    for row in frame.itertuples():
        key = (row.ip_family, row.destination, row.change)
        found[key] = found.get(key, 0) + row.pods * row.destinations
    assert found == expected


def test_answers_about_different_things_are_not_compared():
    paths = resolve(cluster(), "10.9.0.1", network=BEFORE)
    with pytest.raises(InvalidInput, match="different destinations"):
        difference(paths, resolve(cluster(), "10.9.0.2", network=BEFORE))
    with pytest.raises(InvalidInput, match="different pods"):
        difference(paths, resolve(cluster(), "10.9.0.1", network=BEFORE, pods=np.array([0])))
