"""A headless browser whose console must stay clean."""

import shutil
from collections.abc import Iterator
from pathlib import Path

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
def chromium() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: object, request: pytest.FixtureRequest) -> Iterator[object]:
    """A page whose console must stay clean; its last picture is kept."""
    page = chromium.new_page(viewport={"width": 1280, "height": 1100})
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("requestfailed", lambda failed: said.append(f"failed: {failed.url}"))
    yield page
    folder = ROOT / "out" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(folder / f"{request.node.name}.png"), full_page=True)
    page.close()
    ours = [line for line in said if not any(word in line for word in VOILAS_OWN)]
    assert [line for line in ours if line.startswith(("error", "failed"))] == []
