"""How many nodes and pods Calico's pools hold: arithmetic, for arrays of nodes and demands.

Promises the numbers for strict affinity, fresh allocation, and pods that stay: a node takes whole blocks, at most its
limit of them. Borrowing can only add to that, up to every address of the pool, but never for a node at its limit.
Churn can only take away: see `first_failure`.

Sources: projectcalico/calico ``libcalico-go/lib/ipam/ipam.go``; every figure follows from the rules of
`dsmodel.cni.calico.plugin`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from dsmodel.cni.calico.objects import IPPool

__all__ = ["blocks_needed", "first_failure", "fits", "nodes_that_fit"]


def blocks_needed(pods: ArrayLike, *, pool: IPPool, tunnels: int = 0, windows: bool = False) -> NDArray[np.int64]:
    """Return how many blocks nodes need.

    Parameters
    ----------
    pods : array of integers
        Pods of each node.
    pool : IPPool
        Where the blocks come from.
    tunnels : int
        Addresses each node takes for its own tunnels, 0 to 3 a family.
    windows : bool
        Windows nodes keep 4 addresses of each IPv4 block.

    Returns
    -------
    ndarray of int64
        One number a node.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import Cidr
    >>> from dsmodel.cni.calico.objects import IPPool
    >>> blocks_needed([0, 64, 110], pool=IPPool("v4", Cidr("10.0.0.0/16"), 26), tunnels=1)
    array([1, 2, 2])
    """
    width = max(1, pool.block_width - (4 if windows and pool.cidr.family.bits == 32 else 0))
    demand = np.asarray(pods, np.int64) + tunnels
    return np.asarray(-(-demand // width), np.int64)


def fits(pods: ArrayLike, *, pool: IPPool, block_limit: int = 20, tunnels: int = 0, strict: bool = True) -> bool:
    """Tell whether nodes and their pods are sure to fit.

    Parameters
    ----------
    pods : array of integers
        Pods of each node.
    pool : IPPool
        Where the blocks come from.
    block_limit : int
        Blocks a node may own.
    tunnels : int
        Addresses each node takes for its own tunnels.
    strict : bool
        Strict affinity; without it nodes borrow once no block is left.

    Returns
    -------
    bool
        With strict affinity if and only if they fit on a fresh cluster. Without it, whether no order of arrival fails.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import Cidr
    >>> from dsmodel.cni.calico.objects import IPPool
    >>> pool = IPPool("v4", Cidr("10.0.0.0/20"), 26)
    >>> fits([7] * 64, pool=pool, tunnels=1), fits([7] * 65, pool=pool, tunnels=1)
    (True, False)
    """
    needed = blocks_needed(pods, pool=pool, tunnels=tunnels)
    if needed.size and int(needed.max()) > block_limit:
        return False
    if strict:
        return int(needed.sum()) <= pool.blocks
    return int(np.sum(np.asarray(pods, np.int64) + tunnels)) <= pool.cidr.size


def nodes_that_fit(
    pods_per_node: ArrayLike, *, pool: IPPool, block_limit: int = 20, tunnels: int = 0
) -> NDArray[np.int64]:
    """Return how many equal nodes a pool serves with strict affinity.

    Parameters
    ----------
    pods_per_node : array of integers
        One or many sizes.
    pool : IPPool
        Where the blocks come from.
    block_limit : int
        Blocks a node may own.
    tunnels : int
        Addresses each node takes for its own tunnels.

    Returns
    -------
    ndarray of int64
        0 where a node would need more blocks than its limit; ``2**63 - 1`` where there are as many.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import Cidr
    >>> from dsmodel.cni.calico.objects import IPPool
    >>> nodes_that_fit([30, 110, 250], pool=IPPool("v4", Cidr("10.0.0.0/16"), 26), tunnels=1)
    array([1024,  512,  256])
    """
    needed = np.maximum(blocks_needed(pods_per_node, pool=pool, tunnels=tunnels), 1)
    return np.where(needed > block_limit, 0, min(pool.blocks, (1 << 63) - 1) // needed)


def first_failure(pool: IPPool, *, nodes: int, block_limit: int = 20) -> int | None:
    """Return the fewest pods a pool can hold at the moment it refuses one, with strict affinity.

    Parameters
    ----------
    pool : IPPool
        The pool.
    nodes : int
        Nodes that ever ran pods.
    block_limit : int
        Blocks a node may own.

    Returns
    -------
    int or None
        One pod a block: nothing moves pods together again. None when these nodes cannot pin every block.

    Raises
    ------
    None
        Every input of the declared types has an answer.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import Cidr
    >>> from dsmodel.cni.calico.objects import IPPool
    >>> pool = IPPool("v4", Cidr("10.0.0.0/16"), 26)
    >>> first_failure(pool, nodes=52), first_failure(pool, nodes=51)
    (1024, None)
    """
    return pool.blocks if nodes * block_limit >= pool.blocks else None
