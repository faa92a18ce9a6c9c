"""The contract of the traffic graph names everything that breaks it."""

import pytest

from dsmodel.graph.edges import EDGE_ATTRIBUTES, NODE_ATTRIBUTES, RANKS, Kind, Role, problems_of

WORLD = (("world", 6), {"kind": "world", "label": "world", "family": "IPv6"})
NODE = (
    ("node", "a"),
    {"kind": "node", "label": "a", "ipv4": "10.0.0.1", "ipv6": "", "ready": True, "zone": "z"},
)
POD = (
    ("pod", "shop", "cart"),
    {
        "kind": "pod",
        "label": "cart",
        "pods": 1,
        "node": "a",
        "namespace": "shop",
        "ipv4": "",
        "ipv6": "",
        "host_network": False,
    },
)


def edge(source, target, role="exit", **changes):
    attributes = {
        "family": "IPv6",
        "role": role,
        "rank": 1,
        "pods": 1,
        "destinations": ("internet",),
        "rewrite": "",
        "reason": "",
        "state": "active",
        "capacity": None,
    }
    return source[0], target[0], ("IPv6", role), attributes | changes


def test_what_keeps_the_contract_has_no_problems():
    assert problems_of([WORLD, NODE, POD], [edge(NODE, WORLD), edge(POD, NODE, "attach")]) == []


@pytest.mark.parametrize(
    ("nodes", "edges", "words"),
    [
        ([("a", {})], [], "the key is no tuple that begins with a Kind"),
        ([(("pot", "a"), {})], [], "the key is no tuple that begins with a Kind"),
        ([(WORLD[0], WORLD[1] | {"kind": "node"})], [], "kind 'node' is not that of the key"),
        ([(WORLD[0], {"kind": "world", "label": "x"})], [], "family is missing"),
        ([(WORLD[0], WORLD[1] | {"colour": "red"})], [], "colour is no attribute of it"),
        ([(WORLD[0], WORLD[1] | {"label": 7})], [], "label 7 is no str"),
        ([(POD[0], POD[1] | {"pods": True})], [], "pods True is no int"),
        ([WORLD, NODE], [edge(NODE, WORLD, family="IPv4")], "does not begin with family and role"),
        ([WORLD, NODE], [edge(NODE, WORLD, "leave")], "role 'leave' is no Role"),
        ([WORLD, NODE], [edge(NODE, WORLD, state="idle")], "state 'idle' is none of active, blocked, unknown"),
        ([WORLD, NODE], [edge(NODE, WORLD, capacity=1.5)], "capacity 1.5 is no int or NoneType"),
        ([NODE], [edge(NODE, WORLD)], "there is no node ('world', 6)"),
        ([WORLD, POD], [edge(POD, WORLD)], "no pod leads to the world without a step between"),
    ],
)
def test_what_breaks_it_is_named(nodes, edges, words):
    assert any(words in sentence for sentence in problems_of(nodes, edges))


def test_the_declarations_are_sound():
    names = [each.name for each in EDGE_ATTRIBUTES]
    assert len(names) == len(set(names))
    assert {kind for each in NODE_ATTRIBUTES for kind in each.kinds} <= set(Kind)
    assert sorted(RANKS.values()) == list(range(len(Role)))
