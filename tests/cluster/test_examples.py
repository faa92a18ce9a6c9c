"""The named clusters are the same every time and each shows its situation."""

import numpy as np
import pandas as pd
import pytest

from dsmodel.cluster import examples
from dsmodel.errors import InvalidInput

NAMED = ["kubeadm_dual_stack", "single_stack_ipv4", "ipv6_first", "nearly_full", "ula_pods"]


@pytest.mark.parametrize("name", NAMED)
def test_named_clusters_are_the_same_every_time_and_sound(name):
    one, other = getattr(examples, name)(), getattr(examples, name)()
    assert repr(one) == repr(other)
    for table in ("nodes", "pods", "services", "node_ports"):
        pd.testing.assert_frame_equal(getattr(one, table).to_frame(), getattr(other, table).to_frame())
    assert len(one.findings) == 0
    for pool in one.pools():
        assert pool.used + pool.free == pool.usable


def test_the_nearly_full_one_is_bound_by_ipv6_node_blocks():
    cluster = examples.nearly_full()
    blocks = {str(pool.family): pool for pool in cluster.pools() if pool.kind == "node blocks"}
    assert (blocks["IPv6"].free, blocks["IPv4"].free, blocks["IPv4"].leaked) == (0, 22, 2)
    assert not cluster.nodes["ready"][-2:].any()


def test_synthetic_takes_its_randomness_from_the_generator():
    one = examples.synthetic(nodes=9, pods=50, services=20, rng=np.random.default_rng(1))
    two = examples.synthetic(nodes=9, pods=50, services=20, rng=np.random.default_rng(1))
    three = examples.synthetic(nodes=9, pods=50, services=20, rng=np.random.default_rng(2))
    assert one.pods.equals(two.pods)
    assert one.services.equals(two.services)
    assert not one.pods.equals(three.pods)
    assert len(examples.synthetic(nodes=0, pods=5, services=0).pods) == 0


def test_synthetic_names_what_it_refuses():
    with pytest.raises(InvalidInput, match="pods=-1: a count is 0 or more"):
        examples.synthetic(nodes=1, pods=-1, services=0)
