"""The steps of a migration as records, and the frame and card that show them.

Promises declared columns, in order, and beside each step the cluster as it is afterwards. Knows nothing of how steps
come about: `dsmodel.planning.migration.dual_stack`, `single_stack` and `rebuilding` do.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import pandas as pd

from dsmodel.cards import Card, Section
from dsmodel.wording import counted

if TYPE_CHECKING:
    from dsmodel.cluster.state import Cluster

__all__ = ["PEAKS", "STEPS", "Migration", "Peaks", "Step"]


@dataclass(frozen=True)
class Peaks:
    """Most of each pool in use at any moment of a step.

    Parameters
    ----------
    ipv4_node_blocks, ipv6_node_blocks : int
        Blocks of node IPAM.
    ipv4_pod_addresses, ipv6_pod_addresses : int
        Addresses of Pods, those of Pods that are being replaced included.
    ipv4_service_addresses, ipv6_service_addresses : int
        Cluster IPs.

    Raises
    ------
    None
        A record.
    """

    ipv4_node_blocks: int = 0
    ipv6_node_blocks: int = 0
    ipv4_pod_addresses: int = 0
    ipv6_pod_addresses: int = 0
    ipv4_service_addresses: int = 0
    ipv6_service_addresses: int = 0


PEAKS = tuple(entry.name for entry in fields(Peaks))
"""Columns of counts in use, by family and pool."""


@dataclass(frozen=True)
class Step:
    """One step.

    Parameters
    ----------
    title : str
        What is done.
    component : str
        Whose setting or object changes.
    change : str
        The flag, field or command.
    restarts : str
        What restarts; empty where nothing does.
    recreates : str
        Objects that are deleted and made anew; empty for none.
    back : str
        How to go back.
    verify : str
        How to see that it worked.
    why : str
        What forces the step, or its place.
    source : str
        Where that was read.
    peaks : Peaks
        Most in use during the step.
    state : Cluster
        Afterwards.
    nodes, pods, services : int
        Objects that the step makes anew or changes.
    point_of_no_return : bool
        Whether the way back is no longer to undo the step.
    findings : int
        Findings of severity error or fatal that `check` has afterwards and did not have before the migration.
    refused : int
        Objects that the step could not serve.

    Raises
    ------
    None
        A record.
    """

    title: str
    component: str
    change: str
    restarts: str
    recreates: str
    back: str
    verify: str
    why: str
    source: str
    peaks: Peaks
    state: Cluster
    nodes: int = 0
    pods: int = 0
    services: int = 0
    point_of_no_return: bool = False
    findings: int = 0
    refused: int = 0


STEPS = {
    "step": "int64",
    "title": "str",
    "component": "str",
    "change": "str",
    "restarts": "str",
    "recreates": "str",
    "nodes": "int64",
    "pods": "int64",
    "services": "int64",
    **dict.fromkeys(PEAKS, "int64"),
    "point_of_no_return": "bool",
    "back": "str",
    "verify": "str",
    "findings": "int64",
    "refused": "int64",
    "why": "str",
    "source": "str",
}
"""Columns of `Migration.steps` with their types."""


@dataclass(frozen=True, repr=False)
class Migration:
    """The ordered way from one family to two, or back.

    Parameters
    ----------
    to : str
        ``dual-stack`` or ``single-stack``.
    installer : str
        Whose words the steps are in.
    before : Cluster
        Where it begins.
    moves : tuple of Step
        In order.

    Raises
    ------
    None
        Made by `plan_migration`.

    Examples
    --------
    >>> from dsmodel import examples
    >>> from dsmodel.planning.migration import plan_migration
    >>> ranges = {"pods": "fd00:10:244::/56", "services": "fd00:10:96::/112"}
    >>> migration = plan_migration(examples.single_stack_ipv4(), ranges=ranges)
    >>> migration.after.config.is_dual_stack, int(migration.steps["findings"].sum())
    (True, 0)
    """

    to: str
    installer: str
    before: Cluster
    moves: tuple[Step, ...]

    @property
    def after(self) -> Cluster:
        """The cluster at the end."""
        return self.moves[-1].state

    @property
    def states(self) -> tuple[Cluster, ...]:
        """The cluster after each step."""
        return tuple(move.state for move in self.moves)

    @property
    def steps(self) -> pd.DataFrame:
        """One row a step, in order: ``step``, ``title``, ``component``, ``change`` (flag, field or command),
        ``restarts``, ``recreates``, numbers of ``nodes``, ``pods`` and ``services`` made anew or changed, the most in
        use of each pool meanwhile (`PEAKS`), ``point_of_no_return``, ``back``, ``verify``, ``findings`` (new errors of
        `check`), ``refused`` objects, ``why``, ``source``.
        """  # noqa: D205 - the columns are the promise
        rows = []
        for number, move in enumerate(self.moves, 1):
            row = {name: getattr(move, name) for name in STEPS if hasattr(move, name)}
            row |= {name: getattr(move.peaks, name) for name in PEAKS}
            rows.append({"step": number, **row})
        return pd.DataFrame(rows, columns=list(STEPS)).astype(STEPS)

    def card(self) -> Card:
        """Show the steps.

        Returns
        -------
        Card
            As plain text and as HTML.

        Raises
        ------
        None
            Every migration has one.
        """
        steps = self.steps
        rows = [
            (
                "!" * bool(row["point_of_no_return"]),
                str(row["step"]),
                row["title"],
                f"{row['nodes']:,}" if row["nodes"] else "",
                f"{row['pods']:,}" if row["pods"] else "",
                f"{row['services']:,}" if row["services"] else "",
            )
            for row in steps.to_dict("records")
        ]
        returns = [str(row["step"]) for row in steps.to_dict("records") if row["point_of_no_return"]]
        turning = f"No way back by undoing from step {returns[0]} on." if returns else "Every step can be undone."
        header = ("", "step", "title", "nodes", "pods", "services")
        version = self.before.config.kube_version
        title = f"Migration to {self.to} on Kubernetes {version}, {self.installer}: {counted(len(rows), 'step')}"
        return Card(title, (Section("Steps (! no way back by undoing)", rows, header),), turning)

    def __repr__(self) -> str:
        """Return the card as plain text."""
        return self.card().text()

    def _repr_html_(self) -> str:
        """Show the card in a notebook."""
        return self.card().html()
