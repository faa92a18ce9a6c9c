"""Address columns and CIDR lists beside numpy's general tools and `ipaddress`."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import numpy as np
from measure import Row, race

from dsmodel.addresses import arrays
from dsmodel.addresses.arrays import IPV6_DTYPE, to_integers
from dsmodel.addresses.cidr import Cidr
from dsmodel.addresses.registries import special_purpose
from dsmodel.addresses.space import aggregate
from dsmodel.addresses.text import format_addresses

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = 100_000  # items of object peers, which are linear


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of columns and lists."""
    n = 500_000 if quick else 2_000_000
    rng = np.random.default_rng(1)
    column = np.empty(n, IPV6_DTYPE)
    column["hi"] = np.uint64(Cidr("fd00:10:244::/48").first >> 64) + rng.integers(0, 65536, n, dtype=np.uint64)
    column["lo"] = rng.integers(0, 250, n, dtype=np.uint64)
    yield _sort(column)
    yield _unique(column)
    yield _isin(column, column[:1000])
    yield _offsets(n)
    yield _special(column)
    yield _aggregate(20_000 if quick else 100_000)


def _sort(column: np.ndarray) -> Row:
    found = race(
        lambda: arrays.sort(column),
        {"lexsort": lambda: column[np.lexsort((column["lo"], column["hi"]))]},
        items=column.size,
    )
    return Row("sort IPv6", f"{column.size:,}", found.own_ns, found.peers, {"lexsort": 3})


def _unique(column: np.ndarray) -> Row:
    some = to_integers(column[:FEW])
    found = race(
        lambda: arrays.unique(column),
        {"set of int": lambda: len(set(some))},
        items=column.size,
        equal=lambda _, theirs: arrays.unique(column[:FEW]).size == theirs,
        peer_items={"set of int": len(some)},
    )
    return Row("distinct IPv6", f"{column.size:,}", found.own_ns, found.peers)


def _isin(column: np.ndarray, values: np.ndarray) -> Row:
    some, wanted = to_integers(column[:FEW]), set(to_integers(values))
    found = race(
        lambda: arrays.isin(column, values),
        {"set of int": lambda: np.array([number in wanted for number in some])},
        items=column.size,
        equal=lambda ours, theirs: np.array_equal(ours[: theirs.size], theirs),
        peer_items={"set of int": len(some)},
    )
    return Row("IPv6 is in 1,000", f"{column.size:,}", found.own_ns, found.peers)


def _offsets(n: int) -> Row:
    cidr, offsets = Cidr("fd00:10:244::/64"), np.arange(n, dtype=np.uint64)
    base, few = ipaddress.ip_network(str(cidr))[0], range(FEW)
    found = race(
        lambda: arrays.from_offsets(cidr, offsets),
        {"ipaddress": lambda: [base + offset for offset in few]},
        items=n,
        equal=lambda ours, theirs: to_integers(ours[: len(theirs)]) == list(map(int, theirs)),
        peer_items={"ipaddress": FEW},
    )
    return Row("offsets to IPv6", f"{n:,}", found.own_ns, found.peers, {"ipaddress": 50})


def _special(column: np.ndarray) -> Row:
    some = [ipaddress.ip_address(text) for text in format_addresses(column[:FEW]).to_pylist()]
    found = race(
        lambda: special_purpose(column),
        {"ipaddress": lambda: np.array([address.is_private for address in some])},
        items=column.size,
        equal=lambda ours, theirs: np.array_equal(ours[: theirs.size] >= 0, theirs),
        peer_items={"ipaddress": len(some)},
    )
    return Row("special-purpose blocks, IPv6", f"{column.size:,}", found.own_ns, found.peers, {"ipaddress": 10})


def _aggregate(n: int) -> Row:
    wide = Cidr("10.0.0.0/8")
    drawn = np.random.default_rng(2).integers(0, 1 << 18, n).tolist()
    blocks = [wide.subnet(index, 26) for index in drawn]
    networks = [ipaddress.ip_network((block.first, block.prefix_length)) for block in blocks]
    found = race(
        lambda: aggregate(blocks),
        {"ipaddress": lambda: list(ipaddress.collapse_addresses(networks))},
        items=n,
        equal=lambda ours, theirs: [str(block) for block in ours] == [str(network) for network in theirs],
    )
    return Row("aggregate CIDRs", f"{n:,}", found.own_ns, found.peers, {"ipaddress": 1})
