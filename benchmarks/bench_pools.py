"""Pools beside pyroaring, bitarray, `ipaddress`, `rng.choice` and plain loops."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import numpy as np
import pyroaring
from bitarray import bitarray
from measure import Row, race

from dsmodel.addresses.cidr import Cidr
from dsmodel.pools import compiled
from dsmodel.pools.arrivals import Arrivals
from dsmodel.pools.blocks import CidrSet
from dsmodel.pools.grids import RangeGrid
from dsmodel.pools.offsets import OffsetPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BAND = 256


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield the rows of pools."""
    rounds = 5 if quick else 7
    sizes = [(20, 500_000)] if quick else [(20, 500_000), (24, 10_000_000)]
    for bits, n in sizes:
        yield _lowest(bits, n, rounds)
    yield _subnets(rounds)
    for bits, n in sizes:
        yield _sample(bits, n, rounds)
        yield _scan_set(bits, n, rounds)
    yield _scan_fill(20, rounds)
    for bits, n in sizes:
        yield from _scan_sequence(bits, n, rounds if bits <= 20 else 5)
    yield from _one_at_a_time()
    yield from _one_scan(rounds)
    yield _churn(1_000_000 if quick else 10_000_000, 50_000 if quick else 500_000)
    yield from _grid(quick=quick, rounds=rounds)


def _used(bits: int) -> np.ndarray:
    """Return a quarter of the slots, at random."""
    return np.random.default_rng(1).permutation(1 << bits)[: 1 << (bits - 2)].astype(np.uint64)


def _pool(bits: int, strategy: str, *, band: int = 0) -> OffsetPool:
    """Return a pool a quarter used, packed as it is between bulk operations."""
    pool = OffsetPool(1 << bits, strategy=strategy, band_offset=band)
    pool.occupy(_used(bits))
    pool.free_offsets(1)
    return pool


def _fresh(pool: OffsetPool) -> OffsetPool:
    """Return an unshared copy."""
    twin = pool.copy()
    twin._slots._own_words()  # noqa: SLF001 - the copy itself is not what is timed
    return twin


def _lowest(bits: int, n: int, rounds: int) -> Row:
    size = 1 << bits
    used = np.union1d(_used(bits), np.array([0, size - 1], dtype=np.uint64))  # hosts() leaves the two ends out
    pool = _pool(bits, "lowest")
    pool.occupy(used)
    pool.free_offsets(1)
    bitmap = pyroaring.BitMap(used.astype(np.uint32))
    bits_used = bitarray(size)
    bits_used.setall(0)
    flags = np.zeros(size, dtype=np.uint8)
    flags[used.astype(np.intp)] = 1
    bits_used = bitarray(endian="little")
    bits_used.frombytes(np.packbits(flags, bitorder="little").tobytes())
    bits_used = bits_used[:size]

    def roaring(used_now: pyroaring.BitMap) -> np.ndarray:
        free = used_now.flip(0, size)
        taken = free[:n]
        used_now |= taken
        return np.frombuffer(taken.to_array() if hasattr(taken, "to_array") else np.array(taken), dtype=np.uint32)

    def bits_search(used_now: bitarray) -> np.ndarray:
        out = np.fromiter(_first(used_now.search(0), n), dtype=np.uint64, count=n)
        used_now[: int(out[-1]) + 1] = 1
        return out

    def hosts(used_now: set[ipaddress.IPv4Address]) -> list[ipaddress.IPv4Address]:
        out = []
        for address in ipaddress.IPv4Network((0, 32 - bits)).hosts():
            if address not in used_now:
                used_now.add(address)
                out.append(address)
                if len(out) == n:
                    break
        return out

    def equal(ours: np.ndarray, theirs: Any) -> bool:
        return np.array_equal(ours, list(map(int, theirs)) if isinstance(theirs, list) else theirs)

    peers: dict[str, Callable[..., Any]] = {"pyroaring": roaring, "bitarray": bits_search}
    prepare: dict[str, Callable[[], Any]] = {
        "own": lambda: _fresh(pool),
        "pyroaring": bitmap.copy,
        "bitarray": bits_used.copy,
    }
    goals = {"pyroaring": 3.0, "bitarray": 15.0}
    if bits <= 20:
        taken = set(map(ipaddress.IPv4Address, used.tolist()))
        peers["ipaddress hosts() + set"], prepare["ipaddress hosts() + set"] = hosts, taken.copy
        goals["ipaddress hosts() + set"] = 800.0
    result = race(lambda fresh: fresh.allocate_next(n), peers, items=n, prepare=prepare, rounds=rounds, equal=equal)
    return Row("lowest free", f"{n:,} of 2^{bits}", result.own_ns, result.peers, goals)


def _first(iterator: Iterator[int], n: int) -> Iterator[int]:
    for _, value in zip(range(n), iterator, strict=False):
        yield value


def _subnets(rounds: int) -> Row:
    cidr = Cidr("10.0.0.0/8")

    def own(_: object) -> np.ndarray:
        blocks = CidrSet(cidr, 24)
        return blocks.blocks(blocks.allocate_next(65_536))

    def stdlib(_: object) -> np.ndarray:
        network = ipaddress.ip_network("10.0.0.0/8")
        return list(network.subnets(new_prefix=24))

    def equal(ours: np.ndarray, theirs: list[ipaddress.IPv4Network]) -> bool:
        return ours.tolist() == [int(subnet.network_address) for subnet in theirs]

    result = race(own, {"ipaddress.subnets": stdlib}, items=65_536, prepare=lambda: None, rounds=rounds, equal=equal)
    return Row("node subnets, next free", "65,536 /24", result.own_ns, result.peers, {"ipaddress.subnets": 150.0})


def _sample(bits: int, n: int, rounds: int) -> Row:
    pool = _pool(bits, "sample")
    flags = np.ones(1 << bits, dtype=bool)
    flags[pool.used_offsets().astype(np.intp)] = False

    def choice(free_now: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(3)
        taken = rng.choice(np.flatnonzero(free_now), size=n, replace=False)
        free_now[taken] = False
        return taken

    def equal(ours: np.ndarray, theirs: np.ndarray) -> bool:  # two draws: equal in number, both free and distinct
        return len(ours) == len(np.unique(theirs)) == n and bool(flags[ours.astype(np.intp)].all())

    result = race(
        lambda fresh: fresh.allocate_next(n, rng=np.random.default_rng(3), order="set"),
        {"rng.choice": choice},
        items=n,
        prepare={"own": lambda: _fresh(pool), "rng.choice": flags.copy},
        rounds=rounds,
        equal=equal,
    )
    return Row(
        "uniform set (sample)",
        f"{n:,} of 2^{bits}",
        result.own_ns,
        result.peers,
        {"rng.choice": 4.0 if bits <= 20 else 10.0},
    )


def _find_loop(bits: int, n: int, band: int) -> Callable[[bytearray], list[int]]:
    """Return Kubernetes' law as a loop over `bytearray.find`, with the same random starts."""
    size = 1 << bits

    def loop(used_now: bytearray) -> list[int]:
        starts = np.random.default_rng(3).integers(0, size - band - 1, size=n, dtype=np.uint64, endpoint=True) + band
        find, out = used_now.find, []
        for start in starts.tolist():
            slot = find(0, start)
            if slot < 0:
                slot = find(0, band)
            used_now[slot] = 1
            out.append(slot)
        return out

    return loop


def _scan(bits: int, n: int, rounds: int, *, order: str, pool: OffsetPool, items_loop: int) -> Any:
    flags = bytearray(1 << bits)
    view = np.frombuffer(flags, dtype=np.uint8)
    view[pool.used_offsets().astype(np.intp)] = 1
    del view

    def equal(ours: np.ndarray, theirs: list[int]) -> bool:
        if order == "sequence":
            return ours[: len(theirs)].tolist() == theirs
        return items_loop < n or np.array_equal(np.sort(ours), np.sort(np.array(theirs, dtype=np.uint64)))

    return race(
        lambda fresh: fresh.allocate_next(n, rng=np.random.default_rng(3), order=order),
        {"bytearray.find loop": _find_loop(bits, items_loop, BAND)},
        items=n,
        prepare={"own": lambda: _fresh(pool), "bytearray.find loop": lambda: bytearray(flags)},
        rounds=rounds,
        equal=equal,
        peer_items={"bytearray.find loop": items_loop},
    )


def _scan_set(bits: int, n: int, rounds: int) -> Row:
    result = _scan(bits, n, rounds, order="set", pool=_pool(bits, "scan", band=BAND), items_loop=min(n, 2_000_000))
    return Row(
        "Kubernetes' random law, exact set",
        f"{n:,} of 2^{bits}",
        result.own_ns,
        result.peers,
        {"bytearray.find loop": 10.0},
    )


def _scan_fill(bits: int, rounds: int) -> Row:
    n = (1 << bits) - BAND - (1 << (bits - 2)) + 40  # less what of the band is used already: full or nearly so
    pool = _pool(bits, "scan", band=BAND)
    n = pool._slots.count_free(BAND, 1 << bits)  # noqa: SLF001 - the dynamic band's free slots
    result = _scan(bits, n, rounds, order="set", pool=pool, items_loop=n)
    return Row(
        "Kubernetes' law, band filled, set",
        f"{n:,} of 2^{bits}",
        result.own_ns,
        result.peers,
        {"bytearray.find loop": 10.0},
    )


def _scan_sequence(bits: int, n: int, rounds: int) -> Iterator[Row]:
    """Yield the exact sequence by numpy alone and, where numba is installed, compiled."""
    pool, loop = _pool(bits, "scan", band=BAND), min(n, 2_000_000)
    name, size = "Kubernetes' law, exact sequence", f"{n:,} of 2^{bits}"
    installed = compiled.prober
    compiled.prober = lambda: None
    result = _scan(bits, n, rounds, order="sequence", pool=pool, items_loop=loop)
    compiled.prober = installed
    yield Row(name, size, result.own_ns, result.peers)
    if installed() is not None:
        result = _scan(bits, n, rounds, order="sequence", pool=pool, items_loop=loop)
        yield Row("exact sequence, numba installed", size, result.own_ns, result.peers, {"bytearray.find loop": 25.0})


class _AddressPool:
    """The standard library's way: an iterator over the addresses and the set of those in use."""

    def __init__(self, bits: int, used: set[ipaddress.IPv4Address]) -> None:
        self.addresses, self.used = iter(ipaddress.IPv4Network((0, 32 - bits))), used

    def allocate_next(self) -> ipaddress.IPv4Address:
        """Return the lowest address not in use."""
        for address in self.addresses:
            if address not in self.used:
                self.used.add(address)
                return address
        raise LookupError


class _NumberPool:
    """The same with a set of numbers, whose hash costs less than an address's."""

    def __init__(self, bits: int, used: set[int]) -> None:
        self.addresses, self.used = iter(ipaddress.IPv4Network((0, 32 - bits))), used

    def allocate_next(self) -> int:
        """Return the lowest address not in use."""
        for address in self.addresses:
            number = int(address)
            if number not in self.used:
                self.used.add(number)
                return number
        raise LookupError


def _one_at_a_time() -> Iterator[Row]:
    """One call after the other: 10,000 at 25% used, and 1,000 on each of 10 pools at 99.9% used."""
    bits, used, order = 20, _used(20), np.random.default_rng(2).permutation(1 << 20).astype(np.uint64)
    numbers = set(used.tolist())
    objects = set(map(ipaddress.IPv4Address, numbers))

    def own(pools: list[OffsetPool], calls: int) -> list[int]:
        out = []
        for pool in pools:
            allocate_next = pool.allocate_next
            out += [allocate_next() for _ in range(calls)]
        return out

    def drawn(pool: _AddressPool | _NumberPool) -> list[int]:
        allocate_next = pool.allocate_next
        return [allocate_next() for _ in range(10_000)]

    def equal(ours: list[int], theirs: list[Any]) -> bool:
        return ours == list(map(int, theirs))

    prepare: dict[str, Callable[[], Any]] = {
        "own": lambda: [_single(used)],
        "ipaddress iterator + set": lambda: _AddressPool(bits, objects.copy()),
        "the same, set of int": lambda: _NumberPool(bits, numbers.copy()),
    }
    peers = dict.fromkeys(list(prepare)[1:], drawn)
    quarter = race(lambda one: own(one, 10_000), peers, items=10_000, prepare=prepare, rounds=25, equal=equal)
    goals, limits = {"ipaddress iterator + set": 4.0}, {"own ns": 250.0}
    yield Row("one allocation, lowest", "2^20, 25% used", quarter.own_ns, quarter.peers, goals, limits=limits)
    taken = order[: int(0.999 * (1 << bits))]
    full = race(
        lambda ten: own(ten, 1_000), {}, items=10_000, prepare=lambda: [_single(taken) for _ in range(10)], rounds=15
    )
    yield Row("one allocation, lowest", "2^20, 99.9% used", full.own_ns, limits={"own ns": 2 * quarter.own_ns})


def _single(taken: np.ndarray) -> OffsetPool:
    """Return a pool in the form it has while single calls use it."""
    pool = OffsetPool(1 << 20, strategy="lowest")
    pool.occupy(taken)
    return pool


def _one_scan(rounds: int) -> Iterator[Row]:
    calls, bits, first = 10_000, 20, 0.0
    for share in (0.25, 0.999):
        taken = np.random.default_rng(2).permutation(1 << bits)[: int(share * (1 << bits))]
        pool = OffsetPool(1 << bits, strategy="scan", rng=np.random.default_rng(1))
        pool.occupy(taken)

        def own(pool: OffsetPool, calls: int = min(calls, (1 << bits) - len(taken) - 48)) -> int:
            for _ in range(calls):
                pool.allocate_next()
            return calls

        def prepare(pool: OffsetPool = pool) -> OffsetPool:
            twin = pool.copy()
            twin._slots._own_flat()  # noqa: SLF001 - as it is while single calls use it
            return twin

        done = min(calls, (1 << bits) - len(taken) - 48)
        result = race(own, {}, items=done, prepare=prepare, rounds=rounds)
        limits = {"own ns": 2 * first} if first else {}
        first = first or result.own_ns
        yield Row("one allocation, scan", f"2^{bits}, {share:.1%} used", result.own_ns, limits=limits)


def _churn(live: int, moved: int) -> Row:
    """Free and reallocate; the sparse pool beside roaring bitmaps of 64-bit offsets as free list."""
    rounds = 4
    freed = [np.random.default_rng(i).permutation(live)[:moved].astype(np.uint64) for i in range(rounds)]

    def own(pool: OffsetPool) -> np.ndarray:
        for gone in freed:
            pool.release(gone)
            taken = pool.allocate_next(moved)
        return taken

    def roaring(free: pyroaring.BitMap64) -> np.ndarray:
        for gone in freed:
            free |= pyroaring.BitMap64(gone)
            taken = free[:moved]
            free -= taken
        return np.array(taken, dtype=np.uint64)

    def used(free: pyroaring.BitMap64) -> np.ndarray:
        return roaring(free)

    def prepare() -> OffsetPool:
        pool = OffsetPool((1 << 64) - 1, strategy="lowest")
        pool.allocate_next(live)
        return pool

    result = race(
        own,
        {"roaring64 free list": used},
        items=rounds * moved,
        prepare={"own": prepare, "roaring64 free list": pyroaring.BitMap64},
        rounds=5,
    )
    return Row(
        "IPv6 churn: free and reallocate",
        f"{moved:,} of {live:,}",
        result.own_ns,
        result.peers,
        {"roaring64 free list": 8.0},
    )


class _Node:
    """A node as an object: its network and the iterator over its hosts."""

    __slots__ = ("hosts4", "prefix6")

    def __init__(self, number: int) -> None:
        network = ipaddress.IPv4Network(((10 << 24) + (number << 8), 24))
        self.hosts4 = network.hosts()
        next(self.hosts4)
        self.prefix6 = (0xFD00_0010_0244_0000 + number) << 64


class _Pod:
    """A pod as an object with two addresses."""

    __slots__ = ("ipv4", "ipv6", "node")

    def __init__(self, node: int, ipv4: object, ipv6: object) -> None:
        self.node, self.ipv4, self.ipv6 = node, ipv4, ipv6


def _objects(nodes: int, arrivals: list[int]) -> list[_Pod]:
    """Assign pods in an object model: a hosts() iterator a node, slots objects, address objects."""
    fleet = [_Node(number) for number in range(nodes)]
    pods = []
    for number in arrivals:
        node = fleet[number]
        ipv4 = next(node.hosts4)
        pods.append(_Pod(number, ipv4, ipaddress.IPv6Address(node.prefix6 + (int(ipv4) & 255))))
    return pods


def _sets(nodes: int, arrivals: list[int]) -> list[dict[str, str]]:
    """Assign pods in a model of used sets with membership tests and addresses as text."""
    fleet = [
        (
            ipaddress.IPv4Network(((10 << 24) + (number << 8), 24)),
            ipaddress.IPv6Network((((0xFD00_0010_0244_0000 + number) << 64), 64)),
            set(),
            set(),
        )
        for number in range(nodes)
    ]
    pods = []
    for number in arrivals:
        network4, network6, used4, used6 = fleet[number]
        found = []
        for network, taken in ((network4, used4), (network6, used6)):
            offset = 2 + len(taken)
            while str(network[offset]) in taken:
                offset += 1
            address = str(network[offset])
            taken.add(address)
            found.append(address)
        pods.append({"ipv4": found[0], "ipv6": found[1]})
    return pods


def _grid(*, quick: bool, rounds: int) -> Iterator[Row]:
    nodes, pods = 5_000, 150_000
    arrivals = np.random.default_rng(5).permutation(np.repeat(np.arange(nodes, dtype=np.int32), pods // nodes))

    def assign(grids: tuple[RangeGrid, RangeGrid]) -> tuple[np.ndarray, np.ndarray]:
        counted = Arrivals.of(arrivals)  # once for both families
        return grids[0].allocate_next(counted)[0], grids[1].allocate_next(counted)[0]

    def fresh(nodes: int = nodes) -> tuple[RangeGrid, RangeGrid]:
        ipv4 = RangeGrid(nodes, 256, reserve_first=1, reserve_last=1, reserved=[1])
        return ipv4, RangeGrid(nodes, 1 << 64, reserve_first=1, reserved=[1])

    def equal(ours: tuple[np.ndarray, np.ndarray], theirs: list[Any]) -> bool:
        def ordinals(pod: Any) -> tuple[int, int]:
            texts = (pod["ipv4"], pod["ipv6"]) if isinstance(pod, dict) else (pod.ipv4, pod.ipv6)
            return int(ipaddress.IPv4Address(texts[0])) & 255, int(ipaddress.IPv6Address(texts[1])) & 0xFFFF

        return list(map(ordinals, theirs)) == list(zip(ours[0].tolist(), ours[1].tolist(), strict=True))

    listed = arrivals.tolist()
    peers = {"ipaddress objects": lambda _: _objects(nodes, listed), "used sets": lambda _: _sets(nodes, listed)}
    result = race(assign, peers, items=pods, prepare=fresh, rounds=rounds, equal=equal)
    goals = {"ipaddress objects": 100.0, "used sets": 300.0}
    yield Row("assign pods, both families, any order", f"{pods:,} on {nodes:,}", result.own_ns, result.peers, goals)
    if quick:
        return
    nodes, pods = 100_000, 10_000_000
    arrivals = np.random.default_rng(5).permutation(np.repeat(np.arange(nodes, dtype=np.int32), pods // nodes))
    result = race(assign, {}, items=pods, prepare=lambda: fresh(100_000), rounds=5)
    grids = fresh(nodes)
    assign(grids)
    state = sum(grid.nbytes for grid in grids) / pods
    yield Row(
        "assign pods, both families, any order",
        f"{pods:,} on {nodes:,}",
        result.own_ns,
        quantities={"CPU s": result.own_ns * pods / 1e9, "state bytes per pod": state},
        limits={"CPU s": 0.5, "state bytes per pod": 8.0},
    )
