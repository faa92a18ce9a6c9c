"""`dsmodel sweep`: a grid and a dump in, one table out, whoever computes it."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from dsmodel.cli import main
from dsmodel.io.grids import read_grid
from dsmodel.io.samples import sample_path

DUMP = str(sample_path("nearly-full"))
OPTIONS = ["--start", "2026-01-01", "--trajectories", "20"]


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    place = tmp_path / "grid.yaml"
    place.write_text("ip_family_policy: [SingleStack, PreferDualStack]\nservices_per_week: 2\n")
    return place


def run(*arguments: object):
    return CliRunner().invoke(main, ["sweep", *map(str, arguments)])


def test_every_scenario_has_its_rows(grid: Path) -> None:
    done = run(grid, DUMP, *OPTIONS, "--format", "csv")
    assert done.exit_code == 0, done.output
    frame = pd.read_csv(io.StringIO(done.stdout))
    assert set(frame["ip_family_policy"]) == {"SingleStack", "PreferDualStack"}
    dates = frame[frame["pool"] == "service addresses"].set_index(["ip_family_policy", "ip_family"])
    assert dates.loc[("PreferDualStack", "IPv6"), "exhaustion_p50_days"] > 0


def test_engines_agree_to_the_byte(grid: Path) -> None:
    answers = [run(grid, DUMP, *OPTIONS, "--engine", engine, "--workers", 2).stdout for engine in ("serial", "joblib")]
    assert answers[0] == answers[1]
    assert "service addresses" in answers[0]


def test_json_names_its_sources(grid: Path) -> None:
    document = json.loads(run(grid, DUMP, *OPTIONS, "--format", "json").stdout)
    assert document["sources"] == ["grid.yaml", "nearly-full.json.gz"]
    assert document["sweep"][0]["error"] == ""


def test_a_failed_scenario_fails_the_build(tmp_path: Path) -> None:
    place = tmp_path / "grid.csv"
    place.write_text("mask_ipv4,nodes_per_week\n25,1\n8,1\n")
    done = run(place, DUMP, *OPTIONS)
    assert done.exit_code == 1
    assert "mask" in done.stdout


def test_resumes_from_a_folder(grid: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    first = run(grid, DUMP, *OPTIONS, "--resume", folder)
    assert list(folder.glob("part-*.parquet"))
    assert run(grid, DUMP, *OPTIONS, "--resume", folder).stdout == first.stdout


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("grid.yaml", "- 1\n- 2\n", "needs a list of values for each parameter"),
        ("grid.yaml", "a: [1, 2\n", "is no YAML"),
        ("grid.csv", "", "is no CSV"),
        ("grid.yaml", "a: []\n", "no scenario"),
    ],
)
def test_grids_that_are_none_are_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    place = tmp_path / name
    place.write_text(text)
    done = run(place, DUMP, *OPTIONS)
    assert done.exit_code == 2
    assert words in done.output
    assert "Traceback" not in done.output


def test_a_single_value_is_a_list_of_one(grid: Path) -> None:
    assert read_grid(grid)["services_per_week"] == [2]
