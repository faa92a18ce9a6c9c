"""Forecasts as frames."""

import numpy as np
import pandas as pd
import pytest

import dsmodel as ds
from dsmodel import reports

COLUMNS = [
    "pool", "ip_family", "node_pool", "zone", "usable", "used",
    "exhaustion_p5", "exhaustion_p50", "exhaustion_p95",
    "exhaustion_p5_days", "exhaustion_p50_days", "exhaustion_p95_days",
    "runs_out_ratio", "binds_first_ratio", "why",
]  # fmt: skip


@pytest.fixture(scope="module")
def answer():
    demand = ds.Scenario.of("2026-01-01", nodes_per_week=1, pods_per_week=20, services_per_week=1)
    return ds.forecast(ds.examples.nearly_full(), demand, horizon="1y", trajectories=2_000)


def test_columns_rows_and_dtypes(answer):
    frame = reports.exhaustion(answer)
    assert frame.columns.tolist() == COLUMNS
    assert (frame["pool"] + frame["ip_family"]).tolist() == [
        f"{row['pool']}{row['ip_family']}" for row in reports.limits(ds.examples.nearly_full()).to_dict("records")
    ]
    assert {str(frame[name].dtype) for name in COLUMNS if name.endswith("_days")} == {"Int64"}
    assert all(frame[f"exhaustion_{end}"].dtype.kind == "M" for end in ("p5", "p50", "p95"))
    assert frame.attrs["assumptions"] == answer.assumptions
    assert frame["binds_first_ratio"].sum() == pytest.approx(1)


def test_dates_are_days_after_the_start_and_never_invented(answer):
    frame = reports.exhaustion(answer)
    for end in ("p5", "p50", "p95"):
        days, dates = frame[f"exhaustion_{end}_days"], frame[f"exhaustion_{end}"]
        assert (days.isna() == dates.isna()).all()
        known = days.notna()
        expected = pd.Timestamp("2026-01-01") + pd.to_timedelta(days[known].astype("int64"), unit="D")
        assert (dates[known] == expected).all()
    endless = frame[frame["usable"].isna()]
    assert endless["exhaustion_p5"].isna().all()
    assert endless["why"].str.startswith("Cannot run out.").all()
    assert (endless["runs_out_ratio"] == 0).all()
    ordered = frame[["exhaustion_p5_days", "exhaustion_p50_days", "exhaustion_p95_days"]].dropna()
    assert (ordered.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_a_date_is_there_exactly_where_enough_trajectories_run_out(answer):
    frame = reports.exhaustion(answer)
    for end, least in (("p5", 0.05), ("p50", 0.5), ("p95", 0.95)):
        enough = frame["runs_out_ratio"].fillna(0) >= least
        assert (frame[f"exhaustion_{end}"].notna() == enough).all()


def test_fans_start_today_widen_and_cross_where_the_pool_is_full(answer):
    frame = reports.fans(answer)
    own = frame[(frame["pool"] == "service addresses") & (frame["ip_family"] == "IPv4")]
    assert own["time"].iloc[[0, -1]].dt.strftime("%Y-%m-%d").tolist() == ["2026-01-01", "2027-01-01"]
    assert own[["used_p5", "used_p50", "used_p95"]].iloc[0].tolist() == [55, 55, 55]
    assert (own["used_p95"] >= own["used_p50"]).all()
    assert (own["used_p50"] >= own["used_p5"]).all()
    full = own["exhaustion_p50"].iloc[0]
    after = own[own["time"] >= full]["used_p50"].iloc[0]
    before = own[own["time"] < full - pd.Timedelta(days=10)]["used_p50"].iloc[-1]
    assert before < 62 <= after + 1
    assert np.isfinite(frame.filter(like="used").to_numpy()).all()


def test_fans_know_capacity_that_nodes_bring():
    cluster = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/16"], max_pods=30))
    cluster.add_nodes(2)
    demand = ds.Scenario.of("2026-01-01", nodes_per_day=1, pods_per_day=1, law="expected")
    frame = reports.fans(ds.forecast(cluster, demand, horizon=10, trajectories=1))
    own = frame[frame["pool"] == "pods per node"]
    assert own["usable_p50"].tolist() == [60 + 30 * day for day in range(11)]
    assert own["used_p50"].tolist() == list(range(11))


def test_nothing_that_can_run_out_is_an_empty_fan():
    cluster = ds.Cluster(ds.ClusterConfig.of())
    demand = ds.Scenario.of("2026-01-01", connections_per_day=1)
    answer = ds.forecast(cluster, demand, horizon=10, trajectories=3)
    frame = reports.fans(answer)
    assert frame.empty
    assert "used_p50_ratio" in frame
    assert reports.exhaustion(answer)["exhaustion_p5"].isna().all()
    assert "nothing runs out" in repr(answer)
