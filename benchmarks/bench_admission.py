"""Manifests through the reader and through admission: 10,000 different Services, and a policy for a million.

No tool answers for a whole set of manifests as an API server, so admission runs against the obvious way: a deep copy of
each manifest, `ControlPlane.create`, one dict a row. The reader runs against PyYAML's fastest loader.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml
from measure import Row, race

import dsmodel as ds
from dsmodel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

N = 10_000
RANGES = ("10.96.0.0/16", "fd00:10:96::/108")
POLICIES = ("SingleStack", "PreferDualStack", "RequireDualStack")
TYPES = ("ClusterIP", "NodePort", "LoadBalancer")


def manifests(n: int) -> list[dict[str, Any]]:
    """Return different Services, one in ten with node ports, one in a hundred refused."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"web-{i}", "namespace": f"team-{i % 50}", "labels": {"app": f"web-{i}"}},
            "spec": {
                "type": TYPES[i // 10 % 3] if i % 10 == 0 else "ClusterIP",
                "ipFamilyPolicy": POLICIES[i % 3],
                "selector": {"app": f"web-{i}"},
                "ports": [{"name": "http", "port": 80 if i % 100 else 0, "targetPort": 8080}],
            },
        }
        for i in range(n)
    ]


def one_by_one(config: ds.ClusterConfig, given: list[dict[str, Any]]) -> pd.DataFrame:
    """Ask a server the obvious way."""
    server = ds.ControlPlane(kube_version=config.kube_version, service_cidrs=RANGES)
    rows = []
    for manifest in given:
        try:
            stored = server.create(copy.deepcopy(manifest))
            rows.append({"message": "", "cluster_ips": ",".join(stored["spec"]["clusterIPs"])})
        except Rejected as refusal:
            rows.append({"message": refusal.message, "cluster_ips": ""})
    return pd.DataFrame(rows)


def same_answers(ours: pd.DataFrame, theirs: pd.DataFrame) -> bool:
    """Compare words and addresses."""
    return all(ours[name].tolist() == theirs[name].tolist() for name in ("message", "cluster_ips"))


def rows(*, quick: bool = False) -> Iterator[Row]:
    n, rounds = (1000, 2) if quick else (N, 5)
    given = manifests(n)
    config = ds.ClusterConfig.of(service_cidrs=list(RANGES))
    result = race(
        lambda: ds.reports.admission(config, given),
        {"deep copies, create": lambda: one_by_one(config, given)},
        items=n,
        rounds=rounds,
        equal=same_answers,
    )
    limits = {} if quick else {"own ns": 150_000}
    yield Row("reports.admission", f"{n:,} manifests", result.own_ns, result.peers, limits=limits)
    text = ds.write_manifests(given)
    result = race(
        lambda: [entry.object for entry in ds.read_manifests(text)],
        {"yaml.CSafeLoader": lambda: list(yaml.load_all(text, Loader=yaml.CSafeLoader))},
        items=n,
        rounds=rounds,
    )
    yield Row("read_manifests", f"{n:,} manifests", result.own_ns, result.peers, {"yaml.CSafeLoader": 1.0})
    many = n * 100
    cluster = ds.Cluster(ds.ClusterConfig.of(service_cidrs=["10.0.0.0/8", "fd00:10:96::/108"]))
    cluster.add_services(many - 1)
    result = race(
        lambda what_if: what_if.set_family_policy("PreferDualStack", rng=np.random.default_rng(1)).granted,
        {},
        items=many,
        rounds=rounds,
        prepare=cluster.copy,
    )
    yield Row("set_family_policy", f"{many:,} Services", result.own_ns, limits={"own ns": 2000})
