"""How full the map of Cilium's egress policies is: an entry for each selected pod and CIDR, apart by family.

Promises the entries that surely selected pods make, those of several policies with one key counted once, against what
the map holds.

What it does not know: which pods are left out once it is full.

Sources: cilium/cilium ``pkg/maps/egressmap/policy.go`` (``egress-gateway-policy-map-max``, 16,384 if left out; one map
a family), ``pkg/egressgateway/manager.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dsmodel.addresses.cidr import IPFamily
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.graph.gateways.matching import selected, shapes_of
from dsmodel.graph.gateways.meeting import groups_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dsmodel.addresses.cidr import Cidr
    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.contract import Selection

__all__ = ["MAP_SIZE", "full_maps"]

MAP_SIZE: Final = 16_384
"""Entries of one family that the map holds by default."""

_SIZE: Final = "egress-gateway-policy-map-max"


def full_maps(
    keys: Sequence[tuple[Selection, Sequence[Cidr]]], cluster: Cluster, settings: Mapping[str, str] | None
) -> Iterator[Finding]:
    """Find families whose entries do not fit.

    Parameters
    ----------
    keys : sequence of (Selection, sequence of Cidr)
        Pods of each policy that is heard, and its destinations and exclusions.
    cluster : Cluster
        Whose pods.
    settings : mapping of str to str, optional
        ``cilium-config``; None where the dump does not have it.

    Yields
    ------
    (severity, rule, object, message)
        At most one a family.

    Raises
    ------
    None
        A size that is no number counts as not set.

    Examples
    --------
    >>> from dsmodel.addresses.cidr import Cidr
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.gateways.contract import Selection
    >>> keys = [(Selection(), [Cidr("0.0.0.0/0")])]
    >>> [each[1] for each in full_maps(keys, kubeadm_dual_stack(), {"egress-gateway-policy-map-max": "100"})]
    ['egress-map-full']
    """
    given = (settings or {}).get(_SIZE, "")
    size = int(given) if given.isdecimal() and int(given) else MAP_SIZE
    for family in IPFamily:
        blocks = [frozenset(each for each in listed if each.family is family) for _, listed in keys]
        held = [place for place, each in enumerate(blocks) if each]
        entries = _entries([(keys[place][0], blocks[place]) for place in held], cluster, family)
        if entries > size:
            words = (
                f"{family} policies make {entries:,} entries, one a pod and CIDR, and the agents' map holds {size:,}: "
            )
            words += f"pods that do not fit leave by their own nodes; raise {_SIZE}, or select fewer"
            yield "error", "egress-map-full", "ConfigMap/cilium-config", words


def _entries(keys: list[tuple[Selection, frozenset[Cidr]]], cluster: Cluster, family: IPFamily) -> int:
    """Count pods times CIDRs, each pair once."""
    pods = cluster.pods
    if not keys or not len(pods):
        return 0
    rows = np.flatnonzero(np.asarray(pods[f"has_pod_{ENDS[family]}"]) & ~np.asarray(pods["host_network"]))
    shapes = shapes_of(cluster, rows, family=family)
    group, members = groups_of(selected(cluster, shapes, [selection for selection, _ in keys]), len(shapes))
    mine = group[shapes.of_pod[rows]]
    counts = np.bincount(mine[mine >= 0], minlength=len(members)).tolist()
    return sum(
        count * len(frozenset().union(*(keys[place][1] for place, sure in each if sure)))
        for count, each in zip(counts, members, strict=True)
    )
