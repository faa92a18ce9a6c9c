"""Trajectories through the real allocators: nodes join and leave, pods and Services come and go, on a copy.

Promises the demand of each trajectory is drawn first and counted too, so that what differs is what allocators do:
blocks that node IPAM loses, addresses free on nodes that no pod is put on, node blocks that move slowly. An interrupt
leaves the cluster as it was.

- Pods go to random free places of ready nodes, as the scheduler does that counts places and knows no addresses; one
  that finds no address waits and tries again the next step.
- Pods of a node that leaves start elsewhere. A node without podCIDRs waits, and is replaced once every family has a
  block free.
- Services are like those of today, drawn at random.

What it does not know: taints, sizes of pods, affinity; retries within a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.cluster.schema import IP_FAMILIES, IP_FAMILY_POLICIES, SERVICE_TYPES
from dsmodel.planning.forecasting.capacities import nodes_in
from dsmodel.planning.forecasting.results import NEVER
from dsmodel.planning.limits import admitted_pods, waiting_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import NDArray

    from dsmodel.planning.forecasting.capacities import Capacity
    from dsmodel.planning.forecasting.questions import Question

__all__ = ["replay"]

_MOST_SEED = 1 << 63
_LOAD_BALANCER, _EXTERNAL_NAME = 3, 4  # codes of schema.SERVICE_TYPES


def replay(
    question: Question, n: int, *, rng: np.random.Generator
) -> Generator[float, None, tuple[NDArray[np.int32], NDArray[Any], dict[str, NDArray[Any]]]]:
    """Run trajectories through the allocators, a step at a time.

    Parameters
    ----------
    question : Question
        What is asked.
    n : int
        Trajectories.
    rng : numpy.random.Generator
        Decides.

    Yields
    ------
    float
        Share of the steps that were taken.

    Returns
    -------
    first : ndarray of int32, shape (pools, n)
        Day each pool is full, or refuses, for the first time.
    moved : ndarray of float64, shape (points, demands, n)
        How many more are asked for of each demand.
    replayed : dict
        As of `Forecast`.

    Raises
    ------
    None
        The question was checked.
    """
    pools, points = len(question.capacities), {step: place for place, step in enumerate(question.fan_steps.tolist())}
    first, counted = (np.full((pools, n), NEVER, np.int32) for _ in range(2))
    stranded, leaked = (np.full((pools, n), np.nan) for _ in range(2))
    moved = np.zeros((len(points), len(question.kinds), n))
    for place, start in enumerate(rng.integers(_MOST_SEED, size=n).tolist()):
        generator = np.random.default_rng(start)
        path = _Trajectory(question, generator)
        passage = question.passage(1)
        populations = question.populations(1, generator, law="exact")
        for step in range(question.steps):
            for population in populations:
                population.advance(step)
            passage.observe([population.moved for population in populations])
            path.advance(
                step, [(int(each.arrived[0]), int(each.left[0])) for each in populations],
                [float(each.moved[0]) for each in populations],
            )  # fmt: skip
            if step + 1 in points:
                moved[points[step + 1], :, place] = [float(each.moved[0]) for each in populations]
            yield (place * question.steps + step + 1) / (n * question.steps)
        first[:, place] = question.days(path.first)
        counted[:, place] = question.days(passage.first[:, 0])
        stranded[:, place], leaked[:, place] = path.stranded, path.leaked()
    return first, moved, {"counts": counted, "stranded": stranded, "leaked": leaked}


class _Trajectory:
    """One future of a copy of the cluster."""

    def __init__(self, question: Question, rng: np.random.Generator) -> None:
        self.question, self.rng = question, rng
        self.cluster = question.cluster.copy()
        demands = question.demand.demands
        self._waiting = [0] * len(demands)  # pods and Services that found nothing
        # which demand each pod and Service belongs to; -1 for those of none
        self._pods = self._owners_of_pods()
        self._services = self._owners_of_services()
        self._ports: dict[int, NDArray[Any]] = {}
        self._template = _template(question)
        self._short: set[tuple[str, str]] = set()  # families and parts that refused a pod in this step
        self.first: NDArray[np.int32] = np.full(len(question.capacities), np.iinfo(np.int32).max, np.int32)
        self.stranded = np.full(len(question.capacities), np.nan)
        self._look(0, [0.0] * len(demands))

    def advance(self, step: int, changes: list[tuple[int, int]], moved: list[float]) -> None:
        """Let objects leave and come, and look at the pools."""
        self._short.clear()
        kinds = self.question.kinds
        for stream, (_, left) in enumerate(changes):
            if left:
                getattr(self, f"_drop_{kinds[stream]}", self._drop_nothing)(stream, left)
        self._replace_waiting_nodes()
        for stream, (arrived, _) in enumerate(changes):
            if arrived and kinds[stream] == "nodes":
                each = self.question.demand.demands[stream]
                self.cluster.add_nodes(arrived, node_pool=each.node_pool, zone=each.zone)
        for stream, (arrived, _) in enumerate(changes):
            if kinds[stream] == "pods":
                self._start_pods(stream, self._waiting[stream] + arrived)
            elif kinds[stream] in {"services", "load_balancers"}:
                self._create_services(stream, self._waiting[stream] + arrived)
            elif kinds[stream] == "node_ports" and arrived:
                self._take_ports(stream, arrived)
        self._look(step + 1, moved)

    def leaked(self) -> list[float]:
        """Node blocks lost at the end, for each pool of blocks."""
        lost = self.cluster.leaked
        return [
            float(lost.get(each.family, 0)) if each.pool == "node blocks" and each.family else float("nan")
            for each in self.question.capacities
        ]

    # who leaves

    def _drop_nothing(self, stream: int, n: int) -> None:
        """Leave demand alone that holds nothing of the cluster."""

    def _drop_nodes(self, stream: int, n: int) -> None:
        each = self.question.demand.demands[stream]
        members = nodes_in(self.cluster, each.node_pool, each.zone)
        gone = self.rng.choice(members, size=min(n, len(members)), replace=False)
        self._remove_nodes(gone)

    def _remove_nodes(self, gone: NDArray[np.intp]) -> None:
        """Delete nodes; their pods start elsewhere, except those of the node's own network."""
        pods = self.cluster.pods
        on_them = np.isin(pods["node"], gone)
        for stream in np.unique(self._pods[on_them & pods["holds_address"]]).tolist():
            if stream >= 0:
                self._waiting[stream] += int(np.count_nonzero(on_them & pods["holds_address"] & (self._pods == stream)))
        self._pods = self._pods[~on_them]
        self.cluster.remove_nodes(gone)

    def _drop_pods(self, stream: int, n: int) -> None:
        rows = self._leaving(self._pods, stream, n)
        self.cluster.remove_pods(rows)
        self._pods = np.delete(self._pods, rows)

    def _drop_services(self, stream: int, n: int) -> None:
        rows = self._leaving(self._services, stream, n)
        self.cluster.remove_services(rows)
        self._services = np.delete(self._services, rows)

    _drop_load_balancers = _drop_services

    def _drop_node_ports(self, stream: int, n: int) -> None:
        held = self._ports.get(stream, np.zeros(0, np.uint64))
        order = self.rng.permutation(len(held))
        self.cluster.port_range.release(held[order[:n]])
        self._ports[stream] = held[order[n:]]

    def _leaving(self, owners: NDArray[np.int16], stream: int, n: int) -> NDArray[np.intp]:
        """Choose who goes: some of those that wait, and rows of the others."""
        rows = np.flatnonzero(owners == stream)
        n = min(n, len(rows) + self._waiting[stream])
        waiting = int(self.rng.hypergeometric(self._waiting[stream], len(rows), n)) if self._waiting[stream] else 0
        self._waiting[stream] -= waiting
        return np.sort(self.rng.choice(rows, size=n - waiting, replace=False))

    # who comes

    def _replace_waiting_nodes(self) -> None:
        """Delete nodes that wait for a block, and let as many join, where every family has blocks."""
        ipam = self.cluster.node_ipam
        n = min(waiting_nodes(self.cluster), *(blocks.free for blocks in ipam.sets)) if ipam and ipam.sets else 0
        if n <= 0:
            return
        nodes = self.cluster.nodes
        rows = np.flatnonzero(~(nodes["has_pod_cidr_ipv4"] | nodes["has_pod_cidr_ipv6"]))[:n]
        zone, pool = nodes["zone"][rows], nodes["node_pool"][rows]
        self._remove_nodes(rows)
        self.cluster.add_nodes(n, zone=zone, node_pool=pool)

    def _start_pods(self, stream: int, n: int) -> None:
        each = self.question.demand.demands[stream]
        nodes = self.cluster.nodes
        members = nodes_in(self.cluster, each.node_pool, each.zone)
        members = members[nodes["ready"][members] & ~nodes["unschedulable"][members]]
        room = np.maximum(admitted_pods(self.cluster) - self.cluster.pod_counts, 0)[members]
        placed = min(n, int(room.sum()))
        if n > placed:
            self._short |= {("pods per node", part) for part in ("", _part(each.node_pool, each.zone))}
        self._waiting[stream] = n - placed
        if not placed:
            return
        counts = self.rng.multivariate_hypergeometric(room, placed, method="marginals")
        where = np.repeat(members, counts)
        outcome = self.cluster.add_pods(where)
        self._pods = np.concatenate((self._pods, np.full(outcome.granted, stream, np.int16)))
        refused = ~outcome.ok
        self._waiting[stream] += int(np.count_nonzero(refused))
        if refused.any():
            self._note_short_nodes(np.unique(where[refused]))

    def _note_short_nodes(self, nodes: NDArray[np.intp]) -> None:
        """Remember which family had no address left where a pod was refused, and in which part."""
        pools, zones = self.cluster.nodes["node_pool"], self.cluster.nodes["zone"]
        parts = {(each.node_pool, each.zone) for each in self.question.capacities}
        for family, blocks in self.cluster.pod_blocks.items():
            short = nodes[(blocks.free()[nodes] == 0) & (blocks.prefix_lengths[nodes] > 0)]
            for pool, zone in parts if len(short) else ():
                inside = np.ones(len(short), np.bool_)
                inside &= (pools[short] == pool) if pool else True
                inside &= (zones[short] == zone) if zone else True
                if inside.any():
                    self._short.add((f"pod addresses {family}", _part(pool, zone)))

    def _create_services(self, stream: int, n: int) -> None:
        if not n:
            return
        outcome = self.cluster.add_services(self._asked(stream, n), rng=self.rng)
        self._waiting[stream] = int(np.count_nonzero(~outcome.ok))
        self._services = np.concatenate((self._services, np.full(outcome.granted, stream, np.int16)))

    def _asked(self, stream: int, n: int) -> pd.DataFrame:
        """Draw Services like those of today."""
        rows = self._template[stream]
        if not len(rows):
            balancer = self.question.kinds[stream] == "load_balancers"
            return pd.DataFrame({"type": ["LoadBalancer" if balancer else "ClusterIP"] * n})
        return rows.iloc[self.rng.integers(len(rows), size=n)].reset_index(drop=True)

    def _take_ports(self, stream: int, n: int) -> None:
        ports = self.cluster.port_range
        taken = ports.allocate_next(min(n, ports.free), rng=self.rng)
        self._ports[stream] = np.concatenate((self._ports.get(stream, taken[:0]), taken))

    # what is full

    def _look(self, step: int, moved: list[float]) -> None:
        """Note the pools that are full, or have refused, for the first time."""
        free = self._free()
        for place, capacity in enumerate(self.question.capacities):
            if not capacity.is_bounded or self.first[place] <= step:
                continue
            if not capacity.usable and not capacity.used and (step == 0 or not capacity.is_touched):
                continue  # nothing there yet, and nothing asked of it
            part = _part(capacity.node_pool, capacity.zone)
            left = free(capacity, moved)
            refused = (f"{capacity.pool} {capacity.family}" if capacity.family else capacity.pool, part) in self._short
            if left <= 0 or refused:
                self.first[place], self.stranded[place] = step, max(left, 0)

    def _free(self) -> Callable[[Capacity, list[float]], float]:
        """Count once what this step left, and tell it of any pool."""
        cluster = self.cluster
        blocks = {each.cluster_cidr.family: each.free for each in cluster.node_ipam.sets} if cluster.node_ipam else {}
        waiting = waiting_nodes(cluster)
        room = np.maximum(admitted_pods(cluster) - cluster.pod_counts, 0)
        running = int(np.count_nonzero(cluster.pods["holds_address"]))
        counts = {"nodes": len(cluster.nodes), "pods": running, "services": len(cluster.services)}

        def free(capacity: Capacity, moved: list[float]) -> float:
            family, pool = capacity.family, capacity.pool
            members = nodes_in(cluster, capacity.node_pool, capacity.zone)
            left = (capacity.usable or 0) - capacity.used - float((capacity.takes - capacity.gives) @ moved)
            if pool == "node blocks" and family in blocks:
                left = blocks[family] if blocks[family] > waiting else 0
            elif pool == "pod addresses" and family is not None:
                left = float(cluster.pod_blocks[family].free()[members].sum())
            elif pool == "pods per node":
                left = float(room[members].sum())
            elif pool == "service addresses" and family is not None:
                left = cluster.service_ranges.free(family)
            elif pool == "node ports":
                left = cluster.port_range.free
            elif pool.startswith("published: "):
                left = (capacity.usable or 0) - counts[pool.removeprefix("published: ")]
            return left

        return free

    # who is there today

    def _owners_of_pods(self) -> NDArray[np.int16]:
        """Say which demand each pod of today belongs to: that of its part, else that of the whole cluster."""
        pods, owners = self.cluster.pods, np.full(len(self.cluster.pods), -1, np.int16)
        for stream in self._parts_first("pods"):
            each = self.question.demand.demands[stream]
            inside = np.isin(pods["node"], nodes_in(self.cluster, each.node_pool, each.zone))
            owners[inside & pods["holds_address"] & (owners < 0)] = stream
        return owners

    def _owners_of_services(self) -> NDArray[np.int16]:
        """Say which demand each Service of today belongs to; ``default/kubernetes`` to none."""
        services = self.cluster.services
        owners = np.full(len(services), -1, np.int16)
        own = (services["namespace"] != "default") | (services["name"] != "kubernetes")
        is_balancer = services["type"] == _LOAD_BALANCER
        for stream in self._parts_first("load_balancers"):
            owners[own & is_balancer & (owners < 0)] = stream
        for stream in self._parts_first("services"):
            owners[own & (owners < 0)] = stream
        return owners

    def _parts_first(self, kind: str) -> list[int]:
        """Give the demands of a kind, those of parts of the cluster first."""
        demands = self.question.demand.demands
        places = [place for place, each in enumerate(demands) if each.kind == kind]
        return sorted(places, key=lambda place: not demands[place].where)


def _part(node_pool: str, zone: str) -> str:
    """Name a part of the cluster; empty for all of it."""
    return ", ".join(filter(None, (node_pool, zone)))


def _template(question: Question) -> list[pd.DataFrame]:
    """Give for each demand the Services of today that new ones are like."""
    services = question.cluster.services
    own = (services["namespace"] != "default") | (services["name"] != "kubernetes")
    own &= services["type"] != _EXTERNAL_NAME
    is_balancer = services["type"] == _LOAD_BALANCER
    split = "load_balancers" in question.kinds
    frames = []
    for kind in question.kinds:
        chosen = own & (is_balancer if kind == "load_balancers" else ~is_balancer if split else own)
        rows = np.flatnonzero(chosen)
        columns: dict[str, Any] = {
            "type": [SERVICE_TYPES[code] for code in services["type"][rows].tolist()],
            "ip_family_policy": [IP_FAMILY_POLICIES[code] for code in services["ip_family_policy"][rows].tolist()],
            "ip_families": [IP_FAMILIES[code] for code in services["ip_families"][rows].tolist()],
            "headless": services["headless"][rows],
            "ports": np.maximum(services["node_ports"][rows].astype(np.int64), 1),
        }
        frames.append(pd.DataFrame(columns))
    return frames
