"""Azure CNI: addresses of a subnet, all up front or in batches, blocks of an overlay, and what a live node says.

Sources: Azure/azure-container-networking; every module names its files.
"""

from __future__ import annotations

from dsmodel.cni.azure.limits import EXHAUSTED, MOST_PODS, PROVENANCE, Scaler, static_blocks
from dsmodel.cni.azure.live import read_node, read_subnet
from dsmodel.cni.azure.overlay import AzureOverlay
from dsmodel.cni.azure.subnet import AzureSubnet

__all__ = [
    "EXHAUSTED",
    "MOST_PODS",
    "PROVENANCE",
    "AzureOverlay",
    "AzureSubnet",
    "Scaler",
    "read_node",
    "read_subnet",
    "static_blocks",
]
