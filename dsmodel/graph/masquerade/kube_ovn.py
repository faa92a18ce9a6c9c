"""Kube-OVN: natOutgoing of Subnets, the same rules in both families.

Promises: what kube-proxy marked is masqueraded; a Subnet's natOutgoingPolicyRules decide in their order (``nat``
masquerades, ``forward`` leaves alone); then from a Subnet with natOutgoing to what is in no Subnet. Nodes are in none.

What it does not know: centralized gateways and VpcEgressGateway (`dsmodel.graph.gateways`), traffic between Subnets
that needs masquerading, Subnets of custom VPCs.

Source: ``pkg/daemon/gateway_linux.go`` of kubeovn/kube-ovn at 1533681; the answer for nodes is derived from it and not
recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr
from dsmodel.errors import InvalidCidr
from dsmodel.graph.masquerade.contract import undecided
from dsmodel.graph.rules import Action, Chain, Rule, blocks, inside, outside

if TYPE_CHECKING:
    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["KubeOvn", "KubeOvnSubnet", "NatPolicyRule"]

_ACTIONS = {"nat": Action.MASQUERADE, "forward": Action.RETURN}


@dataclass(frozen=True)
class NatPolicyRule:
    """One of ``natOutgoingPolicyRules``.

    Parameters
    ----------
    action : {"nat", "forward"}
        What becomes of what it matches.
    sources, destinations : tuple of str
        ``match.srcIPs`` and ``match.dstIPs``; empty for any.
    """

    action: str
    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()


@dataclass(frozen=True)
class KubeOvnSubnet:
    """A Subnet, as far as masquerading goes.

    Parameters
    ----------
    name : str
        Its name.
    cidrs : tuple of str
        ``spec.cidrBlock``, split at the comma.
    nat_outgoing : bool, default False
        ``spec.natOutgoing``.
    rules : tuple of NatPolicyRule
        ``spec.natOutgoingPolicyRules``, in their order.
    """

    name: str
    cidrs: tuple[str, ...]
    nat_outgoing: bool = False
    rules: tuple[NatPolicyRule, ...] = ()


@dataclass(frozen=True)
class KubeOvn:
    """Kube-OVN with the Subnets of its default VPC.

    Parameters
    ----------
    subnets : tuple of KubeOvnSubnet
        All of them.
    """

    subnets: tuple[KubeOvnSubnet, ...] = ()

    component = "Kube-OVN"

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:  # noqa: ARG002 - the contract's
        """Compile the settings for one family.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Not looked at: the Subnets are its own.

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
        >>> subnets = (KubeOvnSubnet("pods", ("10.16.0.0/16", "fd00:10:16::/112"), nat_outgoing=True),)
        >>> [rule.name for rule in KubeOvn(subnets).chains(IPFamily.IPV6, examples.ipv6_first())[0].rules]
        ['marked by kube-proxy', 'from a Subnet with natOutgoing to no Subnet']
        """
        trouble = self._trouble()
        if trouble:
            return (undecided(self.component, family, trouble),)
        every = blocks("all Subnets", [text for subnet in self.subnets for text in subnet.cidrs])
        wanted = blocks(
            "Subnets with natOutgoing", [t for subnet in self.subnets if subnet.nat_outgoing for t in subnet.cidrs]
        )
        rules = [Rule(name="marked by kube-proxy", action=Action.MASQUERADE, marked=True, random_fully=True)]
        for subnet in self.subnets:
            own = blocks(f"Subnet {subnet.name}", subnet.cidrs)
            for place, each in enumerate(subnet.rules if subnet.nat_outgoing else ()):
                sources = (blocks("srcIPs", each.sources),) if each.sources else ()
                targets = (blocks("dstIPs", each.destinations),) if each.destinations else ()
                rules.append(
                    Rule(
                        name=f"policy rule {place} of Subnet {subnet.name} ({each.action})",
                        action=_ACTIONS[each.action],
                        source=inside(own, *sources),
                        destination=(*outside(every), *inside(*targets)),
                    )
                )
        rules.append(
            Rule(
                name="from a Subnet with natOutgoing to no Subnet",
                action=Action.MASQUERADE,
                source=inside(wanted),
                destination=outside(every),
                random_fully=True,
            )
        )
        chain = Chain(component=self.component, name="OVN-POSTROUTING", family=family, rules=tuple(rules))
        return (chain,)

    def findings(self, cluster: Cluster) -> list[Finding]:  # noqa: ARG002 - the contract's
        """Say what is wrong with the settings, or surprises.

        Parameters
        ----------
        cluster : Cluster
            Not looked at.

        Returns
        -------
        list of Finding
            Subnets that leave with pod addresses, and values that mean nothing.

        Raises
        ------
        None
            Everything is a finding.
        """
        trouble = self._trouble()
        if trouble:
            return [("error", "kube-ovn-subnet", "Subnet", trouble)]
        return [
            (
                "info",
                "kube-ovn-without-nat",
                f"Subnet/{subnet.name}",
                "its pods leave with their own addresses: natOutgoing is off; set it where they are not routed",
            )
            for subnet in self.subnets
            if not subnet.nat_outgoing
        ]

    def _trouble(self) -> str:
        """Say which value means nothing."""
        for subnet in self.subnets:
            texts = [*subnet.cidrs, *(text for each in subnet.rules for text in (*each.sources, *each.destinations))]
            for text in texts:
                try:
                    Cidr(text)
                except InvalidCidr as error:
                    return f"Subnet {subnet.name}: {error}"
            for each in subnet.rules:
                if each.action not in _ACTIONS:
                    return f"Subnet {subnet.name}: action {each.action!r} is refused; write nat or forward"
        return ""
