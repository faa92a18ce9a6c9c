"""The reference plugins bridge and ptp with ``ipMasq``: everything that leaves the container's own subnet.

Promises both families, as IPAM gave addresses of them: destinations in the subnet of the container's address and
multicast stay as they are, everything else from a pod is masqueraded. Other nodes' pods, Services and nodes are not
spared, so that with a block a node traffic between pods of different nodes is masqueraded, unless something before it
says otherwise. With iptables the subnet is an ACCEPT, which is final; with nftables it binds nothing.

What it does not know: subnets wider than the node's block, unless they are given.

Source: ``pkg/ip/ipmasq_iptables_linux.go`` and ``ipmasq_nftables_linux.go`` of containernetworking/plugins at 3d27709f.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.graph.rules import MULTICAST, OWN_POD_CIDR, OWN_PODS, Action, Backend, Chain, Rule, blocks, inside, outside

if TYPE_CHECKING:
    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["ReferencePlugin"]


@dataclass(frozen=True)
class ReferencePlugin:
    """bridge or ptp with ``ipMasq: true``.

    Parameters
    ----------
    backend : {"iptables", "nftables"}
        ``ipMasqBackend``; iptables where both are there and it is not set.
    subnets : tuple of str
        Subnets IPAM gives addresses from, where they are wider than the node's pod CIDR.
    hairpin_mode : bool, optional
        ``hairpinMode`` of bridge, without which a pod does not reach itself through a Service; True for ptp, which
        needs none; None where not known.
    """

    backend: str = "iptables"
    subnets: tuple[str, ...] = ()
    hairpin_mode: bool | None = None

    component = "CNI ipMasq"

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:  # noqa: ARG002 - the contract's
        """Compile the settings for one family.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Not looked at: the subnet is the node's pod CIDR, or given.

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
        >>> chain = ReferencePlugin().chains(IPFamily.IPV6, examples.ipv6_first())[0]
        >>> [str(rule.action) for rule in chain.rules]
        ['ACCEPT', 'MASQUERADE']
        """
        is_nft = self.backend == "nftables"
        own = blocks("subnet", self.subnets) if self.subnets else OWN_POD_CIDR
        multicast = blocks("multicast", MULTICAST.values())
        rules = (
            Rule(
                name="to the container's own subnet",
                action=Action.ACCEPT,
                source=inside(OWN_PODS),
                destination=inside(own),
            ),
            Rule(
                name="from a container to anywhere else",
                action=Action.MASQUERADE,
                source=inside(OWN_PODS),
                destination=outside(multicast),
            ),
        )
        name = "masq_checks" if is_nft else "CNI-MASQ"
        backend = Backend.NFTABLES if is_nft else Backend.IPTABLES
        return (Chain(component=self.component, name=name, family=family, rules=rules, backend=backend),)

    def findings(self, cluster: Cluster) -> list[Finding]:
        """Say what is wrong with the settings, or surprises.

        Parameters
        ----------
        cluster : Cluster
            Its nodes may have a block each.

        Returns
        -------
        list of Finding
            One where pods of different nodes would see node addresses.

        Raises
        ------
        None
            Everything is a finding.
        """
        if self.backend not in {"iptables", "nftables"}:
            words = f"ipMasqBackend {self.backend!r} is refused; write iptables or nftables"
            return [("error", "cni-ipmasq-backend", "CNI", words)]
        if self.subnets or len(cluster.nodes) < 2:
            return []
        words = (
            "pods of other nodes see the node's address, not the pod's: ipMasq spares the container's own subnet "
            "alone; switch it off and let ip-masq-agent masquerade"
        )
        return [("warning", "cni-ipmasq-between-nodes", "CNI", words)]
