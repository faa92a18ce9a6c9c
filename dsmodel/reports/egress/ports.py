"""How full each pool of translated ports is, per protocol and destination, and from when on connections fail.

Promises: connections follow their resolved path, through every translator on it, and are counted at each: the pod's own
sockets, the address of its node or gateway, the translator at the border. Flows that spread over several addresses are
shared out evenly; how unevenly hashing spreads them is part of a budget.

What it does not know: connections that nobody told of, and where applications hold fewer than they are told to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput
from dsmodel.graph.snat import (
    ALL_DESTINATIONS,
    PROTOCOLS,
    Connections,
    PortBudget,
    Pressure,
    SnatPool,
    snat_pressure,
)
from dsmodel.reports.egress.connections import Held, read_connections
from dsmodel.reports.egress.loads import Loads, resolved
from dsmodel.reports.egress.rates import too_fast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.network import Network

    Numbers = NDArray[np.int64]

__all__ = ["COLUMNS", "MOST_ROWS", "snat"]

COLUMNS: Final = (
    "pool",
    "owner",
    "ip_family",
    "protocol",
    "destination",
    "port",
    "used",
    "usable",
    "used_ratio",
    "failure_ratio",
    "starts_failing_at",
    "addresses_needed",
    "alarm",
    "why",
)
"""Columns of `snat`, in order."""

MOST_ROWS: Final = 1_000_000
"""Pools and destinations that a frame may have."""

_FAILURE: Final = 0.001


def snat(
    cluster: Cluster,
    connections: pd.DataFrame | Mapping[str, float],
    *,
    network: Network | None = None,
    budgets: Mapping[str, PortBudget] | None = None,
    failure: float = _FAILURE,
) -> pd.DataFrame:
    """Tell how full the ports of every translator are, and when connections start to fail.

    Parameters
    ----------
    cluster : Cluster
        Whose pods.
    connections : pandas.DataFrame or mapping of str to float
        What every pod holds open at once, by destination. As a frame, a row a destination: ``destination`` (as
        `dsmodel.reports.egress` takes them, taken for one address and port), then ``connections``, or ``per_second``
        (new ones) with ``life_seconds`` (1 if left out; ports linger after that, as each translator has it); and where
        there is need ``port``, ``protocol`` ("TCP" if left out), ``namespace`` (all if empty).
    network : Network, optional
        What decides beside the cluster; what its objects show if left out.
    budgets : mapping of str to PortBudget, optional
        What translators hold, by pool: an address, "NAT/name", "NAT64/prefix", or "node" for what masquerades on nodes.
    failure : float, default 0.001
        Share of new connections that may fail before failures "start".

    Returns
    -------
    pandas.DataFrame
        A row for a pool, protocol and destination in use, and one for a pool's total (empty destination); columns are
        `COLUMNS`. Fullest first, then by pool, family, protocol and destination. ``owner`` is "pod", "node", "gateway",
        "NAT" or "NAT64"; ``usable``, ``starts_failing_at`` and ``addresses_needed`` (Int64) are missing where nothing
        limits or nobody said. ``failure_ratio`` and ``alarm`` count full ports, and new connections beyond what a
        translator takes a second. A destination of both families is asked for in the one that clients try first, if
        it works.

    Raises
    ------
    InvalidInput
        A column that is missing or unknown, a number that is none, another protocol, a namespace that the cluster does
        not have, a destination that is none.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import BorderNAT, Network
    >>> nat = BorderNAT(name="a", family="IPv4", addresses=("198.51.100.9",), ports=55_000)
    >>> network = Network(masquerades=()).replacing(border=[nat], routed=["10.244.0.0/16"], default_route=True)
    >>> frame = snat(kubeadm_dual_stack(), {"8.8.8.8": 400}, network=network)
    >>> frame[["pool", "used", "usable", "used_ratio", "alarm"]].round(2)
                             pool   used  usable  used_ratio  alarm
    0                       NAT/a  48000   55000        0.87  False
    1  sockets of the busiest pod    400   28232        0.01  False
    """
    asked = read_connections(connections, cluster)
    paths = resolved(cluster, asked, network)
    loads = Loads(paths, dict(budgets or {}))
    for place, row in enumerate(asked):
        loads.add(place, row)
    return _judged(loads, asked, failure)


def _judged(loads: Loads, asked: list[Held], failure: float) -> pd.DataFrame:
    """Judge every pool."""
    columns = [np.concatenate(each) for each in zip(*loads.parts, strict=True)] or [np.zeros(0, np.int64)] * 5
    keys: dict[tuple[str, int | None], int] = {}
    targets = [(one.name, row.port) for one, row in zip(loads.paths.destinations, asked, strict=True)]
    number = np.array([keys.setdefault(key, len(keys)) for key in targets] or [0], np.int64)
    load = Connections(columns[0], columns[1], number[columns[2]], columns[3], columns[4])
    found = snat_pressure(load, [pool for pool, *_ in loads.made], failure=failure)
    if len(found) > MOST_ROWS:
        raise InvalidInput(f"{len(found):,} pools and destinations: ask for fewer destinations at a time")
    new: dict[tuple[int, int, int], float] = {}
    for (pool, protocol, place), rate in loads.new.items():
        key = (pool, protocol, int(number[place]))
        new[key] = new.get(key, 0.0) + rate
    refused, words = too_fast(found, [pool.budget for pool, *_ in loads.made], new)
    return _frame(found, loads.made, list(keys), (refused, words))


def _frame(
    found: Pressure,
    made: list[tuple[SnatPool, str, bool]],
    targets: list[tuple[str, int | None]],
    rates: tuple[NDArray[np.float64], list[str]],
) -> pd.DataFrame:
    """Write what was judged."""
    refused, words = rates
    is_total = found.destination == ALL_DESTINATIONS
    named = [*targets, ("", None)]  # the last is for a pool's total
    at = np.where(is_total, len(targets), found.destination)
    pools = found.pool.tolist()
    frame = pd.DataFrame(
        {
            "pool": [made[pool][0].name for pool in pools],
            "owner": [made[pool][1] for pool in pools],
            "ip_family": [str(made[pool][0].family) for pool in pools],
            "protocol": np.array([*PROTOCOLS, ""], object)[np.where(is_total, -1, found.protocol)],
            "destination": np.array([name for name, _ in named], object)[at],
            "port": pd.array([port for _, port in named], "Int64")[at],
            "used": found.used,
            "usable": _counts(found.usable, found.is_limited),
            "used_ratio": np.where(found.is_limited, found.used_ratio, np.nan),
            "failure_ratio": np.maximum(found.failure_ratio, refused),
            "starts_failing_at": _counts(found.starts_failing_at, found.is_limited),
            "addresses_needed": _counts(found.addresses_needed, found.addresses_needed > 0),
            "alarm": found.is_alarm | (refused > 0),
            "why": [f"{_why(found, at, made[pool])} {words[at]}".rstrip() for at, pool in enumerate(pools)],
        }
    )
    texts = ["pool", "owner", "ip_family", "destination", "why"]
    frame = frame.astype(dict.fromkeys(texts, object))
    keys = ["used_ratio", "pool", "ip_family", "protocol", "destination", "port"]
    return frame.sort_values(keys, ascending=[False] + [True] * 5, kind="stable", ignore_index=True)


def _counts(values: Numbers, known: NDArray[np.bool_]) -> pd.api.extensions.ExtensionArray:
    """Write counts, missing where they mean nothing."""
    return pd.arrays.IntegerArray(values.astype(np.int64), ~known)


def _why(found: Pressure, row: int, made: tuple[SnatPool, str, bool]) -> str:
    """Say how full a pool is, or why nobody knows."""
    pool, owner, is_unknown = made
    if not is_unknown:
        return found.why(row)
    field = "NAT64.ports" if owner == "NAT64" else "BorderNAT.ports"
    return f"unknown because nobody said how many ports {pool.name} has ({field}, or budgets)"
