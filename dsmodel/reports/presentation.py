"""How rows of report frames are worded and coloured, once for terminal, page and picture.

Promises: the same row reads the same everywhere; a share is never rounded up to full or down to empty; what cannot run
out is said in words and never shown as a zero. Knows the columns of the report frames and nothing of clusters,
terminals, HTML or matplotlib. Source of the colours: M. Okabe and K. Ito, Color Universal Design (2008), blue and
orange, distinguishable with every common form of colour blindness.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CANNOT_RUN_OUT", "FAMILY_COLOURS", "amount", "count", "headline", "more", "share"]

# ip_family -> colour; "" is a row that belongs to no family
FAMILY_COLOURS = {"IPv4": "#0072B2", "IPv6": "#E69F00", "": "#767676"}
CANNOT_RUN_OUT = "cannot run out"
_SINGULAR = {"more_nodes": "node", "more_pods": "pod", "more_services": "service"}


def count(value: Any) -> str:
    """Write a number with thousands separators.

    Parameters
    ----------
    value : int, float or missing
        A cell of a report frame.

    Returns
    -------
    str
        ``1,234``, or ``-`` for a missing value.

    Raises
    ------
    None
        Every number and every missing value has a text.

    Examples
    --------
    >>> count(65536), count(None)
    ('65,536', '-')
    """
    return "-" if pd.isna(value) else f"{int(value):,}"


def share(value: Any) -> str:
    """Write a ratio as a whole percentage that is 0 or 100 only when it is exactly that.

    Parameters
    ----------
    value : float
        A ratio, 0 to 1 (above 1 where more is in use than may be), or NaN.

    Returns
    -------
    str
        For instance ``63 %``, ``<1 %``, or ``-`` for NaN.

    Raises
    ------
    None
        Every number has a text.

    Examples
    --------
    >>> share(0.6301), share(0.9999), share(0.0001), share(1.0), share(float("nan"))
    ('63 %', '99 %', '<1 %', '100 %', '-')
    """
    if pd.isna(value):
        return "-"
    if 0 < value < 0.01:
        return "<1 %"
    return f"{math.floor(round(float(value) * 100, 9))} %"


def amount(row: Mapping[str, Any]) -> str:
    """Say how much of a pool is in use.

    Parameters
    ----------
    row : mapping
        A row of a limits or utilization frame.

    Returns
    -------
    str
        ``16 of 32 in use``, or ``948 in use, cannot run out`` where the pool is too wide to fill.

    Raises
    ------
    KeyError
        If the row has no ``used`` or ``usable``.

    Examples
    --------
    >>> amount({"used": 948, "usable": None})
    '948 in use, cannot run out'
    """
    if pd.isna(row["usable"]):
        known = [] if pd.isna(row["used"]) else [f"{count(row['used'])} in use"]
        return ", ".join([*known, CANNOT_RUN_OUT])
    return f"{count(row['used'])} of {count(row['usable'])} in use"


def more(row: Mapping[str, Any], *, word: str = "more ") -> str:
    """Say what still fits by this row alone.

    Parameters
    ----------
    row : mapping
        A row of a limits frame.
    word : str
        Written between number and noun.

    Returns
    -------
    str
        For instance ``12 more nodes``; empty where the row limits nothing.

    Raises
    ------
    None
        A row without the columns limits nothing.

    Examples
    --------
    >>> more({"more_nodes": 0, "more_pods": None, "more_services": 1})
    '0 more nodes, 1 more service'
    """
    found = ((noun, row.get(column)) for column, noun in _SINGULAR.items())
    return ", ".join(
        f"{count(value)} {word}{noun}{'' if int(value) == 1 else 's'}"
        for noun, value in found
        if value is not None and not pd.isna(value)
    )


def headline(row: Mapping[str, Any]) -> str:
    """Name the pool of a row with its node, if it has one, and its family.

    Parameters
    ----------
    row : mapping
        A row of a limits or utilization frame.

    Returns
    -------
    str
        For instance ``node blocks, IPv6``.

    Raises
    ------
    KeyError
        If the row has no ``pool`` or ``ip_family``.

    Examples
    --------
    >>> headline({"pool": "node ports", "ip_family": ""})
    'node ports'
    """
    return ", ".join(str(part) for part in (row.get("node", ""), row["pool"], row["ip_family"]) if part)
