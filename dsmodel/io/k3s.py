"""The ``config.yaml`` of k3s and RKE2 as flags of the components they start.

Promises ``cluster-cidr``, ``service-cidr``, their defaults, ``service-node-port-range``, ``node-ip``, ``cluster-dns``,
``advertise-address`` and the ``…-arg`` lists, as one list or comma separated, and the check of families that the agent
makes. Of the files in ``config.yaml.d`` a later one wins key by key, and adds to a list where its key has a plus sign.

What it does not know: network plugins, which may bring their own pools.

Sources: ``pkg/configfilearg/parser.go``, ``pkg/cli/cmds/server.go``, ``pkg/cli/server/server.go``,
``pkg/daemons/control/server.go`` and ``pkg/agent/run.go`` of k3s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dsmodel.io.flag_sheets import DERIVED
from dsmodel.kube.installers import judge_k3s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsmodel.io.config_documents import Entry
    from dsmodel.io.flag_sheets import FlagSheet

__all__ = ["add_k3s", "looks_like_k3s"]

DEFAULT_CLUSTER_CIDR: Final = "10.42.0.0/16"
DEFAULT_SERVICE_CIDR: Final = "10.43.0.0/16"
# where node-ip names one IPv6 address only
DEFAULT_IPV6_CLUSTER_CIDR: Final = "fd00:42::/56"
DEFAULT_IPV6_SERVICE_CIDR: Final = "fd00:43::/112"

_ARGUMENTS: Final = {
    "kube-apiserver-arg": "kube-apiserver",
    "kube-controller-manager-arg": "kube-controller-manager",
    "kubelet-arg": "kubelet",
    "kube-proxy-arg": "kube-proxy",
}
_KNOWN: Final = {
    *_ARGUMENTS,
    "advertise-address",
    "cluster-cidr",
    "cluster-dns",
    "cluster-init",
    "cni",
    "disable",
    "disable-kube-proxy",
    "flannel-backend",
    "node-ip",
    "server",
    "service-cidr",
    "service-node-port-range",
    "tls-san",
    "token",
    "write-kubeconfig-mode",
}


def looks_like_k3s(document: Entry) -> bool:
    """Tell a k3s or RKE2 configuration by its keys.

    Parameters
    ----------
    document : Entry
        Any document.

    Returns
    -------
    bool
        True for a mapping without ``kind`` that has a key of theirs.

    Raises
    ------
    None
        Every document has an answer.

    Examples
    --------
    >>> from dsmodel.io.config_documents import read_documents
    >>> looks_like_k3s(read_documents("cluster-cidr: 10.42.0.0/16", "config.yaml")[0])
    True
    """
    keys = document.value if isinstance(document.value, dict) else {}
    return "kind" not in keys and any(key.removesuffix("+") in _KNOWN for key in keys)


def add_k3s(sheet: FlagSheet, document: Entry, *more: Entry) -> None:
    """Read a k3s or RKE2 configuration.

    Parameters
    ----------
    sheet : FlagSheet
        Is added to.
    document : Entry
        The file's mapping.
    *more : Entry
        Those of the files in its drop-in folder, in their order.

    Raises
    ------
    InvalidConfig
        A field of a wrong type; names file and line.

    Examples
    --------
    >>> from dsmodel.io.config_documents import read_documents
    >>> from dsmodel.io.flag_sheets import FlagSheet
    >>> sheet = FlagSheet()
    >>> add_k3s(sheet, read_documents("kubelet-arg: [max-pods=250]", "config.yaml")[0])
    >>> sheet.flags()["kubelet"], sheet.origins()["kube-controller-manager", "cluster-cidr"]
    (('--max-pods=250',), 'default of k3s and RKE2 for cluster-cidr')
    """
    values = _merged([document, *more])
    node_ips = _listed(values.get("node-ip"))
    is_ipv6_only = ":" in node_ips and "," not in node_ips
    clusters = _listed(values.get("cluster-cidr"))
    services = _listed(values.get("service-cidr"))
    clusters = clusters or (DEFAULT_IPV6_CLUSTER_CIDR if is_ipv6_only else DEFAULT_CLUSTER_CIDR)
    services = services or (DEFAULT_IPV6_SERVICE_CIDR if is_ipv6_only else DEFAULT_SERVICE_CIDR)
    derived = (
        ("kube-apiserver", "service-cluster-ip-range", services, "service-cidr"),
        ("kube-controller-manager", "allocate-node-cidrs", "true", "cluster-cidr"),
        ("kube-controller-manager", "cluster-cidr", clusters, "cluster-cidr"),
        ("kube-controller-manager", "service-cluster-ip-range", services, "service-cidr"),
        ("kube-proxy", "cluster-cidr", clusters, "cluster-cidr"),
        ("kube-apiserver", "service-node-port-range", "", "service-node-port-range"),
        ("kube-apiserver", "advertise-address", "", "advertise-address"),
        ("kubelet", "node-ip", node_ips, "node-ip"),
        ("kubelet", "cluster-dns", "", "cluster-dns"),
    )
    for component, flag, value, key in derived:
        entry = values.get(key)
        text = value or _listed(entry)
        if text:
            where = entry.where if entry else f"default of k3s and RKE2 for {key}"
            sheet.give(component, flag, text, where=where, rank=DERIVED)
    for key, component in _ARGUMENTS.items():
        entry = values.get(key)
        if entry is not None:
            entries = entry.entries() if isinstance(entry.value, list) else [entry]
            words = [f"--{each.argument().lstrip('-')}" for each in entries]
            places = {word[2:].partition("=")[0]: each.where for word, each in zip(words, entries, strict=True)}
            sheet.add_line(component, words, places, where=entry.where)
    sheet.findings += judge_k3s(clusters, services, node_ips)


def _merged(documents: Sequence[Entry]) -> dict[str, Entry]:
    """Let later files win key by key; a key with a plus sign adds to what is there."""
    values: dict[str, Entry] = {}
    for document in documents:
        for key, entry in document.mapping().items():
            if entry.value is not None:
                name = key.removesuffix("+")
                values[name] = _joined(values[name], entry) if key != name and name in values else entry
    return values


def _joined(earlier: Entry, later: Entry) -> Entry:
    """Add the entries of a later file to those of an earlier one."""
    parts = [each.entries() if isinstance(each.value, list) else [each] for each in (earlier, later)]
    return replace(earlier, value=[*parts[0], *parts[1]], text="")


def _listed(entry: Entry | None) -> str:
    """Join a list, or return the text that is one already."""
    if entry is None:
        return ""
    if isinstance(entry.value, list):
        return ",".join(each.argument() for each in entry.entries())
    return entry.argument()
