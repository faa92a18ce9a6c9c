"""Findings as a card: every one whole, every source that names a place a link to it."""

import re

import pandas as pd
import pytest

import dsmodel as ds
from dsmodel.cards import Link
from dsmodel.cluster.checks.audit import RULES
from dsmodel.io.samples import sample_path
from dsmodel.reports.citations import shown, source_links

KUBERNETES = "https://github.com/kubernetes/kubernetes"
LINKS = [  # source, where it leads; "" for text
    ("pkg/kubelet/kubelet_pods.go, sortPodIPs", f"{KUBERNETES}/blob/v1.34.0/pkg/kubelet/kubelet_pods.go"),
    ("pkg/features/kube_features.go of v1.36.2", f"{KUBERNETES}/blob/v1.36.2/pkg/features/kube_features.go"),
    (
        "k8s.io/apimachinery/pkg/util/net/port_range.go",
        f"{KUBERNETES}/blob/v1.34.0/staging/src/k8s.io/apimachinery/pkg/util/net/port_range.go",
    ),
    ("KEP-3070", "https://kep.k8s.io/3070"),
    ("RFC 6052", "https://www.rfc-editor.org/rfc/rfc6052"),
    ("cilium/cilium#13766", "https://github.com/cilium/cilium/issues/13766"),
    ("cilium/cilium pkg/egressgateway", "https://github.com/cilium/cilium/tree/HEAD/pkg/egressgateway"),
    (
        "projectcalico/calico cni-plugin/pkg/ipamplugin/ipam_plugin.go",
        "https://github.com/projectcalico/calico/blob/HEAD/cni-plugin/pkg/ipamplugin/ipam_plugin.go",
    ),
    ("aws/amazon-vpc-cni-k8s README", "https://github.com/aws/amazon-vpc-cni-k8s"),
    (
        "host-local reserves once: plugins/ipam/host-local/backend/disk/backend.go, Reserve",
        "https://github.com/containernetworking/plugins/blob/HEAD/plugins/ipam/host-local/backend/disk/backend.go",
    ),
    (
        "range_allocator.go",
        "https://github.com/search?type=code&q=repo%3Akubernetes%2Fkubernetes+path%3Arange_allocator.go",
    ),
    ("recording of 1.20", ""),
    ("no component of Kubernetes compares these ranges", ""),
]


@pytest.mark.parametrize(("source", "url"), LINKS)
def test_a_source_leads_where_it_says(source: str, url: str) -> None:
    (found,) = source_links(source, kube_version="1.34")
    assert str(found) == source
    assert (found.url if isinstance(found, Link) else "") == url


def test_every_rule_that_names_a_file_or_an_issue_is_linked() -> None:
    for rule in RULES:
        for part in source_links(rule.source):
            assert isinstance(part, Link) == bool(re.search(r"\.go\b|#[0-9]|KEP-[0-9]|^[\w-]+/[\w-]+ ", str(part))), (
                part
            )


@pytest.mark.parametrize(
    "frame",
    [
        ds.check(ds.examples.nearly_full(), peers={"office": "10.244.0.0/21"}),
        ds.check_config(ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/16"], service_cidrs=["10.0.1.0/24"])),
        ds.check_flags("kube-controller-manager", ["--cluster-cidr=10.0.0.0/8", "--node-cidr-mask-size=4"]),
        ds.reports.findings(ds.read_cluster(sample_path("nearly-full"))),
    ],
    ids=["check", "check_config", "check_flags", "findings"],
)
def test_every_finding_is_there_whole_with_its_source(frame: pd.DataFrame) -> None:
    card = shown(frame)
    text = card.text()
    for row in frame.to_dict("records"):
        assert f"{row['severity']} {row['rule']}:" in text
    for section in card.sections:
        assert any(row[0] == "source" for row in section.rows) or "source" not in frame
    few = frame.groupby("rule").head(10)
    assert all(" ".join(message.split()) in text for message in few["message"])
    assert text.splitlines()[0].startswith(f"{len(frame):,} finding")
    assert "<a " in card.html()


def test_many_findings_of_a_rule_are_counted() -> None:
    row = {
        "severity": "info",
        "rule": "service-one-family",
        "object": "Service/a/b",
        "message": "m",
        "fix": "",
        "source": "",
    }
    text = shown(pd.DataFrame([row] * 40)).text()
    assert text.count("Service/a/b") == 15
    assert "and 25 more" in text


def test_hostile_names_stay_text() -> None:
    row = dict.fromkeys(("severity", "rule", "object", "message", "fix", "source"), "<script>alert(1)</script>")
    card = shown(pd.DataFrame([row]))
    assert "<script" not in card.html()
    assert "javascript:" not in shown(pd.DataFrame([row | {"source": "javascript:alert(1)"}])).html().replace(
        ">javascript:", ">"
    )


def test_what_holds_no_findings_is_named() -> None:
    with pytest.raises(ds.errors.InvalidInput, match="severity, rule, message"):
        shown(pd.DataFrame({"a": [1]}))
