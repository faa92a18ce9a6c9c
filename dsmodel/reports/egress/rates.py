"""New connections a second, against what a translator takes: full ports are not all that refuses.

Promises the share of new connections that does not fit a translator's rate per address and destination, beside how
full its ports are.

What it does not know: connections that are counted and not rated, and rates that nobody publishes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dsmodel.graph.snat import PortBudget, Pressure

__all__ = ["too_fast"]


def too_fast(
    found: Pressure, budgets: Sequence[PortBudget], new: Mapping[tuple[int, int, int], float]
) -> tuple[NDArray[np.float64], list[str]]:
    """Return the share of new connections that each row's translator refuses for their rate, and why.

    Parameters
    ----------
    found : Pressure
        Rows of pools, protocols and destinations.
    budgets : sequence of PortBudget
        Of each pool.
    new : mapping of (int, int, int) to float
        New connections a second, by place of pool, protocol and destination.

    Returns
    -------
    ndarray of float64, shape (rows,)
        0 where the rate fits, or nothing limits it.
    list of str
        One a row; empty where it fits.

    Raises
    ------
    None
        Every rate has an answer.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import IPFamily
    >>> from dsmodel.graph.snat import Connections, SnatPool, aws_nat_gateway, snat_pressure
    >>> budget, zero = aws_nat_gateway(), np.array([0])
    >>> pools = [SnatPool("NAT/a", IPFamily.IPV4, budget)]
    >>> found = snat_pressure(Connections(zero, zero, zero, np.array([10]), zero), pools)
    >>> refused, words = too_fast(found, [budget], {(0, 0, 0): 1_200.0})
    >>> refused.tolist(), words
    ([0.25], ['1,200 new connections a second, and 900 fit: 25 % are refused.'])
    """
    refused = np.zeros(len(found), np.float64)
    words = [""] * len(found)
    places = zip(found.pool.tolist(), found.protocol.tolist(), found.destination.tolist(), strict=True)
    for row, key in enumerate(places if new else ()):
        limit = budgets[key[0]].most_new_per_s
        rate = new.get(key, 0.0)
        if limit is None or rate <= limit * budgets[key[0]].addresses:
            continue
        fits = limit * budgets[key[0]].addresses
        refused[row] = 1 - fits / rate
        words[row] = f"{rate:,.0f} new connections a second, and {fits:,} fit: {refused[row] * 100:.0f} % are refused."
    return refused, words
