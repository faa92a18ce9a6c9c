"""Move ranges, masks and pods a node, and watch what binds."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cluster.state import Cluster
from dsmodel.errors import DsmodelError, InvalidCidr
from dsmodel.kube.config import DEFAULT_NODE_MASKS, ClusterConfig
from dsmodel.reports.headroom import limits, summary
from dsmodel.widgets.bars import limit_bars
from dsmodel.widgets.panel import Answer, Control, Explorer, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CapacityExplorer"]

_MASK_BOUNDS = {IPFamily.IPV4: (16, 30), IPFamily.IPV6: (48, 124)}
_MOST_NODES, _MOST_PODS, _MOST_SERVICES = 5000, 250, 50_000


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
        ``max_pods``, ``nodes``, ``pods_per_node``, ``services``.
    frame : pandas.DataFrame
        As `dsmodel.reports.limits` answers, for the cluster that the controls say.
    cluster : Cluster
        That cluster.

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
            },
            cluster=cluster,
            slow=nodes * pods > 50_000,
        )

    def answer(self) -> Answer:
        """Build the cluster that the controls say, and ask for its limits.

        Returns
        -------
        Answer
            Limits, and what binds in a sentence.

        Raises
        ------
        Trouble
            A range is none, or the components would not start with these masks.
        """
        self.cluster = self._built()
        frame = limits(self.cluster)
        return Answer(frame, limit_bars(frame, summary(self.cluster)))

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


def _range_controls(config: ClusterConfig) -> dict[str, Control]:
    """Make a text and a mask for each family."""
    known = {cidr.family: str(cidr) for cidr in config.cluster_cidrs}
    controls = {}
    for family in IPFamily:
        end, (low, high) = str(family).lower(), _MASK_BOUNDS[family]
        value = config.node_cidr_mask_sizes.get(family, DEFAULT_NODE_MASKS[family])
        controls[f"cluster_cidr_{end}"] = Control(
            ipywidgets.Text(value=known.get(family, ""), continuous_update=False), f"cluster CIDR {family}", "or empty"
        )
        controls[f"mask_{end}"] = Control(
            ipywidgets.IntSlider(value=value, min=min(low, value), max=max(high, value), continuous_update=False),
            f"node mask {family}",
            "prefix length of a node's block",
        )
    return controls


def _number(label: str, value: int, bounds: tuple[int, int], unit: str) -> Control:
    """Make a bounded number."""
    low, high = bounds
    return Control(
        ipywidgets.BoundedIntText(value=value, min=low, max=max(high, value)), label, f"{unit}, {low} to {high:,}"
    )


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
