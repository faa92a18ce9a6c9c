"""Only kube/versions.py compares Kubernetes versions."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "dsmodel"
MODULES = [p for p in sorted(PACKAGE.rglob("*.py")) if p.name != "versions.py"]
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.In, ast.NotIn)


def is_version(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in {"kube_version", "minor", "version_info"} or (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "KubeVersion"
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_comparison_of_versions(path: Path) -> None:
    wrong = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        and any(isinstance(op, ORDER) for op in node.ops)
        and any(is_version(side) for side in (node.left, *node.comparators))
    ]
    assert wrong == [], f"{path.name} compares versions at lines {wrong}; add a row to kube/versions.py instead"
