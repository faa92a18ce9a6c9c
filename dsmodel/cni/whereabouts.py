"""Whereabouts: one range for the whole cluster, the lowest free address first.

Promises what is handed out of a range (in both families neither the first nor the last address; no gateway is left
out), the lowest free address again and again, a pod that keeps its address by name and interface, and ranges served in
the configuration's order: **when a later one is full, what the earlier ones gave stays allocated until the pod is
deleted**; `leaked` counts it. With ``node_slice_size`` every node has a slice, IPv4 only: `WhereaboutsSlices`.

It does not know the cluster-wide lease and its time-outs. Of a range wider than a /65 only the first 2**63 addresses
are reached.

Sources: k8snetworkplumbingwg/whereabouts ``pkg/allocate/allocate.go``, ``pkg/iphelpers``,
``pkg/storage/kubernetes/ipam.go``, ``pkg/config/config.go``, ``pkg/node-controller/controller.go``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses import arrays
from dsmodel.addresses.cidr import Cidr, IPFamily, parse_address
from dsmodel.cni.contract import ANY_NODES, Certainty, Placement, PodCidrRole, PoolUsage, Provenance, node_rows
from dsmodel.cni.node_ranges import RangeRule
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.cni.spans import LowestFree, without
from dsmodel.errors import InvalidAddress, InvalidField, InvalidInput, Reason
from dsmodel.pools.blocks import CidrSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.cni.contract import Finding, JoiningNodes

__all__ = ["PROVENANCE", "Whereabouts", "WhereaboutsRange", "WhereaboutsSlices", "read_ranges", "read_whereabouts"]

PROVENANCE = Provenance(
    "whereabouts",
    Certainty.FROM_SOURCE,
    "k8snetworkplumbingwg/whereabouts 3a262bd (June 2026)",
    ("pkg/allocate/allocate.go", "pkg/iphelpers/iphelpers.go", "pkg/node-controller/controller.go"),
)

_FEWEST = 4  # addresses of the smallest network it takes
_REACH = 1 << 63  # offsets are signed 64-bit numbers


@dataclass(frozen=True)
class WhereaboutsRange:
    """One range of the configuration.

    Parameters
    ----------
    cidr : Cidr
        The network.
    first, last : int
        First and last address that may be handed out.
    exclude : tuple of Cidr
        What is jumped over.
    """

    cidr: Cidr
    first: int
    last: int
    exclude: tuple[Cidr, ...] = ()

    @property
    def spans(self) -> list[tuple[int, int]]:
        """What may be handed out, ascending."""
        return without(self.first, min(self.last, self.cidr.first + _REACH - 1), self.exclude)


def read_ranges(ipam: Mapping[str, Any]) -> list[WhereaboutsRange]:
    """Read the ranges of a configuration.

    Parameters
    ----------
    ipam : mapping
        The ``ipam`` part: ``range``, ``range_start``, ``range_end``, ``exclude``, ``ipRanges``.

    Returns
    -------
    list of WhereaboutsRange
        In the order pods are served from. A start or end outside its range is ignored, as the plugin does.

    Raises
    ------
    InvalidField
        A text that cannot be read, or a network of fewer than 4 addresses.

    Notes
    -----
    Source: ``pkg/config/config.go``, ``GetIPRange`` of ``pkg/iphelpers``.

    Examples
    --------
    >>> read_ranges({"range": "10.0.0.10-10.0.0.12/24"})[0].spans == [(0x0A00000A, 0x0A00000C)]
    True
    """
    entries = [(f"ipRanges[{i}].", each) for i, each in enumerate(ipam.get("ipRanges") or ())]
    if ipam.get("range"):
        entries.insert(0, ("", ipam))
    return [_read_range(entry, path) for path, entry in entries]


def _read_range(entry: Mapping[str, Any], path: str) -> WhereaboutsRange:
    """Read one range."""
    text = str(entry.get("range", ""))
    start, dash, end = text.partition("-")
    limits = {"range_start": entry.get("range_start"), "range_end": entry.get("range_end")}
    if dash:
        limits = {"range_start": start, "range_end": end.partition("/")[0]}
        text = end
    try:
        cidr = Cidr(text, host_bits="mask")
        exclude = tuple(Cidr.of(each, host_bits="mask") for each in entry.get("exclude") or ())
    except InvalidInput as error:
        raise InvalidField(f"{path}range", entry.get("range"), str(error)) from None
    if cidr.size < _FEWEST:
        raise InvalidField(f"{path}range", text, f"net mask is too short, must be 4 addresses or more: {cidr}")
    first, last = cidr.first + 1, cidr.last - 1
    for name, limit in limits.items():
        if not limit:
            continue
        try:
            family, address = parse_address(str(limit))
        except InvalidAddress as error:
            raise InvalidField(f"{path}{name}", limit, str(error)) from None
        if family is cidr.family and cidr.first < address < cidr.last:
            first, last = (address, last) if name == "range_start" else (first, address)
    return WhereaboutsRange(cidr, first, last, tuple(each for each in exclude if each.family is cidr.family))


class Whereabouts:
    """A network of the plugin, cluster-wide.

    Parameters
    ----------
    ranges : sequence of WhereaboutsRange
        At most one a family for a pod with one address of each; in the configuration's order.

    Raises
    ------
    InvalidInput
        No range, or two of one family.

    Examples
    --------
    >>> plugin = Whereabouts(read_ranges({"ipRanges": [{"range": "10.0.0.0/29"}, {"range": "fd00::/126"}]}))
    >>> plugin.place([0, 0, 0]).ok, plugin.leaked
    (array([ True,  True, False]), 1)
    """

    def __init__(self, ranges: Sequence[WhereaboutsRange]) -> None:
        families = [each.cidr.family for each in ranges]
        if not ranges or len(set(families)) != len(families):
            raise InvalidInput(f"ranges of {[str(f) for f in families]}: give one or two, of different families")
        self.ranges = tuple(ranges)
        self.pools = {each.cidr.family: LowestFree(each.cidr.family, each.spans) for each in ranges}
        self.leaked = 0
        self._sticky: dict[tuple[IPFamily, str, str], int] = {}

    @property
    def provenance(self) -> Provenance:
        """Where the rules come from."""
        return PROVENANCE

    @property
    def ip_families(self) -> tuple[IPFamily, ...]:
        """Families a pod gets an address of."""
        return tuple(family for family in IPFamily if family in self.pools)

    @property
    def nodes(self) -> int:
        """Nodes play no part; any number will do."""
        return ANY_NODES

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """Another network than the nodes' podCIDRs."""
        return PodCidrRole.BESIDE

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """The networks of the ranges, in their order."""
        return tuple(each.cidr for each in self.ranges)

    @property
    def node_ranges(self) -> Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]]:
        """None: nodes share everything."""
        return {}

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let nodes join; they take nothing.

        Parameters
        ----------
        nodes : JoiningNodes
            Play no part.

        Returns
        -------
        ndarray of bool, shape (nodes,)
            All can run pods.

        Raises
        ------
        None
            Always possible.
        """
        return np.ones(len(nodes), np.bool_)

    def remove_nodes(self, nodes: NDArray[np.integer] | Sequence[int]) -> None:
        """Let nodes leave; addresses that were not released stay taken.

        Parameters
        ----------
        nodes : array of integers
            Play no part.

        Raises
        ------
        None
            Always possible.
        """

    def place(self, nodes: NDArray[np.integer] | Sequence[int]) -> Placement:
        """Give each pod an address of every range.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            One entry a pod, in order of arrival; nodes play no part.

        Returns
        -------
        Placement
            ``reason`` is POOL_FULL. A pod that fails in a later range leaves its address in the earlier one behind.

        Raises
        ------
        None
            Every batch has an answer.

        Notes
        -----
        Source: ``IPManagementKubernetesUpdate`` of ``pkg/storage/kubernetes/ipam.go``.
        """
        n = left = len(nodes)
        result = Placement.nothing(n, self.ip_families, Reason.POOL_FULL)
        granted = []
        for family, pool in self.pools.items():
            column = pool.allocate_next(left)
            result.addresses[family][: len(column)] = column
            left = len(column)
            granted.append(left)
        self.leaked += sum(granted) - left * len(granted)
        result.reason[:left] = Reason.OK
        return Placement(result.reason == Reason.OK, result.reason, result.addresses)

    def place_pod(self, pod_ref: str, ifname: str = "eth0") -> tuple[str, ...]:
        """Give one pod its addresses, those it had if it had any.

        Parameters
        ----------
        pod_ref : str
            ``namespace/name``.
        ifname : str
            Of the interface.

        Returns
        -------
        tuple of str
            In the order of the ranges. Shorter than there are ranges when one is full: what is there stays.

        Raises
        ------
        None
            A full range ends the list.

        Notes
        -----
        Source: ``AssignIP`` of ``pkg/allocate/allocate.go``.

        Examples
        --------
        >>> plugin = Whereabouts(read_ranges({"range": "10.0.0.0/29"}))
        >>> plugin.place_pod("a/b"), plugin.place_pod("a/c"), plugin.place_pod("a/b")
        (('10.0.0.1',), ('10.0.0.2',), ('10.0.0.1',))
        """
        found: list[str] = []
        for each in self.ranges:
            key = each.cidr.family, pod_ref, ifname
            if key not in self._sticky:
                column = self.pools[key[0]].allocate_next(1)
                if not len(column):
                    break
                self._sticky[key] = arrays.to_integers(column)[0]
            found.append(each.cidr.address(self._sticky[key] - each.cidr.first))
        return tuple(found)

    def release_pod(self, pod_ref: str, ifname: str = "eth0") -> int:
        """Take one pod's addresses back, up to the first range in which it has none.

        Parameters
        ----------
        pod_ref, ifname : str
            As in `place_pod`.

        Returns
        -------
        int
            How many went.

        Raises
        ------
        None
            A pod without addresses is no error.
        """
        gone = 0
        for each in self.ranges:
            family = each.cidr.family
            address = self._sticky.pop((family, pod_ref, ifname), None)
            if address is None:
                break
            gone += int(self.pools[family].release(arrays.from_integers([address], family=family)).sum())
        return gone

    def release(self, nodes: NDArray[np.integer] | Sequence[int], addresses: Mapping[IPFamily, NDArray[Any]]) -> None:
        """Take pods' addresses back; the next pod gets the lowest of them.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            Play no part.
        addresses : mapping of IPFamily to address column, shape (pods,)
            What each pod had.

        Raises
        ------
        InvalidAddress
            A column is of the other family.
        """
        del nodes
        for family, column in addresses.items():
            if family in self.pools:
                self.pools[family].release(column)

    def usage(self) -> list[PoolUsage]:
        """Tell how full each range is.

        Returns
        -------
        list of PoolUsage
            In the configuration's order.

        Raises
        ------
        None
            Always an answer.
        """
        lines = []
        for each in self.ranges:
            pool = self.pools[each.cidr.family]
            kept = each.cidr.size - pool.usable
            usage = PoolUsage("range", each.cidr.family, str(each.cidr), pool.usable, pool.used, kept)
            lines.append(replace(usage, cidrs=(each.cidr,)))
        return lines

    def occupy(self, family: IPFamily, address: int, *, pod_ref: str, ifname: str) -> bool:
        """Mark what a pod of a live cluster has.

        Parameters
        ----------
        family : IPFamily
            Of the address.
        address : int
            As a number.
        pod_ref, ifname : str
            Whose.

        Returns
        -------
        bool
            Whether it lies in the range and could be handed out.

        Raises
        ------
        None
            Every address has an answer.
        """
        inside = bool(self.pools[family].occupy(arrays.from_integers([address], family=family))[0])
        if inside:
            self._sticky[family, pod_ref, ifname] = address
        return inside

    def copy(self) -> Self:
        """Return an independent plugin of the same state.

        Returns
        -------
        Whereabouts
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.pools = {family: pool.copy() for family, pool in self.pools.items()}
        twin._sticky = dict(self._sticky)
        return twin


class WhereaboutsSlices(RangePlugin):
    """The plugin with ``node_slice_size``: a slice of the range for every node.

    Parameters
    ----------
    cidr : Cidr
        The range, IPv4.
    slice_size : int
        Prefix length of a slice.

    Raises
    ------
    InvalidField
        An IPv6 range, for which the controller crashes, or a size that does not fit.

    Examples
    --------
    >>> plugin = WhereaboutsSlices(Cidr("10.0.0.0/26"), 28)
    >>> plugin.add_nodes(5).tolist(), plugin.place([0] * 15).placed
    ([True, True, True, True, False], 14)
    """

    def __init__(self, cidr: Cidr, slice_size: int) -> None:
        if cidr.family is IPFamily.IPV6:
            raise InvalidField("range", str(cidr), "node_slice_size works for IPv4 only")
        if not cidr.prefix_length <= slice_size <= 30:
            raise InvalidField("node_slice_size", slice_size, f"use /{cidr.prefix_length} to /30")
        super().__init__(PROVENANCE, {IPFamily.IPV4: RangeRule(1, 1)}, pick="lowest")
        self._slices = CidrSet(cidr, slice_size)

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """Another network than the nodes' podCIDRs."""
        return PodCidrRole.BESIDE

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """The range."""
        return (self._slices.cluster_cidr,)

    @property
    def slices(self) -> CidrSet:
        """The range, cut into slices."""
        return self._slices.copy()

    @property
    def new_lengths(self) -> Mapping[IPFamily, int]:
        """Of the slices."""
        return {IPFamily.IPV4: self._slices.block_prefix_length}

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let nodes join; each takes the first free slice.

        Parameters
        ----------
        nodes : JoiningNodes
            In order of arrival.

        Returns
        -------
        ndarray of bool, shape (nodes,)
            Which have a slice.

        Raises
        ------
        None
            Nodes without a slice are marked.
        """
        return self.add_nodes(len(nodes))

    def usage(self) -> list[PoolUsage]:
        """Tell how many slices are left and how full they are.

        Returns
        -------
        list of PoolUsage
            Slices first.

        Raises
        ------
        None
            Always an answer.
        """
        each = self._slices
        text = f"{each.cluster_cidr} in /{each.block_prefix_length}"
        line = PoolUsage("slices", IPFamily.IPV4, text, each.max_blocks, each.used)
        return [replace(line, unit="node ranges", cidrs=self.cidrs), *super().usage()]

    def add_nodes(self, n: int) -> NDArray[np.bool_]:
        """Let nodes join; each takes the first free slice.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        ndarray of bool, shape (n,)
            Which have a slice.

        Raises
        ------
        None
            Nodes without a slice are marked.
        """
        self._slices.cursor = 0
        bases = self._slices.blocks(self._slices.allocate_next(n)).astype(np.uint32)
        blank = np.zeros(n - len(bases), np.uint32)
        lengths = np.where(np.arange(n) < len(bases), self._slices.block_prefix_length, 0).astype(np.uint8)
        self.add_ranges({IPFamily.IPV4: (np.concatenate((bases, blank)), lengths)})
        return lengths > 0

    def remove_nodes(self, nodes: NDArray[np.integer] | Sequence[int]) -> None:
        """Let nodes leave; their slices are the next ones given.

        Parameters
        ----------
        nodes : array of integers
            Which; those after move up.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        ranges = self.ranges[IPFamily.IPV4]
        rows = node_rows(nodes, self.nodes)
        indices, inside = self._slices.indices(ranges.bases[rows])
        super().remove_nodes(rows)
        self._slices.release(indices[inside])

    def copy(self) -> Self:
        """Return an independent plugin of the same state.

        Returns
        -------
        WhereaboutsSlices
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = super().copy()
        vars(twin)["_slices"] = self._slices.copy()
        return twin


def read_whereabouts(objects: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Whereabouts], list[Finding]]:
    """Build models of a live cluster's ranges.

    Parameters
    ----------
    objects : iterable of mapping
        ``ippools.whereabouts.cni.cncf.io`` as kubectl prints them; lists are looked into, other kinds skipped.

    Returns
    -------
    tuple of dict of str to Whereabouts, list of (severity, rule, object, message)
        One model a range, by its text, and findings.

    Raises
    ------
    None
        What cannot be read is a finding.

    Notes
    -----
    Source: ``pkg/storage/kubernetes/ipam.go``; a key of ``allocations`` is the distance from the network address.

    Examples
    --------
    >>> pool = {"kind": "IPPool", "metadata": {"name": "10.0.0.0-29"}, "spec": {"range": "10.0.0.0/29",
    ...     "allocations": {"1": {"id": "c", "podref": "a/b", "ifname": "net1"}}}}
    >>> models, findings = read_whereabouts([pool])
    >>> models["10.0.0.0/29"].place_pod("x/y"), findings
    (('10.0.0.2',), [])
    """
    models: dict[str, Whereabouts] = {}
    findings: list[Finding] = []
    for each in objects:
        if isinstance(each.get("items"), list):
            inner, found = read_whereabouts(each["items"])
            models.update(inner)
            findings.extend(found)
        elif each.get("kind") == "IPPool":
            _read_pool(each, models, findings)
    return models, sorted(findings)


def _read_pool(pool: Mapping[str, Any], models: dict[str, Whereabouts], findings: list[Finding]) -> None:
    """Read one range and who has what of it."""
    name, spec = f"IPPool/{(pool.get('metadata') or {}).get('name', '')}", pool.get("spec") or {}
    try:
        (found,) = read_ranges({"range": spec.get("range") or "none"})
    except InvalidField as error:
        findings.append(("error", "whereabouts-invalid-range", name, str(error)))
        return
    model = models.setdefault(str(found.cidr), Whereabouts([found]))
    seen: dict[tuple[str, str], str] = {}
    for key, holder in (spec.get("allocations") or {}).items():
        pod = str(holder.get("podref", "")), str(holder.get("ifname", ""))
        family = found.cidr.family
        if not str(key).isdecimal() or int(key) >= found.cidr.size:
            findings.append(("error", "whereabouts-invalid-offset", name, f"{key!r} is no offset in {found.cidr}"))
            continue
        if not model.occupy(family, found.cidr.first + int(key), pod_ref=pod[0], ifname=pod[1]):
            text = f"{found.cidr.address(int(key))} of {pod[0]} is never handed out of this range"
            findings.append(("warning", "whereabouts-address-outside", name, text))
        if pod in seen and pod[0]:
            text = f"{pod[0]} {pod[1]} holds offsets {seen[pod]} and {key}: one of them is left over"
            findings.append(("warning", "whereabouts-two-addresses", name, text))
        seen[pod] = str(key)
