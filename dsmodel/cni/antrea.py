"""Antrea: host-local on the node's podCIDRs, or addresses from an IPPool.

Promises for the default what host-local promises, with IPv4 before IPv6, and both or nothing. For an IPPool: IPv4 only,
the lowest free address, ranges in the pool's order; of a CIDR range the first address, the gateway, and the last only
where the range is the whole subnet; of a start-end range nothing is kept back but the gateway. A StatefulSet gets
addresses next to each other, by ordinal.

It does not know the eight tries with back-off every change of an IPPool's status may take.

Sources: antrea-io/antrea ``pkg/agent/cniserver/server.go``, ``pkg/ipam/{ipallocator,poolallocator}/allocator.go``,
``docs/antrea-ipam.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses.arrays import from_integers
from dsmodel.addresses.cidr import Cidr, IPFamily, parse_address
from dsmodel.cni.contract import ANY_NODES, Certainty, Placement, PodCidrRole, PoolUsage, Provenance
from dsmodel.cni.node_ranges import HOST_LOCAL
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.cni.spans import LowestFree, without
from dsmodel.errors import InvalidAddress, InvalidField, InvalidInput, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.cni.contract import Finding, JoiningNodes

__all__ = ["PROVENANCE", "Antrea", "AntreaIPPool", "read_pool"]

PROVENANCE = Provenance(
    "antrea",
    Certainty.FROM_SOURCE,
    "antrea-io/antrea fc70f2b (August 2026)",
    (
        "pkg/agent/cniserver/server.go",
        "pkg/ipam/ipallocator/allocator.go",
        "pkg/ipam/poolallocator/allocator.go",
    ),
)

_CAP = 1 << 16  # addresses of a CIDR range an IPPool looks at


class Antrea(RangePlugin):
    """Antrea's default: podCIDRs through host-local.

    Parameters
    ----------
    families : sequence of IPFamily
        Those of the cluster.

    Raises
    ------
    InvalidInput
        No family.

    Examples
    --------
    >>> from dsmodel.cni.node_ranges import pod_cidr_columns
    >>> antrea = Antrea([IPFamily.IPV4])
    >>> antrea.add_ranges(pod_cidr_columns([["10.10.0.0/24"]]))
    array([0])
    >>> antrea.place([0] * 300).placed
    253
    """

    def __init__(self, families: Sequence[IPFamily]) -> None:
        super().__init__(PROVENANCE, {family: HOST_LOCAL[family] for family in families})


class AntreaIPPool:
    """One IPPool of flexible IPAM.

    Parameters
    ----------
    name : str
        Of the object.
    spans : sequence of (int, int)
        What may be handed out, first and last, in order.
    text : str
        The ranges as the object has them.

    Raises
    ------
    InvalidInput
        A span that ends before it starts.

    Examples
    --------
    >>> pool = read_pool({"spec": {"ipRanges": [{"cidr": "10.2.0.0/29"}],
    ...     "subnetInfo": {"gateway": "10.2.0.1", "prefixLength": 29}}})
    >>> pool.place([0] * 9).placed
    5
    """

    def __init__(self, name: str, spans: Sequence[tuple[int, int]], *, text: str = "") -> None:
        self.name, self._text = name, text
        self.pool = LowestFree(IPFamily.IPV4, spans)
        self._sets: dict[str, list[int]] = {}

    @property
    def provenance(self) -> Provenance:
        """Where the rules come from."""
        return PROVENANCE

    @property
    def ip_families(self) -> tuple[IPFamily, ...]:
        """IPv4 alone."""
        return (IPFamily.IPV4,)

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
        """For each span the smallest CIDR that covers it."""
        return tuple(_covering(*span) for span in self.pool.spans)

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
        """Give each pod the lowest free address.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            One entry a pod, in order of arrival; nodes play no part.

        Returns
        -------
        Placement
            ``reason`` is POOL_FULL.

        Raises
        ------
        None
            Every batch has an answer.
        """
        result = Placement.nothing(len(nodes), self.ip_families, Reason.POOL_FULL)
        column = self.pool.allocate_next(len(nodes))
        result.addresses[IPFamily.IPV4][: len(column)] = column
        result.reason[: len(column)] = Reason.OK
        return Placement(result.reason == Reason.OK, result.reason, result.addresses)

    def place_stateful_set(self, name: str, replicas: int) -> NDArray[np.uint32]:
        """Reserve addresses next to each other for a StatefulSet, or return those it has.

        Parameters
        ----------
        name : str
            ``namespace/name``.
        replicas : int
            How many.

        Returns
        -------
        ndarray of uint32
            By ordinal; empty when there is no such run.

        Raises
        ------
        None
            Every number has an answer.

        Notes
        -----
        Source: ``AllocateStatefulSet`` of ``pkg/ipam/poolallocator/allocator.go``.

        Examples
        --------
        >>> pool = AntreaIPPool("p", [(1, 9)])
        >>> pool.place_stateful_set("a/db", 3), pool.place_stateful_set("a/db", 3)
        (array([1, 2, 3], dtype=uint32), array([1, 2, 3], dtype=uint32))
        """
        if name not in self._sets:
            run = self.pool.allocate_run(max(1, replicas))
            if len(run):
                self._sets[name] = run.tolist()
        return np.array(self._sets.get(name, []), np.uint32)

    def release(self, nodes: NDArray[np.integer] | Sequence[int], addresses: Mapping[IPFamily, NDArray[Any]]) -> None:
        """Take pods' addresses back; those of a StatefulSet stay reserved for it.

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
        column = addresses.get(IPFamily.IPV4, np.zeros(0, np.uint32))
        kept = np.array([address for run in self._sets.values() for address in run], np.uint32)
        self.pool.release(column[~np.isin(column, kept)])

    def usage(self) -> list[PoolUsage]:
        """Tell how full the pool is.

        Returns
        -------
        list of PoolUsage
            One line.

        Raises
        ------
        None
            Always an answer.
        """
        return [PoolUsage(self.name, IPFamily.IPV4, self._text, self.pool.usable, self.pool.used, cidrs=self.cidrs)]

    def copy(self) -> Self:
        """Return an independent pool of the same state.

        Returns
        -------
        AntreaIPPool
            Storage is shared until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.pool = self.pool.copy()
        twin._sets = {name: list(run) for name, run in self._sets.items()}
        return twin

    def occupy(self, addresses: Sequence[str]) -> list[Finding]:
        """Mark what a live pool's status says is in use.

        Parameters
        ----------
        addresses : sequence of str
            ``status.ipAddresses[].ipAddress``.

        Returns
        -------
        list of (severity, rule, object, message)
            Addresses that cannot be read or that the pool would not hand out.

        Raises
        ------
        None
            Every text has an answer.
        """
        findings: list[Finding] = []
        for text in addresses:
            try:
                family, number = parse_address(text)
            except InvalidAddress as error:
                findings.append(("error", "antrea-invalid-address", f"IPPool/{self.name}", str(error)))
                continue
            column = from_integers([number] if family is IPFamily.IPV4 else [], family=IPFamily.IPV4)
            if not self.pool.occupy(column).any():
                message = f"{text} is in use and in no range of the pool"
                findings.append(("warning", "antrea-address-outside", f"IPPool/{self.name}", message))
        return findings


def read_pool(manifest: Mapping[str, Any]) -> AntreaIPPool:
    """Read an IPPool, with what its status says is in use.

    Parameters
    ----------
    manifest : mapping
        The object as kubectl prints it.

    Returns
    -------
    AntreaIPPool
        For `AntreaIPPool.place`.

    Raises
    ------
    InvalidField
        A range that cannot be read, is IPv6, or ends before it starts; names the path.

    Notes
    -----
    Source: ``NewCIDRAllocator`` and ``NewIPRangeAllocator`` of ``pkg/ipam/ipallocator/allocator.go``.

    Examples
    --------
    >>> read_pool({"spec": {"ipRanges": [{"start": "10.2.0.12", "end": "10.2.0.20"}]}}).usage()[0].usable
    9
    """
    spec = manifest.get("spec") or {}
    shared = spec.get("subnetInfo") or {}
    spans: list[tuple[int, int]] = []
    texts = []
    for place, entry in enumerate(spec.get("ipRanges") or ()):
        path = f"spec.ipRanges[{place}]"
        info = {**shared, **{key: entry[key] for key in ("gateway", "prefixLength") if key in entry}}
        kept = (
            [Cidr.from_parts(IPFamily.IPV4, _ipv4(info["gateway"], f"{path}.gateway"), 32)]
            if info.get("gateway")
            else []
        )
        if entry.get("cidr"):
            first, last = _cidr_span(entry["cidr"], info.get("prefixLength"), f"{path}.cidr")
        else:
            first, last = _ipv4(entry.get("start"), f"{path}.start"), _ipv4(entry.get("end"), f"{path}.end")
        if last < first:
            raise InvalidField(path, dict(entry), "no address is left between start and end")
        spans.extend(without(first, last, kept))
        texts.append(str(entry.get("cidr") or f"{entry.get('start')}-{entry.get('end')}"))
    pool = AntreaIPPool(str((manifest.get("metadata") or {}).get("name", "")), spans, text=", ".join(texts))
    pool.occupy([str(each.get("ipAddress")) for each in (manifest.get("status") or {}).get("ipAddresses") or ()])
    return pool


def _covering(first: int, last: int) -> Cidr:
    """Return the smallest CIDR with two addresses in it."""
    return Cidr.from_parts(IPFamily.IPV4, first, 32 - (first ^ last).bit_length(), host_bits="mask")


def _cidr_span(text: str, subnet_length: int | None, path: str) -> tuple[int, int]:
    """Return first and last address of a CIDR range."""
    try:
        cidr = Cidr(text, host_bits="mask")
    except InvalidInput as error:
        raise InvalidField(path, text, str(error)) from None
    if cidr.family is IPFamily.IPV6:
        raise InvalidField(path, text, "flexible IPAM is IPv4 only")
    last = min(cidr.last, cidr.first + _CAP - 1)
    broadcast = 1 if subnet_length == cidr.prefix_length and last == cidr.last else 0
    return cidr.first + 1, last - broadcast


def _ipv4(text: object, path: str) -> int:
    """Read an IPv4 address."""
    try:
        family, number = parse_address(str(text))
    except InvalidAddress as error:
        raise InvalidField(path, text, str(error)) from None
    if family is IPFamily.IPV6:
        raise InvalidField(path, text, "flexible IPAM is IPv4 only")
    return number
