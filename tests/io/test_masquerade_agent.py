"""ip-masq-agent's configuration as data."""

from __future__ import annotations

import io

import pytest

from dsmodel.errors import InvalidConfig
from dsmodel.io.masquerade_agent import read_masquerade_agent
from dsmodel.kube.masquerade_agent import (
    DEFAULT_NON_MASQUERADE_CIDRS,
    MasqueradeAgentConfig,
    judge_masquerade_agent,
)


def read(text: str) -> MasqueradeAgentConfig:
    return read_masquerade_agent(io.StringIO(text))


@pytest.mark.parametrize(
    ("text", "cidrs"),
    [
        ("", DEFAULT_NON_MASQUERADE_CIDRS),
        ("resyncInterval: 30s", DEFAULT_NON_MASQUERADE_CIDRS),
        ("nonMasqueradeCIDRs: [fd00::/8]", ("fd00::/8",)),
        ("nonMasqueradeCIDRs: []", ()),
        ("nonMasqueradeCIDRs:", ()),
        ('{"nonMasqueradeCIDRs": ["10.0.0.0/8"], "unknown": 1}', ("10.0.0.0/8",)),
        ("kind: ConfigMap\ndata:\n  config: |\n    nonMasqueradeCIDRs: [10.0.0.0/8]\n", ("10.0.0.0/8",)),
    ],
)
def test_a_list_replaces_the_default(text: str, cidrs: tuple[str, ...]) -> None:
    assert read(text).non_masquerade_cidrs == cidrs


def test_every_key() -> None:
    text = "masqLinkLocal: true\nmasqLinkLocalIPv6: true\ncidrLimit: 3\nresyncInterval: 1m30s"
    assert read(text) == MasqueradeAgentConfig(DEFAULT_NON_MASQUERADE_CIDRS, 3, True, True, "1m30s")
    assert judge_masquerade_agent(read(text)) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cidrLimit: many", "line 1, cidrLimit: is no whole number"),
        ("masqLinkLocal: 1", "line 1, masqLinkLocal: is a number, and true or false"),
        ("resyncInterval: 60", "quote it"),
        ("nonMasqueradeCIDRs: 10.0.0.0/8", "a list is needed"),
        ("kind: ConfigMap", "has no key config"),
    ],
)
def test_wrong_types_are_named(text: str, words: str) -> None:
    with pytest.raises(InvalidConfig, match=words):
        read(text)


@pytest.mark.parametrize(
    ("text", "enable_ipv6", "flags"),
    [
        ("nonMasqueradeCIDRs: [10.0.0.0/8, fd00::/8]", False, ["nonMasqueradeCIDRs"]),
        ("nonMasqueradeCIDRs: [10.0.0.0/8, fd00::/8]", True, []),
        ("nonMasqueradeCIDRs: [10.0.0.0/8]", True, ["nonMasqueradeCIDRs"]),
        ("nonMasqueradeCIDRs: []", True, []),
        ("nonMasqueradeCIDRs: [ten]", False, ["nonMasqueradeCIDRs"]),
        ("cidrLimit: 0", False, ["cidrLimit"]),
        ("resyncInterval: soon", False, ["resyncInterval"]),
    ],
)
def test_what_the_agent_refuses(text: str, enable_ipv6: bool, flags: list[str]) -> None:  # noqa: FBT001 - a table
    found = judge_masquerade_agent(read(text), enable_ipv6=enable_ipv6)
    assert [finding.flag for finding in found] == flags
    assert all(finding.fix for finding in found)
