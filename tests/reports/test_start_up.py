"""Findings about flags and about objects in one frame."""

from __future__ import annotations

import pandas as pd

import dsmodel as ds
from dsmodel import examples, reports
from dsmodel.io.samples import sample_path
from dsmodel.reports.start_up import COLUMNS, node_pod_cidrs, ordered


def test_the_worst_comes_first_and_nothing_twice() -> None:
    part = pd.DataFrame({"severity": ["info", "warning", "fatal", "warning"], "rule": ["c", "b", "a", "b"]})
    frame = ordered([part, part], kube_version="1.36")
    assert frame["severity"].tolist() == ["fatal", "warning", "note"]
    assert list(frame.columns) == list(COLUMNS)


def test_no_findings_keep_the_columns() -> None:
    assert list(ordered([], kube_version="1.36").columns) == list(COLUMNS)


def test_an_audit_joins_flags_objects_and_readiness() -> None:
    frame = reports.audit(ds.read_cluster(sample_path("nearly-full")))
    assert {"family-capacity", "cidr-not-available", "validate-dual-stack"} <= set(frame["rule"])
    assert frame["severity"].tolist()[0] == "error"
    assert not frame.isna().any(axis=None)


def test_an_audit_as_of_another_version() -> None:
    cluster = ds.Cluster(ds.ClusterConfig.of(kube_version="1.34", service_cidrs="10.0.0.0/8"))
    assert reports.audit(cluster).empty
    assert reports.audit(cluster, "1.29")["severity"].tolist() == ["fatal"]


def test_pod_cidrs_of_nodes_keep_their_order() -> None:
    cluster = examples.kubeadm_dual_stack()
    assert list(node_pod_cidrs(cluster).values())[:2] == [
        ("10.244.0.0/24", "fd00:10:244::/64"),
        ("10.244.1.0/24", "fd00:10:244:1::/64"),
    ]
    assert set(node_pod_cidrs(ds.read_cluster(sample_path("nearly-full"))).values()) >= {()}
