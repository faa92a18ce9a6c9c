"""EgressIP of OVN-Kubernetes: addresses assigned to nodes, one of an object a node; a family without one leaks.

Promises: what ``status.items`` shows is taken as it is, as long as its nodes are up; else addresses are assigned as the
cluster manager does it, to assignable and ready nodes with the fewest assignments first, at most one address of an
object to a node whatever its family; several addresses of a family share flows; a family without an assigned address
is not rerouted, and its pods leave by their own nodes; a pod of two objects is served by one of them.

What it does not know: ties, which the cluster manager breaks by the order of a map: all nodes of a tie are named. What
nodes can host is the business of `dsmodel.graph.gateways.ovn_nodes`.

Sources: ovn-org/ovn-kubernetes ``go-controller/pkg/clustermanager/egressip_controller.go``,
``go-controller/pkg/ovn/egressip.go``, ``docs/features/cluster-egress-controls`` (December 2024).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dsmodel.addresses.cidr import IPFamily
from dsmodel.graph.flows import Exit, Verdict
from dsmodel.graph.gateways.contract import EVERYWHERE, Claim, GatewayPolicy, Product, Selection, Subject, Way
from dsmodel.graph.gateways.manifests import Manifest, family_of_text
from dsmodel.graph.gateways.ovn_nodes import egress_hosts
from dsmodel.graph.gateways.situation import Situation
from dsmodel.kube.label_selectors import LabelSelector, Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["ASSIGNABLE", "EGRESS_IP", "EgressIP", "assignments", "claim_egress_ips", "read_egress_ips"]

ASSIGNABLE: Final = LabelSelector((Requirement("k8s.ovn.org/egress-assignable", "Exists"),))
"""Label of nodes that may host egress addresses."""

_ALL = LabelSelector(())
_FIELDS = {"": ("egressIPs", "namespaceSelector", "podSelector")}


@dataclass(frozen=True, kw_only=True)
class EgressIP(GatewayPolicy):
    """One EgressIP.

    Parameters
    ----------
    selection : Selection
        Pods.
    addresses : tuple of str
        Requested, in order, in canonical text.
    items : tuple of (str, str)
        Node and address of ``status.items``.
    ignored : str
        Why nothing is assigned; empty where it is.
    """

    kind: str = "EgressIP"
    selection: Selection = field(default_factory=Selection)
    addresses: tuple[str, ...] = ()
    items: tuple[tuple[str, str], ...] = ()
    ignored: str = ""


@dataclass(frozen=True)
class _Place:
    """Where an address is: nodes, more than one where a tie is broken by chance."""

    address: str
    rows: tuple[int, ...]


def read_egress_ips(cluster: Cluster, version: str) -> tuple[list[EgressIP], list[Finding]]:
    """Read the EgressIPs of a cluster.

    Parameters
    ----------
    cluster : Cluster
        With its objects.
    version : str
        Of OVN-Kubernetes; empty where not known.

    Returns
    -------
    list of EgressIP
        By name.
    list of (severity, rule, object, message)
        What is wrong with them.

    Raises
    ------
    None
        Everything is a finding.
    """
    objects = cluster.objects.of("EgressIP", "k8s.ovn.org")
    situation = Situation.of(cluster)
    hosts, findings = egress_hosts(situation) if objects else ({}, [])
    owners = {address: row for row, host in hosts.items() for address in host.addresses} | situation.owners
    policies = []
    for each in objects:
        manifest = Manifest(each, fields=_FIELDS)
        given = manifest.items("spec.egressIPs")
        addresses = [manifest.address(f"spec.egressIPs.{place}") for place in range(len(given))]
        ignored = "" if all(addresses) else "an egressIP is no address"
        if not given:
            manifest.find(
                "warning", "egress-selects-nothing", "no egressIPs: nothing is assigned; write spec.egressIPs"
            )
        for address in addresses:
            if address in owners:
                ignored = f"{address} is an address of {situation.name(owners[address])}"
        if ignored:
            words = f"nothing is assigned: {ignored}; its pods leave by their own nodes until the address is changed"
            manifest.find("error", "egress-policy-rejected", words)
        spaces = manifest.selector("spec.namespaceSelector")
        if manifest.value("spec.namespaceSelector") is None:
            manifest.find(
                "warning", "egress-selects-nothing", "namespaceSelector is mandatory; without it no pod is meant"
            )
        pods = manifest.selector("spec.podSelector", absent=_ALL)
        policy = EgressIP(
            name=manifest.name,
            version=version,
            selection=Selection((Subject(spaces, pods, labelled=True),)),
            addresses=tuple(addresses),
            items=tuple(_items(manifest)),
            ignored=ignored,
        )
        policies.append(policy)
        findings += manifest.findings
    return policies, findings


def assignments(policies: Sequence[EgressIP], situation: Situation) -> dict[int, list[_Place]]:
    """Say which node hosts which address.

    Parameters
    ----------
    policies : sequence of EgressIP
        All of the cluster: they share the nodes.
    situation : Situation
        The nodes.

    Returns
    -------
    dict of int to list
        By place of the policy: address and rows of the nodes that can have it; an address without a node is not there.

    Raises
    ------
    None
        Addresses that fit nowhere stay unassigned.
    """
    assignable = [row for row in situation.chosen(ASSIGNABLE)[0] if situation.ready[row]]
    hosts, _ = egress_hosts(situation)
    hosted: dict[int, list[str]] = defaultdict(list)
    found: dict[int, list[_Place]] = {}
    waiting: dict[int, list[str]] = {}
    for place, policy in enumerate(policies):
        kept = []
        for node, address in policy.items:
            row = situation.rows.get(node, -1)
            up = situation.ready[row] if row >= 0 else node not in situation.failed
            if up and address in policy.addresses:
                kept.append(_Place(address, (row,)))
                hosted[row].append(address)
        found[place] = kept
        settled = policy.items and len(kept) == len(policy.items)
        placed = {each.address for each in kept}
        waiting[place] = [] if settled or policy.ignored else [each for each in policy.addresses if each not in placed]
    for place, addresses in waiting.items():
        taken = {row for each in found[place] for row in each.rows}
        load = {row: len(hosted[row]) for row in assignable}
        order = sorted(assignable, key=load.__getitem__)  # once an object; equal ones stay in the order of names
        for address in addresses:
            fits = [row for row in order if row not in taken and hosts[row].fits(address, hosted[row])]
            if fits:
                tied = tuple(row for row in fits if load[row] == load[fits[0]])
                found[place].append(_Place(address, tied))
                taken.add(fits[0])
                hosted[fits[0]].append(address)
    return found


def claim_egress_ips(policies: Sequence[GatewayPolicy], situation: Situation) -> Iterator[Claim]:
    """Say what EgressIPs do with these nodes.

    Parameters
    ----------
    policies : sequence of EgressIP
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
        A family without an assigned address falls through, and says so.
    """
    own = [policy for policy in policies if isinstance(policy, EgressIP)]
    placed = assignments(own, situation)
    for place, policy in enumerate(own):
        for family in IPFamily:
            places = [each for each in placed[place] if family_of_text(each.address) is family]
            way = _way(policy, family, (places, situation))
            yield Claim(policy, family, ((EVERYWHERE[family], way),), policy.selection)


def _way(policy: EgressIP, family: IPFamily, known: tuple[list[_Place], Situation]) -> Way:
    """Return what an object does in one family."""
    places, situation = known
    title = f"OVN-Kubernetes {policy.title}"
    alive = [each for each in places if each.address not in situation.failed]
    if places and not alive:
        return Way(Verdict.DROPPED_NO_EGRESS_IP, f"{title}: {', '.join(each.address for each in places)} is down")
    asked = [address for address in policy.addresses if address and family_of_text(address) is family]
    if asked and not policy.ignored and not policy.items and situation.chosen(ASSIGNABLE)[1]:
        exits = tuple(Exit(row, each.address, situation.name(row)) for each in alive for row in each.rows)
        reason = f"{title}: labels of nodes are not known, so who hosts {', '.join(asked)} is open"
        return Way(Verdict.UNKNOWN, reason, exits)
    if not places:
        why = policy.ignored or (f"no node is left for {', '.join(asked)}" if asked else f"it has no {family} address")
        reason = f"{title}: {why}; {family} is not rerouted and leaves by the pod's own node"
        return Way(Verdict.LEAK_FALLTHROUGH, reason)
    exits = tuple(Exit(row, each.address, situation.name(row)) for each in alive for row in each.rows)
    reason = f"{title}: {family} leaves as {' or '.join(each.address for each in alive)}"
    if len(alive) > 1:
        reason += ", by a hash of the flow"
    if any(len(each.rows) > 1 for each in alive):
        reason += "; nodes with equally few assignments are tied, and the order of a map decides"
    return Way(Verdict.VIA_GATEWAY, reason, exits)


def _items(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield node and address of each item of the status."""
    for place in range(len(manifest.items("status.items"))):
        node, address = manifest.text(f"status.items.{place}.node"), manifest.address(f"status.items.{place}.egressIP")
        if node and address:
            yield node, address


EGRESS_IP = Product(
    "OVN-Kubernetes EgressIP",
    EgressIP,
    read_egress_ips,
    claim_egress_ips,
    meeting="one policy",
    network="OVN-Kubernetes",
    source="ovn-org/ovn-kubernetes go-controller/pkg/clustermanager/egressip_controller.go, pkg/ovn/egressip.go",
)
"""EgressIPs."""
