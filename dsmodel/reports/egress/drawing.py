"""The graph of resolved paths, laid out in columns: from pods to the world, for a picture.

Promises at most `MOST_MARKS` marks: what fewer pods pass is joined to "and N more" of its column. Columns that nothing
stands in are left out; a step that skips columns bends around what stands in them.

What it does not know: how large a mark or a letter is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput
from dsmodel.graph.edges import Kind, Role
from dsmodel.graph.ways import Detail, ways_of
from dsmodel.reports.egress.answers import paths_of

if TYPE_CHECKING:
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.network import Network
    from dsmodel.graph.paths import Paths

    Key = tuple[Any, ...]

__all__ = ["COLUMNS", "MOST_MARKS", "egress_topology"]

COLUMNS: Final = (
    "source",
    "source_kind",
    "source_x",
    "source_y",
    "target",
    "target_kind",
    "target_x",
    "target_y",
    "ip_family",
    "role",
    "state",
    "pods",
    "bends",
    "why",
)
"""Columns of `egress_topology`, in order."""

MOST_MARKS: Final = 40
"""Marks of a picture; the rest is counted."""

_COLUMNS: Final = (
    (Kind.WORKLOAD, Kind.POD),
    (Kind.PROXY,),
    (Kind.NODE, Kind.NODE_POOL),
    (Kind.POLICY,),
    (Kind.GATEWAY, Kind.MASQUERADE),
    (Kind.SNAT_IP,),
    (Kind.CLOUD_NAT, Kind.NAT64),
    (Kind.DESTINATION, Kind.DROP, Kind.SERVICE),
)
_COLUMN_OF: Final = {str(kind): column for column, kinds in enumerate(_COLUMNS) for kind in kinds}
_STATES: Final = ("active", "unknown", "blocked")
_STEP: Final = ("family", "role", "state", "pods", "reason")
_SWEEPS: Final = 4  # passes that put marks near their neighbours


def egress_topology(
    cluster: Cluster | Paths,
    destinations: Any = "internet",
    *,
    network: Network | None = None,
    detail: Detail = "workloads",
    most: int = MOST_MARKS,
) -> pd.DataFrame:
    """Lay out the steps of resolved paths for a picture.

    Parameters
    ----------
    cluster : Cluster or Paths
        A cluster to resolve, or paths that were resolved.
    destinations : str, Destination, mapping or sequence of these, default "internet"
        As `dsmodel.reports.egress` takes them. Paths have theirs.
    network : Network, optional
        What decides beside the cluster; what its objects show if left out. Paths have theirs.
    detail : {"workloads", "nodes", "pods"}
        What the pods' end is made of; see `dsmodel.graph.ways`.
    most : int, default 40
        Marks that are kept, those that most pods pass.

    Returns
    -------
    pandas.DataFrame
        A row for a step and family; columns are `COLUMNS`. Sorted by columns and rows of source and target, then
        family. ``source`` and ``target`` are labels, ``_x`` columns from 0, ``_y`` rows from 0 at the top (halves may
        be); ``state`` is active, blocked or unknown; ``bends`` are the (x, y) that the step passes on its way.

    Raises
    ------
    InvalidInput
        A destination that is none, another word for the detail, or less than one mark a column.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import BorderNAT, Network
    >>> nat = BorderNAT(name="a", family="IPv4", addresses=("198.51.100.9",))
    >>> network = Network(masquerades=()).replacing(border=[nat], routed=["10.244.0.0/16"], default_route=True)
    >>> frame = egress_topology(kubeadm_dual_stack(), network=network, detail="nodes", most=16)
    >>> frame.loc[frame["source_kind"] != "node", ["source", "target", "ip_family", "state", "pods"]]
       source    target ip_family   state  pods
    12  NAT/a  internet      IPv4  active   120
    """
    if most < len(_COLUMNS):
        raise InvalidInput(f"most={most}: give at least {len(_COLUMNS)}, one mark a column")
    ways = ways_of(paths_of(cluster, destinations, network), detail=detail)
    named = {key: (str(key[0]), str(attributes["label"])) for key, attributes in ways.nodes}
    marks = {key: _Mark(key[1], key[0], _COLUMN_OF[key[0]]) for key in named.values() if key[0] in _COLUMN_OF}
    steps = [
        _Step(named[source], named[target], *(held[name] for name in _STEP))
        for source, target, _, held in ways.edges
        if held["role"] != Role.BELONGS
    ]
    marks, steps = _kept(marks, steps, most)
    return _frame(marks, steps, _placed(marks, steps))


@dataclass(frozen=True)
class _Mark:
    """What stands in the picture."""

    label: str
    kind: str
    column: int


@dataclass(frozen=True)
class _Step:
    """A line between two marks."""

    source: Key
    target: Key
    family: str
    role: str
    state: str
    pods: int
    why: str


def _kept(marks: dict[Key, _Mark], steps: list[_Step], most: int) -> tuple[dict[Key, _Mark], list[_Step]]:
    """Keep the marks that most pods pass, and join the others of each column."""
    passed: Counter[Key] = Counter()
    for leaving in (True, False):
        sums: Counter[Key] = Counter()
        for step in steps:
            sums[step.source if leaving else step.target] += step.pods
        passed |= sums  # the larger of what comes in and what goes out
    columns: dict[int, list[Key]] = {}
    for key in sorted(passed, key=lambda key: (marks[key].kind != Kind.DROP, -passed[key], key)):
        columns.setdefault(marks[key].column, []).append(key)
    limit = next(
        (n for n in range(most, 0, -1) if sum(min(len(keys), n) for keys in columns.values()) <= most),
        1,
    )
    named: dict[Key, Key] = {}
    kept: dict[Key, _Mark] = {}
    for column, keys in sorted(columns.items()):
        shown = keys if len(keys) <= limit else keys[: limit - 1]
        kept |= {key: marks[key] for key in shown}
        rest = keys[len(shown) :]
        if rest:
            more: Key = ("more", column)
            kept[more] = _Mark(f"and {len(rest):,} more", marks[rest[0]].kind, column)
            named |= dict.fromkeys(rest, more)
    joined: dict[tuple[Any, ...], _Step] = {}
    for step in steps:
        ends = named.get(step.source, step.source), named.get(step.target, step.target)
        alike = (*ends, step.family, step.state)
        pods = step.pods + (joined[alike].pods if alike in joined else 0)
        joined[alike] = replace(joined.get(alike, step), source=ends[0], target=ends[1], pods=pods)
    return kept, list(joined.values())


def _placed(marks: dict[Key, _Mark], steps: list[_Step]) -> dict[Key, tuple[int, float]]:
    """Return the column and row of every mark, and of every bend as ("bend", column, target)."""
    used = {column: x for x, column in enumerate(sorted({mark.column for mark in marks.values()}))}
    rows: dict[int, list[Key]] = {x: [] for x in used.values()}
    for key, mark in marks.items():
        rows[used[mark.column]].append(key)
    near: dict[Key, set[Key]] = {}
    for step in steps:
        way = [step.source, *_bends(used, marks, step), step.target]
        for one, other in pairwise(way):
            near.setdefault(one, set()).add(other)
            near.setdefault(other, set()).add(one)
        for bend in way[1:-1]:
            if bend not in rows[bend[1]]:
                rows[bend[1]].append(bend)
    place: dict[Key, tuple[int, float]] = {}
    for x in rows:
        _settle(place, rows, x)
    for sweep in range(_SWEEPS):
        for x in sorted(rows, reverse=bool(sweep % 2)):
            means = {key: float(np.mean([place[other][1] for other in near.get(key, {key})])) for key in rows[x]}
            rows[x].sort(key=lambda key, means=means: (means[key], place[key][1]))  # type: ignore[misc]
            _settle(place, rows, x)
    return place


def _settle(place: dict[Key, tuple[int, float]], rows: dict[int, list[Key]], x: int) -> None:
    """Spread what stands in a column over the height of the fullest."""
    height = max(map(len, rows.values()))
    for row, key in enumerate(rows[x]):
        place[key] = x, round((row + 0.5) * height / len(rows[x]) - 0.5, 3)


def _bends(used: dict[int, int], marks: dict[Key, _Mark], step: _Step) -> list[Key]:
    """Return what a step passes in the columns between its ends."""
    first, last = used[marks[step.source].column], used[marks[step.target].column]
    return [("bend", x, step.target) for x in range(first + 1, last)]


def _frame(marks: dict[Key, _Mark], steps: list[_Step], place: dict[Key, tuple[int, float]]) -> pd.DataFrame:
    """Write the steps with their places."""
    used = {mark.column: place[key][0] for key, mark in marks.items()}
    rows = []
    for step in steps:
        ends = [(marks[key].label, marks[key].kind, *place[key]) for key in (step.source, step.target)]
        bends = tuple((place[key][0], place[key][1]) for key in _bends(used, marks, step))
        rows.append((*ends[0], *ends[1], step.family, step.role, step.state, step.pods, bends, step.why))
    rows.sort(key=lambda row: (*row[2:4], *row[6:8], row[8], _STATES.index(row[10])))
    table = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    kinds: dict[str, Any] = dict.fromkeys(COLUMNS, object)
    kinds |= dict.fromkeys(("source_x", "target_x", "pods"), np.int64)
    kinds |= dict.fromkeys(("source_y", "target_y"), np.float64)
    return pd.DataFrame({name: list(held) for name, held in zip(COLUMNS, table, strict=True)}).astype(kinds)
