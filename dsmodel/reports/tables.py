"""Write report frames as text for a terminal.

Promises: a table fits the width it is given (80 columns and more), numbers stand right-aligned with thousands
separators, causes stand as numbered notes under the table instead of stretching it, and the same frame gives the same
text. Knows the columns of the report frames and nothing of clusters or terminals: the caller says how wide and how to
emphasise.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from dsmodel.reports import presentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["MOST_ROWS", "configuration", "findings", "limits", "usage", "utilization"]

MOST_ROWS = 60  # a longer table is cut with a line that says so; JSON and CSV hold every row
_NARROWEST = 12  # characters that a wrapped column keeps


class _Column(NamedTuple):
    """A titled column of text cells; an elastic one wraps where the table would be too wide."""

    title: str
    cells: list[str]
    right: bool = False
    elastic: bool = False


def limits(frame: pd.DataFrame, *, width: int = 100, emphasise: Callable[[str], str] = str) -> str:
    """Write the limits with the binding one marked, and below the table why each is what it is.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.limits` returns it.
    width : int
        Characters a line may take.
    emphasise : callable
        Applied to the line of the binding row, for instance a terminal colour.

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
    >>> row = {"pool": "node ports", "ip_family": "", "range": "30000-32767", "usable": 2768, "used": 2700,
    ...        "used_ratio": 2700 / 2768, "more_services": 68, "binds": True, "why": "Set by a flag."}
    >>> print(limits(pd.DataFrame([row]), width=80))
          pool        family  range        in use  usable  share            room for
    >  1  node ports          30000-32767   2,700   2,768   97 %  binds, 68 services
    <BLANKLINE>
       1  node ports: Set by a flag.
    """
    rows = frame.to_dict("records")
    binds = [bool(row["binds"]) for row in rows]
    columns = [
        _Column("", [f"{'>' if bound else ' '} {number:>2}" for number, bound in enumerate(binds, 1)]),
        *_pool_columns(frame),
        *_share_columns(frame),
        _Column("room for", [_room(_named(row)) for row in rows], right=True, elastic=True),
    ]
    table, told = _with_range(columns, frame, at=3, width=width)
    lines = [emphasise(line) if line.startswith(">") else line for line in table]
    return "\n".join([*lines, "", *_notes(frame, ranges=not told, width=width)])


def utilization(frame: pd.DataFrame, *, width: int = 100) -> str:
    """Write what is in use and free in every pool.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.utilization` returns it.
    width : int
        Characters a line may take.

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
    >>> row = {"pool": "pod addresses", "ip_family": "IPv6", "range": "16 x /64", "usable": None, "used": 948,
    ...        "free": None, "used_ratio": float("nan")}
    >>> print(utilization(pd.DataFrame([row]), width=80))
    pool           family  range     in use  usable  share            free
    pod addresses  IPv6    16 x /64     948       -      -  cannot run out
    """
    shown = frame.head(MOST_ROWS)
    free = [
        presentation.CANNOT_RUN_OUT if pd.isna(usable) else presentation.count(value)
        for usable, value in zip(shown["usable"], shown["free"], strict=True)
    ]
    columns = [*_pool_columns(shown), *_share_columns(shown), _Column("free", free, right=True)]
    lines = _with_range(columns, shown, at=2 + ("node" in frame), width=width)[0]
    return "\n".join([*lines, *_rest(frame)])


def usage(frame: pd.DataFrame, *, width: int = 100) -> str:
    """Write who uses how many addresses.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.usage` returns it, by any columns.
    width : int
        Characters a line may take.

    Returns
    -------
    str
        Lines joined by newlines, no newline at the end; columns of numbers that do not fit go to a second table.

    Raises
    ------
    None
        Every frame has a text.

    Examples
    --------
    >>> print(usage(pd.DataFrame({"namespace": ["shop"], "pods": [1170], "pod_ipv4": [1161]})))
    namespace   pods  pod IPv4
    shop       1,170     1,161
    """
    columns = [
        _Column(_title(str(name)), [presentation.count(value) for value in values], right=True, elastic=True)
        if pd.api.types.is_numeric_dtype(values)
        else _Column(_title(str(name)), [str(value) for value in values], elastic=True)
        for name, values in frame.head(MOST_ROWS).items()
    ]
    return "\n".join([*_table(columns, width=width), *_rest(frame)])


def findings(frame: pd.DataFrame, *, width: int = 100) -> str:
    """Write what is wrong or noteworthy, the gravest first as the frame has them.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.findings` returns it.
    width : int
        Characters a line may take.

    Returns
    -------
    str
        Two or more lines a finding: severity, rule and object, the file where there are several, then the message.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> row = {"severity": "error", "rule": "full", "object": "Node a", "message": "No block.", "file": "dump.json"}
    >>> print(findings(pd.DataFrame([row])))
    error  full: Node a
        No block.
    >>> print(findings(pd.DataFrame([]).reindex(columns=list(row))))
    none
    """
    lines: list[str] = []
    one_file = frame.loc[frame["file"] != "", "file"].nunique() < 2
    for row in frame.head(MOST_ROWS).to_dict("records"):
        where = f" ({row['file']})" if row["file"] and not one_file else ""
        about = f": {row['object']}" if row["object"] else ""
        lines += _wrap(f"{row['severity']}  {row['rule']}{about}{where}", width=width, first="", rest="    ")
        lines += _wrap(str(row["message"]), width=width, first="    ", rest="    ")
    return "\n".join([*lines, *_rest(frame)]) or "none"


def configuration(frame: pd.DataFrame, *, width: int = 100) -> str:
    """Write the configuration and how each part of it is known.

    Parameters
    ----------
    frame : DataFrame
        As `dsmodel.reports.configuration` returns it.
    width : int
        Characters a line may take.

    Returns
    -------
    str
        Lines joined by newlines, no newline at the end; in a narrow terminal the cause stands under its field.

    Raises
    ------
    KeyError
        If a column is missing.

    Examples
    --------
    >>> print(configuration(pd.DataFrame([{"field": "max_pods", "value": "110", "why": "default"}])))
    field     value  known from
    max_pods  110    default
    """
    fields = [str(value) for value in frame["field"]]
    values = [str(value) or "-" for value in frame["value"]]
    causes = [str(value) for value in frame["why"]]
    columns = [_Column("field", fields), _Column("value", values), _Column("known from", causes, elastic=True)]
    left = width - sum(max(map(len, cells), default=0) + 2 for cells in (fields, values))
    if left >= max(map(len, " ".join(causes).split()), default=0):
        return "\n".join(_table(columns, width=width))
    lines = _table(columns[:2], width=width)[1:]
    told = (_wrap(cause, width=width, first="    ", rest="    ") for cause in causes)
    return "\n".join(part for line, cause in zip(lines, told, strict=True) for part in (line, *cause))


def _named(row: dict[Any, Any]) -> dict[str, Any]:
    """Give a row text keys."""
    return {str(key): value for key, value in row.items()}


def _room(row: dict[str, Any]) -> str:
    """Say what still fits by a row, and whether the row binds."""
    room = presentation.CANNOT_RUN_OUT if pd.isna(row["usable"]) else presentation.more(row, word="")
    return ", ".join(part for part in ("binds" if row["binds"] else "", room) if part) or "-"


def _title(name: str) -> str:
    """Turn a column name into words."""
    return name.replace("_", " ").replace("ipv4", "IPv4").replace("ipv6", "IPv6")


def _pool_columns(frame: pd.DataFrame) -> list[_Column]:
    """Name the rows: node where there is one, pool, family."""
    first = [_Column("node", [str(value) for value in frame["node"]])] if "node" in frame else []
    return [
        *first,
        _Column("pool", [str(value) for value in frame["pool"]]),
        _Column("family", [str(value) for value in frame["ip_family"]]),
    ]


def _share_columns(frame: pd.DataFrame) -> list[_Column]:
    """Count the rows: in use, usable, share."""
    return [
        _Column("in use", [presentation.count(value) for value in frame["used"]], right=True),
        _Column("usable", [presentation.count(value) for value in frame["usable"]], right=True),
        _Column("share", [presentation.share(value) for value in frame["used_ratio"]], right=True),
    ]


def _with_range(columns: list[_Column], frame: pd.DataFrame, *, at: int, width: int) -> tuple[list[str], bool]:
    """Write the table with the range column if it fits as it is; say whether it did."""
    ranges = _Column("range", [str(value) for value in frame["range"]])
    wide = _table([*columns[:at], ranges, *columns[at:]], width=10_000)
    if max(map(len, wide)) <= width:
        return wide, True
    return _table(columns, width=width), False


def _notes(frame: pd.DataFrame, *, ranges: bool, width: int) -> list[str]:
    """Write the causes as numbered notes; they name the range where the table had no room for it."""
    lines: list[str] = []
    for number, row in enumerate(frame.to_dict("records"), 1):
        where = f", {row['range']}" if ranges and row["range"] else ""
        text = f"{presentation.headline(_named(row))}{where}: {row['why']}"
        lines += _wrap(text, width=width, first=f"  {number:>2}  ", rest=" " * 6)
    return lines


def _wrap(text: str, *, width: int, first: str, rest: str) -> list[str]:
    """Break a text at spaces; addresses and flags stay whole."""
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, break_long_words=True
    )


def _table(columns: Sequence[_Column], *, width: int) -> list[str]:
    """Lay columns side by side, elastic ones wrapped until the lines fit; what still does not fit follows below."""
    widths = [max(map(len, [column.title, *column.cells])) for column in columns]
    elastic = [i for i, column in enumerate(columns) if column.elastic]
    while _total(widths) > width and (loose := [i for i in elastic if widths[i] > _narrowest(columns[i])]):
        widths[max(loose, key=lambda i: widths[i])] -= 1
    fitting = len(columns)
    while fitting > 2 and _total(widths[:fitting]) > width:
        fitting -= 1
    lines = list(_rows(columns[:fitting], widths[:fitting]))
    if fitting < len(columns):
        lines += ["", *_table([columns[0], *columns[fitting:]], width=width)]
    return lines


def _narrowest(column: _Column) -> int:
    """Give the width below which a column would break a word of its title, or a number."""
    words = column.title.split() if column.right else ["x" * _NARROWEST]
    cells = [part for cell in column.cells for part in cell.split(", ")] if column.right else []
    return max(map(len, [*words, *cells]), default=1)


def _total(widths: Sequence[int]) -> int:
    """Count the characters of a line: the columns and two spaces between them."""
    return sum(widths) + 2 * (len(widths) - 1)


def _rows(columns: Sequence[_Column], widths: Sequence[int]) -> Iterable[str]:
    """Write title line and rows, a row with wrapped cells over several lines."""
    for number, cells in enumerate(zip(*([column.title, *column.cells] for column in columns), strict=True)):
        parts = [
            textwrap.wrap(cell, width, break_on_hyphens=False) or [""]
            for cell, width in zip(cells, widths, strict=True)
        ]
        high = max(map(len, parts))
        for line in range(high):
            # a title stands on its table, a cell hangs from its row's first line
            lines = [line - (high - len(part)) * (number == 0) for part in parts]
            pieces = [part[i] if 0 <= i < len(part) else "" for part, i in zip(parts, lines, strict=True)]
            yield "  ".join(
                piece.rjust(width) if column.right else piece.ljust(width)
                for piece, width, column in zip(pieces, widths, columns, strict=True)
            ).rstrip()


def _rest(frame: pd.DataFrame) -> list[str]:
    """Say how many rows of a long table are left out."""
    left = len(frame) - MOST_ROWS
    return [f"and {left:,} more; --format json or csv holds all of them"] if left > 0 else []
