"""Draw how many aligned blocks are left whole, by their length: what "ample free addresses" hide.

Promises: as every picture of `dsmodel.plots`. The line is the share of the blocks of each length that is free now, the
dashed one what would be left were today's load spread at random, as after long churn; counts stand below the lengths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.errors import InvalidInput
from dsmodel.plots.bars import TEXT_SIZE, WIDTH
from dsmodel.reports import presentation
from dsmodel.wording import counted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["fragmentation", "fragmentation_text"]

_INK, _QUIET, _GRID = "#1a1a1a", "#595959", "#ebebeb"
_HEIGHT = 3.9  # inches
_MOST_LENGTHS = 9  # whose counts stand beside each other at 7 inches
_NOW, _SPREAD = "free now", "free, were today's load spread at random"


def fragmentation(
    frame: pd.DataFrame, *, pool: str | None = None, ip_family: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw which share of the aligned blocks of each length is free.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.fragmentation` returns it; ask it for the ``lengths`` that the curve is to have.
    pool : str, optional
        One of its pools; by default the one with most lengths.
    ip_family : str, optional
        "IPv4" or "IPv6"; by default the first of the pool's.
    ax : Axes, optional
        Where to draw; by default a new figure 7 inches wide. An axes of your own should be 6 inches wide.

    Returns
    -------
    Axes
        Two lines, ``free now`` and what chance would leave; ranges of a pool are counted together.

    Raises
    ------
    InvalidInput
        The frame has no such pool, or no counts to draw.
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> frame = ds.reports.fragmentation(ds.examples.nearly_full(), lengths=range(25, 33))
    >>> ax = fragmentation(frame, pool="pod addresses")
    >>> [line.get_label() for line in ax.lines]
    ['free now', "free, were today's load spread at random"]
    """
    rows, name = _chosen(frame, pool, ip_family)
    colour = presentation.FAMILY_COLOURS[str(rows["ip_family"].iloc[0])]
    if ax is None:
        from matplotlib import pyplot as plt  # chooses a display, which a saved picture must not need

        ax = _axes(plt.figure(figsize=(WIDTH, _HEIGHT)))
    places, now, spread = range(len(rows)), rows["now_ratio"].tolist(), rows["spread_ratio"].tolist()
    ax.fill_between(places, spread, now, color=colour, alpha=0.15, linewidth=0, zorder=2)
    ax.plot(places, now, color=colour, marker="o", markersize=5, linewidth=2, zorder=4, label=_NOW, clip_on=False)
    ax.plot(places, spread, color=_QUIET, linestyle=(0, (4, 2)), linewidth=1.5, zorder=3, label=_SPREAD, clip_on=False)
    labels = [
        f"/{length}\n{presentation.count(free)}\nof {presentation.count(whole)}"
        for length, free, whole in zip(rows["prefix_length"], rows["free_blocks"], rows["all_blocks"], strict=True)
    ]
    ax.set_xticks(list(places), labels, size=TEXT_SIZE, color=_QUIET)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "all"], size=TEXT_SIZE, color=_QUIET)
    ax.set(xlim=(-0.4, len(rows) - 0.6), ylim=(0, 1.02))
    ax.tick_params(length=0, pad=6)
    ax.grid(axis="y", color=_GRID, zorder=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(_QUIET)
    title = f"{name[:1].upper()}{name[1:]}: aligned blocks with nothing in use"
    ax.set_title(title, loc="left", size=TEXT_SIZE + 2, weight="bold", color=_INK, parse_math=False)
    height = ax.get_window_extent().height / (ax.figure.dpi or 72) * 72
    legend = ax.legend(
        loc="upper left", bbox_to_anchor=(0, -52 / height), frameon=False, fontsize=TEXT_SIZE, ncols=2,
        borderpad=0, borderaxespad=0, handlelength=3,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_color(_INK)
    return ax


def fragmentation_text(frame: pd.DataFrame, *, pool: str | None = None, ip_family: str | None = None) -> str:
    """Say in words what the curve shows.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.fragmentation` returns it.
    pool, ip_family : str, optional
        As of `fragmentation`.

    Returns
    -------
    str
        One paragraph: each length with its free blocks, and what chance would leave.

    Raises
    ------
    InvalidInput
        The frame has no such pool, or no counts to draw.
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> frame = ds.reports.fragmentation(ds.examples.nearly_full(), lengths=[28])
    >>> fragmentation_text(frame, pool="service addresses")
    'Curve of service addresses, IPv4, over 1 length of blocks. Free: /28 0 of 2 (0 %, <1 % at random).'
    """
    rows, name = _chosen(frame, pool, ip_family)
    told = "; ".join(
        f"/{row['prefix_length']} {presentation.count(row['free_blocks'])} of {presentation.count(row['all_blocks'])} "
        f"({presentation.share(row['now_ratio'])}, {presentation.share(row['spread_ratio'])} at random)"
        for row in rows.to_dict("records")
    )
    return f"Curve of {name}, over {counted(len(rows), 'length')} of blocks. Free: {told}."


def _chosen(frame: pd.DataFrame, pool: str | None, ip_family: str | None) -> tuple[pd.DataFrame, str]:
    """Take one pool's rows of one family, its ranges together, a row a length; and name it."""
    known = frame.dropna(subset=["free_blocks", "all_blocks", "expected_free_blocks"])
    known = known[known["all_blocks"] > 0]
    if known.empty:
        raise InvalidInput("nothing to draw: no pool of the frame has counts of blocks; ask for other lengths")
    name = pool if pool is not None else str(known["pool"].value_counts().idxmax())
    own = known[known["pool"] == name]
    if own.empty:
        raise InvalidInput(f"pool={pool!r}: the frame has {', '.join(dict.fromkeys(known['pool']))}")
    family = ip_family if ip_family is not None else str(own["ip_family"].iloc[0])
    own = own[own["ip_family"] == family]
    if own.empty:
        raise InvalidInput(f"ip_family={ip_family!r}: the frame has none of {name}")
    columns = ["free_blocks", "all_blocks", "expected_free_blocks"]
    rows = own.groupby("prefix_length", as_index=False)[columns].sum().assign(ip_family=family)
    if len(rows) > _MOST_LENGTHS:
        kept = [place * (len(rows) - 1) // (_MOST_LENGTHS - 1) for place in range(_MOST_LENGTHS)]
        rows = rows.iloc[kept]
    whole = rows["all_blocks"].astype("float64")
    ratios = {"now_ratio": rows["free_blocks"].astype("float64"), "spread_ratio": rows["expected_free_blocks"]}
    return rows.assign(**{column: (part / whole).clip(0, 1) for column, part in ratios.items()}), f"{name}, {family}"


def _axes(figure: Figure) -> Axes:
    """Make axes that leave fixed room, in inches, for title, counts and key."""
    width, height = figure.get_size_inches()
    left, right, top, bottom = 0.56, 0.25, 0.45, 1.0
    return figure.add_axes((left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height))
