"""The command that tells when a cluster runs out, as text, JSON or CSV, and fails a build in time.

Promises: the assumption stands beside the dates; the same dumps, demand, start and seed give the same bytes. Exit
codes: 0 answered, 1 answered and ``--fail-within`` was met, 2 the call or a file is not usable.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from dsmodel import __version__
from dsmodel.cli.histories import history_of, takes_span
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
    save,
    tell,
    width_of_terminal,
)
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from dsmodel.planning.forecasting import Forecast
    from dsmodel.planning.scenario import Scenario

__all__ = ["forecast"]

_SERIES = ["metric", "ip_family", "node_pool", "zone"]
_AXES = ["node_pool", "zone"]
_WEEKLY = ("nodes", "pods", "services", "load_balancers", "node_ports")
_COMPOUND = ("nodes", "pods", "services")


class _Answer(NamedTuple):
    """What was found: sources, forecast, its frame, what history has shown, pools that fail the policy."""

    sources: tuple[str, ...]
    forecast: Forecast
    frame: pd.DataFrame
    found: pd.DataFrame
    judged: pd.DataFrame
    failing: pd.DataFrame


def _takes_demand(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command its ways to say what grows."""
    number, file = click.FloatRange(min=0), click.Path(path_type=Path, exists=True, dir_okay=False)
    shapes = click.Choice(["linear", "exponential", "best"])
    words = {kind: kind.replace("_", " ").capitalize() for kind in _WEEKLY}
    decorators: tuple[Callable[[Callable[..., None]], Callable[..., None]], ...] = (
        *(
            click.option(f"--{kind.replace('_', '-')}-per-week", type=number, metavar="N", help=f"{word} that come.")
            for kind, word in words.items()
        ),
        click.option(
            "--growth-per-month", type=number, metavar="RATIO", help="Nodes, pods, Services compounding; 0.08 is 8 %."
        ),
        click.option(
            "--demand", type=file, metavar="CSV", help="Parts of demand: kind, zone, per_week, weekly, burst."
        ),
        click.option(
            "--history", metavar="PLACE", help="Fit demand to CSV, Parquet, metrics, dumps, or a server's URL."
        ),
        takes_span("history-"),
        click.option("--by", multiple=True, type=click.Choice(_AXES), help="Fit these parts of history by themselves."),
        click.option("--shape", type=shapes, default="linear", show_default=True, help="What history is fitted with."),
        click.option("--season", type=click.Choice(["weekly", "yearly"]), help="Look for it in history."),
        click.option("--start", metavar="DATE", help="Day of the dump.  [default: end of the history, else today]"),
        click.option("--horizon", default="3y", show_default=True, metavar="SPAN", help="90d, 26w, 18mo, 3y, a date."),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


@main.command()
@click.argument("dumps", nargs=-1, required=True, metavar="DUMP...")
@_takes_demand
@click.option("--law", type=click.Choice(["gaussian", "exact", "expected"]), default="gaussian", show_default=True)
@click.option("--mode", type=click.Choice(["counts", "replay"]), default="counts", show_default=True)
@click.option("--trajectories", type=click.IntRange(min=1), metavar="N", help="Futures.  [default: 10000; replay 20]")
@click.option("--rng", "seed", type=click.IntRange(min=0), metavar="N", help="Seed of the random numbers.")
@click.option("--format", "layout", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write to.")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="Write the fan of what binds as PNG.")
@click.option("--fail-within", type=click.IntRange(min=1), metavar="DAYS", help="Exit with 1 if 5 % run out sooner.")
@click.option("--kube-version", metavar="1.NN", help="Read the dump as of this Kubernetes version.")
def forecast(*, dumps: tuple[str, ...], layout: str, output: Path | None, picture: Path | None, **asked: Any) -> None:
    """Tell when each pool runs out: by then 5, 50 and 95 % of many futures find it full.

    DUMP is what `kubectl get nodes,pods,services,... -A -o json` wrote: a file, plain or .gz, a folder of such files,
    or - for standard input. Say what grows by numbers, by --demand, or by --history; they add up. Published thresholds,
    which nothing enforces, never fail a build.
    """
    with named_errors():
        answer = _answer(dumps, asked)
        text = _rendered(answer, layout, width=100 if output else width_of_terminal())
        if picture is not None:
            _draw(answer, picture)
        if output is None:
            click.echo(text, nl=False, color=colour())
        else:
            tell([save(output, click.unstyle(text))])
    for row in answer.failing.to_dict("records"):
        name = ", ".join(filter(None, (row["pool"], row["ip_family"], row["node_pool"], row["zone"])))
        days = row["exhaustion_p5_days"]
        click.echo(f"{name}: full within {days} days in 5 % of futures; --fail-within {asked['fail_within']}", err=True)
    sys.exit(int(len(answer.failing) > 0))


def _answer(dumps: tuple[str, ...], asked: dict[str, Any]) -> _Answer:
    """Read everything, run the forecast, and judge it."""
    import numpy as np

    from dsmodel import reports
    from dsmodel.planning.forecasting import forecast as run

    demand, found, judged = _demand(asked)
    cluster = cluster_of(dumps, asked["kube_version"])
    rng = None if asked["seed"] is None else np.random.default_rng(asked["seed"])
    names = ("horizon", "trajectories", "mode")
    answer = run(cluster, demand, rng=rng, **{name: asked[name] for name in names})
    frame = reports.exhaustion(answer)
    enforced = frame["binds_first_ratio"].notna()
    early = frame["exhaustion_p5_days"].lt(asked["fail_within"] or 0).fillna(value=False)
    return _Answer(named_places(dumps), answer, frame, found, judged, frame[enforced & early.astype(bool)])


def _demand(asked: dict[str, Any]) -> tuple[Scenario, pd.DataFrame, pd.DataFrame]:
    """Put together what grows, what reading history has found, and how its early part foresaw the late."""
    import pandas as pd

    from dsmodel.planning.forecasting import back_test
    from dsmodel.planning.scenario import Demand, Growth, Scenario, fit

    judged = pd.DataFrame()
    found = pd.DataFrame(columns=pd.Index(["severity", "rule", "object", "message"]))
    start = asked["start"]
    demands: list[Demand] = []
    if asked["history"] is not None:
        history = history_of((asked["history"],), asked)
        how = {"shape": asked["shape"], "by": asked["by"], "season": asked["season"] or ""}
        fitted = fit(history, start=start, **how)
        used = fitted.rates.loc[fitted.rates["is_used"], _SERIES]
        judged = back_test(history, **how).merge(used, on=_SERIES)
        found = pd.concat([pd.DataFrame(history.attrs["findings"], columns=found.columns), fitted.findings])
        start = fitted.scenario.start
        demands += fitted.scenario.demands
    if start is None:
        start = dt.datetime.now(dt.UTC).date()
    if asked["demand"] is not None:
        demands += Scenario.from_frame(_read_csv(asked["demand"]), start=start).demands
    monthly = asked["growth_per_month"]
    for kind in _WEEKLY:
        growth = Growth.linear(asked[f"{kind}_per_week"] or 0.0, per="week")
        if monthly and kind in _COMPOUND:
            compound = Growth.exponential(monthly, per="month").compound_ratio
            growth = Growth(per_day=growth.per_day, compound_ratio=compound)
        if not growth.is_still:
            demands.append(Demand(kind, growth))
    if not demands:
        words = "--nodes-per-week (pods, services, ...), --growth-per-month, --demand or --history"
        raise click.UsageError(f"say what grows: {words}")
    return Scenario.of(start, *demands, law=asked["law"]), found, judged


def _read_csv(path: Path) -> pd.DataFrame:
    """Read a table; what is no table is named."""
    import pandas as pd

    try:
        return pd.read_csv(path)
    except (ValueError, pd.errors.ParserError) as error:
        raise InvalidInput(f"{path.name}: is no CSV with a line of titles: {error}") from error


def _rendered(answer: _Answer, layout: str, *, width: int) -> str:
    """Write the answer in its form."""
    if layout == "csv":
        return csv_text(answer.frame)
    if layout == "json":
        return _json(answer)
    card = answer.forecast.card()
    plain = type(card)(card.title, card.sections).text().split("\n")
    lines = [*filled(plain[0], width=width).split("\n"), *plain[1:], ""]
    lines[0] = click.style(lines[0], bold=True)
    for row in answer.frame[answer.frame["runs_out_ratio"].fillna(0.0) > 0].to_dict("records"):
        name = ", ".join(filter(None, (row["pool"], row["ip_family"], row["node_pool"], row["zone"])))
        lines += [filled(f"{name}: {row['why']}", width=width), ""]
    for row in answer.found.to_dict("records"):
        lines += [filled(f"{row['severity']}: {row['object']}: {row['message']}", width=width), ""]
    for row in answer.judged.to_dict("records"):
        name = ", ".join(filter(None, (row[key] for key in _SERIES)))
        lines += [filled(f"Back-test of {name}: {row['why']}", width=width), ""]
    return "\n".join([*lines, filled(f"Assumed: {card.summary}", width=width)]) + "\n"


def _json(answer: _Answer) -> str:
    """Give the frames as records in one object; what is missing is null, dates are ISO 8601."""
    import pandas as pd

    frames = {
        "exhaustion": answer.frame,
        "difference": answer.forecast.difference,
        "back_test": answer.judged,
        "findings": pd.concat([answer.found, answer.forecast.findings], ignore_index=True),
    }
    document = {
        "schema": JSON_SCHEMA,
        "version": __version__,
        "sources": answer.sources,
        "summary": answer.forecast.card().title,
        "assumptions": answer.forecast.assumptions,
        "start": answer.forecast.demand.start.isoformat(),
        "horizon_days": answer.forecast.horizon_days,
        "fails": len(answer.failing) > 0,
        **{name: [_plain(row) for row in records(frame)] for name, frame in frames.items()},
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Write dates as text."""
    return {key: value.date().isoformat() if isinstance(value, dt.datetime) else value for key, value in row.items()}


def _draw(answer: _Answer, path: Path) -> None:
    """Write the fan of the pool that binds first."""
    from dsmodel import plots, reports

    path.parent.mkdir(parents=True, exist_ok=True)
    plots.save_fan(reports.fans(answer.forecast), path)
    tell([path])
