"""An address column inside pandas beside a column of `ipaddress` objects."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from measure import Row, race

from dsmodel.addresses.arrays import IPV6_DTYPE
from dsmodel.cluster.address_array import AddressArray

if TYPE_CHECKING:
    from collections.abc import Iterator


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of sorting, grouping, membership and memory."""
    n, groups = (200_000, 50_000) if quick else (1_000_000, 200_000)
    array = addresses(n)
    plain = pd.Series(array.astype(object))
    series = pd.Series(array)
    few, few_plain = series[:groups], plain[:groups]
    wanted = array[:: n // 1000][:1000]
    wanted_plain = list(wanted)
    yield _row("sort_values", n, series.sort_values, plain.sort_values, goal=30)
    yield _row(
        "groupby", groups, lambda: few.groupby(few).ngroups, lambda: few_plain.groupby(few_plain).ngroups, goal=5
    )
    yield _row("isin of 1,000", n, lambda: series.isin(wanted), lambda: plain.isin(wanted_plain), goal=3)
    yield _row("== one address", n, lambda: series == wanted[0], lambda: plain == wanted_plain[0], goal=3)
    missing = AddressArray(array.column, np.ones(n, bool))
    quantities = {"B a row, nothing missing": array.nbytes / n, "B a row, with a mask": missing.nbytes / n}
    yield Row("memory of a column", f"{n:,}", 0.0, quantities=quantities, limits=dict.fromkeys(quantities, 17.0))


def addresses(n: int) -> AddressArray:
    """Return pod addresses of ten thousand nodes in random order; some repeat."""
    rng = np.random.default_rng(1)
    column = np.empty(n, IPV6_DTYPE)
    column["hi"] = np.uint64(0xFD00_0010_0244_0000) + rng.integers(0, 10_000, n, dtype=np.uint64)
    column["lo"] = rng.integers(2, 250, n, dtype=np.uint64)
    return AddressArray(column)


def _row(name: str, n: int, own: Any, plain: Any, *, goal: float) -> Row:
    def same(ours: Any, theirs: Any) -> bool:
        if isinstance(ours, pd.Series) and isinstance(ours.array, AddressArray):
            values = theirs.to_numpy()
            ends = [0, 1, len(values) // 2, len(values) - 1]
            whole = [int(ours.array.column["lo"].sum()), int(sum(int(v) & 0xFFFF for v in values))]
            return whole[0] == whole[1] and all(ours.iloc[i] == ipaddress.ip_address(values[i]) for i in ends)
        return bool(np.array_equal(np.asarray(ours), np.asarray(theirs)))

    result = race(own, {"object dtype": plain}, items=n, equal=same)
    return Row(f"pandas column: {name}", f"{n:,}", result.own_ns, result.peers, {"object dtype": goal})
