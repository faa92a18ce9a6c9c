"""The rule model refuses what no kernel has, and decides as a slow walk of the chains does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from masquerade_oracle import (
    CLUSTER_CIDR,
    INTERNET,
    NEIGHBOUR,
    NODE,
    POD,
    REMOTE,
    Packet,
    cluster,
    deciding,
    flows,
    seen,
    walk,
)

from dsmodel import errors
from dsmodel.addresses.cidr import IPFamily, format_address, parse_address
from dsmodel.graph.masquerade.evaluation import NODE_UNKNOWN, decide
from dsmodel.graph.rules import (
    LINK_LOCAL,
    LOCAL,
    MULTICAST,
    NODE_ADDRESSES,
    OWN_POD_CIDR,
    OWN_PODS,
    POD_CIDRS,
    Action,
    Backend,
    Chain,
    Device,
    Match,
    Rule,
    blocks,
    inside,
    outside,
)

CLUSTER = cluster()
FIXED = [
    blocks("cluster", CLUSTER_CIDR.values()),
    blocks("private", ["10.0.0.0/8", "172.16.0.0/12", "fc00::/7"]),
    blocks("everything", ["0.0.0.0/0", "::/0"]),
    blocks("nothing", []),
    blocks("multicast", MULTICAST.values()),
    blocks("link-local", LINK_LOCAL.values()),
]
NODE_SETS = [LOCAL, NODE_ADDRESSES, OWN_POD_CIDR, POD_CIDRS]
ADDRESSES = {
    family: [
        POD[family],
        NEIGHBOUR[family],
        REMOTE[family],
        *NODE[family],
        INTERNET[family],
        *extra,
    ]
    for family, extra in (
        (IPFamily.IPV4, ["127.0.0.1", "169.254.1.1", "224.0.0.1", "172.20.0.1", "0.0.0.7", "255.255.255.255"]),
        (IPFamily.IPV6, ["::1", "fe80::1", "ff02::1", "fd12::1", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]),
    )
}


@st.composite
def rule_of(draw: st.DrawFn, family: IPFamily) -> Rule:
    """Any rule, with up to two matches a side."""
    source_sets, destination_sets = st.sampled_from([*FIXED, *NODE_SETS, OWN_PODS]), st.sampled_from(FIXED + NODE_SETS)
    action = draw(st.sampled_from([*Action]))
    return Rule(
        name=draw(st.sampled_from(["", "a", "b", "c"])),
        action=action,
        source=tuple(draw(st.lists(st.builds(Match, source_sets, st.booleans()), max_size=2))),
        destination=tuple(draw(st.lists(st.builds(Match, destination_sets, st.booleans()), max_size=2))),
        marked=draw(st.sampled_from([None, None, True, False])),
        host=draw(st.sampled_from([None, None, True, False])),
        device=draw(st.none() | st.builds(Device, st.just("eth+"), destination_sets, st.booleans())),
        to=draw(st.sampled_from(["", INTERNET[family]])) if action is Action.SNAT else "",
    )


@st.composite
def chain_of(draw: st.DrawFn, family: IPFamily) -> Chain:
    return Chain(
        component=draw(st.sampled_from(["one", "two"])),
        name="CHAIN",
        family=family,
        rules=tuple(draw(st.lists(rule_of(family), max_size=5))),
        entry=draw(st.sampled_from([(), outside(LOCAL), inside(FIXED[1])])),
        backend=draw(st.sampled_from([*Backend])),
    )


@st.composite
def tasks(draw: st.DrawFn) -> tuple[IPFamily, list[Chain], list[Packet]]:
    family = draw(st.sampled_from([*IPFamily]))
    addresses = st.sampled_from(ADDRESSES[family]) | st.integers(0, (1 << family.bits) - 1).map(
        lambda value: format_address(family, value)
    )
    packets = st.builds(Packet, addresses, addresses, st.sampled_from([0, 1]), st.booleans(), st.booleans())
    return family, draw(st.lists(chain_of(family), max_size=3)), draw(st.lists(packets, min_size=1, max_size=30))


@settings(max_examples=150, deadline=None)
@given(tasks())
def test_columns_decide_as_a_walk_of_every_rule_does(task: tuple[IPFamily, list[Chain], list[Packet]]) -> None:
    family, chains, packets = task
    column = flows(family, [(p.source, p.destination) for p in packets], host=[p.host for p in packets])
    column.node[:] = [p.node for p in packets]
    answer = decide(chains, column, CLUSTER.nodes, marked=np.array([p.marked for p in packets]))
    assert list(zip(seen(answer, family), deciding(answer), strict=True)) == [walk(chains, p) for p in packets]


@settings(max_examples=50, deadline=None)
@given(tasks())
def test_an_unknown_node_is_unknown_only_where_it_matters(task: tuple[IPFamily, list[Chain], list[Packet]]) -> None:
    family, chains, packets = task
    column = flows(family, [(p.source, p.destination) for p in packets], node=-1, host=[p.host for p in packets])
    answer = decide(chains, column, CLUSTER.nodes, marked=np.array([p.marked for p in packets]))
    for packet, source, rule in zip(packets, seen(answer, family), deciding(answer), strict=True):
        both = {
            walk(chains, Packet(packet.source, packet.destination, node, packet.host, packet.marked))[0]
            for node in (0, 1)
        }
        if rule != NODE_UNKNOWN and source != "?":
            assert both == {source}
        if len(both) > 1:
            assert source == "?"


def chain(*rules: Rule, backend: Backend = Backend.IPTABLES, component: str = "test") -> Chain:
    return Chain(component=component, name="T", family=IPFamily.IPV4, rules=rules, backend=backend)


RETURN = Rule(name="return", action=Action.RETURN)
ACCEPT = Rule(name="accept", action=Action.ACCEPT)
MASQUERADE = Rule(name="masquerade", action=Action.MASQUERADE)

ENDS = [
    ("a RETURN is no veto for the next chain", [chain(RETURN), chain(MASQUERADE)], True),
    ("an ACCEPT in iptables ends every iptables chain", [chain(ACCEPT), chain(MASQUERADE)], False),
    (
        "an accept in nftables ends its own base chain",
        [chain(ACCEPT, backend=Backend.NFTABLES), chain(MASQUERADE)],
        True,
    ),
    (
        "an ACCEPT in iptables does not bind other base chains",
        [chain(ACCEPT), chain(MASQUERADE, backend=Backend.NFTABLES)],
        True,
    ),
    ("the first rule that fits ends its chain", [chain(RETURN, MASQUERADE)], False),
    ("nothing fits, nothing happens", [chain()], False),
]


@pytest.mark.parametrize(("reason", "chains", "translated"), ENDS, ids=[row[0] for row in ENDS])
def test_how_chains_end(reason: str, chains: list[Chain], *, translated: bool) -> None:
    column = flows(IPFamily.IPV4, [(POD[IPFamily.IPV4], INTERNET[IPFamily.IPV4])])
    assert decide(chains, column, CLUSTER.nodes).translated.tolist() == [translated], reason


def test_a_node_without_an_address_of_the_family_gives_no_source() -> None:
    column = flows(IPFamily.IPV4, [(POD[IPFamily.IPV4], INTERNET[IPFamily.IPV4])])
    answer = decide([chain(MASQUERADE)], column, cluster(internal=False).nodes)
    assert (answer.translated.tolist(), answer.has_source.tolist()) == ([True], [False])


def test_what_does_not_belong_together_is_refused() -> None:
    column = flows(IPFamily.IPV6, [(POD[IPFamily.IPV6], INTERNET[IPFamily.IPV6])])
    with pytest.raises(errors.InvalidInput, match="chain T is of IPv4"):
        decide([chain(MASQUERADE)], column, CLUSTER.nodes)
    with pytest.raises(errors.InvalidInput, match="marked has 2 rows for 1 flows"):
        decide([], column, CLUSTER.nodes, marked=np.ones(2, np.bool_))
    column.node[:] = 2
    with pytest.raises(errors.InvalidInput, match="node 2 of 2 nodes"):
        decide([], column, CLUSTER.nodes)
    with pytest.raises(errors.InvalidInput, match="set of sources"):
        Rule(name="x", action=Action.RETURN, destination=inside(OWN_PODS))
    with pytest.raises(errors.InvalidInput, match="only SNAT takes an address"):
        Rule(name="x", action=Action.MASQUERADE, to="192.0.2.1")


def test_addresses_of_the_oracle_are_canonical() -> None:
    for family, texts in ADDRESSES.items():
        assert [format_address(*parse_address(text)) for text in texts] == texts
        assert {parse_address(text)[0] for text in texts} == {family}
