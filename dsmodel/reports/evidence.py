"""What a cluster's configuration is and how it is known, and what is unsound about the cluster."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pandas as pd

from dsmodel.cluster.checks.audit import ADVICE
from dsmodel.findings import Findings
from dsmodel.kube.config import field_text

if TYPE_CHECKING:
    from dsmodel.cluster.state import Cluster

__all__ = ["configuration", "findings"]


def configuration(cluster: Cluster) -> pd.DataFrame:
    """Tell the configuration of a cluster, field by field, and how each is known.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.

    Returns
    -------
    pandas.DataFrame
        ``field``, ``value`` as the flags write it, ``why``: the flag and where it was read, "default", "given", or
        what it was inferred from. In the order of `ClusterConfig`.

    Raises
    ------
    None
        Every cluster has a configuration.

    Examples
    --------
    >>> from dsmodel import Cluster, ClusterConfig
    >>> configuration(Cluster(ClusterConfig.of(service_cidrs=["10.96.0.0/16"]))).loc[2].to_list()
    ['service_cidrs', '10.96.0.0/16', 'given']
    """
    config = cluster.config
    names = [field.name for field in fields(config) if field.name != "evidence"]
    return pd.DataFrame(
        {
            "field": names,
            "value": [field_text(getattr(config, name)) for name in names],
            "why": [config.evidence.get(name, "") for name in names],
        }
    )


def findings(cluster: Cluster) -> Findings:
    """Tell what is unsound about a cluster and about the files it was read from.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.

    Returns
    -------
    Findings
        ``severity`` (fatal, error, warning, info), ``rule``, ``object``, ``message``, ``file``; the worst first, then
        by rule and object.

    Raises
    ------
    None
        A sound cluster has an empty frame.

    Examples
    --------
    >>> from dsmodel import Cluster, ClusterConfig
    >>> findings(Cluster(ClusterConfig.of())).empty
    True
    """
    frame = cluster.findings.to_frame()
    worst_first = frame["severity"].map({"fatal": 0, "error": 1, "warning": 2, "info": 3}).astype("int64")
    order = frame.assign(rank=worst_first).sort_values(["rank", "rule", "object", "message"], kind="stable").index
    sorted_frame = frame.loc[order].reset_index(drop=True)
    return Findings(sorted_frame, kube_version=str(cluster.config.kube_version), rules=ADVICE)
