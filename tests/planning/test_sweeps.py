"""Sweeps give the same numbers whatever computes them, lose nothing, and say what went wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsmodel as ds
from dsmodel.errors import InvalidInput
from dsmodel.planning.sweeps import GrowthPlan, SweepInterrupted, sweep
from dsmodel.planning.sweeps.grids import generator_of, scenarios_of
from dsmodel.planning.sweeps.shelves import Shelf

GRID = {"growth": [1, 2, 3], "zone": ["a", "b"]}


def plan(scenario: dict[str, Any], rng: np.random.Generator) -> dict[str, float]:
    return {"drawn": float(rng.normal(scenario["growth"])), "label": f"{scenario['zone']}!"}


def fragile(scenario: dict[str, Any], rng: np.random.Generator) -> dict[str, float]:
    if scenario["growth"] == 2:
        raise ValueError("no such growth")
    return plan(scenario, rng)


def test_rows_follow_the_grid() -> None:
    frame = sweep(plan, GRID)
    assert list(frame.columns) == ["growth", "zone", "drawn", "label", "error"]
    assert frame[["growth", "zone"]].to_numpy().tolist() == [[g, z] for g in (1, 2, 3) for z in ("a", "b")]
    assert (frame["error"] == "").all()


@pytest.mark.parametrize("engine", ["joblib", "dask"])
@pytest.mark.parametrize("workers", [1, 2])
def test_engines_give_the_same_numbers(engine: str, workers: int) -> None:
    expected = sweep(plan, GRID, rng=np.random.default_rng(5))
    found = sweep(plan, GRID, rng=np.random.default_rng(5), engine=engine, workers=workers)
    pd.testing.assert_frame_equal(found, expected)


def test_a_client_of_ones_own_computes_and_stays() -> None:
    from distributed import Client, LocalCluster

    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with LocalCluster(processes=True, **options) as cluster, Client(cluster) as client:
        pd.testing.assert_frame_equal(sweep(plan, GRID, engine=client), sweep(plan, GRID))
        assert client.status == "running"


@given(st.permutations(range(6)))
@settings(max_examples=20)
def test_a_scenarios_numbers_do_not_depend_on_the_others(order: list[int]) -> None:
    rows = sweep(plan, GRID)
    mixed = [{"growth": int(rows["growth"][i]), "zone": rows["zone"][i]} for i in order[:4]]
    found = sweep(plan, mixed)
    assert found["drawn"].tolist() == [rows["drawn"][i] for i in order[:4]]


def test_another_generator_gives_other_numbers_and_is_not_advanced() -> None:
    rng = np.random.default_rng(7)
    first = sweep(plan, GRID, rng=rng)
    assert sweep(plan, GRID, rng=rng).equals(first)
    assert not sweep(plan, GRID, rng=np.random.default_rng(8)).equals(first)
    (child,) = rng.spawn(1)
    assert not sweep(plan, GRID, rng=child).equals(first)


def test_failures_are_rows() -> None:
    frame = sweep(fragile, GRID)
    failed = frame[frame["error"] != ""]
    assert failed["growth"].tolist() == [2, 2]
    assert set(failed["error"]) == {"ValueError: no such growth"}
    assert frame.loc[frame["growth"] != 2, "drawn"].notna().all()


def test_a_plan_may_answer_with_a_frame() -> None:
    frame = sweep(lambda s, _: pd.DataFrame({"pool": ["x", "y"], "n": [s["a"], 2 * s["a"]]}), {"a": [1, 5]})
    assert frame.to_numpy().tolist() == [[1, "x", 1, ""], [1, "y", 2, ""], [5, "x", 5, ""], [5, "y", 10, ""]]


def test_a_plan_cannot_hide_a_parameter() -> None:
    frame = sweep(lambda _s, _r: {"growth": 9}, {"growth": [1]})
    assert "which the sweep itself names" in frame["error"][0]
    assert frame["growth"].tolist() == [1]


class TestResume:
    def test_what_is_kept_is_not_computed_again(self, tmp_path: Path) -> None:
        computed = []

        def counting(scenario: dict[str, Any], rng: np.random.Generator) -> dict[str, float]:
            computed.append(scenario["growth"])
            return plan(scenario, rng)

        first = sweep(counting, {"growth": [1, 2], "zone": ["a"]}, resume=tmp_path)
        both = sweep(counting, {"growth": [1, 2, 3], "zone": ["a"]}, resume=tmp_path)
        assert computed == [1, 2, 3]
        pd.testing.assert_frame_equal(both.head(2), first)
        pd.testing.assert_frame_equal(both, sweep(plan, {"growth": [1, 2, 3], "zone": ["a"]}))

    def test_missing_numbers_keep_their_type(self, tmp_path: Path) -> None:
        def missing(scenario: dict[str, Any], _rng: np.random.Generator) -> pd.DataFrame:
            return pd.DataFrame({"days": pd.array([None if scenario["a"] < 3 else 7], dtype="Int64")})

        expected = sweep(missing, {"a": [1, 2, 3]})
        sweep(missing, {"a": [2]}, resume=tmp_path)
        pd.testing.assert_frame_equal(sweep(missing, {"a": [1, 2, 3]}, resume=tmp_path), expected)
        pd.testing.assert_frame_equal(sweep(missing, {"a": [1, 2, 3]}, resume=tmp_path), expected)

    def test_failures_are_tried_again(self, tmp_path: Path) -> None:
        sweep(fragile, GRID, resume=tmp_path)
        pd.testing.assert_frame_equal(sweep(plan, GRID, resume=tmp_path), sweep(plan, GRID))

    def test_an_interrupt_keeps_what_was_done(self, tmp_path: Path) -> None:
        def stopping(scenario: dict[str, Any], rng: np.random.Generator) -> dict[str, float]:
            if scenario["growth"] == 3:
                raise KeyboardInterrupt
            return plan(scenario, rng)

        with pytest.raises(SweepInterrupted, match="4 of 6 scenarios were done; kept in") as stop:
            sweep(stopping, GRID, resume=tmp_path)
        assert len(stop.value.frame) == 4
        pd.testing.assert_frame_equal(sweep(plan, GRID, resume=tmp_path), sweep(plan, GRID))

    def test_a_killed_process_leaves_whole_parts(self, tmp_path: Path) -> None:
        code = (
            "import time\nfrom dsmodel.planning.sweeps import sweep\n"
            "def plan(s, rng):\n    time.sleep(0.05)\n    return {'n': s['a'] * 2}\n"
            f"sweep(plan, {{'a': list(range(1000))}}, resume={str(tmp_path)!r})\n"
        )
        process = subprocess.Popen([sys.executable, "-c", code], env=os.environ)
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("part-*.parquet")) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        note = json.loads((tmp_path / "sweep.json").read_text())
        kept = pd.concat(Shelf(tmp_path, note).read())
        assert len(kept) > 0
        assert (kept["n"] == kept["a"] * 2).all()

    def test_a_folder_of_another_sweep_is_refused(self, tmp_path: Path) -> None:
        sweep(plan, GRID, resume=tmp_path)
        with pytest.raises(InvalidInput, match="holds a sweep over growth, zone"):
            sweep(plan, {"other": [1]}, resume=tmp_path)
        with pytest.raises(InvalidInput, match="with entropy"):
            sweep(plan, GRID, rng=np.random.default_rng(1), resume=tmp_path)

    def test_a_part_that_is_none_is_named(self, tmp_path: Path) -> None:
        sweep(plan, GRID, resume=tmp_path)
        next(tmp_path.glob("part-*.parquet")).write_bytes(b"nonsense")
        with pytest.raises(InvalidInput, match=r"part-000001\.parquet.*delete it"):
            sweep(plan, GRID, resume=tmp_path)


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ({}, "no scenario"),
        ({"a": []}, "no scenario"),
        ({"a": "xyz"}, "give a list"),
        ({"a": [object()]}, "is a object"),
        ([{"a": 1}, {"b": 1}], "give all the same"),
        ([{"a": 1}, {"a": 1}], "there twice"),
    ],
)
def test_grids_that_mean_nothing_are_named(grid: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        sweep(plan, grid)


@pytest.mark.parametrize(
    ("options", "words"), [({"engine": "ray"}, "distributed.Client"), ({"workers": 0}, "workers=0")]
)
def test_engines_that_are_none_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        sweep(plan, GRID, **options)


def test_a_missing_engine_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(ds.errors.MissingDependency, match=r"dsmodel\[parallel\]"):
        sweep(plan, GRID, engine="joblib")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ds.errors.MissingDependency, match=r"dsmodel\[dask\]"):
        sweep(plan, GRID, engine="dask")


def test_frames_and_missing_values_make_grids() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert scenarios_of(frame).rows == ({"a": 1, "b": "x"}, {"a": 2, "b": None})
    assert scenarios_of({"a": np.array([1.5])}).rows == ({"a": 1.5},)


def test_generators_differ_between_scenarios() -> None:
    drawn = {generator_of(key, 1).integers(1 << 62) for key in scenarios_of({"a": range(200)}).keys}
    assert len(drawn) == 200


class TestGrowth:
    PLAN = GrowthPlan(ds.examples.kubeadm_dual_stack(), "2026-01-01", trajectories=1, law="expected")

    def test_masks_move_the_date_of_their_family_only(self) -> None:
        frame = sweep(self.PLAN, {"mask_ipv4": [24, 25], "nodes_per_week": [5]})
        days = frame[frame["pool"] == "node blocks"].pivot_table(
            index="mask_ipv4", columns="ip_family", values="exhaustion_p50_days", aggfunc="first"
        )
        assert days.loc[25, "IPv4"] > 2 * days.loc[24, "IPv4"]
        assert days.loc[25, "IPv6"] == days.loc[24, "IPv6"]

    def test_a_policy_for_all_services_is_a_parameter(self) -> None:
        frame = sweep(self.PLAN, {"ip_family_policy": ["SingleStack", "PreferDualStack"], "services_per_week": [500]})
        assert (frame["error"] == "").all()
        first = frame[(frame["pool"] == "service addresses") & (frame["ip_family"] == "IPv6")]
        assert first["exhaustion_p50_days"].notna().any()

    def test_every_question_of_a_what_if_is_a_parameter(self) -> None:
        asked = {
            "lost_zones": ["", "zone-a", "zone-a, zone-b"],
            "surge_ratio": [0.0, 0.5],
            "service_cidr": ["10.200.0.0/24"],
            "network_plugin": ["host-local"],
            "pods_per_week": [35],
        }
        plan = GrowthPlan(ds.examples.nearly_full(), "2026-01-01", trajectories=1, law="expected")
        frame = sweep(plan, asked)
        assert (frame["error"] == "").all(), frame["error"].unique()
        days = frame.set_index(["pool", "ip_family", "lost_zones", "surge_ratio"])["exhaustion_p50_days"]
        zones = [int(days["pod addresses", "IPv4", lost, 0.0]) for lost in asked["lost_zones"]]
        assert zones == sorted(zones, reverse=True)
        assert len(set(zones)) == 3
        assert days["pods per node", "", "", 0.5] > days["pods per node", "", "", 0.0]

    @pytest.mark.parametrize(
        ("scenario", "words"),
        [
            ({"nodes_per_weak": 3}, "weak"),
            ({"maskk_ipv4": 24}, "maskk_ipv4: is no parameter; these are mask_ipv4, "),
            ({"lost_zones": "nowhere", "nodes_per_week": 1}, "no node is in 'nowhere'"),
            ({"mask_ipv4": 8, "nodes_per_week": 1}, "mask"),
            ({"nodes_per_week": -1}, "count=-1"),
        ],
    )
    def test_what_means_nothing_is_a_row_that_says_so(self, scenario: dict[str, Any], words: str) -> None:
        frame = sweep(self.PLAN, [scenario])
        assert words in frame["error"][0]
