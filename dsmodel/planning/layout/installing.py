"""One cluster's configuration in the words of an installer, and what the installer and the components refuse of it.

Promises documents as plain values, for whoever writes YAML, and the same judges as `dsmodel.check_config` and a
configuration that is read: nothing is judged by rules of its own. kubeadm gets a ``ClusterConfiguration`` and a
``KubeletConfiguration``, k3s and RKE2 a ``config.yaml``. Does not know node names, endpoints or network plugins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsmodel.errors import InvalidInput
from dsmodel.kube.config import ClusterConfig
from dsmodel.kube.config_checks import check_config
from dsmodel.kube.installers import KubeadmNetworking, judge_k3s, judge_kubeadm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dsmodel.addresses.cidr import Cidr, IPFamily
    from dsmodel.kube.versions import KubeVersion

__all__ = ["INSTALLERS", "configuration", "installer_of", "k3s_document", "kubeadm_documents", "refusals"]

INSTALLERS = ("flags", "k3s", "kubeadm")
# gates without which a cluster of two families does not start, where a version knows them
_DUAL_STACK_GATES = ("IPv6DualStack", "EndpointSlice")
_REFUSED = {"fatal", "error"}
_LISTS_ARGUMENTS = "v1beta4"


def installer_of(name: str) -> str:
    """Read the name of an installer.

    Parameters
    ----------
    name : str
        One of `INSTALLERS`; ``rke2`` is read as k3s, whose configuration it takes.

    Returns
    -------
    str
        One of `INSTALLERS`.

    Raises
    ------
    InvalidInput
        Another one.

    Examples
    --------
    >>> installer_of("rke2")
    'k3s'
    """
    known = {**{each: each for each in INSTALLERS}, "rke2": "k3s"}
    if name not in known:
        raise InvalidInput(f"installer={name!r}: expected one of {', '.join(sorted(known))}")
    return known[name]


def configuration(
    kube_version: KubeVersion,
    *,
    pods: Sequence[Cidr],
    services: Sequence[Cidr],
    masks: Mapping[IPFamily, int],
    max_pods: int,
) -> ClusterConfig:
    """Put ranges together as a configuration, with the feature gates that its families need.

    Parameters
    ----------
    kube_version : KubeVersion
        Of the cluster.
    pods, services : sequence of Cidr
        Cluster CIDRs and service ranges, in order of the families.
    masks : mapping of IPFamily to int
        Node masks.
    max_pods : int
        kubelet's ``maxPods``.

    Returns
    -------
    ClusterConfig
        Not judged.

    Raises
    ------
    InvalidConfig
        Values that mean nothing.

    Examples
    --------
    >>> from dsmodel import Cidr, IPFamily, KubeVersion
    >>> pair = [Cidr("10.0.0.0/20"), Cidr("fd00::/56")]
    >>> ranges = {"pods": pair, "services": [Cidr("10.1.0.0/24"), Cidr("fd01::/112")]}
    >>> configuration(KubeVersion("1.20"), masks={IPFamily.IPV4: 24}, max_pods=110, **ranges).feature_gates
    {'IPv6DualStack': True}
    """
    is_dual = len(pods) > 1 or len(services) > 1
    return ClusterConfig.of(
        kube_version=kube_version,
        cluster_cidrs=pods,
        service_cidrs=services,
        node_cidr_mask_sizes=masks,
        max_pods=max_pods,
        feature_gates={name: True for name in _DUAL_STACK_GATES if is_dual and not kube_version.gate(name)},
    )


def refusals(config: ClusterConfig, installer: str) -> list[str]:
    """List what the installer and the components refuse of a configuration.

    Parameters
    ----------
    config : ClusterConfig
        Any.
    installer : str
        One of `INSTALLERS`.

    Returns
    -------
    list of str
        Their words; empty where everything starts. Warnings are no refusals.

    Raises
    ------
    None
        Every configuration has an answer.

    Examples
    --------
    >>> from dsmodel import ClusterConfig
    >>> config = ClusterConfig.of(cluster_cidrs=["10.0.0.0/8"], node_cidr_mask_sizes={"IPv4": 26})
    >>> refusals(config, "flags"), refusals(config, "kubeadm")[0][-51:]
    ([], '8) and node-mask (26) difference is greater than 16')
    """
    found = check_config(config)
    words = found.loc[found["severity"].isin(_REFUSED), "message"].tolist()
    if installer == "kubeadm":
        words += [each.message for each in judge_kubeadm(_networking(config), config.kube_version) if _refuses(each)]
    elif installer == "k3s":
        pods, services = (",".join(map(str, cidrs)) for cidrs in (config.cluster_cidrs, config.service_cidrs))
        words += [each.message for each in judge_k3s(pods, services, "") if _refuses(each)]
    return words


def kubeadm_documents(config: ClusterConfig, *, name: str = "") -> list[dict[str, Any]]:
    """Write a configuration as kubeadm reads it.

    Parameters
    ----------
    config : ClusterConfig
        Names cluster CIDRs and service ranges.
    name : str, optional
        ``clusterName``.

    Returns
    -------
    list of dict
        A ``ClusterConfiguration`` in the newest form the version reads, and a ``KubeletConfiguration``.

    Raises
    ------
    None
        Every configuration can be written.

    Examples
    --------
    >>> from dsmodel import ClusterConfig
    >>> config = ClusterConfig.of(cluster_cidrs=["10.8.0.0/16"], service_cidrs=["10.9.0.0/20"])
    >>> kubeadm_documents(config)[0]["networking"]
    {'podSubnet': '10.8.0.0/16', 'serviceSubnet': '10.9.0.0/20'}
    """
    version = config.kube_version
    form = version.rule("kubeadm_api_version")
    networking = _networking(config)
    arguments: Any = dict(networking.controller_args)
    if form == _LISTS_ARGUMENTS:
        arguments = [{"name": flag, "value": value} for flag, value in arguments.items()]
    document: dict[str, Any] = {
        "apiVersion": f"kubeadm.k8s.io/{form}",
        "kind": "ClusterConfiguration",
        **({"clusterName": name} if name else {}),
        "kubernetesVersion": f"stable-{version}",
        "networking": {"podSubnet": networking.pod_subnet, "serviceSubnet": networking.service_subnet},
        "controllerManager": {"extraArgs": arguments},
    }
    if networking.feature_gates:
        document["featureGates"] = dict(networking.feature_gates)
    kubelet = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
    return [document, {**kubelet, "maxPods": config.max_pods}]


def k3s_document(config: ClusterConfig) -> dict[str, Any]:
    """Write a configuration as the ``config.yaml`` of k3s and RKE2.

    Parameters
    ----------
    config : ClusterConfig
        Names cluster CIDRs and service ranges.

    Returns
    -------
    dict
        Its keys; what a server node reads. ``node-ip`` is each node's own and left out.

    Raises
    ------
    None
        Every configuration can be written.

    Examples
    --------
    >>> from dsmodel import ClusterConfig
    >>> config = ClusterConfig.of(cluster_cidrs=["10.8.0.0/16"], service_cidrs=["10.9.0.0/20"])
    >>> k3s_document(config)["kube-controller-manager-arg"]
    ['node-cidr-mask-size-ipv4=24']
    """
    document: dict[str, Any] = {
        "cluster-cidr": ",".join(map(str, config.cluster_cidrs)),
        "service-cidr": ",".join(map(str, config.service_cidrs)),
        "kube-controller-manager-arg": [f"{flag}={value}" for flag, value in _mask_arguments(config).items()],
        "kubelet-arg": [f"max-pods={config.max_pods}"],
    }
    gates = ",".join(f"{gate}={str(on).lower()}" for gate, on in sorted(config.feature_gates.items()))
    if gates:
        for key in ("kube-apiserver-arg", "kube-controller-manager-arg", "kubelet-arg", "kube-proxy-arg"):
            document.setdefault(key, []).append(f"feature-gates={gates}")
    return document


def _networking(config: ClusterConfig) -> KubeadmNetworking:
    """Say what kubeadm would be told."""
    own = config.kube_version.rule("kubeadm_dual_stack_gate")
    is_dual = len(config.cluster_cidrs) > 1
    return KubeadmNetworking(
        service_subnet=",".join(map(str, config.service_cidrs)),
        pod_subnet=",".join(map(str, config.cluster_cidrs)),
        feature_gates={"IPv6DualStack": True} if is_dual and own is False else {},
        controller_args=_mask_arguments(config),
    )


def _mask_arguments(config: ClusterConfig) -> dict[str, str]:
    """Write the node masks with the flags that the version takes for this number of families."""
    sizes = config.node_cidr_mask_sizes
    by_family = config.kube_version.rule("node_ipam_family_mask_flags_on_single_stack")
    if len(sizes) > 1 or by_family:
        return {f"node-cidr-mask-size-{family.lower()}": str(size) for family, size in sorted(sizes.items())}
    return {"node-cidr-mask-size": str(next(iter(sizes.values())))} if sizes else {}


def _refuses(finding: Any) -> bool:
    """Tell a refusal from advice."""
    return finding.severity in _REFUSED
