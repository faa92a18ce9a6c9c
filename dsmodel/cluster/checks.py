"""Name what is unsound about tables that came from outside, one function a rule.

Each rule takes tables and returns findings: severity, rule, object, message. Where very many objects break one rule,
the first are named and the rest counted.

What it does not know: files (the reader of a dump adds its own findings with their file), and whether a network plugin
other than host-local may do what a rule calls unsound.

Sources: ``pkg/controller/nodeipam/ipam/range_allocator.go``, ``pkg/registry/core/service/ipallocator/controller`` of
v1.36.2.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import addresses_in, argsort, equal, family_of, mask_prefix, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily, format_address
from dsmodel.cluster.address_keys import AddressKeys
from dsmodel.cluster.schema import FINDINGS
from dsmodel.cluster.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from dsmodel.cluster.service_ranges import ServiceRanges
    from dsmodel.kube.config import ClusterConfig
    from dsmodel.pools.ranges import AddressRange

__all__ = [
    "findings_table",
    "has_repeats",
    "nodes_findings",
    "pods_findings",
    "repeated",
    "services_findings",
]

_TICKS = 8  # bytes a row that ticking addresses off may take
_NAMED = 100  # objects named for one rule before the rest is only counted
_ERROR, _WARNING, _INFO = "error", "warning", "info"
FAMILY_COLUMNS = ((IPFamily.IPV4, "ipv4"), (IPFamily.IPV6, "ipv6"))

Finding = tuple[str, str, str, str]


def findings_table(findings: Iterable[Finding]) -> Table:
    """Put findings into a table.

    Parameters
    ----------
    findings : iterable of (severity, rule, object, message)
        In the order they are shown.

    Returns
    -------
    Table
        Of schema `FINDINGS`.

    Raises
    ------
    InvalidInput
        If a severity is no word of the schema.

    Examples
    --------
    >>> findings_table([("error", "some-rule", "Node/a", "what is wrong")])["rule"].tolist()
    ['some-rule']
    """
    rows = list(findings)
    names = ("severity", "rule", "object", "message")
    columns = {name: np.array([row[i] for row in rows], np.dtypes.StringDType()) for i, name in enumerate(names)}
    return Table(FINDINGS, columns, length=len(rows))


def repeated(column: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find addresses that occur more than once.

    Parameters
    ----------
    column : address column, shape (n,)
        Any addresses.

    Returns
    -------
    tuple of ndarray of intp
        Rows whose address an earlier row has, and that row; in order of address.

    Raises
    ------
    None
        Every column has an answer.

    Examples
    --------
    >>> repeated(np.array([7, 9, 7], np.uint32))
    (array([2]), array([0]))
    """
    if not has_repeats(column):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    order = argsort(column)
    ordered = column[order]
    again = np.flatnonzero(equal(ordered[1:], ordered[:-1])) + 1
    return order[again], order[again - 1]


def has_repeats(column: NDArray[Any]) -> bool:
    """Tell whether any address occurs more than once.

    Parameters
    ----------
    column : address column, shape (n,)
        Any addresses.

    Returns
    -------
    bool
        Cheaper than `repeated`: addresses near each other are ticked off, others sorted, and no row is named.

    Raises
    ------
    None
        Every column has an answer.

    Examples
    --------
    >>> has_repeats(np.array([7, 9, 7], np.uint32)), has_repeats(np.array([7, 9], np.uint32))
    (True, False)
    """
    if len(column) < 2:
        return False
    keys = column if column.dtype.names is None else AddressKeys(column).keys
    lowest = keys.min()
    span = int(keys.max()) - int(lowest) + 1
    if span <= _TICKS * len(keys):
        seen = np.zeros(span, np.bool_)
        place = keys - lowest if lowest else keys
        seen[place.view(np.int64) if place.dtype == np.uint64 else place] = True  # signed indices need no conversion
        return int(np.count_nonzero(seen)) < len(keys)
    ordered = np.sort(keys)
    return bool((ordered[1:] == ordered[:-1]).any())


def nodes_findings(nodes: Table, config: ClusterConfig) -> list[Finding]:
    """Return what is unsound about the nodes' blocks.

    Parameters
    ----------
    nodes : Table
        The nodes.
    config : ClusterConfig
        Names the cluster CIDRs.

    Returns
    -------
    list of (severity, rule, object, message)
        Blocks that overlap or lie outside, families in an order the controller refuses, nodes without a block.

    Raises
    ------
    None
        Every table has an answer.
    """
    found: list[Finding] = []
    names = nodes["name"]
    blocked = np.zeros(len(nodes), np.bool_)
    for _, end in FAMILY_COLUMNS:
        present = nodes[f"has_pod_cidr_{end}"]
        blocked |= present
        rows = np.flatnonzero(present)
        bases, lengths = nodes[f"pod_cidr_{end}"][rows], nodes[f"pod_cidr_{end}_mask"][rows]
        found += _overlapping_blocks(names[rows], bases, lengths)
        found += _blocks_outside(names[rows], bases, lengths, config=config)
    if config.cluster_cidrs:
        found += _blocks_in_wrong_order(nodes, config)
        found += _each(
            np.flatnonzero(~blocked),
            lambda row: (
                _WARNING,
                "node-without-pod-cidr",
                f"Node/{names[row]}",
                "has no podCIDR; look for an event CIDRNotAvailable and free blocks in every family",
            ),
        )
    return found


def pods_findings(pods: Table, nodes: Table, inside: dict[IPFamily, NDArray[np.bool_]]) -> list[Finding]:
    """Return what is unsound about the pods' addresses.

    Parameters
    ----------
    pods : Table
        The pods.
    nodes : Table
        The nodes.
    inside : dict of IPFamily to ndarray of bool
        Whether each pod's address lies in its node's block.

    Returns
    -------
    list of (severity, rule, object, message)
        One address on two pods, addresses outside the node's block.

    Raises
    ------
    None
        Every table has an answer.
    """
    found: list[Finding] = []
    for family, end in FAMILY_COLUMNS:
        rows = np.flatnonzero(pods[f"has_pod_{end}"] & pods["holds_address"])
        if not len(rows):
            continue
        column = pods[f"pod_{end}"]
        later, earlier = repeated(column[rows])
        found += _each(
            np.arange(len(later)),
            _pair(
                "pod-address-duplicate",
                (rows[later], rows[earlier]),
                named=partial(_pod, pods),
                value=partial(_address, column),
            ),
        )
        outside = rows[~inside[family][rows]]
        found += _each(outside, _pod_outside(pods, nodes, column))
    return found


def services_findings(
    services: Table, *, node_ports: Table, ranges: ServiceRanges, config: ClusterConfig
) -> list[Finding]:
    """Return what is unsound about cluster IPs and node ports.

    Parameters
    ----------
    services : Table
        The services.
    node_ports : Table
        Their node ports.
    ranges : ServiceRanges
        The service ranges.
    config : ClusterConfig
        Names the node port range.

    Returns
    -------
    list of (severity, rule, object, message)
        Addresses and ports that two services have or that lie outside, as the API server's repair loop reports them.

    Raises
    ------
    None
        Every table has an answer.
    """
    found: list[Finding] = []
    for family, end in FAMILY_COLUMNS:
        rows = np.flatnonzero(services[f"has_cluster_{end}"])
        column = services[f"cluster_{end}"]
        later, earlier = repeated(column[rows])
        found += _each(
            np.arange(len(later)),
            _pair(
                "cluster-ip-duplicate",
                (rows[later], rows[earlier]),
                named=partial(_service, services),
                value=partial(_address, column),
            ),
        )
        found += _cluster_ips_outside(services, rows, column, ranges.ranges.get(family, []))
    return found + _node_port_findings(services, node_ports, config)


def _cluster_ips_outside(
    services: Table, rows: NDArray[np.intp], column: NDArray[Any], pools: list[AddressRange]
) -> list[Finding]:
    cidrs = [pool.cidr for pool in pools]
    inside = addresses_in(column[rows], cidrs) if cidrs else np.zeros(len(rows), np.bool_)
    text = ", ".join(map(str, cidrs)) or "there is none of this family"
    return _each(
        rows[~inside],
        lambda row: (
            _ERROR,
            "cluster-ip-out-of-range",
            _service(services, row),
            (
                f"cluster IP {_address(column, row)} is outside the service ranges ({text}); recreate the Service, or "
                "add a ServiceCIDR that contains it"
            ),
        ),
    )


def _node_port_findings(services: Table, node_ports: Table, config: ClusterConfig) -> list[Finding]:
    ports, owners = node_ports["node_port"], node_ports["service"]
    later, earlier = repeated(ports.astype(np.uint32))
    other = owners[later] != owners[earlier]
    found = _each(
        np.flatnonzero(other),
        _pair(
            "node-port-duplicate",
            (later, earlier),
            named=lambda row: _service(services, int(owners[row])),
            value=lambda row: f"node port {ports[row]}",
        ),
    )
    first, last = config.service_node_port_range
    return found + _each(
        np.flatnonzero((ports < first) | (ports > last)),
        lambda row: (
            _WARNING,
            "node-port-out-of-range",
            _service(services, owners[row]),
            f"node port {ports[row]} is outside {first}-{last}, the range of --service-node-port-range",
        ),
    )


def _overlapping_blocks(names: NDArray[Any], bases: NDArray[Any], lengths: NDArray[np.uint8]) -> list[Finding]:
    """Compare each block with the one before it in order of address."""
    order = argsort(bases)
    ordered, cut = bases[order], np.minimum(lengths[order][1:], lengths[order][:-1])
    same = np.flatnonzero(equal(mask_prefix(ordered[1:], cut), mask_prefix(ordered[:-1], cut)))

    def finding(place: int) -> Finding:
        one, other = sorted((int(order[place]), int(order[place + 1])))
        return (
            _ERROR,
            "node-pod-cidr-duplicate",
            f"Node/{names[other]}",
            (
                f"podCIDR {_cidr(bases, lengths, other)} overlaps {_cidr(bases, lengths, one)} of "
                f"Node/{names[one]}; delete one of the nodes and let it register again"
            ),
        )

    return _each(same, finding)


def _blocks_outside(
    names: NDArray[Any], bases: NDArray[Any], lengths: NDArray[np.uint8], *, config: ClusterConfig
) -> list[Finding]:
    if not len(bases) or not config.cluster_cidrs:
        return []
    family = family_of(bases)
    cluster = [cidr for cidr in config.cluster_cidrs if cidr.family is family]
    text = ", ".join(map(str, cluster)) or f"there is none of family {family}"
    inside = addresses_in(bases, cluster) if cluster else np.zeros(len(bases), np.bool_)
    return _each(
        np.flatnonzero(~inside),
        lambda row: (
            _ERROR,
            "node-pod-cidr-out-of-range",
            f"Node/{names[row]}",
            (
                f"podCIDR {_cidr(bases, lengths, row)} is outside the cluster CIDR ({text}); "
                "kube-controller-manager does not start while such a node exists"
            ),
        ),
    )


def _blocks_in_wrong_order(nodes: Table, config: ClusterConfig) -> list[Finding]:
    first = config.cluster_cidrs[0].family
    both = nodes["has_pod_cidr_ipv4"] & nodes["has_pod_cidr_ipv6"]
    wrong = both & (nodes["primary_ip_family"] == (6 if first is IPFamily.IPV4 else 4))
    names = nodes["name"]
    return _each(
        np.flatnonzero(wrong),
        lambda row: (
            _ERROR,
            "node-pod-cidr-order",
            f"Node/{names[row]}",
            (
                f"podCIDRs are not in the order of --cluster-cidr, which begins with {first}; "
                "kube-controller-manager does not start while such a node exists"
            ),
        ),
    )


def _pod_outside(pods: Table, nodes: Table, column: NDArray[Any]) -> Callable[[int], Finding]:
    family = family_of(column)
    end = family.lower()
    bases, lengths, names = nodes[f"pod_cidr_{end}"], nodes[f"pod_cidr_{end}_mask"], nodes["name"]
    place = pods["node"]

    def finding(row: int) -> Finding:
        node = int(place[row])
        if node < 0:
            where = "and its node is not among the nodes"
        elif not lengths[node]:
            where = f"and Node/{names[node]} has no {family} podCIDR"
        else:
            where = f"outside {_cidr(bases, lengths, node)} of Node/{names[node]}"
        return (
            _WARNING,
            "pod-outside-node-block",
            _pod(pods, row),
            f"has {_address(column, row)}, {where}; it is not counted against a node's block",
        )

    return finding


def _pair(
    rule: str,
    rows: tuple[NDArray[np.intp], NDArray[np.intp]],
    *,
    named: Callable[[int], str],
    value: Callable[[int], str],
) -> Callable[[int], Finding]:
    """Report two rows that have the same value."""
    later, earlier = rows

    def finding(place: int) -> Finding:
        one, other = sorted((int(later[place]), int(earlier[place])))
        return _ERROR, rule, named(other), f"{value(other)} is also held by {named(one)}; recreate one of them"

    return finding


def _each(rows: NDArray[np.integer], finding: Callable[[int], Finding]) -> list[Finding]:
    """Write a finding for each row, for very many only the first ones and the count of the rest."""
    found = [finding(int(row)) for row in rows[:_NAMED]]
    if len(rows) > _NAMED:
        severity, rule, kind, _ = found[-1]
        found.append((severity, rule, kind.partition("/")[0], f"{len(rows) - _NAMED:,} more objects break this rule"))
    return found


def _pod(pods: Table, row: int) -> str:
    return f"Pod/{pods['namespace'][row]}/{pods['name'][row] or f'row {row}'}"


def _service(services: Table, row: int) -> str:
    if row < 0 or row >= len(services):
        return "Service/unknown"
    return f"Service/{services['namespace'][row]}/{services['name'][row] or f'row {row}'}"


def _address(column: NDArray[Any], row: int) -> str:
    return format_address(family_of(column), to_integers(column[row : row + 1])[0])


def _cidr(bases: NDArray[Any], lengths: NDArray[np.uint8], row: int) -> str:
    return str(Cidr.from_parts(family_of(bases), to_integers(bases[row : row + 1])[0], int(lengths[row])))
