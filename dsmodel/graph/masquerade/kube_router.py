"""kube-router: one rule a family, which spares pods and nodes.

Promises: from pods, to what is neither a pod nor a node, masquerade. A pod that reaches a node keeps its address, the
opposite of flannel and of Calico's default.

What it does not know: its own masquerading of Services by IPVS, and addresses of nodes beyond the first of a family.

Source: ``pkg/controllers/routing/pod_egress.go`` and ``pkg/options/options.go`` of cloudnativelabs/kube-router at
7c2c2779.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.graph.masquerade.contract import cluster_range
from dsmodel.graph.rules import NODE_ADDRESSES, POD_CIDRS, Action, AddressSet, Chain, Rule, inside, outside

if TYPE_CHECKING:
    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["KubeRouter"]


@dataclass(frozen=True)
class KubeRouter:
    """kube-router's pod egress.

    Parameters
    ----------
    enable_pod_egress : bool, default True
        ``--enable-pod-egress``.
    pod_subnets : tuple of str
        The set of pod subnets; the nodes' pod CIDRs and the cluster CIDRs where left out.
    """

    enable_pod_egress: bool = True
    pod_subnets: tuple[str, ...] = ()

    component = "kube-router"

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:
        """Compile the settings for one family.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Its cluster CIDRs are pod subnets where none are given.

        Returns
        -------
        tuple of Chain
            One rule in POSTROUTING, for either family; none with pod egress off.

        Raises
        ------
        None
            What is wrong with the settings is a finding.

        Examples
        --------
        >>> from dsmodel.addresses.cidr import IPFamily
        >>> from dsmodel.cluster import examples
        >>> KubeRouter().chains(IPFamily.IPV6, examples.ipv6_first())[0].rules[0].name
        'from pods to what is neither pod nor node'
        """
        if not self.enable_pod_egress:
            return ()
        given = cluster_range("pod subnets", self.pod_subnets, cluster)
        pods = AddressSet(given.name, given.cidrs, () if self.pod_subnets else POD_CIDRS.special)
        rule = Rule(
            name="from pods to what is neither pod nor node",
            action=Action.MASQUERADE,
            source=inside(pods),
            destination=outside(pods, NODE_ADDRESSES),
            random_fully=True,
        )
        return (Chain(component=self.component, name="POSTROUTING", family=family, rules=(rule,)),)

    def findings(self, cluster: Cluster) -> list[Finding]:  # noqa: ARG002 - the contract's
        """Say what is wrong with the settings, or surprises.

        Parameters
        ----------
        cluster : Cluster
            Not looked at.

        Returns
        -------
        list of Finding
            One where pod egress is off.

        Raises
        ------
        None
            Everything is a finding.
        """
        if self.enable_pod_egress:
            return []
        words = (
            "pods leave with their own addresses: --enable-pod-egress is off; switch it on where they are not routed"
        )
        return [("info", "kube-router-without-egress", "kube-router", words)]
