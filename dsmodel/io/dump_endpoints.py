"""EndpointSlices of a dump, or where there are none its Endpoints: what traffic to Services goes to.

Promises plain JSON of what a graph of traffic needs: whose endpoints they are, of which family, their addresses,
conditions and nodes, and the ports. The older Endpoints say the same of one family; they are kept
only where the dump has no EndpointSlice at all, and count as not read otherwise.

What it does not know: which endpoint gets which connection.

Sources: kubernetes/api discovery/v1 and v1beta1 EndpointSlice, core/v1 Endpoints.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, Final, TypedDict

import msgspec
from msgspec import Struct, field

from dsmodel.io.dump_findings import Findings, ObjectName
from dsmodel.io.dump_objects import decode_field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dsmodel.io.dump_objects import DumpObject

__all__ = ["EndpointRows"]

_FAILURES: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_SERVICE_NAME: Final = "kubernetes.io/service-name"
_SLICE_VERSION: Final = "discovery.k8s.io/v1"


class _Labels(Struct, gc=False):
    """The one label that counts: whose endpoints these are."""

    service_name: str = field(default="", name=_SERVICE_NAME)


class _Conditions(Struct, frozen=True, gc=False):
    """``conditions`` of an endpoint."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class _Topology(Struct, gc=False):
    """``topology`` of discovery/v1beta1, where servers before 1.21 leave nodeName out."""

    hostname: str = field(default="", name="kubernetes.io/hostname")


class _Endpoint(Struct, gc=False):
    """One entry of ``endpoints``."""

    addresses: list[str] | None = None
    conditions: _Conditions | None = None
    node_name: str | None = field(default=None, name="nodeName")
    topology: _Topology | None = None


# dictionaries with these keys alone, written in one go


class _Address(TypedDict, total=False):
    ip: str
    nodeName: str | None


class _Port(TypedDict, total=False):
    name: str | None
    port: int | None
    protocol: str | None


class _Subset(TypedDict, total=False):
    addresses: list[_Address] | None
    notReadyAddresses: list[_Address] | None
    ports: list[_Port] | None


class EndpointRows:
    """Endpoints read so far.

    Parameters
    ----------
    findings : Findings
        Where wrong ones are named.
    """

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self._files: dict[tuple[str, str, str], str] = {}
        self._slices: list[dict[str, Any]] = []
        self._older: list[dict[str, Any]] = []
        self._conditions: dict[_Conditions, dict[str, bool | None]] = {}

    def add(self, kind: str, objects: list[DumpObject], file: str) -> None:
        """Add the objects of one batch.

        Parameters
        ----------
        kind : {"EndpointSlice", "Endpoints"}
            Of all of them.
        objects : list of DumpObject
            Named objects.
        file : str
            Where they came from.

        Raises
        ------
        None
            What is wrong in one is a finding.
        """
        collects = gc.isenabled()
        gc.disable()  # the collector would walk young dictionaries again and again, none of which is garbage
        try:
            self._add(kind, objects, file)
        finally:
            if collects:
                gc.enable()

    def _add(self, kind: str, objects: list[DumpObject], file: str) -> None:
        for each in objects:
            about = ObjectName(kind, each.metadata.namespace, each.metadata.name, file)
            key = (kind, about.namespace, about.name)
            if key in self._files:
                self.findings.duplicate(about, self._files[key])
                continue
            self._files[key] = file
            try:
                if kind == "EndpointSlice":
                    self._slices.append(self._slice(each, about))
                else:
                    self._older.append(_endpoints(each))
            except _FAILURES as error:  # half of the endpoints would look like all of them
                self.findings.count(kind).read -= 1
                self.findings.refuse(about, str(error))

    def objects(self) -> Iterator[dict[str, Any]]:
        """Return what was kept, and count Endpoints that were not needed.

        Yields
        ------
        dict
            EndpointSlices; Endpoints only where there are none of these.

        Raises
        ------
        None
            Every reading has an answer.
        """
        if self._slices:
            count = self.findings.count("Endpoints")
            count.read, count.ignored = count.read - len(self._older), count.ignored + len(self._older)
        yield from self._slices or self._older

    def _slice(self, each: DumpObject, about: ObjectName) -> dict[str, Any]:
        decode = self.findings.decode
        labels: _Labels = decode(each.metadata.labels, _Labels, "metadata.labels", default=_Labels(), about=about)
        metadata: dict[str, Any] = {"name": about.name, "namespace": about.namespace}
        if labels.service_name:
            metadata["labels"] = {_SERVICE_NAME: labels.service_name}
        return {
            "apiVersion": each.api_version or _SLICE_VERSION,
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": decode(each.address_type, str, "addressType", default="", about=about),
            "endpoints": [
                {
                    "addresses": one.addresses or [],
                    "conditions": self._shared(one.conditions),
                    "nodeName": one.node_name or (one.topology.hostname if one.topology else ""),
                }
                for one in decode_field(each.endpoints, list[_Endpoint], "endpoints", default=[])
            ],
            "ports": decode(each.ports, list[_Port], "ports", default=[], about=about),
        }

    def _shared(self, conditions: _Conditions | None) -> dict[str, bool | None]:
        """Return the conditions that are set; endpoints with the same share one mapping."""
        if conditions is None:
            return {}
        found = self._conditions.get(conditions)
        if found is None:
            found = {
                name: value
                for name in ("ready", "serving", "terminating")
                if (value := getattr(conditions, name)) is not None
            }
            self._conditions[conditions] = found
        return found


def _endpoints(each: DumpObject) -> dict[str, Any]:
    metadata = {"name": each.metadata.name, "namespace": each.metadata.namespace}
    subsets: list[_Subset] = decode_field(each.subsets, list[_Subset], "subsets", default=[])
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}
