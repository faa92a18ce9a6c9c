"""`dsmodel check`: configurations and dumps in, findings and exit codes for CI out."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dsmodel.cli import JSON_SCHEMA, main
from dsmodel.io.samples import sample_path

if TYPE_CHECKING:
    from pathlib import Path

K3S = "cluster-cidr: 10.42.0.0/16,fd00:42::/56\nservice-cidr: 10.43.0.0/16,fd00:43::/112\n"


def run(*arguments: object):
    return CliRunner().invoke(main, ["check", *map(str, arguments)])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(K3S)
    return file


def test_a_sound_configuration_passes(config: Path) -> None:
    result = run(config, "--kube-version", "1.36")
    assert (result.exit_code, result.output) == (0, "As of Kubernetes 1.36 (given) it would start: no findings.\n")


def test_what_would_not_start_fails_the_build(config: Path) -> None:
    config.write_text(K3S.replace("/56", "/40"))
    result = run(config)
    assert result.exit_code == 1
    assert "fatal  kube-controller-manager --cluster-cidr (config.yaml, line 1, cluster-cidr)" in result.output
    assert "New CIDR set failed; the node CIDR size is too big" in result.output
    words = " ".join(result.output.split())
    assert "fix: for fd00:42::/40 take --node-cidr-mask-size-ipv6 from 40 to 56" in words
    assert "it would not start: 1 fatal." in words


def test_a_version_makes_the_difference(config: Path) -> None:
    config.write_text("kubelet --network-plugin=kubenet")
    assert run(config, "--kube-version=1.23").exit_code == 0
    assert run(config, "--kube-version=1.24").exit_code == 1


def test_json_and_csv_hold_the_same_rows(config: Path) -> None:
    config.write_text(K3S.replace("/56", "/64"))
    document = json.loads(run(config, "--format", "json").output)
    assert (document["schema"], document["starts"], document["sources"]) == (JSON_SCHEMA, True, ["config.yaml"])
    rows = list(csv.DictReader(io.StringIO(run(config, "--format", "csv").output)))
    assert rows == document["check"]
    assert [row["rule"] for row in rows] == ["family-capacity"]


@pytest.mark.parametrize(("sample", "code"), [("nearly-full", 1), ("single-stack-legacy", 0), ("dual-stack-shop", 0)])
def test_a_dump_is_judged_with_its_objects(sample: str, code: int) -> None:
    result = run(sample_path(sample), "--format", "json")
    document = json.loads(result.output)
    assert result.exit_code == code
    assert {row["severity"] for row in document["check"]} <= {"fatal", "error", "warning", "note"}
    assert all(not row["file"] or "/" not in row["file"] for row in document["check"])
    if sample == "nearly-full":
        rules = {row["rule"] for row in document["check"]}
        assert {"family-capacity", "cidr-not-available", "validate-dual-stack"} <= rules


def test_a_dump_as_of_another_version() -> None:
    result = run(sample_path("single-stack-legacy"), "--kube-version", "1.25", "--format", "json")
    document = json.loads(result.output)
    assert document["kube_version"] == "1.25"
    assert result.exit_code == 1
    assert {row["message"] for row in document["check"] if row["severity"] == "error"} == {
        "unrecognized feature gate: IPv6DualStack"
    }


def test_a_new_configuration_against_the_nodes_that_exist(config: Path) -> None:
    config.write_text(
        "kube-controller-manager --allocate-node-cidrs --cluster-cidr=fd00:10:244::/60,10.244.0.0/20\n"
        "--node-cidr-mask-size-ipv6=64"
    )
    result = run(config, "--nodes", sample_path("nearly-full"))
    assert result.exit_code == 1
    assert "is out the range of cluster cidr" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("text", "words"),
    [("cluster-cidr: [", "config.yaml, line 2: is no YAML"), ("cluster-cidr: 7: 8", "config.yaml, line 1: is no YAML")],
)
def test_half_written_files_end_with_2_and_one_line(config: Path, text: str, words: str) -> None:
    config.write_text(text)
    result = run(config)
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output


def test_wrong_calls(config: Path) -> None:
    assert run().exit_code == 2
    assert run(config, "--kube-version", "1.9").exit_code == 2
    assert run(sample_path("nearly-full"), "--nodes", sample_path("nearly-full")).exit_code == 2
    assert run("no-such-file").exit_code == 2
