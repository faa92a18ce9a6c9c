"""Findings as a card: every one whole, every source that names a place a link to it."""

import ast
import pickle
import re
from pathlib import Path

import pandas as pd
import pytest

import dsmodel as ds
from dsmodel.cards import Link
from dsmodel.cluster.checks.audit import ADVICE, RULES, _source_of_objects
from dsmodel.cluster.checks.reading import READER_ADVICE
from dsmodel.findings import Findings, findings_card, source_links
from dsmodel.io.dump_checks import EVENTS
from dsmodel.io.samples import sample_path

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
        for part in source_links(rule.source, kube_version="1.36"):
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
        ds.reports.audit(ds.read_cluster(sample_path("nearly-full"))),
    ],
    ids=["check", "check_config", "check_flags", "findings", "audit"],
)
def test_every_finding_is_there_whole_with_its_source(frame: pd.DataFrame) -> None:
    assert isinstance(frame, Findings)
    card = findings_card(frame)
    text = card.text()
    assert (repr(frame), frame._repr_html_()) == (text, card.html())
    for row in frame.to_dict("records"):
        assert f"{row['severity']} {row['rule']}:" in text
    for section in card.sections:
        rule = section.title.split()[1]
        said = "".join(frame.loc[frame["rule"] == rule, "source"]) if "source" in frame else ""
        told = frame.attrs.get("rules", {}).get(rule, ("", ""))[1]
        assert any(row[0] == "source" for row in section.rows) == bool(said or told), section.title
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
    text = findings_card(pd.DataFrame([row] * 40)).text()
    assert text.count("Service/a/b") == 15
    assert "and 25 more" in text


def test_hostile_names_stay_text() -> None:
    row = dict.fromkeys(("severity", "rule", "object", "message", "fix", "source"), "<script>alert(1)</script>")
    card = findings_card(pd.DataFrame([row]))
    assert "<script" not in card.html()
    assert "javascript:" not in findings_card(pd.DataFrame([row | {"source": "javascript:alert(1)"}])).html().replace(
        ">javascript:", ">"
    )


def made(**changes: str) -> Findings:
    rows = [("error", "a-rule", "Node/a", "m" * 99, "f", "KEP-1880"), ("info", "b-rule", "Node/b", "n", "", "")]
    frame = Findings(rows, columns=["severity", "rule", "object", "message", "fix", "source"], kube_version="1.30")
    return frame.assign(**changes) if changes else frame


def test_chosen_rows_are_findings_and_chosen_columns_a_table() -> None:
    frame = made()
    errors = frame[frame["severity"] == "error"]
    assert repr(errors).startswith("1 finding: 1 error\nerror a-rule:")
    for table in (
        frame[["severity", "rule"]],
        frame[:0][["severity", "rule"]],
        frame.assign(more=1),
        frame.head(1).drop(columns="fix"),
    ):
        assert repr(table) == repr(pd.DataFrame(table))
        assert table._repr_html_() == pd.DataFrame(table)._repr_html_()


def test_in_all_else_it_is_a_frame(tmp_path: Path) -> None:
    frame = made()
    plain = pd.DataFrame(frame)
    assert type(plain) is pd.DataFrame
    assert frame.equals(plain)
    assert frame.groupby("rule").size().to_dict() == {"a-rule": 1, "b-rule": 1}
    assert pickle.loads(pickle.dumps(frame)).attrs == frame.attrs  # noqa: S301 - of this process
    frame.to_parquet(tmp_path / "found.parquet")
    assert pd.read_parquet(tmp_path / "found.parquet").equals(plain)
    assert pd.concat([frame, frame], ignore_index=True)["rule"].tolist() == ["a-rule", "b-rule"] * 2


def test_advice_stands_in_where_no_column_has_it() -> None:
    frame = Findings([("info", "b-rule", "m")], columns=["severity", "rule", "message"], kube_version="1.30")
    assert "source" not in repr(frame)
    known = Findings(frame, kube_version="1.30", rules={"b-rule": ("mend it", "RFC 6052")})
    assert repr(known).splitlines()[-2:] == ["    fix     mend it", "    source  RFC 6052"]
    assert set(ADVICE) == {rule.name for rule in RULES} | set(READER_ADVICE)


def rules_of_the_reader() -> set[str]:
    """Every rule that the modules which read files name."""
    named = {rule for _, rule, _ in EVENTS.values()}
    for path in (Path(ds.__file__).parent / "io").glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("findings.add"):
                named |= {str(part.value) for part in ast.walk(call.args[1]) if isinstance(part, ast.Constant)}
            elif isinstance(call, ast.Call) and ast.unparse(call.func) == "self.add" and len(call.args) == 3:
                rule = call.args[1]
                named |= {rule.value} if isinstance(rule, ast.Constant) and path.name == "dump_findings.py" else set()
    return named


def test_every_rule_of_the_reader_has_a_way_out_and_a_source() -> None:
    named = rules_of_the_reader()
    assert {"cidr-not-available", "object-duplicate", "field-invalid", "ip-address-leaked"} <= named
    assert named - {rule.name for rule in RULES} - {"rule"} == set(READER_ADVICE)
    for rule, (fix, source) in READER_ADVICE.items():
        assert fix, rule
        linked = [isinstance(part, Link) for part in source_links(source, kube_version="1.36")]
        assert all(linked) == (rule != "version-unsupported"), (
            rule
        )  # that one is a limit of the model, not of Kubernetes


def test_what_the_reader_found_is_linked_too() -> None:
    found = ds.check(ds.read_cluster(sample_path("nearly-full")))
    (row,) = found[found["rule"] == "cidr-not-available"].drop_duplicates("source").to_dict("records")
    assert row["fix"]
    link, where = source_links(row["source"], kube_version="1.36")
    assert isinstance(link, Link)
    assert link.url.endswith("/pkg/controller/nodeipam/ipam/range_allocator.go")
    assert str(where) == "read from nearly-full.json.gz"  # the same on every machine


def test_objects_of_a_plugin_lead_to_its_own_project() -> None:
    calico = ds.cni.Calico([ds.cni.calico.IPPool("v4", ds.Cidr("10.0.0.0/24"), 26)])
    cluster = ds.Cluster(ds.ClusterConfig.of(cluster_cidrs=["10.0.0.0/24"]), network_plugin=calico)
    first, _ = source_links(_source_of_objects(cluster), kube_version="1.36")
    assert isinstance(first, Link)
    assert first.url == "https://github.com/projectcalico/calico/blob/HEAD/libcalico-go/lib/ipam/ipam.go"
