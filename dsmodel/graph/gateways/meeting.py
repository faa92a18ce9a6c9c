"""What holds for pods that several policies of one product select.

Promises that pods selected by the same policies share one set of routes, and that where the product's outcome depends
on the order of events the verdict says so and names everyone who may win.

What it does not know: destinations of flows.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dsmodel.graph.flows import Verdict
from dsmodel.graph.gateways.contract import Way
from dsmodel.graph.gateways.matching import MAYBE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.graph.flows import Exit
    from dsmodel.graph.gateways.contract import Claim, Product
    from dsmodel.graph.gateways.matching import Selected

__all__ = ["Decision", "groups_of", "met"]

Decision: TypeAlias = "tuple[Way, int]"
"""A way, and the place of the policy it is of."""


def groups_of(answers: Sequence[Selected], n: int) -> tuple[NDArray[np.int64], list[tuple[tuple[int, bool], ...]]]:
    """Group shapes by the claims that select them.

    Parameters
    ----------
    answers : sequence of (ndarray of int64, ndarray of uint8)
        One a claim, as `selected` gives them.
    n : int
        Number of shapes.

    Returns
    -------
    ndarray of int64, shape (n,)
        Group of each shape; -1 where no claim selects it.
    list of tuple of (int, bool)
        For each group the places of its claims, in order, and whether each surely selects.

    Raises
    ------
    None
        No claims make no groups.

    Examples
    --------
    >>> rows = np.array([0, 2])
    >>> groups_of([(rows, np.array([2, 2], np.uint8)), (rows, np.array([1, 1], np.uint8))], 3)
    (array([ 0, -1,  0]), [((0, True), (1, False))])
    """
    group = np.full(n, -1, np.int64)
    if not answers:
        return group, []
    shape = np.concatenate([rows for rows, _ in answers])
    # claim and whether it surely selects, as one number; claims come in order, so a stable sort keeps it
    claim = np.concatenate([2 * place + (how > MAYBE).astype(np.int64) for place, (_, how) in enumerate(answers)])
    order = np.argsort(shape, kind="stable")
    shape, claim = shape[order], claim[order]
    rows, first, count = np.unique(shape, return_index=True, return_counts=True)
    members: list[tuple[tuple[int, bool], ...]] = []
    for size in np.unique(count).tolist():
        where = first[count == size]
        key = np.zeros(len(where), np.int64)
        for step in range(size):
            key = np.unique(key * (2 * len(answers) + 1) + claim[where + step], return_inverse=True)[1]
        _, example, inverse = np.unique(key, return_index=True, return_inverse=True)
        group[rows[count == size]] = inverse + len(members)
        members += [
            tuple((code // 2, bool(code % 2)) for code in claim[start : start + size].tolist())
            for start in where[example].tolist()
        ]
    return group, members


def met(product: Product, claims: list[tuple[Claim, int, bool]]) -> dict[Cidr, Decision | None]:
    """Return the routes of pods that these claims select together.

    Parameters
    ----------
    product : Product
        Whose claims; says how they meet.
    claims : list of (Claim, int, bool)
        The claims, the place of each one's policy, and whether it surely selects.

    Returns
    -------
    dict of Cidr to (Way, int), or None
        What holds for each block, longest prefix first; None for a hole.

    Raises
    ------
    None
        What conflicts has a verdict that says so.
    """
    if len(claims) > 1 and product.meeting == "one policy":
        return _one_of(product, claims)
    held: dict[Cidr, list[Decision | None]] = defaultdict(list)
    holder: dict[Cidr, list[str]] = defaultdict(list)
    for claim, place, sure in claims:
        for block, way in dict(claim.routes).items():
            each = way if sure else _open(claim, way)
            held[block].append(None if each is None else (each, place))
            holder[block].append(claim.policy.title)
    return {block: _agreed(product, ways, holder[block]) for block, ways in held.items()}


def _agreed(product: Product, ways: list[Decision | None], holders: list[str]) -> Decision | None:
    """Return what holds where several policies have the same key."""
    given = [each for each in ways if each is not None]
    if not given:
        return None
    first = given[0]
    alike = len(given) == len(ways) and all(_same(each[0], first[0]) for each in given)
    if alike:
        return first
    if any(each[0].verdict is Verdict.UNKNOWN for each in given):
        return next(each for each in given if each[0].verdict is Verdict.UNKNOWN)
    reason = f"{product.name}: {' and '.join(holders)} hold the same destinations for the pod, and either may win"
    return Way(Verdict.NONDETERMINISTIC, reason, _union(way for way, _ in given)), first[1]


def _one_of(product: Product, claims: list[tuple[Claim, int, bool]]) -> dict[Cidr, Decision | None]:
    """Return routes where exactly one of the policies is in force and which one depends on the order of events."""
    sure = [claim for claim, _, certain in claims if certain]
    names = " and ".join(claim.policy.title for claim, _, _ in claims)
    ways = [way for claim, _, _ in claims for _, way in claim.routes if way is not None]
    first = claims[0][1]
    blocks = list(dict.fromkeys(block for claim, _, _ in claims for block, way in claim.routes if way is not None))
    common = set.intersection(*({b for b, way in claim.routes if way is None} for claim, _, _ in claims))
    if len(sure) < len(claims):
        reason = f"{product.name}: labels of the pod or its namespace are not known: which of {names} holds is open"
        decision: Decision | None = (Way(Verdict.UNKNOWN, reason, _union(ways)), first)
    elif all(claim.routes and dict(claim.routes).keys() == dict(claims[0][0].routes).keys() for claim in sure) and all(
        _same(way, ways[0]) for way in ways
    ):
        decision = (ways[0], first) if ways else None
    else:
        reason = f"{product.name}: {names} select the pod and one is in force; which one depends on the order of events"
        decision = (Way(Verdict.NONDETERMINISTIC, reason, _union(ways)), first)
    return dict.fromkeys(blocks, decision) | dict.fromkeys(common)


def _open(claim: Claim, way: Way | None) -> Way:
    """Return the way of pods of which it is not known whether a policy selects them."""
    reason = (
        f"labels of the pod, its namespace or its node are not known: whether {claim.policy.title} selects it is open"
    )
    return Way(Verdict.UNKNOWN, reason, way.exits if way else ())


def _same(one: Way, other: Way) -> bool:
    """Tell whether two ways do the same, whatever their words."""
    return (one.verdict, one.exits, one.by_node, len(one.by_pod)) == (
        other.verdict,
        other.exits,
        other.by_node,
        len(other.by_pod),
    ) and all(_same(a, b) for a, b in zip(one.by_pod, other.by_pod, strict=True))


def _union(ways: Iterable[Way]) -> tuple[Exit, ...]:
    """Return all exits, each once."""
    return tuple(dict.fromkeys(each for way in ways for each in (*way.exits, *_union(way.by_node.values()))))
