"""What the proxy of a node does with flows to Services, for the cells of the pipeline.

Promises the decision of `dsmodel.graph.masquerade.services` for each cell: on the pod's own node before anything else
sees the packet, and, for a node port that was asked for on another node, by that node's proxy, which sees the source
that the first node gave.

What it does not know: ``nodePortAddresses``; node ports are open on every InternalIP.

Sources: those of `dsmodel.graph.masquerade.services`; ``pkg/proxy/util/localdetector.go`` of the v1.36 line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import addresses_in
from dsmodel.graph.masquerade import KubeProxy
from dsmodel.graph.masquerade.services import SOURCES, TARGETS, ServiceFlows, Source, Target, service_traffic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr, IPFamily
    from dsmodel.graph.masquerade import Cilium
    from dsmodel.graph.masquerade.services import ServiceTraffic
    from dsmodel.graph.paths.cells import Cells
    from dsmodel.graph.paths.members import Asked

    Marks = NDArray[np.bool_]

__all__ = ["Shapes", "denied", "served_elsewhere", "served_here"]


@dataclass(frozen=True, eq=False)
class Shapes:
    """What cells ask for, one value a cell.

    Parameters
    ----------
    target : ndarray of uint8, shape (n,)
        Place in `TARGETS`; means nothing where no Service is asked for.
    internal_local, external_local : ndarray of bool, shape (n,)
        The traffic policies.
    elsewhere : ndarray of bool, shape (n,)
        Whether another node's proxy decides.
    has_local, leaves : ndarray of bool, shape (n,)
        Whether that node has an endpoint, and whether there is one outside the cluster.
    """

    target: NDArray[np.uint8]
    internal_local: Marks
    external_local: Marks
    elsewhere: Marks
    has_local: Marks
    leaves: Marks

    @classmethod
    def of(cls, asked: Sequence[Asked | None], service: NDArray[np.integer]) -> Shapes:
        """Look up what cells ask for.

        Parameters
        ----------
        asked : sequence of Asked
            Each once; the first stands for no Service.
        service : ndarray of integers, shape (n,)
            Place among them.

        Returns
        -------
        Shapes
            A value a cell in each column.

        Raises
        ------
        None
            No cells have no values.
        """
        target = np.array([0 if each is None else TARGETS.index(each.target) for each in asked], np.uint8)
        flags = [
            np.array([each is not None and bool(getattr(each, name)) for each in asked], np.bool_)
            for name in ("internal_local", "external_local", "node_address", "has_local", "leaves")
        ]
        return cls(target[service], *(flag[service] for flag in flags))


def served_here(cells: Cells, shapes: Shapes, rows: NDArray[np.integer], proxy: KubeProxy | Cilium) -> ServiceTraffic:
    """Let the proxy of the pod's own node decide.

    Parameters
    ----------
    cells : Cells
        Of the pipeline.
    shapes : Shapes
        What each asks for.
    rows : ndarray of integers, shape (n,)
        Cells that ask for a Service.
    proxy : KubeProxy or Cilium
        Of every node.

    Returns
    -------
    ServiceTraffic
        One answer a row.

    Raises
    ------
    None
        What is not known is ``unknown``.
    """
    flows = cells.flows
    host = flows.host[rows]
    is_pod = ~host & (_is_local(proxy, flows.source[rows], flows.family) if isinstance(proxy, KubeProxy) else np.True_)
    source = np.where(is_pod, SOURCES.index(Source.POD), SOURCES.index(Source.EXTERNAL))
    source[host] = SOURCES.index(Source.NODE)
    return service_traffic(
        proxy,
        ServiceFlows(
            shapes.target[rows],
            source.astype(np.uint8),
            shapes.external_local[rows],
            shapes.internal_local[rows],
            cells.is_same[rows],
            cells.is_own[rows],
        ),
        family=flows.family,
    )


def served_elsewhere(
    shapes: Shapes, rows: NDArray[np.integer], source: NDArray[Any], *, proxy: KubeProxy, family: IPFamily
) -> ServiceTraffic:
    """Let the proxy of the node whose port was asked for decide.

    Parameters
    ----------
    shapes : Shapes
        What each cell asks for.
    rows : ndarray of integers, shape (n,)
        Cells that ask for a port of another node.
    source : address column, shape (n,)
        Source of each row as it arrives there.
    proxy : KubeProxy
        Of every node.
    family : IPFamily
        Of the addresses.

    Returns
    -------
    ServiceTraffic
        One answer a row.

    Raises
    ------
    None
        What is not known is ``unknown``.

    Notes
    -----
    Only a cluster CIDR takes a pod of another node for a local one; by a node's CIDR or an interface it is none.
    """
    is_pod = np.zeros(len(rows), np.bool_)
    if proxy.detect_local_mode == "ClusterCIDR":
        is_pod = _is_local(proxy, source, family) & proxy.detector(family).works
    code = np.where(is_pod, SOURCES.index(Source.POD), SOURCES.index(Source.EXTERNAL)).astype(np.uint8)
    no = np.zeros(len(rows), np.bool_)
    target = np.full(len(rows), TARGETS.index(Target.NODE_PORT), np.uint8)
    flows = ServiceFlows(target, code, shapes.external_local[rows], no, shapes.has_local[rows], no)
    return service_traffic(proxy, flows, family=family)


def denied(cells: Cells, proxy: KubeProxy | Cilium) -> Marks:
    """Say which flows to the address of a load balancer its source ranges keep out.

    Parameters
    ----------
    cells : Cells
        Of the pipeline.
    proxy : KubeProxy or Cilium
        Of every node; Cilium looks at source ranges where packets arrive from outside only.

    Returns
    -------
    ndarray of bool, shape (n,)
        Ranges of one family say nothing of the other.

    Raises
    ------
    None
        No ranges keep nobody out.
    """
    found = np.zeros(len(cells.flows), np.bool_)
    if not isinstance(proxy, KubeProxy):
        return found
    for place, each in enumerate(cells.asked):
        if each is not None and each.source_ranges:
            mine = np.flatnonzero(cells.service == place)
            found[mine] = ~addresses_in(cells.flows.source[mine], list(each.source_ranges))
    return found


def _is_local(proxy: KubeProxy, column: NDArray[Any], family: IPFamily) -> Marks:
    """Say which sources kube-proxy takes for pods of its node; sources are those of pods there."""
    first: Cidr | None = next(iter(proxy.local_sources(family).cidrs), None)
    return np.ones(len(column), np.bool_) if first is None else addresses_in(column, [first])
