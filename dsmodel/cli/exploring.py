"""The command that opens the explorers in a browser.

Promises: the pages are served on this machine's loopback address only; what is shown is what `dsmodel.widgets.explore`
shows in a notebook; interrupting the command ends the server.
"""

from __future__ import annotations

import os
import sys
from importlib import util
from importlib.resources import files
from pathlib import Path

import click

from dsmodel.cli.terminal import cluster_of, main, named_errors
from dsmodel.errors import MissingDependency

__all__ = ["explore", "explored_cluster", "server_command"]

_DATA = Path(str(files("dsmodel") / "data"))
DUMPS = "DSMODEL_DUMPS"  # where the page's kernel finds what was named on the command line, joined as PATH is


@main.command()
@click.argument("dumps", nargs=-1, metavar="[DUMP]...")
@click.option("--port", type=click.IntRange(0, 65535), default=8866, show_default=True, help="0 takes a free one.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page.")
def explore(*, dumps: tuple[str, ...], port: int, browser: bool) -> None:
    """Serve the explorers on loopback: capacity, policy, exhaustion, address map, egress, plan.

    DUMP is what `kubectl get nodes,pods,services,... -A -o json` wrote; without one an example cluster is shown.
    """
    if "-" in dumps:
        raise click.UsageError("the page reads the dump again for each visitor; name a file")
    with named_errors():
        cluster_of(dumps, None) if dumps else None  # a dump that cannot be read is named here, not in the page
        if util.find_spec("voila") is None:
            raise MissingDependency("dsmodel explore needs Voilà: pip install 'dsmodel[explore]'")
        named = os.pathsep.join(str(Path(dump).resolve()) for dump in dumps)
        command = server_command(port=port, browser=browser)
        templates = os.pathsep.join(filter(None, (str(_DATA / "jupyter"), os.environ.get("JUPYTER_PATH"))))
        environment = {**os.environ, DUMPS: named, "JUPYTER_PATH": templates}
        os.execve(command[0], command, environment)  # noqa: S606 - this process becomes the server and ends with it


def server_command(*, port: int, browser: bool) -> list[str]:
    """Return what starts the server.

    Parameters
    ----------
    port : int
        0 for a free one.
    browser : bool
        Whether it opens the page.

    Returns
    -------
    list of str
        Program and arguments.

    Raises
    ------
    None
        Nothing is started.

    Examples
    --------
    >>> server_command(port=8866, browser=False)[-3:]
    ['--Voila.ip=127.0.0.1', '--template=dsmodel', '--no-browser']
    """
    options = [f"--port={port}", "--Voila.ip=127.0.0.1", "--template=dsmodel"]
    command = [sys.executable, "-m", "voila", str(_DATA / "explore.ipynb"), *options]
    return command if browser else [*command, "--no-browser"]


def explored_cluster() -> object:
    """Return the cluster that the page is about.

    Returns
    -------
    Cluster or None
        What the command line named; None for the example.

    Raises
    ------
    InvalidDump
        It cannot be read.
    """
    named = tuple(filter(None, os.environ.get(DUMPS, "").split(os.pathsep)))
    return cluster_of(named, None) if named else None
