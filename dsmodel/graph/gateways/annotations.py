"""Annotations by which pods ask for egress gateways of their own, beside those of their namespace.

Promises a number for each pod: pods with the same annotations of one prefix have the same one, and 0 is for pods with
none. A dump keeps a Pod among the cluster's objects only where it has such annotations.

What it does not know: what annotations mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dsmodel.cluster.state import Cluster

__all__ = ["EGRESS_ANNOTATIONS", "Notes", "notes_of_pods"]

EGRESS_ANNOTATIONS: Final = "egress.projectcalico.org/"
"""Prefix of the annotations that name egress gateways of Calico."""

Notes: TypeAlias = "tuple[tuple[str, str], ...]"
"""Annotations of one pod, sorted by key."""


def notes_of_pods(cluster: Cluster, pods: NDArray[np.integer]) -> tuple[NDArray[np.int64], tuple[Notes, ...]]:
    """Return which egress annotations pods have.

    Parameters
    ----------
    cluster : Cluster
        With its objects.
    pods : ndarray of integers, shape (n,)
        Rows of the pods table.

    Returns
    -------
    ndarray of int64, shape (n,)
        Place of each pod's annotations.
    tuple of Notes
        Those that differ, sorted; the first are none at all.

    Raises
    ------
    None
        What is no text is passed over.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> codes, notes = notes_of_pods(kubeadm_dual_stack(), np.arange(3))
    >>> codes.any(), notes
    (np.False_, ((),))
    """
    found: dict[tuple[str, str], Notes] = {}
    for pod in cluster.objects.of("Pod", ""):
        metadata = pod.get("metadata") or {}
        given = metadata.get("annotations")
        items = given.items() if isinstance(given, Mapping) else ()
        mine = {key: text for key, text in items if isinstance(text, str) and str(key).startswith(EGRESS_ANNOTATIONS)}
        if mine:
            found[str(metadata.get("namespace") or ""), str(metadata.get("name") or "")] = tuple(sorted(mine.items()))
    sets = ((), *sorted(set(found.values())))
    codes = np.zeros(len(pods), np.int64)
    if found:
        place = {notes: number for number, notes in enumerate(sets)}
        number = {pod: place[notes] for pod, notes in found.items()}
        spaces, names = (cluster.pods[column][pods].tolist() for column in ("namespace", "name"))
        codes[:] = [number.get(pod, 0) for pod in zip(spaces, names, strict=True)]
    return codes, sets
