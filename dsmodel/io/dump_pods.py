"""Pods of a dump, batch by batch, as the columns of the pods table.

A Pod holds its addresses unless it shares its node's (``hostNetwork``) or has finished: a Succeeded or Failed Pod may
still show an address that its plugin has long handed to another one. Labels are told apart by their bytes, and each
that differs is decoded once. Annotations are kept where they ask for an egress gateway. Everything else of a Pod is
skipped.

What it does not know: whether the addresses make sense beside the nodes' blocks (`dsmodel.io.dump_checks`).

Sources: kubernetes/api core/v1 PodSpec, PodStatus; ``podIPs`` and ``podIP`` conversion of ``pkg/apis/core/v1``.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from dsmodel.cluster.objects import LabelSets
from dsmodel.cluster.schema import PHASES, PODS
from dsmodel.cluster.table import Table
from dsmodel.io.dump_addresses import AddressPairs, read_pairs
from dsmodel.io.dump_findings import Findings, ObjectName
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from msgspec import Raw
    from numpy.typing import NDArray

    from dsmodel.io.dump_objects import DumpObject, PodIP, PodMetadata, PodObject, PodSpec, PodStatus

__all__ = ["PodRows"]

_PHASE_CODES: Final[dict[str | None, int]] = {None: 0, **{word: code for code, word in PHASES.items()}}
_FLAGS: Final[dict[bool | None, bool]] = {None: False, False: False, True: True}
# addresses that are parsed together
_TOGETHER: Final = 1 << 14
_LABELS: Final = msgspec.json.Decoder(list[dict[str, str] | None])
_FAILURES: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_EGRESS: Final = "egress.projectcalico.org/"  # annotations that name egress gateways
_EGRESS_BYTES: Final = _EGRESS.encode()
_FINISHED: Final = tuple(_PHASE_CODES[word] for word in ("Succeeded", "Failed"))


def _bytes_of(raws: list[Raw]) -> list[bytes]:
    """Copy many raw fields at once; no JSON has a zero byte in it."""
    parts = b"\0".join(raws).split(b"\0")
    return parts if len(parts) == len(raws) else list(map(bytes, raws))


class _Words(dict[str, str]):
    """Equal words as one object."""

    def __missing__(self, word: str) -> str:
        self[word] = word
        return word


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
        self._namespace = _Words()
        self._codes: dict[str | None, int] = defaultdict(count().__next__, {None: -1, "": -1})
        self._node = array("i")
        self._host_network, self._phase = bytearray(), bytearray()
        self._label_codes: dict[bytes, int] = defaultdict(count().__next__)
        self._labels = array("i")
        self._firsts: list[str] = []
        self._seconds: list[str] = []
        self._pairs: list[AddressPairs] = []
        self._noted: list[tuple[int, Raw]] = []
        self._starts: list[int] = []
        self._files: list[str] = []

    def __len__(self) -> int:
        """Pods read, duplicates among them."""
        return len(self.names)

    def add(self, pods: list[DumpObject] | list[PodObject], file: str) -> None:
        """Add the Pods of one batch.

        Parameters
        ----------
        pods : list of DumpObject or of PodObject
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
        metadata: list[PodMetadata] = [pod.metadata for pod in pods]
        specs: list[PodSpec] = [pod.spec for pod in pods]
        statuses: list[PodStatus] = [pod.status for pod in pods]
        self.names += [entry.name for entry in metadata]
        self.namespaces += map(self._namespace.__getitem__, [entry.namespace for entry in metadata])
        self._labels.extend(map(self._label_codes.__getitem__, _bytes_of([entry.labels for entry in metadata])))
        self._note([entry.annotations for entry in metadata])
        self._node.extend(map(self._codes.__getitem__, [spec.node_name for spec in specs]))
        self._host_network += bytes(map(_FLAGS.__getitem__, [spec.host_network for spec in specs]))
        self._phase += self._phases([status.phase for status in statuses])
        self._add_addresses([status.pod_ip for status in statuses], [status.pod_ips for status in statuses])
        if len(self._firsts) >= _TOGETHER:
            self._parse()

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

    def table(self, node_rows: Mapping[str, int]) -> tuple[Table, LabelSets]:
        """Return the Pods as a table, of two with one name the first, and their labels.

        Parameters
        ----------
        node_rows : mapping of str to int
            Row of each node in the nodes table.

        Returns
        -------
        Table
            Of schema `dsmodel.cluster.schema.PODS`.
        LabelSets
            What the column ``labels`` stands for.

        Raises
        ------
        None
            A Pod on a node that is not in the dump is a finding, its ``node`` -1; labels of a wrong type are one too,
            the Pod's ``labels`` -1.
        """
        kept = self._kept_rows()
        self._parse()
        if not len(kept):
            return Table(PODS, length=0), LabelSets()
        labels, codes = self._label_sets()
        text = np.dtypes.StringDType()
        whole = len(kept) == len(self.names)
        columns: dict[str, Any] = {
            "namespace": np.array(self.namespaces, dtype=text),
            "name": np.array(self.names, dtype=text),
            "node": np.array(self._node, dtype=np.int32),
            "host_network": np.array(self._host_network, dtype=np.uint8).view(np.bool_),
            "phase": np.array(self._phase, dtype=np.uint8),
            **self._addresses(),
            "labels": codes[np.array(self._labels, dtype=np.int32)],
        }
        if not whole:
            columns = {name: values[kept] for name, values in columns.items()}
        columns["node"] = self._node_rows(columns["node"], kept, node_rows)
        columns["holds_address"] = ~columns["host_network"] & ~np.isin(columns["phase"], _FINISHED)
        for values in columns.values():
            values.flags.writeable = False
        return Table(PODS, columns), labels

    def noted(self, *, besides: Iterable[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
        """Return the Pods whose annotations ask for an egress gateway, with these annotations alone.

        Parameters
        ----------
        besides : iterable of mapping
            Pods that are objects already, and are left out.

        Returns
        -------
        list of dict
            As objects, of two with one name the first.

        Raises
        ------
        None
            Annotations of a wrong type are a finding.
        """
        met = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in besides}
        found: list[dict[str, Any]] = []
        for row, raw in self._noted:
            place, about = (self.namespaces[row], self.names[row]), self.where(row)
            given: dict[str, str] = self.findings.decode(
                raw, dict[str, str], "metadata.annotations", default={}, about=about
            )
            kept = {key: text for key, text in given.items() if key.startswith(_EGRESS)}
            if kept and place not in met:
                metadata = {"name": place[1], "namespace": place[0], "annotations": kept}
                found.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
            met.add(place)
        return found

    def _note(self, raws: list[Raw]) -> None:
        """Keep the annotations of a batch that ask for an egress gateway; most batches have none."""
        if _EGRESS_BYTES not in b"\0".join(raws):
            return
        rows = enumerate(_bytes_of(raws), len(self.names) - len(raws))
        self._noted += [(row, msgspec.Raw(each)) for row, each in rows if _EGRESS_BYTES in each]

    def _phases(self, phases: list[str | None]) -> bytes:
        """Turn phases into codes."""
        try:
            return bytes(map(_PHASE_CODES.__getitem__, phases))
        except KeyError:
            codes = list(map(_PHASE_CODES.get, phases))
        for row in [row for row, code in enumerate(codes) if code is None]:
            message = f"status.phase: {phases[row]!r} is no phase of a Pod; taken as Unknown"
            self.findings.add("warning", "field-invalid", message, about=self.where(self._starts[-1] + row))
            codes[row] = _PHASE_CODES["Unknown"]
        return bytes(code or 0 for code in codes)

    def _add_addresses(self, alone: list[str | None], lists: list[list[PodIP] | None]) -> None:
        """Take podIPs, or podIP where there is no list; podIP wins where they differ, as in the API server."""
        try:  # most batches have two for every Pod
            firsts, seconds, longest = [one.ip for one, _ in lists], [two.ip for _, two in lists], 2  # type: ignore[misc]
        except (TypeError, ValueError):
            firsts = [entries[0].ip if entries else text or "" for entries, text in zip(lists, alone, strict=True)]
            seconds = [entries[1].ip if entries and len(entries) > 1 else "" for entries in lists]
            longest = max(map(len, filter(None, lists)), default=0)
        if firsts != alone or longest > 2:
            for row, (text, entries) in enumerate(zip(alone, lists, strict=True)):
                if (entries and len(entries) > 2) or (text and text != firsts[row]):
                    self._settle(row, (text or "", len(entries or ())), firsts=firsts, seconds=seconds)
        self._firsts += firsts
        self._seconds += seconds

    def _parse(self) -> None:
        """Parse the addresses that wait."""
        firsts, seconds = self._firsts, self._seconds
        if not firsts:
            return
        pairs = read_pairs(firsts, seconds)
        self._report(pairs, firsts, seconds, start=sum(len(parsed.primary) for parsed in self._pairs))
        self._pairs.append(pairs)
        self._firsts, self._seconds = [], []

    def _addresses(self) -> dict[str, NDArray[Any]]:
        """Join the columns that are parsed."""
        sources = {
            "pod_ipv4": "ipv4",
            "has_pod_ipv4": "has_ipv4",
            "pod_ipv6": "ipv6",
            "has_pod_ipv6": "has_ipv6",
            "primary_ip_family": "primary",
        }
        return {
            name: np.concatenate([getattr(pairs, source) for pairs in self._pairs]) for name, source in sources.items()
        }

    def _label_sets(self) -> tuple[LabelSets, NDArray[np.int32]]:
        """Decode the labels that differ in their bytes; return them, and for each of these bytes the set it means."""
        raws = list(self._label_codes)
        try:
            decoded: list[dict[str, str] | None] = _LABELS.decode(b"[" + b",".join(raws) + b"]")
        except _FAILURES:
            decoded = [self._one_label_set(raw, code) for code, raw in enumerate(raws)]
        else:
            decoded = [labels or {} for labels in decoded]
        return LabelSets.of(decoded)

    def _one_label_set(self, raw: bytes, code: int) -> dict[str, str] | None:
        """Decode one label set, or say which Pods have something else there."""
        try:
            return _LABELS.decode(b"[" + raw + b"]")[0] or {}
        except _FAILURES as error:
            rows = [row for row, known in enumerate(self._labels) if known == code]
            message = (
                f"metadata.labels: {error} ({counted(len(rows), 'pod')}, this is the first); their labels are not known"
            )
            self.findings.add("error", "field-invalid", message, about=self.where(rows[0]))
            return None

    def _settle(self, row: int, found: tuple[str, int], *, firsts: list[str], seconds: list[str]) -> None:
        """Decide between addresses the API would not have allowed side by side."""
        alone, count = found
        if alone and alone != firsts[row]:
            message = f"status.podIP is {alone!r} and status.podIPs begins with {firsts[row]!r}; podIP is used"
            firsts[row], seconds[row] = alone, ""
        else:
            message = f"status.podIPs has {count} addresses, at most one of each family is legal; two are used"
        self.findings.add("error", "field-invalid", message, about=self.where(self._starts[-1] + row))

    def _report(self, pairs: AddressPairs, firsts: list[str], seconds: list[str], *, start: int) -> None:
        """Name what is no address."""
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
        names = [name for name in self._codes if name]
        table = np.array([*(node_rows.get(name, -1) for name in names), -1], dtype=np.int32)
        rows = table[codes]
        strangers, counts = np.unique(codes[(rows < 0) & (codes >= 0)], return_counts=True)
        for code, times in zip(strangers.tolist(), counts.tolist(), strict=True):
            about = self.where(int(kept[np.flatnonzero(codes == code)[0]]))
            message = (
                f"spec.nodeName {names[code]!r} is no Node of the dump (named by {counted(times, 'pod')}, "
                "this is the first); "
                "they count for no node"
            )
            self.findings.add("warning" if node_rows else "info", "node-missing", message, about=about)
        return rows
