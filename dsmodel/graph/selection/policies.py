"""What orders destinations in an image, and what chooses sources under it: policies of the field, as data.

Promises: for the RFC, its update draft, glibc, musl and Go, the policy table and each place where the implementation
does something else than RFC 6724 section 6.

- In Linux the kernel chooses sources, with its own labels, whatever the image's C library is. With "rfc6724" and
  "draft-rfc6724-update" the host is taken to follow the document in both.
- musl does not know that 169.254.0.0/16 has link-local scope, so addresses that clouds hand out for one way only
  (169.254.172.0/22 on EKS) do not lose by rule 2 there.
- glibc orders by RFC 3484's precedences, with labels of its own: a ULA destination is worth as much as a global one.

What it does not know: an image's ``/etc/gai.conf``; a caller passes it as `AddressPolicy` with its own table.

Sources: RFC 6724 sections 3 to 6; draft-ietf-6man-rfc6724-update; ``rfc3484_sort`` of glibc's ``nss/getaddrinfo.c``;
``src/network/lookup_name.c`` of musl 1.2; ``src/net/addrselect.go`` of Go; ``net/ipv6/addrlabel.c`` of Linux.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from dsmodel.addresses.registries import POLICY_TABLES, PolicyTable
from dsmodel.errors import InvalidInput

__all__ = ["DESTINATION_RULES", "POLICIES", "AddressPolicy", "policy_of"]

DESTINATION_RULES: Final = {  # RFC 6724 section 6; 0 is ours
    0: "only candidate",
    1: "avoid unusable destinations",
    2: "prefer matching scope",
    3: "avoid deprecated addresses",
    4: "prefer home addresses",
    5: "prefer matching label",
    6: "prefer higher precedence",
    7: "prefer native transport",
    8: "prefer smaller scope",
    9: "use longest matching prefix",
    10: "leave the order unchanged",
}


@dataclass(frozen=True, kw_only=True)
class AddressPolicy:
    """What orders destinations in an image, and what chooses sources under it.

    Parameters
    ----------
    table : PolicyTable
        Labels and precedences of destinations.
    source_table : PolicyTable
        Labels in source selection.
    knows_local : bool, default False
        Whether ULA prefixes that are known to be local get a row of their own.
    ipv4_is_global : bool, default False
        Whether every IPv4 address counts as of global scope.
    orders_unusable : bool, default True
        Whether rules 6 and 8 order destinations that have no source.
    orders_ipv4_alone : bool, default True
        Whether an answer without any IPv6 address is ordered at all.
    longest_prefix : {"source prefix", "subnet", "128 bits", "64 bits of IPv6"}
        What rule 9 counts: common bits up to the source's prefix length; all of IPv6, and of IPv4 only inside the
        source's subnet; all; the upper half of IPv6.

    Raises
    ------
    InvalidInput
        A destination table without precedences, such as the kernel's.

    Examples
    --------
    >>> POLICIES["glibc"].source_table.name
    'linux'
    """

    table: PolicyTable
    source_table: PolicyTable
    knows_local: bool = False
    ipv4_is_global: bool = False
    orders_unusable: bool = True
    orders_ipv4_alone: bool = True
    longest_prefix: Literal["source prefix", "subnet", "128 bits", "64 bits of IPv6"] = "source prefix"

    def __post_init__(self) -> None:
        """Refuse a table that orders nothing."""
        if any(row.precedence is None for row in self.table.rows):
            raise InvalidInput(
                f"policy table {self.table.name!r} has no precedences; it can be a source_table, "
                f"and table one of {', '.join(name for name in POLICY_TABLES if name != 'linux')}"
            )


_LINUX = POLICY_TABLES["linux"]
POLICIES: Final = {
    "rfc6724": AddressPolicy(table=POLICY_TABLES["rfc6724"], source_table=POLICY_TABLES["rfc6724"]),
    "draft-rfc6724-update": AddressPolicy(
        table=POLICY_TABLES["draft-rfc6724-update"],
        source_table=POLICY_TABLES["draft-rfc6724-update"],
        knows_local=True,
    ),
    "glibc": AddressPolicy(table=POLICY_TABLES["glibc"], source_table=_LINUX, longest_prefix="subnet"),
    "musl": AddressPolicy(  # rules 3, 4 and 7 are left out
        table=POLICY_TABLES["musl"],
        source_table=_LINUX,
        ipv4_is_global=True,
        orders_ipv4_alone=False,
        longest_prefix="128 bits",
    ),
    "go": AddressPolicy(  # rules 3, 4 and 7 are left out
        table=POLICY_TABLES["go"], source_table=_LINUX, orders_unusable=False, longest_prefix="64 bits of IPv6"
    ),
}


def policy_of(policy: str | AddressPolicy) -> AddressPolicy:
    """Return the policy of a name.

    Parameters
    ----------
    policy : str or AddressPolicy
        Name in `POLICIES`, or a policy, which is returned as it is.

    Returns
    -------
    AddressPolicy
        The policy.

    Raises
    ------
    InvalidInput
        No such name.

    Examples
    --------
    >>> policy_of("musl").ipv4_is_global
    True
    """
    if isinstance(policy, AddressPolicy):
        return policy
    if policy not in POLICIES:
        raise InvalidInput(f"policy={policy!r}: known are {', '.join(POLICIES)}; or pass an AddressPolicy")
    return POLICIES[policy]
