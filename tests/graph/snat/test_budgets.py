"""Budgets of the translators of the field: the numbers that providers publish, and what they refuse."""

import re

import pytest

from dsmodel.errors import InvalidInput
from dsmodel.graph.masquerade.masquerade_agent import read_port_intervals
from dsmodel.graph.snat import (
    CONSTANTS,
    PortBudget,
    aws_nat_gateway,
    azure_load_balancer,
    azure_nat_gateway,
    cilium,
    constant,
    gcp_cloud_nat,
    linux,
    nptv6,
    untranslated,
)
from dsmodel.graph.snat.constants import AZURE_DEFAULT_PORTS


@pytest.mark.parametrize(
    ("budget", "usable", "tries", "why"),
    [
        (linux(), 64_512, 248, "1024-65535"),
        (linux(source_port=443), 511, 248, "1-511"),
        (linux(source_port=600), 424, 248, "600-1023"),
        (linux(to_ports=read_port_intervals(["1024-29999,32768-65535"])), 61_744, 248, "the sum of the intervals"),
        (linux(to_ports=[(1024, 2047), (2000, 2047)]), 1_024, 248, "a port counts once"),
        (linux(to_ports=[(1024, 1151)]), 128, 0, "128 ports are all looked at"),
        (linux(addresses=3), 193_536, 248, "an EgressIP with three addresses"),
        (cilium(), 32_768, 32, "32768-65535"),
        (cilium(highest_node_port=30_100), 35_435, 32, "behind a shorter node port range"),
        (aws_nat_gateway(), 55_000, 0, "one address"),
        (aws_nat_gateway(addresses=8), 440_000, 0, "1 + 7 secondary"),
        (aws_nat_gateway(addresses=32, regional=True), 1_760_000, 0, "a regional one, per zone"),
        (gcp_cloud_nat(), 64, 0, "static default"),
        (gcp_cloud_nat(has_alias_range=True), 1_024, 0, "a GKE node"),
        (gcp_cloud_nat(has_alias_range=True, ports_per_vm=2_048), 2_048, 0, "more than the least"),
        (gcp_cloud_nat(dynamic=True), 65_536, 0, "up to the dynamic maximum"),
        (azure_nat_gateway(), 50_000, 0, "to one destination"),
        (azure_load_balancer(instances=200), 256, 0, "default table"),
        (azure_load_balancer(instances=200, ports_per_instance=0), 320, 0, "64,000 / 200"),
        (azure_load_balancer(instances=120, ports_per_instance=1_024, frontends=2), 1_024, 0, "AKS, two frontends"),
        (azure_load_balancer(instances=201, ports_per_instance=0), 312, 0, "318 rounded down to a multiple of 8"),
        (azure_load_balancer(instances=10, ports_per_instance=0, rule_ports=2), 6_392, 0, "less 16 for two ports"),
        (untranslated(), 28_232, 0, "32768-60999"),
        (nptv6(), None, 0, "no ports"),
    ],
)
def test_connections_to_one_destination(budget, usable, tries, why) -> None:
    assert (budget.usable, budget.tries) == (usable, tries), why


@pytest.mark.parametrize(
    ("budget", "instances", "addresses", "why"),
    [
        (gcp_cloud_nat(), 1_008, 1, "64,512 / 64"),
        (gcp_cloud_nat(), 1_009, 2, "one more"),
        (gcp_cloud_nat(has_alias_range=True), 63, 1, "64,512 / 1,024"),
        (gcp_cloud_nat(has_alias_range=True), 200, 4, "200 GKE nodes"),
        (gcp_cloud_nat(ports_per_vm=2_048), 434, 14, "31 each; 448 would be 65,536 / 2,048 x 14"),
        (gcp_cloud_nat(ports_per_vm=2_048), 435, 15, "so 435 do not fit"),
        (azure_load_balancer(instances=120, ports_per_instance=1_024, frontends=2), 120, 2, "122,880 ports"),
    ],
)
def test_addresses_for_instances(budget, instances, addresses, why) -> None:
    assert budget.addresses_for(instances) == addresses, why


def test_what_limits_the_total() -> None:
    assert cilium().total == 262_144
    assert cilium().evicts
    assert azure_nat_gateway(addresses=16).total == 2_000_000
    full = azure_nat_gateway(addresses=16)
    assert full.inventory * full.addresses == 1_032_192


@pytest.mark.parametrize(("instances", "ports"), [(1, 1024), (50, 1024), (51, 512), (100, 512), (101, 256), (400, 128)])
def test_azure_halves_the_default_at_each_border(instances, ports) -> None:
    assert azure_load_balancer(instances=instances).usable == ports


def test_azure_table_falls() -> None:
    assert list(AZURE_DEFAULT_PORTS) == sorted(AZURE_DEFAULT_PORTS)
    assert AZURE_DEFAULT_PORTS[-1] == (constant("azure-lb", "instances of a pool"), 32)


def test_constants_are_dated_distinct_and_sourced() -> None:
    assert len({(each.provider, each.name) for each in CONSTANTS}) == len(CONSTANTS)
    for each in CONSTANTS:
        assert re.fullmatch(r"\d{4}-\d\d", each.as_of)
        assert each.source
        assert each.unit
        assert each.value > 0


@pytest.mark.parametrize(
    ("provider", "name", "value"),
    [
        ("aws", "idle timeout", 350),
        ("aws", "new connections per address and destination", 900),
        ("aws", "addresses by default", 2),
        ("gcp", "TCP established timeout", 1_200),
        ("gcp", "TCP transitory timeout", 30),
        ("gcp", "TCP time wait", 120),
        ("azure", "reuse after RST", 16),
        ("cilium", "entries of the TCP conntrack map", 524_288),
        ("cilium", "entries of the other conntrack map", 262_144),
        ("kube-proxy", "established timeout", 86_400),
        ("linux", "time wait of sockets", 60),
    ],
)
def test_timers_and_sizes(provider, name, value) -> None:
    assert constant(provider, name) == value


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: aws_nat_gateway(addresses=9), "addresses=9: an AWS NAT gateway takes 1 to 8"),
        (lambda: azure_nat_gateway(addresses=17), "takes 1 to 16"),
        (lambda: gcp_cloud_nat(ports_per_vm=1_000, dynamic=True), "is a power of two from 64 to 65536"),
        (lambda: azure_load_balancer(instances=1_001), "a backend pool has 1 to 1000"),
        (lambda: azure_load_balancer(instances=120, ports_per_instance=1_024), "add frontends"),
        (lambda: azure_load_balancer(instances=10, ports_per_instance=100), "multiples of 8"),
        (lambda: linux(to_ports=[(2_000, 1_000)]), "expected 0 < first <= last"),
        (lambda: linux(source_port=0), "a port is 1 to 65535"),
        (lambda: linux(addresses=0), "addresses=0; a budget has 1 or more"),
        (lambda: cilium(highest_node_port=65_535), "no port is left behind it"),
        (lambda: linux().addresses_for(3), "no address is cut into blocks"),
        (lambda: constant("aws", "bogus"), "known are connections per address and destination"),
        (lambda: constant("ibm", "ports"), "no such provider"),
        (lambda: PortBudget(translator="ours", ports=1, alarm_ratio=70), "write a ratio of 0 to 1"),
    ],
)
def test_what_is_refused(call, words) -> None:
    with pytest.raises(InvalidInput, match=words):
        call()
