"""In which order each pod class tries the addresses of each server, from which source, and by which rule.

Promises: source selection and destination order of RFC 6724 for every pair of a class and a server at once, under the
policy of the pods' image; the rule that decides between the families; one sentence why.

- Where a custom table lets IPv4 and IPv6 tie, the family that the answer lists first goes first as a whole.
- A destination that has a source can still be dead: to be tried first and to arrive are two questions
  (`dsmodel.graph.paths`).

What it does not know: what `dsmodel.graph.selection.scoring` does not.

Sources: those of `dsmodel.graph.selection.policies` and `dsmodel.graph.selection.scoring`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.literals import parse_address
from dsmodel.errors import InvalidInput
from dsmodel.graph.selection.candidates import AddressSets
from dsmodel.graph.selection.policies import DESTINATION_RULES, AddressPolicy, policy_of
from dsmodel.graph.selection.scoring import FAMILY, PLACES, Setting, known_locals, rules_between, score

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Marks = NDArray[np.bool_]
    Rows = NDArray[np.int64]

__all__ = ["Order", "order_destinations"]

_CELLS: Final = 1 << 20  # pairs that are worked out at a time
_NONE: Final = np.iinfo(np.int64).max  # key of no address: behind all others
_ULA: Final = Cidr("fc00::/7")
_SCOPE_WORDS: Final = {2: "link-local scope", 5: "site-local scope", 14: "global scope"}


@dataclass(frozen=True, eq=False)
class Order:
    """In which order each pod class tries the addresses of each server.

    Parameters
    ----------
    destination : ndarray of int64, shape (classes, servers, most of a server)
        Rows of `servers`, the one that is tried first in front; -1 behind the last.
    source : ndarray of int64, of the same shape
        Row of `sources` that the connection would start from; -1 where the class has none of the family.
    rule : ndarray of uint8, of the same shape
        Rule in `DESTINATION_RULES` that puts it before the next one; 0 at the last.
    family_rule : ndarray of uint8, shape (classes, servers)
        Rule that puts the first before the best of the other family; 0 where there is no other family.
    sources, servers : AddressSets
        What was asked about.
    setting : Setting
        By which policy.

    Raises
    ------
    None
        `order_destinations` makes it.
    """

    destination: Rows
    source: Rows
    rule: NDArray[np.uint8]
    family_rule: NDArray[np.uint8]
    sources: AddressSets
    servers: AddressSets
    setting: Setting

    @property
    def has_first(self) -> Marks:
        """Whether the server has any address, shape (classes, servers)."""
        return self.destination[..., 0] >= 0

    @property
    def is_usable(self) -> Marks:
        """Whether the first one has a source, shape (classes, servers)."""
        return self.source[..., 0] >= 0

    @property
    def is_ipv6(self) -> Marks:
        """Whether the first one is IPv6, shape (classes, servers)."""
        return np.asarray(self.has_first & np.append(self.servers.is_ipv6, False)[self.destination[..., 0]])

    def why(self, pod_class: int, server: int) -> str:
        """Say in a sentence or two what is tried first, and why before the other family.

        Parameters
        ----------
        pod_class : int
            Place among `sources`.
        server : int
            Place among `servers`.

        Returns
        -------
        str
            With addresses, rule and what the rule compares.

        Raises
        ------
        IndexError
            No such class or server.

        Examples
        --------
        >>> pods = AddressSets.of([["fd00:10:244:1::5", "10.0.1.5"]])
        >>> print(order_destinations(pods, AddressSets.of([["2600:1f00::1", "8.8.8.8"]])).why(0, 0))
        8.8.8.8 first, by rule 5 (prefer matching label): 8.8.8.8 and its source 10.0.1.5 have label 4, while
        2600:1f00::1 has label 1 and its source fd00:10:244:1::5 label 13. A pod whose IPv6 addresses are all ULA
        reaches dual-stack servers by IPv4, even where IPv6 masquerading works.
        """
        rows = self.destination[pod_class, server]
        rows = rows[rows >= 0]
        if not len(rows):
            return "The server has no address."
        is_ipv6 = self.servers.is_ipv6[rows]
        others = np.flatnonzero(is_ipv6 != is_ipv6[0])
        first = self._end(pod_class, int(rows[0]))
        if not len(others):
            family = IPFamily.IPV6 if is_ipv6[0] else IPFamily.IPV4
            lost = "" if first.source else f", and the pod has no {family} address"
            return f"{first.server} first: the server has no address of the other family{lost}.{_pitfall(first, None)}"
        other = self._end(pod_class, int(rows[others[0]]))
        rule = int(self.family_rule[pod_class, server])
        words = f"{first.server} first, by rule {rule} ({DESTINATION_RULES[rule]})"
        return f"{words}: {_contrast(rule, first, other)}.{_pitfall(first, other)}"

    def _end(self, pod_class: int, row: int) -> _End:
        """Measure one destination again, with its source."""
        servers = self.servers
        at = slice(row, row + 1)
        one = AddressSets(servers.ipv4[at], servers.ipv6[at], servers.is_ipv6[at], np.array([0, 1]))
        found = score(self.sources, slice(pod_class, pod_class + 1), one, self.setting)
        start = int(found.source[0, 0])
        return _End(
            servers.text(row),
            self.sources.text(start) if start >= 0 else "",
            label=(int(found.label[0, 0]), int(found.source_label[0, 0])),
            scope=(int(found.scope[0, 0]), int(found.source_scope[0, 0])),
            precedence=int(found.precedence[0, 0]),
        )


@dataclass(frozen=True)
class _End:
    """A destination with its source, as `Order.why` speaks of them; pairs are of destination and source."""

    server: str
    source: str
    label: tuple[int, int]
    scope: tuple[int, int]
    precedence: int


def order_destinations(
    sources: AddressSets,
    servers: AddressSets,
    *,
    policy: str | AddressPolicy = "rfc6724",
    known_local: Iterable[Cidr | str] = (),
    prefix_lengths: tuple[int, int] = (32, 64),
) -> Order:
    """Order the addresses of every server for every pod class.

    Parameters
    ----------
    sources : AddressSets
        Addresses of each pod class; egress-only and link-local ones count too, where the pod has them.
    servers : AddressSets
        A and AAAA records of each server, in the order of the answer.
    policy : str or AddressPolicy
        "rfc6724", "glibc", "draft-rfc6724-update", "musl", "go", or a policy.
    known_local : iterable of Cidr or str
        ULA prefixes that routers announce as local; only "draft-rfc6724-update" heeds them. The /48 of each ULA of the
        pod itself is always among them.
    prefix_lengths : (int, int)
        Of the addresses on pods' interfaces, IPv4 and IPv6; rules that compare prefixes count no further.

    Returns
    -------
    Order
        Shape (classes, servers).

    Raises
    ------
    InvalidInput
        An unknown policy, a prefix that hosts do not take as local, or no prefix length.
    InvalidCidr
        A known-local text that is no block.

    Examples
    --------
    >>> pods = AddressSets.of([["2600:1f00::5", "10.0.1.5"], ["fd00:10:244:1::5", "10.0.1.5"]])
    >>> servers = AddressSets.of([["2600:1f00:2::1", "8.8.8.8"], ["fd00:10:96::a", "10.96.0.10"]])
    >>> order = order_destinations(pods, servers, policy="glibc")
    >>> order.is_ipv6, order.family_rule
    (array([[ True, False], [False,  True]]), array([[6, 5], [5, 6]], dtype=uint8))
    """
    setting = Setting(policy_of(policy), known_locals(known_local), prefix_lengths)
    for family, length in zip(IPFamily, prefix_lengths, strict=True):
        if not 0 <= length <= family.bits:
            raise InvalidInput(f"prefix_lengths: /{length} is no {family} prefix length; use 0 to {family.bits}")
    places = servers.padded()
    shape = len(sources), *places.shape
    order = Order(
        np.full(shape, -1, np.int64),
        np.full(shape, -1, np.int64),
        np.zeros(shape, np.uint8),
        np.zeros(shape[:2], np.uint8),
        sources,
        servers,
        setting,
    )
    step = max(1, _CELLS // max(1, places.size))
    for begin in range(0, len(sources), step):
        _fill(order, slice(begin, begin + step), places)
    return order


def _fill(order: Order, chosen: slice, places: Rows) -> None:
    """Order the servers' addresses for some classes."""
    servers, policy = order.servers, order.setting.policy
    found = score(order.sources, chosen, servers, order.setting)
    missing = places < 0
    is_ipv6 = np.append(servers.is_ipv6, False)[places]
    key = found.key[:, places] if len(servers.is_ipv6) else np.zeros((len(found.key), *places.shape), np.int64)
    if not policy.orders_ipv4_alone:
        key[:, ~is_ipv6.any(axis=1)] = 0
    second = np.broadcast_to(is_ipv6 != is_ipv6[:, :1], key.shape)
    if not policy.orders_unusable and len(servers.is_ipv6):
        second = second & (found.source[:, places] >= 0)
    key |= second.astype(np.int64) << FAMILY
    key |= np.arange(places.shape[1])
    key[:, missing] = _NONE
    key.sort(axis=-1)
    has = key != _NONE
    place = np.where(has, key & ((1 << PLACES) - 1), 0)
    server = np.arange(len(places))[:, None]
    row = np.where(has, places[server, place], -1)
    order.destination[chosen] = row
    if len(servers.is_ipv6):
        order.source[chosen] = np.where(has, found.source[np.arange(len(row))[:, None, None], row], -1)
    order.rule[chosen, :, :-1] = np.where(has[..., 1:], rules_between(key[..., :-1], key[..., 1:]), 0)
    sorted_family = is_ipv6[server, place]
    other = has & (sorted_family != sorted_family[..., :1])
    best = np.take_along_axis(key, other.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    order.family_rule[chosen] = np.where(other.any(axis=-1), rules_between(key[..., 0], best), 0)


def _contrast(rule: int, first: _End, other: _End) -> str:
    """Say what a rule found between two ends."""
    if rule == 1:
        family = parse_address(other.server)[0]
        return f"the pod has no {family} address to reach {other.server} from"
    if rule == 2:
        scopes = [_SCOPE_WORDS.get(scope, f"scope {scope}") for scope in (*first.scope, *other.scope)]
        return (
            f"{first.server} and its source {first.source} have {scopes[0]}, while {other.server} has {scopes[2]} and "
            f"its source {other.source} {scopes[3]}"
        )
    if rule == 5:
        return (
            f"{first.server} and its source {first.source} have label {first.label[0]}, while {other.server} has label "
            f"{other.label[0]} and its source {other.source} label {other.label[1]}"
        )
    if rule == 6:
        return f"{first.server} has precedence {first.precedence}, {other.server} {other.precedence}"
    if rule == 8:
        return f"{first.server} has scope {first.scope[0]}, {other.server} {other.scope[0]}"
    return "no rule tells them apart, and the answer lists it first"


def _pitfall(first: _End, other: _End | None) -> str:
    """Add what surprises about ULA, where it shows."""
    v6 = next((end for end in (first, other) if end is not None and ":" in end.server), None)
    if v6 is None or not v6.source or v6.source not in _ULA or v6.server in _ULA:
        return ""
    if v6 is first:
        return f" The source {v6.source} is a ULA: without IPv6 masquerading or NPTv6 no answer comes back."
    words = "A pod whose IPv6 addresses are all ULA reaches dual-stack servers by IPv4"
    return f" {words}, even where IPv6 masquerading works."
