"""A batch of pods through every family: together while that is exact, one by one from where it is not.

Promises what one pod after the other would get, addresses, reasons and state left behind.

Source: projectcalico/calico ``libcalico-go/lib/ipam/ipam.go`` (AutoAssign).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dsmodel.addresses.arrays import family_of
from dsmodel.cni.calico.claims import Plan, commit, plan
from dsmodel.cni.calico.requests import Counter, serve
from dsmodel.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.cni.calico.blocks import BlockTable
    from dsmodel.cni.calico.scopes import Scope
    from dsmodel.cni.contract import Placement

__all__ = ["place_singly", "place_straight"]

Steps: TypeAlias = "Sequence[tuple[BlockTable, Scope]]"


def place_straight(steps: Steps, rows: NDArray[np.intp], result: Placement, *, now: float) -> int:
    """Place pods for as long as own and new blocks suffice in every family.

    Parameters
    ----------
    steps : sequence of (BlockTable, Scope)
        One a family, IPv4 first.
    rows : ndarray of intp, shape (pods,)
        The node of each pod, in order of arrival.
    result : Placement
        Filled in for the pods placed or refused; every row is OK before.
    now : float
        Seconds.

    Returns
    -------
    int
        The first pod that is not settled.

    Raises
    ------
    None
        Every batch has an answer.
    """
    plans: list[tuple[BlockTable, Scope, NDArray[np.intp], Plan]] = []
    active, until = np.arange(len(rows)), len(rows)
    refused, reasons = np.zeros(0, np.intp), np.zeros(0, np.uint8)
    for place, (table, scope) in enumerate(steps):
        found = plan(table, scope, rows[active], refuses=place == 0)
        plans.append((table, scope, active, found))
        until = min(until, int(active[found.until]) if found.until < len(active) else len(rows))
        if found.refused:
            refused = np.concatenate(found.refused)
            reasons = np.repeat(np.array(found.reasons, np.uint8), [len(each) for each in found.refused])
            active = np.delete(active, refused)
    early = refused < until
    result.reason[refused[early]] = reasons[early]
    for table, scope, asked, found in plans:
        kept = [claim for claim in found.claims if asked[claim[0]] < until]
        for _, _, pool, index in found.claims[len(kept) :]:
            table.vacancies[pool].give_up(index)
        served = asked[(asked < until) & (result.reason[asked] == Reason.OK)]
        column = commit(table, scope, rows[served], claims=kept, now=now)
        result.addresses[family_of(column)][served] = column
    return until


def place_singly(steps: Steps, rows: NDArray[np.intp], result: Placement, *, first: int, now: float) -> None:
    """Place the pods from one on, one after the other.

    Parameters
    ----------
    steps : sequence of (BlockTable, Scope)
        One a family, IPv4 first.
    rows : ndarray of intp, shape (pods,)
        The node of each pod, in order of arrival.
    result : Placement
        Filled in from ``first`` on.
    first : int
        The first pod to place.
    now : float
        Seconds.

    Raises
    ------
    None
        Every batch has an answer.
    """
    counters = [Counter(table, scope, now=now) for table, scope in steps]
    places: list[int] = []
    granted: list[tuple[int, int]] = []
    for arrival, node in enumerate(rows[first:].tolist(), first):
        answer = serve(counters, node)
        if isinstance(answer, Reason):
            result.reason[arrival] = answer
        else:
            places.append(arrival)
            granted.extend(answer)
    pairs = np.array(granted, np.intp).reshape(-1, len(steps), 2)
    for number, (table, _) in enumerate(steps):
        result.addresses[table.family][places] = table.addresses(pairs[:, number, 0], pairs[:, number, 1])
