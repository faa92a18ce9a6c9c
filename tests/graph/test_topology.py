"""The graph for networkx: its contract at every detail, the same pods as the paths, cuts against brute force."""

import gc
import subprocess
import sys
from collections import Counter

import networkx as nx
import numpy as np
import pytest
from egress_clusters import cluster_of, with_endpoints
from hypothesis import given, settings
from hypothesis import strategies as st

import dsmodel as ds
from dsmodel.addresses.text import format_addresses
from dsmodel.errors import InconsistentState, InvalidInput
from dsmodel.graph.gateways import EgressGateway, Selection
from dsmodel.graph.masquerade import KubeProxy, MasqueradeAgent
from dsmodel.graph.network import NAT64, BorderNAT, Network, TransparentProxy
from dsmodel.graph.paths import resolve
from dsmodel.graph.paths.members import State
from dsmodel.graph.topology import (
    _dominators,
    _working,
    maximum_connections,
    single_points_of_failure,
    to_networkx,
    validate,
)

NODES = ("a", "b", "c")
PODS = (("shop", "cart", "a"), ("shop", "cart-2", "b"), ("data", "db", "c"), ("data", "agent", "c", "host"))
LABELS = [{"app": "cart"}, {"app": "cart"}, {"app": "db"}, {}]
V4 = BorderNAT(name="v4", family="IPv4", addresses=("198.51.100.9", "198.51.100.10"), ports=1000)


def network(**changes):
    known = {"border": [V4], "routed": ["fd00:10:244::/56"], "default_route": True, "nat64": ()}
    return Network().replacing(**{"masquerades": [MasqueradeAgent()], **known, **changes})


def paths_of(destinations="internet", **changes):
    return resolve(cluster_of(NODES, PODS, labels=LABELS), destinations, network=network(**changes))


def steps(graph, family):
    return sorted(
        (data["rank"], data["role"], source[0], source[1], target[0], target[1], data["pods"])
        for source, target, data in graph.edges(data=True)
        if data["family"] == family
    )


def test_the_steps_of_one_small_cluster():
    graph = to_networkx(paths_of(), detail="workloads")
    assert [step[1:] for step in steps(graph, "IPv4")] == [
        ("attach", "workload", "data", "pool", "", 1),
        ("attach", "workload", "data", "pool", "", 1),
        ("attach", "workload", "shop", "pool", "", 2),
        ("masq", "pool", "", "masq", "", 4),
        ("snat", "masq", "", "snat_ip", "nodes", 4),
        ("border", "snat_ip", "nodes", "nat", "v4", 4),
        ("exit", "nat", "v4", "dst", "internet", 4),
        ("belongs", "dst", "internet", "world", 4, 4),
    ]
    denied = [(data["pods"], target) for _, target, data in graph.edges(data=True) if data["role"] == "deny"]
    assert denied == [(4, ("drop", "blackhole_return", 6))]
    assert graph.edges[("snat_ip", "nodes", 4), ("nat", "v4"), ("IPv4", "border")]["capacity"] == 2000


@st.composite
def networks(draw):
    gateways = [
        EgressGateway(
            name=f"g{number}",
            selects=draw(st.sampled_from([Selection(), Selection.of("shop")])),
            nodes=draw(st.sampled_from([("a",), ("b", "c"), ()])),
            families=draw(st.sampled_from([("IPv4",), ("IPv6",), ("IPv4", "IPv6")])),
            spread=draw(st.sampled_from(["first", "all"])),
            on_missing=draw(st.sampled_from(["drop", "fall through"])),
        )
        for number in range(draw(st.integers(0, 2)))
    ]
    return network(
        gateways=gateways,
        masquerades=draw(st.sampled_from([None, [], [MasqueradeAgent(enable_ipv6=True)]])),
        border=draw(st.sampled_from([[V4], [], {}])),
        nat64=draw(st.sampled_from([(), NAT64(addresses=("198.51.100.64",), ports=500)])),
        proxies=draw(st.sampled_from([(), (TransparentProxy(name="mesh", families=("IPv4",)),)])),
        failed=draw(st.sampled_from([(), ("b",), ("NAT/v4",)])),
    )


TARGETS = ["10.9.0.1", "fd99::1", "shop/cart-2", {"db": ["192.0.2.1"]}, "0.0.0.0/0"]


def counted(paths, detail):
    """Count, pod by pod, how many take a step out of what stands for their node, and how many come to it."""
    names, leave, come = [*paths.cluster.nodes["name"].tolist(), ""], Counter(), Counter()
    pools = [*paths.cluster.nodes["node_pool"].tolist(), ""]
    for number, row in enumerate(paths.pods.tolist()):
        node = int(paths.cluster.pods["node"][row])
        seat = ("pool", pools[node]) if detail == "workloads" else ("node", names[node])
        for family, half in paths.halves.items():
            if State(int(half.members.state[0])) is not State.MEMBERS:
                continue
            made = paths.decision(number, 0, family)
            leave[seat, str(family)] += len(made.parts or (made,))
            if half.groups.has_source[number] and detail != "nodes":
                come[seat, str(family)] += 1
    return leave, come


@settings(max_examples=60, deadline=None)
@given(
    networks(), st.sampled_from(["nodes", "workloads", "pods"]), st.sampled_from([*TARGETS[:4], "default/kubernetes"])
)
def test_every_step_counts_its_pods_as_one_at_a_time(net, detail, target):
    cluster = cluster_of(NODES, PODS, labels=LABELS)
    pods = cluster.pods["pod_ipv4"][:3]
    texts = format_addresses(pods).to_pylist()
    with_endpoints(cluster, "default/kubernetes", [(text, "") for text in texts])
    if net.masquerades is not None:
        net = net.replacing(masquerades=[KubeProxy(cluster_cidrs=("10.244.0.0/16",)), *net.masquerades])
    paths = resolve(cluster, target, network=net)
    graph = to_networkx(paths, detail=detail)
    leave, come = Counter(), Counter()
    for source, at, data in graph.edges(data=True):
        if source[0] in {"node", "pool"}:
            leave[source, data["family"]] += data["pods"]
        if at[0] in {"node", "pool"}:
            come[at, data["family"]] += data["pods"]
    expected = counted(paths, detail)
    assert leave == expected[0]
    assert come == expected[1]


@settings(max_examples=40, deadline=None)
@given(networks(), st.sampled_from(["nodes", "workloads", "pods"]))
def test_every_graph_keeps_the_contract_and_counts_the_pods(net, detail):
    paths = resolve(cluster_of(NODES, PODS, labels=LABELS), TARGETS[:4], network=net)
    graph = to_networkx(paths, detail=detail)
    validate(graph)
    counts = paths.counts()
    for family in ("IPv4", "IPv6"):
        for one in paths.destinations:
            mine = counts[(counts["ip_family"] == family) & (counts["destination"] == one.name) & counts["works"]]
            key = ("dst", one.name, 0, int(family[-1]))
            arrive = [
                data["pods"]
                for _, _, data in graph.in_edges(key, data=True)
                if key in graph and one.name in data["destinations"]
            ]
            assert bool(arrive) == bool(mine["pods"].sum())
    if detail == "pods":
        assert sum(data["kind"] == "pod" for _, data in graph.nodes(data=True)) == len(PODS)
    drops = [data for *_, data in graph.edges(data=True) if data["role"] == "deny"]
    assert all(data["state"] in {"blocked", "unknown"} for data in drops)


@settings(max_examples=40, deadline=None)
@given(networks())
def test_dominators_are_what_cuts_the_world_off(net):
    paths = resolve(cluster_of(NODES, PODS, labels=LABELS), TARGETS, network=net)
    graph = to_networkx(paths, detail="nodes")
    for family in paths.halves:
        for one in paths.destinations:
            flow = _working(graph, family, one.name)
            world = ("world", int(family[-1]))
            found = set(_dominators(flow, family))
            cuts = set()
            for key in list(flow):
                if key in {("start",), world} or world not in flow or ("start",) not in flow:
                    continue
                without = flow.copy()
                without.remove_node(key)
                if not nx.has_path(without, ("start",), world):
                    cuts.add(key)
            assert found == cuts


@settings(max_examples=25, deadline=None)
@given(networks())
def test_no_flow_passes_a_limit(net):
    paths = resolve(cluster_of(NODES, PODS, labels=LABELS), TARGETS, network=net)
    for family in paths.halves:
        for place in range(len(TARGETS)):
            found = maximum_connections(paths, family=family, destination=place, conntrack=7000, ephemeral_ports=900)
            codes = paths.halves[family].codes(np.arange(len(paths.pods)), place)
            works = [paths.halves[family].decisions[code].verdict.works for code in codes.tolist()]
            parts = [paths.halves[family].decisions[code].parts for code in codes.tolist()]
            assert found.connections <= len(codes) * 900
            assert bool(found.connections) == any(works) or any(parts)
            assert found.connections == sum(limit for _, limit in found.bottleneck)


def test_a_standby_is_no_single_point():
    gateway = EgressGateway(name="g", nodes=("a", "b"))
    frame = single_points_of_failure(paths_of("10.9.0.1", gateways=[gateway]))
    rows = frame[["ip_family", "element", "pods", "lost", "is_single"]].values.tolist()
    # the pod on node a goes down with it, the others move; the host's own traffic meets no gateway and keeps its node
    assert rows == []
    frame = single_points_of_failure(
        resolve(cluster_of(NODES, PODS[:3], labels=LABELS[:3]), "10.9.0.1", network=network(gateways=[gateway]))
    )
    rows = frame[["ip_family", "element", "pods", "lost", "is_single"]].values.tolist()
    assert rows == [["IPv4", "Node/a", 3, 1, False]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: to_networkx(cluster_of(), detail="edges"), "detail='edges'"),
        (lambda: to_networkx(cluster_of(), destinations="nowhere"), "'nowhere'"),
        (lambda: maximum_connections(paths_of(), family="IPv5"), "family='IPv5'"),
        (lambda: maximum_connections(paths_of(), family="IPv4", destination=3), "from 0 to 0"),
        (lambda: maximum_connections(paths_of(), family="IPv4", ephemeral_ports=0), "ephemeral_ports=0"),
        (lambda: maximum_connections(paths_of(), family="IPv4", conntrack=0), "a limit of 0"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()


def test_a_graph_that_somebody_changed_is_found_out():
    graph = to_networkx(paths_of())
    graph.add_edge(("world", 4), ("nowhere",))
    with pytest.raises(InconsistentState, match="breaches of the graph's contract"):
        validate(graph)


def test_the_collector_works_on_as_before():
    assert gc.isenabled()
    to_networkx(paths_of(), detail="pods")
    assert gc.isenabled()


def test_an_empty_cluster_has_an_empty_graph():
    empty = resolve(cluster_of(pods=()), network=network())
    for detail in ("nodes", "workloads", "pods"):
        assert len(to_networkx(empty, detail=detail)) == 0
    assert len(single_points_of_failure(empty)) == 0
    assert maximum_connections(empty, family="IPv4").connections == 0


def test_the_door_opens_networkx_only_when_asked():
    assert ds.to_networkx is to_networkx
    code = "import sys, dsmodel; dsmodel.trace; assert 'networkx' not in sys.modules; dsmodel.to_networkx"
    subprocess.run([sys.executable, "-c", code], check=True)
