"""How full the conntrack table of each node is, by the connections of both families.

Promises every connection counted at the node of its pod, and at that of its gateway. A full table refuses new
connections of both families alike: here, and nowhere else on a node, the load of one breaks the other.

What it does not know: connections that nobody told of, among them those to pods; tables that Cilium keeps in BPF.

Source: ``nf_conntrack_max`` of Linux; what kube-proxy sets it to is `dsmodel.graph.snat.conntrack_max`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dsmodel.addresses.cidr import IPFamily
from dsmodel.errors import InvalidInput
from dsmodel.graph.snat import conntrack_pressure, constant
from dsmodel.reports.egress.connections import read_connections
from dsmodel.reports.egress.loads import Loads, resolved

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.network import Network

__all__ = ["COLUMNS", "conntrack"]

COLUMNS: Final = ("node", "used_ipv4", "used_ipv6", "usable", "used_ratio", "refused_ratio", "alarm", "why")
"""Columns of `conntrack`, in order."""


def conntrack(
    cluster: Cluster,
    connections: pd.DataFrame | Mapping[str, float],
    *,
    entries: int | Mapping[str, int] | None = None,
    network: Network | None = None,
) -> pd.DataFrame:
    """Tell how full the conntrack table of each node is, and by which family.

    Parameters
    ----------
    cluster : Cluster
        Whose pods and nodes.
    connections : pandas.DataFrame or mapping of str to float
        What every pod holds open at once, by destination; as `dsmodel.reports.snat` takes it. Rated connections keep
        their entry 120 seconds after their end.
    entries : int or mapping of str to int, optional
        ``nf_conntrack_max`` of every node, or by name; `dsmodel.graph.snat.conntrack_max` says what kube-proxy makes
        it. A node left out is not known.
    network : Network, optional
        What decides beside the cluster; what its objects show if left out.

    Returns
    -------
    pandas.DataFrame
        A row for a node that connections go through; columns are `COLUMNS`. Fullest first, then by node. ``usable``
        (Int64), ``used_ratio`` and ``refused_ratio`` are missing where nobody said.

    Raises
    ------
    InvalidInput
        Connections that `dsmodel.reports.snat` refuses, a size below 1, a node that there is not.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import BorderNAT, Network
    >>> nat = BorderNAT(name="a", family="IPv4", addresses=("198.51.100.9",), ports=55_000)
    >>> network = Network(masquerades=()).replacing(border=[nat], routed=["10.244.0.0/16"], default_route=True)
    >>> frame = conntrack(kubeadm_dual_stack(), {"8.8.8.8": 7_000}, entries=131_072, network=network)
    >>> frame[["node", "used_ipv4", "used_ipv6", "alarm"]].head(1)
         node  used_ipv4  used_ipv6  alarm
    0  node-2     168000          0   True
    """
    names = [str(name) for name in cluster.nodes["name"].tolist()]
    usable = _usable(entries, names)
    asked = read_connections(connections, cluster)
    loads = Loads(resolved(cluster, asked, network), {}, lingers_s=constant("linux", "time wait of conntrack"))
    for place, row in enumerate(asked):
        loads.add(place, row)
    ipv4, ipv6 = (_whole(loads.entries[family][:-1]) for family in IPFamily)
    found = conntrack_pressure(ipv4, ipv6, usable=usable)
    held = np.flatnonzero(found.ipv4 + found.ipv6)
    known = found.usable[held] > 0
    frame = pd.DataFrame(
        {
            "node": pd.Series([names[row] for row in held.tolist()], dtype=object),
            "used_ipv4": found.ipv4[held],
            "used_ipv6": found.ipv6[held],
            "usable": pd.arrays.IntegerArray(found.usable[held], ~known),
            "used_ratio": found.used_ratio[held],
            "refused_ratio": found.refused_ratio[held],
            "alarm": found.is_alarm[held],
            "why": pd.Series([found.why(row) for row in held.tolist()], dtype=object),
        }
    )
    keys = [-(found.used_ratio[held]), -(found.ipv4 + found.ipv6)[held], np.array(frame["node"].tolist(), str)]
    return frame.iloc[np.lexsort(keys[::-1])].reset_index(drop=True)


def _usable(entries: int | Mapping[str, int] | None, names: list[str]) -> NDArray[np.int64]:
    """Read the size of each node's table; 0 where it is not known."""
    given = entries if isinstance(entries, Mapping) else dict.fromkeys(names, entries or 0)
    if wrong := sorted(set(given) - set(names)):
        raise InvalidInput(f"entries: there is no node {wrong[0]!r}")
    if entries is not None and any(isinstance(each, bool) or each < 1 for each in given.values()):
        raise InvalidInput(f"entries={entries!r}: a table has 1 entry or more; leave out what is not known")
    return np.array([given.get(name, 0) for name in names], np.int64)


def _whole(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round counts up, but for what is left of adding fractions."""
    return np.ceil(np.round(counts, 6)).astype(np.int64)
