"""The command that judges a configuration or a dump, for CI.

Promises: every finding with the flag and the way out. Exit codes: 0 nothing worse than a warning, 1 a finding of
severity error or fatal, 2 the call or the file is not usable.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from dsmodel import __version__
from dsmodel.cli.terminal import (
    JSON_SCHEMA,
    cluster_of,
    colour,
    csv_text,
    filled,
    main,
    named_errors,
    named_places,
    records,
    width_of_terminal,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check"]

_ALIKE = 5  # findings of one rule that the text lists; JSON and CSV hold all
_COLOURS = {"fatal": "red", "error": "red", "warning": "yellow"}


class _Judged(NamedTuple):
    """What was judged, as of which version, and what was found."""

    kube_version: str
    known_by: str
    found: pd.DataFrame


@main.command()
@click.argument("places", nargs=-1, required=True, metavar="CONFIG|DUMP...")
@click.option("--kube-version", metavar="1.NN", help="Judge as of this Kubernetes version.")
@click.option("--nodes", "dumps", multiple=True, metavar="DUMP", help="Would CONFIG accept the nodes of this dump?")
@click.option("--format", "layout", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True)
def check(*, places: tuple[str, ...], kube_version: str | None, dumps: tuple[str, ...], layout: str) -> None:
    """Judge a configuration or a cluster: whether it would start, and whether it is sound.

    CONFIG is a kubeadm configuration, a k3s or RKE2 config.yaml, static Pods, or flags, one a line; DUMP is what
    `kubectl get nodes,pods,services,... -A -o json` wrote. Exits with 1 when something is fatal or an error.
    """
    with named_errors():
        from dsmodel.io.configs import is_config

        if all(map(is_config, places)):
            judged = _judge_config(places, kube_version, dumps)
        elif dumps:
            raise click.UsageError("--nodes goes with CONFIG; a dump has its own nodes")
        else:
            judged = _judge_dump(places, kube_version)
        text = _form(judged, layout, named_places(places))
        click.echo(text, nl=False, color=colour())
    sys.exit(int(judged.found["severity"].isin(["fatal", "error"]).any()))


def _judge_config(places: tuple[str, ...], kube_version: str | None, dumps: tuple[str, ...]) -> _Judged:
    """Judge configuration files, with the nodes of a dump if there is one."""
    from dsmodel.io.configs import read_written
    from dsmodel.kube.config_checks import check_config
    from dsmodel.kube.flags import findings_frame
    from dsmodel.reports.start_up import node_pod_cidrs, ordered

    written = read_written(places, kube_version=kube_version)
    nodes = node_pod_cidrs(cluster_of(dumps, None)) if dumps else None
    found = check_config(written.flags, kube_version=written.kube_version, nodes=nodes)
    origins = {(component, f"--{flag}"): where for (component, flag), where in written.origins.items()}
    keys = zip(found["component"], found["flag"], strict=True)
    found = found.assign(file=[origins.get(key, "") for key in keys])
    version = written.kube_version
    frame = ordered([findings_frame(written.findings, kube_version=version), found], kube_version=version)
    return _Judged(str(written.kube_version), written.version_evidence, frame)


def _judge_dump(places: tuple[str, ...], kube_version: str | None) -> _Judged:
    """Judge a dump."""
    from dsmodel.kube.versions import KubeVersion
    from dsmodel.reports.start_up import audit

    cluster = cluster_of(places, None)
    version = KubeVersion(kube_version or cluster.config.kube_version)
    known_by = "given" if kube_version else cluster.config.evidence.get("kube_version", "")
    found = audit(cluster, version)
    return _Judged(str(version), known_by, found.assign(file=[Path(file).name for file in found["file"]]))


def _form(judged: _Judged, layout: str, sources: tuple[str, ...]) -> str:
    """Write the answer in its form."""
    if layout == "csv":
        return csv_text(judged.found)
    if layout == "json":
        document = {
            "schema": JSON_SCHEMA,
            "version": __version__,
            "sources": sources,
            "summary": _summary(judged),
            "kube_version": judged.kube_version,
            "starts": "fatal" not in set(judged.found["severity"]),
            "check": records(judged.found),
        }
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return "\n".join([*_lines(judged.found), filled(_summary(judged), width=width_of_terminal())]) + "\n"


def _summary(judged: _Judged) -> str:
    """Say in a sentence what was found."""
    counts = judged.found["severity"].value_counts()
    words = {"fatal": "fatal", "error": "errors", "warning": "warnings", "note": "notes"}
    named = [
        f"{counts[word]:,} {plural if counts[word] > 1 else word}" for word, plural in words.items() if word in counts
    ]
    verdict = "it would not start" if "fatal" in counts else "it would start"
    return f"As of Kubernetes {judged.kube_version} ({judged.known_by}) {verdict}: {', '.join(named) or 'no findings'}."


def _lines(found: pd.DataFrame) -> list[str]:
    """Write each finding as a title, its words and the way out."""
    width = width_of_terminal()
    lines: list[str] = []
    for rule, rows in found.groupby("rule", sort=False):
        for row in rows.head(_ALIKE).to_dict("records"):
            subject = " ".join(filter(None, (row["component"], row["flag"], row["object"]))) or "cluster"
            severity = click.style(row["severity"], fg=_COLOURS.get(row["severity"]), bold=True)
            where = f" ({row['file']})" if row["file"] else ""
            lines.append(f"{severity}  {subject}{where}")
            lines += _indented(row["message"], width)
            lines += _indented(f"fix: {row['fix']}", width) if row["fix"] else []
            lines.append("")
        if len(rows) > _ALIKE:
            lines += [f"... and {len(rows) - _ALIKE:,} more of {rule}; --format json or csv holds all", ""]
    return lines


def _indented(text: str, width: int) -> list[str]:
    """Break words below a title."""
    return textwrap.wrap(
        text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
