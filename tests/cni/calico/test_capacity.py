from __future__ import annotations

import numpy as np
import pytest

from dsmodel.addresses.cidr import Cidr
from dsmodel.cni.calico import Calico, IPAMConfig, IPPool
from dsmodel.cni.calico.capacity import blocks_needed, first_failure, fits, nodes_that_fit

SIXTEEN = Cidr("10.0.0.0/16")


@pytest.mark.parametrize(
    ("block_size", "nodes"),
    [
        (24, [256, 256, 256]),
        (25, [512, 512, 256]),
        (26, [1024, 512, 256]),
        (27, [2048, 512, 256]),
        (28, [2048, 585, 256]),
        (29, [2048, 585, 0]),
    ],
)
def test_uniform_load_on_a_16(block_size: int, nodes: list[int]) -> None:
    pool = IPPool("p", SIXTEEN, block_size)
    assert nodes_that_fit([30, 110, 250], pool=pool, tunnels=1).tolist() == nodes


@pytest.mark.parametrize(("nodes", "each"), [(100, 640), (250, 256), (500, 128), (1000, 64)])
def test_equal_nodes_on_a_16(nodes: int, each: int) -> None:
    pool = IPPool("p", SIXTEEN, 26)
    assert fits(np.full(nodes, each), pool=pool)
    assert not fits(np.full(nodes, each + 1), pool=pool)


def test_the_arithmetic_is_what_the_model_does() -> None:
    pool = IPPool("p", Cidr("10.0.0.0/20"), 26)
    plugin = Calico([pool], config=IPAMConfig(strict_affinity=True))
    plugin.add_nodes([f"n{i}" for i in range(65)])
    plugin.place(np.arange(64), use="Tunnel")
    assert plugin.place(np.repeat(np.arange(64), 7)).placed == 448
    # 13 % of the addresses in use, and the 65th node gets nothing
    assert plugin.place([64]).placed == 0
    assert plugin.usage()[0].used == 512


def test_a_node_at_its_limit_never_borrows() -> None:
    pool = IPPool("p", SIXTEEN, 26)
    assert fits([1280], pool=pool, strict=False)
    assert not fits([1281], pool=pool, strict=False)
    assert fits([500] * 131, pool=pool, strict=False)
    assert not fits([500] * 131, pool=pool)
    assert not fits([500] * 132, pool=pool, strict=False)


def test_windows_nodes_need_more_blocks() -> None:
    assert blocks_needed([60, 61], pool=IPPool("p", SIXTEEN, 26), windows=True).tolist() == [1, 2]


def test_one_pod_a_block_fills_a_pool() -> None:
    assert first_failure(IPPool("p", SIXTEEN, 26), nodes=52) == 1024
