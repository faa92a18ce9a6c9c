"""Calico IPAM: pods placed on nodes that claim blocks as they need them.

Promises pool selection, block affinity with its limit, reclaiming, borrowing, the order inside a block, cooldown,
reservations, Windows nodes, and both families or nothing, as Calico has them; a batch gives every pod what one request
after the other would give. Node podCIDRs play no part: Calico IPAM ignores them.

It does not know handles, tunnels of its own accord (place them with ``use="Tunnel"``), pools that change, and nodes
whose labels change. The block a node looks at first stands in for Go's generator seeded with the node's name: here it
is a hash of the name, equally spread, so which block a node gets differs from a real cluster and how many do not.

Sources: projectcalico/calico ``libcalico-go/lib/ipam/{ipam,ipam_block,ipam_block_reader_writer,pools,reserved}.go``,
``cni-plugin/pkg/ipamplugin/ipam_plugin.go``, ``kube-controllers/pkg/controllers/node/ipam.go``.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cni.calico.blocks import NOBODY, RESERVED, UNKNOWN, BlockTable
from dsmodel.cni.calico.objects import IPAMConfig, IPPool
from dsmodel.cni.calico.placing import place_singly, place_straight
from dsmodel.cni.calico.scopes import Nodes, Scope, choose_pools, make_scope
from dsmodel.cni.contract import Certainty, Placement, PodCidrRole, PoolUsage, Provenance, node_rows
from dsmodel.errors import InvalidField, InvalidInput, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.cni.contract import JoiningNodes

__all__ = ["PROVENANCE", "Calico"]

PROVENANCE = Provenance(
    "calico",
    Certainty.FROM_SOURCE,
    "projectcalico/calico main of August 2026 (87c15906)",
    (
        "libcalico-go/lib/ipam/ipam.go",
        "libcalico-go/lib/ipam/ipam_block.go",
        "libcalico-go/lib/ipam/ipam_block_reader_writer.go",
        "cni-plugin/pkg/ipamplugin/ipam_plugin.go",
        "kube-controllers/pkg/controllers/node/ipam.go",
    ),
    "the block a node looks at first is a hash of its name, where Calico seeds Go's math/rand with one",
)

_GRACE_SECONDS = 900.0  # leakGracePeriod of kube-controllers


class Calico:
    """One cluster's Calico IPAM.

    Parameters
    ----------
    pools : sequence of IPPool
        In any order; they are used in the order of their names.
    config : IPAMConfig
        Cluster-wide settings.
    reservations : sequence of Cidr
        Ranges of all IPReservations.
    ip_families : sequence of IPFamily, optional
        What the CNI configuration asks for (``assign_ipv4``, ``assign_ipv6``); all families that have a pool when not
        given. Calico's own default asks for IPv4 only, even beside IPv6 pools.
    rng : numpy.random.Generator, optional
        Draws the start for blocks of one address, where Calico takes the clock; a fixed one when not given.

    Raises
    ------
    InvalidInput
        No family.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import Cidr
    >>> calico = Calico([IPPool("v4", Cidr("10.0.0.0/25"), 26)])
    >>> calico.add_nodes(["a", "b"])
    array([0, 1])
    >>> calico.place([0] * 65 + [1]).placed, calico.usage()[0].used
    (66, 66)
    """

    def __init__(
        self,
        pools: Sequence[IPPool],
        *,
        config: IPAMConfig | None = None,
        reservations: Sequence[Cidr] = (),
        ip_families: Sequence[IPFamily] | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.config = config or IPAMConfig()
        families = {pool.cidr.family for pool in pools} if ip_families is None else set(ip_families)
        if not families:
            raise InvalidInput("no IPPool and no ip_families: give Calico at least one pool")
        self._families = tuple(family for family in IPFamily if family in families)
        ordered = sorted(pools, key=lambda pool: pool.name)
        self.tables = {
            family: BlockTable(
                family,
                [pool for pool in ordered if pool.cidr.family is family],
                reservations=reservations,
                cooldown=self.config.ip_cooldown_seconds,
            )
            for family in IPFamily
            if family in families or any(pool.cidr.family is family for pool in ordered)
        }
        self.names: list[str] = []
        self._labels: list[Mapping[str, str]] = []
        self._windows = np.zeros(0, np.bool_)
        self._hashes: list[int] = []
        self._rng = rng or np.random.default_rng(0)
        self._now = 0.0
        self._scopes: dict[tuple[Any, ...], Scope] = {}

    @property
    def provenance(self) -> Provenance:
        """Where the rules come from."""
        return PROVENANCE

    @property
    def ip_families(self) -> tuple[IPFamily, ...]:
        """Families a pod gets an address of."""
        return self._families

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.names)

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """Calico IPAM ignores podCIDRs."""
        return PodCidrRole.IGNORED

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """The pools, IPv4 first, by name."""
        return tuple(pool.cidr for table in self.tables.values() for pool in table.pools)

    @property
    def node_ranges(self) -> Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]]:
        """None: a node owns any number of blocks."""
        return {}

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let nodes join; they own nothing yet.

        Parameters
        ----------
        nodes : JoiningNodes
            In order of arrival; the label ``kubernetes.io/os`` tells Windows nodes.

        Returns
        -------
        ndarray of bool, shape (nodes,)
            All: whether there is a block for them shows when their first pod comes.

        Raises
        ------
        InvalidField
            A Windows node without ``strictAffinity``.
        """
        windows = [each.get("kubernetes.io/os") == "windows" for each in nodes.labels or ()]
        self.add_nodes(nodes.names, labels=nodes.labels, windows=windows or None)
        return np.ones(len(nodes), np.bool_)

    def add_nodes(
        self,
        names: Sequence[str],
        *,
        labels: Sequence[Mapping[str, str]] | None = None,
        windows: Sequence[bool] | None = None,
    ) -> NDArray[np.intp]:
        """Let nodes join; they own nothing yet.

        Parameters
        ----------
        names : sequence of str
            Their names decide where they look for blocks first.
        labels : sequence of mapping, optional
            What node selectors see; none by default.
        windows : sequence of bool, optional
            Which are Windows nodes; none by default.

        Returns
        -------
        ndarray of intp
            Their numbers.

        Raises
        ------
        InvalidInput
            Sequences of different lengths.
        InvalidField
            A Windows node without ``strictAffinity``.
        """
        keeps = np.zeros(len(names), np.bool_) if windows is None else np.asarray(windows, np.bool_)
        seen = [{}] * len(names) if labels is None else list(labels)
        if not len(names) == len(keeps) == len(seen):
            raise InvalidInput(
                f"{len(names)} names, {len(seen)} labels, {len(keeps)} windows: expected one each a node"
            )
        if keeps.any() and not self.config.strict_affinity:
            raise InvalidField("spec.strictAffinity", False, "Windows nodes need it true")
        first = len(self.names)
        self.names.extend(names)
        self._labels.extend(seen)
        self._windows = np.concatenate((self._windows, keeps))
        for name in names:
            self._hashes.append(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest(), "little"))
        self._scopes = {}
        return np.arange(first, len(self.names))

    def remove_nodes(self, nodes: NDArray[np.integer] | Sequence[int]) -> None:
        """Let nodes leave: their empty blocks go, the others stay without an owner until their pods are gone.

        Parameters
        ----------
        nodes : array of integers
            Which; those after move up.

        Raises
        ------
        InvalidInput
            A node that is not there.

        Notes
        -----
        Source: ``kube-controllers/pkg/controllers/node/ipam.go``.
        """
        gone = node_rows(nodes, self.nodes)
        keep = np.ones(self.nodes, np.bool_)
        keep[gone] = False
        moved = np.append(np.where(keep, np.cumsum(keep) - 1, UNKNOWN), [0]).astype(np.int32)
        for table in self.tables.values():
            held = table.holder >= 0
            table.disown(np.flatnonzero(np.isin(table.owner, gone)))
            owned = table.owner != NOBODY
            table.owner[owned] = moved[table.owner[owned]]
            table.holder[held] = moved[table.holder[held]]
        kept = np.flatnonzero(keep).tolist()
        self.names, self._hashes = [self.names[i] for i in kept], [self._hashes[i] for i in kept]
        self._labels, self._windows = [self._labels[i] for i in kept], self._windows[keep]
        self._scopes = {}

    def place(
        self,
        nodes: NDArray[np.integer] | Sequence[int],
        *,
        pools: Sequence[str] | None = None,
        use: str = "Workload",
        namespace_labels: Mapping[str, str] | None = None,
        now: float | None = None,
    ) -> Placement:
        """Give each pod an address of every family, or none.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod, in order of arrival.
        pools : sequence of str, optional
            Pools named by annotation or CNI configuration; selectors and Manual mode do not matter then.
        use : str
            "Workload" or "Tunnel".
        namespace_labels : mapping, optional
            What namespace selectors see.
        now : float, optional
            Seconds; decides about reclaiming and cooldown. The latest time seen when not given.

        Returns
        -------
        Placement
            ``reason`` is POOL_FULL, CIDR_NOT_AVAILABLE for a node at its limit of blocks, or FAMILY_NOT_CONFIGURED for
            a node no pool of a family serves.

        Raises
        ------
        InvalidInput
            A node that is not there.

        Notes
        -----
        Source: ``AutoAssign`` of ``libcalico-go/lib/ipam/ipam.go``; ``cmdAdd`` of the CNI plugin.
        """
        rows = node_rows(nodes, self.nodes)
        at = self._tick(now)
        steps = self.steps(pools, use=use, namespace_labels=namespace_labels)
        result = Placement.nothing(len(rows), self._families, Reason.OK)
        done = place_straight(steps, rows, result, now=at)
        if done < len(rows):
            place_singly(steps, rows, result, first=done, now=at)
        return Placement(result.reason == Reason.OK, result.reason, result.addresses)

    def steps(
        self,
        pools: Sequence[str] | None = None,
        *,
        use: str = "Workload",
        namespace_labels: Mapping[str, str] | None = None,
    ) -> list[tuple[BlockTable, Scope]]:
        """Return what a request goes through: one step a family.

        Parameters
        ----------
        pools, use, namespace_labels : optional
            As in `place`.

        Returns
        -------
        list of (BlockTable, Scope)
            IPv4 first.

        Raises
        ------
        InvalidInput
            A selector cannot be read.
        """
        return [
            (self.tables[family], self._scope(family, pools, use=use, labels=namespace_labels))
            for family in self._families
        ]

    def release(
        self,
        nodes: NDArray[np.integer] | Sequence[int],
        addresses: Mapping[IPFamily, NDArray[Any]],
        *,
        now: float | None = None,
    ) -> None:
        """Take pods' addresses back, one pod after the other.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod; an address is known without it.
        addresses : mapping of IPFamily to address column, shape (pods,)
            What each pod had.
        now : float, optional
            Seconds; the latest time seen when not given.

        Raises
        ------
        InvalidAddress
            A column is not of its family.

        Notes
        -----
        Source: ``releaseIPsFromBlock`` of ``libcalico-go/lib/ipam/ipam.go``.
        """
        del nodes
        at = self._tick(now)
        for family, column in addresses.items():
            if family in self.tables:
                self.tables[family].release(*self.tables[family].locate(column), now=at)

    def collect(self, now: float, *, grace_seconds: float = _GRACE_SECONDS) -> int:
        """Release empty blocks as the controller does: after the grace period, and never a node's last one.

        Parameters
        ----------
        now : float
            Seconds.
        grace_seconds : float
            How long a block must have been empty.

        Returns
        -------
        int
            How many blocks went. Which of several empty ones stays is not known: here the first by name.

        Raises
        ------
        None
            Always possible.

        Notes
        -----
        Source: ``kube-controllers/pkg/controllers/node/ipam.go``.
        """
        at, gone = self._tick(now), 0
        for table in self.tables.values():
            owned = table.owner[: table.rows] != NOBODY
            order = table.own_rows(owned)
            empty = (
                (table.used[order] == 0)
                & (table.cooling[order] == 0)
                & (table.empty_since[order] + grace_seconds <= at)
            )
            left = np.bincount(table.owner[order], minlength=self.nodes)
            for row in order[empty][::-1].tolist():
                if left[table.owner[row]] > 1:
                    left[table.owner[row]] -= 1
                    table.disown(np.array([row]))
                    gone += 1
        return gone

    def usage(self) -> list[PoolUsage]:
        """Tell how full each IPPool is.

        Returns
        -------
        list of PoolUsage
            Addresses by family and pool name, then blocks. ``reserved`` counts reservations, what Windows nodes keep
            in their blocks, and all that is left of a pool which is disabled or not for pods; of blocks, those not
            yet there that reservations cover whole.

        Raises
        ------
        None
            Always an answer.
        """
        lines: list[PoolUsage] = []
        blocks: list[PoolUsage] = []
        for family, table in self.tables.items():
            alive = np.array(sorted(table.at.values()), np.intp)
            reserved = (table.holder[alive] == RESERVED).sum(axis=1) if len(alive) else np.zeros(0, np.int64)
            for number, pool in enumerate(table.pools):
                of_pool = table.pool[alive] == number
                used, cooling = int(table.used[alive[of_pool]].sum()), int(table.cooling[alive[of_pool]].sum())
                kept = int(reserved[of_pool].sum()) + table.reserved_ahead(number, alive[of_pool])
                taken = int(np.count_nonzero(of_pool))
                vacant = table.vacancies[number].free
                if not pool.enabled or "Workload" not in pool.allowed_uses:
                    kept, vacant = pool.cidr.size - used - cooling, 0
                text = f"{pool.cidr} in /{pool.block_size} blocks"
                line = PoolUsage(pool.name, family, text, pool.cidr.size - kept, used, kept, cooling)
                lines.append(replace(line, cidrs=(pool.cidr,)))
                line = PoolUsage(pool.name, family, text, taken + vacant, taken, pool.blocks - taken - vacant)
                blocks.append(replace(line, unit="blocks", cidrs=(pool.cidr,)))
        return lines + blocks

    def holds(self, family: IPFamily, column: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which addresses are allocated.

        Parameters
        ----------
        family : IPFamily
            Of all of them.
        column : address column, shape (n,)
            Which.

        Returns
        -------
        ndarray of bool, shape (n,)
            False where no block holds the address, and for one that rests.

        Raises
        ------
        InvalidAddress
            The column is of the other family.

        Examples
        --------
        >>> from dsmodel.addresses.cidr import Cidr
        >>> calico = Calico([IPPool("v4", Cidr("10.0.0.0/26"), 26)])
        >>> _ = calico.place(calico.add_nodes(["a"]))
        >>> calico.holds(IPFamily.IPV4, np.array([0x0A000000, 0x0A000001], np.uint32))
        array([ True, False])
        """
        table, held = self.tables.get(family), np.zeros(len(column), np.bool_)
        if table is not None:
            rows, ordinals = table.locate(column)
            found = np.flatnonzero(rows >= 0)
            holder = table.holder[rows[found], ordinals[found]]
            held[found] = (holder >= 0) | (holder == UNKNOWN)
        return held

    def blocks(self, family: IPFamily) -> dict[str, list[Any]]:
        """List the blocks of a family.

        Parameters
        ----------
        family : IPFamily
            Which.

        Returns
        -------
        dict of str to list
            ``cidr``, ``pool``, ``node`` (None without an owner), ``usable``, ``used``, ``borrowed`` (used by other
            nodes than the owner), ``cooling``, ``free``; by address.

        Raises
        ------
        InvalidInput
            There is no pool of the family.

        Examples
        --------
        >>> from dsmodel.addresses.cidr import Cidr
        >>> calico = Calico([IPPool("v4", Cidr("10.0.0.0/26"), 26)])
        >>> placed = calico.place(calico.add_nodes(["a"]))
        >>> {name: values[0] for name, values in calico.blocks(IPFamily.IPV4).items() if name != "cidr"}
        {'pool': 'v4', 'node': 'a', 'usable': 64, 'used': 1, 'borrowed': 0, 'cooling': 0, 'free': 63}
        """
        if family not in self.tables:
            raise InvalidInput(f"{family}: Calico has no pool of it here")
        table = self.tables[family]
        rows = sorted(table.at.values(), key=lambda row: table.block(row).first)
        holders, owners = table.holder[rows], table.owner[rows, None]
        borrowed = ((holders >= 0) & (holders != owners)).sum(axis=1).tolist() if rows else []
        usable = table.used[rows] + table.cooling[rows] + table.free[rows]
        return {
            "cidr": [table.block(row) for row in rows],
            "pool": [table.pools[int(table.pool[row])].name for row in rows],
            "node": [None if (owner := int(table.owner[row])) == NOBODY else self.names[owner] for row in rows],
            "usable": usable.tolist(),
            "used": table.used[rows].tolist(),
            "borrowed": borrowed,
            "cooling": table.cooling[rows].tolist(),
            "free": table.free[rows].tolist(),
        }

    def start(self, node: int, pool: IPPool) -> int:
        """Return the block index a node looks at first in a pool.

        Parameters
        ----------
        node : int
            The node.
        pool : IPPool
            The pool.

        Returns
        -------
        int
            The same every time, but for blocks of one address, where it is drawn.

        Raises
        ------
        None
            Every pair has an answer.

        Notes
        -----
        Stands in for ``randomBlockGenerator`` of ``libcalico-go/lib/ipam/ipam_block_reader_writer.go``.
        """
        if pool.block_width == 1:
            return int(self._rng.integers(min(pool.blocks, 1 << 63)))
        return self._hashes[node] % pool.blocks

    def copy(self) -> Self:
        """Return an independent plugin of the same state.

        Returns
        -------
        Calico
            Nothing is shared that changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.tables = {family: table.copy() for family, table in self.tables.items()}
        twin.names, twin._hashes = list(self.names), list(self._hashes)
        twin._labels, twin._windows = list(self._labels), self._windows.copy()
        twin._rng = copy.deepcopy(self._rng)
        twin._scopes = {}
        return twin

    def _tick(self, now: float | None) -> float:
        """Note the time, which never runs back, and let rested addresses return."""
        self._now = max(self._now, now or 0.0)
        for table in self.tables.values():
            table.rest(self._now)
        return self._now

    def _scope(
        self, family: IPFamily, named: Sequence[str] | None, *, use: str, labels: Mapping[str, str] | None
    ) -> Scope:
        """Say which pools each node may use."""
        key = (family, None if named is None else tuple(named), use, tuple(sorted((labels or {}).items())))
        if key not in self._scopes:
            limit = self.config.block_limit if self.config.auto_allocate_blocks else 0
            pools = self.tables[family].pools
            self._scopes[key] = make_scope(
                pools,
                choose_pools(pools, named, use=use, namespace_labels=labels or {}),
                nodes=Nodes(self._labels, self._windows, ignore_selectors=named is not None),
                start=lambda node, pool: self.start(node, pools[pool]),
                limit=limit,
                strict=self.config.strict_affinity,
            )
        return self._scopes[key]
