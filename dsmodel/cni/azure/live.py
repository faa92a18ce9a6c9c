"""What NodeNetworkConfigs say: the addresses or blocks of each node, and how they are fetched.

Promises one line a network container and family, and a finding for what cannot be read and for requests not met.

What it does not know: which addresses are in use; the node's agent keeps that to itself.

Source: Azure/azure-container-networking ``crd/nodenetworkconfig/api/v1alpha/nodenetworkconfig.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import from_integers
from dsmodel.addresses.cidr import Cidr, IPFamily, parse_address
from dsmodel.cni.azure.limits import Scaler
from dsmodel.cni.azure.subnet import AzureSubnet
from dsmodel.cni.contract import PoolUsage
from dsmodel.errors import InvalidField, InvalidInput
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dsmodel.cni.contract import Finding

__all__ = ["read_node", "read_subnet"]


def read_node(manifest: Mapping[str, Any]) -> tuple[list[PoolUsage], Scaler | None, list[Finding]]:
    """Read a NodeNetworkConfig.

    Parameters
    ----------
    manifest : mapping
        The object as kubectl prints it.

    Returns
    -------
    tuple of list of PoolUsage, Scaler or None, list of (severity, rule, object, message)
        One line a network container and family: addresses it has; which are in use the object does not say, those on
        their way back are ``cooling``. The scaler where there is one. Findings.

    Raises
    ------
    None
        What cannot be read is a finding.

    Notes
    -----
    Source: ``crd/nodenetworkconfig/api/v1alpha/nodenetworkconfig.go``.

    Examples
    --------
    >>> container = {"id": "n", "primaryIP": "10.9.0.4", "subnetAddressSpace": "10.9.0.0/16",
    ...     "ipAssignments": [{"name": "u", "ip": "10.9.0.5"}]}
    >>> node = {"spec": {"requestedIPCount": 16}, "status": {"networkContainers": [container]}}
    >>> usage, scaler, findings = read_node(node)
    >>> usage[0].usable, [finding[1] for finding in findings]
    (1, ['azure-request-not-met'])
    """
    name = f"NodeNetworkConfig/{(manifest.get('metadata') or {}).get('name', '')}"
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    returned = set(spec.get("ipsNotInUse") or ())
    usage: list[PoolUsage] = []
    findings: list[Finding] = []
    for container in status.get("networkContainers") or ():
        try:
            usage.extend(_container(container, returned))
        except InvalidInput as error:
            findings.append(("error", "azure-invalid-object", name, str(error)))
    requested = spec.get("requestedIPCount") or 0
    assigned = sum(len(each.get("ipAssignments") or ()) for each in status.get("networkContainers") or ())
    if requested > assigned and assigned + len(usage) > 0 and not _is_overlay(status):
        text = f"asks for {requested} addresses and has {assigned}; pods beyond them wait until the subnet has room"
        findings.append(("warning", "azure-request-not-met", name, text))
    return usage, _scaler(status.get("scaler") or {}, name, findings), findings


def read_subnet(
    manifests: Iterable[Mapping[str, Any]], *, names: Sequence[str]
) -> tuple[AzureSubnet | None, list[Finding]]:
    """Build the model of a subnet for pods from the NodeNetworkConfigs of a live cluster.

    Parameters
    ----------
    manifests : iterable of mapping
        The objects as kubectl prints them.
    names : sequence of str
        Nodes in the order of the model; those without an object have no address.

    Returns
    -------
    AzureSubnet or None
        With what nodes hold, none of it in use; addresses on their way back are the subnet's. None where no node has
        single addresses of a subnet.
    list of (severity, rule, object, message)
        What cannot be read, and addresses outside the subnet that most nodes are in.

    Raises
    ------
    None
        What cannot be read is a finding.

    Examples
    --------
    >>> entries = [{"name": "u", "ip": "10.9.0.5"}, {"name": "v", "ip": "10.9.0.6"}]
    >>> container = {"primaryIP": "10.9.0.4", "subnetAddressSpace": "10.9.0.0/24", "ipAssignments": entries}
    >>> node = {"metadata": {"name": "a"}, "status": {"networkContainers": [container]}}
    >>> subnet, findings = read_subnet([node], names=["a"])
    >>> [(line.pool, line.range, line.usable, line.used) for line in subnet.usage()]
    [('subnet', '10.9.0.0/24', 251, 3), ('node addresses', 'on 1 node', 2, 0)]
    """
    places = {name: place for place, name in enumerate(names)}
    findings: list[Finding] = []
    scaler: Scaler | None = None
    subnets: dict[IPFamily, dict[Cidr, int]] = {}
    rows: dict[IPFamily, list[tuple[int, int, bool]]] = {}
    for each in manifests:
        name = str((each.get("metadata") or {}).get("name", ""))
        status = each.get("status") or {}
        scaler = _scaler(status.get("scaler") or {}, f"NodeNetworkConfig/{name}", []) or scaler
        returned = set((each.get("spec") or {}).get("ipsNotInUse") or ())
        for container in status.get("networkContainers") or ():
            if container.get("type") in {"overlay", "vnetblock"} or name not in places:
                continue
            try:
                subnet = Cidr(str(container.get("subnetAddressSpace", "")), host_bits="mask")
            except InvalidInput:
                continue  # `read_node` says so
            entries = [e for e in container.get("ipAssignments") or () if e.get("name") not in returned]
            texts = [(container.get("primaryIP"), True), *((entry.get("ip"), False) for entry in entries)]
            found = [(_number(text), own) for text, own in texts]
            for number, own in found:
                if number is not None:
                    rows.setdefault(number[0], []).append((places[name], number[1], own))
            counts = subnets.setdefault(subnet.family, {})
            counts[subnet] = counts.get(subnet, 0) + 1
    usual = {f: min(counts, key=lambda cidr, c=counts: (-c[cidr], cidr)) for f, counts in subnets.items()}  # type: ignore[misc]
    rows = {family: listed for family, listed in rows.items() if family in usual}
    if not rows:
        return None, findings
    model = AzureSubnet([usual[family] for family in IPFamily if family in rows], scaler=scaler or Scaler())
    columns = {
        family: (
            np.array([node for node, _, _ in listed], np.int64),
            from_integers([number for _, number, _ in listed], family=family),
            np.array([own for _, _, own in listed], np.bool_),
        )
        for family, listed in rows.items()
    }
    strange = model.add_holders(columns)
    model.nodes = len(names)
    if strange:
        where = " and ".join(map(str, model.cidrs))
        what = counted(strange, "address")
        text = f"{what} of nodes outside {where}, the subnet of most nodes, or held twice: counted nowhere"
        findings.append(("warning", "azure-address-outside-subnet", "Cluster", text))
    return model, findings


def _number(text: object) -> tuple[IPFamily, int] | None:
    """Read one address, with or without a length; None for what is none."""
    try:
        return parse_address(str(text).partition("/")[0])
    except InvalidInput:
        return None


def _is_overlay(status: Mapping[str, Any]) -> bool:
    """Tell whether a node has a block instead of single addresses."""
    return any(each.get("type") in {"overlay", "vnetblock"} for each in status.get("networkContainers") or ())


def _container(container: Mapping[str, Any], returned: set[str]) -> list[PoolUsage]:
    """Count what one network container has."""
    label = str(container.get("type") or "vnet")
    if label == "overlay":
        texts = [container.get("primaryIP"), *(each.get("ip") for each in container.get("ipAssignments") or ())]
        cidrs = [Cidr(str(text), host_bits="mask") for text in texts if text and "/" in str(text)]
        return [PoolUsage(label, cidr.family, str(cidr), cidr.size, 0) for cidr in cidrs]
    subnet = Cidr(str(container.get("subnetAddressSpace", "")), host_bits="mask")
    lines = []
    for family in IPFamily:
        is_ipv6 = family is IPFamily.IPV6
        entries = [e for e in container.get("ipAssignments") or () if (":" in str(e.get("ip", ""))) is is_ipv6]
        sizes = [Cidr(str(e["ip"]), host_bits="mask").size if "/" in str(e.get("ip", "")) else 1 for e in entries]
        leaving = sum(1 for each in entries if each.get("name") in returned)
        if entries:
            lines.append(PoolUsage(label, family, str(subnet), sum(sizes), 0, 0, leaving))
    return lines


def _scaler(fields: Mapping[str, Any], name: str, findings: list[Finding]) -> Scaler | None:
    """Read the scaler."""
    if not fields:
        return None
    try:
        return Scaler(
            fields.get("batchSize") or 16,
            (fields.get("requestThresholdPercent") or 50) / 100,
            (fields.get("releaseThresholdPercent") or 150) / 100,
            fields.get("maxIPCount") or 250,
        )
    except InvalidField as error:
        findings.append(("error", "azure-invalid-scaler", name, str(error)))
        return None
