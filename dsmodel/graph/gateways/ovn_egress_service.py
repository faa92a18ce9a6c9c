"""EgressService of OVN-Kubernetes: pods behind a load balancer leave with its ingress address, one host at a time.

Promises: ``status.host`` is taken while that node is up; else any ready node of the node selector may be elected, with
the same source; a family without an ingress address, or no node at all, falls through. It comes before EgressIP.

What it does not know: which of several nodes is elected; interfaces of a `network`; the moments in which a change of
host leaks. Pods are those of the Service's selector; where the Service itself is not among the objects, they are open.

Sources: ovn-org/ovn-kubernetes ``go-controller/pkg/clustermanager/egressservice``, ``go-controller/pkg/ovn/controller/
egressservice``, ``docs/features/cluster-egress-controls/egress-service.md`` (December 2024).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.literals import format_address
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.graph.flows import Exit, Verdict
from dsmodel.graph.gateways.contract import EVERYWHERE, Claim, GatewayPolicy, Product, Selection, Subject, Way
from dsmodel.graph.gateways.manifests import Manifest, family_of_text
from dsmodel.kube.label_selectors import LabelSelector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.situation import Situation

__all__ = ["EGRESS_SERVICE", "EgressService", "claim_egress_services", "read_egress_services"]

_ALL = LabelSelector(())
_FIELDS = {"": ("sourceIPBy", "nodeSelector", "network")}


@dataclass(frozen=True, kw_only=True)
class EgressService(GatewayPolicy):
    """One EgressService, with what is known of its Service.

    Parameters
    ----------
    selection : Selection
        Pods of the Service.
    source_by : str
        "LoadBalancerIP" or "Network".
    nodes : LabelSelector
        Who may be the host.
    host : str
        ``status.host``; empty where there is none.
    ingress : tuple of str
        Addresses of the load balancer, in canonical text.
    """

    kind: str = "EgressService"
    selection: Selection = field(default_factory=Selection)
    source_by: str = "LoadBalancerIP"
    nodes: LabelSelector = _ALL
    host: str = ""
    ingress: tuple[str, ...] = ()


def read_egress_services(cluster: Cluster, version: str) -> tuple[list[EgressService], list[Finding]]:
    """Read the EgressServices of a cluster.

    Parameters
    ----------
    cluster : Cluster
        With its objects and Services.
    version : str
        Of OVN-Kubernetes; empty where not known.

    Returns
    -------
    list of EgressService
        By namespace and name.
    list of (severity, rule, object, message)
        What is wrong with them.

    Raises
    ------
    None
        Everything is a finding.
    """
    policies, findings = [], []
    services = {}
    for each in cluster.objects.of("Service", ""):
        service = Manifest(each)
        services[service.namespace, service.name] = service
    for each in cluster.objects.of("EgressService", "k8s.ovn.org"):
        manifest = Manifest(each, fields=_FIELDS)
        source_by = manifest.text("spec.sourceIPBy") or "LoadBalancerIP"
        if source_by not in {"LoadBalancerIP", "Network"}:
            words = f"sourceIPBy {source_by!r} is none of LoadBalancerIP and Network; LoadBalancerIP is assumed"
            manifest.find("error", "egress-invalid-field", words)
            source_by = "LoadBalancerIP"
        found = services.get((manifest.namespace, manifest.name))
        policy = EgressService(
            namespace=manifest.namespace,
            name=manifest.name,
            version=version,
            selection=Selection((_subject(manifest, found),)),
            source_by=source_by,
            nodes=manifest.selector("spec.nodeSelector", absent=_ALL),
            host=manifest.text("status.host"),
            ingress=_ingress(cluster, manifest, found),
        )
        policies.append(policy)
        findings += manifest.findings
    return policies, findings


def claim_egress_services(policies: Sequence[GatewayPolicy], situation: Situation) -> Iterator[Claim]:
    """Say what EgressServices do with these nodes.

    Parameters
    ----------
    policies : sequence of EgressService
        All of them.
    situation : Situation
        The nodes.

    Yields
    ------
    Claim
        One an object and family.

    Raises
    ------
    None
        Without a host or an address they fall through, and say so.
    """
    for policy in policies:
        if isinstance(policy, EgressService):
            for family in IPFamily:
                way = _way(policy, family, situation)
                yield Claim(policy, family, ((EVERYWHERE[family], way),), policy.selection)


def _way(policy: EgressService, family: IPFamily, situation: Situation) -> Way:
    """Return what an object does in one family."""
    title = f"OVN-Kubernetes {policy.title}"
    if policy.source_by == "Network":
        reason = f"{title}: sourceIPBy Network: leaves by the pod's own node with that node's address in the network"
        return Way(Verdict.VIA_GATEWAY, reason, (Exit(-1, "", "Node/of the pod"),))
    source = next((each for each in policy.ingress if family_of_text(each) is family), "")
    if not source:
        reason = f"{title}: its load balancer has no {family} address; {family} is not rewritten by it"
        return Way(Verdict.LEAK_FALLTHROUGH, reason)
    if source in situation.failed:
        return Way(Verdict.DROPPED_NO_EGRESS_IP, f"{title}: {source} is down")
    host = situation.rows.get(policy.host, -1)
    if policy.host and (situation.ready[host] if host >= 0 else policy.host not in situation.failed):
        exits = (Exit(host, source, f"Node/{policy.host}"),)
        return Way(Verdict.VIA_GATEWAY, f"{title}: {family} leaves by its host as {source}", exits)
    return _elected(policy, f"{title}: {family} leaves as {source}", source, situation)


def _elected(policy: EgressService, reason: str, source: str, situation: Situation) -> Way:
    """Return what happens while the host is not known or down: any ready node may be elected."""
    rows, unsure = situation.chosen(policy.nodes)
    exits = tuple(Exit(row, source, situation.name(row)) for row in rows if situation.ready[row])
    title = f"OVN-Kubernetes {policy.title}"
    if unsure:
        return Way(Verdict.UNKNOWN, f"{title}: labels of nodes are not known, so its host is open", exits)
    if exits:
        reason += "" if len(exits) == 1 else "; which ready node is elected is not known"
        return Way(Verdict.VIA_GATEWAY, reason, exits)
    reason = f"{title}: no ready node fits its nodeSelector; traffic leaves by the pod's own node"
    return Way(Verdict.LEAK_FALLTHROUGH, reason)


def _subject(manifest: Manifest, service: Manifest | None) -> Subject:
    """Return the pods of the Service; open where it is not known."""
    names = frozenset({manifest.namespace})
    if service is None:
        words = "its Service is not among the objects, so its pods are not known; add the Service to the dump"
        manifest.find("info", "egress-unknown", words)
        return Subject(names=names, certain=False)
    selector = service.mapping("spec.selector")
    given = Manifest({"kind": "Service", "metadata": {"name": service.name}, "s": {"matchLabels": dict(selector)}})
    chosen = given.selector("s") if selector else LabelSelector(None)
    manifest.findings += [(severity, rule, manifest.title, words) for severity, rule, _, words in given.findings]
    return Subject(pods=chosen, names=names)


def _ingress(cluster: Cluster, manifest: Manifest, service: Manifest | None) -> tuple[str, ...]:
    """Return the addresses of the load balancer, from the Service itself or from the services table."""
    if service is not None:
        count = len(service.items("status.loadBalancer.ingress"))
        found = [service.address(f"status.loadBalancer.ingress.{place}.ip") for place in range(count)]
        if any(found):
            return tuple(each for each in found if each)
    table = cluster.services
    rows = [
        row
        for row, key in enumerate(zip(table["namespace"].tolist(), table["name"].tolist(), strict=True))
        if key == (manifest.namespace, manifest.name)
    ]
    return tuple(
        format_address(family, to_integers(table[f"external_{end}"][row : row + 1])[0])
        for row in rows
        for family, end in ENDS.items()
        if table[f"has_external_{end}"][row]
    )


EGRESS_SERVICE = Product(
    "OVN-Kubernetes EgressService",
    EgressService,
    read_egress_services,
    claim_egress_services,
    meeting="one policy",
    network="OVN-Kubernetes",
    source="ovn-org/ovn-kubernetes go-controller/pkg/clustermanager/egressservice",
)
"""EgressServices."""
