"""How far long work is: one bar, shown only where somebody watches and only for what takes its time.

Promises: nothing is written when the work is quick, or when standard error is neither a terminal nor a notebook; the
bar leaves nothing behind; ``TQDM_DISABLE=1`` turns it off everywhere.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

__all__ = ["finished", "progress"]

PATIENCE_SECONDS = 2.0  # work that takes less shows no bar
_WHOLE = 100  # per cent
_Found = TypeVar("_Found")


@contextmanager
def progress(
    what: str, *, total: int | None, initial: int = 0, unit: str = "it", wanted: bool = True
) -> Iterator[Callable[[int], object]]:
    """Show how far work is.

    Parameters
    ----------
    what : str
        A participle: "reading".
    total : int or None
        Of units; None where it is not known.
    initial : int, default 0
        Units that were done before.
    unit : str, default "it"
        "B" counts in powers of 1000.
    wanted : bool, default True
        False shows nothing.

    Yields
    ------
    callable
        Takes the number of units that are done since the last call.

    Raises
    ------
    None
        What the work raises passes through.

    Examples
    --------
    >>> with progress("counting", total=3) as advance:
    ...     for _ in range(3):
    ...         _ = advance(1)
    """
    watched = "ipykernel" in sys.modules or sys.stderr.isatty()
    if not wanted or not watched or os.environ.get("TQDM_DISABLE"):
        yield int
        return
    from tqdm.auto import tqdm

    scale: dict[str, Any] = {"unit": unit, "unit_scale": unit == "B"}
    with tqdm(total=total, initial=initial, desc=what, delay=PATIENCE_SECONDS, leave=False, **scale) as bar:
        yield bar.update


def finished(what: str, steps: Generator[float, None, _Found], *, wanted: bool = True) -> _Found:
    """Work through steps that tell how far they are.

    Parameters
    ----------
    what : str
        A participle: "forecasting".
    steps : generator of float
        Yields the share that is done, 0 to 1; between two of them whoever drives it may stop.
    wanted : bool, default True
        False shows nothing.

    Returns
    -------
    object
        What the steps return at their end.

    Raises
    ------
    None
        What the work raises passes through.

    Examples
    --------
    >>> def steps():
    ...     yield 0.5
    ...     return "done"
    >>> finished("counting", steps())
    'done'
    """
    with progress(what, total=_WHOLE, unit="%", wanted=wanted) as advance:
        shown = 0
        while True:
            try:
                now = int(next(steps) * _WHOLE)
            except StopIteration as done:
                found: _Found = done.value
                return found
            if now > shown:
                advance(now - shown)
                shown = now
