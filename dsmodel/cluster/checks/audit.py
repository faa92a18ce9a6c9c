"""Audit a cluster: every rule in one list, judged now, and what only a dump could show.

Promises that a rule is judged against the cluster as it is, changes since it was read included, that nothing is found
twice, and that the worst comes first. Findings of the reader, and those about the objects of a network plugin, that no
rule here covers are carried over unless they are for information only; they are as old as the reading.

What it does not know: firewalls.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from dsmodel.addresses.cidr import Cidr
from dsmodel.cluster.checks.allow_lists import ALLOW_LIST_RULES
from dsmodel.cluster.checks.nodes import NODE_RULES
from dsmodel.cluster.checks.plugins import PLUGIN_RULES
from dsmodel.cluster.checks.pods import POD_RULES
from dsmodel.cluster.checks.ranges import RANGE_RULES
from dsmodel.cluster.checks.reading import READER_ADVICE
from dsmodel.cluster.checks.rules import NamedRange, Subject, findings_table
from dsmodel.cluster.checks.services import SERVICE_RULES
from dsmodel.errors import CheckFailed, InvalidInput
from dsmodel.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.cluster.table import Table

__all__ = ["RULES", "check", "findings_at_reading", "findings_with_plugin"]

RULES = (*NODE_RULES, *POD_RULES, *PLUGIN_RULES, *SERVICE_RULES, *RANGE_RULES, *ALLOW_LIST_RULES)

ADVICE = READER_ADVICE | {rule.name: (rule.fix, rule.source) for rule in RULES}
"""Way out and source of each rule, those of the reader included, by its name."""

_COLUMNS = ("severity", "rule", "object", "message", "fix", "source")
_RANK = {"fatal": 0, "error": 1, "warning": 2, "info": 3}
_FAILS = {"fatal", "error"}


def check(
    cluster: Cluster,
    *,
    peers: Iterable[str | Cidr] | Mapping[str, Any] = (),
    reserved: Iterable[str | Cidr] | Mapping[str, Any] = (),
    host_local: Mapping[str, Mapping[str, Mapping[str, str]]] | None = None,
    strict: bool = False,
) -> Findings:
    """Tell what is unsound about a cluster.

    Parameters
    ----------
    cluster : Cluster
        Any cluster, read or made.
    peers : iterable of str or Cidr, or mapping of str to CIDR or CIDRs
        Networks that the cluster reaches: other clusters, VPCs, sites; by name if a mapping.
    reserved : iterable of str or Cidr, or mapping of str to CIDR or CIDRs
        Ranges kept for something else.
    host_local : mapping of str to mapping, optional
        Node name to the state of host-local on that node, from `dsmodel.cni.host_local.read_state`; shows leaks.
    strict : bool, default False
        Raise where anything of severity fatal or error is found.

    Returns
    -------
    Findings
        A frame that shows itself rule by rule with links: ``severity`` (fatal, error, warning, info), ``rule``,
        ``object``, ``message``, ``fix``, ``source``; the worst first, then by rule, object and message. `RULES` lists
        the rules. Of very many objects that break one rule the first hundred are named and the rest counted.

    Raises
    ------
    CheckFailed
        With `strict`, where anything of severity fatal or error is found; its ``findings`` are the frame.
    InvalidCidr
        A peer or reserved range is no CIDR.
    InvalidInput
        ``host_local`` names a node the cluster does not have.

    Examples
    --------
    >>> from dsmodel import Cluster, ClusterConfig
    >>> config = ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"], node_cidr_mask_sizes={"IPv4": 26})
    >>> cluster = Cluster(config)
    >>> _ = cluster.add_nodes(2)
    >>> found = check(cluster, peers={"office": "10.244.128.0/17"})
    >>> found[["severity", "rule"]].to_numpy().tolist()
    [['error', 'peer-overlap'], ['warning', 'max-pods-above-block']]
    >>> found["message"][1]
    '110 pods against 61 usable addresses of a /26 (IPv4; 2 nodes, Node/node-0 the first of them)'
    """
    subject = Subject(cluster, _named("Peer", peers), _named("Reserved", reserved), dict(host_local or {}))
    unknown = sorted(set(subject.host_local) - {str(name) for name in cluster.nodes["name"].tolist()})
    if unknown:
        raise InvalidInput(f"host_local: no node is named {unknown[0]!r}; its keys are names of nodes")
    rows = [
        (rule.severity, rule.name, thing, message, rule.fix, rule.source)
        for rule in RULES
        for thing, message in rule.find(subject)
    ]
    rows = sorted({*rows, *_carried(cluster)}, key=lambda row: (_RANK[row[0]], *row[1:]))
    frame = Findings(rows, columns=list(_COLUMNS), dtype="str", kube_version=str(cluster.config.kube_version))
    wrong = frame[frame["severity"].isin(_FAILS)]
    if strict and len(wrong):
        first = wrong.iloc[0]
        more = f", and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        raise CheckFailed(f"{first['object']}: {first['message']} ({first['rule']}){more}; {first['fix']}", frame)
    return frame


def findings_at_reading(cluster: Cluster, inside: Mapping[IPFamily, NDArray[np.bool_]]) -> list[Finding]:
    """Judge the rules that hold for any tables, when they become a cluster.

    Parameters
    ----------
    cluster : Cluster
        Its pools hold what the tables show.
    inside : mapping of IPFamily to ndarray of bool
        Whether each pod's address lies in its node's block, worked out when they were put there.

    Returns
    -------
    list of (severity, rule, object, message)
        In the order of `RULES`.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    subject = Subject(cluster, places=inside)
    return [finding for rule in RULES if rule.at_reading for finding in rule.findings(subject)]


def findings_with_plugin(cluster: Cluster, at_reading: Table) -> Table:
    """Judge again what hangs on the network plugin, now that its objects were read, and add what these show.

    Parameters
    ----------
    cluster : Cluster
        Whose objects were read.
    at_reading : Table
        Findings from before the plugin was known, of the schema `FINDINGS`.

    Returns
    -------
    Table
        The rest of them, then those that name the plugin's ranges, then what is unsound about its objects.

    Raises
    ------
    None
        Every cluster has an answer.
    """
    again = [rule for rule in RULES if rule.by_plugin and cluster.network_plugin is not None]
    rest = at_reading.where(~np.isin(at_reading["rule"].astype(object), [rule.name for rule in again]))
    subject = Subject(cluster)
    found = [finding for rule in again for finding in rule.findings(subject)]
    return rest.append(findings_table([*found, *cluster.plugin_findings]))


def _carried(cluster: Cluster) -> list[tuple[str, str, str, str, str, str]]:
    """Return what the reader found and no rule covers."""
    judged = {rule.name for rule in RULES}
    frame = cluster.findings.to_frame()
    kept = frame[~frame["rule"].isin(judged) & (frame["severity"] != "info")]
    columns = [[str(value) for value in kept[name]] for name in ("severity", "rule", "object", "message", "file")]
    of_objects, source = set(cluster.plugin_findings), _source_of_objects(cluster)
    rows = []
    for *finding, file in zip(*columns, strict=True):
        severity, rule, thing, message = finding
        fix, known = READER_ADVICE.get(rule, ("", ""))
        where = source if tuple(finding) in of_objects else f"read from {PurePath(file).name}" if file else "the reader"
        rows.append((severity, rule, thing, message, fix, f"{known}; {where}" if known else where))
    return rows


def _source_of_objects(cluster: Cluster) -> str:
    """Name what says how the objects of the network plugin are meant: the first file its model was read from."""
    if cluster.network_plugin is None:
        return "objects of network plugins"
    known = cluster.network_plugin.provenance
    project = known.version.partition(" ")[0]
    told = f"the objects of {known.plugin}"
    return f"{project} {known.files[0]}; {told}" if "/" in project and known.files else told


def _named(kind: str, ranges: Iterable[str | Cidr] | Mapping[str, Any]) -> tuple[NamedRange, ...]:
    """Read ranges with or without names."""
    if isinstance(ranges, str | Cidr):
        ranges = [ranges]
    if not isinstance(ranges, Mapping):
        return tuple(NamedRange(kind, str(cidr), _cidr(cidr)) for cidr in ranges)
    listed = ((name, [given] if isinstance(given, str | Cidr) else given) for name, given in ranges.items())
    return tuple(NamedRange(kind, str(name), _cidr(cidr)) for name, cidrs in listed for cidr in cidrs)


def _cidr(given: str | Cidr) -> Cidr:
    """Read one range."""
    return given if isinstance(given, Cidr) else Cidr(given)
