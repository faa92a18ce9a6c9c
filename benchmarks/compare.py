"""Run every ``bench_*.py`` beside this file and print own cost, peers' cost, ratio and goal; exit 1 when one is missed.

python benchmarks/compare.py [--only GLOB] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import importlib.util
import inspect
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from measure import Row

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def main(arguments: list[str] | None = None) -> int:
    """Return 0 when every goal is reached, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="*", metavar="GLOB", help="files, with or without bench_ (pools, text, ...)")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds, where a file offers them")
    parser.add_argument("--json", action="store_true", help="one JSON list instead of a table")
    options = parser.parse_args(arguments)
    lines = []
    for path in sorted(HERE.glob("bench_*.py")):
        noun = path.stem.removeprefix("bench_")
        if not any(fnmatch.fnmatch(name, options.only) for name in (noun, path.stem)):
            continue
        for row in _rows(_load(path), quick=options.quick):
            lines.extend(_lines(noun, row))
            if not options.json:
                for line in _lines(noun, row):
                    print(_text(line), flush=True)
    if options.json:
        print(json.dumps(lines, indent=1))
    missed = [line for line in lines if line["reached"] is False]
    if missed and not options.json:
        print(f"{len(missed)} of {sum(line['reached'] is not None for line in lines)} goals missed")
    return 1 if missed else 0


def _load(path: Path) -> ModuleType:
    """Import a benchmark file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _rows(module: ModuleType, *, quick: bool) -> Iterator[Row]:
    """Yield the rows of a file; ``quick`` is passed where ``rows`` takes it."""
    takes_quick = "quick" in inspect.signature(module.rows).parameters
    yield from module.rows(quick=quick) if takes_quick else module.rows()


def _lines(noun: str, row: Row) -> Iterator[dict[str, object]]:
    """Yield one line per peer and per limit of a row."""
    base = {"file": noun, "name": row.name, "size": row.size, "own": row.own_ns}
    for peer, cost in row.peers.items():
        ratio, goal = cost / row.own_ns, row.goals.get(peer)
        reached = None if goal is None else ratio >= goal
        yield {**base, "peer": peer, "cost": cost, "ratio": ratio, "goal": goal, "reached": reached}
    known = {"own ns": row.own_ns, **row.quantities}
    for quantity in dict.fromkeys([*row.quantities, *row.limits]):
        value, limit = known[quantity], row.limits.get(quantity)
        reached = None if limit is None else value <= limit
        yield {**base, "peer": quantity, "cost": value, "ratio": None, "goal": limit, "reached": reached}
    if not row.peers and not row.limits and not row.quantities:
        yield {**base, "peer": "", "cost": None, "ratio": None, "goal": None, "reached": None}
    for unknown in set(row.goals) - set(row.peers):
        raise ValueError(f"{dataclasses.asdict(row)['name']}: goal for {unknown}, which did not run")


def _text(line: dict[str, object]) -> str:
    """Return a line of the table."""
    ratio = line["ratio"]
    cost = "" if line["cost"] is None else f"{line['cost']:,.2f}"
    if ratio is None:
        verdict = "" if line["goal"] is None else f"at most {line['goal']:,.6g}"
        ratio_text = ""
    else:
        verdict = "" if line["goal"] is None else f"goal {line['goal']:,.6g}x"
        ratio_text = f"{ratio:,.1f}x"
    mark = {True: "reached", False: "MISSED", None: ""}[line["reached"]]  # type: ignore[index]
    own = f"{line['own']:,.2f} ns"
    return (
        f"{line['file']:<10} {line['name']:<42} {line['size']:<16} {own:>14} {line['peer']:<26} "
        f"{cost:>12} {ratio_text:>10} {verdict:<18} {mark}"
    )


if __name__ == "__main__":
    sys.exit(main())
