"""Write the verdicts of an API server as text for a terminal: refusals first, then changes, then counts.

Promises: lines fit the width unless one word does not, the server's own words stay whole, and what manifests hold
cannot steer the terminal. Knows the columns of `dsmodel.reports.admission` and nothing else.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd

__all__ = ["summary", "text"]

_MOST = 200  # Services shown of each verdict; JSON and CSV hold every row
_WORDS = {"refused": "Refused", "changed": "Taken, and changed"}


def summary(frame: pd.DataFrame) -> str:
    """Count the verdicts in one sentence.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.admission` returns it.

    Returns
    -------
    str
        One sentence.

    Raises
    ------
    None
        Every frame has one.

    Examples
    --------
    >>> import pandas as pd
    >>> summary(pd.DataFrame({"verdict": ["accepted", "refused"]}))
    '2 Services: 1 refused, 0 changed, 1 accepted.'
    """
    counts = frame["verdict"].value_counts()
    parts = ", ".join(f"{int(counts.get(verdict, 0)):,} {verdict}" for verdict in ("refused", "changed", "accepted"))
    return f"{len(frame):,} Service{'' if len(frame) == 1 else 's'}: {parts}."


def text(
    frame: pd.DataFrame, *, skipped: Mapping[str, int], width: int = 100, emphasise: Callable[[str], str] = str
) -> str:
    """Write refusals with the server's words, changes, and counts.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.admission` returns it.
    skipped : mapping of str to int
        Objects of other kinds.
    width : int
        Characters a line may take.
    emphasise : callable
        Applied to the title of the refusals, for instance a terminal colour.

    Returns
    -------
    str
        Lines joined by newlines, no newline at the end.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"file": "a.yaml", "document": 2, "namespace": "shop", "name": "web", "verdict": "refused",
    ...        "message": 'services "web" already exists', "changed": "", "why": ""}
    >>> print(text(pd.DataFrame([row]), skipped={"ConfigMap": 3}))
    1 Service: 1 refused, 0 changed, 0 accepted.
    <BLANKLINE>
    Refused
    -------
    shop/web (a.yaml, document 2)
      services "web" already exists
    <BLANKLINE>
    Skipped, as they are no Services: ConfigMap 3.
    """
    parts = [summary(frame)]
    for verdict, title in _WORDS.items():
        rows = frame[frame["verdict"] == verdict]
        if len(rows):
            records = rows.head(_MOST).to_dict("records")
            entries = [_entry({str(name): value for name, value in row.items()}, width) for row in records]
            more = [f"… and {len(rows) - _MOST:,} more"] if len(rows) > _MOST else []
            heading = emphasise(title) if verdict == "refused" else title
            parts.append("\n".join([heading, "-" * len(title), *entries, *more]))
    if skipped:
        counted = ", ".join(f"{kind} {count:,}" for kind, count in sorted(skipped.items()))
        parts.append("\n".join(_wrapped(f"Skipped, as they are no Services: {_plain(counted)}.", width, indent="")))
    return "\n\n".join(parts)


def _entry(row: Mapping[str, object], width: int) -> str:
    """Write one Service: who, where, what, why."""
    who = "/".join(str(row[part]) for part in ("namespace", "name") if row[part]) or "(no name)"
    where = f" ({row['file']}, document {row['document']})" if row["file"] else ""
    lines = [_plain(f"{who}{where}")]
    for column, label in (("message", ""), ("changed", ""), ("why", "why: ")):
        if row[column]:
            lines += _wrapped(f"{label}{_plain(str(row[column]))}", width, indent="  ")
    return "\n".join(lines)


def _wrapped(line: str, width: int, *, indent: str) -> Iterator[str]:
    """Break a line between words."""
    yield from textwrap.wrap(
        line,
        width,
        initial_indent=indent,
        subsequent_indent=indent + "  " if indent else "",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _plain(line: str) -> str:
    """Replace what a terminal would obey."""
    return line if line.isprintable() else "".join(c if c.isprintable() else "?" for c in line)
