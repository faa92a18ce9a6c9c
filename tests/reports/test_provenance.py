"""The table of sources is whole, and calls recorded only what the recordings replay."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsmodel import reports
from dsmodel.cluster.network_plugins import PLUGIN_NAMES
from dsmodel.cni import PROVENANCES

RECORDINGS = Path(__file__).parent.parent / "conformance" / "recordings"
# recorded component -> recordings that the conformance tests replay for it, by how their names begin
REPLAYED = {
    "flags of kube-apiserver": {"flags"},
    "flags of kube-controller-manager": {"flags"},
    "host-local": {"host-local"},
    "kube-apiserver, Nodes": {"nodeipam"},
    "kube-apiserver, ServiceCIDR and IPAddress": {"servicecidr"},
    "kube-apiserver, Services": {"services"},
    "kube-apiserver, exhausted service ranges and bands": {"exhaustion"},
    "kube-apiserver, node ports": {"services"},
    "kube-controller-manager, node IPAM": {"nodeipam"},
}


def kinds() -> set[str]:
    return {path.name.removesuffix(".jsonl.gz").split("-v1")[0] for path in RECORDINGS.glob("*.jsonl.gz")}


def test_recorded_rows_have_their_recordings_and_all_recordings_a_row() -> None:
    frame = reports.provenance()
    recorded = frame.loc[frame["certainty"] == "verified by recording", "component"]
    assert set(recorded) == set(REPLAYED)
    assert set().union(*REPLAYED.values()) == kinds()


@pytest.mark.parametrize("name", sorted(REPLAYED))
def test_versions_are_those_recorded(name: str) -> None:
    frame = reports.provenance().set_index("component")
    files = [path.name for path in RECORDINGS.glob("*.jsonl.gz") if path.name.split("-v1")[0] in REPLAYED[name]]
    minors = {part.split(".")[1] for file in files for part in file.split("-") if part.startswith("v1.")}
    for minor in minors:
        assert f"v1.{minor}." in frame.loc[name, "version"]


def test_every_plugin_has_a_row_and_every_row_a_source() -> None:
    frame = reports.provenance()
    plugins = frame.loc[frame["part"] == "network plugin", "component"].tolist()
    assert plugins == sorted(row.plugin for row in PROVENANCES)
    named = {name if name != "azure" else "azure-cni" for name in PLUGIN_NAMES}
    assert named <= set(plugins)
    assert (frame[["component", "certainty", "version", "files"]] != "").all(axis=None)
    assert not frame["component"].duplicated().any()
    assert set(frame["certainty"]) == {"verified by recording", "from source", "from docs"}


def test_every_module_of_egress_that_decides_has_a_row() -> None:
    frame = reports.provenance()
    rows = set(frame.loc[frame["part"] == "egress", "component"])
    graph = Path(reports.__file__).parents[1] / "graph"
    apart = {"contract", "evaluation", "rendering", "services", "reading", "proxies", "unmasqueraded"}
    named = {"masquerade_agent": "ip-masq-agent", "reference_plugins": "cni plugins", "aws": "aws-vpc-cni"}
    named |= {"ovn": "ovn-kubernetes"}
    for path in sorted((graph / "masquerade").glob("[a-z]*.py")):
        if path.stem not in apart:
            assert f"masquerade: {named.get(path.stem, path.stem.replace('_', '-'))}" in rows, path.stem
