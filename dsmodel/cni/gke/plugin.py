"""GKE: an alias range a node, at least twice as large as its maximum of pods, and an IPv6 /112 beside it.

Promises the documented block for every maximum of pods, how many nodes the pod ranges of a cluster hold, and a node
that has no podCIDR at all when one family's range is missing. Node pools may differ in their maximum of pods; what is
free is counted for the maximum of the nodes to come. Inside a node the dataplane's own rules apply: Cilium's for
Dataplane V2, host-local's otherwise.

The cloud chooses ranges by itself; here they are cut in order. It does not know multi-networking, nor several subnets.

Sources: cloud.google.com "Configure maximum Pods per node" and "Flexible Pod CIDR"; kubernetes/cloud-provider-gcp
``pkg/controller/nodeipam/ipam/cloud_cidr_allocator.go``, ``providers/gce/gce_instances.go``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from dsmodel.addresses import arrays
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.cilium.agent import agent_rules
from dsmodel.cni.contract import Certainty, PodCidrRole, PoolUsage, Provenance
from dsmodel.cni.node_ranges import HOST_LOCAL
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.errors import InvalidField
from dsmodel.pools.blocks import CidrSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from dsmodel.cni.contract import JoiningNodes

__all__ = ["FEWEST", "GKE", "INTERFACE", "MOST", "POD_BLOCK", "PROVENANCE", "pod_cidrs", "pod_prefix"]

PROVENANCE = Provenance(
    "gke",
    Certainty.FROM_DOCS,
    "cloud.google.com and kubernetes/cloud-provider-gcp, August 2026",
    ("pkg/controller/nodeipam/ipam/cloud_cidr_allocator.go", "providers/gce/gce_instances.go"),
    "which alias range the cloud gives a node",
)

INTERFACE, POD_BLOCK = 96, 112
"""Prefix length of a node's IPv6 range, and of the part of it that pods get."""

FEWEST, MOST = 8, 256
"""Maxima of pods that GKE has."""

_LONGEST_BLOCK = 28


def pod_prefix(max_pods: ArrayLike) -> NDArray[np.int64]:
    """Return the prefix length of a node's alias range.

    Parameters
    ----------
    max_pods : array of integers
        Maximum of pods of each node, 8 to 256.

    Returns
    -------
    ndarray of int64
        The block has at least twice as many addresses, so a released one can rest.

    Raises
    ------
    InvalidField
        A maximum GKE does not have.

    Notes
    -----
    Source: cloud.google.com "Flexible Pod CIDR".

    Examples
    --------
    >>> pod_prefix([8, 16, 110, 256])
    array([28, 27, 24, 23])
    """
    pods = np.asarray(max_pods, np.int64)
    if pods.size and not FEWEST <= int(pods.min()) <= int(pods.max()) <= MOST:
        wrong = int(pods.min()) if int(pods.min()) < FEWEST else int(pods.max())
        raise InvalidField("maxPodsPerNode", wrong, f"use {FEWEST} to {MOST}")
    return np.asarray(np.minimum(_LONGEST_BLOCK, 31 - np.ceil(np.log2(pods)).astype(np.int64)))


class GKE(RangePlugin):
    """A GKE cluster's nodes.

    Parameters
    ----------
    pod_ranges : sequence of Cidr
        IPv4 secondary ranges for pods; those added later come last. None in an IPv6-only cluster.
    ipv6_subnet : Cidr, optional
        The subnet's IPv6 range of a dual-stack or IPv6-only cluster, /64.
    max_pods : int
        Of every node that joins; nodes of a live cluster have the ranges they have.
    dataplane : {"v1", "v2"}
        Whose rules apply inside a node: host-local's or Cilium's.

    Raises
    ------
    InvalidField
        A maximum of pods GKE does not have, a range too small for one node, or no range at all.

    Examples
    --------
    >>> gke = GKE([Cidr("10.4.0.0/14")])
    >>> gke.max_nodes, gke.add_nodes(1).tolist(), gke.place([0] * 110).placed
    (1024, [True], 110)
    """

    def __init__(
        self,
        pod_ranges: Sequence[Cidr],
        *,
        ipv6_subnet: Cidr | None = None,
        max_pods: int = 110,
        dataplane: Literal["v1", "v2"] = "v1",
    ) -> None:
        prefix = int(pod_prefix(max_pods))
        families = [IPFamily.IPV4] * bool(pod_ranges) + [IPFamily.IPV6] * bool(ipv6_subnet)
        if not families:
            raise InvalidField("podRange", None, "give an IPv4 pod range, or the IPv6 range of the subnet, or both")
        for cidr in pod_ranges:
            if cidr.family is not IPFamily.IPV4 or cidr.prefix_length > prefix:
                raise InvalidField("podRange", str(cidr), f"one node with {max_pods} pods takes an IPv4 /{prefix}")
        if ipv6_subnet is not None and (ipv6_subnet.family is IPFamily.IPV4 or ipv6_subnet.prefix_length > INTERFACE):
            raise InvalidField("ipv6Subnet", str(ipv6_subnet), f"every node takes an IPv6 /{INTERFACE}")
        rules = agent_rules(families) if dataplane == "v2" else {family: HOST_LOCAL[family] for family in families}
        order = families[::-1] if dataplane == "v2" else families
        provenance = replace(PROVENANCE, plugin=f"gke, dataplane {dataplane}")
        super().__init__(provenance, rules, order=order, pick="scan" if dataplane == "v2" else "next")
        self.prefix_length = prefix
        self.max_pods = max_pods  # the largest of any node, those to come included
        self.sets = [CidrSet(cidr, prefix) for cidr in pod_ranges]
        self.interfaces = CidrSet(ipv6_subnet, INTERFACE) if ipv6_subnet else None

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """The cloud cuts alias ranges, and a controller writes them to nodes."""
        return PodCidrRole.WRITTEN

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """The pod ranges, then the subnet's IPv6 range."""
        return tuple(each.cluster_cidr for each in self.cuts())

    @property
    def new_lengths(self) -> Mapping[IPFamily, int]:
        """Of an alias range, and of the /112 of pods."""
        lengths = {IPFamily.IPV4: self.prefix_length, IPFamily.IPV6: POD_BLOCK}
        return {family: lengths[family] for family in self.ranges}

    @property
    def max_nodes(self) -> int:
        """Nodes the IPv4 pod ranges hold; the IPv6 range of a subnet alone holds 2**32."""
        return sum(each.max_blocks for each in self.sets or self.cuts())

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let nodes join with a range of every family.

        Parameters
        ----------
        nodes : JoiningNodes
            In order of arrival.

        Returns
        -------
        ndarray of bool, shape (nodes,)
            Which have theirs; the others have no podCIDR, of either family.

        Raises
        ------
        None
            Nodes without a range are marked.
        """
        return self.add_nodes(len(nodes))

    def remove_nodes(self, nodes: NDArray[np.integer] | Sequence[int]) -> None:
        """Let nodes leave; the cloud takes their ranges back.

        Parameters
        ----------
        nodes : array of integers
            Which; those after move up.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        super().remove_nodes(nodes)
        # marks are rounded to blocks of this maximum of pods: several smaller ranges may share one
        for each in self.cuts():
            each.release(each.used_offsets())
            self._mark(each, *self.node_ranges[each.cluster_cidr.family])

    def add_nodes(self, n: int) -> NDArray[np.bool_]:
        """Let nodes join with a range of every family.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        ndarray of bool, shape (n,)
            Which have theirs; the others have no podCIDR, of either family.

        Raises
        ------
        None
            Nodes without a range are marked.
        """
        columns: dict[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]] = {}
        served = n
        if self.sets:
            bases = [np.zeros(0, np.uint32)]
            for each in self.sets:
                bases.append(each.blocks(each.allocate_next(n - sum(map(len, bases)))).astype(np.uint32))
            served = sum(map(len, bases))
            columns[IPFamily.IPV4] = np.concatenate((*bases, np.zeros(n - served, np.uint32))), np.zeros(n, np.uint8)
        if self.interfaces is not None:
            # the address of the interface masked to /112 is the first /112 of its /96
            taken = self.interfaces.allocate_next(served)  # a node without an alias range is no node of the cluster
            served = len(taken)
            column = np.zeros(n, arrays.address_dtype(IPFamily.IPV6))
            column[:served] = self.interfaces.blocks(taken)
            columns[IPFamily.IPV6] = column, np.zeros(n, np.uint8)
        for family, (_, lengths) in columns.items():
            lengths[:served] = self.new_lengths[family]
        self.add_ranges(columns)
        return np.arange(n) < served

    def add_ranges(self, columns: Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.integer]]]) -> NDArray[np.intp]:
        """Let nodes join with the ranges they have.

        Parameters
        ----------
        columns : mapping of IPFamily to (address column, array of integers)
            First address and prefix length of each node's range, 0 for none; a family that is not named is none.
            Ranges of another maximum of pods take every block they touch.

        Returns
        -------
        ndarray of intp
            Their numbers.

        Raises
        ------
        InvalidInput
            Columns of different lengths.
        """
        rows = super().add_ranges(columns)
        for each in self.cuts():
            if each.cluster_cidr.family in columns:
                self._mark(each, *columns[each.cluster_cidr.family])
        return rows

    def usage(self) -> list[PoolUsage]:
        """Tell how many ranges of nodes are left and how full they are.

        Returns
        -------
        list of PoolUsage
            Alias ranges first, one line a pod range, counted in blocks of this maximum of pods; then the ranges of
            interfaces.

        Raises
        ------
        None
            Always an answer.
        """
        lines = [
            PoolUsage(
                self.word(each.cluster_cidr.family),
                each.cluster_cidr.family,
                f"{each.cluster_cidr} in /{each.block_prefix_length}",
                each.max_blocks,
                each.used,
                unit="node ranges",
                cidrs=(each.cluster_cidr,),
            )
            for each in self.cuts()
        ]
        return lines + super().usage()

    def copy(self) -> Self:
        """Return an independent plugin of the same state.

        Returns
        -------
        GKE
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = super().copy()
        twin.sets = [each.copy() for each in self.sets]
        twin.interfaces = self.interfaces.copy() if self.interfaces else None
        return twin

    @staticmethod
    def word(family: IPFamily) -> str:
        """Say what the cloud calls a node's range.

        Parameters
        ----------
        family : IPFamily
            Of the range.

        Returns
        -------
        str
            "alias ranges" or "interface ranges".

        Raises
        ------
        None
            Both families have one.
        """
        return "alias ranges" if family is IPFamily.IPV4 else "interface ranges"

    def cuts(self) -> list[CidrSet]:
        """Return what the cloud cuts nodes' ranges from.

        Returns
        -------
        list of CidrSet
            Pod ranges, then the subnet's IPv6 range.

        Raises
        ------
        None
            Every cluster has some.
        """
        return [*self.sets, *((self.interfaces,) if self.interfaces else ())]

    @staticmethod
    def _mark(each: CidrSet, bases: NDArray[Any], lengths: NDArray[np.integer]) -> None:
        """Mark every block that nodes' ranges touch."""
        has = lengths > 0
        indices, inside = each.indices(bases[has])
        wider = np.maximum(each.block_prefix_length - lengths[has].astype(np.int64), 0)
        for bits in np.unique(wider[inside]).tolist():
            first = indices[inside & (wider == bits)].astype(np.int64)
            touched = (first[:, None] + np.arange(1 << bits)).ravel()
            each.occupy(touched[touched < each.max_blocks].astype(np.uint64))


def pod_cidrs(alias_range: str, interface_address: str, *, service_families: Sequence[IPFamily]) -> tuple[str, ...]:
    """Return the podCIDRs the controller writes to a node.

    Parameters
    ----------
    alias_range : str
        First alias range of nic0; empty for none.
    interface_address : str
        The node's IPv6 address; empty for none.
    service_families : sequence of IPFamily
        In the order of the Service CIDRs, which is the order of the podCIDRs.

    Returns
    -------
    tuple of str
        Empty when a family of the cluster is missing.

    Raises
    ------
    InvalidCidr
        A text that cannot be read.

    Notes
    -----
    Source: ``AllocateOrOccupyCIDR`` of ``cloud_cidr_allocator.go``, ``GetIPV6Address`` of ``gce_instances.go``.

    Examples
    --------
    >>> pod_cidrs("10.4.1.0/24", "2600:1900::1:0:0:7", service_families=[IPFamily.IPV6, IPFamily.IPV4])
    ('2600:1900:0:0:1::/112', '10.4.1.0/24')
    >>> pod_cidrs("10.4.1.0/24", "", service_families=[IPFamily.IPV4, IPFamily.IPV6])
    ()
    """
    found = {}
    if alias_range:
        found[IPFamily.IPV4] = str(Cidr(alias_range))
    if interface_address:
        found[IPFamily.IPV6] = str(Cidr(f"{interface_address}/{POD_BLOCK}", host_bits="mask"))
    if any(family not in found for family in service_families):
        return ()
    return tuple(found[family] for family in service_families)
