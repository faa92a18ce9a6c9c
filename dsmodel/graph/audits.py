"""What operators ask of resolved paths: where the two families do not do the same, and what does not come back.

Each question is one function over `Paths` that returns one frame, with the cause in ``why``; pods that share an answer
are one row, with an example.

What it does not know: what a client connects to by name (`unused_family` asks for one server of both families), and
routes outside, except which blocks are routed back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.literals import parse_address
from dsmodel.addresses.text import format_addresses
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.errors import InvalidInput
from dsmodel.graph.flows import Verdict
from dsmodel.graph.paths.blocks import codes_of
from dsmodel.graph.paths.decisions import Cause, Decision, Seen
from dsmodel.graph.selection import AddressSets, order_destinations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dsmodel.graph.paths.resolution import Paths

__all__ = [
    "asymmetric_returns",
    "bypassed_policies",
    "different_gateways",
    "more_replicas",
    "unused_family",
]


def different_gateways(paths: Paths) -> pd.DataFrame:
    """List pods that leave by one gateway in IPv4 and by another in IPv6.

    Parameters
    ----------
    paths : Paths
        Of the pods and destinations in question.

    Returns
    -------
    pandas.DataFrame
        Sorted by destination and example: ``destination``, ``pods``, ``example``, ``gateway_ipv4``, ``gateway_ipv6``
        (names; "none" where the family leaves without one), ``why``.

    Raises
    ------
    None
        Destinations of one family have no rows.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import Network
    >>> from dsmodel.graph.paths import resolve
    >>> len(different_gateways(resolve(kubeadm_dual_stack(), network=Network(masquerades=()))))
    0
    """
    rows = []
    for place, pods, (one, other) in _pairs(paths):
        names = [{leave.name for leave in made.exits} for made in (one, other)]
        if one.verdict.works and other.verdict.works and names[0] != names[1]:
            texts = [", ".join(sorted(each)) or "none" for each in names]
            rows.append(
                (paths.destinations[place].name, len(pods), _name(paths, pods), *texts, f"{one.reason}; {other.reason}")
            )
    return pd.DataFrame(
        sorted(rows), columns=["destination", "pods", "example", "gateway_ipv4", "gateway_ipv6", "why"]
    ).astype({"pods": np.int64})


def bypassed_policies(paths: Paths) -> pd.DataFrame:
    """List pods whose egress policy holds in one family and is passed by in the other.

    Parameters
    ----------
    paths : Paths
        Of the pods and destinations in question.

    Returns
    -------
    pandas.DataFrame
        Sorted by destination, family and example: ``destination``, ``ip_family`` (that passes by), ``policy``,
        ``pods``, ``example``, ``verdict``, ``source`` (seen instead), ``why``.

    Raises
    ------
    None
        Traffic that does not arrive passes by nothing.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import Network
    >>> from dsmodel.graph.paths import resolve
    >>> len(bypassed_policies(resolve(kubeadm_dual_stack(), network=Network(masquerades=()))))
    0
    """
    families = list(paths.halves)
    rows: list[Any] = []
    for place, pods, both in _pairs(paths, of_one_family=True):
        for order, (mine, other) in enumerate((both, both[::-1])):
            leaks = mine.verdict is Verdict.LEAK_FALLTHROUGH
            unheld = not mine.policy and other.policy and other.verdict is not Verdict.LEAK_FALLTHROUGH
            if mine.verdict.works and (leaks or unheld):
                policy = mine.policy if leaks else other.policy
                seen = ", ".join(dict.fromkeys(paths.sources(pods[:1], place, families[order])))
                words = mine.reason if leaks else f"{policy} does not hold in {families[order]}; {mine.reason}"
                rows.append(
                    (
                        *(paths.destinations[place].name, str(families[order]), policy, len(pods)),
                        *(_name(paths, pods), str(mine.verdict), seen, words),
                    )
                )
    names = ["destination", "ip_family", "policy", "pods", "example", "verdict", "source", "why"]
    rows.sort(key=lambda row: tuple(row[place] for place in (0, 1, 4)))
    return pd.DataFrame(rows, columns=names).astype({"pods": np.int64})


def unused_family(paths: Paths, *, policy: str | None = None) -> pd.DataFrame:
    """List pods for which a family works and is never tried first.

    Parameters
    ----------
    paths : Paths
        Of destinations with addresses of both families.
    policy : str, optional
        Address policy of the pods' image, of `dsmodel.graph.selection.POLICIES`; the network's if left out.

    Returns
    -------
    pandas.DataFrame
        Sorted by destination and example: ``destination``, ``ip_family`` (that works and is not used), ``pods``,
        ``example``, ``why``.

    Raises
    ------
    InvalidInput
        No such policy.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import Network
    >>> from dsmodel.graph.paths import resolve
    >>> network = Network(masquerades=()).replacing(routed=["10.244.0.0/16", "fd00:10:244::/56"], default_route=True)
    >>> server = {"db": ["10.9.0.1", "2600::1"]}
    >>> frame = unused_family(resolve(kubeadm_dual_stack(), server, network=network.replacing(border=())))
    >>> len(frame)  # IPv6 does not even work: a ULA gets no answer from the Internet
    0
    """
    rows = []
    for place, pods, both in _pairs(paths):
        one = paths.destinations[place]
        servers = [text for text in one.addresses if "/" not in text]
        if len({parse_address(text)[0] for text in servers}) < 2:
            continue
        kinds, first = codes_of([half.groups.of_pod[pods] for half in paths.halves.values()])
        for number, at in enumerate(first.tolist()):
            mine = pods[kinds == number]
            sets = AddressSets.of([_own(paths, int(pods[at]))])
            order = order_destinations(sets, AddressSets.of([servers]), policy=policy or paths.network.policy_table)
            tried = int(order.is_ipv6[0, 0])
            if both[1 - tried].verdict.works and both[tried].verdict.works:
                family = (IPFamily.IPV4, IPFamily.IPV6)[1 - tried]
                rows.append((one.name, str(family), len(mine), _name(paths, mine), order.why(0, 0)))
    names = ["destination", "ip_family", "pods", "example", "why"]
    frame = pd.DataFrame(rows, columns=names)
    keys = ["destination", "ip_family", "example"]
    return frame.sort_values(keys, ignore_index=True).astype({"pods": np.int64})


def asymmetric_returns(paths: Paths) -> pd.DataFrame:
    """List paths whose answers do not come back, or come back by another way.

    Parameters
    ----------
    paths : Paths
        Of the pods and destinations in question.

    Returns
    -------
    pandas.DataFrame
        Sorted by destination, family and example: ``destination``, ``ip_family``, ``pods``, ``example``, ``source``
        (seen outside), ``returns_to`` (the node that has it; empty where nothing comes back), ``why``.

    Raises
    ------
    None
        Paths whose answers come back the way they went have no rows.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.network import Network
    >>> from dsmodel.graph.paths import resolve
    >>> network = Network(masquerades=()).replacing(routed=(), border=(), default_route=True)
    >>> asymmetric_returns(resolve(kubeadm_dual_stack(), "fd99::1", network=network))[["ip_family", "pods"]]
      ip_family  pods
    0      IPv6   120
    """
    rows = []
    names = [str(name) for name in paths.cluster.nodes["name"].tolist()]
    everyone = np.arange(len(paths.pods))
    for family, half in paths.halves.items():
        owners = _owners(paths, family)
        for place, one in enumerate(paths.destinations):
            codes = half.codes(everyone, place)
            for code in np.unique(codes).tolist():
                for made in half.decisions[code].parts or (half.decisions[code],):
                    pods = np.flatnonzero(codes == code)
                    seen = paths.sources(pods[:1], place, family)[0]
                    if made.verdict is Verdict.BLACKHOLE_RETURN:
                        rows.append((one.name, str(family), len(pods), _name(paths, pods), seen, "", made.reason))
                        continue
                    for source in made.sources if made.verdict.works and made.seen is not Seen.NAT else ():
                        home = owners.get(source)
                        leaves = {leave.node for leave in made.exits} or set(half.groups.node[pods].tolist())
                        strays = leaves - {home}
                        if home is None or not strays:
                            continue
                        away = pods if made.exits else pods[half.groups.node[pods] != home]
                        words = f"{source} is on Node/{names[home]}, and the packet leaves from another node"
                        told = (len(away), _name(paths, away), source, f"Node/{names[home]}", words)
                        rows.append((one.name, str(family), *told))
    columns = ["destination", "ip_family", "pods", "example", "source", "returns_to", "why"]
    rows.sort(key=lambda row: (row[0], row[1], row[3]))
    return pd.DataFrame(rows, columns=columns).astype({"pods": np.int64})


def more_replicas(capacity: int, *, replicas: int, connections: int, alarm_ratio: float = 0.95) -> int:
    """Count the replicas that may be added before connections begin to fail.

    Parameters
    ----------
    capacity : int
        Connections at once that fit, as `dsmodel.graph.topology.maximum_connections` gives it.
    replicas : int
        That there are; each opens as many connections.
    connections : int
        That they hold together today.
    alarm_ratio : float, default 0.95
        Filling at which the allocator's searches begin to fail: 0.95 for netfilter, 0.7 for Cilium.

    Returns
    -------
    int
        Replicas that may be added; negative where there are too many already.

    Raises
    ------
    InvalidInput
        A count below 1, or a ratio that is not above 0 and at most 1.

    Examples
    --------
    >>> more_replicas(64_512, replicas=30, connections=30 * 900)
    38
    """
    if min(capacity, replicas, connections) < 1 or not 0 < alarm_ratio <= 1:
        raise InvalidInput(
            f"capacity={capacity}, replicas={replicas}, connections={connections}, alarm_ratio={alarm_ratio}: "
            "counts are 1 or more, the ratio is above 0 and at most 1"
        )
    return int(capacity * alarm_ratio * replicas // connections) - replicas


def _pairs(
    paths: Paths, *, of_one_family: bool = False
) -> Iterator[tuple[int, NDArray[np.int64], tuple[Decision, Decision]]]:
    """Yield each destination, usually of both families, with the pods that share the decisions of both."""
    everyone = np.arange(len(paths.pods))
    if not len(everyone):
        return
    halves = [paths.halves[family] for family in IPFamily]
    for place in range(len(paths.destinations)):
        both = [half.codes(everyone, place) for half in halves]
        number, first = codes_of(both)
        for at, row in enumerate(first.tolist()):
            made = (halves[0].decisions[int(both[0][row])], halves[1].decisions[int(both[1][row])])
            if of_one_family or Cause.DESTINATION_WITHOUT_ADDRESS not in {made[0].cause, made[1].cause}:
                yield place, np.flatnonzero(number == at), made


def _name(paths: Paths, places: NDArray[np.int64]) -> str:
    """Name the first of some pods."""
    table, row = paths.cluster.pods, paths.pods[places[0]]
    return f"{table['namespace'][row]}/{table['name'][row]}"


def _own(paths: Paths, place: int) -> list[str]:
    """Return the addresses of a pod, IPv6 first."""
    groups = [paths.halves[family].groups for family in (IPFamily.IPV6, IPFamily.IPV4)]
    return [text for each in groups if each.has_source[place] for text in _texts(each.source[[place]])]


def _owners(paths: Paths, family: IPFamily) -> dict[str, int]:
    """Return the row of the node that has each InternalIP."""
    nodes, end = paths.cluster.nodes, ENDS[family]
    rows = np.flatnonzero(nodes[f"has_internal_{end}"])
    return dict(zip(_texts(nodes[f"internal_{end}"][rows]), rows.tolist(), strict=True))


def _texts(column: NDArray[Any]) -> list[str]:
    return [str(text) for text in format_addresses(column).to_pylist()]
