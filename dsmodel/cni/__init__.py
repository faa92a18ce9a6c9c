"""How each network plugin hands a Pod its addresses: one file a plugin, built from the same pools."""

from __future__ import annotations

from dsmodel.cni.antrea import Antrea, AntreaIPPool
from dsmodel.cni.aws import AwsVpcCni
from dsmodel.cni.azure import AzureOverlay, AzureSubnet
from dsmodel.cni.calico import Calico
from dsmodel.cni.cilium import Cilium, MultiPool
from dsmodel.cni.contract import NetworkPlugin, Placement, PoolUsage, Provenance
from dsmodel.cni.flannel import Flannel, FlannelLeases
from dsmodel.cni.gke import GKE
from dsmodel.cni.host_local import HostLocal
from dsmodel.cni.kube_router import KubeRouter
from dsmodel.cni.kubenet import Kubenet
from dsmodel.cni.ovn import OVNKubernetes
from dsmodel.cni.provenances import PROVENANCES
from dsmodel.cni.whereabouts import Whereabouts, WhereaboutsSlices

__all__ = [
    "GKE",
    "PROVENANCES",
    "Antrea",
    "AntreaIPPool",
    "AwsVpcCni",
    "AzureOverlay",
    "AzureSubnet",
    "Calico",
    "Cilium",
    "Flannel",
    "FlannelLeases",
    "HostLocal",
    "KubeRouter",
    "Kubenet",
    "MultiPool",
    "NetworkPlugin",
    "OVNKubernetes",
    "Placement",
    "PoolUsage",
    "Provenance",
    "Whereabouts",
    "WhereaboutsSlices",
]
