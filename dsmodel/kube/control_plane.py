"""`ControlPlane`: one API server without the network; objects one at a time, answered as it answers.

Promises: for Services, Nodes, ServiceCIDRs and IPAddresses, what a real kube-apiserver of the version stores and
returns, and how it refuses: HTTP code, reason, causes in its order, its words.

Not known here: other kinds, admission plugins and webhooks, authorisation, namespaces (any is accepted), status, watch,
server-side apply. Objects carry no uid and no timestamps, so the same requests give the same bytes. A request that
cannot be decoded is told so in the words of current servers, whatever the version.

Sources: ``pkg/registry/core/service/storage``, ``pkg/registry/core/node``, ``pkg/registry/networking``; recordings of
kube-apiserver 1.20, 1.21, 1.23, 1.26 and 1.36.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import Cidr
from dsmodel.errors import Rejected
from dsmodel.kube.behaviour import behaviour_of
from dsmodel.kube.config import parse_port_range
from dsmodel.kube.fields import FieldError, bad_request, conflict, exists, invalid, not_found, rejected
from dsmodel.kube.manifests import typed_spec
from dsmodel.kube.names import dns_1123_subdomain
from dsmodel.kube.network_objects import (
    FINALIZER,
    cidr_may_go,
    cidr_status,
    ip_address_errors,
    managed_ip_address,
    new_service_cidr_errors,
    read_ip_name,
)
from dsmodel.kube.nodes import node_errors, node_spec, node_update_errors
from dsmodel.kube.patches import apply_patch
from dsmodel.kube.ports import NodePorts
from dsmodel.kube.service_cidrs import ServiceAddresses, flag_ranges, service_cidr_change_errors
from dsmodel.kube.services.spec import ServicePort, ServiceSpec, default_spec, read_spec, write_spec
from dsmodel.kube.services.storage import (
    Backend,
    Stored,
    change_service,
    create_service,
    forget_service,
    occupy_service,
)
from dsmodel.kube.versions import KubeVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np

__all__ = ["ControlPlane"]

# kind -> plural with its group
_RESOURCES = {
    "IPAddress": "ipaddresses.networking.k8s.io",
    "Node": "nodes",
    "Service": "services",
    "ServiceCIDR": "servicecidrs.networking.k8s.io",
}
_QUALIFIED = {"IPAddress": "IPAddress.networking.k8s.io", "ServiceCIDR": "ServiceCIDR.networking.k8s.io"}
_DEFAULT_CIDR = "kubernetes"
_MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
_MISSING = "the server could not find the requested resource"
_METADATA_TEXTS = ("name", "namespace", "generateName", "resourceVersion")
_METADATA_MAPS = ("labels", "annotations")
_KEPT_METADATA = ("name", "namespace", "labels", "annotations", "finalizers", "ownerReferences")


class ControlPlane:
    """One API server.

    A new one holds the Service ``default/kubernetes`` and, where IPAddress objects are used, the ServiceCIDR
    ``kubernetes``.

    Parameters
    ----------
    kube_version : str or KubeVersion
        Version of the server.
    service_cidrs : sequence of str or Cidr
        ``--service-cluster-ip-range``: one range, or one of each family; the first is primary.
    feature_gates : mapping of str to bool, optional
        ``--feature-gates``.
    service_node_port_range : str
        ``--service-node-port-range``.
    rng : numpy.random.Generator, optional
        Where the server's random choices start. None starts every search at the first address or port of the dynamic
        band, so that the lowest free one is taken: the same requests then always get the same answers.

    Raises
    ------
    InvalidConfig
        The server would not start.

    Examples
    --------
    >>> server = ControlPlane(kube_version="1.36", service_cidrs=["10.96.0.0/16", "fd00:10:96::/112"])
    >>> web = {"kind": "Service", "metadata": {"name": "web"},
    ...        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}], "ipFamilyPolicy": "PreferDualStack"}}
    >>> server.create(web)["spec"]["clusterIPs"]
    ['10.96.1.1', 'fd00:10:96::101']
    >>> server.create(web)
    Traceback (most recent call last):
    dsmodel.errors.Rejected: services "web" already exists
    """

    def __init__(
        self,
        *,
        kube_version: str | KubeVersion = "1.36",
        service_cidrs: Sequence[str | Cidr] = (),
        feature_gates: Mapping[str, bool] | None = None,
        service_node_port_range: str = "30000-32767",
        rng: np.random.Generator | None = None,
    ) -> None:
        self.kube_version = KubeVersion(kube_version)
        behaviour = behaviour_of(self.kube_version, feature_gates)
        ranges = flag_ranges(service_cidrs, behaviour)
        first, last = parse_port_range(service_node_port_range)
        ports = NodePorts(first, last, band=behaviour.port_band, rng=rng)
        self._backend = Backend(behaviour, ServiceAddresses(ranges, behaviour, rng=rng), ports)
        self._services: dict[tuple[str, str], Stored] = {}
        self._objects: dict[tuple[str, str], dict[str, Any]] = {}
        self._deleting: set[str] = set()
        self._revision = 0
        self._flags = ranges
        self._start(ranges)

    def copy(self) -> ControlPlane:
        """Return an independent server in the same state, cheaply.

        Returns
        -------
        ControlPlane
            What happens to one of the two does not happen to the other; they share the generator of random numbers.

        Raises
        ------
        None
            Every state can be copied.

        Examples
        --------
        >>> server = ControlPlane(service_cidrs=["10.96.0.0/16"])
        >>> _ = server.copy().delete("Service", "kubernetes")
        >>> server.get("Service", "kubernetes")["metadata"]["name"]
        'kubernetes'
        """
        twin = object.__new__(ControlPlane)
        twin.kube_version = self.kube_version
        twin._backend = Backend(self._backend.behaviour, self._backend.addresses.copy(), self._backend.ports.copy())
        twin._services = dict(self._services)
        twin._objects = {key: _copied(value) for key, value in self._objects.items()}
        twin._deleting = set(self._deleting)
        twin._revision = self._revision
        twin._flags = self._flags
        return twin

    def load(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Install objects that exist already, asking no rule.

        Parameters
        ----------
        objects : iterable of mapping
            Services, Nodes, ServiceCIDRs and IPAddresses as an API returned them. One of a name that exists replaces
            it; what two Services hold alike, or what lies in no range, is no error.

        Raises
        ------
        Rejected
            A field has a type that cannot be decoded, or the server does not have the kind.

        Examples
        --------
        >>> server = ControlPlane(service_cidrs=["10.96.0.0/16"])
        >>> server.load([{"kind": "Service", "metadata": {"name": "a"}, "spec": {"clusterIPs": ["10.96.1.1"]}}])
        >>> server.create({"kind": "Service", "metadata": {"name": "b"}, "spec": {"ports": [{"port": 80}]}})["spec"][
        ...     "clusterIP"]
        '10.96.1.2'
        """
        for given in objects:
            kind = self._kind(given)
            metadata = self._metadata(given, kind)
            if kind != "Service":
                self._store(kind, metadata, given.get("spec") or {})
                continue
            spec = read_spec(given.get("spec"))
            earlier = self._services.pop((metadata["namespace"], metadata["name"]), None)
            if earlier is not None:
                forget_service(earlier.spec, self._backend)
            occupy_service(spec, metadata, self._backend)
            self._keep_service(metadata, spec)

    def create(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object.

        Parameters
        ----------
        manifest : mapping
            The object, as JSON: a Service, Node, ServiceCIDR or IPAddress. It is not changed.

        Returns
        -------
        dict
            The object as stored, its spec complete.

        Raises
        ------
        Rejected
            The server's refusal; nothing has changed.

        Examples
        --------
        >>> server = ControlPlane(service_cidrs=["10.96.0.0/16"])
        >>> node = {"kind": "Node", "metadata": {"name": "a"}, "spec": {"podCIDR": "10.244.0.0/24"}}
        >>> server.create(node)["spec"]["podCIDRs"]
        ['10.244.0.0/24']
        """
        kind = self._kind(manifest)
        metadata = self._metadata(manifest, kind)
        if kind == "Service":
            return self._create_service(manifest, metadata)
        name, spec = metadata["name"], typed_spec(kind, manifest)
        if kind == "Node":
            spec = node_spec(spec, dual_stack=self._backend.behaviour.dual_stack)
        self._refuse(kind, name, self._new_errors(kind, name, spec))
        if self._exists(kind, name):
            raise exists(_RESOURCES[kind], name)
        return self._store(kind, metadata, spec)

    def replace(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object, as PUT does.

        Parameters
        ----------
        manifest : mapping
            The whole object; with a ``resourceVersion`` that is not the stored one it is refused.

        Returns
        -------
        dict
            The object as stored.

        Raises
        ------
        Rejected
            The server's refusal; nothing has changed.
        """
        kind = self._kind(manifest)
        metadata = self._metadata(manifest, kind)
        return self._update(kind, metadata, manifest)

    def patch(
        self,
        kind: str,
        name: str,
        patch: Any,
        *,
        patch_type: str = "strategic",
        namespace: str = "default",
    ) -> dict[str, Any]:
        """Patch an object.

        Parameters
        ----------
        kind, name : str
            Which object.
        patch : dict or list
            The patch, as JSON.
        patch_type : {"strategic", "merge", "json"}
            Which kind of patch it is.
        namespace : str
            Of a Service.

        Returns
        -------
        dict
            The object as stored.

        Raises
        ------
        Rejected
            The server's refusal; nothing has changed.

        Examples
        --------
        >>> server = ControlPlane(service_cidrs=["10.96.0.0/16"])
        >>> server.patch("Service", "kubernetes", {"spec": {"sessionAffinity": "ClientIP"}})["spec"]["sessionAffinity"]
        'ClientIP'
        """
        changed = apply_patch(self.get(kind, name, namespace=namespace), patch, patch_type=patch_type)
        if not isinstance(changed, dict):
            raise bad_request("the patched document is no object")
        metadata = self._metadata(changed, kind)
        if metadata.get("name") != name:
            words = f"the name of the object ({metadata.get('name')}) does not match the name on the URL ({name})"
            raise bad_request(words)
        return self._update(kind, metadata, changed)

    def delete(self, kind: str, name: str, *, namespace: str = "default") -> dict[str, Any]:
        """Delete an object.

        Parameters
        ----------
        kind, name : str
            Which object.
        namespace : str
            Of a Service.

        Returns
        -------
        dict
            The object as it was. A ServiceCIDR whose addresses are in use stays, not allocated from, until they are
            free.

        Raises
        ------
        Rejected
            404 when there is no such object.
        """
        found = self.get(kind, name, namespace=namespace)
        if kind == "Service":
            forget_service(self._services.pop((namespace, name)).spec, self._backend)
        elif kind == "ServiceCIDR":
            for cidr in self._cidrs(name):
                self._backend.addresses.retire_range(name, cidr)
            self._deleting.add(name)
        elif kind == "IPAddress":
            address = read_ip_name(name)
            if address is not None:
                self._backend.addresses.unblock(*address)
            self._objects.pop((kind, name), None)
        else:
            del self._objects[kind, name]
        self._let_cidrs_go()
        return found

    def get(self, kind: str, name: str, *, namespace: str = "default") -> dict[str, Any]:
        """Read an object.

        Parameters
        ----------
        kind, name : str
            Which object.
        namespace : str
            Of a Service.

        Returns
        -------
        dict
            A new document.

        Raises
        ------
        Rejected
            404 when there is no such object or kind.

        Examples
        --------
        >>> ControlPlane(service_cidrs=["10.96.0.0/16"]).get("Service", "kubernetes")["spec"]["clusterIP"]
        '10.96.0.1'
        """
        if kind == "Service":
            stored = self._services.get((namespace, name))
            if stored is None:
                raise not_found("services", name)
            return _service_object(stored)
        if kind not in _RESOURCES:
            raise Rejected(_MISSING, code=404, reason="NotFound")
        found = self._objects.get((kind, name))
        if found is None and kind == "IPAddress":
            address = read_ip_name(name)
            owner = self._backend.addresses.owners.get(address) if address else None
            found = managed_ip_address(address, owner) if address and owner else None
        if found is None:
            raise not_found(_RESOURCES[kind], name)
        return dict(_copied(found))

    def _start(self, ranges: Sequence[Cidr]) -> None:
        """Create what the server creates for itself."""
        behaviour = self._backend.behaviour
        spec = ServiceSpec(
            ports=[ServicePort("https", "TCP", None, 443, 6443)], cluster_ip=ranges[0].address(1), type="ClusterIP"
        )
        default_spec(spec, behaviour)
        metadata = {"name": "kubernetes", "namespace": "default"}
        create_service(spec, metadata, self._backend, taken=False)
        self._revision += 1
        self._services["default", "kubernetes"] = Stored({**metadata, "resourceVersion": "1"}, spec)
        if behaviour.address_objects:
            self._store_flags()

    def _store_flags(self) -> None:
        """Create the ServiceCIDR of the flags, as the server does at its start and whenever it is gone."""
        self._store("ServiceCIDR", {"name": _DEFAULT_CIDR}, {"cidrs": [str(cidr) for cidr in self._flags]})

    def _kind(self, manifest: Any) -> str:
        """Read the kind of an object, and whether the server has it."""
        if not isinstance(manifest, dict):
            raise bad_request(f"an object is a mapping, not {type(manifest).__name__}")
        kind = manifest.get("kind", "Service")
        if (
            not isinstance(kind, str)
            or kind not in _RESOURCES
            or (kind in _QUALIFIED and not self._backend.behaviour.address_objects)
        ):
            raise Rejected(_MISSING, code=404, reason="NotFound")
        return kind

    def _metadata(self, manifest: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """Read and complete the metadata of an object."""
        given = manifest.get("metadata") or {}
        if not isinstance(given, dict):
            raise _mistyped(kind, "metadata", "ObjectMeta")
        for key in _METADATA_TEXTS:
            if given.get(key) is not None and not isinstance(given[key], str):
                raise _mistyped(kind, f"metadata.{key}", "string")
        for key in _METADATA_MAPS:
            entries = {} if given.get(key) is None else given[key]
            if not isinstance(entries, dict) or not all(isinstance(v, str) for kv in entries.items() for v in kv):
                raise _mistyped(kind, f"metadata.{key}", "map[string]string")
        metadata = dict(given)
        if kind == "Service" and not metadata.get("namespace"):
            metadata["namespace"] = "default"
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = f"{metadata['generateName']}{self._revision:05d}"
        metadata.setdefault("name", "")
        return metadata

    def _create_service(self, manifest: Mapping[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
        """Create a Service."""
        spec = read_spec(manifest.get("spec"))
        default_spec(spec, self._backend.behaviour)
        key = metadata["namespace"], metadata["name"]
        create_service(spec, metadata, self._backend, taken=key in self._services)
        return self._keep_service(metadata, spec)

    def _change_service(self, manifest: Mapping[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
        """Change a Service."""
        spec = read_spec(manifest.get("spec"))
        default_spec(spec, self._backend.behaviour)
        change_service(spec, metadata, self._services[metadata["namespace"], metadata["name"]], self._backend)
        kept = self._keep_service(metadata, spec)
        self._let_cidrs_go()
        return kept

    def _keep_service(self, metadata: dict[str, Any], spec: ServiceSpec) -> dict[str, Any]:
        """Store a Service and return it."""
        self._revision += 1
        kept = {key: metadata[key] for key in _KEPT_METADATA if metadata.get(key)}
        kept["resourceVersion"] = str(self._revision)
        stored = Stored(kept, spec)
        self._services[kept["namespace"], kept["name"]] = stored
        return _service_object(stored)

    def _update(self, kind: str, metadata: dict[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Replace or patch any object."""
        name = metadata["name"]
        old = self.get(kind, name, namespace=metadata.get("namespace") or "default")
        revision = metadata.get("resourceVersion")
        if revision and revision != old["metadata"]["resourceVersion"]:
            raise conflict(_RESOURCES[kind], name, _MODIFIED)
        if kind == "Service":
            return self._change_service(manifest, metadata)
        spec: dict[str, Any] = typed_spec(kind, manifest)
        before = old["spec"]
        if kind == "Node":
            spec = node_spec(spec, dual_stack=self._backend.behaviour.dual_stack, old=before)
        self._refuse(kind, name, self._change_errors(kind, spec, before))
        return self._store(kind, metadata, spec)

    def _new_errors(self, kind: str, name: str, spec: Mapping[str, Any]) -> list[FieldError]:
        """Validate a new object that is no Service."""
        if kind == "ServiceCIDR":
            return new_service_cidr_errors(name, spec)
        if kind == "IPAddress":
            return ip_address_errors(name, spec)
        syntax = self._backend.behaviour.address_syntax
        named = [invalid("metadata.name", name, words) for words in dns_1123_subdomain(name)]
        return named + node_errors(spec, version=self.kube_version, syntax=syntax)

    def _change_errors(self, kind: str, spec: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
        """Validate a changed object that is no Service."""
        if kind == "ServiceCIDR":
            return service_cidr_change_errors(spec.get("cidrs"), old["cidrs"])
        if kind == "IPAddress":
            frozen = spec.get("parentRef") == old.get("parentRef")
            return [] if frozen else [FieldError("Invalid", "spec.parentRef", None, "field is immutable")]
        syntax = self._backend.behaviour.address_syntax
        return node_update_errors(spec, old, version=self.kube_version, syntax=syntax)

    def _refuse(self, kind: str, name: str, errors: list[FieldError]) -> None:
        """Refuse when there are errors."""
        if errors:
            raise rejected(_QUALIFIED.get(kind, kind), name, errors, style=self._backend.behaviour.error_values)

    def _exists(self, kind: str, name: str) -> bool:
        """Say whether a name is taken by an object that is no Service."""
        if kind == "IPAddress":
            return (kind, name) in self._objects or read_ip_name(name) in self._backend.addresses.owners
        return (kind, name) in self._objects

    def _store(self, kind: str, metadata: dict[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
        """Store an object that is no Service, with what its controller adds, and return it."""
        self._revision += 1
        kept = {key: metadata[key] for key in _KEPT_METADATA if metadata.get(key)}
        kept["resourceVersion"] = str(self._revision)
        version = "v1" if kind == "Node" else "networking.k8s.io/v1"
        stored: dict[str, Any] = {"apiVersion": version, "kind": kind, "metadata": kept, "spec": dict(spec)}
        name = kept["name"]
        if kind == "ServiceCIDR":
            kept["finalizers"] = [FINALIZER]
            stored["status"] = cidr_status(terminating=name in self._deleting)
            for text in spec["cidrs"]:
                if name not in self._deleting:
                    self._backend.addresses.add_range(name, Cidr(text))
        elif kind == "IPAddress" and (address := read_ip_name(name)) is not None:
            reference = spec["parentRef"]
            self._backend.addresses.block(*address, owner=f"{reference.get('namespace', '')}/{reference['name']}")
        self._objects[kind, name] = stored
        return dict(_copied(stored))

    def _cidrs(self, name: str) -> list[Cidr]:
        """Return the ranges of a ServiceCIDR."""
        return [Cidr(text) for text in self._objects["ServiceCIDR", name]["spec"]["cidrs"]]

    def _let_cidrs_go(self) -> None:
        """Remove deleted ServiceCIDRs whose addresses are free or covered; mark the others."""
        for name in sorted(self._deleting):
            named = {key[1]: self._cidrs(key[1]) for key in self._objects if key[0] == "ServiceCIDR"}
            if cidr_may_go(name, named, self._backend.addresses.owners):
                del self._objects["ServiceCIDR", name]
                self._deleting.discard(name)
                for cidr in named[name]:
                    self._backend.addresses.forget_range(cidr)
                if name == _DEFAULT_CIDR:
                    self._store_flags()
            else:
                self._objects["ServiceCIDR", name]["status"] = cidr_status(terminating=True)


def _service_object(stored: Stored) -> dict[str, Any]:
    """Write a Service as the API returns it."""
    metadata = {key: dict(value) if isinstance(value, dict) else value for key, value in stored.metadata.items()}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": write_spec(stored.spec),
        "status": {"loadBalancer": {}},
    }


def _copied(value: Any) -> Any:
    """Copy a JSON document."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _mistyped(kind: str, path: str, go_type: str) -> Rejected:
    """Word metadata of the wrong type."""
    words = f"json: cannot unmarshal value into Go struct field ObjectMeta.{path} of type {go_type}"
    return bad_request(f'{kind} in version "v1" cannot be handled as a {kind}: {words}')
