"""Move ranges, masks, pods a node and growth; watch what binds, and when."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cards import Card
from dsmodel.cluster.state import Cluster
from dsmodel.errors import DsmodelError, InvalidCidr
from dsmodel.kube.config import DEFAULT_NODE_MASKS, ClusterConfig
from dsmodel.planning.forecasting.runs import forecasting
from dsmodel.planning.scenario import Scenario
from dsmodel.progress import finished
from dsmodel.reports.headroom import limits, summary
from dsmodel.widgets.bars import limit_bars
from dsmodel.widgets.panel import Answer, Control, Explorer, Trouble

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from dsmodel.planning.forecasting import Forecast

__all__ = ["CapacityExplorer"]

_MASK_BOUNDS = {IPFamily.IPV4: (16, 30), IPFamily.IPV6: (48, 124)}
_MOST_NODES, _MOST_PODS, _MOST_SERVICES = 5000, 250, 50_000
_MOST_A_WEEK = 100_000
_RATES = ("nodes_per_week", "pods_per_week", "services_per_week")
_START, _STEP_DAYS, _SEED = "2026-01-01", 7, 20260101
_COUNTS, _REPLAY = "counts", "allocators"
_HORIZONS = {_COUNTS: "5y", _REPLAY: "1y"}
_TRAJECTORIES = {_COUNTS: 300, _REPLAY: 10}


class CapacityExplorer(Explorer):
    """Size a cluster by moving its ranges, and read what runs out first.

    Parameters
    ----------
    cluster : Cluster, optional
        Its configuration and counts are where the controls start; it is not changed. kubeadm's usual ranges if left
        out.

    Attributes
    ----------
    controls : dict
        ``cluster_cidr_ipv4``, ``cluster_cidr_ipv6`` (empty for none), ``mask_ipv4``, ``mask_ipv6``, ``service_cidrs``,
        ``max_pods``, ``nodes``, ``pods_per_node``, ``services``, ``nodes_per_week``, ``pods_per_week``,
        ``services_per_week``, ``start`` (the day of the forecast, a date), ``futures`` ("counts", or "allocators" for a
        replay through the real ones).
    frame : pandas.DataFrame
        As `dsmodel.reports.limits` answers, for the cluster that the controls say.
    cluster : Cluster
        That cluster.
    forecast : Forecast or None
        When its pools are full, within five years by counts and one by allocators; None where nothing grows.

    Raises
    ------
    None
        What is wrong is shown beside its control.

    Examples
    --------
    >>> explorer = CapacityExplorer()
    >>> explorer.controls["mask_ipv4"].value = 20
    >>> explorer.frame.loc[explorer.frame["binds"], ["pool", "ip_family", "more_nodes"]].values.tolist()
    [['node blocks', 'IPv4', 6]]
    >>> [str(each.dates[1]) for each in explorer.forecast.exhaustion if each.pool == "node blocks"][0]
    '2026-02-19'
    """

    def __init__(self, cluster: Cluster | None = None) -> None:
        start = (
            cluster.config
            if cluster
            else ClusterConfig.of(
                cluster_cidrs=["10.244.0.0/16", "fd00:10:244::/56"], service_cidrs=["10.96.0.0/16", "fd00:10:96::/112"]
            )
        )
        self._config = start
        self.forecast: Forecast | None = None
        nodes = len(cluster.nodes) if cluster else 10
        pods = len(cluster.pods) // max(nodes, 1) if cluster else 30
        services = len(cluster.services) if cluster else 40
        super().__init__(
            "What runs out first?",
            {
                **_range_controls(start),
                "service_cidrs": Control(
                    ipywidgets.Text(value=",".join(map(str, start.service_cidrs)), continuous_update=False),
                    "service CIDRs",
                    "one, or one of each family",
                ),
                "max_pods": _number("max pods", start.max_pods, (1, 1000), "pods a node, kubelet"),
                "nodes": _slider("nodes", nodes, _MOST_NODES),
                "pods_per_node": _slider("pods a node", pods, _MOST_PODS),
                "services": _slider("services", services, _MOST_SERVICES),
                "nodes_per_week": _rate("nodes a week", 1),
                "pods_per_week": _rate("pods a week", 20),
                "services_per_week": _rate("services a week", 1),
                "start": Control(ipywidgets.Text(value=_START, continuous_update=False), "counted from", "YYYY-MM-DD"),
                "futures": Control(
                    ipywidgets.Dropdown(options=list(_TRAJECTORIES)),
                    "futures by",
                    "counts are quick",
                ),
            },
            cluster=cluster,
            slow=nodes * pods > 50_000,
        )

    def answer(self) -> Answer:
        """Build the cluster that the controls say, and ask for its limits and when they are met.

        Returns
        -------
        Answer
            Limits, and what binds in a sentence.

        Raises
        ------
        Trouble
            A range is none, or the components would not start with these masks.
        """
        return finished("forecasting", self.work())

    def work(self) -> Generator[float, None, Answer]:
        """Work out `answer`, a step of a future at a time.

        Yields
        ------
        float
            Share of the steps of all futures that were taken.

        Returns
        -------
        Answer
            As `answer`.

        Raises
        ------
        Trouble
            As `answer`.
        """
        demand, kind = self._demand(), self.controls["futures"].value
        cluster = self._built()
        frame, said = limits(cluster), summary(cluster)
        yield 0.0
        found = None
        if demand is not None:
            found = yield from forecasting(
                cluster, demand, horizon=_HORIZONS[kind], trajectories=_TRAJECTORIES[kind],
                rng=np.random.default_rng(_SEED), mode=kind if kind == _COUNTS else "replay",
            )  # fmt: skip
        self.cluster, self.forecast = cluster, found
        card = found.card() if found else Card("Nothing grows: give nodes, pods or services a week to read dates")
        folded = tuple(replace(section, is_open=False) for section in card.sections)
        below = replace(card, title="Dates", sections=folded).html() if found else ""
        return Answer(frame, limit_bars(frame, f"{said} {card.title}.") + below)

    def _demand(self) -> Scenario | None:
        """Read what grows; None for nothing."""
        rates = {name: self.controls[name].value for name in _RATES}
        growing = {name: rate for name, rate in rates.items() if rate}
        with _beside("start"):
            demand = Scenario.of(self.controls["start"].value.strip(), step_days=_STEP_DAYS, **growing)
        return demand if growing else None

    def _built(self) -> Cluster:
        """Make and fill the cluster."""
        values: Mapping[str, Any] = {name: widget.value for name, widget in self.controls.items()}
        given = {family: values[f"cluster_cidr_{str(family).lower()}"].strip() for family in IPFamily}
        ranges = {family: _cidr(text, family) for family, text in given.items() if text}
        order = [cidr.family for cidr in self._config.cluster_cidrs] + list(IPFamily)
        inputs: dict[str, Any] = {
            "kube_version": self._config.kube_version,
            "node_cidr_mask_sizes": {str(family): values[f"mask_{str(family).lower()}"] for family in ranges},
            "max_pods": values["max_pods"],
        }
        for family, cidr in ranges.items():  # each alone, so that the message stands beside the mask that is wrong
            with _beside(f"mask_{str(family).lower()}"):
                Cluster(ClusterConfig.of(**inputs, cluster_cidrs=[cidr]))
        with _beside("service_cidrs"):
            inputs["cluster_cidrs"] = sorted(ranges.values(), key=lambda cidr: order.index(cidr.family))
            cluster = Cluster(ClusterConfig.of(**inputs, service_cidrs=values["service_cidrs"]))
        cluster.add_nodes(values["nodes"])
        cluster.add_pods(np.repeat(np.arange(values["nodes"], dtype=np.int32), values["pods_per_node"]))
        cluster.add_services(values["services"], ip_family_policy="PreferDualStack")
        return cluster


@contextmanager
def _beside(control: str) -> Iterator[None]:
    """Show what is wrong beside a control."""
    try:
        yield
    except DsmodelError as error:
        raise Trouble(control, str(error)) from error


def _rate(label: str, value: float) -> Control:
    """Make a number of arrivals."""
    widget = ipywidgets.BoundedFloatText(value=value, min=0, max=_MOST_A_WEEK)
    return Control(widget, label, f"0 to {_MOST_A_WEEK:,}, on average")


def _range_controls(config: ClusterConfig) -> dict[str, Control]:
    """Make a text and a mask for each family."""
    known = {cidr.family: str(cidr) for cidr in config.cluster_cidrs}
    controls = {}
    for family in IPFamily:
        end, (low, high) = str(family).lower(), _MASK_BOUNDS[family]
        value = config.node_cidr_mask_sizes.get(family, DEFAULT_NODE_MASKS[family])
        low, high = min(low, value), max(high, value)
        controls[f"cluster_cidr_{end}"] = Control(
            ipywidgets.Text(value=known.get(family, ""), continuous_update=False), f"cluster CIDR {family}", "or empty"
        )
        controls[f"mask_{end}"] = Control(
            ipywidgets.IntSlider(value=value, min=low, max=high, continuous_update=False),
            f"node mask {family}",
            f"/{low} to /{high}, a node's block",
        )
    return controls


def _number(label: str, value: int, bounds: tuple[int, int], unit: str) -> Control:
    """Make a bounded number."""
    low, high = bounds[0], max(bounds[1], value)
    return Control(ipywidgets.BoundedIntText(value=value, min=low, max=high), label, f"{unit}, {low} to {high:,}")


def _slider(label: str, value: int, most: int) -> Control:
    """Make a slider from nothing to a bound."""
    top = max(most, value)
    return Control(ipywidgets.IntSlider(value=value, min=0, max=top, continuous_update=False), label, f"0 to {top:,}")


def _cidr(text: str, family: IPFamily) -> Cidr:
    """Read one family's range."""
    name = f"cluster_cidr_{str(family).lower()}"
    try:
        cidr = Cidr(text, host_bits="mask", syntax="sloppy")
    except InvalidCidr as error:
        raise Trouble(name, str(error)) from error
    if cidr.family is not family:
        raise Trouble(name, f"{text} is {cidr.family}; write it into the other control")
    return cidr
