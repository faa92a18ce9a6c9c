"""kubenet of Kubernetes v1.20: one rule, for one CIDR and so for one family.

Promises: the family of ``--non-masquerade-cidr`` is masqueraded, the other never; ``0.0.0.0/0`` or ``::/0`` writes no
rule. The configuration it makes for the bridge plugin has no masquerading of its own.

What it does not know: later versions, which have no kubenet.

Source: ``pkg/kubelet/dockershim/network/kubenet/kubenet_linux.go`` and ``cmd/kubelet/app/options`` of
kubernetes/kubernetes v1.20.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidCidr
from dsmodel.graph.masquerade.contract import undecided
from dsmodel.graph.rules import LOCAL, Action, Chain, Rule, blocks, outside

if TYPE_CHECKING:
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["Kubenet"]


@dataclass(frozen=True)
class Kubenet:
    """kubenet with its one setting.

    Parameters
    ----------
    non_masquerade_cidr : str, default "10.0.0.0/8"
        kubelet's ``--non-masquerade-cidr``.
    """

    non_masquerade_cidr: str = "10.0.0.0/8"

    component = "kubenet"

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:  # noqa: ARG002 - nothing of it is used
        """Compile the rule for one family.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Not looked at.

        Returns
        -------
        tuple of Chain
            One rule in POSTROUTING; none for the family that the CIDR is not of, or for a CIDR of all addresses.

        Raises
        ------
        None
            A text that is no CIDR makes a chain that cannot say: the kubelet logs it.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> len(Kubenet().chains(IPFamily.IPV4, examples.single_stack_ipv4()))
        1
        >>> Kubenet().chains(IPFamily.IPV6, examples.single_stack_ipv4())
        ()
        """
        cidr = self._cidr()
        if cidr is None:
            return (
                undecided(self.component, family, f"--non-masquerade-cidr {self.non_masquerade_cidr!r} is no CIDR"),
            )
        if cidr.family is not family or not cidr.prefix_length:
            return ()
        kept = blocks(str(cidr), [cidr])
        rule = Rule(
            name=f"to anywhere but {cidr} and the node itself",
            action=Action.MASQUERADE,
            destination=outside(LOCAL, kept),
        )
        return (Chain(component=self.component, name="POSTROUTING", family=family, rules=(rule,)),)

    def findings(self, cluster: Cluster) -> list[Finding]:
        """Say which families leave with pod addresses, and a value that is no CIDR.

        Parameters
        ----------
        cluster : Cluster
            Whose cluster CIDRs may be of both families.

        Returns
        -------
        list of Finding
            Empty where the one CIDR covers the one family.

        Raises
        ------
        None
            Everything is a finding.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> Kubenet().findings(examples.kubeadm_dual_stack())[0][1]
        'kubenet-one-family'
        """
        cidr = self._cidr()
        if cidr is None:
            words = f"--non-masquerade-cidr {self.non_masquerade_cidr!r} is no CIDR; write one such as 10.0.0.0/8"
            return [("error", "kubenet-cidr", "kubelet", words)]
        found: list[Finding] = []
        for other in sorted({each.family for each in cluster.config.cluster_cidrs} - {cidr.family}):
            words = (
                f"{other} leaves with pod addresses: --non-masquerade-cidr takes one CIDR, and {cidr} is "
                f"{cidr.family}; run ip-masq-agent for the other family"
            )
            found.append(("warning", "kubenet-one-family", "kubelet", words))
        return found

    def _cidr(self) -> Cidr | None:
        """Read the CIDR."""
        try:
            return Cidr(self.non_masquerade_cidr, host_bits="mask", syntax="sloppy")
        except InvalidCidr:
            return None
