"""Every notebook is one question, listed, short in its cells, with a frame after every picture."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
MOST_LINES, LONGEST_FUNCTION = 10, 5
TOPICS = {  # what people search for, and the notebook that answers it
    "quick start on a real dump": "01-what-runs-out-first",
    "dual-stack Services": "02-dual-stack-services",
    "node and pod ranges": "16-node-and-pod-ranges",
    "CIDRNotAvailable": "04-cidrnotavailable",
    "range is full": "06-range-is-full",
    "node CIDR size is too big": "05-node-cidr-size-is-too-big",
    "capacity planning": "08-a-plan-for-five-years",
    "exhaustion forecast": "07-when-do-we-run-out",
    "single to dual": "09-single-to-dual-stack",
    "egress and SNAT": "10-my-pods-leave-with-a-ula",
    "Calico blocks and fragmentation": "12-calico-blocks",
    "your own cluster's dump": "17-a-dump-of-your-own-cluster",
    "fleet sweep on Dask": "14-a-grid-of-what-ifs-on-dask",
    "building your own report": "15-your-own-report",
}


def cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text())["cells"]


def code(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in cells(path) if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def is_drawn(cell: dict[str, Any]) -> bool:
    return any("image/png" in output.get("data", {}) for output in cell["outputs"])


def test_numbers_are_unique_and_without_gaps() -> None:
    assert [int(name[:2]) for name in NAMES] == list(range(1, len(NAMES) + 1))


def test_every_topic_has_a_notebook_of_its_own() -> None:
    assert len(set(TOPICS.values())) == len(TOPICS) == 14
    assert sorted(set(TOPICS.values()) - set(NAMES)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
class TestNotebook:
    def test_is_in_the_index(self, path: Path) -> None:
        assert f"]({path.name})" in (ROOT / "notebooks" / "README.md").read_text()

    def test_is_on_the_site(self, path: Path) -> None:
        # the site copies the folder and lists it whole
        assert "made/tutorials/*" in (ROOT / "docs" / "tutorials.md").read_text()
        assert '"notebooks").glob("*.ipynb")' in (ROOT / "docs" / "pages.py").read_text()
        first = source(cells(path)[0])
        assert re.match(r"# \S", first), "a page of the site begins with its title"

    def test_was_run_from_top_to_bottom(self, path: Path) -> None:
        counts = [cell["execution_count"] for cell in code(path)]
        assert counts == list(range(1, len(counts) + 1))

    def test_cells_are_short(self, path: Path) -> None:
        long = [source(cell) for cell in code(path) if len(source(cell).splitlines()) > MOST_LINES]
        assert long == []

    def test_functions_are_short(self, path: Path) -> None:
        for cell in code(path):
            for body in re.findall(r"^def .*(?:\n(?:[ ].*|$))*", source(cell), re.MULTILINE):
                assert len(body.strip().splitlines()) <= LONGEST_FUNCTION, body

    def test_every_picture_is_followed_by_a_frame(self, path: Path) -> None:
        listed = code(path)
        for place, cell in enumerate(listed):
            if is_drawn(cell):
                following = listed[place + 1] if place + 1 < len(listed) else {"outputs": []}
                assert any("text/html" in output.get("data", {}) for output in following["outputs"]), source(cell)

    def test_outputs_have_no_errors_and_no_clocks(self, path: Path) -> None:
        for cell in code(path):
            for output in cell["outputs"]:
                assert output["output_type"] != "error"
                assert not re.search(
                    r"0x[0-9a-f]{8,}|object at ", json.dumps(output.get("data", {}).get("text/plain", ""))
                )
