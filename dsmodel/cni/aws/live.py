"""What a node's ipamd says about itself: its introspection endpoint and its checkpoint file.

Promises every CIDR of every interface with what is allocated and what rests, and every allocation with its pod.

Sources: aws/amazon-vpc-cni-k8s ``pkg/ipamd/introspect.go``, ``pkg/ipamd/datastore/data_store.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import Cidr, format_address, parse_address
from dsmodel.cni.contract import PoolUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_checkpoint", "read_interfaces"]


def read_interfaces(document: Mapping[str, Any]) -> list[PoolUsage]:
    """Read what a node's introspection endpoint says.

    Parameters
    ----------
    document : mapping
        The JSON of ``http://localhost:61679/v1/enis`` on the node.

    Returns
    -------
    list of PoolUsage
        One line a CIDR of each interface: ``used`` are addresses with an IPAM key, ``cooling`` released ones.

    Raises
    ------
    InvalidInput
        A CIDR that is none.

    Notes
    -----
    Source: ``pkg/ipamd/introspect.go``, ``pkg/ipamd/datastore/data_store.go``.

    Examples
    --------
    >>> address = {"Address": "10.0.0.16", "IPAMKey": {"containerID": "c", "ifName": "eth0"}}
    >>> cidr = {"IPAddresses": {"10.0.0.16": address}, "IsPrefix": True}
    >>> document = {"0": {"ENIs": {"eni-1": {"AvailableIPv4Cidrs": {"10.0.0.16/28": cidr}}}}}
    >>> [(line.pool, line.range, line.usable, line.used) for line in read_interfaces(document)]
    [('eni-1', '10.0.0.16/28', 16, 1)]
    """
    cards = [document] if "ENIs" in document else [card for _, card in sorted(document.items())]
    lines = []
    for card in cards:
        for name, interface in sorted((card.get("ENIs") or {}).items()):
            for key in ("AvailableIPv4Cidrs", "IPv6Cidrs"):
                for text, entry in sorted((interface.get(key) or {}).items()):
                    lines.append(_cidr_usage(str(name), str(text), entry))
    return lines


def _cidr_usage(name: str, text: str, entry: Mapping[str, Any]) -> PoolUsage:
    """Count the addresses of one CIDR."""
    cidr = Cidr(text, host_bits="mask")
    held = [
        each for each in (entry.get("IPAddresses") or {}).values() if (each.get("IPAMKey") or {}).get("containerID")
    ]
    rested = [
        each
        for each in (entry.get("IPAddresses") or {}).values()
        if each not in held and not str(each.get("UnassignedTime") or "0001").startswith("0001")
    ]
    return PoolUsage(name, cidr.family, str(cidr), cidr.size, len(held), 0, len(rested))


def read_checkpoint(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Read which addresses a node's ipamd has handed out.

    Parameters
    ----------
    document : mapping
        The JSON of ``/var/run/aws-node/ipam.json`` on the node.

    Returns
    -------
    dict of str to list of str
        ``address``, ``namespace``, ``pod``, ``container_id``: one row an allocation, by address. What rests is not in
        the file: a restart of ipamd forgets it.

    Raises
    ------
    InvalidInput
        An address that is none.

    Notes
    -----
    Source: ``pkg/ipamd/datastore/data_store.go``.

    Examples
    --------
    >>> entry = {"containerID": "c", "ipv4": "10.0.0.9", "metadata": {"k8sPodNamespace": "a", "k8sPodName": "b"}}
    >>> read_checkpoint({"version": "vpc-cni-ipam/1", "allocations": [entry]})["pod"]
    ['b']
    """
    rows = []
    for entry in document.get("allocations") or ():
        labels = entry.get("metadata") or {}
        for text in (entry.get("ipv4"), entry.get("ipv6")):
            if text:
                key = parse_address(str(text))
                names = str(labels.get("k8sPodNamespace", "")), str(labels.get("k8sPodName", ""))
                rows.append((key, *names, str(entry.get("containerID", ""))))
    rows.sort()
    columns = ("namespace", "pod", "container_id")
    found = {"address": [format_address(*row[0]) for row in rows]}
    return found | {name: [str(row[i]) for row in rows] for i, name in enumerate(columns, 1)}
