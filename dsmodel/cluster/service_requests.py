"""What a batch of Services asks for, and what the API server answers to each distinct kind of row.

Promises: rows given by count, frame or table become one record, with the defaults where a row does not say; rows that
ask alike are put to `dsmodel.kube.services.batch` once.

What it does not know: what is free, and what is held already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.addresses.text import parse_mixed
from dsmodel.cluster.schema import IP_FAMILIES, IP_FAMILY_POLICIES, SERVICE_TYPES, SERVICES, TRAFFIC_POLICIES
from dsmodel.cluster.table import Table
from dsmodel.errors import InvalidInput
from dsmodel.kube.services.batch import BatchDecision, decide_batch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dsmodel.kube.control_plane import ControlPlane

__all__ = ["REQUEST_COLUMNS", "ServiceRequests", "decide_services", "requested", "stored_shapes"]

REQUEST_COLUMNS: Mapping[str, str] = {
    "selector": "bool; whether the Service has one, True if left out",
    "ports": "int; how many ports; if left out, what `node_ports` says, or 1",
    "allocate_load_balancer_node_ports": "bool; True if left out",
    "cluster_ip": 'text; "None", or an address asked for',
    "node_port": "int; the node port asked for by the first port, 0 for none",
}
"""Columns of a frame of requests beside those of `SERVICES`, with dtype and meaning."""

_TEXT = np.dtypes.StringDType()
_LOAD_BALANCER = 3  # code of schema.SERVICE_TYPES
_BOTH = 10  # codes of IP_FAMILIES from here on have two families
_DUAL_POLICIES = 2  # codes of IP_FAMILY_POLICIES from here on ask for two
_MOST_KEYS = 1 << 62
_WORDS: dict[str, Mapping[int, str]] = {
    "type": SERVICE_TYPES,
    "ip_family_policy": IP_FAMILY_POLICIES,
    "ip_families": IP_FAMILIES,
    "external_traffic_policy": TRAFFIC_POLICIES,
    "cluster_ips": IP_FAMILIES,
}


@dataclass(frozen=True, eq=False)
class ServiceRequests:
    """A batch of Services as asked for.

    Parameters
    ----------
    table : Table
        Of the schema `SERVICES`. Its cluster IPs and health-check ports are those asked for.
    selector, allocates : ndarray of bool, shape (n,)
        Whether the Service has a selector, and whether a load balancer gets node ports.
    ports : ndarray of int64, shape (n,)
        How many ports it has.
    node_port : ndarray of int64, shape (n,)
        The node port that its first port asks for; 0 for none.
    """

    table: Table
    selector: NDArray[np.bool_]
    allocates: NDArray[np.bool_]
    ports: NDArray[np.int64]
    node_port: NDArray[np.int64]

    def shapes(self, *, primary: int) -> dict[str, NDArray[Any]]:
        """Return what decides about each row.

        Parameters
        ----------
        primary : int
            Number of the family, 4 or 6, whose address comes first where a row that names two does not say.

        Returns
        -------
        dict of str to ndarray, shape (n,)
            Columns for `decide_services`; words as codes of the schema.

        Raises
        ------
        None
            Every batch has an answer.
        """
        table = self.table
        return {
            **_said(table),
            "selector": self.selector,
            "ports": self.ports,
            "allocate_load_balancer_node_ports": self.allocates,
            "cluster_ips": _named_families(table, primary),
            "node_port": self.node_port > 0,
            "health_check_node_port": table["health_check_node_port"] > 0,
        }

    def take(self, rows: NDArray[np.intp]) -> ServiceRequests:
        """Return chosen rows.

        Parameters
        ----------
        rows : ndarray of intp
            Which.

        Returns
        -------
        ServiceRequests
            In the order asked for.

        Raises
        ------
        IndexError
            If a row is out of range.
        """
        if len(rows) == len(self.table):
            return self  # callers ask for ascending rows
        return ServiceRequests(
            self.table.take(rows), self.selector[rows], self.allocates[rows], self.ports[rows], self.node_port[rows]
        )


def requested(
    services: int | pd.DataFrame | Table, *, defaults: Mapping[str, Any], node_ports: int | None
) -> ServiceRequests:
    """Read a batch of Services.

    Parameters
    ----------
    services : int, pandas.DataFrame or Table
        How many alike, or rows; a frame may have the `REQUEST_COLUMNS` too.
    defaults : mapping of str to object
        Type, policy and families of rows that do not say.
    node_ports : int, optional
        Ports of each Service that does not say; 1 if left out.

    Returns
    -------
    ServiceRequests
        With the namespace "default" where none is given.

    Raises
    ------
    InvalidInput
        If a column or word is not one of the schema, a value has another type, or there are fewer than 0 Services.
    """
    extra: dict[str, Any] = {}
    if isinstance(services, int):
        if services < 0:
            raise InvalidInput(f"services={services}: a number of services is 0 or more")
        table = Table(SERVICES, length=services)
    elif isinstance(services, Table):
        table = services
    else:
        extra = {name: services[name] for name in REQUEST_COLUMNS if name in services}
        table = Table.from_frame(SERVICES, services.drop(columns=list(extra)))
        if "cluster_ip" in extra:
            table = _with_cluster_ip(table, extra["cluster_ip"])
    n = len(table)
    ports = np.broadcast_to(np.int64(1 if node_ports is None else node_ports), (n,))
    if table["node_ports"].strides != (0,):
        ports = np.where(table["node_ports"] > 0, table["node_ports"], ports)
    return ServiceRequests(
        _completed(table, defaults),
        selector=_truths(extra, "selector", n),
        allocates=_truths(extra, "allocate_load_balancer_node_ports", n),
        ports=_counts(extra, "ports", ports),
        node_port=_counts(extra, "node_port", np.broadcast_to(np.int64(0), (n,))),
    )


def stored_shapes(table: Table) -> dict[str, NDArray[Any]]:
    """Return what decides about Services as they are stored.

    Parameters
    ----------
    table : Table
        Of the schema `SERVICES`.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns for `decide_services`; words as codes of the schema.

    Raises
    ------
    None
        Every table has an answer.
    """
    said, families = _said(table), table["ip_families"]
    alone = (said["ip_family_policy"] >= _DUAL_POLICIES) & (families > 0) & (families < _BOTH)
    # one family under a dual-stack policy: the cluster was single-stack once
    said["ip_family_policy"] = np.where(alone, np.uint8(1), said["ip_family_policy"])
    said["allocate_load_balancer_node_ports"] = (table["type"] != _LOAD_BALANCER) | (table["node_ports"] > 0)
    return said


def decide_services(
    shapes: Mapping[str, NDArray[Any]], *, server: ControlPlane, change: Mapping[str, str] | None = None
) -> BatchDecision:
    """Put each distinct row to the API server once.

    Parameters
    ----------
    shapes : mapping of str to ndarray, shape (n,)
        Columns of `dsmodel.kube.services.batch.COLUMNS`, words as codes of the schema.
    server : ControlPlane
        Whose rules apply.
    change : mapping of str to str, optional
        What all rows are changed to; the shapes are then those of stored Services.

    Returns
    -------
    BatchDecision
        Arrays over rows.

    Raises
    ------
    InvalidInput
        If a row cannot be a Service at all.
    """
    of_row, first = _distinct(shapes)
    rows: dict[str, Any] = {}
    for name, column in shapes.items():
        found = column[first].tolist()
        rows[name] = [_WORDS[name][code] for code in found] if name in _WORDS else found
    if change is None:
        answers = decide_batch(rows, server=server)
    else:
        answers = decide_batch({name: [word] * len(first) for name, word in change.items()}, server=server, stored=rows)
    return BatchDecision(answers.of_row[of_row], answers.shapes)


def _distinct(columns: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give each row the number of its like, by appearance, and each number the first row that has it."""
    n = len(next(iter(columns.values())))
    if not n:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    key, keys = np.zeros(n, np.int64), 1
    for column in columns.values():
        if column.strides == (0,):
            continue
        low, high = int(column.min()), int(column.max())
        if low == high:
            continue
        if keys * (high - low + 1) > _MOST_KEYS:
            key, uniques = pd.factorize(key)
            keys = len(uniques)
        key = key * (high - low + 1) + (column.astype(np.int64) - low)
        keys *= high - low + 1
    if keys == 1:
        return np.zeros(n, np.intp), np.zeros(1, np.intp)
    of_row, uniques = pd.factorize(key)
    first = np.empty(len(uniques), np.intp)
    first[of_row[::-1]] = np.arange(n - 1, -1, -1)  # of equal numbers the last written stays
    return of_row, first


def _said(table: Table) -> dict[str, NDArray[Any]]:
    """Return the deciding columns that a table has."""
    return {name: table[name] for name in (*list(_WORDS)[:4], "headless")}


def _named_families(table: Table, primary: int) -> NDArray[np.uint8]:
    """Tell of which families a row names addresses, the primary first."""
    ipv4, ipv6 = table["has_cluster_ipv4"], table["has_cluster_ipv6"]
    if not (ipv4.any() or ipv6.any()):
        return np.broadcast_to(np.uint8(0), (len(table),))
    asked, first = table["ip_families"], table["primary_ip_family"]
    lead = np.where(asked > 0, np.where(asked >= _BOTH, asked // 10, asked), np.where(first > 0, first, primary))
    both = np.where(lead == 6, 64, 46)
    return np.select([ipv4 & ipv6, ipv4, ipv6], [both, 4, 6], 0).astype(np.uint8)


def _completed(table: Table, defaults: Mapping[str, Any]) -> Table:
    """Fill in the defaults where a row does not say."""
    words = {
        "type": defaults["type"],
        "ip_family_policy": defaults["ip_family_policy"] or "",
        "ip_families": ",".join(defaults["ip_families"] or ()),
    }
    columns: dict[str, Any] = {}
    for name, word in words.items():
        declared = SERVICES.column(name)
        code = {text: code for code, text in declared.words.items()}.get(word)
        if code is None:
            raise InvalidInput(f"{name}={word!r}: the words are {', '.join(map(repr, declared.words.values()))}")
        columns[name] = _filled(table[name], np.uint8(0), np.uint8(code))
    columns["namespace"] = _filled(table["namespace"], "", np.array("default", _TEXT))
    return table.replace(columns)


def _filled(column: NDArray[Any], empty: Any, value: Any) -> NDArray[Any]:
    """Put a value where a column is empty, in the memory of one row where all are."""
    if column.strides == (0,) and len(column):
        return np.broadcast_to(value if column[0] == empty else column[0], column.shape)
    missing = column == empty
    return np.where(missing, value, column) if missing.any() else column


def _with_cluster_ip(table: Table, values: pd.Series[Any]) -> Table:
    """Read a column of addresses asked for, or "None"."""
    texts = values.astype(object).where(values.notna(), "").to_numpy(dtype=object)
    headless = texts == "None"
    rows = np.flatnonzero(~headless & (texts != ""))
    columns: dict[str, Any] = {"headless": table["headless"] | headless}
    if len(rows):
        found = parse_mixed(texts[rows].tolist(), syntax="sloppy", on_invalid="raise")
        for end, column, mine in (("ipv4", found.ipv4, found.is_ipv4), ("ipv6", found.ipv6, found.is_ipv6)):
            addresses, present = table[f"cluster_{end}"].copy(), table[f"has_cluster_{end}"].copy()
            addresses[rows[mine]], present[rows[mine]] = column[mine], True
            columns |= {f"cluster_{end}": addresses, f"has_cluster_{end}": present}
    return table.replace(columns)


def _truths(extra: Mapping[str, Any], name: str, n: int) -> NDArray[np.bool_]:
    """Read a column of truth values; missing ones are True."""
    if name not in extra:
        return np.broadcast_to(np.True_, (n,))
    values = extra[name]
    if values.dtype == np.bool_:
        return np.asarray(values.to_numpy())
    found = values.astype(object).where(values.notna(), other=True)
    if not found.map(type).isin((bool, np.bool_)).all():
        raise InvalidInput(f"column {name} ({values.dtype}): expected True or False")
    truths: NDArray[np.bool_] = found.to_numpy(dtype=np.bool_)
    return truths


def _counts(extra: Mapping[str, Any], name: str, default: NDArray[np.int64]) -> NDArray[np.int64]:
    """Read a column of whole numbers from 0 on; missing ones are the default."""
    if name not in extra:
        return default.astype(np.int64, copy=False)
    values = extra[name]
    if values.dtype.kind not in "iuf":
        raise InvalidInput(f"column {name} ({values.dtype}): expected whole numbers from 0 to 65535")
    missing = values.isna().to_numpy(dtype=np.bool_)
    numbers = values.to_numpy(dtype=np.float64, na_value=0)
    if ((numbers < 0) | (numbers > 65535) | (numbers != np.floor(numbers))).any():
        raise InvalidInput(f"column {name}: {numbers.min():g} to {numbers.max():g}; expected whole numbers up to 65535")
    return np.where(missing, default, numbers.astype(np.int64))
