"""What only a dump can show to be wrong: addresses held for Services that are gone, and what the components reported.

Rules that hold for any cluster, read or made, are in `dsmodel.cluster.checks`.

Sources: ``pkg/registry/core/service/ipallocator/controller/repairip.go`` of v1.36.2 (IPAddress objects without their
Service are deleted by the repair loop); events of ``pkg/controller/nodeipam/ipam/range_allocator.go``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsmodel.addresses.arrays import isin
from dsmodel.addresses.cidr import IPFamily
from dsmodel.io.dump_addresses import read_pairs
from dsmodel.io.dump_findings import Findings, ObjectName
from dsmodel.io.dump_objects import ABSENT, ObjectReference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.cluster.table import Table
    from dsmodel.io.dump_objects import DumpObject

__all__ = ["EVENTS", "NodeEvent", "check_events", "check_ip_addresses", "read_event"]

# reasons of the node IPAM controller: what became of the node
EVENTS: Final = {
    "CIDRNotAvailable": ("error", "cidr-not-available", "kube-controller-manager found no free block for the node"),
    "CIDRAssignmentFailed": (
        "warning",
        "cidr-assignment-failed",
        "kube-controller-manager could not write the node's podCIDRs",
    ),
}


@dataclass(frozen=True)
class NodeEvent:
    """What the node IPAM controller reported about a node."""

    reason: str
    node: ObjectName
    words: str


def read_event(event: DumpObject, file: str, findings: Findings) -> NodeEvent | None:
    """Read an Event of the node IPAM controller.

    Parameters
    ----------
    event : DumpObject
        Named object of kind Event.
    file : str
        Where it came from.
    findings : Findings
        Where a field of a wrong type is named.

    Returns
    -------
    NodeEvent or None
        None for an Event about something else.

    Raises
    ------
    None
        A field of a wrong type is a finding.
    """
    about = ObjectName("Event", event.metadata.namespace, event.metadata.name, file)
    reason = findings.decode(event.reason, str, "reason", default="", about=about)
    if reason not in EVENTS:
        return None
    named = event.involved_object if event.involved_object is not ABSENT else event.regarding
    node = findings.decode(named, ObjectReference, "involvedObject", default=ObjectReference(), about=about)
    words = event.message if event.message is not ABSENT else event.note
    message = findings.decode(words, str, "message", default="", about=about)
    subject = ObjectName(node.kind, node.namespace, node.name, file) if node.name else about
    return NodeEvent(reason, subject, f"event {about.name!r} says {message!r}")


def check_events(events: list[NodeEvent], nodes: Table, findings: Findings, *, rows: Mapping[str, int]) -> None:
    """Turn Events into findings; a node that has its block by now is mentioned only.

    Parameters
    ----------
    events : list of NodeEvent
        As read.
    nodes : Table
        The Nodes.
    rows : mapping of str to int
        Row of each node by name.
    findings : Findings
        Added to.

    Raises
    ------
    None
        Nodes that are not in the dump are reported as the Event says.
    """
    served = nodes["has_pod_cidr_ipv4"] | nodes["has_pod_cidr_ipv6"]
    for event in events:
        severity, rule, meaning = EVENTS[event.reason]
        row = rows.get(event.node.name)
        if row is not None and served[row]:
            severity, meaning = "info", f"{meaning}, and has given it one since"
        findings.add(severity, rule, f"{meaning}: {event.words}", about=event.node)


def check_ip_addresses(
    ip_addresses: Sequence[tuple[ObjectName, ObjectReference]], services: Table, findings: Findings
) -> dict[IPFamily, NDArray[Any]]:
    """Name IPAddress objects that no Service of the dump uses.

    Parameters
    ----------
    ip_addresses : sequence of (ObjectName, ObjectReference)
        Each object and its ``spec.parentRef``.
    services : Table
        The Services.
    findings : Findings
        Added to.

    Returns
    -------
    dict of IPFamily to address column
        Every address that an IPAddress object holds.

    Raises
    ------
    None
        A name that is no address is a finding.
    """
    texts = [about.name for about, _ in ip_addresses]
    pairs = read_pairs(texts, [""] * len(texts))
    used = np.zeros(len(texts), dtype=bool)
    for column, has, end in ((pairs.ipv4, pairs.has_ipv4, "ipv4"), (pairs.ipv6, pairs.has_ipv6, "ipv6")):
        held = services[f"cluster_{end}"][services[f"has_cluster_{end}"]]
        used |= has & isin(column, held)
    for row in np.flatnonzero(pairs.invalid_first).tolist():
        about = ip_addresses[row][0]
        findings.add("error", "address-invalid", f"the name {about.name!r} is no IP address", about=about)
    for row in np.flatnonzero(~used & ~pairs.invalid_first).tolist():
        about, parent = ip_addresses[row]
        owner = "/".join(part for part in (parent.namespace, parent.name) if part) or "nobody"
        message = (
            f"is held for {parent.resource or 'services'} {owner}, and no Service of the dump has it as cluster IP; "
            "it blocks the address until the API server's repair loop deletes it"
        )
        findings.add("warning", "ip-address-leaked", message, about=about)
    return {IPFamily.IPV4: pairs.ipv4[pairs.has_ipv4], IPFamily.IPV6: pairs.ipv6[pairs.has_ipv6]}
