"""From which block each pod of a batch is served, for as long as nodes only use their own blocks and claim new ones.

Promises what one request after the other would get, up to the first request that needs more than that (a borrowed or
reclaimed block, or a pool used up); `plan` says where that is, and `dsmodel.cni.calico.requests` goes on from there.
Requests are counted per node, and only claims, one in some sixty requests, are looked at one by one.

Source: projectcalico/calico ``libcalico-go/lib/ipam/ipam.go`` (autoAssign).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.errors import Reason
from dsmodel.pools.arrivals import Arrivals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.cni.calico.blocks import BlockTable
    from dsmodel.cni.calico.scopes import Scope

__all__ = ["Plan", "commit", "plan", "vacancy"]


@dataclass(eq=False)
class Plan:
    """Claims in order of arrival, and how far they go.

    Parameters
    ----------
    until : int
        The first request that own blocks and claims cannot serve; the number of requests when all can be.
    claims : list of (int, int, int, int)
        Arrival, node, pool, block index.
    refused : list of ndarray
        Requests that fail at once and change nothing: those of a node at its limit or without a pool.
    reasons : list of Reason
        Why, for each entry of ``refused``.
    """

    until: int
    claims: list[tuple[int, int, int, int]] = field(default_factory=list)
    refused: list[NDArray[np.intp]] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)


def plan(table: BlockTable, scope: Scope, nodes: NDArray[np.intp], *, refuses: bool) -> Plan:
    """Find the claims a batch makes, and mark their blocks as claimed.

    Parameters
    ----------
    table : BlockTable
        Blocks of one family; only its vacancies change.
    scope : Scope
        Who may use what.
    nodes : ndarray of intp, shape (requests,)
        Node of each request, in order of arrival.
    refuses : bool
        Whether a request refused outright changes nothing, so that the batch can go on behind it.

    Returns
    -------
    Plan
        For `commit`.

    Raises
    ------
    None
        Every request has an answer.

    Notes
    -----
    Source: ``autoAssign`` and ``findUsableBlock`` of ``libcalico-go/lib/ipam``.
    """
    found = Plan(len(nodes))
    if not len(nodes):
        return found
    allowed = scope.allowed(table)
    owners = table.owner[: table.rows]
    room = np.bincount(owners[allowed], weights=table.free[: table.rows][allowed], minlength=len(scope.groups)).astype(
        np.int64
    )
    owned = np.bincount(owners[allowed], minlength=len(scope.groups)).tolist()
    counts = np.bincount(nodes, minlength=len(scope.groups))
    order = np.argsort(nodes, kind="stable")
    ends = np.cumsum(counts)
    short = np.flatnonzero(counts > room)
    at = dict(zip(short.tolist(), (ends - counts + room)[short].tolist(), strict=True))
    events = order[list(at.values())].tolist() if at else []
    heapq.heapify(events)
    while events:
        arrival = heapq.heappop(events)
        node = int(nodes[arrival])
        pools = scope.pools[int(scope.groups[node])]
        if not pools or owned[node] >= scope.limit:
            if not refuses:
                found.until = arrival
                break
            found.refused.append(order[at[node] : ends[node]])
            found.reasons.append(Reason.CIDR_NOT_AVAILABLE if pools else Reason.FAMILY_NOT_CONFIGURED)
            continue
        claim = vacancy(table, scope, node)
        if claim is None:
            found.until = arrival
            break
        table.vacancies[claim[0]].claim(claim[1])
        found.claims.append((arrival, node, *claim))
        owned[node] += 1
        at[node] += table.open_count(*claim, windows=bool(scope.windows[node]))
        if at[node] < ends[node]:
            heapq.heappush(events, int(order[at[node]]))
    return found


def vacancy(table: BlockTable, scope: Scope, node: int) -> tuple[int, int] | None:
    """Find the block a node would claim.

    Parameters
    ----------
    table : BlockTable
        Blocks of one family.
    scope : Scope
        Who may use what.
    node : int
        The node.

    Returns
    -------
    tuple of (int, int), or None
        Pool and block index; None when every block of its pools is there.

    Raises
    ------
    None
        Every node has an answer.
    """
    for pool in scope.pools[int(scope.groups[node])]:
        index = table.vacancies[pool].first(scope.start(node, pool))
        if index >= 0:
            return pool, index
    return None


def commit(
    table: BlockTable, scope: Scope, nodes: NDArray[np.intp], *, claims: list[tuple[int, int, int, int]], now: float
) -> NDArray[Any]:
    """Create the claimed blocks and serve requests from own and claimed blocks.

    Parameters
    ----------
    table : BlockTable
        Blocks of one family.
    scope : Scope
        Who may use what.
    nodes : ndarray of intp, shape (requests,)
        Node of each request; all can be served.
    claims : list of (int, int, int, int)
        Those of the `Plan` made for these requests.
    now : float
        Seconds.

    Returns
    -------
    address column, shape (requests,)
        What each got.

    Raises
    ------
    None
        The plan says how many can be served.

    Notes
    -----
    Source: ``autoAssign`` of ``libcalico-go/lib/ipam/ipam.go``.
    """
    asked = np.zeros(len(scope.groups), np.bool_)
    asked[nodes] = True
    usable = scope.allowed(table) & (table.free[: table.rows] > 0)
    usable &= asked[np.maximum(table.owner[: table.rows], 0)] if len(asked) else False
    own = table.own_rows(usable)
    owners = np.array([claim[1] for claim in claims], np.intp)
    pools = np.array([claim[2] for claim in claims], np.intp)
    indexes = [claim[3] for claim in claims]
    new = table.add(pools, indexes, owner=owners, windows=scope.windows[owners], now=now)
    if not len(nodes):
        return table.bases[:0]
    segments = np.concatenate((own, new))
    by_node = np.concatenate((table.owner[own], owners))
    order = np.argsort(by_node, kind="stable")
    segments, by_node = segments[order], by_node[order]
    ends = np.cumsum(table.free[segments].astype(np.int64))
    firsts = np.searchsorted(by_node, np.arange(len(scope.groups)))
    before = np.concatenate((np.zeros(1, np.int64), ends))[firsts]
    place = before[nodes] + Arrivals.of(nodes).ranks
    return table.take(segments[np.searchsorted(ends, place, side="right")], nodes)
