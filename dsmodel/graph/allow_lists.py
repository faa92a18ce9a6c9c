"""Whose addresses a destination's firewall must admit: those it sees now, and those it sees when something is down.

Promises every source of every pod of the paths, by family: of the ways out that serve now, of those that serve while
one of them is down, and of those that serve when all before them are, down to what falls through when none is left.

What it does not know: failures that come together in another order, unless they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import addresses_in
from dsmodel.addresses.literals import parse_address
from dsmodel.addresses.text import format_addresses
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.graph.failures import check_names, failed
from dsmodel.graph.paths.decisions import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import IPFamily
    from dsmodel.graph.paths.resolution import Paths

__all__ = ["allowed_sources"]

_MOST_NAMED: Final = 4  # names that one occasion is told by


def allowed_sources(paths: Paths, *, failures: Sequence[str] | None = None) -> pd.DataFrame:
    """List the source addresses that a destination's firewall must admit.

    Parameters
    ----------
    paths : Paths
        Of the pods and destinations in question.
    failures : sequence of str, optional
        What may be down, each alone, as `Network.failing` takes it; if left out, every exit of a gateway and every
        translator at the border that serves, each alone, then all of them together, then with those that serve
        instead, until none is left.

    Returns
    -------
    pandas.DataFrame
        Sorted by destination, family and source: ``destination``, ``ip_family`` (of the source: behind NAT64 that is
        IPv4), ``source`` (address or CIDR),
        ``owner`` ("pod", "node", "gateway", "NAT"), ``pods`` (that it stands for now), ``when`` ("now", or what has to
        be down). Nodes that hold no such pod now are there with 0 pods: pods move.

    Raises
    ------
    InvalidInput
        A failure of something that there is not. What never arrives has no rows.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import BorderNAT, Network
    >>> from dsmodel.graph.paths import resolve
    >>> nat = BorderNAT(name="a", family="IPv4", addresses=("198.51.100.9",))
    >>> network = Network(masquerades=()).replacing(border=[nat], routed=["10.244.0.0/16"], default_route=True)
    >>> allowed_sources(resolve(kubeadm_dual_stack(), network=network))[["ip_family", "source", "owner", "pods"]]
      ip_family        source owner  pods
    0      IPv4  198.51.100.9   NAT   120
    """
    check_names(paths.network, paths.cluster, failures or ())
    found: dict[tuple[int, str], tuple[str, int, str]] = {}
    for when, state in _states(paths, failures):
        for place in range(len(state.destinations)):
            seen: dict[str, tuple[str, int]] = {}
            for source, owner, pods in (each for family in state.halves for each in _sources(state, place, family)):
                first, before = seen.get(source, (owner, 0))
                seen[source] = (first, before + pods)
            for source, (owner, pods) in seen.items():
                found.setdefault((place, source), (owner, pods, when))
    rows = [
        (paths.destinations[place].name, str(_family_of(source)), source, *told)
        for (place, source), told in sorted(found.items(), key=lambda item: _by_address(item[0]))
    ]
    frame = pd.DataFrame(rows, columns=["destination", "ip_family", "source", "owner", "pods", "when"])
    return frame.astype({"pods": np.int64})


def _states(paths: Paths, failures: Sequence[str] | None) -> Iterator[tuple[str, Paths]]:
    """Yield what may be down, in words, and the paths then."""
    yield "now", paths
    down = _ways_out(paths)
    state = paths
    for name in sorted(down) if failures is None else failures:
        state = failed(paths, name)
        yield name, state
    if failures is not None or not down:
        return
    if len(down) > 1:
        state = failed(paths, *sorted(down))
        yield _occasion(down), state
    while more := _ways_out(state) - down:
        down |= more
        state = failed(paths, *sorted(down))
        yield _occasion(down), state


def _ways_out(paths: Paths) -> set[str]:
    """Return the exits of gateways and the translators that serve."""
    everything = [made for half in paths.halves.values() for made in half.decisions]
    return {leave.name for made in everything for leave in made.exits} | {made.nat for made in everything if made.nat}


def _occasion(down: set[str]) -> str:
    """Name all that is down, or count it."""
    names = sorted(down)
    return " and ".join(names) if len(names) <= _MOST_NAMED else f"{names[0]} and {len(names) - 1:,} others"


def _by_address(key: tuple[int, str]) -> tuple[Any, ...]:
    place, source = key
    family, number = parse_address(source.partition("/")[0])
    return (place, family, number, source)


def _family_of(source: str) -> IPFamily:
    """Return the family of an address or CIDR: behind NAT64 not that of the pod's packets."""
    return parse_address(source.partition("/")[0])[0]


def _sources(paths: Paths, place: int, family: IPFamily) -> Iterator[tuple[str, str, int]]:
    """Yield the sources that a destination sees in one state of things, with their owners and pods."""
    half, end = paths.halves[family], ENDS[family]
    codes = half.codes(np.arange(len(paths.pods)), place)
    at_nodes: dict[int, int] = {}
    for code, pods in zip(*(each.tolist() for each in np.unique(codes, return_counts=True)), strict=True):
        parts = half.decisions[code].parts or (half.decisions[code],)
        told = [made for made in parts if made.verdict.works or made.seen is Seen.SEVERAL]
        owners = {
            source: "gateway" if made.seen is Seen.SEVERAL else str(made.seen)
            for made in told
            for source in made.sources
        }
        yield from ((source, owner, pods) for source, owner in owners.items())
        if any(made.seen is Seen.POD for made in told):
            source_column = half.groups.source[codes == code]
            blocks = [block for block in paths.cluster.config.cluster_cidrs if block.family is family]
            yield from _blocks(source_column, [str(block) for block in blocks])
        if any(made.seen is Seen.NODE and not made.sources for made in told):
            rows, counts = np.unique(half.groups.node[codes == code], return_counts=True)
            for row, count in zip(rows.tolist(), counts.tolist(), strict=True):
                at_nodes[row] = at_nodes.get(row, 0) + count
    if at_nodes:
        nodes = paths.cluster.nodes
        rows = np.flatnonzero(nodes[f"has_internal_{end}"])
        for row, text in zip(rows.tolist(), _texts(nodes[f"internal_{end}"][rows]), strict=True):
            yield text, "node", at_nodes.get(row, 0)


def _blocks(column: NDArray[Any], blocks: list[str]) -> Iterator[tuple[str, str, int]]:
    """Yield the pod ranges that hold addresses, and the addresses that none holds."""
    rest = np.ones(len(column), np.bool_)
    for block in blocks:
        held = rest & addresses_in(column, block)
        rest &= ~held
        if held.any():
            yield block, "pod", int(held.sum())
    for text in _texts(column[rest]):
        yield text, "pod", 1


def _texts(column: NDArray[Any]) -> list[str]:
    return [str(text) for text in format_addresses(column).to_pylist()]
