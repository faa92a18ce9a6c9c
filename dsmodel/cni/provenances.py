"""Where the rules of every plugin model come from, in one table.

Sources: each row names its own.
"""

from __future__ import annotations

from dsmodel.cni import antrea, aws, azure, flannel, gke, kube_router, kubenet, ovn, whereabouts
from dsmodel.cni.calico import plugin as calico
from dsmodel.cni.cilium import agent as cilium
from dsmodel.cni.contract import Certainty, Provenance

__all__ = ["PROVENANCES"]

_HOST_LOCAL = Provenance(
    "host-local",
    Certainty.RECORDED,
    "containernetworking/plugins v1.1.1",
    (
        "plugins/ipam/host-local/main.go",
        "plugins/ipam/host-local/backend/allocator/allocator.go",
        "plugins/ipam/host-local/backend/disk/backend.go",
    ),
    "where several addresses of one range set are asked for, the first in order",
)

PROVENANCES: tuple[Provenance, ...] = tuple(
    sorted(
        (
            _HOST_LOCAL,
            antrea.PROVENANCE,
            aws.PROVENANCE,
            azure.PROVENANCE,
            calico.PROVENANCE,
            cilium.PROVENANCE,
            flannel.PROVENANCE,
            gke.PROVENANCE,
            kube_router.PROVENANCE,
            kubenet.PROVENANCE,
            ovn.PROVENANCE,
            whereabouts.PROVENANCE,
        ),
        key=lambda row: row.plugin,
    )
)
"""One row a plugin, by name."""
