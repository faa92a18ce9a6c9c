"""Look into a range: what lies where, block by block, whose it is when the pointer rests on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets
from markupsafe import Markup

from dsmodel.addresses.cidr import Cidr
from dsmodel.errors import DsmodelError
from dsmodel.plots.maps import address_map_text, cell_colours, hilbert_curve
from dsmodel.reports.maps import address_map
from dsmodel.widgets.panel import Answer, Control, Explorer, Trouble

if TYPE_CHECKING:
    import pandas as pd

    from dsmodel.cluster.state import Cluster

__all__ = ["AddressMapExplorer"]

_SIDE = 416  # pixels of the map
_DEEPEST = 12  # prefix bits that zooming adds at most
_RECT = Markup(
    '<rect x="{:.1f}" y="{:.1f}" width="{:.2f}" height="{:.2f}" fill="rgb({},{},{})"><title>{}</title></rect>'
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
                ipywidgets.IntSlider(value=0, min=0, max=_DEEPEST, continuous_update=False), "zoom", "prefix bits"
            ),
            "place": Control(
                ipywidgets.IntSlider(value=0, min=0, max=0, continuous_update=False), "block", "number in the range"
            ),
            "cells": Control(ipywidgets.Dropdown(options=[256, 1024, 4096], value=1024), "cells"),
        }
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
        place = self.controls["place"]
        with place.hold_sync():
            place.max = (1 << zoom) - 1
        size = 1 << (whole.host_bits_count - zoom)
        first = whole.first + min(place.value, place.max) * size
        shown = Cidr.from_parts(whole.family, first, whole.prefix_length + zoom)
        frame = address_map(self.cluster, shown, cells=self.controls["cells"].value)
        return Answer(frame, str(Markup("<p>{}</p>{}").format(address_map_text(frame), _svg(frame))))


def _svg(frame: pd.DataFrame) -> Markup:
    """Draw the cells; each names what it is to a pointer that rests on it."""
    x, y = hilbert_curve(len(frame))
    side = 1 << ((len(frame).bit_length() - 1) // 2)
    step = _SIDE / side
    colours = (cell_colours(frame) * 255).round().astype(int).tolist()
    cells = zip(x.tolist(), y.tolist(), colours, frame.to_dict("records"), strict=True)
    shapes = Markup().join(
        _RECT.format(column * step, (side - 1 - row) * step, step, step, *colour, _told(cell))
        for column, row, colour, cell in cells
    )
    return _MAP.format(address_map_text(frame), _SIDE, _SIDE, _SIDE, _SIDE, shapes)


def _told(cell: dict[object, object]) -> str:
    """Say what one cell is."""
    owner = f", {cell['owner']}" if cell["owner"] else ""
    return f"{cell['block']}: {cell['kind']}{owner}, {cell['used']:,} in use"
