"""The checks of "Validate IPv4/IPv6 dual-stack" on tables."""

from __future__ import annotations

import numpy as np
import pytest

import dsmodel as ds
from dsmodel import examples, reports
from dsmodel.io.samples import sample_path
from dsmodel.reports.validation import COLUMNS

SERVICES = "PreferDualStack Services have two cluster IPs, in the order of their families"


def results(cluster: ds.Cluster) -> dict[str, str]:
    frame = reports.dual_stack_validation(cluster)
    assert list(frame.columns) == list(COLUMNS)
    assert set(frame["result"]) <= {"ok", "fails", "not tested"}
    assert ((frame["result"] == "fails") == (frame["count"] > 0)).all()
    assert ((frame["result"] == "not tested") == (frame["tested"] == 0)).all()
    assert (frame["why"] != "").all()
    return dict(zip(frame["check"], frame["result"], strict=True))


@pytest.mark.parametrize("make", [examples.kubeadm_dual_stack, examples.ipv6_first])
def test_a_sound_cluster_fails_nothing(make) -> None:
    assert "fails" not in results(make()).values()


def test_a_single_family_fails_what_needs_two() -> None:
    found = results(examples.single_stack_ipv4())
    assert found["dual-stack is switched on"] == "fails"
    assert found["cluster CIDRs name both families"] == "fails"
    assert found["every node has one podCIDR of each family"] == "fails"
    assert found["every Pod has one address of each family"] == "fails"


def test_an_empty_cluster_has_little_to_test() -> None:
    found = results(ds.Cluster(ds.ClusterConfig.of()))
    assert found["every node has one podCIDR of each family"] == "not tested"
    assert found[SERVICES] == "not tested"


def test_offenders_are_named_and_counted() -> None:
    cluster = ds.read_cluster(sample_path("nearly-full"))
    frame = reports.dual_stack_validation(cluster).set_index("check")
    row = frame.loc["every node has one podCIDR of each family"]
    assert (row["result"], row["tested"], row["count"]) == ("fails", 20, 4)
    assert row["offenders"] == "Node/highmem-004, Node/highmem-008, Node/highmem-012, and 1 more"


def test_a_service_without_its_second_address() -> None:
    cluster = examples.kubeadm_dual_stack()
    services = cluster.services
    row = int(np.flatnonzero((services["ip_family_policy"] == 2) & ~services["headless"])[0])
    has = services["has_cluster_ipv6"].copy()
    has[row] = False
    cluster.services = services.replace({"has_cluster_ipv6": has})
    assert results(cluster)[SERVICES] == "fails"


def test_orders_that_differ() -> None:
    config = ds.ClusterConfig.of(cluster_cidrs="fd00:1::/56,10.244.0.0/16", service_cidrs="10.96.0.0/16,fd00:2::/112")
    assert results(ds.Cluster(config))["cluster CIDRs and service ranges have one order"] == "fails"


def test_a_gate_switches_dual_stack_on() -> None:
    config = ds.ClusterConfig.of(kube_version="1.20", feature_gates={"IPv6DualStack": True})
    assert results(ds.Cluster(config))["dual-stack is switched on"] == "ok"


def test_pods_of_one_node_begin_with_one_family() -> None:
    cluster = examples.kubeadm_dual_stack()
    pods = cluster.pods
    both = np.flatnonzero(pods["has_pod_ipv4"] & pods["has_pod_ipv6"] & ~pods["host_network"])
    primary = pods["primary_ip_family"].copy()
    primary[both[0]] = 6
    cluster.pods = pods.replace({"primary_ip_family": primary})
    assert results(cluster)["podIP is of one family on all Pods of a node"] == "fails"
