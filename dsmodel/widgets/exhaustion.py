"""Fill a cluster step by step, and watch bands, leaks and the first refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import pandas as pd

from dsmodel.cards import Card, Section
from dsmodel.errors import DsmodelError, Reason
from dsmodel.progress import finished
from dsmodel.reports.headroom import limits, summary
from dsmodel.widgets.bars import limit_bars
from dsmodel.widgets.panel import Answer, Control, Explorer, Trouble
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Generator

    from dsmodel.cluster.outcome import Outcome
    from dsmodel.cluster.state import Cluster

__all__ = ["ExhaustionExplorer"]

_WHAT = ("nodes", "pods", "PreferDualStack Services", "RequireDualStack Services", "SingleStack Services")
_MOST_STEPS, _MOST_EACH = 200, 10_000
_COLUMNS = ("step", "asked", "granted", "refused", "reason", "static_band_used", "dynamic_band_used", "leaked_blocks")


class ExhaustionExplorer(Explorer):
    """Add nodes, pods or Services in steps until something is refused.

    Parameters
    ----------
    cluster : Cluster
        Where it starts; steps are taken on a copy.

    Attributes
    ----------
    controls : dict
        ``what``, ``each`` (how many a step), ``step`` (how many steps were taken).
    frame : pandas.DataFrame
        A row a step: ``step``, ``asked``, ``granted``, ``refused``, ``reason`` of the first refusal,
        ``static_band_used``, ``dynamic_band_used`` (cluster IPs of all ranges), ``leaked_blocks``.
    cluster : Cluster
        As it is after the last step.

    Raises
    ------
    None
        What is wrong is shown beside its control.

    Examples
    --------
    >>> import dsmodel as ds
    >>> explorer = ExhaustionExplorer(ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/22", "fd00::/63"])))
    >>> explorer.controls["step"].value = 3
    >>> explorer.frame[["step", "granted", "reason", "leaked_blocks"]].values.tolist()
    [[1, 1, '', 0], [2, 1, '', 0], [3, 0, 'CIDR_NOT_AVAILABLE', 1]]
    """

    def __init__(self, cluster: Cluster) -> None:
        self._start = cluster
        self._taken = _Taken("", 0, cluster)
        step = ipywidgets.IntSlider(value=0, min=0, max=_MOST_STEPS, continuous_update=False)
        play = ipywidgets.Play(value=0, min=0, max=_MOST_STEPS, interval=400)
        ipywidgets.link((play, "value"), (step, "value"))
        controls = {
            "what": Control(ipywidgets.Dropdown(options=_WHAT), "add", "to a copy of the cluster"),
            "each": Control(
                ipywidgets.BoundedIntText(value=1, min=1, max=_MOST_EACH), "a step adds", f"1 to {_MOST_EACH:,} of them"
            ),
            "step": Control(step, "step", f"0 to {_MOST_STEPS} taken"),
        }
        super().__init__("What is refused first?", controls, cluster=cluster, slow=len(cluster.pods) > 20_000)
        self.view.children = (*self.view.children[:4], play, *self.view.children[4:])

    def answer(self) -> Answer:
        """Take the steps on a copy.

        Returns
        -------
        Answer
            A row a step, and how full the pools are after the last.

        Raises
        ------
        Trouble
            The cluster cannot take what is to be added.
        """
        return finished("adding", self.work())

    def work(self) -> Generator[float, None, Answer]:
        """Take the steps one by one; those that were taken before, on the way to here, are not taken again.

        Yields
        ------
        float
            Share of the steps that were taken.

        Returns
        -------
        Answer
            As `answer`.

        Raises
        ------
        Trouble
            The cluster cannot take what is to be added.
        """
        what, each, steps = (self.controls[name].value for name in ("what", "each", "step"))
        if (self._taken.what, self._taken.each) != (what, each) or len(self._taken.rows) > steps:
            self._taken = _Taken(what, each, self._start.copy())
        taken = self._taken
        while len(taken.rows) < steps:
            yield len(taken.rows) / steps
            taken.take()
        self.cluster = taken.cluster.copy()
        frame = pd.DataFrame(taken.rows, columns=list(_COLUMNS))
        return Answer(frame, _shown(frame, what) + limit_bars(limits(self.cluster), summary(self.cluster)))


@dataclass
class _Taken:
    """Steps of one kind, and the cluster after them."""

    what: str
    each: int
    cluster: Cluster
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    def take(self) -> None:
        """Take one more."""
        try:
            outcome = _add(self.cluster, self.what, self.each)
        except DsmodelError as error:
            raise Trouble("what", str(error)) from error
        refused = self.each - outcome.granted
        step = (len(self.rows) + 1, self.each, outcome.granted, refused, _first_reason(outcome))
        self.rows.append((*step, *_losses(self.cluster)))


def _add(cluster: Cluster, what: str, each: int) -> Outcome:
    """Take one step."""
    if what == "nodes":
        return cluster.add_nodes(each)
    if what == "pods":
        if not len(cluster.nodes):
            raise Trouble("what", "the cluster has no nodes; add some before pods")
        return cluster.add_pods((np.arange(each) + len(cluster.pods)) % len(cluster.nodes))
    return cluster.add_services(each, ip_family_policy=what.partition(" ")[0])


def _first_reason(outcome: Outcome) -> str:
    """Name why the first refused row was refused."""
    refused = outcome.reason[~outcome.ok]
    return Reason(int(refused[0])).name if len(refused) else ""


def _losses(cluster: Cluster) -> tuple[int, int, int]:
    """Count cluster IPs in both bands, and leaked node blocks."""
    static = dynamic = 0
    for pools in cluster.service_ranges.ranges.values():
        for pool in pools:
            used = pool.used_offsets()
            low = int(np.count_nonzero(used <= pool.band_offset)) if pool.band_offset else 0
            static, dynamic = static + low, dynamic + len(used) - low
    return static, dynamic, sum(cluster.leaked.values())


def _shown(frame: pd.DataFrame, what: str) -> str:
    """Say when the first refusal came, and show the last steps."""
    one, refused = what.removesuffix("s"), frame[frame["refused"] > 0]
    if len(refused):
        first = refused.iloc[0]
        title = f"First refused at step {first['step']}: {counted(int(first['refused']), one)}, {first['reason']}"
    else:
        title = f"{counted(int(frame['granted'].sum()), one)} added, none refused" if len(frame) else "Take a step"
    last = frame.tail(8).to_dict("records")
    rows = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row.values()] for row in last]
    header: Any = [name.replace("_", " ") for name in _COLUMNS]
    return Card(title, (Section("Last steps", rows, header),)).html()
