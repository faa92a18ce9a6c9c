"""Seasons found in history: their weights, bands that are as narrow as they may be, and noise that is none."""

import numpy as np
import pandas as pd
import pytest

import dsmodel as ds
from dsmodel.errors import InvalidInput
from dsmodel.planning.forecasting import back_test
from dsmodel.planning.scenario import Demand, fit
from dsmodel.planning.scenario.histories import series_of
from dsmodel.planning.scenario.seasons import factors, seasonal

WORKDAYS = (1, 1, 1, 1, 1, 0, 0)
YEAR = (1, 1, 1, 1, 1, 1, 0.5, 0.5, 1, 1, 2, 3)


def days(count, start="2024-01-01"):
    return pd.date_range(start, periods=count, tz="UTC")


def grown(times, *, rate=10.0, weekly=(), yearly=(), start=0, scatter=True):
    """Poisson arrivals of a season, as a history."""
    numbers = ((times - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(days=1)).to_numpy(np.int64)
    means = rate * factors(weekly, yearly, numbers)
    arrivals = np.random.default_rng(start).poisson(means) if scatter else means
    return pd.DataFrame({"time": times, "metric": "pods", "value": 500 + np.cumsum(arrivals)})


def growth_of(frame, **how):
    return fit(frame, **how).scenario.demands[0].growth


def rules(frame, **how):
    return fit(frame, **how).findings["rule"].tolist()


def test_factors_are_those_of_a_loop() -> None:
    times = days(800)
    numbers = np.arange(len(times)) + (times[0] - pd.Timestamp(0, tz="UTC")).days
    expected = [
        WORKDAYS[time.weekday()] / (5 / 7) * YEAR[time.month - 1] / (sum(YEAR) / 12) for time in times.to_pydatetime()
    ]
    assert factors(WORKDAYS, YEAR, numbers).tolist() == pytest.approx(expected)


def test_a_weekly_season_is_found_and_what_is_left_over_is_noise() -> None:
    frame = grown(days(280), weekly=WORKDAYS)
    plain, found = growth_of(frame), growth_of(frame, season="weekly")
    assert found.weekly == pytest.approx(np.array(WORKDAYS) * 7 / 5, abs=0.15)
    assert found.per_day == pytest.approx(10, rel=0.05)
    assert plain.spread_per_day > 1.5 * found.spread_per_day
    assert found.spread_per_day == pytest.approx(10**0.5, rel=0.1)  # Poisson
    assert found.per_day_error < plain.per_day_error
    assert rules(frame, season="weekly") == []


def test_a_yearly_season_is_found_over_gaps_and_weekly_samples() -> None:
    frame = grown(days(4 * 365), yearly=YEAR).iloc[::7]
    found = growth_of(frame.drop(index=frame.index[30:34]), season="yearly")
    assert found.yearly == pytest.approx(np.array(YEAR) / np.mean(YEAR), abs=0.25)
    assert found.per_day == pytest.approx(10, rel=0.05)


def test_an_exponential_has_a_season_too() -> None:
    times = days(280)
    numbers = ((times - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(days=1)).to_numpy(np.int64)
    values = 1000 * np.cumprod(1 + 0.01 * factors(WORKDAYS, (), numbers))
    found = growth_of(pd.DataFrame({"time": times, "metric": "pods", "value": values}), shape="best", season="weekly")
    assert found.compound_ratio == pytest.approx(0.01, rel=0.02)
    assert found.weekly[5:] == (0, 0)


@pytest.mark.parametrize("start", range(6))
def test_noise_is_no_season(start) -> None:
    frame = grown(days(280), start=start)
    assert growth_of(frame, season="weekly") == growth_of(frame)
    assert rules(frame, season="weekly") == ["history-no-season"]


def test_chance_makes_a_season_of_about_one_in_a_hundred() -> None:
    found = sum(
        seasonal(series_of(grown(days(140), start=start))[0][0], "weekly")[1] != () for start in range(1_000, 1_400)
    )
    assert found <= 12  # 4 are expected; more than 12 come once in 3,000 times


@pytest.mark.parametrize(
    ("frame", "season", "words"),
    [
        (grown(days(21), weekly=WORKDAYS), "weekly", "was seen 3 times, 4 are needed|was seen 2 times, 4 are needed"),
        (grown(days(280)).iloc[::7], "weekly", "was seen 0 times, 4 are needed"),
        (grown(days(400), yearly=YEAR), "yearly", "was seen 1 times, 2 are needed"),
        (grown(days(280), scatter=False), "weekly", "no more than chance"),
    ],
)
def test_too_little_to_tell_a_season_is_said(frame, season, words) -> None:
    findings = fit(frame, season=season).findings.set_index("rule")
    assert pd.Series(findings.loc["history-no-season", "message"]).str.contains(words).all()


def test_what_swings_within_the_week_is_fitted_by_its_peaks() -> None:
    times = days(280)
    sleeping = np.where(times.day_of_week >= 5, 300, 0)
    trend = 1000 + 3 * np.arange(280) + np.random.default_rng(1).integers(-4, 5, 280)
    frame = pd.DataFrame({"time": times, "metric": "pods", "value": trend - sleeping})
    plain, found = growth_of(frame), growth_of(frame, season="weekly")
    assert found.per_day == pytest.approx(3, abs=0.1)
    assert plain.spread_per_day > 50 * found.spread_per_day
    assert rules(frame, season="weekly") == ["history-swings"]
    assert "falls on Saturday and swings" in fit(frame, season="weekly").findings["message"][0]


def test_a_back_test_shows_what_a_season_is_worth() -> None:
    frame = grown(days(364), weekly=WORKDAYS)
    plain, found = (back_test(frame, season=season) for season in ("", "weekly"))
    assert "weekly season" in found["why"][0]
    assert found["coverage_ratio"][0] >= 0.75
    assert plain["coverage_ratio"][0] >= found["coverage_ratio"][0]


def test_bands_with_a_season_cover_nine_in_ten() -> None:
    """One far point of each of 200 independent series: points of one series depend on each other."""
    inside = 0
    for start in range(200):
        frame = grown(days(200), weekly=WORKDAYS, start=start).drop(index=range(140, 199))
        row = back_test(frame, season="weekly", rng=np.random.default_rng(start)).iloc[0]
        assert row["points"] == 1
        inside += row["inside"]
    assert 167 <= inside <= 193, inside  # 180 expected, three standard deviations


def test_zones_have_their_own_season() -> None:
    frame = pd.concat([grown(days(280), weekly=WORKDAYS).assign(zone="a"), grown(days(280), start=9).assign(zone="b")])
    demands = fit(frame, by="zone", season="weekly").scenario.demands
    assert [(each.zone, bool(each.growth.weekly)) for each in demands] == [("a", True), ("b", False)]
    assert isinstance(demands[0], Demand)
    answer = ds.forecast(
        ds.examples.nearly_full(), ds.Scenario.of("2026-01-01", *demands), horizon="30d", trajectories=20
    )
    assert "pods in zone a 10" in answer.assumptions
    assert "weekly season" in answer.assumptions


def test_another_season_is_named() -> None:
    with pytest.raises(InvalidInput, match="season='hourly': is one of '', 'weekly', 'yearly'"):
        fit(grown(days(30)), season="hourly")
