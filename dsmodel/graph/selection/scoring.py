"""What the rules compare: for each pod class and each destination address, its source, scopes, labels, precedence.

Promises: `score` chooses the source of every pair (RFC 6724 section 5) and packs what section 6 compares into one
number, so that sorting numbers is ordering destinations and the highest bit in which two differ names the rule.

- IPv4 has no source selection: the first address given is the source.
- Source rule 2 prefers the smallest scope that reaches the destination, and the widest where none does.

What it does not know: deprecated, temporary and home addresses and tunnels, of which pods have none (source rules 3, 4
and 7, destination rules 3, 4 and 7 never decide); several interfaces (source rules 5 and 5.5).

Sources: RFC 6724 sections 3, 5 and 6; ``ipv6_get_saddr_eval`` of Linux' ``net/ipv6/addrconf.c``; known-local prefixes:
draft-ietf-6man-rfc6724-update section 5.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsmodel.addresses.arrays import addresses_in
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.addresses.columns import family_of
from dsmodel.addresses.registries import KNOWN_LOCAL
from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from dsmodel.addresses.registries import PolicyTable
    from dsmodel.graph.selection.candidates import AddressSets
    from dsmodel.graph.selection.policies import AddressPolicy

    Marks = NDArray[np.bool_]
    Numbers = NDArray[np.int64]

__all__ = ["FAMILY", "PLACES", "Scores", "Setting", "known_locals", "rules_between", "scopes", "score"]

# Fields of a sort key, lowest bit and rule, from the least significant on. Bit 32 is the family that the answer does
# not list first, which decides only where a custom table lets families tie.
_FIELDS: Final = ((0, 10), (24, 9), (32, 10), (33, 8), (37, 6), (45, 5), (46, 2), (47, 1))
_BIT: Final = {"prefix": 24, "scope": 33, "precedence": 37, "label": 45, "matching": 46, "unusable": 47}
FAMILY: Final = 32  # bit of a sort key that is set in the family the answer does not list first
PLACES: Final = 24  # bits for the place in the answer

_GLOBAL, _SITE_LOCAL, _LINK_LOCAL = 14, 5, 2  # RFC 4291 section 2.7, RFC 6724 section 3.1
_LOCALLY_ASSIGNED = Cidr("fd00::/8")
_SHORTEST_KNOWN_LOCAL = 40  # bits
_SITE_BITS = 48  # of a ULA prefix, RFC 4193 section 3.1: what an interface address stands for


@dataclass(frozen=True)
class Setting:
    """What holds for all pairs of a question.

    Parameters
    ----------
    policy : AddressPolicy
        Of the pods' image.
    known_local : tuple of Cidr
        ULA prefixes that routers announce as local, beside those of a pod's own addresses.
    prefix_lengths : (int, int)
        Of the addresses on pods' interfaces, IPv4 and IPv6.

    Raises
    ------
    None
        A record.
    """

    policy: AddressPolicy
    known_local: tuple[Cidr, ...]
    prefix_lengths: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Scores:
    """What the rules compare, a row a pod class and a column a destination address.

    Parameters
    ----------
    key : ndarray of int64
        Smaller is tried first; the bits for family and place are free.
    source : ndarray of int64
        Row of the source, -1 for none.
    source_label, label, precedence : ndarray of int64
        Of source and destination; the source's means nothing where there is none.
    source_scope, scope : ndarray of int64
        The same for scopes.

    Raises
    ------
    None
        A record.
    """

    key: Numbers
    source: Numbers
    source_label: Numbers
    label: Numbers
    precedence: Numbers
    source_scope: Numbers
    scope: Numbers


def known_locals(texts: Iterable[Cidr | str]) -> tuple[Cidr, ...]:
    """Read prefixes that routers announce as local.

    Parameters
    ----------
    texts : iterable of Cidr or str
        Blocks inside fd00::/8.

    Returns
    -------
    tuple of Cidr
        In the order given.

    Raises
    ------
    InvalidInput
        A block outside fd00::/8 or shorter than /40, which hosts do not take.
    InvalidCidr
        A text that is no block.

    Examples
    --------
    >>> known_locals(["fd00:10::/40"])
    (Cidr('fd00:10::/40'),)
    """
    found = tuple(each if isinstance(each, Cidr) else Cidr(each, host_bits="mask") for each in texts)
    for cidr in found:
        if cidr not in _LOCALLY_ASSIGNED or cidr.prefix_length < _SHORTEST_KNOWN_LOCAL:
            raise InvalidInput(
                f"known_local {cidr}: hosts take only prefixes inside {_LOCALLY_ASSIGNED} of /{_SHORTEST_KNOWN_LOCAL} "
                "or longer (draft-ietf-6man-rfc6724-update)"
            )
    return found


def scopes(column: NDArray[Any], *, ipv4_is_global: bool = False) -> Numbers:
    """Return the scope of every address.

    Parameters
    ----------
    column : address column
        Of either family.
    ipv4_is_global : bool
        Whether every IPv4 address counts as global, as in musl.

    Returns
    -------
    ndarray of int64
        2 link-local (loopback and 169.254.0.0/16 included), 5 site-local, 14 global; of multicast its own.

    Raises
    ------
    InvalidAddress
        The array is no address column.

    Notes
    -----
    Source: RFC 6724 sections 3.1 and 3.2.

    Examples
    --------
    >>> scopes(np.array([0x0A000105, 0x64400001, 0xA9FEAC05], np.uint32))
    array([14, 14, 2])
    """
    found = np.full(len(column), _GLOBAL, np.int64)
    if family_of(column) is IPFamily.IPV4:
        if not ipv4_is_global:
            found[addresses_in(column, ["169.254.0.0/16", "127.0.0.0/8"])] = _LINK_LOCAL
        return found
    found[addresses_in(column, ["fe80::/10", "::1/128"])] = _LINK_LOCAL
    found[addresses_in(column, "fec0::/10")] = _SITE_LOCAL
    multicast = addresses_in(column, "ff00::/8")
    found[multicast] = (column["hi"][multicast] >> np.uint64(48) & np.uint64(15)).astype(np.int64)
    return found


def rules_between(first: Numbers, second: Numbers) -> NDArray[np.uint8]:
    """Return the rule that tells pairs of sort keys apart.

    Parameters
    ----------
    first, second : ndarray of int64
        Keys of `Scores`, with family and place filled in.

    Returns
    -------
    ndarray of uint8
        Number in `dsmodel.graph.selection.policies.DESTINATION_RULES`.

    Raises
    ------
    None
        Equal keys are told apart by rule 10.

    Examples
    --------
    >>> rules_between(np.array([1 << 45]), np.array([1 << 37]))
    array([5], dtype=uint8)
    """
    highest = np.maximum(_bit_lengths((first ^ second).astype(np.uint64)) - 1, 0)
    bits, rules = np.array(_FIELDS).T
    return np.asarray(rules[np.searchsorted(bits, highest, side="right") - 1], np.uint8)


def score(sources: AddressSets, chosen: slice, destinations: AddressSets, setting: Setting) -> Scores:
    """Choose the source of every pair and measure it.

    Parameters
    ----------
    sources : AddressSets
        Addresses of pod classes.
    chosen : slice
        Which classes.
    destinations : AddressSets
        Every address of it is a column of the answer.
    setting : Setting
        Policy, known-local prefixes, prefix lengths.

    Returns
    -------
    Scores
        Of shape (classes chosen, destination addresses).

    Raises
    ------
    None
        Pairs without a source have an answer too.
    """
    found: dict[str, Numbers] = {}
    shape = (len(range(*chosen.indices(len(sources)))), len(destinations.is_ipv6))
    for family in IPFamily:
        columns = np.flatnonzero(destinations.is_ipv6 == (family is IPFamily.IPV6))
        if not len(columns) and found:
            continue
        own = sources.padded(family=family)[chosen]
        pairs = _Pairs(sources, own, _of_family(destinations, family)[columns], setting)
        for name, values in pairs.measured().items():
            found.setdefault(name, np.zeros(shape, np.int64))[:, columns] = values
    return Scores(**found)


class _Pairs:
    """Classes times destinations of one family: what both ends are, and which source is chosen."""

    def __init__(self, sources: AddressSets, own: Numbers, destinations: NDArray[Any], setting: Setting) -> None:
        self.policy, self.own = setting.policy, own  # own: rows of sources, shape (classes, most), -1 for none
        self.family = family_of(destinations)
        self.sources, self.destinations = _of_family(sources, self.family), destinations
        self.prefix_length = setting.prefix_lengths[self.family is IPFamily.IPV6]
        is_global = self.policy.ipv4_is_global
        self.source_scope = scopes(self.sources, ipv4_is_global=is_global)
        self.scope = scopes(destinations, ipv4_is_global=is_global)
        self.is_local = self._local(setting)

    def measured(self) -> dict[str, Numbers]:
        """Return the fields of `Scores`, each of shape (classes, destinations) or broadcast to it."""
        policy, row = self.policy, self._choose()
        has, at = row >= 0, np.maximum(row, 0)
        scope = np.broadcast_to(self.scope, row.shape)
        label, precedence = self._looked_up(policy.table)
        source_label, source_scope = np.zeros(row.shape, np.int64), np.zeros(row.shape, np.int64)
        if has.any():
            source_label, source_scope = self._source_labels(policy.table)[at], self.source_scope[at]
        ranked = has if not policy.orders_unusable else np.ones_like(has)
        key = (
            _encoded("unusable", ~has)
            | _encoded("matching", has & (source_scope != scope))
            | _encoded("label", has & (source_label != label))
            | _encoded("precedence", _ranks(policy, precedence) * ranked)
            | _encoded("scope", scope * ranked)
            | _encoded("prefix", np.where(has, 128 - self._matching_bits(at), 0))
        )
        return {
            "key": key,
            "source": row,
            "source_label": source_label,
            "label": label,
            "precedence": precedence,
            "source_scope": source_scope,
            "scope": scope,
        }

    def _choose(self) -> Numbers:
        """Return the row of the source for each pair, -1 where the class has none of the family."""
        first = np.broadcast_to(self.own[:, :1], (len(self.own), len(self.destinations)))
        if self.family is IPFamily.IPV4 or self.own.shape[1] == 1:
            return first.copy()
        labels = self._source_labels(self.policy.source_table)
        label = self._looked_up(self.policy.source_table)[0]
        best, chosen = np.full(first.shape, np.iinfo(np.int64).max), first.copy()
        for rows in self.own.T:
            at = np.maximum(rows, 0)[:, None]
            scope = self.source_scope[at]
            beyond = np.where(scope >= self.scope, scope - self.scope, 16 + self.scope - scope)
            common = self._common_bits(np.broadcast_to(at, first.shape))
            key = np.where(common == 128, 0, 1 << 40) | beyond << 20 | (labels[at] != label).astype(np.int64) << 16
            key |= 128 - np.minimum(common, self.prefix_length)
            better = (rows >= 0)[:, None] & (key < best)
            best[better] = key[better]
            chosen[better] = np.broadcast_to(rows[:, None], first.shape)[better]
        return chosen

    def _local(self, setting: Setting) -> Marks | None:
        """Say which destinations each class knows to be local: announced, or in the /48 of an address of its own."""
        if not setting.policy.knows_local or self.family is IPFamily.IPV4:
            return None
        announced = addresses_in(self.destinations, setting.known_local)
        site = np.uint64(64 - _SITE_BITS)
        sites = self.destinations["hi"] >> site
        mine = np.zeros((len(self.own), len(sites)), np.bool_)
        for rows in self.own.T:
            if len(self.sources):
                mine |= (rows >= 0)[:, None] & ((self.sources["hi"][np.maximum(rows, 0)] >> site)[:, None] == sites)
        return announced | (mine & addresses_in(self.destinations, _LOCALLY_ASSIGNED))

    def _looked_up(self, table: PolicyTable) -> tuple[Numbers, Numbers]:
        """Return label and precedence of each destination, as each class sees it."""
        shape = len(self.own), len(self.destinations)
        rows = table.lookup(self.destinations)
        label = np.broadcast_to(np.array([row.label for row in table.rows])[rows], shape)
        precedence = np.broadcast_to(np.array([row.precedence or 0 for row in table.rows])[rows], shape)
        if self.is_local is None:
            return label, precedence
        return np.where(self.is_local, KNOWN_LOCAL[1], label), np.where(self.is_local, KNOWN_LOCAL[0], precedence)

    def _source_labels(self, table: PolicyTable) -> Numbers:
        """Return the label of each source; a ULA of one's own is known to be local."""
        labels = np.array([row.label for row in table.rows])[table.lookup(self.sources)]
        if self.is_local is not None:
            labels[addresses_in(self.sources, _LOCALLY_ASSIGNED)] = KNOWN_LOCAL[1]
        return labels

    def _common_bits(self, row: Numbers) -> Numbers:
        """Return how many leading bits source and destination share, IPv4 as IPv4-mapped."""
        if not len(self.sources):
            return np.zeros(row.shape, np.int64)
        if self.family is IPFamily.IPV4:
            return 128 - _bit_lengths((self.sources[row] ^ self.destinations).astype(np.uint64))
        high = _bit_lengths(self.sources["hi"][row] ^ self.destinations["hi"])
        low = _bit_lengths(self.sources["lo"][row] ^ self.destinations["lo"])
        return np.where(high > 0, 64 - high, 128 - low)

    def _matching_bits(self, row: Numbers) -> Numbers:
        """Return what rule 9 counts."""
        common, counted = self._common_bits(row), self.policy.longest_prefix
        if counted == "128 bits":
            return common
        if self.family is IPFamily.IPV4:
            common = common - 96
            if counted == "64 bits of IPv6":
                return np.zeros_like(common)
            if counted == "subnet":
                return np.where(common >= self.prefix_length, common, 0)
        elif counted == "subnet":
            return common
        return np.minimum(common, 64 if counted == "64 bits of IPv6" else self.prefix_length)


def _of_family(sets: AddressSets, family: IPFamily) -> NDArray[Any]:
    """Return the column of a family, with rows of the other that mean nothing."""
    return sets.ipv6 if family is IPFamily.IPV6 else sets.ipv4


def _encoded(field: str, values: NDArray[Any]) -> Numbers:
    """Put values into their bits of a sort key."""
    return values.astype(np.int64) << _BIT[field]


def _ranks(policy: AddressPolicy, precedence: Numbers) -> Numbers:
    """Return the place of each precedence among those of the policy, the highest 0."""
    known = np.unique([*(row.precedence or 0 for row in policy.table.rows), KNOWN_LOCAL[0]])
    return np.asarray(len(known) - 1 - np.searchsorted(known, precedence))


def _bit_lengths(values: NDArray[np.uint64]) -> Numbers:
    """Return how many bits each value takes; halves of 32 bits are exact as floating point."""
    high = values >> np.uint64(32)
    halves = np.where(high > 0, high, values & np.uint64(0xFFFFFFFF))
    return np.asarray(np.frexp(halves.astype(np.float64))[1] + 32 * (high > 0), np.int64)
