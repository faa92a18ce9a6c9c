"""Limits that are no addresses, as dated data: what Kubernetes is tested with, and routes of clouds.

Thresholds are published and no component enforces them; a cloud's route table does refuse the next route.

Sources: SIG Scalability, ``configs-and-limits/thresholds.md`` of kubernetes/community, as read for v1.36; each route
table names its own.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ROUTE_TABLES", "THRESHOLDS", "RouteTable", "Threshold"]


@dataclass(frozen=True)
class Threshold:
    """The largest number of one kind of object that Kubernetes tests for.

    Parameters
    ----------
    counts : str
        "nodes", "pods" or "services".
    most : int
        The published number.
    source : str
        Where it is published.
    """

    counts: str
    most: int
    source: str


_SOURCE = "SIG Scalability thresholds, kubernetes/community configs-and-limits/thresholds.md"
THRESHOLDS = (
    Threshold("nodes", 5_000, _SOURCE),
    Threshold("pods", 150_000, _SOURCE),
    Threshold("services", 10_000, _SOURCE),
)


@dataclass(frozen=True)
class RouteTable:
    """How many routes a cloud keeps for nodes' blocks.

    Parameters
    ----------
    cloud : str
        What it is called here.
    most : int
        Routes; each node takes one for each family it has a block of.
    as_of : str
        Year and month of the source.
    source : str
        Where it is published.
    """

    cloud: str
    most: int
    as_of: str
    source: str


ROUTE_TABLES = (
    RouteTable("azure-kubenet", 400, "2026-11", "Use dual-stack kubenet networking in AKS (Microsoft Learn)"),
    RouteTable("gcp-static-routes", 200, "2026-11", "Gardener documentation, quoted in gardener/dashboard#3277"),
)
