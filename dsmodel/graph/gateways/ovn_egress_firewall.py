"""EgressFirewall of OVN-Kubernetes: one a namespace, rules in order, each of the family of its CIDR.

Promises: the first rule that holds the destination decides, and what no rule holds is allowed; a rule of one family
says nothing about the other, so ``Deny 0.0.0.0/0`` leaves IPv6 open; pods of the cluster are never meant; a node
selector means the nodes' addresses.

What it does not know: ports of flows, what names resolve to, and labels of nodes outside the dump. Where it depends on
them whether a flow is denied, the verdict is unknown and says on what.

Sources: ovn-org/ovn-kubernetes ``go-controller/pkg/ovn/egressfirewall.go``,
``docs/features/cluster-egress-controls/egress-firewall.md`` (December 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.literals import parse_address
from dsmodel.graph.flows import Verdict
from dsmodel.graph.gateways.contract import EVERYWHERE, Claim, GatewayPolicy, Product, Selection, Subject, Way
from dsmodel.graph.gateways.manifests import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.contract import Route
    from dsmodel.graph.gateways.situation import Situation
    from dsmodel.kube.label_selectors import LabelSelector

__all__ = ["EGRESS_FIREWALL", "EgressFirewall", "FirewallRule", "claim_firewalls", "read_firewalls"]

MAX_RULES = 8_000
_FIELDS = {
    "": ("egress",),
    "egress.*": ("type", "ports", "to"),
    "egress.*.to": ("cidrSelector", "dnsName", "nodeSelector"),
}

_Held: TypeAlias = "tuple[int, bool, str]"
"""Place of a rule, whether it allows, and what it depends on whether it holds; empty where it does."""


@dataclass(frozen=True)
class FirewallRule:
    """One rule, in the order of the spec.

    Parameters
    ----------
    allows : bool
        ``Allow`` or ``Deny``.
    cidr : Cidr or None
        Destinations; None for a name or a node selector.
    nodes : LabelSelector or None
        Nodes whose addresses are meant; None for a name or a CIDR.
    dns_name : str
        A name whose addresses are meant; empty for none.
    ports : bool
        Whether it holds for some ports only.
    """

    allows: bool
    cidr: Cidr | None = None
    nodes: LabelSelector | None = None
    dns_name: str = ""
    ports: bool = False


@dataclass(frozen=True, kw_only=True)
class EgressFirewall(GatewayPolicy):
    """One EgressFirewall.

    Parameters
    ----------
    rules : tuple of FirewallRule
        In order.
    """

    kind: str = "EgressFirewall"
    rules: tuple[FirewallRule, ...] = ()


def read_firewalls(cluster: Cluster, version: str) -> tuple[list[EgressFirewall], list[Finding]]:
    """Read the EgressFirewalls of a cluster.

    Parameters
    ----------
    cluster : Cluster
        With its objects.
    version : str
        Of OVN-Kubernetes; empty where not known.

    Returns
    -------
    list of EgressFirewall
        By namespace.
    list of (severity, rule, object, message)
        What is wrong with them, and what they leave open.

    Raises
    ------
    None
        Everything is a finding.
    """
    policies, findings = [], []
    for each in cluster.objects.of("EgressFirewall", "k8s.ovn.org"):
        manifest = Manifest(each, fields=_FIELDS)
        count = len(manifest.items("spec.egress"))
        read = [_rule(manifest, f"spec.egress.{place}") for place in range(count)]
        findings += manifest.findings
        if manifest.name != "default":
            words = "the API server takes an EgressFirewall under the name default only; this one has no effect"
            findings.append(("error", "egress-policy-rejected", manifest.title, words))
            continue
        if count > MAX_RULES:
            words = f"{count:,} rules, and priorities are there for {MAX_RULES:,}; drop some"
            findings.append(("error", "egress-firewall-too-long", manifest.title, words))
        policy = EgressFirewall(
            namespace=manifest.namespace,
            name=manifest.name,
            version=version,
            rules=tuple(rule for rule in read if rule is not None),
        )
        policies.append(policy)
        findings += _gaps(policy)
    return policies, findings


def claim_firewalls(policies: Sequence[GatewayPolicy], situation: Situation) -> Iterator[Claim]:
    """Say what EgressFirewalls deny.

    Parameters
    ----------
    policies : sequence of EgressFirewall
        All of them.
    situation : Situation
        The nodes.

    Yields
    ------
    Claim
        One an object and family with rules.

    Raises
    ------
    None
        Rules that depend on ports or names leave the verdict open.
    """
    for policy in policies:
        if isinstance(policy, EgressFirewall):
            chosen = Selection((Subject(names=frozenset({policy.namespace})),))
            for family in IPFamily:
                routes = tuple(_routes(policy, family, situation))
                if routes:
                    yield Claim(policy, family, routes, chosen)


def _routes(policy: EgressFirewall, family: IPFamily, situation: Situation) -> Iterator[Route]:
    """Yield a route for each block, so that the longest prefix gives what the first rule in order does."""
    holders: dict[Cidr, list[_Held]] = {}
    for place, rule in enumerate(policy.rules):
        for block, depends in _blocks(rule, family, situation):
            holders.setdefault(block, []).append((place, rule.allows, depends))
    lengths = sorted({block.prefix_length for block in holders})
    ways: dict[tuple[str, ...], Way] = {}
    for block in holders:
        around = [
            Cidr.from_parts(family, block.first, length, host_bits="mask")
            for length in lengths
            if length <= block.prefix_length
        ]
        inside = sorted(each for outer in around for each in holders.get(outer, ()))
        yield block, _way(policy, block, inside, ways)


def _way(policy: EgressFirewall, block: Cidr, held: Sequence[_Held], ways: dict[tuple[str, ...], Way]) -> Way | None:
    """Return what rules that hold a block do, in order; an allowed flow is left alone."""
    words, depends = set(), []
    for _, allows, on in held:
        words.add(allows)
        if not on:
            break
        depends.append(on)
    else:
        words.add(True)  # what no rule holds is allowed
    if words == {True}:
        return None
    if words == {False}:
        return Way(Verdict.POLICY_DENIED, f"OVN-Kubernetes {policy.title}: the first rule for {block} denies it")
    key = tuple(dict.fromkeys(depends))
    if key not in ways:
        reason = f"OVN-Kubernetes {policy.title}: whether it is denied depends on {' and '.join(key)}"
        ways[key] = Way(Verdict.UNKNOWN, reason)
    return ways[key]


def _blocks(rule: FirewallRule, family: IPFamily, situation: Situation) -> Iterator[tuple[Cidr, str]]:
    """Yield the destinations of a rule in one family, and what it depends on whether the rule holds them."""
    port = "the port, which the flow does not say" if rule.ports else ""
    if rule.dns_name:
        yield EVERYWHERE[family], f"what {rule.dns_name} resolves to, which is not known"
    elif rule.cidr is not None and rule.cidr.family is family:
        yield rule.cidr, port
    elif rule.nodes is not None:
        rows, unsure = situation.chosen(rule.nodes)
        for row, name in enumerate(situation.names):
            address = situation.address(row, family)
            is_open = unsure and row in situation.unlabelled
            if address and (row in rows or is_open):
                block = Cidr.from_parts(family, parse_address(address)[1], family.bits)
                yield block, f"labels of Node/{name}, which are not known" if is_open else port


def _rule(manifest: Manifest, path: str) -> FirewallRule | None:
    """Read one rule; None for one that cannot be read."""
    word = manifest.text(f"{path}.type")
    if word not in {"Allow", "Deny"}:
        manifest.find(
            "error", "egress-invalid-field", f"{path}.type: {word!r} is neither Allow nor Deny; it is passed over"
        )
        return None
    ports = bool(manifest.items(f"{path}.ports"))
    name = manifest.text(f"{path}.to.dnsName")
    if name:
        return FirewallRule(word == "Allow", dns_name=name, ports=ports)
    if manifest.value(f"{path}.to.nodeSelector") is not None:
        return FirewallRule(word == "Allow", nodes=manifest.selector(f"{path}.to.nodeSelector"), ports=ports)
    block = manifest.cidr(f"{path}.to.cidrSelector")
    return None if block is None else FirewallRule(word == "Allow", block, ports=ports)


def _gaps(policy: EgressFirewall) -> Iterator[Finding]:
    """Find a family that is closed while the other one is open."""
    closed = {
        rule.cidr.family for rule in policy.rules if rule.cidr and not rule.cidr.prefix_length and not rule.allows
    }
    if len(closed) == 1:
        other, everything = ("IPv6", "::/0") if IPFamily.IPV4 in closed else ("IPv4", "0.0.0.0/0")
        words = f"everything {next(iter(closed))} is denied and {other} is open; add a rule that denies {everything}"
        yield "warning", "egress-firewall-one-family", policy.title, words


EGRESS_FIREWALL = Product(
    "OVN-Kubernetes EgressFirewall",
    EgressFirewall,
    read_firewalls,
    claim_firewalls,
    spares="pods",
    network="OVN-Kubernetes",
    source="ovn-org/ovn-kubernetes go-controller/pkg/ovn/egressfirewall.go",
)
"""EgressFirewalls, which deny before any gateway is asked."""
