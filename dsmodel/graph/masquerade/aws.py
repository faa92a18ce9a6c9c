"""The AWS VPC CNI: source NAT to the primary interface in IPv4 clusters, and the egress of the other family.

Promises: in an IPv4 cluster everything but the VPC's CIDRs and the excluded ones leaves as the primary address of the
primary interface, unless external SNAT is on; in an IPv6 cluster IPv6 is never touched. The other family leaves through
addresses that the plugin gives each pod for egress alone and the API never shows, the same range on every node, and is
translated to the node's address wherever it goes, multicast apart.

What it does not know: the primary interface's address beyond the node's InternalIP, and pods with their own branch
interface.

Source: ``pkg/networkutils/network.go``, ``cmd/egress-cni-plugin/snat/snat.go`` and ``README.md`` of
aws/amazon-vpc-cni-k8s at b52188387.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidCidr
from dsmodel.graph.masquerade.contract import Unmasqueraded, undecided
from dsmodel.graph.rules import LOCAL, MULTICAST, Action, Chain, Device, Rule, blocks, inside, outside

if TYPE_CHECKING:
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["EGRESS_RANGES", "AwsVpcCni"]

EGRESS_RANGES = {IPFamily.IPV4: "169.254.172.0/22", IPFamily.IPV6: "fd00::ac:0/118"}
"""Sources of the family that the cluster does not have; they repeat on every node."""

_RANDOMIZE = ("prng", "hashrandom", "none")


@dataclass(frozen=True, kw_only=True)
class AwsVpcCni:
    """aws-node with the variables that source NAT depends on.

    Parameters
    ----------
    ip_family : IPFamily, default IPv4
        Of the cluster.
    vpc_cidrs : tuple of str
        IPv4 CIDRs of the VPC.
    external_snat : bool, default False
        ``AWS_VPC_K8S_CNI_EXTERNALSNAT``.
    exclude_cidrs : tuple of str
        ``AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS``.
    other_family_egress : bool, optional
        ``ENABLE_V6_EGRESS`` in an IPv4 cluster, ``ENABLE_V4_EGRESS`` in an IPv6 one; where left out, as the plugin has
        it: off in the first, on in the second.
    randomize : str, default "prng"
        ``AWS_VPC_K8S_CNI_RANDOMIZESNAT``.
    """

    ip_family: IPFamily = IPFamily.IPV4
    vpc_cidrs: tuple[str, ...] = ()
    external_snat: bool = False
    exclude_cidrs: tuple[str, ...] = ()
    other_family_egress: bool | None = None
    randomize: str = "prng"

    component = "AWS VPC CNI"

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:
        """Compile the settings for one family.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Not looked at.

        Returns
        -------
        tuple of Chain
            One; none without egress of the other family.

        Raises
        ------
        None
            What is wrong with the settings is a finding.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> eks = AwsVpcCni(vpc_cidrs=("10.0.0.0/16",), exclude_cidrs=("172.16.0.0/12",))
        >>> [rule.name for rule in eks.chains(IPFamily.IPV4, examples.ipv6_first())[0].rules]
        ['not to 10.0.0.0/16 of the VPC', 'not to 172.16.0.0/12, which is excluded', 'to anywhere else']
        """
        if family is not self.ip_family:
            return (self._egress(family),) if self._has_egress() else ()
        if family is IPFamily.IPV6 or self.external_snat:
            return Unmasqueraded(self.component, (family,)).chains(family, cluster)
        if not self.vpc_cidrs:
            return (undecided(self.component, family, "the VPC's CIDRs are not known; they are never translated to"),)
        kept = [(text, f"not to {text} of the VPC") for text in self.vpc_cidrs if _reads(text)]
        kept += [(text, f"not to {text}, which is excluded") for text in self.exclude_cidrs if _reads(text)]
        rules = [
            Rule(name=name, action=Action.RETURN, destination=inside(blocks(text, [Cidr(text, host_bits="mask")])))
            for text, name in kept
        ]
        rules.append(
            Rule(
                name="to anywhere else",
                action=Action.SNAT,
                destination=outside(LOCAL),
                device=Device("vlan+", blocks("pods behind branch interfaces", ()), negated=True),
                random_fully=self.randomize == "prng",
            )
        )
        chain = Chain(
            component=self.component,
            name="AWS-SNAT-CHAIN-0",
            family=family,
            rules=tuple(rules),
            comment="AWS SNAT CHAIN",
        )
        return (chain,)

    def _egress(self, family: IPFamily) -> Chain:
        """Compile what the egress plugin writes for the other family."""
        multicast = blocks("multicast", [MULTICAST[family]])
        rule = Rule(
            name=f"from {EGRESS_RANGES[family]}, addresses for egress alone",
            action=Action.SNAT,
            source=inside(blocks("egress range", [EGRESS_RANGES[family]])),
            destination=outside(multicast),
        )
        return Chain(component=self.component, name="CNI-E", family=family, rules=(rule,))

    def findings(self, cluster: Cluster) -> list[Finding]:  # noqa: ARG002 - the contract's
        """Say what is wrong with the settings, or surprises.

        Parameters
        ----------
        cluster : Cluster
            Not looked at.

        Returns
        -------
        list of Finding
            Excluded CIDRs that are skipped or exclude everything, and values that are none.

        Raises
        ------
        None
            Everything is a finding.
        """
        found: list[Finding] = []
        for text in self.exclude_cidrs:
            if not _reads(text):
                words = f"AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS: {text!r} is no IPv4 CIDR and is skipped; correct it"
                found.append(("warning", "aws-excluded-cidr", "DaemonSet/kube-system/aws-node", words))
            elif Cidr(text, host_bits="mask").prefix_length == 0:
                words = f"{text} excludes every destination: nothing is translated; drop it"
                found.append(("warning", "aws-excludes-everything", "DaemonSet/kube-system/aws-node", words))
        if self.randomize not in _RANDOMIZE:
            words = f"AWS_VPC_K8S_CNI_RANDOMIZESNAT {self.randomize!r} is none of {', '.join(_RANDOMIZE)}"
            found.append(("warning", "aws-randomize", "DaemonSet/kube-system/aws-node", words))
        if self.ip_family is IPFamily.IPV4 and not self.external_snat and not self.vpc_cidrs:
            words = (
                "the VPC's CIDRs are not known: which destinations keep pod addresses cannot be said; give vpc_cidrs"
            )
            found.append(("warning", "masquerade-unknown", "DaemonSet/kube-system/aws-node", words))
        return found

    def _has_egress(self) -> bool:
        """Tell whether pods get addresses of the other family for egress."""
        if self.other_family_egress is None:
            return self.ip_family is IPFamily.IPV6
        return self.other_family_egress


def _reads(text: str) -> bool:
    """Tell whether text is an IPv4 CIDR."""
    try:
        return Cidr(text, host_bits="mask").family is IPFamily.IPV4
    except InvalidCidr:
        return False
