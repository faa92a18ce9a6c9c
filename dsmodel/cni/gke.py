"""GKE: an alias range a node, at least twice as large as its maximum of pods, and an IPv6 /112 beside it.

Promises the documented block for every maximum of pods, how many nodes the pod ranges of a cluster hold, and a node
that has no podCIDR at all when one family's range is missing. Inside a node the dataplane's own rules apply: Cilium's
for Dataplane V2, host-local's otherwise.

The cloud chooses alias ranges by itself; here they are cut in order. It does not know multi-networking.

Sources: cloud.google.com "Configure maximum Pods per node" and "Flexible Pod CIDR"; kubernetes/cloud-provider-gcp
``pkg/controller/nodeipam/ipam/cloud_cidr_allocator.go``, ``providers/gce/gce_instances.go``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from dsmodel.addresses import arrays
from dsmodel.addresses.arrays import from_offsets
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.cilium.agent import agent_rules
from dsmodel.cni.contract import Certainty, PodCidrRole, PoolUsage, Provenance, node_rows
from dsmodel.cni.node_ranges import HOST_LOCAL
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.errors import InvalidField
from dsmodel.pools.blocks import CidrSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from dsmodel.cni.contract import JoiningNodes

__all__ = ["GKE", "PROVENANCE", "pod_cidrs", "pod_prefix"]

PROVENANCE = Provenance(
    "gke",
    Certainty.FROM_DOCS,
    "cloud.google.com and kubernetes/cloud-provider-gcp, August 2026",
    ("pkg/controller/nodeipam/ipam/cloud_cidr_allocator.go", "providers/gce/gce_instances.go"),
    "which alias range the cloud gives a node",
)

_LONGEST_BLOCK, _FEWEST, _MOST = 28, 8, 256
_INTERFACE, _POD_BLOCK = 96, 112  # a node's IPv6 range, and the part of it that pods get


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
    if pods.size and not _FEWEST <= int(pods.min()) <= int(pods.max()) <= _MOST:
        wrong = int(pods.min()) if int(pods.min()) < _FEWEST else int(pods.max())
        raise InvalidField("maxPodsPerNode", wrong, f"use {_FEWEST} to {_MOST}")
    return np.asarray(np.minimum(_LONGEST_BLOCK, 31 - np.ceil(np.log2(pods)).astype(np.int64)))


class GKE(RangePlugin):
    """A GKE cluster's nodes.

    Parameters
    ----------
    pod_ranges : sequence of Cidr
        IPv4 secondary ranges for pods; those added later come last.
    ipv6_subnet : Cidr, optional
        The subnet's IPv6 range of a dual-stack cluster, /64.
    max_pods : int
        Of every node.
    dataplane : {"v1", "v2"}
        Whose rules apply inside a node: host-local's or Cilium's.

    Raises
    ------
    InvalidField
        A maximum of pods GKE does not have, or a range too small for one node.

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
        families = [IPFamily.IPV4] + ([IPFamily.IPV6] if ipv6_subnet else [])
        for cidr in pod_ranges:
            if cidr.family is not IPFamily.IPV4 or cidr.prefix_length > prefix:
                raise InvalidField("podRange", str(cidr), f"one node with {max_pods} pods takes an IPv4 /{prefix}")
        if ipv6_subnet is not None and (ipv6_subnet.family is IPFamily.IPV4 or ipv6_subnet.prefix_length > _INTERFACE):
            raise InvalidField("ipv6Subnet", str(ipv6_subnet), f"every node takes an IPv6 /{_INTERFACE}")
        rules = agent_rules(families) if dataplane == "v2" else {family: HOST_LOCAL[family] for family in families}
        order = families[::-1] if dataplane == "v2" else families
        provenance = replace(PROVENANCE, plugin=f"gke, dataplane {dataplane}")
        super().__init__(provenance, rules, order=order, pick="scan" if dataplane == "v2" else "next")
        self.prefix_length, self.max_pods = prefix, max_pods
        self.sets = [CidrSet(cidr, prefix) for cidr in pod_ranges]
        self.interfaces = CidrSet(ipv6_subnet, _INTERFACE) if ipv6_subnet else None

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """The cloud cuts alias ranges, and a controller writes them to nodes."""
        return PodCidrRole.WRITTEN

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """The pod ranges, then the subnet's IPv6 range."""
        own = tuple(each.cluster_cidr for each in self.sets)
        return own + ((self.interfaces.cluster_cidr,) if self.interfaces else ())

    @property
    def new_lengths(self) -> Mapping[IPFamily, int]:
        """Of an alias range, and of the /112 of pods."""
        lengths = {IPFamily.IPV4: self.prefix_length, IPFamily.IPV6: _POD_BLOCK}
        return {family: lengths[family] for family in self.ranges}

    @property
    def max_nodes(self) -> int:
        """Nodes the IPv4 pod ranges hold; the IPv6 range of a subnet holds 2**32."""
        return sum(each.max_blocks for each in self.sets)

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let nodes join with an alias range and, in a dual-stack cluster, an IPv6 range.

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
        rows = node_rows(nodes, self.nodes)
        for family, sets in ((IPFamily.IPV4, self.sets), (IPFamily.IPV6, [self.interfaces])):
            if family in self.ranges:
                ranges = self.ranges[family]
                held = rows[ranges.prefix_lengths[rows] > 0]
                for each in sets:
                    if each is not None:
                        indices, inside = each.indices(ranges.bases[held])
                        each.release(indices[inside])
        super().remove_nodes(rows)

    def add_nodes(self, n: int) -> NDArray[np.bool_]:
        """Let nodes join with an alias range and, in a dual-stack cluster, an IPv6 range.

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
        bases, lengths = [np.zeros(0, np.uint32)], np.zeros(n, np.uint8)
        for each in self.sets:
            bases.append(each.blocks(each.allocate_next(n - sum(map(len, bases)))).astype(np.uint32))
            lengths[: sum(map(len, bases))] = each.block_prefix_length
        served = sum(map(len, bases))
        first = np.concatenate((*bases, np.zeros(n - served, np.uint32)))
        columns: dict[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]] = {IPFamily.IPV4: (first, lengths)}
        if self.interfaces is not None:
            # the address of the interface masked to /112 is the first /112 of its /96
            taken = self.interfaces.allocate_next(served)  # a node without an alias range is no node of the cluster
            bits = IPFamily.IPV6.bits - _INTERFACE
            column = np.zeros(n, arrays.address_dtype(IPFamily.IPV6))
            column[:served] = from_offsets(self.interfaces.cluster_cidr, taken, unit_bits=bits)
            columns[IPFamily.IPV6] = column, np.where(lengths > 0, _POD_BLOCK, 0).astype(np.uint8)
        self.add_ranges(columns)
        return lengths > 0

    def usage(self) -> list[PoolUsage]:
        """Tell how many alias ranges are left and how full they are.

        Returns
        -------
        list of PoolUsage
            Alias ranges first, one line a pod range.

        Raises
        ------
        None
            Always an answer.
        """
        lines = [
            PoolUsage(
                "alias ranges",
                IPFamily.IPV4,
                f"{each.cluster_cidr} in /{each.block_prefix_length}",
                each.max_blocks,
                each.used,
                unit="node ranges",
                cidrs=(each.cluster_cidr,),
            )
            for each in self.sets
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
        found[IPFamily.IPV6] = str(Cidr(f"{interface_address}/{_POD_BLOCK}", host_bits="mask"))
    if any(family not in found for family in service_families):
        return ()
    return tuple(found[family] for family in service_families)
