"""How near each pool of translated ports is to its end, per protocol and destination, and when failures start.

Promises: `snat_pressure` sums connections of one (pool, protocol, destination), judges each against the pool's budget,
and says how full it is, how likely the next connection fails, and at how many connections failures pass a rate; with
budgets of instances, the busiest instance counts, and with hashed addresses the busiest address.

What it does not know: which path a connection takes (`dsmodel.graph.paths`); a connection that passes two translators
is a row for each.

Sources: `dsmodel.graph.snat.law`, `dsmodel.graph.snat.budgets`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsmodel.addresses.cidr import IPFamily
from dsmodel.errors import InvalidInput
from dsmodel.graph.snat.law import addresses_needed, busiest_address, failure_ratio, fill_at_failure, refused_ratio
from dsmodel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.graph.snat.budgets import PortBudget

    Marks = NDArray[np.bool_]
    Numbers = NDArray[np.int64]
    Ratios = NDArray[np.float64]

__all__ = ["ALL_DESTINATIONS", "PROTOCOLS", "Connections", "Pressure", "SnatPool", "snat_pressure"]

PROTOCOLS: Final = ("TCP", "UDP", "SCTP", "ICMP")
ALL_DESTINATIONS: Final = -1
"""Destination (and protocol) of the row that judges a pool's total."""

_FAILURE_RATIO: Final = 0.001


@dataclass(frozen=True)
class SnatPool:
    """Translated addresses that share a budget, of one family.

    Parameters
    ----------
    name : str
        The address, or what it belongs to. Pools are of one family; what NAT64 translates is a load on the IPv4 pool of
        the translator.
    family : IPFamily or str
        Of the translated addresses.
    budget : PortBudget
        What they hold.

    Raises
    ------
    ValueError
        No family.

    Examples
    --------
    >>> from dsmodel.graph.snat import linux
    >>> str(SnatPool("192.0.2.10", "IPv4", linux()).family)
    'IPv4'
    """

    name: str
    family: IPFamily
    budget: PortBudget

    def __post_init__(self) -> None:
        """Read the family."""
        object.__setattr__(self, "family", IPFamily(self.family))


@dataclass(frozen=True, eq=False)
class Connections:
    """Connections at once, in any number of rows; equal keys are summed.

    Parameters
    ----------
    pool : ndarray of integers, shape (n,)
        Place in the list of pools.
    protocol : ndarray of integers, shape (n,)
        Place in `PROTOCOLS`.
    destination : ndarray of integers, shape (n,)
        Number of the (address, port) in the caller's list, 0 or more.
    count : ndarray of integers, shape (n,)
        Connections, those included whose port is not free again yet.
    instance : ndarray of integers, shape (n,), optional
        VM or pod that they start from, 0 or more; needed where a budget is of instances.

    Raises
    ------
    InvalidInput
        Columns that differ in length, or a negative number.

    Examples
    --------
    >>> zero = np.zeros(2, np.int64)
    >>> int(Connections(zero, zero, np.array([0, 1]), np.array([900, 20])).count.sum())
    920
    """

    pool: NDArray[Any]
    protocol: NDArray[Any]
    destination: NDArray[Any]
    count: NDArray[Any]
    instance: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        """Refuse columns that do not belong together."""
        columns = {"pool": self.pool, "protocol": self.protocol, "destination": self.destination, "count": self.count}
        if self.instance is not None:
            columns["instance"] = self.instance
        lengths = {len(column) for column in columns.values()}
        if len(lengths) > 1:
            raise InvalidInput(f"connections: columns of {sorted(lengths)} rows; give one value a row in each")
        for name, column in columns.items():
            if len(column) and column.min() < 0:
                row = int(np.argmax(column < 0))
                raise InvalidInput(f"connections: {name} of row {row} is {column[row]}; use 0 or more")
        if len(self.protocol) and self.protocol.max() >= len(PROTOCOLS):
            row = int(np.argmax(self.protocol >= len(PROTOCOLS)))
            raise InvalidInput(f"connections: protocol of row {row} is {self.protocol[row]}; places in {PROTOCOLS}")


@dataclass(frozen=True, eq=False)
class Pressure:
    """How full each pool is, a row a (pool, protocol, destination), in this order; a pool's total comes first.

    Parameters
    ----------
    pool : ndarray of int64
        Place in `pools`.
    protocol, destination : ndarray of int64
        As in `Connections`; -1 (`ALL_DESTINATIONS`) in a row for a pool's total.
    instance : ndarray of int64
        Busiest VM or pod, where the budget is of instances; -1 elsewhere.
    used : ndarray of int64
        Connections; of the busiest instance where the budget is of instances.
    usable : ndarray of int64
        That fit; 0 where nothing limits.
    is_limited : ndarray of bool
        Whether anything does.
    used_ratio : ndarray of float64
        Fill of the busiest address, or of the total; above 1 where more is wanted than fits. 0 where nothing limits.
    failure_ratio : ndarray of float64
        How likely one more connection fails while so many are held.
    refused_ratio : ndarray of float64
        Share refused in the long run, if so many are wanted; of a map that evicts, share that is ended instead.
    alarm_ratio : ndarray of float64
        Fill from which on it is worth an alarm.
    starts_failing_at : ndarray of int64
        Connections, over all addresses, at which new ones fail at the rate asked for; 0 where nothing limits.
    addresses_needed : ndarray of int64
        Translated addresses that keep below the alarm; 0 in rows that addresses do not help (instances, totals).
    pools : tuple of SnatPool
        What `pool` counts in.
    failure_asked : float
        Rate of `starts_failing_at`.

    Raises
    ------
    None
        `snat_pressure` makes it.
    """

    pool: Numbers
    protocol: Numbers
    destination: Numbers
    instance: Numbers
    used: Numbers
    usable: Numbers
    is_limited: Marks
    used_ratio: Ratios
    failure_ratio: Ratios
    refused_ratio: Ratios
    alarm_ratio: Ratios
    starts_failing_at: Numbers
    addresses_needed: Numbers
    pools: tuple[SnatPool, ...]
    failure_asked: float

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.pool)

    @property
    def is_alarm(self) -> Marks:
        """Whether a row is at its alarm level or above."""
        return np.asarray(self.is_limited & (self.used_ratio >= self.alarm_ratio))

    def why(self, row: int) -> str:
        """Say in one sentence how full one row is, by which rule, and when failures start.

        Parameters
        ----------
        row : int
            Which.

        Returns
        -------
        str
            With the numbers of the budget.

        Raises
        ------
        IndexError
            No such row.

        Examples
        --------
        >>> from dsmodel.graph.snat import cilium
        >>> zero = np.zeros(1, np.int64)
        >>> load = Connections(zero, zero, zero, np.array([28_000]))
        >>> print(snat_pressure(load, [SnatPool("192.0.2.10", "IPv4", cilium())]).why(1))
        28,000 of 32,768 TCP connections to one destination (85 %); Cilium BPF tries 32 random ports, so that 0.65 % of
        new connections fail, and more than 0.1 % from 26,406 on.
        """
        budget = self.pools[self.pool[row]].budget
        used, usable, name = int(self.used[row]), int(self.usable[row]), budget.translator
        if not self.is_limited[row]:
            return f"{counted(used, 'connection')}: {name} has no limit of ports."
        share = _percent(used / usable)
        if self.destination[row] == ALL_DESTINATIONS:
            end = "ends old connections" if budget.evicts else "refuses new ones"
            return f"{used:,} of {usable:,} connections to all destinations ({share}); a full {name} {end}."
        kind = f"{PROTOCOLS[self.protocol[row]]} connections to one destination"
        words = f"{used:,} of {usable:,} {kind} ({share})"
        if budget.per_instance:
            words += " from the busiest instance"
        elif budget.spread == "hashed" and budget.addresses > 1:
            words += f", {_percent(self.used_ratio[row])} of the busiest of {counted(budget.addresses, 'address')}"
        if not budget.tries:
            return f"{words}; {name} refuses what does not fit, {_percent(self.refused_ratio[row])} now."
        return (
            f"{words}; {name} tries {budget.tries} random ports, so that {_percent(self.failure_ratio[row])} of new "
            f"connections fail, and more than {_percent(self.failure_asked)} from {self.starts_failing_at[row]:,} on."
        )


def snat_pressure(connections: Connections, pools: Sequence[SnatPool], *, failure: float = _FAILURE_RATIO) -> Pressure:
    """Judge connections against the pools that translate them.

    Parameters
    ----------
    connections : Connections
        In any order and number.
    pools : sequence of SnatPool
        What their pools are.
    failure : float
        Share of new connections that may fail before failures "start".

    Returns
    -------
    Pressure
        A row a (pool, protocol, destination) in use, and one for each pool with a total.

    Raises
    ------
    InvalidInput
        A pool that is not listed, instances missing where a budget needs them, or a share that is none.

    Examples
    --------
    >>> from dsmodel.graph.snat import aws_nat_gateway
    >>> zero = np.zeros(40, np.int64)
    >>> nodes = Connections(zero, zero, zero, np.full(40, 30 * 60))
    >>> for n in (1, 2):
    ...     found = snat_pressure(nodes, [SnatPool("nat", "IPv4", aws_nat_gateway(addresses=n))])
    ...     print(found.used, found.usable, found.used_ratio.round(2), found.addresses_needed)
    [72000] [55000] [1.31] [2]
    [72000] [110000] [0.65] [2]
    """
    listed = tuple(pools)
    _check(connections, listed, failure)
    total = [place for place, each in enumerate(listed) if each.budget.total and (connections.pool == place).any()]
    keys, used = _summed(connections, listed)
    for place in total:
        whole = int(connections.count[connections.pool == place].sum())
        keys = np.concatenate([keys, [[place, ALL_DESTINATIONS, ALL_DESTINATIONS, -1]]])
        used = np.append(used, whole)
    order = np.lexsort(keys.T[2::-1])
    (pool, protocol, destination, instance), used = keys[order].T, used[order]
    is_total = destination == ALL_DESTINATIONS
    limits = _Limits.of(listed, pool, is_total, failure)
    ratio = limits.fill(used)
    return Pressure(
        pool=pool,
        protocol=protocol,
        destination=destination,
        instance=instance,
        used=used,
        usable=limits.usable,
        is_limited=limits.usable > 0,
        used_ratio=ratio,
        failure_ratio=failure_ratio(ratio, limits.tries),
        refused_ratio=refused_ratio(ratio, limits.tries),
        alarm_ratio=limits.alarm_ratio,
        starts_failing_at=limits.starts_failing_at,
        addresses_needed=limits.addresses_needed(used),
        pools=listed,
        failure_asked=failure,
    )


@dataclass(frozen=True, eq=False)
class _Limits:
    """What the budgets say, a row a row of the answer."""

    ports: Numbers
    addresses: Numbers
    is_hashed: Marks
    is_shared: Marks  # several addresses, or one: not of an instance, and no total
    tries: Numbers
    alarm_ratio: Ratios
    starts_failing_at: Numbers

    @classmethod
    def of(cls, pools: Sequence[SnatPool], pool: Numbers, is_total: Marks, failure: float) -> _Limits:
        """Look each row's budget up."""
        budgets = [each.budget for each in pools]

        def per_pool(values: list[Any], dtype: type) -> NDArray[Any]:
            return np.array(values, dtype)[pool]

        totals = per_pool([budget.total or 0 for budget in budgets], np.int64)
        starts = per_pool([_failing(budget, failure) for budget in budgets], np.int64)
        shared = per_pool([not budget.per_instance for budget in budgets], np.bool_) & ~is_total
        return cls(
            ports=np.where(is_total, totals, per_pool([budget.ports or 0 for budget in budgets], np.int64)),
            addresses=np.where(shared, per_pool([budget.addresses for budget in budgets], np.int64), 1),
            is_hashed=per_pool([budget.spread == "hashed" for budget in budgets], np.bool_) & shared,
            is_shared=shared,
            tries=np.where(is_total, 0, per_pool([budget.tries for budget in budgets], np.int64)),
            alarm_ratio=per_pool([budget.alarm_ratio for budget in budgets], np.float64),
            starts_failing_at=np.where(is_total, totals, starts),
        )

    @property
    def usable(self) -> Numbers:
        """Connections that fit, over all addresses."""
        return self.ports * self.addresses

    def fill(self, used: Numbers) -> Ratios:
        """Return the fill of the busiest address."""
        busiest = busiest_address(used, np.where(self.is_hashed, self.addresses, 1))
        spread = np.where(self.is_hashed, 1, self.addresses)
        return np.where(self.ports > 0, busiest / np.maximum(self.ports * spread, 1), 0.0)

    def addresses_needed(self, used: Numbers) -> Numbers:
        """Return how many addresses keep every one below the alarm."""
        counted = self.is_shared & (self.ports > 0)
        ports = np.where(counted, self.ports, 1)
        need = np.where(counted, addresses_needed(used, ports, fill_ratio=self.alarm_ratio), 0)
        open_ = counted & self.is_hashed
        while open_.any():
            over = busiest_address(used[open_], need[open_].clip(1)) > ports[open_] * self.alarm_ratio[open_]
            rows = np.flatnonzero(open_)
            need[rows[over]] += 1
            open_[rows[~over]] = False
        return need


def _failing(budget: PortBudget, failure: float) -> int:
    """Return at how many connections to one destination new ones fail at a rate."""
    if budget.ports is None or budget.usable is None:
        return 0
    fill = float(fill_at_failure(failure, budget.tries))
    if budget.per_instance or budget.spread == "pooled" or budget.addresses == 1:
        return int(np.ceil(fill * budget.usable))
    low, high = 0, budget.usable  # the busiest address is that full
    while high - low > 1:
        middle = (low + high) // 2
        if busiest_address(middle, budget.addresses) >= fill * budget.ports:
            high = middle
        else:
            low = middle
    return high


def _summed(connections: Connections, pools: Sequence[SnatPool]) -> tuple[Numbers, Numbers]:
    """Sum equal keys; of instances, keep the busiest. Keys are rows of pool, protocol, destination, instance."""
    n = len(connections.pool)
    if not n:
        return np.zeros((0, 4), np.int64), np.zeros(0, np.int64)
    instance = np.full(n, -1, np.int64)
    if connections.instance is not None:
        of_instances = np.array([each.budget.per_instance for each in pools], np.bool_)
        instance = np.where(of_instances[connections.pool], connections.instance, -1)
    destinations, to = np.unique(connections.destination, return_inverse=True)
    instances, by = np.unique(instance, return_inverse=True)
    bound = (len(destinations), len(instances))
    code = (connections.pool.astype(np.int64) * len(PROTOCOLS) + connections.protocol) * bound[0] + to
    found, place = np.unique(code * bound[1] + by, return_inverse=True)
    sums = np.bincount(place, weights=connections.count).astype(np.int64)
    by_key = np.lexsort((-(found % bound[1]), sums, found // bound[1]))  # the busiest of a key comes last
    found, sums = found[by_key], sums[by_key]
    last = np.append(found[1:] // bound[1] != found[:-1] // bound[1], True)
    found, sums = found[last], sums[last]
    rest = found // bound[1]
    pool, protocol = np.divmod(rest // bound[0], len(PROTOCOLS))
    return np.stack([pool, protocol, destinations[rest % bound[0]], instances[found % bound[1]]], axis=1), sums


def _check(connections: Connections, pools: Sequence[SnatPool], failure: float) -> None:
    """Refuse what does not fit together."""
    if not 0 < failure < 1:
        raise InvalidInput(f"failure={failure}: a share of connections, above 0 and below 1; write for instance 0.001")
    most = int(connections.pool.max(initial=-1))
    if most >= len(pools):
        raise InvalidInput(f"connections: pool {most} is not listed; {len(pools)} pools are 0 to {len(pools) - 1}")
    if connections.instance is None:
        for place in np.unique(connections.pool).tolist():
            if pools[place].budget.per_instance:
                raise InvalidInput(
                    f"pool {pools[place].name!r}: {pools[place].budget.translator} has ports for each instance; "
                    "say which one connections start from (instance)"
                )


def _percent(ratio: float) -> str:
    """Write a share with two significant digits, and all digits before the point."""
    return f"{ratio * 100:.2g} %" if ratio < 0.1 else f"{ratio * 100:,.0f} %"
