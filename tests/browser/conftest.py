"""A headless browser whose console must stay clean, and that reaches nothing but this machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
# what the browser may say that is none of ours: Voila's own bundles name versions of JupyterLab they were built with
VOILAS_OWN = ("Unsatisfied version", "No satisfying version", "Starting WebSocket")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = pytest.mark.skip(reason="no chromium on this machine: the explorers were not driven in a browser")
    for item in items:
        if BROWSER is None and Path(item.path).parent == Path(__file__).parent:
            item.add_marker(missing)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(FLAGS))
        yield browser
        browser.close()


class Visit:
    """A page that is looked at by several tests, and what it said and fetched since the last of them."""

    def __init__(self, browser: Any) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 1100})
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("requestfailed", lambda failed: self.said.append(f"failed: {failed.url}"))
        self.page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        """Keep what would be fetched from elsewhere."""
        if urlsplit(url).hostname not in {"127.0.0.1", None}:
            self.said.append(f"outside: {url}")

    def keep(self, name: str) -> None:
        """Keep a picture of the page."""
        folder = ROOT / "out" / "browser"
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(folder / f"{name}.png"), full_page=True)

    def check(self) -> None:
        """Hold that nothing went wrong and nothing was asked of another machine."""
        ours = [line for line in self.said if not any(word in line for word in VOILAS_OWN)]
        self.said.clear()
        assert [line for line in ours if line.startswith(("error", "failed", "outside"))] == []


@pytest.fixture(scope="module")
def visit(chromium: Any, address: str) -> Iterator[Visit]:
    """One page for the tests of a module: opened once, its tabs are the tests' own."""
    visit = Visit(chromium)
    visit.page.goto(address)
    yield visit
    visit.page.close()


@pytest.fixture
def page(visit: Visit, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page; its last picture is kept and its console must stay clean."""
    yield visit.page
    visit.keep(request.node.name)
    visit.check()
