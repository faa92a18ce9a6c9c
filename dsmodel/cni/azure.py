"""Azure CNI: batches of addresses fetched for a node, /24 blocks of an overlay, or all addresses up front.

Promises the arithmetic by which a node's pool of addresses grows and shrinks in whole batches, what an overlay's block
hands out on Linux and on Windows, and both families or nothing. A pod gets any of the node's free addresses.

Azure's choices are map order and the cloud's: which address a pod gets is stood in for by a scan from a random start.
The IPv6 pool that an old release loses with its last address is not modelled.

Sources: Azure/azure-container-networking ``cns/ipampool/monitor.go``, ``cns/ipampool/v2/monitor.go``,
``docs/feature/ipammath/1-ipam-math.md``, ``cns/kubecontroller/nodenetworkconfig/conversion_{linux,windows}.go``,
``cns/restserver/ipam.go``, ``crd/nodenetworkconfig/api/v1alpha``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.contract import Certainty, PoolUsage, Provenance
from dsmodel.cni.node_ranges import RangeRule
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.errors import InvalidField, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from dsmodel.cni.contract import Finding

__all__ = ["EXHAUSTED", "MOST_PODS", "PROVENANCE", "AzureOverlay", "Scaler", "read_node", "static_blocks"]

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


class AzureOverlay(RangePlugin):
    """Azure CNI overlay: a /24 a node, outside the virtual network.

    Parameters
    ----------
    families : sequence of IPFamily
        Those of the cluster.
    windows : bool
        Windows nodes: the first address, the second as gateway, and the last are kept.

    Raises
    ------
    InvalidInput
        No family.

    Examples
    --------
    >>> from dsmodel.cni.node_ranges import pod_cidr_columns
    >>> overlay = AzureOverlay([IPFamily.IPV4])
    >>> overlay.add_ranges(pod_cidr_columns([["10.244.0.0/24"]]))
    array([0])
    >>> overlay.place([0] * 300).placed
    256
    """

    def __init__(self, families: Sequence[IPFamily], *, windows: bool = False) -> None:
        rule = RangeRule(2, 1) if windows else RangeRule()
        super().__init__(PROVENANCE, dict.fromkeys(families, rule), pick="scan")


def read_node(manifest: Mapping[str, Any]) -> tuple[list[PoolUsage], Scaler | None, list[Finding]]:
    """Read a NodeNetworkConfig.

    Parameters
    ----------
    manifest : mapping
        The object as kubectl prints it.

    Returns
    -------
    tuple of list of PoolUsage, Scaler or None, list of (severity, rule, object, message)
        One line a network container and family: addresses it has; which are in use the object does not say, those on
        their way back are ``cooling``. The scaler where there is one. Findings.

    Raises
    ------
    None
        What cannot be read is a finding.

    Notes
    -----
    Source: ``crd/nodenetworkconfig/api/v1alpha/nodenetworkconfig.go``.

    Examples
    --------
    >>> container = {"id": "n", "primaryIP": "10.9.0.4", "subnetAddressSpace": "10.9.0.0/16",
    ...     "ipAssignments": [{"name": "u", "ip": "10.9.0.5"}]}
    >>> node = {"spec": {"requestedIPCount": 16}, "status": {"networkContainers": [container]}}
    >>> usage, scaler, findings = read_node(node)
    >>> usage[0].usable, [finding[1] for finding in findings]
    (1, ['azure-request-not-met'])
    """
    name = f"NodeNetworkConfig/{(manifest.get('metadata') or {}).get('name', '')}"
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    returned = set(spec.get("ipsNotInUse") or ())
    usage: list[PoolUsage] = []
    findings: list[Finding] = []
    for container in status.get("networkContainers") or ():
        try:
            usage.extend(_container(container, returned))
        except InvalidInput as error:
            findings.append(("error", "azure-invalid-object", name, str(error)))
    requested = spec.get("requestedIPCount") or 0
    assigned = sum(len(each.get("ipAssignments") or ()) for each in status.get("networkContainers") or ())
    if requested > assigned and assigned + len(usage) > 0 and not _is_overlay(status):
        text = f"asks for {requested} addresses and has {assigned}; pods beyond them wait until the subnet has room"
        findings.append(("warning", "azure-request-not-met", name, text))
    return usage, _scaler(status.get("scaler") or {}, name, findings), findings


def _is_overlay(status: Mapping[str, Any]) -> bool:
    """Tell whether a node has a block instead of single addresses."""
    return any(each.get("type") in {"overlay", "vnetblock"} for each in status.get("networkContainers") or ())


def _container(container: Mapping[str, Any], returned: set[str]) -> list[PoolUsage]:
    """Count what one network container has."""
    label = str(container.get("type") or "vnet")
    if label == "overlay":
        texts = [container.get("primaryIP"), *(each.get("ip") for each in container.get("ipAssignments") or ())]
        cidrs = [Cidr(str(text), host_bits="mask") for text in texts if text and "/" in str(text)]
        return [PoolUsage(label, cidr.family, str(cidr), cidr.size, 0) for cidr in cidrs]
    subnet = Cidr(str(container.get("subnetAddressSpace", "")), host_bits="mask")
    lines = []
    for family in IPFamily:
        is_ipv6 = family is IPFamily.IPV6
        entries = [e for e in container.get("ipAssignments") or () if (":" in str(e.get("ip", ""))) is is_ipv6]
        sizes = [Cidr(str(e["ip"]), host_bits="mask").size if "/" in str(e.get("ip", "")) else 1 for e in entries]
        leaving = sum(1 for each in entries if each.get("name") in returned)
        if entries:
            lines.append(PoolUsage(label, family, str(subnet), sum(sizes), 0, 0, leaving))
    return lines


def _scaler(fields: Mapping[str, Any], name: str, findings: list[Finding]) -> Scaler | None:
    """Read the scaler."""
    if not fields:
        return None
    try:
        return Scaler(
            fields.get("batchSize") or 16,
            (fields.get("requestThresholdPercent") or 50) / 100,
            (fields.get("releaseThresholdPercent") or 150) / 100,
            fields.get("maxIPCount") or 250,
        )
    except InvalidField as error:
        findings.append(("error", "azure-invalid-scaler", name, str(error)))
        return None
