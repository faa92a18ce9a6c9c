"""Look into a range: what lies where, block by block, whose it is when the pointer rests on it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import ipywidgets
from markupsafe import Markup

from dsmodel.addresses.cidr import Cidr
from dsmodel.errors import DsmodelError
from dsmodel.plots.maps import address_map_text, cell_borders, cell_colours, hilbert_curve, kinds_shown
from dsmodel.reports.maps import address_map
from dsmodel.widgets.panel import Answer, Control, Explorer, Trouble

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster

__all__ = ["AddressMapExplorer"]

_SIDE = 416  # pixels of the map
_DEEPEST = 12  # prefix bits that zooming adds at most
_LINES = Markup('<path d="{}" stroke="{}" stroke-width="{}" fill="none" pointer-events="none"/>')
_KEY = Markup(
    "<span style='display:inline-block;width:.9em;height:.9em;vertical-align:-.1em;background:{};"
    "border:2px solid {}'></span>&nbsp;{}&emsp;"
)
_MAP = Markup(
    '<svg role="img" aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}" shape-rendering="crispEdges">{}</svg>'
)


class AddressMapExplorer(Explorer):
    """Zoom and pan in a range of a cluster, and see who owns what.

    Parameters
    ----------
    cluster : Cluster
        With at least one range.

    Attributes
    ----------
    controls : dict
        ``within`` (a CIDR), ``zoom`` (prefix bits into it), ``place`` (which of the blocks of that size), ``cells``.
    frame : pandas.DataFrame
        As `dsmodel.reports.address_map` answers for the block that is shown.

    Raises
    ------
    None
        What is wrong is shown beside its control.

    Examples
    --------
    >>> import dsmodel as ds
    >>> explorer = AddressMapExplorer(ds.examples.nearly_full())
    >>> explorer.controls["zoom"].value = 4
    >>> explorer.controls["place"].value = 1
    >>> explorer.frame.attrs["range"]
    '10.244.1.0/24'
    """

    def __init__(self, cluster: Cluster) -> None:
        ranges = (*cluster.config.cluster_cidrs, *cluster.config.service_cidrs)
        controls = {
            "within": Control(
                ipywidgets.Combobox(
                    value=str(ranges[0]) if ranges else "", options=[*map(str, ranges)], continuous_update=False
                ),
                "range",
                "any CIDR",
            ),
            "zoom": Control(
                ipywidgets.IntSlider(value=0, min=0, max=_DEEPEST, continuous_update=False),
                "zoom",
                f"0 to {_DEEPEST} prefix bits",
            ),
            "place": Control(
                ipywidgets.IntSlider(value=0, min=0, max=0, continuous_update=False),
                "block",
                "its number in the range, from 0",
            ),
            "cells": Control(
                ipywidgets.Dropdown(options=[256, 1024, 4096], value=1024), "cells", "of the map, at most"
            ),
        }
        self._zoom = 0
        super().__init__("What lies where?", controls, cluster=cluster, slow=len(cluster.pods) > 500_000)

    def answer(self) -> Answer:
        """Draw the block that the controls say.

        Returns
        -------
        Answer
            Cells as a frame, and a map whose cells tell their owner.

        Raises
        ------
        Trouble
            The range is none.
        """
        assert self.cluster is not None  # noqa: S101 - an explorer of this class has one; tells the type checker
        try:
            whole = Cidr(self.controls["within"].value.strip(), host_bits="mask")
        except DsmodelError as error:
            raise Trouble("within", str(error)) from error
        zoom = min(self.controls["zoom"].value, whole.host_bits_count)
        size = 1 << (whole.host_bits_count - zoom)
        first = whole.first + self._place(zoom) * size
        shown = Cidr.from_parts(whole.family, first, whole.prefix_length + zoom)
        frame = address_map(self.cluster, shown, cells=self.controls["cells"].value)
        key = Markup().join(_KEY.format(empty, full, label) for label, empty, full in kinds_shown(frame))
        hint = Markup("Rest the pointer on a cell to read whose it is. A darker cell has more addresses in use.")
        words = Markup("<p>{}<br>{}</p>{}<p>{}</p>").format(address_map_text(frame), hint, _svg(frame), key)
        return Answer(frame, str(words))

    def _place(self, zoom: int) -> int:
        """Return the block that is shown; where the zoom moved, the one at the start of what was shown before."""
        control, closer, self._zoom = self.controls["place"], zoom - self._zoom, zoom
        place = control.value << closer if closer > 0 else control.value >> -closer
        most = (1 << zoom) - 1
        control.unobserve(self._changed, names="value")  # what follows is no new question
        with control.hold_sync():
            control.max = max(most, control.value)
            control.value = min(place, most)
            control.max = most
        control.observe(self._changed, names="value")
        return int(control.value)


def _svg(frame: pd.DataFrame) -> Markup:
    """Draw the cells; each names what it is to a pointer that rests on it."""
    x, y = hilbert_curve(len(frame))
    side = 1 << ((len(frame).bit_length() - 1) // 2)
    step = _SIDE / side
    colours = (cell_colours(frame) * 255).round().astype(int).tolist()
    places = zip((x * step).tolist(), ((side - 1 - y) * step).tolist(), colours, _told(frame), strict=True)
    shapes = Markup(  # noqa: S704 - numbers, and words that are escaped; a template would take the time of ten moves
        "".join(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{step:.2f}" height="{step:.2f}" fill="rgb({r},{g},{b})">'
            f"<title>{escape(words)}</title></rect>"
            for left, top, (r, g, b), words in places
        )
    )
    lines = Markup().join(
        _LINES.format(_path(cell_borders(frame, column), side), colour, width)
        for column, colour, width in (("owner", "#ffffff", 0.5), ("kind", "#1a1a1a", 1))
    )
    return _MAP.format(address_map_text(frame), _SIDE, _SIDE, _SIDE, _SIDE, shapes + lines)


def _path(borders: NDArray[np.int64], side: int) -> str:
    """Write borders as what an SVG path draws."""
    step = _SIDE / side
    ends = borders * step
    ends[..., 1] = _SIDE - ends[..., 1]
    return "".join(f"M{x0:g} {y0:g}L{x1:g} {y1:g}" for (x0, y0), (x1, y1) in ends.tolist())


def _told(frame: pd.DataFrame) -> list[str]:
    """Say what each cell is."""
    columns = (frame[name].tolist() for name in ("block", "kind", "owner", "used"))
    return [
        f"{block}: {kind}{', ' * bool(owner)}{owner}, {used:,} in use"
        for block, kind, owner, used in zip(*columns, strict=True)
    ]
