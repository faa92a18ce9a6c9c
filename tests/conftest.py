"""What every test shares: hypothesis searches anew on a developer's machine, and repeats itself in CI."""

import asyncio
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

BROWSER = Path(__file__).parent / "browser"

settings.register_profile("developer", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


@pytest.fixture(autouse=True)
def _one_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let texts for a terminal be as wide everywhere; workers of a parallel run have no terminal of their own."""
    monkeypatch.setenv("COLUMNS", "100")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Let no other test take the loop that Playwright leaves running between a browser's tests for a notebook's."""
    if BROWSER in item.path.parents:
        return (yield)
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return (yield)
    finally:
        asyncio._set_running_loop(loop)
