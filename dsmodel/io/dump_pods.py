"""Pods of a dump, batch by batch, as the columns of the pods table.

A Pod holds its addresses unless it shares its node's (``hostNetwork``) or has finished: a Succeeded or Failed Pod may
still show an address that its plugin has long handed to another one. Labels and everything else of a Pod is skipped.

What it does not know: whether the addresses make sense beside the nodes' blocks (`dsmodel.io.dump_checks`).

Sources: kubernetes/api core/v1 PodSpec, PodStatus; ``podIPs`` and ``podIP`` conversion of ``pkg/apis/core/v1``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsmodel.cluster.schema import PHASES, PODS
from dsmodel.cluster.table import Table
from dsmodel.io.dump_addresses import AddressPairs, read_pairs
from dsmodel.io.dump_findings import Findings, ObjectName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dsmodel.io.dump_objects import DumpObject, Metadata, ObjectStatus

__all__ = ["PodRows"]

_PHASE_CODES: Final[dict[str | None, int]] = {None: 0, **{word: code for code, word in PHASES.items()}}
_FINISHED: Final = tuple(_PHASE_CODES[word] for word in ("Succeeded", "Failed"))


class PodRows:
    """Pods read so far.

    Parameters
    ----------
    findings : Findings
        Where wrong ones are named.
    """

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.namespaces: list[str] = []
        self.names: list[str] = []
        self.nodes: dict[str, int] = {}
        self._namespace: dict[str, str] = {}
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._starts: list[int] = []
        self._files: list[str] = []

    def __len__(self) -> int:
        """Pods read, duplicates among them."""
        return len(self.names)

    def add(self, pods: list[DumpObject], file: str) -> None:
        """Add the Pods of one batch.

        Parameters
        ----------
        pods : list of DumpObject
            Named objects of kind Pod.
        file : str
            Where they came from.

        Raises
        ------
        None
            What is wrong in a Pod is a finding.
        """
        if not pods:
            return
        self._starts.append(len(self.names))
        self._files.append(file)
        metadata: list[Metadata] = [pod.metadata for pod in pods]
        self._name(metadata)
        statuses: list[ObjectStatus] = [pod.status for pod in pods]
        self._keep(
            node=self._node_codes([pod.spec.node_name for pod in pods]),
            host_network=np.array([pod.spec.host_network is True for pod in pods], dtype=bool),
            phase=self._phases([status.phase for status in statuses]),
        )
        self._add_addresses(statuses)

    def where(self, row: int) -> ObjectName:
        """Name the Pod of a row.

        Parameters
        ----------
        row : int
            In the order of reading.

        Returns
        -------
        ObjectName
            With the file it came from.

        Raises
        ------
        IndexError
            If there is no such row.
        """
        file = self._files[bisect_right(self._starts, row) - 1]
        return ObjectName("Pod", self.namespaces[row], self.names[row], file)

    def table(self, node_rows: Mapping[str, int]) -> tuple[Table, NDArray[np.intp]]:
        """Return the Pods as a table, of two with one name the first.

        Parameters
        ----------
        node_rows : mapping of str to int
            Row of each node in the nodes table.

        Returns
        -------
        Table
            Of schema `dsmodel.cluster.schema.PODS`.
        ndarray of intp, shape (n,)
            Row number in the order of reading of each row of the table, for `where`.

        Raises
        ------
        None
            A Pod on a node that is not in the dump is a finding, its ``node`` -1.
        """
        kept = self._kept_rows()
        if not len(kept):
            return Table(PODS, length=0), kept
        text = np.dtypes.StringDType()
        whole = len(kept) == len(self.names)
        columns: dict[str, Any] = {
            "namespace": np.array(self.namespaces, dtype=text),
            "name": np.array(self.names, dtype=text),
            **{name: np.concatenate(parts) for name, parts in self._parts.items()},
        }
        if not whole:
            columns = {name: values[kept] for name, values in columns.items()}
        columns["node"] = self._node_rows(columns["node"], kept, node_rows)
        columns["holds_address"] = ~columns["host_network"] & ~np.isin(columns["phase"], _FINISHED)
        for values in columns.values():
            values.flags.writeable = False
        return Table(PODS, columns), kept

    def _name(self, metadata: list[Metadata]) -> None:
        """Take names; equal namespaces become one object."""
        known = self._namespace
        self.namespaces += [known.setdefault(m.namespace, m.namespace) for m in metadata]
        self.names += map(attrgetter("name"), metadata)

    def _keep(self, **columns: NDArray[Any]) -> None:
        """Append to columns."""
        for name, values in columns.items():
            self._parts.setdefault(name, []).append(values)

    def _node_codes(self, names: list[str | None]) -> NDArray[np.int32]:
        """Give each node a number, in the order they are named."""
        codes = self.nodes
        for name in dict.fromkeys(names):
            if name and name not in codes:
                codes[name] = len(codes)
        return np.array([codes.get(name, -1) for name in names], dtype=np.int32)  # type: ignore[arg-type]

    def _phases(self, phases: list[str | None]) -> NDArray[np.uint8]:
        """Turn phases into codes."""
        codes = list(map(_PHASE_CODES.get, phases))
        for row in [row for row, code in enumerate(codes) if code is None] if None in codes else ():
            message = f"status.phase: {phases[row]!r} is no phase of a Pod; taken as Unknown"
            self.findings.add("warning", "field-invalid", message, about=self.where(self._starts[-1] + row))
            codes[row] = _PHASE_CODES["Unknown"]
        return np.array(codes, dtype=np.uint8)

    def _add_addresses(self, statuses: list[ObjectStatus]) -> None:
        """Read podIPs, or podIP where there is no list; podIP wins where they differ, as in the API server."""
        alone = [status.pod_ip or "" for status in statuses]
        lists = [status.pod_ips or () for status in statuses]
        firsts = [entries[0].ip if entries else text for entries, text in zip(lists, alone, strict=True)]
        seconds = [entries[1].ip if len(entries) > 1 else "" for entries in lists]
        if firsts != alone or max(map(len, lists)) > 2:
            for row, (text, entries) in enumerate(zip(alone, lists, strict=True)):
                if len(entries) > 2 or (text and text != firsts[row]):
                    self._settle(row, (text, len(entries)), firsts=firsts, seconds=seconds)
        pairs = read_pairs(firsts, seconds)
        self._keep(
            pod_ipv4=pairs.ipv4,
            has_pod_ipv4=pairs.has_ipv4,
            pod_ipv6=pairs.ipv6,
            has_pod_ipv6=pairs.has_ipv6,
            primary_ip_family=pairs.primary,
        )
        self._report(pairs, firsts, seconds)

    def _settle(self, row: int, found: tuple[str, int], *, firsts: list[str], seconds: list[str]) -> None:
        """Decide between addresses the API would not have allowed side by side."""
        alone, count = found
        if alone and alone != firsts[row]:
            message = f"status.podIP is {alone!r} and status.podIPs begins with {firsts[row]!r}; podIP is used"
            firsts[row], seconds[row] = alone, ""
        else:
            message = f"status.podIPs has {count} addresses, at most one of each family is legal; two are used"
        self.findings.add("error", "field-invalid", message, about=self.where(self._starts[-1] + row))

    def _report(self, pairs: AddressPairs, firsts: list[str], seconds: list[str]) -> None:
        """Name what is no address."""
        start = self._starts[-1]
        for place, (wrong, texts) in enumerate(((pairs.invalid_first, firsts), (pairs.invalid_second, seconds))):
            for row in np.flatnonzero(wrong).tolist():
                message = f"status.podIPs[{place}].ip: {texts[row]!r} is no IP address; the pod is read without it"
                self.findings.add("error", "address-invalid", message, about=self.where(start + row))
        for row in np.flatnonzero(pairs.same_family).tolist():
            message = f"status.podIPs: {firsts[row]} and {seconds[row]} are of one family; the first is used"
            self.findings.add("error", "address-invalid", message, about=self.where(start + row))

    def _kept_rows(self) -> NDArray[np.intp]:
        """Drop Pods whose namespace and name were read before."""
        everything = np.arange(len(self.names))
        if len(set(self.names)) == len(self.names):
            return everything
        often = {name for name, count in Counter(self.names).items() if count > 1}
        twice = [row for row, name in enumerate(self.names) if name in often]
        if len({(self.namespaces[row], self.names[row]) for row in twice}) == len(twice):
            return everything
        first: dict[tuple[str, str], int] = {}
        dropped = []
        for row in twice:
            earlier = first.setdefault((self.namespaces[row], self.names[row]), row)
            if earlier != row:
                dropped.append(row)
                self.findings.duplicate(self.where(row), self.where(earlier).file)
        return np.delete(everything, dropped)

    def _node_rows(
        self, codes: NDArray[np.int32], kept: NDArray[np.intp], node_rows: Mapping[str, int]
    ) -> NDArray[np.int32]:
        """Turn this reading's node codes into rows of the nodes table."""
        table = np.array([*(node_rows.get(name, -1) for name in self.nodes), -1], dtype=np.int32)
        rows = table[codes]
        names = list(self.nodes)
        strangers, counts = np.unique(codes[(rows < 0) & (codes >= 0)], return_counts=True)
        for code, count in zip(strangers.tolist(), counts.tolist(), strict=True):
            about = self.where(int(kept[np.flatnonzero(codes == code)[0]]))
            message = (
                f"spec.nodeName {names[code]!r} is no Node of the dump ({count:,} pods name it, this is the first); "
                "they count for no node"
            )
            self.findings.add("warning" if node_rows else "info", "node-missing", message, about=about)
        return rows
