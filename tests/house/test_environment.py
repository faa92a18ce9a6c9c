"""environment.yml asks for what pyproject.toml asks for, and constraints.txt pins inside those ranges."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("notebook", "parquet", "numba", "dask", "parallel", "explore", "docs", "test", "bench")
# conda-forge's name where it is not the name on the Python index
CONDA_NAMES = {"build": "python-build"}


def wanted() -> set[str]:
    requirements = list(PROJECT["dependencies"])
    for extra in EXTRAS:
        requirements += PROJECT["optional-dependencies"][extra]
    texts = set()
    for text in requirements:
        requirement = Requirement(text)
        name = CONDA_NAMES.get(requirement.name, requirement.name)
        texts.add(name + ",".join(sorted(str(part) for part in requirement.specifier)))
    return texts


def environment() -> list[str]:
    return [d for d in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"] if isinstance(d, str)]


def test_environment_asks_for_what_pyproject_asks_for() -> None:
    texts = set()
    for text in environment():
        name = re.match(r"[a-z0-9-]+", text).group()
        if name not in {"python", "pip"}:
            texts.add(name + ",".join(sorted(text.removeprefix(name).split(","))) if text != name else name)
    assert texts == wanted()


def test_environment_has_the_python_of_pyproject() -> None:
    (python,) = (d for d in environment() if d.startswith("python>"))
    assert python == f"python{PROJECT['requires-python']}"


def test_every_extra_is_there() -> None:
    assert set(PROJECT["optional-dependencies"]) == set(EXTRAS)


@pytest.mark.parametrize("line", (ROOT / "constraints.txt").read_text().splitlines())
def test_constraints_are_plain_pins(line: str) -> None:
    assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!+-]+", line), line


def test_constraints_lie_inside_the_ranges() -> None:
    pins = dict(
        line.lower().split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in map(Requirement, (text for group in groups for text in group)):
        pin = pins.get(requirement.name.lower())
        assert pin is None or requirement.specifier.contains(pin), f"{requirement} against {pin}"
    missing = [text for text in PROJECT["dependencies"] if Requirement(text).name.lower() not in pins]
    assert missing == [], "every run-time dependency is pinned for CI"
