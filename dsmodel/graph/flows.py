"""The columns that every decision about traffic takes and gives: flows in, what became of them out.

A flow is the first packet of a connection, as it leaves the network namespace of a pod or a host process. One record
holds many flows of one family. Who decides later (masquerading, gateways) takes flows and answers with columns of the
same length; a batch of pods is grouped into distinct flows before it is decided, and broadcast after.

`Steering` says what egress policies did, `Translation` what the node's masquerading did with what they left.

What it does not know: where flows come from (`dsmodel.graph.paths`) and which rules there are.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.arrays import family_of
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dsmodel.addresses.cidr import IPFamily

__all__ = ["UNDECIDED", "VERDICTS", "Exit", "Flows", "Steering", "Translation", "Verdict"]


class Verdict(enum.StrEnum):
    """What becomes of a flow, in one family.

    >>> Verdict("ok_snat").works
    True
    """

    OK_DIRECT = "ok_direct"
    OK_SNAT = "ok_snat"
    VIA_GATEWAY = "via_gateway"
    VIA_NAT64 = "via_nat64"
    VIA_PROXY = "via_proxy"
    LEAK_FALLTHROUGH = "leak_fallthrough"
    NONDETERMINISTIC = "nondeterministic"
    POLICY_DENIED = "policy_denied"
    DROPPED_NO_GATEWAY = "dropped_no_gateway"
    DROPPED_NO_EGRESS_IP = "dropped_no_egress_ip"
    BLACKHOLE_RETURN = "blackhole_return"
    NO_ROUTE = "no_route"
    NO_FAMILY = "no_family"
    UNKNOWN = "unknown"

    @property
    def works(self) -> bool:
        """Whether an answer comes back; a leak works, though not as its policy says."""
        return self in _WORK


VERDICTS: tuple[Verdict, ...] = tuple(Verdict)
"""Verdict of each code in a column of verdicts."""

UNDECIDED = 255
"""Code of a flow that nothing has judged yet."""

_WORK = frozenset(
    {
        Verdict.OK_DIRECT,
        Verdict.OK_SNAT,
        Verdict.VIA_GATEWAY,
        Verdict.VIA_NAT64,
        Verdict.VIA_PROXY,
        Verdict.LEAK_FALLTHROUGH,
    }
)


@dataclass(frozen=True, eq=False)
class Flows:
    """Flows of one family, one a row.

    Parameters
    ----------
    source : address column, shape (n,)
        Address the packet carries when it leaves its namespace.
    destination : address column, shape (n,)
        Of the same family; where a Service was asked for, the endpoint that was chosen.
    node : ndarray of int32, shape (n,)
        Row of the node it leaves from, in the nodes table; -1 where that is not known.
    pod : ndarray of int32, shape (n,)
        Row of the pod in the pods table; -1 for a process of the host.
    host : ndarray of bool, shape (n,)
        Whether it starts in the node's own namespace: a host process, or a pod of the host network.

    Raises
    ------
    InvalidInput
        If the columns differ in length or family.

    Examples
    --------
    >>> import numpy as np
    >>> from dsmodel.addresses.text import parse_addresses
    >>> pods = parse_addresses(["10.244.0.5", "10.244.1.7"], family="IPv4")
    >>> servers = parse_addresses(["192.0.2.1", "192.0.2.1"], family="IPv4")
    >>> flows = Flows(pods, servers, node=np.array([0, 1], np.int32), pod=np.array([0, 1], np.int32),
    ...               host=np.zeros(2, np.bool_))
    >>> len(flows), str(flows.family)
    (2, 'IPv4')
    """

    source: NDArray[Any]
    destination: NDArray[Any]
    node: NDArray[np.int32]
    pod: NDArray[np.int32]
    host: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Refuse columns that do not belong together."""
        lengths = {len(column) for column in (self.source, self.destination, self.node, self.pod, self.host)}
        if len(lengths) > 1:
            raise InvalidInput(f"flows: columns of {sorted(lengths)} rows; give one value a flow in each")
        if self.source.dtype != self.destination.dtype:
            raise InvalidInput(
                f"flows: source is {family_of(self.source)} and destination {family_of(self.destination)}; "
                "decide one family at a time"
            )

    def __len__(self) -> int:
        """Count the flows."""
        return len(self.source)

    @property
    def family(self) -> IPFamily:
        """Family of all of them."""
        return family_of(self.source)


@dataclass(frozen=True, eq=False)
class Translation:
    """What the masquerading rules of the nodes did to each flow.

    Parameters
    ----------
    translated : ndarray of bool, shape (n,)
        Whether a rule rewrote the source.
    source : address column, shape (n,)
        Address after the node: its own where translated, the flow's where not; a row means nothing where not known.
    has_source : ndarray of bool, shape (n,)
        Whether `source` is known; False where the node has no address of the family in the model.
    rule : ndarray of int16, shape (n,)
        Place in `rules` of the rule that decided; -1 where none matched.
    rules : tuple of str
        Names of rules, with the component that owns each.
    """

    translated: NDArray[np.bool_]
    source: NDArray[Any]
    has_source: NDArray[np.bool_]
    rule: NDArray[np.int16]
    rules: tuple[str, ...]


@dataclass(frozen=True)
class Exit:
    """One place where a gateway policy lets traffic out, in one family.

    Parameters
    ----------
    node : int
        Row of its node in the nodes table; -1 where the model does not have it.
    address : str
        Source that is seen after it, in canonical text; empty where not known.
    name : str
        Kind and name: "Node/worker-1", "Pod/egress/gateway-0".
    """

    node: int
    address: str
    name: str


@dataclass(frozen=True, eq=False)
class Steering:
    """What egress policies of the cluster do to each flow, before the node's own masquerading.

    A flow that no policy selects is `UNDECIDED`: masquerading on its node decides. `Verdict.LEAK_FALLTHROUGH` means
    that a policy selects it and does nothing: masquerading decides too, and the source is not the policy's.

    Parameters
    ----------
    verdict : ndarray of uint8, shape (n,)
        Place in `VERDICTS`; `UNDECIDED` where no policy selects the flow.
    policy : ndarray of int32, shape (n,)
        Place in `policies` of the one that decided; of several that conflict, the first; -1 where none selects.
    gateway : ndarray of int32, shape (n,)
        Row of the gateway's node in the nodes table; -1 unless exactly one serves for certain.
    source : address column, shape (n,)
        Address seen after the gateway; a row means nothing where `has_source` is False.
    has_source : ndarray of bool, shape (n,)
        Whether exactly one source is possible and known.
    choice : ndarray of int32, shape (n,)
        Place in `choices`; -1 where no gateway serves the flow.
    reason : ndarray of int32, shape (n,)
        Place in `reasons`; -1 where no policy selects the flow.
    policies : tuple of str
        Kind and name: "CiliumEgressGatewayPolicy/egress-a", "EgressFirewall/shop/default".
    choices : tuple of tuple of Exit
        The exits that can serve a flow: one, or several where it depends on a hash of the flow, on chance, or on
        something the dump does not hold; the reason says which. With `Verdict.NONDETERMINISTIC` and
        `Verdict.UNKNOWN` it may be none of them.
    reasons : tuple of str
        The rule that decided, in words, with its product.
    """

    verdict: NDArray[np.uint8]
    policy: NDArray[np.int32]
    gateway: NDArray[np.int32]
    source: NDArray[Any]
    has_source: NDArray[np.bool_]
    choice: NDArray[np.int32]
    reason: NDArray[np.int32]
    policies: tuple[str, ...]
    choices: tuple[tuple[Exit, ...], ...]
    reasons: tuple[str, ...]
