"""From two families back to the primary one, step by step.

Promises an order that never leaves kube-controller-manager with a configuration it does not start with: it refuses to
start with one cluster CIDR while a node has two podCIDRs, and with two CIDRs it gives every node that registers two. So
it gives out none while nodes are made anew, and each gets its old block back by hand.

What it does not know: a network plugin's own settings.

Sources: ``occupyCIDRs`` of ``pkg/controller/nodeipam/ipam/range_allocator.go``, ``ValidateNodeUpdate`` and
``ValidateServiceCIDRUpdate``, ``pkg/controlplane/controller/defaultservicecidr``,
``pkg/controller/servicecidrs/servicecidrs_controller.go`` and ``initIPFamilyFields`` of v1.36.2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.kube.behaviour import behaviour_of
from dsmodel.planning.migration.states import change_policies, families_of_two, recreate_nodes, recreate_services, under
from dsmodel.planning.migration.wording import Recorder, change_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from dsmodel.cluster.state import Cluster
    from dsmodel.planning.migration.dual_stack import Wanted
    from dsmodel.planning.migration.steps import Step

__all__ = ["to_single_stack"]

_ALLOCATOR = "pkg/controller/nodeipam/ipam/range_allocator.go"


def to_single_stack(cluster: Cluster, wanted: Wanted) -> Iterator[Step]:
    """List the steps from two families to the primary one.

    Parameters
    ----------
    cluster : Cluster
        Of two families.
    wanted : Wanted
        Its configuration at the end has the first of them.

    Yields
    ------
    Step
        In order.

    Raises
    ------
    InvalidConfig
        If no service range is known.
    """
    record = Recorder(cluster)
    state = yield from _services(record, cluster, wanted)
    state = yield from _nodes(record, state, wanted)
    yield from _control_plane(record, state, wanted)


def _services(record: Recorder, state: Cluster, wanted: Wanted) -> Generator[Step, None, Cluster]:
    """Take the second family from Services; return the state afterwards."""
    keep = wanted.config.service_cidrs[0].family
    rng = np.random.default_rng(len(state.services))
    again, count, refused = recreate_services(state, keep, rng=rng)
    if count:
        state = again
        yield record.step(
            state,
            title=f"Create Services anew whose first family is not {keep}",
            component="Services",
            change=f"delete each, and create it with ipFamilies [{keep}] and SingleStack",
            recreates="Services, with other cluster IPs, and other node ports unless the manifest names them",
            back="their old cluster IPs can be asked for as long as nobody else has them",
            verify="kubectl get services -A -o jsonpath={.items[*].spec.ipFamilies[0]} shows one family",
            services=count,
            refused=refused,
            point_of_no_return=True,
            why="the first of a Service's families and its clusterIP never change, so the family that goes must not be "
            "first anywhere.",
            source="pkg/apis/core/validation/validation.go, ValidateServiceUpdate",
        )
    rows = families_of_two(state)
    state, refused = change_policies(state, "SingleStack", rows, rng=rng)
    yield record.step(
        state,
        title="Set Services to SingleStack",
        component="Services",
        change='kubectl patch service NAME --type merge -p \'{"spec":{"ipFamilyPolicy":"SingleStack"}}\', and in the '
        "charts they come from",
        back="ask for PreferDualStack again; the second cluster IP will be another one",
        verify="kubectl get services -A -o wide shows one clusterIP each",
        services=len(rows),
        refused=refused,
        why="SingleStack is how an API server is told to give the second cluster IP back; without it the address stays "
        "with the Service when its range is gone, and no repair loop frees it.",
        source="pkg/registry/core/service/storage/alloc.go, initIPFamilyFields",
    )
    return state


def _nodes(record: Recorder, state: Cluster, wanted: Wanted) -> Generator[Step, None, Cluster]:
    """Stop node IPAM and make every node anew; return the state afterwards."""
    keep = wanted.config.cluster_cidrs[0].family
    yield record.step(
        state,
        title="Stop handing out podCIDRs",
        component="kube-controller-manager",
        change="--allocate-node-cidrs=false",
        restarts="kube-controller-manager",
        verify="a node that is made anew stays without podCIDR",
        why="with two CIDRs it would give every node two again, with one it does not start while any node has two: "
        "node-pod-cidr-extra.",
        source=f"{_ALLOCATOR}, occupyCIDRs",
    )
    state, peaks, refused = recreate_nodes(state, state.config, keep=keep)
    yield record.step(
        state,
        title=f"Make every node anew with its {keep} block",
        component="nodes",
        change=f"the plugin's {keep}-only configuration; then kubectl drain NODE; kubectl delete node NODE; restart "
        'its kubelet; kubectl patch node NODE -p \'{"spec":{"podCIDR":"BLOCK","podCIDRs":["BLOCK"]}}\' with the '
        f"{keep} block it had; kubectl uncordon NODE",
        restarts="kubelet and the plugin's agent on the node",
        recreates="Nodes, and every Pod on them",
        back="the way to dual-stack: each node made anew once more",
        verify="kubectl get node NODE -o jsonpath={.spec.podCIDRs} shows one; a Pod on it has one podIP",
        nodes=len(state.nodes),
        pods=len(state.pods),
        peaks=peaks,
        refused=refused,
        point_of_no_return=True,
        why="podCIDRs of a Node that has some may not change; from none to one they may, so a Node without any takes "
        "the block that is written by hand. A node that joins meanwhile needs one by hand too.",
        source="pkg/apis/core/validation/validation.go, ValidateNodeUpdate",
    )
    return state


def _control_plane(record: Recorder, state: Cluster, wanted: Wanted) -> Iterator[Step]:
    """Tell the components one range each."""
    final = wanted.config
    gone = state.config.cluster_cidrs[-1].family
    state = under(state, replace(final, service_cidrs=state.config.service_cidrs))
    yield record.step(
        state,
        title="Give node IPAM and kube-proxy one cluster CIDR",
        component="kube-controller-manager, kube-proxy",
        change=f"--allocate-node-cidrs=true; {change_of('kube-controller-manager', final, wanted.installer)}; "
        f"{change_of('kube-proxy', final, wanted.installer)}",
        restarts="kube-controller-manager; kube-proxy on every node",
        back="name both CIDRs again",
        verify="a new node gets one podCIDR, and one that no other node has",
        why="it occupies the block of every node it finds, and starts now that no node has two.",
        source=f"{_ALLOCATOR}, occupyCIDRs",
    )
    yield record.step(
        state,
        title="Name one address of each node",
        component="kubelet",
        change=f"--node-ip without the {gone} address",
        restarts="kubelet on every node; Pods keep running",
        verify="kubectl get node NODE -o jsonpath={.status.addresses} shows InternalIPs of one family",
        nodes=len(state.nodes),
        why="hostNetwork Pods and node ports would go on with both.",
        source="component-helpers/node/util/ips.go, ParseNodeIPArgument",
    )
    objects = behaviour_of(final.kube_version, state.config.feature_gates).address_objects
    state = under(state, final)
    yield record.step(
        state,
        title="Give kube-apiserver one service range",
        component="kube-apiserver",
        change=change_of("kube-apiserver", final, wanted.installer),
        restarts="kube-apiserver, one after the other",
        back="name both ranges again",
        verify="a RequireDualStack Service is refused; kubectl get events -A shows no ClusterIPNotValid",
        why="no Service has an address of the other range any more, so nothing is left outside.",
        source="cmd/kube-apiserver/app/options; pkg/registry/core/service/ipallocator/controller/repair.go",
    )
    if objects:
        kept = final.service_cidrs[0]
        yield record.step(
            state,
            title="Replace ServiceCIDR kubernetes",
            component="ServiceCIDR",
            change=f"create ServiceCIDR keep with cidrs [{kept}]; delete ServiceCIDR kubernetes, which goes after ten "
            "seconds and is created from the flags again; delete ServiceCIDR keep",
            recreates="ServiceCIDR kubernetes",
            back="none needed: it follows the flags when it grows",
            verify="kubectl get servicecidr kubernetes shows one CIDR, and no event KubernetesDefaultServiceCIDR"
            "Inconsistent comes again",
            why="an API server with fewer ranges than the object only warns; the object never shrinks, and one of two "
            "CIDRs cannot be taken out of it.",
            source="pkg/controlplane/controller/defaultservicecidr; ValidateServiceCIDRUpdate",
        )
