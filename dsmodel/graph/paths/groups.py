"""Pods that no rule can tell apart, found by what rules can ask of them.

A group is what decides about a pod in one family: whether it has an address, between which borders the address lies,
whether it is of its node's block, whether it shares the node's namespace; which egress policies and proxies select it;
of its node whether it is up, has an address, between which borders that lies, and its zone where a translator asks
for it. The node itself is part of it only where a policy differs by node.

What it does not know: destinations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import from_integers
from dsmodel.addresses.cidr import Cidr
from dsmodel.addresses.prefixes import PrefixTable
from dsmodel.addresses.registries import special_purpose
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.graph.gateways import meeting
from dsmodel.graph.gateways.endpoints import endpoint_hashes
from dsmodel.graph.gateways.matching import MAYBE, NO, YES, selected, shapes_of
from dsmodel.graph.gateways.products import PRODUCTS
from dsmodel.graph.gateways.situation import Situation
from dsmodel.graph.masquerade.aws import EGRESS_RANGES, AwsVpcCni
from dsmodel.graph.paths.blocks import codes_of, families_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.contract import Claim, Selection, Way
    from dsmodel.graph.gateways.matching import Selected
    from dsmodel.graph.network import Network

    Codes = NDArray[np.int64]

__all__ = ["Groups", "claims_of", "groups_of", "proxies_of"]


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of pods in one family.

    Parameters
    ----------
    rows : ndarray of int32, shape (n,)
        Row of each pod that was asked for.
    of_pod : ndarray of int64, shape (n,)
        Its group.
    first, other : ndarray of int64, shape (number of groups,)
        Place of one pod of each group, and of one on another node; the same where all are on one.
    size : ndarray of int64, shape (number of groups,)
        Pods in each.
    source : address column, shape (n,)
        Address of each pod; a row means nothing where it has none.
    has_source : ndarray of bool, shape (n,)
        Whether it has one.
    node : ndarray of int32, shape (n,)
        Row of its node.
    host : ndarray of bool, shape (n,)
        Whether it shares the node's namespace.
    proxy : ndarray of int32, shape (n,)
        Place of the proxy that it has; -1 for none.
    may_have : ndarray of bool, shape (n, proxies)
        Proxies that it has instead if its labels, which are not known, say so.
    """

    rows: NDArray[np.int32]
    of_pod: Codes
    first: Codes
    other: Codes
    size: Codes
    source: NDArray[Any]
    has_source: NDArray[np.bool_]
    node: NDArray[np.int32]
    host: NDArray[np.bool_]
    proxy: NDArray[np.int32]
    may_have: NDArray[np.bool_]

    def __len__(self) -> int:
        """Count the groups."""
        return len(self.first)


def claims_of(network: Network, cluster: Cluster) -> list[Claim]:
    """Return what the egress policies of a network claim, in both families.

    Parameters
    ----------
    network : Network
        Policies, and what is down.
    cluster : Cluster
        Whose nodes.

    Returns
    -------
    list of Claim
        In the order of the products.

    Raises
    ------
    None
        No policies claim nothing.
    """
    situation = Situation.of(cluster, down_names(network, cluster))
    found: list[Claim] = []
    for product in PRODUCTS:
        own = [policy for policy in network.gateways if isinstance(policy, product.policy)]
        found += product.claim(own, situation) if own else []
    return found


def down_names(network: Network, cluster: Cluster) -> tuple[str, ...]:
    """Return all that is down, nodes of a zone by their own names.

    Parameters
    ----------
    network : Network
        What is down.
    cluster : Cluster
        Whose nodes.

    Returns
    -------
    tuple of str
        Sorted.

    Raises
    ------
    None
        There may be none.
    """
    return tuple(sorted(network.failed | (network.down_nodes(cluster) if network.failed else frozenset())))


def proxies_of(
    network: Network, cluster: Cluster, pods: NDArray[np.integer], family: IPFamily
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return the proxy of each pod, and those that it may have instead.

    Parameters
    ----------
    network : Network
        Its proxies; of several that select a pod, the first.
    cluster : Cluster
        Whose pods.
    pods : ndarray of integers, shape (n,)
        Their rows.
    family : IPFamily
        Of the addresses that selections may ask for.

    Returns
    -------
    ndarray of int32, shape (n,)
        Place of the first proxy that certainly selects the pod; -1 for none.
    ndarray of bool, shape (n, proxies)
        Those before it that labels which are not known decide about.

    Raises
    ------
    None
        Pods of the host network have none.
    """
    found = np.full(len(pods), -1, np.int32)
    maybe = np.zeros((len(pods), len(network.proxies)), np.bool_)
    if not network.proxies or not len(pods):
        return found, maybe
    rows, answers, count = _answers(cluster, pods, family, [proxy.selects for proxy in network.proxies])
    open_ = ~np.asarray(cluster.pods["host_network"])[pods]
    for place, (shapes, certainty) in enumerate(answers):
        selects = np.full(count, NO, np.uint8)
        selects[shapes] = certainty
        answer = np.where(open_, selects[rows], np.uint8(NO))
        maybe[:, place] = answer == MAYBE
        found[answer == YES] = place
        open_ &= answer != YES
    return found, maybe


def groups_of(
    cluster: Cluster,
    pods: NDArray[np.integer],
    family: IPFamily,
    *,
    network: Network,
    claims: Sequence[Claim],
    named: Sequence[Cidr],
) -> Groups:
    """Group pods by what decides about them in one family.

    Parameters
    ----------
    cluster : Cluster
        Whose pods.
    pods : ndarray of integers, shape (n,)
        Their rows, each once.
    family : IPFamily
        Which.
    network : Network
        What is down, proxies, translators.
    claims : sequence of Claim
        As `claims_of` gives them.
    named : sequence of Cidr
        Blocks that rules name, of any family.

    Returns
    -------
    Groups
        Each with at least one pod.

    Raises
    ------
    None
        No pods have no groups.
    """
    end, table = ENDS[family], cluster.pods
    node = np.asarray(table["node"])[pods]
    host = np.asarray(table["host_network"])[pods]
    borders = PrefixTable(families_of(named, family))
    features = _node_features(cluster, network, family, borders)
    has = np.asarray(table[f"has_pod_{end}"])[pods]
    source = np.asarray(table[f"pod_{end}"])[pods]
    if host.any():  # the node's own; podIPs repeats it where the model has none of the node
        at = np.flatnonzero(host & (node >= 0))
        at = at[np.asarray(cluster.nodes[f"has_internal_{end}"])[node[at]]]
        source, has = source.copy(), has.copy()
        source[at] = cluster.nodes[f"internal_{end}"][node[at]]
        has[at] = True
    lent = _egress_address(network, cluster, family)
    if lent is not None:
        bare = ~has & ~host
        source, has = np.where(bare, lent, source), has | bare
    proxy, may_have = proxies_of(network, cluster, pods, family)
    columns = [
        has,
        host,
        features[node],
        np.where(has, borders.lookup(source), -1),
        np.where(has, _kinds(source), -1),
        _in_own_block(cluster, source, node, end),
        proxy,
        *may_have.T,
        *_signatures(cluster, pods, node, family=family, claims=[each for each in claims if each.family is family]),
    ]
    of_pod, first = codes_of(columns)
    size = np.bincount(of_pod, minlength=len(first))
    elsewhere = np.flatnonzero(node != node[first[of_pod]]) if len(pods) else np.zeros(0, np.int64)
    other = first.copy()
    other[of_pod[elsewhere[::-1]]] = elsewhere[::-1]
    return Groups(np.asarray(pods, np.int32), of_pod, first, other, size, source, has, node, host, proxy, may_have)


def _egress_address(network: Network, cluster: Cluster, family: IPFamily) -> NDArray[Any] | None:
    """Return what stands for the address that a pod has for egress alone, which no API object shows."""
    for each in network.masquerades or ():
        if isinstance(each, AwsVpcCni) and each.ip_family is not family and each.chains(family, cluster):
            return from_integers([Cidr(EGRESS_RANGES[family]).first + 2], family=family)
    return None


def _kinds(column: NDArray[Any]) -> Codes:
    """Tell globally reachable addresses from others."""
    return (special_purpose(column) >= 0).astype(np.int64)


def _node_features(cluster: Cluster, network: Network, family: IPFamily, borders: PrefixTable) -> Codes:
    """Give nodes that rules cannot tell apart one number; the last is for a node that is not known."""
    end, nodes = ENDS[family], cluster.nodes
    has = np.asarray(nodes[f"has_internal_{end}"])
    column = nodes[f"internal_{end}"]
    down = np.zeros(len(nodes), np.bool_)
    if network.failed:
        lost = network.down_nodes(cluster)
        down[:] = [name in lost for name in nodes["name"].tolist()]
    zone = np.zeros(len(nodes), np.int64)
    if any(each.serves for held in network.border.values() for each in held):
        zone = np.unique(nodes["zone"].astype(object), return_inverse=True)[1].astype(np.int64)
    cell = np.where(has, borders.lookup(column), -1)
    kind = np.where(has, _kinds(column), -1)
    return np.append(codes_of([has, down, zone, cell, kind])[0] if len(nodes) else np.zeros(0, np.int64), -1)


def _in_own_block(cluster: Cluster, source: NDArray[Any], node: NDArray[np.int32], end: str) -> Codes:
    """Say whether each address is of its node's pod CIDR (2), of another's (1), or of none (0)."""
    nodes = cluster.nodes
    held = np.flatnonzero(nodes[f"has_pod_cidr_{end}"])
    blocks = PrefixTable.from_columns(nodes[f"pod_cidr_{end}"][held], nodes[f"pod_cidr_{end}_mask"][held])
    owner = np.append(held, -1)[blocks.lookup(source)]
    return np.where(owner < 0, 0, np.where(owner == node, 2, 1))


def _signatures(
    cluster: Cluster, pods: NDArray[np.integer], node: NDArray[np.int32], *, family: IPFamily, claims: Sequence[Claim]
) -> list[Codes]:
    """Return what tells pods apart to the claims of one family."""
    if not claims or not len(pods):
        return []
    rows, answers, count = _answers(cluster, pods, family, [each.selection for each in claims])
    found = [meeting.groups_of(answers, count)[0][rows]]
    sizes = {len(way.by_pod) for claim in claims for way in _ways(claim) if way.by_pod}
    if sizes:
        hashes, known = endpoint_hashes(Situation.of(cluster), pods)
        found += [np.where(known, (hashes % size).astype(np.int64), -1) for size in sorted(sizes)]
    for claim, (shapes, _) in zip(claims, answers, strict=True):
        own = {row for way in _ways(claim) for row in way.by_node}
        if own:
            selects = np.zeros(count, np.bool_)
            selects[shapes] = True
            found.append(np.where(selects[rows] & np.isin(node, list(own)), node, -1).astype(np.int64))
    return found


def _ways(claim: Claim) -> list[Way]:
    """Return the ways of a claim, those inside others too."""
    found = [way for _, way in claim.routes if way is not None]
    for way in found:
        found += [*way.by_pod, *way.by_node.values()]
    return found


def _answers(
    cluster: Cluster, pods: NDArray[np.integer], family: IPFamily, selections: Sequence[Selection]
) -> tuple[Codes, list[Selected], int]:
    """Return the shape of each pod, the shapes that each selection selects, and how many shapes there are."""
    sources = list(dict.fromkeys(each.sources for each in selections if each.sources))
    shapes = shapes_of(cluster, pods, family=family, sources=sources)
    return shapes.of_pod[pods], selected(cluster, shapes, selections), len(shapes)
