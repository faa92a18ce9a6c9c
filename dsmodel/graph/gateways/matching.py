"""Which policies select which pods, asked once a distinct shape of pod.

A shape is what selections can ask of a pod: its namespace, its label set, its egress annotations, the label set of its
node, and which source blocks hold its address. Promises that pods of one shape get one answer, and that an answer which
labels outside the dump would change is `MAYBE`, never a guess.

What it does not know: what policies do with the pods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import addresses_in
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.cluster.objects import NAME_LABEL
from dsmodel.graph.gateways.annotations import notes_of_pods

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr, IPFamily
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.annotations import Notes
    from dsmodel.graph.gateways.contract import Selection, Subject
    from dsmodel.kube.label_selectors import LabelSelector

__all__ = ["MAYBE", "NO", "YES", "Selected", "Shapes", "selected", "shapes_of"]

NO: Final = 0
MAYBE: Final = 1
YES: Final = 2

Selected: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.uint8]]"
"""Shapes that a selection selects or may select, and which of the two."""


@dataclass(frozen=True, eq=False)
class Shapes:
    """Distinct shapes of pods, and the shape of each pod.

    Parameters
    ----------
    of_pod : ndarray of int64, shape (number of pods,)
        Shape of each row of the pods table; -1 for rows that were not asked for.
    namespace : ndarray of int64, shape (n,)
        Place in `namespaces`.
    labels : ndarray of int64, shape (n,)
        Place in the cluster's pod labels; -1 where not known.
    node_labels : ndarray of int64, shape (n,)
        Place in the cluster's node labels; -1 where not known.
    sources : mapping of tuple of Cidr to ndarray of bool, shape (n,)
        Whether the pod's address is in these blocks.
    namespaces : tuple of str
        Names.
    notes : ndarray of int64, shape (n,)
        Place in `note_sets`.
    note_sets : tuple of Notes
        Egress annotations that pods have of their own.
    """

    of_pod: NDArray[np.int64]
    namespace: NDArray[np.int64]
    labels: NDArray[np.int64]
    node_labels: NDArray[np.int64]
    sources: Mapping[tuple[Cidr, ...], NDArray[np.bool_]]
    namespaces: tuple[str, ...]
    notes: NDArray[np.int64]
    note_sets: tuple[Notes, ...]

    def __len__(self) -> int:
        """Count the shapes."""
        return len(self.namespace)


def shapes_of(
    cluster: Cluster, pods: NDArray[np.integer], *, family: IPFamily, sources: Sequence[tuple[Cidr, ...]] = ()
) -> Shapes:
    """Return the distinct shapes of some pods.

    Parameters
    ----------
    cluster : Cluster
        Whose pods.
    pods : ndarray of integers
        Their rows, each once.
    family : IPFamily
        Of the addresses that `sources` are asked of.
    sources : sequence of tuple of Cidr
        Blocks that selections ask for.

    Returns
    -------
    Shapes
        In the order of namespace, labels, labels of the node.

    Raises
    ------
    None
        No pods have no shapes.
    """
    table = cluster.pods
    namespace, names = pd.factorize(table["namespace"][pods].astype(object), sort=True)
    labels = table["labels"][pods].astype(np.int64)
    node = table["node"][pods]
    node_labels = np.full(len(pods), -1, np.int64)
    node_labels[node >= 0] = cluster.nodes["labels"][node[node >= 0]]
    end = ENDS[family]
    has, column = table[f"has_pod_{end}"][pods], table[f"pod_{end}"][pods]
    inside = [has & addresses_in(column, list(blocks)) for blocks in sources]
    notes, note_sets = notes_of_pods(cluster, pods)
    key = _packed([namespace, labels + 1, node_labels + 1, notes, *inside])
    _, first, shape = np.unique(key, return_index=True, return_inverse=True)
    of_pod = np.full(len(table), -1, np.int64)
    of_pod[pods] = shape
    held = {blocks: bits[first] for blocks, bits in zip(sources, inside, strict=True)}
    spaces = tuple(map(str, names))
    return Shapes(of_pod, namespace[first], labels[first], node_labels[first], held, spaces, notes[first], note_sets)


def selected(cluster: Cluster, shapes: Shapes, selections: Sequence[Selection]) -> list[Selected]:
    """Tell for each selection which shapes it selects.

    Parameters
    ----------
    cluster : Cluster
        Whose label sets the shapes name.
    shapes : Shapes
        Distinct pods.
    selections : sequence of Selection
        What is asked.

    Returns
    -------
    list of (ndarray of int64, ndarray of uint8)
        For each selection the shapes that it selects or may select, in order, and `MAYBE` or `YES` for each.

    Raises
    ------
    None
        Labels that are not known leave an answer open.
    """
    asked = _Answers(cluster, shapes)
    return [asked.selection(each) for each in selections]


class _Answers:
    """Answers of selectors over the shapes' label sets, each worked out once."""

    def __init__(self, cluster: Cluster, shapes: Shapes) -> None:
        self._shapes = shapes
        known = [cluster.namespaces.get(name) for name in shapes.namespaces]
        named = [{NAME_LABEL: name} for name in shapes.namespaces]  # what the API server gives every namespace
        self._namespaces = _LabelColumns(
            [name if labels is None else labels for name, labels in zip(named, known, strict=True)]
        )
        self._open_namespaces = np.array([labels is None for labels in known], np.bool_)
        self._bare = np.array([labels is not None and not labels for labels in known], np.bool_)
        self._place = {name: place for place, name in enumerate(shapes.namespaces)}
        # shapes are in the order of namespaces, so that those of one are a slice
        self._starts = np.searchsorted(shapes.namespace, np.arange(len(shapes.namespaces) + 1))
        self._pods = _LabelColumns(cluster.pod_labels.sets)
        self._nodes = _LabelColumns(cluster.node_labels.sets)
        self._found: dict[tuple[str, LabelSelector], NDArray[np.uint8]] = {}

    def selection(self, selection: Selection) -> Selected:
        """Any subject, and a node that fits, and an address in the sources."""
        parts = [self._subject(subject) for subject in selection.subjects]
        if len(parts) == 1:
            rows, answer = parts[0]
        else:
            every = np.zeros(len(self._shapes), np.uint8)
            for some, values in parts:
                every[some] = np.maximum(every[some], values)
            rows = np.flatnonzero(every)
            answer = every[rows]
        if selection.nodes:
            codes = self._shapes.node_labels[rows]
            on_nodes = np.zeros(len(rows), np.uint8)
            for selector in selection.nodes:
                np.maximum(on_nodes, self._labels("node", selector)[codes], out=on_nodes)
            answer = np.minimum(answer, on_nodes)
        if selection.sources:
            answer = np.where(self._shapes.sources[selection.sources][rows], answer, np.uint8(NO))
        held = answer > NO
        return rows[held], answer[held]

    def _subject(self, subject: Subject) -> Selected:
        """Namespace and labels both fit."""
        spaces = self._labels("namespace", subject.namespaces).copy()
        if subject.names is not None:
            own = [self._place[name] for name in subject.names if name in self._place]
            others = np.ones(len(spaces), np.bool_)
            others[own] = False
            spaces[others] = NO
        spaces[[self._place[name] for name in subject.other_names if name in self._place]] = NO
        if subject.labelled:
            spaces[self._bare] = NO
        rows = self._rows_of(np.flatnonzero(spaces))
        answer = spaces[self._shapes.namespace[rows]]
        if subject.pods.requirements != ():
            answer = np.minimum(answer, self._labels("pod", subject.pods)[self._shapes.labels[rows]])
        if subject.notes is not None:
            sets = self._shapes.note_sets
            wanted = [place for place, notes in enumerate(sets) if notes in subject.notes]
            answer = np.where(np.isin(self._shapes.notes[rows], wanted), answer, np.uint8(NO))
        if not subject.certain:
            answer = np.minimum(answer, np.uint8(MAYBE))
        held = answer > NO
        return rows[held], answer[held]

    def _rows_of(self, namespaces: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the shapes of some namespaces, in order."""
        if len(namespaces) == len(self._shapes.namespaces):
            return np.arange(len(self._shapes))
        slices = [np.arange(self._starts[each], self._starts[each + 1]) for each in namespaces.tolist()]
        return np.concatenate(slices) if slices else np.zeros(0, np.int64)

    def _labels(self, whose: str, selector: LabelSelector) -> NDArray[np.uint8]:
        """By code; for pods and nodes the last one, reached by code -1, is for labels that are not known."""
        key = (whose, selector)
        if key not in self._found:
            if whose == "namespace":
                answer = self._namespaces.fits(selector)
                asks_more = any(each.key != NAME_LABEL for each in selector.requirements or ())
                if asks_more:
                    answer[self._open_namespaces & (self._namespaces.fits(selector, only=NAME_LABEL) == YES)] = MAYBE
            else:
                columns = self._pods if whose == "pod" else self._nodes
                unknown = NO if selector.requirements is None else MAYBE if selector.requirements else YES
                answer = np.append(columns.fits(selector), np.uint8(unknown))
            self._found[key] = answer
        return self._found[key]


class _LabelColumns:
    """Label sets as one column a key, so that a requirement is one comparison of columns."""

    def __init__(self, sets: Sequence[Mapping[str, str]]) -> None:
        self._count = len(sets)
        holders: dict[str, tuple[list[int], list[str]]] = {}
        for place, labels in enumerate(sets):
            for key, value in labels.items():
                rows, values = holders.setdefault(key, ([], []))
                rows.append(place)
                values.append(value)
        self._holders = holders
        self._columns: dict[str, tuple[NDArray[np.int64], dict[str, int]]] = {}

    def fits(self, selector: LabelSelector, *, only: str = "") -> NDArray[np.uint8]:
        """`YES` or `NO` for each set; with `only`, by requirements of that key alone."""
        if selector.requirements is None:
            return np.zeros(self._count, np.uint8)
        answer = np.ones(self._count, np.bool_)
        for each in selector.requirements:
            if only and each.key != only:
                continue
            column, codes = self._column(each.key)
            if each.operator in {"In", "NotIn"}:
                wanted = [codes[value] for value in each.values if value in codes]  # noqa: PD011 - no frame
                held = np.isin(column, wanted) if wanted else np.zeros(self._count, np.bool_)
                answer &= held if each.operator == "In" else ~held
            else:
                answer &= (column >= 0) == (each.operator == "Exists")
        return np.where(answer, np.uint8(YES), np.uint8(NO))

    def _column(self, key: str) -> tuple[NDArray[np.int64], dict[str, int]]:
        """Code of each set's value, -1 for none, and the values' codes."""
        if key not in self._columns:
            rows, values = self._holders.get(key, ([], []))
            codes: dict[str, int] = {}
            column = np.full(self._count, -1, np.int64)
            column[rows] = [codes.setdefault(value, len(codes)) for value in values]
            self._columns[key] = (column, codes)
        return self._columns[key]


def _packed(columns: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Write columns of small numbers, none negative, as one that orders as they do."""
    key = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        size = int(column.max(initial=0)) + 1
        if int(key.max(initial=0)) * size >= 1 << 62:
            key = np.unique(key, return_inverse=True)[1]
        key = key * size + column
    return key
