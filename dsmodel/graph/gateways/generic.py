"""A gateway for anything that has no file of its own: whom it selects, where it lets out, what it does without one.

Promises exactly what its fields say. An appliance, a NAT instance, an Istio egress gateway with a fixed address or
spidernet's egressgateway can be written down with it.

What it does not know: any product.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.literals import format_address, parse_address
from dsmodel.errors import InvalidInput
from dsmodel.graph.flows import Exit, Verdict
from dsmodel.graph.gateways.contract import Claim, GatewayPolicy, Product, Selection, Way
from dsmodel.graph.gateways.manifests import family_of_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.contract import Route
    from dsmodel.graph.gateways.situation import Situation

__all__ = ["GENERIC", "EgressGateway"]

_MISSING = {
    "drop": Verdict.DROPPED_NO_GATEWAY,
    "fall through": Verdict.LEAK_FALLTHROUGH,
    "black hole": Verdict.NO_ROUTE,
}


@dataclass(frozen=True, kw_only=True)
class EgressGateway(GatewayPolicy):
    """A gateway as its fields say.

    Parameters
    ----------
    name : str
        Name.
    selects : Selection
        Pods; all if left out.
    destinations : tuple of str
        CIDRs; everything of both families if left out.
    exceptions : tuple of str
        CIDRs that are left alone.
    nodes : tuple of str
        Names of the nodes it can run on, in the order in which they are taken.
    addresses : tuple of str
        Sources seen outside, of any family; they follow the gateway. If left out, the InternalIP of its node.
    families : tuple of str
        Families that it takes at all; traffic of another one never meets it.
    spread : {"first", "all"}
        Whether the first node that is up serves, or all of them by a hash of the flow.
    on_missing : {"drop", "fall through", "black hole"}
        What becomes of traffic without a node that is up, or of a family without an address.
    priority : int
        Among gateways of this kind; a higher one comes first.

    Raises
    ------
    InvalidInput
        A word that is none of those, an address or CIDR that is none.

    Examples
    --------
    >>> gateway = EgressGateway(name="partner", nodes=("edge-1", "edge-2"), addresses=("192.0.2.10",))
    >>> gateway.title, gateway.on_missing
    ('EgressGateway/partner', 'drop')
    """

    kind: str = "EgressGateway"
    selects: Selection = field(default_factory=Selection)
    destinations: tuple[str, ...] = ("0.0.0.0/0", "::/0")
    exceptions: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    families: tuple[str, ...] = ("IPv4", "IPv6")
    spread: Literal["first", "all"] = "first"
    on_missing: Literal["drop", "fall through", "black hole"] = "drop"
    priority: int = 0

    def __post_init__(self) -> None:
        """Refuse what is none of the words, and read addresses."""
        for name, allowed in (("on_missing", tuple(_MISSING)), ("spread", ("first", "all"))):
            if getattr(self, name) not in allowed:
                raise InvalidInput(f"{name}={getattr(self, name)!r}: allowed are {', '.join(allowed)}")
        if wrong := set(self.families) - set(IPFamily):
            raise InvalidInput(f"families={sorted(wrong)}: allowed are IPv4 and IPv6")
        read = tuple(format_address(*parse_address(each)) for each in self.addresses)
        object.__setattr__(self, "addresses", read)
        for block in (*self.destinations, *self.exceptions):
            Cidr(block)


def claim_generic(policies: Sequence[GatewayPolicy], situation: Situation) -> Iterator[Claim]:
    """Say what gateways do with these nodes.

    Parameters
    ----------
    policies : sequence of EgressGateway
        All of them.
    situation : Situation
        The nodes.

    Yields
    ------
    Claim
        One a gateway and family.

    Raises
    ------
    None
        A gateway that cannot serve says so.
    """
    for policy in policies:
        if not isinstance(policy, EgressGateway):
            continue
        blocks = [Cidr(text) for text in policy.destinations]
        holes = [Cidr(text) for text in policy.exceptions]
        for family in map(IPFamily, policy.families):
            way = _way(policy, family, situation)
            routes: list[Route] = [(block, way) for block in blocks if block.family is family]
            routes += [(hole, None) for hole in holes if hole.family is family]
            yield Claim(policy, family, tuple(routes), policy.selects, policy.priority)


def _way(policy: EgressGateway, family: IPFamily, situation: Situation) -> Way:
    """Return what it does with one family."""
    missing = _MISSING[policy.on_missing]
    alive = [name for name in policy.nodes if name not in situation.failed]
    own = [each for each in policy.addresses if family_of_text(each) is family and each not in situation.failed]
    if policy.title in situation.failed or not alive:
        why = "is down" if policy.title in situation.failed else f"has no node that is up among {list(policy.nodes)}"
        return Way(missing, f"{policy.title} {why}: {policy.on_missing}")
    exits = []
    for name in alive[:1] if policy.spread == "first" else alive:
        row = situation.rows.get(name, -1)
        at_node = situation.address(row, family)
        exits += [Exit(row, each, f"Node/{name}") for each in own or ([at_node] if at_node else [])]
    if policy.addresses and not own:
        exits = []
    if not exits:
        code = Verdict.DROPPED_NO_EGRESS_IP if missing is Verdict.DROPPED_NO_GATEWAY else missing
        return Way(code, f"{policy.title} has no {family} address: {policy.on_missing}")
    how = f"{policy.title} serves {family}" if len(exits) == 1 else f"{policy.title} spreads {family} by flow"
    return Way(Verdict.VIA_GATEWAY, how, tuple(exits))


def read_generic(cluster: Cluster, version: str) -> tuple[list[GatewayPolicy], list[Finding]]:
    """Read nothing: these gateways are in no object.

    Parameters
    ----------
    cluster : Cluster
        Any.
    version : str
        Any.

    Returns
    -------
    tuple of (list, list)
        Both empty.

    Raises
    ------
    None
        There is nothing to read.
    """
    del cluster, version
    return [], []


GENERIC = Product("generic", EgressGateway, read_generic, claim_generic, source="the gateway's own fields")
"""Gateways that are written down by hand."""
