"""Where flags are not one's own or may not change: k3s and RKE2, and managed control planes.

Promises, for k3s and RKE2, a second cluster beside the first, since theirs cannot change families; for managed ones,
the steps that remain one's own: node pools and Services. Whether a provider offers the change at all is not known here.

Sources: k3s documentation, "Basic Network Options"; k3s-io/k3s#5514 (it panics at start), k3s-io/k3s#6394;
rancher/rke2-docs#415; Gardener, "Dual-Stack Network Migration"; "Use dual-stack kubenet networking in AKS".
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.cluster.state import Cluster
from dsmodel.planning.layout.installing import k3s_document
from dsmodel.planning.migration.states import (
    change_policies,
    dual_candidates,
    families_of_two,
    in_use,
    recreate_nodes,
    recreate_services,
    under,
    without_blocks,
)
from dsmodel.planning.migration.steps import Peaks
from dsmodel.planning.migration.wording import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dsmodel.planning.migration.dual_stack import Wanted
    from dsmodel.planning.migration.steps import Step

__all__ = ["on_managed", "on_new_cluster"]

_K3S = "docs.k3s.io, Basic Network Options; k3s-io/k3s#5514, #6394; rancher/rke2-docs#415"


def on_new_cluster(cluster: Cluster, wanted: Wanted) -> Iterator[Step]:
    """List the steps to a second cluster, for installers that cannot change the families of one.

    Parameters
    ----------
    cluster : Cluster
        The one that is to be replaced.
    wanted : Wanted
        Its configuration is that of the second one.

    Yields
    ------
    Step
        In order; the states are those of the second cluster.

    Raises
    ------
    CIDRNotAvailable
        The second cluster's ranges are too small for the nodes.
    """
    record = Recorder(cluster)
    old = in_use(cluster)
    state = Cluster(wanted.config)
    keys = "; ".join(
        f"{key}: {value if isinstance(value, str) else ', '.join(value)}"
        for key, value in k3s_document(wanted.config).items()
    )
    yield record.step(
        state,
        title="Start a second cluster",
        component="k3s",
        change=f"config.yaml with {keys}; node-ip with an address of each of its families",
        back="delete it",
        verify="kubectl get nodes -o jsonpath={.items[*].spec.podCIDRs} of the second cluster",
        peaks=_both(old, in_use(state)),
        why="families must be named when a k3s or RKE2 cluster is first created: one that is restarted with others "
        "does not come up. The first one's ranges may be used again only if the two never route to each other.",
        source=_K3S,
    )
    asked, denied = _services(cluster, wanted)
    moved, peaks, refused = recreate_nodes(without_blocks(asked, wanted.config), wanted.config)
    single = len(wanted.config.cluster_cidrs) == 1
    yield record.step(
        moved,
        title="Move nodes and workloads, node by node",
        component="nodes, Services",
        change="drain and uninstall a node of the first cluster, install it in the second; apply the manifests there"
        + ("" if single else ", with ipFamilyPolicy PreferDualStack"),
        restarts="everything on the node",
        recreates="Nodes, Pods, Services, volumes' claims: whatever the manifests do not carry is left behind",
        back="move back; the first cluster still answers",
        verify="each workload answers in the second cluster before clients are sent there",
        nodes=len(cluster.nodes),
        pods=len(moved.pods),
        services=len(cluster.services),
        peaks=_both(old, peaks),
        refused=refused + denied,
        why="node IPAM, Services and Pods get families when they are made, so all of them are made anew.",
        source=_K3S,
    )
    yield record.step(
        moved,
        title="Retire the first cluster",
        component="k3s",
        change="k3s-killall.sh and k3s-uninstall.sh on what is left of it",
        back="none: its state is gone",
        verify="nothing answers at its API server, and no client asks there",
        point_of_no_return=True,
        why="until then its ranges and addresses are in use.",
        source="docs.k3s.io, Uninstalling K3s",
    )


def _services(cluster: Cluster, wanted: Wanted) -> tuple[Cluster, int]:
    """Write the Services for the second cluster, and count those it would refuse."""
    rng = np.random.default_rng(len(cluster.services))
    if len(wanted.config.service_cidrs) == 1:
        again, _, refused = recreate_services(cluster, wanted.config.service_cidrs[0].family, rng=rng)
        again, denied = change_policies(again, "SingleStack", families_of_two(again), rng=rng)
        return again, refused + denied
    state = under(cluster, wanted.config)
    return change_policies(state, "PreferDualStack", dual_candidates(state), rng=rng)


def _both(one: Peaks, other: Peaks) -> Peaks:
    """Add what two clusters have in use."""
    counts = asdict(other)
    return Peaks(**{name: count + counts[name] for name, count in asdict(one).items()})


def on_managed(cluster: Cluster, wanted: Wanted) -> Iterator[Step]:
    """List the steps where a provider runs the control plane.

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
    state = under(cluster, wanted.config)
    yield record.step(
        state,
        title=f"Have the provider add {second}",
        component="provider",
        change=f"the cluster's families to {' and '.join(cidr.family for cidr in wanted.config.cluster_cidrs)}, and "
        f"its nodes' subnets too; it sets {wanted.config.cluster_cidrs[-1]} and {wanted.config.service_cidrs[-1]}, or "
        "ranges of its own",
        restarts="the control plane, as the provider does it",
        back="as the provider offers; most take no family away",
        verify="a PreferDualStack Service gets two clusterIPs; delete it again",
        why="flags are the provider's. Where it offers no such change, a new cluster is the only way; the primary "
        "family stays in any case.",
        source="Gardener, Dual-Stack Network Migration; documentation of the provider",
    )
    count = max(wanted.surge_nodes, 1)
    state, peaks, refused = recreate_nodes(state, wanted.config, surge_nodes=wanted.surge_nodes)
    yield record.step(
        state,
        title="Replace every node pool",
        component="node pools",
        change=f"a new pool of each kind, or an upgrade of the pool with a surge of {count}; drain and delete the old",
        recreates="Nodes, and every Pod on them",
        back="the provider's way to one family, if it has one",
        verify="kubectl get nodes -o jsonpath={.items[*].spec.podCIDRs} shows two each",
        nodes=len(state.nodes),
        pods=len(state.pods),
        peaks=peaks,
        refused=refused,
        point_of_no_return=True,
        why="podCIDRs of a Node never change. Mind limits that are no addresses: a dual-stack node takes two routes, "
        "so a route table of 400 ends at 200 nodes.",
        source="pkg/apis/core/validation/validation.go, ValidateNodeUpdate; Use dual-stack kubenet networking in AKS",
    )
    rows = dual_candidates(state)
    state, refused = change_policies(state, "PreferDualStack", rows, rng=np.random.default_rng(len(rows)))
    yield record.step(
        state,
        title="Ask for both families in Services",
        component="Services",
        change="ipFamilyPolicy: PreferDualStack in their manifests",
        back="set SingleStack again: the second cluster IP is given back, the first stays",
        verify="kubectl get services -A -o wide shows two clusterIPs",
        services=len(rows),
        refused=refused,
        why="no Service changes by itself; a load balancer gets a second address only where the provider's controller "
        "supports it.",
        source="pkg/registry/core/service/storage/alloc.go, initIPFamilyFields",
    )
