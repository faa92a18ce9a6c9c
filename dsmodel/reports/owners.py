"""Who uses the addresses: counts by namespace, node, pool of machines, or whatever the tables tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dsmodel.cluster.state import Cluster
    from dsmodel.cluster.table import Table

__all__ = ["usage"]

_OF_NODES = {"node": "name", "node_pool": "node_pool", "zone": "zone"}
_OF_PODS = ("namespace", *_OF_NODES, "phase", "host_network")
_OF_SERVICES = ("namespace", "type", "ip_family_policy", "ip_families", "headless")


def usage(cluster: Cluster, *, by: Sequence[str] = ("namespace",)) -> pd.DataFrame:
    """Count who uses the addresses.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.
    by : sequence of str, default ("namespace",)
        Among ``namespace``, ``node``, ``node_pool``, ``zone``, ``phase``, ``host_network`` (pods) and ``namespace``,
        ``type``, ``ip_family_policy``, ``ip_families``, ``headless`` (Services). Words that only pods have leave the
        Services out, and the other way round.

    Returns
    -------
    pandas.DataFrame
        The ``by`` columns, then for pods ``pods``, ``pod_ipv4``, ``pod_ipv6`` (addresses held; neither host network
        nor finished pods hold any), for Services ``services``, ``cluster_ipv4``, ``cluster_ipv6``, ``node_ports``
        (health-check ports included). Sorted by the ``by`` columns.

    Raises
    ------
    InvalidInput
        If a word is not among these, or if neither pods nor Services have all of them.

    Examples
    --------
    >>> from dsmodel import examples
    >>> list(usage(examples.nearly_full(), by=["type"]).columns)
    ['type', 'services', 'cluster_ipv4', 'cluster_ipv6', 'node_ports']
    """
    by = [by] if isinstance(by, str) else list(by)
    known = dict.fromkeys((*_OF_PODS, *_OF_SERVICES))
    if wrong := [word for word in by if word not in known]:
        raise InvalidInput(f"by={by!r}: {wrong[0]!r} is not among {', '.join(known)}")
    parts = []
    if by and set(by) <= set(_OF_PODS):
        parts.append(_counted(_pods(cluster, by), by))
    if by and set(by) <= set(_OF_SERVICES):
        parts.append(_counted(_services(cluster, by), by))
    if not parts:
        raise InvalidInput(
            f"by={by!r}: pods are told apart by {', '.join(_OF_PODS)}, Services by {', '.join(_OF_SERVICES)}; "
            "name words of one of the two lists"
        )
    frame = parts[0] if len(parts) == 1 else parts[0].merge(parts[1], on=by, how="outer")
    counts = [name for name in frame.columns if name not in by]
    frame[counts] = frame[counts].fillna(0).astype(np.int64)
    return frame.sort_values(by, ignore_index=True)


def _counted(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Add up the rows of each group."""
    return frame.groupby(by, observed=True, sort=False).sum().reset_index()


def _keys(table: Table, by: Sequence[str]) -> dict[str, Any]:
    """Return the words of a table's own columns, as a frame writes them."""
    frame = table.to_frame(columns=by)
    return {word: frame[word] if frame[word].dtype == bool else frame[word].astype("str") for word in by}


def _pods(cluster: Cluster, by: Sequence[str]) -> pd.DataFrame:
    pods = cluster.pods
    columns = _keys(pods, [word for word in by if word not in _OF_NODES])
    nodes = cluster.nodes.to_frame(columns=list(_OF_NODES.values())).astype("str")
    for word in by:
        if word in _OF_NODES:
            # a pod without a node has row -1: the empty word put last
            words = np.append(nodes[_OF_NODES[word]].to_numpy(dtype=object), "")
            columns[word] = pd.Series(pd.Categorical(words)[pods["node"]].astype("str"))
    holds = pods["holds_address"]
    counts = {f"pod_{end}": (pods[f"has_pod_{end}"] & holds).astype(np.int64) for end in ("ipv4", "ipv6")}
    return _frame(columns, {"pods": np.ones(len(pods), np.int64), **counts}, by)


def _services(cluster: Cluster, by: Sequence[str]) -> pd.DataFrame:
    services = cluster.services
    counts = {f"cluster_{end}": services[f"has_cluster_{end}"].astype(np.int64) for end in ("ipv4", "ipv6")}
    counts["node_ports"] = services["node_ports"].astype(np.int64) + (services["health_check_node_port"] > 0)
    return _frame(_keys(services, by), {"services": np.ones(len(services), np.int64), **counts}, by)


def _frame(columns: Mapping[str, Any], counts: Mapping[str, Any], by: Sequence[str]) -> pd.DataFrame:
    """Put keys in the asked order before the counts."""
    return pd.DataFrame({**{word: columns[word] for word in by}, **counts})
