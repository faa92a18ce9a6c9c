"""Cilium's agent: pods served from the node's CIDRs by a scan upward from a random start.

Promises which addresses are kept back (the first and the last of a range in both families, the router's, the health
endpoint's, the ingress's), the cap of 2**16 addresses for IPv6, IPv6 asked before IPv4, and both or nothing.

The random start is Cilium's in law, not in number: a stream of its own for each node stands in for Go's generator.
With the default settings this models releases in which ranges of one or two addresses are used whole.

Sources: cilium/cilium ``pkg/ipam/allocator.go``, ``pkg/ipam/hostscope.go``,
``pkg/ipam/service/ipallocator/allocator.go``, ``pkg/ipam/service/allocator/bitmap.go``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.contract import Certainty, PodCidrRole, PoolUsage, Provenance, node_rows
from dsmodel.cni.node_ranges import RangeRule
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.cni.cilium.cluster_pool import ClusterPool
    from dsmodel.cni.contract import JoiningNodes

__all__ = ["IPV6_CAP", "PROVENANCE", "Cilium", "agent_rules"]

IPV6_CAP = 1 << 16
"""Addresses of an IPv6 range the agent looks at. Source: ``pkg/ipam/service/ipallocator/allocator.go``."""

PROVENANCE = Provenance(
    "cilium",
    Certainty.FROM_SOURCE,
    "cilium/cilium main of 2026, single files",
    (
        "operator/pkg/ipam/clusterpool.go",
        "pkg/ipam/allocator/podcidr/podcidr.go",
        "pkg/ipam/allocator.go",
        "pkg/ipam/service/ipallocator/allocator.go",
        "pkg/ipam/service/allocator/bitmap.go",
    ),
    "where the scan inside a node's CIDR starts is drawn from a seeded stream",
)


def agent_rules(
    families: Sequence[IPFamily], *, small_ranges_usable: bool = True, ends_usable: bool = False
) -> dict[IPFamily, RangeRule]:
    """Say what the agent hands out of a range.

    Parameters
    ----------
    families : sequence of IPFamily
        Those enabled.
    small_ranges_usable : bool
        /31, /32, /127 and /128 are used whole, as since cilium#34618.
    ends_usable : bool
        First and last addresses are used too, the newer option of cilium#45025.

    Returns
    -------
    dict of IPFamily to RangeRule
        For `NodeRanges`.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> {str(f): rule.usable(h) for (f, rule), h in zip(agent_rules(list(IPFamily)).items(), (8, 64))}
    {'IPv4': 254, 'IPv6': 65534}
    """
    ends, whole = 0 if ends_usable else 1, 2 if small_ranges_usable else 0
    caps = {IPFamily.IPV4: 1 << 32, IPFamily.IPV6: IPV6_CAP}
    return {family: RangeRule(ends, ends, cap=caps[family], whole=whole) for family in families}


class Cilium(RangePlugin):
    """Cilium in cluster-pool or kubernetes mode.

    Parameters
    ----------
    families : sequence of IPFamily
        Those enabled.
    operator : ClusterPool, optional
        Who cuts node CIDRs in cluster-pool mode; without one nodes bring their podCIDRs.
    ingress : bool
        The ingress controller takes an address of each family too.
    rules : mapping of IPFamily to RangeRule, optional
        From `agent_rules`, for releases that differ.

    Raises
    ------
    InvalidInput
        No family.

    Examples
    --------
    >>> from dsmodel.cni.cilium import ClusterPool
    >>> cilium = Cilium(list(IPFamily), operator=ClusterPool(["10.0.0.0/16", "fd00::/104"], {IPFamily.IPV6: 120}))
    >>> cilium.add_nodes(1).tolist(), cilium.place([0] * 300).placed
    ([True], 252)
    """

    def __init__(
        self,
        families: Sequence[IPFamily],
        *,
        operator: ClusterPool | None = None,
        ingress: bool = False,
        rules: Mapping[IPFamily, RangeRule] | None = None,
    ) -> None:
        order = [family for family in (IPFamily.IPV6, IPFamily.IPV4) if family in families]
        super().__init__(PROVENANCE, rules or agent_rules(families), order=order, pick="scan")
        self.operator = operator
        self._agents_own = 3 if ingress else 2  # router, health
        # ordinals of the agents' own addresses on each node, -1 where the CIDR had none left
        self._own = {family: np.zeros((0, self._agents_own), np.int64) for family in self.ranges}

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """Ignored where the operator cuts nodes' CIDRs, used in kubernetes mode."""
        return PodCidrRole.USED if self.operator is None else PodCidrRole.IGNORED

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """Those of the operator."""
        return self.operator.cidrs if self.operator else ()

    @property
    def new_lengths(self) -> Mapping[IPFamily, int]:
        """Those of the operator."""
        return {family: self.operator.mask_sizes[family] for family in self.ranges} if self.operator else {}

    def addresses_per_range(self, family: IPFamily, prefix_length: int) -> int:
        """Return how many addresses pods can get of one node's CIDR.

        Parameters
        ----------
        family : IPFamily
            Of the CIDR.
        prefix_length : int
            Of the CIDR; 0 for none.

        Returns
        -------
        int
            Without those the agent takes for itself.

        Raises
        ------
        None
            Every length has an answer.
        """
        return max(0, super().addresses_per_range(family, prefix_length) - self._agents_own)

    def used_by_pods(self, family: IPFamily) -> NDArray[np.int64]:
        """Return how many addresses of each node's CIDR pods have.

        Parameters
        ----------
        family : IPFamily
            One of the plugin's.

        Returns
        -------
        ndarray of int64, shape (nodes,)
            Without those the agent takes for itself.

        Raises
        ------
        KeyError
            Cilium does not serve the family here.
        """
        own: NDArray[np.int64] = np.count_nonzero(self._own[family] >= 0, axis=1)
        return super().used_by_pods(family) - own

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let nodes join with the operator's CIDRs, or in kubernetes mode with their podCIDRs.

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
        InvalidInput
            Columns of different lengths.
        """
        return super().join(nodes) if self.operator is None else self.add_nodes(len(nodes))

    def add_nodes(self, n: int) -> NDArray[np.bool_]:
        """Let nodes join and ask the operator for CIDRs.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        ndarray of bool, shape (n,)
            Which have theirs; the others run no pods.

        Raises
        ------
        InvalidInput
            There is no operator; use `add_ranges`.
        """
        if self.operator is None:
            raise InvalidInput("kubernetes mode has no operator; pass the nodes' podCIDRs to add_ranges")
        columns, ok = self.operator.allocate(n)
        self.add_ranges(columns)
        return ok

    def add_ranges(self, columns: Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.integer]]]) -> NDArray[np.intp]:
        """Let nodes join with the CIDRs they have; the agent takes its own addresses first.

        Parameters
        ----------
        columns : mapping of IPFamily to (address column, array of integers)
            First address and prefix length of each node's CIDR, 0 for none.

        Returns
        -------
        ndarray of intp
            Their numbers.

        Raises
        ------
        InvalidInput
            Columns of different lengths.
        """
        nodes = super().add_ranges(columns)
        for family in self.ranges:
            self._own[family] = np.concatenate((self._own[family], self._take_own(family, nodes)))
        return nodes

    def occupy(
        self, nodes: NDArray[np.integer] | Sequence[int], addresses: Mapping[IPFamily, NDArray[Any]]
    ) -> NDArray[np.bool_]:
        """Mark addresses that pods of a live cluster have; the agents' own, which are not known, give way to them.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod.
        addresses : mapping of IPFamily to address column, shape (pods,)
            What each pod has.

        Returns
        -------
        ndarray of bool, shape (pods,)
            Whether every address lies in its node's CIDR.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        busy = np.unique(node_rows(nodes, self.nodes))
        for family, ranges in self.ranges.items():
            own = self._own[family][busy]
            held = own >= 0
            ranges.give_back(np.repeat(busy, held.sum(axis=1)), own[held])
        inside = super().occupy(nodes, addresses)
        for family in self.ranges:
            own = self._own[family].copy()
            own[busy] = self._take_own(family, busy)
            self._own[family] = own
        return inside

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
        rows = node_rows(nodes, self.nodes)
        columns = {f: (r.bases[rows], r.prefix_lengths[rows]) for f, r in self.ranges.items()}
        for family, own in self._own.items():
            self._own[family] = np.delete(own, rows, axis=0)
        if self.operator is not None:
            self._give_back(columns)
        super().remove_nodes(rows)

    def usage(self) -> list[PoolUsage]:
        """Tell how full the CIDRs of all nodes are, with what the agents keep for themselves as reserved.

        Returns
        -------
        list of PoolUsage
            Node CIDRs of the operator, then addresses, one a family.

        Raises
        ------
        None
            Always an answer.
        """
        lines = self.operator.usage() if self.operator else []
        for use in super().usage():
            kept = int(np.count_nonzero(self._own[use.ip_family] >= 0))
            lines.append(replace(use, usable=use.usable - kept, used=use.used - kept, reserved=use.reserved + kept))
        return lines

    def copy(self) -> Self:
        """Return an independent plugin of the same state.

        Returns
        -------
        Cilium
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = super().copy()
        twin.operator = self.operator.copy() if self.operator else None
        vars(twin)["_own"] = dict(self._own)
        return twin

    def _take_own(self, family: IPFamily, nodes: NDArray[np.intp]) -> NDArray[np.int64]:
        """Take the agents' own addresses of some nodes; -1 where there is none."""
        ordinals, ok = self.ranges[family].take(np.repeat(nodes, self._agents_own))
        return np.where(ok, ordinals.astype(np.int64), -1).reshape(-1, self._agents_own)

    def _give_back(self, columns: Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]]) -> None:
        """Return nodes' CIDRs to the operator."""
        for family, (bases, lengths) in columns.items():
            pairs = zip(to_integers(bases), lengths.tolist(), strict=True)
            cidrs = [Cidr.from_parts(family, first, length) for first, length in pairs if length]
            if self.operator is not None:
                self.operator.release(family, cidrs)
