"""Which objects of a dump are read, which are kept as they are, and which Pods are looked into.

Kinds in `HANDLED` become rows and clues. Kinds in `KEPT` are decoded whole and handed on as JSON to whoever knows the
plugin. Everything else is counted. Of Pods, only those whose names say that they run the control plane or an agent of
the network have their containers decoded.

What it does not know: what the objects mean.

Sources: API groups of kubernetes/api, projectcalico/calico, cilium/cilium, ovn-org/ovn-kubernetes, antrea-io/antrea,
kubeovn/kube-ovn, k8snetworkplumbingwg/whereabouts, aws/amazon-vpc-cni-k8s, Azure/azure-container-networking, MetalLB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsmodel.io.dump_objects import PodMetadata

__all__ = [
    "COMPONENTS",
    "CONFIG_MAPS",
    "HANDLED",
    "KEPT",
    "SYSTEM",
    "SYSTEM_NAMESPACES",
    "agents_among",
    "is_handled",
    "is_kept",
    "opened_name",
    "runs_component",
]

# kind -> API groups it is read from; the same kind of another group is somebody's custom resource
HANDLED: Final = {
    "ConfigMap": ("",),
    "EndpointSlice": ("discovery.k8s.io",),
    "Endpoints": ("",),
    "Event": ("", "events.k8s.io"),
    "IPAddress": ("networking.k8s.io",),
    "Namespace": ("",),
    "Node": ("",),
    "Pod": ("",),
    "Service": ("",),
    "ServiceCIDR": ("networking.k8s.io",),
}

_CALICO: Final = ("crd.projectcalico.org", "projectcalico.org")
_OVN: Final = ("k8s.ovn.org",)
_KUBE_OVN: Final = ("kubeovn.io",)
_WHEREABOUTS: Final = ("whereabouts.cni.cncf.io",)
# kind -> API groups whose objects are kept whole
KEPT: Final = {
    "AdminPolicyBasedExternalRoute": _OVN,
    "BlockAffinity": _CALICO,
    "CNINode": ("vpcresources.k8s.aws",),
    "CiliumEgressGatewayPolicy": ("cilium.io",),
    "CiliumEndpoint": ("cilium.io",),
    "CiliumLoadBalancerIPPool": ("cilium.io",),
    "CiliumNode": ("cilium.io",),
    "CiliumPodIPPool": ("cilium.io",),
    "ClusterCIDR": ("networking.k8s.io",),
    "DaemonSet": ("apps",),
    "ENIConfig": ("crd.k8s.amazonaws.com",),
    "Egress": ("crd.antrea.io",),
    "EgressFirewall": _OVN,
    "EgressGateway": (*_CALICO, "operator.tigera.io"),
    "EgressGatewayPolicy": _CALICO,
    "EgressIP": _OVN,
    "EgressService": _OVN,
    "ExternalIPPool": ("crd.antrea.io",),
    "FelixConfiguration": _CALICO,
    "IP": _KUBE_OVN,
    "IPAMBlock": _CALICO,
    "IPAMConfig": _CALICO,
    "IPAMConfiguration": _CALICO,
    "IPAMHandle": _CALICO,
    "IPAddressPool": ("metallb.io",),
    "IPPool": (*_CALICO, "crd.antrea.io", *_WHEREABOUTS),
    "IPReservation": _CALICO,
    "NetworkPolicy": ("networking.k8s.io",),
    "NodeNetworkConfig": ("acn.azure.com",),
    "NodeSlicePool": _WHEREABOUTS,
    "OverlappingRangeIPReservation": _WHEREABOUTS,
    "Subnet": _KUBE_OVN,
    "Vpc": _KUBE_OVN,
    "VpcEgressGateway": _KUBE_OVN,
}

# where the control plane's Pods are, and the ones whose command lines tell the configuration
SYSTEM: Final = "kube-system"
COMPONENTS: Final = ("kube-apiserver", "kube-controller-manager")

# ConfigMaps that are opened, by namespace; a name that ends in "-" stands for all that begin so
CONFIG_MAPS: Final = {
    SYSTEM: (
        "amazon-vpc-cni",
        "antrea-config",
        "antrea-config-",
        "azure-ip-masq-",
        "calico-config",
        "cilium-config",
        "ip-masq-agent",
        "kube-flannel-cfg",
        "kube-proxy",
        "kube-router-cfg",
        "kubeadm-config",
        "kubelet-config",
        "kubelet-config-",
    ),
    "cilium": ("cilium-config",),
    "kube-flannel": ("kube-flannel-cfg",),
    "openshift-ovn-kubernetes": ("ovnkube-config",),
    "ovn-kubernetes": ("ovn-config",),
}

# where Pods are that may be looked into, and how the names of the network's agents begin
SYSTEM_NAMESPACES: Final = frozenset(
    {
        SYSTEM,
        "calico-system",
        "cilium",
        "kube-flannel",
        "openshift-kube-proxy",
        "openshift-ovn-kubernetes",
        "ovn-kubernetes",
    }
)
_AGENT_PODS: Final = (
    "anetd-",
    "antrea-agent-",
    "aws-node-",
    "azure-ip-masq-agent-",
    "calico-node-",
    "cilium-",
    "ip-masq-agent-",
    "kube-flannel-",
    "kube-ovn-cni-",
    "kube-proxy-",
    "kube-router-",
    "ovnkube-node-",
)


def is_handled(kind: str, api_version: str) -> bool:
    """Tell whether objects of a kind become rows or clues.

    Parameters
    ----------
    kind, api_version : str
        As in the object; an object without ``apiVersion`` is taken to be of the kind's own group.

    Returns
    -------
    bool
        False for kinds not in `HANDLED` and for the same kind of another API group.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> is_handled("Service", "v1"), is_handled("Service", "serving.knative.dev/v1"), is_handled("Secret", "v1")
    (True, False, False)
    """
    groups = HANDLED.get(kind)
    if groups is None:
        return False
    return not api_version or api_version.rpartition("/")[0] in groups


def is_kept(kind: str, api_version: str) -> bool:
    """Tell whether objects of a kind are kept whole.

    Parameters
    ----------
    kind, api_version : str
        As in the object.

    Returns
    -------
    bool
        False for kinds not in `KEPT`, for the same kind of another API group, and without one.

    Raises
    ------
    None
        Every text has an answer.

    Examples
    --------
    >>> is_kept("IPPool", "crd.projectcalico.org/v1"), is_kept("Subnet", "ec2.aws.crossplane.io/v1")
    (True, False)
    """
    return api_version.rpartition("/")[0] in KEPT.get(kind, ())


def opened_name(metadata: PodMetadata) -> str:
    """Tell as which of the known ConfigMaps one is opened.

    Parameters
    ----------
    metadata : PodMetadata
        The ConfigMap's.

    Returns
    -------
    str
        An entry of `CONFIG_MAPS`; empty for one that stays closed.

    Raises
    ------
    None
        Every ConfigMap has an answer.

    Examples
    --------
    >>> from dsmodel.io.dump_objects import PodMetadata
    >>> opened_name(PodMetadata("kubelet-config-1.22", "kube-system")), opened_name(PodMetadata("kube-proxy", "shop"))
    ('kubelet-config-', '')
    """
    for known in CONFIG_MAPS.get(metadata.namespace, ()):
        if metadata.name == known or (known.endswith("-") and metadata.name.startswith(known)):
            return known
    return ""


def runs_component(metadata: PodMetadata) -> bool:
    """Tell whether a Pod may run a component of the control plane whose command line is read.

    Parameters
    ----------
    metadata : PodMetadata
        The Pod's.

    Returns
    -------
    bool
        By namespace and name.

    Raises
    ------
    None
        Every Pod has an answer.

    Examples
    --------
    >>> from dsmodel.io.dump_objects import PodMetadata
    >>> runs_component(PodMetadata("kube-apiserver-a", "kube-system")), runs_component(PodMetadata("a", "default"))
    (True, False)
    """
    return metadata.namespace == SYSTEM and any(name in metadata.name for name in COMPONENTS)


def agents_among(metadata: Sequence[PodMetadata], phases: Sequence[str | None], met: set[tuple[str, str]]) -> list[int]:
    """Find Pods that may run an agent of the network: of each DaemonSet the first one that runs.

    Parameters
    ----------
    metadata : sequence of PodMetadata, length n
        The Pods'.
    phases : sequence of str or None, length n
        Their phases.
    met : set of (str, str)
        Namespaces and names, without their last part, of those found before; added to.

    Returns
    -------
    list of int
        Places of those to be looked into.

    Raises
    ------
    None
        Every Pod has an answer.

    Examples
    --------
    >>> from dsmodel.io.dump_objects import PodMetadata
    >>> pods = [PodMetadata(f"kube-proxy-{letter}", "kube-system") for letter in "abc"]
    >>> agents_among(pods, ["Pending", "Running", "Running"], set())
    [1]
    """
    found = []
    for place, entry in enumerate(metadata):
        if entry.namespace in SYSTEM_NAMESPACES and entry.name.startswith(_AGENT_PODS) and phases[place] == "Running":
            key = (entry.namespace, entry.name.rpartition("-")[0])
            if key not in met:
                met.add(key)
                found.append(place)
    return found
