from __future__ import annotations

import numpy as np
import pytest

from dsmodel.addresses.cidr import Cidr, IPFamily
from dsmodel.cni.capacity import RULES, nodes_per_range, pods_per_node, usable_addresses
from dsmodel.errors import InvalidInput

V4, V6 = IPFamily.IPV4, IPFamily.IPV6


@pytest.mark.parametrize(
    ("plugin", "family", "length", "usable"),
    [
        ("kubenet", V4, 24, 253),
        ("flannel", V4, 24, 253),
        ("kube-router", V4, 24, 253),
        ("antrea", V4, 24, 253),
        ("kubenet", V6, 64, (1 << 63) - 1),
        ("kubenet", V6, 120, 254),
        ("kubenet", V6, 126, 2),
        ("kubenet", V4, 31, 0),
        ("cilium", V4, 24, 252),
        ("cilium", V6, 120, 252),
        ("cilium", V6, 112, 65_532),
        ("cilium", V6, 64, 65_532),
        ("ovn-kubernetes", V4, 24, 252),
        ("ovn-kubernetes", V4, 23, 508),
        ("ovn-kubernetes", V6, 64, 65_533),
        ("ovn-kubernetes, hybrid overlay", V6, 64, 65_532),
        ("azure-cni overlay", V4, 24, 256),
        ("azure-cni overlay, windows", V4, 24, 253),
    ],
)
def test_usable_addresses(plugin: str, family: IPFamily, length: int, usable: int) -> None:
    assert usable_addresses([length], plugin=plugin, family=family).tolist() == [usable]


def test_the_scarcest_family_and_the_kubelet_decide() -> None:
    lengths = {V4: np.array([24, 26, 24, 0]), V6: np.array([64, 64, 125, 64])}
    assert pods_per_node(lengths, plugin="kubenet").tolist() == [110, 61, 6, 0]
    assert pods_per_node(lengths, plugin="kubenet", max_pods=[250, 20, 250, 250]).tolist() == [250, 20, 6, 0]


@pytest.mark.parametrize(
    ("cidr", "mask", "nodes"),
    [
        ("10.0.0.0/16", 24, 256),
        ("fd00::/48", 64, 65_536),
        ("fd00::/56", 64, 256),
        ("fd00::/64", 64, 1),
        ("fd00::/64", 48, 0),
        ("fd00::/8", 126, (1 << 63) - 1),
    ],
)
def test_nodes_per_range(cidr: str, mask: int, nodes: int) -> None:
    assert nodes_per_range(Cidr(cidr), [mask]).tolist() == [nodes]


def test_plugins_without_rules_are_named() -> None:
    with pytest.raises(InvalidInput, match="expected one of antrea"):
        usable_addresses([24], plugin="calico", family=V4)
    assert all(set(rules) == {V4, V6} for rules in RULES.values())
