"""What every network plugin of this folder promises, and how far each can be trusted.

A plugin model lets nodes join and leave and places pods on them: it takes the number of each pod's node, in order of
arrival, and answers with one address column a family. Nodes are numbers, rows of whoever holds their names; when some
leave, those after move up. A model changes its own pools only; it knows neither clusters nor manifests.

Within one batch a plugin that has refused a pod of a node refuses all later pods of that node: a batch takes and never
gives back. Whoever counts kubelets' limits builds on it.

Sources: every plugin's module and its `Provenance` name their own.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np

from dsmodel.addresses.arrays import empty
from dsmodel.errors import InvalidInput, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import Cidr, IPFamily

__all__ = [
    "ANY_NODES",
    "Certainty",
    "Finding",
    "JoiningNodes",
    "NetworkPlugin",
    "Placement",
    "PodCidrRole",
    "PoolUsage",
    "Provenance",
    "Unit",
    "node_rows",
]

Finding: TypeAlias = tuple[str, str, str, str]
"""Severity ("error", "warning", "info"), rule, object, message."""

ANY_NODES = 1 << 31
"""The number of nodes of a plugin for which nodes play no part."""

Unit: TypeAlias = Literal["addresses", "node ranges", "blocks", "subnet addresses"]
"""What a pool counts: pods' addresses; ranges of which a node has one; blocks of which it may have several; addresses
of a subnet that nodes fetch before pods get them."""


class Certainty(enum.StrEnum):
    """How a rule is known.

    >>> Certainty("from source").name
    'FROM_SOURCE'
    """

    RECORDED = "verified by recording"
    FROM_SOURCE = "from source"
    FROM_DOCS = "from docs"


class PodCidrRole(enum.StrEnum):
    """What a plugin has to do with ``spec.podCIDRs`` of nodes, and so with kube-controller-manager's node IPAM.

    >>> PodCidrRole("used").name
    'USED'
    """

    USED = "used"  # a node's ranges are its podCIDRs: no podCIDR, no pods
    IGNORED = "ignored"  # ranges of its own inside the cluster CIDRs; node IPAM may run beside it without harm
    BESIDE = "beside"  # addresses of another network; node IPAM runs for the first one
    REPLACED = "replaced"  # ranges of its own, and node IPAM does not run
    WRITTEN = "written"  # node IPAM does not run, and a controller of the plugin writes podCIDRs


@dataclass(frozen=True)
class JoiningNodes:
    """Nodes that join, in order: what a plugin may look at.

    Parameters
    ----------
    names : sequence of str
        Of the Node objects.
    pod_cidrs : mapping of IPFamily to (address column, array of integers), each of shape (nodes,)
        First address and prefix length of each node's podCIDR, 0 for none; a family that is not named is none.
    labels : sequence of mapping, optional
        Of the Node objects.

    Examples
    --------
    >>> len(JoiningNodes(["a", "b"]))
    2
    """

    names: Sequence[str]
    pod_cidrs: Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.integer]]] = field(default_factory=dict)
    labels: Sequence[Mapping[str, str]] | None = None

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.names)


@dataclass(frozen=True)
class Provenance:
    """Where a model's rules come from, and what stands in for chance.

    Parameters
    ----------
    plugin : str
        The plugin's own name.
    certainty : Certainty
        How its rules are known.
    version : str
        What was read or recorded.
    files : tuple of str
        Where the rules are.
    approximate : str
        What cannot be known and is stood in for; empty when nothing is.
    """

    plugin: str
    certainty: Certainty
    version: str
    files: tuple[str, ...]
    approximate: str = ""


@dataclass(frozen=True, eq=False)
class Placement:
    """What became of each pod of a batch.

    Parameters
    ----------
    ok : ndarray of bool, shape (pods,)
        Whether the pod has its addresses.
    reason : ndarray of uint8, shape (pods,)
        A `Reason` code; 0 exactly where ``ok``.
    addresses : mapping of IPFamily to address column, shape (pods,)
        One column for each family of the plugin; a row means nothing where not ``ok``.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import IPFamily
    >>> Placement.nothing(2, (IPFamily.IPV4,), Reason.POOL_FULL).reason
    array([1, 1], dtype=uint8)
    """

    ok: NDArray[np.bool_]
    reason: NDArray[np.uint8]
    addresses: Mapping[IPFamily, NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def nothing(cls, n: int, families: Sequence[IPFamily], reason: Reason) -> Self:
        """Make the record of a batch none of which is placed yet.

        Parameters
        ----------
        n : int
            Number of pods.
        families : sequence of IPFamily
            Those that get a column of zeros.
        reason : Reason
            Why, for every row.

        Returns
        -------
        Placement
            Its arrays are the caller's to fill.

        Raises
        ------
        None
            Every input of the declared types has an answer.
        """
        columns = {family: np.zeros(n, empty(0, family).dtype) for family in families}
        return cls(np.full(n, reason == Reason.OK), np.full(n, reason, np.uint8), columns)

    @property
    def placed(self) -> int:
        """Number of pods that have their addresses."""
        return int(np.count_nonzero(self.ok))


@dataclass(frozen=True)
class PoolUsage:
    """How full one pool of a plugin is; the kinds of use are kept apart.

    Parameters
    ----------
    pool : str
        Its name, in the plugin's words.
    ip_family : IPFamily
        Of its addresses.
    range : str
        What it hands out, as text.
    usable : int
        Addresses that pods may get; exact, also beyond 64 bits.
    used : int
        Allocated.
    reserved : int
        Never handed out: router, gateway, management, reservations.
    cooling : int
        Given back, and not yet handed out again.
    unit : str
        What is counted: a `Unit`.
    cidrs : tuple of Cidr
        Where its addresses lie; empty where that is the nodes' own ranges.
    per_node : int
        Of pods' addresses: how many one more node brings; 0 where nodes share them.
    """

    pool: str
    ip_family: IPFamily
    range: str
    usable: int
    used: int
    reserved: int = 0
    cooling: int = 0
    unit: Unit = "addresses"
    cidrs: tuple[Cidr, ...] = ()
    per_node: int = 0

    @property
    def free(self) -> int:
        """Addresses the next pods may get."""
        return self.usable - self.used - self.cooling


@runtime_checkable
class NetworkPlugin(Protocol):
    """The verbs of every plugin model."""

    @property
    def provenance(self) -> Provenance:
        """Where the rules come from."""
        ...

    @property
    def ip_families(self) -> tuple[IPFamily, ...]:
        """Families a pod gets an address of, IPv4 first."""
        ...

    @property
    def nodes(self) -> int:
        """Number of nodes the plugin knows; `ANY_NODES` where nodes play no part."""
        ...

    @property
    def pod_cidr_role(self) -> PodCidrRole:
        """What the plugin has to do with nodes' podCIDRs."""
        ...

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """Ranges of its own that pods' addresses come from; none where they are the nodes' podCIDRs."""
        ...

    @property
    def node_ranges(self) -> Mapping[IPFamily, tuple[NDArray[Any], NDArray[np.uint8]]]:
        """First address and prefix length of each node's range, 0 for none; empty where nodes have no such range."""
        ...

    def join(self, nodes: JoiningNodes) -> NDArray[np.bool_]:
        """Let nodes join, in order, and tell which can run pods of every family."""
        ...

    def remove_nodes(self, nodes: NDArray[np.integer] | Sequence[int]) -> None:
        """Let nodes leave, after their pods' addresses were released; those after move up."""
        ...

    def place(self, nodes: NDArray[np.integer] | Sequence[int]) -> Placement:
        """Give each pod its addresses, in order of arrival."""
        ...

    def release(self, nodes: NDArray[np.integer] | Sequence[int], addresses: Mapping[IPFamily, NDArray[Any]]) -> None:
        """Take pods' addresses back; one that is free or unknown is no error."""
        ...

    def usage(self) -> list[PoolUsage]:
        """Tell how full each pool is."""
        ...

    def copy(self) -> Self:
        """Return an independent plugin of the same state."""
        ...


def node_rows(nodes: NDArray[np.integer] | Sequence[int], known: int) -> NDArray[np.intp]:
    """Return numbers of nodes as an array, refusing unknown ones.

    Parameters
    ----------
    nodes : array of integers, shape (pods,)
        The node of each pod.
    known : int
        How many nodes there are.

    Returns
    -------
    ndarray of intp, shape (pods,)
        The same numbers.

    Raises
    ------
    InvalidInput
        Not a 1-D array of integers, or a node that is not there.

    Examples
    --------
    >>> node_rows([0, 1], known=2)
    array([0, 1])
    """
    rows = np.asarray(nodes)
    if rows.size == 0:
        return np.empty(0, np.intp)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise InvalidInput(f"nodes of dtype {rows.dtype} and shape {rows.shape}: expected a 1-D array of row numbers")
    if int(rows.min()) < 0 or int(rows.max()) >= known:
        raise InvalidInput(f"nodes {int(rows.min())} to {int(rows.max())}: the plugin has nodes 0 to {known - 1}")
    return rows.astype(np.intp, copy=False)
