"""CiliumEgressGatewayPolicy: rows of the comparison of products and incidents, each with its reason."""

import numpy as np
import pytest
from graph.gateways.fleet import V4, WEB4, WEB6, fleet, flows_of, named, outcome, reason, row_of, rules, unlabelled

from dsmodel.graph.gateways import gateway_table, read_gateways, steer
from dsmodel.graph.gateways.endpoints import fnv_1a

EVERYWHERE = ["0.0.0.0/0", "::/0"]
SHOP = {"namespaceSelector": {"matchLabels": {"team": "shop"}}}
CART = {"podSelector": {"matchLabels": {"app": "cart"}}}
EDGE = {"nodeSelector": {"matchLabels": {"egress": "yes"}}}


def cegp(name="a", *, selectors=(SHOP,), to=EVERYWHERE, excluded=(), gateway=EDGE, gateways=None, **more):
    spec = {"selectors": list(selectors), "destinationCIDRs": list(to), "egressGateway": gateway} | more
    spec |= {"excludedCIDRs": list(excluded)} if excluded else {}
    spec |= {"egressGateways": list(gateways)} if gateways is not None else {}
    return named("CiliumEgressGatewayPolicy", name, spec, api="cilium.io/v2")


def on(node, **more):
    return {"nodeSelector": {"matchLabels": {"egress": node}}} | more


def settings(**data):
    data = {"enable-egress-gateway": "true"} | {key.replace("_", "-"): value for key, value in data.items()}
    return named("ConfigMap", "cilium-config", {}, api="v1", namespace="kube-system", data=data)


GATEWAY_A4 = ("via_gateway", ["edge-a"], "192.0.2.11")
GATEWAY_A6 = ("via_gateway", ["edge-a"], "2001:db8::11")
NOT_MEANT = (None, [], "")
AT_V4 = ("via_gateway", ["edge-v4"], "192.0.2.13")
NO_EGRESS_IP = ("dropped_no_egress_ip", [], "")
BY_ADDRESS = on("v4", egressIP="192.0.2.13")


@pytest.mark.parametrize(
    ("objects", "pod", "destination", "expected", "why"),
    [
        ([cegp()], "shop/cart", WEB4, GATEWAY_A4, "edge-a is the first matching node by name"),
        ([cegp()], "shop/cart", WEB6, GATEWAY_A6, "the same node serves both families"),
        ([cegp()], "bank/ledger", WEB4, NOT_MEANT, "another namespace"),
        ([cegp()], "shop/cart", "10.244.2.7", NOT_MEANT, "a pod of the cluster is never redirected"),
        ([cegp()], "shop/cart", "192.0.2.15", NOT_MEANT, "nor is a node"),
        ([cegp()], None, WEB4, NOT_MEANT, "a host process is no endpoint"),
        ([cegp(to=["198.51.100.0/24"])], "shop/cart", WEB6, NOT_MEANT, "no IPv6 destination: IPv6 is not its business"),
        ([cegp(to=["203.0.113.0/24"])], "shop/cart", WEB4, NOT_MEANT, "another destination"),
        (
            [cegp(selectors=[SHOP | CART])],
            "shop/front",
            WEB4,
            NOT_MEANT,
            "namespace and pod selector of one item must both fit",
        ),
        ([cegp(selectors=[SHOP, CART])], "shop/front", WEB4, GATEWAY_A4, "items are joined"),
        (
            [cegp(selectors=[SHOP | {"nodeSelector": {"matchLabels": {"role": "worker"}}}, {"podSelector": {}}])],
            "shop/on-edge",
            WEB4,
            NOT_MEANT,
            "the nodeSelector of one item holds for pods of the other: a cross product",
        ),
        ([cegp(selectors=[{"podSelector": {}}])], "bank/ledger", WEB4, GATEWAY_A4, "an empty selector selects all"),
        (
            [cegp(gateway=on("none"))],
            "shop/cart",
            WEB4,
            ("dropped_no_gateway", [], ""),
            "no node matches: dropped, not leaked",
        ),
        ([cegp(gateway=on("none"))], "shop/cart", WEB6, ("dropped_no_gateway", [], ""), "in both families"),
        (
            [cegp(gateway=on("v4"))],
            "shop/cart",
            WEB6,
            ("dropped_no_egress_ip", [], ""),
            "the device with the default route has no IPv6 address",
        ),
        (
            [cegp(gateway=on("v4"))],
            "shop/cart",
            WEB4,
            ("dropped_no_egress_ip", [], ""),
            "and both families are set at once or not at all (#38995): IPv4 drops too",
        ),
        (
            [cegp(to=["0.0.0.0/0"], gateway=on("v4"))],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-v4"], "192.0.2.13"),
            "a policy without IPv6 destinations needs no IPv6 address",
        ),
        (
            [cegp(gateway=on("v4", egressIP="192.0.2.13"))],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-v4"], "192.0.2.13"),
            "an egressIP that is written down stands, whatever the other family lacks (#48661)",
        ),
        (
            [cegp(gateway=on("v4", egressIP="192.0.2.13"))],
            "shop/cart",
            WEB6,
            ("dropped_no_egress_ip", [], ""),
            "and the other family drops",
        ),
        (
            [
                cegp(
                    gateway={
                        "nodeSelector": {
                            "matchExpressions": [{"key": "egress", "operator": "In", "values": ["v6", "yes"]}]
                        }
                    }
                )
            ],
            "shop/cart",
            WEB4,
            GATEWAY_A4,
            "first by name of the nodes that match",
        ),
        (
            [
                cegp(
                    gateway={
                        "nodeSelector": {
                            "matchExpressions": [
                                {"key": "role", "operator": "DoesNotExist"},
                                {"key": "egress", "operator": "NotIn", "values": ["v4", "yes"]},
                            ]
                        }
                    }
                )
            ],
            "shop/cart",
            WEB6,
            ("dropped_no_gateway", [], ""),
            "a node without IPv4 is passed over",
        ),
        (
            [cegp(gateway=on("v6"))],
            "shop/cart",
            WEB6,
            ("dropped_no_gateway", [], ""),
            "cilium#40209: gateways are reached over IPv4 only",
        ),
        (
            [cegp(gateway=EDGE | {"egressIP": "203.0.113.7"})],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-a"], "203.0.113.7"),
            "egressIP is the source",
        ),
        (
            [cegp(gateway=EDGE | {"egressIP": "203.0.113.7"})],
            "shop/cart",
            WEB6,
            ("via_gateway", ["edge-a"], ""),
            "the other family's address is that of the device with the egressIP, which the dump does not show",
        ),
        (
            [cegp(gateway=EDGE | {"egressIP": "192.0.2.11"})],
            "shop/cart",
            WEB6,
            GATEWAY_A6,
            "the device with the egressIP is the one with the InternalIP",
        ),
        (
            [cegp(gateway=EDGE | {"egressIP": "192.0.2.12"})],
            "shop/cart",
            WEB4,
            ("dropped_no_egress_ip", [], ""),
            "the egressIP is another node's: no device of the gateway has it",
        ),
        (
            [cegp(gateway=EDGE | {"interface": "eth1"})],
            "shop/cart",
            WEB4,
            ("via_gateway", ["edge-a"], ""),
            "the address of an interface is not in the dump: unknown, not guessed",
        ),
        (
            [cegp(gateway=on("v4", interface="eth1"))],
            "shop/cart",
            WEB6,
            ("dropped_no_egress_ip", [], ""),
            "a node without IPv6 has none on any interface",
        ),
        ([cegp(excluded=["198.51.100.0/24"])], "shop/cart", WEB4, NOT_MEANT, "excluded: the node's own masquerading"),
        (
            [cegp("wide"), cegp("narrow", to=["203.0.113.0/24"], excluded=["198.51.100.0/24"])],
            "shop/cart",
            WEB4,
            NOT_MEANT,
            "an exclusion of one policy cuts a hole into the wider one of another",
        ),
        (
            [cegp("wide"), cegp("narrow", to=["198.51.100.0/24"], gateway=on("v4"))],
            "shop/cart",
            WEB4,
            AT_V4,
            "longest prefix over policies",
        ),
        (
            [cegp("one"), cegp("two", gateway=BY_ADDRESS)],
            "shop/cart",
            WEB4,
            ("nondeterministic", ["edge-a", "edge-v4"], ""),
            "equal keys: the order of a Go map decides",
        ),
        ([cegp("one"), cegp("two")], "shop/cart", WEB4, GATEWAY_A4, "equal keys with equal values do no harm"),
        (
            [cegp("one"), cegp("two", to=["198.51.100.0/24"], excluded=["0.0.0.0/0"], gateway=BY_ADDRESS)],
            "shop/cart",
            "203.0.113.9",
            ("nondeterministic", ["edge-a"], ""),
            "a destination here, an exclusion there: equal keys too",
        ),
        ([cegp(gateways=[on("none"), EDGE])], "shop/cart", WEB4, GATEWAY_A4, "an entry without a node is passed over"),
        ([cegp(gateway=on("v4"), gateways=[EDGE])], "shop/cart", WEB4, GATEWAY_A4, "the list hides the single field"),
        (
            [cegp(gateway=EDGE | {"interface": "eth0", "egressIP": "203.0.113.7"})],
            "shop/cart",
            WEB4,
            NOT_MEANT,
            "interface and egressIP: the agent rejects the policy",
        ),
        ([cegp(to=["0.0.0.0/0", "nonsense"])], "shop/cart", WEB4, NOT_MEANT, "one bad CIDR rejects the whole policy"),
        ([cegp(to=["198.51.100.10/24"])], "shop/cart", WEB4, GATEWAY_A4, "host bits are cleared"),
        (
            [cegp(), settings(enable_ipv6_masquerade="false")],
            "shop/cart",
            WEB4,
            NOT_MEANT,
            "IPv6 masquerading is off and the policy has IPv6 destinations: rejected as a whole",
        ),
        (
            [cegp(to=["0.0.0.0/0"]), settings(enable_ipv6_masquerade="false")],
            "shop/cart",
            WEB4,
            GATEWAY_A4,
            "without IPv6 destinations it does not need IPv6 masquerading",
        ),
        (
            [cegp(to=["0.0.0.0/0"], excluded=["2001:db8::/32"]), settings(enable_ipv6_masquerade="false")],
            "shop/cart",
            WEB4,
            GATEWAY_A4,
            "cilium#39246: exclusions do not count for what it needs",
        ),
        ([cegp(), settings(enable_egress_gateway="false")], "shop/cart", WEB4, NOT_MEANT, "the feature is off"),
    ],
)
def test_one_flow(objects, pod, destination, expected, why):
    assert outcome(fleet(*objects), pod, destination) == expected, why


@pytest.mark.parametrize(
    ("version", "destination", "gateway", "expected", "why"),
    [
        ("1.17.9", WEB6, EDGE, ("leak_fallthrough", [], ""), "before 1.18 no IPv6 is steered"),
        ("1.17.9", WEB4, on("v4"), AT_V4, "and IPv4 does not ask for IPv6"),
        ("1.18.0", WEB6, EDGE, GATEWAY_A6, "1.18 steers IPv6 (#40075)"),
        ("1.18.0", WEB4, on("v4"), NO_EGRESS_IP, "#38995: one family without an address, none has one"),
        ("1.21.0", WEB4, on("v4", interface="eth0"), NO_EGRESS_IP, "and so does the interface, in every version"),
        ("1.19.4", WEB4, BY_ADDRESS, AT_V4, "before the fault"),
        ("1.19.4", WEB6, EDGE | {"egressIP": "192.0.2.11"}, NO_EGRESS_IP, "#44524: no IPv6 is derived from it yet"),
        ("1.20.0", WEB6, EDGE | {"egressIP": "192.0.2.11"}, GATEWAY_A6, "#44524 derives it from the same device"),
        ("1.20.0", WEB4, BY_ADDRESS, NO_EGRESS_IP, "#48660: no IPv6 address zeroes IPv4 too"),
        ("1.20.1", WEB4, BY_ADDRESS, NO_EGRESS_IP, "#48660"),
        ("1.20.1", WEB4, EDGE | {"egressIP": "192.0.2.11"}, GATEWAY_A4, "a dual-stack gateway is not touched by it"),
        ("1.20.2", WEB4, BY_ADDRESS, AT_V4, "#48661 mends it"),
        ("", WEB4, BY_ADDRESS, AT_V4, "not known: the newest"),
    ],
)
def test_versions_are_rows(version, destination, gateway, expected, why):
    cluster = fleet(cegp(gateway=gateway))
    assert outcome(cluster, "shop/cart", destination, versions={"Cilium": version}) == expected, why


@pytest.mark.parametrize("version", ["1.18.0", "1.20.0", ""])
@pytest.mark.parametrize("gateway", [on("v4"), on("v4", egressIP="192.0.2.13")])
def test_policy_of_one_family_does_not_ask_for_the_other(version, gateway):
    cluster = fleet(cegp(to=["0.0.0.0/0"], gateway=gateway))
    assert outcome(cluster, "shop/cart", WEB4, versions={"Cilium": version}) == AT_V4


def pods(labels=None, *expressions):
    """One item with a podSelector; expressions are (key, operator, values)."""
    listed = [{"key": key, "operator": operator, "values": list(values)} for key, operator, *values in expressions]
    return [{"podSelector": {"matchLabels": labels or {}, "matchExpressions": listed}}]


POD_NAMESPACE = "io.kubernetes.pod.namespace"
EVERY_POD = ("bank/ledger", "shop/cart", "shop/front")


@pytest.mark.parametrize(
    ("selectors", "selected", "why"),
    [
        (pods({POD_NAMESPACE: "shop"}), ("shop/cart", "shop/front"), "the form of Cilium's own documentation"),
        (pods({POD_NAMESPACE: "shop", "app": "cart"}), ("shop/cart",), "with a label of the pod"),
        (pods({f"k8s:{POD_NAMESPACE}": "shop"}), ("shop/cart", "shop/front"), "with the source of the label"),
        (pods({f"any:{POD_NAMESPACE}": "shop", "k8s:app": "cart"}), ("shop/cart",), "any source"),
        (pods({"k8s:app": "cart", "app": "ledger"}), (), "both forms of one key must hold"),
        (pods(None, (POD_NAMESPACE, "In", "shop", "bank"), ("app", "NotIn", "front")), EVERY_POD[:2], "a list"),
        (pods({POD_NAMESPACE: "shop"}, (POD_NAMESPACE, "In", "bank")), (), "no namespace has two names"),
        (pods(None, (POD_NAMESPACE, "NotIn", "bank")), EVERY_POD[1:], "all but one"),
        (pods(None, (POD_NAMESPACE, "Exists")), EVERY_POD, "every pod has a namespace"),
        (pods(None, (POD_NAMESPACE, "DoesNotExist")), (), "no pod has none"),
        (pods({"io.cilium.k8s.namespace.labels.team": "bank"}), ("bank/ledger",), "a label of the namespace"),
        (pods(None, ("io.cilium.k8s.namespace.labels.team", "NotIn", "bank")), EVERY_POD[1:], "negated"),
        (pods({"container:app": "cart"}), (), "labels of pods have no such source"),
        (pods(None, ("container:app", "DoesNotExist")), EVERY_POD, "which is why it does not exist"),
        (pods(None, ("container:app", "NotIn", "cart")), EVERY_POD, "nor has a value"),
        (pods({"io.cilium.k8s.policy.cluster": "default"}), EVERY_POD, "the name of a cluster that is not given one"),
        (pods({"io.cilium.k8s.policy.cluster": "east"}), (), "another cluster"),
        (pods(None, ("io.cilium.k8s.policy.serviceaccount", "Exists")), EVERY_POD, "every pod has one"),
        (
            [SHOP | pods({POD_NAMESPACE: "bank"})[0]],
            (),
            "namespaceSelector and podSelector of one item must both fit",
        ),
        (pods({POD_NAMESPACE: "bank"}) + pods({"app": "front"}), ("bank/ledger", "shop/front"), "items are joined"),
    ],
)
def test_pods_are_selected_by_labels_of_their_identity(selectors, selected, why):
    cluster = fleet(cegp(selectors=selectors), settings(cluster_name="default"))
    found = tuple(name for name in EVERY_POD if outcome(cluster, name, WEB4)[0] == "via_gateway")
    assert found == selected, why


def test_namespace_by_name_needs_no_labels_of_namespaces():
    cluster = fleet(cegp(selectors=pods({POD_NAMESPACE: "shop"})), namespaces={})
    assert outcome(cluster, "shop/cart", WEB4) == GATEWAY_A4
    assert outcome(cluster, "bank/ledger", WEB4) == NOT_MEANT
    asked = fleet(cegp(selectors=pods({"io.cilium.k8s.namespace.labels.team": "shop"})), namespaces={})
    assert outcome(asked, "shop/cart", WEB4)[0] == "unknown", "and its labels do"


def test_service_account_is_not_in_the_dump_so_the_verdict_is_open():
    cluster = fleet(cegp(selectors=pods({POD_NAMESPACE: "shop", "io.cilium.k8s.policy.serviceaccount": "till"})))
    assert outcome(cluster, "shop/cart", WEB4) == ("unknown", ["edge-a"], "")
    assert outcome(cluster, "bank/ledger", WEB4) == NOT_MEANT
    words = [each[3] for each in read_gateways(cluster)[1] if each[1] == "egress-unknown"]
    assert any("service account" in each for each in words)


def test_cluster_name_is_open_without_the_agents_settings():
    asked = cegp(selectors=pods({"io.cilium.k8s.policy.cluster": "default"}))
    assert outcome(fleet(asked), "shop/cart", WEB4)[0] == "unknown"
    assert outcome(fleet(asked, settings()), "shop/cart", WEB4) == GATEWAY_A4, "not set: default"
    assert outcome(fleet(asked, settings(cluster_name="east")), "shop/cart", WEB4) == NOT_MEANT


@pytest.mark.parametrize(
    ("version", "expected", "why"),
    [
        ("1.19.5", NOT_MEANT, "the key is taken as it is, and is no key of a label"),
        ("1.20.0", GATEWAY_A4, "the source is split off"),
        ("", GATEWAY_A4, "the newest"),
    ],
)
def test_sources_of_labels_are_read_from_1_20_on(version, expected, why):
    cluster = fleet(cegp(selectors=pods({"k8s:app": "cart"})))
    assert outcome(cluster, "shop/cart", WEB4, versions={"Cilium": version}) == expected, why
    found = rules(cluster, versions={"Cilium": version})
    assert (("egress-invalid-selector", "CiliumEgressGatewayPolicy/a") in found) == (expected == NOT_MEANT)


WORKERS = SHOP | {"nodeSelector": {"matchLabels": {"role": "worker"}}}


@pytest.mark.parametrize(
    ("version", "policy", "pod", "expected", "why"),
    [
        ("1.17.9", cegp(gateway=BY_ADDRESS, gateways=[EDGE]), "shop/cart", AT_V4, "no list yet: the single field"),
        ("1.18.0", cegp(gateway=BY_ADDRESS, gateways=[EDGE]), "shop/cart", GATEWAY_A4, "the list"),
        ("1.17.9", cegp(gateway=None, gateways=[EDGE]), "shop/cart", NOT_MEANT, "no gateway is left: rejected"),
        ("1.16.9", cegp(selectors=[WORKERS]), "shop/on-edge", GATEWAY_A4, "no nodeSelector yet: any node"),
        ("1.17.0", cegp(selectors=[WORKERS]), "shop/on-edge", NOT_MEANT, "only on workers"),
    ],
)
def test_fields_that_a_version_does_not_have_are_dropped(version, policy, pod, expected, why):
    cluster = fleet(policy)
    assert outcome(cluster, pod, WEB4, versions={"Cilium": version}) == expected, why
    found = ("egress-unknown-field", "CiliumEgressGatewayPolicy/a") in rules(cluster, versions={"Cilium": version})
    assert found == (version in {"1.17.9", "1.16.9"})


def test_node_selectors_take_the_source_too():
    gateway = {"nodeSelector": {"matchLabels": {"k8s:egress": "yes"}}}
    selectors = [SHOP | {"nodeSelector": {"matchLabels": {"k8s:role": "worker"}}}]
    cluster = fleet(cegp(selectors=selectors, gateway=gateway))
    assert outcome(cluster, "shop/cart", WEB4) == GATEWAY_A4
    assert outcome(cluster, "shop/on-edge", WEB4) == NOT_MEANT


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"destinationCIDRs": EVERYWHERE, "selectors": [SHOP]}, "no gateway at all"),
        ({"selectors": [SHOP], "egressGateway": EDGE}, "no destinationCIDRs"),
    ],
)
def test_what_the_agent_cannot_parse_is_rejected_as_a_whole(spec, why):
    cluster = fleet(named("CiliumEgressGatewayPolicy", "a", spec, api="cilium.io/v2"))
    assert outcome(cluster, "shop/cart", WEB4) == NOT_MEANT, why
    assert ("egress-policy-rejected", "CiliumEgressGatewayPolicy/a") in rules(cluster)


def test_version_is_read_from_the_agents_image():
    agent = {"containers": [{"name": "cilium-agent", "image": "quay.io/cilium/cilium:v1.17.3@sha256:00"}]}
    daemon = named("DaemonSet", "cilium", {"template": {"spec": agent}}, api="apps/v1", namespace="kube-system")
    assert outcome(fleet(cegp(), daemon), "shop/cart", WEB6)[0] == "leak_fallthrough"


def test_ipv6_egress_ip_is_refused_before_1_20():
    cluster = fleet(cegp(to=["::/0"], gateway=EDGE | {"egressIP": "2001:db8::99"}))
    assert outcome(cluster, "shop/cart", WEB6, versions={"Cilium": "1.19.0"})[0] is None
    assert outcome(cluster, "shop/cart", WEB6, versions={"Cilium": "1.20.2"})[2] == "2001:db8::99"


def test_several_gateways_share_pods_by_hash_of_the_endpoint():
    uids = {"cart": "0b1c8f0e-0001-4000-8000-000000000001", "front": "0b1c8f0e-0001-4000-8000-000000000002"}
    ends = [
        {"apiVersion": "cilium.io/v2", "kind": "CiliumEndpoint", "metadata": {"namespace": "shop", "name": n, "uid": u}}
        for n, u in uids.items()
    ]
    cluster = fleet(cegp(gateways=[BY_ADDRESS, EDGE]), *ends)
    by_ip = ["edge-a", "edge-v4"]  # 192.0.2.11 before 192.0.2.13, whatever the order of the list
    for name, uid in uids.items():
        expected = by_ip[int(fnv_1a([uid])[0]) % 2]
        assert outcome(cluster, f"shop/{name}", WEB4)[:2] == ("via_gateway", [expected])
    unknown = outcome(cluster, "shop/on-edge", WEB4)
    assert unknown == ("via_gateway", by_ip, ""), "without the UID both are possible, and none is guessed"
    six = {name: outcome(cluster, f"shop/{name}", WEB6)[0] for name in uids}
    hashes = {name: int(fnv_1a([uid])[0]) % 2 for name, uid in uids.items()}
    assert six == {name: ("via_gateway", "dropped_no_egress_ip")[place] for name, place in hashes.items()}


def test_one_gateway_more_moves_most_pods():
    hashes = fnv_1a([f"0b1c8f0e-0001-4000-8000-{place:012d}" for place in range(6_000)])
    moved = float((hashes % 2 != hashes % 3).mean())
    assert moved == pytest.approx(2 / 3, abs=0.02), "cilium#39245: a modulo, not a consistent hash"


def test_a_gateway_that_is_down_stays_chosen():
    cluster = fleet(cegp())
    assert outcome(cluster, "shop/cart", WEB4, failed=["edge-a"])[0] == "dropped_no_gateway"
    assert "keeps a gateway" in reason(cluster, "shop/cart", WEB4, failed=["Node/edge-a"])
    assert outcome(cluster, "shop/cart", WEB4, failed=["edge-b"]) == GATEWAY_A4


@pytest.mark.parametrize(
    ("unknown", "gateway", "expected", "why"),
    [
        ("edge-a", EDGE, ("unknown", ["edge-b"], ""), "it comes before edge-b, if it fits"),
        ("edge-b", EDGE, GATEWAY_A4, "edge-a comes before it anyway"),
        ("worker", EDGE, GATEWAY_A4, "so it does before worker"),
        ("edge-v6", on("none"), ("dropped_no_gateway", [], ""), "a node without IPv4 is passed over whatever it has"),
        ("worker", on("none"), ("unknown", [], ""), "none fits, if this one does not"),
        ("edge-a", {"nodeSelector": {}}, GATEWAY_A4, "every node fits"),
    ],
)
def test_labels_of_nodes_that_are_not_known(unknown, gateway, expected, why):
    cluster = unlabelled(fleet(cegp(gateway=gateway)), unknown)
    assert outcome(cluster, "shop/cart", WEB4) == expected, why


def test_labels_that_are_not_known_leave_it_open():
    cluster = fleet(cegp(), namespaces={})
    assert outcome(cluster, "shop/cart", WEB4) == ("unknown", ["edge-a"], "")
    by_name = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    cluster = fleet(cegp(selectors=[by_name]), namespaces={})
    assert outcome(cluster, "shop/cart", WEB4) == GATEWAY_A4, "the API server gives every namespace its name"
    assert outcome(cluster, "bank/ledger", WEB4) == NOT_MEANT


@pytest.mark.parametrize(
    ("objects", "rule", "why"),
    [
        ([cegp(gateway=on("none"))], "egress-no-gateway", "no node"),
        ([cegp(gateway=on("v4"))], "egress-no-egress-ip", "no address of the family"),
        ([cegp("a"), cegp("b", gateway=on("v4"))], "egress-conflict", "equal keys"),
        ([cegp(selectors=[{"podSelector": {"matchLabels": {"app": "none"}}}])], "egress-selects-nothing", "no pod"),
        ([cegp(selectors=[{}])], "egress-policy-rejected", "neither selector"),
        ([cegp(to=["10.0.0.0/33"])], "egress-invalid-cidr", "no CIDR"),
        ([cegp(egressGatway={})], "egress-unknown-field", "a field with a slip of the pen"),
        ([cegp(gateway=EDGE | {"egressIp": "192.0.2.1"})], "egress-unknown-field", "in the gateway"),
        ([cegp(gateways=[EDGE | {"iface": "eth0"}])], "egress-unknown-field", "in one of the list"),
        ([cegp(selectors=[SHOP | {"podSelectr": {}}])], "egress-unknown-field", "in a selector's item"),
        ([cegp(selectors=[{"podSelector": {"matchLabel": {"a": "b"}}}])], "egress-unknown-field", "selects all now"),
        ([cegp(to="0.0.0.0/0")], "egress-invalid-cidr", "letters of a text are no CIDRs"),
        ([cegp(gateways=[EDGE] * 65)], "egress-policy-rejected", "at most 64"),
        ([cegp(gateways=[EDGE])], "egress-gateway-ignored", "both fields"),
        ([cegp(to=["0.0.0.0/0"], excluded=["2001:db8::/32"])], "egress-exclusion-alone", "a family without need"),
        ([cegp(to=["0.0.0.0/0"])], "egress-one-family", "IPv6 of these pods is not steered"),
        ([cegp()], "egress-version-assumed", "which behaviour was assumed"),
        ([cegp(), settings(enable_cilium_endpoint_slice="true")], "egress-agent-may-refuse", "cilium#24833"),
        (
            [cegp(selectors=[{"podSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}])],
            "egress-invalid-selector",
            "no operator",
        ),
    ],
)
def test_findings(objects, rule, why):
    assert (rule, "CiliumEgressGatewayPolicy/a") in rules(fleet(*objects)), why


def sized(size):
    return settings(egress_gateway_policy_map_max=size)


@pytest.mark.parametrize(
    ("objects", "families", "why"),
    [
        ([cegp(), sized("2")], {"IPv4", "IPv6"}, "three pods of shop in each family"),
        ([cegp(), sized("3")], set(), "and three fit"),
        ([cegp(to=["0.0.0.0/0", "10.9.0.0/16"], excluded=["::/0"]), sized("5")], {"IPv4"}, "2 CIDRs: six entries"),
        ([cegp(to=["0.0.0.0/0"], excluded=["10.0.0.0/8"]), sized("5")], {"IPv4"}, "an exclusion is an entry too"),
        ([cegp("a"), cegp("b"), sized("3")], set(), "one key of two policies is one entry"),
        ([cegp("a"), cegp("b", selectors=[CART]), sized("3")], set(), "also where only some pods are selected twice"),
        ([cegp(gateway=EDGE | {"interface": "x", "egressIP": "192.0.2.1"}), sized("1")], set(), "rejected: no entry"),
        ([cegp(), sized("many")], set(), "no number: 16,384"),
        ([cegp(), sized("0")], set(), "nor is 0 a size"),
    ],
)
def test_a_map_that_is_full(objects, families, why):
    found = [message for _, rule, _, message in read_gateways(fleet(*objects))[1] if rule == "egress-map-full"]
    assert {message.split()[0] for message in found} == families, why


@pytest.mark.parametrize(
    "spec", [None, 7, [], {"selectors": {"a": 1}}, {"egressGateway": "x", "destinationCIDRs": [1]}]
)
def test_no_object_breaks_the_reader(spec):
    cluster = fleet(named("CiliumEgressGatewayPolicy", "a", spec, api="cilium.io/v2"))
    assert outcome(cluster, "shop/cart", WEB4) == NOT_MEANT
    assert rules(cluster)


def test_table_lists_who_serves_and_what_happens_without():
    cluster = fleet(cegp(gateway=BY_ADDRESS))
    rows = {str(row.family): row for row in gateway_table(read_gateways(cluster)[0], cluster)}
    assert rows["IPv4"].gateway_nodes == ("edge-v4",)
    assert rows["IPv4"].egress_addresses == ("192.0.2.13",)
    assert (rows["IPv4"].standby, str(rows["IPv4"].on_missing)) == ((), "dropped_no_gateway")
    assert (rows["IPv6"].gateway_nodes, str(rows["IPv6"].verdict)) == ((), "dropped_no_egress_ip")


def test_host_network_pods_are_no_endpoints():
    cluster = fleet(cegp(), host=["shop/cart"])
    policies, _ = read_gateways(cluster)
    steering = steer(policies, flows_of(cluster, [("shop/cart", WEB4), ("shop/front", WEB4)], V4), cluster)
    assert [row_of(steering, row, cluster)[0] for row in (0, 1)] == [None, "via_gateway"]


def test_hash_of_nothing_and_of_many_lengths():
    assert [hex(each) for each in fnv_1a(["foobar", "", "a"])] == ["0xbf9cf968", "0x811c9dc5", "0xe40c292c"]
    assert fnv_1a([]).dtype == np.uint32
