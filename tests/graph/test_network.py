"""What a network says, what it leaves open, and what it refuses."""

import pytest
from egress_clusters import cluster_of

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidInput
from dsmodel.graph.gateways import EgressGateway
from dsmodel.graph.masquerade import Calico
from dsmodel.graph.network import NAT64, BorderNAT, Network, TransparentProxy

V4, V6 = IPFamily.IPV4, IPFamily.IPV6


def test_nothing_said_is_all_unknown():
    assert Network().unknown == (
        "masquerading on the nodes (masquerades)",
        "border NATs of IPv4 (border)",
        "blocks that are routed back to pods of IPv4 (routed)",
        "default route of IPv4 (default_route)",
        "border NATs of IPv6 (border)",
        "blocks that are routed back to pods of IPv6 (routed)",
        "default route of IPv6 (default_route)",
        "NAT64 translators (nat64)",
    )
    assert repr(Network()) == "Network(masquerades unknown; gateway policies 0; 8 unknown)"


def test_it_reads_what_the_objects_show():
    cluster = cluster_of()
    assert Network.of(cluster).masquerades is None
    pool = {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "IPPool",
        "metadata": {"name": "v4"},
        "spec": {"cidr": "10.244.0.0/16", "natOutgoing": True},
    }
    cluster.objects = cluster.objects.adding([pool])
    network = Network.of(cluster)
    assert [type(each) for each in network.masquerades] == [Calico]
    assert network.findings


@pytest.mark.parametrize(
    ("name", "value", "expected", "why"),
    [
        ("default_route", True, {V4: True, V6: True}, "both"),
        ("default_route", ["IPv4"], {V4: True, V6: False}, "a list names all that have one"),
        ("default_route", {"IPv6": False}, {V6: False}, "a mapping leaves the other open"),
        ("routed", ["10.0.0.0/8"], {V4: (Cidr("10.0.0.0/8"),), V6: ()}, "a sequence holds all of both"),
        ("routed", {"IPv6": ["fd00::/8"]}, {V6: (Cidr("fd00::/8"),)}, "a mapping leaves the other open"),
        ("routed", "10.0.0.0/8", {V4: (Cidr("10.0.0.0/8"),), V6: ()}, "one is one"),
        ("border", (), {V4: (), V6: ()}, "none at all is known too"),
        ("border", {"IPv4": ()}, {V4: ()}, "none of one family"),
        ("nat64", (), (), "none"),
        ("nat64", None, None, "not known"),
        ("failed", "a", frozenset({"a"}), "one name"),
        ("failed", ["a", "b"], frozenset({"a", "b"}), "several"),
    ],
)
def test_forms_that_fields_may_have(name, value, expected, why):
    assert getattr(Network().replacing(**{name: value}), name) == expected, why


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nats": ()}, "a network has no nats; it has masquerades"),
        ({"border": ["nat"]}, "'nat' is no BorderNAT"),
        ({"border": 7}, "border=7"),
        ({"routed": ["10.0.0.1/8"]}, "10.0.0.1/8"),
        ({"default_route": ["IPv5"]}, "family 'IPv5'"),
        ({"default_route": {"v6": True}}, "family 'v6'"),
        ({"nat64": "64:ff9b::/96"}, "is no NAT64"),
        ({"failed": [1]}, "failed: 1 is no text"),
    ],
)
def test_other_forms_are_refused(changes, message):
    with pytest.raises(InvalidInput, match=message.replace("(", r"\(")):
        Network().replacing(**changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BorderNAT(name="a", family="IPv6", addresses=("192.0.2.1",)), "192.0.2.1 is no IPv6"),
        (lambda: BorderNAT(name="a", family="IPv4", sources=("fd00::/8",)), "fd00::/8 is no IPv4"),
        (lambda: BorderNAT(name="a", family="IPv4", kind="NAT"), "allowed are NAPT and NPTv6"),
        (lambda: BorderNAT(name="a", family="4"), "family '4'"),
        (lambda: NAT64(prefix="10.0.0.0/8"), "is IPv4"),
        (lambda: NAT64(addresses=("2001:db8::1",)), "is IPv6"),
        (lambda: TransparentProxy(name="m", other_family="drop"), "bypass and reject"),
    ],
)
def test_values_that_make_no_sense_are_refused(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_addresses_are_written_one_way():
    assert BorderNAT(name="a", family="IPv6", addresses=("2001:DB8:0::1",)).addresses == ("2001:db8::1",)
    assert BorderNAT(name="a", family="IPv6", kind="NPTv6", addresses="2001:db8::/48").addresses == ("2001:db8::/48",)


def test_a_zone_takes_its_nodes_and_translators_with_it():
    cluster = cluster_of(("a", "b", "c"), zones=["x", "y", "x"])
    network = Network().failing("Zone/x", "Node/b")
    assert network.down_nodes(cluster) == {"a", "b", "c"}
    assert network.replacing(failed="Zone/x").down_nodes(cluster) == {"a", "c"}
    assert network.is_down(BorderNAT(name="n", family="IPv4", zone="x"))
    assert not network.is_down(BorderNAT(name="n", family="IPv4", serves=("x",)))
    assert Network().failing("NAT64/64:ff9b::/96").is_down(NAT64())


def test_a_what_if_leaves_the_network_as_it_is():
    network = Network().replacing(gateways=[EgressGateway(name="g", nodes=("a",))])
    assert network.failing("a") != network
    assert network.failed == frozenset()
