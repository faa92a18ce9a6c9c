"""Objects of a dump that are handed on as they are: what plugins, policies and gateways are written in, and agents.

Promises plain JSON values: an object with a name, ``metadata``, ``spec`` and ``status`` of the right type, without what
only the API server's own bookkeeping needs. Of CiliumEndpoints, of which there are as many as Pods, only the identity
and the addresses are kept; of DaemonSets and Pods only the containers of agents, with literal variables.

What it does not know: what the objects mean; the modules of the plugins read them.

Sources: kubernetes/api meta/v1 ObjectMeta, apps/v1 DaemonSet; cilium/cilium ``pkg/k8s/apis/cilium.io/v2/types.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct, field

from dsmodel.cluster.objects import AGENTS, NetworkObjects, named_namespaces
from dsmodel.io.dump_findings import Findings, ObjectName
from dsmodel.io.dump_kinds import agents_among
from dsmodel.io.dump_objects import Container, PodMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from msgspec import Raw

    from dsmodel.io.dump_batches import WholeObject
    from dsmodel.io.dump_objects import DumpObject

__all__ = ["NamespaceRows", "NetworkRows"]

_FAILURES: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# kept by the API server and kubectl for themselves
_BOOKKEEPING: Final = ("managedFields", "ownerReferences", "selfLink")
_NAMELESS: Final = "it has no name"
_WORDS: Final = {str: "str", dict: "object"}
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


class _Identity(Struct, gc=False):
    """What names a CiliumEndpoint; gateways are chosen by its UID."""

    name: str
    namespace: str = ""
    uid: str = ""


class _EndpointStatus(Struct):
    """The addresses of a CiliumEndpoint."""

    networking: dict[str, Any] | None = None


class _Endpoint(Struct):
    """What is kept of a CiliumEndpoint."""

    metadata: _Identity
    status: _EndpointStatus | None = None


class _PodSpec(Struct, gc=False):
    containers: list[Container] = field(default_factory=list)


class _Template(Struct, gc=False):
    spec: _PodSpec = field(default_factory=_PodSpec)


class _DaemonSetSpec(Struct, gc=False):
    template: _Template = field(default_factory=_Template)


class _DaemonSet(Struct, gc=False):
    """A DaemonSet, as far as its containers."""

    metadata: PodMetadata
    spec: _DaemonSetSpec = field(default_factory=_DaemonSetSpec)


_DAEMON_SET: Final = msgspec.json.Decoder(_DaemonSet)
_ENDPOINT: Final = msgspec.json.Decoder(_Endpoint)
_ANYTHING: Final = msgspec.json.Decoder(dict[str, Any])


class _Unfit(Exception):
    """An object that cannot be kept; says why."""


class NetworkRows:
    """Objects kept so far.

    Parameters
    ----------
    findings : Findings
        Where those that cannot be kept are named.
    """

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self._files: dict[tuple[str, str, str, str], str] = {}
        self._groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._agent_pods: list[dict[str, Any]] = []
        self._met: set[tuple[str, str]] = set()

    def add(self, objects: Sequence[WholeObject], file: str) -> None:
        """Add the objects of one batch.

        Parameters
        ----------
        objects : sequence of WholeObject
            Of kinds that are kept.
        file : str
            Where they came from.

        Raises
        ------
        None
            One that is of a wrong shape is a finding.
        """
        for each in objects:
            try:
                found = _SHORTENED.get(each.kind, _whole)(each)
            except (_Unfit, *_FAILURES) as error:
                self.findings.refuse(ObjectName(each.kind, *_names(each.raw), file), str(error))
                continue
            if found is None:
                self.findings.count(each.kind).ignored += 1
                continue
            self.findings.count(each.kind).read += 1
            group, place = (each.kind, each.api_version.rpartition("/")[0]), _place(found)
            if (*group, *place) in self._files:
                self.findings.duplicate(ObjectName(each.kind, *place, file), self._files[*group, *place])
                continue
            self._files[*group, *place] = file
            self._groups.setdefault(group, []).append(found)

    def add_pods(self, pods: list[DumpObject], file: str) -> None:
        """Look for agents among Pods.

        Parameters
        ----------
        pods : list of DumpObject
            Named objects of kind Pod.
        file : str
            Where they came from.

        Raises
        ------
        None
            Containers of a wrong type are a finding.
        """
        for place in agents_among([pod.metadata for pod in pods], [pod.status.phase for pod in pods], self._met):
            pod = pods[place]
            about = ObjectName("Pod", pod.metadata.namespace, pod.metadata.name, file)
            containers: list[Container] = self.findings.decode(
                pod.spec.containers, list[Container], "spec.containers", default=[], about=about
            )
            kept = _containers(containers)
            if kept:
                metadata = {"name": about.name, "namespace": about.namespace}
                spec = {"containers": kept}
                self._agent_pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def objects(
        self,
        *,
        nodes: Iterable[dict[str, Any]],
        services: Iterable[dict[str, Any]],
        endpoints: Iterable[dict[str, Any]],
        config_maps: Mapping[tuple[str, str], Mapping[str, str]],
    ) -> NetworkObjects:
        """Return what was kept.

        Parameters
        ----------
        nodes : iterable of dict
            The Nodes, as far as plugins need them.
        services : iterable of dict
            The Services, as far as the graph of traffic needs them.
        endpoints : iterable of dict
            What they lead to: EndpointSlices or Endpoints.
        config_maps : mapping of (str, str) to mapping of str to str
            ``data`` of the ConfigMaps that were opened, by namespace and name.

        Returns
        -------
        NetworkObjects
            Pods of an agent only where its DaemonSet is not there.

        Raises
        ------
        None
            Every reading has an answer.
        """
        opened = [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": namespace},
                "data": dict(data),
            }
            for (namespace, name), data in config_maps.items()
        ]
        groups = {
            ("ConfigMap", ""): opened,
            ("Node", ""): list(nodes),
            ("Service", ""): list(services),
            **self._groups,
        }
        for each in endpoints:
            groups.setdefault((each["kind"], each["apiVersion"].rpartition("/")[0]), []).append(each)
        found = NetworkObjects({key: tuple(sorted(groups[key], key=_place)) for key in sorted(groups) if groups[key]})
        known = {(agent.name, agent.namespace) for agent in found.agents}
        missing = [
            pod
            for pod in self._agent_pods
            if {(agent.name, agent.namespace) for agent in NetworkObjects().adding([pod]).agents} - known
        ]
        return found.adding(missing)


class NamespaceRows:
    """Namespaces read so far.

    Parameters
    ----------
    findings : Findings
        Where wrong ones are named.
    """

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self._files: dict[str, str] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._annotations: dict[str, dict[str, str]] = {}

    def add(self, namespaces: list[DumpObject], file: str) -> None:
        """Add the Namespaces of one batch.

        Parameters
        ----------
        namespaces : list of DumpObject
            Named objects of kind Namespace.
        file : str
            Where they came from.

        Raises
        ------
        None
            What is wrong in one is a finding.
        """
        for each in namespaces:
            about = ObjectName("Namespace", "", each.metadata.name, file)
            if about.name in self._files:
                self.findings.duplicate(about, self._files[about.name])
                continue
            self._files[about.name] = file
            for raw, path, found in (
                (each.metadata.labels, "metadata.labels", self._labels),
                (each.metadata.annotations, "metadata.annotations", self._annotations),
            ):
                found[about.name] = self.findings.decode(raw, dict[str, str], path, default={}, about=about)
                found[about.name].pop(_LAST_APPLIED, None)

    def labels(self, *, named: bool) -> dict[str, Mapping[str, str]]:
        """Return the labels of each.

        Parameters
        ----------
        named : bool
            Whether the API server gives every namespace the label with its name.

        Returns
        -------
        dict of str to mapping of str to str
            By name, sorted.

        Raises
        ------
        None
            Every reading has an answer.
        """
        return named_namespaces(self._labels) if named else {name: self._labels[name] for name in sorted(self._labels)}

    def annotations(self) -> dict[str, Mapping[str, str]]:
        """Return the annotations of each, but for kubectl's copy of the manifest.

        Returns
        -------
        dict of str to mapping of str to str
            By name, sorted.

        Raises
        ------
        None
            Every reading has an answer.
        """
        return {name: self._annotations[name] for name in sorted(self._annotations)}


def _place(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return namespace and name."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _whole(item: WholeObject) -> dict[str, Any]:
    """Decode an object whole, and see that plugins can rely on its shape."""
    found = _ANYTHING.decode(item.raw)
    metadata = found.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise _Unfit(_NAMELESS)
    for holder, path, kind in (
        (metadata, "metadata.namespace", str),
        (metadata, "metadata.labels", dict),
        (metadata, "metadata.annotations", dict),
        (found, "spec", dict),
        (found, "status", dict),
    ):
        name = path.rpartition(".")[2]
        value = holder.get(name)
        if value is None:
            holder.pop(name, None)
        elif not isinstance(value, kind):
            raise _Unfit(f"{path}: Expected `{_WORDS[kind]}`, got `{type(value).__name__}`")
    for name in _BOOKKEEPING:
        metadata.pop(name, None)
    annotations = metadata.get("annotations")
    if annotations and annotations.pop(_LAST_APPLIED, None) is not None and not annotations:
        del metadata["annotations"]
    found |= {"apiVersion": item.api_version, "kind": item.kind}
    return found


def _endpoint_of(item: WholeObject) -> dict[str, Any]:
    """Keep the identity and the addresses of a CiliumEndpoint."""
    endpoint = _ENDPOINT.decode(item.raw)
    names = endpoint.metadata
    if not names.name:
        raise _Unfit(_NAMELESS)
    metadata = {"name": names.name, "namespace": names.namespace, "uid": names.uid}
    networking = endpoint.status.networking if endpoint.status else None
    status = {} if networking is None else {"networking": networking}
    return {"apiVersion": item.api_version, "kind": item.kind, "metadata": metadata, "status": status}


def _agents_of(item: WholeObject) -> dict[str, Any] | None:
    """Keep the containers of agents of a DaemonSet; None for one without any."""
    daemon_set = _DAEMON_SET.decode(item.raw)
    metadata = {"name": daemon_set.metadata.name, "namespace": daemon_set.metadata.namespace}
    if not metadata["name"]:
        raise _Unfit(_NAMELESS)
    kept = _containers(daemon_set.spec.template.spec.containers)
    if not kept:
        return None
    spec = {"template": {"spec": {"containers": kept}}}
    return {"apiVersion": item.api_version, "kind": "DaemonSet", "metadata": metadata, "spec": spec}


# kinds of which only a part is kept
_SHORTENED: Final[Mapping[str, Callable[[WholeObject], dict[str, Any] | None]]] = {
    "CiliumEndpoint": _endpoint_of,
    "DaemonSet": _agents_of,
}


def _containers(containers: Iterable[Container]) -> list[dict[str, Any]]:
    """Write the containers of agents, without variables that have no literal value."""
    return [
        {
            "name": each.name,
            "image": each.image,
            "command": each.command or [],
            "args": each.args or [],
            "env": [{"name": one.name, "value": one.value} for one in each.env or () if one.value is not None],
        }
        for each in containers
        if each.name in AGENTS
    ]


class _Named(Struct, gc=False):
    metadata: PodMetadata = field(default_factory=PodMetadata)


def _names(raw: Raw) -> tuple[str, str]:
    """Return namespace and name of an object that cannot be kept, as far as it has them."""
    try:
        metadata = msgspec.json.decode(raw, type=_Named).metadata
    except _FAILURES:
        return "", "?"
    return metadata.namespace, metadata.name or "?"
