"""Docstrings are promises: every parameter is named, Raises is always there, kube and cni name their source."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import dsmodel

SECTION = re.compile(
    r"^ *(Parameters|Returns|Yields|Raises|Source|Examples|Notes|Attributes|See Also)\n *-{3,}$", re.MULTILINE
)

# Storage behind the pools: called by the pools only, so one line each is their promise.
MACHINERY = {f"dsmodel.pools.{name}" for name in ("bitmap", "sparse", "words", "runs")}


def public_functions() -> Iterator[tuple[str, Any]]:
    for info in pkgutil.walk_packages(dsmodel.__path__, "dsmodel."):
        if info.name.rpartition(".")[2].startswith("_"):
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != info.name:
                continue
            if info.name in MACHINERY or getattr(value, "_is_protocol", False):
                continue
            if inspect.isfunction(value):
                yield f"{info.name}.{name}", value
            elif inspect.isclass(value):
                for attribute, member in vars(value).items():
                    function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
                    if not attribute.startswith("_") and inspect.isfunction(function):
                        yield f"{info.name}.{name}.{attribute}", function


FUNCTIONS = dict(public_functions())


def sections(function: Any) -> set[str]:
    return set(SECTION.findall(inspect.getdoc(function) or ""))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_keep_the_form(name: str) -> None:
    function = FUNCTIONS[name]
    text = inspect.getdoc(function) or ""
    assert text, "no docstring"
    assert "Raises" in sections(function), "no Raises section"
    parameters = [p for p in inspect.signature(function).parameters if p not in {"self", "cls"}]
    missing = [p for p in parameters if not re.search(rf"^\**{p}\b|, \**{p}\b", text, re.MULTILINE)]
    assert missing == [], f"parameters without a promise: {missing}"


@pytest.mark.parametrize(
    "module",
    [
        info.name
        for folder in ("kube", "cni")
        for info in pkgutil.iter_modules(importlib.import_module(f"dsmodel.{folder}").__path__, f"dsmodel.{folder}.")
    ],
)
def test_kube_and_cni_modules_name_their_sources(module: str) -> None:
    text = importlib.import_module(module).__doc__ or ""
    assert re.search(r"\bSources?\b", text), "the module docstring names no source"
