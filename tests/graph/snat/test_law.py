"""The arithmetic of translated ports: numbers by hand, the failure curve, and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsmodel.graph.snat.law import (
    addresses_needed,
    busiest_address,
    failure_ratio,
    fill_at_failure,
    held_connections,
    refused_ratio,
    sustainable_rate,
)


@pytest.mark.parametrize(
    ("tries", "expected"),
    [
        (32, [1.1e-5, 7.9e-4, 3.4e-2, 0.19, 0.38, 0.72]),
        (248, [0, 0, 4.5e-12, 3.0e-6, 5.2e-4, 8.3e-2]),
    ],
    ids=["Cilium BPF", "Linux netfilter"],
)
def test_the_failure_curve(tries, expected) -> None:
    found = failure_ratio([0.70, 0.80, 0.90, 0.95, 0.97, 0.99], tries)
    assert found == pytest.approx(expected, rel=0.03, abs=1e-20)


def test_what_cilium_33074_saw_is_a_fill_of_081() -> None:
    assert fill_at_failure(108 / 83_976, 32) == pytest.approx(0.81, abs=0.005)


def test_an_allocator_that_searches_to_the_end_fails_when_full() -> None:
    assert failure_ratio([0.0, 0.999, 1.0, 2.0], 0).tolist() == [0, 0, 1, 1]
    assert fill_at_failure(0.01, 0) == 1


@given(st.floats(1e-6, 0.5), st.integers(1, 300))
def test_failures_start_where_the_curve_says(failure, tries) -> None:
    assert failure_ratio(fill_at_failure(failure, tries), tries) == pytest.approx(failure, rel=1e-6)


@pytest.mark.parametrize(
    ("usable", "hold_s", "expected", "why"),
    [
        (64_512, 120, 537.6, "a node, conntrack TIME_WAIT"),
        (28_232, 60, 470.5, "a pod's sockets"),
        (64, 120, 0.53, "Cloud NAT, static default"),
        (1_024, 120, 8.53, "Cloud NAT on GKE"),
    ],
)
def test_sustainable_rates(usable, hold_s, expected, why) -> None:
    assert sustainable_rate(usable, 0, hold_s) == pytest.approx(expected, abs=0.05), why
    assert held_connections(sustainable_rate(usable, 2.5, hold_s), 2.5, hold_s) == pytest.approx(usable)


def test_a_pool_without_hold_keeps_up_with_any_rate() -> None:
    assert sustainable_rate(1, 0, 0) == np.inf


def test_addresses_needed() -> None:
    assert addresses_needed(72_000, 55_000) == 2
    assert addresses_needed([64_512, 64_513], 64_512).tolist() == [1, 2]
    assert addresses_needed(52_250, 55_000, fill_ratio=0.9) == 2


@pytest.mark.parametrize(("connections", "addresses"), [(60_000, 3), (900, 8), (12, 4), (2, 16), (200_000, 2)])
def test_the_busiest_address_against_a_simulation(connections, addresses) -> None:
    rng = np.random.default_rng(1)
    most = rng.multinomial(connections, [1 / addresses] * addresses, size=20_000).max(axis=1)
    found = int(busiest_address(connections, addresses))
    assert np.mean(most > found) <= 0.055  # the promise
    assert np.mean(most > found - 1) > 0.02 or found == connections  # and not far above it


def test_few_clients_make_it_worse() -> None:
    assert busiest_address(60_000, 3, clients=[6, 60, 6_000]).tolist() == [50_000, 28_000, 20_780]
    assert busiest_address([0, 10], [4, 1]).tolist() == [0, 10]


def test_what_is_refused_in_the_long_run_against_a_simulation() -> None:
    rng, usable, tries, wanted = np.random.default_rng(2), 400, 8, 1.1
    held, refused, arrived, ends = 0, 0, 0, []
    clock = 0.0
    for _ in range(60_000):
        clock += rng.exponential(1 / (usable * wanted))
        while ends and ends[0] <= clock:
            ends.pop(0)
            held -= 1
        arrived += 1
        if rng.random() < (held / usable) ** tries:
            refused += 1
        else:
            held += 1
            ends.append(clock + 1)  # a life of 1, so that ends come in order
    assert refused / arrived == pytest.approx(float(refused_ratio(wanted, tries)), abs=0.01)


@given(st.floats(0, 5), st.integers(0, 300))
def test_what_is_refused_and_what_is_held_balance(wanted, tries) -> None:
    refused = float(refused_ratio(wanted, tries))
    held = wanted * (1 - refused)
    assert 0 <= held <= 1 + 1e-9
    if tries:
        assert refused == pytest.approx(held**tries, abs=1e-9)
