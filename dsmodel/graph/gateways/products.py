"""The products, in the order in which they decide about a flow on one node.

OVN-Kubernetes' order is its own: access lists first; then external routes, beside which an EgressIP stops working;
then routing policies by priority, EgressService 101 before EgressIP 100. Products of different networks do not share a
node; where a dump has policies of several, the order here is an assumption, and `read_gateways` says so. Gateways that
are written down by hand come last: they get what the cluster's own policies leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.graph.gateways.antrea import ANTREA
from dsmodel.graph.gateways.calico import CALICO
from dsmodel.graph.gateways.cilium import CILIUM
from dsmodel.graph.gateways.generic import GENERIC
from dsmodel.graph.gateways.kube_ovn import KUBE_OVN
from dsmodel.graph.gateways.ovn_egress_firewall import EGRESS_FIREWALL
from dsmodel.graph.gateways.ovn_egress_ip import EGRESS_IP
from dsmodel.graph.gateways.ovn_egress_service import EGRESS_SERVICE
from dsmodel.graph.gateways.ovn_external_route import EXTERNAL_ROUTE

if TYPE_CHECKING:
    from dsmodel.graph.gateways.contract import Product

__all__ = ["PRODUCTS"]

PRODUCTS: tuple[Product, ...] = (
    EGRESS_FIREWALL,
    EXTERNAL_ROUTE,
    EGRESS_SERVICE,
    EGRESS_IP,
    KUBE_OVN,
    CILIUM,
    ANTREA,
    CALICO,
    GENERIC,
)
"""First to decide comes first."""
