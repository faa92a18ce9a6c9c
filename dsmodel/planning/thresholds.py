"""Scale limits that Kubernetes publishes and no component enforces, as dated data.

Does not know limits of a cloud or a distribution.

Source: SIG Scalability, ``configs-and-limits/thresholds.md`` of kubernetes/community, as read for v1.36.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["THRESHOLDS", "Threshold"]


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
