"""`ControlPlane`: one API server without the network; objects one at a time, answered as it answers.

Promises: for Services, Nodes, ServiceCIDRs and IPAddresses, what a real kube-apiserver of the version stores and
returns, and how it refuses: HTTP code, reason, causes in its order, its words.

Not known here: other kinds, admission plugins and webhooks, authorisation, namespaces (any is accepted), status, watch,
server-side apply. Objects carry no uid and no timestamps, so the same requests give the same bytes.

Sources: ``pkg/registry/core/service/storage``, ``pkg/registry/core/node``, ``pkg/registry/networking``; recordings of
kube-apiserver 1.20, 1.21, 1.23, 1.26 and 1.36.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsmodel.kube.behaviour import behaviour_of
from dsmodel.kube.fields import bad_request, conflict, exists, not_found, rejected
from dsmodel.kube.nodes import node_errors, node_spec, node_update_errors
from dsmodel.kube.patches import apply_patch
from dsmodel.kube.versions import KubeVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from dsmodel.addresses.cidr import Cidr

__all__ = ["ControlPlane"]

_MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


class ControlPlane:
    """One API server.

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
    >>> server = ControlPlane(kube_version="1.36", service_cidrs=["10.96.0.0/16"])
    >>> server.create({"kind": "Node", "metadata": {"name": "a"}, "spec": {"podCIDR": "10.244.0.0/24"}})["spec"]
    {'podCIDR': '10.244.0.0/24', 'podCIDRs': ['10.244.0.0/24']}
    """

    def __init__(
        self,
        *,
        kube_version: str | KubeVersion = "1.36",
        service_cidrs: Sequence[str | Cidr] = ("10.0.0.0/24",),
        feature_gates: Mapping[str, bool] | None = None,
        service_node_port_range: str = "30000-32767",
        rng: np.random.Generator | None = None,
    ) -> None:
        self.kube_version = KubeVersion(kube_version)
        self._behaviour = behaviour_of(self.kube_version, feature_gates)
        self._nodes: dict[str, dict[str, Any]] = {}
        self._revision = 1

    def create(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object.

        Parameters
        ----------
        manifest : mapping
            The object, as JSON.

        Returns
        -------
        dict
            The object as stored.

        Raises
        ------
        Rejected
            The server's refusal; nothing has changed.
        """
        return self._create_node(manifest)

    def patch(
        self, kind: str, name: str, patch: Any, *, patch_type: str = "strategic", namespace: str = "default"  # noqa: ANN401
    ) -> dict[str, Any]:
        """Patch an object."""
        old = self._nodes[name]
        return self._update_node(old, apply_patch(old, patch, patch_type=patch_type))

    def _create_node(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        name = manifest["metadata"]["name"]
        spec = node_spec(manifest.get("spec") or {}, dual_stack=self._behaviour.dual_stack)
        errors = node_errors(spec, version=self.kube_version, syntax=self._behaviour.address_syntax)
        if errors:
            raise rejected("Node", name, errors, style=self._behaviour.error_values)
        if name in self._nodes:
            raise exists("nodes", name)
        self._nodes[name] = {**manifest, "spec": spec}
        return self._nodes[name]

    def _update_node(self, old, new) -> dict[str, Any]:
        name = old["metadata"]["name"]
        spec = node_spec(new.get("spec") or {}, dual_stack=self._behaviour.dual_stack, old=old["spec"])
        errors = node_update_errors(spec, old["spec"], version=self.kube_version, syntax=self._behaviour.address_syntax)
        if errors:
            raise rejected("Node", name, errors, style=self._behaviour.error_values)
        self._nodes[name] = {**new, "spec": spec}
        return self._nodes[name]
