"""Cilium's IPAM modes: cluster-pool and kubernetes, multi-pool, and the watermarks of the cloud modes.

Sources: cilium/cilium; every module names its files.
"""

from __future__ import annotations

from dsmodel.cni.cilium.agent import Cilium
from dsmodel.cni.cilium.cluster_pool import ClusterPool
from dsmodel.cni.cilium.live import read_cilium, read_multi_pool
from dsmodel.cni.cilium.multi_pool import MultiPool

__all__ = ["Cilium", "ClusterPool", "MultiPool", "read_cilium", "read_multi_pool"]
