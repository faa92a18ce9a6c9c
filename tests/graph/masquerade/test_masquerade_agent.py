"""ip-masq-agent: the golden chains, the ports, what it refuses, and what the chains do to flows."""

from typing import Any

import pytest
from masquerade_oracle import INTERNET, NODE, POD, REMOTE, cluster, deciding, flows, seen

from dsmodel import errors
from dsmodel.addresses.cidr import IPFamily
from dsmodel.graph.masquerade import MasqueradeAgent, translate
from dsmodel.graph.masquerade.masquerade_agent import (
    masquerade_agent_config,
    merge_azure_fragments,
    read_port_intervals,
)
from dsmodel.graph.masquerade.rendering import NodeView, render
from dsmodel.graph.rules import Action
from dsmodel.kube.masquerade_agent import MasqueradeAgentConfig

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
CLUSTER = cluster()

LINK_LOCAL_V4, LINK_LOCAL_V6 = "169.254.0.0/16", "fe80::/10"
PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
RESERVED = [
    "100.64.0.0/10",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
]
EMPTY = MasqueradeAgentConfig(())
BOTH = MasqueradeAgentConfig(("10.244.0.0/16", "fc00::/7"))

# cmd/ip-masq-agent/ip-masq-agent_test.go, TestSyncMasqRules and TestSyncMasqRulesIPv6, restated
GOLDEN = [
    ("an empty list keeps link-local alone", EMPTY, V4, [LINK_LOCAL_V4]),
    ("no file keeps the private ranges", masquerade_agent_config(None), V4, [LINK_LOCAL_V4, *PRIVATE]),
    (
        "reserved ranges make the default list longer",
        masquerade_agent_config(None, nomasq_all_reserved_ranges=True),
        V4,
        [LINK_LOCAL_V4, *PRIVATE, *RESERVED],
    ),
    ("a list of both families gives IPv4 its own", BOTH, V4, [LINK_LOCAL_V4, "10.244.0.0/16"]),
    ("an empty list keeps link-local alone in IPv6", EMPTY, V6, [LINK_LOCAL_V6]),
    ("a list of both families gives IPv6 its own", BOTH, V6, [LINK_LOCAL_V6, "fc00::/7"]),
    ("masqLinkLocalIPv6 keeps nothing", MasqueradeAgentConfig((), masq_link_local_ipv6=True), V6, []),
]
# TestWriteMasqRules: flag, intervals, probability of each but the last
TO_PORTS: list[tuple[str, list[str], list[tuple[str, str]]]] = [
    ("default", [], []),
    ("one range", ["1024-65535"], [("1024-65535", "")]),
    (
        "two ranges",
        ["1024-29999", "32768-65535"],
        [("1024-29999", "0.469292562840114"), ("32768-65535", "")],
    ),
    (
        "three ranges",
        ["1024-29999", "32768-49151", "61000-65535"],
        [("1024-29999", "0.5807279140612474"), ("32768-49151", "0.7831739961759082"), ("61000-65535", "")],
    ),
    ("individual ports", ["1024,65535"], [("1024", "0.5"), ("65535", "")]),
]


def lines(agent: MasqueradeAgent, family: IPFamily) -> list[str]:
    text = render(agent.chains(family, CLUSTER), NodeView.of(CLUSTER, 0)).iptables[family]
    return [line for line in text.splitlines() if line.startswith("-A IP-MASQ-AGENT ")]


@pytest.mark.parametrize("ports", TO_PORTS, ids=[row[0] for row in TO_PORTS])
@pytest.mark.parametrize("golden", GOLDEN, ids=[row[0] for row in GOLDEN])
@pytest.mark.parametrize("random_fully", [False, True])
def test_the_golden_chains(golden: Any, ports: Any, *, random_fully: bool) -> None:
    _, config, family, kept = golden
    agent = MasqueradeAgent(config, enable_ipv6=True, to_ports=read_port_intervals(ports[1]), random_fully=random_fully)
    tail = " --random-fully" if random_fully else ""
    expected = [f"-A IP-MASQ-AGENT -d {cidr} -j RETURN" for cidr in kept]
    for protocol in ("tcp", "udp", "sctp") if ports[2] else ():
        for span, chance in ports[2]:
            dice = f" -m statistic --mode random --probability {chance}" if chance else ""
            expected.append(f"-A IP-MASQ-AGENT -p {protocol}{dice} -j MASQUERADE --to-ports {span}{tail}")
    expected.append(f"-A IP-MASQ-AGENT -j MASQUERADE{tail}")
    assert lines(agent, family) == expected


def test_the_chain_is_entered_by_all_that_is_not_local_whatever_its_source() -> None:
    text = render(MasqueradeAgent().chains(V4, CLUSTER), NodeView.of(CLUSTER, 0)).iptables[V4]
    jump = next(line for line in text.splitlines() if line.startswith("-A POSTROUTING"))
    assert jump.endswith("-m addrtype ! --dst-type LOCAL -j IP-MASQ-AGENT")
    assert " -s " not in jump
    other = MasqueradeAgent(masq_chain="IP-MASQ").chains(V4, CLUSTER)[0]
    assert other.name == "IP-MASQ"


# What becomes of a pod's packet, by destination
PRIVATE_V6 = MasqueradeAgentConfig(("fd00:10:244::/56", "fd00:10:96::/112", "fd00:a::/64"))
DECISIONS = [
    ("pod to pod, defaults", MasqueradeAgent(), V4, POD[V4], REMOTE[V4], False),
    ("pod to node, defaults", MasqueradeAgent(), V4, POD[V4], NODE[V4][1], False),
    ("pod to link-local, defaults", MasqueradeAgent(), V4, POD[V4], "169.254.169.254", False),
    ("pod to the Internet, defaults", MasqueradeAgent(), V4, POD[V4], INTERNET[V4], True),
    (
        "a host process to the Internet",
        MasqueradeAgent(),
        V4,
        NODE[V4][0],
        INTERNET[V4],
        True,
    ),
    ("pod to its own node is LOCAL", MasqueradeAgent(EMPTY), V4, POD[V4], NODE[V4][0], False),
    ("pod to another node with an empty list", MasqueradeAgent(EMPTY), V4, POD[V4], NODE[V4][1], True),
    ("no IPv6 without the flag: the Internet sees the pod", MasqueradeAgent(), V6, POD[V6], INTERNET[V6], False),
    ("the flag without IPv6 CIDRs: pod to pod", MasqueradeAgent(enable_ipv6=True), V6, POD[V6], REMOTE[V6], True),
    ("the flag without IPv6 CIDRs: pod to node", MasqueradeAgent(enable_ipv6=True), V6, POD[V6], NODE[V6][1], True),
    ("the flag without IPv6 CIDRs: link-local", MasqueradeAgent(enable_ipv6=True), V6, POD[V6], "fe80::1", False),
    ("the flag and CIDRs: pod to pod", MasqueradeAgent(PRIVATE_V6, enable_ipv6=True), V6, POD[V6], REMOTE[V6], False),
    ("the flag and CIDRs: pod to node", MasqueradeAgent(PRIVATE_V6, enable_ipv6=True), V6, POD[V6], NODE[V6][1], False),
    ("the flag and CIDRs: Internet", MasqueradeAgent(PRIVATE_V6, enable_ipv6=True), V6, POD[V6], INTERNET[V6], True),
    (
        "the flag and CIDRs: other ULA",
        MasqueradeAgent(PRIVATE_V6, enable_ipv6=True),
        V6,
        POD[V6],
        "fd99::1",
        True,
    ),
]


@pytest.mark.parametrize(
    ("reason", "agent", "family", "source", "destination", "translated"), DECISIONS, ids=[row[0] for row in DECISIONS]
)
def test_decisions(
    reason: str, agent: MasqueradeAgent, family: IPFamily, source: str, destination: str, *, translated: bool
) -> None:
    answer = translate([agent], flows(family, [(source, destination)]), CLUSTER)
    assert answer.translated.tolist() == [translated], reason
    assert seen(answer, family) == [NODE[family][0] if translated else source]


def test_the_deciding_rule_is_named() -> None:
    answer = translate([MasqueradeAgent()], flows(V4, [(POD[V4], REMOTE[V4]), (POD[V4], INTERNET[V4])]), CLUSTER)
    assert deciding(answer) == ["ip-masq-agent: not to 10.0.0.0/8", "ip-masq-agent: to anywhere else"]


# TestConfigValidate and the order of validation
REFUSED = [
    ("a word", ("nonsense",), False, ["'nonsense' is no CIDR"]),
    ("a good CIDR and a word", ("10.0.0.0/8", "nonsense"), False, ["'nonsense' is no CIDR"]),
    ("no octet has 256", ("10.256.0.0/16",), False, ["'10.256.0.0/16' is no CIDR"]),
    ("host bits", ("10.0.0.1/8",), False, ["not aligned"]),
    ("IPv6 without the flag", ("fc00::/7",), False, ["without --enable-ipv6"]),
    ("too many, and one bad", (*["10.0.0.0/8"] * 64, "x"), False, ["cidrLimit allows 64", "'x' is no CIDR"]),
    ("IPv4-mapped is taken for IPv4", ("::ffff:10.0.0.0/104",), False, ["IPv4-mapped"]),
]


@pytest.mark.parametrize(("reason", "cidrs", "enable_ipv6", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_the_agent_refuses_decides_nothing(
    reason: str, cidrs: tuple[str, ...], words: list[str], *, enable_ipv6: bool
) -> None:
    agent = MasqueradeAgent(MasqueradeAgentConfig(cidrs), enable_ipv6=enable_ipv6)
    found = agent.findings(CLUSTER)
    assert [each[:2] for each in found] == [("error", "ip-masq-agent-file-refused")] * len(words), reason
    for each, part in zip(found, words, strict=True):
        assert part in each[3]
    answer = translate([agent], flows(V4, [(POD[V4], INTERNET[V4])]), CLUSTER)
    assert (answer.translated.tolist(), answer.has_source.tolist()) == ([False], [False])
    assert deciding(answer)[0].startswith("ip-masq-agent: unknown: ip-masq-agent refuses its file")


@pytest.mark.parametrize("cidrs", [(), ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")])
def test_what_the_agent_takes(cidrs: tuple[str, ...]) -> None:
    assert all(each[0] != "error" for each in MasqueradeAgent(MasqueradeAgentConfig(cidrs)).findings(CLUSTER))


def test_ipv6_switched_on_without_the_cluster_cidr_is_a_finding() -> None:
    found = MasqueradeAgent(enable_ipv6=True).findings(CLUSTER)
    assert [each[1] for each in found] == ["ip-masq-agent-masquerades-pods"]
    assert "fd00:10:244::/56" in found[0][3]
    assert MasqueradeAgent(PRIVATE_V6, enable_ipv6=True).findings(CLUSTER) == []
    assert [each[1] for each in MasqueradeAgent().findings(CLUSTER)] == ["ip-masq-agent-without-ipv6"]


FILES = [
    ("no file", None, False, tuple(PRIVATE)),
    ("keys without a list keep the default", {"masqLinkLocal": True}, False, tuple(PRIVATE)),
    ("null empties the list", {"nonMasqueradeCIDRs": None}, False, ()),
    ("a list takes the place of the default", {"nonMasqueradeCIDRs": ["10.0.0.0/8"]}, False, ("10.0.0.0/8",)),
    ("also of the long one", {"nonMasqueradeCIDRs": PRIVATE}, True, tuple(PRIVATE)),
    ("the flag lengthens the default", {"cidrLimit": 5}, True, (*PRIVATE, *RESERVED)),
    ("unknown keys are passed over", {"nonMasqueradeCidrs": []}, False, tuple(PRIVATE)),
]


@pytest.mark.parametrize(("reason", "values", "reserved", "cidrs"), FILES, ids=[row[0] for row in FILES])
def test_files(reason: str, values: Any, cidrs: tuple[str, ...], *, reserved: bool) -> None:
    assert masquerade_agent_config(values, nomasq_all_reserved_ranges=reserved).non_masquerade_cidrs == cidrs, reason


WRONG_TYPES = [
    {"nonMasqueradeCIDRs": "10.0.0.0/8"},
    {"nonMasqueradeCIDRs": [10]},
    {"cidrLimit": "64"},
    {"cidrLimit": True},
    {"resyncInterval": 60},
    {"masqLinkLocal": "yes"},
]


@pytest.mark.parametrize("values", WRONG_TYPES, ids=str)
def test_files_of_wrong_types(values: dict[str, object]) -> None:
    with pytest.raises(errors.InvalidConfig, match=next(iter(values))):
        masquerade_agent_config(values)


@pytest.mark.parametrize("text", ["1-2-3", "9-1", "a", "1-", "", "70000", "-1"])
def test_intervals_that_are_none(text: str) -> None:
    with pytest.raises(errors.InvalidConfig, match="--to-ports"):
        read_port_intervals([text])


def test_the_azure_merger() -> None:
    parts = {
        "ip-masq-b": {"nonMasqueradeCIDRs": ["10.2.0.0/16", "10.1.0.0/16"], "cidrLimit": 1},
        "ip-masq-a": {"nonMasqueradeCIDRs": ["10.1.0.0/16"], "masqLinkLocalIPv6": True, "resyncInterval": "5s"},
        "other": {"nonMasqueradeCIDRs": ["nonsense"]},
    }
    merged = merge_azure_fragments(parts)
    expected = MasqueradeAgentConfig(("10.1.0.0/16", "10.2.0.0/16"), masq_link_local_ipv6=True)
    assert merged == expected, "limit and interval are dropped, booleans or-ed"
    assert merge_azure_fragments({"other": {}}) is None
    only_boolean = merge_azure_fragments({"ip-masq": {"masqLinkLocal": True}})
    assert only_boolean is not None
    assert only_boolean.non_masquerade_cidrs == (), "which the agent reads as: masquerade everything"
    for bad in ("10.0.0.1/8", "nonsense"):
        with pytest.raises(errors.InvalidConfig, match="the merger stops"):
            merge_azure_fragments({"ip-masq": {"nonMasqueradeCIDRs": [bad]}})


def test_every_rule_but_the_last_returns() -> None:
    rules = MasqueradeAgent().chains(V4, CLUSTER)[0].rules
    assert [rule.action for rule in rules] == [Action.RETURN] * 4 + [Action.MASQUERADE]
