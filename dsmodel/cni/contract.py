"""What every network plugin of this folder promises, and how far each can be trusted.

A plugin model places pods on nodes: it takes the number of each pod's node, in order of arrival, and answers with one
address column a family. Nodes are numbers, rows of whoever holds their names. A model changes its own pools only; it
knows neither clusters nor manifests.

Sources: every plugin's module and its `Provenance` name their own.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

import numpy as np

from dsmodel.addresses.arrays import empty
from dsmodel.errors import InvalidInput, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import IPFamily

__all__ = ["Certainty", "Finding", "NetworkPlugin", "Placement", "PoolUsage", "Provenance", "node_rows"]

Finding: TypeAlias = tuple[str, str, str, str]
"""Severity ("error", "warning", "info"), rule, object, message."""


class Certainty(enum.StrEnum):
    """How a rule is known.

    >>> Certainty("from source").name
    'FROM_SOURCE'
    """

    RECORDED = "verified by recording"
    FROM_SOURCE = "from source"
    FROM_DOCS = "from docs"


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
    """

    pool: str
    ip_family: IPFamily
    range: str
    usable: int
    used: int
    reserved: int = 0
    cooling: int = 0

    @property
    def free(self) -> int:
        """Addresses the next pods may get."""
        return self.usable - self.used - self.cooling


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
        """Number of nodes the plugin knows."""
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
