"""One bar for all long work: shown where somebody watches, silent everywhere else."""

import io
import sys

import pytest

from dsmodel import progress as module
from dsmodel.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # the plugin that tests notebooks loads it


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Watch from now on; a fixture would come before pytest's own capture and lose to it."""
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    return screen


def work(**options: object) -> None:
    with progress("counting", total=3, **options) as advance:
        for _ in range(3):
            advance(1)


def test_shows_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    work()
    assert "counting" in screen.getvalue()


def test_is_silent_when_not_wanted_or_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    work(wanted=False)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    work()
    assert screen.getvalue() == ""


def test_is_silent_for_quick_work(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 60.0)
    work()
    assert "counting" not in screen.getvalue()


def test_is_silent_where_nobody_watches(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    work()
    assert capsys.readouterr() == ("", "")
