"""What the API server says to a set of manifests: refused, taken as written, or taken and changed.

Promises: one row for each Service, in order, each answered by the modelled API server that holds what the cluster
holds and what the rows before it have taken, as ``kubectl apply`` puts them. A Service that exists already is merged
with what the manifest says, and what the manifest does not say stays.

The verdict compares what a manifest sets with what is stored:

- ``refused``: the server's words are in ``message``, or the document could not be read (code 0);
- ``changed``: a field that the manifest sets is stored otherwise or dropped, PreferDualStack has brought one family, or
  a Service that existed has other families, addresses, node ports or another policy or type than before;
- ``accepted``: everything the manifest sets is stored as it is written. Filling in what it leaves open is no change of
  verdict, but stands in ``changed`` like all the rest, and so does the second family that a policy adds behind the one
  named.

Not known here: other kinds, admission webhooks, the manifest last applied (a field that an earlier manifest set and
this one leaves out stays as it is stored), selectors and port numbers of Services read from a dump: their node ports
go to the ports of the manifest in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from dsmodel.cluster.api_server import control_plane_of
from dsmodel.cluster.frames import TEXT_DTYPE
from dsmodel.cluster.state import Cluster
from dsmodel.errors import InvalidInput, Rejected
from dsmodel.kube.services.spec import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np

    from dsmodel.kube.config import ClusterConfig
    from dsmodel.kube.control_plane import ControlPlane

__all__ = ["COLUMNS", "admission"]

COLUMNS: dict[str, str] = {
    "file": "str",
    "document": "int64",
    "namespace": "str",
    "name": "str",
    "verdict": "str",
    "message": "str",
    "code": "int64",
    "ip_family_policy": "str",
    "ip_families": "str",
    "cluster_ips": "str",
    "node_ports": "str",
    "changed": "str",
    "why": "str",
}
"""Columns of the frame with their dtypes; families, addresses and ports are joined by commas."""

_FILLED_IN = ("ipFamilyPolicy", "ipFamilies", "clusterIPs", "healthCheckNodePort")
_SHOWN_OF_EXISTING = ("type", *_FILLED_IN)
_COMPARED_ELSEWHERE = {"ports", "selector", "ipFamilies", "sessionAffinityConfig"}
_CLUSTER_IP_FIELDS = ("clusterIP", "clusterIPs")


class _Asked(NamedTuple):
    """One manifest: where it stands, what it says, and why it could not be read."""

    file: str
    document: int
    object: Any
    error: str = ""
    findings: tuple[str, ...] = ()
    namespace: str = ""
    name: str = ""


def admission(
    cluster: Cluster | ClusterConfig,
    manifests: Iterable[Any],
    *,
    namespace: str = "default",
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Ask the API server of a cluster about Services before anyone applies them.

    Parameters
    ----------
    cluster : Cluster or ClusterConfig
        What is there: Services of a cluster hold names, addresses and node ports. A configuration is an empty cluster.
    manifests : Manifests or iterable of dict
        As `dsmodel.read_manifests` returns them, or objects. Objects of other kinds are passed over.
    namespace : str
        For manifests that name none, as ``kubectl --namespace`` does.
    rng : numpy.random.Generator, optional
        Where the server's random choices start; None takes the lowest free address or port of the dynamic band, so
        that the same question has the same answer.

    Returns
    -------
    DataFrame
        One row for each Service or unreadable document, with the columns of `COLUMNS`.

    Raises
    ------
    InvalidConfig
        If the API server would not start with the service ranges, or none is known.
    InvalidInput
        If `manifests` is text or a path; read it first.

    Examples
    --------
    >>> from dsmodel import ClusterConfig
    >>> config = ClusterConfig.of(service_cidrs=["10.96.0.0/16"])
    >>> web = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
    ...        "spec": {"ipFamilyPolicy": "PreferDualStack", "ports": [{"port": 80}]}}
    >>> answer = admission(config, [web, {**web, "metadata": {"name": "_"}}])
    >>> answer[["name", "verdict", "ip_families"]]
      name  verdict ip_families
    0  web  changed        IPv4
    1    _  refused
    """
    if isinstance(manifests, str) or hasattr(manifests, "__fspath__"):
        raise InvalidInput(f"manifests={str(manifests)[:80]!r} is text; read it with dsmodel.read_manifests first")
    desk = _Desk(control_plane_of(cluster, rng=rng), cluster, namespace)
    rows = [desk.answer(asked) for asked in map(_asked, manifests) if _is_service(asked)]
    series = {
        name: pd.Series([row.get(name, "") for row in rows], dtype=TEXT_DTYPE if kind == "str" else kind)
        for name, kind in COLUMNS.items()
    }
    return pd.DataFrame(series)


def _asked(entry: Any) -> _Asked:
    """Read a document of `Manifests`, or an object as it is."""
    if isinstance(entry, dict) or not hasattr(entry, "object"):
        return _Asked("", 0, entry)
    return _Asked(entry.file, entry.document, entry.object, entry.error, entry.findings, entry.namespace, entry.name)


def _is_service(asked: _Asked) -> bool:
    """Tell whether a document gets a row."""
    return bool(asked.error) or not isinstance(asked.object, dict) or asked.object.get("kind", "Service") == "Service"


class _Desk:
    """An API server, and who holds what in it."""

    def __init__(self, server: ControlPlane, cluster: Cluster | ClusterConfig, namespace: str) -> None:
        self.server = server
        config = cluster.config if isinstance(cluster, Cluster) else cluster
        self.ranges = ", ".join(map(str, (*config.service_cidrs, *config.extra_service_cidrs)))
        self.port_range = "{}-{}".format(*config.service_node_port_range)
        self.version = config.kube_version
        self.namespace = namespace
        self.names: set[tuple[str, str]] = {("default", "kubernetes")}
        self.owners: dict[str | int, str] = {}
        if isinstance(cluster, Cluster):
            table = cluster.services
            spaces, names = table["namespace"].tolist(), table["name"].tolist()
            self.names |= {(space or "default", name) for space, name in zip(spaces, names, strict=True) if name}

    def answer(self, asked: _Asked) -> dict[str, Any]:
        """Give the row of one document."""
        row: dict[str, Any] = {"file": asked.file, "document": asked.document}
        if asked.error:
            row |= {"namespace": asked.namespace, "name": asked.name, "verdict": "refused", "message": asked.error}
            row |= {"code": 0, "why": "the document cannot be read, no server was asked"}
        else:
            row |= self._judged(*self._placed(asked.object))
        if asked.findings:
            row["why"] = "; ".join(part for part in (row.get("why", ""), *asked.findings) if part)
        return row

    def _judged(self, manifest: Any, key: tuple[Any, Any]) -> dict[str, Any]:
        """Put a manifest to the server."""
        before = self._existing(key)
        try:
            stored = self.server.create(manifest) if before is None else self._apply(manifest, key, before)
        except Rejected as refusal:
            namespace, name = map(_text, key)
            answer = {"namespace": namespace, "name": name, "verdict": "refused", "message": refusal.message}
            return answer | {"code": refusal.code, "why": self._why_refused(refusal, manifest)}
        metadata, spec = stored["metadata"], stored["spec"]
        self.names.add((metadata["namespace"], metadata["name"]))
        if self.owners:
            self._remember(stored)
        asked = manifest.get("spec") or {}
        held = _node_ports(spec)
        changes, altered = _changes(asked, spec, held, before=None if before is None else before["spec"])
        why = self._why_stored(asked, spec, altered)
        if before is not None:
            why = f"exists; merged as kubectl apply does{'; ' if why else ''}{why}"
        return {
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "verdict": "changed" if altered else "accepted",
            "code": 200,
            "ip_family_policy": spec.get("ipFamilyPolicy") or "",
            "ip_families": ",".join(spec.get("ipFamilies") or ()),
            "cluster_ips": ",".join(spec.get("clusterIPs") or ()),
            "node_ports": ",".join(map(str, held)),
            "changed": "; ".join(changes),
            "why": why,
        }

    def _placed(self, manifest: Any) -> tuple[Any, tuple[Any, Any]]:
        """Put a manifest into its namespace; return it with namespace and name, of whatever type."""
        metadata = manifest.get("metadata") if isinstance(manifest, dict) else None
        if not isinstance(metadata, dict):
            return (manifest, (self.namespace, ""))
        if not metadata.get("namespace"):
            metadata = {**metadata, "namespace": self.namespace}
            manifest = {**manifest, "metadata": metadata}
        return manifest, (metadata["namespace"], metadata.get("name") or metadata.get("generateName") or "")

    def _existing(self, key: tuple[Any, Any]) -> dict[str, Any] | None:
        """Return the Service that has the name already."""
        known = all(isinstance(part, str) for part in key) and key in self.names
        return self.server.get("Service", key[1], namespace=key[0]) if known and key[1] else None

    def _apply(self, manifest: dict[str, Any], key: tuple[str, str], before: dict[str, Any]) -> dict[str, Any]:
        """Merge a manifest into the Service that exists."""
        spec = manifest.get("spec")
        if isinstance(spec, dict):
            spec = {**spec, "ports": _merged_ports(spec, before["spec"])}
        metadata = {
            part: manifest["metadata"][part] for part in ("labels", "annotations") if manifest["metadata"].get(part)
        }
        patch = {"metadata": metadata, "spec": spec}
        return self.server.patch("Service", key[1], patch, patch_type="merge", namespace=key[0])

    def _remember(self, stored: Mapping[str, Any]) -> None:
        """Note who holds which address and node port."""
        name = f"{stored['metadata']['namespace']}/{stored['metadata']['name']}"
        spec = stored["spec"]
        for held in (*(spec.get("clusterIPs") or ()), *_node_ports(spec)):
            self.owners[held] = name

    def _why_refused(self, refusal: Rejected, manifest: Any) -> str:
        """Explain a refusal by what the cluster has."""
        spec = manifest.get("spec") if isinstance(manifest, dict) else None
        if "already allocated" in refusal.message and isinstance(spec, dict):
            for namespace, name in () if self.owners else self.names:
                self._remember(self.server.get("Service", name, namespace=namespace))
            asked = [*_as_list(spec.get("clusterIPs")), spec.get("clusterIP"), *_node_ports(spec)]
            owners = {self.owners[held] for held in asked if isinstance(held, str | int) and held in self.owners}
            return f"held by Service {', '.join(sorted(owners))}" if owners else "held, by no Service that is known"
        found = [text for part, text in _EXPLANATIONS.items() if part in refusal.message]
        return found[0].format(ranges=self.ranges, ports=self.port_range) if found else ""

    def _why_stored(self, asked: Mapping[str, Any], spec: Mapping[str, Any], altered: list[str]) -> str:
        """Explain what became of an accepted Service."""
        policy, families = spec.get("ipFamilyPolicy"), spec.get("ipFamilies") or ()
        dropped = sorted(field for field in altered if field not in spec and field in asked)
        why = ""
        if spec.get("type") == "ExternalName":
            why = "ExternalName has no addresses"
        elif "ipFamilyPolicy" in dropped or "ipFamilies" in dropped:
            why = f"Kubernetes {self.version} with the gate IPv6DualStack off drops the fields of dual-stack"
        elif dropped:
            why = (
                f"{', '.join(dropped)}: no field that this server stores here; kubectl warns or refuses, others do not"
            )
        elif policy == "PreferDualStack" and len(families) == 1:
            why = f"PreferDualStack takes one address of each family that has a service range; there is {self.ranges}"
        elif policy and not asked.get("ipFamilyPolicy"):
            why = f"without ipFamilyPolicy it is {policy}, in {', '.join(families)}"
            if spec.get("clusterIP") == NONE and not spec.get("selector"):
                why = f"headless without selector and without policy: {policy}, whatever the cluster has"
        return why


_EXPLANATIONS: dict[str, str] = {
    "not configured for dual": "RequireDualStack needs a service range of each family, and there is {ranges}; "
    "PreferDualStack would be taken",
    "onfigured on": "the service ranges are {ranges}",
    "may not use IPv": "the service ranges are {ranges}",
    "range is full": "no address is left for it in {ranges}, or no node port in {ports}",
    "the current range": "the service ranges are {ranges}",
    "valid range": "the service ranges are {ranges}, the node ports {ports}",
    "to release the secondary": "a second address or family goes only with ipFamilyPolicy: SingleStack",
    "primary": "the first address and family of a Service stay as long as it lives; delete it and create it again",
    "immutable": "the first address and family of a Service stay as long as it lives; delete it and create it again",
    "as indicated by": "clusterIPs and ipFamilies have one order, and those of a Service stay as long as it lives",
    "may not change once set": "the addresses of a Service stay as long as it lives; delete it and create it again",
    "cannot be handled as": "a value has a type that the API cannot decode",
}


def _changes(
    asked: Mapping[str, Any], spec: Mapping[str, Any], held: list[int], *, before: Mapping[str, Any] | None
) -> tuple[list[str], list[str]]:
    """List what differs from the manifest, or from the Service that existed; and the fields that count as changed."""
    texts = _filled_in(asked, spec) if before is None else _moved(before, spec)
    altered = [] if before is None else [text.partition(":")[0] for text in texts]
    for field, value in asked.items():
        if value and field not in _COMPARED_ELSEWHERE and spec.get(field) != value:
            altered.append(field)
            texts.append(f"{field}: {_shown(value)} -> {_shown(spec[field]) if field in spec else 'dropped'}")
    families, stored = _as_list(asked.get("ipFamilies")), spec.get("ipFamilies") or []
    if families and stored[: len(families)] != families:
        altered.append("ipFamilies")
        texts.append(f"ipFamilies: {_shown(families)} -> {_shown(stored) if stored else 'dropped'}")
    if spec.get("ipFamilyPolicy") == "PreferDualStack" and len(stored) == 1 and spec.get("type") != "ExternalName":
        altered.append("ipFamilyPolicy")
        texts.append(f"PreferDualStack: {stored[0]} alone")
    wanted = _node_ports(asked if before is None else before)
    if held != wanted:
        texts.append(f"nodePorts: {_shown(wanted) if wanted else 'unset'} -> {_shown(held)}")
        altered += ["nodePorts"] if before is not None else []
    return list(dict.fromkeys(texts)) if len(texts) > 1 else texts, altered


def _filled_in(asked: Mapping[str, Any], spec: Mapping[str, Any]) -> list[str]:
    """List what a new Service got that its manifest leaves open."""
    texts = []
    for field in _FILLED_IN:
        old = asked.get(field)
        if field == "clusterIPs" and not old and asked.get("clusterIP"):
            old = [asked["clusterIP"]]
        if field in spec and spec[field] != old and (not asked.get(field) or field == "ipFamilies"):
            texts.append(f"{field}: {_shown(old)} -> {_shown(spec[field])}")
    return texts


def _moved(before: Mapping[str, Any], spec: Mapping[str, Any]) -> list[str]:
    """List what an existing Service has otherwise than before."""
    pairs = ((field, before.get(field), spec.get(field)) for field in _SHOWN_OF_EXISTING)
    return [f"{field}: {_shown(old)} -> {_shown(new) if new else 'none'}" for field, old, new in pairs if old != new]


def _merged_ports(spec: Mapping[str, Any], before: Mapping[str, Any]) -> Any:
    """Give the ports of a manifest the node ports that the Service holds."""
    ports = spec.get("ports") or []
    kind = spec.get("type") or before.get("type")
    if not isinstance(ports, list) or not isinstance(kind, str) or kind not in {"NodePort", "LoadBalancer"}:
        return ports
    held = before.get("ports") or []
    named = {port.get("nodePort") for port in ports if isinstance(port, dict)}
    known = {(port["port"], port.get("protocol", "TCP")): port["nodePort"] for port in held if port.get("nodePort")}
    unknown = [port["nodePort"] for port in held if not port["port"] and port["nodePort"] not in named]
    merged = []
    for port in ports:
        carried = None
        if isinstance(port, dict) and not port.get("nodePort"):
            protocol = port.get("protocol") or "TCP"
            hashable = isinstance(port.get("port"), int) and isinstance(protocol, str)
            carried = known.get((port["port"], protocol)) if hashable else None
            carried = carried or (unknown.pop(0) if unknown else None)
        merged.append({**port, "nodePort": carried} if carried else port)
    return merged


def _node_ports(spec: Any) -> list[int]:
    """List different node ports, the health check's last."""
    held: list[int] = []
    ports = spec.get("ports")
    for port in ports if type(ports) is list else ():
        number = port.get("nodePort") if type(port) is dict else None
        if number and type(number) is int and number not in held:
            held.append(number)
    health = spec.get("healthCheckNodePort")
    return [*held, health] if health and type(health) is int else held


def _as_list(value: Any) -> list[Any]:
    """Take what is no list for an empty one."""
    return value if isinstance(value, list) else []


def _shown(value: Any) -> str:
    """Write a value for the column of changes."""
    if isinstance(value, list):
        return ",".join(map(_text, value)) or "none"
    return _text(value) if value else "unset"


def _text(value: Any) -> str:
    """Write any value as short text."""
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
