"""OVN-Kubernetes: source NAT on the node's gateway router.

Promises: pods reach pods and their own node with their address, everything else as the address of their node. That
holds for other nodes too, since an EgressIP never applies there.

What it does not know: namespaces with external gateways, for which ``--disable-snat-multiple-gws`` takes the NAT away;
EgressIP and EgressService (`dsmodel.graph.gateways`); the internal masquerade subnets, which are never seen outside.

Source: ``go-controller/pkg/ovn`` and ``docs/`` of ovn-org/ovn-kubernetes at 6c366bb (December 2024); the answer for
other nodes is derived from these and not recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.graph.masquerade.contract import cluster_range
from dsmodel.graph.rules import LOCAL, POD_CIDRS, Action, AddressSet, Backend, Chain, Rule, inside

if TYPE_CHECKING:
    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["OvnKubernetes"]


@dataclass(frozen=True)
class OvnKubernetes:
    """OVN-Kubernetes with its cluster subnets.

    Parameters
    ----------
    cluster_subnets : tuple of str
        ``--cluster-subnets``; the cluster CIDRs where left out.
    """

    cluster_subnets: tuple[str, ...] = ()

    component = "OVN-Kubernetes"

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:
        """Compile the settings for one family.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Its cluster CIDRs are the subnets where none are given.

        Returns
        -------
        tuple of Chain
            One.

        Raises
        ------
        None
            What is wrong with the settings is a finding.

        Examples
        --------
        >>> from dsmodel.addresses.cidr import IPFamily
        >>> from dsmodel.cluster import examples
        >>> str(OvnKubernetes().chains(IPFamily.IPV6, examples.ipv6_first())[0].backend)
        'OVN'
        """
        given = cluster_range("cluster subnets", self.cluster_subnets, cluster)
        pods = AddressSet(given.name, given.cidrs, POD_CIDRS.special)
        rules = (
            Rule(name="from the host", action=Action.RETURN, host=True),
            Rule(name="to a pod", action=Action.RETURN, destination=inside(pods)),
            Rule(name="to the pod's own node", action=Action.RETURN, destination=inside(LOCAL)),
            Rule(name="from a pod to anywhere else", action=Action.SNAT),
        )
        return (Chain(component=self.component, name="GR", family=family, rules=rules, backend=Backend.OVN),)

    def findings(self, cluster: Cluster) -> list[Finding]:  # noqa: ARG002 - the contract's
        """Say what is wrong with the settings, or surprises.

        Parameters
        ----------
        cluster : Cluster
            Not looked at.

        Returns
        -------
        list of Finding
            Nothing.

        Raises
        ------
        None
            Everything is a finding.
        """
        return []
