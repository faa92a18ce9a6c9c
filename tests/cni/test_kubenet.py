from __future__ import annotations

import pytest

from dsmodel.addresses.arrays import to_integers
from dsmodel.addresses.cidr import IPFamily, format_address
from dsmodel.cni.host_local import HostLocal
from dsmodel.cni.kubenet import Kubenet, masquerades, network_config, pod_ip_orders
from dsmodel.cni.node_ranges import pod_cidr_columns
from dsmodel.errors import CNIError

V4, V6 = IPFamily.IPV4, IPFamily.IPV6


@pytest.mark.parametrize(
    ("pod_cidrs", "routes"),
    [
        (["10.0.0.0/24"], ["0.0.0.0/0"]),
        (["fd00::/64"], ["::/0"]),
        (["fd00::/64", "10.0.0.0/24"], ["0.0.0.0/0", "::/0"]),
        (["10.0.0.0/24", "fd00::/64"], ["0.0.0.0/0", "::/0"]),
    ],
)
def test_ranges_keep_the_order_and_routes_do_not(pod_cidrs: list[str], routes: list[str]) -> None:
    ipam = network_config(pod_cidrs)["ipam"]
    assert [ranges[0]["subnet"] for ranges in ipam["ranges"]] == pod_cidrs
    assert [route["dst"] for route in ipam["routes"]] == routes


def test_without_the_gate_the_first_pod_cidr_counts() -> None:
    ipam = network_config(["fd00::/64", "10.0.0.0/24"], dual_stack_gate=False)["ipam"]
    assert (ipam["ranges"], ipam["routes"]) == ([[{"subnet": "fd00::/64"}]], [{"dst": "::/0"}])
    assert Kubenet([V6, V4], dual_stack_gate=False).ip_families == (V6,)


def test_two_ranges_of_one_family_are_refused_in_this_version() -> None:
    with pytest.raises(CNIError, match=r"CNI version 0\.1\.0 does not support more than 1 address per family"):
        HostLocal(network_config(["10.0.0.0/24", "10.0.1.0/24"])).add("pod")


def test_the_batch_gives_what_host_local_gives() -> None:
    pod_cidrs = ["fd00::/64", "10.0.0.0/28"]
    kubenet, plugin = Kubenet([V6, V4]), HostLocal(network_config(pod_cidrs))
    kubenet.add_ranges(pod_cidr_columns([pod_cidrs]))
    placed = kubenet.place([0] * 13)
    assert placed.placed == 13
    for row in range(13):
        result = plugin.add(f"pod-{row}")
        expected = result["ip4"]["ip"].split("/")[0], result["ip6"]["ip"].split("/")[0]
        got = [format_address(f, to_integers(placed.addresses[f][row : row + 1])[0]) for f in (V4, V6)]
        assert tuple(got) == expected
    with pytest.raises(CNIError, match="no IP addresses available"):
        plugin.add("pod-13")
    assert kubenet.place([0]).placed == 0
    # IPv6 was asked first and its cursor has moved, in both
    plugin.delete("pod-0")
    kubenet.release([0], {family: column[:1] for family, column in placed.addresses.items()})
    got = kubenet.place([0]).addresses[V6]
    assert plugin.add("pod-14")["ip6"]["ip"] == f"{format_address(V6, to_integers(got)[0])}/64"


def test_the_order_of_pod_ips_is_chance_and_masquerading_is_of_one_family() -> None:
    assert len(pod_ip_orders(["10.0.0.2", "fd00::2"])) == 2
    assert masquerades(V4)
    assert not masquerades(V6)
    assert masquerades(V6, non_masquerade_cidr="fd00::/8")
    assert not masquerades(V4, non_masquerade_cidr="0.0.0.0/0")
