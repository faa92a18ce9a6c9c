"""What pods meet at the addresses and ports of Services: cases by hand, and all of them against one flow at a time."""

import numpy as np
import pandas as pd
import pytest
from egress_clusters import cluster_of
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel.errors import InvalidInput
from dsmodel.graph.flows import VERDICTS
from dsmodel.graph.masquerade import Antrea, Cilium, KubeProxy, ReferencePlugin
from dsmodel.graph.network import Network
from dsmodel.graph.paths import Destination, resolve
from dsmodel.graph.paths.decisions import Cause, Seen
from dsmodel.graph.paths.destinations import read_destinations
from dsmodel.graph.traces import trace

CIDRS = ("10.244.0.0/16", "fd00:10:244::/56")
PROXY = KubeProxy(cluster_cidrs=CIDRS)
KNOWN = {"default_route": True, "routed": (), "border": (), "nat64": ()}
EXTERNAL, BALANCED = "198.51.100.7", "203.0.113.5"
CART, WEB, LATE = "10.244.0.2", "10.244.1.2", "10.244.2.2"  # pods on a, b, c
READY = {"ready": True}
GOES = {"ready": False, "serving": True, "terminating": True}
NODES = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}


def network(*masquerades, **changes):
    return Network().replacing(**{"masquerades": masquerades or (PROXY,), **KNOWN, **changes})


def cluster(endpoints, *, external="Cluster", internal="Cluster", ranges=(), protocol="TCP", ip_mode="VIP", **pods):
    """Three nodes, a pod on each and a second one on a; a LoadBalancer Service with everything it may have."""
    held = cluster_of(
        nodes=("a", "b", "c"),
        pods=(("shop", "cart", "a"), ("shop", "web", "b"), ("shop", "late", "c"), ("shop", "twin", "a")),
        **pods,
    )
    row = {"namespace": ["shop"], "name": ["db"], "type": ["LoadBalancer"], "node_ports": [1]}
    held.add_services(pd.DataFrame({**row, "external_traffic_policy": [external]}))
    number = port_of(held)
    port = {"name": "sql", "port": 5432, "protocol": protocol, "nodePort": number}
    spec = {"ports": [port], "externalIPs": [EXTERNAL], "internalTrafficPolicy": internal}
    item = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db", "namespace": "shop"}, "spec": spec}
    item["status"] = {"loadBalancer": {"ingress": [{"ip": BALANCED, "ipMode": ip_mode}]}}
    metadata = {"name": "db-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "db"}}
    made = [{"addresses": [text], "nodeName": node, "conditions": conditions} for text, node, conditions in endpoints]
    several = {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": metadata,
        "addressType": "IPv4",
    }
    held.objects = held.objects.adding([item, {**several, "endpoints": made}])
    if ranges:
        from dsmodel.addresses.text import parse_cidrs
        from dsmodel.cluster.schema import ALLOWED_SOURCES
        from dsmodel.cluster.table import Table

        bases, lengths, has = parse_cidrs(list(ranges), family="IPv4", on_invalid="mask")
        six = np.zeros(len(ranges), held.allowed_sources["source_ipv6"].dtype)
        columns = {"service": np.ones(len(ranges), np.int32), "field": np.ones(len(ranges), np.uint8)}
        columns |= {"source_ipv4": bases, "source_ipv4_mask": lengths, "has_source_ipv4": has}
        columns |= {"source_ipv6": six, "source_ipv6_mask": np.zeros(len(ranges), np.uint8)}
        held.allowed_sources = Table(ALLOWED_SOURCES, columns | {"has_source_ipv6": ~has})
    return held


def port_of(held):
    ports = held.node_ports  # the other is for health checks
    return int(ports["node_port"][ports["use"] == 1][0])


def asked(held, text):
    return text.format(port=port_of(held), a=NODES["a"], b=NODES["b"])


ONE, TWO = ((WEB, "b", READY),), ((CART, "a", READY), (WEB, "b", READY))
LOCAL, BRIDGE = {"external": "Local"}, ReferencePlugin(subnets=("10.244.0.0/16",))
BARE, NODE_CIDR = KubeProxy(), KubeProxy(detect_local_mode="NodeCIDR")
IPVS, KPR = KubeProxy(mode="ipvs", cluster_cidrs=CIDRS), Cilium(kube_proxy_replacement=True, masquerade=())
CASES = [
    # endpoints, Service, masquerades, pod, destination, verdict, source, why
    (ONE, {}, [], "cart", "shop/db", "ok_direct", CART, "a cluster IP is not masqueraded for pods"),
    (ONE, {}, [], "web", "shop/db", "ok_snat", "", "hairpin: from the node's device, whose address is not modelled"),
    (ONE, {}, [], "cart", "{a}:{port}", "ok_snat", NODES["a"], "own node's port: masqueraded there"),
    (ONE, {}, [], "cart", "{b}:{port}", "ok_snat", "", "b's port, and its only endpoint is b's own"),
    (ONE, {}, [], "late", "{a}:{port}", "ok_snat", NODES["a"], "a sends it on to b, as itself"),
    (TWO, {}, [], "late", "{a}:{port}", "ok_snat", NODES["a"], "or to a pod of its own, from another device"),
    (
        ONE,
        {},
        [],
        "cart",
        f"{EXTERNAL}:5432",
        "ok_snat",
        NODES["a"],
        "an external IP, short-circuited on the pod's node",
    ),
    (ONE, {}, [], "cart", f"{BALANCED}:5432", "ok_snat", NODES["a"], "a load balancer's address likewise"),
    (ONE, LOCAL, [], "cart", f"{BALANCED}:5432", "ok_direct", CART, "eTP Local: every endpoint, unmarked, for pods"),
    (ONE, LOCAL, [BARE], "cart", f"{BALANCED}:5432", "no_route", "", "without a detector pods are outside"),
    (ONE, LOCAL, [BARE], "web", f"{BALANCED}:5432", "ok_snat", "", "the node has it; and it is the pod itself"),
    (ONE, LOCAL, [], "cart", "{b}:{port}", "ok_direct", CART, "b takes a pod of the cluster CIDR for one of its own"),
    (ONE, LOCAL, [], "cart", "{a}:{port}", "ok_direct", CART, "a itself takes every endpoint"),
    (ONE, LOCAL, [], "late", "{a}:{port}", "ok_direct", LATE, "and so it does for pods of other nodes"),
    (ONE, LOCAL, [NODE_CIDR], "late", "{a}:{port}", "no_route", "", "by node CIDR they are outside, and a has none"),
    (ONE, LOCAL, [NODE_CIDR], "late", "{b}:{port}", "ok_direct", LATE, "b has one"),
    (ONE, LOCAL, [IPVS], "cart", "{a}:{port}", "unknown", "", "ipvs: the sources do not say"),
    (ONE, {}, [IPVS], "cart", "{a}:{port}", "ok_snat", NODES["a"], "ipvs, policy Cluster"),
    (ONE, {"internal": "Local"}, [], "cart", "shop/db", "no_route", "", "iTP Local and no endpoint on a"),
    (ONE, {"internal": "Local"}, [], "cart", "{a}:{port}", "ok_snat", NODES["a"], "iTP is not for node ports"),
    ((), {}, [], "cart", "{a}:{port}", "no_route", "", "no endpoint at all"),
    (ONE, {}, [], "cart", "{a}:{port}/UDP", "ok_direct", CART, "no node port in UDP: the node itself"),
    (ONE, {}, [], "cart", "{a}:22", "ok_direct", CART, "another port of the node"),
    (ONE, {}, [], "cart", "shop/db:sql", "ok_direct", CART, "a port by name"),
    (ONE, {}, [], "cart", "shop/db:5433", "no_route", "", "the Service has no such port"),
    (ONE, {}, [], "cart", f"{EXTERNAL}:5433", "blackhole_return", CART, "an address nobody claims on that port"),
    (ONE, {}, [IPVS], "cart", f"{EXTERNAL}:5433", "no_route", "", "ipvs holds the address on every node"),
    (ONE, {"ip_mode": "Proxy"}, [], "cart", f"{BALANCED}:5432", "blackhole_return", CART, "the balancer wants it"),
    (ONE, {"ranges": ["192.0.2.0/24"]}, [], "cart", f"{BALANCED}:5432", "policy_denied", "", "ranges without pods"),
    (ONE, {"ranges": ["10.244.0.0/16"]}, [], "cart", f"{BALANCED}:5432", "ok_snat", NODES["a"], "ranges with them"),
    (ONE, {"ranges": ["192.0.2.0/24"]}, [], "cart", f"{EXTERNAL}:5432", "ok_snat", NODES["a"], "not for external IPs"),
    (ONE, {}, [KPR], "web", "shop/db", "ok_direct", WEB, "Cilium: the pod connects to itself"),
    (ONE, {}, [KPR], "cart", "{b}:{port}", "ok_direct", CART, "Cilium knows every node's port at the socket"),
    (ONE, LOCAL, [KPR], "cart", "{a}:{port}", "ok_direct", CART, "eTP is for clients outside"),
    (ONE, {}, [KPR], "cart", f"{BALANCED}:5432", "ok_direct", CART, "so is the load balancer's address"),
    (ONE, {}, [KPR], "cart", f"{EXTERNAL}:5432", "unknown", "", "but not external IPs"),
    (ONE, {}, [Antrea()], "cart", "{a}:{port}", "unknown", "", "nobody said what serves Services"),
    (ONE, {}, [PROXY, BRIDGE], "web", "shop/db", "unknown", "", "hairpinMode is not known"),
    (ONE, {}, [PROXY, ReferencePlugin(hairpin_mode=False)], "web", "shop/db", "no_route", "", "and is off"),
    (ONE, {}, [PROXY, ReferencePlugin(hairpin_mode=True)], "web", "shop/db", "ok_snat", "", "and is on"),
    ([(WEB, "b", GOES)], {}, [], "cart", "shop/db", "ok_direct", CART, "terminating, and nothing else there"),
    ([*ONE, (LATE, "c", GOES)], LOCAL, [BARE], "late", f"{BALANCED}:5432", "ok_snat", "", "c's own is all c has"),
]


@pytest.mark.parametrize(
    ("endpoints", "service", "masquerades", "pod", "destination", "verdict", "source", "why"),
    CASES,
    ids=[row[7] for row in CASES],
)
def test_cases_by_hand(endpoints, service, masquerades, pod, destination, verdict, source, why):
    held = cluster(endpoints, **service)
    paths = resolve(held, asked(held, destination), network=network(*masquerades))
    row = paths.frame(pods=[paths.place_of(f"shop/{pod}")]).iloc[0]
    if why.startswith("or to a pod"):
        source = row["source"] and NODES["a"]  # several, of which this one is certain
    assert (row["verdict"], row["source"]) == (verdict, source), (why, row["reason"])


def test_what_several_endpoints_show_is_several():
    held = cluster(TWO)
    paths = resolve(held, asked(held, "{a}:{port}"), network=network())
    made = paths.decision(paths.place_of("shop/late"))
    assert (made.seen, made.sources) == (Seen.SEVERAL, (NODES["a"],))
    own = resolve(held, "shop/db", network=network())
    made = own.decision(own.place_of("shop/cart"))
    assert (str(made.verdict), made.seen) == ("ok_snat", Seen.SEVERAL)
    assert {str(part.verdict) for part in made.parts} == {"ok_snat", "ok_direct"}


def test_a_family_that_the_service_lacks_has_no_node_port():
    held = cluster(ONE)
    paths = resolve(held, asked(held, "node/a:{port}"), network=network())
    made = paths.decision(0, 0, "IPv6")
    assert (str(made.verdict), made.cause) == ("no_route", Cause.NO_PORT)
    assert "no IPv6 cluster IP" in made.reason


def test_the_port_may_stand_beside_the_destination():
    held = cluster(ONE)
    told = trace(held, "shop/cart", NODES["a"], port=port_of(held), network=network())
    written = trace(held, "shop/cart", asked(held, "{a}:{port}"), network=network())
    assert told.frame.drop(columns=["at"]).equals(written.frame.drop(columns=["at"]))
    with pytest.raises(InvalidInput, match="names its port, and port=80 is another"):
        trace(held, "shop/cart", f"{EXTERNAL}:5432", port=80, network=network())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shop/db:http", "names known: sql"),
        ("shop/db:sql/UDP", "port 'sql' is TCP"),
        ("10.0.0.0/8:80", "a block has no port"),
        ("svc/shop/none", "no Service of the cluster"),
        ("node/z", "no Node of the cluster"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, message):
    with pytest.raises(InvalidInput, match=message):
        read_destinations(text, cluster(ONE))


def test_the_name_of_cluster_dns_is_the_service():
    names = ("shop/db", "svc/shop/db", "db.shop.svc", "db.shop.svc.cluster.local:5432")
    found = read_destinations(list(names), cluster(ONE))
    assert [(one.service, one.target) for one in found] == [("shop/db", "ClusterIP")] * 4
    assert [one.port for one in found] == [None, None, None, 5432]


def test_reading_twice_is_reading_once():
    held = cluster(TWO)
    texts = ["shop/db", f"{EXTERNAL}:5432", f"{BALANCED}:5432", asked(held, "{a}:{port}"), "shop/db:5433", NODES["a"]]
    once = read_destinations(texts, held)
    assert read_destinations(list(once), held) == once


def test_hops_of_a_node_port_on_another_node():
    held = cluster(ONE)
    frame = trace(held, "shop/late", asked(held, "{a}:{port}"), network=network()).frame
    mine = frame[frame["ip_family"] == "IPv4"][["role", "at", "source", "destination"]]
    assert mine.to_numpy().tolist() == [
        ["start", "Pod/shop/late", LATE, NODES["a"]],
        ["attach", "Node/c", LATE, NODES["a"]],
        ["steer", "Service/shop/db at Node/a", LATE, WEB],
        ["masq", "Node/a", NODES["a"], WEB],
        ["exit", "Pod/shop/web", NODES["a"], WEB],
    ]


# one flow at a time --------------------------------------------------------------------------------------------------


def walk(case, pod, kind):
    """Follow one pod through the chains of kube-proxy, endpoint by endpoint; what each that it may get would see."""
    endpoints, external, internal, detects, at = case
    address, node = pod
    serves = [each for each in endpoints if each[2] is not None]
    ready = [each for each in serves if each[2] is READY]
    anywhere = ready or serves
    handler = at if kind == "NodePort" else node
    on_handler = [each for each in serves if each[1] == handler]
    own = [each for each in on_handler if each[2] is READY] or on_handler
    if kind == "ClusterIP":
        taken, marked = (own if internal == "Local" else anywhere), False
    elif external == "Cluster":
        taken, marked = anywhere, True
    elif detects:
        taken, marked = anywhere, False
    else:
        taken, marked = own, False
    seen = set()
    for text, where, _ in taken:
        rewritten = marked or (text == address and node == handler)
        if not rewritten:
            seen.add(address)
        elif where == handler:
            seen.add("?")  # a device of the node towards its own pods
        else:
            seen.add(NODES[handler])
    return seen


@st.composite
def situations(draw):
    condition = st.sampled_from([READY, READY, GOES, None])
    spots = [(CART, "a"), (WEB, "b"), (LATE, "c"), ("10.244.0.3", "a")]
    endpoints = [(*spot, found) for spot in spots if (found := draw(condition)) is not None or draw(st.booleans())]
    policy = st.sampled_from(["Cluster", "Local"])
    return endpoints, draw(policy), draw(policy), draw(st.booleans()), draw(st.sampled_from(["a", "b", "c"]))


def told(made, pod, node):
    """Say whom each endpoint sees, of a decision."""
    found = set()
    for part in made.parts or (made,):
        if part.seen is Seen.POD:
            found.add(pod)
        elif part.seen is Seen.UNKNOWN:
            found.add("?")
        elif part.seen is Seen.SEVERAL:
            found |= {"?", *part.sources}
        elif part.seen is Seen.NODE:
            found |= set(part.sources) or {NODES[node]}
    return found


GONE = {"ready": False, "serving": False, "terminating": True}


@settings(max_examples=120, deadline=None)
@given(situations())
def test_every_answer_is_that_of_one_flow_at_a_time(case):
    endpoints, external, internal, detects, at = case
    held = cluster([(*each[:2], each[2] or GONE) for each in endpoints], external=external, internal=internal)
    names = {"ClusterIP": "shop/db", "externalIP": f"{EXTERNAL}:5432", "LoadBalancer": f"{BALANCED}:5432"}
    names["NodePort"] = f"{NODES[at]}:{port_of(held)}"
    paths = resolve(held, list(names.values()), network=network(KubeProxy(cluster_cidrs=CIDRS if detects else ())))
    pods = [(CART, "a"), (WEB, "b"), (LATE, "c"), ("10.244.0.3", "a")]
    for place, kind in enumerate(names):
        for number, pod in enumerate(pods):
            made = paths.decision(number, place)
            expected = walk(case, pod, kind)
            assert made.verdict.works is bool(expected), (kind, pod, made)
            if expected:
                assert told(made, *pod) == expected, (kind, pod, made)
    matrix = np.vstack([piece for _, piece in paths.verdicts("IPv4", chunk=3)])
    for place in range(len(names)):
        codes = [VERDICTS.index(paths.decision(number, place).verdict) for number in range(len(pods))]
        assert matrix[:, place].tolist() == codes
    counts = paths.counts()
    assert (counts.groupby(["destination", "ip_family"])["pods"].sum() == len(pods)).all()
    mine = counts[counts["ip_family"] == "IPv4"].groupby("destination")
    works = mine.apply(lambda rows: int(rows.loc[rows["works"], "pods"].sum()), include_groups=False)
    for place, name in enumerate(names.values()):
        assert works[name] == sum(paths.decision(number, place).verdict.works for number in range(len(pods)))


def test_endpoints_given_by_hand_are_taken():
    one = Destination(name="db", service="shop/db", endpoints=((WEB, "b"),))
    paths = resolve(cluster(()), [one], network=network())
    assert str(paths.decision(0).verdict) == "ok_direct"
