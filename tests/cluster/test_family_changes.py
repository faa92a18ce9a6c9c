"""A policy set for many Services is one patch after the other, and a row that cannot have it stays as it was."""

import pytest

import dsmodel as ds
from dsmodel.cluster.api_server import control_plane_of
from dsmodel.errors import InvalidConfig, InvalidInput, Reason, Rejected
from dsmodel.io.samples import sample_path
from dsmodel.reports import difference


@pytest.mark.parametrize("policy", ["PreferDualStack", "RequireDualStack", "SingleStack"])
@pytest.mark.parametrize("sample", ["dual-stack-shop", "nearly-full"])
def test_a_policy_for_all_is_the_same_as_one_patch_after_the_other(sample: str, policy: str) -> None:
    cluster = ds.read_cluster(sample_path(sample))
    server, what_if = control_plane_of(cluster), cluster.copy()
    outcome = what_if.set_family_policy(policy)
    after = what_if.services.to_frame(addresses="text").astype(object)
    after = after.where(after.notna(), "")
    for row, reason in zip(after.itertuples(), outcome.reason.tolist(), strict=True):
        stored = server.get("Service", row.name, namespace=row.namespace)
        ports = [{"name": f"p{n}", "port": n + 1, **port} for n, port in enumerate(stored["spec"].get("ports", [{}]))]
        for port in ports:
            port["port"] = port["port"] or 80
        patch = {"spec": {"ipFamilyPolicy": policy, "selector": {"app": "x"}, "ports": ports}}
        if stored["spec"]["type"] == "ExternalName":
            patch["spec"]["externalName"] = "db.example.com"
        try:
            spec = server.patch("Service", row.name, patch, patch_type="merge", namespace=row.namespace)["spec"]
        except Rejected:
            assert reason == Reason.REJECTED
            continue
        assert reason == Reason.OK
        assert (row.ip_family_policy, row.ip_families) == (spec["ipFamilyPolicy"], ",".join(spec["ipFamilies"]))
        held = [text for text in (row.cluster_ipv4, row.cluster_ipv6) if text]
        assert len(held) == len([text for text in spec["clusterIPs"] if text != "None"])


def test_a_full_range_leaves_the_rest_as_it_was() -> None:
    cluster = ds.Cluster(ds.ClusterConfig.of(service_cidrs=["10.96.0.0/24", "fd00:10:96::/124"]))
    cluster.add_services(20)
    what_if = cluster.copy()
    outcome = what_if.set_family_policy("PreferDualStack")
    assert repr(outcome) == "Outcome(15 OK, 6 POOL_FULL)"
    frame = difference(cluster, what_if).set_index(["pool", "ip_family"]).loc[("service addresses", "IPv6")]
    assert frame[["used_before", "used_after", "delta", "free_after", "without"]].tolist() == [0, 15, 15, 0, 6]
    assert "6 Services have none of IPv6: the range has none left" in frame["why"]
    back = what_if.set_family_policy("SingleStack")
    assert back.granted == 21
    assert (difference(cluster, what_if)["delta"] == 0).all()


def test_rows_can_be_named_and_words_must_be_known() -> None:
    cluster = ds.Cluster(ds.ClusterConfig.of(service_cidrs=["10.96.0.0/24", "fd00:10:96::/120"]))
    cluster.add_services(3)
    outcome = cluster.set_family_policy("PreferDualStack", [2, 2, 9, 1])
    assert outcome.reason.tolist() == [Reason.OK, Reason.NOT_FOUND, Reason.NOT_FOUND, Reason.OK]
    assert cluster.services["has_cluster_ipv6"].tolist() == [False, True, True, False]
    assert cluster.set_family_policy("SingleStack", cluster.services["has_cluster_ipv6"]).granted == 2
    with pytest.raises(InvalidInput, match="the words are SingleStack, PreferDualStack, RequireDualStack"):
        cluster.set_family_policy("DualStack")


def test_without_a_service_range_there_is_nothing_to_set() -> None:
    with pytest.raises(InvalidConfig, match="no service range is known"):
        ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.244.0.0/16"])).set_family_policy("PreferDualStack")
