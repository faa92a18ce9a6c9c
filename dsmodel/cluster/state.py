"""A cluster: configuration, tables, pools, and the batch verbs that keep them in step.

A `Cluster` promises that its pools hold exactly what its tables show, plus what the real components lose (`leaked`
node blocks), that a row which cannot be served changes nothing but what the component itself would leave changed, and
that a copy is cheap and independent.

- Nodes get their podCIDRs from `kube.NodeIPAM`: both families or none, and the first family's block is lost when the
  second has none left.
- Pods get the next address of host-local on their node in every family, or what another network plugin gives them,
  and count against the kubelet's pod limit.
- Services get cluster IPs and node ports by the API server's random law; a row gets all it needs or nothing.

What it does not know: updates of Services other than of their policy, time.

Sources: ``pkg/controller/nodeipam`` and ``pkg/registry/core/service`` of v1.36.2, containernetworking/plugins
``plugins/ipam/host-local``.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from dsmodel.addresses.arrays import empty
from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster import assignment, occupancy, service_assignment
from dsmodel.cluster.checks import findings_table, findings_with_plugin
from dsmodel.cluster.family_changes import set_family_policy
from dsmodel.cluster.live_plugins import plugin_from_objects
from dsmodel.cluster.network_plugins import HOST_LOCAL, plugin_of, runs_node_ipam
from dsmodel.cluster.objects import LabelSets, NetworkObjects
from dsmodel.cluster.overview import card_of
from dsmodel.cluster.pod_blocks import PodBlocks
from dsmodel.cluster.schema import ALLOWED_SOURCES, FINDINGS, NODE_PORTS, NODES, PODS, SERVICES
from dsmodel.cluster.service_ranges import ServiceRanges, node_port_pool
from dsmodel.cluster.table import Table
from dsmodel.errors import InvalidConfig, InvalidInput
from dsmodel.kube.node_ipam import NodeIPAM

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.cluster.outcome import Outcome
    from dsmodel.cni.contract import Finding, NetworkPlugin
    from dsmodel.kube.config import ClusterConfig
    from dsmodel.pools.ranges import PortRange

__all__ = ["Cluster", "ClusterPool"]


@dataclass(frozen=True)
class ClusterPool:
    """One pool of a cluster, as a report names it.

    Parameters
    ----------
    kind : str
        "node blocks", "plugin blocks", "subnet addresses", "pod addresses", "service addresses" or "node ports".
    family : IPFamily or None
        None for node ports.
    range : str
        CIDR, or first and last port; for pod addresses the cluster CIDR the blocks come from, or the plugin's words.
    size : int
        Blocks, addresses or ports, usable or not.
    usable : int
        What may be handed out.
    used : int
        What is in use, leaked and reserved blocks included.
    free : int
        What may still be handed out.
    band_offset : int, default 0
        Size of the static band.
    block_prefix_length : int, default 0
        Prefix length of a node's block; 0 where there is none.
    reserved : int, default 0
        Node blocks that a service range takes.
    leaked : int, default 0
        Node blocks marked for no node until kube-controller-manager restarts.
    name : str, default ""
        Plugin and pool in the plugin's words; empty for pools of Kubernetes and host-local.
    withheld : int, default 0
        Addresses or blocks of the range that are never handed out and not among the usable ones.
    cooling : int, default 0
        Given back, and not yet handed out again; neither used nor free.
    cidrs : tuple of Cidr, default ()
        Where a plugin's pool lies; empty where that is the nodes' own ranges.
    """

    kind: str
    family: IPFamily | None
    range: str
    size: int
    usable: int
    used: int
    free: int
    band_offset: int = 0
    block_prefix_length: int = 0
    reserved: int = 0
    leaked: int = 0
    name: str = ""
    withheld: int = 0
    cooling: int = 0
    cidrs: tuple[Cidr, ...] = ()


class Cluster:
    """Configuration, tables and pools of one cluster.

    Parameters
    ----------
    config : ClusterConfig
        Ranges, masks, version. The Service ``default/kubernetes`` exists from the start, as the API server makes it.
    network_plugin : NetworkPlugin or str, default "host-local"
        How pods get their addresses: a plugin of `dsmodel.cni` without nodes, of which the cluster takes a copy, or a
        name of `PLUGIN_NAMES` for one with the settings of a fresh installation over the cluster CIDRs.

    Raises
    ------
    InvalidConfig
        If kube-controller-manager would not start with the cluster CIDRs and masks, in its own words; or if the
        plugin's ranges do not fit the configuration.
    InvalidInput
        If ``network_plugin`` is neither, or has nodes.

    Examples
    --------
    >>> from dsmodel import ClusterConfig
    >>> cluster = Cluster(ClusterConfig.of(
    ...     cluster_cidrs=["10.244.0.0/16", "fd00:10:244::/56"], service_cidrs=["10.96.0.0/16", "fd00:10:96::/112"]))
    >>> cluster.add_nodes(2).granted, cluster.add_pods([0, 1, 1]).granted
    (2, 3)
    >>> cluster.pods.to_frame()[["node", "pod_ipv4", "pod_ipv6"]]
       node    pod_ipv4           pod_ipv6
    0     0  10.244.0.2    fd00:10:244::2
    1     1  10.244.1.2  fd00:10:244:1::2
    2     1  10.244.1.3  fd00:10:244:1::3

    With Calico, nodes claim blocks wherever their pods need them:

    >>> cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/24"]), network_plugin="calico")
    >>> cluster.add_nodes(3).granted, cluster.add_pods([0] * 100 + [1] * 100 + [2] * 100)
    (3, Outcome(256 OK, 44 POOL_FULL))
    """

    def __init__(self, config: ClusterConfig, *, network_plugin: NetworkPlugin | str = HOST_LOCAL) -> None:
        plugin = plugin_of(config, network_plugin)
        ipam = _ipam(config) if config.cluster_cidrs and runs_node_ipam(plugin) else None
        self._start(config, ipam=ipam, plugin=plugin)
        occupancy.create_kubernetes_service(self)

    def _start(self, config: ClusterConfig, *, ipam: NodeIPAM | None, plugin: NetworkPlugin | None = None) -> None:
        """Set up empty tables and pools."""
        self.config = config
        self.nodes, self.pods, self.services = Table(NODES), Table(PODS), Table(SERVICES)
        self.node_ports = Table(NODE_PORTS)
        self._findings = Table(FINDINGS)
        # objects of each kind that a dump held: how many were read, ignored, refused
        self.counts: Mapping[str, Mapping[str, int]] = {}
        # what policies, plugins and gateways are written in; empty where a dump did not show it
        self.objects = NetworkObjects()
        self.pod_labels, self.node_labels = LabelSets(), LabelSets()
        self.namespaces: Mapping[str, Mapping[str, str]] = {}
        self.namespace_annotations: Mapping[str, Mapping[str, str]] = {}
        self.allowed_sources = Table(ALLOWED_SOURCES)
        self.node_ipam = ipam
        self._plugin = plugin
        self._plugin_findings: Sequence[Finding] = ()
        # the objects the plugin was read from: others are read when somebody asks for it; None where it was given
        self._plugin_objects: NetworkObjects | None = None
        self.pod_blocks = {family: PodBlocks(family, empty(0, family)) for family in IPFamily}
        self.service_ranges = ServiceRanges(config)
        self.port_range: PortRange = node_port_pool(config)
        self.reserved_blocks = tuple(pool.used for pool in ipam.sets) if ipam else ()
        self.shared_addresses = False
        self.node_serial = 0
        self.pod_counts: NDArray[np.int64] = np.zeros(0, np.int64)

    @classmethod
    def from_tables(
        cls,
        config: ClusterConfig,
        *,
        nodes: Table | None = None,
        pods: Table | None = None,
        services: Table | None = None,
        node_ports: Table | NDArray[np.integer] | None = None,
        findings: Table | None = None,
    ) -> Self:
        """Build a cluster from what exists, and name what is unsound about it.

        Parameters
        ----------
        config : ClusterConfig
            Ranges, masks, version.
        nodes, pods, services : Table, optional
            Of the schemas `NODES`, `PODS`, `SERVICES`; ``holds_address`` is worked out here.
        node_ports : Table or array of int, optional
            Of the schema `NODE_PORTS`, or port numbers whose owner is not known.
        findings : Table, optional
            What the reader has found; comes first in `findings`.

        Returns
        -------
        Cluster
            Its pools hold what the tables show. Nothing is refused: what does not fit is a finding.

        Raises
        ------
        InvalidInput
            If a table has another schema, or names a row of another table that is not there.

        Examples
        --------
        >>> from dsmodel import ClusterConfig
        >>> nodes = Table(NODES, {"name": ["a"], "pod_cidr_ipv4": np.array([0x0A000000], np.uint32),
        ...                       "pod_cidr_ipv4_mask": [24]})
        >>> cluster = Cluster.from_tables(ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"]), nodes=nodes)
        >>> cluster.findings["rule"].tolist()
        ['node-pod-cidr-out-of-range']
        """
        cluster = cls.__new__(cls)
        trouble = []
        try:
            ipam = _ipam(config) if config.cluster_cidrs else None
        except InvalidConfig as error:
            ipam = None
            trouble.append(("fatal", "node-ipam-does-not-start", "Cluster", str(error)))
        cluster._start(config, ipam=ipam)  # noqa: SLF001 - an instance of this class
        for given, name, schema in ((nodes, "nodes", NODES), (pods, "pods", PODS), (services, "services", SERVICES)):
            if given is not None:
                if given.schema is not schema:
                    raise InvalidInput(f"{name}: got a table of {given.schema.name}")
                setattr(cluster, name, given)
        if node_ports is not None:
            cluster.node_ports = (
                node_ports
                if isinstance(node_ports, Table)
                else Table(NODE_PORTS, {"node_port": np.asarray(node_ports)})
            )
        _check_rows(cluster.pods["node"], cluster.nodes, "pods: node")
        _check_rows(cluster.node_ports["service"], cluster.services, "node_ports: service")
        trouble += occupancy.occupy_all(cluster)
        cluster._plugin_objects = cluster.objects  # noqa: SLF001 - an instance of this class
        first = findings if findings is not None else Table(FINDINGS)
        cluster.findings = first.append(findings_table(trouble))
        return cluster

    # network plugin ------------------------------------------------------------------------------------------------

    @property
    def network_plugin(self) -> NetworkPlugin | None:
        """Who gives pods their addresses; None for host-local, whose state is in `pod_blocks`.

        Of a cluster that was read, the plugin its objects show, read when first asked for.
        """
        self._read_plugin()
        return self._plugin

    @property
    def findings(self) -> Table:
        """What a reader found unsound; rules that hang on the network plugin are judged by the one that was read."""
        self._read_plugin()
        return self._findings

    @findings.setter
    def findings(self, findings: Table) -> None:
        """Replace all of them."""
        self._read_plugin()
        self._findings = findings

    @property
    def plugin_findings(self) -> Sequence[Finding]:
        """What is unsound about the plugin's objects: severity, rule, object, message."""
        self._read_plugin()
        return self._plugin_findings

    def _read_plugin(self) -> None:
        """Read the plugin from objects that were not looked at yet."""
        if self._plugin_objects is not None and self.objects is not self._plugin_objects:
            self._plugin_objects = self.objects
            self._plugin, self._plugin_findings = plugin_from_objects(self)
            if not runs_node_ipam(self._plugin):
                self.node_ipam, self.reserved_blocks = None, ()
            if self._plugin is not None or self._plugin_findings:
                self._findings = findings_with_plugin(self, self._findings)

    # nodes ---------------------------------------------------------------------------------------------------------

    def add_nodes(
        self,
        nodes: int | Sequence[str],
        *,
        pod_cidrs: Sequence[Sequence[str]] | None = None,
        allocatable_pods: ArrayLike | None = None,
        zone: ArrayLike = "",
        node_pool: ArrayLike = "",
        labels: Mapping[str, str] | Sequence[Mapping[str, str] | None] | None = None,
    ) -> Outcome:
        """Let nodes join, in order.

        Parameters
        ----------
        nodes : int or sequence of str
            Names, or how many; then they are named ``node-0``, ``node-1`` and so on.
        pod_cidrs : sequence of sequences of str, optional
            What each node brings; an empty one is left to node IPAM, as are all if left out.
        allocatable_pods : int or array of int, optional
            Pods the kubelet admits; `ClusterConfig.max_pods` if left out.
        zone, node_pool : str or array of str
            One for all, or one a node.
        labels : mapping of str to str, or sequence of these, optional
            One set for all, or one a node; not known if left out.

        Returns
        -------
        Outcome
            CIDR_NOT_AVAILABLE where a family had no block left: the Node exists without podCIDRs and not ready, and
            blocks already taken from the other family are lost; with another network plugin, where that has no range
            for the node. ALREADY_EXISTS where the name is taken.

        Raises
        ------
        InvalidInput
            If a length differs from the number of nodes.
        InvalidCidr
            If one of ``pod_cidrs`` is no CIDR.

        Examples
        --------
        >>> from dsmodel import ClusterConfig
        >>> cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/23"]))
        >>> cluster.add_nodes(["a", "b", "c", "a"])
        Outcome(2 OK, 1 CIDR_NOT_AVAILABLE, 1 ALREADY_EXISTS)
        """
        node_labels, codes = self.node_labels.adding(labels)
        columns = {"allocatable_pods": allocatable_pods, "zone": zone, "node_pool": node_pool, "labels": codes}
        outcome = assignment.add_nodes(self, nodes, pod_cidrs=pod_cidrs, columns=columns, label_sets=node_labels.sets)
        self.node_labels = node_labels
        return outcome

    def remove_nodes(self, nodes: ArrayLike | Sequence[str]) -> Outcome:
        """Delete nodes and the pods on them.

        Parameters
        ----------
        nodes : array of int, mask of bool, or sequence of str
            Rows, or names.

        Returns
        -------
        Outcome
            NOT_FOUND for what is not there. Rows after a removed node move up, in the pods' ``node`` too.

        Raises
        ------
        InvalidInput
            If a mask has another length than the table.
        """
        return assignment.remove_nodes(self, nodes)

    # pods ----------------------------------------------------------------------------------------------------------

    def add_pods(
        self,
        nodes: ArrayLike,
        *,
        names: Sequence[str] | None = None,
        namespace: str | Sequence[str] = "default",
        host_network: ArrayLike | None = None,
        labels: Mapping[str, str] | Sequence[Mapping[str, str] | None] | None = None,
    ) -> Outcome:
        """Start pods on nodes, in order of arrival.

        Parameters
        ----------
        nodes : array of int, shape (n,)
            Row of each pod's node.
        names : sequence of str, optional
            Empty text for all if left out.
        namespace : str or sequence of str, default "default"
            One for all, or one a pod.
        host_network : array of bool, optional
            Pods that share their node's addresses; none if left out.
        labels : mapping of str to str, or sequence of these, optional
            One set for all, or one a pod; not known if left out.

        Returns
        -------
        Outcome
            POD_LIMIT where the kubelet is full, POOL_FULL where a family has no address left (the others give theirs
            back, their cursor advanced), CIDR_NOT_AVAILABLE on a node without podCIDR, NOT_FOUND for no such node;
            what other network plugins answer, their ``place`` says.

        Raises
        ------
        InvalidInput
            If the nodes are no integers, or a length differs.

        Examples
        --------
        >>> from dsmodel import ClusterConfig
        >>> cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"], max_pods=2))
        >>> _ = cluster.add_nodes(1)
        >>> cluster.add_pods([0, 0, 0, 5])
        Outcome(2 OK, 1 NOT_FOUND, 1 POD_LIMIT)
        """
        pod_labels, codes = self.pod_labels.adding(labels)
        columns = {"namespace": namespace, "name": names, "labels": codes}
        outcome = assignment.add_pods(self, nodes, host_network=host_network, columns=columns)
        self.pod_labels = pod_labels
        return outcome

    def remove_pods(self, pods: ArrayLike) -> Outcome:
        """Delete pods and give their addresses back.

        Parameters
        ----------
        pods : array of int, or mask of bool
            Rows; those after move up.

        Returns
        -------
        Outcome
            NOT_FOUND for rows that are not there, and for the second mention of one.

        Raises
        ------
        InvalidInput
            If a mask has another length than the table.
        """
        return assignment.remove_pods(self, pods)

    # services ------------------------------------------------------------------------------------------------------

    def add_services(
        self,
        services: int | pd.DataFrame | Table,
        *,
        type: str = "ClusterIP",  # noqa: A002 - Kubernetes' word
        ip_family_policy: str | None = None,
        ip_families: Sequence[str] | None = None,
        node_ports: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Outcome:
        """Create Services, in order.

        Parameters
        ----------
        services : int, pandas.DataFrame or Table
            How many alike; or rows with columns of `SERVICES` (``namespace``, ``name``, ``type``, ``ip_family_policy``,
            ``ip_families`` like "IPv4,IPv6", ``headless``, ``external_traffic_policy``; ``cluster_ipv4``,
            ``cluster_ipv6`` and ``health_check_node_port`` are addresses and a port asked for). A frame may also have
            ``selector``, ``ports`` (how many, else what ``node_ports`` says), ``allocate_load_balancer_node_ports``,
            ``cluster_ip`` ("None" or an address asked for) and ``node_port`` (asked for by the first port).
        type : str, default "ClusterIP"
            For rows that do not say.
        ip_family_policy : str, optional
            For rows that do not say; the API server's default is SingleStack.
        ip_families : sequence of str, optional
            For rows that do not say; the API server's default is the first service range's family.
        node_ports : int, optional
            Ports of each Service that does not say; 1 if left out.
        rng : numpy.random.Generator, optional
            Decides addresses and ports. Without it, one seeded with the number of Services there are, so that the same
            calls give the same addresses.

        Returns
        -------
        Outcome
            FAMILY_NOT_CONFIGURED where the API server lacks a family, REJECTED where it refuses for another reason,
            POOL_FULL where a range or the node ports have nothing left, ALREADY_EXISTS for a name that is taken,
            ALREADY_ALLOCATED or NOT_IN_RANGE for an address or port asked for. A refused row takes nothing. What a
            row asks for is not given to another row by choice.

        Raises
        ------
        InvalidInput
            If a column or word is not one of the schema.
        InvalidConfig
            If the API server would not start with the service ranges.

        Examples
        --------
        >>> from dsmodel import ClusterConfig
        >>> cluster = Cluster(ClusterConfig.of(service_cidrs=["10.96.0.0/28", "fd00:10:96::/112"]))
        >>> cluster.add_services(20, ip_family_policy="PreferDualStack")
        Outcome(13 OK, 7 POOL_FULL)
        """
        defaults = {"type": type, "ip_family_policy": ip_family_policy, "ip_families": ip_families}
        return service_assignment.add_services(self, services, defaults=defaults, node_ports=node_ports, rng=rng)

    def remove_services(self, services: ArrayLike) -> Outcome:
        """Delete Services and give their addresses and ports back.

        Parameters
        ----------
        services : array of int, or mask of bool
            Rows; those after move up.

        Returns
        -------
        Outcome
            NOT_FOUND for rows that are not there, and for the second mention of one.

        Raises
        ------
        InvalidInput
            If a mask has another length than the table.
        """
        return service_assignment.remove_services(self, services)

    def set_family_policy(
        self, policy: str, services: ArrayLike | None = None, *, rng: np.random.Generator | None = None
    ) -> Outcome:
        """Set ``ipFamilyPolicy`` of Services that exist, in order; ask a copy to see what it would take.

        Parameters
        ----------
        policy : str
            "SingleStack", "PreferDualStack" or "RequireDualStack".
        services : array of int, or mask of bool, optional
            Rows; all if left out.
        rng : numpy.random.Generator, optional
            Decides addresses. Without it, one seeded with the number of Services there are.

        Returns
        -------
        Outcome
            POOL_FULL where the other family's range has nothing left, FAMILY_NOT_CONFIGURED where there is no
            such range (RequireDualStack needs both), REJECTED for ExternalName, which has no policy, NOT_FOUND as for
            `remove_services`. Such a row stays as it was. PreferDualStack on a single-stack cluster is OK and takes
            nothing. No row moves.

        Raises
        ------
        InvalidInput
            If the policy is no word of the API, or a mask has another length than the table.
        InvalidConfig
            If no service range is known.

        Examples
        --------
        >>> from dsmodel import ClusterConfig
        >>> cluster = Cluster(ClusterConfig.of(service_cidrs=["10.96.0.0/24", "fd00:10:96::/124"]))
        >>> cluster.add_services(20).granted
        20
        >>> cluster.set_family_policy("PreferDualStack")
        Outcome(15 OK, 6 POOL_FULL)
        """
        return set_family_policy(self, policy, services=services, rng=rng)

    # questions -----------------------------------------------------------------------------------------------------

    def pools(self) -> Iterator[ClusterPool]:
        """Yield every pool: node blocks, the network plugin's own, pod addresses, service addresses, node ports.

        Yields
        ------
        ClusterPool
            Families in the order of the configuration.

        Raises
        ------
        None
            Every cluster has an answer.

        Examples
        --------
        >>> from dsmodel import ClusterConfig
        >>> cluster = Cluster(ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"], service_cidrs=["10.96.0.0/24"]))
        >>> [(pool.kind, pool.range, pool.used, pool.free) for pool in cluster.pools()]
        [('node blocks', '10.244.0.0/16', 0, 256), ('pod addresses', '10.244.0.0/16', 0, 0),
         ('service addresses', '10.96.0.0/24', 1, 253), ('node ports', '30000-32767', 0, 2768)]
        """
        return occupancy.pools(self)

    def copy(self) -> Self:
        """Return an independent cluster of the same state, for a what-if.

        Returns
        -------
        Cluster
            Tables are shared for good, pools until one of the two changes.

        Raises
        ------
        None
            Always possible.
        """
        twin = self.__class__.__new__(self.__class__)
        twin.__dict__.update(self.__dict__)
        twin.node_ipam = copy.deepcopy(self.node_ipam)
        twin.pod_blocks = {family: blocks.copy() for family, blocks in self.pod_blocks.items()}
        twin.__dict__["_plugin"] = self._plugin.copy() if self._plugin is not None else None
        twin.service_ranges = self.service_ranges.copy()
        twin.port_range = self.port_range.copy()
        return twin

    @property
    def leaked(self) -> Mapping[IPFamily, int]:
        """Node blocks of each family that are marked for no node until kube-controller-manager restarts."""
        if self.node_ipam is None:
            return {}
        sets = zip(self.node_ipam.sets, self.node_ipam.leaked, strict=True)
        return {blocks.cluster_cidr.family: lost for blocks, lost in sets}

    @property
    def nbytes(self) -> int:
        """Bytes of the tables and of the pods' pools."""
        tables = (self.nodes, self.pods, self.services, self.node_ports)
        return sum(table.nbytes for table in tables) + sum(blocks.nbytes for blocks in self.pod_blocks.values())

    def __repr__(self) -> str:
        """Return the card as plain text."""
        return card_of(self).text()

    def _repr_html_(self) -> str:
        """Show the card in a notebook."""
        return card_of(self).html()


def _check_rows(rows: NDArray[np.int32], table: Table, what: str) -> None:
    """Refuse numbers of rows that a table does not have."""
    if len(rows) and not -1 <= int(rows.min()) <= int(rows.max()) < len(table):
        raise InvalidInput(
            f"{what} has rows {rows.min()} to {rows.max()}, and there are {len(table)} {table.schema.name}; "
            "-1 stands for none"
        )


def _ipam(config: ClusterConfig) -> NodeIPAM:
    """Start kube-controller-manager's node IPAM without nodes."""
    return NodeIPAM(
        kube_version=config.kube_version,
        cluster_cidrs=config.cluster_cidrs,
        node_cidr_mask_sizes={str(family): mask for family, mask in config.node_cidr_mask_sizes.items()},
        service_cidrs=config.service_cidrs,
        feature_gates=config.feature_gates,
    )
