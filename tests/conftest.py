"""What every test shares: hypothesis searches anew on a developer's machine, and repeats itself in CI."""

import os

import pytest
from hypothesis import settings

settings.register_profile("developer", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


@pytest.fixture(autouse=True)
def _one_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let texts for a terminal be as wide everywhere; workers of a parallel run have no terminal of their own."""
    monkeypatch.setenv("COLUMNS", "100")
