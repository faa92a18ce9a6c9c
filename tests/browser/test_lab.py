"""The dashboard's notebook in JupyterLab: run as a user runs it, a control moved, the answer read from the page."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_servers import serving

READY, ANSWERED = 90_000, 20_000  # milliseconds a busy machine may take
NOTEBOOK = Path(__file__).parents[2] / "dsmodel" / "data" / "explore.ipynb"
NEWS = "@jupyterlab/apputils-extension:announcements"
TOKEN = "on-loopback-only"  # noqa: S105 - of a server that this test starts and ends


def lab(folder: Path):
    options = ("--no-browser", "--ip=127.0.0.1", "--allow-root", f"--IdentityProvider.token={TOKEN}")
    return lambda port: [sys.executable, "-m", "jupyterlab", *options, f"--port={port}", f"--notebook-dir={folder}"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(NOTEBOOK, folder / "explore.ipynb")
    settings = folder / "config" / "labconfig" / "page_config.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"disabledExtensions": {NEWS: True}}))  # it asks whether to, whatever its URL
    where = f"http://127.0.0.1:{{port}}/lab/tree/explore.ipynb?token={TOKEN}"
    with serving(lab(folder), where, folder) as url:
        yield url


def test_the_notebook_runs_and_answers(page) -> None:
    page.set_default_timeout(READY)
    page.get_by_text("| Idle").wait_for()
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    heading = page.get_by_role("heading", name="What runs out first?")
    heading.wait_for()
    panel = page.locator(".widget-vbox", has=heading).last
    row = panel.locator(".widget-hbox", has=page.get_by_text("cluster CIDR IPv4", exact=True)).first
    field = row.locator("input").first
    field.fill("10.64.0.0/20")
    field.press("Enter")
    panel.get_by_text("--cluster-cidr 10.64.0.0/20").first.wait_for(timeout=ANSWERED)
    assert page.locator(".Toastify__toast").count() == 0  # no news, nothing to close before the answer is read
