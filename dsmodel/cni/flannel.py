"""Flannel: node podCIDRs inside its network, or leases of its own from etcd; pods through host-local.

Promises the defaults and rules of net-conf.json, that the first subnet of a network is never leased, the choice of a
lease among the first hundred free ones, a lease a node keeps by its public address, and both families or none. In a
/24 pods get 253 addresses: flannel.1 has the .0, the bridge the .1.

Which of the hundred a node gets is chance in flannel and drawn here. Leases run out after 24 hours unless renewed;
here they stay until `FlannelLeases.remove_nodes`.

Sources: flannel-io/flannel ``pkg/subnet/config.go``, ``pkg/subnet/etcd/local_manager.go``,
``pkg/subnet/kube/kube.go``, ``pkg/backend/vxlan/vxlan.go``; flannel-io/cni-plugin.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.contract import Certainty, PodCidrRole, PoolUsage, Provenance
from dsmodel.cni.node_ranges import HOST_LOCAL, pod_cidr_columns
from dsmodel.cni.range_plugin import RangePlugin
from dsmodel.errors import InvalidField, InvalidInput
from dsmodel.pools.blocks import CidrSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.cni.contract import Finding, JoiningNodes

__all__ = [
    "PROVENANCE",
    "Flannel",
    "FlannelLeases",
    "FlannelNetwork",
    "check_pod_cidrs",
    "read_flannel",
    "read_net_conf",
]

PROVENANCE = Provenance(
    "flannel",
    Certainty.FROM_SOURCE,
    "flannel-io/flannel cdf7605 (August 2026)",
    ("pkg/subnet/config.go", "pkg/subnet/etcd/local_manager.go", "pkg/subnet/kube/kube.go"),
    "with etcd, which of the first hundred free subnets a node leases",
)

PUBLIC_IP = "flannel.alpha.coreos.com/public-ip"
"""The annotation every flannel node has. Source: ``pkg/subnet/kube/annotations.go``."""

_CANDIDATES = 100
_WIDE = {IPFamily.IPV4: (22, 24), IPFamily.IPV6: (62, 64)}  # networks up to the first get subnets of the second
_LONGEST_NETWORK = {IPFamily.IPV4: 28, IPFamily.IPV6: 124}
_LONGEST_SUBNET = {IPFamily.IPV4: 30, IPFamily.IPV6: 126}
_BACKENDS = ("vxlan", "host-gw", "wireguard")  # those that carry both families


@dataclass(frozen=True)
class FlannelNetwork:
    """The network of one family.

    Parameters
    ----------
    cidr : Cidr
        Network, or IPv6Network.
    subnet_length : int
        SubnetLen, or IPv6SubnetLen.
    first, last : int
        Indexes of SubnetMin and SubnetMax among the subnets.
    """

    cidr: Cidr
    subnet_length: int
    first: int
    last: int

    @property
    def max_nodes(self) -> int:
        """Subnets that can be leased."""
        return self.last - self.first + 1


def read_net_conf(document: Mapping[str, Any]) -> dict[IPFamily, FlannelNetwork]:
    """Read net-conf.json.

    Parameters
    ----------
    document : mapping
        Network, EnableIPv4, SubnetLen, SubnetMin, SubnetMax, the same with IPv6 before them, Backend.

    Returns
    -------
    dict of IPFamily to FlannelNetwork
        One for each enabled family.

    Raises
    ------
    InvalidField
        Flannel would not start; names the field.

    Notes
    -----
    Source: ``CheckNetworkConfig`` of ``pkg/subnet/config.go``.

    Examples
    --------
    >>> read_net_conf({"Network": "10.244.0.0/16"})[IPFamily.IPV4].max_nodes
    255
    """
    enabled = {
        IPFamily.IPV4: bool(document.get("EnableIPv4", True)),
        IPFamily.IPV6: bool(document.get("EnableIPv6", False)),
    }
    found = {}
    for family, wanted in enabled.items():
        if wanted:
            found[family] = _read_network(document, family, "" if family is IPFamily.IPV4 else "IPv6")
    backend = str((document.get("Backend") or {}).get("Type") or "vxlan")
    if not found:
        raise InvalidField("EnableIPv4", False, "enable one family at least")
    if len(found) == 2 and backend not in _BACKENDS:
        raise InvalidField("Backend.Type", backend, f"both families need one of {', '.join(_BACKENDS)}")
    return found


def _read_network(document: Mapping[str, Any], family: IPFamily, prefix: str) -> FlannelNetwork:
    """Read the fields of one family."""
    path = f"{prefix}Network"
    try:
        cidr = Cidr(str(document.get(path, "")), host_bits="mask")
    except InvalidInput as error:
        raise InvalidField(path, document.get(path), str(error)) from None
    if cidr.family is not family:
        raise InvalidField(path, str(cidr), f"expected an {family} network")
    wide, default = _WIDE[family]
    length = document.get(f"{prefix}SubnetLen") or (default if cidr.prefix_length <= wide else cidr.prefix_length + 2)
    if cidr.prefix_length > _LONGEST_NETWORK[family]:
        raise InvalidField(path, str(cidr), f"too small: a network is /{_LONGEST_NETWORK[family]} or shorter")
    if not cidr.prefix_length + 2 <= length <= _LONGEST_SUBNET[family]:
        text = f"use {cidr.prefix_length + 2} (four subnets) to {_LONGEST_SUBNET[family]}"
        raise InvalidField(f"{prefix}SubnetLen", length, text)
    ends = 1, (1 << (length - cidr.prefix_length)) - 1
    names = f"{prefix}SubnetMin", f"{prefix}SubnetMax"
    first, last = (_limit(document.get(n), cidr, length, (n, end)) for n, end in zip(names, ends, strict=True))
    return FlannelNetwork(cidr, length, first, last)


def _limit(text: str | None, cidr: Cidr, length: int, default: tuple[str, int]) -> int:
    """Read SubnetMin or SubnetMax."""
    path, index = default
    if not text:
        return index
    try:
        subnet = Cidr(f"{text}/{length}")
    except InvalidInput as error:
        raise InvalidField(path, text, f"{error}; it is the first address of a subnet") from None
    if subnet not in cidr:
        raise InvalidField(path, text, f"is not in {cidr}")
    return (subnet.first - cidr.first) >> subnet.host_bits_count


class Flannel(RangePlugin):
    """Flannel with the Kubernetes API: nodes bring their podCIDRs.

    Parameters
    ----------
    families : sequence of IPFamily
        Those enabled.

    Raises
    ------
    InvalidInput
        No family.

    Examples
    --------
    >>> flannel = Flannel([IPFamily.IPV4])
    >>> flannel.add_ranges(pod_cidr_columns([["10.244.1.0/24"]]))
    array([0])
    >>> flannel.place([0] * 300).placed
    253
    """

    def __init__(self, families: Sequence[IPFamily]) -> None:
        # ranges are written IPv4 first, whatever the order of podCIDRs
        super().__init__(PROVENANCE, {family: HOST_LOCAL[family] for family in families})


class FlannelLeases(Flannel):
    """Flannel with etcd: every node leases a subnet of each family.

    Parameters
    ----------
    networks : mapping of IPFamily to FlannelNetwork
        From `read_net_conf`.
    rng : numpy.random.Generator, optional
        Draws among the first hundred; a fixed one when not given.

    Raises
    ------
    InvalidInput
        No family.

    Examples
    --------
    >>> flannel = FlannelLeases(read_net_conf({"Network": "10.0.0.0/28"}))
    >>> flannel.add_nodes(["a", "b", "c", "d"]).tolist()
    [True, True, True, False]
    """

    def __init__(self, networks: Mapping[IPFamily, FlannelNetwork], *, rng: np.random.Generator | None = None) -> None:
        super().__init__(list(networks))
        self.networks = dict(networks)
        self._rng = rng or np.random.default_rng(0)
        self._sets = {f: CidrSet(each.cidr, each.subnet_length) for f, each in networks.items()}
        self._before: dict[str, list[int]] = {}
        self.names: list[str] = []
        for family, each in networks.items():
            everything = np.arange(self._sets[family].max_blocks if each.cidr.family is IPFamily.IPV4 else each.first)
            self._sets[family].occupy(everything[(everything < each.first) | (everything > each.last)])

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """Leases take the place of node IPAM."""
        return PodCidrRole.REPLACED

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """The networks, in their order."""
        return tuple(network.cidr for network in self.networks.values())

    @property
    def sets(self) -> Mapping[IPFamily, CidrSet]:
        """Subnets of each network: leased ones, and those never leased, are marked."""
        return dict(self._sets)

    @property
    def new_lengths(self) -> Mapping[IPFamily, int]:
        """Of the subnets."""
        return {family: network.subnet_length for family, network in self.networks.items()}

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let nodes join, each with a lease of every family, or none.

        Parameters
        ----------
        nodes : JoiningNodes
            In order of arrival; a name stands for the node's public address.

        Returns
        -------
        ndarray of bool, shape (nodes,)
            Which have leases; the others are out of subnets.

        Raises
        ------
        None
            Nodes without a lease are marked.
        """
        return self.add_nodes(nodes.names)

    def add_nodes(self, public_ips: Sequence[str]) -> NDArray[np.bool_]:
        """Let nodes join, each with a lease of every family, or none.

        Parameters
        ----------
        public_ips : sequence of str
            A node that had a lease before gets the same subnets while they are free.

        Returns
        -------
        ndarray of bool, shape (nodes,)
            Which have leases; the others are out of subnets.

        Raises
        ------
        None
            Nodes without a lease are marked.

        Notes
        -----
        Source: ``allocateSubnet`` of ``pkg/subnet/etcd/local_manager.go``.
        """
        texts: list[list[str]] = []
        for name in public_ips:
            chosen = [self._choose(name, number) for number, _ in enumerate(self._sets)]
            leased = [index for index in chosen if index is not None]
            if len(leased) < len(chosen):
                texts.append([])
                continue
            for cidrs, index in zip(self._sets.values(), leased, strict=True):
                cidrs.allocate(index)
            self._before[name] = leased
            texts.append([str(each.block(index)) for each, index in zip(self._sets.values(), leased, strict=True)])
        columns = {family: pair for family, pair in pod_cidr_columns(texts).items() if family in self._sets}
        self.add_ranges(columns)
        self.names.extend(public_ips)
        return np.array([bool(row) for row in texts], np.bool_)

    def remove_nodes(self, nodes: NDArray[np.integer] | Sequence[int]) -> None:
        """Let nodes leave and their leases run out.

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
        for node in sorted(np.asarray(nodes).tolist(), reverse=True):
            name = self.names.pop(node)
            for cidrs, index in zip(self._sets.values(), self._before.get(name, []), strict=False):
                cidrs.release(index)

    def usage(self) -> list[PoolUsage]:
        """Tell how many subnets are left to lease and how full they are.

        Returns
        -------
        list of PoolUsage
            Leases first.

        Raises
        ------
        None
            Always an answer.
        """
        lines = []
        for family, network in self.networks.items():
            kept = self._kept(family)
            text = f"{network.cidr} in /{network.subnet_length}"
            usage = PoolUsage("leases", family, text, network.max_nodes, self._sets[family].used - kept, kept)
            lines.append(replace(usage, unit="node ranges", cidrs=(network.cidr,)))
        return lines + super().usage()

    def copy(self) -> Self:
        """Return an independent plugin of the same state.

        Returns
        -------
        FlannelLeases
            Nothing is shared that changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = super().copy()
        twin.names = list(self.names)
        own = {"_sets": {f: s.copy() for f, s in self._sets.items()}, "_before": dict(self._before)}
        vars(twin).update(own, _rng=copy.deepcopy(self._rng))
        return twin

    def _choose(self, name: str, number: int) -> int | None:
        """Return the subnet a node leases: the one it had, or one of the first hundred free."""
        cidrs = list(self._sets.values())[number]
        network = list(self.networks.values())[number]
        before = self._before.get(name)
        if before and not cidrs.has(before[number]):
            return before[number]
        free = cidrs.free_offsets(_CANDIDATES)
        free = free[free <= network.last]
        return int(free[self._rng.integers(len(free))]) if len(free) else None

    def _kept(self, family: IPFamily) -> int:
        """Return how many subnets are marked because they are never leased."""
        network = self.networks[family]
        behind = self._sets[family].max_blocks - 1 - network.last if family is IPFamily.IPV4 else 0
        return network.first + behind


def check_pod_cidrs(nodes: Iterable[Mapping[str, Any]], networks: Mapping[IPFamily, FlannelNetwork]) -> list[Finding]:
    """Judge nodes as flannel does at start with the Kubernetes API.

    Parameters
    ----------
    nodes : iterable of mapping
        Node objects as kubectl prints them.
    networks : mapping of IPFamily to FlannelNetwork
        From `read_net_conf`.

    Returns
    -------
    list of (severity, rule, object, message)
        Nodes without a podCIDR of an enabled family, or with one outside flannel's network.

    Raises
    ------
    None
        What cannot be read is a finding.

    Notes
    -----
    Source: ``AcquireLease`` of ``pkg/subnet/kube/kube.go``.

    Examples
    --------
    >>> networks = read_net_conf({"Network": "10.244.0.0/16"})
    >>> node = {"metadata": {"name": "a"}, "spec": {"podCIDRs": ["10.0.1.0/24"]}}
    >>> check_pod_cidrs([node], networks)[0][3]
    'podCIDR 10.0.1.0/24 is not in flannel network 10.244.0.0/16: set --cluster-cidr or Network to the same range'
    """
    findings: list[Finding] = []
    for node in nodes:
        name = f"Node/{(node.get('metadata') or {}).get('name', '')}"
        spec = node.get("spec") or {}
        cidrs: dict[IPFamily, Cidr] = {}
        for text in spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else []):
            try:
                cidr = Cidr(str(text), host_bits="mask")
            except InvalidInput as error:
                findings.append(("error", "flannel-invalid-pod-cidr", name, str(error)))
            else:
                cidrs.setdefault(cidr.family, cidr)
        for family, network in networks.items():
            if family not in cidrs:
                text = f"has no {family} podCIDR: node IPAM has none left, or --cluster-cidr lacks the family"
                findings.append(("error", "flannel-no-pod-cidr", name, text))
            elif cidrs[family] not in network.cidr:
                text = f"podCIDR {cidrs[family]} is not in flannel network {network.cidr}"
                text += ": set --cluster-cidr or Network to the same range"
                findings.append(("error", "flannel-pod-cidr-outside", name, text))
    return findings


def read_flannel(
    nodes: Iterable[Mapping[str, Any]], networks: Mapping[IPFamily, FlannelNetwork]
) -> tuple[Flannel, list[str], list[Finding]]:
    """Build the model of a live cluster that uses the Kubernetes API.

    Parameters
    ----------
    nodes : iterable of mapping
        Node objects as kubectl prints them.
    networks : mapping of IPFamily to FlannelNetwork
        From `read_net_conf`.

    Returns
    -------
    tuple of Flannel, list of str, list of (severity, rule, object, message)
        The model, the nodes' names in its order, and findings: those of `check_pod_cidrs`, and nodes without flannel's
        annotation, on which it has not started.

    Raises
    ------
    InvalidInput
        No family.

    Examples
    --------
    >>> node = {"metadata": {"name": "a", "annotations": {PUBLIC_IP: "192.0.2.1"}},
    ...     "spec": {"podCIDRs": ["10.244.1.0/24"]}}
    >>> flannel, names, findings = read_flannel([node], read_net_conf({"Network": "10.244.0.0/16"}))
    >>> flannel.nodes, names, findings
    (1, ['a'], [])
    """
    rows = list(nodes)
    findings = check_pod_cidrs(rows, networks)
    names, texts = [], []
    for node in rows:
        metadata, spec = node.get("metadata") or {}, node.get("spec") or {}
        names.append(str(metadata.get("name", "")))
        given = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
        texts.append([str(text) for text in given if _inside(str(text), networks)])
        if PUBLIC_IP not in (metadata.get("annotations") or {}):
            text = f"has no annotation {PUBLIC_IP}: flannel has not started there"
            findings.append(("warning", "flannel-not-started", f"Node/{names[-1]}", text))
    flannel = Flannel(list(networks))
    flannel.add_ranges({f: pair for f, pair in pod_cidr_columns(texts).items() if f in networks})
    return flannel, names, sorted(findings)


def _inside(text: str, networks: Mapping[IPFamily, FlannelNetwork]) -> bool:
    """Tell whether a podCIDR can be read and lies in the network."""
    try:
        cidr = Cidr(text, host_bits="mask")
    except InvalidInput:
        return False
    return cidr.family in networks and cidr in networks[cidr.family].cidr
