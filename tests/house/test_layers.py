"""Imports run down only, siblings do not meet, heavy libraries stay in their modules."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "dsmodel"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What each layer may import of ours, itself included. Siblings are absent from each other's row.
BELOW: dict[str, set[str]] = {
    "errors": {"errors"},
    "addresses": {"errors", "addresses"},
    "pools": {"errors", "addresses", "pools"},
    "kube": {"errors", "addresses", "pools", "kube"},
    "cni": {"errors", "addresses", "pools", "cni"},
    "cluster": {"errors", "addresses", "pools", "kube", "cni", "cluster"},
}
for _layer in BELOW.values():  # below everything, as the errors are: what objects show of themselves, how far work is
    _layer |= {"cards", "findings", "progress", "wording"}
BELOW |= {"cards": {"cards"}, "progress": {"progress"}, "wording": {"wording"}}
BELOW["findings"] = {"cards", "wording", "findings"}
_CLUSTER = BELOW["cluster"]
BELOW |= {name: _CLUSTER | {name} for name in ("graph", "io", "planning")}
BELOW["reports"] = _CLUSTER | {"graph", "planning", "reports"}
BELOW["plots"] = {"errors", "addresses", "wording", "reports", "plots"}
BELOW["testing"] = BELOW["reports"] | {"io", "testing"}  # assertions for suites of one's own; nothing reads it
BELOW["widgets"] = BELOW["reports"] | {"plots", "widgets"}
BELOW["data"] = set()
BELOW["cli"] = {*BELOW["widgets"], "io", "cli", "data", "__version__"}
BELOW["__main__"] = {"cli"}

# Library -> the modules (path prefixes inside the package) that may import it.
HOMES = {
    "networkx": ("graph/topology.py",),
    "matplotlib": ("plots/",),
    "ipywidgets": ("widgets/",),
    "yaml": ("io/", "kube/embedded_configs.py"),
    "pyarrow": ("addresses/text.py", "io/", "cluster/table.py", "cluster/address_array.py"),
    "msgspec": ("io/",),
    "click": ("cli.py", "cli/"),
    "jinja2": ("reports/", "cli.py", "cli/"),
    "pandas": (
        "cluster/",
        "findings.py",
        "graph/",
        "io/",
        "planning/",
        "reports/",
        "plots",
        "testing.py",
        "widgets/",
        "cli",
        "kube/flags.py",
        "kube/config_checks.py",
    ),
}


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module a file names, dotted, relative ones resolved, annotations-only ones included."""
    inside = ["dsmodel", *path.relative_to(PACKAGE).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = inside[: len(inside) - node.level] if node.level else []
            module = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            if module == "dsmodel":
                yield from ((f"dsmodel.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield module, node.lineno


def layer_of(dotted: str) -> str:
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_down_only(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    layer = relative.parts[0].removesuffix(".py")
    if layer == "__init__":
        return  # the front door names every layer, lazily
    assert layer in BELOW, f"{relative}: {layer} is no layer of the house plan"
    wrong = [
        f"{relative}:{line} imports {name}"
        for name, line in imports(path)
        if name.split(".")[0] == "dsmodel" and layer_of(name) not in BELOW[layer]
    ]
    assert wrong == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_libraries_stay_at_home(path: Path) -> None:
    relative = str(path.relative_to(PACKAGE))
    wrong = [
        f"{relative}:{line} imports {name}"
        for name, line in imports(path)
        if (homes := HOMES.get(name.split(".")[0])) and not relative.startswith(homes)
    ]
    assert wrong == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    banned = {"utils", "util", "common", "core", "helpers", "types", "misc", "base"}
    assert [p for p in MODULES if p.stem in banned] == []


def test_every_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {text.split(">")[0].split("[")[0].lower() for text in project["dependencies"]}
    optional = {
        text.split(">")[0].split("[")[0].lower()
        for group in project["optional-dependencies"].values()
        for text in group
    }
    owners = packages_distributions()
    for path in MODULES:
        for name, line in imports(path):
            top = name.split(".")[0]
            if top in sys.stdlib_module_names or top in {"dsmodel", "__future__"}:
                continue
            distributions = {d.lower() for d in owners.get(top, [top])}
            assert distributions & (declared | optional | {"numba"}), f"{path}:{line} imports undeclared {top}"
