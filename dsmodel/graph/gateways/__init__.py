"""Egress gateway policies of every product: whom they select, where they send, and what they do without a gateway.

`read_gateways` reads them from the objects of a cluster, `steer` says what they do to flows, `gateway_table` lists
them. One file a product; `PRODUCTS` holds the order in which products decide on one node.
"""

from dsmodel.graph.gateways.contract import GatewayPolicy, Selection, Subject
from dsmodel.graph.gateways.generic import EgressGateway
from dsmodel.graph.gateways.products import PRODUCTS
from dsmodel.graph.gateways.reading import GatewayRow, gateway_table, read_gateways
from dsmodel.graph.gateways.steering import steer

__all__ = [
    "PRODUCTS",
    "EgressGateway",
    "GatewayPolicy",
    "GatewayRow",
    "Selection",
    "Subject",
    "gateway_table",
    "read_gateways",
    "steer",
]
