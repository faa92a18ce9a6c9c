"""The scenarios of a sweep: their parameters, a name for each, and the random numbers that belong to it.

Promises that a scenario's name depends on its parameters alone, not on its place in the grid, and that its generator
depends on its name and the sweep's own entropy.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput

__all__ = ["Grid", "Scenarios", "generator_of", "scenarios_of"]

Grid: TypeAlias = "Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]] | pd.DataFrame"

_PLAIN = (bool, int, float, str)
_MOST = 1_000_000


@dataclass(frozen=True)
class Scenarios:
    """Parameters of every scenario, in the order of the grid.

    Parameters
    ----------
    names : tuple of str
        Of the parameters.
    rows : tuple of mapping of str to bool, int, float, str or None
        One a scenario, no two alike.
    keys : tuple of str
        A name for each, made of its parameters.
    """

    names: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    keys: tuple[str, ...]

    def __len__(self) -> int:
        """Count them."""
        return len(self.rows)


def scenarios_of(grid: Grid) -> Scenarios:
    """Read a grid.

    Parameters
    ----------
    grid : mapping of str to sequence, DataFrame, or sequence of mapping
        Values of each parameter, every combination of which is a scenario, the last parameter changing fastest; or one
        scenario a row.

    Returns
    -------
    Scenarios
        In the order of the grid.

    Raises
    ------
    InvalidInput
        No scenario, two alike, rows of different parameters, or a value that is no bool, number, text or missing.

    Examples
    --------
    >>> scenarios_of({"mask": [24, 25], "nodes": [10]}).rows
    ({'mask': 24, 'nodes': 10}, {'mask': 25, 'nodes': 10})
    """
    rows = [{name: _plain(name, value) for name, value in row.items()} for row in _listed(grid)]
    if not rows:
        raise InvalidInput("grid: has no scenario; give every parameter one value or more")
    if len(rows) > _MOST:
        raise InvalidInput(f"grid: {len(rows):,} scenarios; a sweep takes {_MOST:,} at most")
    names = tuple(rows[0])
    strange = next((row for row in rows if set(row) != set(names)), None)
    if strange is not None:
        raise InvalidInput(f"grid: one row has {', '.join(names)} and another {', '.join(strange)}; give all the same")
    keys = tuple(_key(row) for row in rows)
    if len(set(keys)) < len(keys):
        twice = next(row for place, row in enumerate(rows) if keys[place] in keys[:place])
        raise InvalidInput(f"grid: {twice} is there twice; a scenario is computed once")
    return Scenarios(names, tuple(rows), keys)


def generator_of(key: str, entropy: int) -> np.random.Generator:
    """Return the random numbers of one scenario.

    Parameters
    ----------
    key : str
        Its name.
    entropy : int
        Of the whole sweep.

    Returns
    -------
    numpy.random.Generator
        The same for the same two, wherever it is made.

    Raises
    ------
    None
        Every scenario has one.

    Examples
    --------
    >>> int(generator_of("ab", 1).integers(1000)) == int(generator_of("ab", 1).integers(1000))
    True
    """
    digest = hashlib.sha256(key.encode()).digest()
    return np.random.default_rng(
        np.random.SeedSequence(entropy, spawn_key=tuple(np.frombuffer(digest, np.uint32).tolist()))
    )


def _listed(grid: Grid) -> list[Mapping[str, Any]]:
    """Return one mapping a scenario."""
    if isinstance(grid, pd.DataFrame):
        return [{str(name): value for name, value in row.items()} for row in grid.to_dict("records")]
    if isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray | pd.Series | range):
                raise InvalidInput(f"grid: {name}={values!r}; give a list of values")
        combinations = itertools.product(*(list(values) for values in grid.values()))
        return [dict(zip(map(str, grid), values, strict=True)) for values in combinations] if grid else []
    return [dict(row) for row in grid]


def _plain(name: str, value: Any) -> Any:
    """Return a value that every engine and file writes the same."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, _PLAIN):
        raise InvalidInput(f"grid: {name}={value!r} is a {type(value).__name__}; take a number, a text, True or False")
    return value


def _key(row: Mapping[str, Any]) -> str:
    """Write the parameters as a name."""
    return json.dumps(dict(sorted(row.items())), separators=(",", ":"))
