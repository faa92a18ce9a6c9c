"""Antrea without an Egress: from the node's pods, to what is no pod.

Promises the rule of both families: source in the node's pod CIDR, destination in no node's pod CIDR, not leaving by
Antrea's gateway; nothing with noSNAT, which takes effect in mode noEncap only.

What it does not know: Egress objects (`dsmodel.graph.gateways`), and marks of theirs.

Source: ``pkg/agent/route/route_linux.go`` and ``docs/egress.md`` of antrea-io/antrea at fc70f2b; the answer for nodes
is derived from these and not recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.graph.rules import OWN_POD_CIDR, POD_CIDRS, Action, Chain, Device, Rule, inside, outside

if TYPE_CHECKING:
    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["Antrea"]

_MODES = ("encap", "noEncap", "hybrid", "networkPolicyOnly")


@dataclass(frozen=True, kw_only=True)
class Antrea:
    """Antrea with the settings that masquerading depends on.

    Parameters
    ----------
    traffic_encap_mode : str, default "encap"
        ``trafficEncapMode``.
    no_snat : bool, default False
        ``noSNAT``.
    fully_random_ports : bool, default False
        ``snatFullyRandomPorts``.
    """

    traffic_encap_mode: str = "encap"
    no_snat: bool = False
    fully_random_ports: bool = False

    component = "Antrea"

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:  # noqa: ARG002 - the contract's
        """Compile the settings for one family.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Not looked at: the nodes' pod CIDRs are its set of pods.

        Returns
        -------
        tuple of Chain
            One; none with noSNAT in mode noEncap, or where another plugin networks.

        Raises
        ------
        None
            What is wrong with the settings is a finding.

        Examples
        --------
        >>> from dsmodel.addresses.cidr import IPFamily
        >>> from dsmodel.cluster import examples
        >>> Antrea(traffic_encap_mode="noEncap", no_snat=True).chains(IPFamily.IPV6, examples.ipv6_first())
        ()
        """
        if self.traffic_encap_mode == "networkPolicyOnly" or (self.no_snat and self.traffic_encap_mode == "noEncap"):
            return ()
        rule = Rule(
            name="from a pod of the node to what is no pod",
            action=Action.MASQUERADE,
            source=inside(OWN_POD_CIDR),
            destination=outside(POD_CIDRS),
            device=Device("antrea-gw0", POD_CIDRS, negated=True),
            random_fully=self.fully_random_ports,
        )
        chain = Chain(
            component=self.component,
            name="ANTREA-POSTROUTING",
            family=family,
            rules=(rule,),
            comment="Antrea: jump to Antrea postrouting rules",
        )
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
            A mode that is none, and noSNAT where it does nothing.

        Raises
        ------
        None
            Everything is a finding.
        """
        where = "ConfigMap/kube-system/antrea-config"
        if self.traffic_encap_mode not in _MODES:
            words = f"trafficEncapMode {self.traffic_encap_mode!r} is refused; write one of {', '.join(_MODES)}"
            return [("error", "antrea-mode", where, words)]
        if self.no_snat and self.traffic_encap_mode != "noEncap":
            words = f"noSNAT does nothing in mode {self.traffic_encap_mode}; it holds in noEncap only"
            return [("warning", "antrea-no-snat", where, words)]
        return []
