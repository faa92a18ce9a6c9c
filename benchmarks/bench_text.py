"""Address columns to and from text beside `ipaddress` and `socket`."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

import numpy as np
from measure import Row, race

from dsmodel.addresses.arrays import IPV6_DTYPE, from_offsets, to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.text import format_addresses, parse_addresses

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = 200_000  # items of the peers, which are linear


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of text."""
    n = 1_000_000 if quick else 10_000_000
    for name, column, goals in columns(n):
        yield _writing(name, column, {"ipaddress": goals[0], "inet_ntop": goals[1]})
        yield _reading(name, column, {"ipaddress": goals[2], "inet_pton": goals[3]})


def columns(n: int) -> Iterator[tuple[str, np.ndarray, tuple[float, ...]]]:
    """Yield name, addresses, and goals: writing against ipaddress and socket, reading against both."""
    rng = np.random.default_rng(1)
    rank = np.arange(n, dtype=np.uint64)
    node_order = np.empty(n, IPV6_DTYPE)
    node_order["hi"] = np.uint64(Cidr("fd00:10:244::/48").first >> 64) + rank // np.uint64(110) % np.uint64(65536)
    node_order["lo"] = rank % np.uint64(110) + np.uint64(2)
    yield "IPv4, rising", from_offsets(Cidr("10.0.0.0/8"), rank), (30, 10, 25, 1.5)
    yield "IPv6, node order", node_order, (60, 8, 15, 1.2)
    yield "IPv6, shuffled", node_order[rng.permutation(n)], (20, 3, 15, 1.2)
    random = rng.integers(0, 2**64, (min(n, 2_000_000), 2), dtype=np.uint64)
    yield "IPv6, random", random.view(IPV6_DTYPE).reshape(-1), (20, 3, 15, 1.2)


def _writing(name: str, column: np.ndarray, goals: dict[str, float]) -> Row:
    numbers = to_integers(column[:FEW])
    if column.dtype == np.uint32:
        kind, family, size = ipaddress.IPv4Address, socket.AF_INET, 4
    else:
        kind, family, size = ipaddress.IPv6Address, socket.AF_INET6, 16
    ready = [number.to_bytes(size, "big") for number in numbers]

    def by_socket() -> list[str]:
        write = socket.inet_ntop
        if size == 4:  # a number is what a column of IPv4 holds; sixteen bytes are taken as given
            return [write(family, number.to_bytes(4, "big")) for number in numbers]
        return [write(family, raw) for raw in ready]

    found = race(
        lambda: format_addresses(column),
        {"ipaddress": lambda: [str(kind(number)) for number in numbers], "inet_ntop": by_socket},
        items=column.size,
        equal=lambda ours, theirs: ours[: len(theirs)].to_pylist() == theirs,
        peer_items={"ipaddress": len(numbers), "inet_ntop": len(numbers)},
    )
    return Row(f"{name}: to text", f"{column.size:,}", found.own_ns, found.peers, goals)


def _reading(name: str, column: np.ndarray, goals: dict[str, float]) -> Row:
    texts = format_addresses(column)
    some = texts[:FEW].to_pylist()
    is_ipv4 = column.dtype == np.uint32
    kind, family = (ipaddress.IPv4Address, socket.AF_INET) if is_ipv4 else (ipaddress.IPv6Address, socket.AF_INET6)

    def by_socket() -> np.ndarray:
        read = socket.inet_pton
        return np.frombuffer(b"".join([read(family, text) for text in some]), ">u4" if is_ipv4 else ">u8")

    def same(ours: np.ndarray, theirs: Any) -> bool:
        if isinstance(theirs, list):
            return to_integers(ours[: len(theirs)]) == theirs
        return np.array_equal(ours[:FEW] if is_ipv4 else ours[:FEW].view(np.uint64), theirs)

    found = race(
        lambda: parse_addresses(texts, family=IPFamily.IPV4 if is_ipv4 else IPFamily.IPV6),
        {"ipaddress": lambda: [int(kind(text)) for text in some], "inet_pton": by_socket},
        items=column.size,
        equal=same,
        peer_items={"ipaddress": len(some), "inet_pton": len(some)},
    )
    return Row(f"{name}: from text", f"{column.size:,}", found.own_ns, found.peers, goals)
