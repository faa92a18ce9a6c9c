"""Azure CNI in a subnet: a node's addresses all up front (node subnet), or fetched in batches (pod subnet, dynamic).

Promises the planning formula ``(nodes + surge) x (1 + maxPods)`` of a node subnet, node by node, whole or not at all;
and for a pod subnet the batches of the newer rule, which shrink again, and single addresses once the subnet is
exhausted. Both families or nothing. A pod gets any of its node's free addresses, at once those just given back.

Which addresses the cloud gives a node and the node a pod is map order or the cloud's choice: both are drawn.

What it does not know: machines' own addresses where pods have a subnet of their own; time: a batch is there at once.

Sources: Azure/azure-container-networking ``ipam/pool.go``, ``cns/ipampool/v2/monitor.go``, ``cns/restserver/ipam.go``;
learn.microsoft.com, IP address planning of AKS; Azure keeps five addresses of each subnet (virtual network FAQ).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses import arrays
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cni.azure.limits import EXHAUSTED, MOST_PODS, PROVENANCE, Scaler
from dsmodel.cni.contract import Placement, PodCidrRole, PoolUsage, node_rows
from dsmodel.errors import InvalidField, InvalidInput, Reason
from dsmodel.pools.arrivals import Arrivals
from dsmodel.pools.ranges import AddressRange
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.cni.contract import JoiningNodes, Provenance

__all__ = ["AzureSubnet"]

_FIRST, _LAST = 4, 1  # addresses that Azure keeps of each subnet


@dataclass
class _Held:
    """What nodes hold of one family's subnet: one row an address, a node's own among them."""

    pool: AddressRange
    node: NDArray[np.int64]
    offset: NDArray[np.uint64]
    used: NDArray[np.bool_]
    own: NDArray[np.bool_]  # a node's or network container's own, which no pod gets

    @classmethod
    def of(cls, subnet: Cidr) -> Self:
        """Start without nodes."""
        pool = AddressRange(subnet, reserve_first=_FIRST, reserve_last=_LAST, strategy="sample")
        none = np.zeros(0, np.bool_)
        return cls(pool, np.zeros(0, np.int64), np.zeros(0, np.uint64), none, none)

    def counts(self, nodes: int, where: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Count rows by node."""
        rows = self.node if where is None else self.node[where]
        return np.bincount(rows, minlength=nodes).astype(np.int64)

    def fetch(self, more: NDArray[np.int64], rng: np.random.Generator) -> None:
        """Take addresses of the subnet for each node; the first of a node without any is its own."""
        owners = np.repeat(np.arange(len(more)), more)
        first = np.zeros(len(owners), np.bool_)
        first[(np.cumsum(more) - more)[(more > 0) & (self.counts(len(more)) == 0)]] = True
        taken = self.pool.allocate_next(len(owners), rng=rng).astype(np.uint64)
        self.node, self.offset = np.concatenate((self.node, owners)), np.concatenate((self.offset, taken))
        self.used = np.concatenate((self.used, np.zeros(len(owners), np.bool_)))
        self.own = np.concatenate((self.own, first))

    def drop(self, rows: NDArray[np.bool_]) -> None:
        """Give addresses back to the subnet."""
        self.pool.release(self.offset[rows])
        self.node, self.offset = self.node[~rows], self.offset[~rows]
        self.used, self.own = self.used[~rows], self.own[~rows]

    def in_order(self, rows: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
        """Put rows node by node, those of a node in drawn order."""
        drawn: NDArray[np.intp] = rows[np.lexsort((rng.random(len(rows)), self.node[rows]))]
        return drawn


class AzureSubnet:
    """Nodes whose pods have addresses of a subnet of the virtual network.

    Parameters
    ----------
    subnets : sequence of Cidr
        One, or one of each family; Azure keeps the first four addresses and the last of each.
    max_pods : int
        Of each node of a node subnet, which fetches as many addresses and its own when it joins.
    scaler : Scaler, optional
        How nodes fetch batches instead, from a subnet for pods.
    rng : numpy.random.Generator, optional
        Draws what the cloud and the map order choose; a fixed one when not given.

    Raises
    ------
    InvalidInput
        Two subnets of one family, or none.
    InvalidField
        A maximum of pods AKS does not have.

    Examples
    --------
    A /24 holds eight nodes of 30 pods, and no upgrade that adds a ninth:

    >>> from dsmodel.addresses.cidr import Cidr
    >>> azure = AzureSubnet([Cidr("10.240.0.0/24")])
    >>> azure.add_nodes(9).tolist().count(True), azure.usage()[0].free
    (8, 0)
    >>> dynamic = AzureSubnet([Cidr("10.241.0.0/24")], scaler=Scaler())
    >>> _ = dynamic.add_nodes(2), dynamic.place([0] * 25)
    >>> [(line.pool, line.usable, line.used) for line in dynamic.usage()]
    [('subnet', 251, 64), ('node addresses', 62, 25)]
    """

    def __init__(
        self,
        subnets: Sequence[Cidr],
        *,
        max_pods: int = 30,
        scaler: Scaler | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        families = [subnet.family for subnet in subnets]
        if not families or len(set(families)) < len(families):
            raise InvalidInput(f"subnets {list(map(str, subnets))}: give one, or one of each family")
        if not 1 <= max_pods <= MOST_PODS:
            raise InvalidField("maxPods", max_pods, f"use 1 to {MOST_PODS}")
        self.cidrs = tuple(sorted(subnets, key=lambda cidr: list(IPFamily).index(cidr.family)))
        self.max_pods, self.scaler = max_pods, scaler
        self.nodes = 0
        self._held = {cidr.family: _Held.of(cidr) for cidr in self.cidrs}
        self._rng = rng or np.random.default_rng(0)

    @property
    def provenance(self) -> Provenance:
        """Where the rules come from."""
        return replace(PROVENANCE, plugin=f"azure-cni, {'pod' if self.scaler else 'node'} subnet")

    @property
    def ip_families(self) -> tuple[IPFamily, ...]:
        """Those of the subnets."""
        return tuple(self._held)

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """Pods have addresses of the subnet; nodes have no podCIDRs."""
        return PodCidrRole.REPLACED

    @property
    def node_ranges(self) -> Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]]:
        """None: a node has single addresses."""
        return {}

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let nodes join, each with its first addresses.

        Parameters
        ----------
        nodes : JoiningNodes
            In order of arrival.

        Returns
        -------
        ndarray of bool, shape (nodes,)
            Which have addresses for pods.

        Raises
        ------
        None
            Nodes without are marked.
        """
        return self.add_nodes(len(nodes))

    def add_nodes(self, n: int) -> NDArray[np.bool_]:
        """Let nodes join, each with its first addresses.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        ndarray of bool, shape (n,)
            Which have addresses for pods; of a node subnet a node gets all of its own or is not made.

        Raises
        ------
        None
            Nodes without are marked.
        """
        first = self.nodes
        self.nodes += n
        if self.scaler is not None:
            self._grow(self._busy())
        else:
            each = 1 + self.max_pods
            served = min([n, *(held.pool.free // each for held in self._held.values())])
            more = np.zeros(self.nodes, np.int64)
            more[first : first + served] = each
            for held in self._held.values():
                held.fetch(more, self._rng)
        return np.asarray(self._room()[first:] > 0)

    def add_holders(
        self, addresses: Mapping[IPFamily, tuple[NDArray[np.integer], NDArray[Any], NDArray[np.bool_]]]
    ) -> int:
        """Let nodes of a live cluster join with the addresses they have.

        Parameters
        ----------
        addresses : mapping of IPFamily to (array of integers, address column, ndarray of bool), each of shape (n,)
            Number of the node among those that join, its address, and whether that is its own and no pod's.

        Returns
        -------
        int
            How many addresses lie outside the subnets, or are held twice; they count nowhere.

        Raises
        ------
        KeyError
            No subnet is of the family.
        """
        first, strange = self.nodes, 0
        for family, (node, column, own) in addresses.items():
            held = self._held[family]
            offsets, inside = held.pool.offsets(column)
            fresh = np.zeros(len(offsets), np.bool_)
            fresh[np.unique(offsets, return_index=True)[1]] = True
            kept = inside & fresh & ~held.pool.has(np.where(inside, offsets, 0).astype(np.uint64))
            strange += int(np.count_nonzero(~kept))
            held.pool.occupy(offsets[kept])
            held.node = np.concatenate((held.node, first + np.asarray(node, np.int64)[kept]))
            held.offset = np.concatenate((held.offset, offsets[kept].astype(np.uint64)))
            held.own = np.concatenate((held.own, own[kept]))
            held.used = np.concatenate((held.used, np.zeros(int(kept.sum()), np.bool_)))
            self.nodes = max(self.nodes, first + int(np.max(node, initial=-1)) + 1)
        return strange

    def occupy(
        self, nodes: NDArray[np.integer] | Sequence[int], addresses: Mapping[IPFamily, NDArray[Any]]
    ) -> NDArray[np.bool_]:
        """Mark addresses that pods of a live cluster have.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod; an address is known without it.
        addresses : mapping of IPFamily to address column, shape (pods,)
            What each pod has.

        Returns
        -------
        ndarray of bool, shape (pods,)
            Whether a node holds every address.

        Raises
        ------
        InvalidAddress
            A column is of the other family.
        """
        known = np.ones(len(nodes), np.bool_)
        for family, column in addresses.items():
            if family in self._held:
                held = self._held[family]
                offsets, inside = held.pool.offsets(column)
                held.used |= np.isin(held.offset, offsets[inside]) & ~held.own
                known &= inside & np.isin(offsets, held.offset)
        return known

    def remove_nodes(self, nodes: NDArray[np.integer] | Sequence[int]) -> None:
        """Let nodes leave; the subnet takes their addresses back.

        Parameters
        ----------
        nodes : array of integers
            Which; those after move up.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        keep = np.ones(self.nodes, np.bool_)
        keep[node_rows(nodes, self.nodes)] = False
        moved = np.cumsum(keep) - 1
        for held in self._held.values():
            held.drop(~keep[held.node])
            held.node = moved[held.node]
        self.nodes = int(keep.sum())

    def place(self, nodes: NDArray[np.integer] | Sequence[int]) -> Placement:
        """Give each pod an address of every family, or none, after nodes have fetched for all of them.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod, in order of arrival.

        Returns
        -------
        Placement
            ``reason`` is POD_LIMIT where the node may hold no more, POOL_FULL where the subnet has nothing left,
            CIDR_NOT_AVAILABLE for a node without any address.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        rows = node_rows(nodes, self.nodes)
        self._grow(self._busy() + np.bincount(rows, minlength=self.nodes))
        room = self._room()
        ranks = Arrivals.of(rows).ranks
        ok = ranks < room[rows]
        result = Placement.nothing(len(rows), self.ip_families, Reason.POOL_FULL)
        most = self.max_pods + 1 if self.scaler is None else self.scaler.max_ips
        has = np.min([held.counts(self.nodes) for held in self._held.values()], axis=0)
        result.reason[has[rows] >= most] = Reason.POD_LIMIT
        result.reason[has[rows] == 0] = Reason.CIDR_NOT_AVAILABLE
        result.reason[ok] = Reason.OK
        for family, held in self._held.items():
            free = ~held.used & ~held.own
            order = held.in_order(np.flatnonzero(free), self._rng)
            counts = held.counts(self.nodes, free)
            chosen = order[(np.cumsum(counts) - counts)[rows[ok]] + ranks[ok]]
            held.used[chosen] = True
            result.addresses[family][ok] = held.pool.addresses(held.offset[chosen])
        self._shrink()
        return Placement(ok, result.reason, result.addresses)

    def release(self, nodes: NDArray[np.integer] | Sequence[int], addresses: Mapping[IPFamily, NDArray[Any]]) -> None:
        """Take pods' addresses back; surplus batches go back to the subnet.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod; an address is known without it.
        addresses : mapping of IPFamily to address column, shape (pods,)
            What each pod had; unknown ones are skipped.

        Raises
        ------
        InvalidAddress
            A column is of the other family.
        """
        del nodes
        for family, column in addresses.items():
            if family in self._held:
                held = self._held[family]
                offsets, inside = held.pool.offsets(column)
                held.used &= ~np.isin(held.offset, offsets[inside])
        self._shrink()

    def usage(self) -> list[PoolUsage]:
        """Tell how full each subnet is, and what nodes hold of it.

        Returns
        -------
        list of PoolUsage
            Of a subnet for pods its addresses, what nodes hold ready counted as used; of a node subnet the shares of
            one node each. Then nodes' addresses for pods.

        Raises
        ------
        None
            Always an answer.
        """
        most = self.max_pods if self.scaler is None else self.scaler.max_ips - 1
        subnets, nodes = [], []
        for subnet, (family, held) in zip(self.cidrs, self._held.items(), strict=True):
            if self.scaler is None:
                share = 1 + self.max_pods
                text = f"{subnet} in {share} addresses a node"
                line = PoolUsage("subnet", family, text, held.pool.usable // share, held.pool.used // share)
                subnets.append(replace(line, unit="node ranges", cidrs=(subnet,)))
            else:
                line = PoolUsage("subnet", family, str(subnet), held.pool.usable, held.pool.used, _FIRST + _LAST)
                subnets.append(replace(line, unit="subnet addresses", cidrs=(subnet,)))
            own = int(held.own.sum())
            text = f"on {counted(int(np.count_nonzero(held.counts(self.nodes))), 'node')}"
            line = PoolUsage("node addresses", family, text, len(held.own) - own, int(held.used.sum()))
            nodes.append(replace(line, cidrs=(subnet,), per_node=most))
        return subnets + nodes

    def holdings(self, family: IPFamily) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.int64]]:
        """Return what nodes hold of a subnet.

        Parameters
        ----------
        family : IPFamily
            Of the subnet.

        Returns
        -------
        tuple of address column, ndarray of uint8, ndarray of int64, shape (n,)
            Single addresses, their length, and nodes; none of a family without a subnet.

        Raises
        ------
        None
            Always an answer.
        """
        if family not in self._held:
            return arrays.empty(0, family), np.zeros(0, np.uint8), np.zeros(0, np.int64)
        held = self._held[family]
        return held.pool.addresses(held.offset), np.full(len(held.offset), family.bits, np.uint8), held.node

    def taken(self, family: IPFamily) -> tuple[NDArray[Any], int]:
        """Return what is taken of a subnet, and how much of it there is.

        Parameters
        ----------
        family : IPFamily
            Of the subnet.

        Returns
        -------
        tuple of address column and int
            In the order of the subnet; addresses it has without those that Azure keeps.

        Raises
        ------
        KeyError
            No subnet is of the family.
        """
        pool = self._held[family].pool
        return pool.addresses(pool.used_offsets()), pool.usable

    def copy(self) -> Self:
        """Return an independent plugin of the same state.

        Returns
        -------
        AzureSubnet
            Nothing is shared that changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._held = {
            family: _Held(held.pool.copy(), held.node.copy(), held.offset.copy(), held.used.copy(), held.own.copy())
            for family, held in self._held.items()
        }
        twin._rng = copy.deepcopy(self._rng)
        return twin

    def _busy(self) -> NDArray[np.int64]:
        """Count the addresses in use on each node, of the family with more."""
        return np.asarray(np.max([held.counts(self.nodes, held.used) for held in self._held.values()], axis=0))

    def _room(self) -> NDArray[np.int64]:
        """Count the pods that each node has addresses for, of every family."""
        free = [held.counts(self.nodes, ~held.used & ~held.own) for held in self._held.values()]
        return np.asarray(np.min(free, axis=0))

    def _grow(self, pods: NDArray[np.int64]) -> None:
        """Fetch batches, node after node, and single addresses once a whole batch is not to be had."""
        if self.scaler is None:
            return
        for held in self._held.values():
            has = held.counts(self.nodes)
            lacking = np.maximum(self.scaler.target(pods) - has, 0)
            whole = np.cumsum(lacking) <= held.pool.free
            lacking[~whole] = 0
            left = held.pool.free - int(lacking.sum())
            # the node's own address is one of those it asks for
            single = np.minimum(EXHAUSTED.target(pods) + 1, self.scaler.max_ips) - has
            single = np.where(whole, 0, np.maximum(single, 0))
            lacking += np.minimum(single, np.maximum(left - (np.cumsum(single) - single), 0))
            held.fetch(lacking, self._rng)

    def _shrink(self) -> None:
        """Give back what is above the target, never an address in use nor a node's own."""
        if self.scaler is None:
            return
        for held in self._held.values():
            surplus = np.maximum(held.counts(self.nodes) - self.scaler.target(self._busy()), 0)
            free = ~held.used & ~held.own
            order = held.in_order(np.flatnonzero(free), self._rng)
            counts = held.counts(self.nodes, free)
            place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
            rows = np.zeros(len(held.node), np.bool_)
            rows[order[place < surplus[held.node[order]]]] = True
            held.drop(rows)
