"""What `import dsmodel` offers, and what it costs."""

import subprocess
import sys
import types

import pytest

import dsmodel as ds

HEAVY = ("networkx", "matplotlib", "ipywidgets", "IPython", "yaml", "pyarrow.parquet", "dask", "click")


def test_all_is_sorted() -> None:
    assert ds.__all__ == sorted(ds.__all__)


@pytest.mark.parametrize("name", ds.__all__)
def test_every_public_name_opens(name: str) -> None:
    assert getattr(ds, name) is not None


def test_every_door_is_public() -> None:
    assert ds.__all__ == sorted([*ds._DOORS, "__version__"])


def test_dir_is_the_public_list() -> None:
    assert dir(ds) == ds.__all__


def test_an_unknown_name_is_an_attribute_error_that_lists_the_known() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Clutser'.*Cluster"):
        _ = ds.Clutser


def test_every_public_object_has_a_docstring() -> None:
    for name in ds.__all__:
        value = getattr(ds, name)
        if isinstance(value, type | types.FunctionType | types.ModuleType):
            assert (value.__doc__ or "").strip(), name


def test_import_loads_no_heavy_library() -> None:
    code = f"import dsmodel, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_import_sets_up_no_logging_and_prints_nothing() -> None:
    code = "import dsmodel, logging; assert not logging.root.handlers"
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")
