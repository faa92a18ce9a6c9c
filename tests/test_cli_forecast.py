"""`dsmodel forecast`: dumps and demand in, dates and exit codes for CI out."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest
from click.testing import CliRunner

from dsmodel.cli import JSON_SCHEMA, main
from dsmodel.io.history import append_history
from dsmodel.io.samples import sample_path

DUMP = str(sample_path("dual-stack-shop"))
FULL = str(sample_path("nearly-full"))
START = ("--start", "2026-01-01")


def run(*arguments: object):
    return CliRunner().invoke(main, ["forecast", *map(str, arguments)])


def test_text_names_pools_dates_causes_and_the_assumption() -> None:
    result = run(FULL, "--nodes-per-week", 1, "--services-per-week", 1, "--horizon", "1y", *START)
    assert result.exit_code == 0
    words = " ".join(result.output.split())
    assert words.startswith("Forecast of 365 days from 2026-01-01: node blocks, IPv6 binds first in 100 %")
    assert "pod addresses IPv6 cannot run out - - - 0.0 %" in words
    assert "node blocks, IPv6: Full today. --cluster-cidr" in words
    assert "Assumed: From 2026-01-01: nodes 1 a week; services 1 a week; normal approximation" in words
    assert max(map(len, result.output.splitlines())) <= 120


def test_json_and_csv_hold_the_same_rows() -> None:
    asked = (DUMP, "--pods-per-week", 200, "--nodes-per-week", 3, "--horizon", "3y", *START)
    document = json.loads(run(*asked, "--format", "json").output)
    assert (document["schema"], document["sources"], document["horizon_days"]) == (
        JSON_SCHEMA,
        ["dual-stack-shop.json.gz"],
        1096,
    )
    assert document["assumptions"].startswith("From 2026-01-01: nodes 3 a week; pods 28.57 a day;")
    rows = list(csv.DictReader(io.StringIO(run(*asked, "--format", "csv").output)))
    assert [row["exhaustion_p50"] or None for row in rows] == [row["exhaustion_p50"] for row in document["exhaustion"]]
    assert [row["why"] for row in rows] == [row["why"] for row in document["exhaustion"]]
    assert document["difference"] == []


@pytest.mark.parametrize(
    ("days", "code", "why"), [(1, 1, "IPv6 blocks are full today"), (None, 0, "without a policy nothing fails")]
)
def test_a_policy_fails_the_build(days, code, why) -> None:
    policy = () if days is None else ("--fail-within", days)
    result = run(FULL, "--nodes-per-week", 1, "--horizon", "90d", *START, *policy)
    assert result.exit_code == code, why
    assert ("node blocks, IPv6: full within 0 days in 5 % of futures" in result.stderr) == bool(code)


def test_a_policy_counts_days_to_p5() -> None:
    asked = (DUMP, "--services-per-week", 7, "--law", "expected", "--trajectories", 1, "--horizon", "99y", *START)
    frame = pd.read_csv(io.StringIO(run(*asked, "--format", "csv").stdout))
    first = int(frame[frame["binds_first_ratio"] > 0]["exhaustion_p5_days"].min())
    assert run(*asked, "--fail-within", first).exit_code == 0
    assert run(*asked, "--fail-within", first + 1).exit_code == 1


def test_demand_and_history_come_from_files(tmp_path) -> None:
    demand, history = tmp_path / "demand.csv", tmp_path / "history.csv"
    demand.write_text("kind,per_week,time,count\npods,20,,\nnodes,,2026-06-01,4\n")
    days = pd.date_range("2025-01-01", periods=40)
    frame = pd.DataFrame({"time": days, "metric": "services", "value": range(40)})
    pd.concat([frame, frame.head(1)]).to_csv(history, index=False)
    result = run(DUMP, "--demand", demand, "--history", history, "--horizon", "1y", "--format", "json")
    document = json.loads(result.stdout)
    assert document["start"] == "2025-02-09"
    assert "services 1 a day" in document["assumptions"]
    assert "pods 2.857 a day; nodes +4 on 2026-06-01" in document["assumptions"]
    assert "history-duplicate" in [row["rule"] for row in document["findings"]]
    assert [(row["metric"], row["points"], row["inside"]) for row in document["back_test"]] == [("services", 12, 12)]
    text = run(DUMP, "--history", history, "--horizon", "90d").stdout
    assert "info: services: 1 times given again" in text
    assert "Back-test of services: 12 of 12 held-back points lie between p5 and p95." in text


def test_history_comes_from_a_dataset(tmp_path) -> None:
    for day in pd.date_range("2025-01-01", periods=10):
        append_history(pd.DataFrame({"time": [day], "metric": "pods", "value": [day.day * 3]}), tmp_path)
    document = json.loads(run(DUMP, "--history", tmp_path, "--horizon", "90d", "--format", "json").stdout)
    assert (document["start"], document["findings"]) == ("2025-01-10", [])
    assert document["assumptions"].startswith("From 2025-01-10: pods 3 a day")


def test_a_replay_and_its_picture(tmp_path) -> None:
    picture = tmp_path / "deep" / "fan.png"
    asked = ("--mode", "replay", "--trajectories", 2, "--rng", 7, "--horizon", "20d", *START, "--picture", picture)
    result = run(FULL, "--services-per-week", 40, *asked, "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["difference"][0]["pool"] == "node blocks"
    assert picture.read_bytes()[1:4] == b"PNG"


def test_the_same_seed_gives_the_same_bytes_and_a_file(tmp_path) -> None:
    asked = (DUMP, "--pods-per-week", 300, "--rng", 3, *START, "--trajectories", 300)
    place = tmp_path / "answer.txt"
    assert run(*asked, "-o", place).stdout == ""
    assert run(*asked).stdout == run(*asked).stdout
    assert "Assumed:" in place.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((DUMP,), "say what grows"),
        ((DUMP, "--pods-per-week", 1, "--horizon", "0d", *START), "horizon='0d'"),
        ((DUMP, "--pods-per-week", 1, "--start", "soon"), "start='soon'"),
        ((DUMP, "--pods-per-week", -1), "--pods-per-week"),
        ((DUMP, "--pods-per-week", 1, "--trajectories", 0), "--trajectories"),
        ((DUMP, "--demand", DUMP), "is no CSV"),
        ((DUMP, "--history", "nowhere"), "nowhere: no such file or folder"),
        ((DUMP, "--history", "http://prometheus:9090"), "say from which day"),
        (("nowhere.json", "--pods-per-week", 1), "nowhere.json"),
    ],
)
def test_unusable_calls_are_named_in_a_line(arguments, message) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
