"""The nodes as egress policies see them: labels, addresses, and which of them are down.

Promises one answer a question for one cluster and one set of failures. A failure is a node's name, an egress address,
or a title such as "Pod/egress/gateway-0". Where labels of a node are not in the dump, that is said, not guessed.

What it does not know: addresses of a node beyond the first InternalIP of each family, and its interfaces.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.arrays import from_integers, to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.literals import format_address, parse_address
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.errors import InvalidAddress

if TYPE_CHECKING:
    from collections.abc import Collection

    from dsmodel.cluster.state import Cluster
    from dsmodel.kube.label_selectors import LabelSelector

__all__ = ["Situation", "column_of"]


@dataclass(frozen=True)
class Situation:
    """A cluster, and what of it is down.

    Parameters
    ----------
    cluster : Cluster
        Tables and objects.
    failed : frozenset of str
        Names of nodes, egress addresses in canonical text, titles of gateways.
    """

    cluster: Cluster
    failed: frozenset[str] = frozenset()
    _chosen: dict[LabelSelector, tuple[tuple[int, ...], bool]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, cluster: Cluster, failed: Collection[str] = ()) -> Situation:
        """Take a cluster with what is down.

        Parameters
        ----------
        cluster : Cluster
            Tables and objects.
        failed : collection of str
            Names of nodes ("worker-1" or "Node/worker-1"), egress addresses, titles of gateways.

        Returns
        -------
        Situation
            Addresses are read, whatever their spelling.

        Raises
        ------
        None
            A name of nothing fails nothing.
        """
        return cls(cluster, frozenset(_canonical(each.removeprefix("Node/")) for each in failed))

    @cached_property
    def names(self) -> list[str]:
        """Names of the nodes, by row."""
        return [str(name) for name in self.cluster.nodes["name"].tolist()]

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each node, by name, in the order of names."""
        return dict(sorted((name, row) for row, name in enumerate(self.names)))

    @cached_property
    def ready(self) -> list[bool]:
        """Whether the kubelet of each node reports ready, and it is not down, by row."""
        reported = self.cluster.nodes["ready"].tolist()
        return [bool(fine) and name not in self.failed for fine, name in zip(reported, self.names, strict=True)]

    @cached_property
    def unlabelled(self) -> tuple[int, ...]:
        """Rows of the nodes whose labels are not known."""
        return tuple(row for row, code in enumerate(self.cluster.nodes["labels"].tolist()) if code < 0)

    @cached_property
    def owners(self) -> dict[str, int]:
        """Row of the node that has an address, by its canonical text."""
        return {text: row for family in IPFamily for row, text in enumerate(self._addresses[family]) if text}

    @cached_property
    def pod_rows(self) -> dict[tuple[str, str], int]:
        """Row of each pod, by namespace and name."""
        pods = self.cluster.pods
        return {key: row for row, key in enumerate(zip(pods["namespace"].tolist(), pods["name"].tolist(), strict=True))}

    @cached_property
    def _addresses(self) -> dict[IPFamily, list[str]]:
        """First InternalIP of each node, by row; empty where it has none."""
        nodes = self.cluster.nodes
        return {
            family: [
                format_address(family, number) if has else ""
                for number, has in zip(
                    to_integers(nodes[f"internal_{end}"]), nodes[f"has_internal_{end}"].tolist(), strict=True
                )
            ]
            for family, end in ENDS.items()
        }

    def address(self, row: int, family: IPFamily) -> str:
        """Return the first InternalIP of a node.

        Parameters
        ----------
        row : int
            Of the node; -1 for one that is not known.
        family : IPFamily
            Of the address.

        Returns
        -------
        str
            Canonical text; empty where it has none in the model.

        Raises
        ------
        None
            A node that is not known has no address.
        """
        return self._addresses[family][row] if row >= 0 else ""

    def name(self, row: int) -> str:
        """Return the title of a node.

        Parameters
        ----------
        row : int
            Of the node; -1 for one that is not known.

        Returns
        -------
        str
            "Node/worker-1".

        Raises
        ------
        None
            A node that is not known is called so.
        """
        return f"Node/{self.names[row]}" if row >= 0 else "Node/unknown"

    def chosen(self, selector: LabelSelector) -> tuple[tuple[int, ...], bool]:
        """Return the nodes that a selector chooses, by name, and whether labels that are not known leave it open.

        Parameters
        ----------
        selector : LabelSelector
            Of node labels.

        Returns
        -------
        tuple of (tuple of int, bool)
            Rows, those of failed nodes among them; True where a node's labels are not known and would count.

        Raises
        ------
        None
            Every selector has an answer.
        """
        if selector not in self._chosen:
            codes = self.cluster.nodes["labels"].tolist()
            fits = self.cluster.node_labels.select(selector).tolist()
            everything = selector.requirements == ()
            rows = tuple(row for row in self.rows.values() if (fits[codes[row]] if codes[row] >= 0 else everything))
            unsure = bool(selector.requirements) and any(code < 0 for code in codes)
            self._chosen[selector] = (rows, unsure)
        return self._chosen[selector]


def column_of(texts: list[str], family: IPFamily) -> Any:
    """Return addresses in canonical text as a column, the first address of all for empty text.

    Parameters
    ----------
    texts : list of str
        Of the family, or empty.
    family : IPFamily
        Of the column.

    Returns
    -------
    address column
        One row a text.

    Raises
    ------
    InvalidAddress
        A text is no address.

    Examples
    --------
    >>> column_of(["10.0.0.1", ""], IPFamily.IPV4)
    array([167772161,         0], dtype=uint32)
    """
    return from_integers((parse_address(text)[1] if text else 0 for text in texts), family=family)


def _canonical(name: str) -> str:
    """Write an address in canonical text; leave a name as it is."""
    try:
        return format_address(*parse_address(name))
    except InvalidAddress:
        return name
