"""Which sources the nodes rewrite, by which rule, and to what: every masquerading component, over whole columns.

`translate` decides flows; `read_masquerades` says what a cluster runs; one file a component holds what each does.
"""

from dsmodel.graph.masquerade.antrea import Antrea
from dsmodel.graph.masquerade.aws import AwsVpcCni
from dsmodel.graph.masquerade.calico import Calico, CalicoPool
from dsmodel.graph.masquerade.cilium import Cilium
from dsmodel.graph.masquerade.contract import Masquerade, Unmasqueraded, UnreadMasquerade
from dsmodel.graph.masquerade.evaluation import translate
from dsmodel.graph.masquerade.flannel import Flannel
from dsmodel.graph.masquerade.kube_ovn import KubeOvn, KubeOvnSubnet
from dsmodel.graph.masquerade.kube_proxy import KubeProxy
from dsmodel.graph.masquerade.kube_router import KubeRouter
from dsmodel.graph.masquerade.kubenet import Kubenet
from dsmodel.graph.masquerade.masquerade_agent import MasqueradeAgent
from dsmodel.graph.masquerade.ovn import OvnKubernetes
from dsmodel.graph.masquerade.proxies import SidecarProxy
from dsmodel.graph.masquerade.reading import read_masquerades
from dsmodel.graph.masquerade.reference_plugins import ReferencePlugin
from dsmodel.graph.masquerade.services import ServiceFlows, service_traffic

__all__ = [
    "Antrea",
    "AwsVpcCni",
    "Calico",
    "CalicoPool",
    "Cilium",
    "Flannel",
    "KubeOvn",
    "KubeOvnSubnet",
    "KubeProxy",
    "KubeRouter",
    "Kubenet",
    "Masquerade",
    "MasqueradeAgent",
    "OvnKubernetes",
    "ReferencePlugin",
    "ServiceFlows",
    "SidecarProxy",
    "Unmasqueraded",
    "UnreadMasquerade",
    "read_masquerades",
    "service_traffic",
    "translate",
]
