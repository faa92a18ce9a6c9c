"""How many addresses Azure CNI fetches for a node: whole batches that keep half a batch free, or blocks of 16.

Promises the arithmetic of both rules by which a node's pool grows and shrinks, and of an exhausted subnet.

What it does not know: how long a batch takes to arrive.

Sources: Azure/azure-container-networking ``cns/ipampool/monitor.go``, ``cns/ipampool/v2/monitor.go``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.cni.contract import Certainty, Provenance
from dsmodel.errors import InvalidField

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["EXHAUSTED", "MOST_PODS", "PROVENANCE", "Scaler", "static_blocks"]

PROVENANCE = Provenance(
    "azure-cni",
    Certainty.FROM_SOURCE,
    "Azure/azure-container-networking cbd7560 (August 2026)",
    (
        "cns/ipampool/monitor.go",
        "cns/ipampool/v2/monitor.go",
        "cns/kubecontroller/nodenetworkconfig/conversion_linux.go",
        "cns/kubecontroller/nodenetworkconfig/conversion_windows.go",
        "cns/restserver/ipam.go",
    ),
    "which of a node's free addresses a pod gets",
)

MOST_PODS = 250
"""Pods of a node that AKS allows, overlay included. Source: learn.microsoft.com, Azure CNI overlay."""

_BLOCK = 16  # addresses of a /28 of static block allocation


@dataclass(frozen=True)
class Scaler:
    """How a node's addresses are fetched, ``status.scaler`` of its NodeNetworkConfig.

    Parameters
    ----------
    batch_size : int
        Addresses are fetched and returned in multiples of it.
    request_ratio, release_ratio : float
        Shares of a batch: fetch when fewer are free than the first, return when more than the second.
    max_ips : int
        Most addresses a node may have.

    Raises
    ------
    InvalidField
        A size below 1, or thresholds that cross.

    Examples
    --------
    >>> Scaler().target([0, 8, 9, 25, 249])
    array([ 16,  16,  32,  48, 250])
    """

    batch_size: int = 16
    request_ratio: float = 0.5
    release_ratio: float = 1.5
    max_ips: int = 250

    def __post_init__(self) -> None:
        """Refuse settings that do not settle."""
        if self.batch_size < 1:
            raise InvalidField("status.scaler.batchSize", self.batch_size, "use 1 or more")
        if self.max_ips < 1:
            raise InvalidField("status.scaler.maxIPCount", self.max_ips, "use 1 or more")
        if not 0 <= self.request_ratio < self.release_ratio:
            text = f"is not below the release threshold {self.release_ratio}: the pool would never settle"
            raise InvalidField("status.scaler.requestThresholdPercent", self.request_ratio, text)

    def target(self, used: ArrayLike) -> NDArray[np.int64]:
        """Return how many addresses nodes are given, by the newer rule.

        Parameters
        ----------
        used : array of integers
            Addresses in use on each node.

        Returns
        -------
        ndarray of int64
            ``batch * ceil(request_ratio + used / batch)``, at most ``max_ips``; the primary address is part of it.

        Raises
        ------
        None
            Every input of the declared types has an answer.

        Notes
        -----
        Source: ``calculateTargetIPCountOrMax`` of ``cns/ipampool/v2/monitor.go``.
        """
        batches = np.ceil(self.request_ratio + np.asarray(used, np.int64) / self.batch_size).astype(np.int64)
        return np.asarray(np.minimum(batches * self.batch_size, self.max_ips), np.int64)

    def settle(self, used: ArrayLike, has: ArrayLike) -> NDArray[np.int64]:
        """Return how many addresses nodes have once the older rule is at rest.

        Parameters
        ----------
        used : array of integers
            Addresses in use on each node.
        has : array of integers
            Addresses each node has now.

        Returns
        -------
        ndarray of int64
            Batches are added while less than ``request_ratio`` of a batch is free, and given back while more than
            ``release_ratio`` is, so the answer depends on where a node comes from.

        Raises
        ------
        None
            Every input of the declared types has an answer.

        Notes
        -----
        Source: ``reconcile`` of ``cns/ipampool/monitor.go``.

        Examples
        --------
        >>> Scaler().settle([0, 10, 10, 30], [16, 16, 48, 32])
        array([16, 32, 32, 48])
        """
        busy, count = np.asarray(used, np.int64), np.asarray(has, np.int64)
        # integers, as the monitor compares them
        least = int(self.batch_size * self.request_ratio)
        most = int(self.batch_size * self.release_ratio)
        lacking = np.maximum(-(-(least - (count - busy)) // self.batch_size), 0)
        count = np.minimum(count + lacking * self.batch_size, np.maximum(self.max_ips, count))
        spare = np.maximum(-(-(count - busy - most) // self.batch_size), 0)
        # the last, broken batch below the maximum is given back first
        broken = np.where((spare > 0) & (count % self.batch_size > 0), self.batch_size - count % self.batch_size, 0)
        return np.asarray(count - spare * self.batch_size + broken, np.int64)


EXHAUSTED = Scaler(batch_size=1, request_ratio=1.0, release_ratio=2.0)
"""What a node falls back to while its subnet is flagged exhausted: fetch one, keep one, two at most."""


def static_blocks(max_pods: ArrayLike) -> NDArray[np.int64]:
    """Return how many /28 blocks nodes get with static block allocation.

    Parameters
    ----------
    max_pods : array of integers
        Most pods of each node.

    Returns
    -------
    ndarray of int64
        Enough for one address a pod.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> static_blocks([30, 110, 250])
    array([ 2,  7, 16])
    """
    return np.asarray(-(-np.asarray(max_pods, np.int64) // _BLOCK))
