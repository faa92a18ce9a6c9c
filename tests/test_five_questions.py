"""The five questions a newcomer asks first take one line each, from the documentation, and answer."""

import re
from pathlib import Path

import pandas as pd
import pytest

import dsmodel as ds
from dsmodel.io.samples import sample_path

PAGE = Path(__file__).parents[1] / "docs" / "how-to.md"
KUBEADM = """
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.0
networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/16}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ipFamilyPolicy: RequireDualStack, ports: [{port: 80}], selector: {app: web}}
"""


def lines() -> list[tuple[str, str]]:
    """Questions and lines of the table on the how-to page."""
    table = PAGE.read_text().split("## Ask the five commonest questions")[1].split("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ") and "`ds." in row]
    return [(row.split(" | ")[0].strip("| "), re.search(r"`(ds\..*)` \|$", row).group(1)) for row in rows]


def test_there_are_five() -> None:
    assert len(lines()) == 5


@pytest.mark.parametrize(("question", "line"), lines())
def test_one_line_answers(question: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kubeadm.yaml").write_text(KUBEADM)
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "service.yaml").write_text(SERVICE)
    names = {"ds": ds, "cluster": ds.read_cluster(sample_path("nearly-full"))}
    answer = eval(line, names)  # noqa: S307 - a line of our own documentation
    frame = answer if isinstance(answer, pd.DataFrame) else ds.reports.exhaustion(answer)
    assert len(frame.columns) >= 3, question
