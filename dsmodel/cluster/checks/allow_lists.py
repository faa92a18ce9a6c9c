"""Rules about allow-lists, policies and pools that name addresses of one family, where pods or Services have two.

Promises what follows for the family that is not named, which differs: a load balancer's source ranges leave it **open
to all**, as kube-proxy filters each family by its own ranges and an empty list is no filter; a NetworkPolicy
**refuses** it, as a pod that a policy selects gets only what some rule lets through; an egress gateway lets it **pass
by**; load balancers' pools have **no address** for it, or for a Service of both families none at all.

What it does not know: firewalls a cloud puts up for a load balancer by itself, which may refuse instead; policies of
other kinds; names (``toFQDNs``) and selectors, which speak for both families.

Sources: ``newBaseServiceInfo`` of ``pkg/proxy/serviceport.go`` (``pkg/proxy/service.go`` of v1.20.2) and
``usesFWChain`` of ``pkg/proxy/iptables/proxier.go`` of v1.36.2; networking.k8s.io/v1 NetworkPolicyPeer; cilium/cilium
``pkg/egressgateway``; ovn-org/ovn-kubernetes ``go-controller/pkg/crd/egressip/v1``; MetalLB as in
`dsmodel.kube.load_balancers`; cilium/cilium ``operator/pkg/lbipam/lbipam.go``, which serves each family by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cluster.checks.rules import Rule, each, service_name
from dsmodel.cluster.object_shapes import well_shaped
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from dsmodel.cluster.checks.rules import Breach, Subject

__all__ = ["ALLOW_LIST_RULES"]

_LOAD_BALANCER = 3  # code of schema.SERVICE_TYPES
_OTHER = {IPFamily.IPV4: IPFamily.IPV6, IPFamily.IPV6: IPFamily.IPV4}
_DIRECTIONS = (("ingress", "from"), ("egress", "to"))


def _open_load_balancers(subject: Subject) -> list[Breach]:
    """Find dual-stack load balancers whose source ranges name one family."""
    services, ranges = subject.cluster.services, subject.cluster.allowed_sources
    named = {}
    for end in ("ipv4", "ipv6"):
        counts = np.zeros(len(services), np.int64)
        rows = ranges["service"][ranges[f"has_source_{end}"]]
        np.add.at(counts, rows[rows >= 0], 1)
        named[end] = counts
    both = services["has_cluster_ipv4"] & services["has_cluster_ipv6"] & (services["type"] == _LOAD_BALANCER)
    one = (named["ipv4"] > 0) ^ (named["ipv6"] > 0)

    def breach(row: int) -> Breach:
        here, other = ("IPv4", "IPv6") if named["ipv4"][row] else ("IPv6", "IPv4")
        count = int(named[here.lower()][row])
        listed = f"{count} {here} range" + ("s" if count > 1 else "")
        text = f"lets in {listed} and names no {other} one: its {other} load balancer address is open to all"
        return service_name(services, row), text

    return each(np.flatnonzero(both & one), breach)


def _is_dual_stack(subject: Subject) -> bool:
    """Tell whether pods of the cluster have both families."""
    cluster = subject.cluster
    if len({cidr.family for cidr in cluster.config.cluster_cidrs}) > 1:
        return True
    return bool((cluster.pods["has_pod_ipv4"] & cluster.pods["has_pod_ipv6"] & cluster.pods["holds_address"]).any())


def _families(texts: Iterable[object]) -> set[IPFamily]:
    """Return the families of addresses and CIDRs; what cannot be read has none."""
    found = set()
    for text in texts:
        try:
            found.add(Cidr.of(str(text), host_bits="mask").family)
        except InvalidInput:
            continue
    return found


def _name(each_object: Mapping[str, Any]) -> str:
    """Name an object as findings do."""
    metadata = each_object.get("metadata") or {}
    space = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{each_object.get('kind')}/{space}{metadata.get('name', '')}"


def _blocked_by_policies(subject: Subject) -> list[Breach]:
    """Find NetworkPolicies that let through addresses of one family only, by direction."""
    if not _is_dual_stack(subject):
        return []
    return [
        (_name(policy), text)
        for policy in subject.cluster.objects.of("NetworkPolicy")
        for text in _one_family_directions(policy.get("spec") or {})
    ]


def _one_family_directions(spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a policy refuses, once a direction in which its IP blocks are of one family."""
    for direction, peers in _DIRECTIONS:
        rules = [rule or {} for rule in spec.get(direction) or ()]
        if any(not rule.get(peers) for rule in rules):
            continue  # a rule without peers lets everybody through
        blocks = [(peer or {}).get("ipBlock") or {} for rule in rules for peer in rule[peers]]
        families = _families(block.get("cidr") for block in blocks if block)
        if len(families) == 1:
            (family,) = families
            text = ", ".join(str(block["cidr"]) for block in blocks if block.get("cidr"))
            yield (
                f"{direction} {peers} {text} names {family} only: what it selects has two families, and the same peers "
                f"are refused over {_OTHER[family]}"
            )


def _passed_by(subject: Subject) -> list[Breach]:
    """Find egress gateways' policies for one family."""
    if not _is_dual_stack(subject):
        return []
    found = []
    for kind, texts in _EGRESS.items():
        for policy in subject.cluster.objects.of(kind):
            families = _families(texts(policy.get("spec") or {}))
            if len(families) == 1:
                (family,) = families
                text = f"covers {family} only: {_OTHER[family]} traffic of the same pods leaves as if it were not there"
                found.append((_name(policy), text))
    return found


def _pools_of_one_family(subject: Subject) -> list[Breach]:
    """Find load balancers' pools that leave Services of both families without an address."""
    if len({cidr.family for cidr in subject.cluster.config.service_cidrs}) < 2:
        return []
    objects, found = subject.cluster.objects, []
    of_metallb = _pool_families(objects.of("IPAddressPool", "metallb.io"), lambda spec: spec.get("addresses") or ())
    if not any(len(families) > 1 for _, families in of_metallb):
        # a Service's addresses all come from one pool
        text = "and no other pool both: a Service with two cluster IPs gets no address, whatever its policy"
        found += [(name, f"has {next(iter(families))} only, {text}") for name, families in of_metallb if families]
    of_cilium = _pool_families(
        [each for each in objects.of("CiliumLoadBalancerIPPool") if not (each.get("spec") or {}).get("disabled")],
        _cilium_blocks,
    )
    together = set().union(*(families for _, families in of_cilium))
    if len(together) == 1:
        (family,) = together
        text = f"has {family} only, as has every other pool: Services get no {_OTHER[family]} address from outside"
        found += [(name, text) for name, families in of_cilium if families]
    return found


def _pool_families(
    pools: Iterable[dict[str, Any]], texts: Callable[[Mapping[str, Any]], Iterable[object]]
) -> list[tuple[str, set[IPFamily]]]:
    """Return the families of each pool; of a range the first address tells."""
    named = ((_name(pool), texts(pool.get("spec") or {})) for pool in well_shaped(pools)[0])
    return [(name, _families(str(text).partition("-")[0].strip() for text in listed)) for name, listed in named]


def _cilium_blocks(spec: Mapping[str, Any]) -> Iterator[object]:
    """Yield a CIDR or a first address of each block; before 1.15 the field was called cidrs."""
    for block in (*(spec.get("blocks") or ()), *(spec.get("cidrs") or ())):
        yield block.get("cidr") or block.get("start") or ""


_EGRESS: Mapping[str, Callable[[Mapping[str, Any]], Iterable[object]]] = {
    "CiliumEgressGatewayPolicy": lambda spec: spec.get("destinationCIDRs") or (),
    "EgressIP": lambda spec: spec.get("egressIPs") or (),
}


ALLOW_LIST_RULES = (
    Rule(
        "load-balancer-sources-one-family",
        "warning",
        "a dual-stack load balancer restricts the clients of one family only",
        "name ranges of the other family too, ::/128 or 0.0.0.0/32 to let nobody in; a cloud's own firewall may differ",
        "pkg/proxy/serviceport.go, newBaseServiceInfo; pkg/proxy/iptables/proxier.go, usesFWChain",
        _open_load_balancers,
    ),
    Rule(
        "network-policy-one-family",
        "warning",
        "a NetworkPolicy of a dual-stack cluster has IP blocks of one family",
        "add the peers' blocks of the other family, or say by a selector whom it lets through",
        "networking.k8s.io/v1 NetworkPolicyPeer: a selected pod gets what some rule lets through",
        _blocked_by_policies,
    ),
    Rule(
        "egress-policy-one-family",
        "warning",
        "an egress gateway's policy of a dual-stack cluster covers one family",
        "cover the other family too, or forbid it by a NetworkPolicy",
        "cilium/cilium pkg/egressgateway; ovn-org/ovn-kubernetes egressip/v1",
        _passed_by,
    ),
    Rule(
        "load-balancer-pool-one-family",
        "warning",
        "no pool of load balancers serves a Service of both families",
        "put ranges of both families into one pool (MetalLB), or add a pool of the other family (Cilium)",
        "metallb/metallb#1156, #1339; cilium/cilium operator/pkg/lbipam/lbipam.go",
        _pools_of_one_family,
    ),
)
