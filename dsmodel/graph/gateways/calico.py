"""Egress gateways of Calico Enterprise and Calico Cloud: pods as gateways, IPv4 only.

Promises: rules of a policy go by longest prefix, a rule without a gateway routes locally; no live gateway drops, and so
does a policy that is not there; IPv6 takes the normal path, past the gateway. Outside, the gateway pod's address is
seen where its pool is not natted, else its node's. Who asks for gateways is the business of
`dsmodel.graph.gateways.calico_annotations`.

What it does not know: which of several gateways `maxNextHops` leaves a client, and IPv6 gateways, of which the
documentation says nothing. Open-source Calico has no egress gateway.

Sources: tigera/docs ``calico-enterprise/networking/egress``, ``reference/resources/egressgatewaypolicy.mdx``;
``felix/calc/active_egress_calculator.go`` of Calico Enterprise; IPv6 is derived from the silence of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import addresses_in, to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.literals import format_address
from dsmodel.cni.calico.selectors import parse_selector
from dsmodel.errors import InvalidInput
from dsmodel.graph.flows import Exit, Verdict
from dsmodel.graph.gateways.calico_annotations import GROUPS, CalicoEgress, CalicoRule, read_calico
from dsmodel.graph.gateways.contract import EVERYWHERE, Claim, GatewayPolicy, Product, Way
from dsmodel.graph.gateways.manifests import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.contract import Route
    from dsmodel.graph.gateways.situation import Situation

__all__ = ["CALICO", "claim_calico"]


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
    cache: dict[CalicoRule, tuple[tuple[Exit, ...], bool]] = {}
    for policy in policies:
        if not isinstance(policy, CalicoEgress):
            continue
        chosen = policy.selection
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
            if rule not in cache:
                cache[rule] = _gateways(rule, situation)
            routes.append((rule.destination, _way(policy, rule, cache[rule])))
        yield Claim(policy, IPFamily.IPV4, tuple(routes), chosen)


def _way(policy: CalicoEgress, rule: CalicoRule, found: tuple[tuple[Exit, ...], bool]) -> Way:
    """Return what a rule with a gateway does."""
    exits, is_open = found
    title = f"Calico {policy.title}"
    if is_open:
        words = f"labels of pods or namespaces are not known: which gateways fit {rule.selector!r} is open"
        return Way(Verdict.UNKNOWN, f"{title}: {words}", exits)
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


class _Labels(dict[str, str]):
    """Labels of which only some are known, and whether any other was asked for."""

    is_open = False

    def __missing__(self, key: str) -> str:
        self.is_open = True
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        self.is_open |= not found
        return found

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, default) if key in self else default


def _gateways(rule: CalicoRule, situation: Situation) -> tuple[tuple[Exit, ...], bool]:
    """Return the gateway pods that are up, with the address seen after each, and whether there may be more."""
    cluster = situation.cluster
    pods = cluster.pods
    fits, spaces = _reads(rule.selector), _reads(rule.namespaces or "all()")
    if fits is None or spaces is None:
        return (), False
    bare = _Labels()
    every = fits(bare)  # of pods whose labels are not known
    codes = np.asarray(pods["labels"])
    chosen = cluster.pod_labels.select_rows(fits, codes) | ((codes < 0) & (every or bare.is_open))
    exits, is_open = [], False
    for row in np.flatnonzero(chosen & np.asarray(pods["has_pod_ipv4"])).tolist():
        namespace, name = str(pods["namespace"][row]), str(pods["name"][row])
        known = cluster.namespaces.get(namespace)
        labels = _Labels({**(known or {}), "projectcalico.org/name": namespace})
        here = spaces(labels)
        maybe = (labels.is_open and known is None) or (codes[row] < 0 and bare.is_open and here)
        node, title = int(pods["node"][row]), f"Pod/{namespace}/{name}"
        if not (here or maybe) or title in situation.failed or (node >= 0 and not situation.ready[node]):
            continue
        column = pods["pod_ipv4"][row : row + 1]
        address = format_address(IPFamily.IPV4, to_integers(column)[0])
        natted = _natted(cluster, column)
        seen = "" if natted is None else situation.address(node, IPFamily.IPV4) if natted else address
        if address not in situation.failed:
            is_open |= maybe
            exits.append(Exit(node, seen, title))
    return tuple(exits), is_open


def _natted(cluster: Cluster, column: np.ndarray) -> bool | None:
    """Say whether the pool of an address has natOutgoing; None where no pool of the dump holds it."""
    held: list[tuple[int, bool]] = []
    for each in cluster.objects.of("IPPool", *GROUPS):
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


CALICO = Product(
    "Calico",
    CalicoEgress,
    read_calico,
    claim_calico,
    network="Calico",
    source="tigera/docs calico-enterprise/networking/egress",
)
"""Egress gateways of Calico Enterprise."""
