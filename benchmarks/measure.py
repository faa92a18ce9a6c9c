"""Race own code against named peers, honestly: same data, equal results first, interleaved, CPU time, minima."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Race", "Row", "race"]


@dataclass(frozen=True)
class Row:
    """One line of the table: what was done, what it cost, what it was measured against, and the goals.

    ``own_ns`` and the values of ``peers`` are CPU nanoseconds per item; ``goals`` maps a peer's name to the least ratio
    peer / own. ``limits`` maps a quantity (``"own ns"``, or any key of ``quantities``) to the most it may be.
    """

    name: str
    size: str
    own_ns: float
    peers: Mapping[str, float] = field(default_factory=dict)
    goals: Mapping[str, float] = field(default_factory=dict)
    quantities: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Race:
    """CPU nanoseconds per item: minimum over the rounds, by runner."""

    own_ns: float
    peers: dict[str, float]


def race(
    own: Callable[..., Any],
    peers: Mapping[str, Callable[..., Any]],
    *,
    items: int,
    prepare: Callable[[], Any] | Mapping[str, Callable[[], Any]] | None = None,
    rounds: int = 5,
    equal: Callable[[Any, Any], bool] | None = None,
    peer_items: Mapping[str, int] | None = None,
) -> Race:
    """Time ``own`` and each peer in turn, ``rounds`` times, and keep each one's minimum.

    ``prepare`` makes fresh state outside the timed part; its value is the runner's only argument (no argument when
    it is not given). One callable serves all; a mapping names one per runner, own under ``"own"``. Before any timing
    every peer's result must equal ours: by ``equal(ours, theirs)``, or by comparing arrays and values; ``None`` from a
    peer means there is nothing to compare. A peer too slow for the whole size may do ``peer_items[name]`` items.
    """
    runners = {"own": own, **peers}
    expected = _once(own, _fresh(prepare, "own"))[0]
    for name, peer in peers.items():
        got = _once(peer, _fresh(prepare, name))[0]
        if got is not None and not (equal or _same)(expected, got):
            raise AssertionError(f"{name}: its result differs from ours; a race of different work says nothing")
    best = dict.fromkeys(runners, float("inf"))
    for _ in range(rounds):
        for name, runner in runners.items():
            best[name] = min(best[name], _once(runner, _fresh(prepare, name))[1])
    count = {name: (peer_items or {}).get(name, items) for name in runners}
    ns = {name: best[name] / count[name] for name in runners}
    return Race(ns.pop("own"), ns)


def _fresh(prepare: Any, name: str) -> tuple[Any, ...]:
    """Return the arguments of a runner."""
    make = prepare.get(name) if isinstance(prepare, dict) else prepare
    return () if make is None else (make(),)


def _once(runner: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, int]:
    """Return one result and the CPU nanoseconds it took."""
    gc.collect()
    before = time.process_time_ns()
    result = runner(*arguments)
    return result, time.process_time_ns() - before


def _same(ours: Any, theirs: Any) -> bool:
    """Tell whether two results are equal, as arrays when one of them is."""
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, np.ndarray) or isinstance(theirs, np.ndarray):
        return np.array_equal(np.asarray(ours), np.asarray(theirs))
    return bool(ours == theirs)
