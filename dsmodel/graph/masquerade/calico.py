"""Calico's natOutgoing: from a pool that wants it, to what is in no pool at all.

Promises felix's rule: the source must be in a pool with natOutgoing, the destination in no pool of the family, disabled
pools among them (the documented way to spare an on-premises range); a pool for load balancers alone joins the sources
and not the spared destinations. Node addresses are masqueraded to, unless natOutgoingExclusions says otherwise.

With natOutgoingAddress, which is IPv4, felix writes that address into ip6tables too, the restore fails, and no IPv6
rule is written (projectcalico/calico#3275): a node that starts so masquerades no IPv6.

What it does not know: Windows; addresses of nodes beyond the first of a family; which interfaces are outward ones: a
filter of output interfaces is taken to fit what leaves the cluster.

Source: ``felix/rules/nat.go``, ``felix/dataplane/linux/masq_mgr.go``, ``felix/bpf-gpl/routes.h``,
``node/pkg/lifecycle/startup/startup.go`` of projectcalico/calico at 87c1590 (August 2026).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily, parse_address
from dsmodel.errors import InvalidAddress, InvalidCidr
from dsmodel.graph.masquerade.contract import undecided
from dsmodel.graph.rules import LOCAL, NODE_ADDRESSES, Action, Chain, Device, Rule, blocks, inside, outside

if TYPE_CHECKING:
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["Calico", "CalicoPool"]

_EXCLUSIONS = ("IPPoolsOnly", "IPPoolsAndHostIPs")
_ANYWHERE = blocks("anywhere", ["0.0.0.0/0", "::/0"])
_PORTS = re.compile(r"(\d{1,5})(?::(\d{1,5}))?")


@dataclass(frozen=True)
class CalicoPool:
    """An IPPool, as far as masquerading goes.

    Parameters
    ----------
    cidr : str
        ``spec.cidr``.
    nat_outgoing : bool, default False
        ``spec.natOutgoing``.
    disabled : bool, default False
        ``spec.disabled``: no new addresses come from it; destinations in it are spared all the same.
    allowed_uses : tuple of str
        ``spec.allowedUses``.
    """

    cidr: str
    nat_outgoing: bool = False
    disabled: bool = False
    allowed_uses: tuple[str, ...] = ("Workload", "Tunnel")


@dataclass(frozen=True, kw_only=True)
class Calico:
    """Calico's pools and the settings of felix.

    Parameters
    ----------
    pools : tuple of CalicoPool
        All IPPools, of both families.
    exclusions : str, default "IPPoolsOnly"
        ``natOutgoingExclusions``.
    nat_port_range : str, default ""
        ``natPortRange``: "32768:65535".
    nat_outgoing_address : str, default ""
        ``natOutgoingAddress``.
    bpf : bool, default False
        ``bpfEnabled``: the node itself is spared too.
    interface_filter : str, default ""
        ``iptablesNATOutgoingInterfaceFilter``.
    """

    pools: tuple[CalicoPool, ...] = ()
    exclusions: str = "IPPoolsOnly"
    nat_port_range: str = ""
    nat_outgoing_address: str = ""
    bpf: bool = False
    interface_filter: str = ""

    component = "Calico"

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:  # noqa: ARG002 - the contract's
        """Compile the settings for one family.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Not looked at: the pools are Calico's own.

        Returns
        -------
        tuple of Chain
            One; none for a family without a pool that wants it.

        Raises
        ------
        None
            What is wrong with the settings is a finding.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> pools = (CalicoPool("10.244.0.0/16", nat_outgoing=True), CalicoPool("fd00:10:244::/56"))
        >>> [len(Calico(pools=pools).chains(family, examples.ipv6_first())) for family in IPFamily]
        [1, 0]
        """
        pools = [(pool, cidr) for pool in self.pools if (cidr := _read(pool.cidr)) and cidr.family is family]
        wanted = blocks("pools with natOutgoing", [cidr for pool, cidr in pools if pool.nat_outgoing])
        if not wanted.cidrs:
            return ()
        trouble = self._trouble(family)
        if trouble:
            return (undecided(self.component, family, trouble),)
        if family is IPFamily.IPV6 and self.nat_outgoing_address:
            name = "natOutgoingAddress is IPv4, ip6tables refuses it, and no IPv6 rule is written"
            failed = Rule(name=name, action=Action.RETURN)
            return (Chain(component=self.component, name="cali-nat-outgoing", family=family, rules=(failed,)),)
        spared = blocks("all pools", [cidr for pool, cidr in pools if pool.allowed_uses != ("LoadBalancer",)])
        kept = [spared]
        if self.exclusions == "IPPoolsAndHostIPs":
            kept.append(NODE_ADDRESSES)
        if self.bpf:
            kept.append(LOCAL)
        names = ["no pool", "no node" if NODE_ADDRESSES in kept else ""]
        rule = Rule(
            name=f"from a pool with natOutgoing to {' and '.join(filter(None, names))}",
            action=Action.SNAT if self.nat_outgoing_address else Action.MASQUERADE,
            source=inside(wanted),
            destination=outside(*kept),
            to=self.nat_outgoing_address,
            ports=self._ports(),
            random_fully=not self.nat_port_range,
            device=Device(self.interface_filter, _ANYWHERE) if self.interface_filter else None,
        )
        chain = Chain(
            component=self.component,
            name="cali-nat-outgoing",
            family=family,
            rules=(rule,),
            port_protocols=("tcp", "udp"),
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
            Settings felix cannot use, and families that leave with pod addresses.

        Raises
        ------
        None
            Everything is a finding.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> found = Calico(pools=(CalicoPool("fd00:10:244::/56"),)).findings(examples.ipv6_first())
        >>> found[0][1]
        'calico-pool-without-nat'
        """
        found: list[Finding] = []
        if self.interface_filter:
            words = f"whether {self.interface_filter} is where traffic leaves is not known; it is taken to be"
            found.append(("info", "calico-interface-assumed", "FelixConfiguration/default", words))
        for pool in self.pools:
            if _read(pool.cidr) is None:
                words = f"pool {pool.cidr!r} is no CIDR; calico-apiserver takes none such"
                found.append(("error", "calico-pool-cidr", "IPPool", words))
        for family in IPFamily:
            trouble = self._trouble(family)
            if trouble and ("error", "calico-settings", "FelixConfiguration/default", trouble) not in found:
                found.append(("error", "calico-settings", "FelixConfiguration/default", trouble))
            mine = [pool for pool in self.pools if (cidr := _read(pool.cidr)) and cidr.family is family]
            uses = [pool for pool in mine if not pool.disabled and "Workload" in pool.allowed_uses]
            if uses and not any(pool.nat_outgoing for pool in uses):
                words = (
                    f"{family} leaves with pod addresses: no {family} pool has natOutgoing; set it on {uses[0].cidr} "
                    "where they are not routed"
                )
                found.append(("info", "calico-pool-without-nat", "IPPool", words))
            if family is IPFamily.IPV6 and self.nat_outgoing_address and any(pool.nat_outgoing for pool in mine):
                words = (
                    f"natOutgoingAddress {self.nat_outgoing_address} breaks IPv6: felix writes it into ip6tables, and "
                    "the restore of all IPv6 NAT rules fails (projectcalico/calico#3275); drop it, or natOutgoing of "
                    "the IPv6 pools"
                )
                found.append(("error", "calico-nat-address-breaks-ipv6", "FelixConfiguration/default", words))
        return found

    def _ports(self) -> tuple[tuple[int, int], ...]:
        """Return the one interval of ports, if any; `_trouble` has judged it."""
        match = _PORTS.fullmatch(self.nat_port_range)
        return ((int(match[1]), int(match[2] or match[1])),) if match else ()

    def _trouble(self, family: IPFamily) -> str:
        """Say why the settings mean nothing."""
        if self.exclusions not in _EXCLUSIONS:
            return f"natOutgoingExclusions {self.exclusions!r} is refused; write one of {', '.join(_EXCLUSIONS)}"
        ports = self._ports()
        if self.nat_port_range and not (ports and ports[0][0] <= ports[0][1] <= 65535):
            return f"natPortRange {self.nat_port_range!r} is no range; write for instance 32768:65535"
        if self.nat_outgoing_address and family is IPFamily.IPV4:
            try:
                given = parse_address(self.nat_outgoing_address)[0]
            except InvalidAddress:
                given = None
            if given is not IPFamily.IPV4:
                return f"natOutgoingAddress {self.nat_outgoing_address!r} is no IPv4 address, and felix takes no other"
        return ""


def _read(text: str) -> Cidr | None:
    """Read a CIDR, if it is one."""
    try:
        return Cidr(text, host_bits="mask")
    except InvalidCidr:
        return None
