"""Draw the rows of pools and limits as bars, each named beside it.

Promises: as every picture of `dsmodel.plots`. Colours: `dsmodel.reports.presentation`.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from dsmodel.reports import presentation
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

__all__ = ["IPV4_COLOUR", "IPV6_COLOUR", "MOST_ROWS", "NEUTRAL_COLOUR", "alt_text", "limits", "save", "utilization"]

IPV4_COLOUR = presentation.FAMILY_COLOURS["IPv4"]
IPV6_COLOUR = presentation.FAMILY_COLOURS["IPv6"]
NEUTRAL_COLOUR = presentation.FAMILY_COLOURS[""]

WIDTH = 7.0  # inches: the text column of a notebook
LINE = 0.18  # inches: one line of text and the bar's own height
GAP = 0.14  # inches between rows
TOP, BOTTOM, SIDE = 0.42, 0.5, 0.15  # inches around the axes
MOST_ROWS = 40  # beyond this a picture is a table: the fullest are drawn, the rest is counted
TEXT_SIZE = 9.0  # points
_INK, _QUIET, _TRACK, _ALERT = "#1a1a1a", "#595959", "#ebebeb", "#a11d00"


class _Line(NamedTuple):
    """One line of text above a bar: what it starts with in bold, what follows, and what stands at the right."""

    head: str
    left: str
    right: str


def limits(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw what is in use of every limit, and mark the one that stops growth first.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.limits` returns it.
    ax : Axes, optional
        Where to draw; by default a new figure 7 inches wide, as high as the rows need. An axes of your own should be
        at least 6.5 inches wide and half an inch high for each row.

    Returns
    -------
    Axes
        One bar of length ``used_ratio`` for each row that can run out.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"pool": "node blocks", "ip_family": "IPv6", "range": "fd00::/60 in /64 blocks", "usable": 16,
    ...        "used": 12, "used_ratio": 0.75, "more_nodes": 4, "binds": True}
    >>> ax = limits(pd.DataFrame([row]))
    >>> ax.get_title(loc="left")
    'What runs out first: node blocks, IPv6, 4 more nodes'
    """
    binding = frame[frame["binds"].astype(bool)]
    title = "Nothing here can run out"
    if len(binding):
        row = _records(binding)[0]
        room = presentation.more(row)
        title = f"What runs out first: {presentation.headline(row)}" + (f", {room}" if room else "")
    return _draw(frame, title=title, ax=ax)


def utilization(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw what is in use of every pool, or of every node's pools.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.utilization` returns it, by pool or by node.
    ax : Axes, optional
        Where to draw; by default a new figure 7 inches wide, as high as the rows need.

    Returns
    -------
    Axes
        One bar of length ``used_ratio`` for each row that can run out.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"pool": "node ports", "ip_family": "", "range": "30000-32767", "usable": 2768, "used": 692,
    ...        "used_ratio": 0.25}
    >>> [float(bar.get_width()) for bar in utilization(pd.DataFrame([row])).containers[0]]
    [0.25]
    """
    return _draw(frame, title="In use, by pool" if "node" not in frame else "In use, by node", ax=ax)


def alt_text(frame: pd.DataFrame) -> str:
    """Say in words what a picture of the frame shows.

    Parameters
    ----------
    frame : DataFrame
        A limits or utilization frame.

    Returns
    -------
    str
        One paragraph: what binds, the three fullest rows, and what cannot run out.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> alt_text(pd.DataFrame([{"pool": "node ports", "ip_family": "", "usable": 4, "used": 1, "used_ratio": 0.25}]))
    'Bar chart of 1 row. Fullest: node ports, 1 of 4 in use (25 %).'
    """
    parts = [f"Bar chart of {counted(len(frame), 'row')}."]
    rows = _records(frame)
    parts += [f"{presentation.headline(row)} binds, {presentation.amount(row)}." for row in rows if row.get("binds")]
    bounded = [row for row in rows if not pd.isna(row["usable"])]
    fullest = sorted(bounded, key=_length, reverse=True)[:3]
    if fullest:
        shown = (
            f"{presentation.headline(row)}, {presentation.amount(row)} ({presentation.share(_length(row))})"
            for row in fullest
        )
        parts.append(f"Fullest: {'; '.join(shown)}.")
    endless = [presentation.headline(row) for row in rows if pd.isna(row["usable"])]
    if endless:
        parts.append(f"Cannot run out: {'; '.join(endless)}.")
    return " ".join(parts)


def save(frame: pd.DataFrame, path: str | Path | BinaryIO, *, draw: Callable[..., Axes] = limits) -> None:
    """Write the picture of a frame as PNG, without a display and without a date inside.

    Parameters
    ----------
    frame : DataFrame
        What ``draw`` takes.
    path : str, path or binary file
        Where the PNG goes; a file of that name is replaced.
    draw : callable
        `limits` or `utilization`.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    figure = Figure(figsize=(WIDTH, _height(frame)))
    draw(frame, ax=_axes(figure))
    figure.savefig(path, format="png", dpi=144, metadata={"Software": None}, facecolor="white")


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts of plain values."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _length(row: Mapping[str, Any]) -> float:
    """Give the length of a row's bar; a pool that has nothing to hand out has none."""
    return 0.0 if pd.isna(row["used_ratio"]) else float(row["used_ratio"])


def _shown(frame: pd.DataFrame) -> tuple[list[dict[str, Any]], str]:
    """Split off the rows to draw and a sentence about the others."""
    if len(frame) <= MOST_ROWS:
        return _records(frame), ""
    order = frame["used_ratio"].fillna(-1.0).sort_values(ascending=False, kind="stable").index
    kept = frame.loc[order[:MOST_ROWS].sort_values()]
    highest = frame.loc[order[MOST_ROWS:], "used_ratio"].max()
    what = "which cannot run out" if pd.isna(highest) else f"none above {presentation.share(highest)}"
    return _records(kept), f"{counted(len(frame) - MOST_ROWS, 'more row')}, {what}"


def _axes(figure: Figure) -> Axes:
    """Make axes that leave fixed room, in inches, for title and scale."""
    width, height = figure.get_size_inches()
    return figure.add_axes((SIDE / width, BOTTOM / height, 1 - 2 * SIDE / width, max(1 - (TOP + BOTTOM) / height, 0.1)))


def _height(frame: pd.DataFrame) -> float:
    """Give the figure's height in inches."""
    rows, rest = _shown(frame)
    lines = sum(len(_lines(row, width=WIDTH - 2 * SIDE)) + (not pd.isna(row["usable"])) for row in rows) + bool(rest)
    return TOP + BOTTOM + max(lines * LINE + len(rows) * GAP, LINE + GAP)


def _draw(frame: pd.DataFrame, *, title: str, ax: Axes | None) -> Axes:
    """Draw one labelled bar a row, from top to bottom."""
    if ax is None:
        from matplotlib import pyplot as plt  # chooses a display, which a saved picture must not need

        ax = _axes(plt.figure(figsize=(WIDTH, _height(frame))))
    rows, rest = _shown(frame)
    width = ax.get_window_extent().width / (ax.figure.dpi or 72)
    y = GAP / 2
    places, lengths, colours = [], [], []
    for row in rows:
        for line in _lines(row, width=width):
            _write(ax, line, y=y + LINE / 2, binds=bool(row.get("binds")))
            y += LINE
        if not pd.isna(row["usable"]):
            places.append(y + LINE / 2)
            lengths.append(_length(row))
            colours.append(presentation.FAMILY_COLOURS[str(row["ip_family"])])
            y += LINE
        y += GAP
    if rest:
        _write(ax, _Line("", rest, ""), y=y + LINE / 2, binds=False)
        y += LINE
    bars = ax.barh(places, lengths, height=LINE * 0.7, color=colours, zorder=3)
    ax.barh(places, 1.0, height=LINE * 0.7, color=_TRACK, zorder=1)
    for bar, row in zip(bars, (row for row in rows if not pd.isna(row["usable"])), strict=True):
        if row.get("binds"):
            bar.set(edgecolor=_ALERT, linewidth=1.6)
    _dress(ax, title=title, depth=max(y, LINE + GAP), reach=max([1.0, *lengths]))
    return ax


def _dress(ax: Axes, *, title: str, depth: float, reach: float) -> None:
    """Set scale, grid and title, the same for every picture."""
    ax.set(xlim=(0, reach), ylim=(depth, 0), yticks=[])
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "100 %"], size=TEXT_SIZE, color=_QUIET)
    first, *_, last = ax.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    ax.set_xlabel("in use, of what may be handed out", size=TEXT_SIZE, color=_QUIET)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title, loc="left", size=TEXT_SIZE + 2, weight="bold", color=_INK)


def _write(ax: Axes, line: _Line, *, y: float, binds: bool) -> None:
    """Put one line of text: bold start, rest behind it, amounts at the right edge."""
    style: dict[str, Any] = {"size": TEXT_SIZE, "parse_math": False}
    colour = _ALERT if binds else _INK
    if line.head:
        head = ax.text(0, y, line.head, weight="bold", color=colour, va="center_baseline", **style)
        if line.left:
            behind: dict[str, Any] = {"xytext": (6, 0), "textcoords": "offset points", "color": _QUIET, "va": "bottom"}
            ax.annotate(line.left, (1, 0), xycoords=head, **behind, **style)
    elif line.left:
        ax.text(0, y, line.left, color=_QUIET, va="center_baseline", **style)
    if line.right:
        style |= {"weight": "bold" if binds else "normal", "ha": "right", "transform": ax.get_yaxis_transform()}
        ax.text(1, y, line.right, color=colour, va="center_baseline", **style)


def _lines(row: Mapping[str, Any], *, width: float) -> list[_Line]:
    """Lay out a row's words so that they fit `width` inches: on one line, on two, or with the range on its own."""
    head, where = presentation.headline(row), str(row.get("range", ""))
    room = presentation.more(row)
    used = ("binds: " if row.get("binds") else "") + presentation.amount(row)
    together = _Line(head, where, used + (f", {room}" if room else ""))
    if _width(together) <= width:
        return [together]
    two = [_Line(head, "", used), _Line("", where, room)]
    if all(_width(line) <= width for line in two):
        return two
    head_used = [_Line(head, "", used)]
    if _width(head_used[0]) > width:
        head_used = [*(_Line(part, "", "") for part in _wrap(head, width=width)), _Line("", "", used)]
    where_lines = [_Line("", part, "") for part in _wrap(where, width=width)]
    return [*head_used, *([_Line("", "", room)] if room else []), *where_lines]


def _wrap(text: str, *, width: float) -> list[str]:
    """Break a text into pieces that fit `width` inches even in bold."""
    return textwrap.wrap(text, width=max(int(width / 0.09), 20))


def _width(line: _Line) -> float:
    """Measure a line in inches, as if all of it that may be bold were bold."""
    bold = FontProperties(weight="bold", size=TEXT_SIZE)
    plain = FontProperties(size=TEXT_SIZE)
    texts = ((line.head, bold), (line.left, plain), (line.right, bold))
    widths = [
        text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72 for text, font in texts if text
    ]
    return sum(widths) + 0.15 * len(widths)
