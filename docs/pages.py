"""Write the pages that are made from the package itself: the reference, the command line, and its tables.

Each page is made anew before the site is built and is not kept, so that none can say what the code does not.
"""

from __future__ import annotations

import inspect
import shutil
from typing import TYPE_CHECKING

import click
import pandas as pd

import dsmodel as ds
from dsmodel.cli import main
from dsmodel.cluster.checks.audit import RULES as RULES_OF_CHECK
from dsmodel.io.history import metrics
from dsmodel.io.history.metrics import METRICS
from dsmodel.kube.families import STORAGE_ROWS, STORE_ROWS
from dsmodel.kube.versions import GATES, RULES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def write(folder: Path) -> None:
    """Write every made page below a folder."""
    made = folder / "made"
    shutil.rmtree(made, ignore_errors=True)
    (made / "reference").mkdir(parents=True)
    notebooks = made / "tutorials"
    notebooks.mkdir()
    for source in sorted((folder.parent / "notebooks").glob("*.ipynb")):
        shutil.copy(source, notebooks / source.name)
    _write_reference(made / "reference")
    (made / "command-line.md").write_text(_command_line())
    (made / "provenance.md").write_text(_provenance())
    (made / "versions.md").write_text(_versions())
    (made / "decisions.md").write_text(_decisions())
    (made / "rules.md").write_text(_rules())
    (made / "metrics.md").write_text(_metrics())


def _write_reference(folder: Path) -> None:
    """Write one page for each module that a public name or namespace leads to."""
    names = [name for name in ds.__all__ if not name.startswith("_")]
    owners: dict[str, list[str]] = {}
    for name in names:
        value = getattr(ds, name)
        owner = value.__name__ if inspect.ismodule(value) else value.__module__
        owners.setdefault(owner, []).append(name)
    for namespace in (ds.reports, ds.plots, ds.cni, ds.kube, ds.widgets):
        for name in namespace.__all__:
            value = getattr(namespace, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                owners.setdefault(value.__module__, []).append(f"{namespace.__name__.rpartition('.')[2]}.{name}")
    listed = []
    for owner in sorted(owners):
        offered = ", ".join(f"`dsmodel.{name}`" for name in dict.fromkeys(owners[owner]))
        directive = f"```{{eval-rst}}\n.. automodule:: {owner}\n   :ignore-module-all:\n```"
        page = f"# {owner}\n\nOffered as {offered}.\n\n{directive}\n"
        (folder / f"{owner}.md").write_text(page)
        listed.append(owner)
    index = "\n".join(listed)
    (folder / "index.md").write_text(
        "# Reference\n\nEvery module that a public name leads to. The promise of each function is its docstring; its "
        f"example is run by the tests.\n\n```{{toctree}}\n:maxdepth: 1\n\n{index}\n```\n"
    )


def _command_line() -> str:
    """Write the help of every command, of groups command by command."""
    context = click.Context(main, info_name="dsmodel")
    parts = ["# Command line\n", f"```text\n{main.get_help(context)}\n```\n"]
    for name, command in _commands(main, "dsmodel"):
        inner = click.Context(command, info_name=name, parent=None, max_content_width=100)
        parts.append(f"## {name}\n\n```text\n{command.get_help(inner)}\n```\n")
    return "\n".join(parts)


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Name the commands of a group, and those below them."""
    for name, command in sorted(group.commands.items()):
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")


def _provenance() -> str:
    """Write where each rule comes from."""
    frame = ds.reports.provenance()
    return f"# Provenance\n\nWhat each model was read from, and how far it can be trusted.\n\n{table(frame)}\n"


def _versions() -> str:
    """Write the rows that say what a Kubernetes version does."""
    gates = pd.DataFrame(
        [
            {"gate": name, "since": f"1.{row.since}", "default": row.default, "stage": row.stage, "locked": row.locked}
            for name, gate in sorted(GATES.items())
            for row in gate.rows
        ]
    )
    rules = pd.DataFrame(
        [
            {"rule": name, "since": f"1.{since}", "value": str(value), "source": rule.source}
            for name, rule in sorted(RULES.items())
            for since, value in rule.rows
        ]
    )
    return (
        "# What changes between versions\n\nA Kubernetes version is data: these rows are the ones the code reads.\n\n"
        f"## Feature gates\n\n{table(gates)}\n\n## Limits and rules\n\n{table(rules)}\n"
    )


def _decisions() -> str:
    """Write the decision tables of Services, and what comes of them on four clusters."""
    rows = [
        ("since 1.23", STORE_ROWS, "The rows in order; a request walks down until one refuses or settles."),
        ("until 1.22", STORAGE_ROWS, "The same questions in another order: that is why answers differ."),
    ]
    parts = [
        "# How a Service gets its families\n",
        "What kube-apiserver makes of `ipFamilyPolicy`, `ipFamilies` and `clusterIPs`: the tables the code runs.\n",
    ]
    for when, listed, words in rows:
        frame = pd.DataFrame(
            [{"row": place, "says": row.says, "source": row.source} for place, row in enumerate(listed, 1)]
        )
        parts.append(f"## {when.capitalize()}\n\n{words}\n\n{table(frame)}\n")
    parts.append("## What comes of it\n\nFamilies of a Service with a selector, by policy, on 1.36.\n")
    parts.append(table(_answers()) + "\n")
    return "\n".join(parts)


def _answers() -> pd.DataFrame:
    """Ask one server a cluster."""
    ipv4, ipv6 = "10.96.0.0/16", "fd00:10:96::/112"
    rows = []
    for policy in (None, "SingleStack", "PreferDualStack", "RequireDualStack"):
        row = {"ipFamilyPolicy": policy or "(not set)"}
        for ranges in ([ipv4], [ipv6], [ipv4, ipv6], [ipv6, ipv4]):
            server = ds.ControlPlane(kube_version="1.36", service_cidrs=ranges)
            spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]} | (
                {"ipFamilyPolicy": policy} if policy else {}
            )
            name = " + ".join("IPv6" if ":" in text else "IPv4" for text in ranges)
            try:
                stored = server.create({"kind": "Service", "metadata": {"name": "web"}, "spec": spec})["spec"]
                row[name] = ", ".join(stored["ipFamilies"])
            except ds.errors.Rejected:
                row[name] = "refused"
        rows.append(row)
    return pd.DataFrame(rows)


def _rules() -> str:
    """Write every rule of the audit."""
    frame = pd.DataFrame(
        [
            {"rule": rule.name, "severity": rule.severity, "fix": rule.fix, "source": rule.source}
            for rule in RULES_OF_CHECK
        ]
    ).sort_values("rule")
    return f"# Rules of `check`\n\nWhat `dsmodel.check` looks for in a cluster.\n\n{table(frame)}\n"


def _metrics() -> str:
    """Write the metrics that history is read from."""
    frame = pd.DataFrame(
        [
            {
                "metric": f"`{row.name}`", "component": row.component, "versions": row.versions, "pool": row.pool,
                "says what is": row.role, "parts": ", ".join(row.summed), "source": row.source,
            }
            for row in METRICS
        ]
    )  # fmt: skip
    words = " ".join((metrics.__doc__ or "").partition("Each kube-apiserver")[2].partition("Sources stand")[0].split())
    return f"# Metrics that history is read from\n\nEach kube-apiserver {words}\n\n{table(frame)}\n"


def table(frame: pd.DataFrame) -> str:
    """Write a frame as a Markdown table."""
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in frame.astype(str).to_numpy()]
    lines = [list(map(str, frame.columns)), ["---"] * len(frame.columns), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
