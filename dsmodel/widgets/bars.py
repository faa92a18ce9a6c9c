"""Limits as a table with a bar a row: what a moving control can afford to draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

from dsmodel.reports import presentation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["limit_bars"]

_CELL = Markup("<td style='text-align:{};vertical-align:top;padding:.15em .9em .15em 0;background:none'>{}</td>")
_BAR = Markup(
    "<div style='width:9em;border:1px solid #888;height:.7em;margin-top:.55em'>"
    "<div style='width:{}%;height:100%;background:{}'></div></div>"
)


def limit_bars(frame: pd.DataFrame, summary: str) -> str:
    """Write limits as HTML, the one that binds in bold, each with its cause.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.limits` returns it.
    summary : str
        What binds, in a sentence.

    Returns
    -------
    str
        A fragment of HTML; every text in it is escaped.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> cluster = ds.examples.nearly_full()
    >>> limit_bars(ds.reports.limits(cluster), ds.reports.summary(cluster)).count("<tr")
    11
    """
    rows = Markup().join(_row(row) for row in frame.to_dict("records"))
    return str(Markup("<p><strong>{}</strong></p><table>{}</table>").format(summary, rows))


def _row(row: Mapping[Any, Any]) -> Markup:
    """Write one limit; its cause unfolds below its name."""
    name = presentation.headline({str(key): value for key, value in row.items()})
    head = Markup("<strong>{} binds</strong>").format(name) if row["binds"] else Markup("{}").format(name)
    cause = Markup("<details><summary>{}</summary>{}</details>").format(head, row["why"])
    share = row["used_ratio"]
    bar = (
        Markup()
        if pd.isna(share) or pd.isna(row["usable"])
        else _BAR.format(round(min(float(share), 1.0) * 100, 1), presentation.FAMILY_COLOURS[str(row["ip_family"])])
    )
    words = [("left", cause), ("left", bar), ("right", presentation.amount(row)), ("right", presentation.more(row))]
    return Markup("<tr>{}</tr>").format(Markup().join(_CELL.format(side, word) for side, word in words))
