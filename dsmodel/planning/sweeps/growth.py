"""The plan that most sweeps run: change a cluster, let it grow, tell when each pool is full.

Promises that every parameter is a word of `Scenario.of`, or one of those named here, which are the questions of
`dsmodel.what_if`; a misspelt one is refused before anything is computed on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidInput
from dsmodel.planning.forecasting import forecast
from dsmodel.planning.scenario import KINDS, Scenario
from dsmodel.planning.what_ifs import what_if

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from dsmodel.cluster.state import Cluster

__all__ = ["GrowthPlan"]

_ASKED = (
    "max_pods", "ip_family_policy", "kube_version", "network_plugin", "service_cidr", "lost_zones", "surge_ratio",
)  # fmt: skip
_OWN = ("mask_ipv4", "mask_ipv6", "cluster_cidr_ipv4", "cluster_cidr_ipv6", *_ASKED)
_BETWEEN = re.compile(r"[\s,;]+")


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
            ``mask_ipv4``, ``mask_ipv6``, ``cluster_cidr_ipv4``, ``cluster_cidr_ipv6``: the same nodes, pods and
            Services on other ranges; ``max_pods``, ``ip_family_policy``, ``kube_version``, ``network_plugin``,
            ``service_cidr``, ``lost_zones`` (text, empty for none), ``surge_ratio``: as of `what_if`; every other word
            goes to `Scenario.of`, for instance ``nodes_per_week``.
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
        if strange := [name for name in given if name.partition("_per_")[0] not in KINDS]:
            raise InvalidInput(
                f"{strange[0]}: is no parameter; these are {', '.join(_OWN)}, and what grows, as nodes_per_week"
            )
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
    """Return the cluster as a scenario says."""
    ends = {str(family).lower(): str(family) for family in IPFamily}
    masks = {ends[name[5:]]: int(value) for name, value in changes.items() if name.startswith("mask_")}
    ranges = {str(cidr.family): cidr for cidr in cluster.config.cluster_cidrs}
    given = {ends[name[13:]]: Cidr(value) for name, value in changes.items() if name.startswith("cluster_cidr_")}
    more = {name: changes[name] for name in _ASKED if name in changes}
    if "lost_zones" in more:
        zones = more["lost_zones"]
        more["lost_zones"] = [zone for zone in _BETWEEN.split(zones) if zone] if isinstance(zones, str) else zones
    return what_if(
        cluster,
        cluster_cidrs=tuple((ranges | given).values()) if given else None,
        node_mask=masks or None,
        **more,
    )
