"""Would this configuration start, and is this cluster sound? Findings about flags and about objects in one frame.

Promises one row a finding, the worst first, whether it comes from an installer, a component's flags, what lies between
components, or an object of a dump; the flag and the way out where there are any.

What it does not know: files; the caller says where flags and findings about them come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cluster.checks.audit import ADVICE
from dsmodel.cluster.network_plugins import runs_node_ipam
from dsmodel.findings import Findings
from dsmodel.kube.config_checks import check_config
from dsmodel.reports.evidence import findings
from dsmodel.reports.validation import dual_stack_validation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dsmodel.cluster.state import Cluster
    from dsmodel.kube.config import ClusterConfig
    from dsmodel.kube.versions import KubeVersion

__all__ = ["audit", "node_pod_cidrs", "ordered"]

COLUMNS: Final = ("severity", "component", "flag", "object", "rule", "message", "fix", "file", "source")
_NODE_BLOCK_FLAGS: Final = ("--cluster-cidr", "--node-cidr-mask-size", "--allocate-node-cidrs")
_NODE_BLOCK_RULES: Final = ("max-pods-above-block", "one-node-block")
_RANK: Final = {"fatal": 0, "error": 1, "warning": 2, "note": 3, "info": 3}


def audit(cluster: Cluster, kube_version: str | KubeVersion | None = None) -> Findings:
    """Find everything that is wrong with a cluster: its configuration, its objects, its readiness for two families.

    Parameters
    ----------
    cluster : Cluster
        As read from a dump, or built.
    kube_version : str or KubeVersion, optional
        Judge the configuration as of this version; by default the cluster's.

    Returns
    -------
    Findings
        Text columns ``severity`` (``fatal``, ``error``, ``warning``, ``note``), ``component``, ``flag``, ``object``,
        ``rule``, ``message``, ``fix``, ``file``, ``source``; the worst first, then by component, rule, object.

    Raises
    ------
    UnsupportedVersion
        A version outside the window.

    Examples
    --------
    >>> from dsmodel import examples
    >>> audit(examples.kubeadm_dual_stack()).empty
    True
    """
    judged = check_config(cluster.config, kube_version=kube_version)
    if not runs_node_ipam(cluster.network_plugin):
        judged = judged[~_is_about_node_blocks(judged)]
    parts = [judged, findings(cluster)]
    if _wants_both(cluster.config):
        parts.append(_unready(cluster))
    return ordered(parts, kube_version=kube_version or cluster.config.kube_version)


def ordered(parts: list[pd.DataFrame], *, kube_version: str | KubeVersion) -> Findings:
    """Put frames of findings into one, the worst first.

    Parameters
    ----------
    parts : list of pandas.DataFrame
        With some of the columns of `audit`; an ``info`` becomes a ``note``.
    kube_version : str or KubeVersion
        Version that was judged; links lead to its files.

    Returns
    -------
    Findings
        With the columns of `audit`.

    Raises
    ------
    None
        No findings are a frame without rows.

    Examples
    --------
    >>> parts = [pd.DataFrame({"severity": ["info", "fatal"], "rule": ["b", "a"]})]
    >>> ordered(parts, kube_version="1.36")["severity"].tolist()
    ['fatal', 'note']
    """
    shown: dict[str, Any] = {"kube_version": str(kube_version), "rules": ADVICE}
    filled = [part.reindex(columns=list(COLUMNS), fill_value="").astype("str") for part in parts if len(part)]
    if not filled:
        return Findings(columns=list(COLUMNS), dtype="str", **shown)
    joined = pd.concat(filled, ignore_index=True).replace({"severity": {"info": "note"}})
    keys = joined.assign(rank=joined["severity"].map(_RANK))
    order = keys.sort_values(["rank", "component", "rule", "object"], kind="stable").index
    return Findings(joined.loc[order].drop_duplicates().reset_index(drop=True), **shown)


def node_pod_cidrs(cluster: Cluster) -> Mapping[str, tuple[str, ...]]:
    """List the podCIDRs of every node as ``spec.podCIDRs`` does.

    Parameters
    ----------
    cluster : Cluster
        Any cluster.

    Returns
    -------
    mapping of str to tuple of str
        Name of the node to its blocks, the primary family first; empty for nodes without.

    Raises
    ------
    None
        Every node has an answer.

    Examples
    --------
    >>> from dsmodel import examples
    >>> next(iter(node_pod_cidrs(examples.ipv6_first()).values()))
    ('fd00:10:244::/64', '10.244.0.0/24')
    """
    nodes = cluster.nodes
    blocks: list[list[str]] = [[] for _ in range(len(nodes))]
    for family in IPFamily:
        name = f"pod_cidr_{family.value.lower()}"
        values = to_integers(nodes[name])
        columns = zip(values, nodes[f"{name}_mask"].tolist(), nodes[f"has_{name}"].tolist(), strict=True)
        for row, (first, mask, has) in enumerate(columns):
            if has:
                blocks[row].append(str(Cidr.from_parts(family, first, mask)))
    for row, primary in enumerate(nodes["primary_ip_family"].tolist()):
        if primary == 6:
            blocks[row].reverse()
    return {str(name): tuple(cidrs) for name, cidrs in zip(nodes["name"].tolist(), blocks, strict=True)}


def _wants_both(config: ClusterConfig) -> bool:
    """Tell whether two families are configured anywhere."""
    return len(config.cluster_cidrs) > 1 or len(config.service_cidrs) > 1


def _is_about_node_blocks(judged: pd.DataFrame) -> pd.Series:
    """Find what is said of blocks that kube-controller-manager would cut, were it not for the network plugin."""
    cuts = judged["component"].eq("kube-controller-manager") & judged["flag"].str.startswith(_NODE_BLOCK_FLAGS)
    return cuts | judged["rule"].isin(_NODE_BLOCK_RULES)


def _unready(cluster: Cluster) -> pd.DataFrame:
    """Turn failed checks of dual-stack into findings."""
    frame = dual_stack_validation(cluster)
    failed = frame.loc[frame["result"] == "fails"]
    counts = failed["count"].astype("str") + " of " + failed["tested"].astype("str")
    return pd.DataFrame(
        {
            "severity": "warning",
            "component": "cluster",
            "object": failed["offenders"],
            "rule": "validate-dual-stack",
            "message": "not so: " + failed["check"] + " (" + counts + " fail)",
            "fix": failed["why"],
            "source": "Validate IPv4/IPv6 dual-stack, kubernetes.io",
        }
    )
