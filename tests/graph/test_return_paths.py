"""Whether answers come back, block by block."""

import pytest

from dsmodel.addresses.registries import SPECIAL_PURPOSE
from dsmodel.addresses.text import parse_mixed
from dsmodel.graph.return_paths import ReturnPath, return_paths


def judged(text, **how):
    mixed = parse_mixed([text])
    return ReturnPath(return_paths(mixed.ipv4 if mixed.is_ipv4[0] else mixed.ipv6, **how)[0])


@pytest.mark.parametrize(
    ("source", "expected", "why"),
    [
        ("8.8.8.8", "GLOBAL", "ordinary"),
        ("2600:1f00::1", "GLOBAL", "ordinary"),
        ("10.0.0.1", "PRIVATE", "RFC 1918"),
        ("100.64.0.1", "PRIVATE", "RFC 6598"),
        ("fd00::1", "PRIVATE", "RFC 4193"),
        ("64:ff9b:1::1", "PRIVATE", "local-use translation"),
        ("169.254.172.5", "ON_LINK", "egress-only addresses of EKS need translation on the node"),
        ("fe80::1", "ON_LINK", "link-local"),
        ("127.0.0.1", "ON_LINK", "loopback"),
        ("192.0.2.1", "NEVER", "documentation"),
        ("2001:db8::1", "NEVER", "documentation"),
        ("3fff::1", "NEVER", "documentation"),
        ("100::1", "NEVER", "discard-only, though routers forward it"),
        ("240.0.0.1", "NEVER", "reserved"),
        ("224.0.0.1", "NEVER", "multicast"),
        ("4000::1", "NEVER", "delegated to nobody"),
        ("192.88.99.1", "NEVER", "terminated"),
        ("2002:808:808::1", "EMBEDDED", "6to4"),
        ("2001::1", "EMBEDDED", "Teredo"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_the_way_back(source, expected, why) -> None:
    found = judged(source)
    assert found.name == expected, why
    assert found.works == (expected == "GLOBAL")
    assert found.words


@pytest.mark.parametrize(
    ("source", "expected", "why"),
    [
        ("10.1.0.1", True, "a peered network routes it back"),
        ("10.2.0.1", False, "not that one"),
        ("fd00:1::1", True, "a ULA of a peer"),
        ("2001:db8::1", False, "documentation is never routed, whatever is claimed"),
        ("169.254.1.1", False, "no router forwards it"),
    ],
)
def test_prefixes_that_the_other_side_routes_back(source, expected, why) -> None:
    returns = ["10.1.0.0/16", "fd00:1::/48", "2001:db8::/32", "169.254.0.0/16"]
    assert judged(source, returns=returns).works == expected, why


def test_no_documentation_block_is_ever_answered() -> None:
    blocks = [block for block in SPECIAL_PURPOSE if "Documentation" in block.name]
    assert len(blocks) == 5
    for block in blocks:
        assert judged(str(block.cidr).split("/")[0], returns=["0.0.0.0/0", "::/0"]) is ReturnPath.NEVER
