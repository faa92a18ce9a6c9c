"""Plugins that give a pod one address from each of its node's ranges: the part they share.

Promises both families or nothing, asked in the plugin's order; a family asked before the one that failed has had an
address taken and given back, so its cursor has moved. Nodes do not interact, so a batch is placed in one go.

It does not know where nodes' ranges come from. Each plugin's own module names its rules and quirks.

Sources: those of `dsmodel.cni.node_ranges`, and of every plugin built on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses import arrays
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cni.contract import Placement, PodCidrRole, PoolUsage, Provenance, node_rows
from dsmodel.cni.node_ranges import NodeRanges
from dsmodel.errors import InvalidInput, Reason
from dsmodel.pools.arrivals import Arrivals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.cni.contract import JoiningNodes
    from dsmodel.cni.node_ranges import Pick, RangeRule

__all__ = ["RangePlugin"]

_MANY = np.uint64(1 << 62)


class RangePlugin:
    """A plugin with one range a node and family.

    Parameters
    ----------
    provenance : Provenance
        Where its rules come from.
    rules : mapping of IPFamily to RangeRule
        What of a range is handed out, for each family a pod gets an address of.
    order : sequence of IPFamily, optional
        In which order the families are asked; IPv4 first when not given.
    pick : {"next", "scan", "lowest"}
        How an address is chosen.

    Raises
    ------
    InvalidInput
        No family, or an order of other families.

    Examples
    --------
    >>> from dsmodel.cni.contract import Certainty
    >>> from dsmodel.cni.node_ranges import HOST_LOCAL, pod_cidr_columns
    >>> plugin = RangePlugin(Provenance("x", Certainty.FROM_DOCS, "1", ()), HOST_LOCAL)
    >>> plugin.add_ranges(pod_cidr_columns([["10.0.0.0/30", "fd00::/64"]]))
    array([0])
    >>> plugin.place([0, 0]).ok
    array([ True, False])
    """

    def __init__(
        self,
        provenance: Provenance,
        rules: Mapping[IPFamily, RangeRule],
        *,
        order: Sequence[IPFamily] | None = None,
        pick: Pick = "next",
    ) -> None:
        asked = tuple(order) if order is not None else tuple(family for family in IPFamily if family in rules)
        if not rules or set(asked) != set(rules) or len(asked) != len(rules):
            raise InvalidInput(f"families {list(rules)} asked in the order {list(asked)}: name each once, at least one")
        self._provenance, self._order = provenance, asked
        self.ranges = {family: NodeRanges(family, rules[family], pick=pick) for family in IPFamily if family in rules}

    @property
    def provenance(self) -> Provenance:
        """Where the rules come from."""
        return self._provenance

    @property
    def ip_families(self) -> tuple[IPFamily, ...]:
        """Families a pod gets an address of."""
        return tuple(self.ranges)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(next(iter(self.ranges.values())))

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """Nodes' ranges are their podCIDRs."""
        return PodCidrRole.USED

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """None of its own."""
        return ()

    @property
    def node_ranges(self) -> Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]]:
        """First address and prefix length of each node's range, 0 for none."""
        return {family: (ranges.bases, ranges.prefix_lengths) for family, ranges in self.ranges.items()}

    @property
    def new_lengths(self) -> Mapping[IPFamily, int]:
        """Prefix length of the range the next node gets; without a family whose nodes bring their own."""
        return {}

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let nodes join with their podCIDRs.

        Parameters
        ----------
        nodes : JoiningNodes
            In order of arrival.

        Returns
        -------
        ndarray of bool, shape (nodes,)
            Which have a range of every family of the plugin; the others run no pods.

        Raises
        ------
        InvalidInput
            Columns of different lengths.
        """
        blank = {
            f: (np.zeros(len(nodes), arrays.address_dtype(f)), np.zeros(len(nodes), np.uint8)) for f in self.ranges
        }
        columns = {family: nodes.pod_cidrs.get(family, blank[family]) for family in self.ranges}
        self.add_ranges(columns)
        return np.asarray(np.all([lengths > 0 for _, lengths in columns.values()], axis=0))

    def addresses_per_range(self, family: IPFamily, prefix_length: int) -> int:
        """Return how many addresses pods can get of one node's range.

        Parameters
        ----------
        family : IPFamily
            Of the range.
        prefix_length : int
            Of the range; 0 for none.

        Returns
        -------
        int
            0 for a family the plugin does not serve.

        Raises
        ------
        None
            Every length has an answer.
        """
        if not prefix_length or family not in self.ranges:
            return 0
        return self.ranges[family].rule.usable(family.bits - prefix_length, prefix_length=prefix_length)

    def used_by_pods(self, family: IPFamily) -> NDArray[np.int64]:
        """Return how many addresses of each node's range pods have.

        Parameters
        ----------
        family : IPFamily
            One of the plugin's.

        Returns
        -------
        ndarray of int64, shape (nodes,)
            Without what the plugin itself takes.

        Raises
        ------
        KeyError
            The plugin does not serve the family.
        """
        return self.ranges[family].used().astype(np.int64)

    def add_ranges(self, columns: Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.integer]]]) -> NDArray[np.intp]:
        """Let nodes join with the ranges they have.

        Parameters
        ----------
        columns : mapping of IPFamily to (address column, array of integers)
            First address and prefix length of each node's range, 0 for none; a family that is not named is none.

        Returns
        -------
        ndarray of intp
            Their numbers.

        Raises
        ------
        InvalidInput
            Columns of different lengths.
        """
        counts = {len(part) for pair in columns.values() for part in pair}
        if len(counts) > 1:
            raise InvalidInput(f"columns of {sorted(counts)} rows: expected one row a node in each")
        n, first = max(counts, default=0), self.nodes
        for family, ranges in self.ranges.items():
            blank = np.zeros(n, arrays.address_dtype(family)), np.zeros(n, np.uint8)
            ranges.add(*columns.get(family, blank))
        return np.arange(first, first + n)

    def remove_nodes(self, nodes: NDArray[np.integer] | Sequence[int]) -> None:
        """Let nodes leave, with everything in use on them; those after move up.

        Parameters
        ----------
        nodes : array of integers
            Which.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        rows = node_rows(nodes, self.nodes)
        for ranges in self.ranges.values():
            ranges.remove(rows)

    def place(self, nodes: NDArray[np.integer] | Sequence[int]) -> Placement:
        """Give each pod an address of every family, or none.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod, in order of arrival.

        Returns
        -------
        Placement
            ``reason`` is POOL_FULL, or CIDR_NOT_AVAILABLE for a node that lacks a range.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        rows = node_rows(nodes, self.nodes)
        arrivals = Arrivals.of(rows)
        room = np.min([np.minimum(each.free(), _MANY) for each in self.ranges.values()], axis=0).astype(np.int64)
        ok = arrivals.ranks < room[rows]
        served = rows[ok]
        result = Placement.nothing(len(rows), self.ip_families, Reason.POOL_FULL)
        for family in self._order:
            ordinals, _ = self.ranges[family].take(served)
            result.addresses[family][ok] = self.ranges[family].addresses(served, ordinals)
        lacking = np.any([each.prefix_lengths == 0 for each in self.ranges.values()], axis=0)
        first = self.ranges[self._order[0]]
        failed = np.bincount(rows[~ok], minlength=self.nodes)
        failed[lacking | (first.free() == 0)] = 0
        if len(self._order) > 1 and failed.any():
            first.spin(np.flatnonzero(failed), failed[failed > 0])
        result.reason[lacking[rows]] = Reason.CIDR_NOT_AVAILABLE
        result.reason[ok] = Reason.OK
        return Placement(ok, result.reason, result.addresses)

    def release(self, nodes: NDArray[np.integer] | Sequence[int], addresses: Mapping[IPFamily, NDArray[Any]]) -> None:
        """Take pods' addresses back.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod.
        addresses : mapping of IPFamily to address column, shape (pods,)
            What each pod had; one outside its node's range is skipped.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        rows = node_rows(nodes, self.nodes)
        for family, column in addresses.items():
            if family in self.ranges:
                ordinals, inside = self.ranges[family].ordinals(rows, column)
                self.ranges[family].give_back(rows[inside], ordinals[inside])

    def occupy(
        self, nodes: NDArray[np.integer] | Sequence[int], addresses: Mapping[IPFamily, NDArray[Any]]
    ) -> NDArray[np.bool_]:
        """Mark addresses that pods of a live cluster have; cursors go on behind the highest.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod.
        addresses : mapping of IPFamily to address column, shape (pods,)
            What each pod has.

        Returns
        -------
        ndarray of bool, shape (pods,)
            Whether every address lies in its node's range.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        rows = node_rows(nodes, self.nodes)
        all_inside = np.ones(len(rows), np.bool_)
        for family, column in addresses.items():
            if family in self.ranges:
                ordinals, inside = self.ranges[family].ordinals(rows, column)
                self.ranges[family].keep(rows[inside], ordinals[inside])
                if self.ranges[family].pick == "next":
                    self.ranges[family].continue_behind_highest()
                all_inside &= inside
        return all_inside

    def usage(self) -> list[PoolUsage]:
        """Tell how full the ranges of all nodes together are.

        Returns
        -------
        list of PoolUsage
            One a family.

        Raises
        ------
        None
            Always an answer.
        """
        lines = []
        for family, ranges in self.ranges.items():
            lengths = sorted(set(ranges.prefix_lengths[ranges.prefix_lengths > 0].tolist()))
            text = f"{np.count_nonzero(ranges.prefix_lengths)} x " + ", ".join(f"/{length}" for length in lengths)
            usable, used = ranges.usable(), int(ranges.used().sum())
            text = text.rstrip(" x") if lengths else "no node has a range"
            fresh = self.addresses_per_range(family, self.new_lengths.get(family, lengths[-1] if lengths else 0))
            line = PoolUsage("node ranges", family, text, usable, used, ranges.size() - usable, per_node=fresh)
            lines.append(line)
        return lines

    def copy(self) -> Self:
        """Return an independent plugin of the same state.

        Returns
        -------
        RangePlugin
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.ranges = {family: ranges.copy() for family, ranges in self.ranges.items()}
        return twin
