"""What one more node, pod or Service takes from each pool of a cluster, and what one more node adds.

Promises the rows of `dsmodel.planning.limits.limits_of` in their order, then pod capacity of the node pools and zones
that demand names, then the ceilings of the scenario. What a node adds is found by adding one to a copy. Services take
cluster IPs and node ports in today's mix; without Services one of each that the limit counts.

What it does not know: time, and random numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.planning.limits import CANNOT_RUN_OUT, admitted_pods, limits_of, waiting_nodes
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.state import Cluster
    from dsmodel.planning.limits import Limit
    from dsmodel.planning.scenario.demands import Demand, Scenario

__all__ = ["Capacity", "capacities_of", "initial_counts", "more_nodes_of", "nodes_in"]

_LOAD_BALANCER = 3  # code of schema.SERVICE_TYPES


@dataclass(frozen=True, eq=False)
class Capacity:
    """One pool, and what demand does to it.

    Parameters
    ----------
    pool, family : str, IPFamily or None
        As of `Limit`.
    usable : int or None
        None where it cannot run out.
    used : int
        In use today, nodes that wait for a block included.
    takes, gives : ndarray of float64, shape (demands,)
        What one more object of each demand takes, and adds to ``usable``.
    enforced : bool
        False for published thresholds.
    why : str
        The limit's sentence.
    is_guess : bool
        Whether the range is only the smallest that covers what is in use.
    node_pool, zone : str
        The part of the cluster; empty is all of it.
    """

    pool: str
    family: IPFamily | None
    usable: int | None
    used: int
    takes: NDArray[np.float64]
    gives: NDArray[np.float64]
    enforced: bool = True
    why: str = ""
    is_guess: bool = False
    node_pool: str = ""
    zone: str = ""

    @property
    def is_bounded(self) -> bool:
        """Whether it can run out, and it is known when."""
        return self.usable is not None and not self.is_guess

    @property
    def is_full(self) -> bool:
        """Whether nothing is left today; what holds nothing yet, as pods of a cluster without nodes, is not full."""
        return self.usable is not None and self.used >= self.usable and self.used > 0

    @property
    def is_touched(self) -> bool:
        """Whether demand takes from it or adds to it."""
        return bool(self.takes.any() or self.gives.any())

    @property
    def title(self) -> str:
        """Pool, family and part in words."""
        return ", ".join(str(part) for part in (self.pool, self.family, self.node_pool, self.zone) if part)


def capacities_of(cluster: Cluster, demand: Scenario) -> list[Capacity]:
    """List every pool that demand may run into.

    Parameters
    ----------
    cluster : Cluster
        As it is today.
    demand : Scenario
        What grows.

    Returns
    -------
    list of Capacity
        In the order of `limits_of`, then parts of the cluster, then ceilings.

    Raises
    ------
    None
        Every cluster has pools.

    Examples
    --------
    >>> from dsmodel import examples
    >>> from dsmodel.planning.scenario import Scenario
    >>> demand = Scenario.of("2026-01-01", nodes_per_week=3, pods_per_week=200)
    >>> [(each.title, each.usable, each.gives.tolist()) for each in capacities_of(examples.nearly_full(), demand)][2:5]
    [('pod addresses, IPv4', 1000, [125.0, 0.0]), ('pod addresses, IPv6', None, [0.0, 0.0]),
     ('pods per node', 1100, [110.0, 0.0])]
    """
    limits = limits_of(cluster)
    twin = cluster.copy()
    twin.add_nodes(1)
    added = _added_by_a_node(limits, limits_of(twin))
    if not more_nodes_of(limits):  # no block is left to see what one brings: take a node that has one
        added |= _typical(cluster, limits)
    mix = _service_mix(cluster, limits)
    waiting = waiting_nodes(cluster)
    found = [_of_limit(limit, demand, added=added, mix=mix, waiting=waiting) for limit in limits]
    for part in _parts(demand.demands):
        found += _of_part(cluster, demand, part, added)
    for ceiling in demand.ceilings:
        takes, gives = (
            np.array([amounts.get(each.kind, 0.0) for each in demand.demands], np.float64)
            for amounts in (ceiling.takes, ceiling.gives)
        )
        why = f"A ceiling of the scenario: {ceiling.usable:,} usable, {ceiling.used:,} taken."
        found.append(Capacity(ceiling.pool, ceiling.ip_family, ceiling.usable, ceiling.used, takes, gives, why=why))  # type: ignore[arg-type]
    return found


def more_nodes_of(limits: list[Limit]) -> float:
    """Count the nodes that node blocks still allow.

    Parameters
    ----------
    limits : list of Limit
        Of a cluster.

    Returns
    -------
    float
        Infinite where no pool of blocks limits them, or none is known.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    blocks = [limit.more_nodes for limit in limits if limit.pool == "node blocks" and limit.more_nodes is not None]
    return float(min(blocks, default=math.inf))


def initial_counts(cluster: Cluster, demand: Scenario) -> list[int]:
    """Count the objects of each demand that exist today.

    Parameters
    ----------
    cluster : Cluster
        As it is today.
    demand : Scenario
        What grows. A part of the cluster is counted for the first demand that names it, and no more for the whole.

    Returns
    -------
    list of int
        One a demand.

    Raises
    ------
    None
        Every cluster has an answer.

    Examples
    --------
    >>> from dsmodel import examples
    >>> from dsmodel.planning.scenario import Scenario
    >>> initial_counts(examples.nearly_full(), Scenario.of("2026-01-01", nodes_per_week=3, pods_per_week=200))
    [10, 700]
    """
    left = {kind: counts.copy() for kind, counts in _counts_by_node(cluster).items()}
    is_balancer = cluster.services["type"] == _LOAD_BALANCER
    named = {each.kind for each in demand.demands}
    plain = int(np.count_nonzero(~is_balancer)) if "load_balancers" in named else len(cluster.services)
    whole = {
        "services": plain,
        "load_balancers": int(np.count_nonzero(is_balancer)),
        "node_ports": cluster.port_range.used,
        "connections": sum(each.used for each in demand.ceilings if "connections" in each.takes),
    }
    counts = [0] * len(demand.demands)
    # parts first: what they hold is not counted again for the whole
    for place in sorted(range(len(counts)), key=lambda place: not demand.demands[place].where):
        each = demand.demands[place]
        if each.kind in left:
            members = nodes_in(cluster, each.node_pool, each.zone)
            counts[place] = int(left[each.kind][members].sum())
            left[each.kind][members] = 0
        else:
            counts[place] = whole.pop(each.kind, 0)
    return counts


def nodes_in(cluster: Cluster, node_pool: str, zone: str) -> NDArray[np.intp]:
    """Find the nodes of a part of the cluster.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.
    node_pool, zone : str
        Empty for all.

    Returns
    -------
    ndarray of intp
        Rows of nodes.

    Raises
    ------
    None
        A part that no node is in has none.
    """
    nodes = cluster.nodes
    inside = np.ones(len(nodes), np.bool_)
    if node_pool:
        inside &= nodes["node_pool"] == node_pool
    if zone:
        inside &= nodes["zone"] == zone
    return np.flatnonzero(inside)


def _counts_by_node(cluster: Cluster) -> dict[str, NDArray[np.int64]]:
    """Count nodes and their pods with addresses, a value a node."""
    pods = cluster.pods
    rows = pods["node"][pods["holds_address"] & (pods["node"] >= 0)]
    n = len(cluster.nodes)
    return {"nodes": np.ones(n, np.int64), "pods": np.bincount(rows, minlength=n)}


def _added_by_a_node(before: list[Limit], after: list[Limit]) -> dict[tuple[str, str], float]:
    """Tell how much more of each pool there is with one more node."""
    usable = {_key(limit): limit.usable for limit in before}
    return {
        _key(limit): float(limit.usable - (usable[_key(limit)] or 0))
        for limit in after
        if limit.pool in {"pod addresses", "pods per node"} and limit.usable is not None and _key(limit) in usable
    }


def _typical(cluster: Cluster, limits: list[Limit]) -> dict[tuple[str, str], float]:
    """Tell what a node that has blocks holds, on average: what goes when one leaves."""
    typical = {}
    for limit in limits:
        if limit.pool == "pod addresses" and limit.usable is not None and limit.family is not None:
            with_block = int(np.count_nonzero(cluster.pod_blocks[limit.family].prefix_lengths))
            typical[_key(limit)] = limit.usable / with_block if with_block else 0.0
    return typical


def _key(limit: Limit) -> tuple[str, str]:
    return limit.pool, str(limit.family or "")


def _service_mix(cluster: Cluster, limits: list[Limit]) -> Mapping[tuple[str, str], tuple[float, float]]:
    """Tell what a Service of today takes of each pool on average: any of them, and one of type LoadBalancer."""
    services = cluster.services
    own = (services["namespace"] != "default") | (services["name"] != "kubernetes")
    balancers = own & (services["type"] == _LOAD_BALANCER)
    mix = {}
    for limit in limits:
        if limit.pool == "node ports":
            held = services["node_ports"].astype(np.int64) + (services["health_check_node_port"] > 0)
        elif limit.pool == "service addresses":
            held = services[f"has_cluster_{str(limit.family).lower()}"].astype(np.int64)
        else:
            continue
        means = (float(held[rows].mean()) if rows.any() else float(limit.service_cost) for rows in (own, balancers))
        mix[_key(limit)] = (next(means), next(means))
    return mix


def _of_limit(
    limit: Limit,
    demand: Scenario,
    *,
    added: Mapping[tuple[str, str], float],
    mix: Mapping[tuple[str, str], tuple[float, float]],
    waiting: int,
) -> Capacity:
    """Turn a limit into what each demand does to it."""
    service, balancer = mix.get(_key(limit), (1.0, 1.0))
    costs = {
        "nodes": float(limit.node_cost),
        "pods": float(limit.pod_cost),
        "services": limit.service_cost * service,
        "load_balancers": limit.service_cost * balancer,
        "node_ports": float(limit.pool == "node ports"),
        "connections": 0.0,
    }
    takes = np.array([costs[each.kind] for each in demand.demands], np.float64)
    more = added.get(_key(limit), 0.0)
    gives = np.array([more if each.kind == "nodes" else 0.0 for each in demand.demands], np.float64)
    used = limit.used + (waiting if limit.pool == "node blocks" else 0)
    is_guess = math.isnan(limit.growth_ratio)
    usable = None if limit.usable is not None and limit.usable >= CANNOT_RUN_OUT else limit.usable
    return Capacity(limit.pool, limit.family, usable, used, takes, gives, limit.enforced, limit.why, is_guess=is_guess)


def _parts(demands: tuple[Demand, ...]) -> list[tuple[str, str]]:
    """List the parts of the cluster that demand for pods names, each once, in order."""
    return list(dict.fromkeys((each.node_pool, each.zone) for each in demands if each.where and each.kind == "pods"))


def _of_part(
    cluster: Cluster, demand: Scenario, part: tuple[str, str], added: Mapping[tuple[str, str], float]
) -> Iterator[Capacity]:
    """Say what the nodes of one part hold: pod addresses of each family, and pods their kubelets admit."""
    members = nodes_in(cluster, *part)
    share = len(members) / len(cluster.nodes) if len(cluster.nodes) else 0.0
    # what is asked of the whole cluster lands here in proportion to its nodes
    weights = [
        1.0 if (each.node_pool, each.zone) == part else share if not each.where else 0.0 for each in demand.demands
    ]
    pods = np.array([w * (each.kind == "pods") for w, each in zip(weights, demand.demands, strict=True)])
    nodes = np.array([w * (each.kind == "nodes") for w, each in zip(weights, demand.demands, strict=True)])
    where = ", ".join(filter(None, part))
    why = (
        f"{counted(len(members), 'node')} of {where}; demand of the whole cluster counts here by their share, "
        f"{share:.3f}."
    )
    for family, blocks in cluster.pod_blocks.items():
        more = added.get(("pod addresses", str(family)))
        usable = sum(blocks.usable()[members].tolist())
        if more is None or usable >= CANNOT_RUN_OUT:
            continue
        used = int(blocks.used()[members].sum())
        yield Capacity("pod addresses", family, usable, used, pods, nodes * more, True, why, False, *part)
    usable, used = int(admitted_pods(cluster)[members].sum()), int(cluster.pod_counts[members].sum())
    more = added.get(("pods per node", ""), 0.0)
    yield Capacity("pods per node", None, usable, used, pods, nodes * more, True, why, False, *part)
