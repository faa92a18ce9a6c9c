"""One resolved path for each pod, destination and family: evaluate precedence first, then search.

`resolve` runs the pipeline of the components in their order and stops at the first final verdict; `difference` compares
two answers. Pods are grouped by what decides, destinations by class; the table of groups and classes is decided, the
rest is looked up when asked for.
"""

from dsmodel.graph.paths.changes import difference
from dsmodel.graph.paths.decisions import Decision, Hop
from dsmodel.graph.paths.destinations import Destination
from dsmodel.graph.paths.resolution import Paths, resolve

__all__ = ["Decision", "Destination", "Hop", "Paths", "difference", "resolve"]
