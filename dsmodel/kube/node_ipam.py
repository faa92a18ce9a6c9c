"""Node IPAM of kube-controller-manager: how nodes get their podCIDRs, and how they fail to.

Promises the blocks, the order and the refusals of the RangeAllocator: one set of blocks a cluster CIDR, handed out
from a cursor that wraps; service ranges of the flags taken out, rounded outward; what nodes already have occupied by
place in the list; both families or none for the Node, and the first family's block lost to the allocator when the
second has none left.

Does not know time: a retry is a call of `NodeIPAM.sync`. Other allocator types, the route controller, and a Node that
vanishes between reservation and patch are not modelled.

Sources: ``pkg/controller/nodeipam/ipam/range_allocator.go``, ``cidrset/cidr_set.go``,
``pkg/controller/nodeipam/node_ipam_controller.go`` and ``cmd/kube-controller-manager/app/core.go`` of v1.20.2 and
v1.36.2; recordings of both.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.errors import CIDRNotAvailable, InvalidConfig, NotInRange, PoolFull, Reason
from dsmodel.kube.cluster_cidrs import judge_cidrs, judge_masks, judge_services, masks_by_family, read_cidr
from dsmodel.kube.versions import NEWEST, KubeVersion
from dsmodel.pools.blocks import CidrSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr

__all__ = ["NodeBlocks", "NodeEvent", "NodeIPAM"]

_FULL = "CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range"


@dataclass(frozen=True)
class NodeEvent:
    """An event on a Node, as component ``cidrAllocator`` records it, of type Normal."""

    node: str
    reason: str

    @property
    def message(self) -> str:
        """The event's message.

        Raises
        ------
        None
            Every event has one.
        """
        return f"Node {self.node} status is now: {self.reason}"


@dataclass(frozen=True)
class NodeBlocks:
    """Blocks of many nodes at once: which rows got one of each family, and the block indices of those rows.

    Parameters
    ----------
    ok : bool array, shape (rows,)
        Whether the node has its podCIDRs.
    reason : uint8 array, shape (rows,)
        `Reason` codes, CIDR_NOT_AVAILABLE where a family had no block left.
    indices : tuple of uint64 arrays, each shape (rows,)
        Block index in each of `NodeIPAM.sets`; 0 and without meaning where not ok.

    Raises
    ------
    None
        A record.
    """

    ok: NDArray[np.bool_]
    reason: NDArray[np.uint8]
    indices: tuple[NDArray[np.uint64], ...]


class NodeIPAM:
    """The node IPAM controller of one cluster, from its start on.

    Parameters
    ----------
    kube_version : str or KubeVersion
        Version of kube-controller-manager.
    cluster_cidrs : iterable of str or Cidr
        ``--cluster-cidr``, in order; host bits are masked.
    node_cidr_mask_sizes : mapping of str to int, optional
        Prefix length of a node's block by family, whichever flag set it; 0 or missing is 24 and 64.
    service_cidrs : iterable of str or Cidr
        ``--service-cluster-ip-range`` of kube-controller-manager; text that is no CIDR is ignored, as it does.
    feature_gates : mapping of str to bool, optional
        Overrides.
    nodes : mapping of str to sequence of str, optional
        Nodes found at start, with their podCIDRs.

    Raises
    ------
    InvalidConfig
        The controller would not start; its own words.
    UnsupportedVersion
        A version outside the window.

    Examples
    --------
    >>> ipam = NodeIPAM(cluster_cidrs=["10.244.0.0/22", "fd00:10:244::/63"])
    >>> ipam.add("a"), ipam.add("b")
    (('10.244.0.0/24', 'fd00:10:244::/64'), ('10.244.1.0/24', 'fd00:10:244:1::/64'))
    >>> ipam.add("c")
    Traceback (most recent call last):
    dsmodel.errors.CIDRNotAvailable: node c: failed to allocate cidr from cluster cidr at idx:1: CIDR allocation ...
    >>> ipam.leaked, ipam.sets[0].free  # the third IPv4 block is gone until the controller restarts
    ((1, 0), 1)
    """

    def __init__(
        self,
        *,
        kube_version: str | KubeVersion = f"1.{NEWEST}",
        cluster_cidrs: Iterable[str | Cidr] = (),
        node_cidr_mask_sizes: Mapping[str, int] | None = None,
        service_cidrs: Iterable[str | Cidr] = (),
        feature_gates: Mapping[str, bool] | None = None,
        nodes: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.kube_version = KubeVersion(kube_version)
        blocks = judge_cidrs(cluster_cidrs, self.kube_version, feature_gates)
        services = judge_services(service_cidrs, self.kube_version, feature_gates)
        masks = masks_by_family(blocks, node_cidr_mask_sizes or {})
        judge_masks(blocks, masks, self.kube_version)
        # a mask longer than an address starts, and then no patch of a Node succeeds
        self._is_patchable = all(mask <= block.family.bits for block, mask in zip(blocks, masks, strict=True))
        self.sets: tuple[CidrSet, ...] = tuple(
            CidrSet(block, min(mask, block.family.bits)) for block, mask in zip(blocks, masks, strict=True)
        )
        self.events: list[NodeEvent] = []
        self._leaked = [0] * len(self.sets)
        self._nodes: dict[str, tuple[str, ...] | int] = {}
        self._rows: list[NDArray[np.uint64]] = [np.empty(0, np.uint64) for _ in self.sets]
        for each in services:
            for blocks_of in self.sets:
                if each.overlaps(blocks_of.cluster_cidr):
                    blocks_of.occupy_cidr(each)
        for name, pod_cidrs in (nodes or {}).items():
            self._nodes[name] = tuple(pod_cidrs)
            self._occupy(name)

    @property
    def leaked(self) -> tuple[int, ...]:
        """Blocks of each set that are marked and belong to no node, lost until the controller restarts.

        Returns
        -------
        tuple of int
            One count a cluster CIDR.

        Raises
        ------
        None
            There is always a count.
        """
        return tuple(self._leaked)

    def add(self, name: str, pod_cidrs: Iterable[str] = ()) -> tuple[str, ...]:
        """Take in a new Node.

        Parameters
        ----------
        name : str
            Its name.
        pod_cidrs : iterable of str
            What it was created with; kept whether or not the sets can mark it.

        Returns
        -------
        tuple of str
            Its podCIDRs.

        Raises
        ------
        CIDRNotAvailable
            A family has no block left; the node stays without any, and what earlier sets gave is lost.

        Notes
        -----
        Source: ``AllocateOrOccupyCIDR``, in later versions ``syncNode``, of ``range_allocator.go``.

        Examples
        --------
        >>> NodeIPAM(cluster_cidrs=["10.244.0.0/16"], service_cidrs=["10.244.0.0/28"]).add("a")
        ('10.244.1.0/24',)
        """
        preset = tuple(pod_cidrs)
        if not preset:
            return self._allocate(name)
        self._nodes[name] = preset
        self._try_to_occupy(name)
        return preset

    def sync(self, name: str) -> tuple[str, ...]:
        """Let the controller look at a node again, as an update or a retry does.

        Parameters
        ----------
        name : str
            A node; one not seen before counts as one without podCIDRs.

        Returns
        -------
        tuple of str
            Its podCIDRs.

        Raises
        ------
        CIDRNotAvailable
            It has none and gets none; once more what earlier sets gave is lost.

        Examples
        --------
        >>> ipam = NodeIPAM(cluster_cidrs=["10.244.0.0/16"])
        >>> ipam.sync("a"), ipam.sync("a")
        (('10.244.0.0/24',), ('10.244.0.0/24',))
        """
        held = self.pod_cidrs(name)
        if not held:
            return self._allocate(name)
        if self.kube_version.rule("node_ipam_occupies_on_update"):
            self._try_to_occupy(name)
        return held

    def remove(self, name: str) -> None:
        """Delete a node and free its blocks.

        Parameters
        ----------
        name : str
            A node; one not known is no error.

        Raises
        ------
        None
            A podCIDR outside its set stops the release there, without a word.

        Notes
        -----
        Source: ``ReleaseCIDR`` of ``range_allocator.go``. No reference is counted: another node with the same CIDR, or
        one inside the same block, loses it too.

        Examples
        --------
        >>> ipam = NodeIPAM(cluster_cidrs=["10.244.0.0/23"])
        >>> _ = ipam.add("a"), ipam.add("b"), ipam.remove("a")
        >>> ipam.add("c")
        ('10.244.0.0/24',)
        """
        for place, text in enumerate(self.pod_cidrs(name)):
            cidr = read_cidr(text)
            if place >= len(self.sets) or cidr is None or not cidr.overlaps(self.sets[place].cluster_cidr):
                break
            self.sets[place].release_cidr(cidr)
        self._nodes.pop(name, None)

    def add_many(self, names: int | Sequence[str]) -> NodeBlocks:
        """Take in many new nodes without podCIDRs, in order, each tried once.

        Parameters
        ----------
        names : int or sequence of str
            The nodes, or how many; unnamed ones are the caller's to remember, and to free through `sets`.

        Returns
        -------
        NodeBlocks
            The same blocks as one `add` after another, leaks included.

        Raises
        ------
        None
            A node without a block is a row that is not ok.

        Examples
        --------
        >>> NodeIPAM(cluster_cidrs=["10.244.0.0/22"]).add_many(6).ok.tolist()
        [True, True, True, True, False, False]
        """
        n = names if isinstance(names, int) else len(names)
        granted: list[NDArray[np.uint64]] = []
        reach = n
        for blocks in self.sets:
            granted.append(blocks.allocate_next(reach))
            reach = len(granted[-1])
        if not self._is_patchable:
            for blocks, rows in zip(self.sets, granted, strict=True):
                blocks.release(rows)
            reach = 0
        elif len(granted) > 1:
            for place, rows in enumerate(granted):
                self._leaked[place] += len(rows) - reach
        ok = np.arange(n) < reach
        indices = tuple(np.concatenate([rows[:reach], np.zeros(n - reach, np.uint64)]) for rows in granted)
        if not isinstance(names, int):
            self._remember(names, reach, indices)
        reason = np.where(ok, Reason.OK, Reason.CIDR_NOT_AVAILABLE).astype(np.uint8)
        return NodeBlocks(ok, reason, indices)

    def pod_cidrs(self, name: str) -> tuple[str, ...]:
        """Return the podCIDRs of a node.

        Parameters
        ----------
        name : str
            A node.

        Returns
        -------
        tuple of str
            Empty for a node without, or not known.

        Raises
        ------
        None
            Every name has an answer.

        Examples
        --------
        >>> NodeIPAM(cluster_cidrs=["10.244.0.0/16"], nodes={"a": ["10.244.7.0/24"]}).pod_cidrs("a")
        ('10.244.7.0/24',)
        """
        held = self._nodes.get(name, ())
        if isinstance(held, int):
            return tuple(str(blocks.block(int(rows[held]))) for blocks, rows in zip(self.sets, self._rows, strict=True))
        return held

    @property
    def waiting(self) -> tuple[str, ...]:
        """Nodes without podCIDRs, in the order they came.

        Returns
        -------
        tuple of str
            Their names.

        Raises
        ------
        None
            There is always an answer.
        """
        return tuple(name for name, held in self._nodes.items() if held == ())

    def copy(self) -> NodeIPAM:
        """Return a controller that goes its own way from here, sharing nothing that changes.

        Returns
        -------
        NodeIPAM
            With the same blocks, cursors, nodes and events.

        Raises
        ------
        None
            Every controller can be copied.

        Examples
        --------
        >>> ipam = NodeIPAM(cluster_cidrs=["10.244.0.0/16"])
        >>> ipam.copy().add("a"), ipam.add("b")
        (('10.244.0.0/24',), ('10.244.0.0/24',))
        """
        twin = copy.copy(self)
        own = {"_leaked": list(self._leaked), "_nodes": dict(self._nodes), "_rows": list(self._rows)}
        sets = tuple(blocks.copy() for blocks in self.sets)
        vars(twin).update(sets=sets, events=list(self.events), **own)
        return twin

    def _allocate(self, name: str) -> tuple[str, ...]:
        """Take the next block of every set, or fail where one is full and leave what was taken."""
        self._nodes[name] = ()
        taken: list[int] = []
        for place, blocks in enumerate(self.sets):
            try:
                taken.append(blocks.allocate_next())
            except PoolFull:
                for earlier in range(place):
                    self._leaked[earlier] += 1
                self.events.append(NodeEvent(name, "CIDRNotAvailable"))
                raise CIDRNotAvailable(
                    f"node {name}: failed to allocate cidr from cluster cidr at idx:{place}: {_FULL}"
                ) from None
        if not self._is_patchable:
            for blocks, index in zip(self.sets, taken, strict=True):
                blocks.release(index)
            self.events.append(NodeEvent(name, "CIDRAssignmentFailed"))
            raise CIDRNotAvailable(f"node {name}: failed to patch node CIDR: a node mask is longer than an address")
        held = tuple(str(blocks.block(index)) for blocks, index in zip(self.sets, taken, strict=True))
        self._nodes[name] = held
        return held

    def _occupy(self, name: str) -> None:
        """Mark the podCIDRs of a node by place in the list."""
        for place, text in enumerate(self.pod_cidrs(name)):
            cidr = read_cidr(text)
            if cidr is None:
                raise InvalidConfig(f"failed to parse node {name}, CIDR {text}")
            if place >= len(self.sets):
                raise InvalidConfig(
                    f"node:{name} has an allocated cidr: {text} at index:{place} that does not exist in cluster cidrs "
                    "configuration"
                )
            try:
                self.sets[place].occupy_cidr(cidr)
            except NotInRange:
                cluster = self.sets[place].cluster_cidr
                raise InvalidConfig(
                    f"failed to mark cidr[{text}] at idx [{place}] as occupied for node: {name}: cidr {text} is out "
                    f"the range of cluster cidr {cluster}"
                ) from None

    def _try_to_occupy(self, name: str) -> None:
        """Mark the podCIDRs of a node while running, where a failure is only logged."""
        try:
            self._occupy(name)
        except InvalidConfig:
            return

    def _remember(self, names: Sequence[str], reach: int, indices: tuple[NDArray[np.uint64], ...]) -> None:
        """Keep the blocks of named nodes as rows, formatted when asked for."""
        start = len(self._rows[0])
        self._rows = [np.concatenate([rows, new[:reach]]) for rows, new in zip(self._rows, indices, strict=True)]
        self._nodes.update(zip(names[:reach], range(start, start + reach), strict=True))
        self._nodes.update(dict.fromkeys(names[reach:], ()))
        self.events.extend(NodeEvent(name, "CIDRNotAvailable") for name in names[reach:])
