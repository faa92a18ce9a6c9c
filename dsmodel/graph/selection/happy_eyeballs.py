"""Which family carries a connection where the first one is dead, and how much later.

Promises: for clients that race the families (RFC 8305) and clients that do not, the family that connects in the end and
the time lost before, over every pair of `Order` at once. The load moves with it: a dead family's connections spend the
other family's SNAT ports.

What it does not know: how long a handshake takes, and clients that remember which family worked.

Sources: those of `CLIENTS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dsmodel.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from dsmodel.graph.selection.order import Order

    Marks = NDArray[np.bool_]

__all__ = ["CLIENTS", "Carried", "Client", "carrying_family"]


@dataclass(frozen=True)
class Client:
    """How a client goes on to the next address.

    Parameters
    ----------
    name : str
        What `CLIENTS` calls it.
    delay_ms : int
        Milliseconds after which it tries the next one.
    races : bool
        Whether the next one is of the other family, and both attempts go on.
    as_of : str
        Month in which the source was published, or read where it keeps changing.
    source : str
        Where it stands.

    Raises
    ------
    None
        A record.
    """

    name: str
    delay_ms: int
    races: bool
    as_of: str
    source: str


CLIENTS: Final = {
    client.name: client
    for client in (
        Client(
            "rfc8305",
            250,
            races=True,
            as_of="2017-12",
            source="RFC 8305 sections 5 and 8: Connection Attempt Delay 250 ms, 100 ms or more recommended, 10 ms at "
            "least, 2 s at most; First Address Family Count 1",
        ),
        Client("go", 300, races=True, as_of="2026-08", source="net.Dialer.FallbackDelay of Go"),
        Client("curl", 200, races=True, as_of="2026-08", source="curl(1), --happy-eyeballs-timeout-ms"),
        Client(
            "blocking",
            127_000,
            races=False,
            as_of="2026-08",
            source="tcp_syn_retries 6 of Linux' ip-sysctl: 1 + 2 + 4 + 8 + 16 + 32 + 64 s; 131 s with the linear "
            "timeouts of 6.5",
        ),
    )
}


@dataclass(frozen=True, eq=False)
class Carried:
    """What carries the connections of each pair of pod class and server.

    Parameters
    ----------
    connects : ndarray of bool, shape (classes, servers)
        Whether any family does.
    is_ipv6 : ndarray of bool, shape (classes, servers)
        Whether IPv6 does.
    delay_ms : ndarray of int64, shape (classes, servers)
        Time lost before the attempt that connects; for pairs that never connect, before the last address is given up.
    moved : ndarray of bool, shape (classes, servers)
        Whether it is not the family that is tried first: its load is on the other family's SNAT ports.

    Raises
    ------
    None
        `carrying_family` makes it.
    """

    connects: Marks
    is_ipv6: Marks
    delay_ms: NDArray[np.int64]
    moved: Marks


def carrying_family(
    order: Order, *, ipv4_works: ArrayLike, ipv6_works: ArrayLike, client: str = "rfc8305", rejects: bool = False
) -> Carried:
    """Say which family carries each pair, and how much later than an attempt that works at once.

    Parameters
    ----------
    order : Order
        What is tried first.
    ipv4_works, ipv6_works : array_like of bool
        Whether the family works from a class to a server; broadcast to (classes, servers).
    client : {"rfc8305", "go", "curl", "blocking"}
        How the client goes on.
    rejects : bool
        Whether dead destinations are rejected at once (ICMP, TCP reset), not silent.

    Returns
    -------
    Carried
        A family works only where the server has an address of it and the class a source.

    Raises
    ------
    InvalidInput
        An unknown client.

    Examples
    --------
    >>> from dsmodel.graph.selection import AddressSets, order_destinations
    >>> order = order_destinations(AddressSets.of([["2600:1f00::5", "10.0.1.5"]]),
    ...                            AddressSets.of([["2600:1f00:2::1", "8.8.8.8"]]))
    >>> found = carrying_family(order, ipv4_works=True, ipv6_works=False, client="go")
    >>> bool(found.is_ipv6[0, 0]), int(found.delay_ms[0, 0])
    (False, 300)
    """
    if client not in CLIENTS:
        raise InvalidInput(f"client={client!r}: known are {', '.join(CLIENTS)}")
    how = CLIENTS[client]
    given = order.destination >= 0
    is_ipv6 = np.append(order.servers.is_ipv6, False)[order.destination] & given
    works = np.where(is_ipv6, np.asarray(ipv6_works)[..., None], np.asarray(ipv4_works)[..., None])
    works = works & (order.source >= 0)
    connects = np.asarray(works.any(axis=-1))
    at = np.where(connects, works.argmax(axis=-1), np.maximum(given.sum(axis=-1) - 1, 0))
    carried = np.take_along_axis(is_ipv6, at[..., None], axis=-1)[..., 0] & connects
    moved = connects & (carried != is_ipv6[..., 0])
    # an address without a source fails at once, on the pod itself
    silent = given & (order.source >= 0) & ~works
    before = np.arange(given.shape[-1]) < at[..., None]
    waits = (silent & before).sum(axis=-1)
    if how.races:
        waits = np.minimum(waits, 1)
    elif not rejects:
        waits = waits + (~connects & np.take_along_axis(silent, at[..., None], axis=-1)[..., 0])
    return Carried(connects, np.asarray(carried), waits * (0 if rejects else how.delay_ms), np.asarray(moved))
