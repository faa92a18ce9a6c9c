"""Pressure on pools: the worked examples, keys that are summed, and a slow reading beside the fast one."""

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel.errors import InvalidInput
from dsmodel.graph.snat import (
    ALL_DESTINATIONS,
    Connections,
    SnatPool,
    aws_nat_gateway,
    azure_load_balancer,
    azure_nat_gateway,
    cilium,
    gcp_cloud_nat,
    linux,
    nptv6,
    snat_pressure,
    untranslated,
)


def load(*counts, destination=None, pool=None, protocol=None, instance=None):
    n = len(counts)
    zero = np.zeros(n, np.int64)
    columns = (zero if each is None else np.array(each) for each in (pool, protocol, destination))
    return Connections(*columns, np.array(counts), None if instance is None else np.array(instance))


def pressed(budget, *counts, **keys):
    """The row of the first destination."""
    found = snat_pressure(load(*counts, **keys), [SnatPool("a", "IPv4", budget)])
    return found, int(np.argmax(found.destination >= 0))


@pytest.mark.parametrize(
    ("budget", "counts", "used", "ratio", "failure", "why"),
    [
        (cilium(), [900] * 24, 21_600, 0.66, 1.6e-6, "24 pods of 900 to one server"),
        (cilium(), [28_000], 28_000, 0.85, 0.0065, "about 0.65 % of new connections fail"),
        (linux(), [28_000], 28_000, 0.434, 0, "the same load on netfilter"),
        (linux(), [61_287], 61_287, 0.95, 3.0e-6, "the alarm level of Linux"),
        (aws_nat_gateway(), [30 * 60] * 40, 72_000, 1.31, 1, "40 nodes of 30 pods on one address"),
        (aws_nat_gateway(addresses=2), [30 * 60] * 40, 72_000, 0.65, 0, "on two"),
    ],
)
def test_worked_examples(budget, counts, used, ratio, failure, why) -> None:
    found, row = pressed(budget, *counts)
    assert found.used[row] == used, why
    assert found.used_ratio[row] == pytest.approx(ratio, abs=0.005), why
    assert found.failure_ratio[row] == pytest.approx(failure, rel=0.05, abs=1e-12), why


@pytest.mark.parametrize(
    ("budget", "at", "why"),
    [
        (cilium(), 26_406, "0.001 ** (1 / 32) of 32,768"),
        (linux(), 62_740, "0.001 ** (1 / 248) of 64,512"),
        (aws_nat_gateway(addresses=2), 110_000, "it searches to the end"),
        (nptv6(), 0, "never"),
    ],
)
def test_when_failures_start(budget, at, why) -> None:
    found, row = pressed(budget, 1)
    assert found.starts_failing_at[row] == at, why
    assert budget.ports is None or snat_at(budget, at).failure_ratio[row] >= 0.001
    assert budget.ports is None or snat_at(budget, at - 1).failure_ratio[row] < 0.001


def snat_at(budget, count):
    return snat_pressure(load(count), [SnatPool("a", "IPv4", budget)])


def test_alarms() -> None:
    below, row = pressed(cilium(), 22_937)
    above, _ = pressed(cilium(), 22_938)
    assert (below.is_alarm[row], above.is_alarm[row]) == (False, True)
    assert below.alarm_ratio[row] == 0.70
    assert pressed(linux(), 10)[0].alarm_ratio[0] == 0.95


def test_a_destination_a_protocol_and_a_pool_are_apart() -> None:
    found = snat_pressure(
        load(10, 20, 30, 40, 5, destination=[1, 1, 0, 1, 1], protocol=[0, 0, 0, 1, 0], pool=[0, 0, 0, 0, 1]),
        [SnatPool("a", "IPv4", linux()), SnatPool("a", "IPv6", linux())],
    )
    rows = list(zip(*(c.tolist() for c in (found.pool, found.protocol, found.destination, found.used)), strict=True))
    assert rows == [(0, 0, 0, 30), (0, 0, 1, 30), (0, 1, 1, 40), (1, 0, 1, 5)]


def test_hashed_addresses_count_the_busiest() -> None:
    pooled, row = pressed(linux(addresses=2, spread="pooled"), 120_000)
    hashed, _ = pressed(linux(addresses=2), 120_000)
    assert pooled.used_ratio[row] == pytest.approx(120_000 / 129_024)
    assert hashed.used_ratio[row] == pytest.approx(60_339 / 64_512, abs=1e-4)
    assert hashed.starts_failing_at[row] < pooled.starts_failing_at[row]
    assert "of the busiest of 2 addresses" in hashed.why(row)
    assert hashed.addresses_needed[row] == 2
    assert pressed(linux(addresses=2), 200_000)[0].addresses_needed[row] == 4


def test_the_busiest_instance_counts_not_the_mean() -> None:
    found, row = pressed(gcp_cloud_nat(), 10, 40, 30, 60, instance=[0, 1, 1, 2])
    assert (found.used[row], found.usable[row], found.instance[row]) == (70, 64, 1)
    assert found.addresses_needed[row] == 0
    assert "from the busiest instance" in found.why(row)
    assert found.refused_ratio[row] == pytest.approx(1 - 64 / 70)
    own, row = pressed(untranslated(), 5, 6, 6, instance=[7, 9, 8])
    assert (own.used[row], own.instance[row]) == (6, 8)  # the first of equals


def test_a_total_is_a_row_of_its_own() -> None:
    found = snat_pressure(load(*[300] * 1_000, destination=np.arange(1_000)), [SnatPool("a", "IPv4", cilium())])
    assert len(found) == 1_001
    assert (found.destination[0], found.protocol[0]) == (ALL_DESTINATIONS, ALL_DESTINATIONS)
    assert found.used_ratio[0] == pytest.approx(300_000 / 262_144)
    assert "ends old connections" in found.why(0)
    assert not found.is_alarm[1:].any()
    calm, _ = pressed(azure_nat_gateway(addresses=16), 100_000)
    assert calm.usable.tolist() == [2_000_000, 800_000]
    assert "refuses new ones" in calm.why(0)


def test_two_translators_in_a_row_are_two_pools() -> None:
    """40 nodes of 1,800 connections: each node is calm, and the NAT gateway they share is not."""
    nodes = [SnatPool(f"node {row}", "IPv4", linux()) for row in range(40)]
    pools = [*nodes, SnatPool("nat", "IPv4", aws_nat_gateway())]
    counts = [1_800] * 80
    found = snat_pressure(load(*counts, pool=[*range(40), *[40] * 40]), pools)
    assert found.used_ratio[:40].max() == pytest.approx(1_800 / 64_512)
    assert found.is_alarm.tolist() == [*[False] * 40, True]


def test_nat64_spends_the_ipv4_pool() -> None:
    found, row = pressed(aws_nat_gateway(), 30_000, 30_000)  # IPv4 clients, and IPv6 clients through NAT64
    assert found.used_ratio[row] > 1


def test_what_has_no_ports_has_no_pressure() -> None:
    found, row = pressed(nptv6(), 10**9)
    assert not found.is_limited[row]
    assert (found.usable[row], found.used_ratio[row], found.failure_ratio[row]) == (0, 0, 0)
    assert not found.is_alarm[row]
    assert found.why(row) == "1,000,000,000 connections: NPTv6 has no limit of ports."


@pytest.mark.parametrize(
    ("budget", "count", "words"),
    [
        (linux(), 62_800, "Linux netfilter tries 248 random ports, so that 0.13 % of new connections fail"),
        (aws_nat_gateway(), 72_000, "72,000 of 55,000 TCP connections to one destination (131 %)"),
        (aws_nat_gateway(), 72_000, "AWS NAT gateway refuses what does not fit, 24 % now."),
        (azure_load_balancer(instances=200), 100, "100 of 256 TCP connections to one destination (39 %)"),
    ],
)
def test_the_sentence(budget, count, words) -> None:
    found, row = pressed(budget, count, instance=[0])
    assert words in found.why(row)


def test_no_connections() -> None:
    assert len(snat_pressure(load(), [SnatPool("a", "IPv4", cilium())])) == 0


KEYS = st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 4), st.integers(0, 50_000), st.integers(0, 3))


@settings(deadline=None)
@given(st.lists(KEYS, max_size=40))
def test_sums_agree_with_a_slow_reading(rows) -> None:
    pools = [
        SnatPool("a", "IPv4", linux()),
        SnatPool("b", "IPv4", gcp_cloud_nat()),
        SnatPool("c", "IPv6", cilium()),
    ]
    pool, protocol, destination, count, instance = np.array(rows, np.int64).reshape(-1, 5).T
    found = snat_pressure(Connections(pool, protocol, destination, count, instance), pools)
    sums: Counter[tuple[int, ...]] = Counter()
    for a, b, c, n, i in rows:
        sums[a, b, c, i if pools[a].budget.per_instance else -1] += n
    expected: dict[tuple[int, int, int], int] = {}
    for (a, b, c, _), n in sums.items():
        expected[a, b, c] = max(n, expected.get((a, b, c), 0))
    if any(a == 2 for a, *_ in rows):
        expected[2, -1, -1] = sum(n for a, _, _, n, _ in rows if a == 2)
    keys = zip(*(c.tolist() for c in (found.pool, found.protocol, found.destination)), strict=True)
    assert dict(zip(keys, found.used.tolist(), strict=True)) == dict(sorted(expected.items()))
    assert list(zip(found.pool.tolist(), found.protocol.tolist(), found.destination.tolist(), strict=True)) == sorted(
        expected
    )
    for row in range(len(found)):
        assert found.why(row).endswith(".")


def test_a_million_rows() -> None:
    rng = np.random.default_rng(3)
    n = 1_000_000
    pools = [SnatPool(f"node {row}", "IPv4", cilium()) for row in range(500)]
    many = Connections(
        rng.integers(0, 500, n), rng.integers(0, 2, n), rng.integers(0, 1_000, n), rng.integers(0, 200, n)
    )
    begin = time.perf_counter()
    found = snat_pressure(many, pools)
    assert time.perf_counter() - begin < 15
    assert found.used[found.destination >= 0].sum() == many.count.sum()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: snat_pressure(load(1, pool=[3]), [SnatPool("a", "IPv4", linux())]), "pool 3 is not listed"),
        (lambda: pressed(gcp_cloud_nat(), 1), "Google Cloud NAT has ports for each instance; say which one"),
        (lambda: snat_pressure(load(1), [SnatPool("a", "IPv4", linux())], failure=0), "above 0 and below 1"),
        (lambda: load(1, -1), "count of row 1 is -1; use 0 or more"),
        (lambda: load(1, protocol=[4]), "protocol of row 0 is 4"),
        (lambda: load(1, 2, pool=[0]), r"columns of \[1, 2\] rows"),
    ],
)
def test_what_is_refused(call, words) -> None:
    with pytest.raises(InvalidInput, match=words):
        call()
