"""`dsmodel admit` for people and for builds: exit codes, forms, and nothing that steers a terminal."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import dsmodel as ds
from dsmodel.cli import main
from dsmodel.io.samples import sample_path
from dsmodel.reports.admission import COLUMNS


def service(name: Any = "web", /, **spec: Any) -> dict[str, Any]:
    ports = [] if spec.get("type") == "ExternalName" else [{"port": 80}]
    spec = {"selector": {"app": "web"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    folder = tmp_path / "chart"
    folder.mkdir()
    ds.write_manifests([service("web", ipFamilyPolicy="PreferDualStack")], folder / "web.yaml")
    ds.write_manifests([{"apiVersion": "v1", "kind": "ConfigMap"}], folder / "config.yaml")
    (tmp_path / "k3s.yaml").write_text("cluster-cidr: 10.42.0.0/16\nservice-cidr: 10.43.0.0/16\n")
    return folder


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["admit", *map(str, arguments)], catch_exceptions=False)


def test_exit_codes_tell_a_build_what_to_do(chart: Path) -> None:
    k3s = chart.parent / "k3s.yaml"
    accepted = run(chart, "--config", k3s)
    assert (accepted.exit_code, accepted.output.splitlines()[0]) == (0, "1 Service: 0 refused, 1 changed, 0 accepted.")
    assert "Skipped, as they are no Services: ConfigMap 1." in accepted.output
    ds.write_manifests([service("db", ipFamilyPolicy="RequireDualStack")], chart / "db.yaml")
    refused = run(chart, "--config", k3s)
    assert (refused.exit_code, refused.output.index("Refused") < refused.output.index("Taken")) == (1, True)
    assert run(chart, "--cluster", sample_path("dual-stack-shop")).exit_code == 0
    for usage in ((chart,), (chart, "--config", k3s, "--cluster", k3s), (chart / "none", "--config", k3s)):
        assert run(*usage).exit_code == 2
    assert run("-", "--config", "-").exit_code == 2
    assert run(chart, "--config", k3s, "--kube-version", "1.99").exit_code == 2


def test_the_command_speaks_json_and_csv(chart: Path) -> None:
    arguments = (chart, "--cluster", sample_path("single-stack-legacy"))
    document = json.loads(run(*arguments, "--format", "json").output)
    assert (document["schema"], document["skipped"]) == (1, {"ConfigMap": 1})
    assert [row["verdict"] for row in document["admission"]] == ["changed"]
    lines = run(*arguments, "--format", "csv").output.splitlines()
    assert (lines[0], len(lines)) == (",".join(COLUMNS), 2)


def test_what_a_manifest_holds_cannot_steer_the_terminal(chart: Path) -> None:
    ds.write_manifests([service("\u200eweb\x85")], chart / "odd.json")
    shown = run(chart, "--config", chart.parent / "k3s.yaml").output
    assert all(line.isprintable() for line in shown.splitlines())
