"""What dies with which node, gateway, translator or zone, per family, single points of failure first.

Promises the products' own rules of fail-over: every element is taken away alone and all paths are resolved again.

What it does not know: two failures at once (`dsmodel.graph.failures.blast_radius` takes several); the seconds in which
agents have not noticed yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dsmodel.graph.failures import check_names, failed
from dsmodel.graph.paths.changes import kind_of_change
from dsmodel.graph.paths.decisions import Cause, Decision
from dsmodel.progress import progress
from dsmodel.reports.egress.answers import paths_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.network import Network
    from dsmodel.graph.paths import Paths

__all__ = ["COLUMNS", "egress_failures", "elements_of"]

COLUMNS: Final = (
    "element",
    "kind",
    "destination",
    "ip_family",
    "pods",
    "lost",
    "down_with_it",
    "leaked",
    "moved",
    "other_source",
    "unknown",
    "is_single",
    "why",
)
"""Columns of `egress_failures`, in order."""

_COUNTED: Final = {"lost": "lost", "leaked": "leaked", "moved": "moved", "source": "other_source", "unknown": "unknown"}


def egress_failures(
    cluster: Cluster | Paths,
    destinations: Any = "internet",
    *,
    network: Network | None = None,
    failures: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Tell what breaks when one thing dies, per family.

    Parameters
    ----------
    cluster : Cluster or Paths
        A cluster to resolve, or paths that were resolved.
    destinations : str, Destination, mapping or sequence of these, default "internet"
        As `dsmodel.reports.egress` takes them. Paths have theirs.
    network : Network, optional
        What decides beside the cluster; what its objects show if left out. Paths have theirs.
    failures : sequence of str, optional
        What goes down, each alone, as `dsmodel.graph.network.Network.failing` takes it; what `elements_of` lists if
        left out.

    Returns
    -------
    pandas.DataFrame
        A row for an element, destination and family that it matters for; columns are `COLUMNS`. Single points of
        failure come first, then by pods that are lost elsewhere, lost at all, leaked and moved, then by element,
        destination as asked and family. ``pods`` work today; of these ``lost`` do not after, those included that are
        ``down_with_it`` because they run there; ``leaked`` go on past their policy, ``moved`` by another gateway,
        ``other_source`` with another address. ``is_single``: all that work today are lost.

    Raises
    ------
    InvalidInput
        A destination that is none; a failure of something that there is not.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import BorderNAT, Network
    >>> nat = BorderNAT(name="a", family="IPv4", addresses=("198.51.100.9",))
    >>> network = Network(masquerades=()).replacing(border=[nat], routed=["10.244.0.0/16"], default_route=True)
    >>> frame = egress_failures(kubeadm_dual_stack(), network=network)
    >>> frame[["element", "ip_family", "pods", "lost", "down_with_it", "is_single"]]
           element ip_family  pods  lost  down_with_it  is_single
    0        NAT/a      IPv4   120   120             0       True
    1  Zone/zone-c      IPv4   120    48            48      False
    2  Zone/zone-a      IPv4   120    37            37      False
    3  Zone/zone-b      IPv4   120    35            35      False
    """
    paths = paths_of(cluster, destinations, network)
    names = elements_of(paths) if failures is None else tuple(dict.fromkeys(failures))
    check_names(paths.network, paths.cluster, failures or ())
    rows: list[tuple[Any, ...]] = []
    with progress("failing", total=len(names)) as advance:
        for name in names:
            rows += _losses(paths, failed(paths, name), name)
            advance(1)
    rows.sort(key=lambda row: (*_gravity(row[2]), row[2][0], row[0], row[1]))
    columns = list(zip(*(row[2] for row in rows), strict=True)) or [()] * len(COLUMNS)
    frame = pd.DataFrame(dict(zip(COLUMNS, map(list, columns), strict=True)))
    counts = dict.fromkeys(COLUMNS[4:11], np.int64)
    return frame.astype(dict.fromkeys(COLUMNS, object) | counts | {"is_single": np.bool_})


def elements_of(paths: Paths) -> tuple[str, ...]:
    """List what paths depend on.

    Parameters
    ----------
    paths : Paths
        Of any pods and destinations.

    Returns
    -------
    tuple of str
        As `dsmodel.graph.network.Network.failing` takes them, sorted: the ways out of gateways, the nodes these stand
        on, translators at the border, zones, and the node that holds a destination alone. Any other node takes its own
        pods along and nothing else.

    Raises
    ------
    None
        Paths of nothing depend on nothing.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import Network
    >>> from dsmodel.graph.paths import resolve
    >>> elements_of(resolve(kubeadm_dual_stack(), network=Network()))
    ('Zone/zone-a', 'Zone/zone-b', 'Zone/zone-c')
    """
    nodes = [str(name) for name in paths.cluster.nodes["name"].tolist()]
    found = {f"Zone/{zone}" for zone in set(paths.cluster.nodes["zone"].tolist()) if zone}
    for half in paths.halves.values():
        for made in half.decisions:
            found |= {leave.name for leave in made.exits}
            found |= {f"Node/{nodes[leave.node]}" for leave in made.exits if leave.node >= 0}
            found |= {made.nat} if made.nat else set()
        for place in range(len(paths.destinations)):
            held = half.nodes_of(place)
            if len(held) == 1:
                found.add(f"Node/{nodes[int(held[0])]}")
    return tuple(sorted(found))


def _losses(before: Paths, after: Paths, name: str) -> list[tuple[Any, ...]]:
    """Return the rows of one element, each behind its destination and family."""
    rows = []
    everyone = np.arange(len(before.pods))
    for order, (family, half) in enumerate(before.halves.items()):
        then = after.halves[family]
        for place, one in enumerate(before.destinations):
            old, new = (each.codes(everyone, place).astype(np.int64) for each in (half, then))
            pairs, counts = np.unique(old * len(then.decisions) + new, return_counts=True)
            told = zip(pairs // len(then.decisions), pairs % len(then.decisions), counts.tolist(), strict=True)
            row = _counted([(half.decisions[was], then.decisions[will], count) for was, will, count in told])
            if row is not None:
                rows.append((place, order, (name, _kind(name), one.name, str(family), *row)))
    return rows


def _counted(changes: list[tuple[Decision, Decision, int]]) -> tuple[Any, ...] | None:
    """Count the pods of one destination by what becomes of them; None where nothing changes."""
    counts = dict.fromkeys(_COUNTED.values(), 0)
    works = down = 0
    reasons: dict[tuple[int, str], int] = {}
    order = list(_COUNTED)
    for old, new, pods in changes:
        if not old.verdict.works:
            continue
        works += pods
        change = kind_of_change(old, new)
        if change not in _COUNTED:
            continue
        counts[_COUNTED[change]] += pods
        is_down = new.cause is Cause.NODE_DOWN
        down += pods * is_down
        key = (order.index(change) + len(order) * is_down, new.reason)
        reasons[key] = reasons.get(key, 0) + pods
    if not any(counts.values()):
        return None
    why = min(reasons, key=lambda key: (key[0], -reasons[key], key[1]))[1]
    tail = (counts["leaked"], counts["moved"], counts["other_source"], counts["unknown"])
    return (works, counts["lost"], down, *tail, counts["lost"] == works, why)


def _gravity(row: tuple[Any, ...]) -> tuple[int, ...]:
    """Order rows by how grave they are; the gravest is the smallest."""
    lost, down, leaked, moved = row[5:9]
    return (not row[-2], down - lost, -lost, -leaked, -moved)


def _kind(name: str) -> str:
    """Say what kind of thing a name of `Network.failing` is."""
    kind, slash, _ = name.partition("/")
    return {"Node": "node", "Zone": "zone", "NAT": "NAT", "NAT64": "NAT64"}.get(kind, "gateway" if slash else "address")
