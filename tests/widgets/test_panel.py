"""Long work: it leaves the loop free, says how far it is, and stops when told; without a loop it runs through.

Time is what the work says it took: a machine that is busy with something else changes nothing here.
"""

import asyncio
from collections.abc import Callable, Generator

import ipywidgets
import pandas as pd
import pytest

from dsmodel.widgets import panel
from dsmodel.widgets.panel import Answer, Control, Explorer, Trouble

STEPS, SECONDS = 40, 0.2  # of the longest work, and of each of its steps


class Counting(Explorer):
    """Counts to what its control says, slowly by its own clock."""

    def __init__(self, *, slow: bool = False) -> None:
        self.closed, self.seconds = 0, 0.0
        to = Control(ipywidgets.IntSlider(value=0, min=-1, max=STEPS), "to", "steps")
        super().__init__("How far?", {"to": to}, cluster=None, slow=slow)

    def _now(self) -> float:
        return self.seconds

    def work(self) -> Generator[float, None, Answer]:
        to = self.controls["to"].value
        if to < 0:
            yield 0.0
            raise Trouble("to", "is below nothing")
        try:
            for step in range(to):
                self.seconds += SECONDS
                yield step / to
        except GeneratorExit:
            self.closed += 1
            raise
        return Answer(pd.DataFrame({"to": [to]}), f"<p>{to}</p>")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loop's own timers end at its next round: what comes first is decided by order alone."""
    monkeypatch.setattr(panel, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(panel, "SETTLE_SECONDS", 0.0)


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop go round until something holds; no test of these needs as many rounds as that."""
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to hold")


async def rounds(n: int = 100) -> None:
    """Let the loop go round."""
    for _ in range(n):
        await asyncio.sleep(0)


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
        held = int(panel.PATIENCE_SECONDS / SECONDS) + 1
        assert explorer._bar.value == (held - 1) / STEPS  # what the kernel was held for
        seen: list[float] = []
        await until(lambda: is_busy(explorer))
        while counted(explorer) == 0:
            seen.append(explorer._bar.value)
            await rounds(1)
        assert sorted(set(seen)) == [step / STEPS for step in range(held, STEPS)]  # every step, one a slice
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
        await rounds()
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
