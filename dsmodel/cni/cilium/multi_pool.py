"""Cilium's multi-pool mode: nodes ask for as many small CIDRs as their demand says, each family on its own.

Promises the demand formula, the operator's supply (one CIDR at a time while what the node has is worth less than it
asks for), and what follows from doing it by family: a node may have one family and wait for the other. Within a node
pods fill the CIDRs in the order of its list.

It does not know time: demand is met at once, where the agent refreshes every minute and the operator batches. CIDRs
that stand empty are given back on `shrink`, from the end of the list; the flip of the list's order between two
refreshes is not modelled. Random starts are stood in for as in `dsmodel.cni.cilium.agent`.

Sources: cilium/cilium ``pkg/ipam/multipool_manager.go``, ``pkg/ipam/allocator/multipool/pool_allocator.go``,
``pkg/ipam/pool.go``, ``Documentation/network/concepts/ipam/multi-pool.rst``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses.arrays import argsort, from_integers, search_sorted, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.cilium.agent import PROVENANCE, agent_rules
from dsmodel.cni.cilium.cluster_pool import ClusterPool
from dsmodel.cni.contract import Placement, PodCidrRole, PoolUsage, Provenance, node_rows
from dsmodel.cni.node_ranges import NodeRanges
from dsmodel.errors import InvalidField, InvalidInput, Reason
from dsmodel.pools.arrivals import Arrivals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from dsmodel.cni.contract import JoiningNodes

__all__ = ["MultiPool", "demand", "read_pool", "supply"]

_PRE_ALLOCATE = 8


def demand(needed: ArrayLike, *, pre_allocate: int = _PRE_ALLOCATE) -> NDArray[np.int64]:
    """Return how many addresses an agent asks for.

    Parameters
    ----------
    needed : array of integers
        In use plus pending, of each node.
    pre_allocate : int
        How many to hold ready.

    Returns
    -------
    ndarray of int64
        A multiple of ``pre_allocate`` with at least that many to spare.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Notes
    -----
    Source: ``neededIPCeil`` of ``pkg/ipam/multipool_manager.go``.

    Examples
    --------
    >>> demand([0, 1, 16, 17], pre_allocate=16)
    array([16, 32, 32, 48])
    """
    wanted = np.asarray(needed, np.int64)
    if pre_allocate == 0:
        return wanted
    whole, rest = np.divmod(wanted, pre_allocate)
    return np.asarray((whole + 1 + (rest > 0)) * pre_allocate, np.int64)


def supply(wanted: ArrayLike, *, host_bits: int, has: ArrayLike = 0) -> NDArray[np.int64]:
    """Return how many CIDRs a node has once the operator has met a demand.

    Parameters
    ----------
    wanted : array of integers
        From `demand`.
    host_bits : int
        Of each CIDR.
    has : array of integers
        CIDRs the node has already; the operator takes none away here.

    Returns
    -------
    ndarray of int64
        The operator counts a CIDR as all its addresses but two, or all of a CIDR of one or two; a wide IPv6 CIDR it
        counts in full although the agent hands out 65,534 of it.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Notes
    -----
    Source: ``pkg/ipam/allocator/multipool/pool_allocator.go``.

    Examples
    --------
    >>> supply([0, 8, 62, 63, 16], host_bits=6)
    array([0, 1, 1, 2, 1])
    """
    worth = min(1 << host_bits if host_bits < 2 else (1 << host_bits) - 2, 1 << 62)
    return np.maximum(-(-np.asarray(wanted, np.int64) // worth), np.asarray(has, np.int64))


def read_pool(manifest: Mapping[str, Any]) -> tuple[str, ClusterPool]:
    """Read a CiliumPodIPPool.

    Parameters
    ----------
    manifest : mapping
        The object as kubectl prints it.

    Returns
    -------
    tuple of str, ClusterPool
        Its name and what it hands to nodes.

    Raises
    ------
    InvalidField
        A CIDR that is none, of the wrong family, or a mask that does not fit; names the path.

    Notes
    -----
    Source: ``Documentation/network/concepts/ipam/multi-pool.rst``.

    Examples
    --------
    >>> name, pool = read_pool({"metadata": {"name": "mars"}, "spec": {"ipv4": {"cidrs": ["10.20.0.0/16"],
    ...     "maskSize": 27}}})
    >>> name, pool.max_nodes
    ('mars', 2048)
    """
    spec = manifest.get("spec") or {}
    cidrs: list[Cidr] = []
    masks: dict[IPFamily, int] = {}
    for family, key in ((IPFamily.IPV4, "ipv4"), (IPFamily.IPV6, "ipv6")):
        part = spec.get(key) or {}
        for place, text in enumerate(part.get("cidrs") or ()):
            cidrs.append(_read_cidr(text, family, f"spec.{key}.cidrs[{place}]"))
            if not isinstance(part.get("maskSize"), int):
                raise InvalidField(f"spec.{key}.maskSize", part.get("maskSize"), "say how long a node's CIDR is")
            masks[family] = part["maskSize"]
            if not cidrs[-1].prefix_length <= masks[family] <= family.bits:
                raise InvalidField(f"spec.{key}.maskSize", masks[family], f"node CIDRs of {text} are longer")
    if not cidrs:
        raise InvalidField("spec", dict(spec), "a pool has at least one CIDR")
    return str((manifest.get("metadata") or {}).get("name", "")), ClusterPool(cidrs, masks)


def _read_cidr(text: object, family: IPFamily, path: str) -> Cidr:
    """Read a CIDR of a pool."""
    try:
        cidr = Cidr(str(text), host_bits="mask")
    except InvalidInput as error:
        raise InvalidField(path, text, str(error)) from None
    if cidr.family is not family:
        raise InvalidField(path, text, f"belongs to the other family; this list is {family}")
    return cidr


class MultiPool:
    """One pool of Cilium's multi-pool mode, and the nodes that use it.

    Parameters
    ----------
    operator : ClusterPool
        What the pool hands to nodes; `read_pool` makes it from a CiliumPodIPPool.
    pre_allocate : int
        Addresses each agent holds ready, by family.
    nodes : int
        Nodes that are there already and have nothing yet; `adopt` gives them what they have.

    Raises
    ------
    None
        Every pool can be used.

    Examples
    --------
    >>> pool = MultiPool(ClusterPool(["10.0.0.0/24"], {IPFamily.IPV4: 27}))
    >>> pool.add_nodes(2)
    array([0, 1])
    >>> pool.place([0] * 31).placed, pool.node_cidrs(IPFamily.IPV4)
    (31, [['10.0.0.0/27', '10.0.0.64/27'], ['10.0.0.32/27']])
    """

    def __init__(self, operator: ClusterPool, *, pre_allocate: int = _PRE_ALLOCATE, nodes: int = 0) -> None:
        self.operator, self.pre_allocate = operator, pre_allocate
        families = [family for family in IPFamily if family in operator.sets]
        rules = agent_rules(families)
        self.ranges = {family: NodeRanges(family, rules[family], pick="scan") for family in families}
        self._owner = {family: np.zeros(0, np.int64) for family in families}
        self._nodes = nodes

    @property
    def provenance(self) -> Provenance:
        """Where the rules come from."""
        return PROVENANCE

    @property
    def ip_families(self) -> tuple[IPFamily, ...]:
        """Families a pod gets an address of."""
        return tuple(self.ranges)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self._nodes

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """Ignored: the operator cuts CIDRs."""
        return PodCidrRole.IGNORED

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """Those of the pool."""
        return self.operator.cidrs

    @property
    def node_ranges(self) -> Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]]:
        """None: a node may have many."""
        return {}

    @property
    def owners(self) -> Mapping[IPFamily, NDArray[np.int64]]:
        """Node of each CIDR of ``ranges``."""
        return dict(self._owner)

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let nodes join; each asks for what it holds ready.

        Parameters
        ----------
        nodes : JoiningNodes
            In order of arrival.

        Returns
        -------
        ndarray of bool, shape (nodes,)
            Which have a CIDR of every family.

        Raises
        ------
        None
            A node the operator has nothing for is marked.
        """
        rows = self.add_nodes(len(nodes))
        has = [np.bincount(self._owner[family], minlength=self._nodes)[rows] > 0 for family in self.ranges]
        return np.all(has, axis=0) if self.pre_allocate else np.ones(len(rows), np.bool_)

    def remove_nodes(self, nodes: NDArray[np.integer] | Sequence[int]) -> None:
        """Let nodes leave; the operator takes their CIDRs back.

        Parameters
        ----------
        nodes : array of integers
            Which; those after move up.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        keep = np.ones(self._nodes, np.bool_)
        keep[node_rows(nodes, self._nodes)] = False
        moved = np.cumsum(keep) - 1
        for family in self.ranges:
            self._drop(family, np.flatnonzero(~keep[self._owner[family]]))
            self._owner[family] = moved[self._owner[family]]
        self._nodes = int(np.count_nonzero(keep))

    def add_nodes(self, n: int) -> NDArray[np.intp]:
        """Let nodes join; each asks for what it holds ready.

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
            A node the operator has nothing for has nothing.
        """
        first = self._nodes
        self._nodes += n
        self._supply(np.zeros(self._nodes, np.int64))
        return np.arange(first, self._nodes)

    def place(self, nodes: NDArray[np.integer] | Sequence[int]) -> Placement:
        """Give each pod an address of every family, or none, after the operator has met the demand of all of them.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod, in order of arrival.

        Returns
        -------
        Placement
            ``reason`` is POOL_FULL where the node has no room in one family.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        rows = node_rows(nodes, self._nodes)
        arrivals = Arrivals.of(rows)
        self._supply(np.bincount(rows, minlength=self._nodes))
        rooms = {family: self._room(family) for family in self.ranges}
        ok = arrivals.ranks < np.min(list(rooms.values()), axis=0)[rows]
        served = rows[ok]
        result = Placement.nothing(len(rows), self.ip_families, Reason.POOL_FULL)
        for family, ranges in self.ranges.items():
            order = np.argsort(self._owner[family], kind="stable")
            ends = np.cumsum(np.minimum(ranges.free()[order], np.uint64(1 << 40)).astype(np.int64))
            before = np.concatenate((np.zeros(1, np.int64), ends))
            firsts = before[np.searchsorted(self._owner[family][order], np.arange(self._nodes))]
            place = np.searchsorted(ends, firsts[served] + arrivals.ranks[ok], side="right")
            cidrs = order[place]
            ordinals, _ = ranges.take(cidrs)
            result.addresses[family][ok] = ranges.addresses(cidrs, ordinals)
        result.reason[ok] = Reason.OK
        return Placement(ok, result.reason, result.addresses)

    def release(self, nodes: NDArray[np.integer] | Sequence[int], addresses: Mapping[IPFamily, NDArray[Any]]) -> None:
        """Take pods' addresses back.

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
            if family not in self.ranges or not len(self.ranges[family]):
                continue
            cidrs, known = self._find(family, column)
            ordinals, inside = self.ranges[family].ordinals(cidrs[known], column[known])
            self.ranges[family].give_back(cidrs[known][inside], ordinals[inside])

    def adopt(self, node: int, cidrs: Sequence[Cidr]) -> list[Cidr]:
        """Take over CIDRs that a node of a live cluster has.

        Parameters
        ----------
        node : int
            Which.
        cidrs : sequence of Cidr
            ``spec.ipam.pools.allocated[].cidrs`` of its CiliumNode.

        Returns
        -------
        list of Cidr
            Those that are none of the pool's: another length, outside it, or of a family it does not have.

        Raises
        ------
        None
            Every CIDR has an answer.
        """
        strangers = []
        for cidr in cidrs:
            is_own = cidr.family in self.ranges and cidr.prefix_length == self.operator.mask_sizes[cidr.family]
            if not is_own or self.operator.occupy(cidr.family, [cidr]):
                strangers.append(cidr)
                continue
            base, length = from_integers([cidr.first], family=cidr.family), np.array([cidr.prefix_length], np.uint8)
            self.ranges[cidr.family].add(base, length)
            self._owner[cidr.family] = np.append(self._owner[cidr.family], node)
        return strangers

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
            Whether every address lies in a CIDR that a node has.

        Raises
        ------
        InvalidAddress
            A column is of the other family.
        """
        all_inside = np.ones(len(nodes), np.bool_)
        for family, column in addresses.items():
            if family not in self.ranges:
                continue
            if not len(self.ranges[family]):
                return np.zeros(len(nodes), np.bool_)
            cidrs, known = self._find(family, column)
            ordinals, inside = self.ranges[family].ordinals(cidrs, column)
            inside &= known
            self.ranges[family].keep(cidrs[inside], ordinals[inside])
            all_inside &= inside
        return all_inside

    def shrink(self) -> int:
        """Let agents give back CIDRs that stand empty, from the end of their lists, while enough stays free.

        Returns
        -------
        int
            How many went.

        Raises
        ------
        None
            Always possible.
        """
        gone_in_all = 0
        for family, ranges in self.ranges.items():
            wanted = demand(self._used(family), pre_allocate=self.pre_allocate)
            room = self._room(family) + self._used(family)
            used, free = ranges.used().astype(np.int64), ranges.free()
            gone = []
            for cidr in range(len(ranges) - 1, -1, -1):
                owner, worth = self._owner[family][cidr], int(min(free[cidr], 1 << 40))
                if used[cidr] == 0 and room[owner] - worth >= wanted[owner]:
                    room[owner] -= worth
                    gone.append(cidr)
            self._drop(family, np.array(sorted(gone), np.intp))
            gone_in_all += len(gone)
        return gone_in_all

    def node_cidrs(self, family: IPFamily) -> list[list[str]]:
        """Return the CIDRs of each node.

        Parameters
        ----------
        family : IPFamily
            Which.

        Returns
        -------
        list of list of str
            ``spec.ipam.pools.allocated[].cidrs`` of each node, in its order.

        Raises
        ------
        KeyError
            The pool has no such family.
        """
        rows: list[list[str]] = [[] for _ in range(self._nodes)]
        for cidr, owner in enumerate(self._owner[family].tolist()):
            rows[owner].append(str(self._cidr(family, cidr)))
        return rows

    def usage(self) -> list[PoolUsage]:
        """Tell how full the pool is: node CIDRs handed out, and addresses in them.

        Returns
        -------
        list of PoolUsage
            CIDRs first.

        Raises
        ------
        None
            Always an answer.
        """
        lines = self.operator.usage(unit="blocks")
        for family, ranges in self.ranges.items():
            text = f"{len(ranges)} x /{self.operator.mask_sizes[family]}"
            usable = ranges.usable()
            lines.append(
                PoolUsage("node ranges", family, text, usable, int(ranges.used().sum()), ranges.size() - usable)
            )
        return lines

    def copy(self) -> Self:
        """Return an independent pool of the same state.

        Returns
        -------
        MultiPool
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.operator = self.operator.copy()
        twin.ranges = {family: ranges.copy() for family, ranges in self.ranges.items()}
        twin._owner = dict(self._owner)
        return twin

    def _supply(self, pending: NDArray[np.integer]) -> None:
        """Meet every node's demand, node after node, each family on its own."""
        for family in self.ranges:
            wanted = demand(self._used(family) + pending, pre_allocate=self.pre_allocate)
            has = np.bincount(self._owner[family], minlength=self._nodes)
            bits = family.bits - self.operator.mask_sizes[family]
            more = supply(wanted, host_bits=bits, has=has) - has
            owners = np.repeat(np.arange(self._nodes), more)
            single = ClusterPool([], self.operator.mask_sizes)
            single.sets = {family: self.operator.sets[family]}
            columns, ok = single.allocate(len(owners))
            self.ranges[family].add(columns[family][0][ok], columns[family][1][ok])
            self._owner[family] = np.concatenate((self._owner[family], owners[ok]))

    def _drop(self, family: IPFamily, rows: NDArray[np.intp]) -> None:
        """Give CIDRs back to the operator."""
        self.operator.release(family, [self._cidr(family, cidr) for cidr in rows.tolist()])
        self.ranges[family].remove(rows)
        self._owner[family] = np.delete(self._owner[family], rows)

    def _used(self, family: IPFamily) -> NDArray[np.int64]:
        """Return how many addresses each node has in use."""
        used = self.ranges[family].used().astype(np.int64)
        return np.bincount(self._owner[family], weights=used, minlength=self._nodes).astype(np.int64)

    def _room(self, family: IPFamily) -> NDArray[np.int64]:
        """Return how many more addresses each node can hand out."""
        free = np.minimum(self.ranges[family].free(), np.uint64(1 << 40)).astype(np.int64)
        return np.bincount(self._owner[family], weights=free, minlength=self._nodes).astype(np.int64)

    def _cidr(self, family: IPFamily, row: int) -> Cidr:
        """Return one CIDR."""
        ranges = self.ranges[family]
        first = to_integers(ranges.bases[row : row + 1])[0]
        return Cidr.from_parts(family, first, int(ranges.prefix_lengths[row]))

    def _find(self, family: IPFamily, column: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the CIDR each address lies in."""
        bases = self.ranges[family].bases
        order = argsort(bases)
        place = search_sorted(bases[order], column, side="right") - 1
        return order[np.maximum(place, 0)], place >= 0
