"""Metrics as text: the names that components export, how they are put together, and what is refused."""

import re

import pandas as pd
import pytest

from dsmodel.errors import InvalidInput
from dsmodel.io.history import read_history
from dsmodel.io.history.exposition import is_exposition, read_exposition
from dsmodel.io.history.metrics import BY_NAME, METRICS

DAY = pd.Timestamp("2026-01-01", tz="UTC")

CALICO = """\
ipam_allocations_in_use{ippool="default-ipv4-ippool",node="a"} 10
ipam_allocations_in_use{ippool="default-ipv4-ippool",node="b"} 7
ipam_allocations_in_use{ippool="no_ippool",node="b"} 99
ipam_ippool_size{ippool="default-ipv4-ippool"} 65536
"""


def rows(text, time=DAY):
    table, _ = read_exposition(text, "scrape", time=time)
    return table[["pool", "ip_family", "range", "used", "usable", "source"]].to_numpy().tolist()


@pytest.mark.parametrize(
    ("lines", "expected", "why"),
    [
        (
            [
                'kube_apiserver_clusterip_allocator_allocated_ips{cidr="10.96.0.0/24"} 9',
                'kube_apiserver_clusterip_allocator_available_ips{cidr="10.96.0.0/24"} 245',
            ],
            ["service addresses", "IPv4", "10.96.0.0/24", 9, 254, "kube-apiserver"],
            "usable is used and free together",
        ),
        (
            [
                'kube_apiserver_clusterip_allocator_allocated_ips{cidr="fd00::/112",instance="a"} 9',
                'kube_apiserver_clusterip_allocator_allocated_ips{cidr="fd00::/112",instance="b"} 4',
            ],
            ["service addresses", "IPv6", "fd00::/112", 9, float("nan"), "kube-apiserver"],
            "a server that served nothing lately shows what was",
        ),
        (
            [
                "kube_apiserver_nodeport_allocator_allocated_ports 8",
                "kube_apiserver_nodeport_allocator_available_ports 2760",
            ],
            ["node ports", "", "", 8, 2768, "kube-apiserver"],
            "without labels",
        ),
        (
            [
                'node_ipam_controller_cidrset_usage_cidrs{clusterCIDR="10.244.0.0/16"} 0.12109375',
                'node_ipam_controller_cirdset_max_cidrs{clusterCIDR="10.244.0.0/16"} 256',
            ],
            ["node blocks", "IPv4", "10.244.0.0/16", 31, 256, "kube-controller-manager"],
            "the maximum is spelt cirdset",
        ),
        (
            [
                'node_ipam_controller_cidrset_usage_cidrs{clusterCIDR="10.244.0.0/16"} 0.125',
                'node_ipam_controller_cidrset_cidrs_allocations_total{clusterCIDR="10.244.0.0/16"} 40',
                'node_ipam_controller_cidrset_cidrs_releases_total{clusterCIDR="10.244.0.0/16"} 8',
            ],
            ["node blocks", "IPv4", "10.244.0.0/16", 32, 256, "kube-controller-manager"],
            "older versions tell no maximum: the counters' difference by the ratio",
        ),
        (
            [
                'node_ipam_controller_multicidrset_usage_cidrs{clusterCIDR="10.1.0.0/16",clusterCIDRName="x"} 0.5',
                'node_ipam_controller_multicidrset_max_cidrs{clusterCIDR="10.1.0.0/16",clusterCIDRName="x"} 8',
            ],
            ["node blocks", "IPv4", "10.1.0.0/16", 4, 8, "multi-CIDR range allocator"],
            "out of tree",
        ),
        (
            CALICO.splitlines(),
            ["pod addresses", "IPv4", "default-ipv4-ippool", 17, 65536, "calico-kube-controllers"],
            "nodes add up",
        ),
        (
            [
                'ipam_allocations_in_use{ippool="large",node="a"} 5',
                'ipam_ippool_size{ippool="large"} 1.8446744073709552e+19',
            ],
            ["pod addresses", "IPv6", "large", 5, 2.0**64, "calico-kube-controllers"],
            "larger than all of IPv4",
        ),
        (
            [
                'cilium_operator_ipam_available_ips{target_node="a"} 58',
                'cilium_operator_ipam_available_ips{target_node="b"} 58',
                'cilium_operator_ipam_used_ips{target_node="a"} 30',
                'cilium_operator_ipam_used_ips{target_node="b"} 12',
            ],
            ["subnet addresses", "IPv4", "", 42, 116, "cilium-operator"],
            "available is what a node can hold, used ones among them",
        ),
        (
            [
                'cilium_operator_ipam_ips{type="used"} 30',
                'cilium_operator_ipam_ips{type="available"} 28',
                'cilium_operator_ipam_used_ips{target_node="a"} 30',
            ],
            ["subnet addresses", "IPv4", "", 30, float("nan"), "cilium-operator"],
            "the deprecated metric says the same and is not added",
        ),
        (
            [
                'awscni_assigned_ip_addresses{instance="a"} 20',
                'awscni_assigned_ip_addresses{instance="b"} 9',
                'awscni_total_ip_addresses{instance="a"} 30',
                'awscni_ip_max{instance="a"} 58',
                'awscni_ip_max{instance="b"} 58',
            ],
            ["pod addresses", "", "", 29, 116, "aws-node"],
            "what is held ready is not the limit",
        ),
        (
            [
                'kube_apiserver_nodeport_allocator_allocated_ports{instance="a"} 8',
                'kube_apiserver_nodeport_allocator_available_ports{instance="a"} 2760',
                'kube_apiserver_nodeport_allocator_allocated_ports{instance="b"} 0',
                'kube_apiserver_nodeport_allocator_available_ports{instance="b"} 0',
            ],
            ["node ports", "", "", 8, 2768, "kube-apiserver"],
            "a server that has just started says nothing is free, and the pool is not full",
        ),
        (
            [
                'cilium_ip_addresses{family="ipv6",instance="a"} 5',
                'cilium_ip_addresses{family="ipv6",instance="b"} 6',
                'cilium_ipam_capacity{family="ipv6",instance="a",cidr="fd00::/120"} 254',
            ],
            ["pod addresses", "IPv6", "", 11, 254, "cilium-agent"],
            "agents add up",
        ),
        (
            [
                'cilium_operator_lbipam_ips_used_total{pool="edge"} 3',
                'cilium_operator_lbipam_ips_available_total{pool="edge"} 13',
            ],
            ["load balancer addresses", "", "edge", 3, 16, "cilium-operator LB-IPAM"],
            "1.15 called gauges total",
        ),
        (
            [
                'ovnkube_clustermanager_allocated_v6_host_subnets{network_name="default"} 6',
                'ovnkube_clustermanager_num_v6_host_subnets{network_name="default"} 32',
            ],
            ["node blocks", "IPv6", "default", 6, 32, "ovnkube-cluster-manager"],
            "the name tells the family",
        ),
        (
            [
                'apiserver_resource_objects{group="",resource="pods"} 120',
                'apiserver_resource_objects{group="metrics.k8s.io",resource="pods"} 7',
                'apiserver_resource_objects{group="",resource="nodes"} -1',
            ],
            ["stored pods", "", "", 120, float("nan"), "kube-apiserver"],
            "another group's pods are none, and -1 is an error",
        ),
    ],
)
def test_every_component_is_read(lines, expected, why) -> None:
    (row,) = rows("\n".join(lines))
    assert pd.Series(row, dtype=object).equals(pd.Series(expected, dtype=object)), why


def test_names_are_told_apart() -> None:
    told = [(row.name, row.where) for row in METRICS]
    assert len(told) == len(set(told))
    assert set(BY_NAME) == {row.name for row in METRICS}
    for row in METRICS:
        assert bool(row.beside) == (row.role in {"opened", "free"})
        if row.beside:
            assert [each.role for each in BY_NAME[row.beside]] == ["released" if row.role == "opened" else "used"]


def test_every_name_has_a_source_and_versions_or_says_that_they_are_not_known() -> None:
    for row in METRICS:
        assert re.search(r"#\d+|\.go|upgrade notes|datastore", row.source), row.name
        assert all(re.fullmatch(r"(\d+\.\d+)?", version) for version in (row.since, row.until)), row.name
    said = {row.name: row.versions for row in METRICS}
    assert said["kube_apiserver_clusterip_allocator_allocated_ips"] == "1.23 on"
    assert said["node_ipam_controller_cirdset_max_cidrs"] == "1.27 on"
    assert said["node_ipam_controller_multicidrset_usage_cidrs"] == "1.25 to 1.28"
    assert said["awscni_ip_max"] == "first version not known"


def test_servers_that_differ_are_named_and_the_largest_counts() -> None:
    name = "kube_apiserver_clusterip_allocator_allocated_ips"
    text = "".join(
        f'{name}{{cidr="10.96.0.0/24",instance="{each}"}} {used}\n' for each, used in zip("ab", (9, 4), strict=True)
    )
    table, found = read_exposition(text, "scrape", time=DAY)
    assert table["used"].tolist() == [9]
    ((severity, rule, what, message),) = found
    assert (severity, rule, what) == ("info", "history-servers-differ", "service addresses, 10.96.0.0/24")
    assert message.startswith("servers differ by up to 5, as each tells what was so after its own last operation")


def test_nothing_of_nothing_is_no_value() -> None:
    name = "kube_apiserver_nodeport_allocator_"
    text = f"{name}allocated_ports 0\n{name}available_ports 0\n"
    with pytest.raises(InvalidInput, match="nothing that says what is in use"):
        read_exposition(text, "scrape", time=DAY)


def test_seconds_milliseconds_labels_and_exemplars() -> None:
    name = "kube_apiserver_clusterip_allocator_allocated_ips"
    modern = (
        f"# TYPE {name} gauge\n"
        f'{name}{{cidr="10.96.0.0/24",note="a \\"}} b\\n\\\\ c",}} 9 1767225600.5 # {{trace_id="x"}} 1\n'
        'up{job="x"} 1 1767225600\n# EOF\n'
    )
    table, found = read_exposition(modern, "scrape")
    assert table["time"].iloc[0] == pd.Timestamp("2026-01-01T00:00:00.5", tz="UTC")
    assert found == []
    older = f'{name}{{cidr="10.96.0.0/24"}} 9 1767225600500\n'
    assert read_exposition(older, "scrape")[0].equals(table)


def test_a_counter_that_went_back_is_named_and_the_difference_goes_on() -> None:
    label = '{clusterCIDR="10.244.0.0/16"}'
    opened, released = (
        f"node_ipam_controller_cidrset_cidrs_{word}_total{label}" for word in ("allocations", "releases")
    )
    days = [(50, 10), (60, 12), (48, 0), (49, 0)]
    lines = [
        f"{name} {value} {1767225600 + 86400 * day}"
        for day, pair in enumerate(days)
        for name, value in zip((opened, released), pair, strict=True)
    ]
    table, found = read_exposition("\n".join([*lines, "# EOF", ""]), "scrape")
    assert table["used"].tolist() == [40, 48, 48, 49]
    resets = [each for each in found if each[1] == "history-counter-reset"]
    assert [each[2] for each in resets] == ["node blocks, 10.244.0.0/16"] * 2
    assert resets[0][3].endswith("went back, as on a restart; first 2026-01-03 00:00")


def test_doubts_are_findings() -> None:
    text = 'ipam_allocations_in_use{ippool="p",node="a"} 5\nipam_ippool_size{ippool="empty"} 256\n'
    table, found = read_exposition(text, "scrape", time=DAY)
    assert table["range"].tolist() == ["p"]
    assert {(each[1], each[2]) for each in found} == {
        ("history-missing-value", "pod addresses, empty"),
        ("history-unknown-family", "pod addresses, empty"),
        ("history-unknown-family", "pod addresses, p"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no value of a metric that tells of pools"),
        ("up 1 1767225600\n# EOF\n", "has no value of a metric"),
        ("kube_apiserver_nodeport_allocator_allocated_ports\n", "line 1: .* is no sample"),
        ("# EOF\nkube_apiserver_nodeport_allocator_allocated_ports x 1\n", "line 2: 'x' is no number"),
        ("kube_apiserver_nodeport_allocator_allocated_ports 1 soon\n", "line 1: 'soon' is no number"),
        ("kube_apiserver_clusterip_allocator_allocated_ips{cidr=10} 1 1\n", "line 1: labels 'cidr=10' cannot be read"),
        ('kube_apiserver_clusterip_allocator_allocated_ips{cidr="10} 1 1\n', "line 1: .* is no sample"),
        (
            "kube_apiserver_nodeport_allocator_allocated_ports 1 1767225600\n",
            "does not end with # EOF: it is cut short",
        ),
        ("kube_apiserver_nodeport_allocator_allocated_ports 1\n", "has no time; give it as in"),
        ("kube_apiserver_nodeport_allocator_allocated_ports NaN 1767225600\n# EOF\n", "has no value of a metric"),
        ('ipam_ippool_size{ippool="p"} 1 1767225600\n# EOF\n', "nothing that says what is in use"),
        (
            CALICO.replace("{", '{cluster="a",') + CALICO.replace("{", '{cluster="b",'),
            r"holds 2 clusters \(a, b\); choose one",
        ),
    ],
)
def test_what_is_damaged_is_named(text, message) -> None:
    with pytest.raises(InvalidInput, match=f"scrape.*{message}"):
        read_exposition(text, "scrape", time=DAY if "cluster" in message else None)


@pytest.mark.parametrize(
    ("head", "is_metrics"),
    [
        ("# HELP up x\n", True),
        ('\n# a remark\nup{a="b"} 1\n', True),
        ('{"kind": "List", "items": []}', False),
        ("apiVersion: v1\nkind: List\n", False),
        ("---\n# kind\nkind: List\n", False),
        ("NAME   STATUS\nnode-1   Ready\n", False),
        ("", False),
    ],
)
def test_metrics_are_told_from_dumps(head, is_metrics) -> None:
    assert is_exposition(head) is is_metrics


def test_scrapes_are_dated_by_a_mapping(tmp_path) -> None:
    places = {}
    for day in range(1, 4):
        path = tmp_path / f"scrape-{day}.prom"
        path.write_text(f"kube_apiserver_nodeport_allocator_allocated_ports {day}\n")
        places[f"2026-01-0{day}"] = path
    assert read_history(places)["value"].tolist() == [1, 2, 3]
