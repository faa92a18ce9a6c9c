"""Read the grid of a sweep: a YAML or JSON file, or a CSV table.

Promises a mapping of lists (every combination is a scenario), or one scenario a row of the table; a single value stands
for a list of one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["read_grid"]


def read_grid(place: str | os.PathLike[str]) -> Mapping[str, list[Any]] | pd.DataFrame:
    r"""Read the grid of a sweep.

    Parameters
    ----------
    place : path
        A file that ends in ``.csv`` has one scenario a row; any other is YAML or JSON with a list for each parameter.

    Returns
    -------
    mapping of str to list, or pandas.DataFrame
        As `dsmodel.planning.sweeps.sweep` takes it.

    Raises
    ------
    InvalidInput
        The file is neither; the message names it.
    OSError
        It cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
    ...     _ = file.write("mask_ipv4: [24, 25]\nnodes_per_week: 3\n")
    >>> read_grid(file.name)
    {'mask_ipv4': [24, 25], 'nodes_per_week': [3]}
    """
    path = Path(place)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        try:
            return pd.read_csv(path)
        except (ValueError, pd.errors.ParserError) as error:
            raise InvalidInput(f"{path.name}: is no CSV with a line of titles: {error}") from error
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path.name}: is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise InvalidInput(f"{path.name}: needs a list of values for each parameter, as in mask_ipv4: [24, 25]")
    return {str(name): values if isinstance(values, list) else [values] for name, values in given.items()}
