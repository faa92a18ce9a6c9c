"""From one family to two on a control plane whose flags one holds, step by step.

Promises the order in which nothing is refused on the way: the feature gate where the version has it off, then the
Services' range, then the nodes' blocks, then what reads them, and objects last. Each step is only taken if its state
is sound.

What it does not know: a network plugin's own settings beyond that it needs both families.

Sources: prerequisites of "IPv4/IPv6 dual-stack" on kubernetes.io; ``ValidateNodeUpdate`` of
``pkg/apis/core/validation/validation.go``, ``occupyCIDRs`` of ``pkg/controller/nodeipam/ipam/range_allocator.go``,
``pkg/controlplane/controller/defaultservicecidr`` and ``pkg/registry/core/service/storage`` of v1.36.2;
kubernetes/kubernetes#87150, kubernetes/kubernetes#101681.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.kube.behaviour import behaviour_of
from dsmodel.planning.migration.states import (
    add_second_addresses,
    change_policies,
    dual_candidates,
    recreate_nodes,
    show_families,
    under,
)
from dsmodel.planning.migration.wording import Recorder, change_of
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from dsmodel.cluster.state import Cluster
    from dsmodel.kube.config import ClusterConfig
    from dsmodel.planning.migration.steps import Step

__all__ = ["Wanted", "to_dual_stack"]

_DOCS = "prerequisites of IPv4/IPv6 dual-stack, kubernetes.io"
_ALLOCATOR = "pkg/controller/nodeipam/ipam/range_allocator.go"
_GATED = ("kube-apiserver", "kube-controller-manager", "kubelet", "kube-proxy")


@dataclass(frozen=True)
class Wanted:
    """What a migration is to end at, and how.

    Parameters
    ----------
    config : ClusterConfig
        At the end.
    installer : str
        ``kubeadm``, ``flags``, ``managed`` or ``k3s``.
    nodes : Cidr or None
        Range of the nodes' second addresses, where it is known.
    surge_nodes : int, default 0
        Nodes that join before others leave.

    Raises
    ------
    None
        A record.
    """

    config: ClusterConfig
    installer: str
    nodes: Cidr | None = None
    surge_nodes: int = 0


def to_dual_stack(cluster: Cluster, wanted: Wanted) -> Iterator[Step]:
    """List the steps from one family to two.

    Parameters
    ----------
    cluster : Cluster
        Of one family.
    wanted : Wanted
        Its configuration at the end has two.

    Yields
    ------
    Step
        In order.

    Raises
    ------
    CIDRNotAvailable
        Node IPAM runs out of blocks on the way.
    """
    record = Recorder(cluster)
    second = wanted.config.cluster_cidrs[-1].family
    state = add_second_addresses(cluster, wanted.nodes)
    yield record.step(
        state,
        title=f"Give the nodes {second} addresses",
        component="hosts",
        change=_host_change(second),
        back="remove the addresses",
        verify=f"every node reaches every other over {second}: ping {'-6 ' if second is IPFamily.IPV6 else ''}NODE",
        why=f"{counted(len(cluster.nodes), 'node')}; the kubelet only reports addresses that its host has, and routes "
        "between nodes are the network's business.",
        source=_DOCS,
    )
    state = yield from _gate(record, state, wanted)
    state = yield from _control_plane(record, state, wanted)
    state = yield from _kubelets(record, state, wanted)
    yield record.step(
        state,
        title="Give the network plugin both families",
        component="network plugin",
        change=f"add {wanted.config.cluster_cidrs[-1]} to its configuration; updateStrategy OnDelete, so that an agent "
        "restarts when its node is made anew",
        back="take the range out of its configuration",
        verify="its agents on nodes that are made anew start, and show a route in each family",
        why=f"an agent that reads the node's podCIDRs may not start on a node without an {second} one, so it must not "
        "restart before its node has both.",
        source="containernetworking/plugins, host-local takes one range set a family; flannel-io/flannel#1688",
    )
    state = yield from _nodes(record, state, wanted)
    yield from _services(record, state, wanted)


def _host_change(second: IPFamily) -> str:
    """Say what hosts need for a family."""
    forwarding = "net.ipv6.conf.all.forwarding" if second is IPFamily.IPV6 else "net.ipv4.ip_forward"
    return f"an address of {second} on each host's interface, and sysctl {forwarding}=1"


def _gate(record: Recorder, state: Cluster, wanted: Wanted) -> Generator[Step, None, Cluster]:
    """Switch the feature on where the version has it off; return the state afterwards."""
    version, config = state.config.kube_version, state.config
    if version.gate("IPv6DualStack", config.feature_gates):
        return state
    gates = {**config.feature_gates, "IPv6DualStack": True}
    state = show_families(state, replace(config, feature_gates=gates))
    own = ", and in kubeadm's own featureGates" if wanted.installer == "kubeadm" else ""
    yield record.step(
        state,
        title="Switch IPv6DualStack on",
        component=", ".join(_GATED),
        change=f"--feature-gates=IPv6DualStack=true on {', '.join(_GATED)}{own}",
        restarts=", ".join(_GATED),
        back="switch it off again on all four",
        verify="kubectl get service kubernetes -o jsonpath={.spec.ipFamilies} shows a family",
        why=f"Kubernetes {version} has the feature off by default, and a second range is refused without it; Services "
        "that say nothing about families are read as SingleStack from here on.",
        source="KEP-563; pkg/features/kube_features.go",
    )
    return state


def _control_plane(record: Recorder, state: Cluster, wanted: Wanted) -> Generator[Step, None, Cluster]:
    """Tell the components of the control plane the second ranges; return the state afterwards."""
    final = wanted.config
    gates = state.config.feature_gates
    objects = behaviour_of(final.kube_version, gates).address_objects
    with_services = replace(state.config, service_cidrs=final.service_cidrs)
    services = final.service_cidrs[-1]
    if state.config.service_cidrs != final.service_cidrs:
        state = under(state, with_services)
        grows = (
            " ServiceCIDR kubernetes grows to both ranges, and no API server ever shrinks it."
            if objects
            else " Until every API server has it, one that has not refuses Services of two families."
        )
        yield record.step(
            state,
            title=f"Give kube-apiserver the {services.family} service range",
            component="kube-apiserver",
            change=change_of("kube-apiserver", final, wanted.installer),
            restarts="kube-apiserver, one after the other",
            back="drop the second range again"
            + (", and replace ServiceCIDR kubernetes as the way back to single-stack does" if objects else "")
            + ", while no Service has two families",
            verify="a PreferDualStack Service gets two clusterIPs; delete it again",
            why=f"{services.family} comes second, so default families and existing cluster IPs stay; no Service "
            f"changes by itself.{grows}",
            source="pkg/controlplane/controller/defaultservicecidr; cmd/kube-apiserver/app/options",
        )
    if state.config.cluster_cidrs != final.cluster_cidrs:
        state = under(state, final)
        yield record.step(
            state,
            title=f"Give kube-controller-manager the {final.cluster_cidrs[-1].family} cluster CIDR",
            component="kube-controller-manager",
            change=change_of("kube-controller-manager", final, wanted.installer),
            restarts="kube-controller-manager",
            back="drop the second CIDR again, while no node has two podCIDRs",
            verify="kubectl -n kube-system get lease kube-controller-manager is renewed; a new node gets two podCIDRs",
            why="the first CIDR stays first, or the controller does not start with the nodes there are; nodes that "
            "have a podCIDR keep the one they have. Two families refuse --node-cidr-mask-size, so each has its flag.",
            source=f"{_ALLOCATOR}, occupyCIDRs; cmd/kube-controller-manager/app/core.go",
        )
        yield record.step(
            state,
            title="Give kube-proxy both cluster CIDRs",
            component="kube-proxy",
            change=change_of("kube-proxy", final, wanted.installer),
            restarts="kube-proxy on every node",
            back="drop the second CIDR again",
            verify="kubectl -n kube-system logs -l k8s-app=kube-proxy names both families and no bad config",
            why=_proxy_reason(final),
            source="cmd/kube-proxy/app/server.go, getLocalDetectors; KEP-563",
        )
    return state


def _proxy_reason(config: ClusterConfig) -> str:
    """Say what kube-proxy makes of the second family before it is told."""
    if config.kube_version.rule("kube_proxy_dual_stack_by_host"):
        return (
            "it serves both families already where the host can, but takes Pods of a family without a CIDR for outside "
            "traffic, and would masquerade them."
        )
    return "with the gate on it serves both families, and needs a CIDR of each to tell Pods from outside traffic."


def _kubelets(record: Recorder, state: Cluster, wanted: Wanted) -> Generator[Step, None, Cluster]:
    """Tell the kubelets both addresses of their node; return the state afterwards."""
    version = state.config.kube_version
    where = {
        "kubeadm": "KUBELET_KUBEADM_ARGS in /var/lib/kubelet/kubeadm-flags.env, and "
        "nodeRegistration.kubeletExtraArgs for nodes that join",
    }.get(wanted.installer, "the kubelet's flags")
    families = "<" + ">,<".join(f"{cidr.family} address" for cidr in wanted.config.cluster_cidrs) + ">"
    cloud = (
        ""
        if version.gate("CloudDualStackNodeIPs", None)
        else " With an external cloud provider the kubelet refuses two addresses on this version: leave the flag to it."
    )
    yield record.step(
        state,
        title="Name both addresses of each node",
        component="kubelet",
        change=f"--node-ip={families} in {where}",
        restarts="kubelet on every node; Pods keep running",
        back="name one address again",
        verify="kubectl get node NODE -o jsonpath={.status.addresses} shows an InternalIP of each family",
        nodes=len(state.nodes),
        why="hostNetwork Pods and node ports have the node's addresses, and the kubelet reports one unless it is told "
        f"two; the first decides podIP.{cloud}",
        source="cmd/kubelet/app/server.go; component-helpers/node/util/ips.go, ParseNodeIPArgument",
    )
    return state


def _nodes(record: Recorder, state: Cluster, wanted: Wanted) -> Generator[Step, None, Cluster]:
    """Make every node anew; return the state afterwards."""
    state, peaks, refused = recreate_nodes(state, wanted.config, surge_nodes=wanted.surge_nodes)
    surge = f" {wanted.surge_nodes} join first and leave at the end." if wanted.surge_nodes else ""
    yield record.step(
        state,
        title="Make every node anew, one after the other",
        component="nodes",
        change="kubectl drain NODE; kubectl delete node NODE; restart its kubelet, which registers it again; "
        "kubectl uncordon NODE",
        restarts="kubelet and the plugin's agent on the node",
        recreates="Nodes, and every Pod on them",
        back="the way to single-stack: kube-controller-manager with one CIDR no longer starts while a node has two "
        "podCIDRs",
        verify="kubectl get node NODE -o jsonpath={.spec.podCIDRs} shows two; a Pod on it has two podIPs",
        nodes=len(state.nodes),
        pods=len(state.pods),
        peaks=peaks,
        point_of_no_return=True,
        refused=refused,
        why=f"podCIDRs of a Node that has some may not change, and Pods keep the addresses they started with.{surge} A "
        "drained node's Pods and their replacements hold addresses at the same time.",
        source="pkg/apis/core/validation/validation.go, ValidateNodeUpdate; kubernetes/kubernetes#87150",
    )
    return state


def _services(record: Recorder, state: Cluster, wanted: Wanted) -> Iterator[Step]:
    """Ask for the second family of every Service that can have it."""
    rows = dual_candidates(state)
    state, refused = change_policies(state, "PreferDualStack", rows, rng=np.random.default_rng(len(rows)))
    left = (
        "Those that ask for PreferDualStack already are left alone until their policy really changes: set them to "
        "SingleStack first."
        if wanted.config.kube_version.rule("service_prefer_left_alone")
        else "Those that ask for PreferDualStack already get it at any edit on this version, wanted or not."
    )
    yield record.step(
        state,
        title="Ask for both families in Services",
        component="Services",
        change='kubectl patch service NAME --type merge -p \'{"spec":{"ipFamilyPolicy":"PreferDualStack"}}\', and in '
        "the charts they come from",
        back="set SingleStack again: the second cluster IP is given back, the first stays",
        verify="kubectl get services -A -o wide shows two clusterIPs; two EndpointSlices a Service, one a family; "
        "clients resolve A and AAAA",
        services=len(rows),
        refused=refused,
        why=f"no Service changes by itself. {left} Allow-lists, NetworkPolicies and load balancer pools of one family "
        "do not cover the second address.",
        source="pkg/registry/core/service/storage/alloc.go, initIPFamilyFields; kubernetes/kubernetes#101681",
    )
