"""Egress gateways of Calico Enterprise and Calico Cloud: pods as gateways, named by annotations, IPv4 only.

Promises: a namespace's annotations name gateways by selector or by an EgressGatewayPolicy; rules of a policy go by
longest prefix, a rule without a gateway routes locally; no live gateway drops, and so does a policy that is not there;
IPv6 takes the normal path, past the gateway. Outside, the gateway pod's address is seen where its pool is not natted,
else its node's.

What it does not know: annotations of single pods, which of several gateways `maxNextHops` leaves a client, and IPv6
gateways, of which the documentation says nothing. Open-source Calico has no egress gateway.

Sources: tigera/docs ``calico-enterprise/networking/egress``, ``reference/resources/egressgatewaypolicy.mdx``; IPv6 is
derived from their silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses.arrays import addresses_in, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.literals import format_address
from dsmodel.cni.calico.selectors import parse_selector
from dsmodel.errors import InvalidInput
from dsmodel.graph.flows import Exit, Verdict
from dsmodel.graph.gateways.contract import EVERYWHERE, Claim, GatewayPolicy, Product, Selection, Subject, Way
from dsmodel.graph.gateways.manifests import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.contract import Route
    from dsmodel.graph.gateways.situation import Situation

__all__ = ["CALICO", "CalicoEgress", "CalicoRule", "claim_calico", "read_calico"]

_PREFIX = "egress.projectcalico.org/"
_GROUPS = ("projectcalico.org", "crd.projectcalico.org")


@dataclass(frozen=True)
class CalicoRule:
    """One rule: destinations and the gateways for them.

    Parameters
    ----------
    destination : Cidr
        Longest prefix wins.
    selector : str
        Of gateway pods, in Calico's language; empty for a rule that routes locally.
    namespaces : str
        Of the gateways' namespaces, in Calico's language; empty for the client's own.
    prefers_local : bool
        ``gatewayPreference: PreferNodeLocal``.
    max_next_hops : int
        Most gateways a client uses; 0 for all.
    """

    destination: Cidr
    selector: str = ""
    namespaces: str = ""
    prefers_local: bool = False
    max_next_hops: int = 0


@dataclass(frozen=True, kw_only=True)
class CalicoEgress(GatewayPolicy):
    """The egress gateways of one namespace's pods.

    Parameters
    ----------
    rules : tuple of CalicoRule
        Empty where the policy is not there.
    missing : str
        Name of an EgressGatewayPolicy that is not there; empty otherwise.
    """

    kind: str = "Namespace"
    rules: tuple[CalicoRule, ...] = ()
    missing: str = field(default="")


def read_calico(cluster: Cluster, version: str) -> tuple[list[CalicoEgress], list[Finding]]:
    """Read what namespaces' annotations ask for.

    Parameters
    ----------
    cluster : Cluster
        With its objects and annotations of namespaces.
    version : str
        Of Calico; empty where not known.

    Returns
    -------
    list of CalicoEgress
        By namespace.
    list of (severity, rule, object, message)
        What is wrong with them.

    Raises
    ------
    None
        Everything is a finding.
    """
    annotated = {
        name: notes
        for name, notes in sorted(cluster.namespace_annotations.items())
        if any(key.startswith(_PREFIX) for key in notes)
    }
    if not annotated:
        return [], []
    findings: list[Finding] = list(_switched_off(cluster, annotated))
    if any(severity == "error" for severity, *_ in findings):
        return [], findings
    rules: dict[str, tuple[CalicoRule, ...]] = {}
    for each in cluster.objects.of("EgressGatewayPolicy", *_GROUPS):
        manifest = Manifest(each, fields=("rules",))
        rules[manifest.name] = tuple(_rules(manifest))
        findings += manifest.findings
    policies = []
    for name, notes in annotated.items():
        named, selector = (notes.get(_PREFIX + key, "") for key in ("egressGatewayPolicy", "selector"))
        spaces = notes.get(f"{_PREFIX}namespaceSelector", "")
        own = rules.get(named, ()) if named else (CalicoRule(EVERYWHERE[IPFamily.IPV4], selector, spaces),)
        missing = named if named and named not in rules else ""
        if missing:
            words = f"EgressGatewayPolicy/{named} is not there: all traffic of its pods is dropped; create it"
            findings.append(("error", "egress-policy-missing", f"Namespace/{name}", words))
        if not named and not selector:
            continue
        findings += [each for rule in own for each in _unreadable(rule, name)]
        policies.append(CalicoEgress(name=name, version=version, rules=own, missing=missing))
    return policies, findings


def claim_calico(policies: Sequence[GatewayPolicy], situation: Situation) -> Iterator[Claim]:
    """Say what namespaces' gateways do with these nodes.

    Parameters
    ----------
    policies : sequence of CalicoEgress
        All of them.
    situation : Situation
        The nodes and gateway pods.

    Yields
    ------
    Claim
        One a namespace and family.

    Raises
    ------
    None
        Without a live gateway they drop, and say so.
    """
    cache: dict[tuple[CalicoRule, str], tuple[Exit, ...]] = {}
    for policy in policies:
        if not isinstance(policy, CalicoEgress):
            continue
        chosen = Selection((Subject(names=frozenset({policy.name})),))
        leak = Way(
            Verdict.LEAK_FALLTHROUGH, f"Calico {policy.title}: egress gateways are IPv4 only; IPv6 goes past them"
        )
        yield Claim(policy, IPFamily.IPV6, ((EVERYWHERE[IPFamily.IPV6], leak),), chosen)
        if policy.missing:
            reason = f"Calico {policy.title}: EgressGatewayPolicy/{policy.missing} is not there: everything is dropped"
            lost = Way(Verdict.DROPPED_NO_GATEWAY, reason)
            yield Claim(policy, IPFamily.IPV4, ((EVERYWHERE[IPFamily.IPV4], lost),), chosen)
            continue
        routes: list[Route] = []
        for rule in policy.rules:
            if not rule.selector:
                routes.append((rule.destination, None))
                continue
            key = (rule, "" if rule.namespaces else policy.name)
            if key not in cache:
                cache[key] = tuple(_gateways(rule, policy.name, situation))
            routes.append((rule.destination, _way(policy, rule, cache[key])))
        yield Claim(policy, IPFamily.IPV4, tuple(routes), chosen)


def _way(policy: CalicoEgress, rule: CalicoRule, exits: tuple[Exit, ...]) -> Way:
    """Return what a rule with a gateway does."""
    title = f"Calico {policy.title}"
    if not exits:
        reason = f"{title}: no gateway pod that is up fits {rule.selector!r}: the route is unreachable, and drops"
        return Way(Verdict.DROPPED_NO_GATEWAY, reason)
    reason = f"{title}: gateway pods of {rule.selector!r}"
    if len(exits) > 1:
        reason += ", by a hash of the flow"
    if rule.max_next_hops and rule.max_next_hops < len(exits):
        reason += f"; each pod uses {rule.max_next_hops} of them"
    by_node = {}
    if rule.prefers_local:
        for node in sorted({each.node for each in exits}):
            here = tuple(each for each in exits if each.node == node)
            by_node[node] = Way(Verdict.VIA_GATEWAY, f"{reason}; those on the pod's own node are preferred", here)
    return Way(Verdict.VIA_GATEWAY, reason, exits, by_node=by_node)


def _gateways(rule: CalicoRule, client: str, situation: Situation) -> Iterator[Exit]:
    """Yield the gateway pods that are up, with the address seen after each."""
    cluster = situation.cluster
    pods = cluster.pods
    fits, spaces = _reads(rule.selector), _reads(rule.namespaces) if rule.namespaces else None
    if fits is None:
        return
    chosen = cluster.pod_labels.select_rows(fits, pods["labels"]) & np.asarray(pods["has_pod_ipv4"])
    for row in np.flatnonzero(chosen).tolist():
        namespace, name = str(pods["namespace"][row]), str(pods["name"][row])
        labels = {**cluster.namespaces.get(namespace, {}), "projectcalico.org/name": namespace}
        if not (namespace == client if spaces is None else spaces(labels)):
            continue
        node, title = int(pods["node"][row]), f"Pod/{namespace}/{name}"
        if title in situation.failed or (node >= 0 and not situation.ready[node]):
            continue
        column = pods["pod_ipv4"][row : row + 1]
        address = format_address(IPFamily.IPV4, to_integers(column)[0])
        natted = _natted(cluster, column)
        seen = "" if natted is None else situation.address(node, IPFamily.IPV4) if natted else address
        if address not in situation.failed:
            yield Exit(node, seen, title)


def _natted(cluster: Cluster, column: np.ndarray) -> bool | None:
    """Say whether the pool of an address has natOutgoing; None where no pool of the dump holds it."""
    held: list[tuple[int, bool]] = []
    for each in cluster.objects.of("IPPool", *_GROUPS):
        pool = Manifest(each)
        block = pool.cidr("spec.cidr")
        if block is not None and block.family is IPFamily.IPV4 and addresses_in(column, block).all():
            held.append((block.prefix_length, pool.flag("spec.natOutgoing")))
    return max(held)[1] if held else None


def _reads(selector: str) -> Callable[[Mapping[str, str]], bool] | None:
    """Read a selector; None for one that is none, which was found before."""
    try:
        return parse_selector(selector)
    except InvalidInput:
        return None


def _unreadable(rule: CalicoRule, namespace: str) -> Iterator[Finding]:
    """Find selectors that are none."""
    for selector in (rule.selector, rule.namespaces):
        try:
            parse_selector(selector or "all()")
        except InvalidInput as error:
            words = f"{error}; no gateway fits, and traffic is dropped"
            yield "error", "egress-invalid-selector", f"Namespace/{namespace}", words


def _rules(manifest: Manifest) -> Iterator[CalicoRule]:
    """Yield the rules of a policy; of two for the same destination the first."""
    seen = set()
    for place in range(len(manifest.items("spec.rules"))):
        path = f"spec.rules.{place}"
        has_cidr = manifest.value(f"{path}.destination.cidr") is not None
        block = manifest.cidr(f"{path}.destination.cidr") if has_cidr else EVERYWHERE[IPFamily.IPV4]
        if block is None:
            continue
        if block in seen:
            words = f"{path}: {block} is there already; the API server refuses duplicates"
            manifest.find("error", "egress-duplicate-destination", words)
            continue
        seen.add(block)
        if block.family is IPFamily.IPV6:
            words = f"{path}: {block} is IPv6, of which the documentation says nothing; IPv6 goes past the gateway"
            manifest.find("warning", "egress-one-family", words)
            continue
        hops = manifest.value(f"{path}.gateway.maxNextHops")
        yield CalicoRule(
            block,
            manifest.text(f"{path}.gateway.selector"),
            manifest.text(f"{path}.gateway.namespaceSelector"),
            manifest.text(f"{path}.gatewayPreference") == "PreferNodeLocal",
            hops if isinstance(hops, int) else 0,
        )


def _switched_off(cluster: Cluster, annotated: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    """Find annotations that have no effect, and those that may be overridden by pods'."""
    settings = [Manifest(each) for each in cluster.objects.of("FelixConfiguration", *_GROUPS)]
    support = next((each.text("spec.egressIPSupport") for each in settings if each.name == "default"), None)
    title = f"Namespace/{next(iter(annotated))}"
    if support is None:
        words = "FelixConfiguration/default is not in the dump; assumed is that egressIPSupport is on"
        yield "info", "egress-unknown", title, words
    elif support == "EnabledPerNamespaceOrPerPod":
        words = "pods may have annotations of their own, which the dump does not hold; those of namespaces are taken"
        yield "info", "egress-unknown", title, words
    elif support != "EnabledPerNamespace":
        words = "egressIPSupport is off: annotations of namespaces have no effect; set it in FelixConfiguration/default"
        yield "error", "egress-policy-rejected", title, words


CALICO = Product(
    "Calico",
    CalicoEgress,
    read_calico,
    claim_calico,
    network="Calico",
    source="tigera/docs calico-enterprise/networking/egress",
)
"""Egress gateways of Calico Enterprise."""
