"""Calico IPAM: pools cut into blocks, blocks owned by nodes, addresses queued inside a block.

Sources: projectcalico/calico; every module names its files.
"""

from __future__ import annotations

from dsmodel.cni.calico.live import read_calico
from dsmodel.cni.calico.objects import IPAMConfig, IPPool
from dsmodel.cni.calico.plugin import Calico

__all__ = ["Calico", "IPAMConfig", "IPPool", "read_calico"]
