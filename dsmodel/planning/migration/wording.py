"""Where each installer keeps a setting, and the record of a step that changes it.

Promises the flag or field of each component in the words of kubeadm, of a hand-made control plane, or of a managed one,
as data. kubeadm writes its manifests anew from the ConfigMap ``kubeadm-config`` at every upgrade, so the ConfigMap
changes first.

Sources: kubernetes.io, "Reconfiguring a kubeadm cluster" and "IPv4/IPv6 dual-stack"; kubernetes/kubeadm#3191;
``cmd/kubeadm/app/phases/controlplane/manifests.go`` of v1.36.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsmodel.kube.config_checks import flags_from_config
from dsmodel.planning.migration.states import in_use, serious_findings
from dsmodel.planning.migration.steps import Step

if TYPE_CHECKING:
    from dsmodel.cluster.state import Cluster
    from dsmodel.kube.config import ClusterConfig

__all__ = ["COMPONENTS", "Recorder", "change_of"]

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-proxy")
"""Components of the control plane that are told ranges, in the order they are changed."""

_ADDRESS_FLAGS = ("service-cluster-ip-range", "cluster-cidr", "node-cidr-mask-size", "feature-gates")
_KUBEADM = {
    "kube-apiserver": (
        "ConfigMap kube-system/kubeadm-config: networking.serviceSubnet={services}; then on each control-plane node "
        "kubeadm init phase control-plane apiserver --config FILE, which writes {flags}"
    ),
    "kube-controller-manager": (
        "ConfigMap kube-system/kubeadm-config: networking.podSubnet={pods} and the node masks in "
        "controllerManager.extraArgs; then on each control-plane node kubeadm init phase control-plane "
        "controller-manager --config FILE, which writes {flags}"
    ),
    "kube-proxy": "ConfigMap kube-system/kube-proxy: clusterCIDR={pods}; restart its DaemonSet",
}


def change_of(component: str, config: ClusterConfig, installer: str) -> str:
    """Say which setting of a component changes, and to what.

    Parameters
    ----------
    component : str
        One of `COMPONENTS`.
    config : ClusterConfig
        What it is to be told.
    installer : str
        ``kubeadm``, or another for bare flags.

    Returns
    -------
    str
        Flags, fields or commands.

    Raises
    ------
    None
        Every component has some.

    Examples
    --------
    >>> from dsmodel import ClusterConfig
    >>> config = ClusterConfig.of(cluster_cidrs=["10.0.0.0/16", "fd00::/56"], service_cidrs=["10.1.0.0/16"])
    >>> change_of("kube-proxy", config, "flags")
    '--cluster-cidr=10.0.0.0/16,fd00::/56'
    """
    listed = flags_from_config(config).get(component, [])
    flags = " ".join(flag for flag in listed if flag.removeprefix("--").startswith(_ADDRESS_FLAGS))
    if installer != "kubeadm":
        return flags
    pods, services = (",".join(map(str, cidrs)) for cidrs in (config.cluster_cidrs, config.service_cidrs))
    return _KUBEADM[component].format(pods=pods, services=services, flags=flags)


class Recorder:
    """Makes records of steps, with what `check` newly finds after each.

    Parameters
    ----------
    before : Cluster
        Where the migration begins: what is wrong already is not blamed on a step.

    Raises
    ------
    None
        Every cluster can be the beginning.
    """

    def __init__(self, before: Cluster) -> None:
        self.known = serious_findings(before)
        self._latest = (before, self.known)

    def step(self, state: Cluster, **words: Any) -> Step:
        """Record one step.

        Parameters
        ----------
        state : Cluster
            Afterwards.
        **words : object
            Fields of `Step`; those left out are empty, and the peaks those of the state.

        Returns
        -------
        Step
            With its new findings counted.

        Raises
        ------
        None
            Every state can be recorded.
        """
        plain = {"restarts": "", "recreates": "", "back": "set it back", "peaks": in_use(state)}
        if self._latest[0] is not state:
            self._latest = (state, serious_findings(state))
        return Step(**{**plain, **words}, state=state, findings=len(self._latest[1] - self.known))
