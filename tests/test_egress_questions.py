"""What the how-to page says of traffic that leaves runs as it stands there."""

import re
from pathlib import Path

import pytest

import dsmodel as ds

PAGE = Path(__file__).parents[1] / "docs" / "how-to.md"
SECTION = PAGE.read_text().split("## Ask how traffic leaves")[1].split("\n## ")[0]
LINES = re.findall(r"^\| (.*\?) \| `(.*)` \|$", SECTION, re.MULTILINE)


def names():
    """What the block of code makes, of a cluster whose pods and nodes have the names that the lines ask for."""
    cluster = ds.examples.kubeadm_dual_stack()
    found = {"ds": ds, "cluster": cluster}
    exec(re.search(r"```python\n(.*?)```", SECTION, re.DOTALL).group(1), found)  # noqa: S102 - our own documentation
    return found


def test_there_are_eight():
    assert len(LINES) == 8


@pytest.mark.parametrize(("question", "line"), LINES)
def test_one_line_answers(question, line):
    line = line.replace("shop/cart-0", "shop/app00-00001")
    answer = eval(line, names())  # noqa: S307 - a line of our own documentation
    assert len(getattr(answer, "frame", answer).columns) >= 7, question
