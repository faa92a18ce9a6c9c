"""The built wheel carries all it needs: installed alone, it reads its packaged dump and writes the report."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"MPLBACKEND": "Agg"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        folder / "dist",
        ROOT,
        cwd=folder,
    )
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=folder)
    # The dependencies come from this environment's folder, put behind the new one's on the path. A folder named in a
    # .pth file has its own .pth files ignored, so the editable install of the checkout is out of reach.
    purelib = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_package_comes_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    where = run(installed, "-c", "import dsmodel; print(dsmodel.__file__)", cwd=tmp_path).strip()
    assert not Path(where).is_relative_to(ROOT)


def test_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    out = run(installed.with_name("dsmodel"), "demo", "--output", tmp_path / "demo", cwd=tmp_path)
    assert "binds" in out
    names = {p.suffix for p in (tmp_path / "demo").iterdir()}
    assert {".html", ".png"} <= names
