"""Read what ``kubectl get … -o json`` prints, however it was saved, into a `Cluster`.

Every object is in a table, kept as it is, counted as ignored, or named in a finding; nothing is dropped unseen. Secrets
are never decoded, of ConfigMaps only those that hold configuration, of Pods only the containers of the control plane
and of the network's agents. The configuration is taken from what the dump shows, with
the evidence for each field in ``cluster.config.evidence``.

What it does not know: state that the API server does not have, as a plugin's own files, cooldowns and cursors.

Sources: kubernetes/api v1.20 to v1.36; version and range rules in the modules this one leads to.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from dsmodel.cluster.state import Cluster
from dsmodel.errors import InvalidDump, InvalidInput
from dsmodel.io.config_clues import Clues
from dsmodel.io.dump_batches import PodBatch
from dsmodel.io.dump_checks import NodeEvent, check_events, check_ip_addresses, read_event
from dsmodel.io.dump_endpoints import EndpointRows
from dsmodel.io.dump_findings import Findings, KindCount, ObjectName
from dsmodel.io.dump_kinds import KEPT, is_handled
from dsmodel.io.dump_network import NamespaceRows, NetworkRows
from dsmodel.io.dump_nodes import NodeRows
from dsmodel.io.dump_objects import ABSENT
from dsmodel.io.dump_pods import PodRows
from dsmodel.io.dump_services import ServiceRows
from dsmodel.io.dump_sources import DumpSource, find_sources, read_source
from dsmodel.io.inference import infer_config
from dsmodel.progress import progress as show_progress

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.objects import LabelSets, NetworkObjects
    from dsmodel.cluster.table import Table
    from dsmodel.io.dump_batches import Batch
    from dsmodel.io.dump_objects import DumpObject, PodObject
    from dsmodel.kube.config import ClusterConfig

    Place = str | os.PathLike[str] | IO[Any]
    Named = TypeVar("Named", DumpObject, PodObject)

__all__ = ["Dump", "read_cluster", "read_dump"]


@dataclass(frozen=True)
class Dump:
    """What a dump says, in tables, before pools are built from it.

    Parameters
    ----------
    config : ClusterConfig
        With evidence for each field.
    nodes, pods, services, node_ports, allowed_sources, findings : Table
        Of the schemas of the same names.
    node_labels, pod_labels : LabelSets
        What the columns ``labels`` of Nodes and Pods stand for.
    namespaces, namespace_annotations : mapping of str to mapping of str to str
        Labels and annotations of the Namespaces by name.
    objects : NetworkObjects
        What plugins, policies and gateways are written in; Nodes as far as those read them; the opened ConfigMaps.
    held_addresses : mapping of IPFamily to address column
        Service addresses that IPAddress objects hold, whether or not a Service uses them.
    counts : mapping of str to KindCount
        How many objects of each kind were read, ignored, refused.
    config_maps : mapping of (str, str) to mapping of str to str
        ``data`` of the ConfigMaps that hold configuration, as text, by namespace and name.
    file_of : callable
        File that an object of the tables came from, by the name findings give it; empty for other names.
    """

    config: ClusterConfig
    nodes: Table
    pods: Table
    services: Table
    node_ports: Table
    allowed_sources: Table
    findings: Table
    node_labels: LabelSets
    pod_labels: LabelSets
    namespaces: Mapping[str, Mapping[str, str]]
    namespace_annotations: Mapping[str, Mapping[str, str]]
    objects: NetworkObjects
    held_addresses: Mapping[IPFamily, NDArray[Any]]
    counts: Mapping[str, KindCount]
    config_maps: Mapping[tuple[str, str], Mapping[str, str]]
    file_of: Callable[[str], str]


def read_cluster(
    places: Place | Iterable[Place],
    *,
    config: ClusterConfig | None = None,
    streaming: bool | Literal["auto"] = "auto",
    progress: bool = True,
) -> Cluster:
    """Read a cluster's dump.

    Parameters
    ----------
    places : path, "-", file object, or iterable of these
        What ``kubectl get nodes,pods,services,… -A -o json`` printed: one ``List``, several files, a folder of them
        (also a must-gather), JSON or YAML, plain or gzip. ``"-"`` is standard input.
    config : ClusterConfig, optional
        Overrides what the dump shows, field by field; fields it leaves at their default are still inferred.
    streaming : bool or "auto"
        True reads in pieces of some megabytes, False decodes each file whole. ``"auto"`` reads large and compressed
        files in pieces. The result is the same.
    progress : bool
        Show a bar for reads that take long, in a terminal or notebook.

    Returns
    -------
    Cluster
        Its ``findings`` name what is wrong, its ``config.evidence`` how each field is known, its ``counts`` how many
        objects of each kind were read.

    Raises
    ------
    InvalidDump
        If a named file cannot be read or holds no dump; the message names file and, where known, object.
    InvalidConfig
        If `config` and the dump together mean nothing.

    Examples
    --------
    >>> from dsmodel.io.samples import sample_path
    >>> cluster = read_cluster(sample_path("nearly-full"))
    >>> len(cluster.nodes), len(cluster.pods), len(cluster.services)
    (20, 726, 120)
    >>> cluster.config.evidence["service_cidrs"]
    'object ServiceCIDR/kubernetes'
    """
    dump = read_dump(places, config=config, streaming=streaming, progress=progress)
    cluster = Cluster.from_tables(
        dump.config,
        nodes=dump.nodes,
        pods=dump.pods,
        services=dump.services,
        node_ports=dump.node_ports,
        findings=dump.findings,
    )
    for family in cluster.service_ranges.families:
        cluster.service_ranges.occupy(dump.held_addresses[family], family=family)
    cluster.findings = _with_files(cluster.findings, dump.file_of)
    cluster.counts = {kind: asdict(count) for kind, count in dump.counts.items()}
    cluster.objects, cluster.allowed_sources = dump.objects, dump.allowed_sources
    cluster.node_labels, cluster.pod_labels = dump.node_labels, dump.pod_labels
    cluster.namespaces, cluster.namespace_annotations = dump.namespaces, dump.namespace_annotations
    return cluster


def read_dump(
    places: Place | Iterable[Place],
    *,
    config: ClusterConfig | None = None,
    streaming: bool | Literal["auto"] = "auto",
    progress: bool = True,
) -> Dump:
    """Read a cluster's dump into tables, without building pools.

    Parameters
    ----------
    places, config, streaming, progress
        As for `read_cluster`.

    Returns
    -------
    Dump
        Tables, configuration, findings, counts.

    Raises
    ------
    InvalidDump
        If a named file cannot be read or holds no dump; the message names file and, where known, object.
    InvalidConfig
        If `config` and the dump together mean nothing.

    Examples
    --------
    >>> from dsmodel.io.samples import sample_path
    >>> read_dump(sample_path("single-stack-legacy")).counts["Pod"]
    KindCount(read=454, ignored=0, refused=0)
    """
    if streaming not in {True, False, "auto"}:
        raise InvalidInput(f"streaming={streaming!r} is unknown; use True, False or 'auto'")
    reading = _Reading()
    sources = find_sources(places)
    sizes = [source.size for source in sources]
    total = sum(size for size in sizes if size) if all(sizes) else None
    with show_progress("reading", total=total, unit="B", wanted=progress) as advance:
        for source in sources:
            reading.read(source, streaming=None if streaming == "auto" else bool(streaming), advance=advance)
    _check_anything_read(reading.findings, sources)
    return reading.finish(config)


def _with_files(findings: Table, file_of: Callable[[str], str]) -> Table:
    """Add the file to findings about objects of the tables."""
    files = findings["file"].tolist()
    if all(files):
        return findings
    named = [file or file_of(name) for file, name in zip(files, findings["object"].tolist(), strict=True)]
    return findings.replace({"file": np.array(named, dtype=np.dtypes.StringDType())})


def _check_anything_read(findings: Findings, sources: list[DumpSource]) -> None:
    """Refuse input without any usable object."""
    if any(count.read or count.ignored for count in findings.counts.values()):
        return
    names = ", ".join(source.name for source in sources[:5]) + (", …" if len(sources) > 5 else "")
    why = f"; {findings.rows[0][2]}: {findings.rows[0][3]}" if findings.rows else ""
    raise InvalidDump(f"{names}: holds no Kubernetes object{why}; write the dump with kubectl get … -A -o json")


class _Reading:
    """Everything read so far."""

    def __init__(self) -> None:
        self.findings = Findings()
        self.pods, self.nodes = PodRows(self.findings), NodeRows(self.findings)
        self.services, self.clues = ServiceRows(self.findings), Clues(self.findings)
        self.network, self.namespaces = NetworkRows(self.findings), NamespaceRows(self.findings)
        self.endpoints = EndpointRows(self.findings)
        self.events: list[NodeEvent] = []
        self.files: dict[str, dict[str, str]] = {}

    def read(self, source: DumpSource, *, streaming: bool | None, advance: Callable[[int], object]) -> None:
        """Read one source; one that was only found in a folder may be something else."""
        try:
            for batch in read_source(source, streaming=streaming, advance=advance):
                self.take(batch)
        except InvalidDump as error:
            if source.asked_for:
                raise
            self.findings.add("error", "file-refused", str(error), file=source.name)

    def take(self, batch: Batch | PodBatch) -> None:
        """Sort the objects of one batch by kind and read them."""
        if isinstance(batch, PodBatch):
            self.pods.add(self._named("Pod", batch.objects, batch.file), batch.file)
            return
        for refusal in batch.refusals:
            self.findings.refuse(ObjectName(refusal.kind, "", refusal.name, batch.file), refusal.message)
        self.network.add(batch.whole, batch.file)
        by_kind: dict[str, list[DumpObject]] = {}
        kinds, versions = {item.kind for item in batch.objects}, {item.api_version for item in batch.objects}
        alike = len(kinds) == len(versions) == 1 and is_handled(*kinds, *versions)
        if alike:
            by_kind[kinds.pop()] = batch.objects
        waiting = [] if alike else [batch.objects]
        while waiting:
            for item in waiting.pop():
                kind = item.kind
                if kind in by_kind and by_kind[kind][0].api_version == item.api_version:
                    by_kind[kind].append(item)
                elif not is_handled(kind, item.api_version):
                    waiting += self._set_aside(item, batch)
                else:
                    by_kind.setdefault(kind, []).append(item)
        for kind, objects in by_kind.items():
            self._read_kind(kind, objects, batch.file)

    def finish(self, config: ClusterConfig | None) -> Dump:
        """Turn what was read into tables and a configuration."""
        nodes, node_labels = self.nodes.table()
        services, node_ports = self.services.tables()
        allowed_sources = self.services.allowed_sources()
        pods, pod_labels = self.pods.table(self.nodes.rows)
        check_events(self.events, nodes, self.findings, rows=self.nodes.rows)
        held = check_ip_addresses(list(self.clues.ip_addresses.values()), services, self.findings)
        if self.clues.pod_ipam:
            message = f"pods get their addresses from {self.clues.pod_ipam}, not from their node's podCIDRs"
            self.findings.add("info", "pod-ipam", message, about="ClusterConfig")
        settled = infer_config(
            self.clues,
            nodes=nodes,
            services=services,
            kubelet_versions=self.nodes.kubelet_versions,
            override=config,
        )
        objects = self.network.objects(
            nodes=self.nodes.objects(),
            services=self.services.objects(),
            endpoints=self.endpoints.objects(),
            config_maps=self.clues.config_maps,
        )
        objects = objects.adding(self.pods.noted(besides=objects.of("Pod", "")))
        counts = dict(sorted(self.findings.counts.items()))
        self._mention_ignored()
        return Dump(
            config=settled,
            nodes=nodes,
            pods=pods,
            services=services,
            node_ports=node_ports,
            allowed_sources=allowed_sources,
            findings=self.findings.table(),
            node_labels=node_labels,
            pod_labels=pod_labels,
            namespaces=self.namespaces.labels(named=settled.kube_version.rule("namespaces_carry_their_name")),
            namespace_annotations=self.namespaces.annotations(),
            objects=objects,
            held_addresses=held,
            counts=counts,
            config_maps=self.clues.config_maps,
            file_of=self._file_of,
        )

    def _mention_ignored(self) -> None:
        """Say which kinds were not read."""
        ignored = {kind: count.ignored for kind, count in sorted(self.findings.counts.items()) if count.ignored}
        if ignored:
            listed = ", ".join(f"{kind} {count:,}" for kind, count in ignored.items())
            message = f"not read, because addressing does not depend on them: {listed}"
            self.findings.add("info", "objects-ignored", message, about="Cluster")

    def _file_of(self, name: str) -> str:
        """Find the file of an object by ``Kind/namespace/name``."""
        kind = name.partition("/")[0]
        if kind not in self.files:
            rows: Iterable[ObjectName] = ()
            if kind == "Pod":
                rows = map(self.pods.where, range(len(self.pods)))
            elif kind in {"Node", "Service"}:
                rows = self.nodes.origins if kind == "Node" else self.services.origins
            # backwards: of two objects with one name the first is in the tables
            self.files[kind] = {str(origin): origin.file for origin in reversed(list(rows))}
        return self.files[kind].get(name, "")

    def _set_aside(self, item: DumpObject, batch: Batch) -> list[list[DumpObject]]:
        """Count an object nobody reads; open a list inside the list; refuse what has no kind."""
        if item.kind.endswith("List") and item.items is not ABSENT:
            return self._open_list(item, batch)
        if not item.kind:
            about = ObjectName("object", item.metadata.namespace, item.metadata.name or "?", batch.file)
            self.findings.refuse(about, "it has no kind")
            return []
        group = item.api_version.rpartition("/")[0]
        clash = is_handled(item.kind, "") or item.kind in KEPT
        self.findings.count(f"{item.kind}.{group}" if clash and group else item.kind).ignored += 1
        return []

    def _open_list(self, item: DumpObject, batch: Batch) -> list[list[DumpObject]]:
        """Read a list that is an item of a list."""
        from msgspec import DecodeError

        from dsmodel.io.dump_batches import decode_list

        kind = item.kind.removesuffix("List")
        try:
            inner = decode_list(item.items, batch.file, kind=kind, api_version=item.api_version)
        except DecodeError as error:
            self.findings.refuse(ObjectName(item.kind, "", item.metadata.name, batch.file), str(error))
            return []
        for refusal in inner.refusals:
            self.findings.refuse(ObjectName(refusal.kind, "", refusal.name, batch.file), refusal.message)
        self.network.add(inner.whole, batch.file)
        return [inner.objects]

    def _read_kind(self, kind: str, objects: list[DumpObject], file: str) -> None:
        """Read the objects of one kind."""
        named = self._named(kind, objects, file)
        if kind == "Pod":
            self.pods.add(named, file)
            self.clues.add_pods(named, file)
            self.network.add_pods(named, file)
        elif kind == "Namespace":
            self.namespaces.add(named, file)
        elif kind == "Node":
            self.nodes.add(named, file)
        elif kind == "Service":
            self.services.add(named, file)
        elif kind in {"EndpointSlice", "Endpoints"}:
            self.endpoints.add(kind, named, file)
        elif kind == "ServiceCIDR":
            self.clues.add_service_cidrs(named, file)
        elif kind == "IPAddress":
            self.clues.add_ip_addresses(named, file)
        elif kind in {"ConfigMap", "Event"}:
            opened, count = sum(self._open(kind, item, file) for item in named), self.findings.count(kind)
            count.read, count.ignored = count.read - len(named) + opened, count.ignored + len(named) - opened

    def _named(self, kind: str, objects: list[Named], file: str) -> list[Named]:
        """Count objects as read; refuse those without a name."""
        named = objects
        if "" in [item.metadata.name for item in objects]:
            named = [item for item in objects if item.metadata.name]
            for item in objects:
                if not item.metadata.name:
                    self.findings.refuse(ObjectName(kind, item.metadata.namespace, "?", file), "it has no name")
        self.findings.count(kind).read += len(named)
        return named

    def _open(self, kind: str, item: DumpObject, file: str) -> bool:
        """Read an object of a kind of which few matter."""
        if kind == "Event":
            event = read_event(item, file, self.findings)
            self.events += [event] if event else []
            return event is not None
        return self.clues.add_config_map(item, file)
