"""What a cluster shows of itself: counts, how full its pools are, what is wrong, how its configuration is known.

Promises: nothing is worked out that the cluster does not hold already, so that a large cluster shows itself at once.

What it does not know: what runs out first, which is a question for `dsmodel.reports`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.cards import Card, Section
from dsmodel.wording import counted

if TYPE_CHECKING:
    from dsmodel.cluster.state import Cluster

__all__ = ["card_of"]

_WORST_FIRST = ("fatal", "error", "warning", "info")
_ENDLESS = 1 << 48  # from here a number says less than a word


def card_of(cluster: Cluster) -> Card:
    """Show a cluster.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.

    Returns
    -------
    Card
        Pools, findings by rule, configuration.

    Raises
    ------
    None
        Every cluster has one.

    Examples
    --------
    >>> from dsmodel import Cluster, ClusterConfig
    >>> cluster = Cluster(ClusterConfig.of(kube_version="1.36", service_cidrs=["10.96.0.0/24"]))
    >>> card_of(cluster).title
    'Cluster(Kubernetes 1.36, IPv4: 0 nodes, 0 pods, 1 service; cluster CIDRs none; service CIDRs 10.96.0.0/24)'
    >>> card_of(cluster).sections[0].rows[0]
    ('service addresses', 'IPv4', '10.96.0.0/24', '1', '253')
    """
    settings = cluster.config.card().sections[0]
    return Card(
        _title(cluster),
        (
            Section("Pools", _pools(cluster), ("pool", "family", "range", "used", "free")),
            Section("Findings", _findings(cluster), ("severity", "rule", "times", "first")),
            Section(f"Configuration ({settings.title[8:-1]})", settings.rows, settings.header, is_open=False),
        ),
    )


def _title(cluster: Cluster) -> str:
    """Say in a line what it is."""
    ranges = ", ".join(map(str, cluster.config.cluster_cidrs)) or "none"
    services = ", ".join(map(str, cluster.config.service_cidrs)) or "none"
    families = "+".join(cluster.config.ip_families) or "no family"
    return (
        f"Cluster(Kubernetes {cluster.config.kube_version}, {families}: {counted(len(cluster.nodes), 'node')}, "
        f"{counted(len(cluster.pods), 'pod')}, {counted(len(cluster.services), 'service')}; cluster CIDRs {ranges}; "
        f"service CIDRs {services})"
    )


def _pools(cluster: Cluster) -> list[tuple[str, ...]]:
    """Count what is in use of each pool."""
    return [
        (
            pool.kind,
            str(pool.family or ""),
            pool.range,
            f"{pool.used:,}",
            f"{pool.free:,}" if pool.free < _ENDLESS else "cannot run out",
        )
        for pool in cluster.pools()
    ]


def _findings(cluster: Cluster) -> list[tuple[str, ...]]:
    """Count the findings of each rule, and name the first."""
    table = cluster.findings.to_frame()
    rows = []
    for (severity, rule), found in table.groupby(["severity", "rule"], observed=True, sort=True):
        first = found.iloc[0]
        about = f"{first['object']}: " if first["object"] else ""
        rows.append((str(severity), str(rule), f"{len(found):,}", f"{about}{first['message']}"))
    return sorted(rows, key=lambda row: (_WORST_FIRST.index(row[0]), row[1]))
