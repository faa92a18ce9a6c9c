"""Azure CNI overlay: a /24 a node outside the virtual network, whole on Linux.

Promises what a block hands out on Linux and on Windows, and both families or nothing.

Which of a node's free addresses a pod gets is map order; a scan from a random start stands in for it.

Sources: Azure/azure-container-networking ``cns/kubecontroller/nodenetworkconfig/conversion_linux.go`` and
``conversion_windows.go``, ``cns/restserver/ipam.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.cni.azure.limits import PROVENANCE
from dsmodel.cni.node_ranges import RangeRule
from dsmodel.cni.range_plugin import RangePlugin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsmodel.addresses.cidr import IPFamily

__all__ = ["AzureOverlay"]


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
    >>> from dsmodel.addresses.cidr import IPFamily
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
