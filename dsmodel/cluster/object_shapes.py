"""Which fields of plugins' objects have which type, and which objects do not keep to it.

Promises that an object whose fields have other types than its custom resource declares is left out with a finding that
names the field, as the API server would have refused it: a reader then meets no surprise. Fields that are not named
here, and null, are let through.

What it does not know: what values mean; the readers of the plugins do.

Sources: the types that the readers of the plugins name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dsmodel.cni.contract import Finding

__all__ = ["well_shaped"]

# A shape is a type, a list of one shape for its entries, a dict of field to shape, or {_ANY: shape} for all fields.
_ANY = "*"
_TEXTS = [str]
_META = {"name": str, "namespace": str, "labels": {_ANY: str}, "annotations": {_ANY: str}}
_SPAN = {"cidr": str, "start": str, "stop": str, "end": str, "gateway": str, "prefixLength": int}
_FAMILY_POOL = {"cidrs": _TEXTS, "maskSize": int}
_CALICO_POOL = {
    "cidr": str,
    "blockSize": int,
    "disabled": bool,
    "nodeSelector": str,
    "namespaceSelector": str,
    "allowedUses": _TEXTS,
    "assignmentMode": str,
    "ipipMode": str,
    "vxlanMode": str,
}
_ANTREA_POOL = {"ipRanges": [_SPAN], "subnetInfo": _SPAN}
_WHEREABOUTS_POOL = {"range": str, "allocations": {_ANY: {"podref": str, "ifname": str}}}
_POOL = {
    "spec": _CALICO_POOL | _ANTREA_POOL | _WHEREABOUTS_POOL,
    "status": {
        "conditions": [{"type": str, "status": str}],
        "ipAddresses": [{"ipAddress": str, "owner": {"pod": {"name": str, "namespace": str}}}],
    },
}
_BLOCK = {
    "cidr": str,
    "affinity": str,
    "affinityClaimTime": str,
    "allocations": [int],
    "unallocated": [int],
    "attributes": [{"handle_id": str, "secondary": {_ANY: str}, "releasedAt": str}],
}
_SETTINGS = {
    "strictAffinity": bool,
    "autoAllocateBlocks": bool,
    "maxBlocksPerHost": int,
    "ipCooldownSeconds": int,
    "reservedCIDRs": _TEXTS,
}
_CILIUM_IPAM = {
    "podCIDRs": _TEXTS,
    "pool": {_ANY: dict},
    "pools": {
        "allocated": [{"pool": str, "cidrs": _TEXTS}],
        "requested": [{"pool": str, "needed": {_ANY: int}}],
    },
}
_CILIUM_POOL = {"spec": {"ipv4": _FAMILY_POOL, "ipv6": _FAMILY_POOL, "blocks": [_SPAN], "cidrs": [_SPAN]}}
_SCALER = {"batchSize": int, "requestThresholdPercent": int, "releaseThresholdPercent": int, "maxIPCount": int}
_CONTAINER = {
    "primaryIP": str,
    "subnetAddressSpace": str,
    "type": str,
    "ipAssignments": [{"name": str, "ip": str}],
}
_HANDLE = {"handleID": str, "block": {_ANY: int}}
_AFFINITY = {"state": str, "node": str, "cidr": str}

_SHAPES: dict[str, dict[str, Any]] = {
    "BlockAffinity": {"spec": _AFFINITY},
    "CiliumLoadBalancerIPPool": _CILIUM_POOL,
    "CiliumNode": {
        "spec": {"ipam": _CILIUM_IPAM},
        "status": {"ipam": {"used": {_ANY: dict}, "operator-status": {"error": str}}},
    },
    "CiliumPodIPPool": _CILIUM_POOL,
    "IPAMBlock": {"spec": _BLOCK},
    "IPAMConfig": {"spec": _SETTINGS},
    "IPAMConfiguration": {"spec": _SETTINGS},
    "IPAMHandle": {"spec": _HANDLE},
    "IPAddressPool": {"spec": {"addresses": _TEXTS}},
    "IPPool": _POOL,
    "IPReservation": {"spec": _SETTINGS},
    "NodeNetworkConfig": {
        "spec": {"requestedIPCount": int, "ipsNotInUse": _TEXTS},
        "status": {"scaler": _SCALER, "networkContainers": [_CONTAINER]},
    },
}


def well_shaped(objects: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Leave out objects with fields of wrong types.

    Parameters
    ----------
    objects : iterable of mapping
        Decoded JSON, of any kinds; those without a shape here are let through.

    Returns
    -------
    list of dict
        The others, as they are.
    list of (severity, rule, object, message)
        One for each that is left out.

    Raises
    ------
    None
        Every object has an answer.

    Examples
    --------
    >>> pool = {"kind": "IPPool", "metadata": {"name": "p"}, "spec": {"blockSize": "26"}}
    >>> well_shaped([pool])
    ([], [('error', 'object-invalid', 'IPPool/p', 'spec.blockSize is str, expected int; the object is not read')])
    """
    kept, findings = [], []
    for each in objects:
        kind = str(each.get("kind", ""))
        wrong = _misfit(each, {"metadata": _META} | _SHAPES[kind]) if kind in _SHAPES else ""
        if wrong:
            findings.append(("error", "object-invalid", f"{kind}/{_named(each)}", f"{wrong}; the object is not read"))
        else:
            kept.append(each)
    return kept, findings


def _misfit(value: Any, shape: Any) -> str:
    """Return where a value departs from its shape and how; empty where it does not."""
    if value is None:
        return ""
    if isinstance(shape, type):
        fits = isinstance(value, shape) and (shape is not int or not isinstance(value, bool))
        return "" if fits else f" is {type(value).__name__}, expected {shape.__name__}"
    if not isinstance(value, type(shape)):
        return f" is {type(value).__name__}, expected {'a list' if isinstance(shape, list) else 'a mapping'}"
    if isinstance(shape, list):
        if isinstance(shape[0], type) and set(map(type, value)) <= {shape[0], type(None)}:
            return ""  # the usual case, at once: lists of a block have an entry an address
        pairs = ((f"[{place}]", entry, shape[0]) for place, entry in enumerate(value))
    elif _ANY in shape:
        pairs = ((f".{key}", entry, shape[_ANY]) for key, entry in value.items())
    else:
        pairs = ((f".{key}", value[key], part) for key, part in shape.items() if key in value)
    for path, entry, part in pairs:
        wrong = _misfit(entry, part)
        if wrong:
            return f"{path}{wrong}".removeprefix(".") if "metadata" in shape else f"{path}{wrong}"
    return ""


def _named(item: Mapping[str, Any]) -> str:
    """Return an object's name."""
    metadata = item.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""
