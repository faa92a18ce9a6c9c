"""`dsmodel history` and what `dsmodel forecast --history` is asked with."""

import gzip
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from local_servers import free_port

from dsmodel.cli import main
from dsmodel.io.history import append_history, read_history
from dsmodel.io.samples import sample_path

DUMP = sample_path("nearly-full")


def run(*arguments, **more):
    return CliRunner().invoke(main, ["history", *map(str, arguments)], **more)


def forecast(*arguments):
    return CliRunner().invoke(main, ["forecast", *map(str, arguments)])


def test_a_dump_is_appended_once_whatever_way_it_comes(tmp_path) -> None:
    first = run("append", DUMP, tmp_path / "kept")
    assert (first.exit_code, first.stdout[:16]) == (0, "000001-20261122-")
    again = run("append", "-", tmp_path / "kept", input=gzip.decompress(Path(DUMP).read_bytes()))
    assert again.stdout == first.stdout
    assert read_history(tmp_path / "kept").equals(read_history(DUMP))


def test_a_stated_time_makes_all_sources_one_dump(tmp_path) -> None:
    document = json.loads(gzip.decompress(Path(DUMP).read_bytes()))
    halves = [tmp_path / "a.json", tmp_path / "b.json"]
    for number, path in enumerate(halves):
        path.write_text(json.dumps(document | {"items": document["items"][number::2]}))
    result = run("append", *halves, tmp_path / "kept", "--time", "2026-12-01")
    assert result.exit_code == 0, result.output
    history = read_history(tmp_path / "kept")
    assert history["time"].unique().tolist() == [pd.Timestamp("2026-12-01", tz="UTC")]
    whole = read_history(DUMP)
    assert history[["metric", "zone", "value"]].equals(whole[["metric", "zone", "value"]])


def test_a_scrape_is_appended_and_findings_are_told(tmp_path) -> None:
    name = "kube_apiserver_clusterip_allocator_allocated_ips"
    scrape = tmp_path / "metrics.txt"
    scrape.write_text("".join(f'{name}{{cidr="10.96.0.0/24",instance="{each}"}} {each}\n' for each in (4, 9)))
    result = run("append", scrape, tmp_path / "kept", "--time", "2026-12-01T06:00Z")
    assert "info: service addresses, 10.96.0.0/24: servers differ by up to 5" in result.stderr
    assert read_history(tmp_path / "kept")["value"].tolist() == [9]


@pytest.fixture
def kept(tmp_path):
    for day in pd.date_range("2025-01-01", periods=12):
        rows = [("", 100 + 5 * day.day), ("zone-a", 60 + 4 * day.day), ("zone-b", 40 + day.day)]
        frame = pd.DataFrame(rows, columns=["zone", "value"]).assign(time=day, metric="pods")
        append_history(frame, tmp_path / "kept")
    return tmp_path / "kept"


def test_history_is_shown_by_series_or_value_by_value(kept, tmp_path) -> None:
    text = run("show", kept).stdout
    assert text.startswith("3 series, 12 times\n\nmetric")
    assert text.splitlines()[3].split() == ["pods", "12", "2025-01-01", "2025-01-12", "160", "-"]
    frame = pd.read_csv(
        io.StringIO(run("show", kept, "--from", "2025-01-03", "--to", "2025-01-04", "--format", "csv").stdout)
    )
    assert frame["value"].tolist() == [115, 72, 43, 120, 76, 44]
    document = json.loads(run("show", kept, "--format", "json").stdout)
    assert (len(document["history"]), document["findings"]) == (36, [])
    assert document["history"][0]["time"] == "2025-01-01T00:00:00+00:00"
    assert run("show", kept, "--format", "json", "-o", tmp_path / "a.json").stdout == ""
    assert json.loads((tmp_path / "a.json").read_text()) == document


def test_a_forecast_takes_a_span_and_parts_of_history(kept) -> None:
    asked = (DUMP, "--history", kept, "--horizon", "30d", "--trajectories", 20, "--format", "json")
    whole = json.loads(forecast(*asked).stdout)
    assert (whole["start"], whole["assumptions"].split(";")[0][:32]) == (
        "2025-01-12",
        "From 2025-01-12: pods 5 a day, s",
    )
    assert "history-passed-over" in [row["rule"] for row in whole["findings"]]
    early = json.loads(forecast(*asked, "--history-to", "2025-01-09").stdout)
    assert early["start"] == "2025-01-09"
    parts = json.loads(forecast(*asked, "--by", "zone").stdout)
    assert "pods (zone zone-a) 4 a day" in parts["assumptions"] or "zone-a" in parts["assumptions"]
    assert {row["zone"] for row in parts["exhaustion"]} >= {"zone-a", "zone-b"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("append", "nowhere.json", "kept"), "nowhere.json: no such file or folder"),
        (("append", DUMP), "Missing argument"),
        (("append", DUMP, "kept", "--time", "soon"), "'soon': needs a time"),
        (("append", DUMP, "what://ever"), "what"),
        (("show", "http://127.0.0.1:{port}"), "say from which day"),
        (("show", "http://127.0.0.1:{port}", "--from", "2026-01-01", "--to", "2026-01-05"), "Connection refused"),
        (("show", DUMP, "--headers", "headers"), "headers: needs lines such as Authorization"),
        (("show", DUMP, "--from", "2026-01-02", "--to", "2026-01-01"), "is before start"),
    ],
)  # fmt: skip
def test_unusable_calls_are_named_and_write_nothing(tmp_path, monkeypatch, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    Path("headers").write_text("secret\n")
    port = free_port()
    result = run(*(str(each).format(port=port) for each in arguments))
    assert (result.exit_code, "Traceback" in result.output) == (2, False), result.output
    assert message in result.stderr
    assert "secret" not in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["headers"]
