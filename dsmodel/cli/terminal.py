"""What every command shares: the group, exit codes, the forms of an answer, the terminal.

Promises: what cannot be read is named in one line, never a traceback; nothing is written but what ``--output`` names;
JSON carries the version of its form. Heavy libraries load when a command needs them, so ``--help`` is quick.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dsmodel import __version__
from dsmodel.errors import DsmodelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from dsmodel.cluster.state import Cluster

__all__ = [
    "JSON_SCHEMA",
    "Unusable",
    "cluster_of",
    "colour",
    "csv_text",
    "filled",
    "main",
    "named_errors",
    "named_places",
    "records",
    "save",
    "tell",
    "width_of_terminal",
]

JSON_SCHEMA = 1  # grows when a key of the JSON form changes its meaning or goes away


class Unusable(click.ClickException):
    """The call or the dump is not usable; click prints the message and ends with this code."""

    exit_code = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="dsmodel")
def main() -> None:
    """Say what runs out first in an IPv4/IPv6 dual-stack Kubernetes cluster, and why.

    Exit codes: 0 answered; 1 answered, and admit met a refusal or --strict findings of severity error; 2 unusable call
    or dump.
    """


@contextmanager
def named_errors() -> Iterator[None]:
    """Turn what a user can mend into one line and exit code 2; end quietly when nobody reads on.

    Yields
    ------
    None
        The commands run inside.

    Raises
    ------
    Unusable
        In place of an error of this package, or of the operating system.
    """
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (DsmodelError, OSError) as error:
        raise Unusable(" ".join(str(error).split()) or type(error).__name__) from error


def tell(paths: Iterable[Path]) -> None:
    """Say on standard error what was written, so that standard output stays the answer's own.

    Parameters
    ----------
    paths : iterable of Path
        What was written.

    Raises
    ------
    None
        Nothing is opened.
    """
    for path in paths:
        click.echo(f"wrote {path}", err=True)


def filled(text: str, *, width: int) -> str:
    """Break prose at the width, addresses and flags left whole.

    Parameters
    ----------
    text : str
        One paragraph.
    width : int
        Characters a line may take.

    Returns
    -------
    str
        Lines joined by newlines.

    Raises
    ------
    None
        Every text has lines.
    """
    import textwrap

    return textwrap.fill(text, width, break_on_hyphens=False, break_long_words=False)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn rows into plain values.

    Parameters
    ----------
    frame : pandas.DataFrame
        Any frame.

    Returns
    -------
    list of dict
        One a row; what is missing or endless is None.

    Raises
    ------
    None
        Every frame has rows.
    """
    plain = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [
        {str(key): None if isinstance(value, float) and math.isinf(value) else value for key, value in row.items()}
        for row in plain
    ]


def csv_text(frame: pd.DataFrame) -> str:
    """Give one frame as comma-separated values.

    Parameters
    ----------
    frame : pandas.DataFrame
        Any frame.

    Returns
    -------
    str
        With a line of titles.

    Raises
    ------
    None
        Every frame can be written.
    """
    return frame.to_csv(index=False, lineterminator="\n")


def save(path: Path, text: str) -> Path:
    """Write a file and the folders above it.

    Parameters
    ----------
    path : Path
        Where to.
    text : str
        What.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    OSError
        It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def width_of_terminal() -> int:
    """Give the terminal's width, kept where tables read well.

    Returns
    -------
    int
        80 to 120 characters.

    Raises
    ------
    None
        Without a terminal it is 100.
    """
    return min(max(shutil.get_terminal_size((100, 24)).columns, 80), 120)


def colour() -> bool | None:
    """Let click decide by the terminal, unless NO_COLOR is set.

    Returns
    -------
    bool or None
        What ``click.echo`` takes.

    Raises
    ------
    None
        There is always an answer.
    """
    return False if os.environ.get("NO_COLOR") else None


def named_places(places: tuple[str, ...]) -> tuple[str, ...]:
    """Name sources without where they lie.

    Parameters
    ----------
    places : tuple of str
        As on the command line.

    Returns
    -------
    tuple of str
        File names; standard input in words.

    Raises
    ------
    None
        Every place has a name.
    """
    return tuple("standard input" if place == "-" else Path(place).name or place for place in places)


def cluster_of(dumps: tuple[str, ...], kube_version: str | None) -> Cluster:
    """Read dumps as one cluster.

    Parameters
    ----------
    dumps : tuple of str
        As on the command line.
    kube_version : str or None
        Read as of this version.

    Returns
    -------
    Cluster
        What they show.

    Raises
    ------
    InvalidDump
        One cannot be read.
    """
    from dsmodel.io.kubectl import read_cluster
    from dsmodel.kube.config import ClusterConfig

    config = None if kube_version is None else ClusterConfig.of(kube_version=kube_version)
    return read_cluster(dumps, config=config)
