"""Write report frames as one HTML page.

Promises: the page needs no network, runs no script and reads well in light and dark; every text from a cluster is
escaped; the same frames give the same bytes. Knows the columns of the report frames and nothing of clusters or
matplotlib: a picture is a link, or the bytes of a PNG, with its description.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pandas as pd

from dsmodel.reports import presentation
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import jinja2

__all__ = ["embedded", "render"]

_LIMITS = ("pool", "ip_family", "range", "used", "usable", "used_ratio", "room")
_UTILIZATION = ("node", "node_pool", "zone", "pool", "ip_family", "range", "used", "usable", "free", "used_ratio")
# section -> title, columns (None: all of the frame; a cause that is no column stands under its row), open at first
_SECTIONS: dict[str, tuple[str, Sequence[str] | None, bool]] = {
    "limits": ("Limits", _LIMITS, True),
    "findings": ("Findings", None, True),
    "utilization": ("Utilization", _UTILIZATION, False),
    "usage": ("Usage", None, False),
    "configuration": ("Configuration and how it is known", None, False),
}
_TITLES = {
    "ip_family": "family",
    "used": "in use",
    "used_ratio": "share in use",
    "room": "room for",
    "pod_ipv4": "pod IPv4",
    "pod_ipv6": "pod IPv6",
    "cluster_ipv4": "cluster IPv4",
    "cluster_ipv6": "cluster IPv6",
}


def render(
    frames: Mapping[str, pd.DataFrame],
    *,
    title: str,
    summary: str,
    version: str,
    picture: str = "",
    alt: str = "",
) -> str:
    """Write the page.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        Any of ``limits``, ``findings``, ``utilization``, ``usage``, ``configuration``; shown in this order, whatever
        the order of the mapping.
    title : str
        Heading of the page.
    summary : str
        What binds first and why, in a sentence or two.
    version : str
        Version of the program that made the page.
    picture : str
        Link relative to the page, or what `embedded` returns; no picture where empty.
    alt : str
        The picture in words.

    Returns
    -------
    str
        A whole HTML document.

    Raises
    ------
    KeyError
        If a frame lacks a column that its section needs.

    Examples
    --------
    >>> frame = pd.DataFrame({"namespace": ["<script>"], "pods": [1]})
    >>> html = render({"usage": frame}, title="Report", summary="Nothing binds.", version="0")
    >>> "&lt;script&gt;" in html, "<script" in html
    (True, False)
    """
    sections = [_section(name, frames[name]) for name in _SECTIONS if name in frames]
    document: str = (
        _environment()
        .get_template("report.html")
        .render(
            title=title,
            summary=summary,
            version=version,
            picture=picture,
            alt=alt,
            sections=sections,
            colours=presentation.FAMILY_COLOURS,
        )
    )
    return document + "\n"


def embedded(png: bytes) -> str:
    """Turn the bytes of a PNG into a link that needs no file.

    Parameters
    ----------
    png : bytes
        The picture.

    Returns
    -------
    str
        A ``data:`` link.

    Raises
    ------
    None
        Any bytes have such a link.

    Examples
    --------
    >>> embedded(b"PNG")
    'data:image/png;base64,UE5H'
    """
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _environment() -> jinja2.Environment:
    """Load the packaged template with escaping on for every value."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("dsmodel.reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _section(name: str, frame: pd.DataFrame) -> dict[str, Any]:
    """Turn one frame into what the template shows."""
    title, wanted, opened = _SECTIONS[name]
    names = [str(column) for column in frame.columns] if wanted is None else _present(wanted, frame, name=name)
    columns = [{"name": column, "title": _title(column), "kind": _kind(column, frame)} for column in names]
    rows = [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
    return {
        "name": name,
        "title": title,
        "open": opened and len(frame) > 0,
        "note": f"{counted(len(frame), 'row')}",
        "columns": columns,
        "rows": [
            {
                "binds": bool(row.get("binds", False)),
                "why": "" if "why" in names else str(row.get("why", "")),
                "cells": [(column, _CELLS[column["kind"]](row, column["name"])) for column in columns],
            }
            for row in rows
        ],
    }


def _present(wanted: Sequence[str], frame: pd.DataFrame, *, name: str) -> list[str]:
    """Keep the wanted columns; only those of a node may be missing."""
    optional = {"node", "node_pool", "zone"}
    missing = [column for column in wanted if column not in frame and column not in {*optional, "room"}]
    if missing:
        raise KeyError(f"the {name} frame has no column {', '.join(missing)}")
    return [column for column in wanted if column in frame or column == "room"]


def _title(name: str) -> str:
    """Turn a column name into words."""
    return _TITLES.get(name, name.replace("_", " "))


def _kind(name: str, frame: pd.DataFrame) -> str:
    """Say how a column is shown: meter, number, name (never broken) or text."""
    if name == "used_ratio":
        return "meter"
    if name == "room":
        return "room"
    if pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name]):
        return "number"
    return "text" if name in {"why", "message", "value", "range"} else "name"


def _text(row: Mapping[str, Any], name: str) -> str:
    """Show text, nothing for what is missing; a list may break after its commas."""
    text = "" if pd.isna(row[name]) else str(row[name])
    return ", ".join(text.split(",")) if name == "value" and ", " not in text else text


def _number(row: Mapping[str, Any], name: str) -> str:
    """Show a count, in words where there is no end to it."""
    return "no end" if name in {"usable", "free"} and pd.isna(row[name]) else presentation.count(row[name])


def _meter(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Show a ratio as text and as a bar, in words where there is no end to the pool."""
    if pd.isna(row[name]):
        words = presentation.CANNOT_RUN_OUT if pd.isna(row["usable"]) else "-"
        return {"text": words, "percent": None, "family": row["ip_family"]}
    percent = round(min(float(row[name]), 1.0) * 100, 1)
    return {"text": presentation.share(row[name]), "percent": percent, "family": row["ip_family"]}


def _room(row: Mapping[str, Any], _name: str) -> str:
    """Show what still fits, and that this row binds."""
    return presentation.more(row, word="") + (", binds" if row.get("binds") else "")


_CELLS: dict[str, Callable[[Mapping[str, Any], str], Any]] = {
    "text": _text,
    "name": _text,
    "number": _number,
    "meter": _meter,
    "room": _room,
}
