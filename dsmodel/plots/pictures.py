"""Turn a drawn axes into the bytes of a picture."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["png"]


def png(ax: Axes, *, dpi: int = 96) -> bytes:
    """Write the picture that an axes is part of, and let go of it.

    Parameters
    ----------
    ax : Axes
        As a function of `dsmodel.plots` returns it.
    dpi : int, default 96
        Dots an inch.

    Returns
    -------
    bytes
        A PNG without a date inside; the same picture gives the same bytes.

    Raises
    ------
    None
        Every picture can be written.

    Examples
    --------
    >>> import dsmodel as ds
    >>> png(ds.plots.limits(ds.reports.limits(ds.examples.nearly_full())))[1:4]
    b'PNG'
    """
    from matplotlib import pyplot as plt

    figure, file = ax.figure.get_figure(root=True), io.BytesIO()
    assert figure is not None  # noqa: S101 - a drawn axes has a figure; tells the type checker
    figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None}, facecolor="white")
    plt.close(figure)
    return file.getvalue()
