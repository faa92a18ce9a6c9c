"""What egress policies do to each flow: products in their order, policies by selection, destinations by prefix.

Promises one answer a flow, the same as from asking policy by policy and flow by flow: products decide in the order of
`dsmodel.graph.gateways.products.PRODUCTS`, within a product those of higher priority first; what falls through goes on
to the next; the first that decides ends it. Pods are selected once a shape, routes are looked up by column.

What it does not know: flows that began before a policy did, and the moments in which agents have not yet caught up.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses.arrays import empty
from dsmodel.addresses.prefixes import PrefixTable
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.graph.flows import UNDECIDED, VERDICTS, Steering, Verdict
from dsmodel.graph.gateways.endpoints import endpoint_hashes
from dsmodel.graph.gateways.matching import Shapes, selected, shapes_of
from dsmodel.graph.gateways.meeting import groups_of, met
from dsmodel.graph.gateways.products import PRODUCTS
from dsmodel.graph.gateways.situation import Situation, column_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.flows import Exit, Flows
    from dsmodel.graph.gateways.contract import Claim, GatewayPolicy, Product
    from dsmodel.graph.gateways.meeting import Decision

__all__ = ["steer"]

_FEW = 8  # tables that are looked for one by one rather than by sorting the flows


def steer(
    policies: Sequence[GatewayPolicy], flows: Flows, cluster: Cluster, *, failed: Collection[str] = ()
) -> Steering:
    """Say what egress policies do to each flow.

    Parameters
    ----------
    policies : sequence of GatewayPolicy
        Of any products, as `read_gateways` gives them; `EgressGateway` among them.
    flows : Flows
        Of one family. Processes of the host and pods of the host network are selected by none.
    cluster : Cluster
        Whose nodes and pods the flows name.
    failed : collection of str
        Names of nodes, egress addresses, or titles of gateways ("Pod/egress/gateway-0") that are down.

    Returns
    -------
    Steering
        One row a flow, in the same order.

    Raises
    ------
    None
        Policies that cannot serve give verdicts with reasons.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.flows import Flows
    >>> from dsmodel.graph.gateways import EgressGateway
    >>> cluster = kubeadm_dual_stack()
    >>> flows = Flows(cluster.pods["pod_ipv6"][:2], cluster.pods["pod_ipv6"][[7, 7]], node=cluster.pods["node"][:2],
    ...               pod=np.arange(2, dtype=np.int32), host=np.zeros(2, np.bool_))
    >>> steer([EgressGateway(name="out", nodes=("node-0",))], flows, cluster).verdict  # to a pod: not their business
    array([255, 255], dtype=uint8)
    """
    situation = Situation.of(cluster, failed)
    course = _Course(flows, situation)
    places = {id(policy): place for place, policy in enumerate(policies)}
    for product in PRODUCTS:
        own = [policy for policy in policies if isinstance(policy, product.policy)]
        if not own:
            continue
        tiers: dict[int, list[tuple[Claim, int]]] = defaultdict(list)
        for claim in product.claim(own, situation):
            if claim.family is flows.family:
                tiers[claim.priority].append((claim, places[id(claim.policy)]))
        for priority in sorted(tiers, reverse=True):
            course.judge(product, tiers[priority])
    return course.steering(tuple(policy.title for policy in policies))


@dataclass(eq=False)
class _Course:
    """Flows on their way through the products."""

    flows: Flows
    situation: Situation
    decisions: list[Decision] = field(default_factory=list)

    def __post_init__(self) -> None:
        flows, cluster = self.flows, self.situation.cluster
        self.decided = np.full(len(flows), -1, np.int32)
        self.open = ~flows.host & (flows.pod >= 0)
        if len(cluster.pods):
            self.open &= ~np.asarray(cluster.pods["host_network"])[flows.pod]
        self.inside = _places(flows, cluster)

    def judge(self, product: Product, claims: list[tuple[Claim, int]]) -> None:
        """Let policies of one product and priority decide."""
        spared = 2 if product.spares == "pods and nodes" else 1
        rows = np.flatnonzero(self.open & ((self.inside == 0) | (self.inside > spared)))
        if not rows.size:
            return
        table = _Routes(product, claims, self._shapes_for(rows, claims), self.situation.cluster)
        ways = table.lookup(self.flows, rows, self.decisions)
        rows, ways = rows[ways >= 0], ways[ways >= 0]
        self._split(rows, ways)
        falls = np.array([way.verdict is Verdict.LEAK_FALLTHROUGH for way, _ in self.decisions], np.bool_)[ways]
        settled = rows[~falls]
        self.decided[settled] = ways[~falls]
        self.open[settled] = False
        leaking = falls & (self.decided[rows] < 0)
        self.decided[rows[leaking]] = ways[leaking]

    def _shapes_for(self, rows: NDArray[np.intp], claims: list[tuple[Claim, int]]) -> Shapes:
        """Find the distinct pods of some flows, and what the claims ask of them."""
        asked = np.zeros(len(self.situation.cluster.pods), np.bool_)
        asked[self.flows.pod[rows]] = True
        sources = list(dict.fromkeys(claim.selection.sources for claim, _ in claims if claim.selection.sources))
        return shapes_of(self.situation.cluster, np.flatnonzero(asked), family=self.flows.family, sources=sources)

    def _split(self, rows: NDArray[np.intp], ways: NDArray[np.int32]) -> None:
        """Replace ways that differ by pod or by node with those of each flow, in place."""
        for place in np.unique(ways).tolist():
            way, policy = self.decisions[place]
            if not way.by_pod and not way.by_node:
                continue
            mine = np.flatnonzero(ways == place)
            if way.by_pod:
                first = len(self.decisions)
                self.decisions += [(each, policy) for each in way.by_pod]
                hashes, known = endpoint_hashes(self.situation, self.flows.pod[rows[mine]])
                ways[mine[known]] = first + (hashes[known] % len(way.by_pod)).astype(np.int32)
            nodes = self.flows.node[rows[mine]]
            for node, each in way.by_node.items():
                self.decisions.append((each, policy))
                ways[mine[nodes == node]] = len(self.decisions) - 1

    def steering(self, policies: tuple[str, ...]) -> Steering:
        """Write the decisions as columns."""
        flows, family = self.flows, self.flows.family
        exits: dict[tuple[Exit, ...], int] = {}
        reasons: dict[str, int] = {}
        numbers, sources = [], []
        for way, place in self.decisions:
            serves = way.verdict is Verdict.VIA_GATEWAY  # any other verdict may mean no exit at all
            node = way.exits[0].node if serves and len(way.exits) == 1 else -1
            choice = exits.setdefault(way.exits, len(exits)) if way.exits else -1
            addresses = {each.address for each in way.exits}
            sources.append(addresses.pop() if serves and len(addresses) == 1 else "")
            reason = reasons.setdefault(way.reason, len(reasons))
            numbers.append((VERDICTS.index(way.verdict), place, node, choice, reason))
        numbers.append((UNDECIDED, -1, -1, -1, -1))
        sources.append("")
        columns = np.array(numbers, np.int32)
        return Steering(
            verdict=columns[:, 0].astype(np.uint8)[self.decided],
            policy=columns[:, 1][self.decided],
            gateway=columns[:, 2][self.decided],
            source=column_of(sources, family)[self.decided] if len(flows) else empty(0, family),
            has_source=np.array([bool(text) for text in sources], np.bool_)[self.decided],
            choice=columns[:, 3][self.decided],
            reason=columns[:, 4][self.decided],
            policies=policies,
            choices=tuple(exits),
            reasons=tuple(reasons),
        )


class _Routes:
    """Policies of one tier as tables of prefixes, one for each distinct set of policies that selects a pod."""

    def __init__(self, product: Product, claims: list[tuple[Claim, int]], shapes: Shapes, cluster: Cluster) -> None:
        self._product, self._claims, self._shapes = product, claims, shapes
        answers = selected(cluster, shapes, [claim.selection for claim, _ in claims])
        self._group, self._members = groups_of(answers, len(shapes))

    def lookup(self, flows: Flows, rows: NDArray[np.intp], decisions: list[Decision]) -> NDArray[np.int32]:
        """Return the place in decisions of each row's way, -1 for none; decisions grow by those of this tier."""
        places: dict[tuple[int, int], int] = {}
        tables: dict[tuple[Cidr, ...], int] = {}
        offsets: list[int] = []
        of_group: list[int] = []
        flat: list[int] = []
        for members in self._members:
            routes = met(self._product, [(*self._claims[place], sure) for place, sure in members])
            offsets.append(len(flat))
            of_group.append(tables.setdefault(tuple(routes), len(tables)))
            for decision in routes.values():
                if decision is None:
                    flat.append(-1)
                    continue
                key = (id(decision[0]), decision[1])
                if key not in places:
                    places[key] = len(decisions)
                    decisions.append(decision)
                flat.append(places[key])
        found = np.full(len(rows), -1, np.int32)
        if not tables:
            return found
        group = self._group[self._shapes.of_pod[flows.pod[rows]]]
        table_of = np.append(np.array(of_group, np.int64), -1)[group]
        start, ways = np.array(offsets, np.int64), np.append(np.array(flat, np.int32), np.int32(-1))
        for blocks, mine in zip(tables, _parts(table_of, len(tables)), strict=True):
            if not mine.size or not blocks:
                continue
            if len(blocks) == 1 and blocks[0].prefix_length == 0:
                place = np.zeros(mine.size, np.int64)
            else:
                place = PrefixTable(blocks).lookup(flows.destination[rows[mine]])
            found[mine] = np.where(place >= 0, ways[start[group[mine]] + place], np.int32(-1))
        return found


def _parts(labels: NDArray[np.int64], count: int) -> Iterable[NDArray[np.intp]]:
    """Yield the rows of each label from 0 up to count."""
    if count <= _FEW:
        yield from (np.flatnonzero(labels == label) for label in range(count))
        return
    narrow = labels.astype(np.uint16 if count < 1 << 16 else np.uint32)  # -1 sorts last; 16 bits sort in one pass
    order = np.argsort(narrow, kind="stable")
    borders = np.searchsorted(narrow[order], np.arange(count + 1))
    yield from (order[borders[label] : borders[label + 1]] for label in range(count))


def _places(flows: Flows, cluster: Cluster) -> NDArray[np.uint8]:
    """Say where each destination is: 0 outside, 1 a pod or a Service of the cluster, 2 a node."""
    end, family = ENDS[flows.family], flows.family
    ranges = [*cluster.config.cluster_cidrs, *cluster.config.service_cidrs]
    blocks = [block for block in ranges if block.family is family]
    nodes, pods = cluster.nodes, cluster.pods
    held = np.asarray(nodes[f"has_pod_cidr_{end}"])
    masks = np.asarray(nodes[f"pod_cidr_{end}_mask"])[held]
    pod_cidrs = PrefixTable.from_columns(nodes[f"pod_cidr_{end}"][held], masks)
    has = np.asarray(nodes[f"has_internal_{end}"])
    node_addresses = PrefixTable.from_columns(
        nodes[f"internal_{end}"][has], np.full(int(has.sum()), family.bits, np.uint8)
    )
    named = PrefixTable(blocks)
    own = np.asarray(pods[f"has_pod_{end}"]) & ~np.asarray(pods["host_network"])
    column = pods[f"pod_{end}"][own]
    stray = column[(named.lookup(column) < 0) & (pod_cidrs.lookup(column) < 0)]
    strays = PrefixTable.from_columns(stray, np.full(len(stray), family.bits, np.uint8))
    place = np.zeros(len(flows), np.uint8)
    for table in (named, pod_cidrs, strays):
        place[table.lookup(flows.destination) >= 0] = 1
    place[node_addresses.lookup(flows.destination) >= 0] = 2
    return place
