"""Which source addresses a partner's firewall must admit, per family, and why each.

Promises the union over today's paths and those after each failure alone, with fall-through to other addresses.

What it does not know: addresses that nodes and translators will get when they are made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dsmodel.addresses.cidr import Cidr
from dsmodel.addresses.space import aggregate
from dsmodel.graph.allow_lists import allowed_sources
from dsmodel.reports.egress.answers import paths_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.network import Network
    from dsmodel.graph.paths import Paths

__all__ = ["COLUMNS", "allow_list"]

COLUMNS: Final = ("destination", "ip_family", "cidr", "owner", "pods", "when", "why")
"""Columns of `allow_list`, in order."""

_WORDS: Final = {
    "pod": "pods leave with their own addresses, of which this range is made",
    "node": "pods are translated to the address of the node they run on",
    "gateway": "a gateway translates to it",
    "NAT": "a translator at the border shows it",
}


def allow_list(
    cluster: Cluster | Paths,
    destinations: Any = "internet",
    *,
    network: Network | None = None,
    failures: Sequence[str] | None = None,
    merged: bool = False,
) -> pd.DataFrame:
    """List what a destination's firewall must admit.

    Parameters
    ----------
    cluster : Cluster or Paths
        A cluster to resolve, or paths that were resolved.
    destinations : str, Destination, mapping or sequence of these, default "internet"
        As `dsmodel.reports.egress` takes them. Paths have theirs.
    network : Network, optional
        What decides beside the cluster; what its objects show if left out. Paths have theirs.
    failures : sequence of str, optional
        What may be down, each alone; if left out, every way out of a gateway and every translator that serves, each
        alone, then all together, then with those that serve instead, until none is left.
    merged : bool, default False
        Whether CIDRs of one owner and occasion are joined where together they are exactly one larger block.

    Returns
    -------
    pandas.DataFrame
        Sorted by destination as asked, family and CIDR; columns are `COLUMNS`. ``owner`` is "pod", "node", "gateway"
        or "NAT"; ``pods`` stand behind it now, 0 where it is needed only later; ``when`` is "now", or what has to be
        down first.

    Raises
    ------
    InvalidInput
        A destination that is none; a failure of something that there is not.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import Network
    >>> network = Network(masquerades=()).replacing(routed=["10.244.0.0/16"], default_route=True, border=())
    >>> frame = allow_list(kubeadm_dual_stack(), "10.9.0.1", network=network)
    >>> frame[["ip_family", "cidr", "owner", "pods", "when"]]
      ip_family           cidr owner  pods when
    0      IPv4  10.244.0.0/16   pod   120  now
    """
    paths = paths_of(cluster, destinations, network)
    found = allowed_sources(paths, failures=failures)
    columns = [found[name].tolist() for name in ("destination", "ip_family", "source", "owner", "pods", "when")]
    rows: list[tuple[Any, ...]] = [
        (destination, family, Cidr.of(source), owner, pods if when == "now" else 0, when)
        for destination, family, source, owner, pods, when in zip(*columns, strict=True)
    ]
    rows = _joined(rows) if merged else rows
    order = {one.name: place for place, one in reversed(list(enumerate(paths.destinations)))}
    rows.sort(key=lambda row: (order[row[0]], row[1], row[2].first, row[2].prefix_length, row[3], row[5]))
    told = list(zip(*((*row[:2], str(row[2]), *row[3:], _why(*row[3:])) for row in rows), strict=True))
    frame = pd.DataFrame(dict(zip(COLUMNS, map(list, told or [()] * len(COLUMNS)), strict=True)))
    return frame.astype(dict.fromkeys(COLUMNS, object) | {"pods": np.int64})


def _joined(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Join the CIDRs of one destination, family, owner and occasion."""
    alike: dict[tuple[Any, ...], list[tuple[Cidr, int]]] = {}
    for destination, family, cidr, owner, pods, when in rows:
        alike.setdefault((destination, family, owner, when), []).append((cidr, pods))
    return [
        (destination, family, block, owner, sum(pods for cidr, pods in held if cidr in block), when)
        for (destination, family, owner, when), held in alike.items()
        for block in aggregate(cidr for cidr, _ in held)
    ]


def _why(owner: str, pods: int, when: str) -> str:
    """Say why an address is there."""
    words = _WORDS[owner]
    if when != "now":
        return f"{words} while {when} {'are' if ' and ' in when else 'is'} down"
    if not pods:
        return f"{words}; none runs there now, and pods move"
    return f"{words}: {pods:,} pod{'' if pods == 1 else 's'} now"
