"""Does it work, by which path, seen as which source: one row for the pods that share an answer; and what changes.

Promises counts of all pods that were asked about, at most `MOST_ROWS` rows, and a cause in every row.

What it does not know: which of several endpoints or addresses one connection takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput
from dsmodel.graph.flows import VERDICTS, Verdict
from dsmodel.graph.paths import Paths, difference, resolve
from dsmodel.graph.paths.blocks import codes_of
from dsmodel.graph.paths.decisions import Seen
from dsmodel.graph.paths.resolution import seen_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.network import Network
    from dsmodel.graph.paths.decisions import Decision
    from dsmodel.graph.paths.table import Half

    Numbers = NDArray[np.int64]

__all__ = ["COLUMNS", "MOST_ROWS", "egress", "egress_changes", "paths_of"]

COLUMNS: Final = (
    "destination",
    "ip_family",
    "destinations",
    "pods",
    "example",
    "namespaces",
    "verdict",
    "works",
    "source",
    "sources",
    "policy",
    "gateway",
    "nat",
    "rule",
    "why",
)
"""Columns of `egress`, in order."""

MOST_ROWS: Final = 2_000_000
"""Rows that a frame may have; fewer come with ``by="answer"``."""

_MOST_NAMESPACES: Final = 4


def egress(
    cluster: Cluster | Paths,
    destinations: Any = "internet",
    *,
    network: Network | None = None,
    by: Literal["destination", "answer"] = "destination",
) -> pd.DataFrame:
    """Tell how pods leave for destinations, per family, seen as which source.

    Parameters
    ----------
    cluster : Cluster or Paths
        A cluster to resolve, or paths that were resolved.
    destinations : str, Destination, mapping or sequence of these, default "internet"
        "internet"; addresses; CIDRs; "namespace/name" of a Service or pod; names with their addresses. Paths have
        theirs.
    network : Network, optional
        What decides beside the cluster; what its objects show if left out. Paths have theirs.
    by : {"destination", "answer"}, default "destination"
        Rows for every destination; or one for all destinations that get the same answer for the same pods.

    Returns
    -------
    pandas.DataFrame
        A row for the pods that share an answer; columns are `COLUMNS`. Sorted by destination as asked, family, verdict,
        pods (most first) and example. ``destinations`` counts those of the row, ``destination`` names the first;
        ``source`` is the address that is seen, or whose, and ``sources`` (Int64) how many there are: 0 where
        nothing is seen, missing where it is not known. ``policy``, ``gateway`` and ``nat`` are what it passes; empty
        for none.

    Raises
    ------
    InvalidInput
        A destination that is none, another word for ``by``, or more than two million rows.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import BorderNAT, Network
    >>> nat = BorderNAT(name="a", family="IPv4", addresses=("198.51.100.9",))
    >>> network = Network(masquerades=()).replacing(border=[nat], routed=["10.244.0.0/16"], default_route=True)
    >>> egress(kubeadm_dual_stack(), network=network)[["ip_family", "pods", "verdict", "works", "source", "sources"]]
      ip_family  pods           verdict  works             source  sources
    0      IPv4   120           ok_snat   True       198.51.100.9        1
    1      IPv6   120  blackhole_return  False  the pod's address      120
    """
    if by not in {"destination", "answer"}:
        raise InvalidInput(f'by={by!r}: allowed are "destination" and "answer"')
    paths = paths_of(cluster, destinations, network)
    space, names = pd.factorize(np.asarray(paths.cluster.pods["namespace"][paths.pods], object), sort=True)
    found: list[tuple[Any, ...]] = []
    for order, half in enumerate(paths.halves.values()):
        half_rows = _HalfRows(paths, half, space.astype(np.int64), [str(name) for name in names])
        for place, row in half_rows.rows():
            found.append((place, order, row))
            if by == "destination" and len(found) > MOST_ROWS:
                raise InvalidInput(f'more than {MOST_ROWS:,} rows: ask by="answer", or for fewer destinations')
    counted = _merged(found) if by == "answer" else [(*each, 1) for each in found]
    counted.sort(key=lambda each: (each[0], each[1], each[2].verdict, -each[2].pods, each[2].at))
    return _frame(paths, counted)


def egress_changes(
    cluster: Cluster,
    destinations: Any = "internet",
    *,
    after: Network | Callable[[Network], Network],
    network: Network | None = None,
) -> pd.DataFrame:
    """Tell what another network would change for pods that leave.

    Parameters
    ----------
    cluster : Cluster
        Any.
    destinations : str, Destination, mapping or sequence of these, default "internet"
        As `egress` takes them; ask for a pod or Service as well as for places outside, so that regressions show.
    after : Network or callable
        What would decide then, or what to do to `network`: ``lambda network: network.failing("Node/gw-1")``.
    network : Network, optional
        What decides now; what the objects of the cluster show if left out.

    Returns
    -------
    pandas.DataFrame
        As `dsmodel.graph.paths.difference` gives it: a row for the pods and destinations that change alike, with
        ``change``, ``why`` and ``regression`` (lost, leaked, or pods no longer seen by each other).

    Raises
    ------
    InvalidInput
        A destination that is none.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import Network
    >>> network = Network(masquerades=()).replacing(routed=["fd00:10:244::/56"], default_route=True, border=())
    >>> frame = egress_changes(
    ...     kubeadm_dual_stack(), "fd99::1", network=network, after=lambda now: now.replacing(routed=())
    ... )
    >>> frame[["ip_family", "pods", "change", "regression", "verdict_after"]]
      ip_family  pods change  regression     verdict_after
    0      IPv6   120   lost        True  blackhole_return
    """
    before = resolve(cluster, destinations, network=network)
    then = after(before.network) if callable(after) else after
    return difference(before, resolve(cluster, list(before.destinations), network=then, pods=before.pods))


def paths_of(cluster: Cluster | Paths, destinations: Any, network: Network | None) -> Paths:
    """Resolve what was not resolved yet.

    Parameters
    ----------
    cluster : Cluster or Paths
        Paths are returned as they are.
    destinations : str, Destination, mapping or sequence of these
        As `dsmodel.graph.paths.resolve` takes them.
    network : Network or None
        What decides beside the cluster.

    Returns
    -------
    Paths
        Of all pods that have not finished.

    Raises
    ------
    InvalidInput
        A destination that is none.
    """
    return cluster if isinstance(cluster, Paths) else resolve(cluster, destinations, network=network)


@dataclass(frozen=True)
class _Row:
    """Pods that share an answer about one destination."""

    verdict: int
    pods: int
    at: int  # place of the first
    namespaces: str
    sources: int | None
    source: str
    made: Decision


class _HalfRows:
    """Rows of one family: pods are counted in cells of one group and one namespace."""

    def __init__(self, paths: Paths, half: Half, space: Numbers, names: list[str]) -> None:
        self.paths, self.half, self.names = paths, half, names
        self.cell, self.first = codes_of([half.groups.of_pod, space]) if len(space) else (space, space)
        self.group, self.space = half.groups.of_pod[self.first], space[self.first]
        self.size = np.bincount(self.cell, minlength=len(self.first))
        keys: dict[tuple[Any, ...], int] = {}
        self.told = np.array([keys.setdefault(_key(made), len(keys)) for made in half.decisions] or [0], np.int64)

    def rows(self) -> Iterator[tuple[int, _Row]]:
        """Yield the rows of every destination."""
        known: dict[int, list[_Row]] = {}
        for place in range(len(self.paths.destinations)):
            column = int(self.half.column_of[place])
            if self.half.is_sensitive[column]:
                found = list(self._near(place, column))
            elif column in known:
                found = known[column]
            else:
                everything = np.arange(len(self.first))
                codes = self.half.away[self.group, column]
                found = known[column] = list(self._told(place, (everything, codes, self.size, self.first), None))
            yield from ((place, row) for row in found)

    def _near(self, place: int, column: int) -> Iterator[_Row]:
        """Yield the rows of a destination that pods on its own nodes reach in another way."""
        exceptions = [(pods, table) for pods, table in self.half.exceptions(place) if len(pods)]
        mark = np.zeros(len(self.cell), np.bool_)
        for pods, _ in exceptions:
            mark[pods] = True
        near = np.flatnonzero(mark)
        size = np.bincount(self.cell[near], minlength=len(self.first))
        there = np.flatnonzero(self.size > size)
        first = self.first.copy()
        for cell in there[mark[first[there]]].tolist():
            own = self._sorted[self._starts[cell] : self._starts[cell + 1]]
            first[cell] = own[np.argmin(mark[own])]
        parts = [(there, self.half.away[self.group[there], column], self.size[there] - size[there], first[there])]
        for pods, table in exceptions:
            here, at, count = np.unique(self.cell[pods], return_index=True, return_counts=True)
            parts.append((here, table[self.group[here], column], count, pods[at]))
        is_near = np.arange(sum(len(part[0]) for part in parts)) >= len(there)
        cells, codes, sizes, firsts = (np.concatenate(each) for each in zip(*parts, strict=True))
        yield from self._told(place, (cells, codes, sizes, firsts), is_near)

    def _told(
        self,
        place: int,
        counted: tuple[Numbers, NDArray[np.int32], Numbers, Numbers],
        is_near: NDArray[np.bool_] | None,
    ) -> Iterator[_Row]:
        """Yield a row for each answer that differs in what is told."""
        cells, codes, sizes, firsts = counted
        told = self.told[codes]
        for key in np.unique(told).tolist():
            mine = np.flatnonzero(told == key)
            made = self.half.decisions[int(codes[mine[0]])]
            pods, at = int(sizes[mine].sum()), int(firsts[mine].min())
            spaces = [self.names[code] for code in np.unique(self.space[cells[mine]]).tolist()]
            count = self._sources(place, made, pods, (cells[mine], None if is_near is None else is_near[mine]))
            is_own = count == 1 and made.seen in {Seen.POD, Seen.NODE} and not made.sources
            source = str(self.paths.sources([at], place, self.half.family)[0]) if is_own else ""
            yield _Row(VERDICTS.index(made.verdict), pods, at, _few(spaces), count, source or seen_words(made), made)

    def _sources(
        self, place: int, made: Decision, pods: int, cells: tuple[Numbers, NDArray[np.bool_] | None]
    ) -> int | None:
        """Count the addresses that are seen; None where they are not known."""
        if made.verdict is Verdict.UNKNOWN or made.seen in {Seen.UNKNOWN, Seen.SEVERAL}:
            return None
        if made.seen is Seen.NOBODY:
            return 0
        if made.sources:
            return len(made.sources)
        if made.seen is Seen.POD:
            return pods
        return self._nodes(place, cells) if made.seen is Seen.NODE else None

    def _nodes(self, place: int, cells: tuple[Numbers, NDArray[np.bool_] | None]) -> int:
        """Count the nodes that some cells are on."""
        chosen, is_near = cells
        if is_near is None:
            return len(np.unique(self._pairs[1][np.isin(self._pairs[0], chosen)]))
        here = np.isin(self._pairs[1], self.half.nodes_of(place))
        away, near = chosen[~is_near], chosen[is_near]
        held = (np.isin(self._pairs[0], away) & ~here) | (np.isin(self._pairs[0], near) & here)
        return len(np.unique(self._pairs[1][held]))

    @cached_property
    def _sorted(self) -> Numbers:
        """Places of pods, by cell."""
        return np.argsort(self.cell, kind="stable")

    @cached_property
    def _starts(self) -> Numbers:
        """Where each cell begins among them."""
        return np.append(0, np.cumsum(self.size))

    @cached_property
    def _pairs(self) -> tuple[Numbers, NDArray[np.int32]]:
        """Cell and node of each pair that has pods."""
        first = codes_of([self.cell, self.half.groups.node])[1]
        return self.cell[first], self.half.groups.node[first]


def _key(made: Decision) -> tuple[Any, ...]:
    """Return what a row tells of a decision."""
    gateways = tuple(dict.fromkeys(leave.name for leave in made.exits))
    return (made.verdict, made.seen, made.sources, made.policy, gateways, made.nat, made.rule, made.reason)


def _merged(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Join the rows of destinations that get the same answer for the same pods."""
    counts: dict[tuple[Any, ...], int] = {}
    firsts: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for place, order, row in found:
        key = (order, row.pods, row.at, row.namespaces, row.source, row.sources, _key(row.made))
        firsts.setdefault(key, (place, order, row))
        counts[key] = counts.get(key, 0) + 1
    return [(*firsts[key], count) for key, count in counts.items()]


def _few(names: list[str]) -> str:
    """Name the first of some namespaces, and count the rest."""
    more = len(names) - _MOST_NAMESPACES
    return ", ".join(names[:_MOST_NAMESPACES]) + (f" and {more} more" if more > 0 else "")


def _frame(paths: Paths, found: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Write rows as a frame."""
    names = [each.name for each in paths.destinations]
    families = [str(family) for family in paths.halves]
    at = paths.pods[np.array([row.at for _, _, row, _ in found], np.int64)]
    table = paths.cluster.pods
    spaces, pods = table["namespace"][at].tolist(), table["name"][at].tolist()
    rows = [row for _, _, row, _ in found]
    columns: dict[str, Any] = {
        "destination": [names[place] for place, *_ in found],
        "ip_family": [families[order] for _, order, *_ in found],
        "destinations": np.array([count for *_, count in found], np.int64),
        "pods": np.array([row.pods for row in rows], np.int64),
        "example": [f"{space}/{pod}" for space, pod in zip(spaces, pods, strict=True)],
        "namespaces": [row.namespaces for row in rows],
        "verdict": [str(row.made.verdict) for row in rows],
        "works": np.array([row.made.verdict.works for row in rows], np.bool_),
        "source": [row.source for row in rows],
        "sources": pd.array([row.sources for row in rows], "Int64"),
        "policy": [row.made.policy for row in rows],
        "gateway": [", ".join(dict.fromkeys(leave.name for leave in row.made.exits)) for row in rows],
        "nat": [row.made.nat for row in rows],
        "rule": [row.made.rule for row in rows],
        "why": [row.made.reason for row in rows],
    }
    return pd.DataFrame(columns)[list(COLUMNS)]
