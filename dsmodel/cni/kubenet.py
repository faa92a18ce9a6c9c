"""kubenet, the kubelet's own plugin until 1.23, as of 1.20: a bridge with host-local on the node's podCIDRs.

Promises the network configuration it writes (one range set a podCIDR, in their order; routes IPv4 first whatever that
order), host-local's addresses, the masquerade rule that exists in one family only, and that in dual-stack the order of
``status.podIPs`` is chance: never infer a cluster's primary family from one pod of such a cluster.

It does not know traffic shaping and host ports. Later changes of a node's podCIDRs are ignored, as kubenet does.

Source: kubernetes v1.20.2 ``pkg/kubelet/dockershim/network/kubenet/kubenet_linux.go``.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.contract import Certainty, Provenance
from dsmodel.cni.node_ranges import HOST_LOCAL
from dsmodel.cni.range_plugin import RangePlugin

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NON_MASQUERADE", "PROVENANCE", "Kubenet", "masquerades", "network_config", "pod_ip_orders"]

PROVENANCE = Provenance(
    "kubenet",
    Certainty.FROM_SOURCE,
    "kubernetes v1.20.2",
    ("pkg/kubelet/dockershim/network/kubenet/kubenet_linux.go",),
)

NON_MASQUERADE = "10.0.0.0/8"
"""Default of the kubelet's ``--non-masquerade-cidr``. Source: ``pkg/kubelet/apis/config`` of v1.20."""


class Kubenet(RangePlugin):
    """kubenet on every node.

    Parameters
    ----------
    families : sequence of IPFamily
        Those of the node's podCIDRs, in their order: host-local serves in it.
    dual_stack_gate : bool
        IPv6DualStack; without it only the first podCIDR counts.

    Raises
    ------
    InvalidInput
        No family.

    Examples
    --------
    >>> from dsmodel.cni.node_ranges import pod_cidr_columns
    >>> kubenet = Kubenet([IPFamily.IPV6, IPFamily.IPV4])
    >>> kubenet.add_ranges(pod_cidr_columns([["fd00::/64", "10.244.1.0/24"]]))
    array([0])
    >>> kubenet.place([0] * 300).placed
    253
    """

    def __init__(self, families: Sequence[IPFamily], *, dual_stack_gate: bool = True) -> None:
        kept = list(families) if dual_stack_gate else list(families)[:1]
        super().__init__(PROVENANCE, {family: HOST_LOCAL[family] for family in kept}, order=kept)


def network_config(pod_cidrs: Sequence[str], *, mtu: int = 1460, dual_stack_gate: bool = True) -> dict[str, Any]:
    """Return the CNI configuration kubenet hands to bridge and host-local.

    Parameters
    ----------
    pod_cidrs : sequence of str
        The node's podCIDRs.
    mtu : int
        Of the bridge.
    dual_stack_gate : bool
        IPv6DualStack; without it only the first podCIDR counts.

    Returns
    -------
    dict
        For `HostLocal`. Its version 0.1.0 makes host-local refuse two range sets of one family.

    Raises
    ------
    InvalidCidr
        A text is no CIDR.

    Notes
    -----
    Source: ``Event``, ``getRangesConfig``, ``getRoutesConfig`` of ``kubenet_linux.go``.

    Examples
    --------
    >>> network_config(["fd00::/64", "10.244.1.0/24"])["ipam"]["routes"]
    [{'dst': '0.0.0.0/0'}, {'dst': '::/0'}]
    """
    cidrs = [Cidr(text, host_bits="mask") for text in pod_cidrs][: None if dual_stack_gate else 1]
    families = {cidr.family for cidr in cidrs}
    routes = {IPFamily.IPV4: "0.0.0.0/0", IPFamily.IPV6: "::/0"}
    return {
        "cniVersion": "0.1.0",
        "name": "kubenet",
        "type": "bridge",
        "bridge": "cbr0",
        "mtu": mtu,
        "addIf": "eth0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": False,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": str(cidr)}] for cidr in cidrs],
            "routes": [{"dst": route} for family, route in routes.items() if family in families],
        },
    }


def pod_ip_orders(addresses: Sequence[str]) -> list[tuple[str, ...]]:
    """Return every order in which ``status.podIPs`` of a pod may come.

    Parameters
    ----------
    addresses : sequence of str
        The pod's addresses.

    Returns
    -------
    list of tuple of str
        Both orders of two: kubenet keeps them in a set, and ``status.podIP`` is whichever comes first.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Notes
    -----
    Source: ``getPodIPs`` of v1.20.2 ``kubenet_linux.go``.

    Examples
    --------
    >>> pod_ip_orders(["10.244.1.2", "fd00::2"])
    [('10.244.1.2', 'fd00::2'), ('fd00::2', '10.244.1.2')]
    """
    return list(permutations(addresses))


def masquerades(family: IPFamily, *, non_masquerade_cidr: str = NON_MASQUERADE) -> bool:
    """Tell whether kubenet rewrites the source of pods' traffic that leaves the cluster.

    Parameters
    ----------
    family : IPFamily
        Of the traffic.
    non_masquerade_cidr : str
        The kubelet's flag; ``0.0.0.0/0`` switches the rule off.

    Returns
    -------
    bool
        True in the family of the CIDR alone: with the default, IPv6 pods leave with their own addresses.

    Raises
    ------
    InvalidCidr
        The text is no CIDR.

    Notes
    -----
    Source: ``ensureMasqRule`` of v1.20.2 ``kubenet_linux.go``.

    Examples
    --------
    >>> [masquerades(family) for family in IPFamily]
    [True, False]
    """
    cidr = Cidr(non_masquerade_cidr, host_bits="mask")
    return cidr.family is family and non_masquerade_cidr != "0.0.0.0/0"
