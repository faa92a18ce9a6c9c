"""How one pod leaves for one destination, hop by hop, in both families, and which family its client tries first.

A `Trace` promises the same content as text, as HTML and as a frame: for each family a verdict with its cause, and the
hops up to the one that ends it. Where the destination has both families, the order in which a resolver gives them is
the pod's address policy's (`Network.policy_table`), and what a client does where the first is dead is said.

What it does not know: which of several addresses, endpoints or gateways this very connection gets; it shows the first
and says how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import IPFamily
from dsmodel.addresses.literals import format_address
from dsmodel.cards import Card, Section, print_pretty
from dsmodel.cluster.checks.rules import ENDS
from dsmodel.errors import InvalidInput
from dsmodel.graph.edges import Role
from dsmodel.graph.flows import Verdict
from dsmodel.graph.masquerade.services import Target
from dsmodel.graph.network import Network
from dsmodel.graph.paths.decisions import Cause, Decision, Hop, Seen
from dsmodel.graph.paths.destinations import Destination, read_destinations
from dsmodel.graph.paths.resolution import Paths, resolve
from dsmodel.graph.paths.spelling import read_spelling
from dsmodel.graph.selection import AddressSets, carrying_family, order_destinations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dsmodel.cluster.state import Cluster

__all__ = ["COLUMNS", "Trace", "trace"]

COLUMNS: Final = ("ip_family", "order", "hop", "role", "at", "source", "destination", "rule", "verdict", "reason")
"""Columns of `Trace.frame`, in order."""

_HEADER: Final = ("hop", "at", "source", "destination", "rule")
_START: Final = "start"
_OPEN: Final = "open"  # where it is not known, or not certain, what comes next


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Hops of one pod to one destination, per family.

    Parameters
    ----------
    pod : str
        "namespace/name".
    destination : Destination
        Where to.
    families : tuple of IPFamily
        In the order in which a client tries them; those that cannot be tried come last.
    decisions : mapping of IPFamily to Decision
        What becomes of each.
    hops : mapping of IPFamily to tuple of Hop
        The way of each.
    order : str
        Why this family first, and what a client does if it is dead.
    """

    pod: str
    destination: Destination
    families: tuple[IPFamily, ...]
    decisions: dict[IPFamily, Decision]
    hops: dict[IPFamily, tuple[Hop, ...]]
    order: str

    @property
    def frame(self) -> pd.DataFrame:
        """One row a hop and family, families in the order in which they are tried; columns are `COLUMNS`."""
        rows = [
            (
                *(str(family), place + 1, number + 1, hop.role, hop.at, hop.source, hop.destination, hop.rule),
                *(str(self.decisions[family].verdict), self.decisions[family].reason),
            )
            for place, family in enumerate(self.families)
            for number, hop in enumerate(self.hops[family])
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    @property
    def works(self) -> bool:
        """Whether any family works."""
        return any(each.verdict.works for each in self.decisions.values())

    def _card(self) -> Card:
        """Show verdicts and hops."""
        sections = []
        for family in self.families:
            made = self.decisions[family]
            rows = [(hop.role, hop.at, hop.source, hop.destination, hop.rule) for hop in self.hops[family]]
            words = made.reason if made.verdict is Verdict.UNKNOWN else f"{made.verdict}; {made.reason}"
            sections.append(Section(f"{family}: {words}", rows, _HEADER))
        one = self.destination
        port = f" port {one.port}" if one.port and not _says_port(one.name) else ""
        return Card(f"Trace {self.pod} to {self.destination.name}{port}", tuple(sections), self.order)

    def __repr__(self) -> str:
        """Return the card as plain text."""
        return self._card().text()

    def _repr_html_(self) -> str:
        """Show the card in a notebook."""
        return self._card().html()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001, ARG002 - IPython's signature
        """Print the card where the trace is a cell's whole answer."""
        print_pretty(self._card(), printer, short=f"Trace({self.pod} to {self.destination.name})")


def trace(
    cluster: Cluster,
    pod: str,
    destination: str | Destination | dict[str, Any] = "internet",
    *,
    network: Network | None = None,
    port: int | None = None,
) -> Trace:
    """Follow one pod's traffic to one destination, in both families.

    Parameters
    ----------
    cluster : Cluster
        Any.
    pod : str
        "namespace/name".
    destination : str, Destination or mapping, default "internet"
        "internet"; an address; "namespace/name" of a Service or a pod; "node/name"; a name with its addresses. With a
        port where it decides: "10.0.0.5:30080", "[2001:db8::1]:53/UDP", "shop/cart:http".
    network : Network, optional
        What decides beside the cluster; what its objects show if left out.
    port : int, optional
        Destination port, where the destination itself names none.

    Returns
    -------
    Trace
        With `frame`, as text and as HTML.

    Raises
    ------
    InvalidInput
        A pod or destination that is not there, more than one destination, or a port that is none.

    Examples
    --------
    >>> from dsmodel.cluster.examples import kubeadm_dual_stack
    >>> from dsmodel.graph.masquerade import MasqueradeAgent
    >>> cluster = kubeadm_dual_stack()
    >>> network = Network(masquerades=(MasqueradeAgent(),)).replacing(border=(), routed=(), default_route=True)
    >>> trace(cluster, "shop/app00-00001", "2001:db8::10", network=network).frame[["ip_family", "role", "source"]]
      ip_family    role            source
    0      IPv6   start  fd00:10:244:1::2
    1      IPv6  attach  fd00:10:244:1::2
    2      IPv6    deny  fd00:10:244:1::2
    3      IPv4   start        10.244.1.2
    4      IPv4    deny        10.244.1.2
    """
    if port is not None and not 0 < port < 1 << 16:
        raise InvalidInput(f"port={port}: ports go from 1 to 65535")
    asked = read_destinations(destination, cluster, port=port)
    if len(asked) != 1:
        raise InvalidInput(f"a trace goes to one destination, got {len(asked)}; resolve() takes many")
    namespace, _, name = pod.partition("/")
    table = cluster.pods
    rows = np.flatnonzero((table["namespace"] == namespace) & (table["name"] == name)) if name else ()
    if not len(rows):
        raise InvalidInput(f"pod {pod!r} is not in the cluster; give namespace/name")
    known = network if network is not None else Network.of(cluster)
    paths = resolve(cluster, asked, network=known, pods=rows[:1])
    return _traced(paths, pod)


def _traced(paths: Paths, pod: str) -> Trace:
    """Write the hops of the only pod and destination."""
    one = paths.destinations[0]
    decisions = {family: paths.decision(0, 0, family) for family in paths.halves}
    hops = {family: tuple(_hops(paths, pod, family, made)) for family, made in decisions.items()}
    servers = list(one.addresses) or list(dict.fromkeys(text for family in hops for text in _members(paths, family)))
    if IPFamily.IPV6 not in {_family(text) for text in servers}:
        servers = [*_members(paths, IPFamily.IPV6), *servers]  # what DNS64 makes up
    sources = [text for family in (IPFamily.IPV6, IPFamily.IPV4) if (text := _source(paths, family))]
    servers = [text for text in servers if "/" not in text]
    first, words = _order(sources, servers, decisions, paths.network.policy_table)
    families = sorted(decisions, key=lambda family: (family is not first, decisions[family].verdict == "no_family"))
    return Trace(pod, one, tuple(families), decisions, hops, words)


def _order(
    sources: list[str], servers: list[str], decisions: dict[IPFamily, Decision], policy: str
) -> tuple[IPFamily, str]:
    """Say which family is tried first, and what happens if it is dead."""
    order = order_destinations(AddressSets.of([sources]), AddressSets.of([servers]), policy=policy)
    if not order.has_first[0, 0]:
        return IPFamily.IPV4, ""
    first = IPFamily.IPV6 if order.is_ipv6[0, 0] else IPFamily.IPV4
    both = len({_family(text) for text in servers}) > 1
    words = f"{order.why(0, 0)} ({policy})" if both else ""
    if not both or decisions[first].verdict.works:
        return first, words
    if decisions[first].verdict is Verdict.UNKNOWN:
        return first, f"{words} Whether {first} works is not known."
    works = {f"{str(family).lower()}_works": made.verdict.works for family, made in decisions.items()}
    found = {name: carrying_family(order, client=name, **works) for name in ("rfc8305", "blocking")}
    if not found["rfc8305"].connects[0, 0]:
        return first, f"{words} {first} is dead, and so is the other family: nothing connects."
    after = [int(each.delay_ms[0, 0]) for each in found.values()]
    other = next(family for family in decisions if family is not first)
    return first, (
        f"{words} {first} is dead: a client with Happy Eyeballs (RFC 8305) goes on with {other} after {after[0]} ms, "
        f"one that blocks after {after[1] / 1000:g} s."
    )


def _hops(paths: Paths, pod: str, family: IPFamily, made: Decision) -> Iterator[Hop]:
    """Yield the way of one family up to the hop that ends it."""
    one, members = paths.destinations[0], _members(paths, family)
    asked = next(iter(one.of_family(family)), "") or (members[0] if members else "")
    source, target = _source(paths, family), asked
    shown = made.parts[0] if made.parts else made
    node = paths.cluster.nodes["name"][paths.halves[family].groups.node[0]] if _node(paths, family) >= 0 else "unknown"
    yield Hop(_START, f"Pod/{pod}", source, target)
    if made.cause in {Cause.NO_SOURCE, Cause.DESTINATION_WITHOUT_ADDRESS}:
        yield Hop(Role.DENY, f"Pod/{pod}", source, target, str(made.verdict))
        return
    if made.proxy:
        yield Hop(Role.CAPTURE, made.proxy, source, target)
    steer = _steered(paths, made, family) if one.service and members else None
    if steer is not None and not made.served_at:
        target = steer.destination
        yield Hop(steer.role, steer.at, source, target, steer.rule)
    yield Hop(Role.ATTACH, f"Node/{node}", source, target)
    if made.policy:
        yield Hop(Role.SELECT, made.policy, source, target, made.reason if made.cause is Cause.POLICY else "")
    for hop in _ways(paths, shown, family, where=(f"Node/{node}", source, target)):
        source = hop.source  # what is not known on the way is not known at its end
        yield hop
    if steer is not None and made.served_at and made.verdict.works:
        target = steer.destination
        yield Hop(steer.role, f"{steer.at} at {made.served_at}", source, target, steer.rule)
        if made.seen in {Seen.SEVERAL, Seen.UNKNOWN} or made.sources == (asked,):
            source = asked if made.seen is Seen.NODE else ""
            yield Hop(Role.MASQ, made.served_at, source, target, made.service_rule)
    if made.verdict.works:
        arrives = ", ".join(made.sources) or paths.sources([0], 0, family)[0]
        yield Hop(Role.EXIT, _arrival(paths, family, made), arrives, target)
    else:
        role = _OPEN if made.verdict in {Verdict.UNKNOWN, Verdict.NONDETERMINISTIC} else Role.DENY
        yield Hop(role, one.name, paths.sources([0], 0, family)[0] or source, target, str(made.verdict))


def _steered(paths: Paths, made: Decision, family: IPFamily) -> Hop:
    """Say which endpoint the proxy of a Service takes; it has one for every connection."""
    one = paths.destinations[0]
    held = _endpoints(paths, made, family)
    target = _text(paths, family, held[0])
    words = f"endpoint {target}{f', one of {len(held)}' if len(held) > 1 else ''}"
    if one.target not in {"", Target.CLUSTER_IP} and made.service_rule:
        words = f"{made.service_rule}; {words}"
    return Hop(Role.STEER, f"Service/{one.service}", "", target, words)


def _endpoints(paths: Paths, made: Decision, family: IPFamily) -> list[int]:
    """Return the endpoints of the Service among the members: the pod itself, those of its node, then others."""
    half, node = paths.halves[family], _node(paths, family)
    members = half.members
    mine = np.flatnonzero(members.destination == max(0, int(members.inside[0])))
    fits = members.host[mine] == node if made.is_local and not made.served_at else ~members.stays[mine]
    mine = mine[fits] if fits.any() else mine
    far = np.where(members.pod[mine] == half.groups.rows[0], 0, np.where(members.host[mine] == node, 1, 2))
    return [int(row) for row in mine[np.argsort(far, kind="stable")].tolist()]


def _ways(paths: Paths, made: Decision, family: IPFamily, *, where: tuple[str, str, str]) -> Iterator[Hop]:
    """Yield what rewrites the source on the way."""
    node, source, target = where
    if made.exits and made.verdict is not Verdict.LEAK_FALLTHROUGH:
        more = f"one of {len(made.exits)}" if len(made.exits) > 1 else ""
        source = made.exits[0].address
        yield Hop(Role.STEER, made.exits[0].name, source, target, more)
    elif made.translated or made.masquerade:
        if made.translated:
            fixed = made.sources[0] if made.seen is Seen.NODE and made.sources else ""
            # what stays on the node leaves by a device whose address is not in the model
            source = fixed or ("" if made.seen is Seen.UNKNOWN else _node_address(paths, family))
        yield Hop(Role.MASQ, node, source, target, made.masquerade)
    if made.nat:
        role = Role.TRANSLATE if made.nat.startswith("NAT64/") else Role.BORDER
        yield Hop(role, made.nat, ", ".join(made.sources), target)


def _arrival(paths: Paths, family: IPFamily, made: Decision) -> str:
    """Name what the packet arrives at."""
    one, members, cluster = paths.destinations[0], paths.halves[family].members, paths.cluster
    held = _endpoints(paths, made, family) if one.service else np.flatnonzero(members.destination == 0).tolist()
    if made.place not in {"pod", "node"} or not held:
        return one.name
    pod, host = int(members.pod[held[0]]), int(members.host[held[0]])
    if pod >= 0:
        return f"Pod/{cluster.pods['namespace'][pod]}/{cluster.pods['name'][pod]}"
    return f"Node/{cluster.nodes['name'][host]}" if host >= 0 else one.name


def _text(paths: Paths, family: IPFamily, member: int) -> str:
    """Write the address of one member."""
    return format_address(family, to_integers(paths.halves[family].members.address[member : member + 1])[0])


def _members(paths: Paths, family: IPFamily) -> list[str]:
    """Return the addresses that packets carry, one a member."""
    members = paths.halves[family].members
    return [format_address(family, number) for number in to_integers(members.address[members.destination == 0])]


def _says_port(name: str) -> bool:
    """Tell whether a destination's name ends with its port."""
    try:
        spelled = read_spelling(name)
    except InvalidInput:
        return False
    return spelled.port is not None or bool(spelled.port_name)


def _source(paths: Paths, family: IPFamily) -> str:
    """Return the pod's address; empty where it has none."""
    groups = paths.halves[family].groups
    return format_address(family, to_integers(groups.source[:1])[0]) if groups.has_source[0] else ""


def _node(paths: Paths, family: IPFamily) -> int:
    return int(paths.halves[family].groups.node[0])


def _node_address(paths: Paths, family: IPFamily) -> str:
    """Return the address of the pod's node; empty where it has none in the model."""
    row, end, nodes = _node(paths, family), ENDS[family], paths.cluster.nodes
    if row < 0 or not nodes[f"has_internal_{end}"][row]:
        return ""
    return format_address(family, to_integers(nodes[f"internal_{end}"][row : row + 1])[0])


def _family(text: str) -> IPFamily:
    return IPFamily.IPV6 if ":" in text else IPFamily.IPV4
