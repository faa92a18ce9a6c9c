"""Transparent proxies in the pod: which traffic an Istio sidecar captures, per family.

Promises: TCP of a captured family to the included ranges goes to the proxy, which opens a connection of its own from
the pod's address, so that the node's masquerading afterwards is what it would have been. UDP is never captured. The
second family is a switch of its own.

What it does not know: routes of the mesh beyond whether a destination is registered; ports that are left out.

Source: istio/istio#18956, #35310, #45335, #46625; the sidecar's iptables are general knowledge, not recorded.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.arrays import addresses_in, family_of
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidCidr
from dsmodel.graph.rules import LOOPBACK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.rules import Chain

__all__ = ["CAPTURES", "Capture", "SidecarProxy"]

_POLICIES = ("ALLOW_ANY", "REGISTRY_ONLY")


class Capture(enum.StrEnum):
    """What a proxy does with a flow.

    >>> Capture("passes").value
    'passes'
    """

    PASSES = "passes"
    CAPTURED = "captured"
    REJECTED = "rejected"


CAPTURES: tuple[Capture, ...] = tuple(Capture)
"""Meaning of each code."""


@dataclass(frozen=True, kw_only=True)
class SidecarProxy:
    """An Istio sidecar.

    Parameters
    ----------
    families : tuple of IPFamily
        Whose traffic is redirected; IPv4 alone where dual-stack is not switched on.
    rejects_other_family : bool, default False
        Whether rules of the other family reject what is not captured, as older sidecars do (istio/istio#18956).
    included, excluded : tuple of str
        ``includeOutboundIPRanges`` and ``excludeOutboundIPRanges``; no included ones for all.
    outbound_policy : {"ALLOW_ANY", "REGISTRY_ONLY"}
        ``outboundTrafficPolicy``.
    """

    families: tuple[IPFamily, ...] = (IPFamily.IPV4,)
    rejects_other_family: bool = False
    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    outbound_policy: str = "ALLOW_ANY"

    component = "Istio sidecar"

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:  # noqa: ARG002 - the contract's
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
            None: the proxy's own connection starts at the pod's address.

        Raises
        ------
        None
            What is wrong with the settings is a finding.
        """
        return ()

    def findings(self, cluster: Cluster) -> list[Finding]:
        """Say what is wrong with the settings, or surprises.

        Parameters
        ----------
        cluster : Cluster
            Its families.

        Returns
        -------
        list of Finding
            Families that pass the proxy by, and values that are none.

        Raises
        ------
        None
            Everything is a finding.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> [found[1] for found in SidecarProxy().findings(examples.kubeadm_dual_stack())]
        ['proxy-one-family']
        """
        found: list[Finding] = []
        if self.outbound_policy not in _POLICIES:
            words = f"outboundTrafficPolicy {self.outbound_policy!r} is refused; write one of {', '.join(_POLICIES)}"
            found.append(("error", "proxy-policy", "Istio", words))
        for text in (*self.included, *self.excluded):
            try:
                Cidr(text)
            except InvalidCidr as error:
                found.append(("error", "proxy-range", "Istio", str(error)))
        for family in cluster.config.ip_families:
            if family not in self.families:
                fate = "is rejected" if self.rejects_other_family else "passes the proxy by, with its policies"
                words = f"{family} {fate}: the sidecar redirects {', '.join(self.families)} only; switch on dual-stack"
                found.append(("warning", "proxy-one-family", "Istio", words))
        return found

    def capture(
        self, destinations: NDArray[Any], *, tcp: NDArray[np.bool_] | bool = True, registered: NDArray[np.bool_] | bool
    ) -> NDArray[np.uint8]:
        """Say what becomes of flows as they leave the app.

        Parameters
        ----------
        destinations : address column, shape (n,)
            Of one family.
        tcp : ndarray of bool or bool, default True
            Whether each flow is TCP.
        registered : ndarray of bool or bool
            Whether the mesh knows the destination.

        Returns
        -------
        ndarray of uint8, shape (n,)
            Places in `CAPTURES`.

        Raises
        ------
        InvalidCidr
            A range that is none; `findings` names it.

        Examples
        --------
        >>> from dsmodel.addresses.text import parse_addresses
        >>> servers = parse_addresses(["192.0.2.1", "127.0.0.1"], family="IPv4")
        >>> SidecarProxy().capture(servers, registered=True)
        array([1, 0], dtype=uint8)
        """
        family = family_of(destinations)
        codes = np.full(len(destinations), CAPTURES.index(Capture.PASSES), np.uint8)
        local = addresses_in(destinations, LOOPBACK[family])
        if family not in self.families:
            if self.rejects_other_family:
                codes[~local & tcp] = CAPTURES.index(Capture.REJECTED)
            return codes
        captured = ~local & tcp
        if self.included:
            captured &= addresses_in(destinations, self.included)
        if self.excluded:
            captured &= ~addresses_in(destinations, self.excluded)
        codes[captured] = CAPTURES.index(Capture.CAPTURED)
        if self.outbound_policy == "REGISTRY_ONLY":
            codes[captured & ~np.asarray(registered)] = CAPTURES.index(Capture.REJECTED)
        return codes
