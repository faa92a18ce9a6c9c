"""Draw report frames.

Promises: every function takes a frame and an optional ``ax`` and returns the `Axes`; IPv4 and IPv6 have the same two
colours in every picture, and colour is never the only key; labels neither overlap nor leave the picture at 7 inches;
the same frame gives the same PNG bytes. Knows the columns of the frames and nothing of clusters or pools.
"""

from dsmodel.plots.bars import (
    IPV4_COLOUR,
    IPV6_COLOUR,
    MOST_ROWS,
    NEUTRAL_COLOUR,
    alt_text,
    limits,
    save,
    utilization,
)
from dsmodel.plots.fans import binding_shares, binding_shares_text, fan, fan_text, save_fan
from dsmodel.plots.fragmentation import fragmentation, fragmentation_text
from dsmodel.plots.maps import address_map, address_map_text
from dsmodel.plots.paths import path, path_text
from dsmodel.plots.pictures import png
from dsmodel.plots.plans import layouts, layouts_text, migration, migration_text
from dsmodel.plots.topology import topology, topology_text

__all__ = [
    "IPV4_COLOUR",
    "IPV6_COLOUR",
    "MOST_ROWS",
    "NEUTRAL_COLOUR",
    "address_map",
    "address_map_text",
    "alt_text",
    "binding_shares",
    "binding_shares_text",
    "fan",
    "fan_text",
    "fragmentation",
    "fragmentation_text",
    "layouts",
    "layouts_text",
    "limits",
    "migration",
    "migration_text",
    "path",
    "path_text",
    "png",
    "save",
    "save_fan",
    "topology",
    "topology_text",
    "utilization",
]
