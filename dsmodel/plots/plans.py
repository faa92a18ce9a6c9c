"""Draw plans: what more headroom takes, and what is in use during a migration.

Promises: as every picture of `dsmodel.plots`. Each plan and each step is a row with its words above its bars, from top
to bottom in the order of the frame; what is wanted and what is spare differ in hatching, families in colour and place.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pandas as pd

from dsmodel.errors import InvalidInput
from dsmodel.reports import presentation
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["layouts", "layouts_text", "migration", "migration_text"]

_WIDTH = 7.0  # inches: the text column of a notebook
_LINE, _GAP, _TOP, _BOTTOM, _SIDE = 0.19, 0.12, 0.45, 0.55, 0.15  # inches
_TEXT_SIZE = 9.0  # points
_INK, _QUIET, _TRACK, _ALERT = "#1a1a1a", "#595959", "#ebebeb", "#a11d00"
_WIDEST = 62  # characters of a step's title on one line
_WHOLE = 4  # a scale that reaches so far has ticks at whole numbers
_NEAR = 0.92  # of the scale; a tick behind it is written to its left
_POOLS = ("node blocks", "pod addresses", "service addresses")


def layouts(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the alternatives of a plan: how many addresses each takes, and how many times the demand it holds.

    Parameters
    ----------
    frame : DataFrame
        ``alternatives`` of what `dsmodel.plan_layout` returns.
    ax : Axes, optional
        Where to draw; by default a new figure 7 inches wide, as high as the rows need.

    Returns
    -------
    Axes
        A bar for each plan: of IPv4 addresses taken, the spare part hatched; where no plan has IPv4, of the headroom.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> plan = ds.plan_layout({"nodes": 20, "services": 50, "ip_families": "IPv4"}, "10.0.0.0/18", kube_version="1.36")
    >>> layouts(plan.alternatives).get_title(loc="left")
    'What more headroom takes: 6 plans'
    """
    rows = _records(frame, ("plan", "headroom_ratio", "binds", "ipv4_addresses", "ipv4_waste_ratio", "ipv6_ranges"))
    has_ipv4 = bool(frame["ipv4_addresses"].notna().any())
    ax = ax or _new_axes(len(rows) * (2 * _LINE + _GAP))
    family = "IPv4" if has_ipv4 else "IPv6"
    y, spare, wanted, places = _GAP / 2, [], [], []
    for row in rows:
        taken = str(row["ipv4_ranges"] if has_ipv4 else row["ipv6_ranges"])
        right = f"{row['headroom_ratio']:.2f} times the demand"
        _write(ax, y + _LINE / 2, head=f"Plan {row['plan']}", left=taken, right=right)
        length = float(row["ipv4_addresses"]) if has_ipv4 else float(row["headroom_ratio"])
        places.append(y + 1.5 * _LINE)
        wanted.append(length * (1 - (float(row["ipv4_waste_ratio"]) if has_ipv4 else 0.0)))
        spare.append(length)
        y += 2 * _LINE + _GAP
    colour = presentation.FAMILY_COLOURS[family]
    style: dict[str, Any] = {"height": _LINE * 0.7, "edgecolor": colour, "linewidth": 0.8}
    ax.barh(places, wanted, color=colour, zorder=3, **style)
    ax.barh(places, spare, color="white", hatch="////", zorder=2, **style)
    title = f"What more headroom takes: {counted(len(rows), 'plan')}"
    label = "IPv4 addresses: filled what the demand needs, hatched what is spare" if has_ipv4 else "times the demand"
    _dress(ax, title=title, label=label, depth=max(y, _LINE), reach=max(spare, default=1.0))
    return ax


def layouts_text(frame: pd.DataFrame) -> str:
    """Say in words what the picture of alternatives shows.

    Parameters
    ----------
    frame : DataFrame
        As of `layouts`.

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
    >>> import dsmodel as ds
    >>> plan = ds.plan_layout({"nodes": 20, "services": 50, "ip_families": "IPv4"}, "10.0.0.0/18", kube_version="1.36")
    >>> layouts_text(plan.alternatives)[:75]
    'Bar chart of 6 plans. Plan 0 takes 4,192 IPv4 addresses, 45 % of them spare'
    """
    rows = _records(frame, ("plan", "headroom_ratio", "binds", "ipv4_addresses", "ipv4_waste_ratio", "ipv6_ranges"))
    parts = [f"Bar chart of {counted(len(rows), 'plan')}."]
    for row in rows:
        takes = f"takes {row['ipv6_ranges']}"
        if not pd.isna(row["ipv4_addresses"]):
            waste = presentation.share(row["ipv4_waste_ratio"])
            takes = f"takes {presentation.count(row['ipv4_addresses'])} IPv4 addresses, {waste} of them spare"
        parts.append(f"Plan {row['plan']} {takes}, and holds {row['headroom_ratio']:.2f} times the demand.")
    return " ".join(parts)


def migration(frame: pd.DataFrame, *, pool: str = "pod addresses", ax: Axes | None = None) -> Axes:
    """Draw the steps of a migration, and what is in use of one pool meanwhile.

    Parameters
    ----------
    frame : DataFrame
        ``steps`` of what `dsmodel.plan_migration` returns.
    pool : {"pod addresses", "node blocks", "service addresses"}, default "pod addresses"
        Which pool.
    ax : Axes, optional
        Where to draw; by default a new figure 7 inches wide, as high as the steps need.

    Returns
    -------
    Axes
        For each step a bar of each family that is in use, IPv4 above IPv6, and a line above the first step that
        cannot be undone.

    Raises
    ------
    InvalidInput
        If there is no such pool.
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> ranges = {"pods": "fd00:10:244::/56", "services": "fd00:10:96::/112"}
    >>> steps = ds.plan_migration(ds.examples.single_stack_ipv4(), ranges=ranges).steps
    >>> migration(steps, pool="node blocks").get_title(loc="left")
    'Most node blocks in use, step by step'
    """
    columns = _columns(pool)
    rows = _records(frame, ("step", "title", "point_of_no_return", *columns.values()))
    titles = [textwrap.wrap(str(row["title"]), _WIDEST) or [""] for row in rows]
    height = sum((len(lines) + 2) * _LINE + _GAP for lines in titles) + 1.2 * _LINE
    ax = ax or _new_axes(height)
    y, passed = _GAP / 2, False
    bars: dict[str, list[tuple[float, int]]] = {family: [] for family in columns}
    for row, lines in zip(rows, titles, strict=True):
        if row["point_of_no_return"] and not passed:
            passed = True
            ax.axhline(y + _LINE, color=_ALERT, linewidth=1.2, linestyle=(0, (5, 2)), zorder=1)
            _write(ax, y + _LINE * 0.4, head="", left="", right="from here on undoing is no way back", colour=_ALERT)
            y += _LINE * 1.2
        counts = ", ".join(f"{family} {presentation.count(row[column])}" for family, column in columns.items())
        for place, line in enumerate(lines):
            head = f"{row['step']}  {line}" if place == 0 else f"    {line}"
            mark = _ALERT if row["point_of_no_return"] else _INK
            _write(ax, y + _LINE / 2, head=head, left="", right=counts if place == 0 else "", colour=mark)
            y += _LINE
        for family, column in columns.items():
            bars[family].append((y + _LINE / 2, int(row[column])))
            y += _LINE
        y += _GAP
    reach = max([1, *(length for own in bars.values() for _, length in own)])
    for family, own in bars.items():
        places, lengths = [place for place, _ in own], [length for _, length in own]
        ax.barh(places, lengths, height=_LINE * 0.7, color=presentation.FAMILY_COLOURS[family], zorder=3)
        ax.barh(places, reach, height=_LINE * 0.7, color=_TRACK, zorder=0)
    title = f"Most {pool} in use, step by step"
    _dress(ax, title=title, label=f"{pool} in use: IPv4 above, IPv6 below", depth=max(y, _LINE), reach=reach)
    return ax


def migration_text(frame: pd.DataFrame, *, pool: str = "pod addresses") -> str:
    """Say in words what the picture of a migration shows.

    Parameters
    ----------
    frame : DataFrame
        As of `migration`.
    pool : str, default "pod addresses"
        As of `migration`.

    Returns
    -------
    str
        One paragraph, for the alternative text of the picture.

    Raises
    ------
    InvalidInput
        If there is no such pool.
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> ranges = {"pods": "fd00:10:244::/56", "services": "fd00:10:96::/112"}
    >>> steps = ds.plan_migration(ds.examples.single_stack_ipv4(), ranges=ranges).steps
    >>> migration_text(steps)
    'Bar chart of 9 steps. At most 333 IPv4 pod addresses in step 8 and 333 IPv6 in step 8. From step 8 on ...
    """
    columns = _columns(pool)
    rows = _records(frame, ("step", "title", "point_of_no_return", *columns.values()))
    peaks: list[str] = []
    for family, column in columns.items():
        top = max(rows, key=lambda row, column=column: int(row[column]))  # type: ignore[misc]
        word = f" {pool}" if not peaks else ""
        peaks.append(f"{presentation.count(top[column])} {family}{word} in step {top['step']}")
    returns = [row["step"] for row in rows if row["point_of_no_return"]]
    last = f"From step {returns[0]} on undoing is no way back." if returns else "Every step can be undone."
    return f"Bar chart of {counted(len(rows), 'step')}. At most {' and '.join(peaks)}. {last}"


def _columns(pool: str) -> dict[str, str]:
    """Name the columns of a pool by family."""
    if pool not in _POOLS:
        raise InvalidInput(f"pool={pool!r}: expected one of {', '.join(_POOLS)}")
    return {family: f"{family.lower()}_{pool.replace(' ', '_')}" for family in ("IPv4", "IPv6")}


def _records(frame: pd.DataFrame, needed: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows as dicts, after a look at the columns."""
    missing = [name for name in needed if name not in frame]
    if missing:
        raise KeyError(missing[0])
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _new_axes(height: float) -> Axes:
    """Make axes on a new figure, with fixed room in inches for title and scale."""
    from matplotlib import pyplot as plt  # chooses a display, which a saved picture must not need

    total = max(height, _LINE) + _TOP + _BOTTOM
    figure: Figure = plt.figure(figsize=(_WIDTH, total))
    return figure.add_axes((_SIDE / _WIDTH, _BOTTOM / total, 1 - 2 * _SIDE / _WIDTH, 1 - (_TOP + _BOTTOM) / total))


def _write(ax: Axes, y: float, *, head: str, left: str, right: str, colour: str = _INK) -> None:
    """Put one line of text: bold start, rest behind it, amounts at the right edge."""
    style: Mapping[str, Any] = {"size": _TEXT_SIZE, "parse_math": False}
    edge = ax.get_yaxis_transform()
    if head:
        first = ax.text(0, y, head, weight="bold", color=colour, va="center_baseline", transform=edge, **style)
        if left:
            behind: dict[str, Any] = {"xytext": (6, 0), "textcoords": "offset points", "color": _QUIET, "va": "bottom"}
            ax.annotate(left, (1, 0), xycoords=first, **behind, **style)
    if right:
        shade = colour if not head else _QUIET
        ax.text(1, y, right, color=shade, va="center_baseline", ha="right", transform=edge, **style)


def _dress(ax: Axes, *, title: str, label: str, depth: float, reach: float) -> None:
    """Set scale and title, the same for every picture."""
    from matplotlib.ticker import MaxNLocator

    ax.set(xlim=(0, reach), ylim=(depth, 0), yticks=[])
    found = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=reach >= _WHOLE).tick_values(0, reach)
    ticks = [float(tick) for tick in found if 0 <= tick <= reach]
    ax.set_xticks(ticks, [f"{tick:,.10g}" for tick in ticks])
    for tick, words in zip(ticks, ax.get_xticklabels(), strict=True):
        words.set_horizontalalignment("left" if tick == 0 else "right" if tick > _NEAR * reach else "center")
    ax.tick_params(length=0, labelsize=_TEXT_SIZE, labelcolor=_QUIET)
    ax.set_xlabel(label, size=_TEXT_SIZE, color=_QUIET)
    ax.spines[:].set_visible(False)
    ax.set_title(title, loc="left", size=_TEXT_SIZE + 2, weight="bold", color=_INK)
