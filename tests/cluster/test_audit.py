"""Every rule of the audit finds its fault and no other, and a sound cluster has none."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsmodel as ds
from dsmodel import Cidr, Cluster, ClusterConfig, errors, examples
from dsmodel.addresses.arrays import from_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.checks import RULES, findings_table
from dsmodel.cluster.checks.nodes import _start_up
from dsmodel.cluster.checks.rules import Subject
from dsmodel.cluster.objects import NetworkObjects
from dsmodel.cluster.schema import ALLOWED_SOURCES, NODES, PODS, SERVICES
from dsmodel.cluster.table import Table
from dsmodel.cni import Calico, OVNKubernetes, Whereabouts
from dsmodel.cni.calico import IPPool
from dsmodel.cni.whereabouts import read_ranges
from dsmodel.errors import InvalidConfig
from dsmodel.io.samples import SAMPLES, sample_path
from dsmodel.kube.node_ipam import NodeIPAM

RANGES = {
    "cluster_cidrs": ["10.244.0.0/16", "fd00:10:244::/56"],
    "service_cidrs": ["10.96.0.0/24", "fd00:10:96::/112"],
}
CONFIG = ClusterConfig.of(**RANGES)
NODE_COLUMNS = ["name", "pod_cidr_ipv4", "pod_cidr_ipv6", "primary_ip_family", "internal_ipv4", "internal_ipv6"]
SOUND = {
    "nodes": [
        {
            "name": f"n{row}",
            "pod_cidr_ipv4": f"10.244.{row}.0/24",
            "pod_cidr_ipv6": f"fd00:10:244:{row}::/64",
            "primary_ip_family": "IPv4",
            "internal_ipv4": f"192.0.2.{row + 1}",
            "internal_ipv6": f"2001:db8::{row + 1}",
            "node_pool": "general",
            "allocatable_pods": 110,
        }
        for row in range(3)
    ],
    "pods": [
        {"name": f"p{row}", "node": row, "pod_ipv4": f"10.244.{row}.2", "pod_ipv6": f"fd00:10:244:{row}::2"}
        for row in range(3)
    ],
    "services": [
        {
            "name": f"s{row}",
            "type": "ClusterIP",
            "ip_family_policy": "RequireDualStack",
            "ip_families": "IPv4,IPv6",
            "cluster_ipv4": f"10.96.0.{row + 30}",
            "cluster_ipv6": f"fd00:10:96::{row + 30}",
        }
        for row in range(2)
    ],
    "node_ports": [30100, 30101],
}


def build(config=CONFIG, *, findings=None, **changes):
    """Return the sound cluster with some of its rows changed: table -> row -> columns, or None for no pods."""
    rows = {name: [dict(row) for row in SOUND[name]] for name in ("nodes", "pods", "services")}
    for name, by_row in changes.items():
        if name == "node_ports":
            continue
        for row, columns in by_row.items():
            rows[name][row].update(columns)
    words = {"pods": {"namespace": "default", "phase": "Running"}, "services": {"namespace": "default"}}
    schemas = {"nodes": NODES, "pods": PODS, "services": SERVICES}
    tables = {
        name: Table.from_frame(schemas[name], pd.DataFrame(given).assign(**words.get(name, {})))
        for name, given in rows.items()
    }
    ports = np.array(changes.get("node_ports", SOUND["node_ports"]))
    given = findings_table(findings) if findings else None
    return Cluster.from_tables(config, **tables, node_ports=ports, findings=given)


def rules(frame):
    return sorted(set(frame["rule"]))


def change(**fields):
    return ClusterConfig.of(**{**RANGES, **fields})


def leaking():
    cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/22", "fd00::/64"]))
    cluster.add_nodes(2)
    cluster.remove_nodes([1])
    return cluster


def port_twice():
    cluster = build(node_ports=[30100, 30101])
    table = cluster.node_ports.replace(
        {"service": np.array([0, 1], np.int32), "node_port": np.full(2, 30100, np.uint16)}
    )
    cluster.node_ports = table
    return cluster


def crowded():
    return build(
        nodes={0: {"allocatable_pods": 1}},
        pods={1: {"node": 0, "pod_ipv4": "10.244.0.3", "pod_ipv6": "fd00:10:244::3"}},
    )


# rule -> (cluster with that one fault, further arguments of check)
def with_plugin(plugin):
    """Return the sound configuration with three nodes of a plugin."""
    cluster = Cluster(CONFIG, network_plugin=plugin)
    cluster.add_nodes(3)
    return cluster


def moved_pod():
    """Return a cluster one pod of which has an address of no block."""
    cluster = with_plugin("kubenet")
    cluster.add_pods([0, 1])
    column = cluster.pods["pod_ipv4"].copy()
    column[1] += 1 << 20
    cluster.pods = cluster.pods.replace({"pod_ipv4": column})
    return cluster


def open_load_balancer(sources):
    """Return a dual-stack load balancer that lets in some ranges."""
    cluster = build(services={1: {"type": "LoadBalancer", "external_ipv4": "198.51.100.7",
                                  "external_ipv6": "2001:db8:1::7"}})  # fmt: skip
    rows = {"service": np.ones(len(sources), np.int32)}
    for family, end in ((IPFamily.IPV4, "ipv4"), (IPFamily.IPV6, "ipv6")):
        cidrs = [cidr if cidr.family is family else None for cidr in map(Cidr, sources)]
        numbers = [cidr.first if cidr else 0 for cidr in cidrs]
        rows[f"source_{end}"] = from_integers(numbers, family=family)
        rows[f"source_{end}_mask"] = np.array([cidr.prefix_length if cidr else 0 for cidr in cidrs], np.uint8)
        rows[f"has_source_{end}"] = np.array([cidr is not None for cidr in cidrs])
    cluster.allowed_sources = Table(ALLOWED_SOURCES, rows)
    return cluster


def policy(spec):
    """Return a NetworkPolicy."""
    return "NetworkPolicy", "networking.k8s.io/v1", {"podSelector": {}, **spec}


def with_objects(*objects):
    """Return the sound cluster with objects: kind, apiVersion, spec."""
    cluster = build()
    cluster.objects = NetworkObjects().adding(
        {"apiVersion": version, "kind": kind, "metadata": {"name": f"x{place}", "namespace": "default"}, "spec": spec}
        for place, (kind, version, spec) in enumerate(objects)
    )
    return cluster


FAULTS = {
    "node-ipam-does-not-start": lambda: (build(change(node_cidr_mask_sizes={"IPv4": 12})), {}),
    "node-pod-cidr-duplicate": lambda: (build(nodes={2: {"pod_cidr_ipv4": "10.244.1.0/24"}}, pods={2: {"node": 1,
        "pod_ipv4": "10.244.1.9", "pod_ipv6": "fd00:10:244:1::9"}}), {}),
    "node-pod-cidr-out-of-range": lambda: (build(nodes={2: {"pod_cidr_ipv6": "fd00:10:245::/64"}},
                                                 pods={2: {"pod_ipv6": "fd00:10:245::2"}}), {}),
    "node-pod-cidr-order": lambda: (build(nodes={2: {"primary_ip_family": "IPv6"}}), {}),
    "node-pod-cidr-extra": lambda: (build(ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"],
                                                           service_cidrs=RANGES["service_cidrs"])), {}),
    "node-without-pod-cidr": lambda: (build(nodes={2: {"pod_cidr_ipv4": None, "pod_cidr_ipv6": None,
        "primary_ip_family": ""}}, pods={2: {"pod_ipv4": None, "pod_ipv6": None}}), {}),
    "node-one-family": lambda: (build(nodes={2: {"pod_cidr_ipv6": None}}, pods={2: {"pod_ipv6": None}}), {}),
    "node-blocks-share-unit": lambda: (build(nodes={1: {"pod_cidr_ipv4": "10.244.1.0/25"},
                                                    2: {"pod_cidr_ipv4": "10.244.1.128/25"}},
                                             pods={2: {"pod_ipv4": "10.244.1.130"}}), {}),
    "node-mask-differs": lambda: (build(nodes={1: {"pod_cidr_ipv4": "10.244.2.0/23"}, 2: {"pod_cidr_ipv4":
        "10.244.1.0/24"}}, pods={1: {"pod_ipv4": "10.244.2.2"}, 2: {"pod_ipv4": "10.244.1.2"}}), {}),
    "node-blocks-lost": lambda: (leaking(), {}),
    "max-pods-above-block": lambda: (build(nodes={1: {"allocatable_pods": 300}}), {}),
    "node-over-max-pods": lambda: (crowded(), {}),
    "node-address-duplicate": lambda: (build(nodes={1: {"internal_ipv6": "2001:db8::1"}}), {}),
    "node-address-one-family": lambda: (build(nodes={1: {"internal_ipv6": None}}), {}),
    "pod-address-duplicate": lambda: (build(pods={1: {"node": 0, "pod_ipv4": "10.244.0.2",
                                                      "pod_ipv6": "fd00:10:244::7"}}), {}),
    "pod-outside-node-block": lambda: (build(pods={1: {"pod_ipv4": "10.9.9.9"}}), {}),
    "pod-one-family": lambda: (build(pods={1: {"pod_ipv4": None}}), {}),
    "host-local-leak": lambda: (build(), {"host_local": {"n0": {"reserved": {
        "10.244.0.2": "p0 eth0", "fd00:10:244::2": "p0 eth0", "10.244.0.9": "gone eth0"}}}}),
    "host-local-missing": lambda: (build(), {"host_local": {"n0": {"reserved": {"10.244.0.2": "p0 eth0"}}}}),
    "cluster-ip-duplicate": lambda: (build(services={1: {"cluster_ipv4": "10.96.0.30"}}), {}),
    "cluster-ip-out-of-range": lambda: (build(services={1: {"cluster_ipv6": "fd00:10:97::1"}}), {}),
    "node-port-duplicate": lambda: (port_twice(), {}),
    "node-port-out-of-range": lambda: (build(node_ports=[30100, 20000]), {}),
    "service-one-family": lambda: (build(services={1: {"ip_family_policy": "SingleStack", "ip_families": "IPv4",
                                                       "cluster_ipv6": None}}), {}),
    "service-family-missing": lambda: (build(services={1: {"cluster_ipv6": None}}), {}),
    "load-balancer-one-family": lambda: (build(services={1: {"type": "LoadBalancer", "external_ipv4":
                                                             "198.51.100.7"}}), {}),
    "ip-address-leaked": lambda: (build(findings=[("warning", "ip-address-leaked", "IPAddress/10.96.0.99",
                                                   "is held for nobody")]), {}),
    "service-range-fills-cluster-cidr": lambda: (Cluster(ClusterConfig.of(cluster_cidrs=["10.111.0.0/16"],
                                                                         service_cidrs=["10.96.0.0/12"])), {}),
    "service-range-in-cluster-cidr": lambda: (Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"],
                                                                      service_cidrs=["10.244.9.0/28"])), {}),
    "service-cidr-over-pods": lambda: (build(change(extra_service_cidrs=["10.244.128.0/24"])), {}),
    "node-address-in-pod-range": lambda: (build(nodes={1: {"internal_ipv4": "10.244.200.1"}}), {}),
    "node-address-in-service-range": lambda: (build(nodes={1: {"internal_ipv6": "fd00:10:96::7"}}), {}),
    "external-address-in-range": lambda: (build(services={1: {"type": "LoadBalancer", "external_ipv4": "10.244.77.1",
                                                              "external_ipv6": "2001:db8:1::1"}}), {}),
    "peer-overlap": lambda: (build(), {"peers": {"site": "192.0.2.0/24"}}),
    "reserved-overlap": lambda: (build(), {"reserved": ["10.96.0.0/12"]}),
    "peers-overlap": lambda: (build(), {"peers": {"a": "172.16.0.0/12", "b": ["172.20.0.0/16"]}}),
    "pod-outside-plugin-ranges": lambda: (moved_pod(), {}),
    "plugin-lacks-family": lambda: (with_plugin(Calico([IPPool("p", Cidr("10.244.0.0/16"), 26)])), {}),
    "plugin-range-over-services": lambda: (with_plugin(Whereabouts(read_ranges({"range": "10.96.0.0/25"}))), {}),
    "node-without-plugin-range": lambda: (with_plugin(OVNKubernetes("10.244.0.0/23,fd00:10:244::/56")), {}),
    "load-balancer-sources-one-family": lambda: (open_load_balancer(["10.0.0.0/8", "192.0.2.0/24"]), {}),
    "network-policy-one-family": lambda: (with_objects(policy({"egress": [{"to": [{"ipBlock": {
        "cidr": "203.0.113.0/24"}}, {"podSelector": {}}]}]})), {}),
    "egress-policy-one-family": lambda: (with_objects(("CiliumEgressGatewayPolicy", "cilium.io/v2", {
        "destinationCIDRs": ["0.0.0.0/0"]})), {}),
    "load-balancer-pool-one-family": lambda: (with_objects(("IPAddressPool", "metallb.io/v1beta1", {
        "addresses": ["198.51.100.0/28"]})), {}),
}  # fmt: skip
# faults that cannot be without another one: the mask of today differs wherever blocks share a unit
COMPANY = {"node-blocks-share-unit": {"node-mask-differs"}, "node-blocks-lost": {"node-without-pod-cidr"}}


def test_every_rule_has_a_fault_here():
    assert sorted(FAULTS) == sorted(rule.name for rule in RULES)


def test_rules_are_complete_data():
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert rule.severity in {"fatal", "error", "warning", "info"}
        assert rule.meaning
        assert rule.fix
        assert rule.source


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_by_exactly_its_rule(name):
    cluster, arguments = FAULTS[name]()
    frame = ds.check(cluster, **arguments)
    company = COMPANY.get(name, set())
    assert set(rules(frame)) - company == {name}
    rule = next(rule for rule in RULES if rule.name == name)
    row = frame[frame["rule"] == name].iloc[0]
    assert (row["severity"], row["fix"], row["source"]) == (rule.severity, rule.fix, rule.source)
    assert not frame.duplicated().any()


def test_the_sound_cluster_has_no_findings():
    frame = ds.check(build(), peers=["172.16.0.0/12"], reserved=["100.64.0.0/10", "fd00:99::/32"], strict=True)
    assert frame.empty
    assert frame.columns.tolist() == ["severity", "rule", "object", "message", "fix", "source"]
    assert (frame.dtypes == "str").all()


@pytest.mark.parametrize(
    "example", [examples.kubeadm_dual_stack, examples.single_stack_ipv4, examples.ipv6_first, examples.nearly_full]
)
def test_examples_have_no_errors(example):
    ds.check(example(), strict=True)


@pytest.mark.parametrize("name", SAMPLES)
def test_packaged_dumps_have_no_errors_but_those_the_components_reported(name):
    frame = ds.check(ds.read_cluster(sample_path(name)))
    wrong = frame[frame["severity"].isin(["error", "fatal"])]
    assert rules(wrong) == (["cidr-not-available"] if name == "nearly-full" else [])


def test_strict_raises_with_the_frame():
    cluster, _ = FAULTS["pod-address-duplicate"]()
    with pytest.raises(
        errors.CheckFailed, match=r"Pod/default/p1: 10\.244\.0\.2 is also held by Pod/default/p0"
    ) as caught:
        ds.check(cluster, strict=True)
    assert rules(caught.value.findings) == ["pod-address-duplicate"]


def test_bad_arguments_are_named():
    with pytest.raises(errors.InvalidCidr, match="not-a-range"):
        ds.check(build(), peers=["not-a-range"])
    with pytest.raises(errors.InvalidInput, match="no node is named 'nowhere'"):
        ds.check(build(), host_local={"nowhere": {"reserved": {}}})


def test_the_cluster_is_judged_as_it_is_now():
    cluster, _ = FAULTS["pod-address-duplicate"]()
    assert cluster.findings["rule"].tolist() == ["pod-address-duplicate"]
    cluster.remove_pods([1])
    assert ds.check(cluster).empty


def test_what_only_the_reader_saw_is_carried_over_once():
    found = [("error", "cidr-not-available", "Node/x", "no block"), ("info", "objects-ignored", "Cluster", "Lease 3")]
    frame = ds.check(build(findings=[*found, found[0]]))
    assert frame[["severity", "rule", "object"]].to_numpy().tolist() == [["error", "cidr-not-available", "Node/x"]]


def test_a_large_block_overlaps_every_block_inside_it():
    cluster = build(
        nodes={
            0: {"pod_cidr_ipv4": "10.244.0.0/22"},
            1: {"pod_cidr_ipv4": "10.244.1.0/24"},
            2: {"pod_cidr_ipv4": "10.244.2.0/24"},
        }
    )
    frame = ds.check(cluster)
    assert frame[frame["rule"] == "node-pod-cidr-duplicate"]["object"].tolist() == ["Node/n1", "Node/n2"]


v4_blocks = st.sampled_from(
    ["10.244.0.0/24", "10.244.3.0/24", "10.244.0.0/15", "10.0.0.0/8", "10.9.0.0/24", "10.244.7.64/26", None]
)
v6_blocks = st.sampled_from(["fd00:10:244::/64", "fd00:10:244:1::/80", "fd00::/8", "fd01::/64", None])
cluster_cidrs = st.sampled_from(
    [
        ["10.244.0.0/16"],
        ["fd00:10:244::/56"],
        ["10.244.0.0/16", "fd00:10:244::/56"],
        ["fd00:10:244::/56", "10.244.0.0/16"],
    ]
)


@given(st.lists(st.tuples(v4_blocks, v6_blocks, st.booleans()), min_size=1, max_size=6), cluster_cidrs)
@settings(max_examples=60)
def test_start_up_is_node_ipams_own(blocks, cidrs):
    rows = []
    for number, (ipv4, ipv6, v6_first) in enumerate(blocks):
        first = "IPv6" if ipv6 and (v6_first or not ipv4) else "IPv4" if ipv4 else ""
        rows.append((f"n{number}", ipv4, ipv6, first))
    frame = pd.DataFrame(rows, columns=NODE_COLUMNS[:4])
    cluster = Cluster.from_tables(ClusterConfig.of(cluster_cidrs=cidrs), nodes=Table.from_frame(NODES, frame))
    verdicts = _start_up(Subject(cluster)) == 0
    for (name, ipv4, ipv6, first), fits in zip(rows, verdicts.tolist(), strict=True):
        held = [cidr for cidr in ((ipv6, ipv4) if first == "IPv6" else (ipv4, ipv6)) if cidr]
        try:
            NodeIPAM(cluster_cidrs=cidrs, nodes={name: held})
            starts = True
        except InvalidConfig:
            starts = False
        assert starts == fits, (held, cidrs)


@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(20, 28)), max_size=12),
)
@settings(max_examples=60)
def test_overlapping_blocks_are_those_of_a_loop(places):
    cidrs = [Cidr(f"10.244.{place}.{place * 16 % 256}/{length}", host_bits="mask") for place, length in places]
    frame = pd.DataFrame(
        {"name": [f"n{row}" for row in range(len(cidrs))], "pod_cidr_ipv4": list(map(str, cidrs))}, dtype=object
    )
    cluster = Cluster.from_tables(CONFIG, nodes=Table.from_frame(NODES, frame))
    expected = {
        f"Node/n{later}" for later in range(len(cidrs)) for first in range(later) if cidrs[later].overlaps(cidrs[first])
    }
    found = ds.check(cluster)
    assert set(found[found["rule"] == "node-pod-cidr-duplicate"]["object"]) == expected


@given(st.data())
@settings(max_examples=25)
def test_two_faults_are_two_rules(data):
    simple = ["max-pods-above-block", "node-address-one-family", "service-family-missing", "pod-one-family"]
    picked = data.draw(st.sets(st.sampled_from(simple), min_size=1))
    changes = {
        "max-pods-above-block": ("nodes", {"allocatable_pods": 999}),
        "node-address-one-family": ("nodes", {"internal_ipv4": None}),
        "service-family-missing": ("services", {"cluster_ipv4": None}),
        "pod-one-family": ("pods", {"pod_ipv6": None}),
    }
    given_rows = {}
    for name in picked:
        table, columns = changes[name]
        row = data.draw(st.integers(0, len(SOUND[table]) - 1))
        given_rows.setdefault(table, {}).setdefault(row, {}).update(columns)
    assert set(rules(ds.check(build(**given_rows)))) == picked


@given(st.data())
@settings(max_examples=15)
def test_clusters_that_the_components_made_have_no_errors(data):
    families = data.draw(st.sampled_from([["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]]))
    pods = {"IPv4": "10.244.0.0/20", "IPv6": "fd00:10:244::/60"}
    services = {"IPv4": "10.96.0.0/26", "IPv6": "fd00:10:96::/122"}
    masks = {"IPv4": data.draw(st.integers(24, 27)), "IPv6": data.draw(st.integers(62, 68))}
    config = ClusterConfig.of(
        kube_version=data.draw(st.sampled_from(["1.23", "1.29", "1.36"])),
        cluster_cidrs=[pods[family] for family in families],
        service_cidrs=[services[family] for family in families],
        node_cidr_mask_sizes={family: masks[family] for family in families},
    )
    sizes = {"nodes": st.integers(0, 20), "pods": st.integers(0, 80), "services": st.integers(0, 40)}
    counts = {name: data.draw(size) for name, size in sizes.items()}
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    cluster = examples.synthetic(**counts, config=config, rng=rng)
    ds.check(cluster, strict=True)
    assert (ds.verify(cluster)["match_ratio"] == 1).all()
    cluster.remove_nodes([0])
    cluster.remove_pods([0, 3])
    ds.check(cluster, strict=True)
    ds.check(
        Cluster.from_tables(config, nodes=cluster.nodes, pods=cluster.pods, services=cluster.services), strict=True
    )
