"""flannel with ``--ip-masq``: its chain in both variants, which do not decide the same.

Promises the order of rules of either backend. Nodes are not spared: a pod that reaches a node is seen as its own node.
In nftables the fourth rule returns for all that goes from outside the node's own pods into the network, so that the
last rule is never reached and host processes keep their address towards pods of other nodes.

What it does not know: networks with reserved or excluded parts.

Source: ``pkg/trafficmngr/iptables/iptables.go``, ``pkg/trafficmngr/nftables/nftables.go`` and ``main.go`` of
flannel-io/flannel at cdf76059; k3s-io/k3s#4683 for ``--flannel-ipv6-masq``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import IPFamily
from dsmodel.graph.masquerade.contract import cluster_range
from dsmodel.graph.rules import MULTICAST, OWN_POD_CIDR, Action, Backend, Chain, Rule, blocks, inside, outside

if TYPE_CHECKING:
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["Flannel"]


@dataclass(frozen=True)
class Flannel:
    """flannel, or the one in k3s.

    Parameters
    ----------
    networks : tuple of str
        ``Network`` and ``IPv6Network``; the cluster CIDRs where left out.
    ip_masq : bool, default False
        ``--ip-masq``; k3s sets it.
    ipv6_masq : bool, optional
        Whether that holds for IPv6 too: False for k3s without ``--flannel-ipv6-masq``. As `ip_masq` where left out.
    backend : {"iptables", "nftables"}
        Whether ``EnableNFTables`` is set.
    """

    networks: tuple[str, ...] = ()
    ip_masq: bool = False
    ipv6_masq: bool | None = None
    backend: str = "iptables"

    component = "flannel"

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:
        """Compile the settings for one family.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Its cluster CIDRs are the networks where none are given.

        Returns
        -------
        tuple of Chain
            One; none where the family has no network or is not masqueraded.

        Raises
        ------
        None
            What is wrong with the settings is a finding.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> k3s = Flannel(ip_masq=True, ipv6_masq=False)
        >>> [len(k3s.chains(family, examples.ipv6_first())) for family in IPFamily]
        [1, 0]
        """
        network = cluster_range("flannel network", self.networks, cluster)
        if not network.of_family(family) or not self._masquerades(family):
            return ()
        is_nft = self.backend == "nftables"
        foreign = inside(network) if is_nft else inside(OWN_POD_CIDR)
        stranger = outside(OWN_POD_CIDR) if is_nft else outside(network)
        multicast = blocks("multicast", MULTICAST.values())
        kept, own = Action.RETURN, inside(OWN_POD_CIDR)
        rules = (
            Rule(name="marked by kube-proxy", action=kept, marked=True),
            Rule(name="from the node's pods into the network", action=kept, source=own, destination=inside(network)),
            Rule(name="from the network to the node's pods", action=kept, source=inside(network), destination=own),
            Rule(name="from outside into the network", action=kept, source=stranger, destination=foreign),
            Rule(
                name="from the network to anywhere else",
                action=Action.MASQUERADE,
                source=inside(network),
                destination=outside(multicast),
                random_fully=True,
            ),
            Rule(
                name="from the host to pods of other nodes",
                action=Action.MASQUERADE,
                source=outside(network),
                destination=inside(network),
                random_fully=True,
            ),
        )
        chain = Chain(
            component=self.component,
            name="postrtg" if is_nft else "FLANNEL-POSTRTG",
            family=family,
            rules=rules,
            backend=Backend.NFTABLES if is_nft else Backend.IPTABLES,
            whole_mark=is_nft,
            comment="flanneld masq",
        )
        return (chain,)

    def findings(self, cluster: Cluster) -> list[Finding]:
        """Say what is wrong with the settings, or surprises.

        Parameters
        ----------
        cluster : Cluster
            Its families.

        Returns
        -------
        list of Finding
            Families that leave with pod addresses, and a backend that is none.

        Raises
        ------
        None
            Everything is a finding.
        """
        if self.backend not in {"iptables", "nftables"}:
            words = f"backend {self.backend!r} is none of flannel's; it is iptables, or nftables with EnableNFTables"
            return [("error", "flannel-backend", "flannel", words)]
        network = cluster_range("flannel network", self.networks, cluster)
        found: list[Finding] = []
        for family in IPFamily:
            if not network.of_family(family) or self._masquerades(family):
                continue
            flag = "--flannel-ipv6-masq" if self.ip_masq else "--ip-masq"
            words = f"{family} leaves with pod addresses: flannel runs without {flag}; set it where they are not routed"
            found.append(("info", "flannel-without-masquerade", "flannel", words))
        return found

    def _masquerades(self, family: IPFamily) -> bool:
        """Tell whether a family is masqueraded."""
        if family is IPFamily.IPV6 and self.ipv6_masq is not None:
            return self.ipv6_masq
        return self.ip_masq
