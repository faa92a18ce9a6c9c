"""The batch verbs for Services of a `Cluster`: what they take when they come and give back when they go.

Each function is the body of the verb of the same name; the promises stand there. The API server's rules decide each
row, then counting decides which rows the ranges have room for, in order, then pools serve them in bulk. An address or
port that a row names is never given to another row by choice, as if the server's random choices had missed it.

What it does not know: changes of Services (`dsmodel.cluster.family_changes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.cluster.api_server import control_plane_of
from dsmodel.cluster.occupancy import ENDS, occupy_services
from dsmodel.cluster.outcome import Outcome, grant_in_order, rows_asked
from dsmodel.cluster.schema import IP_FAMILIES, IP_FAMILY_POLICIES, NODE_PORTS, TRAFFIC_POLICIES
from dsmodel.cluster.service_requests import decide_services, requested
from dsmodel.cluster.table import Table
from dsmodel.errors import Reason
from dsmodel.kube.behaviour import behaviour_of
from dsmodel.kube.control_plane import ControlPlane
from dsmodel.kube.names import labels_fit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.service_requests import ServiceRequests
    from dsmodel.cluster.state import Cluster
    from dsmodel.kube.services.batch import BatchDecision

__all__ = ["add_services", "remove_services"]

_MOST = np.iinfo(np.int64).max
_EXTERNAL_NAME = 4  # code of schema.SERVICE_TYPES
_PORT_NUMBERS = 1 << 16
_NODE_PORT_USE, _HEALTH_CHECK_USE = 1, 2  # codes of schema.NODE_PORT_USES


def add_services(
    cluster: Cluster,
    services: int | pd.DataFrame | Table,
    *,
    defaults: Mapping[str, Any],
    node_ports: int | None,
    rng: np.random.Generator | None,
) -> Outcome:
    """Create Services, in order.

    Parameters
    ----------
    cluster : Cluster
        Changed in place.
    services : int, pandas.DataFrame or Table
        How many alike, or rows.
    defaults : mapping of str to object
        Type, policy and families of rows that do not say.
    node_ports : int, optional
        Ports of each Service that does not say.
    rng : numpy.random.Generator, optional
        Decides addresses and ports.

    Returns
    -------
    Outcome
        See `Cluster.add_services`.

    Raises
    ------
    InvalidInput
        If a column or word is not one of the schema.
    InvalidConfig
        If the API server would not start with the service ranges.
    """
    asked = requested(services, defaults=defaults, node_ports=node_ports)
    generator = rng if rng is not None else np.random.default_rng(len(cluster.services))
    families = cluster.service_ranges.families
    shapes = asked.shapes(primary=int(families[0][-1]) if families else 0)
    decision = decide_services(shapes, server=_server(cluster))
    reason = decision.reason
    if not families:
        reason[(reason == Reason.OK) & (asked.table["type"] != _EXTERNAL_NAME)] = Reason.FAMILY_NOT_CONFIGURED
    health = _of_rows(decision, [shape.health_check for shape in decision.shapes], np.bool_)
    claims = _claims(cluster, asked, reason, needs=decision.needs, health=health)
    _serve_in_order(cluster, decision.needs, claims, reason)
    rows = np.flatnonzero(reason == Reason.OK)
    granted, needs = asked.take(rows), decision.needs[rows]
    columns: dict[str, NDArray[Any]] = dict(_stored_columns(decision, rows, needs))
    for place, (family, end) in enumerate(ENDS.items()):
        columns |= _take_addresses(cluster, granted.table, needs[:, place] > 0, family=family, end=end, rng=generator)
    columns |= _take_ports(cluster, granted, needs[:, 2], health[rows], rng=generator)
    first_row = len(cluster.services)
    cluster.services = cluster.services.append(granted.table.replace(columns))
    return Outcome.of(reason, first_row=first_row)


def _server(cluster: Cluster) -> ControlPlane:
    """Start an API server without Services; where no range is known, one that can at least judge ExternalNames."""
    config = cluster.config
    if cluster.service_ranges.families:
        return control_plane_of(config)
    return ControlPlane(kube_version=config.kube_version, feature_gates=config.feature_gates)


def remove_services(cluster: Cluster, services: ArrayLike) -> Outcome:
    """Delete Services and give their addresses and ports back.

    Parameters
    ----------
    cluster : Cluster
        Changed in place.
    services : array of int, or mask of bool
        Rows.

    Returns
    -------
    Outcome
        See `Cluster.remove_services`.

    Raises
    ------
    InvalidInput
        If a mask has another length than the table.
    """
    rows, reason = rows_asked(np.asarray(services), len(cluster.services), "services")
    gone = cluster.services.take(rows)
    for family, end in ENDS.items():
        cluster.service_ranges.release(gone[f"cluster_{end}"][gone[f"has_cluster_{end}"]], family=family)
    keep = np.ones(len(cluster.services) + 1, np.bool_)  # the last one is for ports without an owner
    keep[rows] = False
    owner = cluster.node_ports["service"]
    offsets, inside = cluster.port_range.offsets(cluster.node_ports["node_port"][~keep[owner]])
    cluster.port_range.release(offsets[inside])
    moved = np.append(np.cumsum(keep[:-1], dtype=np.int32) - 1, -1).astype(np.int32)
    staying = cluster.node_ports.where(keep[owner])
    cluster.node_ports = staying.replace({"service": moved[staying["service"]]})
    ranges = cluster.allowed_sources.where(keep[cluster.allowed_sources["service"]])
    cluster.allowed_sources = ranges.replace({"service": moved[ranges["service"]]})
    cluster.services = cluster.services.where(keep[:-1])
    if cluster.shared_addresses:
        occupy_services(cluster)
    return Outcome.of(reason, kept=np.zeros(len(reason), np.bool_))


# what rows want for themselves ---------------------------------------------------------------------------------------


def _claims(
    cluster: Cluster,
    asked: ServiceRequests,
    reason: NDArray[np.uint8],
    *,
    needs: NDArray[np.int64],
    health: NDArray[np.bool_],
) -> list[tuple[NDArray[np.int64], Reason]]:
    """Assign numbers to what rows want for themselves: names, addresses, ports; refuse what is not to be had.

    Numbers of different things differ; -1 is for no claim. Each column comes with the reason of who comes too late.
    """
    columns: list[tuple[NDArray[np.int64], Reason]] = []
    start = 0
    for place, (family, end) in enumerate(ENDS.items()):
        rows = np.flatnonzero(asked.table[f"has_cluster_{end}"] & (needs[:, place] > 0) & (reason == Reason.OK))
        if len(rows):
            values, number = np.unique(asked.table[f"cluster_{end}"][rows], return_inverse=True)
            reason[rows] = cluster.service_ranges.judge(values, family=family)[number]
            columns.append((_scattered(start + number, rows, len(reason)), Reason.ALREADY_ALLOCATED))
            start += len(values)
    ports = np.where(needs[:, 2] > health, asked.node_port, 0)
    checks = np.where(health, asked.table["health_check_node_port"], 0).astype(np.int64)
    for wanted in (ports, checks):
        rows = np.flatnonzero((wanted > 0) & (reason == Reason.OK))
        if len(rows):
            reason[rows] = _judge_ports(cluster, wanted[rows])
            columns.append((_scattered(start + wanted[rows], rows, len(reason)), Reason.ALREADY_ALLOCATED))
    reason[(ports > 0) & (ports == checks) & (reason == Reason.OK)] = Reason.ALREADY_ALLOCATED
    names = _names(cluster, asked.table, reason)  # the server looks at the name when it has addresses and ports
    if names is not None:
        columns.append((np.where(names < 0, -1, names + start + _PORT_NUMBERS), Reason.ALREADY_EXISTS))
    return columns


def _names(cluster: Cluster, table: Table, reason: NDArray[np.uint8]) -> NDArray[np.int64] | None:
    """Assign numbers to names, refuse those that exist already or are none; None where no two rows want one."""
    if table["name"].strides == (0,) and (not len(table) or not table["name"][0]):
        return None
    old, nameless = cluster.services, table["name"] == ""
    relaxed = behaviour_of(cluster.config.kube_version, cluster.config.feature_gates).relaxed_service_names
    reason[~labels_fit(table["name"].tolist(), digit_first=relaxed) & ~nameless & (reason == Reason.OK)] = (
        Reason.REJECTED
    )
    number = _numbers(old["name"], table["name"])
    counts = np.bincount(number)
    counts[number[np.concatenate((old["name"] == "", nameless))]] = 0
    if counts.max() <= 1:
        return None  # no name comes twice, whatever the namespaces
    spaces = _numbers(old["namespace"], table["namespace"])
    number, _ = pd.factorize(number * (int(spaces.max()) + 1) + spaces)
    exists = np.zeros(int(number.max()) + 2, np.bool_)
    exists[number[: len(old)]] = True
    mine = np.where(nameless, -1, number[len(old) :])
    reason[exists[mine] & (reason == Reason.OK)] = Reason.ALREADY_EXISTS
    return mine if np.bincount(mine[~nameless], minlength=1).max() > 1 else None


def _numbers(old: NDArray[Any], new: NDArray[Any]) -> NDArray[np.intp]:
    """Give equal texts of two columns equal numbers."""
    return pd.factorize(np.concatenate((old.astype(object), new.astype(object))))[0]


def _judge_ports(cluster: Cluster, ports: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Tell whether ports are to be had, each by itself."""
    values, number = np.unique(ports, return_inverse=True)
    offsets, inside = cluster.port_range.offsets(values)
    found = np.full(len(values), Reason.NOT_IN_RANGE, np.uint8)
    found[inside] = cluster.port_range.allocate(offsets[inside], dry_run=True).reason
    judged: NDArray[np.uint8] = found[number]
    return judged


def _serve_in_order(
    cluster: Cluster,
    needs: NDArray[np.int64],
    claims: list[tuple[NDArray[np.int64], Reason]],
    reason: NDArray[np.uint8],
) -> None:
    """Refuse the rows that pools have no room for, and those that want what an earlier row has."""
    rows = np.flatnonzero(reason == Reason.OK)
    free = np.array(
        [min(cluster.service_ranges.free(family), _MOST) for family in ENDS] + [cluster.port_range.free], np.int64
    )
    if not claims and (needs[rows].sum(axis=0) <= free).all():
        return
    numbers = np.stack([column[rows] for column, _ in claims], axis=1) if claims else None
    answers = grant_in_order(needs[rows], free, numbers)
    told = np.array([Reason.OK, *(late for _, late in claims), Reason.POOL_FULL], np.uint8)
    reason[rows] = told[answers]  # -1 is the last one


# what rows get -------------------------------------------------------------------------------------------------------


def _of_rows(decision: BatchDecision, values: list[Any], dtype: Any) -> NDArray[Any]:
    """Hand a value of each shape to its rows."""
    return np.array(values, dtype)[decision.of_row]


def _stored_columns(
    decision: BatchDecision, rows: NDArray[np.intp], needs: NDArray[np.int64]
) -> dict[str, NDArray[np.uint8]]:
    """Write what the API server stores of each row."""
    columns: dict[str, NDArray[np.uint8]] = {}
    words = {
        "ip_family_policy": IP_FAMILY_POLICIES,
        "ip_families": IP_FAMILIES,
        "external_traffic_policy": TRAFFIC_POLICIES,
    }
    for name, declared in words.items():
        code_of = {word: code for code, word in declared.items()}
        columns[name] = _of_rows(decision, [code_of[getattr(shape, name)] for shape in decision.shapes], np.uint8)[rows]
    families = columns["ip_families"]
    first = np.where(families > 9, families // 10, families)
    first = np.where(first == 0, np.where(needs[:, 0] > 0, 4, 6), first)  # families that are not stored
    columns["primary_ip_family"] = np.where((needs[:, :2] > 0).any(axis=1), first, 0).astype(np.uint8)
    return columns


def _take_addresses(
    cluster: Cluster,
    table: Table,
    needed: NDArray[np.bool_],
    *,
    family: IPFamily,
    end: str,
    rng: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    """Take the addresses of one family, those that rows name first."""
    column = np.zeros(len(table), table[f"cluster_{end}"].dtype)
    named = needed & table[f"has_cluster_{end}"]
    if named.any():
        column[named] = table[f"cluster_{end}"][named]
        cluster.service_ranges.occupy(column[named], family=family)
    other = needed & ~named
    column[other] = cluster.service_ranges.allocate_next(int(np.count_nonzero(other)), family=family, rng=rng)
    return {f"cluster_{end}": column, f"has_cluster_{end}": needed}


def _take_ports(
    cluster: Cluster,
    asked: ServiceRequests,
    counts: NDArray[np.int64],
    health: NDArray[np.bool_],
    *,
    rng: np.random.Generator,
) -> dict[str, NDArray[np.uint16]]:
    """Take node ports, those that rows name first; a row's health-check port is its last."""
    checked = np.zeros(len(counts), np.uint16)
    columns = {"node_ports": (counts - health).astype(np.uint16), "health_check_node_port": checked}
    total = int(counts.sum())
    if not total:
        return columns
    last = np.cumsum(counts) - 1
    taken = np.zeros(total, np.uint16)
    first = (asked.node_port > 0) & (counts > health)
    taken[(last + 1 - counts)[first]] = asked.node_port[first]
    taken[last[health]] = asked.table["health_check_node_port"][health]
    offsets, _ = cluster.port_range.offsets(taken[taken > 0])
    cluster.port_range.occupy(offsets)
    other = taken == 0
    taken[other] = cluster.port_range.ports(cluster.port_range.allocate_next(int(np.count_nonzero(other)), rng=rng))
    checked[health] = taken[last[health]]
    use = np.full(total, _NODE_PORT_USE, np.uint8)
    use[last[health]] = _HEALTH_CHECK_USE
    owner = np.repeat(np.arange(len(counts), dtype=np.int32) + np.int32(len(cluster.services)), counts)
    cluster.node_ports = cluster.node_ports.append(
        Table(NODE_PORTS, {"service": owner, "node_port": taken, "use": use})
    )
    return columns


def _scattered(values: NDArray[np.int64], rows: NDArray[np.intp], n: int) -> NDArray[np.int64]:
    """Lay values into a column of -1."""
    column = np.full(n, -1, np.int64)
    column[rows] = values
    return column
