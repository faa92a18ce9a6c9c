"""Run a plan on every scenario of a grid.

Promises one frame whatever computes it, failures as rows, and that nothing computed is lost when the run is stopped.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from dsmodel.errors import InvalidInput
from dsmodel.planning.sweeps.engines import computed
from dsmodel.planning.sweeps.grids import generator_of, scenarios_of
from dsmodel.planning.sweeps.shelves import KEY, Shelf
from dsmodel.progress import progress

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    import numpy as np

    from dsmodel.planning.sweeps.engines import Engine
    from dsmodel.planning.sweeps.grids import Grid, Scenarios

__all__ = ["Plan", "SweepInterrupted", "sweep"]

Plan: TypeAlias = "Callable[[Mapping[str, Any], np.random.Generator], Mapping[str, Any] | pd.DataFrame]"

_ENTROPY = 20260101  # of a sweep without a generator
_KEEP_SECONDS = 2.0  # at most so much is computed again after a stop


class SweepInterrupted(KeyboardInterrupt):
    """A sweep was stopped; what it computed is here.

    Parameters
    ----------
    message : str
        How far it was, and where that is kept.
    frame : pandas.DataFrame
        The rows that were done, as `sweep` returns them.
    """

    def __init__(self, message: str, frame: pd.DataFrame) -> None:
        self.frame = frame
        super().__init__(message)


@dataclass(frozen=True)
class _Work:
    """What a worker needs: it computes one scenario and never raises."""

    plan: Plan
    scenarios: Scenarios
    entropy: int

    def __call__(self, place: int) -> tuple[int, pd.DataFrame]:
        """Answer one scenario; what goes wrong in it is a row."""
        row, key = self.scenarios.rows[place], self.scenarios.keys[place]
        try:
            answer = self.plan(dict(row), generator_of(key, self.entropy))
            frame = answer.copy() if isinstance(answer, pd.DataFrame) else pd.DataFrame([dict(answer)])
            _check_columns(frame, self.scenarios.names)
            frame["error"] = ""
        except Exception as error:  # noqa: BLE001 - whatever a plan does wrong belongs to its row
            frame = pd.DataFrame({"error": [f"{type(error).__name__}: {error}"]})
        parameters = {name: [row[name]] * len(frame) for name in self.scenarios.names}
        return place, pd.concat([pd.DataFrame(parameters, index=frame.index), frame], axis=1)


def sweep(
    plan: Plan,
    grid: Grid,
    *,
    rng: np.random.Generator | None = None,
    engine: Engine = "serial",
    workers: int | None = None,
    resume: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Run a plan on every scenario of a grid.

    Parameters
    ----------
    plan : callable
        Takes the parameters of one scenario and its own generator of random numbers; gives a mapping (one row) or a
        frame. For engines with processes it must be something that ``cloudpickle`` writes. `GrowthPlan` is one.
    grid : mapping of str to sequence, DataFrame, or sequence of mapping
        Every combination of the values, or one scenario a row.
    rng : numpy.random.Generator, optional
        Its seed sequence decides, with the parameters, what is random in each scenario; it is not advanced.
    engine : "serial", "joblib", "dask" or distributed.Client
        Who computes; the answer is the same.
    workers : int, optional
        Processes of joblib or Dask; one a core if left out.
    resume : path, optional
        A folder where answers are kept as they come; a sweep that finds some there does not compute them again, but
        tries again what failed.

    Returns
    -------
    pandas.DataFrame
        The parameters, what the plan answers, and ``error`` (empty, or why the scenario has no answer); in the order of
        the grid.

    Raises
    ------
    InvalidInput
        The grid, the engine or the number of workers means nothing, or the folder belongs to another sweep.
    MissingDependency
        The engine is not installed.
    SweepInterrupted
        The run was stopped; its ``frame`` has what was done.

    Examples
    --------
    >>> def plan(scenario, rng):
    ...     return {"blocks": 2 ** (scenario["mask"] - scenario["prefix"])}
    >>> sweep(plan, {"prefix": [16, 20], "mask": [24]})
       prefix  mask  blocks error
    0      16    24     256
    1      20    24      16
    """
    scenarios = scenarios_of(grid)
    entropy = _entropy(rng)
    shelf = None
    if resume is not None:
        shelf = Shelf(Path(resume), {"entropy": str(entropy), "parameters": list(scenarios.names)})
    done = _kept(shelf, scenarios)
    missing = [place for place in range(len(scenarios)) if place not in done]
    work, fresh, since = _Work(plan, scenarios, entropy), dict[int, pd.DataFrame](), time.monotonic()
    answers = computed(work, missing, engine=engine, workers=workers)
    try:
        with progress("sweeping", total=len(scenarios), initial=len(done)) as advance:
            for place, frame in answers:
                done[place] = fresh[place] = frame
                advance(1)
                if shelf is not None and time.monotonic() - since > _KEEP_SECONDS:
                    _keep(shelf, scenarios, fresh)
                    fresh, since = {}, time.monotonic()
    except KeyboardInterrupt:
        where = f"; kept in {resume}" if shelf is not None else "; name a folder with resume= to keep them"
        message = f"{len(done):,} of {len(scenarios):,} scenarios were done{where}"
        raise SweepInterrupted(message, _joined(done, scenarios)) from None
    finally:
        _keep(shelf, scenarios, fresh)
        if hasattr(answers, "close"):
            answers.close()
    return _joined(done, scenarios)


def _entropy(rng: np.random.Generator | None) -> int:
    """Return what the sweep's random numbers grow from."""
    if rng is None:
        return _ENTROPY
    sequence = getattr(rng.bit_generator, "seed_seq", None)
    entropy = getattr(sequence, "entropy", None)
    if entropy is None:
        raise InvalidInput("rng: a generator without a seed sequence; make one with numpy.random.default_rng(seed)")
    words = [entropy] if isinstance(entropy, int) else [int(word) for word in entropy]
    words += [int(word) + 1 for word in getattr(sequence, "spawn_key", ())]
    return sum(word << (64 * place) for place, word in enumerate(words))


def _check_columns(frame: pd.DataFrame, names: tuple[str, ...]) -> None:
    """Refuse an answer that hides a parameter."""
    hidden = [str(name) for name in frame.columns if name in {*names, KEY, "error"}]
    if hidden:
        raise InvalidInput(f"the plan answers with {', '.join(hidden)}, which the sweep itself names; choose another")


def _kept(shelf: Shelf | None, scenarios: Scenarios) -> dict[int, pd.DataFrame]:
    """Return what an earlier run has answered."""
    places = {key: place for place, key in enumerate(scenarios.keys)}
    done = {}
    for part in shelf.read() if shelf is not None else ():
        for key, rows in part[part[KEY].isin(places)].groupby(KEY, sort=False):
            done[places[str(key)]] = rows.drop(columns=KEY).reset_index(drop=True)
    return done


def _keep(shelf: Shelf | None, scenarios: Scenarios, fresh: Mapping[int, pd.DataFrame]) -> None:
    """Put new answers on the shelf; a failure is none, so that it is tried again."""
    if shelf is None:
        return
    alike: dict[tuple[Any, ...], list[pd.DataFrame]] = {}
    for place, frame in fresh.items():
        if not frame["error"].any():
            shape = (*frame.columns, *map(str, frame.dtypes))  # a part keeps the types of its rows
            alike.setdefault(shape, []).append(frame.assign(**{KEY: scenarios.keys[place]}))
    for frames in alike.values():
        shelf.keep(pd.concat(frames, ignore_index=True))


def _joined(done: Mapping[int, pd.DataFrame], scenarios: Scenarios) -> pd.DataFrame:
    """Lay answers under each other in the order of the grid."""
    frames = [done[place] for place in sorted(done)]
    if not frames:
        return pd.DataFrame(columns=[*scenarios.names, "error"])
    frame = pd.concat(frames, ignore_index=True)
    answers = [name for name in frame.columns if name not in {*scenarios.names, "error"}]
    return frame[[*scenarios.names, *answers, "error"]]
