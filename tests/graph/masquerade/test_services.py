"""kube-proxy's flows, row by row: which endpoints, and whether the source is masqueraded."""

import itertools

import numpy as np
import pytest

from dsmodel import errors
from dsmodel.addresses.cidr import IPFamily
from dsmodel.graph.masquerade import KubeProxy
from dsmodel.graph.masquerade.services import ENDPOINTS, SOURCES, TARGETS, ServiceFlows, service_traffic

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
DETECTOR = {V4: "10.0.0.0/8", V6: "fd00:10::/64"}
POLICY = {"svc1": "", "svc2": "eTP Local", "svc3": "iTP Local"}

# TestInternalExternalMasquerade of pkg/proxy/iptables/proxier_test.go: Service, source, target, endpoints, masqueraded.
# One local and one remote endpoint each; svc2 has externalTrafficPolicy Local, svc3 internalTrafficPolicy Local.
BASE = [
    ("svc1", "pod", "ClusterIP", "all", False),
    ("svc1", "pod", "NodePort", "all", True),
    ("svc1", "pod", "LoadBalancer", "all", True),
    ("svc1", "node", "ClusterIP", "all", True),
    ("svc1", "node", "NodePort", "all", True),
    ("svc1", "localhost", "NodePort", "all", True),
    ("svc1", "node", "LoadBalancer", "all", True),
    ("svc1", "external", "ClusterIP", "all", True),
    ("svc1", "external", "NodePort", "all", True),
    ("svc1", "external", "LoadBalancer", "all", True),
    ("svc2", "pod", "ClusterIP", "all", False),
    ("svc2", "pod", "NodePort", "all", False),
    ("svc2", "pod", "LoadBalancer", "all", False),
    ("svc2", "node", "ClusterIP", "all", True),
    ("svc2", "node", "NodePort", "all", True),
    ("svc2", "localhost", "NodePort", "all", True),
    ("svc2", "node", "LoadBalancer", "all", True),
    ("svc2", "external", "ClusterIP", "all", True),
    ("svc2", "external", "NodePort", "local", False),
    ("svc2", "external", "LoadBalancer", "local", False),
    ("svc3", "pod", "ClusterIP", "local", False),
    ("svc3", "pod", "NodePort", "all", True),
    ("svc3", "pod", "LoadBalancer", "all", True),
    ("svc3", "node", "ClusterIP", "local", True),
    ("svc3", "node", "NodePort", "all", True),
    ("svc3", "localhost", "NodePort", "all", True),
    ("svc3", "node", "LoadBalancer", "all", True),
    ("svc3", "external", "ClusterIP", "local", True),
    ("svc3", "external", "NodePort", "all", True),
    ("svc3", "external", "LoadBalancer", "all", True),
]
SERVICES, NO_MASK, MASK = ("svc1", "svc2", "svc3"), False, True
NO_DETECTOR = {(svc, source, "ClusterIP"): (None, NO_MASK) for svc in SERVICES for source in ("node", "external")}
POD_IS_OUTSIDE = {("svc2", "pod", target): ("local", NO_MASK) for target in ("NodePort", "LoadBalancer")}
POD_IS_MARKED = {(svc, "pod", "ClusterIP"): (None, MASK) for svc in SERVICES}
CONFIGURATIONS = {
    "base": (True, False, {}, 0),
    "no detector": (False, False, NO_DETECTOR | POD_IS_OUTSIDE, 8),
    "masqueradeAll": (True, True, POD_IS_MARKED, 3),
    "both": (False, True, POD_IS_MARKED | POD_IS_OUTSIDE, 5),
}


def test_the_tables_have_the_size_of_those_they_restate() -> None:
    assert len(BASE) == 30
    assert sum(row[1] != "localhost" for row in BASE) == 27
    assert [len(overrides) for _, _, overrides, _ in CONFIGURATIONS.values()] == [
        count for _, _, _, count in CONFIGURATIONS.values()
    ]


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize("row", BASE, ids=[" ".join(row[:3]) for row in BASE])
def test_every_row(row: tuple[str, str, str, str, bool], configuration: str, mode: str) -> None:
    service, source, target, endpoints, masqueraded = row
    if mode == "nftables" and source == "localhost":
        endpoints, masqueraded = "none", False  # nftables has no such row: it opens no node ports on loopback
    detects, everything, overrides, _ = CONFIGURATIONS[configuration]
    changed = overrides.get((service, source, target), (None, masqueraded))
    expected = changed[0] or endpoints, changed[1]
    for family in IPFamily:
        if source == "localhost" and family is V6:
            continue  # the next test
        proxy = KubeProxy(mode=mode, cluster_cidrs=(DETECTOR[family],) if detects else (), masquerade_all=everything)
        answer = service_traffic(proxy, ServiceFlows.of(target, source, policy=POLICY[service]), family=family)
        assert (ENDPOINTS[answer.endpoints[0]].value, bool(answer.marked[0])) == expected, answer.rules[answer.rule[0]]


def test_no_node_ports_on_the_ipv6_loopback() -> None:
    answer = service_traffic(KubeProxy(), ServiceFlows.of("NodePort", "localhost"), family=V6)
    assert ENDPOINTS[answer.endpoints[0]].value == "none"


OTHERS = [
    ("eTP Local without an endpoint drops", "NodePort", "external", "eTP Local", False, "none", False),
    ("iTP Local without an endpoint drops", "ClusterIP", "pod", "iTP Local", False, "none", False),
    ("eTP Local from a pod needs no endpoint here", "LoadBalancer", "pod", "eTP Local", False, "all", False),
    ("externalIPs are as load balancers", "externalIP", "external", "eTP Local", True, "local", False),
    ("externalIPs of policy Cluster", "externalIP", "pod", "", True, "all", True),
    ("iTP Local does not hold for node ports", "NodePort", "external", "iTP Local", False, "all", True),
]


@pytest.mark.parametrize(
    ("reason", "target", "source", "policy", "local", "endpoints", "marked"), OTHERS, ids=[row[0] for row in OTHERS]
)
def test_policies(
    reason: str, target: str, source: str, policy: str, endpoints: str, *, local: bool, marked: bool
) -> None:
    flow = ServiceFlows.of(target, source, policy=policy, local_endpoints=local)
    answer = service_traffic(KubeProxy(cluster_cidrs=("10.0.0.0/8",)), flow, family=V4)
    assert (ENDPOINTS[answer.endpoints[0]].value, bool(answer.marked[0])) == (endpoints, marked), reason


def test_a_flow_to_its_own_pod_is_marked() -> None:
    flow = ServiceFlows.of("ClusterIP", "pod")
    flow.hairpin[:] = True
    answer = service_traffic(KubeProxy(cluster_cidrs=("10.0.0.0/8",)), flow, family=V4)
    assert bool(answer.marked[0])
    assert answer.rules[answer.rule[0]].startswith("hairpin")


def test_one_family_without_cidr_changes_that_family_alone() -> None:
    proxy = KubeProxy(cluster_cidrs=("10.244.0.0/16",))
    flow = ServiceFlows.of("ClusterIP", "external")
    assert [bool(service_traffic(proxy, flow, family=family).marked[0]) for family in IPFamily] == [True, False]


MODES = [
    ("NodeCIDR tells both families", KubeProxy(detect_local_mode="NodeCIDR"), ["source", "source"]),
    (
        "an interface tells both families",
        KubeProxy(detect_local_mode="InterfaceNamePrefix", interface="veth"),
        ["interface", "interface"],
    ),
    ("without its name it tells none", KubeProxy(detect_local_mode="BridgeInterface"), ["none", "none"]),
    ("ClusterCIDR of one family", KubeProxy(cluster_cidrs=("fd00::/48",)), ["none", "source"]),
]


@pytest.mark.parametrize(("reason", "proxy", "detectors"), MODES, ids=[row[0] for row in MODES])
def test_local_modes(reason: str, proxy: KubeProxy, detectors: list[str]) -> None:
    assert [str(proxy.detector(family)) for family in IPFamily] == detectors, reason


def test_ipvs_says_unknown_where_the_sources_do_not_say() -> None:
    flow = ServiceFlows.of("NodePort", "pod", policy="eTP Local")
    answer = service_traffic(KubeProxy(mode="ipvs", cluster_cidrs=("10.0.0.0/8",)), flow, family=V4)
    assert ENDPOINTS[answer.endpoints[0]].value == "unknown"
    bare = service_traffic(KubeProxy(mode="ipvs"), ServiceFlows.of("ClusterIP", "external"), family=V4)
    assert (bool(bare.marked[0]), bare.rules[bare.rule[0]]) == (
        False,
        "no CIDR of IPv4 tells local pods: only a source that is a virtual address is marked",
    )


def test_columns_are_one_flow_at_a_time() -> None:
    shapes = np.array(list(itertools.product(range(4), range(4), *[(0, 1)] * 4)), np.uint8)
    rng = np.random.default_rng(1)
    rows = shapes[rng.integers(len(shapes), size=2000)]
    flows = ServiceFlows(rows[:, 0], rows[:, 1], *(rows[:, place].astype(np.bool_) for place in range(2, 6)))
    proxy = KubeProxy(cluster_cidrs=("10.0.0.0/8",))
    together = service_traffic(proxy, flows, family=V4)
    for row in range(100):
        one = ServiceFlows(*(column[row : row + 1] for column in vars(flows).values()))
        alone = service_traffic(proxy, one, family=V4)
        assert (alone.endpoints[0], alone.marked[0]) == (together.endpoints[row], together.marked[row])


def test_words_that_are_none_are_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="no such flow: 'internet'"):
        ServiceFlows.of("ClusterIP", "internet")
    no = np.zeros(1, np.bool_)
    with pytest.raises(errors.InvalidInput, match="target 9 has no word"):
        ServiceFlows(np.array([9], np.uint8), np.zeros(1, np.uint8), no, no, no, no)
    with pytest.raises(errors.InvalidInput, match="columns of"):
        ServiceFlows(np.zeros(2, np.uint8), np.zeros(1, np.uint8), no, no, no, no)
    assert (len(TARGETS), len(SOURCES)) == (4, 4)
