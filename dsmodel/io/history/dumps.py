"""Read observations out of a cluster, and tell when its dump was written.

Promises one observation for each pool and for nodes, pods on the pod network, Services and load balancers, counted as
a forecast counts them; nodes and pods also for each node pool and zone that labels of nodes name, beside their total. A
dump carries no date of its own: the newest time that its objects name is the earliest it can have been written, and on
a cluster where anything happens it is close.

What it does not know: the clock of the machine that wrote the objects.
"""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dsmodel.io.dump_sources import find_sources
from dsmodel.io.history.observations import table_of

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from dsmodel.cluster.state import Cluster

__all__ = ["newest_time", "observations_of_cluster"]

_PIECE: Final = 1 << 24
_OVERLAP: Final = 256  # longer than a key with its time
# times of what has happened; those of what is to come (expiry of a certificate, of a grace period) are left out
_STAMP = re.compile(
    rb'"?\b(?:creationTimestamp|lastTransitionTime|lastHeartbeatTime|lastProbeTime|lastUpdateTime|startTime|startedAt|'
    rb"finishedAt|completionTime|firstTimestamp|lastTimestamp|lastObservedTime|eventTime|acquireTime|renewTime|time)"
    rb'"?\s*:\s*["\']?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z'
)
_LOAD_BALANCER: Final = 3  # code of schema.SERVICE_TYPES


def observations_of_cluster(cluster: Cluster, time: pd.Timestamp) -> pd.DataFrame:
    """Count what a cluster has.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.
    time : pandas.Timestamp
        When it was so.

    Returns
    -------
    pandas.DataFrame
        As `dsmodel.io.history.observations.table_of` gives them. Load balancers are not among the Services. What is
        reserved is neither used nor usable.

    Raises
    ------
    None
        Every cluster has an answer.

    Examples
    --------
    >>> from dsmodel import examples
    >>> table = observations_of_cluster(examples.nearly_full(), pd.Timestamp("2026-01-01", tz="UTC"))
    >>> table.loc[[0, 4, 16], ["pool", "ip_family", "node_pool", "zone", "used"]].values.tolist()
    [['nodes', '', '', '', 10.0], ['nodes', '', 'general', 'zone-a', 3.0], ['node blocks', 'IPv4', '', '', 10.0]]
    """
    balancers = int(np.count_nonzero(cluster.services["type"] == _LOAD_BALANCER))
    rows: list[dict[Any, object]] = [
        {"pool": name, "used": float(count)}
        for name, count in (
            ("nodes", len(cluster.nodes)),
            ("pods", int(np.count_nonzero(cluster.pods["holds_address"]))),
            ("services", len(cluster.services) - balancers),
            ("load balancers", balancers),
        )
    ]
    rows += _parts(cluster)
    totals: dict[tuple[str, str, str], dict[str, object]] = {}
    for pool in cluster.pools():
        key = (pool.kind, str(pool.family) if pool.family else "", pool.range)
        used, usable = float(pool.used - pool.reserved), float(pool.usable - pool.reserved)
        if key in totals:  # pools of a plugin that share a range
            used, usable = used + float(str(totals[key]["used"])), usable + float(str(totals[key]["usable"]))
        totals[key] = dict(zip(("pool", "ip_family", "range"), key, strict=True)) | {"used": used, "usable": usable}
    return table_of([{"time": time, "source": "dump", **row} for row in (*rows, *totals.values())])


def _parts(cluster: Cluster) -> list[dict[Any, object]]:
    """Count nodes and pods of each node pool and zone; nodes without either label are a part of no name, left out."""
    nodes, pods = cluster.nodes, cluster.pods
    rows = pods["node"][pods["holds_address"] & (pods["node"] >= 0)]
    frame = pd.DataFrame(
        {
            "node_pool": np.asarray(nodes["node_pool"], object),
            "zone": np.asarray(nodes["zone"], object),
            "nodes": 1,
            "pods": np.bincount(rows, minlength=len(nodes)),
        }
    )
    counts = frame.groupby(["node_pool", "zone"], sort=True)[["nodes", "pods"]].sum()
    counts = counts.drop(index=[("", "")], errors="ignore")
    names = counts.index.to_frame(index=False)
    return [
        row
        for kind in ("nodes", "pods")
        for row in names.assign(pool=kind, used=counts[kind].to_numpy(np.float64)).to_dict("records")
    ]


def newest_time(place: str | os.PathLike[str]) -> pd.Timestamp | None:
    """Tell the newest time that a dump's objects name.

    Parameters
    ----------
    place : path
        A dump: a file, plain or gzip, or a folder of such files.

    Returns
    -------
    pandas.Timestamp or None
        In UTC, to the second; None if no object names one.

    Raises
    ------
    InvalidDump
        If there is no such file, or a folder without a dump.

    Examples
    --------
    >>> from dsmodel.io.samples import sample_path
    >>> str(newest_time(sample_path("nearly-full")))
    '2026-11-22 21:53:54+00:00'
    """
    newest = b""
    for source in find_sources(place):
        if source.path is not None:
            newest = max(newest, _newest_in(source.path))
    return pd.Timestamp(newest.decode(), tz="UTC") if newest else None


def _newest_in(path: Path) -> bytes:
    """Look through a file piece by piece."""
    newest, tail = b"", b""
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        file = gzip.GzipFile(fileobj=plain) if packed else plain
        while piece := file.read(_PIECE):
            newest = max([newest, *_STAMP.findall(tail + piece)])
            tail = piece[-_OVERLAP:]
    return newest
