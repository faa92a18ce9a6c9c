"""The command that forecasts a grid of scenarios.

Promises the numbers of `dsmodel.sweep` with `dsmodel.planning.sweeps.GrowthPlan`, whatever computes them. Exit codes: 0
every scenario has an answer, 1 some failed, 2 the call or a file is not usable; 130 interrupted, with what is done kept
where ``--resume`` says.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsmodel import __version__
from dsmodel.cli.terminal import (
    JSON_SCHEMA,
    cluster_of,
    csv_text,
    main,
    named_errors,
    named_places,
    records,
    save,
    tell,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sweep"]

_INTERRUPTED = 130


@main.command()
@click.argument("grid", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("dumps", nargs=-1, required=True, metavar="DUMP...")
@click.option("--start", required=True, metavar="DATE", help="Day of the dump.")
@click.option("--horizon", default="3y", show_default=True, metavar="SPAN", help="90d, 26w, 18mo, 3y.")
@click.option("--trajectories", type=click.IntRange(min=1), default=1000, show_default=True, help="Of each scenario.")
@click.option("--rng", "seed", type=click.IntRange(min=0), metavar="N", help="Seed of the random numbers.")
@click.option("--engine", type=click.Choice(["serial", "joblib", "dask"]), default="serial", show_default=True)
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes.  [default: one a core]")
@click.option("--resume", type=click.Path(path_type=Path), metavar="FOLDER", help="Keep answers here, and go on from.")
@click.option("--format", "layout", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write to.")
def sweep(*, grid: Path, dumps: tuple[str, ...], layout: str, output: Path | None, **asked: Any) -> None:
    """Forecast every scenario of GRID, starting from a dump.

    GRID is YAML or JSON with a list of values for each parameter (every combination is a scenario), or CSV with a
    scenario a row. Parameters: mask_ipv4, mask_ipv6, cluster_cidr_ipv4, cluster_cidr_ipv6, max_pods, ip_family_policy,
    kube_version, network_plugin, service_cidr, lost_zones, surge_ratio, and what grows, for instance nodes_per_week or
    pods_per_month.
    """
    from dsmodel.planning.sweeps import SweepInterrupted

    with named_errors():
        try:
            frame = _swept(grid, dumps, asked)
        except SweepInterrupted as stop:
            click.echo(str(stop), err=True)
            sys.exit(_INTERRUPTED)
        text = _rendered(frame, layout, named_places((str(grid), *dumps)))
        if output is None:
            click.echo(text, nl=False)
        else:
            tell([save(output, text)])
    sys.exit(int((frame["error"] != "").any()))


def _swept(grid: Path, dumps: tuple[str, ...], asked: dict[str, Any]) -> pd.DataFrame:
    """Read everything and run the sweep."""
    import numpy as np

    from dsmodel.io.grids import read_grid
    from dsmodel.planning.sweeps import GrowthPlan
    from dsmodel.planning.sweeps import sweep as run

    scenarios, cluster = read_grid(grid), cluster_of(dumps, None)
    plan = GrowthPlan(cluster, asked["start"], horizon=asked["horizon"], trajectories=asked["trajectories"])
    rng = None if asked["seed"] is None else np.random.default_rng(asked["seed"])
    return run(plan, scenarios, rng=rng, **{name: asked[name] for name in ("engine", "workers", "resume")})


def _rendered(frame: pd.DataFrame, layout: str, sources: tuple[str, ...]) -> str:
    """Write the answer in its form."""
    if layout == "csv":
        return csv_text(frame)
    if layout == "json":
        document = {"schema": JSON_SCHEMA, "version": __version__, "sources": sources, "sweep": records(frame)}
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    shown = frame if (frame["error"] != "").any() else frame.drop(columns="error")
    return shown.to_string(index=False, na_rep="-", float_format="{:.3g}".format) + "\n"
