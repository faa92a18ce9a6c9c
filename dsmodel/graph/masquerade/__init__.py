"""Which sources the nodes rewrite, by which rule, and to what: every masquerading component, over whole columns.

`translate` decides flows; `read_masquerades` says what a cluster runs; one file a component holds what each does.
"""

from dsmodel.graph.masquerade.evaluation import translate
from dsmodel.graph.masquerade.kube_proxy import KubeProxy
from dsmodel.graph.masquerade.kubenet import Kubenet
from dsmodel.graph.masquerade.masquerade_agent import MasqueradeAgent

__all__ = ["KubeProxy", "Kubenet", "MasqueradeAgent", "translate"]
