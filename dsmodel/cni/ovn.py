"""OVN-Kubernetes: host subnets cut by the cluster manager, pods served from a cursor in each.

Promises the order of host subnets (for IPv4 all subnets with zero in a shared octet first; for IPv6 none whose low 16
bits are zero), a node that keeps its subnet, both families or nothing, and a cursor that starts over when a range is
used up; inside a subnet the addresses of gateway router, management port and hybrid overlay are kept back, and of IPv6
only the first 65,536 are looked at. Egress IPs come from node networks and do not count here.

It does not know secondary networks and exclude lists.

Sources: ovn-org/ovn-kubernetes (December 2024)
``go-controller/pkg/clustermanager/node/{subnet_allocator,node_allocator}.go``,
``go-controller/pkg/allocator/{bitmap,ip,ip/subnet}``, ``go-controller/pkg/config/utils.go``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses import arrays
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.contract import Certainty, PodCidrRole, PoolUsage, Provenance
from dsmodel.cni.node_ranges import RangeRule, pod_cidr_columns
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.errors import InvalidField, InvalidInput
from dsmodel.pools.offsets import OffsetPool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.cni.contract import Finding, JoiningNodes

__all__ = ["PROVENANCE", "HostSubnets", "OVNKubernetes", "pod_rules", "read_ovn"]

PROVENANCE = Provenance(
    "ovn-kubernetes",
    Certainty.FROM_SOURCE,
    "ovn-org/ovn-kubernetes 6c366bb (December 2024)",
    (
        "go-controller/pkg/clustermanager/node/subnet_allocator.go",
        "go-controller/pkg/clustermanager/node/node_allocator.go",
        "go-controller/pkg/allocator/bitmap/bitmap.go",
        "go-controller/pkg/allocator/ip/allocator.go",
    ),
)

NODE_SUBNETS = "k8s.ovn.org/node-subnets"
"""The annotation of a node with its host subnets. Source: ``go-controller/pkg/util/subnet_annotations.go``."""

_MOST_SUBNET_BITS = 24
_SKIP_EVERY = 1 << 16
_IPV6_HOST_LENGTH = 64
_IPV6_CAP = 1 << 16


def pod_rules(families: Sequence[IPFamily], *, hybrid_overlay: bool = False) -> dict[IPFamily, RangeRule]:
    """Say what pods get of a host subnet.

    Parameters
    ----------
    families : sequence of IPFamily
        Those of the cluster.
    hybrid_overlay : bool
        The third address is kept for the hybrid overlay.

    Returns
    -------
    dict of IPFamily to RangeRule
        Without network, gateway router (.1) and management port (.2), and for IPv4 without the last address.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> [rule.usable(bits) for rule, bits in zip(pod_rules(list(IPFamily)).values(), (9, 64))]
    [508, 65533]
    """
    first = 4 if hybrid_overlay else 3
    rules = {IPFamily.IPV4: RangeRule(first, 1), IPFamily.IPV6: RangeRule(first, 0, cap=_IPV6_CAP)}
    return {family: rules[family] for family in families}


class HostSubnets:
    """One entry of ``cluster-subnets``, cut into host subnets.

    Parameters
    ----------
    cidr : Cidr
        The cluster subnet.
    host_length : int
        Prefix length of a host subnet.

    Raises
    ------
    InvalidField
        The length does not fit, or is not 64 for IPv6.

    Examples
    --------
    >>> subnets = HostSubnets(Cidr("10.128.0.0/14"), 23)
    >>> [str(subnets.subnet(number)) for number in (0, 1, 4)]
    ['10.128.0.0/23', '10.129.0.0/23', '10.128.2.0/23']
    """

    def __init__(self, cidr: Cidr, host_length: int) -> None:
        field = "cluster-subnets"
        if not cidr.prefix_length < host_length <= cidr.family.bits:
            raise InvalidField(field, f"{cidr}/{host_length}", "a host subnet is longer than its cluster subnet")
        if cidr.family is IPFamily.IPV6 and host_length != _IPV6_HOST_LENGTH:
            raise InvalidField(field, f"{cidr}/{host_length}", "IPv6 host subnets are /64")
        self.cidr, self.host_length = cidr, host_length
        self.bits = min(host_length - cidr.prefix_length, _MOST_SUBNET_BITS)
        host_bits = cidr.family.bits - host_length
        spilled = 8 - host_bits % 8
        rotates = cidr.family is IPFamily.IPV4 and host_bits % 8 and self.bits > spilled
        self._left = spilled if rotates else 0
        self.pool = OffsetPool(1 << self.bits, strategy="next")
        self.skipped = 0
        if cidr.family is IPFamily.IPV6 and self.bits >= _SKIP_EVERY.bit_length() - 1:
            zeros = np.arange(0, 1 << self.bits, _SKIP_EVERY, dtype=np.uint64)
            self.pool.occupy(zeros)
            self.skipped = len(zeros)

    @property
    def max_subnets(self) -> int:
        """Number of host subnets that can be handed out."""
        return self.pool.usable - self.skipped

    def places(self, numbers: NDArray[np.unsignedinteger]) -> NDArray[np.uint64]:
        """Return where host subnets lie, in the order they are numbered.

        Parameters
        ----------
        numbers : ndarray of unsigned integers
            In order of allocation.

        Returns
        -------
        ndarray of uint64
            Which subnet of the cluster subnet each is, counted by address.

        Raises
        ------
        None
            Every number has a place.
        """
        wide = numbers.astype(np.uint64)
        if not self._left:
            return wide
        left, mask = np.uint64(self._left), np.uint64((1 << self.bits) - 1)
        return np.asarray(((wide << left) & mask) | (wide >> np.uint64(self.bits - self._left)))

    def numbers(self, places: NDArray[np.unsignedinteger]) -> NDArray[np.uint64]:
        """Return the numbers of subnets from where they lie.

        Parameters
        ----------
        places : ndarray of unsigned integers
            From `places`.

        Returns
        -------
        ndarray of uint64
            In order of allocation.

        Raises
        ------
        None
            Every place has a number.
        """
        wide = places.astype(np.uint64)
        if not self._left:
            return wide
        right, mask = np.uint64(self.bits - self._left), np.uint64((1 << self.bits) - 1)
        return np.asarray(((wide << right) & mask) | (wide >> np.uint64(self._left)))

    def subnet(self, number: int) -> Cidr:
        """Return a host subnet.

        Parameters
        ----------
        number : int
            In order of allocation.

        Returns
        -------
        Cidr
            Of the host length.

        Raises
        ------
        NotInRange
            There is no such subnet.
        """
        return self.cidr.subnet(int(self.places(np.array([number], np.uint64))[0]), self.host_length)

    def bases(self, numbers: NDArray[np.unsignedinteger]) -> NDArray[Any]:
        """Return the first addresses of host subnets.

        Parameters
        ----------
        numbers : ndarray of unsigned integers
            In order of allocation.

        Returns
        -------
        address column
            One row each.

        Raises
        ------
        InvalidAddress
            There is no such subnet.
        """
        return arrays.from_offsets(self.cidr, self.places(numbers), unit_bits=self.cidr.family.bits - self.host_length)

    def occupy(self, subnet: Cidr) -> bool:
        """Mark what a node already has.

        Parameters
        ----------
        subnet : Cidr
            From a node's annotation.

        Returns
        -------
        bool
            Whether it is a host subnet of this entry.

        Raises
        ------
        None
            Every CIDR has an answer.
        """
        if subnet.prefix_length != self.host_length or subnet not in self.cidr:
            return False
        place = (subnet.first - self.cidr.first) >> subnet.host_bits_count
        if place >> self.bits:
            return False
        self.pool.occupy(int(self.numbers(np.array([place], np.uint64))[0]))
        return True

    def copy(self) -> Self:
        """Return independent host subnets of the same state.

        Returns
        -------
        HostSubnets
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.pool = self.pool.copy()
        return twin


class OVNKubernetes(RangePlugin):
    """OVN-Kubernetes' default network.

    Parameters
    ----------
    cluster_subnets : str
        As ``--cluster-subnets``: entries ``CIDR/hostlength`` separated by commas; IPv4 without a length is cut into
        /24, IPv6 into /64.
    hybrid_overlay : bool
        The third address of every host subnet is kept.

    Raises
    ------
    InvalidField
        An entry that cannot be read; the program would not start.

    Examples
    --------
    >>> ovn = OVNKubernetes("10.128.0.0/14/23,fd01::/48")
    >>> ovn.add_nodes(2).tolist(), ovn.host_subnets()
    ([True, True], [('10.128.0.0/23', 'fd01:0:0:1::/64'), ('10.129.0.0/23', 'fd01:0:0:2::/64')])
    """

    def __init__(self, cluster_subnets: str = "10.128.0.0/14/23", *, hybrid_overlay: bool = False) -> None:
        self.entries: dict[IPFamily, list[HostSubnets]] = {}
        for text in cluster_subnets.split(","):
            entry = _read_entry(text.strip())
            self.entries.setdefault(entry.cidr.family, []).append(entry)
        super().__init__(PROVENANCE, pod_rules(list(self.entries), hybrid_overlay=hybrid_overlay))

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """The cluster manager takes the place of node IPAM."""
        return PodCidrRole.REPLACED

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """The cluster subnets, IPv4 first."""
        return tuple(each.cidr for family in self.ranges for each in self.entries[family])

    @property
    def new_lengths(self) -> Mapping[IPFamily, int]:
        """Host length of the first entry of each family that is not full."""
        entries = {f: next((e for e in es if e.pool.free), es[-1]) for f, es in self.entries.items()}
        return {family: entry.host_length for family, entry in entries.items()}

    @property
    def max_nodes(self) -> int:
        """Number of nodes that can have a host subnet of every family."""
        return min(sum(entry.max_subnets for entry in entries) for entries in self.entries.values())

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let nodes join and give each a host subnet of every family, or none.

        Parameters
        ----------
        nodes : JoiningNodes
            In order of arrival.

        Returns
        -------
        ndarray of bool, shape (nodes,)
            Which have theirs; the others run no pods.

        Raises
        ------
        None
            Nodes without a subnet are marked.
        """
        return self.add_nodes(len(nodes))

    def add_nodes(self, n: int) -> NDArray[np.bool_]:
        """Let nodes join and give each a host subnet of every family, or none.

        Parameters
        ----------
        n : int
            How many, in order of arrival.

        Returns
        -------
        ndarray of bool, shape (n,)
            Which have theirs; the others run no pods.

        Raises
        ------
        None
            Nodes without a subnet are marked.

        Notes
        -----
        Source: ``allocateNodeSubnets`` of ``go-controller/pkg/clustermanager/node/node_allocator.go``.
        """
        free = {family: sum(entry.pool.free for entry in entries) for family, entries in self.entries.items()}
        served = min(n, *free.values())
        columns = {}
        for family, entries in self.entries.items():
            bases, lengths = np.zeros(n, arrays.address_dtype(family)), np.zeros(n, np.uint8)
            bases[:served], lengths[:served] = _take(entries, served, family)
            columns[family] = bases, lengths
        if n > served:
            self._exhaust(n - served)
        self.add_ranges(columns)
        return np.arange(n) < served

    def remove_nodes(self, nodes: NDArray[np.integer] | Sequence[int]) -> None:
        """Let nodes leave; their host subnets come round again last.

        Parameters
        ----------
        nodes : array of integers
            Which; those after move up.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        subnets = self.host_subnets()
        super().remove_nodes(nodes)
        for node in np.asarray(nodes).tolist():
            for text in subnets[node]:
                cidr = Cidr(text)
                home = next((each for each in self.entries[cidr.family] if cidr in each.cidr), None)
                if home is not None:
                    place = (cidr.first - home.cidr.first) >> cidr.host_bits_count
                    home.pool.release(int(home.numbers(np.array([place], np.uint64))[0]))

    def host_subnets(self) -> list[tuple[str, ...]]:
        """Return every node's subnets as its annotation shows them.

        Returns
        -------
        list of tuple of str
            IPv4 first; empty where a node has none.

        Raises
        ------
        None
            Always an answer.
        """
        rows: list[list[str]] = [[] for _ in range(self.nodes)]
        for family, ranges in self.ranges.items():
            pairs = zip(arrays.to_integers(ranges.bases), ranges.prefix_lengths.tolist(), strict=True)
            for row, (first, length) in zip(rows, pairs, strict=True):
                if length:
                    row.append(str(Cidr.from_parts(family, first, length)))
        return [tuple(row) for row in rows]

    def usage(self) -> list[PoolUsage]:
        """Tell how many host subnets are left and how full they are.

        Returns
        -------
        list of PoolUsage
            Host subnets first, one line an entry.

        Raises
        ------
        None
            Always an answer.
        """
        lines = []
        for family, entries in self.entries.items():
            for each in entries:
                text = f"{each.cidr} in /{each.host_length}"
                used = each.pool.used - each.skipped
                usage = PoolUsage("host subnets", family, text, each.max_subnets, used, each.skipped)
                lines.append(replace(usage, unit="node ranges", cidrs=(each.cidr,)))
        return lines + super().usage()

    def copy(self) -> Self:
        """Return an independent plugin of the same state.

        Returns
        -------
        OVNKubernetes
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = super().copy()
        twin.entries = {family: [each.copy() for each in entries] for family, entries in self.entries.items()}
        return twin

    def _exhaust(self, times: int) -> None:
        """Leave behind what nodes do that find nothing: a cursor moved, and that of a range used up at its start."""
        for family in self.ranges:
            entries = self.entries[family]
            for each in entries:
                if not each.pool.free:
                    each.pool.cursor = 0
            first = next((each for each in entries if each.pool.free), None)
            if first is None:
                return  # an error here keeps the second family from being asked
            if family is not self.ip_families[-1]:
                first.pool.release(first.pool.allocate_next((times - 1) % first.pool.free + 1))


def _take(entries: Sequence[HostSubnets], n: int, family: IPFamily) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Take host subnets, the first entry that is not full first."""
    bases, lengths = [arrays.empty(0, family)], [np.zeros(0, np.uint8)]
    left = n
    for each in entries:
        numbers = each.pool.allocate_next(min(left, each.pool.free))
        bases.append(each.bases(numbers))
        lengths.append(np.full(len(numbers), each.host_length, np.uint8))
        left -= len(numbers)
        if left:
            each.pool.cursor = 0
    return np.concatenate(bases), np.concatenate(lengths)


def _read_entry(text: str) -> HostSubnets:
    """Read ``CIDR`` or ``CIDR/hostlength``."""
    parts = text.split("/")
    try:
        cidr = Cidr("/".join(parts[:2]))
    except InvalidInput as error:
        raise InvalidField("cluster-subnets", text, str(error)) from None
    if len(parts) > 3 or (len(parts) == 3 and not parts[2].isdecimal()):
        raise InvalidField("cluster-subnets", text, "write CIDR/hostlength, for instance 10.128.0.0/14/23")
    default = 24 if cidr.family is IPFamily.IPV4 else _IPV6_HOST_LENGTH
    return HostSubnets(cidr, int(parts[2]) if len(parts) == 3 else default)


def read_ovn(
    nodes: Iterable[Mapping[str, Any]], *, cluster_subnets: str, hybrid_overlay: bool = False
) -> tuple[OVNKubernetes, list[str], list[Finding]]:
    """Build the model of a live cluster from its nodes' annotations.

    Parameters
    ----------
    nodes : iterable of mapping
        Node objects as kubectl prints them.
    cluster_subnets : str
        The configuration's.
    hybrid_overlay : bool
        The third address of every host subnet is kept.

    Returns
    -------
    tuple of OVNKubernetes, list of str, list of (severity, rule, object, message)
        The model, the nodes' names in its order, and findings.

    Raises
    ------
    InvalidField
        ``cluster_subnets`` cannot be read.

    Examples
    --------
    >>> node = {"metadata": {"name": "a", "annotations": {NODE_SUBNETS: '{"default": ["10.131.0.0/23"]}'}}}
    >>> ovn, names, findings = read_ovn([node], cluster_subnets="10.128.0.0/14/23")
    >>> ovn.host_subnets(), findings
    ([('10.131.0.0/23',)], [])
    """
    ovn = OVNKubernetes(cluster_subnets, hybrid_overlay=hybrid_overlay)
    names: list[str] = []
    texts: list[list[str]] = []
    findings: list[Finding] = []
    for node in nodes:
        metadata = node.get("metadata") or {}
        names.append(str(metadata.get("name", "")))
        subnets, problems = _annotated((metadata.get("annotations") or {}).get(NODE_SUBNETS, ""))
        texts.append([str(subnet) for subnet in subnets])
        for subnet in subnets:
            if not any(each.occupy(subnet) for each in ovn.entries.get(subnet.family, ())):
                problems.append(
                    ("ovn-subnet-outside-cluster-subnets", f"{subnet} is no host subnet of {cluster_subnets}")
                )
        families = {subnet.family for subnet in subnets}
        if families < set(ovn.entries):
            lacking = " and ".join(sorted(set(ovn.entries) - families))
            problems.append(("ovn-node-lacks-family", f"has no host subnet of {lacking}"))
        findings.extend(("error", rule, f"Node/{names[-1]}", text) for rule, text in problems)
    ovn.add_ranges({f: pair for f, pair in pod_cidr_columns(texts).items() if f in ovn.entries})
    return ovn, names, sorted(findings)


def _annotated(text: str) -> tuple[list[Cidr], list[tuple[str, str]]]:
    """Read the annotation: one subnet or a list of them, by network."""
    try:
        found = json.loads(text).get("default", []) if text else []
        return [Cidr(each) for each in ([found] if isinstance(found, str) else found)], []
    except (ValueError, AttributeError, TypeError) as error:
        return [], [("ovn-invalid-annotation", f"{NODE_SUBNETS} {text!r}: {error}")]
