"""Follow a pod to a destination in both families, say what is not known, and let things fail."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cards import Card, Section
from dsmodel.errors import DsmodelError
from dsmodel.graph.masquerade import MasqueradeAgent
from dsmodel.graph.network import NAT64, BorderNAT, Network
from dsmodel.graph.paths.destinations import read_destinations
from dsmodel.graph.traces import trace
from dsmodel.widgets.panel import Answer, Control, Explorer, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.traces import Trace

__all__ = ["EgressExplorer"]

_MOST_LISTED = 1000  # pods and Services that are offered; any other may be typed
_MOST_NODES = 5000  # that can be let fail; the pod's own always can
_SHOWN, _UNKNOWN, _NONE = "as the cluster shows", "not known", "none"
_IPV4, _IPV6, _BOTH = str(IPFamily.IPV4), str(IPFamily.IPV6), "IPv4 and IPv6"
_AGENT = {"ip-masq-agent, IPv4 only": False, "ip-masq-agent with --enable-ipv6": True}
_FAMILIES = {_NONE: (), _IPV4: (_IPV4,), _IPV6: (_IPV6,), _BOTH: (_IPV4, _IPV6)}
_ROUTED = "cluster CIDRs"
_WITH_DNS64, _WITHOUT_DNS64 = "NAT64 and DNS64", "NAT64 alone"
_BORDER = "border"  # name of the NATs that a control puts at the border


class EgressExplorer(Explorer):
    """Ask how a pod leaves, as which source it is seen, and what a failure does to it.

    Parameters
    ----------
    cluster : Cluster
        With pods that have names.

    Attributes
    ----------
    controls : dict
        ``pod`` ("namespace/name"), ``destination`` ("internet", an address, a CIDR, "namespace/name" of a Service or
        pod, or a name as ``db.example=192.0.2.1,2001:db8::1``), ``port`` (0 for any), ``down`` (what fails, as
        `dsmodel.graph.network.Network.failing` names it); and what stands in no object: ``masquerading``, ``border``,
        ``routed``, ``default_route``, ``nat64``, each unknown until it is said.
    frame : pandas.DataFrame
        `dsmodel.graph.traces.Trace.frame`.
    trace : Trace or None
        The answer.

    Raises
    ------
    None
        What is wrong is shown beside its control.

    Examples
    --------
    >>> import dsmodel as ds
    >>> explorer = EgressExplorer(ds.examples.kubeadm_dual_stack())
    >>> explorer.frame["verdict"].unique().tolist()
    ['unknown']
    >>> for name in ("masquerading", "border", "routed"):
    ...     explorer.controls[name].value = "none"
    >>> explorer.controls["default_route"].value = "IPv4"
    >>> explorer.frame.groupby("ip_family")["verdict"].first().to_dict()
    {'IPv4': 'blackhole_return', 'IPv6': 'no_route'}
    """

    def __init__(self, cluster: Cluster) -> None:
        self.trace: Trace | None = None
        self._subject, self._known = cluster, Network.of(cluster)
        self._breakable = list(_breakable(cluster, self._known))
        pods = list(_names(cluster.pods, ~cluster.pods["host_network"]))
        services = list(_names(cluster.services, np.ones(len(cluster.services), np.bool_)))
        text: dict[str, Any] = {"continuous_update": False, "ensure_option": False}
        controls = {
            "pod": Control(
                ipywidgets.Combobox(value=pods[0] if pods else "", options=pods, **text), "pod", "namespace/name"
            ),
            "destination": Control(
                ipywidgets.Combobox(value="internet", options=["internet", *services], **text),
                "destination",
                "address, CIDR, Service, pod, or name=addresses",
            ),
            "port": Control(ipywidgets.BoundedIntText(value=0, min=0, max=65535), "port", "0 for any, to 65,535"),
            "masquerading": _choice("masquerading", "who rewrites sources on a node", _SHOWN, *_AGENT, _NONE),
            "border": _choice("NATs at the border", "families that are translated there", _UNKNOWN, *_FAMILIES),
            "routed": _choice("routed back to pods", "what the outside has a route to", _UNKNOWN, _NONE, _ROUTED),
            "default_route": _choice("default route", "families that nodes have one of", _UNKNOWN, *_FAMILIES),
            "nat64": _choice("NAT64", "for IPv6 to IPv4 servers", _UNKNOWN, _NONE, _WITH_DNS64, _WITHOUT_DNS64),
            "down": Control(
                ipywidgets.TagsInput(allowed_tags=self._breakable, allow_duplicates=False, placeholder="nothing"),
                "down",
                "part of a name; a click adds another",
            ),
        }
        super().__init__("How does this pod leave?", controls, cluster=cluster, slow=len(cluster.pods) > 50_000)

    def network(self) -> Network:
        """Return what the controls say of the network, failures included.

        Returns
        -------
        Network
            As `dsmodel.trace` takes it.

        Raises
        ------
        None
            Every position of the controls is a network.
        """
        values = {name: widget.value for name, widget in self.controls.items()}
        changes: dict[str, Any] = {}
        if values["masquerading"] != _SHOWN:
            changes["masquerades"] = self._masquerades(values["masquerading"])
        if values["border"] != _UNKNOWN:
            changes["border"] = [BorderNAT(name=_BORDER, family=each) for each in _FAMILIES[values["border"]]]  # type: ignore[arg-type]
        if values["routed"] != _UNKNOWN:
            changes["routed"] = self._subject.config.cluster_cidrs if values["routed"] == _ROUTED else ()
        if values["default_route"] != _UNKNOWN:
            changes["default_route"] = _FAMILIES[values["default_route"]]
        if values["nat64"] != _UNKNOWN:
            changes["nat64"] = () if values["nat64"] == _NONE else NAT64(dns64=values["nat64"] == _WITH_DNS64)
        return self._known.replacing(**changes).failing(*values["down"])

    def answer(self) -> Answer:
        """Follow the pod.

        Returns
        -------
        Answer
            Hops of both families, verdicts, what a failure changes, and what is not known.

        Raises
        ------
        Trouble
            There is no such pod, or the destination is none.
        """
        destination, network = self._destination(), self.network()
        pod, port = self.controls["pod"].value.strip(), self.controls["port"].value or None
        try:
            found = trace(self._subject, pod, destination, network=network, port=port)
        except DsmodelError as error:
            raise Trouble("pod", str(error)) from error
        self.trace, changes = found, ""
        self._offer(found.frame["at"].tolist())
        if network.failed:
            before = trace(self._subject, pod, destination, network=network.replacing(failed=()), port=port)
            changes = _changes(before, found)
        return Answer(found.frame, changes + found._repr_html_() + _missing(found, network))

    def _destination(self) -> Any:
        """Read where to, and refuse what is none or several."""
        text = self.controls["destination"].value.strip()
        name, sign, addresses = text.partition("=")
        given: Any = {name.strip(): [each.strip() for each in addresses.split(",")]} if sign else text
        try:
            read_destinations(given, self._subject)
        except DsmodelError as error:
            cause = str(error).partition(";")[0]
            raise Trouble("destination", f"{cause}; a name is written db.example=192.0.2.7,2001:db8::7") from error
        return given

    def _masquerades(self, choice: str) -> tuple[MasqueradeAgent, ...]:
        """Return what masquerades instead of what the cluster shows."""
        if choice == _NONE:
            return ()
        own = [each for each in self._known.masquerades or () if isinstance(each, MasqueradeAgent)]
        return (replace(own[0] if own else MasqueradeAgent(), enable_ipv6=_AGENT[choice]),)

    def _offer(self, hops: list[str]) -> None:
        """Name the node that the pod is on first of what can fail."""
        own = [hop for hop in dict.fromkeys(hops) if hop.startswith("Node/")][:1]
        offered = [*own, *(name for name in self._breakable if name not in own)]
        down = self.controls["down"]
        if down.allowed_tags != offered and set(down.value) <= set(offered):
            down.allowed_tags = offered


def _breakable(cluster: Cluster, network: Network) -> Iterator[str]:
    """Name what can fail: zones, gateways, translators, nodes."""
    yield from (f"Zone/{zone}" for zone in sorted({str(zone) for zone in cluster.nodes["zone"].tolist()} - {""}))
    yield from sorted({policy.title for policy in network.gateways})
    yield from (f"NAT/{_BORDER}", NAT64().title)
    yield from (f"Node/{name}" for name in cluster.nodes["name"][:_MOST_NODES].tolist())


def _choice(label: str, unit: str, *options: str) -> Control:
    """Make a control of words, the first of them chosen."""
    return Control(ipywidgets.Dropdown(options=options, value=options[0]), label, unit)


def _names(table: Any, wanted: Any) -> Iterator[str]:
    """Yield "namespace/name" of the first rows that have one."""
    rows = np.flatnonzero(wanted & (table["name"] != ""))[:_MOST_LISTED]
    for namespace, name in zip(table["namespace"][rows].tolist(), table["name"][rows].tolist(), strict=True):
        yield f"{namespace}/{name}"


def _changes(before: Trace, after: Trace) -> str:
    """Show the verdicts without the failure and with it."""
    rows = [
        (str(family), str(before.decisions[family].verdict), str(made.verdict), made.reason)
        for family, made in after.decisions.items()
    ]
    same = all(row[1] == row[2] for row in rows)
    title = "The failure changes no verdict" if same else "The failure changes what becomes of the traffic"
    return Card(title, (Section("Verdicts", rows, ("family", "before", "with it", "why"), whole=True),)).html()


def _missing(found: Trace, network: Network) -> str:
    """Say what nobody said, where an answer needs it."""
    is_open = any(str(made.verdict) == "unknown" for made in found.decisions.values())
    rows = [(words,) for words in network.unknown]
    title = "What nobody said (the controls above can)"
    return Card("", (Section(title, rows, is_open=False),)).html() if is_open and rows else ""
