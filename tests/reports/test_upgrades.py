"""An upgrade is told by what it touches."""

from __future__ import annotations

import pytest

import dsmodel as ds
from dsmodel import examples, reports
from dsmodel.errors import InvalidConfig
from dsmodel.kube.versions import GATES, RULES
from dsmodel.reports.upgrades import COLUMNS, GATE_EFFECTS, RULE_EFFECTS, UNTOLD

DUAL = {"cluster_cidrs": "10.244.0.0/16,fd00:1::/56", "service_cidrs": "10.96.0.0/16,fd00:2::/112"}


def changes(old: str, new: str, **fields: object) -> dict[str, str]:
    config = ds.ClusterConfig.of(kube_version=old, **{**DUAL, **fields})  # type: ignore[arg-type]
    frame = reports.version_changes(config, new)
    assert list(frame.columns) == list(COLUMNS)
    assert (frame != "").all(axis=None)
    return dict(zip(frame["what"], frame["since"], strict=True))


def test_every_rule_that_changes_is_told_or_named_as_not_worth_telling() -> None:
    changing = {name for name, rule in RULES.items() if len(rule.rows) > 1}
    unplaced = changing - set(RULE_EFFECTS) - UNTOLD
    assert unplaced == set(), "give the new rule an effect in dsmodel/reports/upgrades.py, or list it in UNTOLD"
    assert set(RULE_EFFECTS) | UNTOLD <= set(RULES)
    assert set(GATE_EFFECTS) <= set(GATES)


def test_staying_where_one_is_changes_nothing() -> None:
    assert changes("1.36", "1.36") == {}


def test_going_back_is_refused() -> None:
    with pytest.raises(InvalidConfig, match=r"1.29 is older than 1.36, and a control plane is never downgraded"):
        changes("1.36", "1.29")


def test_from_29_to_36() -> None:
    assert changes("1.29", "1.36") == {
        "rule node_ipam_occupies_on_update": "1.30",
        "rule node_ipam_retries_by_itself": "1.30",
        "rule node_ipam_cloud_allocators": "1.31",
        "rule node_ipam_keeps_cidr_of_terminating_nodes": "1.32",
        "gate MultiCIDRServiceAllocator": "1.33",
        "gate DisableAllocatorDualWrite": "1.34",
    }


def test_without_node_blocks_node_ipam_is_not_told() -> None:
    assert not any("node_ipam" in what for what in changes("1.29", "1.36", cluster_cidrs=()))


def test_namespaces_get_their_name_as_a_label() -> None:
    """KEP-2161: a policy that selects by the label matches nothing before 1.21."""
    cluster = ds.Cluster(ds.ClusterConfig.of(kube_version="1.20", service_cidrs=["10.96.0.0/16"]))
    assert "rule namespaces_carry_their_name" not in set(reports.version_changes(cluster, "1.21")["what"])
    cluster.namespaces = {"default": {}, "shop": {"team": "a"}}
    frame = reports.version_changes(cluster, "1.22").set_index("what")
    row = frame.loc["rule namespaces_carry_their_name"]
    assert (row["since"], row["touches"], row["severity"]) == ("1.21", "2 Namespaces", "note")
    assert "kubernetes.io/metadata.name" in row["why"]


def test_a_gate_that_was_on_already_is_no_change() -> None:
    gates = {"MultiCIDRServiceAllocator": True, "DisableAllocatorDualWrite": True}
    assert "gate MultiCIDRServiceAllocator" not in changes("1.31", "1.32", feature_gates=gates)
    assert "gate MultiCIDRServiceAllocator" not in changes("1.31", "1.36", feature_gates=gates)


def test_what_stops_a_component_comes_first_and_is_told_once() -> None:
    config = ds.ClusterConfig.of(kube_version="1.22", **DUAL, feature_gates={"IPv6DualStack": True})  # type: ignore[arg-type]
    frame = reports.version_changes(config)
    serious = frame.loc[frame["severity"].isin(["fatal", "error"])]
    assert set(serious["since"]) == {"1.25"}
    assert len(serious) == 4
    at = frame.loc[frame["since"] == "1.25", "severity"].tolist()
    assert at[:4] == ["error"] * 4


def test_a_refusal_that_ends_is_good_news() -> None:
    config = ds.ClusterConfig.of(kube_version="1.32", service_cidrs="10.0.0.0/8")
    frame = reports.version_changes(config, "1.34")
    row = frame.loc[frame["what"] == "flag --service-cluster-ip-range of kube-apiserver"].to_dict("records")[0]
    assert (row["since"], row["severity"]) == ("1.34", "note")
    assert row["meaning"].startswith("no longer found: specified --service-cluster-ip-range is too large")


def test_objects_count_where_there_are_any() -> None:
    cluster = examples.single_stack_ipv4()
    frame = reports.version_changes(cluster, "1.23").set_index("what")
    assert frame.loc["rule service_unconditional_update", "touches"] == f"{len(cluster.services)} Services"
    config_only = reports.version_changes(cluster.config, "1.23")
    assert "rule service_unconditional_update" not in set(config_only["what"])


def test_flags_as_given_are_judged_instead() -> None:
    config = ds.ClusterConfig.of(kube_version="1.23")
    flags = {"kubelet": ["--network-plugin=kubenet"]}
    frame = reports.version_changes(config, "1.24", flags=flags).to_dict("records")
    assert [(row["since"], row["severity"], row["meaning"]) for row in frame] == [
        ("1.24", "fatal", "unknown flag: --network-plugin")
    ]
