"""What the nodes and edges of the traffic graph carry: a contract, as data.

Keys are typed tuples, the kind first. An edge's key is its family and role, and a number where a kind of step has
several. Every attribute is declared here with the types it may have; `problems_of` names what breaks the contract.

Only what was resolved becomes an edge; an edge that ends where traffic is dropped has the role ``deny``. No edge leads
from a pod to the world: something always stands between, so that cuts mean something.

What it does not know: how a graph is built (`dsmodel.graph.topology`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["EDGE_ATTRIBUTES", "NODE_ATTRIBUTES", "Attribute", "Kind", "Role", "problems_of"]


class Kind(enum.StrEnum):
    """What a node of the graph stands for; the first word of its key.

    >>> Kind("snat_ip").value
    'snat_ip'
    """

    POD = "pod"
    WORKLOAD = "workload"  # pods of one namespace and name label
    NODE = "node"
    NODE_POOL = "pool"  # nodes of one node pool
    SERVICE = "svc"
    PROXY = "proxy"
    POLICY = "policy"
    GATEWAY = "gw"
    MASQUERADE = "masq"
    SNAT_IP = "snat_ip"
    CLOUD_NAT = "nat"
    NAT64 = "nat64"
    DESTINATION = "dst"
    WORLD = "world"
    DROP = "drop"


class Role(enum.StrEnum):
    """What a step does.

    >>> Role("snat").value
    'snat'
    """

    ATTACH = "attach"
    CAPTURE = "capture"
    SELECT = "select"
    STEER = "steer"
    MASQ = "masq"
    SNAT = "snat"
    BORDER = "border"
    TRANSLATE = "translate"
    EXIT = "exit"
    DENY = "deny"
    BELONGS = "belongs"  # destination to the world of its family


@dataclass(frozen=True)
class Attribute:
    """One attribute's promise.

    Parameters
    ----------
    name : str
        Key of the attribute.
    types : tuple of type
        What its value may be.
    meaning : str
        One line.
    kinds : tuple of Kind or Role
        Who must have it; nobody else does. All where empty.
    """

    name: str
    types: tuple[type, ...]
    meaning: str
    kinds: tuple[str, ...] = ()


_ADDRESSED = (Kind.POD, Kind.NODE, Kind.GATEWAY)
NODE_ATTRIBUTES: Final = (
    Attribute("kind", (str,), "a Kind"),
    Attribute("label", (str,), "what to call it in a picture"),
    Attribute("pods", (int,), "pods it stands for", (Kind.POD, Kind.WORKLOAD)),
    Attribute("node", (str,), "name of its node; empty for more than one", (Kind.POD, Kind.WORKLOAD, Kind.GATEWAY)),
    Attribute("namespace", (str,), "its namespace", (Kind.POD, Kind.WORKLOAD)),
    Attribute("ipv4", (str,), "its IPv4 address; empty for none", _ADDRESSED),
    Attribute("ipv6", (str,), "its IPv6 address; empty for none", _ADDRESSED),
    Attribute("host_network", (bool,), "whether it shares the node's namespace", (Kind.POD,)),
    Attribute("nodes", (int,), "nodes it stands for", (Kind.NODE_POOL,)),
    Attribute("ready", (bool,), "whether it is up", (Kind.NODE,)),
    Attribute("zone", (str,), "failure zone", (Kind.NODE,)),
    Attribute(
        "family",
        (str,),
        "IPv4 or IPv6",
        (Kind.MASQUERADE, Kind.SNAT_IP, Kind.CLOUD_NAT, Kind.DESTINATION, Kind.WORLD, Kind.DROP),
    ),
    Attribute(
        "ports", (int, type(None)), "connections at once per destination; None for no limit known", (Kind.SNAT_IP,)
    ),
    Attribute("verdict", (str,), "the verdict that ends there", (Kind.DROP,)),
)
"""Attributes of nodes."""

EDGE_ATTRIBUTES: Final = (
    Attribute("family", (str,), "IPv4 or IPv6"),
    Attribute("role", (str,), "a Role"),
    Attribute("rank", (int,), "place in the order of evaluation; lower comes first"),
    Attribute("pods", (int,), "pods whose traffic takes it"),
    Attribute("destinations", (tuple,), "names of the destinations it is taken for, sorted"),
    Attribute("rewrite", (str,), "source address that it gives; empty where it gives none"),
    Attribute("reason", (str,), "the rule behind it"),
    Attribute("state", (str,), "active, blocked or unknown"),
    Attribute("capacity", (int, type(None)), "connections at once per destination; None for no limit known"),
)
"""Attributes of edges; every edge has all of them."""

_STATES: Final = ("active", "blocked", "unknown")
RANKS: Final[Mapping[Role, int]] = {role: rank for rank, role in enumerate(Role)}
"""Order in which a packet meets the roles."""


def problems_of(
    nodes: Iterable[tuple[Any, Mapping[str, Any]]], edges: Iterable[tuple[Any, Any, Any, Mapping[str, Any]]]
) -> list[str]:
    """Say what breaks the contract.

    Parameters
    ----------
    nodes : iterable of (key, mapping)
        As ``graph.nodes(data=True)`` gives them.
    edges : iterable of (source, target, key, mapping)
        As ``graph.edges(keys=True, data=True)`` gives them.

    Returns
    -------
    list of str
        A sentence each; empty for a graph that keeps it.

    Raises
    ------
    None
        Everything that is wrong is a sentence.

    Examples
    --------
    >>> problems_of([(("world", 6), {"kind": "world", "label": "IPv6", "family": "IPv5"})], [])
    ["node ('world', 6): family 'IPv5' is not IPv4 or IPv6"]
    """
    found: list[str] = []
    known: set[Any] = set()
    for key, attributes in nodes:
        known.add(key)
        found += [f"node {key!r}: {words}" for words in _node_problems(key, attributes)]
    for source, target, key, attributes in edges:
        title = f"edge {source!r} to {target!r}"
        found += [f"{title}: {words}" for words in _edge_problems(source, target, key, attributes)]
        found += [f"{title}: there is no node {end!r}" for end in (source, target) if end not in known]
    return found


def _node_problems(key: Any, attributes: Mapping[str, Any]) -> list[str]:
    if not isinstance(key, tuple) or not key or key[0] not in set(Kind):
        return ["the key is no tuple that begins with a Kind"]
    if attributes.get("kind") != key[0]:
        return [f"kind {attributes.get('kind')!r} is not that of the key"]
    wanted = [each for each in NODE_ATTRIBUTES if not each.kinds or key[0] in each.kinds]
    return _value_problems(wanted, attributes)


def _edge_problems(source: Any, target: Any, key: Any, attributes: Mapping[str, Any]) -> list[str]:
    found = _value_problems(list(EDGE_ATTRIBUTES), attributes)
    if not isinstance(key, tuple) or key[:2] != (attributes.get("family"), attributes.get("role")):
        found.append(f"key {key!r} does not begin with family and role")
    if attributes.get("role") not in set(Role):
        found.append(f"role {attributes.get('role')!r} is no Role")
    if attributes.get("state") not in _STATES:
        found.append(f"state {attributes.get('state')!r} is none of {', '.join(_STATES)}")
    if source[0] in {Kind.POD, Kind.WORKLOAD} and target[0] in {Kind.WORLD, Kind.DESTINATION}:
        found.append("no pod leads to the world without a step between")
    return found


def _value_problems(wanted: list[Attribute], attributes: Mapping[str, Any]) -> list[str]:
    """Compare values with what they may be."""
    found = [f"{each.name} is missing" for each in wanted if each.name not in attributes]
    names = {each.name for each in wanted}
    found += [f"{name} is no attribute of it" for name in sorted(set(attributes) - names)]
    for each in wanted:
        value = attributes.get(each.name, each.types[0]())
        if not isinstance(value, each.types) or (isinstance(value, bool) and bool not in each.types):
            found.append(f"{each.name} {value!r} is no {' or '.join(kind.__name__ for kind in each.types)}")
        elif each.name == "family" and each.name in attributes and value not in {"IPv4", "IPv6"}:
            found.append(f"family {value!r} is not IPv4 or IPv6")
    return found
