"""What a decision is: verdict, the rule behind it, the source that is seen, and the hops to it, in words.

One `Decision` holds for every pod of a group and every member of a class; what differs by pod (its own address, its
node's) is named, and filled in for one pod when asked for.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsmodel.graph.flows import Exit, Verdict

__all__ = ["Cause", "Decision", "Hop", "Seen"]


class Cause(enum.IntEnum):
    """The step of the pipeline that ended it.

    >>> Cause.DELIVERED.value
    0
    """

    DELIVERED = 0
    NO_SOURCE = 1
    NODE_DOWN = 2
    PROXY_REJECTS = 3
    SERVICE_GAP = 4
    POD_GAP = 5
    DESTINATION_DOWN = 6
    ON_LINK = 7
    POLICY = 8
    MASQUERADE_UNKNOWN = 9
    NODE_WITHOUT_ADDRESS = 10
    ADDRESSES_UNKNOWN = 11
    NO_DEFAULT_ROUTE = 12
    ROUTE_UNKNOWN = 13
    NAT_DOWN = 14
    BORDER_UNKNOWN = 15
    NOT_GLOBAL = 16
    NO_RETURN = 17
    RETURN_UNKNOWN = 18
    NAT64_UNKNOWN = 19
    NO_NAT64 = 20
    EXIT_UNKNOWN = 21
    DESTINATION_WITHOUT_ADDRESS = 22
    NO_ENDPOINT = 23
    ENDPOINTS_UNKNOWN = 24
    MIXED = 25
    NO_LOCAL_ENDPOINT = 26
    NAT_UNKNOWN = 27
    NODE_UNKNOWN = 28
    PROXY_UNKNOWN = 29
    SERVICE_PROXY_UNKNOWN = 30
    SOURCE_RANGES = 31
    HAIRPIN_OFF = 32
    HAIRPIN_UNKNOWN = 33
    LEAVES_ELSEWHERE = 34
    NO_PORT = 35


class Seen(enum.StrEnum):
    """Whose address the destination sees.

    >>> Seen("node").value
    'node'
    """

    NOBODY = "nobody"  # nothing arrives, or nobody knows
    POD = "pod"
    NODE = "node"
    GATEWAY = "gateway"
    NAT = "NAT"
    SEVERAL = "several"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Decision:
    """What becomes of flows of one group to one class of destinations.

    Parameters
    ----------
    verdict : Verdict
        What becomes of them.
    cause : Cause
        The step that ended it.
    reason : str
        Why, in words.
    rule : str
        Who decided, by name.
    seen : Seen
        Whose address the destination sees.
    sources : tuple of str
        The addresses, where they are not the pod's or the node's own; for `SEVERAL` those that are certain.
    policy : str
        Egress policy that selects it; empty for none.
    exits : tuple of Exit
        Where its gateway lets it out; several where it depends.
    masquerade : str
        Masquerading rule that decided; empty for none.
    translated : bool
        Whether the node rewrote the source.
    nat : str
        Title of the translator at the border; empty for none.
    proxy : str
        Title of the transparent proxy; empty for none.
    place : str
        Kind of destination, as `dsmodel.graph.paths.destinations.Place` names it.
    is_local : bool
        Whether the destination is on the pod's own node.
    service_rule : str
        What the proxy that served the Service did; empty for no Service.
    served_at : str
        Node that was asked for its port, as "Node/worker-1", where it is not the pod's own.
    parts : tuple of Decision
        What it was joined from, where members of the destination differ.
    """

    verdict: Verdict
    cause: Cause
    reason: str
    rule: str = ""
    seen: Seen = Seen.NOBODY
    sources: tuple[str, ...] = ()
    policy: str = ""
    exits: tuple[Exit, ...] = ()
    masquerade: str = ""
    translated: bool = False
    nat: str = ""
    proxy: str = ""
    place: str = ""
    is_local: bool = False
    service_rule: str = ""
    served_at: str = ""
    parts: tuple[Decision, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Hop:
    """One step of a path.

    Parameters
    ----------
    role : str
        A role of `dsmodel.graph.edges`; "start" for the pod itself, "open" where what comes next is not known.
    at : str
        Kind and name of what it leads to.
    source : str
        Source address after it; empty where not known.
    destination : str
        Destination address after it; empty where not known.
    rule : str
        What decided it.
    """

    role: str
    at: str
    source: str = ""
    destination: str = ""
    rule: str = ""
