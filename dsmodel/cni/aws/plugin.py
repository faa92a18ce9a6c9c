"""AWS VPC CNI: addresses fetched from a subnet onto a node's interfaces, kept warm, handed to pods.

Promises growth to the warm targets, the 30 seconds a released address rests, and the subnet's side: five addresses and
one per interface gone, prefixes aligned and entirely free or not to be had. Pods never get both families: an IPv6
cluster has a /80 a node, which does not run out, and is not placed here.

It does not know EC2's own choice: addresses and prefixes are drawn from the free ones of the subnet. Inside a node the
plugin goes through interfaces and CIDRs in Go's map order; here in the order they were attached. Shrinking, custom
networking and security groups for pods are not modelled.

Sources: aws/amazon-vpc-cni-k8s ``pkg/ipamd/ipamd.go``, ``pkg/ipamd/datastore/data_store.go``.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cni.aws.limits import PREFIX_SIZE, WarmTargets
from dsmodel.cni.contract import Certainty, Placement, PodCidrRole, PoolUsage, Provenance, node_rows
from dsmodel.errors import InvalidInput, Reason
from dsmodel.pools.arrivals import Arrivals
from dsmodel.pools.ranges import AddressRange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.cni.aws.limits import Interfaces
    from dsmodel.cni.contract import JoiningNodes

__all__ = ["COOLDOWN_SECONDS", "PROVENANCE", "AwsVpcCni"]

PROVENANCE = Provenance(
    "aws-vpc-cni",
    Certainty.FROM_SOURCE,
    "aws/amazon-vpc-cni-k8s b521883 (August 2026)",
    ("pkg/ipamd/ipamd.go", "pkg/ipamd/datastore/data_store.go", "misc/eni-max-pods.txt"),
    "which addresses EC2 attaches, and through which interface a pod is served",
)

COOLDOWN_SECONDS = 30.0
"""How long a released address rests, IP_COOLDOWN_PERIOD. Source: ``pkg/ipamd/datastore/data_store.go``."""

RESERVED_FIRST, RESERVED_LAST = 4, 1  # what the VPC keeps of each subnet


class AwsVpcCni:
    """Nodes of one instance type in one subnet.

    Parameters
    ----------
    subnet : Cidr
        IPv4; the VPC keeps its first four addresses and its last.
    interfaces : Interfaces
        What each instance can attach.
    targets : WarmTargets
        What is kept ready.
    rng : numpy.random.Generator, optional
        Draws what EC2 chooses; a fixed one when not given.

    Raises
    ------
    InvalidInput
        The subnet is not IPv4.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import Cidr
    >>> from dsmodel.cni.aws.limits import Interfaces
    >>> aws = AwsVpcCni(Cidr("10.0.0.0/24"), interfaces=Interfaces(3, 10))
    >>> aws.add_nodes(2)
    array([0, 1])
    >>> aws.place([0] * 30).placed, aws.usage()[0].used
    (27, 40)
    """

    def __init__(
        self,
        subnet: Cidr,
        *,
        interfaces: Interfaces,
        targets: WarmTargets | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        if subnet.family is not IPFamily.IPV4:
            raise InvalidInput(f"subnet {subnet}: IPv6 nodes have a /80 each and need no subnet model; use IPv4")
        self.subnet, self.interfaces, self.targets = subnet, interfaces, targets or WarmTargets()
        self.pool = AddressRange(subnet, reserve_first=RESERVED_FIRST, reserve_last=RESERVED_LAST, strategy="sample")
        self._rng = rng or np.random.default_rng(0)
        self._attached = np.zeros(0, np.int64)  # interfaces of each node
        self._holder = np.zeros(0, np.int64)  # node of each interface
        self._primary = np.zeros(0, np.uint64)  # offset of each interface's own address
        self._node = np.zeros(0, np.int64)  # of each address on an interface
        self._offset = np.zeros(0, np.int64)
        self._used = np.zeros(0, np.bool_)
        self._released = np.zeros(0, np.float64)  # when, -inf for never
        self._now = 0.0

    @property
    def provenance(self) -> Provenance:
        """Where the rules come from."""
        return PROVENANCE

    @property
    def ip_families(self) -> tuple[IPFamily, ...]:
        """IPv4 alone: this plugin never gives a pod both."""
        return (IPFamily.IPV4,)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self._attached)

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """Pods have addresses of the subnet; nodes have no podCIDRs."""
        return PodCidrRole.REPLACED

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """The subnet."""
        return (self.subnet,)

    @property
    def node_ranges(self) -> Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]]:
        """None: a node has single addresses or prefixes."""
        return {}

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let instances join, each with its first interface and what is kept ready.

        Parameters
        ----------
        nodes : JoiningNodes
            In order of arrival.

        Returns
        -------
        ndarray of bool, shape (nodes,)
            Which have an interface.

        Raises
        ------
        None
            An instance the subnet has no address for is marked.
        """
        rows = self.add_nodes(len(nodes))
        return np.asarray(self._attached[rows] > 0)

    def remove_nodes(self, nodes: NDArray[np.integer] | Sequence[int]) -> None:
        """Let instances leave; their interfaces go, and with them all addresses.

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
        stays, holds = keep[self._node], keep[self._holder]
        self.pool.release(np.concatenate((self._offset[~stays].astype(np.uint64), self._primary[~holds])))
        self._node, self._holder = moved[self._node[stays]], moved[self._holder[holds]]
        self._offset, self._used = self._offset[stays], self._used[stays]
        self._released, self._primary = self._released[stays], self._primary[holds]
        self._attached = self._attached[keep]

    def add_nodes(self, n: int) -> NDArray[np.intp]:
        """Let instances join, each with its first interface and what is kept ready.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        ndarray of intp
            Their numbers.

        Raises
        ------
        None
            An instance the subnet has no address for has no interface, and runs no pods.
        """
        first = self.nodes
        self._attached = np.concatenate((self._attached, np.zeros(n, np.int64)))
        self._grow(np.bincount(self._node[self._used], minlength=self.nodes))
        return np.arange(first, first + n)

    def place(self, nodes: NDArray[np.integer] | Sequence[int], *, now: float | None = None) -> Placement:
        """Give each pod an address, after the pools have grown for all of them.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod, in order of arrival.
        now : float, optional
            Seconds; addresses released less than 30 seconds before rest. The latest time seen when not given.

        Returns
        -------
        Placement
            ``reason`` is POD_LIMIT where the instance can attach no more, POOL_FULL where the subnet has nothing left
            or addresses only rest.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        rows = node_rows(nodes, self.nodes)
        self._now = max(self._now, now or 0.0)
        busy = np.bincount(self._node[self._used], minlength=self.nodes)
        self._grow(busy + np.bincount(rows, minlength=self.nodes))
        ready = np.flatnonzero(~self._used & (self._released + COOLDOWN_SECONDS <= self._now))
        # an address that has rested goes first, then the lowest never used
        ready = ready[np.lexsort((ready, self._released[ready] < 0, self._node[ready]))]
        counts = np.bincount(self._node[ready], minlength=self.nodes)
        ranks = Arrivals.of(rows).ranks
        ok = ranks < counts[rows]
        chosen = ready[(np.cumsum(counts) - counts)[rows[ok]] + ranks[ok]]
        self._used[chosen] = True
        units = np.bincount(self._node, minlength=self.nodes) // (PREFIX_SIZE if self.targets.prefixes else 1)
        result = Placement.nothing(len(rows), self.ip_families, Reason.POOL_FULL)
        result.reason[units[rows] >= self.interfaces.slots] = Reason.POD_LIMIT
        result.reason[ok] = Reason.OK
        result.addresses[IPFamily.IPV4][ok] = self.pool.addresses(self._offset[chosen])
        return Placement(ok, result.reason, result.addresses)

    def release(
        self,
        nodes: NDArray[np.integer] | Sequence[int],
        addresses: Mapping[IPFamily, NDArray[Any]],
        *,
        now: float | None = None,
    ) -> None:
        """Take pods' addresses back; they stay on the node and rest.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod; an address is known without it.
        addresses : mapping of IPFamily to address column, shape (pods,)
            What each pod had; unknown ones are skipped.
        now : float, optional
            Seconds; the latest time seen when not given.

        Raises
        ------
        InvalidAddress
            A column is of the other family.
        """
        del nodes
        self._now = max(self._now, now or 0.0)
        offsets, inside = self.pool.offsets(addresses.get(IPFamily.IPV4, np.zeros(0, np.uint32)))
        gone = np.isin(self._offset, offsets[inside].astype(np.int64)) & self._used
        self._used[gone] = False
        self._released[gone] = self._now

    def usage(self) -> list[PoolUsage]:
        """Tell how full the subnet is, and what the nodes hold of it.

        Returns
        -------
        list of PoolUsage
            The subnet, interfaces and warm addresses counted as used; then the addresses on interfaces.

        Raises
        ------
        None
            Always an answer.
        """
        resting = ~self._used & (self._released + COOLDOWN_SECONDS > self._now)
        kept = RESERVED_FIRST + RESERVED_LAST
        text = f"{int(self._attached.sum())} interfaces"
        held = len(self._offset), int(self._used.sum()), 0, int(resting.sum())
        subnet = PoolUsage("subnet", IPFamily.IPV4, str(self.subnet), self.pool.usable, self.pool.used, kept)
        most = self.interfaces.slots * (PREFIX_SIZE if self.targets.prefixes else 1)
        return [
            replace(subnet, unit="subnet addresses", cidrs=self.cidrs),
            PoolUsage("node addresses", IPFamily.IPV4, text, *held, cidrs=self.cidrs, per_node=most),
        ]

    def holdings(self) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.int64]]:
        """Return what instances hold of the subnet.

        Returns
        -------
        tuple of address column, ndarray of uint8, ndarray of int64, shape (n,)
            First addresses, prefix lengths and nodes: interfaces' own addresses, then /28 prefixes or single ones.

        Raises
        ------
        None
            Always an answer.

        Examples
        --------
        >>> from dsmodel.addresses.cidr import Cidr
        >>> from dsmodel.cni.aws import Interfaces, WarmTargets
        >>> plugin = AwsVpcCni(Cidr("10.0.0.0/24"), interfaces=Interfaces(3, 10), targets=WarmTargets(prefixes=True))
        >>> _ = plugin.add_nodes(1)
        >>> plugin.holdings()[1:]
        (array([32, 28], dtype=uint8), array([0, 0]))
        """
        size = PREFIX_SIZE if self.targets.prefixes else 1
        offsets = np.concatenate((self._primary, self._offset[::size].astype(np.uint64)))
        lengths = np.full(len(offsets), 32 - size.bit_length() + 1, np.uint8)
        lengths[: len(self._primary)] = 32
        return self.pool.addresses(offsets), lengths, np.concatenate((self._holder, self._node[::size]))

    def copy(self) -> Self:
        """Return an independent plugin of the same state.

        Returns
        -------
        AwsVpcCni
            Nothing is shared that changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        for name, value in vars(self).items():
            setattr(twin, name, value.copy() if isinstance(value, np.ndarray | AddressRange) else value)
        twin._rng = copy.deepcopy(self._rng)
        return twin

    def _grow(self, pods: NDArray[np.integer]) -> None:
        """Attach what the targets ask for, node after node, while the subnet has it."""
        size = PREFIX_SIZE if self.targets.prefixes else 1
        has = np.bincount(self._node, minlength=self.nodes) // size
        wanted = np.maximum(self.targets.units(pods, interfaces=self.interfaces), has)
        each = self.interfaces.addresses - 1
        more = np.maximum(np.maximum(-(-wanted // each), 1) - self._attached, 0)
        if not self.targets.prefixes:
            # an interface and its addresses are fetched together, so a subnet that runs dry cuts between nodes
            room = np.maximum(self.pool.free - (np.cumsum(more + wanted - has) - (more + wanted - has)), 0)
            more = np.minimum(more, room)
            wanted = np.minimum(wanted, has + room - more)
        else:
            more = np.minimum(more, np.maximum(self.pool.free - (np.cumsum(more) - more), 0))
        own = self.pool.allocate_next(int(more.sum()), rng=self._rng).astype(np.uint64)
        self._primary = np.concatenate((self._primary, own))
        self._holder = np.concatenate((self._holder, np.repeat(np.arange(self.nodes), more)))
        self._attached = self._attached + more
        wanted = np.minimum(wanted, self._attached * each)
        owners = np.repeat(np.arange(self.nodes), wanted - has)
        offsets = self._fetch(len(owners))
        owners = np.repeat(owners[: len(offsets)], size)
        self._node = np.concatenate((self._node, owners))
        self._offset = np.concatenate((self._offset, offsets.reshape(-1)))
        self._used = np.concatenate((self._used, np.zeros(len(owners), np.bool_)))
        self._released = np.concatenate((self._released, np.full(len(owners), -np.inf)))

    def _fetch(self, n: int) -> NDArray[np.int64]:
        """Take single addresses, or aligned prefixes that are entirely free, as many as there are."""
        if not self.targets.prefixes:
            return self.pool.allocate_next(n, rng=self._rng).astype(np.int64)
        taken = np.ones(-(-self.subnet.size // PREFIX_SIZE) * PREFIX_SIZE, np.bool_)
        taken[RESERVED_FIRST : self.subnet.size - RESERVED_LAST] = False
        taken[self.pool.used_offsets()] = True
        free = np.flatnonzero(~taken.reshape(-1, PREFIX_SIZE).any(axis=1))
        blocks = self._rng.permutation(free)[:n] * PREFIX_SIZE
        offsets = blocks[:, None] + np.arange(PREFIX_SIZE)
        self.pool.allocate(offsets.reshape(-1).astype(np.uint64))
        return np.asarray(offsets, np.int64)
