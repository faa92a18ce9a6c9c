"""Whose ports a connection takes on its node: those of the component whose rule rewrote its source.

Promises the budget of that very rule: Cilium's where it translates in BPF, netfilter's where Cilium or anything else
writes iptables or nftables rules, and only the ports of ``--to-ports`` or ``natPortRange`` where the rule has them.

What it does not know: a port range that Cilium's agents are told to leave to node ports, where it is not the default;
protocols that a rule chooses no ports for.

Source: `dsmodel.graph.rules`, as every component compiles itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsmodel.graph.rules import Backend
from dsmodel.graph.snat.budgets import cilium, linux

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.masquerade.contract import Masquerade
    from dsmodel.graph.snat.budgets import PortBudget

__all__ = ["node_budget"]

_BPF_POLICIES = "CiliumEgressGatewayPolicy/"  # agents refuse them where they do not masquerade in BPF


def node_budget(
    rule: str, masquerades: Iterable[Masquerade] | None, *, family: IPFamily, cluster: Cluster
) -> PortBudget:
    """Return the ports of who translates by a rule.

    Parameters
    ----------
    rule : str
        Title of an egress policy, or of a masquerading rule ("Calico: from a pool with natOutgoing to no pool").
    masquerades : iterable of Masquerade, optional
        What masquerades on the nodes; None where not known.
    family : IPFamily
        Of the connections.
    cluster : Cluster
        Whose nodes.

    Returns
    -------
    PortBudget
        For one address; netfilter's whole range where the rule is nobody's that is given.

    Raises
    ------
    InvalidInput
        A rule has an interval of ports that is none.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import IPFamily
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.masquerade import Cilium
    >>> rule, cluster = "Cilium: from a pod of the node to anywhere else", kubeadm_dual_stack()
    >>> node_budget(rule, [Cilium(bpf=True)], family=IPFamily.IPV4, cluster=cluster).ports
    32768
    >>> rule = "Cilium: from a pod of the node to outside the node's pod CIDR"
    >>> node_budget(rule, [Cilium()], family=IPFamily.IPV4, cluster=cluster).ports
    64512
    """
    if rule.startswith(_BPF_POLICIES):
        return cilium()
    component = rule.partition(":")[0]
    for each in masquerades or ():
        if each.component != component:
            continue
        for chain in each.chains(family, cluster):
            if rule in chain.titles:
                ports = chain.rules[chain.titles.index(rule)].ports
                return cilium() if chain.backend is Backend.BPF else linux(to_ports=ports)
    return linux()
