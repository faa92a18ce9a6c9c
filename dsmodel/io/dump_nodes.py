"""Nodes of a dump as the columns of the nodes table.

A Node's blocks are ``spec.podCIDRs``, or ``spec.podCIDR`` where an old server or a hand-made object has no list; where
both are there and differ, ``podCIDR`` wins as in the API server. Host bits are masked.

What it does not know: whether blocks overlap or lie in the cluster CIDR (`dsmodel.io.dump_checks`).

Sources: kubernetes/api core/v1 NodeSpec, NodeStatus; ``pkg/apis/core/v1/conversion.go``; the well-known labels of
kubernetes.io and of the providers named at `NODE_POOL_LABELS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from dsmodel.addresses.arrays import empty
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.text import parse_cidrs
from dsmodel.cluster.objects import LabelSets
from dsmodel.cluster.schema import NODES
from dsmodel.cluster.table import Table
from dsmodel.io.dump_addresses import read_pairs
from dsmodel.io.dump_findings import Findings, ObjectName
from dsmodel.io.dump_objects import Condition, NodeAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msgspec import Raw
    from numpy.typing import NDArray

    from dsmodel.io.dump_objects import DumpObject

__all__ = ["NODE_POOL_LABELS", "NodeRows"]

# labels that name the pool of like machines, the first one found counts
NODE_POOL_LABELS: Final = (
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "karpenter.sh/nodepool",
    "kubernetes.azure.com/agentpool",
    "agentpool",
    "alpha.eksctl.io/nodegroup-name",
    "doks.digitalocean.com/node-pool",
    "worker.gardener.cloud/pool",
    "nodepool",
    "node-pool",
    "node_pool",
)
_ZONE_LABELS: Final = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
# whose annotations plugins and gateways read
_ANNOTATIONS: Final = (
    "cloud.network.openshift.io/",
    "flannel.alpha.coreos.com/",
    "io.cilium.network.",
    "k8s.ovn.org/",
    "kube-router.io/",
    "network.cilium.io/",
    "node.antrea.io/",
    "ovn.kubernetes.io/",
    "projectcalico.org/",
)
_LARGEST_COUNT: Final = 2**32 - 1
_LONGEST_VERSION: Final = 64


class _Resources(Struct, gc=False):
    """The one resource of ``status.allocatable`` that counts here."""

    pods: str | int | None = None


class _NodeInfo(Struct, gc=False):
    """``status.nodeInfo``."""

    kubeletVersion: str = ""  # noqa: N815 - the API's own spelling


class _Fields(Struct, gc=False, array_like=True):
    """All fields of a Node that count here, decoded together."""

    labels: dict[str, str] | None
    conditions: list[Condition] | None
    unschedulable: bool | None
    allocatable: _Resources | None
    pod_cidr: str | None
    pod_cidrs: list[str] | None
    addresses: list[NodeAddress] | None
    node_info: _NodeInfo | None
    annotations: dict[str, str] | None


_FIELDS = msgspec.json.Decoder(list[_Fields])


class NodeRows:
    """Nodes read so far.

    Parameters
    ----------
    findings : Findings
        Where wrong ones are named.
    """

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.origins: list[ObjectName] = []
        self.kubelet_versions: list[str] = []
        self._row: dict[str, int] = {}
        self._blocks: list[list[str]] = []
        self._columns: dict[str, list[Any]] = {
            name: [] for name in ("name", "allocatable_pods", "zone", "node_pool", "ready", "unschedulable")
        }
        self._internal: tuple[list[str], list[str]] = ([], [])
        self._labels: list[dict[str, str] | None] = []
        self._annotations: list[dict[str, str]] = []

    @property
    def rows(self) -> dict[str, int]:
        """Row of each node by name."""
        return self._row

    def add(self, nodes: list[DumpObject], file: str) -> None:
        """Add the Nodes of one batch.

        Parameters
        ----------
        nodes : list of DumpObject
            Named objects of kind Node.
        file : str
            Where they came from.

        Raises
        ------
        None
            What is wrong in a Node is a finding.
        """
        new = []
        for node in nodes:
            about = ObjectName("Node", "", node.metadata.name, file)
            earlier = self._row.setdefault(about.name, len(self.origins))
            if earlier < len(self.origins):
                origin = self.origins[earlier].file
                self.findings.duplicate(about, origin)
                continue
            self.origins.append(about)
            new.append((node, about))
        for fields, (node, about) in zip(self._decode(new), new, strict=True):
            self._add_one(fields, about)
            given = fields.labels is not None or bytes(node.metadata.labels) != b"null"
            self._labels.append(fields.labels if given else {})
            annotations = (fields.annotations or {}).items()
            self._annotations.append({key: text for key, text in annotations if key.startswith(_ANNOTATIONS)})

    def objects(self) -> Iterator[dict[str, Any]]:
        """Return the Nodes as plugins read them: labels, the annotations of plugins, and blocks.

        Yields
        ------
        dict
            As the API has it, in the order of reading.

        Raises
        ------
        None
            Every reading has an answer.
        """
        rows = zip(self.origins, self._labels, self._annotations, self._blocks, strict=True)
        for about, labels, kept, blocks in rows:
            metadata: dict[str, Any] = {"name": about.name, "labels": labels or {}, "annotations": kept}
            spec = {"podCIDR": blocks[0], "podCIDRs": blocks} if blocks else {}
            yield {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}

    def table(self) -> tuple[Table, LabelSets]:
        """Return the Nodes as a table, and their labels.

        Returns
        -------
        Table
            Of schema `dsmodel.cluster.schema.NODES`, in the order of reading.
        LabelSets
            What the column ``labels`` stands for.

        Raises
        ------
        None
            What is no block is a finding.
        """
        dtypes = {"allocatable_pods": np.uint32, "ready": np.bool_, "unschedulable": np.bool_}
        text = np.dtypes.StringDType()
        columns: dict[str, Any] = {
            name: np.array(values, dtype=dtypes.get(name, text)) for name, values in self._columns.items()
        }
        pairs = read_pairs(*self._internal)
        columns |= {
            "internal_ipv4": pairs.ipv4,
            "has_internal_ipv4": pairs.has_ipv4,
            "internal_ipv6": pairs.ipv6,
            "has_internal_ipv6": pairs.has_ipv6,
        }
        labels, columns["labels"] = LabelSets.of(self._labels)
        return Table(NODES, columns | self._block_columns(), length=len(self.origins)), labels

    def _decode(self, nodes: list[tuple[DumpObject, ObjectName]]) -> list[_Fields]:
        """Decode the fields of all Nodes together; where one has a wrong type, field by field."""
        raws = [[raw for raw, _, _ in _raw_fields(node)] for node, _ in nodes]
        try:
            return _FIELDS.decode(b"[" + b",".join(b"[" + b",".join(row) + b"]" for row in raws) + b"]")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            decode = self.findings.decode
            return [
                _Fields(*(decode(raw, kind, path, default=None, about=about) for raw, kind, path in _raw_fields(node)))
                for node, about in nodes
            ]

    def _add_one(self, fields: _Fields, about: ObjectName) -> None:
        """Take one Node's fields."""
        labels, columns = fields.labels or {}, self._columns
        ready = [condition.status == "True" for condition in fields.conditions or () if condition.type == "Ready"]
        columns["name"].append(about.name)
        columns["allocatable_pods"].append(self._allocatable(fields.allocatable, about))
        columns["zone"].append(next((labels[key] for key in _ZONE_LABELS if key in labels), ""))
        columns["node_pool"].append(next((labels[key] for key in NODE_POOL_LABELS if key in labels), ""))
        columns["ready"].append(ready[0] if ready else True)
        columns["unschedulable"].append(fields.unschedulable or False)
        self._blocks.append(self._blocks_of(fields.pod_cidr or "", fields.pod_cidrs or [], about))
        # the first of each family; a host name in its place is legal and counts for nothing
        internal = [entry.address for entry in fields.addresses or () if entry.type == "InternalIP"]
        self._internal[0].append(next((text for text in internal if ":" not in text), ""))
        self._internal[1].append(next((text for text in internal if ":" in text), ""))
        self.kubelet_versions.append(fields.node_info.kubeletVersion[:_LONGEST_VERSION] if fields.node_info else "")

    def _allocatable(self, resources: _Resources | None, about: ObjectName) -> int:
        """Read how many pods the kubelet admits; 0 where it does not say."""
        if resources is None or resources.pods is None:
            return 0
        text = str(resources.pods)
        if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _LARGEST_COUNT:
            return int(text)
        message = f"status.allocatable.pods: {text!r} is no whole number of pods; the configured maximum is used"
        self.findings.add("error", "field-invalid", message, about=about)
        return 0

    def _blocks_of(self, first: str, listed: list[str], about: ObjectName) -> list[str]:
        """Read podCIDRs, or podCIDR."""
        if first and listed and first != listed[0]:
            message = f"spec.podCIDR is {first!r} and spec.podCIDRs begins with {listed[0]!r}; podCIDR is used"
            self.findings.add("warning", "field-invalid", message, about=about)
            return [first]
        return listed or ([first] if first else [])

    def _block_columns(self) -> dict[str, NDArray[Any]]:
        """Parse all blocks, family by family."""
        n = len(self._blocks)
        columns: dict[str, NDArray[Any]] = {}
        primary = np.zeros(n, dtype=np.uint8)
        places = np.full(n, 255, dtype=np.uint8)
        for family, sign in ((IPFamily.IPV4, False), (IPFamily.IPV6, True)):
            found = [(r, i, t) for r, ts in enumerate(self._blocks) for i, t in enumerate(ts) if (":" in t) is sign]
            name = f"pod_cidr_{family.value.lower()}"
            base, mask, has = empty(n, family), np.zeros(n, dtype=np.uint8), np.zeros(n, dtype=bool)
            if found:
                texts = [text for _, _, text in found]
                bases, lengths, valid = parse_cidrs(
                    texts, family=family, host_bits="mask", syntax="sloppy", on_invalid="mask"
                )
                rows, places_of = (np.array(part) for part in zip(*((r, i) for r, i, _ in found), strict=True))
                alone = valid & (np.bincount(rows, minlength=n)[rows] == 1)
                at = rows[alone]
                base[at], mask[at], has[at] = bases[alone], lengths[alone], True
                leads = places_of[alone] <= places[at]
                primary[at[leads]], places[at[leads]] = 6 if sign else 4, places_of[alone][leads]
                # backwards, so that the first block of a family is the one that stays
                for k in np.flatnonzero(~alone)[::-1].tolist():
                    row, place, text = found[k]
                    if not valid[k]:
                        self._report(row, place, f"{text!r} is no CIDR; the node is read without it")
                        continue
                    if has[row]:
                        self._report(row, place + 1, f"a second {family.value} block; {text} is used")
                    base[row], mask[row], has[row] = bases[k], lengths[k], True
                    if place <= places[row]:
                        primary[row], places[row] = 6 if sign else 4, place
            columns |= {name: base, f"{name}_mask": mask, f"has_{name}": has}
        return columns | {"primary_ip_family": primary}

    def _report(self, row: int, place: int, message: str) -> None:
        """Name a block that cannot be used."""
        self.findings.add("error", "address-invalid", f"spec.podCIDRs[{place}]: {message}", about=self.origins[row])


def _raw_fields(node: DumpObject) -> tuple[tuple[Raw, Any, str], ...]:
    """List a Node's raw fields in the order of `_Fields`, with type and path."""
    spec, status = node.spec, node.status
    return (
        (node.metadata.labels, dict[str, str], "metadata.labels"),
        (status.conditions, list[Condition], "status.conditions"),
        (spec.unschedulable, bool, "spec.unschedulable"),
        (status.allocatable, _Resources, "status.allocatable"),
        (spec.pod_cidr, str, "spec.podCIDR"),
        (spec.pod_cidrs, list[str], "spec.podCIDRs"),
        (status.addresses, list[NodeAddress], "status.addresses"),
        (status.node_info, _NodeInfo, "status.nodeInfo"),
        (node.metadata.annotations, dict[str, str], "metadata.annotations"),
    )
