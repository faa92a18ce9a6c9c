"""The commands that report on dumps: as text, JSON, CSV or a page.

Promises: text fits the terminal and is coloured only there. Exit codes: 0 the question was answered, 1 answered but
the cluster has findings of severity error and ``--strict`` was given, 2 the call or the dump is not usable.
"""

from __future__ import annotations

import io
import json
import sys
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
    save,
    tell,
    width_of_terminal,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

__all__ = ["demo", "limits", "report"]

_FRAMES = ("limits", "findings", "utilization", "usage", "configuration")
_DEMO_DUMP = "nearly-full"
_ASKED = {"report": _FRAMES, "limits": ("limits", "findings")}


class _Answer(NamedTuple):
    """What a command found out: where it read, one or two sentences, and the frames behind them."""

    sources: tuple[str, ...]
    summary: str
    frames: Mapping[str, pd.DataFrame]


def _takes_dumps(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the arguments that every question about dumps has."""
    layout = click.Choice(["text", "json", "csv", "html"])
    decorators = (
        click.argument("dumps", nargs=-1, required=True, metavar="DUMP..."),
        click.option("--format", "layout", type=layout, default="text", show_default=True, help="Form of the answer."),
        click.option("-o", "--output", type=click.Path(path_type=Path), help="File or folder to write to."),
        click.option("--kube-version", metavar="1.NN", help="Read the dump as of this Kubernetes version."),
        click.option("--strict", is_flag=True, help="Exit with 1 if there are findings of severity error."),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


@main.command()
@_takes_dumps
@click.option("--frame", type=click.Choice(_FRAMES), default="limits", show_default=True, help="The frame CSV holds.")
def report(
    *, dumps: tuple[str, ...], layout: str, output: Path | None, kube_version: str | None, strict: bool, frame: str
) -> None:
    """Tell everything: configuration, limits, utilization, usage, findings.

    DUMP is what `kubectl get nodes,pods,services,... -A -o json` wrote: a file, plain or .gz, a folder of such files,
    or - for standard input.
    """
    with named_errors():
        answer = _read("report", dumps, kube_version)
        _write(answer, layout=layout, output=output, frame=frame)
    _exit(answer, strict=strict)


@main.command()
@_takes_dumps
def limits(*, dumps: tuple[str, ...], layout: str, output: Path | None, kube_version: str | None, strict: bool) -> None:
    """Tell what runs out first, per pool and family, and why.

    DUMP is what `kubectl get nodes,pods,services,... -A -o json` wrote: a file, plain or .gz, a folder of such files,
    or - for standard input.
    """
    with named_errors():
        answer = _read("limits", dumps, kube_version)
        _write(answer, layout=layout, output=output, frame="limits")
    _exit(answer, strict=strict)


@main.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("dsmodel-demo"),
    show_default=True, help="Folder for the page and the picture.",
)  # fmt: skip
def demo(output: Path) -> None:
    """Read a packaged dump of a real cluster, tell its limits, and write a page with a picture."""
    with named_errors():
        from dsmodel.io.samples import sample_path

        answer = _read("report", (str(sample_path(_DEMO_DUMP)),), None)
        found = answer.frames["findings"]
        # where the package is installed is no part of the answer
        found = found.assign(file=[Path(file).name for file in found["file"]])
        answer = answer._replace(frames={**answer.frames, "findings": found})
        click.echo(f"Packaged dump {answer.sources[0]}\n", color=colour())
        click.echo(_limits_text(answer, width=width_of_terminal()), color=colour())
        for path in _write_page(answer, output / "report.html"):
            click.echo(f"wrote {path}")


def _read(question: str, dumps: tuple[str, ...], kube_version: str | None) -> _Answer:
    """Read the dumps as one cluster and ask the reports."""
    from dsmodel import reports

    cluster = cluster_of(dumps, kube_version)
    frames = {name: getattr(reports, name)(cluster) for name in _ASKED[question]}
    return _Answer(named_places(dumps), reports.summary(cluster), frames)


def _exit(answer: _Answer, *, strict: bool) -> None:
    """End with 1 where the caller wants errors in the cluster to fail a build."""
    if strict and answer.frames["findings"]["severity"].isin(("fatal", "error")).any():
        sys.exit(1)


def _write(answer: _Answer, *, layout: str, output: Path | None, frame: str) -> None:
    """Bring the answer into its form and to its place."""
    folder = output is not None and (output.is_dir() or not output.suffix)
    if output is not None and layout == "html":
        tell(_write_page(answer, output / "report.html" if folder else output))
    elif output is not None and layout == "csv" and folder:
        tell(save(output / f"{name}.csv", csv_text(table)) for name, table in answer.frames.items())
    elif output is not None:
        suffix = "txt" if layout == "text" else layout
        text = _rendered(answer, layout=layout, frame=frame, width=100)
        tell([save(output / f"report.{suffix}" if folder else output, click.unstyle(text))])
    else:
        text = _rendered(answer, layout=layout, frame=frame, width=width_of_terminal())
        click.echo(text, nl=False, color=colour())


def _rendered(answer: _Answer, *, layout: str, frame: str, width: int) -> str:
    """Give the answer as text ending in a newline."""
    if layout == "json":
        return _json(answer)
    if layout == "csv":
        return csv_text(answer.frames[frame])
    if layout == "html":
        return _page(answer, picture=None)
    if "usage" in answer.frames:
        return _report_text(answer, width=width) + "\n"
    return _limits_text(answer, width=width) + "\n"


def _limits_text(answer: _Answer, *, width: int) -> str:
    """Give summary and limits, and say how many findings there are."""
    from dsmodel.reports import tables

    found = answer.frames["findings"]
    errors = int(found["severity"].isin(("fatal", "error")).sum())
    mark = lambda line: click.style(line, fg="red", bold=True)  # noqa: E731 - names what is done to one line
    parts = [
        filled(answer.summary, width=width),
        tables.limits(answer.frames["limits"], width=width, emphasise=mark),
        f"Findings: {len(found):,}, of severity error {errors:,}; `dsmodel report` lists them." if len(found) else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _report_text(answer: _Answer, *, width: int) -> str:
    """Give every frame under its title."""
    from dsmodel.reports import tables

    frames = answer.frames
    mark = lambda line: click.style(line, fg="red", bold=True)  # noqa: E731 - names what is done to one line
    sections = {
        "Configuration": tables.configuration(frames["configuration"], width=width),
        "Limits": tables.limits(frames["limits"], width=width, emphasise=mark),
        "Utilization": tables.utilization(frames["utilization"], width=width),
        "Usage by namespace": tables.usage(frames["usage"], width=width),
        "Findings": tables.findings(frames["findings"], width=width),
    }
    titled = (f"{click.style(title, bold=True)}\n{'-' * len(title)}\n{text}" for title, text in sections.items())
    return "\n\n".join([filled(answer.summary, width=width), *titled])


def _json(answer: _Answer) -> str:
    """Give the frames as records in one object; what is missing or endless is null."""
    document = {
        "schema": JSON_SCHEMA,
        "version": __version__,
        "sources": answer.sources,
        "summary": answer.summary,
        **{name: records(frame) for name, frame in answer.frames.items()},
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _page(answer: _Answer, *, picture: str | None) -> str:
    """Give the HTML page with the picture linked or, without a link, inside the page."""
    from dsmodel import plots
    from dsmodel.reports import page

    if picture is None:
        buffer = io.BytesIO()
        plots.save(answer.frames["limits"], buffer)
        picture = page.embedded(buffer.getvalue())
    return page.render(
        answer.frames,
        title=f"dsmodel report: {', '.join(answer.sources)}",
        summary=answer.summary,
        version=__version__,
        picture=picture,
        alt=plots.alt_text(answer.frames["limits"]),
    )


def _write_page(answer: _Answer, path: Path) -> list[Path]:
    """Write the page, and beside it the picture: limits.png, or named after a page of another name."""
    from dsmodel import plots

    picture = path.with_name("limits.png" if path.stem == "report" else f"{path.stem}-limits.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    plots.save(answer.frames["limits"], picture)
    return [save(path, _page(answer, picture=picture.name)), picture]
