"""The tidy frame: fit-able whatever the source, with totals, one voice a pool, and one row a time."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsmodel.errors import InvalidInput
from dsmodel.io.history.observations import COLUMNS, KEYS, observations_of, table_of, tidy, time_of
from dsmodel.planning.scenario import fit

DAYS = [f"2026-01-{day:02d}" for day in range(1, 13)]


def seen(days=DAYS, *, cidr="10.96.0.0/24", step=3, source="dump", pool="service addresses", usable=254):
    return [
        {"time": day, "pool": pool, "ip_family": "IPv4", "range": cidr, "used": 10 + step * place, "usable": usable,
         "source": source}
        for place, day in enumerate(days)
    ]  # fmt: skip


def found(frame):
    return [(each["rule"], each["object"]) for each in frame.attrs["findings"]]


def test_a_frame_is_fitted_as_it_is() -> None:
    frame = tidy(table_of(seen()))
    fitted = fit(frame)
    assert fitted.rates[["metric", "ip_family", "kind", "per_day"]].to_numpy().tolist() == [
        ["service addresses", "IPv4", "services", 3.0]
    ]
    assert fitted.findings.empty
    assert frame.dtypes.astype(str).to_dict()["used"] == "Int64"


def test_ranges_are_added_up_and_named_apart() -> None:
    frame = tidy(table_of([*seen(), *seen(cidr="10.97.0.0/24", step=2)]))
    fitted = fit(frame)
    assert fitted.rates.loc[fitted.rates["is_used"], "per_day"].tolist() == [5.0]
    last = frame[frame["time"] == frame["time"].max()]
    assert last[["metric", "range", "used", "usable"]].to_numpy().tolist() == [
        ["service addresses", "", 75, 508],
        ["service addresses in 10.96.0.0/24", "10.96.0.0/24", 43, 254],
        ["service addresses in 10.97.0.0/24", "10.97.0.0/24", 32, 254],
    ]


def test_a_range_that_comes_later_counts_from_then_on_and_a_hole_has_no_total() -> None:
    later = seen(DAYS[4:], cidr="10.97.0.0/24", step=0)
    frame = tidy(table_of([*seen(step=0), *later[:2], *later[3:]]))
    total = frame[frame["metric"] == "service addresses"]
    assert total["value"].tolist() == [10] * 4 + [20] * 7
    assert pd.Timestamp("2026-01-07", tz="UTC") not in set(total["time"])
    assert found(frame) == [("history-part-missing", "service addresses, IPv4")]


def test_a_range_inside_another_is_not_added_again() -> None:
    frame = tidy(table_of([*seen(step=0), *seen(cidr="10.96.0.0/20", step=0)]))
    assert frame.loc[frame["metric"] == "service addresses", "value"].unique().tolist() == [10]
    assert found(frame) == [("history-nested-ranges", "service addresses, IPv4")]


def test_a_range_in_place_of_another_leaves_no_hole() -> None:
    small, large = seen(DAYS[::2], cidr="10.96.0.0/25", step=0), seen(DAYS[1::2], cidr="10.96.0.0/24", step=0)
    frame = tidy(table_of([*small, *large]))
    assert frame.loc[frame["metric"] == "service addresses", "value"].tolist() == [10] * 12
    assert found(frame) == []


@pytest.mark.parametrize(
    ("again", "severity", "value", "why"),
    [
        (10, "info", 10, "the same numbers"),
        (99, "warning", 99, "those given last"),
        (1, "warning", 1, "not the larger"),
    ],
)
def test_repeats_follow_the_rule(again, severity, value, why) -> None:
    frame = tidy(table_of([*seen(step=0), {**seen()[0], "used": again}]))
    assert frame["value"].tolist() == [value] + [10] * 11, why
    (finding,) = frame.attrs["findings"]
    assert (finding["severity"], finding["rule"]) == (severity, "history-duplicate")
    assert "1 times given again" in finding["message"]
    assert "history-duplicate" not in set(fit(frame).findings["rule"])


def test_the_source_that_saw_most_speaks() -> None:
    frame = tidy(table_of([*seen(), *seen(DAYS[:3], source="kube-apiserver")]))
    assert set(frame["metric"]) == {"service addresses", "service addresses (kube-apiserver)"}
    assert found(frame) == [("history-two-sources", "service addresses, IPv4")]
    assert fit(frame).rates["metric"].tolist() == ["service addresses"]


def test_gaps_and_wrong_clocks_are_named_where_history_is_fitted() -> None:
    rows = seen([*DAYS[:4], *DAYS[9:], "1970-01-01", "2026-01-13", "2026-01-14", "2026-01-15"], step=0)
    rules = fit(tidy(table_of(rows))).findings["rule"].tolist()
    assert sorted(rules) == ["history-clock-jump", "history-gap"]


def test_what_cannot_run_out_has_no_number() -> None:
    frame = tidy(table_of(seen(usable=2.0**64)))
    assert frame["usable"].isna().all()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "time": st.sampled_from(DAYS),
                "pool": st.sampled_from(["pods", "service addresses"]),
                "ip_family": st.sampled_from(["", "IPv4", "IPv6"]),
                "range": st.sampled_from(["", "10.0.0.0/8", "10.1.0.0/16", "fd00::/64", "a pool"]),
                "used": st.integers(0, 10**6).map(float),
                "usable": st.one_of(st.just(np.nan), st.integers(0, 10**6).map(float)),
                "source": st.sampled_from(["dump", "calico", ""]),
            }
        ),
        min_size=1,
        max_size=30,
    )
)
def test_rows_are_single_sorted_and_survive_a_second_reading(rows) -> None:
    frame = tidy(table_of(rows))
    assert not frame.duplicated([*KEYS]).any()
    assert frame[[*KEYS]].equals(frame[[*KEYS]].sort_values([*KEYS], ignore_index=True))
    assert tidy(observations_of(frame, "again")).equals(frame)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"pool": ["a"], "used": [1]}, "needs columns time, pool"),
        ({"time": [], "pool": [], "used": []}, "has no row"),
        ({"time": ["soon"], "pool": ["a"], "used": [1]}, "row 1: time='soon' is no time"),
        ({"time": [1767225600], "pool": ["a"], "used": [1]}, "row 1: time=1767225600 is a bare number"),
        ({"time": ["2026-01-01"] * 2, "pool": "a", "used": ["1", "many"]}, "used, row 2: 'many' is no number"),
        ({"time": ["2026-01-01"], "pool": "a", "value": [-3]}, "value, row 1: -3.0 is negative"),
        ({"time": ["2026-01-01"], "pool": "a", "used": [1], "ip_family": "ipv5"}, "row 1: ip_family='ipv5'"),
    ],
)
def test_what_is_damaged_is_named(columns, message) -> None:
    with pytest.raises(InvalidInput, match=f"mine.*{message}"):
        observations_of(pd.DataFrame(columns), "mine")


def test_other_columns_and_empty_cells_are_borne() -> None:
    frame = pd.DataFrame({"time": ["2026-01-01"], "metric": ["pods"], "value": [3], "zone": [None], "note": ["x"]})
    table = observations_of(frame, "mine")
    assert tuple(table.columns) == COLUMNS
    assert table["zone"].tolist() == [""]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-01", "2026-01-01T00:00:00+00:00"),
        (dt.date(2026, 1, 1), "2026-01-01T00:00:00+00:00"),
        (np.datetime64("2026-01-01T06"), "2026-01-01T06:00:00+00:00"),
        ("2026-01-01T00:00+02:00", "2025-12-31T22:00:00+00:00"),
    ],
)
def test_times(value, expected) -> None:
    assert time_of(value, "time").isoformat() == expected


@pytest.mark.parametrize("value", [20260101, 1.5, "soon", None, "NaT", []])
def test_what_is_no_time(value) -> None:
    with pytest.raises(InvalidInput, match=r"time=.*needs a time such as"):
        time_of(value, "time")
