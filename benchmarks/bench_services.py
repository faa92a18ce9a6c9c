"""Services through the API server's rules: one manifest at a time, and batches by shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from measure import Row, race

from dsmodel import Cluster, ClusterConfig, ControlPlane
from dsmodel.errors import Rejected
from dsmodel.kube.services.batch import decide_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

RANGES = ["10.96.0.0/12", "fd00:10:96::/108"]
TYPES = ("ClusterIP", "ClusterIP", "NodePort", "LoadBalancer")
POLICIES = ("", "SingleStack", "PreferDualStack", "RequireDualStack")


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of creation, refusal, patch and batch."""
    n = 2_000 if quick else 10_000
    for version in ("1.20", "1.26", "1.36"):
        yield _creation(version, n)
    yield _patches(n)
    yield _batch(1_000_000)
    yield _cluster("Services of a cluster by count", 1_000_000, None)
    yield _cluster("Services of a cluster by frame", 1_000_000, _frame(1_000_000))
    yield _cluster("Services of a cluster with names", 1_000_000, _frame(1_000_000, named=True))


def server(version: str = "1.36") -> ControlPlane:
    """Return an empty dual-stack server with room for all node ports."""
    gates = {"IPv6DualStack": True} if version == "1.20" else {}
    return ControlPlane(
        kube_version=version, service_cidrs=RANGES, feature_gates=gates, service_node_port_range="20000-65535"
    )


def manifests(n: int) -> list[dict[str, Any]]:
    """Return distinct manifests; one in 50 is refused."""
    rng = np.random.default_rng(1)
    types, policies = rng.integers(0, 4, n), rng.integers(0, 4, n)
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"s-{number}", "namespace": f"team-{number % 40}", "labels": {"app": f"a-{number}"}},
            "spec": {
                "type": TYPES[types[number]],
                **({"ipFamilyPolicy": POLICIES[policies[number]]} if policies[number] else {}),
                "selector": {"app": f"a-{number}", "tier": "web"},
                "ports": [
                    {"name": f"p-{number % 97}", "port": 80 + number % 1000, "targetPort": "web"},
                    {"name": "metrics", "port": 9000, "protocol": "TCP" if number % 50 else "ICMP"},
                ],
            },
        }
        for number in range(n)
    ]


def _creation(version: str, n: int) -> Row:
    documents = manifests(n)

    def create(plane: ControlPlane) -> int:
        return sum(_accepted(plane, document) for document in documents)

    result = race(create, {}, items=n, prepare=lambda: server(version), rounds=3)
    return Row(f"distinct manifests to {version}", f"{n:,}", result.own_ns, limits={"own ns": 120_000})


def _accepted(plane: ControlPlane, document: dict[str, Any]) -> bool:
    try:
        plane.create(document)
    except Rejected:
        return False
    return True


def _patches(n: int) -> Row:
    plane = server()
    names = [(d["metadata"]["name"], d["metadata"]["namespace"]) for d in manifests(n) if _accepted(plane, d)]
    patch = {"spec": {"ipFamilyPolicy": "PreferDualStack"}}

    def turn(twin: ControlPlane) -> None:
        for name, namespace in names:
            twin.patch("Service", name, patch, patch_type="strategic", namespace=namespace)

    result = race(turn, {}, items=len(names), prepare=plane.copy, rounds=3)
    return Row("patches to PreferDualStack", f"{len(names):,}", result.own_ns, limits={"own ns": 200_000})


def _batch(n: int) -> Row:
    rng = np.random.default_rng(2)
    columns = {
        "type": np.array(TYPES, object)[rng.integers(0, 4, n)],
        "ip_family_policy": np.array(POLICIES, object)[rng.integers(0, 4, n)],
        "headless": rng.random(n) < 0.1,
    }
    plane = server()
    result = race(lambda: decide_batch(columns, server=plane).needs, {}, items=n, rounds=3)
    return Row("rows decided by shape", f"{n:,}", result.own_ns, limits={"own ns": 1_000})


def _frame(n: int, *, named: bool = False) -> pd.DataFrame:
    """Return rows of many shapes, most of them with a cluster IP; one in ten has a node port or more."""
    rng = np.random.default_rng(3)
    columns: dict[str, Any] = {
        "type": np.array(("ClusterIP",) * 9 + ("LoadBalancer",), object)[rng.integers(0, 10, n)],
        "ip_family_policy": np.array(POLICIES, object)[rng.integers(0, 4, n)],
        "headless": rng.random(n) < 0.1,
        "selector": rng.random(n) < 0.9,
    }
    if named:
        columns |= {"namespace": [f"team-{row % 40}" for row in range(n)], "name": [f"svc-{row}" for row in range(n)]}
    return pd.DataFrame(columns)


def _cluster(name: str, n: int, frame: pd.DataFrame | None) -> Row:
    config = ClusterConfig.of(service_cidrs=RANGES, service_node_port_range=(1, 65535))

    def create(cluster: Cluster) -> int:
        if frame is None:
            return cluster.add_services(n, ip_family_policy="PreferDualStack").granted
        return cluster.add_services(frame).granted

    result = race(create, {}, items=n, prepare=lambda: Cluster(config), rounds=3)
    quantities = {"CPU s": result.own_ns * n / 1e9}
    return Row(name, f"{n:,}", result.own_ns, quantities=quantities, limits={"CPU s": 2.0})
