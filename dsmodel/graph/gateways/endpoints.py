"""The hash by which Cilium picks one of several gateways for a pod.

Promises 32-bit FNV-1a over the UID of the pod's CiliumEndpoint, worked out by column.

What it does not know: pods whose CiliumEndpoint is not in the dump.

Source: cilium/cilium ``pkg/egressgateway/policy.go``.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dsmodel.graph.gateways.situation import Situation

__all__ = ["endpoint_hashes", "fnv_1a"]

_OFFSET, _PRIME = 2166136261, 16777619


def endpoint_hashes(situation: Situation, pods: NDArray[np.integer]) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Return the hash of each pod's endpoint.

    Parameters
    ----------
    situation : Situation
        Whose CiliumEndpoints.
    pods : ndarray of integers, shape (n,)
        Rows of the pods table, any number of times.

    Returns
    -------
    ndarray of uint32, shape (n,)
        0 where not known.
    ndarray of bool, shape (n,)
        Whether the dump has the endpoint.

    Raises
    ------
    None
        A pod without an endpoint has no hash.
    """
    rows, uids = [], []
    for endpoint in situation.cluster.objects.of("CiliumEndpoint"):
        metadata = endpoint.get("metadata") or {}
        row = situation.pod_rows.get((str(metadata.get("namespace") or ""), str(metadata.get("name") or "")))
        if row is not None and metadata.get("uid"):
            rows.append(row)
            uids.append(str(metadata["uid"]))
    known = np.zeros(len(situation.cluster.pods), np.bool_)
    hashes = np.zeros(len(situation.cluster.pods), np.uint32)
    known[rows] = True
    hashes[rows] = fnv_1a(uids)
    return hashes[pods], known[pods]


def fnv_1a(texts: Sequence[str]) -> NDArray[np.uint32]:
    """Return the 32-bit FNV-1a hash of texts.

    Parameters
    ----------
    texts : sequence of str
        Read as UTF-8.

    Returns
    -------
    ndarray of uint32, shape (n,)
        One a text.

    Raises
    ------
    None
        The empty text has a hash.

    Notes
    -----
    Source: the FNV reference, http://www.isthe.com/chongo/tech/comp/fnv/.

    Examples
    --------
    >>> [hex(each) for each in fnv_1a(["", "a", "foobar"])]
    ['0x811c9dc5', '0xe40c292c', '0xbf9cf968']
    """
    found = np.empty(len(texts), np.uint32)
    by_length: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
    for place, text in enumerate(texts):
        by_length[len(text.encode())].append((place, text.encode()))
    for length, same in by_length.items():
        letters = np.frombuffer(b"".join(word for _, word in same), np.uint8).reshape(len(same), length)
        value = np.full(len(same), _OFFSET, np.uint32)
        for column in letters.T:
            value = (value ^ column) * np.uint32(_PRIME)
        found[[place for place, _ in same]] = value
    return found
