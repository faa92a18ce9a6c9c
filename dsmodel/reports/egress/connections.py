"""What pods hold open, as it is asked of the report on translated ports: read, and refused where it is nothing.

Promises numbers in the ranges that they can have; every error names the row and the value.

What it does not know: whether pods really hold them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from dsmodel.errors import InvalidInput
from dsmodel.graph.snat import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsmodel.cluster.state import Cluster

__all__ = ["Held", "read_connections"]

_ASKED: Final = ("destination", "connections", "port", "protocol", "namespace", "per_second", "life_seconds")
_LAST_PORT: Final = 65_535
_MOST: Final = 1e12  # connections, or seconds


@dataclass(frozen=True)
class Held:
    """What every pod holds open to one destination, or opens there each second.

    Parameters
    ----------
    destination : object
        As `dsmodel.graph.paths.destinations.read_destinations` takes it.
    port : int or None
        Of the destination.
    protocol : int
        Place in `PROTOCOLS`.
    namespace : str
        Of the pods; empty for all.
    connections : float
        Held at once, or new a second.
    life_s : float or None
        Seconds that each lives; None where connections are counted, not rated.
    """

    destination: Any
    port: int | None
    protocol: int
    namespace: str
    connections: float
    life_s: float | None


def read_connections(given: pd.DataFrame | Mapping[str, float], cluster: Cluster) -> list[Held]:
    """Read what every pod holds.

    Parameters
    ----------
    given : pandas.DataFrame or mapping of str to float
        As `dsmodel.reports.snat` takes them.
    cluster : Cluster
        Whose namespaces.

    Returns
    -------
    list of Held
        One a row.

    Raises
    ------
    InvalidInput
        A column that is missing or unknown, a number that is none, another protocol, a namespace that there is not.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> read_connections({"8.8.8.8": 400}, kubeadm_dual_stack())[0].connections
    400.0
    """
    if not isinstance(given, pd.DataFrame):
        given = pd.DataFrame({"destination": list(given), "connections": list(given.values())})
    if wrong := sorted(set(map(str, given.columns)) - set(_ASKED)):
        raise InvalidInput(f"connections has no column {', '.join(wrong)}; it may have {', '.join(_ASKED)}")
    if "destination" not in given or ("connections" in given) == ("per_second" in given):
        raise InvalidInput("connections: give the column destination, and one of connections and per_second")
    spaces = {*map(str, cluster.pods["namespace"].tolist()), *cluster.namespaces}
    rows = []
    for number, row in enumerate(given.to_dict("records")):
        rated = "per_second" in row
        count = _number(row["per_second" if rated else "connections"], number, "connections")
        life = _number(row.get("life_seconds", 1.0), number, "life_seconds") if rated else None
        word = str(row.get("protocol", "TCP"))
        if word not in PROTOCOLS:
            raise InvalidInput(f"connections: row {number} has protocol {word!r}; allowed are {', '.join(PROTOCOLS)}")
        space = row.get("namespace", "")
        space = "" if space is None or pd.isna(space) else str(space)
        if space and space not in spaces:
            raise InvalidInput(f"connections: row {number} has namespace {space!r}, and the cluster has no such one")
        port = _port(row.get("port"), number)
        rows.append(Held(row["destination"], port, PROTOCOLS.index(word), space, count, life))
    return rows


def _number(value: Any, row: int, name: str) -> float:
    """Read a count that may have a fraction."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise InvalidInput(f"connections: row {row} has {name} {value!r}, which is no number") from None
    if not 0 <= found <= _MOST:
        raise InvalidInput(f"connections: row {row} has {name} {found:g}; use 0 or more, at most {_MOST:,.0f}")
    return found


def _port(value: Any, row: int) -> int | None:
    """Read a port; None where there is none."""
    if value is None or pd.isna(value):
        return None
    found = _number(value, row, "port")
    if not (found.is_integer() and 0 < found <= _LAST_PORT):
        raise InvalidInput(f"connections: row {row} has port {value!r}; a port is 1 to {_LAST_PORT}")
    return int(found)
