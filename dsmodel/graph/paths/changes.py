"""What a change does to paths: two answers compared, pod by pod, told by what they have in common.

Promises a row for every distinct change of verdict, source or gateway, with the pods it holds for; pods and
destinations without change have none. A pod whose address another pod of the cluster no longer sees is a regression:
NetworkPolicy by pod address fails with it, even though traffic still flows.

What it does not know: connections that are open while the change is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput
from dsmodel.graph.flows import Verdict
from dsmodel.graph.paths.blocks import codes_of
from dsmodel.graph.paths.decisions import Decision, Seen
from dsmodel.graph.paths.resolution import Paths, seen_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dsmodel.graph.paths.table import Half

__all__ = ["COLUMNS", "difference", "kind_of_change"]

COLUMNS = (
    "ip_family",
    "destination",
    "destinations",
    "pods",
    "example",
    "namespaces",
    "change",
    "regression",
    "verdict_before",
    "verdict_after",
    "source_before",
    "source_after",
    "gateway_before",
    "gateway_after",
    "why",
)
"""Columns of `difference`, in order."""

_MOST_NAMESPACES = 4


def difference(before: Paths, after: Paths) -> pd.DataFrame:
    """Compare two answers about the same pods and destinations.

    Parameters
    ----------
    before, after : Paths
        Of one cluster, or of a cluster and a changed copy with the same pods.

    Returns
    -------
    pandas.DataFrame
        Sorted by family, destination, change and pods; columns are `COLUMNS`. ``destinations`` counts those that change
        alike, ``destination`` names the first. ``change`` is "lost", "repaired", "leaked", "moved" (another gateway),
        "source", "verdict", or "unknown" where one of the two is not known. ``regression`` is True for what is lost or
        leaks, and for traffic from pod to pod that is masqueraded only after.

    Raises
    ------
    InvalidInput
        If pods or destinations differ.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import Network
    >>> from dsmodel.graph.paths.resolution import resolve
    >>> cluster = kubeadm_dual_stack()
    >>> dead = Network(masquerades=(), default_route=dict.fromkeys(("IPv4", "IPv6"), False))
    >>> alive = dead.replacing(default_route=True, border=(), routed=["fd00:10:244::/56"])
    >>> frame = difference(resolve(cluster, "fd99::1", network=dead), resolve(cluster, "fd99::1", network=alive))
    >>> frame[["ip_family", "pods", "change", "verdict_before", "verdict_after"]]
      ip_family  pods    change verdict_before verdict_after
    0      IPv6   120  repaired       no_route     ok_direct
    """
    names = [each.name for each in before.destinations]
    if names != [each.name for each in after.destinations]:
        raise InvalidInput("difference: the two answers are about different destinations; resolve both with the same")
    if not np.array_equal(before.pods, after.pods):
        raise InvalidInput("difference: the two answers are about different pods; resolve both for the same rows")
    rows: list[tuple[Any, ...]] = []
    for family, half in before.halves.items():
        rows += _changes(before, half, after.halves[family])
    rows.sort(key=lambda row: (row[0], row[1], row[6], -row[3], row[4]))
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    frame = pd.DataFrame(dict(zip(COLUMNS, map(list, columns), strict=True)))
    kinds: dict[str, Any] = dict.fromkeys(COLUMNS, object)
    return frame.astype(kinds | {"destinations": np.int64, "pods": np.int64, "regression": np.bool_})


def kind_of_change(before: Decision, after: Decision) -> str:
    """Name what a change is.

    Parameters
    ----------
    before, after : Decision
        Of the same pod and destination.

    Returns
    -------
    str
        As `difference` has it; empty for none.

    Raises
    ------
    None
        Every pair has an answer.

    Examples
    --------
    >>> from dsmodel.graph.paths.decisions import Cause
    >>> fine = Decision(Verdict.VIA_GATEWAY, Cause.DELIVERED, "")
    >>> kind_of_change(fine, Decision(Verdict.DROPPED_NO_GATEWAY, Cause.POLICY, ""))
    'lost'
    """
    if Verdict.UNKNOWN in {before.verdict, after.verdict}:
        return "unknown" if before.verdict is not after.verdict else ""
    if after.verdict is Verdict.LEAK_FALLTHROUGH and before.verdict is not after.verdict:
        return "leaked"
    if before.verdict.works and not after.verdict.works:
        return "lost"
    if after.verdict.works and not before.verdict.works:
        return "repaired"
    differs = {
        "moved": after.verdict.works
        and {leave.name for leave in before.exits} != {leave.name for leave in after.exits},
        "source": after.verdict.works and (before.seen, before.sources) != (after.seen, after.sources),
        "verdict": before.verdict is not after.verdict,
    }
    return next((name for name, held in differs.items() if held), "")


def is_regression(before: Decision, after: Decision) -> bool:
    """Tell whether a change is for the worse.

    Parameters
    ----------
    before, after : Decision
        Of the same pod and destination.

    Returns
    -------
    bool
        What is lost, leaks, or hides a pod's address from another pod.

    Raises
    ------
    None
        Every pair has an answer.

    Examples
    --------
    >>> from dsmodel.graph.paths.decisions import Cause
    >>> plain = Decision(Verdict.OK_DIRECT, Cause.DELIVERED, "", seen=Seen.POD, place="pod")
    >>> is_regression(plain, Decision(Verdict.OK_SNAT, Cause.DELIVERED, "", seen=Seen.NODE, place="pod"))
    True
    """
    hides = after.place == "pod" and before.seen is Seen.POD and after.seen is not Seen.POD
    return kind_of_change(before, after) in {"lost", "leaked"} or hides


def _changes(paths: Paths, before: Half, after: Half) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of one family."""
    pair, first = codes_of([before.groups.of_pod, after.groups.of_pod])
    size = np.bincount(pair, minlength=len(first))
    told: dict[tuple[int, int], int] = {}
    alone: list[tuple[int, int]] = []
    for place in range(len(paths.destinations)):
        key = (int(before.column_of[place]), int(after.column_of[place]))
        if before.is_sensitive[key[0]] or after.is_sensitive[key[1]]:
            alone.append((place, 1))
        elif key in told:
            alone[told[key]] = (alone[told[key]][0], alone[told[key]][1] + 1)
        else:
            told[key] = len(alone)
            alone.append((place, 1))
    sensitive_at = {place for place, _ in alone} - {alone[at][0] for at in told.values()}
    everyone = np.arange(len(paths.pods))
    for place, count in alone:
        if place in sensitive_at:
            codes, weight, pods = (before.codes(everyone, place), after.codes(everyone, place)), None, everyone
        else:
            codes = (
                before.away[before.groups.of_pod[first], before.column_of[place]],
                after.away[after.groups.of_pod[first], after.column_of[place]],
            )
            weight, pods = size, first
        yield from _rows(paths, (before, after), codes, place=place, count=count, pods=(pods, weight, pair))


def _rows(
    paths: Paths,
    halves: tuple[Half, Half],
    codes: tuple[NDArray[np.int32], NDArray[np.int32]],
    *,
    place: int,
    count: int,
    pods: tuple[NDArray[np.int64], NDArray[np.int64] | None, NDArray[np.int64]],
) -> Iterator[tuple[Any, ...]]:
    """Yield the changes of one destination."""
    rows, weight, pair = pods
    if not len(rows):
        return
    number, firsts = codes_of(list(codes))
    alike: dict[tuple[Any, ...], list[int]] = {}
    for at, first in enumerate(firsts.tolist()):
        old, new = (half.decisions[code[first]] for half, code in zip(halves, codes, strict=True))
        if kind_of_change(old, new):
            alike.setdefault(_told(old, new), []).append(at)
    for told, places in alike.items():
        mine = np.flatnonzero(np.isin(number, places))
        everyone = rows[mine] if weight is None else np.flatnonzero(np.isin(pair, mine))
        yield (
            str(halves[0].family),
            paths.destinations[place].name,
            count,
            len(everyone),
            _pod_name(paths, int(everyone[0])),
            _namespaces(paths, everyone),
            *told,
        )


def _told(old: Decision, new: Decision) -> tuple[Any, ...]:
    """Say what has changed."""
    return (
        kind_of_change(old, new),
        is_regression(old, new),
        str(old.verdict),
        str(new.verdict),
        seen_words(old),
        seen_words(new),
        ", ".join(dict.fromkeys(leave.name for leave in old.exits)),
        ", ".join(dict.fromkeys(leave.name for leave in new.exits)),
        new.reason,
    )


def _pod_name(paths: Paths, place: int) -> str:
    table, row = paths.cluster.pods, paths.pods[place]
    return f"{table['namespace'][row]}/{table['name'][row]}"


def _namespaces(paths: Paths, places: NDArray[np.int64]) -> str:
    """Name the namespaces of some pods."""
    names = sorted(set(np.unique(paths.cluster.pods["namespace"][paths.pods[places]].astype(object)).tolist()))
    shown = ", ".join(names[:_MOST_NAMESPACES])
    return shown + (f" and {len(names) - _MOST_NAMESPACES} more" if len(names) > _MOST_NAMESPACES else "")
