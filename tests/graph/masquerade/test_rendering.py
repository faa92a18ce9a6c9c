"""The text for the kernel: what sets, entries, priorities and refusals look like; the kernel test loads it."""

import pytest
from masquerade_oracle import cluster

from dsmodel import errors
from dsmodel.addresses.cidr import IPFamily
from dsmodel.graph.masquerade import Cilium, Flannel, KubeProxy, KubeRouter, MasqueradeAgent, ReferencePlugin
from dsmodel.graph.masquerade.rendering import NodeView, render
from dsmodel.graph.rules import (
    LOCAL,
    NODE_ADDRESSES,
    OWN_POD_CIDR,
    Action,
    AddressSet,
    Backend,
    Chain,
    Match,
    Rule,
    blocks,
    inside,
    outside,
)

V4, V6 = IPFamily.IPV4, IPFamily.IPV6
CLUSTER = cluster()
VIEW = NodeView.of(CLUSTER, 0)


def chain(rule: Rule, *, backend: Backend = Backend.IPTABLES, entry: tuple[Match, ...] = ()) -> Chain:
    return Chain(component="test", name="T", family=V4, rules=(rule,), backend=backend, entry=entry)


def test_sets_of_several_blocks_become_ipsets_once() -> None:
    text = render(KubeRouter().chains(V4, CLUSTER), VIEW)
    fits = "-s 10.244.0.0/16 ! -d 10.244.0.0/16 -m set ! --match-set masq4-0 dst"
    assert text.iptables[V4].splitlines()[2:-1] == [f"-A POSTROUTING {fits} -j MASQUERADE --random-fully"]
    assert text.ipsets.splitlines() == [
        "create masq4-0 hash:net family inet maxelem 1024",
        "add masq4-0 10.0.0.1/32",
        "add masq4-0 10.0.0.2/32",
    ]


def test_a_rule_has_one_destination_flag_and_sets_beside_it() -> None:
    rule = Rule(
        name="", action=Action.RETURN, destination=inside(blocks("a", ["10.0.0.0/8"]), blocks("b", ["10.1.0.0/16"]))
    )
    text = render([chain(rule)], VIEW)
    assert "-A T -d 10.0.0.0/8 -m set --match-set masq4-0 dst -j RETURN" in text.iptables[V4]


EMPTY = blocks("nothing", [])
ENDS = [
    ("inside an empty set nothing fits, and the rule goes", inside(EMPTY), ""),
    ("outside an empty set everything fits", outside(EMPTY), "-A T -j RETURN"),
]


@pytest.mark.parametrize(("reason", "destination", "line"), ENDS, ids=[row[0] for row in ENDS])
def test_empty_sets(reason: str, destination: tuple[Match, ...], line: str) -> None:
    text = render([chain(Rule(name="", action=Action.RETURN, destination=destination))], VIEW).iptables[V4]
    assert [each for each in text.splitlines() if each.startswith("-A T")] == ([line] if line else []), reason
    nft = render([chain(Rule(name="", action=Action.RETURN, destination=destination), backend=Backend.NFTABLES)], VIEW)
    assert ("\n    return" in nft.nftables) == bool(line)


def test_priorities_keep_the_order_around_iptables() -> None:
    masquerades = [KubeProxy(mode="nftables"), MasqueradeAgent(), Flannel(ip_masq=True, backend="nftables")]
    text = render([each for m in masquerades for each in m.chains(V4, CLUSTER)], VIEW)
    assert [line.split("priority ")[1].split(";")[0] for line in text.nftables.splitlines() if "priority" in line] == [
        "99",
        "101",
    ]


def test_chains_elsewhere_are_named() -> None:
    text = render(Cilium(bpf=True).chains(V4, CLUSTER), VIEW)
    assert text.elsewhere == ("Cilium",)
    assert (text.ipsets, text.nftables, set(text.iptables.values())) == ("", "", {""})


def test_pods_of_the_node_are_its_own() -> None:
    text = render(ReferencePlugin().chains(V6, CLUSTER), VIEW).iptables[V6]
    assert "-A CNI-MASQ -s fd00:10:244::5/128 -d fd00:10:244::/64 -j ACCEPT" in text
    assert "fd00:10:244::5" not in render(ReferencePlugin().chains(V6, CLUSTER), NodeView.of(CLUSTER, 1)).iptables[V6]


def test_what_the_kernel_has_no_words_for_is_refused() -> None:
    host = Rule(name="h", action=Action.RETURN, host=True)
    for backend in (Backend.IPTABLES, Backend.NFTABLES):
        with pytest.raises(errors.InvalidInput, match="where"):
            render([chain(host, backend=backend)], VIEW)
    mixed = AddressSet("mixed", OWN_POD_CIDR.cidrs, (*LOCAL.special, *NODE_ADDRESSES.special))
    with pytest.raises(errors.InvalidInput, match="make a set of their own"):
        render([chain(Rule(name="m", action=Action.RETURN, destination=inside(mixed)))], VIEW)
    with pytest.raises(errors.InvalidInput, match="no IPv4 address to give"):
        render([chain(Rule(name="s", action=Action.SNAT))], NodeView.of(cluster(internal=False), 0))
    with pytest.raises(errors.InvalidInput, match="there are 2 nodes"):
        NodeView.of(CLUSTER, 2)


def test_snat_with_ports() -> None:
    rule = Rule(name="s", action=Action.SNAT, to="192.0.2.7", ports=((1024, 2048),))
    lines = render([chain(rule)], VIEW).iptables[V4].splitlines()
    assert "-A T -p tcp -j SNAT --to-source 192.0.2.7:1024-2048" in lines
    assert lines[-2] == "-A T -j SNAT --to-source 192.0.2.7"
