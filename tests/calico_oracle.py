"""Calico IPAM written the slow way: one request, one list, one stage after the other, as its source reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.calico.selectors import parse_selector
from dsmodel.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class SlowBlock:
    def __init__(self, cidr: Cidr, owner: int | None, reserved: list[Cidr], kept: set[int], claimed: float) -> None:
        self.cidr, self.owner, self.claimed = cidr, owner, claimed
        self.kept = kept | {i for i in range(cidr.size) if any(cidr.first + i in each for each in reserved)}
        self.queue = list(range(cidr.size))
        self.used: set[int] = set()
        self.resting: dict[int, float] = {}

    @property
    def name(self) -> str:
        return str(self.cidr).replace(".", "-").replace(":", "-").replace("/", "-")

    @property
    def empty(self) -> bool:
        return not self.used and not self.resting

    def wake(self, now: float, cooldown: float) -> None:
        for ordinal in sorted(self.resting):
            if self.resting[ordinal] + cooldown <= now:
                del self.resting[ordinal]
                self.queue.append(ordinal)

    def take(self) -> int | None:
        for ordinal in self.queue:
            if ordinal not in self.kept:
                self.queue.remove(ordinal)
                self.used.add(ordinal)
                return self.cidr.first + ordinal
        return None


class SlowCalico:
    def __init__(self, **given: Any) -> None:
        self.pools = sorted(given["pools"], key=lambda p: p.name)
        self.config, self.reserved = given["config"], given["reservations"]
        self.names, self.labels, self.windows = given["names"], given["labels"], given["windows"]
        self.start: Callable[[int, Any], int] = given["start"]
        self.blocks: dict[Cidr, SlowBlock] = {}

    @property
    def families(self) -> list[IPFamily]:
        return [f for f in IPFamily if any(p.cidr.family is f for p in self.pools)]

    def used(self, family: IPFamily) -> list[int]:
        return [len(b.used) for c, b in sorted(self.blocks.items()) if c.family is family]

    def owners(self, family: IPFamily) -> list[str | None]:
        found = [b.owner for c, b in sorted(self.blocks.items()) if c.family is family]
        return [None if owner is None else self.names[owner] for owner in found]

    def add(self, node: int, now: float) -> dict[IPFamily, int] | Reason:
        for block in self.blocks.values():
            block.wake(now, self.config.ip_cooldown_seconds)
        addresses: dict[IPFamily, int] = {}
        failed = None
        for family in self.families:
            answer = self.assign(family, node, now)
            if isinstance(answer, Reason):
                failed = failed or answer
                if answer is not Reason.POOL_FULL:
                    break
            else:
                addresses[family] = answer
        if failed is None:
            return addresses
        self.remove(addresses, now)
        return failed

    def remove(self, addresses: dict[IPFamily, int], now: float) -> None:
        for block in self.blocks.values():
            block.wake(now, self.config.ip_cooldown_seconds)
        for address in addresses.values():
            block = next(b for b in self.blocks.values() if address in b.cidr)
            ordinal = address - block.cidr.first
            block.used.remove(ordinal)
            if self.config.ip_cooldown_seconds > 0:
                block.resting[ordinal] = now
            else:
                block.queue.append(ordinal)
            if block.empty and block.owner is None:
                del self.blocks[block.cidr]

    def allowed(self, family: IPFamily, node: int) -> list[Any]:
        pools = [
            p for p in self.pools if p.cidr.family is family and parse_selector(p.node_selector)(self.labels[node])
        ]
        return [p for p in pools if not (self.windows[node] and family is IPFamily.IPV4 and p.block_size > 29)]

    def walk(self, pool: Any, node: int) -> Iterator[Cidr]:
        start = self.start(node, pool)
        for step in range(pool.blocks):
            yield pool.cidr.subnet((start + step) % pool.blocks, pool.block_size)

    def assign(self, family: IPFamily, node: int, now: float) -> int | Reason:
        pools = self.allowed(family, node)
        if not pools:
            return Reason.FAMILY_NOT_CONFIGURED
        while True:
            own = [b for b in self.blocks.values() if b.owner == node and any(b.cidr in p.cidr for p in pools)]
            for block in sorted(own, key=lambda b: b.name):
                if (address := block.take()) is not None:
                    return address
            if len(own) >= self.config.block_limit:
                return Reason.CIDR_NOT_AVAILABLE
            if not self.claim(pools, node, now):
                break
        return Reason.POOL_FULL if self.config.strict_affinity else self.borrow(pools, node)

    def borrow(self, pools: list[Any], node: int) -> int | Reason:
        for pool in pools:
            for cidr in self.walk(pool, node):
                if cidr in self.blocks and (address := self.blocks[cidr].take()) is not None:
                    return address
        return Reason.POOL_FULL

    def claim(self, pools: list[Any], node: int, now: float) -> bool:
        remembered: list[SlowBlock] = []
        for pool in pools:
            for cidr in self.walk(pool, node):
                if all(any(a in r for r in self.reserved) for a in range(cidr.first, cidr.last + 1)):
                    continue
                if cidr not in self.blocks:
                    self.create(cidr, node, now)
                    return True
                block = self.blocks[cidr]
                if block.owner not in {None, node} and block.empty:
                    remembered.append(block)
        for block in remembered:
            if block.claimed + 60 <= now:
                del self.blocks[block.cidr]
                self.create(block.cidr, node, now)
                return True
        return False

    def create(self, cidr: Cidr, node: int, now: float) -> None:
        keeps = self.windows[node] and cidr.family is IPFamily.IPV4
        kept = {0, 1, 2, cidr.size - 1} if keeps else set()
        self.blocks[cidr] = SlowBlock(cidr, node, self.reserved, kept, now)
