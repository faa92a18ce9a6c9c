"""kube-proxy: what it masquerades is what it marked, and it marks traffic to Services only.

Promises one chain a family: not marked, return; marked, masquerade. Which traffic is marked is decided by
`dsmodel.graph.masquerade.services.service_traffic`; here is how a kube-proxy tells the pods of its node, per family
(`KubeProxy.detector`). Pod traffic that leaves the cluster is never masqueraded by kube-proxy, ``--masquerade-all`` or
not.

What it does not know: whether the host can do both families.

Sources: ``pkg/proxy/iptables/proxier.go``, ``pkg/proxy/nftables/proxier.go``, ``pkg/proxy/ipvs/proxier.go``,
``pkg/proxy/util/localdetector.go``, ``cmd/kube-proxy/app/server_linux.go`` of the v1.36 line;
``pkg/proxy/util/iptables/traffic.go``, ``cmd/kube-proxy/app/server_others.go`` of v1.20.2.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidCidr
from dsmodel.graph.rules import OWN_POD_CIDR, Action, AddressSet, Backend, Chain, Rule, blocks

if TYPE_CHECKING:
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = ["LOCAL_MODES", "Detector", "KubeProxy"]

LOCAL_MODES = ("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")
_MODES = ("iptables", "ipvs", "nftables")


class Detector(enum.StrEnum):
    """How a kube-proxy tells that a pod of its node sent a packet.

    >>> Detector("none").works
    False
    """

    NONE = "none"
    SOURCE = "source"
    INTERFACE = "interface"

    @property
    def works(self) -> bool:
        """Whether it ever says yes."""
        return self is not Detector.NONE


@dataclass(frozen=True, kw_only=True)
class KubeProxy:
    """kube-proxy with the settings that masquerading depends on.

    Parameters
    ----------
    mode : {"iptables", "ipvs", "nftables"}
        ``mode``.
    cluster_cidrs : tuple of str
        ``clusterCIDR``, split at commas; only the first of a family counts.
    detect_local_mode : str, default "ClusterCIDR"
        ``detectLocalMode``.
    interface : str, default ""
        ``detectLocal.bridgeInterface`` or ``interfaceNamePrefix``.
    masquerade_all : bool, default False
        ``masqueradeAll``.
    masquerade_bit : int, default 14
        ``masqueradeBit``.
    """

    mode: str = "iptables"
    cluster_cidrs: tuple[str, ...] = ()
    detect_local_mode: str = "ClusterCIDR"
    interface: str = ""
    masquerade_all: bool = False
    masquerade_bit: int = 14

    component = "kube-proxy"

    def detector(self, family: IPFamily) -> Detector:
        """Return how local pods are told in one family.

        Parameters
        ----------
        family : IPFamily
            Which.

        Returns
        -------
        Detector
            ``NONE`` where no CIDR of the family is given: kube-proxy warns and goes on, for that family only.

        Raises
        ------
        None
            Settings that kube-proxy refuses are findings.

        Examples
        --------
        >>> proxy = KubeProxy(cluster_cidrs=("10.244.0.0/16",))
        >>> str(proxy.detector(IPFamily.IPV4)), str(proxy.detector(IPFamily.IPV6))
        ('source', 'none')
        """
        if self.detect_local_mode in {"BridgeInterface", "InterfaceNamePrefix"}:
            return Detector.INTERFACE if self.interface else Detector.NONE
        if self.detect_local_mode == "NodeCIDR":
            return Detector.SOURCE
        return Detector.SOURCE if self._cidr(family) is not None else Detector.NONE

    def local_sources(self, family: IPFamily) -> AddressSet:
        """Return the sources that count as pods of the node; the whole cluster's where ClusterCIDR decides.

        Parameters
        ----------
        family : IPFamily
            Which.

        Returns
        -------
        AddressSet
            Empty where nothing is told, or the interface tells it.

        Raises
        ------
        None
            Every setting has an answer.

        Examples
        --------
        >>> KubeProxy(cluster_cidrs=("10.244.0.0/16",)).local_sources(IPFamily.IPV4).cidrs
        (Cidr('10.244.0.0/16'),)
        """
        if self.detect_local_mode == "NodeCIDR":
            return OWN_POD_CIDR
        cidr = self._cidr(family) if self.detect_local_mode == "ClusterCIDR" else None
        return blocks("clusterCIDR", [cidr] if cidr else [])

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:  # noqa: ARG002 - nothing of it is used
        """Compile the chain of one family.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Not looked at.

        Returns
        -------
        tuple of Chain
            One.

        Raises
        ------
        None
            Every setting has an answer.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> KubeProxy().chains(IPFamily.IPV6, examples.ipv6_first())[0].name
        'KUBE-POSTROUTING'
        """
        is_nft = self.mode == "nftables"
        rules = (
            Rule(name="", action=Action.RETURN, marked=False),
            Rule(name="", action=Action.CLEAR_MARK, marked=True),
            Rule(name="marked for masquerading", action=Action.MASQUERADE, random_fully=True),
        )
        chain = Chain(
            component=self.component,
            name="masquerading" if is_nft else "KUBE-POSTROUTING",
            family=family,
            rules=rules,
            backend=Backend.NFTABLES if is_nft else Backend.IPTABLES,
            mark=1 << self.masquerade_bit,
            comment="kubernetes postrouting rules",
        )
        return (chain,)

    def findings(self, cluster: Cluster) -> list[Finding]:
        """Say where kube-proxy cannot tell local pods, and what it refuses.

        Parameters
        ----------
        cluster : Cluster
            Its families.

        Returns
        -------
        list of Finding
            One a trouble.

        Raises
        ------
        None
            Everything is a finding.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> proxy = KubeProxy(cluster_cidrs=("10.244.0.0/16",))
        >>> [found[1] for found in proxy.findings(examples.kubeadm_dual_stack())]
        ['kube-proxy-cannot-tell-pods']
        """
        found: list[Finding] = []
        if self.mode not in _MODES:
            words = f"mode {self.mode!r} is not modelled; the modes are {', '.join(_MODES)}"
            found.append(("error", "kube-proxy-mode", "kube-proxy", words))
        if self.detect_local_mode not in LOCAL_MODES:
            words = f"detectLocalMode {self.detect_local_mode!r} is refused; write one of {', '.join(LOCAL_MODES)}"
            found.append(("error", "kube-proxy-local-mode", "kube-proxy", words))
        for text in self.cluster_cidrs:
            if _read(text) is None:
                words = f"clusterCIDR {text!r} is no CIDR, and kube-proxy does not start; write one of each family"
                found.append(("error", "kube-proxy-cluster-cidr", "kube-proxy", words))
        families = [family for family in IPFamily if family in cluster.config.ip_families]
        for family in families:
            more = [c for c in map(_read, self.cluster_cidrs) if c is not None and c.family is family][1:]
            if more:
                words = f"clusterCIDR {more[0]} is not looked at: of {family} only the first counts; drop it"
                found.append(("warning", "kube-proxy-second-cidr", "kube-proxy", words))
            if not self.detector(family).works:
                words = (
                    f"kube-proxy cannot tell pods from outside in {family}: traffic to {family} cluster IPs is not "
                    f"masqueraded and externalTrafficPolicy Local holds for pods too; add the {family} cluster CIDR "
                    "to clusterCIDR"
                )
                found.append(("warning", "kube-proxy-cannot-tell-pods", "kube-proxy", words))
        return found

    def _cidr(self, family: IPFamily) -> Cidr | None:
        """Return the first CIDR of a family."""
        return next((c for c in map(_read, self.cluster_cidrs) if c is not None and c.family is family), None)


def _read(text: str) -> Cidr | None:
    """Read a CIDR."""
    try:
        return Cidr(text.strip(), host_bits="mask", syntax="sloppy")
    except InvalidCidr:
        return None
