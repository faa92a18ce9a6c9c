"""What breaks when something goes down: every path resolved again without it.

Promises the products' own rules of fail-over, not reachability in a drawing: a policy may drop, leak to the node's
address, or move to another gateway, and the two families need not do the same.

What it does not know: the seconds in which agents have not noticed yet; connections that are open. A Service loses the
endpoints on a node with the node.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import numpy as np

from dsmodel.addresses.literals import parse_address
from dsmodel.errors import InvalidAddress, InvalidInput
from dsmodel.graph.flows import Verdict
from dsmodel.graph.paths.changes import difference, kind_of_change
from dsmodel.graph.paths.decisions import Cause
from dsmodel.graph.paths.groups import claims_of
from dsmodel.graph.paths.resolution import Paths, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.cluster.state import Cluster
    from dsmodel.graph.gateways.contract import Way
    from dsmodel.graph.network import NAT64, BorderNAT, Network

__all__ = ["OUTCOMES", "blast_radius", "check_names", "failed", "losses"]

OUTCOMES = {
    Verdict.DROPPED_NO_GATEWAY: "dropped",
    Verdict.DROPPED_NO_EGRESS_IP: "dropped",
    Verdict.POLICY_DENIED: "dropped",
    Verdict.BLACKHOLE_RETURN: "black-holed",
    Verdict.NO_ROUTE: "no route",
    Verdict.NO_FAMILY: "no address",
    Verdict.LEAK_FALLTHROUGH: "leaked",
    Verdict.UNKNOWN: "unknown",
    Verdict.NONDETERMINISTIC: "some lost",
}
"""What becomes of pods, by the verdict after the failure; all other verdicts work."""


def failed(paths: Paths, *names: str) -> Paths:
    """Resolve the same pods and destinations with something down.

    Parameters
    ----------
    paths : Paths
        As things are.
    *names : str
        "Node/worker-1", "Zone/zone-a", "NAT/nat-a", an egress address, a gateway's title.

    Returns
    -------
    Paths
        Of the same pods and destinations.

    Raises
    ------
    None
        What is called by no such name fails nothing.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import Network
    >>> before = resolve(kubeadm_dual_stack(), network=Network(masquerades=()))
    >>> sorted(failed(before, "Node/node-0").network.failed)
    ['Node/node-0']
    """
    network = paths.network.failing(*names)
    return resolve(paths.cluster, list(paths.destinations), network=network, pods=paths.pods)


def check_names(network: Network, cluster: Cluster, names: Iterable[str]) -> None:
    """Refuse to let something fail that there is not.

    Parameters
    ----------
    network : Network
        Its translators and policies.
    cluster : Cluster
        Its nodes and pods.
    names : iterable of str
        As `failed` takes them. An address is taken as it is.

    Raises
    ------
    InvalidInput
        Neither a node, a zone, a translator, a policy, a pod nor a way out of a gateway is called so; the message names
        those that are written alike.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import Network
    >>> check_names(Network(), kubeadm_dual_stack(), ["Node/node1"])
    Traceback (most recent call last):
    dsmodel.errors.InvalidInput: nothing is called 'Node/node1'; did you mean Node/node-1, Node/node-5, Node/node-4?
    """
    asked = list(names)
    nodes = [str(name) for name in cluster.nodes["name"].tolist()]
    nats: list[BorderNAT | NAT64] = [nat for held in network.border.values() for nat in held]
    known = {*nodes, *(f"Node/{name}" for name in nodes)}
    known |= {f"Zone/{zone}" for zone in set(cluster.nodes["zone"].tolist())}
    known |= {each.title for each in (*nats, *(network.nat64 or ()), *network.gateways)}
    known |= set(_exits(way for claim in claims_of(network.replacing(failed=()), cluster) for _, way in claim.routes))
    if any(each.startswith("Pod/") for each in asked):
        pods = zip(cluster.pods["namespace"].tolist(), cluster.pods["name"].tolist(), strict=True)
        known |= {f"Pod/{namespace}/{name}" for namespace, name in pods}
    for each in asked:
        if each in known or _is_address(each):
            continue
        alike = difflib.get_close_matches(each, sorted(known), cutoff=0.75)
        raise InvalidInput(f"nothing is called {each!r}" + (f"; did you mean {', '.join(alike)}?" if alike else ""))


def _exits(ways: Iterable[Way | None]) -> Iterator[str]:
    """Yield the names of the exits of some ways."""
    for way in ways:
        if way is not None:
            yield from (leave.name for leave in way.exits)
            yield from _exits((*way.by_pod, *way.by_node.values()))


def _is_address(name: str) -> bool:
    try:
        parse_address(name)
    except InvalidAddress:
        return False
    return True


def blast_radius(paths: Paths, *names: str) -> pd.DataFrame:
    """Say what changes when something goes down.

    Parameters
    ----------
    paths : Paths
        As things are.
    *names : str
        What goes down, all at once; as `failed` takes it.

    Returns
    -------
    pandas.DataFrame
        As `dsmodel.graph.paths.difference` gives it, with ``outcome`` behind ``change``: "down with its node", one of
        `OUTCOMES`, "moved" to another gateway, "another source", or "repaired".

    Raises
    ------
    InvalidInput
        Nothing is called so.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import Network
    >>> before = resolve(kubeadm_dual_stack(), "shop/app00-00001", network=Network(masquerades=()))
    >>> blast_radius(before, "Node/node-1").groupby(["ip_family", "outcome"])["pods"].sum()
    ip_family  outcome
    IPv4       down with its node     19
               no route              101
    IPv6       down with its node     19
               no route              101
    Name: pods, dtype: int64
    """
    check_names(paths.network, paths.cluster, names)
    after = failed(paths, *names)
    frame = difference(paths, after)
    own = {made.reason for half in after.halves.values() for made in half.decisions if made.cause is Cause.NODE_DOWN}
    words = {"moved": "moved", "source": "another source", "repaired": "repaired"}
    outcome = [
        "down with its node" if why in own else OUTCOMES.get(Verdict(verdict), words.get(change, "another verdict"))
        for verdict, change, why in zip(frame["verdict_after"], frame["change"], frame["why"], strict=True)
    ]
    frame.insert(list(frame.columns).index("change") + 1, "outcome", outcome)
    return frame


def losses(before: Paths, after: Paths, *, place: int, family: IPFamily) -> tuple[int, int, int, str]:
    """Count the pods that lose one family of one destination.

    Parameters
    ----------
    before, after : Paths
        Of the same pods and destinations.
    place : int
        Of the destination.
    family : IPFamily
        Which.

    Returns
    -------
    tuple of (int, int, int, str)
        Pods that work before; of these, pods that do not after; pods that leak only after; why, for most of the lost,
        or of those that go on.

    Raises
    ------
    IndexError
        There is no such destination.
    """
    everyone = np.arange(len(before.pods))
    halves = before.halves[family], after.halves[family]
    pairs, counts = np.unique(np.stack([half.codes(everyone, place) for half in halves]), axis=1, return_counts=True)
    works = lost = leaked = 0
    reasons: dict[tuple[bool, str], int] = {}
    for old, new, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
        made, then = halves[0].decisions[old], halves[1].decisions[new]
        if not made.verdict.works:
            continue
        works += count
        is_lost = not then.verdict.works
        lost += count * is_lost
        leaked += count * (kind_of_change(made, then) == "leaked")
        reasons[is_lost, then.reason] = reasons.get((is_lost, then.reason), 0) + count
    why = max(reasons, key=lambda key: (key[0], reasons[key], key[1]), default=(False, ""))[1]
    return works, lost, leaked, why
