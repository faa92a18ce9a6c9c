"""ip-masq-agent: the chain it writes from its file and flags, in its order.

Promises: link-local first, then the file's CIDRs of the family in file order, masquerading last; no match on the
source, so host processes are masqueraded too; no IPv6 chain without ``--enable-ipv6``; a file it refuses decides
nothing, because what the agent ran before stays, and a fresh agent has no chain at all.

What it does not know: whether the kernel's iptables can choose ports at random, and old ip6tables rules that stay
when IPv6 is switched off again.

Source: ``cmd/ip-masq-agent/ip-masq-agent.go``, ``pkg/interval/interval.go`` and ``README.md`` of
kubernetes-sigs/ip-masq-agent at e300086 (June 2026).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidConfig
from dsmodel.graph.masquerade.contract import undecided
from dsmodel.graph.rules import LINK_LOCAL, LOCAL, Action, Chain, Rule, blocks, inside, outside
from dsmodel.kube.masquerade_agent import (
    DEFAULT_NON_MASQUERADE_CIDRS,
    MasqueradeAgentConfig,
    judge_masquerade_agent,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dsmodel.cluster.checks.rules import Finding
    from dsmodel.cluster.state import Cluster

__all__ = [
    "RESERVED_CIDRS",
    "MasqueradeAgent",
    "masquerade_agent_config",
    "merge_azure_fragments",
    "read_port_intervals",
]

RESERVED_CIDRS = (
    *DEFAULT_NON_MASQUERADE_CIDRS,
    "100.64.0.0/10",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
)
"""The default list with ``--nomasq-all-reserved-ranges``."""

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")


def read_port_intervals(texts: Iterable[str]) -> tuple[tuple[int, int], ...]:
    """Read ``--to-ports``.

    Parameters
    ----------
    texts : iterable of str
        One a flag; each one or more of ``a-b`` or ``a``, with commas.

    Returns
    -------
    tuple of (int, int)
        Intervals with both ends, in order.

    Raises
    ------
    InvalidConfig
        More than two parts, the first above the last, or no whole number.

    Examples
    --------
    >>> read_port_intervals(["1024-29999,32768-65535", "80"])
    ((1024, 29999), (32768, 65535), (80, 80))
    """
    found = []
    for part in (part.strip() for text in texts for part in text.split(",")):
        ends = part.split("-")
        if len(ends) > 2 or not all(_WHOLE_NUMBER.fullmatch(end) for end in ends):
            raise InvalidConfig(f"--to-ports {part!r} is no interval; write for instance 1024-65535, or one port")
        first, last = int(ends[0]), int(ends[-1])
        if not 0 <= first <= last <= 65535:
            raise InvalidConfig(
                f"--to-ports {part!r} must rise, and end at 65535 at most; write for instance 1024-29999"
            )
        found.append((first, last))
    return tuple(found)


def masquerade_agent_config(
    values: Mapping[str, object] | None, *, nomasq_all_reserved_ranges: bool = False
) -> MasqueradeAgentConfig:
    """Make the configuration from the decoded file as the agent does.

    Parameters
    ----------
    values : mapping of str to object, optional
        Keys of the file; None where there is no file.
    nomasq_all_reserved_ranges : bool, default False
        The flag: a longer list where the file has none. A list in the file takes its place.

    Returns
    -------
    MasqueradeAgentConfig
        A list that is null or empty is an empty one. Keys the agent does not know are passed over.

    Raises
    ------
    InvalidConfig
        A value of a wrong type, which the agent refuses with the whole file.

    Examples
    --------
    >>> masquerade_agent_config({"masqLinkLocal": True}, nomasq_all_reserved_ranges=True).non_masquerade_cidrs[3]
    '100.64.0.0/10'
    >>> masquerade_agent_config({"nonMasqueradeCIDRs": None}).non_masquerade_cidrs
    ()
    """
    values = values or {}
    default = RESERVED_CIDRS if nomasq_all_reserved_ranges else DEFAULT_NON_MASQUERADE_CIDRS
    listed = values.get("nonMasqueradeCIDRs", default) or ()
    if not isinstance(listed, list | tuple) or not all(isinstance(each, str) for each in listed):
        raise InvalidConfig(f"nonMasqueradeCIDRs {listed!r} is no list of text; write one CIDR a line")
    plain = MasqueradeAgentConfig()
    limit = values.get("cidrLimit", plain.cidr_limit)
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise InvalidConfig(f"cidrLimit {limit!r} is no whole number, and one is needed")
    interval = values.get("resyncInterval", plain.resync_interval)
    if not isinstance(interval, str):
        raise InvalidConfig(f"resyncInterval {interval!r} is no text; write a duration such as '60s'")
    switches = {key: values.get(key, False) for key in ("masqLinkLocal", "masqLinkLocalIPv6")}
    for key, value in switches.items():
        if not isinstance(value, bool):
            raise InvalidConfig(f"{key} {value!r} is no boolean; write true or false")
    return MasqueradeAgentConfig(
        tuple(listed), limit, bool(switches["masqLinkLocal"]), bool(switches["masqLinkLocalIPv6"]), interval
    )


@dataclass(frozen=True)
class MasqueradeAgent:
    """ip-masq-agent with its file and flags.

    Parameters
    ----------
    config : MasqueradeAgentConfig, optional
        What its file says; the defaults of an agent without a file where left out. For a longer default list give
        ``masquerade_agent_config(None, nomasq_all_reserved_ranges=True)``.
    enable_ipv6 : bool, default False
        ``--enable-ipv6``.
    to_ports : tuple of (int, int)
        ``--to-ports``, as `read_port_intervals` gives them.
    random_fully : bool, default True
        ``--random-fully``, which takes effect where iptables has it; older agents than v2.10 have no such flag.
    masq_chain : str, default "IP-MASQ-AGENT"
        ``--masq-chain``.
    """

    config: MasqueradeAgentConfig = field(default_factory=MasqueradeAgentConfig)
    enable_ipv6: bool = False
    to_ports: tuple[tuple[int, int], ...] = ()
    random_fully: bool = True
    masq_chain: str = "IP-MASQ-AGENT"

    component = "ip-masq-agent"

    def chains(self, family: IPFamily, cluster: Cluster) -> tuple[Chain, ...]:  # noqa: ARG002 - nothing of it is used
        """Compile file and flags for one family.

        Parameters
        ----------
        family : IPFamily
            Of the packets.
        cluster : Cluster
            Not looked at: the agent knows its file alone.

        Returns
        -------
        tuple of Chain
            One; none for IPv6 without ``--enable-ipv6``.

        Raises
        ------
        None
            A file that is refused makes a chain that cannot say.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> agent = MasqueradeAgent(MasqueradeAgentConfig(("10.244.0.0/16", "fc00::/7")), enable_ipv6=True)
        >>> [rule.name for rule in agent.chains(IPFamily.IPV6, examples.ipv6_first())[0].rules]
        ['not to fe80::/10', 'not to fc00::/7', 'to anywhere else']
        """
        if family is IPFamily.IPV6 and not self.enable_ipv6:
            return ()
        if self._refusals():
            why = "ip-masq-agent refuses its file: the last good one stays in force, and a fresh agent writes no chain"
            return (undecided(self.component, family, why),)
        listed = [cidr for cidr in map(_read, self.config.non_masquerade_cidrs) if cidr.family is family]
        if family is IPFamily.IPV4:
            keeps_link_local = not self.config.masq_link_local
        else:
            keeps_link_local = not self.config.masq_link_local_ipv6
        kept = [LINK_LOCAL[family]] * keeps_link_local + listed
        rules = [
            Rule(name=f"not to {cidr}", action=Action.RETURN, destination=inside(blocks(str(cidr), [cidr])))
            for cidr in kept
        ]
        last = Rule(
            name="to anywhere else",
            action=Action.MASQUERADE,
            ports=self.to_ports,
            random_fully=self.random_fully,
        )
        chain = Chain(
            component=self.component,
            name=self.masq_chain,
            family=family,
            rules=(*rules, last),
            entry=outside(LOCAL),
            comment="ip-masq-agent: ensure nat POSTROUTING directs all non-LOCAL destination traffic to our chain",
        )
        return (chain,)

    def findings(self, cluster: Cluster) -> list[Finding]:
        """Judge the file as the agent does, and what it leaves out of this cluster.

        Parameters
        ----------
        cluster : Cluster
            Its IPv6 cluster CIDRs should be listed.

        Returns
        -------
        list of Finding
            Refusals in the agent's order, then what surprises.

        Raises
        ------
        None
            Everything is a finding.

        Examples
        --------
        >>> from dsmodel.cluster import examples
        >>> agent = MasqueradeAgent(MasqueradeAgentConfig(("10.0.0.1/8",)))
        >>> agent.findings(examples.kubeadm_dual_stack())[0][:2]
        ('error', 'ip-masq-agent-file-refused')
        """
        found: list[Finding] = [
            ("error", "ip-masq-agent-file-refused", "ip-masq-agent", words) for words in self._refusals()
        ]
        if found:
            return found
        pods = [cidr for cidr in cluster.config.cluster_cidrs if cidr.family is IPFamily.IPV6]
        listed = [_read(text) for text in self.config.non_masquerade_cidrs]
        for cidr in pods if self.enable_ipv6 else []:
            if not any(cidr in each for each in listed):
                words = (
                    f"IPv6 traffic between pods is masqueraded: no nonMasqueradeCIDR holds the cluster CIDR {cidr}; "
                    "list it, with the Service and node ranges"
                )
                found.append(("warning", "ip-masq-agent-masquerades-pods", "ip-masq-agent", words))
        if pods and not self.enable_ipv6:
            words = (
                "IPv6 leaves with pod addresses: the agent runs without --enable-ipv6; start it with "
                "--enable-ipv6=true where they are not routed, and list the IPv6 CIDRs of pods, Services and nodes"
            )
            found.append(("info", "ip-masq-agent-without-ipv6", "ip-masq-agent", words))
        return found

    def _refusals(self) -> list[str]:
        """Return why the agent refuses the file, in its order; an IPv4-mapped CIDR breaks its IPv4 rules instead."""
        mapped = [
            f"{text} is IPv4-mapped: the agent takes it for IPv4, iptables refuses it, and neither family is synced; "
            "write it as IPv4"
            for text in self.config.non_masquerade_cidrs
            if _is_mapped(text)
        ]
        judged = judge_masquerade_agent(self.config, enable_ipv6=True if mapped else self.enable_ipv6)
        words = [f"{each.message}; {each.fix}" for each in judged if each.severity == "fatal"]
        misaligned = [
            f"CIDR {text} is not aligned to its prefix length; write {_read(text)}"
            for text in self.config.non_masquerade_cidrs
            if _has_host_bits(text)
        ]
        return list(dict.fromkeys([*words, *misaligned, *mapped]))


def _read(text: str) -> Cidr:
    """Read a CIDR that the judgement has let through."""
    return Cidr(text, host_bits="mask", syntax="sloppy")


def _is_cidr(text: str) -> bool:
    """Tell whether text is a CIDR at all."""
    try:
        _read(text)
    except ValueError:
        return False
    return True


def _has_host_bits(text: str) -> bool:
    """Tell whether bits are set right of the prefix."""
    try:
        Cidr(text, syntax="sloppy")
    except ValueError:
        return _is_cidr(text)
    return False


def _is_mapped(text: str) -> bool:
    """Tell whether a CIDR lies in ::ffff:0:0/96."""
    return _is_cidr(text) and _read(text) in Cidr("::ffff:0.0.0.0/96")


def merge_azure_fragments(fragments: Mapping[str, Mapping[str, object]]) -> MasqueradeAgentConfig | None:
    """Merge the files of AKS as its ip-masq merger does.

    Parameters
    ----------
    fragments : mapping of str to mapping
        Decoded files by name; names that do not start with ``ip-masq`` are passed over.

    Returns
    -------
    MasqueradeAgentConfig or None
        None where no fragment is left: the agent then runs with its defaults. The CIDRs are sorted, where the merger
        gives no order. Fragments that set booleans alone make an empty list, which masquerades everything.

    Raises
    ------
    InvalidConfig
        A fragment with a CIDR that is none or is not aligned: the merger stops, and the old file stays.

    Notes
    -----
    Source: ``azure-ip-masq-merger`` of Azure/azure-container-networking at cbd7560cf: ``cidrLimit`` and
    ``resyncInterval`` are dropped, and no number of CIDRs is too many for it.

    Examples
    --------
    >>> parts = {"ip-masq-a": {"nonMasqueradeCIDRs": ["10.1.0.0/16"]}, "ip-masq-b": {"masqLinkLocal": True}}
    >>> merged = merge_azure_fragments(parts)
    >>> merged.non_masquerade_cidrs, merged.masq_link_local
    (('10.1.0.0/16',), True)
    """
    taken = {name: fragments[name] for name in sorted(fragments) if name.startswith("ip-masq")}
    if not taken:
        return None
    cidrs: set[str] = set()
    link_local = link_local_ipv6 = False
    for name, fragment in taken.items():
        part = masquerade_agent_config({"nonMasqueradeCIDRs": None, **fragment})
        for text in part.non_masquerade_cidrs:
            if not _is_cidr(text) or _has_host_bits(text):
                raise InvalidConfig(f"{name}: {text!r} is no aligned CIDR; the merger stops and the old file stays")
        cidrs.update(part.non_masquerade_cidrs)
        link_local |= part.masq_link_local
        link_local_ipv6 |= part.masq_link_local_ipv6
    ordered = tuple(sorted(cidrs))
    limit = MasqueradeAgentConfig().cidr_limit
    return MasqueradeAgentConfig(ordered, limit, link_local, link_local_ipv6)
