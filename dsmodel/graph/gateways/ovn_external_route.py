"""AdminPolicyBasedExternalRoute of OVN-Kubernetes: next hops for namespaces, by family, from the pod's own node.

Promises: a pod is routed to the next hops of its own family, flows shared among them, and a family without a next hop
keeps the default route; dynamic next hops are the pods that both selectors choose, of nodes that are up. A pod cannot
be used for external gateways and EgressIP at once: these come first.

What it does not know: addresses of other networks of a gateway pod; whether the agents run with
``--disable-snat-multiple-gws``, which decides whether the pod's address or its node's is seen, so the source stays
open; what BFD has noticed.

Sources: ovn-org/ovn-kubernetes ``go-controller/pkg/ovn/base_network_controller_pods.go`` and ``egressgw.go``
(addGWRoutesForPod, deletePodSNAT); ``go-controller/pkg/crd/adminpolicybasedroute/v1``. That a family without a next
hop keeps its route is general knowledge, and was not run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.literals import format_address
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.graph.flows import Exit, Verdict
from dsmodel.graph.gateways.contract import EVERYWHERE, Claim, GatewayPolicy, Product, Selection, Subject, Way
from dsmodel.graph.gateways.manifests import Manifest, family_of_text
from dsmodel.graph.gateways.matching import selected, shapes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.situation import Situation

__all__ = ["EXTERNAL_ROUTE", "ExternalRoute", "claim_external_routes", "read_external_routes"]

_FIELDS = {
    "": ("from", "nextHops"),
    "from": ("namespaceSelector",),
    "nextHops": ("static", "dynamic"),
    "nextHops.static.*": ("ip", "bfdEnabled"),
    "nextHops.dynamic.*": ("podSelector", "namespaceSelector", "networkAttachmentName", "bfdEnabled"),
}


@dataclass(frozen=True, kw_only=True)
class ExternalRoute(GatewayPolicy):
    """One AdminPolicyBasedExternalRoute.

    Parameters
    ----------
    selection : Selection
        Pods.
    hops : tuple of str
        Static next hops, in canonical text.
    gateways : tuple of Selection
        Pods that are dynamic next hops.
    """

    kind: str = "AdminPolicyBasedExternalRoute"
    selection: Selection = field(default_factory=Selection)
    hops: tuple[str, ...] = ()
    gateways: tuple[Selection, ...] = ()


def read_external_routes(cluster: Cluster, version: str) -> tuple[list[ExternalRoute], list[Finding]]:
    """Read the AdminPolicyBasedExternalRoutes of a cluster.

    Parameters
    ----------
    cluster : Cluster
        With its objects.
    version : str
        Of OVN-Kubernetes; empty where not known.

    Returns
    -------
    list of ExternalRoute
        By name.
    list of (severity, rule, object, message)
        What is wrong with them.

    Raises
    ------
    None
        Everything is a finding.
    """
    policies, findings = [], []
    for each in cluster.objects.of("AdminPolicyBasedExternalRoute", "k8s.ovn.org"):
        manifest = Manifest(each, fields=_FIELDS)
        count = len(manifest.items("spec.nextHops.static"))
        hops = [manifest.address(f"spec.nextHops.static.{place}.ip") for place in range(count)]
        policy = ExternalRoute(
            name=manifest.name,
            version=version,
            selection=Selection((Subject(manifest.selector("spec.from.namespaceSelector")),)),
            hops=tuple(address for address in hops if address),
            gateways=tuple(_gateways(manifest)),
        )
        if not policy.hops and not policy.gateways:
            words = "no next hops: nothing is routed; write spec.nextHops"
            manifest.find("warning", "egress-selects-nothing", words)
        policies.append(policy)
        findings += manifest.findings
    return policies, findings


def claim_external_routes(policies: Sequence[GatewayPolicy], situation: Situation) -> Iterator[Claim]:
    """Say where external routes send with these nodes.

    Parameters
    ----------
    policies : sequence of ExternalRoute
        All of them.
    situation : Situation
        The nodes and gateway pods.

    Yields
    ------
    Claim
        One an object and family.

    Raises
    ------
    None
        A family without a next hop falls through, and says so.
    """
    for policy in policies:
        if not isinstance(policy, ExternalRoute):
            continue
        for family in IPFamily:
            exits = [
                Exit(-1, "", f"NextHop/{hop}")
                for hop in policy.hops
                if family_of_text(hop) is family and not {hop, f"NextHop/{hop}"} & situation.failed
            ]
            exits += _pods(policy, family, situation)
            title = f"OVN-Kubernetes {policy.title}"
            if exits:
                reason = f"{title}: {family} goes from the pod's own node to its next hops"
                reason += ", by a hash of the flow" if len(exits) > 1 else ""
                reason += "; whether that node's address is seen depends on --disable-snat-multiple-gws"
                way = Way(Verdict.VIA_GATEWAY, reason, tuple(dict.fromkeys(exits)))
            else:
                way = Way(Verdict.LEAK_FALLTHROUGH, f"{title}: no {family} next hop; {family} keeps its default route")
            yield Claim(policy, family, ((EVERYWHERE[family], way),), policy.selection)


def _pods(policy: ExternalRoute, family: IPFamily, situation: Situation) -> Iterator[Exit]:
    """Yield the pods that are next hops of a family and up."""
    cluster, end = situation.cluster, ENDS[family]
    rows = np.arange(len(cluster.pods)) if policy.gateways else np.zeros(0, np.intp)
    if not len(rows):
        return
    pods = cluster.pods
    shapes = shapes_of(cluster, rows, family=family)
    for chosen, how in selected(cluster, shapes, policy.gateways):
        sure = chosen[how > 1]
        for row in np.flatnonzero(np.isin(shapes.of_pod, sure) & np.asarray(pods[f"has_pod_{end}"])).tolist():
            node, title = int(pods["node"][row]), f"Pod/{pods['namespace'][row]}/{pods['name'][row]}"
            address = format_address(family, to_integers(pods[f"pod_{end}"][row : row + 1])[0])
            up = node < 0 or situation.ready[node]
            if up and not {title, address} & situation.failed:
                yield Exit(node, "", title)


def _gateways(manifest: Manifest) -> Iterator[Selection]:
    """Yield whom each dynamic next hop selects; without a namespace selector nobody."""
    for place in range(len(manifest.items("spec.nextHops.dynamic"))):
        path = f"spec.nextHops.dynamic.{place}"
        spaces, pods = manifest.selector(f"{path}.namespaceSelector"), manifest.selector(f"{path}.podSelector")
        yield Selection((Subject(spaces, pods),))
        if manifest.text(f"{path}.networkAttachmentName"):
            words = f"{path}: addresses of other networks of the gateway pods are not in the dump; the first ones count"
            manifest.find("info", "egress-unknown", words)


EXTERNAL_ROUTE = Product(
    "OVN-Kubernetes external route",
    ExternalRoute,
    read_external_routes,
    claim_external_routes,
    meeting="one policy",
    network="OVN-Kubernetes",
    source="ovn-org/ovn-kubernetes go-controller/pkg/ovn/egressgw.go",
)
"""External routes of namespaces."""
