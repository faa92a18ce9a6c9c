"""The commands that plan: ranges that hold a demand, and the steps from one address family to two.

Promises: what is pasted is what was judged; a fleet is a table with a row a cluster. Exit codes: 0 planned; 1 nothing
fits (the answer says what to relax), or a step of a migration leaves something wrong; 2 the call or a file is not
usable.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsmodel import __version__
from dsmodel.cli.terminal import (
    JSON_SCHEMA,
    colour,
    csv_text,
    filled,
    main,
    named_errors,
    named_places,
    records,
    width_of_terminal,
)
from dsmodel.errors import InvalidInput, PoolFull

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from dsmodel.cluster.state import Cluster
    from dsmodel.planning.layout import Layout
    from dsmodel.planning.migration import Migration

__all__ = ["migrate", "plan"]

_LAYOUTS = ["text", "json", "csv", "kubeadm", "k3s", "flags"]
_DEMAND = {
    "nodes": ("--nodes", int, "N", "Nodes of the cluster today."),
    "services": ("--services", int, "N", "Services that take a cluster IP."),
    "pods_per_node": ("--pods-per-node", int, "N", "Pods on each node, and maxPods.  [default: 110]"),
    "pods": ("--pods", int, "N", "Pods in all, instead of --pods-per-node."),
    "growth_ratio": ("--growth", float, "RATIO", "Growth of nodes and Services in a year; 0.3 is 30 %."),
    "years": ("--years", float, "N", "How long the plan must fit."),
    "surge_nodes": ("--surge-nodes", int, "N", "Nodes that an upgrade or a burst adds."),
    "ip_families": ("--families", str, "IPv4,IPv6", "Families in order, the primary one first."),
    "plugin": ("--plugin", str, "NAME", "What hands addresses out on a node.  [default: host-local]"),
}


def _takes_demand(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command its ways to say what is to fit."""
    for name, (flag, kind, metavar, words) in reversed(_DEMAND.items()):
        command = click.option(flag, name, type=kind, metavar=metavar, help=words)(command)
    return command


@main.command()
@_takes_demand
@click.option("--node-mask", "masks", multiple=True, metavar="IPv4=24", help="A mask that is settled; may be repeated.")
@click.option("--no-node-range", is_flag=True, help="The nodes' own addresses come from elsewhere.")
@click.option("--fleet", type=click.Path(path_type=Path), metavar="CSV|JSON", help="A row a cluster, instead.")
@click.option("--block", "blocks", multiple=True, required=True, metavar="CIDR", help="What you own; may be repeated.")
@click.option("--avoid", multiple=True, metavar="CIDR", help="In use elsewhere; may be repeated.")
@click.option("--kube-version", metavar="1.NN", help="What it must be legal on.  [default: the newest modelled]")
@click.option("--installer", default="kubeadm", show_default=True, metavar="kubeadm|k3s|rke2|flags")
@click.option("--alternatives", type=int, default=8, show_default=True, metavar="N", help="Plans to show at most.")
@click.option("--choose", type=int, default=0, show_default=True, metavar="PLAN", help="Which of the alternatives.")
@click.option("--cluster", metavar="NAME", help="Which cluster of a fleet kubeadm, k3s and flags are for.")
@click.option("--format", "layout", type=click.Choice(_LAYOUTS), default="text", show_default=True)
def plan(*, layout: str, choose: int, cluster: str | None, **asked: Any) -> None:
    """Find the smallest ranges for a cluster or a fleet inside the blocks you own.

    Says the ranges and node masks of each family, the alternatives with more headroom, and with --format kubeadm, k3s
    or flags what to paste. Exits with 1 when nothing fits, and says what to relax and by how much.
    """
    with named_errors():
        from dsmodel.planning.layout import LayoutDoesNotFit, plan_layout

        version = {"kube_version": asked["kube_version"]} if asked["kube_version"] else {}
        try:
            found = plan_layout(
                _demand(asked),
                asked["blocks"],
                avoid=asked["avoid"],
                installer=asked["installer"],
                alternatives=max(asked["alternatives"], choose + 1) if asked["alternatives"] > 0 else 0,
                **version,
            ).choose(choose)
        except LayoutDoesNotFit as error:
            click.echo(_shortfall(error, layout), nl=False, color=colour())
            sys.exit(1)
        click.echo(_plan_text(found, layout, cluster), nl=False, color=colour())


def _demand(asked: dict[str, Any]) -> Any:
    """Read the demand from the options, or a fleet from a file."""
    given = {name: asked[name] for name in _DEMAND if asked[name] is not None}
    if asked["fleet"] is not None:
        if given or asked["masks"] or asked["no_node_range"]:
            raise click.UsageError("--fleet names every demand; give it alone, or one cluster by options")
        return _fleet(asked["fleet"])
    for name in ("nodes", "services"):
        if name not in given:
            raise click.UsageError(f"give --{name} N, or --fleet FILE")
    masks = dict(_mask(text) for text in asked["masks"])
    return {**given, "node_cidr_mask_sizes": masks, "node_range": not asked["no_node_range"]}


def _mask(text: str) -> tuple[str, int]:
    """Read a settled mask."""
    family, sign, length = text.partition("=")
    if not sign or not length.isdecimal():
        raise click.UsageError(f"--node-mask {text}: write it like IPv4=24")
    return family, int(length)


def _fleet(path: Path) -> Any:
    """Read a table of demands."""
    import pandas as pd

    text = path.read_text(encoding="utf-8")
    try:
        if text.lstrip()[:1] in {"[", "{"}:
            read = json.loads(text)
            return [{"name": name, **row} for name, row in read.items()] if _is_by_name(read) else read
        return pd.read_csv(path)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"{path.name}: is no table of demands: {' '.join(str(error).split())}") from None


def _is_by_name(read: Any) -> bool:
    """Tell a mapping of names to demands from one demand."""
    return isinstance(read, dict) and bool(read) and all(isinstance(row, dict) for row in read.values())


def _plan_text(found: Layout, layout: str, cluster: str | None) -> str:
    """Write a plan in its form."""
    if layout == "csv":
        return csv_text(found.ranges)
    if layout in {"kubeadm", "k3s"}:
        from dsmodel.io.manifests import write_manifests

        documents = found.kubeadm(cluster) if layout == "kubeadm" else [found.k3s(cluster)]
        return write_manifests(documents)
    if layout == "flags":
        flags = found.flags(cluster)
        return "".join(f"{component} {' '.join(given)}\n" for component, given in flags.items())
    summary = str(found.alternatives["why"].iloc[found.chosen])
    if layout == "json":
        return _json(
            fits=True,
            summary=summary,
            ranges=records(found.ranges),
            alternatives=records(found.alternatives),
            gap={str(family): gap for family, gap in found.gap.items()},
        )
    width = width_of_terminal()
    shown = ["cluster", "use", "ip_family", "range", "node_cidr_mask_size", "wanted", "usable", "headroom_ratio"]
    if len(found.demands) == 1:
        shown.remove("cluster")
    titles = {"ip_family": "family", "node_cidr_mask_size": "node mask", "headroom_ratio": "headroom"}
    plans = ["plan", "headroom_ratio", "binds", "ipv4_ranges", "ipv4_waste_ratio", "ipv6_ranges"]
    plan_titles = {"headroom_ratio": "headroom", "ipv4_ranges": "IPv4", "ipv6_ranges": "IPv6"}
    notes = [f"{row['use']}, {row['ip_family']}: {row['why']}" for row in found.ranges.to_dict("records")]
    others = found.alternatives[plans].rename(columns={**plan_titles, "ipv4_waste_ratio": "IPv4 waste"})
    return "\n".join(
        [
            filled(summary, width=width),
            "",
            _columns(found.ranges[shown].rename(columns=titles)),
            "",
            *(_indented(note, width) for note in (notes if len(found.demands) == 1 else [])),
            *([""] if len(found.demands) == 1 else []),
            _columns(others),
            "",
            filled(
                "headroom is how many times the demand fits; --choose PLAN takes another plan, --format kubeadm, k3s "
                "or flags writes what to paste.",
                width=width,
            ),
            "",
        ]
    )


def _shortfall(error: Any, layout: str) -> str:
    """Write what to relax."""
    if layout == "json":
        return _json(fits=False, summary=str(error), relax=records(error.relax))
    if layout == "csv":
        return csv_text(error.relax)
    cause = str(error).partition(" Relax one: ")[0]
    lines = [filled(f"Nothing fits. {cause}", width=width_of_terminal()), ""]
    lines += [_indented(f"- {why}", width_of_terminal()) for why in error.relax["why"]] or ["no single constraint"]
    return "\n".join([*lines[:2], "Any one of these would do:" if len(error.relax) else "", *lines[2:], ""])


@main.command()
@click.argument("dumps", nargs=-1, required=True, metavar="DUMP...")
@click.option("--config", "configs", multiple=True, metavar="FILE", help="kubeadm, k3s or flags, if a dump lacks them.")
@click.option("--to", type=click.Choice(["dual-stack", "single-stack"]), default="dual-stack", show_default=True)
@click.option("--pods", metavar="CIDR", help="The second family's range for Pods.")
@click.option("--services", metavar="CIDR", help="The second family's range for Services.")
@click.option("--nodes", metavar="CIDR", help="The second family's range of the nodes' own addresses, if known.")
@click.option("--node-mask", "node_cidr_mask_size", type=int, metavar="N", help="Prefix length of a node's block.")
@click.option("--installer", default="kubeadm", show_default=True, metavar="kubeadm|flags|managed|k3s|rke2")
@click.option("--kube-version", metavar="1.NN", help="Version of the components.  [default: the dump's]")
@click.option("--surge-nodes", type=int, default=0, metavar="N", help="Nodes that join before others leave.")
@click.option("--format", "layout", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True)
def migrate(*, dumps: tuple[str, ...], configs: tuple[str, ...], layout: str, **asked: Any) -> None:
    """List the steps of a dumped cluster from one address family to two, or back.

    Says of each step what changes and restarts, what is made anew, what is in use meanwhile, how to verify it, and from
    where on there is no way back. Exits with 1 when a range is too small or a step would leave something wrong.
    """
    with named_errors():
        from dsmodel.planning.migration import plan_migration

        keys = ("pods", "services", "nodes", "node_cidr_mask_size")
        ranges = {key: asked[key] for key in keys if asked[key] is not None}
        try:
            found = plan_migration(
                _dumped(dumps, configs),
                to=asked["to"],
                ranges=ranges or None,
                installer=asked["installer"],
                kube_version=asked["kube_version"],
                surge_nodes=asked["surge_nodes"],
            )
        except PoolFull as error:
            click.echo(_json(fits=False, summary=str(error)) if layout == "json" else f"{error}\n", nl=False)
            sys.exit(1)
        click.echo(_migration_text(found, layout, named_places(dumps)), nl=False, color=colour())
    sys.exit(int(bool((found.steps[["findings", "refused"]] > 0).to_numpy().any())))


def _dumped(dumps: tuple[str, ...], configs: tuple[str, ...]) -> Cluster:
    """Read a dump, with the configuration it lacks if that is at hand."""
    from dsmodel.io.configs import read_config
    from dsmodel.io.kubectl import read_cluster

    return read_cluster(dumps, config=read_config(configs) if configs else None)


def _migration_text(found: Migration, layout: str, sources: tuple[str, ...]) -> str:
    """Write a migration in its form."""
    if layout == "csv":
        return csv_text(found.steps)
    card = found.card()
    if layout == "json":
        summary = f"{card.title}. {card.summary}"
        return _json(sources=sources, fits=True, to=found.to, summary=summary, steps=records(found.steps))
    width = width_of_terminal()
    lines = [f"{card.title}. {card.summary}", ""]
    for row in found.steps.to_dict("records"):
        title = click.style(f"{row['step']:>2}  {row['title']}", bold=True)
        lines.append(title + (click.style("  (no way back by undoing)", fg="red") if row["point_of_no_return"] else ""))
        made = ", ".join(f"{row[kind]:,} {kind}" for kind in ("nodes", "pods", "services") if row[kind])
        parts = (
            ("change", row["change"]),
            ("restarts", row["restarts"]),
            ("made anew", row["recreates"]),
            ("touches", made),
            ("in use", _in_use({str(key): value for key, value in row.items()})),
            ("verify", row["verify"]),
            ("back", row["back"]),
            ("why", f"{row['why']} ({row['source']})"),
            (
                "wrong",
                f"{row['findings']} new findings, {row['refused']} refused" * (row["findings"] + row["refused"] > 0),
            ),
        )
        lines += [_indented(f"{name}: {words}", width, by=4) for name, words in parts if words]
        lines.append("")
    return "\n".join(lines)


def _in_use(row: dict[str, Any]) -> str:
    """Write the most in use of each pool that has any."""
    from dsmodel.planning.migration import PEAKS

    words = []
    for name in PEAKS:
        family, _, pool = name.partition("_")
        if row[name]:
            words.append(f"{row[name]:,} {family.replace('ipv', 'IPv')} {pool.replace('_', ' ')}")
    return ", ".join(words)


def _json(**found: Any) -> str:
    """Write an answer as JSON."""
    document = {"schema": JSON_SCHEMA, "version": __version__, **found}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _columns(frame: pd.DataFrame) -> str:
    """Lay a frame out as columns."""
    import pandas as pd

    def cell(value: Any) -> str:
        if pd.isna(value):
            return ""
        if isinstance(value, float):
            return "cannot run out" if value == float("inf") else f"{value:.2f}"
        return f"{value:,}" if isinstance(value, int) else str(value)

    frame = frame.loc[:, [bool((frame[name].astype(str) != "").any()) for name in frame]]
    rows = [[str(name) for name in frame], *([cell(value) for value in row] for row in frame.astype(object).to_numpy())]
    numbers = [pd.api.types.is_numeric_dtype(frame[name]) for name in frame]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in rows
    )


def _indented(text: str, width: int, *, by: int = 2) -> str:
    """Break words below a title."""
    return textwrap.fill(
        text,
        width,
        initial_indent=" " * by,
        subsequent_indent=" " * (by + 2),
        break_on_hyphens=False,
        break_long_words=False,
    )
