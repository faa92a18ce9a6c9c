"""Ports of translators among the limits."""

import pandas as pd
import pytest
from egress_clusters import cluster_of

import dsmodel as ds
from dsmodel.cluster.examples import kubeadm_dual_stack
from dsmodel.errors import InvalidInput
from dsmodel.graph.masquerade import MasqueradeAgent
from dsmodel.graph.network import BorderNAT, Network


@pytest.fixture(scope="module")
def cluster():
    return kubeadm_dual_stack()


@pytest.fixture(scope="module")
def network():
    nat = BorderNAT(name="a", family="IPv4", addresses=("198.51.100.9",), ports=55_000)
    return Network(masquerades=()).replacing(border=[nat], routed=["10.244.0.0/16"], default_route=True)


def rows(frame):
    return frame[frame["pool"] == "SNAT ports"].reset_index(drop=True)


def test_a_translator_is_a_limit_to_its_fullest_destination(cluster, network) -> None:
    load = {"8.8.8.8": 400, "1.1.1.1": 20}
    frame = ds.reports.limits(cluster, snat=ds.reports.snat(cluster, load, network=network))
    (row,) = rows(frame).to_dict("records")
    assert (row["range"], row["used"], row["usable"], row["free"]) == ("NAT/a to 8.8.8.8", 48_000, 55_000, 7_000)
    assert (row["pod_cost"], row["more_pods"], row["growth_ratio"]) == (400, 17, pytest.approx(55 / 48))
    assert row["binds"]
    assert frame["enforced"].tolist() == sorted(frame["enforced"], reverse=True), "published ones stand at the end"


def test_as_many_more_pods_fit_as_the_row_says(cluster, network) -> None:
    row = rows(ds.reports.limits(cluster, snat=ds.reports.snat(cluster, {"8.8.8.8": 400}, network=network))).iloc[0]
    for more, is_full in ((int(row["more_pods"]), False), (int(row["more_pods"]) + 1, True)):
        grown = cluster.copy()
        assert grown.add_pods([number % 6 for number in range(more)]).ok.all()
        used = ds.reports.snat(grown, {"8.8.8.8": 400}, network=network)["used"][0]
        assert bool(used > 55_000) is is_full


def test_nodes_that_masquerade_do_not_bind_growth_together(network) -> None:
    cluster = cluster_of(("a", "b"), [("shop", f"web-{number}", "ab"[number % 2]) for number in range(6)])
    behind = network.replacing(masquerades=[MasqueradeAgent()], routed=["fd00:10:244::/56"], nat64=())
    masquerading = ds.reports.snat(cluster, {"8.8.8.8": 40}, network=behind)
    found = rows(ds.reports.limits(cluster, snat=masquerading))
    assert found["range"].tolist() == ["NAT/a to 8.8.8.8", "10.0.0.1 to 8.8.8.8", "10.0.0.2 to 8.8.8.8"]
    nodes = found.iloc[1:]
    assert nodes["used"].tolist() == [120, 120]
    assert not nodes["binds"].any()
    assert nodes["more_pods"].isna().all()


def test_without_connections_there_is_no_row(cluster, network) -> None:
    silent = ds.reports.snat(cluster, {"8.8.8.8": 0}, network=network)
    assert ds.reports.limits(cluster, snat=silent).equals(ds.reports.limits(cluster))


def test_another_frame_is_named(cluster) -> None:
    with pytest.raises(InvalidInput, match=r"snat: has no column pool, .*give what reports\.snat returns"):
        ds.reports.limits(cluster, snat=pd.DataFrame({"a": [1]}))
