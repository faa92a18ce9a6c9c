"""Demand over time: what is accepted, how it reads, and what history says."""

import datetime as dt
import io
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dsmodel as ds
from dsmodel.errors import InvalidInput
from dsmodel.planning.scenario import Burst, Ceiling, Demand, Growth, Scenario, Step, fit
from dsmodel.planning.scenario.calendars import day_of, horizon_days

START = dt.date(2026, 1, 1)


@pytest.mark.parametrize(
    ("horizon", "days", "why"),
    [
        (90, 90, "a number is days"),
        ("90d", 90, "days"),
        ("26w", 182, "weeks"),
        ("1mo", 31, "January has 31 days"),
        ("18mo", 546, "to 2027-07-01"),
        ("3y", 1096, "2028 is a leap year"),
        (" 3 Years ", 1096, "as people write it"),
        ("2026-02-01", 31, "the last day"),
        (dt.date(2026, 1, 2), 1, "a date"),
        (dt.timedelta(days=7), 7, "a span"),
        (np.datetime64("2026-01-03"), 2, "as numpy writes a date"),
    ],
)
def test_horizons(horizon, days, why):
    assert horizon_days(horizon, START) == days, why


@pytest.mark.parametrize(
    ("horizon", "message"),
    [
        (0, "horizon=0: is 0 days after 2026-01-01"),
        (-3, "a forecast needs 1 day or more"),
        ("2025-12-31", "is -1 days after"),
        ("soon", "needs a date"),
        ("200y", "at most 36,525"),
        ("99999999y", "at most 36,525"),
        (True, "needs days, a date"),
        (1.5, "needs days, a date"),
        (None, "needs days, a date"),
    ],
)
def test_horizons_that_are_none(horizon, message):
    with pytest.raises(InvalidInput, match=message):
        horizon_days(horizon, START)


@pytest.mark.parametrize("value", ["yesterday-ish", 20260101, None, "", float("nan"), "NaT", [1]])
def test_what_is_no_date_is_named(value):
    with pytest.raises(InvalidInput, match="start="):
        day_of(value, "start")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Growth(per_day=-1), "growth is 0 or more; what goes is leaving_ratio"),
        (lambda: Growth.linear(-3, per="week"), "growth is 0 or more"),
        (lambda: Growth.exponential(-0.1), "growth is 0 or more"),
        (lambda: Growth(per_day=math.nan), "per_day=nan"),
        (lambda: Growth(per_day=math.inf), "per_day=inf"),
        (lambda: Growth(per_day="3"), "per_day='3'"),
        (lambda: Growth(compound_ratio=2), "more than doubles each day"),
        (lambda: Growth(leaving_ratio=1.1), "leaving_ratio=1.1"),
        (lambda: Growth(spread_per_day=-1), "spread_per_day=-1"),
        (lambda: Growth(weekly=(1, 2)), "needs 7 weights"),
        (lambda: Growth(yearly=(0,) * 12), "not all of them 0"),
        (lambda: Growth(weekly=(1, 1, 1, 1, 1, 1, -1)), "needs 7 weights"),
        (lambda: Growth.linear(3, per="fortnight"), "per='fortnight'"),
        (lambda: Growth().plus("more"), "neither a Step nor a Burst"),
        (lambda: Step("2026-02-30", 3), "step='2026-02-30'"),
        (lambda: Step("2026-02-01", 3, days=0), "days=0"),
        (lambda: Burst(3, 2), "either every_days= or at="),
        (lambda: Burst(3, 2, every_days=9, at="2026-01-01"), "either every_days= or at="),
        (lambda: Burst(3, 2, every_days=0), "every_days=0"),
        (lambda: Burst(-3, 2, every_days=9), "size=-3"),
        (lambda: Demand("clusters", Growth()), "is one of nodes, pods"),
        (lambda: Demand("services", Growth(), zone="a"), "only nodes and pods"),
        (lambda: Demand("pods", 3), "needs a Growth"),
        (lambda: Ceiling("ports", 3, {}), "one at least"),
        (lambda: Ceiling("ports", 3, {"flows": 1}), "kinds are"),
        (lambda: Ceiling("ports", -3, {"pods": 1}), "usable=-3"),
        (lambda: Scenario.of("2026-01-01", pods=3), "pods=3: needs a Growth, or pods_per_week="),
        (lambda: Scenario.of("2026-01-01", pods_per_week=Growth()), "has its own unit"),
        (lambda: Scenario.of("2026-01-01", pods_per_decade=3), "per='decade'"),
        (lambda: Scenario.of("2026-01-01", cats_per_week=3), "demand is for one of"),
        (lambda: Scenario.of("2026-01-01", pods_per_week=3, law="levy"), "law='levy'"),
        (lambda: Scenario.of("2026-01-01", pods_per_week=3, step_days=0), "step_days=0"),
        (lambda: Scenario.of("2026-01-01", "pods"), "needs a Demand"),
        (lambda: Scenario.of("tomorrow-ish", pods_per_week=3), "start='tomorrow-ish'"),
    ],
)
def test_what_cannot_be_is_named(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_rates_are_kept_whatever_the_unit():
    year = [Growth.linear(n, per=unit).per_day * 365.25 for n, unit in ((365.25, "day"), (12, "month"), (1, "year"))]
    assert year == pytest.approx([365.25**2, 12 * 12, 1]) or year == pytest.approx([133407.5625, 144, 1])
    ratios = [Growth.exponential(r, per=u).compound_ratio for r, u in ((0.08, "month"), (1.08**12 - 1, "year"))]
    assert ratios[0] == pytest.approx(ratios[1])


def test_a_frame_says_the_same_as_numbers():
    frame = pd.DataFrame(
        [
            {"kind": "nodes", "per_week": 3},
            {"kind": "pods", "per_day": 10, "leaving_ratio": 0.02},
            {"kind": "pods", "time": "2026-06-01", "count": 500, "days": 5},
            {"kind": "pods", "zone": "a", "per_month": 30, "weekly": "1, 1, 1, 1, 1, 0, 0"},
            {"kind": "pods", "zone": "a", "burst": 40, "days": 3, "every_days": 90},
            {"kind": "pods", "node_pool": "gpu", "per_day": 1, "yearly": "1 1 1 1 1 1 1 1 1 1 2 3"},
            {"kind": "pods", "node_pool": "gpu", "burst": 80, "days": 4, "time": "2026-11-27"},
        ]
    )
    expected = Scenario(
        START,
        (
            Demand("nodes", Growth.linear(3, per="week")),
            Demand("pods", Growth(per_day=10, leaving_ratio=0.02, steps=(Step("2026-06-01", 500, days=5),))),
            Demand(
                "pods",
                Growth.linear(30, per="month")
                .with_season(weekly=(1, 1, 1, 1, 1, 0, 0))
                .plus(Burst(40, 3, every_days=90)),
                zone="a",
            ),
            Demand(
                "pods",
                Growth(per_day=1).with_season(yearly=(1,) * 10 + (2, 3)).plus(Burst(80, 4, at="2026-11-27")),
                node_pool="gpu",
            ),
        ),
    )
    assert Scenario.from_frame(frame, start=START) == expected
    assert Scenario.from_frame(pd.read_csv(io.StringIO(frame.to_csv(index=False))), start=START) == expected


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no column kind, or no row"),
        ([{"kind": "pods", "speed": 3}], "unknown columns speed"),
        ([{"kind": "pods", "per_week": 1}, {"kind": "cats", "per_week": 1}], "row 2: demand for 'cats'"),
        ([{"kind": "pods", "per_week": "many"}], "row 1: could not convert"),
        ([{"kind": "pods", "per_week": -1}], "row 1: count=-1"),
        ([{"kind": "pods", "time": "2026-01-02"}], "a step needs both time and count"),
        ([{"kind": "pods", "time": "never", "count": 3}], "step='never'"),
        ([{"kind": "pods", "burst": 3}], "a burst needs burst, days, and one of time and every_days"),
        (
            [{"kind": "pods", "burst": 3, "days": 1, "time": "2026-01-02", "every_days": 9}],
            "one of time and every_days",
        ),
        ([{"kind": "pods", "every_days": 9}], "a step needs both time and count; a burst needs"),
        ([{"kind": "pods", "per_week": 1, "weekly": "1 1 1"}], "row 1: weekly=.1.0, 1.0, 1.0.: needs 7 weights"),
        ([{"kind": "pods", "per_week": 1, "weekly": "all days"}], "row 1: could not convert"),
        ([{"kind": "pods", "weekly": "1 1 1 1 1 0 0"}] * 2, "row 2: weekly stands twice"),
        ([{"kind": "pods", "time": "2026-01-02", "count": 3.5}], "needs a whole number"),
        (
            [{"kind": "pods", "leaving_ratio": 0.1}, {"kind": "pods", "leaving_ratio": 0.2}],
            "row 2: leaving_ratio stands",
        ),
    ],
)
def test_frames_that_are_none(rows, message):
    with pytest.raises(InvalidInput, match=message):
        Scenario.from_frame(pd.DataFrame(rows), start=START)


def test_a_scenario_shows_the_same_as_text_and_html():
    demand = Scenario.of(START, Demand("pods", Growth(per_day=1), zone="<b>"), nodes_per_week=3)
    text, html = repr(demand), demand._repr_html_()
    assert "zone <b>" in text
    assert "zone &lt;b&gt;" in html
    assert "<b>" not in html
    assert all(word in html for word in ("gaussian law", "3 a week", "1 a day"))


# history


def history(values, *, metric="pods", start="2025-01-01", **columns):
    days = pd.date_range(start, periods=len(values))
    return pd.DataFrame({"time": days, "metric": metric, "value": values, **columns})


def test_a_straight_line_is_found_exactly():
    fitted = fit(history(range(100, 400, 3)))
    growth = fitted.scenario.demands[0].growth
    assert growth.per_day == pytest.approx(3)
    assert growth.spread_per_day == pytest.approx(0, abs=1e-9)
    assert fitted.scenario.start == dt.date(2025, 4, 10)


def test_an_exponential_is_found_and_preferred():
    values = 1000 * 1.01 ** np.arange(120)
    growth = fit(history(values), shape="best").scenario.demands[0].growth
    assert growth.compound_ratio == pytest.approx(0.01)
    assert growth.per_day == 0


@given(rate=st.floats(0.5, 30), scatter=st.integers(0, 2**32 - 1))
def test_the_error_of_the_rate_is_honest(rate, scatter):
    rng = np.random.default_rng(scatter)
    growth = fit(history(50 + np.cumsum(rng.poisson(rate, size=400)))).scenario.demands[0].growth
    assert abs(growth.per_day - rate) < 5 * growth.per_day_error + 1e-9
    assert growth.spread_per_day == pytest.approx(rate**0.5, rel=0.35)


def test_order_of_rows_and_time_zones_do_not_matter():
    frame = history(range(0, 100, 2))
    shuffled = frame.sample(frac=1, random_state=1)
    zoned = frame.assign(time=frame["time"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"))
    rates = [fit(each).scenario.demands[0].growth.per_day for each in (frame, shuffled, zoned)]
    assert rates == pytest.approx([2, 2, 2])


def rules(fitted):
    return fitted.findings["rule"].tolist()


def test_duplicates_gaps_and_missing_values_are_findings_and_bend_nothing():
    frame = history(np.arange(0.0, 200, 2))
    twice = frame.iloc[[10]].assign(value=0)
    holes = frame.drop(index=range(40, 60)).assign(value=lambda rows: rows["value"].where(rows.index != 70))
    fitted = fit(pd.concat([holes, twice]))
    assert sorted(rules(fitted)) == ["history-duplicate", "history-gap", "history-missing-value"]
    assert fitted.scenario.demands[0].growth.per_day == pytest.approx(2)


def test_a_wrong_clock_is_named_and_left_out():
    frame = history(range(100, 200))
    wrong = pd.DataFrame({"time": ["1970-01-01", "2106-02-07"], "metric": "pods", "value": [7, 7]})
    fitted = fit(pd.concat([frame.astype({"time": str}), wrong]))
    assert rules(fitted) == ["history-clock-jump"] * 2
    assert set(fitted.findings["severity"]) == {"error"}
    assert fitted.scenario.demands[0].growth.per_day == pytest.approx(1)
    assert fitted.scenario.start == dt.date(2025, 4, 10)


def test_a_migration_bends_least_squares_and_not_the_robust_fit():
    rng = np.random.default_rng(3)
    values = np.cumsum(rng.poisson(4, size=200)) + np.where(np.arange(200) >= 100, 5000, 0)
    plain, robust = (fit(history(values), robust=each) for each in (False, True))
    assert plain.scenario.demands[0].growth.per_day > 20
    assert robust.scenario.demands[0].growth.per_day == pytest.approx(4, abs=0.5)
    assert rules(robust) == ["history-step"]
    assert "2025-04-11" in robust.findings["message"][0]


def test_what_shrinks_becomes_churn_and_says_so():
    fitted = fit(history(range(500, 300, -2)))
    growth = fitted.scenario.demands[0].growth
    assert (growth.per_day, growth.leaving_ratio) == (0, pytest.approx(2 / 401, rel=0.01))
    assert rules(fitted) == ["history-shrinks"]


def test_objects_go_before_pools_and_what_is_no_demand_is_named():
    frames = [
        history(range(0, 60, 3), metric="node blocks", ip_family="IPv4"),
        history(range(20), metric="node blocks", ip_family="IPv6"),
        history(range(0, 40, 2), metric="services"),
        history(range(0, 60, 3), metric="service_addresses", ip_family="IPv4"),
        history(range(20), metric="weather"),
        history(range(3), metric="pods"),
    ]
    fitted = fit(pd.concat(frames))
    assert [(each.kind, each.growth.per_day) for each in fitted.scenario.demands] == [
        ("nodes", pytest.approx(3)),
        ("services", pytest.approx(2)),
    ]
    assert sorted(rules(fitted)) == [
        "history-other-metric",
        "history-passed-over",
        "history-passed-over",
        "history-too-short",
    ]
    assert fitted.rates["is_used"].sum() == 2


def test_pods_that_are_only_stored_speak_last_and_say_so():
    stored = history(range(0, 100, 5), metric="stored pods")
    addresses = history(range(20), metric="pod addresses", ip_family="IPv4")
    both = fit(pd.concat([stored, addresses]))
    assert both.scenario.demands[0].growth.per_day == pytest.approx(1)
    assert rules(both) == ["history-passed-over"]
    alone = fit(stored)
    assert alone.scenario.demands[0].growth.per_day == pytest.approx(5)
    assert rules(alone) == ["history-stored-pods"]


def test_parts_of_a_cluster_have_their_own_demand():
    frame = pd.concat([history(range(20), zone="a"), history(range(0, 40, 2), zone="b")])
    assert [(each.zone, each.growth.per_day) for each in fit(frame).scenario.demands] == [
        ("a", pytest.approx(1)),
        ("b", pytest.approx(2)),
    ]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"time": [], "metric": [], "value": []}), "has no row"),
        (pd.DataFrame({"time": ["2026-01-01"], "value": [1]}), "has no column pool"),
        (pd.DataFrame({"when": ["2026-01-01"], "metric": "pods", "value": [1]}), "has no column time"),
        (pd.DataFrame({"time": ["2026-01-01", "soon"], "metric": "pods", "value": [1, 2]}), "row 2: time='soon'"),
        (pd.DataFrame({"time": range(30), "metric": "pods", "value": 1}), "row 1: time=0 is a bare number"),
        (
            pd.DataFrame({"time": ["2026-01-01"], "metric": "pods", "value": ["many"]}),
            "history, value, row 1: 'many' is no number",
        ),
        (pd.DataFrame({"time": ["2026-01-01"], "metric": "pods", "value": [-4]}), "is negative"),
        (history([1, 2, 3]), "no series to fit .pods: 3 days"),
        (history(range(20), metric="weather"), "no series to fit .weather: tells of no demand"),
    ],
)
def test_histories_that_are_none(frame, message):
    with pytest.raises(InvalidInput, match=message):
        fit(frame)


def test_an_unknown_shape_is_named():
    with pytest.raises(InvalidInput, match="shape='square'"):
        fit(history(range(20)), shape="square")


def test_the_doors():
    assert (ds.Scenario, ds.Growth, ds.Step, ds.Burst) == (Scenario, Growth, Step, Burst)
