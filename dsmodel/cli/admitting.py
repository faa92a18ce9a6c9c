"""The command that answers as the API server would, before anyone applies a manifest."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from dsmodel import __version__
from dsmodel.cli.terminal import (
    JSON_SCHEMA,
    cluster_of,
    colour,
    csv_text,
    main,
    named_errors,
    named_places,
    records,
    width_of_terminal,
)

if TYPE_CHECKING:
    from dsmodel.kube.config import ClusterConfig

__all__ = ["admit"]


@main.command()
@click.argument("manifests", nargs=-1, required=True, metavar="MANIFEST...")
@click.option("--cluster", "dumps", multiple=True, metavar="DUMP", help="Dump of the cluster; may be repeated.")
@click.option("--config", "configs", multiple=True, metavar="FILE", help="kubeadm, k3s or flags, for an empty cluster.")
@click.option("--kube-version", metavar="1.NN", help="Answer as this Kubernetes version.")
@click.option("-n", "--namespace", default="default", show_default=True, help="For manifests that name none.")
@click.option("--format", "layout", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True)
def admit(
    *,
    manifests: tuple[str, ...],
    dumps: tuple[str, ...],
    configs: tuple[str, ...],
    kube_version: str | None,
    namespace: str,
    layout: str,
) -> None:
    """Tell which Services the API server would refuse or change, before anyone applies them.

    MANIFEST is YAML or JSON: a file, a folder such as a rendered chart, or - for standard input; objects of other kinds
    are skipped and counted. Give one of --cluster and --config. Exits with 1 when something is refused.
    """
    if bool(dumps) == bool(configs):
        raise click.UsageError("give one of --cluster DUMP and --config FILE")
    if (*manifests, *dumps, *configs).count("-") > 1:
        raise click.UsageError("standard input can be read once")
    with named_errors():
        from dsmodel import reports
        from dsmodel.io.manifests import read_manifests
        from dsmodel.reports import verdicts

        read = read_manifests(manifests)
        cluster = cluster_of(dumps, kube_version) if dumps else _config_of(configs, kube_version)
        frame = reports.admission(cluster, read, namespace=namespace)
        if layout == "csv":
            answer = csv_text(frame)
        elif layout == "json":
            document = {"schema": JSON_SCHEMA, "version": __version__, "sources": named_places(manifests)}
            found = {"summary": verdicts.summary(frame), "admission": records(frame), "skipped": read.skipped}
            answer = json.dumps(document | found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        else:
            mark = lambda title: click.style(title, fg="red", bold=True)  # noqa: E731 - names what is done to a title
            answer = verdicts.text(frame, skipped=read.skipped, width=width_of_terminal(), emphasise=mark) + "\n"
        click.echo(answer, nl=False, color=colour())
    sys.exit(int((frame["verdict"] == "refused").any()))


def _config_of(places: tuple[str, ...], kube_version: str | None) -> ClusterConfig:
    """Read configuration files as an empty cluster."""
    from dsmodel.io.configs import read_config

    return read_config(places, kube_version=kube_version)
