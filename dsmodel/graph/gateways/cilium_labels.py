"""Labels as Cilium's selectors see them: those of an identity, not those of a pod.

An identity has the pod's labels, and beside them the name and the labels of its namespace, its service account and the
name of the cluster. Promises that a selector which asks for those selects the same pods as in Cilium: the namespace's
name and labels become requirements on the namespace, the others are answered, or left open where the dump does not
show them. Keys may begin with a source, ``k8s:app``; labels of pods and nodes have the source ``k8s`` alone.

What it does not know: which labels the agents are told to leave out of identities; all labels of a pod count here.

Sources: cilium/cilium ``pkg/k8s/apis/cilium.io/const.go``, ``pkg/policy/api/selector.go``
(NewESFromK8sLabelSelector), ``pkg/labels`` (NewSourceEncodedLabelKey, K8sSet);
``Documentation/network/egress-gateway``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from dsmodel.graph.gateways.behaviours import behaviour
from dsmodel.graph.gateways.contract import Subject
from dsmodel.kube.label_selectors import LabelSelector, Requirement

if TYPE_CHECKING:
    from dsmodel.graph.gateways.manifests import Manifest

__all__ = [
    "CLUSTER_LABEL",
    "NAMESPACE_LABEL",
    "NAMESPACE_LABELS",
    "SERVICE_ACCOUNT_LABEL",
    "read_labels",
    "read_subject",
]

NAMESPACE_LABEL: Final = "io.kubernetes.pod.namespace"
NAMESPACE_LABELS: Final = "io.cilium.k8s.namespace.labels."
SERVICE_ACCOUNT_LABEL: Final = "io.cilium.k8s.policy.serviceaccount"
CLUSTER_LABEL: Final = "io.cilium.k8s.policy.cluster"

_ALL: Final = LabelSelector(())
_NONE: Final = LabelSelector(None)
_SOURCES: Final = ("k8s", "any")  # sources that fit a label of a pod or a node


def read_subject(manifest: Manifest, path: str, *, version: str, settings: Mapping[str, str] | None) -> Subject:
    """Read whom one item of ``selectors`` means.

    Parameters
    ----------
    manifest : Manifest
        Of the policy; gets the findings.
    path : str
        Of the item.
    version : str
        Of Cilium; empty for the newest.
    settings : mapping of str to str, optional
        ``cilium-config``; None where the dump does not have it.

    Returns
    -------
    Subject
        Selects nothing where a selector cannot be read.

    Raises
    ------
    None
        Everything is a finding.

    Examples
    --------
    >>> from dsmodel.graph.gateways.manifests import Manifest
    >>> item = {"podSelector": {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "shop", "app": "cart"}}}
    >>> meant = read_subject(Manifest({"item": item}), "item", version="", settings=None)
    >>> sorted(meant.names), str(meant.pods)
    (['shop'], 'app=cart')
    """
    spaces = manifest.selector(f"{path}.namespaceSelector", absent=_ALL)
    asked = read_labels(manifest, f"{path}.podSelector", version=version, absent=_ALL)
    subject = Subject(spaces, asked)
    for each in asked.requirements or ():
        if each.key == NAMESPACE_LABEL:
            subject = _in_namespaces(subject, each)
        elif each.key.startswith(NAMESPACE_LABELS):
            of_namespace = dataclasses.replace(each, key=each.key.removeprefix(NAMESPACE_LABELS))
            subject = dataclasses.replace(subject, namespaces=_with(subject.namespaces, of_namespace))
        elif each.key == SERVICE_ACCOUNT_LABEL:
            subject = _if_known(subject, each, None)
            if not subject.certain:
                words = f"{path}.podSelector asks for the service account of pods ({each}), which is not in the dump:"
                manifest.find("info", "egress-unknown", f"{words} whom it selects is open")
        elif each.key == CLUSTER_LABEL:
            subject = _if_known(subject, each, None if settings is None else settings.get("cluster-name") or "default")
    return _without(subject)


def read_labels(manifest: Manifest, path: str, *, version: str, absent: LabelSelector = _NONE) -> LabelSelector:
    """Read a label selector whose keys may begin with the source of the label.

    Parameters
    ----------
    manifest : Manifest
        Of the policy; gets the findings.
    path : str
        Of the selector.
    version : str
        Of Cilium; empty for the newest.
    absent : LabelSelector
        What holds where there is none.

    Returns
    -------
    LabelSelector
        Keys without their sources; one that selects nothing where it cannot be read.

    Raises
    ------
    None
        Everything is a finding.

    Examples
    --------
    >>> from dsmodel.graph.gateways.manifests import Manifest
    >>> policy = Manifest({"kind": "CiliumEgressGatewayPolicy", "nodes": {"matchLabels": {"k8s:egress": "yes"}}})
    >>> str(read_labels(policy, "nodes", version="1.20.0")), str(read_labels(policy, "nodes", version="1.19.0"))
    ('egress=yes', '<none>')
    >>> policy.findings[0][1]
    'egress-invalid-selector'
    """
    row = behaviour("Cilium", "sources in selectors", version=version)
    given = manifest.value(path)
    if row.value == "refused" or not isinstance(given, Mapping):
        return manifest.selector(path, absent=absent)
    labels, expressions = given.get("matchLabels"), given.get("matchExpressions")
    plain, listed = labels, expressions
    if isinstance(labels, Mapping):
        # a label in both forms is two requirements, so those with a source become expressions
        plain = {key: value for key, value in labels.items() if not _has_source(key)}
        sourced = [
            {"key": key, "operator": "In", "values": [value]} for key, value in labels.items() if _has_source(key)
        ]
        if sourced and (expressions is None or isinstance(expressions, list | tuple)):
            listed = [*sourced, *(expressions or ())]
    if not isinstance(listed, list | tuple):
        return manifest.selector(path, absent=absent)
    kept = [_bare(each) for each in listed]
    if any(each == _NEVER for each in kept):
        return _NONE
    return manifest.selector_of(
        {"matchLabels": plain, "matchExpressions": [each for each in kept if each != _ALWAYS]}, path
    )


_ALWAYS: Final = "always"
_NEVER: Final = "never"


def _has_source(key: object) -> bool:
    """Tell whether a key begins with a source."""
    return isinstance(key, str) and ":" in key


def _bare(expression: Any) -> Any:
    """Take the source off an expression's key; a word where labels have no such source."""
    if not isinstance(expression, Mapping) or not _has_source(expression.get("key")):
        return expression
    source, _, name = expression["key"].partition(":")
    if source in _SOURCES:
        return {**expression, "key": name}
    return _ALWAYS if expression.get("operator") in {"NotIn", "DoesNotExist"} else _NEVER


def _in_namespaces(subject: Subject, asked: Requirement) -> Subject:
    """Limit a subject by the name of the namespace, which every pod has."""
    named = frozenset(asked.values)
    if asked.operator == "In":
        return dataclasses.replace(subject, names=named if subject.names is None else subject.names & named)
    if asked.operator == "NotIn":
        return dataclasses.replace(subject, other_names=subject.other_names | named)
    return subject if asked.operator == "Exists" else dataclasses.replace(subject, names=frozenset())


def _if_known(subject: Subject, asked: Requirement, value: str | None) -> Subject:
    """Answer a requirement on a label that every pod has, or leave it open where its value is not known."""
    if asked.operator in {"Exists", "DoesNotExist"} or value is not None:
        holds = asked.matches({asked.key: value or ""})
        return subject if holds else dataclasses.replace(subject, names=frozenset())
    return dataclasses.replace(subject, certain=False)


def _with(selector: LabelSelector, requirement: Requirement) -> LabelSelector:
    """Add a requirement."""
    if selector.requirements is None:
        return selector
    every = {*selector.requirements, requirement}
    return LabelSelector(tuple(sorted(every, key=lambda each: (each.key, each.operator, each.values))))


def _without(subject: Subject) -> Subject:
    """Leave to the pod's labels what is asked of them."""
    if subject.pods.requirements is None:
        return subject
    own = (NAMESPACE_LABEL, SERVICE_ACCOUNT_LABEL, CLUSTER_LABEL)
    kept = (
        each for each in subject.pods.requirements if each.key not in own and not each.key.startswith(NAMESPACE_LABELS)
    )
    return dataclasses.replace(subject, pods=LabelSelector(tuple(kept)))
