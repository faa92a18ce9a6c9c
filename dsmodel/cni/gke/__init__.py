"""GKE: the block rule of maximum pods, alias ranges and IPv6 interface ranges, and what a live cluster's nodes say.

Sources: cloud.google.com and kubernetes/cloud-provider-gcp; every module names its files.
"""

from __future__ import annotations

from dsmodel.cni.gke.live import NODE_POOL, is_gke, read_gke
from dsmodel.cni.gke.plugin import GKE, PROVENANCE, pod_cidrs, pod_prefix

__all__ = ["GKE", "NODE_POOL", "PROVENANCE", "is_gke", "pod_cidrs", "pod_prefix", "read_gke"]
