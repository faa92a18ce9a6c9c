"""Which family carries what the first one does not, and after how long."""

import re

import numpy as np
import pytest

from dsmodel.errors import InvalidInput
from dsmodel.graph.selection import CLIENTS, AddressSets, carrying_family, order_destinations

DUAL = ["2600:1f00:1::5", "10.0.1.5"]
SERVER = ["2600:1f00:2::1", "8.8.8.8"]
TWO = ["2600:1f00:2::1", "2600:1f00:2::2", "8.8.8.8"]


def carried(server, *, pod=DUAL, **how):
    return carrying_family(order_destinations(AddressSets.of([pod]), AddressSets.of([server])), **how)


@pytest.mark.parametrize(
    ("server", "how", "connects", "is_ipv6", "delay_ms", "why"),
    [
        (SERVER, {"client": "rfc8305"}, True, True, 0, "both work"),
        (SERVER, {"client": "rfc8305", "ipv6_works": False}, True, False, 250, "connection attempt delay"),
        (SERVER, {"client": "go", "ipv6_works": False}, True, False, 300, "fallback delay of Go"),
        (SERVER, {"client": "curl", "ipv6_works": False}, True, False, 200, "curl's default"),
        (TWO, {"client": "go", "ipv6_works": False}, True, False, 300, "races go on with the other family"),
        (SERVER, {"client": "blocking", "ipv6_works": False}, True, False, 127_000, "a SYN timeout"),
        (TWO, {"client": "blocking", "ipv6_works": False}, True, False, 254_000, "one for each dead address"),
        (TWO, {"client": "blocking", "ipv6_works": False, "rejects": True}, True, False, 0, "unreachable at once"),
        (SERVER, {"client": "blocking", "ipv4_works": False}, True, True, 0, "the dead one is not tried"),
        (["8.8.8.8"], {"client": "blocking", "ipv4_works": False}, False, False, 127_000, "there is no other"),
        (SERVER, {"client": "blocking", "ipv4_works": False, "ipv6_works": False}, False, False, 254_000, "both dead"),
        ([], {"client": "go"}, False, False, 0, "the server has no address"),
    ],
)
def test_who_carries(server, how, connects, is_ipv6, delay_ms, why) -> None:
    found = carried(server, **{"ipv4_works": True, "ipv6_works": True, **how})
    assert (found.connects[0, 0], found.is_ipv6[0, 0], found.delay_ms[0, 0]) == (connects, is_ipv6, delay_ms), why
    assert found.moved[0, 0] == (how.get("ipv6_works") is False and connects), why


def test_a_family_without_a_source_costs_no_time() -> None:
    found = carried(TWO, pod=["10.0.1.5"], client="blocking", ipv4_works=True, ipv6_works=True)
    assert (found.connects[0, 0], found.is_ipv6[0, 0], found.delay_ms[0, 0]) == (True, False, 0)


def test_whole_tables_with_a_verdict_a_pair() -> None:
    order = order_destinations(AddressSets.of([DUAL, ["10.0.1.6"]]), AddressSets.of([SERVER, TWO, ["8.8.8.8"]]))
    works = np.array([[True, False, True], [True, True, False]])
    found = carrying_family(order, ipv4_works=works, ipv6_works=np.array([[False], [True]]))
    assert found.connects.tolist() == [[True, False, True], [True, True, False]]
    assert found.moved.tolist() == [[True, False, False], [False, False, False]]


def test_clients_are_dated_and_sourced() -> None:
    for name, client in CLIENTS.items():
        assert client.name == name
        assert re.fullmatch(r"\d{4}-\d\d", client.as_of)
        assert client.source


def test_an_unknown_client_is_refused() -> None:
    with pytest.raises(InvalidInput, match="client='java': known are rfc8305, go, curl, blocking"):
        carried(SERVER, ipv4_works=True, ipv6_works=True, client="java")
