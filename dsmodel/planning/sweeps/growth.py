"""The plan that most sweeps run: change a cluster, let it grow, tell when each pool is full.

Promises that every parameter is a word of `Scenario.of`, of `ClusterConfig`, or one of the few named here; a misspelt
one is refused before anything is computed on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cluster.state import Cluster
from dsmodel.errors import InvalidInput
from dsmodel.planning.forecasting import forecast
from dsmodel.planning.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from dsmodel.kube.config import ClusterConfig

__all__ = ["GrowthPlan"]

_OWN = ("mask_ipv4", "mask_ipv6", "cluster_cidr_ipv4", "cluster_cidr_ipv6", "max_pods", "ip_family_policy")


@dataclass(frozen=True)
class GrowthPlan:
    """Change a cluster as a scenario says, let it grow, and tell when each pool is full.

    Parameters
    ----------
    cluster : Cluster
        Where every scenario starts; not changed.
    start : str
        The day it is as it is.
    horizon : str or int, default "3y"
        How far to look.
    trajectories : int, default 1000
        Futures of each scenario.
    law : str, default "gaussian"
        As of `Scenario`.

    Examples
    --------
    >>> import dsmodel as ds
    >>> from dsmodel.planning.sweeps import GrowthPlan, sweep
    >>> plan = GrowthPlan(ds.examples.kubeadm_dual_stack(), "2026-01-01", trajectories=1, law="expected")
    >>> found = sweep(plan, {"mask_ipv4": [24, 25], "nodes_per_week": [5]})
    >>> found.loc[found["pool"] == "node blocks", ["mask_ipv4", "ip_family", "exhaustion_p50_days"]]
        mask_ipv4 ip_family  exhaustion_p50_days
    0          24      IPv4                  350
    1          24      IPv6                  350
    11         25      IPv4                  709
    12         25      IPv6                  350
    """

    cluster: Cluster
    start: str
    horizon: str | int = "3y"
    trajectories: int = 1000
    law: str = "gaussian"

    def __call__(self, scenario: Mapping[str, Any], rng: np.random.Generator) -> pd.DataFrame:
        """Answer one scenario.

        Parameters
        ----------
        scenario : mapping
            ``mask_ipv4``, ``mask_ipv6``, ``cluster_cidr_ipv4``, ``cluster_cidr_ipv6``, ``max_pods``: the same nodes,
            pods and Services on other ranges; ``ip_family_policy``: of all Services; every other word goes to
            `Scenario.of`, for instance ``nodes_per_week``.
        rng : numpy.random.Generator
            Decides.

        Returns
        -------
        pandas.DataFrame
            ``pool``, ``ip_family``, ``exhaustion_p5_days``, ``exhaustion_p50_days``, ``exhaustion_p95_days`` (Int64,
            missing beyond the horizon), ``binds_first_ratio``.

        Raises
        ------
        InvalidInput
            A word is unknown, or a value means nothing.
        """
        given = {name: value for name, value in scenario.items() if value is not None}
        changed = {name: given.pop(name) for name in _OWN if name in given}
        demand = Scenario.of(self.start, law=self.law, **given)
        cluster = _changed(self.cluster, changed)
        answer = forecast(cluster, demand, horizon=self.horizon, trajectories=self.trajectories, rng=rng)
        frame = pd.DataFrame({"pool": [each.pool for each in answer.exhaustion]})
        frame["ip_family"] = [each.ip_family for each in answer.exhaustion]
        for place, name in enumerate(("p5", "p50", "p95")):
            days = [each.days[place] for each in answer.exhaustion]
            frame[f"exhaustion_{name}_days"] = pd.array(days, dtype="Int64")
        return frame.assign(binds_first_ratio=[each.binds_first_ratio for each in answer.exhaustion])


def _changed(cluster: Cluster, changes: Mapping[str, Any]) -> Cluster:
    """Return a cluster of the same size with other settings."""
    policy = changes.get("ip_family_policy")
    settings = {name: value for name, value in changes.items() if name != "ip_family_policy"}
    what_if = _rebuilt(cluster, settings) if settings else cluster.copy()
    if policy is not None:
        what_if.set_family_policy(policy)
    return what_if


def _rebuilt(cluster: Cluster, settings: Mapping[str, Any]) -> Cluster:
    """Let the same nodes, pods and Services come again on other ranges."""
    what_if = Cluster(_config(cluster.config, settings))
    nodes, pods = cluster.nodes, cluster.pods
    what_if.add_nodes(nodes["name"].tolist(), zone=nodes["zone"], node_pool=nodes["node_pool"])
    placed = pods["node"] >= 0
    what_if.add_pods(pods["node"][placed], host_network=pods["host_network"][placed])
    others = cluster.services["name"] != "kubernetes"
    frame = cluster.services.where(others).to_frame()
    what_if.add_services(frame[["namespace", "name", "type", "ip_family_policy", "ip_families", "headless"]])
    return what_if


def _config(config: ClusterConfig, settings: Mapping[str, Any]) -> ClusterConfig:
    """Write the settings into a configuration."""
    ranges = {cidr.family: cidr for cidr in config.cluster_cidrs}
    masks = dict(config.node_cidr_mask_sizes)
    for family in IPFamily:
        end = str(family).lower()
        if f"cluster_cidr_{end}" in settings:
            ranges[family] = Cidr(settings[f"cluster_cidr_{end}"])
        if f"mask_{end}" in settings:
            masks[family] = int(settings[f"mask_{end}"])
    absent = [str(family) for family in masks if family not in ranges]
    if absent:
        raise InvalidInput(f"mask_{absent[0].lower()}: the cluster has no {absent[0]} cluster CIDR; name one too")
    max_pods = int(settings.get("max_pods", config.max_pods))
    return replace(config, cluster_cidrs=tuple(ranges.values()), node_cidr_mask_sizes=masks, max_pods=max_pods)
