"""Egress policies of a cluster: read from its objects, judged, and listed.

Promises that every object of a known kind becomes a policy or a finding, and that what depends on a version which the
dump does not show is said.

What it does not know: whether agents have caught up with the objects.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses.cidr import IPFamily
from dsmodel.graph.flows import Verdict
from dsmodel.graph.gateways.behaviours import version_of_image
from dsmodel.graph.gateways.matching import selected, shapes_of
from dsmodel.graph.gateways.meeting import groups_of, met
from dsmodel.graph.gateways.products import PRODUCTS
from dsmodel.graph.gateways.situation import Situation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.flows import Exit
    from dsmodel.graph.gateways.contract import Claim, GatewayPolicy, Product, Way
    from dsmodel.graph.gateways.matching import Selected, Shapes

__all__ = ["GatewayRow", "gateway_table", "read_gateways"]

_AGENTS = {
    "Antrea": "antrea-agent",
    "Calico": "calico-node",
    "Cilium": "cilium-agent",
    "Kube-OVN": "kube-ovn-cni",
    "OVN-Kubernetes": "ovnkube-node",
}
_RULES = {  # verdict of a way -> severity and rule of the finding
    Verdict.DROPPED_NO_GATEWAY: ("error", "egress-no-gateway"),
    Verdict.DROPPED_NO_EGRESS_IP: ("error", "egress-no-egress-ip"),
    Verdict.NO_ROUTE: ("error", "egress-black-hole"),
    Verdict.LEAK_FALLTHROUGH: ("warning", "egress-falls-through"),
    Verdict.UNKNOWN: ("info", "egress-unknown"),
}


@dataclass(frozen=True)
class GatewayRow:
    """One policy in one family, as a report lists it.

    Parameters
    ----------
    policy : str
        Kind and name.
    product : str
        Whose.
    family : IPFamily
        Of the traffic.
    gateway_nodes : tuple of str
        Names of the nodes that serve now.
    egress_addresses : tuple of str
        Sources seen outside now.
    standby : tuple of str
        Names of nodes that serve when those do not.
    verdict : Verdict
        What becomes of its flows now; the worst, where routes or gateways differ.
    on_missing : Verdict
        What becomes of its flows when no gateway is left.
    """

    policy: str
    product: str
    family: IPFamily
    gateway_nodes: tuple[str, ...]
    egress_addresses: tuple[str, ...]
    standby: tuple[str, ...]
    verdict: Verdict
    on_missing: Verdict


def read_gateways(
    cluster: Cluster, *, failed: Collection[str] = (), versions: Mapping[str, str] | None = None
) -> tuple[tuple[GatewayPolicy, ...], list[Finding]]:
    """Read the egress policies of a cluster, and judge them.

    Parameters
    ----------
    cluster : Cluster
        With its objects.
    failed : collection of str
        Names of nodes, egress addresses, titles of gateways that are down; findings are about what is left.
    versions : mapping of str to str, optional
        Version of a network by its name ("Cilium", "OVN-Kubernetes"); the tag of its agent's image if left out.

    Returns
    -------
    tuple of GatewayPolicy
        In the order in which products decide, then by name.
    list of (severity, rule, object, message)
        By object: objects that are refused or do not say what they seem to, families without a gateway, policies
        that select nothing, policies that conflict.

    Raises
    ------
    None
        Everything is a finding.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> read_gateways(kubeadm_dual_stack())
    ((), [])
    """
    policies: list[GatewayPolicy] = []
    findings: list[Finding] = []
    for product in PRODUCTS:
        network = product.network or product.name
        agent = cluster.objects.agent(_AGENTS[network]) if network in _AGENTS else None
        version = (versions or {}).get(network) or version_of_image(agent.image if agent else "")
        read, wrong = product.read(cluster, version)
        policies += read
        findings += wrong
    situation = Situation.of(cluster, failed)
    for product, claims in _claims(policies, situation):
        findings += _served(claims)
        findings += _selecting(product, claims, cluster)
    networks = sorted({each.network for each in PRODUCTS if any(isinstance(p, each.policy) for p in policies)} - {""})
    if len(networks) > 1:
        words = f"policies of {' and '.join(networks)} in one cluster; assumed is that they decide in this order"
        findings.append(("warning", "egress-networks-mixed", "Cluster", f"{words}; keep those of one network"))
    return tuple(policies), sorted(dict.fromkeys(findings), key=lambda each: (each[2], each[1], each[3]))


def gateway_table(
    policies: Sequence[GatewayPolicy], cluster: Cluster, *, failed: Collection[str] = ()
) -> list[GatewayRow]:
    """List policies by family, with who serves them now, who then, and what happens without.

    Parameters
    ----------
    policies : sequence of GatewayPolicy
        As `read_gateways` gives them.
    cluster : Cluster
        Whose nodes.
    failed : collection of str
        Names of nodes, egress addresses, titles of gateways that are down.

    Returns
    -------
    list of GatewayRow
        In the order of the policies, IPv4 first. A family that a policy does not touch has no row.

    Raises
    ------
    None
        Every policy has an answer.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.gateways import EgressGateway
    >>> cluster = kubeadm_dual_stack()
    >>> nodes = tuple(str(name) for name in cluster.nodes["name"][:2])
    >>> row = gateway_table([EgressGateway(name="out", nodes=nodes, addresses=("192.0.2.1",))], cluster)[0]
    >>> row.gateway_nodes == nodes[:1], row.standby == nodes[1:], str(row.on_missing)
    (True, True, 'dropped_no_gateway')
    """
    situation = Situation.of(cluster, failed)
    everyone = situation.failed | set(situation.names)
    places = {id(policy): place for place, policy in enumerate(policies)}
    rows: list[tuple[int, GatewayRow]] = []
    for product, claims in _claims(policies, situation):
        own = [policy for policy in policies if isinstance(policy, product.policy)]
        without = _ways(product.claim(own, Situation.of(cluster, everyone | _exits_of(claims))))
        again: dict[frozenset[str], dict[tuple[int, IPFamily], list[Way]]] = {}
        for key, ways in _ways(claims).items():
            exits = _exits(ways)
            serving = frozenset(situation.names[each.node] for each in exits if each.node >= 0)
            if serving and serving not in again:
                again[serving] = _ways(product.claim(own, Situation.of(cluster, situation.failed | serving)))
            later = _exits(again[serving].get(key, [])) if serving else ()
            standby = {situation.names[each.node] for each in later if each.node >= 0} - serving
            policy = policies[places[key[0]]]
            row = GatewayRow(
                policy.title,
                product.name,
                key[1],
                tuple(sorted(serving)),
                tuple(dict.fromkeys(each.address for each in exits if each.address)),
                tuple(sorted(standby)),
                _worst(ways),
                _worst(without.get(key, ways)),
            )
            rows.append((places[key[0]], row))
    return [row for _, row in sorted(rows, key=lambda each: (each[0], each[1].family))]


def _claims(policies: Sequence[GatewayPolicy], situation: Situation) -> Iterator[tuple[Product, list[Claim]]]:
    """Yield each product that has policies, with its claims."""
    for product in PRODUCTS:
        own = [policy for policy in policies if isinstance(policy, product.policy)]
        if own:
            yield product, list(product.claim(own, situation))


def _ways(claims: Iterable[Claim]) -> dict[tuple[int, IPFamily], list[Way]]:
    """Return the ways of each policy and family."""
    found: dict[tuple[int, IPFamily], list[Way]] = defaultdict(list)
    for claim in claims:
        found[id(claim.policy), claim.family] += [way for _, way in claim.routes if way is not None]
    return {key: ways for key, ways in found.items() if ways}


def _exits(ways: Iterable[Way]) -> tuple[Exit, ...]:
    """Return all exits, each once."""
    return tuple(dict.fromkeys(each for way in ways for each in (*way.exits, *_exits(way.by_node.values()))))


def _exits_of(claims: Iterable[Claim]) -> set[str]:
    """Return the titles of gateways that are no nodes."""
    exits = _exits(way for claim in claims for _, way in claim.routes if way is not None)
    return {each.name for each in exits if not each.name.startswith("Node/")}


def _worst(ways: Sequence[Way]) -> Verdict:
    """Return the verdict to look at first: the first that does not serve, else the first."""
    every = [each for way in ways for each in (way, *way.by_pod, *way.by_node.values())]
    return next((each.verdict for each in every if each.verdict is not Verdict.VIA_GATEWAY), every[0].verdict)


def _served(claims: Sequence[Claim]) -> Iterator[Finding]:
    """Find families that a policy has no gateway for."""
    for claim in claims:
        for way in dict.fromkeys(id(way) for _, way in claim.routes if way is not None):
            each = next(found for _, found in claim.routes if id(found) == way)
            for one in (each, *(each.by_pod if each else ())) if each else ():
                if one.verdict in _RULES and not (one is each and each.by_pod):
                    severity, rule = _RULES[one.verdict]
                    yield severity, rule, claim.policy.title, f"{claim.family}: {one.reason}"


def _selecting(product: Product, claims: Sequence[Claim], cluster: Cluster) -> Iterator[Finding]:
    """Find policies that select no pod, and those that meet at a pod and conflict."""
    if not len(cluster.pods):
        return
    pods = np.flatnonzero(~np.asarray(cluster.pods["host_network"]))
    busy: set[int] = set()
    for family in IPFamily:
        mine = [claim for claim in claims if claim.family is family]
        sources = list(dict.fromkeys(claim.selection.sources for claim in mine if claim.selection.sources))
        shapes = shapes_of(cluster, pods, family=family, sources=sources)
        answers = selected(cluster, shapes, [claim.selection for claim in mine])
        busy |= {id(claim.policy) for claim, answer in zip(mine, answers, strict=True) if len(answer[0])}
        yield from _conflicts(product, mine, (shapes, answers))
    for policy in {id(claim.policy): claim.policy for claim in claims}.values():
        if id(policy) not in busy:
            words = "no pod of the cluster is selected; compare its selectors with the labels of pods and namespaces"
            yield "warning", "egress-selects-nothing", policy.title, words


def _conflicts(product: Product, claims: Sequence[Claim], asked: tuple[Shapes, list[Selected]]) -> Iterator[Finding]:
    """Find pods for which it depends on the order of events which policy holds."""
    shapes, answers = asked
    for priority in sorted({claim.priority for claim in claims}, reverse=True):
        tier = [place for place, claim in enumerate(claims) if claim.priority == priority]
        _, members = groups_of([answers[place] for place in tier], len(shapes))
        for group in members:
            if len(group) < 2:
                continue
            mine = [(claims[tier[place]], place, sure) for place, sure in group]
            for block, decision in met(product, mine).items():
                if decision is not None and decision[0].verdict is Verdict.NONDETERMINISTIC:
                    title = mine[0][0].policy.title
                    words = f"{block}: {decision[0].reason}; let selectors or destinations differ"
                    yield "error", "egress-conflict", title, words
