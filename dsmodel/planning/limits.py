"""What stops a cluster from growing: every pool by family, and every limit that is no address, with its arithmetic.

`limits_of` answers one row a limit. Growth is counted in today's mix: twice the cluster is twice the nodes, pods and
Services, so the row with the smallest `Limit.growth_ratio` is the one that stops it first (`binding`).

- Node blocks stop nodes. Nodes that wait for a block count as demand: a ratio below 1 says that not even today fits.
- Pod addresses and the kubelet's pod limit stop pods; their ratio counts the nodes that can still be added too.
- Cluster IPs and node ports stop Services. Ranges of one family serve together; a range inside another adds nothing.
- Published thresholds are rows, but nothing enforces them, so they never bind.
- A range that a dump does not name is guessed from the addresses in use. What more would fit is not known then, and
  such a row does not bind.
- With another network plugin than host-local, its pools take the place of pods' addresses, and of node blocks where it
  cuts nodes' ranges by itself or ignores podCIDRs (`dsmodel.planning.plugin_limits`).

What it does not know: fragmentation, time.

Sources: ``pkg/controller/nodeipam/ipam/cidrset/cidr_set.go``, ``pkg/registry/core/service/ipallocator`` and
``portallocator``, ``pkg/kubelet/apis/config/v1beta1/defaults.go`` of v1.36.2; containernetworking/plugins
``plugins/ipam/host-local``.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses.cidr import Cidr
from dsmodel.errors import InvalidInput
from dsmodel.planning.plugin_limits import node_blocks_count, plugin_rows, pods_a_node
from dsmodel.planning.thresholds import ROUTE_TABLES, THRESHOLDS
from dsmodel.wording import agreeing, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.state import Cluster, ClusterPool
    from dsmodel.planning.plugin_limits import PluginRow
    from dsmodel.planning.thresholds import RouteTable

__all__ = ["CANNOT_RUN_OUT", "Limit", "admitted_pods", "binding", "limits_of", "waiting_nodes"]

# A pool with this many values or more is never the one that runs out; its counts are given as None.
CANNOT_RUN_OUT = 1 << 48

_FINISHED = (3, 4)  # codes of schema.PHASES: Succeeded, Failed
_HOST_LOCAL = {"IPv4": (3, "network, gateway and broadcast"), "IPv6": (2, "the first two")}


@dataclass(frozen=True)
class Limit:
    """One thing that stops growth.

    Parameters
    ----------
    pool : str
        "node blocks", "plugin blocks", "subnet addresses", "pod addresses", "pods per node", "service addresses",
        "node ports", "published: ...".
    family : IPFamily or None
        None where both families share it.
    range : str
        The CIDR, ports or numbers it comes from.
    usable, free : int or None
        None where the pool cannot run out.
    used : int
        In use today; for node blocks without those of a service range.
    node_cost, pod_cost, service_cost : int
        What one more node, pod or Service takes from it.
    more_nodes, more_pods, more_services : int or None
        How many more fit by this row alone; None where it does not limit them.
    growth_ratio : float
        Times today's size that fit; infinite where it cannot bind, NaN where the range is a guess.
    enforced : bool
        False for published thresholds.
    why : str
        One sentence with flag, arithmetic and source.
    """

    pool: str
    family: IPFamily | None
    range: str
    usable: int | None
    used: int
    free: int | None
    growth_ratio: float
    why: str
    node_cost: int = 0
    pod_cost: int = 0
    service_cost: int = 0
    more_nodes: int | None = None
    more_pods: int | None = None
    more_services: int | None = None
    enforced: bool = True


def limits_of(cluster: Cluster, *, cloud: str | None = None) -> list[Limit]:
    """List everything that stops the cluster from growing.

    Parameters
    ----------
    cluster : Cluster
        Any cluster, an empty one included.
    cloud : str, optional
        Whose route table keeps a route for each node and family: a name of `thresholds.ROUTE_TABLES`.

    Returns
    -------
    list of Limit
        Node blocks, pools of a network plugin, pod addresses, pods per node, routes of a cloud, service addresses, node
        ports, published thresholds; families in the order of the configuration.

    Raises
    ------
    InvalidInput
        A cloud that is not known.

    Examples
    --------
    >>> from dsmodel import Cluster, ClusterConfig
    >>> cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.42.0.0/16", "fd01::/64"]))
    >>> [(limit.pool, str(limit.family), limit.more_nodes) for limit in limits_of(cluster)[:2]]
    [('node blocks', 'IPv4', 256), ('node blocks', 'IPv6', 1)]
    """
    pools: dict[str, list[ClusterPool]] = defaultdict(list)
    for pool in cluster.pools():
        pools[pool.kind].append(pool)
    waiting = waiting_nodes(cluster)
    blocks = []
    if node_blocks_count(cluster.network_plugin):
        blocks = [_node_blocks(cluster, pool, waiting) for pool in pools["node blocks"] if not pool.name]
    own = plugin_rows(cluster)
    rooms = [limit.more_nodes or 0 for limit in blocks] + [row.free for row in own if row.stops == "nodes"]
    # with a plugin that has no ranges of nodes, nothing but its pools of addresses stops them
    more_nodes = min(rooms, default=0 if cluster.network_plugin is None else None)
    if _is_guessed(cluster, "cluster_cidrs"):
        blocks = [_at_least(limit) for limit in blocks]
    services = list(_service_addresses(cluster, pools["service addresses"]))
    if _is_guessed(cluster, "service_cidrs"):
        services = [_at_least(limit) for limit in services]
    return [
        *blocks,
        *(_plugin_pool(row, more_nodes) for row in own),
        *(_pod_addresses(cluster, pool, more_nodes or 0) for pool in pools["pod addresses"] if not pool.name),
        _pods_per_node(cluster, more_nodes),
        *(_routes(cluster, table) for table in _route_tables(cloud)),
        *services,
        *(_node_ports(cluster, pool) for pool in pools["node ports"]),
        *_published(cluster),
    ]


def binding(limits: Sequence[Limit]) -> int | None:
    """Find the limit that stops growth first.

    Parameters
    ----------
    limits : sequence of Limit
        From `limits_of`.

    Returns
    -------
    int or None
        Place of the enforced limit with the smallest growth ratio, the first of equals. Where nothing is in use yet,
        the node blocks that allow the fewest nodes. None where nothing can bind.

    Raises
    ------
    None
        Every list has an answer.

    Examples
    --------
    >>> from dsmodel import Cluster, ClusterConfig
    >>> limits = limits_of(Cluster(ClusterConfig.of(cluster_cidrs=["10.42.0.0/16", "fd01::/64"])))
    >>> str(limits[binding(limits)].family)
    'IPv6'
    """
    known = [(place, limit) for place, limit in enumerate(limits) if not math.isnan(limit.growth_ratio)]
    ranked = [(limit.growth_ratio, place) for place, limit in known if limit.enforced]
    nodes = [(limit.more_nodes or 0, place) for place, limit in known if limit.pool == "node blocks"]
    if nodes and all(limits[place].growth_ratio == math.inf for _, place in nodes):
        return min(nodes)[1]
    ratio, place = min(ranked, default=(math.inf, 0))
    return None if ratio == math.inf else place


def admitted_pods(cluster: Cluster) -> NDArray[np.int64]:
    """Return how many pods each node's kubelet admits.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.

    Returns
    -------
    ndarray of int64, shape (nodes,)
        The node's allocatable pods, or the configured ``max_pods`` where it does not say.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    pods = cluster.nodes["allocatable_pods"].astype(np.int64)
    return np.where(pods > 0, pods, cluster.config.max_pods)


def waiting_nodes(cluster: Cluster) -> int:
    """Count nodes that node IPAM owes a block.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.

    Returns
    -------
    int
        Nodes without any podCIDR; 0 where no cluster CIDR is configured.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    if cluster.node_ipam is None:
        return 0
    nodes = cluster.nodes
    return int(np.count_nonzero(~(nodes["has_pod_cidr_ipv4"] | nodes["has_pod_cidr_ipv6"])))


def _ratio(usable: int | None, demand: int) -> float:
    """Return how many times a demand fits."""
    if usable is None or not demand:
        return math.inf
    return usable / demand


def _is_guessed(cluster: Cluster, field: str) -> bool:
    """Tell whether a range of the configuration is only the smallest that covers what is in use."""
    return cluster.config.evidence.get(field, "").startswith("guess")


def _at_least(limit: Limit) -> Limit:
    """Take back what a guessed range cannot tell: how much more fits."""
    why = f"At least: {limit.why}"
    return replace(limit, growth_ratio=math.nan, more_nodes=None, more_pods=None, more_services=None, why=why)


def _bounded(value: int) -> int | None:
    """Return a count, or None where it is too large to be reached."""
    return None if value >= CANNOT_RUN_OUT else value


def _node_blocks(cluster: Cluster, pool: ClusterPool, waiting: int) -> Limit:
    config, family = cluster.config, pool.family
    usable, used = pool.usable - pool.reserved, pool.used - pool.reserved
    mask, cidr = pool.block_prefix_length, Cidr(pool.range)
    flag = f"--node-cidr-mask-size-{str(family).lower()}" if len(config.cluster_cidrs) > 1 else "--node-cidr-mask-size"
    less = f", less {pool.reserved} that a service range covers" if pool.reserved else ""
    lost = f", {pool.leaked} of them lost until kube-controller-manager restarts" if pool.leaked else ""
    wait = f", and {counted(waiting, 'node')} without podCIDR {agreeing(waiting, 'waits', 'wait')}" if waiting else ""
    return Limit(
        "node blocks",
        family,
        f"{pool.range} in /{mask} blocks",
        usable,
        used,
        pool.free,
        _ratio(usable, used + waiting),
        f"--cluster-cidr {pool.range} with {flag} {mask} is 2^({mask}-{cidr.prefix_length}) = "
        f"{counted(pool.usable, 'node block', none='no')}{less}; {used:,} taken{lost}{wait} "
        f"({_known(cluster, 'cluster_cidrs')}).",
        node_cost=1,
        more_nodes=max(0, pool.free),
    )


def _pod_addresses(cluster: Cluster, pool: ClusterPool, more_nodes: int) -> Limit:
    family = pool.family
    assert family is not None  # noqa: S101 - pods' addresses have a family; tells the type checker
    lengths = cluster.pod_blocks[family].prefix_lengths
    found, counts = np.unique(lengths[lengths > 0], return_counts=True)
    parts = [f"{count:,} x /{length}" for length, count in zip(found.tolist(), counts.tolist(), strict=True)]
    kept, words = _HOST_LOCAL[str(family)]
    mask = pool.block_prefix_length or int(found[-1] if len(found) else 0)
    fresh = max(0, (1 << (family.bits - mask)) - kept)
    reach = pool.usable + more_nodes * fresh
    free = _bounded(pool.free)
    return Limit(
        "pod addresses",
        family,
        " + ".join(parts) or "no node has a block",
        _bounded(pool.usable),
        pool.used,
        free,
        _ratio(_bounded(reach), pool.used),
        f"host-local keeps {words}: a /{mask} node block serves 2^{family.bits - mask} - {kept} pods; "
        f"{counted(pool.used, 'address')} taken on {counted(int(counts.sum()), 'node', none='no')}, and "
        f"{counted(more_nodes, 'more node', none='no')} "
        "can bring blocks (containernetworking/plugins, host-local).",
        pod_cost=1,
        more_pods=free,
    )


def _plugin_pool(row: PluginRow, more_nodes: int | None) -> Limit:
    """Judge a pool of the network plugin."""
    reach: int | None = row.usable
    if row.per_node:
        reach = None if more_nodes is None else row.usable + more_nodes * row.per_node
    free = _bounded(row.free)
    return Limit(
        row.pool,
        row.family,
        row.range,
        _bounded(row.usable),
        row.used,
        free,
        _ratio(None if reach is None else _bounded(reach), row.used + row.waits) if row.stops else math.inf,
        row.why,
        node_cost=int(row.stops == "nodes"),
        pod_cost=int(row.stops == "pods"),
        more_nodes=free if row.stops == "nodes" else None,
        more_pods=free if row.stops == "pods" else None,
        enforced=bool(row.stops),
    )


def _pods_per_node(cluster: Cluster, more_nodes: int | None) -> Limit:
    admitted, most = admitted_pods(cluster), cluster.config.max_pods
    brought, words = pods_a_node(cluster.network_plugin)
    if brought is not None and brought < max(most, int(admitted.max(initial=0))):
        admitted, most = np.minimum(admitted, brought), min(most, brought)
    else:
        words = ""
    usable, used = int(admitted.sum()), int(cluster.pod_counts.sum())
    sizes, counts = np.unique(admitted, return_counts=True)
    parts = [f"{count:,} x {size}" for size, count in zip(sizes.tolist(), counts.tolist(), strict=True)]
    free = max(0, usable - used)
    more = "more nodes" if more_nodes is None else counted(more_nodes, "more node", none="no")
    return Limit(
        "pods per node",
        None,
        " + ".join(parts) or f"{most} a node",
        usable,
        used,
        free,
        _ratio(None if more_nodes is None else usable + more_nodes * most, used),
        f"kubelet maxPods: {counted(len(admitted), 'node', none='no')} admit {counted(usable, 'pod')} and "
        f"run {used:,}, those of the host "
        f"network included, and {more} would admit {most} each ({_known(cluster, 'max_pods')})"
        f"{'; ' * bool(words)}{words}.",
        pod_cost=1,
        more_pods=free,
    )


def _service_addresses(cluster: Cluster, pools: Sequence[ClusterPool]) -> Iterator[Limit]:
    for family in dict.fromkeys(pool.family for pool in pools):
        own = [pool for pool in pools if pool.family is family]
        cidrs = [Cidr(pool.range) for pool in own]
        # CIDRs that overlap are nested: what another range covers adds no address
        widest = [
            pool for pool, cidr in zip(own, cidrs, strict=True) if not any(cidr != o and cidr in o for o in cidrs)
        ]
        usable, used = sum(pool.usable for pool in widest), sum(pool.used for pool in widest)
        free, band = sum(pool.free for pool in widest), sum(pool.band_offset for pool in widest)
        arithmetic = " + ".join(_service_arithmetic(pool) for pool in widest)
        last = f", the {min(band, usable):,} lowest (static band) handed out last" if band else ""
        yield Limit(
            "service addresses",
            family,
            " + ".join(pool.range for pool in own),
            _bounded(usable),
            used,
            _bounded(free),
            _ratio(_bounded(usable), used),
            f"--service-cluster-ip-range {arithmetic}{last}; {used:,} taken ({_known(cluster, 'service_cidrs')}).",
            service_cost=1,
            more_services=_bounded(free),
        )


def _service_arithmetic(pool: ClusterPool) -> str:
    """Write how many cluster IPs a range holds."""
    cidr = Cidr(pool.range)
    reach = f"2^{cidr.host_bits_count}" if pool.usable >= CANNOT_RUN_OUT else f"{pool.usable:,}"
    kept = "network and broadcast" if str(pool.family) == "IPv4" else "the first address"
    return f"{pool.range} has {reach} cluster IPs without {kept}"


def _node_ports(cluster: Cluster, pool: ClusterPool) -> Limit:
    return Limit(
        "node ports",
        None,
        pool.range,
        pool.usable,
        pool.used,
        pool.free,
        _ratio(pool.usable, pool.used),
        f"--service-node-port-range {pool.range} is {pool.usable:,} ports for both families and all protocols; "
        f"{pool.used:,} taken, one a port of a NodePort or LoadBalancer Service and one more for each health check "
        f"({_known(cluster, 'service_node_port_range')}).",
        service_cost=1,
        more_services=pool.free,
    )


def _route_tables(cloud: str | None) -> list[RouteTable]:
    """Find the route table of a cloud."""
    if cloud is None:
        return []
    found = [table for table in ROUTE_TABLES if table.cloud == cloud]
    if not found:
        known = ", ".join(table.cloud for table in ROUTE_TABLES)
        raise InvalidInput(f"cloud={cloud!r}: route tables are known of {known}")
    return found


def _routes(cluster: Cluster, table: RouteTable) -> Limit:
    nodes = cluster.nodes
    used = int(np.count_nonzero(nodes["has_pod_cidr_ipv4"])) + int(np.count_nonzero(nodes["has_pod_cidr_ipv6"]))
    each = max(1, len({cidr.family for cidr in cluster.config.cluster_cidrs}))
    free = max(0, table.most - used)
    return Limit(
        "cloud routes",
        None,
        table.cloud,
        table.most,
        used,
        free,
        _ratio(table.most, used),
        f"{table.cloud} keeps {counted(table.most, 'route')} and each node takes {each}, one for each "
        "family of its podCIDRs: "
        f"{counted(table.most // each, 'node')} at most ({table.source}, {table.as_of}).",
        node_cost=each,
        more_nodes=free // each,
    )


def _published(cluster: Cluster) -> Iterator[Limit]:
    running = int(np.count_nonzero(~np.isin(cluster.pods["phase"], _FINISHED)))
    counts = {"nodes": len(cluster.nodes), "pods": running, "services": len(cluster.services)}
    for threshold in THRESHOLDS:
        used = counts[threshold.counts]
        free = {threshold.counts: max(0, threshold.most - used)}
        yield Limit(
            f"published: {threshold.counts}",
            None,
            "",
            threshold.most,
            used,
            free[threshold.counts],
            _ratio(threshold.most, used),
            f"Kubernetes is tested up to {threshold.most:,} {threshold.counts}; nothing enforces it "
            f"({threshold.source}).",
            node_cost=int("nodes" in free),
            pod_cost=int("pods" in free),
            service_cost=int("services" in free),
            more_nodes=free.get("nodes"),
            more_pods=free.get("pods"),
            more_services=free.get("services"),
            enforced=False,
        )


def _known(cluster: Cluster, field: str) -> str:
    """Say how a field of the configuration is known."""
    return cluster.config.evidence.get(field, "given")
