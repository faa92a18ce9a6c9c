"""A live cluster's Calico objects, read into a model, with what is wrong about them.

Promises the state that decides about the next address: pools, settings, reservations, every block with its owner, its
queue and its holders, addresses that rest. Objects marked deleted are left out; an affinity that is pending is none.

It does not know tunnels' names, KubeVirt's alternate owners, and whether a pod still lives: never derive leaks from
``podIPs`` of one family alone. Blocks outside every pool, and of another size than their pool's, are reported and left
out of the model.

Sources: projectcalico/calico ``api/pkg/apis/projectcalico/v3/{ipamblocks,blockaffinity,ipamhandle}.go``,
``calicoctl/calicoctl/commands/ipam/check.go`` (validateBlock), ``design/ipam/ipam-datastore.md``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.calico.blocks import FREE, NOBODY, RESERVED, UNKNOWN
from dsmodel.cni.calico.objects import IPAMConfig, IPPool, check_config, read_config, read_pool, read_reservation
from dsmodel.cni.calico.plugin import Calico
from dsmodel.errors import InvalidField, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dsmodel.cni.calico.blocks import BlockTable
    from dsmodel.cni.contract import Finding

__all__ = ["read_calico"]

_WINDOWS_HANDLE = "windows-reserved-ipam-handle"


@dataclass
class _Objects:
    """What a dump holds, by kind."""

    pools: list[IPPool] = field(default_factory=list)
    config: IPAMConfig = field(default_factory=IPAMConfig)
    reservations: list[Cidr] = field(default_factory=list)
    blocks: list[Mapping[str, Any]] = field(default_factory=list)
    handles: dict[str, dict[str, int]] = field(default_factory=dict)
    affinities: dict[str, str] | None = None
    nodes: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def read_calico(objects: Iterable[Mapping[str, Any]]) -> tuple[Calico, list[Finding]]:
    """Build the model of a live cluster.

    Parameters
    ----------
    objects : iterable of mapping
        As ``kubectl get ippools,ipamblocks,blockaffinities,ipamhandles,ipamconfigs,ipreservations,nodes -o json``
        prints them; lists of objects are looked into, other kinds skipped.

    Returns
    -------
    tuple of Calico, list of (severity, rule, object, message)
        The model, its nodes in the order of Node objects with nodes that only blocks name behind them; and findings.

    Raises
    ------
    InvalidInput
        There is no usable IPPool.

    Notes
    -----
    Source: ``validateBlock`` of ``calicoctl/calicoctl/commands/ipam/check.go``.

    Examples
    --------
    >>> pool = {"kind": "IPPool", "metadata": {"name": "v4"}, "spec": {"cidr": "10.0.0.0/30", "blockSize": 31}}
    >>> block = {"kind": "IPAMBlock", "spec": {"cidr": "10.0.0.2/31", "affinity": "host:a", "allocations": [None, 0],
    ...     "unallocated": [0], "attributes": [{"handle_id": "h", "secondary": {"node": "a"}}]}}
    >>> calico, findings = read_calico([pool, block])
    >>> calico.names, calico.usage()[0].used, findings
    (['a'], 1, [])
    """
    found = _collect(objects)
    calico = Calico(found.pools, config=found.config, reservations=found.reservations)
    names = dict.fromkeys(found.nodes)
    names.update(dict.fromkeys(owner for block in found.blocks if (owner := _owner(block, found))))
    windows = [_label(found.nodes.get(name), "kubernetes.io/os") == "windows" for name in names]
    if any(windows) and not found.config.strict_affinity:
        text = "Windows nodes need strictAffinity true; they are read as Linux nodes"
        found.findings.append(("error", "calico-windows-without-strict-affinity", "IPAMConfiguration/default", text))
        windows = [False] * len(names)
    labels = [(found.nodes.get(name) or {}).get("metadata", {}).get("labels") or {} for name in names]
    calico.add_nodes(list(names), labels=labels, windows=windows)
    rows = {name: row for row, name in enumerate(names)}
    for block in found.blocks:
        _load(block, found, calico, rows)
    calico.release([], {}, now=max((_latest(block["spec"]) for block in found.blocks), default=0.0))
    _check_handles(found)
    _check_overlaps(found)
    missing = [name for name in names if found.nodes and name not in found.nodes]
    for name in missing:
        text = "owns blocks and is no Node; its addresses can only be borrowed once the affinity is released"
        found.findings.append(("warning", "calico-blocks-of-missing-node", f"Node/{name}", text))
    return calico, sorted(found.findings)


def _flat(objects: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield objects, those inside lists too."""
    for each in objects:
        if str(each.get("kind", "")).endswith("List") and isinstance(each.get("items"), list):
            yield from _flat(each["items"])
        else:
            yield each


def _collect(objects: Iterable[Mapping[str, Any]]) -> _Objects:
    """Sort objects by kind, judging what a user wrote."""
    found = _Objects()
    for each in _flat(objects):
        kind, spec = str(each.get("kind", "")), each.get("spec") or {}
        name = f"{kind}/{(each.get('metadata') or {}).get('name', '')}"
        if str(spec.get("deleted", "")).lower() == "true":
            continue
        try:
            _sort_in(found, kind, each, spec)
        except InvalidInput as error:
            found.findings.append(("error", "calico-invalid-object", name, str(error)))
    return found


def _sort_in(found: _Objects, kind: str, each: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    """Put one object where it belongs."""
    if kind == "IPPool":
        found.pools.append(read_pool(each))
    elif kind in {"IPAMConfig", "IPAMConfiguration"}:
        found.config = read_config(each)
        found.findings.extend(check_config(found.config))
    elif kind == "IPReservation":
        found.reservations.extend(read_reservation(each))
    elif kind == "IPAMBlock":
        Cidr(str(spec.get("cidr", "")))
        _check_shape(spec)
        found.blocks.append(each)
    elif kind == "IPAMHandle":
        found.handles[str(spec.get("handleID", ""))] = dict(spec.get("block") or {})
    elif kind == "BlockAffinity":
        found.affinities = found.affinities or {}
        if str(spec.get("state") or "confirmed") == "confirmed":
            found.affinities[str(spec.get("cidr"))] = str(spec.get("node"))
    elif kind == "Node":
        found.nodes[str((each.get("metadata") or {}).get("name", ""))] = each


def _check_shape(spec: Mapping[str, Any]) -> None:
    """Refuse a block whose lists hold something else than they should."""
    numbers = [*(spec.get("allocations") or ()), *(spec.get("unallocated") or ())]
    if any(each is not None and not isinstance(each, int) for each in numbers) or None in (
        spec.get("unallocated") or ()
    ):
        raise InvalidField("spec.allocations", numbers, "entries of allocations and unallocated are numbers")
    if not all(isinstance(each, dict) for each in spec.get("attributes") or ()):
        raise InvalidField("spec.attributes", spec["attributes"], "entries are objects")


def _label(node: Mapping[str, Any] | None, key: str) -> str:
    """Return a label of a node."""
    return str((((node or {}).get("metadata") or {}).get("labels") or {}).get(key, ""))


def _owner(block: Mapping[str, Any], found: _Objects) -> str:
    """Return the node that owns a block; empty when none does, or only an affinity that is not confirmed."""
    spec = block["spec"]
    kind, _, name = str(spec.get("affinity") or "").partition(":")
    if kind != "host":
        return ""
    if found.affinities is not None and found.affinities.get(str(spec["cidr"])) != name:
        return ""
    return name


def _load(block: Mapping[str, Any], found: _Objects, calico: Calico, rows: Mapping[str, int]) -> None:
    """Put one block into the model."""
    spec = block["spec"]
    cidr = Cidr(str(spec["cidr"]))
    table = calico.tables.get(cidr.family)
    pool = next((i for i, each in enumerate(table.pools if table else ()) if cidr in each.cidr), None)
    if table is None or pool is None:
        text = "lies in no IPPool: its addresses stay with their pods, and no new ones come from it"
        found.findings.append(("warning", "calico-block-outside-pools", f"IPAMBlock/{cidr}", text))
        return
    if cidr.prefix_length != table.pools[pool].block_size:
        text = (
            f"the IPPool {table.pools[pool].name} has blockSize {table.pools[pool].block_size}; left out of the model"
        )
        found.findings.append(("error", "calico-block-of-other-size", f"IPAMBlock/{cidr}", text))
        return
    wrong = _broken(spec, cidr.size)
    found.findings.extend(("error", "calico-block-inconsistent", f"IPAMBlock/{cidr}", text) for text in wrong)
    index = (cidr.first - table.pools[pool].cidr.first) >> cidr.host_bits_count
    if wrong or (pool, index) in table.at:
        return
    claimed = _seconds(spec.get("affinityClaimTime"))
    owner = rows.get(_owner(block, found), NOBODY)
    at = table.add(np.array([pool]), [index], owner=np.array([owner]), windows=np.zeros(1, np.bool_), now=claimed)
    _load_state(table, int(at[0]), spec, rows)


def _load_state(table: BlockTable, row: int, spec: Mapping[str, Any], rows: Mapping[str, int]) -> None:
    """Take over who holds what in a block, and the order of what is free."""
    reserved = table.holder[row] == RESERVED
    holders = np.full(table.size[row], FREE, np.int32)
    rested: dict[int, float] = {}
    for ordinal, which in enumerate(spec.get("allocations") or ()):
        if which is None:
            continue
        attribute = spec["attributes"][which]
        if attribute.get("handle_id") == _WINDOWS_HANDLE:
            holders[ordinal] = RESERVED
        elif attribute.get("releasedAt"):
            rested[ordinal] = _seconds(attribute["releasedAt"])
        else:
            holders[ordinal] = rows.get(str((attribute.get("secondary") or {}).get("node", "")), UNKNOWN)
    queue = [ordinal for ordinal in spec.get("unallocated") or () if not reserved[ordinal]]
    table.load(row, holders, np.array(queue, np.int64), rested=rested)


def _broken(spec: Mapping[str, Any], size: int) -> list[str]:
    """Say what is wrong inside a block."""
    allocations, free = list(spec.get("allocations") or ()), list(spec.get("unallocated") or ())
    attributes = list(spec.get("attributes") or ())
    held = [ordinal for ordinal, which in enumerate(allocations) if which is not None]
    named = {which for which in allocations if which is not None}
    wrong = []
    if len(allocations) != size:
        wrong.append(f"{len(allocations)} allocations for {size} addresses")
    if any(not 0 <= which < len(attributes) for which in named):
        wrong.append("an allocation points at an attribute that is not there")
    if len(named) < len(attributes):
        wrong.append("an attribute belongs to no allocation")
    if len(set(free)) != len(free) or any(not 0 <= ordinal < size for ordinal in free):
        wrong.append("unallocated holds an ordinal twice or outside the block")
    if set(free) & set(held):
        wrong.append("an ordinal is both allocated and unallocated")
    if len(set(free) | set(held)) != size:
        wrong.append("an ordinal is neither allocated nor unallocated")
    return wrong


def _seconds(text: object) -> float:
    """Return a time of the API in seconds; 0 for none that can be read."""
    try:
        return datetime.fromisoformat(str(text)).timestamp() if text else 0.0
    except ValueError:
        return 0.0


def _latest(spec: Mapping[str, Any]) -> float:
    """Return the last time a block speaks of."""
    released = (_seconds(each.get("releasedAt")) for each in spec.get("attributes") or ())
    return max(_seconds(spec.get("affinityClaimTime")), *released, 0.0)


def _check_handles(found: _Objects) -> None:
    """Compare what handles say with what blocks hold: a difference is an address nobody will ever release."""
    if not found.handles:
        return
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for block in found.blocks:
        attributes = block["spec"].get("attributes") or []
        for which in block["spec"].get("allocations") or ():
            if which is not None and which < len(attributes) and not attributes[which].get("releasedAt"):
                held[str(attributes[which].get("handle_id") or "")][str(block["spec"]["cidr"])] += 1
    for handle in sorted(set(held) | set(found.handles)):
        if handle in {"", _WINDOWS_HANDLE} or dict(held[handle]) == found.handles.get(handle, {}):
            continue
        text = f"blocks hold {dict(held[handle])} for it, the handle says {found.handles.get(handle, {})}"
        found.findings.append(("warning", "calico-handle-differs-from-blocks", f"IPAMHandle/{handle}", text))


def _check_overlaps(found: _Objects) -> None:
    """Report pools that overlap, and blocks that do."""
    for kind, cidrs in (
        ("IPPool", [(each.cidr, each.name) for each in found.pools if each.allocatable]),
        ("IPAMBlock", [(Cidr(str(each["spec"]["cidr"])), str(each["spec"]["cidr"])) for each in found.blocks]),
    ):
        for family in IPFamily:
            reach: tuple[int, str] = (-1, "")
            for cidr, name in sorted(pair for pair in cidrs if pair[0].family is family):
                if cidr.first <= reach[0]:
                    text = f"{cidr} overlaps {reach[1]}: two pods can get one address"
                    found.findings.append(("error", f"calico-{kind.lower()}-overlap", f"{kind}/{name}", text))
                reach = max(reach, (cidr.last, name))
