"""A network plugin whose pools no dump holds: those of a cloud, or of a plugin that is not modelled.

Promises what nodes hold, where objects say so, and no claim beyond: nothing of a pod lies outside its pools, and a pod
that asks for an address is refused with the way out. Nodes join and leave freely.

What it does not know: the pools that nodes are served from, and so whether the next address is there.

Sources: those of the plugin it stands for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dsmodel.cni.contract import Placement, PodCidrRole, PoolUsage, node_rows
from dsmodel.errors import InvalidInput, Reason
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr, IPFamily
    from dsmodel.cni.contract import JoiningNodes, Provenance

__all__ = ["Elsewhere"]


class Elsewhere:
    """A plugin whose state is out of sight.

    Parameters
    ----------
    provenance : Provenance
        Of the plugin it stands for.
    families : sequence of IPFamily
        Those that pods have addresses of.
    nodes : int
        How many there are.
    held : mapping of IPFamily to ndarray of int64, shape (nodes, 3), optional
        What objects say each node holds: its addresses, those in use, those on their way back.

    Raises
    ------
    None
        Every plugin may be out of sight.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import IPFamily
    >>> from dsmodel.cni.aws import PROVENANCE
    >>> plugin = Elsewhere(PROVENANCE, [IPFamily.IPV4], nodes=2)
    >>> plugin.usage(), plugin.cidrs, plugin.place([]).placed
    ([], (), 0)
    """

    def __init__(
        self,
        provenance: Provenance,
        families: Sequence[IPFamily],
        *,
        nodes: int,
        held: Mapping[IPFamily, NDArray[np.int64]] | None = None,
    ) -> None:
        self.provenance, self.ip_families, self.nodes = provenance, tuple(families), nodes
        self.held = dict(held or {})

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """Pods have addresses of pools elsewhere, whatever podCIDRs nodes have."""
        return PodCidrRole.REPLACED

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """None that is known."""
        return ()

    @property
    def node_ranges(self) -> Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]]:
        """None that is known."""
        return {}

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let nodes join.

        Parameters
        ----------
        nodes : JoiningNodes
            In order of arrival.

        Returns
        -------
        ndarray of bool, shape (nodes,)
            All of them: what would stop one is not known.

        Raises
        ------
        None
            Nothing is refused.
        """
        self.nodes += len(nodes)
        fresh = np.zeros((len(nodes), 3), np.int64)
        self.held = {family: np.concatenate((counts, fresh)) for family, counts in self.held.items()}
        return np.ones(len(nodes), np.bool_)

    def remove_nodes(self, nodes: NDArray[np.integer] | Sequence[int]) -> None:
        """Let nodes leave.

        Parameters
        ----------
        nodes : array of integers
            Which.

        Raises
        ------
        InvalidInput
            A node that is not there.
        """
        rows = np.unique(node_rows(nodes, self.nodes))
        self.nodes -= len(rows)
        self.held = {family: np.delete(counts, rows, axis=0) for family, counts in self.held.items()}

    def place(self, nodes: NDArray[np.integer] | Sequence[int]) -> Placement:
        """Refuse pods: which addresses they would get is not known.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod.

        Returns
        -------
        Placement
            Empty, for no pods.

        Raises
        ------
        InvalidInput
            Any pod.
        """
        if len(nodes):
            raise InvalidInput(
                f"{self.provenance.plugin}: its pools are in no dump, so no pod can be given an address of them; model "
                "them by what_if(cluster, network_plugin=...) with a plugin of dsmodel.cni"
            )
        return Placement.nothing(0, self.ip_families, Reason.OK)

    def release(self, nodes: NDArray[np.integer] | Sequence[int], addresses: Mapping[IPFamily, NDArray[Any]]) -> None:
        """Take pods' addresses back, of which nothing is kept.

        Parameters
        ----------
        nodes : array of integers, shape (pods,)
            The node of each pod.
        addresses : mapping of IPFamily to address column, shape (pods,)
            What each pod had.

        Raises
        ------
        None
            Nothing is refused.
        """

    def usage(self) -> list[PoolUsage]:
        """Tell what nodes hold together.

        Returns
        -------
        list of PoolUsage
            One a family whose addresses on nodes are known.

        Raises
        ------
        None
            Always an answer.
        """
        lines = []
        for family, counts in self.held.items():
            has, used, leaving = counts.sum(axis=0).tolist()
            text = f"on {counted(int(np.count_nonzero(counts[:, 0])), 'node')}"
            lines.append(PoolUsage("node addresses", family, text, has, used, cooling=leaving))
        return lines

    def copy(self) -> Self:
        """Return an independent plugin of the same state.

        Returns
        -------
        Elsewhere
            A new one.

        Raises
        ------
        None
            Always possible.
        """
        return self.__class__(self.provenance, self.ip_families, nodes=self.nodes, held=self.held)

    def __repr__(self) -> str:
        """Return whose state it is, and how many nodes there are."""
        return f"Elsewhere({self.provenance.plugin}, {counted(self.nodes, 'node')})"
