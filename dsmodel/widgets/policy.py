"""Ask the API server about one Service: what it stores, or its refusal in its own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import pandas as pd
from markupsafe import Markup

from dsmodel.cards import Card, Section
from dsmodel.errors import DsmodelError, Rejected
from dsmodel.kube.control_plane import ControlPlane
from dsmodel.kube.versions import NEWEST, OLDEST
from dsmodel.widgets.panel import Answer, Control, Explorer, Trouble

if TYPE_CHECKING:
    from dsmodel.cluster.state import Cluster

__all__ = ["PolicyExplorer"]

_UNSET = "(not set)"
_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_POLICIES = (_UNSET, "SingleStack", "PreferDualStack", "RequireDualStack")
_FAMILIES = (_UNSET, "IPv4", "IPv6", "IPv4,IPv6", "IPv6,IPv4")
_SHOWN = ("type", "ipFamilyPolicy", "ipFamilies", "clusterIP", "clusterIPs", "ports")


class PolicyExplorer(Explorer):
    """Move the fields of a Service and read what the API server makes of it.

    Parameters
    ----------
    cluster : Cluster, optional
        Its version and service ranges are where the controls start; a dual-stack 1.36 if left out.

    Attributes
    ----------
    controls : dict
        ``kube_version``, ``service_cidrs``, ``type``, ``ip_family_policy``, ``ip_families``, ``cluster_ips``,
        ``has_selector``.
    frame : pandas.DataFrame
        ``field``, ``asked``, ``stored``; where it is refused ``field``, ``reason``, ``message``.

    Raises
    ------
    None
        What is wrong is shown beside its control.

    Examples
    --------
    >>> explorer = PolicyExplorer()
    >>> explorer.controls["ip_family_policy"].value = "PreferDualStack"
    >>> explorer.frame.set_index("field").loc["clusterIPs", "stored"]
    '10.96.1.1, fd00:10:96::101'
    """

    def __init__(self, cluster: Cluster | None = None) -> None:
        version = str(cluster.config.kube_version) if cluster else f"1.{NEWEST}"
        ranges = ",".join(map(str, cluster.config.service_cidrs)) if cluster else "10.96.0.0/16,fd00:10:96::/112"
        versions = [f"1.{minor}" for minor in range(OLDEST, NEWEST + 1)]
        text: dict[str, Any] = {"continuous_update": False}
        controls = {
            "kube_version": Control(
                ipywidgets.Dropdown(options=versions, value=version),
                "Kubernetes version",
                f"{versions[0]} to {versions[-1]}",
            ),
            "service_cidrs": Control(
                ipywidgets.Text(value=ranges, **text), "service CIDRs", "one, or one of each family"
            ),
            "type": Control(ipywidgets.Dropdown(options=_TYPES), "type", "how it is published"),
            "ip_family_policy": Control(
                ipywidgets.Dropdown(options=_POLICIES), "ipFamilyPolicy", "how many families it asks for"
            ),
            "ip_families": Control(
                ipywidgets.Dropdown(options=_FAMILIES), "ipFamilies", "the first is the primary one"
            ),
            "cluster_ips": Control(ipywidgets.Text(**text), "clusterIPs", 'addresses with commas, "None", or empty'),
            "has_selector": Control(ipywidgets.Checkbox(value=True, indent=False), "selector", "whether it has one"),
        }
        super().__init__("What does the API server make of this Service?", controls, cluster=cluster)

    def manifest(self) -> dict[str, Any]:
        """Return the manifest that the controls say.

        Returns
        -------
        dict
            A v1 Service.

        Raises
        ------
        None
            Every position of the controls is a manifest, though not always one that is accepted.
        """
        values = {name: widget.value for name, widget in self.controls.items()}
        spec: dict[str, Any] = {"type": values["type"], "ports": [{"port": 80, "protocol": "TCP"}]}
        if values["type"] == "ExternalName":
            spec["externalName"] = "www.example.com"
        if values["has_selector"]:
            spec["selector"] = {"app": "web"}
        if values["ip_family_policy"] != _UNSET:
            spec["ipFamilyPolicy"] = values["ip_family_policy"]
        if values["ip_families"] != _UNSET:
            spec["ipFamilies"] = values["ip_families"].split(",")
        asked = [part.strip() for part in values["cluster_ips"].split(",") if part.strip()]
        if asked:
            spec |= {"clusterIP": asked[0], "clusterIPs": asked}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}

    def answer(self) -> Answer:
        """Ask a server that has nothing but its own Service.

        Returns
        -------
        Answer
            The stored Service, or the refusal.

        Raises
        ------
        Trouble
            The server would not start with these ranges.
        """
        ranges = [part.strip() for part in self.controls["service_cidrs"].value.split(",") if part.strip()]
        try:
            server = ControlPlane(kube_version=self.controls["kube_version"].value, service_cidrs=ranges)
        except DsmodelError as error:
            raise Trouble("service_cidrs", str(error)) from error
        manifest = self.manifest()
        try:
            stored = server.create(manifest)["spec"]
        except Rejected as refusal:
            return _refused(refusal)
        rows = [(name, _text(manifest["spec"].get(name)), _text(stored.get(name))) for name in _SHOWN]
        frame = pd.DataFrame(rows, columns=["field", "asked", "stored"], dtype="str")
        card = Card("Accepted", (Section("Service web", rows, ("field", "asked", "stored")),))
        return Answer(frame, card.html())


def _refused(refusal: Rejected) -> Answer:
    """Show a refusal in the server's words."""
    rows = [(cause.field, cause.reason, cause.message) for cause in refusal.causes]
    frame = pd.DataFrame(rows, columns=["field", "reason", "message"], dtype="str")
    words = Markup("<strong>Refused ({} {})</strong><pre style='white-space:pre-wrap'>{}</pre>").format(
        refusal.code, refusal.reason, refusal.message
    )
    return Answer(frame, str(words))


def _text(value: Any) -> str:
    """Write a field as a reader of the API knows it."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, dict):
        return " ".join(f"{key}={item}" for key, item in value.items())
    return str(value)
