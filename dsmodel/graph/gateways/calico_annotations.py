"""Annotations of pods and namespaces that ask for Calico's egress gateways, and which of them hold.

Promises: a policy that is there comes before a selector, and the pod before its namespace: the pod's policy, the
namespace's policy, the pod's selector, the namespace's selector. Where policies are named and none is there, everything
is dropped. Annotations of pods count only where ``egressIPSupport`` says so.

What it does not know: whether a namespaceSelector without a selector is heard in annotations, as it is in the rules of
policies; it is taken so, for every pod of those namespaces, and found.

Sources: tigera/docs ``calico-enterprise/networking/egress``, ``reference/resources/egressgatewaypolicy.mdx``;
``ActiveEgressCalculator`` of ``felix/calc/active_egress_calculator.go`` of Calico Enterprise.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.calico.selectors import parse_selector
from dsmodel.errors import InvalidInput
from dsmodel.graph.gateways.annotations import EGRESS_ANNOTATIONS, notes_of_pods
from dsmodel.graph.gateways.contract import EVERYWHERE, GatewayPolicy, Selection, Subject
from dsmodel.graph.gateways.manifests import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.annotations import Notes

__all__ = ["GROUPS", "CalicoEgress", "CalicoRule", "read_calico"]

_FIELDS = {
    "": ("rules",),
    "rules.*": ("destination", "description", "gateway", "gatewayPreference"),
    "rules.*.destination": ("cidr",),
    "rules.*.gateway": ("selector", "namespaceSelector", "maxNextHops"),
}
_EVERY = "all()"
_PER_POD = "EnabledPerNamespaceOrPerPod"
_KEYS = ("egressGatewayPolicy", "maxNextHops", "namespaceSelector", "selector")
GROUPS = ("projectcalico.org", "crd.projectcalico.org")


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
        Of the gateways' namespaces, in Calico's language; empty for all.
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
    """The egress gateways that annotations of one namespace or of pods ask for.

    Parameters
    ----------
    selection : Selection
        Pods.
    rules : tuple of CalicoRule
        Empty where the policy is not there.
    missing : str
        Names of EgressGatewayPolicies that are not there; empty where one is, or none is asked for.
    """

    kind: str = "Namespace"
    selection: Selection = field(default_factory=Selection)
    rules: tuple[CalicoRule, ...] = ()
    missing: str = field(default="")


@dataclass(frozen=True)
class _Asked:
    """What annotations of one pod or namespace ask for.

    Parameters
    ----------
    policy : str
        Name of an EgressGatewayPolicy; empty for none.
    rule : CalicoRule or None
        By selector; None for none.
    """

    policy: str = ""
    rule: CalicoRule | None = None


def read_calico(cluster: Cluster, version: str) -> tuple[list[CalicoEgress], list[Finding]]:
    """Read what annotations of namespaces and pods ask for.

    Parameters
    ----------
    cluster : Cluster
        With its objects, annotations of namespaces and of pods.
    version : str
        Of Calico; empty where not known.

    Returns
    -------
    list of CalicoEgress
        By namespace, then by the first pod that they hold for.
    list of (severity, rule, object, message)
        What is wrong with them.

    Raises
    ------
    None
        Everything is a finding.
    """
    of_namespace = {
        name: tuple(sorted((key, text) for key, text in notes.items() if key.startswith(EGRESS_ANNOTATIONS)))
        for name, notes in cluster.namespace_annotations.items()
    }
    of_namespace = {name: notes for name, notes in of_namespace.items() if notes}
    of_pods = _noted_pods(cluster)
    if not of_namespace and not of_pods:
        return [], []
    findings: list[Finding] = list(_switched_off(cluster, of_namespace, of_pods))
    if any(severity == "error" for severity, *_ in findings):
        return [], findings
    if _support(cluster) not in {_PER_POD, None}:
        of_pods = {}
    rules: dict[str, tuple[CalicoRule, ...]] = {}
    for each in cluster.objects.of("EgressGatewayPolicy", *GROUPS):
        manifest = Manifest(each, fields=_FIELDS)
        rules[manifest.name] = tuple(_rules(manifest))
        findings += manifest.findings
    policies = []
    for name in sorted({*of_namespace, *(namespace for namespace, _ in of_pods)}):
        for policy in _policies(name, of_namespace.get(name, ()), of_pods, rules):
            policies.append(dataclasses.replace(policy, version=version))
            findings += _problems(policy)
    for title, notes in _titled(of_namespace, of_pods):
        findings += _idle(title, dict(notes))
    return policies, findings


def _noted_pods(cluster: Cluster) -> dict[tuple[str, Notes], str]:
    """Return the name of the first pod of each namespace and set of annotations."""
    codes, sets = notes_of_pods(cluster, np.arange(len(cluster.pods)))
    found: dict[tuple[str, Notes], str] = {}
    table = cluster.pods
    for row in np.flatnonzero(codes).tolist():
        key = (str(table["namespace"][row]), sets[codes[row]])
        name = str(table["name"][row])
        found[key] = min(found.get(key, name), name)
    return found


def _policies(
    namespace: str,
    shared: Notes,
    of_pods: Mapping[tuple[str, Notes], str],
    rules: Mapping[str, tuple[CalicoRule, ...]],
) -> Iterator[CalicoEgress]:
    """Yield the policies of one namespace: its own, for the pods that it holds for, and those of its pods."""
    mine = {notes: name for (space, notes), name in sorted(of_pods.items()) if space == namespace}
    common = _asked(shared, namespace)
    inherit: list[Notes] = [()]
    own: list[CalicoEgress] = []
    for notes, first in sorted(mine.items(), key=lambda each: each[1]):
        asked = _asked(notes, namespace)
        chosen = _chosen(asked, common, rules)
        if chosen == _chosen(_Asked(), common, rules):
            inherit.append(notes)
        elif chosen is not None:
            held = Selection((Subject(names=frozenset({namespace}), notes=(notes,)),))
            policy = CalicoEgress(kind="Pod", namespace=namespace, name=first, selection=held)
            own.append(dataclasses.replace(policy, rules=chosen[0], missing=chosen[1]))
    chosen = _chosen(_Asked(), common, rules)
    if chosen is not None:
        limits = tuple(inherit) if own else None
        held = Selection((Subject(names=frozenset({namespace}), notes=limits),))
        yield CalicoEgress(name=namespace, selection=held, rules=chosen[0], missing=chosen[1])
    yield from own


def _chosen(
    pod: _Asked, namespace: _Asked, rules: Mapping[str, tuple[CalicoRule, ...]]
) -> tuple[tuple[CalicoRule, ...], str] | None:
    """Return the rules that hold for a pod, or the policies that are not there; None where nothing is asked for."""
    named = [each.policy for each in (pod, namespace) if each.policy]
    for policy in named:
        if policy in rules:
            return rules[policy], ""
    if named:
        return (), " and ".join(dict.fromkeys(named))
    rule = pod.rule or namespace.rule
    return None if rule is None else ((rule,), "")


def _asked(notes: Notes, namespace: str) -> _Asked:
    """Read annotations; a policy hides a selector beside it."""
    given = {key.removeprefix(EGRESS_ANNOTATIONS): text for key, text in notes}
    if given.get("egressGatewayPolicy"):
        return _Asked(policy=given["egressGatewayPolicy"])
    selector, hops = given.get("selector", ""), given.get("maxNextHops", "")
    spaces = given.get("namespaceSelector", "")
    if not selector and not spaces:
        return _Asked()
    selector, spaces = selector or _EVERY, spaces or f"projectcalico.org/name == '{namespace}'"
    most = int(hops) if hops.isdecimal() else 0
    return _Asked(rule=CalicoRule(EVERYWHERE[IPFamily.IPV4], selector, spaces, max_next_hops=most))


def _problems(policy: CalicoEgress) -> Iterator[Finding]:
    """Find policies that are not there, and selectors that are none."""
    if policy.missing:
        words = f"EgressGatewayPolicy/{policy.missing} is not there: all traffic of its pods is dropped; create it"
        yield "error", "egress-policy-missing", policy.title, words
    for rule in policy.rules:
        for selector in (rule.selector, rule.namespaces):
            try:
                parse_selector(selector or "all()")
            except InvalidInput as error:
                words = f"{error}; no gateway fits, and traffic is dropped"
                yield "error", "egress-invalid-selector", policy.title, words


def _titled(of_namespace: Mapping[str, Notes], of_pods: Mapping[tuple[str, Notes], str]) -> Iterator[tuple[str, Notes]]:
    """Yield annotations with the title of who has them."""
    for name, notes in sorted(of_namespace.items()):
        yield f"Namespace/{name}", notes
    for (namespace, notes), first in sorted(of_pods.items()):
        yield f"Pod/{namespace}/{first}", notes


def _idle(title: str, notes: Mapping[str, str]) -> Iterator[Finding]:
    """Find annotations that ask for nothing."""
    given = {key.removeprefix(EGRESS_ANNOTATIONS): text for key, text in notes.items()}
    for key in sorted(set(given) - set(_KEYS)):
        words = f"{EGRESS_ANNOTATIONS}{key} is no annotation of egress gateways; correct its spelling or drop it"
        yield "warning", "egress-unknown-field", title, words
    if given.get("namespaceSelector") and not given.get("selector") and not given.get("egressGatewayPolicy"):
        words = "namespaceSelector without selector: assumed is that every pod there is a gateway; add the selector"
        yield "warning", "egress-unknown", title, words
    if given.get("egressGatewayPolicy") and given.get("selector"):
        words = "egressGatewayPolicy and selector: the policy holds, the selector does not; drop one of them"
        yield "warning", "egress-gateway-ignored", title, words


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
        spaces = manifest.text(f"{path}.gateway.namespaceSelector")
        yield CalicoRule(
            block,
            manifest.text(f"{path}.gateway.selector") or (_EVERY if spaces else ""),
            spaces,
            manifest.text(f"{path}.gatewayPreference") == "PreferNodeLocal",
            hops if isinstance(hops, int) else 0,
        )


def _support(cluster: Cluster) -> str | None:
    """Return ``egressIPSupport``; None where the dump has no settings."""
    settings = [Manifest(each) for each in cluster.objects.of("FelixConfiguration", *GROUPS)]
    return next((each.text("spec.egressIPSupport") or "Disabled" for each in settings if each.name == "default"), None)


def _switched_off(
    cluster: Cluster, of_namespace: Mapping[str, Notes], of_pods: Mapping[tuple[str, Notes], str]
) -> Iterator[Finding]:
    """Find annotations that have no effect, and settings that are not known."""
    support = _support(cluster)
    titles = [title for title, _ in _titled(of_namespace, of_pods)]
    if support is None:
        words = f"FelixConfiguration/default is not in the dump; assumed is that egressIPSupport is {_PER_POD}"
        yield "info", "egress-unknown", titles[0], words
    elif support not in {"EnabledPerNamespace", _PER_POD}:
        words = f"egressIPSupport is {support}: annotations have no effect; set it in FelixConfiguration/default"
        yield "error", "egress-policy-rejected", titles[0], words
    elif support != _PER_POD:
        words = f"egressIPSupport is {support}: annotations of pods have no effect; set it to {_PER_POD}"
        yield from (("warning", "egress-policy-rejected", title, words) for title in titles if title.startswith("Pod/"))
