"""Resolved paths: cases worked by hand, and all of them against an oracle that takes one flow at a time."""

import ipaddress

import numpy as np
import pandas as pd
import pytest
from egress_clusters import cluster_of, with_endpoints
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel.addresses.text import format_addresses, parse_addresses
from dsmodel.errors import InvalidInput
from dsmodel.graph.flows import UNDECIDED, VERDICTS, Flows, Verdict
from dsmodel.graph.gateways import EgressGateway, Selection, steer
from dsmodel.graph.masquerade import Kubenet, KubeProxy, MasqueradeAgent, translate
from dsmodel.graph.network import NAT64, BorderNAT, Network, TransparentProxy
from dsmodel.graph.paths import resolve

PROXY = KubeProxy(cluster_cidrs=("10.244.0.0/16",))
NAT = BorderNAT(name="a", family="IPv4", addresses=("198.51.100.9",))
KNOWN = {"default_route": True, "routed": (), "border": (), "nat64": ()}
GUA = "2600:1f00:0:1::{}"


def network(**changes):
    return Network().replacing(**{"masquerades": (PROXY, MasqueradeAgent()), **KNOWN, **changes})


def row(cluster, destination, family, *, pod=0, **changes):
    paths = resolve(cluster, destination, network=network(**changes))
    frame = paths.frame(pods=[pod])
    return frame[frame["ip_family"] == family].iloc[0]


V6_AGENT = (PROXY, MasqueradeAgent(enable_ipv6=True))
CASES = [
    # cluster, destination, family, changes of the network, verdict, source, why
    ({}, "internet", "IPv4", {"border": [NAT]}, "ok_snat", "198.51.100.9", "masqueraded, then translated"),
    (
        {},
        "internet",
        "IPv4",
        {},
        "blackhole_return",
        "10.0.0.1",
        "masqueraded to a private address, and nothing at the border",
    ),
    ({}, "internet", "IPv6", {}, "blackhole_return", "fd00:10:244::2", "the flag is off, so the pod's ULA leaves"),
    (
        {},
        "internet",
        "IPv6",
        {"masquerades": V6_AGENT},
        "blackhole_return",
        "fd00:10::1",
        "masqueraded to the node's ULA",
    ),
    (
        {"ipv6": GUA},
        "internet",
        "IPv6",
        {"masquerades": V6_AGENT},
        "ok_snat",
        "2600:1f00:0:1::1",
        "the node's is global",
    ),
    (
        {},
        "internet",
        "IPv6",
        {"border": [BorderNAT(name="six", family="IPv6", addresses=("2600::9",))]},
        "blackhole_return",
        "2600::9",
        "translated at the border, and the border does not know the way to the pod",
    ),
    (
        {},
        "internet",
        "IPv6",
        {"border": [BorderNAT(name="six", family="IPv6", addresses=("2600::9",))], "routed": ["fd00:10:244::/56"]},
        "ok_snat",
        "2600::9",
        "translated, and pods are routed inside",
    ),
    ({}, "2001:db8::10", "IPv6", {}, "blackhole_return", "fd00:10:244::2", "documentation stands for the Internet"),
    ({}, "10.9.0.1", "IPv4", {}, "blackhole_return", "10.244.0.2", "10/8 is not masqueraded, and pods are not routed"),
    ({}, "10.9.0.1", "IPv4", {"routed": ["10.244.0.0/16"]}, "ok_direct", "10.244.0.2", "pods are routed on premises"),
    (
        {},
        "fd99::1",
        "IPv6",
        {"routed": ["fd00:10:244::/56"]},
        "ok_direct",
        "fd00:10:244::2",
        "ULA to ULA inside one site",
    ),
    ({}, "internet", "IPv4", {"masquerades": None}, "unknown", "", "nobody knows the nodes' rules"),
    ({}, "internet", "IPv4", {"border": {}}, "unknown", "", "nobody knows the border"),
    (
        {},
        "internet",
        "IPv6",
        {"border": {}, "routed": ["fd00:10:244::/56"]},
        "unknown",
        "",
        "a border NAT might save it",
    ),
    ({}, "10.9.0.1", "IPv4", {"routed": {}}, "unknown", "", "nobody said what is routed"),
    ({}, "internet", "IPv4", {"default_route": {}, "border": [NAT]}, "unknown", "", "nobody knows of a route"),
    (
        {},
        "internet",
        "IPv4",
        {"default_route": ["IPv6"]},
        "no_route",
        "",
        "accept_ra and forwarding: one family lost its route",
    ),
    (
        {"ipv6": None},
        "internet",
        "IPv6",
        {"masquerades": V6_AGENT},
        "no_route",
        "",
        "masquerading without an address drops",
    ),
    ({"ipv6": None}, "internet", "IPv6", {}, "no_route", "", "a node without IPv6 routes none"),
    (
        {"ipv4": None, "ipv6": None},
        "internet",
        "IPv4",
        {"border": [NAT]},
        "unknown",
        "",
        "no node's addresses are known",
    ),
    ({"cluster_cidrs": ("10.244.0.0/16",)}, "internet", "IPv6", {}, "no_family", "", "the pod has no IPv6 address"),
    ({}, "192.0.2.1", "IPv6", {}, "no_family", "", "the destination has none"),
    ({}, "shop/web", "IPv6", {}, "ok_direct", "fd00:10:244::2", "pod to pod keeps its address"),
    (
        {},
        "shop/web",
        "IPv6",
        {"masquerades": V6_AGENT},
        "ok_snat",
        "fd00:10::1",
        "no IPv6 CIDR listed: everything is masqueraded",
    ),
    ({}, "10.0.0.2", "IPv4", {}, "ok_direct", "10.244.0.2", "10/8 is not masqueraded, nodes neither"),
    ({}, "10.244.1.77", "IPv4", {}, "no_route", "", "no pod has it"),
    ({}, "10.96.7.7", "IPv4", {}, "no_route", "", "no Service has it"),
    ({}, "169.254.169.254", "IPv4", {}, "unknown", "", "the link answers"),
    ({}, "64:ff9b::c000:201", "IPv6", {"nat64": None}, "unknown", "", "nobody knows of a translator"),
    ({}, "64:ff9b::c000:201", "IPv6", {}, "no_route", "", "there is none"),
    (
        {},
        "64:ff9b::c000:201",
        "IPv6",
        {"nat64": NAT64(addresses=("198.51.100.64",)), "routed": ["fd00:10:244::/56"]},
        "via_nat64",
        "198.51.100.64",
        "the translator takes ULA clients that are routed",
    ),
    (
        {},
        {"only4.example": ["192.0.2.7"]},
        "IPv6",
        {"nat64": NAT64(addresses=("198.51.100.64",)), "masquerades": V6_AGENT},
        "via_nat64",
        "198.51.100.64",
        "DNS64 makes up an address",
    ),
    (
        {},
        {"only4.example": ["192.0.2.7"]},
        "IPv6",
        {"nat64": NAT64(dns64=False)},
        "no_family",
        "",
        "nobody makes one up",
    ),
    ({}, "internet", "IPv4", {"border": [NAT], "failed": ["NAT/a"]}, "no_route", "", "the only translator is down"),
    (
        {},
        "internet",
        "IPv4",
        {"border": [BorderNAT(name="a", family="IPv4", zone="z", addresses=("198.51.100.9",))], "failed": ["Zone/z"]},
        "no_route",
        "",
        "it is down with its zone",
    ),
    ({}, "internet", "IPv4", {"border": [NAT], "failed": ["Node/a"]}, "no_route", "", "the pod is down with its node"),
    ({}, "shop/web", "IPv4", {"failed": ["b"]}, "no_route", "", "the destination is down with its node"),
    (
        {},
        "internet",
        "IPv4",
        {"border": [NAT], "proxies": [TransparentProxy(name="mesh", families=("IPv4",))]},
        "via_proxy",
        "198.51.100.9",
        "the sidecar opens its own connection from the pod",
    ),
    (
        {"ipv6": GUA},
        "internet",
        "IPv6",
        {
            "masquerades": V6_AGENT,
            "proxies": [TransparentProxy(name="mesh", families=("IPv4",), other_family="reject")],
        },
        "policy_denied",
        "",
        "a sidecar of one family rejects the other",
    ),
    (
        {"ipv6": GUA},
        "internet",
        "IPv6",
        {"masquerades": V6_AGENT, "proxies": [TransparentProxy(name="mesh", families=("IPv4",))]},
        "ok_snat",
        "2600:1f00:0:1::1",
        "or lets it pass by",
    ),
    (
        {},
        "internet",
        "IPv4",
        {"gateways": [EgressGateway(name="g", nodes=("b",))], "border": [NAT]},
        "via_gateway",
        "198.51.100.9",
        "the gateway's node is translated too",
    ),
    (
        {},
        "10.9.0.1",
        "IPv4",
        {"gateways": [EgressGateway(name="g", nodes=("b",))]},
        "via_gateway",
        "10.0.0.2",
        "on premises sees the gateway",
    ),
    (
        {},
        "internet",
        "IPv6",
        {"gateways": [EgressGateway(name="g", nodes=("b",), addresses=("10.0.0.50",))]},
        "dropped_no_egress_ip",
        "",
        "one family has no egress address",
    ),
    (
        {},
        "10.9.0.1",
        "IPv4",
        {"gateways": [EgressGateway(name="g", nodes=("b",))], "failed": ["b"]},
        "dropped_no_gateway",
        "",
        "the gateway is down",
    ),
    (
        {},
        "10.9.0.1",
        "IPv4",
        {
            "gateways": [EgressGateway(name="g", nodes=("b",), on_missing="fall through")],
            "failed": ["b"],
            "routed": ["10.244.0.0/16"],
        },
        "leak_fallthrough",
        "10.244.0.2",
        "it leaks as itself",
    ),
]


@pytest.mark.parametrize(("shape", "destination", "family", "changes", "verdict", "source", "why"), CASES)
def test_cases_by_hand(shape, destination, family, changes, verdict, source, why):
    found = row(cluster_of(**shape), destination, family, **changes)
    assert (found["verdict"], found["source"]) == (verdict, source), f"{why}: {found['reason']}"


def test_what_is_not_known_is_named():
    cluster = cluster_of()
    told = {
        "masquerades": {"masquerades": None},
        "default_route": {"default_route": {}, "border": [NAT]},
        "border": {"border": {}},
        "routed": {"routed": {}, "masquerades": ()},
        "nat64": {"nat64": None},
    }
    for name, changes in told.items():
        destination = {"nat64": "64:ff9b::1", "routed": "10.9.0.1"}.get(name, "198.51.100.1")
        found = row(cluster, destination, "IPv6" if name == "nat64" else "IPv4", **changes)
        assert found["verdict"] == "unknown"
        assert f"({name})" in found["reason"]


def test_nothing_known_never_works():
    cluster = cluster_of()
    frame = resolve(cluster, ["internet", "10.9.0.1", "fd99::1"], network=Network()).frame()
    assert set(frame["verdict"]) == {"unknown", "no_family"}


# proxies of pods whose labels nobody knows ---------------------------------------------------------------------------

MESH = {"selects": Selection.of(pods={"app": "cart"})}
UNLABELLED = [
    # proxies, family, destination, verdict, why
    ([TransparentProxy(name="m", families=("IPv4",), **MESH)], "IPv4", "internet", "unknown", "taken, or not"),
    (
        [TransparentProxy(name="m", families=("IPv4",), **MESH)],
        "IPv6",
        "fd99::1",
        "ok_direct",
        "the other family goes past it, so labels decide nothing",
    ),
    (
        [TransparentProxy(name="m", families=("IPv4",), other_family="reject", **MESH)],
        "IPv6",
        "fd99::1",
        "unknown",
        "rejected, or not",
    ),
    (
        [TransparentProxy(name="m", families=("IPv4",), other_family="reject", **MESH)],
        "IPv6",
        "internet",
        "blackhole_return",
        "with or without it nothing comes back",
    ),
    (
        [TransparentProxy(name="m", **MESH), TransparentProxy(name="n")],
        "IPv4",
        "internet",
        "via_proxy",
        "one of the two takes it",
    ),
    ([TransparentProxy(name="m", **MESH)], "IPv4", "shop/web", "ok_direct", "a pod answers either way"),
]


@pytest.mark.parametrize(("proxies", "family", "destination", "verdict", "why"), UNLABELLED)
def test_labels_nobody_knows_are_no_proxy_and_no_lack_of_one(proxies, family, destination, verdict, why):
    cluster = cluster_of(labels=[None, None])
    routed = ["fd00:10:244::/56"]
    found = row(cluster, destination, family, proxies=proxies, border=[NAT], routed=routed)
    assert found["verdict"] == verdict, f"{why}: {found['reason']}"
    assert ("labels" in found["reason"]) == (verdict == "unknown" or destination == "shop/web"), found["reason"]


# services ----------------------------------------------------------------------------------------------------------


def service_cluster(*endpoints, policy=None):
    cluster = cluster_of(pods=(("shop", "cart", "a"), ("shop", "web", "b"), ("shop", "api", "a")))
    frame = pd.DataFrame({"namespace": ["shop"], "name": ["web"], "ip_family_policy": ["PreferDualStack"]})
    cluster.add_services(frame)
    return with_endpoints(cluster, "shop/web", endpoints, policy=policy)


SERVICES = [
    # endpoints, traffic policy, family, verdict, source, why
    (
        [("10.244.1.2", "b")],
        None,
        "IPv4",
        "ok_direct",
        "10.244.0.2",
        "delivered to the endpoint, not marked: a local pod asks",
    ),
    ([("10.244.1.2", "b")], None, "IPv6", "no_route", "", "no endpoint of the family"),
    ([("10.9.9.9", "")], None, "IPv4", "blackhole_return", "10.244.0.2", "an endpoint outside is a flow outside"),
    (
        [("10.244.1.2", "b"), ("10.9.9.9", "")],
        None,
        "IPv4",
        "nondeterministic",
        "10.244.0.2",
        "it depends on the endpoint",
    ),
    ([("10.244.1.2", "b")], "Local", "IPv4", "no_route", "", "internal traffic stays on a node without endpoint"),
    (
        [("10.244.1.2", "b"), ("10.244.0.3", "a")],
        "Local",
        "IPv4",
        "ok_direct",
        "10.244.0.2",
        "only the node's own endpoint is used",
    ),
]


@pytest.mark.parametrize(("endpoints", "policy", "family", "verdict", "source", "why"), SERVICES)
def test_services(endpoints, policy, family, verdict, source, why):
    cluster = service_cluster(*endpoints, policy=policy)
    found = row(cluster, "shop/web", family)
    assert (found["verdict"], found["source"]) == (verdict, source), f"{why}: {found['reason']}"


def test_a_service_is_found_by_its_address():
    cluster = service_cluster(("10.244.1.2", "b"))
    address = str(format_addresses(cluster.services["cluster_ipv4"][[-1]])[0])
    assert row(cluster, str(address), "IPv4")["verdict"] == "ok_direct"


def test_a_service_without_known_endpoints_is_unknown():
    found = row(cluster_of(), "default/kubernetes", "IPv4")
    assert found["verdict"] == "unknown"
    assert "EndpointSlices" in found["reason"]


def test_proxy_marks_what_its_detector_does_not_know():
    cluster = service_cluster(("10.244.1.2", "b"))
    wide = KubeProxy(cluster_cidrs=("10.99.0.0/16",))
    found = row(cluster, "shop/web", "IPv4", masquerades=(wide, MasqueradeAgent()))
    assert (found["verdict"], found["source"]) == ("ok_snat", "10.0.0.1")


# destinations ------------------------------------------------------------------------------------------------------


def test_a_block_is_judged_between_the_borders_that_rules_draw():
    found = row(cluster_of(), "0.0.0.0/0", "IPv4", border=[NAT])
    assert found["verdict"] == "nondeterministic"
    assert "198.51.100.9" in found["source"]
    assert "depends on the address" in found["reason"]


@pytest.mark.parametrize("text", ["nowhere", "shop/none", "10.0.0.300", "10.0.0.0/33", 7])
def test_what_is_no_destination_is_refused(text):
    with pytest.raises(InvalidInput, match="destination"):
        resolve(cluster_of(), text, network=network())


def test_pods_that_are_not_there_are_refused():
    with pytest.raises(InvalidInput, match="2 pods"):
        resolve(cluster_of(), network=network(), pods=[5])


def test_an_empty_cluster_has_empty_answers():
    paths = resolve(cluster_of(pods=()), ["internet", "10.0.0.1"], network=network())
    assert len(paths.frame()) == len(paths.counts()) == 0
    assert [piece.shape for _, piece in paths.verdicts("IPv4")] == []


# oracle ------------------------------------------------------------------------------------------------------------


def oracle(cluster, net, pod, address):  # noqa: C901, PLR0911, PLR0912, PLR0915 - the pipeline in one piece
    """Verdict and seen source of one flow, in plain words and one step at a time."""
    family = f"IPv{address.version}"
    end = family.lower()
    pods, nodes = cluster.pods, cluster.nodes
    node = int(pods["node"][pod])
    host = bool(pods["host_network"][pod])
    down = {name.removeprefix("Node/") for name in net.failed}

    def node_address(place):
        has = bool(nodes[f"has_internal_{end}"][place])
        return str(format_addresses(nodes[f"internal_{end}"][[place]])[0]) if has else None

    if nodes["name"][node] in down:
        return "no_route", None
    own = node_address(node) if host else None
    if not host and pods[f"has_pod_{end}"][pod]:
        own = str(format_addresses(pods[f"pod_{end}"][[pod]])[0])
    knows = bool(nodes["has_internal_ipv4"].any() or nodes["has_internal_ipv6"].any())
    if own is None:
        return "no_family" if knows or not host else "unknown", None
    for proxy in net.proxies:
        if not host and family not in proxy.families and proxy.other_family == "reject":
            return "policy_denied", None
    at_node = next((n for n in range(len(nodes)) if node_address(n) == str(address)), None)
    at_pod = next(
        (
            p
            for p in range(len(pods))
            if not pods["host_network"][p]
            and pods[f"has_pod_{end}"][p]
            and str(format_addresses(pods[f"pod_{end}"][[p]])[0]) == str(address)
        ),
        None,
    )
    if at_node is None and at_pod is None:
        for cidr, verdict in [*((c, "no_route") for c in cluster.config.cluster_cidrs)]:
            if address in ipaddress.ip_network(str(cidr)):
                return verdict, None
    target = at_node if at_node is not None else None if at_pod is None else int(pods["node"][at_pod])
    if target is not None and nodes["name"][target] in down:
        return "no_route", None
    flows = Flows(
        parse_addresses([own], family=family),
        parse_addresses([str(address)], family=family),
        np.array([node], np.int32),
        np.array([pod], np.int32),
        np.array([host]),
    )
    steering = steer(net.gateways, flows, cluster, failed=tuple(net.failed))
    code = int(steering.verdict[0])
    steered = None if code == UNDECIDED else VERDICTS[code]
    if steered not in {None, Verdict.VIA_GATEWAY, Verdict.LEAK_FALLTHROUGH}:
        return str(steered), None
    rewritten, source, kind = False, own, "node" if host else "pod"
    if steered is Verdict.VIA_GATEWAY:
        source, kind = str(format_addresses(steering.source[[0]])[0]), "exit"
    else:
        moved = translate(net.masquerades, flows, cluster)
        rewritten = bool(moved.translated[0])
        nearby = at_pod is not None and target == node
        if rewritten and not moved.has_source[0] and not nearby and target is None:
            return "no_route" if knows else "unknown", None
        if rewritten and not moved.has_source[0] and not nearby and knows:
            return "no_route", None
        if rewritten and not moved.has_source[0]:
            source = None
        elif rewritten:
            source, kind = str(format_addresses(moved.source[[0]])[0]), "node"
    if target is not None:
        return "ok_snat" if rewritten else "ok_direct", source
    if steered is not Verdict.VIA_GATEWAY and node_address(node) is None and knows:
        return "no_route", None
    if not net.default_route[flows.family]:
        return "no_route", None
    internet = address.is_global or address in ipaddress.ip_network(
        "2001:db8::/32" if address.version == 6 else "192.0.2.0/24"
    )
    leaving = int(steering.gateway[0]) if kind == "exit" else node
    nats = [
        nat
        for nat in net.border[flows.family]
        if internet and (not nat.serves or (leaving >= 0 and nodes["zone"][leaving] in nat.serves))
    ]
    alive = [nat for nat in nats if not net.is_down(nat)]
    if nats and not alive:
        return "no_route", None
    seen = alive[0].addresses[0] if alive else source
    if internet and not alive and not ipaddress.ip_address(source).is_global:
        return "blackhole_return", seen
    routed = any(ipaddress.ip_address(source) in ipaddress.ip_network(str(c)) for c in net.routed[flows.family])
    if kind == "pod" and not routed:
        return "blackhole_return", seen
    if steered is not None:
        return str(steered), seen
    if net.proxies and not host and family in net.proxies[0].families:
        return "via_proxy", seen
    return ("ok_snat" if alive or (rewritten and kind == "node" and not host) else "ok_direct"), seen


NODES = ("a", "b", "c")
TARGETS = ["8.8.8.8", "192.0.2.10", "10.9.0.1", "2600::1", "2001:db8::10", "fd99::1", "10.244.250.9"]


@st.composite
def situations(draw):
    zones = draw(st.lists(st.sampled_from(["x", "y"]), min_size=3, max_size=3))
    pods = [
        (
            draw(st.sampled_from(["shop", "data"])),
            f"p{number}",
            draw(st.sampled_from(NODES)),
            *(("host",) if draw(st.booleans()) and number % 4 == 0 else ()),
        )
        for number in range(draw(st.integers(1, 9)))
    ]
    cluster = cluster_of(
        NODES,
        pods,
        zones=zones,
        labels=[{"tier": draw(st.sampled_from(["web", "db"]))} for _ in pods],
        ipv4=draw(st.lists(st.sampled_from(["10.0.0.{}", "44.0.0.{}", None]), min_size=3, max_size=3)),
        ipv6=draw(st.lists(st.sampled_from(["fd00:10::{}", "2600:1f00::{}", None]), min_size=3, max_size=3)),
        cluster_cidrs=draw(
            st.sampled_from(
                [("10.244.0.0/16", "fd00:10:244::/56"), ("10.244.0.0/16", "2600:ff::/56"), ("10.244.0.0/16",)]
            )
        ),
    )
    agents = [
        MasqueradeAgent(),
        MasqueradeAgent(enable_ipv6=True),
        Kubenet(),
        KubeProxy(cluster_cidrs=("10.244.0.0/16",)),
    ]
    gateways = [
        EgressGateway(
            name=f"g{number}",
            selects=draw(
                st.sampled_from([Selection(), Selection.of("shop"), Selection.of("data", pods={"tier": "web"})])
            ),
            destinations=draw(st.sampled_from([("0.0.0.0/0", "::/0"), ("8.0.0.0/8", "2600::/16"), ("10.9.0.0/16",)])),
            nodes=draw(st.sampled_from([("a",), ("b", "c"), ()])),
            on_missing=draw(st.sampled_from(["drop", "fall through", "black hole"])),
            priority=number,
        )
        for number in range(draw(st.integers(0, 2)))
    ]
    border = [
        BorderNAT(name="x", family="IPv4", addresses=("198.51.100.1",), zone="x", serves=("x",)),
        BorderNAT(name="all", family="IPv4", addresses=("198.51.100.2",)),
        BorderNAT(name="six", family="IPv6", addresses=("2600:9::9",)),
    ]
    net = Network().replacing(
        masquerades=draw(st.lists(st.sampled_from(agents), max_size=2, unique=True)),
        gateways=gateways,
        border=draw(st.lists(st.sampled_from(border), max_size=2, unique=True)),
        routed=draw(
            st.lists(
                st.sampled_from(["10.244.0.0/17", "10.244.0.0/24", "fd00:10:244::/56", "2600:ff::/64"]),
                max_size=3,
                unique=True,
            )
        ),
        default_route=draw(st.sampled_from([True, ["IPv4"], ["IPv6"]])),
        nat64=(),
        proxies=draw(
            st.sampled_from(
                [
                    (),
                    (TransparentProxy(name="m", families=("IPv4",)),),
                    (TransparentProxy(name="m", families=("IPv6",), other_family="reject"),),
                ]
            )
        ),
        failed=draw(st.lists(st.sampled_from(["Node/a", "b", "NAT/x", "NAT/all"]), max_size=2, unique=True)),
    )
    return cluster, net


@settings(max_examples=60, deadline=None)
@given(situations())
def test_every_answer_is_that_of_one_flow_at_a_time(situation):
    cluster, net = situation
    texts = list(TARGETS)
    for family in ("IPv4", "IPv6"):
        end = family.lower()
        for table, column in ((cluster.nodes, f"internal_{end}"), (cluster.pods, f"pod_{end}")):
            texts += [str(t) for t in format_addresses(table[column][table[f"has_{column}"]])[:2]]
    texts = list(dict.fromkeys(texts))
    paths = resolve(cluster, texts, network=net)
    frame = paths.frame()
    rows = iter(frame.to_dict("records"))
    matrices = {
        family: np.vstack([piece for _, piece in paths.verdicts(family, chunk=2)]) for family in ("IPv4", "IPv6")
    }
    for pod in range(len(cluster.pods)):
        for place, text in enumerate(texts):
            for family in ("IPv4", "IPv6"):
                found = next(rows)
                assert str(VERDICTS[matrices[family][pod, place]]) == found["verdict"]
                address = ipaddress.ip_address(text)
                if family != f"IPv{address.version}":
                    assert found["verdict"] in {"no_family", "no_route"}
                    continue
                verdict, source = oracle(cluster, net, pod, address)
                told = (pod, text, found["reason"], net)
                assert found["verdict"] == verdict, told
                assert found["source"] == (source or ""), told
    counted = paths.counts().groupby(["destination", "ip_family", "verdict"])["pods"].sum()
    listed = frame.groupby(["destination", "ip_family", "verdict"]).size()
    pd.testing.assert_series_equal(counted, listed, check_names=False, check_dtype=False)
