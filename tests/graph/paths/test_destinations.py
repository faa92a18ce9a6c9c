"""Where destinations are: places by hand, blocks between borders, Services with and without endpoints."""

import numpy as np
import pandas as pd
import pytest
from egress_clusters import cluster_of, with_endpoints

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.errors import InvalidInput
from dsmodel.graph.network import NAT64, Network
from dsmodel.graph.paths import Destination
from dsmodel.graph.paths.destinations import read_destinations
from dsmodel.graph.paths.members import Place, State, members_of

V4, V6 = IPFamily.IPV4, IPFamily.IPV6


def members(given, family, *, cluster=None, named=(), **changes):
    held = cluster if cluster is not None else cluster_of()
    network = Network().replacing(**changes)
    asked = read_destinations(given, held)
    return members_of(asked, family, cluster=held, network=network, named=[Cidr(text) for text in named])


@pytest.mark.parametrize(
    ("address", "place", "node", "why"),
    [
        ("8.8.8.8", Place.INTERNET, -1, "ordinary"),
        ("192.0.2.1", Place.INTERNET, -1, "documentation stands for a server on the Internet"),
        ("2001:db8::1", Place.INTERNET, -1, "of both families"),
        ("3fff::1", Place.INTERNET, -1, "and its second IPv6 block"),
        ("10.9.0.1", Place.PRIVATE, -1, "RFC 1918"),
        ("100.64.0.1", Place.PRIVATE, -1, "shared address space"),
        ("fd99::1", Place.PRIVATE, -1, "a ULA"),
        ("10.0.0.2", Place.NODE, 1, "InternalIP of b"),
        ("fd00:10::1", Place.NODE, 0, "InternalIP of a"),
        ("10.244.1.2", Place.POD, 1, "a pod on b"),
        ("fd00:10:244::2", Place.POD, 0, "a pod on a"),
        ("10.244.1.9", Place.POD_RANGE, 1, "of b's pod CIDR, held by nobody"),
        ("10.244.99.9", Place.POD_RANGE, -1, "of the cluster CIDR, of no node's"),
        ("10.96.200.1", Place.SERVICE_RANGE, -1, "no Service has it"),
        ("127.0.0.1", Place.ON_LINK, -1, "loopback"),
        ("169.254.169.254", Place.ON_LINK, -1, "link-local"),
        ("ff02::1", Place.ON_LINK, -1, "multicast"),
        ("224.0.0.1", Place.ON_LINK, -1, "multicast"),
        ("64:ff9b::1", Place.NAT64, -1, "the well-known prefix"),
    ],
)
def test_places(address, place, node, why):
    found = members(address, V6 if ":" in address else V4)
    assert (Place(int(found.place[0])), int(found.node[0])) == (place, node), why


def test_a_block_has_a_member_between_all_borders():
    found = members("10.0.0.0/8", V4, named=["10.9.0.0/16", "10.9.9.0/24", "192.168.0.0/16", "10.0.0.0/8"])
    addresses = [
        f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}" for number in found.address.tolist()
    ]
    assert addresses == ["10.0.0.1", "10.9.0.0", "10.9.9.0", "10.9.10.0", "10.10.0.0"]


def test_alike_members_are_one_class():
    found = members(["8.8.8.8", "9.9.9.9", "10.9.0.1"], V4, named=["10.0.0.0/8"])
    assert found.kind.tolist() == [0, 0, 1]
    assert members(["8.8.8.8", "9.9.9.9"], V4, named=["9.0.0.0/8"]).kind.tolist() == [0, 1]


def test_dns64_makes_up_what_a_name_lacks():
    for name, server, translator, count in (
        ("public server", "8.8.8.8", NAT64(), 1),
        ("private server behind the well-known prefix", "10.9.0.1", NAT64(), 0),
        ("private server behind a prefix of one's own", "10.9.0.1", NAT64(prefix="64:ff9b:1::/96"), 1),
        ("no DNS64", "8.8.8.8", NAT64(dns64=False), 0),
    ):
        found = members({"only4": server}, V6, nat64=translator)
        assert len(found) == count, name
        assert State(int(found.state[0])) is (State.MEMBERS if count else State.NO_ADDRESS), name
    assert len(members("8.8.8.8", V6, nat64=NAT64())) == 0, "an address literal is no name"
    assert len(members({"both": ["8.8.8.8", "2600::1"]}, V6, nat64=NAT64())) == 1


def service(*endpoints, **spec):
    cluster = cluster_of()
    cluster.add_services(
        pd.DataFrame({"namespace": ["shop"], "name": ["db"], "ip_family_policy": ["PreferDualStack"], **spec})
    )
    return with_endpoints(cluster, "shop/db", endpoints) if endpoints else cluster


def test_endpoints_of_a_service():
    cluster = service(("10.244.0.2", "a"), ("10.244.1.2", "b"), ("10.9.0.1", ""))
    found = members("shop/db", V4, cluster=cluster)
    assert found.node.tolist() == [0, 1, -1]
    assert [Place(code) for code in found.place.tolist()] == [Place.POD, Place.POD, Place.PRIVATE]
    assert State(int(members("shop/db", V6, cluster=cluster).state[0])) is State.NO_ENDPOINT
    down = members("shop/db", V4, cluster=cluster, failed="b")
    assert down.node.tolist() == [0, -1], "an endpoint on a node that is down is none"
    lost = members("shop/db", V4, cluster=service(("10.244.1.2", "b")), failed="b")
    assert State(int(lost.state[0])) is State.NO_ENDPOINT


def test_services_without_endpoints_or_addresses():
    assert State(int(members("shop/db", V4, cluster=service()).state[0])) is State.ENDPOINTS_UNKNOWN
    headless = service(("10.244.0.2", "a"), headless=[True])
    assert len(members("shop/db", V4, cluster=headless)) == 1
    assert members("shop/db", V4, cluster=headless).service.tolist() == [0], "kube-proxy has no part in it"
    assert State(int(members("shop/db", V6, cluster=headless).state[0])) is State.NO_ADDRESS


def test_endpoints_may_be_given_by_hand():
    one = Destination(name="db", service="shop/db", endpoints=(("10.244.0.2", "a"),))
    assert members(one, V4, cluster=service()).node.tolist() == [0]
    with pytest.raises(InvalidInput, match="no Service 'shop/none'"):
        read_destinations(Destination(name="x", service="shop/none"), cluster_of())


def test_a_thousand_destinations_are_read_by_column():
    texts = [f"20.{row // 250}.{row % 250}.1" for row in range(1000)]
    found = members(texts, V4)
    assert len(np.unique(found.kind)) == 1
    assert found.destination.tolist() == list(range(1000))
