"""Draw forecasts: the fan of what is asked for until a pool is full, and the shares in which each pool binds first.

Promises: as every picture of `dsmodel.plots`. Both families of a pool share one fan, as shares of what each may hand
out, so that a small IPv4 range and a large IPv6 one can be read together; the dashed line at the top is full. The two
families also differ in line style and hatching.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dsmodel.errors import InvalidInput
from dsmodel.reports import presentation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["binding_shares", "binding_shares_text", "fan", "fan_text", "save_fan"]

_WIDTH = 7.0  # inches: the text column of a notebook
_HEIGHT = 3.9  # inches of a fan
_LINE, _TOP, _BOTTOM, _SIDE = 0.24, 0.45, 0.55, 0.15  # inches
_TEXT_SIZE = 9.0  # points
_INK, _QUIET, _ALERT = "#1a1a1a", "#595959", "#a11d00"
_HIGHEST = 1.25  # of what is usable; the picture ends here
_FAR = 10.0  # of what is usable; a finite stand-in for demand where nothing is usable
_STYLES = {"IPv4": "-", "IPv6": (0, (5, 2)), "": "-"}
_HATCHES = {"IPv4": "", "IPv6": "////", "": ""}
_DATES = ("exhaustion_p5", "exhaustion_p50", "exhaustion_p95")
_PART = ["node_pool", "zone"]


def fan(frame: pd.DataFrame, *, pool: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw what is asked of one pool over time, and when it is full.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.fans` returns it.
    pool : str, optional
        Which pool, in the whole cluster; the one that binds first most often if left out.
    ax : Axes, optional
        Where to draw; by default a new figure of 7 by 3.9 inches.

    Returns
    -------
    Axes
        For each family a median, a band from the 5th to the 95th percentile, and below the picture the dates at which
        that share of trajectories finds the pool full.

    Raises
    ------
    InvalidInput
        If the frame has no such pool, or no row.
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> demand = ds.Scenario.of("2026-01-01", nodes_per_week=3)
    >>> answer = ds.forecast(ds.examples.kubeadm_dual_stack(), demand, horizon="3y")
    >>> fan(ds.reports.fans(answer)).get_title(loc="left")
    'Node blocks, as asked for: p5 to p95'
    """
    rows = _of_pool(frame, pool)
    if ax is None:
        from matplotlib import pyplot as plt  # chooses a display, which a saved picture must not need

        ax = _axes(plt.figure(figsize=(_WIDTH, _HEIGHT)), keys=rows["ip_family"].nunique())
    highest = min(max(1.06, float(rows["used_p95_ratio"].max()) * 1.04), _HIGHEST)
    lines = {family: _draw_family(ax, family, own) for family, own in _by_family(rows)}
    _dress(ax, rows, highest)
    _key(ax, rows, lines)
    return ax


def fan_text(frame: pd.DataFrame, *, pool: str | None = None) -> str:
    """Say in words what a fan shows.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.fans` returns it.
    pool : str, optional
        As of `fan`.

    Returns
    -------
    str
        One paragraph, for the alternative text of the picture.

    Raises
    ------
    InvalidInput
        If the frame has no such pool, or no row.
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> demand = ds.Scenario.of("2026-01-01", services_per_week=1, law="expected")
    >>> frame = ds.reports.fans(ds.forecast(ds.examples.nearly_full(), demand, horizon="1y", trajectories=1))
    >>> fan_text(frame, pool="service addresses")[:76]
    'Fan chart of service addresses from 2026-01-01 to 2027-01-01. IPv4: 88 % now'
    """
    rows = _of_pool(frame, pool)
    name = str(rows["pool"].iloc[0])
    parts = [f"Fan chart of {name} from {rows['time'].min():%Y-%m-%d} to {rows['time'].max():%Y-%m-%d}."]
    for family, own in _by_family(rows):
        first, last = _record(own, 0), _record(own, -1)
        named = f"{family}: " if family else ""
        parts.append(
            f"{named}{presentation.share(first['used_p50_ratio'])} now, {presentation.share(last['used_p50_ratio'])} "
            f"at the end in the median; {_full(first)}."
        )
    return " ".join(parts)


def binding_shares(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw in which share of trajectories each pool is the first that is full.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.exhaustion` returns it.
    ax : Axes, optional
        Where to draw; by default a new figure 7 inches wide, as high as the rows need.

    Returns
    -------
    Axes
        One bar of length ``binds_first_ratio`` for each pool that ever binds, the most frequent first, and one for
        trajectories in which nothing runs out.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> row = {"pool": "node blocks", "ip_family": "IPv6", "node_pool": "", "zone": "", "binds_first_ratio": 0.75,
    ...        "exhaustion_p50": pd.Timestamp("2027-01-01")}
    >>> ax = binding_shares(pd.DataFrame([row]))
    >>> [round(float(bar.get_width()), 2) for bar in ax.containers[0]]
    [0.75, 0.25]
    """
    bars = _shares(frame)
    if ax is None:
        from matplotlib import pyplot as plt  # chooses a display, which a saved picture must not need

        height = _TOP + _BOTTOM + 2 * _LINE * len(bars)
        figure = plt.figure(figsize=(_WIDTH, height))
        ax = figure.add_axes((_SIDE / _WIDTH, _BOTTOM / height, 1 - 2 * _SIDE / _WIDTH, 1 - (_TOP + _BOTTOM) / height))
    places = [2 * place + 1.5 for place in range(len(bars))]
    drawn = ax.barh(places, [share for _, share, _, _ in bars], height=0.62, color=[each[3] for each in bars], zorder=3)
    ax.barh(places, 1.0, height=0.62, color="#ebebeb", zorder=1)
    for place, (name, share, when, _), bar in zip(places, bars, drawn, strict=True):
        weight = "bold" if place == places[0] else "normal"
        style: dict[str, Any] = {"size": _TEXT_SIZE, "parse_math": False, "va": "center_baseline", "weight": weight}
        bar.set_label(name)
        ax.text(0, place - 0.85, name, color=_INK, **style)
        ax.text(1, place - 0.85, f"{presentation.share(share)}{when}", color=_INK, ha="right", **style)
    ax.set(xlim=(0, 1), ylim=(2 * len(bars) + 0.1, 0), yticks=[])
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "100 %"], size=_TEXT_SIZE, color=_QUIET)
    first, *_, last = ax.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("of trajectories in which it is full first", size=_TEXT_SIZE, color=_QUIET)
    ax.set_title("What runs out first", loc="left", size=_TEXT_SIZE + 2, weight="bold", color=_INK)
    return ax


def binding_shares_text(frame: pd.DataFrame) -> str:
    """Say in words what the picture of `binding_shares` shows.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.exhaustion` returns it.

    Returns
    -------
    str
        One paragraph, for the alternative text of the picture.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> row = {"pool": "node blocks", "ip_family": "IPv6", "node_pool": "", "zone": "", "binds_first_ratio": 0.75,
    ...        "exhaustion_p50": pd.Timestamp("2027-01-01")}
    >>> binding_shares_text(pd.DataFrame([row]))[42:]
    'node blocks, IPv6 75 %, full about 2027-01-01; nothing within the horizon 25 %.'
    """
    parts = [f"{name} {presentation.share(share)}{when}" for name, share, when, _ in _shares(frame)]
    return f"What runs out first, of all trajectories: {'; '.join(parts)}."


def save_fan(frame: pd.DataFrame, path: str | Path | BinaryIO, *, pool: str | None = None) -> None:
    """Write a fan as PNG, without a display and without a date of its making inside.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.fans` returns it.
    path : str, path or binary file
        Where the PNG goes; a file of that name is replaced.
    pool : str, optional
        As of `fan`.

    Raises
    ------
    InvalidInput
        If the frame has no such pool, or no row; nothing is written then.
    OSError
        If the file cannot be written.
    """
    figure = Figure(figsize=(_WIDTH, _HEIGHT))
    fan(frame, pool=pool, ax=_axes(figure, keys=_of_pool(frame, pool)["ip_family"].nunique()))
    figure.savefig(path, format="png", dpi=144, metadata={"Software": None}, facecolor="white")


def _of_pool(frame: pd.DataFrame, pool: str | None) -> pd.DataFrame:
    """Take the rows of one pool in the whole cluster, or, unnamed, of the one that binds most often."""
    if frame.empty:
        raise InvalidInput("nothing to draw: demand takes from no pool that can run out")
    whole = frame[(frame[_PART] == "").all(axis=1)]
    if pool is None:
        place = int(np.argmax(frame["binds_first_ratio"].fillna(-1.0).to_numpy()))
        chosen = _record(frame, place)
        for name in ("pool", *_PART):
            frame = frame[frame[name] == chosen[name]]
        return frame
    rows = whole[whole["pool"] == pool]
    if rows.empty:
        known = ", ".join(dict.fromkeys(map(str, whole["pool"])))
        raise InvalidInput(f"pool={pool!r}: is not among those that demand takes from: {known}")
    return rows


def _draw_family(ax: Axes, family: str, rows: pd.DataFrame) -> Line2D:
    """Draw one family's band, median and day."""
    colour = presentation.FAMILY_COLOURS.get(family, presentation.FAMILY_COLOURS[""])
    times = rows["time"].to_numpy()
    low, middle, high = (rows[f"used_{end}_ratio"].clip(upper=_FAR).to_numpy() for end in ("p5", "p50", "p95"))
    hatch = _HATCHES.get(family, "")
    ax.fill_between(times, low, high, facecolor=colour, alpha=0.22, linewidth=0, zorder=2)
    if hatch:
        ax.fill_between(times, low, high, facecolor="none", edgecolor=colour, hatch=hatch, alpha=0.5, lw=0, zorder=2)
    (line,) = ax.plot(times, middle, color=colour, linewidth=2, linestyle=_STYLES.get(family, "-"), zorder=4)
    first = _record(rows, 0)
    for name in _DATES:
        if not pd.isna(first[name]):
            is_median = name == "exhaustion_p50"
            ax.plot(
                [first[name]], [1.0], marker="o" if is_median else "|", color=colour, zorder=6,
                markersize=7 if is_median else 12, markeredgewidth=2, markerfacecolor="white", clip_on=False,
            )  # fmt: skip
    return line


def _dress(ax: Axes, rows: pd.DataFrame, highest: float) -> None:
    """Set scale, capacity line, title, and a line of words for each family."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    begin, end = rows["time"].min(), rows["time"].max()
    ax.set(xlim=(begin, end), ylim=(0, highest))
    ax.axhline(1.0, color=_ALERT, linewidth=1.2, linestyle=(0, (2, 2)), zorder=3)
    ticks = [0, 0.25, 0.5, 0.75, 1.0]
    ax.set_yticks(ticks, ["0", "25 %", "50 %", "75 %", "full"], size=_TEXT_SIZE, color=_QUIET)
    ax.get_yticklabels()[-1].set(color=_ALERT, fontweight="bold")
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
    ax.tick_params(axis="x", labelsize=_TEXT_SIZE, labelcolor=_QUIET, color=_QUIET)
    ax.tick_params(axis="y", length=0, pad=9)
    ax.grid(axis="y", color="#ebebeb", zorder=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(_QUIET)
    name = ", ".join(str(part) for part in rows[["pool", *_PART]].iloc[0] if part)
    title = f"{name[:1].upper()}{name[1:]}, as asked for: p5 to p95"
    ax.set_title(title, loc="left", size=_TEXT_SIZE + 2, weight="bold", color=_INK, parse_math=False)


def _key(ax: Axes, rows: pd.DataFrame, lines: Mapping[str, Line2D]) -> None:
    """Write below the picture which line is which family, and when it is full."""
    words = {family: _full(_record(own, 0)) for family, own in _by_family(rows)}
    labels = [f"{family}: {said}" if family else said for family, said in words.items()]
    height = ax.get_window_extent().height / (ax.figure.dpi or 72) * 72
    room: dict[str, Any] = {"borderpad": 0, "borderaxespad": 0, "handlelength": 3.2, "labelspacing": 0.5}
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, -26 / height), "frameon": False}
    legend = ax.legend([lines[family] for family in words], labels, fontsize=_TEXT_SIZE, **place, **room)
    for text in legend.get_texts():
        text.set(color=_INK, parse_math=False)


def _full(row: Mapping[str, Any]) -> str:
    """Say when a pool is full."""
    early, middle, late = (row[name] for name in _DATES)
    if pd.isna(early):
        return "not full in 95 % of trajectories or more"
    if pd.isna(middle):
        return f"full by {early:%Y-%m-%d} in 5 %, not in most"
    if pd.isna(late):
        return f"full by {middle:%Y-%m-%d} in half, from {early:%Y-%m-%d} (5 %), not in all"
    if early == late:
        return f"full on {middle:%Y-%m-%d}"
    return f"full by {middle:%Y-%m-%d} in half, {early:%Y-%m-%d} (5 %) to {late:%Y-%m-%d} (95 %)"


def _by_family(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Split the rows of a pool by family, in their order."""
    return [(str(family), own) for family, own in rows.groupby("ip_family", sort=False)]


def _record(rows: pd.DataFrame, place: int) -> dict[str, Any]:
    """Give one row as a dict."""
    return {str(key): value for key, value in rows.iloc[place].items()}


def _axes(figure: Figure, *, keys: int) -> Axes:
    """Make axes that leave fixed room, in inches, for title, dates and keys."""
    width, height = figure.get_size_inches()
    left, right, top, bottom = 0.56, 0.25, 0.45, 0.5 + 0.2 * keys
    return figure.add_axes((left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height))


def _shares(frame: pd.DataFrame) -> list[tuple[str, float, str, str]]:
    """Give name, share, median day and colour of each pool that ever binds, and of nothing at all."""
    ranked = frame[frame["binds_first_ratio"].fillna(0.0) > 0].sort_values(
        "binds_first_ratio", ascending=False, kind="stable"
    )
    rows = [{str(key): value for key, value in row.items()} for row in ranked.to_dict("records")]
    bars = [
        (
            ", ".join(str(row[name]) for name in ("pool", "ip_family", *_PART) if row[name]),
            float(row["binds_first_ratio"]),
            "" if pd.isna(row["exhaustion_p50"]) else f", full about {row['exhaustion_p50']:%Y-%m-%d}",
            presentation.FAMILY_COLOURS[str(row["ip_family"])],
        )
        for row in rows
    ]
    rest = 1.0 - float(ranked["binds_first_ratio"].sum())
    return [*bars, ("nothing within the horizon", rest, "", "#b8b8b8")] if rest > 1e-9 else bars
