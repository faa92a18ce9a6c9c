"""Which address a dual-stack pod tries first, from which source, by which rule, and which family carries it in the end.

`order_destinations` answers for every pair of a pod class and a server at once; `POLICIES` holds what the images of the
field do; `carrying_family` says what happens where the first family is dead.
"""

from dsmodel.graph.selection.candidates import AddressSets
from dsmodel.graph.selection.happy_eyeballs import CLIENTS, Carried, Client, carrying_family
from dsmodel.graph.selection.order import Order, order_destinations
from dsmodel.graph.selection.policies import DESTINATION_RULES, POLICIES, AddressPolicy

__all__ = [
    "CLIENTS",
    "DESTINATION_RULES",
    "POLICIES",
    "AddressPolicy",
    "AddressSets",
    "Carried",
    "Client",
    "Order",
    "carrying_family",
    "order_destinations",
]
