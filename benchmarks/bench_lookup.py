"""Longest-prefix match of columns beside pytricia."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytricia
from measure import Row, race

from dsmodel.addresses.arrays import IPV6_DTYPE
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.prefixes import PrefixTable
from dsmodel.addresses.text import format_addresses

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIXES = 10_000
FEW = 200_000  # queries of the peer, which is linear


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of longest-prefix match."""
    rng = np.random.default_rng(1)
    for n in (1_000_000,) if quick else (1_000_000, 10_000_000):
        inside = (np.uint32(10 << 24) + rng.integers(0, 1 << 24, n, dtype=np.uint32)).astype(np.uint32)
        yield _row("nested /8 to /32", nested(rng), inside, goal=5)
        blocks = [Cidr("10.0.0.0/8").subnet(index, 24) for index in range(PREFIXES)]
        pods = (np.uint32(10 << 24) + rng.integers(0, PREFIXES << 8, n, dtype=np.uint32)).astype(np.uint32)
        yield _row("node blocks of one IPv4 cluster CIDR", blocks, pods, goal=30)
        column = np.empty(n, IPV6_DTYPE)
        column["hi"] = np.uint64(Cidr("fd00:10:244::/48").first >> 64) + rng.integers(0, PREFIXES, n, dtype=np.uint64)
        column["lo"] = rng.integers(0, 250, n, dtype=np.uint64)
        blocks = [Cidr("fd00:10:244::/48").subnet(index, 64) for index in range(PREFIXES)]
        yield _row("node blocks of one IPv6 cluster CIDR", blocks, column, goal=5)
        column["lo"] = rng.integers(0, 2**64, n, dtype=np.uint64)
        yield _row("nested IPv6 /48 to /128", nested_ipv6(rng), column, goal=5)


def nested(rng: np.random.Generator) -> list[Cidr]:
    """Return distinct prefixes of every length from /8 to /32 inside 10.0.0.0/8."""
    found: dict[Cidr, None] = {}
    while len(found) < PREFIXES:
        address, length = 10 << 24 | int(rng.integers(1 << 24)), int(rng.integers(8, 33))
        found[Cidr.from_parts(IPFamily.IPV4, address, length, host_bits="mask")] = None
    return list(found)


def nested_ipv6(rng: np.random.Generator) -> list[Cidr]:
    """Return distinct prefixes of every length from /48 to /128 inside fd00:10:244::/48."""
    found: dict[Cidr, None] = {}
    base = Cidr("fd00:10:244::/48").first
    while len(found) < PREFIXES:
        address = base | int(rng.integers(PREFIXES)) << 64 | int(rng.integers(1 << 63))
        found[Cidr.from_parts(IPFamily.IPV6, address, int(rng.integers(48, 129)), host_bits="mask")] = None
    return list(found)


def _row(name: str, prefixes: list[Cidr], column: np.ndarray, *, goal: float) -> Row:
    table = PrefixTable(prefixes)
    table.lookup(column)  # the table of cells is made on first use
    is_ipv4 = column.dtype == np.uint32
    tree = pytricia.PyTricia(32 if is_ipv4 else 128)
    for index, prefix in enumerate(prefixes):
        tree[str(prefix)] = index
    # numbers are what suits pytricia best for IPv4; it takes IPv6 as text only
    some = column[:FEW].tolist() if is_ipv4 else format_addresses(column[:FEW]).to_pylist()

    def by_tree() -> np.ndarray:
        get = tree.get
        return np.array([get(address, -1) for address in some])

    found = race(
        lambda: table.lookup(column),
        {"pytricia": by_tree},
        items=column.size,
        equal=lambda ours, theirs: np.array_equal(ours[: theirs.size], theirs),
        peer_items={"pytricia": len(some)},
    )
    return Row(name, f"{column.size:,}", found.own_ns, found.peers, {"pytricia": goal})
