"""`dsmodel plan` and `dsmodel migrate`: numbers and dumps in, ranges and steps out, exit codes for CI."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import dsmodel as ds
from dsmodel.cli import JSON_SCHEMA, main
from dsmodel.io.samples import sample_path

if TYPE_CHECKING:
    from pathlib import Path

DEMAND = ("--nodes", 20, "--services", 60)
BLOCKS = ("--block", "10.64.0.0/16", "--block", "fd00:1::/48")
SECOND = ("--pods", "fd00:10:244::/56", "--services", "fd00:10:96::/112")


def run(command: str, *arguments: object):
    return CliRunner().invoke(main, [command, *map(str, arguments)])


# plan ----------------------------------------------------------------------------------------------------------------


def test_a_plan_is_a_table_with_reasons_and_alternatives() -> None:
    result = run("plan", *DEMAND, *BLOCKS, "--kube-version", "1.36")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].startswith("The smallest plan holds 1.00 times the demand")
    assert any(line.split()[:4] == ["pods", "IPv4", "10.64.0.0/20", "25"] for line in lines)
    assert any(line.split()[:3] == ["plan", "headroom", "binds"] for line in lines)
    assert max(map(len, lines)) <= 100


def test_json_and_csv_hold_the_frames() -> None:
    layout = ds.plan_layout({"nodes": 20, "services": 60}, ["10.64.0.0/16", "fd00:1::/48"])
    document = json.loads(run("plan", *DEMAND, *BLOCKS, "--format", "json").output)
    assert (document["schema"], document["fits"], document["gap"]) == (JSON_SCHEMA, True, {"IPv4": 0, "IPv6": 0})
    assert [row["range"] for row in document["ranges"]] == layout.ranges["range"].tolist()
    assert [row["plan"] for row in document["alternatives"]] == layout.alternatives["plan"].tolist()
    rows = list(csv.DictReader(io.StringIO(run("plan", *DEMAND, *BLOCKS, "--format", "csv").output)))
    assert [row["range"] for row in rows] == layout.ranges["range"].tolist()


@pytest.mark.parametrize("version", ["1.20", "1.28", "1.36"])
@pytest.mark.parametrize("form", ["kubeadm", "k3s", "flags"])
def test_what_is_pasted_passes_the_check(tmp_path: Path, form: str, version: str) -> None:
    installer = ("--installer", form) if form != "flags" else ()
    pasted = run("plan", *DEMAND, *BLOCKS, "--kube-version", version, "--format", form, *installer)
    assert pasted.exit_code == 0
    file = tmp_path / ("config.yaml" if form != "flags" else "flags.txt")
    file.write_text(pasted.output)
    checked = run("check", file, "--kube-version", version, "--format", "json")
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.output)["starts"]


def test_another_plan_is_chosen() -> None:
    first = json.loads(run("plan", *DEMAND, *BLOCKS, "--format", "json").output)
    other = json.loads(run("plan", *DEMAND, *BLOCKS, "--format", "json", "--choose", 2).output)
    assert other["summary"].startswith("Plan 2 holds")
    assert [row["range"] for row in other["ranges"]] != [row["range"] for row in first["ranges"]]


def test_options_reach_the_demand() -> None:
    arguments = ("--pods", 400, "--families", "IPv4", "--plugin", "cilium", "--node-mask", "IPv4=26", "--no-node-range")
    document = json.loads(
        run("plan", *DEMAND, *arguments, *BLOCKS, "--avoid", "10.64.0.0/18", "--format", "json").output
    )
    assert [row["use"] for row in document["ranges"]] == ["pods", "services"]
    assert document["ranges"][0]["node_cidr_mask_size"] == 26
    assert document["ranges"][0]["range"] != "10.64.0.0/21"
    assert "cilium (settled)" in document["ranges"][0]["why"]


@pytest.mark.parametrize(
    "text",
    [
        "name,nodes,services,ip_families\na,20,60,IPv4\nb,300,900,\n",
        '[{"name": "a", "nodes": 20, "services": 60, "ip_families": "IPv4"}, {"name": "b", "nodes": 9, "services": 9}]',
        '{"a": {"nodes": 20, "services": 60, "ip_families": ["IPv4"]}, "b": {"nodes": 300, "services": 900}}',
    ],
    ids=["csv", "list", "by name"],
)
def test_a_fleet_is_a_table(tmp_path: Path, text: str) -> None:
    file = tmp_path / "fleet"
    file.write_text(text)
    result = run("plan", "--fleet", file, "--block", "10.0.0.0/12", "--block", "fd00::/44", "--format", "json")
    assert result.exit_code == 0, result.output
    assert [row["cluster"] for row in json.loads(result.output)["ranges"]] == ["a"] * 3 + ["b"] * 6
    flags = run(
        "plan", "--fleet", file, "--block", "10.0.0.0/12", "--block", "fd00::/44", "--format", "flags", "--cluster", "a"
    )
    assert "kubelet --max-pods=110" in flags.output
    shown = run("plan", "--fleet", file, "--block", "10.0.0.0/12", "--block", "fd00::/44")
    assert shown.output.splitlines()[3].startswith("cluster")


@pytest.mark.parametrize("form", ["text", "json", "csv"])
def test_what_does_not_fit_says_what_to_relax_and_fails_the_build(form: str) -> None:
    result = run("plan", "--nodes", 1000, "--services", 60, *BLOCKS, "--format", form)
    assert result.exit_code == 1
    assert "give another IPv4 block of" in result.output
    assert "at most 256 nodes instead of 1,000" in result.output
    if form == "json":
        assert json.loads(result.output)["fits"] is False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--nodes", 3, *BLOCKS), "give --services N"),
        (("--services", 3, *BLOCKS), "give --nodes N"),
        (("--nodes", 0, "--services", 3, *BLOCKS), "nodes is 0"),
        ((*DEMAND,), "Missing option '--block'"),
        ((*DEMAND, "--block", "10.0.0.0/99", "--families", "IPv4"), "not a CIDR"),
        ((*DEMAND, "--block", "10.0.0.0/8"), "no block is IPv6"),
        ((*DEMAND, *BLOCKS, "--block", "10.64.4.0/24"), "overlap"),
        ((*DEMAND, *BLOCKS, "--kube-version", "1.9"), "outside the modelled window"),
        ((*DEMAND, *BLOCKS, "--installer", "kops"), "installer='kops'"),
        ((*DEMAND, *BLOCKS, "--node-mask", "24"), "write it like IPv4=24"),
        ((*DEMAND, *BLOCKS, "--choose", 99), "there is no plan 99"),
        ((*DEMAND, *BLOCKS, "--choose", -1), "there is no plan -1"),
        ((*DEMAND, *BLOCKS, "--alternatives", 0), "alternatives=0"),
        ((*DEMAND, *BLOCKS, "--cluster", "b", "--format", "flags"), "there is no cluster 'b'"),
        (("--fleet", "none.csv", *BLOCKS), "none.csv"),
        (("--fleet", "none.csv", *DEMAND, *BLOCKS), "give it alone"),
    ],
)
def test_an_unusable_call_is_named(arguments: tuple[object, ...], words: str) -> None:
    result = run("plan", *arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("text", ["", "[1", '["a"]', "nodes;services\n1;2\n", "name,nodes,services\na,x,2\n", "{}"])
def test_a_file_that_is_no_fleet_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "fleet.csv"
    file.write_text(text)
    result = run("plan", "--fleet", file, *BLOCKS)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


# migrate -------------------------------------------------------------------------------------------------------------


def test_steps_in_words() -> None:
    result = run("migrate", sample_path("single-stack-legacy"), *SECOND)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].startswith("Migration to dual-stack on Kubernetes 1.20, kubeadm: 9 steps.")
    assert any(line.startswith(" 8  Make every node anew") and "no way back" in line for line in lines)
    assert "IPv6 service addresses" in result.output
    assert max(map(len, lines)) <= 100


def test_steps_as_json_and_csv() -> None:
    dump = sample_path("single-stack-legacy")
    document = json.loads(run("migrate", dump, *SECOND, "--kube-version", "1.33", "--format", "json").output)
    assert (document["schema"], document["to"], len(document["steps"])) == (JSON_SCHEMA, "dual-stack", 8)
    assert "/" not in document["sources"][0]
    rows = list(
        csv.DictReader(io.StringIO(run("migrate", dump, *SECOND, "--kube-version", "1.33", "--format", "csv").output))
    )
    assert [row["title"] for row in rows] == [row["title"] for row in document["steps"]]


def test_the_way_back_of_a_dump() -> None:
    document = json.loads(
        run("migrate", sample_path("dual-stack-shop"), "--to", "single-stack", "--format", "json").output
    )
    assert document["steps"][-1]["ipv6_service_addresses"] == 0
    assert sum(row["findings"] + row["refused"] for row in document["steps"]) == 0


@pytest.mark.parametrize("installer", ["flags", "managed", "k3s"])
def test_installers(installer: str) -> None:
    result = run("migrate", sample_path("single-stack-legacy"), *SECOND, "--installer", installer, "--surge-nodes", 2)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_range_that_is_too_small_fails_the_build(form: str) -> None:
    small = ("--pods", "fd00:10:244::/62", "--services", "fd00:10:96::/112")
    result = run("migrate", sample_path("single-stack-legacy"), *small, "--format", form)
    assert result.exit_code == 1
    assert "holds 4 node blocks of /64, and 28 nodes need one; give a /59" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "ranges lacks 'pods'"),
        (("--pods", "10.0.0.0/8", "--services", "fd00::/112"), "second one has to be IPv6"),
        ((*SECOND, "--kube-version", "1.99"), "outside the modelled window"),
        ((*SECOND, "--installer", "kops"), "installer='kops'"),
        ((*SECOND, "--surge-nodes", "-1"), "surge_nodes=-1"),
        (("--to", "single-stack"), "single-stack already"),
        ((*SECOND, "--config", "none.yaml"), "none.yaml"),
    ],
)
def test_an_unusable_migration_is_named(arguments: tuple[object, ...], words: str) -> None:
    result = run("migrate", sample_path("single-stack-legacy"), *arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output


def test_guessed_ranges_are_refused_and_a_configuration_helps(tmp_path: Path) -> None:
    cluster = ds.examples.single_stack_ipv4()
    nodes = [
        {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": {"name": str(name)},
            "spec": {"podCIDR": f"10.244.{row}.0/24", "podCIDRs": [f"10.244.{row}.0/24"]},
        }
        for row, name in enumerate(cluster.nodes["name"].tolist())
    ]
    service = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ports": [{"port": 443}], "type": "ClusterIP"},
    }
    dump = tmp_path / "dump.json"
    dump.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": [*nodes, service]}))
    refused = run("migrate", dump, *SECOND)
    assert refused.exit_code == 2
    assert "is a guess" in refused.output
    config = tmp_path / "kubeadm.yaml"
    config.write_text(
        "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nkubernetesVersion: v1.28.0\n"
        "networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/16}\n"
    )
    helped = run("migrate", dump, *SECOND, "--config", config)
    assert helped.exit_code == 0, helped.output
    assert "on Kubernetes 1.28" in helped.output
