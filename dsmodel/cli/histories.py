"""The commands that keep history and show it: one append a day, from cron or CI.

Promises what `read_history` and `append_history` do. The time of a dump is the newest that its objects name unless
``--time`` says another, so that the same dump appended twice is there once. Exit codes: 0 done, 2 the call or a place
is not usable, with nothing written.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsmodel import __version__
from dsmodel.cli.terminal import (
    JSON_SCHEMA,
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

__all__ = ["history", "history_of", "takes_span"]

_SERIES = ["metric", "ip_family", "node_pool", "zone"]


def takes_span(prefix: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command its ways to say which history is read.

    Parameters
    ----------
    prefix : str, default ""
        What stands before the options where the command has others of that name.

    Returns
    -------
    callable
        A decorator; the command gets ``first``, ``last``, ``step``, ``matchers`` and ``headers``.

    Raises
    ------
    None
        Click judges values.
    """
    file = click.Path(path_type=Path, exists=True, dir_okay=False)
    decorators = (
        click.option(f"--{prefix}from", "first", metavar="DATE", help="First day of history; a server needs it."),
        click.option(f"--{prefix}to", "last", metavar="DATE", help="Last day of history.  [server: today]"),
        click.option(
            f"--{prefix}step", "step", default="1d", show_default=True, metavar="SPAN", help="A server's step."
        ),
        click.option("--matchers", default="", metavar="PROMQL", help='Which series of a server: cluster="prod".'),
        click.option("--headers", type=file, metavar="FILE", help="Sent to a server: lines such as Authorization: ..."),
    )

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for each in reversed(decorators):
            command = each(command)
        return command

    return decorate


def history_of(places: tuple[str, ...], asked: dict[str, Any]) -> pd.DataFrame:
    """Read the history that a call names.

    Parameters
    ----------
    places : tuple of str
        As on the command line.
    asked : dict
        The options of `takes_span`.

    Returns
    -------
    pandas.DataFrame
        As `read_history` gives it.

    Raises
    ------
    click.UsageError
        A server is asked without a first day.
    InvalidInput
        A place holds no history, or a line of the headers is none.
    Unreachable
        A server does not answer.
    """
    from dsmodel.io.history import Prometheus, read_history

    headers = _headers(asked["headers"])
    last = asked["last"]
    found: list[Any] = list(places)
    for place, name in enumerate(places):
        if name.startswith(("http://", "https://")):
            if asked["first"] is None:
                raise click.UsageError(f"{name}: a server is asked for a span of days; say from which day")
            last = last or dt.datetime.now(dt.UTC).date()
            found[place] = Prometheus(name, matchers=asked["matchers"], headers=headers)
    return read_history(found, start=asked["first"], end=last, step=asked["step"])


@main.group()
def history() -> None:
    """Keep how full pools are, day by day, and show it; `dsmodel forecast --history` fits demand to it."""


@history.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.argument("place")
@click.option("--time", metavar="TIME", help="When it was so.  [default: the newest time that objects name]")
@takes_span()
def append(*, sources: tuple[str, ...], place: str, time: str | None, **asked: Any) -> None:
    """Append what SOURCE shows to the dataset PLACE: a folder, made if it is not there, or a URL.

    SOURCE is a dump (`kubectl get nodes,pods,services,... -A -o json`), - for standard input, what /metrics printed,
    CSV, Parquet, or the URL of a Prometheus server. With --time all SOURCEs are one dump. An append is there whole or
    not at all, and made twice it is there once.
    """
    from dsmodel.io.history import append_history, read_history

    with named_errors(), tempfile.TemporaryDirectory() as folder:
        places = tuple(_here(source, Path(folder)) for source in sources)
        frame = history_of(places, asked) if time is None else read_history({time: _one(places)})
        click.echo(append_history(frame, place))
        _warn(frame)


@history.command()
@click.argument("places", nargs=-1, required=True, metavar="PLACE...")
@takes_span()
@click.option("--format", "layout", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write to.")
def show(*, places: tuple[str, ...], layout: str, output: Path | None, **asked: Any) -> None:
    """Show the history in PLACE: as text a line for each series, as CSV or JSON every value."""
    with named_errors():
        frame = history_of(places, asked)
        text = _rendered(frame, layout, named_places(places))
        if output is None:
            click.echo(text, nl=False)
        else:
            tell([save(output, text)])
        if layout != "json":
            _warn(frame)


def _headers(path: Path | None) -> dict[str, str]:
    """Read headers from a file, so that no token stands where other users see commands."""
    if path is None:
        return {}
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    pairs = [line.partition(":") for line in lines]
    if not all(name.strip() and colon for name, colon, _ in pairs):
        raise InvalidInput(f"{path.name}: needs lines such as Authorization: Bearer ...")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _here(source: str, folder: Path) -> str:
    """Give a file for standard input, so that it is dated and read as files are."""
    if source != "-":
        return source
    path = folder / "standard input"
    path.write_bytes(sys.stdin.buffer.read())
    return str(path)


def _one(places: tuple[str, ...]) -> Any:
    """Give one place for several files of one dump."""
    return places[0] if len(places) == 1 else list(places)


def _warn(frame: pd.DataFrame) -> None:
    """Say on standard error what reading had to decide."""
    for row in frame.attrs["findings"]:
        click.echo(f"{row['severity']}: {row['object']}: {row['message']}", err=True)


def _rendered(frame: pd.DataFrame, layout: str, sources: tuple[str, ...]) -> str:
    """Write the history in its form."""
    if layout == "csv":
        return csv_text(frame)
    if layout == "json":
        rows = [row | {"time": row["time"].isoformat()} for row in records(frame)]
        document = {"schema": JSON_SCHEMA, "version": __version__, "sources": sources, "history": rows}
        document["findings"] = frame.attrs["findings"]
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    table = frame.groupby(_SERIES, sort=True).agg(
        points=("time", "nunique"), first=("time", "min"), last=("time", "max"), value=("value", "last"),
        usable=("usable", "last"), source=("source", "last"),
    )  # fmt: skip
    shown = table.reset_index().astype({"value": "Int64"}).astype({"value": object, "usable": object})
    shown = shown.where(shown.notna(), "-")
    for name in ("first", "last"):
        shown[name] = shown[name].dt.strftime("%Y-%m-%d")
    title = f"{len(shown):,} series, {frame['time'].nunique():,} times"
    return f"{filled(title, width=width_of_terminal())}\n\n{shown.to_string(index=False)}\n"
