"""Node objects as the API server keeps them, and the order in which a node's addresses reach its Pods.

Promises: conversion between ``podCIDR`` and ``podCIDRs``, validation and immutability as recorded of 1.20 and 1.36.

Not known here: how a node gets its CIDRs (node IPAM), anything of a Node beyond ``spec.podCIDR(s)``, ``providerID`` and
addresses, and what a kubelet reports.

Sources: ``pkg/apis/core/v1/conversion.go``, ``pkg/apis/core/validation/validation.go`` (ValidateNode,
ValidateNodeUpdate), ``pkg/registry/core/node/strategy.go`` and ``pkg/util/node/node.go`` (GetNodeHostIPs) of v1.20.2
and v1.36.2; ``pkg/kubelet/kubelet_pods.go`` (sortPodIPs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import IPFamily, format_address
from dsmodel.kube.fields import FieldError, GoList, duplicate, forbidden, internal, invalid
from dsmodel.kube.syntax import AddressSyntax, cidr_complaints, cidr_family, read_ip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dsmodel.kube.versions import KubeVersion

__all__ = ["host_ips", "node_errors", "node_spec", "node_update_errors", "sort_pod_ips"]

_ONE_PER_FAMILY = "may specify no more than one CIDR for each IP family"
_FROZEN = 'node updates may not change podCIDR except from "" to valid'


def node_spec(
    spec: Mapping[str, Any], *, dual_stack: bool = True, old: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Convert a Node's spec to the form the server stores and returns.

    ``podCIDR`` wins over a ``podCIDRs`` that starts otherwise: the second entry is then lost.

    Parameters
    ----------
    spec : mapping
        ``spec`` as sent.
    dual_stack : bool
        The IPv6DualStack gate: off, all but the first CIDR are dropped unless the stored Node had more.
    old : mapping, optional
        ``spec`` as stored.

    Returns
    -------
    dict
        A new spec; both fields set, or neither.

    Raises
    ------
    None
        Every spec has an answer; judging the CIDRs is `node_errors`.

    Examples
    --------
    >>> node_spec({"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.1.0/24", "fd00::/64"]})
    {'podCIDR': '10.0.0.0/24', 'podCIDRs': ['10.0.0.0/24']}
    """
    stored = {key: value for key, value in spec.items() if key not in {"podCIDR", "podCIDRs"} and value is not None}
    single, cidrs = spec.get("podCIDR") or "", list(spec.get("podCIDRs") or ())
    if single and (not cidrs or cidrs[0] != single):
        cidrs = [single]
    if not dual_stack and len((old or {}).get("podCIDRs") or ()) <= 1:
        cidrs = cidrs[:1]
    if cidrs:
        stored["podCIDR"] = cidrs[0]
        stored["podCIDRs"] = cidrs
    return stored


def node_errors(spec: Mapping[str, Any], *, version: KubeVersion, syntax: AddressSyntax) -> list[FieldError]:
    """Validate the CIDRs of a Node.

    Parameters
    ----------
    spec : mapping
        As `node_spec` returns it.
    version : KubeVersion
        Of the API server.
    syntax : {"go", "sloppy", "strict"}
        How it reads CIDRs.

    Returns
    -------
    list of FieldError
        In the server's order.

    Raises
    ------
    None
        Every spec has an answer.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> [e.path for e in node_errors({"podCIDRs": ["x"]}, version=KubeVersion("1.36"), syntax="strict")]
    ['spec.podCIDRs[0]']
    """
    cidrs = list(spec.get("podCIDRs") or ())
    per_value = version.rule("node_pod_cidr_complaints_name_the_value")
    found: list[FieldError] = []
    for index, text in enumerate(cidrs):
        complaints = cidr_complaints(text, syntax=syntax)
        if complaints and not per_value:
            found.append(invalid(f"spec.podCIDRs[{index}]", GoList(cidrs), "must be valid CIDR"))
        elif complaints:
            found += [invalid(f"spec.podCIDRs[{index}]", text, words) for words in complaints]
    if len(cidrs) > 1:
        found += _pair_errors(cidrs, syntax=syntax, repeats=not per_value)
    return found


def _pair_errors(cidrs: list[str], *, syntax: AddressSyntax, repeats: bool) -> list[FieldError]:
    """Judge several CIDRs of one Node together."""
    found: list[FieldError] = []
    families = [cidr_family(text, syntax=syntax) for text in cidrs]
    unread = next((text for text, family in zip(cidrs, families, strict=True) if family is None), None)
    if unread is not None:
        detail = f'failed to parse cidr value:"{unread}" with error:invalid CIDR address: {unread}'
        words = f"invalid PodCIDRs. failed to check with dual stack with error:{detail}"
        found.append(internal("spec.podCIDRs", words))
    if unread is not None or len(set(families)) < 2 or len(cidrs) > 2:
        found.append(invalid("spec.podCIDRs", GoList(cidrs), _ONE_PER_FAMILY))
    if repeats:
        found += [duplicate(f"spec.podCIDRs[{i}]", text) for i, text in enumerate(cidrs) if text in cidrs[:i]]
    return found


def node_update_errors(
    spec: Mapping[str, Any], old: Mapping[str, Any], *, version: KubeVersion, syntax: AddressSyntax
) -> list[FieldError]:
    """Validate a change of a Node.

    Parameters
    ----------
    spec, old : mapping
        New and stored spec, as `node_spec` returns them.
    version : KubeVersion
        Of the API server.
    syntax : {"go", "sloppy", "strict"}
        How it reads CIDRs.

    Returns
    -------
    list of FieldError
        CIDRs may be set once; ``providerID`` too.

    Raises
    ------
    None
        Every pair has an answer.

    Examples
    --------
    >>> from dsmodel import KubeVersion
    >>> old = node_spec({"podCIDR": "10.0.0.0/24"})
    >>> new = node_spec({"podCIDRs": ["10.0.0.0/24", "fd00::/64"]})
    >>> [e.kind for e in node_update_errors(new, old, version=KubeVersion("1.36"), syntax="strict")]
    ['Forbidden']
    """
    found = node_errors(spec, version=version, syntax=syntax)
    before, after = old.get("podCIDRs") or [], spec.get("podCIDRs") or []
    frozen: list[FieldError] = []
    if before and len(before) != len(after):
        frozen.append(forbidden("spec.podCIDRs", _FROZEN))
    elif before:
        frozen += [forbidden("spec.podCIDRs", _FROZEN) for a, b in zip(before, after, strict=True) if a != b]
    if old.get("providerID") and spec.get("providerID") != old["providerID"]:
        words = 'node updates may not change providerID except from "" to valid'
        frozen.append(forbidden("spec.providerID", words))
    closing = version.rule("node_update_closing_words")
    if frozen and closing:
        frozen.append(forbidden("[]", closing))
    return found + frozen


def host_ips(addresses: Sequence[Mapping[str, str]], *, dual_stack: bool = True) -> tuple[str, ...]:
    """Return the addresses that host-network Pods, kube-proxy and others take a node to have.

    Parameters
    ----------
    addresses : sequence of mapping
        ``status.addresses``: type and address.
    dual_stack : bool
        The IPv6DualStack gate; off, only the first is taken.

    Returns
    -------
    tuple of str
        Internal addresses before external ones; the first is primary, the second the first of the other family. Empty
        when the node has none.

    Raises
    ------
    None
        Texts that are no addresses are passed over.

    Notes
    -----
    Source: ``GetNodeHostIPs`` of ``pkg/util/node/node.go``.

    Examples
    --------
    >>> host_ips([{"type": "ExternalIP", "address": "fd00::1"}, {"type": "InternalIP", "address": "10.0.0.1"}])
    ('10.0.0.1', 'fd00::1')
    """
    ordered = [a["address"] for kind in ("InternalIP", "ExternalIP") for a in addresses if a.get("type") == kind]
    return _one_per_family(ordered)[: 2 if dual_stack else 1]


def sort_pod_ips(pod_ips: Sequence[str], *, primary: IPFamily = IPFamily.IPV4) -> tuple[str, ...]:
    """Order a Pod's addresses as its kubelet reports them since 1.21.

    Parameters
    ----------
    pod_ips : sequence of str
        As the container runtime returned them.
    primary : IPFamily
        Family of the kubelet's first node address.

    Returns
    -------
    tuple of str
        At most one a family, the primary family first, in canonical text.

    Raises
    ------
    None
        Texts that are no addresses are passed over.

    Notes
    -----
    Source: ``sortPodIPs`` of ``pkg/kubelet/kubelet_pods.go``.

    Examples
    --------
    >>> sort_pod_ips(["FD00::2", "10.244.0.2", "10.244.0.3"])
    ('10.244.0.2', 'fd00::2')
    """
    canonical = []
    for text in pod_ips:
        read = read_ip(text)
        if read is not None:
            canonical.append(format_address(*read))
    firsts = _one_per_family(canonical)
    return tuple(sorted(firsts, key=lambda text: _family(text) is not primary))


def _one_per_family(texts: Sequence[str]) -> tuple[str, ...]:
    """Keep the first address of each family."""
    kept: dict[IPFamily, str] = {}
    for text in texts:
        family = _family(text)
        if family is not None:
            kept.setdefault(family, text)
    return tuple(kept.values())


def _family(text: str) -> IPFamily | None:
    """Tell the family of an address."""
    read = read_ip(text)
    return read[0] if read else None
