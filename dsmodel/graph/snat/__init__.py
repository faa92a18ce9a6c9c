"""How many connections a source translator holds at once, and when new ones begin to fail.

A translated connection must be unique as (protocol, translated address, translated port, destination, destination
port), so the limit is per translated address, protocol and destination: a thousand destinations can each use the whole
pool, and one hot destination exhausts it alone. Families never share a pool; on a node they share conntrack.

`PortBudget` and its constructors say what a translator has, `node_budget` whose rule translates on a node;
`snat_pressure` judges columns of connections; `dsmodel.graph.snat.law` holds the arithmetic, `CONSTANTS` the numbers
with date and source.
"""

from dsmodel.graph.snat.budgets import (
    PortBudget,
    aws_nat_gateway,
    azure_load_balancer,
    azure_nat_gateway,
    cilium,
    gcp_cloud_nat,
    linux,
    nptv6,
    untranslated,
)
from dsmodel.graph.snat.conntrack import ConntrackPressure, conntrack_max, conntrack_pressure
from dsmodel.graph.snat.constants import CONSTANTS, Constant, constant
from dsmodel.graph.snat.nodes import node_budget
from dsmodel.graph.snat.pressure import ALL_DESTINATIONS, PROTOCOLS, Connections, Pressure, SnatPool, snat_pressure

__all__ = [
    "ALL_DESTINATIONS",
    "CONSTANTS",
    "PROTOCOLS",
    "Connections",
    "ConntrackPressure",
    "Constant",
    "PortBudget",
    "Pressure",
    "SnatPool",
    "aws_nat_gateway",
    "azure_load_balancer",
    "azure_nat_gateway",
    "cilium",
    "conntrack_max",
    "conntrack_pressure",
    "constant",
    "gcp_cloud_nat",
    "linux",
    "node_budget",
    "nptv6",
    "snat_pressure",
    "untranslated",
]
