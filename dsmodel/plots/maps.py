"""Draw a range as a map: neighbours in the range are neighbours in the picture.

Promises: as every picture of `dsmodel.plots`. Cells lie on a Hilbert curve, so that every aligned block is a square or
two squares beside each other, from a /8 to a /26 in one picture. The colour says what a cell is, its strength how much
of it is in use; borders part owners where they are wide enough to be seen.

Source of the curve: D. Hilbert, "Über die stetige Abbildung einer Linie auf ein Flächenstück" (1891).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Patch

from dsmodel.addresses.cidr import Cidr, format_address
from dsmodel.errors import InvalidInput
from dsmodel.plots.bars import TEXT_SIZE, WIDTH
from dsmodel.reports import presentation
from dsmodel.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["address_map", "address_map_text", "cell_borders", "cell_colours", "hilbert_curve", "kinds_shown"]

_Colour: TypeAlias = tuple[float, float, float]
# kind -> colour when nothing and when all of it is in use; "" stands for the family's own colour
_COLOURS = {
    "outside": ("#ffffff", "#8c8c8c"),
    "free": ("#e4e4e4", "#767676"),
    "reserved": ("#b5b5b5", "#767676"),
    "leaked": ("#f2b8a8", "#a11d00"),
    "node block": ("pale", ""),
    "dynamic band": ("pale", ""),
    "static band": ("paler", ""),
    "named": ("#d9c3e6", "#6a3d8a"),
}
_PALE, _PALER = 0.30, 0.14  # share of the family's colour where nothing is in use
_INK = "#1a1a1a"
_QUIET = "#595959"
_SIDE = 5.2  # inches of the square
_MOST_BORDERS = 12_000  # beyond this borders hide what they part


def address_map(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw what lies where in a range.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.address_map` returns it.
    ax : Axes, optional
        Where to draw; by default a new figure 7 inches wide. An axes of your own should be square, 4 inches at least.

    Returns
    -------
    Axes
        One image; cell ``i`` of the frame is at ``hilbert_curve`` place ``i``, the first at the lower left.

    Raises
    ------
    InvalidInput
        The number of rows is no power of 4.
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> cluster = ds.examples.nearly_full()
    >>> ax = address_map(ds.reports.address_map(cluster, cells=1024))
    >>> ax.images[0].get_array().shape
    (32, 32, 4)
    """
    x, y = hilbert_curve(len(frame))
    side = 1 << ((len(frame).bit_length() - 1) // 2)
    picture = np.ones((side, side, 4))
    picture[y, x, :3] = cell_colours(frame)
    if ax is None:
        from matplotlib import pyplot as plt  # chooses a display, which a saved picture must not need

        ax = _axes(plt.figure(figsize=(WIDTH, _SIDE + 0.95)))
    ax.imshow(picture, origin="lower", interpolation="nearest", extent=(0, side, 0, side), zorder=1)
    width = float(np.clip(48 / side, 0.25, 1.2))
    for column, colour, order in (("owner", "#ffffff", 2), ("kind", _INK, 3)):  # a light line, and a dark one above it
        lines = LineCollection(list(cell_borders(frame, column)), colors=colour, linewidths=width, zorder=order)
        ax.add_collection(lines)
    _dress(ax, frame)
    return ax


def address_map_text(frame: pd.DataFrame) -> str:
    """Say in words what the map shows.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.address_map` returns it.

    Returns
    -------
    str
        One paragraph: the range, the share of each kind, addresses in use.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> address_map_text(ds.reports.address_map(ds.examples.nearly_full(), cells=256))
    'Map of 10.244.0.0/20 in 256 cells of /28: ...; ... addresses in use.'
    """
    counts = frame["kind"].value_counts(sort=False)
    shares = ", ".join(f"{kind} {presentation.share(n / len(frame))}" for kind, n in counts.items() if n)
    mask = str(frame["block"].iloc[0]).rpartition("/")[2]
    return (
        f"Map of {_range(frame)} in {counted(len(frame), 'cell')} of /{mask}: {shares}; "
        f"{counted(int(frame['used'].sum()), 'address')} in use."
    )


def hilbert_curve(n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each step of a Hilbert curve through a square lies.

    Parameters
    ----------
    n : int
        Cells of the square, a power of 4.

    Returns
    -------
    tuple of (int64[n], int64[n])
        Column and row of each step, from the lower left corner; steps that follow each other are neighbours.

    Raises
    ------
    InvalidInput
        ``n`` is no power of 4.

    Examples
    --------
    >>> [column.tolist() for column in hilbert_curve(4)]
    [[0, 0, 1, 1], [0, 1, 1, 0]]
    """
    if n < 1 or n & (n - 1) or n.bit_length() % 2 == 0:
        raise InvalidInput(f"{n} cells: a Hilbert curve fills a square of 1, 4, 16, 64, ... cells")
    rest = np.arange(n, dtype=np.int64)
    x, y = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for bit in range((n.bit_length() - 1) // 2):
        right = (rest >> 1) & 1
        up = (rest ^ right) & 1
        # the quarter at the lower left and the one at the lower right are turned
        turned = up == 0
        mirrored = turned & (right == 1)
        top = (1 << bit) - 1
        x, y = np.where(mirrored, top - x, x), np.where(mirrored, top - y, y)
        x, y = np.where(turned, y, x), np.where(turned, x, y)
        x, y = x + (right << bit), y + (up << bit)
        rest >>= 2
    return x, y


def _range(frame: pd.DataFrame) -> str:
    """Return the range as text."""
    return str(frame.attrs.get("range") or f"{frame['block'].iloc[0]} to {frame['block'].iloc[-1]}")


def _paled(colour: str, share: float) -> _Colour:
    """Mix a colour with white."""
    red, green, blue = (1.0 + (part - 1.0) * share for part in to_rgb(colour))
    return red, green, blue


def _ends(kind: str, family: str) -> tuple[_Colour, _Colour]:
    """Return a kind's colours when nothing and when all of it is in use."""
    first, last = _COLOURS[kind]
    own = presentation.FAMILY_COLOURS[family]
    if first in {"pale", "paler"}:
        return _paled(own, _PALE if first == "pale" else _PALER), to_rgb(own)
    return to_rgb(first), to_rgb(last)


def cell_colours(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Choose the colour of each cell by what it is and how much of it is in use.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.address_map` returns it.

    Returns
    -------
    ndarray of float64, shape (cells, 3)
        Red, green, blue, 0 to 1.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> cell_colours(ds.reports.address_map(ds.examples.nearly_full(), cells=4)).shape
    (4, 3)
    """
    share = frame["used_ratio"].to_numpy(np.float64)
    if 0 < share.max(initial=0.0) < 0.01:  # a wide cell is never full: the fullest is drawn as such
        share = np.log1p(frame["used"].to_numpy(np.float64))
        share = share / share.max()
    family = str(frame["ip_family"].iloc[0])
    kinds = list(frame["kind"].cat.categories) if hasattr(frame["kind"], "cat") else sorted(frame["kind"].unique())
    ends = np.array([_ends(str(kind), family) for kind in kinds])
    codes = pd.Categorical(frame["kind"], categories=pd.Index(kinds)).codes
    chosen = ends[codes]
    # the root shows a few addresses, which a straight scale would not
    mixed: NDArray[np.float64] = chosen[:, 0] + (chosen[:, 1] - chosen[:, 0]) * np.sqrt(np.minimum(share, 1.0))[:, None]
    return mixed


def cell_borders(frame: pd.DataFrame, column: str) -> NDArray[np.int64]:
    """Find where cells of different owners, or of different kinds, lie beside each other.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.address_map` returns it.
    column : str
        ``owner`` or ``kind``.

    Returns
    -------
    ndarray of int64, shape (borders, 2, 2)
        Both ends of each, column and row counted in cells from the lower left corner; none where there are so many
        that they would hide what they part.

    Raises
    ------
    InvalidInput
        The number of rows is no power of 4.
    KeyError
        If the column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> frame = ds.reports.address_map(ds.examples.nearly_full(), "10.244.0.0/24", cells=4)
    >>> frame["owner"].tolist(), cell_borders(frame, "owner").tolist()
    (['node-0', 'node-0', 'node-1', 'node-1'], [[[1, 0], [1, 1]], [[1, 1], [1, 2]]])
    """
    x, y = hilbert_curve(len(frame))
    side = 1 << ((len(frame).bit_length() - 1) // 2)
    grid = np.zeros((side, side), np.int64)
    grid[y, x] = pd.factorize(frame[column])[0]
    rows, columns = np.nonzero(grid[:, 1:] != grid[:, :-1])
    upright = np.stack([np.stack([columns + 1, rows], 1), np.stack([columns + 1, rows + 1], 1)], 1)
    rows, columns = np.nonzero(grid[1:, :] != grid[:-1, :])
    level = np.stack([np.stack([columns, rows + 1], 1), np.stack([columns + 1, rows + 1], 1)], 1)
    found = np.concatenate([upright, level])
    return found if len(found) <= _MOST_BORDERS else found[:0]


def kinds_shown(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return what belongs into the key of a map.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.address_map` returns it.

    Returns
    -------
    list of (str, str, str)
        Of each kind that is there: its name with the number of its cells, and its colours, as ``#rrggbb``, when
        nothing and when all of a cell is in use.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import dsmodel as ds
    >>> kinds_shown(ds.reports.address_map(ds.examples.nearly_full(), "10.244.0.0/23", cells=4))
    [('node block, 4 cells', '#b2d5e8', '#0072b2')]
    """
    family, found = str(frame["ip_family"].iloc[0]), []
    for kind, n in frame["kind"].value_counts(sort=False).items():
        if n:
            empty, full = map(to_hex, _ends(str(kind), family))
            found.append((f"{kind}, {counted(int(n), 'cell')}", empty, full))
    return found


def _axes(figure: Figure) -> Axes:
    """Make a square with fixed room for the title above and the key at its right."""
    width, height = figure.get_size_inches()
    return figure.add_axes((0.15 / width, 0.45 / height, _SIDE / width, _SIDE / height))


def _dress(ax: Axes, frame: pd.DataFrame) -> None:
    """Set title, ends of the range, and the key with the number of cells of each kind."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(color=_QUIET, linewidth=0.8)
    mask = str(frame["block"].iloc[0]).rpartition("/")[2]
    title = f"{_range(frame)}: {counted(int(frame['used'].sum()), 'address')} in use, a cell is a /{mask}"
    ax.set_title(title, loc="left", size=TEXT_SIZE + 2, weight="bold", color=_INK)
    first, last = Cidr(str(frame["block"].iloc[0])), Cidr(str(frame["block"].iloc[-1]))
    ends = (format_address(first.family, first.first), format_address(last.family, last.last))
    for place, align, text in ((0.0, "left", f"{ends[0]} (first)"), (1.0, "right", f"{ends[1]} (last)")):
        ax.text(place, -0.015, text, ha=align, va="top", size=TEXT_SIZE, color=_QUIET, transform=ax.transAxes)
    patches = [
        Patch(facecolor=empty, edgecolor=full, label=label.replace(", ", "\n"), linewidth=1.6)
        for label, empty, full in kinds_shown(frame)
    ]
    ax.legend(
        handles=patches,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        frameon=False,
        fontsize=TEXT_SIZE,
        borderaxespad=0.0,
        labelspacing=0.8,
        handlelength=1.2,
    )
