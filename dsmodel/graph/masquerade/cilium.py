"""Cilium's own masquerading: in BPF, or with iptables, and its ip-masq-agent.

Promises the order of the BPF decision: the masquerade address itself, the native-routing CIDR, host endpoints, the
CIDRs of the ip-masq-agent, remote nodes, then every local endpoint. Setting one family's native-routing CIDR leaves
the other at its default, the node's own allocation. Pods reached through the tunnel never leave by a device that
masquerades.

Its ip-masq-agent reads the file of the Kubernetes agent and means something else: see `cilium_agent_config`.

What it does not know: egress gateways (`dsmodel.graph.gateways`, decided before), protocols that BPF does not handle,
and allocations of nodes that differ from their pod CIDRs, unless they are given.

Source: ``bpf/lib/nat.h``, ``pkg/datapath/iptables``, ``pkg/ipmasq`` and
``Documentation/network/concepts/masquerading.rst`` of cilium/cilium, 1.19 to 1.21; the answers for nodes are derived
from these and not recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidCidr, InvalidConfig
from dsmodel.graph.masquerade.contract import undecided
from dsmodel.graph.masquerade.masquerade_agent import RESERVED_CIDRS
from dsmodel.graph.rules import (
    LINK_LOCAL,
    LOCAL,
    NODE_ADDRESSES,
    OWN_POD_CIDR,
    POD_CIDRS,
    Action,
    AddressSet,
    Backend,
    Chain,
    Device,
    Rule,
    blocks,
    inside,
    outside,
)
from dsmodel.kube.masquerade_agent import MasqueradeAgentConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["Cilium", "cilium_agent_config"]

_MAP_SIZE = 16_384  # entries of the longest-prefix map of the ip-masq-agent


def cilium_agent_config(values: Mapping[str, object] | None) -> MasqueradeAgentConfig:
    """Make the configuration of Cilium's ip-masq-agent from the decoded file.

    Parameters
    ----------
    values : mapping of str to object, optional
        Keys of the file; None or empty where there is none.

    Returns
    -------
    MasqueradeAgentConfig
        Without a file eleven reserved IPv4 ranges; with one, its list or an empty one; host bits masked.

    Raises
    ------
    InvalidConfig
        A list that is none, or an entry that is no CIDR.

    Examples
    --------
    >>> len(cilium_agent_config(None).non_masquerade_cidrs), cilium_agent_config({"masqLinkLocal": True})
    (11, MasqueradeAgentConfig(non_masquerade_cidrs=(), cidr_limit=16384, masq_link_local=True, ...
    """
    if not values:
        return MasqueradeAgentConfig(RESERVED_CIDRS, _MAP_SIZE)
    listed = values.get("nonMasqueradeCIDRs") or ()
    if not isinstance(listed, list | tuple):
        raise InvalidConfig(f"nonMasqueradeCIDRs {listed!r} is no list; write one CIDR a line")
    try:
        cidrs = tuple(str(Cidr(str(text), host_bits="mask", syntax="sloppy")) for text in listed)
    except InvalidCidr as error:
        raise InvalidConfig(f"nonMasqueradeCIDRs: {error}") from error
    switches = values.get("masqLinkLocal") is True, values.get("masqLinkLocalIPv6") is True
    return MasqueradeAgentConfig(cidrs, _MAP_SIZE, *switches)


@dataclass(frozen=True, kw_only=True)
class Cilium:
    """Cilium with the settings that masquerading depends on.

    Parameters
    ----------
    native_routing_cidrs : tuple of str
        ``ipv4-native-routing-cidr`` and ``ipv6-native-routing-cidr``.
    tunnel : bool, default True
        ``routing-mode: tunnel``; False for native routing.
    bpf : bool, default False
        ``enable-bpf-masquerade``.
    masquerade : tuple of IPFamily
        Families with ``enable-ipv4-masquerade`` or ``enable-ipv6-masquerade``; both by default.
    agent : MasqueradeAgentConfig, optional
        Of its ip-masq-agent, where ``enable-ip-masq-agent`` is on; see `cilium_agent_config`. BPF only.
    remote_nodes : bool, default False
        ``enable-remote-node-masquerade``.
    pod_cidrs : tuple of str
        What nodes allocate from, where that is not their pod CIDRs.
    kube_proxy_replacement : bool, default False
        ``kube-proxy-replacement``, with the load balancer at the socket that it brings: traffic to Services is its
        own; see `dsmodel.graph.masquerade.services`.
    """

    native_routing_cidrs: tuple[str, ...] = ()
    tunnel: bool = True
    bpf: bool = False
    masquerade: tuple[IPFamily, ...] = (IPFamily.IPV4, IPFamily.IPV6)
    agent: MasqueradeAgentConfig | None = None
    remote_nodes: bool = False
    pod_cidrs: tuple[str, ...] = ()
    kube_proxy_replacement: bool = False

    component = "Cilium"

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:
        """Compile the settings for one family.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Its cluster CIDRs are pods, as those of the nodes are.

        Returns
        -------
        tuple of Chain
            One; none for a family that it does not masquerade.

        Raises
        ------
        None
            What is wrong with the settings is a finding.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> chain = Cilium(bpf=True).chains(IPFamily.IPV6, examples.ipv6_first())[0]
        >>> [rule.name for rule in chain.rules][-1]
        'from a pod of the node to anywhere else'
        """
        if family not in self.masquerade:
            return ()
        if self._trouble():
            return (undecided(self.component, family, self._trouble()),)
        given = [cidr for cidr in map(Cidr, self.native_routing_cidrs) if cidr.family is family]
        spared = blocks("the native-routing CIDR", given) if given else OWN_POD_CIDR
        if not self.bpf:
            return (self._iptables(family, spared, self._pods(cluster)),)
        kept = Action.RETURN
        rules = [
            Rule(name="from the masquerade address", action=kept, source=inside(LOCAL)),
            Rule(name=f"to {spared.name}", action=kept, destination=inside(spared)),
            Rule(name="from the host", action=kept, host=True),
        ]
        listed = self._agent_cidrs(family)
        if listed:  # one map, looked up by longest prefix
            agent = blocks("nonMasqueradeCIDRs", listed)
            rules.append(Rule(name="to nonMasqueradeCIDRs (ip-masq-agent)", action=kept, destination=inside(agent)))
        if self.tunnel:
            rules.append(Rule(name="to a pod through the tunnel", action=kept, destination=inside(self._pods(cluster))))
        rules.append(Rule(name="to the node itself", action=kept, destination=inside(LOCAL)))
        if not self.tunnel and not self.remote_nodes:
            rules.append(Rule(name="to a node, routed natively", action=kept, destination=inside(NODE_ADDRESSES)))
        rules.append(Rule(name="from a pod of the node to anywhere else", action=Action.MASQUERADE, host=False))
        return (Chain(component=self.component, name="snat", family=family, rules=tuple(rules), backend=Backend.BPF),)

    def _iptables(self, family: IPFamily, spared: AddressSet, pods: AddressSet) -> Chain:
        """Compile the chain of iptables."""
        device = Device("cilium_+", pods if self.tunnel else OWN_POD_CIDR, negated=True)
        rules = (
            Rule(name="to a node", action=Action.ACCEPT, destination=inside(NODE_ADDRESSES)),
            Rule(
                name=f"from a pod of the node to outside {spared.name}",
                action=Action.MASQUERADE,
                source=inside(OWN_POD_CIDR),
                destination=outside(spared),
                device=device,
            ),
        )
        return Chain(
            component=self.component,
            name="CILIUM_POST_nat",
            family=family,
            rules=rules,
            comment="cilium-feeder: CILIUM_POST_nat",
        )

    def findings(self, cluster: Cluster) -> list[Finding]:  # noqa: ARG002 - the contract's
        """Say what is wrong with the settings, or surprises.

        Parameters
        ----------
        cluster : Cluster
            Not looked at.

        Returns
        -------
        list of Finding
            Settings that Cilium refuses, and those that surprise.

        Raises
        ------
        None
            Everything is a finding.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> found = Cilium(tunnel=False, native_routing_cidrs=("10.244.0.0/16",)).findings(examples.ipv6_first())
        >>> [each[1] for each in found]
        ['cilium-native-without-cidr']
        """
        trouble = self._trouble()
        if trouble:
            return [("error", "cilium-settings", "ConfigMap/kube-system/cilium-config", trouble)]
        found: list[Finding] = []
        families = {Cidr(text).family for text in self.native_routing_cidrs}
        for family in IPFamily:
            where = "ConfigMap/kube-system/cilium-config"
            if family not in self.masquerade:
                words = f"{family} leaves with pod addresses: enable-{family.lower()}-masquerade is off"
                found.append(("info", "cilium-without-masquerade", where, words))
            elif not self.tunnel and family not in families:
                words = (
                    f"{family} to pods of other nodes is masqueraded: routing is native and no "
                    f"{family.lower()}-native-routing-cidr is set, so that the node's own pods alone are spared; set it"
                )
                found.append(("warning", "cilium-native-without-cidr", where, words))
        return found

    def _pods(self, cluster: Cluster) -> AddressSet:
        """Return the addresses of all pods."""
        cidrs = tuple(map(Cidr, self.pod_cidrs)) or cluster.config.cluster_cidrs
        return AddressSet("pods", cidrs, POD_CIDRS.special)

    def _agent_cidrs(self, family: IPFamily) -> list[Cidr]:
        """Return what the ip-masq-agent spares in a family."""
        if self.agent is None:
            return []
        keeps = self.agent.masq_link_local if family is IPFamily.IPV4 else self.agent.masq_link_local_ipv6
        listed = [Cidr(text, host_bits="mask") for text in self.agent.non_masquerade_cidrs]
        return [LINK_LOCAL[family]] * (not keeps) + [cidr for cidr in listed if cidr.family is family]

    def _trouble(self) -> str:
        """Say why Cilium would not start, or ignore the settings."""
        for text in (*self.native_routing_cidrs, *self.pod_cidrs):
            try:
                Cidr(text)
            except InvalidCidr as error:
                return str(error)
        if self.agent is not None and not self.bpf:
            return "enable-ip-masq-agent needs enable-bpf-masquerade; switch it on, or the agent off"
        return ""
