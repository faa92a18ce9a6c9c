"""When pools are full: closed forms to the day, laws against loops, replays against counts."""

import datetime as dt
import math
import tracemalloc
from html import unescape

import numpy as np
import pandas as pd
import pytest

import dsmodel as ds
from dsmodel.errors import InvalidInput
from dsmodel.planning.forecasting import back_test, forecast
from dsmodel.planning.forecasting.populations import Population, schedule_of
from dsmodel.planning.forecasting.results import NEVER
from dsmodel.planning.scenario import Burst, Ceiling, Demand, Growth, Scenario, Step

START = dt.date(2026, 1, 1)


def cluster_of(nodes=0, pods=0, services=0, zone="", **config):
    cluster = ds.Cluster(ds.ClusterConfig.of(**config))
    cluster.add_nodes(nodes, zone=zone)
    if pods:
        cluster.add_pods(np.arange(pods) % nodes)
    if services:
        cluster.add_services(services, rng=np.random.default_rng(0))
    return cluster


def rows(answer):
    return {(each.pool, each.ip_family, each.zone): each for each in answer.exhaustion}


def p50(answer, pool, family="", zone=""):
    return rows(answer)[pool, family, zone].days[1]


# closed forms


@pytest.mark.parametrize(
    ("per", "count", "expected", "why"),
    [
        ("day", 1, 246, "256 blocks less 10 nodes"),
        ("day", 2, 123, "half the time"),
        ("week", 3, 574, "246 / (3 / 7) is a whole number of days, which sums of 3 / 7 miss by a hair"),
        ("week", 7, 246, "one a day"),
        ("month", 10, math.ceil(246 / (10 / (365.25 / 12))), "months at their mean length"),
        ("year", 365.25, 246, "years at their mean length"),
    ],
)
def test_linear_growth_to_the_day(per, count, expected, why):
    cluster = cluster_of(nodes=10, cluster_cidrs="10.0.0.0/16")
    demand = Scenario.of(START, nodes=Growth.linear(count, per=per), law="expected")
    assert p50(forecast(cluster, demand, horizon="5y", trajectories=1), "node blocks", "IPv4") == expected, why


@pytest.mark.parametrize(("ratio", "per"), [(0.01, "day"), (0.08, "month"), (1.0, "year"), (0.5, "week")])
@pytest.mark.parametrize("nodes", [1, 10, 200])
def test_exponential_growth_to_the_day(nodes, ratio, per):
    cluster = cluster_of(nodes=nodes, cluster_cidrs="10.0.0.0/16")
    demand = Scenario.of(START, nodes=Growth.exponential(ratio, per=per), law="expected")
    days = {"day": 1, "week": 7, "month": 365.25 / 12, "year": 365.25}[per]
    expected = math.ceil(math.log(256 / nodes) / math.log(1 + ratio) * days - 1e-9)
    answer = forecast(cluster, demand, horizon="30y", trajectories=1)
    assert p50(answer, "node blocks", "IPv4") == expected
    assert rows(answer)["node blocks", "IPv4", ""].dates[1] == START + dt.timedelta(days=expected)


def test_a_step_a_season_and_a_dated_burst_to_the_day():
    cluster = cluster_of(nodes=6, cluster_cidrs="10.0.0.0/16")
    still = Growth()
    cases = {
        "a step fills it on its day": (still.plus(Step("2026-03-01", 250)), 59),
        "over ten days, 25 a day, on the last": (still.plus(Step("2026-03-01", 250, days=10)), 68),
        "a burst on its day": (still.plus(Burst(250, 2, at="2026-02-01")), 31),
        # 2026-01-01 is a Thursday: 7 a week on Fridays alone, the 36th Friday is day 246 - 7 / 7 * 1
        "only on Fridays": (Growth.linear(7, per="week").with_season(weekly=(0, 0, 0, 0, 1, 0, 0)), 1 + 7 * 35),
        "only in March, 12 months' worth": (Growth(per_day=1).with_season(yearly=(0, 0, 1) + (0,) * 9), 58 + 21),
    }
    for why, (growth, expected) in cases.items():
        demand = Scenario.of(START, nodes=growth, law="expected")
        assert p50(forecast(cluster, demand, horizon="3y", trajectories=1), "node blocks", "IPv4") == expected, why


def test_weekly_steps_are_the_same_date_rounded_up():
    cluster = cluster_of(nodes=10, cluster_cidrs="10.0.0.0/16")
    growths = (Growth(per_day=1), Growth.exponential(0.2, per="month"), Growth(per_day=2, leaving_ratio=0.001))
    for growth in growths:
        daily, weekly = (
            p50(forecast(cluster, Scenario.of(START, nodes=growth, law="expected", step_days=step), horizon="5y",
                         trajectories=1), "node blocks", "IPv4")
            for step in (1, 7)
        )  # fmt: skip
        assert daily <= weekly <= daily + 7 + 3  # compounding and churn inside a week differ by a little
        assert weekly % 7 == 0


def test_pods_fill_addresses_that_nodes_bring():
    # a /27 serves 29 pods; 8 blocks; each node also admits 110
    cluster = cluster_of(nodes=2, pods=20, cluster_cidrs="10.0.0.0/24", node_cidr_mask_sizes={"IPv4": 27})
    alone = Scenario.of(START, pods=Growth(per_day=1), law="expected")
    both = Scenario.of(START, pods=Growth(per_day=1), nodes=Growth.linear(1, per="week"), law="expected")
    assert p50(forecast(cluster, alone, horizon="3y", trajectories=1), "pod addresses", "IPv4") == 2 * 29 - 20
    answer = forecast(cluster, both, horizon="3y", trajectories=1)
    # 6 more nodes and no more: 8 x 29 - 20 days, though demand for nodes goes on
    assert p50(answer, "pod addresses", "IPv4") == 8 * 29 - 20
    assert p50(answer, "node blocks", "IPv4") == 42
    assert answer.more_nodes == 6


def test_services_take_cluster_ips_and_ports_in_todays_mix():
    cluster = cluster_of(service_cidrs="10.96.0.0/24,fd00::/120")
    cluster.add_services(10, type="NodePort", ip_family_policy="PreferDualStack", node_ports=3)
    cluster.add_services(10)
    answer = forecast(
        cluster, Scenario.of(START, services=Growth(per_day=1), law="expected"), horizon="20y", trajectories=1
    )
    # 21 of 254 with IPv4, 10 of 255 with IPv6: each second Service takes one; 30 of 2,768 ports, 1.5 each
    assert p50(answer, "service addresses", "IPv4") == 254 - 21
    assert p50(answer, "service addresses", "IPv6") == (255 - 10) * 2
    assert p50(answer, "node ports") == math.ceil((2768 - 30) / 1.5)
    balancers = Scenario.of(START, load_balancers=Growth(per_day=1), node_ports=Growth(per_day=1), law="expected")
    assert p50(forecast(cluster, balancers, horizon="20y", trajectories=1), "node ports") == (2768 - 30) / 2


def test_ceilings_carry_what_the_cluster_does_not_show():
    cluster = cluster_of(nodes=2, cluster_cidrs="10.0.0.0/16", service_cidrs="10.96.0.0/24")
    ceilings = (
        Ceiling("SNAT ports", 1000, {"connections": 1}, used=100, gives={"nodes": 500}),
        Ceiling("load balancer addresses", 14, {"load_balancers": 1}, ip_family="IPv4"),
    )
    demand = Scenario.of(START, connections_per_day=100, load_balancers_per_week=7, law="expected", ceilings=ceilings)
    answer = forecast(cluster, demand, horizon=99, trajectories=1)
    assert p50(answer, "SNAT ports") == 9
    assert p50(answer, "load balancer addresses", "IPv4") == 14
    assert answer.findings.empty


def test_zones_run_out_by_themselves():
    cluster = cluster_of(nodes=4, zone=["a", "a", "b", "b"], pods=40, cluster_cidrs="10.0.0.0/16", max_pods=50)
    demand = Scenario.of(START, Demand("pods", Growth(per_day=4), zone="a"), pods_per_day=2, law="expected")
    answer = forecast(cluster, demand, horizon="1y", trajectories=1)
    # zone a: 100 places, 20 taken, 4 a day of its own and half of 2 a day of the whole
    assert p50(answer, "pods per node", zone="a") == 80 // 5
    assert p50(answer, "pods per node") == math.ceil(160 / 6)
    assert answer.exhaustion[0].zone == ""


# laws


def looped(growth, initial, room, days, rng):
    """First day that a pool is full, one object at a time."""
    present = initial
    for day in range(1, days + 1):
        arrivals = rng.poisson(growth.per_day + growth.compound_ratio * present)
        present += arrivals - sum(rng.random(present) < growth.leaving_ratio)
        if present - initial >= room:
            return day
    return NEVER


GROWTHS = {
    "linear": Growth(per_day=0.8),
    "exponential": Growth(compound_ratio=0.02),
    "churn": Growth(per_day=2.0, leaving_ratio=0.02),
}


@pytest.mark.parametrize("name", GROWTHS)
@pytest.mark.parametrize("law", ["exact", "gaussian"])
def test_a_law_gives_the_days_of_a_loop(name, law):
    cluster = cluster_of(nodes=16, cluster_cidrs="10.0.0.0/18")
    demand = Scenario.of(START, nodes=GROWTHS[name], law=law)
    answer = forecast(cluster, demand, horizon=400, trajectories=6_000, rng=np.random.default_rng(1))
    rng = np.random.default_rng(2)
    truth = np.sort([looped(GROWTHS[name], 16, 48, 400, rng) for _ in range(800)])
    for quantile, ours in zip((0.05, 0.5, 0.95), rows(answer)["node blocks", "IPv4", ""].days, strict=True):
        # a day for rounding, and three standard errors of 800 draws
        spread = 3 * math.sqrt(quantile * (1 - quantile) / 800)
        low, high = (truth[int(np.clip(q * 800, 0, 799))] for q in (quantile - spread, quantile + spread))
        slack = 1 if law == "exact" else 4
        assert low - slack <= ours <= high + slack, (name, law, quantile, low, ours, high)


def test_a_known_truth_is_covered_nine_times_in_ten():
    cluster = cluster_of(nodes=10, cluster_cidrs="10.0.0.0/16")
    growth = Growth(per_day=0.4, bursts=(Burst(20, 10, every_days=150),))
    answer = forecast(
        cluster, Scenario.of(START, nodes=growth, law="exact"), horizon="5y", rng=np.random.default_rng(5)
    )
    low, _, high = rows(answer)["node blocks", "IPv4", ""].days
    rng = np.random.default_rng(6)
    inside = 0
    for _ in range(1_000):
        days = 1826
        present = 10 + np.cumsum(rng.poisson(growth.per_day, size=days))
        starts = np.flatnonzero(rng.random(days) < 1 / 150)
        for start in starts:
            present[start : start + 10] += 20
        first = int(np.argmax(present >= 256)) + 1
        inside += low <= first <= high
    assert 870 <= inside <= 930, inside


def test_uncertain_rates_widen_the_band():
    cluster = cluster_of(nodes=10, cluster_cidrs="10.0.0.0/16")

    def band(law, error):
        demand = Scenario.of(START, nodes=Growth(per_day=1, per_day_error=error), law=law)
        days = rows(forecast(cluster, demand, horizon="5y", trajectories=2_000))["node blocks", "IPv4", ""].days
        return days[2] - days[0]

    for law in ("gaussian", "exact"):
        assert band(law, 0.2) > 2 * band(law, 0.0)


def test_churn_settles_where_arrivals_and_departures_meet():
    growth = Growth(per_day=5, leaving_ratio=0.05)
    for law in ("gaussian", "exact", "expected"):
        plan = schedule_of(growth, START, steps=400)
        population = Population(growth, plan, 10, n=4_000, rng=np.random.default_rng(0), law=law)
        for step in range(400):
            population.advance(step)
        assert population.moved.mean() + 10 == pytest.approx(100, rel=0.02)
        assert (population.moved >= -10).all()
        if law != "expected":
            assert population.moved.std() == pytest.approx(10, rel=0.1)  # Poisson(100) at rest


def test_random_bursts_come_as_often_as_said_and_go_again():
    growth = Growth(bursts=(Burst(7, 3, every_days=20),))
    for law in ("gaussian", "exact"):
        plan = schedule_of(growth, START, steps=200)
        population = Population(growth, plan, 0, n=3_000, rng=np.random.default_rng(0), law=law)
        held = []
        for step in range(200):
            population.advance(step)
            held.append(population.moved.mean())
        assert np.mean(held[5:]) == pytest.approx(7 * 3 / 20, rel=0.03)
        assert (population.moved % 7 == 0).all()


# the answer


def test_shares_add_up_and_equal_pools_divide_them():
    answer = forecast(ds.examples.kubeadm_dual_stack(), Scenario.of(START, nodes_per_week=2), horizon="840d")
    shares = {(each.pool, each.ip_family): each.binds_first_ratio for each in answer.exhaustion}
    blocks = [shares["node blocks", family] for family in ("IPv4", "IPv6")]
    ran_out = rows(answer)["node blocks", "IPv4", ""].runs_out_ratio
    assert blocks == pytest.approx([ran_out / 2] * 2)
    assert 0.05 < ran_out < 0.95
    assert math.isnan(shares["published: nodes", ""])


def test_no_date_without_enough_trajectories_and_the_reason_says_so():
    answer = forecast(ds.examples.kubeadm_dual_stack(), Scenario.of(START, nodes_per_week=2), horizon="840d")
    found = rows(answer)
    blocks = found["node blocks", "IPv4", ""]
    assert blocks.dates[0] is not None
    assert blocks.dates[2] is None
    assert blocks.why.startswith("Full in ")
    reasons = {
        ("pod addresses", "IPv6"): "Cannot run out.",
        ("pods per node", ""): "Not full in any trajectory within 840 days.",
        ("service addresses", "IPv4"): "No demand takes from it.",
    }
    for (pool, family), reason in reasons.items():
        each = found[pool, family, ""]
        assert each.days == (None, None, None)
        assert each.dates == (None, None, None)
        assert each.why.startswith(reason), each


def test_a_guessed_range_has_no_date():
    text = ds.read_cluster(str(_sample("single-stack-legacy")))
    config = text.config
    guessed = [name for name, why in config.evidence.items() if why.startswith("guess")]
    demand = Scenario.of(START, nodes_per_week=5, services_per_week=5)
    answer = forecast(text, demand, horizon="10y", trajectories=50)
    for each in answer.exhaustion:
        field = {"node blocks": "cluster_cidrs", "service addresses": "service_cidrs"}.get(each.pool)
        if field in guessed and each.usable is not None:
            assert each.dates == (None,) * 3
            assert each.why.startswith("Not known")
            assert math.isnan(each.runs_out_ratio)


def _sample(name):
    from dsmodel.io.samples import sample_path

    return sample_path(name)


def test_text_and_html_have_the_same_words_and_are_the_same_every_time():
    cluster = ds.examples.nearly_full()
    demand = Scenario.of(START, nodes_per_week=1, pods_per_week=10)
    one, two = (forecast(cluster, demand, horizon="1y") for _ in range(2))
    assert repr(one) == repr(two)
    assert one._repr_html_() == two._repr_html_()
    html = one._repr_html_()
    for each in one.exhaustion:
        for date in each.dates:
            assert date is None or str(date) in html
    assert one.assumptions in unescape(html)
    assert one.assumptions in repr(one)
    assert "10,000 trajectories of 365 days" in one.assumptions


def test_names_in_html_are_escaped():
    cluster = cluster_of(nodes=2, zone="<script>", cluster_cidrs="10.0.0.0/16")
    demand = Scenario.of(START, Demand("pods", Growth(per_day=1), zone="<script>"))
    html = forecast(cluster, demand, horizon=10, trajectories=2)._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html


def test_trajectories_in_several_chunks_and_their_memory():
    cluster = cluster_of(nodes=10, cluster_cidrs="10.0.0.0/16")
    demand = Scenario.of(START, nodes_per_day=1)
    forecast(cluster, demand, horizon=2, trajectories=10)
    tracemalloc.start()
    answer = forecast(cluster, demand, horizon=300, trajectories=100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    pools = len(answer.capacities)
    assert answer.first_days.shape == (pools, 100_000)
    # first days twice (joined, converted), and what a chunk and the picture need
    assert peak < pools * 100_000 * 4 * 4 + 16e6
    assert p50(answer, "node blocks", "IPv4") == pytest.approx(246, abs=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon=0"),
        ({"horizon": "3y", "trajectories": 0}, "trajectories=0"),
        ({"horizon": "3y", "trajectories": 2.5}, "trajectories=2.5"),
        ({"horizon": "3y", "mode": "dream"}, "mode='dream'"),
        ({"horizon": "3y", "demand": Scenario(START, ())}, "with some demand"),
        ({"horizon": "3y", "demand": {"pods": 3}}, "needs a Scenario"),
    ],
)
def test_questions_that_are_none(options, message):
    demand = options.pop("demand", Scenario.of(START, nodes_per_week=3))
    with pytest.raises(InvalidInput, match=message):
        forecast(ds.examples.nearly_full(), demand, **options)


def test_odd_questions_are_answered_with_findings():
    cluster = cluster_of(nodes=4, zone="a", cluster_cidrs="10.0.0.0/22", service_cidrs="10.96.0.0/28")
    demand = Scenario.of(
        "2026-05-01",
        Demand("pods", Growth(per_day=1), zone="nowhere"),
        nodes_per_week=1,
        services=Growth(steps=(Step("2026-06-01", 500), Step("2026-01-01", 5))),
        connections_per_day=3,
    )
    answer = forecast(cluster, demand, horizon=90, trajectories=20)
    assert set(answer.findings["rule"]) == {
        "demand-without-pool",
        "demand-without-nodes",
        "demand-before-start",
        "demand-never-fits",
        "pool-full-today",
    }
    assert p50(answer, "node blocks", "IPv4") == 0
    assert rows(answer)["node blocks", "IPv4", ""].dates[0] == dt.date(2026, 5, 1)
    message = answer.findings.set_index("rule")["message"]["demand-never-fits"]
    assert "500 at once take 500 of service addresses, IPv4, which holds 14 in all" in message


# replay


def state(cluster):
    return list(cluster.pools()), len(cluster.nodes), len(cluster.pods), len(cluster.services), cluster.findings


def test_a_replay_of_a_single_pool_agrees_with_counts_to_the_day():
    cluster = cluster_of(nodes=2, services=20, cluster_cidrs="10.0.0.0/16", service_cidrs="10.96.0.0/26")
    demand = Scenario.of(START, services=Growth(per_day=0.7, leaving_ratio=0.003), nodes_per_week=3)
    before = state(cluster)
    answer = forecast(cluster, demand, horizon=150, mode="replay", trajectories=3)
    assert state(cluster) == before
    first = answer.first_days[[each.pool in {"service addresses", "node blocks"} for each in answer.capacities]]
    counted = answer.replayed["counts"][
        [each.pool in {"service addresses", "node blocks"} for each in answer.capacities]
    ]
    assert (first < NEVER).any()
    assert np.array_equal(first, counted)
    assert "Poisson arrivals" in answer.assumptions
    assert "normal" not in answer.assumptions


def test_a_replay_shows_blocks_that_node_ipam_loses():
    cluster = ds.examples.nearly_full()
    demand = Scenario.of(START, nodes=Growth.linear(2, per="week"))
    answer = forecast(cluster, demand, horizon=90, mode="replay", trajectories=3)
    frame = answer.difference.set_index(["pool", "ip_family"])
    blocks = frame.loc[("node blocks", "IPv4")]
    assert blocks["leaked"] > 2
    assert "node IPAM lost" in blocks["why"]


def test_a_replay_shows_addresses_that_are_free_on_other_nodes():
    # a /28 serves 13 pods and the kubelet admits 20: the scheduler fills nodes that have no address left
    cluster = cluster_of(nodes=8, pods=40, cluster_cidrs="10.0.0.0/25", node_cidr_mask_sizes={"IPv4": 28}, max_pods=20)
    demand = Scenario.of(START, pods=Growth(per_day=1, leaving_ratio=0.001))
    answer = forecast(cluster, demand, horizon=200, mode="replay", trajectories=5)
    row = answer.difference.set_index(["pool", "ip_family"]).loc[("pod addresses", "IPv4")]
    assert row["earlier_days"] > 0
    assert row["stranded"] > 0
    assert "were still free" in row["why"]
    assert "Replay against counts" in repr(answer)


def test_a_replay_puts_demand_where_it_says_and_moves_pods_of_nodes_that_leave():
    cluster = cluster_of(
        nodes=6, pods=60, zone=["a", "b"] * 3, cluster_cidrs="10.0.0.0/20,fd00::/60", service_cidrs="10.96.0.0/24",
        max_pods=30,
    )  # fmt: skip
    demand = Scenario.of(
        START,
        Demand("pods", Growth(per_day=3, leaving_ratio=0.02), zone="a"),
        Demand("nodes", Growth(per_day=0.2, leaving_ratio=0.03), zone="b"),
        services=Growth(per_day=1, leaving_ratio=0.01),
        load_balancers_per_week=2,
        node_ports=Growth(per_day=5, leaving_ratio=0.05),
    )
    answer = forecast(cluster, demand, horizon=60, mode="replay", trajectories=3)
    zone = rows(answer)["pods per node", "", "a"]
    assert zone.usable == 90
    assert zone.days[1] is not None
    assert answer.trajectories == 3
    again = forecast(cluster, demand, horizon=60, mode="replay", trajectories=3)
    assert np.array_equal(answer.first_days, again.first_days)


def test_an_interrupt_does_no_harm(monkeypatch):
    cluster = ds.examples.kubeadm_dual_stack()
    before = state(cluster)
    calls = []

    def interrupted(self, *arguments, **options):
        calls.append(arguments)
        if len(calls) > 5:
            raise KeyboardInterrupt
        return original(self, *arguments, **options)

    original = ds.Cluster.add_pods
    monkeypatch.setattr(ds.Cluster, "add_pods", interrupted)
    with pytest.raises(KeyboardInterrupt):
        forecast(cluster, Scenario.of(START, pods_per_day=5), horizon=90, mode="replay", trajectories=3)
    assert state(cluster) == before


def test_counts_leave_the_cluster_alone():
    cluster = ds.examples.nearly_full()
    before = state(cluster)
    forecast(cluster, Scenario.of(START, nodes_per_week=3, pods_per_week=9, services_per_week=2), horizon=90)
    assert state(cluster) == before


# back-test


def walks(n, *, days=300, rate=3.0):
    frames = []
    for number in range(n):
        rng = np.random.default_rng(number)
        values = 100 + np.cumsum(rng.poisson(rate, size=days))
        times = pd.date_range("2025-01-01", periods=days)
        frames.append(pd.DataFrame({"time": times, "metric": "pods", "zone": f"z{number:03d}", "value": values}))
    return pd.concat(frames)


def test_a_back_test_of_the_right_model_covers_nine_in_ten():
    frame = back_test(walks(60))
    assert frame["points"].sum() == 60 * 90
    assert 0.84 <= frame["inside"].sum() / frame["points"].sum() <= 0.96
    assert frame["expected_ratio"].tolist() == pytest.approx([0.9] * 60)


def test_a_back_test_says_when_the_model_is_wrong():
    days = pd.date_range("2025-01-01", periods=300)
    values = 100 + np.where(np.arange(300) < 210, np.arange(300), 10 * np.arange(300) - 1890)
    values = values + np.random.default_rng(0).integers(0, 3, size=300)
    frame = back_test(pd.DataFrame({"time": days, "metric": "pods", "value": values}))
    assert frame["coverage_ratio"][0] < 0.3
    assert "above" in frame["why"][0]
    assert frame["median_error"][0] > 100


def test_a_back_test_without_enough_points_says_so():
    short = walks(1, days=9)
    frame = back_test(short)
    assert frame["points"][0] == 0
    assert math.isnan(frame["coverage_ratio"][0])
    assert frame["why"][0].startswith("too short")


@pytest.mark.parametrize("options", [{"held_back_ratio": 0}, {"held_back_ratio": 1}, {"shape": "square"}])
def test_back_tests_that_are_none(options):
    with pytest.raises(InvalidInput):
        back_test(walks(1), **options)


@pytest.mark.parametrize("mode", ["counts", "replay"])
def test_a_cluster_without_nodes_yet_is_not_full(mode):
    cluster = cluster_of(cluster_cidrs="10.0.0.0/16", max_pods=10)
    demand = Scenario.of(START, nodes_per_day=4, services_per_day=1, law="exact")
    answer = forecast(cluster, demand, horizon=90, trajectories=2, mode=mode)
    assert p50(answer, "pods per node") is None
    assert p50(answer, "pod addresses", "IPv4") is None
    assert p50(answer, "node blocks", "IPv4") == pytest.approx(64, abs=15)


def test_demand_whose_own_pool_is_not_known_is_a_finding():
    cluster = cluster_of(nodes=2)
    demand = Scenario.of(START, nodes_per_day=1, pods_per_day=1, services_per_day=2, node_ports_per_day=1)
    answer = forecast(cluster, demand, horizon=20, trajectories=2)
    found = answer.findings[answer.findings["rule"] == "demand-without-pool"]
    assert found["object"].tolist() == ["nodes", "pods", "services"]
    assert "no service addresses of this cluster is known" in found["message"].iloc[2]


def test_a_horizon_is_rounded_up_to_whole_steps():
    demand = Scenario.of(START, nodes_per_day=1, step_days=7, law="expected")
    answer = forecast(cluster_of(nodes=246, cluster_cidrs="10.0.0.0/16"), demand, horizon=10, trajectories=1)
    assert answer.horizon_days == 14
    assert p50(answer, "node blocks", "IPv4") == 14
