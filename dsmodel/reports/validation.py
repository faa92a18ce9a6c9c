"""Kubernetes' own task "Validate IPv4/IPv6 dual-stack", run on a cluster's tables instead of by hand.

Promises one row for each thing the task and its end-to-end test look at, with the objects that fail. What only shows
inside a running Pod or on the wire is a row that says so and names the command.

What it does not know: the order of a node's status.addresses, which the tables do not hold.

Sources: "Validate IPv4/IPv6 dual-stack" of Kubernetes' documentation; ``test/e2e/network/dual_stack.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import addresses_in, equal
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.schema import IP_FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster
    from dsmodel.cluster.table import Table

    Mask = NDArray[np.bool_]

__all__ = ["dual_stack_validation"]

COLUMNS: Final = ("check", "result", "tested", "count", "offenders", "why")
_NAMED: Final = 3  # offenders that are named
_RUNNING: Final = 2
_SINGLE, _PREFER, _REQUIRE = 1, 2, 3
_LOAD_BALANCER, _EXTERNAL_NAME = 3, 4
_SERVICE_NAME: Final = "kubernetes.io/service-name"
# what a dump cannot show: check, how to see it
_BY_HAND: Final = (
    (
        "the downward API gives both Pod addresses, in the order of status.podIPs",
        "run printenv MY_POD_IPS in a Pod with a fieldRef to status.podIPs",
    ),
    ("/etc/hosts of a Pod holds both addresses", "run cat /etc/hosts in a Pod"),
    ("Pods reach each other in each family", "run ping and curl between two Pods, once a family"),
    ("node ports answer on node addresses of both families", "curl an address of each family of a node"),
    ("DNS answers A and AAAA for dual-stack Services", "run nslookup in a Pod"),
)


def dual_stack_validation(cluster: Cluster) -> pd.DataFrame:
    """Run the checks of "Validate IPv4/IPv6 dual-stack" on a cluster.

    Parameters
    ----------
    cluster : Cluster
        As read from a dump, or built.

    Returns
    -------
    pandas.DataFrame
        One row a check, in the order of the task: ``check``, ``result`` (``ok``, ``fails``, ``not tested``), ``tested``
        and ``count`` (int64: objects looked at, objects that fail), ``offenders`` (the first of them), ``why``.

    Raises
    ------
    None
        Every cluster has an answer; one of a single family fails.

    Examples
    --------
    >>> from dsmodel import examples
    >>> frame = dual_stack_validation(examples.kubeadm_dual_stack())
    >>> frame.loc[frame["result"] == "fails", "check"].tolist()
    []
    """
    rows = [*_preconditions(cluster), *_nodes(cluster), *_pods(cluster), *_services(cluster), _endpoints(cluster)]
    rows += [_row(check, 0, (), f"not in a dump: {way}") for check, way in _BY_HAND]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(
        {name: "int64" if name in {"tested", "count"} else "str" for name in COLUMNS}
    )


def _row(check: str, tested: int, offenders: Iterable[str], why: str, *, count: int | None = None) -> dict[str, Any]:
    """Make a row; without anything to look at, nothing was tested."""
    named = list(offenders)
    failed = len(named) if count is None else count
    more = f", and {failed - _NAMED:,} more" if failed > _NAMED else ""
    return {
        "check": check,
        "result": "not tested" if not tested else "fails" if failed else "ok",
        "tested": tested,
        "count": failed,
        "offenders": ", ".join(named[:_NAMED]) + more,
        "why": why,
    }


def _masked(check: str, about: Mask, wrong: Mask, *, names: Any, why: str) -> dict[str, Any]:
    """Make a row from masks over a table; `names` turns row numbers into names."""
    failing = np.flatnonzero(about & wrong)
    none = "" if about.any() else "; there is no such object"
    return _row(check, int(np.count_nonzero(about)), names(failing[:_NAMED]), why + none, count=len(failing))


def _preconditions(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """Look at version and ranges."""
    config = cluster.config
    version = config.kube_version
    row = version.gate_row("IPv6DualStack")
    given = config.feature_gates.get("IPv6DualStack")
    is_on = version.gate("IPv6DualStack", {"IPv6DualStack": given} if row and not row.locked and given else None)
    why = f"Kubernetes {version} has dual-stack {'on' if is_on else 'off: set IPv6DualStack=true on every component'}"
    yield _row("dual-stack is switched on", 1, () if is_on else ["IPv6DualStack"], why)
    blocks, services = ([cidr.family for cidr in cidrs] for cidrs in (config.cluster_cidrs, config.service_cidrs))
    for check, families, field in (
        ("cluster CIDRs name both families", blocks, "cluster_cidrs"),
        ("service ranges name both families", services, "service_cidrs"),
    ):
        missing = [family.value for family in IPFamily if family not in families]
        why = f"configured: {' and '.join(families) or 'nothing'} ({config.evidence.get(field, 'given')})"
        yield _row(check, 1, missing, why)
    both = blocks and services and len(blocks) == len(services)
    why = f"cluster CIDRs are {','.join(blocks) or 'none'}, service ranges {','.join(services) or 'none'}"
    wrong = [why] if both and blocks != services else []
    yield _row("cluster CIDRs and service ranges have one order", int(bool(both)), wrong, why)


def _nodes(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """Look at podCIDRs and addresses of nodes."""
    nodes = cluster.nodes
    every = np.ones(len(nodes), np.bool_)

    def names(rows: NDArray[np.intp]) -> list[str]:
        return [f"Node/{name}" for name in nodes["name"][rows]]

    lacks_block = ~(nodes["has_pod_cidr_ipv4"] & nodes["has_pod_cidr_ipv6"])
    if not cluster.config.cluster_cidrs and lacks_block.all():
        why = "no node has podCIDRs: a network plugin hands out addresses from its own pools"
        yield _row("every node has one podCIDR of each family", 0, (), why)
    else:
        why = "kubectl get node -o jsonpath={.spec.podCIDRs}: one IPv4 and one IPv6 block"
        yield _masked("every node has one podCIDR of each family", every, lacks_block, names=names, why=why)
    ipv4, ipv6 = nodes["has_internal_ipv4"], nodes["has_internal_ipv6"]
    if not (ipv4 | ipv6).any():
        yield _row("every node has an InternalIP of each family", 0, (), "no node shows status.addresses")
        return
    why = "status.addresses: routable interfaces of both families; kubelet takes them from --node-ip or its provider"
    yield _masked("every node has an InternalIP of each family", every, ~(ipv4 & ipv6), names=names, why=why)


def _pods(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """Look at the addresses of Pods."""
    pods, nodes = cluster.pods, cluster.nodes
    ipv4, ipv6, on_host = pods["has_pod_ipv4"], pods["has_pod_ipv6"], pods["host_network"]
    addressed = (ipv4 | ipv6) & np.isin(pods["phase"], (0, _RUNNING))

    def names(rows: NDArray[np.intp]) -> list[str]:
        return ["/".join(("Pod", *pair)) for pair in zip(pods["namespace"][rows], pods["name"][rows], strict=True)]

    why = "status.podIPs: one address of each family; the network plugin and the node's podCIDRs give them"
    yield _masked(
        "every Pod has one address of each family", addressed & ~on_host, ~(ipv4 & ipv6), names=names, why=why
    )
    placed = addressed & ~on_host & ipv4 & ipv6 & (pods["node"] >= 0)
    first = np.where(placed & (pods["primary_ip_family"] == 6), 1, 0)
    rows = np.maximum(pods["node"], 0)
    sixes = np.bincount(rows[placed], first[placed], minlength=len(nodes) or 1)
    total = np.bincount(rows[placed], minlength=len(nodes) or 1)
    # the family that begins podIPs on most Pods of the node
    usual = (sixes * 2 > total)[rows] if len(pods) else np.empty(0, np.bool_)
    why = "kubelet puts the family of the node's primary address first, for all Pods of the node, since 1.21"
    yield _masked("podIP is of one family on all Pods of a node", placed, (first == 1) != usual, names=names, why=why)
    hosted = addressed & on_host & (pods["node"] >= 0)
    same = np.ones(len(pods), np.bool_)
    known = np.zeros(len(pods), np.bool_)
    for family in ("ipv4", "ipv6"):
        has = nodes[f"has_internal_{family}"]
        theirs = has[rows] if len(nodes) and len(pods) else np.zeros(len(pods), np.bool_)
        known |= theirs
        alike = np.zeros(len(pods), np.bool_)
        chosen = theirs & pods[f"has_pod_{family}"]
        alike[chosen] = equal(pods[f"pod_{family}"][chosen], nodes[f"internal_{family}"][rows[chosen]])
        same &= alike | ~theirs
    why = "a hostNetwork Pod shows the addresses of its node, one of each family that the node has"
    yield _masked("hostNetwork Pods have their node's addresses", hosted & known, ~same, names=names, why=why)


def _services(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """Look at families and addresses of Services, by policy."""
    services = cluster.services
    policy, headless = services["ip_family_policy"], services["headless"]
    ipv4, ipv6 = services["has_cluster_ipv4"], services["has_cluster_ipv6"]
    headful = ~headless & (services["type"] != _EXTERNAL_NAME)
    listed, primary = services["ip_families"], services["primary_ip_family"]
    one_family, two_families = np.isin(listed, (4, 6)), np.isin(listed, (46, 64))
    first = np.where(listed > 9, listed // 10, listed)

    def names(rows: NDArray[np.intp]) -> list[str]:
        pairs = zip(services["namespace"][rows], services["name"][rows], strict=True)
        return ["/".join(("Service", *pair)) for pair in pairs]

    why = "spec.ipFamilies names one family, spec.clusterIPs holds one address, of that family"
    wrong = ~one_family | (ipv4 & ipv6) | (primary != first)
    check = "SingleStack Services have one cluster IP, of their family"
    yield _masked(check, headful & (policy == _SINGLE), wrong, names=names, why=why)
    for code, word in ((_PREFER, "PreferDualStack"), (_REQUIRE, "RequireDualStack")):
        why = "spec.clusterIPs holds one address of each family, in the order of spec.ipFamilies"
        wrong = ~(ipv4 & ipv6 & two_families) | (primary != first)
        check = f"{word} Services have two cluster IPs, in the order of their families"
        yield _masked(check, headful & (policy == code), wrong, names=names, why=why)
    why = "a headless Service with a dual-stack policy lists both families in spec.ipFamilies"
    dual_headless = headless & (policy >= _PREFER)
    yield _masked("headless dual-stack Services list both families", dual_headless, ~two_families, names=names, why=why)
    outside = _outside(cluster, services)
    why = "cluster IPs lie in --service-cluster-ip-range or a ServiceCIDR"
    yield _masked("cluster IPs lie in the service ranges", headful & (ipv4 | ipv6), outside, names=names, why=why)
    balanced = services["type"] == _LOAD_BALANCER
    external = {4: services["has_external_ipv4"], 6: services["has_external_ipv6"]}
    shown = external[4] | external[6]
    lacking = np.zeros(len(services), np.bool_)
    for family, has in external.items():
        wants = np.isin(listed, [code for code, words in IP_FAMILIES.items() if f"IPv{family}" in words])
        lacking |= wants & ~has
    why = "the provider gives an address of each family in spec.ipFamilies; those without any address are still waiting"
    yield _masked(
        "load balancers have an external address of each family", balanced & shown, lacking, names=names, why=why
    )


def _endpoints(cluster: Cluster) -> dict[str, Any]:
    """Look at the EndpointSlices of each Service that has some: one a family, with addresses of that family."""
    services = cluster.services
    check = "Services have EndpointSlices of each of their families, with addresses of it"
    found: dict[tuple[str, str], set[str]] = {}
    strange: set[tuple[str, str]] = set()
    for each in cluster.objects.of("EndpointSlice", "discovery.k8s.io"):
        metadata, family = each.get("metadata") or {}, str(each.get("addressType") or "")
        owner = str((metadata.get("labels") or {}).get(_SERVICE_NAME, ""))
        key = str(metadata.get("namespace", "")), owner
        if owner and family in set(IPFamily):
            found.setdefault(key, set()).add(family)
            texts = (text for entry in each.get("endpoints") or () for text in entry.get("addresses") or ())
            if any((":" in text) is not (family == IPFamily.IPV6) for text in texts):
                strange.add(key)
    if not found:
        return _row(check, 0, (), "no EndpointSlice in the dump: kubectl get endpointslices -A -o json shows them")
    keys = list(zip(services["namespace"].tolist(), services["name"].tolist(), strict=True))
    listed = services["ip_families"].tolist()
    tested = [row for row, key in enumerate(keys) if key in found and IP_FAMILIES.get(listed[row])]
    wrong = [
        row
        for row in tested
        if keys[row] in strange or any(f in IP_FAMILIES[listed[row]] and f not in found[keys[row]] for f in IPFamily)
    ]
    why = "the EndpointSlice controller writes one slice a family of spec.ipFamilies, each with Pod addresses of it"
    return _row(check, len(tested), ["/".join(("Service", *keys[row])) for row in wrong], why)


def _outside(cluster: Cluster, services: Table) -> Mask:
    """Tell which Services have a cluster IP outside every range."""
    config = cluster.config
    ranges = [*config.service_cidrs, *config.extra_service_cidrs]
    wrong = np.zeros(len(services), np.bool_)
    for family in IPFamily:
        column = services[f"cluster_{family.value.lower()}"]
        own = [cidr for cidr in ranges if cidr.family is family]
        inside = addresses_in(column, own) if own else np.zeros(len(services), np.bool_)
        wrong |= services[f"has_cluster_{family.value.lower()}"] & ~inside
    return wrong
