"""AWS VPC CNI: addresses fetched from a subnet onto a node's interfaces, kept warm, handed to pods.

Promises maximum pods, the warm pool's targets for single addresses and /28 prefixes, the 30 seconds a released address
rests, and the subnet's side: five addresses and one per interface gone, prefixes aligned and entirely free or not to be
had. Pods never get both families: an IPv6 cluster has a /80 a node, which does not run out, and is not placed here.

It does not know EC2's own choice: addresses and prefixes are drawn from the free ones of the subnet. Inside a node the
plugin goes through interfaces and CIDRs in Go's map order; here in the order they were attached. Custom networking
and security groups for pods are not modelled, but for the interface the former costs.

Sources: aws/amazon-vpc-cni-k8s ``pkg/ipamd/ipamd.go``, ``pkg/ipamd/datastore/data_store.go``,
``misc/eni-max-pods.txt``, ``docs/eni-and-ip-target.md``, ``docs/prefix-and-ip-target.md``; awslabs/amazon-eks-ami
``files/max-pods-calculator.sh``.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily, format_address, parse_address
from dsmodel.cni.contract import Certainty, Placement, PoolUsage, Provenance, node_rows
from dsmodel.errors import InvalidField, InvalidInput, Reason
from dsmodel.pools.arrivals import Arrivals
from dsmodel.pools.ranges import AddressRange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "COOLDOWN_SECONDS",
    "PROVENANCE",
    "AwsVpcCni",
    "Interfaces",
    "WarmTargets",
    "max_pods",
    "prefix_chance",
    "read_checkpoint",
    "read_interfaces",
]

PROVENANCE = Provenance(
    "aws-vpc-cni",
    Certainty.FROM_SOURCE,
    "aws/amazon-vpc-cni-k8s b521883 (August 2026)",
    ("pkg/ipamd/ipamd.go", "pkg/ipamd/datastore/data_store.go", "misc/eni-max-pods.txt"),
    "which addresses EC2 attaches, and through which interface a pod is served",
)

COOLDOWN_SECONDS = 30.0
"""How long a released address rests, IP_COOLDOWN_PERIOD. Source: ``pkg/ipamd/datastore/data_store.go``."""

_PREFIX = 16  # addresses of a /28
_HOST_NETWORK_PODS = 2
_SMALL_INSTANCE_VCPUS = 30
_RESERVED_FIRST, _RESERVED_LAST = 4, 1  # what the VPC keeps of each subnet


@dataclass(frozen=True)
class Interfaces:
    """What an instance type can attach.

    Parameters
    ----------
    count : int
        Network interfaces.
    addresses : int
        IPv4 addresses of each, the primary one included.

    Examples
    --------
    >>> Interfaces(3, 4).slots
    9
    """

    count: int
    addresses: int

    @property
    def slots(self) -> int:
        """Secondary addresses, or prefixes, of all interfaces together."""
        return self.count * (self.addresses - 1)


def max_pods(
    interfaces: ArrayLike,
    addresses: ArrayLike,
    *,
    prefixes: bool = False,
    custom_networking: bool = False,
    vcpus: int | None = None,
) -> NDArray[np.int64]:
    """Return how many pods instances can run.

    Parameters
    ----------
    interfaces, addresses : array of integers
        Interfaces of each instance type, and IPv4 addresses of each interface, the primary one included.
    prefixes : bool
        Prefix delegation.
    custom_networking : bool
        The first interface serves no pods.
    vcpus : int, optional
        When given, the recommended maximum: 110 up to 30 vCPUs, 250 above.

    Returns
    -------
    ndarray of int64
        Two pods of the host network included.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Notes
    -----
    Source: awslabs/amazon-eks-ami ``files/max-pods-calculator.sh``.

    Examples
    --------
    >>> max_pods([3, 3], [10, 4]), max_pods(3, 10, prefixes=True), max_pods(3, 10, prefixes=True, vcpus=2)
    (array([29, 11]), array(434), array(110))
    """
    usable = np.asarray(interfaces, np.int64) - (1 if custom_networking else 0)
    pods = usable * (np.asarray(addresses, np.int64) - 1) * (_PREFIX if prefixes else 1) + _HOST_NETWORK_PODS
    if vcpus is None:
        return np.asarray(pods)
    return np.asarray(np.minimum(pods, 110 if vcpus <= _SMALL_INSTANCE_VCPUS else 250))


@dataclass(frozen=True)
class WarmTargets:
    """What ipamd keeps ready on a node.

    Parameters
    ----------
    warm_eni : int
        WARM_ENI_TARGET; counts while neither address target is set.
    warm_prefix : int
        WARM_PREFIX_TARGET; takes its place with prefix delegation.
    warm_ip, minimum_ip : int or None
        WARM_IP_TARGET and MINIMUM_IP_TARGET; either one overrides the two above.
    prefixes : bool
        ENABLE_PREFIX_DELEGATION.

    Raises
    ------
    InvalidField
        A negative target, or none above 0 with prefix delegation.

    Examples
    --------
    >>> WarmTargets().units([0, 5, 9], interfaces=Interfaces(3, 4))
    array([3, 9, 9])
    >>> WarmTargets(warm_ip=2, minimum_ip=5).units([0, 5, 9], interfaces=Interfaces(3, 4))
    array([5, 7, 9])
    """

    warm_eni: int = 1
    warm_prefix: int = 1
    warm_ip: int | None = None
    minimum_ip: int | None = None
    prefixes: bool = False

    def __post_init__(self) -> None:
        """Refuse what ipamd refuses."""
        for name in ("warm_eni", "warm_prefix", "warm_ip", "minimum_ip"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise InvalidField(f"{name.upper()}_TARGET", value, "use 0 or more")
        if self.prefixes and not (self.warm_prefix or self.warm_ip or self.minimum_ip):
            raise InvalidField("WARM_PREFIX_TARGET", self.warm_prefix, "with prefix delegation one target is above 0")

    @property
    def by_address(self) -> bool:
        """Whether address targets are set."""
        return self.warm_ip is not None or self.minimum_ip is not None

    def units(self, assigned: ArrayLike, *, interfaces: Interfaces) -> NDArray[np.int64]:
        """Return how many addresses, or prefixes, nodes have once the pool has grown.

        Parameters
        ----------
        assigned : array of integers
            Addresses in use on each node.
        interfaces : Interfaces
            What the instances can attach.

        Returns
        -------
        ndarray of int64
            Secondary addresses; with prefix delegation, /28 prefixes.

        Raises
        ------
        None
            Every input of the declared types has an answer.

        Notes
        -----
        Source: ``datastoreTargetState`` and ``isDatastorePoolTooLow`` of ``pkg/ipamd/ipamd.go``.
        """
        busy = np.asarray(assigned, np.int64)
        each = interfaces.addresses - 1
        if self.by_address:
            total = np.maximum(busy + (self.warm_ip or 0), self.minimum_ip or 0)
            wanted = -(-total // _PREFIX) if self.prefixes else total
        elif self.prefixes:
            wanted = -(-busy // _PREFIX) + self.warm_prefix
        else:
            # whole interfaces: the first always, the next while less than the target is left
            wanted = np.maximum(-(-(busy + each * self.warm_eni) // each), 1) * each
        return np.asarray(np.clip(wanted, 0, interfaces.slots), np.int64)

    def short_and_over(
        self, assigned: ArrayLike, units: ArrayLike, *, free_prefixes: ArrayLike = 0
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return what address targets lack and have too much of.

        Parameters
        ----------
        assigned : array of integers
            Addresses in use on each node.
        units : array of integers
            Addresses, or prefixes, attached.
        free_prefixes : array of integers
            Prefixes none of whose addresses is in use.

        Returns
        -------
        tuple of ndarray of int64
            Short and over, in addresses or prefixes; 0 and 0 while no address target is set.

        Raises
        ------
        None
            Every input of the declared types has an answer.

        Notes
        -----
        Addresses that rest count as available, so a target can look met while a pod finds nothing.
        Source: ``datastoreTargetState`` of ``pkg/ipamd/ipamd.go``.

        Examples
        --------
        >>> WarmTargets(warm_ip=5, minimum_ip=10).short_and_over([7, 7], [10, 20])
        (array([2, 0]), array([0, 8]))
        """
        busy, has = np.asarray(assigned, np.int64), np.asarray(units, np.int64)
        if not self.by_address:
            return np.zeros_like(busy), np.zeros_like(busy)
        warm, least = self.warm_ip or 0, self.minimum_ip or 0
        total = has * _PREFIX if self.prefixes else has
        left = total - busy
        short = np.maximum(np.maximum(warm - left, least - total), 0)
        if not self.prefixes:
            return short, np.maximum(np.minimum(left - warm, total - least), 0)
        spare = np.minimum(has - -(-(busy + warm) // _PREFIX), has - -(-least // _PREFIX))
        return -(-short // _PREFIX), np.maximum(np.minimum(np.asarray(free_prefixes, np.int64), spare), 0)


def prefix_chance(load: ArrayLike, *, subnet: Cidr) -> NDArray[np.float64]:
    """Return how likely a subnet of scattered single addresses still has a free aligned /28.

    Parameters
    ----------
    load : array of float
        Share of the subnet in use, 0 to 1.
    subnet : Cidr
        The subnet.

    Returns
    -------
    ndarray of float64
        Under independent uniform use, a simplification.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> prefix_chance([0.3], subnet=Cidr("10.0.0.0/24")).round(2)
    array([0.05])
    """
    one = (1 - np.asarray(load, np.float64)) ** _PREFIX
    return np.asarray(1 - (1 - one) ** max(1, subnet.size // _PREFIX), np.float64)


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
        self.pool = AddressRange(subnet, reserve_first=_RESERVED_FIRST, reserve_last=_RESERVED_LAST, strategy="sample")
        self._rng = rng or np.random.default_rng(0)
        self._attached = np.zeros(0, np.int64)  # interfaces of each node
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
        units = np.bincount(self._node, minlength=self.nodes) // (_PREFIX if self.targets.prefixes else 1)
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
        kept = _RESERVED_FIRST + _RESERVED_LAST
        text = f"{int(self._attached.sum())} interfaces"
        held = len(self._offset), int(self._used.sum()), 0, int(resting.sum())
        return [
            PoolUsage("subnet", IPFamily.IPV4, str(self.subnet), self.pool.usable, self.pool.used, kept),
            PoolUsage("node addresses", IPFamily.IPV4, text, *held),
        ]

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
        size = _PREFIX if self.targets.prefixes else 1
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
        self.pool.allocate_next(int(more.sum()), rng=self._rng)
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
        taken = np.ones(-(-self.subnet.size // _PREFIX) * _PREFIX, np.bool_)
        taken[_RESERVED_FIRST : self.subnet.size - _RESERVED_LAST] = False
        taken[self.pool.used_offsets()] = True
        free = np.flatnonzero(~taken.reshape(-1, _PREFIX).any(axis=1))
        blocks = self._rng.permutation(free)[:n] * _PREFIX
        offsets = blocks[:, None] + np.arange(_PREFIX)
        self.pool.allocate(offsets.reshape(-1).astype(np.uint64))
        return np.asarray(offsets, np.int64)


def read_interfaces(document: Mapping[str, Any]) -> list[PoolUsage]:
    """Read what a node's introspection endpoint says.

    Parameters
    ----------
    document : mapping
        The JSON of ``http://localhost:61679/v1/enis`` on the node.

    Returns
    -------
    list of PoolUsage
        One line a CIDR of each interface: ``used`` are addresses with an IPAM key, ``cooling`` released ones.

    Raises
    ------
    InvalidInput
        A CIDR that is none.

    Notes
    -----
    Source: ``pkg/ipamd/introspect.go``, ``pkg/ipamd/datastore/data_store.go``.

    Examples
    --------
    >>> address = {"Address": "10.0.0.16", "IPAMKey": {"containerID": "c", "ifName": "eth0"}}
    >>> cidr = {"IPAddresses": {"10.0.0.16": address}, "IsPrefix": True}
    >>> document = {"0": {"ENIs": {"eni-1": {"AvailableIPv4Cidrs": {"10.0.0.16/28": cidr}}}}}
    >>> [(line.pool, line.range, line.usable, line.used) for line in read_interfaces(document)]
    [('eni-1', '10.0.0.16/28', 16, 1)]
    """
    cards = [document] if "ENIs" in document else [card for _, card in sorted(document.items())]
    lines = []
    for card in cards:
        for name, interface in sorted((card.get("ENIs") or {}).items()):
            for key in ("AvailableIPv4Cidrs", "IPv6Cidrs"):
                for text, entry in sorted((interface.get(key) or {}).items()):
                    lines.append(_cidr_usage(str(name), str(text), entry))
    return lines


def _cidr_usage(name: str, text: str, entry: Mapping[str, Any]) -> PoolUsage:
    """Count the addresses of one CIDR."""
    cidr = Cidr(text, host_bits="mask")
    held = [
        each for each in (entry.get("IPAddresses") or {}).values() if (each.get("IPAMKey") or {}).get("containerID")
    ]
    rested = [
        each
        for each in (entry.get("IPAddresses") or {}).values()
        if each not in held and not str(each.get("UnassignedTime") or "0001").startswith("0001")
    ]
    return PoolUsage(name, cidr.family, str(cidr), cidr.size, len(held), 0, len(rested))


def read_checkpoint(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Read which addresses a node's ipamd has handed out.

    Parameters
    ----------
    document : mapping
        The JSON of ``/var/run/aws-node/ipam.json`` on the node.

    Returns
    -------
    dict of str to list of str
        ``address``, ``namespace``, ``pod``, ``container_id``: one row an allocation, by address. What rests is not in
        the file: a restart of ipamd forgets it.

    Raises
    ------
    InvalidInput
        An address that is none.

    Notes
    -----
    Source: ``pkg/ipamd/datastore/data_store.go``.

    Examples
    --------
    >>> entry = {"containerID": "c", "ipv4": "10.0.0.9", "metadata": {"k8sPodNamespace": "a", "k8sPodName": "b"}}
    >>> read_checkpoint({"version": "vpc-cni-ipam/1", "allocations": [entry]})["pod"]
    ['b']
    """
    rows = []
    for entry in document.get("allocations") or ():
        labels = entry.get("metadata") or {}
        for text in (entry.get("ipv4"), entry.get("ipv6")):
            if text:
                key = parse_address(str(text))
                names = str(labels.get("k8sPodNamespace", "")), str(labels.get("k8sPodName", ""))
                rows.append((key, *names, str(entry.get("containerID", ""))))
    rows.sort()
    columns = ("namespace", "pod", "container_id")
    found = {"address": [format_address(*row[0]) for row in rows]}
    return found | {name: [str(row[i]) for row in rows] for i, name in enumerate(columns, 1)}
