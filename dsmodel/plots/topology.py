"""Draw the graph of resolved paths: from pods on the left to the world on the right, families side by side.

Promises: as every picture of `dsmodel.plots`. IPv4 runs above IPv6 on the same way, and only IPv6 has rings; what is
blocked is dashed and ends in a cross. Labels stand below their marks, cut in the middle where they are too long; the
frame has them whole.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

from dsmodel.reports import presentation
from dsmodel.wording import counted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["fitted", "new_axes", "topology", "topology_text"]

_WIDTH, _ROW, _TOP, _BOTTOM, _SIDE = 7.0, 0.62, 0.66, 0.36, 0.08  # inches
_TEXT_SIZE: Final = 7.0  # points
_LINES: Final = 3  # of a label
_LABEL: Final = 0.9  # of a column's width
_BEND: Final = 0.3  # of a column; so far a line runs level at both ends
_SHIFT: Final = {"IPv4": -0.05, "IPv6": 0.05}  # rows by which the families are apart
_STYLES: Final[dict[str, Any]] = {"active": "-", "unknown": (0, (1, 1.5)), "blocked": (0, (4, 2))}
_INK, _QUIET, _ALERT = "#1a1a1a", "#595959", "#a11d00"
_TITLES: Final = {
    "workload": "workloads",
    "pod": "pods",
    "proxy": "proxies",
    "pool": "node pools",
    "node": "nodes",
    "policy": "policies",
    "gw": "leaves by",
    "masq": "leaves by",
    "snat_ip": "seen as",
    "nat": "border",
    "nat64": "border",
    "dst": "arrives at",
    "drop": "arrives at",
}
_COLUMNS: Final = ("source", "source_kind", "source_x", "source_y", "target", "target_kind", "target_x", "target_y")
_STEPS: Final = (*_COLUMNS, "ip_family", "state", "pods", "bends")


class _Mark(NamedTuple):
    """Where something stands."""

    x: int
    y: float
    kind: str
    label: str
    is_open: bool = False  # an end of which nobody knows whether it is one


def topology(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw by which steps pods leave, per family.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.egress_topology` returns it.
    ax : Axes, optional
        Where to draw; by default a new figure 7 inches wide, as high as the rows need.

    Returns
    -------
    Axes
        A line for each step and family, a mark with its label at each end.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> from dsmodel.graph.network import Network
    >>> network = Network(masquerades=()).replacing(routed=["10.244.0.0/16"], default_route=True, border=())
    >>> ax = topology(ds.reports.egress_topology(ds.examples.kubeadm_dual_stack(), "10.9.0.1", network=network))
    >>> ax.get_title(loc="left"), len(ax.patches)
    ('How pods leave', 5)
    """
    if missing := [name for name in _STEPS if name not in frame]:
        raise KeyError(f"the frame has no column {', '.join(missing)}")
    marks = _marks(frame)
    deepest = max((mark.y for mark in marks), default=0.0)
    columns = max((mark.x for mark in marks), default=0) + 1
    ax = ax or new_axes(_TOP + _BOTTOM + (deepest + 1) * _ROW, top=_TOP, bottom=_BOTTOM)
    width = ax.get_window_extent().width / (ax.figure.dpi or 72) / columns
    for row in frame.to_dict("records"):
        _draw_step(ax, {str(key): value for key, value in row.items()})
    for mark in marks:
        _draw_mark(ax, mark, width * _LABEL)
    titles: dict[int, dict[str, None]] = {}
    for mark in marks:
        titles.setdefault(mark.x, {})[_TITLES[mark.kind]] = None
    for x, words in titles.items():
        ax.text(x, -0.5, next(iter(words)), size=_TEXT_SIZE, color=_QUIET, ha="center", va="bottom")
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(deepest + 0.6, -0.5), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_title(_title(frame), loc="left", size=11, weight="bold", color=_INK, pad=20)
    _explain(ax, frame)
    return ax


def topology_text(frame: pd.DataFrame) -> str:
    """Say in words what a picture of the frame shows.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.egress_topology` returns it.

    Returns
    -------
    str
        One paragraph: how many marks, and per family what arrives and what is blocked.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> columns = ["source", "target", "target_kind", "ip_family", "state", "pods"]
    >>> topology_text(pd.DataFrame([("node-1", "no_route", "drop", "IPv6", "blocked", 3)], columns=columns))
    'Graph of 2 marks and 1 step. IPv6 ends at no_route (3 pods).'
    """
    marks = len({*frame["source"], *frame["target"]})
    parts = [f"Graph of {counted(marks, 'mark')} and {counted(len(frame), 'step')}."]
    for family, rows in frame[frame["target_kind"].isin(["dst", "drop"])].groupby("ip_family", sort=True):
        for kind, verb in (("dst", "arrives at"), ("drop", "ends at")):
            pods = rows[rows["target_kind"] == kind].groupby("target", sort=True)["pods"].sum()
            if len(pods):
                named = ", ".join(f"{name} ({counted(count, 'pod')})" for name, count in pods.items())
                parts.append(f"{family} {verb} {named}.")
    return " ".join(parts)


def new_axes(height: float, *, top: float, bottom: float) -> Axes:
    """Make axes in a new figure of the usual width.

    Parameters
    ----------
    height : float
        Of the figure, in inches.
    top, bottom : float
        Inches that are kept for words.

    Returns
    -------
    Axes
        Of a figure that has nothing else.

    Raises
    ------
    None
        Every height has a figure.
    """
    from matplotlib import pyplot as plt  # chooses a display, which a saved picture must not need

    figure: Figure = plt.figure(figsize=(_WIDTH, height))
    side, share = _SIDE / _WIDTH, max(1 - (top + bottom) / height, 0.1)
    return figure.add_axes((side, bottom / height, 1 - 2 * side, share))


def fitted(text: str, *, width: float, lines: int, size: float = _TEXT_SIZE) -> str:
    """Break a name so that it fits, and cut it in the middle where it does not.

    Parameters
    ----------
    text : str
        A name; it may break behind ``/ : . - _``, at spaces, and before a capital inside a word.
    width : float
        Inches that a line may take.
    lines : int
        How many lines.
    size : float
        Points of the letters.

    Returns
    -------
    str
        At most so many lines.

    Raises
    ------
    None
        Every text has a form.

    Examples
    --------
    >>> fitted("EgressGateway/shop", width=0.9, lines=2).splitlines()
    ['EgressGateway/', 'shop']
    >>> fitted("a" * 60, width=0.5, lines=2).count("…")
    1
    """
    left = len(text)
    shown = text
    while len(found := _broken(shown, width, size)) > lines and left > 1:
        left -= 1
        shown = text[: (left + 1) // 2] + "…" + text[len(text) - left // 2 :]
    return "\n".join(found)


def _broken(text: str, width: float, size: float) -> list[str]:
    """Fill lines greedily; what is longer than a line breaks anywhere."""
    found = [""]
    words = re.findall(r"[^/:.\-_ ]*[/:.\-_ ]+|[^/:.\-_ ]+", text)
    for piece in (part for word in words for part in re.split(r"(?<=[a-z])(?=[A-Z])", word)):
        if found[-1] and _inches(found[-1] + piece.rstrip(), size) > width:
            found.append("")
        for letter in piece:
            if found[-1] and _inches(found[-1] + letter, size) > width:
                found.append("")
            found[-1] += letter
    return [line.strip() for line in found]


@lru_cache(maxsize=4096)
def _inches(text: str, size: float) -> float:
    """Measure a text."""
    measured: float = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)[0]
    return measured / 72


def _marks(frame: pd.DataFrame) -> list[_Mark]:
    """Return what stands in the picture, column by column."""
    ends = frame[frame["target_kind"] == "drop"]
    open_ends = set(ends.loc[ends["state"] == "unknown", "target"]) - set(
        ends.loc[ends["state"] != "unknown", "target"]
    )
    found = {
        _Mark(int(x), float(y), str(kind), str(label), kind == "drop" and label in open_ends)
        for end in ("source", "target")
        for x, y, kind, label in zip(*(frame[f"{end}{part}"] for part in ("_x", "_y", "_kind", "")), strict=True)
    }
    return sorted(found)


def _draw_step(ax: Axes, row: dict[str, Any]) -> None:
    """Draw one step, through its bends."""
    family, state = str(row["ip_family"]), str(row["state"])
    shift, colour = _SHIFT[family], presentation.FAMILY_COLOURS[family]
    points = [(row["source_x"], row["source_y"]), *row["bends"], (row["target_x"], row["target_y"])]
    vertices, codes = [(points[0][0], points[0][1] + shift)], [Path.MOVETO]
    for (x, y), (end, depth) in pairwise(points):
        y, depth = y + shift, depth + shift  # noqa: PLW2901 - the family's own lane
        middle = (x + end) / 2
        vertices += [(x + _BEND, y), (middle, y), (middle, depth), (end - _BEND, depth), (end, depth)]
        codes += [Path.LINETO, *[Path.CURVE4] * 3, Path.LINETO]
    style: dict[str, Any] = {"edgecolor": colour, "facecolor": "none", "linewidth": 1.6, "zorder": 2}
    ax.add_patch(PathPatch(Path(vertices, codes), linestyle=_STYLES[state], capstyle="butt", **style))
    if family == "IPv6":
        (x, y), (end, depth) = points[-2], points[-1]
        ring: dict[str, Any] = {"marker": "o", "markersize": 3.6, "markerfacecolor": "white", "zorder": 3}
        ax.plot([(x + end) / 2], [(y + depth) / 2 + shift], color=colour, **ring)


def _draw_mark(ax: Axes, mark: _Mark, width: float) -> None:
    """Draw one mark with its label below."""
    is_stop = mark.kind == "drop" and not mark.is_open
    if mark.is_open:
        ax.plot([mark.x], [mark.y], color=_QUIET, marker="o", markersize=7, markerfacecolor="white", zorder=4)
    elif is_stop:
        ax.plot([mark.x], [mark.y], color=_ALERT, marker="X", markersize=8, zorder=4)
    else:
        face = "white" if mark.label.endswith(" more") else _INK
        ax.plot([mark.x], [mark.y], color=_INK, marker="o", markersize=6, markerfacecolor=face, zorder=4)
    words: dict[str, Any] = {"size": _TEXT_SIZE, "ha": "center", "va": "top", "linespacing": 1.0, "parse_math": False}
    label = fitted(mark.label.replace("_", " ") if mark.kind == "drop" else mark.label, width=width, lines=_LINES)
    ax.annotate(
        label,
        (mark.x, mark.y),
        xytext=(0, -6),
        textcoords="offset points",
        color=_QUIET if mark.is_open else _ALERT if is_stop else _INK,
        bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
        zorder=5,
        **words,
    )


def _title(frame: pd.DataFrame) -> str:
    """Say which families do not get through."""
    stopped = frame[frame["target_kind"] == "drop"]
    words = [
        f"{family} blocked for {counted(pods, 'pod')}"
        for family, pods in stopped[stopped["state"] == "blocked"].groupby("ip_family", sort=True)["pods"].sum().items()
    ]
    return "How pods leave" + (f": {', '.join(words)}" if words else "")


def _explain(ax: Axes, frame: pd.DataFrame) -> None:
    """Say below what the lines mean."""
    handles = []
    for family in ("IPv4", "IPv6"):
        if (frame["ip_family"] == family).any():
            colour = presentation.FAMILY_COLOURS[family]
            marker = {"marker": "o", "markersize": 3.6, "markerfacecolor": "white"} if family == "IPv6" else {}
            handles.append(Line2D([], [], color=colour, linewidth=1.6, label=family, **marker))  # type: ignore[arg-type]
    handles += [
        Line2D([], [], color=_QUIET, linewidth=1.6, linestyle=_STYLES[state], label=state)
        for state in ("blocked", "unknown")
        if (frame["state"] == state).any()
    ]
    if handles:
        place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, 0), "borderaxespad": 0.2}
        ax.legend(handles=handles, ncols=4, frameon=False, fontsize=_TEXT_SIZE + 1, **place)
