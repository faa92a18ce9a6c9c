"""How destinations are written: an address or name, and behind it a port and its protocol.

``10.0.0.5:30080``, ``[2001:db8::1]:443``, ``10.0.0.5:53/UDP``, ``shop/cart:http``, ``cart.shop.svc:80``: a colon before
the port, brackets around an IPv6 address that has one (RFC 3986 section 3.2.2), and the protocol behind a slash as
``kubectl get services`` prints it. Names may have their kind before them, as kubectl takes it: ``svc/shop/cart``,
``pod/shop/cart-0``, ``node/worker-1``.

What it does not know: which names there are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dsmodel.cluster.schema import PROTOCOLS as CODES
from dsmodel.errors import InvalidInput

__all__ = ["PROTOCOLS", "Spelled", "read_spelling"]

PROTOCOLS: Final = tuple(word for word in CODES.values() if word)
"""Protocols of Service ports."""

_LAST_PORT: Final = 65_535
_FORM: Final = re.compile(
    r"(?:\[(?P<literal>[^\[\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[^:/]*)(?:/(?P<protocol>[^:/]*))?)?"
)
_CLUSTER_NAME: Final = re.compile(r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.[a-z0-9.-]*)?", re.IGNORECASE)
_KINDS: Final = {
    **dict.fromkeys(("svc", "service", "services"), "Service"),
    **dict.fromkeys(("po", "pod", "pods"), "Pod"),
    **dict.fromkeys(("no", "node", "nodes"), "Node"),
}


@dataclass(frozen=True)
class Spelled:
    """One destination as it was written.

    Parameters
    ----------
    host : str
        Address, CIDR, name, or the word "internet"; a name of a Service or pod with its namespace before a slash.
    kind : {"", "Service", "Pod", "Node"}
        What the name is said to be of; empty where it is not said.
    port : int, optional
        Its number.
    port_name : str, default ""
        Its name, where it has no number.
    protocol : {"", "TCP", "UDP", "SCTP"}
        Empty where it is not said.
    """

    host: str
    kind: str = ""
    port: int | None = None
    port_name: str = ""
    protocol: str = ""


def read_spelling(text: str) -> Spelled:
    """Take a destination apart.

    Parameters
    ----------
    text : str
        As a user writes it.

    Returns
    -------
    Spelled
        Its parts; what has no port keeps its text.

    Raises
    ------
    InvalidInput
        A port that is none, or another protocol.

    Examples
    --------
    >>> read_spelling("[2001:db8::1]:443/udp")
    Spelled(host='2001:db8::1', kind='', port=443, port_name='', protocol='UDP')
    >>> read_spelling("svc/shop/cart:http").port_name, read_spelling("cart.shop.svc.cluster.local").host
    ('http', 'shop/cart')
    >>> read_spelling("2001:db8::/32").host
    '2001:db8::/32'
    """
    form = _FORM.fullmatch(text)
    if form is None:  # an IPv6 address or CIDR without brackets: it has colons of its own, and no port
        return Spelled(text)
    host, kind = _named(form["literal"] or form["host"])
    if form["port"] is None:
        return Spelled(host, kind)
    protocol = (form["protocol"] or "").upper()
    if form["protocol"] is not None and protocol not in PROTOCOLS:
        raise InvalidInput(f"destination {text!r}: protocol {form['protocol']!r} is none of {', '.join(PROTOCOLS)}")
    port = form["port"]
    if not port.isdecimal():
        if not port:
            raise InvalidInput(f"destination {text!r} ends where its port should be; write for instance {host}:443")
        return Spelled(host, kind, None, port, protocol)
    if not 0 < int(port) <= _LAST_PORT:
        raise InvalidInput(f"destination {text!r}: ports go from 1 to {_LAST_PORT}")
    return Spelled(host, kind, int(port), "", protocol)


def _named(host: str) -> tuple[str, str]:
    """Read the kind before a name, and the name that cluster DNS gives a Service."""
    if found := _CLUSTER_NAME.fullmatch(host):
        return f"{found[2]}/{found[1]}", "Service"
    kind, _, name = host.partition("/")
    word = _KINDS.get(kind.lower(), "")
    # two parts are namespace and name, whatever the namespace is called; only nodes have no namespace
    if word and (name.count("/") == 1 if word != "Node" else "/" not in name):
        return (name, word) if word != "Node" or name else (host, "")
    return host, ""
