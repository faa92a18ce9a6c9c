"""Five small clusters with a name each, and one generator for any size.

The named ones are the same every time; each shows one situation that a report should tell from the others:

- `kubeadm_dual_stack`: what kubeadm makes by default with both families, half a day old.
- `single_stack_ipv4`: v1.20 without dual-stack, before a migration.
- `ipv6_first`: both families, IPv6 the primary one.
- `nearly_full`: IPv6 node blocks run out before anything else, and drain the IPv4 ones.
- `ula_pods`: nodes with addresses of both families, global ones in IPv6, and pods with ULAs behind them.

`synthetic` makes a cluster of any size from a generator of random numbers.

What it does not know: real workloads. Sizes are round and placement is uniform.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import from_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cluster.state import Cluster
from dsmodel.errors import InvalidInput
from dsmodel.kube.config import ClusterConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["SEED", "ipv6_first", "kubeadm_dual_stack", "nearly_full", "single_stack_ipv4", "synthetic", "ula_pods"]

SEED = 20260101  # of the named examples, and of `synthetic` without a generator
_ZONES = ("zone-a", "zone-b", "zone-c")
_POOLS = ("general", "general", "highmem")


def kubeadm_dual_stack() -> Cluster:
    """Return six nodes with kubeadm's usual ranges in both families, IPv4 first.

    Returns
    -------
    Cluster
        Kubernetes 1.36, 6 nodes, 120 pods, 25 Services of every policy.

    Raises
    ------
    None
        It is the same every time.

    Examples
    --------
    >>> kubeadm_dual_stack()
    Cluster(Kubernetes 1.36, IPv4+IPv6: 6 nodes, 120 pods, 25 services; cluster CIDRs 10.244.0.0/16, ...
    """
    config = ClusterConfig.of(
        kube_version="1.36",
        cluster_cidrs=["10.244.0.0/16", "fd00:10:244::/56"],
        service_cidrs=["10.96.0.0/16", "fd00:10:96::/112"],
    )
    return synthetic(nodes=6, pods=120, services=24, config=config, rng=np.random.default_rng(SEED))


def single_stack_ipv4() -> Cluster:
    """Return a cluster before its migration to dual-stack: v1.20, one IPv4 family.

    Returns
    -------
    Cluster
        12 nodes of at most 16, 300 pods, 31 Services.

    Raises
    ------
    None
        It is the same every time.

    Examples
    --------
    >>> single_stack_ipv4().config.is_dual_stack
    False
    """
    config = ClusterConfig.of(
        kube_version="1.20", cluster_cidrs=["10.244.0.0/20"], service_cidrs=["10.96.0.0/20"], max_pods=110
    )
    return synthetic(nodes=12, pods=300, services=30, config=config, rng=np.random.default_rng(SEED))


def ipv6_first() -> Cluster:
    """Return a dual-stack cluster whose primary family is IPv6.

    Returns
    -------
    Cluster
        Kubernetes 1.36, 8 nodes, 200 pods, 41 Services; the IPv4 service range is a /24.

    Raises
    ------
    None
        It is the same every time.

    Examples
    --------
    >>> [str(family) for family in ipv6_first().config.ip_families]
    ['IPv6', 'IPv4']
    """
    config = ClusterConfig.of(
        kube_version="1.36",
        cluster_cidrs=["fd00:10:244::/56", "10.244.0.0/18"],
        service_cidrs=["fd00:10:96::/112", "10.96.0.0/24"],
    )
    return synthetic(nodes=8, pods=200, services=40, config=config, rng=np.random.default_rng(SEED))


def nearly_full() -> Cluster:
    """Return a cluster where IPv6 node blocks bind: 8 of them against 32 IPv4 ones, and nodes keep coming.

    Returns
    -------
    Cluster
        10 nodes of which two got no podCIDR, each attempt having lost an IPv4 block; a /26 service range almost used.

    Raises
    ------
    None
        It is the same every time.

    Examples
    --------
    >>> cluster = nearly_full()
    >>> {str(family): lost for family, lost in cluster.leaked.items()}
    {'IPv4': 2, 'IPv6': 0}
    """
    config = ClusterConfig.of(
        kube_version="1.36",
        cluster_cidrs=["10.244.0.0/20", "fd00:10:244::/61"],
        node_cidr_mask_sizes={"IPv4": 25, "IPv6": 64},
        service_cidrs=["10.96.0.0/26", "fd00:10:96::/112"],
    )
    return synthetic(nodes=10, pods=700, services=54, config=config, rng=np.random.default_rng(SEED))


def ula_pods() -> Cluster:
    """Return four workers and two gateways in two zones, whose pods have private addresses in both families.

    Returns
    -------
    Cluster
        Kubernetes 1.36; nodes have 10.0.0.0/24 and 2600:1f00::/64 addresses, gateways are labelled ``egress: "yes"``
        and as assignable for OVN-Kubernetes; 36 pods of ``shop`` and ``data``, no network plugin and no policy.

    Raises
    ------
    None
        It is the same every time.

    Examples
    --------
    >>> cluster = ula_pods()
    >>> cluster.nodes["name"].tolist()[-2:], len(cluster.pods)
    (['gateway-1', 'gateway-2'], 36)
    """
    config = ClusterConfig.of(
        kube_version="1.36",
        cluster_cidrs=["10.244.0.0/16", "fd00:10:244::/56"],
        service_cidrs=["10.96.0.0/16", "fd00:10:96::/112"],
    )
    cluster = Cluster(config)
    names = [*(f"worker-{number}" for number in range(1, 5)), "gateway-1", "gateway-2"]
    gateway = {"egress": "yes", "k8s.ovn.org/egress-assignable": ""}
    labels = [{"kubernetes.io/hostname": name} | (gateway if "gateway" in name else {}) for name in names]
    zones = np.array(["zone-a", "zone-b"] * 3, dtype=np.dtypes.StringDType())
    cluster.add_nodes(names, zone=zones, labels=labels)
    hosts = np.arange(len(names)) + 11
    addresses: dict[str, NDArray[np.generic]] = {}
    for family, network in ((IPFamily.IPV4, "10.0.0.0/24"), (IPFamily.IPV6, "2600:1f00::/64")):
        end, first = str(family).lower(), Cidr(network).first
        addresses[f"internal_{end}"] = from_integers([first + host for host in hosts.tolist()], family=family)
        addresses[f"has_internal_{end}"] = np.ones(len(names), np.bool_)
    cluster.nodes = cluster.nodes.replace(addresses)
    apps = [("shop", "cart"), ("shop", "web"), ("data", "db")]
    pods = [(*apps[row % 3], row // 3) for row in range(36)]
    cluster.add_pods(
        np.arange(36, dtype=np.int32) // 3 % 4,
        names=[f"{app}-{number}" for _, app, number in pods],
        namespace=[namespace for namespace, *_ in pods],
        labels=[{"app": app} for _, app, _ in pods],
    )
    return cluster


def synthetic(
    *, nodes: int, pods: int, services: int, config: ClusterConfig | None = None, rng: np.random.Generator | None = None
) -> Cluster:
    """Return a cluster of any size with uniform placement.

    Parameters
    ----------
    nodes, pods, services : int
        How many are asked for; what does not fit is left out, as the verbs of `Cluster` say. Nodes without podCIDR get
        no pods. ``default/kubernetes`` comes on top.
    config : ClusterConfig, optional
        Without one, dual-stack ranges wide enough for up to 65,536 nodes and a million Services.
    rng : numpy.random.Generator, optional
        Placement, types and addresses; without one, a generator seeded with `SEED`.

    Returns
    -------
    Cluster
        Of three zones and two node pools; up to 100,000 pods have names.

    Raises
    ------
    InvalidInput
        If a count is negative.

    Examples
    --------
    >>> cluster = synthetic(nodes=20, pods=300, services=10)
    >>> len(cluster.nodes), len(cluster.pods), len(cluster.services)
    (20, 300, 11)
    """
    counts: Mapping[str, int] = {"nodes": nodes, "pods": pods, "services": services}
    for name, count in counts.items():
        if count < 0:
            raise InvalidInput(f"{name}={count}: a count is 0 or more")
    generator = rng if rng is not None else np.random.default_rng(SEED)
    cluster = Cluster(config if config is not None else _wide_config())
    _join(cluster, nodes)
    ready = np.flatnonzero(cluster.nodes["ready"]).astype(np.int32)
    if len(ready) and pods:
        _start(cluster, ready[generator.integers(len(ready), size=pods)])
    _serve(cluster, services, generator)
    return cluster


def _wide_config() -> ClusterConfig:
    return ClusterConfig.of(
        cluster_cidrs=["10.0.0.0/8", "fd00:10::/48"], service_cidrs=["172.16.0.0/12", "fd00:172:16::/108"]
    )


def _join(cluster: Cluster, n: int) -> None:
    """Add nodes spread over zones and node pools."""
    rows = np.arange(n)
    text = np.dtypes.StringDType()
    width = len(str(max(n - 1, 0)))
    names = [f"node-{row:0{width}d}" for row in rows.tolist()]
    zone, pool = np.array(_ZONES, dtype=text)[rows % 3], np.array(_POOLS, dtype=text)[rows // 3 % 3]
    cluster.add_nodes(names, zone=zone, node_pool=pool)


def _start(cluster: Cluster, nodes: NDArray[np.int32]) -> None:
    """Start pods; up to a hundred thousand have names."""
    if len(nodes) > 100_000:
        cluster.add_pods(nodes)
        return
    namespace = [("default", "shop", "data", "edge")[row % 4] for row in range(len(nodes))]
    names = [f"app{row // 12:02d}-{row:05d}" for row in range(len(nodes))]
    cluster.add_pods(nodes, names=names, namespace=namespace)


def _serve(cluster: Cluster, n: int, rng: np.random.Generator) -> None:
    """Create Services: most of them ClusterIP, of each family policy that the cluster has."""
    both = len(cluster.service_ranges.families) > 1 and cluster.config.gate("IPv6DualStack")
    policies = ["SingleStack", "PreferDualStack", "RequireDualStack"] if both else ["SingleStack"]
    frame = pd.DataFrame(
        {
            "namespace": [("default", "shop", "data", "edge")[row % 4] for row in range(n)],
            "name": [f"svc-{row:05d}" for row in range(n)],
            "type": rng.choice(["ClusterIP", "NodePort", "LoadBalancer"], size=n, p=[0.8, 0.1, 0.1]),
            "ip_family_policy": rng.choice(policies, size=n),
        }
    )
    if cluster.service_ranges.families:
        cluster.add_services(frame, rng=rng)
