"""Resolve every pod, destination and family: decide groups against classes, look the rest up.

Promises the answer of running the pipeline for each pod, destination and family on its own. What is kept is a group for
each pod, a class for each destination, and a decision for each group and class, once for pods on another node than the
destination and once for pods on the same; so a million pods take no more than their group numbers.

What it does not know: which endpoint or address of several a client picks. Where that matters, the verdict says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.literals import format_address
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.errors import InvalidInput
from dsmodel.graph.flows import VERDICTS
from dsmodel.graph.network import Network
from dsmodel.graph.paths.decisions import Decision, Seen
from dsmodel.graph.paths.destinations import Destination, read_destinations
from dsmodel.graph.paths.groups import claims_of, groups_of
from dsmodel.graph.paths.members import members_of
from dsmodel.graph.paths.table import Half, half_of, named_blocks
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from dsmodel.cluster.state import Cluster

__all__ = ["Paths", "resolve"]

_FINISHED: Final = (3, 4)  # codes of schema.PHASES: Succeeded, Failed
_MOST_ROWS: Final = 5_000_000  # of a frame with a row a pod, destination and family
_CHUNK: Final = 8192  # pods of one piece of a verdict matrix


@dataclass(frozen=True, eq=False, repr=False)
class Paths:
    """One resolved path for each pod, destination and family, kept as tables.

    Parameters
    ----------
    cluster : Cluster
        Whose pods; not to be changed while this is in use.
    network : Network
        What decided beside the cluster.
    pods : ndarray of int64, shape (n,)
        Rows of the pods that were asked for.
    destinations : tuple of Destination
        Where to.
    halves : mapping of IPFamily to Half
        Answers by family.
    namespace : ndarray of int64, shape (n,)
        Place of each pod's namespace.
    namespaces : tuple of str
        Their names, sorted.
    """

    cluster: Cluster
    network: Network
    pods: NDArray[np.int64]
    destinations: tuple[Destination, ...]
    halves: dict[IPFamily, Half]
    namespace: NDArray[np.int64]
    namespaces: tuple[str, ...]

    def decision(self, pod: int, destination: int = 0, family: IPFamily | str = "IPv4") -> Decision:
        """Return what becomes of one pod's traffic.

        Parameters
        ----------
        pod : int
            Its place among the pods that were asked for.
        destination : int, default 0
            Its place.
        family : IPFamily or str, default "IPv4"
            Which.

        Returns
        -------
        Decision
            Shared by every pod that no rule tells apart.

        Raises
        ------
        IndexError
            There is no such pod or destination.

        Examples
        --------
        >>> from dsmodel.cluster.examples import kubeadm_dual_stack
        >>> paths = resolve(kubeadm_dual_stack(), ["internet"], network=Network(masquerades=()))
        >>> paths.decision(0).reason
        'unknown because nobody said whether nodes have an IPv4 default route (default_route)'
        """
        half = self.halves[IPFamily(family)]
        return half.decisions[int(half.codes(np.array([pod]), destination)[0])]

    def verdicts(self, family: IPFamily | str, *, chunk: int = _CHUNK) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield the matrix of verdicts, piece by piece.

        Parameters
        ----------
        family : IPFamily or str
            Which.
        chunk : int, default 8192
            Pods of a piece.

        Yields
        ------
        tuple of (int, ndarray of uint8, shape (pods, destinations))
            Place of the first pod of the piece, and places in `dsmodel.graph.flows.VERDICTS`.

        Raises
        ------
        InvalidInput
            A piece of less than one pod.

        Examples
        --------
        >>> from dsmodel.cluster.examples import kubeadm_dual_stack
        >>> paths = resolve(kubeadm_dual_stack(), ["internet", "2001:db8::1"], network=Network())
        >>> [(first, piece.shape) for first, piece in paths.verdicts("IPv6", chunk=100)]
        [(0, (100, 2)), (100, (20, 2))]
        """
        if chunk < 1:
            raise InvalidInput(f"chunk={chunk}: a piece has at least one pod")
        half = self.halves[IPFamily(family)]
        code = np.array([VERDICTS.index(each.verdict) for each in half.decisions] or [0], np.uint8)
        away = code[half.away][:, half.column_of]
        differs = [
            (place, pods, code[table[:, half.column_of[place]]])
            for place in np.flatnonzero(half.is_sensitive[half.column_of]).tolist()
            for pods, table in half.exceptions(place)
        ]
        for first in range(0, len(self.pods), chunk):
            group = half.groups.of_pod[first : first + chunk]
            piece = away.take(group, axis=0)
            for place, pods, codes in differs:
                mine = pods[slice(*np.searchsorted(pods, [first, first + chunk]))] - first
                piece[mine, place] = codes[group[mine]]
            yield first, piece

    def tallies(self, family: IPFamily | str) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the decisions about each destination, with the pods that meet each.

        Parameters
        ----------
        family : IPFamily or str
            Which.

        Yields
        ------
        tuple of (int, ndarray of int64, ndarray of int64)
            Place of the destination; places in the half's decisions, rising; numbers of pods.

        Raises
        ------
        None
            Every family has an answer.
        """
        half = self.halves[IPFamily(family)]
        size, count = half.groups.size, len(half.decisions)
        known: dict[int, NDArray[np.int64]] = {}
        for place in range(len(self.destinations)):
            column = int(half.column_of[place])
            if column not in known:
                known[column] = np.bincount(half.away[:, column], weights=size, minlength=count).astype(np.int64)
            pods = known[column].copy()
            for near, table in half.exceptions(place):
                group = half.groups.of_pod[near]
                pods -= np.bincount(half.away[group, column], minlength=count)
                pods += np.bincount(table[group, column], minlength=count)
            met = np.flatnonzero(pods)
            yield place, met, pods[met]

    def counts(self) -> pd.DataFrame:
        """Count pods by what becomes of them, per destination and family.

        Returns
        -------
        pandas.DataFrame
            Sorted by destination, family and verdict: ``destination``, ``ip_family``, ``verdict``, ``works``, ``pods``,
            ``source`` (the addresses that are seen, or whose), ``rule``, ``reason``.

        Raises
        ------
        None
            No pods have no rows.

        Examples
        --------
        >>> from dsmodel.cluster.examples import kubeadm_dual_stack
        >>> paths = resolve(kubeadm_dual_stack(), "2001:db8::1", network=Network(masquerades=()))
        >>> paths.counts()[["ip_family", "verdict", "pods"]]
          ip_family    verdict  pods
        0      IPv4  no_family   120
        1      IPv6    unknown   120
        """
        rows = []
        for order, (family, half) in enumerate(self.halves.items()):
            for place, codes, pods in self.tallies(family):
                merged: dict[tuple[Any, ...], int] = {}
                for code, number in zip(codes.tolist(), pods.tolist(), strict=True):
                    made = half.decisions[code]
                    key = (VERDICTS.index(made.verdict), seen_words(made), made.rule, made.reason)
                    merged[key] = merged.get(key, 0) + number
                rows += [(place, order, str(family), *key, number) for key, number in sorted(merged.items())]
        rows.sort(key=lambda row: row[:4])
        return pd.DataFrame(
            {
                "destination": [self.destinations[row[0]].name for row in rows],
                "ip_family": [row[2] for row in rows],
                "verdict": [str(VERDICTS[row[3]]) for row in rows],
                "works": [VERDICTS[row[3]].works for row in rows],
                "pods": np.array([row[7] for row in rows], np.int64),
                "source": [row[4] for row in rows],
                "rule": [row[5] for row in rows],
                "reason": [row[6] for row in rows],
            }
        )

    def frame(self, *, pods: ArrayLike | None = None) -> pd.DataFrame:
        """Write one row a pod, destination and family.

        Parameters
        ----------
        pods : array of int, optional
            Places among the pods that were asked for; all if left out.

        Returns
        -------
        pandas.DataFrame
            Sorted by pod, destination and family: ``namespace``, ``pod``, ``node``, ``destination``, ``ip_family``,
            ``verdict``, ``works``, ``source`` (address seen by the destination; empty where none or not known),
            ``gateway`` (kind and name), ``rule``, ``reason``.

        Raises
        ------
        InvalidInput
            More than five million rows; ask for fewer pods, or for `counts`.

        Examples
        --------
        >>> from dsmodel.cluster.examples import kubeadm_dual_stack
        >>> network = Network(masquerades=()).replacing(routed=["10.244.0.0/16"], default_route=True, border=())
        >>> frame = resolve(kubeadm_dual_stack(), "10.9.0.1", network=network).frame(pods=[0])
        >>> frame[["pod", "ip_family", "verdict", "source"]]
                   pod ip_family    verdict       source
        0  app00-00000      IPv4  ok_direct  10.244.2.2
        1  app00-00000      IPv6  no_family
        """
        chosen = np.arange(len(self.pods)) if pods is None else np.atleast_1d(np.asarray(pods, np.int64))
        size = len(chosen) * len(self.destinations) * len(self.halves)
        if size > _MOST_ROWS:
            raise InvalidInput(f"{size:,} rows: choose pods, or ask counts(); a frame has at most {_MOST_ROWS:,}")
        table, places, halves = self.cluster.pods, range(len(self.destinations)), list(self.halves.values())
        rows = self.pods[chosen]
        shape = (len(chosen), len(self.destinations), len(halves))
        columns: dict[str, NDArray[Any]] = {
            name: np.empty(shape, object) for name in ("verdict", "works", "source", "gateway", "rule", "reason")
        }
        for number, half in enumerate(halves):
            words = {name: np.array(each, object) for name, each in _words(half).items()}
            for place in places:
                codes = half.codes(chosen, place)
                for name, each in words.items():
                    columns[name][:, place, number] = each[codes]
                columns["source"][:, place, number] = self.sources(chosen, place, half.family)
        names = np.append(self.cluster.nodes["name"].astype(object), "")
        repeated = {
            "namespace": table["namespace"][rows].astype(object),
            "pod": table["name"][rows].astype(object),
            "node": names[table["node"][rows]],
        }
        every = shape[1] * shape[2]
        frame = {name: np.repeat(each, every) for name, each in repeated.items()}
        destinations = np.array([each.name for each in self.destinations], object)
        frame["destination"] = np.tile(np.repeat(destinations, shape[2]), shape[0])
        frame["ip_family"] = np.tile(np.array([str(half.family) for half in halves], object), shape[0] * shape[1])
        frame |= {name: each.reshape(-1) for name, each in columns.items()}
        frame["works"] = frame["works"].astype(np.bool_)
        return pd.DataFrame(frame)

    def sources(self, pods: ArrayLike, destination: int, family: IPFamily | str) -> NDArray[Any]:
        """Return the address that the destination sees of each pod.

        Parameters
        ----------
        pods : array of int, shape (n,)
            Places among the pods that were asked for.
        destination : int
            Its place.
        family : IPFamily or str
            Which.

        Returns
        -------
        ndarray of object, shape (n,)
            Canonical text; several addresses joined by ", "; empty where nothing arrives or it is not known.

        Raises
        ------
        IndexError
            There is no such pod or destination.
        """
        half = self.halves[IPFamily(family)]
        chosen = np.atleast_1d(np.asarray(pods, np.int64))
        codes = half.codes(chosen, destination)
        fixed = np.array([", ".join(each.sources) for each in half.decisions] or [""], object)
        found = fixed[codes]
        seen = np.array([str(each.seen) for each in half.decisions] or [""], object)[codes]
        bare = found == ""
        end = ENDS[half.family]
        mine = np.flatnonzero(bare & (seen == Seen.POD))
        found[mine] = _texts(half.family, half.groups.source[chosen[mine]])
        mine = np.flatnonzero(bare & (seen == Seen.NODE))
        node = half.groups.node[chosen[mine]]
        known = np.append(self.cluster.nodes[f"has_internal_{end}"], False)[node]
        found[mine[known]] = _texts(half.family, self.cluster.nodes[f"internal_{end}"][node[known]])
        return found

    def place_of(self, pod: str) -> int:
        """Return the place of a pod among those that were asked for.

        Parameters
        ----------
        pod : str
            "namespace/name".

        Returns
        -------
        int
            Its place.

        Raises
        ------
        InvalidInput
            There is no such pod among them.
        """
        namespace, _, name = pod.partition("/")
        table = self.cluster.pods
        rows = np.flatnonzero((table["namespace"] == namespace) & (table["name"] == name))
        found = np.flatnonzero(np.isin(self.pods, rows))
        if not len(found) or not name:
            raise InvalidInput(f"pod {pod!r} is not there, or has finished; give namespace/name of one that runs")
        return int(found[0])

    def __repr__(self) -> str:
        """Return how many of what were decided, and from how many groups."""
        groups = ", ".join(f"{len(half.groups):,} groups in {half.family}" for half in self.halves.values())
        return f"Paths({counted(len(self.pods), 'pod')}, {counted(len(self.destinations), 'destination')}; {groups})"


def seen_words(made: Decision) -> str:
    """Say whose address is seen, for many pods at once.

    Parameters
    ----------
    made : Decision
        Of a group.

    Returns
    -------
    str
        The addresses where they are the same for all, else whose; empty where nothing arrives or nobody knows.

    Raises
    ------
    None
        Every decision has words.

    Examples
    --------
    >>> from dsmodel.graph.flows import Verdict
    >>> from dsmodel.graph.paths.decisions import Cause
    >>> seen_words(Decision(Verdict.OK_SNAT, Cause.DELIVERED, "", seen=Seen.NODE))
    "the node's address"
    """
    if made.sources:
        return ", ".join(made.sources)
    return {Seen.POD: "the pod's address", Seen.NODE: "the node's address", Seen.NAT: "the NAT's address"}.get(
        made.seen, ""
    )


def resolve(
    cluster: Cluster, destinations: Any = "internet", *, network: Network | None = None, pods: ArrayLike | None = None
) -> Paths:
    """Resolve the path of every pod to every destination, in both families.

    Parameters
    ----------
    cluster : Cluster
        Any.
    destinations : str, Destination, mapping or sequence of these, default "internet"
        "internet"; addresses; CIDRs; "namespace/name" of a Service or pod; "node/name"; with a port behind a colon
        where it decides; names with their addresses.
    network : Network, optional
        What decides beside the cluster; what its objects show if left out.
    pods : array of int, optional
        Rows of the pods table; all that have not finished if left out.

    Returns
    -------
    Paths
        For both families, whatever the cluster's own.

    Raises
    ------
    InvalidInput
        A destination that is none, a pod that is not there.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> resolve(kubeadm_dual_stack(), ["internet", "10.0.0.0/8"])
    Paths(120 pods, 2 destinations; 1 groups in IPv4, 1 groups in IPv6)
    """
    known = network if network is not None else Network.of(cluster)
    asked = read_destinations(destinations, cluster)
    if pods is None:
        rows = np.flatnonzero(~np.isin(np.asarray(cluster.pods["phase"]), _FINISHED))
    else:
        rows = np.atleast_1d(np.asarray(pods, np.int64))
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(cluster.pods):
            raise InvalidInput(f"pods: rows {rows.min()} to {rows.max()}; the cluster has {len(cluster.pods):,} pods")
    claims = claims_of(known, cluster)
    named = {family: named_blocks(family, cluster=cluster, network=known, claims=claims) for family in IPFamily}
    halves = {}
    for family in IPFamily:
        groups = groups_of(cluster, rows, family, network=known, claims=claims, named=named[family])
        members = members_of(asked, family, cluster=cluster, network=known, named=named[family])
        halves[family] = half_of(asked, groups, members, cluster=cluster, network=known)
    namespace, names = pd.factorize(cluster.pods["namespace"][rows].astype(object), sort=True)
    return Paths(cluster, known, rows, asked, halves, namespace.astype(np.int64), tuple(map(str, names)))


def _words(half: Half) -> dict[str, list[Any]]:
    """Return columns of a frame, a value a decision."""
    return {
        "verdict": [str(each.verdict) for each in half.decisions],
        "works": [each.verdict.works for each in half.decisions],
        "gateway": [", ".join(dict.fromkeys(leave.name for leave in each.exits)) for each in half.decisions],
        "rule": [each.rule for each in half.decisions],
        "reason": [each.reason for each in half.decisions],
    }


def _texts(family: IPFamily, column: NDArray[Any]) -> list[str]:
    return [format_address(family, number) for number in to_integers(column)]
