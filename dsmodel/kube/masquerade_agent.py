"""The configuration of ip-masq-agent as data: which destinations keep the Pod's address, per family.

Promises the agent's defaults and the refusals of its own validation. Does not know what the node's other rules do with
the traffic.

Source: ``cmd/ip-masq-agent/ip-masq-agent.go`` of kubernetes-sigs/ip-masq-agent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidCidr
from dsmodel.kube.command_lines import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEFAULT_NON_MASQUERADE_CIDRS", "MasqueradeAgentConfig", "judge_masquerade_agent"]

DEFAULT_NON_MASQUERADE_CIDRS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
DEFAULT_CIDR_LIMIT = 64
_SOURCE = "cmd/ip-masq-agent/ip-masq-agent.go"
_DURATION = re.compile(r"[+-]?(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+|0")


@dataclass(frozen=True)
class MasqueradeAgentConfig:
    """What ip-masq-agent reads from ``/etc/config/ip-masq-agent``.

    Parameters
    ----------
    non_masquerade_cidrs : tuple of str
        ``nonMasqueradeCIDRs``: a list that is there replaces the default, an empty one masquerades everything.
    cidr_limit : int
        ``cidrLimit``: most CIDRs of both families together.
    masq_link_local, masq_link_local_ipv6 : bool
        Whether link-local destinations are masqueraded too.
    resync_interval : str
        ``resyncInterval``, a duration.

    Raises
    ------
    None
        A record; `judge_masquerade_agent` judges it.
    """

    non_masquerade_cidrs: tuple[str, ...] = DEFAULT_NON_MASQUERADE_CIDRS
    cidr_limit: int = DEFAULT_CIDR_LIMIT
    masq_link_local: bool = False
    masq_link_local_ipv6: bool = False
    resync_interval: str = "60s"


def judge_masquerade_agent(config: MasqueradeAgentConfig, *, enable_ipv6: bool = False) -> list[Finding]:
    """Judge a configuration as the agent does, and what it leaves to one's regret.

    Parameters
    ----------
    config : MasqueradeAgentConfig
        What the file says.
    enable_ipv6 : bool
        The agent's flag ``--enable-ipv6``.

    Returns
    -------
    list of Finding
        Fatal where the agent refuses the file and keeps what it had.

    Raises
    ------
    None
        Everything is a finding.

    Notes
    -----
    Source: ``validateCIDR``, ``validateCIDRs`` of ``ip-masq-agent.go``.

    Examples
    --------
    >>> found = judge_masquerade_agent(MasqueradeAgentConfig(("10.0.0.0/8", "fd00::/8")))
    >>> found[0].flag, found[0].severity
    ('nonMasqueradeCIDRs', 'fatal')
    """
    return list(_judged(config, enable_ipv6=enable_ipv6))


def _judged(config: MasqueradeAgentConfig, *, enable_ipv6: bool) -> Iterator[Finding]:
    """Find fault, in the agent's order."""
    listed = config.non_masquerade_cidrs
    if len(listed) > config.cidr_limit:
        words = f"{len(listed)} nonMasqueradeCIDRs, and cidrLimit allows {config.cidr_limit}"
        yield _finding("cidrLimit", "fatal", words, f"set cidrLimit to {len(listed)} or more")
    families = set()
    for text in listed:
        try:
            cidr = Cidr(text, host_bits="mask", syntax="sloppy")
        except InvalidCidr:
            yield _finding("nonMasqueradeCIDRs", "fatal", f"{text!r} is no CIDR", "write address/prefix length")
            continue
        families.add(cidr.family)
        if cidr.family is IPFamily.IPV6 and not enable_ipv6:
            words = f"{text} is IPv6, and the agent runs without --enable-ipv6"
            yield _finding("nonMasqueradeCIDRs", "fatal", words, "start the agent with --enable-ipv6=true, or drop it")
    if not _DURATION.fullmatch(config.resync_interval):
        words = f"resyncInterval {config.resync_interval!r} is no duration"
        yield _finding("resyncInterval", "fatal", words, "write a text such as '60s'")
    if enable_ipv6 and IPFamily.IPV6 not in families and listed:
        words = "no IPv6 CIDR is listed: IPv6 traffic between Pods and to Services is masqueraded too"
        yield _finding("nonMasqueradeCIDRs", "warning", words, "list the IPv6 cluster CIDR and node network")


def _finding(flag: str, severity: str, words: str, fix: str) -> Finding:
    """Find fault with a key of the file."""
    return Finding("ip-masq-agent", flag, "masquerade-agent", severity, words, fix, _SOURCE)
