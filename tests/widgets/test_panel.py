"""Long work: it leaves the loop free, says how far it is, and stops when told; without a loop it runs through."""

import asyncio
import time
from collections.abc import Generator

import ipywidgets
import pandas as pd
import pytest

from dsmodel.widgets import panel
from dsmodel.widgets.panel import Answer, Control, Explorer, Trouble

STEPS = 40


class Counting(Explorer):
    """Counts to what its control says, slowly."""

    def __init__(self, *, slow: bool = False) -> None:
        self.closed = 0
        to = Control(ipywidgets.IntSlider(value=0, min=-1, max=STEPS), "to")
        super().__init__("How far?", {"to": to}, cluster=None, slow=slow)

    def work(self) -> Generator[float, None, Answer]:
        to = self.controls["to"].value
        if to < 0:
            yield 0.0
            raise Trouble("to", "is below nothing")
        try:
            for step in range(to):
                time.sleep(0.002)
                yield step / to
        except GeneratorExit:
            self.closed += 1
            raise
        return Answer(pd.DataFrame({"to": [to]}), f"<p>{to}</p>")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "PATIENCE_SECONDS", 0.004)
    monkeypatch.setattr(panel, "_SLICE_SECONDS", 0.004)
    monkeypatch.setattr(panel, "SETTLE_SECONDS", 0.01)


async def until(holds, seconds: float = 10.0) -> None:
    """Let the loop go on until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def counted(explorer: Explorer) -> int:
    return int(explorer.frame["to"].iloc[0])


def is_busy(explorer: Explorer) -> bool:
    return explorer._busy.layout.display != "none"


def test_without_a_loop_it_runs_through() -> None:
    explorer = Counting()
    explorer.controls["to"].value = STEPS
    assert counted(explorer) == STEPS
    assert not is_busy(explorer)


def test_on_a_loop_it_goes_on_beside_it_and_says_how_far_it_is() -> None:
    async def main() -> None:
        explorer = Counting()
        explorer.controls["to"].value = STEPS
        assert counted(explorer) == 0
        seen = set()
        await until(lambda: seen.add((is_busy(explorer), explorer._bar.value)) or counted(explorer) == STEPS)
        shares = sorted(share for busy, share in seen if busy)
        assert len(shares) > 3
        assert shares[-1] > 0.5
        await until(lambda: not is_busy(explorer))

    asyncio.run(main())


def test_quick_work_on_a_loop_is_done_at_once() -> None:
    async def main() -> None:
        explorer = Counting()
        explorer.controls["to"].value = 1
        assert counted(explorer) == 1
        assert not is_busy(explorer)

    asyncio.run(main())


def test_cancelling_keeps_the_last_answer() -> None:
    async def main() -> None:
        explorer = Counting()
        explorer.controls["to"].value = 1
        explorer.controls["to"].value = STEPS
        await until(lambda: is_busy(explorer))
        explorer._busy.children[1].click()
        assert not is_busy(explorer)
        await until(lambda: explorer.closed == 1)
        await asyncio.sleep(0.05)
        assert counted(explorer) == 1
        assert "Cancelled" in explorer._state.value
        explorer.controls["to"].value = 2
        await until(lambda: counted(explorer) == 2)
        assert explorer._state.value == ""

    asyncio.run(main())


def test_a_control_that_moves_again_starts_over() -> None:
    async def main() -> None:
        explorer = Counting()
        explorer.controls["to"].value = STEPS
        await until(lambda: is_busy(explorer))
        explorer.controls["to"].value = STEPS - 1
        await until(lambda: counted(explorer) == STEPS - 1)
        await until(lambda: not is_busy(explorer))
        assert explorer.closed == 1

    asyncio.run(main())


def test_trouble_on_the_way_stands_beside_its_control() -> None:
    async def main() -> None:
        explorer = Counting(slow=True)
        explorer.controls["to"].value = -1
        assert "working" in explorer._state.value
        await until(lambda: "below nothing" in explorer._messages["to"].value)
        assert not is_busy(explorer)

    asyncio.run(main())


def test_a_slow_explorer_waits_until_its_controls_are_still() -> None:
    async def main() -> None:
        explorer = Counting(slow=True)
        for to in range(1, 6):
            explorer.controls["to"].value = to
        assert counted(explorer) == 0
        await until(lambda: counted(explorer) == 5)

    asyncio.run(main())


def test_refresh_answers_now_even_on_a_loop() -> None:
    async def main() -> None:
        explorer = Counting()
        explorer.controls["to"].value = STEPS
        explorer.refresh()
        assert counted(explorer) == STEPS
        assert not is_busy(explorer)

    asyncio.run(main())


def test_cancelling_nothing_changes_nothing() -> None:
    explorer = Counting()
    explorer.cancel()
    assert explorer._state.value == ""
