"""Which pools serve which nodes, for one family and one kind of request.

Promises Calico's choice: pools named for the request as they are; else enabled, automatic ones whose selectors match;
both only for the use asked. Windows nodes are not served from blocks longer than /29, which leave them nothing.

Sources: projectcalico/calico ``libcalico-go/lib/ipam/{ipam,pools}.go`` (determinePools),
``libcalico-go/lib/ipam/ipam_types.go``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cni.calico.blocks import NOBODY
from dsmodel.cni.calico.selectors import parse_selector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.cni.calico.blocks import BlockTable
    from dsmodel.cni.calico.objects import IPPool

__all__ = ["Nodes", "Scope", "choose_pools", "make_scope"]

_LONGEST_WINDOWS_BLOCK = 29


@dataclass(frozen=True, eq=False)
class Scope:
    """What decides which blocks a node may use, for one family and one kind of request.

    Parameters
    ----------
    groups : ndarray of intp, shape (nodes,)
        Nodes with the same pools have the same number.
    pools : list of tuple of int
        The pools of each group, in the order they are used up.
    windows : ndarray of bool, shape (nodes,)
        Windows nodes.
    start : callable
        Takes node and pool, gives the block index the node looks at first.
    limit : int
        Blocks a node may own; 0 when it may not claim any.
    strict : bool
        No borrowing.
    """

    groups: NDArray[np.intp]
    pools: list[tuple[int, ...]]
    windows: NDArray[np.bool_]
    start: Callable[[int, int], int]
    limit: int
    strict: bool

    def allowed(self, table: BlockTable) -> NDArray[np.bool_]:
        """Tell which blocks their owners may use.

        Parameters
        ----------
        table : BlockTable
            The blocks.

        Returns
        -------
        ndarray of bool, shape (rows,)
            False for a block of nobody.

        Raises
        ------
        None
            Always an answer.
        """
        member = np.zeros((len(self.pools), max(1, len(table.pools))), np.bool_)
        for group, pools in enumerate(self.pools):
            member[group, list(pools)] = True
        owner = table.owner[: table.rows]
        if not len(self.groups):
            return np.zeros(table.rows, np.bool_)
        groups = self.groups[np.maximum(owner, 0)]
        return np.asarray((owner != NOBODY) & member[groups, table.pool[: table.rows]])


@dataclass(frozen=True, eq=False)
class Nodes:
    """What pools look at in nodes.

    Parameters
    ----------
    labels : sequence of mapping
        One a node.
    windows : ndarray of bool, shape (nodes,)
        Windows nodes.
    ignore_selectors : bool
        The pools were named for the request.
    """

    labels: Sequence[Mapping[str, str]]
    windows: NDArray[np.bool_]
    ignore_selectors: bool = False


def choose_pools(
    pools: Sequence[IPPool], named: Sequence[str] | None, *, use: str, namespace_labels: Mapping[str, str]
) -> list[int]:
    """Return the pools a request may use before its node is looked at.

    Parameters
    ----------
    pools : sequence of IPPool
        Of one family, by name.
    named : sequence of str or None
        Pools the request names.
    use : str
        "Workload" or "Tunnel".
    namespace_labels : mapping
        What namespace selectors see.

    Returns
    -------
    list of int
        Places in ``pools``.

    Raises
    ------
    InvalidInput
        A namespace selector cannot be read.
    """
    chosen = [i for i, pool in enumerate(pools) if pool.enabled and use in pool.allowed_uses]
    if named is not None:
        return [i for i in chosen if pools[i].name in named]
    chosen = [i for i in chosen if pools[i].assignment_mode == "Automatic"]
    return [i for i in chosen if not (s := pools[i].namespace_selector) or parse_selector(s)(namespace_labels)]


def make_scope(
    pools: Sequence[IPPool],
    chosen: Sequence[int],
    *,
    nodes: Nodes,
    start: Callable[[int, int], int],
    limit: int,
    strict: bool,
) -> Scope:
    """Group the nodes by the pools that serve them.

    Parameters
    ----------
    pools : sequence of IPPool
        Of one family, by name.
    chosen : sequence of int
        From `choose_pools`.
    nodes : Nodes
        What pools look at in nodes.
    start, limit, strict : callable, int, bool
        As in `Scope`.

    Returns
    -------
    Scope
        With one group for each set of pools.

    Raises
    ------
    InvalidInput
        A node selector cannot be read.
    """
    picky = {} if nodes.ignore_selectors else {i: s for i in chosen if (s := pools[i].node_selector) != "all()"}
    picks = {i: parse_selector(text) for i, text in picky.items()}
    groups: dict[tuple[int, ...], int] = {}
    numbers = np.zeros(len(nodes.windows), np.intp)
    for node, windows in enumerate(nodes.windows.tolist()):
        seen = [i for i in chosen if i not in picks or picks[i](nodes.labels[node])]
        if windows:
            seen = [i for i in seen if pools[i].cidr.family is IPFamily.IPV6 or _fits_windows(pools[i])]
        numbers[node] = groups.setdefault(tuple(seen), len(groups))
    return Scope(numbers, list(groups), nodes.windows, start, limit, strict)


def _fits_windows(pool: IPPool) -> bool:
    """Tell whether blocks leave a Windows node anything."""
    return pool.block_size <= _LONGEST_WINDOWS_BLOCK
