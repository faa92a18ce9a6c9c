"""What every CNI plugin reads and prints, whatever addresses it chooses: versions, CNI_ARGS, and the result's shape.

Promises the answers of the plugin skeleton of CNI 1.1, which host-local and the other reference plugins are built on.
Does not know the ``prevResult`` of chained plugins, interfaces, or DNS settings read from a file on the host.

Sources: ``pkg/skel/skel.go``, ``pkg/types/args.go``, ``pkg/types/020``, ``040`` and ``100`` of
containernetworking/cni v1.1; recordings of host-local 1.1.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsmodel.addresses.cidr import IPFamily, format_address, parse_address
from dsmodel.errors import CNIError, InvalidAddress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Address", "AddressConfig", "check_caller", "check_version", "read_args", "read_ip", "render_result"]

Address = tuple[IPFamily, int]

# CNI error codes, CNI specification 1.0.0 section 5
_INCOMPATIBLE_VERSION = 1
_INVALID_ENVIRONMENT = 4
_INVALID_CONFIG = 7
_INTERNAL = 999

_SUPPORTED = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
_LONGEST_INTERFACE = 15  # IFNAMSIZ of Linux without the terminating zero
_TRUE = {"1", "true"}
_FALSE = {"0", "false"}


@dataclass(frozen=True)
class AddressConfig:
    """One address of a result: value, prefix length of its subnet, gateway."""

    address: Address
    prefix_length: int
    gateway: Address

    @property
    def is_ipv6(self) -> bool:
        """Whether the address is an IPv6 address.

        Raises
        ------
        None
            Every address has a family.
        """
        return self.address[0] is IPFamily.IPV6

    def texts(self) -> dict[str, str]:
        """Return address with prefix length, and gateway, as results carry them.

        Returns
        -------
        dict of str to str
            ``address`` and ``gateway``.

        Raises
        ------
        None
            Every address has a text.

        Examples
        --------
        >>> AddressConfig((IPFamily.IPV4, 0x0A010002), 24, (IPFamily.IPV4, 0x0A010001)).texts()
        {'address': '10.1.0.2/24', 'gateway': '10.1.0.1'}
        """
        return {
            "address": f"{format_address(*self.address)}/{self.prefix_length}",
            "gateway": format_address(*self.gateway),
        }


def check_version(network: Mapping[str, Any], *, command: str) -> str:
    """Return the CNI version a configuration asks for, where the plugin speaks it.

    Parameters
    ----------
    network : mapping
        The network configuration.
    command : {"ADD", "DEL", "CHECK"}
        The CNI command; CHECK exists since 0.4.0.

    Returns
    -------
    str
        ``cniVersion`` as written; empty where it is missing, which stands for 0.1.0.

    Raises
    ------
    CNIError
        Code 1: the plugin does not speak the version, or the version has no such command.

    Notes
    -----
    Source: ``checkVersionAndCall`` of ``pkg/skel/skel.go``.

    Examples
    --------
    >>> check_version({"cniVersion": "0.4.0"}, command="CHECK")
    '0.4.0'
    """
    version = str(network.get("cniVersion") or "")
    effective = version or "0.1.0"
    if command == "CHECK" and _numbers(effective) < (0, 4, 0):
        raise CNIError("config version does not allow CHECK", code=_INCOMPATIBLE_VERSION)
    if effective not in _SUPPORTED:
        known = " ".join(_quoted(each) for each in _SUPPORTED)
        error = CNIError("incompatible CNI versions", code=_INCOMPATIBLE_VERSION)
        error.add_note(f'config is "{version}", plugin supports [{known}]')
        raise error
    return version


def check_caller(network: Mapping[str, Any], container_id: str, ifname: str) -> None:
    """Refuse what the plugin skeleton refuses before any plugin runs.

    Parameters
    ----------
    network : mapping
        The network configuration.
    container_id, ifname : str
        CNI_CONTAINERID and CNI_IFNAME.

    Raises
    ------
    CNIError
        Code 7: the network has no name or one that is no file name. Code 4: the same for container and interface.

    Notes
    -----
    Source: ``validateConfig`` of ``pkg/skel/skel.go``, ``pkg/utils/utils.go``.

    Examples
    --------
    >>> check_caller({"name": "cbr0"}, "web-0", "eth0")
    """
    name = str(network.get("name") or "")
    if not name:
        raise CNIError("missing network name", code=_INVALID_CONFIG)
    if not _NAME.fullmatch(name):
        raise CNIError("invalid characters found in network name", code=_INVALID_CONFIG)
    if not container_id:
        raise CNIError("missing containerID", code=_INVALID_ENVIRONMENT)
    if not _NAME.fullmatch(container_id):
        raise CNIError("invalid characters in containerID", code=_INVALID_ENVIRONMENT)
    if not ifname:
        raise CNIError("interface name is empty", code=_INVALID_ENVIRONMENT)
    if len(ifname) > _LONGEST_INTERFACE:
        raise CNIError("interface name is too long", code=_INVALID_ENVIRONMENT)
    if ifname in {".", ".."}:
        raise CNIError("interface name is . or ..", code=_INVALID_ENVIRONMENT)
    if any(letter in "/:" or letter.isspace() for letter in ifname):
        raise CNIError("interface name contains / or : or whitespace characters", code=_INVALID_ENVIRONMENT)


def read_args(args: str) -> Address | None:
    """Return the address that CNI_ARGS asks for.

    Parameters
    ----------
    args : str
        ``KEY=value`` pairs with semicolons, as in ``IgnoreUnknown=1;IP=10.1.0.50``.

    Returns
    -------
    tuple of (IPFamily, int) or None
        None where no ``IP`` is named.

    Raises
    ------
    CNIError
        Code 999: no pair, an unknown key without ``IgnoreUnknown``, or a value that does not parse.

    Notes
    -----
    Source: ``LoadArgs`` of ``pkg/types/args.go``.

    Examples
    --------
    >>> read_args("IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.1.0.50")
    (<IPFamily.IPV4: 'IPv4'>, 167837746)
    """
    if not args:
        return None
    wanted: Address | None = None
    ignore_unknown = False
    unknown = []
    for pair in args.split(";"):
        key, separator, value = pair.partition("=")
        if not separator or "=" in value:
            raise CNIError(f"ARGS: invalid pair {_quoted(pair)}", code=_INTERNAL)
        if key == "IP":
            wanted = _read_pair(pair, value)
        elif key == "IgnoreUnknown":
            ignore_unknown = _read_flag(pair, value)
        else:
            unknown.append(pair)
    if unknown and not ignore_unknown:
        raise CNIError(f"ARGS: unknown args [{' '.join(map(_quoted, unknown))}]", code=_INTERNAL)
    return wanted


def read_ip(text: object) -> Address:
    """Read an address as the plugins do: IPv4-mapped text is IPv4, a prefix length behind it is dropped.

    Parameters
    ----------
    text : object
        What the JSON holds there.

    Returns
    -------
    tuple of (IPFamily, int)
        Family and value.

    Raises
    ------
    CNIError
        Code 999: not an address.

    Notes
    -----
    Source: ``ParseIP`` of ``pkg/ip/ip.go`` of containernetworking/plugins.

    Examples
    --------
    >>> read_ip("10.1.0.50/24")
    (<IPFamily.IPV4: 'IPv4'>, 167837746)
    """
    whole = str(text)
    address, slash, length = whole.partition("/")
    try:
        family, value = parse_address(address)
    except InvalidAddress:
        raise CNIError(f"invalid IP address {whole}", code=_INTERNAL) from None
    if slash and not (length.isascii() and length.isdigit() and int(length) <= family.bits):
        raise CNIError(f"invalid IP address {whole}", code=_INTERNAL)
    if family is IPFamily.IPV6 and value >> 32 == 0xFFFF:
        return IPFamily.IPV4, value & 0xFFFFFFFF
    return family, value


def render_result(
    addresses: Sequence[AddressConfig], *, version: str, routes: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Write a result in the shape its CNI version has.

    Parameters
    ----------
    addresses : sequence of AddressConfig
        In order of the range sets.
    version : str
        ``cniVersion`` of the configuration; empty stands for 0.1.0.
    routes : sequence of mapping
        The configuration's routes, ``dst`` and optionally ``gw``.

    Returns
    -------
    dict
        ``ip4``/``ip6`` up to 0.2.0 (the first address of each family), ``ips`` with ``version`` up to 0.4.0, ``ips``
        without it since 1.0.0.

    Raises
    ------
    None
        Every version `check_version` lets pass has a shape.

    Examples
    --------
    >>> address = AddressConfig((IPFamily.IPV4, 0x0A010002), 24, (IPFamily.IPV4, 0x0A010001))
    >>> render_result([address], version="1.0.0")
    {'cniVersion': '1.0.0', 'ips': [{'address': '10.1.0.2/24', 'gateway': '10.1.0.1'}], 'dns': {}}
    """
    version = version or "0.1.0"
    if _numbers(version) < (0, 3, 0):
        return {"cniVersion": version, **_by_family(addresses, routes), "dns": {}}
    tagged = _numbers(version) < (1, 0, 0)
    ips = [{**({"version": "6" if each.is_ipv6 else "4"} if tagged else {}), **each.texts()} for each in addresses]
    shown = {"routes": [dict(route) for route in routes]} if routes else {}
    return {"cniVersion": version, "ips": ips, **shown, "dns": {}}


def _by_family(addresses: Sequence[AddressConfig], routes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Write the result of CNI 0.2.0: one address a family, each with the routes of its family."""
    result: dict[str, Any] = {}
    for each in addresses:
        texts = each.texts()
        own = [dict(route) for route in routes if (":" in str(route.get("dst"))) == each.is_ipv6]
        shown = {"ip": texts["address"], "gateway": texts["gateway"], **({"routes": own} if own else {})}
        result.setdefault("ip6" if each.is_ipv6 else "ip4", shown)
    return dict(sorted(result.items()))


def _read_pair(pair: str, value: str) -> Address:
    """Read the address of one CNI_ARGS pair, quoting the pair where it is none."""
    try:
        return read_ip(value)
    except CNIError as error:
        raise CNIError(f"ARGS: error parsing value of pair {_quoted(pair)}: {error.msg}", code=_INTERNAL) from None


def _read_flag(pair: str, value: str) -> bool:
    """Read a boolean of CNI_ARGS."""
    if value.lower() not in _TRUE | _FALSE:
        raise CNIError(
            f"ARGS: error parsing value of pair {_quoted(pair)}: boolean unmarshal error: invalid input {value}",
            code=_INTERNAL,
        )
    return value.lower() in _TRUE


def _numbers(version: str) -> tuple[int, ...]:
    """Read a version as numbers; text that is no version sorts first."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (0,)


def _quoted(text: str) -> str:
    """Quote text as Go's %q does for printable text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
