from __future__ import annotations

import numpy as np
import pytest

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.gke import GKE, pod_cidrs, pod_prefix
from dsmodel.errors import InvalidField, Reason

V4, V6 = IPFamily.IPV4, IPFamily.IPV6


@pytest.mark.parametrize(
    ("pods", "prefix"), [(8, 28), (9, 27), (16, 27), (17, 26), (33, 25), (65, 24), (110, 24), (129, 23)]
)
def test_golden_10_the_block_of_a_maximum(pods: int, prefix: int) -> None:
    assert pod_prefix(pods) == prefix


def test_every_block_holds_twice_its_pods() -> None:
    pods = np.arange(8, 257)
    assert (1 << (32 - pod_prefix(pods)) >= 2 * pods).all()


@pytest.mark.parametrize("pods", [7, 257])
def test_maxima_gke_does_not_have(pods: int) -> None:
    with pytest.raises(InvalidField, match="maxPodsPerNode"):
        pod_prefix(pods)


def test_the_story_of_256_nodes() -> None:
    gke = GKE([Cidr("10.4.0.0/16")])
    assert gke.max_nodes == 256
    assert gke.add_nodes(257).tolist() == [True] * 256 + [False]
    assert gke.place([255, 256]).reason.tolist() == [Reason.OK, Reason.CIDR_NOT_AVAILABLE]
    assert GKE([Cidr("10.4.0.0/16"), Cidr("10.9.0.0/20")], max_pods=32).max_nodes == 1024 + 64


@pytest.mark.parametrize(("dataplane", "pods"), [("v1", 253), ("v2", 254)])
def test_dual_stack_nodes_and_their_dataplane(dataplane: str, pods: int) -> None:
    gke = GKE([Cidr("10.4.0.0/16")], ipv6_subnet=Cidr("2600:1900::/64"), dataplane=dataplane)
    gke.add_nodes(2)
    placed = gke.place([1] * 256)
    assert placed.placed == pods
    ipv6 = [number - Cidr("2600:1900::/64").first for number in to_integers(placed.addresses[V6][placed.ok])]
    assert {number >> 16 for number in ipv6} == {1 << 16}
    twin = gke.copy()
    twin.add_nodes(1)
    assert [use.used for use in gke.usage()] == [2, 2, pods, pods]


def test_ranges_that_hold_no_node() -> None:
    with pytest.raises(InvalidField, match="podRange"):
        GKE([Cidr("10.4.0.0/25")])
    with pytest.raises(InvalidField, match="ipv6Subnet"):
        GKE([Cidr("10.4.0.0/16")], ipv6_subnet=Cidr("fd00::/112"))


def test_the_order_of_pod_cidrs_is_that_of_service_cidrs() -> None:
    both = [V4, V6]
    assert pod_cidrs("10.0.0.0/24", "fd00::a:b:0:1", service_families=both) == ("10.0.0.0/24", "fd00::a:b:0:0/112")
    assert pod_cidrs("", "fd00::1", service_families=both) == ()
