"""Numbers of translators, as dated data: who publishes each, in which unit, as of when, and where it stands.

What it does not know: quotas that an account was raised to, and what a provider changed since `Constant.as_of`; AWS
regional NAT gateways, Azure StandardV2 and GCP NAT64 are recent and still moving.

Sources: each row names its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dsmodel.errors import InvalidInput

__all__ = ["AZURE_DEFAULT_PORTS", "CONSTANTS", "Constant", "alarm_ratio", "constant"]


@dataclass(frozen=True)
class Constant:
    """One number of one provider.

    Parameters
    ----------
    provider : str
        "linux", "kube-proxy", "cilium", "aws", "gcp", "azure", "azure-lb".
    name : str
        What is counted.
    value : int or float
        How many.
    unit : str
        Of what.
    as_of : str
        Month in which the source was read.
    source : str
        File or page.

    Raises
    ------
    None
        A record.
    """

    provider: str
    name: str
    value: float
    unit: str
    as_of: str
    source: str


_AS_OF = "2026-08"
_NAT_CORE = "net/netfilter/nf_nat_core.c"
_IP_SYSCTL = "Documentation/networking/ip-sysctl.rst of Linux"
_CONNTRACK_SYSCTL = "Documentation/networking/nf_conntrack-sysctl.rst of Linux"
_KUBE_PROXY = "pkg/proxy/apis/config/v1alpha1/defaults.go of kubernetes/kubernetes"
_CILIUM = "bpf/lib/nat.h and pkg/option/config.go of cilium/cilium"
_AWS = "Amazon VPC user guide, NAT gateway basics"
_AWS_QUOTAS = "Amazon VPC user guide, Amazon VPC quotas"
_AWS_REGIONAL = "Amazon VPC user guide, regional NAT gateways"
_GCP_PORTS = "Google Cloud, Cloud NAT: IP addresses and ports"
_GCP_TIMERS = "Google Cloud, Cloud NAT: tune NAT configuration, timeouts"
_AZURE = "Microsoft Learn, Azure NAT Gateway: resource, source network address translation"
_AZURE_LB = "Microsoft Learn, Azure Load Balancer: outbound connections, default port allocation"


def _rows(provider: str, source: str, *rows: tuple[str, float, str]) -> tuple[Constant, ...]:
    """Read rows of one source."""
    return tuple(Constant(provider, name, value, unit, _AS_OF, source) for name, value, unit in rows)


CONSTANTS: Final = (
    *_rows(
        "linux",
        _NAT_CORE,
        ("ports below 512", 511, "ports"),
        ("ports from 512 to 1023", 424, "ports"),  # 600 to 1023
        ("ports from 1024", 64_512, "ports"),
        ("candidates in the first window", 128, "ports"),
        ("smallest window that is halved", 16, "ports"),
    ),
    *_rows("linux", _CONNTRACK_SYSCTL, ("time wait of conntrack", 120, "s")),
    *_rows("linux", "include/net/tcp.h", ("time wait of sockets", 60, "s")),
    *_rows("linux", _IP_SYSCTL, ("ephemeral ports", 28_232, "ports")),  # 32768 to 60999
    *_rows("linux", "derived: failures stay below 1 in 300,000", ("alarm", 0.95, "ratio")),
    *_rows(
        "kube-proxy",
        _KUBE_PROXY,
        ("conntrack entries per core", 32_768, "entries"),
        ("conntrack entries at least", 131_072, "entries"),
        ("established timeout", 86_400, "s"),
        ("close-wait timeout", 3_600, "s"),
    ),
    *_rows(
        "cilium",
        _CILIUM,
        ("highest node port", 32_767, "port"),
        ("highest port", 65_535, "port"),
        ("tries", 32, "ports"),
        ("tries before garbage collection is asked for", 16, "ports"),
        ("entries of the NAT map", 524_288, "entries"),
        ("NAT map entries a connection", 2, "entries"),
        ("entries of the TCP conntrack map", 524_288, "entries"),
        ("entries of the other conntrack map", 262_144, "entries"),
    ),
    *_rows("cilium", "derived: failures stay near 1 in 100,000", ("alarm", 0.70, "ratio")),
    *_rows(
        "aws",
        _AWS,
        ("connections per address and destination", 55_000, "connections"),
        ("addresses of a NAT gateway", 8, "addresses"),
        ("new connections per address and destination", 900, "connections/s"),
        ("idle timeout", 350, "s"),
    ),
    *_rows("aws", _AWS_QUOTAS, ("addresses by default", 2, "addresses")),
    *_rows("aws", _AWS_REGIONAL, ("addresses of a regional NAT gateway per zone", 32, "addresses")),
    *_rows(
        "gcp",
        _GCP_PORTS,
        ("ports of an address", 64_512, "ports"),
        ("ports per VM, static", 64, "ports"),
        ("ports per VM, dynamic minimum", 32, "ports"),
        ("ports per VM, dynamic maximum", 65_536, "ports"),
        ("ports per VM with an alias range, at least", 1_024, "ports"),
    ),
    *_rows(
        "gcp",
        _GCP_TIMERS,
        ("TCP established timeout", 1_200, "s"),
        ("TCP transitory timeout", 30, "s"),
        ("TCP time wait", 120, "s"),
        ("UDP timeout", 30, "s"),
        ("ICMP timeout", 30, "s"),
    ),
    *_rows(
        "azure",
        _AZURE,
        ("ports of an address", 64_512, "ports"),
        ("addresses", 16, "addresses"),
        ("connections per address and destination", 50_000, "connections"),
        ("connections in total", 2_000_000, "connections"),
        ("reuse after FIN", 65, "s"),
        ("reuse after RST", 16, "s"),
        ("reuse after half-open", 30, "s"),
        ("reuse of UDP", 65, "s"),
        ("idle timeout", 240, "s"),
    ),
    *_rows(
        "azure-lb",
        _AZURE_LB,
        ("ports of a frontend address", 64_000, "ports"),
        ("ports are given in multiples of", 8, "ports"),
        ("instances of a pool", 1_000, "instances"),
    ),
)
"""All of them; `constant` finds one."""

AZURE_DEFAULT_PORTS: Final = ((50, 1_024), (100, 512), (200, 256), (400, 128), (800, 64), (1_000, 32))
"""Instances of a pool up to which Azure Load Balancer gives each so many ports by default."""

_BY_NAME = {(each.provider, each.name): each for each in CONSTANTS}


def constant(provider: str, name: str) -> int:
    """Return a whole number of a provider.

    Parameters
    ----------
    provider, name : str
        As `CONSTANTS` has them.

    Returns
    -------
    int
        The value.

    Raises
    ------
    InvalidInput
        No such row.

    Examples
    --------
    >>> constant("aws", "connections per address and destination")
    55000
    """
    return int(_found(provider, name).value)


def alarm_ratio(provider: str) -> float:
    """Return the fill from which on a provider's pool is worth an alarm.

    Parameters
    ----------
    provider : str
        One with a row "alarm"; for any other that of Linux, which searches as long.

    Returns
    -------
    float
        Ratio of 0 to 1.

    Raises
    ------
    None
        Every provider has one.

    Examples
    --------
    >>> alarm_ratio("cilium"), alarm_ratio("aws")
    (0.7, 0.95)
    """
    return float(_BY_NAME.get((provider, "alarm"), _BY_NAME["linux", "alarm"]).value)


def _found(provider: str, name: str) -> Constant:
    """Look a row up."""
    if (provider, name) not in _BY_NAME:
        known = ", ".join(each.name for each in CONSTANTS if each.provider == provider)
        raise InvalidInput(f"no constant {name!r} of {provider!r}: known are {known or 'no such provider'}")
    return _BY_NAME[provider, name]
