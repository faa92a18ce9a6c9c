"""Requests one by one: own block, new block, reclaimed block, borrowed address, or the reason why not.

Promises Calico's four stages in their order, and what its CNI plugin makes of two families: an error in the first keeps
the second from being tried, an empty answer does not, and whatever is short gives everything back, to the tail.

It stands in for chance in one place: a start index is whatever the `Scope` says.

Sources: projectcalico/calico ``libcalico-go/lib/ipam/{ipam,ipam_block_reader_writer}.go``,
``cni-plugin/pkg/ipamplugin/ipam_plugin.go``.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.cni.calico.blocks import NOBODY
from dsmodel.cni.calico.claims import vacancy
from dsmodel.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dsmodel.cni.calico.blocks import BlockTable
    from dsmodel.cni.calico.scopes import Scope

__all__ = ["RECLAIM_SECONDS", "Counter", "serve"]

RECLAIM_SECONDS = 60.0
"""Age at which another node's empty block may be taken. Source: ``ipam_block_reader_writer.go``."""

Grant = tuple[int, int]


class Counter:
    """Where requests of one family are served, one after the other.

    Parameters
    ----------
    table : BlockTable
        The blocks.
    scope : Scope
        Who may use what.
    now : float
        Seconds.
    """

    def __init__(self, table: BlockTable, scope: Scope, *, now: float) -> None:
        self._table, self._scope, self._now = table, scope, now
        self._own: dict[int, list[tuple[str, int]]] = {}
        for row in table.own_rows(scope.allowed(table)).tolist():
            self._own.setdefault(int(table.owner[row]), []).append((table.name_of(row), row))
        self._stocked: dict[int, bytearray] = {}
        alive = np.array(sorted(table.at.values()), np.intp)
        old = table.claimed_at[alive] + RECLAIM_SECONDS <= now
        empty = (table.used[alive] == 0) & (table.cooling[alive] == 0) & (table.owner[alive] != NOBODY)
        self._reclaimable = set(alive[old & empty].tolist())

    def serve(self, node: int) -> Grant | Reason:
        """Serve one request.

        Parameters
        ----------
        node : int
            Who asks.

        Returns
        -------
        tuple of (int, int), or Reason
            Block and ordinal. Else CIDR_NOT_AVAILABLE (limit of blocks) or FAMILY_NOT_CONFIGURED (no pool), which the
            library calls errors; or POOL_FULL, an empty answer.

        Raises
        ------
        None
            Every request has an answer.

        Notes
        -----
        Source: ``autoAssign`` of ``libcalico-go/lib/ipam/ipam.go``.
        """
        pools = self._scope.pools[int(self._scope.groups[node])]
        if not pools:
            return Reason.FAMILY_NOT_CONFIGURED
        for _, row in self._own.get(node, ()):
            if self._table.free_of(row) > 0:
                return self._take(row, node)
        while len(self._own.get(node, ())) < self._scope.limit:
            claim = vacancy(self._table, self._scope, node) or self._reclaim(node, pools)
            if not claim:
                return Reason.POOL_FULL if self._scope.strict else self._borrow(node, pools)
            row = self._claim(node, claim)
            if self._table.free_of(row) > 0:  # reservations may leave a Windows node nothing of a block
                return self._take(row, node)
        return Reason.CIDR_NOT_AVAILABLE

    def take_back(self, grant: Grant) -> None:
        """Take a grant back: its address goes to the tail, or rests.

        Parameters
        ----------
        grant : tuple of (int, int)
            From `serve`.

        Raises
        ------
        None
            A grant can always be taken back.
        """
        row, ordinal = grant
        owned = bool(self._table.owner[row] != NOBODY)
        pool, index = int(self._table.pool[row]), self._table.index[row]
        self._table.release_one(row, ordinal, now=self._now)
        if pool in self._stocked:
            self._stocked[pool][index] = int(self._table.free_of(row) > 0)
        empty = not self._table.used[row] and not self._table.cooling[row]
        if owned and empty and self._table.claimed_at[row] + RECLAIM_SECONDS <= self._now:
            self._reclaimable.add(row)

    def _take(self, row: int, node: int) -> Grant:
        """Take the next address of a block."""
        table = self._table
        ordinal = table.take_one(row, node)
        if self._reclaimable:
            self._reclaimable.discard(row)
        if self._stocked and not table.free_of(row) and (stocked := self._stocked.get(int(table.pool[row]))):
            stocked[table.index[row]] = 0
        return row, ordinal

    def _claim(self, node: int, claim: tuple[int, int]) -> int:
        """Create a block for a node."""
        pool, index = claim
        windows = self._scope.windows[node : node + 1]
        row = int(self._table.add(np.array([pool]), [index], owner=np.array([node]), windows=windows, now=self._now)[0])
        bisect.insort(self._own.setdefault(node, []), (self._table.name_of(row), row))
        if pool in self._stocked:
            self._stocked[pool][index] = 1
        return row

    def _reclaim(self, node: int, pools: Sequence[int]) -> tuple[int, int] | None:
        """Delete the first old empty block of another node on the walk."""
        for pool in pools if self._reclaimable else ():
            rows = [row for row in self._reclaimable if self._table.pool[row] == pool]
            if not rows:
                continue
            start, blocks = self._scope.start(node, pool), self._table.pools[pool].blocks
            row = min(rows, key=lambda each: (self._table.index[each] - start) % blocks)
            owner, entry = int(self._table.owner[row]), (self._table.name_of(row), row)
            if entry in self._own.get(owner, []):
                self._own[owner].remove(entry)
            self._reclaimable.discard(row)
            claim = pool, self._table.index[row]
            self._table.disown(np.array([row]))
            return claim
        return None

    def _borrow(self, node: int, pools: Sequence[int]) -> Grant | Reason:
        """Take from the first block on the walk that has something free, whoever owns it."""
        for pool in pools:
            stocked = self._stocked.get(pool)
            if stocked is None:
                stocked = self._stocked[pool] = self._stock(pool)
            start = self._scope.start(node, pool)
            index = stocked.find(1, start)
            index = index if index >= 0 else stocked.find(1, 0, start)
            if index >= 0:
                return self._take(self._table.at[pool, index], node)
        return Reason.POOL_FULL

    def _stock(self, pool: int) -> bytearray:
        """Note which blocks of a pool have something free; the pool is claimed whole, so it is not wide."""
        table = self._table
        stocked = bytearray(table.pools[pool].blocks)
        for (number, index), row in table.at.items():
            if number == pool and table.free[row] > 0:
                stocked[index] = 1
        return stocked


def serve(counters: Sequence[Counter], node: int) -> list[Grant] | Reason:
    """Serve one pod in every family, or in none.

    Parameters
    ----------
    counters : sequence of Counter
        One a family, IPv4 first.
    node : int
        The pod's node.

    Returns
    -------
    list of (int, int), or Reason
        One grant a family; else why the first family that failed did.

    Raises
    ------
    None
        Every request has an answer.

    Notes
    -----
    Source: ``AutoAssign`` of ``libcalico-go/lib/ipam/ipam.go``; ``cmdAdd`` of the CNI plugin.
    """
    grants: list[tuple[Counter, Grant]] = []
    failed: Reason | None = None
    for counter in counters:
        answer = counter.serve(node)
        if not isinstance(answer, Reason):
            grants.append((counter, answer))
            continue
        failed = failed or answer
        if answer is not Reason.POOL_FULL:
            break
    if failed is None:
        return [grant for _, grant in grants]
    for counter, grant in grants:
        counter.take_back(grant)
    return failed
