"""The command line: forms, places, exit codes, and what a terminal sees."""

import csv
import io
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import report_frames as frames
from click.testing import CliRunner

from dsmodel import __version__
from dsmodel.cli import JSON_SCHEMA, main
from dsmodel.cli import reporting as cli
from dsmodel.io.samples import SAMPLES, sample_path

NEARLY_FULL = str(sample_path("nearly-full"))


def run(*arguments, stdin=None):
    return CliRunner().invoke(main, [str(a) for a in arguments], input=stdin)


def started(*arguments, **options):
    command = [sys.executable, "-W", "error", "-m", "dsmodel", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture
def asked(monkeypatch):
    """Answer from frames made by hand, and keep what was asked."""
    calls = []

    def read(question, dumps, kube_version):
        calls.append((question, dumps, kube_version))
        names = cli._ASKED[question]
        tables = {name: getattr(frames, name)() for name in names}
        return cli._Answer(tuple(dumps), "node blocks, IPv6 binds: no node can join.", tables)

    monkeypatch.setattr(cli, "_read", read)
    return calls


# ---- forms


def test_limits_as_text(asked) -> None:
    result = run("limits", "dump.json")
    assert result.exit_code == 0
    assert result.output.startswith("node blocks, IPv6 binds: no node can join.\n\n")
    assert "binds, 0 nodes" in result.output
    assert "Findings: 2, of severity error 1; `dsmodel report` lists them." in result.output
    assert asked == [("limits", ("dump.json",), None)]


def test_report_as_text_has_every_section(asked) -> None:
    lines = run("report", "dump.json").output.splitlines()
    titles = [line for line, rule in itertools.pairwise(lines) if rule and set(rule) == {"-"}]
    assert titles == ["Configuration", "Limits", "Utilization", "Usage by namespace", "Findings"]
    assert asked


def test_text_has_no_colour_outside_a_terminal(asked) -> None:
    assert "\x1b" not in run("report", "dump.json").output
    assert asked


def test_text_is_coloured_in_a_terminal_unless_told_not_to(asked, monkeypatch) -> None:
    coloured = CliRunner().invoke(main, ["limits", "dump.json"], color=True).output
    (line,) = [line for line in coloured.splitlines() if "\x1b[31m" in line]
    assert "binds" in line
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in CliRunner().invoke(main, ["limits", "dump.json"], color=True).output
    assert asked


@pytest.mark.parametrize("columns", [80, 120])
def test_text_fits_the_terminal(asked, monkeypatch, columns) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(map(len, run("report", "dump.json").output.splitlines())) <= columns
    assert asked


def test_json_is_one_object_with_the_version_of_its_form(asked) -> None:
    document = json.loads(run("report", "dump.json", "--format", "json").output)
    assert document["schema"] == JSON_SCHEMA == 1
    assert document["version"] == __version__
    assert document["sources"] == ["dump.json"]
    assert list(document)[4:] == list(cli._FRAMES)
    assert asked


def test_json_says_null_for_what_is_missing_or_endless(asked) -> None:
    (row,) = [
        row
        for row in json.loads(run("limits", "dump.json", "--format", "json").output)["limits"]
        if (row["pool"], row["ip_family"]) == ("pod addresses", "IPv6")
    ]
    assert (row["usable"], row["used"], row["used_ratio"], row["growth_ratio"]) == (None, 961, None, None)
    assert row["binds"] is False
    assert asked


@pytest.mark.parametrize("name", cli._FRAMES)
def test_csv_is_the_frame_asked_for(asked, name) -> None:
    rows = list(csv.reader(io.StringIO(run("report", "dump.json", "--format", "csv", "--frame", name).output)))
    frame = getattr(frames, name)()
    assert rows[0] == list(frame.columns)
    assert len(rows) == len(frame) + 1
    assert asked


def test_csv_of_limits_needs_no_frame(asked) -> None:
    assert run("limits", "dump.json", "--format", "csv").output.startswith("pool,ip_family,range,")
    assert asked


def test_html_to_standard_output_holds_its_picture(asked) -> None:
    text = run("report", "dump.json", "--format", "html").output
    assert text.startswith("<!DOCTYPE html>")
    assert 'src="data:image/png;base64,' in text
    assert "Bar chart of 9 rows. node blocks, IPv6 binds" in text
    assert asked


# ---- places


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("text", ["report.txt"]),
        ("json", ["report.json"]),
        ("html", ["limits.png", "report.html"]),
        ("csv", sorted(f"{name}.csv" for name in cli._FRAMES)),
    ],
)
def test_a_folder_is_made_and_filled(asked, tmp_path, layout, names) -> None:
    result = run("report", "dump.json", "--format", layout, "--output", tmp_path / "new" / "out")
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == names
    assert result.stdout == ""
    assert result.stderr.count("wrote") == len(names)
    assert asked


@pytest.mark.parametrize(
    ("layout", "name", "names"),
    [
        ("text", "a.txt", ["a.txt"]),
        ("json", "a.json", ["a.json"]),
        ("csv", "a.csv", ["a.csv"]),
        ("html", "a.html", ["a-limits.png", "a.html"]),
    ],
)
def test_a_file_is_written_under_its_name(asked, tmp_path, layout, name, names) -> None:
    assert run("limits", "dump.json", "--format", layout, "-o", tmp_path / name).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert "\x1b" not in (tmp_path / name).read_text()
    assert asked


def test_the_page_names_its_picture_relatively(asked, tmp_path) -> None:
    run("limits", "dump.json", "--format", "html", "-o", tmp_path / "a.html")
    assert 'src="a-limits.png"' in (tmp_path / "a.html").read_text()
    assert asked


def test_a_file_that_cannot_be_written_is_named_in_one_line(asked, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    result = run("limits", "dump.json", "-o", tmp_path / "file" / "below.txt")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert "below.txt" in result.stderr or "file" in result.stderr
    assert result.stderr.count("\n") == 1
    assert asked


# ---- exit codes


def test_strict_fails_a_build_on_an_error(asked) -> None:
    assert run("limits", "dump.json", "--strict").exit_code == 1
    assert run("limits", "dump.json").exit_code == 0
    assert asked


def test_strict_lets_a_sound_cluster_pass(asked, monkeypatch) -> None:
    sound = frames.findings().query("severity != 'error'")
    monkeypatch.setattr(frames, "findings", lambda: sound)
    assert run("report", "dump.json", "--strict").exit_code == 0
    assert asked


@pytest.mark.parametrize(
    "arguments",
    [["limits"], ["limits", "dump.json", "--format", "xml"], ["nothing"], ["limits", "dump.json", "--frame", "usage"]],
    ids=["no dump", "no such form", "no such command", "no such option"],
)
def test_a_wrong_call_ends_with_2(asked, arguments) -> None:
    assert run(*arguments).exit_code == 2
    assert asked == []


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no-such.json"), (b"{", "no-such.json"), (b"[]", "no-such.json"), (b"NAME  READY\n", "no-such.json")],
    ids=["missing", "truncated", "no object", "a table"],
)
def test_an_unusable_dump_is_named_in_one_line(tmp_path, content, words) -> None:
    path = tmp_path / "no-such.json"
    if content is not None:
        path.write_bytes(content)
    result = run("limits", path)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_version_outside_the_window_is_named() -> None:
    result = run("limits", NEARLY_FULL, "--kube-version", "1.9")
    assert result.exit_code == 2
    assert "1.9" in result.stderr


# ---- a process


def test_version_and_help_come_without_heavy_libraries() -> None:
    assert run("--version").output == f"dsmodel, version {__version__}\n"
    code = (
        "import dsmodel.cli, sys; print([m for m in ('numpy', 'pandas', 'matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "Exit codes" in run("--help").output


def test_a_reader_that_stops_early_is_no_error() -> None:
    command = [sys.executable, "-m", "dsmodel", "report", NEARLY_FULL, "--format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, b"")


def test_text_needs_no_matplotlib() -> None:
    code = (
        "import sys; from dsmodel.cli import main; main(sys.argv[1:], standalone_mode=False);"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, "limits", NEARLY_FULL], check=True, capture_output=True)


# ---- the real thing


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_told(name) -> None:
    result = run("report", sample_path(name), "--format", "json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert sum(row["binds"] for row in document["limits"]) == 1
    assert {row["field"] for row in document["configuration"]} >= {"kube_version", "cluster_cidrs", "service_cidrs"}


def test_standard_input_is_a_dump_too() -> None:
    with open(NEARLY_FULL, "rb") as dump:  # noqa: PTH123 - the process reads from the open file
        piped = started("limits", "-", stdin=dump)
    assert piped.returncode == 0, piped.stderr
    assert piped.stdout == started("limits", NEARLY_FULL).stdout


def test_the_version_can_be_overridden() -> None:
    result = run("report", NEARLY_FULL, "--kube-version", "1.30", "--format", "json")
    (row,) = [row for row in json.loads(result.stdout)["configuration"] if row["field"] == "kube_version"]
    assert row["value"] == "1.30"
    assert "given" in row["why"]


def test_demo_tells_the_limits_and_writes_page_and_picture(tmp_path) -> None:
    result = run("demo", "--output", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith(">")]
    assert "node blocks" in line
    assert "IPv6" in line
    assert line.endswith("binds, 0 nodes")
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["limits.png", "report.html"]
    for name in ("report.html", "limits.png"):
        assert f"wrote {tmp_path / 'demo' / name}" in result.output


def test_demo_is_the_same_bytes_twice(tmp_path) -> None:
    files = [(tmp_path / run_, name) for name in ("report.html", "limits.png") for run_ in ("a", "b")]
    for folder in ("a", "b"):
        assert run("demo", "--output", tmp_path / folder).exit_code == 0
    contents = [Path(folder / name).read_bytes() for folder, name in files]
    assert contents[0] == contents[1]
    assert contents[2] == contents[3]
