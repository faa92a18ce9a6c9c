"""Destinations as users write them: hosts, ports, protocols and kinds."""

import pytest

from dsmodel.errors import InvalidInput
from dsmodel.graph.paths.spelling import Spelled, read_spelling

SPELLINGS = [
    ("internet", Spelled("internet"), "a word"),
    ("internet:443", Spelled("internet", port=443), "with a port"),
    ("10.0.0.5", Spelled("10.0.0.5"), "an address alone"),
    ("10.0.0.5:30080", Spelled("10.0.0.5", port=30080), "a node port"),
    ("10.0.0.5:53/udp", Spelled("10.0.0.5", port=53, protocol="UDP"), "a protocol in any case, as kubectl prints it"),
    ("10.0.0.0/8", Spelled("10.0.0.0/8"), "a block, whose slash is no protocol's"),
    ("2001:db8::1", Spelled("2001:db8::1"), "colons of an IPv6 address are no port's"),
    ("2001:db8::1:443", Spelled("2001:db8::1:443"), "nor is its last group"),
    ("[2001:db8::1]:443", Spelled("2001:db8::1", port=443), "brackets, as in a URL"),
    ("[2001:db8::1]", Spelled("2001:db8::1"), "brackets without a port"),
    ("[2001:db8::1]:443/SCTP", Spelled("2001:db8::1", port=443, protocol="SCTP"), "and a protocol"),
    ("2001:db8::/32", Spelled("2001:db8::/32"), "an IPv6 block"),
    ("shop/cart", Spelled("shop/cart"), "a name"),
    ("shop/cart:http", Spelled("shop/cart", port_name="http"), "a port by name"),
    ("svc/shop/cart:80", Spelled("shop/cart", "Service", 80), "a kind before it"),
    ("pods/shop/cart-0", Spelled("shop/cart-0", "Pod"), "kinds as kubectl takes them"),
    ("node/worker-1:30080", Spelled("worker-1", "Node", 30080), "a node has no namespace"),
    ("svc/cart", Spelled("svc/cart"), "two parts are namespace and name, whatever the namespace is called"),
    ("cart.shop.svc:80", Spelled("shop/cart", "Service", 80), "the name cluster DNS gives it"),
    ("cart.shop.svc.cluster.local", Spelled("shop/cart", "Service"), "in full"),
    ("db.example:5432", Spelled("db.example", port=5432), "some other name"),
]


@pytest.mark.parametrize(("text", "expected", "why"), SPELLINGS, ids=[row[0] for row in SPELLINGS])
def test_spellings(text, expected, why):
    assert read_spelling(text) == expected, why


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10.0.0.5:", "ends where its port should be; write for instance 10.0.0.5:443"),
        ("10.0.0.5:0", "ports go from 1 to 65535"),
        ("10.0.0.5:65536", "ports go from 1 to 65535"),
        ("10.0.0.5:80/icmp", "protocol 'icmp' is none of TCP, UDP, SCTP"),
    ],
)
def test_what_is_no_port_is_refused(text, message):
    with pytest.raises(InvalidInput, match=message):
        read_spelling(text)
