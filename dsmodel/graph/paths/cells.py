"""What the pipeline judges: flows of one family, with what it asks beside their addresses.

What it does not know: which pods and destinations they stand for (`dsmodel.graph.paths.table`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dsmodel.graph.flows import Flows
    from dsmodel.graph.paths.members import Asked

    Marks = NDArray[np.bool_]

__all__ = ["Cells"]


@dataclass(frozen=True, eq=False)
class Cells:
    """Flows to be judged, with what the pipeline asks beside their addresses.

    Parameters
    ----------
    flows : Flows
        After destination NAT.
    has_source : ndarray of bool, shape (n,)
        Whether the pod has an address of the family.
    place : ndarray of uint8, shape (n,)
        A `Place` of the destination.
    host : ndarray of int32, shape (n,)
        Row of the node that the destination is on; -1 for none.
    is_same : ndarray of bool, shape (n,)
        Whether destination and pod are on one node.
    is_own : ndarray of bool, shape (n,)
        Whether the destination is the pod itself.
    service : ndarray of int16, shape (n,)
        Place in `asked`; 0 for no Service.
    stays : ndarray of bool, shape (n,)
        Whether the destination is an endpoint for traffic alone that has to stay on its node.
    proxy : ndarray of int32, shape (n,)
        Place of the pod's transparent proxy; -1 for none.
    may_have : ndarray of bool, shape (n, proxies)
        Proxies that the pod may have instead, as far as its labels are known.
    asked : tuple of Asked
        What of Services is asked for; the first stands for no Service.
    port : int, optional
        Destination port of all; None for any.
    """

    flows: Flows
    has_source: Marks
    place: NDArray[np.uint8]
    host: NDArray[np.int32]
    is_same: Marks
    is_own: Marks
    service: NDArray[np.int16]
    stays: Marks
    proxy: NDArray[np.int32]
    may_have: Marks
    asked: tuple[Asked | None, ...]
    port: int | None = None
