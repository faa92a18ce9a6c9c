"""Servers on loopback for tests that look at pages: started, waited for, and ended by their process id."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(command: Callable[[int], list[str]], address: str, folder: Path) -> Iterator[str]:
    """Start a server, wait until it answers, end it by its process id."""
    port = free_port()
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "run"),
    }
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command(port), env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            url = address.format(port=port)
            deadline = time.monotonic() + 60
            while True:
                try:
                    urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - loopback, written above
                    break
                except OSError as error:
                    if server.poll() is not None or time.monotonic() > deadline:
                        raise AssertionError((folder / "server.log").read_text()) from error
                    time.sleep(0.2)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=30)


def dashboard(dump: Path | None) -> Callable[[int], list[str]]:
    named = [str(dump)] if dump else []
    return lambda port: [sys.executable, "-m", "dsmodel", "explore", *named, f"--port={port}", "--no-browser"]
