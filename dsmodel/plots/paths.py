"""Draw the hops of one trace: the two families as two lanes, from the pod at the top to where each ends.

Promises: as every picture of `dsmodel.plots`. The lane on the left is the family that clients try first. An address is
written where it changes; a lane that does not get through ends dashed in a cross, one that is open in a ring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dsmodel.plots.topology import fitted, new_axes
from dsmodel.reports import presentation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["path", "path_text"]

_TOP, _BOTTOM, _LINE, _GAP = 0.42, 0.1, 0.15, 0.11  # inches
_TEXT_SIZE, _HEAD_SIZE, _TITLE_SIZE = 8.0, 9.0, 11.0  # points
_TITLE: Final = 3.0  # inches that the name of the pod may take in the title
_INDENT: Final = 0.16  # inches from a lane's line to its words
_HOP_LINES, _REASON_LINES = 2, 4
_INK, _QUIET, _ALERT = "#1a1a1a", "#595959", "#a11d00"
_NAMES: Final = ("ip_family", "hop", "role", "at", "source", "destination", "rule", "verdict", "reason")
_WORDS: Final = {
    "start": "starts at",
    "capture": "captured by",
    "steer": "through",
    "attach": "on",
    "select": "selected by",
    "masq": "masquerading on",
    "border": "translated by",
    "translate": "translated by",
    "exit": "arrives at",
    "deny": "does not reach",
    "open": "not known whether it reaches",
}
_RULED: Final = ("masq", "select", "steer")  # hops whose rule is told
_ENDS: Final = {"exit": "works", "deny": "does not", "open": "is not certain"}


def path(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw by which hops one pod reaches one destination, in each family.

    Parameters
    ----------
    frame : DataFrame
        `dsmodel.graph.traces.Trace.frame`.
    ax : Axes, optional
        Where to draw; by default a new figure 7 inches wide, as high as the hops need.

    Returns
    -------
    Axes
        A mark for each hop, with its words beside it.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> from dsmodel.graph.network import Network
    >>> network = Network(masquerades=()).replacing(routed=["10.244.0.0/16"], default_route=True, border=())
    >>> found = ds.trace(ds.examples.kubeadm_dual_stack(), "shop/app00-00001", "10.9.0.1", network=network)
    >>> path(found.frame).get_title(loc="left")
    'Pod/shop/app00-00001: IPv4 works, IPv6 does not'
    """
    if missing := [name for name in _NAMES if name not in frame]:
        raise KeyError(f"the frame has no column {', '.join(missing)}")
    lanes = [
        [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]
        for _, rows in frame.groupby("ip_family", sort=False)
    ]
    width = (ax.get_window_extent().width / (ax.figure.dpi or 72) if ax else 6.84) / max(len(lanes), 1)
    told = [_lane(rows, width - _INDENT - 0.18) for rows in lanes]
    height = max((sum(len(lines) * _LINE + _GAP for lines, _, _ in lane) for lane in told), default=_LINE)
    ax = ax or new_axes(_TOP + _BOTTOM + height, top=_TOP, bottom=_BOTTOM)
    ax.set(xlim=(0, width * max(len(lanes), 1)), ylim=(height, 0), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    for number, (rows, lane) in enumerate(zip(lanes, told, strict=True)):
        _draw(ax, rows, lane, left=number * width + 0.08)
    ax.set_title(_title(lanes), loc="left", size=_TITLE_SIZE, weight="bold", color=_INK)
    return ax


def path_text(frame: pd.DataFrame) -> str:
    """Say in words what a picture of the frame shows.

    Parameters
    ----------
    frame : DataFrame
        `dsmodel.graph.traces.Trace.frame`.

    Returns
    -------
    str
        One sentence a family: by which hops, seen as which source, and how it ends.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("start", "Pod/shop/a"), ("exit", "db")]
    >>> frame = pd.DataFrame(rows, columns=["role", "at"])
    >>> path_text(frame.assign(ip_family="IPv4", source="10.0.0.1", verdict="ok_direct", reason="routed"))
    'IPv4, ok_direct: Pod/shop/a, db, seen as 10.0.0.1; routed.'
    """
    parts = []
    for family, rows in frame.groupby("ip_family", sort=False):
        last = rows.iloc[-1]
        seen = f", seen as {last['source']}" if last["source"] and last["role"] == "exit" else ""
        why = f"; {last['reason']}" if last["reason"] else ""
        parts.append(f"{family}, {last['verdict']}: {', '.join(rows['at'])}{seen}{why}.")
    return " ".join(parts)


def _lane(rows: list[dict[str, Any]], width: float) -> list[tuple[list[str], str, bool]]:
    """Return the words of one lane: lines, colour, whether they are bold; the heading first, the reason last."""
    verdict = str(rows[0]["verdict"])
    colour = _ALERT if rows[-1]["role"] == "deny" else _INK
    found = [([f"{rows[0]['ip_family']}: {verdict.replace('_', ' ')}"], colour, True)]
    source = destination = ""
    for row in rows:
        text = f"{_WORDS[str(row['role'])]} {row['at']}"
        lines = fitted(text, width=width, lines=_HOP_LINES, size=_TEXT_SIZE).splitlines()
        if row["source"] and row["source"] != source:
            lines += fitted(f"from {row['source']}", width=width, lines=_HOP_LINES, size=_TEXT_SIZE).splitlines()
        if row["destination"] and row["destination"] != destination and str(row["at"]) != row["destination"]:
            lines += fitted(f"to {row['destination']}", width=width, lines=_HOP_LINES, size=_TEXT_SIZE).splitlines()
        if row["rule"] and row["role"] in _RULED:
            lines += fitted(str(row["rule"]), width=width, lines=_HOP_LINES, size=_TEXT_SIZE).splitlines()
        source, destination = str(row["source"]) or source, str(row["destination"]) or destination
        found.append((lines, colour if row["role"] in {"deny", "open"} else _INK, False))
    reason = fitted(str(rows[-1]["reason"]), width=width, lines=_REASON_LINES, size=_TEXT_SIZE)
    return [*found, (reason.splitlines(), _QUIET, False)]


def _draw(ax: Axes, rows: list[dict[str, Any]], lane: list[tuple[list[str], str, bool]], *, left: float) -> None:
    """Draw one lane."""
    colour = presentation.FAMILY_COLOURS[str(rows[0]["ip_family"])]
    y, places = 0.0, []
    for lines, ink, is_head in lane:
        for number, line in enumerate(lines):
            middle = y + (number + 0.5) * _LINE
            style: dict[str, Any] = {"size": _HEAD_SIZE if is_head else _TEXT_SIZE, "parse_math": False}
            start = left - 0.08 if is_head else left + _INDENT
            quiet = ink if number == 0 else _QUIET
            ax.text(
                start, middle, line, color=quiet, weight="bold" if is_head else "normal", va="center_baseline", **style
            )
        places.append(y + 0.5 * _LINE)
        y += len(lines) * _LINE + _GAP
    hops = places[1:-1]
    is_whole = str(rows[-1]["role"]) == "exit"
    ax.plot([left, left], [hops[0], hops[-2 if len(hops) > 1 else -1]], color=colour, linewidth=2, zorder=2)
    if len(hops) > 1:
        dashes: Any = "-" if is_whole else (0, (2, 1.5))
        ax.plot([left, left], hops[-2:], color=colour, linewidth=2, linestyle=dashes, zorder=2)
    for row, place in zip(rows, hops, strict=True):
        role = str(row["role"])
        if role == "deny":
            ax.plot([left], [place], marker="X", markersize=8, color=_ALERT, zorder=4)
        else:
            face = "white" if role == "open" else colour
            ax.plot([left], [place], marker="o", markersize=6, color=colour, markerfacecolor=face, zorder=4)


def _title(lanes: list[list[dict[str, Any]]]) -> str:
    """Say which families work."""
    if not lanes:
        return "No hops"
    words = ", ".join(f"{rows[0]['ip_family']} {_ENDS[str(rows[-1]['role'])]}" for rows in lanes)
    pod = fitted(str(lanes[0][0]["at"]), width=_TITLE, lines=1, size=_TITLE_SIZE)
    return f"{pod}: {words}"
