"""Say what a cluster is to hold and which blocks one owns, and read the smallest ranges that hold it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import ipywidgets
from markupsafe import Markup

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import DsmodelError
from dsmodel.kube.versions import NEWEST, OLDEST
from dsmodel.planning.layout import LayoutDoesNotFit, plan_layout
from dsmodel.widgets.panel import Answer, Control, Explorer, Trouble

if TYPE_CHECKING:
    import pandas as pd

    from dsmodel.cluster.state import Cluster
    from dsmodel.planning.layout import Layout

__all__ = ["PlanExplorer"]

_BLOCKS = {IPFamily.IPV4: "10.0.0.0/8", IPFamily.IPV6: "fd00:10::/48"}
_INSTALLERS = ("kubeadm", "k3s", "rke2", "flags")
_MOST_PLANS = 8
_MOST = {"nodes": 100_000, "pods_per_node": 1000, "services": 1_000_000}
_PASTE = Markup("<details><summary>{}</summary><pre style='white-space:pre-wrap'>{}</pre></details>")


class PlanExplorer(Explorer):
    """Plan ranges inside blocks one owns, and take one of the plans.

    Parameters
    ----------
    cluster : Cluster, optional
        Its counts and version are where the controls start; 100 nodes if left out.

    Attributes
    ----------
    controls : dict
        ``nodes``, ``pods_per_node``, ``services``, ``growth_ratio`` (a year), ``years``, ``blocks_ipv4``,
        ``blocks_ipv6`` (CIDRs with commas, empty for a family that is not wanted), ``avoid``, ``primary``,
        ``kube_version``, ``installer``, ``plan`` (which of the alternatives).
    frame : pandas.DataFrame
        `dsmodel.planning.layout.Layout.ranges`.
    layout : Layout or None
        The plan.

    Raises
    ------
    None
        What is wrong, or does not fit, is shown beside its control.

    Examples
    --------
    >>> explorer = PlanExplorer()
    >>> explorer.controls["blocks_ipv6"].value = ""
    >>> explorer.controls["nodes"].value = 20
    >>> explorer.frame[["use", "range", "node_cidr_mask_size"]].values.tolist()
    [['pods', '10.0.0.0/19', 25], ['services', '10.0.32.0/23', <NA>], ['nodes', '10.0.34.0/26', <NA>]]
    """

    def __init__(self, cluster: Cluster | None = None) -> None:
        self.layout: Layout | None = None
        config = cluster.config if cluster else None
        start = {
            "nodes": max(len(cluster.nodes), 1) if cluster else 100,
            "pods_per_node": config.max_pods if config else 110,
            "services": max(len(cluster.services), 1) if cluster else 200,
        }
        versions = [f"1.{minor}" for minor in range(OLDEST, NEWEST + 1)]
        version = str(config.kube_version) if config else versions[-1]
        families = [str(family) for family in (config.ip_families if config else ())] or [str(IPFamily.IPV4)]
        controls = {
            **{name: _count(name.replace("_per_", " a "), start[name], most) for name, most in _MOST.items()},
            "growth_ratio": _amount("growth a year", 0.2, 10, "0 to 10; 0.2 is 20 %"),
            "years": _amount("years", 3, 30, "0 to 30, until when it must hold"),
            "blocks_ipv4": _text("own IPv4 blocks", _BLOCKS[IPFamily.IPV4], "CIDRs, or empty"),
            "blocks_ipv6": _text("own IPv6 blocks", _BLOCKS[IPFamily.IPV6], "CIDRs, or empty"),
            "avoid": _text("avoid", "", "CIDRs in use elsewhere"),
            "primary": _choice(
                "primary family", [str(family) for family in IPFamily], families[0], "of Services without a policy"
            ),
            "kube_version": _choice("Kubernetes version", versions, version, f"{versions[0]} to {versions[-1]}"),
            "installer": _choice("installer", _INSTALLERS, "kubeadm", "whose limits hold, and whose file is written"),
            "plan": Control(
                ipywidgets.IntSlider(value=0, min=0, max=_MOST_PLANS - 1, continuous_update=False),
                "plan",
                f"0, the smallest, to {_MOST_PLANS - 1} at most",
            ),
        }
        super().__init__("Which ranges hold this cluster?", controls, cluster=cluster)

    def answer(self) -> Answer:
        """Plan as the controls say.

        Returns
        -------
        Answer
            Ranges, alternatives, and what to paste.

        Raises
        ------
        Trouble
            A block is none, or nothing fits; the message says what to relax.
        """
        values: dict[str, Any] = {name: widget.value for name, widget in self.controls.items()}
        blocks = {family: self._cidrs(f"blocks_{str(family).lower()}", family) for family in IPFamily}
        families = sorted(
            (family for family in IPFamily if blocks[family]), key=lambda family: family != values["primary"]
        )
        if not families:
            raise Trouble("blocks_ipv4", "name a block of one family at least")
        demand = {name: values[name] for name in (*_MOST, "growth_ratio", "years")} | {"ip_families": families}
        avoid = self._cidrs("avoid")
        try:
            found = plan_layout(
                demand,
                [cidr for family in families for cidr in blocks[family]],
                avoid=avoid,
                kube_version=values["kube_version"],
                installer=values["installer"],
                alternatives=_MOST_PLANS,
            )
        except LayoutDoesNotFit as error:
            raise Trouble(_short_of(error.relax, families), str(error)) from error
        except DsmodelError as error:
            named = [each for each in families if any(str(cidr) in str(error) for cidr in blocks[each])]
            raise Trouble(f"blocks_{str((named or families)[0]).lower()}", str(error)) from error
        slider = self.controls["plan"]
        with slider.hold_sync():
            slider.max = len(found.placements) - 1
        self.layout = found.choose(min(slider.value, slider.max))
        return Answer(self.layout.ranges, self.layout.card().html() + _pasted(self.layout, values["installer"]))

    def _cidrs(self, control: str, family: IPFamily | None = None) -> list[Cidr]:
        """Read the CIDRs of a control."""
        found = []
        for text in self.controls[control].value.split(","):
            if not text.strip():
                continue
            try:
                cidr = Cidr(text.strip(), host_bits="mask")
            except DsmodelError as error:
                raise Trouble(control, str(error)) from error
            if family and cidr.family is not family:
                raise Trouble(control, f"{cidr} is {cidr.family}; write it into the other control")
            found.append(cidr)
        return found


def _short_of(relax: pd.DataFrame, families: list[IPFamily]) -> str:
    """Name the control of the family that is short; that of the nodes where no block would do."""
    short = relax.loc[relax["constraint"] == "blocks", "ip_family"].tolist()
    family = short[0] if short else ""
    return f"blocks_{family.lower()}" if family in families else "nodes"


def _pasted(layout: Layout, installer: str) -> str:
    """Write what the installer and the components read; JSON is YAML."""
    flags = "\n".join(f"{component} {' '.join(given)}" for component, given in layout.flags().items())
    shown = _PASTE.format("Flags of the components", flags)
    if installer == "kubeadm":
        documents = "\n---\n".join(json.dumps(each, indent=2) for each in layout.kubeadm())
        shown = _PASTE.format("For kubeadm init --config (JSON, which is YAML too)", documents) + shown
    elif installer in {"k3s", "rke2"}:
        text = json.dumps(layout.k3s(), indent=2)
        shown = _PASTE.format(f"For /etc/rancher/{installer}/config.yaml (JSON, which is YAML too)", text) + shown
    return str(shown)


def _count(label: str, value: int, most: int) -> Control:
    """Make a number of objects."""
    most = max(most, value)
    return Control(ipywidgets.BoundedIntText(value=value, min=1, max=most), label, f"1 to {most:,}")


def _amount(label: str, value: float, most: float, unit: str) -> Control:
    """Make a number that may have a fraction."""
    return Control(ipywidgets.BoundedFloatText(value=value, min=0, max=most, step=0.1), label, unit)


def _text(label: str, value: str, unit: str) -> Control:
    """Make a line of text."""
    return Control(ipywidgets.Text(value=value, continuous_update=False), label, unit)


def _choice(label: str, options: Any, value: str, unit: str) -> Control:
    """Make a control of words."""
    return Control(ipywidgets.Dropdown(options=options, value=value), label, unit)
