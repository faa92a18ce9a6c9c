"""A total and its parts in one history: nothing counts twice, contradictions are named."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dsmodel as ds
from dsmodel.errors import InvalidInput
from dsmodel.io.history import read_history
from dsmodel.io.history.dumps import observations_of_cluster
from dsmodel.io.history.observations import observations_of, tidy
from dsmodel.planning.forecasting import back_test
from dsmodel.planning.forecasting.capacities import initial_counts
from dsmodel.planning.scenario import fit

DAYS = pd.date_range("2026-01-01", periods=20, tz="UTC")


def series(start, step, days=DAYS, **columns):
    return pd.DataFrame({"time": days, "metric": "nodes", "value": start + step * np.arange(len(days)), **columns})


CELLS = [
    series(10, 1, node_pool="general", zone="a"),
    series(10, 2, node_pool="general", zone="b"),
    series(4, 0, node_pool="memory", zone="a"),
]
TOTAL = series(27, 4)  # 3 nodes and one more a day have no label


def grown_history(cluster, day, *, node_pool_growth):
    grown = cluster.copy()
    grown.add_nodes(node_pool_growth, node_pool="general", zone="zone-a")
    return tidy(observations_of_cluster(grown, day.tz_localize("UTC")))


def said(fitted):
    return {(each.kind, each.node_pool, each.zone): round(each.growth.per_day, 6) for each in fitted.scenario.demands}


def rules(fitted):
    return sorted(fitted.findings["rule"])


@pytest.mark.parametrize(
    ("frames", "by", "expected", "found", "why"),
    [
        ([TOTAL, *CELLS], "", {("", ""): 4}, ["history-passed-over"], "the total speaks"),
        (
            [TOTAL, *CELLS],
            "zone",
            {("", "a"): 1, ("", "b"): 2, ("", ""): 1},
            ["history-rest-of-total"],
            "cells are summed, and the rest stays apart",
        ),
        (
            [TOTAL, *CELLS],
            "node_pool",
            {("general", ""): 3, ("memory", ""): 0, ("", ""): 1},
            ["history-rest-of-total"],
            "as by zone",
        ),
        (
            [TOTAL, *CELLS],
            ("zone", "node_pool"),
            {("general", "a"): 1, ("general", "b"): 2, ("memory", "a"): 0, ("", ""): 1},
            ["history-rest-of-total"],
            "cells as they are",
        ),
        ([series(24, 3), *CELLS], "zone", {("", "a"): 1, ("", "b"): 2}, [], "no rest where parts are all there is"),
        (CELLS, "", {("general", "a"): 1, ("general", "b"): 2, ("memory", "a"): 0}, [], "without a total parts speak"),
        ([TOTAL], "zone", {("", ""): 4}, ["history-no-parts"], "what has no parts keeps its total"),
        (
            [TOTAL, series(5, 1, zone="a"), series(6, 1, node_pool="general")],
            "zone",
            {("", "a"): 1, ("", ""): 3},
            ["history-passed-over", "history-rest-of-total"],
            "two partitions are not added",
        ),
        (
            [series(20, 1), series(20, 2, zone="a")],
            "zone",
            {("", "a"): 2},
            ["history-parts-contradict"],
            "parts beyond their total",
        ),
        (
            [series(20, 1), series(20, 2, zone="a")],
            "",
            {("", ""): 1},
            ["history-parts-contradict", "history-passed-over"],
            "a contradiction is told whatever is asked",
        ),
    ],
)  # fmt: skip
def test_what_speaks(frames, by, expected, found, why) -> None:
    fitted = fit(pd.concat(frames), by=by)
    assert said(fitted) == {("nodes", *place): rate for place, rate in expected.items()}, why
    assert rules(fitted) == found, why


def test_a_contradiction_names_time_and_numbers() -> None:
    fitted = fit(pd.concat([series(20, 1), series(20, 2, zone="a")]))
    message = fitted.findings.set_index("rule").loc["history-parts-contradict", "message"]
    assert message.startswith("19 times the parts by zone add up to more than the total: 22 and 21 on 2026-01-02 00:00")


def test_one_metric_speaks_for_a_kind_with_all_its_parts() -> None:
    blocks = [each.assign(metric="node blocks", ip_family="IPv4", value=each["value"] * 5) for each in CELLS]
    assert said(fit(pd.concat([TOTAL, *blocks]))) == {("nodes", "", ""): 4}
    assert set(said(fit(pd.concat([TOTAL, *blocks]), by="zone"))) == {("nodes", "", "a"), ("nodes", "", "b")}


def test_a_part_that_came_later_has_nothing_before_and_a_hole_is_no_zero() -> None:
    late = series(1, 1, DAYS[8:], zone="b")
    holed = series(10, 1, zone="a").drop(index=[5])
    total = series(10, 1)["value"] + np.maximum(np.arange(len(DAYS)) - 7, 0)
    fitted = fit(pd.concat([series(0, 0).assign(value=total), holed, late]), by="zone")
    assert said(fitted) == {("nodes", "", "a"): 1, ("nodes", "", "b"): 1}
    assert rules(fitted) == []


def test_a_part_that_is_gone_does_not_grow() -> None:
    fitted = fit(pd.concat([series(10, 1, DAYS[:10], zone="a"), series(10, 2, zone="b")]))
    assert said(fitted) == {("nodes", "", "b"): 2}
    assert rules(fitted) == ["history-part-gone"]
    assert "ended on 2026-01-10, 10 days before the others" in fitted.findings["message"][0]


@given(st.lists(st.lists(st.integers(0, 50), min_size=12, max_size=12), min_size=1, max_size=5), st.integers(0, 9))
def test_parts_and_rest_grow_as_much_as_the_total(parts, rest) -> None:
    days = DAYS[:12]
    total = np.sum(parts, axis=0) + rest * np.arange(12)
    frames = [
        pd.DataFrame({"time": days, "metric": "pods", "value": values, "zone": str(number)})
        for number, values in enumerate(parts)
    ]
    frames.append(pd.DataFrame({"time": days, "metric": "pods", "value": total, "zone": ""}))
    rates = fit(pd.concat(frames), by="zone").rates
    growing = rates["per_day"].sum()
    shrinking = sum(min(values[-1] - values[0], 0) / 11 for values in parts)
    assert growing + shrinking == pytest.approx((total[-1] - total[0]) / 11)


def test_dumps_by_zone_count_every_node_once() -> None:
    cluster = ds.examples.nearly_full()
    history = pd.concat(
        [
            grown_history(cluster, day, node_pool_growth=number)
            for number, day in enumerate(pd.date_range("2026-01-01", periods=9))
        ]
    )
    for by, places in (("", 1), ("zone", 3), ("node_pool", 2)):
        scenario = fit(history, by=by).scenario
        counts = initial_counts(cluster, scenario)
        nodes = [number for number, each in zip(counts, scenario.demands, strict=True) if each.kind == "nodes"]
        assert (len(nodes), sum(nodes)) == (places, len(cluster.nodes)), by


def test_a_back_test_judges_what_a_fit_takes() -> None:
    frame = pd.concat([TOTAL, *CELLS])
    assert back_test(frame)["zone"].tolist() == [""]
    assert sorted(back_test(frame, by="zone")["zone"]) == ["", "a", "b"]


@pytest.mark.parametrize("by", ["rack", ("zone", "rack"), ["kind"]])
def test_other_parts_are_named(by) -> None:
    with pytest.raises(InvalidInput, match="parts are by node_pool or zone, or both"):
        fit(TOTAL, by=by)


@given(st.lists(st.tuples(st.sampled_from(DAYS[:4].tolist()), st.integers(0, 5)), min_size=1, max_size=12))
def test_repeats_count_the_same_read_or_fitted(rows) -> None:
    frame = pd.DataFrame(rows, columns=["time", "value"]).assign(metric="pods")
    more = pd.DataFrame({"time": DAYS[5:15], "value": range(10), "metric": "pods"})
    frame = pd.concat([frame, more], ignore_index=True)
    assert fit(tidy(observations_of(frame, "mine"))).rates.equals(fit(frame).rates)


def test_the_last_given_counts_and_no_empty_cell_replaces_a_number() -> None:
    frame = series(10, 1)
    twice = pd.concat(
        [frame, frame.tail(1).assign(value=99), frame.tail(1).assign(value=5), frame.tail(1).assign(value=None)]
    )
    fitted = fit(twice)
    assert fitted.rates["per_day"].tolist() == [0.0]
    assert "2 times given again with other numbers" in " ".join(fitted.findings["message"])


def test_grown_history_a_csv_with_total_and_parts(tmp_path) -> None:
    place = tmp_path / "mine.csv"
    pd.concat([TOTAL, *CELLS]).to_csv(place, index=False)
    assert said(fit(read_history(place))) == {("nodes", "", ""): 4}
    assert set(said(fit(read_history(place), by="zone"))) == {("nodes", "", each) for each in ("a", "b", "")}
